"""
What is made of a provider's files of results: lines, and the errors of requests that have none.
"""

from __future__ import annotations

import attrs

from ai_lib._core.batch.apis import Problem, ProviderJob
from ai_lib._core.dialects._shared import bounded
from ai_lib._core.errors import (
    AiLibError,
    InvalidRequestError,
    RequestTimeoutError,
    StreamCancelledError,
)
from ai_lib._core.providers import ResolvedTarget


def unanswered(target: ResolvedTarget, why: str) -> AiLibError:
    """
    Say why a request was not come to: its job has ``"expired"``, or was ended.
    """
    if why == "expired":
        return RequestTimeoutError(
            f"{target.provider} let the batch expire before it came to this request.",
            provider=target.provider,
            code="batch_expired",
        )
    return StreamCancelledError(
        "The batch was cancelled before its turn came.",
        provider=target.provider,
        code="batch_cancelled",
    )


def refused(
    target: ResolvedTarget, job: ProviderJob, problems: tuple[Problem, ...], place: int
) -> AiLibError:
    """
    Say why a job was refused, of the item that is at fault what is wrong with it.
    """
    own = [one for one in problems if one.line == place]
    told = own or problems
    words = " ".join(dict.fromkeys(one.words for one in told if one.words))
    code = next((one.code for one in told if one.code), None)
    named = any(one.line is not None for one in problems)
    whose = " for another of its requests" if named and not own else ""
    end = f": {bounded(words, 1000)}" if words else "."
    return InvalidRequestError(
        f"{target.provider} refused batch {job.id}{whose}{end}",
        provider=target.provider,
        code=code,
    )


@attrs.define
class Lines:
    """
    Cuts bytes into lines, and drops those that are too long.

    Attributes:
        oversize: How many those were.
    """

    limit: int
    oversize: int = 0
    _rest: bytearray = attrs.field(factory=bytearray)
    _skipping: bool = False

    def feed(self, data: bytes) -> list[bytes]:
        """
        Take the next bytes, give the lines that they complete.
        """
        *whole, rest = data.split(b"\n")
        found = [self._complete(piece) for piece in whole]
        self._add(rest)
        return [line for line in found if line]

    def close(self) -> list[bytes]:
        """
        Give the last line, if it had no end.
        """
        line = self._complete(b"")
        return [line] if line else []

    def _add(self, piece: bytes) -> None:
        if self._skipping:
            return
        self._rest += piece
        if len(self._rest) > self.limit:
            self._rest.clear()
            self._skipping = True
            self.oversize += 1

    def _complete(self, piece: bytes) -> bytes:
        self._add(piece)
        line = bytes(self._rest)
        self._rest.clear()
        self._skipping = False
        return line.strip()
