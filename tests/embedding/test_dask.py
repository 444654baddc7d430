"""Sessions on the workers of Dask: signed in once here, renewed there without a stampede, and a layer is read exactly.

`make test-embedding` installs what this needs, and then nothing of it is skipped.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from esri_http import GIS, ArcGISLoginError, EsriBuiltInAuth, EsriSession, env
from esri_http.testing import EmbeddedPortal, faults

from .reading import Part, Plan, plan, read_part

pytestmark = pytest.mark.real_server("dask")

PROCESSES, THREADS = 2, 4
FEATURES = 355


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of a cluster on loopback: two processes of four threads each, none of which is left afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of old versions are not our business
        distributed = pytest.importorskip("distributed", reason="distributed (Dask) is not installed: make test-embedding")
    psutil = pytest.importorskip("psutil")  # distributed needs it
    options = {"n_workers": PROCESSES, "threads_per_worker": THREADS, "processes": True, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options, dashboard_address=None) as cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(PROCESSES)
        pids = set(client.run(os.getpid).values())
        yield client
    assert len(pids) == PROCESSES
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


@pytest.fixture(params=[50])
def portal(request: pytest.FixtureRequest) -> Iterator[EmbeddedPortal]:
    """A portal over https; its layers give as many features at a time as the parameter says."""
    with EmbeddedPortal(max_record_count=request.param) as running:
        yield running
    assert running.internal_errors == []


@pytest.fixture
def session(portal: EmbeddedPortal) -> Iterator[EsriSession]:
    """Amy's, not yet signed in."""
    auth = EsriBuiltInAuth(portal.portal_url, "amy", "amys-secret")
    with EsriSession(auth=auth, ca_bundles=portal.ca_file, trust_env=False) as session:
        yield session


@pytest.fixture(params=["argument", "scattered"])
def on_workers(request: pytest.FixtureRequest, client: Any) -> Callable[[Any], Any]:
    """How a session gets to the tasks: each unpickles a copy, or all tasks of a process share the one that was sent ahead."""
    if request.param == "argument":
        return lambda session: session
    return lambda session: client.scatter(session, broadcast=True)


def start(client: Any, portal: EmbeddedPortal, session: Any, planned: Plan) -> Any:
    """The tasks, one for each range."""
    given = {"session": session, "layer": portal.layer_url, "field": planned.field}
    return client.map(read_part, planned.ranges, **given, pure=False)


def assert_whole(parts: list[Part]) -> None:
    """Every feature is there, once, and each process had its share."""
    ids = [feature["attributes"]["OBJECTID"] for part in parts for feature in part.features]
    assert sorted(ids) == list(range(1, FEATURES + 1))
    assert len({part.process for part in parts}) == PROCESSES


def passwords_posted(portal: EmbeddedPortal) -> int:
    """How often somebody signed in with a password."""
    return sum("password" in request.form for request in portal.requests)


# -- signed in once --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["session", "for_workers"])
def test_a_layer_is_read_exactly_by_one_sign_in_and_one_request_for_each_range(
    client: Any, portal: EmbeddedPortal, session: EsriSession, on_workers: Any, kind: str
) -> None:
    planned = plan(session, portal.layer_url, 10)
    assert (len(planned.ranges), planned.count) == (36, FEATURES)
    sent = on_workers(session if kind == "session" else session.for_workers())
    parts = client.gather(start(client, portal, sent, planned))
    assert_whole(parts)
    assert {part.token for part in parts} == {session.auth.token}
    asked = Counter(request.path.rpartition("/")[2] for request in portal.requests)
    assert asked == {"info": 1, "generateToken": 2, "query": 1 + 36}


def test_what_gis_signed_in_travels_as_a_whole_or_without_its_password(
    client: Any, portal: EmbeddedPortal, on_workers: Any
) -> None:
    options = {"ca_bundles": portal.ca_file, "trust_env": False, "set_active": False}
    with GIS(portal.portal_url, "amy", "amys-secret", **options) as gis:
        planned = plan(gis.session, portal.layer_url, 10)
        portal.clear()
        for session in (gis.session, gis.session.for_workers()):
            assert_whole(client.gather(start(client, portal, on_workers(session), planned)))
    assert [request.path.rpartition("/")[2] for request in portal.requests] == ["query"] * 72
    assert env.active_gis is None


