"""
The Responses format: requests, whole answers and streams, and which requests go by it.
"""

from __future__ import annotations

import json
from contextlib import suppress

import attrs
import pytest
from driving import drive
from faults import reply

from ai_lib import AiClient
from ai_lib._core.call import Call
from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import ChatCompletionRequest, Citation, Usage, UsageStatus
from ai_lib._core.dialects import Follow, openai_responses
from ai_lib._core.dialects._responses_answers import choice_of
from ai_lib._core.errors import (
    AiLibError,
    ApiError,
    IncompleteStreamError,
    InvalidRequestError,
    InvalidResponseError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    UnsupportedFeatureError,
)
from ai_lib._core.families import dialect_for
from ai_lib._core.flow import Send, Sleep
from ai_lib._core.http import HttpResponse
from ai_lib._core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Role,
    TextPart,
)
from ai_lib._core.providers import ProviderSpec, Quirks, ResolvedTarget
from ai_lib._core.serialization import from_dict, to_dict
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.timeouts import Timeout
from ai_lib._core.tools import Tool, ToolCall

SPECS = {spec.id: spec for spec in CATALOG}
WEATHER = Tool("weather", "Tell the weather.", {"type": "object", "properties": {}})
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}


def target_at(provider="", model="some-model", **quirks):
    """
    A target of a built-in provider, asked in this format, or of a plain one with *quirks*.
    """
    spec = SPECS.get(provider) or ProviderSpec(
        id="example",
        dialect="openai_responses",
        base_url="https://api.example.com/v1",
        quirks=Quirks(**quirks),
    )
    spec = attrs.evolve(spec, dialect="openai_responses")
    return ResolvedTarget(spec=spec, model=model, base_url=spec.base_url)


def encoded(target, messages="Hi", *, stream=False, on_unsupported="warn", **fields):
    """
    The ``HttpRequest`` for a request of *messages* and *fields*.
    """
    request = ChatCompletionRequest(target.model, messages, **fields)
    return openai_responses.encode_request(
        target, request, stream=stream, on_unsupported=on_unsupported
    )


def body_of(target, messages="Hi", **more):
    """
    The body for a request.
    """
    return encoded(target, messages, **more).json()


def input_of(*messages, target=None):
    """
    The items on the wire.
    """
    return body_of(target or target_at(), messages)["input"]


