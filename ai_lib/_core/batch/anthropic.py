"""
Anthropic's Message Batches: all requests go with the job, the answers come as JSON lines.

anthropic-sdk-python ``resources/messages/batches.py`` and ``types/messages/message_batch*.py``, read 2026-11.
The results are fetched from the path that belongs to the id, whatever ``results_url`` says: the key goes there.
"""

from __future__ import annotations

from typing import Any

from ai_lib._core.batch.apis import (
    Exchange,
    JobInput,
    JobStatus,
    ProviderJob,
    Result,
    answered,
    counted,
    download,
    job_id_of,
    json_post,
    path_part,
)
from ai_lib._core.dialects._shared import (
    as_dict,
    as_text,
    decode_body,
    encode_json,
)
from ai_lib._core.flow import Flow
from ai_lib._core.providers import ResolvedTarget

#: With which status an error comes when it is asked on its own. Messages API, "Errors".
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def encode_entry(custom_id: str, body: bytes, endpoint: str) -> bytes:  # noqa: ARG001  # there is one
    """
    Wrap the body of one request.
    """
    return encode_json({"custom_id": custom_id})[:-1] + b',"params":' + body + b"}"


def submit(
    exchange: Exchange,
    upload: Exchange,  # noqa: ARG001  # there is no file
    job: JobInput,
) -> Flow[str]:
    """
    Make a job.
    """
    body = b'{"requests":[' + b",".join(job.entries) + b"]}"
    request = json_post(_url(job.target), job.headers, body)
    response = yield from exchange(request, False)
    found = as_dict(decode_body(job.target, response))
    return job_id_of(job.target, response, found, "id")


def _url(target: ResolvedTarget, id: str = "", method: str = "") -> str:
    end = f"/{path_part(id)}{method}" if id else ""
    return f"{target.base_url}/messages/batches{end}"


def job_url(target: ResolvedTarget, job: ProviderJob, *, cancel: bool) -> str:
    """
    Where a job is asked after, or cancelled.
    """
    return _url(target, job.id, "/cancel" if cancel else "")


def read_status(
    target: ResolvedTarget, job: ProviderJob, body: dict[str, Any]
) -> JobStatus | None:
    """
    Read how far a job is.
    """
    word = as_text(body.get("processing_status"))
    if not word:
        return None
    counts = as_dict(body.get("request_counts"))
    over = word == "ended"
    # How each request ended is told with it: the job as a whole has only ended.
    return JobStatus(
        state="completed" if over else "running",
        word=word,
        total=counted(
            counts, "processing", "succeeded", "errored", "canceled", "expired"
        ),
        done=counted(counts, "succeeded"),
        failed=counted(counts, "errored", "canceled", "expired"),
        sources=(download(_url(target, job.id, "/results")),) if over else (),
    )


def decode_result(entry: Any) -> Result | None:
    """
    Read a line of results.
    """
    entry = as_dict(entry)
    custom_id, result = as_text(entry.get("custom_id")), as_dict(entry.get("result"))
    if not custom_id:
        return None
    match result.get("type"):
        case "expired":
            return Result(custom_id=custom_id, outcome="expired")
        case "canceled":
            return Result(custom_id=custom_id, outcome="cancelled")
        case "errored":
            error = as_dict(result.get("error"))
            kind = as_text(as_dict(error.get("error")).get("type"))
            found = answered(
                _STATUSES.get(kind, 400),
                error,
                request_id=as_text(error.get("request_id")),
            )
            return Result(custom_id=custom_id, outcome=found)
        case _:
            found = answered(200, result.get("message"))
            return Result(custom_id=custom_id, outcome=found)
