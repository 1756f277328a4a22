"""
How a call waits in an event loop: for one awaitable, as long as its deadlines allow, until it is woken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from ai_lib._core.call import Call
from ai_lib._core.errors import RequestTimeoutError
from ai_lib_async._pool import running_loop, soon

T = TypeVar("T")


class Wait:
    """
    One wait of a call: ``await Wait(call).on(function, *arguments)``.

    The scope is open around that one await alone, so a cancellation from outside always passes through
    unchanged. ``cancel`` may come from any thread, and hands itself to the loop.
    """

    __slots__ = ("_call", "_scope")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._scope = anyio.CancelScope()

    def extend(self) -> None:
        """
        Move the end of the wait to what the call's deadlines say now.
        """
        left = self._call.deadlines.remaining()
        self._scope.deadline = (
            float("inf") if left is None else anyio.current_time() + left
        )

    async def on(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """
        Call *function* and wait for what it promises.

        Raises:
            TimeoutError: A deadline of the call came first.

            StreamCancelledError: The call was cancelled.
        """
        call, loop = self._call, running_loop()
        self.extend()
        call.begin_wait(lambda: soon(loop, self._scope.cancel))
        try:
            with self._scope:
                return await function(*arguments)
        finally:
            call.end_wait()
        call.check()
        raise TimeoutError("timed out")


async def pause(seconds: float, call: Call) -> None:
    """
    Wait *seconds*, or until *call* is cancelled.

    Raises:
        StreamCancelledError: It was.
    """
    await Wait(call).on(anyio.sleep, seconds)


async def aside(function: Callable[[], T], call: Call) -> T:
    """
    Run *function* in a thread and wait for it, but no longer than *call* may; it is left behind then.

    Raises:
        RequestTimeoutError: A deadline of the call came first.

        StreamCancelledError: The call was cancelled.
    """
    work = partial(anyio.to_thread.run_sync, function, abandon_on_cancel=True)
    try:
        return await Wait(call).on(work)
    except TimeoutError:
        late = RequestTimeoutError(f"Waited in vain: {call.deadlines.expired()}.")
    raise late
