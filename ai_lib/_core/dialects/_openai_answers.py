"""
What answers in OpenAI's format say, in all the forms in which providers put it: whole ones and streams.

Nothing here asks who answers, but for the record's word on what goes back and whether text may begin
with ``<think>``.
"""

from __future__ import annotations

from json import JSONDecodeError, dumps
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
from ai_lib._core.dialects._openai_chunks import SOURCES, Alike, common_chunk
from ai_lib._core.dialects._shared import (
    as_count,
    as_dict,
    as_list,
    as_text,
    can_go_back,
    decode_event,
    first_count,
    unreadable_event,
)
from ai_lib._core.messages import Message, Role
from ai_lib._core.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ai_lib._core.dialects import Frame, Framing
    from ai_lib._core.providers import Quirks, ResolvedTarget

#: Under this name messages and tool calls keep what goes back to this dialect only.
STATE = "openai_chat"

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "normal": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,
    "error": FinishReason.ERROR,
    "network_error": FinishReason.ERROR,
    "insufficient_system_resource": FinishReason.ERROR,
}


def is_error(body: dict[str, Any]) -> bool:
    """
    Whether a body or an event with a status of success reports an error.
    """
    if body.get("error"):
        return True
    if as_dict(body.get("base_resp")).get("status_code") not in (None, 0, "0"):
        return True  # MiniMax
    code = body.get("code")
    choices = as_list(body.get("choices"))
    if code is not None and ("sid" in body or not choices):
        return code not in ("", 0, "0")  # Spark
    if choices:
        first = as_dict(choices[0])
        said = first.get("message") or first.get("delta")
        return bool(first.get("error")) and not as_dict(said).get("content")
    names = ("detail", "message", "errors", "error_code", "error_msg")
    return "usage" not in body and any(body.get(name) for name in names)


def id_of(body: dict[str, Any]) -> str:
    return as_text(body.get("id")) or as_text(body.get("sid"))


def choice_of(
    place: int, choice: dict[str, Any], body: dict[str, Any], quirks: Quirks
) -> Choice:
    said = as_dict(choice.get("message")) or as_dict(choice.get("delta"))
    text, reasoning, state = _pieces(said, quirks)
    if not text:
        text = _transcript(said)
    if quirks.think_tags and not reasoning:
        tags = _ThinkTags()
        reasoning, text = map("".join, zip(tags.feed(text), tags.finish(), strict=True))
    merger = _ToolCalls()
    for delta in _call_items(said):
        merger.feed(delta)
    calls = tuple(call.whole() for call in merger.calls)
    raw = as_text(choice.get("finish_reason"))
    if not raw and "sid" in body:
        raw = "stop"  # Spark's older models tell no reason; "HTTP API", read 2026-11
    index = as_count(choice.get("index"))
    return Choice(
        index=place if index is None else index,
        message=Message(
            Role.ASSISTANT,
            text,
            tool_calls=calls,
            reasoning=reasoning or None,
            refusal=as_text(said.get("refusal")) or None,
            provider_state=_kept(state),
        ),
        finish_reason=_finish_reason(raw, called=bool(calls)),
        raw_finish_reason=raw or None,
        logprobs=as_dict(choice.get("logprobs")) or None,
    )


def _finish_reason(raw: str, *, called: bool) -> str | None:
    reason = _FINISH_REASONS.get(raw, raw)
    if called and reason in ("", FinishReason.STOP):
        return FinishReason.TOOL_CALLS
    return reason or None


def _kept(state: dict[str, Any]) -> dict[str, Any] | None:
    return {STATE: state} if state and can_go_back(state) else None


def _pieces(said: dict[str, Any], quirks: Quirks) -> tuple[str, str, dict[str, Any]]:
    """
    Read a message or delta: its text, its reasoning, and what of that goes back.
    """
    content = said.get("content")
    thinking: list[dict[str, Any]] = []
    if isinstance(content, str):
        text, inline = content, ""
    else:
        text, inline, thinking = _parts(content)
    details = [
        one for one in as_list(said.get("reasoning_details")) if isinstance(one, dict)
    ]
    state: dict[str, Any] = {}
    if details and "reasoning_details" in quirks.replay:
        state["reasoning_details"] = details
    if thinking and "thinking" in quirks.replay:
        state["thinking"] = thinking
    for field in ("reasoning_content", "reasoning"):
        reasoning = said.get(field)
        if reasoning and isinstance(reasoning, str):
            return text, reasoning, state
    told = "".join(as_text(one.get("text") or one.get("summary")) for one in details)
    return text, told or inline, state


