"""
Batches as iterators: order, bounded memory, cancelling, and a journal that survives every kill.
"""

from __future__ import annotations

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
from twins import KEY, ask, eventually

from ai_lib import ConfigurationError, StreamCancelledError
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
    eventually(lambda: len(server.requests) > 100)
    run.close()

    assert first.ok
    assert next(drawn) < 500
    names = [one.name for one in threading.enumerate()]
    assert not any("ai_lib" in name for name in names)


def test_cancel_keeps_what_is_finished(twin, server):
    """
    After a cancel nothing is begun; what ran ends as cancelled, and what was finished still comes.
    """
    server.script(echo)
    run = RunOf(twin, twin.client(server), prompts(10**6), max_concurrency=4)
    taken = [next(run) for _ in range(5)]

    threading.Thread(target=run.one.cancel).start()
    rest = list(run)

    assert all(item.ok for item in taken)
    assert all(item.ok or isinstance(item.error, StreamCancelledError) for item in rest)
    assert len(rest) < 1000


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
    server.script(echo)
    journal = tmp_path / "run.jsonl"
    command = [sys.executable, "-c", textwrap.dedent(CHILD)]
    command += [server.url, KEY, str(journal)]
    repeated = []
    for kill in range(1, 4):
        child = subprocess.Popen(command, cwd=TESTS.parent)
        server.until(lambda one, kill=kill: len(one.requests) >= 70 * kill)
        child.send_signal(signal.SIGKILL)
        child.wait(PATIENCE)
        kept = {item.index for item in read_journal(journal)}
        repeated.append((len(server.requests), kept))

    last = subprocess.run(
        command, cwd=TESTS.parent, capture_output=True, timeout=60, check=True
    )

    asked = [one.json()["messages"][-1]["content"] for one in server.requests]
    assert b"True" in last.stdout
    assert 300 == len(Counter(asked))
    for at, kept in repeated:
        assert not kept & {int(text) for text in asked[at:]}
