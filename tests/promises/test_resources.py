"""
Resources: connections are used again and given back, and nothing grows.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import faults
import httpx
import pytest
import requests
from faults import PATIENCE, answer, completion, event, events, refusal, reply, stream
from forks import in_child
from twins import KEY, AsyncTwin, BlockingTwin, ask

import ai_lib
import ai_lib_async
from ai_lib import AiLibError, ClientClosedError, NetworkError, ServerError


def echo(exchange):
    """
    A step that answers with what was asked, as a stream if one was asked for.
    """
    asked = exchange.request.json()
    text = asked["messages"][-1]["content"]
    step = stream(*events(text)) if asked.get("stream") else answer(text)
    return step(exchange)


# Given back


def test_breaking_out_frees_the_connection(twin, server):
    """
    A loop that is left closes its stream with the block.
    """
    server.script(stream(event("a"), faults.stall))

    with twin.client(server).chat_completion_stream(ask()) as opened:
        for _ in opened:
            break

    server.until_left()
    assert "closed" == opened.outcome


def test_dropped_stream_frees_the_connection(twin, server):
    """
    A stream that is dropped in the middle is closed by the garbage collector.
    """
    server.script(stream(event("a"), faults.stall))

    opened = twin.client(server).chat_completion_stream(ask())
    next(opened)
    del opened
    gc.collect()

    server.until_left()


def test_dropped_text_stream_frees_the_connection(pair, server):
    """
    A ``text_stream`` that is dropped in the middle leaves nothing behind either.
    """
    server.script(stream(event("a"), faults.stall))
    client = pair.client(server)

    if pair.name == "blocking":
        for text in client.chat_completion_stream(ask()).text_stream:
            assert "a" == text
            break
    else:

        async def read():
            opened = await client.one.chat_completion_stream(ask())
            async for text in opened.text_stream:
                assert "a" == text
                break

        pair.call(read)
    gc.collect()

    server.until_left()


def test_abandoned_text_stream_does_not_warn(server):
    """
    trio, which warns of generators that are collected unfinished, has nothing to say.
    """
    server.script(stream(event("a"), faults.stall))
    twin = AsyncTwin("trio")
    client = twin.raw_client(server)

    async def read():
        async with await client.chat_completion_stream(ask()) as opened:
            async for text in opened.text_stream:
                assert "a" == text
                break

    twin.call(read)
    gc.collect()
    server.until_left()
    twin.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_stream_dropped_behind_its_loop_is_quiet(server, backend):
    """
    A stream that outlives its event loop was closed with it, and is dropped without a word.
    """
    server.script(stream(event("a"), faults.stall))
    twin = AsyncTwin(backend)
    client = ai_lib_async.AiClient("openai", api_key=KEY, base_url=server.url)
    opened = twin.call(client.chat_completion_stream, ask())

    twin.close()
    server.until_left()
    del opened, client
    gc.collect()

    assert 0 == server.open


def test_stream_that_was_never_opened_is_dropped_quietly(twin, server):
    """
    A stream that was made and never stepped sends nothing, and is closed or dropped without a word.
    """
    client = twin.client(server)

    opened, _ = client.stream_with_cancel(ask())
    opened.close()
    dropped, _ = client.stream_with_cancel(ask())
    del dropped
    gc.collect()

    with pytest.raises(ClientClosedError):
        next(opened)
    assert "closed" == opened.outcome
    assert [] == server.requests


def test_stream_is_closed_twice_and_behind_its_end(twin, server):
    """
    ``close`` is allowed twice, and after the end, where it changes nothing.
    """
    server.script(stream(*events("a")))
    client = twin.client(server)

    opened = client.chat_completion_stream(ask())
    opened.until_done()
    opened.close()
    opened.close()
    left = client.chat_completion_stream(ask())
    left.close()
    left.close()

    assert "completed" == opened.outcome
    assert "closed" == left.outcome
    with pytest.raises(ClientClosedError):
        next(left)


def test_failure_frees_the_connection(twin, server):
    """
    An answer that cannot be read leaves no connection behind that is not at its end.
    """
    endless = faults.drip_forever(event("a"), every=0.001)
    broken = b"data: {broken\n\n"
    server.script(stream(event("a"), broken, endless))

    twin.client(server).chat_completion_stream(ask()).until_failed()

    server.until_left()


def settle(server):
    """
    Wait until the server's side is quiet, too.
    """
    gc.collect()
    server.until_left()
    server.requests.clear()


def test_nothing_grows_in_a_thousand_calls(pair, server):
    """
    A thousand calls of every kind, each left in its own way, leave no thread, socket or object behind.
    """
    server.script(echo_or_fail)
    client = pair.client(server)

    def finished():
        client.chat_completion_stream(ask()).until_done()

    def left():
        with client.chat_completion_stream(ask("stall")) as opened:
            next(opened)

    def dropped():
        next(client.chat_completion_stream(ask("stall")))

    def cancelled():
        opened, handle = client.stream_with_cancel(ask("stall"))
        next(opened)
        handle.cancel()
        opened.until_failed()

    def failed():
        with pytest.raises(AiLibError):
            client.chat_completion(ask("fail"))

    def cut():
        client.chat_completion_stream(ask("cut")).until_failed()

    def raised():
        try:
            for _ in client.chat_completion_stream(ask("stall")):
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    def whole():
        assert "hi" == client.chat_completion(ask("hi")).text

    ways = (finished, left, dropped, cancelled, failed, cut, raised, whole)
    for number in range(96):
        ways[number % len(ways)]()
    before = _counts(server)
    for number in range(1000):
        ways[number % len(ways)]()
        if number % 100 == 99:
            server.requests.clear()
    after = _counts(server)

    assert before["threads"] >= after["threads"]
    assert before["files"] + 2 >= after["files"]
    assert before["objects"] + 800 >= after["objects"]


def _counts(server):
    gc.collect()
    server.requests.clear()
    # What is idle may be kept; what is not must go.
    server.until(lambda one: one.open <= 3)
    gc.collect()
    return {
        "threads": threading.active_count(),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "objects": len(gc.get_objects()),
    }


def echo_or_fail(exchange):
    """
    A step that does what the prompt says.
    """
    text = exchange.request.json()["messages"][-1]["content"]
    steps = {
        "stall": stream(event("a"), faults.stall),
        "fail": refusal(500),
        "cut": stream(event("a"), faults.hang_up),
    }
    return steps.get(text, echo)(exchange)


def test_memory_of_a_long_stream_does_not_grow(pair, server):
    """
    A stream keeps the answer that it adds up, and none of its chunks.
    """
    import tracemalloc

    count = 20_000
    block = event("a") * 100
    server.script(stream(*[block] * (count // 100), faults.FINISH, faults.DONE))
    opened = pair.client(server).chat_completion_stream(ask())
    next(opened)
    gc.collect()

    tracemalloc.start()
    opened.until_done()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == len(opened.response.text)
    assert kept < 1_000_000


# Used again


def test_connections_are_used_again(twin, server):
    """
    Twenty streams in a row, and calls between them, use no more than three connections.
    """
    server.script(echo)
    client = twin.client(server)

    for number in range(20):
        with client.chat_completion_stream(ask(str(number))) as opened:
            assert str(number) == "".join(chunk.text for chunk in opened)
        assert "x" == client.chat_completion(ask("x")).text

    assert 3 >= server.accepted


def test_connections_are_used_again_where_the_end_comes_late(pair, server):
    """
    A body whose last bytes come a moment behind the end mark leaves its connection usable.
    """
    late = faults.pause(0.005)
    server.script(stream(*events("a"), late))
    client = pair.client(server)

    for _ in range(10):
        client.chat_completion_stream(ask()).until_done()

    assert 3 >= server.accepted


def test_connections_are_used_again_after_errors(pair, server):
    """
    An error status is no reason to close a connection.
    """
    server.script(refusal(400), refusal(500), answer())
    client = pair.client(server)

    for _ in range(2):
        with pytest.raises(AiLibError):
            client.chat_completion(ask())
    client.chat_completion(ask())

    assert 1 == server.accepted


def test_dead_connection_is_replaced(twin, server):
    """
    A kept connection that the server has closed since is replaced, and that counts as no attempt.
    """
    server.script(echo)
    client = twin.client(server)

    for number in range(3):
        response = client.chat_completion(ask(str(number)))
        assert str(number) == response.text
        assert 1 == len(response.attempts)
        server.drop_connections()


@pytest.mark.parametrize("end", [faults.hang_up, faults.reset], ids=["closed", "reset"])
@pytest.mark.parametrize("function", ["chat_completion", "chat_completion_stream"])
def test_connection_that_dies_with_the_request_is_replaced(twin, server, end, function):
    """
    A kept connection that dies before a byte of the answer is replaced, with the identical request.
    """
    first = []

    def step(exchange):
        if not first:
            first.append(exchange.connection)
            return echo(exchange)
        return end(exchange) if exchange.connection in first else echo(exchange)

    server.script(step)
    client = twin.client(server)
    client.chat_completion(ask("a"))

    result = getattr(client, function)(ask("b"))

    if function == "chat_completion_stream":
        result = result.until_done()
    assert "b" == result.text
    assert 1 == len(result.attempts)
    assert 3 == len(server.requests)
    assert server.requests[1].body == server.requests[2].body


def framed(body, framing):
    """
    A whole answer, head and body.
    """
    if framing == "chunked":
        head = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body)
        body += b"\r\n0\r\n\r\n"
    else:
        head = b"Content-Length: %d\r\n\r\n" % len(body)
    return b"HTTP/1.1 200 OK\r\n%b%b" % (head, body)


def test_connection_that_dies_within_the_answer_is_a_failure(pair, server):
    """
    Once the server has begun to answer, the request is not sent again behind its back.
    """
    begun = faults.raw(b"HTTP/1.1 200 OK\r\nContent-", faults.hang_up)
    server.script(answer(), begun, answer())
    client = pair.client(server)
    client.chat_completion(ask())

    with pytest.raises(NetworkError):
        client.chat_completion(ask())

    assert 2 == len(server.requests)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "begun"])
@pytest.mark.parametrize("secure", [True, False], ids=["TLS", "plain"])
def test_answer_that_nobody_asked_for_answers_nobody(
    pair, request, secure, framing, whole
):
    """
    What stands behind an answer is not the next one's: its connection is not used again.
    """
    server = request.getfixturevalue("tls_server" if secure else "server")
    mine, forged = (framed(completion(text), framing) for text in ("mine", "forged"))
    forged = forged if whole else forged[:9]
    server.script(faults.raw(mine + forged, keep=True), answer("also mine"))
    client = pair.client(server, ca_bundle=getattr(server, "ca", None))

    texts = [client.chat_completion(ask()).text for _ in range(2)]

    assert ["mine", "also mine"] == texts


def refusing_when_idle(server, told):
    """
    Script a server that says 408 to a connection once it is *told*; give the event that it has.
    """
    refused = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    said = threading.Event()
    pieces = [faults.wait_for(told), refused, lambda _: said.set(), faults.hang_up]
    server.script(
        faults.raw(framed(completion("a"), "length"), *pieces), answer("b"), answer("c")
    )
    return said


@pytest.mark.parametrize("kind", ["server", "tls_server"])
def test_word_to_an_idle_connection_is_no_answer(pair, request, kind):
    """
    A server that says 408 to a connection that nobody uses does not refuse the next request by that.
    """
    server = request.getfixturevalue(kind)
    told = threading.Event()
    said = refusing_when_idle(server, told)
    client = pair.client(server, ca_bundle=getattr(server, "ca", None))

    first = client.chat_completion(ask()).text
    told.set()
    assert said.wait(faults.PATIENCE)
    second = client.chat_completion(ask()).text

    assert ("a", "b", 2) == (first, second, server.accepted)


@pytest.mark.parametrize("kind", ["server", "tls_server"])
def test_word_that_comes_while_the_program_computes_is_no_answer(request, kind):
    """
    Nor where the event loop had no time to see it come.
    """
    server = request.getfixturevalue(kind)
    told = threading.Event()
    said = refusing_when_idle(server, told)

    async def run():
        async with ai_lib_async.AiClient(
            "openai",
            api_key=KEY,
            base_url=server.url,
            ca_bundle=getattr(server, "ca", None),
            max_retries=0,
        ) as client:
            first = await client.chat_completion(ask())
            told.set()
            assert said.wait(faults.PATIENCE)
            return first.text, (await client.chat_completion(ask())).text

    assert ("a", "b") == asyncio.run(run())
    assert 2 == server.accepted


def test_new_connection_that_dies_is_a_failure(twin, server):
    """
    A new connection that dies before the answer is not replaced: without retries it is the error.
    """
    server.script(faults.hang_up)

    with pytest.raises(NetworkError):
        twin.client(server).chat_completion(ask())

    assert 1 == len(server.requests)


# Closed


def test_client_is_closed_twice(twin, server):
    """
    ``close`` is allowed twice, closes the connections, and refuses any use after it.
    """
    server.script(echo)
    client = twin.client(server)
    client.chat_completion(ask("a"))

    client.close()
    client.close()

    server.until_left()
    for use in (
        lambda: client.chat_completion(ask()),
        lambda: client.chat_completion_stream(ask()),
        lambda: client.stream_with_cancel(ask()),
        lambda: client.chat_completion_batch([ask()]),
        lambda: client.quick_chat_text("m", "hi"),
        lambda: client.get_model_info("m"),
        client.list_models,
    ):
        with pytest.raises(ClientClosedError):
            use()
    assert 1 == len(server.requests)


def test_stream_of_a_closed_client_sends_nothing(twin, server):
    """
    A stream that was prepared before ``close`` is refused at its first step.
    """
    client = twin.client(server)
    opened, _ = client.stream_with_cancel(ask())

    client.close()

    with pytest.raises(ClientClosedError):
        next(opened)
    assert [] == server.requests


def test_unused_client_is_closed(twin):
    """
    A client that was never used has nothing to close.
    """
    with twin.client() as client:
        pass

    with pytest.raises(ClientClosedError):
        client.chat_completion(ask())


def test_clients_share_connections_and_close_for_themselves(twin, server):
    """
    ``with_options`` shares the connections; they stay until the last of the clients is closed.
    """
    server.script(echo)
    client = twin.client(server)
    other = client.with_options(model="other")

    client.chat_completion(ask("a"))
    client.close()
    assert "b" == other.chat_completion(ask("b")).text
    with pytest.raises(ClientClosedError):
        client.chat_completion(ask())
    other.close()

    server.until_left()
    assert 1 == server.accepted


def test_session_of_the_caller_is_used_and_left_open(server):
    """
    A ``session`` is sent with as it is, and not closed.
    """
    server.script(echo)
    session = requests.Session()
    session.headers["x-mine"] = "yes"
    twin = BlockingTwin()

    with twin.client(server, session=session) as client:
        assert "a" == client.chat_completion(ask("a")).text
        opened = client.chat_completion_stream(ask("b"))
        assert "b" == opened.until_done().text
    response = session.post(server.url, json={"messages": [{"content": "c"}]})
    session.close()

    assert 200 == response.status_code
    assert {"yes"} == {one.headers["x-mine"] for one in server.requests}
    assert 1 == server.accepted


def test_http_client_of_the_caller_is_used_and_left_open(server):
    """
    An ``http_client`` is sent with as it is, and not closed.
    """
    server.script(echo)
    twin = AsyncTwin("asyncio")

    async def use():
        async with httpx.AsyncClient(headers={"x-mine": "yes"}) as mine:
            async with twin.raw_client(server, http_client=mine) as client:
                first = await client.chat_completion(ask("a"))
                opened = await client.chat_completion_stream(ask("b"))
                second = await opened.until_done()
            third = await mine.post(server.url, json={"messages": [{"content": "c"}]})
        return first.text, second.text, third.status_code

    result = twin.call(use)
    twin.close()

    assert ("a", "b", 200) == result
    assert {"yes"} == {one.headers["x-mine"] for one in server.requests}
    assert 1 == server.accepted


# Shared


def test_fifty_threads_share_a_client(server, in_thread):
    """
    Fifty threads use one client at once; each gets its own answers.
    """
    server.script(echo)
    twin = BlockingTwin()
    client = twin.client(server)
    together = threading.Barrier(50)

    def use(number):
        together.wait(PATIENCE)
        for turn in range(6):
            text = f"{number}.{turn}"
            assert text == client.chat_completion(ask(text)).text
            assert text == client.chat_completion_stream(ask(text)).until_done().text

    for done in [in_thread(use, number) for number in range(50)]:
        done.result(PATIENCE)
    twin.close()

    assert 50 >= server.accepted
    assert 600 == len(server.requests)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_fifty_tasks_share_a_client(server, backend):
    """
    Fifty tasks use one client at once; each gets its own answers.
    """
    import anyio

    server.script(echo)
    twin = AsyncTwin(backend)
    client = twin.raw_client(server)

    async def use(number):
        for turn in range(4):
            text = f"{number}.{turn}"
            assert text == (await client.chat_completion(ask(text))).text
            opened = await client.chat_completion_stream(ask(text))
            assert text == (await opened.until_done()).text

    async def all_of_them():
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(use, number)

    twin.call(all_of_them)
    twin.close()

    assert 50 >= server.accepted


def test_event_loops_one_after_another(server):
    """
    One async client serves one event loop after another, without a word about the ones that ended.
    """
    server.script(echo)
    client = ai_lib_async.AiClient("openai", api_key=KEY, base_url=server.url)

    async def use(text):
        opened = await client.chat_completion_stream(ask(text))
        return (await client.chat_completion(ask(text))).text, await opened.until_done()

    for number in range(3):
        text, streamed = asyncio.run(use(str(number)), debug=True)
        gc.collect()
        assert str(number) == text == streamed.text
    asyncio.run(client.close())

    server.until_left()


def test_event_loops_at_once(server, in_thread):
    """
    One async client serves several event loops, each in a thread of its own, at once.
    """
    server.script(echo)
    client = ai_lib_async.AiClient("openai", api_key=KEY, base_url=server.url)
    together = threading.Barrier(8)

    async def use(number):
        for turn in range(5):
            text = f"{number}.{turn}"
            assert text == (await client.chat_completion(ask(text))).text
        together.wait(PATIENCE)  # while others are still open

    loops = [in_thread(asyncio.run, use(number)) for number in range(8)]
    for done in loops:
        done.result(PATIENCE)
    gc.collect()
    asyncio.run(client.close())

    server.until_left()


# Forks


def test_client_serves_parent_and_child(server):
    """
    After a fork neither reads the other's answers, and neither closes the other's connections.
    """
    server.script(echo)
    twin = BlockingTwin()
    client = twin.client(server)
    client.chat_completion(ask("before"))

    def use(who):
        for turn in range(30):
            text = f"{who} {turn}"
            assert text == client.chat_completion(ask(text)).text
            assert text == client.chat_completion_stream(ask(text)).until_done().text

    def child():
        use("child")
        client.close()

    exit_code = in_child(child)
    use("parent")

    assert 0 == exit_code()
    assert "after" == client.chat_completion(ask("after")).text
    parents = {one.connection for one in server.requests if b"child" not in one.body}
    childs = {one.connection for one in server.requests if b"child" in one.body}
    assert not parents & childs
    assert {1} == parents
    twin.close()


def test_async_client_serves_parent_and_child(server):
    """
    The same of the async client, in an event loop of each process.
    """
    server.script(echo)
    client = ai_lib_async.AiClient("openai", api_key=KEY, base_url=server.url)

    async def use(who):
        for turn in range(20):
            text = f"{who} {turn}"
            assert text == (await client.chat_completion(ask(text))).text

    async def use_and_close(who):
        await use(who)
        await client.close()

    asyncio.run(use("before"))
    gc.collect()
    exit_code = in_child(lambda: asyncio.run(use_and_close("child")))
    asyncio.run(use_and_close("parent"))

    assert 0 == exit_code()
    childs = {one.connection for one in server.requests if b"child" in one.body}
    others = {one.connection for one in server.requests if b"child" not in one.body}
    assert not childs & others


def test_stream_belongs_to_the_process_that_opened_it(server):
    """
    A stream opened before a fork is refused in the child, which takes nothing from the parent.
    """
    go_on = threading.Event()
    server.script(stream(event("a"), faults.wait_for(go_on), *events("b", "c")))
    twin = BlockingTwin()
    opened = twin.client(server).chat_completion_stream(ask())
    next(opened)

    def child():
        with pytest.raises(ClientClosedError):
            next(opened)
        opened.close()

    exit_code = in_child(child)
    assert 0 == exit_code()
    go_on.set()

    assert "abc" == opened.until_done().text
    twin.close()


def test_fork_in_the_middle_of_first_uses(server, in_thread):
    """
    A fork while other threads open what the client needs leaves the child a client that works.
    """
    server.script(echo)
    twin = BlockingTwin()
    client = twin.client(server)
    go_on = threading.Event()

    def use():
        go_on.wait(PATIENCE)
        return client.chat_completion(ask("thread")).text

    users = [in_thread(use) for _ in range(8)]
    go_on.set()
    exit_codes = [
        in_child(lambda: client.chat_completion(ask("child"))) for _ in range(3)
    ]

    assert [0, 0, 0] == [code() for code in exit_codes]
    assert ["thread"] * 8 == [one.result(PATIENCE) for one in users]
    twin.close()


def test_transport_of_the_caller_is_used_and_left_open(server):
    """
    A ``transport`` serves several clients, and stays the caller's to close.
    """
    from ai_lib._core.network import resolve_network
    from ai_lib._transport import RequestsTransport

    server.script(echo)
    transport = RequestsTransport(resolve_network())
    twin = BlockingTwin()

    for text in ("a", "b"):
        with twin.client(server, transport=transport) as client:
            assert text == client.chat_completion(ask(text)).text
    transport.close()

    server.until_left()
    assert 1 == server.accepted


def test_closing_while_others_call_is_safe(server, in_thread):
    """
    ``close`` while other threads are in calls: they end well or in one of our errors.
    """
    server.script(reply(faults.pause(0.02), completion("hi"), framing="chunked"))
    twin = BlockingTwin()
    client = twin.client(server)

    def use():
        try:
            return client.chat_completion(ask()).text
        except AiLibError as error:
            return type(error)

    users = [in_thread(use) for _ in range(20)]
    server.until_requests(5)
    client.close()

    results = {one.result(PATIENCE) for one in users}
    assert results <= {"hi", ClientClosedError}
    server.until_left()


def test_errors_keep_no_connection(twin, server):
    """
    An error that a program keeps holds no connection.
    """
    server.script(stream(event("a"), faults.stall))
    timeout = ai_lib.Timeout(idle=0.1)
    client = twin.client(server, timeout=timeout)

    kept = [client.chat_completion_stream(ask()).until_failed() for _ in range(3)]

    server.until_left()
    assert 3 == len(kept)
    assert not any(isinstance(error, ServerError) for _, error in kept)
