"""
What belongs to a client stays with it, and what it tells of a call is true.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import faults
import pytest
import requests
from twins import ask, eventually

import ai_lib
from ai_lib import ChatCompletionRequest, Message, RetryPolicy, Timeout

GROQ_KEY = "gsk_LEAKzq8Xw2Rk5Tn9VbHd4Jm7"


def test_key_does_not_go_along_to_another_provider(twin, monkeypatch):
    """
    Another provider takes its own key from the environment; neither key nor address is the first one's.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own-key-of-openai")
    groq = twin.client(
        provider="groq", api_key=GROQ_KEY, base_url="https://groq.example/v1"
    )

    openai = groq.with_options(provider="openai")
    request = openai.prepare(ask())

    assert request.url.startswith("https://api.openai.com/")
    assert "sk-own-key-of-openai" == request.credential.secret.reveal()


def test_key_is_missed_at_another_provider(twin):
    """
    Without a key of its own the other provider is not asked with the first one's.
    """
    groq = twin.client(provider="groq", api_key=GROQ_KEY)

    with pytest.raises(ai_lib.MissingApiKeyError):
        groq.with_options(provider="openai")


def test_closed_client_makes_no_other(twin, server):
    """
    ``with_options`` is a use like any other.
    """
    client = twin.client(server)
    client.close()

    with pytest.raises(ai_lib.ClientClosedError):
        client.with_options(model="m")


def test_client_without_a_model_can_be_shown(twin):
    """
    A provider without a default model does not make the repr fail.
    """
    client = twin.raw_client(
        provider="azure_openai", base_url="https://a.example/openai/v1"
    )

    assert "azure_openai" in repr(client)


#: What a connection adds of its own, whatever is asked.
FRAMING = {"host", "content-length", "connection"}


@pytest.mark.parametrize("stream", [False, True], ids=["answer", "stream"])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "replicate"])
def test_prepared_request_is_what_is_sent(twin, server, provider, stream):
    """
    ``prepare`` shows the request that goes out, to the byte; the key's header alone is added when it is sent.
    """
    client = twin.client(server, provider=provider)
    request = ChatCompletionRequest("meta/m", [Message.user("hi")], max_tokens=5)
    server.script(faults.refusal(400))

    call = client.chat_completion_stream if stream else client.chat_completion

    prepared = client.prepare(request, stream=stream)
    with pytest.raises(ai_lib.InvalidRequestError):
        call(request)

    (sent,) = server.requests
    shown = {name.lower(): value for name, value in prepared.headers.items()}
    key = prepared.credential.header.lower()
    assert (prepared.method, prepared.url) == (sent.method, server.origin + sent.path)
    assert prepared.body == sent.body
    assert shown == {
        name: value
        for name, value in sent.headers.items()
        if name not in {*FRAMING, key}
    }


def test_headers_of_the_caller_are_not_shown(twin):
    """
    The repr of a prepared request names headers, and shows no value.
    """
    client = twin.client(default_headers={"x-mine": "a-secret-of-mine"})

    shown = repr(client.prepare(ask()))

    assert "x-mine" in shown
    assert "a-secret-of-mine" not in shown


def test_ledger_tells_what_answered(twin, server):
    """
    The attempt that answered has status, request id and usage.
    """
    server.script(faults.answer("hi", headers=[("x-request-id", "req-7")]))

    response = twin.client(server).chat_completion(ask())
    (attempt,) = response.attempts

    assert (200, "req-7") == (attempt.status_code, attempt.request_id)
    assert response.usage == attempt.usage


def test_time_of_a_stream_runs_from_its_first_step(twin, server):
    """
    What passes between making a stream with a handle and its first step does not count.
    """
    server.script(faults.stream(b"".join(faults.events("hi"))))
    client = twin.client(server, timeout=Timeout(total=2))
    stream, _ = client.stream_with_cancel(ask())
    stream.one._call.deadlines._total -= 60  # as if a minute had passed

    assert "hi" == next(stream).text


def test_replacement_of_a_dead_connection_is_bounded(twin, server):
    """
    A connection that has to be made anew has the time of *connect*, not that of the attempt.
    """
    server.script(faults.answer("one"), faults.raw(faults.hang_up))
    client = twin.client(server, timeout=Timeout(connect=0.3, attempt=60))
    client.chat_completion(ask())
    deaf = faults.port_that_never_accepts()

    with deaf as port:
        other = client.with_options(base_url=f"http://127.0.0.1:{port}/v1")
        with pytest.raises(ai_lib.RequestTimeoutError) as caught:
            other.chat_completion(ask())

    assert caught.value.elapsed < 10


def test_refused_session_counts_as_one_attempt(in_thread):
    """
    What fails before an answer over a caller's session is an attempt, and not sent again in silence.
    """
    port = faults.free_port()
    with (
        requests.Session() as session,
        ai_lib.AiClient(
            "openai",
            api_key=GROQ_KEY,
            base_url=f"http://127.0.0.1:{port}/v1",
            session=session,
            retry=RetryPolicy(attempts=2, backoff=0),
        ) as client,
        pytest.raises(ai_lib.NetworkError) as caught,
    ):
        client.chat_completion(ask())

    assert 2 == len(caught.value.attempts)


