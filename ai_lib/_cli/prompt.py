"""
What is asked: arguments, standard input, attachments.
"""

from __future__ import annotations

import os
import stat
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ai_lib._cli.terminal import is_terminal

if TYPE_CHECKING:
    from ai_lib._core.messages import Part


def prompt_of(options: Namespace) -> str:
    """
    Put the prompt together of the arguments and of what is piped in.

    Raises:
        SystemExit: There is nothing to ask.
    """
    words = [word for word in options.prompt if word != "-"]
    asked_for = not words or len(words) < len(options.prompt)
    typed = is_terminal(sys.stdin)
    piped = "" if typed and not options.prompt else _piped(asked_for=asked_for)
    parts = [text_of(" ".join(words)), piped]
    prompt = "\n\n".join(part for part in parts if part.strip())
    if not prompt and not options.prompt and typed:
        options.fail(
            'what to ask? ai-lib chat "…"; -i for a conversation, or - to type it'
        )
    if not prompt:
        options.fail("nothing to ask: give a PROMPT, or pipe one in")
    return prompt


def text_of(argument: str) -> str:
    """
    Take the stray surrogates out of an argument that was no text in the locale's encoding.
    """
    return argument.encode(errors="surrogateescape").decode(errors="replace")


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


def attach(path: str) -> Part:
    """
    Read a file as what its first bytes say it is: an image, a sound, a document or a text.

    A text goes along as one, under its name: that is what every model takes.

    Raises:
        OSError: It cannot be read.

        ValueError: Not a regular file, empty, too large, or of no known type.
    """
    from ai_lib import AudioPart, FilePart, ImagePart, TextPart
    from ai_lib._core.files import sniff

    data = FilePart.from_file(path, mime="application/octet-stream").data or b""
    if not data:
        raise ValueError(f"{path} is empty")
    if sniff(data) is None:
        text = _as_text(data)
        if text is not None:
            return TextPart(f"{text_of(Path(path).name)}:\n\n{text}")
    try:
        part = FilePart.from_file(path)
    except ValueError:
        raise ValueError(f"{path} is no known image, sound, document or text") from None
    for kind, made in (("image/", ImagePart), ("audio/", AudioPart)):
        if part.mime is not None and part.mime.startswith(kind):
            return made.from_bytes(data, part.mime)
    return part


def _as_text(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
