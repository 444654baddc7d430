"""The folder `esri_http` that needs nothing else: our package without the embedded portal, and what it stands on."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from vendoring.tasks.vendor import rewrite_imports

from .bom import bill_of_materials
from .package import VERSION, copy_package
from .releases import HERE, Releases

if TYPE_CHECKING:
    from pathlib import Path

NAMESPACE = "esri_http._vendor"
OLD_PYTHON = "python39"
_VENDOR_INIT = f'''"""What esri_http stands on: the releases that `bom.cdx.json` names."""

import sys

if sys.version_info < (3, 10):
    __path__.insert(0, f"{{__path__[0]}}/{OLD_PYTHON}")
'''
_ABSOLUTE = re.compile(rf"^(\s*from ){re.escape(NAMESPACE)}\b", re.MULTILINE)


def make_folder(folder: Path, workshop: Path) -> None:
    """Make `folder`, to be imported under any name; `workshop` is a folder for what is needed on the way."""
    newest = Releases(HERE / "vendor.txt", workshop / "newest")
    old = Releases(HERE / f"{OLD_PYTHON}.txt", workshop / OLD_PYTHON)
    copy_package(folder)
    rewrite_imports(folder, NAMESPACE, [path.name for path in newest.vendored.iterdir()], [])
    vendored = folder / "_vendor"
    shutil.copytree(newest.vendored, vendored)
    shutil.copytree(old.vendored, vendored / OLD_PYTHON)
    (vendored / "__init__.py").write_bytes(_VENDOR_INIT.encode())
    for path in folder.rglob("*.py"):
        _make_relative(path, path.relative_to(folder).parts)
    bill = bill_of_materials(VERSION, [*newest.wheels, *old.wheels])
    (folder / "bom.cdx.json").write_bytes(bill.encode())


def _make_relative(path: Path, place: tuple[str, ...]) -> None:
    """Have `path`, a module in `place`, import what is vendored relatively. Raises `ValueError` where that cannot be."""
    dots = "." * sum(part != OLD_PYTHON for part in place)
    text = _ABSOLUTE.sub(rf"\1{dots}_vendor", path.read_text(encoding="utf-8"))
    if NAMESPACE in text:
        raise ValueError(f"{'/'.join(place)}: an import of {NAMESPACE} that cannot be made relative")
    path.write_bytes(text.encode())
