"""Our handlers in an Active Directory domain: Samba's KDC, winbindd and LDAP say who is let in, and count wrong passwords."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import (
    ArcGISLoginError,
    EsriBasicAuth,
    EsriBuiltInAuth,
    EsriHttpNegotiateAuth,
    EsriHttpNtlmAuth,
    EsriKerberosAuth,
    EsriWindowsAuth,
    InteractionRequiredError,
    ProxyError,
    SignInError,
)

from ..auth.helpers import assert_hidden, in_threads
from .samba import AMY, DISABLED, DOMAIN, EXPIRED, LEFT, MUST_CHANGE, PROXY_NAME, WEB_NAME, ZOE, Account, ActiveDirectory
from .samba_web import DomainApache, DomainSquid
from .support import OpenSession, at_loopback, need_kerberos, sessions, without_ticket

pytestmark = [pytest.mark.real_server("samba"), pytest.mark.usefixtures("domain_names", "domain_tickets")]

WRONG = "not-the-password"
WAYS: dict[str, tuple[Callable[[str, str], Any], str, str]] = {
    "ntlm": (lambda user, password: EsriHttpNtlmAuth(None, user, password), "down_level", "/iwa"),
    "kerberos": (lambda user, password: EsriKerberosAuth(username=user, password=password), "principal", "/krb"),
    "negotiate": (lambda user, password: EsriHttpNegotiateAuth(None, user, password), "principal", "/iwa"),
    "windows": (lambda user, password: EsriWindowsAuth(None, user, password), "principal", "/iwa"),
    "windows by NTLM": (lambda user, password: EsriWindowsAuth(None, user, password), "down_level", "/iwa"),
    "basic": (lambda user, password: EsriBasicAuth(None, user, password), "name", "/ldap"),
}
BY_KDC = ("kerberos", "negotiate", "windows")
every_way = pytest.mark.parametrize("way", list(WAYS))


def auth_for(way: str, account: Account, password: str | None = None) -> Any:
    """The handler of a way, with the account's name in the form that is usual there."""
    if way in BY_KDC:
        need_kerberos()
    handler, form, _ = WAYS[way]
    return handler(getattr(account, form), account.password if password is None else password)


@pytest.fixture
def domain_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, the names of the domain's servers are those of 127.0.0.1."""
    at_loopback(monkeypatch, WEB_NAME, PROXY_NAME)


