"""Auth objects written for other HTTP clients: callables that take a request and may hook its response."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
import requests.auth

from esri_http import BaseEsriAuth, EsriSession, SupportMultiAuth
from esri_http.auth.callables import CallableAuth, adopt
from esri_http.words.errors import BodyNotReplayableError, ConfigurationError, InvalidHeaderError

from ..support.http_messages import RecordedRequest, Reply, json_reply
from ..support.sessions import collect_garbage, idle_connections, on_threads

CONTENT_FIELDS = ("authorization", "content-type", "content-length", "x-signature", "x-added", "referer", "cookie")


def relevant(request: RecordedRequest) -> list[tuple[str, str]]:
    """What a handler could have a say in, of the header fields."""
    return sorted((name.lower(), value) for name, value in request.headers if name.lower() in CONTENT_FIELDS)


class DigestServer:
    """Digest (RFC 7616) with MD5 and qop=auth, checked in full. `answers` counts by status."""

    def __init__(self, password: str = "Circle of Life") -> None:
        self._password = password
        self._lock = threading.Lock()
        self._nonces = itertools.count(1)
        self._used: dict[str, set[str]] = {}
        self.challenges = 0

    def __call__(self, request: RecordedRequest) -> Reply:
        field = request.headers.get("Authorization") or ""
        with self._lock:
            if field.startswith("Digest ") and self._right(request, dict(re.findall(r'(\w+)="?([^",]+)"?', field[7:]))):
                return json_reply({"received": request.body_length})
            self.challenges += 1
            nonce = f"nonce{next(self._nonces)}"
            self._used[nonce] = set()
        challenge = f'Digest realm="gis", nonce="{nonce}", qop="auth", opaque="xyz", algorithm="MD5"'
        return Reply(401, {"WWW-Authenticate": challenge}, "who are you?")

    def _right(self, request: RecordedRequest, given: dict[str, str]) -> bool:
        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        used = self._used.get(given["nonce"])
        if used is None or given["nc"] in used or given["uri"] != request.target:
            return False
        ha1, ha2 = md5(f"Mufasa:gis:{self._password}"), md5(f"{request.method}:{request.target}")
        expected = md5(f"{ha1}:{given['nonce']}:{given['nc']}:{given['cnonce']}:auth:{ha2}")
        if expected == given["response"]:
            used.add(given["nc"])
            return True
        return False


@pytest.fixture
def digest(handler_peer: Any) -> Any:
    """A Digest server and its peer."""
    server = DigestServer()
    return server, handler_peer(server)


@pytest.fixture
def echo(handler_peer: Any) -> Any:
    """A server that gives the header fields back."""
    return handler_peer(lambda request: json_reply({name.lower(): value for name, value in request.headers}))


def mufasa(password: str = "Circle of Life") -> Any:
    """requests' own Digest."""
    return requests.auth.HTTPDigestAuth("Mufasa", password)


# -- the same bytes as requests --------------------------------------------------------------------------------------


class Signing(requests.auth.AuthBase):
    """Signs method, path and body, as request signing schemes do."""

    def __call__(self, r: Any) -> Any:
        body = r.body or b""
        text = body if isinstance(body, bytes) else body.encode()
        r.headers["X-Signature"] = hmac.new(b"key", f"{r.method} {r.path_url} ".encode() + text, "sha256").hexdigest()
        return r


class Rewriting(requests.auth.AuthBase):
    """Adds to the query and to a form body and puts all header fields anew, as OAuth 1 does."""

    def __call__(self, r: Any) -> Any:
        r.url += ("&" if "?" in r.url else "?") + "oauth_nonce=7"
        if isinstance(r.body, str):
            r.body += "&oauth_token=t"
            r.prepare_content_length(r.body)
        r.prepare_headers({**r.headers, "X-Added": "yes"})
        return r


OBJECTS = {
    "basic": lambda: requests.auth.HTTPBasicAuth("amy", "secret"),
    "digest": mufasa,
    "proxy": lambda: requests.auth.HTTPProxyAuth("amy", "secret"),
    "signing": Signing,
    "rewriting": Rewriting,
    "function": lambda: _add_field,
}
BODIES: dict[str, dict[str, Any]] = {
    "no body": {},
    "form": {"data": {"f": "json", "name": "a&b"}},
    "bytes": {"data": b"\x00\xff raw"},
    "json": {"json": {"a": [1, 2]}},
}


