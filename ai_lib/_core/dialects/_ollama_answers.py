"""
What Ollama answers: whole messages and the lines of streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._core.chat import (
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    Delta,
    FinishReason,
    ToolCallDelta,
    Usage,
)
from ai_lib._core.dialects._errors import error_in
from ai_lib._core.dialects._shared import (
    arguments_text,
    as_dict,
    as_list,
    as_text,
    decode_json,
    first_count,
    moment_of,
    unreadable_event,
)
from ai_lib._core.errors import AiLibError, ModelNotFoundError
from ai_lib._core.messages import Message, Role
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_lib._core.dialects import Frame, Framing

_FINISH_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


def choice_of(said: dict[str, Any], body: dict[str, Any]) -> Choice:
    """
    Read the message of a whole answer.
    """
    calls = tuple(
        ToolCall(delta.id or "", delta.name or "", delta.arguments)
        for delta in _calls(said, body, 0)
    )
    raw = as_text(body.get("done_reason"))
    return Choice(
        message=Message(
            Role.ASSISTANT,
            as_text(said.get("content")),
            tool_calls=calls,
            reasoning=as_text(said.get("thinking")) or None,
        ),
        finish_reason=_finish_reason(raw, called=bool(calls)),
        raw_finish_reason=raw or None,
        logprobs=_logprobs(body),
    )


def with_hint(target: ResolvedTarget, error: AiLibError) -> AiLibError:
    """
    Say how to get a model that a server of one's own has not.
    """
    cloud = target.base_url.startswith(tuple(target.spec.other_base_urls.values()))
    if isinstance(error, ModelNotFoundError) and target.model and not cloud:
        said = error.message.rstrip(".")
        error.args = (f"{said}. Get it with: ollama pull {target.model}",)
    return error


def _calls(
    said: dict[str, Any], line: dict[str, Any], before: int
) -> list[ToolCallDelta]:
    """
    Read the calls of a message, each whole; *before* says how many there were in earlier lines.
    """
    found = []
    items = [one for one in as_list(said.get("tool_calls")) if isinstance(one, dict)]
    for place, item in enumerate(items, before):
        function = as_dict(item.get("function"))
        call_id = as_text(item.get("id")) or _made_up_id(line, place)
        arguments = arguments_text(function.get("arguments"))
        name = as_text(function.get("name"))
        found.append(ToolCallDelta(place, call_id, name, arguments or "{}"))
    return found


def _made_up_id(line: dict[str, Any], place: int) -> str:
    """
    Name a call that has no id, as it would not be named in another answer.
    """
    from hashlib import blake2b

    when = f"{as_text(line.get('created_at'))} {place}"
    return f"call_{blake2b(when.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def _finish_reason(raw: str, *, called: bool) -> str:
    # Older servers end without a reason.
    reason = _FINISH_REASONS.get(raw, raw) or FinishReason.STOP
    if called and reason == FinishReason.STOP:
        return FinishReason.TOOL_CALLS
    return reason


def _logprobs(line: dict[str, Any]) -> dict[str, Any] | None:
    told = as_list(line.get("logprobs"))
    return {"content": told} if told else None


def usage_of(line: dict[str, Any]) -> Usage | None:
    """
    Read what an answer, or the last line of a stream, counts.
    """
    read = first_count(line, "prompt_eval_count")
    written = first_count(line, "eval_count")
    if read is None and written is None:
        return None
    # What it reads from its cache older servers do not count.
    read, written = read or 0, written or 0
    return Usage(
        prompt_tokens=read, completion_tokens=written, total_tokens=read + written
    )


# Streams


@attrs.define
class OllamaChunkParser:
    """
    Turns lines of JSON into chunks.
    """

    _target: ResolvedTarget
    done: bool = False
    framing: Framing = "json_lines"
    _called: int = 0
    _created: int | None = None

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one line.

        Raises:
            AiLibError: It reports an error, or cannot be read.
        """
        _, data = frame
        try:
            line = decode_json(data)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            raise unreadable_event(self._target, data)
        if line.get("error"):
            raise with_hint(self._target, error_in(self._target, line))
        said = as_dict(line.get("message"))
        self.done = line.get("done") is True
        if not said and not self.done:
            return ()
        return (self._chunk(said, line),)

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give nothing: nothing is held back.
        """
        return ()

    def _chunk(self, said: dict[str, Any], line: dict[str, Any]) -> ChatCompletionChunk:
        if self._created is None:
            self._created = moment_of(line.get("created_at")) or 0
        calls = _calls(said, line, self._called) if "tool_calls" in said else ()
        self._called += len(calls)
        delta = Delta(
            as_text(said.get("content")) or None,
            as_text(said.get("thinking")) or None,
            calls,
            as_text(said.get("role")) or None,
        )
        logprobs = _logprobs(line) if "logprobs" in line else None
        choice = ChunkChoice(0, delta, None, None, logprobs)
        if self.done:
            raw = as_text(line.get("done_reason"))
            choice.finish_reason = _finish_reason(raw, called=self._called > 0)
            choice.raw_finish_reason = raw or None
        return ChatCompletionChunk(
            (choice,),
            "",
            as_text(line.get("model")),
            usage_of(line) if self.done else None,
            self._created,
            line,
        )
