"""
What a client does, as flows: the same for both packages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import attrs

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
    ConfigurationError,
    IncompleteStreamError,
    InvalidResponseError,
    ModelNotFoundError,
    NetworkError,
)
from ai_lib._core.failures import bare
from ai_lib._core.flow import Close, Flow, Sleep, read, run, send
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
from ai_lib._core.providers import ModelInfo, Origin, ResolvedTarget
from ai_lib._core.registry import (
    KeySource,
    resolve_model,
)
from ai_lib._core.retry import RetryPolicy
from ai_lib._core.routes import Route, redirected, route_of
from ai_lib._core.secrets import Secret
from ai_lib._core.settings import Settings
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.timeouts import Timeout
from ai_lib._core.version import __version__

T = TypeVar("T")

#: An open body, ``None`` when the answer came whole, and what decodes it.
Opened = tuple[Any, ChunkDecoder]

#: A redirect may be followed to the same origin this often.
_REDIRECTS = 3
#: A connection that turns out to be dead is replaced this often before it counts.
_REPLACEMENTS = 3
#: Follow-ups of one answer; a provider that is polled answers long before.
_FOLLOW_UPS = 10_000


@attrs.define(kw_only=True)
class ClientCore:
    """
    The settings of a client, and the flows of its public methods.

    Frozen in all but the model that a server listed first, so that threads may share it.
    """

    route: Route
    model: str | None = None
    timeout: Timeout = attrs.field(factory=Timeout)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    on_unsupported: OnUnsupported = "warn"
    headers: Mapping[str, str] = attrs.field(factory=dict)
    limits: SizeLimits = DEFAULT_LIMITS
    network: NetworkSettings
    sign: Callable[[HttpRequest], HttpRequest]
    _listed: str | None = None

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
        route, model = route_of(settings, serve)
        timeout = settings.timeout
        return cls(
            route=route,
            model=model,
            sign=sign,
            timeout=Timeout.of(
                timeout_from_environment() if timeout is None else timeout
            ),
            retry=settings.policy(),
            on_unsupported=settings.on_unsupported,
            headers=settings.default_headers,
            limits=settings.size_limits or DEFAULT_LIMITS,
            network=resolve_network(
                proxy=None if route.launch else settings.proxy,
                disable_proxy=settings.disable_proxy or route.launch is not None,
                ca_bundle=settings.ca_bundle,
            ),
        )

    # Models

    def default_chat_model(self) -> str:
        """
        What ``"auto"`` means here; ``"auto"`` itself where the server must be asked for its first model.
        """
        return self._named("") or self._listed or "auto"

    def named_model(self) -> str | None:
        """
        Give the default model for display; ``None``: there is none.
        """
        try:
            return self.default_chat_model()
        except ConfigurationError:
            return None

    def _named(self, requested: str) -> str | None:
        spec = self.route.target.spec
        return self.route.checked(resolve_model(spec, requested, default=self.model))

    def _model_of(self, requested: str, call: Call) -> Flow[str]:
        if model := self._named(requested) or self._listed:
            return model
        models = yield from self.list_models(call)
        if not models:
            raise ConfigurationError(
                f"{self.route.target.provider} lists no model: name one with model=."
            )
        self._listed = models[0].id
        return self._listed

    # Requests

    def prepare(self, request: ChatCompletionRequest, *, stream: bool) -> HttpRequest:
        """
        Build the request that would be sent, without asking anybody for a key or a model.
        """
        model = self._named(as_request(request).model) or self._listed or "auto"
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

    def _awake(self) -> Flow[tuple[Route, Secret | None]]:
        """
        Have the embedded server started and the key asked for, as far as there are any.
        """
        route = self.route
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
        model: str,
        exchange: Callable[[Route, Secret | None, dict[str, Any]], Flow[T]],
    ) -> Flow[T]:
        """
        Do one attempt, and write it down.
        """
        began = time.monotonic()
        waited, call.waited = call.waited, 0.0
        call.provider = self.route.target.provider
        facts: dict[str, Any] = {"provider": call.provider, "model": model}
        try:
            route, secret = yield from self._awake()
            result = yield from exchange(route, secret, facts)
        except AiLibError as error:
            call.deadlines.end_attempt()
            facts["error"] = f"{type(error).__name__}: {error.message}"
            facts["status_code"] = error.status_code
            facts["request_id"] = error.request_id
            raise bare(error)  # noqa: B904  # as what it was raised from is
        else:
            return result
        finally:
            elapsed = time.monotonic() - began
            call.attempts.append(Attempt(**facts, waited=waited, elapsed=elapsed))

    def _retrying(
        self, call: Call, model: str, attempt: Callable[[], Flow[T]]
    ) -> Flow[T]:
        """
        Try until it works, or tenacity says that it is enough.
        """
        try:
            return (yield from self._tries(call, attempt))
        except AiLibError as error:
            call.stamp(error, provider=self.route.target.provider, model=model)
            raise

    def _tries(self, call: Call, attempt: Callable[[], Flow[T]]) -> Flow[T]:
        failed: list[AiLibError] = []
        try:
            return (yield from attempt())
        except AiLibError as error:
            if self.retry.attempts == 1 or not self.retry.retries(error):
                raise
            failed.append(error)
        # Only now is tenacity needed; it is told of the first attempt as if it had made it.
        naps: list[float] = []
        try:
            for again in self.retry.retrying(naps.append, room=call.deadlines.room):
                with again:
                    if not naps:
                        raise failed[0]
                    call.waited = naps.pop()
                    yield Sleep(call.waited)
                    try:
                        return (yield from attempt())
                    except AiLibError as error:
                        failed.append(error)
                        raise
        except AiLibError as error:
            error.previous = tuple(one for one in failed if one is not error)
            raise
        raise AssertionError  # tenacity returns or raises

    # Public methods

    def chat_completion(
        self, request: ChatCompletionRequest, call: Call
    ) -> Flow[ChatCompletionResponse]:
        """
        Ask for a whole answer.
        """
        model = yield from self._model_of(as_request(request).model, call)

        def exchange(
            route: Route, secret: Secret | None, facts: dict[str, Any]
        ) -> Flow[ChatCompletionResponse]:
            route = route.suited(request, model)
            encoded = self._encode(route, request, model, stream=False)
            route = attrs.evolve(route, target=attrs.evolve(route.target, model=model))
            answer, decoded = yield from self._follow(call, route, encoded, secret)
            assert isinstance(decoded, ChatCompletionResponse)
            response = _completed(decoded, route.target, answer, encoded.warnings)
            facts["status_code"] = answer.status
            facts["request_id"] = response.request_id
            facts["usage"] = response.usage
            return response

        response = yield from self._retrying(
            call, model, lambda: self._attempt(call, model, exchange)
        )
        return attrs.evolve(response, attempts=tuple(call.attempts))

    def chat_completion_stream(
        self, request: ChatCompletionRequest, call: Call
    ) -> Flow[Opened]:
        """
        Open a stream and read it up to its first chunk.
        """
        model = yield from self._model_of(as_request(request).model, call)

        def exchange(
            route: Route, secret: Secret | None, facts: dict[str, Any]
        ) -> Flow[Opened]:
            route = route.suited(request, model)
            encoded = self._encode(route, request, model, stream=True)
            choices = request.n or 1
            target = attrs.evolve(route.target, model=model, choices=choices)
            route = attrs.evolve(route, target=target)
            answer = yield from self._open(call, route, encoded, secret)
            facts["status_code"] = answer.status
            facts["request_id"] = request_id_of(answer.headers)
            try:
                decoder = self._decoder(route, target, answer, encoded.warnings)
                if answer.stream is None:
                    decoder.feed(answer.body)
                    decoder.feed(b"")
                    decoder.peek()
                    return None, decoder
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
            return answer.stream, decoder

        return (
            yield from self._retrying(
                call, model, lambda: self._attempt(call, model, exchange)
            )
        )

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

    def list_models(self, call: Call) -> Flow[list[ModelInfo]]:
        """
        List the provider's models, every page.
        """

        def exchange(
            route: Route, secret: Secret | None, facts: dict[str, Any]
        ) -> Flow[list[ModelInfo]]:
            target = route.target
            found: list[ModelInfo] = []
            request: HttpRequest | None = route.dialect.models_request(target)
            seen: set[str] = set()
            call.deadlines.begin_attempt(stream=False)
            try:
                while request is not None and request.url not in seen:
                    seen.add(request.url)
                    ready = self._ready(route, request, secret)
                    answer = yield from self._exchange(call, route, ready)
                    facts["status_code"] = answer.status
                    page, request = route.dialect.decode_models(target, answer)
                    found += page
            finally:
                call.deadlines.end_attempt()
            return list({one.id: one for one in found}.values())

        return (
            yield from self._retrying(
                call, "", lambda: self._attempt(call, "", exchange)
            )
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
