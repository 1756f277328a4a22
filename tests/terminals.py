"""
``ai-lib`` as a person meets it: a process on a pseudo-terminal, its keys and its screen; or in a pipe.
"""

from __future__ import annotations

import os
import re
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

import faults

ROOT = Path(__file__).parent.parent

#: Runs what follows as the leader of its terminal, so that Ctrl-C reaches it.
_LEAD = (
    "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)

#: What moves the cursor, colours, or hides.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\]8;[^\x1b]*\x1b\\")


def surroundings(server, home, **changes):
    """
    Make an environment: groq's key, groq's server on loopback, and nothing of this process but its path.
    """
    plain = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "TERM": "xterm-256color",
        "INPUTRC": os.devnull,
        "GROQ_API_KEY": "key-of-groq",
        "GROQ_BASE_URL": server.url,
    }
    return {name: value for name, value in {**plain, **changes}.items() if value}


def run(*arguments, environ, piped="", cwd=None):
    """
    Run ``ai-lib`` in pipes: exit code, standard output, standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", "ai_lib", *arguments],
        input=piped.encode(),
        capture_output=True,
        check=False,
        cwd=cwd,
        env=environ,
        timeout=60,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Terminal:
    """
    A process on a terminal of its own; a context manager that ends it.

    Args:
        size: Lines and columns.

        code: Run this program in place of ``ai-lib``.

    Attributes:
        raw: All that came out, escapes included.
    """

    def __init__(self, *arguments, environ, size=(24, 80), code=None, cwd=None):
        import fcntl  # not where there are no pseudo-terminals
        import termios

        self.raw = ""
        self._seen = self._pressed = 0
        self._mine, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        program = ["-m", "ai_lib"] if code is None else ["-c", code]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LEAD, *program, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            cwd=cwd,
            env=environ,
        )
        os.close(theirs)

    @property
    def screen(self):
        """
        What came out, without escapes.
        """
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def type(self, keys):
        """
        Press keys.
        """
        os.write(self._mine, keys.encode())

    def until(self, text, within=faults.PATIENCE):
        """
        Wait until *text* comes out, behind what was waited for before.

        Returns:
            What came until then.
        """
        deadline = time.monotonic() + within
        while (at := self.screen.find(text, self._seen)) < 0:
            assert self._more(deadline), f"waited in vain for {text!r}: {self.raw!r}"
        found = self.screen[self._seen : at]
        self._seen = at + len(text)
        return found

    def interrupt_until(self, text):
        """
        Press Ctrl-C until *text* comes out: CPython's line editor may sleep through one that comes just before it
        begins to wait for a key.
        """
        while True:
            self.type("\x03")
            try:
                return self.until(text, within=faults.PATIENCE / 5)
            except AssertionError:
                self._pressed += 1
                if self._pressed == 5:
                    raise

    def end(self, within=faults.PATIENCE):
        """
        Wait until it ends.

        Returns:
            Its exit code.
        """
        deadline = time.monotonic() + within
        while self._more(deadline):
            pass
        return self._process.wait(within)

    def _more(self, deadline):
        wait = max(0.0, deadline - time.monotonic())
        if not select.select([self._mine], [], [], wait)[0]:
            return False
        try:
            data = os.read(self._mine, 65536)
        except OSError:  # Linux, when the other side is closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.wait()
        os.close(self._mine)
