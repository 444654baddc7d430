"""The cookie jar: who may set what, who gets what, and that nothing a server says can harm a later request."""

from __future__ import annotations

import datetime
import http.cookiejar
import pickle
import threading
import time
import urllib.request
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esri_http.messages.cookies import Cookie, CookieJar, jar_from, response_cookies
from esri_http.messages.registry_suffixes import is_registry_suffix
from esri_http.messages.set_cookie import default_path, parse_cookie_date, path_matches
from esri_http.words.errors import InvalidHeaderError
from esri_http.words.origins import Origin
from esri_http.words.urls import split_url

from ..support.clock import FakeClock

NOW = 1_700_000_000.0
LONG_AGO = "Expires=Thu, 01 Jan 1970 00:00:00 GMT"
HTTPS = "https://www.example.test/"


def origin(url: str) -> Origin:
    return split_url(url).origin


def set_by(url: str, *lines: str, jar: CookieJar | None = None) -> CookieJar:
    """A jar (a new one, where none is given) after an answer from `url` with these `Set-Cookie` lines."""
    jar = CookieJar(FakeClock(NOW)) if jar is None else jar
    where = split_url(url)
    jar.store(where.origin, where.path, lines)
    return jar


def sent_to(jar: CookieJar, url: str, **options: Any) -> str:
    where = split_url(url)
    return jar.header_for(where.origin, where.path, **options)


# Hosts


def test_a_cookie_without_a_domain_goes_back_to_its_host_alone() -> None:
    jar = set_by("https://example.test/", "a=1")
    assert sent_to(jar, "https://example.test/") == "a=1"
    assert sent_to(jar, "https://www.example.test/") == ""
    assert sent_to(jar, "https://test/") == ""


@pytest.mark.parametrize("domain", ["example.test", ".example.test", "EXAMPLE.Test", " example.test "])
def test_a_cookie_with_a_domain_goes_to_that_domain_and_all_below(domain: str) -> None:
    jar = set_by(HTTPS, f"a=1; Domain={domain}")
    for host in ("example.test", "www.example.test", "a.b.example.test"):
        assert sent_to(jar, f"https://{host}/") == "a=1"
    for host in ("badexample.test", "example.test.evil", "test", "le.test", "example.test."):
        assert sent_to(jar, f"https://{host}/") == ""


@pytest.mark.parametrize(
    "domain",
    ["other.test", "xample.test", "a.www.example.test", "test", ".test", "test.", "example.test.", "..example.test", "é"],
)
def test_a_cookie_for_a_foreign_domain_is_not_taken(domain: str) -> None:
    assert len(set_by(HTTPS, f"a=1; Domain={domain}")) == 0


@pytest.mark.parametrize("attribute", ["Domain=", "Domain", "Domain=.", "domain= ", "Domain=" + "a" * 2000])
def test_an_empty_domain_means_the_host_alone(attribute: str) -> None:
    jar = set_by(HTTPS, f"a=1; {attribute}")
    assert sent_to(jar, HTTPS) == "a=1"
    assert sent_to(jar, "https://x.www.example.test/") == ""


def test_a_host_with_a_final_dot_is_a_host_of_its_own() -> None:
    assert len(set_by("https://www.example.test./", "a=1; Domain=example.test.", "b=2; Domain=example.test")) == 0
    jar = set_by("https://example.test./", "a=1; Domain=example.test.", "b=2")
    assert sent_to(jar, "https://example.test./") == "a=1; b=2"
    assert sent_to(jar, "https://example.test/") == ""


def test_the_last_domain_counts() -> None:
    assert len(set_by(HTTPS, "a=1; Domain=example.test; Domain=other.test")) == 0
    assert len(set_by(HTTPS, "a=1; Domain=other.test; Domain=example.test")) == 1


def test_the_port_makes_no_difference() -> None:
    assert sent_to(set_by("https://example.test:7443/", "a=1"), "https://example.test:6443/") == "a=1"


