"""
Requests through a provider's own batch API: submitted, waited for, fetched, as flows.

Used in this order: ``resume`` with what the journal noted of an earlier run, ``add`` for each request, ``submit``, and
``collect``, which tells of each item once, in the order in which results come. When that was interrupted, ``cancel`` may
run, and ``collect`` again, which then brings what was finished; ``drop`` ends what is left. Each flow runs under the
call that ``asking.call`` is then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import attrs

from ai_lib._core.batch.apis import (
    Aimed,
    BatchApi,
    JobInput,
    JobStatus,
    ProviderJob,
    Result,
    batch_api_named,
    cancel_request,
    decode_status,
    jobs_in,
    mark_of,
    status_request,
)
from ai_lib._core.batch.asking import Asking, Polling
from ai_lib._core.batch.names import Names
from ai_lib._core.batch.results import Lines, refused, unanswered
from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.dialects import OnUnsupported
from ai_lib._core.dialects._hints import request_id_of
from ai_lib._core.dialects._shared import Adjustments, decode_json
from ai_lib._core.errors import (
    AiLibError,
    ApiError,
    InvalidRequestError,
    InvalidResponseError,
    NetworkError,
    NotFoundError,
    ResponseTooLargeError,
    UnsupportedFeatureError,
)
from ai_lib._core.failures import bare
from ai_lib._core.flow import Close, Flow, Keep, Sleep
from ai_lib._core.http import (
    DEFAULT_LIMITS,
    ByteStream,
    HttpRequest,
    HttpResponse,
    SizeLimits,
)
from ai_lib._core.inflate import Inflater
from ai_lib._core.providers import BatchTerms, ResolvedTarget

Outcome = ChatCompletionResponse | AiLibError
#: Indices of items, and what came of them.
Finished = list[tuple[int, Outcome]]

#: A job's input is made in memory, so it is kept below this, whatever the provider takes.
_MOST_BYTES = 100_000_000
#: What can be made of an error of one item or one job; anything else ends the batch.
_TOLD = (ApiError, NetworkError, InvalidResponseError, UnsupportedFeatureError)


@attrs.frozen
class _Entry:
    """
    An item that is under way.
    """

    index: int
    aimed: Aimed
    warnings: tuple[str, ...]


@attrs.define(kw_only=True)
class _Open:
    """
    A job that is still being filled.
    """

    target: ResolvedTarget
    headers: dict[str, str]
    entries: list[bytes] = attrs.field(factory=list)
    ids: list[str] = attrs.field(factory=list)
    size: int = 0


@attrs.define(kw_only=True, repr=False)
class ProviderRun:
    """
    A batch at a provider's own batch API. Not thread-safe.

    Attributes:
        target: Where it goes.

        aim: Tells for a request its target and dialect, its model named; may raise an ``AiLibError``, which
            becomes the item's.

        exchange: Sends one request; an error status is raised as what it means.

        tell: Takes what has finished, each item once; a flow.

        note: Keeps a job on disk under a name before anything else is done; ``None`` takes it back, once
            all of its items were told of. May block.

        watch: Is told how far a job is, each time that it was asked.

        on_unsupported: As the client's.

        polling: How often it is asked.

        limits: Of sizes.

        reading: Reads from an open body.

        asking: By what it is asked; has the call that its flows run under.

        names: What its requests are called.

        jobs: Those under way.
    """

    target: ResolvedTarget
    aim: Callable[[ChatCompletionRequest], Aimed]
    exchange: Callable[[Call, HttpRequest, bool], Flow[HttpResponse]]
    tell: Callable[[Finished], Flow[None]]
    note: Callable[[str, Any], object] = lambda _name, _value: None
    watch: Callable[[ProviderJob, JobStatus], object] = lambda _job, _status: None
    on_unsupported: OnUnsupported = "warn"
    polling: Polling = attrs.field(factory=Polling)
    limits: SizeLimits = DEFAULT_LIMITS
    reading: Callable[[Call, ByteStream], Flow[bytes]]
    asking: Asking = attrs.field(init=False)
    names: Names = attrs.field(factory=Names, init=False)
    jobs: list[ProviderJob] = attrs.field(factory=list, init=False)
    _terms: BatchTerms = attrs.field(init=False)
    _api: BatchApi = attrs.field(init=False)
    _entries: dict[str, _Entry] = attrs.field(factory=dict, init=False)
    _finished: Finished = attrs.field(factory=list, init=False)
    _filling: dict[tuple[str, ...], _Open] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        terms = self.target.spec.batch
        if terms is None:
            raise UnsupportedFeatureError(
                f"{self.target.provider} has no batch API that is known here:"
                ' ask with mode="live".',
                provider=self.target.provider,
            )
        self._terms, self._api = terms, batch_api_named(terms.api)
        self.asking = Asking(exchange=self.exchange, polling=self.polling)

    # In

    def resume(self, notes: Mapping[str, Any]) -> None:
        """
        Take up the jobs of an earlier run, of which these *notes* tell by name.
        """
        self.jobs = jobs_in(notes, self.target)
        for job in self.jobs:
            self.names.hold(job.marks)

    def add(self, index: int, request: ChatCompletionRequest) -> Flow[None]:
        """
        Put a request into a job, if none of an earlier run holds it; one that is full is submitted.
        """
        try:
            custom_id = self.names.name(request)
            aimed, encoded = self._encode(request)
        except AiLibError as error:
            yield from self.tell([(index, bare(error))])
            return
        self._entries[custom_id] = _Entry(index, aimed, encoded.warnings)
        if self.names.held(custom_id):
            return
        endpoint = self._terms.endpoints[aimed.target.dialect]
        entry = self._api.encode_entry(custom_id, encoded.body or b"", endpoint)
        group, opened = self._group(aimed, encoded)
        if self._full(opened, entry):
            self._filling[group] = _Open(target=opened.target, headers=opened.headers)
            yield from self._submit(opened)
            opened = self._filling[group]
        opened.entries.append(entry)
        opened.ids.append(custom_id)
        opened.size += len(entry) + 1

    def submit(self) -> Flow[None]:
        """
        Submit what was added; a job is noted before the next is made.
        """
        while self._filling:
            opened = self._filling.pop(next(iter(self._filling)))
            yield from self._submit(opened)

    def _encode(self, request: ChatCompletionRequest) -> tuple[Aimed, HttpRequest]:
        """
        Have the dialect write a request as if it went alone.
        """
        aimed = self.aim(request)
        target = aimed.target
        if target.dialect not in self._terms.endpoints:
            taken = ", ".join(self._terms.endpoints)
            raise UnsupportedFeatureError(
                f"{target.provider} takes batches in {taken}, not in {target.dialect}.",
                provider=target.provider,
                model=target.model or None,
            )
        encoded = aimed.dialect.encode_request(
            target, request, stream=False, on_unsupported=self.on_unsupported
        )
        fit = Adjustments(target.provider, self.on_unsupported)
        if request.extra_headers:
            fit.leave_out("extra_headers", why="in a batch")
        warnings = (*encoded.warnings, *fit.warnings)
        return aimed, attrs.evolve(encoded, warnings=warnings)

    def _group(
        self, aimed: Aimed, encoded: HttpRequest
    ) -> tuple[tuple[str, ...], _Open]:
        """
        Find the job for a request: of one endpoint, one model and the same headers.
        """
        headers = {
            name.lower(): value
            for name, value in encoded.headers.items()
            if name.lower() not in ("content-type", "accept")
        }
        model = aimed.target.model if self._terms.one_model else ""
        words = (text for pair in sorted(headers.items()) for text in pair)
        group = (aimed.target.dialect, model, *words)
        if group not in self._filling:
            target = attrs.evolve(aimed.target, model=model)
            self._filling[group] = _Open(target=target, headers=headers)
        return group, self._filling[group]

    def _full(self, opened: _Open, entry: bytes) -> bool:
        terms = self._terms
        most = min(terms.max_bytes, _MOST_BYTES)
        many = len(opened.entries) >= terms.max_requests
        return bool(opened.entries) and (many or opened.size + len(entry) + 1 > most)

    def _submit(self, opened: _Open) -> Flow[None]:
        """
        Make a job; what it is refused for is what its items end in.
        """
        made = JobInput(
            target=opened.target,
            terms=self._terms,
            headers=opened.headers,
            entries=opened.entries,
            size=opened.size,
        )
        try:
            job_id = yield from self._api.submit(
                self.asking.once, self.asking.again, made
            )
        except _TOLD as error:
            for custom_id in opened.ids:
                self._end(custom_id, deepcopy(bare(error)))
            yield from self._flush()
            return
        job = ProviderJob(
            provider=self.target.provider,
            base_url=self.target.base_url,
            id=job_id,
            inline=made.inline,
            marks=tuple(map(mark_of, opened.ids)),
        )
        self.jobs.append(job)
        yield Keep(partial(self.note, job.note, job.to_json()))

    # Out

    def collect(self) -> Flow[None]:
        """
        Wait until every job is over, and tell of every item.

        A question that fails and may work later is asked again, without end: the job goes on meanwhile. A job of an
        earlier run that holds nothing of this one is asked after once, and stays noted if it is not over.

        Raises:
            AiLibError: It cannot work; the jobs stay noted.
        """
        held = {mark_of(custom_id) for custom_id in self._entries}
        others = [job for job in self.jobs if held.isdisjoint(job.marks)]
        waits = self.polling.waits()
        unreadable = 0
        missed: dict[str, int] = {}
        while self.jobs:
            asked_to_wait = 0.0
            for job in tuple(self.jobs):
                try:
                    status = yield from self._ask(job)
                except NotFoundError as error:
                    times = missed[job.id] = missed.get(job.id, 0) + 1
                    if times > self.polling.attempts:
                        yield from self._close(job, bare(error))
                        continue
                    asked_to_wait = max(asked_to_wait, self.polling.until_found(times))
                    continue
                except InvalidResponseError:
                    unreadable += 1
                    if unreadable > self.polling.attempts:
                        raise
                    continue
                except AiLibError as error:
                    if not error.is_retryable:
                        raise
                    asked_to_wait = max(asked_to_wait, error.retry_after or 0.0)
                    continue
                unreadable = 0
                missed.pop(job.id, None)
                if job not in others:
                    self.watch(job, status)
                if status.state != "running":
                    yield from self._deliver(job, status)
            self.jobs = [j for j in self.jobs if j not in others or j.id in missed]
            if self.jobs:
                yield Sleep(max(next(waits), asked_to_wait))

    def cancel(self, jobs: Iterable[ProviderJob] | None = None) -> Flow[None]:
        """
        Ask that *jobs*, by default all, end early; ``collect`` brings what was finished.

        Raises:
            AiLibError: The first that could not be asked; the others were.
        """
        failed: AiLibError | None = None
        for job in self.jobs if jobs is None else jobs:
            try:
                request = cancel_request(self._api, self.target, job)
                yield from self.asking.found(request, False)
            except (InvalidRequestError, NotFoundError):
                pass  # it is over already
            except _TOLD as error:
                if error.status_code != 409:
                    failed = failed or error
        if failed is not None:
            raise failed

    def drop(self) -> Flow[None]:
        """
        End what nothing is known of as cancelled; jobs that are under way stay noted.
        """
        for custom_id in tuple(self._entries):
            self._end(custom_id, unanswered(self.target, "cancelled"))
        yield from self._flush()

    def _ask(self, job: ProviderJob) -> Flow[JobStatus]:
        request = status_request(self._api, self.target, job)
        response = yield from self.asking.plainly(request, False)
        return decode_status(self._api, self.target, job, response)

    def _deliver(self, job: ProviderJob, status: JobStatus) -> Flow[None]:
        """
        Tell of every item of a job that is over.
        """
        self.names.spare = False
        for entry in status.entries:
            self._take(entry)
        yield from self._flush()
        gone: AiLibError | None = None
        for source in status.sources:
            try:
                oversize = yield from self._fetch(source)
            except (NotFoundError, ResponseTooLargeError) as error:
                gone = bare(error)
                continue
            if oversize:
                gone = ResponseTooLargeError(
                    f"{self.target.provider} gave {oversize} results that are larger than"
                    f" {self.limits.event:,} bytes.",
                    provider=self.target.provider,
                )
        yield from self._close(job, gone, status)

    def _fetch(self, source: HttpRequest) -> Flow[int]:
        """
        Read a file of results line by line; one that breaks off is read again, told items passed over.

        Returns:
            How many lines were too long to be read.
        """
        headers = {**source.headers, "accept-encoding": "identity"}
        request = attrs.evolve(source, headers=headers)
        failures = 0
        waits = self.polling.waits(self.polling.after_failure)
        while True:
            left = len(self._entries)
            try:
                return (yield from self._read_lines(request))
            except AiLibError as error:
                failures = 1 if len(self._entries) < left else failures + 1
                most, wait = self.polling.attempts, next(waits)
                if isinstance(error, NotFoundError):
                    most, wait = most + 1, self.polling.until_found(failures)
                elif not error.is_retryable:
                    raise
                if failures >= most:
                    raise
                yield Sleep(max(wait, error.retry_after or 0.0))

    def _read_lines(self, request: HttpRequest) -> Flow[int]:
        response = yield from self.asking.plainly(request, True)
        lines = Lines(self.limits.event)
        if response.stream is None:
            self._take_lines(lines.feed(response.body))
        else:
            inflater = Inflater(response.headers.get("content-encoding", ""))
            try:
                while data := (
                    yield from self.reading(self.asking.call, response.stream)
                ):
                    self._take_lines(lines.feed(inflater.feed(data)))
                    while inflater.pending:
                        self._take_lines(lines.feed(inflater.feed(b"")))
                    yield from self._flush()
            except BaseException:
                yield Close(response.stream)
                raise
            yield Close(response.stream)
        self._take_lines(lines.close())
        yield from self._flush()
        return lines.oversize

    def _take_lines(self, lines: list[bytes]) -> None:
        for line in lines:
            try:
                entry = decode_json(line)
            except ValueError:
                continue  # whose it is cannot be told: the item ends as not mentioned
            self._take(entry)

    def _take(self, entry: Any) -> None:
        """
        Tell of the item that one result is about, if it was not told of.
        """
        result = self._api.decode_result(entry)
        if result is None:
            return
        if result.custom_id not in self._entries:
            self.names.pass_over(result)
            return
        self._end(
            result.custom_id, self._outcome(self._entries[result.custom_id], result)
        )

    def _outcome(self, entry: _Entry, result: Result) -> Outcome:
        """
        Have the dialect read an answer as if it had come alone.
        """
        target = entry.aimed.target
        answer = result.outcome
        if not isinstance(answer, HttpResponse):
            return unanswered(target, answer)
        try:
            if answer.status >= 400:
                return bare(entry.aimed.dialect.decode_error(target, answer))
            decoded = entry.aimed.dialect.decode_response(target, answer)
        except AiLibError as error:
            return bare(error)
        if not isinstance(decoded, ChatCompletionResponse):
            return InvalidResponseError(
                f"{target.provider} put a ticket among the results of a batch.",
                provider=target.provider,
            )
        return attrs.evolve(
            decoded,
            provider=target.provider,
            request_id=decoded.request_id or request_id_of(answer.headers),
            warnings=(*entry.warnings, *decoded.warnings),
        )

    def _close(
        self,
        job: ProviderJob,
        error: AiLibError | None,
        status: JobStatus | None = None,
    ) -> Flow[None]:
        """
        Tell of what a job says nothing of, and forget it; one that holds answers which nobody asked for this time
        stays noted.
        """
        places = {mark: place for place, mark in enumerate(job.marks, 1)}
        for custom_id in tuple(self._entries):
            place = places.get(mark_of(custom_id))
            if place is not None:
                outcome = deepcopy(error) if error else None
                self._end(custom_id, outcome or self._silent(job, status, place))
        yield from self._flush()
        self.jobs.remove(job)
        if status is None or not self.names.spare:
            yield Keep(partial(self.note, job.note, None))

    def _silent(
        self, job: ProviderJob, status: JobStatus | None, place: int
    ) -> AiLibError:
        """
        Say why an item has no result.
        """
        target = self.target
        if status is not None and status.state == "failed":
            return refused(target, job, status.problems, place)
        if status is not None and status.state in ("expired", "cancelled"):
            return unanswered(target, status.state)
        return InvalidResponseError(
            f"{target.provider} says nothing of this request in the results of batch"
            f" {job.id}.",
            provider=target.provider,
        )

    def _end(self, custom_id: str, outcome: Outcome) -> None:
        entry = self._entries.pop(custom_id)
        if isinstance(outcome, AiLibError) and outcome.model is None:
            outcome.model = entry.aimed.target.model or None
        self._finished.append((entry.index, outcome))

    def _flush(self) -> Flow[None]:
        """
        Tell of what has ended since.
        """
        if self._finished:
            finished, self._finished = self._finished, []
            yield from self.tell(finished)
