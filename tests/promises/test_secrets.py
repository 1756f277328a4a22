"""
Secrets: no key and no prompt comes out where it does not belong, and neither goes anywhere else.
"""

from __future__ import annotations

import copy
import gzip
import json
import logging
import pickle
import threading
import traceback
import types
from pathlib import Path

import faults
import pytest
import requests
from faults import answer, event, events, refusal, reply, stream
from twins import KEY, PROMPT, AsyncTwin, BlockingTwin, ask

import ai_lib
from ai_lib import AiLibError, ConfigurationError, SizeLimits, Timeout

TESTS = str(Path(__file__).parent.parent)


# What can be seen of an error


def _chain(error):
    """
    Everything that hangs on an error.
    """
    seen, waiting = [], [error]
    while waiting:
        one = waiting.pop()
        if one is None or any(one is other for other in seen):
            continue
        seen.append(one)
        waiting += [one.__cause__, one.__context__, *getattr(one, "previous", ())]
        waiting += getattr(one, "exceptions", ())
    return seen


def _frames(error):
    step = error.__traceback__
    while step is not None:
        if not step.tb_frame.f_code.co_filename.startswith(TESTS):
            yield step.tb_frame
        step = step.tb_next


def _shown(value):
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  # a half-made object
        return f"<no repr: {type(error).__name__}>"


def _dig(value, seen, depth=4):
    """
    The reprs of a local and of what hangs on it, as debuggers and error trackers show them.
    """
    if id(value) in seen or depth == 0:
        return
    seen.add(id(value))
    yield _shown(value)
    if isinstance(
        value, types.ModuleType | type | types.FunctionType | threading.Thread
    ):
        return
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)
    else:
        return
    for one in inner:
        yield from _dig(one, seen, depth - 1)


def visible(error):
    """
    Everything that can be seen of an error: name of the place and text.
    """
    for one in _chain(error):
        kind = type(one).__name__
        yield f"str of {kind}", str(one)
        yield f"repr of {kind}", repr(one)
        yield f"args of {kind}", repr(one.args)
        yield f"attributes of {kind}", repr(vars(one))
        yield f"traceback of {kind}", "".join(traceback.format_exception(one))
        if isinstance(one, AiLibError):
            yield f"pickle of {kind}", repr(pickle.dumps(one))
            yield f"copy of {kind}", repr(vars(copy.deepcopy(one)))
        seen = set()
        for frame in _frames(one):
            for name, value in frame.f_locals.items():
                where = f"{frame.f_code.co_filename}:{frame.f_lineno} {name} of {kind}"
                for text in _dig(value, seen):
                    yield where, text


def assert_hidden(error, *secrets):
    """
    Assert that nothing that can be seen of an error holds a secret.
    """
    assert isinstance(error, AiLibError)
    for where, text in visible(error):
        for secret in secrets:
            assert secret not in text, f"{where}: …{_around(text, secret)}…"


def _around(text, secret):
    at = text.index(secret)
    return text[max(0, at - 200) : at + 60]


@pytest.fixture(autouse=True)
def _no_leak_in_logs(caplog):
    """
    Hold every test to it: no record shows the key at any level, none the prompt at INFO.
    """
    caplog.set_level(logging.DEBUG)
    yield
    for record in caplog.records:
        if "receive_response_headers" in record.getMessage():
            continue  # httpcore shows at DEBUG what the server sent, echoes and all
        text = f"{record.getMessage()} {_shown(record.args)}"
        assert KEY not in text, record
        assert record.levelno < logging.INFO or PROMPT not in text, record


# Errors of every kind

ECHO = f"Incorrect API key provided: {KEY}. You sent 'Bearer {KEY}'."
NO = json.dumps({"error": {"message": ECHO, "code": KEY, "type": KEY, "param": KEY}})
PAGE = f"<html><title>{ECHO}</title><body>{KEY}</body></html>"
ECHOES = {
    "x-request-id": KEY,
    "x-echo": KEY,
    "retry-after": KEY,
    "x-ratelimit-limit-requests": KEY,
    "set-cookie": f"key={KEY}",
}

