"""
What stays open below the async transport: connections, each of them for one exchange at a time.

A pool of httpx looks through all its connections for each request, which costs milliseconds with
hundreds in flight. A list of those that are free does not.
"""

from __future__ import annotations

import os
import ssl
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any, Protocol

import anyio
import attrs
import httpcore
import httpx

from ai_lib._core.http import HttpRequest
from ai_lib_async._wait import on_asyncio, running_loop

#: Seconds that an idle connection is kept.
_KEPT = 90.0


@attrs.define
class Answer:
    """
    An answer whose body is still to be read.

    Attributes:
        status: HTTP status.

        headers: Names and values as they came.

        body: The bytes as they came, still compressed.

        close: Ends it, also before its end.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


class Body(httpx.AsyncByteStream):
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


def _headers(request: HttpRequest, host: bytes) -> list[tuple[bytes, bytes]]:
    """
    Write the headers of a request, the key's last.
    """
    # In bytes: httpx would write them in ASCII.
    headers = [
        (name.encode(), value.encode("latin-1"))
        for name, value in request.headers.items()
    ]
    if "host" not in request.headers:
        headers.insert(0, (b"host", host))
    if request.body is not None:
        headers.append((b"content-length", b"%d" % len(request.body)))
    if request.credential is not None:
        secret = request.credential.headers()
        headers += [(name.encode(), secret.pop(name).encode()) for name in list(secret)]
    return headers


@lru_cache(maxsize=64)
def _address(url: str) -> tuple[httpcore.URL, bytes]:
    """
    Read a URL: where it leads, and what the header ``host`` says of it.
    """
    read = httpx.URL(url)
    target = httpcore.URL(
        scheme=read.raw_scheme,
        host=read.raw_host,
        port=read.port,
        target=read.raw_path,
    )
    return target, read.netloc


# What carries an exchange


class Carrier(Protocol):
    """
    Sends requests.

    Attributes:
        tells: Whether it tells of a request's progress, by httpx's ``trace``.
    """

    tells: bool

    async def send(self, request: HttpRequest, extensions: dict[str, Any]) -> Answer:
        """
        Send a request, its key put on, and wait for the head of the answer.
        """

    def usable(self) -> bool:
        """
        Say whether another exchange may be tried.
        """

    async def close(self) -> None:
        """
        Close what is open.
        """


class Connection:
    """
    One connection of httpcore's.
    """

    tells = True

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self._connection = httpcore.AsyncHTTPConnection(
            _address(url)[0].origin,
            ssl_context=tls,
            keepalive_expiry=_KEPT,
            network_backend=_sockets(),
        )

    async def send(self, request: HttpRequest, extensions: dict[str, Any]) -> Answer:
        url, host = _address(request.url)
        response = await self._connection.handle_async_request(
            httpcore.Request(
                request.method,
                url,
                headers=_headers(request, host),
                content=Body(request.body or b""),
                extensions=extensions,
            )
        )
        stream: Any = response.stream
        return Answer(response.status, response.headers, aiter(stream), stream.aclose)

    def usable(self) -> bool:
        return self._connection.is_available() and not self._connection.has_expired()

    async def close(self) -> None:
        await self._connection.aclose()


def _sockets() -> Any:
    """
    Give what opens sockets, if it is ours; ``None``: httpcore's own, for other event loops.
    """
    loop = running_loop()
    if not on_asyncio(loop):
        return None
    import asyncio

    if not isinstance(loop, asyncio.BaseEventLoop):
        return None
    from ai_lib_async._sockets import Sockets

    return Sockets()


class Transport:
    """
    A transport of httpx's interface.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, *, tells: bool) -> None:
        self._transport = transport
        self.tells = tells

    async def send(self, request: HttpRequest, extensions: dict[str, Any]) -> Answer:
        prepared = httpx.Request(
            request.method,
            request.url,
            headers=_headers(request, _address(request.url)[1]),
            content=request.body,
            extensions=extensions,
        )
        prepared.stream = Body(request.body or b"")
        return _answer(await self._transport.handle_async_request(prepared))

    def usable(self) -> bool:
        return True

    async def close(self) -> None:
        await self._transport.aclose()


class Client:
    """
    A client of the caller's: its proxies, certificates, transports and hooks count.
    """

    tells = False

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, request: HttpRequest, extensions: dict[str, Any]) -> Answer:
        prepared = self._client.build_request(
            request.method,
            request.url,
            headers=_headers(request, _address(request.url)[1]),
            content=request.body,
            extensions=extensions,
        )
        prepared.stream = Body(request.body or b"")
        return _answer(
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


def _answer(response: httpx.Response) -> Answer:
    stream: Any = response.stream
    return Answer(
        response.status_code, response.headers.raw, aiter(stream), response.aclose
    )


def _by_proxy(proxy: str, tls: ssl.SSLContext) -> Transport:
    limits = httpx.Limits(max_connections=1, keepalive_expiry=_KEPT)
    made = httpx.AsyncHTTPTransport(
        verify=tls, proxy=proxy, limits=limits, trust_env=False
    )
    return Transport(made, tells=True)


def _aiohttp(proxy: str | None, tls: ssl.SSLContext) -> Transport:
    import aiohttp
    import httpx_aiohttp

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=tls, limit=0, keepalive_timeout=_KEPT)
        jar = aiohttp.DummyCookieJar()
        return aiohttp.ClientSession(connector=connector, cookie_jar=jar)

    made: httpx.AsyncBaseTransport = httpx_aiohttp.AiohttpTransport(
        verify=tls, proxy=httpx.Proxy(proxy) if proxy else None, client=session
    )
    return Transport(made, tells=False)


