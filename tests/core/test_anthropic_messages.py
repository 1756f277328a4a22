"""
Anthropic's format, both ways.
"""

from __future__ import annotations

import json

import attrs
import pytest

from ai_lib._core.answer import AnswerSoFar
from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    UsageStatus,
)
from ai_lib._core.dialects import anthropic_messages
from ai_lib._core.errors import (
    AiLibError,
    ApiError,
    IncompleteStreamError,
    InvalidResponseError,
    ModelNotFoundError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    UnsupportedFeatureError,
)
from ai_lib._core.families import family_of
from ai_lib._core.http import HttpResponse
from ai_lib._core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Role,
)
from ai_lib._core.providers import ProviderSpec, Quirks, ResolvedTarget
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.tools import Tool, ToolCall

SPECS = {spec.id: spec for spec in CATALOG}
WEATHER = Tool("weather", "Tell the weather.", {"type": "object", "properties": {}})
CALL = ToolCall("toolu_1", "weather", '{"city":"Oslo"}')
USE = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "weather",
    "input": {"city": "Oslo"},
}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


def target_at(spec="anthropic", model="claude-sonnet-4-5"):
    """
    A target at a record's own base URL, or where it speaks this besides.
    """
    spec = SPECS[spec] if isinstance(spec, str) else spec
    base_url = spec.other_dialects.get("anthropic_messages", spec.base_url)
    spec = attrs.evolve(spec, dialect="anthropic_messages")
    return ResolvedTarget(spec=spec, model=model, base_url=base_url)


def encoded(
    messages="Hi", *, target=None, model=None, stream=False, policy="warn", **fields
):
    """
    The ``HttpRequest`` for a request of *messages* and *fields*.
    """
    target = target or target_at(model=model or "claude-sonnet-4-5")
    request = ChatCompletionRequest(target.model, messages, **fields)
    return anthropic_messages.encode_request(
        target, request, stream=stream, on_unsupported=policy
    )


def body_of(messages="Hi", **more):
    """
    The body for a request.
    """
    return encoded(messages, **more).json()


def turns_of(*messages, **more):
    """
    The messages on the wire.
    """
    return body_of(messages, **more)["messages"]


def answered(content, *, target=None, **more):
    """
    The response for a body of *content*.
    """
    body = {"id": "msg_1", "model": "claude-x", "content": content, **more}
    response = HttpResponse(status=200, body=json.dumps(body).encode())
    return anthropic_messages.decode_response(target or target_at(), response)


def events(*each):
    """
    Server-sent events, named as Anthropic names them.
    """
    return "".join(
        f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in each
    ).encode()


def block(index, begin, *deltas):
    """
    The events of one block.
    """
    yield {"type": "content_block_start", "index": index, "content_block": begin}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude-x",
        "content": [],
        "usage": {"input_tokens": 5, "output_tokens": 1},
    },
}
STOP = {"type": "message_stop"}


def end(reason="end_turn", **usage):
    """
    The event that tells why the model stopped.
    """
    delta = {"stop_reason": reason, "stop_sequence": None}
    return {
        "type": "message_delta",
        "delta": delta,
        "usage": {"output_tokens": 7, **usage},
    }


def text_delta(text):
    return {"type": "text_delta", "text": text}


def streamed(data, *, size=None, target=None):
    """
    The chunks of a stream, fed in pieces of *size* bytes, and what they add up to.
    """
    target = target or target_at()
    decoder = ChunkDecoder(
        parser=anthropic_messages.chunk_parser(target),
        decode_whole=lambda body: anthropic_messages.decode_response(
            target, HttpResponse(status=200, body=body)
        ),
        base=ChatCompletionResponse(provider=target.provider),
    )
    size = size or len(data)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    chunks = []
    for piece in [*pieces, b""]:
        decoder.feed(piece)
        while (chunk := decoder.next_chunk()) is not None:
            chunks.append(chunk)
    return chunks, decoder.response


# Requests


def test_least_request_holds_a_bound_and_nothing_else():
    """
    What was not asked for is not sent, but for the bound that Anthropic wants.
    """
    request = encoded()

    assert {
        "model": "claude-sonnet-4-5",
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": "Hi"}],
    } == request.json()
    assert "https://api.anthropic.com/v1/messages" == request.url
    assert () == request.warnings


def test_version_is_told_by_the_record_or_the_dialect():
    """
    A record's own version header stands; without one the dialect's is sent.
    """
    other = ProviderSpec(
        id="example", dialect="anthropic_messages", base_url="https://x.example/v1"
    )

    assert "anthropic-version" in SPECS["anthropic"].headers
    assert "anthropic-version" not in encoded().headers
    assert "2023-06-01" == encoded(target=target_at(other)).headers["anthropic-version"]


def test_parameters_have_their_names():
    """
    Fields go under Anthropic's names.
    """
    body = body_of(
        temperature=0.5,
        top_k=40,
        max_tokens=100,
        stop="END",
        user="u-1",
        stream=True,
    )

    assert 0.5 == body["temperature"]
    assert 40 == body["top_k"]
    assert 100 == body["max_tokens"]
    assert ["END"] == body["stop_sequences"]
    assert {"user_id": "u-1"} == body["metadata"]
    assert body["stream"] is True


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 1},
        {"frequency_penalty": 0.5},
        {"presence_penalty": 0.5},
        {"logprobs": True},
        {"top_logprobs": 2},
        {"metadata": {"a": "b"}},
        {"n": 2},
        {"tool_choice": "auto"},
        {"stop": " "},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_there_is_no_word_for_is_left_out(fields):
    """
    It is left out with a sentence, in silence, or refused, as the policy says.
    """
    least = body_of()

    assert least == body_of(**fields)
    assert 1 == len(encoded(**fields).warnings)
    assert () == encoded(policy="drop", **fields).warnings
    with pytest.raises(UnsupportedFeatureError):
        encoded(policy="error", **fields)


