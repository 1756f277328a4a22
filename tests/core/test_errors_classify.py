"""
What providers say when they say no, as the errors that they mean.
"""

from __future__ import annotations

import json
import time

import pytest

from ai_lib._core.catalog import CATALOG
from ai_lib._core.dialects._errors import (
    error_in,
    error_of,
    rate_limits_of,
    request_id_of,
)
from ai_lib._core.errors import (
    ApiError,
    AuthenticationError,
    ContentFilteredError,
    ContextLengthExceededError,
    InvalidRequestError,
    ModelNotFoundError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
)
from ai_lib._core.http import HttpResponse
from ai_lib._core.ledger import RateLimits
from ai_lib._core.providers import ProviderSpec, ResolvedTarget
from ai_lib._core.secrets import Secret

SPECS = {spec.id: spec for spec in CATALOG}
PLAIN = ProviderSpec(id="example", dialect="openai_chat", base_url="https://x.example")
NOON = 1_790_000_000.0


def target_of(provider=""):
    """
    A target of a built-in provider, or of one without a table of its own.
    """
    spec = SPECS.get(provider, PLAIN)
    return ResolvedTarget(spec=spec, model="m-1", base_url=spec.base_url)


def classified(status, body="", headers=None, provider=""):
    """
    The error for an answer; *body* is text or a JSON value.
    """
    text = body if isinstance(body, str) else json.dumps(body)
    response = HttpResponse(status=status, headers=headers or {}, body=text.encode())
    return error_of(target_of(provider), response, now=lambda: NOON)


def said(message="", **more):
    """
    A body in OpenAI's form.
    """
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, QuotaExhaustedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, InvalidRequestError),
        (408, RequestTimeoutError),
        (409, ServerError),
        (410, NotFoundError),
        (413, InvalidRequestError),
        (418, InvalidRequestError),
        (422, InvalidRequestError),
        (425, ServerError),
        (429, RateLimitError),
        (498, RateLimitError),
        (500, ServerError),
        (502, ServerError),
        (503, OverloadedError),
        (504, ServerError),
        (524, ServerError),
        (529, OverloadedError),
    ],
)
def test_status_alone(status, kind):
    """
    Where nothing else is told the status decides.
    """
    error = classified(status)

    assert kind is type(error)
    assert status == error.status_code
    assert f"example answered {status}." == error.message


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, said(code="model_not_found"), ModelNotFoundError),
        (429, said(code="insufficient_quota"), QuotaExhaustedError),
        (429, said(type="exceeded_current_quota_error"), QuotaExhaustedError),
        (429, said(type="engine_overloaded_error"), OverloadedError),
        (400, said(code="context_length_exceeded"), ContextLengthExceededError),
        (400, said(code="content_filter"), ContentFilteredError),
        (
            400,
            said(innererror={"code": "ResponsibleAIPolicyViolation"}),
            ContentFilteredError,
        ),
        (403, said(code="unsupported_country_region_territory"), PermissionDeniedError),
        (400, said("API key", code="unsupported_parameter"), InvalidRequestError),
        (400, said(type="server_error"), InvalidRequestError),
        (500, said(code="context_length_exceeded"), ServerError),
        (500, said(type="overloaded_error"), OverloadedError),
        (400, said(code="Throttling.RateQuota"), RateLimitError),
        (400, {"__type": "com.amazon#ThrottlingException"}, RateLimitError),
        (
            400,
            said(type="invalid_request_error", code="invalid_api_key"),
            AuthenticationError,
        ),
    ],
)
def test_code_outweighs_status(status, body, kind):
    """
    The provider's own code says more, but a failed server stays one.
    """
    assert kind is type(classified(status, body))


@pytest.mark.parametrize(
    ("provider", "body", "kind"),
    [
        ("zhipuai", said(code="1261"), ContextLengthExceededError),
        ("zhipuai", said(code="1302"), RateLimitError),
        ("zhipuai", said(code="1113"), QuotaExhaustedError),
        (
            "iflytek_spark",
            {"code": 10013, "message": "x", "sid": "s"},
            ContentFilteredError,
        ),
        (
            "iflytek_spark",
            {"code": 11200, "message": "x", "sid": "s"},
            PermissionDeniedError,
        ),
        (
            "minimax",
            {"base_resp": {"status_code": 1008, "status_msg": "x"}},
            QuotaExhaustedError,
        ),
        ("minimax", {"base_resp": {"status_code": 2049}}, AuthenticationError),
        ("mistral", {"message": "x", "code": "1500"}, ModelNotFoundError),
        (
            "cloudflare",
            {"errors": [{"code": 3036, "message": "x"}]},
            QuotaExhaustedError,
        ),
        ("", said(code="1302"), InvalidRequestError),
    ],
)
def test_codes_of_one_provider(provider, body, kind):
    """
    Numbers mean something in the record that lists them, and nowhere else.
    """
    assert kind is type(classified(400, body, provider=provider))


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_what_ran_out_of_a_rate(kind):
    """
    Where the type names it, words of billing only say where to get more of it.
    """
    body = said("You are over your limit: add a card under billing.", type=kind)

    assert RateLimitError is type(classified(429, body))


