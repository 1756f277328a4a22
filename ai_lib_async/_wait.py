"""
How a call waits in an event loop: for one awaitable, as long as its deadlines allow, until it is woken.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread

from ai_lib._core.call import Call
from ai_lib._core.errors import AiLibError, RequestTimeoutError
from ai_lib._core.flow import Flow, Promise
from ai_lib._core.racing import Race, decided
from ai_lib._core.slots import Slots
from ai_lib._host.errand import Errand

T = TypeVar("T")


class Wait(Protocol):
    """
    The waits of one exchange, one after another: ``await wait.on(function, *arguments)``.

    A cancellation from outside always passes through unchanged. ``cancel`` may come from any thread.
    """

    async def on(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """
        Call *function* and wait for what it promises.

        Raises:
            TimeoutError: A deadline of the call came first.

            StreamCancelledError: The call was cancelled.
        """

    def extend(self) -> None:
        """
        Move the end of the wait to what the call's deadlines say now.
        """

    def close(self) -> None:
        """
        Note that there are no more waits.
        """


def waiting(call: Call, *, bounded: bool = True) -> Wait:
    """
    Make what the running event loop waits with best.

    Args:
        call: The call.

        bounded: Whether its deadlines end the waits.
    """
    loop = running_loop()
    if on_asyncio(loop):
        from ai_lib_async._alarm import TaskWait

        return TaskWait(call, loop, bounded=bounded)
    return _ScopeWait(call, loop, bounded=bounded)


class _ScopeWait:
    """
    Ends a wait by a scope that is open around that one await alone.
    """

    __slots__ = ("_bounded", "_call", "_loop", "_scope")

    def __init__(self, call: Call, loop: Any, *, bounded: bool) -> None:
        self._call = call
        self._loop = loop
        self._bounded = bounded
        self._scope = anyio.CancelScope()

    def extend(self) -> None:
        left = self._call.deadlines.remaining() if self._bounded else None
        self._scope.deadline = (
            float("inf") if left is None else anyio.current_time() + left
        )

    async def on(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        call, self._scope = self._call, anyio.CancelScope()
        scope = self._scope
        self.extend()
        call.begin_wait(lambda: soon(self._loop, scope.cancel))
        try:
            with scope:
                return await function(*arguments)
        finally:
            call.end_wait()
        call.check()
        raise TimeoutError("timed out")

    def close(self) -> None:
        """
        Leave it: nothing outlives a wait.
        """


async def once(call: Call, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """
    Wait a single time, as long as the deadlines of *call* allow.
    """
    wait = waiting(call)
    try:
        return await wait.on(function, *arguments)
    finally:
        wait.close()


async def pause(seconds: float, call: Call) -> None:
    """
    Wait *seconds*, or until *call* is cancelled.

    Raises:
        StreamCancelledError: It was.
    """
    await waiting(call, bounded=False).on(anyio.sleep, seconds)


async def aside(function: Callable[[], T], call: Call) -> T:
    """
    Run *function* in a thread and wait for it, but no longer than *call* may; it is left behind then.

    Not in a thread of the event loop's own: those keep the process from ending, and are few.

    Raises:
        RequestTimeoutError: A deadline of the call came first.

        StreamCancelledError: The call was cancelled.
    """
    loop, done = running_loop(), anyio.Event()
    errand = Errand(function, lambda: soon(loop, done.set))
    try:
        await once(call, done.wait)
    except TimeoutError:
        late = RequestTimeoutError(f"Waited in vain: {call.deadlines.expired()}.")
    else:
        return errand.result()
    raise late


async def join(promise: Promise, call: Call) -> Any:
    """
    Wait for what an executor does, as long as it takes.

    Raises:
        StreamCancelledError: The call was cancelled; the executor was told.
    """
    loop, done = running_loop(), anyio.Event()
    promise.add_done_callback(lambda _: soon(loop, done.set))
    try:
        await waiting(call, bounded=False).on(done.wait)
    except BaseException:
        promise.cancel()
        raise
    return promise.result()


async def keep(function: Callable[[], T]) -> T:
    """
    Run *function* in a thread and wait for it, whatever is cancelled: what was paid for is kept.
    """
    results: list[T] = []
    with anyio.CancelScope(shield=True):
        results.append(await anyio.to_thread.run_sync(function))
    return results.pop()


async def finish(function: Callable[[], Awaitable[T]]) -> T:
    """
    Wait for what *function* promises, whatever is cancelled from now on.
    """
    results: list[T] = []
    await anyio.lowlevel.checkpoint_if_cancelled()
    with anyio.CancelScope(shield=True):
        results.append(await function())
    return results.pop()


def running_loop() -> Any:
    """
    Give the event loop, or what stands for it under trio: it can be called from other threads.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:  # the short way
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            if asyncio.current_task(loop) is not None:  # else trio is its guest
                return loop
    return anyio.lowlevel.current_token().native_token


