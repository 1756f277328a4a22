"""
Retries: which errors, how often, and how long between them. Nothing here waits.
"""

from __future__ import annotations

import pytest

from ai_lib._core import errors
from ai_lib._core.retry import RETRIED_STATUSES, RetryPolicy


def api(status, kind=errors.ApiError, **more):
    """
    Make an error that an answer means.
    """
    return kind("no", status_code=status, **more)


RETRIED = [
    pytest.param(api(408), id="408"),
    pytest.param(api(409), id="409"),
    pytest.param(api(425), id="425"),
    pytest.param(api(429, errors.RateLimitError), id="429"),
    pytest.param(api(500, errors.ServerError), id="500"),
    pytest.param(api(503, errors.OverloadedError), id="503"),
    pytest.param(api(529, errors.OverloadedError), id="529"),
    pytest.param(api(599, errors.ServerError), id="599"),
    pytest.param(errors.NetworkError("cut"), id="network"),
    pytest.param(errors.RequestTimeoutError("late"), id="time-out"),
    pytest.param(errors.IncompleteStreamError("cut"), id="cut stream"),
    pytest.param(api(400, retryable=True), id="said so itself"),
]
FINAL = [
    pytest.param(api(400, errors.InvalidRequestError), id="400"),
    pytest.param(api(401, errors.AuthenticationError), id="401"),
    pytest.param(api(404, errors.NotFoundError), id="404"),
    pytest.param(api(429, errors.QuotaExhaustedError), id="quota"),
    pytest.param(
        api(429, errors.QuotaExhaustedError, retryable=True), id="quota at all"
    ),
    pytest.param(
        errors.NetworkError("bad certificate", retryable=False), id="certificate"
    ),
    pytest.param(errors.InvalidResponseError("rubbish"), id="rubbish"),
    pytest.param(errors.StreamCancelledError("stop"), id="cancelled"),
    pytest.param(errors.ClientClosedError("closed"), id="closed"),
    pytest.param(errors.ConfigurationError("no"), id="configuration"),
    pytest.param(api(503, errors.OverloadedError, retryable=False), id="said not to"),
    pytest.param(ValueError("own"), id="another's"),
    pytest.param(KeyboardInterrupt(), id="Ctrl-C"),
]


@pytest.mark.parametrize("error", RETRIED)
def test_what_may_pass_is_retried(error):
    """
    Failed connections, time-outs and passing statuses are worth another attempt.
    """
    assert RetryPolicy().retries(error)


@pytest.mark.parametrize("error", FINAL)
def test_what_lasts_is_not_retried(error):
    """
    What another attempt cannot mend is not, used-up quota never.
    """
    assert not RetryPolicy().retries(error)


def test_statuses_can_be_chosen():
    """
    The caller's statuses take the place of the built-in ones.
    """
    policy = RetryPolicy(statuses=[404])

    assert policy.retries(api(404, errors.NotFoundError))
    assert not policy.retries(api(500, errors.ServerError))
    assert {408, 409, 425, 429, 500, 529} < RETRIED_STATUSES


@pytest.mark.parametrize(
    ("failures", "bound"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (5, 8), (6, 8), (5000, 8)]
)
def test_waits_are_random_up_to_a_doubled_bound(failures, bound):
    """
    A wait is anything between nothing and a bound that doubles up to its cap.
    """
    waits = [RetryPolicy().wait(failures, None) for _ in range(400)]

    assert 0 <= min(waits) < bound * 0.1
    assert bound * 0.9 < max(waits) <= bound


@pytest.mark.parametrize("asked", [0.5, 3, 59])
def test_never_less_than_asked(asked):
    """
    What the provider asks for is the least.
    """
    error = api(429, errors.RateLimitError, retry_after=asked)

    waits = [RetryPolicy().wait(1, error) for _ in range(100)]

    assert min(waits) >= asked
    assert max(waits) <= max(asked, 0.5)


def attempts_of(policy, *outcomes, room=lambda: None):
    """
    Run a policy over outcomes; give how many attempts it made, the waits, and what came out.
    """
    waits, made = [], 0
    result = None
    try:
        for again in policy.retrying(waits.append, room=room):
            with again:
                outcome = outcomes[made]
                made += 1
                if isinstance(outcome, BaseException):
                    raise outcome
                result = outcome
    except errors.AiLibError as error:
        result = error
    return made, waits, result


def test_attempts_are_counted():
    """
    There are as many attempts as the policy says, and the last error comes out itself.
    """
    failures = [api(500, errors.ServerError) for _ in range(9)]

    made, waits, result = attempts_of(RetryPolicy(attempts=4), *failures)

    assert 4 == made
    assert 3 == len(waits)
    assert result is failures[3]


def test_success_ends_it():
    """
    The first success ends it.
    """
    made, _, result = attempts_of(RetryPolicy(), api(500, errors.ServerError), "hi")

    assert (2, "hi") == (made, result)


def test_wait_above_the_cap_is_not_waited():
    """
    A provider that asks for more than the cap is not waited for.
    """
    long = api(429, errors.RateLimitError, retry_after=60.5)
    short = api(429, errors.RateLimitError, retry_after=60)

    made, waits, result = attempts_of(RetryPolicy(), short, long, "hi")

    assert (2, [60]) == (made, waits)
    assert result is long


def test_wait_past_the_call_is_not_begun():
    """
    A wait that would pass the call's own bound is not begun.
    """
    error = api(429, errors.RateLimitError, retry_after=5)

    assert (1, [], error) == attempts_of(RetryPolicy(), error, "hi", room=lambda: 5)
    assert (2, [5], "hi") == attempts_of(RetryPolicy(), error, "hi", room=lambda: 5.1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempts", 0),
        ("backoff", -1),
        ("backoff_cap", -1),
        ("retry_after_cap", -1),
        ("backoff", float("nan")),
    ],
)
def test_settings_are_checked(field, value):
    """
    What cannot be right is refused, by its name.
    """
    with pytest.raises(ValueError, match=field):
        RetryPolicy(**{field: value})