def test_same_word_means_less_at_qwen():
    """
    What runs out there under this name is the tokens of a minute.
    """
    body = said(code="insufficient_quota")

    assert RateLimitError is type(classified(429, body, provider="qwen"))
    assert QuotaExhaustedError is type(classified(429, body, provider="openai"))


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "maximum context length is 4096 tokens", ContextLengthExceededError),
        (400, "Range of input length should be [1, 9]", ContextLengthExceededError),
        (413, "Request too large for model x: reduce", ContextLengthExceededError),
        (400, "Incorrect API key provided", AuthenticationError),
        (400, "Unknown model: x", ModelNotFoundError),
        (404, "The model x does not exist", ModelNotFoundError),
        (404, "model: x-1", ModelNotFoundError),
        (404, "Model x was removed in May", ModelNotFoundError),
        (404, "No such route", NotFoundError),
        (400, "Insufficient Balance", QuotaExhaustedError),
        (
            429,
            "You exceeded your current quota, check your billing",
            QuotaExhaustedError,
        ),
        (429, "Too many requests, slow down", RateLimitError),
        (429, "No active billing account", QuotaExhaustedError),
        (429, "Rate limit reached. See x.example/billing", RateLimitError),
        (429, "60 requests per minute; see x.example/billing", RateLimitError),
        (400, "Prompt exceeds the token limit of 9", ContextLengthExceededError),
        (
            400,
            "max_tokens exceeds token limit: at most 9 completion tokens",
            InvalidRequestError,
        ),
        (
            400,
            "Invalid parameter: metadata must not contain api key names",
            InvalidRequestError,
        ),
        (400, "API key expired. Please renew it", AuthenticationError),
        (400, "api_key is required", AuthenticationError),
        (403, "You must provide an API key", AuthenticationError),
        (400, "Invalid schema of f: model not found in enum", InvalidRequestError),
        (403, "Your input was flagged for violence", ContentFilteredError),
        (400, "Unknown parameter: 'safety_identifier'", InvalidRequestError),
        (400, "Names are case-sensitive", InvalidRequestError),
        (500, "context length", ServerError),
        (498, "invalid token", AuthenticationError),
    ],
)
def test_words_where_codes_are_silent(status, message, kind):
    """
    The message is listened to, within what the status allows.
    """
    assert kind is type(classified(status, said(message)))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(said("No."), "No.", id="object"),
        pytest.param({"error": "No."}, "No.", id="string"),
        pytest.param({"message": "No."}, "No.", id="flat"),
        pytest.param({"detail": "No."}, "No.", id="detail"),
        pytest.param(
            {"detail": [{"loc": ["body", "x"], "msg": "No."}]},
            "body.x: No.",
            id="detail-list",
        ),
        pytest.param(
            {"message": {"detail": [{"loc": ["body", 0], "msg": "No."}]}},
            "body.0: No.",
            id="message-with-detail",
        ),
        pytest.param({"errors": [{"code": 1, "message": "No."}]}, "No.", id="errors"),
        pytest.param({"errors": ["No."]}, "No.", id="errors-as-strings"),
        pytest.param(
            {"Response": {"Error": {"Code": "X", "Message": "No."}}},
            "No.",
            id="tencent",
        ),
        pytest.param({"error_code": 17, "error_msg": "No."}, "No.", id="error_msg"),
        pytest.param([said("No.")], "No.", id="list"),
        pytest.param(
            said("Up.", metadata={"raw": '{"error":{"message":"No."}}'}),
            "Up. No.",
            id="upstream",
        ),
        pytest.param(
            said("Up.", metadata={"raw": "No."}), "Up. No.", id="upstream-text"
        ),
        pytest.param("No.", "No.", id="text"),
        pytest.param("<html><title>Bad Gateway</title>", "Bad Gateway", id="html"),
        pytest.param("<html>", "an HTML page", id="html-without-title"),
        pytest.param({"title": "Bad", "detail": "No."}, "No. Bad", id="problem"),
    ],
)
def test_message_in_its_forms(body, message):
    """
    Wherever it stands, it is in the error's message.
    """
    assert f"example answered 400: {message}" == classified(400, body).message


