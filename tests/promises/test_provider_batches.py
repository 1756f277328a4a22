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

import attrs
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
from ai_lib._core.registry import find_provider
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


def busy(provider):
    """
    Hold up whoever makes a job, once it is made; gives what tells of it, and what lets go.
    """
    made, go_on = threading.Event(), threading.Event()
    make = provider.make

    def make_slowly(entries, body):
        name = make(entries, body)
        made.set()
        go_on.wait(PATIENCE)
        return name

    provider.make = make_slowly
    provider.polls = 10**6
    return made, go_on


@every_api
def test_cancel_reaches_a_job_that_is_being_made(twin, provider, api):
    """
    Cancelled while the provider makes a job, the batch hears its name, and has it ended.
    """
    made, go_on = busy(provider)
    running = Leaving(twin, client_of(twin, provider, api), [ask("one")])
    assert made.wait(PATIENCE)

    running.run.cancel()
    go_on.set()
    running.join()

    assert [True] == [job["cancelled"] for job in provider.jobs.values()]


def test_job_that_is_being_made_is_noted(twin, provider, tmp_path):
    """
    Left while the provider makes a job, the batch notes it all the same.
    """
    journal = tmp_path / "run.jsonl"
    made, go_on = busy(provider)
    left = Leaving(twin, client_of(twin, provider), [ask("one")], journal=journal)
    assert made.wait(PATIENCE)
    leaver = threading.Thread(target=left.leave)

    leaver.start()
    eventually(lambda: left.run._plan.stopped)
    go_on.set()
    leaver.join()

    assert ["provider batch job-1"] == list(notes_of(journal))


def test_second_cancel_waits_for_nothing(twin, provider):
    """
    Who cancels twice does not wait for a job that is being made.
    """
    made, go_on = busy(provider)
    running = Leaving(twin, client_of(twin, provider), [ask("one")])
    assert made.wait(PATIENCE)

    running.run.cancel()
    running.run.cancel()
    running.join()

    assert isinstance(running.items[0].error, StreamCancelledError)
    go_on.set()


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "refuses"])
def test_error_of_the_iterable_leaves_nothing_to_cost(pair, provider, answers):
    """
    Without a journal, jobs that were made before the caller's iterable failed are ended, or named.
    """
    provider.polls = 10**6
    if not answers:
        provider.faults += [(r"POST .*/cancel$", 401, {})]

    def questions():
        yield ask("one")
        yield ask("two")
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone") as caught:
        split_client(pair, provider).chat_completion_batch(questions(), mode="provider")

    assert [answers] == [job["cancelled"] for job in provider.jobs.values()]
    assert answers == (not hasattr(caught.value, "__notes__"))
    assert answers or "job-1; there is no journal" in caught.value.__notes__[0]


def split_client(twin, provider):
    """
    Make a client that puts each request into a job of its own.
    """
    spec = find_provider("openai")
    single = attrs.evolve(spec, batch=attrs.evolve(spec.batch, max_requests=1))
    return twin.client(provider=single, base_url=provider.base_url("openai"))


def test_job_that_cannot_be_noted_is_ended(pair, provider, tmp_path):
    """
    When the disk is full a job that was just made is ended: the journal does not know it.
    """
    resource = pytest.importorskip("resource")
    journal = tmp_path / "run.jsonl"
    Journal.open(journal).close()
    client = client_of(pair, provider)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    full = (journal.stat().st_size + 9, usual[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, full)

    try:
        with pytest.raises(OSError, match="too large"):
            client.chat_completion_batch([ask("one")], mode="provider", journal=journal)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, before)

    assert [True] == [job["cancelled"] for job in provider.jobs.values()]
    assert {} == notes_of(journal)


def test_equal_requests_of_several_jobs_are_found_again(pair, provider, tmp_path):
    """
    Of equal requests one was answered, in a job of its own: the others' jobs are taken up all the same.
    """
    journal = tmp_path / "run.jsonl"
    provider.polls = 0
    state = provider.state
    provider.state = lambda name: state(name) if name == "job-2" else "running"
    requests = [ask("one")] * 3
    left = Leaving(pair, split_client(pair, provider), requests, journal=journal)
    eventually(lambda: left.items)
    left.leave()
    provider.state = state

    items = split_client(pair, provider).chat_completion_batch(
        requests, mode="provider", journal=journal
    )

    assert [True] * 3 == [item.ok for item in items]
    assert 3 == provider.made()
    assert {} == notes_of(journal)


@every_api
def test_answers_that_nobody_asked_for_are_there_next_time(
    pair, provider, api, tmp_path
):
    """
    With fewer requests than before the job stays noted, so that what it has answered for the others is not paid for anew.
    """
    journal = tmp_path / "run.jsonl"
    provider.polls = 10**6
    requests = [ask(str(number)) for number in range(4)]
    client = client_of(pair, provider, api)
    left = Leaving(pair, client, requests, journal=journal)
    eventually(lambda: any(job["asked"] for job in provider.jobs.values()))
    left.leave()
    provider.polls = 0
    some = client.chat_completion_batch(requests[:1], mode="provider", journal=journal)

    items = client.chat_completion_batch(requests, mode="provider", journal=journal)

    assert "echo 0" == some[0].response.text
    assert [f"echo {number}" for number in range(4)] == [
        item.response.text for item in items
    ]
    assert 1 == provider.made()
    assert {} == notes_of(journal)


@pytest.mark.parametrize("others", [[], ["two"]], ids=["none", "others"])
def test_job_that_holds_nothing_of_this_batch_is_not_waited_for(
    pair, provider, tmp_path, others
):
    """
    Other requests on the journal of a job that runs for hours are done when their own job is; the first stays noted.
    """
    journal = tmp_path / "run.jsonl"
    state = provider.state
    provider.state = lambda name: "running" if name == "job-1" else state(name)
    client = client_of(pair, provider)
    left = Leaving(pair, client, [ask("one")], journal=journal)
    eventually(lambda: [command for command, _ in provider.seen if command == "GET"])
    left.leave()

    again = Leaving(pair, client, [ask(one) for one in others], journal=journal)
    again.join()

    assert [f"echo {one}" for one in others] == [i.response.text for i in again.items]
    assert ["provider batch job-1"] == list(notes_of(journal))
    assert not any(job["cancelled"] for job in provider.jobs.values())


def test_job_elsewhere_is_told(pair, provider, tmp_path, caplog):
    """
    A journal's jobs at another provider are neither taken up nor forgotten, and the batch says so.
    """
    journal = tmp_path / "run.jsonl"
    provider.polls = 10**6
    left = Leaving(pair, client_of(pair, provider), [ask("one")], journal=journal)
    eventually(lambda: any(job["asked"] for job in provider.jobs.values()))
    left.leave()
    provider.polls = 0
    caplog.clear()

    items = client_of(pair, provider, "mistral").chat_completion_batch(
        [ask("one")], mode="provider", journal=journal
    )

    assert items[0].ok
    assert any("(job-1)" in one.message for one in caplog.records)
    assert ["provider batch job-1"] == list(notes_of(journal))


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