def test_request_is_sent_once_over_a_session(server):
    """
    A server that reads the request and hangs up is not given it again.
    """
    server.script(faults.raw(faults.hang_up))
    with (
        requests.Session() as session,
        ai_lib.AiClient(
            "openai",
            api_key=GROQ_KEY,
            base_url=server.url,
            session=session,
            max_retries=0,
        ) as client,
        pytest.raises(ai_lib.NetworkError),
    ):
        client.chat_completion(ask())

    assert 1 == len(server.requests)


def test_batch_whose_requests_block_is_interrupted(server):
    """
    An iterable that waits for ever does not keep an interruption from the caller.
    """
    server.script(faults.answer("hi"))
    waiting, never = threading.Event(), threading.Event()

    def requests_of_mine():
        yield ask()
        waiting.set()
        never.wait()

    def interrupted():
        with ai_lib.AiClient("openai", api_key=GROQ_KEY, base_url=server.url) as client:
            runs.append(client)
            return client.chat_completion_batch(requests_of_mine())

    runs = []
    failures = []

    def run():
        try:
            interrupted()
        except BaseException as error:  # noqa: BLE001  # looked at below
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert waiting.wait(faults.PATIENCE)
    _interrupt(thread, KeyboardInterrupt)
    eventually(lambda: failures)
    never.set()

    assert isinstance(failures[0], KeyboardInterrupt)
    assert ["hi"] == [item.response.text for item in failures[0].items]


def _interrupt(thread, kind):
    """
    Raise *kind* in another thread, as Ctrl-C does in the main one.
    """
    import ctypes

    raised = ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(kind)
    )
    assert 1 == raised


HANGING_KEY = """
import asyncio, threading, {package} as package
from {package} import AiClient, ChatCompletionRequest

never = threading.Event()
asked = threading.Event()

def key():
    asked.set()
    never.wait()

async def main():
    client = AiClient("openai", api_key=key, base_url="http://127.0.0.1:9/v1")
    stream, handle = client.chat_completion_stream_with_cancel(
        ChatCompletionRequest("m", "hi")
    )
    threading.Thread(target=lambda: (asked.wait(), handle.cancel())).start()
    try:
        await anext(stream)
    except package.StreamCancelledError:
        print("cancelled")

asyncio.run(main())
"""


def test_key_that_hangs_keeps_no_process_alive():
    """
    A key's function that was left behind does not keep the process from ending.
    """
    program = HANGING_KEY.format(package="ai_lib_async")

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert "cancelled\n" == done.stdout


def test_messages_of_a_batch_stay_in_order_at_any_concurrency(twin, server):
    """
    Drawn by many workers, the requests keep their places.
    """
    texts = [f"t{number}" for number in range(40)]
    server.script(*[faults.answer("hi") for _ in texts])
    given = [ChatCompletionRequest("m", [Message.user(text)]) for text in texts]

    items = twin.client(server).chat_completion_batch(iter(given), max_concurrency=8)

    assert texts == [item.request.messages[0].text for item in items]
    assert list(range(40)) == [item.index for item in items]


@pytest.mark.parametrize("key", [GROQ_KEY.encode(), [GROQ_KEY]], ids=["bytes", "list"])
def test_key_of_a_wrong_type_is_refused_and_not_kept(twin, key):
    """
    What is no key's type is refused by its type, and in no local of our frames.
    """
    with pytest.raises(ai_lib.ConfigurationError) as caught:
        twin.package.AiClient("groq", api_key=key)

    own = [
        entry.frame.f_locals
        for entry in caught.traceback
        if "ai_lib" in str(entry.path) and "tests" not in str(entry.path)
    ]
    assert own
    assert all(GROQ_KEY not in repr(one) for names in own for one in names.values())
    assert GROQ_KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param({"retry": 3}, "retry must be a RetryPolicy", id="retry"),
        pytest.param({"max_retries": "2"}, "max_retries must be a whole", id="retries"),
        pytest.param({"size_limits": 5}, "size_limits must be SizeLimits", id="sizes"),
        pytest.param(
            {"default_headers": "x"}, "default_headers must map", id="headers"
        ),
    ],
)
def test_argument_of_a_wrong_type_is_named(twin, wrong, words):
    """
    What cannot be right is said by the constructor, in a sentence that names the argument.
    """
    with pytest.raises(TypeError, match=words):
        twin.package.AiClient("groq", api_key=GROQ_KEY, **wrong)


def test_stream_that_is_cancelled_before_it_opens_has_an_empty_answer(twin, server):
    """
    ``partial`` is there also when nothing had come.
    """
    stream, handle = twin.client(server).stream_with_cancel(ask())
    handle.cancel()

    _, error = stream.until_failed()

    assert "" == error.partial.text
