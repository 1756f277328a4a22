"""
The common chunk of a stream in OpenAI's format, a few characters of text or reasoning, by the shortest ways.

Nothing here decides what a chunk means: what is not as common as that is left to the parser.
"""

from __future__ import annotations

from typing import Any

import attrs

from ai_lib._core.chat import ChatCompletionChunk, ChunkChoice, Delta
from ai_lib._core.dialects._shared import decode_event

#: What names sources.
SOURCES = frozenset({"citations", "search_results"})
_UNCOMMON_EVENT = SOURCES | {"error", "code", "base_resp", "x_groq", "sid"}
_COMMON_DELTA = frozenset({"content", "role", "reasoning_content", "reasoning"})

#: Where a delta has text.
_TEXTS = ("content", "reasoning_content", "reasoning")

#: A stream whose events are never alike is not looked at any more after so many.
_PATIENCE = 4
#: What no event has in the place of its text.
_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"


def common_chunk(event: Any) -> ChatCompletionChunk | None:
    """
    Read a common event; ``None``: it is another one.
    """
    try:
        (choice,) = event["choices"]
        delta = choice["delta"]
        text = delta.get("content") or None
        thought = delta.get("reasoning_content") or delta.get("reasoning") or None
        role, created = delta.get("role"), event.get("created")
        if (
            (text or thought)
            and (text is None or text.__class__ is str)
            and (thought is None or thought.__class__ is str)
            and (role is None or role.__class__ is str)
            and _COMMON_DELTA.issuperset(delta)
            and _UNCOMMON_EVENT.isdisjoint(event)
            and choice.get("finish_reason") is None
            and choice.get("logprobs") is None
            and event.get("usage") is None
            and choice["index"].__class__ is int
            and event["id"].__class__ is str
            and event["model"].__class__ is str
        ):
            return ChatCompletionChunk(
                (ChunkChoice(choice["index"], Delta(text, thought, (), role)),),
                event["id"],
                event["model"],
                None,
                created if created.__class__ is int else 0,
                event,
            )
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    return None


@attrs.define(eq=False, repr=False)
class Alike:
    """
    Reads events that differ from one before in a single string, as most do: the letters around it are compared, and
    it alone is read. That is exact: after equal letters it begins where the other began, letters that JSON has no
    need to escape do not end it, and equal letters behind it leave nothing else that could differ.
    """

    _patience: int = _PATIENCE
    _last: str | None = None
    _before: str = ""
    _behind: str = ""
    _field: str = ""
    _event: dict[str, Any] = attrs.field(factory=dict)
    _choice: dict[str, Any] = attrs.field(factory=dict)
    _delta: dict[str, Any] = attrs.field(factory=dict)

    def read(self, text: str) -> ChatCompletionChunk | None:
        """
        Read an event like the one that was learned; ``None``: it is not.
        """
        if self._last is not None:  # not before: the first word is waited for
            last, self._last = self._last, None
            self._learn(last)
        if not self._before or not text.startswith(self._before):
            return None
        begin, end = len(self._before), len(text) - len(self._behind)
        piece = text[begin:end]
        if (
            begin >= end
            or '"' in piece
            or "\\" in piece
            or not piece.isprintable()
            or not text.endswith(self._behind)
        ):
            return None
        self._patience = _PATIENCE
        event, choice, delta = self._event, self._choice, self._delta
        role, created = delta.get("role"), event.get("created")
        said = (
            Delta(piece, None, (), role)
            if self._field == "content"
            else Delta(None, piece, (), role)
        )
        raw = {**event, "choices": [{**choice, "delta": {**delta, self._field: piece}}]}
        return ChatCompletionChunk(
            (ChunkChoice(choice["index"], said),),
            event["id"],
            event["model"],
            None,
            created if created.__class__ is int else 0,
            raw,
        )

    def learn(self, text: str) -> None:
        """
        Take an event that ``common_chunk`` read as the one that the next are compared with.
        """
        if self._patience <= 0:
            self._before = ""  # they are not alike
            return
        before, behind = self._before, self._behind
        if before and text.startswith(before) and text.endswith(behind):
            return  # only a letter is uncommon
        self._last = text

    def _learn(self, text: str) -> None:
        event = decode_event(text)  # that which was read is its caller's now
        (choice,) = event["choices"]
        delta = choice["delta"]
        fields = [name for name in _TEXTS if delta.get(name)]
        piece = delta[fields[0]]
        # Where it stands is found by putting something else there.
        head, name, rest = text.partition(f'"{fields[0]}"')
        gap, quote, rest = rest.partition('"')
        before, behind = head + name + gap + quote, rest[len(piece) :]
        if not rest.startswith(piece) or piece == _MARK:
            return
        self._patience -= 1
        self._before = ""
        if len(fields) > 1 or [_nested(one) for one in (event, choice, delta)] != [
            1,
            1,
            0,
        ]:
            return  # what is nested would be shared
        wanted = {
            **event,
            "choices": [{**choice, "delta": {**delta, fields[0]: _MARK}}],
        }
        try:
            found = decode_event(before + _MARK + behind)
        except (ValueError, RecursionError):
            return
        if found == wanted:
            self._before, self._behind, self._field = before, behind, fields[0]
            self._event, self._choice, self._delta = {**event}, {**choice}, {**delta}


def _nested(value: dict[str, Any]) -> int:
    return sum(one.__class__ in (dict, list) for one in value.values())
