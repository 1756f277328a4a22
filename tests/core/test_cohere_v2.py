"""
Cohere's Chat API, version 2: requests, answers, streams, errors and the list of models.
"""

from __future__ import annotations

import json

import attrs
import pytest

from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    Citation,
    Usage,
    UsageStatus,
)
from ai_lib._core.dialects import cohere_v2
from ai_lib._core.errors import (
    ApiError,
    AuthenticationError,
    ContextLengthExceededError,
    IncompleteStreamError,
    InvalidRequestError,
    InvalidResponseError,
    ModelNotFoundError,
    QuotaExhaustedError,
    UnsupportedFeatureError,
)
from ai_lib._core.http import HttpResponse
from ai_lib._core.messages import AudioPart, FilePart, ImagePart, Message, TextPart
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.tools import Tool, ToolCall

SPEC = next(spec for spec in CATALOG if spec.id == "cohere")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("weather", "Tell the weather.", SCHEMA)
CLOCK = Tool("clock")
CALL = ToolCall("weather_1", "weather", '{"city":"Oslo"}')
USAGE = {
    "billed_units": {"input_tokens": 3.0, "output_tokens": 2.0},
    "tokens": {"input_tokens": 90.0, "output_tokens": 12, "reasoning_tokens": 5},
    "cached_tokens": 64,
}


def target_at(model="command-a-plus-05-2026", base_url=SPEC.base_url):
    """
    A target at Cohere.
    """
    return ResolvedTarget(spec=SPEC, model=model, base_url=base_url)


def encoded(
    messages="Hi", *, target=None, stream=False, on_unsupported="warn", **fields
):
    """
    The ``HttpRequest`` for a request of *messages* and *fields*.
    """
    target = target or target_at()
    request = ChatCompletionRequest(target.model, messages, **fields)
    return cohere_v2.encode_request(
        target, request, stream=stream, on_unsupported=on_unsupported
    )


def messages_of(*messages, **more):
    """
    The messages on the wire.
    """
    return encoded(messages, **more).json()["messages"]


