"""`mount`: adapters of the user's own, as `requests` knows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
import requests.adapters

from esri_http import EsriSession, EsriUserTokenAuth
from esri_http.words.errors import ConfigurationError, ConnectionLostError, TransportError

from ..support.bound_scheme import BoundAuth, BoundServer
from ..support.http_messages import RecordedRequest, Reply, json_reply
from ..support.sessions import leased_lanes


class Minimal:
    """The least that an adapter can be; answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = 0
        self.seen: list[tuple[Any, dict[str, Any]]] = []

    def send(self, request: Any, **options: Any) -> Any:
        self.seen.append((request, options))
        return Answer(self.name.encode())

    def close(self) -> None:
        self.closed += 1


class Answer:
    """The least that an answer can be."""

    status_code = 200

    def __init__(self, content: bytes) -> None:
        self.content = content


class Wrapping:
    """An adapter round another that adds a header field; `close` closes the inner one, as such wrappers do."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.closed = 0

    def send(self, request: Any, **options: Any) -> Any:
        request.headers["X-Wrapped"] = "yes"
        return self.inner.send(request, **options)

    def close(self) -> None:
        self.closed += 1
        self.inner.close()


@pytest.fixture
def echo(handler_peer: Any) -> Any:
    """A server that gives the request back."""

    def answer(request: RecordedRequest) -> Reply:
        fields = {name.lower(): value for name, value in request.headers}
        return json_reply(
            {"method": request.method, "target": request.target, "headers": fields, "body": request.body.decode()}
        )

    return handler_peer(answer)


def test_the_longest_prefix_wins_whatever_the_order_and_the_case(echo: Any) -> None:
    with EsriSession() as session:
        for prefix in ("https://gis.example", "https://", "https://gis.example/Server/Rest", "HTTPS://GIS.example/server"):
            session.mount(prefix, Minimal(prefix.lower()))
        urls = (
            "https://gis.example/SERVER/rest/services",
            "https://gis.example/server",
            "https://gis.example/x",
            "https://b.example/",
        )
        answers = [session.get(url).text for url in urls]
        assert answers == ["https://gis.example/server/rest", "https://gis.example/server", "https://gis.example", "https://"]
        assert session.get(echo.url).json()["target"] == "/"
        assert list(session.adapters)[:2] == ["https://gis.example/server/rest", "https://gis.example/server"]


@pytest.mark.parametrize("prefix, adapter", [(5, Minimal("")), (None, Minimal("")), (b"http://", Minimal("")), ("http://", 5)])
def test_what_cannot_be_mounted_is_refused_at_once(prefix: Any, adapter: Any) -> None:
    with EsriSession() as session:
        before = list(session.adapters)
        with pytest.raises(ConfigurationError, match="mount"):
            session.mount(prefix, adapter)
        assert list(session.adapters) == before


def test_a_minimal_answer_has_all_that_a_response_has(echo: Any) -> None:
    with EsriSession() as session:
        session.mount("https://gis.example", Minimal("{}"))
        response = session.get("https://gis.example/x?y=1")
        assert (response.status_code, response.ok, response.reason, response.url) == (
            200,
            True,
            "",
            "https://gis.example/x?y=1",
        )
        assert (response.json(), response.text, dict(response.headers), response.history) == ({}, "{}", {}, [])
        assert response.esri_error is None
        assert response.raw is None


@pytest.mark.parametrize("pieces", [[b"abc", b"", b"def", b"g"], [b""], [b"abcdefg"]])
def test_an_answer_in_pieces_is_streamed(pieces: list[bytes]) -> None:
    class Pieces:
        status_code = 200
        headers = {"content-type": "text/plain"}  # noqa: RUF012
        closed = 0

        def iter_content(self, chunk_size: int) -> Any:
            return iter(pieces)

        def close(self) -> None:
            self.closed += 1

    adapter = Minimal("")
    answers: list[Pieces] = []
    adapter.send = lambda request, **_: answers.append(Pieces()) or answers[-1]  # type: ignore[method-assign,func-returns-value]
    whole = b"".join(pieces)
    with EsriSession() as session:
        session.mount("https://", adapter)
        assert session.get("https://gis.example/").content == whole
        response = session.get("https://gis.example/", stream=True)
        assert response.peek(2) == whole[:2]
        parts = list(response.iter_content(2))
        assert b"".join(parts) == whole
        assert all(len(part) <= 2 for part in parts)
    assert all(answer.closed for answer in answers)


def test_an_adapter_is_told_what_requests_tells_its_own(tmp_path: Path) -> None:
    adapter = Minimal("")
    with EsriSession(verify_cert=False, proxies={"https": "http://proxy.example:3128"}, timeout=(3, 4)) as session:
        session.mount("https://", adapter)
        session.post("https://gis.example/x?y=1", data={"a": 1}, stream=True, cert=("a.pem", "a.key"), headers={"X-A": "b"})
        session.get("https://gis.example/", timeout=5)
    (posted, options), (_, later) = adapter.seen
    assert options == {
        "stream": True, "timeout": (3, 4), "verify": False, "cert": ("a.pem", "a.key"),
        "proxies": {"https": "http://proxy.example:3128"},
    }  # fmt: skip
    assert (later["timeout"], later["stream"], later["cert"]) == ((5, 5), False, None)
    assert (posted.method, posted.url, posted.path_url) == ("POST", "https://gis.example/x?y=1", "/x?y=1")
    assert posted.body == "a=1"
    assert (posted.headers["Content-Length"], posted.headers["x-a"]) == ("3", "b")


@pytest.mark.parametrize("kind", ["form", "bytes", "json", "file", "multipart", "iterator", "none"])
def test_requests_own_adapter_sends_every_kind_of_body(echo: Any, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "upload.txt"
    file.write_bytes(b"of a file")
    with EsriSession() as session, file.open("rb") as opened:
        session.mount("http://", requests.adapters.HTTPAdapter())
        bodies: dict[str, dict[str, Any]] = {
            "form": {"data": {"a": 1}}, "bytes": {"data": b"raw"}, "json": {"json": {"a": 1}}, "file": {"data": opened},
            "multipart": {"files": {"f": opened}}, "iterator": {"data": iter([b"one", b"two"])}, "none": {},
        }  # fmt: skip
        seen = session.post(echo.url + "/x", **bodies[kind]).json()
    expected = {"form": "a=1", "bytes": "raw", "json": '{"a":1}', "file": "of a file", "iterator": "onetwo", "none": ""}
    assert seen["body"].replace(" ", "") == expected[kind].replace(" ", "") if kind in expected else "of a file" in seen["body"]
    assert ("content-length" in seen["headers"]) is (kind != "iterator")


def test_requests_own_adapter_takes_part_in_auth_redirects_and_cookies(handler_peer: Any) -> None:
    def answer(request: RecordedRequest) -> Reply:
        if request.path == "/a":
            return Reply(302, [("Location", "/b"), ("Set-Cookie", "one=1"), ("Set-Cookie", "two=2, too")], "moved")
        return json_reply([request.headers.get("Cookie"), request.headers.get("X-Esri-Authorization")])

    peer = handler_peer(answer)
    with EsriSession(auth=EsriUserTokenAuth("the-token")) as session:
        session.mount("http://", requests.adapters.HTTPAdapter())
        response = session.get(peer.url + "/a")
    assert response.json() == ["one=1; two=2, too", "Bearer the-token"]
    assert [earlier.status_code for earlier in response.history] == [302]


def test_requests_own_adapter_verifies_as_the_session_does(handler_peer: Any, ca: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, {}, "in"), tls=True)
    with EsriSession(verify_cert=str(ca.file)) as session:
        session.mount("https://", requests.adapters.HTTPAdapter())
        assert session.get(peer.url_for(host="localhost")).text == "in"
        session.verify_cert = True
        with pytest.raises(TransportError, match=r"HTTPAdapter could not carry out the exchange \(SSLError\)"):
            session.get(peer.url_for(host="localhost"))


def test_errors_of_a_foreign_adapter_are_ours_with_the_original_as_cause(scripted_peer: Any) -> None:
    def cut_short(connection: Any) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc")

    peer = scripted_peer([lambda connection: connection.read_request(), cut_short])
    with EsriSession() as session:
        session.mount("http://", requests.adapters.HTTPAdapter())
        with pytest.raises(TransportError) as caught:
            session.get(peer.url + "/x?token=secret")
        assert isinstance(caught.value.__cause__, requests.ConnectionError)
        assert "secret" not in str(caught.value)
        with pytest.raises(TransportError, match="could not carry out the exchange"):
            session.get(peer.url)


@pytest.mark.parametrize("answer", [None, "text", object()])
def test_what_is_no_answer_is_named(answer: Any) -> None:
    adapter = Minimal("")
    adapter.send = lambda request, **_: answer  # type: ignore[method-assign]
    with EsriSession() as session:
        session.mount("https://", adapter)
        with pytest.raises(ConfigurationError, match="Minimal did not answer with a response|function|lambda"):
            session.get("https://gis.example/")


@pytest.mark.parametrize("adapter", [None, object(), "https://"])
def test_what_cannot_send_cannot_be_mounted(adapter: Any) -> None:
    with EsriSession() as session, pytest.raises(ConfigurationError, match="send"):
        session.mount("https://", adapter)


def test_an_adapter_may_wrap_the_sessions_own(echo: Any) -> None:
    with EsriSession(auth=("amy", "secret")) as session:
        session.mount("http://", Wrapping(session.adapters["http://"]))
        seen = session.post(echo.url, data=b"body").json()
        assert seen["headers"]["x-wrapped"] == "yes"
        assert seen["headers"]["authorization"].startswith("Basic ")
        assert (seen["headers"]["content-length"], seen["body"]) == ("4", "body")
        session.get(echo.url)
    assert echo.connections == 1


def test_a_wrapped_transport_keeps_streaming_deadline_and_settings_of_the_call(handler_peer: Any, ca: Any) -> None:
    peer = handler_peer(lambda request: Reply(200, {}, (b"x" * 65536 for _ in range(8))), tls=True)
    with EsriSession() as session:
        session.mount("https://", Wrapping(session.adapters["https://"]))
        with session.get(peer.url, verify=str(ca.file), stream=True) as response:
            assert response._content is None
            assert sum(map(len, response.iter_content())) == 8 * 65536
        with pytest.raises(TransportError):
            session.get(peer.url)


def test_a_wrapped_transport_keeps_the_lane_of_a_sign_in(handler_peer: Any) -> None:
    server = BoundServer()
    peer = handler_peer(server)
    with EsriSession(auth=BoundAuth("amy")) as session:
        session.mount("http://", Wrapping(session.adapters["http://"]))
        assert [session.get(peer.url).json()["user"] for _ in range(3)] == ["amy"] * 3
        assert session.get(peer.url + "/public", drop_auth=True).json()["user"] is None
        assert leased_lanes(session) == 0
    assert (server.finished, server.mixed_up) == (1, 0)


def test_a_wrapped_transport_still_retries(handler_peer: Any, fake_clock: Any) -> None:
    peer = handler_peer(lambda request: Reply(503 if len(peer.requests) < 3 else 200))
    with EsriSession(clock=fake_clock) as session:
        session.mount("http://", Wrapping(session.adapters["http://"]))
        assert session.get(peer.url).ok
    assert len(peer.requests) == 3


def test_the_sessions_own_adapter_sends_a_request_by_itself_too(echo: Any) -> None:
    from esri_http.messages.request import Request

    with EsriSession(auth=("amy", "secret")) as session:
        response = session.adapters["http://"].send(Request("GET", echo.origin, "/x", {}), timeout=5)
        assert "authorization" not in response.json()["headers"]


def test_mounting_the_own_adapter_puts_it_back(echo: Any) -> None:
    with EsriSession() as session:
        own = session.adapters["http://"]
        session.mount("http://", Minimal("mine"))
        assert session.get(echo.url).text == "mine"
        session.mount("http://", own)
        assert session.get(echo.url).json()["method"] == "GET"


def test_close_closes_every_mounted_adapter_once_and_wrapped_ones_without_end(echo: Any) -> None:
    session = EsriSession()
    plain, wrapping = Minimal(""), Wrapping(session.adapters["http://"])
    session.mount("https://a.example", plain)
    session.mount("http://", wrapping)

    class CannotClose:
        def send(self, request: Any, **_: Any) -> None: ...

    session.mount("https://b.example", CannotClose())
    session.get(echo.url)
    session.close()
    echo.wait_until(lambda: not echo._open)
    assert (plain.closed, wrapping.closed) == (1, 1)
    assert session.get(echo.url).ok
    session.close()


def test_a_lost_connection_through_a_wrapper_is_the_same_error(scripted_peer: Any) -> None:
    peer = scripted_peer(lambda connection: connection.read_request())
    with EsriSession(retries=0) as session:
        session.mount("http://", Wrapping(session.adapters["http://"]))
        with pytest.raises(ConnectionLostError):
            session.get(peer.url)


def test_an_adapter_that_cannot_be_closed_keeps_no_other_open() -> None:
    class Broken(Minimal):
        def close(self) -> None:
            raise OSError("broken")

    other = Minimal("other")
    session = EsriSession()
    session.mount("https://one.example", Broken(""))
    session.mount("http://b.example", other)
    with pytest.raises(OSError, match="broken"):
        session.close()
    assert other.closed == 1
