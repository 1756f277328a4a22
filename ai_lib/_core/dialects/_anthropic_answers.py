"""
What answers in Anthropic's format say: whole ones and streams.
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
    decode_json,
    first_count,
    unreadable_event,
)
from ai_lib._core.messages import Message, Role
from ai_lib._core.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ai_lib._core.dialects import Frame, Framing
    from ai_lib._core.providers import ResolvedTarget

#: Under this name messages keep what goes back to this dialect only.
STATE = "anthropic_messages"
#: Blocks that are signed by the model that made them.
THINKING = ("thinking", "redacted_thinking")
#: Blocks that a message holds in fields of its own; of any other the whole answer is kept to go back.
_PLAIN = ("text", "tool_use")

_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}


def is_error(body: Any) -> bool:
    """
    Whether a body or an event with a status of success reports an error.
    """
    if isinstance(body, list):
        return bool(body) and bool(as_dict(body[0]).get("error"))
    if not isinstance(body, dict):
        return False
    if body.get("type") == "error" or body.get("error"):
        return True
    if as_dict(body.get("base_resp")).get("status_code") not in (None, 0, "0"):
        return True  # MiniMax
    names = ("message", "detail", "errors")
    return not body.keys() & {"content", "type", "data"} and any(map(body.get, names))


def _finish_reason(raw: str, *, called: bool) -> str | None:
    reason = _FINISH_REASONS.get(raw, raw)
    if called and reason in ("", FinishReason.STOP):
        return FinishReason.TOOL_CALLS
    return reason or None


def _refusal_of(said: dict[str, Any]) -> str | None:
    """
    Read why an answer was refused, from the message or the delta that has the stop reason.
    """
    if said.get("stop_reason") != "refusal":
        return None
    details = as_dict(said.get("stop_details"))
    return as_text(details.get("explanation") or details.get("category")) or None


_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


def usage_of(told: dict[str, Any]) -> Usage | None:
    """
    Read a usage; ``None``: it does not tell what was read.
    """
    if as_count(told.get("input_tokens")) is None:
        return None
    rows = [as_dict(one) for one in as_list(told.get("iterations"))]
    # What compaction costs is told in its row only; an advisor is another model.
    # "Compaction", read 2026-11.
    rows = [one for one in rows if one.get("type") in ("message", "compaction")]
    if not any(one.get("type") == "compaction" for one in rows):
        rows = [told]
    sums = {name: sum(as_count(one.get(name)) or 0 for one in rows) for name in _COUNTS}
    cached = sums["cache_read_input_tokens"]
    prompt = sums["input_tokens"] + cached + sums["cache_creation_input_tokens"]
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=sums["output_tokens"],
        total_tokens=prompt + sums["output_tokens"],
        cached_tokens=None if told.get("cache_read_input_tokens") is None else cached,
        reasoning_tokens=first_count(
            as_dict(told.get("output_tokens_details")), "thinking_tokens"
        ),
    )


def _citations(found: Any, start: int, end: int) -> Iterator[Citation]:
    """
    Read the sources of a block, which says what stands from *start* to *end* of the text.
    """
    for one in as_list(found):
        place = as_dict(one)
        yield Citation(
            url=as_text(place.get("url") or place.get("source")) or None,
            title=as_text(place.get("title") or place.get("document_title")) or None,
            start=start,
            end=end,
            text=as_text(place.get("cited_text")) or None,
        )


def _state(
    target: ResolvedTarget, blocks: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """
    Keep an answer's blocks to go back, if a message cannot hold all of them.
    """
    if all(block.get("type") in _PLAIN for block in blocks):
        return None
    if not can_go_back(blocks):
        return None
    kept = {"provider": target.provider, "model": target.model, "content": blocks}
    return {STATE: kept}


def response_of(target: ResolvedTarget, body: dict[str, Any]) -> ChatCompletionResponse:
    """
    Read a whole answer.
    """
    content = body["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    blocks = [one for one in as_list(content) if isinstance(one, dict)]
    text = ""
    reasoning = ""
    calls: list[ToolCall] = []
    citations: list[Citation] = []
    for block in blocks:
        match block.get("type"):
            case "text":
                start, text = len(text), text + as_text(block.get("text"))
                citations += _citations(block.get("citations"), start, len(text))
            case "thinking":
                reasoning += as_text(block.get("thinking"))
            case "tool_use":
                calls.append(_call(block, len(calls)))
    raw = as_text(body.get("stop_reason"))
    usage = usage_of(as_dict(body.get("usage")))
    message = Message(
        Role.ASSISTANT,
        text,
        tool_calls=calls,
        reasoning=reasoning or None,
        refusal=_refusal_of(body),
        provider_state=_state(target, blocks),
    )
    choice = Choice(
        message=message,
        finish_reason=_finish_reason(raw, called=bool(calls)),
        raw_finish_reason=raw or None,
    )
    return ChatCompletionResponse(
        id=as_text(body.get("id")),
        model=as_text(body.get("model")),
        choices=(choice,),
        usage=usage,
        usage_status=UsageStatus.UNSUPPORTED
        if usage is None
        else UsageStatus.FINALIZED,
        citations=tuple(citations),
        provider=target.provider,
        raw=body,
    )


def _call(block: dict[str, Any], place: int) -> ToolCall:
    return ToolCall(
        as_text(block.get("id")) or f"call_{place}",
        as_text(block.get("name")),
        arguments_text(block.get("input")) or "{}",
    )


# Streams


@attrs.define
class _Open:
    """
    A block as far as it has come.

    Attributes:
        block: As it began, completed at its end.

        start: Where in the text of the answer it begins.

        call: Which tool call it is; ``None``: it is none.

        pieces: Of its text, its thinking, or its input.

        cited: Sources that came behind its beginning.
    """

    block: dict[str, Any]
    start: int
    call: int | None = None
    pieces: list[str] = attrs.field(factory=list)
    cited: list[Any] = attrs.field(factory=list)
    closed: bool = False

    @property
    def kind(self) -> str:
        return as_text(self.block.get("type"))

    def close(self) -> dict[str, Any]:
        """
        Give the block with its pieces put in.
        """
        self.closed = True
        field = _PIECES.get(self.kind, "input")
        joined = "".join(self.pieces)
        if joined and field == "input":
            try:
                self.block["input"] = decode_json(joined)
            except ValueError:
                self.block["input"] = joined
        elif self.pieces:
            self.block[field] = joined
        if self.cited:
            begun = as_list(self.block.get("citations"))
            self.block["citations"] = [*begun, *self.cited]
        return self.block


#: Where the pieces of a block belong; any other's are of its ``input``.
_PIECES = {"text": "text", "thinking": "thinking"}
#: The kind of a block whose beginning was not told, by its first piece.
_KINDS = {
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "input_json_delta": "tool_use",
}


@attrs.define
class AnthropicChunkParser:
    """
    Turns server-sent events into chunks.
    """

    _target: ResolvedTarget
    done: bool = False
    framing: Framing = "sse"
    _id: str = ""
    _model: str = ""
    _usage: dict[str, Any] = attrs.field(factory=dict)
    _unsaid: Usage | None = None
    _blocks: list[_Open] = attrs.field(factory=list)
    _open: dict[Any, _Open] = attrs.field(factory=dict)
    _length: int = 0
    _calls: int = 0

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one event.

        Raises:
            AiLibError: It reports an error, or cannot be read.
        """
        name, data = frame
        try:
            event = decode_event(data)
        except (ValueError, RecursionError):
            return self._no_json(name, data)
        if not isinstance(event, dict):
            event = {"error": event} if name == "error" else {}
        match event.get("type", name):
            case "content_block_delta":
                return self._block_delta(event)
            case "content_block_start":
                return self._block_start(event)
            case "content_block_stop":
                return self._block_stop(event)
            case "message_start":
                return self._message_start(event)
            case "message_delta":
                return self._message_delta(event)
            case "message_stop":
                self.done = True
                return ()
        if name == "error" or is_error(event):
            raise error_in(self._target, event)
        return ()

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give what goes back with the message, of the blocks that are whole.
        """
        whole = [one.block for one in self._blocks if one.closed]
        state = _state(self._target, whole)
        return self._chunk(Delta(provider_state=state), None) if state else ()

    def _no_json(self, name: str, data: str) -> Sequence[ChatCompletionChunk]:
        text = data.strip()
        if name == "error":
            raise error_in(self._target, {"error": text})
        if text in ("", "[DONE]"):  # OpenRouter sends it behind the end
            return ()
        raise unreadable_event(self._target, text)

    def _chunk(
        self, delta: Delta, event: dict[str, Any] | None
    ) -> tuple[ChatCompletionChunk, ...]:
        # What was read is told with the first words, for a stream that ends before its end.
        usage, self._unsaid = self._unsaid, None
        return (
            ChatCompletionChunk(
                (ChunkChoice(0, delta),), self._id, self._model, usage, 0, event
            ),
        )

    # Events

    def _message_start(self, event: dict[str, Any]) -> tuple[()]:
        # Nothing is given yet: an error before the first word can still be retried.
        message = as_dict(event.get("message"))
        self._id = self._id or as_text(message.get("id"))
        self._model = self._model or as_text(message.get("model"))
        self._add_usage(message)
        self._unsaid = usage_of(self._usage)
        return ()

    def _add_usage(self, place: dict[str, Any]) -> None:
        told = as_dict(place.get("usage"))
        self._usage |= {key: one for key, one in told.items() if one is not None}

    def _block_start(self, event: dict[str, Any]) -> Iterable[ChatCompletionChunk]:
        opened = self._begin(event.get("index"), as_dict(event.get("content_block")))
        if opened.call is not None:
            delta = Delta(tool_calls=[self._call_begin(opened)])
            return self._chunk(delta, event)
        return self._say(opened, as_text(opened.block.get(opened.kind)), event)

    def _begin(self, index: Any, block: dict[str, Any]) -> _Open:
        opened = _Open(dict(block), self._length)
        if opened.kind == "tool_use":
            opened.call = self._calls
            self._calls += 1
        self._blocks.append(opened)
        if isinstance(index, int | str):
            self._open[index] = opened
        return opened

    def _call_begin(self, opened: _Open) -> ToolCallDelta:
        call = _call(opened.block, opened.call or 0)
        return ToolCallDelta(opened.call or 0, call.id, call.name)

    def _say(
        self, opened: _Open, text: str, event: dict[str, Any]
    ) -> Iterable[ChatCompletionChunk]:
        """
        Give a piece of text or thinking; of a block of another kind nothing is given.
        """
        if not text:
            return ()
        if opened.kind == "text":
            opened.pieces.append(text)
            self._length += len(text)
            return self._chunk(Delta(text), event)
        if opened.kind == "thinking":
            opened.pieces.append(text)
            return self._chunk(Delta(None, text), event)
        return ()

    def _block_delta(self, event: dict[str, Any]) -> Iterable[ChatCompletionChunk]:
        delta = as_dict(event.get("delta"))
        kind = delta.get("type")
        index = event.get("index")
        opened = self._open.get(index) if isinstance(index, int | str) else None
        if opened is None:
            # llama.cpp leaves out the beginning where the first token is half a letter.
            kinds = _KINDS.get(kind, "text") if isinstance(kind, str) else "text"
            opened = self._begin(index, {"type": kinds})
        match kind:
            case "text_delta":
                return self._say(opened, as_text(delta.get("text")), event)
            case "thinking_delta":
                return self._say(opened, as_text(delta.get("thinking")), event)
            case "input_json_delta":
                return self._input(opened, as_text(delta.get("partial_json")), event)
            case "citations_delta":
                opened.cited.append(delta.get("citation"))
            case _:
                _join(opened.block, delta)
        return ()

    def _input(
        self, opened: _Open, piece: str, event: dict[str, Any]
    ) -> Iterable[ChatCompletionChunk]:
        opened.pieces.append(piece)
        if opened.call is None or not piece:
            return ()
        delta = ToolCallDelta(opened.call, None, None, piece)
        return self._chunk(Delta(tool_calls=[delta]), event)

    def _block_stop(self, event: dict[str, Any]) -> Iterable[ChatCompletionChunk]:
        index = event.get("index")
        opened = self._open.pop(index, None) if isinstance(index, int | str) else None
        if opened is None:
            return ()
        pieced = any(opened.pieces)
        block = opened.close()
        if opened.call is not None and not pieced and as_dict(block.get("input")):
            whole = ToolCallDelta(
                opened.call, None, None, arguments_text(block.get("input"))
            )
            return self._chunk(Delta(tool_calls=[whole]), event)
        cited = list(_citations(block.get("citations"), opened.start, self._length))
        return self._chunk(Delta(citations=cited), event) if cited else ()

    def _message_delta(self, event: dict[str, Any]) -> Iterable[ChatCompletionChunk]:
        # Anthropic sends input tokens first and output tokens last, and may put the first right then.
        # Messages API, "Streaming", read 2026-11.
        self._add_usage(event)
        self._unsaid = None
        said = as_dict(event.get("delta"))
        raw = as_text(said.get("stop_reason"))
        choice = ChunkChoice(
            0,
            Delta(refusal=_refusal_of(said)),
            _finish_reason(raw, called=bool(self._calls)) if raw else None,
            raw or None,
        )
        usage = usage_of(self._usage)
        return (ChatCompletionChunk((choice,), self._id, self._model, usage, 0, event),)


def _join(block: dict[str, Any], delta: dict[str, Any]) -> None:
    """
    Put into a block what a delta of no kind of its own brings: a signature, a summary.
    """
    for key, value in delta.items():
        before = block.get(key)
        if key == "type":
            continue
        if key != "signature" and isinstance(before, str) and isinstance(value, str):
            block[key] = before + value
        elif value is not None:
            block[key] = value
