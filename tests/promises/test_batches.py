"""
Batches: order kept, items apart from one another, and what is finished survives an interruption.
"""

from __future__ import annotations

import asyncio
import signal
import threading

import anyio
import faults
import pytest
from faults import PATIENCE, answer, refusal
from twins import AsyncTwin, BlockingTwin, Stopwatch, ask

from ai_lib import (
    InvalidRequestError,
    InvalidResponseError,
    NetworkError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    Timeout,
)

BATCHES = ["chat_completion_batch", "chat_completion_batch_smart"]


def prompts(*texts):
    """
    Make requests.
    """
    return [ask(text) for text in texts]


def by_prompt(steps):
    """
    A step that does what the table says for the prompt, and echoes all others.
    """

    def step(exchange):
        text = exchange.request.json()["messages"][-1]["content"]
        return steps.get(text, answer(text))(exchange)

    return step


def outcomes(items):
    """
    The texts and the classes of the errors.
    """
    return [item.response.text if item.ok else type(item.error) for item in items]


@pytest.mark.parametrize("function", BATCHES)
def test_order_is_that_of_the_requests(twin, server, function):
    """
    Items come in the order of the requests, however long each takes.
    """
    late = faults.reply(faults.pause(0.05), faults.completion("0"), framing="chunked")
    server.script(by_prompt({"0": late}))
    texts = [str(number) for number in range(30)]

    items = getattr(twin.client(server), function)(prompts(*texts))

    assert texts == outcomes(items)
    assert list(range(30)) == [item.index for item in items]
    assert texts == [item.request.messages[0].text for item in items]


@pytest.mark.parametrize("function", BATCHES)
def test_items_do_not_touch_one_another(twin, server, function):
    """
    A poisoned, a failing and a hanging item end in their own errors; the others are answered.
    """
    poisoned = {
        "refused": refusal(400),
        "failing": refusal(500),
        "hanging": faults.raw(faults.stall),
        "broken": faults.reply(b"{"),
        "dropped": faults.raw(b"HTTP/1.1 200 OK\r\n", faults.hang_up),
    }
    server.script(by_prompt(poisoned))
    client = twin.client(server, timeout=Timeout(attempt=0.3))

    items = getattr(client, function)(prompts("a", *poisoned, "b"))

    assert [
        "a",
        InvalidRequestError,
        ServerError,
        RequestTimeoutError,
        InvalidResponseError,
        NetworkError,
        "b",
    ] == outcomes(items)
    assert "a" == items[0].unwrap().text
    with pytest.raises(InvalidRequestError):
        items[1].unwrap()
    server.until(lambda one: one.open <= 7)


def test_no_more_run_than_allowed(twin, server):
    """
    ``max_concurrency`` bounds how many run at once, and is used.
    """
    lock, now, most = threading.Lock(), [0], [0]

    def step(exchange):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        exchange.server.pause(0.01)
        with lock:
            now[0] -= 1
        return answer("x")(exchange)

    server.script(step)
    client = twin.client(server)

    client.chat_completion_batch(prompts(*"abcdefghijkl"), max_concurrency=3)

    assert 3 == most[0]
    with pytest.raises(ValueError, match="max_concurrency"):
        client.chat_completion_batch([], max_concurrency=0)


def test_requests_are_taken_as_there_is_room(twin, server):
    """
    The iterable is not read ahead of the answers.
    """
    server.script(answer("x"))
    taken = []

    def endless():
        for number in range(50):
            finished = len(server.requests)
            taken.append(number)
            assert number <= finished + 4
            yield ask(str(number))

    items = twin.client(server).chat_completion_batch(endless(), max_concurrency=4)

    assert 50 == len(items) == len(taken)


def test_empty_batch_is_empty(twin, server):
    """
    Nothing asked, nothing sent.
    """
    assert [] == twin.client(server).chat_completion_batch([])
    assert [] == twin.client(server).chat_completion_batch_smart(iter(()))
    assert 0 == server.accepted


