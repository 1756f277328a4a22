"""
Ollama's own chat API: requests, answers, streams, errors and the list of models.
"""

from __future__ import annotations

import json

import attrs
import pytest

from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    Usage,
    UsageStatus,
)
from ai_lib._core.dialects import ollama
from ai_lib._core.errors import (
    ApiError,
    ContextLengthExceededError,
    IncompleteStreamError,
    InvalidRequestError,
    InvalidResponseError,
    ModelNotFoundError,
    OverloadedError,
    UnsupportedFeatureError,
)
from ai_lib._core.http import HttpResponse
from ai_lib._core.messages import AudioPart, FilePart, ImagePart, Message
from ai_lib._core.providers import Quirks, ResolvedTarget
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.targets import Target, resolve, resolve_model
from ai_lib._core.tools import Tool, ToolCall

SPEC = next(spec for spec in CATALOG if spec.id == "ollama")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("weather", "Tell the weather.", SCHEMA)
CLOCK = Tool("clock")
CREATED = "2026-03-01T12:00:00.123456789Z"


def target_at(model="qwen3:4b", base_url=SPEC.base_url):
    """
    A target at a server.
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
    return ollama.encode_request(
        target, request, stream=stream, on_unsupported=on_unsupported
    )


def messages_of(*messages):
    """
    The messages on the wire.
    """
    return encoded(messages).json()["messages"]


def response_of(body, status=200):
    """
    An answer with *body*, a JSON value or bytes.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw)


def line(message=None, *, done=False, **more):
    """
    One object of an answer.
    """
    found = {"model": "qwen3:4b", "created_at": CREATED, "done": done, **more}
    if message is not None:
        found["message"] = {"role": "assistant", "content": "", **message}
    return found


def last(message=None, **more):
    """
    The object that ends an answer.
    """
    counts = {"prompt_eval_count": 26, "eval_count": 12}
    return line(message or {}, done=True, **{"done_reason": "stop", **counts, **more})


def call(name, arguments, **more):
    """
    A tool call on the wire.
    """
    return {"function": {"name": name, "arguments": arguments}, **more}


def decoded(body):
    """
    The whole answer that *body* means.
    """
    return ollama.decode_response(target_at(), response_of(body))


def streamed(*lines, size=None):
    """
    The chunks of a stream, and the answer that they add up to; cut into pieces of *size* bytes.
    """
    data = b"".join(
        one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n"
        for one in lines
    )
    decoder = ChunkDecoder(
        parser=ollama.chunk_parser(target_at()),
        decode_whole=lambda body: ollama.decode_response(
            target_at(), response_of(body)
        ),
        base=ChatCompletionResponse(provider="ollama"),
        content_type="application/x-ndjson",
    )
    for start in range(0, len(data), size or len(data)):
        decoder.feed(data[start : start + (size or len(data))])
    decoder.feed(b"")
    chunks = []
    while (chunk := decoder.next_chunk()) is not None:
        chunks.append(chunk)
    return chunks, decoder.response


# Where the server is


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("192.0.2.7:8080", "http://192.0.2.7:8080/api/chat"),
        ("localhost", "http://localhost:11434/api/chat"),
        ("0.0.0.0", "http://127.0.0.1:11434/api/chat"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234/api/chat"),
        ("http://[::]:1234", "http://[::1]:1234/api/chat"),
        (":1234", "http://localhost:1234/api/chat"),
        ("http://127.0.0.1:1234/", "http://127.0.0.1:1234/api/chat"),
        ("http://127.0.0.1:1234/v1", "http://127.0.0.1:1234/api/chat"),
        ("http://127.0.0.1:1234/api", "http://127.0.0.1:1234/api/chat"),
        ("http://localhost/ollama", "http://localhost/ollama/api/chat"),
        ("https://ollama.com", "https://ollama.com/api/chat"),
    ],
)
@pytest.mark.filterwarnings("ignore:Keys and prompts go to")
def test_host_in_the_environment(host, url):
    """
    ``OLLAMA_HOST`` is read as the server itself and other clients read it.
    """
    target, key = resolve(Target("ollama", "m"), environ={"OLLAMA_HOST": host})

    assert url == encoded(target=target).url
    assert key is None


