"""
Work a batch's plan off with threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.plan import Known, Outcome, Plan, Task, index_of
from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.errors import AiLibError, StreamCancelledError
from ai_lib._core.flow import Flow

if TYPE_CHECKING:
    from ai_lib._core.batch.provided import Provide, ProvidedBatch
    from ai_lib._host.journal import Journal
    from ai_lib._host.progress import Progress

Ask = Callable[[ChatCompletionRequest, Call], Flow[ChatCompletionResponse]]

#: Seconds; how long a batch that is stopped waits for calls that were cancelled.
_PATIENCE = 5.0
#: Seconds; how often the waiting thread looks up, where a signal cannot wake it.
_LOOK_UP = 0.5


class BatchRun:
    """
    A batch under way: an iterator of its items, and a context manager that cancels what still runs.

    Items come as they finish, or in the order of the requests if that was asked for. Requests are taken from
    the iterable only as fast as items leave. Iterate it in one thread; ``cancel`` may come from any.
    """

    __module__ = "ai_lib"  # tracebacks show no underscore

    def __init__(
        self,
        plan: Plan,
        *,
        ask: Ask,
        drive: Callable[[Flow[Any], Call], Any],
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
        self._changed = threading.Condition()
        self._drawing = threading.Lock()
        self._workers = self._busy = 0
        self._started = False
        self._calls: set[Call] = set()
        self._failure: BaseException | None = None
        self._cancelled = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> BatchItem:
        if not self._started:
            self._start()
        with self._changed:
            while (item := self._plan.take()) is None:
                if not self._workers:
                    self._end()
                self._changed.wait(_LOOK_UP)
            self._changed.notify_all()
        return item

    def _start(self) -> None:
        self._started = True
        if self._open_journal is not None:
            self._journal = self._open_journal()
            self._plan.consult(self._journal)
        with self._changed:
            self._add_worker()

    def _end(self) -> None:
        self._wind_up()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        raise StopIteration

    def collect(self) -> list[BatchItem]:
        """
        Run it to its end and give all items in the order of the requests.

        Raises:
            BaseException: What interrupted it, with the finished items as its attribute ``items``.
        """
        items: list[BatchItem] = []
        try:
            items.extend(self)
        except BaseException as error:
            self._stop(error)
            self._wait_for_the_busy()
            error.items = self._plan.finished(items)  # type: ignore[attr-defined]  # promised
            raise
        finally:
            self._wind_up()
        return sorted(items, key=index_of)

    def cancel(self) -> None:
        """
        Begin nothing more, and stop what runs: those items end in a ``StreamCancelledError``. What is finished
        is kept, and still comes. Thread-safe; allowed twice, and after the end.

        With ``mode="provider"`` the provider is asked to end its jobs, and what it has finished by then is
        waited for; a second time that is not.
        """
        again, self._cancelled = self._cancelled, True
        self._stop(None)
        if again and self._provided is not None:
            self._provided.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop(None)
        self._wait_for_the_busy()
        self._wind_up()

    def _wait_for_the_busy(self) -> None:
        """
        Wait until what was under way has come back and stands in the journal; a worker that still waits for
        the caller's iterable is left behind.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, _PATIENCE)

    def _wind_up(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.close(self._plan.progress())

    def _stop(self, reason: BaseException | None) -> None:
        with self._changed:
            self._plan.stopped = True
            self._failure = self._failure or reason
            for call in self._calls:
                call.cancel()
            self._changed.notify_all()

    def _add_worker(self) -> None:
        try:
            threading.Thread(
                target=self._work, daemon=True, name="ai_lib-batch"
            ).start()
        except (
            RuntimeError
        ):  # no more threads are to be had: go on with those there are
            if not self._workers:
                raise
        else:
            self._workers += 1

    def _work(self) -> None:
        try:
            if self._provide is not None:
                self._have_provided(self._provide)
            else:
                while (drawn := self._next()) is not None:
                    self._one(drawn)
        except BaseException as error:  # noqa: BLE001  # raised where items are taken
            self._stop(error)
        finally:
            with self._changed:
                self._workers -= 1
                self._changed.notify_all()

    def _next(self) -> Task | Known | None:
        """
        Wait for something to do; ``None``: the batch is over.
        """
        while self._entered():
            with self._drawing:  # not under the other lock: the iterable may block
                drawn = self._plan.draw()
            with self._changed:
                joined = None if drawn is None else self._plan.join(drawn)
                if joined is not None and not self._plan.stopped:
                    self._busy += 1
                    return joined
                self._plan.leave()
                self._changed.notify_all()
        return None

    def _entered(self) -> bool:
        """
        Wait for a place; ``False``: the batch is over.
        """
        with self._changed:
            while not self._plan.stopped:
                hold = self._plan.wait()
                if hold > 0:
                    self._changed.wait(hold)
                elif self._plan.enter():
                    if self._workers < self._plan.concurrency:
                        self._add_worker()
                    return True
                elif self._plan.over:
                    break
                else:
                    self._changed.wait()
        return False

    def _one(self, drawn: Task | Known) -> None:
        try:
            if isinstance(drawn, Known):
                items, recalled = [drawn.item], drawn.recalled
            else:
                items, recalled = self._asked(drawn), False
            if self._journal is not None and items and not recalled:
                self._journal.append(items)
            with self._changed:
                self._plan.put(items, recalled=recalled)
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
        self._show()

    def _show(self) -> None:
        if self._progress is not None and self._progress.due:
            with self._changed:
                snapshot = self._plan.progress()
            self._progress.tell(snapshot)

    def _have_provided(self, provide: Provide) -> None:
        """
        Have the provider work everything off.
        """
        with self._changed:
            self._busy += 1
        try:
            batch = provide.batch(self._plan, self._changed, self._tell, self._journal)
            self._provided = batch
            call = provide.call()
            try:
                self._follow(batch.work(call), call, stoppable=True)
            except StreamCancelledError:
                cancelled = self._cancelled
                call = provide.call(None if cancelled else _PATIENCE)
                with suppress(StreamCancelledError):
                    self._follow(batch.stop(call, cancelled=cancelled), call)
            except BaseException as error:
                call = provide.call(_PATIENCE)
                self._follow(batch.give_up(call, error), call)
                raise
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _follow(self, flow: Flow[None], call: Call, *, stoppable: bool = False) -> None:
        with self._changed:
            self._calls.add(call)
            if stoppable and self._plan.stopped:
                call.cancel()
        try:
            self._drive(flow, call)
        finally:
            with self._changed:
                self._calls.discard(call)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
        self._show()

    def _asked(self, task: Task) -> list[BatchItem]:
        call = self._begin()
        with self._changed:
            self._calls.add(call)
            if self._plan.stopped:
                call.cancel()
        outcome: Outcome
        try:
            outcome = self._drive(self._ask(task.request, call), call)
        except AiLibError as error:
            outcome = error
        except Exception as error:
            task.blame(error)
            raise
        with self._changed:
            self._calls.discard(call)
            return self._plan.judge(task, outcome)
