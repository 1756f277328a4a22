"""
Replicate's predictions.

A model there is a program with inputs of its own; those of language models are much alike, and where their
names differ is in ``_replicate_inputs``. A prediction is created, then asked for until it is done; or its stream is
read, whose address the answer to its creation tells. There are no tools, and no JSON by schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import attrs

from ai_lib._core.chat import (
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    Delta,
    FinishReason,
    Usage,
    UsageStatus,
)
from ai_lib._core.dialects import Follow
from ai_lib._core.dialects._errors import error_in, error_of
from ai_lib._core.dialects._replicate_inputs import InputEncoder
from ai_lib._core.dialects._shared import (
    Adjustments,
    as_count,
    as_dict,
    as_list,
    as_text,
    decode_body,
    decode_json,
    encode_json,
    extended,
    moment_of,
    unreadable,
)
from ai_lib._core.errors import AiLibError, ApiError, ConfigurationError
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.messages import Message, Role
from ai_lib._core.providers import ModelInfo, ResolvedTarget

if TYPE_CHECKING:
    from ai_lib._core.dialects import Frame, Framing, OnUnsupported

_JSON = {"accept": "application/json"}


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

        ConfigurationError: The model's name can be none.
    """
    fit = Adjustments(target.provider, on_unsupported)
    url, body = _place(target)
    body["input"] = InputEncoder(target=target, request=request, fit=fit).encode()
    if stream:
        body["stream"] = True
    headers = {**_JSON, "content-type": "application/json"}
    if not stream:
        headers["prefer"] = "wait"  # up to a minute
    return HttpRequest(
        url=url,
        headers=headers,
        body=encode_json(extended(fit, body, request.extensions)),
        warnings=tuple(fit.warnings),
        whole=stream,
    )


_VERSION = re.compile(r"(?:[^:]+:)?([0-9a-f]{64})")


def _place(target: ResolvedTarget) -> tuple[str, dict[str, Any]]:
    """
    Say where a prediction is created, and of what: a model as it is now, or a version of one.
    """
    base, model = target.base_url, target.model
    pinned = _VERSION.fullmatch(model)
    if pinned is not None:
        return f"{base}/predictions", {"version": pinned[1]}
    owner, slash, name = model.partition("/")
    if not (owner and slash and name) or {owner, name} & {".", ".."}:
        raise ConfigurationError(
            f"{target.provider} names a model as owner/name, or by the 64 digits of a version:"
            f" {model[:80]!r} is neither.",
            provider=target.provider,
            model=model,
        )
    path = f"{quote(owner, safe='', errors='replace')}/{quote(name, safe='', errors='replace')}"
    return f"{base}/models/{path}/predictions", {}


# Answers

_RUNNING = frozenset({"starting", "processing"})


def decode_response(
    target: ResolvedTarget, response: HttpResponse
) -> ChatCompletionResponse | Follow:
    """
    Theirs to ours; of a prediction that is not done yet, what to send next.

    Raises:
        AiLibError: It failed, or somebody cancelled it.

        InvalidResponseError: A body that cannot be read.
    """
    body = as_dict(decode_body(target, response))
    status = as_text(body.get("status"))
    if status == "succeeded":
        return _answer(target, body)
    if status in ("failed", "canceled", "aborted"):
        told = as_text(body.get("error")) or f"the prediction was {status}"
        raise _failure(target, {"message": told})
    prediction = as_text(body.get("id"))
    if status not in _RUNNING or not prediction:
        if body.get("detail") or body.get("error"):
            raise error_in(
                target, body, status=response.status, headers=response.headers
            )
        raise unreadable(target, response, "no prediction")
    url = (
        f"{target.base_url}/predictions/{quote(prediction, safe='', errors='replace')}"
    )
    urls = as_dict(body.get("urls"))
    return Follow(
        request=HttpRequest(method="GET", url=url, headers=_JSON, whole=True),
        after=_patience(body, response),
        stream=_stream_request(target, as_text(urls.get("stream"))),
    )


def _failure(target: ResolvedTarget, told: Mapping[str, Any]) -> AiLibError:
    """
    Read why a prediction failed; where the words mean nothing else, it is the server's failure.
    """
    error = error_in(target, told)
    if type(error) is ApiError:
        return error_in(target, {"code": "server_error", **told})
    return error


def _patience(body: Mapping[str, Any], response: HttpResponse) -> float:
    """
    Say how many seconds to wait: the longer it runs already, the more.
    """
    from email.utils import parsedate_to_datetime

    began = moment_of(body.get("created_at"))
    try:
        now = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return 1.0
    return 1.0 if began is None else min(5.0, max(0.5, (now - began) / 8))


def _stream_request(target: ResolvedTarget, url: str) -> HttpRequest | None:
    """
    The request for a stream, if it goes to where the key may go.
    """
    if not url or not _is_theirs(target, url):
        return None
    headers = {"accept": "text/event-stream", "cache-control": "no-store"}
    return HttpRequest(method="GET", url=url, headers=headers)