def test_values_that_say_nothing_are_left_out_in_silence():
    """
    No sentence is lost on what changes nothing.
    """
    request = encoded(
        n=1, frequency_penalty=0, logprobs=False, top_p=1, temperature=0, policy="error"
    )

    assert {"model", "max_tokens", "messages", "temperature"} == request.json().keys()


def test_extension_in_the_place_of_what_was_written_is_told():
    """
    It is sent as it is, and a sentence names what it took the place of.
    """
    ours = {"json_schema": {"schema": {"type": "object"}}, "type": "json_schema"}
    theirs = {"effort": "low"}

    request = encoded(response_format=ours, extensions={"output_config": theirs})

    assert theirs == request.json()["output_config"]
    assert ("output_config of extensions took the place of format.",) == (
        request.warnings
    )


def test_extension_beside_what_was_written_is_not_told():
    """
    A plain value, the same one, or a field of its own replaces nothing that was made.
    """
    fields = {"user": "u", "reasoning_effort": None}
    extensions = {"max_tokens": 7, "metadata": {"user_id": "u"}, "own": {"a": 1}}

    request = encoded(extensions=extensions, **fields)

    assert extensions.items() <= request.json().items()
    assert () == request.warnings


def test_temperature_is_moved_into_the_range():
    """
    Anthropic's temperature ends at 1.
    """
    request = encoded(temperature=1.5)

    assert 1 == request.json()["temperature"]
    assert "1 was sent instead" in request.warnings[0]


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("claude-haiku-5-5", {}),
        ("claude-opus-4-7", {}),
        ("claude-opus-9", {}),
        ("claude-sonnet-4-6", {"temperature": 0, "top_k": 5}),
        ("claude-opus-4-1", {"temperature": 0, "top_k": 5}),
        ("claude-3-opus-20240229", {"temperature": 0, "top_p": 0.9, "top_k": 5}),
        ("some-model", {"temperature": 0, "top_p": 0.9, "top_k": 5}),
    ],
)
def test_sampling_is_sent_to_models_that_take_it(model, sent):
    """
    Newer models take none of it, those before one of two.
    """
    request = encoded(model=model, temperature=0, top_p=0.9, top_k=5)

    body = request.json()
    names = ("temperature", "top_p", "top_k")
    assert sent == {name: body[name] for name in names if name in body}
    assert 3 - len(sent) == len(request.warnings)


def test_the_only_temperature_is_sent():
    """
    What is the only value anyway is not left out.
    """
    request = encoded(model="claude-haiku-5-5", temperature=1, policy="error")

    assert 1 == request.json()["temperature"]


def test_extensions_win():
    """
    The caller's own fields are merged last, at the top level, as they are.
    """
    body = body_of(extensions={"max_tokens": 5, "service_tier": "auto", "top_k": None})

    assert 5 == body["max_tokens"]
    assert "auto" == body["service_tier"]
    assert body["top_k"] is None


# Thinking


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("claude-haiku-5-5", "low", {"type": "adaptive", "display": "summarized"}),
        ("claude-haiku-5-5", "none", {"type": "disabled"}),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}),
        ("claude-opus-5-5", "none", None),
        ("claude-haiku-4-5", "low", {"type": "enabled", "budget_tokens": 2048}),
        ("claude-haiku-4-5", "none", {"type": "disabled"}),
        ("claude-3-5-haiku-20241022", "high", None),
        ("some-model", "low", {"type": "enabled", "budget_tokens": 2048}),
    ],
)
def test_effort_is_told_in_the_words_of_the_family(model, effort, sent):
    """
    Some are told to adapt, some a budget, some cannot be told.
    """
    body = body_of(model=model, reasoning_effort=effort)

    assert sent == body.get("thinking")


def test_model_that_cannot_think_is_told_nothing():
    """
    Not to think is nothing to warn of there.
    """
    model = "claude-3-5-haiku-20241022"

    assert 1 == len(encoded(model=model, reasoning_effort="low").warnings)
    assert () == encoded(model=model, reasoning_effort="none", policy="error").warnings


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        ("claude-opus-4-6", "xhigh", "max"),
        ("claude-opus-4-7", "xhigh", "xhigh"),
        ("claude-opus-4-7", "minimal", "low"),
        ("claude-fable-5-1", "none", "low"),
        ("claude-opus-4-5", "max", "high"),
        ("claude-opus-5-5", "ultra", "ultra"),
    ],
)
def test_effort_that_there_is_not_becomes_the_nearest(model, asked, told):
    """
    Another effort than was asked for is sent with a sentence.
    """
    request = encoded(model=model, reasoning_effort=asked)

    assert told == request.json()["output_config"]["effort"]
    assert (told != asked) == bool(request.warnings)


def test_bound_leaves_room_for_the_budget():
    """
    The budget of thinking is part of the bound.
    """
    assert 8192 + 2048 == body_of(reasoning_effort="low")["max_tokens"]
    thinking = {"type": "enabled", "budget_tokens": 5000}
    assert 13192 == body_of(extensions={"thinking": thinking})["max_tokens"]


def test_budget_shrinks_below_the_bound():
    """
    A bound of the caller's stands; below the least budget there is no thinking.
    """
    half = encoded(reasoning_effort="high", max_tokens=4000)
    none = encoded(reasoning_effort="high", max_tokens=1024)

    assert 2000 == half.json()["thinking"]["budget_tokens"]
    assert 4000 == half.json()["max_tokens"]
    assert "thinking" not in none.json()
    assert 1 == len(half.warnings) == len(none.warnings)


def test_thinking_excludes_sampling():
    """
    What is refused while a model thinks is left out, whoever told it to think.
    """
    thinking = {"type": "enabled", "budget_tokens": 1024}

    assert "top_k" not in body_of(top_k=3, reasoning_effort="low")
    assert "top_k" not in body_of(top_k=3, extensions={"thinking": thinking})
    assert "top_k" in body_of(top_k=3, reasoning_effort="none")


