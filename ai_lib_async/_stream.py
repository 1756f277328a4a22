"""
A running stream, async.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionChunk, ChatCompletionResponse
from ai_lib._core.errors import NetworkError
from ai_lib._core.outcome import Opened
from ai_lib._core.reading import StreamState
from ai_lib._host.errand import Errand

if TYPE_CHECKING:
    from ai_lib_async._transport import ByteStream

Opening = Callable[[], Awaitable[Opened]]


class ChatCompletionStream(StreamState):
    """
    The chunks of an answer as they come: an iterator, and a context manager that closes.

    It closes itself when it is exhausted, fails, is cancelled, left or collected. Iterate it in one
    task; a handle's ``cancel`` may come from any thread.
    """

    __module__ = "ai_lib_async"  # tracebacks show no underscore

    def __init__(
        self, opening: Opening, call: Call, *, provider: str, model: str
    ) -> None:
        super().__init__(call, provider=provider, model=model)
        self._opening = opening
        self._source: ByteStream | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        if self._busy:  # and would wait for ever: what comes wakes one
            raise RuntimeError("Another task waits for this stream's next chunk.")
        try:
            while (chunk := self._ready()) is None and not self._over():
                await self._more()
        except BaseException as error:
            self._fail(error)
            await self._release()
            raise
        if chunk is None:
            await self._complete()
            raise StopAsyncIteration
        return chunk

    async def _more(self) -> None:
        self._begin_wait()
        try:
            if self._decoder is None:
                await self._open()
            else:
                assert self._source is not None
                self._decoder.feed(await self._source.read(self._call))
        except NetworkError as error:
            if self._decoder is None:
                raise
            self._decoder.cut(error)
        finally:
            self._end_wait()

    async def _open(self) -> None:
        self._call.begin()
        self._opened(await self._opening())

    async def _complete(self) -> None:
        if self._outcome is None:
            self._outcome = "completed"
            source, self._source = self._source, None
            try:
                if source is not None:
                    await source.drain(self._call)
            finally:
                self._tell_end()

    async def _release(self) -> None:
        source, self._source = self._source, None
        try:
            if source is not None:
                await source.close()
        finally:
            self._tell_end()

    @staticmethod
    def _aside(function: Callable[[], None]) -> None:
        Errand(function, lambda: None)

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """
        The text alone, piece by piece, empty pieces left out.
        """
        return _Texts(self)

    async def until_done(self) -> ChatCompletionResponse:
        """
        Read to the end and give the whole answer.
        """
        async for _ in self:
            pass
        return self.response

    async def close(self) -> None:
        """
        Close the connection, whatever has come. Allowed twice, and after the end.
        """
        if self._begin_close():
            await self._release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        source = getattr(self, "_source", None)
        if source is not None:
            source.abandon()
        if getattr(self, "_end", None) is not None and self._begin_close():
            self._tell_end()


class _Texts:
    """
    Not a generator: trio warns of one that is left before its end.
    """

    def __init__(self, chunks: ChatCompletionStream) -> None:
        self._chunks = chunks

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not (text := (await anext(self._chunks)).text):
            pass
        return text