def _parts(content: Any) -> tuple[str, str, list[dict[str, Any]]]:
    """
    Read content that is a list of parts: text, reasoning, the parts that hold the reasoning.
    """
    text: list[str] = []
    reasoning: list[str] = []
    thinking: list[dict[str, Any]] = []
    for one in as_list(content):
        if isinstance(one, str):
            text.append(one)
            continue
        part = as_dict(one)
        if part.get("type") in ("thinking", "reasoning"):
            inner = part.get("thinking") or part.get("summary") or part.get("text")
            reasoning.append(_joined(inner))
            thinking.append(part)
        elif part.get("type") in ("text", "output_text"):
            text.append(as_text(part.get("text")))
    return "".join(text), "".join(reasoning), thinking


def _joined(inner: Any) -> str:
    if isinstance(inner, str):
        return inner
    return "".join(as_text(as_dict(one).get("text")) for one in as_list(inner))


def _transcript(said: dict[str, Any]) -> str:
    return as_text(as_dict(said.get("audio")).get("transcript"))


def _usage_told(body: dict[str, Any]) -> dict[str, Any] | None:
    for place in (body, body.get("x_groq"), *as_list(body.get("choices"))):
        told = place.get("usage") if isinstance(place, dict) else None
        if told and isinstance(told, dict):
            return told
    return None


def usage_of(body: dict[str, Any]) -> Usage | None:
    """
    Find the usage in one of the places where it is told; counts that are cumulative stay what they are.
    """
    told = _usage_told(body)
    if told is None:
        return None
    prompt = first_count(told, "prompt_tokens", "input_tokens")
    written = first_count(told, "completion_tokens", "output_tokens")
    total = first_count(told, "total_tokens")
    if prompt is None and written is None and total is None:
        return None
    details = as_dict(
        told.get("prompt_tokens_details") or told.get("prompt_token_details")
    )
    cached = first_count(details, "cached_tokens")
    if cached is None:
        names = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
        cached = first_count(told, *names)
    reasoning = first_count(
        as_dict(told.get("completion_tokens_details")), "reasoning_tokens"
    )
    if reasoning is None:
        reasoning = first_count(told, "reasoning_tokens")
    prompt, written = prompt or 0, written or 0
    if reasoning and total == prompt + written + reasoning:
        written += (
            reasoning  # xAI counts them apart; "Models and pricing", read 2026-11
        )
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=written,
        total_tokens=prompt + written if total is None else total,
        cached_tokens=cached,
        reasoning_tokens=reasoning,
    )


def citations_of(body: dict[str, Any], said: dict[str, Any]) -> Iterator[Citation]:
    """
    Read the sources that an answer, or a chunk of one, names.
    """
    results = {}
    for result in as_list(body.get("search_results")):
        if url := as_text(as_dict(result).get("url")):
            results[url] = as_text(result.get("title")) or None
    for one in as_list(body.get("citations")):
        place = as_dict(one)
        url = one if isinstance(one, str) else as_text(place.get("url"))
        if url:
            title = as_text(place.get("title")) or results.pop(url, None)
            yield Citation(url=url, title=title)
    for url, title in results.items():
        yield Citation(url=url, title=title)
    for annotation in as_list(said.get("annotations")):
        place = as_dict(as_dict(annotation).get("url_citation"))
        if url := as_text(place.get("url")):
            yield Citation(
                url=url,
                title=as_text(place.get("title")) or None,
                start=as_count(place.get("start_index")),
                end=as_count(place.get("end_index")),
                text=as_text(place.get("content")) or None,
            )


# Tool calls


@attrs.define(eq=False, repr=False)
class _OpenCall:
    """
    A tool call as far as it has come.
    """

    place: int
    wire_id: str = ""
    name: str = ""
    arguments: list[str] = attrs.field(factory=list)
    extra: dict[str, Any] = attrs.field(factory=dict)

    @property
    def id(self) -> str:
        return self.wire_id or f"call_{self.place}"

    def whole(self) -> ToolCall:
        return ToolCall(
            self.id,
            self.name,
            "".join(self.arguments) or "{}",
            extra={STATE: self.extra} if self.extra else None,
        )


