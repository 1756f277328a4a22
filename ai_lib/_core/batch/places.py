"""
Where things are, by what they are known by: small enough for millions.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable


class Places:
    """
    Places in a file (offsets, numbers of lines; never 0) by key; several of one key are all kept.

    At most 40 bytes for each. Of a key its first 8 bytes are kept, so a place that is found may be another
    key's: whoever looks there sees. Not thread-safe.
    """

    def __init__(self) -> None:
        self._count = 0
        # What is kept, from 1; ``_older`` is the one before it of the same mark, 0: there is none.
        self._marks = array("Q", [0])
        self._places = array("Q", [0])
        self._older = array("I", [0])
        # Open addressing: the newest of each mark, 0: nothing.
        self._slots = array("I", bytes(4 << 10))

    def __len__(self) -> int:
        return self._count

    def add(self, key: bytes, place: int) -> None:
        """
        Keep *place* under *key*.
        """
        if 3 * len(self._marks) >= 2 * len(self._slots):
            self._grow()
        mark = int.from_bytes(key[:8])
        slot = self._slot_of(mark)
        self._marks.append(mark)
        self._places.append(place)
        self._older.append(self._slots[slot])
        self._slots[slot] = len(self._marks) - 1
        self._count += 1

    def _slot_of(self, mark: int) -> int:
        slots, marks, last = self._slots, self._marks, len(self._slots) - 1
        slot = mark & last
        while (held := slots[slot]) and marks[held] != mark:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        newest = self._slots
        self._slots = array("I", bytes(8 * len(newest)))
        for held in newest:
            if held:
                self._slots[self._slot_of(self._marks[held])] = held

    def take(self, key: bytes, fits: Callable[[int], bool]) -> int | None:
        """
        Give a place of *key* and keep it no longer; ``None``: there is none, or none left.

        Args:
            key: As it was added.

            fits: Whether a place really is the key's; what it raises passes, and nothing is taken.
        """
        slot = self._slot_of(int.from_bytes(key[:8]))
        newer, held = 0, self._slots[slot]
        while held:
            place, older = self._places[held], self._older[held]
            if place and fits(place):
                if newer:
                    self._older[newer] = older
                elif older:
                    self._slots[slot] = older
                else:
                    self._places[held] = 0  # the slot stays: others were put behind it
                self._count -= 1
                return place
            newer, held = held, older
        return None

    def find(self, key: bytes) -> int | None:
        """
        Give the newest place of *key*, and keep it.
        """
        held = self._slots[self._slot_of(int.from_bytes(key[:8]))]
        return self._places[held] or None
