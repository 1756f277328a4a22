"""
HTTP/1.1 as the blocking package writes and reads it, on bytes: at every cut.
"""

from __future__ import annotations

import pytest

from ai_lib._core.wire import BrokenOff, WireError, first_lines, head_of
from ai_lib._exchange import Answer, send


class Wire:
    """
    What a connection gives, piece by piece.

    Attributes:
        usable: What was told when the connection was given back; ``None``: it was not.

        asked: How often it was read from.
    """

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.usable = None
        self.asked = 0

    def receive(self, size):
        self.asked += 1
        return self.pieces.pop(0) if self.pieces else b""

    def release(self, usable):
        assert self.usable is None, "given back twice"
        self.usable = usable

    def answer(self):
        return Answer(self.receive, self.release)


def head(*lines, status="200 OK", version="HTTP/1.1"):
    return "\r\n".join([f"{version} {status}", *lines, "", ""]).encode()


def body_of(answer):
    return b"".join(iter(answer.read1, b""))


SIZED = head("Content-Length: 5", "X-Name: value") + b"hello"
CHUNKED = (
    head("Transfer-Encoding: chunked", "X-Name: value")
    + b"3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nx-trailer: 1\r\n\r\n"
)
HINTED = head("Link: </a>", status="103 Early Hints") + SIZED


@pytest.mark.parametrize(
    "whole", [SIZED, CHUNKED, HINTED], ids=["sized", "chunked", "103"]
)
def test_every_cut_reads_the_same(whole):
    """
    However the bytes are cut, the answer is the same, and the connection can be used again.
    """
    for cut in range(len(whole) + 1):
        wire = Wire(*(piece for piece in (whole[:cut], whole[cut:]) if piece))

        answer = wire.answer()
        found = body_of(answer)

        assert (200, b"hello", True) == (answer.status, found, wire.usable), cut
        assert "value" == answer.headers["x-name"]


def test_chunks_of_sizes_that_come_again_are_cut_anywhere():
    """
    A size that was met before is read by a shorter way, which cuts, bare line feeds and extensions do not confuse.
    """
    pieces = (b"12345678901", b"ab", b"ab", b"12345678901", b"ab", b"1b\r\n2\r\nxy")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces * 2)
    odd = b"2\nab\r\n2 \r\nab\n2;a=b\r\nab\r\n02\r\nab\r\n"
    start = head("transfer-encoding: chunked")
    whole = start + chunks + odd + chunks + b"0\r\n\r\n"
    expected = b"".join(pieces * 2) + b"abababab" + b"".join(pieces * 2)

    for first in range(len(start), len(whole)):
        for second in range(first, min(len(whole), first + 15)):
            cuts = (whole[:first], whole[first:second], whole[second:])
            wire = Wire(*(piece for piece in cuts if piece))

            found = body_of(wire.answer())

            assert (expected, True) == (found, wire.usable), (first, second)


def test_byte_by_byte():
    """
    A body that drips is the same body.
    """
    for whole in (SIZED, CHUNKED):
        wire = Wire(*(bytes([one]) for one in whole))

        assert b"hello" == body_of(wire.answer())
        assert wire.usable is True


@pytest.mark.parametrize("whole", [SIZED, CHUNKED], ids=["sized", "chunked"])
def test_every_end_before_the_end_is_an_error(whole):
    """
    An answer that stops anywhere before its end is never taken for whole.
    """
    for cut in range(1, len(whole)):
        wire = Wire(whole[:cut])

        with pytest.raises(BrokenOff):
            body_of(wire.answer())

        assert not wire.usable, cut


def test_nothing_at_all_says_so():
    """
    A connection that was closed before a word of an answer is told from one that broke off.
    """
    with pytest.raises(BrokenOff, match="without response"):
        Wire().answer()


def test_chunks_that_came_together_are_given_together():
    """
    What one read brought is given at once, however many chunks it holds.
    """
    chunks = b"".join(b"1\r\n%c\r\n" % letter for letter in b"abcdef")
    wire = Wire(head("transfer-encoding: chunked") + chunks)

    answer = wire.answer()

    assert b"abcdef" == answer.read1()
    assert 1 == wire.asked


