"""
Mistral's batch jobs: requests in a file, or few of them with the job itself.

mistralai ``batch_jobs.py`` and ``models/batchjob.py``, ``createbatchjobrequest.py``, ``batchjobstatus.py``,
"Batch Processing" and the release note on inline batching; all read 2026-11. The lines of results are as
OpenAI's, without a method and a URL on the way in.
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
    counted,
    job_id_of,
    json_post,
    path_part,
)
from ai_lib._core.batch.openai import decode_result as _decode_line
from ai_lib._core.batch.openai import file_request, uploaded
from ai_lib._core.dialects._openai_surface import url_of
from ai_lib._core.dialects._shared import (
    as_dict,
    as_list,
    as_text,
    decode_body,
    encode_json,
)
from ai_lib._core.flow import Flow
from ai_lib._core.providers import ResolvedTarget

_STATES: dict[str, JobState] = {
    "SUCCESS": "completed",
    "FAILED": "failed",
    "TIMEOUT_EXCEEDED": "expired",
    "CANCELLED": "cancelled",
}


def encode_entry(custom_id: str, body: bytes, endpoint: str) -> bytes:  # noqa: ARG001  # the job names it
    """
    Wrap the body of one request.
    """
    return encode_json({"custom_id": custom_id})[:-1] + b',"body":' + body + b"}"


def submit(exchange: Exchange, upload: Exchange, job: JobInput) -> Flow[str]:
    """
    Make a job, its requests with it or in a file.
    """
    target, terms = job.target, job.terms
    body: dict[str, Any] = {
        "endpoint": terms.endpoints[target.dialect],
        "model": target.model,
    }
    if terms.window:
        body["timeout_hours"] = int(terms.window)
    if job.inline:
        head = encode_json(body)[:-1]
        written = head + b',"requests":[' + b",".join(job.entries) + b"]}"
    else:
        file = yield from uploaded(upload, job)
        written = encode_json({**body, "input_files": [file]})
    request = json_post(url_of(target, "/batch/jobs"), job.headers, written)
    response = yield from exchange(request, False)
    return job_id_of(target, response, as_dict(decode_body(target, response)), "id")


def job_url(target: ResolvedTarget, job: ProviderJob, *, cancel: bool) -> str:
    """
    Where a job is asked after, or cancelled; one without a file tells the answers too, if it is asked to.
    """
    end = "?inline=true" if job.inline else ""
    path = f"/batch/jobs/{path_part(job.id)}"
    return url_of(target, path) + ("/cancel" if cancel else end)


def read_status(
    target: ResolvedTarget,
    job: ProviderJob,  # noqa: ARG001  # it says all
    body: dict[str, Any],
) -> JobStatus | None:
    """
    Read how far a job is.
    """
    word = as_text(body.get("status"))
    if not word:
        return None
    files = [as_text(body.get(name)) for name in ("output_file", "error_file")]
    return JobStatus(
        state=_STATES.get(word.upper(), "running"),
        word=word,
        total=counted(body, "total_requests"),
        done=counted(body, "succeeded_requests"),
        failed=counted(body, "failed_requests"),
        problems=tuple(
            Problem(words=as_text(one.get("message")))
            for one in map(as_dict, as_list(body.get("errors")))
        ),
        sources=tuple(file_request(target, one) for one in files if one),
        entries=tuple(as_list(body.get("outputs"))),
    )


def decode_result(entry: Any) -> Result | None:
    """
    Read one result.
    """
    return _decode_line(entry)
