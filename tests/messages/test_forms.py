"""Form fields by ArcGIS's rules."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import io
import json
import pathlib
import time
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esri_http.messages.forms import encode_fields, esri_pairs, json_text
from esri_http.words.errors import InvalidRequestError

UTC = dt.timezone.utc


class Colour(enum.Enum):
    RED = "r&d"


class Level(enum.IntEnum):
    HIGH = 7


class Format(str, enum.Enum):
    JSON = "json"


class Numpy64:
    """Stands for a numpy scalar or array: only `tolist` counts."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def tolist(self) -> Any:
        return self.value

    def __str__(self) -> str:
        return f"array({self.value})"


class NumpyTime(Numpy64):
    """Stands for numpy.datetime64 in nanoseconds, whose own `tolist` would give nanoseconds."""

    class dtype:  # noqa: N801
        kind = "M"

    def astype(self, unit: str) -> Any:
        return self if unit == "datetime64[ms]" else Numpy64(self.value // 1_000_000)


class NotATime(NumpyTime):
    """Stands for NaT, which numpy turns into the smallest number of 64 bits."""

    def astype(self, unit: str) -> Any:
        return self if unit == "datetime64[ms]" else Numpy64(-(1 << 63))


@pytest.mark.parametrize(
    "value, texts",
    [
        (None, []),
        ("", [""]),
        ("a b", ["a b"]),
        (0, ["0"]),
        (True, ["true"]),
        (False, ["false"]),
        (1.5, ["1.5"]),
        (1.0, ["1.0"]),
        (10**20, [str(10**20)]),
        (dt.datetime(2020, 1, 1, tzinfo=UTC), ["1577836800000"]),
        (dt.datetime(2020, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), ["1577836800000"]),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), ["-1"]),
        (dt.datetime(2020, 1, 1, 0, 0, 0, 123_999, tzinfo=UTC), ["1577836800123"]),
        (dt.date(2020, 1, 1), ["1577836800000"]),
        ({"wkid": 4326, "on": True}, ['{"wkid":4326,"on":true}']),
        ({"when": dt.datetime(2020, 1, 1, tzinfo=UTC), "day": dt.date(1970, 1, 2)}, ['{"when":1577836800000,"day":86400000}']),
        ({"name": "Zürich"}, ['{"name":"Zürich"}']),
        ([{"a": 1}, {"b": None}], ['[{"a":1},{"b":null}]']),
        (({"a": 1},), ['[{"a":1}]']),
        ([1, "b", True, dt.date(1970, 1, 2), None], ["1,b,true,86400000"]),
        ((1, 2), ["1,2"]),
        ([], [""]),
        ({3, 1, 2}, ["1,2,3"]),
        (frozenset({"b", "a"}), ["a,b"]),
        ([["a", 1], ["b", 2]], ["a,1", "b,2"]),
        ([[[1, 2], [3, 4]]], ["[[[1,2],[3,4]]]"]),
        ([1, [2, 3]], ["[1,[2,3]]"]),
        ([1, {"a": 2}], ['[1,{"a":2}]']),
        (range(3), ["0,1,2"]),
        ((number for number in (1, 2)), ["1,2"]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), ["1"]),
        (b"\xff\x00", [b"\xff\x00"]),
        (bytearray(b"ab"), [b"ab"]),
        (memoryview(b"ab"), [b"ab"]),
        ([b"ab", "c"], ["ab,c"]),
        (Colour.RED, ["r&d"]),
        (Level.HIGH, ["7"]),
        (Format.JSON, ["json"]),
        ([Colour.RED, Level.HIGH], ["r&d,7"]),
        ({"a": Colour.RED}, ['{"a":"r&d"}']),
        (decimal.Decimal("1.10"), ["1.10"]),
        ({"d": decimal.Decimal("1.5"), "i": decimal.Decimal("2")}, ['{"d":1.5,"i":2}']),
        ({"s": {1}, "p": pathlib.PurePosixPath("a/b"), "r": range(2)}, ['{"s":[1],"p":"a/b","r":[0,1]}']),
        (uuid.UUID(int=1), ["00000000-0000-0000-0000-000000000001"]),
        (Numpy64(True), ["true"]),
        (Numpy64([1, 2]), ["1,2"]),
        ([Numpy64(1), Numpy64(2)], ["1,2"]),
        ({"n": Numpy64(2.5)}, ['{"n":2.5}']),
        (NumpyTime(1_577_836_800_000_000_000), ["1577836800000"]),
    ],
)
def test_a_value_becomes_what_arcgis_expects(value: Any, texts: list[Any]) -> None:
    assert esri_pairs({"k": value}) == [("k", text) for text in texts]


