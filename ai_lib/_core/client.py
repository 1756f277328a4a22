"""
What a client does, as flows: the same for both packages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
from ai_lib._core.dialects import Follow, OnUnsupported
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
from ai_lib._core.failures import bare
from ai_lib._core.flow import Close, Flow, Sleep, race, read, run, send
from ai_lib._core.gate import Gate, Passage
from ai_lib._core.hooks import Hook, Kind, tell
from ai_lib._core.http import (
    DEFAULT_LIMITS,
    ByteStream,
    HttpRequest,
    HttpResponse,
    Signature,
    SizeLimits,
)
from ai_lib._core.inflate import inflate
from ai_lib._core.ledger import Attempt
from ai_lib._core.network import (
    NetworkSettings,
    resolve_network,
    timeout_from_environment,
)
from ai_lib._core.outcome import Opened, Said, StreamEnd, Won
from ai_lib._core.providers import ModelInfo, Origin, ResolvedTarget
from ai_lib._core.racing import Hedge, Race, Runner
from ai_lib._core.record import Record
from ai_lib._core.registry import KeySource
from ai_lib._core.retry import RetryPolicy, Spending
from ai_lib._core.routes import Route, redirected, route_of
from ai_lib._core.routing import Router, latency_of, measured, measuring
from ai_lib._core.secrets import Secret
from ai_lib._core.settings import Settings
from ai_lib._core.timeouts import Timeout
from ai_lib._core.version import __version__

if TYPE_CHECKING:
    from ai_lib._core.batch.jobs import ProviderRun
    from ai_lib._core.batch.plan import BatchOptions
    from ai_lib._core.batch.provided import Provide
    from ai_lib._core.stream import ChunkDecoder

T = TypeVar("T")

#: What an attempt asks, once it may: (call, route, model, key, facts for the ledger) → result.
Ask = Callable[["Aim", "dict[str, Any]"], Flow[T]]

#: A redirect may be followed to the same origin this often.
_REDIRECTS = 3
#: A connection that turns out to be dead is replaced this often before it counts.
_REPLACEMENTS = 3
#: Follow-ups of one answer; a provider that is polled answers long before.
_FOLLOW_UPS = 10_000


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Aim(Record):
    """
    One attempt's way: under which call, where to, for which model, with which key.
    """

    call: Call
    route: Route
    model: str
    secret: Secret | None = None


@attrs.define(kw_only=True, eq=False, repr=False)
class ClientCore:
    """
    The settings of a client, and the flows of its public methods.

    Frozen in all but the models that servers listed first, so that threads may share it.
    """

    routes: tuple[Route, ...]
    router: Router
    gate: Gate = attrs.field(factory=Gate)
    hedge: Hedge | None = None
    hedge_route: Route | None = None
    hooks: tuple[Hook, ...] = ()
    timeout: Timeout = attrs.field(factory=Timeout)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    on_unsupported: OnUnsupported = "warn"
    headers: Mapping[str, str] = attrs.field(factory=dict)
    limits: SizeLimits = DEFAULT_LIMITS
    max_concurrency: int | None = None
    network: NetworkSettings
    sign: Callable[[HttpRequest], HttpRequest]
    _listed: dict[str, str] = attrs.field(factory=dict)

    @classmethod
    def configured(
        cls,
        settings: Settings,
        *,
        serve: Callable[[str | None], Origin],
        sign: Callable[[HttpRequest], HttpRequest],
    ) -> ClientCore:
        """
        Look up everything that *settings* leave to the environment and the catalogue.

        Args:
            settings: What the caller said.

            serve: Starts the embedded server for a model file, or the default model, if it does not run, and says
                where it listens.

            sign: Signs a request that has a ``Signature``, with the credentials of this machine.
        """
        own = settings.own_target
        routes = (
            route_of(own, serve),
            *(route_of(one, serve, fixed=True) for one in settings.failover),
        )
        hedge = settings.hedge
        aside = None if hedge is None or hedge.target is None else hedge.target
        timeout = settings.timeout
        launches = routes[0].launch is not None
        return cls(
            routes=routes,
            router=Router(targets=(own, *settings.failover), routing=settings.routing),
            gate=settings.gate(),
            hedge=hedge,
            hedge_route=None if aside is None else route_of(aside, serve, fixed=True),
            hooks=settings.hooks,
            max_concurrency=settings.max_concurrency,
            sign=sign,
            timeout=Timeout.of(
                timeout_from_environment() if timeout is None else timeout
            ),
            retry=settings.policy(),
            on_unsupported=settings.on_unsupported,
            headers=settings.default_headers,
            limits=settings.size_limits or DEFAULT_LIMITS,
            network=resolve_network(
                proxy=None if launches else settings.proxy,
                disable_proxy=settings.disable_proxy or launches,
                ca_bundle=settings.ca_bundle,
            ),
        )

    def leaving_refusals(self) -> ClientCore:
        """
        Make the same core, but one that leaves refusals for rate or load to who asks: a smart batch slows down
        by them, and asks again itself.
        """
        statuses: Any = self.retry.statuses - {429, 503, 529}
        return attrs.evolve(self, retry=attrs.evolve(self.retry, statuses=statuses))

    def ask_in_batch(
        self, options: BatchOptions
    ) -> Callable[[ChatCompletionRequest, Call], Flow[ChatCompletionResponse]]:
        """
        Give what asks one request of a batch.
        """
        core = self.leaving_refusals() if options.smart else self
        return core.chat_completion

    @property
    def route(self) -> Route:
        """
        The client's own route, first among those that calls may take.
        """
        return self.routes[0]

    # Models

    def default_chat_model(self) -> str:
        """
        What ``"auto"`` means here; ``"auto"`` itself where the server must be asked for its first model.
        """
        return self._known_model(self.route, "") or "auto"

    def named_model(self) -> str | None:
        """
        Give the default model for display; ``None``: there is none.
        """
        try:
            return self.default_chat_model()
        except ConfigurationError:
            return None

    def _known_model(self, route: Route, requested: str) -> str | None:
        return route.named(requested) or self._listed.get(route.target.base_url)

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

    # Requests

    def prepare(self, request: ChatCompletionRequest, *, stream: bool) -> HttpRequest:
        """
        Build the request that would be sent, without asking anybody for a key or a model.
        """
        model = self._known_model(self.route, as_request(request).model) or "auto"
        route = self.route.suited(request, model)
        encoded = self._encode(route, request, model, stream=stream)
        return self._ready(route, encoded, route.key.secret if route.key else None)

    def _encode(
        self, route: Route, request: ChatCompletionRequest, model: str, *, stream: bool
    ) -> HttpRequest:
        target = attrs.evolve(route.target, model=model)
        encoded = route.dialect.encode_request(
            target, request, stream=stream, on_unsupported=self.on_unsupported
        )
        headers = _merged(encoded.headers, self.headers, request.extra_headers)
        return attrs.evolve(encoded, headers=headers)

    def _ready(
        self, route: Route, request: HttpRequest, secret: Secret | None
    ) -> HttpRequest:
        spec = route.target.spec
        headers = {
            "accept": "application/json",
            "accept-encoding": "gzip",
            "user-agent": f"ai-lib/{__version__}",
            **_merged(spec.headers, self.headers, request.headers),
        }
        key = route.key
        credential = None if key is None else key.credential(spec, secret)
        return attrs.evolve(request, headers=headers, credential=credential)

    def _awake(self, route: Route) -> Flow[tuple[Route, Secret | None]]:
        """
        Have the embedded server started and the key asked for, as far as there are any.
        """
        if route.launch is not None:
            origin = yield from run(route.launch)
            target = attrs.evolve(route.target, base_url=origin.base_url)
            key = KeySource.of(origin.key, variable="API_KEY")
            route = attrs.evolve(route, target=target, key=key)
        if route.key is None or route.key.signature is not None:
            return route, None
        if route.key.secret is not None:
            return route, route.key.secret
        return route, (yield from run(route.key.ask))

    # Exchanges

    def _exchange(
        self, call: Call, route: Route, request: HttpRequest, *, stream: bool = False
    ) -> Flow[HttpResponse]:
        """
        Send, once in the eyes of a user: dead connections replaced, redirects within the
        origin followed, an error status raised as what it means.
        """
        replaced = redirects = 0
        while True:
            if isinstance(request.credential, Signature):
                request = yield from run(partial(self.sign, request))
            call.deadlines.begin_connect()
            try:
                response = yield from send(request, stream=stream, limits=self.limits)
            except NetworkError as error:
                if not error.stale or replaced == _REPLACEMENTS:
                    raise
                replaced += 1
                continue
            if not 300 <= response.status < 400:
                break
            if response.stream is not None:
                yield Close(response.stream)
            if redirects == _REDIRECTS:
                raise InvalidResponseError(
                    f"{route.target.provider} redirects without end.",
                    status_code=response.status,
                )
            redirects += 1
            request = redirected(route, request, response)
        response = attrs.evolve(response, url=request.url)
        if response.stream is None:
            response = response.with_body(_inflated(response, self.limits))
        if response.status >= 400:
            raise route.dialect.decode_error(route.target, response)
        return response

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
                return (
                    yield from self._hedged(call, route, said, ask, first=place == 0)
                )
            except AiLibError as error:
                room = call.deadlines.room()
                helps = error.failover or error.is_retryable
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
            encoded = self._encode(route, request, aim.model, stream=False)
            target = attrs.evolve(route.target, model=aim.model)
            route = attrs.evolve(route, target=target)
            answer, decoded = yield from self._follow(
                aim.call, route, encoded, aim.secret
            )
            assert isinstance(decoded, ChatCompletionResponse)
            response = _completed(decoded, route.target, answer, encoded.warnings)
            facts["status_code"] = answer.status
            facts["request_id"] = response.request_id
            facts["usage"] = response.usage
            return response

        won = yield from self._called(call, said, ask)
        yield from won.passage.leave("worked", won.result.usage)
        response = attrs.evolve(won.result, attempts=tuple(call.attempts))
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
            encoded = self._encode(route, request, aim.model, stream=True)
            choices = request.n or 1
            target = attrs.evolve(route.target, model=aim.model, choices=choices)
            route = attrs.evolve(route, target=target)
            answer = yield from self._open(call, route, encoded, aim.secret)
            facts["status_code"] = answer.status
            facts["request_id"] = request_id_of(answer.headers)
            try:
                decoder = self._decoder(route, target, answer, encoded.warnings)
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
        return attrs.evolve(won.result, end=end, told=bool(self.hooks))

    def _follow(
        self,
        call: Call,
        route: Route,
        request: HttpRequest,
        secret: Secret | None,
        *,
        stream: bool = False,
    ) -> Flow[tuple[HttpResponse, ChatCompletionResponse | HttpRequest]]:
        """
        Exchange until there is a whole answer, however many requests that takes.

        With *stream* it may be the request that opens a stream instead.
        """
        failures = 0
        first = request
        call.deadlines.begin_attempt(stream=False)
        try:
            for _ in range(_FOLLOW_UPS):
                ready = self._ready(route, request, secret)
                try:
                    answer = yield from self._exchange(call, route, ready)
                except AiLibError as error:
                    # What was begun and paid for is asked after again, not begun anew.
                    failures += 1
                    enough = request is first or failures >= self.retry.attempts
                    if enough or not self.retry.retries(error):
                        raise
                    if not Spending(
                        budget_of(route.target.provider, route.host), call
                    ).allowed():
                        raise
                    nap = self.retry.wait(failures, error)
                    if nap > self.retry.longest_wait:
                        raise
                else:
                    decoded = route.dialect.decode_response(route.target, answer)
                    if not isinstance(decoded, Follow):
                        return answer, decoded
                    if stream and decoded.stream is not None:
                        return answer, decoded.stream
                    nap, request = decoded.after, decoded.request
                if nap:
                    room = call.deadlines.remaining()
                    yield Sleep(nap if room is None else max(0.0, min(nap, room)))
        finally:
            call.deadlines.end_attempt()
        raise InvalidResponseError(
            f"{route.target.provider} never finishes its answer."
        )

    def _open(
        self, call: Call, route: Route, request: HttpRequest, secret: Secret | None
    ) -> Flow[HttpResponse]:
        """
        Ask for a stream, where it is told first where that is. A whole answer may come in its place.
        """
        if request.whole:
            answer, opening = yield from self._follow(
                call, route, request, secret, stream=True
            )
            if not isinstance(opening, HttpRequest):
                return answer
            request = opening
        headers = {**request.headers, "accept-encoding": "identity"}
        ready = self._ready(route, attrs.evolve(request, headers=headers), secret)
        call.deadlines.begin_attempt(stream=True)
        return (yield from self._exchange(call, route, ready, stream=True))

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
                ChatCompletionResponse(model=target.model), target, answer, warnings
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


#: Headers whose words add up, whoever says them.
_JOINED = frozenset({"anthropic-beta"})


def _merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """
    Lay headers over one another under their names in lower case.
    """
    found: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.items():
            key = name.lower()
            if key in _JOINED and key in found:
                words = f"{found[key]},{value}".split(",")
                value = ",".join(dict.fromkeys(one.strip() for one in words if one))  # noqa: PLW2901
            found[key] = value
    return found


def _completed(
    response: ChatCompletionResponse,
    target: ResolvedTarget,
    answer: HttpResponse,
    warnings: tuple[str, ...],
) -> ChatCompletionResponse:
    """
    Add what the headers say to what the body said.
    """
    return attrs.evolve(
        response,
        provider=target.provider,
        request_id=response.request_id or request_id_of(answer.headers),
        rate_limits=rate_limits_of(answer.headers),
        warnings=(*warnings, *response.warnings),
    )


def _inflated(response: HttpResponse, limits: SizeLimits) -> bytes:
    """
    Decompress a body; what cannot be read of an error's is left out, since the status says enough.
    """
    failed = response.status >= 400
    limit = limits.error if failed else limits.answer
    encoding = response.headers.get("content-encoding", "")
    try:
        return inflate(response.body, encoding, limit, truncated_ok=failed)
    except InvalidResponseError:
        if not failed:
            raise
        return b""
