"""
Work a batch's plan off with tasks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.plan import Plan
from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.errors import AiLibError

Ask = Callable[[ChatCompletionRequest, Call], Awaitable[ChatCompletionResponse]]
Taken = tuple[int, ChatCompletionRequest]


class BatchRun:
    """
    The tasks of one batch, and what they share.

    Args:
        plan: What runs when.

        ask: Does one request.

        begin: Makes its call.
    """

    def __init__(self, plan: Plan, ask: Ask, begin: Callable[[], Call]) -> None:
        self._plan = plan
        self._ask = ask
        self._begin = begin
        self._changed = anyio.Event()
        self._workers = 0
        self._failure: BaseException | None = None
        self._hold_until = 0.0

    async def run(self) -> list[BatchItem]:
        """
        Run it to its end.

        Raises:
            BaseException: What interrupted it, with the finished items as ``items``.
        """
        try:
            async with anyio.create_task_group() as group:
                self._add_worker(group)
            if self._failure is not None:
                raise self._failure
        except BaseException as error:
            error.items = self._plan.items()  # type: ignore[attr-defined]  # promised
            raise
        return self._plan.items()

    def _add_worker(self, group: anyio.abc.TaskGroup) -> None:
        self._workers += 1
        group.start_soon(self._work, group)

    async def _work(self, group: anyio.abc.TaskGroup) -> None:
        try:
            while (taken := await self._next(group)) is not None:
                await self._one(*taken)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  # raised by ``run``, in no group
            self._failure = self._failure or error
            group.cancel_scope.cancel()

    async def _next(self, group: anyio.abc.TaskGroup) -> Taken | None:
        """
        Wait for something to do; ``None``: the batch is over.
        """
        while True:
            hold = self._hold_until - anyio.current_time()
            if hold > 0:
                await anyio.sleep(hold)
            elif self._plan.enter():
                if (taken := self._plan.draw()) is not None:
                    if self._workers < self._plan.limit:
                        self._add_worker(group)
                    return taken
                self._plan.leave()
                self._tell()
            elif self._plan.over:
                return None
            else:
                await self._changed.wait()

    async def _one(self, index: int, request: ChatCompletionRequest) -> None:
        call = self._begin()
        outcome: ChatCompletionResponse | AiLibError
        try:
            outcome = await self._ask(request, call)
        except AiLibError as error:
            outcome = error
        nap = self._plan.done(index, request, outcome)
        self._hold_until = max(self._hold_until, anyio.current_time() + nap)
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
