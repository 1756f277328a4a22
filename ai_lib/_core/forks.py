"""
What a forked child begins anew: locks that a thread of the parent held stay held for ever, for that thread is not there.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Renewed(Protocol):
    """
    Something with locks, or with counts of what only the parent does.
    """

    def renew(self) -> None:
        """
        Begin anew in a forked child.
        """


_renewed: weakref.WeakSet[Renewed] = weakref.WeakSet()


def renew_after_fork(one: Renewed) -> None:
    """
    Have ``one.renew()`` called in every forked child, as long as *one* lives.
    """
    _renewed.add(one)


def _renew_all() -> None:
    for one in list(_renewed):
        one.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)


class ProcessLock:
    """
    A lock of a module: ``with lock():``, which is free in a forked child.
    """

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self)

    def __call__(self) -> threading.Lock:
        """
        Give the lock, which is this process's.
        """
        return self._lock

    def renew(self) -> None:
        """
        Make it anew.
        """
        self._lock = threading.Lock()