FAILURES = {
    "401": reply(NO.encode(), status=401, headers=ECHOES),
    "403 page": reply(PAGE.encode(), status=403, content_type="text/html"),
    "400 text": reply(ECHO.encode(), status=400, content_type="text/plain"),
    "404 list": reply(json.dumps([KEY, {KEY: KEY}]).encode(), status=404),
    "429": reply(NO.encode(), status=429, headers=ECHOES),
    "500 compressed": reply(
        gzip.compress(NO.encode()), status=500, headers={"content-encoding": "gzip"}
    ),
    "503 cut": reply(NO.encode()[:-9], status=503),
    "418 key in bytes": reply(b"\xff\xfe" + KEY.encode(), status=418),
    "200 error": reply(NO.encode(), headers=ECHOES),
    "200 page": reply(PAGE.encode(), content_type="text/html"),
    "200 broken": reply(NO.encode()[:-3], headers=ECHOES),
    "200 string": reply(json.dumps(ECHO).encode()),
    "200 wrong": reply(json.dumps({"choices": KEY, KEY: [KEY]}).encode()),
    "200 deep": reply(b'{"a":' * 100_000 + KEY.encode()),
    "200 encoding": reply(b"{}", headers={"content-encoding": KEY}),
    "200 broken gzip": reply(
        KEY.encode() * 9, headers={"content-encoding": "gzip", **ECHOES}
    ),
    "200 media type": reply(KEY.encode(), content_type=KEY),
    "too large": reply(KEY.encode() * 10_000),
    "stream error": stream(f"data: {NO}\n\n".encode(), headers=ECHOES),
    "stream broken": stream(f"data: {{{ECHO}\n\n".encode()),
    "stream wrong": stream(f'data: {{"choices": "{KEY}"}}\n\n'.encode()),
    "stream page": stream(PAGE.encode()),
    "stream of text": stream(ECHO.encode()),
    "stream event too large": stream(b"data: " + KEY.encode() * 10_000),
    "stream error later": stream(event("a"), f"data: {NO}\n\n".encode()),
    "stream broken later": stream(event("a"), f"data: {{{ECHO}\n\n".encode()),
    "stream cut": stream(event("a"), faults.hang_up),
    "stream reset": stream(event("a"), faults.reset),
    "stream stalls": stream(event("a"), faults.stall),
    "redirect": reply(status=307, headers={"location": f"http://{KEY}.example/{KEY}"}),
    "redirect rubbish": reply(status=302, headers={"location": f"http://[{KEY}"}),
    "redirects for ever": reply(status=307, headers={"location": f"/{KEY}"}),
    "hang up": faults.hang_up,
    "reset": faults.reset,
    "reset in the head": faults.raw(b"HTTP/1.1 200 OK\r\nX-", faults.reset),
    "reset in the body": reply(KEY.encode(), faults.reset, length=9999),
    "rubbish head": faults.raw(KEY.encode() + b"\r\n\r\n", faults.hang_up),
    "status of rubbish": faults.raw(
        f"HTTP/1.1 {KEY} No\r\n\r\n".encode(), faults.hang_up
    ),
    "reason": faults.raw(
        f"HTTP/1.1 500 {KEY}\r\nContent-Length: 0\r\n\r\n".encode(), faults.hang_up
    ),
    "header of rubbish": faults.raw(
        f"HTTP/1.1 200 OK\r\n{KEY}\r\n{KEY}: {KEY}\r\n\r\n".encode(), faults.hang_up
    ),
    "length of rubbish": faults.raw(
        f"HTTP/1.1 200 OK\r\nContent-Length: {KEY}\r\n\r\n".encode(), faults.hang_up
    ),
    "chunk of rubbish": faults.raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        f"{KEY}\r\n".encode(),
        faults.hang_up,
    ),
    "silence": faults.raw(faults.stall),
    "drip": reply(faults.drip_forever(b" ", every=0.01), length=10**6),
}


