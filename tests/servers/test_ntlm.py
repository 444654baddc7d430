"""`EsriHttpNtlmAuth` and `EsriWindowsAuth` against Apache with gss-ntlmssp: raw NTLM, and both mechanisms as IIS has them."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

from esri_http import ArcGISLoginError, ConnectionLostError, EsriHttpNtlmAuth, EsriWindowsAuth

from ..support.sessions import idle_lanes, on_threads
from .apache import Apache
from .people import DOMAIN, GIS, PASSWORDS, USER

pytestmark = [pytest.mark.real_server("apache"), pytest.mark.usefixtures("names", "no_ticket")]

NAME = f"{DOMAIN}\\{USER}"
PASSWORD = PASSWORDS["ntlm"]


def ntlm(**options: Any) -> EsriHttpNtlmAuth:
    return EsriHttpNtlmAuth(None, NAME, PASSWORD, **options)


def windows(**options: Any) -> EsriWindowsAuth:
    return EsriWindowsAuth(None, NAME, PASSWORD, **options)


every_handler = pytest.mark.parametrize("auth", [ntlm, windows], ids=["ntlm", "windows"])
every_path = pytest.mark.parametrize("path", ["/ntlm/echo", "/iwa/echo"])


@every_handler
@every_path
def test_ten_calls_are_three_requests_then_one_each_on_one_connection(
    apache: Apache, open_session: Any, count: Any, auth: Any, path: str
) -> None:
    session = open_session(auth())
    answers = [session.get(apache.url(path)).json() for _ in range(10)]
    assert {answer["user"] for answer in answers} == {NAME}
    assert len({answer["connection"] for answer in answers}) == 1
    assert count() == [401, 401] + [200] * 10


@every_handler
@every_path
def test_what_is_uploaded_crosses_once(apache: Apache, open_session: Any, auth: Any, path: str) -> None:
    session = open_session(auth())
    apache.forget()
    assert session.post(apache.url(path), data=b"x" * 1_000_000).json()["length"] == 1_000_000
    assert session.put(apache.url(path), data=iter([os.urandom(50_000)] * 20)).json()["length"] == 1_000_000
    assert [exchange.received > 900_000 for exchange in apache.exchanges()] == [False, False, True, True]


@every_handler
@every_path
@pytest.mark.parametrize("password", ["not-the-password", ""])
def test_a_wrong_password_is_sent_once(
    apache: Apache, open_session: Any, count: Any, auth: Any, path: str, password: str
) -> None:
    handler = auth()
    handler.password = password
    session = open_session(handler)
    for _ in range(3):
        with pytest.raises(ArcGISLoginError, match="EXAMPLE"):
            session.get(apache.url(path))
    assert count() == [401, 401, 401]
    handler.password = PASSWORD
    assert session.get(apache.url(path)).json()["user"] == NAME


def test_eight_threads_lose_no_call_and_each_connection_has_one_handshake(apache: Apache, open_session: Any) -> None:
    session = open_session(ntlm())
    apache.forget()
    users = on_threads(8, lambda _: [session.get(apache.url("/ntlm/echo")).json()["user"] for _ in range(50)])
    assert users == [[NAME] * 50] * 8
    exchanges = apache.exchanges()
    refused = Counter(exchange.client_port for exchange in exchanges if exchange.status == 401)
    assert set(refused.values()) <= {1, 2}
    connections = {exchange.client_port for exchange in exchanges}
    assert len(connections) == idle_lanes(session) <= 8
    assert set(refused) == connections


def test_nobody_else_is_served_on_a_connection_that_is_signed_in(apache: Apache, open_session: Any) -> None:
    session = open_session(ntlm())
    url = apache.url("/ntlm/echo")
    mine = session.get(url).json()
    assert session.get(url, drop_auth=True).status_code == 401
    assert session.get(apache.url("/open/echo"), drop_auth=True).json()["connection"] != mine["connection"]
    with pytest.raises(ArcGISLoginError):
        session.get(url, auth=EsriHttpNtlmAuth(None, f"{DOMAIN}\\bob", "whatever"))
    assert session.get(url).json()["connection"] == mine["connection"]


def test_by_address_the_given_name_is_asked_for(apache: Apache, open_session: Any) -> None:
    session = open_session(ntlm(), server_hostname={"127.0.0.1": GIS})
    answer = session.get(apache.url("/ntlm/echo").replace(GIS, "127.0.0.1")).json()
    assert answer["user"] == NAME
    assert dict(answer["headers"])["Host"].partition(":")[0] == GIS


@pytest.mark.parametrize("port", ["http", "https", "tls12"])
def test_with_and_without_tls(apache: Apache, open_session: Any, port: str) -> None:
    assert open_session(ntlm()).get(apache.url("/ntlm/echo", port)).json()["user"] == NAME


def test_an_answer_that_ends_its_connection_is_followed_by_a_new_handshake(
    apache: Apache, open_session: Any, count: Any
) -> None:
    session = open_session(ntlm())
    url = apache.url("/ntlm/echo")
    assert session.get(url).ok
    assert session.get(url, headers={"Connection": "close"}).json()["user"] == NAME
    assert session.get(url).json()["user"] == NAME
    assert count() == [401, 401, 200, 200, 401, 200]


def test_a_connection_that_is_never_kept_is_a_clear_error(apache: Apache, open_session: Any) -> None:
    session = open_session(ntlm())
    with pytest.raises(ConnectionLostError, match="in the middle of every sign-in"):
        session.get(apache.url("/ntlm/echo"), headers={"Connection": "close"})


def test_an_idle_connection_that_the_server_has_closed_is_made_and_signed_in_anew(
    apache: Apache, open_session: Any, proxy_peer: Any
) -> None:
    proxy = proxy_peer(names={GIS: ("127.0.0.1", apache.ports["https"])})
    session = open_session(ntlm(), proxies={"https": proxy.url})
    url = apache.url("/ntlm/echo")
    assert session.post(url, data=b"x" * 1000).json()["length"] == 1000
    proxy.close_connections()  # as at the end of the keep-alive time-out
    assert session.post(url, data=iter([b"x" * 1000])).json()["length"] == 1000
    assert len(proxy.tunnels) == 2
