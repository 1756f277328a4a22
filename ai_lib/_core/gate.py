"""
What an attempt must pass before it goes out, and what is noted when it has ended: circuit breaker, rate
limit, slots, latencies. One place for all of them, so that nothing is entered that is not left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import attrs

from ai_lib._core import breaker, log, rate_limit
from ai_lib._core.breaker import Admission, BreakerPolicy, Change, Verdict
from ai_lib._core.call import Call
from ai_lib._core.chat import ChatCompletionRequest, Usage
from ai_lib._core.errors import CircuitOpenError, RateLimitedLocallyError
from ai_lib._core.flow import Flow, Note, Sleep, Take, run
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.rate_limit import RateLimit, Reservation
from ai_lib._core.record import Record
from ai_lib._core.secrets import Secret
from ai_lib._core.slots import Slots, slots_of
from ai_lib._core.state import PROCESS_STATE, StateStore

T = TypeVar("T")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Gate(Record):
    """
    What every attempt of a client passes.

    Attributes:
        breaker: ``None``: there is none.

        rate_limit: ``None``: there is none.

        max_concurrency: Exchanges under way at one target; ``None``: any number.

        latencies: Whether latencies are noted, for a strategy that asks for them.

        store: Where what has been seen is kept.
    """

    breaker: BreakerPolicy | None = None
    rate_limit: RateLimit | None = None
    max_concurrency: int | None = None
    latencies: bool = False
    store: StateStore = PROCESS_STATE

    @property
    def stands_open(self) -> bool:
        """
        Whether there is nothing to pass.
        """
        given = (self.breaker, self.rate_limit, self.max_concurrency)
        return given == (None, None, None) and not self.latencies

    def enter(
        self,
        call: Call,
        target: ResolvedTarget,
        secret: Secret | None,
        request: ChatCompletionRequest | None,
        tell: Callable[[Change], None],
    ) -> Flow[Passage]:
        """
        Pass, waiting where that is called for; the passage is to be ended once.

        Raises:
            CircuitOpenError: The breaker keeps calls away.

            RateLimitedLocallyError: The rate limit would mean a wait past ``Timeout.total``.
        """
        if self.stands_open:
            return Passage(gate=self, target="", tell=tell)
        passage = Passage(gate=self, target=self.name_of(target, secret), tell=tell)
        try:
            yield from self._ask_breaker(passage, target.provider)
            yield from self._reserve(passage, call, target.provider, request)
            if self.max_concurrency is not None:
                slots = slots_of(passage.target, self.max_concurrency)
                began = time.monotonic()
                yield Take(slots)
                passage.slots = slots
                call.waited += time.monotonic() - began
        except BaseException:
            yield from passage.leave("nothing", unused=True)
            raise
        return passage

    def name_of(self, target: ResolvedTarget, secret: Secret | None) -> str:
        """
        Name what is shared about a target.
        """
        key = "-" if secret is None else secret.fingerprint_with(self.store.salt)
        return f"{target.provider} {target.base_url} {key}"

    def kept(self, passage_name: str, policy: object) -> str:
        """
        Name the value of a policy at a target.
        """
        return f"{passage_name} {policy!r}"

    def change(self, name: str, change: Callable[[Any], tuple[Any, T]]) -> Flow[T]:
        """
        Change a value, where that blocks nobody.
        """
        result: T
        if self.store.blocking:
            result = yield from run(partial(self.store.update, name, change))
        else:
            result = self.store.update(name, change)
        return result

    def _ask_breaker(self, passage: Passage, provider: str) -> Flow[None]:
        policy = self.breaker
        if policy is None:
            return
        store = self.store
        said: Admission = yield from self.change(
            self.kept(passage.target, policy),
            lambda seen: breaker.admit(policy, seen, store.now()),
        )
        if said.wait is not None:
            raise CircuitOpenError(
                f"{provider} failed too often; its circuit is open for another {said.wait:.1f} s.",
                provider=provider,
                retry_after=said.wait,
            )
        passage.trial = said.trial
        if said.trial:
            passage.tell("half_open")

    def _reserve(
        self,
        passage: Passage,
        call: Call,
        provider: str,
        request: ChatCompletionRequest | None,
    ) -> Flow[None]:
        limit = self.rate_limit
        if limit is None:
            return
        tokens = sum(rate_limit.tokens_of(request)) if request is not None else 0
        store, room = self.store, call.deadlines.room()
        got: Reservation = yield from self.change(
            self.kept(passage.target, limit),
            lambda seen: rate_limit.reserve(
                limit, seen, store.now(), tokens, most=room
            ),
        )
        if got.refused:
            raise RateLimitedLocallyError(
                f"{provider}: the rate limit set here would mean a wait of {got.wait:.1f} s,"
                " past the total time-out.",
                provider=provider,
                retry_after=got.wait,
            )
        passage.reserved = tokens
        if got.wait > 0:
            yield Sleep(got.wait)
            call.waited += got.wait


@attrs.define(kw_only=True, eq=False, repr=False)
class Passage:
    """
    One attempt's way through the gate; ended once, from any thread.

    Attributes:
        gate: What was passed.

        target: The name of what is shared about the target.

        tell: Told of changes of the breaker.

        trial: The attempt is the one that shows whether the target works again.

        reserved: Tokens; ``None``: nothing was reserved.

        slots: Where a place is held.
    """

    gate: Gate
    target: str
    tell: Callable[[Change], None]
    trial: bool = False
    reserved: int | None = None
    slots: Slots | None = None
    _ended: bool = False

    @property
    def blocking(self) -> bool:
        """
        Whether what is noted may wait.
        """
        return self.gate.store.blocking

    def leave(
        self, verdict: Verdict, usage: Usage | None = None, *, unused: bool = False
    ) -> Flow[None]:
        """
        Leave, and note how it went, as a flow. Allowed twice.
        """
        if (note := self.end(verdict, usage, unused=unused)) is not None:
            yield from noted(self, note)

    def speaks(self) -> Flow[None]:
        """
        Note that the first chunk has come: a trial has shown what it was made for.
        """
        if self.trial:
            yield from noted(self, partial(self._note, partial(self._judge, "lives")))

    def end(
        self, verdict: Verdict, usage: Usage | None = None, *, unused: bool = False
    ) -> Callable[[], None] | None:
        """
        Give the slot back at once, and give what notes how it went; ``None``: there is nothing to note.

        Args:
            unused: Nothing was sent, so what was reserved is given back.
        """
        if self._ended:
            return None
        self._ended = True
        slots, self.slots = self.slots, None
        if slots is not None:
            slots.leave()
        gate = self.gate
        if gate.breaker is None and gate.rate_limit is None:
            return None
        notes = [partial(self._judge, verdict)]
        limit, reserved = gate.rate_limit, self.reserved
        if limit is not None and reserved is not None:
            if unused:
                notes.append(partial(self._settle, limit, 1, reserved))
            elif usage is not None:
                left = reserved - usage.total_tokens
                notes.append(partial(self._settle, limit, 0, left))
        return partial(self._note, *notes)

    def _note(self, *notes: Callable[[], None]) -> None:
        """
        Note, whatever the store does: an answer is not lost for it.
        """
        try:
            for note in notes:
                note()
        except Exception as error:  # noqa: BLE001  # a store of the caller's
            log.lost_note(type(error).__name__)

    def _settle(self, limit: RateLimit, requests: int, tokens: float) -> None:
        store = self.gate.store

        def change(seen: Any) -> tuple[Any, None]:
            now = store.now()
            settled = rate_limit.settle(
                limit, seen, now, requests=requests, tokens=tokens
            )
            return settled, None

        store.update(self.gate.kept(self.target, limit), change)

    def _judge(self, verdict: Verdict) -> None:
        policy = self.gate.breaker
        if policy is None:
            return
        store, trial = self.gate.store, self.trial
        self.trial = False
        changed: Change | None = store.update(
            self.gate.kept(self.target, policy),
            lambda seen: breaker.judged(
                policy, seen, store.now(), verdict, trial=trial
            ),
        )
        if changed is not None:
            self.tell(changed)


def noted(passage: Passage, note: Callable[[], None]) -> Flow[None]:
    """
    Do what notes something about a passage, where that blocks nobody.
    """
    if passage.blocking:
        yield Note(note)
    else:
        note()