def _error_of(function):
    try:
        result = function()
    except AiLibError as error:
        return error
    return result


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_no_error_shows_the_key_or_the_prompt(pair, server, failure, function):
    """
    Nothing that can be seen of an error holds the key, not even when the provider echoes it.
    """
    server.script(failure)
    retry = ai_lib.RetryPolicy(attempts=2, backoff=0.001)
    client = pair.client(
        server,
        retry=retry,
        timeout=Timeout(idle=0.1, attempt=0.1),
        size_limits=SizeLimits(answer=100_000, event=100_000, error=100_000),
    )

    def use():
        result = getattr(client, function)(ask())
        return result.until_done() if function.endswith("stream") else result

    error = _error_of(use)

    if isinstance(error, AiLibError):
        assert_hidden(error, KEY)
        seen = f"{error} {error!r} {vars(error)}"
        assert PROMPT not in seen
    else:
        assert "200" not in str(failure)


@pytest.mark.parametrize("failure", ["401", "200 broken", "reset", "silence", "429"])
def test_no_error_of_a_model_list_shows_the_key(pair, server, failure):
    """
    Nor any of ``list_models``.
    """
    server.script(FAILURES[failure])
    client = pair.client(server, timeout=Timeout(attempt=0.1))

    assert_hidden(_error_of(client.list_models), KEY)


@pytest.mark.parametrize("failure", ["401", "200 broken", "reset", "silence", "cut"])
def test_no_error_of_a_callers_transport_shows_the_key(server, failure):
    """
    Nor any that went through the caller's own session or client.
    """
    import httpx

    step = stream(event("a"), faults.hang_up) if failure == "cut" else FAILURES[failure]
    server.script(step)
    blocking, loop = BlockingTwin(), AsyncTwin("asyncio")
    settings = {"timeout": Timeout(attempt=0.1, idle=0.1)}

    with requests.Session() as session:
        client = blocking.client(server, session=session, **settings)
        first = _error_of(lambda: client.chat_completion(ask()))
        second = _error_of(lambda: client.chat_completion_stream(ask()).until_done())

    async def use():
        async with httpx.AsyncClient() as mine:
            client = loop.raw_client(server, http_client=mine, **settings)
            with pytest.raises(AiLibError) as third:
                await client.chat_completion(ask())
            with pytest.raises(AiLibError) as fourth:
                await (await client.chat_completion_stream(ask())).until_done()
        return third.value, fourth.value

    for error in (first, second, *loop.call(use)):
        assert_hidden(error, KEY)
    blocking.close()
    loop.close()


def test_no_error_of_a_connection_shows_the_key(twin, tls_server):
    """
    Nor a refused connection, a name that is none, or a certificate that is not trusted.
    """
    refused = f"http://127.0.0.1:{faults.free_port()}/v1"

    for url in (refused, "https://x..y.example/v1", tls_server.url):
        client = twin.client(base_url=url)
        assert_hidden(_error_of(lambda: client.chat_completion(ask())), KEY)  # noqa: B023


def test_no_cancelled_stream_shows_the_key(twin, server, in_thread):
    """
    Nor a stream that is cancelled, whatever it was waiting in.
    """
    for step in (
        faults.raw(faults.stall),
        stream(event("a"), faults.stall),
        refusal(429, headers={"retry-after": "9"}),
    ):
        server.script(step)
        server.requests.clear()
        client = twin.client(server, max_retries=1)
        opened, handle = client.stream_with_cancel(ask())
        reading = in_thread(opened.until_failed)
        server.until_requests(1)
        handle.cancel()
        _, error = reading.result(10)
        assert_hidden(error, KEY)


def test_no_error_of_use_after_close_shows_the_key(twin, server):
    """
    Nor a client or a stream that is used after its end.
    """
    server.script(stream(event("a"), faults.stall))
    client = twin.client(server)
    opened = client.chat_completion_stream(ask())
    opened.close()
    client.close()

    assert_hidden(_error_of(lambda: next(opened)), KEY)
    assert_hidden(_error_of(lambda: client.chat_completion(ask())), KEY)


