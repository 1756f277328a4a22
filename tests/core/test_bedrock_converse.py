"""
Amazon Bedrock's Converse: requests, answers, event streams, errors, lists of models and signatures.
"""

from __future__ import annotations

import json
import struct
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import ModuleType, SimpleNamespace

import attrs
import pytest
from driving import drive
from faults import PATIENCE
from forks import in_child

from ai_lib._core.call import Call
from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import (
    ChatCompletionRequest,
    Citation,
    Usage,
    UsageStatus,
)
from ai_lib._core.client import ClientCore
from ai_lib._core.dialects import bedrock_converse
from ai_lib._core.errors import (
    AiLibError,
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ContextLengthExceededError,
    IncompleteStreamError,
    InvalidRequestError,
    InvalidResponseError,
    MissingApiKeyError,
    ModelNotFoundError,
    RateLimitError,
    ServerError,
    UnsupportedFeatureError,
)
from ai_lib._core.flow import Close, Run, Send
from ai_lib._core.http import HttpRequest, HttpResponse, Signature
from ai_lib._core.messages import AudioPart, FilePart, ImagePart, Message, TextPart
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.secrets import Secret
from ai_lib._core.settings import Settings
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.targets import Target, resolve
from ai_lib._core.timeouts import Timeout
from ai_lib._core.tools import Tool, ToolCall
from ai_lib._host import aws, sign

SPEC = next(spec for spec in CATALOG if spec.id == "bedrock")
BASE = "https://bedrock-runtime.us-east-1.amazonaws.com"
NOVA = "amazon.nova-lite-v1:0"
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("weather", "Tell the weather.", SCHEMA)
CALL = ToolCall("t1", "weather", '{"city":"Oslo"}')
SIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s=="}}}
HIDDEN = {"reasoningContent": {"redactedContent": "cmVk"}}


def target_at(model=NOVA, base_url=BASE):
    """
    A target at Bedrock.
    """
    return ResolvedTarget(spec=SPEC, model=model, base_url=base_url)


def encoded(
    messages="Hi", *, model=NOVA, stream=False, on_unsupported="warn", **fields
):
    """
    The ``HttpRequest`` for a request of *messages* and *fields*.
    """
    return bedrock_converse.encode_request(
        target_at(model),
        ChatCompletionRequest(model, messages, **fields),
        stream=stream,
        on_unsupported=on_unsupported,
    )


def body_of(messages="Hi", **more):
    """
    The body on the wire.
    """
    return encoded(messages, **more).json()


def turns_of(*messages, **more):
    """
    The messages on the wire.
    """
    return body_of(messages, **more)["messages"]


