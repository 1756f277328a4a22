"""
Checks of what callers pass, with messages in a caller's words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs


def must_be(
    words: str,
    kinds: type | tuple[type, ...],
    *,
    optional: bool = False,
    least: float | None = None,
) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    """
    Make a validator for attrs. ``True`` and ``False`` are no numbers.

    Args:
        words: What the value must be, as in "must be a whole number".

        kinds: The classes that are.

        optional: Whether ``None`` is too.

        least: The least of a number.
    """

    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None and optional:
            return
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError(f"{attribute.name} must be {words}, not {shown(value)}")
        number: Any = value
        if least is not None and number < least:
            raise ValueError(f"{attribute.name} must be {least:g} or more, not {value}")

    return check


def shown(value: object) -> str:
    """
    Show a value that was refused: a short one itself, of others the class.
    """
    if value is None or isinstance(value, str | int | float):
        return f"{value!r:.60}"
    return type(value).__name__
