"""Content codings: the same bytes come out whatever the steps, errors are ours, and a bomb stays small."""

from __future__ import annotations

import gzip
import random
import sys
import time
import tracemalloc
import zlib
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esri_http.messages import inflaters
from esri_http.messages.codings import accept_encoding
from esri_http.messages.decoding import Decoder, make_decoder
from esri_http.words.errors import ProtocolError

Pack = Callable[[bytes], bytes]
MIB = 1024 * 1024
TEXT = b"".join(b"%d and " % number for number in range(3000))
WITHOUT_BROTLI = pytest.mark.skipif(inflaters.brotli_factory() is None, reason="no package for Brotli")
WITHOUT_ZSTD = pytest.mark.skipif(inflaters.zstd_factory() is None, reason="no package for Zstandard")


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def brotli(data: bytes) -> bytes:
    name = "brotli" if find_spec("brotli") else "brotlicffi"
    packed: bytes = import_module(name).compress(data, quality=5)
    return packed


def zstd(data: bytes) -> bytes:
    try:
        packed: bytes = import_module("backports.zstd").compress(data)
    except ImportError:
        packed = import_module("zstandard").compress(data)
    return packed


CODINGS: list[Any] = [
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("deflate", zlib.compress, id="zlib"),
    pytest.param("deflate", raw_deflate, id="raw-deflate"),
    pytest.param("br", brotli, id="br", marks=WITHOUT_BROTLI),
    pytest.param("zstd", zstd, id="zstd", marks=WITHOUT_ZSTD),
]
every_coding = pytest.mark.parametrize("coding, pack", CODINGS)


def decoder_for(coding: str) -> Decoder:
    decoder = make_decoder(coding)
    assert decoder is not None
    return decoder


def unpacked(decoder: Decoder, packed: bytes, step: int = 65536, limit: int = 65536) -> bytes:
    """Everything, as a reader takes it: `step` bytes from the wire, `limit` bytes at a time to the caller."""
    out = bytearray()
    for start in range(0, len(packed), step):
        piece = decoder.feed(packed[start : start + step], limit)
        assert len(piece) <= limit
        out += piece
        while decoder.pending:
            piece = decoder.feed(b"", limit)
            assert len(piece) <= limit
            out += piece
    decoder.finish()
    return bytes(out)


# What comes out


@every_coding
@given(data=st.binary(max_size=3000), step=st.integers(1, 500), limit=st.integers(1, 500))
def test_what_was_packed_comes_out_whatever_the_steps(coding: str, pack: Pack, data: bytes, step: int, limit: int) -> None:
    assert unpacked(decoder_for(coding), pack(data), step, limit) == data


@every_coding
@pytest.mark.parametrize("limit", [1, 2, 100, 257, 258, 259, 1000, 32768])
def test_no_tail_is_lost_in_small_steps(coding: str, pack: Pack, limit: int) -> None:
    data = b"ab" * 5000 + b"c" * 500
    assert unpacked(decoder_for(coding), pack(data), len(data), limit) == data


@every_coding
def test_a_large_limit_gives_everything_at_once(coding: str, pack: Pack) -> None:
    data = TEXT * 100
    decoder = decoder_for(coding)
    assert decoder.feed(pack(data), sys.maxsize) == data
    assert not decoder.pending
    decoder.finish()


@every_coding
def test_a_limit_of_zero_keeps_all_for_later(coding: str, pack: Pack) -> None:
    decoder = decoder_for(coding)
    assert decoder.feed(pack(TEXT), 0) == b""
    assert decoder.pending
    assert decoder.feed(b"", len(TEXT) + 1) == TEXT
    assert not decoder.pending