def response_of(body, status=200, headers=None):
    """
    An answer with *body*, a JSON value or bytes.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {})


def decoded(*blocks, model=NOVA, **more):
    """
    The whole answer that a body with *blocks* means.
    """
    message = {"role": "assistant", "content": list(blocks)}
    body = {"output": {"message": message}, "stopReason": "end_turn", **more}
    return bedrock_converse.decode_response(target_at(model), response_of(body))


def header(name, value):
    """
    One header of a message: its name, the type of a string, its value.
    """
    name, value = name.encode(), value.encode()
    return (
        struct.pack(">B", len(name)) + name + struct.pack(">BH", 7, len(value)) + value
    )


def message(kind, payload, *, is_event=True):
    """
    One message of the event stream, both checksums right.
    """
    sort = "event" if is_event else "exception"
    head = header(":message-type", sort) + header(f":{sort}-type", kind)
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    prelude = struct.pack(">II", len(head) + len(data) + 16, len(head))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + data
    return start + struct.pack(">I", zlib.crc32(start))


def delta(index=0, **said):
    """
    The message of a piece of a block.
    """
    piece = {"contentBlockIndex": index, "delta": said, "p": "abc"}
    return message("contentBlockDelta", piece)


def begin(index, **tool):
    """
    The message with which a tool's block begins.
    """
    start = {"contentBlockIndex": index, "start": {"toolUse": tool}}
    return message("contentBlockStart", start)


def stop(index=0):
    """
    The message with which a block ends.
    """
    return message("contentBlockStop", {"contentBlockIndex": index})


BEGIN = message("messageStart", {"role": "assistant"})
METADATA = message(
    "metadata",
    {"usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}},
)


def end(reason="end_turn"):
    """
    The message with which the answer ends.
    """
    return message("messageStop", {"stopReason": reason})


def streamed(*messages, size=None, model=NOVA):
    """
    The answer that a stream adds up to; cut into pieces of *size* bytes.
    """
    data = b"".join(messages)
    decoder = ChunkDecoder(
        parser=bedrock_converse.chunk_parser(target_at(model)),
        decode_whole=lambda body: bedrock_converse.decode_response(
            target_at(model), HttpResponse(status=200, body=body)
        ),
    )
    size = size or len(data)
    for at in range(0, len(data), size):
        decoder.feed(data[at : at + size])
        while decoder.next_chunk() is not None:
            pass
    decoder.feed(b"")
    while decoder.next_chunk() is not None:
        pass
    return decoder.response


# Requests


def test_request_is_what_the_api_describes():
    """
    System, turns, parameters, tools and the model's own fields each have their place.
    """
    request = encoded(
        [Message.system("Be brief."), Message.user("Hi")],
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        max_tokens=20,
        stop="END",
        metadata={"team": "a"},
        tools=[WEATHER],
        tool_choice="required",
        extensions={"guardrailConfig": {"guardrailIdentifier": "g"}},
    )

    assert {
        "system": [{"text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "inferenceConfig": {
            "maxTokens": 20,
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["END"],
        },
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "weather",
                        "description": "Tell the weather.",
                        "inputSchema": {"json": SCHEMA},
                    }
                }
            ],
            "toolChoice": {"any": {}},
        },
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 3}},
        "requestMetadata": {"team": "a"},
        "guardrailConfig": {"guardrailIdentifier": "g"},
    } == request.json()
    assert () == request.warnings


@pytest.mark.parametrize(
    ("stream", "way", "accept"),
    [
        pytest.param(False, "converse", "application/json", id="whole"),
        pytest.param(
            True, "converse-stream", "application/vnd.amazon.eventstream", id="stream"
        ),
    ],
)
def test_model_stands_in_the_path_escaped(stream, way, accept):
    """
    Colons and slashes of a model's name are no part of the path.
    """
    model = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x-v1:0"

    request = encoded(model=model, stream=stream)

    escaped = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x-v1%3A0"
    assert f"{BASE}/model/{escaped}/{way}" == request.url
    assert accept == request.headers["accept"]


def test_bare_request_has_messages_only():
    """
    Nothing is sent that was not asked for.
    """
    assert ["messages"] == list(body_of())


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        pytest.param("us.amazon.nova-2-lite-v1:0", {"inferenceConfig": {"topK": 4}}, id="nova"),
        pytest.param("cohere.command-r-v1:0", {"k": 4}, id="cohere"),
        pytest.param("anthropic.claude-haiku-4-5-20251001-v1:0", {"top_k": 4}, id="claude"),
        pytest.param("meta.llama3-70b-instruct-v1:0", None, id="llama"),
    ],
)  # fmt: skip
def test_top_k_goes_where_the_model_looks_for_it(model, fields):
    """
    It is among the model's own fields, under its maker's name; where there is none it is left out.
    """
    request = encoded(model=model, top_k=4)

    assert fields == request.json().get("additionalModelRequestFields")
    assert bool(fields) != bool(request.warnings)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param({"seed": 1}, id="seed"),
        pytest.param({"n": 2}, id="n"),
        pytest.param({"frequency_penalty": 0.5}, id="penalty"),
        pytest.param({"logprobs": True}, id="logprobs"),
        pytest.param({"user": "u"}, id="user"),
        pytest.param({"tool_choice": "required"}, id="tool_choice"),
        pytest.param({"parallel_tool_calls": False, "tools": [WEATHER]}, id="parallel"),
        pytest.param({"tools": [attrs.evolve(WEATHER, strict=True)]}, id="strict"),
    ],
)
def test_what_it_lacks_is_left_out_by_policy(field):
    """
    It is warned of, refused or dropped, as was asked for.
    """
    warned = encoded(**field)

    assert 1 == len(warned.warnings)
    assert () == encoded(**field, on_unsupported="drop").warnings
    with pytest.raises(UnsupportedFeatureError, match="bedrock does not take"):
        encoded(**field, on_unsupported="error")


def test_temperature_is_moved_into_its_range():
    """
    Above one is one.
    """
    request = encoded(temperature=1.5)

    assert {"temperature": 1} == request.json()["inferenceConfig"]
    assert 1 == len(request.warnings)


def test_newer_claude_takes_no_sampling():
    """
    What is answered with 400 is left out; a value that changes nothing without a word.
    """
    model = "us.anthropic.claude-haiku-5-5"

    request = encoded(model=model, temperature=0.2, top_p=1, top_k=5)

    assert ["messages"] == list(request.json())
    assert [f"bedrock does not take {name} with {model}: it was left out." for name in ("temperature", "top_k")] == list(request.warnings)  # fmt: skip


def test_claude_takes_one_way_of_sampling():
    """
    Of a temperature and ``top_p`` the first is sent.
    """
    request = encoded(model=SONNET, temperature=0.2, top_p=0.5)

    assert {"temperature": 0.2} == request.json()["inferenceConfig"]
    assert "together with temperature" in request.warnings[0]


def test_sampling_that_excludes_thinking():
    """
    An older Claude takes none while it thinks; a ``top_k`` at its side then neither.
    """
    request = encoded(
        model=SONNET, temperature=0.2, top_k=5, reasoning_effort="low", max_tokens=9000
    )

    assert {"maxTokens": 9000} == request.json()["inferenceConfig"]
    assert "while it thinks" in request.warnings[0]


# Thinking


@pytest.mark.parametrize(
    ("model", "effort", "fields", "warned"),
    [
        pytest.param("us.anthropic.claude-haiku-5-5", "low", {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}}, False, id="claude-5"),
        pytest.param("us.anthropic.claude-sonnet-5-5", "none", {"thinking": {"type": "between_tools"}}, True, id="claude-5.5-none"),
        pytest.param(SONNET, "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}, False, id="budget"),
        pytest.param("openai.gpt-oss-120b-1:0", "medium", {"reasoning_effort": "medium"}, False, id="gpt-oss"),
        pytest.param("openai.gpt-oss-120b-1:0", "none", {"reasoning_effort": "low"}, True, id="gpt-oss-none"),
        pytest.param("qwen.qwen3-32b-v1:0", "high", {"reasoning_config": "high"}, False, id="qwen"),
        pytest.param("qwen.qwen3-32b-v1:0", "none", None, False, id="qwen-none"),
        pytest.param("global.amazon.nova-2-lite-v1:0", "xhigh", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}, True, id="nova-2"),
        pytest.param("global.amazon.nova-2-lite-v1:0", "none", {"reasoningConfig": {"type": "disabled"}}, False, id="nova-2-none"),
        pytest.param(NOVA, "low", None, True, id="nova-1"),
        pytest.param(NOVA, "none", None, False, id="nova-1-none"),
        pytest.param("mistral.mistral-large-2407-v1:0", "low", None, True, id="mistral"),
    ],
)  # fmt: skip
def test_effort_is_said_in_the_words_of_the_model(model, effort, fields, warned):
    """
    It goes among the model's own fields; what is said otherwise or not at all is warned of.
    """
    request = encoded(model=model, reasoning_effort=effort)

    assert fields == request.json().get("additionalModelRequestFields")
    assert warned == bool(request.warnings)


@pytest.mark.parametrize(
    ("limit", "budget"),
    [
        pytest.param(1000, None, id="no-room"),
        pytest.param(1500, 1024, id="least"),
        pytest.param(4000, 2000, id="half"),
        pytest.param(20000, 8192, id="enough"),
    ],
)
def test_budget_of_thinking_fits_into_the_answer(limit, budget):
    """
    It is smaller than the bound of the whole, or not sent.
    """
    body = body_of(model=SONNET, reasoning_effort="medium", max_tokens=limit)

    own = body.get("additionalModelRequestFields", {})
    assert budget == own.get("thinking", {}).get("budget_tokens")


def test_forced_call_is_asked_for_in_words_while_it_thinks():
    """
    Claude refuses to be made to call a tool then.
    """
    request = encoded(
        model=SONNET, tools=[WEATHER], tool_choice="weather", reasoning_effort="low"
    )

    body = request.json()
    assert {"auto": {}} == body["toolConfig"]["toolChoice"]
    assert [{"text": "Call the tool weather before you answer."}] == body["system"]
    assert "while it thinks" in request.warnings[0]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        pytest.param("auto", {"auto": {}}, id="auto"),
        pytest.param("required", {"any": {}}, id="required"),
        pytest.param("weather", {"tool": {"name": "weather"}}, id="named"),
    ],
)
def test_tool_choice(choice, sent):
    """
    Each has its word.
    """
    assert sent == body_of(tools=[WEATHER], tool_choice=choice)["toolConfig"]["toolChoice"]  # fmt: skip


def test_tool_without_parameters_has_an_object_of_none():
    """
    A schema is due in any case.
    """
    (tool,) = body_of(tools=[Tool("now")])["toolConfig"]["tools"]

    schema = {"json": {"type": "object", "properties": {}}}
    assert {"toolSpec": {"name": "now", "inputSchema": schema}} == tool


# Structured output


def form_of(schema):
    """
    A ``response_format`` of *schema*.
    """
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def test_schema_is_a_field_of_claude():
    """
    It is closed, and without keywords that are refused.
    """
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "array", "items": {"type": "object"}, "maxItems": 3}
        },
    }

    request = encoded(
        model="us.anthropic.claude-haiku-5-5",
        response_format=form_of(schema),
        reasoning_effort="low",
    )

    config = request.json()["additionalModelRequestFields"]["output_config"]
    item = {"type": "object", "additionalProperties": False}
    assert {
        "effort": "low",
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"minimum": {"type": "array", "items": item}},
                "additionalProperties": False,
            },
        },
    } == config
    assert "maxItems" in request.warnings[0]


def test_schema_is_a_tool_that_must_be_called():
    """
    A model without a field for it gives its answer as the input of a tool.
    """
    request = encoded(response_format=form_of(SCHEMA))

    config = request.json()["toolConfig"]
    assert {"tool": {"name": "answer_as_json"}} == config["toolChoice"]
    assert SCHEMA == config["tools"][0]["toolSpec"]["inputSchema"]["json"]
    assert () == request.warnings


@pytest.mark.parametrize(
    ("form", "more"),
    [
        pytest.param({"type": "json_object"}, {}, id="json_object"),
        pytest.param(form_of(SCHEMA), {"tools": [WEATHER]}, id="beside-tools"),
        pytest.param(form_of(SCHEMA), {"model": "openai.gpt-oss-20b-1:0"}, id="no-choice"),
    ],
)  # fmt: skip
def test_json_is_asked_for_in_words_else(form, more):
    """
    Where there is neither, the system message says it, and a warning that it does.
    """
    request = encoded(response_format=form, **more)

    assert "JSON object" in request.json()["system"][0]["text"]
    assert 1 == len(request.warnings)


def test_text_is_no_format():
    """
    Asking for text asks for nothing.
    """
    assert ["messages"] == list(body_of(response_format={"type": "text"}))


# Conversations


def test_tool_loop_keeps_pairs_and_order():
    """
    Results stand in one user's turn before its words, in the order of the calls.
    """
    sent = turns_of(
        Message.user("Hi"),
        Message.assistant("Let me see.", tool_calls=[CALL, ToolCall("t2", "now")]),
        Message.user("Well?"),
        Message.tool("3 C", "t1"),
        Message.tool("noon", "t2"),
        tools=[WEATHER],
    )

    assert ["user", "assistant", "user"] == [one["role"] for one in sent]
    use = {"toolUseId": "t1", "name": "weather", "input": {"city": "Oslo"}}
    assert [
        {"text": "Let me see."},
        {"toolUse": use},
        {"toolUse": {"toolUseId": "t2", "name": "now", "input": {}}},
    ] == sent[1]["content"]
    assert [
        {"toolResult": {"toolUseId": "t1", "content": [{"text": "3 C"}]}},
        {"toolResult": {"toolUseId": "t2", "content": [{"text": "noon"}]}},
        {"text": "Well?"},
    ] == sent[2]["content"]


def test_foreign_ids_are_made_fit_and_unique():
    """
    Ids of other providers may be used twice and hold any characters; calls and results still fit.
    """
    odd = "fc:" + "x" * 100

    sent = turns_of(
        Message.user("Hi"),
        Message.assistant(tool_calls=[ToolCall("call_0", "a"), ToolCall(odd, "b")]),
        Message.tool("1", "call_0"),
        Message.tool("2", odd),
        Message.assistant(tool_calls=[ToolCall("call_0", "a")]),
        Message.tool("3", "call_0"),
        tools=[WEATHER],
    )

    calls = [
        block["toolUse"]["toolUseId"]
        for turn in sent[1::2]
        for block in turn["content"]
    ]
    results = [
        block["toolResult"]["toolUseId"]
        for turn in sent[2::2]
        for block in turn["content"]
    ]
    assert calls == results
    assert 3 == len(set(calls))
    assert "call_0" == calls[0]
    assert all(len(one) <= 64 and one.replace("_", "").isalnum() for one in calls)  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="none-described"),
        pytest.param({"tools": [WEATHER], "tool_choice": "none"}, id="none-wanted"),
    ],
)
def test_calls_are_text_where_no_tools_are_sent(more):
    """
    Blocks of tools are refused then; what happened is still told.
    """
    messages = [
        Message.user("Hi"),
        Message.assistant(tool_calls=[CALL]),
        Message.tool("3 C", "t1"),
    ]

    request = encoded(messages, **more)

    sent = request.json()
    assert "toolConfig" not in sent
    assert [
        [{"text": "Hi"}],
        [{"text": '[called weather with {"city":"Oslo"}]'}],
        [{"text": "[weather gave]"}, {"text": "3 C"}],
    ] == [one["content"] for one in sent["messages"]]
    assert 1 == len(request.warnings)


def test_result_is_json_where_the_model_takes_no_other():
    """
    An object goes as it is, anything else within one.
    """
    sent = turns_of(
        Message.user("Hi"),
        Message.assistant(tool_calls=[CALL, ToolCall("t2", "now")]),
        Message.tool('{"c": 3}', "t1"),
        Message.tool("noon", "t2"),
        tools=[WEATHER],
        model="mistral.mistral-large-2407-v1:0",
    )

    contents = [one["toolResult"]["content"] for one in sent[2]["content"]]
    assert [[{"json": {"c": 3}}], [{"json": {"result": "noon"}}]] == contents


def test_turns_alternate_and_begin_with_the_user():
    """
    Neighbours are joined, blank texts left out, an answer's last white space too.
    """
    request = encoded(
        [
            Message.assistant("Hello."),
            Message.user("a"),
            Message.user(["b", " "]),
            Message.user("\n"),
            Message.assistant("So: \n"),
        ]
    )

    assert [
        ("user", [{"text": "."}]),
        ("assistant", [{"text": "Hello."}]),
        ("user", [{"text": "a"}, {"text": "b"}]),
        ("assistant", [{"text": "So:"}]),
    ] == [(one["role"], one["content"]) for one in request.json()["messages"]]
    assert "a dot was sent" in request.warnings[0]


def test_what_says_nothing_is_no_turn():
    """
    An empty answer between two messages of the user's leaves one turn; the name of a user is left out.
    """
    request = encoded(
        [Message.user("a", name="Ann"), Message.assistant(), Message.user("b")]
    )

    (turn,) = request.json()["messages"]
    assert [{"text": "a"}, {"text": "b"}] == turn["content"]
    assert "the name of a message" in request.warnings[0]


def test_result_without_an_id_is_of_the_oldest_open_call():
    """
    Some formats have no ids.
    """
    sent = turns_of(
        Message.user("Hi"),
        Message.assistant(tool_calls=[CALL, ToolCall("t2", "now")]),
        Message("tool", "3 C"),
        Message("tool", "noon"),
        Message("tool", "lost"),
        tools=[WEATHER],
    )

    ids = [one["toolResult"]["toolUseId"] for one in sent[2]["content"]]
    assert ["t1", "t2"] == ids[:2]
    assert ids[2].startswith("tooluse_")


def test_late_system_message_is_within_the_users_turn():
    """
    There is no place for it between turns.
    """
    messages = [
        Message.system("A"),
        Message.user("Hi"),
        Message.system("B"),
        Message(role="developer", content="C"),
    ]

    request = encoded(messages)

    body = request.json()
    assert [{"text": "A"}] == body["system"]
    texts = [block["text"] for block in body["messages"][0]["content"]]
    assert ["Hi", "<system>\nB\n</system>", "<system>\nC\n</system>"] == texts
    assert 1 == len(request.warnings)


def test_system_message_alone_is_the_users():
    """
    A conversation without a user's message is refused.
    """
    body = body_of([Message.system("Speak.")])

    assert {"messages": [{"role": "user", "content": [{"text": "Speak."}]}]} == body


def test_sealed_reasoning_goes_back_to_its_model_only():
    """
    Signed and hidden blocks stand before the text; another model is not given them.
    """
    answer = decoded(SIGNED, HIDDEN, {"text": "Hi"}, model=SONNET).message

    same = turns_of(Message.user("?"), answer, Message.user("!"), model=SONNET)
    other = turns_of(Message.user("?"), answer, Message.user("!"), model=NOVA)

    assert [SIGNED, HIDDEN, {"text": "Hi"}] == same[1]["content"]
    assert [{"text": "Hi"}] == other[1]["content"]


def test_foreign_state_and_refusals():
    """
    What another dialect kept is ignored; a refusal is what was said.
    """
    state = {"anthropic_messages": {"content": [{"type": "thinking"}]}}
    refused = Message("assistant", "", refusal="No.", provider_state=state)

    sent = turns_of(Message.user("?"), refused, Message.user("!"))

    assert [{"text": "No."}] == sent[1]["content"]


# Media


def test_media_are_bytes_or_in_s3():
    """
    Images and documents are sent with their format; a document has a name that is taken.
    """
    sent = turns_of(
        Message.user(
            [
                ImagePart.from_bytes(b"\x89PNG", "image/png"),
                ImagePart.from_url("s3://bucket/cat.webp"),
                FilePart.from_bytes(b"%PDF", "application/pdf", name="My_file v1.2.pdf"),
                FilePart.from_bytes(b"a", "text/x-python"),
            ]
        )
    )  # fmt: skip

    assert [
        {"image": {"format": "png", "source": {"bytes": "iVBORw=="}}},
        {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/cat.webp"}}}},
        {"document": {"format": "pdf", "name": "My file v1 2 pdf", "source": {"bytes": "JVBERg=="}}},
        {"document": {"format": "txt", "name": "document", "source": {"bytes": "YQ=="}}},
    ] == sent[0]["content"]  # fmt: skip


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(ImagePart.from_url("https://x.example/a.png"), id="url"),
        pytest.param(ImagePart.from_bytes(b"x", "image/tiff"), id="tiff"),
        pytest.param(FilePart.from_url("https://x.example/a.pdf"), id="file-url"),
        pytest.param(FilePart.from_bytes(b"x", "application/zip"), id="zip"),
        pytest.param(AudioPart.from_bytes(b"x", "audio/wav"), id="audio"),
    ],
)
def test_what_cannot_be_sent_is_refused_whatever_the_policy(part):
    """
    Leaving it out would change what was asked.
    """
    with pytest.raises(UnsupportedFeatureError, match="bedrock does not take"):
        encoded([Message.user(["See:", part])], on_unsupported="drop")


def test_image_of_a_system_message_is_refused():
    """
    A system message is text.
    """
    image = ImagePart.from_bytes(b"x", "image/png")

    with pytest.raises(UnsupportedFeatureError, match="system message"):
        encoded([Message.system([TextPart("Hi"), image]), Message.user("Hi")])


def test_detail_of_an_image_is_left_out():
    """
    There is no field for it.
    """
    image = ImagePart.from_bytes(b"x", "image/png", detail="high")

    request = encoded([Message.user([image])])

    assert "the detail of an image" in request.warnings[0]


# Answers


def test_answer_is_read():
    """
    Text, reasoning, calls, usage and the finish reason; what was cached counts as read.
    """
    use = {"toolUseId": "t9", "name": "weather", "input": {"city": "Oslo"}}

    answer = decoded(
        SIGNED,
        {"text": "It is "},
        {"text": "3 C."},
        {"toolUse": use},
        stopReason="tool_use",
        usage={
            "inputTokens": 10,
            "outputTokens": 4,
            "totalTokens": 21,
            "cacheReadInputTokens": 5,
            "cacheWriteInputTokens": 2,
        },
    )

    assert "It is 3 C." == answer.text
    assert "Hm." == answer.reasoning
    assert (ToolCall("t9", "weather", '{"city": "Oslo"}'),) == answer.tool_calls
    assert "tool_calls" == answer.finish_reason
    assert "tool_use" == answer.choices[0].raw_finish_reason
    assert Usage(prompt_tokens=17, completion_tokens=4, total_tokens=21, cached_tokens=5) == answer.usage  # fmt: skip
    assert UsageStatus.FINALIZED == answer.usage_status


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "error"),
        ("something_new", "something_new"),
    ],
)
def test_finish_reasons(raw, reason):
    """
    Known ones are unified, others kept, in whole answers and in streams.
    """
    assert reason == decoded({"text": "x"}, stopReason=raw).finish_reason
    assert reason == streamed(delta(text="x"), end(raw)).finish_reason


def test_answer_given_as_a_call_is_the_text():
    """
    The input of the tool that was made up for it is the answer, and no call.
    """
    answer = decoded(
        {"toolUse": {"toolUseId": "t", "name": "answer_as_json", "input": {"a": 1}}},
        stopReason="tool_use",
    )

    assert '{"a": 1}' == answer.text
    assert () == answer.tool_calls
    assert "stop" == answer.finish_reason


def test_tools_of_the_provider_are_no_calls():
    """
    What it searched itself is not the caller's to do.
    """
    use = {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"}

    answer = decoded({"toolUse": use}, {"toolResult": {}}, {"text": "Found."})

    assert ((), "Found.") == (answer.tool_calls, answer.text)


def test_citations_say_what_they_are_of():
    """
    A cited text is text, and its sources tell where in it.
    """
    cited = {
        "content": [{"text": "Ruby is old."}],
        "citations": [
            {
                "title": "facts",
                "sourceContent": [{"text": "since "}, {"text": "1993"}],
                "location": {"documentChar": {"documentIndex": 0}},
            },
            {"location": {"web": {"url": "https://x.example"}}},
        ],
    }

    answer = decoded({"text": "So: "}, {"citationsContent": cited})

    assert "So: Ruby is old." == answer.text
    assert (
        Citation(title="facts", start=4, end=16, text="since 1993"),
        Citation(url="https://x.example", start=4, end=16),
    ) == answer.citations


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="page"),
        pytest.param([], id="list"),
        pytest.param({"output": {"message": "x"}}, id="no-message"),
        pytest.param({"output": None}, id="no-output"),
    ],
)
def test_body_that_says_nothing_is_an_error(body):
    """
    It is named as what cannot be read.
    """
    with pytest.raises(InvalidResponseError):
        bedrock_converse.decode_response(target_at(), response_of(body))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"message": "Too many tokens"}, id="message"),
        pytest.param(
            {"Output": {"__type": "x#UnknownOperationException"}}, id="output"
        ),
    ],
)
def test_error_at_status_200_is_one(body):
    """
    A body with a message in place of an answer says no.
    """
    with pytest.raises(ApiError):
        bedrock_converse.decode_response(target_at(), response_of(body))


@pytest.mark.parametrize(
    ("status", "kind", "words", "error"),
    [
        (403, "ExpiredTokenException", "The security token is expired", AuthenticationError),
        (404, "ResourceNotFoundException", "This model version has reached the end", ModelNotFoundError),
        (400, "ValidationException", "The provided model identifier is invalid.", ModelNotFoundError),
        (400, "ValidationException", "Input is too long for requested model.", ContextLengthExceededError),
        (400, "ValidationException", "Malformed input request", InvalidRequestError),
        (429, "ThrottlingException", "Too many tokens, please wait", RateLimitError),
        (500, "InternalServerException", "Try again", ServerError),
    ],
)  # fmt: skip
def test_errors_are_told_by_the_header_and_the_words(status, kind, words, error):
    """
    The type stands in a header, before a colon.
    """
    headers = {"x-amzn-errortype": f"{kind}:http://internal/", "x-amzn-requestid": "r"}
    response = response_of({"message": words}, status, headers)

    found = bedrock_converse.decode_error(target_at(), response)

    assert error is type(found)
    assert (status, kind, "r") == (found.status_code, found.code, found.request_id)


# Streams

TALK = (
    BEGIN,
    delta(0, reasoningContent={"text": "H"}),
    delta(0, reasoningContent={"text": "m."}),
    delta(0, reasoningContent={"signature": "s=="}),
    stop(0),
    delta(1, text="Grüße"),
    delta(1, text=", 你"),
    stop(1),
    begin(2, toolUseId="t1", name="weather"),
    delta(2, toolUse={"input": '{"ci'}),
    delta(2, toolUse={"input": 'ty":"Oslo"}'}),
    stop(2),
    begin(3, toolUseId="t2", name="now"),
    delta(3, toolUse={"input": ""}),
    stop(3),
    end("tool_use"),
    METADATA,
)


@pytest.mark.parametrize("size", [None, 1, 7, 100])
def test_stream_adds_up_to_the_whole_answer(size):
    """
    Reasoning, text, parallel calls, usage and what goes back, however the bytes are cut.
    """
    answer = streamed(*TALK, size=size)

    assert ("Grüße, 你", "Hm.") == (answer.text, answer.reasoning)
    assert (
        ToolCall("t1", "weather", '{"city":"Oslo"}'),
        ToolCall("t2", "now", "{}"),
    ) == answer.tool_calls
    assert "tool_calls" == answer.finish_reason
    assert Usage(prompt_tokens=5, completion_tokens=7, total_tokens=12) == answer.usage
    state = {"bedrock_converse": {"model": NOVA, "reasoning": [SIGNED]}}
    assert state == answer.message.provider_state


def test_usage_may_come_before_the_stop():
    """
    The stream is over once both are there.
    """
    parser = bedrock_converse.chunk_parser(target_at())
    frames = [
        ("contentBlockDelta", '{"contentBlockIndex":0,"delta":{"text":"Hi"}}'),
        ("metadata", '{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}'),
        ("messageStop", '{"stopReason":"end_turn"}'),
    ]

    done = []
    for frame in frames:
        parser.feed(frame)
        done.append(parser.done)

    assert [False, False, True] == done


def test_stream_without_usage_is_whole():
    """
    The stop is the end, usage or not.
    """
    answer = streamed(BEGIN, delta(text="Hi"), end())

    assert ("Hi", None) == (answer.text, answer.usage)


def test_hidden_reasoning_is_kept():
    """
    It says nothing, and goes back.
    """
    answer = streamed(
        delta(0, reasoningContent={"redactedContent": "cmVk"}),
        stop(0),
        delta(1, text="Hi"),
        end(),
    )

    assert [HIDDEN] == answer.message.provider_state["bedrock_converse"]["reasoning"]
    assert answer.reasoning is None


def test_streamed_answer_given_as_a_call_is_the_text():
    """
    The pieces of the input are pieces of the text.
    """
    answer = streamed(
        begin(0, toolUseId="t", name="answer_as_json"),
        delta(0, toolUse={"input": '{"a"'}),
        delta(0, toolUse={"input": ":1}"}),
        end("tool_use"),
    )

    assert ('{"a":1}', (), "stop") == (answer.text, answer.tool_calls, answer.finish_reason)  # fmt: skip


def test_streamed_tools_of_the_provider_are_no_calls():
    """
    What it asks itself, and what it is answered, gives nothing.
    """
    answer = streamed(
        begin(0, toolUseId="s", name="nova_grounding", type="server_tool_use"),
        delta(0, toolUse={"input": "{}"}),
        message("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolResult": {}}}),
        delta(1, toolResult=[{"text": "x"}]),
        delta(2, text="Found."),
        end(),
    )  # fmt: skip

    assert ("Found.", ()) == (answer.text, answer.tool_calls)


def test_streamed_citation_is_of_its_block():
    """
    It says where the text of the block stands.
    """
    answer = streamed(
        delta(0, text="So: "),
        delta(1, text="Ruby."),
        delta(1, citation={"title": "facts", "sourceContent": [{"text": "r"}]}),
        end(),
    )

    assert (Citation(title="facts", start=4, end=9, text="r"),) == answer.citations


def test_wrapped_events_are_read():
    """
    Some servers put an event under its own name once more.
    """
    text = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}}

    answer = streamed(
        message("contentBlockDelta", text),
        message("somethingNew", {"x": 1}),
        message("messageStop", {"messageStop": {"stopReason": "max_tokens"}}),
    )

    assert ("Hi", "length") == (answer.text, answer.finish_reason)


@pytest.mark.parametrize(
    ("kind", "words", "error"),
    [
        ("throttlingException", "Too many requests", RateLimitError),
        ("modelStreamErrorException", "The model failed", ServerError),
        ("internalServerException", "Oh", ServerError),
        ("serviceUnavailableException", "Busy", ServerError),
        ("validationException", "Input is too long for requested model.", ContextLengthExceededError),
        ("validationException", "Not so", InvalidRequestError),
    ],
)  # fmt: skip
def test_exception_in_a_stream_is_raised(kind, words, error):
    """
    What came before it stays.
    """
    failure = message(kind, {"message": words}, is_event=False)

    with pytest.raises(error) as caught:
        streamed(BEGIN, delta(text="Hi"), failure)

    assert "Hi" == caught.value.partial.text
    assert kind == caught.value.code


def test_exception_before_the_first_word_is_tried_again(monkeypatch):
    """
    Until something was given, a busy stream is as good as a busy answer.
    """
    monkeypatch.delenv("AI_BASE_URL", raising=False)
    settings = Settings(
        provider="bedrock",
        api_key=Secret("a-key-of-a-test", "api_key"),
        model=NOVA,
        provider_options={"region": "eu-west-1"},
    )
    core = ClientCore.configured(settings, serve=lambda file: None, sign=sign)
    busy = HttpResponse(status=200, stream=object())
    good = HttpResponse(status=200, stream=object())
    refusal = message("throttlingException", {"message": "Busy"}, is_event=False)

    stream, effects = drive(
        core.chat_completion_stream(ChatCompletionRequest("", "Hi"), Call(Timeout())),
        busy,
        BEGIN + refusal,
        good,
        BEGIN + delta(text="Hi"),
    )
    source, decoder = stream.source, stream.decoder

    assert source is good.stream
    assert "Hi" == decoder.next_chunk().text
    assert [Close(busy.stream)] == [one for one in effects if isinstance(one, Close)]


def test_exception_before_the_first_word_has_no_partial_answer():
    """
    Nothing was given yet, so that it can be tried again.
    """
    with pytest.raises(RateLimitError) as caught:
        streamed(BEGIN, message("throttlingException", b"not JSON", is_event=False))

    assert caught.value.partial is None


def test_cut_stream_is_incomplete():
    """
    An answer without its stop is none.
    """
    with pytest.raises(IncompleteStreamError) as caught:
        streamed(BEGIN, delta(text="Hi"), METADATA)

    assert "Hi" == caught.value.partial.text


def test_message_that_is_no_json_is_an_error():
    """
    It names the provider.
    """
    with pytest.raises(InvalidResponseError, match="bedrock streams what is no JSON"):
        streamed(message("contentBlockDelta", b"{"))


NONSENSE = [None, 0, -1, True, "", "x", [], [[]], {}, {"a": None}, 1e999]


def mutations(value):
    """
    Give *value* with nonsense at each place in turn.
    """
    yield from NONSENSE
    if isinstance(value, dict):
        for key in value:
            for one in mutations(value[key]):
                yield {**value, key: one}
    elif isinstance(value, list):
        for at, item in enumerate(value):
            for one in mutations(item):
                yield [*value[:at], one, *value[at + 1 :]]


def test_only_own_errors_come_of_nonsense():
    """
    Whatever stands where in an answer or an event, nothing but an ``AiLibError`` is raised.
    """
    use = {"toolUseId": "t", "name": "a", "input": {}, "type": "tool_use"}
    cited = {"content": [{"text": "x"}], "citations": [{"location": {"web": {}}}]}
    blocks = [SIGNED, {"toolUse": use}, {"citationsContent": cited}, {"text": "x"}]
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    whole = {"output": {"message": {"content": blocks}}, "stopReason": "x", "usage": usage}  # fmt: skip
    events = {
        "contentBlockStart": {"contentBlockIndex": 0, "start": {"toolUse": use}},
        "contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "x", "toolUse": {"input": "x"}, "reasoningContent": {"text": "x", "signature": "x"}, "citation": {"sourceContent": [{"text": "x"}]}}},
        "contentBlockStop": {"contentBlockIndex": 0},
        "messageStop": {"stopReason": "x"},
        "metadata": {"usage": usage},
    }  # fmt: skip
    tried = 0

    for body in mutations(whole):
        tried += 1
        with suppress(AiLibError):
            bedrock_converse.decode_response(target_at(), response_of(body))
    for name, event in events.items():
        for one in mutations(event):
            tried += 1
            parser = bedrock_converse.chunk_parser(target_at())
            for kind in (name, "contentBlockDelta", "contentBlockStop"):
                with suppress(AiLibError):
                    list(parser.feed((kind, json.dumps(one))))

    assert tried > 500


# Models


def test_models_and_profiles_are_listed():
    """
    The models are one list, the profiles another, of maybe many pages, on a host of their own.
    """
    first = bedrock_converse.models_request(target_at())
    models = {"modelSummaries": [{"modelId": "a.b", "modelName": "B", "providerName": "A"}, {}, 1]}  # fmt: skip
    profile = {"inferenceProfileId": "us.a.b", "createdAt": "2026-01-01T00:00:00Z"}
    profiles = {"inferenceProfileSummaries": [profile, {}], "nextToken": "n/2"}

    found, second = bedrock_converse.decode_models(target_at(), response_of(models))
    more, third = bedrock_converse.decode_models(target_at(), response_of(profiles))
    _, fourth = bedrock_converse.decode_models(
        target_at(), response_of({"inferenceProfileSummaries": []})
    )

    host = "https://bedrock.us-east-1.amazonaws.com"
    assert f"{host}/foundation-models?byOutputModality=TEXT" == first.url
    assert f"{host}/inference-profiles?maxResults=1000" == second.url
    assert f"{second.url}&nextToken=n%2F2" == third.url
    assert fourth is None
    assert [("a.b", "B", "A")] == [(one.id, one.name, one.owner) for one in found]
    assert [("us.a.b", 1767225600)] == [(one.id, one.created) for one in more]


def test_body_without_a_list_is_an_error():
    """
    No list is no empty one.
    """
    with pytest.raises(InvalidResponseError):
        bedrock_converse.decode_models(target_at(), response_of({}))


# Keys and signatures

REGION = {"AWS_REGION": "us-east-1"}


@pytest.fixture
def botocore(monkeypatch):
    """
    A stand-in for botocore, whose session gives what the list holds, or raises it.
    """
    given = []

    class Session:
        def get_credentials(self):
            found = given[0] if given else None
            if isinstance(found, Exception):
                raise found
            return found

    class SigV4Auth:
        def __init__(self, credentials, service, region):
            self.scope = f"{credentials.secret_key} {service} {region}"

        def add_auth(self, draft):
            draft.headers["Authorization"] = f"signed {self.scope} {draft.data!r}"
            draft.headers["X-Amz-Date"] = "20261101T000000Z"

    def draft(method, url, *, headers, data):
        return SimpleNamespace(method=method, url=url, headers=headers, data=data)

    modules = {
        "botocore": {},
        "botocore.session": {"Session": Session},
        "botocore.auth": {"SigV4Auth": SigV4Auth},
        "botocore.awsrequest": {"AWSRequest": draft},
    }
    for name, members in modules.items():
        module = ModuleType(name)
        module.__dict__.update(members, __spec__=SimpleNamespace())
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(aws, "_found", [])
    return given


def credentials(secret="secret-of-a-test"):
    """
    Credentials as botocore has them.
    """
    frozen = SimpleNamespace(access_key="AK", secret_key=secret, token=None)
    return SimpleNamespace(get_frozen_credentials=lambda: frozen)


def unsigned(**more):
    """
    A request that is to be signed.
    """
    signature = Signature(service="bedrock", region="us-east-1", variable="A_KEY")
    return HttpRequest(
        url=BASE, headers={"content-type": "x/y"}, body=b"b", credential=signature, **more
    )  # fmt: skip


def test_key_comes_first(botocore):
    """
    With a bearer key nothing is signed.
    """
    _, key = resolve(
        Target("bedrock"), environ={**REGION, "AWS_BEARER_TOKEN_BEDROCK": "k-123"}
    )

    credential = key.credential(SPEC, key.secret)
    assert {"Authorization": "Bearer k-123"} == credential.headers()


def test_without_a_key_requests_are_signed(botocore):
    """
    The region goes into the host and the signature.
    """
    target, key = resolve(Target("bedrock"), environ=REGION)

    assert BASE == target.base_url
    signature = key.credential(SPEC, None)
    assert ("bedrock", "us-east-1") == (signature.service, signature.region)


def test_without_key_and_botocore_both_ways_are_named(monkeypatch):
    """
    The error says what to set, and what to install.
    """
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(MissingApiKeyError) as caught:
        resolve(Target("bedrock"), environ=REGION)

    assert "AWS_BEARER_TOKEN_BEDROCK" in str(caught.value)
    assert "pip install '.[bedrock]'" in str(caught.value)


def test_region_is_due():
    """
    There is no host without one.
    """
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        resolve(Target("bedrock", api_key="k"), environ={})


def test_signature_is_put_on_and_shown_by_nothing(botocore):
    """
    The request is the same but for the headers that prove who sends it.
    """
    botocore.append(credentials())

    signed = sign(unsigned())

    assert {
        "Authorization": "signed secret-of-a-test bedrock us-east-1 b'b'",
        "X-Amz-Date": "20261101T000000Z",
    } == signed.credential.headers()
    assert "secret-of-a-test" not in repr(signed)
    assert {"content-type": "x/y"} == signed.headers


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param([], "none are found", id="none"),
        pytest.param([RuntimeError("role is gone")], "role is gone", id="broken"),
    ],
)
def test_without_credentials_both_ways_are_named(botocore, found, told):
    """
    The error says how to have credentials, and how to do without.
    """
    botocore += found

    with pytest.raises(ConfigurationError) as caught:
        sign(unsigned())

    assert told in str(caught.value)
    assert "AWS_PROFILE" in str(caught.value)
    assert "A_KEY" in str(caught.value)


def test_credentials_are_looked_up_once(botocore):
    """
    They renew themselves.
    """
    botocore.append(credentials())
    first = sign(unsigned())
    botocore[0] = credentials("another-secret")

    second = sign(unsigned())

    assert first.credential.headers() == second.credential.headers()


def test_forked_process_looks_for_its_own(botocore, monkeypatch):
    """
    A process that is forked while a thread looks for credentials does not wait for that thread.
    """
    begun, go_on = threading.Event(), threading.Event()

    class Session:
        def get_credentials(self):
            if threading.current_thread() is not threading.main_thread():
                begun.set()
                go_on.wait(PATIENCE)
            return credentials()

    monkeypatch.setattr(sys.modules["botocore.session"], "Session", Session)
    with ThreadPoolExecutor(1) as threads:
        signed = threads.submit(sign, unsigned())
        assert begun.wait(PATIENCE)

        ended = in_child(partial(sign, unsigned()))()
        go_on.set()

    assert 0 == ended
    assert signed.result().credential.headers()


def test_every_sending_is_signed_anew(botocore, monkeypatch):
    """
    A signature is good for minutes: a retry has its own.
    """
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    monkeypatch.delenv("AI_API_KEY", raising=False)
    numbers = iter("123")

    def numbered(request):
        signature = attrs.evolve(request.credential, signed={"n": next(numbers)})
        return attrs.evolve(request, credential=signature)

    settings = Settings(
        provider="bedrock", model=NOVA, provider_options={"region": "eu-west-1"}
    )
    core = ClientCore.configured(settings, serve=lambda file: None, sign=numbered)
    busy = response_of({"message": "Busy"}, 503)
    good = response_of({"output": {"message": {"content": [{"text": "Hi"}]}}})

    result, effects = drive(
        core.chat_completion(ChatCompletionRequest("", "Hi"), Call(Timeout())),
        busy,
        good,
    )

    assert "Hi" == result.text
    sends = [one.request for one in effects if isinstance(one, Send)]
    assert ["1", "2"] == [one.credential.headers()["n"] for one in sends]
    assert 2 == sum(isinstance(one, Run) for one in effects)


def test_curl_signs_for_itself(botocore):
    """
    The command has variables in place of the keys.
    """
    command = unsigned().to_curl()

    assert "--aws-sigv4 aws:amz:us-east-1:bedrock" in command
    assert '"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"' in command


def test_real_signature_is_what_amazon_computes(monkeypatch):
    """
    Held against the steps of Signature Version 4, done by hand.
    """
    pytest.importorskip("botocore")
    import hmac
    from hashlib import sha256

    monkeypatch.setattr(aws, "_found", [])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-an-example")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)

    url = f"{BASE}/model/a.b-v1%3A0/converse"
    signed = sign(attrs.evolve(unsigned(), url=url)).credential.headers()

    moment = signed["X-Amz-Date"]
    day = moment[:8]
    host = BASE.removeprefix("https://")
    canonical = (
        "POST\n/model/a.b-v1%253A0/converse\n\n"
        f"content-type:x/y\nhost:{host}\nx-amz-date:{moment}\n\n"
        f"content-type;host;x-amz-date\n{sha256(b'b').hexdigest()}"
    )
    scope = f"{day}/us-east-1/bedrock/aws4_request"
    digest = sha256(canonical.encode()).hexdigest()
    key = b"AWS4secret-of-an-example"
    for step in scope.split("/"):
        key = hmac.new(key, step.encode(), sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    wanted = hmac.new(key, text.encode(), sha256).hexdigest()
    assert signed["Authorization"].endswith(f"Signature={wanted}")
