"""A password that is set while requests are under way: what servers said of the old one is not held against the new one."""

from __future__ import annotations

import io
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import (
    ArcGISLoginError,
    EsriBasicAuth,
    EsriDigestAuth,
    EsriGuessAuth,
    EsriHttpNtlmAuth,
    EsriSession,
    ProxyAuth,
)
from esri_http.auth.web_tier import standing
from esri_http.auth.web_tier.basic import basic_field
from esri_http.words.errors import ConfigurationError, ProxyError

from ..support.digest_server import DigestServer
from ..support.http_messages import RecordedRequest, Reply, json_reply
from ..support.ntlm_server import NtlmServer, known_users
from ..support.plumbing import PATIENCE
from ..support.proxy_sign_in import DigestProxy, refusal, seen_by_server
from ..support.sessions import collect_garbage, on_threads

THREADS = 8


@pytest.fixture(autouse=True)
def users(no_realm: None, tmp_path: Path) -> Iterator[None]:
    """The acceptors of NTLM know their users."""
    with known_users(tmp_path):
        yield


class Gate:
    """Holds up what goes through it until it is opened, and says when something has come."""

    def __init__(self) -> None:
        self.came, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.came.set()
        assert self.opened.wait(PATIENCE)

    def set_password(self, auth: Any, password: str, work: Callable[[], Any], threads: int = 1) -> list[Any]:
        """What `work` returns, on `threads`; as soon as something is held up, `auth` gets the `password`."""

        def change() -> None:
            assert self.came.wait(PATIENCE)
            auth.password = password
            self.opened.set()

        changing = threading.Thread(target=change)
        changing.start()
        try:
            return list(on_threads(threads, lambda _: work()))
        finally:
            changing.join()


