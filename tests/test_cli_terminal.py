"""
What a terminal shows of an answer: Markdown, plain text, and never what an answer tells the terminal to do.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading

import faults
import pytest
import terminals

from ai_lib._cli.terminal import clean, split_blocks

needs_terminal = pytest.mark.skipif(
    sys.platform == "win32", reason="needs a pseudo-terminal"
)

ANSWER = """\
# Primes

Two is **even**.
Three is not.

```python
if True:
    print("<b>")
```

1. one

2. two

See [there](https://example.com/x) and <br>.
"""


def blocks(text):
    """
    Cut a text that comes letter by letter, as what prints it does.
    """
    found, held = [], ""
    for letter in text:
        held += letter
        done, held = split_blocks(held)
        found += [done] if done else []
    return [*found, held] if held else found


@pytest.fixture
def environ(server, tmp_path):
    """
    Give variables that hold groq's key, and groq's server on loopback.
    """
    return terminals.surroundings(server, tmp_path)


@pytest.fixture
def shown(environ, server, tmp_path):
    """
    Ask on a terminal and give it once the program has ended well; *pieces* are the answer.
    """

    def ask(*pieces, options=(), size=(24, 80), **changes):
        server.script(faults.stream(*faults.events(*pieces)))
        surroundings = {
            name: value for name, value in {**environ, **changes}.items() if value
        }
        line = ("chat", "-p", "groq", *options, "Hi")
        with terminals.Terminal(*line, environ=surroundings, size=size) as terminal:
            code = terminal.end()
        assert code == 0, terminal.raw
        return terminal

    return ask


def last_of(terminal):
    """
    What stays on the screen: escapes that erase a line take the lines before along.
    """
    lines = [""]
    for part in re.split(r"(\r\n|\x1b\[2K|\x1b\[1A)", terminal.raw):
        if part == "\r\n":
            lines.append("")
        elif part == "\x1b[2K":
            lines[-1] = ""
        elif part == "\x1b[1A":
            lines.pop()
        else:
            lines[-1] += part
    return terminals.ESCAPES.sub("", "\n".join(lines)).replace("\r", "")


# Markdown


@needs_terminal
def test_markdown_is_shown_as_what_it_means(shown):
    """
    On a terminal an answer is formatted; code, line ends, HTML and addresses stay what they are.
    """
    pytest.importorskip("rich")

    terminal = shown(*ANSWER)

    screen = last_of(terminal)
    assert "\x1b[1meven\x1b[0m" in terminal.raw
    assert "Two is even.\nThree is not.\n\nif True:\n    print(" in screen
    assert "**" not in screen
    assert "```" not in screen
    assert "there (https://example.com/x) and <br>." in screen
    assert re.search(r"1 one\n+ *2 two\n", screen)


@needs_terminal
@pytest.mark.parametrize("size", [(24, 80), (5, 20)], ids=["usual", "tiny"])
def test_nothing_is_lost_or_doubled_on_the_way(shown, size):
    """
    However an answer comes and however small the terminal is, each line stays on it once.
    """
    pytest.importorskip("rich")
    words = [f"w{number}" for number in range(60)]

    terminal = shown(
        *[f"{word}\n\n" if at % 3 else f"{word}\n" for at, word in enumerate(words)],
        size=size,
    )

    assert words == last_of(terminal).split()


@needs_terminal
def test_lines_can_be_copied(shown):
    """
    No line of an answer ends with spaces that nobody wrote.
    """
    pytest.importorskip("rich")

    terminal = shown(ANSWER)

    assert not re.search(r" \n", last_of(terminal))


@needs_terminal
def test_answer_appears_while_it_is_written(environ, server):
    """
    What has come is on the screen before the rest is there.
    """
    go_on = threading.Event()
    server.script(
        faults.stream(
            faults.event("Two, "), faults.wait_for(go_on), *faults.events("three.")
        )
    )
    line = ("chat", "-p", "groq", "Hi")

    with terminals.Terminal(*line, environ=environ) as terminal:
        terminal.until("Two,")
        go_on.set()
        terminal.until("Two, three.")
        code = terminal.end()

    assert 0 == code


@needs_terminal
@pytest.mark.parametrize(
    ("options", "changes"),
    [
        pytest.param(("--plain",), {}, id="option"),
        pytest.param((), {"TERM": "dumb"}, id="dumb"),
        pytest.param((), {"PYTHONIOENCODING": "ascii"}, id="ascii"),
        pytest.param((), {"PYTHONPATH": "without-rich"}, id="not-installed"),
    ],
)
def test_text_is_plain_where_markdown_cannot_be_shown(
    shown, tmp_path, options, changes
):
    """
    Without ``rich``, on a dumb terminal or one of another encoding, and with --plain, text comes as it is.
    """
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['rich'] = None")
    if "PYTHONPATH" in changes:
        changes = {"PYTHONPATH": f"{tmp_path}:{terminals.ROOT}"}

    terminal = shown("**Two** ", "ü\n", options=options, **changes)

    letter = "?" if "ascii" in changes.values() else "ü"
    assert f"**Two** {letter}\r\n" == terminal.raw


@needs_terminal
def test_no_color_is_honoured(shown):
    """
    With NO_COLOR set nothing has a colour.
    """
    pytest.importorskip("rich")

    plain = shown(ANSWER, NO_COLOR="1")
    coloured = shown(ANSWER)

    colours = r"\x1b\[(?:\d+;)*(?:3|4|9|10)\d(?:;|m)"
    assert not re.search(colours, plain.raw)
    assert re.search(colours, coloured.raw)


def test_piped_answer_is_as_it_came(environ, server):
    """
    In a pipe nothing is formatted, and no character is changed.
    """
    server.script(faults.stream(*faults.events("**Two** \x1b[31m", "ü\r\n")))

    code, out, err = terminals.run("chat", "-p", "groq", "Hi", environ=environ)

    assert (0, "**Two** \x1b[31mü\r\n", "") == (code, out, err)


# What drives a terminal


@needs_terminal
@pytest.mark.parametrize("options", [(), ("--plain",)], ids=["Markdown", "plain"])
def test_answer_does_not_drive_the_terminal(shown, options):
    """
    Escapes, bells and their kin are written out, also where one comes in two pieces.
    """
    evil = "\x1b]0;title\x07", "\x1b", "[2J", "\x9b1A", "\x08x", "```\x1b[5m\n", "a\rb"

    terminal = shown(*evil, options=options)

    for order in ("\x1b]0", "\x07", "\x1b[2J", "\x9b", "\x08", "\x1b[5m"):
        assert order not in terminal.raw
    assert "^[]0;title^G^[[2J\\x9b1A^Hx" in terminal.raw


@needs_terminal
def test_line_ends_of_another_system_are_line_ends(shown):
    """
    A carriage return before a line end is part of it, in whatever pieces they come.
    """
    terminal = shown("one\r", "\ntwo\r\n", "three\r", options=["--plain"])

    assert "one\r\ntwo\r\nthree^M\r\n" == terminal.raw


@needs_terminal
def test_error_does_not_drive_the_terminal(environ, server):
    """
    What a server says in an error is written out too.
    """
    server.script(faults.refusal(400, "no\x1b[2J"))

    with terminals.Terminal("chat", "-p", "groq", "Hi", environ=environ) as terminal:
        code = terminal.end()

    assert 1 == code
    assert "no^[[2J" in terminal.screen
    assert "\x1b[2J" not in terminal.raw


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a\tb\nc", "a\tb\nc", id="harmless"),
        pytest.param("\x1b[31m", "^[[31m", id="escape"),
        pytest.param("\x7f\x00", "^?^@", id="delete"),
        pytest.param("a\r\nb\rc", "a\nb^Mc", id="carriage-return"),
        pytest.param("\x85\x9f", "\\x85\\x9f", id="upper"),
        pytest.param("ü€", "ü€", id="letters"),
    ],
)
def test_controls_are_written_out(text, expected):
    """
    Control characters become what people know them by.
    """
    assert expected == clean(text)


# Blocks


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param(["one\n\n", "two\n\n", "three\n"], id="paragraphs"),
        pytest.param(["one\ntwo"], id="one-paragraph"),
        pytest.param(["```\na\n\nb\n```\n\n", "after\n"], id="fence"),
        pytest.param(["````\n```\n\nb\n````\n\n", "after\n"], id="fence-in-fence"),
        pytest.param(["```\n``` no end\n\nx\n```\n\n", "after\n"], id="no-end"),
        pytest.param(["~~~\n```\n\nx\n~~~\n\n", "after\n"], id="tildes"),
        pytest.param(["- a\n\n- b\n\n  more\n\n", "after\n"], id="list"),
        pytest.param(["1. a\n\n2. b\n\n", "after\n"], id="numbers"),
        pytest.param(["| a |\n|---|\n| 1 |\n\n", "after\n"], id="table"),
        pytest.param(["one\n\n", "---\n\n", "two\n"], id="rule"),
    ],
)
def test_blocks_are_cut_where_they_surely_end(expected):
    """
    Nothing is cut inside of a fence or list, and nothing is lost.
    """
    assert expected == blocks("".join(expected))


# Interrupts


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.parametrize("when", ["ai_lib._core.chat", "ai_lib._transport"])
def test_ctrl_c_during_imports_is_quiet(environ, tmp_path, when):
    """
    Whatever is being imported when Ctrl-C comes: no traceback, and the shell's 130.
    """
    (tmp_path / "sitecustomize.py").write_text(f"""
import os, signal, sys
class Finder:
    def find_spec(self, name, *rest):
        if name == {when!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
""")
    environ["PYTHONPATH"] = f"{tmp_path}:{terminals.ROOT}"

    done = subprocess.run(
        [sys.executable, "-m", "ai_lib", "chat", "-p", "groq", "Hi"],
        capture_output=True,
        check=False,
        env=environ,
        timeout=30,
    )

    assert (b"", b"") == (done.stdout, done.stderr)
    assert done.returncode in (130, -signal.SIGINT)


def test_other_programs_keep_their_tracebacks(environ):
    """
    A program that imports the library shows its own errors as ever.
    """
    code = "import sys, ai_lib; assert sys.excepthook is sys.__excepthook__; 1 / 0"

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env=environ,
        timeout=30,
    )

    assert b"ZeroDivisionError" in done.stderr


# The shell


@needs_terminal
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("ai-lib mod", ["models"], id="command"),
        pytest.param("ai-lib chat -p mist", ["mistral"], id="provider"),
        pytest.param("ai-lib chat --inter", ["--interactive"], id="option"),
        pytest.param("ai-lib chat -p groq -m open", ["openai/gpt-oss-20b"], id="model"),
    ],
)
def test_shell_completes(environ, tmp_path, line, expected):
    """
    Commands, options, providers and default models are completed as argcomplete does.
    """
    pytest.importorskip("argcomplete")
    answer = tmp_path / "answer"
    code = (
        "import os, sys; fd = os.open(sys.argv.pop(), os.O_CREAT | os.O_WRONLY);"
        "os.dup2(fd, 8); os.dup2(2, 9); from ai_lib._cli import main; main()"
    )
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\013",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }

    subprocess.run(
        [sys.executable, "-c", code, str(answer)],
        check=False,
        env={**environ, **asked},
        timeout=30,
    )

    assert expected == answer.read_text().strip().split("\013")
