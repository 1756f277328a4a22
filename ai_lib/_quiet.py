"""
Lets Ctrl-C end the command ``ai-lib`` without a traceback while it is still importing the library.

The package imports this before all else. In any other program it does nothing.
"""

from __future__ import annotations

import sys
from types import TracebackType


def _is_command() -> bool:
    program = sys.argv[0] if getattr(sys, "argv", None) else ""
    if program == "-m":  # so it is called until the module is found
        return "ai_lib" in sys.orig_argv
    name = program.replace("\\", "/").rpartition("/")[2]
    return name.lower() in ("ai-lib", "ai-lib.exe", "ai-lib-script.py")


def _tell(
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    # Untold, it still ends the process as the signal would, and the shell sees 130.
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)


if _is_command():
    sys.excepthook = _tell
