"""
Several targets: failing over, racing, breakers, limits, slots, the retry budget and hooks, on real sockets.
"""

from __future__ import annotations

import gc
import logging
import threading

import anyio
import anyio.to_thread
import faults
import pytest
from faults import PATIENCE, answer, event, events, refusal, stream
from twins import KEY, PROMPT, Stopwatch, ask, eventually, make_twin

from ai_lib import (
    AiLibError,
    AuthenticationError,
    BreakerPolicy,
    CircuitOpenError,
    ContextLengthExceededError,
    Hedge,
    IncompleteStreamError,
    InvalidRequestError,
    LocalState,
    RateLimit,
    RateLimitedLocallyError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    StreamCancelledError,
    Target,
    Timeout,
)

FUNCTIONS = ["chat_completion", "chat_completion_stream"]


@pytest.fixture
def second():
    """
    Give a second server.
    """
    with faults.FaultServer() as made:
        yield made


def target(server, model="m2", **more):
    """
    Make a target of a server.
    """
    return Target("openai", model, api_key=KEY, base_url=server.url, **more)


def good(function, text="second"):
    """
    A step that answers as the function is used.
    """
    return stream(*events(text)) if function.endswith("stream") else answer(text)


def whole(result):
    """
    The response, of a stream after its end.
    """
    return result.until_done() if hasattr(result, "until_done") else result


# Failing over

MENDED = {
    "401": refusal(401),
    "403": refusal(403),
    "model": refusal(404, code="model_not_found"),
    "quota": refusal(429, code="insufficient_quota"),
    "429": refusal(429, headers={"retry-after": "3600"}),
    "500": refusal(500),
    "529": refusal(529),
    "reset": faults.reset,
    "page": faults.reply(b"<html>", content_type="text/html"),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("failure", MENDED.values(), ids=MENDED)
def test_what_another_target_mends_fails_over(pair, server, second, function, failure):
    """
    An own key, a missing model, used-up quota and what would be retried go on to the next target, at once.
    """
    server.script(failure)
    second.script(good(function))
    watch = Stopwatch()
    client = pair.client(server, failover=[target(second)])

    response = whole(getattr(client, function)(ask()))

    assert ("second", "m2") == (response.text, second.requests[0].json()["model"])
    assert 2 == len(response.attempts)
    assert response.attempts[0].error
    assert watch.seconds < 5


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (refusal(400), InvalidRequestError),
        (refusal(422), InvalidRequestError),
        (
            refusal(400, code="context_length_exceeded"),
            ContextLengthExceededError,
        ),
    ],
)
def test_fault_of_the_request_never_fails_over(pair, server, second, failure, kind):
    """
    What is wrong with the request is told, and no other target is asked.
    """
    server.script(failure)
    client = pair.client(server, failover=[target(second)])

    with pytest.raises(kind):
        client.chat_completion(ask())

    assert [] == second.requests


def test_stream_never_fails_over_after_its_first_chunk(pair, server, second):
    """
    A stream that breaks off after its first chunk is an error with what had come.
    """
    server.script(stream(event("hi"), faults.hang_up))
    client = pair.client(server, failover=[target(second)])

    texts, error = client.chat_completion_stream(ask()).until_failed()

    assert "hi" == "".join(texts)
    assert isinstance(error, IncompleteStreamError)
    assert [] == second.requests


def test_last_error_holds_the_others(pair, server, second):
    """
    When every target fails, the error is the last one's, and the earlier ones stand in ``previous``.
    """
    server.script(refusal(500))
    second.script(refusal(401))
    retry = RetryPolicy(attempts=2, backoff=0.001)
    client = pair.client(server, failover=[target(second)], retry=retry)

    with pytest.raises(AuthenticationError) as caught:
        client.chat_completion(ask())

    error = caught.value
    assert [ServerError, ServerError] == [type(one) for one in error.previous]
    assert [500, 500, 401] == [one.status_code for one in error.attempts]
    assert KEY not in repr(vars(error))


