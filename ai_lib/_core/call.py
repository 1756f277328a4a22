"""
One call of a public method: what it may take, what it has tried, and how it is stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import attrs

from ai_lib._core.errors import AiLibError, StreamCancelledError
from ai_lib._core.ledger import Attempt
from ai_lib._core.timeouts import Deadlines, Timeout


class Call:
    """
    The state of one call, retries and all; made by a shell, known to the core and the transport.

    A call is worked by one thread or task at a time. ``cancel`` may come from any thread: it sets the
    flag and wakes what the call is waiting in, which is at most one thing and stands in ``_wake``
    exactly while the wait lasts. The lock makes sure that a wake-up never reaches a later owner
    of the same socket.

    Attributes:
        deadlines: When its waits end.

        attempts: What it has tried so far.

        cancelled: Whether ``cancel`` was called.

        provider: Who is asked, for errors; empty: not known yet.

        waited: Seconds slept since the last attempt.
    """

    __slots__ = (
        "_lock",
        "_wake",
        "attempts",
        "cancelled",
        "deadlines",
        "provider",
        "waited",
    )

    def __init__(self, timeout: Timeout) -> None:
        self.deadlines = Deadlines(timeout)
        self.attempts: list[Attempt] = []
        self.cancelled = False
        self.provider = ""
        self.waited = 0.0
        self._wake: Callable[[], object] | None = None
        self._lock = threading.RLock()  # a signal handler may cancel

    def begin(self) -> None:
        """
        Let its time run from now on.
        """
        self.deadlines = Deadlines(self.deadlines.timeout)

    def cancel(self) -> None:
        """
        Stop the call, wherever it is. Thread-safe, returns at once, allowed twice.
        """
        with self._lock:
            self.cancelled = True
            if self._wake is not None:
                self._wake()

    def begin_wait(self, wake: Callable[[], object]) -> None:
        """
        Note that a wait begins which *wake* can end; *wake* must not block, fail or call back.

        Raises:
            StreamCancelledError: The call was cancelled before.
        """
        with self._lock:
            self._wake = wake
            if self.cancelled:  # looked at last: a signal may come in between
                self._wake = None
                raise cancelled_error()

    def end_wait(self) -> None:
        """
        Note that the wait is over: from here on nothing is woken.
        """
        with self._lock:
            self._wake = None

    def check(self) -> None:
        """
        Go on only if the call was not cancelled.

        Raises:
            StreamCancelledError: It was.
        """
        if self.cancelled:
            raise cancelled_error()

    def stamp(self, error: AiLibError, *, provider: str, model: str) -> AiLibError:
        """
        Complete an error that leaves the call with what the call knows.

        The message of one that several attempts ended in says how many, once.
        """
        failed = sum(one.error is not None for one in self.attempts)
        first = error.elapsed is None and not isinstance(error, StreamCancelledError)
        if first and failed > 1 and self.attempts[-1].error is not None:
            spent = f"{failed} attempts, {self.deadlines.elapsed:.1f} s"
            error.args = (f"{error.message} ({spent})",)
        error.provider = error.provider or provider
        error.model = error.model or model or None
        error.attempts = tuple(self.attempts)
        error.elapsed = self.deadlines.elapsed
        return error


def cancelled_error() -> StreamCancelledError:
    """
    The error of a call that was cancelled.
    """
    return StreamCancelledError("The stream was cancelled.")


@attrs.frozen(repr=False)
class CancelHandle:
    """
    Stops a stream from anywhere.
    """

    _call: Call

    def __repr__(self) -> str:
        return f"<CancelHandle cancelled={self.cancelled}>"

    def cancel(self) -> None:
        """
        Stop the stream: its iterator raises ``StreamCancelledError`` at its next step, within 100 ms also
        when it is waiting: for a connection, headers, a chunk, or before a retry.

        Thread-safe; returns at once; harmless when called twice or after the end.
        """
        self._call.cancel()

    @property
    def cancelled(self) -> bool:
        """
        Whether ``cancel`` was called.
        """
        return self._call.cancelled
