"""
The shown benchmarks run; what they measure is not judged here, but for what must be nought.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import performance_table
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="needs a checkout")
def test_nothing_hangs_or_is_lost_among_faults():
    """
    A small workload with faults ends with every call answered or in a right error, in both packages.
    """
    command = [sys.executable, str(BENCHMARKS / "faults.py")]
    command += ["--calls", "120", "--streams", "40", "--at-once", "20"]

    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False
    )

    assert 0 == ended.returncode, ended.stdout + ended.stderr
    assert 2 == ended.stdout.count("hung 0, lost 0, wrong 0, connections left 0")


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="needs a checkout")
def test_five_kills_among_faults_lose_nothing_and_pay_nothing_twice():
    """
    A small batch with faults that is killed five times at seeded moments ends with every request answered once, in order, and
    pays again for nothing that was kept; in both packages.
    """
    command = [sys.executable, str(BENCHMARKS / "batches.py")]
    command += ["--only", "kills", "--requests", "300", "--kills", "5"]

    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False
    )

    assert 0 == ended.returncode, ended.stdout + ended.stderr
    right = "failed 0, lost 0, out of order 0, wrong 0, never asked 0, paid again"
    assert 2 == ended.stdout.count(right)


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="needs a checkout")
def test_page_says_what_is_promised():
    """
    The table of targets on the page about performance is the one that the benchmark checks.
    """
    expected = performance_table.page()

    assert expected == performance_table.PAGE.read_text("utf-8"), (
        performance_table.COMMAND
    )
