"""
A hook that makes OpenTelemetry spans and metrics, by the semantic conventions for generative AI (read 2026-11).

    AiClient("openai", hooks=OpenTelemetry())

Needs the extra ``otel``. One span a call, attempts and all; no prompt and no answer unless asked for.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import Any

from opentelemetry import context, metrics, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.events import (
    BreakerEvent,
    ErrorEvent,
    Event,
    FailoverEvent,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
)
from ai_lib._core.version import __version__

__all__ = ["OpenTelemetry"]

#: Calls whose end is waited for; one that is beyond, and was never ended, is ended as unknown.
_OPEN = 10_000
#: Boundaries that the conventions advise, in seconds and in tokens.
_SECONDS = [0.01 * 2**power for power in range(14)]
_TOKENS = [float(4**power) for power in range(14)]
#: Parameters of a request, and the names of their attributes.
_PARAMETERS = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}


class OpenTelemetry:
    """
    A hook that makes spans and metrics. Thread-safe; one may serve any number of clients of both packages.

    Args:
        content: Whether the text of prompts and answers is recorded, as attributes of the span; images, files and
            calls of tools are not. Off, since it may be anything.

        tracer_provider: By default the global one.

        meter_provider: By default the global one.
    """

    def __init__(
        self,
        *,
        content: bool = False,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._content = content
        self._tracer = trace.get_tracer("ai_lib", __version__, tracer_provider)
        meter = metrics.get_meter("ai_lib", __version__, meter_provider)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Duration of a call.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time to the first chunk of a stream.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens read and written.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._spans: OrderedDict[int, Span] = OrderedDict()
        self._ended: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """
        Take an event.
        """
        match event:
            case RequestEvent():
                self._request(event)
            case RetryEvent() | FailoverEvent():
                kind = "retry" if isinstance(event, RetryEvent) else "failover"
                told = {"error.type": type(event.error).__name__}
                self._span_of(event).add_event(f"ai_lib.{kind}", told)
            case BreakerEvent():
                told = {"ai_lib.breaker.state": event.state}
                self._span_of(event).add_event("ai_lib.breaker", told)
            case ResponseEvent() | ErrorEvent():
                self._end(event)

    def _span_of(self, event: Event) -> Span:
        """
        Find the call's span, or begin it below what is current here. What comes after a call's end (of who lost
        a race) is recorded nowhere.
        """
        with self._lock:
            if event.call_id in self._ended:
                return trace.INVALID_SPAN
            span = self._spans.get(event.call_id)
        if span is not None:
            return span
        made = self._tracer.start_span(  # not under the lock: samplers are the caller's
            _name_of(event),
            context.get_current(),
            SpanKind.CLIENT,
            {
                "gen_ai.operation.name": event.operation,
                "gen_ai.provider.name": event.provider,
                "gen_ai.request.model": event.model,
            },
        )
        forgotten: Span | None = None
        with self._lock:
            span = self._spans.setdefault(event.call_id, made)
            if len(self._spans) > _OPEN:
                _, forgotten = self._spans.popitem(last=False)
        if forgotten is not None:
            forgotten.end()
        return span

    def _request(self, event: RequestEvent) -> None:
        span = self._span_of(event)
        span.set_attribute("server.address", event.server_address)
        if event.server_port is not None:
            span.set_attribute("server.port", event.server_port)
        request = event.request
        if request is None:
            return
        for name, attribute in _PARAMETERS.items():
            if (value := getattr(request, name)) is not None:
                span.set_attribute(attribute, value)
        if request.stop:
            span.set_attribute("gen_ai.request.stop_sequences", request.stop)
        if self._content:
            span.set_attribute("gen_ai.input.messages", _messages_of(request))

    def _end(self, event: ResponseEvent | ErrorEvent) -> None:
        span = self._span_of(event)
        with self._lock:
            self._spans.pop(event.call_id, None)
            self._ended[event.call_id] = None
            if len(self._ended) > _OPEN:
                self._ended.popitem(last=False)
        common: dict[str, Any] = {
            "gen_ai.operation.name": event.operation,
            "gen_ai.provider.name": event.provider,
            "gen_ai.request.model": event.model,
        }
        response = event.response
        if response is not None:
            self._answer(span, response, common)
        if isinstance(event, ErrorEvent):
            common["error.type"] = type(event.error).__name__
            span.set_attribute("error.type", common["error.type"])
            # The message may quote what the provider echoed of a prompt.
            span.set_status(Status(StatusCode.ERROR, common["error.type"]))
        elif event.first_chunk is not None:
            self._first_chunk.record(event.first_chunk, common)
        # Another target may have answered than the one that was asked first.
        span.update_name(_name_of(event))
        span.set_attributes(
            {
                "gen_ai.provider.name": event.provider,
                "gen_ai.request.model": event.model,
            }
        )
        self._duration.record(event.elapsed, common)
        span.end()

    def _answer(
        self, span: Span, response: ChatCompletionResponse, common: dict[str, Any]
    ) -> None:
        if response.id:
            span.set_attribute("gen_ai.response.id", response.id)
        if response.model:
            span.set_attribute("gen_ai.response.model", response.model)
            common["gen_ai.response.model"] = response.model
        reasons = [one.finish_reason for one in response.choices if one.finish_reason]
        if reasons:
            span.set_attribute("gen_ai.response.finish_reasons", reasons)
        usage = response.usage
        if usage is not None:
            for kind, count in (
                ("input", usage.prompt_tokens),
                ("output", usage.completion_tokens),
            ):
                span.set_attribute(f"gen_ai.usage.{kind}_tokens", count)
                self._tokens.record(count, {**common, "gen_ai.token.type": kind})
        if self._content:
            said = [
                {"role": "assistant", "content": one.message.text}
                for one in response.choices
            ]
            span.set_attribute("gen_ai.output.messages", json.dumps(said))


def _name_of(event: Event) -> str:
    return f"{event.operation} {event.model}".strip()


def _messages_of(request: ChatCompletionRequest) -> str:
    return json.dumps(
        [{"role": str(one.role), "content": one.text} for one in request.messages]
    )
