"""
The circuit breaker: keeps calls away from a target that keeps failing, and lets one through to see.

Closed, it counts failures in a row; open, it refuses; after a while it is half open, and one trial decides.
What it has seen is ``[failures, opened, trial]``: a count, and moments or ``None``.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

from ai_lib._core.errors import (
    ApiError,
    InvalidResponseError,
    NetworkError,
    ServerError,
)
from ai_lib._core.record import Record

#: How an attempt ended, for whom it was made: it worked; the target failed; the target lives, but
#: refused this request (4xx), or only began to answer; nothing was learned of the target.
Verdict = Literal["worked", "failed", "lives", "nothing"]
Change = Literal["closed", "open", "half_open"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BreakerPolicy(Record):
    """
    When to keep calls away from a target, and for how long.

    Attributes:
        failures: Attempts in a row that must fail to open the circuit: 5xx, connections, time-outs and
            answers that cannot be read. 4xx is the request's fault or a limit, and does not count.

        recovery: Seconds until one trial is let through; it closes the circuit, or opens it
            for as long again.
    """

    failures: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    recovery: float = attrs.field(default=30.0, validator=attrs.validators.gt(0))


@attrs.frozen(eq=False, repr=False)
class Admission(Record):
    """
    What the breaker says of an attempt.

    Attributes:
        wait: Seconds until it is worth asking again; ``None``: go ahead.

        trial: It goes ahead to see whether the target works again.
    """

    wait: float | None = None
    trial: bool = False


def verdict_of(error: BaseException | None) -> Verdict:
    """
    Judge an attempt by what it ended in.
    """
    if error is None:
        return "worked"
    if isinstance(error, ServerError | NetworkError | InvalidResponseError):
        return "failed"
    return "lives" if isinstance(error, ApiError) else "nothing"


def admit(policy: BreakerPolicy, seen: Any, now: float) -> tuple[Any, Admission]:
    """
    Ask whether an attempt may be made.
    """
    failures, opened, trial = seen or (0, None, None)
    if opened is None:
        return seen, Admission()
    left = opened + policy.recovery - now
    if trial is not None:  # one that never comes back is not waited for
        left = trial + policy.recovery - now
    if left > 0:
        return seen, Admission(wait=left)
    return [failures, opened, now], Admission(trial=True)


def judged(
    policy: BreakerPolicy, seen: Any, now: float, verdict: Verdict, *, trial: bool
) -> tuple[Any, Change | None]:
    """
    Take how an attempt ended; gives what that changed.
    """
    failures, opened, _ = seen or (0, None, None)
    if opened is not None and not trial:
        return seen, None  # begun before the circuit opened
    if verdict == "worked":
        return None, "closed" if opened is not None else None
    if verdict == "lives":
        # Closed again, and open at the next failure.
        return (seen, None) if opened is None else (_probation(policy), "closed")
    if verdict == "nothing":
        return (seen if opened is None else [failures, opened, None]), None
    failures += 1
    if opened is None and failures < policy.failures:
        return [failures, None, None], None
    return [failures, now, None], "open"


def _probation(policy: BreakerPolicy) -> Any:
    return [policy.failures - 1, None, None] if policy.failures > 1 else None


def is_open(seen: Any) -> bool:
    """
    Whether the circuit is open, or half open.
    """
    return bool(seen) and seen[1] is not None