def test_a_worker_that_is_the_first_at_a_server_gets_its_token_once(
    client: Any, portal: EmbeddedPortal, session: EsriSession
) -> None:
    session.auth.token  # noqa: B018 - signed in, and at no server yet
    twin = client.scatter(session.for_workers(), broadcast=True)
    planned = Plan("OBJECTID", [(first, first + 9) for first in range(1, FEATURES + 1, 10)], FEATURES)
    assert_whole(client.gather(start(client, portal, twin, planned)))
    asked = Counter(request.path.rpartition("/")[2] for request in portal.requests)
    assert asked == {"info": PROCESSES, "generateToken": 1 + PROCESSES, "query": 36}
    assert passwords_posted(portal) == 1


# -- renewed without a stampede --------------------------------------------------------------------------------------


def test_tokens_that_die_in_the_middle_are_renewed_once_in_each_process(
    client: Any, portal: EmbeddedPortal, session: EsriSession, on_workers: Any
) -> None:
    planned = plan(session, portal.layer_url, 10)

    def die(request: Any, answer_normally: Any) -> Any:
        portal.revoke_all_tokens()
        return answer_normally()

    portal.faults.add("/query", die, skip=8)
    portal.clear()
    parts = client.gather(start(client, portal, on_workers(session), planned))
    assert_whole(parts)
    # Per process: the exchange for a dead token, the sign-in, the exchange for a live one.
    assert (passwords_posted(portal), portal.count("/generateToken")) == (PROCESSES, 3 * PROCESSES)
    # What was under way when they died is sent once more, by each thread at most once.
    assert 36 + PROCESSES <= portal.count("/query") <= 36 + PROCESSES * THREADS


def test_a_password_that_is_no_longer_good_is_posted_once_by_each_process(
    client: Any, portal: EmbeddedPortal, session: EsriSession, on_workers: Any
) -> None:
    planned = plan(session, portal.layer_url, 10)
    portal.users["amy"].password = "another-one"
    portal.revoke_all_tokens()
    portal.clear()
    tasks = start(client, portal, on_workers(session), planned)
    assert [type(task.exception()) for task in tasks] == [ArcGISLoginError] * 36
    assert 1 <= passwords_posted(portal) <= PROCESSES


def test_without_a_password_it_says_what_to_do_and_goes_on_with_what_is_sent_then(
    client: Any, portal: EmbeddedPortal, session: EsriSession, on_workers: Any
) -> None:
    planned = plan(session, portal.layer_url, 10)
    tokens = [session.auth.token, session.auth.token_for(portal.server_url)]
    sent = on_workers(session.for_workers())
    portal.revoke_all_tokens()
    portal.clear()
    tasks = start(client, portal, sent, planned)
    said = {str(task.exception()).partition(" The server said")[0] for task in tasks}
    assert len(said) == 1
    assert said.pop().endswith("Send session.for_workers() once more from where the sign-in was made.")
    assert passwords_posted(portal) == 0
    told = str(client.get_worker_logs())
    assert [token for token in (*tokens, "amys-secret") if token in told] == []

    assert plan(session, portal.layer_url, 10) == planned
    parts = client.gather(start(client, portal, on_workers(session.for_workers()), planned))
    assert_whole(parts)
    assert passwords_posted(portal) == 1


# -- read exactly ----------------------------------------------------------------------------------------------------


def test_a_server_in_trouble_for_a_moment_costs_one_request_more(
    client: Any, portal: EmbeddedPortal, session: EsriSession, on_workers: Any
) -> None:
    planned = plan(session, portal.layer_url, 10)
    portal.faults.add("/query", faults.status(503, retry_after="0"), skip=5)
    portal.clear()
    assert_whole(client.gather(start(client, portal, on_workers(session), planned)))
    assert len(portal.requests) == 37


@pytest.mark.parametrize("portal", [20], indirect=True)
def test_a_range_of_more_features_than_the_server_gives_at_a_time_is_read_to_its_end(
    client: Any, portal: EmbeddedPortal, session: EsriSession
) -> None:
    planned = plan(session, portal.layer_url, 50)
    portal.clear()
    assert_whole(client.gather(start(client, portal, session, planned)))
    assert len(portal.requests) == 7 * 3 + 1


def test_an_empty_layer_is_no_range_at_all(portal: EmbeddedPortal, session: EsriSession) -> None:
    assert plan(session, portal.layer_url, 10, "1=0") == Plan("OBJECTID", [], 0)
