"""
Batches in files of OpenAI's format, as both packages read and write them.
"""

from __future__ import annotations

import json

import pytest

import ai_lib
from ai_lib import (
    BatchInput,
    BatchItem,
    BatchOutput,
    ChatCompletionRequest,
    ChatCompletionResponse,
    Choice,
    ConfigurationError,
    Message,
    RateLimitError,
)

REQUESTS = [ChatCompletionRequest("m", text) for text in ("One?", "Two?")]
RESPONSE = ChatCompletionResponse(
    id="r1", model="m", choices=[Choice(message=Message.assistant("1"))]
)
ERROR = RateLimitError("slower", status_code=429)


@pytest.fixture
def path(tmp_path):
    """
    Give the path of a file that is not there yet.
    """
    return tmp_path / "batch.jsonl"


def test_requests_come_back(path):
    """
    Requests are written with names of their own or by their number, and read again.
    """
    ai_lib.write_batch_input(
        path, [REQUESTS[0], BatchInput(custom_id="two", request=REQUESTS[1])]
    )

    found = list(ai_lib.read_batch_input(path))

    assert ["request-0", "two"] == [one.custom_id for one in found]
    assert REQUESTS == [one.request for one in found]


def test_items_come_back(path):
    """
    Items are written under the numbers of their requests, outputs under their names, and read again.
    """
    items = [
        BatchItem(index=1, request=REQUESTS[1], error=ERROR),
        BatchItem(index=0, request=REQUESTS[0], response=RESPONSE),
        BatchOutput(custom_id="more", response=RESPONSE),
    ]
    ai_lib.write_batch_output(path, items)

    found = list(ai_lib.read_batch_output(path))

    assert ["request-1", "request-0", "more"] == [one.custom_id for one in found]
    assert [False, True, True] == [one.ok for one in found]
    assert "1" == found[1].unwrap().text
    with pytest.raises(RateLimitError, match="slower"):
        found[0].unwrap()


def test_what_cannot_be_written_leaves_the_old_file(path):
    """
    A name that is there twice is told with its lines, and the file is what it was before.
    """
    path.write_text("old")
    twice = [BatchInput(custom_id="a", request=one) for one in REQUESTS]

    with pytest.raises(ValueError, match="line 2: custom_id 'a' was in line 1"):
        ai_lib.write_batch_input(path, twice)

    assert "old" == path.read_text()
    assert [path] == list(path.parent.iterdir())


def test_broken_line_is_named_with_its_file(path):
    """
    What stands before a broken line is read, and then the line is named.
    """
    path.write_text('"One?"\n\n{"prompt": 2}\n')
    found = ai_lib.read_batch_input(str(path))

    assert "One?" == next(found).request.messages[0].text
    with pytest.raises(ValueError, match=r"batch\.jsonl, line 3: its prompt"):
        next(found)


def test_missing_file_is_the_systems_error(path):
    """
    A file that is not there is a ``FileNotFoundError``, for each of the readers.
    """
    for read in (
        ai_lib.read_batch_input,
        ai_lib.read_batch_output,
        ai_lib.read_journal,
    ):
        with pytest.raises(FileNotFoundError):
            list(read(path))


def test_journal_is_read(path, twin, server):
    """
    The items of a journal are read, failed ones too, by either package.
    """
    from faults import answer, refusal

    server.script(answer("Yes."), refusal(400))
    twin.client(server).chat_completion_batch(REQUESTS, journal=path, max_concurrency=1)

    found = list(twin.package.read_journal(path))

    assert [(0, True), (1, False)] == [(one.index, one.ok) for one in found]
    assert "Yes." == found[0].response.text
    assert 400 == found[1].error.status_code


def test_file_of_another_kind_is_no_journal(path):
    """
    A file that is no journal is told apart from one that is empty.
    """
    path.write_text(json.dumps({"custom_id": "a"}) + "\n")

    with pytest.raises(ConfigurationError, match="no journal"):
        list(ai_lib.read_journal(path))
