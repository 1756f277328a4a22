"""
What stays open below the blocking transport: connections that know the call they work for.

A socket of ours asks, before every wait, how long the call of its thread may still wait, and
leaves word how to wake it. So deadlines hold however slowly bytes drip, and ``cancel`` reaches a call in
every phase. Only a shutdown of the live socket wakes a thread that is blocked in it: closing it would
block both, and before the headers nothing but the socket is there.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import requests.adapters
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ClosedPoolError
from urllib3.util.proxy import connection_requires_http_tunnel
from urllib3.util.retry import Retry

from ai_lib._core.http import SentHeaders
from ai_lib._core.wire import first_lines, head_of
from ai_lib._exchange import Answer, send
from ai_lib._wait import aside

if TYPE_CHECKING:
    from ai_lib._core.call import Call

#: Connections kept open to one host; what goes beyond is closed after use.
_KEPT = 128
#: Hosts that connections are kept open to.
_HOSTS = 32
#: URLs whose way is remembered.
_WAYS = 256


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


class _Connects(HTTPConnection):
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
    """
    Lends its connections to exchanges of ours.
    """

    ConnectionCls: Any = _Connection

    def lend(self) -> Any:
        """
        Give a connection: one that is open, if there is one and it was not closed at the other end.

        Raises:
            ClosedPoolError: The pool was closed: its host was not asked for long.
        """
        return self._get_conn()

    def open(self, connection: Any, *, tunnel: bool) -> None:
        """
        Open a connection that was not yet, or is closed.
        """
        if tunnel:
            self._prepare_proxy(connection)
        else:
            connection.connect()

    def give_back(self, connection: Any) -> None:
        """
        Take a connection back.
        """
        self._put_conn(connection)


class _TlsPool(HTTPSConnectionPool, _Pool):
    ConnectionCls = _TlsConnection


class _Loan:
    """
    A connection that a pool has lent. It is given back once, also where an interrupt comes between that and what
    follows: twice in its pool, it would be lent to two.
    """

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: _Pool, connection: Any) -> None:
        self._pool = pool
        self._connection = connection

    def __call__(self, usable: bool) -> None:  # called with one
        """
        Keep the connection for the next exchange, or close it.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not usable:
            connection.close()
        self._pool.give_back(connection)


class _Way(NamedTuple):
    """
    How a request gets to a URL.

    Attributes:
        pool: Of the connections that it may take.

        first_lines: What it begins with.

        tunnel: Whether a proxy has to be asked for a tunnel first.

        extra: Headers for a proxy.
    """

    pool: _Pool
    first_lines: str
    tunnel: bool
    extra: Mapping[str, str]


class Adapter(HTTPAdapter):
    """
    requests' adapter over our connections.

    An exchange goes straight to one of its pools, which halves what it costs.

    Attributes:
        tls: Verifies certificates; set up once, shared by all connections.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        tls.sslsocket_class = _TlsSocket
        self.tls = tls
        self._ways: dict[tuple[str, str, str | None], _Way] = {}
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
        if new:
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, *args: Any) -> None:
        """
        Leave certificates to the context; requests' own would load them anew each time.
        """

    @staticmethod
    def lends() -> bool:
        """
        Whether ``exchange`` may be used: not if somebody has put a function of their own in the place of
        ``HTTPAdapter.send`` (the library ``responses`` does, tracing may).
        """
        return HTTPAdapter.send.__code__.co_filename == requests.adapters.__file__

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        proxy: str | None,
    ) -> Answer:
        """
        Send a request over an open connection or a new one, and read the head of its answer.
        """
        way = self._ways.get((method, url, proxy)) or self._find(method, url, proxy)
        try:
            connection = way.pool.lend()
        except ClosedPoolError:
            self._ways.clear()
            way = self._find(method, url, proxy)
            connection = way.pool.lend()
        give_back = _Loan(way.pool, connection)
        try:
            if connection.sock is None:
                way.pool.open(connection, tunnel=way.tunnel)
            if working.call is not None:
                working.call.deadlines.connected()
            sock = connection.sock
            if way.extra:
                headers = SentHeaders({**headers, **way.extra})
            send(sock.sendall, head_of(way.first_lines, headers, body), body)
            return Answer(sock.recv, give_back)
        except BaseException:
            give_back(usable=False)
            raise

    def _find(self, method: str, url: str, proxy: str | None) -> _Way:
        request = requests.Request(method, url).prepare()
        proxies = {"http": proxy, "https": proxy} if proxy else None
        pool: Any = self.get_connection_with_tls_context(request, True, proxies)
        tunnel = connection_requires_http_tunnel(
            pool.proxy, pool.proxy_config, pool.scheme
        )
        parts = urlsplit(url)
        # Of what requests has made of the URL, a name beyond ASCII is as it is looked up.
        host = urlsplit(str(request.url)).netloc.rpartition("@")[2]
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        absolute = pool.proxy is not None and not tunnel
        if absolute:
            target = f"{parts.scheme}://{host}{target}"
        way = _Way(
            pool=pool,
            first_lines=first_lines(method, target, host),
            tunnel=pool.proxy is not None and tunnel,
            extra=dict(pool.proxy_headers) if absolute else {},
        )
        if len(self._ways) >= _WAYS:
            self._ways.clear()
        self._ways[method, url, proxy] = way
        return way


_POOLS: Mapping[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TlsPool}
