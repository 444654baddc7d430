"""The packages that unpack, brought to one shape: input in, a bounded amount of output out, and the end mark seen.

Only zlib is always there. Brotli and Zstandard are used where a package for them is installed, and none of them is imported
before an answer needs it.
"""

from __future__ import annotations

import zlib
from functools import cache, partial
from importlib import import_module
from typing import Any, Callable, Protocol

from .codings import is_installed

# What tells that the module is there -> the module.
_ZSTD_MODULES = {"_zstd": "compression.zstd", "backports.zstd": "backports.zstd", "zstandard": "zstandard"}
_BROTLI_MODULES = ("brotli", "brotlicffi")
_ZSTD_WINDOW_LOG = 23  # 8 MiB, the most that HTTP allows (RFC 9659)
# One block of Zstandard takes four bytes and may unpack to 128 KiB, so 64 bytes never give more than 2 MiB.
_ZSTANDARD_STEP = 64


class Inflater(Protocol):
    """Unpacks one stream: a gzip member, a Zstandard frame, a Brotli or deflate stream."""

    @property
    def error(self) -> tuple[type[Exception], ...]:
        """What `step` raises for damaged input."""

    @property
    def hungry(self) -> bool:
        """Nothing more comes out without new input."""

    @property
    def eof(self) -> bool:
        """The end mark has been read and checked."""

    @property
    def unused(self) -> bytes:
        """After `eof`: what of the last input lies behind the end mark."""

    def step(self, data: bytes, limit: int) -> bytes:
        """Take `data` (empty unless `hungry`) and give about `limit` bytes: never more by more than 2 MiB."""


class _Zlib:
    """gzip, zlib or raw deflate, by `wbits`."""

    __slots__ = ("_stream", "_tail", "hungry")
    error = (zlib.error,)

    def __init__(self, wbits: int) -> None:
        self._stream = zlib.decompressobj(wbits)
        self._tail = b""
        self.hungry = True

    def step(self, data: bytes, limit: int) -> bytes:
        out = self._stream.decompress(self._tail or data, limit)
        self._tail = self._stream.unconsumed_tail
        # A full output may hide more inside zlib even when it has taken all the input.
        self.hungry = not self._tail and len(out) < limit
        return out

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused(self) -> bytes:
        return self._stream.unused_data


class _Deflate(_Zlib):
    """Deflate with the header of zlib, as it should be, or without: its first two bytes tell."""

    __slots__ = ("_start",)

    def __init__(self) -> None:
        super().__init__(zlib.MAX_WBITS)
        self._start: bytes | None = b""  # what of the two bytes has come; `None` when that is settled

    def step(self, data: bytes, limit: int) -> bytes:
        if self._start is not None:
            self._start = data = self._start + data
            if len(data) < 2:
                return b""
            if data[0] & 0x0F != 8 or data[0] >> 4 > 7 or (data[0] << 8 | data[1]) % 31:  # RFC 1950 section 2.2
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            self._start = None
        return super().step(data, limit)


class _Brotli:
    """Brotli, by a package that can stop in the middle of its output."""

    __slots__ = ("_stream", "error", "hungry")
    unused = b""  # data behind the end mark is an error to Brotli

    def __init__(self, module: Any) -> None:
        self._stream = module.Decompressor()
        self.error = (module.error,)
        self.hungry = True

    def step(self, data: bytes, limit: int) -> bytes:
        out: bytes = self._stream.process(data, output_buffer_limit=limit)
        # It accepts more input while it still holds output, but then the output is full.
        self.hungry = len(out) < limit and bool(self._stream.can_accept_more_data())
        return out

    @property
    def eof(self) -> bool:
        return bool(self._stream.is_finished())


class _Zstd:
    """Zstandard, by the standard library (3.14) or its back-port."""

    __slots__ = ("_stream", "error")

    def __init__(self, module: Any) -> None:
        self._stream = module.ZstdDecompressor(options={module.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
        self.error = (module.ZstdError,)

    def step(self, data: bytes, limit: int) -> bytes:
        out: bytes = self._stream.decompress(data, limit)
        return out

    @property
    def hungry(self) -> bool:
        return bool(self._stream.needs_input)

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused(self) -> bytes:
        return bytes(self._stream.unused_data)


class _Zstandard:
    """Zstandard, by the package zstandard. It knows no limit for its output, so it gets its input in small steps."""

    __slots__ = ("_at", "_data", "_stream", "error")

    def __init__(self, module: Any) -> None:
        self._stream = module.ZstdDecompressor(max_window_size=1 << _ZSTD_WINDOW_LOG).decompressobj()
        self.error = (module.ZstdError,)
        self._data = b""
        self._at = 0

    def step(self, data: bytes, limit: int) -> bytes:
        if data:
            self._data, self._at = data, 0
        pieces = []
        while limit > 0 and not self.hungry and not self.eof:
            piece = self._stream.decompress(self._data[self._at : self._at + _ZSTANDARD_STEP])
            self._at += _ZSTANDARD_STEP
            limit -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    @property
    def hungry(self) -> bool:
        return self._at >= len(self._data)

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused(self) -> bytes:
        return bytes(self._stream.unused_data) + self._data[self._at :]


def new_gzip() -> Inflater:
    """For one member of a gzip file; the header is checked as well."""
    return _Zlib(16 + zlib.MAX_WBITS)


def new_deflate() -> Inflater:
    """For what servers call deflate: a zlib stream (RFC 1950), or a bare one (RFC 1951)."""
    return _Deflate()


@cache
def brotli_factory() -> Callable[[], Inflater] | None:
    """What makes a Brotli inflater; `None` where no package is installed that can bound its output."""
    for name in _BROTLI_MODULES:
        module = _imported(name) if is_installed(name) else None
        if module is not None and hasattr(module.Decompressor, "can_accept_more_data"):
            return partial(_Brotli, module)
    return None


def zstd_is_installed() -> bool:
    """Whether `zstd_factory` will find a package, told without importing it."""
    return any(map(is_installed, _ZSTD_MODULES))


@cache
def zstd_factory() -> Callable[[], Inflater] | None:
    """What makes a Zstandard inflater; `None` where no package for it is installed."""
    for witness, name in _ZSTD_MODULES.items():
        module = _imported(name) if is_installed(witness) else None
        if module is not None:
            return partial(_Zstandard if name == "zstandard" else _Zstd, module)
    return None


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None
