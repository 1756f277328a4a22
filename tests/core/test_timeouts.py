"""
Deadlines: how long the next wait may be, by a clock that the test holds.
"""

from __future__ import annotations

import pytest

from ai_lib._core.timeouts import Deadlines, Timeout


class Clock:
    """
    A clock that stands still until it is moved.
    """

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        """
        Let time pass.
        """
        self.now += seconds


@pytest.fixture
def clock():
    """
    Give a clock.
    """
    return Clock()


def deadlines(clock, **bounds):
    """
    Make deadlines of some bounds, all others off.
    """
    none = {"connect": None, "idle": None, "attempt": None, "total": None}
    return Deadlines(Timeout(**{**none, **bounds}), clock=clock)


def test_nothing_is_bounded_without_bounds(clock):
    """
    Without bounds a wait may take for ever.
    """
    ours = deadlines(clock)

    ours.begin_attempt(stream=False)

    assert ours.remaining() is None
    assert ours.room() is None
    assert ours.expired() is None


def test_the_soonest_bound_counts(clock):
    """
    The next wait may take as long as the soonest of the bounds says.
    """
    ours = deadlines(clock, connect=3, attempt=5, total=7)

    ours.begin_attempt(stream=False)
    assert 3 == ours.remaining()
    ours.connected()
    assert 5 == ours.remaining()
    ours.end_attempt()
    assert 7 == ours.remaining()


def test_attempt_counts_from_its_beginning(clock):
    """
    Each attempt has its own bound; the whole call's goes on.
    """
    ours = deadlines(clock, attempt=5, total=20)

    ours.begin_attempt(stream=False)
    clock.pass_(4)
    assert 1 == ours.remaining()
    ours.begin_attempt(stream=False)
    assert 5 == ours.remaining()
    clock.pass_(4)
    ours.begin_attempt(stream=False)
    clock.pass_(4)
    assert 1 == ours.remaining()
    assert 8 == ours.room()


def test_attempt_does_not_bound_a_stream(clock):
    """
    A stream has *idle* instead of *attempt*.
    """
    ours = deadlines(clock, attempt=5, idle=9)

    ours.begin_attempt(stream=True)

    assert 9 == ours.remaining()


def test_silence_begins_anew_with_each_line(clock):
    """
    A completed line begins the silence anew; bytes inside one do not.
    """
    ours = deadlines(clock, idle=10)
    ours.begin_attempt(stream=True)

    clock.pass_(4)
    ours.pause()
    ours.resume(progressed=False)
    assert 6 == ours.remaining()

    clock.pass_(4)
    ours.pause()
    ours.resume(progressed=True)
    assert 10 == ours.remaining()


def test_time_of_the_caller_does_not_count(clock):
    """
    Between two reads silence does not count, but the whole call does.
    """
    ours = deadlines(clock, idle=10, total=100)
    ours.begin_attempt(stream=True)

    clock.pass_(4)
    ours.pause()
    clock.pass_(50)
    assert 46 == ours.remaining()
    ours.resume(progressed=False)

    assert 6 == ours.remaining()


def test_pausing_twice_is_pausing_once(clock):
    """
    A second ``pause`` changes nothing.
    """
    ours = deadlines(clock, idle=10)
    ours.begin_attempt(stream=True)

    clock.pass_(4)
    ours.pause()
    clock.pass_(4)
    ours.pause()
    ours.resume(progressed=False)

    assert 6 == ours.remaining()


def test_rest_of_a_stream_has_a_short_bound(clock):
    """
    Behind the end mark only the given moment counts, and *total*.
    """
    ours = deadlines(clock, idle=10, total=100)
    ours.begin_attempt(stream=True)

    ours.begin_drain(0.05)

    assert 0.05 == pytest.approx(ours.remaining())


def test_waits_are_cut_to_what_is_left(clock):
    """
    ``bounded`` gives no more than is left, and never less than nothing.
    """
    ours = deadlines(clock, attempt=5)
    ours.begin_attempt(stream=False)

    assert 3 == ours.bounded(3)
    clock.pass_(4)
    assert 1 == ours.bounded(3)
    clock.pass_(4)
    assert 0 == ours.bounded(3)
    ours.end_attempt()
    assert 3 == ours.bounded(3)


@pytest.mark.parametrize(
    ("bounds", "stream", "words"),
    [
        pytest.param({"connect": 2}, False, "no connection within 2 s", id="connect"),
        pytest.param({"attempt": 2}, False, "no whole answer within 2 s", id="attempt"),
        pytest.param({"idle": 2}, True, "silence for 2 s", id="idle"),
        pytest.param({"total": 2}, False, "the call took more than 2 s", id="total"),
    ],
)
def test_what_has_run_out_is_named(clock, bounds, stream, words):
    """
    ``expired`` names the bound that has run out, in words for an error.
    """
    ours = deadlines(clock, **bounds)
    ours.begin_attempt(stream=stream)

    clock.pass_(1.9)
    assert ours.expired() is None
    clock.pass_(0.1)
    assert words == ours.expired()


def test_elapsed_counts_from_the_beginning(clock):
    """
    ``elapsed`` is the age of the call.
    """
    ours = deadlines(clock)

    clock.pass_(3)
    ours.begin_attempt(stream=False)
    clock.pass_(4)

    assert 7 == ours.elapsed


def test_seconds_are_short_for_a_timeout():
    """
    A number means *attempt* and *idle*, and *connect* up to its default.
    """
    assert Timeout(10, idle=30, attempt=30) == Timeout.of(30)
    assert Timeout(2, idle=2, attempt=2) == Timeout.of(2)
    assert Timeout() == Timeout.of(None)
    assert Timeout(total=3) == Timeout.of(Timeout(total=3))


def test_defaults_are_those_of_the_documentation():
    """
    The defaults are what the documentation says.
    """
    timeout = Timeout()

    assert (10, 120, 600, None) == (
        timeout.connect,
        timeout.idle,
        timeout.attempt,
        timeout.total,
    )


@pytest.mark.parametrize("name", ["connect", "idle", "attempt", "total"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_bounds_are_above_zero(name, value):
    """
    Nothing else than a number above zero is a bound; the message names the field.
    """
    with pytest.raises(ValueError, match=name):
        Timeout(**{name: value})
    with pytest.raises(TypeError, match=name):
        Timeout(**{name: "3"})


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param("20", TypeError, id="text"),
        pytest.param((5, 30), TypeError, id="pair"),
        pytest.param(-1, ValueError, id="negative"),
    ],
)
def test_wrong_seconds_speak_of_the_timeout(value, kind):
    """
    What a caller passed as *timeout* is called so, not by one of its bounds.
    """
    with pytest.raises(kind, match=r"^timeout must be "):
        Timeout.of(value)
