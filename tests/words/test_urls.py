"""URLs: read as RFC 3986 reads them, or refused; in linear time; and what is sent is what was compared."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from esri_http.words.careful_urls import split_carefully
from esri_http.words.errors import InvalidUrlError
from esri_http.words.origins import Origin, SplitUrl
from esri_http.words.urls import origin_of, resolve_url, split_url

PIECES = [
    *("http", "https", "HTTP", "ftp", "://", ":", "/", "//", "?", "#", "@", "[", "]", "\\", "%", "%2f", "%zz", "..", "."),
    *("a", "gis.test", "b-", "-c", "é", "ⅷ", "℀", "。", "::1", "fe80::1%25eth0", "%25", "80", "0", "65536", " ", "\t", "\r\n"),
    *("\x00", "\x7f", "\u2028", "\ud800", "'", '"', "=", "&", "+", ";", "_", "~", "|"),
]
LIKE_URLS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
ANY_TEXT = st.one_of(st.text(), LIKE_URLS, LIKE_URLS.map(lambda text: "http://" + text))
SAFE_ON_THE_WIRE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%/?")


@given(ANY_TEXT)
@example("http://a.b-.c/")
@example("http://[fe80::1%2525]/")
@example("http://" + "a" * 64 + "/")
def test_any_text_is_a_url_or_an_error_and_never_anything_else(text: str) -> None:
    try:
        split = split_url(text)
    except InvalidUrlError:
        return
    assert set(split.target) <= SAFE_ON_THE_WIRE
    assert split.target.startswith("/")
    assert split.origin.scheme in ("http", "https")
    assert 0 < split.origin.port < 65536
    assert split.origin.host.isascii()
    assert not set(split.origin.host) & set("/?#@\\[] \t\r\n\x00")


@given(ANY_TEXT)
@example("http://[fe80::1%2525]/")
@example("http://h/%/a b/../é?%zz")
def test_splitting_twice_changes_nothing(text: str) -> None:
    try:
        split = split_url(text)
    except InvalidUrlError:
        return
    assert split_url(str(split)) == SplitUrl(split.origin, split.target)


@given(ANY_TEXT)
@example("http://a-.b/")
@example("http://a.-b/")
@example("https://" + "a" * 64 + ".test/")
@example("http://h:00080/")
@example("http://h?a=/../b")
def test_the_quick_way_and_the_careful_way_agree(text: str) -> None:
    def outcome(split: Any) -> Any:
        try:
            return split(text)
        except InvalidUrlError:
            return "refused"

    assert outcome(split_url) == outcome(split_carefully)


@given(ANY_TEXT, st.sampled_from(["/", "/a/b?c=d", "//x", "/a/"]))
def test_any_reference_leads_somewhere_or_is_an_error(reference: str, target: str) -> None:
    try:
        split = resolve_url(Origin("https", "gis.test", 8443), target, reference)
    except InvalidUrlError:
        return
    assert set(split.target) <= SAFE_ON_THE_WIRE


@pytest.mark.parametrize(
    "url, origin, target",
    [
        ("http://gis.test", "http://gis.test", "/"),
        ("HTTPS://GIS.Test:443/A/b", "https://gis.test", "/A/b"),
        ("https://gis.test:8443/a", "https://gis.test:8443", "/a"),
        ("http://gis.test:/a", "http://gis.test", "/a"),
        ("http://gis.test?f=json", "http://gis.test", "/?f=json"),
        ("http://gis.test/a?b?c", "http://gis.test", "/a?b?c"),
        ("http://gis.test/a b?where=NAME = 'é'", "http://gis.test", "/a%20b?where=NAME%20=%20'%C3%A9'"),
        ("http://gis.test/%c3%a9%2F", "http://gis.test", "/%c3%a9%2F"),
        ("http://gis.test/100%", "http://gis.test", "/100%25"),
        ("http://gis.test/a/./b/../c", "http://gis.test", "/a/c"),
        ("http://gis.test/../../a", "http://gis.test", "/a"),
        ("http://gis.test/a/..", "http://gis.test", "/"),
        ("http://gis.test//a//b", "http://gis.test", "//a//b"),
        ("http://gis.test/a\\b", "http://gis.test", "/a%5Cb"),
        ("  http://gis.test/a  ", "http://gis.test", "/a"),
        ("http://[::1]:8080/a", "http://[::1]:8080", "/a"),
        ("http://[0:0::0:1]/", "http://[::1]", "/"),
        ("http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]", "/"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1", "/"),
        ("http://bücher.test/ü", "http://xn--bcher-kva.test", "/%C3%BC"),
        ("http://my_host.test/", "http://my_host.test", "/"),
        ("http://gis.test./", "http://gis.test.", "/"),
    ],
)
def test_urls_are_read_as_the_rfc_reads_them(url: str, origin: str, target: str) -> None:
    split = split_url(url)
    assert str(split.origin) == origin
    assert split.target == target
    assert origin_of(url) == split.origin


def test_fragment_and_user_info_stay_on_this_side() -> None:
    split = split_url("http://amy:p%40ss@gis.test/a?b#c?d#e")
    assert (split.userinfo, split.fragment, split.target) == ("amy:p%40ss", "c?d#e", "/a?b")
    assert str(split) == "http://gis.test/a?b"
    assert (split.path, split.query) == ("/a", "b")


@pytest.mark.parametrize(
    "url, host",
    [
        ("http://good.test#@evil.test/", "good.test"),
        ("http://good.test?@evil.test/", "good.test"),
        ("http://good.test/@evil.test/", "good.test"),
        ("http://evil.test@good.test/", "good.test"),
        ("http://evil.test%2f@good.test/", "good.test"),
        ("http://good.test:80#@evil.test:80/", "good.test"),
    ],
)
def test_the_authority_ends_at_the_first_slash_question_mark_or_hash(url: str, host: str) -> None:
    assert split_url(url).origin.host == host


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "gis.test", "/a", "//gis.test/a", "http", "http:", "http:/", "http://", "http:///a", "http:gis.test"),
        *("http:/gis.test", "https:\\\\gis.test", "http://?a", "http://#", "http://:80/", "http://@/", "http://a:b@/"),
        *("file:///etc/passwd", "ftp://gis.test/", "javascript:alert(1)", "data:text/plain,a", "ws://gis.test/"),
        *("http://gis.test\\@evil.test/", "http://gis.test\\.evil.test/", "http://gis test/"),
        *("http://gis.test%2f.evil.test/", "http://gis%2etest/", "http://℀.test/", "http://gis.test／.evil.test/"),
        *(
            "http://gis.test:0/",
            "http://gis.test:65536/",
            "http://gis.test:8x/",
            "http://gis.test:-1/",
            "http://gis.test:８０/",
        ),
        *("http://gis.test:000080/", "http://[::1/", "http://[::1]x/", "http://[gis.test]/", "http://[]/", "http://::1/"),
        *("http://[fe80::1%25a/b]/", "http://a..b/", "http://.a/", "http://-a/", "http://a-/", "http://a.-b/"),
        *("http://" + "a" * 64 + "/", "http://" + "a." * 127 + "aa/", "http://a@b@c/", "http://amy:p@ss@gis.test/"),
        *(
            "http://gis.test/\r\nX: y",
            "http://gis.test/\x00",
            "http://gis.test/\t",
            "http://gis.test/\x7f",
            "\nhttp://gis.test",
        ),
        *(
            "http://gis\r\n.test/",
            "http://gis.test\x00.evil.test/",
            "http://gis.test/\ud800",
            "http://\ud800/",
            "http://" + "é" * 100 + "/",
        ),
    ],
    ids=repr,
)
def test_what_two_readers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrlError):
        split_url(url)


@pytest.mark.parametrize("url", [None, 5, b"http://gis.test/", ["http://gis.test/"]], ids=repr)
def test_what_is_no_text_is_no_url(url: Any) -> None:
    with pytest.raises(InvalidUrlError, match="text"):
        split_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://" + "@" * 20_000 + "gis.test/",
        "http://gis.test/" + "@" * 200_000,
        "http://" + "a." * 100_000,
        "http://" + "a" * 200_000 + "!",
        "http://" + "a-" * 100_000 + "/",
        "http://" + "é" * 200_000,
        "http://gis.test/" + "%" * 200_000,
        "http://gis.test/" + "../" * 100_000,
        "http://gis.test/" + "é" * 100_000,
        "http://[" + ":" * 200_000 + "]/",
        "http://gis.test:" + "9" * 200_000,
        ":" * 200_000,
        "a" * 200_000,
    ],
    ids=lambda url: f"{url[:12]}…",
)
def test_every_url_is_read_in_linear_time(url: str) -> None:
    said = ""
    started = time.perf_counter()
    try:
        split_url(url)
    except InvalidUrlError as error:
        said = str(error)
    assert time.perf_counter() - started < 1.0
    assert len(said) < 2000


@pytest.mark.parametrize(
    "url",
    ["amy:secret@gis.test/x", "http://amy:secret@gis.test:99999/", "http://amy:sec?secret@h/", "http://amy:se/secret@h/",
     "https:/amy:secret@gis.test/", "http://amy:secret@/a", "http://gis.test:8x/a?token=secret", "ftp://amy:secret@gis.test/"],
)  # fmt: skip
def test_no_error_shows_a_password_or_a_query(url: str) -> None:
    with pytest.raises(InvalidUrlError) as caught:
        split_url(url)
    assert "secret" not in f"{caught.value} {caught.value!r} {caught.value.url} {caught.value.args}"


@pytest.mark.parametrize(
    "reference, expected",
    [
        # RFC 3986 section 5.4, less what concerns ";" alone
        ("g", "http://a.test/b/c/g"),
        ("./g", "http://a.test/b/c/g"),
        ("g/", "http://a.test/b/c/g/"),
        ("/g", "http://a.test/g"),
        ("//g", "http://g/"),
        ("?y", "http://a.test/b/c/d;p?y"),
        ("g?y", "http://a.test/b/c/g?y"),
        ("#s", "http://a.test/b/c/d;p?q"),
        (";x", "http://a.test/b/c/;x"),
        ("", "http://a.test/b/c/d;p?q"),
        (".", "http://a.test/b/c/"),
        ("..", "http://a.test/b/"),
        ("../g", "http://a.test/b/g"),
        ("../../../../g", "http://a.test/g"),
        ("/./g", "http://a.test/g"),
        ("g..", "http://a.test/b/c/g.."),
        ("g?y/../x", "http://a.test/b/c/g?y/../x"),
        ("https://b.test", "https://b.test/"),
        ("/\\evil.test", "http://a.test/%5Cevil.test"),
        ("\\\\evil.test", "http://a.test/b/c/%5C%5Cevil.test"),
        (" /g ", "http://a.test/g"),
    ],
)
def test_references_are_resolved_as_the_rfc_says(reference: str, expected: str) -> None:
    assert str(resolve_url(Origin("http", "a.test", 80), "/b/c/d;p?q", reference)) == expected


@pytest.mark.parametrize(
    "reference", ["http:g", "https:/g", "mailto:a@b.test", "ht\ttp://evil.test/", "//\tevil.test", "/a\r\nX: y"]
)
def test_references_that_are_ambiguous_are_refused(reference: str) -> None:
    with pytest.raises(InvalidUrlError):
        resolve_url(Origin("http", "a.test", 80), "/", reference)


def test_the_fragment_of_a_reference_is_kept() -> None:
    assert resolve_url(Origin("http", "a.test", 80), "/b?q", "#s").fragment == "s"
