"""Sessions in processes that were spawned: what a pool of Python's own does with them, with threads in each process."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from esri_http import ArcGISLoginError, EsriBuiltInAuth, EsriSession
from esri_http.testing import EmbeddedPortal

PROCESSES, THREADS, TASKS = 2, 4, 8


@pytest.fixture
def session(portal: EmbeddedPortal) -> Iterator[EsriSession]:
    """Amy's, signed in at the portal and at its server."""
    auth = EsriBuiltInAuth(portal.portal_url, "amy", "amys-secret")
    with EsriSession(auth=auth, ca_bundles=portal.ca_file) as session:
        assert count_features(session, portal.layer_url) == 355
        portal.clear()
        yield session


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that know nothing of this one but what is sent to them."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def count_features(session: EsriSession, layer: str) -> Any:
    """What the layer says."""
    answer = session.get(f"{layer}/query", params={"where": "1=1", "returnCountOnly": True, "f": "json"})
    answer.raise_for_error()
    return answer.json()["count"]


def work(pickled: bytes, layer: str) -> tuple[int, list[Any]]:
    """In one process: a copy for each task, and some tasks at a time; what came of each."""

    def task(_: int) -> Any:
        with pickle.loads(pickled) as session:
            try:
                return count_features(session, layer)
            except ArcGISLoginError as error:
                return str(error)

    with ThreadPoolExecutor(THREADS) as threads:
        return os.getpid(), list(threads.map(task, range(TASKS)))


def in_processes(pool: ProcessPoolExecutor, pickled: bytes, portal: EmbeddedPortal, times: int = 1) -> dict[int, list[Any]]:
    """What came of `work`, so many times in each process."""
    found: dict[int, list[Any]] = {}
    while len(found) < PROCESSES:  # one that is quick may take all
        for job in [pool.submit(work, pickled, portal.layer_url) for _ in range(PROCESSES * times)]:
            pid, outcomes = job.result(50)
            found.setdefault(pid, []).extend(outcomes)
    return found


def sign_ins(portal: EmbeddedPortal) -> int:
    """How often a password was posted."""
    return sum("password" in request.form for request in portal.requests)


@pytest.mark.parametrize("kind", ["session", "for_workers"])
def test_nothing_is_asked_there_but_what_the_tasks_ask(
    portal: EmbeddedPortal, session: EsriSession, pool: ProcessPoolExecutor, kind: str
) -> None:
    pickled = pickle.dumps(session if kind == "session" else session.for_workers())
    assert (b"amys-secret" in pickled) is (kind == "session")
    outcomes = in_processes(pool, pickled, portal)
    done = sum(len(of_process) for of_process in outcomes.values())
    assert [set(of_process) for of_process in outcomes.values()] == [{355}] * PROCESSES
    assert [request.path.rpartition("/")[2] for request in portal.requests] == ["query"] * done


def test_dead_tokens_are_renewed_once_in_each_process(
    portal: EmbeddedPortal, session: EsriSession, pool: ProcessPoolExecutor
) -> None:
    pickled = pickle.dumps(session)
    portal.revoke_all_tokens()
    outcomes = in_processes(pool, pickled, portal, times=3)
    assert [set(of_process) for of_process in outcomes.values()] == [{355}] * PROCESSES
    assert (sign_ins(portal), portal.count("/generateToken")) == (PROCESSES, 3 * PROCESSES)


def test_a_password_that_is_no_longer_good_is_posted_once_by_each_process(
    portal: EmbeddedPortal, session: EsriSession, pool: ProcessPoolExecutor
) -> None:
    pickled = pickle.dumps(session)
    portal.users["amy"].password = "another-one"
    portal.revoke_all_tokens()
    outcomes = in_processes(pool, pickled, portal, times=3)
    assert all("Unable to generate token" in said for of_process in outcomes.values() for said in of_process)
    assert sign_ins(portal) == PROCESSES


def test_without_a_password_it_says_so(portal: EmbeddedPortal, session: EsriSession, pool: ProcessPoolExecutor) -> None:
    pickled = pickle.dumps(session.for_workers())
    portal.revoke_all_tokens()
    outcomes = in_processes(pool, pickled, portal)
    assert all("Send session.for_workers() once more" in said for of_process in outcomes.values() for said in of_process)
    assert sign_ins(portal) == 0
