"""
The blocking waits that are no socket's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ai_lib._core.call import Call
from ai_lib._core.errors import RequestTimeoutError

T = TypeVar("T")


def pause(seconds: float, call: Call) -> None:
    """
    Wait *seconds*, or until *call* is cancelled.

    Raises:
        StreamCancelledError: It was.
    """
    woken = threading.Event()
    call.begin_wait(woken.set)
    try:
        woken.wait(seconds)
    finally:
        call.end_wait()
    call.check()


def aside(function: Callable[[], T], call: Call) -> T:
    """
    Run *function* in a thread and wait for it, but no longer than *call* may; it is left behind then.

    Raises:
        RequestTimeoutError: A deadline of the call came first.

        StreamCancelledError: The call was cancelled.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    woken = threading.Event()

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            errors.append(error)
        finally:
            woken.set()

    call.begin_wait(woken.set)
    try:
        threading.Thread(target=work, daemon=True, name="ai_lib-aside").start()
        woken.wait(call.deadlines.remaining())
    finally:
        call.end_wait()
    call.check()
    if errors:
        raise errors[0]
    if not results:
        raise RequestTimeoutError(f"Waited in vain: {call.deadlines.expired()}.")
    return results[0]
