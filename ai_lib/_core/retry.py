"""
When to try the same target again. tenacity decides; nothing here sleeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from ai_lib._core.errors import (
    AiLibError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExhaustedError,
)
from ai_lib._core.record import Record

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying

    from ai_lib._core.budget import RetryBudget
    from ai_lib._core.call import Call

#: What stays as it is, however often one asks.
_LASTING = (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
)
RETRIED_STATUSES = frozenset({408, 409, 425, 429, *range(500, 600)})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RetryPolicy(Record):
    """
    When to try the same target again.

    Failed connections, time-outs and the *statuses* are retried, with the identical bytes; bad
    certificates, used-up quota and everything that another attempt cannot mend are not. The wait
    is random between nothing and *backoff*, doubled each time up to *backoff_cap*, and never
    less than what the provider asks for.

    Attributes:
        attempts: How many attempts in all, the first included.

        backoff: Seconds; bound of the first wait, doubled for each next one.

        backoff_cap: Seconds; bound of every wait that the provider did not ask for.

        retry_after_cap: Seconds; a provider that asks for more is not waited for: its error is
            raised at once, with ``retry_after`` on it.

        statuses: HTTP statuses that are worth another attempt.
    """

    attempts: int = attrs.field(default=3, validator=attrs.validators.ge(1))
    backoff: float = attrs.field(default=0.5, validator=attrs.validators.ge(0))
    backoff_cap: float = attrs.field(default=8.0, validator=attrs.validators.ge(0))
    retry_after_cap: float = attrs.field(default=60.0, validator=attrs.validators.ge(0))
    statuses: frozenset[int] = attrs.field(
        default=RETRIED_STATUSES, converter=frozenset, repr=False
    )

    def retries(self, error: BaseException) -> bool:
        """
        Whether *error* is worth another attempt at the same target.
        """
        if not isinstance(error, AiLibError) or isinstance(error, QuotaExhaustedError):
            return False
        status = error.status_code
        if "retryable" in vars(error) or status is None or status < 400:
            return error.is_retryable  # nothing but the error itself says it
        # A status that is retried by default may still mean what no attempt can mend.
        lasts = status in RETRIED_STATUSES and isinstance(error, _LASTING)
        return status in self.statuses and not lasts

    @property
    def longest_wait(self) -> float:
        """
        Seconds; no wait is longer, whoever asks for it.
        """
        return max(self.backoff_cap, self.retry_after_cap)

    def wait(self, failures: int, error: BaseException | None) -> float:
        """
        Seconds to wait after *failures* failed attempts, the last with *error*.
        """
        import random

        bound = min(self.backoff * 2 ** min(failures - 1, 30), self.backoff_cap)
        asked = getattr(error, "retry_after", None) or 0.0
        return max(asked, random.uniform(0, bound))  # noqa: S311  # no secret

    def retrying(
        self,
        sleep: Callable[[float], None],
        *,
        room: Callable[[], float | None],
        refused: Callable[[], bool] = bool,
    ) -> Retrying:
        """
        Make tenacity's loop for one call.

        Args:
            sleep: Told how long to wait before the next attempt; the flow waits in its place.

            room: Seconds that the call has left; a wait that would pass them is not begun.

            refused: Asked last, once for each retry: whether the budget has none left.
        """
        from tenacity import Retrying, retry_if_exception

        def wait(state: RetryCallState) -> float:
            return self.wait(state.attempt_number, _error_of(state))

        def stop(state: RetryCallState) -> bool:
            asked = getattr(_error_of(state), "retry_after", None) or 0.0
            left = room()
            return (
                state.attempt_number >= self.attempts
                or asked > self.retry_after_cap
                or (left is not None and state.upcoming_sleep >= left)
                or refused()
            )

        return Retrying(
            sleep=sleep,
            retry=retry_if_exception(self.retries),
            wait=wait,
            stop=stop,
            reraise=True,
        )


@attrs.frozen(eq=False, repr=False)
class Spending(Record):
    """
    One call's use of the retry budget of a host.
    """

    _budget: RetryBudget
    _call: Call

    def allowed(self) -> bool:
        """
        Take a retry: the call's own first, then from the reserve.
        """
        if not self._call.began_retrying:
            self._call.began_retrying = True
            return True
        return self._budget.spend()

    def refused(self) -> bool:
        """
        The same, the other way round.
        """
        return not self.allowed()


def _error_of(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
