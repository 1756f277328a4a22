"""
A blocking function that runs in a thread of its own, for both shells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

T = TypeVar("T")


class Errand(Generic[T]):
    """
    Runs *function* from now on, in a daemon thread: left behind, it keeps no process from ending.

    Args:
        function: What to run.

        tell: Called in that thread when it is done.
    """

    def __init__(self, function: Callable[[], T], tell: Callable[[], object]) -> None:
        self._function = function
        self._tell = tell
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._disposal: Callable[[T], object] | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        run = copy_context().run
        threading.Thread(
            target=run, args=(self._run,), daemon=True, name="ai_lib-errand"
        ).start()

    def _run(self) -> None:
        try:
            result = self._function()
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            self._errors.append(error)
        else:
            with self._lock:
                self._results.append(result)
                disposal = self._disposal
            if disposal is not None:
                disposal(result)
        finally:
            self._over.set()
            self._tell()

    @property
    def done(self) -> bool:
        """
        Whether it has returned or raised.
        """
        return bool(self._results or self._errors)

    @property
    def error(self) -> BaseException | None:
        """
        What it raised; ``None``: nothing so far.
        """
        return self._errors[0] if self._errors else None

    def wait(self, seconds: float) -> None:
        """
        Wait until it is done, no longer than *seconds*.
        """
        self._over.wait(seconds)

    def dispose(self, disposal: Callable[[T], object]) -> None:
        """
        Give its result to *disposal*: now, or when it is there.
        """
        with self._lock:
            self._disposal = disposal
            results = list(self._results)
        for one in results:
            disposal(one)

    def result(self) -> T:
        """
        Give what it returned, or raise what it raised; once.
        """
        if self._errors:
            raise self._errors.pop()
        return self._results.pop()
