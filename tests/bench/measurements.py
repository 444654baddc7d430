"""The measurements: each takes the bed and returns rows. ``MEASUREMENTS`` names them all, in the order of the table."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Callable

from tests.bench import instructions
from tests.bench.answers import plain_answers, query_answer
from tests.bench.bed import Bed
from tests.bench.figures import Row
from tests.bench.processes import Worker, run_fresh
from tests.bench.setup import BIG_PATH, ONCE_PATH, QUERY, QUERY_PATH, UPLOAD_PATH

IMPORTS = {
    "urllib3": ("import urllib3", "urllib3.PoolManager()"),
    "requests": ("import requests", "requests.Session()"),
    "httpx": ("import httpx", "httpx.Client()"),
    "esri_http": ("import esri_http", "esri_http.EsriSession()"),
}
"""Client to the line that imports it and the one that makes a session."""

TIMED = "import sys, time; start = time.perf_counter(); {code}; print(time.perf_counter() - start, len(sys.modules))"
WARM_UP_GETS = 3
MEMORY_LIMIT = "< 4 MiB"


def measure_import(bed: Bed) -> list[Row]:
    """Import alone, then import and a session made: seconds within a new process, and modules loaded."""

    def one(client: str) -> dict[str, float]:
        line, session = IMPORTS[client]
        alone = run_fresh(TIMED.format(code=line), [], bed.folder)[0].split()
        both = run_fresh(TIMED.format(code=f"{line}; {session}"), [], bed.folder)[0].split()
        return {"alone": float(alone[0]), "modules": float(alone[1]), "both": float(both[0]), "all modules": float(both[1])}

    samples = bed.rounds(20, one)
    return [
        Row("import", "import", "ms", True, "", samples["alone"]),
        Row("import/modules", "import: modules", "", False, "", samples["modules"]),
        Row("import/session", "import + session made", "ms", True, "1.05", samples["both"]),
        Row("import/session-modules", "import + session made: modules", "", False, "", samples["all modules"]),
    ]


def measure_cold(bed: Bed) -> list[Row]:
    """The whole life of a new process, from its start to its end after the first authenticated answer over https."""

    def one(client: str) -> dict[str, float]:
        figures = {}
        for job in ("token", "sign-in"):
            _, before = bed.server.counts()
            started = time.perf_counter()
            bed.fresh(client, job)
            figures[job] = time.perf_counter() - started
            figures[job + " requests"] = float(bed.server.counts()[1] - before - 1)
        return figures

    samples = bed.rounds(25, one)
    return [
        Row("cold/token", "cold start: process, token, answer", "ms", True, "1.05", samples["token"]),
        Row("cold/sign-in", "cold start: process, sign-in, answer", "ms", True, "1.05", samples["sign-in"]),
        Row("cold/sign-in-requests", "cold start, sign-in: requests", "", False, "2", samples["sign-in requests"]),
    ]


def gets(urls: list[str], count: int, **more: Any) -> dict[str, Any]:
    """The job of ``count`` GETs over ``urls`` in turn."""
    return {"job": "gets", "urls": urls, "count": count, "expected": len(query_answer()), **more}


def per_get(bed: Bed, urls: list[str], full: int, rounds: int) -> dict[str, list[float]]:
    """Seconds for one GET: living workers, connections warm, client and server on one core."""
    count = bed.plan.number(full)
    with bed.workers() as workers, bed.one_core() as core:
        for worker in workers.values():
            worker.run(gets(urls, max(WARM_UP_GETS, len(urls)), core=core))
        job = gets(urls, count, core=core)
        return bed.rounds(rounds, lambda client: {"each": workers[client].run(job)["wall"] / count})["each"]


def measure_get(bed: Bed) -> list[Row]:
    """Kept-alive GET of a small page of features."""
    rows = []
    for scheme, address in (("http", bed.setup.http), ("https", bed.setup.https)):
        samples = per_get(bed, [address + QUERY_PATH + QUERY], 300, 40)
        rows.append(Row(f"get/{scheme}", f"kept-alive GET, {scheme}", "µs", True, "1.00 (goal 0.90)", samples))
    return rows


def measure_tls(bed: Bed) -> list[Row]:
    """A GET on a new TLS connection each: the server closes after every answer."""
    samples = per_get(bed, [bed.setup.https + ONCE_PATH + QUERY], 20, 20)
    return [Row("tls", "new TLS connection + GET", "ms", True, "1.05", samples)]


def measure_origins(bed: Bed) -> list[Row]:
    """GETs to 100 origins in turn."""
    urls = [f"http://127.0.0.1:{port}{QUERY_PATH}{QUERY}" for port in bed.server.origins]
    samples = per_get(bed, urls, 300, 20)
    return [Row("origins", f"{len(urls)} origins in turn, http", "µs", True, "1.05", samples)]


def measure_threads(bed: Bed) -> list[Row]:
    """16 threads on one session, over https: at first use with the connections that it takes, and later."""
    threads, count = 16, max(5, bed.plan.number(60))
    job = gets([bed.setup.https + QUERY_PATH + QUERY], count, threads=threads)
    job["job"] = "threads"

    def one(client: str) -> dict[str, float]:
        with new_worker(bed, client) as worker:
            before, _ = bed.server.counts()
            first = worker.run({**job, "count": 1})
            opened = float(bed.server.counts()[0] - before - 1)
            later = worker.run(job)["wall"] / (threads * count)
            return {"first": first["wall"], "opened": opened, "later": later}

    samples = bed.rounds(12, one)
    return [
        Row("threads", f"{threads} threads, one session, https: a GET", "µs", True, "1.05", samples["later"]),
        Row("threads/first", f"{threads} threads, first use, a GET each", "ms", True, "", samples["first"]),
        Row("threads/connections", f"{threads} threads, first use: connections", "", False, f"<= {threads}", samples["opened"]),
    ]


@contextlib.contextmanager
def new_worker(bed: Bed, client: str) -> Iterator[Worker]:
    """A worker for one round: a stream's pace depends on where a process got its memory, so each round has a new one."""
    worker = Worker(client, bed.setup, bed.folder)
    try:
        worker.run(gets([], 0))
        yield worker
    finally:
        worker.close()