def test_body_without_a_length_ends_with_the_connection():
    """
    It is over when the connection closes, which cannot be used again.
    """
    wire = Wire(head() + b"one", b"two")

    answer = wire.answer()

    assert [b"one", b"two", b"", b""] == [answer.read1() for _ in range(4)]
    assert wire.usable is False


@pytest.mark.parametrize(
    ("start", "usable"),
    [
        (head("content-length: 0"), True),
        (head(status="204 No Content"), True),
        (head("content-length: 9", status="304 Not Modified"), True),
        (head("content-length: 0", status="413 Content Too Large"), False),
        (head("content-length: 0", "connection: close"), False),
        (head("content-length: 0", "Connection: Keep-Alive, Close"), False),
        (head("content-length: 0", version="HTTP/1.0"), False),
        (head("content-length: 0", "connection: keep-alive", version="HTTP/1.0"), True),
        (head("content-length: 0") + b"more", False),
        (head("content-length: 2") + b"okHTTP/1.1 200 OK", False),
        (
            head("transfer-encoding: chunked", "content-length: 3") + b"0\r\n\r\n",
            False,
        ),
        (head("transfer-encoding: chunked") + b"0\r\n\r\nmore", False),
        (head("transfer-encoding: gzip, Chunked") + b"0\r\n\r\n", True),
        (head("transfer-encoding: identity", "content-length: 2") + b"ok", True),
        (head("transfer-encoding: gzip", "content-length: 2") + b"ok", False),
        (head("transfer-encoding: xchunked", "content-length: 2") + b"ok", False),
    ],
)
def test_connection_is_used_again_only_if_it_is_clean(start, usable):
    """
    Nothing is left on a connection that goes back, and nobody wants it closed.
    """
    wire = Wire(start)

    body_of(wire.answer())

    assert wire.usable is usable


def test_closed_before_its_end_is_not_used_again():
    """
    A body that nobody reads on takes its connection along; closing twice is allowed.
    """
    wire = Wire(head("content-length: 5") + b"he")
    answer = wire.answer()

    answer.close()
    answer.close()

    assert wire.usable is False
    assert b"" == answer.read1()


def test_lengths_that_agree_are_one():
    """
    A proxy may write a length twice; two lengths are none.
    """
    agreed = Wire(head("content-length: 2", "content-length: 2") + b"ok")

    assert b"ok" == body_of(agreed.answer())
    with pytest.raises(WireError, match="several lengths"):
        Wire(head("content-length: 2", "content-length: 3") + b"ok").answer()


@pytest.mark.parametrize("length", ["", "-5", "+5", "5 5", "0x5", "\xb2", "9" * 50])
def test_length_that_is_none_is_refused(length):
    """
    Nobody knows where such a body ends, and on an open connection nobody would hear of it.
    """
    with pytest.raises(WireError, match="no length"):
        Wire(head(f"content-length: {length}") + b"hello").answer()


@pytest.mark.parametrize(
    "chunks",
    [
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"\r\n",
        b"5\r\nhello!\r\n",
        b"5\r\nhello\r\n" * 3 + b"5\r\nhello!\n",
        b"5\r\nhello\r\n" * 3 + b"5\r\nhell\r\n",
        b"5\r\nhello\r\n" * 3 + b"5\r\nhello5\r\nhello",
        b"1_0\r\n",
        b"f" * 20,
    ],
)
def test_wrong_chunks_are_refused(chunks):
    """
    A size that is none, or a chunk that is longer than it says, ends the answer in an error.
    """
    wire = Wire(head("transfer-encoding: chunked") + chunks + b"\r\n" * 2)

    with pytest.raises(WireError):
        body_of(wire.answer())


@pytest.mark.parametrize(
    "start", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/2 200\r\n\r\n"]
)
def test_what_is_no_answer_says_so(start):
    """
    Another protocol is no answer.
    """
    with pytest.raises(WireError):
        Wire(start).answer()


def test_endless_head_is_refused():
    """
    A head is bounded, and so is a line of a chunk's size.
    """
    endless = [b"x-more: and more\r\n" * 1000] * 100

    with pytest.raises(WireError):
        Wire(b"HTTP/1.1 200 OK\r\n", *endless).answer()
    with pytest.raises(WireError):
        body_of(Wire(head("transfer-encoding: chunked"), b"1;" + b"x" * 70000).answer())


