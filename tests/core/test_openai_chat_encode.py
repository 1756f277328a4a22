"""
Requests on their way to the wire, in OpenAI's format and as each record bends it.
"""

from __future__ import annotations

import base64

import attrs
import pytest

from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.dialects import openai_chat
from ai_lib._core.errors import UnsupportedFeatureError
from ai_lib._core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Role,
    TextPart,
)
from ai_lib._core.providers import ProviderSpec, Quirks, ResolvedTarget
from ai_lib._core.tools import Tool, ToolCall

SPECS = {spec.id: spec for spec in CATALOG}
WEATHER = Tool("weather", "Tell the weather.", {"type": "object", "properties": {}})
CALL = ToolCall("call_1", "weather", '{"city":"Oslo"}')


def plain_spec(**quirks):
    """
    The record of a provider that differs from the plain dialect in *quirks* only.
    """
    return ProviderSpec(
        id="example",
        dialect="openai_chat",
        base_url="https://api.example.com/v1",
        quirks=Quirks(**quirks),
    )


def target_at(spec, model="some-model", **options):
    """
    A target at the record's own base URL.
    """
    if isinstance(spec, str):
        spec = SPECS[spec]
    return ResolvedTarget(
        spec=spec, model=model, base_url=spec.base_url, options=options
    )


def encoded(target, messages="Hi", *, stream=False, on_unsupported="warn", **fields):
    """
    The ``HttpRequest`` for a request of *messages* and *fields*.
    """
    request = ChatCompletionRequest(target.model, messages, **fields)
    return openai_chat.encode_request(
        target, request, stream=stream, on_unsupported=on_unsupported
    )


def body_of(target, messages="Hi", **more):
    """
    The body for a request.
    """
    return encoded(target, messages, **more).json()


def messages_of(target, *messages, **more):
    """
    The messages on the wire.
    """
    return body_of(target, messages, **more)["messages"]


def test_least_request_holds_nothing_else():
    """
    What was not asked for is not sent.
    """
    target = target_at(plain_spec())

    request = encoded(target)

    assert b'{"model":"some-model","messages":[{"role":"user","content":"Hi"}]}' == (
        request.body
    )
    assert "https://api.example.com/v1/chat/completions" == request.url
    assert {
        "content-type": "application/json",
        "accept": "application/json",
    } == request.headers
    assert () == request.warnings


def test_every_parameter_is_sent():
    """
    A plain provider gets all fields under OpenAI's names.
    """
    target = target_at(plain_spec())
    fields = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "stop": "END",
        "seed": 7,
        "n": 2,
        "logprobs": True,
        "top_logprobs": 3,
        "user": "u-1",
        "metadata": {"a": "b"},
        "max_tokens": 100,
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
    }

    body = body_of(target, **fields)

    assert {
        **fields,
        "stop": ["END"],
        "model": "some-model",
        "messages": [{"role": "user", "content": "Hi"}],
    } == body


def test_text_is_not_escaped():
    """
    Other scripts go as UTF-8; half a surrogate pair, which UTF-8 has not, as an escape.
    """
    target = target_at(plain_spec())

    assert "你好".encode() in encoded(target, "你好").body
    assert rb"\ud800" in encoded(target, "\ud800").body


def test_stream_asks_for_usage():
    """
    A stream asks for its usage, unless the record says that it comes unasked.
    """
    asked = body_of(target_at(plain_spec()), stream=True)
    unasked = body_of(target_at(plain_spec(stream_usage=False)), stream=True)

    assert {"include_usage": True} == asked["stream_options"]
    assert asked["stream"] is True
    assert unasked["stream"] is True
    assert "stream_options" not in unasked


def test_stream_accepts_events():
    """
    The accept header names what is wanted.
    """
    request = encoded(target_at(plain_spec()), stream=True)

    assert "text/event-stream" == request.headers["accept"]


def test_extensions_come_last_and_verbatim():
    """
    They overwrite what was made, nulls and nesting included.
    """
    target = target_at("mistral")

    body = body_of(target, seed=1, extensions={"random_seed": None, "x": {"y": [1]}})

    assert body["random_seed"] is None
    assert {"y": [1]} == body["x"]


