"""
Batches that are asked in other processes: of a pool, and of a Dask cluster.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context

import elsewhere
import pytest
from faults import PATIENCE, answer, raw, refusal, stall
from forks import in_child
from twins import KEY, ask

from ai_lib import (
    AiClient,
    ConfigurationError,
    InvalidRequestError,
    MissingApiKeyError,
    NetworkError,
    RetryPolicy,
    StreamCancelledError,
    Target,
)
from ai_lib._core.batch.recipe import ClientRecipe
from ai_lib._core.settings import Settings
from ai_lib._host.journal import read_journal


@pytest.fixture(scope="module")
def pool():
    """
    Two processes that were not forked.
    """
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as made:
        yield made


@pytest.fixture(scope="module")
def cluster():
    """
    A Dask cluster of two worker processes, as an executor.
    """
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=4,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as made,
        distributed.Client(made) as client,
    ):
        yield client.get_executor()


@pytest.fixture(params=["pool", "cluster"])
def executor(request):
    """
    Give one kind of executor after the other.
    """
    return request.getfixturevalue(request.param)


def prompt_of(exchange):
    return exchange.request.json()["messages"][-1]["content"]


def echo(exchange):
    """
    Answer with the prompt, or refuse it.
    """
    prompt = prompt_of(exchange)
    step = refusal(400, "not this") if prompt == "refuse" else answer(prompt)
    return step(exchange)


def keys_seen(server):
    return {one.headers["authorization"] for one in server.requests}


def test_items_come_back_from_other_processes(pair, server, executor, tmp_path):
    """
    Each item has its own answer or error, asked elsewhere by clients like this one; the journal is kept here.
    """
    server.script(echo)
    client = pair.client(server, model="m", default_headers={"x-team": "blue"})
    requests = [ask(str(number)) for number in range(40)]
    requests[7] = ask("refuse")
    journal = tmp_path / "run.jsonl"

    items = client.chat_completion_batch(
        requests, executor=executor, send_keys=True, journal=journal
    )

    texts = {one.index: one.response.text for one in items if one.ok}
    assert list(range(40)) == [one.index for one in items]
    assert {n: str(n) for n in range(40) if n != 7} == texts
    assert isinstance(items[7].error, InvalidRequestError)
    assert "not this" in str(items[7].error)
    assert {"blue"} == {one.headers["x-team"] for one in server.requests}
    assert 39 == sum(item.ok for item in read_journal(journal))


def test_equal_requests_are_each_asked(pair, server, executor):
    """
    Who asks the same thing ten times wants ten answers, in every batch.
    """
    server.script(echo)
    client = pair.client(server)

    for _ in range(2):
        client.chat_completion_batch(
            [ask("one")] * 10, executor=executor, send_keys=True
        )

    assert 20 == len(server.requests)


def test_several_processes_take_part(server, pair, executor):
    """
    The work is really done by more than one process, and none of them is this one.
    """
    server.script(echo)
    client = pair.client(server, api_key=elsewhere.key_of_a_vault)

    items = client.chat_completion_batch(
        [ask(str(number)) for number in range(60)], executor=executor
    )

    processes = {seen.split("-")[1] for seen in keys_seen(server)}
    assert all(item.ok for item in items)
    assert 2 == len(processes)
    assert str(os.getpid()) not in processes


def test_key_stays_here_unless_it_is_sent(server, pair, pool):
    """
    A key that was given as text is not sent to the processes: they look it up, and say so if there is none.
    """
    server.script(echo)
    client = pair.client(server)

    items = client.chat_completion_batch([ask("one"), ask("two")], executor=pool)

    assert [MissingApiKeyError] * 2 == [type(item.error) for item in items]
    assert "send_keys" in str(items[0].error)
    assert not server.requests


def test_key_is_looked_up_there(server, pair, monkeypatch):
    """
    Processes with the variable use it.
    """
    server.script(echo)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-worker")
    client = pair.client(server)

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        items = client.chat_completion_batch([ask("one")], executor=pool)

    assert items[0].ok
    assert {"Bearer sk-of-the-worker"} == keys_seen(server)


def test_threads_are_an_executor_too(server, twin):
    """
    Any executor will do.
    """
    server.script(echo)

    with ThreadPoolExecutor(4) as threads:
        items = twin.client(server).chat_completion_batch(
            [ask(str(number)) for number in range(20)], executor=threads, send_keys=True
        )

    assert [str(number) for number in range(20)] == [
        item.response.text for item in items
    ]


def test_smart_batch_paces_an_executor(server, pair, pool):
    """
    Refusals for the rate of requests are told to the pace here, and cost no item.
    """
    later = refusal(429, headers={"retry-after": "0.1"})
    server.script(later, later, echo)

    items = pair.client(server).chat_completion_batch_smart(
        [ask(str(number)) for number in range(12)], executor=pool, send_keys=True
    )

    assert all(item.ok for item in items)
    assert 14 == len(server.requests)


def test_cancelled_batch_does_not_wait_for_an_executor(server, twin):
    """
    Cancelled, a batch ends at once, though a process still waits.
    """
    server.script(raw(stall))
    client = twin.client(server)
    with ThreadPoolExecutor(2) as threads:
        run = client.one.chat_completion_batch_iter(
            [ask(str(number)) for number in range(4)], executor=threads, send_keys=True
        )
        step = getattr(run, "__anext__", None) or run.__next__
        canceller = threading.Thread(
            target=lambda: (server.until_requests(2), run.cancel())
        )
        canceller.start()

        item = twin.call(step)

        canceller.join()
        server.close()  # not the connections alone: the pool may begin one more
    assert isinstance(item.error, StreamCancelledError)


def test_broken_pool_ends_the_batch(server, pair, tmp_path):
    """
    A pool that has lost a process can do nothing more: the batch ends with its error, and what was finished stands
    in the journal.
    """
    server.script(echo)
    journal = tmp_path / "run.jsonl"
    client = pair.client(server)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        client.chat_completion_batch(
            [ask("one")], executor=pool, send_keys=True, journal=journal
        )
        pool.submit(elsewhere.die).exception(PATIENCE)

        with pytest.raises(BrokenProcessPool):
            client.chat_completion_batch(
                [ask("one"), ask("two")], executor=pool, send_keys=True, journal=journal
            )

    assert 1 == sum(item.ok for item in read_journal(journal))


def ask_by_a_thread(url):
    with ThreadPoolExecutor(1) as threads, AiClient("openai", base_url=url) as client:
        items = client.chat_completion_batch(
            [ask("one")], executor=threads, send_keys=True
        )
    assert items[0].ok


def test_forked_process_waits_for_nobodys_client(server, monkeypatch):
    """
    A process that is forked while a thread makes an executor's client makes its own.
    """
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.script(echo)
    slow = AiClient("openai", base_url=server.url, hooks=[elsewhere.Slow()])
    with slow, ThreadPoolExecutor(1) as threads, ThreadPoolExecutor(1) as beside:
        making = beside.submit(
            slow.chat_completion_batch, [ask("two")], executor=threads
        )
        assert elsewhere.Slow.begun.wait(PATIENCE)

        ended = in_child(partial(ask_by_a_thread, server.url))()
        elsewhere.Slow.go_on.set()

    assert 0 == ended
    assert making.result()[0].ok


class Losing:
    """
    An executor that loses what it is given, as one that is spread over machines may.
    """

    def __init__(self, pool):
        self.pool = pool

    def submit(self, function, recipe, request, turn):
        if b"lose" in request:
            return self.pool.submit(elsewhere.lose)
        return self.pool.submit(function, recipe, request, turn)


def test_request_that_is_lost_touches_no_other(server, pair):
    """
    What an executor says of one request ends that item alone.
    """
    server.script(echo)
    requests = [ask("one"), ask("lose"), ask("two")]

    with ThreadPoolExecutor(2) as threads:
        items = pair.client(server).chat_completion_batch(
            requests, executor=Losing(threads), send_keys=True
        )

    assert [True, False, True] == [item.ok for item in items]
    assert isinstance(items[1].error, NetworkError)
    assert "a machine is gone" in str(items[1].error)


class Forgetful:
    """
    An executor that gives back something, but not what was returned.
    """

    def __init__(self, gives):
        self.gives = gives

    def submit(self, *_):
        promise = Future()
        promise.set_result(self.gives)
        return promise


@pytest.mark.parametrize("gives", [None, "an answer"], ids=["nothing", "text"])
def test_what_is_no_answer_is_an_error(server, pair, tmp_path, gives):
    """
    What an executor gives that is no answer ends its item in an error, and the journal stays whole.
    """
    server.script(echo)
    journal = tmp_path / "run.jsonl"
    client = pair.client(server)

    lost = client.chat_completion_batch(
        [ask("one")], executor=Forgetful(gives), journal=journal
    )
    items = client.chat_completion_batch([ask("one")], journal=journal)

    assert isinstance(lost[0].error, NetworkError)
    assert type(gives).__name__ in str(lost[0].error)
    assert "one" == items[0].response.text


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (elsewhere.no_key, (ConfigurationError, "TwoWords: no vault")),
        (elsewhere.leave, (NetworkError, "SystemExit")),
    ],
    ids=["cannot-travel", "told-to-end"],
)
def test_error_that_is_no_answer_breaks_no_executor(
    server, pair, executor, key, expected
):
    """
    What cannot be unpickled, or would end this process too, ends its item; the executor stays whole.
    """
    kind, words = expected
    server.script(echo)

    items = pair.client(server, api_key=key).chat_completion_batch(
        [ask("one"), ask("two")], executor=executor
    )
    others = pair.client(server).chat_completion_batch(
        [ask("one")], executor=executor, send_keys=True
    )

    assert [kind] * 2 == [type(item.error) for item in items]
    assert all(words in str(item.error) for item in items)
    assert others[0].ok


def test_client_that_cannot_travel_is_refused(server, pair, pool):
    """
    What cannot be pickled is named before anything is sent.
    """
    client = pair.client(server, hooks=[lambda event: None])

    with pytest.raises(ConfigurationError, match="hooks"):
        client.chat_completion_batch([ask("one")], executor=pool)


def test_client_with_a_transport_is_refused(pair, pool):
    """
    A caller's own transport is bound to this process.
    """
    client = pair.client(transport=object())

    with pytest.raises(ConfigurationError, match="transport"):
        client.chat_completion_batch([ask("one")], executor=pool)


def test_what_is_not_to_be_found_elsewhere_is_named(server, pair, executor, tmp_path):
    """
    What a process cannot import ends each item with an error that says so, and leaves the executor whole.
    """
    (tmp_path / "only_here.py").write_text("def key():\n    return 'k'\n")
    sys.path.append(str(tmp_path))
    try:
        import only_here
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("only_here")
    server.script(echo)
    sys.modules["only_here"] = only_here

    items = pair.client(server, api_key=only_here.key).chat_completion_batch(
        [ask("one"), ask("two")], executor=executor
    )
    others = pair.client(server).chat_completion_batch(
        [ask("one")], executor=executor, send_keys=True
    )

    del sys.modules["only_here"]
    assert [ConfigurationError] * 2 == [type(item.error) for item in items]
    assert "only_here" in str(items[0].error)
    assert others[0].ok


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"executor": 4}, TypeError, "Executor, not int"),
        ({"executor": Losing(None), "mode": "provider"}, ValueError, "live"),
    ],
)
def test_what_cannot_be_is_refused(pair, server, keywords, error, words):
    """
    What is no executor, or has nothing to do, is refused at once.
    """
    client = pair.client(server)

    with pytest.raises(error, match=words):
        client.chat_completion_batch([ask("one")], **keywords)


SETTINGS = Settings(
    provider=Target("openai", "m", api_key=KEY),
    failover=[Target("groq", api_key=f"{KEY}-2"), "mistral/small"],
    retry=RetryPolicy(attempts=4),
    hooks=elsewhere.tell,
)


def test_recipe_holds_no_key_unless_it_is_sent():
    """
    What travels has neither the client's key nor a target's in it, and shows none.
    """
    recipe = ClientRecipe.of(SETTINGS, leaves_refusals=False, send_keys=False)

    assert KEY.encode() not in pickle.dumps(recipe)
    assert (None, None, None) == recipe.keys


def test_recipe_makes_the_same_client(pair, monkeypatch):
    """
    What it writes down makes the same client, keys included where they were to be sent; its repr shows none.
    """
    monkeypatch.setenv("MISTRAL_API_KEY", "sk-of-the-worker")
    sent = ClientRecipe.of(SETTINGS, leaves_refusals=False, send_keys=True)

    recipe = pickle.loads(pickle.dumps(sent))
    client = pair.package.AiClient(**recipe.keywords())

    assert KEY not in repr(recipe)
    assert KEY == client._settings.api_key.reveal()
    assert f"{KEY}-2" == client._settings.failover[0].api_key.reveal()
    assert "mistral" == client._settings.failover[1].provider
    assert 4 == client._settings.retry.attempts
    assert (elsewhere.tell,) == client._settings.hooks
