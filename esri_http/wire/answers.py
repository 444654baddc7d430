"""Reading answers off a socket: the standard library's response, bounded in time, count and size."""

from __future__ import annotations

import http.client
import io
import re
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..words.clock import Deadline

_MOST_INTERIM_ANSWERS = 16
_LONGEST_LINE = 65536
_MOST_TRAILERS = 100
# Reads up to this size, and all reads of the first part of a body, give what is there instead of waiting for more.
_SMALL_READ = 16 * 1024
_FIRST_PART = 64 * 1024
# RFC 9112 section 7.1; Python's int() would take signs, blanks, underscores and "0x" as well.
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_FRAMING_LENGTHS = frozenset(map(len, _FRAMING))
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}[ \t]*(?:;[^\r\n]*)?\r?\n\Z")


class MalformedAnswer(http.client.HTTPException):
    """An answer that breaks HTTP, in words of our own."""


class CarefulResponse(http.client.HTTPResponse):
    """One answer. Interim answers are skipped and counted, chunk lines checked, and no read goes on beyond `deadline`."""

    _interim_answers = 0
    _given = 0

    def __init__(self, sock: Any, method: str | None = None, deadline: Deadline | None = None) -> None:
        self._reads = _TimedReads(sock, deadline)
        super().__init__(self._reads, method=method)  # type: ignore[arg-type]

    def limit_reads(self, timeout: float | None, deadline: Deadline | None) -> None:
        """From now on a read fails after `timeout` seconds of silence, and any after `deadline`; `None` for no limit."""
        self._reads.limit(timeout, deadline)

    def _read_status(self) -> tuple[str, int, str]:
        self._interim_answers += 1
        if self._interim_answers > _MOST_INTERIM_ANSWERS:
            raise MalformedAnswer("too many interim (1xx) answers")
        return super()._read_status()  # type: ignore[misc, no-any-return]

    def begin(self) -> None:
        """Read status and header fields of the final answer."""
        super().begin()
        while 100 < self.status < 200 and self.status != http.client.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        if self._reads.ended:
            raise http.client.IncompleteRead(b"")  # the head breaks off, which the standard library takes for its end
        if self.headers.defects and self.headers.get_payload():
            raise MalformedAnswer("a line of its head is no header field")  # and those behind it would be lost
        if self.status == http.client.SWITCHING_PROTOCOLS:
            self.will_close = True  # what comes next on this connection is not HTTP
        self._check_framing()
        if self.chunked:
            self.fp = _ChunkLines(self.fp)  # type: ignore[assignment]

    def _check_framing(self) -> None:
        """Refuse what makes the end of the body a guess (RFC 9112 sections 6.1 to 6.3)."""
        # The names have 14 and 17 characters; one look at the raw fields spares several look-ups in nearly every answer.
        framing = [
            value for name, value in self.headers.raw_items() if len(name) in _FRAMING_LENGTHS and name.lower() in _FRAMING
        ]
        if not framing or (len(framing) == 1 and (self.chunked or _LENGTH.match(framing[0]))):
            return
        lengths = self.headers.get_all("content-length")
        if lengths:
            values = {value.strip(" \t") for field in lengths for value in field.split(",")}
            value = values.pop()
            if values or not _LENGTH.match(value):
                raise MalformedAnswer("its Content-Length is not one number")
            if self.chunked:
                self.will_close = True
            elif self.length is None:
                self.length = int(value)
        codings = self.headers.get_all("transfer-encoding", [])
        if len(codings) > 1 or not {"chunked", "identity"}.issuperset(map(str.lower, codings)):
            raise MalformedAnswer("its Transfer-Encoding is not known")

    def read(self, amt: int | None = None) -> bytes:
        """As the standard library's; but a small read, and any at the beginning, gives what is there."""
        if amt is None or self.chunked or (amt > _SMALL_READ and self._given >= _FIRST_PART):
            return super().read(amt)
        data = self.read1(amt)
        self._given += len(data)
        if self.length == 0 and self.fp is not None:
            self._close_conn()  # type: ignore[attr-defined]
        return data


class ProxyChallenge(Exception):
    """A proxy wants a (better) sign-in before it makes a tunnel. `fields`: its `Proxy-Authenticate`; `sent`: what it was told.

    Derived from neither `OSError` nor urllib3's `HTTPError`, so that it comes through urllib3 as it is.
    """

    def __init__(self, fields: list[str], sent: str | None) -> None:
        super().__init__("407")
        self.fields = fields
        self.sent = sent


class TunnelAnswer(CarefulResponse):
    """A proxy's answer to CONNECT. Of a 407 it reads what the standard library drops, and raises it."""

    sent: str | None = None

    def _read_status(self) -> tuple[str, int, str]:
        status = super()._read_status()
        if status[1] != http.client.PROXY_AUTHENTICATION_REQUIRED:
            return status
        try:
            fields = http.client.parse_headers(self.fp).get_all("proxy-authenticate")
        finally:
            self.close()
        raise ProxyChallenge(fields or [], self.sent)


class _TimedReads(socket.SocketIO):
    """A socket's file that is not read after `deadline`. A time-out of the socket alone never ends a trickle."""

    def __init__(self, sock: Any, deadline: Deadline | None) -> None:
        super().__init__(sock, "r")
        # What makefile() counts, so that the socket stays open for as long as it is read; TLS in TLS wraps the counted one.
        counted: Any = sock if isinstance(sock, socket.socket) else sock.socket
        counted._io_refs += 1
        self.deadline = deadline
        self.ended = False

    def makefile(self, mode: str) -> io.BufferedReader:
        """Itself, buffered: the standard library's response asks what it takes for a socket."""
        return io.BufferedReader(self)

    def limit(self, timeout: float | None, deadline: Deadline | None) -> None:
        sock: Any = self._sock  # type: ignore[attr-defined]
        if sock is not None:  # None: all is read already
            sock.settimeout(timeout)
        self.deadline = deadline

    def readinto(self, buffer: Any) -> int | None:
        deadline = self.deadline
        if deadline is not None and deadline.at is not None:
            left = deadline.at - deadline.clock.monotonic()
            if left <= 0:
                raise socket.timeout("the time for the whole call is up")
            sock: Any = self._sock  # type: ignore[attr-defined]
            patience = sock.gettimeout()
            if patience is None or left < patience:
                sock.settimeout(left)
        got = super().readinto(buffer)
        if not got:
            self.ended = True
        return got


class _ChunkLines:
    """The file below a chunked body: every line of it is the size of a chunk, or, after the last chunk, a trailer."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._trailers = -1  # none before the last chunk
        self.read = file.read

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._file.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise MalformedAnswer("a line between chunks has no end")
        if self._trailers >= 0:
            self._trailers += 1
            if self._trailers > _MOST_TRAILERS:
                raise MalformedAnswer("too many trailers")
        elif _CHUNK_SIZE.match(line):
            if not line.partition(b";")[0].strip(b"0 \t\r\n"):
                self._trailers = 0
        elif line.endswith(b"\n"):
            raise MalformedAnswer("a chunk without a proper size")
        else:
            raise http.client.IncompleteRead(b"")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
