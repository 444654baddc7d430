"""Proxies that are none of ours: every sign-in at Squid, for http and https targets, and SOCKS5."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from esri_http import (
    EsriDigestAuth,
    EsriHttpNegotiateAuth,
    EsriHttpNtlmAuth,
    EsriKerberosAuth,
    EsriSession,
    ProxyAuth,
    ProxyError,
)

from ..auth.helpers import assert_hidden
from ..support.sessions import on_threads
from .apache import Apache
from .people import DOMAIN, GIS, OTHER, PASSWORDS, PROXY, REALM, USER, UTF8_PASSWORDS, UTF8_USER
from .samba import AMY, PROXY_NAME, ActiveDirectory
from .samba_web import DomainSquid
from .socks import Socks
from .squid import Squid
from .support import need_kerberos, sessions

pytestmark = [pytest.mark.real_server("squid"), pytest.mark.usefixtures("names")]

BODY = b"\x00\xff" * (1 << 19)
SECRETS = (*PASSWORDS.values(), "wr0ng-pw")
NTLM = EsriHttpNtlmAuth(None, f"{DOMAIN}\\{USER}", PASSWORDS["ntlm"])

both_targets = pytest.mark.parametrize("target", ["http", "https"])


@pytest.fixture
def through(squid: Squid) -> Iterator[Callable[..., EsriSession]]:
    """`through(way, proxy_auth=None, userinfo="")`: a session that goes everywhere through that port of Squid."""
    with sessions(squid.bed) as open_session:

        def make(way: str, proxy_auth: Any = None, userinfo: str = "", **options: Any) -> EsriSession:
            settings = {"proxies": {"all": squid.url(way, userinfo)}, "proxy_auth": proxy_auth, "timeout": 20}
            return open_session(**{**settings, **options})

        yield make


@pytest.fixture
def logged(squid: Squid) -> Callable[[], list[str]]:
    """`logged()`: method and status of each request since the test began, as Squid's log has them once it has written them."""
    before = len(squid.log())
    return lambda: [f"{line.split()[5]} {line.split()[3].rpartition('/')[2]}" for line in squid.log()[before:]]


def seen(session: EsriSession, url: str) -> Any:
    """What arrived at the server, which was told nothing that is for the proxy."""
    answer = session.get(url)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert not [name for name, _ in told["headers"] if name.lower().startswith("proxy-auth")]
    return told


def refused(session: EsriSession, url: str) -> str:
    """The text of the error."""
    with pytest.raises(ProxyError) as caught:
        session.get(url)
    assert_hidden(SECRETS, caught.value)
    return str(caught.value)


FORMS = {
    "the address": lambda user, password: (None, f"{user}:{password.replace(' ', '%20').replace(':', '%3A')}"),
    "a pair": lambda user, password: ((user, password), ""),
    "ProxyAuth": lambda user, password: (ProxyAuth(user, password), ""),
}


@both_targets
@pytest.mark.parametrize("way", ["basic", "digest", "tls-basic"])
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize(
    "user, password", [(USER, PASSWORDS["proxy"]), (UTF8_USER, UTF8_PASSWORDS["proxy"])], ids=["ascii", "utf-8"]
)
def test_a_user_name_and_a_password_sign_in(
    apache: Apache, through: Any, way: str, target: str, form: Any, user: str, password: str
) -> None:
    session = through(way, *form(user, password))
    for _ in range(2):
        assert seen(session, apache.url("/open/echo", target))["method"] == "GET"
        session.close_connections()
    answer = session.post(apache.url("/open/echo", target), data=BODY).json()
    assert (answer["length"], answer["sha256"]) == (len(BODY), hashlib.sha256(BODY).hexdigest())


@both_targets
@pytest.mark.parametrize("way", ["basic", "digest"])
def test_a_wrong_password_is_an_error_and_is_sent_once(
    squid: Squid, apache: Apache, through: Any, logged: Any, way: str, target: str
) -> None:
    session = through(way, (USER, "wr0ng-pw"))
    said = refused(session, apache.url("/open/echo", target))
    assert f"refuses that of {USER!r}" in said
    assert refused(session, apache.url("/open/echo", target)) == said
    session.proxy_auth = (USER, PASSWORDS["proxy"])
    assert seen(session, apache.url("/open/echo", target))
    assert len([line for line in logged() if line.endswith(" 407")]) <= 3


