"""
One measurement of one contender, in a process of its own: ``measure.py PART CONTENDER URL``.

``run.py`` starts it, and reads the figures that it prints. Whatever only measuring needs is imported
inside the functions, since some parts measure what an import costs.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

Figures = dict[str, float]


def cpu() -> float:
    """
    Give the CPU time of this process so far, user's and system's, in µs.
    """
    from time import process_time

    return process_time() * 1e6


def now() -> float:
    """
    Give the time of a clock that the server reads too, in µs.
    """
    from time import monotonic

    return monotonic() * 1e6


def settle() -> None:
    """
    Let the garbage of what came before be collected before what is measured.
    """
    import gc

    gc.collect()


# Blocking


def cold(make: Callable[[str], Any], url: str) -> Figures:
    """
    Make a client and ask once; who started this process measures all of it.
    """
    client = make(f"{url}/call/0/v1")
    client.call()
    client.close()
    return {}


def construction(make: Callable[[str], Any], url: str) -> Figures:
    """
    Make the first client of a process, and others.
    """
    begin = cpu()
    clients = [make(f"{url}/call/0/v1")]
    first = cpu() - begin
    begin = cpu()
    clients += [make(f"{url}/call/0/v1") for _ in range(200)]
    return {"first": first, "next": (cpu() - begin) / 200}


def call(make: Callable[[str], Any], url: str) -> Figures:
    """
    Ask many times, one after another.
    """
    client = make(f"{url}/call/0/v1")
    for _ in range(50):
        client.call()
    settle()
    begin = cpu()
    for _ in range(1000):
        client.call()
    spent = cpu() - begin
    client.close()
    return {"cpu": spent / 1000}


def stream(make: Callable[[str], Any], url: str) -> Figures:
    """
    Read long streams that come as fast as they can.
    """
    figures = {}
    for framing in ("chunked", "sized"):
        read(make(f"{url}/stream/1000/0/{framing}/v1"), 1000)
        client = make(f"{url}/stream/10000/0/{framing}/v1")
        settle()
        begin = cpu()
        read(client, 10_000)
        figures[framing] = (cpu() - begin) / 10_000
        client.close()
    return figures


def read(client: Any, count: int) -> None:
    """
    Read a stream, and see that all of it came.
    """
    pieces = [text for text in client.stream() if text]
    assert len(pieces) == count, f"{len(pieces)} of {count} pieces came"


def first(make: Callable[[str], Any], url: str) -> Figures:
    """
    Wait for the first word of short streams.
    """
    from statistics import median

    client = make(f"{url}/stream/10/0/chunked/v1")
    read(client, 10)
    waits = []
    for _ in range(200):
        begin = now()
        pieces: Iterator[str] = client.stream()
        while not next(pieces):
            pass
        waits.append(now() - begin)
        for _ in pieces:
            pass
    client.close()
    return {"wait": median(waits)}


def latency(make: Callable[[str], Any], url: str) -> Figures:
    """
    Read a stream with a chunk every 5 ms, and see how old each one is.
    """
    from statistics import median

    figures = {}
    for framing in ("chunked", "sized"):
        client = make(f"{url}/stream/200/5/{framing}/v1")
        ages = [now() - float(text) * 1e6 for text in client.stream() if text]
        figures[framing] = median(ages)
        client.close()
    return figures


def threads(make: Callable[[str], Any], url: str) -> Figures:
    """
    Ask 500 times for what takes 50 ms, on 50 threads with one client.
    """
    from concurrent.futures import ThreadPoolExecutor

    client = make(f"{url}/call/50/v1")
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda _: client.call(), range(50)))
        begin = now()
        list(pool.map(lambda _: client.call(), range(500)))
        spent = now() - begin
    client.close()
    return {"ideal": spent / (500 * 50_000 / 50)}


def memory(make: Callable[[str], Any], url: str) -> Figures:
    """
    See what a long stream and many calls leave behind, in bytes.
    """
    import gc
    import tracemalloc

    def kept() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    read(make(f"{url}/stream/1000/0/chunked/v1"), 1000)
    client = make(f"{url}/call/0/v1")
    for _ in range(200):
        client.call()
    tracemalloc.start()
    before = kept()
    for _ in range(5000):
        client.call()
    calls = kept() - before
    client.close()
    client = make(f"{url}/stream/100000/0/chunked/v1")
    before = kept()
    tracemalloc.reset_peak()
    size = sum(len(text) for text in client.stream())
    peak = tracemalloc.get_traced_memory()[1] - before - size
    return {"calls": calls, "stream": peak}


# Async


async def many(
    client: Any, action: Callable[[Any], Awaitable[object]], count: int, at_once: int
) -> None:
    """
    Do something often, so many times at once.
    """
    import asyncio

    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await action(client)

    await asyncio.gather(*[work() for _ in range(at_once)])


async def asking(make: Callable[[str], Any], url: str) -> Figures:
    """
    Ask for what takes 50 ms, 50 times at once and 500 times.
    """
    figures = {}
    for at_once, count in ((50, 500), (500, 1000)):
        client = make(f"{url}/call/50/v1")
        await many(client, lambda one: one.call(), at_once, at_once)
        settle()
        begin = cpu()
        await many(client, lambda one: one.call(), count, at_once)
        figures[f"{at_once}"] = (cpu() - begin) / count
        await client.close()
    return figures


async def streaming(make: Callable[[str], Any], url: str) -> Figures:
    """
    Read 200 streams of 200 chunks at once, each chunk sent for itself.
    """
    client = make(f"{url}/stream/200/single/chunked/v1")

    async def take(one: Any) -> None:
        pieces: AsyncIterator[str] = one.stream()
        count = len([text async for text in pieces if text])
        assert count == 200, f"{count} of 200 pieces came"

    await many(client, take, 20, 20)
    settle()
    begin = cpu()
    await many(client, take, 200, 200)
    spent = cpu() - begin
    await client.close()
    return {"cpu": spent / 200 / 200}


async def async_cold(make: Callable[[str], Any], url: str) -> Figures:
    """
    Make a client and ask once; who started this process measures all of it.
    """
    client = make(f"{url}/call/0/v1")
    await client.call()
    await client.close()
    return {}


async def async_construction(make: Callable[[str], Any], url: str) -> Figures:
    """
    Make the first client of a process, and others.
    """
    return construction(make, url)


ACTIONS: dict[str, Callable[[Callable[[str], Any], str], Any]] = {
    "cold": cold,
    "construction": construction,
    "call": call,
    "stream": stream,
    "first": first,
    "latency": latency,
    "threads": threads,
    "memory": memory,
}
ASYNC_ACTIONS = {
    "cold": async_cold,
    "construction": async_construction,
    "asking": asking,
    "streaming": streaming,
}


def main(part: str, name: str, url: str) -> None:
    """
    Measure, and print the figures.
    """
    if name == "nothing":  # what an interpreter costs that does nothing
        return
    from contenders import ASYNC, BLOCKING

    if name in BLOCKING:
        figures = ACTIONS[part](BLOCKING[name].load(), url)
    else:
        import asyncio

        figures = asyncio.run(ASYNC_ACTIONS[part](ASYNC[name].load(), url))
    for key, value in figures.items():
        print(key, value)


if __name__ == "__main__":
    main(*sys.argv[1:])
