"""
What is around OpenAI's two formats: where requests go, Azure's addresses included, and the list of models.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ai_lib._core.dialects._errors import error_in
from ai_lib._core.dialects._openai_answers import is_error
from ai_lib._core.dialects._shared import (
    as_count,
    as_dict,
    as_text,
    decode_body,
    first_count,
    unreadable,
)
from ai_lib._core.errors import AiLibError, UnsupportedFeatureError
from ai_lib._core.http import HttpRequest
from ai_lib._core.providers import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_lib._core.http import HttpResponse
    from ai_lib._core.providers import ResolvedTarget


# Where requests go


def url_of(
    target: ResolvedTarget, path: str, *, deployment: str = "", since: str = ""
) -> str:
    """
    Build the URL of a path behind the base URL.

    Args:
        target: Where to.

        path: Behind the base URL; ``../`` at its start climbs.

        deployment: Azure's deployment, for a path that was below one in the surface of old.

        since: The first of Azure's dated versions that has this path; an older one is not asked for it.
    """
    base = target.base_url
    if base == target.spec.base_url:
        for pattern, other in target.spec.quirks.base_urls.items():
            if re.fullmatch(pattern, target.model, re.IGNORECASE):
                base = other
                break
    if target.spec.quirks.deployments:
        version = target.options.get("api_version", "")
        return _azure_url(base, path, version, deployment=deployment, since=since)
    return _join(base, path)


def _join(base: str, path: str) -> str:
    while path.startswith("../"):
        base, path = base.rpartition("/")[0], path[3:]
    return f"{base.rstrip('/')}/{path.lstrip('/')}"


_DATED = r"\d{4}-\d{2}-\d{2}.{0,20}"
_LAST_DATED = "2024-10-21"
_LAST_INFERENCE = "2024-05-01-preview"
#: The part of a base URL behind which ``/openai/v1`` is missing: nothing, or a project of Foundry.
_BARE = r"https?://[^/]+(?:/api/projects/[^/]+)?"
#: What the portal's "target URI" names besides.
_FULL = r"/(?:chat/completions|responses)$"


def _azure_url(
    base: str, path: str, version: str, *, deployment: str, since: str
) -> str:
    """
    Build one of Azure's URLs.

    There are the v1 surface; with a dated version the one of old, where a chat has its deployment in the
    path; and Foundry's model inference, below ``/models``. Azure OpenAI, "API version lifecycle" and
    "REST API reference", read 2026-11.
    """
    base = re.sub(_FULL, "", base)
    if deployment and base.endswith("/models"):
        return f"{_join(base, path)}?api-version={quote(version or _LAST_INFERENCE)}"
    if "/deployments/" in base:
        version = version or _LAST_DATED
        if deployment:
            return f"{_join(base, path)}?api-version={quote(version)}"
    base = base.partition("/deployments/")[0].removesuffix("/models")
    if re.fullmatch(_DATED, version):
        root = base.removesuffix("/v1").removesuffix("/openai")
        if version >= since:
            inside = f"/deployments/{quote(deployment, safe='')}" if deployment else ""
            return f"{root}/openai{inside}{path}?api-version={quote(version)}"
        base, version = f"{root}/openai/v1", ""
    if re.fullmatch(_BARE, base):  # AZURE_OPENAI_ENDPOINT names the bare resource
        base += "/openai/v1"
    elif base.endswith("/openai"):
        base += "/v1"
    return _join(base, path) + (f"?api-version={quote(version)}" if version else "")


# What an error leaves unsaid

_ABOUT_THE_MODEL = frozenset({"unsupported_parameter", "unsupported_value"})


def explained(target: ResolvedTarget, error: AiLibError) -> AiLibError:
    """
    Add what to do about an error that comes of a deployment's name, which hides its model.
    """
    named = target.options.get("base_model")
    hidden = "base_model" in target.spec.options and not named
    if hidden and error.code in _ABOUT_THE_MODEL:
        hint = (
            " If the name of the deployment does not tell its model, name that:"
            ' provider_options={"base_model": …}.'
        )
        error.args = (error.message + hint,)
    return error


# Models


def list_request(target: ResolvedTarget) -> HttpRequest:
    """
    The request for the model list.

    Raises:
        UnsupportedFeatureError: The provider has none.
    """
    path = target.spec.models_path
    if path is None:
        raise UnsupportedFeatureError(
            f"{target.provider} has no list of models.", provider=target.provider
        )
    headers = {"accept": "application/json"}
    return HttpRequest(method="GET", url=url_of(target, path), headers=headers)


def models_of(target: ResolvedTarget, response: HttpResponse) -> list[ModelInfo]:
    """
    Read the model list.

    Raises:
        AiLibError: An error in a body with a status of success, as what it means.

        InvalidResponseError: A body that holds no list.
    """
    body = decode_body(target, response)
    listed = body
    if isinstance(body, dict):
        names = ("data", "models", "result")  # OpenAI, llama.cpp, Cloudflare
        listed = next(
            (body[name] for name in names if isinstance(body.get(name), list)), None
        )
        if listed is None and is_error(body):
            raise error_in(
                target, body, status=response.status, headers=response.headers
            )
    if not isinstance(listed, list):
        raise unreadable(target, response, "no list of models")
    key = target.spec.quirks.model_id_key
    found = (_model(as_dict(one), key) for one in listed)
    return [one for one in found if one is not None]


def _model(entry: dict[str, Any], key: str) -> ModelInfo | None:
    found = _first_text(entry, key, "id", "name", "model").removeprefix("models/")
    if not found:
        return None
    window = ("context_length", "max_context_length", "context_window", "max_model_len")
    written = ("max_output_tokens", "max_completion_tokens", "max_output_length")
    return ModelInfo(
        id=found,
        name=_first_text(entry, "display_name", "name") or found,
        created=as_count(entry.get("created")),
        owner=_first_text(entry, "owned_by", "organization") or None,
        context_window=first_count(entry, *window)
        or first_count(as_dict(entry.get("meta")), "n_ctx_train"),
        max_output_tokens=first_count(entry, *written)
        or first_count(as_dict(entry.get("top_provider")), *written),
        raw=entry,
    )


def _first_text(entry: Mapping[str, Any], *names: str) -> str:
    return next((text for one in names if (text := as_text(entry.get(one)))), "")