def test_digest_costs_one_refusal(apache: Apache, through: Any, logged: Any) -> None:
    session = through("digest", EsriDigestAuth(None, USER, PASSWORDS["proxy"]))
    for _ in range(10):
        seen(session, apache.url("/open/echo", "http"))
    assert logged()[:10] == ["GET 407"] + ["GET 200"] * 9


def test_a_body_that_is_read_once_crosses_once(apache: Apache, through: Any) -> None:
    for way, auth in (("digest", (USER, PASSWORDS["proxy"])), ("basic", (USER, PASSWORDS["proxy"])), ("ntlm", NTLM)):
        session = through(way, auth)
        for _ in range(2):
            answer = session.post(apache.url("/open/echo", "http"), data=iter([BODY])).json()
            assert answer["length"] == len(BODY)


# -- Kerberos and NTLM -------------------------------------------------------------------------------------------------


@both_targets
@pytest.mark.parametrize("handler", [EsriKerberosAuth, EsriHttpNegotiateAuth])
def test_a_ticket_signs_in(apache: Apache, through: Any, ticket: Any, logged: Any, target: str, handler: Any) -> None:
    ticket()
    session = through("negotiate", handler())
    for _ in range(3):
        assert seen(session, apache.url("/open/echo", target))
        session.close_connections()
    answer = session.post(apache.url("/open/echo", target), data=BODY).json()
    assert answer["length"] == len(BODY)
    assert len([line for line in logged() if line.endswith(" 407")]) == 1


@both_targets
def test_one_token_signs_in_a_connection_and_none_is_waited_for(
    apache: Apache, through: Any, no_ticket: Any, logged: Any, target: str
) -> None:
    auth = EsriKerberosAuth(username=f"{USER}@{REALM}", password=PASSWORDS["krb"], force_preemptive=True)
    session = through("negotiate", auth)
    for _ in range(5):
        assert seen(session, apache.url("/open/echo", target))
    assert not [line for line in logged() if line.endswith(" 407")]


@both_targets
def test_threads_sign_in_by_kerberos(apache: Apache, through: Any, ticket: Any, target: str) -> None:
    ticket()
    session = through("negotiate", EsriKerberosAuth())

    def several(_: int) -> int:
        return sum(session.get(apache.url("/open/echo", target)).status_code == 200 for _ in range(5))

    assert on_threads(8, several) == [5] * 8


@both_targets
def test_the_proxy_and_the_server_take_kerberos_in_one_request(apache: Apache, through: Any, ticket: Any, target: str) -> None:
    ticket()
    session = through("negotiate", EsriKerberosAuth(), auth=EsriKerberosAuth())
    path = "/krb/echo"
    for _ in range(3):
        assert seen(session, apache.url(path, target))["user"] == f"{USER}@{REALM}"
    assert session.post(apache.url(path, target), data=BODY).json()["length"] == len(BODY)


@both_targets
def test_without_a_ticket_or_with_another_name_the_error_says_so(
    apache: Apache, through: Any, no_ticket: Any, ticket: Any, target: str
) -> None:
    assert "kinit" in refused(through("negotiate", EsriKerberosAuth()), apache.url("/open/echo", target))
    wrong = EsriKerberosAuth(username=f"{USER}@{REALM}", password="wr0ng-pw")
    said = refused(through("negotiate", wrong), apache.url("/open/echo", target))
    assert "password is wrong" in said
    assert PROXY in said
    ticket()
    other = through("negotiate", EsriKerberosAuth(hostname_override=OTHER))
    assert f"HTTP@{OTHER}" in refused(other, apache.url("/open/echo", target))
    said = refused(through("negotiate", (USER, PASSWORDS["proxy"])), apache.url("/open/echo", target))
    assert "EsriKerberosAuth()" in said


