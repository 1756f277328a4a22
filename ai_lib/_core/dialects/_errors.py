"""
The one classifier: what a provider says when it says no, as the error that it means.

The order of evidence: the provider's own code or type, the words of its message, the HTTP status; but
a status of 5xx or 429 outweighs words. Codes that mean one thing at one provider and another elsewhere
are in the records (``Quirks.error_codes``).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._core.dialects._hints import (
    Clock,
    duration_of,
    rate_limits_of,
    request_id_of,
    retry_after_of,
)
from ai_lib._core.dialects._shared import (
    as_count,
    as_dict,
    as_list,
    as_text,
    bounded,
    decode_json,
    title_of,
    without_query,
)
from ai_lib._core.errors import (
    AiLibError,
    ApiError,
    AuthenticationError,
    ContentFilteredError,
    ContextLengthExceededError,
    InvalidRequestError,
    ModelNotFoundError,
    NetworkError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
)
from ai_lib._core.failures import PROXY_ASKS
from ai_lib._core.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ai_lib._core.http import HttpResponse
    from ai_lib._core.providers import ResolvedTarget

__all__ = ["error_in", "error_of", "rate_limits_of", "request_id_of"]

#: The words that records use for classes, in the order in which one outweighs another.
KINDS: dict[str, type[AiLibError]] = {
    "content": ContentFilteredError,
    "context": ContextLengthExceededError,
    "quota": QuotaExhaustedError,
    "auth": AuthenticationError,
    "model": ModelNotFoundError,
    "rate": RateLimitError,
    "overloaded": OverloadedError,
    "permission": PermissionDeniedError,
    "timeout": RequestTimeoutError,
    "server": ServerError,
    "invalid": InvalidRequestError,
}

_CODES = {
    code: kind
    for kind, codes in {
        "content": (
            "content_filter content_policy_violation content_filtered moderation_blocked"
            " responsibleaipolicyviolation data_inspection_failed datainspectionfailed"
        ),
        "context": (
            "context_length_exceeded string_above_max_length exceed_context_size_error"
            " request_too_large characters_too_long tokens_too_long"
        ),
        "quota": (
            "insufficient_quota billing_hard_limit_reached billing_not_active billing_error"
            " exceeded_current_quota_error insufficient_balance payment_required arrearage"
            " accessdenied.unpurchased allocationquota.freetieronly"
            " servicequotaexceededexception"
        ),
        "auth": (
            "invalid_api_key invalidapikey api_key_invalid incorrect_api_key_error"
            " authentication_error invalid_authentication_error unauthenticated unauthorized"
            " invalid_iam_token invalid_appid unrecognizedclientexception"
            " expiredtokenexception invalidsignatureexception"
        ),
        "model": (
            "model_not_found modelnotfound model_not_supported model_decommissioned"
            " deploymentnotfound invalid_model no_such_model unknown_model"
            " resource_not_found_error"
        ),
        "rate": (
            "rate_limit_exceeded rate_limit_error rate_limit_reached_error ratelimitreached"
            " rpm_rate_limit_exceeded tpm_rate_limit_exceeded limit_requests"
            " limit_burst_rate throttlingexception modelnotreadyexception"
            " service_tier_capacity_exceeded request_limit_exceeded"
        ),
        "overloaded": (
            "overloaded_error engine_overloaded engine_overloaded_error slow_down"
            " unavailable_error unavailable server_unavailable serviceunavailableexception"
            " service_unavailable"
        ),
        "permission": (
            "permission_denied permission_error permission_denied_error access_denied"
            " accessdeniedexception unsupported_country_region_territory"
            " failed_precondition"
        ),
        "timeout": "deadline_exceeded modeltimeoutexception",
        "server": (
            "server_error api_error internal_error internal internal_server_error"
            " internalerror internalserverexception modelerrorexception modelunavailable"
            " modelservingerror dispatch_internal_error"
        ),
        "invalid": (
            "unsupported_parameter unsupported_value tool_use_failed json_validate_failed"
            " malformed_json invalid_argument_value invalid_function_parameters"
        ),
    }.items()
    for code in codes.split()
}

_CONTEXT = (
    "context length",
    "context_length",
    "maximum context",
    "context window",
    "context size",
    "too many tokens",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input length",
    "exceeds the maximum number of tokens",
    "reduce the length",
    "exceed_context_size",
)
# Of the whole, not of what the answer alone may have. Patterns here are compiled when they are first needed: most programs
# meet few errors.
_WHOLE_LIMIT = (
    r"(?s)(?!.*(?:max_[a-z_]{0,20}tokens|(?:completion|output) tokens)).*token limit"
)
_QUOTA = (
    "insufficient_quota",
    "insufficient balance",
    "insufficient credit",
    "credit balance",
    "out of credits",
    "payment required",
    "arrear",
)
# Said of a limit that waiting does not lift; elsewhere the same words only explain.
_QUOTA_AT_429 = (*_QUOTA, "exceeded your current quota", "calls / month")
# Who speaks of a rate names "billing" only as the place where a higher one is to be had.
_RATE = r"rate.?limit|per (?:second|minute)|too many requests"
#: What ran out, as the type of an error at OpenAI and those who answer like it.
_RATE_TYPES = frozenset({"requests", "tokens"})
_CONTENT = (
    "content_filter",
    "content filter",
    "content management policy",
    "content policy",
    "responsibleaipolicyviolation",
    "safety system",
    "safety filter",
    "safety reasons",
    "data inspection",
    "inappropriate content",
    "sensitive content",
    "sensitive word",
    "prohibited content",
    "was flagged",
)
_AUTH = ("unauthorized", "invalid token")
_WRONG = (
    r"(?:invalid|incorrect|wrong|missing|expired|revoked|disabled|malformed|required"
    r"|not valid|not found|not active|not provided|provide|without|no)\b"
)
_WRONG_KEY = rf"\b{_WRONG} (?:[\w']{{1,20}} ){{0,2}}api[ _-]?key|\bapi[ _-]?key\b[^.]{{0,60}}\b{_WRONG}"
_MODEL = (
    "model not found",
    "model_not_found",
    "unknown model",
    "invalid model",
    "unsupported model",
    "no such model",
    "not a valid model",
    "supported api model",
    "given model",
    "model not exist",
    "model identifier is invalid",
    "model version has reached",
    "decommissioned",
    "no endpoints found",
    "function not found",
)
# Of a tool or a schema, whose names and values may be anything.
_SCHEMA = r"\bschema\b"
_MODEL_GONE = (
    r"\bmodels?\b[^<]{0,160}(?:does not exist|doesn't exist|not found|was removed"
    r"|has been deprecated|has been retired|is no longer available)"
)


def _has(words: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in words for phrase in phrases)


def _means_context(words: str) -> bool:
    return _has(words, _CONTEXT) or bool(re.match(_WHOLE_LIMIT, words))


def _means_auth(words: str) -> bool:
    return _has(words, _AUTH) or bool(re.search(_WRONG_KEY, words))


def _means_model(words: str) -> bool:
    found = _has(words, _MODEL) or bool(re.search(_MODEL_GONE, words))
    return found and not re.search(_SCHEMA, words)


#: By kind, where words are listened to: with another status they explain something else.
_WORDS: tuple[tuple[str, Callable[[str], bool], frozenset[int] | None], ...] = (
    ("content", lambda words: _has(words, _CONTENT), frozenset({400, 403, 422})),
    ("context", _means_context, frozenset({400, 413, 422})),
    ("quota", lambda words: _has(words, _QUOTA), None),
    ("auth", _means_auth, frozenset({400, 401, 403, 498})),
    ("model", _means_model, None),
)

_STATUSES: dict[int, type[AiLibError]] = {
    401: AuthenticationError,
    402: QuotaExhaustedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: RequestTimeoutError,
    409: ServerError,
    410: NotFoundError,
    425: ServerError,
    429: RateLimitError,
    498: RateLimitError,  # Groq: no capacity in the flex tier; API errors, read 2026-11
    503: OverloadedError,
    529: OverloadedError,
}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Said(Record):
    """
    What an error's body says, wherever it says it.

    Attributes:
        message: The message, the upstream's own behind it.

        codes: Codes and types in lower case, as near to the error as they were found.

        code: The first of them as it came, words before numbers.

        status: A status in the body.

        delay: Seconds to wait, told in the body.

        request_id: The provider's id of the request.

        by_the_day: Whether a quota of a whole day is used up (Google's ``QuotaFailure``).
    """

    message: str = ""
    codes: tuple[str, ...] = ()
    code: str | None = None
    status: int | None = None
    delay: float | None = None
    request_id: str | None = None
    by_the_day: bool = False


def error_of(
    target: ResolvedTarget, response: HttpResponse, *, now: Clock = time.time
) -> AiLibError:
    """
    Read an answer with an error status.

    Args:
        now: Seconds since 1970, to which dates in headers are compared.

    Returns:
        An ``ApiError``, or for 408 a ``RequestTimeoutError``.
    """
    if response.status == 407:
        return NetworkError(
            f"{target.provider} was not reached through the proxy: {PROXY_ASKS}.",
            status_code=407,
            retryable=False,
            failover=False,
        )
    text = response.text
    try:
        body = decode_json(text)
    except ValueError:
        body = _prose(text)
    amazon = response.headers.get("x-amzn-errortype", "")
    said = _read(body, amazon.partition(":")[0])
    return _error(
        target,
        said,
        status=response.status,
        headers=response.headers,
        body=text,
        now=now,
        url=response.url,
    )


def error_in(
    target: ResolvedTarget,
    body: Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    now: Clock = time.time,
) -> AiLibError:
    """
    Read an error that came with a status of success: in a body, or in an event of a stream.

    Args:
        body: The parsed body or event.

        status: The answer's HTTP status; one that the body names takes its place.

        headers: The answer's headers, where they are known.
    """
    said = _read(body)
    return _error(
        target,
        said,
        status=said.status or status,
        headers=headers or {},
        body=body,
        now=now,
    )


def _error(
    target: ResolvedTarget,
    said: _Said,
    *,
    status: int,
    headers: Mapping[str, str],
    body: Any,
    now: Clock,
    url: str = "",
) -> AiLibError:
    kind = _classify(said, status, target.spec.quirks.error_codes)
    limits = rate_limits_of(headers, now=now)
    limited = issubclass(kind, RateLimitError) or status in (429, 498)
    what = f"answered {status}" if status >= 400 else "reports an error"
    message = bounded(said.message, 1000)
    retry_after = retry_after_of(
        headers,
        told=said.delay,
        message=said.message,
        limits=limits if limited else None,
        now=now,
    )
    if kind is NotFoundError and url:
        what += f" at {without_query(url)}"
    sentence = f"{target.provider} {what}: {message}" if message else ""
    sentence = sentence or f"{target.provider} {what}."
    if limited and retry_after:
        end = "" if sentence.endswith((".", "!", "?")) else "."
        sentence += f"{end} Again in {round(retry_after, 3):.10g} s."
    return kind(
        sentence,
        provider=target.provider,
        model=target.model or None,
        status_code=status,
        code=bounded(said.code, 200) if said.code else None,
        request_id=request_id_of(headers) or said.request_id,
        retry_after=retry_after,
        rate_limits=limits,
        body=_body_text(body),
        retryable=_told_to_retry(kind, status, headers),
    )


def _body_text(body: Any) -> str:
    if isinstance(body, str):
        return bounded(body)
    from json import dumps

    try:
        return bounded(dumps(body, ensure_ascii=False))
    except (ValueError, RecursionError):
        return ""


def _told_to_retry(
    kind: type[AiLibError], status: int, headers: Mapping[str, str]
) -> bool | None:
    """
    Whether the answer itself overrules its class; credit that is used up stays so.
    """
    if kind is QuotaExhaustedError:
        return None
    if status in (501, 505):
        return False
    verdict = headers.get("x-should-retry", "").strip().lower()
    return {"true": True, "false": False}.get(verdict)


# Which class


def _classify(said: _Said, status: int, own: Mapping[str, str]) -> type[AiLibError]:
    code_says = _by_code(said, own)
    if status >= 500:
        overloaded = code_says == "overloaded" and status != 504
        return OverloadedError if overloaded else _by_status(status)
    if status in (429, 498):
        return _by_limit(said, status, code_says)
    if status in (401, 402, 408):
        return _STATUSES[status]
    if status == 413 and code_says in ("rate", None):
        return _too_large(said)
    # A request that was refused as such is no failure of the server, whatever it is called.
    if code_says and not (code_says in ("server", "timeout") and 400 <= status < 500):
        return KINDS[code_says]
    return _by_words(said, status) or _by_status(status)


def _by_code(said: _Said, own: Mapping[str, str]) -> str | None:
    """
    Say what the codes mean, the provider's own table first; of several the weightiest.
    """
    found = [own[code] for code in said.codes if code in own]
    found = found or [_CODES[code] for code in said.codes if code in _CODES]
    if not found and any(code.startswith("throttling") for code in said.codes):
        return "rate"  # Alibaba: Throttling.RateQuota and others
    return next((kind for kind in KINDS if kind in found), None)


def _by_limit(said: _Said, status: int, code_says: str | None) -> type[AiLibError]:
    if code_says in ("quota", "overloaded", "auth"):
        return KINDS[code_says]
    words = said.message.lower()
    rate = not _RATE_TYPES.isdisjoint(said.codes) or code_says == "rate"
    if "resource_exhausted" in said.codes:  # Google says "quota" of every limit
        return QuotaExhaustedError if said.by_the_day else RateLimitError
    used_up = _has(words, _QUOTA_AT_429)
    if not used_up and "billing" in words:
        used_up = not re.search(_RATE, words)
    if used_up and not rate and code_says is None:
        return QuotaExhaustedError
    if status == 498 and _means_auth(words):
        return AuthenticationError  # Cohere
    return RateLimitError


def _too_large(said: _Said) -> type[AiLibError]:
    words = said.message.lower()
    too_long = ("too large for model", "tokens per minute")
    if _means_context(words) or _has(words, too_long):
        return ContextLengthExceededError
    return InvalidRequestError


def _by_words(said: _Said, status: int) -> type[AiLibError] | None:
    words = said.message.lower()
    for kind, mean, statuses in _WORDS:
        heard = statuses is None or status in statuses or status < 400
        if heard and mean(words):
            return KINDS[kind]
    if status == 404 and words.startswith("model:"):  # Anthropic
        return ModelNotFoundError
    return None


def _by_status(status: int) -> type[AiLibError]:
    if status in _STATUSES:
        return _STATUSES[status]
    if status >= 500:
        return ServerError
    return InvalidRequestError if status >= 400 else ApiError


# What the body says


def _read(body: Any, amazon: str = "") -> _Said:
    """
    Find message and codes in any of the shapes in which providers send errors.
    """
    body = as_dict(body[0] if isinstance(body, list) and body else body) or (
        {"message": body} if isinstance(body, str) else {}
    )
    places = list(_places(body))
    codes = [amazon] if amazon else []
    codes += [code for place in places for code in _codes(place)]
    words = [code for code in codes if not code.isdecimal()]
    texts = dict.fromkeys(text for place in places for text in _texts(place) if text)
    details = [one for place in places for one in _details(place)]
    delays = [duration_of(one.get("retryDelay")) for one in details]
    return _Said(
        message=" ".join(" ".join(texts).split()),
        codes=tuple(code.rpartition("#")[2].lower() for code in codes),
        code=next(iter([*words, *codes]), None),
        status=next(filter(None, map(_status, places)), None),
        delay=next(filter(None, delays), None),
        request_id=as_text(body.get("request_id") or body.get("sid"))[:200] or None,
        by_the_day=any(
            "PerDay" in str(one.get("violations"))[:4000] for one in details
        ),
    )


def _places(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """
    Walk the objects that may describe the error, the likeliest first.
    """
    error = body.get("error")
    if isinstance(error, str):
        yield {"message": error}
    for one in as_list(error):
        if place := as_dict(one):
            yield place
            yield as_dict(place.get("innererror"))
            yield from _upstream(place)
    yield as_dict(as_dict(body.get("Response")).get("Error"))  # Tencent's own API
    for one in as_list(body.get("errors"))[:10]:  # Cloudflare
        yield as_dict(one) or {"message": one}
    choices = as_list(body.get("choices"))
    if choices and (place := as_dict(as_dict(choices[0]).get("error"))):
        yield place
    yield as_dict(body.get("base_resp"))  # MiniMax
    if not choices:
        yield body


def _upstream(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """
    Open what OpenRouter passes on of the provider behind it, mostly JSON in a string.
    """
    raw = as_dict(error.get("metadata")).get("raw")
    if isinstance(raw, str):
        try:
            raw = decode_json(raw[:20_000])
        except ValueError:
            yield {"message": raw}
            return
    raw = as_dict(raw[0] if isinstance(raw, list) and raw else raw)
    # Its codes are the upstream's: only its words count.
    yield {
        "message": as_text(
            as_dict(raw.get("error")).get("message") or raw.get("message")
        )
    }


def _codes(place: dict[str, Any]) -> Iterator[str]:
    names = ("code", "type", "status", "error_code", "__type", "Code", "status_code")
    for name in (*names, "error_type", "reason"):
        value = place.get(name)
        if value not in (None, "", True, False) and (code := as_text(value)):
            yield code[:200]
    for detail in _details(place):
        if reason := as_text(detail.get("reason")):
            yield reason[:200]


def _texts(place: dict[str, Any]) -> Iterator[str]:
    names = ("message", "Message", "detail", "error_msg", "status_msg", "msg", "title")
    for name in names:
        yield from _text(place.get(name), 0)


def _text(value: Any, depth: int) -> Iterator[str]:
    """
    Read a message that may be text, a list of what is wrong with which field, or wrapped once more.
    """
    if isinstance(value, str):
        yield value[:4000].strip()
    elif isinstance(value, list) and depth < 3:
        for one in value[:10]:
            yield from _text(one, depth + 1)
    elif isinstance(value, dict) and depth < 3:
        where = ".".join(map(as_text, as_list(value.get("loc"))))
        inner = value.get("msg") or value.get("message") or value.get("detail")
        for text in _text(inner, depth + 1):
            yield f"{where}: {text}" if where else text


def _details(place: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in as_list(place.get("details"))[:20] if isinstance(one, dict)]


def _status(place: dict[str, Any]) -> int | None:
    for name in ("status", "code", "status_code", "statusCode", "http_code"):
        value = place.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isdecimal():
            value = int(value)
        status = as_count(value)
        if status is not None and 400 <= status <= 599:
            return status
    return None


def _prose(text: str) -> str:
    """
    Take the words out of a body that is no JSON: text, or a page of HTML.
    """
    text = text[:4000].strip()
    if not text.startswith("<"):
        return text
    return title_of(text) or "an HTML page"
