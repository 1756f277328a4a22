"""
One exchange over a connection that is open: a request written at once, an answer read as it comes.

HTTP/1.1 as RFC 9112 has it, for what is asked here: no trailers are wanted, no pipelining, ``GET`` and ``POST``
only. It reads blocks where the standard library reads lines, and gives a chunked body as it has come where that
gives a chunk at a time: together they halve what a call costs, and a chunk of a stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http.client import (
    BadStatusLine,
    HTTPException,
    IncompleteRead,
    InvalidURL,
    LineTooLong,
    RemoteDisconnected,
)

#: Bytes asked of a connection at once.
BLOCK = 65536
#: Bytes of an answer's head, which the standard library bounds by the line.
_MOST_HEAD = 262144
#: A body up to this is sent with the head: one packet, one system call.
_JOINED = 65536
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
#: The size of a chunk, as the standard writes it.
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{1,16}")
#: What must not stand in a request line.
_NOT_IN_A_TARGET = re.compile(r"[\0-\x20\x7f]")


def request_line(method: str, target: str, host: str) -> str:
    """
    Write the first lines of a request.

    Args:
        method: ``GET`` or ``POST``.

        target: The path with its query, or for some proxies the whole URL.

        host: With its port, unless that is the scheme's own.

    Raises:
        InvalidURL: The target would break the line.
    """
    if not target.isascii():
        from urllib.parse import quote

        target = quote(target, safe="%/:=&?~#+!$,;'@()*[]")
    if found := _NOT_IN_A_TARGET.search(target):
        raise InvalidURL(f"a URL may not hold {found[0]!r}")
    return f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n"


def send(
    sendall: Callable[[bytes], object],
    first_lines: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> None:
    """
    Write a request.

    Raises:
        ValueError: A header holds a line break.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    if body is not None:
        lines.append(f"content-length: {len(body)}\r\n")
    text = "".join(lines)
    if not text.count("\n") == text.count("\r") == len(lines):
        raise ValueError("a header may not hold a line break")
    head = f"{first_lines}{text}\r\n".encode("latin-1")
    try:
        if body is None or len(body) <= _JOINED:
            sendall(head + (body or b""))
        else:
            sendall(head)
            sendall(body)
    except (BrokenPipeError, ConnectionResetError):
        pass  # who refuses early may have answered: that is what is told then


