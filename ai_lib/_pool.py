"""
What stays open below the blocking transport: connections that know the call they work for.

A socket of ours asks, before every wait, how long the call of its thread may still wait, and
leaves word how to wake it. So deadlines hold however slowly bytes drip, and ``cancel`` reaches a call in
every phase. Only a shutdown of the live socket wakes a thread that is blocked in it: closing it would
block both, and before the headers nothing but the socket is there.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.retry import Retry

from ai_lib._wait import aside

if TYPE_CHECKING:
    from ai_lib._core.call import Call

#: Connections kept open to one host; what goes beyond is closed after use.
_KEPT = 128
#: Bytes asked of a connection at once.
_BLOCK = 65536
#: The size of a chunk, as the standard writes it.
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{1,16}")
#: Hosts that connections are kept open to.
_HOSTS = 32


class _Working(threading.local):
    """
    What a thread works on.

    Attributes:
        call: The call.

        connected: Whether it opened a connection for it.
    """

    call: Call | None = None
    connected: bool = False


working = _Working()


class _Waits(socket.socket):
    """
    Waits for the call of the current thread, and no longer than it may.
    """

    def _begin(self) -> Call | None:
        call = working.call
        if call is not None:
            left = call.deadlines.remaining()
            if left is not None and left <= 0:
                raise TimeoutError("timed out")
            call.begin_wait(self._wake)
            self.settimeout(left)
        return call

    def _end(self, call: Call | None) -> None:
        if call is not None:
            call.end_wait()
            call.check()  # what a socket gives after its shutdown is no answer

    def _wake(self) -> None:
        with suppress(OSError):  # not connected any more
            # The plain one's also below TLS: SSLSocket's would drop the TLS layer, and
            # the reader would be given what the kernel holds, still encrypted.
            socket.socket.shutdown(self, socket.SHUT_RDWR)

    def recv_into(self, *args: Any) -> int:
        call = self._begin()
        try:
            return super().recv_into(*args)
        finally:
            self._end(call)

    def recv(self, *args: Any) -> bytes:
        call = self._begin()  # TLS within the TLS of a proxy is read by this one
        try:
            return super().recv(*args)
        finally:
            self._end(call)


class _Socket(_Waits):
    def connect(self, address: Any) -> None:
        call = self._begin()
        try:
            super().connect(address)
        finally:
            self._end(call)

    def sendall(self, *args: Any) -> None:
        call = self._begin()
        try:
            super().sendall(*args)
        finally:
            self._end(call)


class _TlsSocket(_Waits, ssl.SSLSocket):
    def do_handshake(self, *args: Any) -> None:
        try:
            call = self._begin()
            try:
                super().do_handshake(*args)
            finally:
                self._end(call)
        except BaseException:
            self.close()  # ssl does so only after an OSError
            raise

    def send(self, *args: Any) -> int:
        call = self._begin()
        try:
            return super().send(*args)
        finally:
            self._end(call)


class _Head:
    """
    The lines of an answer's head. It must have an end: the standard library takes one that is cut
    off for a whole one.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def readline(self, limit: int) -> bytes:
        line: bytes = self._file.readline(limit)
        if not line:
            raise http.client.RemoteDisconnected("the answer ended in its head")
        return line

    def close(self) -> None:
        self._file.close()


class _Response(http.client.HTTPResponse):
    """
    Differs from the standard library's in two things. It passes over every interim answer, where that
    takes 103 Early Hints for the answer. And ``read1`` of a chunked body gives all that has come at
    once, where that gives a chunk at a time, which costs a stream half of its time.
    """

    _rest = b""  # read from the connection, and not understood yet
    _left = 0  # bytes to come of the chunk under way
    _expects: Callable[[bytes], None]

    def begin(self) -> None:
        file = self.fp
        self.fp = _Head(file)  # type: ignore[assignment]  # all that begin() needs
        try:
            super().begin()
            while 100 <= self.status < 200 and self.status != 101:
                self.headers = self.msg = None  # type: ignore[assignment]  # begin anew
                super().begin()
        finally:
            if self.fp is not None:  # what cannot be read closes it
                self.fp = file
        self._expects = self._size

    def read1(self, n: int = -1) -> bytes:
        if not self.chunked or self.fp is None:
            return super().read1(n)
        while True:
            block = self.fp.read1(_BLOCK)
            if not block:
                raise http.client.IncompleteRead(self._rest)
            data = self._unchunked(self._rest + block)
            if data or self.fp is None:
                return data

    def _unchunked(self, block: bytes) -> bytes:
        """
        Take the data out of *block*, and keep what is not whole.
        """
        pieces = []
        at = 0
        while self.fp is not None:
            if self._left:
                pieces.append(block[at : at + self._left])
                at += len(pieces[-1])
                self._left -= len(pieces[-1])
            if self._left:
                break
            end = block.find(b"\n", at)
            if end < 0:
                break
            line, at = block[at:end].rstrip(b"\r"), end + 1
            self._expects(line)
        self._rest = block[at:]
        if len(self._rest) > _BLOCK:
            raise http.client.LineTooLong("chunk size")
        return b"".join(pieces)

    def _size(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip()
        if not _HEXADECIMAL.fullmatch(digits):
            raise http.client.HTTPException(f"no size of a chunk: {line[:20]!r}")
        self._left = int(digits, 16)
        self._expects = self._end_of_chunk if self._left else self._trailer

    def _end_of_chunk(self, line: bytes) -> None:
        if line:
            raise http.client.HTTPException("a chunk is longer than its size")
        self._expects = self._size

    def _trailer(self, line: bytes) -> None:
        if not line:
            fp, self.fp = self.fp, None  # type: ignore[assignment]  # the end
            fp.close()


class _Connects(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        working.connected = True
        refused: OSError | None = None
        for family, kind, protocol, _, address in _addresses(self.host, self.port):
            sock = _Socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.connect(address)
            except OSError as error:
                sock.close()
                refused = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise refused or OSError("the name has no address")

    def request(self, *args: Any, **keywords: Any) -> None:
        if self.sock is None:
            self.connect()
        if working.call is not None:
            working.call.deadlines.connected()
        super().request(*args, **keywords)


def _addresses(host: str, port: int) -> list[Any]:
    """
    Look a name up in a thread of its own, since nothing else bounds or wakes a lookup.
    """
    call = working.call
    with suppress(socket.gaierror):
        numeric = socket.AI_NUMERICHOST
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)
    if call is None:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return aside(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), call)


class _Connection(_Connects):
    pass


class _TlsConnection(_Connects, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Adapter(HTTPAdapter):
    """
    requests' adapter over our connections. ``send`` is left alone, so what intercepts it (the library
    ``responses``, tracing) works here too.

    Attributes:
        tls: Verifies certificates; set up once, shared by all connections.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        tls.sslsocket_class = _TlsSocket
        self.tls = tls
        super().__init__(
            pool_connections=_HOSTS,
            pool_maxsize=_KEPT,
            max_retries=Retry(0, read=False),
        )

    def init_poolmanager(self, *args: Any, **keywords: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self.tls, **keywords)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(
            proxy, ssl_context=self.tls, proxy_ssl_context=self.tls, **keywords
        )
        if new and not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, *args: Any) -> None:
        """
        Leave certificates to the context; requests' own would load them anew each time.
        """


_POOLS: Mapping[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TlsPool}