@pytest.mark.parametrize(
    "host, domain",
    [
        ("127.0.0.1", "0.0.1"),
        ("127.0.0.1", ".0.1"),
        ("127.0.0.1", "1"),
        ("127.0.1", "0.1"),
        ("0x7f.1.0x1", "1.0x1"),
        ("[::1]", "1"),
    ],
)
def test_an_address_has_no_parents(host: str, domain: str) -> None:
    assert len(set_by(f"https://{host}/", f"a=1; Domain={domain}")) == 0


def test_an_address_may_name_itself() -> None:
    jar = set_by("https://127.0.0.1/", "a=1; Domain=127.0.0.1")
    assert sent_to(jar, "https://127.0.0.1/") == "a=1"
    assert sent_to(jar, "https://127.1.0.1/") == ""
    assert next(iter(jar)).host_only


@pytest.mark.parametrize(
    "suffix",
    [
        *(
            "com",
            "test",
            "co.uk",
            "com.au",
            "gov.uk",
            "org.uk",
            "ac.jp",
            "or.jp",
            "tokyo.jp",
            "com.br",
            "gov.br",
        ),
        *("co.us", "k12.ca.us", "govt.nz", "gv.at", "gouv.fr", "gob.mx", "go.kr", "uk.com", "github.io", "azurewebsites.net"),
        *("cloudapp.azure.com", "westeurope.cloudapp.azure.com", "amazonaws.com", "compute-1.amazonaws.com", "anything.ck"),
        *("eu-west-1.elb.amazonaws.com", "eu-west-1.compute.amazonaws.com"),
    ],
)
def test_nobody_may_set_cookies_for_a_registry(suffix: str) -> None:
    assert is_registry_suffix(suffix)
    assert len(set_by(f"https://gis.{suffix}/", f"a=1; Domain={suffix}")) == 0
    assert len(set_by(f"https://gis.{suffix}/", f"a=1; Domain=.{suffix.upper()}")) == 0
    jar = set_by(f"https://{suffix}/", f"a=1; Domain={suffix}")
    assert sent_to(jar, f"https://{suffix}/") == "a=1"
    assert sent_to(jar, f"https://gis.{suffix}/") == ""


@pytest.mark.parametrize(
    "domain",
    [
        *("example.com", "arcgis.com", "maps.arcgis.com", "esri.de", "example.co.uk", "city.gov.uk", "web.de", "go.it"),
        *("larimer.co.us", "x.k12.ca.us", "gis.westeurope.cloudapp.azure.com", "x.eu-west-1.elb.amazonaws.com", "agency.gov"),
    ],
)
def test_a_site_may_set_cookies_for_all_of_itself(domain: str) -> None:
    assert not is_registry_suffix(domain)
    assert sent_to(set_by(f"https://www.{domain}/", f"a=1; Domain={domain}"), f"https://gis.{domain}/") == "a=1"


# Paths


@pytest.mark.parametrize(
    "cookie_path, path, goes",
    [
        ("/portal", "/portal", True),
        ("/portal", "/portal/", True),
        ("/portal", "/portal/x", True),
        ("/portal", "/portalevil", False),
        ("/portal", "/Portal", False),
        ("/portal/", "/portal", False),
        ("/portal/", "/portal/x", True),
        ("/", "/anything", True),
        ("/portal", "/", False),
    ],
)
def test_a_path_is_matched_by_whole_segments(cookie_path: str, path: str, goes: bool) -> None:
    assert path_matches(path, cookie_path) is goes
    jar = set_by(HTTPS, f"a=1; Path={cookie_path}")
    assert sent_to(jar, f"https://www.example.test{path}?query=/portal") == ("a=1" if goes else "")