# Parameters that a provider does not take


def test_unsupported_parameter_is_left_out_with_a_warning():
    """
    The warning names provider, parameter and what was done.
    """
    request = encoded(target_at("groq"), logprobs=True)

    assert "logprobs" not in request.json()
    assert ("groq does not take logprobs: it was left out.",) == request.warnings


def test_unsupported_parameter_raises_on_error():
    """
    With ``"error"`` nothing is left out behind the caller's back.
    """
    with pytest.raises(UnsupportedFeatureError, match="groq does not take logprobs"):
        encoded(target_at("groq"), logprobs=True, on_unsupported="error")


def test_unsupported_parameter_is_dropped_in_silence():
    """
    With ``"drop"`` nothing is said.
    """
    request = encoded(target_at("groq"), logprobs=True, on_unsupported="drop")

    assert () == request.warnings
    assert "logprobs" not in request.json()


def test_rename_is_no_refusal():
    """
    What goes under another name is told, and never raised.
    """
    request = encoded(target_at("mistral"), seed=5, on_unsupported="error")

    assert 5 == request.json()["random_seed"]
    assert ("mistral: seed was sent as random_seed.",) == request.warnings


@pytest.mark.parametrize(
    ("provider", "field", "asked", "sent"),
    [
        pytest.param("zhipuai", "temperature", 1.5, 1, id="above"),
        pytest.param("minimax", "temperature", 0, 0.01, id="below"),
        pytest.param("zhipuai", "temperature", 0.5, 0.5, id="inside"),
        pytest.param("groq", "n", 3, 1, id="count"),
    ],
)
def test_number_is_moved_into_its_range(provider, field, asked, sent):
    """
    A number outside of what is taken goes to the nearest end, and that is told.
    """
    request = encoded(target_at(provider), **{field: asked})

    assert sent == request.json()[field]
    assert (asked != sent) == bool(request.warnings)


def test_too_many_stops_are_cut():
    """
    The first ones are sent.
    """
    request = encoded(target_at("azure_openai"), stop=tuple("abcdef"))

    assert list("abcd") == request.json()["stop"]
    assert "6 stop texts" in request.warnings[0]


def test_logprobs_can_be_a_count():
    """
    Together wants one number for both fields.
    """
    target = target_at("together")

    assert 4 == body_of(target, logprobs=True, top_logprobs=4)["logprobs"]
    assert 1 == body_of(target, logprobs=True)["logprobs"]


# Families of models


@pytest.mark.parametrize(
    ("model", "effort", "kept"),
    [
        pytest.param("gpt-4o", None, True, id="no-reasoning-model"),
        pytest.param("gpt-5-chat-latest", None, True, id="chat-variant"),
        pytest.param("gpt-5-mini", None, False, id="always-reasons"),
        pytest.param("o4-mini", None, False, id="o-series"),
        pytest.param("gpt-5.1", None, True, id="none-is-default"),
        pytest.param("gpt-5.1", "low", False, id="effort-asked"),
        pytest.param("gpt-6-luna", None, False, id="reasons-by-default"),
        pytest.param("gpt-6.1-sol", "none", True, id="told-not-to"),
    ],
)
def test_sampling_of_openai_models(model, effort, kept):
    """
    A model takes a temperature only while it does not reason.
    """
    target = target_at("openai", model)

    request = encoded(target, temperature=0.2, reasoning_effort=effort)

    assert kept == ("temperature" in request.json())
    assert kept == (not request.warnings)


def test_value_that_says_nothing_is_left_out_without_a_word():
    """
    No penalty is no penalty, and temperature 1 is taken.
    """
    target = target_at("openai", "gpt-5-mini")

    request = encoded(
        target, frequency_penalty=0, temperature=1, on_unsupported="error"
    )

    assert "frequency_penalty" not in request.json()
    assert 1 == request.json()["temperature"]


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        pytest.param("gpt-5.6-luna", None, "none", id="from-5.6-none-is-said"),
        pytest.param("gpt-6-luna", "none", "none", id="asked-for-none"),
        pytest.param("gpt-5.4-nano", None, None, id="5.4-by-default"),
        pytest.param("gpt-5.1", "low", "low", id="older-take-both"),
        pytest.param("gpt-4o", None, None, id="no-effort-at-all"),
    ],
)
def test_effort_beside_tools(model, effort, sent):
    """
    Models that refuse tools while they reason are told not to.
    """
    body = body_of(target_at("openai", model), tools=[WEATHER], reasoning_effort=effort)

    assert sent == body.get("reasoning_effort")