def on_asyncio(loop: Any) -> bool:
    """
    Tell asyncio's loop, or one made like it, from trio's token.
    """
    return hasattr(loop, "call_soon_threadsafe")


def soon(loop: Any, function: Callable[[], object]) -> None:
    """
    Have *loop* call *function* soon; from any thread. Does nothing once the loop has ended.
    """
    schedule = loop.call_soon_threadsafe if on_asyncio(loop) else loop.run_sync_soon
    with suppress(RuntimeError):  # the loop has ended, and all that waited in it
        schedule(function)


_spawned: set[Any] = set()


def spawn(loop: Any, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """
    Have *loop* run a coroutine function in a task of its own soon; from any thread, as ``soon``.
    """

    def begin() -> None:
        if on_asyncio(loop):
            task = loop.create_task(function())
            _spawned.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(_spawned.discard)
        else:
            import trio

            trio.lowlevel.spawn_system_task(function)

    soon(loop, begin)


async def take(slots: Slots, call: Call) -> None:
    """
    Wait for a slot, no longer than *call* may.

    Raises:
        RequestTimeoutError: A deadline of the call came first.

        StreamCancelledError: The call was cancelled.
    """
    loop, woken, ticket = running_loop(), anyio.Event(), object()
    if slots.take(ticket, lambda: soon(loop, woken.set)):
        return
    try:
        await once(call, woken.wait)
        return
    except TimeoutError:
        slots.give_up(ticket)
        late = RequestTimeoutError(
            f"No slot came free (max_concurrency): {call.deadlines.expired()}."
        )
    except BaseException:
        slots.give_up(ticket)
        raise
    raise late


async def compete(
    race: Race[T], call: Call, run: Callable[[Flow[Any], Call], Awaitable[Any]]
) -> T:
    """
    Run a race in tasks.

    Raises:
        StreamCancelledError: The call was cancelled.
    """
    field = _Field(race, call, run)
    failure: BaseException | None = None
    winner: int | None = None
    try:
        async with anyio.create_task_group() as group:
            try:
                await field.watch(group)
                winner = next(iter(field.results), None)
            except AiLibError as error:  # raised in no group
                failure = error
            field.stop(winner)
    finally:
        with anyio.CancelScope(shield=True):
            await field.throw_away(winner)
    if winner is not None:
        return field.results[winner]
    errors = [*field.errors.values()]
    raise failure or next(
        (one for one in errors if not isinstance(one, AiLibError)), errors[0]
    )


class _Field(Generic[T]):
    """
    The runners of one race, as tasks, and what came of them by their places.
    """

    def __init__(self, race: Race[T], call: Call, run: Any) -> None:
        self.results: dict[int, T] = {}
        self.errors: dict[int, BaseException] = {}
        self._race = race
        self._call = call
        self._run = run
        self._started = 0
        self._turn = anyio.Event()

    async def watch(self, group: anyio.abc.TaskGroup) -> None:
        """
        Start one after the other, until the race is decided.
        """
        for place, runner in enumerate(self._race.runners):
            group.start_soon(self._work, place)
            self._started += 1
            last = runner is self._race.runners[-1]
            await self._wait(float("inf") if last else self._race.delay)
            if self._decided():
                break

    async def _work(self, place: int) -> None:
        runner = self._race.runners[place]
        try:
            self.results[place] = await self._run(runner.begin(), runner.call)
        except anyio.get_cancelled_exc_class() as error:
            self.errors[place] = error
            raise
        except BaseException as error:  # noqa: BLE001  # raised in no group
            self.errors[place] = error
        self._turn.set()

    def _decided(self) -> bool:
        places = range(self._started)
        finished = [one in self.results or one in self.errors for one in places]
        return decided([self.errors.get(one) for one in places], finished)

    async def _wait(self, seconds: float) -> None:
        loop, end = running_loop(), anyio.current_time() + seconds
        while not self._decided() and anyio.current_time() < end:
            self._call.begin_wait(lambda: soon(loop, self._wake))
            try:
                with anyio.move_on_at(end):
                    await self._turn.wait()
            finally:
                self._call.end_wait()
            self._turn = anyio.Event()
            self._call.check()

    def _wake(self) -> None:
        self._turn.set()

    def stop(self, winner: int | None) -> None:
        """
        Stop all but the winner; without one, it was the caller who stopped them.
        """
        for place in range(self._started):
            if winner is None:
                self._race.runners[place].call.cancel()
            elif place != winner:
                self._race.runners[place].call.lose()

    async def throw_away(self, winner: int | None) -> None:
        """
        Throw away what the others gave.
        """
        for place, result in self.results.items():
            if place != winner:
                discard = self._race.discard(result)
                await self._run(discard, self._race.runners[place].call)
