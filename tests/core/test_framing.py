"""
Bytes to frames, held against naive readers of the same bytes, at every cut.
"""

from __future__ import annotations

import re
import struct
import time
import zlib

import pytest

from ai_lib._core.errors import InvalidResponseError, ResponseTooLargeError
from ai_lib._core.framing import EVENT_LIMIT, make_framer

LIMIT = 1000


def frames_of(pieces, framing="sse", limit=EVENT_LIMIT):
    """
    Feed *pieces* one by one; the frames, the error's class behind them.
    """
    framer = make_framer(framing, limit)
    frames = []
    for piece in pieces:
        frames += framer.feed(piece)
    frames += framer.close()
    return frames, type(framer.error)


def cuts_of(body):
    """
    The body whole, byte by byte, and cut in two at each place.
    """
    yield [body]
    yield [body[at : at + 1] for at in range(len(body))]
    for at in range(1, len(body)):
        yield [body[:at], body[at:]]


def naive_events(body):
    """
    The standard's algorithm, on the whole text; an unended event at the end counts.
    """
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    name, data, found = "", [], []
    for line in [*re.split("\r\n|\n|\r", text), ""]:
        if not line:
            if data:
                found.append((name, "\n".join(data)))
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
    return found


EVENT_STREAMS = {
    "plain": b'data: {"a":1}\n\ndata: {"a":2}\n\ndata: [DONE]\n\n',
    "returns": b"data: a\r\rdata: b\r\r",
    "returns-and-feeds": b"data: a\r\n\r\ndata: b\r\n\r\n",
    "mixed-line-ends": b"data: a\r\n\ndata: b\r\r\ndata: c\n\r\ndata: d\n\n",
    "byte-order-mark": b"\xef\xbb\xbfdata: a\n\ndata: b\n\n",
    "byte-order-mark-later": b"data: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n",
    "two-byte-order-marks": b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n",
    "comments": b": hi\n\n:\ndata: a\n: between\ndata: b\n\n: PROCESSING\n\ndata: c\n\n",
    "several-data-lines": b"data: a\ndata: b\ndata:\ndata: c\n\ndata: d\n\n",
    "no-space": b"data:a\n\ndata:b\n\nevent:x\ndata:c\n\n",
    "two-spaces": b"data:  a\n\ndata:   b \n\n",
    "no-colon": b"data\n\ndata\ndata\n\nevent\ndata: a\n\n",
    "empty-data": b"data: \n\ndata:\n\ndata: a\n\n",
    "no-data": b"event: x\n\nid: 7\nretry: 10\n\ndata: a\n\n",
    "names": b"event: a\ndata: 1\n\ndata: 2\n\nevent: b\nevent: c\ndata: 3\n\n",
    "name-after-data": b"data: 1\nevent: late\n\ndata: 2\n\n",
    "unknown-fields": b"foo: bar\ndatabase: no\ndata : no\n data: no\nDATA: no\ndata: a\n\n",
    "leading-blank-lines": b"\n\n\r\ndata: a\n\n",
    "many-blank-lines": b"data: a\n\n\n\n\ndata: b\n\n\n",
    "three-feeds": b"data: a\n\n\ndata: b\n\n",
    "no-last-blank-line": b"data: a\n\ndata: b\n",
    "no-last-line-end": b"data: a\n\ndata: b",
    "ends-in-a-return": b"data: a\n\ndata: b\r",
    "name-without-data-last": b"data: a\n\nevent: x\n",
    "comment-last": b"data: a\n\n: bye",
    "separators": "data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n\ndata: h\n\n".encode(),
    "several-bytes-a-letter": "data: é€😀\n\ndata: 日本\n\n".encode(),
    "broken-utf8": b"data: a\xff\xe2\x82\n\ndata: \xf0\x9f\n\ndata: b\xed\xa0\x80\n\n",
    "broken-utf8-in-name": b"event: \xc3\ndata: \x80\n\n",
    "plain-then-named": b"data: a\n\ndata: b\n\nevent: x\ndata: c\n\ndata: d\n\n",
    "data-prefix-in-data": b"data: data: \n\ndata: x data: y\n\n",
    "return-in-plain": b"data: a\rdata: b\n\ndata: c\n\n",
    "null-bytes": b"data: a\x00b\n\nid: \x00\ndata: c\n\n",
    "nothing": b"",
    "only-blank": b"\r\n\r\n",
    "only-text": b"Internal Server Error",
}