@pytest.mark.parametrize(
    "request_path, expected",
    [("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("/a/b/", "/a/b"), ("", "/"), ("odd/path", "/")],
)
def test_a_cookie_without_a_path_is_for_the_folder_of_the_request(request_path: str, expected: str) -> None:
    assert default_path(request_path) == expected


@pytest.mark.parametrize("attribute", ["Path=", "Path=relative", "Path", "Path=/x; Path=", "Path=/" + "x" * 1024])
def test_a_path_that_is_none_counts_as_absent(attribute: str) -> None:
    jar = set_by("https://www.example.test/portal/home", f"a=1; {attribute}")
    assert [cookie.path for cookie in jar] == ["/portal"]


# Values and shapes


@pytest.mark.parametrize(
    "line, header",
    [
        ("a=1", "a=1"),
        ("  a \t=\t 1  ; Path=/", "a=1"),
        ("a=", "a="),
        ("a=b=c==", "a=b=c=="),
        ('a="quoted, text"', 'a="quoted, text"'),
        ("a=1;;; ;=;Secure=no;x=y", "a=1"),
        ("a=caf\xe9", "a=caf\xe9"),
        ("a=1; HttpOnly; SameSite=None", "a=1"),
        ("a=1 2\t3", "a=1 2\t3"),
    ],
)
def test_values_come_back_as_they_were(line: str, header: str) -> None:
    assert sent_to(set_by(HTTPS, line), HTTPS) == header


@pytest.mark.parametrize(
    "line",
    [
        *("", ";", "=", "=value", "  =value", "novalue", "; a=1", "a", "a;b=1"),
        *("a=\x00", "a=1\r\nX-Evil: 1", "a=\x7f", "a\x01=1", "a=1; Path=/\x1f", "a=1; Comment=\n", "a=\u20ac", "a=\ud800"),
        "a=" + "x" * 4096,
    ],
)
def test_what_is_no_cookie_is_left_out_and_the_others_count(line: str) -> None:
    jar = set_by(HTTPS, "before=1", line, "after=2")
    assert sent_to(jar, HTTPS) == "before=1; after=2"


def test_the_longest_cookie_is_taken() -> None:
    assert len(set_by(HTTPS, "a=" + "x" * 4095)) == 1


def test_a_line_of_any_length_is_read_in_linear_time() -> None:
    lines = [
        "a=1" + "; a" * 500_000,
        "a=1;" + " " * 1_000_000,
        "=" * 1_000_000,
        "a=1; Expires=" + "1:" * 511,
        "a=1; Max-Age=" + "9" * 1024,
    ]
    start = time.process_time()
    set_by(HTTPS, *lines)
    assert time.process_time() - start < 3


# Secure


def test_a_secure_cookie_is_never_sent_over_http() -> None:
    jar = set_by(HTTPS, "a=1; Secure", "b=2; secure=no", "c=3")
    assert sent_to(jar, HTTPS) == "a=1; b=2; c=3"
    assert sent_to(jar, "http://www.example.test/") == "c=3"


def test_http_cannot_set_a_secure_cookie() -> None:
    assert len(set_by("http://www.example.test/", "a=1; Secure")) == 0


@pytest.mark.parametrize(
    "attack",
    [
        *("a=evil", "a=evil; Path=/", "a=evil; Path=/x/y", "a=evil; Domain=example.test", "a=; Max-Age=0"),
        "a=; Domain=www.example.test; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
@pytest.mark.parametrize("victim", ["a=good; Secure; Path=/", "a=good; Secure; Path=/; Domain=example.test"])
def test_http_cannot_replace_shadow_or_delete_a_secure_cookie(victim: str, attack: str) -> None:
    jar = set_by(HTTPS, victim)
    set_by("http://www.example.test/x/y", attack, jar=jar)
    assert sent_to(jar, "https://www.example.test/x/y/z") == "a=good"


def test_http_may_set_what_hides_no_secure_cookie() -> None:
    jar = set_by(HTTPS, "a=good; Secure; Path=/portal")
    set_by("http://www.example.test/", "a=root; Path=/", "b=2", jar=jar)
    set_by("http://other.test/", "a=other", jar=jar)
    assert sent_to(jar, "https://www.example.test/portal") == "a=good; a=root; b=2"
    assert sent_to(jar, "http://other.test/") == "a=other"


@pytest.mark.parametrize(
    "line, taken",
    [
        ("__Secure-a=1; Secure", True),
        ("__Secure-a=1", False),
        ("__SECURE-a=1", False),
        ("__Host-a=1; Secure; Path=/", True),
        ("__Host-a=1; Secure; Path=/; Domain=", True),
        ("__Host-a=1; Path=/", False),
        ("__Host-a=1; Secure", False),
        ("__Host-a=1; Secure; Path=/x", False),
        ("__host-a=1; Secure; Path=/; Domain=www.example.test", False),
        ("__Host-a=1; Secure; Path=/; Domain=example.test", False),
    ],
)
def test_the_name_prefixes_mean_what_they_say(line: str, taken: bool) -> None:
    assert bool(set_by(HTTPS, line)) is taken
    assert not set_by("http://www.example.test/", line)


# Time


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "06 nov 1994 8:49:37",
        "1994 november 6 08:49:37.5",
        "Sun, 06-Nov-1994 08:49:37 GMT+0300",
        "(08:49:37)/6th/NOVEMBER/94AD",
    ],
)
def test_one_date_in_many_spellings(text: str) -> None:
    assert parse_cookie_date(text) == 784_111_777


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("01 Jan 1970 00:00:00", 0),
        ("31 Dec 1969 23:59:59", -1),
        ("29 Feb 2000 00:00:00", 951_782_400),
        ("01 Mar 2000 00:00:00", 951_868_800),
        ("19 Jan 2038 03:14:08", 2**31),
        ("31 Dec 69 00:00:00", 3_155_673_600),
        ("01 Jan 70 00:00:00", 0),
        ("31 Dec 9999 23:59:59", 253_402_300_799),
    ],
)
def test_dates_are_counted_right(text: str, seconds: int) -> None:
    assert parse_cookie_date(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "06 Nov 1994", "08:49:37", "06 Nov 08:49:37", "31 Feb 1994 00:00:00", "29 Feb 1900 00:00:00"),
        *(
            "00 Nov 1994 08:49:37",
            "32 Jan 1994 08:49:37",
            "06 Nov 1994 24:00:00",
            "06 Nov 1994 08:60:00",
            "06 Nov 1994 08:00:60",
        ),
        *(
            "06 Nov 1600 08:49:37",
            "06 Nov 19940 08:49:37",
            "06 Nov 1994 08:49",
            "06 Nov 1994 008:49:37",
        ),
    ],
)
def test_what_is_no_date_is_ignored_and_the_cookie_stays(text: str) -> None:
    assert parse_cookie_date(text) is None
    jar = set_by(HTTPS, f"a=1; Expires={text}")
    assert [(cookie.name, cookie.expires) for cookie in jar] == [("a", None)]