# Structured answers

SCHEMA = {
    "type": "object",
    "properties": {
        "minimum": {"type": "integer", "minimum": 1},
        "names": {"type": "array", "items": {"type": "object", "properties": {}}},
    },
}
FORM = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def test_schema_is_closed_and_freed_of_what_is_refused():
    """
    Every object is closed; bounds are left out with a sentence, properties of their names are not.
    """
    request = encoded(response_format=FORM)

    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer"},
            "names": {"type": "array", "items": closed},
        },
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "schema": schema}
    assert {"format": form} == request.json()["output_config"]
    assert "minimum in a schema" in request.warnings[0]
    assert "additionalProperties" not in SCHEMA


def test_schema_is_closed_all_the_way_down():
    """
    Alternatives are closed too, and a least number of items is taken up to one.
    """
    inner = {"type": "object"}
    schema = {
        "$defs": {"minimum": inner, "any": True},
        "anyOf": [inner, {"type": "array", "items": inner, "minItems": 1}],
        "minItems": 2,
        "enum": [{"minimum": 1}],
    }
    form = {"type": "json_schema", "json_schema": {"schema": schema}}

    sent = body_of(response_format=form)["output_config"]["format"]["schema"]

    closed = {"type": "object", "additionalProperties": False}
    assert {
        "$defs": {"minimum": closed, "any": True},
        "anyOf": [closed, {"type": "array", "items": closed, "minItems": 1}],
        "enum": [{"minimum": 1}],
    } == sent


def test_text_is_no_format():
    """
    Text is what comes anyway.
    """
    assert body_of() == body_of(response_format={"type": "text"})


def test_schema_and_effort_share_a_field():
    """
    Neither takes the other's place.
    """
    schema = {"type": "object", "properties": {}}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}

    body = body_of(
        model="claude-haiku-5-5",
        response_format=form,
        reasoning_effort="low",
        policy="error",
    )

    assert {"effort", "format"} == body["output_config"].keys()


@pytest.mark.parametrize(
    ("model", "form", "words"),
    [
        ("claude-haiku-5-5", {"type": "json_object"}, "one JSON object"),
        ("claude-opus-4-1", FORM, '"names"'),
        ("some-model", FORM, '"names"'),
    ],
    ids=["no schema", "older model", "another's model"],
)
def test_json_is_asked_for_in_words(model, form, words):
    """
    Where no parameter says it, the system message does.
    """
    request = encoded(
        [Message.system("Be brief."), Message.user("Hi")],
        model=model,
        response_format=form,
    )

    body = request.json()
    assert "Be brief." == body["system"][0]["text"]
    assert words in body["system"][1]["text"]
    assert "output_config" not in body
    assert "in the system message" in request.warnings[0]


# Tools


def test_tool_is_described():
    """
    A schema is always an object's; only what is told is sent.
    """
    body = body_of(tools=[Tool("now", strict=True), WEATHER])

    assert [
        {
            "name": "now",
            "input_schema": {
                "type": "object",
                "properties": {},
                "additionalProperties": False,
            },
            "strict": True,
        },
        {
            "name": "weather",
            "description": "Tell the weather.",
            "input_schema": {"type": "object", "properties": {}},
        },
    ] == body["tools"]
    assert "tool_choice" not in body


def test_schema_of_a_strict_tool_is_closed():
    """
    It is held to as a schema of an answer is, and freed of what is refused; another tool's is not.
    """
    count = {"type": "integer", "minimum": 1}
    schema = {"type": "object", "properties": {"count": count}}
    tools = [Tool("a", "", schema, strict=True), Tool("b", "", schema)]

    request = encoded(tools=tools)

    strict, other = (tool["input_schema"] for tool in request.json()["tools"])
    assert {
        "type": "object",
        "properties": {"count": {"type": "integer"}},
        "additionalProperties": False,
    } == strict
    assert schema == other
    assert "minimum" in request.warnings[0]


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": ["object", "null"]}, id="may-be-null"),
        pytest.param({"properties": {"a": {"type": "string"}}}, id="without-a-type"),
    ],
)
def test_object_by_another_name_is_closed(schema):
    """
    A list of types and properties alone make an object too.
    """
    form = {"type": "json_schema", "json_schema": {"schema": {"anyOf": [schema]}}}

    body = body_of(response_format=form)

    (sent,) = body["output_config"]["format"]["schema"]["anyOf"]
    assert {**schema, "additionalProperties": False} == sent


def test_strict_is_sent_to_models_that_hold_to_it():
    """
    Elsewhere it is left out with a sentence.
    """
    request = encoded(model="claude-opus-4-1", tools=[Tool("now", strict=True)])

    assert "strict" not in request.json()["tools"][0]
    assert "strict" in request.warnings[0]


