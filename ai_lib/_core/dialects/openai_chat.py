"""
OpenAI's Chat Completions, as OpenAI and most others speak it.

Where they differ is in their records (``Quirks``) and in ``families``; how answers differ is recognised
by their shape (``_openai_answers``), since gateways answer in the manner of whoever is behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from ai_lib._core.dialects._openai_requests import RequestEncoder, is_remote
from ai_lib._core.dialects._openai_surface import (
    explained,
    list_request,
    models_of,
    url_of,
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
    extended,
    unreadable,
)
from ai_lib._core.errors import AiLibError, UnsupportedFeatureError
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
from ai_lib._core.providers import ModelInfo, ResolvedTarget
from ai_lib._core.tools import Tool, ToolCall

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
        url=url_of(target, target.spec.chat_path, deployment=target.model),
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


@attrs.define(kw_only=True, eq=False, repr=False)
class _Encoder(RequestEncoder):
    """
    One request on its way to the wire.
    """

    def body(self) -> dict[str, Any]:
        """
        Build the body, the caller's extensions last.
        """
        effort = self._effort()
        messages = self._messages()
        body: dict[str, Any] = {"model": self.target.model, "messages": messages}
        body |= self._parameters(effort)
        body |= self.tools()
        body |= self._response_format(messages)
        body |= effort
        if self.stream:
            body["stream"] = True
            if self.quirks.stream_usage:
                body["stream_options"] = {"include_usage": True}
        elif self.request.reasoning_effort is None:
            body |= self.family.whole_body
        body |= self.quirks.body
        return extended(self.fit, body, self.request.extensions)

    # Parameters

    def _effort(self) -> dict[str, Any]:
        asked = self.request.reasoning_effort
        if self.request.tools and self.family.tools_need_no_effort:
            return self._effort_with_tools(asked)
        return self.effort_fields(asked)

    def _effort_with_tools(self, asked: str | None) -> dict[str, Any]:
        # OpenAI refuses function tools with any effort but none on this endpoint from gpt-5.4 on, from
        # 5.5 on also when none is told. Error reports of July to September 2026.
        if asked in (None, "none"):
            tell = asked is not None or self.family.reasons_by_default
            return {"reasoning_effort": "none"} if tell else {}
        raise UnsupportedFeatureError(
            f"{self.target.provider} does not take tools together with"
            f" reasoning_effort={asked!r} for {self.target.model} on chat completions: ask with"
            ' reasoning_effort="none", by dialect="openai_responses", or leave the tools out.',
            provider=self.target.provider,
            model=self.target.model,
        )

    def _parameters(self, effort: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        limit = self.request.max_tokens
        if limit is not None:
            found[self.quirks.max_tokens_field] = limit
        for name in _PLAIN:
            value = self.value_of(name, effort)
            if value is None:
                continue
            sent = self.quirks.rename.get(name, name)
            if sent != name:
                self.fit.tell(f"{self.target.provider}: {name} was sent as {sent}.")
            found[sent] = self._stops(value) if name == "stop" else value
        if self.quirks.logprobs_count and found.get("logprobs"):
            found["logprobs"] = found.pop("top_logprobs", None) or 1
        return found

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
        instead = "json_object" in taken
        self.ask_in_words(form, messages, instead=instead)
        return {"response_format": {"type": "json_object"}} if instead else {}

    def system_message(self, text: str) -> dict[str, Any]:
        """
        Make a message of the system.
        """
        return {"role": "system", "content": text}

    # Tools

    def tool(self, tool: Tool) -> dict[str, Any]:
        """
        Describe a tool.
        """
        return {"type": "function", "function": self.function(tool)}

    def named_choice(self, name: str) -> dict[str, Any]:
        """
        Ask for the tool *name*.
        """
        return {"type": "function", "function": {"name": name}}

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
        if part.url and not self.quirks.remote_images and is_remote(part.url):
            self.refuse_url("an image")
        image = {"url": url}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}

    def _audio(self, part: AudioPart) -> dict[str, Any]:
        if self.quirks.bare_audio:
            return {"type": "input_audio", "input_audio": part.url or base64_of(part)}
        if part.url:
            self.refuse_url("a sound")
        kind = (part.mime or "audio/wav").partition(";")[0].rpartition("/")[2].lower()
        form = _AUDIO_FORMATS.get(kind, kind)
        return {
            "type": "input_audio",
            "input_audio": {"data": base64_of(part), "format": form},
        }

    def _file(self, part: FilePart) -> dict[str, Any]:
        if part.url and not is_remote(part.url):
            return {"type": "file", "file": {"file_id": part.url}}
        url = part.url or data_url(part)
        if self.quirks.document_urls:
            found = {"type": "document_url", "document_url": url}
            return found | ({"document_name": part.name} if part.name else {})
        if part.url and not self.quirks.remote_files:
            self.refuse_url("a file")
        name = part.name or f"file.{(part.mime or 'pdf').rpartition('/')[2]}"
        return {"type": "file", "file": {"filename": name, "file_data": url}}


_AUDIO_FORMATS = {
    "mpeg": "mp3",
    "x-wav": "wav",
    "wave": "wav",
    "vnd.wave": "wav",
    "x-m4a": "m4a",
}


def _named_schema(form: Mapping[str, Any]) -> dict[str, Any]:
    if form["type"] != "json_schema":
        return dict(form)
    return {**form, "json_schema": {"name": "output", **form["json_schema"]}}


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
    return explained(target, error_of(target, response))


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
    return list_request(target)


def decode_models(
    target: ResolvedTarget, response: HttpResponse
) -> tuple[list[ModelInfo], HttpRequest | None]:
    """
    The models; there is only one page.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means.

        InvalidResponseError: A body that holds no list.
    """
    return models_of(target, response), None
