"""
A kernel of Jupyter's, as a notebook runs it: a process of its own, in which cells are run one by one.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import attrs
from anyio.from_thread import start_blocking_portal
from faults import PATIENCE
from jupyter_client.manager import AsyncKernelManager

ROOT = Path(__file__).parent.parent
#: Seconds; an interpreter, IPython and a debugger are imported meanwhile.
START = 60


@attrs.frozen
class Cell:
    """
    What a cell gave.

    Attributes:
        printed: Its standard output.

        shown: The representations of what it gave or displayed, one after another, by their media types.

        error: The class of the exception that ended it; ``None``: none did.

        traceback: What the notebook shows of that.
    """

    printed: str
    shown: list[dict[str, str]]
    error: str | None
    traceback: str


class Kernel:
    """
    A running kernel; a context manager that ends it.

    Args:
        folder: Where it may write.

        environ: Variables that it gets beside those of this process.
    """

    def __init__(self, folder, environ=()):
        environment = {**os.environ, **surroundings(folder), **dict(environ)}
        self._manager = AsyncKernelManager()
        self._printing = threading.Condition()
        self._printed = ""
        self._stack = ExitStack()
        with self._stack:
            self._portal = self._stack.enter_context(start_blocking_portal())
            self._stack.callback(self._portal.call, self._end)
            self._portal.call(self._begin, environment, str(folder))
            self._stack = self._stack.pop_all()

    async def _begin(self, environment, folder):
        await self._manager.start_kernel(env=environment, cwd=folder)
        self._client = self._manager.client()
        self._client.start_channels()
        await self._client.wait_for_ready(timeout=START)

    async def _end(self):
        self._client.stop_channels()
        await self._manager.shutdown_kernel(now=True)

    def run(self, code):
        """
        Run a cell to its end.
        """
        return self._portal.call(self._run, code)

    async def _run(self, code):
        self._printed = ""
        shown, error, traceback, state = [], None, "", "busy"
        asked = self._client.execute(code)
        while state != "idle":
            message = await self._client.get_iopub_msg(timeout=START)
            if message["parent_header"].get("msg_id") != asked:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream" if content["name"] == "stdout":
                    with self._printing:
                        self._printed += content["text"]
                        self._printing.notify_all()
                case "execute_result" | "display_data" | "update_display_data":
                    shown.append(content["data"])
                case "error":
                    error = content["ename"]
                    traceback = "\n".join(content["traceback"])
                case "status":
                    state = content["execution_state"]
        return Cell(self._printed, shown, error, traceback)

    def give(self, code):
        """
        Run a cell that must not fail; give what it printed.
        """
        cell = self.run(code)
        assert cell.error is None, cell
        return cell.printed

    def until_printed(self, text):
        """
        Wait until the running cell has printed *text*.
        """
        with self._printing:
            assert self._printing.wait_for(lambda: text in self._printed, PATIENCE)

    def interrupt(self):
        """
        Do what the button of a notebook does: send the signal of Ctrl-C.
        """
        self._portal.call(self._manager.interrupt_kernel)

    def close(self):
        """
        End it.
        """
        self._stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def surroundings(folder):
    """
    List the variables by which a kernel finds this checkout, writes nothing outside *folder*, and says nothing of
    its own.
    """
    folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")
    return {
        **dict.fromkeys(folders, str(folder)),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PYTHONUNBUFFERED": "1",
    }
