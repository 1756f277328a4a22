"""
Many requests at once: the items and what runs when.
"""

from __future__ import annotations

import attrs

from ai_lib._core.chat import ChatCompletionRequest, ChatCompletionResponse
from ai_lib._core.errors import AiLibError
from ai_lib._core.record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BatchItem(Record):
    """
    One request of a batch and what came of it.

    Attributes:
        index: Its place among the requests, from 0.

        request: As it was given.

        response: The answer; ``None`` if it failed.

        error: What it failed with; ``None`` if it was answered.
    """

    index: int
    request: ChatCompletionRequest
    response: ChatCompletionResponse | None = None
    error: AiLibError | None = None

    @property
    def ok(self) -> bool:
        """
        Whether it was answered.
        """
        return self.error is None

    def unwrap(self) -> ChatCompletionResponse:
        """
        Get the answer, or raise what it failed with.
        """
        if self.error is not None:
            raise self.error
        assert self.response is not None
        return self.response
