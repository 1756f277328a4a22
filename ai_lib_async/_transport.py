"""
Send and read over httpx. Nothing here knows a provider, a retry or JSON.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ai_lib._core.call import Call
from ai_lib._core.errors import AiLibError, ClientClosedError
from ai_lib._core.failures import bare, failure_of
from ai_lib._core.flow import Send
from ai_lib._core.http import HttpResponse, too_large
from ai_lib._core.network import NetworkSettings, tls_context
from ai_lib_async._carrier import Answer, Carrier
from ai_lib_async._pool import Loops, Place, Pools
from ai_lib_async._wait import Wait, running_loop, spawn, waiting

if TYPE_CHECKING:
    import httpx

#: Seconds to wait for the end of a body behind a stream's end mark.
_DRAIN = 0.05


class ByteStream:
    """
    An open body. One task at a time reads it.
    """

    def __init__(self, answer: Answer, url: str, place: Place, wait: Wait) -> None:
        self._answer = answer
        self._url = url
        self._place = place
        self._wait = wait
        self._next = answer.next
        self._process = os.getpid()
        self._loop = running_loop()
        self._whole = self._closed = False

    async def read(self, call: Call) -> bytes:
        """
        Wait for the next bytes; ``b""`` at their end.
        """
        if self._process != os.getpid():
            raise ClientClosedError("This stream was opened by another process.")
        try:
            data = await self._wait.on(self._next)
            self._whole = not data
            return data
        except AiLibError as error:  # its traceback leads through the library's frames
            failure = bare(error)
        except Exception as error:  # noqa: BLE001  # the border with the HTTP library
            failure = failure_of(error, call, url=self._url, stream=True)
        raise failure

    async def drain(self, call: Call) -> None:
        """
        Read the rest away if it is there, so that the connection is used again; else close it.
        """
        call.deadlines.begin_drain(_DRAIN)
        try:
            with suppress(AiLibError):
                while await self.read(call):
                    pass
        finally:
            await self.close()

    async def close(self) -> None:
        """
        Give the connection back if its body is at its end, else close it. Allowed twice.
        """
        if not self._closed and self._process == os.getpid():
            self._closed = True
            self._wait.close()
            try:
                await self._answer.close()
            finally:
                await self._place.leave(whole=self._whole)

    def abandon(self) -> None:
        """
        Close from where nothing can be awaited: hand it to the loop, if that still runs.
        """
        if not self._closed and self._process == os.getpid():
            spawn(self._loop, self.close)


class HttpxTransport:
    """
    Sends requests for any number of clients, tasks and event loops.

    Args:
        settings: Proxies and certificates.

        http_client: An ``httpx.AsyncClient`` of the caller's, used as it is: its proxies, certificates, transports
            and hooks count; redirects and cookies are not wanted.
    """

    def __init__(
        self, settings: NetworkSettings, http_client: httpx.AsyncClient | None = None
    ) -> None:
        self._settings = settings
        self._client: Carrier | None = None
        if http_client is not None:
            from ai_lib_async._by_httpx import Client

            self._client = Client(http_client)
        self._loops = Loops(self._open)
        self._users = 1
        self._trusting = False

    def _open(self) -> Pools:
        if self._users <= 0:
            raise ClientClosedError("The client was closed.")
        return Pools(tls_context(self._settings, default=_bundle, trusting=False))

    def _trust(self) -> bool:
        """
        Load the certificates, before the first connection that needs them.
        """
        tls_context(self._settings, default=_bundle)
        return True

    def share(self) -> HttpxTransport:
        """
        Count one more user; each of them closes once.
        """
        self._users += 1
        return self

    async def close(self) -> None:
        """
        Close what is open in this loop, once the last user has.
        """
        self._users -= 1
        if self._users <= 0:
            await self._loops.close()

    async def send(self, effect: Send, call: Call) -> HttpResponse:
        """
        Send a request and wait for the answer, or for the headers of a stream.
        """
        request = effect.request
        answer: Answer | None = None
        place = wait = None
        whole = reused = False
        progress = _Progress(call)
        try:
            if self._client is not None:
                place = Place(self._client)
            else:
                pools = self._loops.here()
                proxy = self._settings.proxy_for(request.url)
                if not self._trusting and (
                    proxy or not request.url.startswith("http:")
                ):
                    self._trusting = self._trust()
                place = pools.enter(request.url, proxy)
            wait = progress.wait
            progress.told = place.carrier.tells
            answer = await wait.on(place.carrier.send, request, progress)
            ok = answer.status < 400
            if effect.stream and ok:
                stream = ByteStream(answer, request.url, place, wait)
                opened = HttpResponse(
                    status=answer.status,
                    headers=answer.headers,
                    stream=stream,
                    url=request.url,
                )
                answer = place = wait = None  # they are the stream's now
                return opened
            limits = effect.limits
            limit = limits.answer if ok else limits.error
            body, whole = await wait.on(_read, answer, limit)
            return HttpResponse(
                status=answer.status,
                headers=answer.headers,
                body=body,
                url=request.url,
            )
        except AiLibError as error:  # its traceback leads through the library's frames
            failure = bare(error)
        except Exception as error:  # noqa: BLE001  # the border with the HTTP library
            heard, reused = answer is not None, progress.reused
            failure = failure_of(
                error,
                call,
                url=request.url,
                heard=heard,
                reused=reused,
                proxy=None if self._client else self._settings.proxy_for(request.url),
            )
        finally:
            if wait is not None:
                wait.close()
            try:
                if answer is not None and not whole:
                    await answer.close()
            finally:
                if place is not None:
                    await place.leave(whole=whole)
        raise failure


class _Progress:
    """
    Follows a request under way, as far as what carries it tells: whether it had to connect, and when
    it had.
    """

    def __init__(self, call: Call) -> None:
        self.wait = waiting(call)
        self.told = False
        self._call = call
        self._connected = False

    @property
    def reused(self) -> bool:
        """
        Whether the connection was open before; not, if nobody tells.
        """
        return self.told and not self._connected

    def connecting(self) -> None:
        self._connected = True

    def connected(self) -> None:
        self._call.deadlines.connected()
        self.wait.extend()

    def hand_over(self) -> float | None:
        connect, _ = self._call.deadlines.hand_over()
        return connect


async def _read(answer: Answer, limit: int) -> tuple[bytes, bool]:
    """
    Read a body up to *limit* bytes; beyond, stop there if it is an error's, else refuse.

    Returns:
        The bytes, and whether they are all.
    """
    pieces: list[bytes] = []
    size = 0
    while data := await answer.next():
        pieces.append(data)
        size += len(data)
        if size > limit:
            break
    else:
        return b"".join(pieces), True
    if answer.status < 400:
        raise too_large(limit, status=answer.status)
    return b"".join(pieces)[:limit], False


def _bundle() -> str:
    """
    The path of the usual certificates, for settings that name none.
    """
    import certifi  # plain http needs none

    return certifi.where()
