"""
What is promised: each figure of ours, what it is compared with, and the bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

#: The figures of a round by contender, and then by name.
Round = dict[str, dict[str, float]]


class Target(NamedTuple):
    """
    One promise.

    Attributes:
        part: The part of the benchmark that shows whether it is kept.

        words: What is measured.

        contender: Whose figure it is.

        figure: Which one.

        bound: What it may be at most.

        against: Whose figure it is divided by, the same one; empty: it is taken as it is.

        stretch: What would be better still; 0: nothing is said.

        over: Which figure it is divided by, where that is another one.

        unit: Of a figure that is not a ratio.
    """

    part: str
    words: str
    contender: str
    figure: str
    bound: float
    against: str = ""
    stretch: float = 0
    over: str = ""
    unit: str = "x"

    def values(self, rounds: list[Round]) -> list[float]:
        """
        Compute it for each round in which both were measured.
        """
        return list(self._values(rounds))

    def _values(self, rounds: list[Round]) -> Iterator[float]:
        for one in rounds:
            value = one.get(self.contender, {}).get(self.figure)
            base = one.get(self.against, {}).get(self.over or self.figure)
            if value is not None and not self.against:
                yield value
            elif value is not None and base is not None:
                yield value / base

    def value(self, rounds: list[Round]) -> float | None:
        """
        Give the median of the rounds; ``None``: it was not measured.
        """
        values = self.values(rounds)
        return median(values) if values else None


_OURS, _ASYNC = "ai_lib", "ai_lib_async"
_OPENAI = "openai, async"

TARGETS = [
    Target("import", "import ai_lib", _OURS, "cpu", 50_000, unit="µs"),
    Target("import", "import ai_lib", _OURS, "cpu", 0.5, "requests", 0.4),
    Target("import", "import ai_lib_async", _ASYNC, "cpu", 50_000, unit="µs"),
    Target("import", "import ai_lib_async", _ASYNC, "cpu", 0.5, "requests", 0.4),
    Target("import", "HTTP libraries loaded", _OURS, "loaded", 0, unit=""),
    Target("import", "HTTP libraries loaded", _ASYNC, "loaded", 0, unit=""),
    Target("cold", "cold start to first reply", _OURS, "cpu", 0.25, "openai"),
    Target("cold", "cold start, async", _ASYNC, "cpu", 0.25, _OPENAI),
    Target("construction", "first client", _OURS, "first", 300, unit="µs"),
    Target("construction", "next client", _OURS, "next", 50, unit="µs"),
    Target("construction", "first client, async", _ASYNC, "first", 300, unit="µs"),
    Target("construction", "next client, async", _ASYNC, "next", 50, unit="µs"),
    Target("call", "a call", _OURS, "cpu", 0.75, "requests", 0.65),
    Target("call", "a call", _OURS, "cpu", 0.30, "openai"),
    Target("stream", "a chunk", _OURS, "chunked", 1.1, "requests", 0.6),
    Target("stream", "a chunk", _OURS, "chunked", 0.075, "openai"),
    Target("stream", "a chunk, not chunked", _OURS, "sized", 1.1, "requests", 0.6),
    Target("stream", "a chunk, not chunked", _OURS, "sized", 0.075, "openai"),
    Target("first", "first token", _OURS, "wait", 1.1, "requests", 0.8),
    Target("first", "first token", _OURS, "wait", 0.3, "openai"),
    Target("latency", "latency of a chunk", _OURS, "chunked", 0.5, "openai"),
    Target("latency", "the same, not chunked", _OURS, "sized", 0.5, "openai"),
    Target("latency", "the same, not chunked", _OURS, "sized", 1.5, "http.client"),
    Target("threads", "500 calls on 50 threads", _OURS, "ideal", 1.3),
    Target("async", "50 at once", _ASYNC, "50", 0.3, _OPENAI, 0.25),
    Target("async", "500 at once", _ASYNC, "500", 0.25, _OPENAI, 0.15),
    Target("async", "500 at once", _ASYNC, "500", 1.3, _ASYNC, over="50"),
    Target("streams", "200 streams at once", _ASYNC, "cpu", 0.25, _OPENAI, 0.1),
    Target("memory", "100,000 chunks", _OURS, "stream", 1_000_000, unit="bytes"),
    Target("memory", "5,000 calls", _OURS, "calls", 64_000, unit="bytes"),
    Target("installed", "distributions", _OURS, "distributions", 16, unit=""),
    Target("installed", "installed", _OURS, "size", 6, unit="MB"),
]
