"""
What tests have done in forked processes.
"""

from __future__ import annotations

import os
import threading
import warnings

from faults import PATIENCE
from twins import Stopwatch


def in_child(function):
    """
    Run a function in a forked process; give what reads its exit code.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # 3.12: of threads and forks
        child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:  # noqa: BLE001  # nothing of the parent's may run here
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)

    def wait():
        watch = Stopwatch()
        while watch.seconds < PATIENCE:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            threading.Event().wait(0.005)
        os.kill(child, 9)
        os.waitpid(child, 0)
        return "hung"

    return wait
