"""
This machine, for both shells: files, processes, terminals. No network, and nothing that knows a provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from ai_lib._core.http import HttpRequest
    from ai_lib._core.providers import Origin
    from ai_lib._host.journal import Journal
    from ai_lib._host.progress import Progress, Tell


def serve(model: str | None = None) -> Origin:
    """
    Have the embedded model's server running, and say where it listens; blocks until it does.

    Args:
        model: Path of a GGUF file; by default the one that is found or fetched.

    Raises:
        LocalModelError: It cannot run, and why.
    """
    from ai_lib._host import local_model

    return local_model.serve(model)


def open_progress(progress: bool | Tell, total: int | None) -> Progress | None:
    """
    Make what shows, or tells, how far a batch is; ``None``: nothing is to be.
    """
    if progress is False:
        return None
    from ai_lib._host.progress import open_progress

    return open_progress(progress, total)


def open_journal(path: str | os.PathLike[str]) -> Journal:
    """
    Open the journal of a batch, and read what is there.

    Raises:
        ConfigurationError: It is no journal, or another batch is at it.
    """
    from ai_lib._host.journal import Journal

    return Journal.open(path)


def sign(request: HttpRequest) -> HttpRequest:
    """
    Sign a request for Amazon Web Services; may block, since some credentials are fetched.

    Raises:
        ConfigurationError: There are no credentials, or they cannot be had.
    """
    from ai_lib._host import aws

    return aws.sign(request)
