"""
Conversations in Bedrock's Converse format: turns that alternate, the system's word apart, results before words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from ai_lib._core.dialects._bedrock_answers import STATE
from ai_lib._core.dialects._call_ids import CallIds
from ai_lib._core.dialects._shared import (
    Adjustments,
    arguments_object,
    as_dict,
    as_list,
    base64_of,
    can_go_back,
    decode_json,
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
    from ai_lib._core.providers import ResolvedTarget

Block = dict[str, Any]

_SYSTEM = (Role.SYSTEM, Role.DEVELOPER)


@attrs.define(kw_only=True)
class Conversation:
    """
    Writes messages as turns.

    Attributes:
        fit: Told of what is left out or said otherwise.

        tools: Tools are described beside it; without them calls and results go as text.

        json_results: The model takes the result of a tool as JSON only.
    """

    target: ResolvedTarget
    fit: Adjustments
    tools: bool = False
    json_results: bool = False

    def encode(
        self, messages: Iterable[Message], asked: Iterable[str]
    ) -> dict[str, Any]:
        """
        Give the fields ``system`` and ``messages``.

        Args:
            asked: What the system message says besides.

        Raises:
            UnsupportedFeatureError: Something cannot be sent, nor left out.
        """
        rest = list(messages)
        system: list[Block] = []
        while rest and rest[0].role in _SYSTEM:
            system += self._system(rest.pop(0))
        turns = self._turns(rest)
        who = self.target.provider
        if not turns and system:
            self.fit.tell(f"{who} needs a user's message: the system's was sent as it.")
            turns, system = [_Turn("user", blocks=system)], []
        elif turns and turns[0].role == "assistant":
            self.fit.tell(f"{who} needs a user's message first: a dot was sent as it.")
            turns.insert(0, _Turn("user", blocks=[{"text": "."}]))
        system += [{"text": one} for one in asked]
        found = {"messages": [turn.message() for turn in turns]}
        return {"system": system, **found} if system else found

    def _turns(self, messages: Iterable[Message]) -> list[_Turn]:
        """
        Join neighbours of one side; what tools gave and a late system say is the user's side.
        """
        turns: list[_Turn] = []
        ids = CallIds(64, "tooluse")
        names: dict[str, str] = {}
        for message in messages:
            names |= {call.id: call.name for call in message.tool_calls}
            role = "assistant" if message.role is Role.ASSISTANT else "user"
            if not turns or turns[-1].role != role:
                turns.append(_Turn(role))
            self._add(turns[-1], message, ids, names)
            if turns[-1].empty:
                turns.pop()
        if turns and turns[-1].role == "assistant":
            turns[-1].strip_end()  # white space there is refused
        return turns

    def _add(
        self, turn: _Turn, message: Message, ids: CallIds, names: Mapping[str, str]
    ) -> None:
        match message.role:
            case Role.ASSISTANT:
                turn.blocks += self._assistant(message, ids)
            case Role.TOOL if self.tools:
                turn.results.append(self._result(message, ids))
            case Role.TOOL:
                name = names.get(message.tool_call_id or "") or message.name or "tool"
                turn.blocks += [{"text": f"[{name} gave]"}, *self._content(message)]
            case Role.SYSTEM | Role.DEVELOPER:
                self._late_system(turn, message)
            case _:
                if message.name:
                    self.fit.leave_out("the name of a message")
                turn.blocks += self._content(message)

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedFeatureError(
            f"{self.target.provider} does not take {what}.",
            provider=self.target.provider,
            model=self.target.model or None,
        )

    def _system(self, message: Message) -> list[Block]:
        if not all(isinstance(part, TextPart) for part in message.parts):
            self._refuse("images, sounds or files in a system message")
        return self._content(message)

    def _late_system(self, turn: _Turn, message: Message) -> None:
        self.fit.tell(
            f"{self.target.provider} takes a system message at the start only: a later one was sent"
            " within the user's turn."
        )
        texts = [one["text"] for one in self._system(message)]
        turn.blocks += [{"text": f"<system>\n{text}\n</system>"} for text in texts]

    def _assistant(self, message: Message, ids: CallIds) -> list[Block]:
        state = as_dict((message.provider_state or {}).get(STATE))
        sealed = as_list(state.get("reasoning"))
        kept = sealed if state.get("model") == self.target.model else []
        said = self._content(message)
        calls = [self._call(call, ids) for call in message.tool_calls]
        if not said and not calls and message.refusal:
            said = [{"text": message.refusal}]
        return [*kept, *said, *calls]

    def _call(self, call: ToolCall, ids: CallIds) -> Block:
        if not self.tools:
            self.fit.tell(
                f"{self.target.provider} takes calls of tools only along with tools: those of the"
                " conversation were sent as text."
            )
            return {"text": f"[called {call.name} with {call.arguments or '{}'}]"}
        use = {"toolUseId": ids.of_call(call.id), "name": call.name}
        return {"toolUse": {**use, "input": arguments_object(call)}}

    def _result(self, message: Message, ids: CallIds) -> Block:
        content = self._content(message)
        if self.json_results and content:
            content = [{"json": _as_object(message.text)}]
        of = ids.of_result(message.tool_call_id)
        return {"toolResult": {"toolUseId": of, "content": content}}

    # Content

    def _content(self, message: Message) -> list[Block]:
        # Texts without a word in them are refused.
        return [
            self._part(part)
            for part in message.parts
            if not isinstance(part, TextPart) or part.text.strip()
        ]

    def _part(self, part: Part) -> Block:
        if isinstance(part, TextPart):
            return {"text": part.text}
        if isinstance(part, AudioPart):
            self._refuse("sounds")
        if isinstance(part, FilePart):
            form = self._format(part, _DOCUMENTS, "files")
            words = _NOT_IN_NAMES.sub(" ", part.name or "").split()
            name = " ".join(words) or "document"
            source = self._source(part)
            return {"document": {"format": form, "name": name, "source": source}}
        if part.detail not in (None, "auto"):
            self.fit.leave_out("the detail of an image")
        form = self._format(part, _IMAGES, "images")
        return {"image": {"format": form, "source": self._source(part)}}

    def _format(
        self, part: ImagePart | FilePart, formats: Mapping[str, str], kind: str
    ) -> str:
        mime = (part.mime or "").partition(";")[0].strip().lower()
        name = (part.url or "").rpartition(".")[2].lower()  # s3://… tells no type
        found = formats.get(mime) or (name if name in formats.values() else None)
        if found is None and mime.startswith("text/"):
            found = formats.get("text/plain")
        if found is None:
            words = ", ".join(dict.fromkeys(formats.values()))
            self._refuse(f"{kind} of the type {mime or 'that was not told'}: {words}")
        return found

    def _source(self, part: ImagePart | FilePart) -> dict[str, Any]:
        if part.url is None:
            return {"bytes": base64_of(part)}
        if not part.url.lower().startswith("s3://"):
            self._refuse("the URL of an image or a file, but of S3: pass the bytes")
        return {"s3Location": {"uri": part.url}}


_IMAGES: Mapping[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCUMENTS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE}wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "application/json": "txt",
    "text/markdown": "md",
}
# DocumentBlock, read 2026-11.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\s\-()\[\]]+")


def _as_object(text: str) -> dict[str, Any]:
    try:
        found = decode_json(text)
    except ValueError:
        found = text
    if not can_go_back(found):
        found = text
    return found if isinstance(found, dict) else {"result": found}


@attrs.define
class _Turn:
    """
    What one side says before the other answers.

    Attributes:
        role: ``user`` or ``assistant``.

        blocks: What is said.

        results: What tools gave: before all else, and in one turn for all calls of an answer.
    """

    role: str
    blocks: list[Block] = attrs.field(factory=list)
    results: list[Block] = attrs.field(factory=list)

    @property
    def empty(self) -> bool:
        return not (self.blocks or self.results)

    def message(self) -> Block:
        """
        Give it as a message on the wire.
        """
        return {"role": self.role, "content": [*self.results, *self.blocks]}

    def strip_end(self) -> None:
        """
        Take white space from the end of its last text.
        """
        if self.blocks and "text" in self.blocks[-1]:
            self.blocks[-1] = {"text": self.blocks[-1]["text"].rstrip()}
