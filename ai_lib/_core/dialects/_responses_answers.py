"""
What answers in the Responses format say: whole ones and streams.

An answer is a list of items: messages, reasoning, calls, and what the provider's own tools did, which is no
call of the caller's.
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
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from ai_lib._core.dialects import Frame, Framing
    from ai_lib._core.providers import ResolvedTarget

Json = dict[str, Any]

#: Under this name messages and tool calls keep what goes back to this dialect only.
STATE = "openai_responses"

_FINISH_REASONS = {
    "max_output_tokens": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
#: Statuses of an answer that says all that it wanted to say.
_WHOLE = frozenset({"", "completed", "requires_action"})

#: Kinds of calls that the caller is to answer, and where each holds its arguments.
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_CALL_FIELDS = frozenset(
    {
        "id",
        "type",
        "status",
        "call_id",
        "name",
        "arguments",
        "input",
        "item_id",
        "output_index",
    }
)


# Items


def items_in(body: Mapping[str, Any]) -> list[Json]:
    """
    List the items of an answer.
    """
    return [one for one in as_list(body.get("output")) if isinstance(one, dict)]


def _parts(item: Json) -> list[Json]:
    """
    List the parts of a message; plain text counts as one.
    """
    content = item.get("content")
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
    return [one for one in as_list(content) if isinstance(one, dict)]


def _text(part: Json) -> str:
    is_text = part.get("type") in ("output_text", "text")
    return as_text(part.get("text")) if is_text else ""


def _thoughts(item: Json) -> list[str]:
    """
    Read reasoning: its summary, else the whole of it, as open models tell it.
    """
    parts = as_list(item.get("summary")) or as_list(item.get("content"))
    return [text for one in parts if (text := as_text(as_dict(one).get("text")))]


def _call_of(item: Json, place: int) -> ToolCall:
    kind = item["type"]
    extra = {key: one for key, one in item.items() if key not in _CALL_FIELDS and one}
    if kind != "function_call":
        extra["type"] = kind
    return ToolCall(
        as_text(item.get("call_id")) or f"call_{place}",
        as_text(item.get("name")),
        _arguments(item) or "{}",
        extra={STATE: extra} if extra and can_go_back(extra) else None,
    )


def _arguments(item: Json) -> str:
    value = item.get(_CALLS[item["type"]])
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def choice_of(body: Mapping[str, Any], *, provider: str = "") -> Choice:
    """
    Read what an answer says; there is one choice.

    Args:
        provider: Who gave it, and alone can read what is sealed in it.
    """
    text, refusal, thoughts = [], [], []
    calls: list[ToolCall] = []
    logprobs: list[Any] = []
    items = items_in(body)
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            for part in _parts(item):
                text.append(_text(part))
                refusal.append(as_text(part.get("refusal")))
                logprobs += as_list(part.get("logprobs"))
        elif kind == "reasoning":
            thoughts += _thoughts(item)
        elif _is_call(item):
            calls.append(_call_of(item, len(calls)))
    reason, raw = finish_of(body, called=bool(calls))
    return Choice(
        message=Message(
            Role.ASSISTANT,
            "".join(text),
            tool_calls=calls,
            reasoning="\n\n".join(thoughts) or None,
            refusal="".join(refusal) or None,
            provider_state=_state_of(items, provider),
        ),
        finish_reason=reason,
        raw_finish_reason=raw,
        logprobs={"content": logprobs} if logprobs else None,
    )


def _is_call(item: Json) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind in _CALLS


def finish_of(body: Mapping[str, Any], *, called: bool) -> tuple[str, str | None]:
    """
    Tell why an answer ended, in our words and in theirs.
    """
    raw = as_text(body.get("status"))
    if raw == "incomplete":
        raw = as_text(as_dict(body.get("incomplete_details")).get("reason")) or raw
    if raw in _WHOLE:
        return FinishReason.TOOL_CALLS if called else FinishReason.STOP, raw or None
    return _FINISH_REASONS.get(raw, raw), raw


# What goes back


def _state_of(items: list[Json], provider: str) -> Json | None:
    """
    Keep the items as they are to be sent again, if there is anything in them that a message cannot hold.

    Reasoning without its contents is left out: nobody stored it, so its id says nothing.
    """
    kept = [one for one in items if one.get("type") != "reasoning" or _is_sealed(one)]
    if not any(_is_opaque(one) for one in kept) or not can_go_back(kept):
        return None
    output = [_given_back(one) for one in kept]
    return {STATE: {"provider": provider, "output": output}}


def _is_sealed(item: Json) -> bool:
    return bool(item.get("encrypted_content") or item.get("content"))


def _is_opaque(item: Json) -> bool:
    return item.get("type") in ("reasoning", "compaction") or bool(item.get("phase"))


def _given_back(item: Json) -> Json:
    found = {key: value for key, value in item.items() if value is not None}
    if isinstance(found.get("content"), list):
        found["content"] = [
            {key: value for key, value in as_dict(one).items() if key != "logprobs"}
            for one in found["content"]
        ]
    return found


# What is around it


def failure_of(body: Mapping[str, Any]) -> Json | None:
    """
    Find the error that a body, or the answer in an event, reports; ``None``: none.
    """
    status = body.get("status")
    if status in ("completed", "incomplete"):
        return None
    error = body.get("error")
    if isinstance(error, dict) and error:
        return {"error": error}
    if status in ("failed", "cancelled") and not error:
        message = f"The answer was given up with the status {status!r}."
        return {"error": {"code": "server_error", "message": message}}
    names = ("error", "code", "detail", "message", "errors")
    if "output" not in body and any(body.get(name) for name in names):
        return dict(body)
    return {"error": error} if error else None


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """
    Read what an answer cost; ``None``: not told.
    """
    told = as_dict(body.get("usage"))
    prompt = first_count(told, "input_tokens", "prompt_tokens")
    written = first_count(told, "output_tokens", "completion_tokens")
    if prompt is None and written is None:
        return None
    details = as_dict(told.get("input_tokens_details"))
    total = first_count(told, "total_tokens")
    prompt, written = prompt or 0, written or 0
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=written,
        total_tokens=prompt + written if total is None else total,
        cached_tokens=first_count(details, "cached_tokens", "cache_read_input_tokens"),
        reasoning_tokens=first_count(
            as_dict(told.get("output_tokens_details")), "reasoning_tokens"
        ),
    )


def citations_of(items: Iterable[Any], length: int = 0) -> Iterator[Citation]:
    """
    Read the sources that items name; places are counted in the text of them all.

    Args:
        items: Of one answer, in order.

        length: Characters of the answer's text before them.
    """
    for one in items:
        item = as_dict(one)
        if item.get("type", "message") == "message":
            for part in _parts(item):
                for annotation in as_list(part.get("annotations")):
                    yield from _cited(as_dict(annotation), length)
                length += len(_text(part))
        else:
            yield from _found(item)


def _cited(annotation: Json, offset: int) -> Iterator[Citation]:
    place = as_dict(annotation.get("url_citation")) or annotation
    url = as_text(place.get("url")) or None
    title = as_text(place.get("title") or place.get("filename")) or None
    if url is None and title is None:
        return
    start, end = as_count(place.get("start_index")), as_count(place.get("end_index"))
    if start is None and url is None:
        start = as_count(place.get("index"))  # of a file
    yield Citation(
        url=url,
        title=title,
        start=None if start is None else start + offset,
        end=None if end is None else end + offset,
    )


def _found(item: Json) -> Iterator[Citation]:
    """
    Read what Perplexity's search found, and the pages that it read.
    """
    for field in ("results", "contents"):
        for one in as_list(item.get(field)):
            result = as_dict(one)
            if url := as_text(result.get("url")):
                yield Citation(
                    url=url,
                    title=as_text(result.get("title")) or None,
                    text=as_text(result.get("snippet")) or None,
                )


# Streams

#: Events that bring text: what kind it is of, and in which field. Those that end in ``done`` bring all of it again.
_PIECES = {
    "response.output_text.delta": ("text", "delta"),
    "response.output_text.done": ("text", "text"),
    "response.refusal.delta": ("refusal", "delta"),
    "response.refusal.done": ("refusal", "refusal"),
    "response.reasoning_summary_text.delta": ("reasoning", "delta"),
    "response.reasoning_summary_text.done": ("reasoning", "text"),
    "response.reasoning_text.delta": ("reasoning", "delta"),
    "response.reasoning_text.done": ("reasoning", "text"),
    "response.function_call_arguments.delta": ("arguments", "delta"),
    "response.function_call_arguments.done": ("arguments", "arguments"),
    "response.custom_tool_call_input.delta": ("arguments", "delta"),
    "response.custom_tool_call_input.done": ("arguments", "input"),
}


@attrs.define
class ResponsesChunkParser:
    """
    Turns server-sent events into chunks. Items are told apart by their index, else by their id (llama.cpp).

    What comes twice, in pieces and whole, is given once: of the whole only what was missing.
    """

    _target: ResolvedTarget
    done: bool = False
    framing: Framing = "sse"
    _id: str = ""
    _model: str = ""
    _created: int = 0
    _items: dict[Hashable, Json] = attrs.field(factory=dict)
    _calls: dict[Hashable, int] = attrs.field(factory=dict)
    _opens: dict[Hashable, ToolCall] = attrs.field(factory=dict)
    _sent: dict[tuple[str, Hashable, int], int] = attrs.field(factory=dict)
    _sums: dict[tuple[str, Hashable], int] = attrs.field(factory=dict)
    _begun: set[str] = attrs.field(factory=set)
    _starts: dict[Hashable, int] = attrs.field(factory=dict)
    _text: list[str] = attrs.field(factory=list)
    _length: int = 0
    _cited: set[Citation] = attrs.field(factory=set)

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one event.

        Raises:
            AiLibError: It reports an error, or cannot be read.
        """
        name, data = frame
        try:
            event = decode_event(data)
        except JSONDecodeError:
            return self._no_json(name, data)
        except (ValueError, RecursionError):
            raise unreadable_event(self._target, data) from None
        if not isinstance(event, dict):
            event = {"error": event} if name == "error" else {}
        kind = as_text(event.get("type")) or name
        if kind in _PIECES:
            return self._piece(kind, event)
        return self._other(kind, event)

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give nothing: nothing is held back.
        """
        return ()

    def _no_json(self, name: str, data: str) -> Iterable[ChatCompletionChunk]:
        text = data.strip()
        if name == "error":
            raise error_in(self._target, {"error": text})
        if not text or text == "[DONE]":  # the mark is response.completed
            return ()
        raise unreadable_event(self._target, text)

    def _other(self, kind: str, event: Json) -> Iterable[ChatCompletionChunk]:
        match kind:
            case "response.created" | "response.queued" | "response.in_progress":
                return self._begin(event)
            case "response.output_item.added":
                return self._added(event)
            case "response.output_item.done":
                return self._ended(event)
            case "response.output_text.annotation.added":
                return self._annotation(event)
            case "response.completed" | "response.incomplete":
                return self._end(kind, event)
            case "response.failed" | "response.cancelled":
                return self._failed(kind, event)
            case "error":
                return self._error(event)
            case _ if kind.startswith("response.reasoning."):
                return self._research(event)
            case _ if event.get("error") and not kind.startswith("response."):
                return self._error(event)
        return ()

    # Pieces

    def _piece(self, kind: str, event: Json) -> Iterable[ChatCompletionChunk]:
        what, field = _PIECES[kind]
        spot, text = _spot(event), as_text(event.get(field))
        part = as_count(event.get("content_index", event.get("summary_index"))) or 0
        if kind.endswith("done"):
            text = text[self._sent.get((what, spot, part), 0) :]
        delta = self._delta(what, spot, part, text)
        if delta is None:
            return ()
        return (self._chunk(delta, event, logprobs=event.get("logprobs")),)

    def _delta(self, what: str, spot: Hashable, part: int, text: str) -> Delta | None:
        """
        Give the next characters of a part of an item.
        """
        if not text:
            return None
        key = (what, spot, part)
        sent = self._sent.get(key, 0)
        apart = what == "reasoning" and not sent and what in self._begun
        self._sent[key] = sent + len(text)
        self._sums[what, spot] = self._sums.get((what, spot), 0) + len(text)
        self._begun.add(what)
        if what == "text":
            self._starts.setdefault((spot, part), self._length)
            self._starts.setdefault(spot, self._length)
            self._text.append(text)
            self._length += len(text)
            return Delta(text)
        if what == "refusal":
            return Delta(refusal=text)
        if what == "reasoning":
            return Delta(reasoning=f"\n\n{text}" if apart else text)
        call = ToolCallDelta(self._place(spot), arguments=text)
        return Delta(tool_calls=[call])

    def _place(self, spot: Hashable) -> int:
        return self._calls.setdefault(spot, len(self._calls))

    def _chunk(
        self, delta: Delta, event: Json, *, logprobs: Any = None
    ) -> ChatCompletionChunk:
        told = (
            {"content": logprobs} if logprobs and isinstance(logprobs, list) else None
        )
        choice = ChunkChoice(0, delta, logprobs=told)
        return ChatCompletionChunk(
            (choice,), self._id, self._model, None, self._created, event
        )

    # Items

    def _begin(self, event: Json) -> Iterable[ChatCompletionChunk]:
        """
        Note what the answer is called. No chunk: it may fail yet before its first word.
        """
        response = as_dict(event.get("response"))
        self._id = self._id or as_text(response.get("id"))
        self._model = self._model or as_text(response.get("model"))
        self._created = self._created or as_count(response.get("created_at")) or 0
        return ()

    def _added(self, event: Json) -> Iterable[ChatCompletionChunk]:
        item = as_dict(event.get("item"))
        spot = _spot(event)
        self._items[spot] = item
        delta = self._opened(spot, item) if _is_call(item) else None
        return (self._chunk(delta, event),) if delta else ()

    def _opened(self, spot: Hashable, item: Json) -> Delta | None:
        """
        Tell of a call what was not told before.
        """
        place = self._place(spot)
        call = attrs.evolve(_call_of(item, place), arguments="")
        if self._opens.get(spot) == call:
            return None
        self._opens[spot] = call
        name = as_text(item.get("call_id")) or None
        piece = ToolCallDelta(place, name, call.name or None, "", call.extra)
        return Delta(tool_calls=[piece])

    def _ended(self, event: Json) -> Iterable[ChatCompletionChunk]:
        """
        Give what an item holds and did not come before.
        """
        item = as_dict(event.get("item"))
        spot = _spot(event)
        self._items[spot] = item
        for delta in self._rest(spot, item):
            yield self._chunk(delta, event)

    def _rest(self, spot: Hashable, item: Json) -> Iterator[Delta]:
        kind = item.get("type", "message")
        found: list[Delta | None] = []
        if kind == "message":
            parts = _parts(item)
            refusal = "".join(as_text(part.get("refusal")) for part in parts)
            found.append(self._remainder("text", spot, "".join(map(_text, parts))))
            found.append(self._remainder("refusal", spot, refusal))
        elif kind == "reasoning" and ("reasoning", spot) not in self._sums:
            for place, text in enumerate(_thoughts(item)):
                found.append(self._delta("reasoning", spot, place, text))
        elif _is_call(item):
            found.append(self._opened(spot, item))
            found.append(self._remainder("arguments", spot, _arguments(item)))
        if sources := self._sources(spot, item):
            found.append(Delta(citations=sources))
        yield from filter(None, found)

    def _remainder(self, what: str, spot: Hashable, whole: str) -> Delta | None:
        """
        Give what of an item's text did not come in pieces, whatever the pieces called its parts.
        """
        sent = self._sums.get((what, spot), 0)
        return self._delta(what, spot, -1, whole[sent:])

    def _sources(self, spot: Hashable, item: Json) -> list[Citation]:
        if item.get("type", "message") != "message":
            return self._new(_found(item))
        start = self._starts.get(spot, self._length)
        return self._new(citations_of([item], start))

    def _new(self, citations: Iterable[Citation]) -> list[Citation]:
        found = [one for one in dict.fromkeys(citations) if one not in self._cited]
        self._cited.update(found)
        return found

    def _annotation(self, event: Json) -> Iterable[ChatCompletionChunk]:
        part = as_count(event.get("content_index")) or 0
        start = self._starts.get((_spot(event), part), self._length)
        found = self._new(_cited(as_dict(event.get("annotation")), start))
        return (self._chunk(Delta(citations=found), event),) if found else ()

    def _research(self, event: Json) -> Iterable[ChatCompletionChunk]:
        """
        Read what Perplexity tells of its search: a thought, or what was found.
        """
        thought = as_text(event.get("thought"))
        found = self._new(_found(event))
        delta = self._delta("reasoning", "research", len(self._sent), thought)
        if delta is None and not found:
            return ()
        delta = delta or Delta()
        delta.citations = found
        return (self._chunk(delta, event),)

    # The end

    def _end(self, kind: str, event: Json) -> Iterable[ChatCompletionChunk]:
        """
        Give the reason, the usage, what goes back, and whatever did not come before.
        """
        self._begin(event)
        self.done = True
        status = kind.removeprefix("response.")
        response = {**as_dict(event.get("response")), "status": status}
        output = items_in(response)
        message = choice_of(response).message
        seen = "".join(self._text)
        text = message.text[len(seen) :] if message.text.startswith(seen) else ""
        delta = Delta(
            text or None,
            None if "reasoning" in self._begun else message.reasoning,
            self._missing(message.tool_calls),
            refusal=None if "refusal" in self._begun else message.refusal,
            citations=self._new(citations_of(output)),
        )
        items = list(self._items.values())
        # The last event may name none of the items that came (OpenAI, recorded 2026).
        if len(output) >= len(items):
            items = output
        delta.provider_state = _state_of(items, self._target.provider)
        reason, raw = finish_of(response, called=bool(self._calls))
        chunk = self._chunk(delta, event)
        chunk.choices = (ChunkChoice(0, delta, reason, raw),)
        chunk.usage = usage_of(response)
        return (chunk,)

    def _missing(self, calls: Iterable[ToolCall]) -> list[ToolCallDelta]:
        found = []
        known = {call.id for call in self._opens.values()}
        for call in calls:
            if call.id not in known:
                place = self._place(("missing", call.id))
                found.append(
                    ToolCallDelta(place, call.id, call.name, call.arguments, call.extra)
                )
        return found

    def _failed(self, kind: str, event: Json) -> Iterable[ChatCompletionChunk]:
        # Perplexity puts the error beside the answer.
        response = as_dict(event.get("response"))
        error = response.get("error") or event.get("error")
        status = kind.removeprefix("response.")
        failure = failure_of({**response, "error": error, "status": status})
        raise error_in(self._target, failure or {"error": error})

    def _error(self, event: Json) -> Iterable[ChatCompletionChunk]:
        error = event.get("error")
        if not error:
            # As documented; "error" is then the type of the event, and no code.
            names = ("code", "message", "param")
            error = {name: event[name] for name in names if event.get(name)}
        raise error_in(self._target, {"error": error})


def _spot(event: Json) -> Hashable:
    """
    Name the item that an event is about.
    """
    index = as_count(event.get("output_index"))
    if index is not None:
        return index
    item = as_dict(event.get("item"))
    names = (event.get("item_id"), item.get("id"), item.get("call_id"))
    return next((text for one in names if (text := as_text(one))), "")
