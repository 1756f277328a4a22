"""
Batches by the providers' own APIs, through both packages' real clients on loopback.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from batch_server import BatchServer
from faults import PATIENCE
from twins import KEY, ask, eventually

from ai_lib import (
    AuthenticationError,
    InvalidRequestError,
    StreamCancelledError,
    UnsupportedFeatureError,
)
from ai_lib._core.batch.apis import BATCH_APIS
from ai_lib._host.journal import Journal, read_journal

TESTS = Path(__file__).parent.parent
DAY = 24 * 3600
every_api = pytest.mark.parametrize("api", BATCH_APIS)


@pytest.fixture
def provider():
    """
    A server of all four APIs.
    """
    found = BatchServer()
    yield found
    found.close()


def client_of(twin, provider, api="openai"):
    """
    Make a client that speaks *api* with the server.
    """
    return twin.client(provider=api, base_url=provider.base_url(api))


def notes_of(path):
    """
    Read what a journal notes.
    """
    with Journal.open(path) as journal:
        return journal.notes


class Leaving:
    """
    A run that is iterated in a thread.
    """

    def __init__(self, twin, client, requests, **keywords):
        self.twin = twin
        self.run = client.one.chat_completion_batch_iter(
            requests, mode="provider", **keywords
        )
        self.items = []
        self.thread = threading.Thread(target=self._iterate)
        self.thread.start()

    def _iterate(self):
        step = getattr(self.run, "__anext__", None) or self.run.__next__
        try:
            while True:
                self.items.append(self.twin.call(step))
        except (StopIteration, StopAsyncIteration):
            pass

    def leave(self):
        """
        Leave its context.
        """
        leave = getattr(self.run, "__aexit__", None) or self.run.__exit__
        self.twin.call(leave, None, None, None)
        self.join()

    def join(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@every_api
def test_items_come_in_order_through_faults(pair, provider, api):
    """
    Submitted, asked after through faults, fetched though it breaks off: each item has its own answer or error,
    and one job was made.
    """
    pattern = r"GET .*/(batches|jobs)/[\w-]+$"
    provider.faults += [(pattern, 503, {}), (pattern, None, {})]
    provider.cuts = 1
    seen = []
    client = client_of(pair, provider, api)

    items = client.chat_completion_batch(
        [ask("one"), ask("refuse"), ask("two")], mode="provider", progress=seen.append
    )

    assert [0, 1, 2] == [item.index for item in items]
    assert ["echo one", "echo two"] == [one.response.text for one in items if one.ok]
    assert isinstance(items[1].error, InvalidRequestError)
    assert 1 == provider.made()
    assert (3, 1, 0) == (seen[-1].done, seen[-1].failed, seen[-1].running)
    assert any(one.stage for one in seen)
    assert not seen[-1].stage


@every_api
def test_batch_is_taken_up_again(pair, provider, api, tmp_path):
    """
    Left with a journal, the provider's job goes on; the same batch finds it, and pays for nothing twice.
    """
    journal = tmp_path / "run.jsonl"
    provider.polls = 10**6
    requests = [ask("one"), ask("two"), ask("one")]
    left = Leaving(pair, client_of(pair, provider, api), requests, journal=journal)
    eventually(lambda: any(job["asked"] for job in provider.jobs.values()))
    left.leave()
    noted = notes_of(journal)
    provider.polls = 0

    items = client_of(pair, provider, api).chat_completion_batch(
        requests, mode="provider", journal=journal
    )

    assert ["echo one", "echo two", "echo one"] == [one.response.text for one in items]
    assert 1 == provider.made()
    assert not any(job["cancelled"] for job in provider.jobs.values())
    assert 1 == len(noted)
    assert {} == notes_of(journal)
    assert KEY not in journal.read_text()


def test_what_is_answered_is_not_submitted_again(pair, provider, tmp_path):
    """
    A batch that ran whole is recalled from its journal without a word to the provider; what failed is
    submitted again.
    """
    journal = tmp_path / "run.jsonl"
    client = client_of(pair, provider)
    client.chat_completion_batch(
        [ask("one"), ask("refuse")], mode="provider", journal=journal
    )

    again = client.chat_completion_batch(
        [ask("refuse"), ask("one")], mode="provider", journal=journal
    )

    assert "echo one" == again[1].response.text
    assert [2, 1] == [len(job["entries"]) for job in provider.jobs.values()]


@every_api
def test_cancel_ends_the_providers_job(twin, provider, api):
    """
    After ``cancel`` the provider has been told, what it had finished still comes, and the rest ends as cancelled.
    """
    provider.polls = 10**6
    client = client_of(twin, provider, api)
    running = Leaving(twin, client, [ask("one"), ask("cancel")])
    eventually(lambda: any(job["asked"] for job in provider.jobs.values()))

    running.run.cancel()
    running.join()

    found = {item.index: item for item in running.items}
    assert [True] == [job["cancelled"] for job in provider.jobs.values()]
    assert "echo one" == found[0].response.text
    assert isinstance(found[1].error, StreamCancelledError)


def test_batch_without_a_journal_is_not_left_to_cost(twin, provider):
    """
    Left without a journal, nobody could find the job again: the provider is asked to end it.
    """
    provider.polls = 10**6
    left = Leaving(twin, client_of(twin, provider), [ask("one")])
    eventually(lambda: any(job["asked"] for job in provider.jobs.values()))

    left.leave()

    assert [True] == [job["cancelled"] for job in provider.jobs.values()]


def test_identical_requests_are_submitted_once(pair, provider):
    """
    With ``dedupe`` equal requests are one, and all get its answer.
    """
    requests = [ask("one"), ask("two"), ask("one"), ask("one")]

    items = client_of(pair, provider).chat_completion_batch(
        requests, mode="provider", dedupe=True
    )

    texts = [item.response.text for item in items]
    assert ["echo one", "echo two", "echo one", "echo one"] == texts
    assert [2] == [len(job["entries"]) for job in provider.jobs.values()]


def test_error_that_ends_the_batch_names_what_is_under_way(pair, provider, tmp_path):
    """
    A key that is no longer taken ends the batch; the error tells which job goes on, and how it is found.
    """
    journal = tmp_path / "run.jsonl"
    provider.faults.append((r"GET .*/batches/[\w-]+$", 401, {}))
    client = client_of(pair, provider)

    with pytest.raises(AuthenticationError) as caught:
        client.chat_completion_batch([ask("one")], mode="provider", journal=journal)

    assert "job-1" in caught.value.__notes__[0]
    assert "journal" in caught.value.__notes__[0]
    assert 1 == len(notes_of(journal))


def test_smart_goes_to_the_provider_if_there_is_time(pair, provider):
    """
    With a day's time a smart batch is the provider's; with less, or when it is tiny, it is not.
    """
    client = client_of(pair, provider)
    many = [ask(str(number)) for number in range(5)]

    items = client.chat_completion_batch_smart(many, deadline=DAY)
    made = provider.made()
    client.chat_completion_batch_smart(many, deadline=DAY - 1)
    client.chat_completion_batch_smart(many[:3], deadline=DAY)
    client.chat_completion_batch_smart(many)

    assert [f"echo {number}" for number in range(5)] == [
        item.response.text for item in items
    ]
    assert (1, 1) == (made, provider.made())


def test_live_batch_warns_of_what_a_provider_works_on(pair, provider, tmp_path, caplog):
    """
    Who goes on live with the journal of a provider's batch is told that it is paid for twice.
    """
    journal = tmp_path / "run.jsonl"
    provider.polls = 10**6
    client = client_of(pair, provider)
    left = Leaving(pair, client, [ask("one")], journal=journal)
    eventually(lambda: any(job["asked"] for job in provider.jobs.values()))
    left.leave()

    client.chat_completion_batch([ask("one")], journal=journal)

    assert any("job-1" in one.message for one in caplog.records)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"mode": "provider", "max_concurrency": 4}, "the provider decides"),
        ({"mode": "overnight"}, "overnight"),
    ],
)
def test_what_cannot_be_is_refused(pair, provider, keywords, words):
    """
    What says nothing in this mode is not passed over in silence.
    """
    client = client_of(pair, provider)

    with pytest.raises(ValueError, match=words):
        client.chat_completion_batch([ask("one")], **keywords)


def test_provider_without_a_batch_api_is_named(pair):
    """
    Who has none is told so, before anything is drawn.
    """
    client = pair.client(provider="ollama", base_url="http://127.0.0.1:9")

    with pytest.raises(UnsupportedFeatureError, match="ollama has no batch API"):
        client.chat_completion_batch([ask("one")], mode="provider")


CHILD = """
    import sys
    import ai_lib
    url, key, journal = sys.argv[1:]
    requests = [
        ai_lib.ChatCompletionRequest("m", [ai_lib.Message.user(str(number))])
        for number in range(300)
    ]
    with ai_lib.AiClient("openai", base_url=url, api_key=key) as client:
        client.chat_completion_batch(requests, mode="provider", journal=journal)
"""


def test_kill_loses_no_job(provider, tmp_path):
    """
    Killed while the provider works, the batch is found again by its id.
    """
    provider.polls = 10**6
    journal = tmp_path / "run.jsonl"
    url = provider.base_url("openai")
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), url, KEY, str(journal)],
        cwd=TESTS.parent,
    )
    try:
        eventually(lambda: any(job["asked"] for job in provider.jobs.values()))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(PATIENCE)
    provider.polls = 0

    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), url, KEY, str(journal)],
        cwd=TESTS.parent,
        timeout=60,
        check=True,
    )

    assert 1 == provider.made()
    texts = {item.index: item.response.text for item in read_journal(journal)}
    assert {number: f"echo {number}" for number in range(300)} == texts
