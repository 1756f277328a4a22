"""
The providers' own batch APIs: what one is, and the table of those that there are.

A batch API is a module of pure functions and small flows that satisfies ``BatchApi``; mypy checks each one
where the table is written. It knows how jobs are made, asked after and read, and nothing of what a request or
an answer looks like inside: that is its dialect's. ``jobs`` drives it.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast
from urllib.parse import quote

import attrs

from ai_lib._core.dialects import Dialect
from ai_lib._core.dialects._shared import (
    as_count,
    as_dict,
    as_text,
    decode_body,
    unreadable,
)
from ai_lib._core.errors import ConfigurationError
from ai_lib._core.flow import Flow
from ai_lib._core.http import HttpRequest, HttpResponse
from ai_lib._core.providers import BatchTerms, ResolvedTarget

#: Sends one request, its body left open where that is asked for; an error status is raised as what it means.
Exchange = Callable[[HttpRequest, bool], Flow[HttpResponse]]

#: Under this and the job's id a job is noted in a journal.
NOTE = "provider batch "

_MARK = 6


def mark_of(custom_id: str) -> bytes:
    """
    Give the six bytes by which a job remembers that *custom_id* is in it.
    """
    return blake2b(custom_id.encode(), digest_size=_MARK).digest()


@attrs.frozen(kw_only=True)
class ProviderJob:
    """
    A job that was submitted: all that is needed to find it again after a restart.

    Attributes:
        provider: Who works on it.

        base_url: Where.

        id: The provider's name of it.

        inline: Whether its requests went with it, not in a file.

        marks: What it holds, in the order in which it was sent; see ``mark_of``.
    """

    provider: str
    base_url: str
    id: str
    inline: bool = False
    marks: tuple[bytes, ...] = attrs.field(repr=False)

    @property
    def note(self) -> str:
        """
        The name under which it is noted.
        """
        return NOTE + self.id

    def to_json(self) -> dict[str, Any]:
        """
        Write it as plain JSON, eight characters an item.
        """
        return {
            "provider": self.provider,
            "base_url": self.base_url,
            "id": self.id,
            "inline": self.inline,
            "marks": b64encode(b"".join(self.marks)).decode("ascii"),
        }

    @classmethod
    def from_json(cls, value: Any) -> ProviderJob | None:
        """
        Read what ``to_json`` wrote; ``None``: it is something else.
        """
        value = as_dict(value)
        try:
            packed = b64decode(as_text(value.get("marks")), validate=True)
        except ValueError:
            return None
        if not value.get("id") or len(packed) % _MARK:
            return None
        return cls(
            provider=as_text(value.get("provider")),
            base_url=as_text(value.get("base_url")),
            id=as_text(value["id"]),
            inline=value.get("inline") is True,
            marks=tuple(packed[at : at + _MARK] for at in range(0, len(packed), _MARK)),
        )


def jobs_in(notes: Mapping[str, Any], target: ResolvedTarget) -> list[ProviderJob]:
    """
    Find the jobs among the notes of a journal that are under way at *target*.
    """
    found = [
        ProviderJob.from_json(value)
        for name, value in notes.items()
        if name.startswith(NOTE)
    ]
    place = (target.provider, target.base_url)
    return [one for one in found if one and (one.provider, one.base_url) == place]


@attrs.frozen(kw_only=True)
class JobInput:
    """
    What one job is made of.

    Attributes:
        target: Where it goes; the model is empty where a job may have several.

        terms: The provider's.

        headers: What the dialect wants said beside the bodies.

        entries: What the API made of each request, in order.

        size: Bytes of all of them.
    """

    target: ResolvedTarget
    terms: BatchTerms
    headers: Mapping[str, str]
    entries: Sequence[bytes] = attrs.field(repr=False)
    size: int

    @property
    def inline(self) -> bool:
        """
        Whether it is small enough to be sent without a file.
        """
        terms = self.terms
        few = len(self.entries) <= terms.inline_requests
        return few and self.size <= terms.inline_bytes


JobState = Literal["running", "completed", "failed", "expired", "cancelled"]


@attrs.frozen(kw_only=True)
class Problem:
    """
    Why a job was refused as a whole.

    Attributes:
        words: The provider's.

        code: Likewise; empty: none.

        line: Which of its requests is at fault, from 1; ``None``: not told.
    """

    words: str
    code: str = ""
    line: int | None = None


@attrs.frozen(kw_only=True)
class JobStatus:
    """
    How far a job is.

    Attributes:
        state: ``"running"`` until it is over, whatever it does in the meantime.

        word: The provider's own word for it.

        total: How many requests it has, where that is told; so *done* and *failed*.

        problems: Why it failed.

        sources: Where its results are: files of one JSON object a line.

        entries: Results that came with the status.
    """

    state: JobState
    word: str = ""
    total: int | None = None
    done: int | None = None
    failed: int | None = None
    problems: tuple[Problem, ...] = ()
    sources: tuple[HttpRequest, ...] = ()
    entries: tuple[Any, ...] = attrs.field(default=(), repr=False)


#: What became of a request that was neither answered nor refused.
Unanswered = Literal["expired", "cancelled"]


@attrs.frozen(kw_only=True)
class Result:
    """
    What a job says of one request.

    Attributes:
        custom_id: Which.

        outcome: The answer as its endpoint would have given it, an error status included.
    """

    custom_id: str
    outcome: HttpResponse | Unanswered


class BatchApi(Protocol):
    """
    What a module must have to be a batch API.
    """

    def encode_entry(self, custom_id: str, body: bytes, endpoint: str) -> bytes:
        """
        Wrap the body of one request for a job, as JSON on one line.
        """

    def submit(self, exchange: Exchange, upload: Exchange, job: JobInput) -> Flow[str]:
        """
        Submit a job, and give its id.

        Args:
            exchange: For what must not be done twice.

            upload: For what may be.
        """

    def job_url(self, target: ResolvedTarget, job: ProviderJob, *, cancel: bool) -> str:
        """
        Where a job is asked after, or cancelled.
        """

    def read_status(
        self, target: ResolvedTarget, job: ProviderJob, body: dict[str, Any]
    ) -> JobStatus | None:
        """
        Read how far a job is; ``None``: nothing is said of one.
        """

    def decode_result(self, entry: Any) -> Result | None:
        """
        Read one result; ``None``: it names no request.
        """


#: The built-in ones: names of modules beside this one, each imported when first used.
BATCH_APIS = ("openai", "anthropic", "gemini", "mistral")


def batch_api_named(name: str) -> BatchApi:
    """
    Find a batch API.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if name not in BATCH_APIS:
        known = ", ".join(BATCH_APIS)
        raise ConfigurationError(f"There is no batch API {name!r}; there are {known}.")
    from importlib import import_module

    return cast("BatchApi", import_module(f"ai_lib._core.batch.{name}"))


