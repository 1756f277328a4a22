"""
Streams: a cut answer never looks like a whole one, and the end is where the provider says it is.
"""

from __future__ import annotations

import sys
import threading

import faults
import pytest
from faults import DONE, FINISH, PATIENCE, event, events, reply, stream
from twins import Stopwatch, ask, make_twin

from ai_lib import (
    ApiError,
    IncompleteStreamError,
    InvalidResponseError,
    RequestTimeoutError,
    ResponseTooLargeError,
    SizeLimits,
    Timeout,
)


def texts_of(opened):
    """
    Read a stream to its end.
    """
    return [chunk.text for chunk in opened if chunk.text]


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_whole_stream_is_whole(twin, server, framing):
    """
    A stream that ends with its end mark gives its chunks and the whole answer.
    """
    server.script(stream(*events("a", "b", "c"), framing=framing))

    opened = twin.client(server).chat_completion_stream(ask())
    texts = texts_of(opened)

    assert ["a", "b", "c"] == texts
    assert "abc" == opened.response.text
    assert "stop" == opened.response.finish_reason
    assert "completed" == opened.outcome


@pytest.mark.parametrize(
    "end",
    [
        pytest.param((FINISH,), id="finish reason without DONE"),
        pytest.param((DONE,), id="DONE without finish reason"),
        pytest.param((FINISH, b"data: [DONE]"), id="no final newline"),
    ],
)
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_either_end_mark_is_an_end(pair, server, end, framing):
    """
    A finish reason without ``[DONE]`` is an end, and so is ``[DONE]`` without a finish reason.
    """
    server.script(stream(event("a"), *end, framing=framing))

    opened = pair.client(server).chat_completion_stream(ask())

    assert ["a"] == texts_of(opened)
    assert "completed" == opened.outcome


CUTS = [
    pytest.param((faults.reset,), id="reset"),
    pytest.param((faults.hang_up,), id="hang up"),
    pytest.param((event("b")[:30], faults.hang_up), id="in an event"),
    pytest.param((b"data: ", faults.reset), id="in a line"),
    pytest.param((), id="a proper end without end mark"),
]


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("cut", CUTS)
def test_cut_stream_never_looks_whole(twin, server, cut, framing):
    """
    A stream that ends before its end mark raises, with the partial answer.
    """
    go_on = threading.Event()
    server.script(
        stream(
            event("a"),
            faults.wait_for(go_on),
            *cut,
            framing=framing,
            length=10_000 if cut else None,
        )
    )

    opened = twin.client(server).chat_completion_stream(ask())
    go_on.set()
    texts, error = opened.until_failed()

    assert ["a"] == texts
    assert type(error) is IncompleteStreamError
    assert "a" == error.partial.text
    assert error.partial.finish_reason is None
    assert "failed" == opened.outcome


def test_failed_stream_stays_failed(twin, server):
    """
    Who asks a failed stream again gets the same error, not an end.
    """
    server.script(stream(event("a"), faults.hang_up))

    opened = twin.client(server).chat_completion_stream(ask())
    _, error = opened.until_failed()
    _, again = opened.until_failed()

    assert again is error
    assert "a" == opened.response.text


@pytest.mark.parametrize("media", ["application/json", "text/event-stream", None])
def test_json_in_place_of_a_stream_is_the_answer(twin, server, media):
    """
    A stream's request that is answered with a JSON body gives the answer, as one chunk.
    """
    server.script(faults.answer("whole", content_type=media))

    opened = twin.client(server).chat_completion_stream(ask())

    assert ["whole"] == texts_of(opened)
    assert "whole" == opened.response.text
    assert 5 == opened.response.usage.total_tokens
    assert "completed" == opened.outcome


@pytest.mark.parametrize(
    ("body", "media"),
    [
        pytest.param(b"", "text/event-stream", id="nothing"),
        pytest.param(b"", "application/json", id="nothing as JSON"),
        pytest.param(b"\n\n\n", "text/event-stream", id="blank lines"),
        pytest.param(b": hello\n\n", "text/event-stream", id="a comment"),
        pytest.param(b"<html><body>Sign in</body></html>", "text/html", id="a page"),
        pytest.param(b"upstream says no", "text/plain", id="a word"),
        pytest.param(b"{", "application/json", id="broken JSON"),
        pytest.param(b"[]", "application/json", id="a list"),
        pytest.param(b"null", "application/json", id="null"),
        pytest.param(b"\xff\xfe\x00", "text/event-stream", id="no text"),
        pytest.param(DONE, "text/event-stream", id="an end mark alone"),
    ],
)
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_no_answer_is_an_error(pair, server, body, media, framing):
    """
    A stream's request that is answered with nothing, a page or rubbish is an error.
    """
    server.script(reply(body, content_type=media, framing=framing))

    client = pair.client(server)
    with pytest.raises((InvalidResponseError, IncompleteStreamError)) as caught:
        client.chat_completion_stream(ask()).until_done()

    assert "openai" == caught.value.provider
    assert caught.value.attempts


