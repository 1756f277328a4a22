"""
An exchange over an open connection, blocking.
"""

from __future__ import annotations

from collections.abc import Callable

from ai_lib._core.wire import BLOCK, TOGETHER, AnswerReader


def send(sendall: Callable[[bytes], object], head: bytes, body: bytes | None) -> None:
    """
    Send a request. That nobody takes it is found when reading: who refuses a large one early has answered.
    """
    try:
        if body is None or len(body) <= TOGETHER:
            sendall(head + (body or b""))
        else:
            sendall(head)
            sendall(body)
    except (BrokenPipeError, ConnectionResetError):
        pass


class Answer:
    """
    An answer: its head is read, its body comes with ``read1``. One thread at a time.

    Args:
        receive: Waits for bytes of the connection.

        release: Called once, at the end of the body or when it is closed before: told whether the connection
            can be used again.

    Attributes:
        status: HTTP status.

        headers: As the reader has them.

    Raises:
        WireError: What came is no answer.

        OSError: The connection broke.
    """

    __slots__ = ("_reader", "_receive", "_release", "headers", "status")

    def __init__(
        self, receive: Callable[[int], bytes], release: Callable[[bool], object]
    ) -> None:
        self._receive = receive
        self._release: Callable[[bool], object] | None = release
        self._reader = reader = AnswerReader()
        while not reader.begin(receive(BLOCK)):
            pass
        self.status, self.headers = reader.status, reader.headers
        if reader.over:
            self.close()

    def read1(self) -> bytes:
        """
        Wait for the next bytes of the body; none: it is over.

        Raises:
            WireError: It broke off, or is framed wrongly.

            OSError: The connection broke.
        """
        if self._release is None:
            return b""
        reader = self._reader
        data = reader.pending()
        while not data and not reader.over:
            data = reader.feed(self._receive(BLOCK))
        if reader.over:
            self.close()
        return data

    def close(self) -> None:
        """
        Let go of the connection. Allowed twice.
        """
        release, self._release = self._release, None
        if release is not None:
            release(self._reader.reusable)