def test_no_key_is_needed_and_the_cloud_s_is_taken():
    """
    Only the cloud asks for one.
    """
    cloud = Target("ollama", "m", base_url="https://ollama.com")

    _, none = resolve(Target("ollama"), environ={})
    target, key = resolve(cloud, environ={"OLLAMA_API_KEY": "a-key-of-the-cloud"})

    assert none is None
    assert "OLLAMA_API_KEY" == key.variable
    assert "https://ollama.com/api/chat" == encoded(target=target).url


def test_default_model_is_the_first_listed():
    """
    There is no model that every server has.
    """
    assert resolve_model(SPEC, "auto", environ={}) is None
    assert "llama3.2" == resolve_model(SPEC, "", environ={"OLLAMA_MODEL": "llama3.2"})


# Requests


@pytest.mark.parametrize(
    ("stream", "accept"), [(False, "application/json"), (True, "application/x-ndjson")]
)
def test_least_request_says_whether_to_stream(stream, accept):
    """
    Without a word it would stream.
    """
    request = encoded(stream=stream)

    assert {
        "model": "qwen3:4b",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": stream,
    } == request.json()
    assert accept == request.headers["accept"]
    assert () == request.warnings


def test_parameters_are_options():
    """
    What the model is run with goes into an object of its own.
    """
    request = encoded(
        temperature=0.2,
        top_p=0.9,
        top_k=40,
        max_tokens=300,
        seed=7,
        stop="END",
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logprobs=True,
        top_logprobs=2,
        n=1,
    )

    body = request.json()
    assert {
        "temperature": 0.2,
        "top_p": 0.9,
        "top_k": 40,
        "num_predict": 300,
        "seed": 7,
        "stop": ["END"],
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
    } == body["options"]
    assert (True, 2) == (body["logprobs"], body["top_logprobs"])
    assert () == request.warnings


def test_extensions_join_the_options():
    """
    Options of the caller's own add to those of the request and win; all else stands at the top.
    """
    more = {"options": {"num_ctx": 8192, "seed": 1}, "keep_alive": "5m", "think": True}

    body = encoded(temperature=0.2, seed=7, extensions=more).json()

    assert {"temperature": 0.2, "seed": 1, "num_ctx": 8192} == body["options"]
    assert ("5m", True) == (body["keep_alive"], body["think"])
    assert {"num_ctx": 8192, "seed": 1} == more["options"]


def test_options_that_are_none_go_as_they_are():
    """
    What an extension holds is never checked.
    """
    body = encoded(temperature=0.2, extensions={"options": None}).json()

    assert body["options"] is None


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"user": "u"},
        {"metadata": {"a": "b"}},
        {"parallel_tool_calls": False},
        {"tool_choice": "required"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_not_taken_is_told(fields):
    """
    A parameter that there is no place for is left out with a warning, or refused by policy.
    """
    request = encoded(**fields)

    assert encoded().json() == request.json()
    assert 1 == len(request.warnings)
    assert () == encoded(on_unsupported="drop", **fields).warnings
    with pytest.raises(UnsupportedFeatureError):
        encoded(on_unsupported="error", **fields)


@pytest.mark.parametrize(
    ("model", "effort", "think", "warnings"),
    [
        ("qwen3", "none", False, 0),
        ("qwen3", "medium", "medium", 0),
        ("qwen3", "max", "max", 0),
        ("qwen3", "minimal", "low", 1),
        ("gpt-oss:20b", "high", "high", 0),
        ("gpt-oss:20b", "none", "low", 1),
        ("library/gpt-oss", "max", "high", 1),
    ],
)
def test_reasoning_effort_is_how_to_think(model, effort, think, warnings):
    """
    Words go as they are; what a model cannot do is moved to what it can.
    """
    request = encoded(target=target_at(model), reasoning_effort=effort)

    assert think == request.json()["think"]
    assert warnings == len(request.warnings)


def test_record_may_say_that_effort_is_not_taken():
    """
    What a record drops is left out with a warning.
    """
    spec = attrs.evolve(SPEC, quirks=Quirks(drop=("reasoning_effort", "seed")))
    target = attrs.evolve(target_at(), spec=spec)

    request = encoded(target=target, reasoning_effort="low", seed=1)

    assert not request.json().keys() & {"think", "options"}
    assert 2 == len(request.warnings)


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ({"type": "json_object"}, "json"),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
            SCHEMA,
        ),
        ({"type": "text"}, None),
    ],
    ids=["object", "schema", "text"],
)
def test_response_format(form, sent):
    """
    A schema is the format itself.
    """
    assert sent == encoded(response_format=form).json().get("format")