@every_coding
def test_output_comes_as_soon_as_its_input_is_there(coding: str, pack: Pack) -> None:
    data = random.Random(1).randbytes(300_000)
    packed = pack(data)
    decoder = decoder_for(coding)
    first = decoder.feed(packed[: len(packed) // 2], MIB)
    assert len(first) > 10_000
    assert data.startswith(first)


@given(
    data=st.binary(max_size=500), codings=st.lists(st.sampled_from([0, 1, 2]), min_size=2, max_size=5), step=st.integers(1, 99)
)
def test_a_chain_is_undone_in_reverse_order(data: bytes, codings: list[int], step: int) -> None:
    packers = [("gzip", gzip.compress), ("deflate", zlib.compress), ("x-gzip", gzip.compress)]
    packed = data
    for number in codings:
        packed = packers[number][1](packed)
    assert unpacked(decoder_for(", ".join(packers[number][0] for number in codings)), packed, step, 100) == data


@WITHOUT_BROTLI
@WITHOUT_ZSTD
def test_a_chain_of_all_codings_is_undone() -> None:
    packed = zstd(brotli(zlib.compress(raw_deflate(gzip.compress(TEXT)))))
    assert unpacked(decoder_for("gzip, deflate, deflate, br, zstd"), packed, 7, 1000) == TEXT


@pytest.mark.parametrize("name", ["GZip", " gzip ", "x-gzip", "identity, gzip", "gzip, identity", "gzip,,", ",gzip"])
def test_spelling_does_not_matter(name: str) -> None:
    assert unpacked(decoder_for(name), gzip.compress(TEXT)) == TEXT


@pytest.mark.parametrize("name", ["", "identity", " , ", "compress", "exi", "gzip, exi", "exi, gzip", "utf-8", "\xe9"])
def test_content_that_is_not_packed_or_packed_in_an_unknown_way_is_left_alone(name: str) -> None:
    assert make_decoder(name) is None


def test_five_codings_are_undone_and_six_are_refused() -> None:
    packed = TEXT
    for _ in range(5):
        packed = gzip.compress(packed)
    assert unpacked(decoder_for("gzip, " * 4 + "gzip"), packed) == TEXT
    with pytest.raises(ProtocolError, match="6 times"):
        make_decoder("gzip, " * 5 + "gzip")
    with pytest.raises(ProtocolError, match="20000 times"):
        make_decoder("gzip," * 20_000)


# Where a stream ends


@every_coding
def test_a_stream_that_is_cut_off_anywhere_is_an_error(coding: str, pack: Pack) -> None:
    packed = pack(b"hello, hello, hello world" * 3)
    for length in range(1, len(packed)):
        decoder = decoder_for(coding)
        with pytest.raises(ProtocolError, match=coding):
            unpacked(decoder, packed[:length])


@pytest.mark.parametrize("cut", [1, 5, 17, -1])
def test_a_chain_that_is_cut_off_inside_is_an_error(cut: int) -> None:
    packed = gzip.compress(gzip.compress(TEXT)[:cut])
    with pytest.raises(ProtocolError, match="stops before its end"):
        unpacked(decoder_for("gzip, gzip"), packed)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, deflate, gzip"])
def test_an_entirely_empty_body_is_fine(coding: str) -> None:
    decoder = decoder_for(coding)
    assert decoder.feed(b"", 100) == b""
    assert not decoder.pending
    decoder.finish()


@every_coding
def test_nothing_packed_is_nothing(coding: str, pack: Pack) -> None:
    assert unpacked(decoder_for(coding), pack(b""), 1) == b""


@every_coding
def test_the_end_cannot_be_declared_while_output_is_pending(coding: str, pack: Pack) -> None:
    decoder = decoder_for(coding)
    decoder.feed(pack(TEXT), 10)
    with pytest.raises(ProtocolError):
        decoder.finish()


@pytest.mark.parametrize("step", [1, 3, 65536])
def test_gzip_members_are_joined_and_zeros_between_them_skipped(step: int) -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two ") + b"\0" * 40_000 + gzip.compress(b"three")
    assert unpacked(decoder_for("gzip"), packed, step) == b"one two three"


@WITHOUT_ZSTD
@pytest.mark.parametrize("step", [1, 3, 65536])
def test_zstd_frames_are_joined_and_skippable_ones_skipped(step: int) -> None:
    packed = zstd(b"one ") + b"\x53\x2a\x4d\x18\x05\0\0\0abcde" + zstd(b"two")
    assert unpacked(decoder_for("zstd"), packed, step) == b"one two"


BEHIND_GZIP = {
    "one zero": b"\0",
    "many zeros": b"\0" * 100_000,
    "words": b"garbage",
    "half a mark": b"\x1f",
    "most of a mark": b"\x1f\x8b",
    "nearly a mark": b"\x1f\x8bx",
    "zeros and words": b"\0\0\x1f\x8cabc",
    "a web page": b"<html>" * 9999,
}


@pytest.mark.parametrize("step", [1, 2, 7, 65536])
@pytest.mark.parametrize("kind", list(BEHIND_GZIP))
def test_padding_and_garbage_after_gzip_are_ignored(kind: str, step: int) -> None:
    decoder = decoder_for("gzip")
    assert unpacked(decoder, gzip.compress(TEXT) + BEHIND_GZIP[kind], step) == TEXT
    assert len(decoder._stages[0]._input) < 65536


@pytest.mark.parametrize("pack", [zlib.compress, raw_deflate])
@given(rest=st.binary(max_size=100), step=st.integers(1, 50))
def test_garbage_after_deflate_is_ignored(pack: Pack, rest: bytes, step: int) -> None:
    assert unpacked(decoder_for("deflate"), pack(b"some text") + rest, step) == b"some text"


@WITHOUT_BROTLI
@pytest.mark.parametrize("step", [1, 2, 65536])
def test_garbage_after_brotli_is_an_error_whatever_the_steps(step: int) -> None:
    with pytest.raises(ProtocolError, match="br"):
        unpacked(decoder_for("br"), brotli(TEXT) + b"garbage", step)


# Damage


@pytest.mark.parametrize("field", [-8, -4], ids=["checksum", "length"])
@pytest.mark.parametrize("limit", [1, 100, 65536])
def test_a_wrong_gzip_trailer_is_an_error(field: int, limit: int) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[field] ^= 1
    with pytest.raises(ProtocolError, match="gzip"):
        unpacked(decoder_for("gzip"), bytes(packed), limit=limit)


def test_a_damaged_second_member_is_an_error() -> None:
    second = bytearray(gzip.compress(b"two"))
    second[-8] ^= 1
    with pytest.raises(ProtocolError, match="gzip"):
        unpacked(decoder_for("gzip"), gzip.compress(b"one") + bytes(second))


def test_a_wrong_zlib_checksum_is_an_error() -> None:
    packed = bytearray(zlib.compress(TEXT))
    packed[-1] ^= 1
    with pytest.raises(ProtocolError, match="deflate"):
        unpacked(decoder_for("deflate"), bytes(packed))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip", "deflate, gzip"])
def test_an_error_says_what_the_content_claims_to_be_and_is_raised_again(coding: str) -> None:
    decoder = decoder_for(coding)
    with pytest.raises(ProtocolError, match="claims to be") as first:
        decoder.feed(b"<html>no such thing</html>", 1000)
    assert first.value.__cause__ is not None
    assert not decoder.pending
    for again in (lambda: decoder.feed(b"", 1), lambda: decoder.feed(gzip.compress(b"x"), 1), decoder.finish):
        with pytest.raises(ProtocolError, match="claims to be"):
            again()


@pytest.mark.parametrize(
    "coding",
    [
        *("gzip", "deflate", "gzip, deflate"),
        pytest.param("br", marks=WITHOUT_BROTLI),
        pytest.param("zstd", marks=WITHOUT_ZSTD),
    ],
)
@given(
    data=st.binary(max_size=300),
    prefix=st.sampled_from([b"", b"\x1f\x8b\x08\0", b"\x78\x9c", b"\x28\xb5\x2f\xfd"]),
    step=st.integers(1, 50),
)
def test_garbage_gives_bytes_or_our_error(coding: str, data: bytes, prefix: bytes, step: int) -> None:
    try:
        out = unpacked(decoder_for(coding), prefix + data, step, 50)
    except ProtocolError:
        return
    assert isinstance(out, bytes)


@every_coding
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255), step=st.integers(1, 400))
@settings(max_examples=50)
def test_a_flipped_byte_gives_the_same_whatever_the_steps(coding: str, pack: Pack, place: int, flip: int, step: int) -> None:
    packed = bytearray(pack(TEXT[:500]))
    packed[place % len(packed)] ^= flip
    results = []
    for size in (step, 65536):
        try:
            results.append(unpacked(decoder_for(coding), bytes(packed), size))
        except ProtocolError:
            results.append(b"error")
    assert results[0] == results[1]


