"""
The async transport: httpx, with a client whose transport is a fake.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from contextlib import suppress

import anyio
import httpx
import pytest
from faults import (
    PATIENCE,
    FaultServer,
    answer,
    completion,
    event,
    events,
    raw,
    reply,
    stall,
    stream,
    wait_for,
)
from twins import KEY, PROMPT, ask

import ai_lib_async
from ai_lib_async import (
    AiClient,
    AuthenticationError,
    IncompleteStreamError,
    NetworkError,
    RequestTimeoutError,
    Timeout,
)
from ai_lib_async._sockets import connect

URL = "https://api.example.com/v1"


def run(answer, use, **settings):
    """
    Run ``use(client)`` in an event loop, with a client whose requests *answer* answers.
    """

    async def main():
        fake = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=fake) as mine:
            settings.setdefault("max_retries", 0)
            client = AiClient(
                "openai", api_key=KEY, base_url=URL, http_client=mine, **settings
            )
            async with client:
                return await use(client)

    return asyncio.run(main())


class Pieces(httpx.AsyncByteStream):
    """
    A body in pieces; an exception among them is raised.
    """

    def __init__(self, *pieces):
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self):
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            if piece is None:
                await anyio.sleep_forever()
            yield piece

    async def aclose(self):
        self.closed = True


def test_calls_can_be_faked():
    """
    ``httpx.MockTransport`` stands in for the network.
    """
    requests = []

    async def answer(request):
        requests.append(request)
        return httpx.Response(200, content=completion("hi"))

    response = run(answer, lambda client: client.chat_completion(ask()))

    assert "hi" == response.text
    assert f"Bearer {KEY}" == requests[0].headers["authorization"]
    assert PROMPT == json.loads(requests[0].content)["messages"][0]["content"]
    assert str(len(requests[0].content)) == requests[0].headers["content-length"]


def test_streams_can_be_faked():
    """
    Streams are read as their pieces come, and closed at their end.
    """
    body = Pieces(*events("a", "b"))

    async def use(client):
        opened = await client.chat_completion_stream(ask())
        return await opened.until_done()

    response = run(lambda request: httpx.Response(200, stream=body), use)

    assert "ab" == response.text
    assert body.closed


def test_stream_that_is_left_is_closed():
    """
    A stream that is left in the middle closes its body, also an endless one.
    """
    body = Pieces(*[event("a")] * 100_000)

    async def use(client):
        async with await client.chat_completion_stream(ask()) as opened:
            async for _ in opened:
                break

    run(lambda request: httpx.Response(200, stream=body), use)

    assert body.closed


def test_stream_can_be_cancelled():
    """
    ``cancel`` ends a wait for the next piece.
    """
    body = Pieces(event("a"), None)

    async def use(client):
        opened, handle = client.chat_completion_stream_with_cancel(ask())
        await anext(opened)
        asyncio.get_running_loop().call_soon(handle.cancel)
        with pytest.raises(ai_lib_async.StreamCancelledError):
            await anext(opened)

    run(lambda request: httpx.Response(200, stream=body), use)

    assert body.closed


def test_silence_ends_where_the_timeout_says():
    """
    Deadlines hold whatever sends the request.
    """
    body = Pieces(event("a"), None)

    async def use(client):
        opened = await client.chat_completion_stream(ask())
        with pytest.raises(RequestTimeoutError) as caught:
            await opened.until_done()
        return caught.value

    error = run(
        lambda request: httpx.Response(200, stream=body),
        use,
        timeout=Timeout(idle=0.05),
    )

    assert "a" == error.partial.text


def test_error_status_is_read():
    """
    An error's body is read and told.
    """

    async def answer(request):
        headers = {"x-request-id": "r1"}
        return httpx.Response(401, json={"error": {"message": "no"}}, headers=headers)

    async def use(client):
        with pytest.raises(AuthenticationError, match="no") as caught:
            await client.chat_completion(ask())
        return caught.value

    assert "r1" == run(answer, use).request_id


ERRORS = [
    pytest.param(httpx.ConnectError("refused"), "refused", id="connect"),
    pytest.param(httpx.ReadError("reset"), "reset", id="read"),
    pytest.param(httpx.RemoteProtocolError("rubbish"), "rubbish", id="protocol"),
    pytest.param(httpx.ProxyError("proxy"), "proxy", id="proxy"),
    pytest.param(httpx.UnsupportedProtocol("klingon"), "klingon", id="scheme"),
    pytest.param(httpx.DecodingError("odd"), "odd", id="decoding"),
    pytest.param(httpx.InvalidURL("no URL"), "no URL", id="URL"),
    pytest.param(httpx.ReadTimeout(""), "timed out", id="time-out"),
    pytest.param(UnicodeError("odd"), "odd", id="another library's"),
    pytest.param(OSError(104, "x"), "reset by peer", id="OSError"),
]


@pytest.mark.parametrize(("raised", "words"), ERRORS)
def test_every_error_of_httpx_is_one_of_ours(raised, words):
    """
    What httpx raises is a ``NetworkError`` that says the same, without its exception.
    """

    async def answer(request):
        raise raised

    async def use(client):
        with pytest.raises(NetworkError, match=words) as caught:
            await client.chat_completion(ask())
        return caught.value

    error = run(answer, use)

    assert "api.example.com" in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(("raised", "words"), ERRORS)
def test_every_error_in_a_body_is_one_of_ours(raised, words):
    """
    In the body of a stream, too: it is a cut one, with what had come.
    """
    body = Pieces(event("a"), raised)

    async def use(client):
        opened = await client.chat_completion_stream(ask())
        with pytest.raises(NetworkError, match=words) as caught:
            await opened.until_done()
        return caught.value

    error = run(lambda request: httpx.Response(200, stream=body), use)

    assert isinstance(error, IncompleteStreamError | RequestTimeoutError)
    assert "a" == error.partial.text
    assert body.closed


def test_redirects_and_authentication_of_the_client_are_not_used():
    """
    What the caller's client would follow or add by itself does not happen to our requests.
    """
    requests = []

    async def answer(request):
        requests.append(request)
        return httpx.Response(302, headers={"location": "https://elsewhere.example/"})

    async def main():
        settings = {"follow_redirects": True, "auth": ("someone", "else")}
        fake = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=fake, **settings) as mine:
            client = AiClient("openai", api_key=KEY, base_url=URL, http_client=mine)
            with pytest.raises(ai_lib_async.InvalidResponseError):
                await client.chat_completion(ask())

    asyncio.run(main())

    assert [f"Bearer {KEY}"] == [one.headers["authorization"] for one in requests]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_early_refusal_of_a_large_request_is_heard(scheme, certificates):
    """
    A server that answers before it has read the request, and reads no more of it, is heard at once; its
    connection is not used again.
    """
    ca, leaf, key = certificates
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(leaf, key)
    over = threading.Event()
    heads = []

    def serve(listening):
        listening.settimeout(PATIENCE)
        with listening, suppress(TimeoutError):
            for _ in range(2):
                peer, _ = listening.accept()
                if scheme == "https":
                    peer = tls.wrap_socket(peer, server_side=True)
                heads.append(peer.recv(1000))
                body = b'{"error":{"message":"too large"}}'
                peer.sendall(
                    b"HTTP/1.1 413 Too Large\r\ncontent-length: %d\r\n\r\n%b"
                    % (len(body), body)
                )
                threading.Thread(
                    target=lambda it=peer: (over.wait(10), it.close())
                ).start()

    listening = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=serve, args=(listening,))
    server.start()
    url = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/v1"

    async def main():
        found = []
        async with AiClient(
            "openai",
            api_key=KEY,
            base_url=url,
            ca_bundle=str(ca),
            max_retries=0,
            timeout=Timeout(attempt=8),
        ) as client:
            for _ in range(2):
                with pytest.raises(ai_lib_async.ApiError) as caught:
                    await client.chat_completion(ask("x" * 20_000_000))
                found.append(caught.value.status_code)
        return found

    try:
        assert [413, 413] == asyncio.run(main())
    finally:
        over.set()
        server.join(10)
    assert 2 == len(heads)


# Cancelled by the task


def cancel_twice(task):
    """
    Cancel a task, and once more while it cleans up.
    """
    task.cancel()
    asyncio.get_running_loop().call_soon(task.cancel)


async def cancelled(work, *, when=asyncio.sleep, twice=False):
    """
    Run *work* in a task, and cancel it once *when* has come.
    """
    task = asyncio.create_task(work)
    await when(0)
    (cancel_twice if twice else asyncio.Task.cancel)(task)
    with pytest.raises(asyncio.CancelledError):
        await task


async def between_chunks(opened):
    """
    Cancel a read twice.
    """
    await anext(opened)
    await cancelled(anext(opened), twice=True)


async def while_it_closes(opened):
    """
    Cancel the closing.
    """
    await anext(opened)
    await cancelled(opened.close())


async def behind_its_end(opened):
    """
    Cancel the reading of what stands behind the end mark.
    """

    async def ended(_):
        while opened.outcome != "completed":  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)

    await cancelled(opened.until_done(), when=ended)


@pytest.mark.parametrize(
    ("use", "pieces"),
    [
        (between_chunks, [event("a")]),
        (while_it_closes, [event("a")]),
        (behind_its_end, events("a")),
    ],
)
def test_cancelled_stream_gives_its_slot_back(server, use, pieces):
    """
    Wherever a task is cancelled, and however often, what its stream held is free for the next call.
    """
    server.script(stream(*pieces, stall), answer("next"))

    async def main():
        settings = {"max_concurrency": 1, "timeout": Timeout(total=5)}
        async with AiClient(
            "openai", api_key=KEY, base_url=server.url, max_retries=0, **settings
        ) as client:
            await use(await client.chat_completion_stream(ask()))
            return (await client.chat_completion(ask())).text

    assert "next" == asyncio.run(main(), debug=True)
    server.until_left()


async def with_idle_connections(client, server, count):
    """
    Have *client* keep *count* connections.
    """
    together = threading.Barrier(count)
    meet = [lambda exchange: together.wait(PATIENCE), completion()]
    server.script(reply(*meet, framing="chunked"))
    await asyncio.gather(*[client.chat_completion(ask()) for _ in range(count)])
    assert count == server.open


def test_cancelled_close_closes_every_connection(server):
    """
    A client whose closing is cancelled keeps no connection.
    """

    async def main():
        client = AiClient("openai", api_key=KEY, base_url=server.url)
        await with_idle_connections(client, server, 5)
        await cancelled(client.close())
        await asyncio.to_thread(server.until_left)

    asyncio.run(main(), debug=True)


def test_call_that_is_cancelled_twice_closes_every_dead_connection(server):
    """
    A call that met dead connections closes them all, and its own, although it is cancelled while it does.
    """

    async def main():
        async with AiClient("openai", api_key=KEY, base_url=server.url) as client:
            await with_idle_connections(client, server, 5)
            for sock in list(server._sockets):
                sock.sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            server.script(raw(stall))

            async def asked(_):
                await asyncio.to_thread(server.until_requests, 6)

            call = client.chat_completion(ask())
            await cancelled(call, when=asked, twice=True)
            await asyncio.to_thread(server.until_left)

    asyncio.run(main(), debug=True)


def test_second_task_is_refused_and_harms_no_stream(server):
    """
    A task that reads a stream for which another one waits is told, and the other gets all that comes.
    """
    go_on = threading.Event()
    server.script(stream(event("a"), wait_for(go_on), *events("b", "c")))

    async def main():
        async with AiClient("openai", api_key=KEY, base_url=server.url) as client:
            opened = await client.chat_completion_stream(ask())
            await anext(opened)
            first = asyncio.create_task(opened.until_done())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="Another task"):
                await asyncio.wait_for(anext(opened), PATIENCE)
            go_on.set()
            return (await asyncio.wait_for(first, PATIENCE)).text

    assert "abc" == asyncio.run(main())
    server.until_left()


def test_cancelled_as_it_has_shaken_hands(certificates):
    """
    A connection whose call is cancelled in the moment that its handshake ends is closed at once, although the other
    side says nothing.
    """
    ca, leaf, key = certificates
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(leaf, key)

    def fall_silent(exchange):
        exchange.begin_tls(theirs)
        exchange.sock = socket.socket(fileno=exchange.sock.detach())
        exchange.wait_for_peer()

    async def main(port):
        class Cancelling(ssl.SSLObject):
            def cipher(self):  # asked for as the handshake ends
                task.cancel()
                return super().cipher()

        ours = ssl.create_default_context(cafile=ca)
        ours.sslobject_class = Cancelling
        task = asyncio.create_task(connect("127.0.0.1", port, ours))
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(silent.until_left)

    with FaultServer(greet=fall_silent) as silent:
        asyncio.run(main(silent.port))

        assert 1 == silent.accepted
