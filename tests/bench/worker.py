"""A measured process that lives for many rounds: reads one JSON job a line, answers one JSON line of figures.

``python -m tests.bench.worker CLIENT HTTPS HTTP ROOTS CA``
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import threading
import time
from typing import Any, Callable

from tests.bench.setup import Setup

STATUS_FILE = "/proc/self/status"
RESET_FILE = "/proc/self/clear_refs"
START_SECONDS = 30.0


def peak_memory() -> int | None:
    """Bytes of memory that the process held at most; None where the system does not say (Windows)."""
    if os.path.exists(STATUS_FILE):
        with open(STATUS_FILE, encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reset_peak_memory() -> None:
    """Let the peak start from what is held now, where the system can (Linux); elsewhere only growth past the peak shows."""
    try:
        with open(RESET_FILE, "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def pin(core: int | None) -> None:
    """Stay on one core (None: on any), where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1) if core is None else {core})


def run_gets(client: Any, job: dict[str, Any]) -> None:
    """GET the URLs in turn, ``count`` requests in all."""
    urls, expected = job["urls"], job["expected"]
    for number in range(job["count"]):
        check(len(client.get(urls[number % len(urls)])), expected)


def run_threads(client: Any, job: dict[str, Any]) -> None:
    """``threads`` threads share the client and begin together; each does ``count`` GETs."""
    failures: list[str] = []
    together = threading.Barrier(job["threads"], timeout=START_SECONDS)

    def work() -> None:
        try:
            together.wait()
            run_gets(client, job)
        except Exception as problem:
            failures.append(repr(problem))

    threads = [threading.Thread(target=work) for _ in range(job["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"{len(failures)} threads failed: {failures[0]}")


def run_download(client: Any, job: dict[str, Any]) -> None:
    """Stream one large body to nowhere."""
    check(client.download(job["url"]), job["expected"])


def run_upload(client: Any, job: dict[str, Any]) -> None:
    """Send one large file."""
    check(len(client.upload(job["url"], job["path"])), job["expected"])


def check(got: int, expected: int) -> None:
    """A wrong length means that something else was measured."""
    if got != expected:
        raise RuntimeError(f"an answer of {got} bytes came where {expected} were expected")


JOBS: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "gets": run_gets,
    "threads": run_threads,
    "download": run_download,
    "upload": run_upload,
}


def measured(client: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Seconds on the clock and of CPU, and bytes of memory growth, of one job."""
    gc.collect()
    reset_peak_memory()
    memory = peak_memory()
    cpu = time.process_time()
    wall = time.perf_counter()
    JOBS[job["job"]](client, job)
    wall = time.perf_counter() - wall
    cpu = time.process_time() - cpu
    peak = peak_memory()
    return {"wall": wall, "cpu": cpu, "growth": None if memory is None or peak is None else peak - memory}


def main(arguments: list[str]) -> None:
    """Serve jobs until standard input ends."""
    module = importlib.import_module(f"tests.bench.clients.{arguments[0]}_client")
    setup = Setup(*arguments[1:])
    client = module.open_client(setup)
    for line in sys.stdin:
        job = json.loads(line)
        pin(job.get("core"))
        try:
            answer = measured(client, job)
        except Exception as problem:
            answer = {"problem": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), flush=True)
    client.close()


if __name__ == "__main__":
    main(sys.argv[1:])
