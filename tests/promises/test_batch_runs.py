"""
Batches as iterators: order, bounded memory, cancelling, and a journal that survives every kill.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path

import faults
import pytest
from faults import PATIENCE, answer, refusal
from twins import KEY, Stopwatch, ask, eventually

from ai_lib import ConfigurationError, StreamCancelledError, Target
from ai_lib._host.journal import read_journal

TESTS = Path(__file__).parent.parent


def echo(exchange):
    """
    Answer with the prompt.
    """
    return answer(exchange.request.json()["messages"][-1]["content"])(exchange)


def prompts(count):
    """
    Make requests that differ.
    """
    return (ask(str(number)) for number in range(count))


class RunOf:
    """
    A batch under way, the awaiting done.
    """

    def __init__(self, twin, client, *arguments, **keywords):
        self.twin = twin
        self.one = client.one.chat_completion_batch_iter(*arguments, **keywords)

    def __iter__(self):
        return self

    def __next__(self):
        step = getattr(self.one, "__anext__", None) or self.one.__next__
        try:
            return self.twin.call(step)
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self):
        """
        Leave it, as a context manager does.
        """
        leave = getattr(self.one, "__aexit__", None) or self.one.__exit__
        self.twin.call(leave, None, None, None)


def test_ordered_run_gives_every_item_in_order(twin, server):
    """
    Every request comes back, in its place.
    """
    server.script(echo)
    run = RunOf(twin, twin.client(server), prompts(200), ordered=True)

    items = list(run)

    assert list(range(200)) == [item.index for item in items]
    assert [str(number) for number in range(200)] == [
        item.response.text for item in items
    ]


def test_requests_are_drawn_as_items_leave(twin, server):
    """
    Of an endless generator only a few hundred are drawn while nothing is taken, and nothing is left behind.
    """
    server.script(echo)
    drawn = itertools.count()
    client = twin.client(server)
    run = RunOf(twin, client, (ask(str(number)) for number in drawn))

    first = next(run)
    plan = run.one._plan
    eventually(lambda: not plan.running and not plan.enter())  # it goes no further
    count = next(drawn)
    run.close()

    assert first.ok
    assert 256 <= count < 300
    eventually(lambda: not any("ai_lib" in one.name for one in threading.enumerate()))
    if twin.name == "asyncio":
        assert not [one for one in twin.call(names_of_tasks) if "BatchRun" in one]


async def names_of_tasks():
    """
    Name the functions that the loop's tasks run.
    """
    return [repr(task.get_coro()) for task in asyncio.all_tasks()]


def test_cancel_keeps_what_is_finished(twin, server):
    """
    After a cancel nothing is begun; what ran ends as cancelled, and what was finished still comes.
    """
    hold = threading.Event()

    def step(exchange):
        text = exchange.request.json()["messages"][-1]["content"]
        if int(text) >= 5:
            hold.wait(PATIENCE)
        return answer(text)(exchange)

    server.script(step)
    run = RunOf(twin, twin.client(server), prompts(10**6), max_concurrency=4)
    taken = [next(run) for _ in range(4)]
    server.until(lambda one: len(one.requests) >= 9)  # four of them are held

    canceller = threading.Thread(target=run.one.cancel)
    canceller.start()
    rest = list(run)

    canceller.join()
    hold.set()
    cancelled = [one for one in rest if isinstance(one.error, StreamCancelledError)]
    assert all(item.ok for item in taken)
    assert (5, 4) == (len(rest), len(cancelled))
    assert 9 == len(server.requests)


def test_journal_is_resumed(pair, server, tmp_path):
    """
    What was answered is not asked again, what failed is; the answers are the same.
    """
    failing = {"3": refusal(400)}

    def step(exchange):
        text = exchange.request.json()["messages"][-1]["content"]
        return failing.get(text, answer(text))(exchange)

    server.script(step)
    client = pair.client(server)
    journal = tmp_path / "run.jsonl"
    first = client.chat_completion_batch(prompts(10), journal=journal)
    failing.clear()
    asked = len(server.requests)
    seen = []

    second = client.chat_completion_batch(
        prompts(12), journal=journal, progress=seen.append
    )

    assert [3] == [item.index for item in first if not item.ok]
    assert 3 == len(server.requests) - asked
    assert [str(number) for number in range(12)] == [
        item.response.text for item in second
    ]
    assert (12, 9) == (seen[-1].done, seen[-1].recalled)


def test_journal_is_one_batchs(pair, server, tmp_path):
    """
    A second batch on a journal in use is refused, and says so.
    """
    server.script(faults.raw(faults.stall))
    client = pair.client(server)
    journal = tmp_path / "run.jsonl"
    run = RunOf(pair, client, prompts(1), journal=journal)
    thread = threading.Thread(target=lambda: list(run))
    thread.start()
    server.until(lambda one: one.requests)

    with pytest.raises(ConfigurationError, match=r"run\.jsonl"):
        client.chat_completion_batch(prompts(1), journal=journal)

    run.one.cancel()
    thread.join(PATIENCE)
    assert not thread.is_alive()


CHILD = """
    import sys
    import ai_lib
    url, key, journal = sys.argv[1:]
    requests = [
        ai_lib.ChatCompletionRequest("m", str(number)) for number in range(300)
    ]
    with ai_lib.AiClient("openai", base_url=url, api_key=key) as client:
        items = client.chat_completion_batch(requests, journal=journal)
    print([item.response.text for item in items] == [str(n) for n in range(300)])