def test_tools_with_effort_name_both_ways_out():
    """
    Where tools and an effort exclude each other no policy can help.
    """
    target = target_at("openai", "gpt-6-luna")

    with pytest.raises(UnsupportedFeatureError) as caught:
        encoded(target, tools=[WEATHER], reasoning_effort="high", on_unsupported="drop")

    assert 'reasoning_effort="none"' in caught.value.message
    assert "leave the tools out" in caught.value.message


def test_deployment_can_name_its_model():
    """
    Azure's rules follow the model that a deployment hides.
    """
    hidden = encoded(target_at("azure_openai", "prod"), temperature=0.2)
    named = encoded(
        target_at("azure_openai", "prod", base_model="gpt-5-mini"), temperature=0.2
    )

    assert "temperature" in hidden.json()
    assert "temperature" not in named.json()


@pytest.mark.parametrize(
    ("provider", "model", "effort", "sent"),
    [
        pytest.param(
            "deepseek",
            "deepseek-flash",
            "none",
            {"thinking": {"type": "disabled"}},
            id="off-by-another-field",
        ),
        pytest.param(
            "deepseek",
            "deepseek-flash",
            "max",
            {"reasoning_effort": "max"},
            id="as-asked",
        ),
        pytest.param(
            "groq",
            "openai/gpt-oss-20b",
            "none",
            {"reasoning_effort": "low"},
            id="nearest",
        ),
        pytest.param("minimax", "MiniMax-M3", "high", {}, id="cannot-be-told"),
        pytest.param("xai", "grok-4-fast", "high", {}, id="model-refuses"),
        pytest.param(
            "xai", "grok-4.3", "high", {"reasoning_effort": "high"}, id="model-takes"
        ),
        pytest.param("mistral", "codestral-latest", "high", {}, id="family-drops"),
    ],
)
def test_effort_in_other_words(provider, model, effort, sent):
    """
    An effort goes in the words of the family, else the record's, else as asked.
    """
    body = body_of(target_at(provider, model), reasoning_effort=effort)

    fields = ("reasoning_effort", "thinking", "enable_thinking")
    assert sent == {key: body[key] for key in fields if key in body}


def test_open_qwen_answers_whole_only_without_thinking():
    """
    The open-weight hybrids are told not to think, but in a stream or when an effort is asked for.
    """
    target = target_at("qwen", "qwen3-32b")

    assert body_of(target)["enable_thinking"] is False
    assert "enable_thinking" not in body_of(target, stream=True)
    assert "enable_thinking" not in body_of(target, reasoning_effort="low")


# Messages


def test_parts_of_a_message():
    """
    Parts keep their order; bytes go as data URLs.
    """
    target = target_at(plain_spec())
    message = Message.user(
        [
            TextPart("What is it?"),
            ImagePart.from_bytes(b"png", "image/png", detail="low"),
            ImagePart.from_url("https://example.com/a.png"),
            AudioPart.from_bytes(b"mp3", "audio/mpeg"),
            FilePart.from_bytes(b"pdf", "application/pdf", name="a.pdf"),
            FilePart.from_url("file-123"),
        ]
    )

    (sent,) = messages_of(target, message)

    image = "data:image/png;base64," + base64.b64encode(b"png").decode()
    sound = base64.b64encode(b"mp3").decode()
    pdf = "data:application/pdf;base64," + base64.b64encode(b"pdf").decode()
    assert [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": image, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": sound, "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": pdf}},
        {"type": "file", "file": {"file_id": "file-123"}},
    ] == sent["content"]


