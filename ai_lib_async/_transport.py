"""
Send and read over httpx. Nothing here knows a provider, a retry or JSON.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import certifi
import httpx

from ai_lib._core.call import Call
from ai_lib._core.errors import AiLibError, ClientClosedError, ResponseTooLargeError
from ai_lib._core.failures import bare, failure_of
from ai_lib._core.flow import Send
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.network import NetworkSettings, tls_context
from ai_lib_async._pool import (
    Loops,
    Pool,
    Pools,
    engine,
)
from ai_lib_async._wait import Wait, running_loop, spawn

#: Seconds to wait for the end of a body behind a stream's end mark.
_DRAIN = 0.05
#: Pieces of a body that may have come when it is closed: of 64 KiB, in chunks of a byte.
_LEFT = 12_000


class ByteStream:
    """
    An open body. One task at a time reads it.
    """

    def __init__(self, response: httpx.Response, url: str, place: _Place) -> None:
        self._response = response
        self._url = url
        self._place = place
        self._bytes = _raw(response)
        self._process = os.getpid()
        self._loop = running_loop()
        self._closed = False

    async def read(self, call: Call) -> bytes:
        """
        Wait for the next bytes; ``b""`` at their end.
        """
        if self._process != os.getpid():
            raise ClientClosedError("This stream was opened by another process.")
        try:
            return await Wait(call).on(anext, self._bytes)
        except StopAsyncIteration:
            return b""
        except AiLibError as error:  # its traceback leads through the library's frames
            failure = bare(error)
        except Exception as error:  # noqa: BLE001  # the border with the HTTP library
            failure = failure_of(error, call, url=self._url, stream=True)
        raise failure

    async def drain(self, call: Call) -> None:
        """
        Read the rest away if it is there, so that the connection is used again; else close it.
        """
        call.deadlines.begin_drain(_DRAIN)
        try:
            with suppress(AiLibError):
                while await self.read(call):
                    pass
        finally:
            await self.close()

    async def close(self) -> None:
        """
        Give the connection back if its body is at its end, else close it. Allowed twice.
        """
        if not self._closed and self._process == os.getpid():
            self._closed = True
            await _close(self._response, self._bytes)
            await self._place.leave()

    def abandon(self) -> None:
        """
        Close from where nothing can be awaited: hand it to the loop, if that still runs.
        """
        if not self._closed and self._process == os.getpid():
            spawn(self._loop, self.close)


class _Place:
    """
    An exchange's place in a pool, to be left once.
    """

    def __init__(self, pool: Pool | None) -> None:
        self._pool = pool

    async def leave(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.leave()


class HttpxTransport:
    """
    Sends requests for any number of clients, tasks and event loops.

    Args:
        settings: Proxies and certificates.

        http_client: An ``httpx.AsyncClient`` of the caller's, used as it is: its proxies, certificates, transports
            and hooks count; redirects and cookies are not wanted.
    """

    def __init__(
        self, settings: NetworkSettings, http_client: httpx.AsyncClient | None = None
    ) -> None:
        self._settings = settings
        self._client = http_client
        self._loops = Loops(self._open)
        self._users = 1
        self._trusting = False

    def _open(self) -> Pools:
        if self._users <= 0:
            raise ClientClosedError("The client was closed.")
        tls = tls_context(self._settings, default=certifi.where, trusting=False)
        return Pools(engine(), tls)

    def _trust(self) -> bool:
        """
        Load the certificates, before the first connection that needs them.
        """
        tls_context(self._settings, default=certifi.where)
        return True

    def share(self) -> HttpxTransport:
        """
        Count one more user; each of them closes once.
        """
        self._users += 1
        return self

    async def close(self) -> None:
        """
        Close what is open in this loop, once the last user has.
        """
        self._users -= 1
        if self._users <= 0:
            await self._loops.close()

    async def send(self, effect: Send, call: Call) -> HttpResponse:
        """
        Send a request and wait for the answer, or for the headers of a stream.
        """
        request = effect.request
        response: httpx.Response | None = None
        place = _Place(None)
        progress = _Progress(call)
        make: Callable[..., httpx.Request] = httpx.Request
        send: Callable[..., Awaitable[httpx.Response]]
        try:
            if self._client is not None:
                send, make = _sender(self._client), self._client.build_request
            else:
                pools = self._loops.here()
                proxy = self._settings.proxy_for(request.url)
                if not self._trusting and (
                    proxy or not request.url.startswith("http:")
                ):
                    self._trusting = self._trust()
                pool = pools.enter(proxy)
                place, progress.told = _Place(pool), pools.engine.tells
                send = pool.transport.handle_async_request
            prepared = _prepared(request, make, progress.extensions())
            response = await progress.wait.on(send, prepared)
            ok = response.status_code < 400
            headers = {k.lower(): v for k, v in response.headers.items()}
            answer = HttpResponse(status=response.status_code, headers=headers)
            if effect.stream and ok:
                stream = ByteStream(response, request.url, place)
                response, place = None, _Place(None)  # they are the stream's now
                return answer.with_stream(stream)
            limits = effect.limits
            limit = limits.answer if ok else limits.error
            return answer.with_body(await Wait(call).on(_whole, response, limit))
        except AiLibError as error:  # its traceback leads through the library's frames
            failure = bare(error)
        except Exception as error:  # noqa: BLE001  # the border with the HTTP library
            heard, reused = response is not None, progress.reused
            failure = failure_of(
                error,
                call,
                url=request.url,
                heard=heard,
                reused=reused,
                proxy=None if self._client else self._settings.proxy_for(request.url),
            )
        finally:
            if response is not None:
                await _close(response)
            await progress.give_up()
            await place.leave()
        raise failure


def _sender(client: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """
    Send by the caller's client, with an authentication in any case: without one httpx takes the
    client's or the URL's.
    """
    return partial(
        client.send, stream=True, auth=lambda request: request, follow_redirects=False
    )


class _Progress:
    """
    Follows a request under way, as far as what sends it tells: whether it had to connect, and when
    it had.
    """

    def __init__(self, call: Call) -> None:
        self.wait = Wait(call)
        self.told = False
        self._call = call
        self._connected = False
        self._half_open: Any = None

    @property
    def reused(self) -> bool:
        """
        Whether the connection was open before; not, if nobody tells.
        """
        return self.told and not self._connected

    def extensions(self) -> dict[str, Any]:
        """
        Say what httpx is asked for beside the request.
        """
        if self.told:
            return {"timeout": {}, "trace": self._hear}
        connect, _ = self._call.deadlines.hand_over()
        return {"timeout": {"connect": connect, "pool": connect}}

    async def _hear(self, event: str, info: dict[str, Any]) -> None:
        if event.startswith("connection.connect"):
            self._connected = True
            self._half_open = info.get("return_value")
        elif event.endswith("start_tls.complete"):
            self._half_open = None
        elif (
            event.endswith("send_request_headers.started")
            and info["request"].method != b"CONNECT"  # which opens a proxy's tunnel
        ):
            self._half_open = None
            self._call.deadlines.connected()
            self.wait.extend()

    async def give_up(self) -> None:
        """
        Close a connection that never came about: httpx leaves the socket of a TLS handshake that is
        cancelled to the garbage collector.
        """
        stream, self._half_open = self._half_open, None
        if stream is not None:
            with anyio.CancelScope(shield=True), suppress(Exception):
                await stream.aclose()


def _prepared(
    request: HttpRequest,
    make: Callable[..., httpx.Request],
    extensions: dict[str, Any],
) -> httpx.Request:
    # In bytes: httpx would write them in ASCII.
    headers = {name: value.encode("latin-1") for name, value in request.headers.items()}
    if request.credential is not None:
        secret = request.credential.headers()
        headers |= {name: secret.pop(name).encode() for name in tuple(secret)}
    prepared = make(
        request.method,
        request.url,
        headers=headers,
        content=request.body,
        extensions=extensions,
    )
    prepared.stream = _Body(request.body or b"")
    return prepared


class _Body(httpx.AsyncByteStream):
    """
    The bytes of a request. Not a generator as httpx's is: trio warns of one that is left half
    sent.
    """

    def __init__(self, data: bytes) -> None:
        self._left = [data]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


def _raw(response: httpx.Response) -> AsyncIterator[bytes]:
    """
    Iterate over the body as it came, still compressed.
    """
    stream: Any = response.stream
    return aiter(stream)


async def _whole(response: httpx.Response, limit: int) -> bytes:
    """
    Read a body up to *limit* bytes; beyond, stop there if it is an error's, else refuse.
    """
    pieces: list[bytes] = []
    size = 0
    body = _raw(response)
    async for data in body:
        pieces.append(data)
        size += len(data)
        if size > limit:
            await _close(response, body)
            break
    if size > limit and response.status_code < 400:
        raise ResponseTooLargeError(
            f"The answer is larger than {limit} bytes, the bound in force.",
            status_code=response.status_code,
        )
    return b"".join(pieces)[:limit]


async def _close(
    response: httpx.Response, body: AsyncIterator[bytes] | None = None
) -> None:
    """
    Close an answer, whatever is cancelled around it, and end what iterates over its body.
    """
    with anyio.CancelScope(shield=True), suppress(Exception):
        await response.aclose()
    if body is None:
        return
    # Generators within generators: closing the outermost would leave the others to the
    # garbage collector, and trio warns of each. An error in the innermost ends them all.
    with anyio.CancelScope(shield=True) as ended, suppress(Exception):
        ended.cancel()
        for _ in range(_LEFT):
            await anext(body)
