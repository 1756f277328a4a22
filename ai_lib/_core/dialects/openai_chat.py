"""
OpenAI's Chat Completions, as OpenAI and most others speak it.

Where they differ is in their records (``Quirks``) and in ``families``; how answers differ is recognised
by their shape (``_openai_answers``), since gateways answer in the manner of whoever is behind them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import attrs

from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    UsageStatus,
)
from ai_lib._core.dialects._errors import error_in, error_of
from ai_lib._core.dialects._openai_answers import (
    STATE,
    OpenAiChunkParser,
    choice_of,
    citations_of,
    id_of,
    is_error,
    usage_of,
)
from ai_lib._core.dialects._shared import (
    Adjustments,
    as_count,
    as_dict,
    as_list,
    as_text,
    base64_of,
    data_url,
    decode_body,
    encode_json,
    first_count,
    unreadable,
)
from ai_lib._core.errors import AiLibError, UnsupportedFeatureError
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
    from collections.abc import Mapping

    from ai_lib._core.dialects import OnUnsupported


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
        messages = self._messages()
        body: dict[str, Any] = {"model": self.target.model, "messages": messages}
        body |= self._parameters(effort)
        body |= self._tools()
        body |= self._response_format(messages)
        body |= effort
        if self.stream:
            body["stream"] = True
            if self.quirks.stream_usage:
                body["stream_options"] = {"include_usage": True}
        elif self.request.reasoning_effort is None:
            body |= self.family.whole_body
        return {**body, **self.quirks.body, **self.request.extensions}

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
                    more = (
                        [{"type": "text", "text": text}]
                        if isinstance(text, str)
                        else text
                    )
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
        from hashlib import blake2b

        digest = blake2b(id.encode("utf-8", "replace"), digest_size=16)
        return digest.hexdigest()[:length]

    def _content(self, message: Message) -> Any:
        """
        Write text alone as a plain string, since many take lists for pictures only.
        """
        if isinstance(message.content, str):
            return message.content
        if all(isinstance(part, TextPart) for part in message.content):
            return "\n".join(
                part.text for part in message.parts if isinstance(part, TextPart)
            )
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

_AUDIO_FORMATS = {
    "mpeg": "mp3",
    "x-wav": "wav",
    "wave": "wav",
    "vnd.wave": "wav",
    "x-m4a": "m4a",
}


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
    if (
        "/" not in base.partition("://")[2]
    ):  # AZURE_OPENAI_ENDPOINT names the bare resource
        base += "/openai/v1"
    return _join(base, path) + (f"?api-version={quote(version)}" if version else "")


# Answers


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
        body = (
            {"error": as_dict(body[0]).get("error")}
            if isinstance(body, list) and body
            else {}
        )
    if is_error(body):
        raise error_in(target, body, status=response.status, headers=response.headers)
    found = [one for one in as_list(body.get("choices")) if isinstance(one, dict)]
    if not found:
        raise unreadable(target, response, "neither choices nor an error")
    quirks = target.spec.quirks
    choices = [choice_of(place, one, body, quirks) for place, one in enumerate(found)]
    usage = usage_of(body)
    return ChatCompletionResponse(
        id=id_of(body),
        model=as_text(body.get("model")),
        created=as_count(body.get("created")) or 0,
        choices=tuple(sorted(choices, key=lambda one: one.index)),
        usage=usage,
        usage_status=UsageStatus.UNSUPPORTED
        if usage is None
        else UsageStatus.FINALIZED,
        citations=tuple(citations_of(body, as_dict(found[0].get("message")))),
        provider=target.provider,
        raw=body,
    )


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return error_of(target, response)


def chunk_parser(target: ResolvedTarget) -> OpenAiChunkParser:
    """
    A new parser for one stream.
    """
    return OpenAiChunkParser(target, target.spec.quirks.think_tags)


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
        listed = next(
            (body[name] for name in names if isinstance(body.get(name), list)), None
        )
        if listed is None and is_error(body):
            raise error_in(
                target, body, status=response.status, headers=response.headers
            )
    if not isinstance(listed, list):
        raise unreadable(target, response, "no list of models")
    key = target.spec.quirks.model_id_key
    found = (_model(as_dict(one), key) for one in listed)
    return [one for one in found if one is not None], None


def _model(entry: dict[str, Any], key: str) -> ModelInfo | None:
    found = _first_text(entry, key, "id", "name", "model").removeprefix("models/")
    if not found:
        return None
    window = ("context_length", "max_context_length", "context_window", "max_model_len")
    written = ("max_output_tokens", "max_completion_tokens", "max_output_length")
    return ModelInfo(
        id=found,
        name=_first_text(entry, "display_name", "name") or found,
        created=as_count(entry.get("created")),
        owner=_first_text(entry, "owned_by", "organization") or None,
        context_window=first_count(entry, *window)
        or first_count(as_dict(entry.get("meta")), "n_ctx_train"),
        max_output_tokens=first_count(entry, *written)
        or first_count(as_dict(entry.get("top_provider")), *written),
        raw=entry,
    )


def _first_text(entry: Mapping[str, Any], *names: str) -> str:
    return next((text for one in names if (text := as_text(entry.get(one)))), "")
