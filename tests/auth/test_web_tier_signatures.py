"""Every handler for the web tier under the names and in the order of the peer, checked at once, and without secrets."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import esri_http
from esri_http import BaseEsriAuth, ConfigurationError, EsriSession
from esri_http.auth.chain import AuthChain

from .helpers import assert_hidden

SECRET = "s3cret-word"
NAMED = {"session": None, "username": "amy", "password": SECRET}
MADE = {
    "EsriBasicAuth": ((None, "amy", SECRET), {}),
    "EsriDigestAuth": ((None, "amy", SECRET), {}),
    "DigestAuth": (("amy", SECRET), {}),
    "EsriHttpNtlmAuth": ((None, "AD\\amy", SECRET, True), {}),
    "EsriHttpNegotiateAuth": ((None, "amy", SECRET, "HTTP", "gis.example.com", False), {}),
    "EsriWindowsAuth": ((None, "amy", SECRET, "http", True), {"legacy": False, "proxies": None}),
    "EsriKerberosAuth": (
        (),
        {
            **NAMED,
            "referer": "http", "proxies": None, "legacy": False, "mutual_authentication": 3, "service": "HTTP",
            "delegate": False, "force_preemptive": False, "principal": None, "hostname_override": None,
            "sanitize_mutual_error_response": True, "send_cbt": True,
        },
    ),
    "EsriGuessAuth": ((None, "amy", SECRET), {}),
    "EsriPKIAuth": ((None,), {}),
}  # fmt: skip
every_handler = pytest.mark.parametrize("name", list(MADE))


def make(name: str) -> Any:
    arguments, options = MADE[name]
    return getattr(esri_http, name)(*arguments, **options)


@every_handler
def test_it_is_made_as_the_peers_is_and_has_no_token(name: str) -> None:
    auth = make(name)
    assert isinstance(auth, BaseEsriAuth)
    assert auth.token is None
    with EsriSession(auth=auth) as session:
        assert session.auth is auth
    if name != "EsriPKIAuth":
        assert getattr(esri_http, name)(**NAMED).username == "amy"


@every_handler
def test_it_can_be_chained_both_ways(name: str) -> None:
    other = esri_http.EsriAPIKeyAuth("key-of-somebody")
    for chain in (make(name) + other, other + make(name), make(name) & other):
        assert isinstance(chain, AuthChain)
        assert len(chain.handlers) == 2


@every_handler
def test_a_misspelt_keyword_is_an_error(name: str) -> None:
    with pytest.raises(TypeError, match="usrname"):
        getattr(esri_http, name)(**({} if name == "EsriPKIAuth" else NAMED), usrname="amy")


@every_handler
def test_it_shows_no_password_and_travels_in_a_pickle(name: str) -> None:
    auth = make(name)
    assert_hidden([SECRET], auth)
    twin = pickle.loads(pickle.dumps(auth))
    assert type(twin) is type(auth)
    assert_hidden([SECRET], twin)
    assert twin.token is None


@pytest.mark.parametrize("name", [name for name in MADE if name not in ("EsriPKIAuth",)])
@pytest.mark.parametrize("field", ["username", "password"])
def test_what_is_no_text_is_refused_at_once(name: str, field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        getattr(esri_http, name)(**{**NAMED, field: 7})
    assert_hidden([SECRET], caught.value)


@pytest.mark.parametrize("value", ["MAYBE", 0, 4, None, []])
def test_how_far_the_server_must_prove_itself_is_one_of_three(value: Any) -> None:
    for good in ("required", "OPTIONAL", "DISABLED", 1, 2, 3):
        assert esri_http.EsriKerberosAuth(mutual_authentication=good).mutual in (1, 2, 3)
    with pytest.raises(ConfigurationError, match="REQUIRED"):
        esri_http.EsriKerberosAuth(mutual_authentication=value)
