"""Responses that are not ours, such as those of an adapter or hook written for another HTTP client, as `Response`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..words.errors import ConfigurationError, TransportError
from ..words.headers import Headers
from ..words.redaction import redact_url
from .response import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .request import Request

_PIECE_BYTES = 64 * 1024


def as_response(answer: Any, request: Request, source: Any) -> Response:
    """What `source` (an adapter or a hook) gave as the answer to `request`, as a `Response`.

    Of a foreign answer `status_code` is needed, and `content` or `iter_content()`; `headers`, `reason`, `raw` and `close()`
    are used where they are. Raises `ConfigurationError` for what is no response.
    """
    if isinstance(answer, Response):
        return answer
    status = getattr(answer, "status_code", None)
    if not isinstance(status, int):
        raise ConfigurationError(f"{_name(source)} did not answer with a response, but with {type(answer).__name__}.")
    stream = ForeignStream(answer, request, source)
    return Response(request, status, getattr(answer, "reason", None) or "", _headers(answer), stream)


def _headers(answer: Any) -> Any:
    # urllib3's own fields, where they are to be had, keep the cookies apart from each other.
    fields = getattr(getattr(answer, "raw", None), "headers", None)
    return fields if hasattr(fields, "getlist") else Headers(getattr(answer, "headers", None))


def _name(source: Any) -> str:
    return getattr(source, "__name__", None) or type(source).__name__


@contextmanager
def foreign_errors(request: Request, source: Any) -> Iterator[None]:
    """Raise `TransportError` for the `OSError` that other clients' errors are; the original is its cause."""
    try:
        yield
    except OSError as error:
        place = f"{request.method} {redact_url(request.url)}"
        message = f"{place}: {_name(source)} could not carry out the exchange ({type(error).__name__})."
        raise TransportError(message, url=request.url) from error


class ForeignStream:
    """The content of a foreign answer, as a `BodyStream`."""

    def __init__(self, answer: Any, request: Request, source: Any) -> None:
        self.raw = getattr(answer, "raw", None)
        self._answer = answer
        self._request = request
        self._source = source
        self._pieces: Iterator[bytes] | None = None
        self._rest = b""

    def read(self, amount: int | None = None) -> bytes:
        """See `BodyStream.read`."""
        with foreign_errors(self._request, self._source):
            if self._pieces is None:
                self._pieces = self._content(whole=amount is None or self.raw is None)
            if amount is None:
                data, self._rest = b"".join([self._rest, *self._pieces]), b""
                return data
            while not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return b""
                self._rest = piece
        data, self._rest = self._rest[:amount], self._rest[amount:]
        return data

    def _content(self, whole: bool) -> Iterator[bytes]:
        """The content, in one piece where it is wanted `whole` or can be had no other way."""
        if hasattr(self._answer, "iter_content") and not (whole and hasattr(self._answer, "content")):
            return iter(self._answer.iter_content(_PIECE_BYTES))
        content = getattr(self._answer, "content", None)
        if content is not None and not isinstance(content, (bytes, bytearray)):
            kind = type(content).__name__
            raise ConfigurationError(f"{_name(self._source)} answered with content that is not bytes, but {kind}.")
        return iter([bytes(content or b"")])

    def lift_deadline(self) -> None:
        """See `BodyStream.lift_deadline`; a foreign answer has none."""

    def discard(self) -> None:
        """See `BodyStream.discard`."""
        self.close()

    def when_done(self, callback: Any) -> None:
        """See `BodyStream.when_done`; the connection of a foreign answer is no business of ours."""
        callback(True)

    def close(self) -> None:
        """See `BodyStream.close`."""
        close = getattr(self._answer, "close", None)
        if close is not None:
            close()