def test_error_carries_what_is_known():
    """
    Provider, model, status, code, request id and body.
    """
    body = said("No.", code="x_y", type="t")

    error = classified(400, body, {"x-request-id": "req_1"})

    assert ("example", "m-1", 400, "x_y", "req_1", json.dumps(body)) == (
        error.provider,
        error.model,
        error.status_code,
        error.code,
        error.request_id,
        error.body,
    )


def test_request_id_of_the_body():
    """
    Where no header tells it the body may.
    """
    assert "r-1" == classified(400, {**said("No."), "request_id": "r-1"}).request_id
    assert "ray" == request_id_of({"cf-ray": "ray"})


def test_body_is_bounded_and_without_keys():
    """
    A key that comes back is in neither message nor body.
    """
    key = Secret("sk-0123456789abcdefghij", "EXAMPLE_API_KEY").reveal()

    error = classified(401, said(f"Wrong key {key}. " + "x" * 9000))

    assert key not in error.message + error.body
    assert 2000 >= len(error.body)
    assert 1100 >= len(error.message)


# How long to wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"retry-after": "2"}, 2, id="seconds"),
        pytest.param({"retry-after": " 1.5 "}, 1.5, id="decimal"),
        pytest.param({"retry-after": "0"}, 0, id="at-once"),
        pytest.param(
            {"retry-after-ms": "250", "retry-after": "1"}, 0.25, id="ms-first"
        ),
        pytest.param(
            {
                "retry-after": time.strftime(
                    "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(NOON + 7)
                )
            },
            7,
            id="date",
        ),
        pytest.param(
            {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, None, id="past-date"
        ),
        pytest.param({"retry-after": "Fri, 99 Foo"}, None, id="broken-date"),
        pytest.param({"retry-after": "-5"}, None, id="negative"),
        pytest.param({"retry-after": "NaN"}, None, id="nan"),
        pytest.param({"retry-after": "inf"}, None, id="infinite"),
        pytest.param({"retry-after": "9" * 400}, None, id="huge"),
        pytest.param({"retry-after": "99999999"}, None, id="absurd"),
        pytest.param({"retry-after": "1_0"}, None, id="underscore"),
        pytest.param({"retry-after": "soon"}, None, id="garbage"),
        pytest.param({"retry-after-ms": "x", "retry-after": "3"}, 3, id="next-one"),
    ],
)
def test_retry_after_header(headers, seconds):
    """
    Seconds, milliseconds and dates are read; nonsense is ignored.
    """
    assert seconds == classified(429, headers=headers).retry_after


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 20s.", 20),
        ("Please try again in 7m12.5s. More", 432.5),
        ("try again in 360ms", 0.36),
        ("Please retry after 30 seconds.", 30),
        ("retry in 2 minutes", 120),
        ("Try again later", None),
        ("try again in 3 attempts", None),
        ("in 1 month", None),
    ],
)
def test_wait_in_the_words(message, seconds):
    """
    Some tell it in the message only.
    """
    assert seconds == pytest.approx(classified(429, said(message)).retry_after)


def test_google_s_retry_info():
    """
    It stands among the details.
    """
    details = [{"@type": "x.RetryInfo", "retryDelay": "17.5s"}]

    error = classified(429, said("Quota", status="RESOURCE_EXHAUSTED", details=details))

    assert 17.5 == error.retry_after
    assert RateLimitError is type(error)


