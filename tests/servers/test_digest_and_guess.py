"""Digest, and `EsriGuessAuth`'s choice, where Apache and lighttpd ask."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest

from esri_http import ArcGISLoginError, EsriDigestAuth, EsriGuessAuth

from .apache import Apache
from .lighttpd import Lighttpd
from .people import DOMAIN, PASSWORDS, REALM, USER, UTF8_PASSWORDS, UTF8_USER
from .support import need_kerberos

pytestmark = [pytest.mark.real_server("apache"), pytest.mark.usefixtures("names", "no_ticket")]

LARGE = b"0123456789abcdef" * 65536
RIGHT = (None, USER, PASSWORDS["digest"])


def post_large(session: Any, url: str) -> None:
    answer = session.post(url, data=LARGE).json()
    assert answer["sha256"] == hashlib.sha256(LARGE).hexdigest()


@pytest.mark.parametrize("path", ["digest256", "digest-both", "digest-userhash"])
def test_lighttpd_is_signed_in_at_by_sha256(lighttpd: Lighttpd, open_session: Any, path: str) -> None:
    session = open_session(EsriDigestAuth(*RIGHT))
    assert [session.get(lighttpd.url(f"/{path}/echo")).json()["user"] for _ in range(3)] == [USER] * 3
    post_large(session, lighttpd.url(f"/{path}/echo"))
    with pytest.raises(ArcGISLoginError):
        session.get(lighttpd.url(f"/{path}/echo"), auth=EsriDigestAuth(None, USER, "wrong"))


@pytest.mark.parametrize("user, password", [RIGHT[1:], (UTF8_USER, UTF8_PASSWORDS["digest"])])
def test_apache_is_signed_in_at_by_any_user(apache: Apache, open_session: Any, count: Any, user: str, password: str) -> None:
    session = open_session(EsriDigestAuth(None, user, password))
    url = apache.url("/digest/echo")
    assert session.get(url, params={"where": "\"a\" = 'ä'"}).json()["user"] == user
    post_large(session, url)
    assert session.post(url, data=iter([LARGE])).json()["sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert count() == [401, 200, 200, 200]


def test_a_nonce_that_apache_calls_stale_is_exchanged(apache: Apache, open_session: Any) -> None:
    session = open_session(EsriDigestAuth(*RIGHT))
    assert session.get(apache.url("/digest-stale/echo")).ok
    time.sleep(2.5)  # the server's own clock: a nonce lives for 2 s
    assert session.get(apache.url("/digest-stale/echo")).json()["user"] == USER
    post_large(session, apache.url("/digest-stale/echo"))


@pytest.mark.parametrize(
    "path, user, way, taken",
    [
        ("digest", USER, "digest", "Digest"),
        ("basic", USER, "basic", "Basic"),
        ("ldap", USER, "ldap", "Basic"),
        ("ntlm", f"{DOMAIN}\\{USER}", "ntlm", "NTLM"),
        ("iwa", f"{USER}@{REALM}", "krb", "Kerberos"),
        ("krb", f"{USER}@{REALM}", "krb", "Kerberos"),
        ("krb-or-basic", f"{USER}@{REALM}", "krb", "Kerberos"),
    ],
)
def test_the_strongest_that_can_work_is_taken(
    apache: Apache, open_session: Any, count: Any, path: str, user: str, way: str, taken: str
) -> None:
    if taken == "Kerberos":
        need_kerberos()
    session = open_session(EsriGuessAuth(None, user, PASSWORDS[way]))
    post_large(session, apache.url(f"/{path}/echo"))
    assert session.get(apache.url(f"/{path}/echo")).ok
    assert count() == [401, *([401] if taken == "NTLM" else []), 200, 200]
    assert f": {taken} as {user}; " in session.auth.describe(apache.url(f"/{path}/x"))


@pytest.mark.usefixtures("kerberos")
def test_a_password_that_the_domain_refuses_is_not_sent_by_basic(apache: Apache, open_session: Any, count: Any) -> None:
    session = open_session(EsriGuessAuth(None, f"{USER}@{REALM}", "wrong"))
    for _ in range(2):
        with pytest.raises(ArcGISLoginError, match="the password is wrong"):
            session.get(apache.url("/krb-or-basic/echo"))
    assert count() == [401]
