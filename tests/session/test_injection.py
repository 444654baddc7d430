"""Nothing that a caller passes on can change the shape of a request: refused, or encoded; one request on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from esri_http import EsriSession, EsriUserTokenAuth
from esri_http.words.errors import EsriHttpError, InvalidRequestError
from tests.support.peers import HandlerPeer, Reply

StartHandler = Callable[..., HandlerPeer]

SMUGGLED = "x\r\nX-Evil: yes"
BREAKS = [
    SMUGGLED,
    "x\nX-Evil: yes",
    "x\rX-Evil: yes",
    "x\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
    "x\x00",
    "x\r\n\tfolded",
]
breaks = pytest.mark.parametrize("text", BREAKS, ids=repr)


@pytest.fixture
def peer(handler_peer: StartHandler) -> HandlerPeer:
    return handler_peer(lambda request: Reply(200))


@pytest.fixture
def session() -> Iterator[EsriSession]:
    with EsriSession(trust_env=False, retries=0) as session:
        yield session


def check_harmless(peer: HandlerPeer) -> None:
    """What came in is one request for what was asked, without a smuggled field."""
    assert len(peer.requests) <= 1
    for request in peer.requests:
        assert "X-Evil" not in request.headers
        assert request.path != "/evil"


def send(peer: HandlerPeer, call: Callable[[], Any]) -> None:
    """Refused in our words, or sent without harm."""
    refused = False
    try:
        call()
    except InvalidRequestError:
        refused = True
    assert len(peer.requests) == (0 if refused else 1)
    check_harmless(peer)


@breaks
def test_header_values(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    for value in (text, text.encode()):
        with pytest.raises(InvalidRequestError):
            session.get(peer.url_for("/"), headers={"X-Note": value})
        with pytest.raises(InvalidRequestError):
            session.headers["X-Note"] = value
        with pytest.raises(InvalidRequestError):
            session.update_headers({"X-Note": value})
    assert peer.requests == []


@breaks
def test_header_names(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    with pytest.raises(InvalidRequestError):
        session.get(peer.url_for("/"), headers={text: "value"})
    assert peer.requests == []


@breaks
@pytest.mark.parametrize("name", ["Host", "Referer", "User-Agent", "Content-Type", "Accept-Encoding", "Authorization"])
def test_the_headers_that_we_set_ourselves(session: EsriSession, peer: HandlerPeer, text: str, name: str) -> None:
    with pytest.raises(InvalidRequestError):
        session.post(peer.url_for("/"), data={"a": 1}, headers={name: text})
    assert peer.requests == []


@breaks
def test_methods(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    for method in (text, f"GET {text}", "GET / HTTP/1.1", "", " GET", "G@T", None, b"GET", ["GET"], {}):
        with pytest.raises(InvalidRequestError):
            session.request(method, peer.url_for("/"))  # type: ignore[arg-type]
    assert peer.requests == []


@breaks
def test_the_referer(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    with pytest.raises(InvalidRequestError):
        EsriSession(referer=text)
    with pytest.raises(InvalidRequestError):
        session.referer = text
    session.get(peer.url_for("/"))
    assert peer.requests[0].headers.get_all("Referer") == ["http"]


@breaks
def test_urls(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    for url in (
        peer.url_for("/" + text),
        peer.url_for("/?" + text),
        peer.url.replace("127.0.0.1", text),
        "http://a:b" + text + "@h/",
    ):
        with pytest.raises(InvalidRequestError):
            session.get(url)
    session.get(peer.url_for("/#") + "fragment")
    check_harmless(peer)


@breaks
def test_params_and_forms(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    session.get(peer.url_for("/"), params={text: text})
    assert peer.requests[0].query == {text: text}
    check_harmless(peer)
    peer.requests.clear()
    session.post(peer.url_for("/"), data={text: text})
    assert peer.requests[0].form == {text: text}
    check_harmless(peer)


@breaks
def test_file_names_and_types(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    for files in ({"file": (text, b"content")}, {text: ("name", b"content")}, {"file": ("name", b"content", text)}):
        peer.requests.clear()
        send(peer, lambda files=files: session.post(peer.url_for("/"), files=files))
        for request in peer.requests:
            boundary = request.headers["Content-Type"].partition("boundary=")[2].encode()
            assert request.body.count(b"--" + boundary) == 2
            head = request.body.partition(b"\r\n\r\n")[0]
            assert b"\nX-Evil" not in head
            assert b"\rX-Evil" not in head


@breaks
def test_names_and_passwords(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    send(peer, lambda: session.get(peer.url_for("/"), auth=("amy", text)))
    peer.requests.clear()
    send(peer, lambda: session.get(peer.url_for("/").replace("://", "://amy:%0d%0aX-Evil:%20yes@")))


@breaks
def test_tokens(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    with pytest.raises(EsriHttpError) as caught:
        EsriUserTokenAuth(text)
    assert "X-Evil" not in str(caught.value)


@breaks
def test_what_a_callable_puts_in(session: EsriSession, peer: HandlerPeer, text: str) -> None:
    def sign(request: Any) -> Any:
        request.headers["X-Note"] = text
        return request

    with pytest.raises(InvalidRequestError):
        session.get(peer.url_for("/"), auth=sign)
    assert peer.requests == []


def test_a_callable_that_brings_a_dict_of_headers(session: EsriSession, peer: HandlerPeer) -> None:
    def sign(request: Any) -> Any:
        request.headers = {"X-Note": SMUGGLED}
        return request

    with pytest.raises(InvalidRequestError):
        session.get(peer.url_for("/"), auth=sign)
    assert peer.requests == []


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding", "TRANSFER-encoding"])
@pytest.mark.parametrize("where", ["session", "call"])
@pytest.mark.parametrize("body", [None, b"0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n", ["piece"], "iterator"], ids=type)
def test_the_length_of_a_body_is_not_the_callers_to_say(
    session: EsriSession, peer: HandlerPeer, name: str, where: str, body: Any
) -> None:
    field = {name: "3" if name.lower() == "content-length" else "chunked"}
    if where == "session":
        session.headers.update(field)
    data = iter([b"piece"]) if body == "iterator" else body
    session.post(peer.url_for("/"), data=data, headers=field if where == "call" else None)
    session.get(peer.url_for("/end"))
    first, last = peer.requests
    assert first.body == (body if isinstance(body, bytes) else b"piece" if body else b"")
    assert len(first.headers.get_all("Content-Length") + first.headers.get_all("Transfer-Encoding")) == 1
    assert last.path == "/end"


def test_every_field_that_matters_is_there_once(session: EsriSession, peer: HandlerPeer) -> None:
    fields = ["host", "USER-AGENT", "accept", "ACCEPT-encoding", "referer", "content-TYPE", "connection"]
    session.post(peer.url_for("/"), data={"a": 1}, headers=dict.fromkeys(fields, "gis.test"))
    for name in (*fields, "content-length"):
        assert len(peer.requests[0].headers.get_all(name)) == 1, name
