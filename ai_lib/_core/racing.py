"""
Hedging: a second attempt beside one that is slow; the first to speak wins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import attrs

from ai_lib._core.call import Call
from ai_lib._core.errors import AiLibError
from ai_lib._core.flow import Flow
from ai_lib._core.record import Record
from ai_lib._core.targets import Target

T = TypeVar("T")

#: Seconds that who lost may take to wind up, so that what it cost is known.
WIND_UP = 0.1


def _to_target(value: str | Target | None) -> Target | None:
    return None if value is None else Target.of(value)


@attrs.frozen(eq=False, repr=False)
class Hedge(Record):
    """
    When to begin a second attempt beside the first.

    Attributes:
        delay: Seconds without a word (of a stream: without its first chunk) until then.

        target: Where it goes; ``None``: to the same target. It counts in the retry budget then.
    """

    delay: float = attrs.field()
    target: Target | None = attrs.field(default=None, converter=_to_target)

    @delay.validator
    def _check_delay(self, _: object, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"the delay of a hedge must be seconds, not {value!r}")
        if not 0 <= value < float("inf"):
            raise ValueError(f"the delay of a hedge must not be negative: {value!r}")

    @classmethod
    def of(cls, value: float | Hedge | None) -> Hedge | None:
        """
        Read what callers write: seconds, or a ``Hedge``.
        """
        return value if value is None or isinstance(value, Hedge) else cls(value)


@attrs.frozen(eq=False, repr=False)
class Runner(Record, Generic[T]):
    """
    One who runs in a race.

    Attributes:
        begin: Makes its flow, when it starts.

        call: The call of its own that it runs under; to cancel it stops the runner.
    """

    begin: Callable[[], Flow[T]]
    call: Call


@attrs.frozen(eq=False, repr=False)
class Race(Record, Generic[T]):
    """
    The effect: run flows beside one another, each a while after the one before it.

    The reply is the result of the first that returns. All others are cancelled, and have wound up or
    had ``WIND_UP`` seconds for it; what they still gave goes to *discard*. If all that have started fail, no other is
    started, and the error of the first is thrown in.

    Attributes:
        runners: In the order of their starts.

        delay: Seconds between two starts.

        discard: Makes the flow that throws a result away.
    """

    runners: tuple[Runner[T], ...]
    delay: float
    discard: Callable[[T], Flow[None]]


def decided(errors: Sequence[BaseException | None], finished: Sequence[bool]) -> bool:
    """
    Tell whether a race is over.

    Args:
        errors: Of each that has started, what it failed with.

        finished: Of each that has started, whether it has returned or failed.
    """
    pairs = list(zip(errors, finished, strict=True))
    if any(done and not isinstance(error, AiLibError) for error, done in pairs):
        return True  # one returned, or something that is no failure of a call
    return all(finished)