def response_of(body, status=200, headers=None):
    """
    An answer with *body*, a JSON value or bytes.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {})


def decoded(message, **more):
    """
    The whole answer that a body with *message* means.
    """
    body = {"id": "b1", "finish_reason": "COMPLETE", "message": message, **more}
    return cohere_v2.decode_response(target_at(), response_of(body))


def event(kind, message=None, **more):
    """
    One server-sent event.
    """
    data = {"type": kind, **more}
    if message is not None:
        data["delta"] = {"message": message}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def begin():
    """
    The first event of a stream.
    """
    return event("message-start", {"role": "assistant", "content": []}, id="s1")


def text(piece, **more):
    """
    The event of a piece of text.
    """
    return event("content-delta", {"content": {"text": piece}}, index=0, **more)


def call(kind, index, **function):
    """
    An event of a tool call.
    """
    more = {"id": f"id_{index}", "type": "function"} if "name" in function else {}
    message = {"tool_calls": {**more, "function": function}}
    return event(f"tool-call-{kind}", message, index=index)


def end(reason="COMPLETE", **delta):
    """
    The last event of a stream.
    """
    return event("message-end", delta={"finish_reason": reason, **delta})


def streamed(*events, size=None):
    """
    The chunks of a stream, and the answer that they add up to; cut into pieces of *size* bytes.
    """
    data = b"".join(events)
    decoder = ChunkDecoder(
        parser=cohere_v2.chunk_parser(target_at()),
        decode_whole=lambda body: cohere_v2.decode_response(
            target_at(), response_of(body)
        ),
        base=ChatCompletionResponse(provider="cohere"),
        content_type="text/event-stream",
    )
    for start in range(0, len(data), size or len(data)):
        decoder.feed(data[start : start + (size or len(data))])
    decoder.feed(b"")
    chunks = []
    while (chunk := decoder.next_chunk()) is not None:
        chunks.append(chunk)
    return chunks, decoder.response


# Requests


def test_least_request_holds_nothing_else():
    """
    What was not asked for is not sent.
    """
    request = encoded()

    assert (
        b'{"model":"command-a-plus-05-2026","messages":[{"role":"user","content":"Hi"}]}'
        == request.body
    )
    assert "https://api.cohere.com/v2/chat" == request.url
    assert "application/json" == request.headers["accept"]
    assert () == request.warnings


@pytest.mark.parametrize("ending", ["", "/v1", "/v2"])
def test_base_url_may_name_a_version(ending):
    """
    Settings of Cohere's own library name one or none.
    """
    target = target_at(base_url="https://cohere.example.com" + ending)

    assert "https://cohere.example.com/v2/chat" == encoded(target=target).url
    assert cohere_v2.models_request(target).url.startswith(
        "https://cohere.example.com/v1/models?endpoint=chat"
    )


def test_parameters_go_under_cohere_s_names():
    """
    Every parameter that there is has its own name there.
    """
    request = encoded(
        stream=True,
        temperature=0.3,
        top_p=0.9,
        top_k=40,
        max_tokens=100,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        stop=["END", "STOP"],
        seed=7,
        logprobs=True,
        n=1,
        parallel_tool_calls=True,
    )

    assert {
        "model": "command-a-plus-05-2026",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.3,
        "p": 0.9,
        "k": 40,
        "max_tokens": 100,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "stop_sequences": ["END", "STOP"],
        "seed": 7,
        "logprobs": True,
        "stream": True,
    } == request.json()
    assert "text/event-stream" == request.headers["accept"]
    assert () == request.warnings


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        pytest.param({"n": 2}, {}, id="n"),
        pytest.param({"top_logprobs": 3}, {}, id="top_logprobs"),
        pytest.param({"user": "u"}, {}, id="user"),
        pytest.param({"metadata": {"a": "b"}}, {}, id="metadata"),
        pytest.param({"tool_choice": "required"}, {}, id="choice of nothing"),
        pytest.param({"top_p": 1.0}, {"p": 0.99}, id="top_p"),
        pytest.param(
            {"presence_penalty": -1.0}, {"presence_penalty": 0}, id="presence_penalty"
        ),
        pytest.param(
            {"stop": list("abcdef")}, {"stop_sequences": list("abcde")}, id="stop"
        ),
    ],
)
def test_what_is_not_taken_is_told(fields, sent):
    """
    A parameter that does not fit is left out or moved, with a warning, or refused by policy.
    """
    plain = encoded().json()

    request = encoded(**fields)

    assert {**plain, **sent} == request.json()
    assert 1 == len(request.warnings)
    assert () == encoded(on_unsupported="drop", **fields).warnings
    with pytest.raises(UnsupportedFeatureError):
        encoded(on_unsupported="error", **fields)


@pytest.mark.parametrize(
    ("effort", "thinking", "warnings"),
    [
        ("none", {"type": "disabled"}, 0),
        ("high", {"type": "enabled"}, 0),
        ("low", {"type": "enabled"}, 1),
    ],
)
def test_reasoning_is_on_or_off(effort, thinking, warnings):
    """
    Thinking has no words for how much.
    """
    request = encoded(reasoning_effort=effort)

    assert thinking == request.json()["thinking"]
    assert warnings == len(request.warnings)


def test_models_that_do_not_think_are_not_asked_to():
    """
    The family says which ones.
    """
    request = encoded(target=target_at("command-a-03-2025"), reasoning_effort="high")

    assert "thinking" not in request.json()
    assert "command-a-03-2025" in request.warnings[0]


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
            {"type": "json_object", "json_schema": SCHEMA},
        ),
        ({"type": "text"}, None),
    ],
    ids=["object", "schema", "text"],
)
def test_response_format(form, sent):
    """
    A schema goes in bare.
    """
    assert sent == encoded(response_format=form).json().get("response_format")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"tools": [WEATHER]}, "tools"),
        ({"extensions": {"documents": [{"data": "x"}]}}, "documents"),
    ],
    ids=["tools", "documents"],
)
def test_response_format_is_left_out_beside_tools_and_documents(fields, word):
    """
    The API refuses both together.
    """
    request = encoded(response_format={"type": "json_object"}, **fields)

    assert "response_format" not in request.json()
    assert word in request.warnings[0]


def test_extensions_come_last():
    """
    Documents and the like are sent as the caller wrote them, in place of ours if need be.
    """
    more = {"documents": [{"data": "x"}], "safety_mode": "STRICT", "k": 3}

    body = encoded(top_k=9, extensions=more).json()

    assert more == {name: body[name] for name in more}


# Tools on the way


def test_tools_are_described():
    """
    One without parameters takes an empty object.
    """
    body = encoded(tools=[WEATHER, CLOCK]).json()

    assert [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tell the weather.",
                "parameters": SCHEMA,
            },
        },
        {
            "type": "function",
            "function": {
                "name": "clock",
                "parameters": {"type": "object", "properties": {}},
            },
        },
    ] == body["tools"]
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("choice", "word", "names"),
    [
        ("auto", None, ["weather", "clock"]),
        ("none", "NONE", ["weather", "clock"]),
        ("required", "REQUIRED", ["weather", "clock"]),
        ("clock", "REQUIRED", ["clock"]),
    ],
)
def test_tool_choice(choice, word, names):
    """
    A single tool is asked for by showing no other.
    """
    body = encoded(tools=[WEATHER, CLOCK], tool_choice=choice).json()

    assert word == body.get("tool_choice")
    assert names == [tool["function"]["name"] for tool in body["tools"]]


def test_tools_of_the_caller_s_own_can_be_chosen():
    """
    Tools in the extensions are tools, too.
    """
    tool = {"type": "function", "function": {"name": "f"}}

    body = encoded(tool_choice="required", extensions={"tools": [tool]}).json()

    assert ([tool], "REQUIRED") == (body["tools"], body["tool_choice"])


def test_older_models_cannot_be_told_to_call():
    """
    They refuse the field, so none means no tools, and required is a wish.
    """
    target = target_at("command-r-08-2024")

    none = encoded(target=target, tools=[WEATHER], tool_choice="none")
    required = encoded(target=target, tools=[WEATHER], tool_choice="required")

    assert not none.json().keys() & {"tools", "tool_choice"}
    assert "tool_choice" not in required.json()
    assert 1 == len(required.warnings)


def test_strict_holds_for_all_tools():
    """
    It is one switch, and setting it for one tool is told to set it for all.
    """
    strict = attrs.evolve(WEATHER, strict=True)

    alone = encoded(tools=[strict])
    mixed = encoded(tools=[strict, CLOCK])

    assert alone.json()["strict_tools"]
    assert () == alone.warnings
    assert 1 == len(mixed.warnings)


# Messages


def test_system_messages_stay_where_they_are():
    """
    Developer and system are one role, anywhere.
    """
    assert [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Be kind."},
    ] == messages_of(
        Message.system("Be brief."),
        Message.user("Hi"),
        Message("developer", "Be kind."),
    )


def test_images_go_as_addresses():
    """
    A URL is passed on, bytes go as a data URL.
    """
    parts = [
        "See:",
        ImagePart.from_url("https://example.com/a.png"),
        ImagePart.from_bytes(b"png", "image/png", detail="low"),
    ]

    (message,) = messages_of(Message.user(parts))

    assert [
        {"type": "text", "text": "See:"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64,cG5n", "detail": "low"},
        },
    ] == message["content"]


@pytest.mark.parametrize(
    "message",
    [
        Message.user([AudioPart.from_bytes(b"x", "audio/wav")]),
        Message.user([FilePart.from_bytes(b"x", "application/pdf")]),
        Message.system([ImagePart.from_bytes(b"x", "image/png")]),
        Message.tool([ImagePart.from_bytes(b"x", "image/png")], "c1"),
    ],
    ids=["sound", "file", "image of the system", "image of a tool"],
)
def test_what_would_change_the_meaning_is_refused(message):
    """
    Content is never dropped, whatever the policy.
    """
    with pytest.raises(UnsupportedFeatureError):
        encoded([message], on_unsupported="drop")


def test_text_before_a_call_is_its_plan():
    """
    A message that calls tools has a plan in place of content; its results follow.
    """
    assert [
        {
            "role": "assistant",
            "tool_plan": "I look it up.",
            "tool_calls": [
                {
                    "id": "weather_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "weather_1", "content": "3 C\nrain"},
    ] == messages_of(
        Message.assistant("I look it up.", tool_calls=[CALL]),
        Message.tool([TextPart("3 C"), TextPart("rain")], "weather_1", name="weather"),
    )


def test_own_plan_and_thinking_go_back():
    """
    What a message that called tools was answered with is sent again as it came.
    """
    answer = decoded(
        {
            "tool_plan": "Look.",
            "content": [{"type": "thinking", "thinking": "Hm."}],
            "tool_calls": [
                {"id": "a", "function": {"name": "weather", "arguments": "{}"}}
            ],
        },
        finish_reason="TOOL_CALL",
    )

    (message,) = messages_of(answer.message)

    assert "Hm.Look." == answer.reasoning
    assert "" == answer.text
    assert "Look." == message["tool_plan"]
    assert [{"type": "thinking", "thinking": "Hm."}] == message["content"]


def test_refusals_and_results_without_a_call():
    """
    A refusal is what was said; a result may have lost its id.
    """
    assert [
        {"role": "assistant", "content": "No."},
        {"role": "tool", "content": "3"},
    ] == messages_of(Message("assistant", refusal="No."), Message("tool", "3"))


def test_state_of_another_dialect_is_ignored():
    """
    Reasoning that was not Cohere's stays at home.
    """
    message = Message(
        "assistant",
        tool_calls=[CALL],
        reasoning="secret",
        provider_state={"anthropic_messages": {"thinking": "secret"}},
    )

    assert b"secret" not in encoded([message]).body


def test_names_of_speakers_are_told_to_be_left_out():
    """
    There is no field for them.
    """
    request = encoded([Message.user("Hi", name="Ann")])

    assert [{"role": "user", "content": "Hi"}] == request.json()["messages"]
    assert 1 == len(request.warnings)


# Answers


def test_whole_answer():
    """
    Text, thinking, usage and finish reason are found where Cohere puts them.
    """
    answer = decoded(
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm."},
                {"type": "text", "text": "He"},
                {"type": "text", "text": "llo"},
            ],
        },
        usage=USAGE,
        logprobs=[{"text": "He", "token_ids": [1], "logprobs": [-0.1]}],
    )

    assert ("b1", "command-a-plus-05-2026", "cohere") == (
        answer.id,
        answer.model,
        answer.provider,
    )
    assert ("Hello", "Hm.", "stop") == (
        answer.text,
        answer.reasoning,
        answer.finish_reason,
    )
    assert answer.message.provider_state is None
    assert (
        Usage(
            prompt_tokens=90,
            completion_tokens=12,
            total_tokens=102,
            cached_tokens=64,
            reasoning_tokens=5,
        )
        == answer.usage
    )
    assert UsageStatus.FINALIZED == answer.usage_status
    assert "He" == answer.choices[0].logprobs["content"][0]["text"]


@pytest.mark.parametrize(
    ("raw", "unified"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR", "error"),
        ("TIMEOUT", "error"),
        ("SOMETHING_NEW", "SOMETHING_NEW"),
        (None, None),
    ],
)
def test_finish_reasons(raw, unified):
    """
    Known ones are unified, others kept, and the raw one is always beside.
    """
    answer = decoded({"content": "x"}, finish_reason=raw)

    assert unified == answer.finish_reason
    assert raw == answer.choices[0].raw_finish_reason


@pytest.mark.parametrize("arguments", ["null", "", None, "{}", {}])
def test_no_arguments_are_an_empty_object(arguments):
    """
    Cohere writes null for a tool without parameters.
    """
    item = {"id": "a", "function": {"name": "f", "arguments": arguments}}

    answer = decoded({"tool_calls": [item]})

    assert (ToolCall("a", "f", "{}"),) == answer.tool_calls
    assert "tool_calls" == answer.finish_reason


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, None),
        (None, None),
        ({"billed_units": {"input_tokens": 3.0, "output_tokens": 4.0}}, (3, 4, 7)),
        ({"tokens": {"output_tokens": 4}}, (0, 4, 4)),
    ],
    ids=["empty", "none", "billed only", "half"],
)
def test_usage_in_other_forms(usage, expected):
    """
    Tokens count before what is billed; nothing told is no usage.
    """
    found = decoded({"content": "x"}, usage=usage).usage

    counts = found and (
        found.prompt_tokens,
        found.completion_tokens,
        found.total_tokens,
    )
    assert expected == counts


def test_citations():
    """
    Each source is one; places count only where they are places in the text.
    """
    cited = {"start": 0, "end": 4, "text": "Ruby", "type": "TEXT_CONTENT"}
    tool = {"type": "tool", "id": "f:0", "tool_output": {"content": "Ruby"}}
    page = {
        "type": "document",
        "id": "d:0",
        "document": {"url": "https://example.com", "title": "T"},
    }

    answer = decoded(
        {
            "content": [{"type": "text", "text": "Ruby."}],
            "citations": [
                {**cited, "sources": [tool, page]},
                {**cited, "type": "PLAN", "sources": [tool]},
                {"start": 1, "end": 2, "text": "u"},
            ],
        }
    )

    assert (
        Citation(title="f:0", start=0, end=4, text="Ruby"),
        Citation(url="https://example.com", title="T", start=0, end=4, text="Ruby"),
        Citation(title="f:0", text="Ruby"),
        Citation(start=1, end=2, text="u"),
    ) == answer.citations


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"id": "x", "message": "invalid request"}, ApiError),
        (
            {"message": {"content": []}, "finish_reason": "ERROR", "error": "broken"},
            ApiError,
        ),
        ({"id": "x"}, InvalidResponseError),
        ([], InvalidResponseError),
        (b"<html>", InvalidResponseError),
        (b"", InvalidResponseError),
        (b"[" * 100_000, InvalidResponseError),
    ],
    ids=["message", "error", "neither", "list", "page", "nothing", "deep"],
)
def test_bodies_that_are_no_answer(body, error):
    """
    Success in the status alone is not enough.
    """
    with pytest.raises(error):
        cohere_v2.decode_response(target_at(), response_of(body))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"message": "too many tokens: 5 over"}, ContextLengthExceededError),
        (
            400,
            {"error_type": "TOO_MANY_TOKENS", "message": "?"},
            ContextLengthExceededError,
        ),
        (400, {"message": "bad"}, InvalidRequestError),
        (401, {"message": "invalid api token"}, AuthenticationError),
        (404, {"message": "model 'x' not found, or no access"}, ModelNotFoundError),
        (
            429,
            {"message": "You are using a Trial key, limited to 1000 API calls / month"},
            QuotaExhaustedError,
        ),
        (498, {"message": "invalid token"}, AuthenticationError),
    ],
)
def test_error_statuses(status, body, error):
    """
    Codes and words say what a status means, and the trace id is kept.
    """
    headers = {"x-debug-trace-id": "t1"}

    found = cohere_v2.decode_error(target_at(), response_of(body, status, headers))

    assert error is type(found)
    assert (status, "t1") == (found.status_code, found.request_id)


# Streams


ANSWER = (
    begin(),
    event("content-start", {"content": {"type": "thinking", "thinking": ""}}, index=0),
    event("content-delta", {"content": {"thinking": "Hm"}}, index=0),
    event("content-delta", {"content": {"thinking": "."}}, index=0),
    event("content-end", index=0),
    event("content-start", {"content": {"type": "text", "text": ""}}, index=1),
    text("Ru", logprobs={"text": "Ru", "logprobs": [-0.5]}),
    text("by 💎"),
    event(
        "citation-start",
        {
            "citations": {
                "start": 0,
                "end": 4,
                "text": "Ruby",
                "sources": [{"type": "tool", "id": "f:0", "tool_output": {}}],
            }
        },
        index=0,
    ),
    event("citation-end", index=0),
    event("debug", prompt="…"),
    event("content-end", index=1),
    end(usage=USAGE),
    b"data: [DONE]\n\n",
)


@pytest.mark.parametrize("size", [None, 1, 7, 100])
def test_stream_of_text(size):
    """
    However it is cut, a stream adds up to the whole answer.
    """
    chunks, answer = streamed(*ANSWER, size=size)

    assert ("s1", "Ruby 💎", "Hm.", "stop") == (
        answer.id,
        answer.text,
        answer.reasoning,
        answer.finish_reason,
    )
    assert 102 == answer.usage.total_tokens
    assert (Citation(title="f:0", start=0, end=4, text="Ruby"),) == answer.citations
    assert [{"text": "Ru", "logprobs": [-0.5]}] == answer.choices[0].logprobs["content"]
    assert answer.message.provider_state is None
    assert "assistant" == chunks[0].choices[0].delta.role
    assert {"s1"} == {chunk.id for chunk in chunks}
    assert "Ruby 💎" == "".join(chunk.text for chunk in chunks)


def test_stream_of_calls():
    """
    Calls come in pieces, in any order; a plan comes before them and is kept for the next request.
    """
    _, answer = streamed(
        begin(),
        event("tool-plan-delta", {"tool_plan": "I "}),
        event("tool-plan-delta", {"tool_plan": "look."}),
        call("start", 0, name="weather", arguments=""),
        call("delta", 0, arguments='{"city"'),
        call("start", 1, name="clock", arguments=""),
        call("delta", 1, arguments="nu"),
        call("delta", 0, arguments=':"Oslo"}'),
        call("delta", 1, arguments="ll"),
        event("tool-call-end", index=1),
        end("TOOL_CALL", usage=USAGE),
    )

    assert (
        ToolCall("id_0", "weather", '{"city":"Oslo"}'),
        ToolCall("id_1", "clock", "{}"),
    ) == answer.tool_calls
    assert ("", "I look.", "tool_calls") == (
        answer.text,
        answer.reasoning,
        answer.finish_reason,
    )
    assert {"cohere_v2": {"tool_plan": "I look."}} == answer.message.provider_state
    assert "I look." == messages_of(answer.message)[0]["tool_plan"]


def test_pieces_of_a_call_are_numbered_from_zero():
    """
    Whatever number the wire begins with, the first call is the first.
    """
    chunks, answer = streamed(
        begin(),
        call("start", 3, name="clock", arguments="{"),
        call("delta", 3, arguments="}"),
        end("TOOL_CALL"),
    )

    pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls]
    assert {0} == {piece.index for piece in pieces}
    assert (ToolCall("id_3", "clock", "{}"),) == answer.tool_calls


def test_nothing_follows_the_end_mark():
    """
    The last event ends the stream, whatever else is sent.
    """
    _, answer = streamed(begin(), text("a"), end(), text("b"))

    assert "a" == answer.text


def test_what_says_nothing_gives_no_chunk():
    """
    Unknown, odd and empty events are passed over.
    """
    chunks, answer = streamed(
        begin(),
        b"data: [1]\n\n",
        b"data:  \n\n",
        event("heartbeat", at=1),
        event("content-start", {"content": {"type": "text", "text": ""}}, index=0),
        event("tool-plan-delta", {"tool_plan": ""}),
        event("citation-start", {"citations": []}),
        event("something-new", {"content": {"text": "?"}}),
        call("delta", 0, arguments=""),
        end(),
    )

    assert (1, "", "stop") == (len(chunks), answer.text, answer.finish_reason)


def test_done_is_an_end_mark_too():
    """
    Mostly it follows the last event; alone it ends the stream as well.
    """
    _, answer = streamed(begin(), text("a"), b"data: [DONE]\n\n", text("b"))

    assert ("a", None) == (answer.text, answer.finish_reason)


def test_stream_that_breaks_off():
    """
    Without the last event an answer is not whole.
    """
    with pytest.raises(IncompleteStreamError) as caught:
        streamed(begin(), text("Hel"))

    assert "Hel" == caught.value.partial.text


@pytest.mark.parametrize(
    "last",
    [
        end("ERROR", error="invalid tool generation", usage={}),
        b'event: error\ndata: {"error":"internal error"}\n\n',
        b'data: {"message":"internal error"}\n\n',
    ],
    ids=["end", "event", "bare"],
)
def test_errors_in_a_stream_are_raised(last):
    """
    An error after the first words comes with them.
    """
    with pytest.raises(ApiError) as caught:
        streamed(begin(), text("Hel"), last)

    assert "Hel" == caught.value.partial.text


def test_error_in_the_end_has_its_code():
    """
    What went wrong is told in the code and the words.
    """
    with pytest.raises(InvalidRequestError, match="Try other tools") as caught:
        streamed(
            begin(),
            end("ERROR", error="Try other tools", error_type="INVALID_TOOL_GENERATION"),
        )

    assert "INVALID_TOOL_GENERATION" == caught.value.code


def test_stream_answered_with_a_body():
    """
    A whole answer in place of a stream is one chunk.
    """
    body = {"id": "b", "finish_reason": "COMPLETE", "message": {"content": "Hi"}}

    chunks, answer = streamed(json.dumps(body).encode())

    assert (1, "Hi", "stop") == (len(chunks), answer.text, answer.finish_reason)


def test_garbage_in_a_stream():
    """
    What is no JSON cannot be read.
    """
    with pytest.raises(InvalidResponseError):
        streamed(begin(), b"data: {nonsense\n\n", end())


# Models


def test_models_and_their_pages():
    """
    Deprecated models are left out, and the next page is asked for with its token.
    """
    body = {
        "models": [
            {"name": "command-new", "context_length": 256000.0},
            {"name": "command-old", "is_deprecated": True},
            {"name": ""},
            "junk",
        ],
        "next_page_token": "a/b=",
    }

    models, more = cohere_v2.decode_models(target_at(), response_of(body))

    assert [("command-new", 256000)] == [(one.id, one.context_window) for one in models]
    assert more.url.endswith(
        "/v1/models?endpoint=chat&page_size=1000&page_token=a%2Fb%3D"
    )
    assert "GET" == more.method


def test_last_page_of_models():
    """
    An empty token ends the list.
    """
    body = {"models": [], "next_page_token": ""}

    assert ([], None) == cohere_v2.decode_models(target_at(), response_of(body))


@pytest.mark.parametrize(
    ("body", "error"),
    [({"message": "no"}, ApiError), ({"data": []}, InvalidResponseError)],
    ids=["error", "another list"],
)
def test_no_list_of_models(body, error):
    """
    A body without the list is an error.
    """
    with pytest.raises(error):
        cohere_v2.decode_models(target_at(), response_of(body))
