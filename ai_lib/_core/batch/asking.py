"""
How a provider's batch API is asked: what may be sent twice, and what not; how often, and with which waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from ai_lib._core.batch.apis import Exchange
from ai_lib._core.call import Call
from ai_lib._core.errors import (
    AiLibError,
    ApiError,
    NetworkError,
    NotFoundError,
    OverloadedError,
    ServerError,
)
from ai_lib._core.flow import Finish, Flow, Sleep
from ai_lib._core.http import HttpRequest, HttpResponse


@attrs.frozen(kw_only=True)
class Polling:
    """
    How often a provider is asked.

    Attributes:
        first: Seconds between the first two questions; few, for batches that are refused at once, or tiny.

        after_failure: Seconds before something that failed is tried again for the first time.

        factor: By how much each next wait is longer.

        longest: Seconds; no wait is longer, unless the provider asks for it.

        attempts: How often something is tried that fails and may work later; a question how far a job is
            is asked without end.
    """

    first: float = 0.1
    after_failure: float = 1.0
    factor: float = 1.5
    longest: float = 60.0
    attempts: int = 6

    def waits(self, first: float | None = None) -> Iterator[float]:
        """
        Give the waits, one after another.

        Args:
            first: Another first one.
        """
        wait = first or self.first
        while True:
            yield wait
            wait = min(wait * self.factor, self.longest)

    def until_found(self, times: int) -> float:
        """
        Seconds to wait for what was not found so often: a minute in all, then it is gone.
        """
        # Anthropic answers 404 for jobs and results that are there, for less than a minute:
        # anthropics/anthropic-sdk-python, issue 1432, read 2026-11.
        return min(self.after_failure * 2.0 ** (times - 1), self.longest)


@attrs.define(kw_only=True, repr=False)
class Asking:
    """
    Sends requests, and sends again what failed and may be sent again.

    Attributes:
        exchange: Sends one request; an error status is raised as what it means.

        polling: How often, and with which waits.

        call: What its flows run under.

        making: What a job is being made under, which is not cut short with *call*; ``None``: none is.
    """

    exchange: Callable[[Call, HttpRequest, bool], Flow[HttpResponse]]
    polling: Polling
    call: Call = attrs.field(init=False)
    making: Call | None = attrs.field(default=None, init=False)

    def once(self, request: HttpRequest, stream: bool) -> Flow[HttpResponse]:
        """
        Send what makes a job, and hear the answer, whatever is cancelled meanwhile; again only if the provider said
        that it made none.
        """
        try:
            return (yield from self._tries(self._whole, request, stream, _said_later))
        except (NetworkError, ServerError) as error:
            if _said_no(error):
                raise
            words = (
                "whether the batch was made is not known; look before you send it again"
            )
            error.args = (f"{error.message.rstrip('.')}: {words}.",)
            error.retryable = False
            raise

    def plainly(self, request: HttpRequest, stream: bool) -> Flow[HttpResponse]:
        """
        Send once, whatever comes of it.
        """
        return (yield from self.exchange(self.call, request, stream))

    def again(self, request: HttpRequest, stream: bool) -> Flow[HttpResponse]:
        """
        Send what does no harm when it is sent twice.
        """
        return (yield from self._tries(self.plainly, request, stream, _may_pass))

    def found(self, request: HttpRequest, stream: bool) -> Flow[HttpResponse]:
        """
        Send what does no harm when it is sent twice, and is there though it may not be found at once.
        """
        return (yield from self._tries(self.plainly, request, stream, _may_be_there))

    def _whole(self, request: HttpRequest, stream: bool) -> Flow[HttpResponse]:
        self.making = making = Call(self.call.deadlines.timeout)
        try:
            answer: HttpResponse = yield Finish(
                self.exchange(making, request, stream), making
            )
            return answer
        finally:
            self.making = None

    def _tries(
        self,
        send: Exchange,
        request: HttpRequest,
        stream: bool,
        passing: Callable[[AiLibError], bool],
    ) -> Flow[HttpResponse]:
        waits = self.polling.waits(self.polling.after_failure)
        for left in range(self.polling.attempts - 1, -1, -1):
            try:
                return (yield from send(request, stream))
            except (ApiError, NetworkError) as error:
                if not left or not passing(error):
                    raise
                wait = max(next(waits), error.retry_after or 0.0)
                if self.call.deadlines.bounded(wait) < wait:
                    raise  # it would come too late
            yield Sleep(wait)
        raise AssertionError  # the last one returns or raises


def _may_pass(error: AiLibError) -> bool:
    """
    Tell whether the same may work later.
    """
    return error.is_retryable


def _may_be_there(error: AiLibError) -> bool:
    """
    Likewise, of what is not found yet, too.
    """
    return error.is_retryable or isinstance(error, NotFoundError)


def _said_later(error: AiLibError) -> bool:
    """
    Tell whether a provider has done nothing, and may do it later.
    """
    return error.is_retryable and _said_no(error)


def _said_no(error: AiLibError) -> bool:
    """
    Tell whether a provider has done nothing: of a failure of its own, or its gateway's, that is not known.
    """
    failed = isinstance(error, ServerError) and (error.status_code or 500) >= 500
    unknown = failed and not isinstance(error, OverloadedError)
    return isinstance(error, ApiError) and not unknown
