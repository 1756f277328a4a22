"""
Batches that are killed, that are long, and that are wide.

    python benchmarks/batches.py                                   # all of it, some five minutes
    python benchmarks/batches.py --only kills --requests 10000 --kills 5
    python benchmarks/batches.py --only memory --count 1000000 --package ai_lib --journal
    python benchmarks/batches.py --only wide

`kills`: so many requests with a journal, against a server in another process that spoils 5 % of its answers (429,
500, reset, silence). The client's process is killed at random moments, the same in each run, and started again. In the end every
request must be answered, in order and with the answer to itself; and of what the journal held when it was killed,
nothing may be paid again: the server counts.

`memory`: requests from a generator through `chat_completion_batch_iter`, with and without a journal; the memory that the process
holds (RSS) at each tenth of the way, and how much it grew for a finished item from the second tenth on.

`wide`: 500 requests of 50 ms, 50 at once, against the half second that they take at best; the median of seven
rounds. A time by the clock: on a busy machine it says little.

The exit code is 1 if something was lost, wrong or paid twice, if memory grew by 100 bytes for an item, or if `wide`
took more than 1.4 times its best.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import random
import resource
import signal
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import ai_lib
import ai_lib_async
from ai_lib import ChatCompletionRequest, RetryPolicy, Timeout, read_journal

#: Of `kills`.
AT_ONCE = 32
PACKAGES = ("ai_lib", "ai_lib_async")
#: Share of answers that are spoilt, and seconds of silence after which a client gives up.
FAULTS, ATTEMPT = 0.05, 1.0
#: Of `memory`: bytes for a finished item. Of `wide`: how much longer than at best.
MOST_BYTES, MOST_TIME = 100.0, 1.4

# The server


class Answering(asyncio.Protocol):
    """
    A connection: answers with what was asked, at once or later, or spoils it.
    """

    def __init__(self, server):
        self._server = server
        self._held = b""

    def connection_made(self, transport):
        """
        Keep what is written to.
        """
        self._transport = transport

    def data_received(self, data):
        """
        Answer each request that is whole.
        """
        self._held += data
        while True:
            head, found, rest = self._held.partition(b"\r\n\r\n")
            if not found:
                return
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r", 1)[0])
            if len(rest) < size:
                return
            body, self._held = rest[:size], rest[size:]
            self._answer(json.loads(body)["messages"][-1]["content"])

    def _answer(self, text):
        server = self._server
        fault = server.chance.random() / FAULTS if server.faults else 1.0
        if fault < 0.25:
            self._send(429, {"error": {"message": "no"}}, b"retry-after: 0.05\r\n")
        elif fault < 0.5:
            self._send(500, {"error": {"message": "no"}})
        elif fault < 0.75:
            abort = struct.pack("ii", 1, 0)
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
            self._transport.abort()
        elif fault >= 1 and server.delay:
            loop = asyncio.get_running_loop()
            loop.call_later(server.delay, self._pay, text)
        elif fault >= 1:
            self._pay(text)

    def _pay(self, text):
        server = self._server
        if server.count >= server.most:
            server.held.append(lambda: self._pay(text))
            return
        if self._transport.is_closing():
            return
        message = {"role": "assistant", "content": text}
        self._send(200, {"choices": [{"message": message, "finish_reason": "stop"}]})
        server.count += 1
        if server.faults:
            server.paid.append(text)

    def _send(self, status, said, more=b""):
        body = json.dumps(said).encode()
        head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"
        self._transport.write(head % (status, more, len(body)) + body)


class Server:
    """
    What connections share; beyond *most* nothing is answered until that is more.
    """

    def __init__(self, delay, *, faults):
        self.delay, self.faults = delay, faults
        self.chance = random.Random(5)
        self.count, self.paid = 0, []
        self.most, self.held = float("inf"), []

    def tell(self, asked):
        """
        Say how many were paid for, or which; or take a new *most*.
        """
        if isinstance(asked, (int, float)):
            self.most, held, self.held = asked, self.held, []
            for one in held:
                one()
        return self.paid if asked == "paid" else self.count


async def serve(pipe, delay, faults):
    """
    Serve until it is ended; the pipe is told the port, and what was paid for when it asks.
    """
    shared = Server(delay, faults=faults)
    loop = asyncio.get_running_loop()
    made = await loop.create_server(
        lambda: Answering(shared), "127.0.0.1", 0, backlog=512
    )
    pipe.send(made.sockets[0].getsockname()[1])
    with contextlib.suppress(EOFError):  # who asked is gone
        while asked := await asyncio.to_thread(pipe.recv):
            pipe.send(shared.tell(asked))


def run_server(pipe, delay, faults):
    """
    Be the server's process.
    """
    asyncio.run(serve(pipe, delay, faults))


class Serving:
    """
    A server in a process of its own; a context manager that ends it.
    """

    def __init__(self, delay=0.0, *, faults=False):
        self._context = multiprocessing.get_context("spawn")
        self.pipe, theirs = self._context.Pipe()
        arguments = (theirs, delay, faults)
        self._process = self._context.Process(target=run_server, args=arguments)

    def __enter__(self):
        self._process.start()
        self.port = self.pipe.recv()
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.join()

    def ask(self, what):
        """
        Ask how many were paid for, or which; or say how many may be.
        """
        self.pipe.send(what)
        return self.pipe.recv()

    def child(self, target, *arguments):
        """
        Start a client's process; give it and its end of a pipe.
        """
        pipe, theirs = self._context.Pipe()
        process = self._context.Process(
            target=target, args=(theirs, self.port, *arguments)
        )
        process.start()
        return process, pipe


# The clients


def settings(port):
    """
    The keywords of both clients.
    """
    return {
        "api_key": "a-key-of-the-benchmark",
        "base_url": f"http://127.0.0.1:{port}/v1",
        "retry": RetryPolicy(attempts=6, backoff=0.05),
        "timeout": Timeout(attempt=ATTEMPT),
    }


def requests(count):
    """
    Ask so many things.
    """
    return (ChatCompletionRequest("m", f"question {number}") for number in range(count))


def whole_batch(package, port, count, **options):
    """
    Work a batch off; give its items.
    """
    if package == "ai_lib":
        with ai_lib.AiClient("openai", **settings(port)) as client:
            return client.chat_completion_batch(requests(count), **options)

    async def main():
        async with ai_lib_async.AiClient("openai", **settings(port)) as client:
            return await client.chat_completion_batch(requests(count), **options)

    return asyncio.run(main())


def be_killed(pipe, port, package, count, journal):
    """
    Be the process that is killed; in the end say what was wrong.
    """
    items = whole_batch(package, port, count, journal=journal, max_concurrency=AT_ONCE)
    pipe.send(
        {
            "failed": sum(not item.ok for item in items),
            "lost": count - len(items),
            "out of order": sum(item.index != at for at, item in enumerate(items)),
            "wrong": sum(
                item.ok and item.response.text != f"question {item.index}"
                for item in items
            ),
        }
    )


def held():
    """
    Bytes that this process holds.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # no Linux: the most that it ever held
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize()