def test_ntlm_signs_in_for_http_targets(apache: Apache, through: Any, logged: Any) -> None:
    session = through("ntlm", NTLM)
    for _ in range(5):
        assert seen(session, apache.url("/open/echo", "http"))
    assert session.post(apache.url("/open/echo", "http"), data=BODY).json()["length"] == len(BODY)
    assert len([line for line in logged() if line.endswith(" 407")]) == 2
    wrong = through("ntlm", EsriHttpNtlmAuth(None, f"{DOMAIN}\\{USER}", "wr0ng-pw"))
    assert "by NTLM" in refused(wrong, apache.url("/open/echo", "http"))


def test_threads_sign_in_by_ntlm(apache: Apache, through: Any) -> None:
    session = through("ntlm", NTLM)

    def several(_: int) -> int:
        return sum(session.get(apache.url("/open/echo", "http")).status_code == 200 for _ in range(5))

    assert on_threads(8, several) == [5] * 8


def test_ntlm_for_https_targets_is_an_error_that_says_what_to_use(apache: Apache, through: Any) -> None:
    said = refused(through("ntlm", NTLM), apache.url("/open/echo"))
    assert "Basic, Digest or Kerberos" in said


@both_targets
@pytest.mark.parametrize("way", ["open", "tls"])
def test_an_open_proxy_is_told_nothing(apache: Apache, through: Any, ticket: Any, way: str, target: str) -> None:
    ticket()
    for auth in ((USER, PASSWORDS["proxy"]), EsriKerberosAuth(), NTLM):
        session = through(way, auth)
        assert seen(session, apache.url("/open/echo", target))
        assert session.post(apache.url("/open/echo", target), data=BODY).json()["length"] == len(BODY)


DOMAIN_USERS = {
    "ntlm": ("ntlm", lambda: EsriHttpNtlmAuth(None, f"AD\\{AMY.name}", AMY.password)),
    "ntlm in negotiate": ("negotiate", lambda: EsriHttpNtlmAuth(None, f"AD\\{AMY.name}", AMY.password)),
    "kerberos": ("negotiate", lambda: EsriKerberosAuth(
        username=AMY.principal, password=AMY.password, hostname_override=PROXY_NAME
    )),
}  # fmt: skip


@both_targets
@pytest.mark.parametrize("way, handler", DOMAIN_USERS.values(), ids=list(DOMAIN_USERS))
@pytest.mark.real_server("samba")
def test_a_user_of_a_domain_signs_in(
    active_directory: ActiveDirectory,
    domain_squid: DomainSquid,
    apache: Apache,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    way: str,
    handler: Any,
) -> None:
    if handler is DOMAIN_USERS["kerberos"][1]:
        need_kerberos()
    for name, value in active_directory.env.items():
        monkeypatch.setenv(name, value)
    url = apache.url("/open/echo", target).replace(GIS, "127.0.0.1")
    with sessions(domain_squid.bed) as open_session:
        session = open_session(
            proxies={"all": f"http://127.0.0.1:{domain_squid.ports[way]}"}, proxy_auth=handler(), timeout=20,
            server_hostname=GIS,
        )  # fmt: skip
        before = len(domain_squid.users())
        if target == "https" and isinstance(session.proxy_auth, EsriHttpNtlmAuth):
            assert "https targets" in refused(session, url)
            assert len(domain_squid.users()) == before
            return
        assert seen(session, url)
        assert session.post(url, data=BODY).json()["length"] == len(BODY)


# -- SOCKS5 ------------------------------------------------------------------------------------------------------------


@both_targets
@pytest.mark.parametrize("scheme", ["socks5h", "socks5"])
@pytest.mark.real_server("socks")
def test_socks_signs_in(socks: Socks, apache: Apache, target: str, scheme: str) -> None:
    pytest.importorskip("socks")
    with sessions(socks.bed) as open_session:
        for url in (socks.url(scheme), socks.open_url(scheme)):
            session = open_session(proxies={"all": url}, timeout=20)
            assert seen(session, apache.url("/open/echo", target))
            assert session.post(apache.url("/open/echo", target), data=BODY).json()["length"] == len(BODY)
        for userinfo, said in ((f"{USER}:wr0ng-pw", f"refuses the sign-in of {USER!r}"), ("", "wants a sign-in")):
            session = open_session(proxies={"all": socks.url(scheme, userinfo)}, timeout=20)
            assert said in refused(session, apache.url("/open/echo", target))
