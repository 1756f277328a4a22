"""
The blocking waits that are no socket's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ai_lib._core.call import Call
from ai_lib._core.errors import AiLibError, RequestTimeoutError
from ai_lib._core.flow import Flow, Promise
from ai_lib._core.racing import WIND_UP, Race, Runner, decided
from ai_lib._core.slots import Slots
from ai_lib._host.errand import Errand

T = TypeVar("T")


def pause(seconds: float, call: Call) -> None:
    """
    Wait *seconds*, or until *call* is cancelled.

    Raises:
        StreamCancelledError: It was.
    """
    woken = threading.Event()
    call.begin_wait(woken.set)
    try:
        woken.wait(seconds)
    finally:
        call.end_wait()
    call.check()


def aside(function: Callable[[], T], call: Call) -> T:
    """
    Run *function* in a thread and wait for it, but no longer than *call* may; it is left behind then.

    Raises:
        RequestTimeoutError: A deadline of the call came first.

        StreamCancelledError: The call was cancelled.
    """
    woken = threading.Event()
    call.begin_wait(woken.set)
    try:
        errand = Errand(function, woken.set)
        woken.wait(call.deadlines.remaining())
    finally:
        call.end_wait()
    call.check()
    if not errand.done:
        raise RequestTimeoutError(f"Waited in vain: {call.deadlines.expired()}.")
    return errand.result()


def join(promise: Promise, call: Call) -> Any:
    """
    Wait for what an executor does, as long as it takes.

    Raises:
        StreamCancelledError: The call was cancelled; the executor was told.
    """
    woken = threading.Event()
    call.begin_wait(woken.set)
    try:
        promise.add_done_callback(lambda _: woken.set())
        woken.wait()
    finally:
        call.end_wait()
    if call.cancelled:
        promise.cancel()
    call.check()
    return promise.result()


def take(slots: Slots, call: Call) -> None:
    """
    Wait for a slot, no longer than *call* may.

    Raises:
        RequestTimeoutError: A deadline of the call came first.

        StreamCancelledError: The call was cancelled.
    """
    woken, ticket = threading.Event(), object()
    handed = threading.Event()

    def hand_over() -> None:
        handed.set()
        woken.set()

    if slots.take(ticket, hand_over):
        return
    try:
        call.begin_wait(woken.set)
        try:
            woken.wait(call.deadlines.remaining())
        finally:
            call.end_wait()
        call.check()
        if not handed.is_set():
            raise RequestTimeoutError(
                f"No slot came free (max_concurrency): {call.deadlines.expired()}."
            )
    except BaseException:
        slots.give_up(ticket)
        raise


def compete(race: Race[T], call: Call, run: Callable[[Flow[T], Call], T]) -> T:
    """
    Run a race in threads.

    Raises:
        StreamCancelledError: The call was cancelled.
    """
    turn = threading.Event()
    errands: list[Errand[T]] = []

    def over() -> bool:
        finished = [one.done for one in errands]
        return bool(errands) and decided([one.error for one in errands], finished)

    def wait(seconds: float | None) -> None:
        end = None if seconds is None else time.monotonic() + seconds
        while not over() and (end is None or time.monotonic() < end):
            call.begin_wait(turn.set)
            try:
                turn.wait(None if end is None else max(0.0, end - time.monotonic()))
            finally:
                call.end_wait()
            turn.clear()
            call.check()

    try:
        for runner in race.runners:
            errands.append(Errand(partial(_run_in, run, runner), turn.set))
            wait(None if runner is race.runners[-1] else race.delay)
            if over():
                break
    except BaseException:
        _wind_up(race, errands, None, run)
        raise
    winner = next((one for one in errands if one.done and not one.error), None)
    _wind_up(race, errands, winner, run)
    if winner is not None:
        return winner.result()
    failed = [one.error for one in errands if not isinstance(one.error, AiLibError)]
    raise next(iter(failed), None) or errands[0].error or AssertionError


def _wind_up(
    race: Race[T], errands: list[Errand[T]], winner: Errand[T] | None, run: Any
) -> None:
    """
    Stop all but the winner, and throw away what they still give; without one, it was the caller who stopped
    them.
    """
    others = [
        (one, runner.call)
        for one, runner in zip(errands, race.runners, strict=False)
        if one is not winner
    ]
    for _, other in others:
        if winner is None:
            other.cancel()
        else:
            other.lose()
    deadline = time.monotonic() + WIND_UP
    for one, other in others:
        one.wait(max(0.0, deadline - time.monotonic()))
        one.dispose(partial(_throw_away, race, run, other))


def _run_in(run: Callable[[Flow[T], Call], T], runner: Runner[T]) -> T:
    return run(runner.begin(), runner.call)


def _throw_away(race: Race[T], run: Any, call: Call, result: T) -> None:
    run(race.discard(result), call)
