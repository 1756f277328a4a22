"""
Errors: whatever a server does, what comes out is one of ours, and tells what it knows.
"""

from __future__ import annotations

import copy
import gc
import gzip
import json
import pickle
import zlib

import faults
import pytest
from faults import refusal, reply, stream
from twins import PROMPT, Stopwatch, ask

import ai_lib
from ai_lib import (
    AiLibError,
    AuthenticationError,
    InvalidRequestError,
    InvalidResponseError,
    NetworkError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTimeoutError,
    ResponseTooLargeError,
    ServerError,
    SizeLimits,
    Timeout,
)

# Bodies


def _nested(levels):
    return b"[" * levels + b"]" * levels


def _choice(**more):
    return json.dumps({"id": "c", "choices": [more]}).encode()


BODIES = {
    "nothing": b"",
    "blanks": b" \r\n\t",
    "half": b'{"choices": [{"message": {"content": "h',
    "null": b"null",
    "a number": b"17",
    "a string": b'"hi"',
    "a list": b"[]",
    "an empty object": b"{}",
    "a page": b"<html><head><title>502</title></head></html>",
    "not UTF-8": b'{"choices": [{"message": {"content": "\xff\xfe"}}]}',
    "UTF-16": '{"choices": []}'.encode("utf-16"),
    "a BOM": b"\xef\xbb\xbf{}",
    "a lone surrogate": b'{"choices": [{"message": {"content": "\\ud800"}}]}',
    "nested deeply": _nested(100_000),
    "nested deeply inside": b'{"choices": ' + _nested(50_000) + b"}",
    "a huge number": b'{"choices": [], "created": ' + b"9" * 10_000 + b"}",
    "infinite": b'{"choices": [], "created": Infinity, "usage": NaN}',
    "choices of numbers": b'{"choices": [1, 2.5, null, "x", true]}',
    "choices a number": b'{"choices": 1}',
    "choices an object": b'{"choices": {"0": {}}}',
    "message a number": _choice(message=7),
    "message a list": _choice(message=[[]]),
    "content an object": _choice(message={"content": {"a": 1}}),
    "content of numbers": _choice(message={"content": [1, None, {"type": 3}]}),
    "content a number": _choice(message={"content": 3.5}),
    "calls a number": _choice(message={"content": "x", "tool_calls": 1}),
    "calls of rubbish": _choice(
        message={"content": "x", "tool_calls": [1, {"function": 3}, {"function": {}}]}
    ),
    "index a string": _choice(index="first", message={"content": "x"}),
    "finish a list": _choice(finish_reason=["stop"], message={"content": "x"}),
    "usage a string": b'{"choices": [], "usage": "much"}',
    "usage of strings": b'{"choices": [], "usage": {"prompt_tokens": "3"}}',
    "error a string": b'{"error": "no"}',
    "error a number": b'{"error": 5}',
    "error a list": b'{"error": [1]}',
    "error null": b'{"error": null}',
    "error of rubbish": b'{"error": {"message": {"a": []}, "code": [], "type": {}}}',
    "id an object": b'{"id": {}, "model": [], "created": "x", "choices": []}',
    "two values": b"{} {}",
    "a NUL": b"\x00",
}


@pytest.fixture(params=BODIES.values(), ids=BODIES)
def body(request):
    """
    Give one rubbish after the other.
    """
    return request.param


@pytest.fixture
def _no_collecting():
    """
    Keep the garbage collector out: deep in a parser's recursion, what it runs may fail.
    """
    gc.disable()
    yield
    gc.enable()


def outcome_of(function, *arguments):
    """
    Call a function; give its result or its error, which must be one of ours.
    """
    try:
        return function(*arguments)
    except AiLibError as error:
        return error


