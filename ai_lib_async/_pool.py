"""
What stays open below the async transport: connections, each of them for one exchange at a time.

A list of those that are free costs the same with one in flight and with hundreds; a pool of httpx looks through all its
connections for each request, which costs milliseconds then.
"""

from __future__ import annotations

import os
import ssl
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

import anyio

from ai_lib_async._carrier import Carrier
from ai_lib_async._wait import on_asyncio, running_loop

#: Seconds that an idle connection is kept.
_KEPT = 90.0


@lru_cache(maxsize=64)
def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _carrier(url: str, proxy: str | None, tls: ssl.SSLContext) -> Carrier:
    """
    Make what carries exchanges with the origin of *url*, one at a time.
    """
    if proxy is None and _is_asyncios(running_loop()):
        from ai_lib_async._exchange import Connection

        return Connection(url, tls)
    from ai_lib_async._by_httpx import Transport

    return Transport(tls, proxy, _KEPT)


def _is_asyncios(loop: Any) -> bool:
    """
    Tell asyncio's own loops from those that only look like them.
    """
    if not on_asyncio(loop):
        return False
    import asyncio

    return isinstance(loop, asyncio.BaseEventLoop)


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
_Key = tuple[str | None, str, str]


class Pools:
    """
    What one client keeps open in one event loop. Used by that loop alone.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
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
        key = (proxy, *_origin(url))
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
            carrier = _carrier(url, proxy, self._tls)
            self._made.add(carrier)
        return Place(carrier, partial(self._leave, free, carrier, dead))

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
        await self._close_all(dead)

    async def _close_all(self, carriers: Iterable[Carrier]) -> None:
        """
        Close them, each, also if the task is cancelled meanwhile: a scope's shield does not keep ``task.cancel()`` off.
        """
        async with AsyncExitStack() as all_of_them:
            for one in carriers:
                all_of_them.push_async_callback(self._close, one)

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
            await self._close_all(self._made)


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
