"""The settings of a session: the names that users know, checked at once, readable, settable, and obeyed at once."""

from __future__ import annotations

import inspect
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from esri_http import EsriBasicAuth, EsriSession
from esri_http.words import errors
from esri_http.words.settings import NetworkSettings, TlsSettings
from esri_http.words.urls import split_url

from ..support.certificates import CertificateAuthority
from ..support.http_messages import RecordedRequest, Reply, json_reply
from ..support.peers import HandlerPeer

MakeHandler = Callable[..., HandlerPeer]


def answer_ok(request: RecordedRequest) -> Reply:
    return Reply(body="ok")


@pytest.fixture
def peer(handler_peer: MakeHandler) -> HandlerPeer:
    """A server that likes everything."""
    return handler_peer(answer_ok)


# -- the constructor ---------------------------------------------------------------------------------------------------


def test_the_constructor_takes_what_the_users_document_says_in_its_order() -> None:
    parameters = inspect.signature(EsriSession).parameters
    positional = [name for name, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD]
    assert positional == ["auth", "cert", "verify_cert", "allow_redirects", "headers", "referer"]
    defaults = [parameters[name].default for name in positional]
    assert defaults == [None, None, True, True, None, "http"]


def test_every_documented_keyword_is_taken() -> None:
    made = EsriSession(
        auth=None, cert=None, verify_cert=True, allow_redirects=False, headers={"X-Mine": "1"}, referer="https://me.example",
        trust_env=False, stream=True, check_hostname=False, retries=2, backoff_factor=0.5, status_to_retry=(503,),
        method_whitelist=["GET"], proxies={"https": "http://proxy.example:8080"}, timeout=(1, 2), deadline=3,
        ca_bundles="/ca.pem", server_hostname="gis.example.com", max_url_length=100, trusted_origins=["https://gis.example.com"],
    )  # fmt: skip
    assert (made.allow_redirects, made.stream, made.trust_env, made.check_hostname) == (False, True, False, False)
    assert (made.timeout, made.deadline, made.max_url_length) == ((1, 2), 3, 100)
    assert (made.referer, made.headers["x-mine"], made.ca_bundles) == ("https://me.example", "1", "/ca.pem")
    assert made.proxies == {"https": "http://proxy.example:8080"}


@pytest.mark.parametrize("name", ["check_hostname", "assert_hostname", "trust_env"])
def test_a_switch_that_says_nothing_switches_nothing_off(name: str) -> None:
    made = EsriSession(**{name: None})
    assert getattr(made, name) is True
    setattr(made, name, False)
    assert getattr(made, name) is False
    setattr(made, name, None)
    assert getattr(made, name) is True


def test_without_settings_time_outs_are_finite_and_everything_is_verified() -> None:
    made = EsriSession()
    assert (made.timeout, made.deadline) == ((10, 60), 600)
    assert (made.verify_cert, made.check_hostname, made.trust_env) == (True, True, True)
    assert (made.auth, made.cert, made.ca_bundles, made.proxies) == (None, None, None, {})
    assert (made.referer, made.stream, made.allow_redirects, made.max_url_length) == ("http", False, True, 2000)


@pytest.mark.parametrize(
    "alias, value, name",
    [("verify", False, "verify_cert"), ("ca_bundle", "/ca.pem", "ca_bundles"), ("assert_hostname", False, "check_hostname")],
)
def test_the_names_of_other_generations_mean_the_same(alias: str, value: Any, name: str) -> None:
    made = EsriSession(**{alias: value})
    assert getattr(made, name) == getattr(made, alias) == value
    setattr(made, alias, getattr(EsriSession(), name))
    assert getattr(made, name) == getattr(EsriSession(), name)


@pytest.mark.parametrize(
    "keywords",
    [
        {"verify": True, "verify_cert": False},
        {"ca_bundle": "/a", "ca_bundles": "/b"},
        {"assert_hostname": True, "check_hostname": False},
    ],
)
def test_two_names_for_one_setting_are_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="same setting"):
        EsriSession(**keywords)


@pytest.mark.parametrize(
    "misspelt, meant",
    [
        ("verify_certs", "verify_cert"),
        ("timeuot", "timeout"),
        ("proxy", "proxies"),
        ("retry", "retries"),
        ("ca_bundel", "ca_bundle"),
        ("check_hostnames", "check_hostname"),
        ("header", "headers"),
        ("trust_environment", "trust_env"),
    ],
)
def test_an_unknown_keyword_is_refused_with_the_nearest_name(misspelt: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"'{misspelt}'; did you mean '{meant}'\?"):
        EsriSession(**{misspelt: True})


