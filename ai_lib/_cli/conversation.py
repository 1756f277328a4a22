"""
A conversation: ask, read, ask again.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ai_lib._cli import saved
from ai_lib._cli.advice import for_the_shell
from ai_lib._cli.chat import Talk, question, remarks_on, show_answer
from ai_lib._cli.prompt import attach, text_of
from ai_lib._cli.target import Who, title
from ai_lib._cli.terminal import is_terminal, note, stopped_by_key

if TYPE_CHECKING:
    from ai_lib import AiClient, CancelHandle, ChatCompletionResponse, Message
    from ai_lib._core.messages import Part

#: Stands before and behind a text of several lines.
_SEVERAL = '"""'


class Conversation:
    """
    Reads questions and commands from standard input, and prints answers.

    A question that fails, or is stopped before a word of answer, leaves no trace in the conversation.

    Args:
        client: Who is asked first; the caller closes it.

        who: The same, in words.

        talk: What was said before.

        options: Of the command line.
    """

    def __init__(
        self, client: AiClient, who: Who, talk: Talk, options: Namespace
    ) -> None:
        self._client = client
        self._given = client
        self._who = who
        self._talk = talk
        self._options = options
        self._parts: list[Part] = []
        self._file: str | None = options.save
        self._own = [one for one in (options.save, options.resume) if one]
        self._typed = is_terminal(sys.stdin)
        self._failed = False
        self._over = False

    def run(self, first: str, parts: list[Part]) -> int:
        """
        Hold it to its end.

        Args:
            first: The first question; empty: it is read, too.

            parts: What is attached to it.

        Returns:
            The exit code: 1 if nobody sat there to see that a question failed.
        """
        self._parts = parts
        lines = _Lines(self._COMMANDS, typed=self._typed)
        lines.remember(self._talk.messages)
        if self._typed:
            note(f"{title(self._client)}; /help lists the commands, Ctrl-D ends")
            if self._talk.messages:
                note(f"{_count(self._talk.messages)} so far")
        try:
            if first.strip():
                self._ask(first)
            while not self._over and (text := lines.read()) is not None:
                self._take(text)
        finally:
            if self._client is not self._given:
                self._client.close()
        return 1 if self._failed and not self._typed else 0

    def _take(self, text: str) -> None:
        name, _, rest = text.partition(" ")
        if not text.startswith("/") or "\n" in text:
            if text.strip():
                self._ask(text)
        elif name in self._COMMANDS:
            from ai_lib import AiLibError

            try:
                self._COMMANDS[name][0](self, rest.strip())
            except (OSError, ValueError) as error:
                self._fail(saved.said(error))
            except AiLibError as error:
                self._fail(for_the_shell(error))
        else:
            self._fail(
                f"there is no command {name}; /help lists them. A space before the"
                " slash makes it a question"
            )

    def _fail(self, problem: str) -> None:
        self._failed = True
        note(f"error: {problem}")

    # Asking

    def _ask(self, text: str) -> None:
        from ai_lib import AiLibError, Message, StreamCancelledError

        asked = question(text_of(text).strip(), self._parts)
        so_far: ChatCompletionResponse | None
        try:
            response = self._answer(asked)
        except StreamCancelledError as error:
            so_far = error.partial
        except KeyboardInterrupt:
            if not self._typed:
                raise
            so_far = None
        except AiLibError as error:
            self._fail(for_the_shell(error))
            if self._parts:
                note("what is attached stays so; /attach alone takes it off")
            return
        else:
            for remark in remarks_on(response):
                note(remark)
            self._keep(asked, response.message)
            return
        if so_far is None or not so_far.text:
            note("stopped, and the question forgotten")
            return
        # Signatures and calls of an answer that was cut are cut as well: the text alone is kept.
        self._keep(asked, Message.assistant(so_far.text))
        note("stopped; what came so far is kept")

    def _answer(self, asked: Message) -> ChatCompletionResponse:
        request = self._talk.request(asked)
        watch = _watched if self._typed else None
        return show_answer(self._client, request, self._options, watch=watch)

    def _keep(self, asked: Message, answered: Message) -> None:
        self._talk.messages += [asked, answered]
        self._parts = []
        if self._file is not None:
            try:
                self._store(self._file)
            except OSError as error:
                self._fail(f"the conversation is not saved: {saved.said(error)}")

    def _store(self, path: str) -> None:
        self._talk.store(path, self._client, self._who.model)

    # Commands

    def _help(self, _: str) -> None:
        lines = [f"  {words:<24} {what}" for _, words, what in self._COMMANDS.values()]
        lines += [
            f"  {_SEVERAL + ' … ' + _SEVERAL:<24} a question of several lines",
            f"  {'Ctrl-C':<24} stop the answer",
            f"  {'Ctrl-D':<24} end",
        ]
        print("\n".join(lines), file=sys.stderr)

    def _save(self, rest: str) -> None:
        path = _path(rest) if rest else self._file or (self._own or [""])[-1]
        if not path:
            raise ValueError("to which file? /save FILE")
        if not self._talk.messages:
            raise ValueError("nothing was said yet")
        own = any(saved.same_file(path, one) for one in self._own)
        saved.check_place(path, own=own)
        self._store(path)
        self._own.append(path)
        self._file = path
        note(f"saved to {path}, and after each answer from now on")

    def _load(self, rest: str) -> None:
        if not rest:
            raise ValueError("which file? /load FILE")
        talk = Talk.of_file(_path(rest))
        if talk.who is not None:
            self._turn_to(talk.who)
        self._talk = talk
        self._leave_file()
        self._own.append(_path(rest))
        note(f"{_count(talk.messages)} so far, with {title(self._client)}")

    def _reset(self, _: str) -> None:
        from ai_lib import Role

        begun = self._talk.messages[:1]
        kept = [one for one in begun if one.role in (Role.SYSTEM, Role.DEVELOPER)]
        self._talk.messages = kept
        self._parts = []
        self._leave_file()
        note("a new conversation")

    def _leave_file(self) -> None:
        # What is saved there is another conversation from here on.
        if self._file is not None:
            note(f"{self._file} is left as it is; /save FILE saves what comes")
        self._file, self._own = None, []

    def _model(self, rest: str) -> None:
        if rest:
            self._turn_to(Who(provider=self._client.provider, model=rest))
        note(title(self._client))

    def _provider(self, rest: str) -> None:
        provider, _, model = rest.partition(" ")
        if provider:
            self._turn_to(Who(provider=provider, model=model.strip() or None))
        note(title(self._client))

    def _turn_to(self, who: Who) -> None:
        client = who.open()
        if self._client is not self._given:
            self._client.close()
        self._client, self._who = client, who

    def _system(self, rest: str) -> None:
        if not rest:
            raise ValueError("how to answer? /system TEXT")
        self._talk.instruct(text_of(rest))

    def _attach(self, rest: str) -> None:
        if not rest:
            self._parts = []
            note("nothing is attached")
            return
        self._parts.append(attach(_path(rest)))
        note(f"{rest} goes along with the next question")

    def _quit(self, _: str) -> None:
        self._over = True

    #: Each with what it takes, and what it does.
    _COMMANDS: ClassVar[
        dict[str, tuple[Callable[[Conversation, str], None], str, str]]
    ] = {
        "/attach": (
            _attach,
            "/attach [FILE]",
            "send a file, or none, with the next question",
        ),
        "/save": (_save, "/save [FILE]", "save the conversation, from now on too"),
        "/load": (_load, "/load FILE", "go on with another conversation"),
        "/reset": (_reset, "/reset", "begin a new conversation"),
        "/model": (_model, "/model [NAME]", "say which model answers, or change it"),
        "/provider": (
            _provider,
            "/provider [ID [NAME]]",
            "say who answers, or change it",
        ),
        "/system": (_system, "/system TEXT", "say how to answer"),
        "/help": (_help, "/help", "show this"),
        "/quit": (_quit, "/quit", "end"),
    }


