"""
Ollama's own chat API, local or in its cloud.

What the model is run with goes into ``options``. The caller's ``extensions`` stand beside (``keep_alive``,
``think`` …), but for their own ``options`` (``num_ctx`` …): these join the ones of the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    UsageStatus,
)
from ai_lib._core.dialects._errors import error_in, error_of
from ai_lib._core.dialects._ollama_answers import (
    OllamaChunkParser,
    choice_of,
    usage_of,
    with_hint,
)
from ai_lib._core.dialects._shared import (
    Adjustments,
    arguments_object,
    as_dict,
    as_list,
    as_text,
    base64_of,
    decode_body,
    encode_json,
    extended,
    first_count,
    function_tool,
    moment_of,
    plain_fields,
    unreadable,
)
from ai_lib._core.errors import AiLibError, UnsupportedFeatureError
from ai_lib._core.families import family_of
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.messages import ImagePart, Message, Role, TextPart
from ai_lib._core.providers import ModelInfo, ResolvedTarget
from ai_lib._core.tools import ToolChoice

if TYPE_CHECKING:
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
    fit = Adjustments(target.provider, on_unsupported)
    encoder = _Encoder(target=target, request=request, stream=stream, fit=fit)
    body = encode_json(encoder.body())
    accept = "application/x-ndjson" if stream else "application/json"
    return HttpRequest(
        url=f"{_root(target)}/api/chat",
        headers={"content-type": "application/json", "accept": accept},
        body=body,
        warnings=tuple(fit.warnings),
    )


def _root(target: ResolvedTarget) -> str:
    """
    Give the base URL without what other settings of the same server end with.

    The variable of the server itself names what it listens on; every address is none to call.
    """
    base = target.base_url.removesuffix("/api").removesuffix("/v1")
    return _EVERYWHERE.sub(lambda found: _HERE[found[0]], base)


_HERE = {"://0.0.0.0": "://127.0.0.1", "://[::]": "://[::1]"}
_EVERYWHERE = re.compile(r"://(?:0\.0\.0\.0|\[::\])(?=[:/]|$)")


_OPTIONS: Mapping[str, str | None] = {
    "temperature": "temperature",
    "max_tokens": "num_predict",
    "seed": "seed",
    "top_p": "top_p",
    "top_k": "top_k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop": "stop",
    "n": None,
    "parallel_tool_calls": None,
    "user": None,
    "metadata": None,
}
_NAMES: Mapping[str, str | None] = {
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
}

# "Thinking", read 2026-11: a word is taken for true where a model can only think or not.
_EFFORTS: Mapping[str, Mapping[str, Any]] = {
    "none": {"think": False},
    "minimal": {"think": "low"},
    "xhigh": {"think": "high"},
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

    def body(self) -> dict[str, Any]:
        """
        Build the body, the caller's extensions last.
        """
        quirks = self.target.spec.quirks
        extensions = dict(self.request.extensions)
        options = plain_fields(self.fit, self.request, quirks, _OPTIONS)
        if isinstance(extensions.get("options"), Mapping):
            options |= extensions.pop("options")
        body: dict[str, Any] = {
            "model": self.target.model,
            "messages": self._messages(),
            # Without the field it streams.
            "stream": self.stream,
        }
        body |= plain_fields(self.fit, self.request, quirks, _NAMES)
        body |= self._tools()
        body |= self._format()
        body |= self._think()
        if options:
            body["options"] = options
        return extended(self.fit, {**body, **quirks.body}, extensions)

    def _think(self) -> dict[str, Any]:
        asked = self.request.reasoning_effort
        if asked is None:
            return {}
        quirks = self.target.spec.quirks
        family = family_of(quirks.families, self.target.model)
        if "reasoning_effort" in family.drop | quirks.drop:
            self.fit.leave_out("reasoning_effort", why=f"with {self.target.model}")
            return {}
        efforts = {**_EFFORTS, **quirks.efforts, **family.efforts}
        said = dict(efforts.get(asked, {"think": asked}))
        if said.get("think") not in (asked, False):
            words = ", ".join(f"{key}={value!r}" for key, value in said.items())
            why = f"with {self.target.model}"
            parameter = f"reasoning_effort={asked!r}"
            self.fit.change(parameter, f"{words} was sent instead", why=why)
        return said

    def _format(self) -> dict[str, Any]:
        form = self.request.response_format
        if form is None or form["type"] == "text":
            return {}
        if form["type"] == "json_schema":
            return {"format": form["json_schema"]["schema"]}
        return {"format": "json"}

    def _tools(self) -> dict[str, Any]:
        choice, tools = self.request.tool_choice, self.request.tools
        if choice == ToolChoice.NONE:
            return {}
        if choice not in (None, ToolChoice.AUTO) and not tools:
            self.fit.leave_out("tool_choice", why="without tools")
        elif choice not in (None, ToolChoice.AUTO):
            self.fit.change(f"tool_choice={choice!r}", "the model may choose")
            # A single tool can at least be the only one that is shown.
            tools = tuple(tool for tool in tools if tool.name == choice) or tools
        for tool in tools:
            if tool.strict:
                self.fit.leave_out(f"strict of the tool {tool.name}")
        return {"tools": [function_tool(tool) for tool in tools]} if tools else {}

    # Messages

    def _messages(self) -> list[dict[str, Any]]:
        found = []
        names: dict[str, str] = {}
        for message in self.request.messages:
            one = self._message(message)
            if message.role is Role.ASSISTANT:
                self._add_calls(message, one)
                names |= {call.id: call.name for call in message.tool_calls}
            elif message.role is Role.TOOL:
                # Templates know a result by the name of its tool, not by the id of the call.
                called = message.tool_call_id or ""
                if name := message.name or names.get(called):
                    one["tool_name"] = name
                if called:
                    one["tool_call_id"] = called
            elif message.name:
                self.fit.leave_out("the name of a message")
            found.append(one)
        return found

    def _message(self, message: Message) -> dict[str, Any]:
        developer = message.role is Role.DEVELOPER
        role = "system" if developer else message.role.value
        texts = [part.text for part in message.parts if isinstance(part, TextPart)]
        found: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
        images = [
            self._image(part)
            for part in message.parts
            if not isinstance(part, TextPart)
        ]
        if images:
            found["images"] = images
        return found

    def _image(self, part: Any) -> str:
        if not isinstance(part, ImagePart):
            raise self._unsupported("takes text and images only, no sounds and files")
        if part.url:
            raise self._unsupported(
                "does not fetch the URL of an image: pass the bytes (from_file,"
                " from_bytes)"
            )
        return base64_of(part)

    def _add_calls(self, message: Message, found: dict[str, Any]) -> None:
        found["content"] = found["content"] or message.refusal or ""
        if not message.tool_calls:
            return
        if message.reasoning:
            # What was thought before a call belongs to what comes after it.
            found["thinking"] = message.reasoning
        found["tool_calls"] = [
            {
                "id": call.id,
                "function": {
                    "index": place,
                    "name": call.name,
                    "arguments": arguments_object(call),
                },
            }
            for place, call in enumerate(message.tool_calls)
        ]

    def _unsupported(self, what: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(
            f"{self.target.provider} {what}.",
            provider=self.target.provider,
            model=self.target.model or None,
        )


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
    body = as_dict(decode_body(target, response))
    if body.get("error"):
        error = error_in(target, body, status=response.status, headers=response.headers)
        raise with_hint(target, error)
    said = body.get("message")
    if not isinstance(said, dict):
        raise unreadable(target, response, "neither a message nor an error")
    usage = usage_of(body)
    return ChatCompletionResponse(
        model=as_text(body.get("model")),
        created=moment_of(body.get("created_at")) or 0,
        choices=(choice_of(said, body),),
        usage=usage,
        usage_status=UsageStatus.FINALIZED if usage else UsageStatus.UNSUPPORTED,
        provider=target.provider,
        raw=body,
    )


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return with_hint(target, error_of(target, response))


def chunk_parser(target: ResolvedTarget) -> OllamaChunkParser:
    """
    A new parser for one stream.
    """
    return OllamaChunkParser(target)


# Models


def models_request(target: ResolvedTarget) -> HttpRequest:
    """
    The request for the list of models that the server has.
    """
    return HttpRequest(
        method="GET",
        url=f"{_root(target)}/api/tags",
        headers={"accept": "application/json"},
    )


def decode_models(
    target: ResolvedTarget, response: HttpResponse
) -> tuple[list[ModelInfo], HttpRequest | None]:
    """
    The models, those that only embed last; there is one page.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means.

        InvalidResponseError: A body that holds no list.
    """
    body = as_dict(decode_body(target, response))
    if body.get("error"):
        raise error_in(target, body, status=response.status, headers=response.headers)
    # A server without models says null.
    if "models" not in body or not isinstance(body["models"], list | None):
        raise unreadable(target, response, "no list of models")
    entries = [as_dict(one) for one in as_list(body.get("models"))]
    # The first of them is the default one, and must be able to chat.
    entries.sort(key=_only_embeds)
    models = (_model(entry) for entry in entries)
    return [one for one in models if one.id], None


def _model(entry: dict[str, Any]) -> ModelInfo:
    return ModelInfo(
        id=as_text(entry.get("name")) or as_text(entry.get("model")),
        created=moment_of(entry.get("modified_at")),
        context_window=first_count(as_dict(entry.get("details")), "context_length"),
        raw=entry,
    )


def _only_embeds(entry: dict[str, Any]) -> bool:
    able = entry.get("capabilities")
    if isinstance(able, list) and able:
        return "completion" not in able
    # Older servers do not tell what a model can do.
    return "bert" in as_text(as_dict(entry.get("details")).get("family"))