@pytest.mark.parametrize(
    ("choice", "names", "warnings"),
    [
        (None, ["weather", "clock"], 0),
        ("auto", ["weather", "clock"], 0),
        ("none", None, 0),
        ("required", ["weather", "clock"], 1),
        ("clock", ["clock"], 1),
    ],
)
def test_tool_choice(choice, names, warnings):
    """
    It can be said only by which tools are shown.
    """
    request = encoded(tools=[WEATHER, CLOCK], tool_choice=choice)

    tools = request.json().get("tools")
    assert names == (tools and [tool["function"]["name"] for tool in tools])
    assert warnings == len(request.warnings)


def test_strict_is_told_to_be_left_out():
    """
    No schema is held there.
    """
    request = encoded(tools=[Tool("weather", None, SCHEMA, strict=True)])

    assert [
        {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    ] == request.json()["tools"]
    assert 1 == len(request.warnings)


# Messages


def test_content_is_a_string_and_images_stand_beside():
    """
    Bytes go as plain base64.
    """
    parts = ["What", ImagePart.from_bytes(b"png", "image/png"), "is this?"]

    assert [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What\nis this?", "images": ["cG5n"]},
    ] == messages_of(Message("developer", "Be brief."), Message.user(parts))


@pytest.mark.parametrize(
    "part",
    [
        ImagePart.from_url("https://example.com/a.png"),
        AudioPart.from_bytes(b"x", "audio/wav"),
        FilePart.from_bytes(b"x", "application/pdf"),
    ],
    ids=["address", "sound", "file"],
)
def test_what_would_change_the_meaning_is_refused(part):
    """
    Content is never dropped, whatever the policy.
    """
    with pytest.raises(UnsupportedFeatureError, match="ollama"):
        encoded([Message.user([part])], on_unsupported="drop")


def test_calls_and_results_are_paired():
    """
    Arguments are objects; a result names its tool, which is looked up where the message does not say.
    """
    calls = [
        ToolCall("c1", "weather", '{"city":"Oslo"}'),
        ToolCall("c2", "clock", ""),
    ]
    asked = Message(
        "assistant", "I look.", tool_calls=calls, reasoning="Two things to find out."
    )

    assert [
        {
            "role": "assistant",
            "content": "I look.",
            "thinking": "Two things to find out.",
            "tool_calls": [
                {
                    "id": "c1",
                    "function": {
                        "index": 0,
                        "name": "weather",
                        "arguments": {"city": "Oslo"},
                    },
                },
                {
                    "id": "c2",
                    "function": {"index": 1, "name": "clock", "arguments": {}},
                },
            ],
        },
        {"role": "tool", "content": "9:00", "tool_name": "time", "tool_call_id": "c2"},
        {"role": "tool", "content": "3", "tool_name": "weather", "tool_call_id": "c1"},
    ] == messages_of(
        asked, Message.tool("9:00", "c2", name="time"), Message.tool("3", "c1")
    )


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"city":', {"arguments": '{"city":'}),
        ("[1]", {"arguments": [1]}),
        ('{"x":NaN}', {"arguments": '{"x":NaN}'}),
        ("[" * 100_000, {"arguments": "[" * 100_000}),
    ],
    ids=["cut", "list", "NaN", "deep"],
)
def test_arguments_that_are_no_object_are_wrapped(arguments, sent):
    """
    What a model once wrote is sent even if it is not what the server reads.
    """
    (message,) = messages_of(
        Message.assistant(tool_calls=[ToolCall("c1", "f", arguments)])
    )

    assert sent == message["tool_calls"][0]["function"]["arguments"]


def test_result_of_an_unknown_call():
    """
    Without an id, or with one that nobody used, a result has no name to be known by.
    """
    assert [
        {"role": "tool", "content": "3"},
        {"role": "tool", "content": "4", "tool_call_id": "c9"},
    ] == messages_of(Message("tool", "3"), Message.tool("4", "c9"))


def test_names_of_speakers_are_told_to_be_left_out():
    """
    There is no field for them.
    """
    request = encoded([Message.user("Hi", name="Ann")])

    assert [{"role": "user", "content": "Hi"}] == request.json()["messages"]
    assert 1 == len(request.warnings)


def test_reasoning_of_finished_turns_stays_at_home():
    """
    It goes back only with calls, whose results it explains.
    """
    (message,) = messages_of(Message("assistant", "Hello.", reasoning="Greet."))

    assert {"role": "assistant", "content": "Hello."} == message