@pytest.fixture
def local_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the zone of this process for one test."""
    if not hasattr(time, "tzset"):
        pytest.skip("the zone of a process can be set on POSIX only")

    def use(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield use
    monkeypatch.undo()
    time.tzset()


def test_a_time_without_a_zone_is_local_time(local_zone: Callable[[str], None]) -> None:
    local_zone("XYZ-2")
    assert encode_fields({"t": dt.datetime(1970, 1, 1, 2)}) == "t=0"


def test_a_float_subclass_is_written_as_a_plain_number() -> None:
    class Float64(float):
        def __repr__(self) -> str:
            return f"np.float64({float(self)})"

    assert encode_fields({"x": Float64(2.5), "y": [Float64(1.5)]}) == "x=2.5&y=1.5"


def test_text_is_percent_encoded_with_blank_as_20() -> None:
    assert encode_fields({"a b": "1=1 & x+y,ü/~"}) == "a%20b=1%3D1%20%26%20x%2By%2C%C3%BC%2F~"


def test_bytes_are_percent_encoded_as_they_are() -> None:
    assert encode_fields({"b": b"\xff a"}) == "b=%FF%20a"


def test_pairs_keep_their_order_and_repeat() -> None:
    assert encode_fields([("b", 1), ["a", 2], ("b", None), ("b", 3)]) == "b=1&a=2&b=3"


def test_a_list_of_lists_repeats_the_key() -> None:
    assert encode_fields({"k": [["a", "c"], ["b"]]}) == "k=a%2Cc&k=b"


def test_nothing_gives_the_empty_text() -> None:
    every_nothing: list[Any] = [None, {}, [], "", {"a": None}]
    assert [encode_fields(nothing) for nothing in every_nothing] == [""] * 5
    assert esri_pairs(None) == []


def test_names_that_are_no_text_are_written_out() -> None:
    assert encode_fields([(1, "a"), (b"n", "b"), (Colour.RED, "c"), (Format.JSON, "d")]) == "1=a&n=b&r%26d=c&json=d"


@pytest.mark.parametrize(
    "query, text",
    [
        ("where=1%3D1&f=json", "where=1%3D1&f=json"),
        (b"a=%FF&b", "a=%FF&b"),
        ("a=1 2&b=ü#x", "a=1%202&b=%C3%BC%23x"),
        (b"a=\xff", "a=%FF"),
        ("a=[1,2]&b={'x':\"y\"}", "a=[1,2]&b={'x':\"y\"}"),
    ],
)
def test_a_finished_query_keeps_its_shape(query: str | bytes, text: str) -> None:
    assert encode_fields(query) == text


@pytest.mark.parametrize("query", ["a=1\r\nHost: evil", "a=\x00", b"a=\n", "a=\x7f", "a=\ud800"])
def test_a_finished_query_that_would_break_the_line_is_refused(query: str | bytes) -> None:
    with pytest.raises(InvalidRequestError):
        encode_fields(query)


@pytest.mark.parametrize(
    "fields",
    [
        {"a": "\ud800"},
        {"a": {"b": "\ud800"}},
        {"a": {"b": float("nan")}},
        {"a": [{"b": float("inf")}]},
        {"a": {"b": object()}},
        {"a": {"b": b"x"}},
        {"a": {"b": bytearray(b"x")}},
        {"a": {("t",): 1}},
        {"a": [b"\xff"]},
        {None: 1},
        {("a",): 1},
        {"a": 10**5000},
        {"a": [10**5000]},
        {"a": {"b": 10**5000}},
        {"a": {"b": fractions.Fraction(10**400)}},
        {"a": NotATime(None)},
        {"a": [1, NotATime(None)]},
        {"a": {"b": NotATime(None)}},
        types.SimpleNamespace(items=[("a", 1)]),
        dict,
        [("a", 1, 2)],
        ["ab"],
        [1],
        7,
    ],
)
def test_what_cannot_be_sent_is_refused(fields: Any) -> None:
    with pytest.raises(InvalidRequestError):
        encode_fields(fields)


@pytest.mark.parametrize("fields", [{"a": io.BytesIO(b"x")}, {"a": [io.BytesIO(b"x")]}])
def test_an_open_file_among_fields_is_refused_with_the_remedy(fields: Any) -> None:
    with pytest.raises(InvalidRequestError, match="files="):
        encode_fields(fields)


def test_a_time_that_local_time_cannot_tell_is_refused_with_the_remedy(local_zone: Callable[[str], None]) -> None:
    local_zone("XYZ+5")
    with pytest.raises(InvalidRequestError, match="time zone"):
        encode_fields({"when": dt.datetime.max})


def test_a_circle_is_refused_and_the_field_named() -> None:
    circle: dict[str, Any] = {}
    circle["me"] = circle
    with pytest.raises(InvalidRequestError, match="'my geometry'"):
        encode_fields({"my geometry": circle})


def test_finished_text_has_no_pairs() -> None:
    with pytest.raises(InvalidRequestError):
        esri_pairs("a=1")


def test_json_text_is_compact_and_keeps_other_alphabets() -> None:
    assert json_text({"a": ["ü", None, True]}) == '{"a":["ü",null,true]}'


@given(st.lists(st.tuples(st.text(min_size=1), st.one_of(st.text(), st.integers()))))
def test_every_form_reads_back_as_it_was(pairs: list[tuple[str, Any]]) -> None:
    encoded = encode_fields(pairs)
    assert encoded.isascii()
    found = parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(pairs))
    assert found == [(name, str(value)) for name, value in pairs]


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), min_size=1))
def test_every_dict_value_reads_back_as_json(value: dict[str, Any]) -> None:
    (pair,) = parse_qsl(encode_fields({"k": value}), keep_blank_values=True)
    assert json.loads(pair[1]) == value
