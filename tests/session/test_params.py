"""`params`: where they stand in the URL, by whose rules they are written, and when a GET becomes a POST because of them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words.errors import InvalidRequestError, InvalidUrlError
from tests.support.peers import HandlerPeer, RecordedRequest, Reply

StartHandler = Callable[..., HandlerPeer]
MOMENT = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture
def peer(handler_peer: StartHandler) -> HandlerPeer:
    return handler_peer(lambda request: Reply(200))


@pytest.fixture
def session() -> Iterator[EsriSession]:
    with EsriSession(trust_env=False) as session:
        yield session


def last(peer: HandlerPeer) -> RecordedRequest:
    return peer.requests[-1]


@pytest.mark.parametrize(
    "params, query",
    [
        ({"where": "1=1", "f": "json"}, "?where=1%3D1&f=json"),
        ({"returnGeometry": True, "distinct": False}, "?returnGeometry=true&distinct=false"),
        ({"time": MOMENT}, "?time=1704067200000"),
        ({"outFields": ["A", "B"]}, "?outFields=A%2CB"),
        ({"geometry": {"x": 1}}, "?geometry=%7B%22x%22%3A1%7D"),
        ({"a": None, "b": ""}, "?b="),
        ({"a": None}, ""),
        ({}, ""),
        (None, ""),
        ([("a", 1), ("a", 2)], "?a=1&a=2"),
        ("a=1&b=two words", "?a=1&b=two%20words"),
        (b"a=1", "?a=1"),
        ("", ""),
        ({"name": "é&=#?/ +"}, "?name=%C3%A9%26%3D%23%3F%2F%20%2B"),
        ({"a": "b\r\nX: y"}, "?a=b%0D%0AX%3A%20y"),
    ],
    ids=repr,
)
def test_params_are_written_by_the_rules_of_arcgis(session: EsriSession, peer: HandlerPeer, params: Any, query: str) -> None:
    session.get(peer.url_for("/query"), params=params)
    assert last(peer).target == "/query" + query
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "path, target",
    [
        ("/query", "/query?f=json"),
        ("/query?a=1", "/query?a=1&f=json"),
        ("/query?a=1#here", "/query?a=1&f=json"),
        ("/query#?x", "/query?f=json"),
        ("", "/?f=json"),
        ("?a=1", "/?a=1&f=json"),
    ],
)
def test_params_join_the_query_of_the_url(session: EsriSession, peer: HandlerPeer, path: str, target: str) -> None:
    session.get(peer.url + path, params={"f": "json"})
    assert last(peer).target == target


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_params_of_other_methods_stay_in_the_query_however_long(session: EsriSession, peer: HandlerPeer, method: str) -> None:
    session.request(method, peer.url_for("/"), params={"where": "x" * 5000})
    assert (last(peer).method, len(last(peer).target), last(peer).body) == (method, 5008, b"")


def long_params(url: str, length: int) -> dict[str, str]:
    """Params that make `url` so long."""
    return {"where": "x" * (length - len(url) - len("?where="))}


@pytest.mark.parametrize("limit", [2000, 500, 100])
def test_the_limit_is_exact(peer: HandlerPeer, limit: int) -> None:
    url = peer.url_for("/query")
    with EsriSession(max_url_length=limit) as session:
        params = long_params(url, limit)
        session.get(url, params=params)
        assert (last(peer).method, len(url.rpartition("/query")[0] + last(peer).target)) == ("GET", limit)
        params["where"] += "x"
        session.get(url, params=params)
        assert (last(peer).method, last(peer).target, last(peer).form) == ("POST", "/query", params)
        assert last(peer).headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert last(peer).headers["Content-Length"] == str(len(last(peer).body))


def test_the_default_limit_is_2000(session: EsriSession, peer: HandlerPeer) -> None:
    url = peer.url_for("/query")
    for length, method in [(2000, "GET"), (2001, "POST")]:
        session.get(url, params=long_params(url, length))
        assert last(peer).method == method


def test_the_query_of_the_url_itself_stays_where_it_is(session: EsriSession, peer: HandlerPeer) -> None:
    session.get(peer.url_for("/query?f=json&token=abc"), params={"where": "x" * 3000})
    request = last(peer)
    assert (request.method, request.target) == ("POST", "/query?f=json&token=abc")
    assert request.form == {"where": "x" * 3000}


def test_a_long_url_without_params_stays_a_get(session: EsriSession, peer: HandlerPeer) -> None:
    session.get(peer.url_for("/query?where=" + "x" * 5000))
    session.get(peer.url_for("/query?where=" + "x" * 5000), params={})
    session.get(peer.url_for("/query?where=" + "x" * 5000), params={"a": None})
    assert {(request.method, len(request.target)) for request in peer.requests} == {("GET", 5013)}


def test_without_a_limit_every_get_stays_one(peer: HandlerPeer) -> None:
    with EsriSession(max_url_length=None) as session:
        session.get(peer.url_for("/"), params={"where": "x" * 20_000})
    assert last(peer).method == "GET"


def test_a_get_with_a_body_stays_one(session: EsriSession, peer: HandlerPeer) -> None:
    session.get(peer.url_for("/"), params={"where": "x" * 3000}, data=b"body")
    assert (last(peer).method, last(peer).body) == ("GET", b"body")


@pytest.mark.parametrize("params", ["where=" + "x" * 3000, b"where=" + b"x" * 3000, [("where", "x" * 3000)]], ids=type)
def test_params_of_every_kind_become_a_form(session: EsriSession, peer: HandlerPeer, params: Any) -> None:
    session.get(peer.url_for("/"), params=params)
    assert (last(peer).method, last(peer).form) == ("POST", {"where": "x" * 3000})


def test_the_response_tells_what_was_sent(session: EsriSession, peer: HandlerPeer) -> None:
    response = session.get(peer.url_for("/query"), params={"where": "x" * 3000})
    assert (response.request.method, response.url) == ("POST", peer.url_for("/query"))
    assert session.get(peer.url_for("/query"), params={"a": 1}).url == peer.url_for("/query?a=1")


@pytest.mark.parametrize(
    "params", [5, object(), ["a"], [1], {"a": "\ud800"}, {"a": {"b": float("nan")}}, "a=\r\n", "a=\x00"], ids=repr
)
def test_params_that_cannot_be_sent_are_errors(session: EsriSession, peer: HandlerPeer, params: Any) -> None:
    with pytest.raises(InvalidRequestError):
        session.get(peer.url_for("/"), params=params)
    assert peer.requests == []


@pytest.mark.parametrize(
    "url", ["", "/query", "gis.test/query", "ftp://gis.test/", "http://", "http://a b/", None, 5, b"http://gis.test/"]
)
def test_urls_that_cannot_be_asked_are_errors(session: EsriSession, url: Any) -> None:
    with pytest.raises(InvalidUrlError):
        session.get(url)


@pytest.mark.parametrize(
    "path, target",
    [
        ("//a//b", "//a//b"),
        ("/a b", "/a%20b"),
        ("/é?ü=ß", "/%C3%A9?%C3%BC=%C3%9F"),
        ("/%0d%0aX-Evil:%20yes", "/%0d%0aX-Evil:%20yes"),
        ("/a/../b/./c", "/b/c"),
        ("/?a=[1]&b={2}|3^", "/?a=%5B1%5D&b=%7B2%7D%7C3%5E"),
        ("/100%", "/100%25"),
        ("/a;b=c,d:e@f!g$h'i(j)k*l", "/a;b=c,d:e@f!g$h'i(j)k*l"),
    ],
)
def test_urls_reach_the_wire_encoded_once(session: EsriSession, peer: HandlerPeer, path: str, target: str) -> None:
    session.get(peer.url + path)
    assert last(peer).target.lower() == target.lower()
    assert len(last(peer).headers.get_all("Host")) == 1
