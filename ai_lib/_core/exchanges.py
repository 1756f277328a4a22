"""
What a client is set up with, and one exchange by that: nothing here tries twice for a user, or asks another target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Self

import attrs

from ai_lib._core.budget import budget_of
from ai_lib._core.call import Call
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    as_request,
)
from ai_lib._core.dialects import Follow, OnUnsupported
from ai_lib._core.errors import (
    AiLibError,
    ConfigurationError,
    InvalidResponseError,
    NetworkError,
)
from ai_lib._core.flow import Close, Flow, Sleep, run, send
from ai_lib._core.gate import Gate
from ai_lib._core.hooks import Hook
from ai_lib._core.http import (
    DEFAULT_LIMITS,
    HttpRequest,
    HttpResponse,
    Signature,
    SizeLimits,
)
from ai_lib._core.inflate import inflate
from ai_lib._core.network import (
    NetworkSettings,
    resolve_network,
    timeout_from_environment,
)
from ai_lib._core.providers import Origin
from ai_lib._core.racing import Hedge
from ai_lib._core.record import changed
from ai_lib._core.retry import RetryPolicy, Spending
from ai_lib._core.routes import Route, redirected, route_of
from ai_lib._core.routing import Router
from ai_lib._core.secrets import Secret
from ai_lib._core.settings import Settings
from ai_lib._core.targets import KeySource
from ai_lib._core.timeouts import Timeout
from ai_lib._core.version import __version__

#: A redirect may be followed to the same origin this often.
_REDIRECTS = 3
#: A connection that turns out to be dead is replaced this often before it counts.
_REPLACEMENTS = 3
#: Follow-ups of one answer; a provider that is polled answers long before.
_FOLLOW_UPS = 10_000


@attrs.define(kw_only=True, eq=False, repr=False)
class Exchanges:
    """
    The settings of a client, what it sends, and the flows of single exchanges.

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
    ) -> Self:
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

    # Requests

    def prepare(self, request: ChatCompletionRequest, *, stream: bool) -> HttpRequest:
        """
        Build the request that would be sent, without asking anybody for a key or a model.
        """
        model = self._known_model(self.route, as_request(request).model) or "auto"
        route = self.route.suited(request, model)
        route = changed(route, target=changed(route.target, model=model))
        encoded = self._encode(route, request, stream=stream)
        secret = route.key.secret if route.key else None
        return self._ready(route, encoded, secret, stream=stream and not encoded.whole)

    def _encode(
        self, route: Route, request: ChatCompletionRequest, *, stream: bool
    ) -> HttpRequest:
        encoded = route.dialect.encode_request(
            route.target, request, stream=stream, on_unsupported=self.on_unsupported
        )
        headers = _merged(encoded.headers, self.headers, request.extra_headers)
        return changed(encoded, headers=headers)

    def _ready(
        self,
        route: Route,
        request: HttpRequest,
        secret: Secret | None,
        *,
        stream: bool = False,
    ) -> HttpRequest:
        spec = route.target.spec
        headers = {
            "accept": "application/json",
            "accept-encoding": "gzip",
            "user-agent": f"ai-lib/{__version__}",
            **_merged(spec.headers, self.headers, request.headers),
        }
        if stream:
            headers["accept-encoding"] = "identity"
        key = route.key
        credential = None if key is None else key.credential(spec, secret)
        return changed(request, headers=headers, credential=credential)

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
        if response.url != request.url:
            response = changed(response, url=request.url)
        if response.stream is None:
            response = response.with_body(_inflated(response, self.limits))
        if response.status >= 400:
            raise route.dialect.decode_error(route.target, response)
        return response

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
        ready = self._ready(route, request, secret, stream=True)
        call.deadlines.begin_attempt(stream=True)
        return (yield from self._exchange(call, route, ready, stream=True))


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
