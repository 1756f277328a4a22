"""
One call of a public method: what it may take, what it has tried, and how it is stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import attrs

from ai_lib._core.errors import AiLibError, StreamCancelledError
from ai_lib._core.hooks import call_ids
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

        failed: The errors of its attempts, oldest first.

        id: Its number in this process.

        began_retrying: It has made the retry that every call may make.

        lost: Another attempt of a race answered first: that is why it was cancelled.

        provider: Who is asked, for errors; empty: not known yet.

        waited: Seconds slept since the last attempt.
    """

    __slots__ = (
        "_lock",
        "_wake",
        "attempts",
        "began_retrying",
        "cancelled",
        "deadlines",
        "failed",
        "id",
        "lost",
        "provider",
        "waited",
    )

    def __init__(self, timeout: Timeout) -> None:
        self.deadlines = Deadlines(timeout)
        self.attempts: list[Attempt] = []
        self.failed: list[AiLibError] = []
        self.id = next(call_ids)
        self.began_retrying = False
        self.cancelled = self.lost = False
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
                raise self._cancelled_error()

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
            raise self._cancelled_error()

    def _cancelled_error(self) -> StreamCancelledError:
        why = "another attempt answered first" if self.lost else ""
        return StreamCancelledError(
            f"Cancelled: {why}." if why else "The stream was cancelled."
        )

    def lose(self) -> None:
        """
        Stop the call: another attempt of a race answered first.
        """
        self.lost = True
        self.cancel()

    def beside(self) -> Call:
        """
        Make a call of its own for a runner in a race of this one: under the same total time.
        """
        child = Call(self.deadlines.timeout)
        child.deadlines = self.deadlines.beside()
        child.id, child.provider = self.id, self.provider
        child.began_retrying = self.began_retrying
        child.cancelled = self.cancelled
        return child

    def adopt(self, children: Sequence[Call], winner: Call | None) -> None:
        """
        Take over what the runners of a race have tried, the winner's last, and the winner's deadlines.
        """
        for child in sorted(children, key=lambda one: one is winner):
            self.attempts += child.attempts
            self.failed += child.failed
        self.began_retrying = any(child.began_retrying for child in children)
        if winner is not None:
            self.deadlines = winner.deadlines

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
        error.previous = tuple(one for one in self.failed if one is not error)
        error.elapsed = self.deadlines.elapsed
        return error


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