def _has_aiohttp() -> bool:
    """
    Tell whether the extra ``aiohttp`` is installed and its loop runs.
    """
    return on_asyncio(running_loop()) and find_spec("httpx_aiohttp") is not None


# What is kept open


class Place:
    """
    An exchange's place, to be left once.

    Attributes:
        carrier: What sends its request.
    """

    __slots__ = ("_leave", "carrier")

    def __init__(
        self,
        carrier: Carrier,
        leave: Callable[[bool], Awaitable[None]] | None = None,
    ) -> None:
        self.carrier = carrier
        self._leave = leave

    async def leave(self, *, whole: bool) -> None:
        """
        Give it back; what carried a whole exchange may carry another.
        """
        leave, self._leave = self._leave, None
        if leave is not None:
            await leave(whole)


#: Proxy, scheme and host with port.
_Key = tuple[str | None, bytes, bytes]


class Pools:
    """
    What one client keeps open in one event loop. Used by that loop alone.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._shared: dict[str | None, Carrier] | None = {} if _has_aiohttp() else None
        self._free: dict[_Key, deque[tuple[float, Carrier]]] = {}
        self._made: set[Carrier] = set()
        self._closed = False
        # At its end, asyncio.run() or trio.run() closes the generators that were begun in it.
        self._until_end = self._close_at_end()
        with suppress(StopIteration):
            self._until_end.__anext__().send(None)

    def enter(self, url: str, proxy: str | None) -> Place:
        """
        Choose what carries an exchange: what was used last, since that is alive most likely.
        """
        if self._shared is not None:
            carrier = self._shared.get(proxy)
            if carrier is None:
                carrier = self._shared[proxy] = _aiohttp(proxy, self._tls)
                self._made.add(carrier)
            return Place(carrier, partial(self._leave_shared, carrier))
        address, host = _address(url)
        key = (proxy, address.scheme, host)
        free = self._free.get(key)
        if free is None:
            free = self._free[key] = deque()
        dead = []
        while free:
            _, carrier = free.pop()
            if carrier.usable():
                break
            dead.append(carrier)
        else:
            carrier = (
                _by_proxy(proxy, self._tls) if proxy else Connection(url, self._tls)
            )
            self._made.add(carrier)
        return Place(carrier, partial(self._leave, free, carrier, dead))

    async def _leave_shared(self, carrier: Carrier, whole: bool) -> None:  # noqa: ARG002
        if self._closed:  # it may have opened a connection since
            await self._close(carrier)

    async def _leave(
        self,
        free: deque[tuple[float, Carrier]],
        carrier: Carrier,
        dead: list[Carrier],
        whole: bool,
    ) -> None:
        now = time.monotonic()
        if whole and not self._closed and carrier.usable():
            free.append((now, carrier))
        else:
            dead.append(carrier)
        while free and free[0][0] < now - _KEPT:
            dead.append(free.popleft()[1])
        for one in dead:
            await self._close(one)

    async def _close(self, carrier: Carrier) -> None:
        self._made.discard(carrier)
        with anyio.CancelScope(shield=True), suppress(Exception):
            await carrier.close()

    async def close(self) -> None:
        """
        Close every connection.
        """
        await self._until_end.aclose()

    async def _close_at_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._closed = True
            for carrier in list(self._made):
                await self._close(carrier)


class Loops:
    """
    Pools by event loop: a connection belongs to the loop that opened it, and to its process.
    """

    def __init__(self, make: Callable[[], Pools]) -> None:
        self._make = make
        self._process = os.getpid()
        self._pools: weakref.WeakKeyDictionary[Any, Pools]
        self._pools = weakref.WeakKeyDictionary()

    def here(self) -> Pools:
        """
        Give the running loop's pools.
        """
        if self._process != os.getpid():  # the parent still uses its sockets
            self._process, self._pools = os.getpid(), weakref.WeakKeyDictionary()
        loop = running_loop()
        pools = self._pools.get(loop)
        if pools is None:
            for other in [one for one in self._pools if _ended(one)]:
                del self._pools[other]
            pools = self._pools[loop] = self._make()
        return pools

    async def close(self) -> None:
        """
        Close the running loop's pools; those of other loops are closed as these end.
        """
        pools = self._pools.pop(running_loop(), None)
        if pools is not None and self._process == os.getpid():
            await pools.close()


def _ended(loop: Any) -> bool:
    return on_asyncio(loop) and loop.is_closed()
