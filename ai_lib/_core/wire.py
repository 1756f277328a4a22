"""
One exchange in bytes: a request written at once, an answer read as it comes. Nothing here waits.

HTTP/1.1 as RFC 9112 has it, for what is asked here: ``GET`` and ``POST``, no pipelining, trailers passed over. It takes
blocks where most read lines, and gives a chunked body as it has come where most give a chunk at a time: that
makes most of the difference in what a call, and a chunk of a stream, costs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

#: Bytes asked of a connection at once.
BLOCK = 65536
#: A body up to this is best sent with its head: one packet, one system call.
TOGETHER = 65536
#: Bytes of an answer's head, and of what comes before it; and lines of a head.
_MOST_HEAD = 262144
_MOST_LINES = 1000
#: The status of an answer before which a server may have left the request unread: the next one would follow it.
_TOO_LARGE = 413
_START = b"HTTP/1."
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
#: The size of a chunk, as the standard writes it.
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{1,16}")
#: Different sizes of chunks that are remembered of one answer.
_SIZES_KNOWN = 4096
#: What must not stand in a request line.
_NOT_IN_A_TARGET = re.compile(r"[\0-\x20\x7f]")


class WireError(Exception):
    """
    What came, or was to be sent, is no HTTP/1.1.
    """


class BrokenOff(WireError):
    """
    The connection closed before the end of the answer.
    """


class Unanswered(BrokenOff):
    """
    It closed before the first byte.
    """


# Out


def first_lines(method: str, target: str, host: str) -> str:
    """
    Write what a request begins with.

    Args:
        method: ``GET`` or ``POST``.

        target: The path with its query, or for some proxies the whole URL.

        host: With its port, unless that is the scheme's own.

    Raises:
        WireError: The target would break the line, or the host has no name in ASCII.
    """
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise WireError(f"no name of a host: {host!r}") from None
    if not target.isascii():
        from urllib.parse import quote

        target = quote(target, safe="%/:=&?~#+!$,;'@()*[]")
    if found := _NOT_IN_A_TARGET.search(target):
        raise WireError(f"a URL may not hold {found[0]!r}")
    return f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n"


class Head(bytes):
    """
    The head of a request, which shows its size alone: the key is in it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<head of {len(self)} bytes>"


