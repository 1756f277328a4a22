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
    arguments_text,
    as_count,
    as_dict,
    as_list,
    as_text,
    bounded,
    data_url,
    decode_body,
    decode_json,
    encode_json,
    first_count,
    function_tool,
    plain_fields,
    unreadable,
)
from ai_lib._core.errors import (
    AiLibError,
    InvalidResponseError,
    UnsupportedFeatureError,
)
from ai_lib._core.families import Family, family_of
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.messages import ImagePart, Message, Part, Role, TextPart
from ai_lib._core.providers import ModelInfo, Quirks, ResolvedTarget
from ai_lib._core.tools import Tool, ToolCall, ToolChoice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ai_lib._core.dialects import Frame, Framing, OnUnsupported

#: Under this name messages keep what goes back to this dialect only.
STATE = "cohere_v2"


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
        return {**body, **self.quirks.body, **self.request.extensions}

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

_FINISH_REASONS = {
    "COMPLETE": FinishReason.STOP,
    "STOP_SEQUENCE": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "TOOL_CALL": FinishReason.TOOL_CALLS,
    "ERROR": FinishReason.ERROR,
    "TIMEOUT": FinishReason.ERROR,
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
    body = as_dict(decode_body(target, response))
    said = body.get("message")
    if body.get("error") or (said and isinstance(said, str)):
        raise error_in(target, body, status=response.status, headers=response.headers)
    if not isinstance(said, dict):
        raise unreadable(target, response, "neither a message nor an error")
    text, thinking = _pieces(said.get("content"))
    plan = as_text(said.get("tool_plan"))
    items = [one for one in as_list(said.get("tool_calls")) if isinstance(one, dict)]
    calls = tuple(_whole_call(place, item) for place, item in enumerate(items))
    raw = as_text(body.get("finish_reason"))
    usage = _usage(body.get("usage"))
    choice = Choice(
        message=Message(
            Role.ASSISTANT,
            text,
            tool_calls=calls,
            reasoning=thinking + plan or None,
            provider_state=_state(plan, thinking) if calls else None,
        ),
        finish_reason=_finish_reason(raw, called=bool(calls)),
        raw_finish_reason=raw or None,
        logprobs=_logprobs(body),
    )
    return ChatCompletionResponse(
        id=as_text(body.get("id")),
        model=target.model,
        choices=(choice,),
        usage=usage,
        usage_status=UsageStatus.FINALIZED if usage else UsageStatus.UNSUPPORTED,
        citations=tuple(dict.fromkeys(_citations(said))),
        provider=target.provider,
        raw=body,
    )


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return error_of(target, response)


def _pieces(content: Any) -> tuple[str, str]:
    """
    Read a message's content, or a piece of it: the text, and the thinking.
    """
    if isinstance(content, dict):
        return as_text(content.get("text")), as_text(content.get("thinking"))
    if isinstance(content, str):
        return content, ""
    parts = [as_dict(part) for part in as_list(content)]
    text = "".join(as_text(part.get("text")) for part in parts)
    return text, "".join(as_text(part.get("thinking")) for part in parts)


def _state(plan: str, thinking: str) -> dict[str, Any] | None:
    kept = {"tool_plan": plan, "thinking": thinking}
    found = {key: value for key, value in kept.items() if value}
    return {STATE: found} if found else None


def _whole_call(place: int, item: dict[str, Any]) -> ToolCall:
    function = as_dict(item.get("function"))
    arguments = arguments_text(function.get("arguments"))
    return ToolCall(
        as_text(item.get("id")) or f"call_{place}",
        as_text(function.get("name")),
        "{}" if arguments.strip() in ("", "null") else arguments,
    )


def _finish_reason(raw: str, *, called: bool) -> str | None:
    reason = _FINISH_REASONS.get(raw, raw)
    if called and reason in ("", FinishReason.STOP):
        return FinishReason.TOOL_CALLS
    return reason or None


def _logprobs(body: dict[str, Any]) -> dict[str, Any] | None:
    told = as_list(body.get("logprobs"))
    return {"content": told} if told else None


def _usage(told: Any) -> Usage | None:
    """
    Read the tokens that the model saw; what is billed of them is told apart.
    """
    told = as_dict(told)
    counts = as_dict(told.get("tokens")) or as_dict(told.get("billed_units"))
    read = as_count(counts.get("input_tokens"))
    written = as_count(counts.get("output_tokens"))
    if read is None and written is None:
        return None
    read, written = read or 0, written or 0
    return Usage(
        prompt_tokens=read,
        completion_tokens=written,
        total_tokens=read + written,
        cached_tokens=first_count(told, "cached_tokens"),
        reasoning_tokens=first_count(counts, "reasoning_tokens"),
    )


def _citations(said: dict[str, Any]) -> Iterator[Citation]:
    """
    Read what parts of an answer rest on: a citation for each of their sources.
    """
    for one in as_list(said.get("citations")):
        cited = as_dict(one)
        # Places in a plan or in thinking are none in the text.
        in_text = cited.get("type") in (None, "TEXT_CONTENT")
        for source in map(as_dict, as_list(cited.get("sources")) or [{}]):
            origin = as_dict(source.get("document") or source.get("tool_output"))
            yield Citation(
                url=as_text(origin.get("url")) or None,
                title=as_text(origin.get("title") or source.get("id")) or None,
                start=as_count(cited.get("start")) if in_text else None,
                end=as_count(cited.get("end")) if in_text else None,
                text=as_text(cited.get("text")) or None,
            )


# Streams


def chunk_parser(target: ResolvedTarget) -> _ChunkParser:
    """
    A new parser for one stream.
    """
    return _ChunkParser(target)


@attrs.define
class _OpenCall:
    """
    A tool call as far as it has come.

    Attributes:
        place: Which call of the message it is.

        held: The beginning of its arguments while it may still be ``null``, which means none.
    """

    place: int
    held: str | None = ""

    def piece(self, text: str) -> str:
        """
        Give what can be passed on once *text* has come.
        """
        if self.held is None:
            return text
        self.held += text
        if "null".startswith(self.held.strip()):
            return ""
        text, self.held = self.held, None
        return text


@attrs.define
class _ChunkParser:
    """
    Turns server-sent events into chunks.
    """

    _target: ResolvedTarget
    done: bool = False
    framing: Framing = "sse"
    _id: str = ""
    _role: str | None = None
    _calls: dict[int | None, _OpenCall] = attrs.field(factory=dict)
    _plan: list[str] = attrs.field(factory=list)
    _thinking: list[str] = attrs.field(factory=list)
    _count: int = 0

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one event.

        Raises:
            AiLibError: It reports an error, or cannot be read.
        """
        name, data = frame
        try:
            event = decode_json(data)
        except ValueError:
            return self._no_json(data)
        if not isinstance(event, dict):
            return ()
        kind = event.get("type") or name
        said = as_dict(event.get("delta"))
        if kind == "message-end":
            return self._end(said, event)
        if kind == "message-start":
            self._id = as_text(event.get("id"))
            self._role = as_text(as_dict(said.get("message")).get("role")) or None
            return ()
        message = said.get("message")
        if isinstance(message, dict):
            return self._chunk(self._delta(kind, message, event), event)
        failed = isinstance(event.get("message"), str) or bool(event.get("error"))
        if failed and kind in ("", "error"):
            raise error_in(self._target, event)
        return ()

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give nothing: nothing is held back.
        """
        return ()

    def _no_json(self, data: str) -> Iterable[ChatCompletionChunk]:
        text = data.strip()
        if text == "[DONE]":
            self.done = True
        elif text:
            start = bounded(text)
            raise InvalidResponseError(
                f"{self._target.provider} streams what is no JSON: {start[:200]}",
                provider=self._target.provider,
                model=self._target.model or None,
                body=start,
            )
        return ()

    def _delta(
        self, kind: Any, message: dict[str, Any], event: dict[str, Any]
    ) -> Delta | None:
        match kind:
            case "content-delta" | "content-start":
                text, thinking = _pieces(message.get("content"))
                if thinking:
                    self._thinking.append(thinking)
                if text or thinking:
                    return Delta(text or None, thinking or None)
            case "tool-plan-delta":
                if plan := as_text(message.get("tool_plan")):
                    self._plan.append(plan)
                    return Delta(reasoning=plan)
            case "tool-call-start" | "tool-call-delta":
                begins = kind == "tool-call-start"
                index = as_count(event.get("index"))
                items = as_list(message.get("tool_calls"))
                pieces = [self._piece(index, as_dict(one), begins) for one in items]
                if begins or any(piece.arguments for piece in pieces):
                    return Delta(tool_calls=pieces)
            case "citation-start":
                if cited := list(_citations(message)):
                    return Delta(citations=cited)
        return None

    def _piece(
        self, index: int | None, item: dict[str, Any], begins: bool
    ) -> ToolCallDelta:
        call = self._calls.get(index)
        if call is None or begins:
            call = self._calls[index] = _OpenCall(self._count)
            self._count += 1
            begins = True
        function = as_dict(item.get("function"))
        found = ToolCallDelta(
            call.place, arguments=call.piece(arguments_text(function.get("arguments")))
        )
        if begins:
            found.id = as_text(item.get("id")) or f"call_{call.place}"
            found.name = as_text(function.get("name"))
        return found

    def _chunk(
        self, delta: Delta | None, event: dict[str, Any]
    ) -> Iterable[ChatCompletionChunk]:
        if delta is None:
            return ()
        if self._role is not None:
            delta.role, self._role = self._role, None
        logprobs = _logprobs(event) if "logprobs" in event else None
        choice = ChunkChoice(0, delta, None, None, logprobs)
        model = self._target.model
        return (ChatCompletionChunk((choice,), self._id, model, None, 0, event),)

    def _end(
        self, said: dict[str, Any], event: dict[str, Any]
    ) -> Iterable[ChatCompletionChunk]:
        if said.get("error"):
            raise error_in(self._target, said)
        self.done = True
        raw = as_text(said.get("finish_reason"))
        called = self._count > 0
        state = _state("".join(self._plan), "".join(self._thinking))
        choice = ChunkChoice(
            0,
            Delta(role=self._role, provider_state=state if called else None),
            _finish_reason(raw, called=called),
            raw or None,
        )
        return (
            ChatCompletionChunk(
                (choice,),
                self._id,
                self._target.model,
                _usage(said.get("usage")),
                raw=event,
            ),
        )


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
