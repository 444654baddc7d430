"""Redirects, by RFC 9110 section 15.4, over real sockets: which request comes next, and which does not."""

from __future__ import annotations

import io
import pickle
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from esri_http import EsriSession
from esri_http.words.errors import BodyNotReplayableError, RedirectRefusedError, TooManyRedirectsError
from tests.support.peers import Connection, HandlerPeer, RecordedRequest, Reply, ScriptedPeer, answer, chunk, head_bytes

StartHandler = Callable[..., HandlerPeer]
StartScript = Callable[..., ScriptedPeer]

ALL = (301, 302, 303, 307, 308)
BODY_FIELDS = ("Content-Length", "Content-Type", "Transfer-Encoding", "Content-Encoding")


def redirecting(status: int, location: Optional[str] = "/end", body: bytes = b"moved") -> Callable[[RecordedRequest], Reply]:
    """A handler that redirects ``/begin`` and answers everything else."""

    def handle(request: RecordedRequest) -> Reply:
        if request.path == "/begin":
            return Reply(status, {} if location is None else {"Location": location}, body)
        return Reply(200, body="here")

    return handle


@pytest.fixture
def session() -> Iterator[EsriSession]:
    with EsriSession(trust_env=False) as session:
        yield session


@pytest.mark.parametrize("status", ALL)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_method_and_body_of_the_next_request(
    session: EsriSession, handler_peer: StartHandler, status: int, method: str
) -> None:
    peer = handler_peer(redirecting(status))
    body = b"content" if method in ("POST", "PUT", "PATCH", "DELETE") else None
    headers = {"Content-Type": "text/plain", "Content-Encoding": "identity", "X-Kept": "yes"} if body else {"X-Kept": "yes"}

    response = session.request(method, peer.url_for("/begin"), data=body, headers=headers)

    assert response.status_code == 200
    first, last = peer.requests
    assert first.method == method
    becomes_get = (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")
    assert last.method == ("GET" if becomes_get else method)
    assert last.body == (b"" if becomes_get else body or b"")
    assert last.headers["X-Kept"] == "yes"
    if becomes_get:
        assert not any(name in last.headers for name in BODY_FIELDS)
    elif body:
        assert last.headers["Content-Type"] == "text/plain"
        assert last.headers["Content-Length"] == str(len(body))
    assert peer.connections == 1


@pytest.mark.parametrize("status", [307, 308])
def test_form_json_and_files_are_sent_again(
    session: EsriSession, handler_peer: StartHandler, status: int, tmp_path: Path
) -> None:
    peer = handler_peer(redirecting(status))
    file = tmp_path / "roads.zip"
    file.write_bytes(b"zipped" * 1000)
    bodies: list[dict[str, Any]] = [
        {"data": {"where": "1=1"}},
        {"json": {"where": "1=1"}},
        {"files": {"file": file}, "data": {"f": "json"}},
        {"data": file},
        {"data": [b"one", b"two"]},
    ]
    for body in bodies:
        session.post(peer.url_for("/begin"), **body)
        first, last = peer.requests[-2:]
        assert (last.method, last.path) == ("POST", "/end")
        assert last.body == first.body != b""
        assert last.headers.get("Content-Type") == first.headers.get("Content-Type")


@pytest.mark.parametrize("status", [307, 308])
def test_a_file_is_rewound_to_where_it_stood(session: EsriSession, handler_peer: StartHandler, status: int) -> None:
    peer = handler_peer(redirecting(status))
    file = io.BytesIO(b"skipped-content")
    file.seek(8)
    session.put(peer.url_for("/begin"), data=file)
    assert [request.body for request in peer.requests] == [b"content", b"content"]


@pytest.mark.parametrize("status, method", [(307, "POST"), (308, "POST"), (307, "PUT"), (301, "PUT"), (302, "PATCH")])
@pytest.mark.parametrize("kind", ["iterator", "stream"])
def test_a_body_that_can_be_read_once_is_never_sent_empty(
    session: EsriSession, handler_peer: StartHandler, status: int, method: str, kind: str
) -> None:
    class Stream:
        def __init__(self) -> None:
            self.parts = [b"one", b"two"]

        def read(self, size: int = -1) -> bytes:
            return self.parts.pop(0) if self.parts else b""

        def seekable(self) -> bool:
            return False

    peer = handler_peer(redirecting(status))
    data: Any = iter([b"one", b"two"]) if kind == "iterator" else Stream()
    with pytest.raises(BodyNotReplayableError, match="only once") as caught:
        session.request(method, peer.url_for("/begin?token=s3cret"), data=data)
    assert [request.body for request in peer.requests] == [b"onetwo"]
    assert "/end" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert session.get(peer.url_for("/end")).text == "here"
    assert peer.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_one_shot_body_does_no_harm_where_the_next_request_is_a_get(
    session: EsriSession, handler_peer: StartHandler, status: int
) -> None:
    peer = handler_peer(redirecting(status))
    assert session.post(peer.url_for("/begin"), data=iter([b"one"])).text == "here"
    assert [(request.method, request.body) for request in peer.requests] == [("POST", b"one"), ("GET", b"")]


def test_thirty_redirects_are_followed_and_the_next_is_an_error(session: EsriSession, handler_peer: StartHandler) -> None:
    def count_down(request: RecordedRequest) -> Reply:
        left = int(request.path[1:])
        return Reply(302, {"Location": f"/{left - 1}"}) if left else Reply(200, body="arrived")

    peer = handler_peer(count_down)
    response = session.get(peer.url_for("/30"))
    assert response.text == "arrived"
    assert len(response.history) == 30
    assert len(peer.requests) == 31

    peer.requests.clear()
    with pytest.raises(TooManyRedirectsError, match="30 redirects") as caught:
        session.get(peer.url_for("/31"))
    assert len(peer.requests) == 31
    assert caught.value.response.status_code == 302
    assert caught.value.url == peer.url_for("/31")
    assert peer.url_for("/0") in str(caught.value)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_a_loop_is_named(session: EsriSession, handler_peer: StartHandler, length: int) -> None:
    def circle(request: RecordedRequest) -> Reply:
        return Reply(302, {"Location": f"/{(int(request.path[1:]) + 1) % length}?token=s3cret"})

    peer = handler_peer(circle)
    with pytest.raises(TooManyRedirectsError, match="loop") as caught:
        session.get(peer.url_for("/0"))
    assert len(peer.requests) == 31
    assert peer.url in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_loop_that_a_cookie_ends_is_none(session: EsriSession, handler_peer: StartHandler) -> None:
    def knock_twice(request: RecordedRequest) -> Reply:
        if "seen=1" in request.headers.get("Cookie", ""):  # type: ignore[operator]
            return Reply(200, body="in")
        return Reply(302, {"Location": "/", "Set-Cookie": "seen=1"})

    peer = handler_peer(knock_twice)
    assert session.get(peer.url_for("/")).text == "in"


@pytest.mark.parametrize("status", ALL)
@pytest.mark.parametrize("where", ["session", "call"])
def test_where_redirects_are_switched_off_the_error_carries_the_answer(
    handler_peer: StartHandler, status: int, where: str
) -> None:
    peer = handler_peer(redirecting(status, "/end?token=s3cret"))
    with EsriSession(allow_redirects=where != "session") as session:
        options = {"allow_redirects": False} if where == "call" else {}
        with pytest.raises(RedirectRefusedError, match="not allowed") as caught:
            session.get(peer.url_for("/begin"), **options)
        error = caught.value
        assert error.response.status_code == status
        assert error.response.headers["Location"] == "/end?token=s3cret"
        assert error.response.content == b"moved"
        assert error.url == peer.url_for("/begin")
        assert "s3cret" not in str(error)
        assert len(peer.requests) == 1
        copy = pickle.loads(pickle.dumps(error))
        assert (str(copy), copy.response.status_code) == (str(error), status)


def test_a_call_may_allow_what_the_session_does_not(handler_peer: StartHandler) -> None:
    peer = handler_peer(redirecting(302))
    with EsriSession(allow_redirects=False) as session:
        assert session.get(peer.url_for("/begin"), allow_redirects=True).text == "here"
        session.allow_redirects = True
        assert session.get(peer.url_for("/begin")).text == "here"


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("status", [300, 304, 305, 306])
def test_other_statuses_are_answers(session: EsriSession, handler_peer: StartHandler, status: int, allowed: bool) -> None:
    peer = handler_peer(redirecting(status, body=b""))
    response = session.get(peer.url_for("/begin"), allow_redirects=allowed)
    assert (response.status_code, response.is_redirect, response.history) == (status, False, [])
    assert len(peer.requests) == 1


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("status", ALL)
def test_a_redirect_to_nowhere_is_an_answer(
    session: EsriSession, handler_peer: StartHandler, status: int, allowed: bool
) -> None:
    peer = handler_peer(redirecting(status, None))
    response = session.get(peer.url_for("/begin"), allow_redirects=allowed)
    assert (response.status_code, response.text, response.is_redirect) == (status, "moved", False)


def test_history_has_every_step(session: EsriSession, handler_peer: StartHandler) -> None:
    def two_steps(request: RecordedRequest) -> Reply:
        following = {"/one": "/two", "/two": "/three"}.get(request.path)
        return Reply(302, {"Location": following}) if following else Reply(200)

    peer = handler_peer(two_steps)
    response = session.post(peer.url_for("/one"), data=b"x")
    assert [(step.status_code, step.url, step.request.method) for step in response.history] == [
        (302, peer.url_for("/one"), "POST"),
        (302, peer.url_for("/two"), "GET"),
    ]
    assert response.url == peer.url_for("/three")
    assert all(step.is_redirect for step in response.history)
    assert not response.is_redirect


@pytest.mark.parametrize(
    "begin, location, end",
    [("/begin#here", "/end", "/end#here"), ("/begin#here", "/end#there", "/end#there"), ("/begin", "/end#there", "/end#there")],
)
def test_the_fragment_is_inherited_and_never_sent(
    session: EsriSession, handler_peer: StartHandler, begin: str, location: str, end: str
) -> None:
    peer = handler_peer(redirecting(302, location))
    assert session.get(peer.url_for(begin)).url == peer.url_for(end)
    assert [request.target for request in peer.requests] == ["/begin", "/end"]


@pytest.mark.parametrize(
    "location, target",
    [
        ("end", "/end"),
        ("./end?a=b", "/end?a=b"),
        ("../../end", "/end"),
        ("?a=b", "/begin?a=b"),
        ("/a/../end", "/end"),
        ("/a//b", "/a//b"),
        ("/.//b", "//b"),
        ("/a b", "/a%20b"),
        ("/100%", "/100%25"),
        ("/%c3%a9", "/%C3%A9"),
        ("/%0d%0aX-Evil:%20yes", "/%0D%0AX-Evil:%20yes"),
        ("/%00", "/%00"),
        ("/a\\b", "/a%5Cb"),
        ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
        ("/\xc3\xa9", "/%C3%A9"),  # raw UTF-8, as the peer writes Latin-1
        ("/\xe9", "/%C3%A9"),  # raw Latin-1
        ("   /end   ", "/end"),
        ("/\\evil.test/", "/%5Cevil.test/"),
    ],
)
def test_locations_stay_encoded_or_get_encoded(
    session: EsriSession, handler_peer: StartHandler, location: str, target: str
) -> None:
    def once(request: RecordedRequest) -> Reply:
        return Reply(302, {"Location": location}) if len(peer.requests) == 1 else Reply(200)

    peer = handler_peer(once)
    session.get(peer.url_for("/begin"))
    assert re.sub("%..", lambda found: found.group().upper(), peer.requests[1].target) == target
    assert "X-Evil" not in peer.requests[1].headers
    assert len(peer.requests) == 2


@pytest.mark.parametrize(
    "location",
    [
        *("file:///etc/passwd", "ftp://127.0.0.1/", "javascript:alert(1)", "data:text/plain,a", "gopher://a/", "about:blank"),
        *("http:", "http://", "http:///end", "http:/end", "https:\\\\evil.test", "//", "//:80/", "http://?", "///end"),
        *("http://good.test\\@evil.test/", "http://a@b@evil.test/", "http://evil%2ftest/", "http://[::1/", "http://a b/"),
        *("http://gis.test:99999/", "http://gis.test:x/", "//a..b/", "http://\xe2\x84\x80.test/"),
        *(
            "/\x00",
            "/\x01",
            "/a\tb",
            "\x00//evil.test",
            "/\t/evil.test/",
            "ht\ttp://evil.test/",
            "/\x7f",
            "http://evil\x0b.test/",
        ),
    ],
    ids=repr,
)
def test_a_location_that_is_no_safe_address_is_refused(session: EsriSession, handler_peer: StartHandler, location: str) -> None:
    peer = handler_peer(redirecting(302, location))
    with pytest.raises(RedirectRefusedError, match="cannot be followed") as caught:
        session.get(peer.url_for("/begin"))
    assert caught.value.response.status_code == 302
    assert str(caught.value).isprintable()
    assert len(peer.requests) == 1


def test_a_location_of_two_slashes_names_a_host(session: EsriSession, handler_peer: StartHandler) -> None:
    other = handler_peer(lambda request: Reply(200, body="other"))
    peer = handler_peer(redirecting(302, f"//localhost:{other.port}/end"))
    assert session.get(peer.url_for("/begin")).url == f"http://localhost:{other.port}/end"


def test_an_empty_location_is_the_same_page_and_comes_to_an_end(session: EsriSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(redirecting(302, ""))
    with pytest.raises(TooManyRedirectsError, match="loop"):
        session.get(peer.url_for("/begin"))
    assert len(peer.requests) == 31


def test_different_locations_are_refused(session: EsriSession, scripted_peer: StartScript) -> None:
    def script(connection: Connection) -> None:
        while True:
            connection.read_request()
            connection.send(answer(302, [("Location", "/one"), ("location", "/two")]))

    peer = scripted_peer(script)
    with pytest.raises(RedirectRefusedError, match="several places"):
        session.get(peer.url_for("/begin"))
    assert len(peer.requests) == 1


def test_the_same_location_twice_is_one(session: EsriSession, scripted_peer: StartScript) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(302, [("Location", "/one"), ("location", "/one")]))
        connection.read_request()
        connection.send(answer(200, body=b"one"))

    assert session.get(scripted_peer(script).url_for("/begin")).text == "one"


def test_a_location_with_user_info_gives_no_credentials(session: EsriSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(lambda request: Reply(302, {"Location": f"http://eve:evil@{request.headers['Host']}/end"})
                        if request.path == "/begin" else Reply(200))  # fmt: skip
    response = session.get(peer.url_for("/begin"), auth=("amy", "secret"))
    first, last = peer.requests
    assert last.headers["Authorization"] == first.headers["Authorization"]
    assert last.headers["Host"] == f"127.0.0.1:{peer.port}"
    assert "eve" not in last.target + response.url
    peer.requests.clear()
    session.get(peer.url_for("/begin"))
    assert "Authorization" not in peer.requests[1].headers


@pytest.mark.parametrize("status", ALL)
def test_a_step_up_to_https_on_the_same_host_keeps_method_and_body(handler_peer: StartHandler, ca: Any, status: int) -> None:
    secure = handler_peer(lambda request: Reply(200, body="secure"), tls=True)
    plain = handler_peer(redirecting(status, secure.url_for("/end")))
    with EsriSession(verify_cert=ca.file) as session:
        assert session.post(plain.url_for("/begin"), data={"where": "1=1"}).text == "secure"
    (request,) = secure.requests
    if status == 303:  # it says in so many words: get the result there
        assert (request.method, request.body) == ("GET", b"")
    else:
        assert (request.method, request.form) == ("POST", {"where": "1=1"})
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_another_host_or_a_step_down_changes_a_post(handler_peer: StartHandler, ca: Any) -> None:
    other = handler_peer(lambda request: Reply(200))
    secure = handler_peer(redirecting(302, other.url_for("/end")), tls=True)
    plain = handler_peer(redirecting(302, secure.url_for("/begin", host="localhost")))
    with EsriSession(verify_cert=ca.file) as session:
        session.post(plain.url_for("/begin"), data={"where": "1=1"})
    assert [request.method for request in (*plain.requests, *secure.requests, *other.requests)] == ["POST", "GET", "GET"]
    assert other.requests[0].body == b""


def test_an_endless_redirect_body_is_left_behind(session: EsriSession, scripted_peer: StartScript) -> None:
    def flood(connection: Connection) -> None:
        connection.read_request()
        connection.send(head_bytes(302, {"Location": "/end", "Transfer-Encoding": "chunked"}))
        while True:
            connection.send(chunk(b"x" * 65536))

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(200, body=b"here"))

    peer = scripted_peer([flood, serve])
    assert session.get(peer.url_for("/begin")).text == "here"
    assert peer.connections == 2


STALLS = {
    "chunked": {"Transfer-Encoding": "chunked"},
    "announced": {"Content-Length": "1000"},
    "announced without end": {"Content-Length": "1" + "0" * 15},
    "until closed": {"Connection": "close"},
}


@pytest.mark.parametrize("framing", STALLS)
def test_a_redirect_body_that_does_not_come_is_not_waited_for(
    session: EsriSession, scripted_peer: StartScript, framing: str
) -> None:
    def stall(connection: Connection) -> None:
        connection.read_request()
        connection.send(head_bytes(302, {"Location": "/end", **STALLS[framing]}))
        connection.wait()

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(200, body=b"here"))

    peer = scripted_peer([stall, serve])
    started = time.perf_counter()
    assert session.get(peer.url_for("/begin"), timeout=8).text == "here"
    assert time.perf_counter() - started < 4


