"""
Files of OpenAI's Batch API, one JSON object a line: requests that go in, and what came of them.

An input is ``{"custom_id", "method", "url", "body"}``, an output ``{"id", "custom_id", "response":
{"status_code", "request_id", "body"}, "error"}``. Batch API guide and reference, read 2026-11. What people write by
hand is read as well: the body alone, ``{"prompt": …}``, or a text. Nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._core.batch import BatchInput, BatchItem, BatchOutput, id_of
from ai_lib._core.batch.bodies import body_of, request_of
from ai_lib._core.batch.places import Places
from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.dialects import openai_chat
from ai_lib._core.dialects._shared import decode_json, encode_json
from ai_lib._core.errors import AiLibError
from ai_lib._core.http import HttpResponse
from ai_lib._core.providers import ProviderSpec, Quirks, ResolvedTarget
from ai_lib._core.serialization import from_dict

if TYPE_CHECKING:
    from ai_lib._core.dialects import OnUnsupported

_PATH = "/v1/chat/completions"

#: Nobody in particular: takes all that the format has a place for.
_ANYONE = ProviderSpec(
    id="openai_jsonl",
    dialect="openai_chat",
    base_url="https://api.openai.com/v1",
    quirks=Quirks(
        developer_role=True,
        tool_names=True,
        remote_files=True,
        replay=("reasoning_details",),
    ),
)


# Inputs


def decode_inputs(lines: Iterable[bytes], name: str) -> Iterator[BatchInput]:
    """
    Read requests, one after another; empty lines are passed over.

    What has no name here goes along in ``extensions``. ``method`` and ``url`` may be missing, as in the
    files of Mistral and others. A line may also be a body alone, with a ``custom_id`` among its fields or not; in
    it ``prompt``, a text, may stand for ``messages``; or it is such a text alone.

    Args:
        lines: Of the file, as it gives them when it is opened for bytes.

        name: Of the file, for errors.

    Raises:
        ValueError: A line is broken, or its ``custom_id`` was there before; the message begins with the
            file's name and the line's number.
    """
    ids = Ids()
    for index, (number, line) in enumerate(numbered(lines)):
        with told(name, number):
            found = decode_input(line, index)
            ids.add(found.custom_id, number)
        yield found


class Ids:
    """
    The ``custom_id`` of each line of a file, to see that none is there twice.
    """

    def __init__(self) -> None:
        self._places = Places()

    def add(self, custom_id: str, number: int) -> None:
        """
        Note that it stands in a line.

        Raises:
            ValueError: It stands in another one, too.
        """
        key = blake2b(custom_id.encode("utf-8", "replace"), digest_size=8).digest()
        if (before := self._places.find(key)) is not None:
            raise ValueError(f"custom_id {custom_id!r:.80} was in line {before}")
        self._places.add(key, number)


@contextmanager
def told(name: str, number: int) -> Iterator[None]:
    """
    Say of what is wrong in which line of which file it is, and what to do.

    Raises:
        ValueError: In place of that and ``TypeError``.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name}, line {number}: {error}; mend that line, or take it out"
        ) from None


def numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """
    Number lines from 1, and leave empty ones out, and the mark that Windows puts before the first.
    """
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if text.strip():
            yield number, text


def _json(line: bytes) -> Any:
    try:
        return decode_json(line)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from None


def _object(line: bytes) -> dict[str, Any]:
    found = _json(line)
    if not isinstance(found, dict):
        raise TypeError("it is no JSON object")
    return found


def _custom_id(found: dict[str, Any]) -> str:
    custom_id = found.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        raise ValueError("custom_id must be a text")
    return custom_id


def decode_input(line: bytes, index: int) -> BatchInput:
    """
    Read a line of an input file.

    Args:
        line: The line.

        index: Its place among the requests, from 0: its name if it has none.

    Raises:
        TypeError: It is no request.

        ValueError: Likewise.
    """
    found = _json(line)
    if isinstance(found, str):
        found = {"prompt": found}
    if not isinstance(found, dict):
        raise TypeError("it is neither a JSON object nor a text")
    if "body" in found or "url" in found:
        return BatchInput(custom_id=_custom_id(found), request=_asked(found))
    custom_id = id_of(index)
    if found.get("custom_id") is not None:
        custom_id = _custom_id(found)
    body = {name: value for name, value in found.items() if name != "custom_id"}
    if "prompt" in body:
        if "messages" in body:
            raise ValueError("it has both a prompt and messages")
        prompt = body.pop("prompt")
        if not isinstance(prompt, str) or not prompt:
            raise ValueError("its prompt must be a text that is not empty")
        body["messages"] = [{"role": "user", "content": prompt}]
    elif "messages" not in body:
        raise ValueError("it has neither a body nor messages nor a prompt")
    return BatchInput(custom_id=custom_id, request=request_of(body))


def _asked(found: dict[str, Any]) -> ChatCompletionRequest:
    if found.get("method", "POST") != "POST":
        raise ValueError(f"method must be POST, not {found['method']!r:.80}")
    url = found.get("url", _PATH)
    if not isinstance(url, str) or not url.endswith("/chat/completions"):
        raise ValueError(f"url must be {_PATH}, not {url!r:.80}")
    body = found.get("body")
    if not isinstance(body, dict):
        raise TypeError("body must be an object")
    return request_of(body)


