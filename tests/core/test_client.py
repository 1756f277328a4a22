"""
What a client does: its flows, driven by lists of replies. Nothing here sends or waits.
"""

from __future__ import annotations

import gzip
import json

import attrs
import faults
import pytest
from driving import drive
from faults import completion, event
from twins import KEY, PROMPT, ask

from ai_lib._core import errors
from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.client import ClientCore
from ai_lib._core.flow import Close, Read, Run, Send, Sleep
from ai_lib._core.http import HttpRequest, HttpResponse, SizeLimits
from ai_lib._core.messages import FilePart, Message
from ai_lib._core.providers import Origin
from ai_lib._core.retry import RetryPolicy
from ai_lib._core.secrets import Secret
from ai_lib._core.settings import Settings
from ai_lib._core.timeouts import Timeout

URL = "https://api.example.com/v1"


def core_of(**settings):
    """
    Make a core, without retries if nothing else is said.
    """
    settings.setdefault("provider", "openai")
    settings.setdefault("base_url", URL)
    settings.setdefault("api_key", KEY)
    settings.setdefault("model", "m")
    if "retry" not in settings:
        settings.setdefault("max_retries", 0)
    serve = settings.pop("serve", None)
    more = {}
    if "sign" in {one.name for one in attrs.fields(ClientCore)}:
        more["sign"] = lambda request: request
    return ClientCore.configured(Settings(**settings), serve=serve, **more)


def asked(core, request=None, *replies, call=None, effects=None):
    """
    Drive a call for a whole answer.
    """
    call = call or Call(core.timeout)
    flow = core.chat_completion(request or ask(), call)
    return drive(flow, *replies, effects=effects)


def streamed(core, *replies, call=None, effects=None):
    """
    Drive a call for a stream, up to its first chunk.
    """
    call = call or Call(core.timeout)
    flow = core.chat_completion_stream(ask(), call)
    result, effects = drive(flow, *replies, effects=effects)
    return (result.source, result.decoder), effects


