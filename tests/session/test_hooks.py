"""`hooks=` of one call, in the vocabulary of `requests`."""

from __future__ import annotations

from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words.errors import ConfigurationError

from ..support.http_messages import RecordedRequest, Reply
from ..support.sessions import idle_connections


@pytest.fixture
def peer(handler_peer: Any) -> Any:
    """A server with a redirect from /a to /b."""

    def answer(request: RecordedRequest) -> Reply:
        if request.path == "/a":
            return Reply(302, {"Location": "/b"})
        long = request.path == "/long"
        return Reply(200, {"Content-Type": "text/csv"}, (b"x" * 65536 for _ in range(40)) if long else request.path)

    return handler_peer(answer)


def test_a_hook_is_called_once_with_the_final_response(peer: Any) -> None:
    seen: list[Any] = []
    with EsriSession() as session:
        response = session.get(peer.url + "/a", hooks={"response": seen.append})
        session.get(peer.url + "/b")
    assert len(seen) == 1
    assert seen[0] is response
    assert response.text == "/b"


def test_several_hooks_run_in_order_and_each_may_replace_the_response(peer: Any) -> None:
    order: list[Any] = []

    def first(response: Any, *args: Any, **kwargs: Any) -> str:
        order.append(response.text)
        return "replaced"

    def second(response: Any, *args: Any, **kwargs: Any) -> None:
        order.append(response)

    with EsriSession() as session:
        assert session.get(peer.url + "/b", hooks={"response": [first, second]}) == "replaced"
    assert order == ["/b", "replaced"]


@pytest.mark.parametrize("hooks", [None, {}, {"response": None}, {"response": []}, {"response": ()}])
def test_no_hooks_are_fine(peer: Any, hooks: Any) -> None:
    with EsriSession() as session:
        assert session.get(peer.url + "/b", hooks=hooks).text == "/b"


@pytest.mark.parametrize("hooks", [print, {"response": 3}, {"response": [print, "x"]}, {"request": print}, "response"])
def test_what_cannot_be_called_is_refused_before_anything_is_sent(peer: Any, hooks: Any) -> None:
    with EsriSession() as session, pytest.raises(ConfigurationError, match="hooks="):
        session.get(peer.url + "/b", hooks=hooks)
    assert peer.requests == []


def test_the_hook_of_a_streamed_call_reads_it_or_leaves_it(peer: Any) -> None:
    with EsriSession() as session:
        response = session.get(peer.url + "/b", stream=True, hooks={"response": lambda response: None})
        assert idle_connections(session) == 0
        assert response.text == "/b"
        assert idle_connections(session) == 1


def test_an_error_in_a_hook_comes_out_as_it_is_and_frees_the_connection(peer: Any) -> None:
    kept: list[Any] = []

    def fails(response: Any) -> None:
        kept.append(response)
        raise ZeroDivisionError

    session = EsriSession()
    with pytest.raises(ZeroDivisionError):
        session.get(peer.url + "/long", stream=True, hooks={"response": fails})
    peer.wait_until(lambda: not peer._open)
    session.close()


def test_an_error_in_a_later_hook_frees_the_answer_that_an_earlier_one_put_in_the_place(peer: Any) -> None:
    kept: list[Any] = []

    def asks_again(response: Any) -> Any:
        kept.append(session.get(peer.url + "/long", stream=True))
        return kept[-1]

    def fails(response: Any) -> None:
        raise ZeroDivisionError

    session = EsriSession()
    with pytest.raises(ZeroDivisionError):
        session.get(peer.url + "/b", stream=True, hooks={"response": [asks_again, asks_again, fails]})
    peer.wait_until(lambda: not peer._open)
    session.close()
