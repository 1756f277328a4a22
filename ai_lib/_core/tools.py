"""
Tools that a model may call, and its calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import attrs

from ai_lib._core.checks import must_be
from ai_lib._core.record import Record


class ToolChoice(StrEnum):
    """
    Whether the model may or must call a tool; a tool's name in its place asks for that one.
    """

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@attrs.frozen(eq=False, repr=False)
class Tool(Record):
    """
    A function that the model may ask for.

    Attributes:
        name: What the model calls it: letters, digits, ``_`` and ``-``, at most 64.

        description: When and how to use it, in words for the model.

        parameters: JSON schema of its arguments, an object; ``None``: it takes none.

        strict: Whether the arguments must match the schema exactly, where the provider can hold that.
    """

    name: str = attrs.field(validator=must_be("a text", str))
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = attrs.field(default=None, kw_only=True)

    @classmethod
    def from_function(
        cls, function: Callable[..., Any], *, strict: bool | None = None
    ) -> Tool:
        """
        Describe *function* by its name, docstring and annotations.

        Args:
            function: Its parameters become properties; one without a default is required. Annotations are
                read as JSON types: ``str``, ``int``, ``float``, ``bool``, ``list``, ``dict``, ``Literal``,
                enums, optional ones and unions; anything else is left open.

            strict: As the attribute.

        Raises:
            TypeError: It takes positional-only or variable arguments, which JSON cannot name.
        """
        from ai_lib._core.schemas import schema_of_function

        description, parameters = schema_of_function(function)
        return cls(function.__name__, description, parameters, strict=strict)


@attrs.frozen(eq=False, repr=False)
class ToolCall(Record):
    """
    A model's call of a tool.

    Attributes:
        id: Names the call; the result goes back under it. Made up where the provider sends none.

        name: The tool's name.

        arguments: The arguments as JSON text, as the model wrote them: maybe not valid JSON.

        extra: What else the provider keeps with a call and wants back, opaque.
    """

    id: str
    name: str
    arguments: str = "{}"
    extra: Mapping[str, Any] | None = attrs.field(
        default=None, kw_only=True, repr=False
    )

    def parse_arguments(self) -> Any:
        """
        Parse the arguments; empty text means none.

        Raises:
            ValueError: They are not valid JSON (``json.JSONDecodeError``).
        """
        return json.loads(self.arguments) if self.arguments.strip() else {}
