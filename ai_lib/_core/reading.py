"""
What a running stream knows; the shells' streams add only the waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import attrs

from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionChunk, ChatCompletionResponse
from ai_lib._core.errors import (
    AiLibError,
    ClientClosedError,
    StreamCancelledError,
)
from ai_lib._core.outcome import Opened, StreamEnd

if TYPE_CHECKING:
    from ai_lib._core.stream import ChunkDecoder

Outcome = Literal["completed", "cancelled", "failed", "closed"]


class StreamState:
    """
    The part of a stream that does not wait.

    Args:
        call: The call that the stream belongs to.

        provider: For errors.

        model: For errors.
    """

    def __init__(self, call: Call, *, provider: str, model: str) -> None:
        self._call = call
        self._provider = provider
        self._model = model
        self._decoder: ChunkDecoder | None = None
        self._source: Any = None
        self._end: StreamEnd | None = None
        self._told = False
        self._outcome: Outcome | None = None
        self._error: AiLibError | None = None
        self._cause: BaseException | None = None
        self._busy = False
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        state = self._outcome or ("open" if self._decoder else "not opened")
        return f"<ChatCompletionStream {self._provider} {self._model!r} {state}>"

    def _repr_markdown_(self) -> str:
        from ai_lib._core.showing import show_stream

        opened = self._decoder is not None
        return show_stream(self.response, self._outcome, self._cause, opened=opened)

    @property
    def outcome(self) -> Outcome | None:
        """
        How the stream ended: ``"completed"``, ``"cancelled"``, ``"failed"``, or ``"closed"`` before its end;
        ``None``: it has not.
        """
        return self._outcome

    @property
    def response(self) -> ChatCompletionResponse:
        """
        The answer so far, in the type of a whole one; complete once the stream is exhausted.
        """
        if self._decoder is None:
            empty = ChatCompletionResponse(provider=self._provider, model=self._model)
            return attrs.evolve(empty, attempts=tuple(self._call.attempts))
        self._decoder.attempts = tuple(self._call.attempts)
        return self._decoder.response

    def _ready(self) -> ChatCompletionChunk | None:
        """
        Give the next chunk that has come; ``None``: there is none, so more bytes are needed, or it is over.
        """
        if self._outcome is not None and self._outcome != "completed":
            self._refuse()
        if self._call.cancelled and self._outcome is None:
            self._call.check()
        if self._decoder is None:
            return None
        chunk = self._decoder.next_chunk()
        if self._told and chunk is not None and self._end is not None:
            self._end.chunk(chunk)
        return chunk

    def _opened(self, opened: Opened) -> None:
        """
        Take what the opening gave.
        """
        self._source, self._decoder = opened.source, opened.decoder
        self._end, self._told = opened.end, opened.told

    def _tell_end(self) -> None:
        """
        Tell, once the connection is dealt with, how the stream ended.
        """
        end, self._end = self._end, None
        if end is not None:
            aside = self._aside if end.blocking else _at_once
            end(self._outcome or "closed", self._cause, self.response, aside)

    @staticmethod
    def _aside(function: Callable[[], None]) -> None:
        """
        Call a function that may wait; the shell says where that blocks nobody.
        """
        function()

    def _refuse(self) -> NoReturn:
        if self._error is not None:
            raise self._error
        raise ClientClosedError("The stream was closed before its end.")

    def _over(self) -> bool:
        return self._decoder is not None and self._decoder.ended

    def _begin_wait(self) -> None:
        """
        Note that more is about to be waited for: from here on *close* leaves the closing to who waits.
        """
        with self._lock:
            if self._outcome is not None:
                self._refuse()
            self._busy = True
        if self._decoder is not None:
            self._call.deadlines.resume(progressed=self._decoder.progressed)

    def _end_wait(self) -> None:
        self._call.deadlines.pause()
        self._busy = False

    def _begin_close(self) -> bool:
        """
        Note that the stream is closed; tell whether the caller is to close the connection.
        """
        with self._lock:
            if self._outcome is not None:
                return False
            self._outcome = "closed"
            if self._busy:
                self._call.cancel()  # who waits closes as it leaves
            return not self._busy

    def _fail(self, error: BaseException) -> None:
        """
        Note how it ended, and complete the error with what is known.
        """
        if self._outcome is not None:
            return
        cancelled = isinstance(error, StreamCancelledError)
        self._outcome = "cancelled" if cancelled else "failed"
        self._cause = error
        if isinstance(error, AiLibError):
            error.__cause__ = error.__context__ = None  # may hold what the server sent
            self._error = error
            self._call.stamp(error, provider=self._provider, model=self._model)
            if (self._decoder is not None or cancelled) and error.partial is None:
                error.partial = self.response


def _at_once(function: Callable[[], None]) -> None:
    function()
