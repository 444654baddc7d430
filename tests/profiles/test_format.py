"""The file is the peer's: what it writes we read, what we write it reads, and what others wrote in it stays byte for byte."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from esri_http import ProfileError, ProfileManager
from esri_http.profiles.ini import IniError, sections, with_section, without_section

from .helpers import KEYS, OwnStore, as_the_peer_reads, as_the_peer_writes

# As the peer's documented format describes it; beside its own lines, some of a person's.
PEERS_FILE = b"""\
[python_playground_prof]
date_modified = 2024-03-05 11:12:13.456789
url = https://pythonapi.playground.esri.com/portal
username = arcgis_python

[AGOL_prof]
date_modified = 2023-01-02 03:04:05.000006
url = https://geosaurus.maps.arcgis.com
username = 100%% amy@example.com
client_id = f8cRxbP3NO8bf9ag

[pki]
key_file = C:\\Users\\amy\\50%%\\key.pem
cert_file = C:\\Users\\amy\\cert.pem
"""
COMMENTED = """\
# written by hand, keep me
; and me

[First]
URL: https://one.example.com/portal
# the department's
colour = red
   and more red

   and, after a gap, still red
username=amy


# above the second
[second]
    url = https://two.example.com/portal
    note =
    Client_ID = app   ; no comment