def test_tools_of_the_callers_own_making():
    """
    Tools of the server's are named in the extensions, alone or beside ours.
    """
    search = {"type": "web_search_20250305", "name": "web_search"}

    body = body_of(tool_choice="auto", extensions={"tools": [search]})

    assert [search] == body["tools"]
    assert {"type": "auto"} == body["tool_choice"]


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        ("auto", None, {"type": "auto"}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ("weather", True, {"type": "tool", "name": "weather"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice_in_their_words(choice, parallel, sent):
    """
    Whether, which and how many at once are one field.
    """
    body = body_of(tools=[WEATHER], tool_choice=choice, parallel_tool_calls=parallel)

    assert sent == body["tool_choice"]


@pytest.mark.parametrize(
    ("model", "effort", "forced"),
    [
        ("claude-sonnet-5-5", None, False),
        ("claude-sonnet-5-5", "none", False),
        ("claude-haiku-5-5", None, False),
        ("claude-haiku-5-5", "none", True),
        ("claude-opus-5-5", "none", False),
        ("claude-opus-4-8", None, True),
        ("claude-opus-4-8", "low", False),
        ("some-model", None, True),
    ],
)
def test_call_is_forced_where_it_can_be(model, effort, forced):
    """
    A model that thinks, or takes no force, is asked in the system message.
    """
    request = encoded(
        model=model, tools=[WEATHER], tool_choice="weather", reasoning_effort=effort
    )

    body = request.json()
    assert ("tool" if forced else "auto") == body["tool_choice"]["type"]
    assert forced != ("the tool weather" in body.get("system", ""))
    assert forced != any("tool_choice" in one for one in request.warnings)


def test_tools_of_old_calls_are_described():
    """
    A conversation with calls goes on without tools: they are named, and not to be called.
    """
    request = encoded(
        [
            Message.user("Hi"),
            Message.assistant(tool_calls=[CALL]),
            Message.tool("3 C", "toolu_1"),
        ]
    )

    body = request.json()
    assert ["weather"] == [tool["name"] for tool in body["tools"]]
    assert {"type": "none"} == body["tool_choice"]
    assert 1 == len(request.warnings)


# Conversations


def test_first_system_messages_stand_apart():
    """
    One is a string, several are blocks.
    """
    one = body_of([Message.system("A"), Message.user("Hi")])
    two = body_of([Message.system("A"), Message("developer", "B"), Message.user("Hi")])

    assert "A" == one["system"]
    assert ["A", "B"] == [text["text"] for text in two["system"]]
    assert [{"role": "user", "content": "Hi"}] == one["messages"] == two["messages"]


def test_late_system_message_is_put_into_the_user_turn():
    """
    Most models take the system's word at the start only.
    """
    request = encoded(
        [
            Message.user("Hi"),
            Message.assistant("Ho"),
            Message.system("Be kind."),
            Message.user("Well?"),
        ]
    )

    blocks = request.json()["messages"][2]["content"]
    assert ["<system>\nBe kind.\n</system>", "Well?"] == [one["text"] for one in blocks]
    assert "within the user's turn" in request.warnings[0]


def test_late_system_message_follows_the_user_where_models_take_it():
    """
    It must stand behind a user's message, and before an answer or at the end.
    """
    turns = turns_of(
        Message.user("Hi"),
        Message.assistant("Ho"),
        Message.system("Be kind."),
        Message.system("Be brief."),
        Message.user("Well?"),
        model="claude-opus-4-8",
        policy="error",
    )

    assert ["user", "assistant", "user", "system"] == [one["role"] for one in turns]
    assert ["Be kind.", "Be brief."] == [one["text"] for one in turns[3]["content"]]


def test_system_message_alone_is_the_users():
    """
    Somebody must speak first.
    """
    late = turns_of(
        Message.user("Hi"), Message.assistant("Ho"), Message.system("X"),
        model="claude-opus-4-8",
    )  # fmt: skip

    assert [{"role": "user", "content": "Be brief."}] == turns_of(
        Message.system("Be brief.")
    )
    assert {"role": "user", "content": "X"} == late[2]


def test_system_message_is_text():
    """
    An image cannot be left out of it unheard.
    """
    image = ImagePart.from_bytes(b"x", "image/png")

    with pytest.raises(UnsupportedFeatureError, match="system message"):
        encoded([Message.system([image]), Message.user("Hi")], policy="drop")


def test_turns_alternate():
    """
    Neighbours of one role are one turn, and messages without a word are none.
    """
    turns = turns_of(
        Message.user("A"),
        Message.assistant(" "),
        Message.user(["B", " "]),
        Message.assistant("C"),
        Message.assistant("D \n"),
    )

    assert ["user", "assistant"] == [one["role"] for one in turns]
    assert ["A", "B"] == [one["text"] for one in turns[0]["content"]]
    assert ["C", "D"] == [one["text"] for one in turns[1]["content"]]


def test_answer_at_the_start_gets_a_user_before_it():
    """
    The first turn must be a user's.
    """
    request = encoded([Message.assistant("Welcome!"), Message.user("Hi")])

    assert [".", "Welcome!", "Hi"] == [
        one["content"] for one in request.json()["messages"]
    ]
    assert 1 == len(request.warnings)


def test_results_of_one_answer_are_one_turn_before_all_words():
    """
    Results come first, whatever stands between them.
    """
    calls = [CALL, attrs.evolve(CALL, id="toolu_2")]
    turns = turns_of(
        Message.user("Hi"),
        Message.assistant("Wait.", tool_calls=calls),
        Message.tool("3 C", "toolu_1"),
        Message.user("Quick!"),
        Message.tool("", "toolu_2"),
        tools=[WEATHER],
    )

    assert [
        {"type": "text", "text": "Wait."},
        USE,
        {**USE, "id": "toolu_2"},
    ] == turns[1]["content"]
    assert [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3 C"},
        {"type": "tool_result", "tool_use_id": "toolu_2"},
        {"type": "text", "text": "Quick!"},
    ] == turns[2]["content"]


def test_image_is_a_result_too():
    """
    A tool may give text and images.
    """
    image = ImagePart.from_bytes(b"x", "image/png")
    turns = turns_of(
        Message.user("Hi"),
        Message.assistant(tool_calls=[CALL]),
        Message.tool(["Look:", image], "toolu_1"),
        tools=[WEATHER],
    )

    (result,) = turns[2]["content"]
    assert ["text", "image"] == [one["type"] for one in result["content"]]


def test_ids_of_other_providers_are_made_fit():
    """
    An id is of letters and digits and one call's only; the result follows its call.
    """
    again = attrs.evolve(CALL, id="call_0")
    odd = attrs.evolve(CALL, id="fc:1|2")
    turns = turns_of(
        Message.user("Hi"),
        Message.assistant(tool_calls=[again]),
        Message.tool("1", "call_0"),
        Message.assistant(tool_calls=[again, odd]),
        Message.tool("3", "fc:1|2"),
        Message.tool("2", "call_0"),
        tools=[WEATHER],
    )

    first, second = turns[1]["content"], turns[3]["content"]
    ids = [one["id"] for one in (*first, *second)]
    assert ["call_0", "call_0_2"] == ids[:2]
    assert ids[2].startswith("toolu_")
    assert [ids[2], ids[1]] == [one["tool_use_id"] for one in turns[4]["content"]]


def test_result_without_an_id_is_the_oldest_open_calls():
    """
    A result that names no call is taken in order.
    """
    turns = turns_of(
        Message.user("Hi"),
        Message.assistant(tool_calls=[CALL]),
        Message(Role.TOOL, "3 C"),
        tools=[WEATHER],
    )

    assert "toolu_1" == turns[2]["content"][0]["tool_use_id"]


def test_result_of_no_call_is_sent_all_the_same():
    """
    The server says what is wrong with it.
    """
    turns = turns_of(Message.tool("3 C", "toolu_9"), tools=[WEATHER])

    assert "toolu_9" == turns[0]["content"][0]["tool_use_id"]


@pytest.mark.parametrize("arguments", ["{broken", "[1]", "NaN"])
def test_arguments_are_an_object(arguments):
    """
    What a model wrote that is none goes back inside of one.
    """
    call = attrs.evolve(CALL, arguments=arguments)
    turns = turns_of(
        Message.user("Hi"), Message.assistant(tool_calls=[call]), tools=[WEATHER]
    )

    assert isinstance(turns[1]["content"][0]["input"], dict)


def test_refusal_goes_back_as_words():
    """
    An answer that is only a refusal is said again.
    """
    refused = Message(Role.ASSISTANT, refusal="I will not.")

    turns = turns_of(Message.user("Hi"), refused, Message.user("Please"))

    assert "I will not." == turns[1]["content"]


def test_name_of_a_speaker_is_left_out():
    """
    There is no field for it.
    """
    request = encoded([Message.user("Hi", name="Ann"), Message.user("Ho", name="Bob")])

    assert 1 == len(request.warnings)


# Media


def test_images_and_documents():
    """
    Bytes go as base64 or text, addresses and ids as such.
    """
    parts = [
        ImagePart.from_bytes(b"x", "image/jpg"),
        ImagePart.from_url("https://x.example/a.png"),
        FilePart.from_bytes(b"x", "application/pdf", name="a.pdf"),
        FilePart.from_bytes("Grüße".encode(), "text/markdown; charset=utf-8"),
        FilePart.from_url("https://x.example/a.pdf"),
    ]
    blocks = turns_of(Message.user(parts))[0]["content"]

    jpeg = {"type": "base64", "media_type": "image/jpeg", "data": "eA=="}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "eA=="}
    text = {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    assert [
        {"type": "image", "source": jpeg},
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": text},
        {
            "type": "document",
            "source": {"type": "url", "url": "https://x.example/a.pdf"},
        },
    ] == blocks


def test_id_of_a_file_needs_the_beta():
    """
    The header opens what a file's id names.
    """
    request = encoded(Message.user([ImagePart.from_url("file_abc")]))

    (image,) = request.json()["messages"][0]["content"]
    assert {"type": "file", "file_id": "file_abc"} == image["source"]
    assert request.headers["anthropic-beta"].startswith("files-api-")


@pytest.mark.parametrize(
    "part",
    [
        AudioPart.from_bytes(b"x", "audio/wav"),
        ImagePart.from_url("gs://bucket/a.png"),
    ],
    ids=["sound", "bucket"],
)
def test_what_cannot_be_sent_is_refused(part):
    """
    It cannot be left out without changing what is asked.
    """
    with pytest.raises(UnsupportedFeatureError):
        encoded(Message.user(["Hi", part]), policy="drop")


def test_detail_of_an_image_is_left_out():
    """
    How closely to look cannot be said.
    """
    image = ImagePart.from_bytes(b"x", "image/png", detail="low")

    assert 1 == len(encoded(Message.user([image])).warnings)


# Other records


def test_quirks_of_the_other_dialect_are_not_meant():
    """
    A record that speaks this besides has its quirks for what it speaks first.
    """
    request = encoded(target=target_at("minimax", "MiniMax-M3"), stop="x", seed=1)

    body = request.json()
    assert "https://api.minimax.io/anthropic/v1/messages" == request.url
    assert ["x"] == body["stop_sequences"]
    assert "reasoning_split" not in body


def test_quirks_of_the_own_dialect_are():
    """
    A record of this dialect may say what differs.
    """
    spec = ProviderSpec(
        id="example",
        dialect="anthropic_messages",
        base_url="https://x.example/v1",
        quirks=Quirks(drop=("top_k",), body={"a": 1}, remote_images=False),
    )
    target = target_at(spec)

    request = encoded(target=target, top_k=3)

    assert "top_k" not in request.json()
    assert 1 == request.json()["a"]
    with pytest.raises(UnsupportedFeatureError, match="bytes"):
        encoded(Message.user([ImagePart.from_url("https://x/a.png")]), target=target)


@pytest.mark.parametrize(
    ("model", "like"),
    [
        ("anthropic/claude-haiku-4.5", "claude-haiku-4-5-20251001"),
        ("us.anthropic.claude-opus-4-8-v1:0", "claude-opus-4-8"),
        ("claude-3-7-sonnet@20250219", "claude-sonnet-4-20250514"),
        ("claude-sonnet-4-0", "claude-opus-4-20250514"),
        ("claude-opus-5-20260401", "claude-sonnet-5"),
        ("claude-opus-5-5", "claude-what-9"),
        ("MiniMax-M3", "local"),
    ],
)
def test_names_of_one_family(model, like):
    """
    Gateways, dates and unknown names are told apart.
    """
    assert family_of("anthropic", like) is family_of("anthropic", model)


# Answers


def test_whole_answer_is_read():
    """
    Text, reasoning, calls and what they cost each have their place.
    """
    response = answered(
        [THOUGHT, {"type": "text", "text": "Wait."}, USE],
        stop_reason="tool_use",
        usage={
            "input_tokens": 12,
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 100,
            "output_tokens": 40,
            "output_tokens_details": {"thinking_tokens": 25},
        },
    )

    assert ("msg_1", "claude-x", "Wait.", "Hm.") == (
        response.id,
        response.model,
        response.text,
        response.reasoning,
    )
    (call,) = response.tool_calls
    assert ("toolu_1", "weather", {"city": "Oslo"}) == (
        call.id,
        call.name,
        call.parse_arguments(),
    )
    assert "tool_calls" == response.finish_reason
    assert "tool_use" == response.choices[0].raw_finish_reason
    usage = response.usage
    assert (115, 40, 155) == (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
    )
    assert (100, 25) == (usage.cached_tokens, usage.reasoning_tokens)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("compaction", "compaction"),
        (None, None),
    ],
)
def test_stop_reasons(raw, reason):
    """
    A reason that is not known is kept as it came.
    """
    response = answered([{"type": "text", "text": "x"}], stop_reason=raw)

    assert reason == response.finish_reason
    assert raw == response.choices[0].raw_finish_reason


def test_refusal_is_explained():
    """
    Why an answer was refused stands apart from its text.
    """
    details = {"type": "refusal", "category": "bio", "explanation": "Not that."}

    response = answered([], stop_reason="refusal", stop_details=details)

    assert "Not that." == response.message.refusal
    assert "" == response.text


def test_compaction_is_paid_for():
    """
    What the rows tell is summed up, but for another model's.
    """
    rows = [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 10},
        {"type": "message", "input_tokens": 20, "output_tokens": 5},
        {"type": "advisor_message", "input_tokens": 7, "output_tokens": 7},
    ]

    usage = answered(
        [], usage={"input_tokens": 20, "output_tokens": 5, "iterations": rows}
    ).usage

    assert (120, 15) == (usage.prompt_tokens, usage.completion_tokens)


