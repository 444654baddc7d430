"""``python -m tests.bench``: run the measurements, print the table. What the figures are changes nothing about the
exit status: 1 only says that something could not be measured.

Options: ``--quick`` (less of everything, under 90 s), ``--only NAME`` (again for more), ``--rounds N``, ``--json FILE``,
``--no-callgrind``, ``--server auto|nginx|own``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import ssl
import sys
import time
from collections.abc import Sequence
from typing import Any

from tests.bench.bed import CLIENTS, FULL, QUICK, Bed, Plan, make_bed
from tests.bench.figures import summary, table
from tests.bench.measurements import MEASUREMENTS
from tests.bench.processes import JobFailed
from tests.bench.servers import CannotStart


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Compare esri_http with its peers.")
    parser.add_argument("--quick", action="store_true", help="less of everything: under 90 s, ratios off by up to 20 %%")
    parser.add_argument("--only", action="append", choices=list(MEASUREMENTS), metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of every measurement, instead of its own number")
    parser.add_argument("--json", metavar="FILE", help="also write the figures, with all samples, to FILE")
    parser.add_argument("--no-callgrind", action="store_true", help="count no instructions even where valgrind is installed")
    parser.add_argument("--server", choices=("auto", "nginx", "own"), default="auto", help="who answers (auto: nginx if there)")
    options = parser.parse_args(given)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds takes a number from 1")
    return options


def version(name: str) -> str | None:
    """The version of an installed package; None if it is not installed under that name."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def surroundings(bed: Bed, quick: bool) -> dict[str, Any]:
    """What the figures depend on."""
    with open(bed.setup.roots, encoding="utf-8") as roots:
        count = roots.read().count("BEGIN CERTIFICATE")
    return {
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "server": bed.server.description,
        "roots": count,
        "quick": quick,
        "versions": {name: version(name) for name in CLIENTS},
    }


def measure(bed: Bed, names: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The rows of the named measurements, and for each that failed its reason."""
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for name in names:
        started = time.monotonic()
        try:
            rows += [summary(row) for row in MEASUREMENTS[name](bed)]
        except JobFailed as problem:
            failed[name] = str(problem)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    return rows, failed


def report(result: dict[str, Any]) -> str:
    """The result as text: what was measured where, the table, and what is missing from it."""
    around = result["surroundings"]
    versions = ", ".join(f"{name} {number}" for name, number in around["versions"].items() if number)
    lines = [
        f"Python {around['python']}, {around['openssl']}, {around['cores']} cores; {around['roots']} roots",
        f"server: {around['server']}; {versions}",
        "urllib3 absolute, the others as ratios to it within a round: median, ± half the distance between the quartiles;",
        "counts and memory absolute for all",
        "",
        table(result["rows"], result["clients"]),
    ]
    lines += [f"not measured: {client}: {reason}" for client, reason in result["missing"].items()]
    lines += [f"failed: {name}: {reason}" for name, reason in result["failed"].items()]
    return "\n".join(lines)


def plan_of(options: argparse.Namespace) -> Plan:
    """How much to do."""
    plan = QUICK if options.quick else FULL
    return plan._replace(rounds=options.rounds, callgrind=not options.no_callgrind)


def main(given: Sequence[str] | None = None) -> int:
    """Run, print, and write the JSON file if one is asked for; 1 if a measurement or our own client could not be run."""
    options = arguments(given)
    try:
        with make_bed(plan_of(options), options.server) as bed:
            rows, failed = measure(bed, options.only or list(MEASUREMENTS))
            result = {
                "surroundings": surroundings(bed, options.quick),
                "clients": bed.clients,
                "missing": bed.missing,
                "rows": rows,
                "failed": failed,
            }
    except (CannotStart, JobFailed) as problem:
        print(f"the benchmark cannot run: {problem}", file=sys.stderr)
        return 1
    print(report(result))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
    return 1 if failed or "esri_http" in bed.missing else 0


if __name__ == "__main__":
    sys.exit(main())
