"""
What Cohere answers: whole messages and the events of streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._core.chat import (
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    Citation,
    Delta,
    FinishReason,
    ToolCallDelta,
    Usage,
)
from ai_lib._core.dialects._errors import error_in
from ai_lib._core.dialects._shared import (
    arguments_text,
    as_count,
    as_dict,
    as_list,
    as_text,
    decode_json,
    first_count,
    unreadable_event,
)
from ai_lib._core.messages import Message, Role
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ai_lib._core.dialects import Frame, Framing

#: Under this name messages keep what goes back to this dialect only.
STATE = "cohere_v2"

_FINISH_REASONS = {
    "COMPLETE": FinishReason.STOP,
    "STOP_SEQUENCE": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "TOOL_CALL": FinishReason.TOOL_CALLS,
    "ERROR": FinishReason.ERROR,
    "TIMEOUT": FinishReason.ERROR,
}


def choice_of(said: dict[str, Any], body: dict[str, Any]) -> Choice:
    """
    Read the message of a whole answer.
    """
    text, thinking = _pieces(said.get("content"))
    plan = as_text(said.get("tool_plan"))
    items = [one for one in as_list(said.get("tool_calls")) if isinstance(one, dict)]
    calls = tuple(_whole_call(place, item) for place, item in enumerate(items))
    raw = as_text(body.get("finish_reason"))
    return Choice(
        message=Message(
            Role.ASSISTANT,
            text,
            tool_calls=calls,
            reasoning=thinking + plan or None,
            provider_state=_state(plan, thinking) if calls else None,
        ),
        finish_reason=_finish_reason(raw, called=bool(calls)),
        raw_finish_reason=raw or None,
        logprobs=_logprobs(body),
    )


def _pieces(content: Any) -> tuple[str, str]:
    """
    Read a message's content, or a piece of it: the text, and the thinking.
    """
    if isinstance(content, dict):
        return as_text(content.get("text")), as_text(content.get("thinking"))
    if isinstance(content, str):
        return content, ""
    parts = [as_dict(part) for part in as_list(content)]
    text = "".join(as_text(part.get("text")) for part in parts)
    return text, "".join(as_text(part.get("thinking")) for part in parts)


def _state(plan: str, thinking: str) -> dict[str, Any] | None:
    kept = {"tool_plan": plan, "thinking": thinking}
    found = {key: value for key, value in kept.items() if value}
    return {STATE: found} if found else None


def _whole_call(place: int, item: dict[str, Any]) -> ToolCall:
    arguments = _arguments_of(item)
    return ToolCall(
        as_text(item.get("id")) or f"call_{place}",
        as_text(as_dict(item.get("function")).get("name")),
        "{}" if arguments.strip() in ("", "null") else arguments,
    )


def _arguments_of(item: Any) -> str:
    function = as_dict(as_dict(item).get("function"))
    return arguments_text(function.get("arguments"))


def _finish_reason(raw: str, *, called: bool) -> str | None:
    reason = _FINISH_REASONS.get(raw, raw)
    if called and reason in ("", FinishReason.STOP):
        return FinishReason.TOOL_CALLS
    return reason or None


def _logprobs(body: dict[str, Any]) -> dict[str, Any] | None:
    told = as_list(body.get("logprobs"))
    return {"content": told} if told else None


def usage_of(told: Any) -> Usage | None:
    """
    Read the tokens that the model saw; what is billed of them is told apart.
    """
    told = as_dict(told)
    counts = as_dict(told.get("tokens")) or as_dict(told.get("billed_units"))
    read = as_count(counts.get("input_tokens"))
    written = as_count(counts.get("output_tokens"))
    if read is None and written is None:
        return None
    read, written = read or 0, written or 0
    return Usage(
        prompt_tokens=read,
        completion_tokens=written,
        total_tokens=read + written,
        cached_tokens=first_count(told, "cached_tokens"),
        reasoning_tokens=first_count(counts, "reasoning_tokens"),
    )


def citations_of(said: dict[str, Any]) -> Iterator[Citation]:
    """
    Read what parts of an answer rest on: a citation for each of their sources.
    """
    for one in as_list(said.get("citations")):
        cited = as_dict(one)
        # Places in a plan or in thinking are none in the text.
        in_text = cited.get("type") in (None, "TEXT_CONTENT")
        for source in map(as_dict, as_list(cited.get("sources")) or [{}]):
            origin = as_dict(source.get("document") or source.get("tool_output"))
            yield Citation(
                url=as_text(origin.get("url")) or None,
                title=as_text(origin.get("title") or source.get("id")) or None,
                start=as_count(cited.get("start")) if in_text else None,
                end=as_count(cited.get("end")) if in_text else None,
                text=as_text(cited.get("text")) or None,
            )


# Streams


@attrs.define
class _OpenCall:
    """
    A tool call as far as it has come.

    Attributes:
        place: Which call of the message it is.

        held: The beginning of its arguments while it may still be ``null``, which means none.
    """

    place: int
    held: str | None = ""

    def piece(self, text: str) -> str:
        """
        Give what can be passed on once *text* has come.
        """
        if self.held is None:
            return text
        self.held += text
        if "null".startswith(self.held.strip()):
            return ""
        text, self.held = self.held, None
        return text


@attrs.define
class CohereChunkParser:
    """
    Turns server-sent events into chunks.
    """

    _target: ResolvedTarget
    done: bool = False
    framing: Framing = "sse"
    _id: str = ""
    _role: str | None = None
    _calls: dict[int | None, _OpenCall] = attrs.field(factory=dict)
    _plan: list[str] = attrs.field(factory=list)
    _thinking: list[str] = attrs.field(factory=list)
    _count: int = 0

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one event.

        Raises:
            AiLibError: It reports an error, or cannot be read.
        """
        name, data = frame
        try:
            event = decode_json(data)
        except ValueError:
            return self._no_json(data)
        if not isinstance(event, dict):
            return ()
        kind = event.get("type") or name
        said = as_dict(event.get("delta"))
        if kind == "message-end":
            return self._end(said, event)
        if kind == "message-start":
            self._id = as_text(event.get("id"))
            self._role = as_text(as_dict(said.get("message")).get("role")) or None
            return ()
        message = said.get("message")
        if isinstance(message, dict):
            return self._chunk(self._delta(kind, message, event), event)
        failed = isinstance(event.get("message"), str) or bool(event.get("error"))
        if failed and kind in ("", "error"):
            raise error_in(self._target, event)
        return ()

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give nothing: nothing is held back.
        """
        return ()

    def _no_json(self, data: str) -> Iterable[ChatCompletionChunk]:
        text = data.strip()
        if text == "[DONE]":
            self.done = True
        elif text:
            raise unreadable_event(self._target, text)
        return ()

    def _delta(
        self, kind: Any, message: dict[str, Any], event: dict[str, Any]
    ) -> Delta | None:
        match kind:
            case "content-delta" | "content-start":
                text, thinking = _pieces(message.get("content"))
                if thinking:
                    self._thinking.append(thinking)
                if text or thinking:
                    return Delta(text or None, thinking or None)
            case "tool-plan-delta":
                if plan := as_text(message.get("tool_plan")):
                    self._plan.append(plan)
                    return Delta(reasoning=plan)
            case "tool-call-start":
                items = as_list(message.get("tool_calls"))
                index = as_count(event.get("index"))
                return Delta(tool_calls=[self._begin(index, one) for one in items])
            case "tool-call-delta":
                call = self._calls.get(as_count(event.get("index")))
                items = as_list(message.get("tool_calls"))
                arguments = "".join(_arguments_of(one) for one in items)
                if call is not None and (piece := call.piece(arguments)):
                    return Delta(
                        tool_calls=[ToolCallDelta(call.place, arguments=piece)]
                    )
            case "citation-start":
                if cited := list(citations_of(message)):
                    return Delta(citations=cited)
        return None

    def _begin(self, index: int | None, item: Any) -> ToolCallDelta:
        call = self._calls[index] = _OpenCall(self._count)
        self._count += 1
        item = as_dict(item)
        return ToolCallDelta(
            call.place,
            as_text(item.get("id")) or f"call_{call.place}",
            as_text(as_dict(item.get("function")).get("name")),
            call.piece(_arguments_of(item)),
        )

    def _chunk(
        self, delta: Delta | None, event: dict[str, Any]
    ) -> Iterable[ChatCompletionChunk]:
        if delta is None:
            return ()
        if self._role is not None:
            delta.role, self._role = self._role, None
        logprobs = _logprobs(event) if "logprobs" in event else None
        choice = ChunkChoice(0, delta, None, None, logprobs)
        model = self._target.model
        return (ChatCompletionChunk((choice,), self._id, model, None, 0, event),)

    def _end(
        self, said: dict[str, Any], event: dict[str, Any]
    ) -> Iterable[ChatCompletionChunk]:
        if said.get("error"):
            raise error_in(self._target, said)
        self.done = True
        raw = as_text(said.get("finish_reason"))
        called = self._count > 0
        state = _state("".join(self._plan), "".join(self._thinking))
        choice = ChunkChoice(
            0,
            Delta(role=self._role, provider_state=state if called else None),
            _finish_reason(raw, called=called),
            raw or None,
        )
        return (
            ChatCompletionChunk(
                (choice,),
                self._id,
                self._target.model,
                usage_of(said.get("usage")),
                raw=event,
            ),
        )