def test_sources_are_cited():
    """
    A citation tells its source, and which words of the answer rest on it.
    """
    cited = {
        "type": "char_location",
        "cited_text": "Ruby is old.",
        "document_title": "facts",
        "start_char_index": 40,
    }
    found = {"type": "search_result_location", "source": "https://x", "title": "X"}
    response = answered(
        [
            {"type": "text", "text": "So: "},
            {"type": "text", "text": "old", "citations": [cited, found]},
        ]
    )

    first, second = response.citations
    assert ("facts", "Ruby is old.", 4, 7) == (
        first.title,
        first.text,
        first.start,
        first.end,
    )
    assert ("https://x", "X") == (second.url, second.title)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}},
        [{"error": {"code": 503, "message": "Busy"}}],
        {"base_resp": {"status_code": 1000, "status_msg": "Busy"}},
        {"message": "Busy"},
    ],
    ids=["Anthropic's", "Google's", "MiniMax's", "a gateway's"],
)
def test_error_in_a_successful_body_is_raised(body):
    """
    A status of success does not hide what went wrong, in an answer or a list.
    """
    response = HttpResponse(status=200, body=json.dumps(body).encode())

    for decode in (
        anthropic_messages.decode_response,
        anthropic_messages.decode_models,
    ):
        with pytest.raises(ApiError, match="Busy"):
            decode(target_at(), response)