"""


def test_kills_lose_nothing_and_pay_nothing_twice(server, tmp_path):
    """
    Killed three times on its way and run again, every request is answered, and none that stands in the
    journal is asked again.
    """
    journal = tmp_path / "run.jsonl"
    turns = threading.Semaphore(90)  # no child can be done before it is killed

    def step(exchange):
        turns.acquire(timeout=PATIENCE)
        return echo(exchange)

    server.script(step)
    command = [sys.executable, "-c", textwrap.dedent(CHILD)]
    command += [server.url, KEY, str(journal)]
    repeated = []
    for kill in range(1, 4):
        child = subprocess.Popen(command, cwd=TESTS.parent)
        try:
            server.until(lambda one, kill=kill: len(one.requests) >= 70 * kill)
        finally:
            child.send_signal(signal.SIGKILL)
            status = child.wait(PATIENCE)
        assert -signal.SIGKILL == status
        turns.release(70)
        kept = {item.index for item in read_journal(journal)}
        repeated.append((len(server.requests), kept))

    turns.release(1000)
    last = subprocess.run(
        command, cwd=TESTS.parent, capture_output=True, timeout=60, check=True
    )

    asked = [one.json()["messages"][-1]["content"] for one in server.requests]
    assert b"True" in last.stdout
    assert 300 == len(Counter(asked))
    for at, kept in repeated:
        assert not kept & {int(text) for text in asked[at:]}


INTERRUPTED = """
    import sys
    import ai_lib
    url, key, journal = sys.argv[1:]
    requests = (ai_lib.ChatCompletionRequest("m", str(n)) for n in range(1000))
    with ai_lib.AiClient("openai", base_url=url, api_key=key) as client:
        try:
            client.chat_completion_batch(requests, journal=journal)
        except KeyboardInterrupt as interrupt:
            print(sum(item.ok for item in interrupt.items))
