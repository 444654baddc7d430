"""Zip files that are the same byte for byte whenever, wherever and by whomever they are made (with the same zlib)."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

if TYPE_CHECKING:
    from pathlib import Path

_FIRST_MOMENT = 315532800  # 1980-01-01, before which zip files know no time (seconds)
_UNIX = 3
_PLAIN_FILE = 0o100644 << 16


def write_archive(target: Path, folder: Path, first_line: bytes = b"") -> None:
    """Write the files below `folder` to `target`, behind `first_line`. They are of SOURCE_DATE_EPOCH (seconds), or of 1980."""
    moment = time.gmtime(max(_FIRST_MOMENT, int(os.environ.get("SOURCE_DATE_EPOCH", _FIRST_MOMENT))))[:6]
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(first_line)
        with ZipFile(file, "w") as archive:
            for name in sorted(files):
                entry = ZipInfo(name, moment)
                entry.create_system, entry.external_attr = _UNIX, _PLAIN_FILE
                archive.writestr(entry, files[name].read_bytes(), ZIP_DEFLATED, 9)
