"""
Measure everything and compare it with what is promised: ``python benchmarks/run.py``.

Each contender is measured in a fresh process against the same server in another one, and they take turns:
what else the machine does meets all of them. See README.md for how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from contenders import ASYNC, BLOCKING
from footprint import footprint
from targets import TARGETS, Round

_HERE = Path(__file__).parent
_ALL = BLOCKING | ASYNC
#: What would change what is measured, or where requests go.
_UNSET = {"PYTHONDONTWRITEBYTECODE", "PYTHONDEVMODE", "PYTHONPROFILEIMPORTTIME"}


class Part(NamedTuple):
    """
    One part of the benchmark.

    Attributes:
        words: What is measured, and in what unit.

        contenders: Who takes part.

        action: What ``measure.py`` calls it, where that is something else.

        whole: Whether the CPU time of the whole process is what counts, less a bare interpreter's.

        once: Who is measured in the first round only, being slow and there for comparison.
    """

    words: str
    contenders: list[str]
    action: str = ""
    whole: bool = False
    once: tuple[str, ...] = ("litellm", "litellm, async")


PARTS = {
    "import": Part(
        "import, µs of CPU over a bare interpreter",
        ["ai_lib", "ai_lib_async", "requests", "httpx", "openai", "litellm"],
        whole=True,
    ),
    "cold": Part(
        "import, client and first reply, µs of CPU over a bare interpreter",
        [*BLOCKING, "ai_lib_async", "httpx, async", "openai, async"],
        whole=True,
    ),
    "construction": Part(
        "making a client, µs of CPU",
        ["ai_lib", "ai_lib_async", "requests", "httpx", "openai", "openai, async"],
    ),
    "call": Part("a blocking call, µs of CPU", [*BLOCKING]),
    "stream": Part("a blocking stream, µs of CPU a chunk", [*BLOCKING]),
    "first": Part("time to first token, µs", [*BLOCKING]),
    "latency": Part("age of a chunk when it is read, µs", [*BLOCKING]),
    "threads": Part(
        "500 calls of 50 ms on 50 threads, times what is ideal",
        ["ai_lib", "requests", "httpx", "openai", "litellm"],
    ),
    "async": Part(
        "async calls of 50 ms, 50 and 500 at once, µs of CPU a call",
        [*ASYNC],
        action="asking",
        once=("httpx, async", "litellm, async"),
    ),
    "streams": Part(
        "200 async streams of 200 chunks at once, µs of CPU a chunk",
        [*ASYNC],
        action="streaming",
        once=("httpx, async", "litellm, async"),
    ),
    "memory": Part(
        "bytes kept: most at any time of a stream of 100,000 chunks beyond its text; after 5,000 calls",
        ["ai_lib"],
        once=("ai_lib",),
    ),
    "installed": Part("distributions and MB, extras left out", ["ai_lib", "openai"]),
}

_IMPORT = """
import sys
import {module}
http = {{"requests", "urllib3", "httpx", "httpcore", "aiohttp"}}
print("loaded", len(http & sys.modules.keys()))
"""
_DISTRIBUTIONS = {
    "ai_lib": ("ai-lib", "ai_lib", "ai_lib_async"),
    "openai": ("openai",),
}


def environment() -> dict[str, str]:
    """
    Give the environment of what is measured: no proxies, compiled files kept.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _UNSET and not name.lower().endswith("_proxy")
    }