@pytest.mark.parametrize("line", [b"a:x\n", b" x\n", b"\x00\n", b":\n"])
def test_lines_of_a_head_are_counted(line):
    """
    A head of more lines than anybody needs is refused, before work grows with their square.
    """
    with pytest.raises(WireError, match="60000 lines"):
        Wire(b"HTTP/1.1 200 OK\n", line * 60_000 + b"\n").answer()


def test_interim_answers_are_bounded():
    """
    They count as the head of the answer that never comes, at once or one by one.
    """
    interim = head(status="100 Continue")
    for pieces in ([interim * 20_000], [interim] * 20_000):
        wire = Wire(*pieces)

        with pytest.raises(WireError, match="no end"):
            wire.answer()


@pytest.mark.parametrize("status", ["101 Switching Protocols", "099 Less", "000"])
def test_status_that_is_no_answer_is_refused(status):
    """
    Nobody asked for another protocol, and a status below 100 is none.
    """
    with pytest.raises(WireError, match=status):
        Wire(head("content-length: 0", status=status)).answer()


@pytest.mark.parametrize(
    "start", [b"\x15\x03", b"SSH-2.0-x\r\n", b"h", b" HTTP/1.1", b"\n"]
)
def test_what_cannot_become_an_answer_is_not_waited_for(start):
    """
    The first byte that no answer has is the last that is read.
    """
    wire = Wire(start, b"more")

    with pytest.raises(WireError, match="no HTTP"):
        wire.answer()

    assert 1 == wire.asked


def test_headers_are_read_liberally():
    """
    Bare line feeds, values that go on, several of one name, and lines that are no header.
    """
    start = (
        b"HTTP/1.1 200\nA: 1\na: 2\nB: one\n  two\nno header\nC:\nD: \xe9\n"
        b"content-length: 0\n\n"
    )

    answer = Wire(start).answer()

    wanted = {"a": "1, 2", "b": "one two", "c": "", "d": "é", "content-length": "0"}
    assert wanted == answer.headers


# Out


def sent(headers, body=None, line="POST /v1 HTTP/1.1\r\nhost: h\r\n"):
    pieces = []
    send(pieces.append, head_of(line, headers, body), body)
    return pieces


def test_small_request_is_one_write():
    """
    Head and body go out together; a large body is not copied.
    """
    small = sent({"accept": "a"}, b"{}")
    large = sent({"accept": "a"}, b"x" * 100_000)

    expected = (
        b"POST /v1 HTTP/1.1\r\nhost: h\r\naccept: a\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert [expected] == small
    assert b"x" * 100_000 == large[1]


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb"])
def test_header_with_a_line_break_is_refused(value):
    """
    Nothing can be smuggled in behind a value, or a name; nothing is sent.
    """
    for headers in ({"x": value}, {value: "x"}):
        with pytest.raises(WireError, match="line break"):
            sent(headers)


def test_target_is_written_safely():
    """
    What would break the first line is refused; what is not ASCII is encoded as browsers do.
    """
    assert "GET /mod%C3%A8le?a=%20 HTTP/1.1\r\nhost: h\r\n" == first_lines(
        "GET", "/modèle?a=%20", "h"
    )
    for target in ("/a b", "/a\r\nx: 1", "/\0"):
        with pytest.raises(WireError):
            first_lines("GET", target, "h")


def test_name_of_a_host_is_written_in_ascii():
    """
    A name of other letters goes out as it is looked up; one that has no such form is refused.
    """
    assert "GET / HTTP/1.1\r\nhost: xn--bcher-kva.example:80\r\n" == first_lines(
        "GET", "/", "bücher.example:80"
    )
    with pytest.raises(WireError, match="host"):
        first_lines("GET", "/", f"{'ü' * 80}.example")


def test_server_that_hangs_up_while_it_is_told_may_have_answered():
    """
    A broken pipe is not the last word: who refuses a large request answers, and closes.
    """

    def broken(_):
        raise BrokenPipeError

    send(broken, b"POST /v1 HTTP/1.1\r\n\r\n", b"{}")
