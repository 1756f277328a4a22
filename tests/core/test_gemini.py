"""
Google's ``generateContent``: requests on their way to the wire, answers whole and streamed.
"""

from __future__ import annotations

import base64
import json

import attrs
import pytest

from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import ChatCompletionRequest, Citation, UsageStatus
from ai_lib._core.dialects import gemini
from ai_lib._core.dialects._gemini_answers import _Call
from ai_lib._core.dialects._gemini_schema import Subset, unheeded_words
from ai_lib._core.errors import (
    ApiError,
    AuthenticationError,
    ContentFilteredError,
    IncompleteStreamError,
    InvalidResponseError,
    ModelNotFoundError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    UnsupportedFeatureError,
)
from ai_lib._core.framing import make_framer
from ai_lib._core.http import HttpResponse
from ai_lib._core.messages import AudioPart, FilePart, ImagePart, Message, TextPart
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.serialization import from_dict, to_dict
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.tools import Tool, ToolCall

SPECS = {spec.id: spec for spec in CATALOG}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("weather", "Tell the weather.", SCHEMA)
FORM = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
UNSIGNED = "skip_thought_signature_validator"


def target_of(model="gemini-3.8-flash", provider="gemini", **more):
    """
    A target of a built-in provider.
    """
    spec = SPECS[provider]
    options = more.pop("options", {})
    base_url = more.get("base_url") or spec.base_url.format(**options)
    return ResolvedTarget(
        spec=spec,
        model=model,
        base_url=base_url,
        options=options,
        choices=more.get("choices", 1),
    )


def encoded(messages="Hi", *, stream=False, on_unsupported="warn", **more):
    """
    The ``HttpRequest`` for a request; *more* are fields of it, or of the target.
    """
    names = ("model", "provider", "options", "base_url")
    place = {name: more.pop(name) for name in names if name in more}
    target = target_of(**place)
    request = ChatCompletionRequest(target.model, messages, **more)
    return gemini.encode_request(
        target, request, stream=stream, on_unsupported=on_unsupported
    )


def body_of(*messages, **more):
    """
    The body for a request of *messages*.
    """
    return encoded(messages or "Hi", **more).json()


def contents_of(*messages, **more):
    """
    The turns on the wire.
    """
    return body_of(*messages, **more)["contents"]


def candidate(*parts, finish="STOP", **more):
    """
    A candidate of *parts*; a string is a text.
    """
    written = [{"text": one} if isinstance(one, str) else one for one in parts]
    found = {"content": {"role": "model", "parts": written}, **more}
    return found | ({"finishReason": finish} if finish else {})


def answer(*candidates, **more):
    """
    A whole body, or one event.
    """
    return {"candidates": list(candidates), "responseId": "r1", **more}


