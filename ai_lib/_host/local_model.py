"""
The embedded model: llama.cpp's server as a child of this process (extra ``local``).

The child starts when it is first asked for, is shared by all clients of the process, and
ends with it. It is reached over HTTP like any other server; nothing here speaks HTTP.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import sys
import threading
from collections import deque
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from ai_lib._core.errors import LocalModelError
from ai_lib._core.log import logger
from ai_lib._core.providers import Origin
from ai_lib._core.secrets import Secret, redact
from ai_lib._host.model_file import ModelFile, fetch, locate

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from concurrent.futures import Future

_LOGGER = logger("local")
_ENGINE = "xllamacpp"
_STAMP = re.compile(r"^[\d.]+ [A-Z] ")


def serve(model: str | None = None) -> Origin:
    """
    See to it that a server runs the model, and say where.

    Blocks until it listens: no time if it does already, half a second to start it, minutes
    if the model must be fetched before. From any thread: who comes during a start waits
    for the same one. A child that has died is replaced. A forked process starts its own.

    Args:
        model: Path of a GGUF file; ``None``: the one that ``model_file.locate`` finds.

    Raises:
        LocalModelError: It cannot be had or does not run.
    """
    return _SERVERS.serve(model)


@attrs.define(eq=False)
class _Child:
    """
    A server's process, as far as this one knows it.
    """

    process: subprocess.Popen[bytes]
    key: Secret
    base_url: str = ""
    settled: threading.Event = attrs.field(factory=threading.Event)
    tail: deque[str] = attrs.field(factory=lambda: deque(maxlen=4))

    def listen(self) -> None:
        """
        Read what it writes until it ends: where it listens, and its log's last lines.
        """
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            for raw in pipe:
                self._hear(raw.decode(errors="replace").strip())
        self.settled.set()

    def _hear(self, line: str) -> None:
        if not self.base_url and line.startswith('{"listening": "'):
            self.base_url = json.loads(line)["listening"] + "/v1"
            self.settled.set()
        elif line:
            self.tail.append(_STAMP.sub("", line))

    def tell(self, settings: dict[str, str]) -> None:
        """
        Send its settings; a child that is gone already is noticed elsewhere.
        """
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(json.dumps(settings).encode() + b"\n")

    def last_words(self) -> str:
        """
        What the log said last, in one line.
        """
        return redact("; ".join(self.tail))[:600] or "it said nothing"

    def end(self, patience: float) -> None:
        """
        Ask it to end, and make it end after *patience* seconds.
        """
        import subprocess

        self.hang_up()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def hang_up(self) -> None:
        """
        Close the pipe whose end tells it that nobody is here any more.
        """
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()

    def disown(self) -> None:
        """
        Let go of a child of the process that this one was forked from.
        """
        assert self.process.stdout is not None
        self.hang_up()  # this copy of the pipe would keep it alive
        self.process.stdout.close()
        # It cannot be waited for, nor is there anything to warn of.
        self.process.returncode = 0


@attrs.define(eq=False, kw_only=True)
class LocalServers:
    """
    The servers of a process, one for each model.

    Attributes:
        command: The child's program.

        engine: The module that it needs.

        locate: Says which file is the model.

        fetch: Brings the file if it is missing.

        patience: Seconds that a start may take; a large model on a slow disk takes minutes.
    """

    command: tuple[str, ...] = (
        sys.executable,
        "-P",  # this folder is no place to import from
        str(Path(__file__).with_name("llama_server.py")),
    )
    engine: str = _ENGINE
    locate: Callable[[str | None], ModelFile] = locate
    fetch: Callable[[Path], None] = fetch
    patience: float = 300.0
    _starts: dict[Path, Future[_Child]] = attrs.field(factory=dict, init=False)
    _children: list[_Child] = attrs.field(factory=list, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _guarded: bool = attrs.field(default=False, init=False)

    def serve(self, model: str | None = None) -> Origin:
        """
        As the function of this name.
        """
        file = self.locate(model)
        start, is_mine = self._join(file.path)
        if is_mine:
            self._begin(file, start)
        error = start.exception()
        if error:
            # Several threads may wait for this start: each gets an error of its own.
            raise LocalModelError(str(error))
        child = start.result()
        return Origin(base_url=child.base_url, key=child.key)

    def stop(self) -> None:
        """
        End all servers; a later ``serve`` starts new ones.
        """
        with self._lock:
            children, self._children, self._starts = self._children, [], {}
        for child in children:
            child.hang_up()
        for child in children:
            child.end(patience=3.0)

    def _join(self, path: Path) -> tuple[Future[_Child], bool]:
        from concurrent.futures import Future

        with self._lock:
            start = self._starts.get(path)
            if start is not None and not self._is_over(start):
                return start, False
            self._starts[path] = start = Future()
            return start, True

    def _is_over(self, start: Future[_Child]) -> bool:
        if not start.done():
            return False
        if start.exception():
            return True
        child = start.result()
        code = child.process.poll()
        if code is None:
            return False
        child.end(patience=0.0)
        self._children.remove(child)
        _LOGGER.warning(
            "the local model's server ended (exit code %s): %s",
            code,
            child.last_words(),
        )
        return True

    def _begin(self, file: ModelFile, start: Future[_Child]) -> None:
        try:
            start.set_result(self._launch(file))
        except LocalModelError as error:
            start.set_exception(error)
        except BaseException:
            start.set_exception(
                LocalModelError("The local model's start was interrupted: try again.")
            )
            raise

    def _launch(self, file: ModelFile) -> _Child:
        home = _home_of(self.engine)
        if not file.is_here:
            self.fetch(file.path)
        child = self._spawn()
        try:
            threading.Thread(target=child.listen, daemon=True).start()
            child.tell(
                {"model": str(file.path), "key": child.key.reveal(), "path": home}
            )
            child.settled.wait(self.patience)
            if not child.base_url:
                raise LocalModelError(self._why_not(child, file.path))
        except BaseException:
            self._discard(child)
            raise
        return child

    def _spawn(self) -> _Child:
        import secrets
        import subprocess

        self._guard()
        key = Secret(secrets.token_urlsafe(24), "the local model's key")
        try:
            # Under the lock, which a fork takes first: no fork sees half of a child.
            with self._lock:
                process = subprocess.Popen(  # noqa: S603 - our own program
                    self.command,
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in a terminal is not for it
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
                child = _Child(process, key)
                self._children.append(child)
        except OSError as error:
            raise LocalModelError(
                f"The local model's server could not be started: {error}."
            ) from error
        return child

    def _why_not(self, child: _Child, path: Path) -> str:
        if not child.settled.is_set():
            return (
                f"The local model's server did not start within {self.patience:g} seconds"
                f" with {path} ({child.last_words()}): try again, or a smaller model."
            )
        child.end(patience=3.0)
        return (
            f"The local model's server ended at its start with {path} (exit code"
            f" {child.process.returncode}; {child.last_words()}): check the file, or try"
            " another one."
        )

    def _discard(self, child: _Child) -> None:
        with self._lock:
            if child in self._children:
                self._children.remove(child)
        child.end(patience=0.0)

    def _guard(self) -> None:
        with self._lock:
            if self._guarded:
                return
            self._guarded = True
        atexit.register(self.stop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                # Not the lock's own methods: after a fork there is another lock.
                before=lambda: self._lock.acquire(),  # noqa: PLW0108
                after_in_parent=lambda: self._lock.release(),  # noqa: PLW0108
                after_in_child=self._forget,
            )

    def _forget(self) -> None:
        for child in self._children:
            child.disown()
        self._children, self._starts = [], {}
        self._lock = threading.Lock()


def _home_of(engine: str) -> str:
    if getattr(sys, "frozen", False) or not sys.executable:
        raise LocalModelError(
            "The local model runs in a Python process of its own, which this program cannot"
            " start: use another provider."
        )
    spec = find_spec(engine)
    if spec is None or spec.origin is None:
        raise LocalModelError(
            "The local model needs llama.cpp: install the extra `local` (in the checkout,"
            " pip install '.[local]'), or set the key of a provider, such as"
            " OPENAI_API_KEY, and use that."
        )
    return str(Path(spec.origin).parent.parent)


_SERVERS = LocalServers()
