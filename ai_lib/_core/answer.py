"""
What the chunks of a stream add up to, in the types of a whole answer; and the way back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from ai_lib._core.chat import (
    ChatCompletionChunk,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    Citation,
    Delta,
    FinishReason,
    ToolCallDelta,
    Usage,
    UsageStatus,
)
from ai_lib._core.messages import Message, Role
from ai_lib._core.tools import ToolCall

#: Pieces of text that are kept apart.
_BLOCK = 500


def unified_finish(reason: str | None, *, calls: bool) -> str | None:
    # Gemini, Ollama and others stop with calls, and do not say so.
    if calls and reason == FinishReason.STOP:
        return FinishReason.TOOL_CALLS
    return reason


_HALVES = re.compile("[\ud800-\udfff]")


@attrs.define(eq=False, repr=False)
class _Text:
    """
    Text out of many pieces, which are joined now and then: a small string costs ten times its
    letters. (``io.StringIO`` keeps up to 100,000 of them apart.)
    """

    _pieces: list[str] = attrs.field(factory=list)
    _blocks: list[str] = attrs.field(factory=list)

    def add(self, piece: str) -> int:
        """
        Add *piece*; give its length.
        """
        pieces = self._pieces
        pieces.append(piece)
        if len(pieces) == _BLOCK:
            self._blocks.append("".join(pieces))
            pieces.clear()
        return len(piece)

    def join(self) -> str:
        """
        Give all of it. Halves of a letter beyond U+FFFF, escaped in two events, are put together.
        """
        text = "".join((*self._blocks, *self._pieces))
        if _HALVES.search(text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text


@attrs.define(eq=False, repr=False)
class _CallSoFar:
    """
    One tool call as far as it has come.
    """

    id: str = ""
    name: str = ""
    arguments: _Text = attrs.field(factory=_Text)
    extra: Mapping[str, Any] | None = None

    def add(self, delta: ToolCallDelta) -> None:
        self.id = self.id or delta.id or ""
        self.name = self.name or delta.name or ""
        if delta.arguments:
            self.arguments.add(delta.arguments)
        if delta.extra is not None:
            self.extra = delta.extra

    def to_call(self, index: int) -> ToolCall:
        arguments = self.arguments.join() or "{}"
        return ToolCall(
            self.id or f"call_{index}", self.name, arguments, extra=self.extra
        )


@attrs.define(eq=False, repr=False)
class _ChoiceSoFar:
    """
    One choice as far as it has come.
    """

    text: _Text = attrs.field(factory=_Text)
    reasoning: _Text = attrs.field(factory=_Text)
    refusal: _Text = attrs.field(factory=_Text)
    calls: dict[int, _CallSoFar] = attrs.field(factory=dict)
    provider_state: Mapping[str, Any] | None = None
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None

    def add_rare(self, delta: Delta) -> int:
        """
        Add what few deltas have; give the number of characters.
        """
        size = self.refusal.add(delta.refusal) if delta.refusal else 0
        if delta.provider_state is not None:
            self.provider_state = delta.provider_state
        for piece in delta.tool_calls:
            call = self.calls.get(piece.index)
            if call is None:
                call = self.calls[piece.index] = _CallSoFar()
            call.add(piece)
            size += len(piece.arguments)
        return size

    def add_end(self, choice: ChunkChoice) -> None:
        """
        Add a finish reason; put right what the parser, which sees one frame, could not know.
        """
        choice.finish_reason = unified_finish(
            choice.finish_reason, calls=bool(self.calls)
        )
        self.finish_reason = choice.finish_reason
        self.raw_finish_reason = choice.raw_finish_reason

    def add_logprobs(self, logprobs: Mapping[str, Any]) -> None:
        if self.logprobs is None:
            self.logprobs = {}
        for key, value in logprobs.items():
            if isinstance(value, list):
                before = self.logprobs.get(key)
                if isinstance(before, list):
                    before.extend(value)
                else:
                    self.logprobs[key] = list(value)
            elif value is not None or key not in self.logprobs:
                self.logprobs[key] = value

    def to_choice(self, index: int) -> Choice:
        calls = tuple(self.calls[key].to_call(key) for key in sorted(self.calls))
        message = Message(
            Role.ASSISTANT,
            self.text.join(),
            tool_calls=calls,
            reasoning=self.reasoning.join() or None,
            refusal=self.refusal.join() or None,
            provider_state=self.provider_state,
        )
        return Choice(
            index=index,
            message=message,
            finish_reason=unified_finish(self.finish_reason, calls=bool(calls)),
            raw_finish_reason=self.raw_finish_reason,
            logprobs=self.logprobs and {**self.logprobs},
        )


@attrs.define(eq=False, repr=False)
class AnswerSoFar:
    """
    The whole answer as far as it has come. Keeps no chunk, and of the raw events the last.

    Attributes:
        room: How many more characters it may have.
    """

    room: int
    id: str = ""
    model: str = ""
    created: int = 0
    usage: Usage | None = None
    raw: Any = None
    choices: dict[int, _ChoiceSoFar] = attrs.field(factory=dict)
    citations: dict[Citation, None] = attrs.field(factory=dict)

    def add(self, chunk: ChatCompletionChunk) -> None:
        """
        Add what *chunk* brings. Usage is cumulative everywhere: the last one is it.
        """
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.raw is not None:
            self.raw = chunk.raw
        if not self.id:
            self.id = chunk.id
        if not self.model:
            self.model = chunk.model
        if not self.created:
            self.created = chunk.created
        for choice in chunk.choices:
            so_far = self.choices.get(choice.index)
            if so_far is None:
                so_far = self.choices[choice.index] = _ChoiceSoFar()
            delta = choice.delta
            if delta.content:
                self.room -= so_far.text.add(delta.content)
            if delta.reasoning:
                self.room -= so_far.reasoning.add(delta.reasoning)
            if delta.tool_calls or delta.refusal or delta.provider_state is not None:
                self.room -= so_far.add_rare(delta)
            if delta.citations:
                self.citations.update(dict.fromkeys(delta.citations))
            if choice.finish_reason is not None:
                so_far.add_end(choice)
            if choice.logprobs is not None:
                so_far.add_logprobs(choice.logprobs)

    def finished(self, choices: int) -> bool:
        """
        Whether there are so many *choices*, and every one has a finish reason.
        """
        ends = [choice.finish_reason is not None for choice in self.choices.values()]
        return len(ends) >= choices and all(ends)

    def to_response(
        self, base: ChatCompletionResponse, *, ended: bool
    ) -> ChatCompletionResponse:
        """
        Give the answer in the type of a whole one, with what *base* knows besides.
        """
        told = UsageStatus.UNSUPPORTED if ended else UsageStatus.PENDING
        if self.usage is not None and (ended or self.finished(1)):
            told = UsageStatus.FINALIZED
        return attrs.evolve(
            base,
            id=self.id or base.id,
            model=self.model or base.model,
            created=self.created or base.created,
            choices=tuple(
                self.choices[key].to_choice(key) for key in sorted(self.choices)
            ),
            usage=self.usage,
            usage_status=told,
            citations=tuple(self.citations),
            raw=self.raw if isinstance(self.raw, Mapping) else {},
        )


def chunks_of(response: ChatCompletionResponse) -> list[ChatCompletionChunk]:
    """
    Give a whole answer as a stream of one chunk, as if it had been streamed.
    """
    choices = [
        ChunkChoice(
            choice.index,
            _delta_of(choice.message),
            finish_reason=choice.finish_reason,
            raw_finish_reason=choice.raw_finish_reason,
            logprobs=choice.logprobs,
        )
        for choice in response.choices
    ]
    if choices:
        choices[0].delta.citations = response.citations
    return [
        ChatCompletionChunk(
            choices,
            id=response.id,
            model=response.model,
            usage=response.usage,
            created=response.created,
            raw=response.raw,
        )
    ]


def _delta_of(message: Message) -> Delta:
    calls = [
        ToolCallDelta(index, call.id, call.name, call.arguments, call.extra)
        for index, call in enumerate(message.tool_calls)
    ]
    return Delta(
        content=message.text or None,
        reasoning=message.reasoning,
        tool_calls=calls,
        role=message.role,
        refusal=message.refusal,
        provider_state=message.provider_state,
    )