def test_text_for_content_is_taken():
    """
    Some send a plain string in place of blocks.
    """
    assert "Hi" == answered("Hi").text


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'"x"', b"[" * 100_000, b"\xff"]
)
def test_body_that_is_no_answer_is_unreadable(body):
    """
    Nothing but our own errors comes of it.
    """
    with pytest.raises(InvalidResponseError):
        anthropic_messages.decode_response(
            target_at(), HttpResponse(status=200, body=body)
        )


@pytest.mark.parametrize(
    ("status", "kind", "message", "error"),
    [
        (404, "not_found_error", "model: claude-0", ModelNotFoundError),
        (429, "rate_limit_error", "Slow down", RateLimitError),
        (402, "billing_error", "Pay", QuotaExhaustedError),
        (529, "overloaded_error", "Busy", OverloadedError),
    ],
)
def test_error_status_is_classified(status, kind, message, error):
    """
    Anthropic's types are known, and its id of the request is kept.
    """
    body = {"type": "error", "error": {"type": kind, "message": message}}
    body["request_id"] = "req_1"

    found = anthropic_messages.decode_error(
        target_at(), HttpResponse(status=status, body=json.dumps(body).encode())
    )

    assert error is type(found)
    assert (kind, "req_1") == (found.code, found.request_id)


# What goes back

SEARCH = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}


def test_plain_answer_keeps_no_state():
    """
    What a message holds in its fields is not kept twice.
    """
    message = answered([{"type": "text", "text": "x"}, USE]).message

    assert message.provider_state is None


def test_state_that_could_not_go_back_is_not_kept():
    """
    Python reads NaN, which JSON has not.
    """
    message = answered([{"type": "news", "value": float("nan")}]).message

    assert message.provider_state is None


def test_answer_goes_back_as_it_came():
    """
    Thinking, the servers' own tools and their order are untouched, also by a saved history.
    """
    content = [THOUGHT, SEARCH, FOUND, {"type": "text", "text": "So."}, USE]
    message = answered(content).message

    saved = json.loads(json.dumps(message.provider_state))
    message = attrs.evolve(message, provider_state=saved)
    turns = turns_of(
        Message.user("Hi"), message, Message.tool("3 C", "toolu_1"), tools=[WEATHER]
    )

    assert content == turns[1]["content"]