def _add_field(r: Any) -> Any:
    r.headers["X-Added"] = "yes"
    return r


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("body", BODIES)
def test_the_wire_carries_what_requests_would_send(digest: Any, monkeypatch: pytest.MonkeyPatch, kind: str, body: str) -> None:
    monkeypatch.setattr(requests.auth.os, "urandom", lambda size: b"r" * size)
    monkeypatch.setattr(requests.auth.time, "ctime", lambda: "now")
    server, peer = digest
    url = peer.url + "/dir/index.html?x=1"
    with requests.Session() as theirs:
        theirs.trust_env = False
        theirs.headers["Referer"] = "http"
        expected = theirs.post(url, auth=OBJECTS[kind](), **BODIES[body])
    sent_by_requests, peer.requests[:] = list(peer.requests), []
    server._nonces = itertools.count(1)
    with EsriSession() as ours:
        response = ours.post(url, auth=OBJECTS[kind](), **BODIES[body])
    assert response.status_code == expected.status_code
    assert len(peer.requests) == len(sent_by_requests)
    for mine, theirs_request in zip(peer.requests, sent_by_requests):
        assert (mine.method, mine.target) == (theirs_request.method, theirs_request.target)
        if body != "json":  # its white space is a matter of taste
            assert mine.body == theirs_request.body
            assert relevant(mine) == relevant(theirs_request)
    assert [len(earlier.content) for earlier in response.history] == [len(earlier.content) for earlier in expected.history]


def test_a_proxy_password_set_on_the_request_reaches_the_proxy(echo: Any, proxy_peer: Any) -> None:
    proxy = proxy_peer(credentials=("amy", "secret"))
    with EsriSession(proxies={"http": proxy.url}, auth=requests.auth.HTTPProxyAuth("amy", "secret")) as session:
        assert "proxy-authorization" not in session.get(echo.url).json()
    assert "Proxy-Authorization" in proxy.requests[0].headers


# -- digest ----------------------------------------------------------------------------------------------------------


def test_digest_answers_a_challenge_once_and_then_signs_in_advance(digest: Any) -> None:
    server, peer = digest
    with EsriSession(auth=mufasa()) as session:
        first = session.get(peer.url + "/a")
        assert first.ok
        assert [earlier.status_code for earlier in first.history] == [401]
        assert session.get(peer.url + "/b?x=1").history == []
        assert session.post(peer.url + "/c", data={"a": 1}).json() == {"received": 3}
        assert idle_connections(session) == 1
    assert (server.challenges, len(peer.requests), peer.connections) == (1, 4, 1)


@pytest.mark.parametrize("kind", ["file", "path", "bytes", "multipart"])
def test_digest_sends_a_body_again_from_its_beginning(digest: Any, tmp_path: Path, kind: str) -> None:
    _server, peer = digest
    file = tmp_path / "upload.bin"
    file.write_bytes(b"0123456789" * 1000)
    with EsriSession(auth=mufasa()) as session, file.open("rb") as opened:
        opened.seek(10)
        data: Any = {"file": opened, "path": file, "bytes": file.read_bytes()}.get(kind)
        if kind == "multipart":
            assert session.post(peer.url, files={"file": opened}).ok
        else:
            assert session.post(peer.url, data=data).json() == {"received": 9990 if kind == "file" else 10000}
    first, second = peer.requests
    assert first.body == second.body
    assert first.headers["Content-Length"] == second.headers["Content-Length"] == str(second.body_length)


def test_digest_with_a_body_that_can_be_read_once_is_a_clear_error_not_an_empty_upload(digest: Any) -> None:
    _server, peer = digest
    with EsriSession(auth=mufasa()) as session:
        with pytest.raises(BodyNotReplayableError):
            session.post(peer.url, data=iter([b"one", b"two"]))
        session.get(peer.url)
        assert session.post(peer.url, data=iter([b"one", b"two"])).json() == {"received": 6}
    assert [request.body_length for request in peer.requests if request.method == "POST"] == [6, 6]


def test_digest_with_a_wrong_password_ends_with_the_401_after_one_try(digest: Any) -> None:
    _server, peer = digest
    with EsriSession(auth=mufasa("wrong")) as session:
        assert session.get(peer.url).status_code == 401
        assert idle_connections(session) == 1
    assert len(peer.requests) == 2


def test_digest_on_eight_threads_answers_every_call(digest: Any) -> None:
    server, peer = digest
    all_there = threading.Barrier(8)  # a thread that were done before the last one begins would take its work, too

    def work(number: int) -> list[int]:
        all_there.wait(10)
        return [session.get(f"{peer.url}/{number}/{n}").status_code for n in range(10)]

    with EsriSession(auth=mufasa()) as session:
        answers = on_threads(8, work)
        assert answers == [[200] * 10] * 8
    assert server.challenges == 8  # its state is per thread
    assert peer.connections <= 16


