"""
Smart batches against a limit: how close they come to it, how often they are refused, and how soon they find a new one.

    python benchmarks/smart.py [--quick] [--limit 600] [--headers] [--exact]

A server in a process of its own allows so many requests a minute (a bucket that is filled evenly and holds those
of a second), answers each within 50 ms and refuses the rest with 429 and a Retry-After of whole seconds. After a
while the limit is halved, then doubled. Both packages ask for as long, with `chat_completion_batch_smart`, at the same time, each
a server of its own; and then for a minute, beside that, with `chat_completion_batch(max_concurrency=50)`.
It takes five minutes, with `--quick` two, without changes of the limit.

What is promised of smart, and else the exit code is 1: answered at least 90 % of what the limit allows, under 2 %
of the requests refused, and a new limit found within a minute: from then on ten seconds keep both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import multiprocessing
import sys
import threading
import time

import attrs

import ai_lib
import ai_lib_async
from ai_lib import ChatCompletionRequest

#: What is promised: share of the limit, share of refusals, seconds until a new limit is found.
REACHED, REFUSED, FOUND = 0.90, 0.02, 60.0
#: Seconds that an answer takes; seconds by which it is judged whether a limit is found.
ANSWER, WINDOW = 0.05, 10

# The server


@attrs.define
class Bucket:
    """
    What a limit allows: *limit* a minute, evenly, and at once those of a second.
    """

    limit: float
    tokens: float = attrs.Factory(lambda self: self.burst, takes_self=True)
    filled: float = attrs.field(factory=time.monotonic)

    @property
    def burst(self):
        """
        How many it holds.
        """
        return max(1.0, self.limit / 60)

    def take(self):
        """
        Take one; seconds until there is one, 0: it was taken.
        """
        now = time.monotonic()
        more = (now - self.filled) * self.limit / 60
        self.tokens, self.filled = min(self.burst, self.tokens + more), now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) * 60 / self.limit


async def serve(pipe, phases, headers, exact):
    """
    Serve until the pipe says to stop; it is told the port, then when each request came and whether it was answered.

    Args:
        phases: Seconds and limits; the first begins with the first request.

        headers: Whether answers tell what is left.

        exact: Whether refusals tell the milliseconds, too.
    """
    bucket, seen, began = Bucket(phases[0][1]), [], None
    opened = set()

    def limit_now(now):
        left = now - began
        for seconds, limit in phases:
            if left < seconds:
                return limit
            left -= seconds
        return phases[-1][1]

    async def talk(reader, writer):
        nonlocal began
        opened.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length:")[2].split()[0])
                await reader.readexactly(size)
                now = time.monotonic()
                began = began or now
                bucket.limit = limit_now(now)
                wait = bucket.take()
                seen.append((now - began, not wait))
                if not wait:
                    await asyncio.sleep(ANSWER)
                writer.write(answer(bucket, wait, headers=headers, exact=exact))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            opened.discard(writer)
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=512)
    pipe.send(server.sockets[0].getsockname()[1])
    with contextlib.suppress(EOFError):  # who asked is gone
        await asyncio.to_thread(pipe.recv)
        pipe.send(seen)


def answer(bucket, wait, *, headers, exact):
    """
    Write an answer, or a refusal.
    """
    more = ""
    if headers:
        full = (bucket.burst - bucket.tokens) * 60 / bucket.limit
        more = (
            f"x-ratelimit-limit-requests: {bucket.limit:.0f}\r\n"
            f"x-ratelimit-remaining-requests: {int(bucket.tokens)}\r\n"
            f"x-ratelimit-reset-requests: {full:.3f}s\r\n"
        )
    if wait:
        status, said = "429 Too Many Requests", {"error": {"message": "slow down"}}
        more += f"retry-after: {math.ceil(wait)}\r\n"
        if exact:
            more += f"retry-after-ms: {1000 * wait:.0f}\r\n"
    else:
        message = {"role": "assistant", "content": "Yes."}
        status, said = "200 OK", {"choices": [{"index": 0, "message": message}]}
    body = json.dumps(said)
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def run_server(pipe, phases, headers, exact):
    """
    Be the server's process.
    """
    asyncio.run(serve(pipe, phases, headers, exact))


# The clients


def questions(seconds):
    """
    Ask for so long.
    """
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield ChatCompletionRequest("m", f"question {number}")
        number += 1


def settings(port):
    """
    The keywords of both clients.
    """
    return {
        "api_key": "a-key-of-the-benchmark",
        "base_url": f"http://127.0.0.1:{port}/v1",
    }


def run_blocking(port, seconds, fixed):
    """
    Ask with threads; give how many failed.
    """
    with ai_lib.AiClient("openai", **settings(port)) as client:
        if fixed:
            items = client.chat_completion_batch(
                questions(seconds), max_concurrency=fixed
            )
        else:
            items = client.chat_completion_batch_smart(questions(seconds))
    return sum(not item.ok for item in items)


def run_async(port, seconds, fixed):
    """
    Ask with tasks; give how many failed.
    """

    async def main():
        async with ai_lib_async.AiClient("openai", **settings(port)) as client:
            if fixed:
                return await client.chat_completion_batch(
                    questions(seconds), max_concurrency=fixed
                )
            return await client.chat_completion_batch_smart(questions(seconds))

    return sum(not item.ok for item in asyncio.run(main()))


def run_client(pipe, package, port, seconds, fixed):
    """
    Be a client's process.
    """
    run = {"ai_lib": run_blocking, "ai_lib_async": run_async}[package]
    pipe.send(run(port, seconds, fixed))


# The figures


@attrs.define
class Case:
    """
    One package, one way of asking; *fixed* at once, or smart.
    """

    package: str
    fixed: int | None
    headers: bool = False
    exact: bool = False
    seen: list = attrs.field(factory=list)
    failed: int = 0

    @property
    def name(self):
        """
        What it is called in the table.
        """
        way = f"{self.fixed} at once" if self.fixed else "smart"
        return f"{self.package}, {way}{', headers' if self.headers else ''}"

    def run(self, phases):
        """
        Ask a server of its own for as long as the phases take.
        """
        context = multiprocessing.get_context("spawn")
        to_server, theirs = context.Pipe()
        server = context.Process(
            target=run_server, args=(theirs, phases, self.headers, self.exact)
        )
        server.start()
        to_client, its = context.Pipe()
        seconds = sum(seconds for seconds, _ in phases)
        work = (its, self.package, to_server.recv(), seconds, self.fixed)
        client = context.Process(target=run_client, args=work)
        client.start()
        try:
            self.failed = to_client.recv()
            to_server.send("stop")
            self.seen = to_server.recv()
        finally:
            client.join(5)
            client.kill()
            server.kill()


def counts(seen, since, until):
    """
    Count what was answered and what was refused in some seconds.
    """
    inside = [fine for at, fine in seen if since <= at < until]
    return sum(inside), len(inside) - sum(inside)


def found_after(seen, since, until, limit):
    """
    Seconds after which ten seconds come close to the limit, and are hardly refused; ``None``: never.
    """
    for second in range(int(since), int(until) - WINDOW + 1):
        fine, refused = counts(seen, second, second + WINDOW)
        if fine >= REACHED * limit / 60 * WINDOW and refused <= max(1, REFUSED * fine):
            return second - since
    return None


def tell(case, phases):
    """
    Print a case's rows; whether it kept what is promised.
    """
    since, kept = 0.0, True
    for number, (seconds, limit) in enumerate(phases):
        until = since + seconds
        fine, refused = counts(case.seen, since, until)
        reached = fine / (limit / 60 * seconds)
        share = refused / max(1, fine + refused)
        found = found_after(case.seen, since, until, limit)
        row_kept = found is not None and found <= FOUND and share < REFUSED
        if number == 0:  # a change costs what it takes to find it
            row_kept = row_kept and reached >= REACHED
        kept = kept and row_kept
        told = "never" if found is None else f"{found:.0f} s"
        print(
            f"{case.name if not number else '':36}{limit:7.0f}{60 * fine / seconds:10.0f}"
            f"{reached:9.1%}{share:9.2%}{told:>8}{case.failed if not number else '':>8}"
            f"  {'' if case.fixed else 'kept' if row_kept else 'MISSED'}"
        )
        since = until
    return kept


def run_all(cases, phases):
    """
    Run cases at the same time.
    """
    threads = [threading.Thread(target=case.run, args=(phases,)) for case in cases]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def main():
    """
    Run every case at once, and print the table.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a minute, one limit")
    parser.add_argument("--limit", type=float, default=600.0)
    parser.add_argument("--headers", action="store_true", help="answers tell the limit")
    parser.add_argument(
        "--exact", action="store_true", help="refusals tell the milliseconds"
    )
    options = parser.parse_args()
    phases = [(60, options.limit)]
    if not options.quick:
        phases += [(90, options.limit / 2), (90, options.limit)]
    told = {"headers": options.headers, "exact": options.exact}
    packages = ("ai_lib", "ai_lib_async")
    smart = [Case(package, None, **told) for package in packages]
    fixed = [Case(package, 50, **told) for package in packages]
    run_all(smart, phases)
    run_all(fixed, phases[:1])
    print(
        f"{'':36}{'limit':>7}{'answered':>10}{'reached':>9}{'refused':>9}{'found':>8}{'failed':>8}"
        "    (a minute; of the limit; of the requests; after; items)"
    )
    kept = [tell(case, phases) for case in smart]
    for case in fixed:
        tell(case, phases[:1])
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
