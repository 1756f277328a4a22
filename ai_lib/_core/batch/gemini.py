"""
The Gemini API's batches: requests go in a file.

Few may go with the job itself, but then the answers come without names, and not in order: googleapis/python-genai, issues
2008 and 1909.

python-genai ``batches.py`` (paths, ``inputConfig``, ``metadata.state``, ``responsesFile``), ``_transformers.py`` (states)
and ``_extra_utils.py`` (headers of an upload), "Batch API"; all read 2026-11. A file is downloaded by its name, never from a URL that the provider gives; an upload goes
where the provider says, if that is the same origin.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

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
    path_part,
)
from ai_lib._core.dialects._shared import (
    as_count,
    as_dict,
    as_text,
    decode_body,
    encode_json,
)
from ai_lib._core.errors import InvalidResponseError
from ai_lib._core.flow import Flow
from ai_lib._core.http import HttpRequest
from ai_lib._core.providers import ResolvedTarget

_STATES: dict[str, JobState] = {
    "SUCCEEDED": "completed",
    "PARTIALLY_SUCCEEDED": "completed",
    "FAILED": "failed",
    "EXPIRED": "expired",
    "CANCELLED": "cancelled",
}

#: Codes of gRPC as the statuses that stand for them. google.rpc.Code.
_STATUSES = {
    1: 499,
    2: 500,
    3: 400,
    4: 504,
    5: 404,
    6: 409,
    7: 403,
    8: 429,
    9: 400,
    10: 409,
    11: 400,
    12: 501,
    13: 500,
    14: 503,
    15: 500,
    16: 401,
}

_BATCH = re.compile(r"batches/[\w.-]*\w[\w.-]*", re.ASCII)
_FILE = re.compile(r"files/[\w.-]*\w[\w.-]*", re.ASCII)


def encode_entry(custom_id: str, body: bytes, endpoint: str) -> bytes:  # noqa: ARG001  # the path names it
    """
    Wrap the body of one request, as a line of a file.
    """
    return encode_json({"key": custom_id})[:-1] + b',"request":' + body + b"}"


def submit(exchange: Exchange, upload: Exchange, job: JobInput) -> Flow[str]:
    """
    Make a job, its requests in a file.
    """
    target = job.target
    source = {"fileName": (yield from _uploaded(upload, job))}
    model = path_part(target.model.removeprefix("models/"))
    request = json_post(
        f"{target.base_url}/models/{model}:batchGenerateContent",
        job.headers,
        encode_json({"batch": {"displayName": "ai-lib", "inputConfig": source}}),
    )
    response = yield from exchange(request, False)
    body = as_dict(decode_body(target, response))
    name = job_id_of(target, response, body, "name")
    return _checked(target, name, _BATCH)


def _checked(target: ResolvedTarget, name: str, form: re.Pattern[str]) -> str:
    """
    Give a name that becomes part of a path.

    Raises:
        InvalidResponseError: It is none.
    """
    if form.fullmatch(name):
        return name
    raise InvalidResponseError(
        f"{target.provider} names a file or a batch in no known way: {name[:80]!r}",
        provider=target.provider,
    )


def _beside(target: ResolvedTarget, kind: str, path: str) -> str:
    """
    Build a URL of the hosts' other half: ``/v1beta`` becomes ``/upload/v1beta``.
    """
    root, _, version = target.base_url.rpartition("/")
    return f"{root}/{kind}/{version}/{path}"


def _uploaded(upload: Exchange, job: JobInput) -> Flow[str]:
    """
    Upload the requests as a file in two steps, and give its name.
    """
    target = job.target
    content = b"\n".join(job.entries) + b"\n"
    about = {
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": str(len(content)),
        "x-goog-upload-header-content-type": "application/jsonl",
    }
    begin = json_post(
        _beside(target, "upload", "files"),
        about,
        encode_json({"file": {"displayName": "ai-lib"}}),
    )
    response = yield from upload(begin, False)
    where = response.headers.get("x-goog-upload-url", "")
    if not _same_origin(where, target.base_url):
        host = urlsplit(where).hostname or "nowhere"
        raise InvalidResponseError(
            f"{target.provider} wants the file uploaded to {host}, which is not where its"
            " key belongs; nothing was sent there.",
            provider=target.provider,
        )
    finish = HttpRequest(
        url=where,
        headers={
            "content-type": "application/jsonl",
            "x-goog-upload-offset": "0",
            "x-goog-upload-command": "upload, finalize",
        },
        body=content,
    )
    response = yield from upload(finish, False)
    body = as_dict(as_dict(decode_body(target, response)).get("file"))
    return _checked(target, job_id_of(target, response, body, "name"), _FILE)


def _same_origin(url: str, other: str) -> bool:
    try:
        one, two = urlsplit(url), urlsplit(other)
        return (one.scheme, one.netloc) == (two.scheme, two.netloc)
    except ValueError:
        return False


def job_url(target: ResolvedTarget, job: ProviderJob, *, cancel: bool) -> str:
    """
    Where a job is asked after, or cancelled.
    """
    name = _checked(target, job.id, _BATCH)
    return f"{target.base_url}/{name}{':cancel' if cancel else ''}"


def read_status(
    target: ResolvedTarget,
    job: ProviderJob,  # noqa: ARG001  # it says all
    body: dict[str, Any],
) -> JobStatus | None:
    """
    Read how far a job is.
    """
    facts = as_dict(body.get("metadata")) or body
    word = as_text(facts.get("state"))
    if not word and "done" not in body:
        return None
    error = as_dict(body.get("error"))
    bare = word.removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_")
    state = _STATES.get(bare, "running")
    if state == "running" and body.get("done") is True:
        state = "failed" if error else "completed"
    output = as_dict(facts.get("output")) or as_dict(body.get("response"))
    file = as_text(output.get("responsesFile"))
    stats = _whole_numbers(as_dict(facts.get("batchStats")))
    words = as_text(error.get("message"))
    return JobStatus(
        state=state,
        word=word,
        total=counted(stats, "requestCount"),
        done=counted(stats, "successfulRequestCount"),
        failed=counted(stats, "failedRequestCount"),
        problems=(Problem(words=words, code=as_text(error.get("status"))),)
        if words
        else (),
        sources=(_file_request(target, file),) if file else (),
    )


def _whole_numbers(stats: dict[str, Any]) -> dict[str, int]:
    # 64-bit numbers are strings in Google's JSON.
    found = {name: str(text) for name, text in stats.items()}
    return {
        name: int(text)
        for name, text in found.items()
        if text.isdecimal() and len(text) < 20
    }


def _file_request(target: ResolvedTarget, file: str) -> HttpRequest:
    path = f"{_checked(target, file, _FILE)}:download?alt=media"
    return download(_beside(target, "download", path))


def decode_result(entry: Any) -> Result | None:
    """
    Read a line of a file of results.
    """
    entry = as_dict(entry)
    custom_id = as_text(entry.get("key"))
    if not custom_id:
        return None
    error = as_dict(entry.get("error")) or as_dict(entry.get("status"))
    if error and not entry.get("response"):
        code = as_count(error.get("code")) or 0
        status = code if 400 <= code <= 599 else _STATUSES.get(code, 500)
        return Result(custom_id=custom_id, outcome=answered(status, {"error": error}))
    return Result(custom_id=custom_id, outcome=answered(200, entry.get("response")))
