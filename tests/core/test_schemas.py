"""
JSON schemas from Python signatures.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    Union,
)

import attrs
import pytest

from ai_lib._core.schemas import schema_of_function
from ai_lib._core.tools import Tool

STRING, INTEGER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}

UserId = NewType("UserId", int)


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(TypedDict):
    city: str
    street: NotRequired[str]


class Options(TypedDict, total=False):
    must: Required[int]
    may: int


@dataclasses.dataclass
class Point:
    """
    A place on a map.

    Attributes:
        x: How far east.

        y: How far north.
    """

    x: float
    y: float = 0.0
    names: list[str] = dataclasses.field(default_factory=list)


@attrs.frozen
class Box:
    _lid: bool
    inside: Box | None = None


def properties(function):
    return schema_of_function(function)[1]["properties"]


def property_of(hint):
    def function(one): ...

    function.__annotations__["one"] = hint
    return properties(function)["one"]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        pytest.param(str, STRING, id="str"),
        pytest.param(int, INTEGER, id="int"),
        pytest.param(float, {"type": "number"}, id="float"),
        pytest.param(bool, {"type": "boolean"}, id="bool"),
        pytest.param(None, NULL, id="none"),
        pytest.param(list, {"type": "array"}, id="bare list"),
        pytest.param(list[int], {"type": "array", "items": INTEGER}, id="list"),
        pytest.param(Sequence[str], {"type": "array", "items": STRING}, id="sequence"),
        pytest.param(
            set[str],
            {"type": "array", "items": STRING, "uniqueItems": True},
            id="set",
        ),
        pytest.param(tuple[int, ...], {"type": "array", "items": INTEGER}, id="tuple"),
        pytest.param(
            tuple[int, int],
            {"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 2},
            id="pair",
        ),
        pytest.param(
            tuple[int, str],
            {
                "type": "array",
                "items": {"type": ["integer", "string"]},
                "minItems": 2,
                "maxItems": 2,
            },
            id="mixed pair",
        ),
        pytest.param(dict, {"type": "object"}, id="bare dict"),
        pytest.param(
            dict[str, int],
            {"type": "object", "additionalProperties": INTEGER},
            id="dict",
        ),
        pytest.param(Mapping[str, Any], {"type": "object"}, id="mapping of anything"),
        pytest.param(
            Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}, id="literal"
        ),
        pytest.param(
            Literal[1, "b", None],  # noqa: PYI061  as users write it
            {"type": ["integer", "string", "null"], "enum": [1, "b", None]},
            id="mixed literal",
        ),
        pytest.param(
            Literal[Unit.CELSIUS],
            {"type": "string", "enum": ["c"]},
            id="literal member",
        ),
        pytest.param(Unit, {"type": "string", "enum": ["c", "f"]}, id="enum"),
        pytest.param(Level, {"type": "integer", "enum": [1, 2]}, id="int enum"),
        pytest.param(int | None, {"type": ["integer", "null"]}, id="union"),
        pytest.param(
            Optional[str],  # noqa: UP045  as users write it
            {"type": ["string", "null"]},
            id="optional",
        ),
        pytest.param(
            Union[int, list[str]],  # noqa: UP007  as users write it
            {"anyOf": [INTEGER, {"type": "array", "items": STRING}]},
            id="old union",
        ),
        pytest.param(int | Any, {}, id="union with anything"),
        pytest.param(
            Annotated[int, 5, "How many."],
            {"type": "integer", "description": "How many."},
            id="annotated",
        ),
        pytest.param(UserId, INTEGER, id="new type"),
        pytest.param(Any, {}, id="any"),
        pytest.param(object, {}, id="object"),
        pytest.param(complex, {}, id="a class unknown to JSON"),
        pytest.param(bytes, {}, id="bytes"),
        pytest.param("Nowhere", {}, id="unresolvable"),
        pytest.param(
            Place,
            {
                "type": "object",
                "properties": {"city": STRING, "street": STRING},
                "required": ["city"],
                "additionalProperties": False,
            },
            id="typed dict",
        ),
        pytest.param(
            Options,
            {
                "type": "object",
                "properties": {"must": INTEGER, "may": INTEGER},
                "required": ["must"],
                "additionalProperties": False,
            },
            id="typed dict that is not total",
        ),
        pytest.param(
            Point,
            {
                "type": "object",
                "properties": {
                    "x": {"type": "number", "description": "How far east."},
                    "y": {"type": "number", "description": "How far north."},
                    "names": {"type": "array", "items": STRING},
                },
                "required": ["x"],
                "additionalProperties": False,
            },
            id="dataclass",
        ),
        pytest.param(
            Box,
            {
                "type": "object",
                "properties": {
                    "lid": {"type": "boolean"},
                    "inside": {"type": ["object", "null"]},
                },
                "required": ["lid"],
                "additionalProperties": False,
            },
            id="attrs, holding itself",
        ),
    ],
)
def test_type_becomes_a_schema(hint, expected):
    """
    Each type that JSON knows has a schema; any other is left open.
    """
    assert expected == property_of(hint)


def test_docstring_describes_function_and_arguments():
    """
    The first paragraph is the description; entries below Args describe the arguments.
    """

    def weather(city: str, days: int = 3, *, unit: Unit = Unit.CELSIUS, odd=print):
        """
        Tell the weather
        of a city.

        Not for the model.

        Args:
            city: The city's name: in English,
                not abbreviated.

            days (int): How many.

            unit: Of the scale.

        Returns:
            city: This is no argument.
        """

    description, parameters = schema_of_function(weather)

    assert "Tell the weather of a city." == description
    assert {
        "type": "object",
        "properties": {
            "city": {
                "type": "string",
                "description": "The city's name: in English, not abbreviated.",
            },
            "days": {"type": "integer", "description": "How many.", "default": 3},
            "unit": {
                "type": "string",
                "enum": ["c", "f"],
                "description": "Of the scale.",
                "default": "c",
            },
            "odd": {},
        },
        "required": ["city"],
        "additionalProperties": False,
    } == parameters


def test_annotation_wins_over_the_docstring():
    """
    Words in Annotated stand before the entry of the docstring.
    """

    def look(at: Annotated[str, "The thing."]):
        """
        Look.

        Args:
            at: Something.
        """

    assert "The thing." == properties(look)["at"]["description"]


def test_function_without_docstring_has_no_description():
    """
    Nothing is made up.
    """

    def silent(): ...

    assert (
        None,
        {"type": "object", "properties": {}, "additionalProperties": False},
    ) == schema_of_function(silent)


def test_docstring_that_begins_with_arguments_is_no_description():
    """
    A section is not a first paragraph.
    """

    def terse(a: int):
        """
        Args:
            a: A number.
        """

    description, parameters = schema_of_function(terse)

    assert description is None
    assert "A number." == parameters["properties"]["a"]["description"]


def test_annotation_that_cannot_be_resolved_spoils_no_other():
    """
    One unknown name leaves its own argument open, and only that.
    """

    def partly(known: int, unknown: Nowhere, listed: list[str]): ...  # noqa: F821

    assert {
        "known": INTEGER,
        "unknown": {},
        "listed": {"type": "array", "items": STRING},
    } == properties(partly)


@pytest.mark.parametrize("kind", ["bound method", "class method", "callable object"])
def test_methods_are_described_without_their_owner(kind):
    """
    Neither self nor cls is an argument.
    """

    class Owner:
        size: int

        def bound(self, one: int): ...

        @classmethod
        def of_class(cls, one: int): ...

        def __call__(self, one: int): ...

    function = {
        "bound method": Owner().bound,
        "class method": Owner.of_class,
        "callable object": Owner(),
    }[kind]

    assert {"one": INTEGER} == properties(function)


def positional(a, /): ...


def variable(*many): ...


def keywords(**more): ...


@pytest.mark.parametrize(
    ("function", "name"), [(positional, "a"), (variable, "many"), (keywords, "more")]
)
def test_arguments_without_a_name_are_refused(function, name):
    """
    JSON names every argument, so positional-only and variable ones are a TypeError.
    """
    with pytest.raises(TypeError, match=repr(name)):
        schema_of_function(function)


def test_default_that_json_does_not_know_is_left_out():
    """
    Not a number, infinities and objects are no defaults for JSON; tuples are lists.
    """

    def many(a=float("nan"), b=(1, 2), c=None, d=b""): ...

    assert {"a": {}, "b": {"default": [1, 2]}, "c": {"default": None}, "d": {}} == (
        properties(many)
    )


def test_tool_is_made_from_a_function():
    """
    Name, description, parameters and strictness come together.
    """

    def now(zone: str):
        """
        Tell the time.
        """

    tool = Tool.from_function(now, strict=True)

    assert ("now", "Tell the time.", True) == (tool.name, tool.description, tool.strict)
    assert ["zone"] == tool.parameters["required"]
