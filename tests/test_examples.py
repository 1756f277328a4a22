"""
The examples do what they say, as a reader runs them: against the provider that the documentation talks to, and the
embedded model where it is installed.
"""

from __future__ import annotations

import importlib.util
import os
import queue
import re
import runpy
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
from faults import PATIENCE

from ai_lib._host.model_file import locate

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_file())


@pytest.fixture
def run(monkeypatch, capsys):
    """
    Give a function that runs an example, with arguments, and gives what it printed.
    """

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


@attrs.frozen
class Run:
    """
    One run of an example.

    Attributes:
        name: Its file.

        printed: What it prints; a pattern where that varies.

        arguments: What stands behind its name.

        refusals: The statuses with which its first requests are refused.
    """

    name: str
    printed: str | re.Pattern[str]
    arguments: tuple[str, ...] = ()
    refusals: tuple[int, ...] = ()


RUNS = (
    Run(
        "quickstart.py",
        "Hello, Ada.\nYour name is Ada.\n(openai/gpt-oss-20b at groq, stop)\n",
    ),
    Run(
        "streaming.py",
        "The sea covers most of the Earth, and is salt.\n(stop)\n"
        "1 2 3\n(stopped after 5 letters)\n",
    ),
    Run(
        "many_at_once.py",
        "The word for tree in French? arbre\nThe word for sea in French? mer\n"
        "in two seconds: 1 2 3\n",
    ),
    Run(
        "tools.py",
        'called: get_weather {"city": "Paris"}\nIt is 18 degrees in Paris.\n',
    ),
    Run("structured_output.py", "Author(name='Ada Lovelace', year=1843)\n\n"),
    Run("images_and_files.py", "A red square.\n"),
    Run("images_and_files.py", "A letter of one page.\n", ("letter.pdf",)),
    Run(
        "errors_and_retries.py",
        "2, 3 and 5. (answered: [429, 503, 200])\n"
        "ModelNotFoundError after 1 attempts: groq answered 404: "
        "The model `no-such-model` does not exist.\n",
        refusals=(429, 503),
    ),
    Run(
        "failover.py",
        re.compile(
            r"deepseek answers: 2, 3 and 5\.\n- groq \S+ 500\n- deepseek \S+ 200\n"
            r"groq was faster\n"
        ),
        refusals=(500,),
    ),
    Run(
        "limits.py",
        re.compile(r"( \d\.\d s  (tree: arbre|sea: mer|bread: pain)\n){6}"),
    ),
    Run("batch.py", "tree - arbre\nsea - mer\nbread - pain\n"),
    Run(
        "hooks.py",
        re.compile(
            r"again in \d\.\d s: OverloadedError\nanswered by groq\n2, 3 and 5\.\n"
            r"answered by groq\nWho has it, keeps it in order\.\n\d+ tokens\n"
        ),
        refusals=(503,),
    ),
    Run("testing_your_code.py", "Both tests pass.\n"),
    Run(
        "gateway.py",
        re.compile(
            r"curl .*/chat/completions(.*\n)+2, 3 and 5\.\n"
            r"gateway does not take seed: it was left out\.\n"
        ),
    ),
)


@pytest.mark.parametrize(
    "told", RUNS, ids=lambda one: "-".join([one.name, *one.arguments])
)
def test_example_does_what_it_says(run, reader, told):
    """
    An example prints what it is to print.
    """
    reader.refusals[:] = told.refusals

    printed = run(told.name, *told.arguments)

    assert not reader.refusals
    if isinstance(told.printed, re.Pattern):
        assert told.printed.fullmatch(printed), printed
    else:
        assert told.printed == printed


def test_batch_is_gone_on_with(run, reader):
    """
    Run again, the batch asks nothing that was answered.
    """
    first = run("batch.py")
    asked = len(reader.requests)

    assert first == run("batch.py")
    assert asked == len(reader.requests)


def test_missing_file_is_no_traceback(run, reader):
    """
    A file that is not there ends in a sentence.
    """
    with pytest.raises(SystemExit, match=r"No such file to send: .*nowhere\.png"):
        run("images_and_files.py", "nowhere.png")


def test_tests_of_example_are_found_by_pytest():
    """
    The example on testing is what it says: tests that pytest finds and runs.
    """
    path = EXAMPLES / "testing_your_code.py"

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=60,
    )

    assert "2 passed" in done.stdout, done.stdout + done.stderr


# A window