@pytest.mark.usefixtures("_no_collecting")
@pytest.mark.parametrize("status", [200, 400, 503])
def test_no_body_breaks_out(pair, server, body, status):
    """
    Whatever the body is, a call gives an answer or one of our errors, each of its status' kind.
    """
    server.script(reply(body, status=status))
    client = pair.client(server)

    whole = outcome_of(client.chat_completion, ask())
    listed = outcome_of(client.list_models)
    streamed = outcome_of(lambda: client.chat_completion_stream(ask()).until_done())

    for one in (whole, listed, streamed):
        assert status == 200 or isinstance(one, AiLibError)
        if isinstance(one, AiLibError):
            pickle.loads(pickle.dumps(one))
            assert len(str(one)) < 2_000


@pytest.mark.usefixtures("_no_collecting")
def test_no_event_breaks_out(pair, server, body):
    """
    Whatever an event of a stream holds, what comes out is chunks and one of our errors.
    """
    data = b"data: " + body.replace(b"\n", b" ") + b"\n\n"
    server.script(stream(faults.event("a"), data, *faults.events("b")))

    opened = pair.client(server).chat_completion_stream(ask())

    result = outcome_of(opened.until_done)
    assert opened.response.text.startswith("a")
    assert isinstance(result, AiLibError | ai_lib.ChatCompletionResponse)


GZIPPED = gzip.compress(faults.completion())
ENCODED = {
    "broken gzip": ("gzip", b"\x1f\x8b\x08rubbish rubbish rubbish"),
    "no gzip": ("gzip", faults.completion()),
    "cut gzip": ("gzip", GZIPPED[:-12]),
    "bad checksum": ("gzip", GZIPPED[:-8] + b"\0" * 8),
    "nothing as gzip": ("gzip", b""),
    "broken deflate": ("deflate", b"\x78\x9crubbish"),
    "brotli": ("br", b"rubbish"),
    "unknown": ("zzz", faults.completion()),
    "two": ("gzip, deflate", GZIPPED),
    "no word": ("\xff", GZIPPED),
}


@pytest.mark.parametrize(("encoding", "data"), ENCODED.values(), ids=ENCODED)
@pytest.mark.parametrize("status", [200, 500])
def test_no_compression_breaks_out(pair, server, encoding, data, status):
    """
    Broken or unknown compression is one of our errors.
    """
    headers = {"Content-Encoding": encoding}
    server.script(reply(data, status=status, headers=headers))
    client = pair.client(server)

    with pytest.raises(AiLibError) as caught:
        client.chat_completion(ask())
    with pytest.raises(AiLibError):
        client.chat_completion_stream(ask()).until_done()

    assert status == 200 or isinstance(caught.value, ServerError)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        pytest.param("gzip", gzip.compress, id="gzip"),
        pytest.param("GZIP", gzip.compress, id="in capitals"),
        pytest.param("deflate", zlib.compress, id="deflate"),
    ],
)
def test_compressed_answers_are_read(pair, server, encoding, pack):
    """
    gzip and deflate are undone, of answers, errors and streams.
    """
    headers = {"Content-Encoding": encoding}
    client = pair.client(server)

    server.script(reply(pack(faults.completion("hi")), headers=headers))
    assert "hi" == client.chat_completion(ask()).text

    server.script(stream(pack(b"".join(faults.events("a", "b"))), headers=headers))
    assert "ab" == client.chat_completion_stream(ask()).until_done().text

    no = pack(b'{"error": {"message": "not today"}}')
    server.script(reply(no, status=403, headers=headers))
    with pytest.raises(PermissionDeniedError, match="not today"):
        client.chat_completion(ask())


# Heads

