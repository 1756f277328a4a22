"""
Cohere's Chat API, version 2.

A ``tool_plan``, what the model says before it calls tools, is reasoning here: the text of an answer stays
what is meant for the user. Plan and thinking are kept with a message that calls tools, and go back as they
came. Documents, citation options and safety modes are the caller's ``extensions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    UsageStatus,
)
from ai_lib._core.dialects._cohere_answers import (
    STATE,
    CohereChunkParser,
    choice_of,
    citations_of,
    usage_of,
)
from ai_lib._core.dialects._errors import error_in, error_of
from ai_lib._core.dialects._shared import (
    Adjustments,
    as_dict,
    as_text,
    data_url,
    decode_body,
    encode_json,
    extended,
    first_count,
    function_tool,
    plain_fields,
    unreadable,
)
from ai_lib._core.errors import (
    AiLibError,
    UnsupportedFeatureError,
)
from ai_lib._core.families import Family, family_of
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.messages import ImagePart, Message, Part, Role, TextPart
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
    fit = Adjustments(target.provider, on_unsupported)
    encoder = _Encoder(target=target, request=request, stream=stream, fit=fit)
    body = encode_json(encoder.body())
    accept = "text/event-stream" if stream else "application/json"
    return HttpRequest(
        url=f"{_root(target)}/v2/chat",
        headers={"content-type": "application/json", "accept": accept},
        body=body,
        warnings=tuple(fit.warnings),
    )


def _root(target: ResolvedTarget) -> str:
    """
    Give the base URL without a version: some settings name one.
    """
    return target.base_url.removesuffix("/v1").removesuffix("/v2")


_NAMES: Mapping[str, str | None] = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop": "stop_sequences",
    "seed": "seed",
    "logprobs": "logprobs",
    "top_logprobs": None,
    "n": None,
    "parallel_tool_calls": None,
    "user": None,
    "metadata": None,
}

# Thinking is on or off; how much is a number of tokens, which no word says. Chat API, read 2026-11.
_EFFORTS: Mapping[str, Mapping[str, Any]] = {
    "none": {"thinking": {"type": "disabled"}},
    "*": {"thinking": {"type": "enabled"}},
}
_SAID_IN_FULL = ("none", "high")


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
        return family_of(self.quirks.families, self.target.model)

    def body(self) -> dict[str, Any]:
        """
        Build the body, the caller's extensions last.
        """
        messages = [self._message(message) for message in self.request.messages]
        body: dict[str, Any] = {"model": self.target.model, "messages": messages}
        body |= plain_fields(self.fit, self.request, self.quirks, _NAMES)
        body |= self._tools()
        body |= self._response_format()
        body |= self._thinking()
        if self.stream:
            body["stream"] = True
        body |= self.quirks.body
        return extended(self.fit, body, self.request.extensions)

    def _thinking(self) -> dict[str, Any]:
        asked = self.request.reasoning_effort
        if asked is None:
            return {}
        if "reasoning_effort" in self.family.drop | self.quirks.drop:
            self.fit.leave_out("reasoning_effort", why=f"with {self.target.model}")
            return {}
        efforts = {**_EFFORTS, **self.quirks.efforts, **self.family.efforts}
        said = dict(efforts.get(asked, efforts["*"]))
        if asked not in _SAID_IN_FULL:
            words = ", ".join(f"{key}={value!r}" for key, value in said.items())
            self.fit.change(f"reasoning_effort={asked!r}", f"{words} was sent instead")
        return said

    def _response_format(self) -> dict[str, Any]:
        form = self.request.response_format
        if form is None or form["type"] == "text":
            return {}
        # Chat API, "response_format", read 2026-11: 400 beside either.
        beside = "tools" if self.request.tools else "documents"
        if self.request.tools or self.request.extensions.get("documents"):
            self.fit.leave_out("response_format", why=f"together with {beside}")
            return {}
        found: dict[str, Any] = {"type": "json_object"}
        if form["type"] == "json_schema":
            found["json_schema"] = form["json_schema"]["schema"]
        return {"response_format": found}

    # Tools

    def _tools(self) -> dict[str, Any]:
        choice = self.request.tool_choice
        tools = self.request.tools
        if not tools and "tools" not in self.request.extensions:
            if choice not in (None, ToolChoice.AUTO, ToolChoice.NONE):
                self.fit.leave_out("tool_choice", why="without tools")
            return {}
        told = self._tool_choice(choice)
        if told is None:
            return {}
        if choice not in (None, *ToolChoice):
            # There is no word for one tool: it is the only one that is shown.
            tools = tuple(tool for tool in tools if tool.name == choice) or tools
        found: dict[str, Any] = {}
        if tools:
            found["tools"] = [function_tool(tool) for tool in tools]
        if any(tool.strict for tool in tools):
            found["strict_tools"] = True
            self._tell_of_strict(tools)
        return found | told

    def _tool_choice(self, choice: str | None) -> dict[str, Any] | None:
        """
        Say it; ``None``: only by leaving the tools out.
        """
        if choice in (None, ToolChoice.AUTO):
            return {}
        if "tool_choice" in self.family.drop | self.quirks.drop:
            if choice == ToolChoice.NONE:
                return None
            why = f"with {self.target.model}"
            self.fit.change(f"tool_choice={choice!r}", "the model may choose", why=why)
            return {}
        return {"tool_choice": "NONE" if choice == ToolChoice.NONE else "REQUIRED"}

    def _tell_of_strict(self, tools: tuple[Tool, ...]) -> None:
        if not all(tool.strict for tool in tools):
            self.fit.tell(f"{self.target.provider}: strict was set for all tools.")

    # Messages

    def _message(self, message: Message) -> dict[str, Any]:
        match message.role:
            case Role.ASSISTANT:
                return self._assistant(message)
            case Role.TOOL:
                found = {"role": "tool", "content": self._text(message)}
                if message.tool_call_id is not None:
                    found["tool_call_id"] = message.tool_call_id
                return found
            case Role.USER:
                found = {"role": "user", "content": self._content(message)}
            case _:
                found = {"role": "system", "content": self._text(message)}
        if message.name:
            self.fit.leave_out("the name of a message")
        return found

    def _assistant(self, message: Message) -> dict[str, Any]:
        text = self._text(message) or message.refusal or ""
        if not message.tool_calls:
            return {"role": "assistant", "content": text}
        # What stands before a call is its plan. Chat API, read 2026-11.
        state = as_dict((message.provider_state or {}).get(STATE))
        plan = "\n".join(filter(None, (as_text(state.get("tool_plan")), text)))
        found: dict[str, Any] = {"role": "assistant"}
        if plan:
            found["tool_plan"] = plan
        if thinking := as_text(state.get("thinking")):
            found["content"] = [{"type": "thinking", "thinking": thinking}]
        found["tool_calls"] = [_call(call) for call in message.tool_calls]
        return found

    def _text(self, message: Message) -> str:
        if isinstance(message.content, str):
            return message.content
        texts = [part.text for part in message.content if isinstance(part, TextPart)]
        if len(texts) < len(message.content):
            raise self._unsupported(
                f"takes text only in messages of the role {message.role}"
            )
        return "\n".join(texts)

    def _content(self, message: Message) -> Any:
        if any(not isinstance(part, TextPart) for part in message.parts):
            return [self._part(part) for part in message.parts]
        return self._text(message)

    def _part(self, part: Part) -> dict[str, Any]:
        if isinstance(part, TextPart):
            return {"type": "text", "text": part.text}
        if not isinstance(part, ImagePart):
            raise self._unsupported(
                "takes no sounds and files: pass a document's text, as"
                ' extensions={"documents": […]} to have it cited'
            )
        image = {"url": part.url or data_url(part)}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}

    def _unsupported(self, what: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(
            f"{self.target.provider} {what}.",
            provider=self.target.provider,
            model=self.target.model or None,
        )


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


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
    said = body.get("message")
    if body.get("error") or (said and isinstance(said, str)):
        raise error_in(target, body, status=response.status, headers=response.headers)
    if not isinstance(said, dict):
        raise unreadable(target, response, "neither a message nor an error")
    usage = usage_of(body.get("usage"))
    return ChatCompletionResponse(
        id=as_text(body.get("id")),
        model=target.model,
        choices=(choice_of(said, body),),
        usage=usage,
        usage_status=UsageStatus.FINALIZED if usage else UsageStatus.UNSUPPORTED,
        citations=tuple(dict.fromkeys(citations_of(said))),
        provider=target.provider,
        raw=body,
    )


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return error_of(target, response)


def chunk_parser(target: ResolvedTarget) -> CohereChunkParser:
    """
    A new parser for one stream.
    """
    return CohereChunkParser(target)


# Models


def models_request(target: ResolvedTarget) -> HttpRequest:
    """
    The request for the first page of the model list.
    """
    return _models_page(target, "")


def decode_models(
    target: ResolvedTarget, response: HttpResponse
) -> tuple[list[ModelInfo], HttpRequest | None]:
    """
    The models of a page that chat and are not deprecated, and the request for the next page.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means.

        InvalidResponseError: A body that holds no list.
    """
    body = as_dict(decode_body(target, response))
    listed = body.get("models")
    if not isinstance(listed, list):
        if isinstance(body.get("message"), str) or body.get("error"):
            raise error_in(
                target, body, status=response.status, headers=response.headers
            )
        raise unreadable(target, response, "no list of models")
    models = [
        ModelInfo(
            id=as_text(one["name"]),
            context_window=first_count(one, "context_length"),
            raw=one,
        )
        for one in map(as_dict, listed)
        if as_text(one.get("name")) and one.get("is_deprecated") is not True
    ]
    token = as_text(body.get("next_page_token"))
    return models, _models_page(target, token) if token else None


def _models_page(target: ResolvedTarget, token: str) -> HttpRequest:
    url = f"{_root(target)}/v1/models?endpoint=chat&page_size=1000"
    if token:
        url += f"&page_token={quote(token, safe='', errors='replace')}"
    return HttpRequest(method="GET", url=url, headers={"accept": "application/json"})