def test_no_item_of_a_batch_shows_the_key(pair, server):
    """
    Nor the errors that a batch's items hold.
    """
    server.script(FAILURES["401"], FAILURES["reset"], FAILURES["200 broken"])

    items = pair.client(server).chat_completion_batch([ask()] * 3)

    assert not any(item.ok for item in items)
    for item in items:
        assert_hidden(item.error, KEY)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"base_url": "nonsense"}, id="base URL"),
        pytest.param(
            {"base_url": f"https://user:{KEY}@example.com"}, id="URL with key"
        ),
        pytest.param({"dialect": "klingon"}, id="dialect"),
        pytest.param({"proxy": "nonsense://x"}, id="proxy"),
        pytest.param({"ca_bundle": "/nowhere"}, id="certificates"),
        pytest.param({"provider_options": {"a": "b"}}, id="options"),
        pytest.param({"default_headers": {"x": "a\nb"}}, id="header"),
        pytest.param({"default_headers": {"Authorization": KEY}}, id="own header"),
        pytest.param({"default_headers": {f"bad {KEY}": "x"}}, id="header's name"),
        pytest.param({"api_key": KEY + "\n" + KEY}, id="key with a line break"),
        pytest.param({"api_key": KEY + "\u2603"}, id="key outside ASCII"),
        pytest.param({"provider": "nobody"}, id="provider"),
    ],
)
def test_no_constructor_shows_the_key(pair, settings):
    """
    Nor what a constructor raises, its own frame included.
    """
    with pytest.raises(ConfigurationError) as caught:
        pair.client(**settings)

    if KEY in repr({**settings, "api_key": None}):  # not given as a key, so not known
        assert KEY not in "".join(traceback.format_exception(caught.value))
    else:
        assert_hidden(caught.value, KEY)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"max_retries": -1}, id="retries"),
        pytest.param({"max_retries": 1, "retry": ai_lib.RetryPolicy()}, id="twice"),
        pytest.param({"timeout": -1}, id="time-out"),
        pytest.param({"on_unsupported": "shrug"}, id="word"),
    ],
)
def test_no_programming_error_shows_the_key(pair, settings):
    """
    Nor a ``ValueError`` of a constructor.
    """
    with pytest.raises(ValueError) as caught:
        pair.client(**settings)

    for where, text in visible(caught.value):
        assert KEY not in text, where


def test_no_repr_shows_the_key(pair, server, monkeypatch):
    """
    Nor any object that a user holds: client, request, response, stream, handle, item.
    """
    server.script(answer(), answer(), stream(*events("a")))
    client = pair.client(server)
    response = client.chat_completion(ask())
    items = client.chat_completion_batch([ask()])
    opened = client.chat_completion_stream(ask())
    prepared = client.prepare(ask())
    target = ai_lib.ProviderSpec(id="x", dialect="openai_chat", base_url="http://x")
    inside = [client.one._core, client.one._settings, client.one._core.route]

    shown = [client.one, response, items, opened.one, prepared, target, *inside]

    for one in shown:
        assert (
            KEY
            not in f"{one} {one!r} {_shown(vars(one) if hasattr(one, '__dict__') else 0)}"
        )
    assert KEY not in prepared.to_curl()
    assert "OPENAI_API_KEY" in prepared.to_curl()
    assert PROMPT in prepared.to_curl()
    opened.close()


def test_client_is_not_pickled(pair):
    """
    A client, whose key would go along, cannot be pickled.
    """
    client = pair.client()

    with pytest.raises(TypeError):
        pickle.dumps(client.one)


@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_password_of_a_proxy_is_hidden(pair, function):
    """
    The password in a proxy's URL is in no error either.
    """
    password = "LEAKproxyPassWord1"
    proxy = f"http://user:{password}@127.0.0.1:{faults.free_port()}"
    client = pair.client(base_url="http://127.0.0.1:9/v1", proxy=proxy)

    error = _error_of(lambda: getattr(client, function)(ask()))

    assert_hidden(error, password, KEY)
    assert password not in repr(client.one._core)
    assert password not in repr(client.one._settings)


def test_key_of_a_callable_is_hidden(pair, server):
    """
    A key that a callable gives is hidden like any other.
    """
    server.script(FAILURES["401"])
    client = pair.client(server, api_key=lambda: KEY)

    assert_hidden(_error_of(lambda: client.chat_completion(ask())), KEY)