def encode_input(
    custom_id: str,
    request: ChatCompletionRequest,
    *,
    target: ResolvedTarget | None = None,
    on_unsupported: OnUnsupported = "error",
) -> bytes:
    """
    Write a request as a line; its ``extra_headers`` have no place there.

    Args:
        custom_id: What its answer is found by.

        request: Any.

        target: Who the file is for; ``None``: nobody in particular.

        on_unsupported: What to do about what the target does not take.

    Raises:
        UnsupportedFeatureError: By *on_unsupported*, or where nothing else can be right.

        TypeError: It holds something that JSON cannot say.

        ValueError: Likewise.
    """
    asked = openai_chat.encode_request(
        target or _anyone(request.model),
        request,
        stream=False,
        on_unsupported=on_unsupported,
    )
    head = encode_json({"custom_id": custom_id, "method": "POST", "url": _PATH})
    return b'%s,"body":%s}\n' % (head[:-1], asked.body)


def _anyone(model: str = "") -> ResolvedTarget:
    return ResolvedTarget(spec=_ANYONE, model=model, base_url=_ANYONE.base_url)


# Outputs


def encode_output(custom_id: str, item: BatchItem | BatchOutput) -> bytes:
    """
    Write a finished item as a line.

    An answer is written as OpenAI would have given it, whoever gave it, with its warnings beside. An error
    that came with a status is a response with that status; any other has none, and is an ``error``.

    Args:
        custom_id: As in the request's line.

        item: Answered or failed.
    """
    digest = blake2b(custom_id.encode("utf-8", "replace"), digest_size=12)
    line: dict[str, Any] = {
        "id": f"batch_req_{digest.hexdigest()}",
        "custom_id": custom_id,
        "response": None,
        "error": None,
    }
    if item.response is not None:
        body, warnings = body_of(item.response), list(item.response.warnings)
        if _lost_infinities(body):
            warnings.append("Log probabilities that JSON cannot hold were left out.")
        line["response"] = {
            "status_code": 200,
            "request_id": item.response.request_id or "",
            "body": body,
        }
        if warnings:
            line["warnings"] = warnings
    elif item.error is not None and (item.error.status_code or 0) >= 400:
        line["response"] = {
            "status_code": item.error.status_code,
            "request_id": item.error.request_id or "",
            "body": _error_body(item.error),
        }
    elif item.error is not None:
        line["error"] = _error(item.error)
    return encode_json(line) + b"\n"


def _lost_infinities(body: dict[str, Any]) -> bool:
    """
    Take the log probabilities out of an answer if they hold infinities or NaN; say whether they did.
    """
    try:
        encode_json(body)
    except ValueError:
        for choice in body["choices"]:
            choice["logprobs"] = None
        return True
    return False


def _error(error: AiLibError) -> dict[str, Any]:
    kind = type(error).__name__
    return {"code": error.code or kind, "message": error.message, "type": kind}


def _error_body(error: AiLibError) -> dict[str, Any]:
    """
    Give what the provider said if that is whole and an error, else what we say.
    """
    try:
        said = decode_json(error.body or "")
        encode_json(said)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and "error" in said:
        return said
    return {"error": {**_error(error), "code": error.code}}


def decode_outputs(
    lines: Iterable[bytes], name: str, *, target: ResolvedTarget | None = None
) -> Iterator[BatchOutput]:
    """
    Read what came of requests, one after another, in the order of the file, which may be any.

    Args:
        lines: Of an output or error file, as it gives them when it is opened for bytes.

        name: Of the file, for errors.

        target: Who answered, if that is known.

    Raises:
        ValueError: A line is broken; the message begins with the file's name and the line's number.
    """
    for number, line in numbered(lines):
        with told(name, number):
            found = _output(_object(line), target)
        yield found


def _output(found: dict[str, Any], target: ResolvedTarget | None) -> BatchOutput:
    custom_id = _custom_id(found)
    answer, problem = found.get("response"), found.get("error")
    if isinstance(answer, dict):
        outcome = _answer(answer, found.get("warnings"), target)
    elif isinstance(problem, dict):
        outcome = _problem(problem)
    else:
        raise TypeError("it has neither a response nor an error")
    if isinstance(outcome, AiLibError):
        return BatchOutput(custom_id=custom_id, error=outcome)
    return BatchOutput(custom_id=custom_id, response=outcome)


def _answer(
    answer: dict[str, Any], warnings: Any, target: ResolvedTarget | None
) -> ChatCompletionResponse | AiLibError:
    status = answer.get("status_code")
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError("the status_code of its response must be a number")
    request_id = answer.get("request_id")
    source = target or _anyone()
    heard = HttpResponse(status=status, body=_body_bytes(answer.get("body")))
    try:
        if status >= 400:
            raise openai_chat.decode_error(source, heard)
        response = openai_chat.decode_response(source, heard)
    except AiLibError as error:
        error.request_id = error.request_id or _text(request_id)
        if target is None:
            error.provider = None
        return error
    told = warnings if isinstance(warnings, list) else []
    return attrs.evolve(
        response,
        request_id=_text(request_id),
        provider=response.provider if target else "",
        warnings=tuple(one for one in told if isinstance(one, str)),
    )


def _body_bytes(body: Any) -> bytes:
    if isinstance(body, str):  # what was no JSON
        return body.encode("utf-8", "replace")
    try:
        return encode_json(body)
    except ValueError:
        raise ValueError("the body of its response is no JSON value") from None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _problem(problem: dict[str, Any]) -> AiLibError:
    code, message = _text(problem.get("code")), _text(problem.get("message"))
    kind = _text(problem.get("type")) or AiLibError.__name__
    said = {"class": kind, "message": message or code or "no reason was given"}
    if code and code != kind:
        said["code"] = code
    return from_dict(AiLibError, said)
