"""
In which order targets are tried. A strategy only orders; what fails over is the errors' affair.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, get_args

import attrs

from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.errors import AiLibError, ConfigurationError
from ai_lib._core.rate_limit import tokens_of
from ai_lib._core.targets import Target

Named = Literal["failover", "round_robin", "weighted", "lowest_latency", "cheapest"]
#: A name, or a function that is given the targets and gives them, or some, in the order to try.
Routing = Named | Callable[[Sequence[Target]], Iterable[Target]]

#: Tokens of an answer whose request sets no bound, to compare prices by.
_ANSWER = 500
#: Seconds after which a latency is measured anew.
_FRESH = 60.0
#: Seconds; stands for a latency that is being measured for the first time.
_UNKNOWN = 1e9
#: Seconds that a target rests at most that does not say how long.
_LONGEST_REST = 60.0
#: Share of the newest measurement in a latency.
_NEWEST = 0.3


def check_routing(_: object, __: object, value: Any) -> None:
    """
    Refuse what is no strategy.

    Raises:
        ValueError: A name that there is not.
    """
    if not callable(value) and value not in get_args(Named):
        names = ", ".join(map(repr, get_args(Named)))
        raise ValueError(f"routing must be one of {names} or a callable, not {value!r}")


@attrs.define(kw_only=True, eq=False, repr=False)
class Router:
    """
    Orders the targets of one client. Thread-safe.

    Attributes:
        targets: All of them, the client's own first.

        routing: The strategy.
    """

    targets: tuple[Target, ...]
    routing: Routing = "failover"
    _turns: Any = attrs.field(factory=itertools.count, init=False)

    def order(
        self,
        request: ChatCompletionRequest,
        latencies: Sequence[float | None] = (),
    ) -> list[int]:
        """
        Give the places of the targets in the order in which to try them.

        Args:
            latencies: Seconds of each, under ``"lowest_latency"``; ``None``: not measured lately.

        Raises:
            ConfigurationError: The caller's strategy gave none of them, or something else.
        """
        places = list(range(len(self.targets)))
        if callable(self.routing):
            return self._chosen(self.routing)
        match self.routing:
            case "round_robin":
                turn = next(self._turns) % len(places)
                return places[turn:] + places[:turn]
            case "weighted":
                import random

                # Exponential variates: first with a chance proportional to its weight, and so on.
                times = [
                    random.expovariate(one.weight) for one in self.targets
                ]  # no secret
                return sorted(places, key=times.__getitem__)
            case "lowest_latency":
                return sorted(places, key=lambda at: latencies[at] or 0.0)
            case "cheapest":
                return sorted(places, key=lambda at: _price(self.targets[at], request))
        return places

    def answered(self, place: int) -> None:
        """
        Note that a target has answered.
        """

    def failed(self, place: int, error: AiLibError) -> None:
        """
        Note that a target has refused or failed.
        """

    def spread(self) -> Router:
        """
        Make the router of a smart batch: one that spreads over the targets, unless the caller has chosen a strategy.
        """
        if self.routing != "failover" or len(self.targets) == 1:
            return self
        return Spread(targets=self.targets)

    def _chosen(
        self, routing: Callable[[Sequence[Target]], Iterable[Target]]
    ) -> list[int]:
        chosen = []
        for one in routing(self.targets):
            if one not in self.targets:
                raise ConfigurationError(
                    f"routing gave {one!r}, which is none of the client's targets."
                )
            chosen.append(self.targets.index(one))
        if not chosen:
            raise ConfigurationError("routing gave no target.")
        return list(dict.fromkeys(chosen))


@attrs.define(kw_only=True, eq=False, repr=False)
class Spread(Router):
    """
    Orders targets by their health: by turns those that are well, and last those that have refused or failed, which
    rest as long as they asked for, else longer each time.
    """

    clock: Callable[[], float] = time.monotonic
    _until: dict[int, float] = attrs.field(factory=dict, init=False)
    _count: dict[int, int] = attrs.field(factory=dict, init=False)

    def order(
        self,
        request: ChatCompletionRequest,  # noqa: ARG002  # all are alike
        latencies: Sequence[float | None] = (),  # noqa: ARG002  # likewise
    ) -> list[int]:
        now, turn = self.clock(), next(self._turns)
        until = [self._until.get(at, now) for at in range(len(self.targets))]
        well = [at for at, end in enumerate(until) if end <= now]
        resting = [at for at, end in enumerate(until) if end > now]
        begin = turn % len(well) if well else 0
        return [
            *well[begin:],
            *well[:begin],
            *sorted(resting, key=until.__getitem__),
        ]

    def answered(self, place: int) -> None:
        if self._count.get(place) and self._until[place] <= self.clock():
            self._count[place] = 0

    def failed(self, place: int, error: AiLibError) -> None:
        now = self.clock()
        if self._until.get(place, now) > now:
            return  # it rests already: this one was under way
        count = self._count[place] = self._count.get(place, 0) + 1
        rest = error.retry_after or min(_LONGEST_REST, 2.0 ** (count - 1))
        self._until[place] = now + rest


def _price(target: Target, request: ChatCompletionRequest) -> float:
    if target.prices is None:
        return float("inf")
    read, written = tokens_of(request)
    return target.prices[0] * read + target.prices[1] * (written or _ANSWER)


# Latencies: ``[seconds, moment]``


def latency_of(seen: Any, now: float) -> tuple[Any, float | None]:
    """
    Give a target's latency; ``None``: it was not measured lately.
    """
    if not seen or now - seen[1] > _FRESH:
        return seen, None
    return seen, float(seen[0])


def measuring(seen: Any, now: float) -> tuple[Any, None]:
    """
    Note that a call measures a target. Until it has, a new one is taken for slow, so that one call measures,
    not all at once.
    """
    return [seen[0] if seen else _UNKNOWN, now], None


def measured(seen: Any, now: float, seconds: float) -> tuple[Any, None]:
    """
    Take a measurement: to the first chunk of a stream, to the end of another answer.
    """
    old = seen[0] if seen and seen[0] != _UNKNOWN else seconds
    return [old + _NEWEST * (seconds - old), now], None