def test_answer_that_was_changed_keeps_what_is_signed():
    """
    New words take the place of the old ones.
    """
    content = [THOUGHT, SEARCH, FOUND, {"type": "text", "text": "So."}]
    message = attrs.evolve(answered(content).message, content="Else.")

    turns = turns_of(Message.user("Hi"), message, Message.user("Go on"))

    assert [THOUGHT, {"type": "text", "text": "Else."}] == turns[1]["content"]


@pytest.mark.parametrize(
    ("model", "then", "kept"),
    [
        ("claude-sonnet-4-5", "claude-opus-4-8", True),
        ("claude-sonnet-5-5", "claude-sonnet-5-5", True),
        ("claude-sonnet-4-5", "claude-sonnet-5-5", False),
    ],
)
def test_thinking_goes_to_models_that_take_it(model, then, kept):
    """
    The newest models take back only what they thought themselves.
    """
    content = [THOUGHT, {"type": "text", "text": "So."}]
    message = answered(content, target=target_at(model=model)).message

    turns = turns_of(Message.user("Hi"), message, Message.user("Go on"), model=then)

    assert (content if kept else "So.") == turns[1]["content"]


@pytest.mark.parametrize(
    "state",
    [
        {"openai_chat": {"reasoning_details": []}},
        {"anthropic_messages": {"provider": "minimax", "content": [THOUGHT]}},
        {"anthropic_messages": "x"},
        {"anthropic_messages": {"provider": "anthropic", "content": [1, None]}},
    ],
    ids=["another dialect", "another provider", "no state", "no blocks"],
)
def test_state_of_others_is_ignored(state):
    """
    A conversation that was begun elsewhere goes on.
    """
    message = Message(Role.ASSISTANT, "So.", reasoning="Hm.", provider_state=state)

    turns = turns_of(Message.user("Hi"), message, Message.user("Go on"))

    assert "So." == turns[1]["content"]


# Streams

STREAM = events(
    START,
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "H"},
        {"type": "thinking_delta", "thinking": "m."},
        {"type": "signature_delta", "signature": "c2ln"},
    ),
    {"type": "ping"},
    *block(1, {"type": "text", "text": ""}, text_delta("Grü"), text_delta("ße")),
    *block(
        2,
        {**USE, "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"city":'},
        {"type": "input_json_delta", "partial_json": '"Oslo"}'},
    ),
    end("tool_use", cache_read_input_tokens=9),
    STOP,
)


@pytest.mark.parametrize("size", [None, 1, 7, 64])
def test_stream_adds_up_to_the_answer(size):
    """
    However it is cut, a stream is what a whole answer would have been.
    """
    whole = answered(
        [THOUGHT, {"type": "text", "text": "Grüße"}, USE], stop_reason="tool_use"
    )

    chunks, response = streamed(STREAM, size=size)

    assert "Grüße" == "".join(chunk.text for chunk in chunks) == response.text
    assert whole.reasoning == response.reasoning
    assert whole.message.provider_state == response.message.provider_state
    assert [("toolu_1", "weather", {"city": "Oslo"})] == [
        (call.id, call.name, call.parse_arguments()) for call in response.tool_calls
    ]
    assert ("tool_calls", "msg_1", "claude-x") == (
        response.finish_reason,
        response.id,
        response.model,
    )
    usage = response.usage
    assert (14, 7, 9) == (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
    )


def test_calls_are_counted_by_themselves():
    """
    The index of a call counts calls, not blocks; an input may come whole, or not at all.
    """
    _, response = streamed(
        events(
            START,
            *block(0, {"type": "text", "text": "Well"}),
            *block(1, {**USE, "input": {"city": "Bergen"}}),
            *block(
                2,
                SEARCH,
                {"type": "input_json_delta", "partial_json": '{"q":1}'},
                text_delta("not said"),
            ),
            *block(5, {"type": "tool_use", "name": "now", "input": {}}),
            end(),
            STOP,
        )
    )

    first, second = response.tool_calls
    assert ("weather", {"city": "Bergen"}) == (first.name, first.parse_arguments())
    assert ("now", {}, "call_1") == (second.name, second.parse_arguments(), second.id)
    assert ("Well", "tool_calls") == (response.text, response.finish_reason)
    kept = response.message.provider_state["anthropic_messages"]["content"]
    assert {**SEARCH, "input": {"q": 1}} == kept[2]


def test_redacted_and_unknown_blocks_are_kept():
    """
    What cannot be read goes back all the same.
    """
    redacted = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
    _, response = streamed(
        events(
            START,
            *block(0, redacted),
            *block(
                1,
                {"type": "compaction", "content": None},
                {"type": "compaction_delta", "content": "Sum"},
                {"type": "compaction_delta", "content": "mary"},
            ),
            *block(2, {"type": "text", "text": ""}, text_delta("Hi")),
            end(),
            STOP,
        )
    )

    kept = response.message.provider_state["anthropic_messages"]["content"]
    assert [
        redacted,
        {"type": "compaction", "content": "Summary"},
        {"type": "text", "text": "Hi"},
    ] == kept


def test_citations_of_a_stream_come_with_their_place():
    """
    Where the cited words end is known when their block does.
    """
    delta = {"type": "citations_delta", "citation": {"cited_text": "c", "url": "u"}}
    _, response = streamed(
        events(
            START,
            *block(0, {"type": "text", "text": ""}, text_delta("So: ")),
            *block(1, {"type": "text", "text": ""}, delta, text_delta("old")),
            end(),
            STOP,
        )
    )

    (one,) = response.citations
    assert ("u", "c", 4, 7) == (one.url, one.text, one.start, one.end)


def test_beginnings_may_be_missing():
    """
    llama.cpp leaves out the first events of some streams, and others send one twice.
    """
    piece = {"type": "content_block_delta", "index": 0, "delta": text_delta("Hi")}
    more = {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "thinking_delta", "thinking": "Hm"},
    }

    _, without = streamed(events(piece, more, end(), STOP))
    _, twice = streamed(events(START, START, piece, end(), STOP))

    assert ("Hi", "Hm", "stop") == (
        without.text,
        without.reasoning,
        without.finish_reason,
    )
    assert without.usage is None
    assert ("Hi", 5) == (twice.text, twice.usage.prompt_tokens)


