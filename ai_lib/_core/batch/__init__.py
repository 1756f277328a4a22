"""
Many requests at once: the items, the lines of files that they come from and go to, and what runs when.
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
        return unwrapped(self.response, self.error)

    def _repr_markdown_(self) -> str:
        from ai_lib._core.showing import show_item

        return show_item(self)


@attrs.frozen(kw_only=True)
class BatchInput:
    """
    A line of a batch's input file.

    Attributes:
        custom_id: What its output is found by; of a line that has none ``request-0``, ``request-1`` …

        request: What is asked.
    """

    custom_id: str
    request: ChatCompletionRequest


@attrs.frozen(kw_only=True)
class BatchOutput:
    """
    A line of a batch's output file.

    Attributes:
        custom_id: That of the input.

        response: The answer; ``None`` if it failed.

        error: What it failed with; ``None`` if it was answered.
    """

    custom_id: str
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
        return unwrapped(self.response, self.error)


def unwrapped(
    response: ChatCompletionResponse | None, error: AiLibError | None
) -> ChatCompletionResponse:
    """
    Give an answer, or raise an error.
    """
    if error is not None:
        raise error
    assert response is not None
    return response


def id_of(index: int) -> str:
    """
    Name the request at a place, from 0, that has no name of its own.
    """
    return f"request-{index}"
