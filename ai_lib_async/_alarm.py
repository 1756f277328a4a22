"""
How a call waits in asyncio's event loop: with one timer for all waits of an exchange.

A scope for each wait would cost as much as all the rest of a chunk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from ai_lib._core.call import Call

T = TypeVar("T")


class TaskWait:
    """
    Ends a wait by cancelling its task, and takes the cancellation back as it leaves.

    The timer outlives a wait that did not need it, since the next one mostly ends later: it looks again when it
    rings. ``close`` stops it.

    Args:
        call: The call.

        loop: The running loop.

        bounded: Whether the call's deadlines end the wait.
    """

    __slots__ = ("_bounded", "_call", "_due", "_loop", "_rung", "_task", "_timer")

    def __init__(
        self, call: Call, loop: asyncio.AbstractEventLoop, *, bounded: bool = True
    ) -> None:
        self._call = call
        self._loop = loop
        self._bounded = bounded
        self._task: asyncio.Task[Any] | None = None  # the one that waits
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None  # when the wait under way ends
        self._rung = False

    def extend(self) -> None:
        """
        Move the end of the wait to what the call's deadlines say now.
        """
        left = self._call.deadlines.remaining() if self._bounded else None
        if left is None:
            self._due = None
            return
        self._due = due = self._loop.time() + left
        timer = self._timer
        if timer is None or timer.when() > due:
            if timer is not None:
                timer.cancel()
            self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        due = self._due
        if self._task is None or due is None:
            return
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._ring)
        else:
            self._end()

    def _end(self) -> None:
        if self._task is not None and not self._rung:
            self._rung = True
            self._task.cancel()

    def wake(self) -> None:
        """
        End the wait; from any thread.
        """
        with suppress(RuntimeError):  # the loop has ended, and all that waited in it
            self._loop.call_soon_threadsafe(self._end)

    async def on(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """
        Call *function* and wait for what it promises.

        Raises:
            TimeoutError: A deadline of the call came first.

            StreamCancelledError: The call was cancelled.
        """
        call = self._call
        task = asyncio.current_task(self._loop)
        assert task is not None
        before = task.cancelling()
        call.begin_wait(self.wake)
        self._task, self._rung = task, False
        self.extend()
        try:
            return await function(*arguments)
        except asyncio.CancelledError:
            if not self._rung or task.cancelling() > before + 1:
                raise  # from outside: that always wins
        finally:
            self._task = None
            if self._rung:
                task.uncancel()
            call.end_wait()
        call.check()
        raise TimeoutError("timed out")

    def close(self) -> None:
        """
        Stop the timer.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