def test_auto_means_each_targets_own_model(pair, server, second):
    """
    ``"auto"`` is resolved for each target, and a target without a model takes the request's.
    """
    server.script(refusal(500))
    second.script(answer("a"))
    client = pair.client(server, model="m1", failover=[target(second)])
    bare = pair.client(server, failover=[target(second, None)])

    client.quick_chat_text("auto", "x")
    bare.chat_completion(ask())

    assert ["m1", "m"] == [one.json()["model"] for one in server.requests]
    assert ["m2", "m"] == [one.json()["model"] for one in second.requests]


def test_round_robin_spreads(pair, server, second):
    """
    Every other call begins with the second target.
    """
    server.script(answer("a"))
    second.script(answer("b"))
    client = pair.client(server, failover=[target(second)], routing="round_robin")

    texts = [client.chat_completion(ask()).text for _ in range(4)]

    assert ["a", "b", "a", "b"] == texts


def test_lowest_latency_goes_to_the_faster(pair, server, second):
    """
    Once both are measured, the faster target is asked.
    """
    slow = faults.reply(faults.pause(0.1), faults.completion("slow"), framing="chunked")
    server.script(slow)
    second.script(answer("fast"))
    client = pair.client(server, failover=[target(second)], routing="lowest_latency")

    texts = [client.chat_completion(ask()).text for _ in range(6)]

    assert ["slow", "fast", "fast", "fast", "fast", "fast"] == texts


def test_port_where_nobody_listens_fails_over(pair, second):
    """
    A refused connection goes on to the next target.
    """
    second.script(answer("second"))
    url = f"http://127.0.0.1:{faults.free_port()}/v1"
    client = pair.client(base_url=url, failover=[target(second)])

    assert "second" == client.chat_completion(ask()).text


STRATEGIES = {
    "cheapest": "cheapest",
    "weighted": "weighted",
    "a function": lambda targets: [one for one in targets if one.model == "m2"],
}


@pytest.mark.parametrize("routing", STRATEGIES.values(), ids=STRATEGIES)
def test_strategies_choose_who_is_asked(pair, server, second, routing):
    """
    The second target is asked where it is cheaper, far heavier, or chosen by a function.
    """
    server.script(answer("first"))
    second.script(answer("second"))
    favoured = target(second, weight=1e9, prices=(0.0, 0.0))
    client = pair.client(server, failover=[favoured], routing=routing)

    texts = [client.chat_completion(ask()).text for _ in range(3)]

    assert ["second"] * 3 == texts


def test_total_bounds_failover(pair, server, second):
    """
    When the time of the call is up, no other target is asked.
    """
    server.script(faults.raw(faults.stall))
    timeout = Timeout(total=0.2)
    client = pair.client(server, failover=[target(second)], timeout=timeout)

    with pytest.raises(RequestTimeoutError):
        client.chat_completion(ask())

    assert [] == second.requests


# Racing


@pytest.mark.parametrize("function", FUNCTIONS)
def test_hedge_answers_for_one_that_is_slow(twin, server, second, function):
    """
    The second attempt wins, the first is really cancelled, and both stand in the ledger.
    """
    server.script(faults.raw(faults.stall))
    second.script(good(function))
    client = twin.client(server, hedge=Hedge(0.05, target(second)))

    response = whole(getattr(client, function)(ask()))

    server.until(lambda one: not one.open)
    first, last = response.attempts
    assert "second" == response.text
    assert "another attempt answered first" in first.error
    assert (None, 200) == (last.error, last.status_code)


def test_hedge_is_not_begun_for_one_that_is_quick(pair, server, second):
    """
    Who answers in time is asked alone.
    """
    server.script(answer("first"))
    client = pair.client(server, hedge=Hedge(5.0, target(second)))

    response = client.chat_completion(ask())

    assert ("first", 1) == (response.text, len(response.attempts))
    assert [] == second.requests


def test_hedge_goes_to_the_same_target(pair, server):
    """
    Without a target of its own, a hedge asks the same one again.
    """
    server.script(faults.raw(faults.stall), answer("again"))

    response = pair.client(server, hedge=0.05).chat_completion(ask())

    assert ("again", 2) == (response.text, len(server.requests))


