"""
Compressed bodies, whole and in pieces, and bombs.
"""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib

import pytest

from ai_lib._core.errors import InvalidResponseError, ResponseTooLargeError
from ai_lib._core.inflate import STEP, Inflater, inflate

TEXT = b'{"text": "' + bytes(range(32, 127)) * 20 + b'"}'
LIMIT = 1_000_000


def raw_deflate(data):
    """
    Deflate without zlib's header, as some servers send it.
    """
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


def stored(data):
    """
    Raw deflate that stores, whose first byte has no code tables in it.
    """
    engine = zlib.compressobj(0, wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


FORMS = {
    "none": ("", TEXT),
    "identity": ("identity", TEXT),
    "gzip": ("gzip", gzip.compress(TEXT)),
    "x-gzip": ("x-gzip", gzip.compress(TEXT)),
    "capitals": (" GZip ", gzip.compress(TEXT)),
    "members": (
        "gzip",
        gzip.compress(TEXT[:7]) + gzip.compress(b"") + gzip.compress(TEXT[7:]),
    ),
    "zeros-behind": ("gzip", gzip.compress(TEXT) + b"\x00" * 20),
    "text-behind": ("gzip", gzip.compress(TEXT) + b"more"),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "small-window": ("deflate", zlib.compress(TEXT, wbits=9)),
    "raw-deflate": ("deflate", raw_deflate(TEXT)),
    "stored": ("deflate", stored(TEXT)),
    "text-behind-deflate": ("deflate", zlib.compress(TEXT) + b"\x1f\x8b"),
}


def in_pieces(encoding, pieces, step=STEP):
    """
    Feed *pieces* one by one, taking all output between.
    """
    inflater = Inflater(encoding, step)
    output = []
    for piece in pieces:
        output.append(inflater.feed(piece))
        while inflater.pending:
            output.append(inflater.feed(b""))
    return output


@pytest.mark.parametrize(("encoding", "body"), FORMS.values(), ids=FORMS.keys())
def test_every_form_is_read_whole(encoding, body):
    """
    Two names of gzip, members behind one another, deflate with and without a header.
    """
    assert inflate(body, encoding, LIMIT) == TEXT


@pytest.mark.parametrize("step", [1, 7, STEP])
@pytest.mark.parametrize(("encoding", "body"), FORMS.values(), ids=FORMS.keys())
def test_every_form_is_read_byte_by_byte(encoding, body, step):
    """
    The output is the same however the input is cut and however small the steps are.
    """
    bytewise = in_pieces(encoding, (body[at : at + 1] for at in range(len(body))), step)
    whole = in_pieces(encoding, [body], step)

    assert b"".join(bytewise) == TEXT
    assert b"".join(whole) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", ""])
def test_an_empty_body_is_empty(encoding):
    """
    A server may say that nothing is compressed.
    """
    assert inflate(b"", encoding, LIMIT) == b""


def test_output_is_given_as_soon_as_it_is_flushed():
    """
    A server that flushes after every event is not waited for.
    """
    engine = zlib.compressobj(wbits=31)
    inflater = Inflater("gzip")

    output = [
        inflater.feed(engine.compress(event) + engine.flush(zlib.Z_SYNC_FLUSH))
        for event in (b"one", b"two")
    ]

    assert output == [b"one", b"two"]
    assert not inflater.complete


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "compress", "gzip, gzip", "x" * 1000]
)
def test_another_encoding_is_named(encoding):
    """
    What was not asked for is refused in words, which are short.
    """
    with pytest.raises(InvalidResponseError, match=encoding[:40]) as caught:
        inflate(TEXT, encoding, LIMIT)

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", TEXT, id="not-compressed"),
        pytest.param("deflate", TEXT, id="not-deflated"),
        pytest.param("gzip", gzip.compress(TEXT)[:-1], id="truncated"),
        pytest.param("gzip", gzip.compress(TEXT)[:-8], id="no-checksum"),
        pytest.param(
            "gzip", gzip.compress(TEXT)[:-8] + b"\x00" * 8, id="wrong-checksum"
        ),
        pytest.param(
            "gzip", gzip.compress(TEXT) + gzip.compress(TEXT)[:-9], id="second-cut"
        ),
        pytest.param("deflate", zlib.compress(TEXT)[:-1], id="truncated-deflate"),
        pytest.param("deflate", b"x", id="one-byte"),
    ],
)
def test_broken_data_is_an_error(encoding, body):
    """
    A body is whole or an error.
    """
    with pytest.raises(InvalidResponseError, match="compressed data"):
        inflate(body, encoding, LIMIT)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(gzip.compress(TEXT)[:-8], TEXT, id="truncated"),
        pytest.param(gzip.compress(TEXT)[:-8] + b"\x00" * 8, b"", id="wrong-checksum"),
        pytest.param(b"<html>", b"", id="not-compressed"),
        pytest.param(gzip.compress(TEXT * 100), (TEXT * 100)[:5000], id="too-large"),
    ],
)
def test_the_beginning_will_do_for_an_error_s_body(body, expected):
    """
    With *truncated_ok* there is as much as can be had, at most the limit.
    """
    assert inflate(body, "gzip", 5000, truncated_ok=True) == expected


@pytest.mark.parametrize(("encoding", "body"), FORMS.values(), ids=FORMS.keys())
def test_the_limit_is_exact(encoding, body):
    """
    A body of the limit's size is taken, one byte more is not.
    """
    assert inflate(body, encoding, len(TEXT)) == TEXT
    with pytest.raises(ResponseTooLargeError, match="1,911 bytes"):
        inflate(body, encoding, len(TEXT) - 1)


BOMB = gzip.compress(b"\x00" * 300_000_000, 9)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(BOMB, id="one-member"),
        pytest.param(gzip.compress(b"\x00" * 1_000_000) * 300, id="members"),
    ],
)
def test_a_bomb_costs_what_the_limit_allows(body):
    """
    Of 300 MB no more is made than the limit and a step.
    """
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLargeError):
            inflate(body, "gzip", LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 3 * LIMIT


def test_a_stream_s_step_is_bounded():
    """
    One feed gives one step, and says that there is more.
    """
    inflater = Inflater("gzip")

    sizes = [len(inflater.feed(BOMB))]
    for _ in range(10):
        assert inflater.pending
        sizes.append(len(inflater.feed(b"")))

    assert sizes == [STEP] * 11


def test_many_empty_members_take_linear_time():
    """
    What is behind a member is not copied for each.
    """
    body = gzip.compress(b"", mtime=0) * 50_000

    assert inflate(body + gzip.compress(TEXT), "gzip", LIMIT) == TEXT


def test_random_bytes_are_an_error_or_data():
    """
    Nothing but this library's error comes out.
    """
    chance = random.Random(7)
    raised = 0
    for _ in range(2000):
        body = bytearray(gzip.compress(TEXT))
        for _ in range(chance.randint(1, 3)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        try:
            inflate(bytes(body), chance.choice(["gzip", "deflate"]), LIMIT)
        except InvalidResponseError:
            raised += 1

    assert raised > 1500
