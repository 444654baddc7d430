"""Everything behind a web adaptor: sign in at the web tier, get the portal's token, query the layer of a federated server."""

from __future__ import annotations

from typing import Any, Callable

import pytest

import esri_http
from esri_http import EsriBuiltInAuth, EsriGenTokenAuth, EsriPKIAuth

from .apache import Apache
from .people import CERTIFICATE_USER, DOMAIN, PASSWORDS, REALM, USER
from .support import need_kerberos

pytestmark = [pytest.mark.real_server("apache"), pytest.mark.usefixtures("names", "no_ticket")]

PRINCIPAL = f"{USER}@{REALM}"


def by_password(name: str, way: str, user: str = USER) -> Callable[..., Any]:
    def make(apache: Apache, **options: Any) -> Any:
        if way == "krb":
            need_kerberos()
        return getattr(esri_http, name)(None, username=user, password=PASSWORDS[way], **options)

    return make


def by_kerberos(apache: Apache, **options: Any) -> Any:
    need_kerberos()
    return esri_http.EsriKerberosAuth(username=PRINCIPAL, password=PASSWORDS["krb"], **options)


def by_certificate(apache: Apache, **options: Any) -> Any:
    return EsriPKIAuth(None, apache.bed.ca.client(CERTIFICATE_USER).combined_file, **options)


WAYS = {
    "basic": ("basic", by_password("EsriBasicAuth", "basic")),
    "ldap": ("ldap", by_password("EsriBasicAuth", "ldap")),
    "digest": ("digest", by_password("EsriDigestAuth", "digest")),
    "kerberos": ("krb", by_kerberos),
    "kerberos, connection": ("krb-conn", by_kerberos),
    "kerberos, iwa": ("iwa", by_kerberos),
    "ntlm": ("ntlm", by_password("EsriHttpNtlmAuth", "ntlm", f"{DOMAIN}\\{USER}")),
    "ntlm, iwa": ("iwa", by_password("EsriHttpNtlmAuth", "ntlm", f"{DOMAIN}\\{USER}")),
    "windows": ("iwa", by_password("EsriWindowsAuth", "krb", PRINCIPAL)),
    "negotiate": ("krb", by_password("EsriHttpNegotiateAuth", "krb", PRINCIPAL)),
    "certificate, host": ("pki-host", by_certificate),
    "certificate, path": ("pki", by_certificate),
    "certificate, TLS 1.2": ("pki-tls12", by_certificate),
}
every_way = pytest.mark.parametrize("scheme, make", list(WAYS.values()), ids=list(WAYS))


def read_layer(session: Any, portal: Any) -> int:
    query = {"where": "1=1", "returnCountOnly": True, "f": "json"}
    answer = session.get(portal.layer_url + "/query", params=query)
    answer.raise_for_error()
    return int(answer.json()["count"])


@every_way
def test_the_handler_alone_reads_a_federated_layer(apache: Apache, open_session: Any, scheme: str, make: Any) -> None:
    portal = apache.portal(scheme)
    portal.clear()
    session = open_session(make(apache))
    me = session.get(f"{portal.portal_url}/sharing/rest/community/self", params={"f": "json"}).json()
    assert me["username"] == USER
    # The server believes its web tier, unless that is told to let nobody in; then it wants a token.
    portal.server_site.web_tier = lambda request: None
    try:
        assert [read_layer(session, portal) for _ in range(3)] == [355] * 3
        assert portal.count("/generateToken") == 2
        assert portal.count("/query") == 4
        portal.revoke_all_tokens()
        assert read_layer(session, portal) == 355
    finally:
        portal.server_site.web_tier = portal.portal_site.web_tier


@every_way
@pytest.mark.parametrize("outer", ["with a password", "without a password"])
def test_a_token_handler_behind_it_gets_its_tokens_through_it(
    apache: Apache, open_session: Any, scheme: str, make: Any, outer: str
) -> None:
    portal = apache.portal(scheme)
    portal.clear()
    if outer == "with a password":
        token_auth: Any = EsriBuiltInAuth(portal.portal_url, "bob", portal.password("bob"))
        expected = "bob"
    else:
        token_auth, expected = EsriGenTokenAuth(portal.portal_url), USER
    session = open_session(make(apache) + token_auth)
    portal.server_site.web_tier = lambda request: None
    try:
        assert [read_layer(session, portal) for _ in range(3)] == [355] * 3
        assert portal.count("/generateToken") == 2
        assert portal.count("/query") == 3
        me = session.get(f"{portal.portal_url}/sharing/rest/community/self", params={"f": "json"}).json()
        assert me["username"] == expected
        assert session.auth.token
    finally:
        portal.server_site.web_tier = portal.portal_site.web_tier


@every_way
def test_uploads_reach_what_is_behind_it_whole(apache: Apache, open_session: Any, scheme: str, make: Any) -> None:
    portal = apache.portal(scheme)
    session = open_session(make(apache, url=portal.portal_url))
    echo = portal.portal_url.rpartition("/")[0] + "/echo"
    answer = session.post(echo, data=b"x" * 1_000_000).json()
    assert answer["length"] == 1_000_000
    assert answer["user"].partition("@")[0].rpartition("\\")[2] == USER
    assert session.post(echo, data=iter([b"y" * 50_000] * 20)).json()["length"] == 1_000_000
    assert session.post(echo, files={"file": ("a.bin", b"z" * 500_000)}).json()["length"] > 500_000


@every_way
def test_what_it_costs_is_a_handshake_then_one_request_each(
    apache: Apache, open_session: Any, scheme: str, make: Any, count: Any
) -> None:
    portal = apache.portal(scheme)
    session = open_session(make(apache))
    echo = portal.portal_url.rpartition("/")[0] + "/echo"
    answers = [session.get(echo).json() for _ in range(10)]
    assert len({answer["connection"] for answer in answers}) == 1
    refused = {"ntlm": 2, "iwa": 2, "krb": 1, "krb-conn": 1, "digest": 1}.get(scheme, 0)
    if scheme == "iwa" and not isinstance(session.auth, esri_http.EsriHttpNtlmAuth):
        refused = 1
    assert count() == [401] * refused + [200] * 10