def test_error_of_the_iterable_passes_with_what_is_finished(twin, server):
    """
    What the requests' own iterable raises passes, with the finished items as ``items``.
    """
    server.script(by_prompt({}))

    def failing():
        yield ask("a")
        server.until_requests(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        twin.client(server).chat_completion_batch(failing(), max_concurrency=1)

    assert ["a"] == outcomes(caught.value.items)


def test_mistake_in_a_request_names_it(twin, server):
    """
    A request that cannot be written ends the batch in Python's own error, and its note says which one it was.
    """
    server.script(faults.answer())
    client = twin.client(server)
    requests = [ask(), ask(), ask(extensions={"x": float("nan")})]

    with pytest.raises(ValueError, match="float values") as caught:
        client.chat_completion_batch(requests, max_concurrency=1)

    note = caught.value.__notes__[-1]  # json has one of its own, from Python 3.14 on
    assert "request 2," in note
    assert [True, True] == [item.ok for item in caught.value.items]


def test_client_closed_in_the_middle_ends_the_batch(twin, server):
    """
    ``close`` in the middle of a batch ends it with ``ClientClosedError`` and what is finished.
    """
    from ai_lib import AiLibError, ClientClosedError

    client = twin.client(server)

    def step(exchange):
        done = answer("x")(exchange)
        if len(server.requests) == 5:
            threading.Thread(target=client.close).start()
        return done

    server.script(step)

    def endless():
        while True:
            yield ask("x")

    with pytest.raises(AiLibError) as caught:
        client.chat_completion_batch(endless(), max_concurrency=1)

    assert type(caught.value) is ClientClosedError
    assert len(caught.value.items) >= 4


class Interrupt(BaseException):
    """
    What a signal's handler raises.
    """


@pytest.mark.parametrize("function", BATCHES)
def test_interrupted_batch_keeps_what_it_has(server, function, in_thread):
    """
    Ctrl-C ends a blocking batch at once, with the finished items as ``items``.
    """
    stalls = faults.raw(faults.stall)
    server.script(by_prompt({"c": stalls, "d": stalls}))
    twin = BlockingTwin()
    client = twin.client(server)

    def handle(number, frame):
        raise Interrupt

    def press():
        server.until_requests(4)
        threading.Event().wait(0.1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    pressing = in_thread(press)
    watch = Stopwatch()
    with pytest.raises(Interrupt) as caught:
        getattr(client, function)(prompts("a", "b", "c", "d"))
    pressing.result(PATIENCE)
    signal.signal(signal.SIGUSR1, before)

    assert ["a", "b"] == outcomes(caught.value.items)
    assert watch.seconds < 2
    server.until(lambda one: one.open <= 2)
    twin.close()


@pytest.mark.parametrize("function", BATCHES)
def test_cancelled_batch_keeps_what_it_has(server, function):
    """
    ``task.cancel()`` passes through an async batch, with the finished items as ``items``.
    """
    stalls = faults.raw(faults.stall)
    server.script(by_prompt({"c": stalls, "d": stalls}))
    twin = AsyncTwin("asyncio")
    client = twin.raw_client(server)

    async def run():
        async def batch():
            try:
                await getattr(client, function)(prompts("a", "b", "c", "d"))
            except asyncio.CancelledError as error:
                return error
            return None

        task = asyncio.create_task(batch())
        await anyio.to_thread.run_sync(server.until_requests, 4)
        await asyncio.sleep(0.1)
        task.cancel()
        return await task

    error = twin.call(run)

    assert ["a", "b"] == outcomes(error.items)
    server.until(lambda one: one.open <= 2)
    twin.close()
    server.until_left()


def test_smart_batch_slows_down_and_tries_again(twin, server):
    """
    A smart batch gives an item that was refused for the rate of requests another turn.
    """
    seen = set()

    def step(exchange):
        text = exchange.request.json()["messages"][-1]["content"]
        if text not in seen:
            seen.add(text)
            no = refusal(429, headers={"retry-after-ms": "10"})
            return no(exchange)
        return answer(text)(exchange)

    server.script(step)

    items = twin.client(server).chat_completion_batch_smart(prompts(*"abcd"))

    assert list("abcd") == outcomes(items)


def test_refused_for_ever_is_an_error_in_the_end(pair, server):
    """
    An item that is refused again and again ends in its error.
    """
    server.script(refusal(429, headers={"retry-after-ms": "1"}))

    items = pair.client(server).chat_completion_batch_smart(prompts("a"))

    assert [RateLimitError] == outcomes(items)
    assert len(server.requests) < 10


def test_batch_leaves_no_thread(server):
    """
    A batch's threads are gone when it is.
    """
    server.script(answer("x"))
    twin = BlockingTwin()
    client = twin.client(server)
    client.chat_completion_batch(prompts("warm"))

    def ours():
        return [one for one in threading.enumerate() if "ai_lib" in one.name]

    for _ in range(5):
        client.chat_completion_batch(prompts(*"abcdefgh"))
        for one in ours():
            one.join(PATIENCE)

    assert [] == ours()
    twin.close()
