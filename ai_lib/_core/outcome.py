"""
What an attempt came to, and what is told at the end of a stream.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from ai_lib._core.breaker import Verdict, verdict_of
from ai_lib._core.call import Call
from ai_lib._core.chat import (
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatCompletionResponse,
)
from ai_lib._core.gate import Passage
from ai_lib._core.ledger import Attempt
from ai_lib._core.record import Record

if TYPE_CHECKING:
    from ai_lib._core.hooks import Kind
    from ai_lib._core.stream import ChunkDecoder

T = TypeVar("T")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Said(Record):
    """
    What a call was asked for, for limits and hooks.
    """

    operation: str = "chat"
    stream: bool = False
    request: ChatCompletionRequest | None = None


@attrs.frozen(eq=False, repr=False)
class Won(Record, Generic[T]):
    """
    The attempt that answered.

    Attributes:
        result: What it gave.

        passage: Its way through the gate, to be ended.

        line: Its line of the ledger.

        provider: Who answered.

        model: Which was asked for.
    """

    result: T
    passage: Passage
    line: Attempt
    provider: str
    model: str


@attrs.frozen(eq=False, repr=False)
class Opened(Record):
    """
    A stream that has begun.

    Attributes:
        source: The open body, the shell's; ``None``: the answer came whole.

        decoder: What decodes it.

        end: To be told once how it ended.

        told: Whether hooks are to be told of its chunks.
    """

    source: Any
    decoder: ChunkDecoder
    end: StreamEnd | None = None
    told: bool = False


class StreamEnd:
    """
    Told of a stream's chunks and, once, of its end: leaves the gate, completes the ledger, tells the hooks.
    Thread-safe.
    """

    def __init__(
        self,
        tell: Callable[..., None],
        said: Said,
        call: Call,
        won: Won[Any],
        first_chunk: float,
    ) -> None:
        self._tell = tell
        self._said = said
        self._call = call
        self._won = won
        self._first_chunk = first_chunk
        self._chunks = 0
        self._pending = threading.Lock()

    @property
    def blocking(self) -> bool:
        """
        Whether noting the end may wait.
        """
        return self._won.passage.blocking

    def chunk(self, chunk: ChatCompletionChunk) -> None:
        """
        Tell the hooks of a chunk.
        """
        index, self._chunks = self._chunks, self._chunks + 1
        won = self._won
        self._tell(
            "ChunkEvent",
            self._said,
            self._call,
            won.provider,
            won.model,
            index=index,
            chunk=chunk,
        )

    def __call__(
        self,
        outcome: str,
        error: BaseException | None,
        response: ChatCompletionResponse,
        note_aside: Callable[[Callable[[], None]], object],
    ) -> None:
        """
        Tell how the stream ended, and what had come.

        Args:
            note_aside: Does what a store may make wait, where that blocks nobody.
        """
        if not self._pending.acquire(blocking=False):
            return
        call, won, usage = self._call, self._won, response.usage
        at = next((n for n, one in enumerate(call.attempts) if one is won.line), None)
        if at is not None:
            call.attempts[at] = attrs.evolve(won.line, usage=usage)
        completed = outcome == "completed"
        verdict: Verdict = "nothing"  # the caller left it
        if completed or error is not None:
            verdict = verdict_of(error)
        note = won.passage.end(verdict, usage)
        if note is not None:
            note_aside(note)
        facts: dict[str, Any] = {
            "elapsed": call.deadlines.elapsed,
            "response": response,
        }
        if error is not None:
            kind: Kind = "ErrorEvent"
            facts["error"] = error
        else:
            kind = "ResponseEvent"
            facts["outcome"] = "completed" if completed else "closed"
            facts["first_chunk"] = self._first_chunk
        self._tell(kind, self._said, call, won.provider, won.model, **facts)