HEADS = {
    "nothing": b"",
    "rubbish": b"\x00\xff\x17rubbish\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "no version": b"200 OK\r\n\r\n",
    "status a word": b"HTTP/1.1 OK\r\n\r\n",
    "status too large": b"HTTP/1.1 99999 Much\r\n\r\n",
    "status negative": b"HTTP/1.1 -200 Less\r\n\r\n",
    "status zero": b"HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n",
    "HTTP/9": b"HTTP/9.9 200 OK\r\n\r\n",
    "header without colon": b"HTTP/1.1 200 OK\r\nrubbish\r\n\r\n",
    "header not latin": b"HTTP/1.1 200 OK\r\nX-A: \xff\xfe\x80\r\nContent-Length: 2\r\n\r\n{}",
    "name not latin": b"HTTP/1.1 200 OK\r\nX\xff: a\r\nContent-Length: 2\r\n\r\n{}",
    "folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "long header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n{}",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 5_000 + b"\r\n{}",
    "more headers": b"HTTP/1.1 200 OK\r\n" + b"a:x\n" * 65_000 + b"\r\n{}",
    "endless interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
    "status below all": b"HTTP/1.1 099 Less\r\nContent-Length: 2\r\n\r\n{}",
    "bare returns": b"HTTP/1.1 200 OK\rContent-Length: 2\r\r{}",
    "length a word": b"HTTP/1.1 200 OK\r\nContent-Length: much\r\n\r\n{}",
    "length negative": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length too large": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
    "length beyond all": b"HTTP/1.1 200 OK\r\nContent-Length: "
    + b"9" * 50
    + b"\r\n\r\n{}",
    "chunks of rubbish": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    "chunk without size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n{}\r\n",
    "chunk negative": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n",
    "chunk cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}",
    "chunk without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "unknown transfer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: zzz\r\n\r\n{}",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    "interim alone": b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "reset content": b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "choices": b"HTTP/1.1 300 Multiple Choices\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_no_head_breaks_out(twin, server, head):
    """
    Whatever the head of an answer is, one of our errors comes out.
    """
    server.script(faults.raw(head, faults.hang_up))
    client = twin.client(server)

    for function in (
        lambda: client.chat_completion(ask()),
        lambda: client.chat_completion_stream(ask()).until_done(),
        client.list_models,
    ):
        with pytest.raises(AiLibError) as caught:
            function()
        assert "openai" == caught.value.provider
        assert len(str(caught.value)) < 1_000


def test_another_protocol_is_told_at_once(pair, server):
    """
    What cannot become an answer is an error, though the server says no more and does not hang up.
    """
    server.script(faults.raw(b"SSH-2.0-OpenSSH_9.6\r\n", faults.stall))

    with pytest.raises(NetworkError, match="SSH-2"):
        pair.client(server).chat_completion(ask())


LOCATIONS = {
    "nothing": "",
    "rubbish": "http://[",
    "a bad port": "http://127.0.0.1:99999999/",
    "a port of letters": "http://127.0.0.1:x/",
    "another scheme": "file:///etc/passwd",
    "a user": "http://user:password@127.0.0.1/",
    "a word": "\xff\xfe",
    "blanks": "   ",
    "no host": "http://",
    "brackets": "//[::1",
}


@pytest.mark.parametrize("location", LOCATIONS.values(), ids=LOCATIONS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_breaks_out(pair, server, location, status):
    """
    Wherever a redirect points, what comes out is one of our errors.
    """
    server.script(reply(status=status, headers={"Location": location}))
    client = pair.client(server)

    with pytest.raises(InvalidResponseError):
        client.chat_completion(ask())
    with pytest.raises(InvalidResponseError):
        client.chat_completion_stream(ask())


def test_redirect_without_location_is_an_error(pair, server):
    """
    A redirect to nowhere is an answer that cannot be read.
    """
    server.script(reply(status=307))

    with pytest.raises(InvalidResponseError):
        pair.client(server).chat_completion(ask())


# Connections


@pytest.mark.parametrize(
    ("step", "words"),
    [
        pytest.param(faults.reset, "reset by peer", id="reset"),
        pytest.param(faults.hang_up, "broke off in its headers", id="hang up"),
        pytest.param(
            faults.raw(b"HTTP/1.1 200 OK\r\nX-", faults.reset),
            "reset",
            id="in the head",
        ),
        pytest.param(reply(b'{"a', faults.reset, length=99), "reset", id="in the body"),
        pytest.param(
            reply(b'{"a', faults.hang_up, length=99), "broke off", id="cut body"
        ),
        pytest.param(
            reply(b'{"a', faults.hang_up, framing="chunked"),
            "broke off",
            id="cut chunks",
        ),
    ],
)
def test_broken_connection_is_a_network_error(twin, server, step, words):
    """
    A connection that breaks is a ``NetworkError`` that says why, in plain words.
    """
    server.script(step)

    with pytest.raises(NetworkError, match=words) as caught:
        twin.client(server).chat_completion(ask())

    assert caught.value.is_retryable
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert "object at 0x" not in str(caught.value)


def test_refused_connection_says_so(twin):
    """
    A port where nobody listens is named, with the plain reason.
    """
    port = faults.free_port()
    client = twin.client(base_url=f"http://127.0.0.1:{port}/v1")

    with pytest.raises(NetworkError, match="connection refused") as caught:
        client.chat_completion(ask())

    assert f"127.0.0.1:{port}" in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("x" * 70 + ".example", id="label too long"),
        pytest.param("a..b.example", id="empty label"),
        pytest.param("\u2603.\ud83d", id="no name at all"),
        pytest.param("256.256.256.256", id="address too large"),
    ],
)
def test_impossible_host_is_one_of_our_errors(twin, host):
    """
    A name that cannot be looked up is one of our errors, when the client is made or used.
    """
    with pytest.raises(AiLibError):
        twin.client(base_url=f"https://{host}/v1").chat_completion(ask())


