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


@pytest.mark.parametrize("name", [name for name in MADE if name not in ("EsriPKIAuth",)])
def test_a_user_name_with_half_a_character_is_refused_before_a_server_is_blamed_for_it(name: str) -> None:
    with pytest.raises(ConfigurationError, match="half a character") as caught:
        getattr(esri_http, name)(**{**NAMED, "username": "amy\udcff"})
    assert_hidden([SECRET], caught.value)


@pytest.mark.parametrize("value", [7, b"HTTP", True, float("nan"), ["a"]], ids=repr)
@pytest.mark.parametrize(
    "name, option",
    [
        *(("EsriKerberosAuth", option) for option in ("principal", "service", "hostname_override")),
        *(("EsriHttpNegotiateAuth", option) for option in ("service", "host")),
    ],
)
def test_what_is_no_part_of_a_principal_is_refused_at_once(name: str, option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"takes {option}= as text"):
        getattr(esri_http, name)(**{option: value})


def test_a_password_without_a_user_name_is_refused_at_once() -> None:
    for name in ("EsriHttpNtlmAuth", "EsriHttpNegotiateAuth", "EsriWindowsAuth", "EsriKerberosAuth", "EsriGuessAuth"):
        with pytest.raises(ConfigurationError, match="needs username=") as caught:
            getattr(esri_http, name)(password=SECRET)
        assert_hidden([SECRET], caught.value)


def test_a_client_certificate_is_given_with_the_options_of_all_web_tier_handlers_and_auth_none() -> None:
    options = {"url": "https://gis.example.com/portal", "legacy": True, "verify_cert": True, "proxies": None}
    assert isinstance(esri_http.EsriPKIAuth(None, auth=None, **options), esri_http.EsriPKIAuth)
    assert len(esri_http.EsriPKIAuth(auth=esri_http.EsriAPIKeyAuth("key-of-somebody"), **options).handlers) == 2


@pytest.mark.parametrize("value", ["MAYBE", 0, 4, None, []])
def test_how_far_the_server_must_prove_itself_is_one_of_three(value: Any) -> None:
    for good in ("required", "OPTIONAL", "DISABLED", 1, 2, 3):
        assert esri_http.EsriKerberosAuth(mutual_authentication=good).mutual in (1, 2, 3)
    with pytest.raises(ConfigurationError, match="REQUIRED"):
        esri_http.EsriKerberosAuth(mutual_authentication=value)
