"""
Work a batch's plan off with threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.plan import Plan
from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.errors import AiLibError

Ask = Callable[[ChatCompletionRequest, Call], ChatCompletionResponse]
Taken = tuple[int, ChatCompletionRequest]

#: Seconds; how often the waiting thread looks up, where a signal cannot wake it.
_LOOK_UP = 0.5


class BatchRun:
    """
    The threads of one batch, and what they share.

    Args:
        plan: What runs when.

        ask: Does one request.

        begin: Makes its call.
    """

    def __init__(self, plan: Plan, ask: Ask, begin: Callable[[], Call]) -> None:
        self._plan = plan
        self._ask = ask
        self._begin = begin
        self._changed = threading.Condition()
        self._drawing = threading.Lock()
        self._workers = 0
        self._calls: set[Call] = set()
        self._failure: BaseException | None = None
        self._hold_until = 0.0

    def run(self) -> list[BatchItem]:
        """
        Run it to its end.

        Raises:
            BaseException: What interrupted it, with the finished items as ``items``.
        """
        try:
            with self._changed:
                self._add_worker()
                while self._workers:
                    self._changed.wait(_LOOK_UP)
            if self._failure is not None:
                raise self._failure
        except BaseException as error:
            self._stop(error)
            error.items = self._plan.items()  # type: ignore[attr-defined]  # promised
            raise
        return self._plan.items()

    def _stop(self, reason: BaseException) -> None:
        with self._changed:
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
            while (taken := self._next()) is not None:
                self._one(*taken)
        except BaseException as error:  # noqa: BLE001  # raised by ``run``
            self._stop(error)
        finally:
            with self._changed:
                self._workers -= 1
                self._changed.notify_all()

    def _next(self) -> Taken | None:
        """
        Wait for something to do; ``None``: the batch is over.
        """
        while self._entered():
            with self._drawing:  # not under the other lock: the iterable may block
                taken = self._plan.draw()
            if taken is not None:
                return taken
            with self._changed:
                self._plan.leave()
                self._changed.notify_all()
        return None

    def _entered(self) -> bool:
        """
        Wait for a place; ``False``: the batch is over.
        """
        with self._changed:
            while self._failure is None:
                hold = self._hold_until - time.monotonic()
                if hold > 0:
                    self._changed.wait(hold)
                elif self._plan.enter():
                    if self._workers < self._plan.limit:
                        self._add_worker()
                    return True
                elif self._plan.over:
                    break
                else:
                    self._changed.wait()
        return False

    def _one(self, index: int, request: ChatCompletionRequest) -> None:
        call = self._begin()
        with self._changed:
            self._calls.add(call)
        outcome: ChatCompletionResponse | AiLibError
        try:
            outcome = self._ask(request, call)
        except AiLibError as error:
            outcome = error
        with self._changed:
            self._calls.discard(call)
            if self._failure is None:
                nap = self._plan.done(index, request, outcome)
                self._hold_until = max(self._hold_until, time.monotonic() + nap)
            self._changed.notify_all()
