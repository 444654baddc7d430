"""`EsriKerberosAuth` and `EsriWindowsAuth` against Apache's mod_auth_gssapi, lighttpd and an MIT KDC."""

from __future__ import annotations

import http.client
import sys
from pathlib import Path
from typing import Any

import pytest

from esri_http import (
    ArcGISLoginError,
    EsriHttpNegotiateAuth,
    EsriKerberosAuth,
    EsriWindowsAuth,
    InteractionRequiredError,
    SignInError,
)

from ..auth.helpers import assert_hidden
from ..support.http_messages import RecordedRequest, Reply
from ..support.sessions import on_threads
from .apache import Apache
from .daemons import run
from .epa import ROOT
from .kdc import STALE, faked_time
from .people import GIS, OTHER, PASSWORDS, REALM, USER, UTF8_PASSWORDS, UTF8_USER

pytestmark = [pytest.mark.real_server("apache"), pytest.mark.usefixtures("kerberos", "names")]

PASSWORD = PASSWORDS["krb"]
PRINCIPAL = f"{USER}@{REALM}"
HANDLERS = {
    "kerberos": lambda **options: EsriKerberosAuth(**options),
    "negotiate": lambda **options: EsriHttpNegotiateAuth(None, options.pop("username", None), options.pop("password", None)),
    "windows": lambda **options: EsriWindowsAuth(None, options.pop("username", None), options.pop("password", None)),
}
every_handler = pytest.mark.parametrize("handler", list(HANDLERS.values()), ids=list(HANDLERS))


@every_handler
def test_a_ticket_signs_in_two_requests_for_the_first_call_then_one_each(
    apache: Apache, ticket: Any, open_session: Any, count: Any, handler: Any
) -> None:
    ticket()
    session = open_session(handler())
    assert {session.get(apache.url("/krb/echo")).json()["user"] for _ in range(10)} == {PRINCIPAL}
    assert count() == [401] + [200] * 10


def test_a_forced_token_needs_no_first_question(apache: Apache, ticket: Any, open_session: Any, count: Any) -> None:
    ticket()
    session = open_session(EsriKerberosAuth(force_preemptive=True))
    for _ in range(10):
        assert session.post(apache.url("/krb/echo"), data=b"x" * 100_000).json()["length"] == 100_000
    assert count() == [200] * 10


def test_a_connection_that_stays_signed_in_gets_one_token(apache: Apache, ticket: Any, open_session: Any, count: Any) -> None:
    ticket()
    session = open_session(EsriKerberosAuth(mutual_authentication="REQUIRED"))
    answers = [session.get(apache.url("/krb-conn/echo")).json() for _ in range(5)]
    assert {answer["user"] for answer in answers} == {PRINCIPAL}
    assert ["Authorization" in dict(answer["headers"]) for answer in answers] == [True] + [False] * 4
    assert count() == [401] + [200] * 5


@every_handler
@pytest.mark.parametrize("user", [USER, UTF8_USER])
def test_a_password_gets_a_ticket_of_its_own(
    apache: Apache, no_ticket: Path, open_session: Any, handler: Any, user: str
) -> None:
    password = PASSWORD if user == USER else UTF8_PASSWORDS["krb"]
    session = open_session(handler(username=f"{user}@{REALM}", password=password))
    for _ in range(2):
        answer = session.post(apache.url("/krb/echo"), data=b"z" * 1_000_000).json()
        assert (answer["user"], answer["length"]) == (f"{user}@{REALM}", 1_000_000)
    assert not no_ticket.exists()


def test_a_principal_picks_its_own_ticket(apache: Apache, ticket: Any, open_session: Any) -> None:
    ticket()
    for options in ({"principal": PRINCIPAL}, {"username": PRINCIPAL}, {"principal": f"{PRINCIPAL}:{PASSWORD}"}):
        assert open_session(EsriKerberosAuth(**options)).get(apache.url("/krb/echo")).json()["user"] == PRINCIPAL
    with pytest.raises(SignInError, match=f"{UTF8_USER}@{REALM}.*no Kerberos ticket"):
        open_session(EsriKerberosAuth(principal=f"{UTF8_USER}@{REALM}")).get(apache.url("/krb/echo"))


def test_a_large_upload_crosses_once(apache: Apache, ticket: Any, open_session: Any) -> None:
    ticket()
    session = open_session(EsriKerberosAuth())
    apache.forget()
    assert session.post(apache.url("/krb/echo"), data=iter([b"a" * 100_000] * 10)).json()["length"] == 1_000_000
    sent = apache.exchanges()
    assert [(exchange.method, exchange.received > 1_000_000) for exchange in sent] == [("GET", False), ("POST", True)]


