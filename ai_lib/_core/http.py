"""
HTTP requests and responses as plain values; nothing here sends them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from ai_lib._core.errors import ResponseTooLargeError
from ai_lib._core.record import Record, changed
from ai_lib._core.secrets import Secret, redact


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SizeLimits(Record):
    """
    How much is taken from a server, in bytes after decompression.

    Attributes:
        answer: A whole answer; beyond it: ``ResponseTooLargeError``.

        error: An error's body; the rest is left unread.

        event: One event of a stream; beyond it: ``ResponseTooLargeError``.
    """

    answer: int = attrs.field(default=64 * 2**20, validator=attrs.validators.gt(0))
    error: int = attrs.field(default=64 * 2**10, validator=attrs.validators.gt(0))
    event: int = attrs.field(default=32 * 2**20, validator=attrs.validators.gt(0))


DEFAULT_LIMITS = SizeLimits()


def too_large(
    limit: int, *, event: bool = False, status: int | None = None
) -> ResponseTooLargeError:
    """
    Make the error of an answer, or of one *event* of a stream, that has more than *limit* bytes.
    """
    what, field = (
        ("One event of the stream", "event") if event else ("The answer", "answer")
    )
    return ResponseTooLargeError(
        f"{what} is larger than {limit:,} bytes. To take more from a server that you"
        f" trust: size_limits=SizeLimits({field}=…).",
        status_code=status,
    )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Credential(Record):
    """
    How a key is put on a request, at the last moment and by the transport alone.

    Attributes:
        header: The header that carries it.

        prefix: What stands before it, such as ``"Bearer "``.

        variable: The environment variable that ``to_curl`` names in the key's place.

        secret: The key; ``None`` in what ``prepare`` gives while a callable keeps it.
    """

    header: str
    prefix: str = ""
    variable: str = "API_KEY"
    secret: Secret | None = None

    def header_value(self) -> str:
        """
        The header's value, key in clear. Call it where the header is written, and keep it nowhere.
        """
        return self.prefix + (self.secret.reveal() if self.secret else "")

    def headers(self) -> dict[str, str]:
        """
        What to put on the request, key in clear.
        """
        return {self.header: self.header_value()}

    def curl_words(self) -> list[str]:
        """
        How ``curl`` is told, the variable in place of the key.
        """
        return ["-H", f'"{self.header}: {self.prefix}${self.variable}"']


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Signature(Record):
    """
    How a request is signed for Amazon Web Services, anew each time that it is sent.

    Attributes:
        service: Whose request it is, as AWS calls it.

        region: Where.

        variable: The environment variable that might hold a key instead.

        signed: The headers that prove who sends it; shown by nothing, empty until it is signed.
    """

    service: str
    region: str
    variable: str = "API_KEY"
    signed: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    def headers(self) -> dict[str, str]:
        """
        What to put on the request.
        """
        return dict(self.signed)

    def curl_words(self) -> list[str]:
        """
        How ``curl`` is told to sign it, variables in place of the keys.
        """
        from shlex import quote

        return [
            "--aws-sigv4",
            quote(f"aws:amz:{self.region}:{self.service}"),
            "--user",
            '"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
        ]


def _size(body: bytes | None) -> str:
    return "None" if body is None else f"<{len(body)} bytes>"


def _names_only(headers: Mapping[str, str]) -> str:
    # Whatever callers add may be a secret of theirs, in a header that nobody else knows.
    return f"<{', '.join(headers)}>"


def _hide(url: str) -> str:
    return redact(url)


def _hide_in(headers: Mapping[str, str]) -> str:
    return redact(repr(dict(headers)))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class HttpRequest(Record):
    """
    A request that is ready to be sent but for its key.

    Attributes:
        method: ``GET`` or ``POST``.

        url: Whole, query included.

        headers: All but the key's.

        body: The bytes, encoded once, so that every retry sends the same.

        credential: How the key is put on, or the request signed; ``None``: neither is.

        warnings: What was dropped, renamed or changed to suit the provider.

        whole: Its answer comes whole even where a stream is wanted, and says where that is.
    """

    method: str = "POST"
    url: str = attrs.field(repr=_hide)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=_names_only)
    body: bytes | None = attrs.field(default=None, repr=_size)
    credential: Credential | Signature | None = None
    warnings: tuple[str, ...] = ()
    whole: bool = False

    def json(self) -> Any:
        """
        The body as a JSON value; ``None`` when there is none.
        """
        return None if self.body is None else json.loads(self.body)

    def to_curl(self) -> str:
        """
        Write the request as a ``curl`` command for a POSIX shell, the key's variable in place of the key.
        """
        from shlex import quote

        words = ["curl", "-X", self.method, quote(self.url)]
        for name, value in self.headers.items():
            words += ["-H", quote(redact(f"{name}: {value}"))]
        if self.credential is not None:
            words += self.credential.curl_words()
        if self.body is not None:
            words += [
                "--data-binary",
                quote(self.body.decode("utf-8", "replace")),
            ]
        return " ".join(words)


class SentHeaders(dict[str, str]):
    """
    Headers with the key among them, which show their names alone: an interrupt's traceback leads through functions
    that hold them, and there are tools that show each one's variables.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return _names_only(self)


def headers_of(request: HttpRequest) -> SentHeaders:
    """
    Give what to put on a request, the key included. Call it where the headers are written, and keep it nowhere.
    """
    headers = SentHeaders(request.headers)
    if request.credential is not None:
        headers.update(request.credential.headers())
    return headers


class ByteStream(Protocol):
    """
    The open body of a streamed response: the shell's, handed through the core untouched.
    """


@attrs.frozen(kw_only=True, eq=False, repr=False)
class HttpResponse(Record):
    """
    A response.

    Attributes:
        status: HTTP status.

        headers: Names in lower case; of several with one name, the last.

        body: All of it, decompressed; of an error at most 64 KiB. Empty while *stream* is open.

        stream: The open body, if it was asked for and the status is a success.

        url: What was asked for, where that is known.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=_hide_in)
    body: bytes = attrs.field(default=b"", repr=_size)
    stream: ByteStream | None = None
    url: str = attrs.field(default="", repr=_hide)

    def with_body(self, body: bytes) -> HttpResponse:
        """
        The same with a body.
        """
        return changed(self, body=body)

    def with_stream(self, stream: ByteStream) -> HttpResponse:
        """
        The same with an open body.
        """
        return changed(self, stream=stream)

    @property
    def content_type(self) -> str:
        """
        The media type in lower case, without parameters; empty: not told.
        """
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """
        The body as text, whatever it is.
        """
        return self.body.decode("utf-8", "replace")
