"""
JSON schemas from Python signatures, for tools.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    is_typeddict,
)

import attrs

_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    NoneType: "null",
}


def schema_of_function(
    function: Callable[..., Any],
) -> tuple[str | None, dict[str, Any]]:
    """
    Describe what a function does and takes.

    The description is the first paragraph of its docstring. Its parameters are described by
    ``Annotated[…, "words"]``, else by their entries below ``Args:`` in the docstring; one without a
    default is required. A type that JSON does not know is left open.

    Returns:
        The description, ``None`` without a docstring, and a JSON schema of the arguments.

    Raises:
        TypeError: It takes positional-only or variable arguments, which JSON cannot name.
    """
    import inspect

    text = inspect.getdoc(function) or ""
    described = _described_arguments(text)
    hints = _hints(function)
    properties: dict[str, Any] = {}
    required = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        ):
            raise TypeError(f"{name!r} is {parameter.kind.description}, not named")
        schema = _schema(hints.get(name, Any))
        if name in described:
            schema.setdefault("description", described[name])
        if parameter.default is parameter.empty:
            required.append(name)
        else:
            schema.update(_default(parameter.default))
        properties[name] = schema
    return _first_paragraph(text), _object(properties, required)


def _hints(owner: Any) -> Mapping[str, Any]:
    """
    The annotations of a function or class; one that cannot be resolved is left open.
    """
    from inspect import isroutine
    from typing import get_type_hints

    named = isroutine(owner) or isinstance(owner, type)
    place = owner if named else type(owner).__call__
    try:
        return get_type_hints(place, include_extras=True)
    except Exception:  # noqa: BLE001  annotations are code of the caller's
        hints = getattr(place, "__annotations__", {})
        return {name: _resolved(place, hint) for name, hint in hints.items()}


def _resolved(place: Any, hint: Any) -> Any:
    from typing import get_type_hints

    alone = {"__module__": place.__module__, "__annotations__": {"hint": hint}}
    try:
        return get_type_hints(type("Alone", (), alone), include_extras=True)["hint"]
    except Exception:  # noqa: BLE001  annotations are code of the caller's
        return Any


def _object(properties: dict[str, Any], required: Iterable[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if names := [name for name in properties if name in set(required)]:
        schema["required"] = names
    return {**schema, "additionalProperties": False}


def _default(value: Any) -> dict[str, Any]:
    import json

    if isinstance(value, Enum):
        value = value.value
    try:
        return {"default": json.loads(json.dumps(value, allow_nan=False))}
    except (TypeError, ValueError, RecursionError):
        return {}


def _schema(hint: Any, within: tuple[type, ...] = ()) -> dict[str, Any]:
    """
    The schema of a type; an empty one, which takes anything, for a type that JSON does not know.
    """
    if hint is None:
        return {"type": "null"}
    origin = get_origin(hint)
    if origin is not None:
        return _generic(origin, get_args(hint), within)
    if isinstance(hint, type):
        return _class(hint, within)
    inner = getattr(hint, "__supertype__", None) or getattr(hint, "__value__", None)
    return {} if inner is None else _schema(inner, within)


def _generic(
    origin: Any, arguments: tuple[Any, ...], within: tuple[type, ...]
) -> dict[str, Any]:
    if origin is Annotated:
        inner, *notes = arguments
        schema = _schema(inner, within)
        words = [note for note in notes if isinstance(note, str)]
        return {**schema, "description": words[0]} if words else schema
    if origin is Literal:
        return _enum([one.value if isinstance(one, Enum) else one for one in arguments])
    if origin is Union or origin is UnionType:
        return _union([_schema(one, within) for one in arguments])
    if origin in (Required, NotRequired):
        return _schema(arguments[0], within)
    if not isinstance(origin, type):
        return {}
    if issubclass(origin, Mapping):
        values = _schema(arguments[-1], within)
        return {
            "type": "object",
            **({"additionalProperties": values} if values else {}),
        }
    if issubclass(origin, tuple):
        return _tuple(arguments, within)
    if issubclass(origin, Iterable):
        return _array(_schema(arguments[0], within), unique=_is_set(origin))
    return _class(origin, within)


def _enum(values: list[Any]) -> dict[str, Any]:
    kinds = list(dict.fromkeys(_TYPES.get(type(value), "") for value in values))
    if not all(kinds):
        return {}
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def _union(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    if not all(schemas):
        return {}
    if all(schema.keys() == {"type"} for schema in schemas):
        kinds = list(dict.fromkeys(schema["type"] for schema in schemas))
        return {"type": kinds[0] if len(kinds) == 1 else kinds}
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _array(items: dict[str, Any], *, unique: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array"}
    if items:
        schema["items"] = items
    if unique:
        schema["uniqueItems"] = True
    return schema


def _is_set(kind: type) -> bool:
    from collections.abc import Set as AbstractSet

    return issubclass(kind, AbstractSet)


def _tuple(arguments: tuple[Any, ...], within: tuple[type, ...]) -> dict[str, Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return _array(_schema(arguments[0], within))
    places = [_schema(one, within) for one in arguments]
    # Providers know no prefixItems: any of the types, and the right number.
    different = [one for at, one in enumerate(places) if one not in places[:at]]
    items = _union(different) if different else {}
    return {**_array(items), "minItems": len(places), "maxItems": len(places)}


def _class(kind: type, within: tuple[type, ...]) -> dict[str, Any]:
    if issubclass(kind, Enum):
        return _enum([member.value for member in kind])
    fields = _fields(kind)
    if fields is not None:
        return _record(kind, fields, within)
    for base in kind.__mro__:
        if base in _TYPES:
            return {"type": _TYPES[base]}
    if issubclass(kind, bytes | bytearray | memoryview):
        return {}
    if issubclass(kind, Mapping):
        return {"type": "object"}
    if issubclass(kind, Collection):
        return _array({}, unique=_is_set(kind))
    return {}


def _record(
    kind: type, fields: Mapping[str, tuple[str, bool]], within: tuple[type, ...]
) -> dict[str, Any]:
    from inspect import cleandoc

    if kind in within:  # below itself it is left open
        return {"type": "object"}
    hints = _hints(kind)
    described = _described_arguments(cleandoc(kind.__doc__ or ""))
    properties = {}
    for name, (attribute, _) in fields.items():
        schema = _schema(hints.get(attribute, Any), (*within, kind))
        if name in described:
            schema.setdefault("description", described[name])
        properties[name] = schema
    return _object(properties, [name for name in fields if fields[name][1]])


def _fields(kind: type) -> dict[str, tuple[str, bool]] | None:
    """
    The arguments of a class that is a record, each with its attribute and whether it is required;
    ``None``: it is none.
    """
    import dataclasses

    if is_typeddict(kind):
        # Said by the hints as well: the class cannot read Required in annotations
        # that are strings.
        needed: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
        said = {Required: True, NotRequired: False}
        return {
            name: (name, said.get(get_origin(hint), name in needed))
            for name, hint in _hints(kind).items()
        }
    if attrs.has(kind):
        return {
            one.alias or one.name: (one.name, one.default is attrs.NOTHING)
            for one in attrs.fields(kind)
            if one.init
        }
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        return {
            one.name: (
                one.name,
                one.default is missing and one.default_factory is missing,
            )
            for one in dataclasses.fields(kind)
            if one.init
        }
    return None


def _first_paragraph(text: str) -> str | None:
    if _SECTION.match(text.strip().partition("\n")[0]):
        return None
    return " ".join(text.strip().partition("\n\n")[0].split()) or None


_SECTION = re.compile(r"^(\s*)(?:Args|Arguments|Parameters|Attributes):\s*$")
_ENTRY = re.compile(r"^(\s+)\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


def _described_arguments(text: str) -> dict[str, str]:
    """
    The entries below ``Args:`` of a docstring in Google's style, each on one line.
    """
    found: dict[str, list[str]] = {}
    lines = iter(text.splitlines())
    if not any(_SECTION.match(line) for line in lines):
        return {}
    indent = ""
    current: list[str] = []
    for line in lines:
        if not line.strip():
            continue
        if not line[0].isspace():
            break
        entry = _ENTRY.match(line)
        if entry and (not found or entry[1] == indent):
            indent, name, words = entry.groups()
            current = found[name] = [words]
        else:
            current.append(line)
    return {
        name: words
        for name, parts in found.items()
        if (words := " ".join(" ".join(parts).split()))
    }
