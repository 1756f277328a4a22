"""
Connections of asyncio's event loop: waits have no timers of their own here, since the calls that wait have.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import Any

from ai_lib._core.wire import TOGETHER
from ai_lib._host.errand import Errand
from ai_lib_async._wait import soon

#: Bytes that wait to be read before the socket is not read any more.
_HIGH = 256 * 1024
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

    # Asked by an exchange

    async def read(self) -> bytes:
        """
        Wait for bytes, and give all that have come; ``b""`` at their end.

        Raises:
            OSError: The connection broke.
        """
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

    async def send(self, head: bytes, body: bytes | None) -> None:
        """
        Send a request. That nobody takes it is found when reading: who refuses a large one early has answered.
        """
        if self._transport.is_closing():
            return
        if body is None or len(body) <= TOGETHER:
            self._transport.write(head + (body or b""))
        else:
            self._transport.write(head)
            self._transport.write(body)
        while self._full and not (self._ended or self._received):
            await self._change()

    @property
    def quiet(self) -> bool:
        """
        Whether it is open and nothing can be read: between two exchanges only an end can. And all was sent: who
        answers early may not have taken it.
        """
        transport = self._transport
        if self._ended or self._received or transport.is_closing():
            return False
        if transport.get_write_buffer_size():
            return False
        # While a program computes, nobody tells of what has come: a 408 to an idle connection, say. And over TLS a
        # transport does not count what is encrypted and waits for the system to take it.
        sock = transport.get_extra_info("socket")
        return sock is None or _at_rest(sock.fileno())

    async def close(self) -> None:
        """
        Close it at once. Allowed twice.
        """
        self.abort()
        await asyncio.sleep(0)  # the loop closes it in its next round

    def abort(self) -> None:
        """
        Have the loop close it, if it came about.
        """
        if self._transport is not None:
            self._transport.abort()


def _at_rest(number: int) -> bool:
    """
    Whether nothing can be read from a socket, and something could be written.
    """
    if not hasattr(select, "poll"):  # Windows
        readable, writable, _ = select.select([number], [number], [], 0)
        return bool(writable and not readable)
    poll = select.poll()
    poll.register(number, select.POLLIN | select.POLLOUT)
    return poll.poll(0) == [(number, select.POLLOUT)]


async def connect(host: str, port: int, tls: ssl.SSLContext | None) -> Socket:
    """
    Connect, to the first of a name's addresses that answers, and shake hands.

    Raises:
        OSError: There is none, or it is not whom it should be.
    """
    loop = asyncio.get_running_loop()
    found = await _addresses(loop, host, port)
    if len(found) == 1:
        sock = await _connected(loop, found[0])
    else:
        sock = await _first_connected(loop, found)
    secure: dict[str, Any] = {}
    if tls is not None:
        # The call's own deadline comes before that of the handshake.
        secure = {"ssl": tls, "server_hostname": host, "ssl_handshake_timeout": 3600}
    made = Socket(loop)
    try:
        await loop.create_connection(lambda: made, sock=sock, **secure)
    except BaseException:
        made.abort()  # as it has shaken hands, it would wait for the other side's end
        raise
    return made


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