def response_of(body, status=200):
    """
    An answer with *body*, a JSON value or bytes.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw)


def decoded(body, target=None):
    """
    What *body* means.
    """
    return openai_responses.decode_response(target or target_at(), response_of(body))


def answer(*output, **more):
    """
    A body with these items.
    """
    head = {"id": "resp_1", "model": "m-1", "created_at": 5.0, "status": "completed"}
    return {**head, "error": None, "output": list(output), **more}


def said(text, *annotations, **more):
    """
    A message item.
    """
    part = {"type": "output_text", "text": text, "annotations": list(annotations)}
    return {"type": "message", "id": "msg_1", "content": [part], **more}


def called(name="weather", arguments="{}", call_id="call_1", **more):
    """
    An item that calls a function.
    """
    item = {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": name}
    return {**item, "arguments": arguments, "status": "completed", **more}


def thought(*summary, **more):
    """
    A reasoning item.
    """
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": "rs_1", "summary": parts, **more}


def event(kind, **fields):
    """
    An event.
    """
    return {"type": f"response.{kind}", **fields}


def streamed(*events, target=None, done=True):
    """
    Chunks and the whole answer of a stream of *events*.
    """
    target = target or target_at()
    decoder = ChunkDecoder(
        parser=openai_responses.chunk_parser(target),
        decode_whole=lambda body: openai_responses.decode_response(
            target, HttpResponse(status=200, body=body)
        ),
        content_type="text/event-stream",
    )
    for one in events:
        text = one if isinstance(one, str) else json.dumps(one)
        decoder.feed(f"data: {text}\n\n".encode())
    if done:
        end = json.dumps(event("completed", response={}))
        decoder.feed(f"data: {end}\n\n".encode())
    decoder.feed(b"")
    chunks = []
    while (chunk := decoder.next_chunk()) is not None:
        chunks.append(chunk)
    return chunks, decoder.response


# Requests


def test_least_request_is_stateless():
    """
    The conversation goes whole, and nothing is to be stored.
    """
    request = encoded(target_at())

    assert "https://api.example.com/v1/responses" == request.url
    assert {
        "model": "some-model",
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "store": False,
    } == request.json()
    assert () == request.warnings


def test_stream_is_asked_for():
    """
    There is no option for usage: it comes in any case.
    """
    request = encoded(target_at(), stream=True)

    assert request.json()["stream"] is True
    assert "text/event-stream" == request.headers["accept"]


def test_parameters_have_their_names():
    """
    What this format has is sent under the names that it has there.
    """
    fields = {"temperature": 0.5, "top_p": 0.9, "user": "u", "metadata": {"a": "b"}}

    body = body_of(target_at(), **fields, max_tokens=100, top_logprobs=2)

    assert fields.items() <= body.items()
    assert 100 == body["max_output_tokens"]
    assert 2 == body["top_logprobs"]
    assert ["message.output_text.logprobs"] == body["include"]


def test_log_probabilities_need_no_alternatives():
    """
    To ask for them alone is to ask for no alternative.
    """
    body = body_of(target_at(), logprobs=True)

    assert (0, ["message.output_text.logprobs"]) == (
        body["top_logprobs"],
        body["include"],
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stop", "END"),
        ("seed", 7),
        ("n", 2),
        ("top_k", 40),
        ("frequency_penalty", 1),
        ("presence_penalty", 1),
    ],
)
def test_what_the_format_lacks_is_left_out_with_a_word(name, value):
    """
    It is warned of, or refused, as the caller wishes.
    """
    request = encoded(target_at(), **{name: value})

    assert name not in request.json()
    assert (
        f"example does not take {name} in the Responses format: it was left out.",
    ) == request.warnings
    with pytest.raises(UnsupportedFeatureError, match=name):
        encoded(target_at(), on_unsupported="error", **{name: value})


def test_values_that_say_nothing_are_left_out_without_a_word():
    """
    One answer without penalties is what comes anyway.
    """
    request = encoded(
        target_at(), n=1, frequency_penalty=0, presence_penalty=0, logprobs=False
    )

    assert {"model", "input", "store"} == set(request.json())
    assert () == request.warnings


def test_openai_is_asked_for_sixteen_tokens_at_least():
    """
    It refuses fewer.
    """
    request = encoded(target_at("openai", "gpt-4o"), max_tokens=5)

    assert 16 == request.json()["max_output_tokens"]
    assert "max_tokens=5" in request.warnings[0]


def test_sampling_is_left_out_while_a_model_reasons():
    """
    The families hold here as in Chat.
    """
    target = target_at("openai", "gpt-6-luna")

    request = encoded(target, temperature=0.2)
    quiet = encoded(target, temperature=0.2, reasoning_effort="none")

    assert "temperature" not in request.json()
    assert "while it reasons" in request.warnings[0]
    assert 0.2 == quiet.json()["temperature"]


@pytest.mark.parametrize(
    ("provider", "model", "asked", "expected"),
    [
        pytest.param("", "m", "high", {"effort": "high"}, id="plain"),
        pytest.param("openai", "gpt-6-luna", "minimal", {"effort": "low"}, id="family"),
        pytest.param(
            "azure_openai",
            "gpt-6-luna",
            "low",
            {"effort": "low", "summary": "auto"},
            id="summed-up",
        ),
        pytest.param(
            "azure_openai",
            "gpt-6-luna",
            "none",
            {"effort": "none"},
            id="nothing-to-sum",
        ),
        pytest.param("perplexity", "a/b", "max", {"effort": "xhigh"}, id="record"),
        pytest.param("perplexity", "a/b", "none", None, id="cannot-be-told"),
        pytest.param("", "m", None, None, id="not-asked"),
    ],
)
def test_effort(provider, model, asked, expected):
    """
    It is told in the words of the family, else the record's.
    """
    body = body_of(target_at(provider, model), reasoning_effort=asked)

    assert expected == body.get("reasoning")


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-6-luna", ["reasoning.encrypted_content"]),
        ("openai", "o4-mini", ["reasoning.encrypted_content"]),
        ("openai", "gpt-4o", None),
        ("xai", "grok-4.3", ["reasoning.encrypted_content"]),
        ("openrouter", "a/b", ["reasoning.encrypted_content"]),
        ("", "m", None),
    ],
)
def test_sealed_reasoning_is_asked_of_models_that_reason(provider, model, expected):
    """
    Others refuse to be asked.
    """
    assert expected == body_of(target_at(provider, model)).get("include")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        pytest.param({"type": "text"}, {"type": "text"}, id="text"),
        pytest.param({"type": "json_object"}, {"type": "json_object"}, id="object"),
        pytest.param(
            JSON_SCHEMA,
            {"type": "json_schema", "name": "output", "schema": SCHEMA},
            id="schema",
        ),
        pytest.param(
            {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": SCHEMA, "strict": True},
            },
            {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True},
            id="strict",
        ),
    ],
)
def test_response_format_is_flat(form, expected):
    """
    It is a part of ``text``.
    """
    body = body_of(target_at(), response_format=form)

    assert {"format": expected} == body["text"]


def test_response_format_of_chat_where_the_record_says_so():
    """
    Perplexity kept it.
    """
    body = body_of(target_at("perplexity"), response_format=JSON_SCHEMA)

    assert "text" not in body
    assert {
        "type": "json_schema",
        "json_schema": {"name": "output", "schema": SCHEMA},
    } == body["response_format"]


@pytest.mark.parametrize("system", [True, False], ids=["system", "none"])
def test_response_format_that_is_not_taken_is_asked_for_in_words(system):
    """
    The words go into the system message, or a new one.
    """
    messages = [Message.user("Hi")]
    if system:
        messages.insert(0, Message.system("Be brief."))

    request = encoded(
        target_at("perplexity"), messages, response_format={"type": "json_object"}
    )

    first = request.json()["input"][0]
    assert "system" == first["role"]
    assert first["content"].endswith("Answer with one JSON object and nothing else.")
    assert "response_format=json_object" in request.warnings[0]


def test_extensions_are_last():
    """
    They go in verbatim and outweigh all else.
    """
    body = body_of(target_at(), extensions={"store": True, "truncation": "auto"})

    assert (True, "auto") == (body["store"], body["truncation"])


# Tools


def test_tools_are_flat_and_not_strict_unless_asked():
    """
    OpenAI's default is strict here.
    """
    strict = Tool("other", strict=True)

    body = body_of(target_at(), tools=[WEATHER, strict], parallel_tool_calls=False)

    assert [
        {
            "type": "function",
            "name": "weather",
            "description": "Tell the weather.",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {
            "type": "function",
            "name": "other",
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
    ] == body["tools"]
    assert body["parallel_tool_calls"] is False


def test_strictness_is_not_said_where_it_is_not_taken():
    """
    It is no default there either.
    """
    (tool,) = body_of(target_at("", strict_tools=False), tools=[WEATHER])["tools"]

    assert "strict" not in tool


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("weather", {"type": "function", "name": "weather"}),
    ],
)
def test_tool_choice(choice, expected):
    """
    A tool's name stands beside the type.
    """
    body = body_of(target_at(), tools=[WEATHER], tool_choice=choice)

    assert expected == body["tool_choice"]


def test_perplexity_searches_unless_there_are_other_tools():
    """
    A bare chat keeps the search that its users expect, and it can be turned off.
    """
    target = target_at("perplexity", "perplexity/sonar")

    assert [{"type": "web_search"}] == body_of(target)["tools"]
    assert ["weather"] == [
        tool["name"] for tool in body_of(target, tools=[WEATHER])["tools"]
    ]
    assert [] == body_of(target, extensions={"tools": []})["tools"]
    assert "tools" not in body_of(target_at("perplexity", "vendor/other"))


def test_perplexity_gets_only_what_it_knows():
    """
    It has neither storage nor sampling.
    """
    request = encoded(target_at("perplexity", "a/b"), temperature=1, user="u")

    assert {"model", "input"} == set(request.json())
    assert 2 == len(request.warnings)


@pytest.mark.parametrize(
    ("asked", "preset"),
    [("sonar-pro", "fast"), ("sonar-reasoning-pro", "low")],
)
def test_old_names_of_perplexity_are_presets(asked, preset):
    """
    They are told in a warning, and the model is pinned.
    """
    request = encoded(target_at("perplexity", asked))

    body = request.json()
    assert ("perplexity/sonar", preset) == (body["model"], body["preset"])
    assert f"{asked} was asked for as perplexity/sonar" in request.warnings[0]


# Messages


def test_roles():
    """
    System messages stay where they are; ``developer`` goes to who knows it.
    """
    messages = [
        Message.system("A"),
        Message(Role.DEVELOPER, "B"),
        Message.user(["C", TextPart("D")]),
        Message.assistant("E"),
    ]

    plain = input_of(*messages)
    openai = input_of(*messages, target=target_at("openai"))

    assert [
        ("system", "A"),
        ("system", "B"),
        ("user", "C\nD"),
        ("assistant", "E"),
    ] == [(item["role"], item["content"]) for item in plain]
    assert "developer" == openai[1]["role"]


def test_name_of_a_speaker_is_left_out():
    """
    The format has no place for it.
    """
    request = encoded(target_at(), [Message.user("Hi", name="Ann")])

    assert "name" not in request.json()["input"][0]
    assert "the name of a message" in request.warnings[0]


def test_calls_and_results_are_items():
    """
    They are tied by the id of the call; an answer that only calls has no message.
    """
    call = ToolCall("call_1", "weather", '{"city":"Oslo"}')
    messages = [
        Message.assistant(tool_calls=[call, ToolCall("call_2", "weather", "")]),
        Message.tool("3 C", "call_1"),
        Message.tool([ImagePart.from_bytes(b"x", "image/png")], "call_2"),
    ]

    items = input_of(*messages)

    assert [
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city":"Oslo"}',
        },
        {
            "type": "function_call",
            "call_id": "call_2",
            "name": "weather",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "3 C"},
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [
                {"type": "input_image", "image_url": "data:image/png;base64,eA=="}
            ],
        },
    ] == items


def test_text_before_calls_is_a_message():
    """
    It comes first.
    """
    call = ToolCall("call_1", "weather")

    items = input_of(Message.assistant("Let me see.", tool_calls=[call]))

    assert ["message", "function_call"] == [item["type"] for item in items]


def test_refusal_is_given_back_as_text():
    """
    The model is to know what it said.
    """
    (item,) = input_of(Message(Role.ASSISTANT, "", refusal="No."))

    assert "No." == item["content"]


def test_long_ids_of_other_providers_become_short_ones():
    """
    The same one for the call and its result.
    """
    call = ToolCall("x" * 65, "weather")

    asked, answered = input_of(
        Message.assistant(tool_calls=[call]), Message.tool("3 C", "x" * 65)
    )

    assert asked["call_id"] == answered["call_id"]
    assert len(asked["call_id"]) <= 64


def test_perplexity_is_told_the_tool_of_a_result():
    """
    Name and signature of the call go with its result.
    """
    extra = {"openai_responses": {"thought_signature": "sig"}}
    call = ToolCall("call_1", "weather", extra=extra)

    asked, answered = input_of(
        Message.assistant(tool_calls=[call]),
        Message.tool("3 C", "call_1"),
        target=target_at("perplexity"),
    )

    assert "sig" == asked["thought_signature"]
    assert ("weather", "sig") == (answered["name"], answered["thought_signature"])


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param(
            ImagePart.from_url("https://a/b.png", detail="low"),
            {
                "type": "input_image",
                "detail": "low",
                "image_url": "https://a/b.png",
            },
            id="image-url",
        ),
        pytest.param(
            ImagePart(url="file-1"),
            {"type": "input_image", "file_id": "file-1"},
            id="image-id",
        ),
        pytest.param(
            FilePart.from_bytes(b"x", "application/pdf", name="a.pdf"),
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,eA==",
            },
            id="file",
        ),
        pytest.param(
            FilePart.from_bytes(b"x", "application/pdf"),
            {
                "type": "input_file",
                "filename": "file.pdf",
                "file_data": "data:application/pdf;base64,eA==",
            },
            id="file-without-name",
        ),
        pytest.param(
            FilePart.from_url("https://a/b.pdf"),
            {"type": "input_file", "file_url": "https://a/b.pdf"},
            id="file-url",
        ),
        pytest.param(
            FilePart(url="file-1"),
            {"type": "input_file", "file_id": "file-1"},
            id="file-id",
        ),
    ],
)
def test_parts(part, expected):
    """
    Text and media stand side by side.
    """
    (item,) = input_of(Message.user(["Look:", part]))

    assert [{"type": "input_text", "text": "Look:"}, expected] == item["content"]


@pytest.mark.parametrize(
    ("message", "quirks"),
    [
        pytest.param(
            Message.user([AudioPart.from_bytes(b"x", "audio/wav")]), {}, id="sound"
        ),
        pytest.param(
            Message.assistant([ImagePart.from_bytes(b"x", "image/png")]),
            {},
            id="image-of-the-assistant",
        ),
        pytest.param(
            Message.user([ImagePart.from_url("https://a/b.png")]),
            {"remote_images": False},
            id="url-not-fetched",
        ),
    ],
)
@pytest.mark.parametrize("policy", ["warn", "drop", "error"])
def test_what_cannot_be_left_out_is_refused(message, quirks, policy):
    """
    Whatever the policy: without it the question is another one.
    """
    with pytest.raises(UnsupportedFeatureError):
        encoded(target_at("", **quirks), [message], on_unsupported=policy)


# What goes back


def test_answer_goes_back_as_it_came():
    """
    Sealed reasoning, phases and ids are sent again, in order, also from a saved conversation.
    """
    output = [
        thought("Hm.", encrypted_content="sealed", content=None),
        said("Let me see.", phase="commentary"),
        called(),
    ]
    message = decoded(answer(*output)).message
    saved = from_dict(Message, to_dict(message))

    items = input_of(saved, Message.tool("3 C", "call_1"))

    assert [
        thought("Hm.", encrypted_content="sealed"),
        said("Let me see.", phase="commentary"),
        called(),
        {"type": "function_call_output", "call_id": "call_1", "output": "3 C"},
    ] == items


def test_sealed_reasoning_goes_to_nobody_else():
    """
    Another provider of this format gets what was said, in its own words.
    """
    output = [thought("Hm.", encrypted_content="sealed"), called()]
    whole = decoded(answer(*output), target_at("openai")).message

    own = input_of(whole, target=target_at("openai"))
    other = input_of(whole, target=target_at("xai"))

    assert output == own
    assert ["function_call"] == [item["type"] for item in other]


def test_log_probabilities_do_not_go_back():
    """
    They are no part of what was said.
    """
    item = said("Hi", phase="final_answer")
    item["content"][0]["logprobs"] = [{"token": "Hi"}]

    (back,) = input_of(decoded(answer(item)).message)

    assert said("Hi", phase="final_answer") == back


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"content": "Other"}, id="text"),
        pytest.param({"tool_calls": [ToolCall("x", "y")]}, id="calls"),
    ],
)
def test_changed_answer_goes_back_as_it_was_changed(change):
    """
    What it came as is not what it says any more.
    """
    message = decoded(answer(thought(encrypted_content="s"), said("Hi"))).message

    items = input_of(attrs.evolve(message, **change))

    assert "reasoning" not in [item["type"] for item in items]
    assert change.get("content", "Hi") == items[0]["content"]


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(thought("Hm."), id="summary-alone"),
        pytest.param({"type": "web_search_call", "id": "ws_1"}, id="provider-s-tool"),
    ],
)
def test_nothing_is_kept_that_a_message_can_say(item):
    """
    Reasoning that nobody stored and nobody sealed cannot be named.
    """
    message = decoded(answer(item, said("Hi"))).message

    assert message.provider_state is None


def test_state_of_other_dialects_is_ignored():
    """
    A conversation begun elsewhere goes on here.
    """
    message = attrs.evolve(
        Message.assistant("Hi"), provider_state={"gemini": {"output": [said("No")]}}
    )

    assert [{"type": "message", "role": "assistant", "content": "Hi"}] == input_of(
        message
    )


# Answers


def test_whole_answer():
    """
    Items become one message.
    """
    body = answer(
        thought("One.", "Two."),
        said("3 C"),
        called(arguments='{"city":"Oslo"}', namespace="n"),
        usage={
            "input_tokens": 20,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 30,
            "output_tokens_details": {"reasoning_tokens": 12},
            "total_tokens": 50,
        },
    )

    response = decoded(body)

    assert ("resp_1", "m-1", 5) == (response.id, response.model, response.created)
    assert ("3 C", "One.\n\nTwo.") == (response.text, response.reasoning)
    assert (
        ToolCall(
            "call_1",
            "weather",
            '{"city":"Oslo"}',
            extra={"openai_responses": {"namespace": "n"}},
        ),
    ) == response.tool_calls
    assert ("tool_calls", "completed") == (
        response.finish_reason,
        response.choices[0].raw_finish_reason,
    )
    assert (
        Usage(
            prompt_tokens=20,
            completion_tokens=30,
            total_tokens=50,
            cached_tokens=4,
            reasoning_tokens=12,
        )
        == response.usage
    )
    assert UsageStatus.FINALIZED == response.usage_status


@pytest.mark.parametrize(
    ("more", "reason", "raw"),
    [
        ({}, "stop", "completed"),
        ({"status": None}, "stop", None),
        ({"status": "requires_action"}, "stop", "requires_action"),
        (
            {
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
            },
            "length",
            "max_output_tokens",
        ),
        (
            {
                "status": "incomplete",
                "incomplete_details": {"reason": "content_filter"},
            },
            "content_filter",
            "content_filter",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "tired"}},
            "tired",
            "tired",
        ),
        ({"status": "incomplete"}, "incomplete", "incomplete"),
    ],
)
def test_finish_reasons(more, reason, raw):
    """
    They stand in the status, or what it was incomplete for.
    """
    choice = decoded(answer(said("Hi"), **more)).choices[0]

    assert (reason, raw) == (choice.finish_reason, choice.raw_finish_reason)


def test_refusal():
    """
    It is told apart from the text.
    """
    item = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}

    message = decoded(answer(item)).message

    assert ("", "No.") == (message.text, message.refusal)


def test_reasoning_of_open_models():
    """
    They tell all of it, in another place.
    """
    content = [{"type": "reasoning_text", "text": "Hm."}]

    response = decoded(answer(thought(content=content), said("Hi")))

    assert "Hm." == response.reasoning
    assert response.message.provider_state is not None


def test_log_probabilities():
    """
    They come in the form of Chat.
    """
    item = said("Hi")
    item["content"][0]["logprobs"] = [{"token": "Hi", "logprob": -0.1}]

    choice = decoded(answer(item)).choices[0]

    assert {"content": [{"token": "Hi", "logprob": -0.1}]} == choice.logprobs


def test_custom_call_keeps_its_kind():
    """
    Its arguments are any text, and its result is told in its kind.
    """
    item = {
        "type": "custom_tool_call",
        "call_id": "call_1",
        "name": "shell",
        "input": "ls",
    }

    message = decoded(answer(item)).message
    asked, answered = input_of(message, Message.tool("a.txt", "call_1"))

    assert ("shell", "ls") == (
        message.tool_calls[0].name,
        message.tool_calls[0].arguments,
    )
    assert item == asked
    assert {
        "type": "custom_tool_call_output",
        "call_id": "call_1",
        "output": "a.txt",
    } == answered


def test_calls_in_odd_shapes():
    """
    Arguments may be an object or missing, and so may the id.
    """
    response = decoded(
        answer(
            called(arguments={"a": 1}, call_id=None),
            called(arguments=None, call_id="b"),
        )
    )

    assert [("call_0", '{"a": 1}'), ("b", "{}")] == [
        (call.id, call.arguments) for call in response.tool_calls
    ]


def test_arguments_nested_beyond_reason_are_none():
    """
    They could not be written.
    """
    nested = []
    for _ in range(100_000):
        nested = [nested]

    choice = choice_of({"output": [called(arguments=nested)]})

    assert "{}" == choice.message.tool_calls[0].arguments


def test_citations_are_counted_in_the_whole_text():
    """
    Places of a second message are moved behind the first.
    """
    url = {"type": "url_citation", "url": "https://a", "title": "A"}
    body = answer(
        said("One. "),
        said(
            "Two.",
            {**url, "start_index": 0, "end_index": 3},
            {"type": "file_citation", "filename": "b.txt", "index": 4},
            {"type": "file_path"},
        ),
    )

    assert (
        Citation(url="https://a", title="A", start=5, end=8),
        Citation(title="b.txt", start=9),
    ) == decoded(body).citations


def test_search_results_are_citations():
    """
    So are the pages that were read (Perplexity).
    """
    found = {"url": "https://a", "title": "A", "snippet": "a…"}
    body = answer(
        {"type": "search_results", "results": [found, {"title": "no url"}]},
        {"type": "fetch_url_results", "contents": [{"url": "https://b"}]},
        said("Hi"),
    )

    assert (
        Citation(url="https://a", title="A", text="a…"),
        Citation(url="https://b"),
    ) == decoded(body).citations


def test_usage_of_perplexity():
    """
    The cache has another name there, and the sum may be missing.
    """
    usage = {
        "input_tokens": 2,
        "output_tokens": 3,
        "input_tokens_details": {"cache_read_input_tokens": 1},
    }

    response = decoded(answer(said("Hi"), usage=usage))

    assert (
        Usage(prompt_tokens=2, completion_tokens=3, total_tokens=5, cached_tokens=1)
        == response.usage
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(
            answer(
                status="failed",
                error={"code": "insufficient_quota", "message": "You exceeded"},
            ),
            QuotaExhaustedError,
            id="failed",
        ),
        pytest.param(answer(status="failed"), ServerError, id="failed-without-a-word"),
        pytest.param(answer(status="cancelled"), ServerError, id="cancelled"),
        pytest.param(
            {"error": {"code": "rate_limit_exceeded", "message": "Slow down"}},
            RateLimitError,
            id="error-alone",
        ),
        pytest.param(
            {"code": "invalid_argument_value", "error": "No."},
            InvalidRequestError,
            id="error-as-text",
        ),
        pytest.param(answer(status=None, error="Boom"), ApiError, id="beside-output"),
    ],
)
def test_errors_in_answers(body, kind):
    """
    A status of success does not hide them.
    """
    with pytest.raises(kind):
        decoded(body)


@pytest.mark.parametrize(
    "body",
    [b"<html>", {}, [], {"output": "text"}, {"output": None}],
    ids=["page", "empty", "list", "text", "null"],
)
def test_answers_that_cannot_be_read(body):
    """
    They are said to be.
    """
    with pytest.raises(InvalidResponseError):
        decoded(body)


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_answer_in_the_background_is_asked_for_again(status):
    """
    Its id leads to it.
    """
    step = decoded(answer(status=status, id="resp/1"))

    assert isinstance(step, Follow)
    assert ("GET", "https://api.example.com/v1/responses/resp%2F1") == (
        step.request.method,
        step.request.url,
    )
    assert step.after > 0


def test_error_status_is_classified():
    """
    As everywhere.
    """
    error = {"error": {"code": "context_length_exceeded", "message": "Too long"}}

    found = openai_responses.decode_error(target_at(), response_of(error, 400))

    assert ("ContextLengthExceededError", 400) == (
        type(found).__name__,
        found.status_code,
    )


def test_models():
    """
    The list is the same as in Chat.
    """
    request = openai_responses.models_request(target_at("perplexity"))
    models, more = openai_responses.decode_models(
        target_at("perplexity"), response_of({"data": [{"id": "perplexity/sonar"}]})
    )

    assert "https://api.perplexity.ai/v1/models" == request.url
    assert (["perplexity/sonar"], None) == ([one.id for one in models], more)


# Streams

CREATED = event("created", response={"id": "resp_1", "model": "m-1", "created_at": 5})


def delta(text, index=0, **more):
    """
    A piece of text.
    """
    place = {"output_index": index, "content_index": 0}
    return event("output_text.delta", **place, delta=text, **more)


def test_stream_of_text():
    """
    Pieces are given as they come, and the end tells reason and usage.
    """
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    whole = answer(said("Hello"), usage=usage)

    chunks, response = streamed(
        CREATED,
        event("in_progress", response={}),
        event("output_item.added", output_index=0, item=said("")),
        {"type": "keepalive", "sequence_number": 3},
        event("unheard_of.delta", delta="x"),
        delta("Hel"),
        delta("lo", logprobs=[{"token": "lo"}]),
        event("output_text.done", output_index=0, content_index=0, text="Hello"),
        event("output_item.done", output_index=0, item=said("Hello")),
        event("completed", response=whole),
    )

    assert ["Hel", "lo", ""] == [chunk.text for chunk in chunks]
    assert ("resp_1", "m-1", 5) == (response.id, response.model, response.created)
    assert "Hello" == response.text
    assert ("stop", 3) == (response.finish_reason, response.usage.total_tokens)
    assert {"content": [{"token": "lo"}]} == response.choices[0].logprobs


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(
            [event("output_text.done", output_index=0, content_index=0, text="Hello")],
            id="done",
        ),
        pytest.param(
            [event("output_item.done", output_index=0, item=said("Hello"))], id="item"
        ),
        pytest.param([event("completed", response=answer(said("Hello")))], id="end"),
        pytest.param(
            [
                delta("Hel"),
                event("output_item.done", output_index=0, item=said("Hello")),
            ],
            id="rest-in-item",
        ),
        pytest.param(
            [delta("Hel"), event("completed", response=answer(said("Hello")))],
            id="rest-at-the-end",
        ),
        pytest.param(
            [
                event(
                    "output_text.delta", content_index=1, output_index=3, delta="Hello"
                ),
                event("output_item.done", output_index=3, item=said("Hello")),
                event("completed", response=answer(said("Hello"))),
            ],
            id="part-by-another-number",
        ),
    ],
)
def test_text_is_given_once(events):
    """
    Wherever it comes, and however often.
    """
    _, response = streamed(CREATED, *events)

    assert "Hello" == response.text


def test_text_that_ends_otherwise_is_not_given_again():
    """
    What was given cannot be taken back.
    """
    _, response = streamed(
        delta("Bye"), event("completed", response=answer(said("Hello")))
    )

    assert "Bye" == response.text


def test_streamed_calls():
    """
    They are told apart by the index of their item, and counted from 0.
    """
    first = called(arguments="", call_id="a")
    second = called(arguments="", call_id="b", name="other")

    chunks, response = streamed(
        event("output_item.added", output_index=1, item=first),
        event("output_item.added", output_index=2, item=second),
        event("function_call_arguments.delta", output_index=2, delta='{"b":'),
        event("function_call_arguments.delta", output_index=1, delta='{"a":1}'),
        event("function_call_arguments.done", output_index=2, arguments='{"b":2}'),
        event(
            "output_item.done",
            output_index=1,
            item={**first, "arguments": '{"a":1}', "thought_signature": "s"},
        ),
        event(
            "output_item.done", output_index=2, item={**second, "arguments": '{"b":2}'}
        ),
    )

    state = {"openai_responses": {"thought_signature": "s"}}
    assert (
        ToolCall("a", "weather", '{"a":1}', extra=state),
        ToolCall("b", "other", '{"b":2}'),
    ) == response.tool_calls
    assert "tool_calls" == response.finish_reason
    pieces = [piece for one in chunks for piece in one.choices[0].delta.tool_calls]
    assert ["a", "b", None, None, None, "a"] == [piece.id for piece in pieces]


def test_calls_are_given_once():
    """
    The item and the end repeat them.
    """
    whole = called(arguments='{"a":1}')

    _, response = streamed(
        event("output_item.added", output_index=0, item=called(arguments="")),
        event("function_call_arguments.delta", output_index=0, delta='{"a":'),
        event("output_item.done", output_index=0, item=whole),
        event("completed", response=answer(whole)),
    )

    assert (ToolCall("call_1", "weather", '{"a":1}'),) == response.tool_calls


def test_items_without_index_are_told_apart_by_id():
    """
    llama.cpp sends none.
    """
    _, response = streamed(
        event("output_text.delta", item_id="msg_1", delta="Hi"),
        event("output_item.added", item={**called(arguments=""), "id": "fc_1"}),
        event("output_item.added", item=called(arguments="", id="fc_2", call_id="c2")),
        event("function_call_arguments.delta", item_id="fc_2", delta='{"b":2}'),
        event("function_call_arguments.delta", item_id="fc_1", delta='{"a":1}'),
        event("output_item.done", item=said("Hi")),
    )

    assert "Hi" == response.text
    assert ['{"a":1}', '{"b":2}'] == [call.arguments for call in response.tool_calls]


def test_calls_of_the_last_event_alone():
    """
    They are given at the end.
    """
    _, response = streamed(
        event("completed", response=answer(called(arguments='{"a":1}'))), done=False
    )

    assert (ToolCall("call_1", "weather", '{"a":1}'),) == response.tool_calls
    assert "tool_calls" == response.finish_reason


def test_custom_call_streams():
    """
    Its input is its arguments.
    """
    item = {"type": "custom_tool_call", "call_id": "c", "name": "shell", "input": ""}

    _, response = streamed(
        event("output_item.added", output_index=0, item=item),
        event("custom_tool_call_input.delta", output_index=0, delta="ls"),
        event("custom_tool_call_input.done", output_index=0, input="ls -l"),
    )

    assert "ls -l" == response.tool_calls[0].arguments


def test_streamed_reasoning():
    """
    Parts are set apart, whichever kind they are of; the item repeats them.
    """
    place = {"output_index": 0}

    _, response = streamed(
        event("reasoning_summary_text.delta", **place, summary_index=0, delta="On"),
        event("reasoning_summary_text.delta", **place, summary_index=0, delta="e."),
        event("reasoning_summary_text.done", **place, summary_index=0, text="One."),
        event("reasoning_summary_text.delta", **place, summary_index=1, delta="Two."),
        event("output_item.done", **place, item=thought("One.", "Two.")),
        event("output_item.done", output_index=1, item=thought("Three.", "Four.")),
        delta("Hi", 2),
    )

    assert "One.\n\nTwo.\n\nThree.\n\nFour." == response.reasoning
    assert "Hi" == response.text


def test_research_of_perplexity():
    """
    Thoughts are reasoning, and what was found is cited once.
    """
    found = [{"url": "https://a", "title": "A"}]

    _, response = streamed(
        event("reasoning.started", thought="Let me look."),
        event("reasoning.search_queries", queries=["a"]),
        event("reasoning.search_results", results=found, thought="Good."),
        event(
            "output_item.done",
            output_index=0,
            item={"type": "search_results", "results": found},
        ),
        delta("Hi", 1),
    )

    assert "Let me look.\n\nGood." == response.reasoning
    assert (Citation(url="https://a", title="A"),) == response.citations


def test_streamed_refusal():
    """
    It is no text.
    """
    part = {"type": "refusal", "refusal": "No way."}

    _, response = streamed(
        event("refusal.delta", output_index=0, content_index=0, delta="No"),
        event(
            "output_item.done",
            output_index=0,
            item={"type": "message", "content": [part]},
        ),
    )

    assert ("", "No way.") == (response.text, response.message.refusal)


def test_streamed_citations_are_given_once():
    """
    An event brings them, the item and the end repeat them; a place is counted in the whole text.
    """
    note = {
        "type": "url_citation",
        "url": "https://a",
        "start_index": 0,
        "end_index": 2,
    }

    _, response = streamed(
        delta("One. "),
        delta("Two.", 1),
        event(
            "output_text.annotation.added",
            output_index=1,
            content_index=0,
            annotation=note,
        ),
        event(
            "output_text.annotation.added",
            output_index=1,
            content_index=0,
            annotation=note,
        ),
        event("output_item.done", output_index=1, item=said("Two.", note)),
        event("completed", response=answer(said("One. "), said("Two.", note))),
    )

    assert (Citation(url="https://a", start=5, end=7),) == response.citations


@pytest.mark.parametrize("told", [True, False], ids=["told", "empty"])
def test_streamed_state_is_complete(told):
    """
    The last event may name the items, or none of them.
    """
    items = [thought(encrypted_content="sealed"), said("Hi")]
    end = answer(*items) if told else answer()

    _, response = streamed(
        event("output_item.added", output_index=0, item=thought()),
        event("output_item.done", output_index=0, item=items[0]),
        delta("Hi", 1),
        event("output_item.done", output_index=1, item=items[1]),
        event("completed", response=end),
    )

    assert items == input_of(response.message)


def test_incomplete_stream_tells_why():
    """
    It is an answer all the same.
    """
    end = answer(
        status="incomplete", incomplete_details={"reason": "max_output_tokens"}
    )

    _, response = streamed(delta("Hel"), event("incomplete", response=end), done=False)

    assert ("Hel", "length") == (response.text, response.finish_reason)


def test_name_of_the_event_will_do():
    """
    The data need not repeat it.
    """
    parser = openai_responses.chunk_parser(target_at())

    (chunk,) = parser.feed(("response.completed", '{"response":{"id":"r"}}'))

    assert ("r", "stop", True) == (
        chunk.id,
        chunk.choices[0].finish_reason,
        parser.done,
    )


@pytest.mark.parametrize(
    "events",
    [[], [delta("Hel")], [delta("Hel"), "[DONE]"]],
    ids=["nothing", "cut", "done-without-end"],
)
def test_stream_without_end_is_incomplete(events):
    """
    A cut answer never looks like a whole one.
    """
    with pytest.raises(IncompleteStreamError):
        streamed(*events, done=False)


FAILURE = {"code": "rate_limit_exceeded", "message": "Slow down"}


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(event("failed", response=answer(error=FAILURE)), id="failed"),
        pytest.param(event("failed", error=FAILURE), id="beside-the-answer"),
        pytest.param({"type": "error", "error": FAILURE}, id="error"),
        pytest.param({"type": "error", **FAILURE}, id="error-as-documented"),
        pytest.param({"error": FAILURE}, id="without-type"),
    ],
)
def test_errors_in_streams(failure):
    """
    What came before is kept.
    """
    with pytest.raises(RateLimitError, match="Slow down") as caught:
        streamed(CREATED, delta("Hel"), failure, done=False)

    assert "Hel" == caught.value.partial.text


@pytest.mark.parametrize(
    ("name", "data"),
    [("error", "overloaded"), ("error", '"overloaded"')],
    ids=["text", "json-text"],
)
def test_error_event_that_is_text(name, data):
    """
    The words are kept.
    """
    parser = openai_responses.chunk_parser(target_at())

    with pytest.raises(ApiError, match="overloaded"):
        list(parser.feed((name, data)))


@pytest.mark.parametrize(
    "data", ["{", '{"a"', "[" * 100_000], ids=["cut", "half", "deep"]
)
def test_events_that_cannot_be_read(data):
    """
    They are said to be.
    """
    parser = openai_responses.chunk_parser(target_at())

    with pytest.raises(InvalidResponseError):
        list(parser.feed(("", data)))


@pytest.mark.parametrize(
    "data",
    ["", "[]", "1", "{}", '{"type":[]}', '{"type":"response.output_text.delta"}'],
)
def test_events_that_say_nothing_are_ignored(data):
    """
    Nothing comes of them.
    """
    parser = openai_responses.chunk_parser(target_at())

    assert [] == list(parser.feed(("", data)))
    assert [] == list(parser.finish())


JUNK = (None, True, -1, 1.5, "x", [], [1], [None], {}, {"a": 1}, {"type": []}, [{}])


def places(value, path=()):
    """
    Every place in a JSON value.
    """
    yield path
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in inside:
        yield from places(inner, (*path, key))


def replaced(value, path, new):
    """
    The value with another one at a place.
    """
    if not path:
        return new
    key, *rest = path
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[key] = replaced(value[key], rest, new)
    return copied


@pytest.mark.parametrize("junk", JUNK, ids=[str(one) for one in JUNK])
def test_junk_anywhere_gives_an_answer_or_one_of_our_errors(junk):
    """
    In whole answers and in every event of a stream.
    """
    output = [
        thought("Hm.", encrypted_content="s"),
        said("Hi", {"type": "url_citation", "url": "u", "start_index": 1}),
        called(),
    ]
    body = answer(*output, usage={"input_tokens": 1, "output_tokens": 2})
    events = [
        CREATED,
        event("output_item.added", output_index=0, item=called()),
        event("function_call_arguments.delta", output_index=0, delta="{}"),
        delta("Hi", 1),
        *(
            event("output_item.done", output_index=index, item=item)
            for index, item in enumerate(output)
        ),
        event("failed", response=answer(error=FAILURE)),
    ]

    for path in places(body):
        changed = replaced(body, path, junk)
        _ours(lambda changed=changed: decoded(changed))
        end = event("completed", response=changed)
        _ours(lambda end=end: streamed(end, done=False))
    for number, one in enumerate(events):
        for path in places(one):
            changed = [
                *events[:number],
                replaced(one, path, junk),
                *events[number + 1 :],
            ]
            _ours(lambda changed=changed: streamed(*changed))


def _ours(function):
    with suppress(AiLibError):
        function()


# Which requests go by it


def request_of(model="m", **fields):
    """
    A request.
    """
    return ChatCompletionRequest(model, "Hi", **fields)


@pytest.mark.parametrize(
    ("provider", "model", "effort", "expected"),
    [
        ("openai", "gpt-6-luna", "low", "openai_responses"),
        ("openai", "gpt-5.4-mini", "high", "openai_responses"),
        ("openai", "gpt-6-luna", "none", "openai_chat"),
        ("openai", "gpt-6-luna", None, "openai_chat"),
        ("openai", "gpt-5.2", "low", "openai_chat"),
        ("openai", "gpt-4o", "low", "openai_chat"),
        ("azure_openai", "gpt-6-luna", "low", "openai_responses"),
        ("groq", "openai/gpt-oss-20b", "low", "openai_chat"),
    ],
)
def test_tools_with_effort_go_where_they_are_taken(provider, model, effort, expected):
    """
    The record names the dialect, the family tells which models need it.
    """
    spec = SPECS[provider]
    target = ResolvedTarget(spec=spec, base_url=spec.base_url)

    with_tools = request_of(tools=[WEATHER], reasoning_effort=effort)
    without = request_of(reasoning_effort=effort)

    assert expected == dialect_for(target, with_tools, model)
    assert "openai_chat" == dialect_for(target, without, model)


def test_family_behind_a_deployment_decides():
    """
    Its name may hide it.
    """
    spec = SPECS["azure_openai"]
    target = ResolvedTarget(
        spec=spec, base_url=spec.base_url, options={"base_model": "gpt-6-luna"}
    )

    request = request_of(tools=[WEATHER], reasoning_effort="low")

    assert "openai_responses" == dialect_for(target, request, "prod")


@pytest.mark.parametrize(
    "settings", [{}, {"dialect": "openai_responses"}], ids=["by-itself", "chosen"]
)
def test_client_asks_where_tools_with_effort_are_taken(settings):
    """
    What ``prepare`` shows is what is sent.
    """
    request = request_of("gpt-6-luna", tools=[WEATHER], reasoning_effort="low")

    with AiClient("openai", api_key="k", **settings) as client:
        prepared = client.prepare(request)

    assert "https://api.openai.com/v1/responses" == prepared.url
    assert {"effort": "low"} == prepared.json()["reasoning"]


def test_chosen_dialect_stays():
    """
    Who named one is told what it does not take.
    """
    request = request_of("gpt-6-luna", tools=[WEATHER], reasoning_effort="low")

    with (
        AiClient("openai", api_key="k", dialect="openai_chat") as client,
        pytest.raises(UnsupportedFeatureError, match="openai_responses"),
    ):
        client.prepare(request)


def test_routed_call_is_answered_in_its_dialect(pair, server):
    """
    Whole or streamed, and the conversation goes on in it.
    """
    end = event("completed", response=answer(called(), id="resp_2"))
    first = answer(thought("Hm.", encrypted_content="s"), called())
    server.script(
        reply(json.dumps(first).encode()),
        reply(
            f"data: {json.dumps(end)}\n\n".encode(), content_type="text/event-stream"
        ),
    )
    client = pair.client(server)
    fields = {"tools": [WEATHER], "reasoning_effort": "low"}

    whole = client.chat_completion(request_of("gpt-6-luna", **fields))
    request = ChatCompletionRequest(
        "gpt-6-luna", [whole.message, Message.tool("3 C", "call_1")], **fields
    )
    stream = client.chat_completion_stream(request)
    list(stream)

    first, second = server.requests
    assert first.path.endswith("/responses")
    assert ("Hm.", "tool_calls") == (whole.reasoning, whole.finish_reason)
    assert ["reasoning", "function_call", "function_call_output"] == [
        item["type"] for item in second.json()["input"]
    ]
    assert "resp_2" == stream.response.id


def test_answer_in_the_background_is_waited_for():
    """
    The client looks again until it is there.
    """
    client = AiClient("openai", api_key="k", dialect="openai_responses")
    request = request_of(extensions={"background": True, "store": True})

    response, effects = drive(
        client._core.chat_completion(request, Call(Timeout())),
        response_of(answer(status="queued")),
        response_of(answer(status="in_progress")),
        response_of(answer(said("Hi"))),
    )

    assert "Hi" == response.text
    sent = [one.request for one in effects if isinstance(one, Send)]
    assert [
        ("POST", "https://api.openai.com/v1/responses"),
        ("GET", "https://api.openai.com/v1/responses/resp_1"),
        ("GET", "https://api.openai.com/v1/responses/resp_1"),
    ] == [(one.method, one.url) for one in sent]
    assert 2 == len([one for one in effects if isinstance(one, Sleep)])