def test_key_of_a_variable_is_hidden(pair, server, monkeypatch):
    """
    A key of the environment is hidden like any other.
    """
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.script(FAILURES["401"])
    client = pair.client(server, api_key=None)

    assert_hidden(_error_of(lambda: client.chat_completion(ask())), KEY)
    assert f"Bearer {KEY}" == server.requests[0].headers["authorization"]


# Keys and headers that cannot be sent


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param("  \t", id="blank"),
        pytest.param("good\nbad", id="line feed"),
        pytest.param("good\r\nX-Injected: 1", id="line break"),
        pytest.param("good\x00bad", id="NUL"),
        pytest.param("good\x1bbad", id="control character"),
        pytest.param("good\x7fbad", id="DEL"),
        pytest.param("g\u00f6\u00f6d", id="latin-1"),
        pytest.param("\u201cquoted\u201d", id="typographic quotes"),
        pytest.param("good\u2028bad", id="line separator"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param(17, id="a number"),
    ],
)
def test_malformed_key_is_refused_at_construction(pair, server, key, monkeypatch):
    """
    A key that cannot be sent is refused when the client is made; the message names its place, not it.
    """
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        pair.client(server, api_key=key)
    if isinstance(key, str) and key.strip() and "\0" not in key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
            pair.client(server, api_key=None)

    if isinstance(key, str) and key.strip():
        for where, text in visible(caught.value):
            assert key not in text, where
    assert 0 == server.accepted


def test_missing_key_names_the_way_out(pair):
    """
    Where no key is found, the error names the argument and the variable.
    """
    with pytest.raises(ai_lib.MissingApiKeyError, match="OPENAI_API_KEY") as caught:
        pair.client(api_key=None)

    assert "api_key=" in str(caught.value)


@pytest.mark.parametrize("given", ["", "bad\nkey", "b\u00e4d", 17, None, b"x"])
def test_malformed_key_of_a_callable_is_refused_before_sending(pair, server, given):
    """
    A callable's key that cannot be sent is refused, and nothing is sent.
    """
    client = pair.client(server, api_key=lambda: given, max_retries=2)

    with pytest.raises(ConfigurationError):
        client.chat_completion(ask())

    assert 0 == server.accepted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("x-a", "b\nc", id="line feed"),
        pytest.param("x-a", "b\r\nX-Injected: 1", id="line break"),
        pytest.param("x-a", "b\0c", id="NUL"),
        pytest.param("x-a", "\u2603", id="outside latin-1"),
        pytest.param("x a", "b", id="space in the name"),
        pytest.param("x\n", "b", id="line feed in the name"),
        pytest.param("", "b", id="no name"),
        pytest.param("Authorization", "Bearer x", id="key"),
        pytest.param("x-api-key", "x", id="key of another dialect"),
        pytest.param("Host", "example.com", id="host"),
        pytest.param("Content-Length", "1", id="length"),
        pytest.param("Transfer-Encoding", "chunked", id="framing"),
        pytest.param("Accept-Encoding", "br", id="compression"),
        pytest.param("Cookie", "a=b", id="cookie"),
    ],
)
def test_malformed_header_is_refused(pair, server, name, value):
    """
    A header that cannot be sent, or is not the caller's, is refused at construction.
    """
    with pytest.raises(ConfigurationError):
        pair.client(server, default_headers={name: value})
    with pytest.raises(ConfigurationError):
        ask(extra_headers={name: value})

    assert 0 == server.accepted


def test_headers_of_the_caller_are_sent(pair, server):
    """
    Good headers are sent, the request's before the client's, latin-1 included.
    """
    server.script(answer())
    headers = {"X-Mine": "\u00e9", "x-other": "client"}
    client = pair.client(server, default_headers=headers)

    client.chat_completion(ask(extra_headers={"X-Other": "request"}))

    sent = server.requests[0].headers
    assert ("\u00e9", "request") == (sent["x-mine"], sent["x-other"])


# Nowhere else