@pytest.fixture
def domain_tickets(active_directory: ActiveDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process asks the domain's KDC, and has no ticket of anybody; the file in which it looks for one."""
    return without_ticket(monkeypatch, active_directory.env, tmp_path)


@pytest.fixture
def open_session(domain_apache: DomainApache) -> Iterator[OpenSession]:
    """`open_session(auth, **options)`: a session that trusts the bed and tries once; closed after the test."""
    domain_apache.forget()
    with sessions(domain_apache.bed) as make:
        yield make


@pytest.fixture
def wrong_passwords(active_directory: ActiveDirectory, tmp_path: Path) -> Callable[[], int]:
    """`wrong_passwords()`: how many the domain has counted for zoë in this test."""
    active_directory.kinit(tmp_path / "right", ZOE)  # which sets the count back
    return lambda: active_directory.bad_password_count(ZOE)


def statuses(apache: DomainApache) -> list[int]:
    """Of the requests that came in since this was last asked."""
    return [exchange.status for exchange in apache.exchanges()]


# -- right ---------------------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("account", [AMY, ZOE], ids=lambda account: account.name)
def test_a_right_password_signs_in(
    active_directory: ActiveDirectory, domain_apache: DomainApache, open_session: Any, way: str, account: Account
) -> None:
    session, path = open_session(auth_for(way, account)), WAYS[way][2]
    answers = [session.post(domain_apache.url(f"{path}/echo"), data=b"x" * 2**20).json() for _ in range(5)]
    assert {(answer["user"], answer["length"]) for answer in answers} == {(getattr(account, WAYS[way][1]), 2**20)}
    first = {"basic": [200], "ntlm": [401, 401, 200], "windows by NTLM": [401, 401, 200]}.get(way, [401, 200])
    sent = domain_apache.exchanges()
    assert [exchange.status for exchange in sent] == first + [200] * 4
    assert [exchange.received > 2**20 for exchange in sent].count(True) == 5
    assert len({exchange.client_port for exchange in sent}) <= 2
    assert active_directory.bad_password_count(account) == 0


@pytest.mark.parametrize("user", [AMY.name, AMY.down_level, f"{DOMAIN}/{AMY.name}", AMY.principal, AMY.principal.lower()])
def test_every_form_of_a_name_is_good_for_ntlm(domain_apache: DomainApache, open_session: Any, user: str) -> None:
    for handler in (EsriHttpNtlmAuth, EsriWindowsAuth):
        answer = open_session(handler(None, user, AMY.password)).get(domain_apache.url("/iwa/echo")).json()
        assert AMY.name in answer["user"]


@pytest.mark.parametrize("handler", [EsriKerberosAuth, EsriHttpNegotiateAuth, EsriWindowsAuth])
def test_a_ticket_of_kinit_signs_in(domain_apache: DomainApache, domain_tickets: Path, open_session: Any, handler: Any) -> None:
    need_kerberos()
    domain_apache.domain.kinit(domain_tickets, ZOE)
    session = open_session(handler())
    assert {session.get(domain_apache.url("/iwa/echo")).json()["user"] for _ in range(3)} == {ZOE.principal}
    assert statuses(domain_apache) == [401, 200, 200, 200]


def test_eight_threads_share_the_connections_that_winbindd_let_in(domain_apache: DomainApache, open_session: Any) -> None:
    session, url = open_session(auth_for("ntlm", AMY)), domain_apache.url("/iwa/echo")
    outcomes = in_threads(8, lambda _: {session.get(url).json()["user"] for _ in range(20)})
    assert outcomes == [{AMY.down_level}] * 8
    sent = domain_apache.exchanges()
    assert [exchange.status for exchange in sent].count(200) == 160
    connections = {exchange.client_port for exchange in sent if exchange.status == 200}
    # Two legs of each handshake, and what the first of all were told when they asked without one.
    assert len(connections) <= 8
    assert [exchange.status for exchange in sent].count(401) <= 8 + len(connections)


# -- wrong ---------------------------------------------------------------------------------------------------------------


@every_way
def test_a_wrong_password_is_shown_to_the_domain_once(
    domain_apache: DomainApache, open_session: Any, wrong_passwords: Callable[[], int], way: str, caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    auth, url, errors = auth_for(way, ZOE, WRONG), domain_apache.url(f"{WAYS[way][2]}/echo"), []
    session = open_session(auth)
    for _ in range(3):
        with pytest.raises(ArcGISLoginError) as caught:
            session.get(url)
        errors.append(caught.value)
    assert wrong_passwords() == 1
    assert_hidden([WRONG], auth, *errors, logs=caplog.text)
    auth.password = ZOE.password
    assert session.get(url).json()["user"] == getattr(ZOE, WAYS[way][1])
    assert wrong_passwords() == 0


@every_way
def test_eight_threads_show_a_wrong_password_once(
    domain_apache: DomainApache, open_session: Any, wrong_passwords: Callable[[], int], way: str
) -> None:
    session, url = open_session(auth_for(way, ZOE, WRONG)), domain_apache.url(f"{WAYS[way][2]}/echo")
    outcomes = in_threads(8, lambda _: session.get(url))
    assert [type(outcome) for outcome in outcomes] == [ArcGISLoginError] * 8
    assert wrong_passwords() == 1


def test_eight_threads_at_eight_servers_show_the_kdc_a_wrong_password_once(wrong_passwords: Callable[[], int]) -> None:
    contexts = auth_for("kerberos", ZOE, WRONG).contexts
    outcomes = in_threads(8, lambda number: contexts.obstacle("kerberos", f"gis{number}.example.com", None))
    assert [type(outcome) for outcome in outcomes] == [ArcGISLoginError] * 8
    assert wrong_passwords() == 1


@every_way
def test_an_empty_password_is_refused(domain_apache: DomainApache, open_session: Any, way: str) -> None:
    session = open_session(auth_for(way, AMY, ""))
    with pytest.raises(SignInError, match="password"):
        session.get(domain_apache.url(f"{WAYS[way][2]}/echo"))
    assert 200 not in statuses(domain_apache)


@every_way
def test_an_unknown_user_is_refused(domain_apache: DomainApache, open_session: Any, way: str) -> None:
    session = open_session(auth_for(way, Account("nobody", WRONG)))
    with pytest.raises(ArcGISLoginError):
        session.get(domain_apache.url(f"{WAYS[way][2]}/echo"))
    assert 200 not in statuses(domain_apache)


@every_way
@pytest.mark.parametrize("account", [EXPIRED, MUST_CHANGE, DISABLED, LEFT], ids=lambda account: account.name)
def test_a_right_password_of_an_account_that_may_not_sign_in(
    active_directory: ActiveDirectory, domain_apache: DomainApache, open_session: Any, way: str, account: Account
) -> None:
    session = open_session(auth_for(way, account))
    is_old = account in (EXPIRED, MUST_CHANGE)
    # Only the KDC says why.
    kind = InteractionRequiredError if is_old and way in BY_KDC else ArcGISLoginError
    says = "." if way not in BY_KDC else "password has expired" if is_old else "disabled or locked"
    with pytest.raises(kind, match=says):
        session.get(domain_apache.url(f"{WAYS[way][2]}/echo"))
    assert 200 not in statuses(domain_apache)
    assert active_directory.bad_password_count(account) == 0


# -- behind the web tier -------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("account", [AMY, ZOE], ids=lambda account: account.name)
def test_the_federated_layer_behind_the_web_tier(
    domain_apache: DomainApache, open_session: Any, way: str, account: Account
) -> None:
    portal = domain_apache.portal(WAYS[way][2][1:])
    session = open_session(auth_for(way, account))
    who = session.get(f"{portal.portal_url}/sharing/rest/community/self", params={"f": "json"}).json()
    assert who["username"] == account.name
    query = {"where": "1=1", "returnCountOnly": True, "f": "json"}
    assert session.get(portal.layer_url + "/query", params=query).json() == {"count": 355}
    statuses(domain_apache)
    assert session.get(portal.layer_url + "/query", params=query).json() == {"count": 355}
    assert statuses(domain_apache) == [200]


def test_a_built_in_account_behind_the_web_tier(domain_apache: DomainApache, domain_tickets: Path, open_session: Any) -> None:
    need_kerberos()
    domain_apache.domain.kinit(domain_tickets, AMY)
    portal = domain_apache.portal("krb")
    session = open_session(EsriKerberosAuth() + EsriBuiltInAuth(portal.portal_url, "bob", "bobs-secret"))
    query = {"where": "1=1", "returnCountOnly": True, "f": "json"}
    assert session.get(portal.layer_url + "/query", params=query).json() == {"count": 355}
    who = session.get(f"{portal.portal_url}/sharing/rest/community/self", params={"f": "json"}).json()
    assert who["username"] == "bob"


# -- proxies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["https", "http"])
def test_a_proxy_that_wants_a_ticket(
    domain_apache: DomainApache, domain_squid: DomainSquid, domain_tickets: Path, open_session: Any, port: str
) -> None:
    need_kerberos()
    domain_apache.domain.kinit(domain_tickets, AMY)
    proxies = dict.fromkeys(("https", "http"), domain_squid.url("negotiate"))
    session = open_session(EsriKerberosAuth(), proxies=proxies, proxy_auth=EsriKerberosAuth())
    before = len(domain_squid.users())
    assert session.get(domain_apache.url("/krb/echo", port)).json()["user"] == AMY.principal
    session.close()
    assert set(domain_squid.users(before, 1)) == {AMY.principal}


@pytest.mark.parametrize("account", [AMY, ZOE], ids=lambda account: account.name)
@pytest.mark.parametrize("scheme", ["ntlm", "negotiate"])
def test_a_proxy_that_asks_winbindd(
    domain_apache: DomainApache, domain_squid: DomainSquid, open_session: Any, scheme: str, account: Account
) -> None:
    proxies = {"http": domain_squid.url(scheme)}
    session = open_session(proxies=proxies, proxy_auth=EsriHttpNtlmAuth(None, account.down_level, account.password))
    before = len(domain_squid.users())
    for _ in range(3):
        answer = session.get(domain_apache.url("/ldap/echo", "http"), auth=auth_for("basic", AMY))
        assert answer.json()["user"] == AMY.name
    session.close()
    assert len(domain_squid.users(before, 3)) == 3


@pytest.mark.parametrize("way", ["ntlm", "kerberos"])
def test_a_wrong_password_at_a_proxy_is_counted_once(
    domain_apache: DomainApache, domain_squid: DomainSquid, open_session: Any, wrong_passwords: Callable[[], int], way: str
) -> None:
    proxies = {"http": domain_squid.url("ntlm" if way == "ntlm" else "negotiate")}
    session = open_session(proxies=proxies, proxy_auth=auth_for(way, ZOE, WRONG))
    outcomes = in_threads(8, lambda _: session.get(domain_apache.url("/krb/echo", "http")))
    outcomes += in_threads(1, lambda _: session.get(domain_apache.url("/krb/echo", "http")))
    assert [type(outcome) for outcome in outcomes] == [ProxyError] * 9
    assert wrong_passwords() == 1


def test_ntlm_at_a_proxy_does_not_work_through_a_tunnel(
    active_directory: ActiveDirectory, domain_apache: DomainApache, domain_squid: DomainSquid, open_session: Any
) -> None:
    session = open_session(proxies={"https": domain_squid.url("ntlm")}, proxy_auth=auth_for("ntlm", AMY))
    with pytest.raises(ProxyError, match="NTLM"):
        session.get(domain_apache.url("/krb/echo"))
    assert active_directory.bad_password_count(AMY) == 0