@pytest.mark.parametrize(
    ("quota", "kind"),
    [
        ("PerMinutePerProject", RateLimitError),
        ("PerDayPerProject", QuotaExhaustedError),
    ],
)
def test_google_s_quota_of_a_day(quota, kind):
    """
    Google says "quota" of every limit: only that of a day is worth no wait.
    """
    details = [
        {"@type": "x.QuotaFailure", "violations": [{"quotaId": f"Requests{quota}"}]}
    ]

    error = classified(
        429,
        said(
            "exceeded your current quota", status="RESOURCE_EXHAUSTED", details=details
        ),
    )

    assert kind is type(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param(
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1m30s",
            },
            90,
            id="go-duration",
        ),
        pytest.param(
            {
                "x-ratelimit-remaining-requests": "5",
                "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "88ms",
            },
            0.088,
            id="the-one-that-was-hit",
        ),
        pytest.param(
            {"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"},
            None,
            id="nothing-left-is-told",
        ),
        pytest.param(
            {
                "x-ratelimit-remaining-requests": "500",
                "x-ratelimit-reset-requests": "8h",
                "x-ratelimit-remaining-tokens": "29",
                "x-ratelimit-reset-tokens": "12ms",
            },
            None,
            id="shares-unknown",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-requests": "1000",
                "x-ratelimit-remaining-requests": "500",
                "x-ratelimit-reset-requests": "8h",
                "x-ratelimit-limit-tokens": "6000",
                "x-ratelimit-remaining-tokens": "900",
                "x-ratelimit-reset-tokens": "12ms",
            },
            0.012,
            id="smallest-share",
        ),
    ],
)
def test_resets_count_when_limited(headers, seconds):
    """
    They are the last resort, and no hint on other errors.
    """
    assert seconds == classified(429, headers=headers).retry_after
    assert classified(400, headers=headers).retry_after is None
    assert classified(500, headers=headers).retry_after is None


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        pytest.param({"content-type": "text/html"}, None, id="none"),
        pytest.param({"x-ratelimit-limit-requests": "many"}, None, id="garbage"),
        pytest.param(
            {
                "x-ratelimit-limit-requests": "5000",
                "x-ratelimit-remaining-requests": "4999",
                "x-ratelimit-reset-requests": "12ms",
                "x-ratelimit-limit-tokens": "800000",
                "x-ratelimit-remaining-tokens": "799984",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            RateLimits(
                requests_limit=5000,
                requests_remaining=4999,
                requests_reset=0.012,
                tokens_limit=800000,
                tokens_remaining=799984,
                tokens_reset=360.0,
            ),
            id="openai",
        ),
        pytest.param(
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": time.strftime(
                    "%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOON + 30)
                ),
            },
            RateLimits(requests_limit=50, requests_remaining=0, requests_reset=30.0),
            id="anthropic",
        ),
        pytest.param(
            {"x-ratelimit-reset": str(int(NOON + 20) * 1000)},
            RateLimits(requests_reset=20.0),
            id="epoch-milliseconds",
        ),
        pytest.param(
            {"x-ratelimit-limit": "10", "x-ratelimit-reset": "2"},
            RateLimits(requests_limit=10, requests_reset=2.0),
            id="plain-seconds",
        ),
        pytest.param(
            {"x-ratelimit-limit": "10", "x-ratelimit-reset": "1000000001"},
            RateLimits(requests_limit=10),
            id="in-the-past",
        ),
    ],
)
def test_limits_of_headers(headers, limits):
    """
    Each vendor's names and units are read; instants are compared with the clock.
    """
    assert limits == rate_limits_of(headers, now=lambda: NOON)


def test_limits_are_on_the_error():
    """
    A caller may want to know which limit was hit.
    """
    error = classified(429, headers={"x-ratelimit-remaining-requests": "0"})

    assert RateLimits(requests_remaining=0) == error.rate_limits


@pytest.mark.parametrize(
    ("status", "headers", "retryable"),
    [
        pytest.param(400, {}, False, id="class-no"),
        pytest.param(500, {}, True, id="class-yes"),
        pytest.param(501, {}, False, id="not-implemented"),
        pytest.param(400, {"x-should-retry": "true"}, True, id="told-to"),
        pytest.param(429, {"x-should-retry": "False"}, False, id="told-not-to"),
        pytest.param(402, {"x-should-retry": "true"}, False, id="never-for-credit"),
    ],
)
def test_who_says_whether_to_retry(status, headers, retryable):
    """
    The answer overrules its class, but for credit that is used up.
    """
    assert retryable == classified(status, headers=headers).is_retryable


# Errors with a status of success


@pytest.mark.parametrize(
    ("event", "kind", "status"),
    [
        pytest.param(said("x", code=503), OverloadedError, 503, id="code"),
        pytest.param(
            said("x", code="401"), AuthenticationError, 401, id="code-as-text"
        ),
        pytest.param(said("x", status_code=400), InvalidRequestError, 400, id="status"),
        pytest.param(said("x", type="server_error"), ServerError, 200, id="type"),
        pytest.param(
            said("maximum context"), ContextLengthExceededError, 200, id="words"
        ),
        pytest.param(said("x"), ApiError, 200, id="nothing-told"),
        pytest.param({"error": {}}, ApiError, 200, id="empty"),
        pytest.param(7, ApiError, 200, id="no-object"),
    ],
)
def test_error_in_a_success(event, kind, status):
    """
    The body's own status counts, where it has one.
    """
    error = error_in(target_of(), event)

    assert kind is type(error)
    assert status == error.status_code


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        "9" * 10_000,
        '{"error":' * 500 + "1" + "}" * 500,
        '{"error":{"message":[[[[["x"]]]]],"code":[],"details":7}}',
        '{"error":{"message":null,"code":NaN,"status":1e999}}',
        '{"errors":7,"detail":{"loc":7},"Response":[]}',
        '"\\ud800"',
        "\ud7ff\x00\u2028",
        "<title>" * 10_000,
        "model " * 30_000,
    ],
    ids=lambda body: body[:12],
)
def test_strange_bodies_are_errors_all_the_same(body):
    """
    Nothing but our errors comes out, and soon.
    """
    began = time.perf_counter()

    error = classified(400, body)

    assert isinstance(error, InvalidRequestError)
    assert time.perf_counter() - began < 1
