"""
Replicate's predictions: inputs, polling, streams, errors and the list of models.
"""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from driving import drive

from ai_lib._core.call import Call
from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    Usage,
    UsageStatus,
)
from ai_lib._core.client import ClientCore
from ai_lib._core.dialects import Follow, replicate
from ai_lib._core.errors import (
    AiLibError,
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ContentFilteredError,
    IncompleteStreamError,
    InvalidRequestError,
    InvalidResponseError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    UnsupportedFeatureError,
)
from ai_lib._core.flow import Close, Read, Send, Sleep
from ai_lib._core.http import HttpResponse
from ai_lib._core.messages import AudioPart, FilePart, ImagePart, Message
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.settings import Settings
from ai_lib._core.stream import ChunkDecoder
from ai_lib._core.timeouts import Timeout
from ai_lib._core.tools import Tool, ToolCall

SPEC = next(spec for spec in CATALOG if spec.id == "replicate")
BASE = SPEC.base_url
LLAMA = "meta/meta-llama-3-8b-instruct"
VERSION = "0123456789abcdef" * 4
CAT = ImagePart.from_url("https://x.example/cat.png")
DOG = ImagePart.from_bytes(b"x", "image/png")
TALK = [Message.user("Hi"), Message.assistant("Hello."), Message.user("Who?")]


def target_at(model=LLAMA, base_url=BASE):
    """
    A target at Replicate.
    """
    return ResolvedTarget(spec=SPEC, model=model, base_url=base_url)


def encoded(
    messages="Hi", *, model=LLAMA, stream=False, on_unsupported="warn", **fields
):
    """
    The ``HttpRequest`` for a request of *messages* and *fields*.
    """
    return replicate.encode_request(
        target_at(model),
        ChatCompletionRequest(model, messages, **fields),
        stream=stream,
        on_unsupported=on_unsupported,
    )


def input_of(messages="Hi", **more):
    """
    The model's input on the wire.
    """
    return encoded(messages, **more).json()["input"]


