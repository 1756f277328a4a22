"""
Answers in OpenAI's format, whole and streamed, in the many forms in which providers put it.
"""

from __future__ import annotations

import json

import pytest

from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import ChatCompletionRequest, Citation, Usage, UsageStatus
from ai_lib._core.dialects import openai_chat
from ai_lib._core.errors import (
    AiLibError,
    ApiError,
    AuthenticationError,
    ContentFilteredError,
    InvalidRequestError,
    InvalidResponseError,
    RateLimitError,
    ServerError,
)
from ai_lib._core.http import HttpResponse
from ai_lib._core.providers import ProviderSpec, Quirks, ResolvedTarget
from ai_lib._core.tools import ToolCall

SPECS = {spec.id: spec for spec in CATALOG}


def target_of(provider="", **quirks):
    """
    A target of a built-in provider, or of a plain one with *quirks*.
    """
    spec = SPECS.get(provider) or ProviderSpec(
        id="example",
        dialect="openai_chat",
        base_url="https://api.example.com/v1",
        quirks=Quirks(**quirks),
    )
    return ResolvedTarget(spec=spec, model="m", base_url=spec.base_url)


def response_of(body, status=200):
    """
    An answer with *body*, a JSON value or bytes.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw)


def decoded(body, target=None):
    """
    The whole answer that *body* means.
    """
    return openai_chat.decode_response(target or target_of(), response_of(body))


def answer(message, **more):
    """
    A body with one choice.
    """
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more}
    return {"id": "c1", "model": "m-1", "created": 5, "choices": [choice]}


def function(name="f", arguments="{}"):
    """
    The inner half of a tool call.
    """
    return {"name": name, "arguments": arguments}


class Sum:
    """
    What the chunks of a stream add up to, by their own word alone.
    """

    def __init__(self):
        self.chunks = []
        self.text = self.reasoning = self.refusal = ""
        self.calls = {}
        self.finish = self.usage = self.state = None
        self.citations = []

    def add(self, chunk):
        self.chunks.append(chunk)
        self.usage = chunk.usage or self.usage
        for choice in chunk.choices:
            delta = choice.delta
            self.text += delta.content or ""
            self.reasoning += delta.reasoning or ""
            self.refusal += delta.refusal or ""
            self.finish = choice.finish_reason or self.finish
            self.state = delta.provider_state or self.state
            self.citations += delta.citations
            for piece in delta.tool_calls:
                call = self.calls.setdefault(piece.index, [None, None, ""])
                assert None in (call[0], piece.id), "an id is told once"
                assert None in (call[1], piece.name), "a name is told once"
                call[0] = call[0] or piece.id
                call[1] = call[1] or piece.name
                call[2] += piece.arguments


def streamed(*events, target=None, parser=None):
    """
    The sum of a stream of *events*: deltas of one choice, whole events, or frames.
    """
    parser = parser or openai_chat.chunk_parser(target or target_of())
    found = Sum()
    for event in events:
        for chunk in parser.feed(frame_of(event)):
            found.add(chunk)
    for chunk in parser.finish():
        found.add(chunk)
    return found


def frame_of(event):
    """
    A frame for an event; a delta becomes one.
    """
    if isinstance(event, tuple):
        return event
    if not event.keys() & {"choices", "error", "usage", "code", "citations", "x_groq"}:
        event = chunk_of(event)
    return "", json.dumps(event)


def chunk_of(delta, finish=None, **more):
    """
    An event with one choice.
    """
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "model": "m-1", "created": 5, "choices": [choice], **more}


# Whole answers


def test_whole_answer():
    """
    Every field has its place.
    """
    body = answer({"role": "assistant", "content": "Hello"}, logprobs={"content": []})
    body["usage"] = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }

    response = decoded(body)

    assert ("c1", "m-1", 5, "example") == (
        response.id,
        response.model,
        response.created,
        response.provider,
    )
    assert ("Hello", "stop") == (response.text, response.finish_reason)
    assert {"content": []} == response.choices[0].logprobs
    assert UsageStatus.FINALIZED == response.usage_status
    assert body == response.raw
    assert (
        Usage(
            prompt_tokens=10,
            completion_tokens=5,
            total_tokens=15,
            cached_tokens=4,
            reasoning_tokens=2,
        )
        == response.usage
    )


def test_white_space_before_a_body():
    """
    It keeps connections alive while the model works.
    """
    response = decoded(b"\n\n   \n" + json.dumps(answer({"content": "x"})).encode())

    assert "x" == response.text


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        pytest.param(
            {"prompt_tokens": 3, "completion_tokens": 2}, (3, 2, 5, None), id="no-total"
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_cache_hit_tokens": 8,
            },
            (9, 1, 10, 8),
            id="cache-hit",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 7},
            (9, 1, 10, 7),
            id="cached-on-top",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 35,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            (10, 25, 35, None),
            id="reasoning-apart",
        ),
    ],
)
def test_usage_in_its_forms(usage, counts):
    """
    Reasoning is part of what was written, as the total shows.
    """
    found = decoded({**answer({"content": "x"}), "usage": usage}).usage

    assert counts == (
        found.prompt_tokens,
        found.completion_tokens,
        found.total_tokens,
        found.cached_tokens,
    )


@pytest.mark.parametrize(
    "usage",
    [None, {}, [], "many", {"cost": 1}],
    ids=["null", "empty", "list", "text", "cost"],
)
def test_no_usage_is_unsupported(usage):
    """
    Nothing is made up.
    """
    response = decoded({**answer({"content": "x"}), "usage": usage})

    assert response.usage is None
    assert UsageStatus.UNSUPPORTED == response.usage_status


@pytest.mark.parametrize(
    ("message", "reasoning"),
    [
        pytest.param({"reasoning_content": "Hm."}, "Hm.", id="reasoning_content"),
        pytest.param({"reasoning": "Hm."}, "Hm.", id="reasoning"),
        pytest.param(
            {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
            "Hm.",
            id="details",
        ),
        pytest.param(
            {"reasoning": "Hm.", "reasoning_details": [{"summary": "Hm."}]},
            "Hm.",
            id="both-say-the-same",
        ),
        pytest.param(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                    {"type": "text", "text": "Hi"},
                ]
            },
            "Hm.",
            id="parts",
        ),
        pytest.param({"reasoning_content": ""}, None, id="empty"),
        pytest.param({"reasoning": {"effort": "low"}}, None, id="no-text"),
    ],
)
def test_reasoning_in_its_forms(message, reasoning):
    """
    Wherever it is told, it is found, and once.
    """
    response = decoded(answer({"content": "Hi", **message}))

    assert ("Hi", reasoning) == (response.text, response.reasoning)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("<think>\nHm.\n</think>\n\nHi", ("\nHm.\n", "Hi"), id="tags"),
        pytest.param("\n <think>Hm.</think>Hi", ("Hm.", "Hi"), id="space-before"),
        pytest.param("<think>Hm. I was cut", ("Hm. I was cut", ""), id="no-end"),
        pytest.param(
            "Hi <think>no</think>", (None, "Hi <think>no</think>"), id="later"
        ),
        pytest.param("<thin", (None, "<thin"), id="half-a-tag"),
    ],
)
def test_leading_think_tags(text, expected):
    """
    They are taken out at the start of the text, where the record says so: whole and at every cut.
    """
    tagged, untagged = target_of(think_tags=True), target_of()

    whole = decoded(answer({"content": text}), tagged)

    assert expected == (whole.reasoning, whole.text)
    assert text == decoded(answer({"content": text}), untagged).text
    for at in range(len(text) + 1):
        pieces = [{"content": text[:at]}, {"content": text[at:]}]
        stream = streamed(*pieces, target=tagged)
        assert expected == (stream.reasoning or None, stream.text)
    letters = streamed(*({"content": letter} for letter in text), target=tagged)
    assert expected == (letters.reasoning or None, letters.text)


def test_state_is_kept_where_it_goes_back():
    """
    Details that the record does not want back are not kept.
    """
    details = [{"type": "reasoning.encrypted", "data": "x"}]
    body = answer({"content": "Hi", "reasoning_details": details})

    wanted = decoded(body, target_of("openrouter"))
    unwanted = decoded(body)

    assert {"openai_chat": {"reasoning_details": details}} == (
        wanted.message.provider_state
    )
    assert unwanted.message.provider_state is None


def test_answer_goes_back_as_it_came():
    """
    An answer with thoughts and a call, put into the next request, is the same on the wire.
    """
    message = {
        "role": "assistant",
        "content": None,
        "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "index": 0}],
        "tool_calls": [
            {"id": "call_9", "type": "function", "function": function(), "x": {"y": 1}}
        ],
    }
    target = target_of("openrouter")

    response = decoded(answer(message), target)
    request = openai_chat.encode_request(
        target,
        ChatCompletionRequest("m", [response.message]),
        stream=False,
        on_unsupported="error",
    )

    assert [message] == request.json()["messages"]


def test_refusal():
    """
    It is apart from the text, and the reason stays.
    """
    response = decoded(answer({"content": None, "refusal": "I cannot."}))

    assert ("", "I cannot.") == (response.text, response.message.refusal)
    assert "stop" == response.finish_reason


def test_transcript_of_a_sound_is_the_text():
    """
    What was spoken can be read.
    """
    response = decoded(answer({"content": None, "audio": {"transcript": "Hello."}}))

    assert "Hello." == response.text


def test_several_choices_in_order():
    """
    They stand in the order of their indexes.
    """
    body = answer({"content": "a"})
    body["choices"] = [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
        *body["choices"],
    ]

    response = decoded(body)

    assert ["a", "b"] == [choice.message.text for choice in response.choices]
    assert "stop" == response.finish_reason


@pytest.mark.parametrize(
    ("raw", "unified"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("normal", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("sensitive", "content_filter"),
        ("insufficient_system_resource", "error"),
        ("something_new", "something_new"),
        (None, None),
    ],
)
def test_finish_reasons(raw, unified):
    """
    Known ones are unified, others kept as they came.
    """
    choice = decoded(answer({"content": "x"}, finish_reason=raw)).choices[0]

    assert (unified, raw) == (choice.finish_reason, choice.raw_finish_reason)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(
            {"tool_calls": [{"id": "a", "function": function("f", '{"x":1}')}]},
            [ToolCall("a", "f", '{"x":1}')],
            id="plain",
        ),
        pytest.param(
            {"tool_calls": [{"function": function()}, {"function": function("g")}]},
            [ToolCall("call_0", "f"), ToolCall("call_1", "g")],
            id="no-ids",
        ),
        pytest.param(
            {"tool_calls": [{"id": "a", "function": function("f", {"x": "ä"})}]},
            [ToolCall("a", "f", '{"x": "ä"}')],
            id="arguments-as-object",
        ),
        pytest.param(
            {"tool_calls": {"id": "a", "function": function("f", "")}},
            [ToolCall("a", "f", "{}")],
            id="one-object-no-list",
        ),
        pytest.param(
            {"function_call": function("f", "{}")},
            [ToolCall("call_0", "f", "{}")],
            id="function-call-of-old",
        ),
        pytest.param({"tool_calls": None}, [], id="null"),
    ],
)
def test_tool_calls_in_their_forms(message, expected):
    """
    Each call has an id, a name and arguments as text; a plain stop beside one is ``tool_calls``.
    """
    response = decoded(answer({"content": None, **message}))

    assert tuple(expected) == response.tool_calls
    assert ("tool_calls" if expected else "stop") == response.finish_reason


def test_unknown_fields_of_a_call_are_kept():
    """
    Signatures beside a call can be sent back.
    """
    call = {"id": "a", "function": function(), "extra_content": {"google": 1}}

    (found,) = decoded(answer({"tool_calls": [call]})).tool_calls

    assert {"openai_chat": {"extra_content": {"google": 1}}} == found.extra


def test_citations_in_their_forms():
    """
    Lists of URLs, search results and annotations are one list, without repetitions by URL.
    """
    note = {"url": "https://c.example", "title": "C", "start_index": 1, "end_index": 4}
    body = answer(
        {
            "content": "x",
            "annotations": [{"type": "url_citation", "url_citation": note}],
        }
    )
    body["citations"] = ["https://a.example"]
    body["search_results"] = [
        {"url": "https://a.example", "title": "A"},
        {"url": "https://b.example", "title": "B"},
    ]

    assert (
        Citation(url="https://a.example", title="A"),
        Citation(url="https://b.example", title="B"),
        Citation(url="https://c.example", title="C", start=1, end=4),
    ) == decoded(body).citations


def test_spark_tells_no_reason_and_no_id():
    """
    What it leaves out is filled in.
    """
    body = {
        "code": 0,
        "message": "Success",
        "sid": "cha1",
        "choices": [{"index": 0, "message": {"content": "你好"}}],
    }

    response = decoded(body)

    assert ("cha1", "stop", "你好") == (
        response.id,
        response.finish_reason,
        response.text,
    )


# Errors inside of answers with a status of success


@pytest.mark.parametrize(
    ("provider", "body", "kind", "status"),
    [
        pytest.param(
            "openrouter",
            {"error": {"code": 429, "message": "Slow down"}},
            RateLimitError,
            429,
            id="error-object",
        ),
        pytest.param(
            "xai", {"error": "Incorrect API key"}, AuthenticationError, 200, id="string"
        ),
        pytest.param(
            "azure_openai",
            {"error": {"code": "content_filter", "message": "No.", "status": 400}},
            ContentFilteredError,
            400,
            id="status-in-body",
        ),
        pytest.param(
            "minimax",
            {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rpm"}},
            RateLimitError,
            200,
            id="base-resp",
        ),
        pytest.param(
            "iflytek_spark",
            {"code": 10013, "message": "no", "sid": "cha1"},
            ContentFilteredError,
            200,
            id="code",
        ),
        pytest.param(
            "openrouter",
            {
                "choices": [
                    {
                        "error": {"code": 502, "message": "down"},
                        "message": {"content": ""},
                    }
                ]
            },
            ServerError,
            502,
            id="choice",
        ),
        pytest.param("", {"detail": "no"}, ApiError, 200, id="detail"),
        pytest.param("", [{"error": {"message": "no"}}], ApiError, 200, id="list"),
    ],
)
def test_error_in_a_body(provider, body, kind, status):
    """
    An error is raised as what it means, with the status that the body tells.
    """
    with pytest.raises(AiLibError) as caught:
        decoded(body, target_of(provider))

    assert kind is type(caught.value)
    assert status == caught.value.status_code


def test_cut_choice_with_an_error_keeps_its_text():
    """
    Text beside an upstream's error is given, and its reason says that it is not whole.
    """
    choice = {"finish_reason": "error", "error": {"code": 502, "message": "down"}}

    response = decoded(answer({"content": "so far"}, **choice))

    assert ("so far", "error") == (response.text, response.finish_reason)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
        b'"text"',
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[null]}',
        b'{"choices":7}',
    ],
    ids=repr,
)
def test_unreadable_body(body):
    """
    What is no answer is an ``InvalidResponseError`` with its first bytes, keys taken out.
    """
    with pytest.raises(InvalidResponseError) as caught:
        decoded(body)

    assert "example" == caught.value.provider
    assert len(caught.value.body) <= 2000


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        "text",
        {"content": 5},
        {"content": [None, 5, {"type": "text"}, {"type": "text", "text": 5}]},
        {"content": "", "tool_calls": [None, 5, {"function": None}, {"function": 1}]},
        {"content": "", "annotations": [{"url_citation": []}]},
        {"content": "", "reasoning_details": [None, 5, {"text": []}]},
    ],
    ids=repr,
)
def test_strange_fields_do_no_harm(message):
    """
    A field of another type than its own is as good as absent.
    """
    response = decoded(answer(message))

    assert "stop" == response.finish_reason or response.tool_calls


# Streams


def test_stream_of_text():
    """
    Chunks hold their pieces; the end mark ends it, whatever white space is around it.
    """
    parser = openai_chat.chunk_parser(target_of())

    found = streamed(
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        chunk_of({}, "stop"),
        ("", " [DONE]\n"),
        parser=parser,
    )

    assert ("Hello", "stop") == (found.text, found.finish)
    assert parser.done
    assert ["", "Hel", "lo", ""] == [chunk.text for chunk in found.chunks]
    assert {("c1", "m-1", 5)} == {
        (chunk.id, chunk.model, chunk.created) for chunk in found.chunks
    }
    assert "assistant" == found.chunks[0].choices[0].delta.role


def test_raw_event_is_kept():
    """
    What this library does not know is there to be read.
    """
    event = chunk_of({"content": "x"}, obfuscation="abc")

    (chunk,) = streamed(event).chunks

    assert event == chunk.raw


def test_chunk_without_anything_gives_nothing():
    """
    Azure's first event holds no choice.
    """
    first = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}

    found = streamed(first, ("", "{}"), ("", ""), ("ping", "{}"), {"content": "x"})

    assert ["x"] == [chunk.text for chunk in found.chunks]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"choices": [], "usage": {"prompt_tokens": 3}}, id="own-chunk"),
        pytest.param(chunk_of({}, "stop", usage={"prompt_tokens": 3}), id="last-chunk"),
        pytest.param(
            {"choices": [{"delta": {}, "usage": {"prompt_tokens": 3}}]}, id="choice"
        ),
        pytest.param(
            {"choices": [], "x_groq": {"usage": {"prompt_tokens": 3}}}, id="x_groq"
        ),
        pytest.param(
            {
                "code": 0,
                "message": "Success",
                "sid": "s",
                "usage": {"prompt_tokens": 3},
            },
            id="spark",
        ),
    ],
)
def test_usage_of_a_stream(event):
    """
    Wherever it comes, the last one counts; nothing is added up.
    """
    earlier = chunk_of({"content": "x"}, usage={"prompt_tokens": 2})
    null = chunk_of({"content": "y"}, usage=None)

    found = streamed(earlier, null, event)

    assert 3 == found.usage.prompt_tokens
    assert "xy" == found.text


@pytest.mark.parametrize(
    ("deltas", "reasoning"),
    [
        pytest.param(
            [{"reasoning_content": "a"}, {"reasoning_content": "b", "content": None}],
            "ab",
            id="reasoning_content",
        ),
        pytest.param([{"reasoning": "a"}, {"reasoning": "b"}], "ab", id="reasoning"),
        pytest.param(
            [
                {"reasoning": "a", "reasoning_details": [{"text": "a"}]},
                {"reasoning_details": [{"summary": "b"}]},
            ],
            "ab",
            id="details",
        ),
        pytest.param(
            [
                {
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": t}]}
                    ]
                }
                for t in "ab"
            ],
            "ab",
            id="parts",
        ),
    ],
)
def test_reasoning_of_a_stream(deltas, reasoning):
    """
    Every form is read in pieces too.
    """
    found = streamed(*deltas, {"content": "Hi"})

    assert (reasoning, "Hi") == (found.reasoning, found.text)


def test_state_of_a_stream_is_joined():
    """
    Pieces of one kind and index are one when they go back; it comes with the end.
    """
    found = streamed(
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Hm"}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "m."}]},
        {
            "reasoning_details": [
                {"type": "reasoning.text", "index": 0, "signature": "s"},
                {"type": "reasoning.encrypted", "index": 1, "data": "d"},
            ]
        },
        target=target_of("openrouter"),
    )

    assert {
        "openai_chat": {
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "index": 0,
                    "text": "Hmm.",
                    "signature": "s",
                },
                {"type": "reasoning.encrypted", "index": 1, "data": "d"},
            ]
        }
    } == found.state


def test_thinking_parts_of_a_stream_are_joined():
    """
    Mistral's thoughts come in pieces and go back as one.
    """
    pieces = [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": one}]}]}
        for one in ("One ", "two")
    ]

    found = streamed(*pieces, target=target_of("mistral"))

    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "One two"}]}
    assert {"openai_chat": {"thinking": [thought]}} == found.state


def piece(arguments="", *, index=None, id=None, name=None):
    """
    A piece of a tool call, with the fields that are given.
    """
    found = {"function": {"arguments": arguments}}
    if name is not None:
        found["function"]["name"] = name
    if index is not None:
        found["index"] = index
    if id is not None:
        found["id"] = id
    return found


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        pytest.param(
            [
                [piece(index=0, id="a", name="f")],
                [piece('{"x"', index=0)],
                [piece(":1}", index=0)],
            ],
            [["a", "f", '{"x":1}']],
            id="by-index",
        ),
        pytest.param(
            [
                [piece(index=0, id="a", name="f")],
                [piece(index=1, id="b", name="g")],
                [piece("1", index=0)],
                [piece("2", index=1)],
            ],
            [["a", "f", "1"], ["b", "g", "2"]],
            id="interleaved",
        ),
        pytest.param(
            [[piece("{}", id="a", name="f"), piece("[]", id="b", name="g")]],
            [["a", "f", "{}"], ["b", "g", "[]"]],
            id="several-whole-without-index",
        ),
        pytest.param(
            [[piece("1", id="a", name="f")], [piece("2")], [piece("3", id="a")]],
            [["a", "f", "123"]],
            id="no-index-last-or-id",
        ),
        pytest.param(
            [
                [piece("1", index=0, id="a", name="f")],
                [piece("2", index=0, id="", name="")],
            ],
            [["a", "f", "12"]],
            id="empty-id-and-name",
        ),
        pytest.param(
            [
                [piece("1", index=0, id="a", name="f")],
                [piece("2", index=0, id="a", name="f")],
            ],
            [["a", "f", "12"]],
            id="both-repeated",
        ),
        pytest.param(
            [
                [piece("1", index=0, id="a", name="f")],
                [piece("2", index=0, id="b", name="f")],
            ],
            [["a", "f", "1"], ["b", "f", "2"]],
            id="one-index-two-calls",
        ),
        pytest.param(
            [
                [piece("1", index=3, id="a", name="f")],
                [piece("2", index=1, id="b", name="g")],
            ],
            [["a", "f", "1"], ["b", "g", "2"]],
            id="indexes-with-holes",
        ),
        pytest.param(
            [[piece("1", index=0, name="f")], [piece("2", index=0)]],
            [["call_0", "f", "12"]],
            id="no-id",
        ),
        pytest.param(
            [[piece({"x": 1}, index=0, id="a", name="f")]],
            [["a", "f", '{"x": 1}']],
            id="object",
        ),
        pytest.param([piece("{}", id="a", name="f")], [["a", "f", "{}"]], id="no-list"),
    ],
)
def test_pieces_of_tool_calls(deltas, calls):
    """
    Each piece goes to its call, under an index of ours; id and name are told once.
    """
    events = [chunk_of({"tool_calls": delta}) for delta in deltas]

    found = streamed(*events, chunk_of({}, "stop"))

    assert calls == [found.calls[index] for index in range(len(calls))]
    assert len(calls) == len(found.calls)
    assert "tool_calls" == found.finish


def test_function_call_of_old_in_pieces():
    """
    OpenAI's former field is a call too.
    """
    found = streamed(
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        chunk_of({}, "function_call"),
    )

    assert {0: ["call_0", "f", "{}"]} == found.calls
    assert "tool_calls" == found.finish


def test_choices_of_a_stream_are_kept_apart():
    """
    With ``n`` above 1 every choice has its own calls.
    """
    events = [
        {
            "choices": [
                {
                    "index": at,
                    "delta": {
                        "tool_calls": [piece(str(at), index=0, id=f"c{at}", name="f")]
                    },
                }
            ]
        }
        for at in (1, 0)
    ]
    parser = openai_chat.chunk_parser(target_of())

    chunks = [chunk for event in events for chunk in parser.feed(frame_of(event))]

    assert [(1, 0, "c1"), (0, 0, "c0")] == [
        (choice.index, call.index, call.id)
        for chunk in chunks
        for choice in chunk.choices
        for call in choice.delta.tool_calls
    ]


def test_message_beside_a_delta_is_a_repetition():
    """
    Perplexity's message holds what has been; one in place of a delta is taken.
    """
    both = chunk_of({"content": "b"})
    both["choices"][0]["message"] = {"content": "ab"}
    alone = {"choices": [{"index": 0, "message": {"content": "c"}}]}

    found = streamed({"content": "a"}, both, alone)

    assert "abc" == found.text


def test_citations_of_a_stream_come_once():
    """
    Some name all sources in every chunk.
    """
    events = [
        chunk_of({"content": "x"}, citations=["https://a.example"]),
        chunk_of(
            {"content": "y"}, citations=["https://a.example", "https://b.example"]
        ),
        {"choices": [], "citations": ["https://c.example"]},
    ]

    found = streamed(*events)

    assert [f"https://{letter}.example" for letter in "abc"] == [
        one.url for one in found.citations
    ]


def test_refusal_and_logprobs_of_a_stream():
    """
    They come in pieces like the text.
    """
    event = chunk_of({"refusal": "No."})
    event["choices"][0]["logprobs"] = {"content": [{"token": "No"}]}

    found = streamed(event)

    assert "No." == found.refusal
    assert {"content": [{"token": "No"}]} == found.chunks[0].choices[0].logprobs


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        pytest.param({"error": {"message": "x", "code": 502}}, ServerError, id="alone"),
        pytest.param(
            ("error", '{"error":{"message":"x","status_code":400}}'),
            InvalidRequestError,
            id="named",
        ),
        pytest.param(("error", "out of luck"), ApiError, id="named-text"),
        pytest.param({"code": 10013, "sid": "s"}, ApiError, id="code"),
        pytest.param(("", '{"choi'), InvalidResponseError, id="cut"),
        pytest.param(("", "[" * 100_000), InvalidResponseError, id="deep"),
    ],
)
def test_error_in_a_stream(event, kind):
    """
    It is raised where it comes.
    """
    parser = openai_chat.chunk_parser(target_of())
    list(parser.feed(frame_of({"content": "a"})))

    with pytest.raises(AiLibError) as caught:
        list(parser.feed(frame_of(event)))

    assert kind is type(caught.value)


def test_text_beside_an_error_comes_first():
    """
    OpenRouter puts an error beside the last words.
    """
    parser = openai_chat.chunk_parser(target_of())
    event = chunk_of({"content": "last"}, "error", error={"code": 502, "message": "x"})

    chunks = iter(parser.feed(frame_of(event)))
    first = next(chunks)

    assert "last" == first.text
    with pytest.raises(ServerError):
        next(chunks)


@pytest.mark.parametrize(
    "data",
    [
        "null",
        "7",
        '"x"',
        "[]",
        '{"choices":null}',
        '{"choices":{"delta":{"content":"x"}}}',
        '{"choices":[null]}',
        '{"choices":[{"delta":7}]}',
        '{"id":1,"model":[],"choices":[{"index":"a","delta":{"content":7}}]}',
        '{"choices":[{"index":-1,"delta":{"tool_calls":[1,{"index":[]}]}}]}',
        '{"choices":[],"usage":{"prompt_tokens":NaN,"total_tokens":1e999}}',
    ],
)
def test_strange_events_do_no_harm(data):
    """
    Whatever is sent, nothing but our errors comes out.
    """
    parser = openai_chat.chunk_parser(target_of())

    chunks = [*parser.feed(("", data)), *parser.finish()]

    assert all(isinstance(chunk.text, str) for chunk in chunks)


# Models


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        pytest.param("", {"data": [{"id": "a"}, {"id": "b"}]}, id="data"),
        pytest.param("", [{"id": "a"}, {"id": "b"}, {}, None], id="bare-list"),
        pytest.param(
            "", {"models": [{"name": "a"}, {"name": "models/b"}]}, id="models"
        ),
        pytest.param(
            "cloudflare",
            {"result": [{"id": "u-1", "name": "a"}, {"id": "u-2", "name": "b"}]},
            id="result",
        ),
    ],
)
def test_lists_of_models(provider, body):
    """
    The list is found under each of its names; what has no name is no model.
    """
    models, more = openai_chat.decode_models(target_of(provider), response_of(body))

    assert ["a", "b"] == [model.id for model in models]
    assert more is None


def test_entry_of_the_model_list():
    """
    What an entry tells is read, and kept as it came.
    """
    entry = {"id": "a", "created": 7, "owned_by": "me", "context_length": 1000}

    ((model,), _) = openai_chat.decode_models(
        target_of(), response_of({"data": [entry]})
    )

    assert ("a", "a", 7, "me", 1000, None, entry) == (
        model.id,
        model.name,
        model.created,
        model.owner,
        model.context_window,
        model.max_output_tokens,
        model.raw,
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": 401, "message": "no"}}, AuthenticationError),
        ({"data": 7}, InvalidResponseError),
        (b"x", InvalidResponseError),
    ],
    ids=["error", "no-list", "no-json"],
)
def test_no_list_of_models(body, kind):
    """
    What is none is an error.
    """
    with pytest.raises(kind):
        openai_chat.decode_models(target_of(), response_of(body))
