"""
The blocking client.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from ai_lib._core.breaker import BreakerPolicy
from ai_lib._core.call import Call, CancelHandle
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    as_request,
)
from ai_lib._core.client import ClientCore
from ai_lib._core.dialects import OnUnsupported
from ai_lib._core.errors import ClientClosedError
from ai_lib._core.flow import (
    Close,
    Effect,
    Finish,
    Flow,
    Join,
    Keep,
    Note,
    Read,
    Run,
    Send,
    Sleep,
    Take,
)
from ai_lib._core.hooks import Hook
from ai_lib._core.http import HttpRequest, HttpResponse, SizeLimits
from ai_lib._core.messages import Message
from ai_lib._core.providers import ModelInfo, ProviderSpec
from ai_lib._core.racing import Hedge, Race
from ai_lib._core.rate_limit import RateLimit
from ai_lib._core.retry import RetryPolicy
from ai_lib._core.routing import Routing
from ai_lib._core.secrets import Secret, as_key
from ai_lib._core.settings import Settings
from ai_lib._core.state import StateStore
from ai_lib._core.targets import Target
from ai_lib._core.timeouts import Timeout
from ai_lib._host import open_journal, open_progress, serve, sign
from ai_lib._stream import ChatCompletionStream
from ai_lib._wait import aside, compete, join, pause, take

if TYPE_CHECKING:
    import requests

    from ai_lib._batch import BatchRun
    from ai_lib._core.batch import BatchItem
    from ai_lib._core.batch.plan import Executor, Mode
    from ai_lib._core.batch.progress import BatchProgress
    from ai_lib._transport import RequestsTransport


T = TypeVar("T")


class Transport(Protocol):
    """
    Sends requests in place of the built-in transport: for tests, or another HTTP library.

    An answer's body may come whole even where a stream was asked for.
    """

    def send(self, effect: Send, call: Any) -> HttpResponse:
        """
        Send ``effect.request``, its ``credential`` put on, and give the answer; a failure is one of this
        library's errors, such as ``NetworkError``.
        """


class AiClient:
    """
    Talks to one provider.

    Thread-safe: one client serves any number of threads. It may be used after a fork, in parent
    and child. Nothing is opened before the first call.

    Args:
        provider: Its id or an alias (``"groq"``, ``Provider.GROQ``), or a model string that names both
            (``"groq/openai/gpt-oss-20b"``, ``"groq:openai/gpt-oss-20b"``), a ``ProviderSpec`` or a ``Target``.

        api_key: The key, or a callable without arguments that is asked at each attempt; by default
            from the provider's environment variable.

        base_url: Another address of the same API; by default from the environment, else the provider's.

        model: The default model of this client, for requests whose model is empty or ``"auto"``.

        dialect: Another wire format that the provider speaks.

        provider_options: What the provider's record asks for (``resource``, ``account_id``,
            ``api_version`` …); by default from the environment.

        timeout: Seconds, or a ``Timeout``; by default ``AI_TIMEOUT_SECS``, else ``Timeout()``.

        max_retries: How often to try again; short for ``RetryPolicy(attempts=max_retries + 1)``.

        retry: When to try again.

        failover: Where to go on when this provider fails: targets, or strings such as
            ``"groq/openai/gpt-oss-20b"``, in order. Until the first chunk of a stream, never after.

        routing: In which order targets are tried: ``"failover"`` as given, ``"round_robin"``, ``"weighted"``,
            ``"lowest_latency"``, ``"cheapest"``, or a function that is given them and gives them in order.

        hedge: Seconds without an answer after which a second attempt is made beside the first, or a ``Hedge``;
            the first to answer wins, the other is cancelled.

        rate_limit: How much to ask of each target in a minute.

        breaker: When to keep calls away from a target that keeps failing.

        max_concurrency: How many exchanges may be under way at each target; others wait for
            their turn. Shared, like limits and breakers, by all clients of the process that set the same for it.

        hooks: Callables that are told what happens, each given one ``Event``.

        state_store: Where limits, breakers and latencies are kept; by default in this process.

        on_unsupported: What to do with a parameter that the provider does not take: ``"warn"`` leaves it out
            and says so in ``response.warnings``, ``"error"`` raises ``UnsupportedFeatureError``,
            ``"drop"`` leaves it out.

        proxy: URL of a proxy; by default ``AI_PROXY_URL``, else the usual variables.

        disable_proxy: Use none, whatever the environment says.

        ca_bundle: A file or directory of certificates to trust in place of the usual ones.

        default_headers: Sent with every request.

        size_limits: How much to take from a server.

        transport: Sends in place of the built-in one, and stays the caller's to close.

        session: A ``requests.Session`` to send with, as it is; it stays the caller's to close.

    Raises:
        ConfigurationError: Something cannot be right, or is missing and not found in the environment.

        MissingApiKeyError: The key is.

        ValueError: Both *max_retries* and *retry*.
    """

    __module__ = "ai_lib"  # tracebacks show no underscore

    def __init__(
        self,
        provider: str | ProviderSpec | Target,
        *,
        api_key: str | Secret | Callable[[], str] | None = None,
        base_url: str | None = None,
        model: str | None = None,
        dialect: str | None = None,
        provider_options: Mapping[str, str] | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        failover: Iterable[str | Target] = (),
        routing: Routing = "failover",
        hedge: float | Hedge | None = None,
        rate_limit: RateLimit | None = None,
        breaker: BreakerPolicy | None = None,
        max_concurrency: int | None = None,
        hooks: Hook | Iterable[Hook] = (),
        state_store: StateStore | None = None,
        on_unsupported: OnUnsupported = "warn",
        proxy: str | None = None,
        disable_proxy: bool = False,
        ca_bundle: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        size_limits: SizeLimits | None = None,
        transport: Transport | None = None,
        session: requests.Session | None = None,
    ) -> None:
        try:
            key = as_key(api_key)
        finally:
            del api_key  # tracebacks show the locals of their frames
        self._settings = Settings(
            provider=provider,
            api_key=key,
            base_url=base_url,
            model=model,
            dialect=dialect,
            provider_options=provider_options,
            timeout=timeout,
            max_retries=max_retries,
            retry=retry,
            failover=failover,
            routing=routing,
            hedge=hedge,
            rate_limit=rate_limit,
            breaker=breaker,
            max_concurrency=max_concurrency,
            hooks=hooks,
            state_store=state_store,
            on_unsupported=on_unsupported,
            proxy=proxy,
            disable_proxy=disable_proxy,
            ca_bundle=ca_bundle,
            default_headers=default_headers,
            size_limits=size_limits,
        )
        self._core = ClientCore.configured(self._settings, serve=serve, sign=sign)
        self._session = session
        self._given = transport
        self._patient: ClientCore | None = None
        self._own: RequestsTransport | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        if not hasattr(self, "_core"):  # a traceback shows one that could not be made
            return "<AiClient>"
        return f"<AiClient {self.provider} model={self._core.named_model()!r}>"

    @property
    def provider(self) -> str:
        """
        The provider's id.
        """
        return self._core.route.target.provider

    def with_options(self, **changes: Any) -> Self:
        """
        Make a client with other settings that shares this one's connections, where proxies and
        certificates stay the same. Each is closed for itself.

        Another *provider* takes none of this one's key, address, model, dialect and options along.

        Args:
            changes: Keywords of the constructor, and *provider*.

        Raises:
            ClientClosedError: This client was closed.
        """
        self._refuse_closed()
        keywords = {"session": self._session, **self._settings.changed(changes)}
        client = type(self)(keywords.pop("provider"), **keywords)
        same = client._core.network == self._core.network
        if same and not changes.keys() & {"session", "transport"}:
            client._given = self._given
            client._own = None if self._given else self._opened().share()
        return client

    def default_chat_model(self) -> str:
        """
        The model that ``"auto"`` or an empty one means; ``"auto"`` itself where the server must be asked.

        Raises:
            ConfigurationError: There is none.
        """
        return self._core.default_chat_model()

    def prepare(
        self, request: ChatCompletionRequest, *, stream: bool = False
    ) -> HttpRequest:
        """
        Build the exact request that would be sent, and send nothing.

        Its repr hides the key; ``.warnings`` says what was left out or changed; ``.to_curl()`` writes a command
        with the key's variable in the key's place.

        Raises:
            UnsupportedFeatureError: The provider cannot take the request.
        """
        return self._core.prepare(request, stream=stream)

    def chat_completion(self, request: ChatCompletionRequest) -> ChatCompletionResponse:
        """
        Ask, and wait for the whole answer.

        Raises:
            AiLibError: What went wrong, by its class.
        """
        call = self._begin()
        return self._run(self._core.chat_completion(request, call), call)

    def chat_completion_stream(
        self, request: ChatCompletionRequest
    ) -> ChatCompletionStream:
        """
        Ask, and get the answer piece by piece.

        The stream is open when this returns: its first chunk is there. Until then a failure is
        retried like any other; after it nothing is.

        Raises:
            AiLibError: What went wrong before the first chunk.
        """
        stream, _ = self.chat_completion_stream_with_cancel(request)
        stream._open()
        return stream

    def chat_completion_stream_with_cancel(
        self, request: ChatCompletionRequest
    ) -> tuple[ChatCompletionStream, CancelHandle]:
        """
        Prepare a stream and a handle that stops it in every phase. Nothing is sent before the
        stream's first step.
        """
        call = self._begin()
        flow = self._core.chat_completion_stream(request, call)
        stream = ChatCompletionStream(
            lambda: self._run(flow, call),
            call,
            provider=self.provider,
            model=as_request(request).model,
        )
        return stream, CancelHandle(call)

    def chat_completion_batch(
        self,
        requests: Iterable[ChatCompletionRequest],
        *,
        max_concurrency: int | None = None,
        journal: str | os.PathLike[str] | None = None,
        dedupe: bool = False,
        progress: bool | Callable[[BatchProgress], object] = False,
        mode: Mode = "live",
        executor: Executor | None = None,
        send_keys: bool = False,
    ) -> list[BatchItem]:
        """
        Ask many things at once, and get the items in the order of the requests.

        One that fails touches no other: its item holds the error.

        Args:
            requests: Taken one by one, as there is room.

            max_concurrency: How many run at once; by default the client's, else 16.

            journal: A file that finished items are written to before they are told of. Run again with it, what
                was answered is not asked again; requests are matched by their content.

            dedupe: Send identical requests once, and share the answer.

            progress: ``True`` shows a bar, or a line, on standard error; a callable is told instead.

            mode: ``"live"`` asks one by one; ``"provider"`` hands everything to the provider's own batch API, for
                half the price and within a day (``UnsupportedFeatureError`` where it has none).

            executor: A ``concurrent.futures.Executor`` in whose processes is asked, by clients made there like this
                one; at most *max_concurrency* at once.

            send_keys: Whether a key that this client was given goes to those processes; else they look it up.

        Raises:
            BaseException: What interrupted the batch (Ctrl-C, an error of *requests* itself), with the items
                that were finished as its attribute ``items``.
        """
        return self._batch(
            requests,
            journal,
            progress,
            max_concurrency=max_concurrency,
            dedupe=dedupe,
            mode=mode,
            executor=executor,
            send_keys=send_keys,
            collected=True,
        ).collect()

    def chat_completion_batch_iter(
        self,
        requests: Iterable[ChatCompletionRequest],
        *,
        ordered: bool = False,
        max_concurrency: int | None = None,
        smart: bool = False,
        journal: str | os.PathLike[str] | None = None,
        dedupe: bool = False,
        progress: bool | Callable[[BatchProgress], object] = False,
        mode: Mode = "live",
        executor: Executor | None = None,
        send_keys: bool = False,
    ) -> BatchRun:
        """
        Ask many things at once, and get the items as they finish. Nothing is sent before the first step; of a
        million requests from a generator only a few hundred are in memory.

        Args:
            requests: Taken one by one, as items leave.

            ordered: Give the items in the order of the requests; one that takes long holds up a few
                hundred behind it, and no more are begun.

            smart: At the provider's pace, as ``chat_completion_batch_smart``.

            max_concurrency: As ``chat_completion_batch``, and so are the others. With *dedupe* every
                answer is kept until the end.
        """
        return self._batch(
            requests,
            journal,
            progress,
            max_concurrency=max_concurrency,
            ordered=ordered,
            smart=smart,
            dedupe=dedupe,
            mode=mode,
            executor=executor,
            send_keys=send_keys,
        )

    def chat_completion_batch_smart(
        self,
        requests: Iterable[ChatCompletionRequest],
        *,
        max_concurrency: int | None = None,
        journal: str | os.PathLike[str] | None = None,
        dedupe: bool = False,
        progress: bool | Callable[[BatchProgress], object] = False,
        mode: Mode | None = None,
        deadline: float | None = None,
        executor: Executor | None = None,
        send_keys: bool = False,
    ) -> list[BatchItem]:
        """
        Ask many things at once, at the pace that the provider takes.

        Begins with a few at a time, grows while answers come as fast as before, and slows down when it is
        refused for the rate of requests or for load; what was refused gets another turn. The provider's
        headers of limits are obeyed. Up to three requests run one after the other.

        Args:
            requests: Taken one by one, as there is room.

            max_concurrency: How many may ever run at once; by default the client's, else 64.

            journal: As ``chat_completion_batch``, and so are the others.

            mode: Who works; by default it is chosen by *deadline*.

            deadline: Seconds within which the answers are wanted. Where the provider's own batch API is sure to be done
                by then (86,400, a day, with most), it is used; by default nothing but live.

        Raises:
            BaseException: As ``chat_completion_batch``.
        """
        return self._batch(
            requests,
            journal,
            progress,
            max_concurrency=max_concurrency,
            dedupe=dedupe,
            mode=mode,
            deadline=deadline,
            executor=executor,
            send_keys=send_keys,
            smart=True,
            collected=True,
        ).collect()

    def quick_chat_text(self, model: str, prompt: str) -> str:
        """
        Ask *model* one thing and get the text of its answer.

        Args:
            model: The model; empty or ``"auto"``: the client's default.

            prompt: The user's message.
        """
        request = ChatCompletionRequest(model, [Message.user(prompt)])
        return self.chat_completion(request).text

    def list_models(self) -> list[ModelInfo]:
        """
        List the models that the provider offers, all pages of them.

        Raises:
            UnsupportedFeatureError: It has no list.
        """
        call = self._begin()
        return self._run(self._core.list_models(call), call)

    def get_model_info(self, model: str) -> ModelInfo:
        """
        Find one model in the provider's list.

        Raises:
            ModelNotFoundError: It is not there.
        """
        call = self._begin()
        return self._run(self._core.get_model_info(model, call), call)

    def close(self) -> None:
        """
        Close the connections. Allowed twice; any other use after it is a ``ClientClosedError``.

        Close or exhaust its streams before: what comes of one that still runs is not promised.
        """
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed and self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> Call:
        self._refuse_closed()
        return Call(self._core.timeout)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClientClosedError("The client was closed; make a new one.")

    def _batch(
        self,
        requests: Iterable[ChatCompletionRequest],
        journal: str | os.PathLike[str] | None,
        progress: bool | Callable[[BatchProgress], object],
        **asked: Any,
    ) -> BatchRun:
        # Not with the client: most programs have no batch.
        from ai_lib._batch import BatchRun
        from ai_lib._core.batch.plan import BatchOptions, plan

        wanted = BatchOptions(**asked)
        self._refuse_closed()
        core = self._core
        options = wanted.settled(core.route.target, requests)
        work = plan(requests, options, default=core.max_concurrency)
        opening = None if journal is None else partial(open_journal, journal)
        if options.executor is None:
            ask = core.ask_in_batch(options)
        else:
            from ai_lib._host.worker import ask_elsewhere

            built_in = self._given is None and self._session is None
            ask = ask_elsewhere(self._settings, options, built_in=built_in)
        return BatchRun(
            work,
            ask=ask,
            drive=self._run,
            begin=self._begin,
            open_journal=opening,
            progress=open_progress(progress, work.meter.total),
            provide=core.provide() if work.unbounded else None,
        )

    def _answer(
        self, request: ChatCompletionRequest, *, leaves_refusals: bool
    ) -> ChatCompletionResponse:
        """
        Ask for a batch of another process.
        """
        call, core = self._begin(), self._core
        if leaves_refusals:
            if self._patient is None:
                self._patient = core.leaving_refusals()
            core = self._patient
        return self._run(core.chat_completion(request, call), call)

    def _opened(self) -> RequestsTransport:
        """
        Make the transport when it is first needed: it brings the HTTP library with it.
        """
        if self._own is None:
            from ai_lib._transport import RequestsTransport

            with self._lock:
                self._refuse_closed()
                if self._own is None:
                    network = self._core.network
                    self._own = RequestsTransport(network, self._session)
        return self._own

    def _run(self, flow: Flow[T], call: Call) -> T:
        try:
            effect = next(flow)
            while True:
                try:
                    replies = [self._perform(effect, call)]
                except BaseException as error:  # noqa: BLE001  # the flow decides
                    effect = flow.throw(error)
                else:  # popped: tracebacks show the locals of their frames
                    effect = flow.send(replies.pop())
        except StopIteration as done:
            result: T = done.value
            return result

    def _perform(self, effect: Effect, call: Call) -> Any:
        match effect:
            case Send():
                self._refuse_closed()
                sender = self._given or self._opened()
                return sender.send(effect, call)
            case Read(stream):
                return stream.read(call)  # type: ignore[attr-defined]  # ours
            case Close(stream):
                return stream.close()  # type: ignore[attr-defined]  # ours
            case Sleep(seconds):
                return pause(seconds, call)
            case Take(slots):
                return take(slots, call)
            case Keep(function):
                return function()
            case Finish(flow, own):
                call.check()
                return self._run(flow, own)
            case Join(promise):
                return join(promise, call)
            case Note(function):
                return function()
            case Race():
                return compete(effect, call, self._run)
            case Run(function):
                return aside(function, call)


def quick_chat_text(model: str, prompt: str) -> str:
    """
    Ask one thing and get the text of the answer, with a client that lives as long as the question.

    Args:
        model: Names the provider too: ``"groq/openai/gpt-oss-20b"``; a provider alone means its default model.

        prompt: The user's message.
    """
    with AiClient(model) as client:
        return client.quick_chat_text("", prompt)
