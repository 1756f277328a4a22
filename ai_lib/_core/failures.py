"""
What went wrong below HTTP, told from the HTTP library's exception: one reading for both packages.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from ai_lib._core.call import Call
from ai_lib._core.errors import (
    AiLibError,
    IncompleteStreamError,
    NetworkError,
    RequestTimeoutError,
)
from ai_lib._core.secrets import redact

#: Said of a stream whose connection closed before its end mark.
ENDED_EARLY = "ended the stream before the end of the answer"
#: Said of a proxy that answers 407.
PROXY_ASKS = (
    "it asks for a user and a password (407), which belong into the proxy's URL"
)


def failure_of(
    error: BaseException,
    call: Call,
    *,
    url: str,
    heard: bool = True,
    reused: bool = False,
    stream: bool = False,
    proxy: str | None = None,
) -> AiLibError:
    """
    Make the error to raise in place of *error*; raise it outside the ``except``, since the HTTP
    library's own may hold the key.

    Args:
        error: What the HTTP library raised.

        call: The call it was raised in.

        url: Where it was going.

        heard: Whether an answer had begun.

        reused: Whether it went over a connection that was open before.

        stream: Whether it was in the body of a stream.

        proxy: By which proxy it went, where that is known.
    """
    host = _host(url)
    who = f"{call.provider} ({host})" if call.provider else host
    through = f" through the proxy {_host(proxy)}" if proxy and not heard else ""
    causes = list(_causes(error))
    if words := call.deadlines.expired():
        return RequestTimeoutError(f"{who}: {words}{through}.")
    if any(_is_timeout(one) for one in causes):
        return RequestTimeoutError(f"{who}: timed out{through}.")
    if certificate := _certificate(causes):
        return NetworkError(
            f"{who}: its certificate is not trusted ({certificate}). If the network has"
            " a certificate of its own, name it with ca_bundle= or SSL_CERT_FILE.",
            retryable=False,
            failover=False,
        )
    reason, lasting = _reason(causes, heard=heard, proxied=bool(through))
    kind: type[NetworkError]
    if stream:
        kind, what = IncompleteStreamError, f"{who} {ENDED_EARLY}"
    else:
        state = "the answer broke off" if heard else f"no connection{through}"
        if not reason:
            state = "the answer broke off before its end" if heard else _NO_HEAD
        kind, what = NetworkError, f"{who}: {state}"
    sentence = f"{what}: {reason}" if reason else what
    made = kind(redact(sentence if sentence.endswith("?") else f"{sentence}."))
    if lasting:
        made.retryable = False
    made.stale = reused and not heard and not _answering(causes)
    return made


def _answering(causes: list[BaseException]) -> bool:
    """
    Whether an answer had begun that was none.
    """
    from ai_lib._core.wire import Unanswered, WireError

    return any(
        isinstance(one, WireError) and not isinstance(one, Unanswered) for one in causes
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def bare(error: AiLibError) -> AiLibError:
    """
    Take off what leads through frames that hold a key, a prompt or what a server echoed: traceback,
    cause and context.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """
    Walk from *error* inwards, through causes, contexts, arguments and urllib3's ``reason``.
    """
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [getattr(one, "reason", None), *one.args]
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def _is_timeout(error: BaseException) -> bool:
    # The HTTP libraries' own are no builtin ones, and cannot be imported here.
    return isinstance(error, TimeoutError) or "Timeout" in type(error).__name__


def _certificate(causes: list[BaseException]) -> str | None:
    import ssl

    for one in causes:
        if isinstance(one, ssl.SSLCertVerificationError):
            return one.verify_message or "verification failed"
    return None


_NO_HEAD = "the answer broke off in its headers: the server closed the connection"
#: What OpenSSL calls an answer that is no TLS at all.
_NO_TLS = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "UNKNOWN_PROTOCOL",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
    }
)
#: How the HTTP libraries say that a body, or a head, was not whole when the connection closed.
_CLOSED = (
    r"IncompleteRead|incomplete (?:chunked read|message body)|without sending"
    r"|complete message body|ended in its head|closed connection without response"
)
_REFUSED_TUNNEL = r"(?:Tunnel connection failed: )?(\d{3})\b"


def _reason(
    causes: list[BaseException], *, heard: bool, proxied: bool
) -> tuple[str, bool]:
    """
    Say in words of ours why, nothing of a connection that was just closed, and whether it will stay
    so.
    """
    import ssl

    for one in causes:
        if isinstance(one, socket.gaierror):
            return "there is no such host name, or no name server answers", False
    if tls := _tls_reason(causes, heard=heard):
        return tls
    for one in causes:
        if isinstance(one, ssl.SSLError):
            continue  # its errno is a code of OpenSSL's, not the system's
        if isinstance(one, OSError) and one.errno and 0 < one.errno < 4096:
            return os.strerror(one.errno).lower(), False
    if any(re.search(_CLOSED, f"{type(one).__name__} {one}") for one in causes):
        return "", False
    innermost = causes[-1]
    words = (str(innermost) or type(innermost).__name__).rstrip(".")[:200]
    if proxied and (refused := re.match(_REFUSED_TUNNEL, words)):
        status = refused[1]
        return (
            (PROXY_ASKS, True) if status == "407" else (f"it answered {status}", False)
        )
    return words, False


def _tls_reason(causes: list[BaseException], *, heard: bool) -> tuple[str, bool] | None:
    import ssl

    for one in causes:
        if not isinstance(one, ssl.SSLError):
            continue
        closed = isinstance(one, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        if closed or "EOF" in (one.reason or ""):
            return (
                "" if heard else "the connection closed during the TLS handshake",
                False,
            )
        if one.reason in _NO_TLS and not heard:
            return (
                "TLS failed: the server does not speak it on this port; is it http://?",
                True,
            )
        if one.reason:
            return f"TLS failed: {one.reason.lower().replace('_', ' ')}", False
    return None