def test_race_that_all_lose_is_the_firsts_error(pair, server, second):
    """
    When both fail, the error is the first one's, and the other stands in ``previous``.
    """
    gate = threading.Event()
    server.script(faults.raw(faults.wait_for(gate), faults.hang_up))

    def fail(exchange):
        gate.set()
        return refusal(401)(exchange)

    second.script(fail)
    client = pair.client(server, hedge=Hedge(0.05, target(second)))

    with pytest.raises(AiLibError) as caught:
        client.chat_completion(ask())

    assert 2 == len(caught.value.attempts)
    assert 1 == len(caught.value.previous)


def test_cancel_stops_both_runners(twin, server, second):
    """
    A cancel during a race is heard within a tenth of a second, and closes both connections.
    """
    server.script(faults.raw(faults.stall))
    second.script(faults.raw(faults.stall))
    client = twin.client(server, hedge=Hedge(0.01, target(second)))
    running, handle = client.stream_with_cancel(ask())
    watch = []

    def cancel():
        second.until(lambda one: one.requests)
        watch.append(Stopwatch())
        handle.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    _, error = running.until_failed()
    seconds = watch[0].seconds
    thread.join()

    assert isinstance(error, StreamCancelledError)
    assert seconds < 0.1
    assert not [one for one in error.attempts if "answered first" in one.error]
    server.until(lambda one: not one.open)
    second.until(lambda one: not one.open)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_outside_cancellation_leaves_nothing_of_a_race(backend, server, second):
    """
    A cancellation from outside passes through a race unchanged, closes both connections and leaves no task.
    """
    server.script(faults.raw(faults.stall))
    second.script(faults.raw(faults.stall))
    twin = make_twin(backend)
    client = twin.raw_client(server, hedge=Hedge(0.01, target(second)))
    ended = []

    async def call():
        try:
            await client.chat_completion(ask())
        except anyio.get_cancelled_exc_class():
            ended.append("cancelled")
            raise

    async def scene():
        before = len(anyio.get_running_tasks()) if backend == "asyncio" else 0
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await anyio.to_thread.run_sync(second.until, lambda one: one.requests)
            group.cancel_scope.cancel()
        after = len(anyio.get_running_tasks()) if backend == "asyncio" else 0
        return after - before

    left = twin.call(scene)

    server.until(lambda one: not one.open)
    second.until(lambda one: not one.open)
    twin.close()
    assert (["cancelled"], 0) == (ended, left)


def test_race_of_streams_that_all_lose(twin, server, second):
    """
    When no stream of a race speaks, the error is the first one's, and nothing stays open.
    """
    gate = threading.Event()
    server.script(stream(faults.wait_for(gate), faults.hang_up))

    def fail(exchange):
        gate.set()
        return refusal(401)(exchange)

    second.script(fail)
    client = twin.client(server, hedge=Hedge(0.05, target(second)))

    with pytest.raises(AiLibError) as caught:
        client.chat_completion_stream(ask())

    assert 2 == len(caught.value.attempts)
    server.until(lambda one: not one.open)


def test_stream_that_won_its_race_may_still_break_off(twin, server, second):
    """
    After the first chunk of the winner nothing else is tried.
    """
    server.script(faults.raw(faults.stall))
    second.script(stream(event("hi"), faults.hang_up))
    client = twin.client(server, hedge=Hedge(0.02, target(second)))

    texts, error = client.chat_completion_stream(ask()).until_failed()

    assert ["hi"] == texts
    assert isinstance(error, IncompleteStreamError)
    assert ("hi", 1) == (error.partial.text, len(second.requests))


# Breaker and budget


def test_open_circuit_is_left_alone_and_tried_again(pair, server):
    """
    After so many failures nothing is sent; after the recovery one trial is, and closes it.
    """
    server.script(refusal(500))
    policy = BreakerPolicy(failures=2, recovery=0.2)
    client = pair.client(server, breaker=policy)
    for _ in range(2):
        with pytest.raises(ServerError):
            client.chat_completion(ask())

    with pytest.raises(CircuitOpenError) as caught:
        pair.client(server, breaker=policy).chat_completion(ask())

    server.script(answer("back"))
    assert 2 == len(server.requests)
    assert 0 < caught.value.retry_after <= 0.2

    def back():
        try:
            return client.chat_completion(ask()).text == "back"
        except CircuitOpenError:
            return False

    eventually(back)
    assert "back" == client.chat_completion(ask()).text


