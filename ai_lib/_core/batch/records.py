"""
An item as a line of a journal, and by what its request is known again.

A journal is one JSON object a line: first the header, then items and notes in the order in which they
were written. Nothing here opens a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from typing import Any

import attrs

from ai_lib._core.batch import BatchItem
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.errors import AiLibError
from ai_lib._core.serialization import from_dict, to_dict

#: The first line of a journal.
HEADER = b'{"ai_lib":"journal","version":1}\n'

_KEY_SIZE = 16

#: Stands where the request of an item is not kept.
_NOT_KEPT = ChatCompletionRequest("", "")


# What a request is known by


def content_key(request: ChatCompletionRequest) -> bytes:
    """
    Digest what decides a request's answer: model, messages, tools, parameters and extensions.

    The same in every process and on every machine. The order of keys in an object does not matter, nor
    whether a parameter is written ``1`` or ``1.0``; what is left at its default is as if it were not there.
    ``extra_headers`` do not count: they hold tokens and the ids of traces, which change while the request
    stays what it is.

    Returns:
        16 bytes.

    Raises:
        TypeError: The request holds something that JSON cannot say, so that it could not be sent either.

        ValueError: Likewise: an object that holds itself.
    """
    try:
        text = _canonical(request)
    except TypeError:
        # Keys of several types cannot be sorted; JSON makes texts of them. What JSON cannot say at all
        # raises again.
        text = _canonical(json.loads(json.dumps(request, default=_plain)))
    return blake2b(text.encode(), digest_size=_KEY_SIZE).digest()


#: Parameters that a caller may write as a whole number or not.
_FRACTIONS = frozenset(
    {"temperature", "top_p", "frequency_penalty", "presence_penalty"}
)


@cache
def _fields_of(kind: type) -> tuple[tuple[str, Any], ...]:
    """
    List the fields of one of our classes that count, each with what says nothing.
    """
    return tuple(
        (one.name, () if isinstance(one.default, attrs.Factory) else one.default)  # type: ignore[arg-type]  # a class at run time
        for one in attrs.fields(kind)
        if one.name != "extra_headers"
    )


def _plain(value: Any) -> Any:
    kind = type(value)
    if attrs.has(kind):
        found: dict[str, Any] = {}
        for name, empty in _fields_of(kind):
            held = getattr(value, name)
            if held is None or held in (empty, ()) or (held == {} and empty == ()):
                continue
            found[name] = float(held) if name in _FRACTIONS else held
        return {kind.__name__: found}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return blake2b(value, digest_size=_KEY_SIZE).hexdigest()
    raise TypeError(f"{kind.__name__} is no JSON value: {value!r:.80}")


_canonical = json.JSONEncoder(
    default=_plain, sort_keys=True, separators=(",", ":")
).encode


# Lines


@attrs.frozen(kw_only=True)
class JournalItem:
    """
    A finished item as a journal holds it.

    Attributes:
        key: What its request is known by; see ``content_key``.

        request: As it was given, without its ``extra_headers``; ``None``: it was not kept.
    """

    key: bytes
    request: ChatCompletionRequest | None
    _kept: BatchItem = attrs.field(repr=False)

    @property
    def index(self) -> int:
        """
        Its place among the requests of the run that finished it.
        """
        return self._kept.index

    @property
    def response(self) -> ChatCompletionResponse | None:
        """
        The answer; ``None`` if it failed.
        """
        return self._kept.response

    @property
    def error(self) -> AiLibError | None:
        """
        What it failed with; ``None`` if it was answered.
        """
        return self._kept.error

    @property
    def ok(self) -> bool:
        """
        Whether it was answered.
        """
        return self._kept.ok

    def restored(self, index: int, request: ChatCompletionRequest) -> BatchItem:
        """
        Make the item again, for *request* at its place *index*.
        """
        return attrs.evolve(self._kept, index=index, request=request)


def item_to_line(item: BatchItem, key: bytes, *, keep_request: bool = False) -> bytes:
    """
    Write a finished item.

    Args:
        item: Answered or failed.

        key: The ``content_key`` of its request.

        keep_request: Whether the request itself is written too; its ``extra_headers``, which may hold
            secrets, never are.
    """
    kept = _NOT_KEPT
    if keep_request:
        kept = attrs.evolve(item.request, extra_headers={})
    plain = to_dict(attrs.evolve(item, request=kept))
    if not keep_request:
        del plain["request"]
    return _line({"answered" if item.ok else "failed": key.hex(), "item": plain})


def note_to_line(name: str, value: Any) -> bytes:
    """
    Write a note.

    Raises:
        TypeError: *value* is none of JSON's.

        ValueError: Likewise: NaN, infinity, an object that holds itself.
    """
    json.dumps(value, allow_nan=False)
    return _line({"note": name, "value": value})


def _line(value: dict[str, Any]) -> bytes:
    # NaN passes: an answer that holds one in its log probabilities is an answer all the same.
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 cannot hold
        text = json.dumps(value, separators=(",", ":")).encode()
    return text + b"\n"


@attrs.frozen(kw_only=True)
class Line:
    """
    A line that was read, as far as it takes to know what is on it.

    Attributes:
        key: What the item's request is known by; ``None``: it is a note.

        answered: Whether the item was answered.

        note: The name of the note.

        value: Its value, or the item's plain values.
    """

    key: bytes | None = None
    answered: bool = False
    note: str = ""
    value: Any = None

    def item(self) -> JournalItem:
        """
        Make the item of the line.

        Raises:
            ValueError: It does not hold one.
        """
        if self.key is None or not isinstance(self.value, dict):
            raise ValueError("there is no item on it")
        kept: dict[str, Any] = self.value
        asked = "request" in kept
        if not asked:
            kept = {**kept, "request": {"model": "", "messages": [{"role": "user"}]}}
        item = from_dict(BatchItem, kept)
        if (item.response is None) == (item.error is None):
            raise ValueError("its item needs a response or an error, one of the two")
        return JournalItem(
            key=self.key, request=item.request if asked else None, kept=item
        )


def read_line(line: bytes) -> Line:
    """
    Read a line behind the header.

    Raises:
        ValueError: It is none of a journal, and what is wrong with it.
    """
    try:
        found = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError:
        raise ValueError("it is no JSON") from None
    if isinstance(found, dict):
        for word in ("answered", "failed"):
            if word in found and isinstance(found.get("item"), dict):
                key = _to_key(found[word])
                return Line(key=key, answered=word == "answered", value=found["item"])
        if isinstance(found.get("note"), str) and "value" in found:
            return Line(note=found["note"], value=found["value"])
    raise ValueError("it is neither an item nor a note")


def _to_key(text: Any) -> bytes:
    try:
        key = bytes.fromhex(text)
    except (TypeError, ValueError):
        key = b""
    if len(key) != _KEY_SIZE:
        raise ValueError("its key is not 32 hexadecimal digits")
    return key
