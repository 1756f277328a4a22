"""
What a client does, as flows: the same for both packages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import attrs

from ai_lib._core import log
from ai_lib._core.breaker import Change, verdict_of
from ai_lib._core.budget import budget_of
from ai_lib._core.call import Call
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    as_request,
)
from ai_lib._core.dialects import Follow
from ai_lib._core.dialects._hints import rate_limits_of, request_id_of
from ai_lib._core.errors import (
    AiLibError,
    CircuitOpenError,
    ConfigurationError,
    IncompleteStreamError,
    InvalidResponseError,
    ModelNotFoundError,
    NetworkError,
    RateLimitedLocallyError,
)
from ai_lib._core.exchanges import Exchanges
from ai_lib._core.failures import bare
from ai_lib._core.flow import Close, Flow, Sleep, race, read
from ai_lib._core.gate import Passage
from ai_lib._core.hooks import Kind, tell
from ai_lib._core.http import (
    ByteStream,
    HttpRequest,
    HttpResponse,
)
from ai_lib._core.ledger import Attempt
from ai_lib._core.outcome import Opened, Said, StreamEnd, Won
from ai_lib._core.providers import ModelInfo, ResolvedTarget
from ai_lib._core.racing import Race, Runner
from ai_lib._core.record import Record, changed
from ai_lib._core.retry import Spending
from ai_lib._core.routes import Route
from ai_lib._core.routing import latency_of, measured, measuring
from ai_lib._core.secrets import Secret

if TYPE_CHECKING:
    from ai_lib._core.batch.jobs import ProviderRun
    from ai_lib._core.batch.plan import BatchOptions
    from ai_lib._core.batch.provided import Provide
    from ai_lib._core.stream import ChunkDecoder

T = TypeVar("T")

#: What an attempt asks, once it may: (call, route, model, key, facts for the ledger) → result.
Ask = Callable[["Aim", "dict[str, Any]"], Flow[T]]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Aim(Record):
    """
    One attempt's way: under which call, where to, for which model, with which key.
    """

    call: Call
    route: Route
    model: str
    secret: Secret | None = None


class ClientCore(Exchanges):
    """
    The flows of a client's public methods: a call's way through gate, tries, race and failover, and who is told.
    """

    __slots__ = ()

    # One attempt

    def _attempt(
        self,
        call: Call,
        route: Route,
        model: str,
        said: Said,
        ask: Ask[T],
    ) -> Flow[tuple[T, Passage, Attempt]]:
        """
        Do one attempt, and write it down.

        Returns:
            What came of it, its passage through the gate, which is to be ended, and its line of the ledger.
        """
        spec = route.target.spec
        call.provider = spec.id
        facts: dict[str, Any] = {"provider": spec.id, "model": model}
        passage: Passage | None = None
        began: float | None = None
        failure: BaseException | None = None
        try:
            route, secret = yield from self._awake(route)
            passage = yield from self.gate.enter(
                call,
                route.target,
                secret,
                said.request,
                partial(self._tell_breaker, said, call, spec.id, model),
            )
            began = time.monotonic()
            if self.hooks:
                where = urlsplit(route.target.base_url)
                self._tell(
                    "RequestEvent",
                    said,
                    call,
                    spec.id,
                    model,
                    attempt=len(call.attempts) + 1,
                    server_address=where.hostname or "",
                    server_port=where.port,
                    request=said.request,
                )
            aim = Aim(call=call, route=route, model=model, secret=secret)
            result = yield from ask(aim, facts)
        except AiLibError as error:
            failure = bare(error)
        except BaseException as error:
            failure = error
            raise
        finally:
            if failure is not None:
                call.deadlines.end_attempt()
            line = self._noted(call, facts, began, failure)
            log.attempted(line, route, len(call.attempts))
            if passage is not None and failure is not None:
                yield from passage.leave(verdict_of(failure))
        if failure is not None:
            raise failure
        assert passage is not None
        if self.gate.latencies:
            yield from self._measure(route, secret, line.elapsed)
        return result, passage, line

    def _noted(
        self,
        call: Call,
        facts: dict[str, Any],
        began: float | None,
        failure: BaseException | None,
    ) -> Attempt:
        """
        Write an attempt into the ledger.
        """
        if isinstance(failure, AiLibError):
            facts["error"] = f"{type(failure).__name__}: {failure.message}"
            facts["status_code"] = failure.status_code
            facts["request_id"] = failure.request_id
            failure.provider = failure.provider or facts["provider"]
            failure.model = failure.model or facts["model"] or None
            call.failed.append(failure)
        elif failure is not None:
            facts["error"] = type(failure).__name__
        elapsed = 0.0 if began is None else time.monotonic() - began
        waited, call.waited = call.waited, 0.0
        line = Attempt(**facts, waited=waited, elapsed=elapsed)
        call.attempts.append(line)
        return line

    def _measure(
        self, route: Route, secret: Secret | None, seconds: float
    ) -> Flow[None]:
        gate = self.gate
        name = gate.kept(gate.name_of(route.target, secret), "latency")
        now = gate.store.now()
        yield from gate.change(name, lambda seen: measured(seen, now, seconds))

    # Attempts at one target

    def _tries(
        self, call: Call, route: Route, attempt: Callable[[], Flow[T]], said: Said
    ) -> Flow[T]:
        """
        Try until it works, or tenacity or the retry budget says that it is enough.
        """
        budget = budget_of(route.target.provider, route.host)
        first: AiLibError | None = None
        try:
            result = yield from attempt()
        except AiLibError as error:
            if self.retry.attempts == 1 or not self.retry.retries(error):
                if verdict_of(error) != "nothing":
                    budget.save()
                raise
            first = error
        if first is None:
            budget.save()
            return result
        # Only now is tenacity needed; it is told of the first attempt as if it had made it.
        naps: list[float] = []
        spent = Spending(budget, call)
        last = first
        try:
            for again in self.retry.retrying(
                naps.append, room=call.deadlines.room, refused=spent.refused
            ):
                with again:
                    if not naps:
                        raise first
                    last = call.failed[-1]
                    call.waited = nap = naps.pop()
                    self._tell_retry(call, said, route, last, nap)
                    yield Sleep(nap)
                    return (yield from attempt())
        except CircuitOpenError:
            pass  # it opened by what this call has met, which says more
        raise last

    def _tell_retry(
        self, call: Call, said: Said, route: Route, error: AiLibError, wait: float
    ) -> None:
        log.retrying(route.target.provider, error, wait)
        if self.hooks:
            self._tell(
                "RetryEvent",
                said,
                call,
                route.target.provider,
                call.attempts[-1].model,
                attempt=len(call.attempts),
                error=error,
                wait=wait,
            )

    def _hedged(
        self, call: Call, route: Route, said: Said, ask: Ask[T], *, first: bool
    ) -> Flow[Won[T]]:
        """
        Ask one target, and with a hedge another beside it if that is slow.
        """

        def at(route: Route, call: Call) -> Flow[Won[T]]:
            model = ""
            if said.request is not None:
                model = yield from self._model_of(route, said.request.model, call)
            result, passage, line = yield from self._tries(
                call,
                route,
                lambda: self._attempt(call, route, model, said, ask),
                said,
            )
            return Won(result, passage, line, route.target.provider, model)

        hedge = self.hedge
        if hedge is None or not first or said.request is None:
            return (yield from at(route, call))
        other = self.hedge_route or route

        def beside(child: Call) -> Flow[Won[T]]:
            if other.host == route.host:
                child.began_retrying = True
                budget = budget_of(route.target.provider, route.host)
                if not budget.spend():
                    raise RateLimitedLocallyError("The retry budget has no hedge left.")
            return (yield from at(other, child))

        one, two = call.beside(), call.beside()
        winner: Call | None = None
        try:
            won = yield from race(
                Race(
                    runners=(
                        Runner(lambda: at(route, one), one),
                        Runner(lambda: beside(two), two),
                    ),
                    delay=hedge.delay,
                    discard=self._discarded,
                )
            )
            winner = one if won.line in one.attempts else two
            return won
        finally:
            call.adopt((one, two), winner)

    def _discarded(self, won: Won[Any]) -> Flow[None]:
        """
        Throw away what came second.
        """
        source = getattr(won.result, "source", None)
        if source is not None:
            yield Close(source)
        yield from won.passage.leave("worked")

    def _model_of(self, route: Route, requested: str, call: Call) -> Flow[str]:
        if model := self._known_model(route, requested):
            return model
        models = yield from self.list_models(call, route)
        if not models:
            raise ConfigurationError(
                f"{route.target.provider} lists no model: name one with model=."
            )
        self._listed[route.target.base_url] = models[0].id
        return models[0].id

    # The whole call

    def _routed(self, call: Call, said: Said, ask: Ask[T]) -> Flow[Won[T]]:
        """
        Ask one target after the other, until one answers or there is an error that another target would not
        mend.
        """
        order = yield from self._order(said)
        for place, at in enumerate(order):
            route = self.routes[at]
            try:
                won = yield from self._hedged(call, route, said, ask, first=place == 0)
                self.router.answered(at)
                return won
            except AiLibError as error:
                room = call.deadlines.room()
                helps = error.failover or error.is_retryable
                if helps:
                    self.router.failed(at, error)
                late = room is not None and room <= 0
                if not helps or late or place + 1 == len(order):
                    raise
                failure = error
            self._tell_failover(
                call, said, route, self.routes[order[place + 1]], failure
            )
        raise AssertionError  # there is a target

    def _order(self, said: Said) -> Flow[list[int]]:
        request = said.request
        if request is None or len(self.routes) == 1:
            return [0]
        if not self.gate.latencies:
            return self.router.order(request)
        gate, now = self.gate, self.gate.store.now()
        latencies: list[float | None] = []
        names = []
        for route in self.routes:
            secret = route.key.secret if route.key else None
            names.append(gate.kept(gate.name_of(route.target, secret), "latency"))
            found = yield from gate.change(
                names[-1], lambda seen: latency_of(seen, now)
            )
            latencies.append(found)
        order = self.router.order(request, latencies)
        if latencies[order[0]] is None:
            yield from gate.change(names[order[0]], lambda seen: measuring(seen, now))
        return order

    def _tell_breaker(
        self, said: Said, call: Call, provider: str, model: str, state: Change
    ) -> None:
        log.broke(provider, state)
        self._tell("BreakerEvent", said, call, provider, model, state=state)

    def _tell_failover(
        self, call: Call, said: Said, route: Route, goal: Route, error: AiLibError
    ) -> None:
        log.failing_over(route.target.provider, error, goal.target.provider)
        if not self.hooks:
            return
        try:
            model = said.request and self._known_model(goal, said.request.model)
        except ConfigurationError:
            model = ""
        self._tell(
            "FailoverEvent",
            said,
            call,
            route.target.provider,
            error.model or "",
            error=error,
            next_provider=goal.target.provider,
            next_model=model or "",
        )

    def _tell(
        self,
        kind: Kind,
        said: Said,
        call: Call,
        provider: str,
        model: str,
        **facts: Any,
    ) -> None:
        if self.hooks:
            tell(
                self.hooks,
                kind,
                call_id=call.id,
                operation=said.operation,
                stream=said.stream,
                provider=provider,
                model=model,
                **facts,
            )

    def _called(self, call: Call, said: Said, ask: Ask[T]) -> Flow[Won[T]]:
        """
        Make the whole call; an error that leaves it says all that the call knows.
        """
        try:
            return (yield from self._routed(call, said, ask))
        except BaseException as error:
            target = self.route.target
            model = said.request.model if said.request is not None else ""
            if isinstance(error, AiLibError):
                call.stamp(error, provider=target.provider, model=model)
                model = error.model or model
            self._tell(
                "ErrorEvent",
                said,
                call,
                call.provider or target.provider,
                model,
                error=error,
                elapsed=call.deadlines.elapsed,
            )
            raise

    # Public methods

    def chat_completion(
        self, request: ChatCompletionRequest, call: Call
    ) -> Flow[ChatCompletionResponse]:
        """
        Ask for a whole answer.
        """
        said = Said(request=as_request(request))

        def ask(aim: Aim, facts: dict[str, Any]) -> Flow[ChatCompletionResponse]:
            route = aim.route.suited(request, aim.model)
            target = changed(route.target, model=aim.model)
            route = changed(route, target=target)
            encoded = self._encode(route, request, stream=False)
            answer, decoded = yield from self._follow(
                aim.call, route, encoded, aim.secret
            )
            assert isinstance(decoded, ChatCompletionResponse)
            response = _completed(
                decoded,
                target,
                answer,
                encoded.warnings,
                request_id_of(answer.headers),
            )
            facts["status_code"] = answer.status
            facts["request_id"] = response.request_id
            facts["usage"] = response.usage
            return response

        won = yield from self._called(call, said, ask)
        yield from won.passage.leave("worked", won.result.usage)
        response = changed(won.result, attempts=tuple(call.attempts))
        self._tell(
            "ResponseEvent",
            said,
            call,
            won.provider,
            won.model,
            elapsed=call.deadlines.elapsed,
            response=response,
        )
        return response

    def chat_completion_stream(
        self, request: ChatCompletionRequest, call: Call
    ) -> Flow[Opened]:
        """
        Open a stream and read it up to its first chunk.
        """
        said = Said(request=as_request(request), stream=True)

        def ask(aim: Aim, facts: dict[str, Any]) -> Flow[Opened]:
            route, call = aim.route.suited(request, aim.model), aim.call
            choices = request.n or 1
            target = changed(route.target, model=aim.model, choices=choices)
            route = changed(route, target=target)
            encoded = self._encode(route, request, stream=True)
            answer = yield from self._open(call, route, encoded, aim.secret)
            facts["status_code"] = answer.status
            facts["request_id"] = request_id = request_id_of(answer.headers)
            try:
                decoder = self._decoder(
                    route, target, answer, encoded.warnings, request_id
                )
                if answer.stream is None:
                    decoder.feed(answer.body)
                    decoder.feed(b"")
                    decoder.peek()
                    return Opened(None, decoder)
                while decoder.peek() is None:
                    if decoder.ended:
                        raise IncompleteStreamError(
                            f"{target.provider} ended the stream before its first chunk."
                        )
                    yield from self._feed(call, answer.stream, decoder)
            except BaseException:
                if answer.stream is not None:
                    yield Close(answer.stream)
                raise
            return Opened(answer.stream, decoder)

        won = yield from self._called(call, said, ask)
        yield from won.passage.speaks()
        end = StreamEnd(self._tell, said, call, won, call.deadlines.elapsed)
        return changed(won.result, end=end, told=bool(self.hooks))

    def _feed(
        self, call: Call, stream: ByteStream, decoder: ChunkDecoder
    ) -> Flow[None]:
        call.deadlines.resume(progressed=decoder.progressed)
        try:
            data = yield from read(stream)
        except NetworkError as error:
            decoder.cut(error)
        else:
            decoder.feed(data)
        call.deadlines.pause()

    def _decoder(
        self,
        route: Route,
        target: ResolvedTarget,
        answer: HttpResponse,
        warnings: tuple[str, ...],
        request_id: str | None,
    ) -> ChunkDecoder:
        from ai_lib._core.stream import ChunkDecoder  # no whole answer needs it

        def decode_whole(body: bytes) -> ChatCompletionResponse:
            whole = attrs.evolve(answer, body=body, stream=None)
            decoded = route.dialect.decode_response(target, whole)
            if isinstance(decoded, Follow):
                raise InvalidResponseError(
                    f"{target.provider} answered a stream's request with a ticket."
                )
            return decoded

        encoding = answer.headers.get("content-encoding", "")
        if answer.stream is None:
            encoding = ""  # a body that came whole was decompressed already
        return ChunkDecoder(
            parser=route.dialect.chunk_parser(target),
            decode_whole=decode_whole,
            base=_completed(
                ChatCompletionResponse(model=target.model),
                target,
                answer,
                warnings,
                request_id,
            ),
            choices=target.choices,
            content_type=answer.content_type,
            content_encoding=encoding,
            limits=self.limits,
        )

    def list_models(
        self, call: Call, route: Route | None = None
    ) -> Flow[list[ModelInfo]]:
        """
        List the models of the client's own target, or of *route*, every page.
        """
        said = Said(operation="list_models")

        def ask(aim: Aim, facts: dict[str, Any]) -> Flow[list[ModelInfo]]:
            target, call = aim.route.target, aim.call
            dialect = aim.route.dialect
            found: list[ModelInfo] = []
            request: HttpRequest | None = dialect.models_request(target)
            seen: set[str] = set()
            call.deadlines.begin_attempt(stream=False)
            while request is not None and request.url not in seen:
                seen.add(request.url)
                ready = self._ready(aim.route, request, aim.secret)
                answer = yield from self._exchange(call, aim.route, ready)
                facts["status_code"] = answer.status
                page, request = dialect.decode_models(target, answer)
                found += page
            call.deadlines.end_attempt()
            return list({one.id: one for one in found}.values())

        if route is None:
            won = yield from self._called(call, said, ask)
        else:
            won = yield from self._hedged(call, route, said, ask, first=False)
        yield from won.passage.leave("worked")
        if route is None:
            self._tell(
                "ResponseEvent",
                said,
                call,
                won.provider,
                "",
                elapsed=call.deadlines.elapsed,
            )
        return won.result

    def leaving_refusals(self) -> ClientCore:
        """
        Make the same core, but one that leaves refusals for rate or load to who asks: a smart batch slows down
        by them, and asks again itself. It spreads over the targets that are well.
        """
        statuses: Any = self.retry.statuses - {429, 503, 529}
        retry = attrs.evolve(self.retry, statuses=statuses)
        return attrs.evolve(self, retry=retry, router=self.router.spread())

    def ask_in_batch(
        self, options: BatchOptions
    ) -> Callable[[ChatCompletionRequest, Call], Flow[ChatCompletionResponse]]:
        """
        Give what asks one request of a batch.
        """
        core = self.leaving_refusals() if options.smart else self
        return core.chat_completion

    def provide(self) -> Provide:
        """
        Make what has batches worked off by the provider.
        """
        from ai_lib._core.batch.provided import Provide

        return Provide(self.provider_run, self.timeout)

    def provider_run(self, **callbacks: Any) -> ProviderRun:
        """
        Make a batch at the provider's own API.
        """
        from ai_lib._core.batch.apis import Aimed
        from ai_lib._core.batch.jobs import ProviderRun

        def exchange(
            call: Call, request: HttpRequest, stream: bool
        ) -> Flow[HttpResponse]:
            route, secret = yield from self._awake(self.route)
            ready = self._ready(route, request, secret)
            call.deadlines.begin_attempt(stream=stream)
            try:
                return (yield from self._exchange(call, route, ready, stream=stream))
            finally:
                if not stream:
                    call.deadlines.end_attempt()

        def reading(call: Call, stream: ByteStream) -> Flow[bytes]:
            call.deadlines.resume(progressed=True)
            data = yield from read(stream)
            call.deadlines.pause()
            return data

        def aim(request: ChatCompletionRequest) -> Aimed:
            model = self._known_model(self.route, request.model) or ""
            route = self.route.suited(request, model)
            target = attrs.evolve(route.target, model=model)
            return Aimed(target=target, dialect=route.dialect)

        return ProviderRun(
            target=self.route.target,
            aim=aim,
            exchange=exchange,
            reading=reading,
            on_unsupported=self.on_unsupported,
            limits=self.limits,
            **callbacks,
        )

    def get_model_info(self, model: str, call: Call) -> Flow[ModelInfo]:
        """
        Find one model in the list.
        """
        for one in (yield from self.list_models(call)):
            if one.id == model:
                return one
        provider = self.route.target.provider
        raise call.stamp(
            ModelNotFoundError(
                f"{provider} lists no model {model!r}; list_models() tells which there are."
            ),
            provider=provider,
            model=model,
        )


def _completed(
    response: ChatCompletionResponse,
    target: ResolvedTarget,
    answer: HttpResponse,
    warnings: tuple[str, ...],
    request_id: str | None,
) -> ChatCompletionResponse:
    """
    Add what the headers say to what the body said.
    """
    return changed(
        response,
        provider=target.provider,
        request_id=response.request_id or request_id,
        rate_limits=rate_limits_of(answer.headers),
        warnings=(*warnings, *response.warnings),
    )
