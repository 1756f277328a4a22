"""
Ids of tool calls, for formats that have rules for them.
"""

from __future__ import annotations

import re
from hashlib import blake2b

import attrs


@attrs.define
class CallIds:
    """
    Ids as they are taken: of letters, digits, ``_`` and ``-``, and each of one call only.

    Other providers make up the same id anew in every answer, and have other characters in theirs.

    Attributes:
        length: How long they may be.

        prefix: What the ones begin with that are made of others.
    """

    length: int
    prefix: str
    _sent: dict[str, str] = attrs.field(factory=dict)
    _taken: set[str] = attrs.field(factory=set)
    _open: list[str] = attrs.field(factory=list)

    def of_call(self, id: str) -> str:
        """
        Give the id to send for a call.
        """
        base = sent = self._clean(id)
        number = 1
        while sent in self._taken:
            number += 1
            sent = f"{base[: self.length - 8]}_{number}"
        self._taken.add(sent)
        self._sent[id] = sent
        self._open.append(sent)
        return sent

    def of_result(self, id: str | None) -> str:
        """
        Give the id to send with a result; without one it is the oldest open call's.
        """
        if id is None:
            return self._open.pop(0) if self._open else self._clean("")
        sent = self._sent.get(id) or self._clean(id)
        if sent in self._open:
            self._open.remove(sent)
        return sent

    def _clean(self, id: str) -> str:
        if len(id) <= self.length and _CLEAN.fullmatch(id):
            return id
        digest = blake2b(id.encode("utf-8", "replace"), digest_size=12).hexdigest()
        return f"{self.prefix}_{digest}"


_CLEAN = re.compile(r"[A-Za-z0-9_-]+")
