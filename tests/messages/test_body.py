"""Bodies: pieces, lengths, and whether they can be sent again."""

from __future__ import annotations

import array
import bz2
import codecs
import collections
import contextlib
import datetime
import gzip
import io
import mmap
import os
import pathlib
import tempfile
import tracemalloc
from collections.abc import Generator, Iterator
from typing import Any, cast

import pytest

from esri_http.messages.body import PIECE, Body, BytesBody, FileBody, FormBody, PathBody, StreamBody, make_body
from esri_http.messages.multipart import MultipartBody
from esri_http.words.errors import BodyNotReplayableError, InvalidRequestError


def made(data: Any = None, **more: Any) -> Body:
    body = make_body(data, **more)
    assert body is not None
    return body


def sent(body: Body) -> bytes:
    pieces = list(body)
    assert all(type(piece) is bytes and piece for piece in pieces)
    return b"".join(pieces)


class Pipe:
    """An object that can only be read."""

    def __init__(self, content: bytes) -> None:
        self._stream = io.BytesIO(content)

    def read(self, amount: int) -> bytes:
        return self._stream.read(amount)


class Sized:
    """An iterable that says its length in bytes."""

    def __init__(self, pieces: list[bytes], length: int) -> None:
        self.pieces = pieces
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)


@pytest.mark.parametrize(
    "data, kind, content",
    [
        ({"a": True, "b": [1, 2]}, FormBody, b"a=true&b=1%2C2"),
        ([("a", 1), ("a", 2)], FormBody, b"a=1&a=2"),
        ((("a", "x y"),), FormBody, b"a=x%20y"),
        ({"a": None}, FormBody, b""),
        ("zürich", BytesBody, "zürich".encode()),
        (b"raw", BytesBody, b"raw"),
        (bytearray(b"raw"), BytesBody, b"raw"),
        (memoryview(b"raw"), BytesBody, b"raw"),
        (io.BytesIO(b"file"), FileBody, b"file"),
        ([b"one", "zwö", bytearray(b"three")], StreamBody, "onezwöthree".encode()),
        (collections.deque([b"a", b"b"]), StreamBody, b"ab"),
    ],
)
def test_data_becomes_a_body_of_known_length_that_can_be_sent_twice(data: Any, kind: type[Body], content: bytes) -> None:
    body = made(data)
    assert type(body) is kind
    assert (body.length, body.replayable) == (len(content), True)
    assert sent(body) == content
    assert sent(body) == content
    assert not hasattr(body, "read")


@pytest.mark.parametrize("data", [None, {}, [], (), "", b"", bytearray()])
def test_empty_data_is_no_body(data: Any) -> None:
    assert make_body(data) is None
    assert make_body(data, files={}) is None


def test_the_content_type_is_given_only_where_it_is_known() -> None:
    assert made({"a": 1}).content_type == "application/x-www-form-urlencoded"
    assert made(json={"a": 1}).content_type == "application/json"
    assert made("a=1").content_type is None
    assert made(io.BytesIO(b"x")).content_type is None


def test_json_is_utf_8_and_knows_dates() -> None:
    assert sent(made(json={"a": "ü", "d": datetime.date(1970, 1, 2)})) == '{"a":"ü","d":86400000}'.encode()
    assert sent(made({}, json=[])) == b"[]"
    assert sent(made(json=False)) == b"false"


@pytest.mark.parametrize("value", [float("nan"), {"a": float("-inf")}, object(), {"a": b"x"}, "\ud800"])
def test_json_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequestError):
        make_body(json=value)


@pytest.mark.parametrize(
    "data, json, files", [({"a": 1}, {"b": 2}, None), (None, {"b": 2}, {"f": b"x"}), ("text", None, {"f": b"x"})]
)
def test_two_bodies_at_once_are_refused(data: Any, json: Any, files: Any) -> None:
    with pytest.raises(InvalidRequestError):
        make_body(data, json, files)


@pytest.mark.parametrize("data", [7, object(), [1], [b"a", ("b", 1)], ["a", None], "\ud800", [("a", 1, 2)]])
def test_other_data_is_refused_before_anything_is_sent(data: Any) -> None:
    with pytest.raises(InvalidRequestError):
        make_body(data)


def test_a_form_takes_a_field_without_changing_itself() -> None:
    form = made({"a": 1})
    assert isinstance(form, FormBody)
    longer = form.with_field("token", "s e")
    assert (longer.content, form.content, longer.content_type) == (b"a=1&token=s%20e", b"a=1", form.content_type)
    assert longer.length == len(longer.content)
    assert form.with_field("token", None).content == b"a=1"
    assert FormBody(b"").with_field("a", 1).content == b"a=1"


