"""
Sockets of asyncio's event loop as httpcore asks for them, without what it does not need: a wait for
each read and write has no timer of its own here, since the calls that wait have.
"""

# What httpcore passes by name is what it is, used or not.
# ruff: noqa: ARG002, ASYNC109

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from ai_lib._host.errand import Errand
from ai_lib_async._wait import soon

#: Bytes that wait to be read before the socket is not read any more.
_HIGH = 256 * 1024
#: Bytes that are written at once with what comes behind them, such as a body behind its head.
_TOGETHER = 64 * 1024
#: Seconds that the next address of a name waits for the one before.
_STAGGER = 0.25


class Socket(asyncio.Protocol):
    """
    A connection. One task at a time uses it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: Any = None
        self._received: list[bytes] = []
        self._size = 0
        self._paused = False  # reading
        self._full = False  # the buffer of what is sent
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._unsent = b""

    # Told by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._size += len(data)
        if self._size > _HIGH and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._error = True, exc
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _change(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # Asked by httpcore

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """
        Wait for bytes, and give all that have come; ``b""`` at their end.
        """
        if self._unsent:
            await self._flush()
        while not self._received:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            await self._change()
        received, self._received, self._size = self._received, [], 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return received[0] if len(received) == 1 else b"".join(received)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """
        Send bytes, with the next ones if they are few. That nobody takes them is found when reading: what
        the other side said before it hung up is worth more.
        """
        self._unsent += buffer
        if len(self._unsent) > _TOGETHER:
            await self._flush()

    async def _flush(self) -> None:
        unsent, self._unsent = self._unsent, b""
        if self._transport.is_closing():
            return
        self._transport.write(unsent)
        while self._full and not self._ended:
            await self._change()

    async def aclose(self) -> None:
        """
        Close it at once. Allowed twice.
        """
        self._transport.abort()
        await asyncio.sleep(0)  # the loop closes it in its next round

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Socket:
        """
        Speak TLS from here on.
        """
        if self._unsent:
            await self._flush()
        inner = Socket(self._loop)
        try:
            transport = await self._loop.start_tls(
                self._transport,
                inner,
                ssl_context,
                server_hostname=server_hostname,
                ssl_handshake_timeout=3600,  # the call's own deadline comes first
            )
        except BaseException:
            await self.aclose()
            raise
        assert transport is not None
        inner.connection_made(transport)
        return inner

    def get_extra_info(self, info: str) -> Any:
        """
        Say whether it is no longer of use, and what else httpcore asks for.
        """
        if info == "is_readable":  # between two exchanges only an end can be read
            return self._ended or bool(self._received) or self._transport.is_closing()
        if info == "ssl_object":
            return self._transport.get_extra_info("ssl_object")
        return None


class Sockets:
    """
    Opens connections; httpcore calls it a network backend.
    """

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Socket:
        """
        Connect, to the first of a name's addresses that answers.
        """
        loop = asyncio.get_running_loop()
        found = await _addresses(loop, host, port)
        if len(found) == 1:
            sock = await _connected(loop, found[0])
        else:
            sock = await _first_connected(loop, found)
        _, made = await loop.create_connection(lambda: Socket(loop), sock=sock)
        return made

    async def sleep(self, seconds: float) -> None:
        """
        Sleep.
        """
        await asyncio.sleep(seconds)


async def _addresses(
    loop: asyncio.AbstractEventLoop, host: str, port: int
) -> list[Any]:
    """
    Look a name up, not in a thread of the event loop's own: those keep the process from ending, and are few.
    """
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    with suppress(socket.gaierror):
        return look_up(flags=socket.AI_NUMERICHOST)
    done = asyncio.Event()
    errand = Errand(look_up, lambda: soon(loop, done.set))
    await done.wait()
    return errand.result()


async def _connected(loop: asyncio.AbstractEventLoop, found: Any) -> socket.socket:
    family, kind, protocol, _, address = found
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _first_connected(
    loop: asyncio.AbstractEventLoop, found: list[Any]
) -> socket.socket:
    """
    Connect to one address after another, each a little later or when the one before failed, and take the
    first connection that there is.

    Raises:
        OSError: There is none; of the address that was tried first.
    """
    tasks: list[asyncio.Task[socket.socket]] = []
    left = iter(found)
    winner: asyncio.Task[socket.socket] | None = None
    try:
        while winner is None:
            one = next(left, None)
            if one is not None:
                tasks.append(loop.create_task(_connected(loop, one)))
            running = [task for task in tasks if not task.done()]
            if running:
                await asyncio.wait(
                    running,
                    timeout=None if one is None else _STAGGER,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            elif one is None:
                raise tasks[0].exception() or OSError("the name has no address")
            winner = next(filter(_has_connected, tasks), None)
        return winner.result()
    finally:
        for task in tasks:
            if task is not winner and _has_connected(task):
                task.result().close()
            task.cancel()


def _has_connected(task: asyncio.Task[socket.socket]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