@every_handler
def test_a_wrong_password_is_shown_to_the_kdc_once_and_never_tried_by_ntlm(
    apache: Apache, no_ticket: Path, open_session: Any, handler: Any, count: Any, caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    auth = handler(username=PRINCIPAL, password="not-the-password")
    session = open_session(auth)
    errors = []
    for _ in range(2):
        with pytest.raises(ArcGISLoginError, match="password is wrong") as caught:
            session.get(apache.url("/iwa/echo"))
        errors.append(caught.value)
    assert 200 not in count()
    assert_hidden(["not-the-password"], auth, *errors, logs=caplog.text)
    auth.password = PASSWORD
    assert session.get(apache.url("/krb/echo")).json()["user"] == PRINCIPAL


@every_handler
def test_without_a_ticket_the_error_says_how_to_get_one(
    apache: Apache, no_ticket: Path, open_session: Any, handler: Any
) -> None:
    with pytest.raises(SignInError, match="no Kerberos ticket; get one by kinit"):
        open_session(handler()).get(apache.url("/krb/echo"))


@pytest.mark.parametrize(
    "user, password, kind, says",
    [
        ("nobody", PASSWORD, ArcGISLoginError, "knows no such user"),
        (STALE, PASSWORD, InteractionRequiredError, "password has expired"),
        (USER, "", SignInError, "password is empty"),
        ("amy@NOWHERE.TEST", PASSWORD, SignInError, "realm"),
    ],
)
def test_what_the_kdc_says_is_told_in_our_words(
    apache: Apache, no_ticket: Path, open_session: Any, user: str, password: str, kind: Any, says: str
) -> None:
    with pytest.raises(kind, match=says):
        open_session(EsriKerberosAuth(username=user, password=password)).get(apache.url("/krb/echo"))


_A_WEEK_LATER = """
import socket, sys
from esri_http import EsriKerberosAuth, EsriSession, SignInError
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **options: real("127.0.0.1", *rest, **options)
with EsriSession(EsriKerberosAuth(), ca_bundles=sys.argv[2]) as session:
    try:
        session.get(sys.argv[1])
    except SignInError as error:
        print(error)
"""


def test_an_expired_ticket_is_told_apart_from_none(apache: Apache, ticket: Any) -> None:
    env = {**ticket(), **faked_time("+7d"), "PYTHONPATH": str(ROOT)}
    told = run([sys.executable, "-c", _A_WEEK_LATER, apache.url("/krb/echo"), apache.bed.ca.file], env=env)
    assert "the Kerberos ticket has expired; get a new one by kinit" in told


def test_a_service_that_the_kdc_does_not_know_is_named(apache: Apache, ticket: Any, open_session: Any) -> None:
    ticket()
    with pytest.raises(SignInError, match="knows no service HTTP@nowhere.example.test"):
        open_session(EsriKerberosAuth(hostname_override="nowhere.example.test")).get(apache.url("/krb/echo"))


def test_a_ticket_for_another_service_is_refused(apache: Apache, ticket: Any, open_session: Any) -> None:
    ticket()
    with pytest.raises(SignInError, match=f"HTTP@{OTHER} refuses the Kerberos token: the ticket is for another service"):
        open_session(EsriKerberosAuth(hostname_override=OTHER)).get(apache.url("/krb/echo"))


def test_by_address_the_given_name_is_the_services(apache: Apache, ticket: Any, open_session: Any, count: Any) -> None:
    ticket()
    by_address = apache.url("/krb/echo").replace(GIS, "127.0.0.1")
    session = open_session(EsriKerberosAuth(mutual_authentication=1), server_hostname={"127.0.0.1": GIS})
    answer = session.get(by_address).json()
    assert answer["user"] == PRINCIPAL
    assert dict(answer["headers"])["Host"].partition(":")[0] == GIS


def test_a_clock_that_differs_is_named(late_apache: Any, ticket: Any, open_session: Any) -> None:
    ticket()
    with pytest.raises(SignInError, match="clock"):
        open_session(EsriKerberosAuth()).get(late_apache.url("/krb/echo"))


def test_mutual_authentication_is_an_error_where_the_server_proves_nothing(
    lighttpd: Any, ticket: Any, open_session: Any
) -> None:
    ticket()
    session = open_session(EsriKerberosAuth(mutual_authentication="REQUIRED"))
    with pytest.raises(SignInError, match="did not prove who it is"):
        session.get(lighttpd.url("/krb/echo"))
    assert open_session(EsriKerberosAuth()).get(lighttpd.url("/krb/echo")).status_code == 200


def test_our_ticket_is_handed_over_only_when_asked(apache: Apache, kdc: Any, no_ticket: Path, open_session: Any) -> None:
    answers = [
        open_session(EsriKerberosAuth(username=PRINCIPAL, password=PASSWORD, delegate=delegate))
        .get(apache.url("/krb-deleg/echo"))
        .json()
        for delegate in (False, True)
    ]
    assert [bool(dict(answer["headers"]).get("X-Deleg-Ccache", "").strip("()")) for answer in answers] == [False, True]


def test_eight_threads_share_a_session(apache: Apache, ticket: Any, open_session: Any, count: Any) -> None:
    ticket()
    session = open_session(EsriKerberosAuth())
    users = on_threads(8, lambda _: [session.get(apache.url("/krb/echo")).json()["user"] for _ in range(20)])
    assert users == [[PRINCIPAL] * 20] * 8
    statuses = count()
    assert statuses.count(200) == 160
    assert statuses.count(401) <= 8


def test_of_two_users_none_is_served_as_the_other(apache: Apache, no_ticket: Path, open_session: Any) -> None:
    session = open_session()
    zoe = EsriKerberosAuth(username=f"{UTF8_USER}@{REALM}", password=UTF8_PASSWORDS["krb"])
    amy = EsriKerberosAuth(username=PRINCIPAL, password=PASSWORD)
    for path in ("/krb-conn/echo", "/krb/echo"):
        for auth, user in ((amy, PRINCIPAL), (zoe, f"{UTF8_USER}@{REALM}"), (amy, PRINCIPAL)):
            assert session.get(apache.url(path), auth=auth).json()["user"] == user
        assert session.get(apache.url(path)).status_code == 401


def test_a_token_is_never_shown_twice_not_even_when_the_answer_was_lost(
    apache: Apache, ticket: Any, open_session: Any, proxy_peer: Any, count: Any
) -> None:
    ticket()
    tokens: list[str] = []

    def lose_the_first(request: RecordedRequest) -> Reply | None:
        token = request.headers.get("Authorization")
        if token is None:
            return None
        tokens.append(token)
        if len(tokens) > 1:
            return None
        connection = http.client.HTTPConnection("127.0.0.1", apache.ports["http"], timeout=10)
        connection.request("GET", "/krb/echo", headers={"Authorization": token})
        assert connection.getresponse().status == 200
        connection.close()
        return Reply(503, {"Retry-After": "0"}, "the answer was lost")

    proxy = proxy_peer(intercept=lose_the_first, names={GIS: ("127.0.0.1", apache.ports["http"])})
    session = open_session(EsriKerberosAuth(), proxies={"http": proxy.url}, retries=2, backoff_factor=0)
    assert session.get(apache.url("/krb/echo", "http")).json()["user"] == PRINCIPAL
    assert len(set(tokens)) == 2
    assert count() == [401, 200, 200]


class SystemAuth(EsriWindowsAuth):
    """As on Windows, where the system chooses between Kerberos and NTLM; here pyspnego does."""

    system_chooses = True


@pytest.mark.parametrize("path", ["/krb/echo", "/krb-conn/echo", "/iwa/echo"])
def test_where_the_system_chooses_kerberos_a_body_crosses_once(
    apache: Apache, ticket: Any, open_session: Any, path: str
) -> None:
    ticket()
    session = open_session(SystemAuth())
    apache.forget()
    for _ in range(3):
        answer = session.post(apache.url(path), data=iter([b"x" * 50_000] * 20)).json()
        assert (answer["user"], answer["length"]) == (PRINCIPAL, 1_000_000)
    sent = [(exchange.method, exchange.status) for exchange in apache.exchanges()]
    assert sent == [("GET", 401), ("GET", 200), *[("POST", 200)] * 3]
    assert session.get(apache.url(path)).json()["user"] == PRINCIPAL


def test_windows_sends_no_ticket_ahead_of_a_body(apache: Apache, ticket: Any, open_session: Any) -> None:
    class OnWindows(EsriWindowsAuth):
        """As where the system chooses; the same code, with the ticket of MIT Kerberos."""

        system_chooses = True

    ticket()
    session = open_session(OnWindows(None))
    session.post(apache.url("/krb/echo")).raise_for_status()
    apache.forget()
    assert session.post(apache.url("/krb/echo"), data=b"x" * 10).json()["length"] == 10
    assert [(exchange.method, exchange.status) for exchange in apache.exchanges() if exchange.status == 200] == [("POST", 200)]