def test_a_refused_redirect_with_a_long_body_leaves_no_connection_open(scripted_peer: StartScript) -> None:
    def flood(connection: Connection) -> None:
        connection.read_request()
        connection.send(head_bytes(302, {"Location": "/end", "Transfer-Encoding": "chunked"}))
        while True:
            connection.send(chunk(b"x" * 65536))

    peer = scripted_peer(flood)
    with EsriSession(allow_redirects=False) as session:
        with pytest.raises(RedirectRefusedError) as caught:
            session.get(peer.url_for("/begin"))
        peer.wait_until(lambda: peer.open_connections == 0)
        assert caught.value.response.status_code == 302


@pytest.mark.parametrize("size", [0, 10, 60_000])
def test_after_a_short_redirect_body_the_connection_is_used_again(
    session: EsriSession, handler_peer: StartHandler, size: int
) -> None:
    peer = handler_peer(redirecting(302, body=b"x" * size))
    for _ in range(3):
        assert session.get(peer.url_for("/begin")).text == "here"
    assert peer.connections == 1


def test_a_packed_redirect_body_is_not_unpacked(session: EsriSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(
        lambda request: (
            Reply(302, {"Location": "/end", "Content-Encoding": "gzip"}, b"no gzip at all")
            if request.path == "/begin"
            else Reply(200, body="here")
        )
    )
    assert session.get(peer.url_for("/begin")).text == "here"
    assert peer.connections == 1


def test_a_streamed_call_is_redirected_as_any_other(session: EsriSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(redirecting(302))
    with session.get(peer.url_for("/begin"), stream=True) as response:
        assert b"".join(response.iter_content()) == b"here"
        assert len(response.history) == 1


def test_a_query_from_params_is_not_carried_on(session: EsriSession, handler_peer: StartHandler) -> None:
    peer = handler_peer(redirecting(302))
    session.get(peer.url_for("/begin"), params={"where": "1=1"})
    assert [request.target for request in peer.requests] == ["/begin?where=1%3D1", "/end"]
