"""
How far a batch has come, in numbers and in words.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import attrs

from ai_lib._core.batch import BatchItem
from ai_lib._core.record import Record

#: Seconds over which the rate is measured.
_WINDOW = 30.0
#: Fewer items than this in there tell less than the whole run does.
_ENOUGH = 5


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BatchProgress(Record):
    """
    How far a batch has come.

    Attributes:
        done: Items that are finished: answered, failed or recalled from the journal.

        failed: How many of them ended in an error.

        total: How many there are; ``None``: not known, as with a generator.

        running: How many are being asked now.

        recalled: How many of *done* an earlier run had answered.

        tokens: Read and written so far, as the providers counted; of recalled items none, since they cost
            nothing now.

        rate: Items finished a second over the last half minute, recalled ones aside.

        waiting: Seconds of the pause that a limit or a provider asks for now; 0: there is none.

        concurrency: How many may run at once now; 0: any number, as the provider works them off.

        stage: How far a provider's own batches are, in its words; empty elsewhere.

        decided: What a smart batch decided last about its pace, and why; empty elsewhere.

        elapsed: Seconds since the batch began.

        remaining: Seconds to its end, estimated from *rate*; ``None``: not known.
    """

    done: int = 0
    failed: int = 0
    total: int | None = None
    running: int = 0
    recalled: int = 0
    tokens: int = 0
    rate: float = 0.0
    waiting: float = 0.0
    concurrency: int = 0
    stage: str = ""
    decided: str = ""
    elapsed: float = 0.0
    remaining: float | None = None

    def __str__(self) -> str:
        words = [_share(self.done, self.total)]
        if self.failed:
            words.append(f"{self.failed:,} failed")
        return ", ".join((*words, *self.details()))

    def details(self) -> list[str]:
        """
        Say in words what a bar does not show: rate, tokens, pauses and the end.
        """
        words = []
        if self.recalled:
            words.append(f"{self.recalled:,} from the journal")
        if self.rate:
            words.append(_rate(self.rate))
        if self.tokens:
            words.append(f"{self.tokens:,} tokens")
        if self.stage:
            words.append(self.stage)
        elif self.running:
            words.append(f"{self.running} running")
        if self.waiting >= 1:
            words.append(f"waiting {_duration(self.waiting)}")
        if self.remaining:
            words.append(f"{_duration(self.remaining)} left")
        if self.decided:
            words.append(self.decided)
        return words


def _share(done: int, total: int | None) -> str:
    if total is None:
        return f"{done:,} done"
    return f"{done:,}/{total:,} ({100 * done // max(total, 1)} %)"


def _rate(rate: float) -> str:
    return f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min"


def _duration(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{left:02}"
    return f"{minutes}:{left:02}"


@attrs.define(eq=False, repr=False)
class ProgressMeter:
    """
    Counts what it is told. Not thread-safe: the shell holds its lock.

    Args:
        total: How many items there are; ``None``: not known. May be set later.
    """

    total: int | None = None
    _clock: Callable[[], float] = time.monotonic
    _done: int = 0
    _failed: int = 0
    _recalled: int = 0
    _tokens: int = 0
    _began: float = attrs.field(init=False)
    #: Moments and how many were finished by then, a few a second at most.
    _marks: deque[tuple[float, int]] = attrs.field(factory=deque, init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self._clock()
        self._marks.append((self._began, 0))

    def done(self, item: BatchItem, *, recalled: bool = False) -> None:
        """
        Count a finished item.

        Args:
            item: The item.

            recalled: Whether an earlier run finished it.
        """
        self._done += 1
        if not item.ok:
            self._failed += 1
        if recalled:
            self._recalled += 1
            return
        if item.response is not None and (usage := item.response.usage) is not None:
            self._tokens += usage.prompt_tokens + usage.completion_tokens
        now = self._clock()
        if now - self._marks[-1][0] >= _WINDOW / 100:
            self._marks.append((now, self._done - self._recalled))
            self._forget(now)

    def _forget(self, now: float) -> None:
        # One mark at or before the window's beginning is kept to measure from.
        while len(self._marks) > 1 and self._marks[1][0] <= now - _WINDOW:
            self._marks.popleft()

    def snapshot(
        self,
        *,
        running: int = 0,
        limit: int = 0,
        waiting: float = 0.0,
        stage: str = "",
        decided: str = "",
    ) -> BatchProgress:
        """
        Say how far it has come.

        Args:
            running: How many are being asked now.

            limit: How many may be at once.

            waiting: Seconds of the pause under way.

            stage: What those who work it off say.

            decided: What was decided about the pace.
        """
        now = self._clock()
        rate = self._rate(now)
        return BatchProgress(
            done=self._done,
            failed=self._failed,
            total=self.total,
            running=running,
            recalled=self._recalled,
            tokens=self._tokens,
            rate=rate,
            waiting=max(0.0, waiting),
            concurrency=limit,
            stage=stage,
            decided=decided,
            elapsed=now - self._began,
            remaining=self._remaining(rate),
        )

    def _rate(self, now: float) -> float:
        self._forget(now)
        finished = self._done - self._recalled
        since, before = self._marks[0]
        if finished - before < _ENOUGH:  # few or slow: the whole run tells more
            since, before = self._began, 0
        return (finished - before) / (now - since) if now > since else 0.0

    def _remaining(self, rate: float) -> float | None:
        if self.total is None:
            return None
        left = self.total - self._done
        if left <= 0:
            return 0.0
        return left / rate if rate else None