@pytest.mark.parametrize("body", EVENT_STREAMS.values(), ids=EVENT_STREAMS.keys())
def test_events_are_the_standard_s_at_every_cut(body):
    """
    However the bytes are cut, the events are those of the standard.
    """
    expected = naive_events(body), type(None)

    results = [frames_of(pieces) for pieces in cuts_of(body)]

    assert [expected] * len(results) == results


def test_every_third_cut_of_every_stream_after_another():
    """
    Forms that change in mid-stream are read as if the stream had them from the start.
    """
    body = b"\n\n".join(EVENT_STREAMS.values())
    expected = naive_events(body), type(None)

    for size in range(1, 60):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert expected == frames_of(pieces)


@pytest.mark.parametrize(
    ("pieces", "progressed"),
    [
        pytest.param([b"data: a"], [False], id="inside-a-line"),
        pytest.param([b"data", b": a", b"\n"], [False, False, True], id="line-end"),
        pytest.param([b": ping\n"], [True], id="comment"),
        pytest.param([b"\n", b"\r"], [True, True], id="blank-lines"),
        pytest.param(
            [b"a\r", b"\n", b"b"], [True, False, False], id="return-then-feed"
        ),
        pytest.param([b"data: a\n\n", b"data: b\n\n"], [True, True], id="plain"),
        pytest.param(
            [b"data: a\n\n", b"data: b", b""], [True, False, False], id="nothing"
        ),
    ],
)
def test_progress_is_a_completed_line(pieces, progressed):
    """
    Comments and blank lines are progress, bytes inside one line are not.
    """
    framer = make_framer("sse")

    said = []
    for piece in pieces:
        framer.feed(piece)
        said.append(framer.progressed)

    assert progressed == said


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(b"data: %s\n\n", id="plain"),
        pytest.param(b"event: x\r\ndata: %s\r\n\r\n", id="named"),
    ],
)
def test_a_line_of_ten_million_bytes_in_small_pieces_takes_linear_time(form):
    """
    The time does not grow with the square of the length.
    """
    body = form % (b"x" * 10_000_000)
    began = time.process_time()

    frames, _ = frames_of(body[at : at + 100] for at in range(0, len(body), 100))

    assert len(frames[0][1]) == 10_000_000
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"data: " + b"x" * LIMIT + b"\n\n", id="one-line"),
        pytest.param(b"data: xxxx\n" * 101 + b"\n", id="many-lines"),
        pytest.param(b": " + b"x" * LIMIT + b"\n\n", id="comment"),
        pytest.param(b"x" * (LIMIT + 1), id="no-line-end"),
        pytest.param(b"event: " + b"x" * LIMIT + b"\n\n", id="name"),
    ],
)
def test_an_event_beyond_the_limit_is_an_error_at_every_cut(body):
    """
    What came before is given, nothing after it is, and the error says that it is too large.
    """
    before, after = b"data: a\n\nevent: y\ndata: b\n\n", b"\n\ndata: c\n\n"
    expected = [("", "a"), ("y", "b")], ResponseTooLargeError
    body = before + body + after

    results = [frames_of(pieces, limit=LIMIT) for pieces in cuts_of(body)]

    assert [expected] * len(results) == results


@pytest.mark.parametrize("framing", ["sse", "json_lines"])
def test_too_much_is_noticed_before_more_than_the_limit_is_held(framing):
    """
    A line without end is refused as soon as it is longer than one may be.
    """
    framer = make_framer(framing, LIMIT)

    taken = 0
    while framer.error is None:
        framer.feed(b"x" * 10)
        taken += 10

    assert taken == LIMIT + 10