def test_open_circuit_fails_over_and_4xx_does_not_open_it(pair, server, second):
    """
    Calls go to the next target while the circuit is open, which 4xx alone never opens.
    """
    second.script(answer("second"))
    policy = BreakerPolicy(failures=2, recovery=60)
    client = pair.client(server, breaker=policy, failover=[target(second)])
    server.script(refusal(401))
    for _ in range(4):
        client.chat_completion(ask())
    asked = len(server.requests)
    server.script(refusal(500))

    texts = [client.chat_completion(ask()).text for _ in range(5)]

    assert 4 == asked
    assert 6 == len(server.requests)
    assert ["second"] * 5 == texts


def test_streams_that_break_off_open_the_circuit(pair, server):
    """
    A stream that is cut in its middle is a failure of the target.
    """
    server.script(stream(event("hi"), faults.hang_up))
    client = pair.client(server, breaker=BreakerPolicy(failures=2, recovery=60))
    for _ in range(2):
        client.chat_completion_stream(ask()).until_failed()

    with pytest.raises(CircuitOpenError):
        client.chat_completion_stream(ask())


def test_dead_host_gets_at_most_twice_the_calls(pair, server):
    """
    However often each call may retry, the load stays within twice the calls and the reserve.
    """
    server.script(refusal(500))
    retry = RetryPolicy(attempts=6, backoff=0)
    client = pair.client(server, retry=retry)
    calls = 60

    for _ in range(calls):
        with pytest.raises(ServerError):
            client.chat_completion(ask())

    assert calls < len(server.requests) <= 2 * calls + 10


def test_budget_bounds_calls_at_once(pair, server, in_thread):
    """
    The same holds for calls in many threads.
    """
    server.script(refusal(500))
    retry = RetryPolicy(attempts=6, backoff=0.001)
    client = pair.client(server, retry=retry)
    calls = 60

    futures = [in_thread(client.chat_completion, ask()) for _ in range(calls)]
    failures = [type(one.exception(PATIENCE)) for one in futures]

    assert [ServerError] * calls == failures
    assert len(server.requests) <= 2 * calls + 10


def test_circuit_that_opens_in_a_call_ends_it_by_what_it_met(pair, server):
    """
    A call whose own failures open the circuit raises the provider's error, and asks no more.
    """
    server.script(refusal(503))
    retry = RetryPolicy(attempts=5, backoff=0.001)
    policy = BreakerPolicy(failures=2, recovery=60)
    client = pair.client(server, retry=retry, breaker=policy)

    with pytest.raises(ServerError):
        client.chat_completion(ask())

    assert 2 == len(server.requests)


# Stores


class SlowStore:
    """
    A store of a caller's: one lock and one dict, which says that it may block, and can be out of order.
    """

    blocking = True
    salt = b"salt"

    def __init__(self):
        self.one = LocalState()
        self.broken = False

    def now(self):
        """
        The clock.
        """
        return self.one.now()

    def update(self, name, change):
        """
        Change a value, or fail.
        """
        if self.broken:
            raise OSError("the store is gone")
        return self.one.update(name, change)


def test_store_that_may_block_keeps_a_breaker(twin, server):
    """
    What a blocking store is told arrives, and opens the circuit.
    """
    server.script(refusal(500))
    policy = BreakerPolicy(failures=2, recovery=60)
    client = twin.client(server, breaker=policy, state_store=SlowStore())

    def opened():
        try:
            client.chat_completion(ask())
        except CircuitOpenError:
            return True
        except ServerError:
            return False

    eventually(opened)
    assert 2 <= len(server.requests) <= 4


@pytest.mark.parametrize("function", FUNCTIONS)
def test_answer_is_not_lost_with_the_store(twin, server, function, caplog):
    """
    A store that fails when an answer is there costs nobody the answer, and no slot.
    """
    store = SlowStore()

    def step(exchange):
        store.broken = True
        return good(function, "paid for")(exchange)

    server.script(step)
    client = twin.client(
        server, breaker=BreakerPolicy(), state_store=store, max_concurrency=1
    )

    for _ in range(2):
        assert "paid for" == whole(getattr(client, function)(ask())).text
        eventually(lambda: "OSError" in caplog.text)
        store.broken = False


