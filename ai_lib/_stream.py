"""
A running stream, blocking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionChunk, ChatCompletionResponse
from ai_lib._core.errors import NetworkError
from ai_lib._core.outcome import Opened
from ai_lib._core.reading import StreamState

if TYPE_CHECKING:
    from ai_lib._transport import ByteStream

Opening = Callable[[], Opened]


class ChatCompletionStream(StreamState):
    """
    The chunks of an answer as they come: an iterator, and a context manager that closes.

    It closes itself when it is exhausted, fails, is cancelled, left or collected. Iterate it in one
    thread; ``close`` and a handle's ``cancel`` may come from any.
    """

    __module__ = "ai_lib"  # tracebacks show no underscore

    def __init__(
        self, opening: Opening, call: Call, *, provider: str, model: str
    ) -> None:
        super().__init__(call, provider=provider, model=model)
        self._opening = opening
        self._source: ByteStream | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ChatCompletionChunk:
        try:
            while (chunk := self._ready()) is None and not self._over():
                self._more()
        except BaseException as error:
            self._fail(error)
            self._release()
            raise
        if chunk is None:
            self._complete()
            raise StopIteration
        return chunk

    def _more(self) -> None:
        self._begin_wait()
        try:
            if self._decoder is None:
                self._open()
            else:
                assert self._source is not None
                self._decoder.feed(self._source.read(self._call))
        except NetworkError as error:
            if self._decoder is None:
                raise
            self._decoder.cut(error)
        finally:
            self._end_wait()

    def _open(self) -> None:
        self._call.begin()
        self._opened(self._opening())

    def _complete(self) -> None:
        if self._outcome is None:
            self._outcome = "completed"
            source, self._source = self._source, None
            try:
                if source is not None:
                    source.drain(self._call)
            finally:
                self._tell_end()

    def _release(self) -> None:
        source, self._source = self._source, None
        try:
            if source is not None:
                source.close()
        finally:
            self._tell_end()

    @property
    def text_stream(self) -> Iterator[str]:
        """
        The text alone, piece by piece, empty pieces left out.
        """
        return (chunk.text for chunk in self if chunk.text)

    def until_done(self) -> ChatCompletionResponse:
        """
        Read to the end and give the whole answer.
        """
        for _ in self:
            pass
        return self.response

    def close(self) -> None:
        """
        Close the connection, whatever has come. Allowed twice, and after the end.
        """
        if self._begin_close():
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_end", None) is not None:
            self.close()