"""


def test_interrupt_keeps_the_journal(server, tmp_path):
    """
    Ctrl-C ends a batch at once, with what was finished in its exception and in the journal.
    """
    hold = threading.Event()

    def step(exchange):
        text = exchange.request.json()["messages"][-1]["content"]
        if int(text) >= 20:
            hold.wait(PATIENCE)
        return answer(text)(exchange)

    server.script(step)
    journal = tmp_path / "run.jsonl"
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTED)]
    command += [server.url, KEY, str(journal)]
    child = subprocess.Popen(command, cwd=TESTS.parent, stdout=subprocess.PIPE)
    try:
        server.until(lambda one: len(one.requests) >= 36)  # sixteen of them are held
        child.send_signal(signal.SIGINT)
        told, _ = child.communicate(timeout=PATIENCE)
    finally:
        child.kill()
        hold.set()

    assert b"20" == told.strip()
    kept = [item for item in read_journal(journal) if item.ok]
    assert set(range(20)) == {item.index for item in kept}


def test_identical_requests_are_sent_once(twin, server):
    """
    Of many equal requests at once one is sent for each content, and all get the answer.
    """
    server.script(echo)
    requests = [ask(str(number % 7)) for number in range(700)]

    items = twin.client(server).chat_completion_batch(requests, dedupe=True)

    assert 7 == len(server.requests)
    assert [str(number % 7) for number in range(700)] == [
        item.response.text for item in items
    ]


def test_smart_waits_as_it_is_asked(pair, server):
    """
    A refusal with a Retry-After in seconds holds the whole batch, and costs no item.
    """
    seconds = refusal(429, headers={"retry-after": "0.2"})
    server.script(seconds, seconds, echo)
    watch = Stopwatch()

    items = pair.client(server).chat_completion_batch_smart(list(prompts(20)))

    assert [True] * 20 == [item.ok for item in items]
    assert watch.seconds >= 0.2


def test_smart_run_gives_items_one_by_one(twin, server):
    """
    ``smart=True`` makes an iterator at the provider's pace: what is refused gets another turn, and order is kept.
    """
    later = refusal(429, headers={"retry-after-ms": "20"})
    server.script(later, later, echo)

    run = RunOf(twin, twin.client(server), prompts(40), ordered=True, smart=True)

    assert [str(number) for number in range(40)] == [one.response.text for one in run]
    assert 42 == len(server.requests)


def test_smart_does_not_wait_for_hours(pair, server):
    """
    A provider that asks for more than a minute is not waited for: its items say so at once.
    """
    server.script(refusal(429, headers={"retry-after": "3600"}))
    watch = Stopwatch()

    items = pair.client(server).chat_completion_batch_smart(list(prompts(8)))

    assert [3600.0] * 8 == [item.error.retry_after for item in items]
    assert watch.seconds < 5


@pytest.mark.parametrize("keeping", [False, True], ids=["plain", "journal"])
def test_finished_items_leave_no_memory(pair, server, tmp_path, keeping):
    """
    What a long batch holds does not grow with what is finished, with a journal or without.
    """
    server.script(echo)
    client = pair.client(server)
    journal = tmp_path / "run.jsonl" if keeping else None
    blocks = {}

    run = RunOf(pair, client, prompts(2000), journal=journal)
    for count, item in enumerate(run, 1):
        assert item.ok
        if count in (500, 2000):
            server.requests.clear()
            del item
            gc.collect()
            blocks[count] = sys.getallocatedblocks()

    assert blocks[2000] - blocks[500] < 1500  # an item alone is dozens


def test_smart_spreads_over_what_is_well(pair, server):
    """
    With several targets all of them work; one that refuses rests as long as it asks, and costs no item.
    """
    with faults.FaultServer() as second, faults.FaultServer() as third:
        server.script(echo)
        second.script(echo)
        third.script(refusal(429, headers={"retry-after": "50"}))
        others = [
            Target("openai", "m2", api_key=KEY, base_url=one.url)
            for one in (second, third)
        ]

        items = pair.client(server, failover=others).chat_completion_batch_smart(
            list(prompts(60))
        )

    assert all(item.ok for item in items)
    assert len(server.requests) >= 25
    assert len(second.requests) >= 25
    assert len(third.requests) <= 4  # what was under way when it refused first