def _is_theirs(target: ResolvedTarget, url: str) -> bool:
    try:
        there, base = urlsplit(url), urlsplit(target.base_url)
        host = there.hostname or ""
        same = (there.scheme, host, there.port) == (
            base.scheme,
            base.hostname,
            base.port,
        )
    except ValueError:
        return False
    domains = target.spec.quirks.domains
    own = any(f".{host}".endswith(f".{domain}") for domain in domains)
    plain = "@" not in there.netloc and url.isascii() and url.isprintable()
    return plain and " " not in url and (same or (own and there.scheme == "https"))


def _answer(target: ResolvedTarget, body: dict[str, Any]) -> ChatCompletionResponse:
    usage = _usage(body)
    message = Message(Role.ASSISTANT, _output(body.get("output")))
    return ChatCompletionResponse(
        id=as_text(body.get("id")),
        model=as_text(body.get("model")) or target.model,
        created=moment_of(body.get("created_at")) or 0,
        choices=(
            Choice(
                message=message,
                finish_reason=FinishReason.STOP,
                raw_finish_reason="succeeded",
            ),
        ),
        usage=usage,
        usage_status=UsageStatus.FINALIZED if usage else UsageStatus.UNSUPPORTED,
        provider=target.provider,
        raw=body,
    )


def _output(output: Any) -> str:
    """
    Read what a model gave: text, the pieces of a text, or an object with one.
    """
    pieces = output if isinstance(output, list) else [output]
    return "".join(_piece(one) for one in pieces)


def _piece(output: Any) -> str:
    if isinstance(output, dict):
        return as_text(output.get("text") or output.get("output"))
    return as_text(output)


def _usage(body: Mapping[str, Any]) -> Usage | None:
    metrics = as_dict(body.get("metrics"))
    read = as_count(metrics.get("input_token_count"))
    written = as_count(metrics.get("output_token_count"))
    if read is None and written is None:
        return None
    return Usage(
        prompt_tokens=read or 0,
        completion_tokens=written or 0,
        total_tokens=(read or 0) + (written or 0),
    )


def decode_error(target: ResolvedTarget, response: HttpResponse) -> AiLibError:
    """
    An answer with an error status, as the error that it means.
    """
    return error_of(target, response)


# Streams


@attrs.define
class ReplicateChunkParser:
    """
    Turns server-sent events into chunks; what they bring is plain text.
    """

    _target: ResolvedTarget
    done: bool = False
    framing: Framing = "sse"

    def feed(self, frame: Frame) -> Iterable[ChatCompletionChunk]:
        """
        Read one event.

        Raises:
            AiLibError: It reports an error.
        """
        name, data = frame
        if name == "output":
            return self._chunk(ChunkChoice(0, Delta(data)), {"output": data})
        if name not in ("error", "done"):
            return ()
        told = _object(data)
        if name == "error" or told.get("reason"):
            raise _failure(self._target, _reason(told))
        self.done = True
        choice = ChunkChoice(0, Delta(), FinishReason.STOP, "done")
        return self._chunk(choice, told)

    def finish(self) -> Iterable[ChatCompletionChunk]:
        """
        Give nothing: nothing was held back.
        """
        return ()

    def _chunk(
        self, choice: ChunkChoice, event: dict[str, Any]
    ) -> tuple[ChatCompletionChunk, ...]:
        model = self._target.model
        return (ChatCompletionChunk((choice,), "", model, None, 0, event),)


def _object(data: str) -> dict[str, Any]:
    try:
        told = decode_json(data)
    except ValueError:
        told = data
    return told if isinstance(told, dict) else {"detail": as_text(told)}


def _reason(told: Mapping[str, Any]) -> dict[str, Any]:
    """
    Put into words why a stream ended too early.
    """
    reason = as_text(told.get("reason"))
    return {"message": f"the prediction ended: {reason}"} if reason else dict(told)


def chunk_parser(target: ResolvedTarget) -> ReplicateChunkParser:
    """
    A new parser for one stream.
    """
    return ReplicateChunkParser(target)


# Models


def models_request(target: ResolvedTarget) -> HttpRequest:
    """
    The request for the language models that Replicate itself recommends; there are thousands of others.
    """
    url = f"{target.base_url}{target.spec.models_path or '/models'}"
    return HttpRequest(method="GET", url=url, headers=_JSON)


def decode_models(
    target: ResolvedTarget, response: HttpResponse
) -> tuple[list[ModelInfo], HttpRequest | None]:
    """
    The models of a collection, or of a page of all.

    Raises:
        InvalidResponseError: A body that holds no list.
    """
    body = as_dict(decode_body(target, response))
    listed = body.get("models", body.get("results"))
    if not isinstance(listed, list):
        raise unreadable(target, response, "no list of models")
    found = [_model(as_dict(one)) for one in as_list(listed)]
    url = as_text(body.get("next"))
    more = url.startswith(f"{target.base_url}/") and _is_theirs(target, url)
    following = HttpRequest(method="GET", url=url, headers=_JSON) if more else None
    return [one for one in found if one is not None], following


def _model(entry: dict[str, Any]) -> ModelInfo | None:
    owner, name = as_text(entry.get("owner")), as_text(entry.get("name"))
    if not owner or not name:
        return None
    created = moment_of(as_dict(entry.get("latest_version")).get("created_at"))
    return ModelInfo(id=f"{owner}/{name}", created=created, owner=owner, raw=entry)