def test_error_in_a_stream_is_raised():
    """
    It is what it would have been with a status, and carries what had come.
    """
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    begun = block(0, {"type": "text", "text": ""}, text_delta("Half"))

    with pytest.raises(OverloadedError, match="Busy") as caught:
        streamed(events(START, *begun, error))

    assert "Half" == caught.value.partial.text


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"error":{"message":"Busy","code":503}}\n\n',
        b"event: error\ndata: Busy\n\n",
        b'event: error\ndata: "Busy"\n\n',
    ],
    ids=["as OpenAI's", "text", "string"],
)
def test_error_of_another_shape_is_raised(data):
    """
    Gateways report errors in their own manner.
    """
    with pytest.raises(AiLibError, match="Busy"):
        streamed(data)


def test_stream_of_no_json_is_unreadable():
    """
    Its beginning is shown.
    """
    with pytest.raises(InvalidResponseError, match="half"):
        streamed(b'data: {"half\n\ndata: x\n\n')


def test_end_of_no_block_ends_nothing():
    """
    An end without a beginning is passed over.
    """
    stray = {"type": "content_block_stop", "index": 3}

    _, response = streamed(events(START, stray, {"type": "news"}, end(), STOP))

    assert "stop" == response.finish_reason


def test_nothing_is_given_before_the_first_word():
    """
    So an error right at the start can still be retried.
    """
    parser = anthropic_messages.chunk_parser(target_at())

    assert not parser.feed(("message_start", json.dumps(START)))
    assert not parser.feed(("ping", '{"type": "ping"}'))


def test_usage_of_a_stream_that_is_cut_is_what_was_read():
    """
    The first words bring the tokens of the question; what they amount to is not final.
    """
    text = [*block(0, {"type": "text", "text": ""}, text_delta("Half"))]
    answer = AnswerSoFar(room=100)
    parser = anthropic_messages.chunk_parser(target_at())

    for event in (START, *text[:-1]):
        for chunk in parser.feed((event["type"], json.dumps(event))):
            answer.add(chunk)

    partial = answer.to_response(ChatCompletionResponse(), ended=False)
    assert 5 == partial.usage.prompt_tokens
    assert UsageStatus.PENDING is partial.usage_status


def test_stream_ends_at_its_mark():
    """
    What OpenRouter sends behind it is no part of it, and one that is cut is no answer.
    """
    text = [*block(0, {"type": "text", "text": ""}, text_delta("Half"))]

    done = b"data: [DONE]\n\n"
    chunks, _ = streamed(events(START, *text, end(), STOP) + done)
    with pytest.raises(IncompleteStreamError) as caught:
        streamed(events(START, *text) + done)

    assert "Half" == "".join(chunk.text for chunk in chunks)
    assert "Half" == caught.value.partial.text


def test_cut_thinking_is_not_kept():
    """
    A block without its end has no signature, and would be refused.
    """
    delta = {"type": "thinking_delta", "thinking": "Hm"}
    begun = [*block(0, {"type": "thinking"}, delta)][:-1]

    with pytest.raises(IncompleteStreamError) as caught:
        streamed(events(START, *begun))

    assert caught.value.partial.message.provider_state is None


JUNK = [None, True, -1, 1e300, "x", [], {}, [None], {"type": []}, "\ud800"]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_junk_anywhere_gives_no_error_but_ours(junk):
    """
    Every value of every event may be anything.
    """
    events_ = [line[6:] for line in STREAM.decode().splitlines() if line[:5] == "data:"]
    for text in events_:
        event = json.loads(text)
        places = [(event, key) for key in event]
        places += [
            (inner, key)
            for inner in event.values()
            if isinstance(inner, dict)
            for key in inner
        ]
        for place, key in places:
            before, place[key] = place[key], junk
            parser = anthropic_messages.chunk_parser(target_at())
            try:
                for one in (json.loads(events_[0]), event, json.loads(events_[-3])):
                    list(parser.feed(("", json.dumps(one))))
                list(parser.finish())
            except AiLibError:
                pass
            place[key] = before


# Models


def models(body, target=None):
    """
    A page of the model list.
    """
    response = HttpResponse(status=200, body=json.dumps(body).encode())
    return anthropic_messages.decode_models(target or target_at(), response)


def test_model_list_is_followed():
    """
    A page tells whether there is another, which begins behind its last model.
    """
    entry = {
        "type": "model",
        "id": "claude-a",
        "display_name": "Claude A",
        "created_at": "2025-10-15T00:00:00Z",
        "max_input_tokens": 200000,
        "max_tokens": 64000,
    }

    first = anthropic_messages.models_request(target_at())
    (model,), more = models({"data": [entry], "has_more": True, "last_id": "a/b"})
    _, nothing = models({"data": [entry, "x", {}], "has_more": False})

    assert "https://api.anthropic.com/v1/models?limit=1000" == first.url
    assert f"{first.url}&after_id=a%2Fb" == more.url
    assert nothing is None
    assert ("Claude A", 1760486400, 200000, 64000) == (
        model.name,
        model.created,
        model.context_window,
        model.max_output_tokens,
    )


@pytest.mark.parametrize("body", [[], {}, {"data": {}}, "x"], ids=repr)
def test_list_that_is_none_is_unreadable(body):
    """
    Nothing but our own errors comes of it.
    """
    with pytest.raises(InvalidResponseError):
        models(body)


def test_provider_may_have_no_list():
    """
    Then nothing is asked.
    """
    spec = attrs.evolve(SPECS["anthropic"], models_path=None)

    with pytest.raises(UnsupportedFeatureError):
        anthropic_messages.models_request(target_at(spec))
