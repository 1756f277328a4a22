"""
What the fuzzer of the dialects found, a small case each.
"""

from __future__ import annotations

import json
import time
from importlib import import_module

import attrs
import pytest

from ai_lib import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    InvalidResponseError,
    Message,
    Tool,
    ToolCall,
)
from ai_lib._core.catalog import CATALOG
from ai_lib._core.http import HttpResponse
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.stream import ChunkDecoder

SPECS = {spec.id: spec for spec in CATALOG}
NAN = float("nan")

#: A provider of each dialect, and the least that it answers with.
WHOLE = {
    "openai_chat": ("openai", {"choices": [{"message": {"content": "x"}}]}),
    "openai_responses": ("openai", {"status": "completed", "output": []}),
    "anthropic_messages": ("anthropic", {"content": "x"}),
    "gemini": ("gemini", {"candidates": [{"content": {"parts": [{"text": "x"}]}}]}),
    "cohere_v2": ("cohere", {"message": {"content": "x"}}),
    "ollama": ("ollama", {"message": {"content": "x"}}),
    "bedrock_converse": ("bedrock", {"output": {"message": {"content": []}}}),
    "replicate": ("replicate", {"status": "succeeded", "output": "x"}),
}


def target_of(provider, dialect="", model=""):
    """
    A provider's target, by default in its own dialect and for its own model.
    """
    spec = SPECS[provider]
    return ResolvedTarget(
        spec=attrs.evolve(spec, dialect=dialect or spec.dialect),
        model=model or spec.default_model or "m",
        base_url=spec.base_url,
    )


def module_of(target):
    """
    The dialect that is spoken there.
    """
    return import_module(f"ai_lib._core.dialects.{target.dialect}")


def answered(body, status=200):
    """
    An answer with a body.
    """
    text = body if isinstance(body, str) else json.dumps(body)
    return HttpResponse(status=status, body=text.encode())


def decoded(target, body):
    """
    A whole answer.
    """
    return module_of(target).decode_response(target, answered(body))


def streamed(target, events):
    """
    The chunks and the answer of a stream of server-sent events.
    """
    parser = module_of(target).chunk_parser(target)
    decoder = ChunkDecoder(parser=parser, decode_whole=lambda _: None)
    for event in (*(json.dumps(one) for one in events), "[DONE]"):
        decoder.feed(f"data: {event}\n\n".encode())
    decoder.feed(b"")
    return list(iter(decoder.next_chunk, None)), decoder.response


def given_back(target, message, *more):
    """
    The body of a request that goes on behind *message*.
    """
    turns = [Message.user("a"), message, *more, Message.user("b")]
    tools = [Tool("f", "", {"type": "object"})]
    request = ChatCompletionRequest(target.model, turns, tools=tools)
    encoded = module_of(target).encode_request(
        target, request, stream=False, on_unsupported="warn"
    )
    return encoded.json()


def nested(depth):
    """
    A list in a list in a list …
    """
    return json.loads("[" * depth + "1" + "]" * depth)


# What is no JSON, and was read all the same


def chat(message):
    """
    An answer in OpenAI's chat format.
    """
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


CALL = {"id": "c", "function": {"name": "f", "arguments": "{}"}, "extra": NAN}
DETAILS = {"content": "x", "reasoning_details": [{"type": "a", "text": "b", "c": NAN}]}
THINKING = {"content": [{"type": "thinking", "thinking": [], "a": NAN}]}
ITEM = {"type": "function_call", "call_id": "c", "name": "f", "a": NAN}
REASONING = {"type": "reasoning", "encrypted_content": "e", "a": NAN}
SIGNED = {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}}
PAGE = {"type": "web_search_tool_result", "content": NAN}
CODE = {"executableCode": {"code": NAN}}


@pytest.mark.parametrize(
    ("target", "body"),
    [
        pytest.param(target_of("openai"), chat({"tool_calls": [CALL]}), id="call"),
        pytest.param(target_of("openrouter"), chat(DETAILS), id="details"),
        pytest.param(target_of("mistral"), chat(THINKING), id="thinking"),
        pytest.param(
            target_of("openai", "openai_responses"),
            {"status": "completed", "output": [ITEM]},
            id="responses-call",
        ),
        pytest.param(
            target_of("openai", "openai_responses"),
            {"status": "completed", "output": [REASONING]},
            id="responses-item",
        ),
        pytest.param(
            target_of("bedrock"),
            {"output": {"message": {"content": [{**SIGNED, "a": NAN}]}}},
            id="bedrock",
        ),
        pytest.param(target_of("anthropic"), {"content": [PAGE]}, id="anthropic"),
        pytest.param(
            target_of("gemini"),
            {"candidates": [{"content": {"parts": [CODE, {"text": "x"}]}}]},
            id="gemini",
        ),
    ],
)
def test_answer_with_nan_can_go_back(target, body):
    """
    What JSON does not have is left out of what goes back, and the conversation goes on.
    """
    message = decoded(target, body).message

    results = [Message.tool("1", call.id) for call in message.tool_calls]
    sent = given_back(target, message, *results)

    assert "NaN" not in json.dumps(sent)


@pytest.mark.parametrize(
    ("target", "events"),
    [
        pytest.param(
            target_of("openai"),
            [{"choices": [{"index": 0, "delta": {"tool_calls": [CALL]}}]}],
            id="call",
        ),
        pytest.param(
            target_of("openrouter"),
            [{"choices": [{"index": 0, "delta": DETAILS}]}],
            id="details",
        ),
    ],
)
def test_stream_with_nan_can_go_back(target, events):
    """
    Likewise of a stream.
    """
    _, response = streamed(target, events)

    results = [Message.tool("1", call.id) for call in response.tool_calls]
    sent = given_back(target, response.message, *results)

    assert "NaN" not in json.dumps(sent)


