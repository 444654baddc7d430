"""A session that talks to very many servers keeps a bounded number of connections, and loses no request over it."""

from __future__ import annotations

from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.wire import managers, transport
from tests.support.peers import json_reply
from tests.support.sessions import idle_connections, on_threads

LIMIT = 3


def test_the_limit_is_below_that_of_the_managers() -> None:
    assert transport._MOST_ROUTES < managers._ORIGINS


@pytest.fixture
def peers(handler_peer: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(transport, "_MOST_ROUTES", LIMIT)
    return [handler_peer(lambda request: json_reply(request.target)) for _ in range(LIMIT * 2)]


def test_connections_of_more_servers_than_that_are_given_up(peers: list[Any]) -> None:
    with EsriSession(retries=0) as session:
        for number in range(20):
            peer = peers[number % len(peers)]
            assert session.get(peer.url_for(f"/{number}")).json() == f"/{number}"
            assert idle_connections(session) <= LIMIT
        peers[0].wait_until(lambda: sum(peer.open_connections for peer in peers) <= LIMIT)


def test_threads_lose_no_request_when_that_happens(peers: list[Any]) -> None:
    with EsriSession(retries=0) as session:

        def work(thread: int) -> bool:
            places = [(peers[(thread + number) % len(peers)], f"/{thread}/{number}") for number in range(30)]
            return all(session.get(peer.url_for(path)).json() == path for peer, path in places)

        assert on_threads(8, work) == [True] * 8


def test_an_answer_that_is_being_streamed_stays_whole(peers: list[Any]) -> None:
    with EsriSession(retries=0) as session:
        streamed = session.get(peers[0].url_for("/streamed"), stream=True)
        for peer in peers:
            session.get(peer.url_for("/other"))
        assert streamed.json() == "/streamed"
