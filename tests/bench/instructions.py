"""Instruction counts under callgrind, a tool of valgrind (Linux, macOS): the one figure that a busy machine can't move."""

from __future__ import annotations

import concurrent.futures
import os
import re
import shutil

from tests.bench.bed import Bed
from tests.bench.figures import Row
from tests.bench.processes import JobFailed
from tests.bench.setup import Setup

CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--trace-children=no")
COLLECTED = re.compile(r"^==\d+== Collected : (\d+)", re.MULTILINE)
FEW, MORE = 30, 200
"""A number of GETs, and how many more (in a full run) are done a second time; the difference is free of the start."""


def installed() -> bool:
    """Whether valgrind is there."""
    return shutil.which(CALLGRIND[0]) is not None


def counted(bed: Bed, client: str, job: str, number: int = 1) -> int:
    """Instructions of one process from its start to its end; the hash seed is fixed, so that dicts are the same each time."""
    if job == "get":
        # Over http the roots play no part: one of them instead of all saves most of what callgrind would have to follow.
        bed = bed._replace(setup=Setup(bed.setup.https, bed.setup.http, bed.setup.ca, bed.setup.ca))
    bed.fresh(client, job)  # what this imports only when it needs it is compiled by now
    errors = bed.fresh(client, job, number, prefix=CALLGRIND, PYTHONHASHSEED="0")[1]
    found = COLLECTED.search(errors)
    if not found:
        raise JobFailed(f"callgrind gave no count for {client}, {job}")
    return int(found.group(1))


def rows(bed: Bed) -> list[Row]:
    """Instructions of one kept-alive GET over http and of a cold start with a token; in a full run also with a sign-in.

    Counts do not depend on the pace, so as many processes run at a time as there are cores.
    """
    more = bed.plan.number(MORE)
    starts = ["token", "sign-in"] if bed.plan.scale >= 1 else ["token"]
    jobs = [(name, 1) for name in starts] + [("get", FEW), ("get", FEW + more)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        counting = {(client, *job): pool.submit(counted, bed, client, *job) for client in bed.clients for job in jobs}
        counts = {key: future.result() for key, future in counting.items()}
    one_get = {client: [(counts[client, "get", FEW + more] - counts[client, "get", FEW]) / more] for client in bed.clients}
    found = [Row("instructions/get", "instructions: kept-alive GET, http", "M", True, "1.00 (goal 0.90)", one_get)]
    for name in starts:
        samples = {client: [float(counts[client, name, 1])] for client in bed.clients}
        found.append(Row(f"instructions/{name}", f"instructions: cold start, {name}", "M", True, "1.05", samples))
    return found
