"""
``ai-lib batch``: a file of requests in, a file of answers out; stopped or killed, it goes on where it was.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from argparse import ArgumentTypeError, Namespace
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Self

import attrs

from ai_lib._cli import saved
from ai_lib._cli.target import add_target_arguments, choose
from ai_lib._cli.terminal import is_terminal, note, stopped_by_key

if TYPE_CHECKING:
    from ai_lib import AiClient, BatchItem, BatchRun, ChatCompletionRequest
    from ai_lib._cli import Commands

EXAMPLES = """\
examples:
  ai-lib batch in.jsonl -o out.jsonl -p groq
  ai-lib batch in.jsonl -o out.jsonl -p openai -m gpt-4o-mini -c 20
  ai-lib batch in.jsonl -o out.jsonl -p openai --mode provider
  jq -R . questions.txt | ai-lib batch - -o - -p groq | jq .response.body

Each line of IN is a request: a line of OpenAI's batch files; or the body of one alone,
such as {"messages": [...], "temperature": 0}; or {"prompt": "Why?"}; or "Why?". OUT gets
OpenAI's lines, as they finish: custom_id, and a response or an error. A line without a
custom_id is called request-0, request-1 ... by its place.

Beside OUT stands OUT.journal with what was answered. The same command goes on from it,
whatever ended the one before: it asks for what is missing and what failed, and pays for
nothing twice. Delete it when you are done. The bar needs the extra `progress`: in the
checkout, pip install '.[progress]'.
"""

#: So many broken lines are told.
_TOLD = 10


def add(commands: Commands) -> None:
    """
    Add the command.
    """
    batch = commands.add(
        "batch",
        help="ask what stands in a file, and write the answers to another",
        description="Ask what stands in a file, and write the answers to another; goes on where it was stopped.",
        examples=EXAMPLES,
        run=_run,
    )
    add = batch.add_argument
    add("input", metavar="IN", help="requests, one a line; - stands for standard input")
    add(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="where answers go; - stands for standard output, without a journal",
    )
    add_target_arguments(batch)
    add(
        "-c",
        "--concurrency",
        type=_count,
        metavar="N",
        help="how many at once; by default as the provider takes them",
    )
    add("--dedupe", action="store_true", help="send identical requests once")
    add("--ordered", action="store_true", help="write in the order of IN")
    add(
        "--mode",
        choices=("live", "provider"),
        default="live",
        help="live, or by the provider's own batches: within a day, at half the price",
    )
    add("--journal", metavar="FILE", help="in place of OUT.journal")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _run(options: Namespace) -> int:
    _check(options)
    with ExitStack() as stack:
        try:
            work = stack.enter_context(_Work.of(options))
        except OSError as error:
            options.fail(saved.said(error))
        if problems := work.problems():
            for one in problems[:_TOLD]:
                note(f"error: {one}")
            if more := problems[_TOLD:]:
                note(f"error: {len(more):,} more lines are broken")
            return 2
        if not work.count:
            options.fail(f"{work.name} holds no requests")
        who, client = choose(options.provider, options.model)
        stack.enter_context(client)
        work.own_model = bool(who.model)
        journal = _journal_of(options)
        if journal is not None:
            _claim(journal, options, client, who.model)
        return _Batch(options, work, journal).run(client)


def _check(options: Namespace) -> None:
    out = options.output
    if options.concurrency and options.mode == "provider":
        options.fail("--concurrency is for --mode live: here the provider decides")
    if out == "-":
        return
    if options.input != "-" and saved.same_file(options.input, out):
        options.fail("IN and OUT are one file")
    try:
        if _is_file(out):
            saved.check_place(out, own=True)
    except (OSError, ValueError) as error:
        options.fail(saved.said(error))
    journal = _journal_of(options)
    there = os.path.isfile(out) and os.path.getsize(out) > 0  # noqa: PTH113, PTH202  # as named
    if there and not (journal and os.path.exists(journal)):  # noqa: PTH110  # likewise
        options.fail(
            f"{out} is there already, and its journal {journal or ''} is not: name another file"
        )


def _is_file(path: str) -> bool:
    """
    Tell whether that is a file, or nothing yet; not a pipe or a device.
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116  # as named
    except OSError:
        return True


def _journal_of(options: Namespace) -> str | None:
    if options.journal:
        return str(options.journal)
    if options.output == "-" or not _is_file(options.output):
        return None
    return f"{options.output}.journal"


def _claim(path: str, options: Namespace, client: AiClient, model: str | None) -> None:
    """
    See to it that a journal holds one provider's and one model's answers.
    """
    from ai_lib import ConfigurationError
    from ai_lib._host.journal import claim

    asked = {"provider": client.provider, "model": model}
    try:
        found = claim(path, "asked", asked)
    except (ConfigurationError, OSError) as error:
        options.fail(saved.said(error) if isinstance(error, OSError) else str(error))
    if found != asked:
        before = found if isinstance(found, dict) else {}
        words = " -m ".join(
            str(one) for one in (before.get("provider"), before.get("model")) if one
        )
        told = f"was begun with -p {words}" if words else "is of another program"
        options.fail(f"{path} {told}: go on with that, or name another OUT")