[last]
date_modified = 2024-03-05 11:12:13.456789
x = 1"""

fresh = itertools.count()


def files_say(path: Path, content: bytes) -> dict[str, dict[str, str]]:
    path.write_bytes(content)
    return as_the_peer_reads(path)


def others(path: Path, *without: str) -> dict[str, dict[str, str]]:
    return {name: values for name, values in as_the_peer_reads(path).items() if name not in without}


# -- what the peer wrote -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_of_the_peer_is_read(manager: ProfileManager, path: Path, line_end: bytes, mark: bytes) -> None:
    path.write_bytes(mark + PEERS_FILE.replace(b"\n", line_end))
    assert manager.list() == ["python_playground_prof", "AGOL_prof", "pki"]
    assert manager.get("AGOL_prof") == {
        "url": "https://geosaurus.maps.arcgis.com",
        "username": "100% amy@example.com",
        "key_file": None,
        "cert_file": None,
        "client_id": "f8cRxbP3NO8bf9ag",
        "date_modified": datetime.datetime(2023, 1, 2, 3, 4, 5, 6),
    }
    assert manager.get("pki")["key_file"] == "C:\\Users\\amy\\50%\\key.pem"


def test_what_the_peer_would_write_now_is_read_and_what_we_write_it_reads(manager: ProfileManager, path: Path) -> None:
    as_the_peer_writes(path, amy={"date_modified": str(datetime.datetime.now()), "username": "50%% zoë", "url": ""})
    assert manager.load("amy").username == "50% zoë"
    assert manager.load("amy").url is None
    manager.update("amy", url="https://gis.example.com/a%20b")
    assert as_the_peer_reads(path)["amy"]["url"] == "https://gis.example.com/a%20b"
    assert as_the_peer_reads(path)["amy"]["username"] == "50% zoë"


def test_a_single_percent_sign_that_the_peer_cannot_read_is_one(manager: ProfileManager, path: Path) -> None:
    path.write_text("[amy]\nurl = https://gis.example.com/a%20b\nusername = %(url)s\n", encoding="ascii")
    assert manager.load("amy").url == "https://gis.example.com/a%20b"
    assert manager.load("amy").username == "%(url)s"


def test_the_old_format_without_dates_is_read_and_kept(manager: ProfileManager, path: Path) -> None:
    old = "[amy]\nurl = https://gis.example.com\npassword = c2VjcmV0\n\n[bob]\nusername = bob\n"
    path.write_text(old, encoding="ascii")
    assert manager.get("amy")["date_modified"] is None
    assert manager.list() == ["amy", "bob"]
    manager.create("zoë", "https://gis.example.com")
    assert path.read_text(encoding="utf-8").startswith(old)


@pytest.mark.parametrize("date", ["2024-03-05", "yesterday", "", "2024-03-05 11:12:13", "9" * 5000])
def test_a_date_that_is_none_is_no_error(manager: ProfileManager, path: Path, date: str) -> None:
    path.write_text(f"[amy]\ndate_modified = {date}\n", encoding="ascii")
    found = manager.get("amy")["date_modified"]
    assert found is None or found.year == 2024


def test_values_for_all_profiles_count_as_the_peer_has_it(manager: ProfileManager, path: Path) -> None:
    path.write_text("[DEFAULT]\nurl = https://gis.example.com\n\n[amy]\nusername = amy\n", encoding="ascii")
    assert manager.list() == ["amy"]
    assert manager.load("amy").url == "https://gis.example.com"
    before = path.read_bytes()
    with pytest.raises(ProfileError, match="correct it by hand"):
        manager.create("amy", username="amy")  # which would have to be without a URL
    assert path.read_bytes() == before


# -- what stays ----------------------------------------------------------------------------------------------------------

EDITS: dict[str, Any] = {
    "a value changes": (
        lambda manager: manager.update("First", "https://new.example.com"),
        [("URL: https://one.example.com/portal", "url = https://new.example.com"), ("username=amy", "username=amy\n{date}")],
    ),
    "a value is added": (
        lambda manager: manager.update("second", cert_file="c.pem"),
        [("Client_ID = app   ; no comment", "Client_ID = app   ; no comment\n    {date}\n    cert_file = c.pem")],
    ),
    "an indented value changes": (
        lambda manager: manager.update("second", "https://new.example.com"),
        [
            ("url = https://two.example.com/portal", "url = https://new.example.com"),
            ("Client_ID = app   ; no comment", "Client_ID = app   ; no comment\n    {date}"),
        ],
    ),
    "a value is left out": (
        lambda manager: manager.create("First", "https://one.example.com/portal"),
        [("username=amy", "{date}")],
    ),
    "a line without an end": (
        lambda manager: manager.update("last", username="amy"),
        [("2024-03-05 11:12:13.456789", "{bare date}"), ("x = 1", "x = 1\nusername = amy\n")],
    ),
    "a profile is added": (
        lambda manager: manager.create("new", username="amy"),
        [("x = 1", "x = 1\n\n[new]\n{date}\nusername = amy\n\n")],
    ),
    "a profile is deleted": (
        lambda manager: manager.delete("second"),
        [(COMMENTED[COMMENTED.index("[second]") : COMMENTED.index("[last]")], "")],
    ),
    "the first one is deleted": (
        lambda manager: manager.delete("First"),
        [(COMMENTED[COMMENTED.index("[First]") : COMMENTED.index("# above")], "")],
    ),
    "the last one is deleted": (lambda manager: manager.delete("last"), [(COMMENTED[COMMENTED.index("[last]") :], "")]),
}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("edit, changes", list(EDITS.values()), ids=list(EDITS))
def test_what_others_wrote_stays_byte_for_byte(
    path: Path, store: OwnStore, fake_clock: Any, edit: Any, changes: Any, line_end: str, mark: str
) -> None:
    path.write_bytes((mark + COMMENTED.replace("\n", line_end)).encode())
    edit(ProfileManager(store=store, clock=fake_clock))
    wanted, date = COMMENTED, datetime.datetime.fromtimestamp(fake_clock.time()).isoformat(" ", "microseconds")
    for old, new in changes:
        assert wanted.count(old) == 1
        wanted = wanted.replace(old, new.replace("{date}", f"date_modified = {date}").replace("{bare date}", date))
    assert path.read_bytes().decode() == mark + wanted.replace("\n", line_end)


def test_a_file_in_which_a_change_would_change_more_is_left_alone(manager: ProfileManager, path: Path) -> None:
    # The header of the second profile would become part of what is added to the first.
    content = b"[a]\n  [b]\n  url = https://gis.example.com\n"
    before = files_say(path, content)
    assert list(before) == ["a", "b"]
    with pytest.raises(ProfileError, match="other lines would change their meaning.*correct it by hand"):
        manager.update("a", username="amy")
    assert path.read_bytes() == content


# -- damaged files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"url = https://gis.example.com s3cret\n[a]\n", "line 1 stands before the first"),
        (b"[a]\n\nurl s3cret\n", "line 3 is neither"),
        (b"[a]\n= s3cret\n", "line 2 is neither"),
        (b"[a]\nurl = x\n[b]\n[a]\n", "line 4 repeats"),
        (b"[a]\nurl = s3cret\nURL = s3cret\n", "line 3 repeats"),
        (b"\xff\xfe[\x00a\x00]\x00", "not UTF-8 text .byte 0."),
        (b"[a]\nusername = zo\xeb s3cret\n", "not UTF-8 text .byte 17."),
        (b"\xef\xbb\xbf[a]\nusername = \xff", "not UTF-8 text .byte 18."),
        (b"[a]\n" + b"x" * (1 << 20), "longer than 1048576 bytes"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_where_and_it_is_left_alone(
    manager: ProfileManager, store: OwnStore, path: Path, content: bytes, reason: str
) -> None:
    path.write_bytes(content)
    for attempt in (
        lambda: manager.list(),
        lambda: manager.load("a"),
        lambda: manager.create("a", "https://gis.example.com", "amy", "amys-secret"),
        lambda: manager.delete("a"),
        lambda: manager.set_secret("a", "amys-secret"),
    ):
        with pytest.raises(ProfileError, match=reason) as caught:
            attempt()
        assert str(path) in str(caught.value)
        assert "s3cret" not in str(caught.value)
    assert path.read_bytes() == content
    assert store.kept == {}


# -- anything at all -----------------------------------------------------------------------------------------------------

TEXTS = st.text(max_size=12) | st.text(" \t\n\r\x0b\x0c\x1c\x85\u2028[]=:#;%\\'\"aé", max_size=12)
VALUES = st.none() | TEXTS
LINES = st.sampled_from(
    [
        *("[a]", "[b]", " [c]", "[DEFAULT]", "[d] rest", "[e]f]"),
        *("url = x", "URL: y", " username = 50%", "k=", "date_modified = 1", "client_id = %(url)s", "key_file\t=\tz"),
        *("  more", "# note", " ; note", "", " ", "\t"),
    ]
)
FILES = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=14).map(
    lambda lines: "".join(line + end for line, end in lines)
)
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


@relaxed
@given(name=TEXTS, values=st.lists(VALUES, min_size=5, max_size=5))
@example(name="100%", values=["%", "%%", "%(x)s", "= a", "# a"])
@example(name="# a", values=["; a", "[b]", ": a", "a = b", "\\"])
@example(name=" a ", values=[None] * 5)
def test_names_and_values_survive_or_are_refused(tmp_path: Path, name: str, values: list[Optional[str]]) -> None:
    path = tmp_path / f"{next(fresh)}.ini"
    manager = ProfileManager(path, OwnStore())
    manager.create("other", "https://gis.example.com")
    before = path.read_bytes()
    try:
        manager.create(name, **dict(zip(KEYS, values)))
    except ProfileError:
        assert path.read_bytes() == before
        return
    assert others(path) == {**others(path, name), name: as_the_peer_reads(path)[name]}
    assert set(as_the_peer_reads(path)) == {"other", name}
    found = as_the_peer_reads(path)[name]
    del found["date_modified"]
    assert found == {key: value for key, value in zip(KEYS, values) if value}
    assert [getattr(manager.load(name), key) for key in KEYS] == [value or None for value in values]


def _other_lines(text: str) -> list[str]:
    """Those that do not hold a value that we write."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip() and not line.strip().lower().startswith(KEYS)]


@relaxed
@given(
    text=FILES, name=st.sampled_from(["a", "b", "c", "new", "d", "e]f"]), values=st.dictionaries(st.sampled_from(KEYS), VALUES)
)
def test_a_change_changes_one_section_and_no_other_line(text: str, name: str, values: dict[str, Optional[str]]) -> None:
    try:
        before = sections(text)
        after = with_section(text, name, values)
    except IniError:
        return
    wanted = {**before.get(name, {}), **{key: value for key, value in values.items() if value is not None}}
    assert sections(after) == {**before, name: {k: v for k, v in wanted.items() if k not in values or values[k] is not None}}
    if name not in before:
        assert after.startswith(text)
    elif "more" not in text:  # which goes on with a value that may be left out
        assert _other_lines(after) == _other_lines(text)
    assert sections(without_section(after, name)) == {key: value for key, value in before.items() if key != name}


@relaxed
@given(text=st.text(max_size=60) | FILES)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert all(isinstance(value, str) for values in sections(text).values() for value in values.values())
    except IniError:
        pass
