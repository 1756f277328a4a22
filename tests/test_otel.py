"""
The hook for OpenTelemetry: one span a call, metrics beside it, and no content unless asked for.
"""

from __future__ import annotations

import pytest
from faults import answer, events, refusal, stream
from twins import KEY, PROMPT, BlockingTwin, ask

from ai_lib import AuthenticationError, BreakerPolicy, RetryPolicy, Target

pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)

from ai_lib.otel import OpenTelemetry


class Collected:
    """
    A hook, and what it has exported.
    """

    def __init__(self, **options):
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.hook = OpenTelemetry(
            tracer_provider=tracers,
            meter_provider=MeterProvider([self._reader]),
            **options,
        )

    @property
    def spans(self):
        """
        The spans that have ended.
        """
        return self._exporter.get_finished_spans()

    @property
    def metrics(self):
        """
        How many values each metric has.
        """
        return {
            metric.name: sum(point.count for point in metric.data.data_points)
            for resource in self._reader.get_metrics_data().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def test_call_is_one_span_with_its_numbers(pair, server):
    """
    A call with a retry is one span: who, what, how many tokens; the retry is an event of it.
    """
    server.script(refusal(500), answer("hi"))
    collected = Collected()
    retry = RetryPolicy(attempts=2, backoff=0.001)
    client = pair.client(server, retry=retry, hooks=collected.hook)

    client.chat_completion(ask(temperature=0.5))

    (span,) = collected.spans
    assert "chat m" == span.name
    assert ["ai_lib.retry"] == [event.name for event in span.events]
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ("stop",),
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }.items() <= dict(span.attributes).items()
    assert span.attributes["gen_ai.usage.input_tokens"] > 0
    assert 1 == collected.metrics["gen_ai.client.operation.duration"]
    assert 2 == collected.metrics["gen_ai.client.token.usage"]
    assert PROMPT not in span.to_json()
    assert KEY not in span.to_json()


def test_stream_ends_its_span_and_tells_its_first_chunk(pair, server):
    """
    A stream is one span, from its request to its end.
    """
    server.script(stream(*events("hi")))
    collected = Collected(content=True)
    client = pair.client(server, hooks=collected.hook)
    running = client.chat_completion_stream(ask())
    before = len(collected.spans)

    running.until_done()

    (span,) = collected.spans
    assert 0 == before
    assert PROMPT in span.attributes["gen_ai.input.messages"]
    assert "hi" in span.attributes["gen_ai.output.messages"]
    assert 1 == collected.metrics["gen_ai.client.operation.time_to_first_chunk"]


def test_failure_is_the_spans_status(pair, server):
    """
    A call that fails, after a failover too, has the class of its error, and not its message.
    """
    server.script(refusal(401, PROMPT))
    collected = Collected()
    again = Target("openai", "m2", api_key=KEY, base_url=server.url)
    client = pair.client(server, failover=[again], hooks=collected.hook)

    with pytest.raises(AuthenticationError):
        client.chat_completion(ask())

    (span,) = collected.spans
    assert not span.status.is_ok
    assert "AuthenticationError" == span.attributes["error.type"]
    assert ["ai_lib.failover"] == [event.name for event in span.events]
    assert PROMPT not in span.to_json()


def test_what_comes_after_the_end_is_in_no_span(pair, server):
    """
    An event of a call that has ended, such as of who lost a race, begins no span that nobody would end.
    """
    server.script(answer("hi"))
    collected = Collected()
    told = []
    client = pair.client(server, hooks=[collected.hook, told.append])
    client.chat_completion(ask())

    for event in told:
        collected.hook(event)

    assert 1 == len(collected.spans)
    assert not collected.hook._spans


def test_span_lies_below_the_callers(server):
    """
    A call's span is a child of the span in which it is made, a hedged call's too, and is one.
    """
    server.script(answer("hi"))
    collected = Collected()
    twin = BlockingTwin()
    client = twin.client(server, hooks=collected.hook, hedge=60.0)
    tracer = collected.tracers.get_tracer("caller")

    with tracer.start_as_current_span("outer") as outer:
        client.chat_completion(ask())

    twin.close()
    inner, _ = collected.spans
    assert "chat m" == inner.name
    assert outer.get_span_context().span_id == inner.parent.span_id


def test_breaker_and_the_target_that_answered_stand_in_the_span(pair, server):
    """
    A circuit that opens is an event, and the span is named for the target that answered.
    """
    server.script(refusal(500), answer("hi"))
    collected = Collected()
    again = Target("openai", "m2", api_key=KEY, base_url=f"{server.url}/")
    policy = BreakerPolicy(failures=1)
    client = pair.client(
        server, failover=[again], breaker=policy, hooks=collected.hook, api_key=KEY[1:]
    )

    client.chat_completion(ask())

    (span,) = collected.spans
    assert ["ai_lib.breaker", "ai_lib.failover"] == [one.name for one in span.events]
    assert ("chat m2", "m2") == (span.name, span.attributes["gen_ai.request.model"])