def test_digest_of_a_streamed_answer_reads_nothing_in_advance(handler_peer: Any) -> None:
    server = DigestServer()

    def answer(request: RecordedRequest) -> Reply:
        reply = server(request)
        return Reply(200, {}, (b"x" * 65536 for _ in range(64))) if reply.status == 200 else reply

    peer = handler_peer(answer)
    with EsriSession(auth=mufasa()) as session, session.get(peer.url, stream=True) as response:
        assert idle_connections(session) == 0
        assert response._content is None
        assert sum(map(len, response.iter_content())) == 64 * 65536
        assert idle_connections(session) == 1


def test_digest_does_not_answer_the_challenge_of_a_foreign_host_after_a_redirect(handler_peer: Any) -> None:
    foreign = handler_peer(DigestServer())
    peer = handler_peer(lambda request: Reply(302, {"Location": foreign.url_for("/", host="localhost")}))
    with EsriSession(auth=mufasa()) as session:
        assert session.get(peer.url).status_code == 401
    assert ["Authorization" in request.headers for request in foreign.requests] == [False]


# -- hooks -----------------------------------------------------------------------------------------------------------


class Hooking(requests.auth.AuthBase):
    """Registers the hooks that it was given."""

    def __init__(self, *hooks: Any) -> None:
        self.hooks = hooks

    def __call__(self, r: Any) -> Any:
        for hook in self.hooks:
            r.register_hook("response", hook)
        return r


def once_more(response: Any, **kwargs: Any) -> Any:
    """Sends again after a 401, as NTLM and OAuth add-ons do."""
    if response.status_code != 401 or "X-Added" in response.request.headers:
        return response
    response.content  # noqa: B018 - as such hooks do, to free the connection
    response.raw.release_conn()
    request = response.request.copy()
    request.headers["X-Added"] = "yes"
    second = response.connection.send(request, **{**kwargs, "stream": False})
    second.history.append(response)
    second.request = request
    return second


@pytest.fixture
def picky(handler_peer: Any) -> Any:
    """A server that wants `X-Added`."""
    return handler_peer(lambda r: json_reply({"body": len(r.body)}, 200 if "X-Added" in r.headers else 401))


def test_a_hook_may_send_again_through_the_connection(picky: Any) -> None:
    with EsriSession(auth=Hooking(once_more)) as session:
        response = session.post(picky.url, data=b"body")
        assert response.json() == {"body": 4}
        assert [earlier.json() for earlier in response.history] == [{"body": 4}]
        assert (idle_connections(session), picky.connections) == (1, 1)
    assert [request.body for request in picky.requests] == [b"body"] * 2


def test_a_hook_that_leaves_the_first_answer_unread_loses_no_connection(picky: Any) -> None:
    def careless(response: Any, **_: Any) -> Any:
        request = response.request.copy()
        request.headers["X-Added"] = "yes"
        return response.connection.send(request)

    with EsriSession(auth=Hooking(careless)) as session:
        for _ in range(3):
            assert session.get(picky.url).json() == {"body": 0}
        assert idle_connections(session) == picky.connections == 2


def test_cookies_of_the_challenge_go_out_with_the_second_try(handler_peer: Any) -> None:
    def answer(request: RecordedRequest) -> Reply:
        if "X-Added" not in request.headers:
            return Reply(401, {"Set-Cookie": "affinity=node2"}, "no")
        return json_reply(request.headers.get("Cookie"))

    peer = handler_peer(answer)
    with EsriSession(auth=Hooking(once_more)) as session:
        assert session.get(peer.url, cookies={"mine": "1"}).json() == "mine=1; affinity=node2"


def test_hooks_stack_in_their_order_and_each_sees_what_the_one_before_made_of_it(picky: Any) -> None:
    seen: list[int] = []

    def look(response: Any, **_: Any) -> None:
        seen.append(response.status_code)

    with EsriSession(auth=Hooking(look, once_more, look)) as session:
        assert session.get(picky.url).ok
    assert seen == [401, 200]


def test_a_hook_may_answer_with_a_response_of_another_client(echo: Any, picky: Any) -> None:
    def elsewhere(response: Any, **_: Any) -> Any:
        return requests.get(echo.url, headers={"X-Mark": "theirs"}, timeout=5)

    with EsriSession(auth=Hooking(elsewhere)) as session:
        response = session.get(picky.url)
        assert response.json()["x-mark"] == "theirs"
        assert response.status_code == 200
        assert idle_connections(session) == 1


