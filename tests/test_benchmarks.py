"""
The shown benchmarks run; what they measure is not judged here, but for what must be nought.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