@contextmanager
def canned_server() -> Iterator[str]:
    """
    Run the server, and give its address.
    """
    with subprocess.Popen(
        [sys.executable, str(_HERE / "server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.communicate()  # closes its input, at which it ends


def run(*arguments: str) -> tuple[dict[str, float], float]:
    """
    Run Python.

    Returns:
        The figures that it printed, and the CPU time that it took, in µs.

    Raises:
        RuntimeError: It failed.
    """
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        printed, said = child.stdout.read(), child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(said.strip().rpartition("\n")[2] or "it failed")
    figures = {}
    for line in printed.splitlines():
        name, _, value = line.partition(" ")
        figures[name] = float(value)
    return figures, (usage.ru_utime + usage.ru_stime) * 1e6


def measured(name: str, part: Part, contender: str, url: str) -> dict[str, float]:
    """
    Measure one contender once.
    """
    if name == "installed":
        return footprint(*_DISTRIBUTIONS[contender])
    if name == "import":
        figures, spent = run("-c", _IMPORT.format(module=contender))
    else:
        script = str(_HERE / "measure.py")
        figures, spent = run(script, part.action or name, contender, url)
    if part.whole:
        figures["cpu"] = spent - run("-c", "pass")[1]
    return figures


def rounds_of(name: str, count: int, url: str) -> list[Round]:
    """
    Measure one part, the contenders in turns.
    """
    part = PARTS[name]
    installed = [one for one in part.contenders if _ALL[one].installed]
    rounds: list[Round] = []
    failed: set[str] = set()
    for number in range(1 if name == "installed" else count):
        figures: Round = {}
        for contender in installed[:: -1 if number % 2 else 1]:
            if contender in failed or (number and contender in part.once):
                continue
            note(f"{name}, round {number + 1} of {count}: {contender}")
            try:
                figures[contender] = measured(name, part, contender, url)
            except RuntimeError as error:
                failed.add(contender)
                note(f"{name}: {contender} is left out: {error}", stay=True)
        rounds.append(figures)
    return rounds


def note(words: str, *, stay: bool = False) -> None:
    """
    Say on standard error what is going on.
    """
    if stay or sys.stderr.isatty():
        end = "\n" if stay else "\r"
        print(f"{words:<79}", end=end, file=sys.stderr, flush=True)


# Tables


def print_table(rows: list[list[str]]) -> None:
    """
    Print rows, the first of them the head, as Markdown.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("|", " | ".join(cells), "|")
        if not number:
            print("|", " | ".join("-" * width for width in widths), "|")


def written(value: float | None) -> str:
    """
    Write a figure with three digits that mean something.
    """
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def print_figures(name: str, rounds: list[Round]) -> None:
    """
    Print the medians of one part.
    """
    names = list(
        dict.fromkeys(key for one in rounds for row in one.values() for key in row)
    )
    rows = [["", *names]]
    for contender in PARTS[name].contenders:
        found = [one[contender] for one in rounds if contender in one]
        if found:
            rows.append(
                [
                    contender,
                    *(written(median(one[key] for one in found)) for key in names),
                ]
            )
    print(f"\n{name}: {PARTS[name].words}\n")
    print_table(rows)


def print_targets(results: dict[str, list[Round]]) -> bool:
    """
    Print what is promised of the parts that were measured, and tell whether all of it is kept.
    """
    kept = True
    rows = [["", "of", "against", "measured", "rounds", "target", "", "stretch"]]
    for one in TARGETS:
        if one.part not in results:
            continue
        values = one.values(results[one.part])
        value = one.value(results[one.part])
        met = value is not None and value <= one.bound
        needed = all(_ALL[who].installed for who in (one.contender, one.against) if who)
        kept = kept and (met or not needed)
        spread = f"{written(min(values))} to {written(max(values))}" if values else ""
        rows.append(
            [
                one.words,
                one.contender,
                f"{one.against} at {one.over}" if one.over else one.against,
                written(value),
                spread if len(values) > 1 else "",
                f"≤ {written(one.bound)} {one.unit}".strip(),
                ("met" if met else "NOT MET") if values else "not measured",
                written(one.stretch) if one.stretch else "",
            ]
        )
    print("\nTargets\n")
    print_table(rows)
    return kept


def arguments() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only",
        metavar="PART,…",
        help=f"of {', '.join(PARTS)}",
        type=lambda words: words.split(","),
        default=list(PARTS),
    )
    parser.add_argument("--rounds", type=int, default=5, help="%(default)s by default")
    parser.add_argument(
        "--json", action="store_true", help="print every figure of every round"
    )
    given = parser.parse_args()
    unknown = set(given.only) - PARTS.keys()
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return given


def main() -> int:
    """
    Measure what was asked for; 1: a target is not met.
    """
    given = arguments()
    with canned_server() as url:
        results = {name: rounds_of(name, given.rounds, url) for name in given.only}
    if given.json:
        print(json.dumps(results, indent=1))
        return 0
    for name, rounds in results.items():
        print_figures(name, rounds)
    return 0 if print_targets(results) else 1


if __name__ == "__main__":
    sys.exit(main())
