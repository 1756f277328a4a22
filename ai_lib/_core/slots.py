"""
Places for exchanges under way at once: ``max_concurrency``. Nothing here waits; the shells do.

A place that is given back goes to who has waited longest, directly, so nobody is overtaken and no
wake-up is lost. It is held from before a request is sent until its body is closed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from ai_lib._core.forks import renew_after_fork

Wake = Callable[[], object]


class Slots:
    """
    The places of one target, shared by all threads and event loops of the process. Thread-safe.

    Args:
        limit: How many there are.
    """

    __slots__ = ("__weakref__", "_free", "_limit", "_lock", "_waiting")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """
        Begin anew, in a forked child: what the parent does takes no place of the child's.
        """
        self._free = self._limit
        self._waiting: OrderedDict[object, Wake] = OrderedDict()
        self._lock = threading.RLock()  # a stream may be collected anywhere

    def take(self, ticket: object, wake: Wake) -> bool:
        """
        Take a place, or queue for one.

        Args:
            ticket: Stands for who asks.

            wake: Called, from any thread, when a place was handed over; it must not block.

        Returns:
            Whether there is a place at once.
        """
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return True
            self._waiting[ticket] = wake
            return False

    def give_up(self, ticket: object) -> None:
        """
        Wait no longer; a place that was handed over meanwhile is given back.
        """
        with self._lock:
            if self._waiting.pop(ticket, None) is None:
                self.leave()

    def leave(self) -> None:
        """
        Give a place back: to who waits, or to who comes.
        """
        with self._lock:
            if self._waiting:
                _, wake = self._waiting.popitem(last=False)
                wake()
            else:
                self._free = min(self._limit, self._free + 1)


_places: dict[tuple[str, int], Slots] = {}
_KEPT = 1_000


def slots_of(target: str, limit: int) -> Slots:
    """
    Find the places of a target that all clients of this process with the same limit share.
    """
    found = _places.get((target, limit))
    if found is None:
        if len(_places) >= _KEPT:  # whoever still holds places keeps its own
            _places.pop(next(iter(_places)), None)
        found = _places.setdefault((target, limit), Slots(limit))
    return found
