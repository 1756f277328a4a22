"""
Throw mutated streams at the framers, the inflater and the chunk decoder.

Run from the root of the project; pytest does not collect it::

    python tests/fuzz/streams.py --seconds 30 --seed 1

It fails on the first body for which anything but an ``AiLibError`` comes out, or for which two ways
to cut the same bytes give two results.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import struct
import sys
import time
import zlib

import attrs

from ai_lib._core.chat import ChatCompletionChunk, ChunkChoice, Delta, ToolCallDelta
from ai_lib._core.errors import AiLibError, InvalidResponseError
from ai_lib._core.framing import make_framer
from ai_lib._core.http import SizeLimits
from ai_lib._core.stream import ChunkDecoder

EVENT_LIMIT = 300
ANSWER_LIMIT = 2000

WORDS = [
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\n\r\n",
        b"data: ",
        b"data:",
        b"data",
        b"event: ",
    ),
    *(
        b":",
        b" ",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xe2\x80\xa8",
        b"\xf0\x9f",
        b"\x00",
        b"id: 1",
    ),
    *(
        b"{",
        b"[",
        b"<",
        b'{"t": "x"}',
        b'{"end": "stop"}',
        b"[DONE]",
        b"retry: 1",
        b"x" * 90,
    ),
]


def aws_message(payload: bytes) -> bytes:
    """
    Encode an event.
    """
    head = b"\x0b:event-type\x07\x00\x01x"
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return start + struct.pack(">I", zlib.crc32(start))


def event_of(chance: random.Random) -> bytes:
    """
    Make the payload of one event.
    """
    return chance.choice(
        [
            b'{"t": "word "}',
            '{"t": "é😀"}'.encode(),
            b'{"t": "w", "end": "stop"}',
            b'{"calls": 1}',
            b'{"error": "busy"}',
            b"not json",
            b"[1, 2]",
            b"[DONE]",
        ]
    )


def body_of(framing: str, chance: random.Random) -> bytes:
    """
    Make a stream, mostly a proper one, and spoil it a little.
    """
    events = [event_of(chance) for _ in range(chance.randint(0, 6))]
    if framing == "sse":
        end = chance.choice([b"\n", b"\r", b"\r\n"])
        prefix = chance.choice(
            [b"data: ", b"data:", b"event: x" + end + b"data: ", b": c" + end]
        )
        body = b"".join(prefix + event + end + end for event in events)
    elif framing == "json_lines":
        body = b"".join(event + chance.choice([b"\n", b"\r\n"]) for event in events)
    else:
        body = b"".join(aws_message(event) for event in events)
    for _ in range(chance.choice([0, 0, 1, 2, 5])):
        at = chance.randint(0, len(body))
        gone = chance.choice([0, 0, 1, 4, 30])
        body = body[:at] + chance.choice(WORDS) + body[at + gone :]
    return body


def cut(body: bytes, chance: random.Random) -> list[bytes]:
    """
    Cut *body* anywhere.
    """
    longest = chance.choice([1, 3, 20, 200])
    pieces = []
    while body:
        size = chance.randint(1, longest)
        pieces.append(body[:size])
        body = body[size:]
    return pieces


def naive_events(body: bytes) -> list[tuple[str, str]]:
    """
    The event stream standard, on the whole text; an event that is not ended at the end counts.
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


def frames_of(framing: str, pieces: list[bytes], limit: int) -> tuple[object, ...]:
    """
    Frame *pieces*; the frames, and the error behind them.
    """
    framer = make_framer(framing, limit)  # type: ignore[arg-type]  # one of its words
    frames = []
    for piece in pieces:
        frames += framer.feed(piece)
    frames += framer.close()
    return frames, repr(framer.error)


@attrs.define
class Parser:
    """
    A wire format for the purpose: ``t`` is text, ``end`` a finish reason, ``calls`` a call.
    """

    framing: str
    done: bool = False

    def feed(self, frame: tuple[str, str]) -> list[ChatCompletionChunk]:
        """
        Read one frame.
        """
        if frame[1] == "[DONE]":
            self.done = True
            return []
        try:
            event = json.loads(frame[1])
        except ValueError:
            event = None
        if not isinstance(event, dict) or "error" in event:
            raise InvalidResponseError("no event")
        calls = [ToolCallDelta(0, arguments="{")] if "calls" in event else []
        text, end = event.get("t"), event.get("end")
        delta = Delta(text if isinstance(text, str) else None, tool_calls=calls)
        reason = end if isinstance(end, str) else None
        return [ChatCompletionChunk([ChunkChoice(0, delta, reason)])]

    def finish(self) -> list[ChatCompletionChunk]:
        """
        Nothing is held back.
        """
        return []


def decode_whole(body: bytes) -> None:
    """
    Refuse every body.
    """
    raise InvalidResponseError(f"{len(body)} bytes")


def decoded(framing: str, encoding: str, pieces: list[bytes]) -> tuple[object, ...]:
    """
    Decode *pieces*; chunks, error and answer.
    """
    decoder = ChunkDecoder(
        parser=Parser(framing),
        decode_whole=decode_whole,
        content_encoding=encoding,
        limits=SizeLimits(event=EVENT_LIMIT, answer=ANSWER_LIMIT),
    )
    chunks, error = [], None
    try:
        for piece in (*pieces, b""):
            decoder.feed(piece)
            while (chunk := decoder.next_chunk()) is not None:
                chunks.append(chunk)
    except AiLibError as caught:
        error = type(caught), str(caught), caught.body, caught.partial
    return chunks, error, decoder.response, decoder.ended


def check(chance: random.Random) -> None:
    """
    Make one body, and try it.
    """
    framing = chance.choice(["sse", "sse", "json_lines", "aws_event_stream"])
    body = body_of(framing, chance)
    if framing == "sse":
        found, _ = frames_of(framing, cut(body, chance), 2**20)
        assert naive_events(body) == found, body
    for limit in (2**20, EVENT_LIMIT):
        whole = frames_of(framing, [body], limit)
        assert whole == frames_of(framing, cut(body, chance), limit), (framing, body)
    encoding = chance.choice(["", "gzip", "deflate"])
    packed = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[encoding](
        body
    )
    first, second = (decoded(framing, encoding, cut(packed, chance)) for _ in range(2))
    assert first == second, (framing, encoding, packed)
    # Where compressed data is broken, what its last piece began with is lost.
    at = chance.randint(0, len(packed))
    decoded(framing, encoding, cut(packed[:at] + b"\xff" + packed[at:], chance))


def main() -> int:
    """
    Read the command line, and try bodies until the time is up.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    count = 0
    while time.monotonic() < until:
        check(random.Random(f"{options.seed}:{count}"))
        count += 1
    sys.stdout.write(f"{count} bodies, no difference\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
