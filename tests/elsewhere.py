"""
What tests have called in other processes, which can import this.
"""

from __future__ import annotations

import os
import threading

from faults import PATIENCE

TOLD = []


def tell(event):
    """
    Be a hook that can be found by its name.
    """
    TOLD.append(event)


def key_of_a_vault():
    """
    Give a key where it is asked for.
    """
    return f"vault-{os.getpid()}-key"


class TwoWords(Exception):
    """
    An error that cannot be unpickled: it wants more than it keeps.
    """

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def no_key():
    """
    Fail where a key is asked for, with an error that cannot travel.
    """
    raise TwoWords("no", "vault")


def leave():
    """
    Fail as a process does that is told to end.
    """
    raise SystemExit(3)


def die(*_):
    """
    End this process as a kill does.
    """
    os._exit(9)


def lose():
    """
    Fail as an executor may that is spread over machines.
    """
    raise RuntimeError("a machine is gone")


class Slow:
    """
    A hook that is being unpickled until it is told to go on.
    """

    begun, go_on = threading.Event(), threading.Event()

    def __call__(self, event):
        pass

    def __getstate__(self):
        return "slow"

    def __setstate__(self, state):
        self.begun.set()
        self.go_on.wait(PATIENCE)
