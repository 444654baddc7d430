"""`python -m vendor.layers 3.13 arm64`: both layers for AWS Lambda functions of that Python and architecture, into `dist/`.

Lambda unpacks a layer into `/opt`, and its Python imports from `/opt/python` before it does from what it has itself.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zipfile import ZipFile

from .archive import write_archive
from .bytecode import add_bytecode
from .interpreters import find_interpreter
from .layer_pins import PYTHONS, releases_for
from .package import VERSION, copy_package

if TYPE_CHECKING:
    from collections.abc import Iterable

ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""What Lambda calls them, and what wheels do."""

# For Amazon Linux 2, the oldest that Lambda has (glibc 2.26), and all that are newer.
_PLATFORMS = ("manylinux2014", "manylinux_2_17")
# All that a request needs; the full layer has every release.
_CORE = ("urllib3", "certifi")


def fetch_wheels(releases: Iterable[str], python: str, architecture: str, into: Path) -> list[Path]:
    """Have pip put a wheel of each of `releases`, lines as pip reads them, into a new folder; their paths.

    They are for CPython `python` ("3.13") on Linux on `architecture`. The program ends where pip fails, which has said why.
    """
    into.mkdir()
    wanted = into / "wanted.txt"
    wanted.write_text("\n".join(releases), encoding="utf-8")
    platforms = [f"--platform={platform}_{ARCHITECTURES[architecture]}" for platform in _PLATFORMS]
    # Some releases refuse the first patch releases of a Python, which pip takes a bare "3.9" for; Lambda has late ones.
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
        "--implementation=cp", f"--python-version={python}.99", *platforms, f"--dest={into}", f"--requirement={wanted}",
    ]  # fmt: skip
    if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"There are not all wheels for Python {python} on {architecture}.")
    return sorted(into.glob("*.whl"))


def make_layers(python: str, architecture: str, into: Path) -> list[Path]:
    """Write both layers to the folder `into`; their paths. What was released is in them as it was released.

    With bytecode, where this machine has that Python.
    """
    interpreter = find_interpreter(python)
    if interpreter is None:
        print(f"There is no Python {python} here: the layers are without bytecode, and each cold start has to compile.")
    with TemporaryDirectory() as name:
        wheels = fetch_wheels(releases_for(python), python, architecture, Path(name) / "wheels")
        core = [wheel for wheel in wheels if wheel.name.partition("-")[0] in _CORE]
        layers = []
        for kind, chosen in (("core", core), ("full", wheels)):
            folder = Path(name) / kind
            copy_package(folder / "python" / "esri_http")
            for wheel in chosen:
                with ZipFile(wheel) as archive:
                    archive.extractall(folder / "python")
            if interpreter is not None:
                add_bytecode(folder, interpreter)
            layers.append(into / f"esri_http-{VERSION}-lambda-{kind}-py{python}-{architecture}.zip")
            write_archive(layers[-1], folder)
    return layers


def main() -> None:
    """Build the layers that the command line asks for, and print where they are."""
    parser = argparse.ArgumentParser(prog="python -m vendor.layers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("python", choices=PYTHONS, metavar="VERSION", help=", ".join(PYTHONS))
    parser.add_argument("architecture", choices=ARCHITECTURES, metavar="ARCHITECTURE", help=" or ".join(ARCHITECTURES))
    parser.add_argument("--into", type=Path, default=Path("dist"), metavar="FOLDER", help="where to put them (dist)")
    chosen = parser.parse_args()
    for layer in make_layers(chosen.python, chosen.architecture, chosen.into):
        print(f"{layer} ({layer.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main()
