"""
Google's ``generateContent``, as the Gemini API and Vertex AI speak it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import attrs

from ai_lib._core.chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    UsageStatus,
)
from ai_lib._core.dialects._errors import error_in, error_of
from ai_lib._core.dialects._gemini_answers import (
    GeminiChunkParser,
    blocked_prompt,
    choices_of,
    citations_of,
    created_of,
    usage_of,
)
from ai_lib._core.dialects._gemini_contents import ContentsWriter
from ai_lib._core.dialects._gemini_schema import Subset, unheeded_words
from ai_lib._core.dialects._shared import (
    Adjustments,
    as_dict,
    as_list,
    as_text,
    decode_body,
    encode_json,
    extended,
    first_count,
    json_in_words,
    plain_fields,
    unreadable,
)
from ai_lib._core.errors import AiLibError, UnsupportedFeatureError
from ai_lib._core.families import Family, family_of
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.providers import ModelInfo, Quirks, ResolvedTarget
from ai_lib._core.tools import Tool, ToolChoice

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
        fit=Adjustments(target.provider, on_unsupported),
    )
    body = encode_json(encoder.body())
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    accept = "text/event-stream" if stream else "application/json"
    return HttpRequest(
        url=f"{_model_url(target)}:{method}",
        headers={"content-type": "application/json", "accept": accept},
        body=body,
        warnings=tuple(encoder.fit.warnings),
    )


_FIELDS = {
    "temperature": "temperature",
    "max_tokens": "maxOutputTokens",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "stop": "stopSequences",
    "seed": "seed",
    "n": "candidateCount",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_TOP_FIELDS = {"user": None, "metadata": "labels", "parallel_tool_calls": None}

_CHOICES = {
    ToolChoice.AUTO: "AUTO",
    ToolChoice.NONE: "NONE",
    ToolChoice.REQUIRED: "ANY",
}


@attrs.define(kw_only=True)
class _Encoder:
    """
    One request on its way to the wire.
    """

    target: ResolvedTarget
    request: ChatCompletionRequest
    fit: Adjustments

    @property
    def quirks(self) -> Quirks:
        return self.target.spec.quirks

    @property
    def family(self) -> Family:
        return family_of(self.quirks.families or "gemini", _bare(self.target.model))

    @property
    def with_model(self) -> str:
        return f"with {self.target.model}"

    def body(self) -> dict[str, Any]:
        """
        Build the body, the caller's extensions last.
        """
        messages = self.request.messages
        writer = ContentsWriter(
            target=self.target, fit=self.fit, takes=self.family.takes
        )
        system = writer.system(messages)
        contents = writer.contents(messages)
        config = self._config(system)
        writer.place(system, contents)
        body: dict[str, Any] = {"contents": contents}
        if system:
            body["systemInstruction"] = {"parts": system}
        body |= self._tools()
        if config:
            body["generationConfig"] = config
        body |= plain_fields(self.fit, self.request, self.quirks, _TOP_FIELDS)
        body |= self.quirks.body
        return extended(self.fit, body, self.request.extensions)

    # Parameters

    def _config(self, system: list[dict[str, Any]]) -> dict[str, Any]:
        config = plain_fields(self.fit, self.request, self.quirks, _FIELDS)
        for name in sorted(self.family.without_effect):
            if _FIELDS[name] in config:
                self.fit.tell(f"{self.target.model} pays no heed to {name}.")
        return config | self._response_format(system) | self._thinking()

    def _thinking(self) -> dict[str, Any]:
        asked = self.request.reasoning_effort
        if asked is None:
            return {}
        if "reasoning_effort" in self.family.drop:
            self.fit.leave_out("reasoning_effort", why=self.with_model)
            return {}
        said = dict(self.family.efforts.get(asked) or {"thinkingLevel": asked})
        level, budget = said.get("thinkingLevel"), said.get("thinkingBudget")
        if level not in (None, asked) or (asked == "none" and budget):
            words = ", ".join(f"{key}={value!r}" for key, value in said.items())
            parameter = f"reasoning_effort={asked!r}"
            instead = f"{words} was sent instead"
            self.fit.change(parameter, instead, why=self.with_model)
        if asked != "none":
            said["includeThoughts"] = True
        return {"thinkingConfig": said}

    def _response_format(self, system: list[dict[str, Any]]) -> dict[str, Any]:
        form = self.request.response_format
        if form is None or form["type"] == "text":
            return {}
        if self.request.tools and "json_with_tools" not in self.family.takes:
            self.fit.change(
                f"response_format={form['type']}",
                "it was asked for in the system instruction",
                why=f"together with tools {self.with_model}",
            )
            system.append({"text": json_in_words(form)})
            return {}
        found = {"responseMimeType": "application/json"}
        if form["type"] == "json_object":
            return found
        schema = form["json_schema"]["schema"]
        names = ("responseJsonSchema", "responseSchema")
        return found | self._schema(schema, names, "response_format")

    def _schema(
        self, schema: Mapping[str, Any], names: tuple[str, str], what: str
    ) -> dict[str, Any]:
        """
        Give a schema as it is, or for a model that does not know whole ones what is left of it.
        """
        whole, old = names
        if as_text(schema.get("type")).isupper():
            return {old: schema}  # it is Google's own already
        if "json_schema" not in self.family.takes:
            subset = Subset(schema)
            written = subset.write()
            for word in sorted(subset.lost):
                self.fit.leave_out(f"{word!r} in the schema of {what}")
            # What has no properties was refused as such.
            return {old: written} if written.get("properties") != {} else {}
        if words := unheeded_words(schema):
            who, said = self.target.provider, ", ".join(words)
            self.fit.tell(f"{who} pays no heed to {said} in the schema of {what}.")
        return {whole: schema}

    # Tools

    def _tools(self) -> dict[str, Any]:
        request = self.request
        found: dict[str, Any] = {}
        if request.tools:
            declared = [self._tool(tool) for tool in request.tools]
            found["tools"] = [{"functionDeclarations": declared}]
        elif "tools" not in request.extensions:
            if request.tool_choice is not None:
                self.fit.leave_out("tool_choice", why="without tools")
            return {}
        calling = self._calling(request.tool_choice)
        if calling:
            found["toolConfig"] = {"functionCallingConfig": calling}
        return found

    def _tool(self, tool: Tool) -> dict[str, Any]:
        found: dict[str, Any] = {"name": tool.name}
        if tool.description:
            found["description"] = tool.description
        if tool.parameters is not None:
            names = ("parametersJsonSchema", "parameters")
            found |= self._schema(tool.parameters, names, f"the tool {tool.name}")
        return found

    def _calling(self, choice: str | None) -> dict[str, Any]:
        if choice is not None and choice not in tuple(ToolChoice):
            return {"mode": "ANY", "allowedFunctionNames": [choice]}
        strict = any(tool.strict for tool in self.request.tools)
        if strict and choice in (None, ToolChoice.AUTO):
            return {"mode": "VALIDATED"}
        return {} if choice is None else {"mode": _CHOICES[ToolChoice(choice)]}


# Where requests go

#: Names of models that say where they are, and behind what of the base URL they stand.
_PLACES = {
    "tunedModels": "",
    "publishers": "/publishers/",
    "endpoints": "/publishers/",
    "projects": "/projects/",
}
_FULL_NAME = re.compile(rf"({'|'.join(_PLACES)})(?:/[\w@.-]*\w[\w@.-]*)+", re.ASCII)


def _bare(model: str) -> str:
    return model.removeprefix("models/")


def _model_url(target: ResolvedTarget) -> str:
    base, name = _base_url(target), _bare(target.model)
    found = _FULL_NAME.fullmatch(name)
    if found is None:
        return f"{base}/models/{quote(name, safe='', errors='replace')}"
    end = _PLACES[found[1]]
    return f"{base.partition(end)[0] if end else base}/{name}"


def _base_url(target: ResolvedTarget) -> str:
    """
    Give the base URL, on the host of the location where the record names one for it.
    """
    base, location = target.base_url, target.options.get("location", "")
    usual = urlsplit(target.spec.base_url).netloc
    if location and urlsplit(base).netloc == usual:
        for pattern, host in target.spec.quirks.location_hosts.items():
            if re.fullmatch(pattern, location):
                return base.replace(usual, host.replace("{location}", location), 1)
    return base


# Answers


def decode_response(
    target: ResolvedTarget, response: HttpResponse
) -> ChatCompletionResponse:
    """
    Theirs to ours.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means; a blocked prompt.

        InvalidResponseError: A body that cannot be read.
    """
    body = decode_body(target, response)
    if isinstance(body, list):
        body = body[0] if len(body) == 1 else {}
    body = as_dict(body)
    if body.get("error"):
        raise error_in(target, body, status=response.status, headers=response.headers)
    if error := blocked_prompt(target, body):
        raise error
    choices = choices_of(body)
    if not choices:
        raise unreadable(target, response, "neither candidates nor an error")
    usage = usage_of(body)
    first = as_dict(as_list(body.get("candidates"))[0])
    return ChatCompletionResponse(
        id=as_text(body.get("responseId")),
        model=as_text(body.get("modelVersion")),
        created=created_of(body),
        choices=tuple(choices),
        usage=usage,
        usage_status=UsageStatus.FINALIZED if usage else UsageStatus.UNSUPPORTED,
        citations=tuple(dict.fromkeys(citations_of(first, choices[0].message.text))),
        provider=target.provider,
        raw=body,
    )


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return error_of(target, response)


def chunk_parser(target: ResolvedTarget) -> GeminiChunkParser:
    """
    A new parser for one stream.
    """
    return GeminiChunkParser(target)


# Models


def models_request(target: ResolvedTarget) -> HttpRequest:
    """
    The request for the first page of the model list.

    Raises:
        UnsupportedFeatureError: The provider has none.
    """
    return _models_request(target, "")


def _models_request(target: ResolvedTarget, token: str) -> HttpRequest:
    path = target.spec.models_path
    if path is None:
        raise UnsupportedFeatureError(
            f"{target.provider} has no list of models.", provider=target.provider
        )
    more = f"&pageToken={quote(token, safe='', errors='replace')}" if token else ""
    return HttpRequest(
        method="GET",
        url=f"{target.base_url}{path}?pageSize=1000{more}",
        headers={"accept": "application/json"},
    )


def decode_models(
    target: ResolvedTarget, response: HttpResponse
) -> tuple[list[ModelInfo], HttpRequest | None]:
    """
    The models of a page that can chat, and the request for the next page, if there is one.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means.

        InvalidResponseError: A body that holds no list.
    """
    body = as_dict(decode_body(target, response))
    if body.get("error"):
        raise error_in(target, body, status=response.status, headers=response.headers)
    token = as_text(body.get("nextPageToken"))
    if not isinstance(body.get("models"), list) and not token:
        raise unreadable(target, response, "no list of models")
    found = map(_model, map(as_dict, as_list(body.get("models"))))
    following = _models_request(target, token) if token else None
    return [one for one in found if one is not None], following


def _model(entry: dict[str, Any]) -> ModelInfo | None:
    found = _bare(as_text(entry.get("name")))
    methods = entry.get("supportedGenerationMethods")
    if not found or (isinstance(methods, list) and "generateContent" not in methods):
        return None
    return ModelInfo(
        id=found,
        name=as_text(entry.get("displayName")) or found,
        context_window=first_count(entry, "inputTokenLimit"),
        max_output_tokens=first_count(entry, "outputTokenLimit"),
        raw=entry,
    )
