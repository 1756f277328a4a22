"""
How fast a smart batch goes: how many at once, and how many a second. It learns from answers and refusals.

Concurrency begins low, doubles while answers come as fast as before, then grows by one a round, and is halved
by refusals for load. A refusal for the rate of requests sets a pace: what was answered since the last one,
over the time that took. It grows again the faster the longer nothing is refused, so a limit that was raised is
found. Where the vendor's headers tell what is left until when, they bound the pace.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from ai_lib._core.errors import AiLibError, OverloadedError
from ai_lib._core.ledger import RateLimits

#: How many a smart batch starts with.
CAREFUL = 4
#: Seconds to wait after a refusal that does not say how long.
_PAUSE = 1.0
#: Share of the rate that was found which is gone at, and the growth of it in a calm period of so many seconds.
_SAFE, _GROWTH, _CALM = 0.97, 0.01, 5.0
#: How much slower than at its best an answer may be before concurrency stops growing, and shrinks.
_SLOWER, _SLOW = 1.5, 3.0


@attrs.define(kw_only=True)
class Pace:
    """
    The pace of one batch. Not thread-safe.

    Attributes:
        most: How many may ever run at once.

        limit: How many may run at once now.

        rate: How many may begin in a second; ``None``: no bound is known.
    """

    most: int
    limit: int = attrs.field(
        default=attrs.Factory(lambda self: min(CAREFUL, self.most), takes_self=True)
    )
    rate: float | None = None
    clock: Callable[[], float] = time.monotonic
    _climbing: bool = True
    _answered: int = 0
    _since: float | None = None
    _in_round: int = 0
    _best: float | None = None
    _calm_since: float = 0.0
    _calm: int = 0
    _cut_at: float = float("-inf")
    _next: float = float("-inf")
    _held_until: float = float("-inf")

    def wait(self) -> float:
        """
        Seconds until the next one may begin; zero or less: now.
        """
        return max(self._held_until, self._next) - self.clock()

    @property
    def held(self) -> float:
        """
        Seconds for which nothing begins since the provider asked for it; zero: it did not.
        """
        return max(0.0, self._held_until - self.clock())

    def began(self) -> None:
        """
        Note that one begins.
        """
        now = self.clock()
        if self._since is None:
            self._since = self._calm_since = now
        if self.rate is not None:
            self._grow(now)
            # A wait that came late is not made up for beyond one.
            self._next = max(self._next, now - 1 / self.rate) + 1 / self.rate

    def _grow(self, now: float) -> None:
        while self.rate is not None and now - self._calm_since >= _CALM:
            self._calm_since += _CALM
            self.rate *= 1 + min(_GROWTH * 2**self._calm, 0.5)
            self._calm += 1

    def answered(self, seconds: float, limits: RateLimits | None) -> None:
        """
        Take an answer that took so many seconds, with what its headers said.
        """
        self._answered += 1
        self._in_round += 1
        best = self._best
        self._best = seconds if best is None else min(best * 1.001, seconds)
        slow = best is not None and best > 0.01 and seconds > best * _SLOWER
        if slow and seconds > (best or 0) * _SLOW:
            self._climbing = False
        if self._in_round >= self.limit:
            self._in_round = 0
            if not slow:
                step = self.limit if self._climbing else 1
                self.limit = min(self.limit + step, self.most)
            elif not self._climbing:
                self.limit = max(1, self.limit - 1)
        if limits is not None:
            self._obey(limits.requests_remaining, limits.requests_reset)
            if limits.tokens_remaining == 0:
                self._obey(0, limits.tokens_reset)

    def _obey(self, left: int | None, reset: float | None) -> None:
        if left is None or reset is None or reset <= 0:
            return
        now = self.clock()
        if left == 0:
            self._held_until = max(self._held_until, now + reset)
        elif left / reset < (self.rate or float("inf")) and reset > 1:
            self._next = max(self._next, now + reset / left)

    def refused(self, error: AiLibError, began: float) -> float:
        """
        Take a refusal of one that began at a moment; gives the seconds for which nothing begins.
        """
        now = self.clock()
        wait = error.retry_after or _PAUSE
        self._climbing = False
        if (
            began >= self._cut_at
        ):  # those that began before the last cut say nothing new
            self._cut_at = now
            if isinstance(error, OverloadedError):
                self.limit = max(1, self.limit // 2)
            elif self._since is not None:
                took = now + wait - self._since
                found = _SAFE * self._answered / took if took > 0 else None
                if found:
                    self.rate = (
                        found
                        if self.rate is None
                        else min(self.rate * _SAFE, max(found, self.rate / 2))
                    )
                else:
                    self.limit = max(1, self.limit // 2)
            self._answered, self._since = 0, now + wait
            self._calm_since, self._calm = now + wait, 0
        self._held_until = max(self._held_until, now + wait)
        return wait