def test_cancelled_call_gives_its_slot_back_with_a_blocking_store(twin, server):
    """
    A cancel does not keep a place from being given back, whatever the store is.
    """
    server.script(faults.raw(faults.stall), stream(*events("next")))
    policy = BreakerPolicy()
    client = twin.client(
        server, breaker=policy, state_store=SlowStore(), max_concurrency=1
    )
    running, handle = client.stream_with_cancel(ask())

    def cancel():
        server.until(lambda one: one.requests)
        handle.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    running.until_failed()
    canceller.join()

    assert "next" == client.chat_completion_stream(ask()).until_done().text


# Limits and slots


def test_rate_limit_spaces_calls(pair, server):
    """
    Calls of two clients that set the same limit are spaced together.
    """
    server.script(answer("a"))
    limit = RateLimit(requests_per_minute=1200)
    clients = [pair.client(server, rate_limit=limit) for _ in range(2)]
    watch = Stopwatch()

    responses = [clients[at % 2].chat_completion(ask()) for at in range(6)]

    assert watch.seconds >= 0.24
    assert sum(one.attempts[0].waited for one in responses) > 0.1


def test_wait_past_the_total_is_not_begun(pair, server):
    """
    A limit that would mean a wait past the call's time is an error at once.
    """
    server.script(answer("a"))
    limit = RateLimit(requests_per_minute=1)
    timeout = Timeout(total=5)
    client = pair.client(server, rate_limit=limit, timeout=timeout)
    client.chat_completion(ask())
    watch = Stopwatch()

    with pytest.raises(RateLimitedLocallyError) as caught:
        client.chat_completion(ask())

    assert watch.seconds < 1
    assert 50 < caught.value.retry_after <= 60


def end_by_break(one, handle):
    """
    Leave a stream in its loop, as a program that has seen enough does.
    """
    for _ in one:
        one.close()
        break


def end_by_cancel(one, handle):
    """
    Cancel a stream, and read on.
    """
    handle.cancel()
    one.until_failed()