def response_of(body, status=200, headers=None):
    """
    An answer with *body*, a JSON value or bytes.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {})


def prediction(status="succeeded", **more):
    """
    The body of a prediction.
    """
    return {"id": "p1", "model": LLAMA, "status": status, "error": None, **more}


def decoded(body, *, headers=None, base_url=BASE):
    """
    What an answer with *body* means.
    """
    target = target_at(base_url=base_url)
    return replicate.decode_response(target, response_of(body, headers=headers))


# Requests


def test_request_is_what_the_api_describes():
    """
    The model's name is in the path, what it is told in its input; the answer is waited for.
    """
    request = encoded(
        [Message.system("Be brief."), Message.user("Hi")],
        max_tokens=50,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        seed=7,
        frequency_penalty=0.1,
        stop=["END", "STOP"],
    )

    assert f"{BASE}/models/{LLAMA}/predictions" == request.url
    assert "wait" == request.headers["prefer"]
    assert not request.whole
    assert {
        "input": {
            "prompt": "Hi",
            "system_prompt": "Be brief.",
            "max_tokens": 50,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 4,
            "seed": 7,
            "frequency_penalty": 0.1,
            "stop_sequences": "END,STOP",
        }
    } == request.json()
    assert () == request.warnings


def test_stream_is_created_first():
    """
    A stream's request is answered whole, at once, with where the stream is.
    """
    request = encoded(stream=True)

    assert request.whole
    assert "prefer" not in request.headers
    assert {"input": {"prompt": "Hi"}, "stream": True} == request.json()


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(VERSION, id="bare"),
        pytest.param(f"acme/thing:{VERSION}", id="named"),
    ],
)
def test_version_is_asked_for_by_its_digits(model):
    """
    A pinned version has a URL of all.
    """
    request = encoded(model=model)

    assert f"{BASE}/predictions" == request.url
    assert {"version": VERSION, "input": {"prompt": "Hi"}} == request.json()


@pytest.mark.parametrize("model", ["llama", "/x", "x/", "../x", "a/.."])
def test_name_that_is_none_is_refused(model):
    """
    A model has an owner and a name.
    """
    with pytest.raises(ConfigurationError, match="owner/name"):
        encoded(model=model)


def test_name_is_escaped():
    """
    It cannot leave its place in the path.
    """
    assert encoded(model="a/b/c?d").url.endswith("/models/a/b%2Fc%3Fd/predictions")


def test_extensions_are_merged_last():
    """
    They are taken as they are, at the top of the body.
    """
    body = encoded(extensions={"webhook": "https://x.example", "input": {"a": 1}}).json()  # fmt: skip

    assert {"webhook": "https://x.example", "input": {"a": 1}} == body


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        pytest.param("meta/llama-2-70b-chat", {"max_new_tokens": 9, "temperature": 0.5}, id="llama-2"),
        pytest.param("openai/gpt-5-nano", {"max_completion_tokens": 9, "reasoning_effort": "low"}, id="gpt-5"),
        pytest.param("openai/gpt-4.1", {"max_completion_tokens": 9, "temperature": 0.5}, id="gpt-4"),
        pytest.param("openai/gpt-oss-20b", {"max_tokens": 9, "temperature": 0.5}, id="gpt-oss"),
        pytest.param("anthropic/claude-4.5-haiku", {"max_tokens": 9}, id="claude"),
        pytest.param("google/gemini-3-flash", {"max_output_tokens": 9, "temperature": 0.5}, id="gemini"),
        pytest.param("qwen/qwen3-235b", {"max_tokens": 9, "temperature": 0.5}, id="qwen"),
        pytest.param("acme/unknown", {"max_tokens": 9, "temperature": 0.5}, id="other"),
    ],
)  # fmt: skip
def test_parameters_have_the_names_of_the_models_maker(model, fields):
    """
    What a model has no input for is left out with a warning.
    """
    asked = {"max_tokens": 9, "temperature": 0.5, "reasoning_effort": "low"}

    request = encoded(model=model, **asked)

    assert {"prompt": "Hi", **fields} == request.json()["input"]
    assert len(asked) - len(fields) == len(request.warnings)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param({"n": 2}, id="n"),
        pytest.param({"logprobs": True}, id="logprobs"),
        pytest.param({"user": "u"}, id="user"),
        pytest.param({"metadata": {"a": "b"}}, id="metadata"),
    ],
)
def test_what_it_lacks_is_left_out_by_policy(field):
    """
    It is warned of, refused or dropped, as was asked for.
    """
    assert 1 == len(encoded(**field).warnings)
    assert () == encoded(**field, on_unsupported="drop").warnings
    with pytest.raises(UnsupportedFeatureError, match="replicate does not take"):
        encoded(**field, on_unsupported="error")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"tools": [Tool("now")]}, id="tools"),
        pytest.param({"response_format": {"type": "json_object"}}, id="json"),
        pytest.param({"messages": [Message.user([CAT])]}, id="image"),
        pytest.param({"messages": [Message.user([CAT, DOG])], "model": "anthropic/claude-4.5-haiku"}, id="two-images"),
        pytest.param({"messages": [Message.user([AudioPart.from_bytes(b"x", "audio/wav")])]}, id="audio"),
        pytest.param({"messages": [Message.user([FilePart.from_bytes(b"x", "text/plain")])]}, id="file"),
        pytest.param({"messages": [Message.system([CAT])], "model": "openai/gpt-4o"}, id="system-image"),
    ],
)  # fmt: skip
def test_what_cannot_be_left_out_is_refused_whatever_the_policy(more):
    """
    The answer would be to another question.
    """
    with pytest.raises(UnsupportedFeatureError, match="replicate does not take"):
        encoded(**more, on_unsupported="drop")


def test_tools_that_may_not_be_called_are_nothing():
    """
    A tool choice of none leaves them out; so does a text of a format of text.
    """
    request = encoded(
        tools=[Tool("now")], tool_choice="none", response_format={"type": "text"}
    )

    assert {"input": {"prompt": "Hi"}} == request.json()


# Prompts


def test_conversation_is_written_out():
    """
    Each turn is said by somebody, and the model's is next.
    """
    assert {"prompt": "User: Hi\n\nAssistant: Hello.\n\nUser: Who?\n\nAssistant:"} == input_of(TALK)  # fmt: skip


def test_answer_that_was_begun_is_gone_on_with():
    """
    The transcript ends with it.
    """
    messages = [Message.user("Count."), Message.assistant("One, two,")]

    assert {"prompt": "User: Count.\n\nAssistant: One, two,"} == input_of(messages)


def test_calls_of_another_dialect_are_told():
    """
    What tools gave is part of the conversation.
    """
    messages = [
        Message.user("Hi"),
        Message.assistant(tool_calls=[ToolCall("c", "now", "{}")]),
        Message.tool("noon", "c"),
        Message.assistant(),
        Message("assistant", "", refusal="No."),
    ]

    prompt = (
        "User: Hi\n\nAssistant: [calls now with {}]\n\nTool: noon\n\nAssistant: No."
    )
    assert {"prompt": prompt} == input_of(messages)
    assert {"prompt": prompt} == input_of(messages, model="openai/gpt-5")


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        pytest.param(LLAMA, {"system_prompt": "A\n\nB", "prompt": "Hi"}, id="llama"),
        pytest.param("google/gemini-3-flash", {"system_instruction": "A\n\nB", "prompt": "Hi"}, id="gemini"),
        pytest.param("deepseek-ai/deepseek-v3.1", {"prompt": "A\n\nB\n\nHi"}, id="deepseek"),
    ],
)  # fmt: skip
def test_system_messages_have_their_input_or_come_first(model, sent):
    """
    All of them, wherever they stand.
    """
    messages = [
        Message.system("A"),
        Message.user("Hi"),
        Message(role="developer", content="B"),
    ]

    assert sent == input_of(messages, model=model)


def test_conversation_is_a_list_where_the_model_takes_one():
    """
    OpenAI's models have an input for it, the system's word within.
    """
    sent = input_of([Message.system("Be brief."), *TALK], model="openai/gpt-5")

    assert {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "Who?"},
        ]
    } == sent


@pytest.mark.parametrize(
    ("model", "parts", "sent"),
    [
        pytest.param("openai/gpt-4o", [CAT, DOG], {"image_input": [CAT.url, "data:image/png;base64,eA=="]}, id="list"),
        pytest.param("google/gemini-3-flash", [CAT], {"images": [CAT.url]}, id="gemini"),
        pytest.param("anthropic/claude-4.5-haiku", [DOG], {"image": "data:image/png;base64,eA=="}, id="one"),
    ],
)  # fmt: skip
def test_images_have_an_input_of_their_own(model, parts, sent):
    """
    They go as URLs, bytes as ``data:`` URLs.
    """
    assert {"prompt": "See:", **sent} == input_of([Message.user(["See:", *parts])], model=model)  # fmt: skip


def test_names_and_details_are_left_out():
    """
    There is no place for them.
    """
    image = ImagePart.from_url("https://x.example/a.png", detail="high")

    request = encoded([Message.user(["a", image], name="Ann")], model="openai/gpt-4o")

    assert 2 == len(request.warnings)


# Answers


@pytest.mark.parametrize(
    ("output", "text"),
    [
        pytest.param(["Hel", "lo", ""], "Hello", id="pieces"),
        pytest.param("Hello", "Hello", id="text"),
        pytest.param({"text": "Hello"}, "Hello", id="object"),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_answer_is_read(output, text):
    """
    The output is text in pieces or whole; the metrics tell the tokens.
    """
    body = prediction(
        output=output,
        created_at="2026-01-01T00:00:00.5Z",
        metrics={"input_token_count": 10, "output_token_count": 5},
    )

    answer = decoded(body)

    assert (text, "stop", "p1", LLAMA) == (answer.text, answer.finish_reason, answer.id, answer.model)  # fmt: skip
    assert 1767225600 == answer.created
    assert Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15) == answer.usage


def test_usage_that_is_not_told_is_unsupported():
    """
    Seconds are no tokens.
    """
    answer = decoded(prediction(output="x", metrics={"predict_time": 1.5}))

    assert (None, UsageStatus.UNSUPPORTED) == (answer.usage, answer.usage_status)


@pytest.mark.parametrize("status", ["starting", "processing"])
def test_running_prediction_is_asked_for_again(status):
    """
    At the base URL, however much of the output there is.
    """
    body = prediction(status, output=["Hal"], urls={"get": "https://evil.example/x"})

    found = decoded(body, base_url="http://127.0.0.1:1/v1")

    assert isinstance(found, Follow)
    assert ("GET", "http://127.0.0.1:1/v1/predictions/p1") == (found.request.method, found.request.url)  # fmt: skip
    assert found.stream is None


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        pytest.param("Thu, 01 Jan 2026 00:00:01 GMT", 0.5, id="young"),
        pytest.param("Thu, 01 Jan 2026 00:00:16 GMT", 2.0, id="older"),
        pytest.param("Thu, 01 Jan 2026 01:00:00 GMT", 5.0, id="old"),
        pytest.param("", 1.0, id="not-told"),
        pytest.param("soon", 1.0, id="no-date"),
    ],
)
def test_waits_grow_with_the_age(date, seconds):
    """
    Half a second at first, five at most.
    """
    body = prediction("processing", created_at="2026-01-01T00:00:00Z")

    assert seconds == decoded(body, headers={"date": date}).after


@pytest.mark.parametrize(
    ("url", "followed"),
    [
        ("https://stream.replicate.com/v1/p1", True),
        ("https://streaming-api.svc.rno2.c.replicate.net/v1/streams/x", True),
        (f"{BASE}/predictions/p1/stream", True),
        ("http://stream.replicate.com/v1/p1", False),
        ("https://evil-replicate.com/v1/p1", False),
        ("https://replicate.com.evil.example/", False),
        ("https://replicate.com@evil.example/", False),
        ("https://[evil/", False),
        ("https://stream.replicate.com/a b", False),
        ("", False),
    ],
)
def test_stream_is_followed_to_where_the_key_may_go(url, followed):
    """
    To Replicate's own hosts and the base URL's; else the prediction is asked for as without a stream.
    """
    found = decoded(prediction("starting", urls={"stream": url}))

    assert followed == (found.stream is not None)
    if followed:
        assert (url, "text/event-stream") == (found.stream.url, found.stream.headers["accept"])  # fmt: skip


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        pytest.param(prediction("failed", error="CUDA out of memory"), ServerError, "CUDA", id="failed"),
        pytest.param(prediction("failed", error="The input was flagged as sensitive content"), ContentFilteredError, "flagged", id="flagged"),
        pytest.param(prediction("failed"), ServerError, "was failed", id="no-reason"),
        pytest.param(prediction("canceled"), ServerError, "canceled", id="canceled"),
        pytest.param(prediction("aborted"), ServerError, "aborted", id="aborted"),
        pytest.param({"detail": "Something"}, ApiError, "Something", id="detail"),
        pytest.param(prediction("odd"), InvalidResponseError, "no prediction", id="unknown"),
        pytest.param(prediction("starting", id=None), InvalidResponseError, "no prediction", id="no-id"),
        pytest.param(b"<html>", InvalidResponseError, "web page", id="page"),
        pytest.param([], InvalidResponseError, "no prediction", id="list"),
    ],
)  # fmt: skip
def test_prediction_without_an_answer_is_an_error(body, error, words):
    """
    Its own words say which, if they mean anything; else the server failed.
    """
    with pytest.raises(error, match=words):
        decoded(body)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"title": "Unauthenticated", "detail": "You did not pass a token", "status": 401}, AuthenticationError),
        (402, {"title": "Payment required", "detail": "x", "status": 402}, QuotaExhaustedError),
        (422, {"title": "Input validation failed", "detail": "- prompt is required", "status": 422}, InvalidRequestError),
        (429, {"detail": "Request was throttled. Expected available in 3 seconds."}, RateLimitError),
        (503, {}, ServerError),
    ],
)  # fmt: skip
def test_error_statuses(status, body, error):
    """
    Each means what it means elsewhere.
    """
    found = replicate.decode_error(target_at(), response_of(body, status))

    assert isinstance(found, error)
    assert (3.0 if status == 429 else None) == found.retry_after


# Streams


def event(name, data):
    """
    One server-sent event.
    """
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {name}\nid: 1\n{lines}\n".encode()


def streamed(*events, size=None):
    """
    The answer that a stream adds up to; cut into pieces of *size* bytes.
    """
    data = b"".join(events)
    decoder = ChunkDecoder(
        parser=replicate.chunk_parser(target_at()),
        decode_whole=lambda body: replicate.decode_response(
            target_at(), HttpResponse(status=200, body=body)
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


@pytest.mark.parametrize("size", [None, 1, 5])
def test_stream_adds_up_to_the_whole_answer(size):
    """
    Text comes as it is, lines and all, however the bytes are cut.
    """
    answer = streamed(
        b": hi\n\n",
        event("logs", "loading"),
        event("output", "Grüße"),
        event("output", ",\n\n"),
        event("output", '{"a": 1}'),
        event("done", "{}"),
        event("output", "never"),
        size=size,
    )

    assert 'Grüße,\n\n{"a": 1}' == answer.text
    assert ("stop", None) == (answer.finish_reason, answer.usage)


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        pytest.param(event("error", '{"detail": "GPU is gone"}'), ServerError, "GPU", id="error"),
        pytest.param(event("error", "plain words"), ServerError, "plain words", id="plain"),
        pytest.param(event("error", '{"detail": "sensitive content"}'), ContentFilteredError, "sensitive", id="content"),
        pytest.param(event("done", '{"reason": "error"}'), ServerError, "error", id="reason"),
        pytest.param(event("done", '{"reason": "canceled"}'), ServerError, "canceled", id="canceled"),
        pytest.param(b"", IncompleteStreamError, "end of the answer", id="cut"),
    ],
)  # fmt: skip
def test_stream_that_fails_keeps_what_has_come(failure, error, words):
    """
    An answer that was not done is none.
    """
    with pytest.raises(error, match=words) as caught:
        streamed(event("output", "Hi"), failure)

    assert "Hi" == caught.value.partial.text


# Whole conversations with the provider


def core_of(**settings):
    """
    The flows of a client at Replicate.
    """
    made = Settings(provider="replicate", api_key=None, model=LLAMA, **settings)
    return ClientCore.configured(made, serve=lambda file: None, sign=lambda one: one)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    """
    A key in the environment, and no other address.
    """
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_test_token_of_a_test")
    for name in ("REPLICATE_BASE_URL", "AI_BASE_URL", "REPLICATE_MODEL"):
        monkeypatch.delenv(name, raising=False)


REQUEST = ChatCompletionRequest("", "Hi")
STREAM = "https://stream.replicate.com/v1/p1"


def test_running_prediction_is_polled_until_it_is_done():
    """
    Created once, then asked for, with waits and the key.
    """
    running = response_of(prediction("processing"), 202)
    done = response_of(prediction(output=["Hi"]), headers={"x-request-id": "r"})

    answer, effects = drive(
        core_of().chat_completion(REQUEST, Call(Timeout())), running, running, done
    )

    assert ("Hi", "r") == (answer.text, answer.request_id)
    create, *polls = [one.request for one in effects if isinstance(one, Send)]
    assert f"{BASE}/models/{LLAMA}/predictions" == create.url
    assert 2 * [f"{BASE}/predictions/p1"] == [one.url for one in polls]
    assert all(one.credential == create.credential for one in polls)
    assert [Sleep(1.0)] * 2 == [one for one in effects if isinstance(one, Sleep)]


def test_polling_ends_with_the_time_of_the_attempt():
    """
    No wait is longer than what is left.
    """
    running = response_of(prediction("processing"), 202)
    call = Call(Timeout(attempt=0.25))

    _, effects = drive(
        core_of().chat_completion(REQUEST, call),
        running,
        response_of(prediction(output="Hi")),
    )

    (nap,) = [one for one in effects if isinstance(one, Sleep)]
    assert 0 < nap.seconds <= 0.25


def test_stream_is_created_and_then_read():
    """
    The first answer tells where; there the stream is read up to its first chunk.
    """
    body = object()
    created = response_of(prediction("starting", urls={"stream": STREAM}), 201)
    opened = HttpResponse(status=200, headers={"content-type": "text/event-stream"}, stream=body)  # fmt: skip

    stream, effects = drive(
        core_of().chat_completion_stream(REQUEST, Call(Timeout())),
        created,
        opened,
        event("output", "Hi"),
    )
    source, decoder = stream.source, stream.decoder

    assert source is body
    assert "Hi" == decoder.next_chunk().text
    create, stream = [one for one in effects if isinstance(one, Send)]
    assert (False, True) == (create.stream, stream.stream)
    assert ("GET", STREAM) == (stream.request.method, stream.request.url)
    assert "identity" == stream.request.headers["accept-encoding"]
    assert stream.request.credential == create.request.credential
    assert [Read(body)] == [one for one in effects if isinstance(one, Read)]


def test_model_that_cannot_stream_is_polled():
    """
    Its answer comes whole, as a stream of one chunk.
    """
    running = response_of(prediction("starting"), 201)
    done = response_of(prediction(output=["Hel", "lo"]))

    stream, effects = drive(
        core_of().chat_completion_stream(REQUEST, Call(Timeout())), running, done
    )
    source, decoder = stream.source, stream.decoder

    assert source is None
    assert "Hello" == decoder.next_chunk().text
    assert decoder.next_chunk() is None
    assert ("Hello", "stop") == (decoder.response.text, decoder.response.finish_reason)
    assert not any(one.stream for one in effects if isinstance(one, Send))


def test_stream_that_breaks_off_before_its_first_word_is_created_again():
    """
    The whole of it is one attempt.
    """
    created = response_of(prediction("starting", urls={"stream": STREAM}), 201)
    opened = HttpResponse(status=200, stream=object())
    again = HttpResponse(status=200, stream=object())

    stream, effects = drive(
        core_of().chat_completion_stream(REQUEST, Call(Timeout())),
        created,
        opened,
        b"",
        created,
        again,
        event("output", "Hi"),
    )
    source, _ = stream.source, stream.decoder

    assert source is again.stream
    assert [Close(opened.stream)] == [one for one in effects if isinstance(one, Close)]


def test_prediction_that_never_ends_is_given_up(monkeypatch):
    """
    A server that says for ever that it runs is no server.
    """
    monkeypatch.setattr("ai_lib._core.exchanges._FOLLOW_UPS", 3)
    running = response_of(prediction("processing"), 202)

    with pytest.raises(InvalidResponseError, match="never finishes"):
        drive(core_of().chat_completion(REQUEST, Call(Timeout())), *3 * [running])


# Models


def test_models_are_listed():
    """
    A collection is one list; of all there are pages, which stay at the base URL.
    """
    first = replicate.models_request(target_at())
    entry = {"owner": "meta", "name": "llama", "latest_version": {"created_at": "2026-01-01T00:00:00Z"}}  # fmt: skip
    collection = {"models": [entry, {"name": "x"}, None]}
    page = {"results": [], "next": f"{BASE}/models?cursor=x"}
    elsewhere = {"results": [], "next": "https://evil.example/models"}

    found, after = replicate.decode_models(target_at(), response_of(collection))
    _, second = replicate.decode_models(target_at(), response_of(page))
    _, third = replicate.decode_models(target_at(), response_of(elsewhere))

    assert f"{BASE}/collections/language-models" == first.url
    assert [("meta/llama", "meta", 1767225600)] == [(one.id, one.owner, one.created) for one in found]  # fmt: skip
    assert (None, None) == (after, third)
    assert page["next"] == second.url
    with pytest.raises(InvalidResponseError):
        replicate.decode_models(target_at(), response_of({"models": {}}))


NONSENSE = [None, 0, -1, True, "", "x", "\ud800", [], [[]], {}, {"a": None}, 1e999]


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
    whole = prediction(
        output=["x", {"text": "y"}],
        metrics={"input_token_count": 1},
        urls={"stream": STREAM, "get": "x"},
        created_at="2026-01-01T00:00:00Z",
    )
    results = []

    for status in ("succeeded", "processing", "failed"):
        for body in mutations({**whole, "status": status}):
            with suppress(AiLibError):
                results.append(decoded(body))
    for name in ("output", "error", "done"):
        for one in mutations({"detail": "x", "reason": "y"}):
            with suppress(AiLibError):
                list(replicate.chunk_parser(target_at()).feed((name, json.dumps(one))))
    for body in mutations({"models": [{"owner": "a", "name": "b"}], "next": "x"}):
        with suppress(AiLibError):
            replicate.decode_models(target_at(), response_of(body))

    assert {ChatCompletionResponse, Follow} == set(map(type, results))
