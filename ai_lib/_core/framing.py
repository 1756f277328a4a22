"""
Bytes to frames: server-sent events, JSON lines, AWS event streams.

A framer is fed bytes as they come, cut anywhere, and gives the frames that they complete; which
frames those are never depends on the cuts. Its time is linear in the bytes. It never raises: what is
wrong with the bytes stands in ``error``, behind the frames that came before.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from itertools import repeat
from typing import TYPE_CHECKING, Protocol

import attrs

from ai_lib._core.errors import AiLibError, InvalidResponseError
from ai_lib._core.http import too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_lib._core.dialects import Frame, Framing

#: Bytes that one event, line or message may have.
EVENT_LIMIT = 32 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class Framer(Protocol):
    """
    Cuts one stream's bytes into frames.

    Attributes:
        progressed: Whether the last bytes completed a line (a message), a comment's included.

        error: What is wrong behind the frames given so far; after that there are none.
    """

    progressed: bool
    error: AiLibError | None

    def feed(self, data: bytes) -> list[Frame]:
        """
        Give the frames that *data* completes.
        """

    def close(self) -> list[Frame]:
        """
        Give the frame that only lacks its end, once the bytes have ended.
        """


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


@attrs.define(eq=False, repr=False)
class _Lines:
    """
    Whole lines out of bytes that are cut anywhere.

    Attributes:
        held: How many bytes wait for the end of their line.
    """

    _return_ends: bool
    held: int = attrs.field(default=0, init=False)
    _line: bytearray = attrs.field(factory=bytearray, init=False)
    _after_return: bool = attrs.field(default=False, init=False)
    _begun: bool = attrs.field(default=False, init=False)

    @property
    def between(self) -> bool:
        """
        Whether the next byte begins a line, whatever it is.
        """
        return self._begun and not self.held and not self._after_return

    def take(self, data: bytes) -> bytes:
        """
        Give all lines that *data* completes, each ended by a line feed; empty: none.
        """
        if self.between and data.endswith(b"\n") and data.find(b"\r") < 0:
            return data
        if self._after_return and data:
            self._after_return = False
            data = data.removeprefix(b"\n")
        end = data.rfind(b"\n") + 1
        if self._return_ends:
            end = max(end, data.rfind(b"\r") + 1)
            self._after_return = data.endswith(b"\r") or (
                self._after_return and not data
            )
        rest = data[end:]
        block = b""
        if end:
            block = self._clean(bytes(self._line) + data[:end])
            self._line.clear()
        self._line += rest
        self.held = len(self._line)
        return block

    def rest(self) -> bytes:
        """
        Give the line that has no end, with one; empty: there is none.
        """
        line = bytes(self._line)
        self._line.clear()
        self.held = 0
        return self._clean(line + b"\n") if line else b""

    def _clean(self, block: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            block = block.removeprefix(_BOM)
        if self._return_ends and b"\r" in block:
            return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return block


@attrs.define(eq=False, repr=False)
class ServerSentEvents:
    """
    Read an event stream by the algorithm of the HTML standard, "Server-sent events".

    In one thing it gives more: an event that lacks its blank line when the bytes end is not thrown
    away, since not every provider sends that line.
    """

    _limit: int = EVENT_LIMIT
    progressed: bool = attrs.field(default=False, init=False)
    error: AiLibError | None = attrs.field(default=None, init=False)
    _lines: _Lines = attrs.field(factory=lambda: _Lines(return_ends=True), init=False)
    _name: str = attrs.field(default="", init=False)
    _data: list[bytes] = attrs.field(factory=list, init=False)
    _size: int = attrs.field(default=0, init=False)
    _between: bool = attrs.field(default=False, init=False)

    def feed(self, data: bytes) -> list[Frame]:
        """
        Give the events that *data* completes.
        """
        if self._between and data.endswith(b"\n\n"):
            frames = self._split(data)
            if frames:
                self.progressed = True
                return frames
        if self.error is not None:
            return []
        block = self._lines.take(data)
        self.progressed = bool(block)
        frames = []
        if block:
            end = 0
            if not self._data and not self._name:
                end = block.rfind(b"\n\n") + 2
                frames = self._split(block[:end])
            self._read_lines(block[end:] if frames else block, frames)
        if self._lines.held > self._limit and self.error is None:
            self.error = too_large(self._limit, event=True)
        self._between = self._lines.between and not (
            self._data or self._name or self.error
        )
        return frames

    def close(self) -> list[Frame]:
        """
        Give the event that lacks its blank line, if it has data.
        """
        frames: list[Frame] = []
        if self.error is None:
            self._read_lines(self._lines.rest() + b"\n", frames)
        return frames

    def _split(self, block: bytes) -> list[Frame]:
        """
        Split a block that holds nothing but whole events of one line ``data: …``, as nearly all
        blocks do; of any other, which counting its line ends shows, give nothing.
        """
        if (
            not block.startswith(b"data: ")
            or block.find(b"\r") >= 0
            or len(block) > self._limit
        ):
            return []
        text = _text(block[6:-2])
        if text.find("\n") < 0:
            return [("", text)]
        found = text.split("\n\ndata: ")
        if text.count("\n") != 2 * len(found) - 2:
            return []
        return list(zip(repeat(""), found))

    def _read_lines(self, block: bytes, frames: list[Frame]) -> None:
        lines = block.split(b"\n")
        lines.pop()
        for line in lines:
            if not line:
                if self._data:
                    frames.append((self._name, _text(b"\n".join(self._data))))
                    self._data = []
                self._name = ""
                self._size = 0
                continue
            field, _, value = line.partition(b":")
            if value.startswith(b" "):
                value = value[1:]
            if field == b"data":
                self._data.append(value)
                self._size += len(line)
            elif field == b"event":
                self._name = _text(value)
            if len(line) > self._limit or self._size > self._limit:
                self.error = too_large(self._limit, event=True)
                self._data = []
                break


@attrs.define(eq=False, repr=False)
class JsonLines:
    """
    Read one JSON text a line; blank lines are nothing.
    """

    _limit: int = EVENT_LIMIT
    progressed: bool = attrs.field(default=False, init=False)
    error: AiLibError | None = attrs.field(default=None, init=False)
    _lines: _Lines = attrs.field(factory=lambda: _Lines(return_ends=False), init=False)

    def feed(self, data: bytes) -> list[Frame]:
        """
        Give the lines that *data* completes.
        """
        if self.error is not None:
            return []
        block = self._lines.take(data)
        self.progressed = bool(block)
        frames = self._read(block)
        if self._lines.held > self._limit and self.error is None:
            self.error = too_large(self._limit, event=True)
        return frames

    def close(self) -> list[Frame]:
        """
        Give the line that lacks its end.
        """
        return [] if self.error is not None else self._read(self._lines.rest())

    def _read(self, block: bytes) -> list[Frame]:
        frames: list[Frame] = []
        for line in block.split(b"\n"):
            if len(line) > self._limit:
                self.error = too_large(self._limit, event=True)
                break
            text = line.strip()
            if text:
                frames.append(("", _text(text)))
        return frames


_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_LENGTH = struct.Struct(">H")

#: Sizes of header values by type: true, false, byte, short, integer, long, then bytes and string
#: with a length of their own, then timestamp and UUID. Amazon Transcribe, "Event stream encoding", read 2026-11.
_VALUE_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: None, 7: None, 8: 8, 9: 16}
_STRING = 7

#: Where messages of a type have their name, and what is put before it.
_NAMES = {
    "event": (":event-type", ""),
    "exception": (":exception-type", "exception:"),
    "error": (":error-code", "exception:"),
}


def _read_headers(data: bytes) -> dict[str, str]:
    """
    Read the headers that are strings; the others are only stepped over.
    """
    headers: dict[str, str] = {}
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        name, kind = data[at + 1 : end], data[end]
        at = end + 1
        size = _VALUE_SIZES[kind]
        if size is None:
            (size,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
        value = data[at : at + size]
        at += size
        if at > len(data):
            raise IndexError(at)
        if kind == _STRING:
            headers[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return headers


def _to_frame(headers: dict[str, str], payload: bytes) -> Frame:
    kind = headers.get(":message-type", "event")
    header, prefix = _NAMES.get(kind, _NAMES["event"])
    text = payload.decode("utf-8", "replace")
    if not text and ":error-message" in headers:
        text = json.dumps({"message": headers[":error-message"]})
    return prefix + headers.get(header, ""), text


@attrs.define(eq=False, repr=False)
class AwsEventStream:
    """
    Read ``application/vnd.amazon.eventstream``: binary messages with headers and checksums.
    """

    _limit: int = EVENT_LIMIT
    progressed: bool = attrs.field(default=False, init=False)
    error: AiLibError | None = attrs.field(default=None, init=False)
    _held: bytearray = attrs.field(factory=bytearray, init=False)
    _need: int = attrs.field(default=_PRELUDE.size, init=False)

    def feed(self, data: bytes) -> list[Frame]:
        """
        Give the messages that *data* completes.
        """
        self.progressed = False
        frames: list[Frame] = []
        if self.error is None:
            self._held += data
            try:
                while len(self._held) >= self._need:
                    self._step(frames)
            except AiLibError as error:
                self.error = error.with_traceback(None)
                self._held.clear()
        return frames

    def close(self) -> list[Frame]:
        """
        Give nothing: a message without its checksum is none.
        """
        return []

    def _step(self, frames: list[Frame]) -> None:
        if self._need == _PRELUDE.size:
            self._need = self._read_prelude()
            return
        message = bytes(self._held[: self._need])
        del self._held[: self._need]
        self._need = _PRELUDE.size
        frames.append(self._read_message(message))
        self.progressed = True

    def _read_prelude(self) -> int:
        total, size, checksum = _PRELUDE.unpack_from(self._held)
        if zlib.crc32(self._held[: _PRELUDE.size - 4]) != checksum:
            raise InvalidResponseError(
                "A message of the event stream has a broken prelude."
            )
        if total > self._limit:
            raise too_large(self._limit, event=True)
        if total < _PRELUDE.size + size + _CHECKSUM.size:
            raise InvalidResponseError(
                "A message of the event stream is shorter than its headers."
            )
        return int(total)

    def _read_message(self, message: bytes) -> Frame:
        end = len(message) - _CHECKSUM.size
        if zlib.crc32(message[:end]) != _CHECKSUM.unpack_from(message, end)[0]:
            raise InvalidResponseError(
                "A message of the event stream has a wrong checksum."
            )
        start = _PRELUDE.size + _PRELUDE.unpack_from(message)[1]
        try:
            headers = _read_headers(message[_PRELUDE.size : start])
        except (IndexError, KeyError, struct.error):
            headers = None
        if headers is None:
            raise InvalidResponseError(
                "A message of the event stream has headers that cannot be read."
            )
        return _to_frame(headers, message[start:end])


_MARKS = re.compile(rb'["{}\[\]]')
_STRING_MARKS = re.compile(rb'["\\]')


@attrs.define(eq=False, repr=False)
class JsonArray:
    """
    Read one JSON array, an object at a time; what else is in it is nothing.
    """

    _limit: int = EVENT_LIMIT
    progressed: bool = attrs.field(default=False, init=False)
    error: AiLibError | None = attrs.field(default=None, init=False)
    _held: bytearray = attrs.field(factory=bytearray, init=False)
    _at: int = attrs.field(default=0, init=False)
    _depth: int = attrs.field(default=0, init=False)
    _quoted: bool = attrs.field(default=False, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    def feed(self, data: bytes) -> list[Frame]:
        """
        Give the objects that *data* completes.
        """
        self.progressed = False
        if self.error is not None or self._ended:
            return []
        self._held += data
        frames: list[Frame] = []
        begin = self._scan(frames)
        del self._held[:begin]
        self._at -= begin
        self.progressed = bool(frames) or b"\n" in data
        if len(self._held) > self._limit:
            self.error = too_large(self._limit, event=True)
            self._held.clear()
        return frames

    def close(self) -> list[Frame]:
        """
        Give nothing: an object without its end is none.
        """
        return []

    def _scan(self, frames: list[Frame]) -> int:
        """
        Go on to the end of what is held; give the place before which nothing is needed any more.
        """
        held, begin = self._held, 0
        while found := (_STRING_MARKS if self._quoted else _MARKS).search(
            held, self._at
        ):
            mark, self._at = found[0], found.end()
            if mark == b"\\":
                if self._at == len(held):
                    self._at -= 1  # what it escapes has not come
                    return begin
                self._at += 1
            elif mark == b'"':
                self._quoted = not self._quoted
            elif mark in b"[{":
                self._depth += 1
                if self._depth == 2:  # the array is the first
                    begin = found.start()
            else:
                self._depth -= 1
                self._ended = self._depth < 1
                if self._ended:
                    break
                if self._depth == 1 and mark == b"}":
                    self._take(held[begin : self._at], frames)
                    begin = self._at
        self._at = len(held)
        return begin if self._depth > 1 else self._at

    def _take(self, text: bytearray, frames: list[Frame]) -> None:
        if len(text) > self._limit:
            self.error = too_large(self._limit, event=True)
        elif self.error is None:
            frames.append(("", _text(bytes(text))))


@attrs.define(eq=False, repr=False)
class EventsOrJsonArray:
    """
    Read server-sent events, or the JSON array that was sent in their place: the first byte tells.
    """

    _limit: int = EVENT_LIMIT
    progressed: bool = attrs.field(default=False, init=False)
    error: AiLibError | None = attrs.field(default=None, init=False)
    _framer: Framer | None = attrs.field(default=None, init=False)
    _head: bytes = attrs.field(default=b"", init=False)

    def feed(self, data: bytes) -> list[Frame]:
        """
        Give the events or objects that *data* completes.
        """
        if self._framer is None:
            data = self._head + data
            start = data.lstrip(_BOM + b" \t\r\n")[:1]
            if not start and len(data) < self._limit:
                self.progressed = b"\n" in data[len(self._head) :]
                self._head = data
                return []
            chosen = JsonArray if start == b"[" else ServerSentEvents
            self._framer, self._head = chosen(self._limit), b""
        frames = self._framer.feed(data)
        self.progressed, self.error = self._framer.progressed, self._framer.error
        return frames

    def close(self) -> list[Frame]:
        """
        Give the event that only lacks its end.
        """
        return [] if self._framer is None else self._framer.close()


FRAMERS: dict[Framing, Callable[[int], Framer]] = {
    "sse": ServerSentEvents,
    "sse_or_json_array": EventsOrJsonArray,
    "json_lines": JsonLines,
    "aws_event_stream": AwsEventStream,
}


def make_framer(framing: Framing, limit: int = EVENT_LIMIT) -> Framer:
    """
    Make the framer of one stream.

    Args:
        framing: How its bytes are framed.

        limit: Bytes that one event may have; beyond it, ``error`` is a ``ResponseTooLargeError``.
    """
    return FRAMERS[framing](limit)
