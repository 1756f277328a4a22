"""
The same work with faults injected: every call must be answered or end in a right error, and nothing be left.

    python benchmarks/faults.py [--calls 2000] [--streams 500] [--at-once 50]

A server in a process of its own resets 10 % of the requests, refuses 5 % with 429 and a Retry-After,
stalls 5 %, and cuts 2 % in their middle. Both packages do the same work, 50 at a time. What is printed, in this
order: how the calls ended, and what must be nought: hung, lost (neither answered nor failed), wrong (the answer
to another question), connections and threads left. The exit code is 1 if something that must be nought is not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import multiprocessing
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import ai_lib
import ai_lib_async
from ai_lib import AiLibError, ChatCompletionRequest, RetryPolicy, Timeout

#: Seconds: how long the server is silent, what an attempt may take, when a call counts as hung.
STALL, ATTEMPT, HUNG = 30.0, 1.0, 60.0

# The server


async def serve(pipe):
    """
    Serve until the pipe says to stop; it is told the port, and asked how many connections are open.
    """
    chance = random.Random(7)
    opened = set()

    async def talk(reader, writer):
        opened.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length:")[2].split()[0])
                asked = json.loads(await reader.readexactly(size))
                if not await answer(reader, writer, asked, chance.random()):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            opened.discard(writer)
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=512)
    pipe.send(server.sockets[0].getsockname()[1])
    while await asyncio.to_thread(pipe.recv) == "open":
        pipe.send(len(opened))


async def answer(reader, writer, asked, luck):
    """
    Answer one request, or do it a wrong.
    """
    text = asked["messages"][-1]["content"]
    if luck < 0.10:
        abort = struct.pack("ii", 1, 0)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
        return False
    if luck < 0.15:
        send(
            writer,
            429,
            b'{"error": {"message": "slow down"}}',
            b"retry-after: 0.05\r\n",
        )
        return True
    if luck < 0.20:
        with contextlib.suppress(TimeoutError):  # or until the peer has left
            await asyncio.wait_for(reader.read(1), STALL)
        return False
    cut = luck < 0.22
    if asked.get("stream"):
        return await stream(writer, text, cut=cut)
    body = json.dumps(
        {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    ).encode()
    send(writer, 200, body, cut=cut)
    return not cut


def send(writer, status, body, more=b"", *, cut=False):
    """
    Send a whole answer, or half of it.
    """
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"
    writer.write(head % (status, more, len(body)))
    writer.write(body[: len(body) // 2] if cut else body)


async def stream(writer, text, *, cut):
    """
    Send a stream of the text's words, or half of them.
    """
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    writer.write(head)
    words = text.split(" ")
    for place, word in enumerate(words):
        if cut and place == len(words) // 2:
            return False
        delta = {"content": word if not place else f" {word}"}
        event = {"choices": [{"index": 0, "delta": delta}]}
        chunk(writer, f"data: {json.dumps(event)}\n\n".encode())
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    chunk(writer, f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def chunk(writer, data):
    """
    Send a chunk of a body.
    """
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


def run_server(pipe):
    """
    Be the server's process.
    """
    asyncio.run(serve(pipe))


# The work


def settings(port):
    """
    The keywords of both clients.
    """
    return {
        "api_key": "a-key-of-the-benchmark",
        "base_url": f"http://127.0.0.1:{port}/v1",
        "retry": RetryPolicy(attempts=4, backoff=0.05),
        "timeout": Timeout(attempt=ATTEMPT, idle=ATTEMPT, total=HUNG / 2),
    }


def work(options):
    """
    List what is asked: a question of its own for each, and whether as a stream.
    """
    streams = [True] * options.streams + [False] * options.calls
    random.Random(11).shuffle(streams)
    return [
        (f"question {number} of many words to be said again", streamed)
        for number, streamed in enumerate(streams)
    ]


def request(text):
    """
    Make a request.
    """
    return ChatCompletionRequest("m", text)


def judge(said, text):
    """
    Name how a call ended.
    """
    if isinstance(said, AiLibError):
        return type(said).__name__
    return "answered" if said == text else "WRONG"


def run_blocking(port, options):
    """
    Do the work with threads; give how each ended.
    """
    with ai_lib.AiClient("openai", **settings(port)) as client:

        def one(task):
            text, streamed = task
            try:
                if streamed:
                    done = client.chat_completion_stream(request(text)).until_done()
                else:
                    done = client.chat_completion(request(text))
            except AiLibError as error:
                return judge(error, text)
            return judge(done.text, text)

        with ThreadPoolExecutor(options.at_once) as executor:
            futures = [executor.submit(one, task) for task in work(options)]
            return [future.result(HUNG) for future in futures]


def run_async(port, options):
    """
    Do the work with tasks; give how each ended.
    """

    async def main():
        turns = asyncio.Semaphore(options.at_once)
        async with ai_lib_async.AiClient("openai", **settings(port)) as client:

            async def one(text, streamed):
                async with turns:
                    try:
                        if streamed:
                            opened = await client.chat_completion_stream(request(text))
                            done = await opened.until_done()
                        else:
                            done = await client.chat_completion(request(text))
                    except AiLibError as error:
                        return judge(error, text)
                    return judge(done.text, text)

            return await asyncio.gather(
                *(asyncio.wait_for(one(*task), HUNG * 10) for task in work(options)),
                return_exceptions=True,
            )

    return asyncio.run(main())


def left(pipe):
    """
    Count the connections that stay open, for two seconds at most.
    """
    for _ in range(40):
        gc.collect()
        pipe.send("open")
        if not (count := pipe.recv()):
            return 0
        time.sleep(0.05)
    return count


def measure(name, run, pipe, port, options):
    """
    Do the work once, print how it went, and tell whether all was right.
    """
    threads, began = threading.active_count(), time.monotonic()
    ends = Counter(
        end if isinstance(end, str) else f"HUNG {type(end).__name__}"
        for end in run(port, options)
    )
    seconds = time.monotonic() - began
    expected = options.calls + options.streams
    wrong = {
        "hung": sum(count for end, count in ends.items() if end.startswith("HUNG")),
        "lost": expected - sum(ends.values()),
        "wrong": ends["WRONG"],
        "connections left": left(pipe),
        "threads left": max(0, threading.active_count() - threads),
    }
    print(f"{name}: {expected} in {seconds:.1f} s")
    for end, count in ends.most_common():
        print(f"  {count:6} {end}")
    print("  " + ", ".join(f"{what} {count}" for what, count in wrong.items()))
    return not any(wrong.values())


def main():
    """
    Run both packages against the server.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=50)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    server = context.Process(target=run_server, args=(theirs,), daemon=True)
    server.start()
    port = pipe.recv()
    try:
        fine = [
            measure("ai_lib", run_blocking, pipe, port, options),
            measure("ai_lib_async", run_async, pipe, port, options),
        ]
    finally:
        pipe.send("stop")
        server.join(2)
        server.kill()
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