@attrs.frozen(kw_only=True)
class Aimed:
    """
    Where one request would go on its own.

    Attributes:
        target: Its model included, in the dialect that it needs.

        dialect: The module that speaks it.
    """

    target: ResolvedTarget
    dialect: Dialect


# What the APIs have in common


def status_request(
    api: BatchApi, target: ResolvedTarget, job: ProviderJob
) -> HttpRequest:
    """
    Make the request that asks how far a job is; some answer with the results too.
    """
    return HttpRequest(method="GET", url=api.job_url(target, job, cancel=False))


def cancel_request(
    api: BatchApi, target: ResolvedTarget, job: ProviderJob
) -> HttpRequest:
    """
    Make the request that ends a job early.
    """
    return HttpRequest(url=api.job_url(target, job, cancel=True), body=b"")


def decode_status(
    api: BatchApi, target: ResolvedTarget, job: ProviderJob, response: HttpResponse
) -> JobStatus:
    """
    Read how far a job is.

    Raises:
        InvalidResponseError: It says nothing of a job.
    """
    status = api.read_status(target, job, as_dict(decode_body(target, response)))
    if status is None:
        raise unreadable(target, response, f"without a status of batch {job.id}")
    return status


def json_post(url: str, headers: Mapping[str, str], body: bytes) -> HttpRequest:
    """
    Make a request that sends JSON.
    """
    return HttpRequest(
        url=url, headers={"content-type": "application/json", **headers}, body=body
    )


def path_part(id: str) -> str:
    """
    Give an id as one part of a path.
    """
    return quote(id, safe="")


def counted(body: Mapping[str, Any], *names: str) -> int | None:
    """
    Add up the fields *names* that count something; ``None``: none does.
    """
    found = [count for one in names if (count := as_count(body.get(one))) is not None]
    return sum(found) if found else None


def multipart(fields: Mapping[str, str], entries: Sequence[bytes]) -> tuple[str, bytes]:
    """
    Write a form with a file of *entries*, one a line; gives its content type and the body.

    The boundary is made of the content, so that the same entries make the same bytes.
    """
    digest = blake2b(digest_size=16)
    for entry in entries:
        digest.update(entry)
    boundary = f"ai-lib-{digest.hexdigest()}"
    head = "".join(
        f"--{boundary}\r\nContent-Disposition: form-data;"
        f' name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += (
        f"--{boundary}\r\nContent-Disposition: form-data;"
        ' name="file"; filename="batch.jsonl"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    tail = f"\r\n--{boundary}--\r\n"
    body = b"".join((head.encode(), b"\n".join(entries), b"\n", tail.encode()))
    return f"multipart/form-data; boundary={boundary}", body


def download(url: str) -> HttpRequest:
    """
    Ask for a file of results.
    """
    return HttpRequest(method="GET", url=url, headers={"accept": "*/*"})


def answered(status: int, body: Any, *, request_id: str = "") -> HttpResponse:
    """
    Make the answer that an endpoint would have given.
    """
    headers = {"content-type": "application/json"}
    if request_id:
        headers["x-request-id"] = request_id
    # Read from JSON: it passes again, the NaN of a log probability and half a surrogate pair too.
    return HttpResponse(status=status, headers=headers, body=json.dumps(body).encode())


def job_id_of(
    target: ResolvedTarget, response: HttpResponse, body: Mapping[str, Any], key: str
) -> str:
    """
    Find the id in the answer to a submission or an upload.

    Raises:
        InvalidResponseError: There is none.
    """
    found = as_text(body.get(key))
    if not found:
        raise unreadable(target, response, "without an id")
    return found


if TYPE_CHECKING:
    from ai_lib._core.batch import anthropic, gemini, mistral, openai

    _checked: tuple[BatchApi, ...] = (openai, anthropic, gemini, mistral)
