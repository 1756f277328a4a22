"""
The tree of errors, and that every one of them travels.
"""

import copy
import pickle
import re

import pytest

from ai_lib._core import errors
from ai_lib._core.chat import ChatCompletionResponse
from ai_lib._core.errors import (
    AiLibError,
    IncompleteStreamError,
    NetworkError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
)
from ai_lib._core.ledger import Attempt, RateLimits


def every_class(base=AiLibError):
    yield base
    for child in base.__subclasses__():
        if child.__module__.partition(".")[0] == "ai_lib":
            yield from every_class(child)


CLASSES = sorted(set(every_class()), key=lambda one: one.__name__)
FACTS = {
    "provider": "groq",
    "model": "gpt-oss-20b",
    "status_code": 429,
    "code": "rate_limit_exceeded",
    "request_id": "req_1",
    "retry_after": 2.5,
    "rate_limits": RateLimits(requests_remaining=0),
    "body": '{"error": {}}',
    "attempts": (Attempt(provider="groq", model="gpt-oss-20b", status_code=429),),
    "elapsed": 3.25,
    "partial": ChatCompletionResponse(id="1"),
    "previous": (ServerError("It failed."),),
    "retryable": False,
    "failover": True,
}


def drawn():
    """
    The tree in the module's docstring, as pairs of a class and its base.
    """
    line_of = re.compile(r"^    (?P<lead>[│├└─ ]*)(?P<name>\w+Error)\s*$")
    path = []
    for line in errors.__doc__.splitlines():
        if found := line_of.match(line):
            depth = len(found["lead"]) // 4
            path[depth:] = [found["name"]]
            yield found["name"], path[depth - 1] if depth else None


def test_tree_is_drawn_as_it_is():
    """
    The docstring's tree and the classes are the same.
    """
    real = {
        one.__name__: None if one is AiLibError else one.__bases__[0].__name__
        for one in CLASSES
    }

    assert real == dict(drawn())


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    "travel",
    [
        pytest.param(lambda error: pickle.loads(pickle.dumps(error)), id="pickle"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
    ],
)
def test_error_travels_with_everything_it_knows(kind, travel):
    """
    Class, message and attributes survive pickle and copies.
    """
    error = kind("Too fast.", **FACTS)

    arrived = travel(error)

    assert kind is type(arrived)
    assert "Too fast." == arrived.message == str(arrived)
    known = vars(arrived)
    assert {**FACTS, "previous": None} == {**known, "previous": None}
    assert ["It failed."] == [one.message for one in known["previous"]]
    assert [ServerError] == [type(one) for one in known["previous"]]


@pytest.mark.parametrize("kind", CLASSES)
def test_error_needs_nothing_but_a_message(kind):
    """
    Everything else is unknown, not missing.
    """
    error = kind("It happened.")

    assert ("It happened.",) == error.args
    assert (None, None, None, None) == (
        error.provider,
        error.status_code,
        error.retry_after,
        error.partial,
    )
    assert ((), ()) == (error.attempts, error.previous)


def test_error_without_a_message_has_an_empty_one():
    """
    No message is no failure.
    """
    assert "" == AiLibError().message


def test_only_these_are_retryable():
    """
    Busy or broken servers and the network may answer the second time; used-up quota does not.
    """
    retryable = {one.__name__ for one in CLASSES if one("x").is_retryable}

    assert {
        "RateLimitError",
        "ServerError",
        "OverloadedError",
        "NetworkError",
        "RequestTimeoutError",
        "IncompleteStreamError",
    } == retryable


def test_these_fail_over():
    """
    What another target may do better; never the request's own fault.
    """
    failing_over = {one.__name__ for one in CLASSES if one("x").failover}

    assert {
        "AuthenticationError",
        "PermissionDeniedError",
        "ModelNotFoundError",
        "RateLimitError",
        "QuotaExhaustedError",
        "ServerError",
        "OverloadedError",
        "NetworkError",
        "RequestTimeoutError",
        "IncompleteStreamError",
        "InvalidResponseError",
        "ResponseTooLargeError",
        "CircuitOpenError",
        "RateLimitedLocallyError",
    } == failing_over


def test_an_instance_may_say_otherwise():
    """
    A certificate error is a NetworkError that is not retried; the class stays as it is.
    """
    error = NetworkError("The certificate has expired.", retryable=False)

    assert not error.is_retryable
    assert NetworkError("Reset.").is_retryable


def test_families_can_be_caught():
    """
    Quota is a rate limit, a time-out is Python's own as well, a cut stream is the network's.
    """
    assert isinstance(QuotaExhaustedError("x"), RateLimitError)
    assert isinstance(RequestTimeoutError("x"), TimeoutError)
    assert isinstance(IncompleteStreamError("x"), NetworkError)


def test_no_error_hides_a_builtin():
    """
    No class has the name of an exception of Python's.
    """
    import builtins

    assert [] == [one.__name__ for one in CLASSES if hasattr(builtins, one.__name__)]


@pytest.mark.parametrize("kind", CLASSES)
def test_error_says_what_it_is(kind):
    """
    Each class has a docstring that says when it happens.
    """
    assert kind.__doc__.strip().endswith(".")