def test_error_in_place_of_the_first_chunk_is_raised_at_once(twin, server):
    """
    An error event before the first word is raised by the call, not by the loop.
    """
    failure = b'data: {"error": {"message": "the model fell over", "code": 500}}\n\n'
    server.script(stream(failure))

    client = twin.client(server)
    with pytest.raises(ApiError, match="the model fell over"):
        client.chat_completion_stream(ask())


def test_error_event_behind_chunks_carries_the_partial_answer(twin, server):
    """
    An error event in the middle raises what it says, behind what came before.
    """
    failure = b'data: {"error": {"message": "the model fell over"}}\n\n'
    server.script(stream(event("a"), failure, event("b"), DONE))

    texts, error = twin.client(server).chat_completion_stream(ask()).until_failed()

    assert ["a"] == texts
    assert "the model fell over" in str(error)
    assert "a" == error.partial.text


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param((faults.hang_up,), id="cut"),
        pytest.param((b'data: {"error": {"code": 503}}\n\n',), id="error event"),
        pytest.param((faults.stall,), id="silence"),
    ],
)
def test_nothing_is_retried_after_the_first_chunk(pair, server, failure):
    """
    After the first chunk has reached the caller, nothing is sent again.
    """
    server.script(stream(event("a"), *failure))
    timeout = Timeout(idle=0.15)

    client = pair.client(server, max_retries=3, timeout=timeout)
    texts, _ = client.chat_completion_stream(ask()).until_failed()

    assert ["a"] == texts
    assert 1 == len(server.requests)


def test_failure_before_the_first_chunk_is_retried(pair, server):
    """
    Until the first chunk is there, a stream's failure is retried like any other.
    """
    server.script(
        stream(b": warming up\n\n", faults.hang_up),
        stream(*events("a")),
    )

    client = pair.client(server, max_retries=1)
    opened = client.chat_completion_stream(ask())

    assert ["a"] == texts_of(opened)
    assert 2 == len(opened.response.attempts)
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_end_mark_ends_at_once(twin, server, framing):
    """
    The provider's end mark ends iteration, even if the connection stays open.
    """
    server.script(stream(*events("a"), faults.stall, framing=framing))

    opened = twin.client(server).chat_completion_stream(ask())
    watch = Stopwatch()
    texts = texts_of(opened)

    assert ["a"] == texts
    assert watch.seconds < 1
    server.until_left()


def test_what_follows_the_end_mark_is_not_parsed(pair, server):
    """
    Nothing behind the end mark is a chunk or an error.
    """
    behind = b"data: {broken\n\n" + event("more")
    server.script(stream(event("a"), FINISH, DONE + behind))

    opened = pair.client(server).chat_completion_stream(ask())

    assert ["a"] == texts_of(opened)
    assert "a" == opened.response.text


def test_dripping_bytes_do_not_keep_a_stream_alive(twin, server):
    """
    Bytes inside one line are silence: only complete lines count.
    """
    server.script(stream(event("a"), b"data: ", faults.drip_forever(b"x", every=0.02)))
    client = twin.client(server, timeout=Timeout(idle=0.25))

    opened = client.chat_completion_stream(ask())
    watch = Stopwatch()
    texts, error = opened.until_failed()

    assert ["a"] == texts
    assert isinstance(error, RequestTimeoutError | IncompleteStreamError)
    assert "silence" in str(error)
    assert "a" == error.partial.text
    assert watch.seconds < 2


def test_heartbeats_keep_a_stream_alive(pair, server):
    """
    Comments are lines: a stream that sends them is not silent.
    """
    beats = [faults.pause(0.1), b": beat\n\n"] * 5
    server.script(stream(event("a"), *beats, FINISH, DONE))
    client = pair.client(server, timeout=Timeout(idle=0.3))

    opened = client.chat_completion_stream(ask())

    assert ["a"] == texts_of(opened)


