"""
An exchange over a connection of asyncio's.
"""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

from ai_lib._core.http import HttpRequest, headers_of
from ai_lib._core.wire import AnswerReader, first_lines, head_of
from ai_lib_async._carrier import Progress
from ai_lib_async._sockets import Socket, connect


class Connection:
    """
    One connection, for one exchange after another.
    """

    tells = True

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._tls = tls if secure else None
        self._socket: Socket | None = None
        self._last: AnswerReader | None = None

    async def send(self, request: HttpRequest, progress: Progress) -> Answer:
        if self._socket is None:
            progress.connecting()
            self._socket = await connect(self._host, self._port, self._tls)
        progress.connected()
        lines = _first_lines(request.method, request.url)
        head = head_of(lines, headers_of(request), request.body)
        await self._socket.send(head, request.body)
        self._last = reader = AnswerReader()
        while not reader.begin(await self._socket.read()):
            pass
        return Answer(reader, self._socket)

    def usable(self) -> bool:
        socket, last = self._socket, self._last
        return bool(socket and last and last.reusable and socket.quiet)

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()


def _first_lines(method: str, url: str) -> str:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    host = parts.netloc.rpartition("@")[2]
    return first_lines(method, (parts.path or "/") + query, host)


class Answer:
    """
    Its answer; whoever leaves it before its end closes the connection.
    """

    __slots__ = ("_reader", "_socket", "headers", "status")

    def __init__(self, reader: AnswerReader, socket: Socket) -> None:
        self.status, self.headers = reader.status, reader.headers
        self._reader = reader
        self._socket = socket

    async def next(self) -> bytes:
        reader = self._reader
        data = reader.pending()
        while not data and not reader.over:
            data = reader.feed(await self._socket.read())
        return data

    async def close(self) -> None:
        pass
