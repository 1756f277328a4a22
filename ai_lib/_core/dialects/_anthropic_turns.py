"""
Conversations in Anthropic's format: turns that alternate, the system's word apart, results before words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from ai_lib._core.dialects._anthropic_answers import STATE, THINKING
from ai_lib._core.dialects._call_ids import CallIds
from ai_lib._core.dialects._shared import (
    Adjustments,
    arguments_object,
    as_dict,
    as_list,
    as_text,
    base64_of,
)
from ai_lib._core.errors import UnsupportedFeatureError
from ai_lib._core.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
)
from ai_lib._core.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ai_lib._core.providers import ResolvedTarget

Block = dict[str, Any]

_SYSTEM = (Role.SYSTEM, Role.DEVELOPER)
#: What only the beta header opens. "Files API", read 2026-11.
_FILES_BETA = "files-api-2025-04-14"
#: Documents that go as text, besides all of ``text/``.
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml"})


@attrs.define(kw_only=True)
class Conversation:
    """
    Writes messages as turns.

    Attributes:
        fit: Told of what is left out or said otherwise.

        remote: The provider fetches URLs.

        system_turns: The model takes a system message between turns.

        foreign_thinking: The model takes back what another one thought.

        betas: The header's words for what only they open.
    """

    target: ResolvedTarget
    fit: Adjustments
    remote: bool = True
    system_turns: bool = False
    foreign_thinking: bool = False
    betas: set[str] = attrs.field(factory=set)

    def encode(self, messages: Iterable[Message], asked: Iterable[str]) -> Block:
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
            turns.insert(0, _Turn("user", blocks=[_text(".")]))
        system += [_text(one) for one in asked]
        found = [sent for turn in turns for sent in turn.messages()]
        return (
            {"system": _plain(system)} | {"messages": found}
            if system
            else {"messages": found}
        )

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedFeatureError(
            f"{self.target.provider} does not take {what}.",
            provider=self.target.provider,
            model=self.target.model or None,
        )

    # Turns

    def _turns(self, messages: Iterable[Message]) -> list[_Turn]:
        """
        Join neighbours of one side; what tools gave and a late system say is the user's side.
        """
        turns: list[_Turn] = []
        ids = CallIds(128, "toolu")
        for message in messages:
            role = "assistant" if message.role is Role.ASSISTANT else "user"
            if not turns or turns[-1].role != role:
                turns.append(_Turn(role))
            self._add(turns[-1], message, ids)
            if turns[-1].empty:
                turns.pop()
        if turns and turns[-1].role == "assistant":
            _strip_end(turns[-1].blocks)
        return turns

    def _add(self, turn: _Turn, message: Message, ids: CallIds) -> None:
        match message.role:
            case Role.ASSISTANT:
                turn.blocks += self._assistant(message, ids)
            case Role.TOOL:
                turn.results.append(self._result(message, ids))
            case Role.SYSTEM | Role.DEVELOPER:
                self._late_system(turn, message)
            case _:
                if message.name:
                    self.fit.leave_out("the name of a message")
                turn.blocks += self._content(message)

    def _system(self, message: Message) -> list[Block]:
        if not all(isinstance(part, TextPart) for part in message.parts):
            self._refuse("images, sounds or files in a system message")
        return self._content(message)

    def _late_system(self, turn: _Turn, message: Message) -> None:
        texts = self._system(message)
        if self.system_turns:
            turn.system += texts
            return
        self.fit.tell(
            f"{self.target.provider} takes a system message at the start only: a later one was sent"
            " within the user's turn."
        )
        turn.blocks += [_text(f"<system>\n{one['text']}\n</system>") for one in texts]

    def _assistant(self, message: Message, ids: CallIds) -> list[Block]:
        """
        Give an answer back as it came, if it is still what it was.
        """
        calls = [self._call(call, ids) for call in message.tool_calls]
        kept = self._kept(message)
        said = "".join(as_text(one.get("text")) for one in kept if _is(one, "text"))
        used = sum(_is(one, "tool_use") for one in kept)
        if kept and said == message.text and used == len(calls):
            again = iter(calls)
            found = [
                {**one, **next(again)} if _is(one, "tool_use") else one for one in kept
            ]
            return [one for one in found if not _is_empty(one)]
        content = self._content(message)
        if not content and not calls and message.refusal:
            content = [_text(message.refusal)]
        return [*(one for one in kept if _is(one, *THINKING)), *content, *calls]

    def _kept(self, message: Message) -> list[Block]:
        """
        Give the blocks of an earlier answer, as far as this model takes them back.
        """
        state = as_dict((message.provider_state or {}).get(STATE))
        if state.get("provider") != self.target.provider:
            return []
        blocks = [one for one in as_list(state.get("content")) if isinstance(one, dict)]
        if self.foreign_thinking or state.get("model") == self.target.model:
            return blocks
        return [one for one in blocks if not _is(one, *THINKING)]

    def _call(self, call: ToolCall, ids: CallIds) -> Block:
        return {
            "type": "tool_use",
            "id": ids.of_call(call.id),
            "name": call.name,
            "input": arguments_object(call),
        }

    def _result(self, message: Message, ids: CallIds) -> Block:
        found = {
            "type": "tool_result",
            "tool_use_id": ids.of_result(message.tool_call_id),
        }
        content = _plain(self._content(message))
        return {**found, "content": content} if content else found

    # Content

    def _content(self, message: Message) -> list[Block]:
        return [block for part in message.parts for block in self._blocks(part)]

    def _blocks(self, part: Part) -> Iterator[Block]:
        match part:
            case TextPart():
                if part.text.strip():  # blocks without a word in them are refused
                    yield _text(part.text)
            case ImagePart():
                if part.detail not in (None, "auto"):
                    self.fit.leave_out("the detail of an image")
                yield {"type": "image", "source": self._source(part)}
            case FilePart():
                title = {"title": part.name} if part.name else {}
                yield {"type": "document", "source": self._source(part), **title}
            case _:
                self._refuse("sounds")

    def _source(self, part: ImagePart | FilePart) -> Block:
        if part.url is None:
            return _bytes(part)
        if part.url[:8].lower().startswith(("http://", "https://")):
            if not self.remote:
                self._refuse("a URL of an image or a file: pass the bytes")
            return {"type": "url", "url": part.url}
        if "://" in part.url:
            self._refuse("a URL other than of http and https: pass the bytes")
        self.betas.add(_FILES_BETA)
        return {"type": "file", "file_id": part.url}


def _bytes(part: ImagePart | FilePart) -> Block:
    mime = (part.mime or "application/octet-stream").partition(";")[0].strip().lower()
    if isinstance(part, FilePart) and (mime[:5] == "text/" or mime in _TEXTS):
        text = (part.data or b"").decode("utf-8", "replace")
        return {"type": "text", "media_type": "text/plain", "data": text}
    mime = {"image/jpg": "image/jpeg"}.get(mime, mime)
    return {"type": "base64", "media_type": mime, "data": base64_of(part)}


@attrs.define
class _Turn:
    """
    What one side says before the other answers.

    Attributes:
        role: ``user`` or ``assistant``.

        blocks: What is said.

        results: What tools gave: before all else, and in one turn for all calls of an answer.

        system: What the system says behind it.
    """

    role: str
    blocks: list[Block] = attrs.field(factory=list)
    results: list[Block] = attrs.field(factory=list)
    system: list[Block] = attrs.field(factory=list)

    @property
    def empty(self) -> bool:
        """
        Whether nothing is said in it.
        """
        return not (self.blocks or self.results or self.system)

    def messages(self) -> Iterator[Block]:
        """
        Give it as messages on the wire.
        """
        said, system = [*self.results, *self.blocks], self.system
        if not said:  # a system's message must follow another
            said, system = system, []
        yield {"role": self.role, "content": _plain(said)}
        if system:
            yield {"role": "system", "content": _plain(system)}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _is(block: Block, *types: str) -> bool:
    return block.get("type") in types


def _is_empty(block: Block) -> bool:
    return _is(block, "text") and not as_text(block.get("text")).strip()


def _plain(blocks: list[Block]) -> Any:
    """
    Write one text as a plain string.
    """
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _strip_end(blocks: list[Block]) -> None:
    """
    Take white space from the end of an answer that is to be continued: it is refused there.
    """
    if blocks and _is(blocks[-1], "text"):
        blocks[-1] = {**blocks[-1], "text": as_text(blocks[-1].get("text")).rstrip()}
