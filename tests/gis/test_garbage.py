"""Whatever is given to `GIS(...)`, and whatever a site says, it ends promptly, and with an error of ours if it fails."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from esri_http import GIS, EsriHttpError
from esri_http.gis.parameters import KEYWORDS
from tests.support.http_messages import Reply, json_reply

# No name of these leads anywhere, so that nothing leaves this machine.
_HOSTS = st.sampled_from(
    ["127.0.0.1:9", "localhost:9", "[::1]:9", "x.invalid", "user:pw@127.0.0.1:9", "127.0.0.1:99999", "", " ", "é.invalid"]
)
_TEXT = st.text(max_size=20)
_URLS = st.one_of(
    st.tuples(
        st.sampled_from(["http://", "https://", "HTTPS://", "//", "", "ftp://", "https:/", "javascript:"]), _HOSTS, _TEXT
    ).map("".join),
    st.sampled_from([
        "pro", "home", "HOME ", "'home'", '"pro"', "\x00", "https://", ":", "?", "#", "/portal", "C:\\portal",
        "a" * 5000 + ".invalid",
    ]),
    st.one_of(st.integers(), st.binary(max_size=5), st.lists(_TEXT, max_size=2)),
)
_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), _TEXT, st.binary(max_size=8), st.lists(_TEXT, max_size=2),
    st.dictionaries(_TEXT, _TEXT, max_size=2), st.just(object()), st.just("\ud800"),
)  # fmt: skip
_NAMED = ("username", "password", "key_file", "cert_file", "verify_cert", "client_id")
# A person is not asked here, nothing is stored, and no time-out is made longer.
_NAMES = [
    name
    for name in (*KEYWORDS, *_NAMED)
    if name not in ("prompt", "open_browser", "secret_store", "clock", "retries")
]
_CALM = {"prompt": lambda prompt: "", "open_browser": lambda url: False, "retries": 0}


def outcome(url: Any, keywords: dict[str, Any]) -> str:
    try:
        GIS(url, **{**keywords, "set_active": False, **_CALM}).close()
    except EsriHttpError as error:
        return str(error)
    except TypeError as error:
        if not str(error).startswith("GIS() got "):  # two names for one setting
            raise
        return str(error)
    return "connected"


@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(url=_URLS)
@example(url="https://127.0.0.1:9/\udcff")
def test_garbage_for_a_url_is_an_error_of_ours(url: Any) -> None:
    said = outcome(url, {"timeout": 0.2, "proxies": {"no_proxy": "*"}, "trust_env": False})
    assert said != "connected"
    assert "pw@" not in said


@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keywords=st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=4))
def test_any_combination_of_parameters_is_an_error_of_ours(keywords: dict[str, Any]) -> None:
    assert outcome("https://127.0.0.1:9/portal", keywords) != "connected"


_SIGN_INS = st.sampled_from([
    {}, {"username": "amy", "password": "amys-secret"}, {"username": "amy", "password": "amys-secret", "use_gen_token": True},
    {"client_id": "app1"}, {"client_id": "app1", "username": "amy", "password": "amys-secret"},
    {"client_id": "app1", "client_secret": "app1-secret"}, {"api_key": "x"},
])  # fmt: skip


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sign_in=_SIGN_INS, name=st.sampled_from([*_NAMES, "clock"]), value=_VALUES)
@example(sign_in={"username": "amy", "password": "amys-secret"}, name="expiration", value=10**400)
@example(sign_in={"username": "amy", "password": "amys-secret"}, name="expiration", value="60")
@example(sign_in={"client_id": "app1"}, name="redirect_uri", value=5)
@example(sign_in={"client_id": "app1"}, name="client_id", value="\ud800")
@example(sign_in={"client_id": "app1"}, name="wait_seconds", value="5")
@example(sign_in={"client_id": "app1", "client_secret": "app1-secret"}, name="on_token", value=5)
def test_each_parameter_at_a_portal_that_answers(portal: Any, sign_in: dict[str, str], name: str, value: Any) -> None:
    portal.register_app("app1", "app1-secret", redirect_uris=["urn:ietf:wg:oauth:2.0:oob"])
    outcome(portal.portal_url, {**sign_in, "timeout": 5, name: value})


@pytest.mark.parametrize("name", sorted(_NAMES))
@pytest.mark.parametrize("value", [0, -1, "", "x", b"x", [], {}, 1.5, object()], ids=repr)
def test_each_parameter_alone(name: str, value: Any) -> None:
    assert outcome("https://127.0.0.1:9/portal", {name: value}) != "connected"


_WORDS = st.sampled_from([
    "access", "appId", "appInfo", "authInfo", "canSignInArcGIS", "code", "currentVersion", "customBaseUrl", "details", "error",
    "expires", "isPortal", "message", "owningSystemUrl", "portalName", "status", "supportsOAuth", "token", "tokenServicesUrl",
    "urlKey", "user", "username",
])  # fmt: skip
_PARTS = st.one_of(
    st.none(), st.booleans(), st.integers(0, 10**12), st.sampled_from([200, 403, 498, 499, 500]), _TEXT,
    st.sampled_from(["http://127.0.0.1:9/portal", "https://evil.example/x", "http://[", "\x1b[31m", "error"]),
)  # fmt: skip
_OBJECTS = st.recursive(
    st.dictionaries(_WORDS, _PARTS, max_size=5), lambda inner: st.dictionaries(_WORDS, st.one_of(_PARTS, inner), max_size=5)
)
_ANSWERS = st.one_of(
    _OBJECTS, _OBJECTS.map(lambda said: {**said, "isPortal": True}), _OBJECTS.map(lambda said: {"currentVersion": 11, **said}),
    st.lists(_PARTS, max_size=2),
)  # fmt: skip
_CREDENTIALS = st.sampled_from([
    {}, {"username": "amy", "password": "hidden-one"}, {"token": "hidden-one"}, {"api_key": "hidden-one"},
    {"client_id": "app", "client_secret": "hidden-one"}, {"client_id": "app", "username": "amy", "password": "hidden-one"},
])  # fmt: skip


@pytest.fixture
def garbled(handler_peer: Any) -> Any:
    """A site that answers each kind of question by what its `said` has for that."""

    def answer(request: Any) -> Reply:
        return json_reply(peer.said[2 if request.method == "POST" else "/rest/info" in request.target])

    peer = handler_peer(answer)
    return peer


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.tuples(_ANSWERS, _ANSWERS, _ANSWERS), keywords=_CREDENTIALS, path=st.sampled_from(["", "/rest/services"]))
def test_whatever_a_site_says_is_an_error_of_ours_or_shown_harmlessly(
    garbled: Any, said: Any, keywords: dict[str, str], path: str
) -> None:
    garbled.said = said
    told, kept = io.StringIO(), b""
    try:
        with GIS(f"{garbled.url_for('/site')}{path}", set_active=False, retries=0, **keywords) as gis:
            gis.explain(told)
            shown = [repr(gis.users.me), gis.url, *repr(gis.properties).split("\n"), *told.getvalue().splitlines()]
            kept = pickle.dumps(copy.deepcopy(gis.properties)) + pickle.dumps(gis)
    except EsriHttpError as error:
        shown = [str(error)]
    assert [text for text in shown if not text.isprintable() or "hidden-one" in text] == []
    assert b"hidden-one" not in kept
