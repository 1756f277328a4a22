"""
How fast a smart batch goes: how many at once, and how many a second. It learns from answers and refusals.

Concurrency begins low and doubles while it is used up and answers come about as fast as before; when they take much
longer, or the provider refuses for load, it is halved, and then grows by one a round. What counts is the
median of the last answers, not a single one: some answers are ten times as long as others. If half as many are no
quicker, it was not the load that made them slow, and that is undone.

The first refusal for the rate of requests sets a pace: what was accepted until then over the time that took. It is
searched upwards until it is refused. From then on the pace goes a little below what was refused, back to
it, and after a calm while ever faster beyond it, so that a limit that was raised is found within a minute and one
that stands is seldom hit. Refused soon after a refusal, it was far above the limit: what was accepted in between
says how far, and it is searched anew. Where the vendor's headers tell what is left until when, they bound
the pace.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

import attrs

from ai_lib._core.errors import AiLibError, OverloadedError
from ai_lib._core.ledger import RateLimits
from ai_lib._core.log import logger

_LOGGER = logger("batch")

#: How many a smart batch starts with.
CAREFUL = 4
#: Seconds; a provider that asks for more is not waited for.
LONGEST_WAIT = 60.0
#: Seconds to wait after a refusal that does not say how long.
_PAUSE = 1.0
#: Seconds; what a provider asks for in milliseconds is gone again as soon as it is over.
_LEAST_WAIT = 0.2
#: Growth of the pace a second while its limit is searched: when little is known, and then.
_ROUGHLY, _SEARCH = 1.5, 1.05
#: Shares of a pace that was refused: what is taken for the limit, and where to go on below that.
_LIMIT, _BELOW = 0.98, 0.93
#: Seconds; a refusal so soon after another says that the pace was far too high. Shares of it to go on with.
_SOON, _LEAST, _MOST = 3.0, 0.25, 0.85
#: Seconds, and requests, that tell of the limit when a search ends, which share of what was accepted in them, and how
#: far between that and the pace that was refused the limit is looked for.
_LAST, _MANY, _LATELY, _BETWEEN = 10.0, 20, 0.93, 0.3
#: Seconds to come back to the limit, to stay there, and in which the growth beyond it doubles.
_BACK, _STAY, _DOUBLES = 20.0, 4.0, 3.0
#: Where fewer begin in a second than this, those seconds are as many more: each try costs a larger share.
_BRISK = 2.0
#: Seconds; concurrency doubles no faster, for what is refused in the end is as many as are under way.
_STEP = 0.5
#: How many of the last answers say how long one takes, and how few are enough to judge by.
_RECENT, _ENOUGH = 32, 8
#: How much slower than at their best answers may be before concurrency stops growing, and is halved.
_SLOWER, _SLOW = 2.0, 3.0
#: By how much the best is forgotten in a round: what is asked may have become longer.
_FORGET = 1.02


@attrs.define(kw_only=True)
class Pace:
    """
    The pace of one batch. Not thread-safe.

    Attributes:
        most: How many may ever run at once.

        limit: How many may run at once now.

        rate: How many may begin in a second; ``None``: no bound is known.

        decided: What was decided last, and why, in a few words.
    """

    most: int
    limit: int = attrs.field(
        default=attrs.Factory(lambda self: min(CAREFUL, self.most), takes_self=True)
    )
    rate: float | None = None
    decided: str = "begun with few at once"
    clock: Callable[[], float] = time.monotonic
    #: Whether concurrency doubles; whether it was used up since it was changed.
    _climbing: bool = True
    _full: bool = False
    _climbed_at: float = float("-inf")
    _in_round: int = 0
    _recent: deque[float] = attrs.field(factory=lambda: deque(maxlen=_RECENT))
    _best: float | None = None
    _judged_from: float = float("-inf")
    _eased: bool = False
    #: Since when is counted what was begun, how many were, and when the last of them.
    _since: float | None = None
    _begun: int = 0
    _begins: deque[float] = attrs.field(factory=lambda: deque(maxlen=1024))
    _searching: bool = True
    _growth: float = _ROUGHLY
    _top: float = 0.0
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

    def began(self, running: int) -> None:
        """
        Note that one begins, and how many run with it.
        """
        now = self.clock()
        if self._since is None:
            self._since = now
        self._full = self._full or running >= self.limit
        self._begun += 1
        self._begins.append(now)
        if self.rate is not None:
            self._grow(now)
            # A wait that came late is not made up for beyond one.
            self._next = max(self._next, now - 1 / self.rate) + 1 / self.rate

    def left(self) -> None:
        """
        Take it back that one began: there was nothing to ask.
        """
        if self._begun:
            self._begun -= 1
            self._begins.pop()
        if self.rate is not None:
            self._next -= 1 / self.rate

    def _grow(self, now: float) -> None:
        assert self.rate is not None
        if self._searching:
            seconds = min(max(0.0, now - self._grown_at), 10.0)
            self.rate *= min(self._growth**seconds, 2.0)
            self._grown_at = max(now, self._grown_at)
            return
        slow = max(1.0, _BRISK / self._top)
        calm = max(0.0, now - (self._since or now)) / slow
        short = max(0.0, 1 - calm / _BACK) ** 3 * (1 - _BELOW)
        beyond = max(0.0, calm - _BACK - _STAY) / _DOUBLES
        if beyond and self.rate > self._top:
            self._decide(f"{_each(self._top)} and more: no refusals for long")
        self.rate = self._top * (1 - short + 0.01 * (2 ** min(beyond, 10.0) - 1))

    def answered(self, seconds: float, limits: RateLimits | None) -> None:
        """
        Take an answer that took so many seconds, with what its headers said.
        """
        if self.clock() - seconds >= self._judged_from:
            self._recent.append(seconds)
        self._in_round += 1
        if self._in_round >= self.limit:
            self._in_round = 0
            self._end_round()
        if limits is not None:
            self._obey(limits.requests_remaining, limits.requests_reset)
            if limits.tokens_remaining == 0:
                self._obey(0, limits.tokens_reset)

    def _end_round(self) -> None:
        """
        Let more run at once, if that is of use and does no harm; or fewer.
        """
        slower = 1.0
        if len(self._recent) >= _ENOUGH:
            usual = median(self._recent)
            # Below a hundredth of a second it is this machine that is measured.
            best = usual if self._best is None else min(self._best * _FORGET, usual)
            self._best = max(best, 0.01)
            slower = usual / self._best
            if slower > _SLOW and self._eased:
                self._best, slower = usual, 1.0
                self._climbing = self._full = (
                    True  # what is asked is longer, that is all
                )
            self._eased = self._eased and slower > _SLOW
        if slower > _SLOW:
            self._climbing, self._eased = False, True
            self._judged_from = self.clock()
            self._recent.clear()
            self._set_limit(self.limit // 2, "answers take longer")
        elif slower > _SLOWER:
            self._climbing = False
        elif self._full and not self._climbing:
            self._set_limit(self.limit + 1, "answers no slower")
        elif self._full and self.clock() - self._climbed_at >= _STEP:
            self._climbed_at = self.clock()
            self._set_limit(self.limit * 2, "answers no slower")

    def _set_limit(self, limit: int, why: str) -> None:
        before, self.limit = self.limit, min(max(1, limit), self.most)
        self._full = False
        if self.limit != before:
            self._decide(f"{self.limit} at once: {why}")

    def _decide(self, what: str) -> None:
        if what != self.decided:
            self.decided = what
            _LOGGER.info("A smart batch goes on with %s.", what)

    def _obey(self, left: int | None, reset: float | None) -> None:
        if left is None or reset is None or reset <= 0:
            return
        now = self.clock()
        if left == 0:
            self._held_until = max(self._held_until, now + min(reset, LONGEST_WAIT))
            self._decide("what the provider's headers allow")
        elif left / reset < (self.rate or float("inf")) and reset > 1:
            self._next = max(self._next, now + reset / left)
            self._decide("what the provider's headers allow")

    def refused(self, error: AiLibError, began: float) -> None:
        """
        Take a refusal of one that began at a moment.
        """
        now = self.clock()
        wait = max(error.retry_after or _PAUSE, _LEAST_WAIT)
        if began >= self._cut_at:  # those from before the last cut say nothing new
            self._cut_at = now
            if isinstance(error, OverloadedError):
                self._climbing = False
                self._set_limit(self.limit // 2, "the provider is overloaded")
                self._count_anew(now + wait)
            else:
                self._slow_down(now, now + wait, began)
        self._held_until = max(self._held_until, now + wait)

    def _count_anew(self, since: float) -> None:
        self._since, self._begun = since, 0
        self._begins.clear()

    def _slow_down(self, now: float, until: float, began: float) -> None:
        """
        Set the pace after a refusal that asks to wait until a moment.
        """
        # A refusal comes at once, an answer later: what began before was accepted.
        while self._begins and self._begins[-1] >= began:
            self._begins.pop()
            self._begun -= 1
        since = now if self._since is None else self._since
        found = self._begun / (until - since)
        if self.rate is None:
            if not self._begun:
                self._set_limit(self.limit // 2, "more was refused")
                return
            self.rate = found
            self._count_anew(until)
        elif (
            now - since < _SOON
        ):  # goes on counting: the more, the better is what is found
            self.rate = min(max(found, self.rate * _LEAST), self.rate * _MOST)
            self._searching, self._growth = True, _SEARCH
        else:
            if self._searching:
                # What was saved up while the pace was low is in the count of the last seconds.
                window = max(_LAST, _MANY / self.rate)
                last = [at for at in self._begins if at >= now - window]
                lately = len(last) / (until - last[0]) if last else 0.0
                least = min(self.rate, max(found, lately * _LATELY))
                found = least + _BETWEEN * (self.rate - least)
            else:
                found = self.rate
            self._searching = self._growth != _SEARCH
            self._growth, self._top = _SEARCH, found * _LIMIT
            self.rate = self._top * _BELOW
            self._count_anew(until)
        self._grown_at = until
        self._next = max(self._next, until)
        self._decide(f"{_each(self.rate)}: more was refused")


def _each(rate: float) -> str:
    return f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min"
