"""
Amazon Bedrock's Converse.

It has words of its own for what all models take; what only some do goes among ``additionalModelRequestFields``,
in the words of whoever made the model (``families``). Guardrails, prompt caching by ``performanceConfig`` and
the like are the caller's ``extensions``. Answers are read in ``_bedrock_answers``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.dialects._bedrock_answers import (
    ANSWER,
    BedrockChunkParser,
    response_of,
)
from ai_lib._core.dialects._bedrock_turns import Conversation
from ai_lib._core.dialects._claude import budget_within, close_schema, why_refused
from ai_lib._core.dialects._errors import error_in, error_of
from ai_lib._core.dialects._shared import (
    Adjustments,
    as_dict,
    as_text,
    decode_body,
    encode_json,
    extended,
    json_in_words,
    moment_of,
    plain_fields,
    unreadable,
)
from ai_lib._core.errors import AiLibError
from ai_lib._core.families import Family, family_of
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.providers import ModelInfo, Quirks, ResolvedTarget
from ai_lib._core.tools import Tool, ToolChoice

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
    encoder = _Encoder(target=target, request=request, fit=fit)
    body = encode_json(encoder.body())
    way = "converse-stream" if stream else "converse"
    accept = "application/vnd.amazon.eventstream" if stream else "application/json"
    return HttpRequest(
        url=f"{target.base_url}/model/{quote(target.model, safe='', errors='replace')}/{way}",
        headers={"content-type": "application/json", "accept": accept},
        body=body,
        warnings=tuple(dict.fromkeys(fit.warnings)),
    )


_CONFIG: Mapping[str, str | None] = {
    "max_tokens": "maxTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "stop": "stopSequences",
    "top_k": "top_k",
    "metadata": "metadata",
    "n": None,
    "seed": None,
    "frequency_penalty": None,
    "presence_penalty": None,
    "logprobs": None,
    "top_logprobs": None,
    "user": None,
}
#: Where a model looks for ``top_k`` among its own fields, if not under that name.
_TOP_K: Mapping[str, tuple[str, ...]] = {
    r"(?:.*[/.])?amazon\.nova": ("inferenceConfig", "topK"),
    r"(?:.*[/.])?cohere\.": ("k",),
}
_SAMPLING = ("temperature", "top_p", "top_k")


@attrs.define(kw_only=True)
class _Encoder:
    """
    One request on its way to the wire.

    Attributes:
        own: Fields of the model's own.

        asked: What the system message asks for, since no parameter can.

        tools: What is sent of tools; empty: neither tools nor calls can be.
    """

    target: ResolvedTarget
    request: ChatCompletionRequest
    fit: Adjustments
    own: dict[str, Any] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)
    tools: dict[str, Any] = attrs.field(factory=dict)

    @property
    def quirks(self) -> Quirks:
        return self.target.spec.quirks

    @property
    def family(self) -> Family:
        return family_of(self.quirks.families or "bedrock", self.target.model)

    @property
    def why(self) -> str:
        return f"with {self.target.model}"

    def body(self) -> dict[str, Any]:
        """
        Build the body, the caller's extensions last.
        """
        self.own |= self._effort()
        config, more = self._parameters()
        self.tools = self._tool_config()
        self.tools |= self._answer()
        body = self._conversation()
        if config:
            body["inferenceConfig"] = config
        if self.tools:
            body["toolConfig"] = self.tools
        if self.own:
            body["additionalModelRequestFields"] = self.own
        body |= {**more, **self.quirks.body}
        return extended(self.fit, body, self.request.extensions)

    # Thinking

    @property
    def reasons(self) -> bool:
        """
        Whether the model thinks before it answers, as far as that excludes anything else.
        """
        theirs = as_dict(self.request.extensions.get("additionalModelRequestFields"))
        kind = as_dict({**self.own, **theirs}.get("thinking")).get("type")
        return self.family.reasons_by_default if kind is None else kind != "disabled"

    def _effort(self) -> dict[str, Any]:
        """
        Say how long to think, in the words of the family.
        """
        asked = self.request.reasoning_effort
        if asked is None:
            return {}
        said = self.family.efforts.get(asked)
        parameter = f"reasoning_effort={asked!r}"
        if said is None or "reasoning_effort" in self.family.drop | self.quirks.drop:
            if asked != "none":
                self.fit.leave_out(parameter, why=self.why)
            return {}
        found = budget_within(self.fit, self.request, dict(said))
        told = _told(found)
        if told and told != asked:
            done = f"an effort of {told!r} was sent instead"
            self.fit.change(parameter, done, why=self.why)
        return found

    # Parameters

    def _parameters(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Give the parameters that all models take, and what stands beside them.
        """
        names = dict(_CONFIG)
        for name in _SAMPLING:
            why = why_refused(
                self.family,
                self.request,
                name,
                model=self.target.model,
                reasons=self.reasons,
            )
            if why is not None:
                del names[name]
                if (name, self.request.top_p) != ("top_p", 1):
                    self.fit.leave_out(name, why=why)
        found = plain_fields(self.fit, self.request, self.quirks, names)
        if "top_k" in found:
            self._add_top_k(found.pop("top_k"))
        if self.request.parallel_tool_calls is False and self.request.tools:
            self.fit.leave_out("parallel_tool_calls")
        metadata = found.pop("metadata", None)
        return found, {"requestMetadata": metadata} if metadata else {}

    def _add_top_k(self, value: int) -> None:
        model = self.target.model.lower()
        places = (path for start, path in _TOP_K.items() if re.match(start, model))
        *outer, name = next(places, ("top_k",))
        found: dict[str, Any] = {name: value}
        for key in reversed(outer):
            found = {key: found}
        self.own |= found

    # Tools, and answers by way of them

    def _tool_config(self) -> dict[str, Any]:
        request = self.request
        choice = request.tool_choice
        if not request.tools or choice == ToolChoice.NONE:
            if not request.tools and choice not in (None, "auto", "none"):
                self.fit.leave_out("tool_choice", why="without tools")
            return {}
        found: dict[str, Any] = {"tools": [self._tool(one) for one in request.tools]}
        if choice is not None:
            found["toolChoice"] = self._tool_choice(choice)
        return found

    def _tool(self, tool: Tool) -> dict[str, Any]:
        found: dict[str, Any] = {"name": tool.name}
        if tool.description:
            found["description"] = tool.description
        parameters = {"properties": {}} if tool.parameters is None else tool.parameters
        found["inputSchema"] = {"json": {"type": "object", **parameters}}
        if tool.strict:
            self.fit.leave_out(f"strict of the tool {tool.name}")
        return {"toolSpec": found}

    def _tool_choice(self, choice: str) -> dict[str, Any]:
        if choice == ToolChoice.AUTO:
            return {"auto": {}}
        named = choice != ToolChoice.REQUIRED
        if self._forces:
            return {"tool": {"name": choice}} if named else {"any": {}}
        done = "it was asked for in the system message"
        why = f"{self.why} while it thinks" if self.reasons else self.why
        self.fit.change(f"tool_choice={choice!r}", done, why=why)
        which = f"the tool {choice}" if named else "at least one of the tools"
        self.asked.append(f"Call {which} before you answer.")
        return {"auto": {}}

    @property
    def _forces(self) -> bool:
        return "forced_calls" in self.family.takes and not self.reasons

    def _answer(self) -> dict[str, Any]:
        """
        Ask for JSON: by a field of the model's own, else by a tool that must be called with the answer, else in words.
        """
        form = self.request.response_format
        if form is None or form["type"] == "text":
            return {}
        schema = (form.get("json_schema") or {}).get("schema")
        if schema is not None and "json_schema" in self.family.takes:
            wanted = {"type": "json_schema", "schema": close_schema(self.fit, schema)}
            config = as_dict(self.own.get("output_config"))
            self.own["output_config"] = {**config, "format": wanted}
            return {}
        if schema is not None and self._forces and not self.tools:
            tool = Tool(ANSWER, "Call this with your whole answer.", schema)
            return {
                "tools": [self._tool(tool)],
                "toolChoice": {"tool": {"name": ANSWER}},
            }
        parameter = f"response_format={form['type']}"
        self.fit.change(parameter, "it was asked for in the system message")
        self.asked.append(json_in_words(form))
        return {}

    # Messages

    def _conversation(self) -> dict[str, Any]:
        # Blocks of tools are refused where no tools are described.
        # Converse API, read 2026-11.
        described = bool(self.tools) or "toolConfig" in self.request.extensions
        conversation = Conversation(
            target=self.target,
            fit=self.fit,
            tools=described,
            json_results="json_results" in self.family.takes,
        )
        return conversation.encode(self.request.messages, self.asked)