@attrs.define(eq=False, repr=False)
class _ToolCalls:
    """
    Tells which call a piece belongs to: by its index, else by its id, else by its place.

    Pieces come without index (Mistral), with an empty id or name (Qwen, Hunyuan), with both repeated, as
    several whole calls at once, or under an index that was another call's.
    """

    calls: list[_OpenCall] = attrs.field(factory=list)
    _by_index: dict[int | str, _OpenCall] = attrs.field(factory=dict)
    _by_id: dict[str, _OpenCall] = attrs.field(factory=dict)

    def feed(self, item: dict[str, Any]) -> ToolCallDelta:
        function = as_dict(item.get("function") or item.get("custom")) or item
        name = as_text(function.get("name"))
        wire_id = as_text(item.get("id"))
        index = item.get("index")
        index = index if isinstance(index, int | str) else None
        call = self._find(index, wire_id, name)
        first = call is None
        if call is None:
            call = _OpenCall(len(self.calls))
            self.calls.append(call)
            if index is not None:
                self._by_index[index] = call
        call.wire_id = call.wire_id or wire_id
        self._by_id.setdefault(call.wire_id, call)
        fresh_name = name if name and not call.name else None
        call.name = call.name or name
        piece = _arguments(function.get("arguments", function.get("input")))
        call.arguments.append(piece)
        extra = {key: value for key, value in item.items() if key not in _CALL_FIELDS}
        if extra and not can_go_back(extra):
            extra = {}
        if extra:
            call.extra |= extra
        return ToolCallDelta(
            call.place,
            call.id if first else None,
            fresh_name,
            piece,
            {STATE: call.extra} if extra else None,
        )

    def _find(
        self, index: int | str | None, wire_id: str, name: str
    ) -> _OpenCall | None:
        if index is not None:
            call = self._by_index.get(index)
            if call is None:
                return None
            another = wire_id and call.wire_id and wire_id != call.wire_id and name
            return None if another else call
        if wire_id:
            return self._by_id.get(wire_id)
        return self.calls[-1] if self.calls and not name else None


_CALL_FIELDS = frozenset(
    {"id", "index", "type", "function", "custom", "name", "arguments", "input"}
)


def _call_items(said: dict[str, Any]) -> list[dict[str, Any]]:
    """
    List the calls, or pieces of calls; one object stands for a list of one (Spark), and OpenAI's
    ``function_call`` of old for a call.
    """
    items = [one for one in as_list(said.get("tool_calls")) if isinstance(one, dict)]
    legacy = as_dict(said.get("function_call"))
    return [{"index": 0, "function": legacy}] if legacy and not items else items


