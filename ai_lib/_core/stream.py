"""
Bytes of a stream to chunks, and the whole answer that they add up to.

A ``ChunkDecoder`` does not wait and does not know where the bytes come from. What it gives never
depends on where they were cut: chunks in order, and behind them the error or the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._core.answer import AnswerSoFar, chunks_of, unified_finish
from ai_lib._core.chat import ChatCompletionChunk, ChatCompletionResponse
from ai_lib._core.errors import (
    AiLibError,
    IncompleteStreamError,
    InvalidResponseError,
)
from ai_lib._core.failures import ENDED_EARLY
from ai_lib._core.framing import Framer, make_framer
from ai_lib._core.http import DEFAULT_LIMITS, SizeLimits, too_large
from ai_lib._core.inflate import Inflater
from ai_lib._core.secrets import redact

if TYPE_CHECKING:
    from ai_lib._core.dialects import ChunkParser, Frame, Framing
    from ai_lib._core.ledger import Attempt

#: Bytes of an answer without a chunk that are kept for the error, and characters of it shown.
_HEAD = 4_000
_SHOWN = 2_000

#: What cannot begin a stream of this framing: a JSON body or a page in its place.
_WHOLE_STARTS: dict[Framing, bytes] = {
    "sse": b"{[<",
    "sse_or_json_array": b"{<",
    "json_lines": b"<",
    "aws_event_stream": b"{[<",
}
#: The first letters of comments, ``data``, ``event``, ``id`` and ``retry``.
_SSE_STARTS = b":deir"
_EVENT_STARTS = {"sse": _SSE_STARTS, "sse_or_json_array": _SSE_STARTS + b"["}
_JSON_TYPES = frozenset({"application/json", "application/problem+json", "text/json"})
_PADDING = b" \t\r\n\xef\xbb\xbf"
_PADDING_LIMIT = 64 * 1024


@attrs.define(eq=False, repr=False)
class _WholeBody:
    """
    Framer and parser of an answer that is no stream: a JSON body, or a page.

    Attributes:
        response: The answer, once the bytes have ended.
    """

    _decode: Callable[[bytes], ChatCompletionResponse]
    _limit: int
    framing: Framing = "sse"
    done: bool = False
    progressed: bool = False
    error: AiLibError | None = None
    response: ChatCompletionResponse | None = None
    _body: bytearray = attrs.field(factory=bytearray)

    def feed(self, data: Any) -> list[Any]:
        """
        Collect bytes; no frame comes of them.
        """
        self.progressed = b"\n" in data
        self._body += data
        if len(self._body) > self._limit:
            self._body.clear()
            self.error = too_large(self._limit)
        return []

    def close(self) -> list[Frame]:
        """
        Give no frame.
        """
        return []

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Read the body.
        """
        response = self._decode(bytes(self._body))
        choices = tuple(
            attrs.evolve(
                choice,
                finish_reason=unified_finish(
                    choice.finish_reason, calls=bool(choice.message.tool_calls)
                ),
            )
            for choice in response.choices
        )
        self.response = attrs.evolve(response, choices=choices)
        self.done = True
        return chunks_of(self.response)


