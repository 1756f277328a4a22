"""
Signing of requests with the credentials that botocore finds: variables, files, sign-ins, roles of the machine.
"""

from __future__ import annotations

from typing import Any

import attrs

from ai_lib._core.errors import ConfigurationError
from ai_lib._core.forks import ProcessLock
from ai_lib._core.http import HttpRequest, Signature
from ai_lib._core.secrets import Secret, redact

_lock = ProcessLock()
_found: list[Any] = []


def sign(request: HttpRequest) -> HttpRequest:
    """
    Give *request* with the headers of its signature, which is good for some minutes.

    Args:
        request: Its credential is a ``Signature``.

    Raises:
        ConfigurationError: There are no credentials, or they cannot be had.
    """
    signature = request.credential
    assert isinstance(signature, Signature)
    try:
        credentials = _credentials()
        if credentials is not None:
            signed = _headers(request, signature, credentials)
            return attrs.evolve(
                request, credential=attrs.evolve(signature, signed=signed)
            )
        problem = "none are found"
    except Exception as error:  # noqa: BLE001  # botocore's: a profile, a role, a sign-in that fails
        problem = redact(f"{type(error).__name__}: {error}")[:300]
    raise ConfigurationError(
        f"No credentials of AWS to sign with ({problem}): set AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or whatever botocore finds them by; or pass api_key= or set"
        f" {signature.variable}."
    )


def _credentials() -> Any:
    """
    Find the credentials, once in a process: they renew themselves.
    """
    with _lock():
        if not _found:
            from botocore.session import Session

            found = Session().get_credentials()
            if found is None:
                return None
            _found.append(found)
        return _found[0]


def _headers(
    request: HttpRequest, signature: Signature, credentials: Any
) -> dict[str, str]:
    """
    Sign the URL, the body and what says its type; other headers may change on their way.
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    frozen = credentials.get_frozen_credentials()
    for key in filter(None, (frozen.secret_key, frozen.token)):
        Secret(key, "AWS credentials")  # known from now on, and taken out of texts
    names = request.headers.keys() & {"content-type"}
    told = {name: request.headers[name] for name in names}
    draft = AWSRequest(request.method, request.url, headers=told, data=request.body)
    SigV4Auth(frozen, signature.service, signature.region).add_auth(draft)
    return {name: one for name, one in draft.headers.items() if name not in names}