def test_time_of_the_caller_is_no_silence(pair, server):
    """
    The time that a caller takes between two chunks does not count.
    """
    server.script(stream(*events("a", "b")))
    client = pair.client(server, timeout=Timeout(idle=0.1))

    opened = client.chat_completion_stream(ask())
    texts = []
    for chunk in opened:
        texts.append(chunk.text)
        threading.Event().wait(0.15)

    assert ["a", "b"] == [text for text in texts if text]


def test_every_cut_of_the_bytes_gives_the_same_chunks(pair, server):
    """
    Where the bytes of a stream are cut does not matter, not even inside a letter.
    """
    data = b"".join(events("a\u2028b", "\u00e9\u4f60", "c\u0085d")).replace(
        b"\n", b"\r\n"
    )
    client = pair.client(server)
    expected = ["a\u2028b", "\u00e9\u4f60", "c\u0085d"]

    for size in (1, 2, 3, 7):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        server.script(stream(*pieces))
        assert expected == texts_of(client.chat_completion_stream(ask()))


def test_large_line_in_small_pieces_is_read_in_linear_time(pair, server):
    """
    A line of some megabytes that comes in small pieces takes no more than a second or so.
    """
    text = "x" * 4_000_000
    data = event(text)
    pieces = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    server.script(stream(*pieces, FINISH, DONE))

    watch = Stopwatch()
    opened = pair.client(server).chat_completion_stream(ask())

    assert [text] == texts_of(opened)
    assert watch.seconds < 5


def test_event_beyond_its_bound_is_refused(pair, server):
    """
    An event larger than the bound is an error, not memory.
    """
    server.script(stream(event("a"), b"data: " + b"x" * 50_000, faults.stall))
    client = pair.client(server, size_limits=SizeLimits(event=10_000))

    texts, error = client.chat_completion_stream(ask()).until_failed()

    assert ["a"] == texts
    assert type(error) is ResponseTooLargeError
    server.until_left()


def test_accumulated_answer_is_bounded(pair, server):
    """
    The whole answer of a stream is bounded, too.
    """
    server.script(stream(*[event("x" * 900)] * 40, FINISH, DONE))
    client = pair.client(server, size_limits=SizeLimits(answer=10_000))

    _, error = client.chat_completion_stream(ask()).until_failed()

    assert type(error) is ResponseTooLargeError


def test_text_stream_gives_text_alone(pair, server):
    """
    ``text_stream`` leaves out what has no text.
    """
    server.script(stream(*events("a", "", "b")))
    opened = pair.client(server).chat_completion_stream(ask())

    if pair.name == "blocking":
        texts = list(opened.text_stream)
    else:

        async def collect():
            return [text async for text in opened.one.text_stream]

        texts = pair.call(collect)

    assert ["a", "b"] == texts


def test_interim_answers_are_passed_over(pair, server):
    """
    103 Early Hints are not the answer.
    """
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" * 2
    server.script(stream(*events("a"), early=early))

    opened = pair.client(server).chat_completion_stream(ask())

    assert ["a"] == texts_of(opened)


def test_reading_waits_for_a_slow_stream(pair, server, in_thread):
    """
    A chunk is given as soon as it has come, while the next is not there yet.
    """
    first, go_on = threading.Event(), threading.Event()
    server.script(stream(event("a"), faults.wait_for(go_on), *events("b")))

    def read():
        texts = []
        for chunk in pair.client(server).chat_completion_stream(ask()):
            texts.append(chunk.text)
            first.set()
        return texts

    reading = in_thread(read)
    assert first.wait(PATIENCE)
    go_on.set()

    assert ["a", "b"] == [text for text in reading.result(PATIENCE) if text]


def test_looking_from_another_thread_changes_nothing(server, in_thread):
    """
    A thread that shows the answer so far, while another one reads, leaves the whole answer whole.
    """
    server.script(stream(*events("a", "b")))
    client = make_twin("blocking").client(server)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns at every corner

    try:
        answers = [read_and_looked_at(client, in_thread) for _ in range(100)]
    finally:
        sys.setswitchinterval(before)
        client.close()

    assert {("ab", "stop")} == set(answers)


def read_and_looked_at(client, in_thread):
    """
    Read a stream to its end while a thread looks at it; give what it came to.
    """
    opened = client.chat_completion_stream(ask())
    over = threading.Event()

    def look():
        while not over.is_set():
            assert opened.response.text in ("", "a", "ab")

    looking = in_thread(look)
    texts_of(opened)
    over.set()
    looking.result(PATIENCE)
    return opened.response.text, opened.response.finish_reason