def _told(fields: Mapping[str, Any]) -> str:
    """
    Find the effort, as a word, among a model's own fields; empty: it is told otherwise.
    """
    if as_dict(fields.get("thinking")).get("type") == "between_tools":
        return "between_tools"
    config = {
        **as_dict(fields.get("output_config")),
        **as_dict(fields.get("reasoningConfig")),
    }
    word = config.get("effort") or config.get("maxReasoningEffort")
    word = word or fields.get("reasoning_config") or fields.get("reasoning_effort")
    return as_text(word)


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
    if not isinstance(as_dict(body.get("output")).get("message"), dict):
        if body.get("message") or body.get("Output"):
            told = as_dict(body.get("Output")) or body
            status, headers = response.status, response.headers
            raise error_in(target, told, status=status, headers=headers)
        raise unreadable(target, response, "neither a message nor an error")
    return response_of(target, body)


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return error_of(target, response)


def chunk_parser(target: ResolvedTarget) -> BedrockChunkParser:
    """
    A new parser for one stream.
    """
    return BedrockChunkParser(target)


# Models


def models_request(target: ResolvedTarget) -> HttpRequest:
    """
    The request for the models; that for the profiles by which some of them are asked for follows.
    """
    return _list_request(target, "/foundation-models?byOutputModality=TEXT")