def test_an_unknown_keyword_that_is_near_nothing_is_refused_all_the_same() -> None:
    with pytest.raises(TypeError, match="'qqqq'$"):
        EsriSession(qqqq=1)


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    "keywords",
    [
        *[
            {"timeout": value}
            for value in (0, -1, "5", True, NAN, INFINITE, 1e300, (1, 2, 3), (0, 1), (1, -1), (), (1, "2"), {})
        ],
        *[{"deadline": value} for value in (0, -1, "5", True, NAN, INFINITE)],
        *[{"retries": value} for value in (-1, 1.5, "3", True, urllib3.Retry)],
        *[{"backoff_factor": value} for value in (-0.1, "1", True, NAN)],
        *[{"status_to_retry": value} for value in (503, "503", "abc", ("x",), [None], [INFINITE])],
        *[{"method_whitelist": value} for value in (1, "GET", (1,), [None])],
        *[{"max_url_length": value} for value in (0, -1, "2000", True, 1.5)],
        *[{"verify_cert": value} for value in (1, 0, 1.0, [], b"x", object)],
        *[{"ca_bundles": value} for value in (5, [5], True, {"a": 1})],
        *[{"cert": value} for value in (5, True, (), ("",), (1, 2))],
        *[
            {"server_hostname": value}
            for value in (5, ["a"], {"10.0.0.7": 5}, {5: "a"}, "a b", "a\r\nb", "https://gis.example.com", True)
        ],
        *[{"proxies": value} for value in ("http://p:1", {"https": 1}, {"htps": "http://p:1"})],
        {"auth": 5},
        {"auth": ("amy", "s3cret", "more")},
    ],
    ids=repr,
)
def test_a_value_that_cannot_work_is_refused_at_once(keywords: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        EsriSession(**keywords)
    (name,) = keywords
    assert f"{name}=" in str(caught.value) or name in ("proxies", "cert", "ca_bundles", "verify_cert")
    assert "s3cret" not in str(caught.value)


def test_a_proxy_that_is_named_twice_is_the_last_one_that_was_named() -> None:
    with EsriSession(proxies={"HTTP": None, "http": "http://p.example:1"}) as session:
        assert session.proxies == {"http": "http://p.example:1"}


@pytest.mark.parametrize("headers", [{"X": "a\r\nb"}, {"a b": "c"}, {"X": 5}, {"X": "\u20ac"}])
def test_headers_that_cannot_be_sent_are_refused_at_once(headers: Any) -> None:
    with pytest.raises(errors.InvalidHeaderError):
        EsriSession(headers=headers)
    made = EsriSession()
    with pytest.raises(errors.InvalidHeaderError):
        made.headers = headers
    with pytest.raises(errors.InvalidHeaderError):
        made.update_headers(headers)
    with pytest.raises(errors.InvalidHeaderError):
        made.headers.update(headers)
    assert "X" not in made.headers


def test_a_referer_that_cannot_be_sent_is_refused_at_once() -> None:
    for referer in ("a\r\nb", 5):
        with pytest.raises(errors.InvalidHeaderError):
            EsriSession(referer=referer)  # type: ignore[arg-type]


def test_origins_that_are_none_are_refused_at_once() -> None:
    for origins in (["gis.example.com"], "gis.example.com", ["ftp://gis.example.com"], [""]):
        with pytest.raises(errors.InvalidUrlError):
            EsriSession(trusted_origins=origins)
    assert EsriSession(trusted_origins="https://a.example").trusted_origins == (
        EsriSession(trusted_origins=["https://a.example/path", "https://A.example:443"]).trusted_origins
    )


@pytest.mark.parametrize(
    "name, bad",
    [
        ("timeout", 0), ("proxies", "x"), ("verify_cert", 1), ("ca_bundles", 5), ("cert", 5), ("auth", 5),
        ("deadline", -1), ("deadline", "x"), ("deadline", float("nan")), ("max_url_length", 0), ("max_url_length", "x"),
        ("trusted_origins", 5), ("trusted_origins", ["gis.example.com"]),
    ],
)  # fmt: skip
def test_a_setter_refuses_what_the_constructor_refuses_and_changes_nothing(peer: HandlerPeer, name: str, bad: Any) -> None:
    with EsriSession() as made:
        before = getattr(made, name)
        with pytest.raises((errors.ConfigurationError, errors.InvalidUrlError)):
            setattr(made, name, bad)
        assert getattr(made, name) == before
        assert made.get(peer.url).ok


@pytest.mark.parametrize(
    "keywords",
    [
        {"timeout": 0}, {"deadline": -1}, {"deadline": "x"}, {"verify": 5}, {"cert": 5}, {"proxies": "x"}, {"auth": 5},
        {"proxies": {"htps": "http://p:1"}}, {"proxies": {"http": "gopher://p:1"}}, {"ahead": -1}, {"ahead": "5"},
        {"ahead": 1.5}, {"ahead": True},
    ],
    ids=repr,
)  # fmt: skip
def test_a_call_refuses_what_the_constructor_refuses(peer: HandlerPeer, keywords: dict[str, Any]) -> None:
    with EsriSession() as made:
        with pytest.raises(errors.ConfigurationError):
            made.get(peer.url, **keywords)
        assert made.get(peer.url).ok
    assert len(peer.requests) == 1


# -- properties --------------------------------------------------------------------------------------------------------


def test_every_documented_property_can_be_read_and_set(ca: CertificateAuthority) -> None:
    made = EsriSession()
    amy = ca.client()
    handler = EsriBasicAuth(None, "amy", "x")
    for name, value, read in (
        ("auth", handler, handler),
        ("auth", None, None),
        ("ca_bundles", ca.file, ca.file),
        ("ca_bundles", Path(ca.file), ca.file),
        ("ca_bundles", [ca.file, ca.stranger_file], (ca.file, ca.stranger_file)),
        ("ca_bundles", None, None),
        ("cert", (amy.cert_file, amy.key_file), (amy.cert_file, amy.key_file)),
        ("cert", amy.combined_file, (amy.combined_file, None)),
        ("cert", None, None),
        ("headers", {"X-One": "1"}, {"x-one": "1"}),
        ("proxies", {"HTTPS": "http://p.example:1"}, {"https": "http://p.example:1"}),
        ("proxies", None, {}),
        ("referer", "https://me.example", "https://me.example"),
        ("referer", None, None),
        ("stream", True, True),
        ("trust_env", False, False),
        ("verify_cert", False, False),
        ("verify_cert", ca.file, ca.file),
        ("verify_cert", Path(ca.file), ca.file),
        ("verify_cert", None, True),
        ("check_hostname", False, False),
        ("timeout", 5, (5, 5)),
        ("timeout", (1.5, None), (1.5, None)),
        ("timeout", None, (None, None)),
        ("allow_redirects", False, False),
        ("deadline", 5, 5),
        ("deadline", None, None),
        ("max_url_length", 100, 100),
        ("max_url_length", None, None),
        ("trusted_origins", "https://a.example/x", frozenset({split_url("https://a.example").origin})),
        ("trusted_origins", EsriSession(trusted_origins=["https://a.example"]).trusted_origins,
         frozenset({split_url("https://a.example").origin})),
        ("trusted_origins", None, frozenset()),
    ):
        setattr(made, name, value)
        assert getattr(made, name) == read, name


def test_proxies_are_read_as_a_copy(peer: HandlerPeer) -> None:
    with EsriSession() as made:
        made.proxies["http"] = "http://127.0.0.1:9"
        assert made.proxies == {}
        assert made.get(peer.url).ok


def test_an_auth_that_is_set_or_taken_away_holds_from_the_next_request_on(peer: HandlerPeer) -> None:
    with EsriSession() as made:
        made.get(peer.url)
        made.auth = ("amy", "x")
        made.get(peer.url)
        made.get(peer.url, drop_auth=True)
        made.auth = None
        made.get(peer.url)
    assert ["Authorization" in request.headers for request in peer.requests] == [False, True, False, False]


def test_origins_are_trusted_as_the_session_is_set_now(peer: HandlerPeer) -> None:
    with EsriSession(auth=EsriBasicAuth(None, "amy", "x", url="https://gis.example.com"), trust_env=False) as made:
        made.get(peer.url)
        made.trusted_origins = [peer.url]
        made.get(peer.url)
        made.trusted_origins = None
        made.get(peer.url)
    assert ["Authorization" in request.headers for request in peer.requests] == [False, True, False]


def test_a_redirect_is_followed_or_not_as_the_session_is_set_now(handler_peer: MakeHandler) -> None:
    peer = handler_peer(lambda request: Reply(302, {"Location": "/there"}) if request.path == "/" else Reply())
    with EsriSession(allow_redirects=False) as made:
        with pytest.raises(errors.RedirectRefusedError) as caught:
            made.get(peer.url)
        assert caught.value.response.status_code == 302
        assert made.get(peer.url, allow_redirects=True).ok
        made.allow_redirects = True
        assert made.get(peer.url).ok


def test_streaming_is_as_the_session_is_set_now(handler_peer: MakeHandler) -> None:
    peer = handler_peer(lambda request: Reply(body=iter([b"one\n", b"two\n"])))
    with EsriSession(stream=True) as made:
        assert list(made.get(peer.url).iter_lines()) == [b"one", b"two"]
        made.stream = False
        assert made.get(peer.url).content == b"one\ntwo\n"
        with made.get(peer.url, stream=True) as answer:
            assert b"".join(answer.iter_content(3)) == b"one\ntwo\n"


def test_a_new_time_out_holds_from_the_next_request_on(handler_peer: MakeHandler) -> None:
    import threading

    over = threading.Event()

    def slow(request: RecordedRequest) -> Reply:
        if request.path == "/slow":
            over.wait(10)
        return Reply()

    peer = handler_peer(slow)
    try:
        with EsriSession(retries=0, timeout=0.1) as made:
            with pytest.raises(errors.ReadTimeoutError):
                made.get(peer.url_for("/slow"))
            made.timeout = (5, 0.05)
            with pytest.raises(errors.ReadTimeoutError):
                made.get(peer.url_for("/slow"))
            with pytest.raises(errors.ReadTimeoutError):
                made.get(peer.url_for("/slow"), timeout=0.05)
            made.timeout = None
            assert made.get(peer.url).ok
    finally:
        over.set()


# -- headers -----------------------------------------------------------------------------------------------------------


def sent(peer: HandlerPeer, made: EsriSession, name: str, **options: Any) -> list[str]:
    """The values of a field in the next request."""
    made.get(peer.url, **options)
    return peer.requests[-1].headers.get_all(name)


def test_headers_changed_in_place_are_sent_with_the_next_request(peer: HandlerPeer) -> None:
    with EsriSession(headers={"X-Mine": "1"}) as made:
        assert sent(peer, made, "X-Mine") == ["1"]
        made.headers["x-mine"] = "2"
        assert sent(peer, made, "X-Mine") == ["2"]
        made.headers.update({"X-MINE": "3"}, x_more="m")
        assert (sent(peer, made, "X-Mine"), sent(peer, made, "x_more")) == (["3"], ["m"])
        made.headers.setdefault("X-Mine", "4")
        assert sent(peer, made, "X-Mine") == ["3"]
        made.headers.pop("X-mine")
        assert sent(peer, made, "X-Mine") == []
        made.headers["X-Mine"] = "5"
        del made.headers["x-MINE"]
        assert sent(peer, made, "X-Mine") == []
        made.headers.clear()
        assert sent(peer, made, "Referer") == []


def test_update_headers_adds_and_says_true(peer: HandlerPeer) -> None:
    with EsriSession(headers={"X-Mine": "1"}) as made:
        assert made.update_headers({"X-More": "2"}) is True
        assert made.update_headers([("X-mine", "3")]) is True
        assert (sent(peer, made, "X-Mine"), sent(peer, made, "X-More")) == (["3"], ["2"])


def test_headers_of_a_call_hold_for_that_call_and_none_removes_one(peer: HandlerPeer) -> None:
    with EsriSession(headers={"X-Mine": "1"}) as made:
        assert sent(peer, made, "X-Mine", headers={"x-mine": "2"}) == ["2"]
        assert sent(peer, made, "X-Mine", headers={"X-MINE": None}) == []
        assert sent(peer, made, "X-Mine") == ["1"]
        assert sent(peer, made, "Referer", headers={"referer": "https://other.example"}) == ["https://other.example"]
        assert sent(peer, made, "Referer") == ["http"]


def test_headers_that_were_handed_in_stay_the_callers_own(peer: HandlerPeer) -> None:
    mine = {"X-Mine": "1"}
    with EsriSession(headers=mine) as made:
        mine["X-Mine"] = "changed"
        made.headers["X-Other"] = "2"
        assert sent(peer, made, "X-Mine") == ["1"]
        of_call = {"X-Call": "3"}
        made.get(peer.url, headers=of_call)
    assert (mine, of_call) == ({"X-Mine": "changed"}, {"X-Call": "3"})


def test_two_sessions_share_no_headers(peer: HandlerPeer) -> None:
    with EsriSession() as one, EsriSession() as other:
        one.headers["X-One"] = "1"
        one.referer = "https://one.example"
        assert sent(peer, other, "X-One") == []
        assert sent(peer, other, "Referer") == ["http"]


@pytest.mark.parametrize(
    "referer, values", [("http", ["http"]), ("https://me.example/app", ["https://me.example/app"]), (None, [])]
)
def test_the_referer_is_sent_as_it_is_set(peer: HandlerPeer, referer: str | None, values: list[str]) -> None:
    with EsriSession(referer=referer) as made:
        assert sent(peer, made, "Referer") == values
    with EsriSession() as made:
        made.referer = referer
        assert sent(peer, made, "Referer") == values


def test_a_referer_among_the_headers_gives_way_to_the_parameter(peer: HandlerPeer) -> None:
    with EsriSession(headers={"referer": "https://header.example"}, referer="https://parameter.example") as made:
        assert sent(peer, made, "Referer") == ["https://parameter.example"]
    with EsriSession(headers={"referer": "https://header.example"}, referer=None) as made:
        assert sent(peer, made, "Referer") == ["https://header.example"]


# -- end of life -------------------------------------------------------------------------------------------------------


def test_a_closed_session_leaves_no_connection_and_can_be_used_again(peer: HandlerPeer) -> None:
    made = EsriSession()
    assert made.get(peer.url).ok
    assert peer.open_connections == 1
    for _ in range(2):
        made.close()
        peer.wait_until(lambda: peer.open_connections == 0)
    assert made.get(peer.url).ok
    made.close()
    assert peer.connections == 2


def test_a_session_that_is_left_is_closed(peer: HandlerPeer) -> None:
    with pytest.raises(LookupError):  # noqa: SIM117
        with EsriSession() as made:
            assert made.get(peer.url).ok
            raise LookupError
    peer.wait_until(lambda: peer.open_connections == 0)


def test_a_session_that_never_sent_anything_is_closed_without_ado() -> None:
    with EsriSession() as made:
        made.close()
    assert isinstance(made, EsriSession)


def test_settings_survive_a_pickle(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(lambda request: json_reply(dict(request.headers)), tls=True, client_certificate="required")
    with EsriSession(
        cert=ca.client().combined_file, ca_bundles=ca.file, headers={"X-Mine": "1"}, referer="https://me.example",
        timeout=(1, 2), proxies={"http": "http://p.example:1"}, trust_env=False, retries=1,
    ) as made:  # fmt: skip
        made.get(peer.url)
        with pickle.loads(pickle.dumps(made)) as twin:
            for name in (
                "cert",
                "ca_bundles",
                "referer",
                "timeout",
                "proxies",
                "trust_env",
                "headers",
                "verify_cert",
                "stream",
            ):
                assert getattr(twin, name) == getattr(made, name), name
            assert twin.get(peer.url).json()["X-Mine"] == "1"
            made.headers["X-Mine"] = "2"
            assert twin.headers["X-Mine"] == "1"


def test_a_password_in_a_setting_is_in_no_repr() -> None:
    made = EsriSession(
        ("amy", "s3cret"), proxies={"https": "http://amy:s3cret@p.example:1"}, headers={"Authorization": "s3cret"}
    )
    network = NetworkSettings(TlsSettings(), (("https", "http://amy:s3cret@p.example:1"),))
    assert "s3cret" not in f"{made!r}{made.headers!r}{made.auth!r}{network!r}{made.adapters!r}"


def test_a_setting_that_another_thread_changes_while_the_first_request_begins_is_not_lost(peer: HandlerPeer) -> None:
    class Late:
        """The lock of a session, which another thread gets first."""

        def __init__(self, session: EsriSession) -> None:
            self._lock = session._lock
            self._waiting = threading.Thread(target=setattr, args=(session, "proxies", {"http": None}))

        def __enter__(self) -> None:
            if threading.current_thread() is not self._waiting and self._waiting.ident is None:
                self._waiting.start()
                self._waiting.join()
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()

    with EsriSession() as made:
        made._lock = Late(made)  # type: ignore[assignment]
        made.get(peer.url)
        assert made._engine is not None
        assert made._engine.main.network == made._network


def test_what_netrc_says_is_remembered_for_a_bounded_number_of_origins() -> None:
    with EsriSession() as made:
        for number in range(3000):
            made._handler(None, split_url(f"https://host{number}.test/"), {})
        assert 0 < len(made._netrc) < 1000
