"""
The blocking transport: requests, intercepted by ``responses``; and what is below it.
"""

from __future__ import annotations

import json
import ssl

import faults
import pytest
import requests
import responses
from faults import completion, event, events, reply, stream
from twins import KEY, PROMPT, BlockingTwin, ask

import ai_lib
from ai_lib import AiClient, AuthenticationError, NetworkError
from ai_lib._pool import Adapter, _Loan

URL = "https://api.example.com/v1"


@pytest.fixture
def client():
    """
    Give a client of a server that does not exist.
    """
    with AiClient("openai", api_key=KEY, base_url=URL, max_retries=0) as made:
        yield made


@pytest.fixture
def provider():
    """
    Give what intercepts requests.
    """
    with responses.RequestsMock() as mock:
        yield mock


def test_calls_can_be_intercepted(client, provider):
    """
    ``responses`` stands in for the network: our adapter leaves ``send`` alone.
    """
    provider.post(f"{URL}/chat/completions", body=completion("hi"))

    response = client.chat_completion(ask())

    sent = provider.calls[0].request
    assert "hi" == response.text
    assert f"Bearer {KEY}" == sent.headers["authorization"]
    assert str(len(sent.body)) == sent.headers["content-length"]
    assert PROMPT == json.loads(sent.body)["messages"][0]["content"]


def test_streams_can_be_intercepted(client, provider):
    """
    Streams are read through the same door.
    """
    provider.post(
        f"{URL}/chat/completions",
        body=b"".join(events("a", "b")),
        content_type="text/event-stream",
    )

    opened = client.chat_completion_stream(ask())

    assert "ab" == opened.until_done().text


def test_stream_of_an_intercepted_call_can_be_cancelled(client, provider):
    """
    Where there is no socket to wake, ``cancel`` still ends the stream at its next step.
    """
    provider.post(f"{URL}/chat/completions", body=b"".join(events("a", "b")))
    opened, handle = client.chat_completion_stream_with_cancel(ask())

    next(opened)
    handle.cancel()

    with pytest.raises(ai_lib.StreamCancelledError):
        next(opened)


def test_error_status_is_read(client, provider):
    """
    An error's body is read and told.
    """
    provider.post(
        f"{URL}/chat/completions",
        status=401,
        json={"error": {"message": "wrong key"}},
        headers={"X-Request-Id": "r1"},
    )

    with pytest.raises(AuthenticationError, match="wrong key") as caught:
        client.chat_completion(ask())

    assert "r1" == caught.value.request_id


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        pytest.param(requests.ConnectionError("no route"), "no route", id="connection"),
        pytest.param(requests.Timeout("too late"), "timed out", id="time-out"),
        pytest.param(requests.exceptions.InvalidURL("no URL"), "no URL", id="URL"),
        pytest.param(
            requests.exceptions.ChunkedEncodingError("cut"), "cut", id="encoding"
        ),
        pytest.param(requests.exceptions.ProxyError("proxy"), "proxy", id="proxy"),
        pytest.param(requests.RequestException(), "RequestException", id="any other"),
        pytest.param(UnicodeError("odd"), "odd", id="another library's"),
    ],
)
def test_every_error_of_requests_is_one_of_ours(client, provider, raised, words):
    """
    What requests raises is a ``NetworkError`` that says the same, without its exception.
    """
    provider.post(f"{URL}/chat/completions", body=raised)

    with pytest.raises(NetworkError) as caught:
        client.chat_completion(ask())

    assert words in str(caught.value)
    assert "api.example.com" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_pages_of_models_are_listed(client, provider):
    """
    A list of models is fetched with GET, without a body.
    """
    provider.get(f"{URL}/models", json={"data": [{"id": "a"}, {"id": "b"}]})

    models = client.list_models()

    assert ["a", "b"] == [one.id for one in models]
    assert "content-length" not in provider.calls[0].request.headers


def test_session_can_be_intercepted(provider):
    """
    A session of the caller's is intercepted as any other.
    """
    provider.post(f"{URL}/chat/completions", body=completion("hi"))

    with requests.Session() as session:
        client = AiClient("openai", api_key=KEY, base_url=URL, session=session)
        text = client.chat_completion(ask()).text
        client.close()

    assert "hi" == text
    assert f"Bearer {KEY}" == provider.calls[0].request.headers["authorization"]


# Chunked bodies, which our connections read themselves


@pytest.fixture
def reading(server):
    """
    Give a function that reads a stream whose bytes are sent in the given pieces.
    """
    twin = BlockingTwin()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def read(*pieces):
        gap = faults.pause(0.0005)
        spaced = [part for piece in pieces for part in (piece, gap)]
        server.script(faults.raw(head, *spaced, keep=True))
        return twin.client(server).chat_completion_stream(ask()).until_done().text

    yield read
    twin.close()


