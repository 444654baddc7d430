"""The benchmark runs and its result has the promised structure; nothing here looks at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.bed import CLIENTS
from tests.bench.processes import PROJECT

OPTIONS = ("--quick", "--rounds", "1", "--only", "import", "--only", "get", "--server", "own", "--no-callgrind")


def test_a_quick_run_of_two_measurements_gives_figures_for_every_client_and_prints_them(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.bench", *OPTIONS, "--json", str(written)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(written.read_text(encoding="utf-8"))

    assert {*result["clients"], *result["missing"]} == set(CLIENTS)
    assert {"urllib3", "requests", "esri_http"} <= set(result["clients"])
    assert result["failed"] == {}
    rows = {row["name"]: row for row in result["rows"]}
    assert set(rows) == {"import", "import/modules", "import/session", "import/session-modules", "get/http", "get/https"}
    for row in rows.values():
        assert set(row["clients"]) == set(result["clients"])
        assert all(len(figures["samples"]) == 1 and figures["value"] > 0 for figures in row["clients"].values())
        assert row["title"] in done.stdout
    for name in ("import", "import/session", "get/http", "get/https"):
        assert rows[name]["clients"]["urllib3"]["ratio"] == 1.0
        assert all(figures["ratio"] > 0 for figures in rows[name]["clients"].values())
    for name in ("import/session", "get/http", "get/https"):
        assert rows[name]["to_reach"] in done.stdout
        assert rows[name]["to_reach"]
