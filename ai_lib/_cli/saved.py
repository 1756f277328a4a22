"""
Conversations in files: what ``to_dict`` makes of a request, and the provider's id.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ai_lib._cli.target import Who

if TYPE_CHECKING:
    from ai_lib import ChatCompletionRequest


def load(path: str) -> tuple[Who | None, ChatCompletionRequest]:
    """
    Read a conversation.

    Returns:
        Whom it was held with, if the file says so, and the request to go on from.

    Raises:
        OSError: It cannot be read.

        ValueError: It is none.
    """
    import json

    from ai_lib import ChatCompletionRequest, from_dict

    try:
        data = json.loads(Path(path).read_text("utf-8"))
        request = from_dict(ChatCompletionRequest, data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no conversation: {error}") from error
    provider = data.get("provider")
    if provider is None:
        return None, request
    if not isinstance(provider, str):
        raise ValueError(  # noqa: TRY004  # of the file's data, as all above
            f"{path} holds no conversation: its provider is no text"
        )
    return Who(provider=provider, model=request.model or None), request


def store(path: str, provider: str, request: ChatCompletionRequest) -> None:
    """
    Write a conversation for its owner's eyes; whatever happens, the file is the old one or the new one.

    Raises:
        OSError: It cannot be written.
    """
    import json

    from ai_lib import to_dict
    from ai_lib._host.draft import draft

    data = json.dumps({"provider": provider, **to_dict(request)}, indent=1)
    with draft(path, mode=0o600) as file:
        file.write(f"{data}\n".encode())


def check_place(path: str, *, own: bool) -> None:
    """
    See to it, before anybody is paid for an answer, that it can be saved.

    Args:
        path: Where.

        own: It may be written over: it is the conversation's own file.

    Raises:
        OSError: There is no such directory, or nothing may be written there.

        ValueError: It would take the place of something else.
    """
    place = Path(os.path.realpath(path))
    try:
        there = place.stat()
    except FileNotFoundError:
        if not stat.S_ISDIR(place.parent.stat().st_mode):
            raise NotADirectoryError(20, "Not a directory", str(place.parent)) from None
    else:
        if not stat.S_ISREG(there.st_mode):
            raise ValueError(f"{path} is not a regular file")
        if not own:
            raise ValueError(
                f"{path} is there already: resume it to go on with it, or name another file"
            )
    if not os.access(place.parent, os.W_OK):
        raise PermissionError(13, "Permission denied", str(place.parent))


def same_file(path: str, other: str | None) -> bool:
    """
    Tell whether two names lead to one place.
    """
    return other is not None and os.path.realpath(path) == os.path.realpath(other)


def said(error: OSError | ValueError) -> str:
    """
    Say what is wrong with a file, in half a sentence.
    """
    if isinstance(error, OSError) and error.strerror:
        return (
            f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        )
    return str(error)
