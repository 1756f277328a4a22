"""
What is logged, under ``ai_lib``: who was asked, when and how it went. Never a key, a prompt, a header or a body.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ai_lib._core.secrets import redact

if TYPE_CHECKING:
    import logging

    from ai_lib._core.errors import AiLibError
    from ai_lib._core.ledger import Attempt
    from ai_lib._core.routes import Route


@cache
def logger(name: str) -> logging.Logger:
    """
    Give the logger of that name under ``ai_lib``, which by itself prints nothing.
    """
    import logging  # not with the package: it takes longer than many of its modules

    ours = logging.getLogger("ai_lib")
    if not ours.handlers:
        ours.addHandler(logging.NullHandler())
    return ours.getChild(name)


def attempted(line: Attempt, route: Route, number: int) -> None:
    """
    Log an attempt, at DEBUG.
    """
    attempts = logger("attempt")
    if attempts.isEnabledFor(10):
        attempts.debug(
            "%s %s: attempt %d, %s, %.3f s, request id %s",
            line.provider,
            route.host,
            number,
            line.status_code or (line.error or "").partition(":")[0] or "answered",
            line.elapsed,
            redact(line.request_id or "") or None,
        )


def retrying(provider: str, error: AiLibError, wait: float) -> None:
    """
    Log a retry, at INFO.
    """
    logger("retry").info("%s: %s%s; again in %.2f s", provider, *_kind(error), wait)


def failing_over(provider: str, error: AiLibError, goal: str) -> None:
    """
    Log a failover, at INFO.
    """
    logger("failover").info("%s: %s%s; %s is next", provider, *_kind(error), goal)


def broke(provider: str, state: str) -> None:
    """
    Log a change of a breaker: at WARNING that it opens, else at INFO.
    """
    level = 30 if state == "open" else 20
    logger("breaker").log(level, "%s: the circuit is %s", provider, state)


def lost_note(kind: str) -> None:
    """
    Log that a store could not be told something, at WARNING.
    """
    logger("state").warning("The state store raised %s; nothing was noted.", kind)


def _kind(error: AiLibError) -> tuple[str, str]:
    # Not its message, which may quote what the provider echoed of a prompt.
    status = f" ({error.status_code})" if error.status_code else ""
    return type(error).__name__, status
