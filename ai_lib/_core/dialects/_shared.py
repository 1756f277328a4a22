"""
What several wire formats have in common: reading JSON that may be anything, media as base64, and
the record of what a provider would not take.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._core.errors import InvalidResponseError, UnsupportedFeatureError
from ai_lib._core.secrets import redact

if TYPE_CHECKING:
    from ai_lib._core.chat import ChatCompletionRequest
    from ai_lib._core.dialects import OnUnsupported
    from ai_lib._core.http import HttpResponse
    from ai_lib._core.messages import AudioPart, FilePart, ImagePart
    from ai_lib._core.providers import Quirks, ResolvedTarget
    from ai_lib._core.tools import Tool, ToolCall


@attrs.define(eq=False, repr=False)
class Adjustments:
    """
    What is left out of a request, or said otherwise, because a provider does not take it.

    Attributes:
        provider: Its id, for the sentences.

        policy: ``"warn"`` notes each one, ``"error"`` raises, ``"drop"`` keeps silent.

        warnings: The sentences so far.
    """

    provider: str
    policy: OnUnsupported = "warn"
    warnings: list[str] = attrs.field(factory=list)

    def leave_out(self, parameter: str, *, why: str = "") -> None:
        """
        Note that *parameter* is not sent.

        Raises:
            UnsupportedFeatureError: The policy is ``"error"``.
        """
        self.change(parameter, "it was left out", why=why)

    def change(self, parameter: str, done: str, *, why: str = "") -> None:
        """
        Note that *parameter* is not sent as it was asked for, and in words what was *done*.

        Raises:
            UnsupportedFeatureError: The policy is ``"error"``.
        """
        problem = f"{self.provider} does not take {parameter}{why and f' {why}'}"
        if self.policy == "error":
            raise UnsupportedFeatureError(f"{problem}.", provider=self.provider)
        self.tell(f"{problem}: {done}.")

    def tell(self, sentence: str) -> None:
        """
        Note a change that takes nothing from what was asked for.
        """
        if self.policy != "drop":
            self.warnings.append(sentence)


def as_dict(value: Any) -> dict[str, Any]:
    """
    Give *value* if it is an object, else an empty one.
    """
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """
    Give *value* if it is a list; an object as a list of one; anything else as an empty one.
    """
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


def as_text(value: Any) -> str:
    """
    Give *value* if it is a string, a number in digits; anything else is no text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def as_count(value: Any) -> int | None:
    """
    Give *value* if it is a whole number that counts something; ``None`` for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**63 else None


def first_count(value: Mapping[str, Any], *names: str) -> int | None:
    """
    Give the first of the fields *names* that counts something.
    """
    for name in names:
        count = as_count(value.get(name))
        if count is not None:
            return count
    return None


def encode_json(value: Any) -> bytes:
    """
    Write a body: compact, in UTF-8.

    Half a surrogate pair, which a model can write and UTF-8 cannot, is written as a JSON escape.

    Raises:
        TypeError: A value of the caller's own that is none of JSON's.

        ValueError: Likewise: NaN, infinity, an object that holds itself.
    """
    options: dict[str, Any] = {
        "separators": (",", ":"),
        "allow_nan": False,
        "default": _plain,
    }
    try:
        return json.dumps(value, ensure_ascii=False, **options).encode()
    except UnicodeEncodeError:
        return json.dumps(value, **options).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value: {value!r:.80}")


def can_go_back(value: Any) -> bool:
    """
    Whether what came can be written again: Python reads NaN and infinity, which JSON does not have.
    """
    try:
        encode_json(value)
    except (ValueError, RecursionError):
        return False
    return True


#: How deep values from outside may be nested. What is much deeper can be read where the stack is low,
#: and then neither compared nor written where it is high.
_DEPTH = 200


def _check_depth(text: str | bytes, value: Any) -> None:
    """
    Refuse a value that is nested beyond reason.

    Args:
        text: What it was read from, which tells in no time that most are not.

    Raises:
        ValueError: It is.
    """
    if isinstance(text, str):
        opened = text.count("[") + text.count("{")
    else:
        opened = text.count(b"[") + text.count(b"{")
    if opened <= _DEPTH:
        return
    level = [value]
    for _ in range(_DEPTH + 1):
        held = [one for one in level if isinstance(one, dict | list)]
        if not held:
            return
        level = [
            inner
            for one in held
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    raise ValueError("nested too deeply")


def decode_json(text: str | bytes) -> Any:
    """
    Read JSON from outside.

    Raises:
        ValueError: It is none, or nested beyond reason, or not UTF-8.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if len(text) > 2 * _DEPTH:
        _check_depth(text, value)
    return value


_read_value = json.JSONDecoder().raw_decode


def decode_event(text: str) -> Any:
    """
    Read the JSON of one event, in two thirds of the time that ``json.loads`` takes for short texts.

    Raises:
        ValueError: It is none, or nested beyond reason.

        RecursionError: Likewise.
    """
    try:
        value, end = _read_value(text)
    except ValueError:
        return decode_json(text)  # white space before it, or its error
    if end != len(text):
        return decode_json(text)
    if end > 2 * _DEPTH:
        _check_depth(text, value)
    return value


def decode_body(target: ResolvedTarget, response: HttpResponse) -> Any:
    """
    Read a whole answer's body as JSON.

    Raises:
        InvalidResponseError: It is none.
    """
    try:
        return decode_json(response.body)
    except ValueError:
        pass
    raise unreadable(target, response, "no JSON")


