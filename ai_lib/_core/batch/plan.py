"""
What a batch runs next, and how many at once. It decides; the shells wait.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, Literal, Protocol

import attrs

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.pace import LONGEST_WAIT, Pace
from ai_lib._core.batch.progress import BatchProgress, ProgressMeter
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.errors import (
    AiLibError,
    OverloadedError,
    RateLimitError,
    StreamCancelledError,
)
from ai_lib._core.flow import Promise
from ai_lib._core.providers import ResolvedTarget

#: How many run at once when nobody says.
DEFAULT_CONCURRENCY = 16
#: How many a smart batch may run at once when nobody says.
SMART_CONCURRENCY = 64
#: A smart batch of so few runs them one after the other.
_TINY = 3
#: How often an item that was refused for the rate of requests gets another turn.
_TURNS = 5
#: How many items may be finished and not taken, or stand behind one that is not finished.
_WAITING = 256

#: Who works a batch off: this process, by calls of its own, or the provider, by its batch API.
Mode = Literal["live", "provider"]
Outcome = ChatCompletionResponse | AiLibError
Recall = Callable[[ChatCompletionRequest, int], BatchItem | None]


class Executor(Protocol):
    """
    A ``concurrent.futures.Executor``, or one like it.
    """

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Promise:
        """
        Have *fn* called somewhere.
        """


class Records(Protocol):
    """
    A journal, as far as it is needed here.
    """

    @property
    def notes(self) -> Mapping[str, Any]:
        """
        What was noted, by name.
        """

    def recall(self, request: ChatCompletionRequest, index: int) -> BatchItem | None:
        """
        Give an item that an earlier run answered, once.
        """

    def append(self, items: Iterable[BatchItem]) -> None:
        """
        Keep finished items.
        """

    def note(self, name: str, value: Any) -> None:
        """
        Keep a note; ``None`` takes it back.
        """


@attrs.frozen
class Task:
    """
    One turn of one request.
    """

    index: int
    request: ChatCompletionRequest
    began: float

    def blame(self, error: Exception) -> None:
        """
        Say on an error that ends the batch which request it came of.
        """
        error.add_note(f"It came of the batch's request {self.index}, counted from 0.")


@attrs.frozen
class Known:
    """
    An item that need not run.

    Attributes:
        item: The item.

        recalled: It stands in the journal already.
    """

    item: BatchItem
    recalled: bool


@attrs.define(kw_only=True)
class Plan:
    """
    Hands out requests in order, and takes their results: ``enter``, ``draw``, ``join``, then ``judge`` and ``put``,
    or ``leave``. Not thread-safe, but for ``draw``: the shell holds its lock.

    Attributes:
        requests: Taken one by one, only when there is room for one more.

        limit: How many may run at once, where there is no *pace*.

        pace: Of a smart batch.

        ordered: Whether items are given in the order of the requests, else as they finish.

        recall: Gives an item that was answered in an earlier run; ``None``: there is no journal.

        key: Tells requests apart of which only one is sent; ``None``: each is.

        collected: Items are taken as they come, so any number may be finished.

        unbounded: Any number may run at once.

        stage: How far those are who work it off, in their words.
    """

    requests: Iterator[ChatCompletionRequest]
    limit: int
    pace: Pace | None = None
    ordered: bool = False
    recall: Recall | None = None
    key: Callable[[ChatCompletionRequest], bytes] | None = None
    collected: bool = False
    unbounded: bool = False
    stage: str = ""
    meter: ProgressMeter = attrs.field(factory=ProgressMeter)
    running: int = 0
    stopped: bool = False
    _drawn: int = 0
    _given: int = 0
    _ready: dict[int, BatchItem] = attrs.field(factory=dict)
    _again: deque[tuple[int, ChatCompletionRequest]] = attrs.field(factory=deque)
    _turns: dict[int, int] = attrs.field(factory=dict)
    _firsts: dict[bytes, list[tuple[int, ChatCompletionRequest]] | Outcome] = (
        attrs.field(factory=dict)
    )
    _keys: dict[int, bytes] = attrs.field(factory=dict)
    _exhausted: bool = False

    @property
    def concurrency(self) -> int:
        """
        How many may run at once now; 0: any number.
        """
        if self.unbounded:
            return 0
        return self.limit if self.pace is None else self.pace.limit

    def wait(self) -> float:
        """
        Seconds until the next one may begin.
        """
        return 0.0 if self.pace is None else self.pace.wait()

    def consult(self, records: Records) -> None:
        """
        Let what an earlier run answered be recalled from its journal.
        """
        self.recall = records.recall
        if not self.unbounded and (notes := records.notes):
            from ai_lib._core.batch.provided import warn_of_jobs

            warn_of_jobs(notes)

    def enter(self) -> bool:
        """
        Take a place for one more, if there is one; ``draw`` tells what for.
        """
        nothing = self.stopped or (self._exhausted and not self._again)
        waiting = self._drawn - self._given
        full = not self.collected and waiting >= _WAITING + self.limit
        busy = self.running >= self.concurrency or (full and not self._again)
        if nothing or (busy and not self.unbounded):
            return False
        self.running += 1
        if self.pace is not None:
            self.pace.began(self.running)
        return True

    def draw(self) -> Task | Known | None:
        """
        Give what runs in a place that was taken, or an item that need not run; ``None``: there is nothing
        more, so ``leave`` the place.

        Blocks as long as the caller's iterable does. One at a time, but beside the other methods.
        """
        if self._again:
            return Task(*self._again.popleft(), time.monotonic())
        for request in self.requests:
            index, self._drawn = self._drawn, self._drawn + 1
            item = None if self.recall is None else self.recall(request, index)
            if item is not None:
                return Known(item, recalled=True)
            return Task(index, request, time.monotonic())
        self._exhausted = True
        return None

    def join(self, drawn: Task | Known) -> Task | Known | None:
        """
        Give what was drawn, or the item of one that was answered alike; ``None``: it waits for one that is under
        way, so ``leave`` the place.
        """
        if isinstance(drawn, Known):
            return self._unasked(drawn)
        if self.key is None or drawn.index in self._turns:
            return drawn
        key = self.key(drawn.request)
        first = self._firsts.get(key)
        if first is None:
            self._firsts[key], self._keys[drawn.index] = [], key
            return drawn
        if isinstance(first, list):
            first.append((drawn.index, drawn.request))
            return None
        answered = _item(drawn.index, drawn.request, first)
        return self._unasked(Known(answered, recalled=False))

    def _unasked(self, known: Known) -> Known:
        if self.pace is not None:
            self.pace.left()
        return known

    def leave(self) -> None:
        """
        Give a place back that there is nothing for.
        """
        self.running -= 1
        if self.pace is not None:
            self.pace.left()

    @property
    def over(self) -> bool:
        """
        Whether everything has been handed out and come back.
        """
        done = self.stopped or (self._exhausted and not self._again)
        return done and not self.running

    def judge(self, task: Task, outcome: Outcome) -> list[BatchItem]:
        """
        Take a result; gives the items that are finished by it, to be put (none: it gets another turn).
        """
        pace = self.pace
        if pace is not None and isinstance(outcome, ChatCompletionResponse):
            took = time.monotonic() - task.began
            pace.answered(took, outcome.rate_limits)
        elif (
            pace is not None
            and isinstance(outcome, RateLimitError | OverloadedError)
            and outcome.is_retryable
            and (outcome.retry_after or 0.0) <= LONGEST_WAIT
        ):
            turns = self._turns[task.index] = self._turns.get(task.index, 0) + 1
            pace.refused(outcome, task.began)
            if turns <= _TURNS and not self.stopped:
                self._again.append((task.index, task.request))
                return []
        self._turns.pop(task.index, None)
        items = [_item(task.index, task.request, outcome)]
        key = self._keys.pop(task.index, None)
        if key is not None:
            waiting = self._firsts[key]
            assert isinstance(waiting, list)
            items += [_item(index, request, outcome) for index, request in waiting]
            self._firsts[key] = outcome
        return items

    def put(
        self, items: Iterable[BatchItem], *, recalled: bool = False, places: int = 1
    ) -> None:
        """
        Give places back with the items that are finished; they may be taken from now on.

        Args:
            items: They, and those that waited for them.

            recalled: They were answered in an earlier run.

            places: How many are given back.
        """
        self.running -= places
        for item in items:
            self.meter.done(item, recalled=recalled)
        self._ready.update((item.index, item) for item in items)

    def progress(self) -> BatchProgress:
        """
        Say how far it has come.
        """
        held = 0.0 if self.pace is None else self.pace.held
        return self.meter.snapshot(
            running=self.running,
            limit=self.concurrency,
            waiting=held,
            stage=self.stage,
            decided="" if self.pace is None else self.pace.decided,
        )

    def finished(self, taken: Iterable[BatchItem]) -> list[BatchItem]:
        """
        Give what was finished when the batch was interrupted, in order: *taken*, and what is ready; not what was
        cancelled.
        """
        items = [*taken, *self._ready.values()]
        self._ready.clear()
        kept = [one for one in items if not isinstance(one.error, StreamCancelledError)]
        return sorted(kept, key=index_of)

    def take(self) -> BatchItem | None:
        """
        Take the next item; ``None``: none is ready.
        """
        if self.ordered and self._given not in self._ready and not self.over:
            return None
        if not self._ready:
            return None
        at = min(self._ready) if self.ordered else next(iter(self._ready))
        self._given += 1
        return self._ready.pop(at)


def _item(index: int, request: ChatCompletionRequest, outcome: Outcome) -> BatchItem:
    failed = isinstance(outcome, AiLibError)
    return BatchItem(
        index=index,
        request=request,
        response=None if failed else outcome,  # type: ignore[arg-type]  # told apart
        error=outcome if failed else None,  # type: ignore[arg-type]  # likewise
    )


def index_of(item: BatchItem) -> int:
    """
    Sort items by the order of their requests.
    """
    return item.index


@attrs.frozen(kw_only=True)
class BatchOptions:
    """
    What a batch was asked for beside its requests, as the methods of a client describe it.
    """

    max_concurrency: int | None = attrs.field(default=None)
    mode: Mode | None = attrs.field(default=None)
    deadline: float | None = attrs.field(default=None)
    executor: Executor | None = attrs.field(default=None)
    send_keys: bool = False
    ordered: bool = False
    smart: bool = False
    dedupe: bool = False
    collected: bool = False

    @max_concurrency.validator
    def _check(self, _: object, value: int | None) -> None:
        if value is not None and value < 1:
            raise ValueError(f"max_concurrency must be at least 1, not {value}")

    @mode.validator
    def _check_mode(self, _: object, value: object) -> None:
        if value not in (None, "live", "provider"):
            raise ValueError(f'mode must be "live" or "provider", not {value!r}')
        if value == "provider" and self.max_concurrency is not None:
            raise ValueError(
                'max_concurrency is for mode="live"; with mode="provider" the provider decides'
            )

    @deadline.validator
    def _check_deadline(self, _: object, value: float | None) -> None:
        if value is not None and not value > 0:
            raise ValueError(f"deadline must be above 0 seconds, not {value}")

    @executor.validator
    def _check_executor(self, _: object, value: object) -> None:
        if value is None:
            return
        if not callable(getattr(value, "submit", None)):
            kind = type(value).__name__
            raise TypeError(
                f"executor must be a concurrent.futures.Executor, not {kind}"
            )
        if self.mode == "provider":
            raise ValueError(
                'executor is for mode="live": with mode="provider" the provider works'
            )

    def settled(self, target: ResolvedTarget, requests: object) -> BatchOptions:
        """
        Decide the mode, if it was not said: the provider's own for a smart batch that may take as long as that
        may, unless it is tiny.
        """
        terms = target.spec.batch
        if self.mode is not None:
            return self
        provided = (
            self.smart
            and self.deadline is not None
            and self.executor is None
            and not _tiny(requests)
            and terms is not None
            and target.dialect in terms.endpoints
            and self.deadline >= terms.hours * 3600
        )
        return attrs.evolve(self, mode="provider" if provided else "live")


def _tiny(requests: object) -> bool:
    return isinstance(requests, list | tuple) and len(requests) <= _TINY


def plan(
    requests: Iterable[ChatCompletionRequest],
    options: BatchOptions,
    *,
    default: int | None = None,
    recall: Recall | None = None,
) -> Plan:
    """
    Make the plan of a batch.

    Args:
        default: How many run at once when the options do not say; ``None``: 16.

        recall: As the plan's.
    """
    from ai_lib._core.batch.records import content_key

    provided = options.mode == "provider"
    smart = options.smart and not provided
    usual = SMART_CONCURRENCY if smart else DEFAULT_CONCURRENCY
    most = options.max_concurrency or default or usual
    if smart and _tiny(requests):
        most = 1
    return Plan(
        requests=iter(requests),
        limit=most,
        pace=Pace(most=most) if smart else None,
        ordered=options.ordered,
        recall=recall,
        key=content_key if options.dedupe else None,
        collected=options.collected,
        unbounded=provided,
        stage="submitting" if provided else "",
        meter=ProgressMeter(len(requests) if isinstance(requests, Sized) else None),
    )