@pytest.mark.parametrize("data", ["a=1", b"a=1", io.BytesIO(b"a=1"), iter([b"a=1"])])
def test_a_body_that_is_no_form_takes_no_field(data: Any) -> None:
    assert made(data).with_field("token", "secret") is None


def test_a_repr_shows_no_content() -> None:
    assert "secret" not in repr(made({"password": "secret"}))
    assert "secret" not in repr(made(iter([b"secret"])))


def test_large_bytes_come_in_pieces() -> None:
    content = os.urandom(PIECE * 2 + 1)
    assert [len(piece) for piece in BytesBody(content)] == [PIECE, PIECE, 1]
    assert sent(BytesBody(content)) == content


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "data.bin"
    path.write_bytes(os.urandom(PIECE + 77))
    return path


def test_a_file_is_sent_from_where_it_stood_each_time(path: pathlib.Path) -> None:
    with open(path, "rb") as file:
        file.seek(10)
        body = made(file)
        assert file.tell() == 10
        assert (body.length, body.replayable) == (PIECE + 67, True)
        assert sent(body) == sent(body) == path.read_bytes()[10:]


def test_a_file_at_its_end_is_an_empty_body(path: pathlib.Path) -> None:
    with open(path, "rb") as file:
        file.seek(0, 2)
        body = made(file)
        assert (body.length, sent(body)) == (0, b"")


def test_an_unbuffered_file_a_map_and_a_spooled_file_are_files(path: pathlib.Path) -> None:
    with open(path, "rb", buffering=0) as raw, open(path, "rb") as file, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(b"spooled")
        spooled.seek(0)
        assert sent(made(raw)) == path.read_bytes()
        assert (made(spooled).length, sent(made(spooled))) == (7, b"spooled")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert sent(made(mapped)) == path.read_bytes()


def test_a_path_is_opened_only_while_it_is_sent(path: pathlib.Path) -> None:
    body = made(path)
    assert isinstance(body, PathBody)
    assert (body.length, body.replayable) == (PIECE + 77, True)
    assert sent(body) == sent(body) == path.read_bytes()
    with contextlib.closing(cast("Generator[bytes, None, None]", iter(body))) as pieces:
        next(pieces)
    path.unlink()  # On Windows this fails while the file is open.
    with pytest.raises(InvalidRequestError, match="data.bin"):
        list(body)


def test_a_path_to_nothing_or_to_a_folder_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidRequestError, match="absent"):
        make_body(tmp_path / "absent")
    with pytest.raises(InvalidRequestError, match="not a file"):
        make_body(tmp_path)


def test_text_files_are_refused_with_the_remedy(path: pathlib.Path) -> None:
    with open(path, encoding="latin-1") as file, pytest.raises(InvalidRequestError, match="binary mode"):
        make_body(file)
    with tempfile.NamedTemporaryFile("w+") as file, pytest.raises(InvalidRequestError, match="binary mode"):
        make_body(file)
    with pytest.raises(InvalidRequestError, match="binary mode"):
        make_body(io.StringIO("text"))


def test_a_closed_file_is_refused_when_made_and_when_sent(path: pathlib.Path) -> None:
    with open(path, "rb") as file:
        body = made(file)
    with pytest.raises(InvalidRequestError, match="closed"):
        make_body(file)
    with pytest.raises(InvalidRequestError, match="data.bin"):
        list(body)


def test_a_file_that_grew_is_sent_as_announced(path: pathlib.Path) -> None:
    before = path.read_bytes()
    with open(path, "rb") as file:
        bodies = (made(path), made(file))
        with open(path, "ab") as writer:
            writer.write(b"more")
        assert [sent(body) for body in bodies] == [before, before]


def test_a_reader_that_gives_more_than_it_was_asked_for_is_cut_to_what_was_announced() -> None:
    class Generous(io.BytesIO):
        def read(self, amount: int | None = None) -> bytes:
            return super().read()

    file = Generous(b"announced")
    body = made(file)
    file.seek(0, 2)
    file.write(b" and more")
    assert sent(body) == b"announced"


def test_a_file_is_never_read_beyond_what_was_announced() -> None:
    file = io.BytesIO(b"announced")
    body = made(file)
    file.seek(0, 2)
    file.write(b" and more")
    assert sent(body) == b"announced"
    assert file.tell() == len(b"announced")


def test_a_file_that_shrank_is_an_error_that_names_it(path: pathlib.Path) -> None:
    with open(path, "rb") as file:
        bodies = (made(path), made(file))
        os.truncate(path, 100)
        for body in bodies:
            with pytest.raises(InvalidRequestError, match=f"data.bin ended {PIECE - 23} bytes early"):
                list(body)