class FakeScreen:
    """
    Stands in for ``tkinter``, since a test has no screen: widgets that somebody looks at and presses.

    Args:
        look: Called with the screen each time that the window's loop has nothing else to do.
    """

    def __init__(self, look):
        self.look = look
        self.shown = ""
        self.button = {}
        self._due = queue.SimpleQueue()
        self._open = True

    def module(self):
        """
        Make the module.
        """
        return SimpleNamespace(
            Tk=lambda: self,
            Text=lambda root: SimpleNamespace(pack=lambda: None, insert=self._insert),
            Button=self._make_button,
        )

    def _insert(self, place, text):
        assert place == "end"
        self.shown += text

    def _make_button(self, root, **options):
        self.button.update(options)
        return SimpleNamespace(pack=lambda: None, config=self.button.update)

    def protocol(self, name, function):
        self.closing = function

    def after(self, milliseconds, function):
        assert threading.current_thread() is threading.main_thread()
        self._due.put(function)

    def destroy(self):
        self._open = False

    def mainloop(self):
        while self._open:
            self.look(self)
            if self._open and not self._due.empty():
                self._due.get()()


@pytest.mark.parametrize("way", ["button", "cross"])
def test_window_stops_its_stream(run, reader, monkeypatch, way):
    """
    The button, and closing the window, stop what is read.
    """
    shown = {"button": "1 2 3\n(stopped)", "cross": "1 2 3"}

    def look(screen):
        if "1 2 3" in screen.shown or screen.button["text"] == "Close":
            screen.button["command"]() if way == "button" else screen.closing()

    screen = FakeScreen(look)
    monkeypatch.setitem(sys.modules, "tkinter", screen.module())

    run("window.py")

    assert shown[way] == screen.shown
    reader.until_left()


# A server


@pytest.fixture
def serving(reader):
    """
    Give the address of the example's server, which runs in a process of its own.
    """
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = subprocess.Popen(
        [sys.executable, EXAMPLES / "server.py", "groq", "0"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        try:
            yield program.stdout.readline().strip()
            program.send_signal(signal.SIGINT)
            assert "stopped\n" == program.communicate(timeout=PATIENCE)[0]
        finally:
            program.kill()


def visit(address):
    """
    Ask the server, past all proxies.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(address, timeout=PATIENCE)


def test_server_answers(serving, reader):
    """
    A visitor gets the answer.
    """
    with visit(serving) as answer:
        text = answer.read()

    assert b"2, 3 and 5." == text


def test_visitor_who_leaves_stops_the_model(serving, reader):
    """
    When the visitor leaves, the connection to the provider is closed.
    """
    address = serving.partition("?")[0] + "?q=Count+to+a+million."

    with visit(address) as answer:
        text = answer.read(5)
    reader.until_left()

    assert b"1 2 3" == text


# All of them


def test_every_example_is_run_and_listed():
    """
    No example is left out: not here, and not in the list of them.
    """
    elsewhere = {"README.md", "local_model.py", "server.py", "tour.ipynb", "window.py"}
    table = (EXAMPLES / "README.md").read_text("utf-8")

    listed = re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE)

    assert sorted({one.name for one in RUNS} | elsewhere) == NAMES
    assert sorted({*NAMES} - {"README.md"}) == sorted(listed)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".py")])
def test_example_says_how_to_run_it(name):
    """
    An example begins with what it shows, and the command that runs it.
    """
    text = (EXAMPLES / name).read_text("utf-8")

    assert re.match(rf'"""\n[A-Z][^\n]+\n.*?python examples/{name}', text, re.DOTALL)


LOCAL = (
    ("quickstart.py", "local"),
    ("streaming.py", "local"),
    ("many_at_once.py", "local"),
    ("tools.py", "local"),
    ("structured_output.py", "local"),
    ("errors_and_retries.py", "local"),
    ("failover.py", "local"),
    ("batch.py", "local"),
    ("hooks.py", "local"),
    ("local_model.py",),
)


@pytest.mark.local_model
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or not locate().is_here,
    reason="needs the extra `local` and a model on this machine",
)
@pytest.mark.parametrize("words", LOCAL, ids=lambda words: words[0])
def test_example_runs_with_real_model(run, tmp_path, monkeypatch, words):
    """
    An example that names no provider of its own runs with the embedded model.
    """
    monkeypatch.chdir(tmp_path)

    printed = run(*words)

    assert printed.strip()
