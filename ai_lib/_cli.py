"""
The command line, ``ai-lib``: what a shell can ask, in terms of the public names.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
)
from typing import TYPE_CHECKING

from ai_lib._core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_lib import AiClient, ChatCompletionRequest

#: Exit codes, as ``--help`` tells them; the shell's own for Ctrl-C and a closed pipe.
_FAILED, _USAGE, _NOT_SET_UP, _INTERRUPTED, _PIPE_CLOSED = 1, 2, 3, 130, 141

_EXAMPLES = """\
examples:
  ai-lib chat "Name three primes."
  ai-lib chat -p groq "Name three primes."
  ai-lib chat -m groq/openai/gpt-oss-20b "Name three primes."
  ai-lib chat "Summarise this." < report.txt
  git diff | ai-lib chat "Review this change." -
  ai-lib chat -p local -m some-model.gguf "Say hello."
  ai-lib chat --json "Name three primes." | jq .usage

Without --provider the first provider answers whose key is in the environment, such as
OPENAI_API_KEY; without any key the local model does. That one needs the extra `local`:
in the checkout, pip install '.[local]'.
"""

#: Advice for programs, and what it means here.
_ADVICE = (
    (r"\bpass (?:api_key=|provider_options=\{.*?\}) or set\b", "set"),
    (r"\b(pass|with) model=", r"\1 --model"),
    (r"\bproxy= or AI_PROXY_URL, or pass disable_proxy=True", "AI_PROXY_URL"),
    (
        r"\bregister_provider\(.*?\)\) adds a provider",
        "docs/providers.md lists the providers",
    ),
    (r"\bas the client's model\b", "as --model"),
)

_EXIT_CODES = """\
exit codes:
  0    answered
  1    the call failed
  2    the command line cannot be right
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
        options = _parser().parse_args(argv)
        return _reported(options)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:  # of standard input or output; the network's are ours
        # What is still buffered would raise again when the interpreter flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return _PIPE_CLOSED
        _note(f"error: {error.strerror}")
        return _FAILED


def _reported(options: Namespace) -> int:
    from ai_lib import AiLibError, ConfigurationError, LocalModelError

    try:
        _tell_of_the_model()
        _chat(options)
    except (ConfigurationError, LocalModelError) as error:
        _note(f"error: {_for_the_shell(str(error))}")
        return _NOT_SET_UP
    except AiLibError as error:
        _note(f"error: {error}")
        return _FAILED
    return 0


def _forgive_encoding() -> None:
    # A terminal that cannot show a character gets a question mark, not a traceback.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _note(text: str) -> None:
    if sys.stderr is not None:
        print("ai-lib:", " ".join(text.split()), file=sys.stderr)


def _for_the_shell(message: str) -> str:
    for pattern, meaning in _ADVICE:
        message = re.sub(pattern, meaning, message)
    return message


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


def _parser() -> ArgumentParser:
    layout = RawDescriptionHelpFormatter
    parser = ArgumentParser(
        prog="ai-lib",
        description="Ask large language models from the command line.",
        epilog=f"{_EXAMPLES}\n{_EXIT_CODES}",
        formatter_class=layout,
    )
    parser.add_argument("--version", action="version", version=f"ai-lib {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chat = commands.add_parser(
        "chat",
        help="ask one thing, and print the answer",
        description="Ask one thing, and print the answer as it comes.",
        epilog=f"{_EXAMPLES}\n{_EXIT_CODES}",
        formatter_class=layout,
    )
    chat.set_defaults(fail=chat.error)
    _add_chat_arguments(chat)
    return parser


def _add_chat_arguments(chat: ArgumentParser) -> None:
    add = chat.add_argument
    add(
        "prompt",
        nargs="*",
        metavar="PROMPT",
        help="what to ask; - stands for standard input, which follows after a blank line",
    )
    add("-p", "--provider", metavar="ID", help="who is asked, such as openai or local")
    add(
        "-m",
        "--model",
        metavar="NAME",
        help="the provider's name of the model, or PROVIDER/NAME, or a GGUF file",
    )
    add("-s", "--system", metavar="TEXT", help="how to answer")
    add("--max-tokens", type=_length, metavar="N", help="the answer's length at most")
    add("--temperature", type=float, metavar="T", help="randomness; 0: none")
    add("--no-stream", action="store_true", help="print the answer when it is whole")
    add(
        "--json",
        action="store_true",
        help="print the whole response as one JSON object (implies --no-stream)",
    )


def _length(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _chat(options: Namespace) -> None:
    request = _request(options)
    with _client(options) as client:
        if options.json:
            _print_json(client, request)
        elif options.no_stream:
            response = client.chat_completion(request)
            _print_text([response.text])
            _print_warnings(response.warnings)
        else:
            with client.chat_completion_stream(request) as stream:
                _print_text(stream.text_stream)
            _print_warnings(stream.response.warnings)


def _request(options: Namespace) -> ChatCompletionRequest:
    from ai_lib import ChatCompletionRequest, Message

    messages = [Message.system(options.system)] if options.system else []
    messages.append(Message.user(_prompt(options)))
    return ChatCompletionRequest(
        "",  # the client's
        messages,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
    )


def _prompt(options: Namespace) -> str:
    words = [word for word in options.prompt if word != "-"]
    asked_for = not words or len(words) < len(options.prompt)
    piped = "" if _is_typed() and not options.prompt else _piped(asked_for=asked_for)
    parts = [" ".join(words), piped]
    prompt = "\n\n".join(part for part in parts if part.strip())
    if not prompt and not options.prompt and _is_typed():
        options.fail('one question, one answer: ai-lib chat "…", or - to type it')
    if not prompt:
        options.fail("nothing to ask: give a PROMPT, or pipe one in")
    # An argument that is not text in the locale's encoding comes with stray surrogates.
    return prompt.encode(errors="surrogateescape").decode(errors="replace")


def _is_typed() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _piped(*, asked_for: bool) -> str:
    """
    Read what is piped in or typed, if it is asked for, or is a file and so surely ends: a pipe that this
    process only inherited may stay open for ever.
    """
    if sys.stdin is None:
        return ""
    if not asked_for and not stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):
        return ""
    return sys.stdin.buffer.read().decode(sys.stdin.encoding, "replace").strip()


def _client(options: Namespace) -> AiClient:
    from ai_lib import AiClient
    from ai_lib._core.registry import first_configured, split_model_string
    from ai_lib._core.routes import embedded_names

    model = options.model
    if options.provider:
        return AiClient(options.provider, model=model)
    if model and model.lower().endswith(".gguf"):
        return AiClient("local", model=model)
    if model and split_model_string(model):
        return AiClient(model)
    spec = first_configured()
    if spec is None:
        _note(f"no key is set; using the local model ({embedded_names()[0]})")
        return AiClient("local", model=model)
    client = AiClient(spec.id, model=model)
    named = client.default_chat_model()
    _note(client.provider if named == "auto" else f"{client.provider}, {named}")
    return client


def _print_json(client: AiClient, request: ChatCompletionRequest) -> None:
    import json

    from ai_lib import to_dict

    print(json.dumps(to_dict(client.chat_completion(request))), flush=True)


def _print_text(pieces: Iterable[str]) -> None:
    last = ""
    try:
        for piece in pieces:
            last = piece or last
            print(piece, end="", flush=True)
    finally:
        # Also after an error or Ctrl-C, so that what follows has a line of its own.
        if last and not last.endswith("\n"):
            print(flush=True)


def _print_warnings(warnings: Iterable[str]) -> None:
    for warning in warnings:
        _note(f"warning: {warning}")
