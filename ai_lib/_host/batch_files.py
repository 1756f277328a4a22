"""
Files of OpenAI's Batch API on disk: read line by line, written whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from ai_lib._core.batch import BatchInput, BatchItem, BatchOutput, id_of
from ai_lib._core.batch.jsonl import (
    Ids,
    decode_inputs,
    decode_outputs,
    encode_input,
    encode_output,
    told,
)
from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._host.draft import draft

Path = str | os.PathLike[str]


def read_input(path: Path) -> Iterator[BatchInput]:
    """
    Read requests; see ``decode_inputs``.
    """
    with open(path, "rb") as file:  # noqa: PTH123  # as the caller named it
        yield from decode_inputs(file, os.fspath(path))


def write_input(
    path: Path, inputs: Iterable[BatchInput | ChatCompletionRequest]
) -> None:
    """
    Write requests; see ``encode_input``.
    """
    name, ids = os.fspath(path), Ids()
    with draft(path) as file:
        for index, one in enumerate(inputs):
            if isinstance(one, ChatCompletionRequest):
                custom_id, request = id_of(index), one
            else:
                custom_id, request = one.custom_id, one.request
            with told(name, index + 1):
                ids.add(custom_id, index + 1)
            file.write(encode_input(custom_id, request))


def read_output(path: Path) -> Iterator[BatchOutput]:
    """
    Read what came of requests; see ``decode_outputs``.
    """
    with open(path, "rb") as file:  # noqa: PTH123  # likewise
        yield from decode_outputs(file, os.fspath(path))


def write_output(path: Path, outputs: Iterable[BatchOutput | BatchItem]) -> None:
    """
    Write what came of requests; see ``encode_output``.
    """
    with draft(path) as file:
        for one in outputs:
            named = one.custom_id if isinstance(one, BatchOutput) else id_of(one.index)
            file.write(encode_output(named, one))
