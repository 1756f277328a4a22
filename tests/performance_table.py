"""
Write the table of targets in ``docs/performance.md`` from the benchmark's: ``python tests/performance_table.py``.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path

COMMAND = "made anew by: python tests/performance_table.py"
ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "performance.md"
TARGETS = ROOT / "benchmarks" / "targets.py"

_HEAD = "| what | of | against | target |\n| --- | --- | --- | --- |\n"


def page():
    """
    Write the page, its table anew.
    """
    rows = "".join(map(_row, runpy.run_path(str(TARGETS))["TARGETS"]))
    table = re.compile(re.escape(_HEAD) + r"(?:\|.*\n)*")
    return table.sub(lambda _: _HEAD + rows, PAGE.read_text("utf-8"), count=1)


def _row(target):
    against = f"`{target.against}`" if target.against else ""
    if target.over:
        against += f" at {target.over}"
    bound = f"{target.bound:,.0f}" if target.bound >= 100 else f"{target.bound:.3g}"
    cells = (
        target.words,
        f"`{target.contender}`",
        against,
        f"≤ {bound} {target.unit}".strip(),
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
