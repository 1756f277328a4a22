"""
Breakers, rate limits, slots, budgets, strategies and pace: pure, with a clock that is moved by hand.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random

import attrs
import pytest

from ai_lib import (
    BatchItem,
    BreakerPolicy,
    ChatCompletionRequest,
    ChatCompletionResponse,
    ConfigurationError,
    LocalState,
    OverloadedError,
    RateLimit,
    RateLimitError,
    Target,
)
from ai_lib._core import breaker, rate_limit
from ai_lib._core.batch.pace import Pace
from ai_lib._core.batch.plan import BatchOptions, Known, plan
from ai_lib._core.budget import RESERVE, RetryBudget
from ai_lib._core.routing import Router, latency_of, measured, measuring
from ai_lib._core.slots import Slots

POLICY = BreakerPolicy(failures=3, recovery=30.0)
REQUEST = ChatCompletionRequest("auto", "Name three primes.", max_tokens=100)


def judged(seen, *verdicts, now=0.0, trial=False):
    """
    Tell a breaker of verdicts; give what it has seen, and the changes.
    """
    changes = []
    for verdict in verdicts:
        seen, change = breaker.judged(POLICY, seen, now, verdict, trial=trial)
        changes.append(change)
    return seen, changes


# Breaker


def test_breaker_opens_at_failures_in_a_row():
    """
    A success between failures begins the count anew; 4xx and what says nothing leave it.
    """
    seen, changes = judged(None, "failed", "failed", "worked", "failed", "lives")
    assert [None] * 5 == changes

    seen, changes = judged(seen, "nothing", "failed", "failed")

    assert [None, None, "open"] == changes
    assert breaker.is_open(seen)


def test_open_breaker_lets_one_trial_through():
    """
    Open, it refuses and says for how long; after the recovery one attempt goes, and no other beside it.
    """
    seen, _ = judged(None, "failed", "failed", "failed")

    _, early = breaker.admit(POLICY, seen, 10.0)
    seen, trial = breaker.admit(POLICY, seen, 30.0)
    _, beside = breaker.admit(POLICY, seen, 31.0)

    assert 20.0 == early.wait
    assert (None, True) == (trial.wait, trial.trial)
    assert 29.0 == beside.wait


@pytest.mark.parametrize(
    ("verdict", "change", "wait"),
    [
        ("worked", "closed", None),
        ("lives", "closed", None),
        ("failed", "open", 30.0),
        ("nothing", None, None),
    ],
)
def test_trial_decides(verdict, change, wait):
    """
    A trial that works or meets a 4xx closes the circuit, one that fails opens it; one that was cancelled
    makes room for the next.
    """
    seen, _ = judged(None, "failed", "failed", "failed")
    seen, _ = breaker.admit(POLICY, seen, 30.0)

    seen, changes = judged(seen, verdict, now=30.0, trial=True)

    assert [change] == changes
    assert wait == breaker.admit(POLICY, seen, 30.0)[1].wait


def test_latecomers_do_not_close_an_open_circuit():
    """
    What began before the circuit opened says nothing of how the target is now.
    """
    seen, _ = judged(None, "failed", "failed", "failed")

    seen, changes = judged(seen, "worked", now=1.0)

    assert [None] == changes
    assert breaker.is_open(seen)


# Rate limit


def waits(limit, times, tokens=0, seen=None):
    """
    Reserve at each of these moments; give the waits.
    """
    found = []
    for now in times:
        seen, got = rate_limit.reserve(limit, seen, now, tokens, most=None)
        found.append(round(got.wait, 6))
    return found


def test_requests_are_evenly_spaced():
    """
    Sixty a minute are one a second, in order; a pause does not save up more than the burst.
    """
    assert [0, 1, 2] == waits(RateLimit(requests_per_minute=60), [0, 0, 0])
    assert [0, 0, 0, 1] == waits(
        RateLimit(requests_per_minute=60, burst=3), [99, 99, 99, 99]
    )


def test_tokens_are_paid_for_afterwards():
    """
    A request larger than a second's worth goes, and the next one waits until it is paid.
    """
    limit = RateLimit(tokens_per_minute=60)

    assert [0, 5] == waits(limit, [0, 0], tokens=5)


def test_settling_gives_back_what_was_not_used():
    """
    Tokens that were reserved and not used shorten the next wait.
    """
    limit = RateLimit(tokens_per_minute=60)
    seen, _ = rate_limit.reserve(limit, None, 0.0, 10, most=None)

    seen = rate_limit.settle(limit, seen, 0.0, requests=0, tokens=8)

    assert [2] == waits(limit, [0], tokens=1, seen=seen)


def test_wait_that_is_too_long_takes_nothing():
    """
    Where the wait would pass the bound, it is refused, and the bucket is as before.
    """
    limit = RateLimit(requests_per_minute=60)
    seen, _ = rate_limit.reserve(limit, None, 0.0, 0, most=None)

    after, got = rate_limit.reserve(limit, seen, 0.0, 0, most=0.5)

    assert (True, 1.0) == (got.refused, got.wait)
    assert after == seen


@pytest.mark.parametrize("given", [{}, {"requests_per_minute": 0}])
def test_limit_that_limits_nothing_is_refused(given):
    """
    A limit needs a number above zero.
    """
    with pytest.raises(ValueError, match="limit"):
        RateLimit(**given)


# Slots and the budget


def test_slots_are_handed_over_in_order():
    """
    A place goes to who has waited longest; who gave up is passed over.
    """
    slots, woken = Slots(1), []
    assert slots.take("a", lambda: woken.append("a"))
    for one in "bcd":
        assert not slots.take(one, lambda one=one: woken.append(one))

    slots.give_up("b")
    slots.leave()
    slots.give_up("c")

    assert ["c", "d"] == woken


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_what_the_parent_holds_takes_no_place_of_the_childs():
    """
    In a forked child all slots are free, and no lock is left taken.
    """
    slots, state = Slots(1), LocalState()
    assert slots.take("a", lambda: None)

    with state._lock:
        child = os.fork()
        if not child:  # pragma: no cover
            state.update("name", lambda seen: (1, None))
            os._exit(0 if slots.take("b", lambda: None) else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert not slots.take("b", lambda: None)


def test_budget_is_a_reserve_that_calls_fill():
    """
    Ten retries come out of the reserve, and one more for each call that needed none.
    """
    budget = RetryBudget()

    assert [True] * RESERVE + [False] == [budget.spend() for _ in range(RESERVE + 1)]
    budget.save()
    assert [True, False] == [budget.spend(), budget.spend()]


def test_local_state_keeps_the_newest(monkeypatch):
    """
    Values do not grow without bound.
    """
    monkeypatch.setattr("ai_lib._core.state._KEPT", 3)
    state = LocalState()

    for name in "abcd":
        state.update(name, lambda seen: (1, None))

    assert [None, 1, 1, 1] == [
        state.update(name, lambda seen: (seen, seen)) for name in "abcd"
    ]


# Strategies


def router(routing, *targets):
    """
    Make a router of targets.
    """
    return Router(targets=tuple(targets), routing=routing)


A, B, C = (Target("groq", name) for name in "abc")


def test_round_robin_takes_turns():
    """
    Each call begins with the next target, and may go on to all others.
    """
    turns = router("round_robin", A, B, C)

    orders = [turns.order(REQUEST) for _ in range(4)]

    assert [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]] == orders


def test_weighted_is_by_weight():
    """
    A target of three times the weight is first three times as often.
    """
    heavy = Target("groq", "b", weight=3.0)
    weighted = router("weighted", A, heavy)

    first = [weighted.order(REQUEST)[0] for _ in range(4000)]

    assert 0.7 < sum(first) / len(first) < 0.8


def test_cheapest_is_by_prices_and_request():
    """
    What counts is what this request costs: a long answer, or a long prompt.
    """
    reads = Target("groq", "a", prices=(1.0, 100.0))
    writes = Target("groq", "b", prices=(10.0, 1.0))
    cheapest = router("cheapest", C, reads, writes)
    long = ChatCompletionRequest("auto", "word " * 10_000, max_tokens=1)

    assert [2, 1, 0] == cheapest.order(REQUEST)
    assert [1, 2, 0] == cheapest.order(long)


def test_lowest_latency_measures_what_it_does_not_know():
    """
    A target without a measurement is tried first, by one call; then the faster one is.
    """
    lowest = router("lowest_latency", A, B)

    _, unknown = latency_of(None, 0.0)
    seen, _ = measuring(None, 0.0)
    _, meanwhile = latency_of(seen, 1.0)
    seen, _ = measured(seen, 2.0, 0.5)

    assert unknown is None
    assert meanwhile > 1000
    assert 0.5 == latency_of(seen, 3.0)[1]
    assert latency_of(seen, 100.0)[1] is None
    assert [1, 0] == lowest.order(REQUEST, [0.5, None])
    assert [1, 0] == lowest.order(REQUEST, [0.5, 0.2])


@pytest.mark.parametrize("wrong", [[], [Target("groq", "z")]])
def test_strategy_must_give_targets_of_the_client(wrong):
    """
    A function that gives none, or another, is told so.
    """
    with pytest.raises(ConfigurationError, match="routing gave"):
        router(lambda targets: wrong, A, B).order(REQUEST)


# Plan


ANSWER = ChatCompletionResponse(model="m")


def work_off(work):
    """
    Work a plan off, one after the other; give how many ran, and the items.
    """
    ran, items = 0, []
    while not work.over:
        if work.enter():
            drawn = work.draw()
            drawn = None if drawn is None else work.join(drawn)
            if drawn is None:
                work.leave()
            elif isinstance(drawn, Known):
                work.put([drawn.item], recalled=drawn.recalled)
            else:
                ran += 1
                work.put(work.judge(drawn, ANSWER))
        while (item := work.take()) is not None:
            items.append(item)
    return ran, items


def test_identical_requests_run_once():
    """
    With dedupe, each content is asked once, and every place gets the answer.
    """
    requests = [ChatCompletionRequest("m", str(number % 3)) for number in range(12)]

    ran, items = work_off(plan(requests, BatchOptions(dedupe=True)))

    assert 3 == ran
    assert list(range(12)) == sorted(item.index for item in items)


def test_ordered_plan_draws_no_further_than_its_window():
    """
    While the first item does not finish, a bounded number is drawn behind it.
    """
    drawn = itertools.count()
    requests = (attrs.evolve(REQUEST, seed=number) for number in drawn)
    work = plan(requests, BatchOptions(ordered=True, max_concurrency=4))
    assert work.enter()
    first = work.draw()

    while work.enter():
        work.put(work.judge(work.draw(), ANSWER))

    assert work.take() is None
    assert next(drawn) < 300
    work.put(work.judge(first, ANSWER))
    assert 0 == work.take().index


# Pace


class Minute:
    """
    A server of so many requests a minute, in a time of its own.
    """

    def __init__(self, rate, *, burst=10):
        self.now = 0.0
        self.rate = rate / 60
        self.burst = self.level = burst
        self.at = 0.0
        self.answered = []
        self.refused = []

    def ask(self):
        self.level += (self.now - self.at) * self.rate
        self.level, self.at = min(self.level, self.burst), self.now
        taken = self.level >= 1
        self.level -= taken
        (self.answered if taken else self.refused).append(self.now)
        return taken

    def run(self, pace, until, *, latency=lambda: 0.05):
        """
        Keep the pace busy until that moment; refusals take no longer than 50 ms.
        """
        under_way = []
        while self.now < until:
            while under_way and under_way[0][0] <= self.now:
                ended, began, taken = heapq.heappop(under_way)
                if taken:
                    pace.answered(ended - began, None)
                else:
                    error = RateLimitError("no", status_code=429, retry_after=1.0)
                    pace.refused(error, began)
            if len(under_way) < pace.limit and pace.wait() <= 0:
                pace.began(len(under_way) + 1)
                taken = self.ask()
                ends = self.now + (latency() if taken else 0.05)
                heapq.heappush(under_way, (ends, self.now, taken))
            else:
                self.now += 0.001

    def share(self, since):
        """
        The share of the allowed rate that was reached since a moment.
        """
        count = sum(moment >= since for moment in self.answered)
        return count / (self.rate * (self.now - since))


def test_pace_finds_the_limit_and_is_seldom_refused():
    """
    Of 600 requests a minute more than nine tenths are reached, with fewer than one in fifty refused.
    """
    server = Minute(600)

    server.run(Pace(most=50, clock=lambda: server.now), 180)

    assert server.share(since=0) >= 0.9
    assert len(server.refused) < 0.02 * len(server.answered)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_pace_follows_a_limit_that_changes(factor):
    """
    A minute after the limit changed, the new one is gone at.
    """
    server = Minute(600)
    pace = Pace(most=50, clock=lambda: server.now)
    server.run(pace, 60)
    server.rate *= factor
    server.refused.clear()

    server.run(pace, 120)
    answered = len(server.answered)
    server.run(pace, 180)

    assert len(server.refused) < 0.1 * answered
    assert 0.88 <= server.share(since=120) <= 1.1


def test_refusals_of_one_moment_cut_once():
    """
    What began before the last cut says nothing new, whether it was refused for load or for the rate.
    """
    now = 0.0
    pace = Pace(most=32, clock=lambda: now)
    pace.limit = 32
    now = 5.0

    for _ in range(10):
        pace.refused(OverloadedError("no", status_code=529, retry_after=1.0), 4.0)

    assert 16 == pace.limit
    assert 1.0 == pace.wait() == pace.held


def test_long_answers_need_more_at_once():
    """
    Where answers take two seconds, as many run at once as the limit is worth.
    """
    server = Minute(1200, burst=20)
    pace = Pace(most=64, clock=lambda: server.now)

    server.run(pace, 120, latency=lambda: 2.0)

    assert pace.limit >= 40
    assert server.share(since=30) >= 0.9


def test_long_and_short_answers_do_not_slow_it_down():
    """
    That some answers take ten times as long as others is no sign of load.
    """
    chance = random.Random(1)
    server = Minute(10**6, burst=10**6)
    pace = Pace(most=64, clock=lambda: server.now)

    server.run(pace, 120, latency=lambda: chance.lognormvariate(0.5, 0.6))

    assert 64 == pace.limit


def test_rising_latency_halves():
    """
    Where more at once make answers slow, it goes back, and stays about there.
    """
    server = Minute(10**6, burst=10**6)
    pace = Pace(most=64, clock=lambda: server.now)
    limits, decided = set(), set()

    def latency():
        limits.add(pace.limit)
        decided.add(pace.decided)
        return 4.0 if pace.limit > 20 else 1.0

    server.run(pace, 200, latency=latency)

    assert "16 at once: answers take longer" in decided
    assert 32 == max(limits)
    assert 10 <= pace.limit <= 21


def test_longer_answers_are_no_load():
    """
    When answers take longer whatever runs at once, as many run at once as before.
    """
    server = Minute(10**6, burst=10**6)
    pace = Pace(most=64, clock=lambda: server.now)
    server.run(pace, 60, latency=lambda: 1.0)

    server.run(pace, 90, latency=lambda: 8.0)

    assert 64 == pace.limit


def test_pause_of_hours_is_no_reason_to_hurry():
    """
    A batch that was not iterated for a day goes on at most twice as fast.
    """
    now = 0.0
    pace = Pace(most=64, clock=lambda: now)
    for _ in range(4):
        pace.began(4)
    now = 1.0
    pace.began(4)
    pace.refused(RateLimitError("no", retry_after=1.0), 1.0)
    before = pace.rate

    now = 86_400.0
    pace.began(1)

    assert 2 * before == pace.rate


def test_what_need_not_be_asked_takes_no_turn():
    """
    Items of the journal, and of requests that were answered alike, do not wait for the pace.
    """
    known = BatchItem(index=0, request=REQUEST, response=ANSWER)
    work = plan([REQUEST] * 100, BatchOptions(smart=True, dedupe=True))
    work.pace.rate = 1.0
    work.pace._grown_at = work.pace.clock()
    work.enter()
    work.put(work.judge(work.join(work.draw()), ANSWER))

    for _ in range(50):
        assert work.wait() <= 0
        assert work.enter()
        found = work.join(work.draw())
        work.put([found.item])
    work.recall = lambda request, index: known
    work.enter()
    assert known == work.join(work.draw()).item
    assert work.wait() <= 0


def test_decision_is_told():
    """
    The progress says how a smart batch goes on, and why; a plain one decides nothing.
    """
    work = plan([REQUEST] * 100, BatchOptions(smart=True))
    work.enter()
    work.judge(work.draw(), OverloadedError("no", retry_after=0.1))

    told = work.progress()

    assert "2 at once: the provider is overloaded" == told.decided
    assert str(told).endswith(told.decided)
    assert "" == plan([], BatchOptions()).progress().decided
