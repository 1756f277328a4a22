"""
What a person sees: notes, tables, and answers as they come; nothing that was received drives the terminal.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TextIO

import attrs

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

#: Columns where nobody says how many there are.
_COLUMNS = 80

# Escapes, bells and all else below space and in C1, where terminals take orders; not tab and line end.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def is_terminal(stream: TextIO | None) -> bool:
    """
    Tell whether a person is at the other end of *stream*.
    """
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


@contextmanager
def stopped_by_key(stop: Callable[[], object]) -> Iterator[None]:
    """
    Let Ctrl-C call *stop*, and a second one end whatever is going on.

    An exception out of nowhere could be swallowed in a finalizer, or fall between what is taken and what is written;
    a stream or batch that is cancelled ends where it should.
    """
    import signal
    from threading import Thread

    before = signal.getsignal(signal.SIGINT)

    def pressed(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # In a thread: the main one may hold the very locks that this takes.
        Thread(target=stop, daemon=True).start()

    signal.signal(signal.SIGINT, pressed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def clean(text: str) -> str:
    """
    Write control characters out as people know them, such as ``^[``.
    """
    return _CONTROLS.sub(_written_out, text.replace("\r\n", "\n"))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"^{chr(code ^ 0x40)}" if code < 0x80 else f"\\x{code:02x}"


def note(text: str) -> None:
    """
    Say something in one line on standard error.
    """
    if sys.stderr is None:
        return
    line = clean(" ".join(text.split()))
    console = _console(sys.stderr) if line.startswith("error:") else None
    if console is None:
        print("ai-lib:", line, file=sys.stderr)
    else:
        from rich.text import Text

        head, _, rest = line.partition(":")
        console.print(
            Text.assemble("ai-lib: ", (f"{head}:", "bold red"), rest), soft_wrap=True
        )


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """
    Print rows in columns under *heads*; columns in which nothing stands are left out.

    Where they are wider than the terminal, each row becomes lines of their own.
    """
    lines = [tuple(clean(" ".join(cell.split())) for cell in row) for row in rows]
    used = [at for at in range(len(heads)) if any(line[at] for line in lines)]
    table = [tuple(line[at] for at in used) for line in (tuple(heads), *lines)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    if is_terminal(sys.stdout) and sum(widths) + 2 * len(widths) > _width():
        _print_records(table)
        return
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join(cells).rstrip())


def _print_records(table: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(table[1:]):
        if number:
            print()
        for head, cell in zip(table[0], row, strict=True):
            if cell:
                print(f"{head.lower()}: {cell}")


def _width() -> int:
    from shutil import get_terminal_size

    return get_terminal_size((_COLUMNS, 24)).columns


class Writer(Protocol):
    """
    Prints one answer, piece by piece.
    """

    def write(self, piece: str) -> None:
        """
        Print more of it.
        """

    def close(self) -> None:
        """
        End its last line. Also after an error or Ctrl-C: what follows has a line of its own.
        """


def make_writer(*, plain: bool) -> Writer:
    """
    Make what prints an answer: Markdown on a terminal where ``rich`` is installed, else text as it comes.

    Args:
        plain: Text in any case.
    """
    console = None if plain else _console(sys.stdout)
    # Bullets and frames are no letters of other encodings.
    if console is None or console.encoding.replace("-", "") != "utf8":
        return _TextWriter()
    return _MarkdownWriter(console)


class _TextWriter:
    def __init__(self) -> None:
        self._clean = is_terminal(sys.stdout)
        self._held = ""
        self._last = ""

    def write(self, piece: str) -> None:
        if self._clean:
            # Half of a line end says nothing yet.
            piece, self._held = self._held + piece, ""
            if piece.endswith("\r"):
                piece, self._held = piece[:-1], "\r"
            piece = clean(piece)
        self._last = piece or self._last
        print(piece, end="", flush=True)

    def close(self) -> None:
        held, self._held = clean(self._held), ""
        if held or (self._last and not self._last.endswith("\n")):
            print(held, flush=True)
        self._last = ""


class _MarkdownWriter:
    """
    Shows an answer as Markdown while it is written.

    A block that is complete is printed for good. Only what follows is drawn again and again, so that a
    long answer costs no more by the line than a short one, and can be scrolled back to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._text = ""
        self._printed = False
        self._live: Live | None = None

    def write(self, piece: str) -> None:
        self._text += piece
        if "\n" in piece:
            done, rest = split_blocks(self._text)
            if done:
                self._stop()
                self._print(done)
                self._text = rest
        if self._live is None and self._text.strip():
            self._start()

    def close(self) -> None:
        self._stop()
        text, self._text = self._text, ""
        if text.strip():
            self._print(text)

    def _start(self) -> None:
        from rich.live import Live

        self._live = Live(
            console=self._console,
            get_renderable=lambda: _Block(
                text=self._text, spaced=self._printed, whole=False
            ),
            refresh_per_second=12,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _print(self, text: str) -> None:
        self._console.print(_Block(text=text, spaced=self._printed), end="")
        self._printed = True


#: Characters of an unfinished block that are drawn as Markdown.
_DRAWN = 10_000


@attrs.frozen(kw_only=True)
class _Block:
    """
    A piece of Markdown as lines without spaces at their ends, so that it can be copied.

    Attributes:
        text: The Markdown.

        spaced: Whether an empty line stands before it.

        whole: Whether all of it is drawn. Else as many lines as the screen has: what is above cannot be
            drawn again.
    """

    text: str
    spaced: bool
    whole: bool = True

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from rich.segment import Segment
        from rich.text import Text

        if self.whole or len(self.text) <= _DRAWN:
            shown = _markdown(self.text)
        else:
            shown = Text(clean(self.text[-_DRAWN:]))
        lines = console.render_lines(shown, options, pad=False)
        if self.spaced:
            lines.insert(0, [])
        for line in lines if self.whole else lines[-max(1, console.height - 1) :]:
            yield from _trimmed(line)
            yield Segment.line()


def _trimmed(line: list[Any]) -> list[Any]:
    from rich.segment import Segment

    line = list(line)
    while line and not line[-1].text.strip():
        line.pop()
    if line:
        text, style, *_ = line[-1]
        line[-1] = Segment(text.rstrip(), style)
    return line


def _markdown(text: str) -> Any:
    from markdown_it import MarkdownIt
    from rich.markdown import CodeBlock, Markdown
    from rich.syntax import Syntax

    class Code(CodeBlock):
        """
        Code in the terminal's own colours, at the margin: it can be copied.
        """

        def __rich_console__(self, console: Any, options: Any) -> Any:
            del console, options
            code = str(self.text).rstrip()
            yield Syntax(
                code,
                self.lexer_name,
                theme="ansi_dark",
                background_color="default",
                word_wrap=True,
            )

    class Answer(Markdown):
        elements: ClassVar[dict[str, Any]] = {
            **Markdown.elements,
            "fence": Code,
            "code_block": Code,
        }

    made = Answer("", hyperlinks=False)  # an address is shown, not hidden in a word
    # Of itself it leaves HTML out, and joins lines that the model has set apart.
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.markup = clean(text)
    made.parsed = parser.enable("strikethrough").parse(made.markup)
    for token in made.parsed:
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
    return made


_LINE = re.compile(r"[^\n]*\n")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LIST = re.compile(r"(?:[-*+]|\d{1,9}[.)])\s")


def split_blocks(text: str) -> tuple[str, str]:
    """
    Cut Markdown behind its last block that is surely complete.

    One is when a blank line follows, and then a line that begins at the margin and outside of a fence, and
    is no item of a list: a list is one block, with blank lines between its items or not.
    """
    cut, fence, blank = 0, "", False
    for found in _LINE.finditer(text):
        line = found[0]
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and line.strip() == mark[1]:
                fence = ""
        else:
            if blank and not line[0].isspace() and not _LIST.match(line):
                cut = found.start()
            fence = mark[1] if mark else ""
        blank = not fence and not line.strip()
    return text[:cut], text[cut:]


def _console(stream: TextIO) -> Console | None:
    """
    Give the console of *stream*; ``None``: it is no terminal, a dumb one, or ``rich`` is not installed.
    """
    if not is_terminal(stream) or os.environ.get("TERM") in ("dumb", "unknown"):
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else None
