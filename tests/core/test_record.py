"""
Data classes that share how they are compared, hashed and shown: as attrs would have it.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import attrs
import pytest

import ai_lib._core
from ai_lib._core.record import MutableRecord, Record


@attrs.frozen(eq=False, repr=False)
class Ours(Record):
    name: str
    size: int = attrs.field(default=0, repr=lambda size: f"{size} bytes")
    secret: str = attrs.field(default="", repr=False)
    seen: object = attrs.field(default=None, eq=False)
    _own: tuple[object, ...] = ()


@attrs.frozen
class Theirs:
    name: str
    size: int = attrs.field(default=0, repr=lambda size: f"{size} bytes")
    secret: str = attrs.field(default="", repr=False)
    seen: object = attrs.field(default=None, eq=False)
    _own: tuple[object, ...] = ()


@attrs.define(eq=False, repr=False)
class Filled(MutableRecord):
    parts: list[object] = attrs.field(factory=list)


GIVEN = [
    {"name": "a"},
    {"name": "b"},
    {"name": "a", "size": 1},
    {"name": "a", "secret": "x"},
    {"name": "a", "seen": 1},
    {"name": "a", "own": (1, "two")},
]


@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_record_is_shown_as_attrs_would(given):
    """
    Names, order, what is hidden and what is shown in other words are those of the fields.
    """
    assert repr(Theirs(**given)).replace("Theirs", "Ours") == repr(Ours(**given))


def test_record_is_compared_and_hashed_as_attrs_would():
    """
    Equal where the fields that count are; equal ones have the same hash.
    """
    for one in GIVEN:
        for other in GIVEN:
            same = Theirs(**one) == Theirs(**other)
            assert same == (Ours(**one) == Ours(**other))
            assert same != (Ours(**one) != Ours(**other))
            if same:
                assert hash(Ours(**one)) == hash(Ours(**other))


def test_record_equals_its_own_class_only():
    """
    The same fields in another class, or a tuple of them, are something else.
    """

    @attrs.frozen(eq=False, repr=False)
    class Other(Ours):
        pass

    assert Ours("a") != Other("a")
    assert Ours("a") != ("a", 0, "", None, ())
    assert repr(Other("a")).startswith("Other(name='a'")


def test_record_that_holds_what_has_no_hash_has_none():
    """
    A list in a field makes a record unhashable, as with attrs.
    """
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours("a", own=[]))


def test_record_in_itself_is_shown():
    """
    A record that holds itself ends its own repr.
    """
    filled = Filled()
    filled.parts.append(filled)

    assert "Filled(parts=[...])" == repr(filled)


def test_what_is_filled_has_no_hash():
    """
    What may change is compared, but is in no set.
    """
    assert Filled([1]) == Filled([1])
    with pytest.raises(TypeError, match="unhashable"):
        hash(Filled())


def records():
    """
    List every record of the core.
    """
    for module in pkgutil.walk_packages(ai_lib._core.__path__, "ai_lib._core."):
        for one in vars(importlib.import_module(module.name)).values():
            if isinstance(one, type) and issubclass(one, Record):
                yield one


@pytest.mark.parametrize(
    "record", sorted(set(records()), key=lambda one: one.__qualname__)
)
def test_nothing_is_compiled_for_a_record(record):
    """
    attrs was told to leave out what records have in common: none has a copy of its own.
    """
    if record in (Record, MutableRecord):
        pytest.skip("has it")
    codes = [
        getattr(vars(record).get(name), "__code__", None)
        for name in ("__eq__", "__hash__", "__repr__")
    ]
    written = [one for one in codes if one and "attrs generated" in one.co_filename]

    assert attrs.has(record)
    assert not written


def test_nothing_is_printed_unless_the_program_logs():
    """
    A hook that fails is logged, and a program that has set up no logging sees nothing of it.
    """
    code = """
import ai_lib
class Transport:
    def send(self, effect, call):
        body = b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'
        return ai_lib.HttpResponse(status=200, body=body)
def fail(event): raise ValueError
client = ai_lib.AiClient("openai", api_key="x", transport=Transport(), hooks=fail)
print(client.quick_chat_text("gpt-4o", "hello"))
"""

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ("hi", "") == (done.stdout.strip(), done.stderr)