def head_of(first: str, headers: Mapping[str, str], body: bytes | None) -> Head:
    """
    Write the head of a request.

    Args:
        first: What ``first_lines`` wrote.

        headers: The others, but that of the body's length.

        body: It; ``None``: there is none.

    Raises:
        WireError: A header holds a line break.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    if body is not None:
        lines.append(f"content-length: {len(body)}\r\n")
    text = "".join(lines)
    if not text.count("\n") == text.count("\r") == len(lines):
        raise WireError("a header may not hold a line break")
    return Head(f"{first}{text}\r\n".encode("latin-1"))


# In


class AnswerReader:
    """
    Takes the bytes of an answer, first with ``begin`` and then with ``feed``; none: the connection was closed.

    Attributes:
        status: HTTP status, once the head is whole.

        headers: Names in lower case; values of several with one name are joined with commas.

        over: Whether the body is.

    Raises:
        WireError: What came is no answer. So all of its methods.

        BrokenOff: It is not whole. Likewise.
    """

    __slots__ = (
        "_expects",
        "_heads",
        "_keeps",
        "_known",
        "_left",
        "_rest",
        "_take",
        "headers",
        "over",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.over = False
        self._rest = b""  # not understood yet
        self._heads = 0  # bytes of interim answers
        self._left = 0  # bytes to come of the body, or of the chunk under way
        self._keeps = False
        self._known: dict[bytes, int] = {}  # sizes of chunks, by how they were written
        self._take: Callable[[bytes], bytes]
        self._expects: Callable[[bytes], None] | None = None

    @property
    def reusable(self) -> bool:
        """
        Whether the connection can be used for another exchange: the body is over, nothing stands behind it, and nobody
        wants it closed.
        """
        return self.over and self._keeps and not self._rest

    # The head

    def begin(self, data: bytes) -> bool:
        """
        Take the next bytes; tells whether the head is whole.
        """
        if not data:
            if self._rest or self._heads:
                raise BrokenOff("the answer ended in its head")
            raise Unanswered("closed connection without response")
        seen = max(0, len(self._rest) - 3)
        data = self._rest + data
        while match := _END_OF_HEAD.search(data, seen):
            self._read_head(data[: match.start()].decode("latin-1"))
            data, seen = data[match.end() :], 0
            self._heads += match.end()
            # Early Hints and the like are passed over.
            if self.status >= 200:
                self._rest = data
                self._frame()
                return True
            if self._heads > _MOST_HEAD:
                break
        if not data.startswith(_START[: len(data)]):
            raise _no_answer(data.decode("latin-1"))
        if self._heads + len(data) > _MOST_HEAD:
            raise WireError("the head of the answer has no end")
        self._rest = data
        return False

    def _read_head(self, text: str) -> None:
        first, *lines = text.split("\n")
        version, _, rest = first.rstrip().partition(" ")
        status = rest.lstrip()[:3]
        known = version.startswith("HTTP/1.") and len(status) == 3
        if not (known and status.isascii() and status.isdecimal()):
            raise _no_answer(text)
        if status == "101" or status < "100":  # nobody asked for another protocol
            raise _no_answer(text)
        if len(lines) > _MOST_LINES:
            raise WireError(f"the head of the answer has {len(lines)} lines")
        self.status = int(status)
        self._keeps = version != "HTTP/1.0"
        self.headers = _headers(lines)

    def _frame(self) -> None:
        """
        Decide how the body ends, and whether the connection can be used after it.
        """
        headers = self.headers
        connection = headers.get("connection", "").lower()
        if "close" in connection or self.status == _TOO_LARGE:
            self._keeps = False
        elif "keep-alive" in connection:
            self._keeps = True
        length = headers.get("content-length")
        coding = headers.get("transfer-encoding", "").lower().rpartition(",")[2].strip()
        if self.status in (204, 304):
            self._take, self._left = self._sized, 0
        elif coding == "chunked":
            self._take, self._expects = self._chunked, self._size
            self._keeps = self._keeps and length is None  # RFC 9112, 6.3
            return
        elif length is not None and coding in ("", "identity"):
            self._take, self._left = self._sized, _size_of(length)
        else:
            self._take, self._keeps = self._until_closed, False
            return
        self.over = not self._left

    # The body

    def pending(self) -> bytes:
        """
        Give what came of the body with the head.
        """
        if self.over or not self._rest:
            return b""
        data, self._rest = self._rest, b""
        return self._take(data)

    def feed(self, data: bytes) -> bytes:
        """
        Take the next bytes, give those of the body; none: there are none yet, or it is ``over``.
        """
        return self._take(data)

    def _sized(self, data: bytes) -> bytes:
        if not data:
            raise BrokenOff(f"incomplete message body: {self._left} bytes are missing")
        if len(data) >= self._left:
            self._rest, data = data[self._left :], data[: self._left]
            self.over = True
        self._left -= len(data)
        return data

    def _until_closed(self, data: bytes) -> bytes:
        self.over = not data
        return data

    def _chunked(self, data: bytes) -> bytes:
        if not data:
            raise BrokenOff("incomplete chunked read")
        block = self._rest + data if self._rest else data
        pieces: list[bytes] = []
        at = 0
        while self._expects is not None:
            if not self._left and self._expects == self._size:
                at = self._whole_chunks(block, at, pieces)
            if self._left:
                piece = block[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
            end = block.find(b"\n", at)
            if end < 0:
                break
            line, at = block[at:end].rstrip(b"\r"), end + 1
            self._expects(line)
        self._rest = block[at:]
        self.over = self._expects is None
        if len(self._rest) > BLOCK and not self.over:
            raise WireError("a line of the chunks has no end")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _whole_chunks(self, block: bytes, at: int, pieces: list[bytes]) -> int:
        """
        Take the chunks of sizes that were met before, which nearly all are, in a third of the time. Gives the place
        of what is something else, or of the first chunk that is not all there.
        """
        find, known = block.find, self._known.get
        while (line := find(b"\r\n", at)) > 0 and (size := known(block[at:line])):
            at = line + 2
            end = at + size
            if block[end : end + 2] != b"\r\n":
                self._left, self._expects = size, self._end_of_chunk
                break
            pieces.append(block[at:end])
            at = end + 2
        return at

    def _size(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip()
        if not _HEXADECIMAL.fullmatch(digits):
            raise WireError(f"no size of a chunk: {line[:20]!r}")
        self._left = int(digits, 16)
        self._expects = self._end_of_chunk if self._left else self._trailer
        if line == digits and len(self._known) < _SIZES_KNOWN:
            self._known[digits] = self._left

    def _end_of_chunk(self, line: bytes) -> None:
        if line:
            raise WireError("a chunk is longer than its size")
        self._expects = self._size

    def _trailer(self, line: bytes) -> None:
        if not line:
            self._expects = None


def _no_answer(text: str) -> WireError:
    first = text.partition("\n")[0].rstrip()
    return WireError(f"no HTTP/1.1: {first[:80]!r}")


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    last = ""
    for line in lines:
        if line[:1] in " \t" and last:  # a value that goes on
            headers[last] = f"{headers[last]} {line.strip()}".strip()
            continue
        name, colon, value = line.partition(":")
        if not colon:
            continue
        last, value = name.strip().lower(), value.strip()
        headers[last] = f"{headers[last]}, {value}" if last in headers else value
    return headers


def _size_of(length: str) -> int:
    """
    Read a length, which a proxy may have written twice.
    """
    first, *others = [one.strip() for one in length.split(",")]
    if not (first.isascii() and first.isdecimal() and len(first) < 20):
        raise WireError(f"no length of a body: {length[:80]!r}")
    if any(one != first for one in others):
        raise WireError(f"several lengths of one body: {length[:80]!r}")
    return int(first)
