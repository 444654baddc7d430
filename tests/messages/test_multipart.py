"""Multipart bodies, read back by the standard library's own parser."""

from __future__ import annotations

import email.message
import email.parser
import io
import pathlib
import tracemalloc
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esri_http.messages.body import PIECE
from esri_http.messages.multipart import MultipartBody, guess_type
from esri_http.words.errors import BodyNotReplayableError, InvalidHeaderError, InvalidRequestError


class Found(NamedTuple):
    """A part as the independent parser sees it."""

    name: str
    filename: str | None
    content_type: str | None
    content: bytes


def header(part: email.message.Message, name: str) -> str | None:
    for key, value in part.raw_items():
        if key.lower() == name:
            return str(value).encode("ascii", "surrogateescape").decode()
    return None


def read_back(body: MultipartBody) -> list[Found]:
    content = b"".join(body)
    assert body.length is None or body.length == len(content)
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser().parsebytes(head + content)
    assert message.get_content_type() == "multipart/form-data"
    assert not message.defects
    found = []
    for part in message.get_payload():
        assert isinstance(part, email.message.Message)
        disposition = email.message.Message()
        disposition["Content-Disposition"] = header(part, "content-disposition") or ""
        assert len(part.get_all("content-disposition", [])) == 1
        assert disposition.get_content_disposition() == "form-data"
        name = disposition.get_param("name", header="content-disposition")
        filename = disposition.get_param("filename", header="content-disposition")
        assert isinstance(name, str)
        assert filename is None or isinstance(filename, str)
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        found.append(Found(name, filename, header(part, "content-type"), payload))
    return found


def test_the_bytes_on_the_wire_are_those_of_the_standard() -> None:
    body = MultipartBody(MultipartBody.of({"f": "json"}, {"file": ("a.txt", b"hello")})._parts, "XyZ")
    assert body.content_type == "multipart/form-data; boundary=XyZ"
    assert b"".join(body) == (
        b'--XyZ\r\nContent-Disposition: form-data; name="f"\r\n\r\njson\r\n'
        b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
        b"--XyZ--\r\n"
    )


def test_fields_follow_arcgis_rules_and_come_first() -> None:
    data = {"f": "json", "on": True, "skip": None, "tags": ["a", "b"], "extent": {"xmin": 1}, "raw": b"\xff"}
    parts = read_back(MultipartBody.of(data, {"file": b"x"}))
    assert [(part.name, part.content) for part in parts] == [
        ("f", b"json"), ("on", b"true"), ("tags", b"a,b"), ("extent", b'{"xmin":1}'), ("raw", b"\xff"), ("file", b"x"),
    ]  # fmt: skip
    assert [part.filename for part in parts] == [None] * 5 + ["file"]


