"""Basic and Digest with right, wrong, empty and non-ASCII credentials, against Apache (htpasswd, slapd) and lighttpd."""

from __future__ import annotations

from typing import Any

import pytest

from esri_http import ArcGISLoginError, EsriBasicAuth, EsriDigestAuth, EsriGuessAuth

from ..support.sessions import on_threads
from .apache import Apache
from .people import GIS, PASSWORDS, USER, UTF8_PASSWORDS, UTF8_USER

pytestmark = [pytest.mark.real_server("apache"), pytest.mark.usefixtures("names", "no_ticket")]

WAYS = {
    "basic": ("/basic/echo", EsriBasicAuth, "basic"),
    "ldap": ("/ldap/echo", EsriBasicAuth, "ldap"),
    "digest": ("/digest/echo", EsriDigestAuth, "digest"),
    "guess basic": ("/basic/echo", EsriGuessAuth, "basic"),
    "guess digest": ("/digest/echo", EsriGuessAuth, "digest"),
}
every_way = pytest.mark.parametrize("path, handler, way", list(WAYS.values()), ids=list(WAYS))


@every_way
@pytest.mark.parametrize("user", [USER, UTF8_USER])
def test_the_right_ones_sign_in(apache: Apache, open_session: Any, path: str, handler: Any, way: str, user: str) -> None:
    password = PASSWORDS[way] if user == USER else UTF8_PASSWORDS[way]
    session = open_session(handler(None, user, password))
    answers = [session.get(apache.url(path)).json(), session.post(apache.url(path), data=b"x" * 1_000_000).json()]
    assert [(answer["user"], answer["length"]) for answer in answers] == [(user, 0), (user, 1_000_000)]
    assert len({answer["connection"] for answer in answers}) == 1


@every_way
@pytest.mark.parametrize("user, password", [(USER, "wrong"), (USER, ""), (UTF8_USER, "falsch ü"), ("nobody", "wrong")])
def test_wrong_ones_are_shown_once_by_however_many_threads(
    apache: Apache, open_session: Any, count: Any, path: str, handler: Any, way: str, user: str, password: str
) -> None:
    session = open_session(handler(None, user, password))

    def attempt(_: int) -> None:
        with pytest.raises(ArcGISLoginError) as caught:
            session.get(apache.url(path))
        assert GIS in str(caught.value)

    on_threads(8, attempt)
    attempt(0)
    shown = [exchange for exchange in apache.exchanges() if exchange.status == 401]
    unsigned = 0 if handler is EsriBasicAuth else 8
    assert 1 <= len(shown) <= 1 + unsigned


@every_way
def test_by_address_the_given_name_is_asked_for(
    apache: Apache, open_session: Any, path: str, handler: Any, way: str
) -> None:
    session = open_session(handler(None, USER, PASSWORDS[way]), server_hostname={"127.0.0.1": GIS})
    assert session.get(apache.url(path).replace(GIS, "127.0.0.1")).json()["user"] == USER
