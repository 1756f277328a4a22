"""
OpenAI's Chat Completions, as OpenAI and most others speak it.

Where they differ is in their records (``Quirks``) and in ``families``; how answers differ is recognised
by their shape, since gateways answer in the manner of whoever is behind them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from json import JSONDecodeError, dumps, loads
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import attrs

from ai_lib._core.chat import (
    ChatCompletionChunk,
    ChatCompletionRequest,
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
from ai_lib._core.dialects._errors import error_in, error_of
from ai_lib._core.dialects._shared import (
    Adjustments,
    as_count,
    as_dict,
    as_list,
    as_text,
    base64_of,
    bounded,
    data_url,
    decode_body,
    encode_json,
    first_count,
    unreadable,
)
from ai_lib._core.errors import (
    AiLibError,
    InvalidResponseError,
    UnsupportedFeatureError,
)
from ai_lib._core.families import Family, family_of
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
)
from ai_lib._core.providers import ModelInfo, Quirks, ResolvedTarget
from ai_lib._core.tools import Tool, ToolCall, ToolChoice

if TYPE_CHECKING:
    from ai_lib._core.dialects import Frame, Framing, OnUnsupported

#: Under this name messages and tool calls keep what goes back to this dialect only.
STATE = "openai_chat"


# Requests


def encode_request(
    target: ResolvedTarget,
    request: ChatCompletionRequest,
    *,
    stream: bool,
    on_unsupported: OnUnsupported,
) -> HttpRequest:
    """
    Ours to theirs; the key is not in it.

    Raises:
        UnsupportedFeatureError: By *on_unsupported*, or where nothing else can be right.
    """
    encoder = _Encoder(
        target=target,
        request=request,
        stream=stream,
        fit=Adjustments(target.provider, on_unsupported),
    )
    body = encode_json(encoder.body())
    accept = "text/event-stream" if stream else "application/json"
    return HttpRequest(
        url=_chat_url(target),
        headers={"content-type": "application/json", "accept": accept},
        body=body,
        warnings=tuple(encoder.fit.warnings),
    )


#: Fields that are sent under their own name, or the record's.
_PLAIN = (
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "seed",
    "n",
    "logprobs",
    "top_logprobs",
    "user",
    "metadata",
)


#: Values that say nothing, and can be left out without a word.
_NEUTRAL = {
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "n": 1,
    "logprobs": False,
}


@attrs.define(kw_only=True)
class _Encoder:
    """
    One request on its way to the wire.
    """

    target: ResolvedTarget
    request: ChatCompletionRequest
    stream: bool
    fit: Adjustments

    @property
    def quirks(self) -> Quirks:
        return self.target.spec.quirks

    @property
    def family(self) -> Family:
        model = self.target.options.get("base_model") or self.target.model
        return family_of(self.quirks.families, model)

    def body(self) -> dict[str, Any]:
        """
        Build the body, the caller's extensions last.
        """
        effort = self._effort()
        body = {"model": self.target.model, "messages": self._messages()}
        body |= self._parameters(effort)
        body |= self._tools()
        body |= self._response_format(body["messages"])
        body |= effort
        if self.stream:
            body["stream"] = True
            if self.quirks.stream_usage:
                body["stream_options"] = {"include_usage": True}
        elif self.request.reasoning_effort is None:
            body |= self.family.whole_body
        return body | self.quirks.body | self.request.extensions

    # Parameters

    def _effort(self) -> dict[str, Any]:
        """
        Say how long to think, in the words of the family, else the record's, else OpenAI's.

        Raises:
            UnsupportedFeatureError: By policy; or tools and an effort that exclude each other.
        """
        asked = self.request.reasoning_effort
        if self.request.tools and self.family.tools_need_no_effort:
            return self._effort_with_tools(asked)
        if asked is None:
            return {}
        if "reasoning_effort" in self.family.drop | self.quirks.drop:
            self.fit.leave_out("reasoning_effort", why=f"with {self.target.model}")
            return {}
        for efforts in (self.family.efforts, self.quirks.efforts):
            said = efforts.get(asked, efforts.get("*"))
            if said is not None:
                return self._other_effort(asked, said)
        return {"reasoning_effort": asked}

    def _other_effort(self, asked: str, said: Mapping[str, Any]) -> dict[str, Any]:
        parameter = f"reasoning_effort={asked!r}"
        sent = said.get("reasoning_effort")
        if not said:
            self.fit.leave_out(parameter, why=f"with {self.target.model}")
        elif sent != asked and (sent is not None or asked != "none"):
            words = ", ".join(f"{key}={value!r}" for key, value in said.items())
            why = f"with {self.target.model}"
            self.fit.change(parameter, f"{words} was sent instead", why=why)
        return dict(said)

    def _effort_with_tools(self, asked: str | None) -> dict[str, Any]:
        # OpenAI refuses function tools with any effort but none on this endpoint from gpt-5.4 on, from
        # 5.5 on also when none is told. Error reports of July to September 2026.
        if asked in (None, "none"):
            tell = asked is not None or self.family.reasons_by_default
            return {"reasoning_effort": "none"} if tell else {}
        raise UnsupportedFeatureError(
            f"{self.target.provider} does not take tools together with"
            f" reasoning_effort={asked!r} for {self.target.model} on chat completions: ask with"
            ' reasoning_effort="none", or leave the tools out.',
            provider=self.target.provider,
            model=self.target.model,
        )

    def _parameters(self, effort: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        refused = self._refused(effort)
        limit = self.request.max_tokens
        if limit is not None:
            found[self.quirks.max_tokens_field] = limit
        for name in _PLAIN:
            value = getattr(self.request, name)
            if value is None or value == ():
                continue
            if name in refused and self.family.fixed.get(name) != value:
                if _NEUTRAL.get(name) != value:
                    self.fit.leave_out(name, why=self._because(name))
                continue
            sent = self.quirks.rename.get(name, name)
            if sent != name:
                self.fit.tell(f"{self.target.provider}: {name} was sent as {sent}.")
            found[sent] = self._within(name, value)
        if self.quirks.logprobs_count and found.get("logprobs"):
            found["logprobs"] = found.pop("top_logprobs", None) or 1
        return found

    def _refused(self, effort: Mapping[str, Any]) -> frozenset[str]:
        family = self.family
        told = effort.get("reasoning_effort")
        reasons = family.reasons_by_default if told is None else told != "none"
        conditional = family.drop_while_reasoning if reasons else frozenset()
        return self.quirks.drop | family.drop | conditional

    def _because(self, name: str) -> str:
        if name in self.quirks.drop:
            return ""
        if name in self.family.drop:
            return f"with {self.target.model}"
        return f"with {self.target.model} while it reasons"

    def _within(self, name: str, value: Any) -> Any:
        if name == "stop":
            return self._stops(value)
        low, high = self.quirks.ranges.get(name, (None, None))
        if low is None or high is None or low <= value <= high:
            return value
        moved = low if value < low else high
        self.fit.change(f"{name}={value}", f"{moved} was sent instead")
        return moved

    def _stops(self, stops: tuple[str, ...]) -> list[str]:
        # A list even of one: Qianfan is reported to refuse a plain string.
        most = self.quirks.max_stop
        if most is not None and len(stops) > most:
            self.fit.change(f"{len(stops)} stop texts", f"the first {most} were sent")
        return list(stops[:most])

    def _response_format(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        form = self.request.response_format
        if form is None:
            return {}
        taken = self.quirks.response_formats
        if form["type"] in taken:
            return {"response_format": _named_schema(form)}
        instruction = _in_words(form)
        if not instruction:
            return {}
        instead = "json_object" in taken
        self.fit.change(
            f"response_format={form['type']}",
            "it was asked for in the system message"
            + (", with json_object" if instead else ""),
        )
        if messages and messages[0]["role"] == "system":
            messages[0]["content"] = _with_text(messages[0]["content"], instruction)
        else:
            messages.insert(0, {"role": "system", "content": instruction})
        return {"response_format": {"type": "json_object"}} if instead else {}

    # Tools

    def _tools(self) -> dict[str, Any]:
        request = self.request
        if not request.tools and "tools" not in request.extensions:
            # Neither may be sent without tools (OpenAI: 400).
            for name in ("tool_choice", "parallel_tool_calls"):
                if getattr(request, name) is not None:
                    self.fit.leave_out(name, why="without tools")
            return {}
        found: dict[str, Any] = {}
        if request.tools:
            found["tools"] = [self._tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            found |= self._tool_choice(request.tool_choice)
            if found.get("tool_choice") is _NO_TOOLS:
                return {}
        if request.parallel_tool_calls is not None:
            if "parallel_tool_calls" in self.quirks.drop:
                self.fit.leave_out("parallel_tool_calls")
            else:
                found["parallel_tool_calls"] = request.parallel_tool_calls
        return found

    def _tool(self, tool: Tool) -> dict[str, Any]:
        function: dict[str, Any] = {"name": tool.name}
        if tool.description:
            function["description"] = tool.description
        parameters = tool.parameters
        if parameters is None:
            parameters = {"type": "object", "properties": {}}
        function["parameters"] = parameters
        if tool.strict is not None:
            if self.quirks.strict_tools:
                function["strict"] = tool.strict
            elif tool.strict:
                self.fit.leave_out(f"strict of the tool {tool.name}")
        return {"type": "function", "function": function}

    def _tool_choice(self, asked: str) -> dict[str, Any]:
        words = self.quirks.tool_choice
        if "tool_choice" in self.quirks.drop:
            words = {"none": None, "required": None, "named": None}
        kind = asked if asked in tuple(ToolChoice) else "named"
        word = words.get(kind, kind)
        if word is None and kind == "none":
            return {"tool_choice": _NO_TOOLS}
        if word is None:
            self.fit.change(f"tool_choice={asked!r}", "the model may choose")
            return {}
        if kind == "auto" and "tool_choice" in self.quirks.drop:
            return {}
        if word == "named":
            return {"tool_choice": {"type": "function", "function": {"name": asked}}}
        return {"tool_choice": word}

    # Messages

    def _messages(self) -> list[dict[str, Any]]:
        return [self._message(message) for message in self.request.messages]

    def _message(self, message: Message) -> dict[str, Any]:
        match message.role:
            case Role.ASSISTANT:
                return self._assistant(message)
            case Role.TOOL:
                found = {"role": "tool", "content": self._content(message)}
                if message.tool_call_id is not None:
                    found["tool_call_id"] = self._call_id(message.tool_call_id)
                if message.name and self.quirks.tool_names:
                    found["name"] = message.name
                return found
            case Role.DEVELOPER if not self.quirks.developer_role:
                role = "system"
            case _:
                role = message.role.value
        found = {"role": role, "content": self._content(message)}
        if message.name:
            if self.quirks.message_names:
                found["name"] = message.name
            else:
                self.fit.leave_out("the name of a message")
        return found

    def _assistant(self, message: Message) -> dict[str, Any]:
        found: dict[str, Any] = {"role": "assistant"}
        content = self._content(message) or message.refusal or ""
        if not content and message.tool_calls:
            content = self.quirks.empty_content
        found["content"] = content
        self._replay(message, found)
        if message.tool_calls:
            found["tool_calls"] = [self._call(call) for call in message.tool_calls]
        return found

    def _replay(self, message: Message, found: dict[str, Any]) -> None:
        """
        Give back what the provider wants of an answer's reasoning.
        """
        state = as_dict((message.provider_state or {}).get(STATE))
        for field in self.quirks.replay:
            if field == "thinking":
                if parts := as_list(state.get(field)):
                    text = found["content"]
                    more = [{"type": "text", "text": text}] if isinstance(text, str) else text
                    found["content"] = [*parts, *more] if text else parts
            elif field == "reasoning_content":
                # DeepSeek, "Thinking mode", read 2026-11: with tools every assistant message must
                # have it, empty if need be.
                if self._in_tool_loop:
                    found[field] = message.reasoning or ""
            elif state.get(field):
                found[field] = state[field]

    @property
    def _in_tool_loop(self) -> bool:
        return bool(self.request.tools) or any(
            one.tool_calls for one in self.request.messages
        )

    def _call(self, call: ToolCall) -> dict[str, Any]:
        more = as_dict((call.extra or {}).get(STATE))
        function = {"name": call.name, "arguments": call.arguments or "{}"}
        return {
            "id": self._call_id(call.id),
            "type": "function",
            "function": function,
            **more,
        }

    def _call_id(self, id: str) -> str:
        length = self.quirks.tool_id_length
        if length is None or (len(id) == length and id.isascii() and id.isalnum()):
            return id
        return blake2b(id.encode("utf-8", "replace"), digest_size=16).hexdigest()[:length]

    def _content(self, message: Message) -> Any:
        """
        Write text alone as a plain string, since many take lists for pictures only.
        """
        if isinstance(message.content, str):
            return message.content
        if all(isinstance(part, TextPart) for part in message.content):
            return "\n".join(part.text for part in message.parts if isinstance(part, TextPart))
        return [self._part(part) for part in message.content]

    def _part(self, part: Part) -> dict[str, Any]:
        match part:
            case TextPart():
                return {"type": "text", "text": part.text}
            case ImagePart():
                return self._image(part)
            case AudioPart():
                return self._audio(part)
            case FilePart():
                return self._file(part)

    def _image(self, part: ImagePart) -> dict[str, Any]:
        url = part.url or data_url(part)
        if part.url and not self.quirks.remote_images and _is_remote(part.url):
            self._refuse_url("an image")
        image = {"url": url}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}

    def _audio(self, part: AudioPart) -> dict[str, Any]:
        if self.quirks.bare_audio:
            return {"type": "input_audio", "input_audio": part.url or base64_of(part)}
        if part.url:
            self._refuse_url("a sound")
        kind = (part.mime or "audio/wav").partition(";")[0].rpartition("/")[2].lower()
        form = _AUDIO_FORMATS.get(kind, kind)
        return {
            "type": "input_audio",
            "input_audio": {"data": base64_of(part), "format": form},
        }

    def _file(self, part: FilePart) -> dict[str, Any]:
        if part.url and not _is_remote(part.url):
            return {"type": "file", "file": {"file_id": part.url}}
        url = part.url or data_url(part)
        if self.quirks.document_urls:
            found = {"type": "document_url", "document_url": url}
            return found | ({"document_name": part.name} if part.name else {})
        if part.url and not self.quirks.remote_files:
            self._refuse_url("a file")
        name = part.name or f"file.{(part.mime or 'pdf').rpartition('/')[2]}"
        return {"type": "file", "file": {"filename": name, "file_data": url}}

    def _refuse_url(self, what: str) -> NoReturn:
        raise UnsupportedFeatureError(
            f"{self.target.provider} does not fetch the URL of {what}: pass the bytes"
            " (from_file, from_bytes).",
            provider=self.target.provider,
            model=self.target.model or None,
        )


#: Takes the place of a tool choice when "none" can only be had without tools.
_NO_TOOLS = object()

_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-m4a": "m4a"}


def _is_remote(url: str) -> bool:
    return url[:8].lower().startswith(("http://", "https://"))


def _named_schema(form: Mapping[str, Any]) -> dict[str, Any]:
    if form["type"] != "json_schema":
        return dict(form)
    return {**form, "json_schema": {"name": "output", **form["json_schema"]}}


def _in_words(form: Mapping[str, Any]) -> str:
    if form["type"] == "text":
        return ""
    asked = "Answer with one JSON object and nothing else."
    if form["type"] == "json_schema":
        schema = encode_json(form["json_schema"]["schema"]).decode()
        asked += f" It must be valid against this JSON schema: {schema}"
    return asked


def _with_text(content: Any, more: str) -> Any:
    if isinstance(content, str):
        return f"{content}\n\n{more}" if content else more
    return [*content, {"type": "text", "text": more}]


# Where requests go


def _chat_url(target: ResolvedTarget) -> str:
    base = target.base_url
    if base == target.spec.base_url:
        for pattern, other in target.spec.quirks.base_urls.items():
            if re.fullmatch(pattern, target.model, re.IGNORECASE):
                base = other
                break
    if target.spec.quirks.deployments:
        return _azure_url(target, target.spec.chat_path, deployment=target.model)
    return _join(base, target.spec.chat_path)


def _join(base: str, path: str) -> str:
    while path.startswith("../"):
        base, path = base.rpartition("/")[0], path[3:]
    return f"{base.rstrip('/')}/{path.lstrip('/')}"


_DATED = re.compile(r"\d{4}-\d{2}-\d{2}.{0,20}")
_LAST_DATED = "2024-10-21"


def _azure_url(target: ResolvedTarget, path: str, *, deployment: str = "") -> str:
    """
    Build one of Azure's URLs: the v1 surface, or with a dated api-version the deployments of old.
    """
    base = target.base_url
    version = target.options.get("api_version", "")
    if "/deployments/" in base:
        version = version or _LAST_DATED
        if deployment:
            return f"{_join(base, path)}?api-version={quote(version)}"
        base = base.partition("/deployments/")[0]
    if _DATED.fullmatch(version):
        root = base.removesuffix("/v1").removesuffix("/openai")
        inside = f"/deployments/{quote(deployment, safe='')}" if deployment else ""
        return f"{root}/openai{inside}{path}?api-version={quote(version)}"
    if "/" not in base.partition("://")[2]:  # AZURE_OPENAI_ENDPOINT names the bare resource
        base += "/openai/v1"
    return _join(base, path) + (f"?api-version={quote(version)}" if version else "")


# Answers


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


def decode_response(
    target: ResolvedTarget, response: HttpResponse
) -> ChatCompletionResponse:
    """
    Theirs to ours.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means.

        InvalidResponseError: A body that cannot be read.
    """
    body = decode_body(target, response)
    if not isinstance(body, dict):
        body = {"error": as_dict(body[0]).get("error")} if isinstance(body, list) and body else {}
    if _is_error(body):
        raise error_in(target, body, status=response.status, headers=response.headers)
    found = [one for one in as_list(body.get("choices")) if isinstance(one, dict)]
    if not found:
        raise unreadable(target, response, "neither choices nor an error")
    quirks = target.spec.quirks
    choices = [_choice(place, one, body, quirks) for place, one in enumerate(found)]
    usage = _usage(body)
    return ChatCompletionResponse(
        id=_id(body),
        model=as_text(body.get("model")),
        created=as_count(body.get("created")) or 0,
        choices=tuple(sorted(choices, key=lambda one: one.index)),
        usage=usage,
        usage_status=UsageStatus.UNSUPPORTED if usage is None else UsageStatus.FINALIZED,
        citations=tuple(_citations(body, as_dict(found[0].get("message")))),
        provider=target.provider,
        raw=body,
    )


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return error_of(target, response)


def _is_error(body: dict[str, Any]) -> bool:
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


def _id(body: dict[str, Any]) -> str:
    return as_text(body.get("id")) or as_text(body.get("sid"))


def _choice(
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
            provider_state={STATE: state} if state else None,
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
    details = [one for one in as_list(said.get("reasoning_details")) if isinstance(one, dict)]
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
    for part in as_list(content):
        if isinstance(part, str):
            text.append(part)
            continue
        part = as_dict(part)
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


def _usage(body: dict[str, Any]) -> Usage | None:
    """
    Find the usage in one of the places where it is told; counts that are cumulative stay what they are.
    """
    places = [body.get("usage"), as_dict(body.get("x_groq")).get("usage")]
    places += [as_dict(one).get("usage") for one in as_list(body.get("choices"))]
    told = next((one for one in places if one and isinstance(one, dict)), None)
    if told is None:
        return None
    prompt = first_count(told, "prompt_tokens", "input_tokens")
    written = first_count(told, "completion_tokens", "output_tokens")
    total = first_count(told, "total_tokens")
    if prompt is None and written is None and total is None:
        return None
    details = as_dict(told.get("prompt_tokens_details") or told.get("prompt_token_details"))
    cached = first_count(details, "cached_tokens")
    if cached is None:
        names = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
        cached = first_count(told, *names)
    reasoning = first_count(as_dict(told.get("completion_tokens_details")), "reasoning_tokens")
    if reasoning is None:
        reasoning = first_count(told, "reasoning_tokens")
    prompt, written = prompt or 0, written or 0
    if reasoning and total == prompt + written + reasoning:
        written += reasoning  # xAI counts them apart; "Models and pricing", read 2026-11
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=written,
        total_tokens=prompt + written if total is None else total,
        cached_tokens=cached,
        reasoning_tokens=reasoning,
    )


def _citations(body: dict[str, Any], said: dict[str, Any]) -> Iterator[Citation]:
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


@attrs.define
class _OpenCall:
    """
    A tool call as far as it has come.
    """

    place: int
    wire_index: Any = None
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


@attrs.define
class _ToolCalls:
    """
    Tells which call a piece belongs to: by its index, else by its id, else by its place.

    Pieces come without index (Mistral), with an empty id or name (Qwen, Hunyuan), with both repeated, as
    several whole calls at once, or under an index that was another call's.
    """

    calls: list[_OpenCall] = attrs.field(factory=list)

    def feed(self, item: dict[str, Any]) -> ToolCallDelta:
        function = as_dict(item.get("function") or item.get("custom")) or item
        name = as_text(function.get("name"))
        wire_id = as_text(item.get("id"))
        call = self._find(item.get("index"), wire_id, name)
        first = call is None
        if call is None:
            call = _OpenCall(len(self.calls), item.get("index"))
            self.calls.append(call)
        call.wire_id = call.wire_id or wire_id
        fresh_name = name if name and not call.name else None
        call.name = call.name or name
        piece = _arguments(function.get("arguments", function.get("input")))
        call.arguments.append(piece)
        extra = {key: value for key, value in item.items() if key not in _CALL_FIELDS}
        if extra:
            call.extra |= extra
        return ToolCallDelta(
            call.place,
            call.id if first else None,
            fresh_name,
            piece,
            {STATE: call.extra} if extra else None,
        )

    def _find(self, index: Any, wire_id: str, name: str) -> _OpenCall | None:
        if index is not None:
            same = [call for call in self.calls if call.wire_index == index]
            if not same:
                return None
            call = same[-1]
            another = wire_id and call.wire_id and wire_id != call.wire_id and name
            return None if another else call
        if wire_id:
            return next((call for call in self.calls if call.wire_id == wire_id), None)
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


@attrs.define
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


@attrs.define
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


def chunk_parser(target: ResolvedTarget) -> OpenAiChunkParser:
    """
    A new parser for one stream.
    """
    return OpenAiChunkParser(target, target.spec.quirks.think_tags)


@attrs.define
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

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one event.

        Raises:
            AiLibError: It reports an error, or cannot be read.
        """
        name, data = frame
        try:
            event = loads(data)
            choices = event["choices"]
            if not name and not self._tagged and len(choices) == 1:
                # The common chunk, a few characters of text and nothing else, by the shortest way.
                choice = choices[0]
                delta = choice["delta"]
                content = delta["content"]
                if (
                    content.__class__ is str
                    and content
                    and (len(delta) == 1 or (len(delta) == 2 and "role" in delta))
                    and choice.get("finish_reason") is None
                    and choice.get("logprobs") is None
                    and _UNCOMMON.isdisjoint(event)
                    and event.get("usage") is None
                    and choice["index"].__class__ is int
                    and event["id"].__class__ is str
                    and event["model"].__class__ is str
                ):
                    created = event.get("created")
                    return (
                        ChatCompletionChunk(
                            (ChunkChoice(choice["index"], Delta(content)),),
                            event["id"],
                            event["model"],
                            None,
                            created if created.__class__ is int else 0,
                            event,
                        ),
                    )
        except JSONDecodeError:
            return self._no_json(name, data)
        except (KeyError, TypeError, IndexError, AttributeError):
            pass
        except (ValueError, RecursionError):
            raise self._unreadable(data) from None
        return self._read(name, event)

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give what was held back: the rest of a tag, and what goes back with each message.
        """
        choices = []
        for index, kept in sorted(self._kept.items()):
            reasoning, text = kept.tags.finish() if kept.tags else ("", "")
            state = {STATE: kept.state} if kept.state else None
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
        raise self._unreadable(text)

    def _unreadable(self, data: str) -> InvalidResponseError:
        start = bounded(data)
        return InvalidResponseError(
            f"{self._target.provider} streams what is no JSON: {start[:200]}",
            provider=self._target.provider,
            model=self._target.model or None,
            body=start,
        )

    def _read(self, name: str, event: Any) -> Iterable[ChatCompletionChunk]:
        if not isinstance(event, dict):
            event = {"error": event} if name == "error" else {}
        found = [one for one in as_list(event.get("choices")) if isinstance(one, dict)]
        usage = _usage(event)
        choices = [self._choice(place, one, event) for place, one in enumerate(found)]
        if not found and (cited := self._new_citations(event, {})):
            choices = [ChunkChoice(0, Delta(citations=cited))]
        chunks: Sequence[ChatCompletionChunk] = ()
        if choices or usage:
            chunks = (
                ChatCompletionChunk(
                    tuple(choices),
                    _id(event),
                    as_text(event.get("model")),
                    usage,
                    as_count(event.get("created")) or 0,
                    event,
                ),
            )
        if name == "error" or _is_error(event):
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
        if not event.keys() & _SOURCES and "annotations" not in said:
            return []
        found = [one for one in _citations(event, said) if one not in self._cited]
        self._cited.update(found)
        return found


_SOURCES = frozenset({"citations", "search_results"})
_UNCOMMON = _SOURCES | {"error", "code", "base_resp", "x_groq", "sid"}


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


# Models


def models_request(target: ResolvedTarget) -> HttpRequest:
    """
    The request for the model list.

    Raises:
        UnsupportedFeatureError: The provider has none.
    """
    path = target.spec.models_path
    if path is None:
        raise UnsupportedFeatureError(
            f"{target.provider} has no list of models.", provider=target.provider
        )
    azure = target.spec.quirks.deployments
    url = _azure_url(target, path) if azure else _join(target.base_url, path)
    return HttpRequest(method="GET", url=url, headers={"accept": "application/json"})


def decode_models(
    target: ResolvedTarget, response: HttpResponse
) -> tuple[list[ModelInfo], HttpRequest | None]:
    """
    The models; there is only one page.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means.

        InvalidResponseError: A body that holds no list.
    """
    body = decode_body(target, response)
    listed = body
    if isinstance(body, dict):
        names = ("data", "models", "result")  # OpenAI, llama.cpp, Cloudflare
        listed = next((body[name] for name in names if isinstance(body.get(name), list)), None)
        if listed is None and _is_error(body):
            raise error_in(target, body, status=response.status, headers=response.headers)
    if not isinstance(listed, list):
        raise unreadable(target, response, "no list of models")
    key = target.spec.quirks.model_id_key
    found = (_model(as_dict(one), key) for one in listed)
    return [one for one in found if one is not None], None


def _model(entry: dict[str, Any], key: str) -> ModelInfo | None:
    id = next((text for name in (key, "id", "name", "model") if (text := as_text(entry.get(name)))), "")
    id = id.removeprefix("models/")
    if not id:
        return None
    names = ("display_name", "name")
    name = next((text for one in names if (text := as_text(entry.get(one)))), id)
    owner = as_text(entry.get("owned_by")) or as_text(entry.get("organization"))
    window = ("context_length", "max_context_length", "context_window", "max_model_len")
    written = ("max_output_tokens", "max_completion_tokens", "max_output_length")
    return ModelInfo(
        id=id,
        name=name,
        created=as_count(entry.get("created")),
        owner=owner or None,
        context_window=first_count(entry, *window)
        or first_count(as_dict(entry.get("meta")), "n_ctx_train"),
        max_output_tokens=first_count(entry, *written)
        or first_count(as_dict(entry.get("top_provider")), *written),
        raw=entry,
    )
