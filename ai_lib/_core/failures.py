"""
What went wrong below HTTP, told from the HTTP library's exception: one reading for both packages.
"""

from __future__ import annotations

import os
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


def failure_of(
    error: BaseException,
    call: Call,
    *,
    url: str,
    heard: bool = True,
    reused: bool = False,
    stream: bool = False,
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
    """
    host = urlsplit(url).netloc.rpartition("@")[2]
    if words := call.deadlines.expired():
        return RequestTimeoutError(f"{host}: {words}.")
    causes = list(_causes(error))
    if any(_is_timeout(one) for one in causes):
        return RequestTimeoutError(f"{host}: timed out.")
    if certificate := _certificate(causes):
        return NetworkError(
            f"{host}: its certificate is not trusted ({certificate}). If the network has"
            " a certificate of its own, name it with ca_bundle= or SSL_CERT_FILE.",
            retryable=False,
            failover=False,
        )
    what = "The answer broke off" if heard else "No connection"
    kind = IncompleteStreamError if stream else NetworkError
    made = kind(redact(f"{host}: {what}: {_reason(causes)}."))
    made.stale = reused and not heard
    return made


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


def _reason(causes: list[BaseException]) -> str:
    for one in causes:
        if isinstance(one, socket.gaierror):
            return "there is no such host name, or no name server answers"
    for one in causes:
        if isinstance(one, OSError) and one.errno and 0 < one.errno < 4096:
            return os.strerror(one.errno).lower()
    innermost = causes[-1]
    return (str(innermost) or type(innermost).__name__).rstrip(".")[:200]
