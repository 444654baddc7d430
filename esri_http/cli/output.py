"""Where an answer goes: as it is into a pipe or file, readable onto a terminal; an error never as if it were the answer."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, NamedTuple

from ..transfers.local import followed, local_trouble, put_in_place
from ..words.errors import ConfigurationError, EsriHttpError, EsriHttpResponseError
from ..words.redaction import redact_url
from ..words.terminals import is_terminal
from .terminal import pretty, shown, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..messages.response import Response

# JSON that is longer is shown as it comes.
LARGEST_PRETTY = 4 * 1024 * 1024
_LOOKED_AT = 1024


class Wanted(NamedTuple):
    """How an answer is wanted: `head` (status and header fields, too), `raw` (as it is, also on a terminal), `is_json` (JSON
    was asked for), `path` (the file to write; `None` for the output)."""

    head: bool = False
    raw: bool = False
    is_json: bool = False
    path: str | None = None


def show(response: Response, wanted: Wanted) -> None:
    """Write a streamed answer to where it is wanted. Raises `EsriHttpResponseError` where it is an error."""
    if wanted.head:
        write(_head(response))
    response.raise_for_error()
    if wanted.is_json and response.peek(_LOOKED_AT).lstrip()[:1] == b"<":
        raise _page_instead(response)
    if wanted.path is not None and wanted.path != "-":
        with new_file(wanted.path) as file:
            _copy(response, file)
    elif wanted.raw or not is_terminal(sys.stdout):
        if sys.stdout is not None:
            sys.stdout.flush()
            _copy(response, sys.stdout.buffer)
    else:
        _show_on_terminal(response)


def _head(response: Response) -> str:
    lines = [f"HTTP {response.status_code} {response.reason}".rstrip()]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    return "\n".join(shown(line).replace("\n", "�") for line in lines) + "\n\n"


def _page_instead(response: Response) -> EsriHttpResponseError:
    method, status = response.request.method, response.status_code
    return EsriHttpResponseError(
        f"{method} {redact_url(response.url)} was not answered with JSON: a web page came instead (a sign-in page, a proxy or"
        f" an error page?), HTTP {status}. See it with --raw.",
        url=response.url, status_code=status, method=method, response=response,
    )  # fmt: skip


def _copy(response: Response, file: IO[bytes]) -> None:
    for piece in response.iter_content(None):
        file.write(piece)
        file.flush()


def _show_on_terminal(response: Response) -> None:
    """JSON indented, other text without its control characters."""
    head = response.peek(_LOOKED_AT)
    if b"\0" in head:
        message = "The answer is no text, which would upset the terminal: write it to a file (-o FILE), or use --raw."
        raise ConfigurationError(message)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        text = _indented(response)
        if text is not None:
            write(text + "\n")
            return
    last = "\n"
    for piece in response.iter_content(None, decode_unicode=True):
        last = piece or last
        write(shown(piece))
    if not last.endswith("\n"):
        write("\n")


def _indented(response: Response) -> str | None:
    """The JSON that came, for people; `None` where it is too long, or none."""
    if len(response.peek(LARGEST_PRETTY + 1)) > LARGEST_PRETTY:
        return None
    try:
        return pretty(response.json())
    except (EsriHttpError, RecursionError):
        return None


def check_place(path: str | None) -> None:
    """Raise `LocalFileError` where no file could be written at `path`, before something is sent whose answer would be lost."""
    if path is None or path == "-":
        return
    with local_trouble(path, "written"):
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not _is_special(path):
            trial = _unfinished(followed(path))
            open(trial, "xb").close()
            os.unlink(trial)


@contextmanager
def new_file(path: str) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` when all of it is there, and leaves nothing behind otherwise.

    A symbolic link stays, and what it leads to is written; what is no plain file (a device, a pipe), directly. Raises
    `LocalFileError`.
    """
    with local_trouble(path, "written"):
        if _is_special(path):
            with open(path, "wb") as file:
                yield file
            return
        path = followed(path)
        unfinished = _unfinished(path)
        try:
            with open(unfinished, "xb") as file:
                yield file
            put_in_place(unfinished, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished)
            raise


def _is_special(path: str) -> bool:
    return os.path.exists(path) and not os.path.isfile(path)


def _unfinished(path: str) -> str:
    return f"{path}.{os.urandom(4).hex()}.part"

