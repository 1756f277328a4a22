"""
Send and read over requests. Nothing here knows a provider, a retry or JSON.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import certifi
import requests
from requests.structures import CaseInsensitiveDict

from ai_lib._core.call import Call
from ai_lib._core.errors import AiLibError, ClientClosedError, ResponseTooLargeError
from ai_lib._core.failures import bare, failure_of
from ai_lib._core.flow import Send
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.network import NetworkSettings, tls_context
from ai_lib._host.errand import Errand
from ai_lib._pool import Adapter, working

#: Bytes asked for at once; a read gives what there is.
_BLOCK = 65536
#: Seconds to wait for the end of a body behind a stream's end mark.
_DRAIN = 0.05


class ByteStream:
    """
    An open body. One thread at a time reads it; none closes it while another reads.
    """

    def __init__(self, response: requests.Response, url: str, *, owned: bool) -> None:
        self._response = response
        self._url = url
        self._owned = owned
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
            return self._next() if self._owned else self._next_of_session(call)
        except AiLibError as error:  # its traceback leads through the library's frames
            failure = bare(error)
        except Exception as error:  # noqa: BLE001  # the border with the HTTP library
            failure = failure_of(error, call, url=self._url, stream=True)
        finally:
            working.call = None
        raise failure

    def _next(self) -> bytes:
        data: bytes = self._response.raw.read1(_BLOCK, decode_content=False)
        return data

    def _next_of_session(self, call: Call) -> bytes:
        """
        Read where the socket is not ours: a cancel shuts it by urllib3's own way.
        """
        call.begin_wait(self._wake)
        try:
            return self._next()
        finally:
            call.end_wait()
            call.check()

    def _wake(self) -> None:
        with suppress(ValueError, RuntimeError, OSError):  # nothing left to wake
            self._response.raw.shutdown()

    def drain(self, call: Call) -> None:
        """
        Read the rest away if it is there, so that the connection is used again; else close it.
        """
        call.deadlines.begin_drain(_DRAIN)
        try:
            if not self._owned:
                self._drain_of_session()
                return
            with suppress(AiLibError):
                while self.read(call):
                    pass
        finally:
            self.close()

    def _drain_of_session(self) -> None:
        """
        Read the rest away where nothing bounds the socket's wait: in a thread that is woken in time.
        """

        def rest() -> None:
            with suppress(Exception):
                while self._next():
                    pass

        done = threading.Event()
        Errand(rest, done.set)
        if not done.wait(_DRAIN):
            self._wake()
            done.wait()

    def close(self) -> None:
        """
        Give the connection back if its body is at its end, else close it. Allowed twice.
        """
        if not self._closed and self._process == os.getpid():
            self._closed = True
            with suppress(Exception):  # a connection that is gone is closed
                self._response.close()


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
        response: requests.Response | None = None
        working.call, working.connected = call, False
        try:
            response = self._answer(request, call)
            ok = response.status_code < 400
            headers = {k.lower(): v for k, v in response.headers.items()}
            answer = HttpResponse(status=response.status_code, headers=headers)
            if effect.stream and ok:
                stream = ByteStream(response, request.url, owned=self._session is None)
                response = None  # it is the stream's now
                return answer.with_stream(stream)
            limits = effect.limits
            body = _whole(response, limits.answer if ok else limits.error, cut=not ok)
            return answer.with_body(body)
        except AiLibError as error:  # its traceback leads through the library's frames
            failure = bare(error)
        except Exception as error:  # noqa: BLE001  # the border with the HTTP library
            heard = response is not None
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
            if response is not None:
                response.close()
        raise failure

    def _answer(self, request: HttpRequest, call: Call) -> requests.Response:
        if self._session is not None:
            return self._by_session(self._session, request, call)
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
        proxy = self._settings.proxy_for(request.url)
        proxies = {"http": proxy, "https": proxy} if proxy else None
        return self._opened().send(prepared, stream=True, verify=True, proxies=proxies)

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

    def _opened(self) -> Adapter:
        """
        Open what connections need, when first used and anew after a fork.
        """
        adapter = self._adapter
        if adapter is not None and self._process == os.getpid():
            return adapter
        # Takes a while the first time: not under the lock, which a fork would leave taken.
        tls = tls_context(self._settings, default=certifi.where)
        with self._lock:
            if self._users <= 0:
                raise ClientClosedError("The client was closed.")
            if self._adapter is None or self._process != os.getpid():
                # After a fork the parent's sockets are left alone: it still uses them.
                self._adapter, self._process = Adapter(tls), os.getpid()
            return self._adapter


def _whole(response: requests.Response, limit: int, *, cut: bool) -> bytes:
    """
    Read a body up to *limit* bytes; beyond, stop there with *cut*, else refuse.
    """
    pieces: list[bytes] = []
    size = 0
    while data := response.raw.read1(_BLOCK, decode_content=False):
        pieces.append(data)
        size += len(data)
        if size > limit:
            if not cut:
                raise ResponseTooLargeError(
                    f"The answer is larger than {limit} bytes, the bound in force.",
                    status_code=response.status_code,
                )
            break
    return b"".join(pieces)[:limit]