class Answer:
    """
    An answer: its head was read, its body comes with ``read1``. One thread at a time.

    Args:
        receive: Waits for bytes of the connection; none: it was closed.

        release: Called once, at the end of the body or when it is closed before: told whether the connection
            can be used again.

    Attributes:
        status: HTTP status.

        headers: Names in lower case; values of several with one name are joined with commas.

    Raises:
        HTTPException: What came is no answer.

        OSError: The connection broke.
    """

    __slots__ = (
        "_expects",
        "_keeps",
        "_left",
        "_read",
        "_receive",
        "_release",
        "_rest",
        "headers",
        "status",
    )

    def __init__(
        self, receive: Callable[[int], bytes], release: Callable[[bool], object]
    ) -> None:
        self._receive = receive
        self._release: Callable[[bool], object] | None = release
        self._rest = b""  # read from the connection, and not understood yet
        self._left = 0  # bytes to come of the body, or of the chunk under way
        self._expects: Callable[[bytes], None] | None = None
        self._begin()
        while 100 <= self.status < 200 and self.status != 101:
            self._begin()  # Early Hints and the like are passed over
        self._frame()

    # The head

    def _begin(self) -> None:
        data = self._rest or self._receive(BLOCK)
        seen = 0
        while (match := _END_OF_HEAD.search(data, seen)) is None:
            seen = max(0, len(data) - 3)
            more = self._receive(BLOCK)
            if not more:
                raise RemoteDisconnected(
                    "the answer ended in its head"
                    if data
                    else "Remote end closed connection without response"
                )
            data += more
            if len(data) > _MOST_HEAD:
                raise LineTooLong("head of the answer")
        self._rest = data[match.end() :]
        first, *lines = data[: match.start()].decode("latin-1").split("\n")
        version, _, rest = first.strip().partition(" ")
        status = rest.lstrip()[:3]
        if not version.startswith("HTTP/1.") or not (
            status.isdecimal() and len(status) == 3
        ):
            raise BadStatusLine(first[:100])
        self.status = int(status)
        self._keeps = version != "HTTP/1.0"
        self.headers = _headers(lines)

    def _frame(self) -> None:
        """
        Decide how the body ends, and whether the connection can be used after it.
        """
        headers = self.headers
        connection = headers.get("connection", "").lower()
        self._keeps = (self._keeps or "keep-alive" in connection) and (
            "close" not in connection
        )
        length = headers.get("content-length")
        if self.status in (204, 304):
            self._read, self._left = self._sized, 0
        elif headers.get("transfer-encoding", "").lower().endswith("chunked"):
            self._read, self._expects = self._chunked, self._size
            self._keeps = self._keeps and length is None  # RFC 9112, 6.3
            return
        elif length is not None and (sizes := _sizes(length)):
            self._read, self._left = self._sized, sizes.pop()
            if sizes:
                raise HTTPException(f"several lengths of one body: {length!r}")
        else:
            self._read, self._keeps = self._until_closed, False
            return
        if not self._left:
            self._end()

    # The body

    def read1(self) -> bytes:
        """
        Wait for the next bytes of the body; none: it is over.

        Raises:
            HTTPException: It broke off, or is framed wrongly.

            OSError: The connection broke.
        """
        return self._read() if self._release is not None else b""

    def _more(self) -> bytes:
        data, self._rest = self._rest, b""
        return data or self._receive(BLOCK)

    def _sized(self) -> bytes:
        data = self._more()
        if not data:
            raise IncompleteRead(b"", self._left)
        if len(data) >= self._left:
            self._rest, data = data[self._left :], data[: self._left]
            self._end()
        self._left -= len(data)
        return data

    def _until_closed(self) -> bytes:
        data = self._more()
        if not data:
            self._end()
        return data

    def _chunked(self) -> bytes:
        if self._rest and (data := self._unchunked(self._rest)):
            return data
        while self._release is not None:
            block = self._receive(BLOCK)
            if not block:
                raise IncompleteRead(self._rest)
            if data := self._unchunked(self._rest + block):
                return data
        return b""

    def _unchunked(self, block: bytes) -> bytes:
        """
        Take the data out of *block*, and keep what is not whole.
        """
        pieces = []
        at = 0
        while self._expects is not None:
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
        if self._expects is None:
            self._end()
        elif len(self._rest) > BLOCK:
            raise LineTooLong("chunk size")
        return b"".join(pieces)

    def _size(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip()
        if not _HEXADECIMAL.fullmatch(digits):
            raise HTTPException(f"no size of a chunk: {line[:20]!r}")
        self._left = int(digits, 16)
        self._expects = self._end_of_chunk if self._left else self._trailer

    def _end_of_chunk(self, line: bytes) -> None:
        if line:
            raise HTTPException("a chunk is longer than its size")
        self._expects = self._size

    def _trailer(self, line: bytes) -> None:
        if not line:
            self._expects = None

    # The end

    def _end(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release(self._keeps and not self._rest)

    def close(self) -> None:
        """
        Close the connection, unless the body is over. Allowed twice.
        """
        self._keeps = False
        self._end()


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    last = ""
    for line in lines:
        if line[:1] in " \t" and last:  # a value that goes on
            headers[last] += f" {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        if not colon:
            continue
        last, value = name.strip().lower(), value.strip()
        headers[last] = f"{headers[last]}, {value}" if last in headers else value
    return headers


def _sizes(length: str) -> set[int]:
    """
    Read a length, which a proxy may have written twice; none: it is no number.
    """
    found = [one.strip() for one in length.split(",")]
    if all(one.isascii() and one.isdecimal() for one in found):
        return {int(one) for one in found}
    return set()
