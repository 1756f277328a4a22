"""
Compressed bodies back to plain bytes, never more at a time than a bound.
"""

from __future__ import annotations

import zlib
from typing import Any

import attrs

from ai_lib._core.errors import InvalidResponseError
from ai_lib._core.http import too_large

_PLAIN = frozenset({"", "identity"})
_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_BITS = 16 + zlib.MAX_WBITS
_GZIP_START = 0x1F

#: How much input the engine is given at once: it copies what it leaves over, and many small
#: members in a large body would have it copy the body over and over.
_WINDOW = 16 * 1024

#: How much output one step may have.
STEP = 64 * 1024


def _normal(encoding: str) -> str:
    return encoding.strip().lower()


def _window_bits(encoding: str, first: int) -> int:
    # "deflate" means zlib's format, but some servers send it without zlib's header. No encoder
    # starts raw deflate with a byte whose low half is 8, and zlib's format always does.
    # RFC 9110 8.4.1.2, RFC 1950 2.2, RFC 1951 3.2.
    if encoding in _GZIP:
        return _GZIP_BITS
    return zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS


@attrs.define(eq=False, repr=False)
class Inflater:
    """
    Decompress a stream as its bytes come.

    Attributes:
        plain: Whether nothing is compressed: what is fed is what comes out.

        pending: Whether there may be more output without more input: call ``feed(b"")``.
    """

    _encoding: str = attrs.field(converter=_normal)
    _step: int = STEP
    plain: bool = attrs.field(init=False)
    pending: bool = attrs.field(default=False, init=False)
    _input: memoryview = attrs.field(factory=lambda: memoryview(b""), init=False)
    _engine: Any = attrs.field(default=None, init=False)
    _members: int = attrs.field(default=0, init=False)
    _over: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.plain = self._encoding in _PLAIN
        if not self.plain and self._encoding not in _GZIP | {"deflate"}:
            name = self._encoding[:40]
            raise InvalidResponseError(
                f"The answer is compressed in a way that was not asked for: {name!r}."
            )

    @property
    def complete(self) -> bool:
        """
        Whether the input so far is a whole one, checksum included.
        """
        return self._engine is None and not self.pending

    def feed(self, data: bytes) -> bytes:
        """
        Take *data*, give the output that it makes possible, at most one step of it.

        Plain bodies pass through as they are. What follows the end of compressed data is ignored.

        Raises:
            InvalidResponseError: The data is broken, and so is everything after it. What this
                very piece would have given before the fault is lost.
        """
        if self.plain:
            return data
        if data:
            left = self._input.tobytes()
            self._input = memoryview(left + data if left else data)
        pieces: list[bytes] = []
        room = self._step
        self.pending = bool(self._input) or self.pending
        while self.pending and room:
            piece = self._next(room)
            pieces.append(piece)
            room -= len(piece)
        return b"".join(pieces)

    def _next(self, room: int) -> bytes:
        if self._engine is None and not self._begin():
            self._input = memoryview(b"")
            self.pending = False
            return b""
        window = self._input[:_WINDOW]
        try:
            piece: bytes = self._engine.decompress(window, room)
        except zlib.error as error:
            self._over = True
            raise InvalidResponseError(
                f"The answer's compressed data is broken: {error}."
            ) from error
        over = self._engine.eof
        left = self._engine.unused_data if over else self._engine.unconsumed_tail
        self._input = self._input[len(window) - len(left) :]
        # The engine may hold output back although it has taken all of the input.
        self.pending = bool(self._input) or (not over and len(piece) == room)
        if over:
            self._engine = None
        return piece

    def _begin(self) -> bool:
        if not self._input or self._over:
            return False
        first = self._input[0]
        if self._members and (self._encoding not in _GZIP or first != _GZIP_START):
            self._over = True
            return False
        self._engine = zlib.decompressobj(_window_bits(self._encoding, first))
        self._members += 1
        return True


def inflate(
    body: bytes, encoding: str, limit: int, *, truncated_ok: bool = False
) -> bytes:
    """
    Decompress a whole body.

    Args:
        body: As it was sent.

        encoding: The header ``content-encoding``; empty or ``identity``: not compressed.

        limit: Bytes that the result may have.

        truncated_ok: Whether the beginning will do: of a body that is cut off, broken or
            larger than *limit*, as much as there is.

    Raises:
        ResponseTooLargeError: The result would be larger; no more of it was made.

        InvalidResponseError: Broken or truncated data, or another encoding than gzip and
            deflate.
    """
    inflater = Inflater(encoding)
    pieces: list[bytes] = []
    size = 0
    data = body
    while size <= limit:
        try:
            piece = inflater.feed(data)
        except InvalidResponseError:
            if not truncated_ok:
                raise
            break
        pieces.append(piece)
        size += len(piece)
        data = b""
        if not inflater.pending:
            break
    if truncated_ok:
        return b"".join(pieces)[:limit]
    if size > limit:
        raise too_large(limit)
    if not inflater.complete:
        raise InvalidResponseError("The answer's compressed data is cut off.")
    return b"".join(pieces)