class Digest:
    """Wants Digest; what is signed goes through the gate first."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.server = gate, DigestServer()

    def __call__(self, request: RecordedRequest) -> Reply:
        if request.headers.get("Authorization"):
            self.gate()
        return self.server(request)


def ntlm_at(gate: Gate, leg: int) -> Any:
    """An NTLM server where messages of that `leg` go through the gate first."""

    def hold(request: RecordedRequest, number: int) -> None:
        if number == leg:
            gate()

    return NtlmServer(("NTLM",), fault=hold)


@pytest.mark.parametrize("make", [EsriDigestAuth, EsriGuessAuth])
def test_digest_goes_on_with_the_password_that_is_set(handler_peer: Any, make: Any) -> None:
    gate = Gate()
    site = Digest(gate)
    peer, auth = handler_peer(site), make(None, "amy", "wr0ng")
    with EsriSession(auth, retries=0) as session:
        assert gate.set_password(auth, "secret", lambda: session.get(peer.url).status_code, THREADS) == [200] * THREADS
        assert session.get(peer.url).ok
    assert site.server.refused == 1


@pytest.mark.parametrize("leg", [1, 3])
@pytest.mark.parametrize("make", [EsriHttpNtlmAuth, EsriGuessAuth])
def test_ntlm_goes_on_with_the_password_that_is_set(handler_peer: Any, make: Any, leg: int) -> None:
    gate = Gate()
    server = ntlm_at(gate, leg)
    peer, auth = handler_peer(server), make(None, "AD\\amy", "wr0ng")
    with EsriSession(auth, retries=0) as session:
        got = gate.set_password(auth, "amys-secret", lambda: session.get(peer.url).json()["user"], THREADS)
        assert got == ["amy"] * THREADS
        assert session.get(peer.url).ok
    assert server.refused <= 1


def test_that_the_old_password_was_good_does_not_vouch_for_the_new_one(handler_peer: Any) -> None:
    gate = Gate()
    shown: list[str] = []
    good = "Basic YW15Omdvb2Q="

    def answer(request: RecordedRequest) -> Reply:
        field = request.headers.get("Authorization", "")
        if field == good:
            gate()
            return json_reply({})
        shown.append(field)
        return Reply(401, {"WWW-Authenticate": "Basic"}, "")

    peer, auth = handler_peer(answer), EsriBasicAuth(None, "amy", "good")

    def refused(_: int) -> str:
        with pytest.raises(ArcGISLoginError) as caught:
            session.get(peer.url)
        return type(caught.value).__name__

    with EsriSession(auth, retries=0) as session:
        assert gate.set_password(auth, "wr0ng", lambda: session.get(peer.url).status_code) == [200]
        assert on_threads(THREADS, refused) == ["ArcGISLoginError"] * THREADS
    assert len(shown) == 1


def test_what_one_scheme_refused_is_shown_by_no_other_in_another_web_adaptor(handler_peer: Any, ca: Any) -> None:
    strong, shown = DigestServer(), []

    def answer(request: RecordedRequest) -> Reply:
        if request.path.startswith("/a/"):
            return strong(request)
        shown.append(request.headers.get("Authorization"))
        return Reply(401, {"WWW-Authenticate": 'Basic realm="x"'}, "")

    peer = handler_peer(answer, tls=True)
    with EsriSession(EsriGuessAuth(None, "amy", "wr0ng"), retries=0, ca_bundles=ca.file) as session:
        for path in ("a/x", "b/x", "b/y", "a/y"):
            with pytest.raises(ArcGISLoginError, match="Digest"):
                session.get(f"{peer.url}/{path}")
    assert strong.refused == 1
    assert not any(shown)


def test_a_body_that_another_thread_feeds_from_the_same_session_is_sent(handler_peer: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(standing, "_LONGEST_TURN_SECONDS", 0.2)

    def answer(request: RecordedRequest) -> Reply:
        if request.headers.get("Authorization"):
            return json_reply(request.body_length)
        return Reply(401, {"WWW-Authenticate": "Basic"}, "")

    peer = handler_peer(answer)
    pieces: queue.Queue[bytes] = queue.Queue()
    with EsriSession(EsriBasicAuth(None, "amy", "good"), retries=0) as session:

        def body() -> Iterator[bytes]:
            feeding = threading.Thread(target=lambda: pieces.put(session.get(f"{peer.url}/source").content))
            feeding.start()
            yield pieces.get(timeout=PATIENCE)
            feeding.join()

        assert session.post(f"{peer.url}/sink", data=body()).json() == len(b"0")


def test_a_digest_proxy_is_asked_with_the_password_that_is_set(handler_peer: Any, proxy_peer: Any) -> None:
    gate, asks = Gate(), DigestProxy()

    def intercept(request: RecordedRequest) -> Any:
        if request.headers.get("Proxy-Authorization"):
            gate()
        return asks.intercept(request)

    peer, proxy = handler_peer(lambda _: json_reply({})), proxy_peer(intercept=intercept)
    auth = ProxyAuth("amy", "wr0ng")
    with EsriSession(proxies={"all": proxy.url}, proxy_auth=auth, retries=0) as session:
        assert gate.set_password(auth, "secret", lambda: session.get(peer.url).status_code) == [200]
        assert session.get(peer.url).ok
    assert asks.refused == 1


def test_a_new_password_for_basic_is_not_refused_with_the_old_one_of_many_threads(handler_peer: Any, proxy_peer: Any) -> None:
    gate, taken, fields = Gate(), ["good"], {word: basic_field("amy", word) for word in ("good", "better")}

    def intercept(request: RecordedRequest) -> Any:
        field = request.headers.get("Proxy-Authorization")
        if field == fields["good"] and taken == ["better"]:
            arrived.wait(PATIENCE)
            gate()
        return None if field == fields[taken[0]] else Reply(407, {"Proxy-Authenticate": 'Basic realm="x"'}, "")

    peer, proxy = handler_peer(lambda _: json_reply({})), proxy_peer(intercept=intercept)
    arrived = threading.Barrier(THREADS)  # all of them show the old one
    auth = ProxyAuth("amy", "good")
    with EsriSession(proxies={"all": proxy.url}, proxy_auth=auth, retries=0) as session:
        assert session.get(peer.url).ok
        taken[0] = "better"
        assert gate.set_password(auth, "better", lambda: session.get(peer.url).status_code, THREADS) == [200] * THREADS
        assert session.get(peer.url).ok


def test_an_ntlm_proxy_is_asked_with_the_password_that_is_set(proxy_peer: Any) -> None:
    gate = Gate()
    server = ntlm_at(gate, 3)

    def intercept(request: RecordedRequest) -> Reply:
        reply = server(seen_by_server(request))
        return refusal(reply) if reply.status == 401 else reply

    proxy, auth = proxy_peer(intercept=intercept), EsriHttpNtlmAuth(None, "AD\\amy", "wr0ng")
    with EsriSession(proxies={"all": proxy.url}, proxy_auth=auth, retries=0) as session:
        got = gate.set_password(auth, "amys-secret", lambda: session.get("http://gis.example.com/x").json()["user"])
        assert got == ["amy"]
        assert session.get("http://gis.example.com/x").ok
    assert server.refused == 1


@pytest.mark.parametrize("scheme", ["basic", "digest", "ntlm"])
def test_each_wrong_password_for_a_proxy_is_shown_once_by_many_threads(proxy_peer: Any, scheme: str) -> None:
    digest, ntlm = DigestProxy(), NtlmServer()
    shown: list[str] = []

    def intercept(request: RecordedRequest) -> Any:
        field = request.headers.get("Proxy-Authorization", "")
        if scheme == "digest":
            shown.extend([field] * field.startswith("Digest"))
            return digest.intercept(request)
        if scheme == "ntlm":
            before = ntlm.refused
            reply = refusal(ntlm(seen_by_server(request)))
            shown.extend([field] * (ntlm.refused - before))
            return reply
        shown.extend([field] * bool(field))
        return Reply(407, {"Proxy-Authenticate": 'Basic realm="x"'}, "")

    auth = EsriHttpNtlmAuth(None, "AD\\amy", "first") if scheme == "ntlm" else ProxyAuth("amy", "first")

    def refused(_: int) -> None:
        with pytest.raises(ProxyError, match="refuses the sign-in|refuses that of"):
            session.get("http://gis.example.com/x")

    proxy = proxy_peer(intercept=intercept)
    with EsriSession(proxies={"all": proxy.url}, proxy_auth=auth, retries=0) as session:
        for number, password in enumerate(("first", "second", "third"), 1):
            auth.password = password  # type: ignore[assignment]
            on_threads(THREADS, refused)
            assert len(shown) == number


@pytest.mark.parametrize("scheme", ["basic", "digest", "basic in the address"])
def test_that_a_proxy_let_a_request_pass_unasked_does_not_vouch_for_a_password(
    proxy_peer: Any, handler_peer: Any, scheme: str
) -> None:
    digest, shown, together = DigestProxy(), [], threading.Barrier(THREADS)

    def intercept(request: RecordedRequest) -> Any:
        field = request.headers.get("Proxy-Authorization", "")
        if request.target.endswith("/open"):
            return None
        shown.extend([field] * bool(field))
        if not field:
            together.wait(PATIENCE)  # all of them are asked before any has an answer
        return digest.intercept(request) if scheme == "digest" else Reply(407, {"Proxy-Authenticate": 'Basic realm="x"'}, "")

    def refused(_: int) -> None:
        with pytest.raises(ProxyError, match="refuses that of"):
            session.get(peer.url_for("/closed", host="localhost"))

    peer, proxy = handler_peer(lambda request: Reply(200)), proxy_peer(intercept=intercept)
    address = proxy.url.replace("://", "://amy:wr0ng@") if "address" in scheme else proxy.url
    with EsriSession(proxies={"all": address}, proxy_auth=("amy", "wr0ng"), retries=0) as session:
        assert session.get(peer.url + "/open").ok
        on_threads(THREADS, refused)
    assert len(shown) == 1 + ("address" in scheme)  # what passed before is refused for good at the second time


class Upload(io.BytesIO):
    """A body that can be watched."""


@pytest.mark.parametrize("make", [EsriBasicAuth, EsriDigestAuth, EsriHttpNtlmAuth])
def test_a_refusal_that_is_remembered_keeps_no_request_in_memory(handler_peer: Any, make: Any) -> None:
    servers = {EsriDigestAuth: DigestServer(), EsriHttpNtlmAuth: NtlmServer()}
    peer = handler_peer(servers.get(make, lambda request: Reply(401, {"WWW-Authenticate": "Basic"})))
    upload = Upload(b"large")
    watched = weakref.ref(upload)
    with EsriSession(auth=make(None, "amy", "not-the-word")) as session:
        with pytest.raises(ArcGISLoginError):
            session.post(peer.url, data=upload)
        del upload
        collect_garbage()
        assert watched() is None


def test_a_refusal_by_the_domain_keeps_no_request_in_memory_either() -> None:
    known, upload = standing.Standing(), Upload(b"large")
    watched = weakref.ref(upload)

    def send(body: Upload) -> None:
        try:
            raise ArcGISLoginError("The domain refuses the credentials.")
        except ArcGISLoginError as error:
            known.refused_everywhere(error)

    send(upload)
    del upload
    collect_garbage()
    assert watched() is None


class ChangedInBetween(EsriBasicAuth):
    """Basic that gets its new password at the very moment when a request has taken the old one."""

    is_waiting = True

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == "_field" and self.is_waiting:
            self.is_waiting = False
            self.password = "amys-secret"
        return value


def test_a_request_that_took_the_old_basic_password_does_not_send_it_as_the_new_one(handler_peer: Any) -> None:
    good = basic_field("amy", "amys-secret")

    def answer(request: RecordedRequest) -> Reply:
        signed = request.headers["Authorization"] == good
        return Reply(200, {}, "fine") if signed else Reply(401, {"WWW-Authenticate": "Basic"})

    peer = handler_peer(answer)
    with EsriSession(auth=ChangedInBetween(None, "amy", "not-the-word")) as session:
        assert [session.get(peer.url).text for _ in range(2)] == ["fine", "fine"]
    assert len(peer.requests) == 2


@pytest.mark.parametrize("value", [None, 5, b"bytes"])
@pytest.mark.parametrize("make", [EsriBasicAuth, EsriDigestAuth, EsriHttpNtlmAuth, EsriGuessAuth])
def test_a_password_that_is_no_text_is_refused_and_changes_nothing(make: Any, value: Any) -> None:
    auth = make(None, "amy", "amys-secret")
    with pytest.raises(ConfigurationError, match="as text"):
        auth.password = value
    assert auth._password == "amys-secret"


@pytest.mark.parametrize("value", [None, 5, b"bytes"])
def test_a_proxy_password_that_is_no_text_is_refused_and_changes_nothing(value: Any) -> None:
    auth = ProxyAuth("amy", "amys-secret")
    with pytest.raises(ConfigurationError, match="as text"):
        auth.password = value
    assert auth.credentials() == ("amy", "amys-secret")


@pytest.mark.parametrize("make", [EsriBasicAuth, EsriDigestAuth])
def test_that_an_open_page_was_answered_does_not_vouch_for_a_password(handler_peer: Any, make: Any) -> None:
    shown: list[str] = []

    def site(request: RecordedRequest) -> Reply:
        field = request.headers.get("Authorization")
        if request.path.startswith("/open"):
            return Reply(200, body="for everybody")
        if field:
            shown.append(field)
        return Reply(401, [("WWW-Authenticate", 'Basic realm="gis"'), ("WWW-Authenticate", 'Digest realm="gis", nonce="n"')])

    peer, auth = handler_peer(site), make(None, "amy", "wr0ng")
    with EsriSession(auth, retries=0) as session:
        assert session.get(peer.url + "/open/page").ok

        def ask(number: int) -> None:
            with pytest.raises(ArcGISLoginError):
                session.get(f"{peer.url}/server/{number}")

        on_threads(THREADS, ask, range(THREADS))
        assert session.get(peer.url + "/open/page", drop_auth=True).ok
    assert len(shown) <= 2  # on the path that came first; and once more, as the origin had taken it
