"""What a run stands on: certificates, files, the server, the clients that can be measured, and how much of each to do."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

import certifi
import trustme

from tests.bench.processes import JobFailed, Worker, run_fresh
from tests.bench.servers import Server, running_server
from tests.bench.setup import Setup

CLIENTS = ("urllib3", "requests", "httpx", "esri_http")
ORIGINS = 100
FEWEST_ROUNDS = 3
"""Rounds that are made however long they take (unless fewer are asked for)."""


class Plan(NamedTuple):
    """How much a run does.

    Attributes:
        scale: what numbers of rounds and requests are multiplied by.
        rounds: rounds of every measurement; None: each measurement's own number, scaled.
        seconds: after which a measurement starts no further round.
        download: bytes of the large download.
        upload: bytes of the large upload.
        callgrind: whether instructions are counted, where valgrind is installed.
    """

    scale: float
    rounds: int | None
    seconds: float
    download: int
    upload: int
    callgrind: bool

    def number(self, full: int) -> int:
        """A number of rounds or requests of this run, at least one."""
        return max(1, round(full * self.scale))


FULL = Plan(scale=1.0, rounds=None, seconds=60.0, download=100 * 2**20, upload=200 * 2**20, callgrind=True)
QUICK = Plan(scale=0.2, rounds=None, seconds=6.0, download=25 * 2**20, upload=50 * 2**20, callgrind=True)


class Bed(NamedTuple):
    """A run's surroundings; everything in them ends with ``make_bed``.

    Attributes:
        plan: how much to do.
        setup: what clients are told.
        server: who answers.
        clients: the clients that can be measured, urllib3 first.
        missing: the others, and why.
        folder: the temporary folder; also the home of the measured processes.
        upload: the path of the file to send.
    """

    plan: Plan
    setup: Setup
    server: Server
    clients: list[str]
    missing: dict[str, str]
    folder: str
    upload: str

    def rounds(self, full: int, one_round: Callable[[str], dict[str, float]]) -> dict[str, dict[str, list[float]]]:
        """Measure all clients in turn, round after round, each round in another order.

        ``one_round(client)`` returns figures by name; the result is figure, then client, then one sample a round.
        """
        samples: dict[str, dict[str, list[float]]] = {}
        number = self.plan.rounds or max(FEWEST_ROUNDS, self.plan.number(full))
        started = time.monotonic()
        for turn in range(number):
            if turn >= FEWEST_ROUNDS and time.monotonic() - started > self.plan.seconds:
                break
            first = turn % len(self.clients)
            for client in self.clients[first:] + self.clients[:first]:
                for figure, value in one_round(client).items():
                    samples.setdefault(figure, {name: [] for name in self.clients})[client].append(value)
        return samples

    @contextlib.contextmanager
    def workers(self) -> Iterator[dict[str, Worker]]:
        """One living process for each client."""
        with contextlib.ExitStack() as stack:
            workers = {}
            for client in self.clients:
                workers[client] = Worker(client, self.setup, self.folder)
                stack.callback(workers[client].close)
            yield workers

    @contextlib.contextmanager
    def one_core(self) -> Iterator[int | None]:
        """Keep the server on one core, and say which, so that a worker can join it: GETs then repeat within 3 %."""
        if not hasattr(os, "sched_getaffinity"):
            yield None
            return
        core = min(os.sched_getaffinity(0))
        self.server.pin(core)
        try:
            yield core
        finally:
            self.server.pin(None)

    def fresh(self, client: str, job: str, count: int = 1, **more: Any) -> tuple[str, str]:
        """Run one job of ``fresh.py`` in a new process; its two outputs."""
        arguments = [client, job, str(count), *self.setup.arguments()]
        return run_fresh("import sys; from tests.bench.fresh import main; main(*sys.argv[1:])", arguments, self.folder, **more)


def write_certificates(folder: str) -> tuple[str, str, str]:
    """Paths of the server's certificate with its key, of certifi's roots with our CA, and of our CA alone."""
    authority = trustme.CA()
    paths = [os.path.join(folder, name) for name in ("server.pem", "roots.pem", "ca.pem")]
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(paths[0])
    authority.cert_pem.write_to_path(paths[2])
    with open(certifi.where(), "rb") as known, open(paths[1], "wb") as roots:
        roots.write(known.read() + b"\n" + authority.cert_pem.bytes())
    return paths[0], paths[1], paths[2]


def importable(folder: str) -> tuple[list[str], dict[str, str]]:
    """The clients that can be imported, and for the others why not. This also writes their bytecode, once for all."""
    clients, missing = [], {}
    for client in CLIENTS:
        try:
            run_fresh(f"import tests.bench.clients.{client}_client, tests.bench.worker, tests.bench.fresh", [], folder)
        except JobFailed as problem:
            missing[client] = str(problem)
        else:
            clients.append(client)
    if "urllib3" not in clients:
        raise JobFailed(f"nothing can be compared without urllib3: {missing['urllib3']}")
    return clients, missing


@contextlib.contextmanager
def make_bed(plan: Plan, server_kind: str) -> Iterator[Bed]:
    """Everything that the measurements need, in a temporary folder; all of it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="esri-http-bench-") as folder:
        certificate, roots, authority = write_certificates(folder)
        clients, missing = importable(folder)
        upload = os.path.join(folder, "upload.bin")
        with open(upload, "wb") as file:
            file.truncate(plan.upload)
        with running_server(server_kind, folder, certificate, plan.download, ORIGINS) as server:
            setup = Setup(f"https://127.0.0.1:{server.https}", f"http://127.0.0.1:{server.http}", roots, authority)
            print(f"server: {server.description}; clients: {', '.join(clients)}", file=sys.stderr)
            yield Bed(plan, setup, server, clients, missing, folder, upload)
