"""One file on its way up: streamed multipart, with the bytes counted as they are read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .local import open_source, path_text
from .progress import Progress, passing_on

if TYPE_CHECKING:
    from ..messages.response import Response
    from .progress import ProgressCallback


def upload(
    session: Any,
    url: str,
    path: Any,
    field: str,
    name: str | None,
    content_type: str | None,
    data: Any,
    method: str,
    progress: ProgressCallback | None,
    options: dict[str, Any],
) -> Response:
    """See `TransferVerbs.upload`; `options` are those of `session.request`."""
    text = path_text(path)
    file, size = open_source(text)
    options.setdefault("deadline", None)
    with file:
        counted = CountedFile(file, size, Progress(progress, session._clock))
        files = {field: (name or os.path.basename(text), counted, content_type)}

        def send() -> Response:
            counted.begin()
            response: Response = session.request(method, url, data=data, files=files, **options)
            counted.finish()
            return response

        return passing_on(send)


class CountedFile:
    """A file that tells how far it has been read; when it is read again from the beginning, it tells that, too."""

    def __init__(self, file: Any, size: int, progress: Progress) -> None:
        """`file` is opened in binary mode, and `size` bytes long."""
        self._file = file
        self._size = size
        self._progress = progress
        self._read = 0

    def begin(self) -> None:
        """Tell the beginning."""
        self._read = 0
        self._progress.begin(0, self._size)

    def finish(self) -> None:
        """Tell the end, if all of it was read: a server may answer before that."""
        if self._read >= self._size:
            self._progress.finish(self._size)

    def read(self, amount: int = -1) -> bytes:
        """As of a file."""
        data: bytes = self._file.read(amount)
        self._read += len(data)
        self._progress.advance(self._read, self._size)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file."""
        position: int = self._file.seek(offset, whence)
        if position == 0 and self._read:
            self.begin()
        return position

    def tell(self) -> int:
        """As of a file."""
        position: int = self._file.tell()
        return position