@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_certificate_of_a_stranger_is_never_retried(twin, tls_server, function):
    """
    A certificate that is not trusted is an error that names the way out, after one attempt.
    """
    client = twin.client(tls_server, max_retries=3)

    with pytest.raises(NetworkError, match="ca_bundle=") as caught:
        getattr(client, function)(ask())

    assert not caught.value.is_retryable
    assert 1 == len(caught.value.attempts)
    assert [] == tls_server.requests


def test_certificate_of_another_host_is_not_trusted(twin, tls_server):
    """
    A certificate of the right authority for another name is refused.
    """
    url = tls_server.url.replace("127.0.0.1", "127.0.0.2")
    client = twin.client(base_url=url, ca_bundle=tls_server.ca)

    with pytest.raises(NetworkError) as caught:
        client.chat_completion(ask())

    assert [] == tls_server.requests
    assert not caught.value.is_retryable or "refused" in str(caught.value)


def test_plain_http_where_tls_is_due_is_an_error(twin, certificates):
    """
    A server that does not speak TLS is one of our errors.
    """
    answers = faults.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", faults.hang_up)
    with faults.FaultServer(greet=answers) as server:
        url = server.url.replace("http:", "https:")
        client = twin.client(base_url=url, ca_bundle=str(certificates[0]))

        with pytest.raises(NetworkError, match="does not speak it") as caught:
            client.chat_completion(ask())

    assert not caught.value.is_retryable
    assert 1 == len(caught.value.attempts)


def test_failing_proxy_is_named(twin):
    """
    Where nobody listens at the proxy's address, it is the proxy that is named, without its user.
    """
    port = faults.free_port()
    proxy = f"http://someone:secret-of-proxy@127.0.0.1:{port}"
    client = twin.client(base_url="https://api.example.com/v1", proxy=proxy)

    with pytest.raises(NetworkError) as caught:
        client.chat_completion(ask())

    assert (
        "openai (api.example.com): no connection through the proxy"
        f" 127.0.0.1:{port}: connection refused." in str(caught.value)
    )


@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_page_is_told_with_its_title(twin, server, function):
    """
    A web page in place of an answer is named by title, status and address, streamed or not.
    """
    page = b"<html><head><title>Log in</title></head></html>"
    server.script(reply(page, headers={"Content-Type": "text/html"}))

    with pytest.raises(InvalidResponseError) as caught:
        getattr(twin.client(server), function)(ask())

    assert 200 == caught.value.status_code
    assert (
        "openai answered with a web page ('Log in') in place of an answer, 200 from"
        f" {server.url}/chat/completions: is base_url right, or a proxy in between?"
    ) == str(caught.value)


