"""
The retry budget: what bounds the load on a provider that is down.

Every call brings one retry of its own. Further ones come out of a reserve of ten for each provider and
host, which calls that needed none of theirs fill again. So a dead host gets at most twice the calls, and
ten.
"""

from __future__ import annotations

import threading

from ai_lib._core.forks import renew_after_fork

#: Retries in the reserve when it is full.
RESERVE = 10
#: Hosts whose budgets are kept.
_KEPT = 1_000


class RetryBudget:
    """
    The budget of one provider and host. Thread-safe.
    """

    __slots__ = ("__weakref__", "_left", "_lock")

    def __init__(self) -> None:
        self._left = RESERVE
        self._lock = threading.Lock()
        renew_after_fork(self)

    def renew(self) -> None:
        """
        Make the lock anew, in a forked child.
        """
        self._lock = threading.Lock()

    def spend(self) -> bool:
        """
        Take one retry out of the reserve; ``False``: it is empty.
        """
        with self._lock:
            if self._left:
                self._left -= 1
                return True
            return False

    def save(self) -> None:
        """
        Put the retry of a call that did not need it into the reserve.
        """
        if self._left < RESERVE:
            with self._lock:
                self._left = min(RESERVE, self._left + 1)


_budgets: dict[tuple[str, str], RetryBudget] = {}


def budget_of(provider: str, host: str) -> RetryBudget:
    """
    Find the budget that all calls of this process to a provider's host share.
    """
    found = _budgets.get((provider, host))
    if found is None:
        if len(_budgets) >= _KEPT:
            _budgets.pop(next(iter(_budgets)), None)
        found = _budgets.setdefault((provider, host), RetryBudget())
    return found
