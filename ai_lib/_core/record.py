"""
What data classes share, so that nothing is compiled for it when they are imported.

attrs writes and compiles methods for each class, and half of the time that it takes goes into those that compare,
hash and show. Here they are written once. A class that has them says ``eq=False, repr=False`` to attrs.
"""

from __future__ import annotations

from functools import cache
from reprlib import recursive_repr
from typing import Any, TypeVar

import attrs


class Record:
    """
    Base of frozen data classes: equal where class and fields are, hashed and shown by their fields.

    What fields say to attrs about ``eq`` and ``repr`` holds here too.
    """

    __slots__ = ()

    def _compared(self) -> tuple[Any, ...]:
        fields = attrs.fields(type(self))  # type: ignore[arg-type]  # each is one
        return tuple([getattr(self, one.name) for one in fields if one.eq])

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        assert isinstance(other, Record)
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash((type(self), self._compared()))

    @recursive_repr()
    def __repr__(self) -> str:
        shown = []
        for one in attrs.fields(type(self)):  # type: ignore[arg-type]  # each is one
            if one.repr:
                show = one.repr if callable(one.repr) else repr
                shown.append(f"{one.name}={show(getattr(self, one.name))}")
        name = type(self).__qualname__.rpartition(">.")[2]
        return f"{name}({', '.join(shown)})"


T = TypeVar("T")


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(one.name for one in attrs.fields(kind))


def changed(record: T, **changes: Any) -> T:
    """
    Copy a data class of ours with other values, which are right already: nothing is checked or converted.

    In a third of the time that ``attrs.evolve`` takes: a call copies nine.
    """
    kind: Any = type(record)
    made: T = kind.__new__(kind)
    put = object.__setattr__
    for name in _names(kind):
        put(made, name, changes[name] if name in changes else getattr(record, name))
    return made


class MutableRecord(Record):
    """
    Base of data classes that are filled as they come, and so have no hash.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # as Python has it for what may change
