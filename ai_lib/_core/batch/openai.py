"""
OpenAI's Batch API, as OpenAI and those who took it over speak it: a file of requests goes up, a job works it
off, a file of answers and one of errors come down.

Fields and statuses: openai-python ``types/batch.py`` and ``types/batch_create_params.py``, groq-python
likewise, Together's reference of ``POST /batches`` (its answer in ``job``, statuses in capitals), Azure's of
"Create a batch"; all read 2026-11. Where they differ is in their ``BatchTerms``.
"""

from __future__ import annotations

from typing import Any

from ai_lib._core.batch.apis import (
    Exchange,
    JobInput,
    JobState,
    JobStatus,
    Problem,
    ProviderJob,
    Result,
    answered,
    counted,
    download,
    job_id_of,
    json_post,
    multipart,
    path_part,
)
from ai_lib._core.dialects._openai_surface import url_of
from ai_lib._core.dialects._shared import (
    as_count,
    as_dict,
    as_list,
    as_text,
    decode_body,
    encode_json,
)
from ai_lib._core.flow import Flow, Sleep
from ai_lib._core.http import HttpRequest
from ai_lib._core.providers import ResolvedTarget

_STATES: dict[str, JobState] = {
    "completed": "completed",
    "failed": "failed",
    "expired": "expired",
    "cancelled": "cancelled",
    "canceled": "cancelled",
}
#: A file that is still looked through; a job made of it is refused. Azure, "Batch deployments", read 2026-11.
_PENDING = frozenset({"pending", "running"})
_FILE_WAIT = 2.0
_FILE_WAITS = 300


def encode_entry(custom_id: str, body: bytes, endpoint: str) -> bytes:
    """
    Wrap the body of one request.
    """
    head = encode_json({"custom_id": custom_id, "method": "POST", "url": endpoint})
    return head[:-1] + b',"body":' + body + b"}"


def submit(exchange: Exchange, upload: Exchange, job: JobInput) -> Flow[str]:
    """
    Upload the requests, and make a job of them.
    """
    target, terms = job.target, job.terms
    file = yield from uploaded(upload, job)
    yield from _looked_through(upload, target, file)
    body: dict[str, Any] = {
        "input_file_id": file,
        "endpoint": terms.endpoint or terms.endpoints[target.dialect],
    }
    if terms.window:
        body["completion_window"] = terms.window
    request = json_post(url_of(target, "/batches"), job.headers, encode_json(body))
    response = yield from exchange(request, False)
    return job_id_of(target, response, _job(decode_body(target, response)), "id")


def uploaded(upload: Exchange, job: JobInput) -> Flow[str]:
    """
    Upload the requests of a job as a file, and give its id.
    """
    kind, form = multipart(job.terms.upload_fields, job.entries)
    request = HttpRequest(
        url=url_of(job.target, job.terms.upload_path),
        headers={"content-type": kind},
        body=form,
    )
    response = yield from upload(request, False)
    body = as_dict(decode_body(job.target, response))
    return job_id_of(job.target, response, body, "id")


def _looked_through(upload: Exchange, target: ResolvedTarget, file: str) -> Flow[None]:
    """
    Wait until a file may be used; who says nothing of that lets it be used at once.
    """
    if not target.spec.quirks.deployments:
        return
    request = HttpRequest(method="GET", url=url_of(target, f"/files/{path_part(file)}"))
    for _ in range(_FILE_WAITS):
        response = yield from upload(request, False)
        status = as_text(as_dict(decode_body(target, response)).get("status"))
        if status.lower() not in _PENDING:
            return
        yield Sleep(_FILE_WAIT)


def job_url(target: ResolvedTarget, job: ProviderJob, *, cancel: bool) -> str:
    """
    Where a job is asked after, or cancelled.
    """
    end = "/cancel" if cancel else ""
    return url_of(target, f"/batches/{path_part(job.id)}{end}")


def read_status(
    target: ResolvedTarget,
    job: ProviderJob,  # noqa: ARG001  # it says all
    body: dict[str, Any],
) -> JobStatus | None:
    """
    Read how far a job is.
    """
    body = _job(body)
    word = as_text(body.get("status")).lower()
    if not word:
        return None
    counts = as_dict(body.get("request_counts"))
    files = dict.fromkeys(
        as_text(body.get(name)) for name in ("output_file_id", "error_file_id")
    )
    return JobStatus(
        state=_STATES.get(word, "running"),
        word=word,
        total=counted(counts, "total"),
        done=counted(counts, "completed"),
        failed=counted(counts, "failed"),
        problems=_problems(body),
        sources=tuple(file_request(target, one) for one in files if one),
    )


def file_request(target: ResolvedTarget, file: str) -> HttpRequest:
    """
    The request for the content of a file.
    """
    return download(url_of(target, f"/files/{path_part(file)}/content"))


def _job(body: Any) -> dict[str, Any]:
    body = as_dict(body)
    return as_dict(body.get("job")) or body


def _problems(body: dict[str, Any]) -> tuple[Problem, ...]:
    listed = as_dict(body.get("errors")).get("data")
    found = [
        Problem(
            words=as_text(one.get("message")),
            code=as_text(one.get("code")),
            line=as_count(one.get("line")),
        )
        for one in map(as_dict, as_list(listed))
    ]
    if words := as_text(body.get("error")):  # Together
        found.append(Problem(words=words))
    return tuple(found)


def decode_result(entry: Any) -> Result | None:
    """
    Read a line of a file of answers, or of errors.
    """
    entry = as_dict(entry)
    custom_id = as_text(entry.get("custom_id"))
    if not custom_id:
        return None
    response, error = as_dict(entry.get("response")), entry.get("error")
    code = as_text(as_dict(error).get("code"))
    if code == "batch_expired":
        return Result(custom_id=custom_id, outcome="expired")
    if code in ("batch_cancelled", "batch_canceled"):
        return Result(custom_id=custom_id, outcome="cancelled")
    if "body" in response or not error:
        status = as_count(response.get("status_code")) or 200
        found = answered(
            status,
            response.get("body"),
            request_id=as_text(response.get("request_id")),
        )
    else:
        said = as_dict(error)
        told = as_count(said.get("status_code")) or as_count(said.get("code")) or 0
        # An error without a status is about the request: what the provider could not do it says by a code.
        status = told if 400 <= told <= 599 else 400
        found = answered(status, {"error": error})
    return Result(custom_id=custom_id, outcome=found)