def test_text_parts_alone_are_a_string():
    """
    Many take lists for pictures only.
    """
    (sent,) = messages_of(
        target_at(plain_spec()), Message.user([TextPart("one"), TextPart("two")])
    )

    assert "one\ntwo" == sent["content"]


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        pytest.param(
            plain_spec(remote_images=False),
            ImagePart.from_url("https://example.com/a.png"),
            id="image",
        ),
        pytest.param(
            plain_spec(), FilePart.from_url("https://example.com/a.pdf"), id="file"
        ),
        pytest.param(
            plain_spec(), AudioPart.from_url("https://example.com/a.mp3"), id="sound"
        ),
    ],
)
def test_url_that_is_not_fetched_is_refused(spec, part):
    """
    Nothing is downloaded for the caller: the bytes must be passed.
    """
    with pytest.raises(UnsupportedFeatureError, match="pass the bytes"):
        encoded(target_at(spec), Message.user(["See", part]), on_unsupported="drop")


def test_file_as_document_url():
    """
    Mistral takes documents by URL, and sounds as bare strings.
    """
    message = Message.user(
        [
            FilePart.from_url("https://example.com/a.pdf"),
            AudioPart.from_bytes(b"x", "audio/mp3"),
        ]
    )

    (sent,) = messages_of(target_at("mistral"), message)

    assert [
        {"type": "document_url", "document_url": "https://example.com/a.pdf"},
        {"type": "input_audio", "input_audio": base64.b64encode(b"x").decode()},
    ] == sent["content"]


@pytest.mark.parametrize(
    ("provider", "role"),
    [pytest.param("openai", "developer"), pytest.param("deepseek", "system")],
    ids=["known", "unknown"],
)
def test_developer_is_system_elsewhere(provider, role):
    """
    OpenAI's newer role goes to those that know it.
    """
    (sent,) = messages_of(target_at(provider), Message(Role.DEVELOPER, "Be brief."))

    assert role == sent["role"]


def test_names_of_speakers():
    """
    A name is sent, or left out with a warning.
    """
    message = Message.user("Hi", name="Ada")

    (sent,) = messages_of(target_at(plain_spec()), message)
    request = encoded(target_at("groq"), message)

    assert "Ada" == sent["name"]
    assert "name" not in request.json()["messages"][0]
    assert 1 == len(request.warnings)


@pytest.mark.parametrize(
    ("content", "sent"), [(None, None), ("", "")], ids=["null", "empty"]
)
def test_history_with_tool_calls(content, sent):
    """
    Calls and results go back in place; an answer without text has the content that is taken.
    """
    target = target_at(plain_spec(empty_content=content))
    history = [
        Message.assistant(tool_calls=[CALL]),
        Message.tool('{"degrees":3}', "call_1", name="weather"),
    ]

    assistant, result = messages_of(target, *history)

    function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert {
        "role": "assistant",
        "content": sent,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    } == assistant
    assert {
        "role": "tool",
        "content": '{"degrees":3}',
        "tool_call_id": "call_1",
    } == result


def test_call_ids_are_rewritten_alike():
    """
    Mistral's ids have nine letters and digits: foreign ones change, both ends to the same.
    """
    history = [
        Message.assistant(tool_calls=[CALL, ToolCall("abcDEF123", "weather")]),
        Message.tool("3", "call_1", name="weather"),
    ]

    assistant, result = messages_of(target_at("mistral"), *history)

    first, second = (call["id"] for call in assistant["tool_calls"])
    assert first == result["tool_call_id"]
    assert "weather" == result["name"]
    assert (9, True) == (len(first), first.isalnum())
    assert "abcDEF123" == second


def test_unknown_fields_of_a_call_go_back_to_this_dialect_only():
    """
    What a provider keeps with a call is sent again; another dialect's is not.
    """
    own = attrs.evolve(CALL, extra={"openai_chat": {"extra_content": {"s": 1}}})
    foreign = attrs.evolve(CALL, extra={"gemini": {"signature": "x"}})

    (sent,) = messages_of(
        target_at(plain_spec()), Message.assistant(tool_calls=[own, foreign])
    )

    first, second = sent["tool_calls"]
    assert {"s": 1} == first["extra_content"]
    assert {"id", "type", "function"} == second.keys()


