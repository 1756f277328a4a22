"""
OpenAI's Responses, as OpenAI, Perplexity and several others speak it: always without state at the provider.

Every request holds the whole conversation and asks that nothing be stored; what a model wants back of its
own reasoning comes encrypted and is sent again with the message it belongs to.
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
from ai_lib._core.dialects import Follow
from ai_lib._core.dialects._errors import error_in, error_of
from ai_lib._core.dialects._openai_requests import (
    NEUTRAL,
    RequestEncoder,
    is_remote,
)
from ai_lib._core.dialects._openai_surface import (
    explained,
    list_request,
    models_of,
    url_of,
)
from ai_lib._core.dialects._responses_answers import (
    STATE,
    ResponsesChunkParser,
    choice_of,
    citations_of,
    failure_of,
    usage_of,
)
from ai_lib._core.dialects._shared import (
    Adjustments,
    as_count,
    as_dict,
    as_list,
    as_text,
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
    from collections.abc import Iterator, Mapping

    from ai_lib._core.dialects import OnUnsupported


# Requests

_PATH = "/responses"
#: The first of Azure's dated versions that has it.
_SINCE = "2025-03-01"


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
        url=url_of(target, _PATH, since=_SINCE),
        headers={"content-type": "application/json", "accept": accept},
        body=body,
        warnings=tuple(encoder.fit.warnings),
    )


#: Fields of ours by their names there.
_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_output_tokens",
    "top_logprobs": "top_logprobs",
    "user": "user",
    "metadata": "metadata",
}
#: What this format has no field for.
_UNKNOWN = ("top_k", "frequency_penalty", "presence_penalty", "stop", "seed", "n")

_CALL_ID_LENGTH = 64  # API reference, "Create a model response", read 2026-11


@attrs.define(kw_only=True)
class _Encoder(RequestEncoder):
    """
    One request on its way to the wire.

    Attributes:
        calls: The calls of the conversation so far, by id: a result is told with what its call was.
    """

    calls: dict[str, ToolCall] = attrs.field(factory=dict)

    def body(self) -> dict[str, Any]:
        """
        Build the body, the caller's extensions last.
        """
        effort = self.effort_fields(self.request.reasoning_effort)
        items = [
            one for message in self.request.messages for one in self._items(message)
        ]
        model = self._model()
        body: dict[str, Any] = {**self.quirks.body, **self.family.body}
        body |= {"model": model, "input": items}
        if store := self.quirks.responses_names.get("store", "store"):
            body[store] = False
        body |= self._parameters(effort)
        body |= self.tools()
        body |= self._format(items)
        body |= self._reasoning(effort)
        if include := self._include(body):
            body["include"] = include
        if self.stream:
            body["stream"] = True
        return extended(self.fit, body, self.request.extensions)

    def _model(self) -> str:
        asked, called = self.target.model, self.family.model
        if called in ("", asked):
            return asked
        more = "".join(f", {key}={value!r}" for key, value in self.family.body.items())
        self.fit.tell(
            f"{self.target.provider}: {asked} was asked for as {called}{more}."
        )
        return called

    # Parameters

    def _parameters(self, effort: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, wire in _NAMES.items():
            value = self.value_of(name, effort)
            if value is not None:
                found[wire] = value
        for name in _UNKNOWN:
            value = getattr(self.request, name)
            if value not in (None, (), NEUTRAL.get(name)):
                self.fit.leave_out(name, why="in the Responses format")
        if self.value_of("logprobs", effort):
            found.setdefault("top_logprobs", 0)
        return found

    def _reasoning(self, effort: Mapping[str, Any]) -> dict[str, Any]:
        more = dict(effort)
        told = more.pop("reasoning_effort", None)
        if told is None:
            return more
        reasoning = {"effort": told}
        if self.quirks.reasoning_summary and told != "none":
            reasoning["summary"] = self.quirks.reasoning_summary
        return {**more, "reasoning": reasoning}

    def _include(self, body: Mapping[str, Any]) -> list[str]:
        found = []
        if "sealed_reasoning" in self.family.takes:
            found.append("reasoning.encrypted_content")
        if "top_logprobs" in body:
            found.append("message.output_text.logprobs")
        return found

    def _format(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        form = self.request.response_format
        if form is None:
            return {}
        if form["type"] not in self.quirks.response_formats:
            self.ask_in_words(form, items, instead=False)
            return {}
        schema = {"name": "output", **(form.get("json_schema") or {})}
        is_schema = form["type"] == "json_schema"
        # Who has another name for it kept the form that Chat has, too.
        if elsewhere := self.quirks.responses_names.get("text.format"):
            more = {"json_schema": schema} if is_schema else {}
            return {elsewhere: {"type": form["type"], **more}}
        more = schema if is_schema else {}
        return {"text": {"format": {"type": form["type"], **more}}}

    def system_message(self, text: str) -> dict[str, Any]:
        """
        Make a message of the system.
        """
        return {"type": "message", "role": "system", "content": text}

    # Tools

    def tool(self, tool: Tool) -> dict[str, Any]:
        """
        Describe a tool; strictness is said in any case, since it is OpenAI's default here.
        """
        function = self.function(tool)
        if self.quirks.strict_tools:
            function.setdefault("strict", False)
        return {"type": "function", **function}

    def named_choice(self, name: str) -> dict[str, Any]:
        """
        Ask for the tool *name*.
        """
        return {"type": "function", "name": name}

    # Messages

    def _items(self, message: Message) -> Iterator[dict[str, Any]]:
        if message.role == Role.TOOL:
            yield self._result(message)
        elif message.role == Role.ASSISTANT:
            yield from self._answer(message)
        else:
            if message.name:
                self.fit.leave_out("the name of a message")
            role = message.role.value
            if message.role == Role.DEVELOPER and not self.quirks.developer_role:
                role = "system"
            content = self._content(message)
            yield {"type": "message", "role": role, "content": content}

    def _answer(self, message: Message) -> Iterator[dict[str, Any]]:
        """
        Give an answer back: to who gave it as it came if nobody changed it, else what it says.
        """
        self.calls |= {call.id: call for call in message.tool_calls}
        state = as_dict((message.provider_state or {}).get(STATE))
        came = [one for one in as_list(state.get("output")) if isinstance(one, dict)]
        own = state.get("provider") == self.target.provider
        if own and came and _is_unchanged(message, came):
            yield from came
            return
        if not all(isinstance(part, TextPart) for part in message.parts):
            raise self._cannot("images, sounds or files in an assistant's message")
        text = self._content(message) or message.refusal or ""
        if text or not message.tool_calls:
            yield {"type": "message", "role": "assistant", "content": text}
        yield from map(self._call, message.tool_calls)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        more = as_dict((call.extra or {}).get(STATE))
        field = "input" if more.get("type") == "custom_tool_call" else "arguments"
        return {
            "type": "function_call",
            "call_id": _call_id(call.id),
            "name": call.name,
            field: call.arguments or "{}",
            **more,
        }

    def _result(self, message: Message) -> dict[str, Any]:
        answered = message.tool_call_id or ""
        call = self.calls.get(answered, ToolCall(answered, message.name or ""))
        more = as_dict((call.extra or {}).get(STATE))
        kind = as_text(more.get("type")) or "function_call"
        found = {
            "type": f"{kind}_output",
            "call_id": _call_id(answered),
            "output": self._content(message),
        }
        if self.quirks.tool_names and call.name:
            found["name"] = call.name
        if "thought_signature" in more:  # Perplexity, "Function calling", read 2026-11
            found["thought_signature"] = more["thought_signature"]
        return found

    def _content(self, message: Message) -> Any:
        """
        Write text alone as a plain string: not every server takes lists everywhere.
        """
        if isinstance(message.content, str):
            return message.content
        if all(isinstance(part, TextPart) for part in message.content):
            return "\n".join(
                part.text for part in message.content if isinstance(part, TextPart)
            )
        return [self._part(part) for part in message.content]

    def _part(self, part: Part) -> dict[str, Any]:
        match part:
            case TextPart():
                return {"type": "input_text", "text": part.text}
            case ImagePart():
                return self._image(part)
            case FilePart():
                return self._file(part)
            case AudioPart():
                raise self._cannot("sounds")

    def _image(self, part: ImagePart) -> dict[str, Any]:
        found = {"type": "input_image"}
        if part.detail:
            found["detail"] = part.detail
        if part.url and not is_remote(part.url):
            return {**found, "file_id": part.url}
        if part.url and not self.quirks.remote_images:
            self.refuse_url("an image")
        return {**found, "image_url": part.url or data_url(part)}

    def _file(self, part: FilePart) -> dict[str, Any]:
        if part.url:
            field = "file_url" if is_remote(part.url) else "file_id"
            return {"type": "input_file", field: part.url}
        name = part.name or f"file.{(part.mime or 'pdf').rpartition('/')[2]}"
        return {"type": "input_file", "filename": name, "file_data": data_url(part)}

    def _cannot(self, what: str) -> UnsupportedFeatureError:
        return UnsupportedFeatureError(
            f"{self.target.provider} does not take {what} in the Responses format.",
            provider=self.target.provider,
            model=self.target.model or None,
        )


def _is_unchanged(message: Message, came: list[dict[str, Any]]) -> bool:
    """
    Whether a message still says what the items say that it was made of.
    """
    first = choice_of({"output": came}).message
    calls = [(call.id, call.name, call.arguments) for call in first.tool_calls]
    told = [(call.id, call.name, call.arguments) for call in message.tool_calls]
    return first.text == message.text and calls == told


def _call_id(id: str) -> str:
    if len(id) <= _CALL_ID_LENGTH:
        return id
    from hashlib import blake2b

    return "call_" + blake2b(id.encode("utf-8", "replace"), digest_size=16).hexdigest()


# Answers

#: Seconds between two looks at an answer that is not ready.
_POLL = 2.0


def decode_response(
    target: ResolvedTarget, response: HttpResponse
) -> ChatCompletionResponse | Follow:
    """
    Theirs to ours; one that is still being worked on is to be asked for again.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means.

        InvalidResponseError: A body that cannot be read.
    """
    body = as_dict(decode_body(target, response))
    failure = failure_of(body)
    if failure is not None:
        raise error_in(
            target, failure, status=response.status, headers=response.headers
        )
    waiting = body.get("status") in ("queued", "in_progress")
    name = as_text(body.get("id"))
    if waiting and name and (body.get("background") or not body.get("output")):
        path = f"{_PATH}/{quote(name, safe='', errors='replace')}"
        url = url_of(target, path, since=_SINCE)
        headers = {"accept": "application/json"}
        again = HttpRequest(method="GET", url=url, headers=headers)
        return Follow(request=again, after=_POLL)
    if not isinstance(body.get("output"), list):
        raise unreadable(target, response, "neither output nor an error")
    usage = usage_of(body)
    return ChatCompletionResponse(
        id=name,
        model=as_text(body.get("model")),
        created=as_count(body.get("created_at")) or 0,
        choices=(choice_of(body, provider=target.provider),),
        usage=usage,
        usage_status=UsageStatus.UNSUPPORTED
        if usage is None
        else UsageStatus.FINALIZED,
        citations=tuple(citations_of(body["output"])),
        provider=target.provider,
        raw=body,
    )


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return explained(target, error_of(target, response))


def chunk_parser(target: ResolvedTarget) -> ResponsesChunkParser:
    """
    A new parser for one stream.
    """
    return ResponsesChunkParser(target)


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
