"""
What an exchange needs of whoever carries it: a connection of ours, or httpx.
"""

from __future__ import annotations

from typing import Protocol

from ai_lib._core.http import HttpRequest


class Progress(Protocol):
    """
    Is told how far a request is.
    """

    def connecting(self) -> None:
        """
        Note that a connection has to be made.
        """

    def connected(self) -> None:
        """
        Note that the request is being sent.
        """

    def hand_over(self) -> float | None:
        """
        Leave the waits to who tells nothing; gives the seconds left for connecting.
        """


class Answer(Protocol):
    """
    An answer whose head was read. One task at a time.

    Attributes:
        status: HTTP status.

        headers: Names in lower case.
    """

    status: int
    headers: dict[str, str]

    async def next(self) -> bytes:
        """
        Wait for the next bytes, still compressed; none: it is over.
        """

    async def close(self) -> None:
        """
        End it, also before its end. Allowed twice.
        """


class Carrier(Protocol):
    """
    Sends requests.

    Attributes:
        tells: Whether it tells of a request's progress.
    """

    tells: bool

    async def send(self, request: HttpRequest, progress: Progress) -> Answer:
        """
        Send a request, its key put on, and wait for the head of the answer.
        """

    def usable(self) -> bool:
        """
        Say whether another exchange may be tried.
        """

    async def close(self) -> None:
        """
        Close what is open.
        """