def test_message_counts_the_attempts(twin, server):
    """
    An error behind several attempts says how many, when to come again, and survives pickling.
    """
    server.script(
        reply(b'{"error": "slow"}', status=429, headers={"Retry-After": "0.01"})
    )

    with pytest.raises(RateLimitError) as caught:
        twin.client(server, max_retries=1).chat_completion(ask())

    assert str(caught.value).startswith("openai answered 429: slow. Again in 0.01 s.")
    assert "(2 attempts, " in str(caught.value)
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))


def test_missing_address_is_named(twin, server):
    """
    A 404 that says nothing of a model names the address that was asked.
    """
    server.script(reply(b"{}", status=404))

    with pytest.raises(NotFoundError) as caught:
        twin.client(server).chat_completion(ask())

    assert f"404 at {server.url}/chat/completions." in str(caught.value)


# Time


def _took(client, function, request):
    def use():
        result = getattr(client, function)(request)
        return result.until_done() if function.endswith("stream") else result

    watch = Stopwatch()
    error = outcome_of(use)
    assert isinstance(error, AiLibError)
    return error, watch.seconds


DRIPS = {
    "silence": lambda: faults.raw(faults.stall),
    "a head that drips": lambda: faults.raw(
        b"HTTP/1.1 200 OK\r\nX-", faults.drip_forever(b"x", every=0.01)
    ),
    "a body that drips": lambda: reply(
        faults.drip_forever(b" ", every=0.01), length=10**6
    ),
    "an error that drips": lambda: reply(
        faults.drip_forever(b" ", every=0.01), status=500, framing="chunked"
    ),
    "interim answers without end": lambda: faults.raw(
        faults.drip_forever(b"HTTP/1.1 103 Early Hints\r\n\r\n", every=0.01)
    ),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_attempt_bounds_a_whole_exchange(twin, server, drip):
    """
    ``Timeout.attempt`` bounds an exchange, headers, body and all, however slowly it drips.
    """
    server.script(drip())
    client = twin.client(server, timeout=Timeout(attempt=0.2))

    error, seconds = _took(client, "chat_completion", ask())

    assert type(error) is RequestTimeoutError
    assert isinstance(error, TimeoutError)
    assert "0.2 s" in str(error)
    assert 0.15 < seconds < 1
    server.until_left()


@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_total_bounds_everything(pair, server, function, drip):
    """
    ``Timeout.total`` bounds a call with all its attempts, a stream's body included.
    """
    server.script(drip())
    client = pair.client(
        server, timeout=Timeout(total=0.2, attempt=0.12), max_retries=5
    )

    error, seconds = _took(client, function, ask())

    assert isinstance(error, RequestTimeoutError | NetworkError)
    assert 0.1 < seconds < 1
    server.until_left()


def test_total_counts_while_chunks_come(pair, server):
    """
    A stream that talks without end ends at ``Timeout.total``, with the partial answer.
    """
    server.script(stream(faults.drip_forever(faults.event("a"), every=0.01)))
    client = pair.client(server, timeout=Timeout(total=0.3))

    texts, error = client.chat_completion_stream(ask()).until_failed()

    assert isinstance(error, RequestTimeoutError)
    assert "a" * len(texts) == error.partial.text
    assert error.elapsed < 1


def test_wait_past_total_is_not_begun(pair, server):
    """
    A wait that would pass ``Timeout.total`` is not begun: the error comes at once.
    """
    server.script(refusal(429, headers={"retry-after": "5"}))
    client = pair.client(server, timeout=Timeout(total=2), max_retries=3)

    error, seconds = _took(client, "chat_completion", ask())

    assert type(error) is RateLimitError
    assert 5 == error.retry_after
    assert seconds < 1


def test_connect_bounds_the_connection(twin):
    """
    ``Timeout.connect`` bounds the time to reach the host.
    """
    with faults.port_that_never_accepts() as port:
        timeout = Timeout(0.2)
        client = twin.client(base_url=f"http://127.0.0.1:{port}/v1", timeout=timeout)
        error, seconds = _took(client, "chat_completion", ask())

    assert type(error) is RequestTimeoutError
    assert "no connection within 0.2 s" in str(error)
    assert seconds < 1


def test_connect_bounds_the_handshake(twin, certificates):
    """
    ``Timeout.connect`` bounds TLS, too.
    """
    with faults.FaultServer(greet=faults.stall) as server:
        url = server.url.replace("http:", "https:")
        ca = str(certificates[0])
        client = twin.client(base_url=url, ca_bundle=ca, timeout=Timeout(0.2))
        error, seconds = _took(client, "chat_completion", ask())
        server.until_left()

    assert type(error) is RequestTimeoutError
    assert seconds < 1


def test_idle_bounds_the_wait_for_the_first_line(twin, server):
    """
    ``Timeout.idle`` counts before the first line of a stream, too.
    """
    server.script(stream(faults.stall))
    client = twin.client(server, timeout=Timeout(idle=0.2))

    error, seconds = _took(client, "chat_completion_stream", ask())

    assert isinstance(error, RequestTimeoutError)
    assert seconds < 1
    server.until_left()


# Sizes


def test_answer_is_bounded(twin, server):
    """
    An answer beyond its bound is refused, and its connection closed.
    """
    server.script(reply(b"x" * 20_000, faults.stall, length=10**9))
    client = twin.client(server, size_limits=SizeLimits(answer=10_000))

    with pytest.raises(ResponseTooLargeError):
        client.chat_completion(ask())

    server.until_left()


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_error_body_is_cut(twin, server, framing):
    """
    Of an error's body a bounded piece is read, and a bounded piece is shown.
    """
    endless = faults.drip_forever(b"x" * 1000, every=0)
    server.script(reply(endless, status=500, framing=framing, length=10**9))
    client = twin.client(server, size_limits=SizeLimits(error=10_000))

    with pytest.raises(ServerError) as caught:
        client.chat_completion(ask())

    assert len(caught.value.body) <= 2_000
    assert len(str(caught.value)) < 1_200
    server.until_left()


def test_bomb_is_refused(pair, server):
    """
    What a compressed body would become counts, not what it is.
    """
    data = faults.bomb(100 * 2**20, start=b'{"choices": [')
    headers = {"Content-Encoding": "gzip"}
    limits = SizeLimits(answer=2**20, event=2**20)
    client = pair.client(server, size_limits=limits)
    assert len(data) < 200_000

    server.script(reply(data, headers=headers))
    with pytest.raises(ResponseTooLargeError):
        client.chat_completion(ask())
    with pytest.raises(ResponseTooLargeError):
        client.chat_completion_stream(ask()).until_done()

    server.script(stream(faults.bomb(100 * 2**20, start=b"data: "), headers=headers))
    with pytest.raises(ResponseTooLargeError):
        client.chat_completion_stream(ask()).until_done()

    server.script(reply(data, status=500, headers=headers))
    with pytest.raises(ServerError):
        client.chat_completion(ask())


# What errors tell

STATUSES = [
    pytest.param((400, "x", InvalidRequestError), id="400"),
    pytest.param((401, "x", AuthenticationError), id="401"),
    pytest.param((402, "x", QuotaExhaustedError), id="402"),
    pytest.param((403, "x", PermissionDeniedError), id="403"),
    pytest.param((404, "x", NotFoundError), id="404"),
    pytest.param((408, "x", RequestTimeoutError), id="408"),
    pytest.param((409, "x", ServerError), id="409"),
    pytest.param((422, "x", InvalidRequestError), id="422"),
    pytest.param((425, "x", ServerError), id="425"),
    pytest.param((429, "x", RateLimitError), id="429"),
    pytest.param((429, "insufficient_quota", QuotaExhaustedError), id="quota"),
    pytest.param((500, "x", ServerError), id="500"),
    pytest.param((502, "x", ServerError), id="502"),
    pytest.param((503, "x", OverloadedError), id="503"),
    pytest.param((529, "x", OverloadedError), id="529"),
    pytest.param((418, "x", ai_lib.ApiError), id="418"),
    pytest.param((599, "x", ServerError), id="599"),
    pytest.param((799, "x", AiLibError), id="799"),
]


@pytest.mark.parametrize("said", STATUSES)
@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_error_tells_what_it_knows(pair, server, said, function):
    """
    An error has the class of its meaning and tells status, words, ids, time and attempts.
    """
    status, code, kind = said
    headers = {"x-request-id": "req-17"}
    server.script(refusal(status, "because " * 1000, code=code, headers=headers))
    client = pair.client(server)

    with pytest.raises(kind) as caught:
        getattr(client, function)(ask())

    error = caught.value
    assert "because" in str(error)
    assert len(str(error)) < 1_200
    assert (status, code) == (error.status_code, error.code)
    assert "req-17" == error.request_id
    assert ("openai", "m") == (error.provider, error.model)
    assert [status] == [one.status_code for one in error.attempts]
    assert 0 < error.elapsed < 5
    assert PROMPT not in str(error)


def test_error_tells_of_all_attempts(pair, server):
    """
    The last error carries those before, and a line for each attempt.
    """
    server.script(refusal(500), refusal(503), refusal(429))
    retry = ai_lib.RetryPolicy(attempts=3, backoff=0.001)

    with pytest.raises(RateLimitError) as caught:
        pair.client(server, retry=retry).chat_completion(ask())

    error = caught.value
    assert [500, 503, 429] == [one.status_code for one in error.attempts]
    assert [500, 503] == [one.status_code for one in error.previous]
    assert ["ServerError", "OverloadedError", "RateLimitError"] == [
        one.error.partition(":")[0] for one in error.attempts
    ]


def _kinds(kind=AiLibError):
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)


