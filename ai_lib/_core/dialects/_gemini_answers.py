"""
What answers of Google's ``generateContent`` say: whole ones and streams, whose events have one shape.
"""

from __future__ import annotations

import re
from base64 import b64decode
from hashlib import blake2b
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
    bounded,
    can_go_back,
    decode_json,
    first_count,
    moment_of,
    unreadable_event,
)
from ai_lib._core.errors import ContentFilteredError, InvalidResponseError
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
    from collections.abc import Iterable, Iterator, Sequence

    from ai_lib._core.dialects import Frame, Framing
    from ai_lib._core.providers import ResolvedTarget

#: Under this name messages and tool calls keep what goes back to this dialect only.
STATE = "gemini"

_FINISH_REASONS = {
    "STOP": FinishReason.STOP,
    "FUNCTION_CALL": FinishReason.TOOL_CALLS,  # of a server that stands in for Google
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "LANGUAGE": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
    "MALFORMED_FUNCTION_CALL": FinishReason.ERROR,
    "UNEXPECTED_TOOL_CALL": FinishReason.ERROR,
    "TOO_MANY_TOOL_CALLS": FinishReason.ERROR,
    "MISSING_THOUGHT_SIGNATURE": FinishReason.ERROR,
    "MALFORMED_RESPONSE": FinishReason.ERROR,
}


def finish_reason_of(raw: str, *, called: bool) -> str | None:
    """
    Give our word for why it stopped; it stops for calls without saying so.
    """
    reason = _FINISH_REASONS.get(raw, raw)
    if called and reason in ("", FinishReason.STOP):
        return FinishReason.TOOL_CALLS
    return reason or None