# Answers


def test_whole_answer():
    """
    Text, thinking, time, usage and finish reason are found where Ollama puts them.
    """
    answer = decoded(
        last(
            {"content": "Hello", "thinking": "Hm."},
            logprobs=[{"token": "Hello", "logprob": -0.1}],
        )
    )

    assert ("Hello", "Hm.", "stop") == (
        answer.text,
        answer.reasoning,
        answer.finish_reason,
    )
    assert ("qwen3:4b", 1772366400, "ollama") == (
        answer.model,
        answer.created,
        answer.provider,
    )
    assert (
        Usage(prompt_tokens=26, completion_tokens=12, total_tokens=38) == answer.usage
    )
    assert UsageStatus.FINALIZED == answer.usage_status
    assert "Hello" == answer.choices[0].logprobs["content"][0]["token"]


def test_calls_end_a_stop():
    """
    The server says stop where it means calls; arguments become text, whole and unescaped.
    """
    answer = decoded(
        last({"tool_calls": [call("weather", {"city": "Tromsø"}, id="c1")]})
    )

    assert (ToolCall("c1", "weather", '{"city": "Tromsø"}'),) == answer.tool_calls
    assert "tool_calls" == answer.finish_reason
    assert "stop" == answer.choices[0].raw_finish_reason


def test_calls_without_ids_get_their_own():
    """
    Older servers send none, and no two calls of a conversation may share one.
    """
    calls = {"tool_calls": [call("clock", {}), call("clock", {})]}

    now = decoded(last(calls)).tool_calls
    later = decoded({**last(calls), "created_at": "2026-03-01T12:00:01Z"}).tool_calls

    assert 4 == len({one.id for one in (*now, *later)})
    assert now == decoded(last(calls)).tool_calls


@pytest.mark.parametrize(
    ("raw", "unified"),
    [("stop", "stop"), ("length", "length"), ("load", "load"), (None, "stop")],
)
def test_finish_reasons(raw, unified):
    """
    Older servers tell none; what is no end of an answer is kept as it came.
    """
    answer = decoded(last({"content": "x"}, done_reason=raw))

    assert unified == answer.finish_reason
    assert raw == answer.choices[0].raw_finish_reason


def test_usage_may_miss_in_part_or_whole():
    """
    A prompt that was cached is not counted by older servers.
    """
    half = last({}, prompt_eval_count=None)
    none = last({}, prompt_eval_count=None, eval_count=None)

    assert (0, 12) == (
        decoded(half).usage.prompt_tokens,
        decoded(half).usage.total_tokens,
    )
    assert decoded(none).usage is None
    assert UsageStatus.UNSUPPORTED == decoded(none).usage_status


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": "out of memory"}, ApiError),
        ({"model": "m"}, InvalidResponseError),
        ([], InvalidResponseError),
        (b"<html>", InvalidResponseError),
        (b"", InvalidResponseError),
    ],
    ids=["error", "no message", "list", "page", "nothing"],
)
def test_bodies_that_are_no_answer(body, error):
    """
    Success in the status alone is not enough.
    """
    with pytest.raises(error):
        ollama.decode_response(target_at(), response_of(body))


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (400, '"m" does not support tools', InvalidRequestError),
        (400, "the input exceeds the context length", ContextLengthExceededError),
        (404, "model 'm' not found", ModelNotFoundError),
        (503, "server busy", OverloadedError),
    ],
)
def test_error_statuses(status, message, error):
    """
    The words are a plain string.
    """
    found = ollama.decode_error(target_at(), response_of({"error": message}, status))

    assert error is type(found)
    assert message in found.message


def test_missing_model_can_be_pulled():
    """
    The error says how; in the cloud nothing can be pulled.
    """
    answer = response_of({"error": "model 'qwen3:4b' not found"}, 404)
    cloud = target_at(base_url="https://ollama.com")

    at_home = ollama.decode_error(target_at(), answer)
    in_cloud = ollama.decode_error(cloud, answer)

    assert at_home.message.endswith("Get it with: ollama pull qwen3:4b")
    assert "pull" not in in_cloud.message


# Streams


