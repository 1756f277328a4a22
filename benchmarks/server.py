"""
A server that answers from memory, so that what is measured is the client.

What it answers stands in the path: ``/call/50/…`` is a whole answer after 50 ms, ``/stream/100/5/chunked/…`` is
a stream of 100 chunks, one every 5 ms, in a chunked body (or ``sized``: a body with its length, which is what
a proxy that buffers nothing may make of it). A stream without a gap comes in blocks; ``single`` writes
each chunk for itself. The content of a paced chunk is the moment at which it was sent.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from functools import cache

#: What the answers say, piece by piece.
_STORY = "the quick brown fox jumps over a lazy dog, and nobody was surprised by it"
WORDS = _STORY.split()
#: Chunks that are written at once in a stream without gaps.
_BLOCK = 100
_ID = "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG"
_MODEL = "gpt-4o-mini-2024-07-18"
_PRINT = "fp_44added55e"

_HEAD = (
    "HTTP/1.1 200 OK\r\nDate: Mon, 03 Nov 2025 10:00:00 GMT\r\nServer: canned\r\n"
    "Content-Type: {kind}\r\nX-Request-Id: req_3f1c8a6f52f54d3c\r\n"
    "X-RateLimit-Limit-Requests: 10000\r\nX-RateLimit-Remaining-Requests: 9999\r\n{framing}\r\n\r\n"
)


def completion() -> bytes:
    """
    Write a whole answer, head and body.
    """
    text = " ".join(WORDS * 4)
    body = json.dumps(
        {
            "id": _ID,
            "object": "chat.completion",
            "created": 1741569952,
            "model": _MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": text,
                        "refusal": None,
                        "annotations": [],
                    },
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 19,
                "completion_tokens": 60,
                "total_tokens": 79,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": 0,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
            "service_tier": "default",
            "system_fingerprint": _PRINT,
        }
    ).encode()
    head = _HEAD.format(kind="application/json", framing=f"Content-Length: {len(body)}")
    return head.encode() + body


def event(content: str, *, finish: str | None = None) -> bytes:
    """
    Write one chunk of a stream.
    """
    value = {
        "id": _ID,
        "object": "chat.completion.chunk",
        "created": 1741569952,
        "model": _MODEL,
        "service_tier": "default",
        "system_fingerprint": _PRINT,
        "choices": [
            {
                "index": 0,
                "delta": {} if finish else {"content": content},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
    }
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


END = event("", finish="stop") + b"data: [DONE]\n\n"


def sized(data: bytes) -> bytes:
    """
    Leave a piece of a body as it is.
    """
    return data


def chunked(data: bytes) -> bytes:
    """
    Frame a piece of a chunked body.
    """
    return b"%x\r\n%b\r\n" % (len(data), data)


FRAMES: dict[str, Callable[[bytes], bytes]] = {"sized": sized, "chunked": chunked}


@cache
def pieces(framing: str) -> tuple[bytes, ...]:
    """
    Write as many different chunks as there are words.
    """
    return tuple(FRAMES[framing](event(f" {word}")) for word in WORDS)


def stamped(framing: str) -> bytes:
    """
    Write a chunk that says when it was sent; always as long as any other.
    """
    return FRAMES[framing](event(f"{time.monotonic():.9f}".zfill(24)))


class Stream:
    """
    One answer in pieces.
    """

    def __init__(
        self, count: int, gap: float, framing: str, *, single: bool = False
    ) -> None:
        self._count, self._gap, self._framing = count, gap, framing
        self._single = single

    def head(self) -> bytes:
        """
        Write what comes before the first chunk.
        """
        if self._framing == "chunked":
            framing = "Transfer-Encoding: chunked"
        else:
            framing = f"Content-Length: {self._length() + len(END)}"
        return _HEAD.format(kind="text/event-stream", framing=framing).encode()

    def _length(self) -> int:
        if self._gap:
            return self._count * len(stamped("sized"))
        lengths = [len(one) for one in pieces("sized")]
        rounds, rest = divmod(self._count, len(lengths))
        return rounds * sum(lengths) + sum(lengths[:rest])

    def chunks(self) -> Iterator[bytes]:
        """
        Write the chunks, each when it is asked for.
        """
        if self._gap:
            for _ in range(self._count):
                yield stamped(self._framing)
            return
        ready = pieces(self._framing)
        size = 1 if self._single else _BLOCK
        block = [ready[at % len(ready)] for at in range(self._count)]
        for at in range(0, self._count, size):
            yield b"".join(block[at : at + size])

    def end(self) -> bytes:
        """
        Write what comes behind the last chunk.
        """
        end = FRAMES[self._framing](END)
        return end + b"0\r\n\r\n" if self._framing == "chunked" else end

    @property
    def gap(self) -> float:
        """
        Seconds between two chunks.
        """
        return self._gap


class Connection(asyncio.Protocol):
    """
    Answers one request after another.
    """

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._received = b""
        self._paused = False
        self._left: Iterator[bytes] = iter(())
        self._stream: Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # it can write

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._received) < end + 4 + length:
            return
        path = self._received.split(b" ", 2)[1].decode()
        self._received = self._received[end + 4 + length :]
        self._answer(*path.split("/")[1:])

    def _answer(self, kind: str, first: str, *rest: str) -> None:
        if kind == "call":
            if first == "0":
                self._write(_COMPLETION)
            else:
                self._loop.call_later(int(first) / 1000, self._write, _COMPLETION)
            return
        gap, framing, *_ = rest
        self._stream = Stream(
            int(first),
            0 if gap == "single" else int(gap) / 1000,
            framing,
            single=gap == "single",
        )
        self._left = self._stream.chunks()
        self._write(self._stream.head())
        self._next()

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _next(self) -> None:
        if self._stream is None or self._paused or self._transport.is_closing():
            return
        chunk = next(self._left, None)
        if chunk is None:
            stream, self._stream = self._stream, None
            self._write(stream.end())
            return
        self._write(chunk)
        if self._stream.gap:
            self._loop.call_later(self._stream.gap, self._next)
        else:
            self._loop.call_soon(self._next)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._loop.call_soon(self._next)


_COMPLETION = completion()


async def serve() -> None:
    """
    Listen, say where, and go on until standard input ends.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(loop), "127.0.0.1", 0, backlog=2048
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, input_ended)
    server.close()


def input_ended() -> None:
    """
    Wait until whoever started this closes its end, or is gone.
    """
    import sys

    sys.stdin.read()


if __name__ == "__main__":
    asyncio.run(serve())