@attrs.define(kw_only=True)
class _Work:
    """
    The requests of a file, read twice: to see that all are right before the first is paid for, then as they are
    asked.

    Attributes:
        name: Of the file, for messages.

        count: How many requests it holds.

        own_model: Whether the command line says the model, of all.

        ids: The names of those that are under way, by index.
    """

    name: str
    count: int = 0
    own_model: bool = False
    ids: dict[int, str] = attrs.field(factory=dict)
    _file: IO[bytes]
    _lines: int = 0

    @classmethod
    def of(cls, options: Namespace) -> _Work:
        """
        Open what the options name.

        Raises:
            OSError: It cannot be read.
        """
        if options.input != "-":
            file = open(options.input, "rb")  # noqa: PTH123, SIM115  # closed with this
            return cls(name=options.input, file=file)
        import shutil
        import tempfile

        spooled: Any = tempfile.SpooledTemporaryFile(1 << 24)  # noqa: SIM115  # likewise
        if sys.stdin is not None:
            shutil.copyfileobj(sys.stdin.buffer, spooled)
        return cls(name="standard input", file=spooled)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def problems(self) -> list[str]:
        """
        Read it, and say what is wrong with which lines.
        """
        from ai_lib._core.batch.jsonl import Ids, decode_input, numbered, told

        found, ids = [], Ids()
        self._file.seek(0)
        for number, line in numbered(self._file):
            try:
                with told(self.name, number):
                    ids.add(decode_input(line, self.count).custom_id, number)
            except ValueError as error:
                found.append(str(error))
            self.count, self._lines = self.count + 1, number
        return found

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[ChatCompletionRequest]:
        from ai_lib._core.batch.jsonl import decode_inputs

        self._file.seek(0)
        # What was added to the file meanwhile was not looked at.
        lines = islice(self._file, self._lines)
        for index, one in enumerate(decode_inputs(lines, self.name)):
            self.ids[index] = one.custom_id
            yield (
                attrs.evolve(one.request, model="") if self.own_model else one.request
            )


def _harmless(line: bytes) -> bytes:
    """
    Write out what would drive a terminal, as JSON does with other control characters.
    """
    text = re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", line.decode())
    return text.encode()


class _Batch:
    """
    One run, and what it says.
    """

    def __init__(self, options: Namespace, work: _Work, journal: str | None) -> None:
        self._options = options
        self._work = work
        self._journal = journal
        self._file: IO[bytes] | None = None
        self._on_screen = options.output == "-" and is_terminal(sys.stdout)
        self._answered = self._failed = 0
        self._hopeless: Exception | None = None
        self._interrupted = False

    def run(self, client: AiClient) -> int:
        """
        Ask, write, and give the exit code.
        """
        options = self._options
        run = client.chat_completion_batch_iter(
            self._work,
            ordered=options.ordered,
            max_concurrency=options.concurrency,
            smart=not options.concurrency and options.mode == "live",
            journal=self._journal,
            dedupe=options.dedupe,
            progress=is_terminal(sys.stderr) and not self._on_screen,
            mode=options.mode,
        )
        try:
            with run:
                self._follow(run)
            self._opened()  # also where there was nothing to write
        finally:
            if self._file is not None and self._file is not sys.stdout.buffer:
                self._file.close()
        return self._told()

    def _follow(self, run: BatchRun) -> None:
        """
        Write items as they come, until Ctrl-C or a reason to give up.
        """

        def stop() -> None:
            self._interrupted = True
            run.cancel()

        # A provider's jobs go on, and the journal finds them again: there Ctrl-C is what it always is.
        live = self._options.mode == "live"
        try:
            with stopped_by_key(stop) if live else nullcontext():
                for item in run:
                    self._write(item)
                    if self._hopeless is not None:
                        self._stop(run)
                        break
        except KeyboardInterrupt:
            self._interrupted = True

    def _stop(self, run: BatchRun) -> None:
        """
        Write what is finished, and begin nothing more.
        """
        run.cancel()
        deque(map(self._write, run), maxlen=0)

    def _write(self, item: BatchItem) -> None:
        from ai_lib import (
            AuthenticationError,
            QuotaExhaustedError,
            StreamCancelledError,
        )
        from ai_lib._core.batch.jsonl import encode_output

        if isinstance(item.error, StreamCancelledError):
            return  # of nobody's doing but ours: it is asked next time
        custom_id = self._work.ids.pop(item.index)
        file = self._opened()
        line = encode_output(custom_id, item)
        file.write(_harmless(line) if self._on_screen else line)
        file.flush()
        if item.ok:
            self._answered += 1
            return
        self._failed += 1
        if isinstance(item.error, AuthenticationError | QuotaExhaustedError):
            self._hopeless = self._hopeless or item.error  # all that follow, too

    def _opened(self) -> IO[bytes]:
        """
        Begin the output anew, once the journal is ours: what was answered before comes first.
        """
        if self._file is None:
            out = self._options.output
            if out == "-":
                self._file = sys.stdout.buffer
            else:
                self._file = open(out, "wb")  # noqa: PTH123, SIM115  # closed by ``run``
        return self._file

    def _told(self) -> int:
        from ai_lib._cli.advice import for_the_shell

        goes_on = "" if self._journal is None else "; the same command goes on"
        counts = f"{self._answered:,} of {self._work.count:,} are answered"
        if self._hopeless is not None:
            note(f"error: {for_the_shell(self._hopeless)}")
            note(f"stopped: {counts}{goes_on}")
            return 130 if self._interrupted else 1
        if self._interrupted:
            note(f"interrupted: {counts}{goes_on}")
            return 130
        if self._failed:
            again = (
                "" if self._journal is None else "; the same command asks them again"
            )
            note(f"{self._failed:,} of {self._work.count:,} failed{again}")
            return 1
        return 0