def test_a_file_of_2_gib_takes_constant_memory(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "large.bin"
    with open(path, "wb") as file:
        file.truncate(2 * 1024**3)
    body = made(path)
    assert body.length == 2 * 1024**3
    tracemalloc.start()
    try:
        with contextlib.closing(cast("Generator[bytes, None, None]", iter(body))) as pieces:
            assert sum(len(next(pieces)) for _ in range(400)) == 400 * PIECE
        assert tracemalloc.get_traced_memory()[1] < 4 * PIECE
    finally:
        tracemalloc.stop()


# -- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [(piece for piece in (b"a", "ü", b"", bytearray(b"c"))), Pipe("aüc".encode())])
def test_a_stream_has_no_length_and_goes_out_once(data: Any) -> None:
    body = made(data)
    assert (body.length, body.replayable) == (None, False)
    assert sent(body) == "aüc".encode()
    with pytest.raises(BodyNotReplayableError):
        list(body)


def test_a_stream_that_was_not_begun_is_not_used_up() -> None:
    body = made(iter([b"a"]))
    iter(body)
    assert sent(body) == b"a"


def test_a_half_sent_stream_is_used_up() -> None:
    body = made(iter([b"a", b"b"]))
    next(iter(body))
    with pytest.raises(BodyNotReplayableError):
        next(iter(body))


def test_a_stream_may_say_its_length() -> None:
    class Encoder(Pipe):
        len = 3

    assert made(Sized([b"ab", b"c"], 3)).length == 3
    assert made(Sized([], 0)).length == 0
    assert sent(made(Sized([b"ab", b"c"], 3))) == b"abc"
    assert (made(Encoder(b"abc")).length, sent(made(Encoder(b"abc")))) == (3, b"abc")


@pytest.mark.parametrize("length, what", [(2, "more"), (4, "fewer")])
def test_a_stream_that_breaks_its_promise_is_an_error(length: int, what: str) -> None:
    body = made(Sized([b"ab", b"c"], length))
    arrived: list[bytes] = []
    with pytest.raises(InvalidRequestError, match=what):
        arrived.extend(body)
    assert sum(map(len, arrived)) <= length


def test_an_array_of_numbers_is_not_taken_for_bytes() -> None:
    with pytest.raises(InvalidRequestError):
        list(made(array.array("i", [1, 2])))


def test_a_damaged_archive_is_told_as_a_file_that_cannot_be_read() -> None:
    whole = gzip.compress(bytes(range(256)) * 100)
    for damaged in (whole[:-20], whole[:20] + b"\xff\xff" + whole[22:], b"no archive"):
        for form in ({"data": gzip.GzipFile(fileobj=io.BytesIO(damaged))}, {"files": {"f": bz2.BZ2File(io.BytesIO(damaged))}}):
            with pytest.raises(InvalidRequestError, match="cannot be read"):
                list(made(**form))


def test_text_from_a_reader_whose_length_is_counted_in_bytes_is_not_cut() -> None:
    with pytest.raises(InvalidRequestError, match="binary mode"):
        list(made(codecs.getreader("latin-1")(io.BytesIO("größer".encode("latin-1")))))


def test_a_failing_source_does_not_look_like_a_lost_connection() -> None:
    def failing() -> Iterator[bytes]:
        yield b"a"
        raise ConnectionResetError("the source went away")

    class Failing(Pipe):
        def read(self, amount: int) -> bytes:
            raise OSError("disk")

    for source in (failing(), Failing(b"")):
        with pytest.raises(InvalidRequestError) as caught:
            list(made(source))
        assert not isinstance(caught.value, OSError)
        assert isinstance(caught.value.__cause__, OSError)


def test_a_pipe_and_a_gzip_file_are_streams(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"packed"))
    with gzip.open(path) as packed:
        body = made(packed)
        assert sent(body) == b"packed"
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read_end:
        with os.fdopen(writer, "wb") as write_end:
            write_end.write(b"piped")
        body = made(read_end)
        assert (body.length, body.replayable, sent(body)) == (None, False, b"piped")


def test_a_reader_that_is_not_ready_is_an_error_and_not_the_end() -> None:
    class NotReady:
        def read(self, amount: int) -> None:
            return None

    with pytest.raises(InvalidRequestError, match="NoneType"):
        list(made(NotReady()))


def test_files_make_a_multipart_body() -> None:
    body = made({"f": "json"}, files={"file": b"x"})
    assert isinstance(body, MultipartBody)
    assert body.length == len(sent(body))