def unreadable(
    target: ResolvedTarget, response: HttpResponse, what: str
) -> InvalidResponseError:
    """
    Make the error for an answer that is *what*, with its first bytes.
    """
    body = bounded(response.text)
    start = body[:200].lstrip("\ufeff \t\r\n").lower()
    page = start.startswith(("<!doctype html", "<html"))
    if page or (start.startswith("<") and response.content_type == "text/html"):
        title = f" ({title_of(body)[:100]!r})" if title_of(body) else ""
        where = f" from {without_query(response.url)}" if response.url else ""
        sentence = (
            f"{target.provider} answered with a web page{title} in place of an answer,"
            f" {response.status}{where}: is base_url right, or a proxy in between?"
        )
    else:
        sentence = f"{target.provider} answered {what}: {body[:200] or 'nothing'}"
    return InvalidResponseError(
        sentence,
        provider=target.provider,
        model=target.model or None,
        status_code=response.status,
        body=body,
    )


def title_of(page: str) -> str:
    """
    Find the title of a page of HTML; empty: it has none.
    """
    lowered = page.lower()
    start, end = lowered.find("<title>"), lowered.find("</title>")
    return " ".join(page[start + 7 : end].split()) if 0 <= start < end else ""


def without_query(url: str) -> str:
    """
    Give *url* as an error may show it: no query, no key.
    """
    return redact(url.partition("?")[0])[:300]


def unreadable_event(target: ResolvedTarget, text: str) -> InvalidResponseError:
    """
    Make the error for an event of a stream that is no JSON, with its beginning.
    """
    start = bounded(text)
    return InvalidResponseError(
        f"{target.provider} streams what is no JSON: {start[:200]}",
        provider=target.provider,
        model=target.model or None,
        body=start,
    )


def bounded(text: str, limit: int = 2000) -> str:
    """
    Cut *text* to *limit* characters, keys taken out.
    """
    # Cut twice: a key at the cut must not lose the end by which it is known.
    return redact(text[: limit + 500])[:limit]


def base64_of(part: ImagePart | AudioPart | FilePart) -> str:
    """
    Give a part's bytes as base64.
    """
    return b64encode(part.data or b"").decode("ascii")


def data_url(part: ImagePart | AudioPart | FilePart) -> str:
    """
    Give a part's bytes as a ``data:`` URL.
    """
    mime = part.mime or "application/octet-stream"
    return f"data:{mime};base64,{base64_of(part)}"


# What a request holds, for formats that name it otherwise

#: Values that say nothing, and can be left out without a word.
_NEUTRAL: dict[str, Any] = {
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "n": 1,
    "logprobs": False,
    "parallel_tool_calls": True,
    "metadata": {},
}


def plain_fields(
    fit: Adjustments,
    request: ChatCompletionRequest,
    quirks: Quirks,
    names: Mapping[str, str | None],
) -> dict[str, Any]:
    """
    Give the parameters of a request that a wire format has names of its own for.

    Args:
        fit: Told of what is left out or moved into a range.

        names: Its name for each field of ours; ``None``: it has none, as for what *quirks* drop.

    Raises:
        UnsupportedFeatureError: By the policy of *fit*.
    """
    found: dict[str, Any] = {}
    for name, wire in names.items():
        value = getattr(request, name)
        if value is None or value == ():
            continue
        if wire is not None and name not in quirks.drop:
            found[wire] = _within(fit, quirks, name, value)
        elif _NEUTRAL.get(name) != value:
            fit.leave_out(name)
    return found


def extended(
    fit: Adjustments, body: Mapping[str, Any], extensions: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Put the caller's own fields over a body as they are.

    Args:
        fit: Told of each that takes the place of an object or a list which parameters were written into.
    """
    for name, value in extensions.items():
        ours = body.get(name)
        if ours and isinstance(ours, dict | list) and ours != value:
            told = ", ".join(map(str, ours)) if isinstance(ours, dict) else "ours"
            fit.tell(f"{name} of extensions took the place of {told}.")
    return {**body, **extensions}


def _within(fit: Adjustments, quirks: Quirks, name: str, value: Any) -> Any:
    if name == "stop":
        most = quirks.max_stop
        if most is not None and len(value) > most:
            fit.change(f"{len(value)} stop texts", f"the first {most} were sent")
        return list(value[:most])
    low, high = quirks.ranges.get(name, (None, None))
    if low is None or high is None or low <= value <= high:
        return value
    moved = low if value < low else high
    fit.change(f"{name}={value}", f"{moved} was sent instead")
    return moved


def function_tool(tool: Tool) -> dict[str, Any]:
    """
    Describe a tool as OpenAI does, and those who took its description over; ``strict`` left out.
    """
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    parameters = tool.parameters
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    return {"type": "function", "function": {**function, "parameters": parameters}}


def arguments_object(call: ToolCall) -> dict[str, Any]:
    """
    Give a call's arguments for a format that takes objects only; what is none, under the key ``arguments``.
    """
    try:
        found = decode_json(call.arguments) if call.arguments.strip() else {}
        encode_json(found)  # JSON has no NaN, which Python reads all the same
    except (ValueError, RecursionError):
        return {"arguments": call.arguments}
    return found if isinstance(found, dict) else {"arguments": found}


def arguments_text(value: Any) -> str:
    """
    Give arguments as the JSON text that they are, or of an object would be; empty: there are none.
    """
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def json_in_words(form: Mapping[str, Any]) -> str:
    """
    Ask for JSON in words, where there is no field for a ``response_format``.
    """
    asked = "Answer with one JSON object and nothing else."
    if form["type"] == "json_schema":
        schema = encode_json(form["json_schema"]["schema"]).decode()
        asked += f" It must be valid against this JSON schema: {schema}"
    return asked


def moment_of(value: Any) -> int | None:
    """
    Read an RFC 3339 date and time as seconds since 1970; ``None``: it is none.
    """
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(as_text(value)[:40])
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0, int(moment.timestamp()))
    except (ValueError, OverflowError, OSError):
        return None