def test_a_hook_that_answers_with_something_else_is_told_so(picky: Any) -> None:
    says = "did not answer with a response, but with str"
    with EsriSession(auth=Hooking(lambda response, **_: "fine")) as session, pytest.raises(ConfigurationError, match=says):
        session.get(picky.url)
    collect_garbage()


def test_a_hook_sees_and_may_change_the_response_under_the_known_names(echo: Any) -> None:
    seen: dict[str, Any] = {}

    def look(response: Any, **_: Any) -> Any:
        seen.update(
            truth=bool(response), url=response.url, reason=response.reason, length=len(response.content),
            kind=response.headers["content-type"], method=response.request.method, path=response.request.path_url,
        )  # fmt: skip
        response.encoding = "latin-1"
        response.my_own_mark = 7
        assert response.my_own_mark == 7
        assert not hasattr(response, "no_such_thing")
        return response

    with EsriSession(auth=Hooking(look)) as session:
        response = session.get(echo.url + "/a?b=c")
    assert response.encoding == "latin-1"
    assert seen["path"] == "/a?b=c"
    assert seen["method"] == "GET"
    assert seen["truth"] is True
    assert seen["url"] == response.url
    assert seen["reason"] == "OK"
    assert seen["length"] == len(response.content)


@pytest.mark.parametrize("earlier", [(), (once_more,)])
def test_an_error_in_a_hook_comes_out_as_it_is_and_frees_the_connection(handler_peer: Any, earlier: tuple[Any, ...]) -> None:
    def fails(response: Any, **_: Any) -> Any:
        raise ZeroDivisionError

    peer = handler_peer(lambda r: Reply(200 if "X-Added" in r.headers else 401, {}, "x" * 1_000_000))
    session = EsriSession(auth=Hooking(*earlier, fails))
    with pytest.raises(ZeroDivisionError) as caught:
        session.get(peer.url, stream=True)
    peer.wait_until(lambda: len(peer._open) == 0)
    assert caught.tb is not None  # which holds on to the answer
    session.close()


def test_hooks_can_be_taken_back_and_only_responses_are_hooked(echo: Any) -> None:
    def auth(r: Any) -> Any:
        r.register_hook("response", [once_more, print])
        assert r.deregister_hook("response", print) is True
        assert r.deregister_hook("response", print) is False
        with pytest.raises(ConfigurationError, match="no hook 'request'"):
            r.register_hook("request", print)
        return r

    with EsriSession(auth=auth) as session:
        assert session.get(echo.url).ok


def test_only_a_copy_of_the_hooked_request_can_be_sent_again(picky: Any) -> None:
    def hook(response: Any, **_: Any) -> Any:
        return response.connection.send(requests.Request("GET", picky.url).prepare())

    with EsriSession(auth=Hooking(hook)) as session, pytest.raises(ConfigurationError, match=r"response\.request"):
        session.get(picky.url)


# -- what a callable may do with the request -------------------------------------------------------------------------


def test_it_must_return_the_request(echo: Any) -> None:
    with EsriSession(auth=lambda request: None) as session, pytest.raises(ConfigurationError, match="must return the request"):
        session.get(echo.url)
    assert echo.requests == []


def test_it_may_not_send_the_request_elsewhere(echo: Any) -> None:
    def auth(r: Any) -> Any:
        r.url = "http://evil.example/"
        return r

    with EsriSession(auth=auth) as session, pytest.raises(ConfigurationError, match="another origin"):
        session.get(echo.url)
    assert echo.requests == []


@pytest.mark.parametrize("method", ["GE T", "GET / HTTP/1.1\r\nX: y\r\n\r\n", "", None, b"GET", 5])
def test_a_method_that_is_none_is_told_and_no_server_blamed_for_it(echo: Any, method: Any) -> None:
    def change(request: Any) -> Any:
        request.method = method
        return request

    with EsriSession(auth=change) as session, pytest.raises(InvalidHeaderError, match="not an HTTP method") as caught:
        session.get(echo.url)
    assert "\n" not in str(caught.value)
    assert echo.requests == []


@pytest.mark.parametrize("hooks, calls", [(None, 0), ({}, 0), ({"response": None}, 0), ("one", 1), ("two", 2)])
def test_hooks_may_be_set_anew_as_other_clients_let_one(echo: Any, hooks: Any, calls: int) -> None:
    seen: list[Any] = []

    def look(response: Any, **_: Any) -> None:
        seen.append(response)

    given = {"one": {"response": look}, "two": {"response": (look, look)}}[hooks] if isinstance(hooks, str) else hooks

    def change(request: Any) -> Any:
        request.hooks = given
        return request

    with EsriSession(auth=change) as session:
        assert session.get(echo.url).ok
    assert len(seen) == calls


