"""`python -m vendor folder|zipapp`: build these, into `dist/`."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from .archive import write_archive
from .folder import make_folder
from .package import VERSION

_PROGRAM = """import sys

from esri_http.cli import main

sys.exit(main())
"""


def _write_folder(tree: Path, into: Path) -> Path:
    target = into / f"esri_http-{VERSION}-vendored.zip"
    write_archive(target, tree)
    return target


def _write_zipapp(tree: Path, into: Path) -> Path:
    """The command line in one file (PEP 441)."""
    target = into / "esri-http.pyz"
    application = tree.with_name("application")
    shutil.copytree(tree, application)
    (application / "__main__.py").write_bytes(_PROGRAM.encode())
    write_archive(target, application, b"#!/usr/bin/env python3\n")
    target.chmod(0o755)
    return target


_WRITERS = {"folder": _write_folder, "zipapp": _write_zipapp}


def main() -> None:
    """Build what the command line names, and print where it is."""
    parser = argparse.ArgumentParser(prog="python -m vendor", description=__doc__)
    parser.add_argument("what", nargs="+", choices=_WRITERS, help="what to build")
    parser.add_argument("--into", type=Path, default=Path("dist"), metavar="FOLDER", help="where to put it (dist)")
    chosen = parser.parse_args()
    with TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        make_folder(tree / "esri_http", Path(name) / "workshop")
        for what in chosen.what:
            target = _WRITERS[what](tree, chosen.into)
            print(f"{target} ({target.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main()