def response_of(body, status=200):
    """
    An answer with *body*, a JSON value or bytes.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw)


def decoded(body):
    """
    The whole answer that *body* means.
    """
    return gemini.decode_response(target_of(), response_of(body))


def decoder_of(content_type="text/event-stream", choices=1):
    """
    A decoder of one stream.
    """
    target = target_of(choices=choices)
    return ChunkDecoder(
        parser=gemini.chunk_parser(target),
        decode_whole=lambda body: gemini.decode_response(target, response_of(body)),
        content_type=content_type,
        choices=choices,
    )


def drained(decoder, body, cut=10**9):
    """
    The chunks of *body*, fed in pieces of *cut* bytes.
    """
    chunks = []
    pieces = [body[at : at + cut] for at in range(0, len(body), cut)]
    for piece in [*pieces, b""]:
        decoder.feed(piece)
        while (chunk := decoder.next_chunk()) is not None:
            chunks.append(chunk)
    return chunks


def as_events(*events):
    """
    Server-sent events in Google's manner.
    """
    return b"".join(b"data: %s\r\n\r\n" % json.dumps(one).encode() for one in events)


def streamed(*events, cut=10**9, choices=1):
    """
    The whole answer that a stream of *events* adds up to.
    """
    decoder = decoder_of(choices=choices)
    drained(decoder, as_events(*events), cut)
    return decoder.response


# Requests


def test_least_request_holds_nothing_else():
    """
    What nobody set is not sent, and the key is nowhere.
    """
    request = encoded("Hi")

    base = "https://generativelanguage.googleapis.com/v1beta"
    assert f"{base}/models/gemini-3.8-flash:generateContent" == request.url
    assert {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]} == request.json()
    assert () == request.warnings
    assert request.credential is None


def test_stream_asks_for_events():
    """
    A stream has a method of its own, and is asked for as server-sent events.
    """
    request = encoded("Hi", stream=True)

    assert request.url.endswith(
        "/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    )
    assert "text/event-stream" == request.headers["accept"]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        pytest.param("models/gemini-2.5-pro", "models/gemini-2.5-pro", id="prefixed"),
        pytest.param("tunedModels/mine-1", "tunedModels/mine-1", id="tuned"),
        pytest.param("../x?y=1", "models/..%2Fx%3Fy%3D1", id="encoded"),
        pytest.param("tunedModels/..", "models/tunedModels%2F..", id="climbing"),
    ],
)
def test_model_stands_in_the_url(model, path):
    """
    A model is named with or without its prefix, and cannot leave its place in the URL.
    """
    request = encoded("Hi", model=model)

    assert f"{SPECS['gemini'].base_url}/{path}:generateContent" == request.url


@pytest.mark.parametrize(
    ("location", "host"),
    [
        pytest.param("global", "aiplatform.googleapis.com", id="global"),
        pytest.param("eu", "aiplatform.eu.rep.googleapis.com", id="multi-region"),
        pytest.param(
            "us-central1", "us-central1-aiplatform.googleapis.com", id="region"
        ),
        pytest.param("US.X", "aiplatform.googleapis.com", id="unknown"),
    ],
)
def test_vertex_is_asked_at_its_location(location, host):
    """
    Every location of Vertex has a host, and project and location stand in the path.
    """
    options = {"project": "p-1", "location": location}

    request = encoded("Hi", provider="vertex", options=options)

    path = f"v1/projects/p-1/locations/{location}/publishers/google/models"
    assert f"https://{host}/{path}/gemini-3.8-flash:generateContent" == request.url


def test_vertex_keeps_the_host_that_was_named():
    """
    A base URL of the caller's own is left alone; an endpoint of the project is asked beside the publishers.
    """
    base_url = "http://127.0.0.1:1/v1/projects/p/locations/eu/publishers/google"

    request = encoded(
        "Hi",
        provider="vertex",
        model="endpoints/42",
        options={"location": "eu"},
        base_url=base_url,
    )

    assert (
        "http://127.0.0.1:1/v1/projects/p/locations/eu/endpoints/42:generateContent"
        == request.url
    )


def test_parameters_have_googles_names():
    """
    Every number goes into ``generationConfig``.
    """
    body = body_of(
        model="gemini-2.5-flash",
        temperature=0.5,
        max_tokens=9,
        top_p=0.9,
        top_k=5,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        stop="END",
        seed=7,
        n=2,
        logprobs=True,
        top_logprobs=3,
    )

    assert {
        "temperature": 0.5,
        "maxOutputTokens": 9,
        "topP": 0.9,
        "topK": 5,
        "frequencyPenalty": 0.1,
        "presencePenalty": 0.2,
        "stopSequences": ["END"],
        "seed": 7,
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 3,
    } == body["generationConfig"]


def test_what_google_lacks_is_left_out_with_a_warning():
    """
    User, metadata and the switch for parallel calls are missed in words; more stop texts than five are cut.
    """
    request = encoded(
        "Hi",
        user="u",
        metadata={"a": "b"},
        parallel_tool_calls=False,
        stop=tuple("abcdef"),
    )

    assert {"contents", "generationConfig"} == request.json().keys()
    assert 4 == len(request.warnings)
    with pytest.raises(UnsupportedFeatureError):
        encoded("Hi", user="u", on_unsupported="error")


def test_vertex_takes_metadata_as_labels():
    """
    What is kept with a request is called labels there.
    """
    options = {"project": "p", "location": "global"}

    body = body_of(provider="vertex", options=options, metadata={"team": "a"})

    assert {"team": "a"} == body["labels"]


def test_sampling_without_effect_is_sent_and_told():
    """
    Newer models take a temperature and ignore it: it is sent, and the caller hears of it.
    """
    request = encoded("Hi", temperature=0.5)

    assert {"temperature": 0.5} == request.json()["generationConfig"]
    assert ("gemini-3.8-flash pays no heed to temperature.",) == request.warnings


@pytest.mark.parametrize(
    ("model", "effort", "config", "warned"),
    [
        ("gemini-3.8-flash", "low", {"thinkingLevel": "low"}, 0),
        ("gemini-3.8-flash", "none", {"thinkingLevel": "low"}, 1),
        ("gemini-3.6-flash", "minimal", {"thinkingLevel": "minimal"}, 0),
        ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "low"}, 1),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "high"}, 1),
        ("gemini-flash-lite-latest", "none", {"thinkingLevel": "minimal"}, 1),
        ("gemini-9-new", "xhigh", {"thinkingLevel": "high"}, 1),
        ("gemini-2.5-flash", "medium", {"thinkingBudget": 8192}, 0),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}, 0),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}, 1),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 32768}, 0),
        ("gemini-2.0-flash", "low", None, 1),
    ],
)
def test_effort_is_said_as_the_family_takes_it(model, effort, config, warned):
    """
    From 3 on there are levels, before them budgets, and once there was no thinking; what differs is told.
    """
    request = encoded("Hi", model=model, reasoning_effort=effort)

    thoughts = {"includeThoughts": True} if effort != "none" else {}
    expected = {"thinkingConfig": {**config, **thoughts}} if config else None
    assert expected == request.json().get("generationConfig")
    assert warned == len(request.warnings)


def test_schemas_are_sent_whole():
    """
    Tools and answers have fields for JSON schemas as they are; what is not heeded in them is told.
    """
    schema = {
        "$defs": {"City": {"type": "string", "pattern": "^O"}},
        "type": "object",
        "properties": {"pattern": {"$ref": "#/$defs/City"}},
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    request = encoded(
        "Hi", tools=[Tool("find", None, schema)], response_format=form, max_tokens=5
    )

    body = request.json()
    assert [
        {"functionDeclarations": [{"name": "find", "parametersJsonSchema": schema}]}
    ] == body["tools"]
    assert {
        "maxOutputTokens": 5,
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    } == body["generationConfig"]
    assert [
        "gemini pays no heed to pattern in the schema of response_format.",
        "gemini pays no heed to pattern in the schema of the tool find.",
    ] == sorted(request.warnings)


def test_googles_own_schema_is_known_by_its_types():
    """
    A schema in capitals is OpenAPI's, and goes where that is read.
    """
    schema = {"type": "OBJECT", "properties": {}}

    body = body_of(tools=[Tool("now", "Tell the time.", schema)])

    declared = {"name": "now", "description": "Tell the time.", "parameters": schema}
    assert [{"functionDeclarations": [declared]}] == body["tools"]


def test_older_models_get_the_subset():
    """
    What OpenAPI's subset can say of a schema is said there, and the rest is missed in words.
    """
    schema = {
        "$schema": "x",
        "$defs": {"Kind": {"enum": ["a", None]}},
        "type": "object",
        "properties": {
            "kind": {"$ref": "#/$defs/Kind", "description": "Which."},
            "one": {"const": "b"},
            "some": {"type": ["string", "null"], "format": "email"},
            "either": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
            "perhaps": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "list": {"type": "array", "items": {"type": "string", "not": {}}},
            "level": {"enum": [1, 2]},
        },
        "required": ["kind"],
        "additionalProperties": False,
    }

    request = encoded(
        "Hi", model="gemini-2.0-flash", tools=[Tool("find", None, schema)]
    )

    written = request.json()["tools"][0]["functionDeclarations"][0]["parameters"]
    text = {"type": "string"}
    assert {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": text | {"enum": ["a"], "nullable": True, "description": "Which."},
            "one": text | {"enum": ["b"]},
            "some": text | {"nullable": True},
            "either": {"anyOf": [{"type": "integer"}, text]},
            "perhaps": {"type": "number", "nullable": True},
            "list": {"type": "array", "items": text},
            "level": {},
        },
    } == written
    assert ["enum", "format", "not"] == [
        one.split("'")[1] for one in sorted(request.warnings)
    ]


@pytest.mark.parametrize(
    ("schema", "written", "lost"),
    [
        pytest.param(
            {"type": ["string", "integer", "null"]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": True},
            [],
            id="types",
        ),
        pytest.param({"items": True}, {"items": {}}, [], id="anything"),
        pytest.param(
            {"type": "string", "format": "date-time"},
            {"type": "string", "format": "date-time"},
            [],
            id="format",
        ),
        pytest.param(
            {"additionalProperties": {"type": "string"}},
            {},
            ["additionalProperties"],
            id="map",
        ),
        pytest.param({"$ref": "#/x/y"}, {"type": "object"}, ["$ref"], id="nowhere"),
    ],
)
def test_subset(schema, written, lost):
    """
    Each word of a schema is said, said otherwise, or lost.
    """
    subset = Subset(schema)

    assert written == subset.write()
    assert lost == sorted(subset.lost)


def test_words_are_looked_for_everywhere_but_in_data():
    """
    What is not heeded is found below unions and lists; names and values are no words.
    """
    schema = {
        "anyOf": [{"items": ({"minLength": 1},)}, {"const": {"pattern": 1}}],
        "properties": {"not": True},
        "enum": [{"maxLength": 3}],
    }

    assert ["minLength"] == unheeded_words(schema)


def test_json_without_a_schema():
    """
    Any JSON has a media type only; text is what comes without a word.
    """
    body = body_of(response_format={"type": "json_object"})

    assert {"responseMimeType": "application/json"} == body["generationConfig"]
    assert ["contents"] == list(body_of(response_format={"type": "text"}))


def test_schema_that_holds_itself_is_cut_in_the_subset():
    """
    Recursion, which the subset cannot say, ends with an object of any kind.
    """
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    schema = {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}

    request = encoded("Hi", model="gemini-2.0-flash", tools=[Tool("f", None, schema)])

    written = request.json()["tools"][0]["functionDeclarations"][0]["parameters"]
    inner = {"type": "object", "properties": {"next": {"type": "object"}}}
    assert inner == written
    assert "$ref" in request.warnings[0]


def test_json_beside_tools_is_asked_for_in_words_before_three():
    """
    Models that refuse a format together with tools are asked in the system instruction.
    """
    request = encoded(
        "Hi", model="gemini-2.5-flash", tools=[WEATHER], response_format=FORM
    )

    body = request.json()
    (part,) = body["systemInstruction"]["parts"]
    assert '"city"' in part["text"]
    assert "generationConfig" not in body
    assert 1 == len(request.warnings)


@pytest.mark.parametrize(
    ("choice", "strict", "calling"),
    [
        pytest.param("auto", None, {"mode": "AUTO"}, id="auto"),
        pytest.param("none", None, {"mode": "NONE"}, id="none"),
        pytest.param("required", True, {"mode": "ANY"}, id="required"),
        pytest.param(
            "weather",
            None,
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
            id="named",
        ),
        pytest.param(None, True, {"mode": "VALIDATED"}, id="strict"),
    ],
)
def test_tool_choice_is_a_mode(choice, strict, calling):
    """
    The choice is a mode; strict tools have one of their own.
    """
    tool = attrs.evolve(WEATHER, strict=strict)

    body = body_of(tools=[tool, Tool("now")], tool_choice=choice)

    assert {"functionCallingConfig": calling} == body["toolConfig"]


def test_choice_without_tools_is_left_out():
    """
    A choice needs tools; ones in the extensions will do.
    """
    alone = encoded("Hi", tool_choice="auto")
    beside = body_of(tool_choice="none", extensions={"tools": [{"googleSearch": {}}]})

    assert ["contents"] == list(alone.json())
    assert 1 == len(alone.warnings)
    assert "toolConfig" in beside


def test_extensions_are_last_and_verbatim():
    """
    A field of the extensions takes the place of ours; that it took fields along is told.
    """
    more = {"generationConfig": {"responseModalities": ["IMAGE"]}, "safetySettings": []}

    request = encoded("Hi", max_tokens=5, extensions=more)

    assert more == {key: request.json()[key] for key in more}
    assert "maxOutputTokens" in request.warnings[0]


# Messages


def test_turns_are_joined_and_system_messages_stand_apart():
    """
    Neighbours of one role are one turn; system messages are one instruction, wherever they stood.
    """
    request = encoded(
        [
            Message.system("One."),
            Message.user("a"),
            Message.user("b"),
            Message.assistant("c"),
            Message("developer", "Two."),
            Message.user("d"),
        ]
    )

    body = request.json()
    assert {"parts": [{"text": "One."}, {"text": "Two."}]} == body["systemInstruction"]
    assert [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}]},
        {"role": "user", "parts": [{"text": "d"}]},
    ] == body["contents"]
    assert 1 == len(request.warnings)


@pytest.mark.parametrize(
    ("model", "messages", "turns"),
    [
        pytest.param(
            "gemma-3-27b-it", ["user"], [("user", ["Be brief.", "user"])], id="gemma"
        ),
        pytest.param(
            "gemma-3-27b-it",
            ["assistant"],
            [("user", ["Be brief."]), ("model", ["assistant"])],
            id="gemma-after-an-answer",
        ),
        pytest.param("gemini-3.8-flash", [], [("user", ["Be brief."])], id="alone"),
    ],
)
def test_system_message_that_cannot_stand_apart_is_the_users(model, messages, turns):
    """
    Where there is no instruction, or nothing else, the first turn begins with it.
    """
    more = [Message(role, role) for role in messages]

    body = body_of(Message.system("Be brief."), *more, model=model)

    assert "systemInstruction" not in body
    assert turns == [
        (one["role"], [part["text"] for part in one["parts"]])
        for one in body["contents"]
    ]


def test_media_go_inline_or_by_reference():
    """
    Bytes go inline, URLs as they are with the type that is known of them.
    """
    (turn,) = contents_of(
        Message.user(
            [
                "See.",
                ImagePart.from_bytes(b"\x89", "image/png"),
                AudioPart.from_url("gs://bucket/a.mp3"),
                FilePart(url="files/abc", mime="application/pdf"),
                ImagePart.from_url("https://example.com/a.jpg?x=1"),
                FilePart.from_url("https://youtu.be/xyz"),
            ]
        )
    )

    base = "https://generativelanguage.googleapis.com/v1beta"
    assert [
        {"text": "See."},
        {"inlineData": {"mimeType": "image/png", "data": "iQ=="}},
        {"fileData": {"fileUri": "gs://bucket/a.mp3", "mimeType": "audio/mpeg"}},
        {
            "fileData": {
                "fileUri": f"{base}/files/abc",
                "mimeType": "application/pdf",
            }
        },
        {
            "fileData": {
                "fileUri": "https://example.com/a.jpg?x=1",
                "mimeType": "image/jpeg",
            }
        },
        {"fileData": {"fileUri": "https://youtu.be/xyz"}},
    ] == turn["parts"]


@pytest.mark.parametrize(
    ("model", "content"),
    [
        ("gemini-2.5-flash", ImagePart(url="https://example.com/a.png")),
        ("gemini-3.8-flash", ImagePart(url="ms://a")),
    ],
    ids=["not-fetched", "foreign"],
)
def test_url_that_is_not_fetched_is_refused(model, content):
    """
    A picture that cannot be had is not left out, whatever the policy.
    """
    with pytest.raises(UnsupportedFeatureError):
        encoded([Message.user(content)], model=model, on_unsupported="drop")


def test_vertex_fetches_for_older_models():
    """
    What the Gemini API does for newer models only, Vertex does for all.
    """
    message = Message.user(ImagePart(url="https://example.com/a.png"))
    options = {"project": "p", "location": "global"}

    (turn,) = contents_of(
        message, provider="vertex", model="gemini-2.5-flash", options=options
    )

    assert "fileData" in turn["parts"][0]


def test_picture_in_a_system_message_is_refused():
    """
    An instruction is text only.
    """
    message = Message.system([ImagePart.from_bytes(b"x", "image/png")])

    with pytest.raises(UnsupportedFeatureError):
        encoded([message, Message.user("Hi")])


def test_foreign_calls_and_results_are_paired_by_order():
    """
    A history of another provider keeps its order, needs no ids, and says that signatures are missing.
    """
    calls = [
        ToolCall("call_a", "weather", '{"city":"Oslo"}'),
        ToolCall("call_b", "now"),
    ]

    contents = contents_of(
        Message.user("Hi"),
        Message.assistant(None, tool_calls=calls),
        Message.tool("12:00", "call_b"),
        Message.tool('{"sky":"grey"}', "call_a"),
        Message.user("And?"),
    )

    assert [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"name": "weather", "args": {"city": "Oslo"}},
                    "thoughtSignature": UNSIGNED,
                },
                {"functionCall": {"name": "now", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "weather", "response": {"sky": "grey"}}},
                {"functionResponse": {"name": "now", "response": {"result": "12:00"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "And?"}]},
    ] == contents[1:]


def test_older_models_get_no_stand_in_for_a_signature():
    """
    Only those that demand signatures are told that there is none.
    """
    message = Message.assistant(None, tool_calls=[ToolCall("a", "now")])

    (turn,) = contents_of(message, model="gemini-2.5-flash")

    assert [{"functionCall": {"name": "now", "args": {}}}] == turn["parts"]


@pytest.mark.parametrize(
    ("result", "name"),
    [
        pytest.param(Message("tool", "x", name="now"), "now", id="by-name"),
        pytest.param(Message("tool", "x"), "weather", id="by-order"),
        pytest.param(Message.tool("x", "old"), "past", id="of-before"),
        pytest.param(Message.tool("x", "gone"), "gone", id="unknown"),
    ],
)
def test_result_finds_the_name_of_its_tool(result, name):
    """
    Google wants the tool's name: it is found by id, by name, by order, among earlier calls.
    """
    contents = contents_of(
        Message.assistant(None, tool_calls=[ToolCall("old", "past")]),
        Message.tool("y", "old"),
        Message.assistant(
            None, tool_calls=[ToolCall("a", "weather"), ToolCall("b", "now")]
        ),
        result,
    )

    assert name == contents[-1]["parts"][0]["functionResponse"]["name"]


@pytest.mark.parametrize(
    "text",
    ["[1]", '{"x":NaN}', "plain", '{"x":', "[" * 5000],
    ids=["list", "nan", "words", "cut", "deep"],
)
def test_result_that_is_no_object_is_wrapped(text):
    """
    Whatever a tool gave arrives, as an object.
    """
    (turn,) = contents_of(Message.tool(text, "a", name="f"))

    assert {"result": text} == turn["parts"][0]["functionResponse"]["response"]


@pytest.mark.parametrize(
    ("model", "inside"),
    [("gemini-3.8-flash", True), ("gemini-2.5-flash", False)],
    ids=["inside", "beside"],
)
def test_picture_in_a_result(model, inside):
    """
    Newer models take it in the result, older ones beside it.
    """
    content = [TextPart("Look."), ImagePart.from_bytes(b"\x89", "image/png")]

    (turn,) = contents_of(Message.tool(content, "a", name="shot"), model=model)

    picture = {"inlineData": {"mimeType": "image/png", "data": "iQ=="}}
    result = {"name": "shot", "response": {"result": "Look."}}
    if inside:
        assert [{"functionResponse": result | {"parts": [picture]}}] == turn["parts"]
    else:
        assert [{"functionResponse": result}, picture] == turn["parts"]


def test_arguments_that_are_no_object_are_sent_all_the_same():
    """
    What a model wrote badly goes back as text.
    """
    message = Message.assistant(None, tool_calls=[ToolCall("a", "now", '{"x":')])

    (turn,) = contents_of(message)

    assert {"arguments": '{"x":'} == turn["parts"][0]["functionCall"]["args"]


def test_names_and_details_are_missed_in_words():
    """
    There is no place for who speaks, nor for how closely to look.
    """
    picture = ImagePart.from_bytes(b"x", "image/png", detail="low")

    request = encoded([Message.user([picture], name="ann")])

    assert 2 == len(request.warnings)


def test_empty_messages_stay_valid():
    """
    An empty question is an empty text; an empty answer is no turn; a refusal is what was said.
    """
    refused = Message("assistant", "", refusal="No.")

    contents = contents_of(Message.user(""), Message.assistant(""), Message.user("b"))
    (again,) = contents_of(refused)

    assert [[{"text": ""}], [{"text": "b"}]] == [one["parts"] for one in contents]
    assert [{"text": "No."}] == again["parts"]


# Answers


FULL = answer(
    candidate(
        {"text": "Let me ", "thought": True},
        {"text": "see.", "thought": True},
        "It is ",
        "grey.",
        {
            "functionCall": {"id": "f1", "name": "weather", "args": {"city": "Oslo"}},
            "thoughtSignature": "c2ln",
        },
        {"functionCall": {"name": "now"}},
    ),
    modelVersion="gemini-3.8-flash",
    createTime="2026-11-22T10:00:00.5Z",
    usageMetadata={
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 52,
    },
)


@pytest.mark.parametrize("read", [decoded, streamed], ids=["whole", "streamed"])
def test_answer_is_read(read):
    """
    Text, thoughts, calls, usage and why it stopped are the same whole and streamed.
    """
    response = read(FULL)

    assert "It is grey." == response.text
    assert "Let me see." == response.reasoning
    assert "tool_calls" == response.finish_reason
    assert "STOP" == response.choices[0].raw_finish_reason
    assert ("r1", "gemini-3.8-flash", 1795341600) == (
        response.id,
        response.model,
        response.created,
    )
    assert (15, 37, 52, 4, 30) == attrs.astuple(response.usage)
    assert UsageStatus.FINALIZED == response.usage_status
    assert [("weather", {"city": "Oslo"}), ("now", {})] == [
        (call.name, call.parse_arguments()) for call in response.tool_calls
    ]
    assert "f1" == response.tool_calls[0].id
    assert FULL == response.raw


@pytest.mark.parametrize("read", [decoded, streamed], ids=["whole", "streamed"])
def test_answer_goes_back_as_it_came(read):
    """
    Thoughts, signatures and ids return in their places, also from a saved history; made-up ids do not.
    """
    empty = {"text": "", "thoughtSignature": "ZW5k"}
    last = candidate(empty, {"executableCode": {"code": "1+1"}}, {"text": "2"})
    parts = [*FULL["candidates"][0]["content"]["parts"], *last["content"]["parts"]]
    message = read(answer(candidate(*parts))).message

    saved = from_dict(Message, json.loads(json.dumps(to_dict(message))))
    (turn,) = contents_of(saved)

    assert [
        {"text": "Let me see.", "thought": True},
        {"text": "It is grey."},
        parts[4],
        {"functionCall": {"name": "now", "args": {}}},
        *parts[6:],
    ] == [
        {key: one for key, one in part.items() if key != "thought" or one is True}
        for part in turn["parts"]
    ]


def test_result_goes_back_under_the_id_that_was_given():
    """
    A call's own id is on its result; one that was made up here is not.
    """
    response = decoded(FULL)
    results = [Message.tool("x", call.id) for call in response.tool_calls]

    contents = contents_of(Message.user("Hi"), response.message, *reversed(results))

    assert [
        {"id": "f1", "name": "weather", "response": {"result": "x"}},
        {"name": "now", "response": {"result": "x"}},
    ] == [part["functionResponse"] for part in contents[-1]["parts"]]


def test_edited_answer_is_not_replaced_by_what_came():
    """
    Words that the caller changed are the caller's; the calls keep their signatures.
    """
    message = attrs.evolve(decoded(FULL).message, content="It is blue, I think.")

    (turn,) = contents_of(message)

    assert {"text": "It is blue, I think."} == turn["parts"][0]
    assert "c2ln" == turn["parts"][1]["thoughtSignature"]


def test_calls_alone_keep_their_signatures():
    """
    A message that is built anew of an answer's calls is as good as the answer.
    """
    message = Message.assistant(None, tool_calls=decoded(FULL).tool_calls)

    (turn,) = contents_of(message)

    assert ["c2ln", None] == [one.get("thoughtSignature") for one in turn["parts"]]


def test_state_of_another_dialect_is_ignored():
    """
    What another provider keeps is none of Google's business, and plain answers keep nothing.
    """
    message = attrs.evolve(
        Message.assistant("a"), provider_state={"anthropic": {"parts": [1]}}
    )

    assert [{"text": "a"}] == contents_of(message)[0]["parts"]
    assert decoded(answer(candidate("a", "b"))).message.provider_state is None


@pytest.mark.parametrize(
    "state",
    [[], [1], [{"text": 99}], [{"text": "a"}], [{"functionCall": {}}], {"text": -1}],
)
def test_state_that_cannot_be_right_is_ignored(state):
    """
    A history that was damaged is sent by what it says.
    """
    message = attrs.evolve(
        Message.assistant("abc"), provider_state={"gemini": {"parts": state}}
    )

    assert [{"text": "abc"}] == contents_of(message)[0]["parts"]


def test_made_up_ids_are_told_apart_and_stay_the_same():
    """
    Two calls have two ids, another answer's are others, and the same answer's are the same.
    """
    body = answer(*[candidate(*[{"functionCall": {"name": "f"}}] * 2)])
    other = body | {"responseId": "r2"}

    ids = [[call.id for call in read(body).tool_calls] for read in (decoded, streamed)]
    others = [call.id for call in decoded(other).tool_calls]

    assert ids[0] == ids[1]
    assert 4 == len({*ids[0], *others})


def test_streamed_arguments_are_put_together():
    """
    Pieces of arguments belong to the call that is open, each at its path.
    """

    def piece(path=None, going=True, **value):
        told = {"partialArgs": [{"jsonPath": path, **value}]} if path else {}
        more = {"willContinue": True} if going else {}
        return candidate({"functionCall": {**told, **more}}, finish=None)

    def begun(name):
        call = {"name": name, "willContinue": True}
        return candidate({"functionCall": call}, finish=None)

    events = [
        begun("move"),
        piece("$.to.name", stringValue="Os"),
        piece("$.to.name", stringValue="lo"),
        piece("$.steps[1]['how far']", numberValue=2.5),
        piece("$.fast", boolValue=True),
        piece("$.via", nullValue="NULL_VALUE"),
        piece(going=False),
        begun("stop"),
        candidate(finish="STOP"),
    ]

    response = streamed(*map(answer, events))

    assert [
        (
            "move",
            {
                "to": {"name": "Oslo"},
                "steps": [None, {"how far": 2.5}],
                "fast": True,
                "via": None,
            },
        ),
        ("stop", {}),
    ] == [(call.name, call.parse_arguments()) for call in response.tool_calls]
    assert "tool_calls" == response.finish_reason


@pytest.mark.parametrize(
    "path",
    ["$.a[99999999]", "$.a.b", "$[0]", "$" + ".x" * 200],
    ids=["far", "through-text", "list", "deep"],
)
def test_argument_without_a_place_cannot_be_read(path):
    """
    A path that leads nowhere ends the stream with an error of ours.
    """
    pieces = [{"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": path}]
    if "99" in path:
        pieces = pieces[1:]
    call = {"functionCall": {"name": "f", "partialArgs": pieces}}

    with pytest.raises(InvalidResponseError):
        streamed(answer(candidate(call)))


def test_arguments_nested_beyond_reason_cannot_be_read():
    """
    What cannot be written as JSON again is no argument.
    """
    args = {}
    for _ in range(100_000):
        args = {"a": args}
    call = _Call(place=0, id="a", name="f", args=args)

    with pytest.raises(InvalidResponseError):
        call.end()


def test_signature_may_come_with_a_later_piece():
    """
    A call that streams has its signature wherever it comes.
    """
    begin = {"functionCall": {"name": "f", "willContinue": True}}
    end = {"functionCall": {}, "thoughtSignature": "bGF0ZQ=="}

    response = streamed(answer(candidate(begin, finish=None)), answer(candidate(end)))

    (call,) = response.tool_calls
    assert ("{}", "bGF0ZQ==") == (
        call.arguments,
        call.extra["gemini"]["thoughtSignature"],
    )


def test_images_are_parts_of_the_answer():
    """
    Bytes that a model made stand among its words, and go back inline.
    """
    data = base64.urlsafe_b64encode(b"\xfb\xff").decode()
    made = {"inlineData": {"mimeType": "image/png", "data": data}}
    odd = {"inlineData": {"mimeType": "image/png", "data": "?"}}

    message = decoded(answer(candidate("Here:", made, odd, "Done."))).message

    assert (
        TextPart("Here:"),
        ImagePart.from_bytes(b"\xfb\xff", "image/png"),
        TextPart("Done."),
    ) == message.content
    assert "Here:Done." == message.text
    assert made in contents_of(message)[0]["parts"]


def test_several_candidates_are_several_choices():
    """
    Candidates keep their places, streamed in any order too.
    """
    whole = decoded(answer(candidate("a"), candidate("b")))
    events = [
        answer(candidate("b", finish=None, index=1)),
        answer(candidate("a", index=0)),
        answer(candidate("c", index=1)),
    ]

    response = streamed(*events)

    assert ["a", "b"] == [one.message.text for one in whole.choices]
    assert ["a", "bc"] == [one.message.text for one in response.choices]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("OTHER", "OTHER"),
    ],
)
@pytest.mark.parametrize("read", [decoded, streamed], ids=["whole", "streamed"])
def test_finish_reasons(read, raw, reason):
    """
    Why it stopped is said in our words where there is one; what a filter says is a refusal.
    """
    response = read(answer({"finishReason": raw, "finishMessage": "Because."}))

    choice = response.choices[0]
    assert (reason, raw, "") == (
        choice.finish_reason,
        choice.raw_finish_reason,
        choice.message.text,
    )
    refused = "Because." if reason == "content_filter" else None
    assert refused == choice.message.refusal


@pytest.mark.parametrize("read", [decoded, streamed], ids=["whole", "streamed"])
def test_blocked_prompt_is_an_error(read):
    """
    A prompt that was not let through raises, with the reason as its code.
    """
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": "Too rude."}

    with pytest.raises(ContentFilteredError, match="Too rude") as caught:
        read({"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 4}})

    assert "SAFETY" == caught.value.code


@pytest.mark.parametrize("read", [decoded, streamed], ids=["whole", "streamed"])
def test_sources_are_cited(read):
    """
    Places, which are told in bytes, are told in characters; every source is named.
    """
    grounding = {
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "A"}},
            {"retrievedContext": {"title": "B", "text": "words"}},
            {"other": {}},
        ],
        "groundingSupports": [
            {
                "segment": {"startIndex": 7, "endIndex": 11},
                "groundingChunkIndices": [0, 2, 7, None],
            }
        ],
    }
    one = candidate(
        "Grüß Gott",
        groundingMetadata=grounding,
        citationMetadata={"citationSources": [{"endIndex": 4, "uri": "https://c"}, {}]},
        urlContextMetadata={
            "urlMetadata": [
                {"retrievedUrl": "https://a.example"},
                {
                    "retrievedUrl": "https://e",
                    "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_ERROR",
                },
                {"retrievedUrl": "https://d"},
            ]
        },
    )

    response = read(answer(one))

    assert (
        Citation(url="https://a.example", title="A", start=5, end=9),
        Citation(title="B", text="words"),
        Citation(url="https://c", start=0, end=3),
        Citation(url="https://d"),
    ) == response.citations


def test_repeated_sources_are_named_once():
    """
    Events that tell all sources so far add only the new ones.
    """
    told = {"citationSources": [{"endIndex": 1, "uri": "https://a"}]}
    event = answer(candidate("x", citationMetadata=told))
    decoder = decoder_of()

    chunks = drained(decoder, as_events(event, event))

    named = [len(chunk.choices[0].delta.citations) for chunk in chunks]
    assert [1, 0] == named


def test_logprobs_are_kept_as_they_came():
    """
    Probabilities are the provider's own; those of a stream are joined.
    """
    told = {"chosenCandidates": [{"token": "a", "logProbability": -0.1}]}
    event = answer(candidate("a", logprobsResult=told))

    whole = decoded(event)
    response = streamed(event, event)

    assert told == whole.choices[0].logprobs
    assert 2 == len(response.choices[0].logprobs["chosenCandidates"])


def test_usage_may_be_missing():
    """
    Events of Vertex tell the kind of traffic and nothing else: that is no usage.
    """
    response = decoded(answer(candidate("a"), usageMetadata={"trafficType": "X"}))

    assert response.usage is None
    assert UsageStatus.UNSUPPORTED == response.usage_status


@pytest.mark.parametrize(
    "body",
    [{}, [], [1, 2], "text", {"candidates": []}, {"candidates": [1]}, b"<html>", b"{"],
    ids=repr,
)
def test_body_without_an_answer_cannot_be_read(body):
    """
    What holds neither candidates nor an error is no answer.
    """
    with pytest.raises(InvalidResponseError):
        decoded(body)


ERROR = {"code": 503, "message": "Try later.", "status": "UNAVAILABLE"}


@pytest.mark.parametrize("body", [{"error": ERROR}, [{"error": ERROR}]], ids=type)
def test_error_in_a_body_of_success(body):
    """
    An error with a status of 200, bare or in a list, is what it says.
    """
    with pytest.raises(OverloadedError, match="Try later"):
        decoded(body)


def test_error_in_a_stream_comes_behind_what_came():
    """
    What was said before an error is heard, and kept with it.
    """
    decoder = decoder_of()
    body = as_events(answer(candidate("So far", finish=None)), {"error": ERROR})

    with pytest.raises(OverloadedError) as caught:
        drained(decoder, body)

    assert "So far" == caught.value.partial.text


def failure(code, status, *details, message="No."):
    """
    An error's body.
    """
    told = {"code": code, "status": status, "message": message, "details": details}
    return {"error": told}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"}
KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
}


def quota(id):
    """
    The detail that says which limit was hit.
    """
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": id}],
    }


@pytest.mark.parametrize(
    ("status", "body", "kind", "after"),
    [
        pytest.param(
            429,
            failure(429, "RESOURCE_EXHAUSTED", quota("GeneratePerMinute"), RETRY),
            RateLimitError,
            17.5,
            id="minute",
        ),
        pytest.param(
            429,
            [failure(429, "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerDay"))],
            QuotaExhaustedError,
            None,
            id="day",
        ),
        pytest.param(
            400,
            failure(400, "INVALID_ARGUMENT", KEY),
            AuthenticationError,
            None,
            id="key",
        ),
        pytest.param(
            404,
            failure(
                404,
                "NOT_FOUND",
                message="models/x is not found for API version v1beta.",
            ),
            ModelNotFoundError,
            None,
            id="model",
        ),
    ],
)
def test_error_statuses(status, body, kind, after):
    """
    Details tell which limit was hit and how long it lasts, and that a 400 is about the key.
    """
    error = gemini.decode_error(target_of(), response_of(body, status))

    assert kind is type(error)
    assert after == error.retry_after


# Streams


EVENTS = (
    answer(candidate({"text": "“Hm”", "thought": True}, finish=None)),
    answer(candidate("Grüße ", finish=None), usageMetadata={"promptTokenCount": 1}),
    answer(candidate('a"b\\{', {"functionCall": {"name": "f", "args": {"x": "}]"}}})),
)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(as_events(*EVENTS), "text/event-stream", id="events"),
        pytest.param(
            json.dumps(EVENTS, indent=2, ensure_ascii=False).encode(),
            "application/json",
            id="array",
        ),
        pytest.param(
            b"[" + b"\r\n,\r\n".join(json.dumps(one).encode() for one in EVENTS) + b"]",
            "application/json",
            id="compact-array",
        ),
    ],
)
@pytest.mark.parametrize("cut", [1, 2, 3, 7, 64, 10**9])
def test_both_framings_give_the_same(body, content_type, cut):
    """
    Server-sent events or one array, cut anywhere: the chunks are the same.
    """
    decoder = decoder_of(content_type)

    chunks = drained(decoder, body, cut)

    response = decoder.response
    assert ["", "Grüße ", 'a"b\\{'] == [chunk.text for chunk in chunks][:3]
    assert 'Grüße a"b\\{' == response.text
    assert "“Hm”" == response.reasoning
    assert {"x": "}]"} == response.tool_calls[0].parse_arguments()
    assert "tool_calls" == response.finish_reason


def test_array_streams():
    """
    An object of an array is heard as soon as it is whole.
    """
    decoder = decoder_of("application/json")

    decoder.feed(b"[" + json.dumps(EVENTS[1]).encode())

    assert "Grüße " == decoder.next_chunk().text


@pytest.mark.parametrize(
    "body",
    [
        b"[" + json.dumps(EVENTS[1]).encode() + b',{"candidates":[{"con',
        as_events(EVENTS[1]) + b'data: {"candidates":[{"con',
    ],
    ids=["array", "events"],
)
def test_cut_stream_is_incomplete(body):
    """
    Bytes that end before a finish reason are a cut answer, which is kept.
    """
    with pytest.raises(IncompleteStreamError) as caught:
        drained(decoder_of(), body)

    assert "Grüße " == caught.value.partial.text


def test_array_without_an_object_is_incomplete():
    """
    An array that is cut before its first object is no answer that could not be read.
    """
    with pytest.raises(IncompleteStreamError):
        drained(decoder_of("application/json"), b'[{"candidates"')


def test_whole_body_in_place_of_a_stream():
    """
    A proxy that does not stream is understood.
    """
    decoder = decoder_of("application/json")

    drained(decoder, json.dumps(FULL).encode())

    assert "It is grey." == decoder.response.text


def test_error_alone_in_an_array():
    """
    An error is one wherever it stands.
    """
    with pytest.raises(OverloadedError):
        drained(decoder_of("application/json"), json.dumps([{"error": ERROR}]).encode())


def test_array_ends_with_its_bracket():
    """
    What follows an array is not read, and what is no object in it neither.
    """
    framer = make_framer("sse_or_json_array")

    frames = framer.feed(b' \n[1,"{",[{}],{"a":[]}] {"b":{"c":1}}')

    assert [("", '{"a":[]}')] == frames
    assert [] == framer.feed(b'[{"d":1}]')
    assert [] == framer.close()


def test_padding_tells_nothing_of_the_framing():
    """
    White space before an array or events is waited out; it is progress all the same.
    """
    framer = make_framer("sse_or_json_array")

    before = framer.feed(b" "), framer.progressed, framer.feed(b"\r\n")

    assert ([], False, []) == before
    assert framer.progressed
    assert [("", "{}")] == framer.feed(b"[{}")
    assert [] == make_framer("sse_or_json_array").close()


def test_object_beyond_the_limit_ends_the_array():
    """
    One object may be as large as one event, however it is cut.
    """
    for cut in (5, 1000):
        framer = make_framer("sse_or_json_array", 20)
        body = b'[{"a":1},{"b":"' + b"x" * 100 + b'"},{"c":1}]'

        frames = [
            frame
            for at in range(0, len(body), cut)
            for frame in framer.feed(body[at : at + cut])
        ]

        assert [("", '{"a":1}')] == frames
        assert framer.error is not None


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("", "hello", InvalidResponseError),
        ("error", "hello", ApiError),
        ("error", '"hello"', ApiError),
        ("", "[" * 100_000, InvalidResponseError),
    ],
    ids=["words", "error", "error-as-json", "deep"],
)
def test_event_that_cannot_be_read(name, data, kind):
    """
    What is no JSON is an error of ours.
    """
    with pytest.raises(kind):
        list(gemini.chunk_parser(target_of()).feed((name, data)))


def test_stream_of_several_candidates_ends_with_the_last_of_them():
    """
    That all that were seen have ended does not mean that no other comes.
    """
    usage = {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}}
    each = [
        {"index": index, "content": {"parts": [{"text": text}]}, **end}
        for index, text, end in [
            (0, "A", {"finishReason": "STOP"}),
            (1, "B", {"finishReason": "STOP"}),
        ]
    ]

    response = streamed(*({"candidates": [one], **usage} for one in each), choices=2)

    assert ["A", "B"] == [one.message.text for one in response.choices]


def test_stream_ends_with_its_last_event_whatever_stays_open():
    """
    The event with reason to stop and usage ends the stream, though the connection stays open.
    """
    decoder = decoder_of()
    end = {"finishReason": "STOP", "content": {"parts": [{"text": "A"}]}}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 2}

    decoder.feed(as_events({"candidates": [end], "usageMetadata": usage}))
    chunks = list(iter(decoder.next_chunk, None))

    assert "A" == "".join(chunk.text for chunk in chunks)
    assert decoder.ended


@pytest.mark.parametrize("data", ["", "1", "[]", "{}", '{"candidates":[null]}'])
def test_event_that_says_nothing(data):
    """
    Unknown events are nothing; a gateway's mark ends the stream.
    """
    parser = gemini.chunk_parser(target_of())

    assert () == tuple(parser.feed(("", data)))
    assert not parser.done
    assert () == tuple(parser.feed(("", "[DONE]")))
    assert parser.done


JUNK = [None, True, -1, 1.5, float("nan"), "", "x", [], {}, [None], [[]], {"a": 1}]


def _places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, one in items:
        yield from _places(one, (*path, key))


def _replaced(value, path, junk):
    if not path:
        return junk
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], junk)
    return copy


@pytest.mark.parametrize("read", [decoded, streamed], ids=["whole", "streamed"])
def test_junk_anywhere_is_survived(read):
    """
    Whatever stands wherever, an answer that can go back comes of it, or an error of ours.
    """
    part = {"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a"}]}}
    body = FULL
    more = candidate(part, "x", logprobsResult={}, groundingMetadata={})
    body = {**body, "candidates": [*body["candidates"], more]}

    for path in _places(body):
        for junk in JUNK:
            try:
                response = read(_replaced(body, path, junk))
            except (ApiError, InvalidResponseError, IncompleteStreamError):
                continue
            for choice in response.choices:
                assert contents_of(Message.user("Hi"), choice.message)


# Models


def test_models_that_chat_are_listed_page_by_page():
    """
    Names lose their prefix, what cannot chat is left out, and the next page has a request.
    """
    first = gemini.models_request(target_of())
    listed = [
        {
            "name": "models/gemini-3.8-flash",
            "displayName": "Gemini 3.8 Flash",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent"],
        },
        {"name": "models/embed", "supportedGenerationMethods": ["embedContent"]},
        {"name": "tunedModels/mine"},
        None,
        {},
    ]
    body = {"models": listed, "nextPageToken": "a/b="}

    models, following = gemini.decode_models(target_of(), response_of(body))
    rest, end = gemini.decode_models(target_of(), response_of({"models": []}))

    assert first.url.endswith("/v1beta/models?pageSize=1000")
    assert following.url.endswith("/models?pageSize=1000&pageToken=a%2Fb%3D")
    assert [
        ("gemini-3.8-flash", "Gemini 3.8 Flash", 1048576, 65536),
        ("tunedModels/mine", "tunedModels/mine", None, None),
    ] == [
        (one.id, one.name, one.context_window, one.max_output_tokens) for one in models
    ]
    assert ([], None) == (rest, end)


def test_vertex_has_no_list():
    """
    Where there is no list, that is said.
    """
    options = {"project": "p", "location": "global"}

    with pytest.raises(UnsupportedFeatureError):
        gemini.models_request(target_of(provider="vertex", options=options))


@pytest.mark.parametrize(
    ("body", "kind"),
    [({}, InvalidResponseError), ({"error": ERROR}, OverloadedError)],
    ids=["nothing", "error"],
)
def test_list_that_is_none(body, kind):
    """
    What holds no list is an error.
    """
    with pytest.raises(kind):
        gemini.decode_models(target_of(), response_of(body))
