"""
How long a call may take, and how long its next wait may be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import attrs

from ai_lib._core.record import Record


def _seconds(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{attribute.name} must be seconds, not {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"{attribute.name} must be above zero, not {value!r}")


@attrs.frozen(eq=False, repr=False)
class Timeout(Record):
    """
    Bounds of a call, in seconds each; ``None``: none.

    Attributes:
        connect: To reach the host: name lookup, connection and TLS together.

        idle: Silence of a stream, counted between complete lines and before its first;
            comments that keep a stream alive count as lines, bytes inside one do not. The
            time that the caller spends between two chunks does not count.

        attempt: One whole exchange that is not a stream, headers and body, however slowly
            they drip. Long, since a model that thinks says nothing for minutes.

        total: The whole call: attempts, waits, failover and body together.
    """

    connect: float | None = attrs.field(default=10.0, validator=_seconds)
    idle: float | None = attrs.field(default=120.0, validator=_seconds, kw_only=True)
    attempt: float | None = attrs.field(default=600.0, validator=_seconds, kw_only=True)
    total: float | None = attrs.field(default=None, validator=_seconds, kw_only=True)

    @classmethod
    def of(cls, value: float | Timeout | None) -> Timeout:
        """
        Read what callers write: seconds mean *attempt*, *idle*, and *connect* up to its default.

        Raises:
            ValueError: Not above zero.

            TypeError: Neither a number nor a ``Timeout``.
        """
        if isinstance(value, Timeout):
            return value
        if value is None:
            return _USUAL
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"timeout must be seconds or a Timeout, not {value!r}")
        if not 0 < value < float("inf"):
            raise ValueError(f"timeout must be above zero, not {value!r}")
        return cls(connect=min(10.0, value), idle=value, attempt=value)


_USUAL = Timeout()


@attrs.define(eq=False, repr=False)
class Deadlines:
    """
    The moments at which the waits of one call end. Not thread-safe: one thread waits at a time.

    Attributes:
        timeout: The bounds that they come from.
    """

    timeout: Timeout
    _clock: Callable[[], float] = time.monotonic
    _began: float = attrs.field(init=False)
    _total: float | None = attrs.field(init=False, default=None)
    _connect: float | None = attrs.field(init=False, default=None)
    _attempt: float | None = attrs.field(init=False, default=None)
    _idle: float | None = attrs.field(init=False, default=None)
    _idle_left: float | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._began = self._clock()
        self._total = self._after(self.timeout.total)

    def _after(self, seconds: float | None) -> float | None:
        return None if seconds is None else self._clock() + seconds

    def beside(self) -> Deadlines:
        """
        Make deadlines for what runs beside this call, and may last no longer.
        """
        other = Deadlines(self.timeout, self._clock)
        other._began, other._total = self._began, self._total  # its own kind
        return other

    @property
    def elapsed(self) -> float:
        """
        Seconds since the call began.
        """
        return self._clock() - self._began

    def begin_attempt(self, *, stream: bool) -> None:
        """
        Note that a request is about to be sent.
        """
        self._connect = self._after(self.timeout.connect)
        self._attempt = None if stream else self._after(self.timeout.attempt)
        self._idle = self._after(self.timeout.idle) if stream else None
        self._idle_left = self.timeout.idle if stream else None

    def begin_connect(self) -> None:
        """
        Note that a connection may have to be made.
        """
        self._connect = self._after(self.timeout.connect)

    def connected(self) -> None:
        """
        Note that the host was reached.
        """
        self._connect = None

    def hand_over(self) -> tuple[float | None, float | None]:
        """
        Leave the waits to sockets that are not ours, and cannot tell when they have connected.

        Returns:
            Seconds to connect, and for each wait after it; ``None``: no bound.
        """
        connect = self.remaining()
        self.connected()
        return connect, self.remaining()

    def end_attempt(self) -> None:
        """
        Note that no exchange is under way: only *total* counts.
        """
        self._connect = self._attempt = self._idle = self._idle_left = None

    def begin_drain(self, seconds: float) -> None:
        """
        Note that the answer is complete, and its end may be waited for this long.
        """
        self.end_attempt()
        self._attempt = self._after(seconds)

    def resume(self, *, progressed: bool) -> None:
        """
        Note that more of a stream is waited for: silence counts again, from nothing if the last
        bytes completed a line, else from where it was.
        """
        if self._idle_left is not None:
            left = self.timeout.idle if progressed else self._idle_left
            self._idle = self._after(left)

    def pause(self) -> None:
        """
        Note that bytes have come; until the caller asks for more, silence does not count.
        """
        if self._idle is not None:
            self._idle_left = self._idle - self._clock()
            self._idle = None

    def remaining(self) -> float | None:
        """
        Seconds that the next wait may take, zero or less when it may not begin; ``None``: no bound.
        """
        soonest: float | None = None
        for moment in (self._connect, self._attempt, self._idle, self._total):
            if moment is not None and (soonest is None or moment < soonest):
                soonest = moment
        return None if soonest is None else soonest - self._clock()

    def bounded(self, seconds: float) -> float:
        """
        Give *seconds*, or what is left of the next wait if that is less.
        """
        left = self.remaining()
        return seconds if left is None else min(seconds, max(left, 0.0))

    def room(self) -> float | None:
        """
        Seconds left of *total*; ``None``: no bound.
        """
        return None if self._total is None else self._total - self._clock()

    def expired(self) -> str | None:
        """
        Name the bound that has run out, in words for an error; ``None``: none has.
        """
        now = self._clock()
        for moment, words in (
            (
                self._total,
                f"the call took more than {self.timeout.total:g} s"
                if self.timeout.total
                else "",
            ),
            (
                self._connect,
                f"no connection within {self.timeout.connect:g} s"
                if self.timeout.connect
                else "",
            ),
            (
                self._attempt,
                f"no whole answer within {self.timeout.attempt:g} s"
                if self.timeout.attempt
                else "",
            ),
            (
                self._idle,
                f"silence for {self.timeout.idle:g} s" if self.timeout.idle else "",
            ),
        ):
            if moment is not None and now >= moment - _SLACK:
                return words
        return None


#: A socket's own timer may fire this much before the clock says so.
_SLACK = 0.005