def test_an_event_of_exactly_the_limit_is_taken():
    """
    The limit itself is allowed, and so is a stream of any length.
    """
    event = b"data: " + b"x" * (LIMIT - 6) + b"\n\n"

    for pieces in ([event * 5], [event] * 5, [bytes([one]) for one in event * 5]):
        frames, error = frames_of(pieces, limit=LIMIT)
        assert len(frames) == 5
        assert type(None) is error


def test_comments_without_blank_lines_add_up_to_nothing():
    """
    Heartbeats may come for ever.
    """
    frames, error = frames_of([b": ping\n"] * LIMIT + [b"data: a\n\n"], limit=LIMIT)

    assert frames == [("", "a")]
    assert type(None) is error


def test_large_letters_are_counted_in_bytes():
    """
    The limit is one of bytes, not of characters.
    """
    body = b"data: " + "€".encode() * 400 + b"\n\n"

    results = [
        frames_of(pieces, limit=LIMIT) for pieces in ([body], [body[:50], body[50:]])
    ]

    assert [([], ResponseTooLargeError)] * 2 == results


LINE_STREAMS = {
    "plain": (b'{"a":1}\n{"a":2}\n', ['{"a":1}', '{"a":2}']),
    "returns": (b'{"a":1}\r\n\r\n{"a":2}\r\n', ['{"a":1}', '{"a":2}']),
    "blank-lines": (b'\n\n{"a":1}\n \t\n{"a":2}\n\n', ['{"a":1}', '{"a":2}']),
    "no-last-line-end": (b'{"a":1}\n{"a":2}', ['{"a":1}', '{"a":2}']),
    "return-inside": (b'{"a":\r1}\n', ['{"a":\r1}']),
    "byte-order-mark": (b'\xef\xbb\xbf{"a":1}\n', ['{"a":1}']),
    "separators": ('{"a":"\u2028\x85"}\n'.encode(), ['{"a":"\u2028\x85"}']),
    "broken-utf8": (b'{"a":"\xff"}\n', ['{"a":"\ufffd"}']),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(
    ("body", "lines"), LINE_STREAMS.values(), ids=LINE_STREAMS.keys()
)
def test_json_lines_are_the_same_at_every_cut(body, lines):
    """
    One frame a line that is not blank.
    """
    expected = [("", line) for line in lines], type(None)

    results = [frames_of(pieces, "json_lines") for pieces in cuts_of(body)]

    assert [expected] * len(results) == results


def test_a_json_line_beyond_the_limit_is_an_error_at_every_cut():
    """
    The lines before it are given, nothing after it is.
    """
    body = b"1\n2\n" + b"3" * (LIMIT + 1) + b"\n4\n"
    expected = [("", "1"), ("", "2")], ResponseTooLargeError

    results = [frames_of(pieces, "json_lines", LIMIT) for pieces in cuts_of(body)]

    assert [expected] * len(results) == results


def header(name, value, kind=7):
    """
    Encode one header of an AWS message; strings and bytes get their length.
    """
    name = name.encode()
    length = struct.pack(">H", len(value)) if kind in (6, 7) else b""
    return bytes([len(name)]) + name + bytes([kind]) + length + value


def message(payload, *headers):
    """
    Encode one AWS message.
    """
    head = b"".join(headers)
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return start + struct.pack(">I", zlib.crc32(start))


def event(name, payload):
    """
    Encode an event as Bedrock does.
    """
    return message(
        payload,
        header(":event-type", name.encode()),
        header(":content-type", b"application/json"),
        header(":message-type", b"event"),
    )


EVERY_HEADER = [
    header("true", b"", 0),
    header("false", b"", 1),
    header("byte", b"\x01", 2),
    header("short", b"\x01\x02", 3),
    header("integer", b"\x01\x02\x03\x04", 4),
    header("long", b"\x01" * 8, 5),
    header("bytes", b"\x01\x02\x03", 6),
    header("timestamp", b"\x02" * 8, 8),
    header("uuid", b"\x03" * 16, 9),
]

AWS_STREAMS = {
    "events": (
        event("messageStart", b'{"role":"assistant"}')
        + event("contentBlockDelta", "{é}".encode()),
        [("messageStart", '{"role":"assistant"}'), ("contentBlockDelta", "{é}")],
    ),
    "exception": (
        message(
            b'{"message":"slow down"}',
            header(":exception-type", b"throttlingException"),
            header(":message-type", b"exception"),
        ),
        [("exception:throttlingException", '{"message":"slow down"}')],
    ),
    "error": (
        message(
            b"",
            header(":error-code", b"InternalFailure"),
            header(":error-message", b'it "broke"'),
            header(":message-type", b"error"),
        ),
        [("exception:InternalFailure", '{"message": "it \\"broke\\""}')],
    ),
    "every-type-of-header": (
        message(b"{}", *EVERY_HEADER, header(":event-type", b"x"), *EVERY_HEADER),
        [("x", "{}")],
    ),
    "no-headers": (message(b"{}"), [("", "{}")]),
    "cut-off": (event("a", b"{}") + event("b", b"{}")[:-1], [("a", "{}")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(
    ("body", "frames"), AWS_STREAMS.values(), ids=AWS_STREAMS.keys()
)
def test_aws_messages_are_the_same_at_every_cut(body, frames):
    """
    One frame a whole message, named by its event or exception.
    """
    expected = frames, type(None)

    results = [frames_of(pieces, "aws_event_stream") for pieces in cuts_of(body)]

    assert [expected] * len(results) == results


@pytest.mark.parametrize("at", range(len(event("b", b"{}"))))
def test_a_changed_byte_of_an_aws_message_is_an_error(at):
    """
    The checksums cover every byte; messages before the broken one are given.
    """
    broken = bytearray(event("b", b"{}"))
    broken[at] ^= 0x10
    body = event("a", b"{}") + bytes(broken) + event("c", b"{}")

    results = [
        frames_of(pieces, "aws_event_stream")
        for pieces in ([body], [body[:at], body[at:]])
    ]

    assert [([("a", "{}")], InvalidResponseError)] * 2 == results


def bad_prelude(total, head):
    """
    A message whose lengths are wrong and whose prelude's checksum is right.
    """
    prelude = struct.pack(">II", total, head)
    return prelude + struct.pack(">I", zlib.crc32(prelude)) + b"\x00" * 100


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(bad_prelude(LIMIT + 1, 0), ResponseTooLargeError, id="too-large"),
        pytest.param(
            bad_prelude(2**32 - 1, 0), ResponseTooLargeError, id="four-gigabytes"
        ),
        pytest.param(bad_prelude(0, 0), InvalidResponseError, id="no-length"),
        pytest.param(bad_prelude(15, 0), InvalidResponseError, id="too-short"),
        pytest.param(bad_prelude(100, 85), InvalidResponseError, id="headers-too-long"),
        pytest.param(message(b"", b"\x05abc"), InvalidResponseError, id="cut-name"),
        pytest.param(message(b"", b"\x01a"), InvalidResponseError, id="no-type"),
        pytest.param(
            message(b"", b"\x01a\x0a"), InvalidResponseError, id="unknown-type"
        ),
        pytest.param(
            message(b"", b"\x01a\x07\x00"), InvalidResponseError, id="cut-length"
        ),
        pytest.param(
            message(b"", b"\x01a\x07\x00\x09x"), InvalidResponseError, id="cut-value"
        ),
    ],
)
def test_an_aws_message_that_makes_no_sense_is_an_error(body, error):
    """
    Lengths and headers are not believed; nothing is waited for that cannot come.
    """
    pieces = [event("a", b"{}"), body, event("c", b"{}")]

    frames, found = frames_of(pieces, "aws_event_stream", LIMIT)

    assert frames == [("a", "{}")]
    assert error is found


def test_aws_progress_is_a_whole_message():
    """
    Bytes inside one message are no progress.
    """
    body = event("a", b"{}")
    framer = make_framer("aws_event_stream")

    said = []
    for piece in (body[:20], body[20:] + body[:5], body[5:], b""):
        framer.feed(piece)
        said.append(framer.progressed)

    assert said == [False, True, True, False]
