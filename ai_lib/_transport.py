"""
Send and read over requests. Nothing here knows a provider, a retry or JSON.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Protocol

import requests
from requests.structures import CaseInsensitiveDict

from ai_lib._core.call import Call
from ai_lib._core.errors import AiLibError, ClientClosedError
from ai_lib._core.failures import bare, failure_of
from ai_lib._core.flow import Send
from ai_lib._core.http import HttpRequest, HttpResponse, headers_of, too_large
from ai_lib._core.network import NetworkSettings, tls_context
from ai_lib._core.wire import BLOCK
from ai_lib._host.errand import Errand
from ai_lib._pool import Adapter, working

#: Seconds to wait for the end of a body behind a stream's end mark.
_DRAIN = 0.05


class Answered(Protocol):
    """
    An answer whose head was read: an ``Answer``, or another library's behind ``_Foreign``.
    """

    status: int
    headers: dict[str, str]

    def read1(self) -> bytes:
        """
        Wait for the next bytes; none: it is over.
        """

    def close(self) -> None:
        """
        Give the connection back if the body is at its end, else close it. Allowed twice.
        """


class _Foreign:
    """
    An answer of requests, by a caller's session or by who stands in for its adapter.
    """

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = {k.lower(): v for k, v in response.headers.items()}

    def read1(self) -> bytes:
        data: bytes = self._response.raw.read1(BLOCK, decode_content=False)
        return data

    def close(self) -> None:
        self._response.close()

    def wake(self) -> None:
        """
        End a read in another thread.
        """
        with suppress(ValueError, RuntimeError, OSError):  # nothing left to wake
            self._response.raw.shutdown()


class ByteStream:
    """
    An open body. One thread at a time reads it; none closes it while another reads.
    """

    def __init__(self, answer: Answered, url: str) -> None:
        self._answer = answer
        self._url = url
        self._process = os.getpid()
        self._closed = False

    def read(self, call: Call) -> bytes:
        """
        Wait for the next bytes; ``b""`` at their end.
        """
        if self._process != os.getpid():
            raise ClientClosedError("This stream was opened by another process.")
        working.call = call
        try:
            if isinstance(self._answer, _Foreign):
                return self._read_foreign(self._answer, call)
            return self._answer.read1()
        except AiLibError as error:  # its traceback leads through the library's frames
            failure = bare(error)
        except Exception as error:  # noqa: BLE001  # the border with the HTTP library
            failure = failure_of(error, call, url=self._url, stream=True)
        finally:
            working.call = None
        raise failure

    @staticmethod
    def _read_foreign(answer: _Foreign, call: Call) -> bytes:
        """
        Read where the socket may not be ours: a cancel shuts it by urllib3's own way.
        """
        call.begin_wait(answer.wake)
        try:
            return answer.read1()
        finally:
            call.end_wait()
            call.check()

    def drain(self, call: Call) -> None:
        """
        Read the rest away if it is there, so that the connection is used again; else close it.
        """
        call.deadlines.begin_drain(_DRAIN)
        try:
            if isinstance(self._answer, _Foreign):
                self._drain_foreign(self._answer)
                return
            with suppress(AiLibError):
                while self.read(call):
                    pass
        finally:
            self.close()

    @staticmethod
    def _drain_foreign(answer: _Foreign) -> None:
        """
        Read the rest away where nothing bounds the socket's wait: in a thread that is woken in time.
        """

        def rest() -> None:
            with suppress(Exception):
                while answer.read1():
                    pass

        done = threading.Event()
        Errand(rest, done.set)
        if not done.wait(_DRAIN):
            answer.wake()
            done.wait()

    def close(self) -> None:
        """
        Give the connection back if its body is at its end, else close it. Allowed twice.
        """
        if not self._closed and self._process == os.getpid():
            self._closed = True
            with suppress(Exception):  # a connection that is gone is closed
                self._answer.close()


class RequestsTransport:
    """
    Sends requests for any number of clients and threads.

    Args:
        settings: Proxies and certificates.

        session: A session of the caller's, used as it is: its proxies, certificates, adapters
            and hooks count, and its sockets are its own affair.
    """

    def __init__(
        self, settings: NetworkSettings, session: requests.Session | None = None
    ) -> None:
        self._settings = settings
        self._session = session
        self._adapter: Adapter | None = None
        self._process = os.getpid()
        self._users = 1
        self._trusting = False
        self._lock = threading.Lock()

    def share(self) -> RequestsTransport:
        """
        Count one more user; each of them closes once.
        """
        with self._lock:
            self._users += 1
        return self

    def close(self) -> None:
        """
        Close what is open, once the last user has.
        """
        with self._lock:
            self._users -= 1
            adapter, self._adapter = self._adapter, None
            if self._users > 0:
                self._adapter = adapter
                return
        if adapter is not None and self._process == os.getpid():
            adapter.close()

    def send(self, effect: Send, call: Call) -> HttpResponse:
        """
        Send a request and wait for the answer, or for the headers of a stream.
        """
        request = effect.request
        answer: Answered | None = None
        working.call, working.connected = call, False
        try:
            answer = self._answer(request, call)
            ok = answer.status < 400
            if effect.stream and ok:
                stream = ByteStream(answer, request.url)
                opened = HttpResponse(
                    status=answer.status,
                    headers=answer.headers,
                    stream=stream,
                    url=request.url,
                )
                answer = None  # it is the stream's now
                return opened
            limits = effect.limits
            body = _whole(answer, limits.answer if ok else limits.error, cut=not ok)
            return HttpResponse(
                status=answer.status,
                headers=answer.headers,
                body=body,
                url=request.url,
            )
        except AiLibError as error:  # its traceback leads through the library's frames
            failure = bare(error)
        except Exception as error:  # noqa: BLE001  # the border with the HTTP library
            heard = answer is not None
            # Of a session's connections nobody tells whether they were open before.
            reused = self._session is None and not working.connected
            failure = failure_of(
                error,
                call,
                url=request.url,
                heard=heard,
                reused=reused,
                proxy=None if self._session else self._settings.proxy_for(request.url),
            )
        finally:
            working.call = None
            if answer is not None:
                answer.close()
        raise failure

    def _answer(self, request: HttpRequest, call: Call) -> Answered:
        if self._session is not None:
            return _Foreign(self._by_session(self._session, request, call))
        adapter = self._opened()
        proxy = self._settings.proxy_for(request.url)
        if not self._trusting and (proxy or not request.url.startswith("http:")):
            self._trusting = self._trust()
        if not adapter.lends():
            return _Foreign(_by_adapter(adapter, request, proxy))
        return adapter.exchange(
            request.method, request.url, headers_of(request), request.body, proxy
        )

    def _by_session(
        self, session: requests.Session, request: HttpRequest, call: Call
    ) -> requests.Response:
        def put_key_on(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
            # An auth object in any case: without one requests looks into .netrc.
            if request.credential is not None:
                prepared.headers.update(request.credential.headers())
            return prepared

        return session.request(
            request.method,
            request.url,
            data=request.body,
            headers=dict(request.headers),
            auth=put_key_on,
            stream=True,
            allow_redirects=False,
            timeout=call.deadlines.hand_over(),
        )

    def _trust(self) -> bool:
        """
        Load the certificates, before the first connection that needs them.
        """
        tls_context(self._settings, default=_bundle)
        return True

    def _opened(self) -> Adapter:
        """
        Open what connections need, when first used and anew after a fork.
        """
        adapter = self._adapter
        if adapter is not None and self._process == os.getpid():
            return adapter
        # Takes a while the first time: not under the lock, which a fork would leave taken.
        tls = tls_context(self._settings, default=_bundle, trusting=False)
        with self._lock:
            if self._users <= 0:
                raise ClientClosedError("The client was closed.")
            if self._adapter is None or self._process != os.getpid():
                # After a fork the parent's sockets are left alone: it still uses them.
                self._adapter, self._process = Adapter(tls), os.getpid()
            return self._adapter


def _by_adapter(
    adapter: Adapter, request: HttpRequest, proxy: str | None
) -> requests.Response:
    """
    Send through requests' own function, in whose place there is another one.
    """
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url
    prepared.headers = CaseInsensitiveDict(request.headers)
    prepared.body = request.body
    prepared.hooks = {}
    if request.body is not None:
        prepared.headers["content-length"] = str(len(request.body))
    if request.credential is not None:
        prepared.headers.update(request.credential.headers())
    proxies = {"http": proxy, "https": proxy} if proxy else None
    return adapter.send(prepared, stream=True, verify=True, proxies=proxies)


def _whole(answer: Answered, limit: int, *, cut: bool) -> bytes:
    """
    Read a body up to *limit* bytes; beyond, stop there with *cut*, else refuse.
    """
    body = bytearray()
    while data := answer.read1():
        body += data
        if len(body) > limit:
            if not cut:
                raise too_large(limit, status=answer.status)
            del body[limit:]
            break
    return bytes(body)


def _bundle() -> str:
    """
    The path of the usual certificates, for settings that name none.
    """
    import certifi  # plain http needs none

    return certifi.where()