ENDINGS = {
    "exhausted": lambda one, handle: one.until_done(),
    "closed": lambda one, handle: one.close(),
    "failed": lambda one, handle: one.until_failed(),
    "broken out of": end_by_break,
    "cancelled": end_by_cancel,
    "dropped": lambda one, handle: None,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_open_stream_holds_its_slot(twin, server, in_thread, ending):
    """
    An open stream is one of the exchanges under way until it ends, however it does; whoever waits goes then.
    """
    pieces = events("hi", "ho")
    if ending == "failed":
        pieces = [event("hi"), faults.hang_up]
    server.script(stream(*pieces), answer("next"))
    client = twin.client(server, max_concurrency=1)
    held, handle = client.stream_with_cancel(ask())
    next(held)
    waiting = in_thread(client.chat_completion, ask())
    other = twin.client(server, max_concurrency=1, timeout=Timeout(total=0.1))

    with pytest.raises(RequestTimeoutError, match="max_concurrency"):
        other.chat_completion(ask())
    before = len(server.requests)
    ENDINGS[ending](held, handle)
    del held, handle
    gc.collect()

    assert 1 == before
    assert "next" == waiting.result(faults.PATIENCE).text


@pytest.mark.parametrize("function", FUNCTIONS)
def test_slots_are_all_used_and_never_exceeded(pair, server, in_thread, function):
    """
    Of twelve calls or streams at once, three are under way at a time, and never a fourth.
    """
    lock, now, most = threading.Lock(), [0], [0]
    together = threading.Barrier(3)

    def step(exchange):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together.wait(PATIENCE)  # goes on once three are there
        with lock:
            now[0] -= 1
        return good(function, "a")(exchange)

    server.script(step)
    client = pair.client(server, max_concurrency=3)

    def one():
        return whole(getattr(client, function)(ask())).text

    texts = [one.result(PATIENCE) for one in [in_thread(one) for _ in range(12)]]

    assert ["a"] * 12 == texts
    assert 3 == most[0]


@pytest.mark.parametrize("what", ["slot", "limit"])
def test_cancel_reaches_a_wait_for_a_slot_or_a_limit(twin, server, what):
    """
    Who waits for a turn hears a cancel within a tenth of a second, and gives the turn back.
    """
    server.script(stream(*events("hi")))
    limit = RateLimit(requests_per_minute=1)
    setting = {"max_concurrency": 1} if what == "slot" else {"rate_limit": limit}
    client = twin.client(server, **setting)
    held = client.chat_completion_stream(ask())
    running, handle = client.stream_with_cancel(ask())
    watch = []

    def cancel():
        eventually(lambda: handle._call._wake is not None)  # it waits for its turn
        watch.append(Stopwatch())
        handle.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    _, error = running.until_failed()
    seconds = watch[0].seconds
    canceller.join()
    held.close()

    assert isinstance(error, StreamCancelledError)
    assert seconds < 0.1
    assert 1 == len(server.requests)
    if what == "slot":
        assert "hi" == client.chat_completion_stream(ask()).until_done().text


# Hooks


def test_hooks_are_told_in_order(pair, server, second):
    """
    A call with a retry and a failover tells each step, all under one id, without a key.
    """
    server.script(refusal(500))
    second.script(stream(*events("hi")))
    told = []
    retry = RetryPolicy(attempts=2, backoff=0.001)
    client = pair.client(
        server, failover=[target(second)], retry=retry, hooks=told.append
    )

    client.chat_completion_stream(ask()).until_done()

    names = [type(one).__name__.removesuffix("Event") for one in told]
    chunks = [name for name in names if name == "Chunk"]
    steps = [name for name in names if name != "Chunk"]
    assert ["Request", "Retry", "Request", "Failover", "Request", "Response"] == steps
    assert chunks
    assert 1 == len({one.call_id for one in told})
    assert ("completed", "hi") == (told[-1].outcome, told[-1].response.text)
    assert KEY not in repr(told)
    assert PROMPT not in repr(told)


def test_closed_and_cancelled_streams_are_told_once(pair, server):
    """
    A stream that the caller leaves is closed, one that is cancelled is an error.
    """
    server.script(stream(event("hi"), faults.stall))
    told = []
    client = pair.client(server, hooks=told.append)

    client.chat_completion_stream(ask()).close()
    running, handle = client.stream_with_cancel(ask())
    next(running)
    handle.cancel()
    running.until_failed()

    ends = [one for one in told if hasattr(one, "elapsed")]
    assert ["ResponseEvent", "ErrorEvent"] == [type(one).__name__ for one in ends]
    assert "closed" == ends[0].outcome
    assert isinstance(ends[1].error, StreamCancelledError)


def test_hook_that_raises_harms_no_call(pair, server, caplog):
    """
    What a hook raises is logged by its class alone, and the call goes on.
    """
    server.script(answer("fine"))

    def broken(event):
        raise RuntimeError(f"no room for {event.request.messages}")

    client = pair.client(server, hooks=[broken])

    with caplog.at_level(logging.DEBUG):
        text = client.chat_completion(ask()).text

    assert "fine" == text
    assert "RuntimeError" in caplog.text
    assert PROMPT not in caplog.text


# Logs


def test_logs_tell_what_happened_and_nothing_else(pair, server, second, caplog):
    """
    Attempts, retries and failovers are logged, at any level without key, prompt or answer.
    """
    server.script(refusal(500, f"{PROMPT} and {KEY}"))
    second.script(answer("ANSWERqx9"))
    retry = RetryPolicy(attempts=2, backoff=0.001)
    policy = BreakerPolicy(failures=2)
    client = pair.client(server, failover=[target(second)], retry=retry, breaker=policy)

    with caplog.at_level(logging.DEBUG, "ai_lib"):
        client.chat_completion(ask())

    told = [one for one in caplog.records if one.name.startswith("ai_lib.")]
    names = [(one.name.removeprefix("ai_lib."), one.levelname) for one in told]
    assert [
        ("attempt", "DEBUG"),
        ("retry", "INFO"),
        ("attempt", "DEBUG"),
        ("breaker", "WARNING"),
        ("failover", "INFO"),
        ("attempt", "DEBUG"),
    ] == names
    for secret in (KEY, PROMPT, "ANSWERqx9"):
        assert secret not in "".join(one.getMessage() for one in told)
