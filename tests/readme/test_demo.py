"""`make demo` in a process of its own: its table is the first thing that a new user sees."""

from __future__ import annotations

import subprocess
import sys

from esri_http.demo_cases import CASES


def test_the_demo_signs_in_every_way_and_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "esri_http", "demo"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = done.stdout.partition("\n---")[2].splitlines()[1:]
    assert [row[: len(case.scheme)] for row, case in zip(rows, CASES)] == [case.scheme for case in CASES]
    assert all(row.split()[-2] == "355" for row in rows[: len(CASES)])
    assert f"All {len(CASES)} worked." in done.stdout
    assert done.stderr == ""
