"""
Work a batch's plan off with tasks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.plan import Known, Outcome, Plan, Task, index_of
from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.errors import AiLibError, StreamCancelledError
from ai_lib._core.flow import Flow
from ai_lib_async._wait import keep, running_loop, soon, spawn

if TYPE_CHECKING:
    from ai_lib._core.batch.provided import Provide, ProvidedBatch
    from ai_lib._host.journal import Journal
    from ai_lib._host.progress import Progress

Ask = Callable[[ChatCompletionRequest, Call], Flow[ChatCompletionResponse]]

#: Seconds; how long a batch that is left waits for its provider.
_PATIENCE = 5.0


class BatchRun:
    """
    A batch under way: an iterator of its items, and a context manager that cancels what still runs.

    Items come as they finish, or in the order of the requests if that was asked for. Requests are taken from
    the iterable only as fast as items leave. Iterate it in one task; ``cancel`` may come from any thread.
    """

    __module__ = "ai_lib_async"  # tracebacks show no underscore

    def __init__(
        self,
        plan: Plan,
        *,
        ask: Ask,
        drive: Callable[[Flow[Any], Call], Awaitable[Any]],
        begin: Callable[[], Call],
        open_journal: Callable[[], Journal] | None = None,
        progress: Progress | None = None,
        provide: Provide | None = None,
    ) -> None:
        self._plan = plan
        self._ask = ask
        self._drive = drive
        self._begin = begin
        self._open_journal = open_journal
        self._journal: Journal | None = None
        self._progress = progress
        self._provide = provide
        self._provided: ProvidedBatch | None = None
        self._loop: Any = None
        self._changed: anyio.Event
        self._scope: anyio.CancelScope
        self._workers = 0
        self._ended: anyio.Event | None = None
        self._calls: set[Call] = set()
        self._failure: BaseException | None = None
        self._cancelled = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchItem:
        if self._ended is None:
            await self._start()
        while (item := self._plan.take()) is None:
            ended, changed = self._ended, self._changed
            assert ended is not None
            if ended.is_set():
                failure, self._failure = self._failure, None
                if failure is not None:
                    raise failure
                raise StopAsyncIteration
            await changed.wait()
        self._tell()
        return item

    async def _start(self) -> None:
        if self._open_journal is not None:
            self._journal = await anyio.to_thread.run_sync(self._open_journal)
            self._plan.consult(self._journal)
        self._changed, self._scope = anyio.Event(), anyio.CancelScope()
        self._loop, self._ended = running_loop(), anyio.Event()
        spawn(self._loop, self._host)

    async def _host(self) -> None:
        """
        Run the workers, in a task of its own: iterating binds no task group to the caller's scopes.
        """
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    self._add_worker(group)
        finally:
            if self._journal is not None:
                self._journal.close()
            if self._progress is not None:
                self._progress.close(self._plan.progress())
            assert self._ended is not None
            self._ended.set()
            self._tell()

    async def collect(self) -> list[BatchItem]:
        """
        Run it to its end and give all items in the order of the requests.

        Raises:
            BaseException: What interrupted it, with the finished items as its attribute ``items``.
        """
        items: list[BatchItem] = []
        try:
            async for one in self:
                items.append(one)  # noqa: PERF401  # kept when interrupted
        except BaseException as error:
            await self._wind_up()
            error.items = self._plan.finished(items)  # type: ignore[attr-defined]  # promised
            raise
        return sorted(items, key=index_of)

    def cancel(self) -> None:
        """
        Begin nothing more, and stop what runs: those items end in a ``StreamCancelledError``. What is finished
        is kept, and still comes. Thread-safe; allowed twice, and after the end.

        With ``mode="provider"`` the provider is asked to end its jobs, and what it has finished by then is
        waited for; a second time that is not.
        """
        again, self._cancelled = self._cancelled, True
        self._stop()
        if again and self._provided is not None:
            self._provided.cut()

    def _stop(self) -> None:
        self._plan.stopped = True
        for call in tuple(self._calls):
            call.cancel()
        if self._loop is not None:
            soon(self._loop, self._tell)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()
        await self._wind_up()

    async def _wind_up(self) -> None:
        """
        Cancel the workers and wait until they have left.
        """
        self._plan.stopped = True
        if self._ended is not None:
            with anyio.CancelScope(shield=True):
                self._scope.cancel()
                with anyio.move_on_after(_PATIENCE):
                    await self._ended.wait()
                if self._provided is not None:
                    self._provided.cut()
                await self._ended.wait()

    def __del__(self) -> None:
        ended = getattr(self, "_ended", None)
        if ended is not None and not ended.is_set():
            soon(self._loop, self._scope.cancel)

    def _add_worker(self, group: anyio.abc.TaskGroup) -> None:
        self._workers += 1
        group.start_soon(self._work, group)

    async def _work(self, group: anyio.abc.TaskGroup) -> None:
        try:
            if self._provide is not None:
                await self._have_provided(self._provide)
                return
            while (drawn := await self._next(group)) is not None:
                await self._one(drawn)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  # raised where items are taken
            self._failure = self._failure or error
            self._plan.stopped = True
            self._scope.cancel()

    async def _next(self, group: anyio.abc.TaskGroup) -> Task | Known | None:
        """
        Wait for something to do; ``None``: the batch is over.
        """
        while True:
            hold = self._plan.wait()
            changed = self._changed
            if hold > 0 and not self._plan.stopped:
                with anyio.move_on_after(hold):
                    await changed.wait()
            elif self._plan.enter():
                drawn = self._plan.draw()
                drawn = None if drawn is None else self._plan.join(drawn)
                if drawn is not None:
                    if self._workers < self._plan.concurrency:
                        self._add_worker(group)
                    return drawn
                self._plan.leave()
                self._tell()
            elif self._plan.over or self._plan.stopped:
                return None
            else:
                await changed.wait()

    async def _one(self, drawn: Task | Known) -> None:
        if isinstance(drawn, Known):
            items, recalled = [drawn.item], drawn.recalled
        else:
            items, recalled = await self._asked(drawn), False
        if self._journal is not None and items and not recalled:
            await keep(partial(self._journal.append, items))
        self._plan.put(items, recalled=recalled)
        self._tell()
        if recalled:
            await anyio.lowlevel.checkpoint()  # thousands may be recalled in a row

    async def _asked(self, task: Task) -> list[BatchItem]:
        call = self._begin()
        self._calls.add(call)
        if self._plan.stopped:
            call.cancel()
        outcome: Outcome
        try:
            outcome = await self._drive(self._ask(task.request, call), call)
        except AiLibError as error:
            outcome = error
        except Exception as error:
            task.blame(error)
            raise
        finally:
            self._calls.discard(call)
        return self._plan.judge(task, outcome)

    async def _have_provided(self, provide: Provide) -> None:
        """
        Have the provider work everything off.
        """
        batch = provide.batch(self._plan, nullcontext(), self._tell, self._journal)
        self._provided = batch
        call = provide.call()
        try:
            await self._follow(batch.work(call), call, stoppable=True)
        except (StreamCancelledError, anyio.get_cancelled_exc_class()) as error:
            stopped = isinstance(error, StreamCancelledError)
            cancelled = self._cancelled and stopped
            call = provide.call(None if cancelled else _PATIENCE)
            with (
                suppress(StreamCancelledError),
                anyio.CancelScope(shield=not cancelled),
            ):
                await self._follow(batch.stop(call, cancelled=cancelled), call)
            if not stopped:
                raise
        except BaseException as error:
            call = provide.call(_PATIENCE)
            with anyio.CancelScope(shield=True):
                await self._follow(batch.give_up(call, error), call)
            raise

    async def _follow(
        self, flow: Flow[None], call: Call, *, stoppable: bool = False
    ) -> None:
        self._calls.add(call)
        if stoppable and self._plan.stopped:
            call.cancel()
        try:
            await self._drive(flow, call)
        finally:
            self._calls.discard(call)

    def _tell(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
        if self._progress is not None and self._progress.due:
            self._progress.tell(self._plan.progress())
