"""
Limits of requests and tokens a minute that a client keeps by itself, by reservation.

A bucket fills evenly. Who takes more than is there leaves a debt, and is told how long to wait until
it is paid; so waits are in order, and nobody polls. What has been seen is, for requests and for tokens,
``[level, moment]``.
"""

from __future__ import annotations

from typing import Any

import attrs

from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.messages import TextPart
from ai_lib._core.record import Record

#: Characters of a token, and tokens of a part that is no text: estimates, put right by the usage told.
_CHARACTERS = 4
_PART = 1_000


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RateLimit(Record):
    """
    How much a target may be asked by this process; shared by all clients that set the same for it.

    Attributes:
        requests_per_minute: Requests, evenly spaced; ``None``: any number.

        tokens_per_minute: Tokens, read and written together; reserved by estimate when a request
            goes out, put right when its usage is told; ``None``: any number.

        burst: Requests that may go out at once after a pause. One by default, so that no minute
            ever sees more than the limit.

    Raises:
        ValueError: Neither limit is given, or one is not above zero.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    burst: int = attrs.field(default=1, validator=attrs.validators.ge(1))

    def __attrs_post_init__(self) -> None:
        given = [self.requests_per_minute, self.tokens_per_minute]
        if given == [None, None]:
            raise ValueError(
                "a rate limit needs requests_per_minute or tokens_per_minute"
            )
        for one in given:
            if one is not None and not one > 0:
                raise ValueError(f"a rate limit must be above zero, not {one!r}")

    def _buckets(self, tokens: float) -> list[tuple[float, float, float]]:
        """
        Give rate a second, capacity and what is taken, for requests and for tokens; a rate of 0: no limit.
        """
        requests = (self.requests_per_minute or 0) / 60
        rate = (self.tokens_per_minute or 0) / 60
        return [(requests, float(self.burst), 1.0), (rate, rate, tokens)]


@attrs.frozen(eq=False, repr=False)
class Reservation(Record):
    """
    What was taken.

    Attributes:
        wait: Seconds until it may be used.

        tokens: How many.

        refused: Nothing was taken, since the wait would be longer than allowed.
    """

    wait: float
    tokens: int
    refused: bool = False


def reserve(
    limit: RateLimit, seen: Any, now: float, tokens: int, *, most: float | None
) -> tuple[Any, Reservation]:
    """
    Take one request of so many tokens out of the buckets.

    Args:
        most: Seconds; where the wait is as long or longer, nothing is taken. ``None``: no bound.
    """
    levels: list[list[float] | None] = []
    wait = 0.0
    for at, (rate, capacity, taken) in enumerate(limit._buckets(tokens)):  # noqa: SLF001
        if not rate:
            levels.append(None)
            continue
        level = _level(seen, at, rate, capacity, now)
        wait = max(wait, (min(taken, capacity) - level) / rate)
        levels.append([level - taken, now])
    if most is not None and wait and wait >= most:
        return seen, Reservation(wait, tokens, refused=True)
    return levels, Reservation(max(wait, 0.0), tokens)


def settle(
    limit: RateLimit, seen: Any, now: float, *, requests: int, tokens: float
) -> Any:
    """
    Give back what was reserved and not used; below zero: take what was used beyond it.
    """
    levels: list[list[float] | None] = []
    for at, (rate, capacity, _) in enumerate(limit._buckets(0)):  # noqa: SLF001
        if not rate:
            levels.append(None)
            continue
        level = _level(seen, at, rate, capacity, now)
        back = (requests, tokens)[at]
        levels.append([min(level + back, capacity), now])
    return levels


def _level(seen: Any, at: int, rate: float, capacity: float, now: float) -> float:
    if not seen or seen[at] is None:
        return capacity
    level, moment = seen[at]
    return float(min(capacity, level + max(0.0, now - moment) * rate))


def tokens_of(request: ChatCompletionRequest) -> tuple[int, int]:
    """
    Estimate the tokens that a request has read, and the most that it may have written (0: not told).
    """
    read = 0
    for message in request.messages:
        content = message.content
        if isinstance(content, str):
            read += len(content) // _CHARACTERS
            continue
        for part in content or ():
            if isinstance(part, TextPart):
                read += len(part.text) // _CHARACTERS
            else:
                read += _PART
    return read + 4 * len(request.messages), request.max_tokens or 0
