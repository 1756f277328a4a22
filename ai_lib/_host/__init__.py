"""
This machine, for both shells: files, processes, terminals. No network, and nothing that knows a provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from ai_lib._core.batch import BatchInput, BatchItem, BatchOutput
    from ai_lib._core.batch.records import JournalItem
    from ai_lib._core.chat import ChatCompletionRequest
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


def read_journal(path: str | os.PathLike[str]) -> Iterator[JournalItem]:
    """
    Read the items of a batch's journal, in the order in which they were finished, failed ones too; may be done
    while it grows. What stands behind the last whole line is left out.

    Raises:
        OSError: It cannot be read.

        ConfigurationError: It is no journal, or a line of it is broken.
    """
    from ai_lib._host import journal

    return journal.read_journal(path)


def read_batch_input(path: str | os.PathLike[str]) -> Iterator[BatchInput]:
    """
    Read the requests of a file of OpenAI's Batch API, line by line.

    A line may also be the body of a request alone, with ``prompt``, a text, in place of ``messages`` if you like; or
    such a text alone. What has no name here goes along in ``extensions``.

    Raises:
        OSError: It cannot be read.

        ValueError: A line is no request, or its ``custom_id`` was there before. It is named by its number.
    """
    from ai_lib._host import batch_files

    return batch_files.read_input(path)


def write_batch_input(
    path: str | os.PathLike[str],
    inputs: Iterable[BatchInput | ChatCompletionRequest],
) -> None:
    """
    Write requests as a file of OpenAI's Batch API, in place of what is there; whole, or not at all.

    Args:
        path: Where.

        inputs: Requests alone are named ``request-0``, ``request-1`` … Their ``extra_headers`` have no place
            there.

    Raises:
        OSError: It cannot be written.

        UnsupportedFeatureError: OpenAI's format has no place for something that a request holds.

        ValueError: A ``custom_id`` is there twice.
    """
    from ai_lib._host import batch_files

    batch_files.write_input(path, inputs)


def read_batch_output(path: str | os.PathLike[str]) -> Iterator[BatchOutput]:
    """
    Read what came of requests from an output or error file of OpenAI's Batch API, line by line, in the order
    of the file, which may be any.

    Raises:
        OSError: It cannot be read.

        ValueError: A line is broken. It is named by its number.
    """
    from ai_lib._host import batch_files

    return batch_files.read_output(path)


def write_batch_output(
    path: str | os.PathLike[str], outputs: Iterable[BatchOutput | BatchItem]
) -> None:
    """
    Write what came of requests as a file of OpenAI's Batch API, in place of what is there; whole, or not at all.

    An answer is written as OpenAI would have given it, whoever gave it, with its warnings beside. An error that
    came with a status is a response with that status, any other an ``error``.

    Args:
        path: Where.

        outputs: Items are named ``request-0``, ``request-1`` … by their index.

    Raises:
        OSError: It cannot be written.
    """
    from ai_lib._host import batch_files

    batch_files.write_output(path, outputs)


def sign(request: HttpRequest) -> HttpRequest:
    """
    Sign a request for Amazon Web Services; may block, since some credentials are fetched.

    Raises:
        ConfigurationError: There are no credentials, or they cannot be had.
    """
    from ai_lib._host import aws

    return aws.sign(request)
