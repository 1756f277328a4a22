"""
The blocking waits that are no socket's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ai_lib._core.call import Call
from ai_lib._core.errors import RequestTimeoutError
from ai_lib._host.errand import Errand

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
    woken = threading.Event()
    call.begin_wait(woken.set)
    try:
        errand = Errand(function, woken.set)
        woken.wait(call.deadlines.remaining())
    finally:
        call.end_wait()
    call.check()
    if not errand.done:
        raise RequestTimeoutError(f"Waited in vain: {call.deadlines.expired()}.")
    return errand.result()
