"""
Progress of a batch as people see it: a bar, a line, a few lines in a log; or a callable that is told.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from ai_lib._core.batch.progress import BatchProgress
from ai_lib._core.log import logger
from ai_lib._core.secrets import redact

_LOGGER = logger("batch")

#: Seconds; nobody reads faster, and a bar costs more than a small item.
_EVERY = 0.1

Tell = Callable[[BatchProgress], object]


class Display(Protocol):
    """
    Shows progress, one snapshot at a time.
    """

    def show(self, snapshot: BatchProgress) -> None:
        """
        Show how far it is.
        """

    def close(self) -> None:
        """
        Leave the last state standing, and the terminal as it was.
        """


class Progress:
    """
    Hands snapshots on, the newest one at most every tenth of a second, the last one always.

    Thread-safe; no thread waits for another one's showing. What the display raises is logged once, and
    harms nothing.
    """

    def __init__(
        self, display: Display | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._display = display
        self._clock = clock
        self._next = float("-inf")
        self._held: BatchProgress | None = None
        self._last: BatchProgress | None = None
        self._complained = False
        self._showing = threading.Lock()

    @property
    def due(self) -> bool:
        """
        Whether a snapshot would be shown now, so that none need be made when not.
        """
        return self._display is not None and self._clock() >= self._next

    def tell(self, snapshot: BatchProgress) -> None:
        """
        Show how far it is, if it is time.
        """
        self._held = snapshot
        if self.due and self._showing.acquire(blocking=False):
            try:
                self._show()
            finally:
                self._showing.release()

    def _show(self) -> None:
        snapshot = self._held
        if self._display is None or snapshot is None or snapshot is self._last:
            return
        self._last = snapshot
        try:
            self._display.show(snapshot)
        except Exception as error:  # noqa: BLE001  # the caller's own, or a terminal that is gone
            self._complain(error)
        self._next = self._clock() + _EVERY

    def _complain(self, error: Exception) -> None:
        if self._complained:
            return
        self._complained = True
        from traceback import format_exception

        _LOGGER.error(
            "Progress could not be told; the batch goes on, and this is said once.\n%s",
            redact("".join(format_exception(error))),
        )

    def close(self, last: BatchProgress | None = None) -> None:
        """
        Show the last state, if it was not yet, and be done; may be called twice.

        Args:
            last: It; by default what was told last.
        """
        with self._showing:
            if last is not None:
                self._held = last
            self._show()
            display, self._display = self._display, None
            if display is not None:
                try:
                    display.close()
                except Exception as error:  # noqa: BLE001  # likewise
                    self._complain(error)


def open_progress(progress: bool | Tell | None, total: int | None = None) -> Progress:
    """
    Make what shows the progress of a batch.

    Args:
        progress: ``True``: on stderr, in a terminal a bar with tqdm if it is installed, else one line, in
            a notebook likewise; where it is neither, a line at each tenth. A callable is told instead.

        total: How many items there are; ``None``: not known.

    Raises:
        TypeError: *progress* is none of these, or a coroutine function, which nobody would await.
    """
    if progress is None or progress is False:
        return Progress(None)
    if progress is True:
        return Progress(_display(total))
    if not callable(progress):
        raise TypeError(
            f"progress must be True, False or a callable, not {type(progress).__name__}"
        )
    from inspect import iscoroutinefunction

    if iscoroutinefunction(progress):
        raise TypeError("progress must be a plain callable, not a coroutine function")
    return Progress(_Told(progress))


def _display(total: int | None) -> Display | None:
    stream = sys.stderr
    if stream is None:  # pythonw, a daemon
        return None
    notebook = _in_notebook()
    if not notebook and not stream.isatty():
        return _Lines(stream)
    with suppress(ImportError):
        return _Bar(total)
    return _Line(stream, width=_width)


def _in_notebook() -> bool:
    ipython: Any = sys.modules.get("IPython")  # never the first to load it
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in getattr(shell, "config", ())


def _width() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns


class _Told:
    def __init__(self, function: Tell) -> None:
        self._function = function

    def show(self, snapshot: BatchProgress) -> None:
        self._function(snapshot)

    def close(self) -> None:
        pass


class _Bar:
    """
    A bar of tqdm's, in a terminal or a notebook.
    """

    def __init__(self, total: int | None) -> None:
        import warnings

        with warnings.catch_warnings():
            # In a notebook without widgets it warns, and draws in text all the same.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

            kind = type("Bar", (tqdm,), {"monitor_interval": 0})  # no thread of its own
            # tqdm's own rate would count what was recalled from the journal in no time.
            self._bar: Any = kind(
                total=total,
                bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
                dynamic_ncols=True,
                leave=True,
            )

    def show(self, snapshot: BatchProgress) -> None:
        bar = self._bar
        bar.total = snapshot.total
        bar.n = snapshot.done
        words = snapshot.details()
        if snapshot.failed:
            words.insert(0, f"{snapshot.failed:,} failed")
        bar.set_postfix_str(", ".join(words), refresh=False)
        bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _Line:
    """
    One line that is written over.
    """

    def __init__(self, stream: Any, *, width: Callable[[], int]) -> None:
        self._stream = stream
        self._width = width
        self._shown = 0

    def show(self, snapshot: BatchProgress) -> None:
        # A cell less than there are: a full line makes some terminals go to the next.
        text = str(snapshot)[: max(self._width() - 1, 0)]
        self._stream.write(f"\r{text.ljust(self._shown)}")
        self._stream.flush()
        self._shown = len(text)

    def close(self) -> None:
        if self._shown:
            self._stream.write("\n")
            self._stream.flush()


class _Lines:
    """
    A line at each tenth of the way, for logs; without a known end, one at the end.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._tenth = 0
        self._last: BatchProgress | None = None
        self._written: BatchProgress | None = None

    def show(self, snapshot: BatchProgress) -> None:
        self._last = snapshot
        tenth = 10 * snapshot.done // snapshot.total if snapshot.total else 0
        if tenth > self._tenth:
            self._tenth = tenth
            self._write(snapshot)

    def _write(self, snapshot: BatchProgress) -> None:
        self._written = snapshot
        self._stream.write(f"{snapshot}\n")
        self._stream.flush()

    def close(self) -> None:
        if self._last is not None and self._last is not self._written:
            self._write(self._last)