def chunk(data, *, size=b"%x", end=b"\r\n"):
    """
    Frame a chunk of a body.
    """
    return size % len(data) + end + data + end


BODY = [*map(event, ("a", "b")), faults.FINISH, faults.DONE]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([chunk(one) for one in BODY] + [b"0\r\n\r\n"], id="as usual"),
        pytest.param(
            [chunk(one, size=b"%X") for one in BODY] + [b"0\r\n\r\n"], id="capitals"
        ),
        pytest.param(
            [chunk(one, size=b"%08x") for one in BODY] + [b"0\r\n\r\n"], id="zeros"
        ),
        pytest.param(
            [chunk(one, size=b'%x;a="b";c') for one in BODY] + [b"0;x\r\n\r\n"],
            id="extensions",
        ),
        pytest.param(
            [chunk(one, size=b"%x  ") for one in BODY] + [b"0 \r\n\r\n"], id="blanks"
        ),
        pytest.param(
            [chunk(one, end=b"\n") for one in BODY] + [b"0\n\n"], id="line feeds"
        ),
        pytest.param(
            [chunk(one) for one in BODY] + [b"0\r\nA: b\r\nC: d\r\n\r\n"], id="trailers"
        ),
        pytest.param(
            [chunk(b"".join(BODY)[at : at + 1]) for at in range(len(b"".join(BODY)))]
            + [b"0\r\n\r\n"],
            id="chunks of a byte",
        ),
        pytest.param([b"".join(map(chunk, BODY)) + b"0\r\n\r\n"], id="all at once"),
        pytest.param(
            [b"".join(map(chunk, BODY)), b"0", b"\r", b"\n", b"\r", b"\n"],
            id="slow end",
        ),
    ],
)
def test_chunked_bodies_are_read(reading, pieces):
    """
    Chunks are read as the standard writes them, however they come.
    """
    assert "ab" == reading(*pieces)


def test_chunked_bodies_are_read_at_every_cut(reading):
    """
    Where the bytes are cut does not matter.
    """
    data = b"".join(map(chunk, BODY)) + b"0;x=y\r\nA: b\r\n\r\n"

    for at in range(1, len(data), 7):
        assert "ab" == reading(data[:at], data[at:])


@pytest.mark.parametrize(
    "size",
    [
        b"",
        b"-5",
        b"+5",
        b"0x5",
        b"1_0",
        b"zz",
        b"5 5",
        b"\xff",
        b"5\x00",
        b";",
        b"5" * 100,
    ],
)
def test_what_is_no_size_of_a_chunk_is_an_error(reading, size):
    """
    A size that is none breaks the answer off; it is never guessed.
    """
    rest = size + b"\r\n" + event("b") + b"\r\n0\r\n\r\n"

    with pytest.raises(NetworkError):
        reading(chunk(event("a")), rest, faults.hang_up)


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"5\r\nabcdefgh\r\n0\r\n\r\n", id="longer than its size"),
        pytest.param(b"1" * 70_000, id="a line without end"),
        pytest.param(b"5\r\nab", id="cut"),
        pytest.param(b"", id="no end"),
        pytest.param(b"0\r\n", id="cut at the end"),
    ],
)
def test_broken_chunks_break_the_answer_off(reading, rest):
    """
    A body that is not framed as it should be is no whole answer.
    """
    with pytest.raises(NetworkError):
        reading(chunk(event("a")), rest, faults.hang_up)


def test_answer_behind_a_chunked_one_is_its_own(server):
    """
    A connection is used again behind a chunked body, and its bytes are not mixed up.
    """
    server.script(
        stream(*events("a")),
        reply(completion("b"), framing="chunked"),
        reply(completion("c")),
    )
    twin = BlockingTwin()
    client = twin.client(server)

    first = client.chat_completion_stream(ask()).until_done().text
    second = client.chat_completion(ask()).text
    third = client.chat_completion(ask()).text
    twin.close()

    assert ("a", "b", "c") == (first, second, third)
    assert 1 == server.accepted


def test_connection_is_given_back_once():
    """
    Who is interrupted right behind giving it back gives it back again, and it is in its pool once.
    """
    adapter = Adapter(ssl.create_default_context())
    pool = adapter._find("GET", "http://127.0.0.1:9/", None).pool
    connection = pool.lend()
    loan = _Loan(pool, connection)

    loan(usable=True)
    loan(usable=False)
    lent = [pool.lend(), pool.lend()]
    adapter.close()

    assert [True, False] == [one is connection for one in lent]


def test_host_beyond_ascii_is_told_as_it_is_looked_up():
    """
    The header ``host`` says the name that was connected to.
    """
    adapter = Adapter(ssl.create_default_context())

    way = adapter._find("GET", "http://b\xfccher.example:80/a", None)
    adapter.close()

    assert way.first_lines.endswith("\r\nhost: xn--bcher-kva.example:80\r\n")
