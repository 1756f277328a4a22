"""
A batch that its provider works off, as flows over a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import attrs

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.apis import NOTE, JobStatus, ProviderJob
from ai_lib._core.batch.jobs import Finished, ProviderRun
from ai_lib._core.batch.plan import Known, Plan, Records, Task
from ai_lib._core.call import Call
from ai_lib._core.errors import AiLibError
from ai_lib._core.flow import Flow, Keep
from ai_lib._core.log import logger
from ai_lib._core.timeouts import Timeout

_LOGGER = logger("batch")


class ProvidedBatch:
    """
    Takes tasks from a plan, has the provider work them off, and puts the items back. Not thread-safe.

    Args:
        plan: The plan.

        make: Makes the provider's run of what it is to call.

        lock: Held while the plan is touched.

        told: Called when there is something new to see.

        records: The journal; ``None``: there is none.
    """

    def __init__(
        self,
        plan: Plan,
        make: Callable[..., ProviderRun],
        lock: AbstractContextManager[Any],
        told: Callable[[], object],
        records: Records | None,
    ) -> None:
        self._plan = plan
        self._lock = lock
        self._told = told
        self._records = records
        self._tasks: dict[int, Task] = {}
        self._states: dict[str, JobStatus] = {}
        self._noted: set[str] = set()
        self._run = make(tell=self._finished, note=self._note, watch=self._watched)
        if records is not None:
            notes = records.notes
            self._run.resume(notes)
            self._noted = {job.note for job in self._run.jobs}
            _warn_of_others(notes.keys() - self._noted)

    def work(self, call: Call) -> Flow[None]:
        """
        Submit what the plan has, and wait for all of it.

        Raises:
            AiLibError: It cannot go on; what is under way is named in a note of the error.
        """
        self._run.asking.call = call
        try:
            while (drawn := self._drawn()) is not None:
                if isinstance(drawn, Known):
                    if drawn.recalled:
                        self._run.names.recalled(drawn.item.request)
                    yield from self._put([drawn.item], recalled=drawn.recalled)
                else:
                    self._tasks[drawn.index] = drawn
                    yield from self._run.add(drawn.index, drawn.request)
            yield from self._run.submit()
            self._plan.stage = "submitted"
            self._told()
            yield from self._run.collect()
        except BaseException as error:
            lost = self._lost()
            if words := self._under_way([j for j in self._run.jobs if j not in lost]):
                error.add_note(words)
            raise

    def give_up(self, call: Call, error: BaseException) -> Flow[None]:
        """
        Have jobs ended that nobody could find again, after ``work`` was ended by *error*; which is told if they go on.
        """
        self._run.asking.call = call
        try:
            yield from self._run.cancel(self._lost())
        except AiLibError as failed:
            error.add_note(f"{self._under_way(self._lost())} {failed}")

    def cut(self) -> None:
        """
        Wait no longer for a job that is being made. Thread-safe.
        """
        making = self._run.asking.making
        if making is not None:
            making.cancel()

    def stop(self, call: Call, *, cancelled: bool) -> Flow[None]:
        """
        Wind up after ``work`` was stopped: what is not finished ends as cancelled.

        Args:
            call: Another one than that which was stopped.

            cancelled: Whether the provider's jobs are to end, and what is finished by then is waited for. Else the
                batch was only left: jobs that a journal finds again go on, others are ended.
        """
        self._run.asking.call = call
        try:
            lost = self._lost()
            yield from self._run.cancel(None if cancelled else lost)
            if cancelled:
                yield from self._run.collect()
            for job in lost if not cancelled else ():
                self._run.jobs.remove(job)
        except AiLibError as error:
            if cancelled:
                raise
            _LOGGER.warning("A batch could not be ended: %s", error)
        finally:
            if words := self._under_way(self._run.jobs):
                _LOGGER.warning("%s", words)
            self._plan.stage = ""
            yield from self._run.drop()

    def _lost(self) -> list[ProviderJob]:
        """
        List the jobs under way that no journal tells of.
        """
        return [job for job in self._run.jobs if job.note not in self._noted]

    def _under_way(self, jobs: list[ProviderJob]) -> str:
        """
        Say which of *jobs* go on without us, and what to do; empty: none.
        """
        if not jobs:
            return ""
        names = ", ".join(job.id for job in jobs[:5])
        more = f" and {len(jobs) - 5} more" if len(jobs) > 5 else ""
        what = (
            "there is no journal to find them by"
            if jobs[0].note not in self._noted
            else "the same batch with the same journal takes them up again"
        )
        return f"Under way at {jobs[0].provider}: {names}{more}; {what}."

    def _drawn(self) -> Task | Known | None:
        """
        Draw what is next; ``None``: there is nothing more.
        """
        while True:
            with self._lock:
                if not self._plan.enter():
                    return None
            drawn = self._plan.draw()  # the iterable may block
            with self._lock:
                joined = None if drawn is None else self._plan.join(drawn)
                if joined is None:
                    self._plan.leave()
            if drawn is None or joined is not None:
                return joined

    def _finished(self, finished: Finished) -> Flow[None]:
        """
        Take what has come of some items.
        """
        with self._lock:
            items = [
                item
                for index, outcome in finished
                for item in self._plan.judge(self._tasks.pop(index), outcome)
            ]
        yield from self._put(items, tasks=len(finished))

    def _put(
        self, items: list[BatchItem], *, recalled: bool = False, tasks: int = 1
    ) -> Flow[None]:
        if self._records is not None and not recalled:
            yield Keep(partial(self._records.append, items))
        with self._lock:
            self._plan.put(items, recalled=recalled, places=tasks)
        self._told()

    def _watched(self, job: ProviderJob, status: JobStatus) -> None:
        """
        Keep what is said of a job, for the progress.
        """
        if status.state == "running":
            self._states[job.id] = status
        else:
            self._states.pop(job.id, None)
        with self._lock:
            self._plan.stage = _stage(self._states.values())
        self._told()

    def _note(self, name: str, value: Any) -> None:
        """
        Keep a job on disk, or take it back, if there is a journal.
        """
        if self._records is not None:
            self._records.note(name, value)
            self._noted.add(name)


@attrs.frozen
class Provide:
    """
    Makes what a shell needs to have a batch worked off by the provider.

    Attributes:
        make: As ``ProvidedBatch`` wants it.

        timeout: The client's: of each exchange, not of the batch.
    """

    make: Callable[..., ProviderRun]
    timeout: Timeout

    def batch(
        self,
        plan: Plan,
        lock: AbstractContextManager[Any],
        told: Callable[[], object],
        records: Records | None,
    ) -> ProvidedBatch:
        """
        Make the batch.
        """
        return ProvidedBatch(plan, self.make, lock, told, records)

    def call(self, total: float | None = None) -> Call:
        """
        Make a call for one of its flows, that may take *total* seconds; ``None``: as long as it takes.
        """
        return Call(attrs.evolve(self.timeout, total=total))


def _stage(running: Iterable[JobStatus]) -> str:
    """
    Say in words how far jobs are: ``in_progress, 120 of 500``.
    """
    found = list(running)
    words = " and ".join(dict.fromkeys(one.word for one in found))
    ended = [(one.done or 0) + (one.failed or 0) for one in found]
    totals = [one.total for one in found if one.total]
    if totals and len(totals) == len(found):
        return f"{words}, {sum(ended):,} of {sum(totals):,}"
    return words


def _warn_of_others(names: Iterable[str]) -> None:
    """
    Warn when a batch passes over work under way that a journal notes under *names*: it is elsewhere.
    """
    if found := [name.removeprefix(NOTE) for name in names if name.startswith(NOTE)]:
        _LOGGER.warning(
            "The journal tells of work under way at another provider or base URL (%s), where a batch takes"
            " it up; this one asks, and pays, anew.",
            ", ".join(found[:5]),
        )


def warn_of_jobs(notes: Mapping[str, Any]) -> None:
    """
    Warn when a batch asks anew for what providers work on already, as a journal notes.
    """
    if found := [name.removeprefix(NOTE) for name in notes if name.startswith(NOTE)]:
        _LOGGER.warning(
            "The journal tells of work under way at a provider (%s): only mode="
            '"provider" takes it up; this batch asks, and pays, anew.',
            ", ".join(found[:5]),
        )