def measure_download(bed: Bed) -> list[Row]:
    """A large body streamed to nowhere in pieces of 64 KiB: CPU seconds, because the clock shows the server."""
    size = bed.plan.download
    rows = []
    for scheme, address in (("http", bed.setup.http), ("https", bed.setup.https)):
        job = {"job": "download", "url": address + BIG_PATH, "expected": size}
        samples = bed.rounds(15, lambda client, address=address, job=job: streamed(bed, client, address, job))  # type: ignore[misc]
        title = f"download {size >> 20} MiB, {scheme}"
        rows.append(Row(f"download/{scheme}", f"{title}: CPU", "ms", True, "1.05", samples["cpu"]))
        rows.append(Row(f"download/{scheme}-time", f"{title}: time", "ms", True, "", samples["wall"]))
    return rows


def measure_upload(bed: Bed) -> list[Row]:
    """A large file as multipart/form-data over http: seconds, CPU, and what memory grows by."""
    size = bed.plan.upload
    url = bed.setup.http + UPLOAD_PATH
    job = {"job": "upload", "url": url, "path": bed.upload, "expected": len(plain_answers()[UPLOAD_PATH])}
    samples = bed.rounds(12, lambda client: streamed(bed, client, bed.setup.http, job))
    title = f"upload {size >> 20} MiB, multipart"
    rows = [
        Row("upload", f"{title}: time", "ms", True, "1.05", samples["wall"]),
        Row("upload/cpu", f"{title}: CPU", "ms", True, "", samples["cpu"]),
    ]
    if "growth" in samples:
        rows.append(Row("upload/memory", f"{title}: memory growth", "MiB", False, MEMORY_LIMIT, samples["growth"]))
    return rows


def streamed(bed: Bed, client: str, address: str, job: dict[str, Any]) -> dict[str, float]:
    """One large body by a new worker whose connection is warm."""
    with new_worker(bed, client) as worker:
        worker.run(gets([address + QUERY_PATH + QUERY], WARM_UP_GETS))
        return {name: value for name, value in worker.run(job).items() if value is not None}


def measure_instructions(bed: Bed) -> list[Row]:
    """Instructions under callgrind, in user space: they repeat to 0.5 % whatever else the machine does."""
    if not bed.plan.callgrind:
        return []
    if not instructions.installed():
        print("valgrind is not installed, so no instructions are counted (Debian: apt-get install valgrind)")
        return []
    return instructions.rows(bed)


MEASUREMENTS: dict[str, Callable[[Bed], list[Row]]] = {
    "import": measure_import,
    "cold": measure_cold,
    "get": measure_get,
    "tls": measure_tls,
    "threads": measure_threads,
    "download": measure_download,
    "upload": measure_upload,
    "origins": measure_origins,
    "instructions": measure_instructions,
}
