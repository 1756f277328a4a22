"""
The events that hooks are told. No event holds a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from ai_lib._core.record import Record

if TYPE_CHECKING:
    from ai_lib._core.chat import (
        ChatCompletionChunk,
        ChatCompletionRequest,
        ChatCompletionResponse,
    )
    from ai_lib._core.errors import AiLibError


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Event(Record):
    """
    What all events say.

    Attributes:
        call_id: Number of the call in this process; all events of a call have the same.

        operation: ``"chat"`` or ``"list_models"``.

        provider: Id of the provider.

        model: The model asked for.

        stream: Whether the answer comes as a stream.
    """

    call_id: int
    operation: str
    provider: str
    model: str
    stream: bool = False


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RequestEvent(Event):
    """
    An attempt is about to be made, all waits for it done.

    Attributes:
        attempt: Its number in the call, from 1.

        server_address: The host.

        server_port: The port.

        request: What is asked, prompts included; not shown by ``repr``.
    """

    attempt: int
    server_address: str
    server_port: int | None
    request: ChatCompletionRequest | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ResponseEvent(Event):
    """
    The call was answered; of a stream, it has ended.

    Attributes:
        outcome: ``"completed"``, or ``"closed"``: the caller left a stream before its end.

        elapsed: Seconds of the whole call.

        first_chunk: Seconds until the first chunk of a stream; ``None``: it was none.

        response: The answer, of a stream as far as it came; ``None`` of ``list_models``. Not shown by ``repr``.
    """

    outcome: Literal["completed", "closed"] = "completed"
    elapsed: float
    first_chunk: float | None = None
    response: ChatCompletionResponse | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChunkEvent(Event):
    """
    A chunk of a stream goes to the caller.

    Attributes:
        index: Its number in the stream, from 0.

        chunk: The chunk; not shown by ``repr``.
    """

    index: int
    chunk: ChatCompletionChunk = attrs.field(repr=False)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RetryEvent(Event):
    """
    An attempt failed, and another one will be made at the same target.

    Attributes:
        attempt: Number of the failed attempt in the call, from 1.

        error: What it failed with.

        wait: Seconds until the next.
    """

    attempt: int
    error: AiLibError
    wait: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FailoverEvent(Event):
    """
    A target failed, and the next one is tried.

    Attributes:
        error: What it failed with.

        next_provider: Who is tried next.

        next_model: With which model; empty: not known yet.
    """

    error: AiLibError
    next_provider: str
    next_model: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BreakerEvent(Event):
    """
    A circuit breaker changed.

    Attributes:
        state: ``"open"``: calls are kept away; ``"half_open"``: one is let through to see; ``"closed"``.
    """

    state: Literal["open", "half_open", "closed"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorEvent(Event):
    """
    The call failed, was cancelled or interrupted.

    Attributes:
        error: An ``AiLibError``, or what interrupted it (``KeyboardInterrupt``, a task's cancellation).

        elapsed: Seconds of the whole call.

        response: What of a stream had come; ``None``: nothing. Not shown by ``repr``.
    """

    error: BaseException
    elapsed: float
    response: ChatCompletionResponse | None = attrs.field(default=None, repr=False)
