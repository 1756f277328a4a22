"""
What a request is known by, and items as lines.
"""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from types import MappingProxyType

import attrs
import pytest

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.places import Places
from ai_lib._core.batch.records import (
    content_key,
    item_to_line,
    note_to_line,
    read_line,
)
from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    Choice,
    Usage,
    UsageStatus,
)
from ai_lib._core.errors import AiLibError, RateLimitError, ServerError
from ai_lib._core.ledger import Attempt
from ai_lib._core.messages import FilePart, ImagePart, Message, TextPart
from ai_lib._core.tools import Tool, ToolCall

REQUEST = ChatCompletionRequest(
    "m",
    [Message.system("Be brief."), Message.user("Hi")],
    temperature=0.5,
    tools=[Tool("f", "Count.", {"type": "object", "properties": {"a": {}, "b": {}}})],
    extensions={"x": 1, "y": [1, {"z": None}]},
)

# Keys


def test_key_is_the_same_in_every_process():
    """
    Another interpreter, with other hashes of texts, finds the same key; so does a later release.
    """
    code = """
from ai_lib import ChatCompletionRequest, Message
from ai_lib._core.batch.records import content_key
print(content_key(ChatCompletionRequest("m", [Message.user("Hi")], seed=1)).hex())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "5720506f66ae12f0c54d279268a73e11" == done.stdout.strip()


@pytest.mark.parametrize(
    "same",
    [
        attrs.evolve(REQUEST, extensions={"y": [1, {"z": None}], "x": 1}),
        attrs.evolve(REQUEST, extensions=OrderedDict(REQUEST.extensions)),
        attrs.evolve(
            REQUEST, extensions={**REQUEST.extensions, "x": 1}, temperature=0.50
        ),
        attrs.evolve(REQUEST, extra_headers={"X-Trace": "1"}),
        attrs.evolve(
            REQUEST,
            tools=[
                Tool(
                    "f",
                    "Count.",
                    MappingProxyType(
                        {"properties": {"b": {}, "a": {}}, "type": "object"}
                    ),
                )
            ],
        ),
    ],
)
def test_key_does_not_change_with_what_decides_nothing(same):
    """
    Order of keys, kind of mapping and headers make no other request.
    """
    assert content_key(REQUEST) == content_key(same)


def test_whole_numbers_are_numbers():
    """
    A parameter of 1 is one of 1.0.
    """
    keys = {content_key(attrs.evolve(REQUEST, temperature=one)) for one in (1, 1.0)}

    assert 1 == len(keys)


def test_key_changes_with_all_that_decides():
    """
    Every parameter, message, part and extension makes another request.
    """
    image = ImagePart.from_bytes(b"1", "image/png")
    changes = [
        {},
        {"model": "n"},
        {"messages": "Hi"},
        {"messages": [*REQUEST.messages, Message.assistant("Ho")]},
        {"messages": [Message.user([TextPart("a"), TextPart("b")])]},
        {"messages": [Message.user("ab")]},
        {"messages": [Message.user("ab", name="c")]},
        {"messages": [Message.user([image])]},
        {"messages": [Message.user([attrs.evolve(image, data=b"2")])]},
        {"messages": [Message.user([attrs.evolve(image, detail="low")])]},
        {"messages": [Message.user([FilePart.from_bytes(b"1", "image/png")])]},
        {"messages": [Message.assistant(tool_calls=[ToolCall("1", "f")])]},
        {"messages": [Message.assistant(tool_calls=[ToolCall("1", "g")])]},
        {"messages": [Message("assistant", "x", provider_state={"a": 1})]},
        {"temperature": None},
        {"temperature": 0},
        {"max_tokens": 1},
        {"top_p": 0},
        {"top_k": 1},
        {"frequency_penalty": 0.5},
        {"presence_penalty": 0.5},
        {"stop": "a"},
        {"stop": ["a", "b"]},
        {"seed": 1},
        {"n": 2},
        {"logprobs": False},
        {"logprobs": True},
        {"top_logprobs": 1},
        {"tools": ()},
        {"tools": [Tool("f", "Count.", strict=True)]},
        {"tool_choice": "none"},
        {"parallel_tool_calls": False},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "low"},
        {"user": "u"},
        {"metadata": {"a": "b"}},
        {"extensions": {}},
        {"extensions": {"x": True}},
        {"extensions": {"x": "1"}},
    ]

    keys = {content_key(attrs.evolve(REQUEST, **change)) for change in changes}

    assert len(changes) == len(keys)
    fields = {one.name for one in attrs.fields(ChatCompletionRequest)}
    assert fields - {"extra_headers"} == {name for change in changes for name in change}


def test_any_json_has_a_key():
    """
    Keys that are no texts, halves of letters and NaN have a key; what JSON cannot say is refused.
    """
    odd = attrs.evolve(
        REQUEST, extensions={1: 1, "a": 2, None: "\ud83d", "n": float("nan")}
    )

    assert 16 == len(content_key(odd))
    with pytest.raises(TypeError, match="object"):
        content_key(attrs.evolve(REQUEST, extensions={"x": object()}))
    with pytest.raises(TypeError, match="object"):
        content_key(attrs.evolve(REQUEST, extensions={1: object(), "x": 1}))


# Lines

ANSWERED = BatchItem(
    index=3,
    request=REQUEST,
    response=ChatCompletionResponse(
        id="r",
        model="m-1",
        created=5,
        choices=[
            Choice(
                message=Message(
                    "assistant",
                    "Hé\ud83d\n",
                    tool_calls=[ToolCall("1", "f", "{}", extra={"s": 1})],
                    reasoning="Hm",
                    provider_state={"gemini": {"a": [1]}},
                ),
                finish_reason="tool_calls",
                logprobs={"content": [{"logprob": float("-inf")}]},
            )
        ],
        usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
        usage_status=UsageStatus.FINALIZED,
        provider="groq",
        request_id="req",
        warnings=("top_k was left out",),
        attempts=(
            Attempt(provider="groq", model="m", error="ServerError: no", waited=0.5),
            Attempt(provider="groq", model="m", status_code=200),
        ),
        raw={"id": "r"},
    ),
)
FAILED = BatchItem(
    index=0,
    request=REQUEST,
    error=RateLimitError(
        "slower",
        provider="groq",
        status_code=429,
        retry_after=2.0,
        previous=(ServerError("no", status_code=500),),
    ),
)


def test_answered_item_is_restored():
    """
    An answer comes back whole, with what it cost and what was tried.
    """
    line = item_to_line(ANSWERED, content_key(REQUEST))
    found = read_line(line)

    assert ANSWERED == found.item().restored(3, REQUEST)
    assert (content_key(REQUEST), True) == (found.key, found.answered)
    assert (1, line[-1:]) == (line.count(b"\n"), b"\n")


def test_failed_item_is_restored():
    """
    A failure comes back as its class, with its attributes.
    """
    found = read_line(item_to_line(FAILED, content_key(REQUEST)))
    error = found.item().error

    assert not found.answered
    assert RateLimitError is type(error)
    assert ("slower", 429, 2.0) == (error.message, error.status_code, error.retry_after)
    assert ServerError is type(error.previous[0])


def test_error_of_a_later_release_is_an_error():
    """
    A class that is not known here is read as the base of all.
    """
    line = item_to_line(FAILED, bytes(16)).replace(b"RateLimitError", b"NewError")

    assert AiLibError is type(read_line(line).item().error)


def test_request_is_kept_only_when_asked():
    """
    Without ``keep_request`` nothing of the request is on the line.
    """
    without = item_to_line(FAILED, bytes(16))
    found = read_line(item_to_line(FAILED, bytes(16), keep_request=True)).item()

    assert b"Be brief" not in without
    assert read_line(without).item().request is None
    assert REQUEST == found.request


def test_note_is_read_back():
    """
    A note is its name and any JSON.
    """
    found = read_line(note_to_line("batch", {"ids": [1, None, "ä"]}))

    assert found.key is None
    assert ("batch", {"ids": [1, None, "ä"]}) == (found.note, found.value)
    with pytest.raises(ValueError, match="no item"):
        found.item()


@pytest.mark.parametrize(
    "item", [{}, {"index": 0}, {"index": "x", "response": {}}, {"index": 0, "error": 1}]
)
def test_line_without_an_item_is_refused(item):
    """
    An item that has neither an answer nor an error is none.
    """
    line = b'{"failed":"%s","item":%s}' % (b"00" * 16, repr(item).encode())

    with pytest.raises(ValueError):
        read_line(line.replace(b"'", b'"')).item()


# Places


def test_places_are_each_taken_once():
    """
    Several places of one key, and of keys that look alike, are each given to their own key, once.
    """
    places = Places()
    keys = [bytes(8) + bytes([last]) * 8 for last in range(2)]
    keys += [number.to_bytes(8) * 2 for number in range(1, 998)]
    owner = {}
    for number in range(1, 5000):
        owner[number] = keys[number % len(keys)]
        places.add(owner[number], number)
    for number in range(5000):
        key = keys[number * 7 % len(keys)]
        found = places.take(key, lambda place, key=key: owner[place] == key)
        assert found is None or key == owner.pop(found)
        if found and number % 2:
            owner[found] = key
            places.add(key, found)

    assert len(owner) == len(places)
    for key in keys:
        fits = lambda place, key=key: owner.get(place) == key  # noqa: E731  # short
        while found := places.take(key, fits):
            del owner[found]
    assert {} == owner
    assert 0 == len(places)
    assert places.find(keys[5]) is None


def test_many_places_of_one_key_are_no_burden():
    """
    Many places of one key, such as of one request asked again and again, do not get slower.
    """
    places = Places()

    for number in range(1, 200_001):
        places.add(b"same key", number)

    assert 200_000 == places.find(b"same key")
    while places.take(b"same key", lambda _: True):
        pass
    assert 0 == len(places)