def test_only_ascii_digits_make_a_date() -> None:
    assert parse_cookie_date("٠٦ Nov 1994 08:49:37") is None


@given(st.datetimes(min_value=datetime.datetime(1601, 1, 1)))
def test_every_date_agrees_with_the_standard_library(moment: datetime.datetime) -> None:
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    text = (
        f"{moment.day:02} {months[moment.month - 1]} {moment.year} {moment.hour:02}:{moment.minute:02}:{moment.second:02} GMT"
    )
    expected = (moment.replace(microsecond=0) - datetime.datetime(1970, 1, 1)).total_seconds()
    assert parse_cookie_date(text) == expected


def test_a_cookie_ends_when_its_time_is_over() -> None:
    clock = FakeClock(NOW)
    jar = set_by(HTTPS, "a=1; Max-Age=60", "b=2; Expires=Tue, 14 Nov 2023 22:13:50 GMT", "c=3", jar=CookieJar(clock))
    assert sent_to(jar, HTTPS) == "a=1; b=2; c=3"
    clock.advance(30)
    assert sent_to(jar, HTTPS) == "a=1; c=3"
    clock.advance(30)
    assert sent_to(jar, HTTPS) == "c=3"
    assert (jar.keys(), len(jar), "a" in jar, jar.get("a")) == (["c"], 1, False, None)


@pytest.mark.parametrize(
    "rank", ["Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60"]
)
def test_max_age_beats_expires(rank: str) -> None:
    assert [cookie.expires for cookie in set_by(HTTPS, f"a=1; {rank}")] == [NOW + 60]


