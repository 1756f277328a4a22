"""
How fast a smart batch goes: how many at once, and how many a second. It learns from answers and refusals.

Concurrency begins low, doubles while answers come as fast as before, then grows by one a round, and is halved
by refusals for load. The first refusal for the rate of requests sets a pace, what was answered until
then over the time that took, which is searched upwards until it is refused. From then on the pace goes a
little below what was refused, back to it, and after a calm while ever faster beyond it, so that a limit
that was raised is found within a minute and one that stands is seldom hit. Where the vendor's headers tell what is left
until when, they bound the pace.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from ai_lib._core.errors import AiLibError, OverloadedError
from ai_lib._core.ledger import RateLimits

#: How many a smart batch starts with.
CAREFUL = 4
#: Seconds; a provider that asks for more is not waited for.
LONGEST_WAIT = 60.0
#: Seconds to wait after a refusal that does not say how long.
_PAUSE = 1.0
#: Growth of the pace a second while its limit is searched.
_SEARCH = 1.05
#: Shares of a pace that was refused: what is taken for the limit, and where to go on below that.
_LIMIT, _BELOW = 0.98, 0.93
#: Share of it where a refusal follows another within so many seconds: the limit fell.
_FALL, _SOON = 0.8, 3.0
#: Seconds to come back to the limit, to stay there, and in which the growth beyond it doubles.
_BACK, _STAY, _DOUBLES = 20.0, 4.0, 3.0
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
    _searching: bool = True
    _answered: int = 0
    _since: float | None = None
    _in_round: int = 0
    _best: float | None = None
    _top: float = 0.0
    _calm_since: float = 0.0
    _grown_at: float = 0.0
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
        if self._searching:
            grown = _SEARCH ** max(0.0, now - self._grown_at)
            self.rate = (self.rate or 0.0) * min(grown, 2.0)
            self._grown_at = max(now, self._grown_at)
            return
        calm = max(0.0, now - self._calm_since)
        short = max(0.0, 1 - calm / _BACK) ** 3 * (1 - _BELOW)
        beyond = max(0.0, calm - _BACK - _STAY) / _DOUBLES
        self.rate = self._top * (1 - short + 0.01 * (2 ** min(beyond, 10.0) - 1))

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
            self._held_until = max(self._held_until, now + min(reset, LONGEST_WAIT))
        elif left / reset < (self.rate or float("inf")) and reset > 1:
            self._next = max(self._next, now + reset / left)

    def refused(self, error: AiLibError, began: float) -> None:
        """
        Take a refusal of one that began at a moment.
        """
        now = self.clock()
        wait = error.retry_after or _PAUSE
        self._climbing = False
        if began >= self._cut_at:  # those from before the last cut say nothing new
            self._cut_at = now
            if isinstance(error, OverloadedError):
                self.limit = max(1, self.limit // 2)
            elif self.rate is not None:
                soon = not self._searching and now - (self._since or now) < _SOON
                self._top = self.rate * (_FALL if soon else _LIMIT)
                self._searching = False
            elif self._since is not None and self._answered:
                self.rate = self._answered / (now + wait - self._since)
            else:
                self.limit = max(1, self.limit // 2)
            self._answered, self._since = 0, now + wait
            self._calm_since = self._grown_at = now + wait
        self._held_until = max(self._held_until, now + wait)
