"""
The command line, ``ai-lib``: what a shell can ask, in terms of the public names.

A command is a module whose ``add`` adds it; they are listed in ``_add_commands``.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TextIO

from ai_lib._cli.terminal import note
from ai_lib._core.version import __version__

#: Exit codes, as ``--help`` tells them; the shell's own for Ctrl-C and a closed pipe.
_FAILED, _USAGE, _NOT_SET_UP, _INTERRUPTED, _PIPE_CLOSED = 1, 2, 3, 130, 141

_EXIT_CODES = """\
exit codes:
  0    answered
  1    the call failed, or one of a batch, or nothing was found
  2    the command line, or the file of a batch, cannot be right
  3    not set up: no key, no such provider, no local model
  130  interrupted (Ctrl-C)
  141  who read the answer has left
"""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    Args:
        argv: The arguments; by default the process's own.

    Returns:
        The exit code.

    Raises:
        SystemExit: By argparse, after help or a mistake in the arguments.
    """
    try:
        _forgive_encoding()
        parser = _parser()
        _complete(parser)
        return _reported(parser.parse_args(argv))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:  # of standard input or output; the network's are ours
        _forget_output()
        if isinstance(error, BrokenPipeError):
            return _PIPE_CLOSED
        note(f"error: {error.strerror or error}")
        return _FAILED


def _reported(options: Namespace) -> int:
    from ai_lib import AiLibError, ConfigurationError, LocalModelError
    from ai_lib._cli.advice import for_the_shell

    if sys.stdout is None:
        note("error: standard output is closed: nothing could be told")
        return _FAILED
    try:
        _tell_of_the_model()
        _tell_warnings()
        code: int = options.run(options)
        sys.stdout.flush()
    except (ConfigurationError, LocalModelError) as error:
        note(f"error: {for_the_shell(error)}")
        return _NOT_SET_UP
    except AiLibError as error:
        note(f"error: {for_the_shell(error)}")
        return _FAILED
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  # a person is no use for a traceback
        from ai_lib._core.secrets import redact

        told = redact(f"{type(error).__name__}: {error}")[:500]
        note(f"error: a fault of ai-lib itself, please report it: {told}")
        return _FAILED
    return code


def _forgive_encoding() -> None:
    # What a terminal cannot show, or was not typed in its encoding, gets a question mark.
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _forget_output() -> None:
    # What is still buffered would raise again when the interpreter flushes it.
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # there is none
        return


def _tell_of_the_model() -> None:
    """
    Show what is logged of the local model, such as that it is being fetched.
    """
    import logging

    logger = logging.getLogger("ai_lib.local")
    if sys.stderr is None or logger.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("ai-lib: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _tell_warnings() -> None:
    """
    Tell the library's warnings as notes, without lines of its source.
    """
    import warnings

    def tell(  # noqa: PLR0917  # the signature is that of warnings
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        del category, filename, lineno, file, line  # for programmers
        note(f"warning: {message}")

    warnings.showwarning = tell


def _complete(parser: ArgumentParser) -> None:
    """
    Answer the shell, if it is the shell that asks, what may come next.
    """
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        sys.exit(_FAILED)
    argcomplete.autocomplete(parser)


class _Parser(ArgumentParser):
    """
    Tells a mistake in one line.
    """

    def error(self, message: str) -> NoReturn:
        note(f"error: {message.rstrip('.')}. {self.prog} --help tells more.")
        sys.exit(_USAGE)


class Commands:
    """
    Where commands are added.
    """

    def __init__(self, parser: ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(
            title="commands", metavar="COMMAND", required=True
        )

    def add(
        self,
        name: str,
        *,
        help: str,
        description: str,
        examples: str,
        run: Callable[[Namespace], int],
    ) -> ArgumentParser:
        """
        Add one, and give its parser for the arguments.

        Args:
            name: What is typed.

            help: What it does, for the list of commands.

            description: The same in a sentence.

            examples: Stand below the arguments.

            run: Does it, and gives the exit code. ``options.fail`` ends with a mistake in the arguments.
        """
        parser: ArgumentParser = self._parsers.add_parser(
            name,
            help=help,
            description=description,
            epilog=f"{examples}\n{_EXIT_CODES}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        parser.set_defaults(run=run, fail=parser.error)
        return parser


def _add_commands(commands: Commands) -> None:
    from ai_lib._cli import batch, chat, models, providers

    for module in (chat, batch, models, providers):
        module.add(commands)


_EXAMPLES = """\
examples:
  ai-lib chat "Name three primes."
  ai-lib chat -i
  ai-lib batch in.jsonl -o out.jsonl -p groq
  ai-lib models -p groq
  ai-lib providers

ai-lib COMMAND --help shows more of each.
"""


def _parser() -> ArgumentParser:
    parser = _Parser(
        prog="ai-lib",
        description="Ask large language models from the command line.",
        epilog=f"{_EXAMPLES}\n{_EXIT_CODES}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    version: Any = f"ai-lib {__version__}"
    parser.add_argument("--version", action="version", version=version)
    _add_commands(Commands(parser))
    return parser