def _list_request(target: ResolvedTarget, path: str) -> HttpRequest:
    # Lists are on a host of their own. A server of the caller's has both on one.
    base = target.base_url.replace("//bedrock-runtime", "//bedrock", 1)
    headers = {"accept": "application/json"}
    return HttpRequest(method="GET", url=base + path, headers=headers)


def decode_models(
    target: ResolvedTarget, response: HttpResponse
) -> tuple[list[ModelInfo], HttpRequest | None]:
    """
    The models, or a page of the profiles.

    Raises:
        InvalidResponseError: A body that holds no list.
    """
    body = as_dict(decode_body(target, response))
    profiles = "/inference-profiles?maxResults=1000"
    if isinstance(body.get("modelSummaries"), list):
        found = [_model(as_dict(one)) for one in body["modelSummaries"]]
        following: HttpRequest | None = _list_request(target, profiles)
    elif isinstance(body.get("inferenceProfileSummaries"), list):
        found = [_profile(as_dict(one)) for one in body["inferenceProfileSummaries"]]
        token = as_text(body.get("nextToken"))
        more = f"{profiles}&nextToken={quote(token, safe='', errors='replace')}"
        following = _list_request(target, more) if token else None
    else:
        raise unreadable(target, response, "no list of models")
    return [one for one in found if one is not None], following


def _model(entry: dict[str, Any]) -> ModelInfo | None:
    found = as_text(entry.get("modelId"))
    if not found:
        return None
    return ModelInfo(
        id=found,
        name=as_text(entry.get("modelName")) or found,
        owner=as_text(entry.get("providerName")) or None,
        raw=entry,
    )


def _profile(entry: dict[str, Any]) -> ModelInfo | None:
    found = as_text(entry.get("inferenceProfileId"))
    if not found:
        return None
    return ModelInfo(
        id=found,
        name=as_text(entry.get("inferenceProfileName")) or found,
        created=moment_of(entry.get("createdAt")),
        raw=entry,
    )