def usage_of(body: dict[str, Any]) -> Usage | None:
    """
    Read the usage; an event's is cumulative, and may hold nothing but the kind of traffic.
    """
    told = as_dict(body.get("usageMetadata"))
    prompt = first_count(told, "promptTokenCount")
    written = first_count(told, "candidatesTokenCount", "responseTokenCount")
    total = first_count(told, "totalTokenCount")
    if prompt is None and written is None and total is None:
        return None
    thoughts = first_count(told, "thoughtsTokenCount")
    prompt = (prompt or 0) + (first_count(told, "toolUsePromptTokenCount") or 0)
    written = (written or 0) + (thoughts or 0)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=written,
        total_tokens=prompt + written if total is None else total,
        cached_tokens=first_count(told, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


def blocked_prompt(
    target: ResolvedTarget, body: dict[str, Any]
) -> ContentFilteredError | None:
    """
    Make the error for a prompt that was not let through; ``None``: it was.
    """
    feedback = as_dict(body.get("promptFeedback"))
    reason = as_text(feedback.get("blockReason"))
    if not reason or as_list(body.get("candidates")):
        return None
    words = as_text(feedback.get("blockReasonMessage"))
    return ContentFilteredError(
        f"{target.provider} blocked the prompt: {bounded(words or reason, 1000)}",
        provider=target.provider,
        model=target.model or None,
        status_code=200,
        code=bounded(reason, 200),
    )


def choices_of(body: dict[str, Any]) -> list[Choice]:
    """
    Read the candidates of a whole answer.
    """
    found = _candidates(body)
    choices = [_choice(index, one, body) for index, one in found]
    return sorted(choices, key=lambda one: one.index)


def _candidates(body: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    for place, one in enumerate(as_list(body.get("candidates"))):
        if isinstance(one, dict):
            index = as_count(one.get("index"))
            yield (place if index is None else index), one


def _parts(candidate: dict[str, Any]) -> list[dict[str, Any]]:
    parts = as_list(as_dict(candidate.get("content")).get("parts"))
    return [one for one in parts if isinstance(one, dict)]


def _choice(index: int, candidate: dict[str, Any], body: dict[str, Any]) -> Choice:
    reader = _Candidate(seed=f"{as_text(body.get('responseId'))}/{index}")
    parts = _parts(candidate)
    delta = reader.read(parts)
    reader.close()
    raw = as_text(candidate.get("finishReason"))
    calls = tuple(call.whole() for call in reader.calls)
    return Choice(
        index=index,
        message=Message(
            Role.ASSISTANT,
            _content(parts),
            tool_calls=calls,
            reasoning=delta.reasoning,
            refusal=_refusal(candidate),
            provider_state=reader.state(),
        ),
        finish_reason=finish_reason_of(raw, called=bool(calls)),
        raw_finish_reason=raw or None,
        logprobs=as_dict(candidate.get("logprobsResult")) or None,
    )


def _refusal(candidate: dict[str, Any]) -> str | None:
    reason = _FINISH_REASONS.get(as_text(candidate.get("finishReason")))
    if reason is not FinishReason.CONTENT_FILTER:
        return None
    return as_text(candidate.get("finishMessage")) or None


def _content(parts: Sequence[dict[str, Any]]) -> str | tuple[Part, ...]:
    """
    Give the text of an answer, or its parts in order if it holds images or sounds.
    """
    shown = [part for part in parts if not part.get("thought")]
    media = {place: _media(part) for place, part in enumerate(shown)}
    if not any(media.values()):
        return "".join(_text(part) for part in shown)
    found: list[Part] = []
    for place, part in enumerate(shown):
        if text := _text(part):
            found.append(TextPart(text))
        elif one := media[place]:
            found.append(one)
    return tuple(found)


def _text(part: dict[str, Any]) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else ""


_KINDS: dict[str, type[ImagePart | AudioPart]] = {
    "image": ImagePart,
    "audio": AudioPart,
}


def _media(part: dict[str, Any]) -> ImagePart | AudioPart | FilePart | None:
    told = as_dict(part.get("inlineData"))
    mime = as_text(told.get("mimeType"))
    text = as_text(told.get("data")).translate({ord("-"): "+", ord("_"): "/"})
    try:
        data = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None
    kind = _KINDS.get(mime.partition("/")[0], FilePart)
    return kind.from_bytes(data, mime) if data else None


# Sources


def citations_of(candidate: dict[str, Any], text: str) -> Iterator[Citation]:
    """
    Read the sources that a candidate names.

    Args:
        text: What it has said so far: places in it are told in bytes.
    """
    grounding = as_dict(candidate.get("groundingMetadata"))
    chunks = [
        _source(as_dict(one)) for one in as_list(grounding.get("groundingChunks"))
    ]
    told = as_dict(candidate.get("citationMetadata"))
    places = [*as_list(told.get("citationSources")), *as_list(told.get("citations"))]
    visited = as_dict(candidate.get("urlContextMetadata")).get("urlMetadata")
    if not (chunks or places or visited):
        return
    characters = _Characters(text)
    used: set[int | None] = set()
    for support in map(as_dict, as_list(grounding.get("groundingSupports"))):
        start, end = characters.span(as_dict(support.get("segment")))
        indexes = support.get("groundingChunkIndices")
        for index in indexes if isinstance(indexes, list) else ():
            place = as_count(index)
            source = (
                chunks[place] if place is not None and place < len(chunks) else None
            )
            if source:
                used.add(place)
                yield attrs.evolve(source, start=start, end=end)
    for place, source in enumerate(chunks):
        if source and place not in used:
            yield source
    for one in map(as_dict, places):
        start, end = characters.span(one)
        if source := _cited(one):
            yield attrs.evolve(source, start=start, end=end)
    seen = {source.url for source in chunks if source}
    for one in map(as_dict, as_list(visited)):
        url = as_text(one.get("retrievedUrl"))
        failed = as_text(one.get("urlRetrievalStatus")).endswith(("ERROR", "UNSAFE"))
        if url and not failed and url not in seen:
            yield Citation(url=url)


def _source(chunk: dict[str, Any]) -> Citation | None:
    for kind in ("web", "retrievedContext", "maps", "image"):
        if source := _cited(as_dict(chunk.get(kind))):
            return source
    return None


def _cited(told: dict[str, Any]) -> Citation | None:
    url = as_text(told.get("uri") or told.get("sourceUri")) or None
    title = as_text(told.get("title")) or None
    if not url and not title:
        return None
    return Citation(url=url, title=title, text=as_text(told.get("text")) or None)


@attrs.define
class _Characters:
    """
    Turns places in a text that are told in bytes of UTF-8 into characters.
    """

    text: str
    _bytes: bytes | None = None

    def span(self, told: dict[str, Any]) -> tuple[int | None, int | None]:
        """
        Give start and end of a segment; a start that is left out is the text's.
        """
        end = as_count(told.get("endIndex"))
        if end is None:
            return None, None
        return self._at(as_count(told.get("startIndex")) or 0), self._at(end)

    def _at(self, place: int) -> int:
        if self.text.isascii():
            return place
        if self._bytes is None:
            self._bytes = self.text.encode("utf-8", "surrogatepass")
        beyond = max(0, place - len(self._bytes))
        return len(self._bytes[:place].decode("utf-8", "ignore")) + beyond


# Candidates, part by part


@attrs.define
class _Call:
    """
    A function call as far as it has come.

    Attributes:
        arguments: As JSON text, once they are complete.

        extra: Its id and signature, where the provider gave them: they go back with it.

        values: The pieces of each argument that streams, by its JSON path.
    """

    place: int
    id: str
    name: str
    arguments: str = ""
    extra: dict[str, Any] = attrs.field(factory=dict)
    args: dict[str, Any] = attrs.field(factory=dict)
    values: dict[str, list[Any]] = attrs.field(factory=dict)

    @property
    def kept(self) -> dict[str, Any] | None:
        return {STATE: {**self.extra}} if self.extra else None

    def whole(self) -> ToolCall:
        return ToolCall(self.id, self.name, self.arguments or "{}", extra=self.kept)

    def add(self, told: dict[str, Any]) -> None:
        """
        Take arguments that came whole, and pieces of some.
        """
        self.args |= as_dict(told.get("args"))
        for piece in map(as_dict, as_list(told.get("partialArgs"))):
            path = as_text(piece.get("jsonPath"))
            value = next((piece[key] for key in _VALUES if key in piece), None)
            if path:
                self.values.setdefault(path, []).append(value)

    def end(self) -> None:
        """
        Write the arguments, which are complete.
        """
        for path, pieces in self.values.items():
            texts = [one for one in pieces if isinstance(one, str)]
            value = "".join(texts) if len(texts) == len(pieces) else pieces[-1]
            _put(self.args, path, value)
        self.arguments = arguments_text(self.args)
        if not self.arguments:
            raise InvalidResponseError("Arguments of a call are nested too deeply.")


_VALUES = ("stringValue", "numberValue", "boolValue")  # or null
_STEP = re.compile(r"\[(\d{1,9})\]|\[[\"']([^\"']*)[\"']\]|\.?([^.\[\]]+)")
#: How far a list may be ahead of its items, and how deep an argument may lie.
_GAP = 10
_DEPTH = 100


def _put(args: dict[str, Any], path: str, value: Any) -> None:
    """
    Set a value by a JSON path such as ``$.a[0].b``.

    Raises:
        InvalidResponseError: There is no such place, or none that could be meant.
    """
    steps: list[str | int] = [
        int(found[1]) if found[1] else (found[2] or found[3] or "")
        for found in _STEP.finditer(path.removeprefix("$"))
    ]
    if len(steps) > _DEPTH:
        raise InvalidResponseError("Arguments of a call are nested too deeply.")
    spot: Any = args
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        fresh = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(spot, dict) and isinstance(step, str):
            there = spot.get(step)
        elif (
            isinstance(spot, list) and isinstance(step, int) and step < len(spot) + _GAP
        ):
            spot += [None] * (step + 1 - len(spot))
            there = spot[step]
        else:
            raise InvalidResponseError(f"An argument has no place at {path[:200]!r}.")
        if following is None or there is None:
            spot[step] = there = fresh
        spot = there


@attrs.define
class _Candidate:
    """
    One candidate, read part by part.

    Attributes:
        seed: Of the ids of calls that have none.

        said: Its text so far, in pieces.

        kept: Its parts in order, as far as they go back: of text and thoughts the length, since the
            message has the words; of a call that it is one; any other as it came.

        special: Whether the parts say more than a message's text and calls do.
    """

    seed: str
    said: list[str] = attrs.field(factory=list)
    calls: list[_Call] = attrs.field(factory=list)
    kept: list[dict[str, Any]] = attrs.field(factory=list)
    special: bool = False
    _open: _Call | None = None

    def read(self, parts: Iterable[dict[str, Any]]) -> Delta:
        """
        Read the next parts; give what they add.
        """
        thoughts: list[str] = []
        said = len(self.said)
        pieces: list[ToolCallDelta] = []
        for part in parts:
            signature = as_text(part.get("thoughtSignature"))
            call, text = part.get("functionCall"), part.get("text")
            if isinstance(call, dict):
                pieces += self._call(call, signature)
            elif isinstance(text, str):
                kind = "thought" if part.get("thought") else "text"
                (thoughts if part.get("thought") else self.said).append(text)
                self._keep_text(kind, len(text), signature)
            else:
                self._keep_other(part)
        return Delta(
            "".join(self.said[said:]) or None, "".join(thoughts) or None, pieces
        )

    def close(self) -> list[ToolCallDelta]:
        """
        End the call whose arguments still stream, if there is one.
        """
        call, self._open = self._open, None
        if call is None:
            return []
        call.end()
        return [ToolCallDelta(call.place, arguments=call.arguments)]

    def state(self) -> dict[str, Any] | None:
        """
        Give what goes back with the message; ``None``: nothing but what it says.
        """
        if not self.special:
            return None
        return {STATE: {"parts": [dict(one) for one in self.kept]}}

    def _call(self, told: dict[str, Any], signature: str) -> list[ToolCallDelta]:
        name = as_text(told.get("name"))
        found: list[ToolCallDelta] = []
        call = self._open
        fresh = bool(name) or call is None
        if call is None or fresh:
            if not name:
                return []  # the mark that ends a call whose arguments streamed
            found = self.close()
            call = self._new_call(told, name)
        if signature:
            call.extra["thoughtSignature"] = signature
        call.add(told)
        self._open = call
        if fresh or signature:
            piece = ToolCallDelta(call.place, extra=call.kept)
            if fresh:
                piece.id, piece.name = call.id, call.name
            found.append(piece)
        if not told.get("willContinue"):
            found += self.close()
            if fresh:  # it came in one piece
                whole = found.pop()
                found[-1].arguments = whole.arguments
        return found

    def _new_call(self, told: dict[str, Any], name: str) -> _Call:
        place = len(self.calls)
        given = as_text(told.get("id"))
        seed = f"{self.seed}/{place}/{name}".encode("utf-8", "replace")
        call = _Call(
            place=place,
            id=given or f"call_{blake2b(seed, digest_size=8).hexdigest()}",
            name=name,
            extra={"id": given} if given else {},
        )
        self.calls.append(call)
        self.kept.append({"functionCall": {}})
        return call

    def _keep_text(self, kind: str, length: int, signature: str) -> None:
        last = self.kept[-1] if self.kept else {}
        if signature:
            self.kept.append({kind: length, "thoughtSignature": signature})
        elif kind in last and "thoughtSignature" not in last:
            last[kind] += length
            return
        elif length:
            self.kept.append({kind: length})
        # A message has its text before its calls, and thoughts nowhere.
        again = bool(length) and "functionCall" in last
        self.special = self.special or bool(signature) or kind == "thought" or again

    def _keep_other(self, part: dict[str, Any]) -> None:
        if part and can_go_back(part):
            self.kept.append({"part": part})
            self.special = True


# Streams


@attrs.define
class GeminiChunkParser:
    """
    Turns events into chunks.

    Images that a model draws have no place in a chunk: of a stream they are in the message's
    ``provider_state`` only, of a whole answer in its content.
    """

    _target: ResolvedTarget
    done: bool = False
    framing: Framing = "sse_or_json_array"
    _candidates: dict[int, _Candidate] = attrs.field(factory=dict)
    _ended: int = 0
    _cited: set[Citation] = attrs.field(factory=set)

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one event.

        Raises:
            AiLibError: It reports an error or a blocked prompt, or cannot be read.
        """
        name, data = frame
        try:
            event = decode_json(data)
        except ValueError:
            return self._no_json(name, data)
        if isinstance(event, list):
            event = event[0] if event else {}
        if not isinstance(event, dict):
            event = {"error": event} if name == "error" else {}
        if error := blocked_prompt(self._target, event):
            raise error
        chunks = self._read(event)
        if event.get("error") or name == "error":
            return self._fail_after(chunks, event)
        self.done = self._is_last(event)
        return chunks

    def _is_last(self, event: dict[str, Any]) -> bool:
        """
        Google has no end mark of its own: the last event is the one with the usage and the reason to stop of
        the last candidate. In no recording does anything follow it.
        """
        for _, candidate in _candidates(event):
            self._ended += bool(candidate.get("finishReason"))
        return bool(event.get("usageMetadata")) and self._ended >= self._target.choices

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give the end of a call that still streams, and what goes back with each message.
        """
        choices = []
        for index, candidate in sorted(self._candidates.items()):
            pieces, state = candidate.close(), candidate.state()
            if pieces or state:
                delta = Delta(tool_calls=pieces, provider_state=state)
                choices.append(ChunkChoice(index, delta))
        return (ChatCompletionChunk(tuple(choices)),) if choices else ()

    def _no_json(self, name: str, data: str) -> Iterable[ChatCompletionChunk]:
        text = data.strip()
        if name == "error":
            raise error_in(self._target, {"error": text})
        if text == "[DONE]":  # from gateways
            self.done = True
        if not text or self.done:
            return ()
        raise unreadable_event(self._target, text)

    def _read(self, event: dict[str, Any]) -> Sequence[ChatCompletionChunk]:
        choices = [self._choice(*one, event) for one in _candidates(event)]
        usage = usage_of(event)
        if not choices and usage is None:
            return ()
        return (
            ChatCompletionChunk(
                tuple(choices),
                as_text(event.get("responseId")),
                as_text(event.get("modelVersion")),
                usage,
                created_of(event),
                event,
            ),
        )

    def _fail_after(
        self, chunks: Sequence[ChatCompletionChunk], event: dict[str, Any]
    ) -> Iterator[ChatCompletionChunk]:
        """
        Give what came beside an error before it is raised.
        """
        yield from chunks
        raise error_in(self._target, event)

    def _choice(
        self, index: int, told: dict[str, Any], event: dict[str, Any]
    ) -> ChunkChoice:
        candidate = self._candidates.get(index)
        if candidate is None:
            seed = f"{as_text(event.get('responseId'))}/{index}"
            candidate = self._candidates[index] = _Candidate(seed=seed)
        delta = candidate.read(_parts(told))
        raw = as_text(told.get("finishReason"))
        if raw:
            delta.tool_calls = [*delta.tool_calls, *candidate.close()]
            delta.refusal = _refusal(told)
        if index == 0 and not _SOURCES.isdisjoint(told):
            delta.citations = self._new_citations(told, candidate)
        return ChunkChoice(
            index,
            delta,
            finish_reason_of(raw, called=bool(candidate.calls)) if raw else None,
            raw or None,
            as_dict(told.get("logprobsResult")) or None,
        )

    def _new_citations(
        self, told: dict[str, Any], candidate: _Candidate
    ) -> list[Citation]:
        """
        List the sources that were not named before: some events repeat them.
        """
        text = "".join(candidate.said)
        candidate.said = [text]
        found = dict.fromkeys(citations_of(told, text))
        fresh = [one for one in found if one not in self._cited]
        self._cited.update(fresh)
        return fresh


_SOURCES = frozenset({"groundingMetadata", "citationMetadata", "urlContextMetadata"})


def created_of(body: dict[str, Any]) -> int:
    """
    Give when an answer was made, which only Vertex tells; 0: not told.
    """
    told = body.get("createTime")
    return moment_of(told) or 0 if told else 0