def _path(text: str) -> str:
    return str(Path(text).expanduser())


def _count(messages: list[Message]) -> str:
    return "1 message" if len(messages) == 1 else f"{len(messages)} messages"


def _watched(handle: CancelHandle) -> AbstractContextManager[None]:
    return stopped_by_key(handle.cancel)


class _Lines:
    """
    What is typed or piped, a question or a command at a time.
    """

    def __init__(self, commands: Iterable[str], *, typed: bool) -> None:
        self._typed = typed
        # Where answers are redirected, the sign to type does not go along.
        self._aside = not is_terminal(sys.stdout)
        self._readline: Any = None
        if typed and not self._aside:
            self._readline = _editing(list(commands))

    def remember(self, messages: list[Message]) -> None:
        """
        Let earlier questions be found again with the arrow keys.
        """
        if self._readline is None:
            return
        for one in messages:
            if one.role == "user" and one.text:
                self._readline.add_history(one.text)

    def read(self) -> str | None:
        """
        Read one; ``None``: there are no more.
        """
        while True:
            try:
                return self._whole()
            except EOFError:
                if self._typed:
                    print(file=sys.stderr)
                return None
            except KeyboardInterrupt:
                if not self._typed:
                    raise
                print(file=sys.stderr)
                note("Ctrl-D ends")

    def _whole(self) -> str:
        line = self._line("> ")
        if not line.lstrip().startswith(_SEVERAL):
            return line
        text = line.lstrip().removeprefix(_SEVERAL)
        while not text.rstrip().endswith(_SEVERAL):
            try:
                text += "\n" + self._line(". ")
            except EOFError:
                if not text.strip():
                    raise
                break
        return " " + text.rstrip().removesuffix(_SEVERAL).strip("\n")

    def _line(self, sign: str) -> str:
        if self._typed and not self._aside:
            return input(sign)
        if self._typed:
            print(sign, end="", file=sys.stderr, flush=True)
        line = "" if sys.stdin is None else sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")


def _editing(commands: list[str]) -> Any:
    """
    Have lines edited, remembered until the end, and commands completed, where that can be had.
    """
    try:
        import readline
    except ImportError:  # Windows
        return None

    def complete(text: str, state: int) -> str | None:
        whole = readline.get_line_buffer()
        found = [f"{one} " for one in commands if one.startswith(text)]
        return found[state] if whole == text and state < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" ")
    if "libedit" in (readline.__doc__ or ""):
        readline.parse_and_bind("bind ^I rl_complete")
    else:
        readline.parse_and_bind("tab: complete")
        # What is pasted is one question, whatever lines it has.
        readline.parse_and_bind("set enable-bracketed-paste on")
    return readline
