"""A session that was used before a fork works on both sides, and no answer gets to the wrong side."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words import forks

from ..support.bound_scheme import BoundAuth, BoundServer
from ..support.http_messages import json_reply

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    # Python 3.12 warns of every fork with threads about; the peer of these tests is one.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def in_child(work: Callable[[], Any]) -> Any:
    """What `work()` gives in a forked child; raises here what it raised there. A child that hangs is a failure."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            try:
                result: tuple[bool, Any] = (True, work())
            except BaseException as error:
                result = (False, f"{type(error).__name__}: {error}")
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(result, pipe)
        finally:
            os._exit(0)
    os.close(writing)
    killer = threading.Timer(10, os.kill, (child, 9))
    killer.start()
    try:
        with os.fdopen(reading, "rb") as pipe:
            data = pipe.read()
    finally:
        killer.cancel()
        os.waitpid(child, 0)
    assert data, "the child did not answer: it hung or died"
    worked, value = pickle.loads(data)
    assert worked, value
    return value


@pytest.fixture
def echo(handler_peer: Any) -> Any:
    """A server that answers with the query and the number of the connection."""
    return handler_peer(lambda request: json_reply([request.query.get("n"), request.connection]))


def test_both_sides_go_on_over_connections_of_their_own(echo: Any) -> None:
    with EsriSession() as session:
        before = session.get(echo.url, params={"n": "before"}).json()
        child = in_child(lambda: [session.get(echo.url, params={"n": f"child{turn}"}).json() for turn in range(10)])
        parent = [session.get(echo.url, params={"n": f"parent{turn}"}).json() for turn in range(10)]
    assert [answer[0] for answer in child] == [f"child{turn}" for turn in range(10)]
    assert [answer[0] for answer in parent] == [f"parent{turn}" for turn in range(10)]
    assert {answer[1] for answer in parent} == {before[1]}
    assert before[1] not in {answer[1] for answer in child}


def test_both_sides_may_ask_at_the_same_time(echo: Any) -> None:
    with EsriSession() as session:
        session.get(echo.url)

        def ask(who: str) -> bool:
            return all(session.get(echo.url, params={"n": f"{who}{n}"}).json()[0] == f"{who}{n}" for n in range(30))

        answers: list[Any] = []
        parent = threading.Thread(target=lambda: answers.append(ask("parent")))
        parent.start()
        assert in_child(lambda: ask("child"))
        parent.join(10)
    assert answers == [True]


def test_a_tls_connection_of_the_parent_survives_the_end_of_the_child(handler_peer: Any, ca: Any) -> None:
    peer = handler_peer(lambda request: json_reply(request.connection), tls=True)
    with EsriSession(verify_cert=str(ca.file)) as session:
        url = peer.url_for(host="localhost")
        assert session.get(url).json() == 1
        assert in_child(lambda: (session.get(url).json(), session.close())[0]) == 2
        assert session.get(url).json() == 1


def test_a_lane_is_not_shared_with_the_child(handler_peer: Any) -> None:
    server = BoundServer()
    peer = handler_peer(server)
    with EsriSession(auth=BoundAuth("amy")) as session:
        assert session.get(peer.url).json()["connection"] == 1
        assert in_child(lambda: [session.get(peer.url).json()["connection"] for _ in range(2)]) == [2, 2]
        assert session.get(peer.url).json()["connection"] == 1
    assert (server.finished, server.mixed_up) == (2, 0)


def test_cookies_and_settings_are_there_on_both_sides_and_then_go_their_own_ways(handler_peer: Any) -> None:
    peer = handler_peer(lambda request: json_reply([request.headers.get("Cookie"), request.headers.get("X-A")]))
    with EsriSession(headers={"X-A": "1"}) as session:
        session.cookies.set("side", "parent")

        def work() -> Any:
            session.cookies.set("side", "child")
            session.headers["X-A"] = "2"
            return session.get(peer.url).json()

        assert in_child(work) == ["side=child", "2"]
        assert session.get(peer.url).json() == ["side=parent", "1"]


@pytest.mark.parametrize("path", ["session", "engine", "tls", "opening the jar", "jar"])
def test_a_lock_that_another_thread_held_at_the_fork_does_not_hang_the_child(handler_peer: Any, ca: Any, path: str) -> None:
    from esri_http.pipeline import jars
    from esri_http.wire import tls

    peer = handler_peer(lambda request: json_reply("in"), tls=True)
    url = peer.url_for(host="localhost")
    with EsriSession(verify_cert=str(ca.file)) as session:
        if path != "session":
            session.get(url)
        lock: Any = {
            "session": lambda: session._lock,
            "engine": lambda: session._engine.main._lock,  # type: ignore[union-attr]
            "tls": lambda: tls._lock,
            "opening the jar": lambda: jars._opening,
            "jar": lambda: session.cookies._lock,
        }[path]()
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with lock:
                held.set()
                release.wait(20)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        try:
            assert in_child(lambda: (session.cookies.set("a", "b"), session.get(url).json())[1]) == "in"
        finally:
            release.set()
            thread.join(10)


def test_a_session_that_is_gone_is_not_kept_alive_for_forks() -> None:
    import gc
    import weakref

    gone = weakref.ref(EsriSession())
    gc.collect()
    assert gone() is None
    assert in_child(lambda: "fine") == "fine"


def test_what_is_watched_is_told_once_in_the_child_and_never_in_the_parent() -> None:
    class Counting:
        told = 0

        def after_fork(self) -> None:
            self.told += 1

    thing = Counting()
    forks.watch_forks(thing)
    forks.watch_forks(thing)
    assert in_child(lambda: thing.told) == 1
    assert thing.told == 0
