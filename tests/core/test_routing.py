"""
In which order a smart batch tries targets.
"""

from __future__ import annotations

import pytest

from ai_lib import (
    ChatCompletionRequest,
    OverloadedError,
    RateLimitError,
    Target,
)
from ai_lib._core.routing import Router, Spread

REQUEST = ChatCompletionRequest("m", "hi")
TARGETS = tuple(Target("openai", name) for name in ("a", "b", "c"))


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def firsts(spread, count):
    return [spread.order(REQUEST)[0] for _ in range(count)]


def test_those_that_are_well_take_turns():
    """
    Each is first as often as the others, and each order holds all.
    """
    spread = Spread(targets=TARGETS)

    orders = [spread.order(REQUEST) for _ in range(6)]

    assert [0, 1, 2, 0, 1, 2] == [one[0] for one in orders]
    assert all([0, 1, 2] == sorted(one) for one in orders)


def test_one_that_refuses_rests_as_long_as_it_asks():
    """
    It is last until then, and takes its turns again after.
    """
    clock = Clock()
    spread = Spread(targets=TARGETS, clock=clock)

    spread.failed(1, RateLimitError("no", retry_after=30.0))
    resting = [spread.order(REQUEST) for _ in range(6)]
    clock.now += 30
    after = firsts(spread, 6)

    assert all(1 == one[-1] for one in resting)
    assert {0, 1, 2} == set(after)


def test_one_that_goes_on_failing_rests_longer():
    """
    Without a word of how long, a second, two, four; failures of calls that were under way count once.
    """
    clock = Clock()
    spread = Spread(targets=TARGETS[:2], clock=clock)
    rests = []

    for _ in range(3):
        spread.failed(0, OverloadedError("no"))
        spread.failed(0, OverloadedError("no"))
        began = clock.now
        while 0 not in firsts(spread, 2):
            clock.now += 0.5
        rests.append(clock.now - began)
    spread.answered(0)
    spread.failed(0, OverloadedError("no"))
    began = clock.now
    while 0 not in firsts(spread, 2):
        clock.now += 0.5

    assert [1.0, 2.0, 4.0] == rests
    assert 1.0 == clock.now - began


@pytest.mark.parametrize("routing", ["round_robin", "cheapest", list])
def test_strategy_of_the_caller_is_kept(routing):
    """
    A strategy that somebody chose is not replaced, nor is one target.
    """
    chosen = Router(targets=TARGETS, routing=routing)
    single = Router(targets=TARGETS[:1])

    assert chosen.spread() is chosen
    assert single.spread() is single
    assert isinstance(Router(targets=TARGETS).spread(), Spread)