# Bombs


def bomb(pack_all: Any, size: int = 200 * MIB) -> bytes:
    block = b"\0" * MIB
    return b"".join(pack_all.compress(block) for _ in range(size // MIB)) + pack_all.flush()


def peak_of(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    flat = {
        "gzip": bomb(zlib.compressobj(9, wbits=31)),
        "deflate": bomb(zlib.compressobj(9), 50 * MIB),
        "raw": bomb(zlib.compressobj(9, wbits=-15), 50 * MIB),
    }
    flat["gzip, gzip"] = gzip.compress(flat["gzip"])
    flat["gzip, deflate, gzip, deflate, gzip"] = gzip.compress(zlib.compress(gzip.compress(zlib.compress(flat["gzip"]))))
    return flat


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw", "gzip, gzip", "gzip, deflate, gzip, deflate, gzip"])
def test_reading_a_little_of_a_bomb_costs_little(bombs: dict[str, bytes], name: str) -> None:
    decoder = decoder_for("deflate" if name == "raw" else name)
    packed = bombs[name]
    assert peak_of(partial(five_small_reads, decoder, packed)) < len(packed) + 2 * MIB
    assert decoder.pending


@WITHOUT_ZSTD
@WITHOUT_BROTLI
@pytest.mark.parametrize("coding, pack", [("br", brotli), ("zstd", zstd)])
def test_reading_a_little_of_a_dense_bomb_costs_little(coding: str, pack: Pack) -> None:
    packed = pack(bytes(200 * MIB))
    packed_twice = gzip.compress(packed)
    for name, body in ((coding, packed), (f"{coding}, gzip", packed_twice)):
        decoder = decoder_for(name)
        assert peak_of(partial(five_small_reads, decoder, body)) < 6 * MIB
        assert decoder.pending


def five_small_reads(decoder: Decoder, body: bytes) -> None:
    for part in (body, b"", b"", b"", b""):
        assert decoder.feed(part, 1024) == bytes(1024)


@WITHOUT_ZSTD
def test_a_zstd_window_above_what_http_allows_is_refused() -> None:
    header = b"\x28\xb5\x2f\xfd\x00" + bytes([(27 - 10) << 3])
    with pytest.raises(ProtocolError, match="zstd"):
        unpacked(decoder_for("zstd"), header + b"\x01\0\0")


def test_content_that_unpacks_to_nothing_but_work_is_given_up() -> None:
    inner = gzip.compress(b"x")
    packed = gzip.compress(inner + bytes(64 * MIB), 1)
    decoder = decoder_for("gzip, gzip")
    with pytest.raises(ProtocolError, match="all work"):
        unpacked(decoder, packed)


NOTHING_MUCH = {
    "empty-members": gzip.compress(b"") * 50_000,
    "zeros": gzip.compress(b"x") + bytes(10 * MIB),
    "garbage": gzip.compress(b"x") + b"x" * (10 * MIB),
}


@pytest.mark.parametrize("kind", list(NOTHING_MUCH))
def test_a_megabyte_of_nothing_takes_no_more_than_seconds(kind: str) -> None:
    body = NOTHING_MUCH[kind]
    start = time.process_time()
    unpacked(decoder_for("gzip"), body, len(body))
    assert time.process_time() - start < 5


def test_many_tiny_reads_of_a_large_input_take_linear_time() -> None:
    decoder = decoder_for("gzip")
    data = random.Random(2).randbytes(8 * MIB)
    start = time.process_time()
    got = decoder.feed(gzip.compress(data, 1), 1)
    for _ in range(20_000):
        got += decoder.feed(b"", 1)
    assert got == data[:20_001]
    assert time.process_time() - start < 5


# What is offered


def test_what_is_offered_can_be_undone() -> None:
    names = accept_encoding().split(", ")
    assert names[:2] == ["gzip", "deflate"]
    assert [name for name in names if make_decoder(name) is None] == []
    assert accept_encoding() is accept_encoding()


def test_only_what_can_be_undone_is_offered() -> None:
    assert ("br" in accept_encoding()) is (inflaters.brotli_factory() is not None)
    assert ("zstd" in accept_encoding()) is (inflaters.zstd_factory() is not None)


@pytest.mark.parametrize("name", ["brotli", "brotlicffi"])
def test_each_brotli_package_works(name: str) -> None:
    module = pytest.importorskip(name)
    if not hasattr(module.Decompressor, "can_accept_more_data"):
        pytest.skip("too old to bound its output")
    check_inflater(lambda: inflaters._Brotli(module), module.compress(TEXT * 20))


@pytest.mark.parametrize("name", ["compression.zstd", "backports.zstd", "zstandard"])
def test_each_zstandard_package_works(name: str) -> None:
    module = pytest.importorskip(name)
    kind = inflaters._Zstandard if name == "zstandard" else inflaters._Zstd
    check_inflater(lambda: kind(module), module.compress(TEXT * 20))
    packed = module.compress(bytes(100 * MIB))
    assert peak_of(lambda: kind(module).step(packed, 1024)) < 5 * MIB


def check_inflater(make: Callable[[], inflaters.Inflater], packed: bytes) -> None:
    for step, limit in ((10, 1000), (1000, 10), (10**6, 10**6)):
        inflater = make()
        out = b""
        at = 0
        while not inflater.eof:
            block = packed[at : at + step] if inflater.hungry else b""
            at += len(block)
            out += inflater.step(block, limit)
        assert out == TEXT * 20
        assert inflater.unused == b""


def test_a_module_that_was_put_in_place_by_hand_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", ModuleType("brotli"))  # it has no spec
    assert accept_encoding.__wrapped__().startswith("gzip, deflate")
