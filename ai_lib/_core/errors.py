"""
Every error that a call can end in.

::

    AiLibError
    ├── ConfigurationError
    │   └── MissingApiKeyError
    ├── LocalModelError
    ├── UnsupportedFeatureError
    ├── ApiError
    │   ├── InvalidRequestError
    │   │   ├── ContextLengthExceededError
    │   │   └── ContentFilteredError
    │   ├── AuthenticationError
    │   ├── PermissionDeniedError
    │   ├── NotFoundError
    │   │   └── ModelNotFoundError
    │   ├── RateLimitError
    │   │   └── QuotaExhaustedError
    │   └── ServerError
    │       └── OverloadedError
    ├── NetworkError
    │   ├── RequestTimeoutError
    │   └── IncompleteStreamError
    ├── InvalidResponseError
    │   └── ResponseTooLargeError
    ├── StreamCancelledError
    ├── ClientClosedError
    ├── CircuitOpenError
    └── RateLimitedLocallyError

Plain classes, the message by position and everything else optional, so that they pickle. None of them
holds a request, a header or a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_lib._core.chat import ChatCompletionResponse
    from ai_lib._core.ledger import Attempt, RateLimits


class AiLibError(Exception):
    """
    The base of every error of this library.

    Attributes:
        provider: Id of the provider that was asked.

        model: The model that was asked for.

        status_code: HTTP status, where there was an answer.

        code: The provider's own error code or type, as it came.

        request_id: The provider's id of the request, for its support.

        retry_after: Seconds that the provider asked to wait.

        rate_limits: What the answer's headers said of the provider's limits.

        body: The answer's first bytes as text, at most 2,000 characters, keys taken out.

        attempts: What the call tried, oldest first, the failed one last.

        elapsed: Seconds since the call began.

        partial: What a stream had brought when it failed, in the type of a whole answer.

        previous: The errors of earlier attempts of this call, oldest first.

        retryable: Whether another attempt at the same target may help; the class says it, an instance may
            say otherwise.

        failover: Whether another target may help; likewise.
    """

    retryable: bool = False
    failover: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        provider: str | None = None,
        model: str | None = None,
        status_code: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        rate_limits: RateLimits | None = None,
        body: str | None = None,
        attempts: tuple[Attempt, ...] = (),
        elapsed: float | None = None,
        partial: ChatCompletionResponse | None = None,
        previous: tuple[AiLibError, ...] = (),
        retryable: bool | None = None,
        failover: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.status_code = status_code
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.rate_limits = rate_limits
        self.body = body
        self.attempts = attempts
        self.elapsed = elapsed
        self.partial = partial
        self.previous = previous
        if retryable is not None:
            self.retryable = retryable
        if failover is not None:
            self.failover = failover

    @property
    def message(self) -> str:
        """
        What happened, in one sentence.
        """
        return str(self.args[0]) if self.args else ""

    @property
    def is_retryable(self) -> bool:
        """
        Whether another attempt at the same target may help.
        """
        return self.retryable

    def __deepcopy__(self, memo: dict[int, Any]) -> AiLibError:
        copied = type(self)(self.message)
        copied.__dict__.update(self.__dict__)  # all of it is frozen
        return copied


class ConfigurationError(AiLibError):
    """
    Something that was set up is missing or cannot be right; nothing was sent.
    """


class MissingApiKeyError(ConfigurationError):
    """
    The provider needs a key, and none was given or found.
    """


class LocalModelError(AiLibError):
    """
    The embedded model cannot run: no extra, no model, no space, a child that died.
    """


class UnsupportedFeatureError(AiLibError):
    """
    The request holds something that this provider does not take; nothing was sent.
    """


class ApiError(AiLibError):
    """
    The provider answered, and said no.
    """


class InvalidRequestError(ApiError):
    """
    The request itself is at fault (400, 413, 422).
    """


class ContextLengthExceededError(InvalidRequestError):
    """
    The messages are longer than the model's context.
    """


class ContentFilteredError(InvalidRequestError):
    """
    The provider's content policy refused the prompt.
    """


class AuthenticationError(ApiError):
    """
    The key is wrong, expired or of another region (401).
    """

    failover = True


class PermissionDeniedError(ApiError):
    """
    The key is right, and may not do this (403).
    """

    failover = True


class NotFoundError(ApiError):
    """
    There is nothing at that address (404, 410).
    """


class ModelNotFoundError(NotFoundError):
    """
    The provider does not know the model, or not any more.
    """

    failover = True


class RateLimitError(ApiError):
    """
    Too many requests or tokens for now (429); ``retry_after`` says for how long, where known.
    """

    retryable = True
    failover = True


class QuotaExhaustedError(RateLimitError):
    """
    Credit or quota is used up: waiting does not help, so it is never retried.
    """

    retryable = False


class ServerError(ApiError):
    """
    The provider failed (5xx, and 409, 425).
    """

    retryable = True
    failover = True


class OverloadedError(ServerError):
    """
    The provider is overloaded or loading the model (503, 529).
    """


class NetworkError(AiLibError):
    """
    No whole answer was heard: refused, reset, name not found, a bad certificate.

    Attributes:
        stale: A connection that was kept open turned out to be closed by the server before
            anything was heard on it; the request goes out again at once on a new one.
    """

    retryable = True
    failover = True
    stale = False


class RequestTimeoutError(NetworkError, TimeoutError):
    """
    A time-out of ``Timeout``, or the provider's own (408).
    """


class IncompleteStreamError(NetworkError):
    """
    A stream ended before the provider's end mark; ``partial`` holds what had come.
    """


class InvalidResponseError(AiLibError):
    """
    An answer that cannot be read, or a redirect elsewhere.
    """

    failover = True


class ResponseTooLargeError(InvalidResponseError):
    """
    An answer, an event or a decompressed body beyond its bound.
    """


class StreamCancelledError(AiLibError):
    """
    ``CancelHandle.cancel()`` was called; ``partial`` holds what had come.
    """


class ClientClosedError(AiLibError):
    """
    The client was used after ``close()``.
    """


class CircuitOpenError(AiLibError):
    """
    The circuit breaker keeps calls away from this target for now.
    """

    failover = True


class RateLimitedLocallyError(AiLibError):
    """
    A limit of this client would mean a wait past ``Timeout.total``.
    """

    failover = True


# Tracebacks show no underscore, and a pickle names what is public.
for _one in tuple(globals().values()):
    if isinstance(_one, type) and issubclass(_one, AiLibError):
        _one.__module__ = "ai_lib"
del _one