@pytest.mark.parametrize("size", [None, 1, 7, 100])
def test_stream_of_text(size):
    """
    However it is cut, a stream adds up to the whole answer.
    """
    chunks, answer = streamed(
        line(),
        line({"thinking": "Hm"}),
        line({"thinking": "."}),
        line({"content": "Ru"}, logprobs=[{"token": "Ru"}]),
        b"\n",
        line({"content": "by 💎"}, logprobs=[{"token": "by"}]),
        last(),
        size=size,
    )

    assert ("Ruby 💎", "Hm.", "stop") == (
        answer.text,
        answer.reasoning,
        answer.finish_reason,
    )
    assert (38, 1772366400, "qwen3:4b") == (
        answer.usage.total_tokens,
        answer.created,
        answer.model,
    )
    assert [{"token": "Ru"}, {"token": "by"}] == answer.choices[0].logprobs["content"]
    assert "Ruby 💎" == "".join(chunk.text for chunk in chunks)
    assert 5 == len(chunks)


def test_stream_of_calls():
    """
    Calls come whole, in one line or several, and are numbered through.
    """
    _, answer = streamed(
        line({"tool_calls": [call("weather", {"city": "Oslo"}, id="c1")]}),
        line({"tool_calls": [call("clock", {}), call("clock", {"zone": "UTC"})]}),
        last(),
    )

    assert [
        ("weather", '{"city": "Oslo"}'),
        ("clock", "{}"),
        ("clock", '{"zone": "UTC"}'),
    ] == [(one.name, one.arguments) for one in answer.tool_calls]
    assert 3 == len({one.id for one in answer.tool_calls})
    assert ("tool_calls", "stop") == (
        answer.finish_reason,
        answer.choices[0].raw_finish_reason,
    )


def test_stream_of_one_line():
    """
    A whole answer in place of a stream is read as one.
    """
    chunks, answer = streamed(json.dumps(last({"content": "Hi"})).encode())

    assert (1, "Hi", "stop") == (len(chunks), answer.text, answer.finish_reason)


def test_nothing_follows_the_end_mark():
    """
    The line that says so ends the stream, whatever else is sent.
    """
    _, answer = streamed(line({"content": "a"}), last(), line({"content": "b"}))

    assert "a" == answer.text


def test_stream_that_breaks_off():
    """
    Without the last line an answer is not whole, even if the cut is in a line.
    """
    cut = json.dumps(line({"content": "lo"})).encode()[:-20]

    with pytest.raises(IncompleteStreamError) as caught:
        streamed(line({"content": "Hel"}), cut)

    assert "Hel" == caught.value.partial.text


def test_error_in_a_stream_is_raised():
    """
    The status was a success long before.
    """
    with pytest.raises(ApiError, match="runner") as caught:
        streamed(
            line({"content": "Hel"}), {"error": "model runner has stopped: no memory"}
        )

    assert "Hel" == caught.value.partial.text


def test_missing_model_in_a_stream_can_be_pulled():
    """
    The hint is the same.
    """
    with pytest.raises(ModelNotFoundError, match=r"ollama pull qwen3:4b"):
        streamed({"error": "model 'qwen3:4b' not found"})


@pytest.mark.parametrize("data", [b"nonsense\n", b"[1]\n", b'"text"\n'])
def test_garbage_in_a_stream(data):
    """
    A line that is no object cannot be read.
    """
    with pytest.raises(InvalidResponseError):
        streamed(line({"content": "a"}), data, last())


# Models


def test_models():
    """
    Those that only embed come last, since the first one is the default.
    """
    body = {
        "models": [
            {"name": "all-minilm:latest", "details": {"family": "bert"}},
            {"name": "nomic:latest", "capabilities": ["embedding"]},
            {"model": "qwen3:4b", "modified_at": "2026-03-01T13:00:00.5+01:00"},
            {"name": "gemma4", "capabilities": ["completion", "vision"]},
            {},
        ]
    }

    models, more = ollama.decode_models(target_at(), response_of(body))

    assert ["qwen3:4b", "gemma4", "all-minilm:latest", "nomic:latest"] == [
        one.id for one in models
    ]
    assert 1772366400 == models[0].created
    assert more is None
    assert "http://localhost:11434/api/tags" == ollama.models_request(target_at()).url


def test_server_without_models():
    """
    A list of nothing is null there.
    """
    assert ([], None) == ollama.decode_models(
        target_at(), response_of({"models": None})
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [({"error": "no"}, ApiError), ({"data": []}, InvalidResponseError)],
    ids=["error", "another list"],
)
def test_no_list_of_models(body, error):
    """
    A body without the list is an error.
    """
    with pytest.raises(error):
        ollama.decode_models(target_at(), response_of(body))