@pytest.mark.parametrize(
    "attribute", ["Max-Age=0", "Max-Age=-1", "max-age=-99999999999999999999", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_a_time_that_is_over_deletes(attribute: str) -> None:
    jar = set_by(HTTPS, "a=1", "b=2")
    set_by(HTTPS, f"a=; {attribute}", jar=jar)
    assert sent_to(jar, HTTPS) == "b=2"
    set_by(HTTPS, f"b=; {attribute}", jar=jar)
    assert not jar


@pytest.mark.parametrize("value", ["", "soon", "1.5", "+60", "6e1", "0x10", " ", "\xb2", "--1", "-"])
def test_a_max_age_that_is_no_number_counts_as_absent(value: str) -> None:
    assert [cookie.expires for cookie in set_by(HTTPS, f"a=1; Max-Age={value}; Path=/")] == [None]


def test_a_max_age_of_any_size_counts() -> None:
    assert len(set_by(HTTPS, "a=1; Max-Age=-" + "9" * 1000)) == 0
    (cookie,) = set_by(HTTPS, "a=1; Max-Age=" + "9" * 1000)
    assert cookie.expires is not None
    assert NOW + 10**9 < cookie.expires < NOW + 10**10


# Order and limits


def test_longer_paths_come_first_and_then_older_cookies() -> None:
    jar = set_by(
        "https://www.example.test/a/b/c", "r1=1; Path=/", "r2=2; Path=/", "ab=3; Path=/a/b", "a=4; Path=/a", "r1=5; Path=/"
    )
    assert sent_to(jar, "https://www.example.test/a/b/c") == "ab=3; a=4; r1=5; r2=2"


def test_a_deleted_cookie_loses_its_place() -> None:
    jar = set_by(HTTPS, "a=1", "b=2", "a=; Max-Age=0", "a=3")
    assert sent_to(jar, HTTPS) == "b=2; a=3"


def test_a_flood_stays_bounded_and_later_requests_are_not_too_big() -> None:
    jar = CookieJar(FakeClock(NOW))
    for start in range(0, 2000, 100):
        set_by(HTTPS, *(f"n{number}={'x' * 4000}" for number in range(start, start + 100)), jar=jar)
    assert len(jar) == 180
    header = sent_to(jar, HTTPS)
    assert 4000 < len(header) <= 8190
    set_by(HTTPS, *(f"n{number}=x" for number in range(2000)), jar=jar)
    assert sent_to(jar, HTTPS).count(";") == 149


def test_a_cookie_that_does_not_fit_leaves_room_for_the_next() -> None:
    jar = set_by(HTTPS, "a=" + "x" * 4000, "b=" + "x" * 4000, "c=" + "x" * 4000, "d=small")
    header = sent_to(jar, HTTPS)
    assert [part[0] for part in header.split("; ")] == ["a", "b", "d"]


def test_a_header_may_be_exactly_as_long_as_the_limit() -> None:
    jar = set_by(HTTPS, "a=" + "x" * 4094, "b=" + "x" * (8190 - 4096 - 2 - 2))
    assert len(sent_to(jar, HTTPS)) == 8190
    jar = set_by(HTTPS, "a=" + "x" * 4094, "b=" + "x" * (8190 - 4096 - 2 - 1))
    assert len(sent_to(jar, HTTPS)) == 4096


def test_the_oldest_cookies_make_room_and_secure_ones_stay_longest() -> None:
    jar = set_by(HTTPS, "keep=1; Secure", "old=1", *(f"n{number}=1" for number in range(179)))
    assert "keep" in jar
    assert "old" not in jar
    assert "n0" in jar


def test_many_hosts_stay_bounded_in_all() -> None:
    jar = CookieJar(FakeClock(NOW))
    for number in range(3100):
        jar.store(Origin("https", f"h{number}.example.test", 443), "/", ["a=1"])
    assert len(jar) == 3000
    assert sent_to(jar, "https://h0.example.test/") == ""
    assert sent_to(jar, "https://h3099.example.test/") == "a=1"


# What the caller sets


def test_a_cookie_without_a_domain_goes_where_the_caller_asks_and_nowhere_else() -> None:
    jar = CookieJar()
    jar["a"] = "1"
    jar.set("s", "2", secure=True)
    jar.set("p", "3", path="/portal")
    assert sent_to(jar, "https://any.test/portal/x") == "p=3; a=1; s=2"
    assert sent_to(jar, "http://127.0.0.1/") == "a=1"
    assert sent_to(jar, "https://any.test/portal/x", own=False) == ""


def test_a_cookie_with_a_domain_goes_there_whoever_names_it() -> None:
    jar = CookieJar()
    jar.set("a", "1", domain=".Example.test")
    jar.set("b", "2", domain="co.uk")
    jar.set("c", "3", domain="127.0.0.1")
    for own in (True, False):
        assert sent_to(jar, "https://gis.example.test/", own=own) == "a=1"
        assert sent_to(jar, "https://gis.co.uk/", own=own) == ""
        assert sent_to(jar, "https://127.0.0.1/", own=own) == "c=3"


def test_of_one_name_the_newer_is_sent() -> None:
    jar = CookieJar()
    jar["a"] = "mine"
    assert sent_to(set_by(HTTPS, "a=theirs", jar=jar), HTTPS) == "a=theirs"
    jar["a"] = "mine again"
    assert sent_to(jar, HTTPS) == "a=mine again"
    assert sent_to(jar, "https://other.test/") == "a=mine again"
    assert jar["a"] == "mine again"


def test_cookies_of_one_call_replace_those_of_the_same_name() -> None:
    jar = set_by(HTTPS, "a=1", "b=2")
    assert sent_to(jar, HTTPS, extra=jar_from({"a": "call", "c": "3"})) == "a=call; c=3; b=2"
    assert sent_to(jar, HTTPS, extra=jar_from({"a": "call"}), own=False) == "a=1; b=2"
    assert sent_to(CookieJar(), HTTPS, extra=jar_from([("x", "1")])) == "x=1"
    assert sent_to(jar, HTTPS, extra=CookieJar()) == "a=1; b=2"


@pytest.mark.parametrize(
    "value", ["a\r\nX: 1", "a\nb", "a\x00", "a\x7f", "a; b=2", "\u20ac", "x" * 5000, b"bytes", 1.5, True, ["a"]]
)
def test_a_value_that_would_change_the_header_is_refused_and_not_shown(value: Any) -> None:
    for attempt in (
        lambda: CookieJar().set("name", value),
        lambda: CookieJar().update({"name": value}),
        lambda: jar_from([("name", value)]),
    ):
        with pytest.raises(InvalidHeaderError, match="cookie name") as caught:
            attempt()
        assert str(value) not in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a=b", "a;b", "a\r\nb", "\x00", "\u20ac", " a", 5, None, b"a"])
def test_a_name_that_would_change_the_header_is_refused(name: Any) -> None:
    for attempt in (lambda: CookieJar().set(name, "1"), lambda: jar_from({name: "1"})):
        with pytest.raises(InvalidHeaderError):
            attempt()


@pytest.mark.parametrize(
    "source", ["a=1; b=2", b"a=1", 5, [("a", "b", "c")], ["ab"], [None], [SimpleNamespace(name="a", value="b")]]
)
def test_what_is_no_set_of_cookies_is_refused(source: Any) -> None:
    with pytest.raises(InvalidHeaderError, match="cookies="):
        jar_from(source)


@pytest.mark.parametrize(
    "attributes",
    [
        *({"domain": 5}, {"domain": b"gis.test"}, {"domain": "."}, {"domain": " "}, {"path": 5}, {"path": ["/"]}),
        *({"expires": "tomorrow"}, {"expires": float("nan")}),
    ],
    ids=repr,
)
def test_attributes_that_no_jar_can_keep_are_refused(attributes: Any) -> None:
    jar = CookieJar()
    with pytest.raises(InvalidHeaderError, match="cookie a"):
        jar.set("a", "s3cret", **attributes)
    with pytest.raises(InvalidHeaderError, match="cookie a"):
        jar.update([Cookie("a", "s3cret", **attributes)])
    assert sent_to(jar, HTTPS) == ""


@pytest.mark.parametrize("source", [None, {}, [], {"gone": None}])
def test_no_cookies_make_an_empty_jar(source: Any) -> None:
    assert not jar_from(source)


def test_cookies_are_taken_in_every_usual_shape() -> None:
    own = CookieJar()
    own.set("d", "4", domain="example.test")
    sources: list[Any] = [{"a": "1"}, [("b", "2")], [["c", "3"]], own, [Cookie("e", "5")], {"f": 6}]
    jar = CookieJar()
    for source in sources:
        jar.update(source)
    jar.update(g="7")
    assert jar.items() == [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5"), ("f", "6"), ("g", "7")]
    assert sent_to(jar, "https://other.test/", own=False) == ""
    assert sent_to(jar, "https://www.example.test/") == "a=1; b=2; c=3; d=4; e=5; f=6; g=7"
    assert jar_from(jar) is jar


def test_the_jar_of_the_standard_library_is_taken_in() -> None:
    class Answer:
        def info(self) -> Any:
            from email.message import Message

            message = Message()
            message["Set-Cookie"] = "host=1; Path=/x"
            message["Set-Cookie"] = "site=2; Domain=example.test; Secure; Path=/; Max-Age=1000"
            return message

    theirs = http.cookiejar.CookieJar()
    theirs.extract_cookies(Answer(), urllib.request.Request("https://www.example.test/"))  # type: ignore[arg-type]
    jar = jar_from(theirs)
    assert sent_to(jar, "https://www.example.test/x") == "host=1; site=2"
    assert sent_to(jar, "https://a.www.example.test/x") == "site=2"
    assert sent_to(jar, "http://www.example.test/x") == "host=1"


def test_what_a_server_set_can_be_taken_into_another_jar() -> None:
    answer = set_by(HTTPS, "odd name,\t(x)=1 2", "__Host-a=1; Secure; Path=/")
    jar = CookieJar()
    jar.update(answer)
    assert sent_to(jar, HTTPS) == sent_to(answer, HTTPS) == "odd name,\t(x)=1 2; __Host-a=1"
    assert sent_to(jar, "https://a.www.example.test/") == ""


# The jar as a mapping


def test_the_jar_works_as_a_mapping() -> None:
    jar = CookieJar(FakeClock(NOW))
    assert not jar
    assert len(jar) == 0
    jar["a"] = "1"
    set_by("https://x.test/p/q", "b=2; Path=/p", "a=3; Path=/", jar=jar)
    assert jar
    assert jar["b"] == "2"
    assert jar["a"] == "3"
    assert jar.get("a", domain="") == "1"
    assert jar.get("a", domain="x.test") == "3"
    assert jar.get("a", path="/p") is None
    assert jar.get("zz", "default") == "default"
    assert "a" in jar
    assert "zz" not in jar
    assert 5 not in jar
    assert len(jar) == 3
    assert jar.keys() == ["a", "b", "a"]
    assert jar.values() == ["1", "2", "3"]
    assert dict(jar) == jar.get_dict() == {"a": "3", "b": "2"}
    assert jar.get_dict(domain="x.test", path="/p") == {"b": "2"}
    assert [(cookie.name, cookie.domain, cookie.path) for cookie in jar] == [
        ("a", "", "/"),
        ("b", "x.test", "/p"),
        ("a", "x.test", "/"),
    ]
    with pytest.raises(KeyError):
        jar["zz"]


def test_cookies_can_be_removed() -> None:
    jar = set_by("https://x.test/", "a=1", "b=2; Path=/p", "c=3")
    set_by("https://y.test/", "a=4", jar=jar)
    jar["d"] = "5"
    del jar["c"]
    jar.delete("a", domain="x.test")
    assert jar.get_dict() == {"b": "2", "a": "4", "d": "5"}
    jar.clear(domain="x.test", path="/p")
    jar["d"] = None
    assert jar.get_dict() == {"a": "4"}
    jar.clear(domain="unknown.test")
    with pytest.raises(KeyError):
        jar.delete("zz")
    jar.clear()
    assert not jar
    assert len(jar) == 0


def test_a_copy_is_independent() -> None:
    jar = set_by(HTTPS, "a=1")
    twin = jar.copy()
    twin["b"] = "2"
    jar["c"] = "3"
    assert (sent_to(jar, HTTPS), sent_to(twin, HTTPS)) == ("a=1; c=3", "a=1; b=2")
    assert twin._clock is jar._clock


def test_a_jar_pickles() -> None:
    jar = CookieJar()
    set_by(HTTPS, "a=1; Domain=example.test; Secure", "b=2", jar=jar)
    twin = pickle.loads(pickle.dumps(jar))
    assert sent_to(twin, HTTPS) == "a=1; b=2"
    assert sent_to(twin, "https://gis.example.test/") == "a=1"
    assert sent_to(set_by(HTTPS, "c=3", jar=twin), HTTPS) == "a=1; b=2; c=3"


def test_no_repr_shows_a_value() -> None:
    jar = set_by(HTTPS, "name=s3cret")
    jar["other"] = "s3cret"
    shown = repr(jar) + str(jar) + repr(list(jar)) + str(next(iter(jar)))
    assert "s3cret" not in shown
    assert "2 cookies" in shown


def test_the_cookies_of_one_answer() -> None:
    jar = response_cookies(
        origin(HTTPS), "/a/b", ["a=1; Domain=example.test", "bad", "b=2; Max-Age=0", "c=3; Domain=evil.test"]
    )
    assert jar.get_dict() == {"a": "1"}
    assert [cookie.path for cookie in jar] == ["/a"]


def test_threads_share_a_jar() -> None:
    jar = CookieJar()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(60):
                set_by(f"https://h{number % 4}.example.test/", f"n{number}-{turn}=1", f"n{turn}=; Max-Age=0", jar=jar)
                sent_to(jar, f"https://h{turn % 4}.example.test/")
                assert all(cookie.value == "1" for cookie in jar)
                jar.copy().clear()
                jar[f"mine{number}"] = "1"
                del jar[f"mine{number}"]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(jar) == 8 * 60 == jar._count


# Anything at all

ATTRIBUTES = st.sampled_from(
    [
        "Domain=example.test",
        "Domain=test",
        "Path=/",
        "Path=/a",
        "Secure",
        "Max-Age=5",
        "Max-Age=0",
        "Expires=x",
        "__Host-",
        "=",
        " ",
    ]
)
NAMES = st.one_of(st.text("ab_-", max_size=3), st.sampled_from(["__Host-a", "__secure-b"]))
LINES = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=st.characters(max_codepoint=255), max_size=60),
    st.builds("{}={}; {}".format, NAMES, st.text("xy \t;,", max_size=3), st.lists(ATTRIBUTES).map("; ".join)),
)
URLS = st.sampled_from(
    ["https://www.example.test/a/b", "http://example.test/", "https://127.0.0.1/", "http://[::1]/x", "https://test./"]
)


@given(st.lists(st.tuples(URLS, st.lists(LINES, max_size=5)), max_size=6))
def test_whatever_servers_send_a_request_stays_one_line_and_goes_to_whom_it_may(answers: list[tuple[str, list[str]]]) -> None:
    jar = CookieJar(FakeClock(NOW))
    for url, lines in answers:
        set_by(url, *lines, jar=jar)
    assert jar._count == len(jar) == len(list(jar))
    for url in ("https://www.example.test/a", "http://www.example.test/a", "https://evil.test/", "https://127.1.0.1/"):
        header = sent_to(jar, url)
        assert not any(code in header.encode("latin-1") for code in (*range(9), *range(10, 32), 127))
    assert sent_to(jar, "https://evil.test/") == ""
    assert sent_to(jar, "https://127.1.0.1/") == ""
    assert all(cookie.secure for cookie in jar if cookie.name.lower().startswith(("__host-", "__secure-")))