@pytest.fixture
def elsewhere():
    """
    Give another server, which should never hear anything.
    """
    with faults.FaultServer() as other:
        other.script(answer("from elsewhere"))
        yield other


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_no_redirect_leaves_the_origin(pair, server, elsewhere, status, function):
    """
    Neither key nor prompt follows a redirect to another port, host or scheme.
    """
    client = pair.client(server)

    for goal in (
        f"{elsewhere.url}/chat/completions",
        f"http://localhost:{server.port}/v1/chat/completions",
        f"https://127.0.0.1:{server.port}/v1/chat/completions",
        f"//127.0.0.1:{elsewhere.port}/v1",
        f"http://127.0.0.1:{server.port}@127.0.0.1:{elsewhere.port}/v1",
        f"http://127.0.0.1:{elsewhere.port}\\@127.0.0.1:{server.port}/v1",
    ):
        server.script(reply(status=status, headers={"Location": goal}))
        with pytest.raises(ai_lib.InvalidResponseError):
            getattr(client, function)(ask())

    assert 0 == elsewhere.accepted


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_redirect_within_the_origin_is_followed(pair, server, status, function):
    """
    307 and 308 within the origin are followed, with key and body, as the same attempt.
    """
    final = stream(*events("hi")) if function.endswith("stream") else answer("hi")
    server.script(reply(status=status, headers={"Location": "/v2/other?x=1"}), final)

    result = getattr(pair.client(server), function)(ask())

    if function.endswith("stream"):
        result = result.until_done()
    first, second = server.requests
    assert "hi" == result.text
    assert 1 == len(result.attempts)
    assert "/v2/other?x=1" == second.path
    assert (first.body, "POST") == (second.body, second.method)
    assert f"Bearer {KEY}" == second.headers["authorization"]


@pytest.mark.parametrize("status", [301, 302, 303])
def test_other_redirects_are_errors_even_within_the_origin(pair, server, status):
    """
    301, 302 and 303 would turn a POST into a GET: they are not followed.
    """
    server.script(reply(status=status, headers={"Location": "/v2/other"}))

    with pytest.raises(ai_lib.InvalidResponseError):
        pair.client(server).chat_completion(ask())

    assert 1 == len(server.requests)


def test_redirects_without_end_are_an_error(pair, server):
    """
    A server that redirects for ever is given up after a few.
    """
    server.script(reply(status=307, headers={"Location": "/again"}))

    with pytest.raises(ai_lib.InvalidResponseError, match="redirect"):
        pair.client(server, max_retries=2).chat_completion(ask())

    assert len(server.requests) < 10


def test_no_cookies_are_kept(twin, server):
    """
    A cookie that a server sets is not sent back.
    """
    cookie = {"Set-Cookie": "session=1; Path=/; Domain=127.0.0.1"}
    server.script(answer(headers=cookie))
    client = twin.client(server)

    for _ in range(2):
        client.chat_completion(ask())

    assert not any("cookie" in one.headers for one in server.requests)


@pytest.mark.parametrize("way", ["own", "session"])
def test_netrc_is_not_read(pair, server, tmp_path, monkeypatch, way):
    """
    An entry of ``.netrc`` for the host neither replaces the key nor is added where there is none.
    """
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    server.script(answer())
    settings = {}
    if way == "session":
        if pair.name != "blocking":
            pytest.skip("a session is the blocking package's")
        settings["session"] = requests.Session()

    pair.client(server, **settings).chat_completion(ask())
    keyless = pair.client(
        server, provider="ollama", api_key=None, dialect="openai_chat"
    )
    keyless.chat_completion(ask())
    if settings:
        settings["session"].close()

    assert f"Bearer {KEY}" == server.requests[0].headers["authorization"]
    assert "authorization" not in server.requests[1].headers


def test_nothing_but_what_is_due_is_sent(pair, server):
    """
    A request has the headers that it needs, each once, and the key in none but its own.
    """
    server.script(answer())
    pair.client(server).chat_completion(ask())

    (sent,) = server.requests
    names = [line.partition(b":")[0].lower() for line in sent.head.split(b"\r\n")[1:]]
    assert len(names) == len(set(names))
    assert {
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    } >= set(sent.headers) - {"connection"}
    assert 1 == sent.head.count(KEY.encode())
    assert KEY.encode() not in sent.body
    assert "gzip" == sent.headers["accept-encoding"]
