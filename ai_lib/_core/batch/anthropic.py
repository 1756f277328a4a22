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
    path_part,
)
from ai_lib._core.dialects._shared import (
    as_dict,
    as_text,
    decode_body,
    encode_json,
    unreadable,
)
from ai_lib._core.flow import Flow
from ai_lib._core.http import HttpRequest, HttpResponse
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
    request = HttpRequest(
        url=_url(job.target),
        headers={"content-type": "application/json", **job.headers},
        body=b'{"requests":[' + b",".join(job.entries) + b"]}",
    )
    response = yield from exchange(request, False)
    body = as_dict(decode_body(job.target, response))
    return job_id_of(job.target, response, body, "id")


def _url(target: ResolvedTarget, id: str = "", method: str = "") -> str:
    end = f"/{path_part(id)}{method}" if id else ""
    return f"{target.base_url}/messages/batches{end}"


def status_request(target: ResolvedTarget, job: ProviderJob) -> HttpRequest:
    """
    The request that asks how far a job is.
    """
    return HttpRequest(method="GET", url=_url(target, job.id))


def cancel_request(target: ResolvedTarget, job: ProviderJob) -> HttpRequest:
    """
    The request that ends a job early.
    """
    return HttpRequest(url=_url(target, job.id, "/cancel"), body=b"")


def decode_status(
    target: ResolvedTarget, job: ProviderJob, response: HttpResponse
) -> JobStatus:
    """
    Read how far a job is.

    Raises:
        InvalidResponseError: It says nothing of a job.
    """
    body = as_dict(decode_body(target, response))
    word = as_text(body.get("processing_status"))
    if not word:
        raise unreadable(target, response, f"without a status of batch {job.id}")
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
