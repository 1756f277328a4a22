"""
Messages on their way to Google: turns of parts, results in the order of their calls, and what an earlier
answer brought that must go back.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import attrs

from ai_lib._core.dialects._gemini_answers import STATE
from ai_lib._core.dialects._shared import (
    Adjustments,
    arguments_object,
    as_count,
    as_dict,
    as_list,
    base64_of,
    decode_json,
    encode_json,
)
from ai_lib._core.errors import UnsupportedFeatureError
from ai_lib._core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
)
from ai_lib._core.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_lib._core.providers import ResolvedTarget

_ROLES = {Role.ASSISTANT: "model", Role.USER: "user", Role.TOOL: "tool"}

# Said in place of a signature that another model's call cannot have. Gemini API, "Thought signatures",
# read 2026-11.
_NO_SIGNATURE = "skip_thought_signature_validator"


@attrs.define(kw_only=True)
class ContentsWriter:
    """
    Writes the messages of one request.

    Attributes:
        takes: What the model's family can do.

        names: Of the tools that were called so far, by the call's id.
    """

    target: ResolvedTarget
    fit: Adjustments
    takes: frozenset[str]
    names: dict[str, str] = attrs.field(factory=dict)

    def system(self, messages: Iterable[Message]) -> list[dict[str, Any]]:
        """
        Join the system messages.

        Raises:
            UnsupportedFeatureError: One holds more than text.
        """
        found: list[dict[str, Any]] = []
        begun = False
        for message in messages:
            if message.role in _ROLES:
                begun = True
                continue
            if begun:
                self.fit.tell(
                    f"{self.target.provider} takes system messages at the beginning only:"
                    " a later one was put there."
                )
            for part in message.parts:
                if not isinstance(part, TextPart):
                    self._refuse("anything but text in a system message")
                found.append({"text": part.text})
        return found

    def contents(self, messages: Iterable[Message]) -> list[dict[str, Any]]:
        """
        Write the turns, neighbours of one role as one.
        """
        spoken = [one for one in messages if one.role in _ROLES]
        contents: list[dict[str, Any]] = []
        calls: list[ToolCall] = []
        for role, group in groupby(spoken, key=lambda one: _ROLES[one.role]):
            turn = tuple(group)
            if role == "tool":
                contents.append({"role": "user", "parts": self._results(turn, calls)})
                continue
            write = self._assistant if role == "model" else self._user
            parts = [part for message in turn for part in write(message)]
            calls = [call for message in turn for call in message.tool_calls] or calls
            self.names |= {call.id: call.name for call in calls}
            if parts:
                contents.append({"role": role, "parts": parts})
        return contents

    def place(
        self, system: list[dict[str, Any]], contents: list[dict[str, Any]]
    ) -> None:
        """
        Move the system message into the first turn, where it cannot stand apart or nothing follows it.
        """
        if not system or (contents and "system" in self.takes):
            return
        self.fit.tell(
            f"{self.target.provider}: the system message was sent as the user's."
        )
        first = contents[0] if contents else {"role": "", "parts": [{}]}
        if first["role"] == "user" and "functionResponse" not in first["parts"][0]:
            first["parts"] = [*system, *first["parts"]]
        else:
            contents.insert(0, {"role": "user", "parts": [*system]})
        system.clear()

    def _user(self, message: Message) -> list[dict[str, Any]]:
        if message.name:
            self.fit.leave_out("the name of a message")
        return [self._part(part) for part in message.parts] or [{"text": ""}]

    def _assistant(self, message: Message) -> list[dict[str, Any]]:
        state = as_dict((message.provider_state or {}).get(STATE))
        parts = _replayed(message, as_list(state.get("parts"))) if state else None
        if parts is None:
            parts = [self._part(part) for part in message.parts]
            if not parts and message.refusal:
                parts = [{"text": message.refusal}]
            parts += [_call(call) for call in message.tool_calls]
        called = [part for part in parts if "functionCall" in part]
        signed = any("thoughtSignature" in part for part in called)
        if called and not signed and "signed_calls" in self.takes:
            called[0]["thoughtSignature"] = _NO_SIGNATURE
        return parts

    def _results(
        self, messages: Iterable[Message], calls: Sequence[ToolCall]
    ) -> list[dict[str, Any]]:
        """
        Write results in the order of the calls that they answer: Google pairs them by it.
        """
        waiting = list(enumerate(calls))
        found: list[tuple[int, list[dict[str, Any]]]] = []
        for message in messages:
            place, call = next(
                (
                    one
                    for fits in (_by_id, _by_name, _by_order)
                    for one in waiting
                    if fits(message, one[1])
                ),
                (len(calls), None),
            )
            if call is not None:
                waiting.remove((place, call))
            found.append((place, self._result(message, call)))
        found.sort(key=lambda one: one[0])
        parts = [part for _, some in found for part in some]
        return sorted(parts, key=lambda part: "functionResponse" not in part)

    def _result(self, message: Message, call: ToolCall | None) -> list[dict[str, Any]]:
        known = as_dict((call.extra or {}).get(STATE)) if call else {}
        wanted = message.tool_call_id or "tool"
        name = call.name if call else message.name or self.names.get(wanted, wanted)
        answer: dict[str, Any] = {"name": name, "response": _object(message.text)}
        if known.get("id"):
            answer["id"] = known["id"]
        media = [
            self._part(part) for part in message.parts if not isinstance(part, TextPart)
        ]
        if media and "media_in_results" in self.takes:
            answer["parts"], media = media, []
        return [{"functionResponse": answer}, *media]

    def _part(self, part: Part) -> dict[str, Any]:
        if isinstance(part, TextPart):
            return {"text": part.text}
        if isinstance(part, ImagePart) and part.detail not in (None, "auto"):
            self.fit.leave_out("the detail of an image")
        if part.url:
            return {"fileData": self._file(part, part.url)}
        mime = part.mime or "application/octet-stream"
        return {"inlineData": {"mimeType": mime, "data": base64_of(part)}}

    def _file(self, part: ImagePart | AudioPart | FilePart, url: str) -> dict[str, Any]:
        if url.startswith("files/"):
            url = f"{self.target.base_url}/{url}"
        remote = "remote_files" in self.takes and _WEB.match(url)
        if not remote and not _STORED.match(url):
            self._refuse("the URL of a file that is not stored with Google", _BYTES)
        mime = part.mime or _guessed(url)
        return {"fileUri": url, **({"mimeType": mime} if mime else {})}

    def _refuse(self, what: str, hint: str = ".") -> NoReturn:
        raise UnsupportedFeatureError(
            f"{self.target.provider} does not take {what} with {self.target.model}{hint}",
            provider=self.target.provider,
            model=self.target.model or None,
        )


_BYTES = ": pass the bytes (from_file, from_bytes)."
_WEB = re.compile(r"https?://", re.IGNORECASE)
# Cloud Storage, the Files API and YouTube. Gemini API, "Files API", read 2026-11.
_STORED = re.compile(
    r"gs://|https://[^/]+/v\w+/files/|https://(?:[\w-]+\.)?(?:youtube\.com|youtu\.be)/",
    re.IGNORECASE,
)


def _guessed(url: str) -> str | None:
    from mimetypes import guess_type

    path = urlsplit(url).path if _WEB.match(url) else url
    return guess_type(path)[0]


def _by_id(message: Message, call: ToolCall) -> bool:
    return message.tool_call_id is not None and message.tool_call_id == call.id


def _by_name(message: Message, call: ToolCall) -> bool:
    return message.tool_call_id is None and message.name == call.name


def _by_order(message: Message, call: ToolCall) -> bool:
    return message.tool_call_id is None and not message.name and bool(call)


def _object(text: str) -> dict[str, Any]:
    """
    Give a tool's result as an object, which is all that Google takes.
    """
    try:
        found = decode_json(text)
        encode_json(found)
    except (ValueError, RecursionError):
        found = text
    return found if isinstance(found, dict) else {"result": text}


def _call(call: ToolCall) -> dict[str, Any]:
    known = as_dict((call.extra or {}).get(STATE))
    written: dict[str, Any] = {"name": call.name, "args": arguments_object(call)}
    if known.get("id"):
        written["id"] = known["id"]
    found: dict[str, Any] = {"functionCall": written}
    if known.get("thoughtSignature"):
        found["thoughtSignature"] = known["thoughtSignature"]
    return found


def _replayed(message: Message, kept: Iterable[Any]) -> list[dict[str, Any]] | None:
    """
    Write an answer as it came, its words from the message; ``None``: they are not those any more.
    """
    words = {"text": message.text, "thought": message.reasoning or ""}
    read = dict.fromkeys(words, 0)
    calls = iter(message.tool_calls)
    parts: list[dict[str, Any]] = []
    for one in map(as_dict, kept):
        kind = "thought" if "thought" in one else "text"
        length = as_count(one.get(kind))
        if length is not None:
            start = read[kind]
            read[kind] += length
            part = {**one, "text": words[kind][start : read[kind]]}
            parts.append(part | ({"thought": True} if kind == "thought" else {}))
        elif part := as_dict(one.get("part")):
            parts.append(part)
        elif call := next(calls, None):
            parts.append(_call(call))
    same = all(len(text) == read[kind] for kind, text in words.items())
    written = sum("functionCall" in part for part in parts)
    return parts if same and written == len(message.tool_calls) else None
