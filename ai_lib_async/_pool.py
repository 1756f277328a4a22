"""
What stays open below the async transport: many small pools in place of one large one.

A pool of httpx looks through all its connections for each request, which costs milliseconds with
hundreds in flight. Pools of a few connections each, filled one after another, do not.
"""

from __future__ import annotations

import os
import ssl
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import anyio
import attrs
import httpx

from ai_lib_async._wait import on_asyncio, running_loop

#: Seconds that an idle connection is kept.
_KEPT = 90.0


@attrs.frozen
class Engine:
    """
    What moves the bytes.

    Attributes:
        make: Makes the transport of one pool from certificates and proxy.

        room: How many exchanges a pool should carry at once.

        tells: Whether it tells of a request's progress, by httpx's ``trace``.
    """

    make: Callable[[ssl.SSLContext, str | None], httpx.AsyncBaseTransport]
    room: float
    tells: bool


def _plain(tls: ssl.SSLContext, proxy: str | None) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(
        max_connections=None,
        max_keepalive_connections=_ROOM,
        keepalive_expiry=_KEPT,
    )
    return httpx.AsyncHTTPTransport(
        verify=tls, proxy=proxy, limits=limits, trust_env=False
    )


def _aiohttp(tls: ssl.SSLContext, proxy: str | None) -> httpx.AsyncBaseTransport:
    import aiohttp
    import httpx_aiohttp

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=tls, limit=0, keepalive_timeout=_KEPT)
        jar = aiohttp.DummyCookieJar()
        return aiohttp.ClientSession(connector=connector, cookie_jar=jar)

    made: httpx.AsyncBaseTransport = httpx_aiohttp.AiohttpTransport(
        verify=tls, proxy=httpx.Proxy(proxy) if proxy else None, client=session
    )
    return made


#: Of httpx's own pools, small ones: each request looks at all connections of its pool.
_ROOM = 16
_PLAIN = Engine(_plain, _ROOM, tells=True)
_FAST = Engine(_aiohttp, float("inf"), tells=False)


def engine() -> Engine:
    """
    Choose the engine: aiohttp's where the extra ``aiohttp`` is installed and its loop runs, else httpx's.
    """
    if on_asyncio(running_loop()) and find_spec("httpx_aiohttp") is not None:
        return _FAST
    return _PLAIN


class Pool:
    """
    One small pool and how many exchanges it carries.
    """

    __slots__ = ("_closed", "busy", "transport")

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport = transport
        self.busy = 0
        self._closed = False

    async def leave(self) -> None:
        """
        Count an exchange out.
        """
        self.busy -= 1
        if self._closed:  # it may have opened a connection since
            await self.close()

    async def close(self) -> None:
        """
        Close every connection.
        """
        self._closed = True
        with anyio.CancelScope(shield=True), suppress(Exception):
            await self.transport.aclose()


class Pools:
    """
    The pools of one client in one event loop, by proxy. Used by that loop alone.
    """

    def __init__(self, engine: Engine, tls: ssl.SSLContext) -> None:
        self.engine = engine
        self._tls = tls
        self._by_proxy: dict[str | None, list[Pool]] = {}
        # At its end, asyncio.run() or trio.run() closes the generators that were begun in it.
        self._until_end = self._close_at_end()
        with suppress(StopIteration):
            self._until_end.__anext__().send(None)

    def enter(self, proxy: str | None) -> Pool:
        """
        Choose the first pool with room, and count an exchange in; ``leave`` counts it out.
        """
        pools = self._by_proxy.setdefault(proxy, [])
        for pool in pools:
            if pool.busy < self.engine.room:
                break
        else:
            pool = Pool(self.engine.make(self._tls, proxy))
            pools.append(pool)
        pool.busy += 1
        return pool

    async def close(self) -> None:
        """
        Close every pool.
        """
        await self._until_end.aclose()

    async def _close_at_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self._close_all()

    async def _close_all(self) -> None:
        pools = [pool for pools in self._by_proxy.values() for pool in pools]
        self._by_proxy.clear()
        for pool in pools:
            await pool.close()


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
