"""
Cancelling: a handle frees its reader in every phase, and what comes from outside passes through.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import anyio
import faults
import pytest
from faults import PATIENCE, events, raw, refusal, stream
from twins import Stopwatch, ask, eventually

from ai_lib import (
    ClientClosedError,
    RetryPolicy,
    StreamCancelledError,
    Timeout,
)

#: Seconds within which a cancelled reader is free.
SOON = 0.1

#: A handle's promise is about the library; a loaded machine may be late by itself.
TRIES = 5


def waits(opened):
    """
    Whether a stream's call waits for something.
    """
    return opened.one._call._wake is not None


def cancelled_within(opened, handle, in_thread):
    """
    Read in a thread, cancel from this one; give the error and the seconds that it took.
    """

    def read():
        _, error = opened.until_failed()
        return error, time.monotonic()

    reading = in_thread(read)
    eventually(lambda: waits(opened))
    began = time.monotonic()
    handle.cancel()
    error, ended = reading.result(PATIENCE)
    return error, ended - began


SILENCES = [
    pytest.param(lambda: raw(faults.stall), id="waiting for headers"),
    pytest.param(lambda: raw(b"HTTP/1.1 200 OK\r\nX-", faults.stall), id="in headers"),
    pytest.param(
        lambda: raw(b"HTTP/1.1 200 OK\r\nX-", faults.drip_forever(b"x", every=0.005)),
        id="while headers drip",
    ),
    pytest.param(lambda: stream(faults.stall), id="before the first chunk"),
    pytest.param(lambda: stream(faults.event("a"), faults.stall), id="between chunks"),
    pytest.param(
        lambda: stream(faults.event("a"), faults.stall, framing="close"),
        id="between chunks of a body without length",
    ),
    pytest.param(
        lambda: stream(faults.drip_forever(b": beat\n\n", every=0.005)),
        id="between heartbeats",
    ),
    pytest.param(
        lambda: refusal(429, headers={"retry-after": "30"}), id="waiting for a retry"
    ),
]


@pytest.mark.parametrize("silence", SILENCES)
def test_cancel_frees_the_reader(twin, server, silence, in_thread):
    """
    ``cancel`` from another thread frees a reader within 100 ms, and its connection.
    """
    server.script(silence())
    client = twin.client(server, max_retries=1)
    took = []

    while len(took) < TRIES and min(took, default=1) > SOON:
        opened, handle = client.stream_with_cancel(ask())
        error, seconds = cancelled_within(opened, handle, in_thread)
        took.append(seconds)
        assert type(error) is StreamCancelledError
        assert "cancelled" == opened.outcome

    assert min(took) < SOON
    if "429" not in repr(error.attempts):
        server.until_left()


def test_cancel_frees_who_connects(twin, in_thread):
    """
    ``cancel`` reaches a call that is still connecting.
    """
    with faults.port_that_never_accepts() as port:
        client = twin.client(base_url=f"http://127.0.0.1:{port}/v1")
        opened, handle = client.stream_with_cancel(ask())

        error, seconds = cancelled_within(opened, handle, in_thread)

    assert type(error) is StreamCancelledError
    assert seconds < SOON * TRIES


def test_cancel_frees_who_shakes_hands(twin, certificates, in_thread):
    """
    ``cancel`` reaches a call in the TLS handshake.
    """
    with faults.FaultServer(greet=faults.stall) as server:
        url = server.url.replace("http:", "https:")
        client = twin.client(base_url=url, ca_bundle=str(certificates[0]))
        opened, handle = client.stream_with_cancel(ask())

        error, seconds = cancelled_within(opened, handle, in_thread)
        server.until_left()

    assert type(error) is StreamCancelledError
    assert seconds < SOON * TRIES


def test_cancel_frees_who_reads_over_tls(twin, tls_server, in_thread):
    """
    Over TLS, too; no byte of what was encrypted comes out as an answer.
    """
    tls_server.script(stream(faults.drip_forever(faults.event("a"), every=0.001)))
    client = twin.client(tls_server, ca_bundle=tls_server.ca)

    for count in range(10):
        opened, handle = client.stream_with_cancel(ask())
        reading = in_thread(opened.until_failed)
        tls_server.until_requests(count + 1)
        handle.cancel()
        texts, error = reading.result(PATIENCE)
        assert type(error) is StreamCancelledError
        assert {"a"} >= set(texts)

    tls_server.until_left()


def test_cancel_frees_who_asks_for_a_key(twin, server, in_thread):
    """
    ``cancel`` reaches a call whose key is being asked for.
    """
    asked, go_on = threading.Event(), threading.Event()

    def key():
        asked.set()
        go_on.wait(PATIENCE)
        return "some-key"

    opened, handle = twin.client(server, api_key=key).stream_with_cancel(ask())
    reading = in_thread(opened.until_failed)
    assert asked.wait(PATIENCE)
    watch = Stopwatch()
    handle.cancel()
    _, error = reading.result(PATIENCE)
    seconds = watch.seconds
    go_on.set()

    assert type(error) is StreamCancelledError
    assert seconds < SOON * TRIES
    assert [] == server.requests


def test_cancelled_before_it_began_sends_nothing(twin, server):
    """
    A stream that is cancelled before its first step sends nothing.
    """
    opened, handle = twin.client(server).stream_with_cancel(ask())
    handle.cancel()

    texts, error = opened.until_failed()

    assert [] == texts
    assert type(error) is StreamCancelledError
    assert [] == server.requests
    assert handle.cancelled


def test_cancel_wins_over_chunks_that_are_queued(twin, server):
    """
    After ``cancel`` no chunk comes any more, whatever has arrived; and it never ends quietly.
    """
    server.script(stream(b"".join(events("a", "b", "c"))))

    opened, handle = twin.client(server).stream_with_cancel(ask())
    first = next(opened)
    handle.cancel()
    texts, error = opened.until_failed()

    assert "a" == first.text
    assert [] == texts
    assert "a" == error.partial.text
    assert "cancelled" == opened.outcome


def test_cancelling_twice_is_harmless(twin, server):
    """
    A second ``cancel`` changes nothing.
    """
    server.script(stream(faults.event("a"), faults.stall))

    opened, handle = twin.client(server).stream_with_cancel(ask())
    next(opened)
    handle.cancel()
    handle.cancel()
    _, error = opened.until_failed()
    handle.cancel()
    _, again = opened.until_failed()

    assert again is error


def test_cancel_after_the_end_does_nothing(twin, server):
    """
    A stream that has ended stays ended, and its connection is used again.
    """
    server.script(stream(*events("a")))
    client = twin.client(server)

    opened, handle = client.stream_with_cancel(ask())
    opened.until_done()
    handle.cancel()
    again = list(opened)
    client.chat_completion_stream(ask()).until_done()

    assert [] == again
    assert "completed" == opened.outcome
    assert "a" == opened.response.text
    assert 1 == server.accepted


def test_cancelling_at_any_moment_harms_no_other_call(pair, server):
    """
    However cancels fall, no call hangs and the next one on the same client works.
    """
    pieces = [faults.event("a"), faults.pause(0.002)] * 5
    server.script(stream(*pieces, faults.FINISH, faults.DONE))
    client = pair.client(server)

    for number in range(60):
        opened, handle = client.stream_with_cancel(ask())
        timer = threading.Timer(number * 0.0003, handle.cancel)
        timer.start()
        try:
            opened.until_done()
        except StreamCancelledError:
            assert handle.cancelled
        timer.join()

    assert "aaaaa" == client.chat_completion_stream(ask()).until_done().text


def test_close_from_another_thread_frees_the_reader(twin, server, in_thread):
    """
    ``close`` while another thread reads ends the wait there; the reader closes the connection.
    """
    server.script(stream(faults.event("a"), faults.stall))
    opened = twin.client(server).chat_completion_stream(ask())
    next(opened)

    reading = in_thread(opened.until_failed)
    eventually(lambda: waits(opened))
    opened.close()
    texts, error = reading.result(PATIENCE)

    assert [] == texts
    assert isinstance(error, StreamCancelledError | ClientClosedError)
    assert "closed" == opened.outcome
    server.until_left()


def test_close_from_another_thread_frees_who_opens(pair, server, in_thread):
    """
    ``close`` reaches a stream whose first chunk is still waited for.
    """
    server.script(stream(faults.stall))
    opened, _ = pair.client(server).stream_with_cancel(ask())

    reading = in_thread(opened.until_failed)
    eventually(lambda: waits(opened))
    opened.close()
    texts, error = reading.result(PATIENCE)

    assert [] == texts
    assert isinstance(error, StreamCancelledError | ClientClosedError)
    assert "closed" == opened.outcome
    server.until_left()


def test_closing_and_reading_at_any_moment_is_safe(server, in_thread):
    """
    However ``close`` falls between two reads of another thread, only our errors come out.
    """
    from twins import BlockingTwin

    twin = BlockingTwin()
    pieces = [faults.event("a")] * 3
    server.script(stream(*pieces, faults.pause(0.002), *pieces, faults.stall))
    client = twin.client(server)

    for number in range(100):
        opened = client.chat_completion_stream(ask())
        reading = in_thread(opened.until_failed)
        threading.Event().wait(number * 0.00004)
        opened.close()
        _, error = reading.result(PATIENCE)
        assert isinstance(error, StreamCancelledError | ClientClosedError)

    twin.close()
    server.until_left()


# From outside


class Interrupt(BaseException):
    """
    What a signal's handler raises.
    """


@pytest.fixture
def interrupt():
    """
    Give a function that has ``Interrupt`` raised in the main thread.
    """

    def handle(number, frame):
        raise Interrupt

    before = signal.signal(signal.SIGUSR1, handle)
    main = threading.main_thread().ident
    yield lambda: signal.pthread_kill(main, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("silence", SILENCES)
def test_interrupt_passes_through_a_blocking_stream(
    server, silence, interrupt, in_thread
):
    """
    Ctrl-C ends a read at once, unchanged, and the connection is closed.
    """
    from twins import BlockingTwin

    server.script(silence())
    twin = BlockingTwin()
    client = twin.client(server, max_retries=1)
    opened, _ = client.stream_with_cancel(ask())

    def press():
        server.until_requests(1)
        eventually(lambda: waits(opened))
        time.sleep(0.02)
        interrupt()

    pressing = in_thread(press)
    with pytest.raises(Interrupt):
        opened.until_done()
    pressing.result(PATIENCE)
    _, error = opened.until_failed()
    twin.close()

    assert isinstance(error, ClientClosedError)
    server.until_left()


@pytest.mark.parametrize("silence", SILENCES[:2])
def test_interrupt_passes_through_a_blocking_call(
    server, silence, interrupt, in_thread
):
    """
    Ctrl-C ends a whole answer's wait at once, unchanged, and the connection is closed.
    """
    from twins import BlockingTwin

    server.script(silence())
    twin = BlockingTwin()

    def press():
        server.until_requests(1)
        time.sleep(0.02)
        interrupt()

    pressing = in_thread(press)
    with pytest.raises(Interrupt):
        twin.client(server).chat_completion(ask())
    pressing.result(PATIENCE)

    server.until_left()
    twin.close()


def test_interrupt_behind_the_end_gives_the_slot_back(server, interrupt, in_thread):
    """
    Ctrl-C while the rest behind the end mark is read away leaves the stream's slot free.
    """
    from twins import BlockingTwin

    server.script(stream(*events("a"), faults.stall), faults.answer("next"))
    twin = BlockingTwin()
    client = twin.client(server, max_concurrency=1, timeout=Timeout(total=5))
    opened = client.chat_completion_stream(ask())

    def press():
        eventually(lambda: opened.outcome == "completed")
        interrupt()

    def read():
        opened.until_done()
        threading.Event().wait(PATIENCE)  # for one that comes late

    pressing = in_thread(press)
    with pytest.raises(Interrupt):
        read()
    pressing.result(PATIENCE)

    assert "next" == client.chat_completion(ask()).text
    twin.close()


@pytest.fixture(params=["asyncio", "trio"])
def loop(request):
    """
    Give the async package on one event loop after the other.
    """
    from twins import make_twin

    made = make_twin(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("silence", SILENCES)
def test_cancelled_scope_passes_through(loop, server, silence):
    """
    A cancelled scope (a task group's, a time-out's) ends a wait at once, and closes its connection.
    """
    server.script(silence())
    client = loop.raw_client(server, max_retries=1)

    async def read():
        with anyio.move_on_after(0.15) as scope:
            opened = await client.chat_completion_stream(ask())
            await opened.until_done()
        return scope.cancelled_caught

    watch = Stopwatch()
    caught = loop.call(read)

    assert caught
    assert watch.seconds < 1
    loop.call(client.close)
    server.until_left()


@pytest.mark.parametrize("silence", SILENCES)
def test_cancelled_task_passes_through(server, silence):
    """
    ``task.cancel()`` ends in ``CancelledError``, also where our own cancel comes at the same moment.
    """
    from twins import make_twin

    server.script(silence())
    twin = make_twin("asyncio")
    client = twin.raw_client(server, max_retries=1)

    async def read():
        opened, handle = client.chat_completion_stream_with_cancel(ask())
        task = asyncio.create_task(opened.until_done())
        await anyio.to_thread.run_sync(server.until_requests, 1)
        await asyncio.sleep(0.02)
        task.cancel()
        handle.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return opened

    opened = twin.call(read)
    twin.close()

    assert opened.outcome in ("failed", "closed", "cancelled")
    server.until_left()


def test_own_timeout_of_the_caller_passes_through(server):
    """
    ``asyncio.timeout`` of the caller's raises its own ``TimeoutError``.
    """
    from twins import make_twin

    server.script(raw(faults.stall))
    twin = make_twin("asyncio")
    client = twin.raw_client(server)

    async def read():
        async with asyncio.timeout(0.1):
            await client.chat_completion(ask())

    with pytest.raises(TimeoutError) as caught:
        twin.call(read)
    server.until_left()
    twin.close()

    assert type(caught.value) is TimeoutError


def test_cancelled_while_the_rest_is_read_away(loop, server):
    """
    A task that is cancelled behind the end mark leaves no connection behind.
    """
    server.script(stream(*events("a"), faults.stall))
    client = loop.raw_client(server)

    async def read():
        opened = await client.chat_completion_stream(ask())
        await anext(opened)
        await anext(opened)
        with anyio.move_on_after(0.01):
            async for _ in opened:
                pass
        del opened

    loop.call(read)

    server.until_left()


def test_own_exception_in_the_loop_frees_the_connection(twin, server):
    """
    An exception of the caller's in a ``with`` block passes, and closes the stream.
    """
    server.script(stream(faults.event("a"), faults.stall))
    client = twin.client(server)

    opened = client.chat_completion_stream(ask())

    def use():
        with opened:
            for chunk in opened:
                assert 1 / (chunk.text == "b")

    with pytest.raises(ZeroDivisionError):
        use()

    assert "closed" == opened.outcome
    server.until_left()


def test_waiting_for_a_retry_holds_no_connection_hostage(pair, server):
    """
    Between two attempts nothing is read; the second may use the first one's connection.
    """
    server.script(refusal(503), faults.answer("hi"))
    retry = RetryPolicy(attempts=2, backoff=0.01)

    response = pair.client(server, retry=retry).chat_completion(ask())

    assert "hi" == response.text
    assert 1 == server.accepted
