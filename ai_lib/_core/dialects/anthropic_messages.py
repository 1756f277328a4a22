"""
Anthropic's Messages, as Anthropic and those who copied it speak them.

What a model takes is in ``families``; conversations are written in ``_anthropic_turns``, answers read in
``_anthropic_answers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.dialects._anthropic_answers import (
    STATE,
    AnthropicChunkParser,
    is_error,
    response_of,
)
from ai_lib._core.dialects._anthropic_turns import Conversation
from ai_lib._core.dialects._claude import budget_within, close_schema, why_refused
from ai_lib._core.dialects._errors import error_in, error_of
from ai_lib._core.dialects._shared import (
    Adjustments,
    as_count,
    as_dict,
    as_text,
    decode_body,
    encode_json,
    extended,
    first_count,
    moment_of,
    plain_fields,
    unreadable,
)
from ai_lib._core.errors import AiLibError, UnsupportedFeatureError
from ai_lib._core.families import Family, family_of
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.providers import ModelInfo, Quirks, ResolvedTarget
from ai_lib._core.tools import Tool, ToolChoice

if TYPE_CHECKING:
    from ai_lib._core.dialects import OnUnsupported

_VERSION = {"anthropic-version": "2023-06-01"}


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
    headers = _headers(target, "text/event-stream" if stream else "application/json")
    headers["content-type"] = "application/json"
    if encoder.betas:
        headers["anthropic-beta"] = ",".join(sorted(encoder.betas))
    return HttpRequest(
        url=f"{target.base_url}/messages",
        headers=headers,
        body=body,
        warnings=tuple(dict.fromkeys(encoder.fit.warnings)),
    )


def _headers(target: ResolvedTarget, accept: str) -> dict[str, str]:
    told = {name.lower() for name in target.spec.headers}
    version = {} if told & _VERSION.keys() else _VERSION
    return {"accept": accept, **version}


_FIELDS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop": "stop_sequences",
    "frequency_penalty": None,
    "presence_penalty": None,
    "seed": None,
    "n": None,
    "logprobs": None,
    "top_logprobs": None,
}
_SAMPLING = ("temperature", "top_p", "top_k")


@attrs.define(kw_only=True)
class _Encoder:
    """
    One request on its way to the wire.

    Attributes:
        asked: What the system message asks for, since no parameter can.

        thinking: How the model is told to think, by us or by the caller's extensions.

        betas: The header's words for what only they open.
    """

    target: ResolvedTarget
    request: ChatCompletionRequest
    stream: bool
    fit: Adjustments
    asked: list[str] = attrs.field(factory=list)
    thinking: dict[str, Any] = attrs.field(factory=dict)
    betas: set[str] = attrs.field(factory=set)

    @property
    def quirks(self) -> Quirks:
        # A record that speaks this besides describes by its quirks what it speaks first.
        spec = self.target.spec
        return Quirks() if STATE in spec.other_dialects else spec.quirks

    @property
    def family(self) -> Family:
        return family_of(self.quirks.families or "anthropic", self.target.model)

    def body(self) -> dict[str, Any]:
        """
        Build the body, the caller's extensions last.
        """
        effort = self._effort()
        self.thinking = as_dict({**effort, **self.request.extensions}.get("thinking"))
        body: dict[str, Any] = {
            "model": self.target.model,
            "max_tokens": self._max_tokens(),
        }
        body |= self._parameters()
        body |= effort
        body |= self._response_format(as_dict(effort.get("output_config")))
        body |= self._tools()
        body |= self._conversation()
        if self.stream:
            body["stream"] = True
        body |= self.quirks.body
        return extended(self.fit, body, self.request.extensions)

    # Thinking

    @property
    def reasons(self) -> bool:
        """
        Whether the model thinks before it answers.
        """
        kind = self.thinking.get("type")
        return self.family.reasons_by_default if kind is None else kind != "disabled"

    def _effort(self) -> dict[str, Any]:
        """
        Say how long to think, in the words of the family.
        """
        asked = self.request.reasoning_effort
        if asked is None:
            return {}
        why = f"with {self.target.model}"
        if "reasoning_effort" in self.family.drop | self.quirks.drop:
            if asked != "none":
                self.fit.leave_out("reasoning_effort", why=why)
            return {}
        said = self.family.efforts.get(asked)
        if said is None:
            return {"output_config": {"effort": asked}}
        found = budget_within(self.fit, self.request, dict(said))
        told = as_dict(found.get("output_config")).get("effort", asked)
        kind = as_dict(found.get("thinking")).get("type")
        if told != asked or (asked == "none" and kind != "disabled"):
            words = f"an effort of {told!r}" if told != asked else f"thinking {kind!r}"
            parameter = f"reasoning_effort={asked!r}"
            self.fit.change(parameter, f"{words} was sent instead", why=why)
        return found

    def _max_tokens(self) -> int:
        if self.request.max_tokens is not None:
            return self.request.max_tokens
        budget = as_count(self.thinking.get("budget_tokens")) or 0
        return self.family.max_tokens + budget

    # Parameters

    def _parameters(self) -> dict[str, Any]:
        names = dict(_FIELDS)
        for name in _SAMPLING:
            value = getattr(self.request, name)
            why = why_refused(
                self.family,
                self.request,
                name,
                model=self.target.model,
                reasons=self.reasons,
            )
            if why is not None:
                del names[name]
                if (name, value) != ("top_p", 1):
                    self.fit.leave_out(name, why=why)
        found = plain_fields(self.fit, self.request, self.quirks, names)
        asked = found.pop("stop_sequences", ())
        stops = [text for text in asked if text.strip()]
        if len(stops) < len(asked):
            self.fit.leave_out("a stop text of white space")
        if stops:
            found["stop_sequences"] = stops
        return found | self._user()

    def _user(self) -> dict[str, Any]:
        known = dict(self.request.metadata or {})
        user = self.request.user or known.pop("user_id", None)
        if known:
            self.fit.leave_out("metadata")
        return {"metadata": {"user_id": user}} if user else {}

    def _response_format(self, config: Mapping[str, Any]) -> dict[str, Any]:
        form = self.request.response_format
        if form is None or form["type"] == "text":
            return {}
        asked = "Answer with one JSON object and nothing else: no words around it."
        schema = (form.get("json_schema") or {}).get("schema")
        if schema is not None and "json_schema" in self.family.takes:
            closed = close_schema(self.fit, schema)
            wanted = {"type": "json_schema", "schema": closed}
            return {"output_config": {**config, "format": wanted}}
        if schema is not None:
            asked += f" It has to fit this JSON schema: {encode_json(schema).decode()}"
        parameter = f"response_format={form['type']}"
        self.fit.change(parameter, "it was asked for in the system message")
        self.asked.append(asked)
        return {}

    # Tools

    def _tools(self) -> dict[str, Any]:
        request = self.request
        if not request.tools and "tools" not in request.extensions:
            for name in ("tool_choice", "parallel_tool_calls"):
                if getattr(request, name) is not None:
                    self.fit.leave_out(name, why="without tools")
            return self._tools_of_old()
        tools = [self._tool(tool) for tool in request.tools]
        found: dict[str, Any] = {"tools": tools} if tools else {}
        choice = self._tool_choice()
        if request.parallel_tool_calls is False and choice.get("type") != "none":
            choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
        return found | ({"tool_choice": choice} if choice else {})

    def _tools_of_old(self) -> dict[str, Any]:
        # Calls in the conversation are refused where no tools are described.
        calls = [call for one in self.request.messages for call in one.tool_calls]
        if not calls:
            return {}
        names = dict.fromkeys(call.name for call in calls)
        self.fit.tell(
            f"{self.target.provider} needs the tools of earlier calls described: they were sent by"
            " name, not to be called."
        )
        tools = [self._tool(Tool(name)) for name in names]
        return {"tools": tools, "tool_choice": {"type": "none"}}

    def _tool(self, tool: Tool) -> dict[str, Any]:
        found: dict[str, Any] = {"name": tool.name}
        if tool.description:
            found["description"] = tool.description
        parameters = {"properties": {}} if tool.parameters is None else tool.parameters
        found["input_schema"] = {"type": "object", **parameters}
        if tool.strict and "strict" in self.family.takes and self.quirks.strict_tools:
            found["input_schema"] = close_schema(self.fit, found["input_schema"])
            found["strict"] = True
        elif tool.strict:
            self.fit.leave_out(f"strict of the tool {tool.name}")
        return found

    def _tool_choice(self) -> dict[str, Any]:
        asked = self.request.tool_choice
        if asked is None:
            return {}
        if asked in ("auto", "none"):
            return {"type": asked}
        named = asked not in tuple(ToolChoice)
        if "forced_calls" in self.family.takes and not self.reasons:
            return {"type": "tool", "name": asked} if named else {"type": "any"}
        why = f"with {self.target.model}" + (" while it thinks" if self.reasons else "")
        done = "it was asked for in the system message"
        self.fit.change(f"tool_choice={asked!r}", done, why=why)
        which = f"the tool {asked}" if named else "at least one of the tools"
        self.asked.append(f"Call {which} before you answer.")
        return {"type": "auto"}

    # Messages

    def _conversation(self) -> dict[str, Any]:
        takes = self.family.takes
        conversation = Conversation(
            target=self.target,
            fit=self.fit,
            remote=self.quirks.remote_images,
            system_turns=self.quirks.system_turns and "system_turns" in takes,
            foreign_thinking="foreign_thinking" in takes,
        )
        found = conversation.encode(self.request.messages, self.asked)
        self.betas |= conversation.betas
        return found


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
    if is_error(body):
        raise error_in(target, body, status=response.status, headers=response.headers)
    if not isinstance(body, dict) or "content" not in body:
        raise unreadable(target, response, "neither content nor an error")
    return response_of(target, body)


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return error_of(target, response)


def chunk_parser(target: ResolvedTarget) -> AnthropicChunkParser:
    """
    A new parser for one stream.
    """
    return AnthropicChunkParser(target)


# Models


def models_request(target: ResolvedTarget) -> HttpRequest:
    """
    The request for the first page of the model list.

    Raises:
        UnsupportedFeatureError: The provider has none.
    """
    return _page(target)


def _page(target: ResolvedTarget, after: str = "") -> HttpRequest:
    path = target.spec.models_path
    if path is None:
        raise UnsupportedFeatureError(
            f"{target.provider} has no list of models.", provider=target.provider
        )
    more = f"&after_id={quote(after, safe='', errors='replace')}" if after else ""
    return HttpRequest(
        method="GET",
        url=f"{target.base_url}{path}?limit=1000{more}",
        headers=_headers(target, "application/json"),
    )


def decode_models(
    target: ResolvedTarget, response: HttpResponse
) -> tuple[list[ModelInfo], HttpRequest | None]:
    """
    The models of a page, and the request for the next page, if there is one.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means.

        InvalidResponseError: A body that holds no list.
    """
    body = decode_body(target, response)
    if is_error(body):
        raise error_in(target, body, status=response.status, headers=response.headers)
    listed = as_dict(body).get("data")
    if not isinstance(listed, list):
        raise unreadable(target, response, "no list of models")
    found = [_model(one) for one in listed if as_text(as_dict(one).get("id"))]
    last = as_text(body.get("last_id")) or (found[-1].id if found else "")
    more = body.get("has_more") is True and last
    return found, _page(target, last) if more else None


def _model(entry: dict[str, Any]) -> ModelInfo:
    created = entry.get("created_at")
    return ModelInfo(
        id=as_text(entry.get("id")),
        name=as_text(entry.get("display_name")) or as_text(entry.get("id")),
        created=moment_of(created) if created else as_count(entry.get("created")),
        owner=as_text(entry.get("owned_by")) or None,
        context_window=first_count(entry, "max_input_tokens", "context_length"),
        max_output_tokens=first_count(entry, "max_tokens", "max_output_tokens"),
        raw=entry,
    )