@pytest.mark.parametrize("result", ["NaN", '{"a": Infinity}', "1e999", "[-1e999]"])
def test_tool_result_that_is_no_json_number_is_sent_as_text(result):
    """
    A model that takes results as JSON only is sent the words.
    """
    target = target_of("bedrock", model="mistral.mistral-large-2402-v1:0")
    call = ToolCall("c", "f")

    sent = given_back(
        target, Message.assistant(tool_calls=[call]), Message.tool(result, "c")
    )

    assert json.dumps({"json": {"result": result}}) in json.dumps(sent)


# What is nested beyond reason


@pytest.mark.parametrize("dialect", WHOLE)
def test_body_that_is_nested_beyond_reason_is_refused(dialect):
    """
    What can be read here might be too deep to be compared or written somewhere else.
    """
    provider, body = WHOLE[dialect]
    target = target_of(provider, dialect)

    fine = decoded(target, {**body, "more": nested(150)})
    with pytest.raises(InvalidResponseError):
        decoded(target, {**body, "more": nested(300)})

    assert isinstance(fine, ChatCompletionResponse)


@pytest.mark.parametrize("dialect", [one for one in WHOLE if one != "replicate"])
def test_event_that_is_nested_beyond_reason_is_refused(dialect):
    """
    Likewise of one event of a stream; Replicate's are no JSON.
    """
    target = target_of(WHOLE[dialect][0], dialect)
    event = json.dumps({"type": "x", "more": nested(300)})

    with pytest.raises(InvalidResponseError):
        list(module_of(target).chunk_parser(target).feed(("", event)))


# Halves of letters where a URL is made


@pytest.mark.parametrize(
    ("provider", "page"),
    [
        pytest.param(
            "anthropic",
            {"data": [{"id": "m"}], "has_more": True, "last_id": "\ud800"},
            id="anthropic",
        ),
        pytest.param("gemini", {"models": [], "nextPageToken": "\udc00"}, id="gemini"),
        pytest.param(
            "cohere", {"models": [], "next_page_token": "\ud800"}, id="cohere"
        ),
        pytest.param(
            "bedrock",
            {"inferenceProfileSummaries": [], "nextToken": "\ud800"},
            id="bedrock",
        ),
    ],
)
def test_next_page_has_a_url_whatever_its_token(provider, page):
    """
    Half of a letter in a token of a page does not hurt.
    """
    target = target_of(provider)

    _, following = module_of(target).decode_models(target, answered(page))

    assert following.url.isascii()


@pytest.mark.parametrize(
    ("target", "body"),
    [
        pytest.param(
            target_of("openai", "openai_responses"),
            {"id": "\ud800", "status": "queued"},
            id="responses",
        ),
        pytest.param(
            target_of("replicate"),
            {"id": "\ud800", "status": "starting"},
            id="replicate",
        ),
    ],
)
def test_answer_to_be_asked_for_has_a_url_whatever_its_id(target, body):
    """
    Likewise in the id of an answer that is still worked on.
    """
    follow = decoded(target, body)

    assert follow.request.url.isascii()


# Time and space that grow with the square of what came


def test_many_items_of_a_stream_take_no_longer_each():
    """
    Thousands of messages of the Responses format are read in a moment, not in a minute.
    """
    events = []
    for number in range(12_000):
        part = {"type": "output_text", "text": "x"}
        item = {"type": "message", "id": f"m{number}", "content": [part]}
        ended = {"type": "response.output_item.done", "output_index": number}
        events.append({**ended, "item": item})
    target = target_of("openai", "openai_responses")
    began = time.process_time()

    streamed(target, [*events, {"type": "response.completed"}])

    assert time.process_time() - began < 5


def test_many_calls_take_no_longer_each():
    """
    So are thousands of calls of OpenAI's chat format, each at an index of its own.
    """
    calls = [{"index": place, "id": f"c{place}"} for place in range(40_000)]
    body = chat({"tool_calls": calls})
    began = time.process_time()

    response = decoded(target_of("openai"), body)

    assert 40_000 == len(response.tool_calls)
    assert time.process_time() - began < 5


def bedrock_frames(count):
    """
    Signed blocks of reasoning.
    """
    for number in range(count):
        spot = {"contentBlockIndex": number}
        said = {"text": "t", "signature": "s"}
        delta = {"reasoningContent": said}
        yield "contentBlockDelta", json.dumps({**spot, "delta": delta})
        yield "contentBlockStop", json.dumps(spot)


def test_reasoning_that_goes_back_is_told_once():
    """
    Blocks of reasoning are kept until the end, and then given all together.
    """
    target = target_of("bedrock")
    parser = module_of(target).chunk_parser(target)

    before = [chunk for frame in bedrock_frames(3) for chunk in parser.feed(frame)]
    (chunk,) = parser.finish()
    state = chunk.choices[0].delta.provider_state

    assert not any(one.choices[0].delta.provider_state for one in before)
    assert [SIGNED] * 3 == state["bedrock_converse"]["reasoning"]


def test_list_in_streamed_arguments_cannot_be_far_ahead_of_its_items():
    """
    A few letters do not make a thousand items.
    """
    target = target_of("gemini")
    told = {"name": "f", "partialArgs": [{"jsonPath": "$.a[900]", "numberValue": 1}]}
    body = {"candidates": [{"content": {"parts": [{"functionCall": told}]}}]}

    with pytest.raises(InvalidResponseError):
        decoded(target, body)
