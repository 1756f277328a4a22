"""
What headers and messages say of waiting: how long, until which limit is full again, and under which id
the provider remembers the request.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from ai_lib._core.dialects._shared import as_text, bounded
from ai_lib._core.ledger import RateLimits

Clock = Callable[[], float]

_REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "x-ds-trace-id",
    "mistral-correlation-id",
    "x-generation-id",
    "x-debug-trace-id",
    "cf-ray",
)


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """
    Find the provider's id of a request in an answer's headers.
    """
    found = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
    return found and bounded(found, 200)


# How long to wait


_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")
_PIECE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?(ms|us|µs|ns|s|m|h|d)(?![a-z])")
_UNITS = {
    "d": 86400,
    "h": 3600,
    "m": 60,
    "s": 1,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}
_TRY_AGAIN = (
    r"\b(?:try again|retry|wait|available)(?: in| after| for)? "
    r"((?:[0-9]{1,9}(?:\.[0-9]{1,9})?\s?[a-zµ]{1,12}[ ,]?){1,4})"
)
# The longer ones first: one may hold another.
_WORDS = {
    "milliseconds": "ms",
    "millisecond": "ms",
    "seconds": "s",
    "second": "s",
    "secs": "s",
    "sec": "s",
    "minutes": "m",
    "minute": "m",
    "mins": "m",
    "min": "m",
    "hours": "h",
    "hour": "h",
    "days": "d",
    "day": "d",
}
#: A week: what says more is no hint of how long to wait.
_ABSURD = 7 * 86400.0


def retry_after_of(
    headers: Mapping[str, str],
    *,
    told: float | None = None,
    message: str = "",
    limits: RateLimits | None = None,
    now: Clock = time.time,
) -> float | None:
    """
    Give the first hint that can be read: headers made for it, the body, resets of exhausted limits.

    Args:
        headers: Names in lower case.

        told: What a field of the body says.

        message: The error's words, where "try again in 20s" may stand.

        limits: What the headers say of limits; only of an answer that says one was hit.

        now: Seconds since 1970, to which dates in headers are compared.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = headers.get("retry-after", "")
    hints = (_number(after), _date(after, now), told, _promised(message))
    hint = next((one for one in hints if one is not None and one <= _ABSURD), None)
    if hint is None and limits is not None:
        return _until_lifted(limits)
    return hint


def _number(text: str | None) -> float | None:
    found = _NUMBER.fullmatch(text.strip()) if text else None
    return float(found[0]) if found and float(found[0]) <= _ABSURD * 1000 else None


def _date(text: str, now: Clock) -> float | None:
    if not text or not any(letter.isalpha() for letter in text):
        return None
    from email.utils import parsedate_to_datetime

    try:
        wait = parsedate_to_datetime(text[:100]).timestamp() - now()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
    return wait if wait >= 0 else None


def _promised(message: str) -> float | None:
    """
    Read "try again in 7m12.5s" and the like.
    """
    found = re.search(_TRY_AGAIN, message[:2000].lower())
    if found is None:
        return None
    text = found[1]
    for word, unit in _WORDS.items():
        text = text.replace(word, unit)
    total = sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(text))
    return total or None


def duration_of(value: Any) -> float | None:
    """
    Read a duration such as ``6m0s``, ``88ms`` or ``17s``, all of it or nothing.
    """
    text = as_text(value).strip()[:100]
    pieces = _PIECE.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in pieces)


def _until_lifted(limits: RateLimits) -> float | None:
    """
    Give the seconds until the limit that was hit is lifted: one without rest, else the one with the
    smallest share left, where all of them tell theirs.
    """
    told = (
        (limits.requests_remaining, limits.requests_limit, limits.requests_reset),
        (limits.tokens_remaining, limits.tokens_limit, limits.tokens_reset),
    )
    known = [one for one in told if one[2] is not None]
    hit = [reset for left, _, reset in known if left == 0 and reset is not None]
    if hit:
        return max(hit)
    if any(left is None or not limit for left, limit, _ in known):
        return None
    shares = [((left or 0) / (limit or 1), reset) for left, limit, reset in known]
    return min(shares, default=(0, None), key=lambda share: share[0])[1]


# Limits in headers

_LIMITS: dict[str, tuple[str, ...]] = {
    "requests_limit": (
        "x-ratelimit-limit-requests",
        "anthropic-ratelimit-requests-limit",
        "x-ratelimit-limit-req-minute",
        "x-ratelimit-limit",
    ),
    "requests_remaining": (
        "x-ratelimit-remaining-requests",
        "anthropic-ratelimit-requests-remaining",
        "x-ratelimit-remaining-req-minute",
        "x-ratelimit-remaining",
    ),
    "requests_reset": (
        "x-ratelimit-reset-requests",
        "anthropic-ratelimit-requests-reset",
        "x-ratelimit-reset",
    ),
    "tokens_limit": (
        "x-ratelimit-limit-tokens",
        "anthropic-ratelimit-tokens-limit",
        "x-ratelimit-limit-tokens-minute",
    ),
    "tokens_remaining": (
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-tokens-remaining",
        "x-ratelimit-remaining-tokens-minute",
    ),
    "tokens_reset": (
        "x-ratelimit-reset-tokens",
        "anthropic-ratelimit-tokens-reset",
    ),
}


def rate_limits_of(
    headers: Mapping[str, str], *, now: Clock = time.time
) -> RateLimits | None:
    """
    Read what an answer's headers say of the provider's limits; ``None``: nothing.

    Args:
        headers: Names in lower case.

        now: Seconds since 1970, to which instants in headers are compared.
    """
    if not any("ratelimit" in name for name in headers):
        return None
    found: dict[str, Any] = {}
    for field, names in _LIMITS.items():
        for name in names:
            if text := headers.get(name):
                reset = field.endswith("reset")
                found[field] = _reset_in(text, now) if reset else _whole(text)
                break
    if all(value is None for value in found.values()):
        return None
    return RateLimits(**found)


def _whole(text: str) -> int | None:
    if text.isascii() and text.isdecimal() and len(text) < 16:
        return int(text)  # as all write it
    number = _NUMBER.fullmatch(text.strip())
    return int(float(number[0])) if number else None


def _reset_in(text: str, now: Clock) -> float | None:
    """
    Read a reset: a duration, seconds, or an instant (RFC 3339, seconds or milliseconds since 1970).
    """
    text = text.strip()
    seconds = duration_of(text)
    if seconds is None and (number := _NUMBER.fullmatch(text)):
        seconds = float(number[0])
        if seconds > 1e11:
            seconds = seconds / 1000
        if seconds > 1e9:
            seconds -= now()
    if seconds is None:
        seconds = _instant(text, now)
    return seconds if seconds is not None and 0 <= seconds <= _ABSURD else None


def _instant(text: str, now: Clock) -> float | None:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text[:40])
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() - now()
    except (ValueError, OverflowError, OSError):
        return None