def _arguments(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else dumps(value, ensure_ascii=False)


# Streams


@attrs.define(eq=False, repr=False)
class _ThinkTags:
    """
    Takes reasoning out of text that begins with ``<think>``, however it is cut.

    Attributes:
        state: ``"start"``: nothing but white space has come; ``"thinking"``; ``"after"``: white space
            behind the end is skipped; ``"text"``: nothing more to look for.

        held: What may be the beginning of a tag.
    """

    state: str = "start"
    held: str = ""

    def feed(self, text: str) -> tuple[str, str]:
        """
        Give the reasoning and the text of the next piece.
        """
        if self.state == "text":
            return "", text
        text, self.held = self.held + text, ""
        if self.state == "start":
            bare = text.lstrip()
            if not bare.startswith("<think>"):
                if "<think>".startswith(bare):
                    self.held = text
                    return "", ""
                self.state = "text"
                return "", text
            text, self.state = bare.removeprefix("<think>"), "thinking"
        if self.state == "thinking":
            return self._thought(text)
        return "", self._after(text)

    def finish(self) -> tuple[str, str]:
        """
        Give what was held back, once nothing more comes.
        """
        held, self.held = self.held, ""
        return (held, "") if self.state == "thinking" else ("", held)

    def _thought(self, text: str) -> tuple[str, str]:
        thought, end, rest = text.partition("</think>")
        if end:
            self.state = "after"
            return thought, self._after(rest)
        keep = next((n for n in range(7, 0, -1) if text.endswith("</think>"[:n])), 0)
        cut = len(text) - keep
        self.held = text[cut:]
        return text[:cut], ""

    def _after(self, text: str) -> str:
        text = text.lstrip()
        if text:
            self.state = "text"
        return text


@attrs.define(eq=False, repr=False)
class _Kept:
    """
    What is remembered of one choice while it streams.

    Attributes:
        tools: Its tool calls so far.

        tags: Looks for ``<think>``; ``None``: not at this provider.

        state: What goes back with the message, pieces joined.
    """

    tools: _ToolCalls = attrs.field(factory=_ToolCalls)
    tags: _ThinkTags | None = None
    state: dict[str, list[dict[str, Any]]] = attrs.field(factory=dict)


@attrs.define(eq=False, repr=False)
class OpenAiChunkParser:
    """
    Turns server-sent events into chunks.
    """

    _target: ResolvedTarget
    _tagged: bool = False
    done: bool = False
    framing: Framing = "sse"
    _kept: dict[int, _Kept] = attrs.field(factory=dict)
    _cited: set[Citation] = attrs.field(factory=set)
    _alike: Alike | None = attrs.field(
        default=attrs.Factory(
            lambda self: None if self._tagged else Alike(), takes_self=True
        ),
        init=False,
    )

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one event.

        Raises:
            AiLibError: It reports an error, or cannot be read.
        """
        name, data = frame
        alike = self._alike
        if not name and alike is not None and (chunk := alike.read(data)):
            return (chunk,)
        try:
            event = decode_event(data)
        except JSONDecodeError:
            return self._no_json(name, data)
        except (ValueError, RecursionError):
            raise unreadable_event(self._target, data) from None
        if not name and alike is not None and (chunk := common_chunk(event)):
            alike.learn(data)
            return (chunk,)
        return self._read(name, event)

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give what was held back: the rest of a tag, and what goes back with each message.
        """
        choices = []
        for index, kept in sorted(self._kept.items()):
            reasoning, text = kept.tags.finish() if kept.tags else ("", "")
            state = _kept(kept.state)
            if reasoning or text or state:
                delta = Delta(text or None, reasoning or None, provider_state=state)
                choices.append(ChunkChoice(index, delta))
        return (ChatCompletionChunk(tuple(choices)),) if choices else ()

    def _no_json(self, name: str, data: str) -> Iterable[ChatCompletionChunk]:
        text = data.strip()
        if text == "[DONE]":
            self.done = True
            return ()
        if name == "error":
            raise error_in(self._target, {"error": text})
        if not text:
            return ()
        raise unreadable_event(self._target, text)

    def _read(self, name: str, event: Any) -> Iterable[ChatCompletionChunk]:
        if not isinstance(event, dict):
            event = {"error": event} if name == "error" else {}
        found = [one for one in as_list(event.get("choices")) if isinstance(one, dict)]
        usage = usage_of(event)
        choices = [self._choice(place, one, event) for place, one in enumerate(found)]
        if not found and (cited := self._new_citations(event, {})):
            choices = [ChunkChoice(0, Delta(citations=cited))]
        chunks: Sequence[ChatCompletionChunk] = ()
        if choices or usage:
            chunks = (
                ChatCompletionChunk(
                    tuple(choices),
                    id_of(event),
                    as_text(event.get("model")),
                    usage,
                    as_count(event.get("created")) or 0,
                    event,
                ),
            )
        if name == "error" or is_error(event):
            return self._fail_after(chunks, event)
        return chunks

    def _fail_after(
        self, chunks: Sequence[ChatCompletionChunk], event: dict[str, Any]
    ) -> Iterator[ChatCompletionChunk]:
        """
        Give what came beside an error before it is raised.
        """
        yield from chunks
        raise error_in(self._target, event)

    def _choice(
        self, place: int, choice: dict[str, Any], event: dict[str, Any]
    ) -> ChunkChoice:
        index = as_count(choice.get("index"))
        index = place if index is None else index
        kept = self._kept.get(index)
        if kept is None:
            kept = _Kept(tags=_ThinkTags() if self._tagged else None)
            self._kept[index] = kept
        said = choice.get("delta")
        if not isinstance(said, dict):
            # Some send a message in its place. Beside a delta it repeats what has been (Perplexity).
            said = as_dict(choice.get("message"))
        text, reasoning, state = _pieces(said, self._target.spec.quirks)
        text = text or _transcript(said)
        if kept.tags is not None and text:
            thought, text = kept.tags.feed(text)
            reasoning += thought
        for field, items in state.items():
            _join_state(kept.state.setdefault(field, []), items)
        raw = as_text(choice.get("finish_reason"))
        delta = Delta(
            text or None,
            reasoning or None,
            [kept.tools.feed(item) for item in _call_items(said)],
            as_text(said.get("role")) or None,
            as_text(said.get("refusal")) or None,
            self._new_citations(event, said) if index == 0 else (),
        )
        return ChunkChoice(
            index,
            delta,
            _finish_reason(raw, called=bool(kept.tools.calls)) if raw else None,
            raw or None,
            as_dict(choice.get("logprobs")) or None,
        )

    def _new_citations(
        self, event: dict[str, Any], said: dict[str, Any]
    ) -> list[Citation]:
        """
        List the sources that were not named before: some name all of them in every chunk.
        """
        if not event.keys() & SOURCES and "annotations" not in said:
            return []
        found = [one for one in citations_of(event, said) if one not in self._cited]
        self._cited.update(found)
        return found


def _join_state(kept: list[dict[str, Any]], items: Iterable[dict[str, Any]]) -> None:
    """
    Join the pieces of reasoning that goes back: texts of one kind and index are one text.
    """
    for item in items:
        last = kept[-1] if kept else {}
        if not kept or any(last.get(key) != item.get(key) for key in ("type", "index")):
            kept.append(dict(item))
            continue
        for key, value in item.items():
            before = last.get(key)
            if key in ("text", "summary") and isinstance(before, str):
                last[key] = before + as_text(value)
            elif key == "thinking":
                both = _joined(before) + _joined(value)
                last[key] = [{"type": "text", "text": both}]
            elif value is not None:
                last[key] = value
