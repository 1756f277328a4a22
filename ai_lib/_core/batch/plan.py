"""
What a batch runs next, and how many at once. It decides; the shells wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import attrs

from ai_lib._core.batch import BatchItem
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.errors import AiLibError, OverloadedError, RateLimitError

#: How many run at once when nobody says.
DEFAULT_CONCURRENCY = 16
#: How many a smart batch starts with.
_CAREFUL = 4
#: Seconds; a provider that asks for more is not waited for.
_LONGEST_WAIT = 60.0
#: How often an item that was refused for the rate of requests gets another turn.
_TURNS = 3


@attrs.define(kw_only=True)
class Plan:
    """
    Hands out requests in order, and takes their results. Not thread-safe, but for ``draw``: the shell
    holds its lock.

    Attributes:
        requests: Taken one by one, only when there is room for one more.

        limit: How many may run at once now.

        most: How many may ever.

        adaptive: Whether *limit* moves: up by one for each *limit* answers, down to half when
            the provider refuses for the rate of requests or its load.

        finished: The items that are done, by index.
    """

    requests: Iterator[ChatCompletionRequest]
    limit: int
    most: int
    adaptive: bool = False
    finished: dict[int, BatchItem] = attrs.field(factory=dict)
    running: int = 0
    _next: int = 0
    _again: deque[tuple[int, ChatCompletionRequest]] = attrs.field(factory=deque)
    _turns: dict[int, int] = attrs.field(factory=dict)
    _answered: int = 0
    _exhausted: bool = False

    def enter(self) -> bool:
        """
        Take a place for one more, if there is one; ``draw`` tells what for.
        """
        if self.running >= self.limit or (self._exhausted and not self._again):
            return False
        self.running += 1
        return True

    def draw(self) -> tuple[int, ChatCompletionRequest] | None:
        """
        Give what runs in a place that was taken; ``None``: there is nothing more, so ``leave`` it.

        Blocks as long as the caller's iterable does. One at a time, but beside the other methods.
        """
        if self._again:
            return self._again.popleft()
        for request in self.requests:
            index, self._next = self._next, self._next + 1
            return index, request
        self._exhausted = True
        return None

    def leave(self) -> None:
        """
        Give a place back that there is nothing for.
        """
        self.running -= 1

    @property
    def over(self) -> bool:
        """
        Whether everything has been handed out and come back.
        """
        return self._exhausted and not self._again and not self.running

    def done(
        self,
        index: int,
        request: ChatCompletionRequest,
        outcome: ChatCompletionResponse | AiLibError,
    ) -> float:
        """
        Take a result; returns how many seconds to wait before anything else is begun.
        """
        self.running -= 1
        if (
            self.adaptive
            and isinstance(outcome, RateLimitError | OverloadedError)
            and outcome.is_retryable
        ):
            self.limit, self._answered = max(1, self.limit // 2), 0
            self._turns[index] = self._turns.get(index, 0) + 1
            wait = outcome.retry_after or 1.0
            if self._turns[index] <= _TURNS and wait <= _LONGEST_WAIT:
                self._again.append((index, request))
                return wait
        self._keep(index, request, outcome)
        return 0.0

    def _keep(
        self,
        index: int,
        request: ChatCompletionRequest,
        outcome: ChatCompletionResponse | AiLibError,
    ) -> None:
        error = outcome if isinstance(outcome, AiLibError) else None
        response = None if isinstance(outcome, AiLibError) else outcome
        self.finished[index] = BatchItem(
            index=index, request=request, response=response, error=error
        )
        if self.adaptive and error is None:
            self._answered += 1
            if self._answered >= self.limit:
                self.limit, self._answered = min(self.limit + 1, self.most), 0

    def items(self) -> list[BatchItem]:
        """
        List what is finished, in the order of the requests.
        """
        return [self.finished[index] for index in sorted(self.finished)]


def plan(
    requests: Iterable[ChatCompletionRequest],
    *,
    max_concurrency: int | None,
    adaptive: bool = False,
) -> Plan:
    """
    Make the plan of a batch.

    Raises:
        ValueError: *max_concurrency* is below one.
    """
    most = DEFAULT_CONCURRENCY if max_concurrency is None else max_concurrency
    if most < 1:
        raise ValueError(f"max_concurrency must be at least 1, not {most}")
    limit = min(_CAREFUL, most) if adaptive else most
    return Plan(requests=iter(requests), limit=limit, most=most, adaptive=adaptive)