@attrs.define(kw_only=True, eq=False, repr=False)
class ChunkDecoder:
    """
    Decode one stream and add it up.

    The order of use: ``next_chunk()`` until it gives ``None``; then it is over if ``ended`` says
    so, else ``feed()`` the next bytes. Not thread-safe.

    Args:
        parser: The dialect's, new.

        decode_whole: Reads a JSON body that came in place of a stream.

        base: What is known of the answer besides its stream: provider, model asked for,
            request id, warnings, limits of the provider.

        choices: How many answers were asked for.

        content_type: The media type of the answer, in lower case, without parameters.

        content_encoding: How its bytes are compressed.

        limits: Bounds of sizes.

    Attributes:
        attempts: What the call tried, for ``response``.

        progressed: Whether the last ``feed()`` completed a line, a comment's included. Ask
            when the next bytes are due.

        ended: Nothing more comes: the end mark was seen, the bytes ended properly, or the
            error was raised.

    Raises:
        InvalidResponseError: At construction: the encoding is not one that can be read.
    """

    _parser: ChunkParser
    _decode_whole: Callable[[bytes], ChatCompletionResponse]
    _base: ChatCompletionResponse = attrs.field(factory=ChatCompletionResponse)
    _choices: int = 1
    _content_type: str = ""
    _content_encoding: str = ""
    _limits: SizeLimits = DEFAULT_LIMITS
    attempts: tuple[Attempt, ...] = attrs.field(
        default=attrs.Factory(lambda self: self._base.attempts, takes_self=True)
    )
    progressed: bool = attrs.field(default=False, init=False)
    ended: bool = attrs.field(default=False, init=False)
    _inflater: Inflater = attrs.field(init=False)
    _framer: Framer | None = attrs.field(default=None, init=False)
    _whole: _WholeBody | None = attrs.field(default=None, init=False)
    _answer: AnswerSoFar = attrs.field(init=False)
    _inbox: deque[bytes] = attrs.field(factory=deque, init=False)
    _frames: deque[Frame] = attrs.field(factory=deque, init=False)
    _queue: deque[ChatCompletionChunk] = attrs.field(factory=deque, init=False)
    _head: bytes = attrs.field(default=b"", init=False)
    _padding: bytes = attrs.field(default=b"", init=False)
    _broken: AiLibError | None = attrs.field(default=None, init=False)
    _cut: AiLibError | None = attrs.field(default=None, init=False)
    _error: AiLibError | None = attrs.field(default=None, init=False)
    _no_more: bool = attrs.field(default=False, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _finished: bool = attrs.field(default=False, init=False)
    _complete: bool = attrs.field(default=False, init=False)
    _response: ChatCompletionResponse | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._inflater = Inflater(self._content_encoding)
        self._answer = AnswerSoFar(self._limits.answer)

    # Bytes in

    def feed(self, data: bytes) -> None:
        """
        Take the next bytes, compressed as they came; ``b""`` says that there are no more.
        """
        self.progressed = False
        if self._finished or self._no_more:
            return
        if not data:
            self._no_more = True
        elif self._inflater.plain:
            self._frame(data)
        else:
            self._inbox.append(data)
            self._inflate()

    def cut(self, error: AiLibError | None = None) -> None:
        """
        Take that no more bytes come because of *error*.

        It is raised behind the chunks that are still queued, unless these complete the answer.
        """
        self.feed(b"")
        self._cut = error

    # Chunks out

    def next_chunk(self) -> ChatCompletionChunk | None:
        """
        Give the next chunk; ``None``: more bytes are needed, or it has ended.

        Raises:
            AiLibError: What ended the stream too early, behind the chunks that came before. It
                carries what they add up to as ``partial``, and is raised once.
        """
        if not self._queue and not self._fill():
            self._settle()
            return None
        chunk = self._queue.popleft()
        self._answer.add(chunk)
        return chunk

    def peek(self) -> ChatCompletionChunk | None:
        """
        Give what ``next_chunk()`` will give, and leave it there.

        Raises:
            AiLibError: As ``next_chunk()``.
        """
        if self._queue or self._fill():
            return self._queue[0]
        self._settle()
        return None

    @property
    def response(self) -> ChatCompletionResponse:
        """
        What the chunks so far add up to; after the end, the whole answer.
        """
        cached = self._response
        if cached is not None and cached.attempts == self.attempts:
            return cached
        ended = self.ended  # maybe another thread reads on meanwhile
        base = attrs.evolve(self._base, attempts=self.attempts)
        whole = self._whole.response if self._whole is not None else None
        if whole is not None and self._complete:
            response = attrs.evolve(
                whole,
                model=whole.model or base.model,
                provider=base.provider,
                request_id=whole.request_id or base.request_id,
                warnings=(*base.warnings, *whole.warnings),
                attempts=base.attempts,
                rate_limits=base.rate_limits,
            )
        else:
            response = self._answer.to_response(base, ended=self._complete)
        self._response = response if ended else None
        return response

    def _fill(self) -> bool:
        """
        Queue what the next frame gives that gives something; ``False``: no frame does.
        """
        queue, frames, parser = self._queue, self._frames, self._parser
        while not queue:
            if frames and not parser.done and self._answer.room >= 0:
                try:
                    queue.extend(parser.feed(frames.popleft()))
                except AiLibError as error:
                    self._fail(error)
            elif self._advance():
                parser = self._parser
            else:
                return False
        return True

    # Between bytes and frames

    def _advance(self) -> bool:
        """
        Do what is next when there is no frame to parse; ``False``: nothing is.
        """
        if self._finished:
            return False
        if self._parser.done:
            self._finish()
        elif self._answer.room < 0:
            self._fail(too_large(self._limits.answer))
        elif self._broken is not None:
            self._fail(self._broken)
        elif self._inbox or self._inflater.pending:
            self._inflate()
        elif not self._no_more:
            return False
        elif self._framer is not None and not self._closed:
            self._closed = True
            self._frames.extend(self._framer.close())
        else:
            self._finish()
        return True

    def _inflate(self) -> None:
        """
        Frame the next piece of compressed bytes. One at a time, so that what is compressed a
        thousand times does not become frames all at once.
        """
        data = b"" if self._inflater.pending else self._inbox.popleft()
        try:
            piece = self._inflater.feed(data)
        except AiLibError as error:
            self._broken = self._broken or error.with_traceback(None)
        else:
            self._frame(piece)

    def _frame(self, piece: bytes) -> None:
        if self._broken is not None:
            return
        if not self._answer.choices:
            self._head += piece[: _HEAD - len(self._head)]
        framer = self._framer
        if framer is None:
            self.progressed = b"\n" in piece
            piece = self._padding + piece
            framer = self._framer = self._choose_framer(piece)
            if framer is None:
                self._padding = piece
                return
            self._padding = b""
        self._frames += framer.feed(piece)
        if framer.progressed:
            self.progressed = True
        self._broken = framer.error

    def _choose_framer(self, begin: bytes) -> Framer | None:
        """
        Tell a stream from a whole body by its first byte; ``None``: only padding so far.
        """
        start = begin.lstrip(_PADDING)[:1]
        if not start and len(begin) < _PADDING_LIMIT:
            return None
        framing = self._parser.framing
        whole = start != b"" and start in _WHOLE_STARTS[framing]
        if self._content_type in _JSON_TYPES and framing == "sse":
            whole = start not in _SSE_STARTS
        if whole:
            self._parser = self._whole = _WholeBody(
                self._decode_whole, self._limits.answer
            )
            return self._whole
        return make_framer(framing, self._limits.event)

    # The end

    def _finish(self) -> None:
        """
        Parse no more, and queue what the parser held back.
        """
        self._finished = True
        self._frames.clear()
        self._inbox.clear()
        if self._whole is not None and (self._cut or self._error):
            return
        try:
            self._queue.extend(self._parser.finish())
        except AiLibError as error:
            self._fail(error)

    def _fail(self, error: AiLibError) -> None:
        """
        Note what ended the stream; it is raised behind the chunks that are left.
        """
        # A frame that was not ended when the bytes did is a cut one: what is wrong is the cut.
        torn = self._closed and not self._finished
        if self._error is None and not (
            torn and isinstance(error, InvalidResponseError)
        ):
            # The traceback's frames hold bytes of the stream, and this object.
            self._error = error.with_traceback(None)
        if not self._finished:
            self._finish()

    def _settle(self) -> None:
        """
        Once nothing is left, end or raise.
        """
        if not self._finished or self.ended:
            return
        error = self._error
        self._complete = error is None and (
            self._parser.done or self._answer.finished(self._choices)
        )
        if not self._complete:
            error = self._explained(error or self._cut or self._incomplete())
        self.ended = True
        self._error = self._cut = self._broken = None
        if error is not None:
            try:
                raise error
            finally:
                del error  # else its traceback's frame and it keep each other alive

    def _incomplete(self) -> AiLibError:
        who = self._base.provider or "The provider"
        start = self._head.lstrip(_PADDING)[:1]
        if self._answer.choices:
            return IncompleteStreamError(f"{who} {ENDED_EARLY}.")
        if not start:
            return IncompleteStreamError(f"{who} answered with nothing.")
        if start not in _EVENT_STARTS.get(self._parser.framing, start):
            kind = self._content_type or "something else"
            return InvalidResponseError(
                f"{who} answered with {kind} in place of a stream."
            )
        return IncompleteStreamError(f"{who} ended the stream before its first chunk.")

    def _explained(self, error: AiLibError) -> AiLibError:
        """
        Add to *error* what the stream knows of itself.
        """
        base = self._base
        error.provider = error.provider or base.provider or None
        error.model = error.model or base.model or None
        error.request_id = error.request_id or base.request_id
        error.rate_limits = error.rate_limits or base.rate_limits
        begun = bool(self._answer.choices)
        if error.partial is None and (
            begun or isinstance(error, IncompleteStreamError)
        ):
            error.partial = self.response
        if error.body is None and self._no_more and not begun and self._head:
            text = redact(self._head.decode("utf-8", "replace"))
            error.body = text[:_SHOWN]
        return error
