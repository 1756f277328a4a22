"""
Bodies of OpenAI's Chat Completions read and written from the other side: a request that somebody has
written, and an answer as OpenAI would have given it.

The other two directions are the dialect's, ``dialects.openai_chat``.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse, Choice
from ai_lib._core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
)
from ai_lib._core.tools import Tool, ToolCall, ToolChoice

# Requests

#: Fields that have one name on both sides.
_SAME = (
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
    "parallel_tool_calls",
    "reasoning_effort",
    "user",
    "metadata",
)


class _UnnamedError(Exception):
    """
    There is no name for it here: it goes along as it came.
    """


def request_of(body: Mapping[str, Any]) -> ChatCompletionRequest:
    """
    Read the body of a request.

    What has no name here goes along in ``extensions`` as it is. So do all messages, or all tools, if one of
    them holds something without a name; what is known of the messages stands in ``messages`` besides.

    Raises:
        ValueError: It is no request, and why.
    """
    try:
        return _request_of(body)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _request_of(body: Mapping[str, Any]) -> ChatCompletionRequest:
    left = {name: value for name, value in body.items() if name != "messages"}
    if left.pop("stream", None):
        raise ValueError("stream is true, and a batch does not stream")
    model = left.pop("model", None)
    if model is not None and not isinstance(model, str):
        raise TypeError("model is no text")
    messages, named = _messages(body.get("messages"))
    if not named:
        left["messages"] = body["messages"]
    found = _parameters(left)
    return ChatCompletionRequest(model or "", messages, **found, extensions=left)


def _parameters(left: dict[str, Any]) -> dict[str, Any]:
    """
    Take out of *left* what there is a name for.
    """
    found = {}
    for name in _SAME:
        if (value := left.pop(name, None)) is not None:
            found[name] = value
    for name in ("max_completion_tokens", "max_tokens"):  # the second is deprecated
        if left.get(name) is None:
            left.pop(name, None)
        elif "max_tokens" not in found:
            found["max_tokens"] = left.pop(name)
    readers: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("tools", _tools),
        ("tool_choice", _tool_choice),
        ("response_format", _response_format),
    )
    for name, read in readers:
        value = left.get(name)
        try:
            if value is not None:
                found[name] = read(value)
            left.pop(name, None)
        except _UnnamedError:
            pass
    return found


def _tools(value: Any) -> list[Tool]:
    return [_tool(one) for one in _list(value, "tools")]


def _tool(value: Any) -> Tool:
    function = _only(value, "type", "function").get("function")
    if value.get("type") != "function":
        raise _UnnamedError
    names = ("name", "description", "parameters", "strict")
    known = _only(function, *names)
    if not isinstance(known.get("name"), str):
        raise TypeError("a tool needs a name")
    return Tool(**known)


def _tool_choice(value: Any) -> str:
    if isinstance(value, str):
        if value in tuple(ToolChoice):
            return value
        raise _UnnamedError
    name = _only(_only(value, "type", "function").get("function"), "name").get("name")
    if not isinstance(name, str) or name in tuple(ToolChoice):
        raise _UnnamedError
    return name


def _response_format(value: Any) -> Any:
    form = value if isinstance(value, dict) else {}
    schema = form.get("json_schema")
    if form.get("type") in ("text", "json_object"):
        return value
    if isinstance(schema, dict) and isinstance(schema.get("schema"), dict):
        return value
    raise _UnnamedError


def _only(value: Any, *names: str) -> dict[str, Any]:
    """
    Give an object if it holds nothing but *names*.
    """
    if not isinstance(value, dict) or not set(value) <= set(names):
        raise _UnnamedError
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{what} is no list")
    return value


# Messages


def _messages(value: Any) -> tuple[list[Message], bool]:
    """
    Read messages; say whether that is all that they hold.
    """
    if not value:
        raise ValueError("messages is missing or empty")
    found, named = [], True
    for place, one in enumerate(_list(value, "messages")):
        try:
            message, whole = _message(one)
        except (TypeError, ValueError) as error:
            raise ValueError(f"messages[{place}]: {error}") from None
        found.append(message)
        named = named and whole
    return found, named


#: What a message of each role may hold beside its role and content, each with our name of it.
_FIELDS: dict[str, dict[str, str]] = {
    Role.SYSTEM: {"name": "name"},
    Role.DEVELOPER: {"name": "name"},
    Role.USER: {"name": "name"},
    Role.ASSISTANT: {"refusal": "refusal", "reasoning_content": "reasoning"},
    Role.TOOL: {"tool_call_id": "tool_call_id", "name": "name"},
}


def _message(value: Any) -> tuple[Message, bool]:
    if not isinstance(value, dict):
        raise TypeError("it is no object")
    role = value.get("role")
    if not isinstance(role, str) or role not in _FIELDS:
        raise ValueError(f"role must be one of {', '.join(Role)}, not {role!r}")
    fields = _FIELDS[role]
    content, whole = _content(value.get("content"))
    more: dict[str, Any] = {}
    for name, held in value.items():
        if held is None or name in ("role", "content"):
            continue
        if name == "tool_calls" and role == Role.ASSISTANT:
            calls = [_call(one) for one in _list(held, name)]
            more[name] = [one for one in calls if one is not None]
            whole = whole and None not in calls
        elif name in fields and isinstance(held, str):
            more[fields[name]] = held
        else:
            whole = False
    return Message(role, content, **more), whole


def _call(value: Any) -> ToolCall | None:
    """
    Read a tool call; ``None``: it is of a kind that has no name here.
    """
    try:
        call = _only(value, "id", "type", "function")
        function = _only(call.get("function"), "name", "arguments")
    except _UnnamedError:
        return None
    call_id, name = call.get("id"), function.get("name")
    arguments = function.get("arguments", "")
    if not (isinstance(call_id, str) and isinstance(name, str)):
        raise TypeError("a tool call needs an id and a name")
    return ToolCall(call_id, name, arguments) if isinstance(arguments, str) else None


def _content(value: Any) -> tuple[str | list[Part], bool]:
    if value is None:
        return "", True
    if isinstance(value, str):
        return value, True
    parts = [_part(one) for one in _list(value, "content")]
    return [one for one in parts if one is not None], None not in parts


def _part(value: Any) -> Part | None:
    """
    Read a part; ``None``: it holds something that has no name here.

    Raises:
        ValueError: It is of a kind that is known, and not right.
    """
    if isinstance(value, str):
        return TextPart(value)
    kind = value.get("type") if isinstance(value, dict) else None
    read = _PARTS.get(kind) if isinstance(kind, str) else None
    try:
        return (
            None if read is None else read(_only(value, "type", str(kind))[str(kind)])
        )
    except _UnnamedError:
        return None
    except KeyError as error:
        raise ValueError(f"a part of type {kind} lacks {error.args[0]}") from None


def _image(value: Any) -> ImagePart:
    if isinstance(value, str):
        return ImagePart.from_url(value)
    image = _only(value, "url", "detail")
    if not isinstance(image["url"], str):
        raise TypeError("the url of an image is no text")
    return ImagePart.from_url(image["url"], detail=image.get("detail"))


#: Media types of what OpenAI names by a word.
_AUDIO = {"mp3": "audio/mpeg"}


def _audio(value: Any) -> AudioPart:
    audio = _only(value, "data", "format")
    form = audio["format"]
    try:
        data = b64decode(audio["data"], validate=True)
    except (TypeError, ValueError):
        raise ValueError("the data of a sound is no base64") from None
    return AudioPart.from_bytes(data, _AUDIO.get(form, f"audio/{form}"))


def _file(value: Any) -> FilePart:
    file = _only(value, "file_id", "filename", "file_data")
    if "file_id" in file:
        return FilePart(url=str(_only(file, "file_id")["file_id"]))
    data = file["file_data"]
    if not isinstance(data, str) or not data.lower().startswith(("data:", "http")):
        raise _UnnamedError
    return FilePart.from_url(data, name=file.get("filename"))


_PARTS: dict[str, Callable[[Any], Part]] = {
    "text": TextPart,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


# Answers


def body_of(response: ChatCompletionResponse) -> dict[str, Any]:
    """
    Write an answer as a body of OpenAI's, whoever gave it; what it has no field for is left out.
    """
    body: dict[str, Any] = {
        "id": response.id,
        "object": "chat.completion",
        "created": response.created,
        "model": response.model,
        "choices": [_choice(one) for one in response.choices],
    }
    if response.citations and response.choices:
        body["choices"][0]["message"]["annotations"] = [
            {
                "type": "url_citation",
                "url_citation": _given(
                    url=one.url,
                    title=one.title,
                    start_index=one.start,
                    end_index=one.end,
                    content=one.text,
                ),
            }
            for one in response.citations
        ]
    if (usage := response.usage) is not None:
        body["usage"] = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }
        if usage.cached_tokens is not None:
            details = {"cached_tokens": usage.cached_tokens}
            body["usage"]["prompt_tokens_details"] = details
        if usage.reasoning_tokens is not None:
            details = {"reasoning_tokens": usage.reasoning_tokens}
            body["usage"]["completion_tokens_details"] = details
    return body


def _choice(choice: Choice) -> dict[str, Any]:
    message = choice.message
    said: dict[str, Any] = {
        "role": "assistant",
        "content": message.text or (None if message.tool_calls else ""),
        "refusal": message.refusal,
    }
    if message.reasoning:
        said["reasoning_content"] = message.reasoning
    if message.tool_calls:
        said["tool_calls"] = [
            {
                "id": one.id,
                "type": "function",
                "function": {"name": one.name, "arguments": one.arguments},
            }
            for one in message.tool_calls
        ]
    return {
        "index": choice.index,
        "message": said,
        "logprobs": choice.logprobs,
        "finish_reason": choice.finish_reason,
    }


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
