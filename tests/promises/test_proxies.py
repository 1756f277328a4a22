"""
Proxies: what they are told, and what only the server behind them is.
"""

from __future__ import annotations

import ssl
import threading

import faults
import pytest
from faults import PATIENCE, answer, event, events, raw, stream
from twins import KEY, PROMPT, ask, eventually

from ai_lib import NetworkError, RequestTimeoutError, StreamCancelledError, Timeout

#: Where nobody listens: only a proxy answers for it.
NOWHERE = "127.0.0.1:9"


def tunnel(context, then):
    """
    A step that opens a tunnel, and answers what comes through it over TLS.
    """

    def step(exchange):
        exchange.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        exchange.begin_tls(context)
        request = exchange.receive()
        if request is None:
            return False
        exchange.request = request
        exchange.server.requests.append(request)
        return then(exchange)

    return step


@pytest.fixture
def tls(certificates):
    """
    Give a server's side of TLS, and its authority.
    """
    ca, leaf, key = certificates
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf, key)
    return context, str(ca)


def by_proxy(twin, server, scheme="http", user="", **settings):
    """
    Make a client that reaches its server by a proxy.
    """
    return twin.client(
        base_url=f"{scheme}://{NOWHERE}/v1",
        proxy=server.origin.replace("://", f"://{user}"),
        **settings,
    )


def test_plain_requests_go_through(pair, server):
    """
    A request for an http address is handed to the proxy as it is.
    """
    server.script(answer("hi"), stream(*events("ho")))
    client = by_proxy(pair, server, user="someone:secret-of-proxy@")

    first = client.chat_completion(ask())
    second = client.chat_completion_stream(ask()).until_done()

    assert ("hi", "ho") == (first.text, second.text)
    assert f"http://{NOWHERE}/v1/chat/completions" == server.requests[0].path
    assert server.requests[0].headers["proxy-authorization"].startswith("Basic ")


@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_tunnel_hides_key_and_prompt(pair, server, tls, function):
    """
    Of a request for an https address the proxy hears the host alone.
    """
    context, ca = tls
    streams = function.endswith("stream")
    server.script(tunnel(context, stream(*events("hi")) if streams else answer("hi")))
    user = "someone:secret-of-proxy@"
    client = by_proxy(pair, server, "https", user=user, ca_bundle=ca)

    result = getattr(client, function)(ask())

    assert "hi" == (result.until_done() if streams else result).text
    opening, inside = server.requests
    assert ("CONNECT", NOWHERE) == (opening.method, opening.path)
    assert KEY.encode() not in opening.head
    assert PROMPT.encode() not in opening.head + opening.body
    assert "proxy-authorization" in opening.headers
    assert "proxy-authorization" not in inside.headers
    assert f"Bearer {KEY}" == inside.headers["authorization"]


@pytest.mark.parametrize("status", [403, 407, 502])
def test_refused_tunnel_is_a_network_error(pair, server, tls, status):
    """
    A proxy that opens no tunnel is no answer of the provider's.
    """
    server.script(faults.reply(b"no", status=status, keep=False))
    client = by_proxy(pair, server, "https", ca_bundle=tls[1])

    with pytest.raises(NetworkError, match=str(status)):
        client.chat_completion(ask())

    assert ["CONNECT"] == [one.method for one in server.requests]


def test_certificate_behind_a_tunnel_is_verified(pair, server, tls):
    """
    Who answers in the tunnel must be the server, not the proxy.
    """
    server.script(tunnel(tls[0], answer("hi")))

    with pytest.raises(NetworkError, match="certificate") as caught:
        by_proxy(pair, server, "https").chat_completion(ask())

    assert not caught.value.is_retryable
    assert 1 == len(server.requests)


SILENCES = [
    pytest.param(lambda context: raw(faults.stall), id="opening the tunnel"),
    pytest.param(
        lambda context: raw(b"HTTP/1.1 200 OK\r\n\r\n", faults.stall),
        id="shaking hands",
    ),
    pytest.param(
        lambda context: tunnel(context, raw(faults.stall)), id="waiting for headers"
    ),
    pytest.param(
        lambda context: tunnel(context, stream(event("a"), faults.stall)),
        id="between chunks",
    ),
]


@pytest.mark.parametrize("silence", SILENCES)
def test_cancel_reaches_through_a_tunnel(pair, server, tls, silence, in_thread):
    """
    ``cancel`` frees a reader in every phase of a tunnel, and its connection.
    """
    context, ca = tls
    server.script(silence(context))
    client = by_proxy(pair, server, "https", ca_bundle=ca)
    opened, handle = client.stream_with_cancel(ask())

    reading = in_thread(opened.until_failed)
    server.until_requests(1)
    eventually(lambda: opened.one._call._wake is not None)
    threading.Event().wait(0.02)
    handle.cancel()
    _, error = reading.result(PATIENCE)

    assert type(error) is StreamCancelledError
    server.until_left()


@pytest.mark.parametrize("silence", SILENCES[:2])
def test_connect_bounds_the_tunnel(pair, server, tls, silence):
    """
    ``Timeout.connect`` bounds the tunnel and the handshake in it, too.
    """
    context, ca = tls
    server.script(silence(context))
    timeout = Timeout(0.2)
    client = by_proxy(pair, server, "https", ca_bundle=ca, timeout=timeout)

    with pytest.raises(RequestTimeoutError, match="no connection within"):
        client.chat_completion(ask())

    server.until_left()


def test_tunnel_is_used_again(pair, server, tls):
    """
    A tunnel stays open for the next request.
    """
    context, ca = tls
    server.script(tunnel(context, answer("a")), answer("b"), stream(*events("c")))
    client = by_proxy(pair, server, "https", ca_bundle=ca)

    texts = [client.chat_completion(ask()).text for _ in range(2)]
    texts.append(client.chat_completion_stream(ask()).until_done().text)

    assert ["a", "b", "c"] == texts
    assert 1 == server.accepted


def test_proxy_of_the_environment_is_used_and_can_be_switched_off(
    pair, server, monkeypatch
):
    """
    ``AI_PROXY_URL`` is not used for this machine, and not at all with ``disable_proxy``.
    """
    monkeypatch.setenv("AI_PROXY_URL", f"http://127.0.0.1:{faults.free_port()}")
    server.script(answer("hi"))

    direct = pair.client(server, disable_proxy=True).chat_completion(ask())
    here = pair.client(server).chat_completion(ask())

    assert ("hi", "hi") == (direct.text, here.text)