def response(body=b"", status=200, **headers):
    """
    Make a response.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status=status, headers=named, body=body)


def answer(text="hi", **headers):
    """
    Make a whole answer.
    """
    return response(completion(text), **headers)


def refusal(status, message="no", **headers):
    """
    Make an error's answer.
    """
    body = json.dumps({"error": {"message": message}}).encode()
    return response(body, status, **headers)


def opened(**headers):
    """
    Make the headers of a stream, its body open.
    """
    headers.setdefault("content-type", "text/event-stream")
    return HttpResponse(status=200, headers=headers, stream=object())


def kinds(effects):
    """
    The classes of effects.
    """
    return [type(effect) for effect in effects]


# One attempt


def test_call_is_one_exchange():
    """
    A call that is answered is one request, complete but for its key.
    """
    result, effects = asked(core_of(), None, answer("hi", x_request_id="r1"))

    (sent,) = effects
    assert [Send] == kinds(effects)
    assert "hi" == result.text
    assert ("openai", "r1") == (result.provider, result.request_id)
    assert f"{URL}/chat/completions" == sent.request.url
    assert KEY == sent.request.credential.secret.reveal()
    assert KEY not in repr(sent)
    assert "gzip" == sent.request.headers["accept-encoding"]
    assert not sent.stream


def test_call_tells_of_its_attempt():
    """
    The answer has a line for the attempt.
    """
    result, _ = asked(core_of(), None, answer())

    (one,) = result.attempts
    assert ("openai", "m", 200, None, 0) == (
        one.provider,
        one.model,
        one.status_code,
        one.error,
        one.waited,
    )


def test_headers_of_the_caller_come_last():
    """
    The request's headers come before the client's, and these before the record's.
    """
    core = core_of(default_headers={"X-A": "client", "X-B": "client"})
    request = ask(extra_headers={"x-b": "request"})

    _, effects = asked(core, request, answer())

    headers = effects[0].request.headers
    assert ("client", "request") == (headers["x-a"], headers["x-b"])
    assert set(headers) == {name.lower() for name in headers}


def test_default_accept_comes_before_the_dialect_s():
    """
    What a caller says of all requests holds for what a dialect would say, too.
    """
    core = core_of(default_headers={"Accept": "text/plain"})

    _, effects = asked(core, None, answer())

    assert "text/plain" == effects[0].request.headers["accept"]


def test_words_of_a_beta_add_up():
    """
    The dialect's, the client's and the request's are sent together, each once.
    """
    core = core_of(provider="anthropic", default_headers={"Anthropic-Beta": "a, b"})
    file = Message.user([FilePart(url="file_1")])
    request = ChatCompletionRequest(
        "claude-haiku-4-5", [file], extra_headers={"anthropic-beta": "b,c"}
    )

    headers = core.prepare(request, stream=False).headers

    assert "a,b,files-api-2025-04-14,c" == headers["anthropic-beta"]


def test_compressed_answers_are_inflated():
    """
    A body is decompressed before a dialect sees it.
    """
    packed = gzip.compress(completion("hi"))

    result, _ = asked(core_of(), None, response(packed, content_encoding="gzip"))

    assert "hi" == result.text


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"rubbish", "gzip"), (gzip.compress(b"{}")[:-5], "gzip"), (b"{}", "br")],
    ids=["broken", "cut", "unknown"],
)
def test_what_cannot_be_inflated_is_an_error(body, encoding):
    """
    A broken body is an error; of an error's answer the status alone says enough.
    """
    with pytest.raises(errors.InvalidResponseError):
        asked(core_of(), None, response(body, content_encoding=encoding))
    with pytest.raises(errors.ServerError):
        asked(core_of(), None, response(body, 500, content_encoding=encoding))


def test_large_answers_are_refused():
    """
    The bound is of what a body becomes.
    """
    core = core_of(size_limits=SizeLimits(answer=1000))
    packed = faults.bomb(2**20, start=b"{")

    with pytest.raises(errors.ResponseTooLargeError):
        asked(core, None, response(packed, content_encoding="gzip"))


def test_error_status_is_raised():
    """
    An error status is raised as what it means, and tells of its attempt.
    """
    with pytest.raises(errors.AuthenticationError, match="wrong") as caught:
        asked(core_of(), None, refusal(401, "wrong", x_request_id="r1"))

    error = caught.value
    assert ("openai", "m", 401, "r1") == (
        error.provider,
        error.model,
        error.status_code,
        error.request_id,
    )
    assert ["AuthenticationError"] == [
        one.error.partition(":")[0] for one in error.attempts
    ]
    assert error.__cause__ is None
    assert error.__context__ is None


# Retries


def no_waits(attempts=3):
    """
    Make a policy that waits for nothing that was not asked for.
    """
    return RetryPolicy(attempts=attempts, backoff=0)


def test_failures_are_retried_with_the_same_bytes():
    """
    What may pass is sent again, the same bytes, after a wait.
    """
    replies = refusal(503), errors.NetworkError("cut"), answer("hi")

    result, effects = asked(core_of(retry=no_waits()), None, *replies)

    sends = [one for one in effects if isinstance(one, Send)]
    assert [Send, Sleep, Send, Sleep, Send] == kinds(effects)
    assert 1 == len({one.request.body for one in sends})
    assert [503, None, 200] == [one.status_code for one in result.attempts]


def test_wait_that_is_asked_for_is_waited():
    """
    ``retry-after`` is the least that is waited, and stands in the ledger.
    """
    replies = refusal(429, retry_after="2"), answer()

    result, effects = asked(core_of(retry=no_waits()), None, *replies)

    assert Sleep(2.0) == effects[1]
    assert [0, 2] == [one.waited for one in result.attempts]


def test_wait_above_the_cap_is_not_waited():
    """
    What asks for more than the cap is raised at once.
    """
    effects = []
    with pytest.raises(errors.RateLimitError) as caught:
        asked(
            core_of(retry=no_waits()),
            None,
            refusal(429, retry_after="61"),
            effects=effects,
        )

    assert [Send] == kinds(effects)
    assert 61 == caught.value.retry_after


def test_wait_past_total_is_not_begun():
    """
    A wait that would pass ``Timeout.total`` is not begun.
    """
    core = core_of(retry=no_waits(), timeout=Timeout(total=5))
    effects = []

    with pytest.raises(errors.RateLimitError):
        asked(core, None, refusal(429, retry_after="6"), effects=effects)

    assert [Send] == kinds(effects)


def test_last_error_carries_those_before():
    """
    The last error is raised, with those before it in order.
    """
    replies = refusal(500), refusal(503), refusal(429)

    with pytest.raises(errors.RateLimitError) as caught:
        asked(core_of(retry=no_waits()), None, *replies)

    assert [500, 503] == [one.status_code for one in caught.value.previous]
    assert [500, 503, 429] == [one.status_code for one in caught.value.attempts]


def test_what_lasts_is_raised_behind_what_passes():
    """
    An error that is not retried ends it, also in a later attempt.
    """
    with pytest.raises(errors.InvalidRequestError) as caught:
        asked(core_of(retry=no_waits()), None, refusal(500), refusal(400))

    assert [500] == [one.status_code for one in caught.value.previous]


def test_interruption_passes_through():
    """
    Ctrl-C is never retried, and never becomes anything else.
    """
    effects = []
    with pytest.raises(KeyboardInterrupt):
        asked(core_of(retry=no_waits()), None, KeyboardInterrupt(), effects=effects)

    assert [Send] == kinds(effects)


# Connections that were dead


def stale():
    """
    Make the error of a kept connection that the server had closed.
    """
    error = errors.NetworkError("gone")
    error.stale = True
    return error


def test_dead_connection_is_replaced_at_once():
    """
    A dead connection is replaced without a wait, and counts as no attempt.
    """
    result, effects = asked(core_of(), None, stale(), stale(), answer("hi"))

    assert [Send, Send, Send] == kinds(effects)
    assert 1 == len(result.attempts)


def test_dead_connections_are_not_replaced_for_ever():
    """
    After a few, it counts.
    """
    effects = []
    with pytest.raises(errors.NetworkError):
        asked(core_of(), None, *[stale() for _ in range(4)], effects=effects)

    assert 4 == len(effects)


# Redirects


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "goal", ["/v2", "https://api.example.com:443/v2", "//api.example.com/v2"]
)
def test_redirect_within_the_origin_is_followed(status, goal):
    """
    307 and 308 within the origin are followed with the same request.
    """
    moved = response(status=status, location=goal)

    result, effects = asked(core_of(), None, moved, answer("hi"))

    first, second = (one.request for one in effects)
    assert "hi" == result.text
    assert "api.example.com" in second.url
    assert second.url.endswith("/v2")
    assert (first.body, first.credential) == (second.body, second.credential)


@pytest.mark.parametrize(
    ("status", "goal"),
    [
        (301, "/v2"),
        (302, "/v2"),
        (303, "/v2"),
        (300, "/v2"),
        (304, ""),
        (307, ""),
        (307, "https://evil.example/v1"),
        (307, "http://api.example.com/v1"),
        (307, "https://api.example.com:444/v1"),
        (307, "https://api.example.com.evil.example/v1"),
        (307, "https://user@api.example.com/v1"),
        (307, "https://api.example.com@evil.example/v1"),
        (307, "ftp://api.example.com/"),
        (307, "//evil.example"),
        (307, "https://["),
        (307, "https://api.example.com:x/"),
        (307, "javascript:alert(1)"),
    ],
)
def test_other_redirects_are_errors(status, goal):
    """
    No other redirect is followed; neither key nor prompt goes anywhere.
    """
    effects = []
    with pytest.raises(errors.InvalidResponseError) as caught:
        asked(core_of(), None, response(status=status, location=goal), effects=effects)

    assert [Send] == kinds(effects)
    assert status == caught.value.status_code
    assert PROMPT not in str(caught.value)


def test_redirects_end():
    """
    A few redirects are followed, not more.
    """
    moved = [response(status=307, location="/again")] * 4
    effects = []

    with pytest.raises(errors.InvalidResponseError, match="redirect"):
        asked(core_of(), None, *moved, effects=effects)

    assert 4 == len(effects)


def test_body_of_a_redirect_is_closed():
    """
    A stream's request that is redirected closes the body it does not read.
    """
    moved = HttpResponse(status=307, headers={"location": "/v2"}, stream=object())
    data = b"".join(faults.events("hi"))

    _, effects = streamed(core_of(), moved, opened(), data)

    assert [Send, Close, Send, Read] == kinds(effects)


# Keys


def test_callable_key_is_asked_at_each_attempt():
    """
    A key that is a function is asked where it blocks nobody, once an attempt.
    """
    keys = iter(["key-one", "key-two"])
    core = core_of(api_key=lambda: next(keys), retry=no_waits())

    _, effects = asked(core, None, refusal(500), stale(), answer())

    sends = [one for one in effects if isinstance(one, Send)]
    assert [Run, Send, Sleep, Run, Send, Send] == kinds(effects)
    assert ["key-one", "key-two", "key-two"] == [
        one.request.credential.secret.reveal() for one in sends
    ]


def test_error_of_a_callable_key_passes():
    """
    What the caller's function raises is the caller's.
    """

    def key():
        raise LookupError("sealed")

    effects = []
    with pytest.raises(LookupError, match="sealed"):
        asked(core_of(api_key=key, retry=no_waits()), None, effects=effects)

    assert [Run] == kinds(effects)


def test_prepare_asks_nobody():
    """
    ``prepare`` sends nothing, and asks no function for a key.
    """

    def key():
        raise AssertionError

    prepared = core_of(api_key=key).prepare(ask(), stream=True)

    assert isinstance(prepared, HttpRequest)
    assert prepared.json()["stream"]
    assert prepared.credential.secret is None
    assert core_of().prepare(ask(), stream=False).credential.secret == Secret(KEY, "x")


# Models


def listing(*ids):
    """
    Make a page of models.
    """
    return response(json.dumps({"data": [{"id": one} for one in ids]}).encode())


def test_auto_means_the_default():
    """
    An empty model and ``"auto"`` mean the client's default.
    """
    core = core_of(model="mine")

    for name in ("", "auto", "AUTO"):
        _, effects = asked(core, attrs.evolve(ask(), model=name), answer())
        assert "mine" == effects[0].request.json()["model"]
    assert "mine" == core.default_chat_model()


def test_auto_means_the_first_that_is_listed():
    """
    Where only the server knows, it is asked, once.
    """
    core = core_of(provider="llamacpp", model=None)
    request = attrs.evolve(ask(), model="auto")

    _, effects = asked(core, request, listing("first", "second"), answer())
    _, again = asked(core, request, answer())

    assert ["GET", "POST"] == [one.request.method for one in effects]
    assert ["first", "first"] == [
        one.request.json()["model"] for one in (effects[1], again[0])
    ]
    assert "first" == core.default_chat_model()


def test_auto_of_a_server_without_models_is_an_error():
    """
    A server that lists none is no server with a default.
    """
    core = core_of(provider="llamacpp", model=None)

    with pytest.raises(errors.ConfigurationError, match="model="):
        asked(core, attrs.evolve(ask(), model="auto"), listing())


def test_model_is_found_or_not():
    """
    ``get_model_info`` finds one in the list, or says that it is not there.
    """
    core = core_of()
    call = Call(core.timeout)

    found, _ = drive(core.get_model_info("b", call), listing("a", "b"))
    with pytest.raises(errors.ModelNotFoundError, match="'c'") as caught:
        drive(core.get_model_info("c", call), listing("a", "b"))

    assert "b" == found.id
    assert "openai" == caught.value.provider


def test_models_are_listed_once_each():
    """
    A model that is listed twice is one model.
    """
    core = core_of()

    models, _ = drive(core.list_models(Call(core.timeout)), listing("a", "b", "a"))

    assert ["a", "b"] == [one.id for one in models]


# The embedded server


def test_embedded_server_is_started_first():
    """
    A provider that is embedded is started before each attempt, and asked with its own key.
    """
    started = []

    def serve(model):
        started.append(model)
        return Origin(
            base_url="http://127.0.0.1:7/v1", key=Secret("child-key-1", "key")
        )

    core = core_of(
        provider="local", base_url=None, api_key=None, model=None, serve=serve
    )

    result, effects = asked(core, attrs.evolve(ask(), model="auto"), answer("hi"))

    assert "hi" == result.text
    assert [Run, Send] == kinds(effects)
    assert [None] == started
    assert "127.0.0.1:7" == effects[1].request.url.split("/")[2]
    assert "child-key-1" == effects[1].request.credential.secret.reveal()


# Streams


def test_stream_is_read_up_to_its_first_chunk():
    """
    A stream's flow ends with its first chunk, which the decoder still holds.
    """
    (source, decoder), effects = streamed(
        core_of(), opened(), b": hello\n\n", event("a")[:20], event("a")[20:]
    )

    assert [Send, Read, Read, Read] == kinds(effects)
    assert effects[0].stream
    assert "identity" == effects[0].request.headers["accept-encoding"]
    assert source is effects[1].stream
    assert "a" == decoder.next_chunk().text


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"", id="end"),
        pytest.param(errors.NetworkError("cut"), id="cut"),
        pytest.param(
            b'data: {"error": {"message": "no", "code": 503}}\n\n', id="error"
        ),
        pytest.param(b"<html>", id="a page"),
        pytest.param(faults.DONE, id="an end mark alone"),
        pytest.param(KeyboardInterrupt(), id="Ctrl-C"),
    ],
)
def test_failed_stream_is_closed(reply):
    """
    Whatever ends a stream before its first chunk, its body is closed.
    """
    effects = []
    replies = [reply, b""] if isinstance(reply, bytes) and b"html" in reply else [reply]

    with pytest.raises((errors.AiLibError, KeyboardInterrupt)):
        streamed(core_of(), opened(), *replies, effects=effects)

    assert Close is kinds(effects)[-1]


def test_stream_in_an_unknown_encoding_is_closed():
    """
    A stream that cannot be decompressed is closed, too.
    """
    effects = []
    with pytest.raises(errors.InvalidResponseError):
        streamed(core_of(), opened(**{"content-encoding": "br"}), effects=effects)

    assert [Send, Close] == kinds(effects)


def test_stream_is_retried_before_its_first_chunk():
    """
    A stream that fails before its first chunk is tried again.
    """
    core = core_of(retry=no_waits())
    call = Call(core.timeout)

    (_, decoder), effects = streamed(
        core, opened(), b": hello\n\n", b"", opened(), event("a"), call=call
    )

    assert [Send, Read, Read, Close, Sleep, Send, Read] == kinds(effects)
    assert "a" == decoder.next_chunk().text
    assert 2 == len(call.attempts)


def test_silence_of_a_failed_stream_does_not_count_in_the_wait():
    """
    Between two attempts only *total* counts.
    """
    core = core_of(retry=no_waits(), timeout=Timeout(idle=0.001))
    call = Call(core.timeout)
    flow = core.chat_completion_stream(ask(), call)

    next(flow)
    flow.send(opened())
    flow.throw(errors.RequestTimeoutError("silence"))
    sleep = flow.send(None)

    assert isinstance(sleep, Sleep)
    assert call.deadlines.remaining() is None


def test_json_in_place_of_a_stream_is_one_chunk():
    """
    A JSON body in place of a stream gives its answer.
    """
    headers = {"content-type": "application/json"}

    (_, decoder), effects = streamed(
        core_of(), opened(**headers), completion("whole"), b""
    )

    assert [Send, Read, Read] == kinds(effects)
    assert "whole" == decoder.next_chunk().text


# Several steps


class Ticket:
    """
    A dialect that answers in steps, over another one.
    """

    def __init__(self, inner, steps, after):
        self.inner = inner
        self.steps = steps
        self.after = after

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def decode_response(self, target, response):
        """
        Ask again some times, then give the answer.
        """
        from ai_lib._core.dialects import Follow

        if not self.steps:
            return self.inner.decode_response(target, response)
        self.steps -= 1
        request = HttpRequest(method="GET", url=f"{URL}/tickets/{self.steps}")
        return Follow(request=request, after=self.after)


def with_ticket(core, steps, after=2.0):
    """
    Have a core's dialect answer in steps.
    """
    dialect = Ticket(core.route.dialect, steps, after)
    core.routes = (attrs.evolve(core.route, load=lambda: dialect),)
    return core


def test_follow_ups_are_sent_with_the_key():
    """
    A provider that answers in steps is asked again after a while, with the same key, as one attempt.
    """
    core = with_ticket(core_of(), 2)

    result, effects = asked(core, None, answer(), answer(), answer("done"))

    assert [Send, Sleep, Send, Sleep, Send] == kinds(effects)
    assert "done" == result.text
    assert 1 == len(result.attempts)
    assert Sleep(2.0) == effects[1]
    assert ["POST", "GET", "GET"] == [
        one.request.method for one in effects if isinstance(one, Send)
    ]
    assert KEY == effects[4].request.credential.secret.reveal()


def test_step_that_fails_is_asked_again_and_nothing_begun_anew():
    """
    What was begun is asked after again: a provider that bills it does not begin it twice.
    """
    core = with_ticket(core_of(retry=no_waits(3)), 1)

    result, effects = asked(core, None, answer(), response(status=503), answer("done"))

    sent = [one.request.method for one in effects if isinstance(one, Send)]
    assert "done" == result.text
    assert ["POST", "GET", "GET"] == sent


def test_step_that_keeps_failing_is_the_error():
    """
    After as many failures as there are attempts a step's error is the call's.
    """
    core = with_ticket(core_of(retry=no_waits(1)), 1)

    with pytest.raises(errors.ServerError):
        asked(core, None, answer(), response(status=500))


def test_wait_between_steps_ends_with_the_attempt():
    """
    The wait between steps is no longer than the attempt may still take.
    """
    core = with_ticket(core_of(timeout=Timeout(attempt=0.5)), 1, after=60.0)

    _, effects = asked(core, None, answer(), answer())

    assert effects[1].seconds <= 0.5


# Settings


def test_both_ways_to_say_retries_are_too_many():
    """
    ``max_retries`` and ``retry`` say the same.
    """
    with pytest.raises(ValueError, match="max_retries"):
        core_of(max_retries=1, retry=RetryPolicy())
    with pytest.raises(ValueError, match="negative"):
        core_of(max_retries=-1)

    assert 3 == core_of(max_retries=None).retry.attempts
    assert 1 == core_of(max_retries=0).retry.attempts


def test_settings_show_no_key():
    """
    Neither the settings nor the core show the key.
    """
    settings = Settings(provider="openai", api_key=KEY, proxy=f"http://u:{KEY}@p")

    assert KEY not in repr(settings)
    assert KEY not in repr(core_of())


def test_settings_make_the_same_again():
    """
    The keywords of settings make equal ones, but for the changes.
    """
    settings = Settings(provider="openai", api_key=KEY, timeout=3, model="m")

    same, other = (Settings(**settings.changed(one)) for one in ({}, {"model": "n"}))

    assert settings == same
    assert attrs.evolve(settings, model="n") == other


def test_settings_of_a_provider_stay_with_it():
    """
    Another provider gets neither key nor address nor model of the first; all else goes along.
    """
    settings = Settings(
        provider="groq", api_key=KEY, base_url="https://a.example", model="m", timeout=3
    )

    changed = Settings(**settings.changed({"provider": "openai"}))

    assert Settings(provider="openai", timeout=3) == changed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            {"max_retries": 1}, {"retry": RetryPolicy(attempts=4)}, id="retry"
        ),
        pytest.param(
            {"proxy": "http://p.example"}, {"disable_proxy": True}, id="proxy"
        ),
    ],
)
def test_change_takes_the_place_of_its_rival(before, after):
    """
    What says the same in another way is gone with it.
    """
    settings = Settings(provider="openai", **before)

    changed = Settings(**settings.changed(after))

    assert Settings(provider="openai", **after) == changed
