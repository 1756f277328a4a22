"""
Events in OpenAI's format that are read by the one before: exactly as if each had been read for itself.
"""

from __future__ import annotations

import itertools
import json
import random

import pytest

from ai_lib._core.dialects._openai_chunks import Alike, common_chunk
from ai_lib._core.dialects._shared import decode_event

EVENT = (
    '{"id":"c1","object":"chat.completion.chunk","created":17,"model":"m","choices":'
    '[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}'
)
THOUGHT = EVENT.replace('"content":"Hi"', '"content":null,"reasoning":"Hi"')
SPACED = json.dumps(json.loads(EVENT), indent=1)


def learned(text):
    alike = Alike()
    alike.learn(text)
    return alike


@pytest.mark.parametrize("event", [EVENT, THOUGHT, SPACED], ids=["text", "thought", ""])
@pytest.mark.parametrize("piece", [" there", "x", "ß", "日本", "{}[]:,'/", "content"])
def test_next_event_is_read_by_the_one_before(event, piece):
    """
    What differs in its text only is the same chunk, raw event included.
    """
    text = event.replace('"Hi"', f'"{piece}"')

    found = learned(event).read(text)

    assert common_chunk(decode_event(text)) == found
    assert list(decode_event(text)) == list(found.raw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[DONE]",
        EVENT[:-1],
        EVENT[1:],
        EVENT.replace('"Hi"', '""'),
        EVENT.replace('"Hi"', '"a\\n"'),
        EVENT.replace('"Hi"', '"\\u0041"'),
        EVENT.replace('"Hi"', '"a\tb"'),
        EVENT.replace('"Hi"', '"\0"'),
        EVENT.replace('"Hi"', '"a","role":"b"'),
        EVENT.replace('"Hi"', '"a"},"error":{"message":"b"'),
        EVENT.replace('"Hi"', '"a\\"},"finish_reason":"b"'),
        EVENT.replace('"Hi"', "null"),
        EVENT.replace('"c1"', '"c2"'),
        EVENT.replace("17", "18"),
        EVENT.replace("null", '"stop"'),
        EVENT.replace('"Hi"},', '"},'),
    ],
)
def test_what_differs_in_more_is_left_to_the_parser(text):
    """
    Another field, an escape, a quote, or a letter that JSON has escaped: such an event is read as a whole.
    """
    assert learned(EVENT).read(text) is None


@pytest.mark.parametrize(
    "event",
    [
        EVENT.replace('"content"', '"content":"Hi","content"'),
        EVENT.replace('"m"', '"content"'),
        EVENT.replace('"content":"Hi"', '"content":"Hi","reasoning":"Hi"'),
        EVENT.replace('"Hi"', '"\\u0048i"'),
        EVENT.replace('"Hi"', '"\N{OBJECT REPLACEMENT CHARACTER}"'),
        EVENT.replace('"model"', '"more":{"a":1},"model"'),
        EVENT.replace('"finish_reason"', '"more":[],"finish_reason"'),
    ],
)
def test_what_cannot_be_told_apart_is_not_learned(event):
    """
    Texts whose place is not certain, and events with more inside that chunks would share, are no pattern.
    """
    alike = learned(event)

    assert alike.read(event) is None
    assert alike.read(event.replace("Hi", "Ho")) is None


def test_raw_events_are_their_chunks_own():
    """
    Who changes one chunk's raw event changes no other's.
    """
    first = decode_event(EVENT)
    alike = Alike()
    alike.learn(EVENT)
    first["choices"][0]["delta"].clear()
    second = alike.read(EVENT.replace("Hi", "a"))
    second.raw["choices"][0]["delta"].clear()
    second.raw["choices"].clear()
    second.raw.clear()

    third = alike.read(EVENT.replace("Hi", "b"))

    assert json.loads(EVENT.replace("Hi", "b")) == third.raw


def test_events_that_are_never_alike_are_given_up():
    """
    Where each event has something of its own, no more time is spent on looking; where some have, it is.
    """
    alike = Alike()
    for number in range(10):
        other = EVENT.replace("17", str(number))
        assert alike.read(other) is None
        alike.learn(other)

    assert alike.read(other.replace("Hi", "a")) is None

    alike = Alike()
    for number in range(10):
        other = EVENT.replace("17", str(number))
        alike.learn(other)
        assert alike.read(other.replace("Hi", "a")).text == "a"


def test_any_event_behind_any_other_is_read_as_by_itself():
    """
    Whatever stands in two events, the second is read as a whole or as what it is.
    """
    luck = random.Random(7)
    tokens = [
        '"',
        "\\",
        "Hi",
        '"content":"',
        ",",
        "{",
        "}",
        ":",
        "null",
        "content",
        "é",
    ]
    texts = [EVENT, THOUGHT, SPACED]
    for _ in range(60):
        text = luck.choice(texts[:3])
        at = luck.randrange(len(text))
        made = text[:at] + "".join(luck.choices(tokens, k=3)) + text[at:]
        texts.append(made if luck.random() < 0.8 else text.replace("Hi", made[:5]))

    for first, second in itertools.product(texts, texts):
        alike = Alike()
        try:
            event = decode_event(first)
        except ValueError:
            continue
        if common_chunk(event) is not None:
            alike.learn(first)
        found = alike.read(second)
        assert found is None or common_chunk(decode_event(second)) == found