def test_every_form_of_a_file_is_taken(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "Straße.csv"
    path.write_bytes(b"a,b")
    with open(path, "rb") as file:
        files = [
            ("bytes", b"1"),
            ("text", "zwö"),
            ("path", path),
            ("file", file),
            ("memory", io.BytesIO(b"2")),
            ("named", ("n.zip", b"3")),
            ("typed", ("n.bin", b"4", "image/x-own")),
            ["headed", ["n", b"5", None, {"Content-Type": "a/b", "X-Own": "1", "Content-Disposition": "evil"}]],
            ("plain", (None, "six")),
            ("typed plain", (None, "{}", "application/json")),
            ("stream", ("s.json", iter([b"7", b"8"]))),
            ("absent", None),
            ("absent too", ("x", None)),
            (b"bytes name", (b"b.pdf", b"9")),
            ("path name", (path, b"10")),
        ]
        found = read_back(MultipartBody.of(None, files))
    octets = "application/octet-stream"
    assert found == [
        ("bytes", "bytes", octets, b"1"),
        ("text", "text", octets, "zwö".encode()),
        ("path", "Straße.csv", "text/csv", b"a,b"),
        ("file", "Straße.csv", "text/csv", b"a,b"),
        ("memory", "memory", octets, b"2"),
        ("named", "n.zip", "application/zip", b"3"),
        ("typed", "n.bin", "image/x-own", b"4"),
        ("headed", "n", "a/b", b"5"),
        ("plain", None, None, b"six"),
        ("typed plain", None, "application/json", b"{}"),
        ("stream", "s.json", "application/json", b"78"),
        ("bytes name", "b.pdf", "application/pdf", b"9"),
        ("path name", str(path), "text/csv", b"10"),
    ]


def test_the_name_of_a_file_is_its_last_part_by_both_separators() -> None:
    class Upload(io.BytesIO):
        name: Any = "C:\\data\\maps/roads.zip"

    class Numbered(io.BytesIO):
        name = 3

    class Internal(io.BytesIO):
        name = "<fdopen>"

    files = {"a": Upload(b""), "b": Numbered(b""), "c": Internal(b"")}
    assert [part.filename for part in read_back(MultipartBody.of(None, files))] == ["roads.zip", "b", "c"]


def test_names_cannot_leave_their_line_or_their_quotes() -> None:
    name = 'a"; x="\r\nX-Evil: 1\r\n\r\n\x00b\\ü\u2028'
    body = MultipartBody.of({name: "1"}, {name: (name, b"2")})
    content = b"".join(body)
    assert content.count(b"\r\n\r\n") == 2
    assert content.count('"a%22; x=%22%0D%0AX-Evil: 1%0D%0A%0D%0A%00b\\ü\u2028"'.encode()) == 3
    assert body.length == len(content)


@pytest.mark.parametrize(
    "file",
    [
        ("n", b"x", "text/plain\r\nX-Evil: 1"),
        ("n", b"x", None, {"X-Own": "a\nb"}),
        ("n", b"x", None, {"X-Own\r\nX-Evil": "a"}),
        ("n", b"x", None, {"Content-Type": "\x00"}),
    ],
)
def test_header_values_that_break_the_line_are_refused(file: Any) -> None:
    with pytest.raises(InvalidHeaderError):
        MultipartBody.of(None, {"f": file})


@pytest.mark.parametrize(
    "data, files",
    [
        ("text", {"f": b""}),
        (b"text", {"f": b""}),
        (None, {"f": ("only a name",)}),
        (None, {"f": (1, b"")}),
        (None, {"f": 7}),
        (None, {7: b""}),
        (None, {"f": ("n", 7)}),
        (None, {"f\ud800": b""}),
        ({"a": "\ud800"}, {"f": b""}),
        (None, b"content"),
        (None, [b"content"]),
        (None, {"f": io.StringIO("text")}),
        (None, {"f": pathlib.Path("no such file")}),
    ],
)
def test_what_is_no_file_is_refused(data: Any, files: Any) -> None:
    with pytest.raises(InvalidRequestError):
        MultipartBody.of(data, files)


def test_a_body_of_files_can_be_sent_again(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"path")
    file = io.BytesIO(b"skipped file")
    file.seek(8)
    body = MultipartBody.of({"a": 1}, {"p": path, "f": file})
    assert body.replayable
    assert b"".join(body) == b"".join(body)
    assert [part.content for part in read_back(body)] == [b"1", b"path", b"file"]


def test_one_part_of_unknown_length_leaves_the_whole_without_one() -> None:
    body = MultipartBody.of({"a": 1}, {"f": (piece for piece in [b"x", b"y"])})
    assert (body.length, body.replayable) == (None, False)
    assert [part.content for part in read_back(body)] == [b"1", b"xy"]
    with pytest.raises(BodyNotReplayableError):
        list(body)


def test_a_field_is_added_in_front_and_the_original_stays() -> None:
    body = MultipartBody.of({"a": 1}, {"f": io.BytesIO(b"file")})
    longer = body.with_field("token", "secret")
    assert [(part.name, part.content) for part in read_back(longer)] == [("token", b"secret"), ("a", b"1"), ("f", b"file")]
    assert [part.name for part in read_back(body)] == ["a", "f"]


def test_each_body_has_a_boundary_of_its_own() -> None:
    bodies = [MultipartBody.of(None, {"f": b""}) for _ in range(50)]
    assert len({body.content_type for body in bodies}) == 50


def test_a_small_form_is_one_piece() -> None:
    assert len(list(MultipartBody.of({"a": 1, "b": 2}, {"f": b"x" * 1000, "g": io.BytesIO(b"y" * 1000)}))) == 1


def test_a_file_of_2_gib_has_a_length_and_takes_constant_memory(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "large.zip"
    with open(path, "wb") as file:
        file.truncate(2 * 1024**3)
    body = MultipartBody.of({"f": "json"}, {"file": path})
    assert body.length is not None
    assert 2 * 1024**3 < body.length < 2 * 1024**3 + 1000
    with open(path, "wb") as file:
        file.truncate(256 * 1024**2)
    body = MultipartBody.of({"f": "json"}, {"file": path})
    tracemalloc.start()
    try:
        sizes = [len(piece) for piece in body]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) == body.length
    assert peak < 4 * 1024**2
    assert max(sizes) < 2 * PIECE
    assert min(sizes[:-1]) >= 64 * 1024


def test_a_file_that_shrinks_is_an_error_and_not_a_shorter_body(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "shrinking.zip"
    path.write_bytes(b"x" * 100)
    body = MultipartBody.of(None, {"f": path})
    path.write_bytes(b"x")
    with pytest.raises(InvalidRequestError, match="shrinking.zip"):
        list(body)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("a.csv", "text/csv"),
        ("A.GEOJSON", "application/geo+json"),
        ("a.html", "text/html"),
        ("a.b.zip", "application/zip"),
        ("zip", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("a.tar.Z", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("a.", "application/octet-stream"),
        ("x.data:text/html,", "application/octet-stream"),
    ],
)
def test_the_content_type_is_guessed_from_the_ending(name: str, kind: str) -> None:
    assert guess_type(name) == kind


# The parser reads a backslash in quotes as an escape, which browsers do not write.
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\"), max_size=20)
contents = st.binary(max_size=60) | st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"\r\n--", b"a\r\n\r\nb", b"--XyZ"])


def as_written(name: str) -> str:
    """The name as a browser writes it."""
    return "".join(f"%{ord(letter):02X}" if letter in '"\x7f' or letter < " " else letter for letter in name)


plain_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(names, plain_texts)), st.lists(st.tuples(names, names, contents), min_size=1))
def test_every_body_reads_back_as_it_was(fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]]) -> None:
    body = MultipartBody.of(fields, [(field, (name, io.BytesIO(content), "a/b")) for field, name, content in files])
    expected = [Found(as_written(name), None, None, value.encode()) for name, value in fields]
    expected += [Found(as_written(field), as_written(name), "a/b", content) for field, name, content in files]
    assert read_back(body) == expected


@given(st.lists(st.binary(max_size=200_000).map(lambda seed: seed * 50), max_size=3), st.integers(1, 100_000))
def test_every_length_is_exact(contents: list[bytes], step: int) -> None:
    def stepped(content: bytes) -> Iterator[bytes]:
        return (content[at : at + step] for at in range(0, len(content), step))

    body = MultipartBody.of({"a": "ü"}, [("f", io.BytesIO(content)) for content in contents])
    streamed = MultipartBody.of({"a": "ü"}, [("f", stepped(content)) for content in contents])
    whole = b"".join(body)
    assert body.length == len(whole)
    assert len(b"".join(streamed)) == len(whole)