def test_refusal_goes_back_as_text():
    """
    An answer that was refused is not empty in the history.
    """
    message = Message(Role.ASSISTANT, refusal="I cannot.")

    (sent,) = messages_of(target_at(plain_spec()), message)

    assert "I cannot." == sent["content"]


def test_reasoning_goes_back_with_tools():
    """
    DeepSeek wants its field on every answer once there are tools, and only then.
    """
    target = target_at("deepseek")
    thought = Message(Role.ASSISTANT, "3", reasoning="One and two.")

    with_tools = messages_of(target, thought, Message.assistant("4"), tools=[WEATHER])
    without = messages_of(target, thought)
    elsewhere = messages_of(target_at("groq"), thought, tools=[WEATHER])

    assert ["One and two.", ""] == [one["reasoning_content"] for one in with_tools]
    assert "reasoning_content" not in without[0]
    assert "reasoning_content" not in elsewhere[0]


def test_state_goes_back_where_it_is_wanted():
    """
    Opaque state is replayed unchanged, to the record that wants it.
    """
    details = [{"type": "reasoning.encrypted", "data": "x", "index": 0}]
    message = Message(
        Role.ASSISTANT,
        "3",
        provider_state={"openai_chat": {"reasoning_details": details}},
    )

    (wanted,) = messages_of(target_at("openrouter"), message)
    (unwanted,) = messages_of(target_at("openai"), message)

    assert details == wanted["reasoning_details"]
    assert {"role", "content"} == unwanted.keys()


def test_thinking_parts_go_before_the_text():
    """
    Mistral's thoughts go back as the parts that they were.
    """
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    message = Message(
        Role.ASSISTANT, "3", provider_state={"openai_chat": {"thinking": [thought]}}
    )

    (sent,) = messages_of(target_at("mistral"), message)

    assert [thought, {"type": "text", "text": "3"}] == sent["content"]


# Tools and formats


def test_tool_on_the_wire():
    """
    A tool without parameters gets an empty object for a schema.
    """
    body = body_of(
        target_at(plain_spec()), tools=[Tool("now", strict=True)], tool_choice="now"
    )

    function = {
        "name": "now",
        "parameters": {"type": "object", "properties": {}},
        "strict": True,
    }
    assert [{"type": "function", "function": function}] == body["tools"]
    assert {"type": "function", "function": {"name": "now"}} == body["tool_choice"]


def test_strict_is_left_out_where_it_is_not_taken():
    """
    A promise that cannot be kept is not sent, and that is told.
    """
    request = encoded(target_at("moonshot"), tools=[Tool("now", strict=True)])

    assert "strict" not in request.json()["tools"][0]["function"]
    assert "strict of the tool now" in request.warnings[0]


def test_choice_without_tools_is_not_sent():
    """
    Without tools there is nothing to choose.
    """
    body = body_of(
        target_at(plain_spec()), tool_choice="auto", parallel_tool_calls=False
    )

    assert {"model", "messages"} == body.keys()


@pytest.mark.parametrize(
    ("provider", "asked", "sent"),
    [
        pytest.param("openai", "required", "required", id="plain"),
        pytest.param("mistral", "required", "any", id="other-word"),
        pytest.param("qwen", "required", None, id="no-word"),
        pytest.param("mistral", "none", "none", id="none"),
        pytest.param("ai21", "auto", None, id="no-field"),
    ],
)
def test_tool_choice_in_the_words_of_the_record(provider, asked, sent):
    """
    A choice that cannot be said is left to the model.
    """
    body = body_of(target_at(provider, "gpt-4o"), tools=[WEATHER], tool_choice=asked)

    assert sent == body.get("tool_choice")
    assert 1 == len(body["tools"])


def test_no_call_is_no_tools_where_there_is_no_word_for_it():
    """
    ``"none"`` is kept even by those that know ``auto`` only.
    """
    body = body_of(target_at("zhipuai"), tools=[WEATHER], tool_choice="none")

    assert {"model", "messages"} == body.keys()


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}


