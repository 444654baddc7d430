"""URLs as they may be shown."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esri_http.words.errors import EsriHttpError, InvalidUrlError
from esri_http.words.redaction import redact_url
from esri_http.words.urls import split_url


@pytest.mark.parametrize(
    "url, shown",
    [
        ("https://gis.test/a/b", "https://gis.test/a/b"),
        ("https://gis.test:8443/a?token=s3cret", "https://gis.test:8443/a?…"),
        ("https://gis.test?token=s3cret", "https://gis.test?…"),
        ("https://gis.test:8443?token=s3cret", "https://gis.test:8443?…"),
        ("https://gis.test/a#access_token=s3cret", "https://gis.test/a?…"),
        ("https://amy:s3cret@gis.test/a", "https://gis.test/a"),
        ("https://gis.test/a@b?c@d", "https://gis.test/a@b?…"),
        ("https://amy:s3cret@gis.test/a@b", "https://***"),
        ("https://amy:s3@/cret@gis.test/a", "https://***"),
        ("https://amy:s3@cret@gis.test/a", "https://gis.test/a"),
        ("https://[::1]:8443/a", "https://[::1]:8443/a"),
        ("https://amy:s3cret@[::1]/a", "https://[::1]/a"),
        ("https://bücher.test/a", "https://bücher.test/a"),
        ("/a?token=s3cret", "/a?…"),
        ("gis.test/a", "gis.test/a"),
        ("amy:s3cret@gis.test/a", "gis.test/a"),
        ("https:/amy:s3cret@gis.test/a", "gis.test/a"),
        ("https://amy:s3/cret@gis.test/a", "https://***"),
        ("https://amy:s3?cret@gis.test/a", "https://***"),
        ("https://amy:s3#cret@gis.test/a", "https://***"),
        ("https://amy:s3\\cret@gis.test/a", "https://gis.test/a"),
        ("", ""),
    ],
)
def test_user_info_query_and_fragment_are_left_out(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize("thing", [None, 5, b"http://gis.test/?a", object(), ValueError("x")], ids=type)
def test_anything_can_be_shown(thing: object) -> None:
    assert isinstance(redact_url(thing), str)


@given(st.text())
def test_what_is_shown_is_one_printable_line_of_bounded_length(text: str) -> None:
    shown = redact_url(text)
    assert shown.isprintable()
    assert len(shown) <= 501


@given(
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=8),
    st.sampled_from(["/a", "", "/a?b=c@d", "/@", "#x"]),
)
def test_no_password_is_shown_whatever_characters_it_holds(filler: str, rest: str) -> None:
    # A password of letters round any characters, as users paste it without encoding it.
    shown = redact_url(f"https://amy:qq{filler}zz@gis.test{rest}")
    assert "zz@" not in shown
    assert "qq" not in shown


@pytest.mark.parametrize(
    "text", ["@" * 1_000_000, "http://" + "@" * 1_000_000, "?" * 1_000_000, "http://[" * 200_000, "\x00" * 1_000_000]
)
def test_redaction_takes_linear_time(text: str) -> None:
    started = time.perf_counter()
    redact_url(text)
    assert time.perf_counter() - started < 1.0


def test_every_error_shows_its_url_redacted() -> None:
    assert EsriHttpError("text", url="https://amy:s3cret@gis.test/a?token=s3cret").url == "https://gis.test/a?…"


@given(st.text(max_size=20))
def test_no_invalid_url_is_quoted_with_its_query(text: str) -> None:
    with pytest.raises(InvalidUrlError) as caught:
        split_url(f"http://gis.test:port/{text}?token=s3cret")
    assert "s3cret" not in f"{caught.value} {caught.value.url} {caught.value!r}"
