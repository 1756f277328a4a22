"""
Retries: what is tried again, how often, with what, and after how long.
"""

from __future__ import annotations

import faults
import pytest
from faults import answer, events, refusal, reply, stream
from twins import KEY, Stopwatch, ask

from ai_lib import (
    AiLibError,
    AuthenticationError,
    InvalidRequestError,
    NetworkError,
    QuotaExhaustedError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    Timeout,
)

QUICK = RetryPolicy(attempts=3, backoff=0.002)

FAILURES = {
    "408": refusal(408),
    "409": refusal(409),
    "425": refusal(425),
    "429": refusal(429),
    "500": refusal(500),
    "502 page": reply(
        b"<html>Bad gateway</html>", status=502, content_type="text/html"
    ),
    "503": refusal(503),
    "529": refusal(529),
    "hang up": faults.hang_up,
    "reset": faults.reset,
    "half a head": faults.raw(b"HTTP/1.1 20", faults.hang_up),
    "half a body": reply(b'{"a', faults.hang_up, length=99),
    "silence": faults.raw(faults.stall),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_passing_failures_are_retried(pair, server, failure, function):
    """
    What may pass is tried again, with the identical bytes.
    """
    streams = function.endswith("stream")
    final = stream(*events("hi")) if streams else answer("hi")
    server.script(failure, failure, final)
    timeout = Timeout(attempt=0.15, idle=0.15)
    client = pair.client(server, retry=QUICK, timeout=timeout)

    result = getattr(client, function)(ask())

    result = result.until_done() if streams else result
    assert "hi" == result.text
    assert 3 == len(result.attempts)
    assert 1 == len({(one.path, one.body) for one in server.requests})
    assert {f"Bearer {KEY}"} == {
        one.headers["authorization"] for one in server.requests
    }


FINAL = {
    "400": (refusal(400), InvalidRequestError),
    "401": (refusal(401), AuthenticationError),
    "402": (refusal(402), QuotaExhaustedError),
    "404": (refusal(404), AiLibError),
    "413": (refusal(413), AiLibError),
    "422": (refusal(422), InvalidRequestError),
    "quota": (refusal(429, code="insufficient_quota"), QuotaExhaustedError),
    "rubbish": (reply(b"{"), AiLibError),
    "redirect": (reply(status=302, headers={"Location": "/x"}), AiLibError),
}


@pytest.mark.parametrize(("failure", "kind"), FINAL.values(), ids=FINAL)
def test_lasting_failures_are_not_retried(pair, server, failure, kind):
    """
    What another attempt cannot mend is raised at once; used-up quota too, although it is a 429.
    """
    server.script(failure)

    with pytest.raises(kind):
        pair.client(server, retry=QUICK).chat_completion(ask())

    assert 1 == len(server.requests)


def test_two_retries_by_default(pair, server):
    """
    Without a word, a call is tried three times.
    """
    server.script(refusal(500, headers={"retry-after-ms": "1"}))
    client = pair.client(server, max_retries=None)

    with pytest.raises(ServerError):
        client.chat_completion(ask())

    assert 3 == len(server.requests)


def test_refused_connection_is_retried(pair):
    """
    A port where nobody listens is tried again, too.
    """
    url = f"http://127.0.0.1:{faults.free_port()}/v1"

    with pytest.raises(NetworkError) as caught:
        pair.client(base_url=url, retry=QUICK).chat_completion(ask())

    assert 3 == len(caught.value.attempts)


WAITS = {
    "seconds": ({"retry-after": "0.2"}, 0.2),
    "milliseconds": ({"retry-after-ms": "200"}, 0.2),
    "both": ({"retry-after-ms": "200", "retry-after": "0.1"}, 0.2),
}


@pytest.mark.parametrize(("headers", "seconds"), WAITS.values(), ids=WAITS)
def test_never_waited_less_than_asked(pair, server, headers, seconds):
    """
    What the provider asks to wait is waited, and the attempt says so.
    """
    server.script(refusal(429, headers=headers), answer("hi"))

    watch = Stopwatch()
    response = pair.client(server, retry=QUICK).chat_completion(ask())

    assert watch.seconds >= seconds
    assert response.attempts[1].waited >= seconds
    assert 0 == response.attempts[0].waited


@pytest.mark.parametrize(
    "value",
    [
        "-5",
        "nan",
        "inf",
        "1e400",
        "soon",
        "",
        "99999999999999999999",
        "0x10",
        "1,5",
        "\xff",
    ],
)
def test_rubbish_in_retry_after_is_ignored(pair, server, value):
    """
    A wait that is negative, absurd or no number is not waited; an absurd one may end the call.
    """
    server.script(refusal(503, headers={"retry-after": value}), answer("hi"))

    watch = Stopwatch()
    items = pair.client(server, retry=QUICK).chat_completion_batch([ask()])

    (item,) = items
    assert item.ok or item.error.retry_after > 60
    assert watch.seconds < 1


def test_wait_above_the_cap_is_not_waited(pair, server):
    """
    A provider that asks for more than the cap is not waited for; its error tells how long it asks.
    """
    server.script(refusal(429, headers={"retry-after": "61"}))

    watch = Stopwatch()
    with pytest.raises(RateLimitError) as caught:
        pair.client(server, retry=QUICK).chat_completion(ask())

    assert 61 == caught.value.retry_after
    assert watch.seconds < 1
    assert 1 == len(server.requests)


def test_callable_key_is_asked_at_each_attempt(pair, server):
    """
    A callable key is asked again for each attempt, not for what is sent again within one.
    """
    keys = iter(["first-key", "second-key", "third-key"])
    server.script(
        refusal(500), reply(status=307, headers={"Location": "/elsewhere"}), answer()
    )

    client = pair.client(server, retry=QUICK, api_key=lambda: next(keys))
    client.chat_completion(ask())

    assert ["Bearer first-key", "Bearer second-key", "Bearer second-key"] == [
        one.headers["authorization"] for one in server.requests
    ]


def test_error_of_a_callable_key_passes(twin, server):
    """
    What a callable key raises is the caller's own, and passes unchanged; nothing is sent.
    """

    class NoVault(Exception):
        pass

    raised = NoVault("sealed")

    def key():
        raise raised

    client = twin.client(server, api_key=key, max_retries=2)

    for function in (
        lambda: client.chat_completion(ask()),
        lambda: client.chat_completion_stream(ask()),
        client.list_models,
    ):
        with pytest.raises(NoVault) as caught:
            function()
        assert caught.value is raised
    assert 0 == server.accepted


def test_first_model_of_the_list_is_asked_for_once(pair, server):
    """
    Where the provider has no default, ``"auto"`` means the first model that the server lists.
    """
    server.script(faults.models("first", "second"), answer("hi"))
    client = pair.client(server, provider="llamacpp", api_key=None)

    for _ in range(2):
        response = client.chat_completion(ask().__class__("auto", "hi"))
        assert "hi" == response.text

    assert ["GET", "POST", "POST"] == [one.method for one in server.requests]
    assert {"first"} == {one.json()["model"] for one in server.requests[1:]}
