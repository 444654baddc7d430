"""Whatever is given to `GIS(...)`, it ends promptly, and with an error of ours if it fails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from esri_http import GIS, EsriHttpError
from esri_http.gis.parameters import KEYWORDS

# No name of these leads anywhere, so that nothing leaves this machine.
_HOSTS = st.sampled_from(
    ["127.0.0.1:9", "localhost:9", "[::1]:9", "x.invalid", "user:pw@127.0.0.1:9", "127.0.0.1:99999", "", " ", "é.invalid"]
)
_TEXT = st.text(max_size=20)
_URLS = st.one_of(
    st.tuples(
        st.sampled_from(["http://", "https://", "HTTPS://", "//", "", "ftp://", "https:/", "javascript:"]), _HOSTS, _TEXT
    ).map("".join),
    st.sampled_from(
        ["pro", "home", "HOME ", "\x00", "https://", ":", "?", "#", "/portal", "C:\\portal", "a" * 5000 + ".invalid"]
    ),
    st.one_of(st.integers(), st.binary(max_size=5), st.lists(_TEXT, max_size=2)),
)
_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), _TEXT, st.binary(max_size=8), st.lists(_TEXT, max_size=2),
    st.dictionaries(_TEXT, _TEXT, max_size=2), st.just(object()),
)  # fmt: skip
_NAMED = ("username", "password", "key_file", "cert_file", "verify_cert", "client_id")
# A person is not asked here, nothing is stored, and no time-out is made longer.
_NAMES = [
    name
    for name in (*KEYWORDS, *_NAMED)
    if name not in ("prompt", "open_browser", "wait_seconds", "secret_store", "clock", "retries")
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


@pytest.mark.parametrize("name", sorted(_NAMES))
@pytest.mark.parametrize("value", [0, -1, "", "x", b"x", [], {}, 1.5, object()], ids=repr)
def test_each_parameter_alone(name: str, value: Any) -> None:
    assert outcome("https://127.0.0.1:9/portal", {name: value}) != "connected"