def test_schema_gets_a_name():
    """
    OpenAI wants one.
    """
    body = body_of(target_at(plain_spec()), response_format=JSON_SCHEMA)

    assert {"name": "output", "schema": SCHEMA} == body["response_format"][
        "json_schema"
    ]


@pytest.mark.parametrize(
    ("provider", "instead"),
    [("deepseek", {"type": "json_object"}), ("minimax", None)],
    ids=["json-object", "nothing"],
)
def test_schema_that_is_not_taken_is_asked_for_in_words(provider, instead):
    """
    The schema goes into the system message, with a warning.
    """
    target = target_at(provider)
    messages = [Message.system("Be brief."), Message.user("Hi")]

    request = encoded(target, messages, response_format=JSON_SCHEMA)

    body = request.json()
    system = body["messages"][0]["content"]
    assert instead == body.get("response_format")
    assert system.startswith("Be brief.\n\nAnswer with one JSON object")
    assert '{"type":"object","properties":{"a":{"type":"string"}}}' in system
    assert (
        f"{provider} does not take response_format=json_schema" in request.warnings[0]
    )


def test_body_of_the_record_yields_to_extensions():
    """
    What every request carries can be said otherwise.
    """
    target = target_at("minimax")

    assert body_of(target)["reasoning_split"] is True
    assert {"reasoning_split": False}.items() <= body_of(
        target, extensions={"reasoning_split": False}
    ).items()


# Where requests go


@pytest.mark.parametrize(
    ("base", "version", "url"),
    [
        pytest.param(
            "https://r.openai.azure.com/openai/v1",
            "",
            "https://r.openai.azure.com/openai/v1/chat/completions",
            id="v1",
        ),
        pytest.param(
            "https://r.openai.azure.com",
            "preview",
            "https://r.openai.azure.com/openai/v1/chat/completions?api-version=preview",
            id="bare-endpoint",
        ),
        pytest.param(
            "https://r.openai.azure.com/openai/v1",
            "2024-06-01",
            "https://r.openai.azure.com/openai/deployments/prod%2F1"
            "/chat/completions?api-version=2024-06-01",
            id="dated",
        ),
        pytest.param(
            "https://r.openai.azure.com/openai/deployments/d",
            "",
            "https://r.openai.azure.com/openai/deployments/d"
            "/chat/completions?api-version=2024-10-21",
            id="deployment-in-base",
        ),
    ],
)
def test_urls_of_azure(base, version, url):
    """
    The v1 surface, or the deployments of old with a dated version.
    """
    target = attrs.evolve(
        target_at("azure_openai", "prod/1", api_version=version), base_url=base
    )

    assert url == encoded(target).url


@pytest.mark.parametrize(
    ("model", "version"),
    [("spark-x", "v2"), ("4.0Ultra", "v1"), ("lite", "v1")],
)
def test_spark_has_a_host_by_model(model, version):
    """
    The older models are elsewhere, unless the caller has named a base URL.
    """
    target = target_at("iflytek_spark", model)
    elsewhere = attrs.evolve(target, base_url="https://proxy.example.com/v2")

    assert f"/{version}/chat/completions" in encoded(target).url
    assert "https://proxy.example.com/v2/chat/completions" == encoded(elsewhere).url


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        pytest.param("openai", "https://api.openai.com/v1/models", id="plain"),
        pytest.param(
            "cloudflare",
            "https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/models/search",
            id="elsewhere",
        ),
    ],
)
def test_models_url(provider, url):
    """
    The list is behind the base URL, or above it.
    """
    request = openai_chat.models_request(target_at(provider))

    assert ("GET", url) == (request.method, request.url)


def test_models_of_a_deployment_are_the_resource_s():
    """
    A deployment has no list: its resource has.
    """
    target = attrs.evolve(
        target_at("azure_openai"), base_url="https://r.azure.com/openai/deployments/d"
    )

    assert "https://r.azure.com/openai/models?api-version=2024-10-21" == (
        openai_chat.models_request(target).url
    )


def test_no_model_list_is_said():
    """
    Spark has none.
    """
    with pytest.raises(UnsupportedFeatureError, match="no list of models"):
        openai_chat.models_request(target_at("iflytek_spark"))
