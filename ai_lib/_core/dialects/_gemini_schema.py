"""
JSON schemas as Google takes them: whole ones, of which some words are not heeded, and the subset of
OpenAPI's that came before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

# What binds a value, and is not in the list of what is heeded. Gemini API, GenerationConfig,
# "responseJsonSchema", read 2026-11.
_UNHEEDED = frozenset(
    {
        "allOf",
        "not",
        "if",
        "dependentRequired",
        "dependentSchemas",
        "patternProperties",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contains",
        "uniqueItems",
        "multipleOf",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "pattern",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
    }
)

#: Keywords whose value maps names of the caller's to schemas, and those whose value is data.
_BY_NAME = frozenset({"properties", "$defs", "definitions"})
_DATA = frozenset({"enum", "const", "default", "examples", "example", "required"})


def unheeded_words(schema: Any) -> list[str]:
    """
    List the keywords of *schema* that Google takes and does not hold the model to.
    """
    found: set[str] = set()
    nodes: list[Any] = [schema]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list | tuple):
            nodes.extend(node)
        elif isinstance(node, Mapping):
            found.update(_UNHEEDED.intersection(node))
            for word, value in node.items():
                if word in _BY_NAME and isinstance(value, Mapping):
                    nodes.extend(value.values())
                elif word not in _DATA:
                    nodes.append(value)
    return sorted(found)


# Gemini API, "Schema", read 2026-11. ``type``, ``enum``, ``properties``, ``items`` and the unions are
# read apart.
_KEPT = (
    "title",
    "description",
    "nullable",
    "minItems",
    "maxItems",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "propertyOrdering",
    "default",
    "minimum",
    "maximum",
)
_FORMATS = frozenset({"enum", "date-time", "int32", "int64", "float", "double"})
_READ_APART = frozenset(
    {"type", "format", "enum", "const", "properties", "items", "anyOf", "oneOf", "$ref"}
)
#: Says nothing of a value that the subset could lose.
_SILENT = frozenset({"$schema", "$id", "$defs", "definitions", "$comment", "examples"})


@attrs.define
class Subset:
    """
    Writes one JSON schema in the subset of OpenAPI's that older models take.

    Attributes:
        schema: The whole one.

        lost: The words that it could not say.
    """

    schema: Mapping[str, Any]
    lost: set[str] = attrs.field(factory=set)

    def write(self) -> dict[str, Any]:
        """
        Give the schema; ``lost`` is complete then.
        """
        return self._node(self.schema, ())

    def _node(self, node: Any, above: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(node, Mapping):
            return {}
        if isinstance(reference := node.get("$ref"), str):
            return self._referred(reference, node, above)
        found = {word: node[word] for word in _KEPT if word in node}
        known = {*_KEPT, *_READ_APART, *_SILENT}
        self.lost.update(set(node) - known - {"additionalProperties"})
        if node.get("additionalProperties") not in (None, False):
            self.lost.add("additionalProperties")
        found |= self._type(node.get("type")) | self._enum(node)
        if node.get("format") in _FORMATS:
            found["format"] = node["format"]
        elif "format" in node:
            self.lost.add("format")
        properties = node.get("properties")
        if isinstance(properties, Mapping):
            found["properties"] = {
                name: self._node(one, above) for name, one in properties.items()
            }
        if "items" in node:
            found["items"] = self._node(node["items"], above)
        branches = node.get("anyOf") or node.get("oneOf")
        return found | self._union(branches, above) if branches else found

    def _referred(
        self, reference: str, node: Mapping[str, Any], above: tuple[str, ...]
    ) -> dict[str, Any]:
        section, _, name = reference.removeprefix("#/").partition("/")
        definitions = self.schema.get(section)
        if reference in above or not isinstance(definitions, Mapping):
            self.lost.add("$ref")
            return {"type": "object"}
        beside = {word: one for word, one in node.items() if word != "$ref"}
        there = self._node(definitions.get(name), (*above, reference))
        return there | self._node(beside, above)

    def _type(self, told: Any) -> dict[str, Any]:
        if not isinstance(told, list | tuple):
            return {"type": told} if told else {}
        types = [one for one in told if one != "null"]
        found: dict[str, Any] = {"nullable": True} if len(types) < len(told) else {}
        if len(types) == 1:
            return {"type": types[0], **found}
        return {"anyOf": [{"type": one} for one in types], **found}

    def _enum(self, node: Mapping[str, Any]) -> dict[str, Any]:
        values = [node["const"]] if "const" in node else node.get("enum")
        if not values:
            return {}
        texts = [one for one in values if one is not None]
        if not all(isinstance(one, str) for one in texts):
            self.lost.add("enum")
            return {}
        nullable = {"nullable": True} if len(texts) < len(values) else {}
        return {"type": "string", "enum": texts, **nullable}

    def _union(self, branches: Any, above: tuple[str, ...]) -> dict[str, Any]:
        some = [one for one in branches if one != {"type": "null"}]
        found: dict[str, Any] = {"nullable": True} if len(some) < len(branches) else {}
        if len(some) == 1:
            return self._node(some[0], above) | found
        return {"anyOf": [self._node(one, above) for one in some], **found}
