"""
What a call has tried so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ai_lib._core.record import Record

if TYPE_CHECKING:
    from ai_lib._core.chat import Usage


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RateLimits(Record):
    """
    What an answer's headers said of the provider's limits; ``None``: not told.

    Attributes:
        requests_limit: Requests that a window allows.

        requests_remaining: How many of them are left.

        requests_reset: Seconds until the window is full again.

        tokens_limit: Tokens that a window allows.

        tokens_remaining: How many of them are left.

        tokens_reset: Seconds until the window is full again.
    """

    requests_limit: int | None = None
    requests_remaining: int | None = None
    requests_reset: float | None = None
    tokens_limit: int | None = None
    tokens_remaining: int | None = None
    tokens_reset: float | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Attempt(Record):
    """
    One exchange of a call with a provider.

    Attributes:
        provider: Id of the provider.

        model: The model asked for.

        status_code: HTTP status; ``None``: no answer was heard.

        error: Name of the error's class and its message; ``None``: it answered.

        waited: Seconds waited before it, backoff and limits together.

        elapsed: Seconds it took; of a stream, until its first chunk.

        request_id: The provider's id of the request.

        usage: What it cost, where told.
    """

    provider: str
    model: str
    status_code: int | None = None
    error: str | None = None
    waited: float = 0.0
    elapsed: float = 0.0
    request_id: str | None = None
    usage: Usage | None = None