def test_a_hook_that_cannot_be_called_is_told_so_before_anything_is_sent(echo: Any) -> None:
    def change(request: Any) -> Any:
        request.hooks = {"response": [5]}
        return request

    with EsriSession(auth=change) as session, pytest.raises(ConfigurationError, match="hooks"):
        session.get(echo.url)
    assert echo.requests == []


def test_it_may_give_a_body_to_a_request_without_one(handler_peer: Any) -> None:
    def auth(r: Any) -> Any:
        assert r.body is None
        r.body = b"signed"
        return r

    peer = handler_peer(lambda request: Reply(200, {}, request.body))
    with EsriSession(auth=auth) as session:
        assert session.post(peer.url).text == "signed"
    assert peer.requests[0].headers.get_all("Content-Length") == ["6"]


def test_what_it_does_to_one_request_is_not_seen_by_the_next(echo: Any) -> None:
    calls = itertools.count(1)

    def auth(r: Any) -> Any:
        r.headers[f"X-Call-{next(calls)}"] = "1"
        return r

    with EsriSession(auth=auth) as session:
        session.get(echo.url)
        second = session.get(echo.url).json()
    assert "x-call-1" not in second
    assert "x-call-2" in second


def test_a_line_break_in_a_header_is_refused_as_everywhere(echo: Any) -> None:
    from esri_http.words.errors import InvalidHeaderError

    def auth(r: Any) -> Any:
        r.headers["X-Bad"] = "a\r\nX-Injected: 1"
        return r

    with EsriSession(auth=auth) as session, pytest.raises(InvalidHeaderError):
        session.get(echo.url)
    assert echo.requests == []


# -- our base class in both styles -----------------------------------------------------------------------------------


class CommonStyle(BaseEsriAuth):
    """Overrides `__call__` and `response_hook`, as handlers for the peer do."""

    def __init__(self) -> None:
        self.hooked = 0

    def __call__(self, request: Any) -> Any:
        request.headers["X-Esri-Authorization"] = "Bearer common"
        request.register_hook("response", self.response_hook)
        return request

    def response_hook(self, response: Any, **kwargs: Any) -> Any:
        self.hooked += 1
        return once_more(response, **kwargs)

    @property
    def token(self) -> str:
        return "common"


class PeersStyle(requests.auth.AuthBase, SupportMultiAuth):
    """As the handlers of the peer are: a requests handler that can be chained."""

    def __call__(self, r: Any) -> Any:
        r.headers["X-Added"] = "yes"
        return r


def test_a_subclass_in_the_common_style_signs_and_hooks(picky: Any) -> None:
    auth = CommonStyle()
    with EsriSession(auth=auth) as session:
        assert session.get(picky.url).ok
        assert session.auth.token == "common"
    assert auth.hooked == 1
    assert [request.headers["X-Esri-Authorization"] for request in picky.requests] == ["Bearer common"] * 2


def test_both_styles_chain_with_plus(picky: Any) -> None:
    for chain in (CommonStyle() + PeersStyle(), PeersStyle() + CommonStyle(), PeersStyle() & ("amy", "secret")):
        with EsriSession(auth=chain) as session:
            assert session.get(picky.url).ok


def test_the_right_handlers_second_try_goes_through_the_left_handler(picky: Any) -> None:
    calls: list[str] = []

    def left(r: Any) -> Any:
        calls.append(r.headers.get("X-Added", "no"))
        r.headers["X-Left"] = "yes"
        return r

    with EsriSession(auth=CallableAuth(left) + Hooking(once_more)) as session:
        assert session.get(picky.url).ok
    assert calls == ["no", "yes"]
    assert [request.headers["X-Left"] for request in picky.requests] == ["yes", "yes"]


def test_a_handler_without_a_style_of_its_own_does_nothing(echo: Any) -> None:
    with EsriSession(auth=BaseEsriAuth()) as session:
        assert "x-esri-authorization" not in session.get(echo.url).json()
        assert session.auth.token is None


@pytest.mark.parametrize("auth", [3, "amy", ("amy",), ("a", "b", "c"), {"user": "amy"}])
def test_what_is_no_handler_is_refused_at_once(auth: Any) -> None:
    with pytest.raises(ConfigurationError, match="auth="):
        EsriSession(auth=auth)


def test_adopting_leaves_ours_alone_and_names_the_wrapped_class_without_its_secrets() -> None:
    ours = BaseEsriAuth()
    assert adopt(ours) is ours
    adopted = adopt(requests.auth.HTTPBasicAuth("amy", "s3cret"))
    assert repr(adopted) == "CallableAuth(HTTPBasicAuth)"
    assert adopted.token is None
