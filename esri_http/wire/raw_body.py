"""What users get as `response.raw`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .streams import WireStream

_PIECE_BYTES = 64 * 1024


class RawBody(io.RawIOBase):
    """The body as a file that can only be read, from its first byte on, even if the session has looked at that already.

    It gives the wire's bytes, without the framing of chunks; decoded ones with `decode_content`, as an attribute or with
    a call. Errors are ours. Everything else (`status`, `headers`, `version` ...) is that of urllib3's response below.
    """

    def __init__(self, stream: WireStream, below: Any) -> None:
        self._stream = stream
        self._below = below
        self._begun = False
        self.decode_content = False

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """At most `amt` bytes, as soon as some are there; all of them for `None`; empty at the end."""
        if not self._begun:
            self._begun = True
            self._stream.start_over()
        if amt == 0:
            return b""
        decoded = self.decode_content if decode_content is None else decode_content
        return self._stream.read(None if amt is not None and amt < 0 else amt, decoded)

    def stream(self, amt: int = _PIECE_BYTES, decode_content: bool | None = None) -> Iterator[bytes]:
        """The body in pieces of at most `amt` bytes, as they come."""
        return iter(lambda: self.read(amt, decode_content), b"")

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` with what comes next, in part perhaps."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Give the connection back; see `Response.close`."""
        if not self.closed:
            self._stream.close()
        super().close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_below" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._below, name)

    def __del__(self) -> None:
        """Nothing: the connection belongs to the response, and to whoever holds that."""
