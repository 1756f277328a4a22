"""
What the clients of a process share about a target: breakers, rate limits, latencies.

The policies are frozen records, and what they have seen is a small JSON value, which pure functions
move on. A ``StateStore`` keeps these values; it knows nothing of what they mean.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from ai_lib._core.forks import renew_after_fork

#: Values that are kept; the ones not used for longest make room.
_KEPT = 10_000


class StateStore(Protocol):
    """
    Keeps what clients share about targets. The default one serves the clients of this process; one of
    your own can serve many processes or machines. It must be thread-safe.

    Attributes:
        blocking: Whether ``update`` may wait, for a network say. It is then called in a thread of its
            own, so that it holds up no event loop.

        salt: Mixed into the fingerprints of keys that stand in names; the same for all who share
            the store.
    """

    blocking: bool
    salt: bytes

    def now(self) -> float:
        """
        Seconds of a clock that never goes back, and that all who share the store agree on.
        """

    def update(self, name: str, change: Callable[[Any], tuple[Any, Any]]) -> Any:
        """
        Replace a value by what *change* makes of it, as one step that nobody comes between.

        Args:
            name: The value's name, printable ASCII.

            change: Given the value (plain JSON; ``None``: there is none), returns the new one (``None``: keep
                none) and a result. It has no other effect, so it may be called again after a conflict.

        Returns:
            The result.
        """


class LocalState:
    """
    Keeps values in this process: the default, and a fresh one keeps clients apart.

    Args:
        clock: Seconds of a monotonic clock.
    """

    blocking = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.salt = os.urandom(16)
        self._clock = clock
        self._values: dict[str, Any] = {}
        self._lock = threading.Lock()
        renew_after_fork(self)

    def renew(self) -> None:
        """
        Make the lock anew: in a forked child, the thread that held it is gone.
        """
        self._lock = threading.Lock()

    def now(self) -> float:
        """
        Seconds of a monotonic clock.
        """
        return self._clock()

    def update(self, name: str, change: Callable[[Any], tuple[Any, Any]]) -> Any:
        """
        Replace a value by what *change* makes of it.
        """
        with self._lock:
            value, result = change(self._values.pop(name, None))
            if value is not None:
                self._values[name] = value
                if len(self._values) > _KEPT:
                    del self._values[next(iter(self._values))]
            return result


#: What all clients of the process share unless they are given another store.
PROCESS_STATE = LocalState()
