"""Header fields: one line each, looked up whatever the case, and never shown when they are secret."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esri_http.words.errors import InvalidHeaderError
from esri_http.words.headers import (
    BODY_HEADERS,
    SECRET_HEADERS,
    Headers,
    check_method,
    lookup,
    merge,
    redact_headers,
    text_value,
    without,
)

BAD_VALUES = [
    "a\r\nX: y",
    "a\nX: y",
    "a\rX: y",
    "\r\n",
    "a\r\n",
    "\na",
    "a\x00",
    "\x01",
    "a\x0b",
    "a\x7f",
    "a\x1f",
    b"a\r\nX: y",
    b"\x00",
]
BAD_NAMES = [
    "",
    " ",
    "a b",
    "a:",
    "a\r\nX",
    "a\n",
    "\na",
    "a\x00",
    "é",
    "a\x7f",
    "(a)",
    "a/b",
    'a"',
    "a,b",
    "[a]",
    None,
    5,
    b"a",
]


@pytest.mark.parametrize("value", BAD_VALUES, ids=repr)
def test_a_value_that_would_begin_another_line_is_refused(value: Any) -> None:
    with pytest.raises(InvalidHeaderError):
        Headers({"X-Note": value})
    headers = Headers()
    with pytest.raises(InvalidHeaderError):
        headers["X-Note"] = value
    with pytest.raises(InvalidHeaderError):
        headers.update({"X-Note": value})
    with pytest.raises(InvalidHeaderError):
        merge({}, {"X-Note": value})
    assert not headers


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_a_name_that_is_no_token_is_refused(name: Any) -> None:
    with pytest.raises(InvalidHeaderError):
        Headers([(name, "value")])
    with pytest.raises(InvalidHeaderError):
        merge({}, [(name, "value")])


@pytest.mark.parametrize("value", [5, 1.5, True, ["a"], ("a",), object()], ids=repr)
def test_a_value_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidHeaderError, match="X-Note takes text"):
        merge({}, {"X-Note": value})


def test_a_value_outside_latin_1_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidHeaderError) as caught:
        text_value("Authorization", "пароль\u20ac")
    assert "пароль" not in str(caught.value)


@pytest.mark.parametrize("value", ["s3cret\r\nX: y", "s3cret\x00"])
def test_the_error_does_not_show_the_value(value: str) -> None:
    with pytest.raises(InvalidHeaderError) as caught:
        merge({}, {"X-Esri-Authorization": value})
    assert "s3cret" not in f"{caught.value!r} {caught.value} {caught.value.args}"


@given(st.text(), st.text())
def test_whatever_is_accepted_stays_on_one_line(name: str, value: str) -> None:
    try:
        kept = text_value(name, value)
    except InvalidHeaderError:
        return
    line = f"{name}: {kept}".encode("latin-1")
    assert len(line.splitlines()) == 1 or b"\x85" in line
    assert not set(line) & {0, 10, 13, 127}
    assert text_value(name, kept) == kept


@pytest.mark.parametrize(
    "value, kept", [(" a ", "a"), ("\ta b\t", "a b"), ("é", "é"), (b"\xe9", "é"), ("", ""), ("a\tb", "a\tb")]
)
def test_values_are_kept_without_the_blanks_around_them(value: Any, kept: str) -> None:
    assert Headers({"X-Note": value})["x-note"] == kept


def test_headers_are_a_mapping_that_ignores_case_and_keeps_the_last_spelling() -> None:
    headers = Headers({"Accept": "a", "X-One": "1", "Referer": "http"})
    headers["ACCEPT"] = "b"
    assert headers["accept"] == headers.get("Accept") == "b"
    assert list(headers) == ["ACCEPT", "X-One", "Referer"]
    assert len(headers) == 3
    assert "x-ONE" in headers
    assert 5 not in headers
    assert headers == {"accept": "b", "x-one": "1", "REFERER": "http"}
    assert headers != {"accept": "b"}
    assert (headers == 5) is False
    del headers["x-one"]
    assert headers.pop("referer") == "http"
    assert headers.plain() == {"ACCEPT": "b"}
    with pytest.raises(KeyError):
        headers["x-one"]


def test_the_plain_form_follows_every_change() -> None:
    headers = Headers({"A": "1"})
    assert headers.plain() == {"A": "1"}
    headers["a"] = "2"
    assert headers.plain() == {"a": "2"}
    del headers["A"]
    assert headers.plain() == {}


@pytest.mark.parametrize("made", [Headers.copy, copy.copy, copy.deepcopy])
def test_a_copy_is_independent(made: Callable[[Headers], Headers]) -> None:
    headers = Headers({"A": "1"})
    twin = made(headers)
    twin["B"] = "2"
    assert list(headers) == ["A"]
    assert headers.plain() == {"A": "1"}
    assert twin == {"A": "1", "B": "2"}


def test_a_value_of_none_removes_a_default() -> None:
    assert merge({"Accept": "*/*", "Referer": "http"}, {"REFERER": None, "x-one": "1"}) == {"Accept": "*/*", "x-one": "1"}
    assert Headers({"A": None}) == {}
    assert merge({"A": "1"}, {5: None}) == {"A": "1"}  # type: ignore[dict-item]


def test_merging_leaves_both_sides_alone() -> None:
    defaults = {"Accept": "a"}
    merged = merge(defaults, {"accept": "b"})
    assert merged == {"accept": "b"}
    assert defaults == {"Accept": "a"}
    assert merge(defaults, None) is not defaults
    assert merge(defaults, {}) == defaults


def test_of_several_values_the_last_counts() -> None:
    assert merge({}, [("A", "1"), ("a", "2")]) == {"a": "2"}


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding", "TRANSFER-ENCODING"])
def test_what_a_caller_says_of_the_length_of_a_body_does_not_count(name: str) -> None:
    assert merge({"Accept": "a"}, {name: "5"}) == {"Accept": "a"}
    assert Headers({"Accept": "a", name: "5"}).plain() == {"Accept": "a"}


@pytest.mark.parametrize("name", ["host", "HOST", "Host"])
def test_host_is_spelt_one_way(name: str) -> None:
    assert merge({}, {name: "gis.test"}) == Headers({name: "gis.test"}).plain() == {"Host": "gis.test"}


@pytest.mark.parametrize("method", ["get", "GET", "Propfind", "X-ONE", "a!#$%&'*+-.^_`|~9"])
def test_a_method_is_a_token_in_upper_case(method: str) -> None:
    assert check_method(method) == method.upper()


@pytest.mark.parametrize(
    "method", ["", " ", "GET ", "GET / HTTP/1.1\r\nX: y", "G\nET", "GET\r", "GÉT", "GET\x00", "a/b", None, 5, b"GET"], ids=repr
)
def test_a_method_that_is_no_token_is_refused(method: Any) -> None:
    with pytest.raises(InvalidHeaderError, match="method"):
        check_method(method)


SECRETS = ["Authorization", "X-Esri-Authorization", "Cookie", "Cookie2", "Proxy-Authorization"]


@pytest.mark.parametrize("name", [*SECRETS, *map(str.upper, SECRETS), *map(str.lower, SECRETS), "Set-Cookie"])
def test_secret_values_are_never_shown(name: str) -> None:
    assert redact_headers({name: "s3cret", "Accept": "a"}) == {name: "***", "Accept": "a"}
    assert "s3cret" not in repr(Headers({name: "s3cret"}))


def test_the_sets_of_names_are_lower_case() -> None:
    assert {name.lower() for name in SECRETS} == SECRET_HEADERS
    assert {name.lower() for name in BODY_HEADERS} == BODY_HEADERS
    assert {"content-type", "content-length", "transfer-encoding", "content-encoding"} < BODY_HEADERS


def test_plain_dicts_are_searched_and_thinned_whatever_the_case() -> None:
    fields = {"COOKIE": "a", "cookie": "b", "Accept": "c"}
    assert lookup(fields, "Accept") == lookup(fields, "accept") == "c"
    assert lookup(fields, "cookie") == "b"
    assert lookup(fields, "X-None") is None
    assert without(fields, SECRET_HEADERS) == {"Accept": "c"}
