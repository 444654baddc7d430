"""One file on its way down: asked for until all of it is there, and each time only for what is missing."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from ..messages.complaints import refusal
from ..messages.forms import encode_fields
from ..words.clock import Deadline
from ..words.errors import (
    CertificateError,
    ConnectionLostError,
    DeadlineExceededError,
    EsriHttpResponseError,
    InvalidRequestError,
    ProtocolError,
    ProxyError,
    TransportError,
)
from ..words.headers import pairs
from ..words.redaction import redact_url
from ..words.settings import read_deadline, read_timeout
from ..words.urls import split_url
from .local import check_place, check_target, followed, is_folder, path_text
from .names import file_name_of
from .part import Part
from .progress import Progress, passing_on
from .ranges import length_of, range_end, validator_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..messages.response import Response
    from ..words.clock import Clock
    from ..words.errors import EsriHttpError
    from .progress import ProgressCallback

# How often it is asked again when no attempt gets beyond the one before.
_MOST_IDLE_ATTEMPTS = 5
_LONGEST_WAIT = 8.0
# What makes it worth while to go on at once; a server that gives a byte at a time is not asked a thousand times a second.
_WORTH_NO_WAIT_BYTES = 64 * 1024
# What asking again does not mend.
_FINAL = (CertificateError, DeadlineExceededError, ProtocolError, ProxyError)
_OUR_HEADERS = frozenset({"range", "if-range", "accept-encoding"})
_SHORT_BYTES = 64 * 1024

_PIECE_BYTES = 256 * 1024
# Slower than this, small pieces are read as they come, so that progress and deadline do not wait for a large one.
_SLOW_PIECE_BYTES = 16 * 1024
_FAST_BYTES_PER_SECOND = 4 * 1024 * 1024


class Download:
    """One call of `TransferVerbs.download`; `options` are those of `session.request`."""

    def __init__(
        self,
        session: Any,
        url: str,
        path: Any,
        progress: ProgressCallback | None,
        resume: bool,
        params: Any,
        options: dict[str, Any],
    ) -> None:
        self._clock: Clock = session._clock
        self._session = session
        self._url = url
        self._query = encode_fields(params)
        self._source = _source(url, self._query)
        self._headers = _checked_headers(options.pop("headers", None))
        self._deadline = Deadline(read_deadline(options.pop("deadline", None)), self._clock)
        self._timeout = read_timeout(options.pop("timeout", session.timeout))
        self._options = options
        self._progress = Progress(progress, self._clock)
        self._resume = resume
        text = path_text(path)
        self._path = os.path.abspath(text)
        self._takes_name = is_folder(text)  # the server's name for the file goes into it
        self._part: Part | None = None
        self._end: int | None = None  # where what is being sent has to end
        self._ranges = True  # whether the server is believed to give parts
        self._answered = False
        self._furthest = -1
        self._idle = 0

    def run(self) -> str:
        """Bring the file down; its path."""
        return passing_on(self._run)

    def _run(self) -> str:
        try:
            check_place(self._path, self._takes_name)
            if not self._takes_name:
                self._open(followed(self._path))
            while not self._went_through():
                pass
            assert self._part is not None
            self._progress.finish(self._part.size)
            self._part.publish()
            return self._part.target if self._takes_name else self._path
        finally:
            if self._part is not None:
                self._part.close()

    def _open(self, path: str) -> Part:
        check_target(path)
        self._part = Part(path, self._source, self._resume)
        return self._part

    def _went_through(self) -> bool:
        """One attempt: whether all of the file is there. Raises where another one is not worth while."""
        try:
            with self._ask() as response:
                part = self._accepted(response)
                if part is None:
                    response.discard()
                    return False
                self._answered = True
                self._receive(response, part)
                return True
        except TransportError as error:
            self._wait_after(error)
            return False

    def _ask(self) -> Response:
        """The answer to one request: for the rest, where there is a beginning."""
        part = self._part
        wanted = (f"bytes={part.size}-", part.validator) if part is not None and part.can_continue else (None, None)
        headers = [*self._headers, ("Accept-Encoding", "identity"), ("Range", wanted[0]), ("If-Range", wanted[1])]
        left = self._deadline.remaining()
        if left is not None and left <= 0:
            raise self._too_late()
        connect, read = self._timeout
        if left is not None:
            read = left if read is None else min(read, left)
        # Where there is none for all of it, the session's deadline is one for the head of each answer.
        deadline = self._session.deadline if left is None else left
        options = {**self._options, "timeout": (connect, read), "deadline": deadline}
        try:
            answer: Response = self._session.request("GET", self._url, self._query, headers=headers, stream=True, **options)
        except DeadlineExceededError as error:
            if left is None:
                raise
            raise self._too_late() from error
        return answer

    # -- what came ---------------------------------------------------------------------------------------------------

    def _accepted(self, response: Response) -> Part | None:
        """Where the content goes; `None` where it has to be asked for in another way. Raises for what is no file."""
        part, status = self._part, response.status_code
        if part is not None and part.can_continue:
            if status == 206:
                return self._continued(response, part)
            if status == 416:
                part.forget()
                return None
        if status >= 400 or response.esri_error is not None:
            raise _refusal(response)
        if status not in (200, 203):
            raise _no_file(response)
        validator = validator_of(response) if self._ranges else None
        if part is None:
            part = self._open(os.path.join(self._path, file_name_of(response)))
            if part.can_continue and part.validator == validator:
                return None
        part.begin(length_of(response), validator)
        self._end = part.total
        return part

    def _continued(self, response: Response, part: Part) -> Part | None:
        """`part`, if the 206 goes on where it ends; otherwise no more parts are taken from this server."""
        assert part.validator is not None
        found = range_end(response, part.size, part.total, part.validator)
        if found is None:
            self._ranges = False
            part.forget()
            return None
        self._end, total = found
        part.go_on(total)
        return part

    def _receive(self, response: Response, part: Part) -> None:
        self._progress.begin(part.size, part.total)
        for piece in _pieces(response, self._clock):
            if self._end is not None and part.size + len(piece) > self._end:
                part.forget()
                raise ProtocolError(f"{self._place(response)}: more came than was announced.", url=response.url)
            part.write(piece)
            self._progress.advance(part.size, part.total)
            if not self._deadline.allows(0):
                raise self._too_late()
        if part.total is not None and part.size < part.total:
            message = f"{self._place(response)}: the answer ends after {part.size} of {part.total} bytes."
            raise ConnectionLostError(message, url=response.url)

    # -- what went wrong ---------------------------------------------------------------------------------------------

    def _wait_after(self, error: EsriHttpError) -> None:
        """Wait before the next attempt, or raise `error` where there is to be none."""
        if not self._deadline.allows(0) and not isinstance(error, DeadlineExceededError):
            raise self._too_late() from error
        part = self._part
        if part is None or not self._answered or isinstance(error, _FINAL):
            raise error
        progress, self._furthest = part.size - self._furthest, max(part.size, self._furthest)
        self._idle = 1 if progress > 0 else self._idle + 1
        wait = 0.0 if progress >= _WORTH_NO_WAIT_BYTES else min(2.0 ** (self._idle - 2), _LONGEST_WAIT)
        if self._idle > _MOST_IDLE_ATTEMPTS or not self._deadline.allows(wait):
            raise error
        self._clock.sleep(wait)

    def _too_late(self) -> DeadlineExceededError:
        seconds = self._deadline.seconds
        message = f"GET {redact_url(self._url)}: the {seconds:g} s for the whole download are used up."
        return DeadlineExceededError(message, url=self._url)

    def _place(self, response: Response) -> str:
        return f"GET {redact_url(response.url)}"


def _source(url: str, query: str) -> str:
    """What stands for the URL in a file: no part of it can be read there, and no password is in it at all."""
    split = split_url(url)
    return hashlib.sha256(f"{split.origin}{split.target}\n{query}".encode()).hexdigest()


def _checked_headers(headers: Any) -> list[tuple[str, Any]]:
    """The caller's fields; raises `InvalidRequestError` for those that say which bytes are wanted."""
    given = list(pairs(headers))
    for name, _ in given:
        if str(name).lower() in _OUR_HEADERS:
            raise InvalidRequestError(f"A download says by itself which bytes it wants; leave out the header {name}.")
    return given


def _pieces(response: Response, clock: Clock) -> Iterator[bytes]:
    """The content in large pieces; in small ones while it comes slowly."""
    size = _PIECE_BYTES
    while True:
        began = clock.monotonic()
        piece = next(response.iter_content(size), b"")
        if not piece:
            return
        fast = len(piece) >= (clock.monotonic() - began) * _FAST_BYTES_PER_SECOND
        size = _PIECE_BYTES if fast else _SLOW_PIECE_BYTES
        yield piece


def _refusal(response: Response) -> EsriHttpResponseError:
    """The error that the answer is; what it says can be read there, unless it is long."""
    if len(response.peek(_SHORT_BYTES + 1)) <= _SHORT_BYTES:
        response.content  # noqa: B018 - the error carries it
    return refusal(response)


def _no_file(response: Response) -> EsriHttpResponseError:
    status = response.status_code
    message = f"GET {redact_url(response.url)} was answered with HTTP {status}, which brings no file."
    return EsriHttpResponseError(
        message, url=response.url, code=status, status_code=status, method=response.request.method, response=response
    )