@pytest.mark.parametrize("kind", list(_kinds()), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, None], ids=str)
def test_every_error_survives_copies(kind, copied):
    """
    Every error can be pickled and copied, with all that it tells.
    """
    made = kind(
        "no",
        provider="p",
        model="m",
        status_code=400,
        code="c",
        request_id="r",
        retry_after=1.5,
        rate_limits=ai_lib.RateLimits(requests_limit=3),
        body="b",
        attempts=(ai_lib.Attempt(provider="p", model="m", error="E: no"),),
        elapsed=0.5,
        partial=ai_lib.ChatCompletionResponse(model="m"),
        previous=(AiLibError("before"),),
        retryable=True,
        failover=True,
    )

    again = copied(made) if copied else pickle.loads(pickle.dumps(made))

    assert type(made) is type(again)
    assert made.args == again.args
    for name in set(vars(made)) - {"previous"}:
        assert getattr(made, name) == getattr(again, name)
    assert ["before"] == [str(one) for one in again.previous]
    assert again.is_retryable


def test_real_errors_survive_pickle(pair, server):
    """
    Errors that calls ended in survive, a partial answer included.
    """
    server.script(stream(faults.event("a"), faults.hang_up))
    _, error = pair.client(server).chat_completion_stream(ask()).until_failed()

    again = pickle.loads(pickle.dumps(error))

    assert "a" == again.partial.text
    assert error.attempts == again.attempts
    assert str(error) == str(again)


def test_tree_is_as_drawn():
    """
    The classes are those that the module's docstring draws.
    """
    from ai_lib._core import errors

    drawn = []
    for line in errors.__doc__.splitlines():
        head, _, name = line.rpartition(" ")
        if name.endswith("Error") and name.isidentifier():
            depth = 0 if name == "AiLibError" else (len(head) - 4) // 4 + 1
            drawn.append((depth, name))

    def tree(kind, depth=0):
        yield depth, kind.__name__
        for one in kind.__subclasses__():
            yield from tree(one, depth + 1)

    assert sorted(drawn) == sorted(tree(AiLibError))
