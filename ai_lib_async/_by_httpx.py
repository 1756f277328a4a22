"""
Exchanges by httpx: through proxies, on other event loops than asyncio's, and by a caller's own client.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import httpx

from ai_lib._core.http import HttpRequest
from ai_lib_async._carrier import Progress

#: Pieces of a body that may have come when it is closed: of 64 KiB, in chunks of a byte.
_LEFT = 12_000


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


def _headers(request: HttpRequest) -> list[tuple[bytes, bytes]]:
    """
    Write the headers of a request, the key's last.
    """
    # In bytes: httpx would write them in ASCII.
    headers = [
        (name.encode(), value.encode("latin-1"))
        for name, value in request.headers.items()
    ]
    if request.body is not None:
        headers.append((b"content-length", b"%d" % len(request.body)))
    if request.credential is not None:
        secret = request.credential.headers()
        headers += [(name.encode(), secret.pop(name).encode()) for name in list(secret)]
    return headers


class Transport:
    """
    A transport of httpx's, for one exchange after another.
    """

    tells = True

    def __init__(self, tls: ssl.SSLContext, proxy: str | None, kept: float) -> None:
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls,
            proxy=proxy,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=kept),
            trust_env=False,
        )

    async def send(self, request: HttpRequest, progress: Progress) -> Answer:
        trace = _Trace(progress)
        prepared = httpx.Request(
            request.method,
            request.url,
            headers=_headers(request),
            content=request.body,
            extensions={"timeout": {}, "trace": trace.hear},
        )
        prepared.stream = _Body(request.body or b"")
        try:
            return Answer(await self._transport.handle_async_request(prepared))
        finally:
            await trace.give_up()

    def usable(self) -> bool:
        return True

    async def close(self) -> None:
        await self._transport.aclose()


class _Trace:
    """
    Hears what httpx tells of a request under way.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._half_open: Any = None

    async def hear(self, event: str, info: dict[str, Any]) -> None:
        if event.startswith("connection.connect"):
            self._progress.connecting()
            self._half_open = info.get("return_value")
        elif event.endswith("start_tls.complete"):
            self._half_open = None
        elif (
            event.endswith("send_request_headers.started")
            and info["request"].method != b"CONNECT"  # which opens a proxy's tunnel
        ):
            self._half_open = None
            self._progress.connected()

    async def give_up(self) -> None:
        """
        Close a connection that never came about: httpx leaves the socket of a TLS handshake that is
        cancelled to the garbage collector.
        """
        stream, self._half_open = self._half_open, None
        if stream is not None:
            with anyio.CancelScope(shield=True), suppress(Exception):
                await stream.aclose()


class Client:
    """
    A client of the caller's: its proxies, certificates, transports and hooks count.
    """

    tells = False

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, request: HttpRequest, progress: Progress) -> Answer:
        connect = progress.hand_over()
        prepared = self._client.build_request(
            request.method,
            request.url,
            headers=_headers(request),
            content=request.body,
            extensions={"timeout": {"connect": connect, "pool": connect}},
        )
        prepared.stream = _Body(request.body or b"")
        return Answer(
            await self._client.send(
                prepared,
                stream=True,
                # In any case: without one httpx takes the client's or the URL's.
                auth=lambda one: one,
                follow_redirects=False,
            )
        )

    def usable(self) -> bool:
        return True

    async def close(self) -> None:
        """
        Leave it open: it is the caller's.
        """


class Answer:
    """
    An answer of httpx's.
    """

    __slots__ = ("_body", "_response", "_whole", "headers", "status")

    def __init__(self, response: httpx.Response) -> None:
        stream: Any = response.stream
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._body: AsyncIterator[bytes] = aiter(stream)
        self._whole = False

    async def next(self) -> bytes:
        async for data in self._body:
            if data:
                return data
        self._whole = True
        await self._response.aclose()
        return b""

    async def close(self) -> None:
        """
        Close it, whatever is cancelled around it, and end what iterates over its body.
        """
        with anyio.CancelScope(shield=True), suppress(Exception):
            await self._response.aclose()
        if self._whole:
            return
        # Generators within generators: closing the outermost would leave the others to the
        # garbage collector, and trio warns of each. An error in the innermost ends them all.
        with anyio.CancelScope(shield=True) as ended, suppress(Exception):
            ended.cancel()
            for _ in range(_LEFT):
                await anext(self._body)
