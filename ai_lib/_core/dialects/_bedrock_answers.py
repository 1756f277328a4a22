"""
What answers in Bedrock's Converse format say: whole ones and streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from ai_lib._core.dialects._errors import error_in
from ai_lib._core.dialects._shared import (
    arguments_text,
    as_count,
    as_dict,
    as_list,
    as_text,
    can_go_back,
    decode_event,
    unreadable_event,
)
from ai_lib._core.messages import Message, Role
from ai_lib._core.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_lib._core.dialects import Frame, Framing
    from ai_lib._core.errors import AiLibError
    from ai_lib._core.providers import ResolvedTarget

    _Chunks = tuple[ChatCompletionChunk, ...]

#: Under this name messages keep what goes back to this dialect only.
STATE = "bedrock_converse"
#: The tool whose input is the answer, for models that give JSON to a schema in no other way.
ANSWER = "answer_as_json"
#: The type of a use of a tool that the provider does itself.
_SERVER_TOOL = "server_tool_use"

_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "malformed_model_output": FinishReason.ERROR,
    "malformed_tool_use": FinishReason.ERROR,
}


def _finish_reason(raw: str, *, called: bool) -> str | None:
    reason = _FINISH_REASONS.get(raw, raw)
    if reason in ("", FinishReason.STOP, FinishReason.TOOL_CALLS):
        if called:
            return FinishReason.TOOL_CALLS
        return FinishReason.STOP if reason else None
    return reason


def _usage(told: Any) -> Usage | None:
    """
    Read a usage; what went to and came from the cache is apart from the input there.
    """
    told = as_dict(told)
    read = as_count(told.get("inputTokens"))
    if read is None:
        return None
    cached = as_count(told.get("cacheReadInputTokens"))
    prompt = read + (cached or 0) + (as_count(told.get("cacheWriteInputTokens")) or 0)
    written = as_count(told.get("outputTokens")) or 0
    total = as_count(told.get("totalTokens"))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=written,
        total_tokens=prompt + written if total is None else total,
        cached_tokens=cached,
    )


def _citation(told: dict[str, Any], start: int, end: int) -> Citation:
    """
    Read one source of what stands from *start* to *end* of the text.
    """
    place = as_dict(as_dict(told.get("location")).get("web"))
    cited = as_list(told.get("sourceContent"))
    return Citation(
        url=as_text(place.get("url") or told.get("source")) or None,
        title=as_text(told.get("title")) or None,
        start=start,
        end=end,
        text=_joined(cited) or None,
    )


def _joined(pieces: list[Any]) -> str:
    return "".join(as_text(as_dict(one).get("text")) for one in pieces)


def _sealed(block: dict[str, Any]) -> bool:
    """
    Whether a block of reasoning is to be given back: it is signed, or hidden.
    """
    said = as_dict(block.get("reasoningContent"))
    signed = as_dict(said.get("reasoningText")).get("signature")
    return bool(signed or said.get("redactedContent"))


def _state(
    target: ResolvedTarget, blocks: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """
    Keep the reasoning that goes back; only the model that sealed it can open it.
    """
    kept = [block for block in blocks if _sealed(block) and can_go_back(block)]
    return {STATE: {"model": target.model, "reasoning": kept}} if kept else None


def response_of(target: ResolvedTarget, body: dict[str, Any]) -> ChatCompletionResponse:
    """
    Read a whole answer.
    """
    said = as_dict(as_dict(body.get("output")).get("message"))
    blocks = [one for one in as_list(said.get("content")) if isinstance(one, dict)]
    text = reasoning = ""
    calls: list[ToolCall] = []
    citations: list[Citation] = []
    for block in blocks:
        thought = as_dict(as_dict(block.get("reasoningContent")).get("reasoningText"))
        reasoning += as_text(thought.get("text"))
        text += as_text(block.get("text"))
        cited = as_dict(block.get("citationsContent"))
        start, text = len(text), text + _joined(as_list(cited.get("content")))
        found = map(as_dict, as_list(cited.get("citations")))
        citations += (_citation(one, start, len(text)) for one in found)
        use = as_dict(block.get("toolUse"))
        if use.get("name") == ANSWER:
            text += arguments_text(use.get("input"))
        elif use and use.get("type") != _SERVER_TOOL:
            calls.append(_call(use, len(calls)))
    raw = as_text(body.get("stopReason"))
    usage = _usage(body.get("usage"))
    message = Message(
        Role.ASSISTANT,
        text,
        tool_calls=calls,
        reasoning=reasoning or None,
        provider_state=_state(target, blocks),
    )
    choice = Choice(
        message=message,
        finish_reason=_finish_reason(raw, called=bool(calls)),
        raw_finish_reason=raw or None,
    )
    return ChatCompletionResponse(
        model=target.model,
        choices=(choice,),
        usage=usage,
        usage_status=UsageStatus.FINALIZED if usage else UsageStatus.UNSUPPORTED,
        citations=tuple(citations),
        provider=target.provider,
        raw=body,
    )


def _call(use: dict[str, Any], place: int) -> ToolCall:
    return ToolCall(
        as_text(use.get("toolUseId")) or f"call_{place}",
        as_text(use.get("name")),
        arguments_text(use.get("input")) or "{}",
    )


# Streams


@attrs.define
class _Block:
    """
    A block as far as it has come.

    Attributes:
        call: Which tool call it is; ``None``: it is none.

        hidden: It is a tool's that the provider uses itself.

        start: Where in the text of the answer it begins.

        text: The reasoning, in pieces.

        signature: Of the reasoning, likewise.

        redacted: Reasoning that is not to be read, likewise.

        closed: Whether its end came.
    """

    call: int | None = None
    hidden: bool = False
    start: int = 0
    text: list[str] = attrs.field(factory=list)
    signature: list[str] = attrs.field(factory=list)
    redacted: list[str] = attrs.field(factory=list)
    closed: bool = False

    def whole(self) -> dict[str, Any]:
        """
        Give a block of reasoning as a whole answer has it.
        """
        if redacted := "".join(self.redacted):
            return {"reasoningContent": {"redactedContent": redacted}}
        said = {"text": "".join(self.text), "signature": "".join(self.signature)}
        return {"reasoningContent": {"reasoningText": said}}


@attrs.define
class BedrockChunkParser:
    """
    Turns the messages of an event stream into chunks.
    """

    _target: ResolvedTarget
    done: bool = False
    framing: Framing = "aws_event_stream"
    _blocks: dict[Any, _Block] = attrs.field(factory=dict)
    _length: int = 0
    _calls: int = 0
    _stopped: bool = False
    _metered: bool = False

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one message.

        Raises:
            AiLibError: It reports an exception, or cannot be read.
        """
        name, data = frame
        try:
            event = decode_event(data) if data.strip() else {}
        except (ValueError, RecursionError):
            event = data
        if name.startswith(_EXCEPTION):
            raise self._exception(name.removeprefix(_EXCEPTION), event)
        if isinstance(event, str):
            raise unreadable_event(self._target, event)
        event = as_dict(event)
        event = as_dict(event.get(name)) or event  # some wrap it once more
        match name:
            case "contentBlockDelta":
                return self._block_delta(event)
            case "contentBlockStart":
                return self._block_start(event)
            case "contentBlockStop":
                return self._block_stop(event)
            case "messageStop":
                return self._message_stop(event)
            case "metadata":
                return self._metadata(event)
        # Also when a message begins: an exception before the first word can still be retried.
        return ()

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give the reasoning that goes back with the message, of the blocks that are whole.
        """
        known = [self._blocks[index] for index in sorted(self._blocks, key=_place)]
        state = _state(self._target, [one.whole() for one in known if one.closed])
        return self._chunk(Delta(provider_state=state), None) if state else ()

    def _exception(self, kind: str, told: Any) -> AiLibError:
        told = told if isinstance(told, dict) else {"message": as_text(told)}
        status = _STATUSES.get(kind, 200)
        return error_in(self._target, {"code": kind, **told}, status=status)

    def _chunk(self, delta: Delta, event: dict[str, Any] | None) -> _Chunks:
        choice = ChunkChoice(0, delta)
        return (ChatCompletionChunk((choice,), "", self._target.model, None, 0, event),)

    # Events

    def _block_start(self, event: dict[str, Any]) -> _Chunks:
        begun = as_dict(event.get("start"))
        block = self._block(event)
        use = as_dict(begun.get("toolUse"))
        block.hidden = "toolResult" in begun or use.get("type") == _SERVER_TOOL
        if not use or block.hidden or use.get("name") == ANSWER:
            return ()
        call = _call(use, self._begin_call(block))
        piece = ToolCallDelta(block.call or 0, call.id, call.name)
        return self._chunk(Delta(tool_calls=[piece]), event)

    def _block(self, event: dict[str, Any]) -> _Block:
        index = as_count(event.get("contentBlockIndex"))
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _Block(start=self._length)
        return block

    def _begin_call(self, block: _Block) -> int:
        block.call = self._calls
        self._calls += 1
        return block.call

    def _block_delta(self, event: dict[str, Any]) -> _Chunks:
        block = self._block(event)
        delta = as_dict(event.get("delta"))
        piece = as_text(as_dict(delta.get("toolUse")).get("input"))
        text = as_text(delta.get("text"))
        if block.hidden:
            return ()
        if block.call is not None:
            call = ToolCallDelta(block.call, None, None, piece)
            return self._chunk(Delta(tool_calls=[call]), event) if piece else ()
        if text or piece:  # a piece is of the answer that was asked for as a call
            self._length += len(text or piece)
            return self._chunk(Delta(text or piece), event)
        if cited := as_dict(delta.get("citation")):
            source = _citation(cited, block.start, self._length)
            return self._chunk(Delta(citations=[source]), event)
        return self._thought(block, as_dict(delta.get("reasoningContent")), event)

    def _thought(
        self, block: _Block, said: dict[str, Any], event: dict[str, Any]
    ) -> _Chunks:
        block.signature.append(as_text(said.get("signature")))
        block.redacted.append(as_text(said.get("redactedContent")))
        text = as_text(said.get("text"))
        block.text.append(text)
        return self._chunk(Delta(None, text), event) if text else ()

    def _block_stop(self, event: dict[str, Any]) -> _Chunks:
        self._block(event).closed = True
        return ()

    def _message_stop(self, event: dict[str, Any]) -> _Chunks:
        self._stopped = True
        self.done = self._metered
        raw = as_text(event.get("stopReason"))
        reason = _finish_reason(raw, called=bool(self._calls))
        choice = ChunkChoice(0, Delta(), reason, raw or None)
        return (ChatCompletionChunk((choice,), "", self._target.model, None, 0, event),)

    def _metadata(self, event: dict[str, Any]) -> _Chunks:
        # It comes before or behind the stop.
        self._metered = True
        self.done = self._stopped
        usage = _usage(event.get("usage"))
        return (ChatCompletionChunk((), "", self._target.model, usage, 0, event),)


def _place(index: int | None) -> int:
    return -1 if index is None else index


_EXCEPTION = "exception:"
#: What a request is answered with that fails so before its stream begins. ConverseStream, "Errors", read
#: 2026-11; but for the second, which is 424 there and no fault of the request's.
_STATUSES = {
    "internalServerException": 500,
    "modelStreamErrorException": 500,
    "modelTimeoutException": 408,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