def be_measured(pipe, port, package, count, journal):
    """
    Be the process of a long batch; tell at each tenth what it holds.
    """
    done = 0

    def note():
        nonlocal done
        done += 1
        if done % (count // 10) == 0:
            pipe.send((done, held(), time.process_time()))

    options = {"journal": journal, "max_concurrency": 16}
    if package == "ai_lib":
        with ai_lib.AiClient("openai", **settings(port)) as client:
            for item in client.chat_completion_batch_iter(requests(count), **options):
                item.unwrap()
                note()
        return

    async def main():
        async with ai_lib_async.AiClient("openai", **settings(port)) as client:
            run = client.chat_completion_batch_iter(requests(count), **options)
            async for item in run:
                item.unwrap()
                note()

    asyncio.run(main())


def be_wide(pipe, port, package, rounds):
    """
    Be the process of wide batches; tell how long each took.
    """

    def timed(run):
        began, worked = time.perf_counter(), time.process_time()
        items = run()
        took = time.perf_counter() - began, time.process_time() - worked
        pipe.send((*took, all(item.ok for item in items)))

    if package == "ai_lib":
        with ai_lib.AiClient("openai", **settings(port)) as client:
            for _ in range(rounds):
                timed(
                    lambda: client.chat_completion_batch(
                        list(requests(500)), max_concurrency=50
                    )
                )
        return

    async def main():
        async with ai_lib_async.AiClient("openai", **settings(port)) as client:
            for _ in range(rounds):
                began, worked = time.perf_counter(), time.process_time()
                items = await client.chat_completion_batch(
                    list(requests(500)), max_concurrency=50
                )
                took = time.perf_counter() - began, time.process_time() - worked
                pipe.send((*took, all(item.ok for item in items)))

    asyncio.run(main())


# The figures


def kills(package, options):
    """
    Kill a batch again and again; tell whether nothing was lost, wrong or paid twice.
    """
    count, chance = options.requests, random.Random(options.seed)
    last = min(count * 19 // 20, count - 2 * AT_ONCE - 1)
    moments = sorted(chance.sample(range(count // 20, last), options.kills))
    kept_at = []
    with tempfile.TemporaryDirectory() as folder, Serving(faults=True) as server:
        journal = str(Path(folder, "run.jsonl"))
        for moment in moments:
            server.ask(moment + 2 * AT_ONCE)  # so that it cannot be done before
            child, _ = server.child(be_killed, package, count, journal)
            while server.ask("count") < moment and child.is_alive():
                time.sleep(0.002)
            child.kill()
            child.join()
            killed = child.exitcode == -signal.SIGKILL
            paid = len(server.ask("paid"))
            kept = {item.index for item in read_journal(journal) if item.ok}
            kept_at.append((paid, kept, killed))
        server.ask(float("inf"))
        began = time.monotonic()
        child, pipe = server.child(be_killed, package, count, journal)
        wrong = pipe.recv()
        child.join()
        seconds = time.monotonic() - began
        paid = server.ask("paid")
    again = sum(
        int(text.split()[1]) in kept for at, kept, _ in kept_at for text in paid[at:]
    )
    times = Counter(paid)
    wrong["never asked"] = count - len(times)
    wrong["paid again though in the journal"] = again
    wrong["not killed"] = sum(not killed for _, _, killed in kept_at)
    twice = sum(times.values()) - len(times)
    print(
        f"{package}: {count:,} requests, killed when {', '.join(map(str, moments))} were paid;"
        f" the last run {seconds:.1f} s"
    )
    print(
        f"  paid {len(paid):,}: {twice} twice, under way at one of {options.kills} kills ({AT_ONCE} at once)"
    )
    print("  " + ", ".join(f"{what} {number}" for what, number in wrong.items()))
    return not any(wrong.values()) and twice <= 2 * AT_ONCE * options.kills


def memory(package, options, *, journal):
    """
    Work a long batch off; tell whether memory stays flat.
    """
    seen, count = [], options.count
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, Serving() as server:
        path = str(Path(folder, "run.jsonl")) if journal else None
        child, pipe = server.child(be_measured, package, count, path)
        began = time.monotonic()
        for _ in range(10):
            seen.append(pipe.recv())
            if count >= 10**5:
                done, size, cpu = seen[-1]
                print(
                    f"  {done:>9,} {size / 2**20:7.1f} MiB {cpu:7.0f} s of CPU",
                    flush=True,
                )
        child.join()
        seconds = time.monotonic() - began
    (first, low, _), (last, high, cpu) = seen[1], seen[-1]
    grown = (high - low) / (last - first)
    print(
        f"{package}, {'with a' if journal else 'no'} journal: {count:,} requests in {seconds:.0f} s,"
        f" {1e3 * cpu / count:.2f} ms of CPU each; {low / 2**20:.1f} MiB at {first:,},"
        f" {high / 2**20:.1f} MiB at the end: {grown:.1f} bytes for an item",
        flush=True,
    )
    return grown < MOST_BYTES


def wide(package, options):
    """
    Ask many at once; tell whether it takes little more than at best.
    """
    with Serving(0.05) as server:
        child, pipe = server.child(be_wide, package, options.rounds)
        rounds = [pipe.recv() for _ in range(options.rounds)]
        child.join()
    ratios = [seconds / 0.5 for seconds, _, _ in rounds]
    median = statistics.median(ratios)
    cpu = statistics.median(worked for _, worked, _ in rounds)
    print(
        f"{package}: 500 requests of 50 ms, 50 at once: {median:.2f} of the best"
        f" ({', '.join(f'{one:.2f}' for one in ratios)}), {1e3 * cpu / 500:.2f} ms of CPU each"
    )
    return median <= MOST_TIME and all(fine for *_, fine in rounds)


def main():
    """
    Run what is asked for.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--only", default="kills,memory,wide")
    parser.add_argument("--package", choices=PACKAGES, help="by default both")
    parser.add_argument("--requests", type=int, default=10_000, help="of kills")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=3, help="of the moments of kills")
    parser.add_argument("--count", type=int, default=20_000, help="of memory")
    parser.add_argument("--folder", help="of memory's journal")
    journal = parser.add_mutually_exclusive_group()
    journal.add_argument("--journal", action="store_true", help="memory with it alone")
    journal.add_argument("--no-journal", action="store_true", help="or without alone")
    parser.add_argument("--rounds", type=int, default=7, help="of wide")
    options = parser.parse_args()
    packages = [options.package] if options.package else PACKAGES
    parts = options.only.split(",")
    fine = []
    for package in packages:
        if "kills" in parts:
            fine.append(kills(package, options))
        if "memory" in parts:
            fine += [
                memory(package, options, journal=with_one)
                for with_one in (False, True)
                if not (options.no_journal if with_one else options.journal)
            ]
        if "wide" in parts:
            fine.append(wide(package, options))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
