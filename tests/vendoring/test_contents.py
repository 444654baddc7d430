"""What is in the folder: all of ours, the pinned releases with licences and a bill, and the same bytes every time."""

from __future__ import annotations

import ast
import configparser
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

import esri_http
from vendor.archive import write_archive
from vendor.pins import Pin, read_pins
from vendor.releases import HERE, Releases

from ..house.source_tree import PACKAGE, ROOT
from .support import Built

PINS = {"newest": read_pins(HERE / "vendor.txt"), "python39": read_pins(HERE / "python39.txt")}
FOLDERS = {"urllib3": "urllib3", "certifi": "certifi", "pyspnego": "spnego"}
LEFT_OUT = ("testing", "demo.py", "demo_cases.py", "__pycache__")


@pytest.fixture
def folder(built: Built) -> Path:
    """The folder that a toolbox has."""
    return built.tree / "esri_http"


@pytest.fixture
def bill(folder: Path) -> Any:
    """The bill of materials."""
    return json.loads((folder / "bom.cdx.json").read_text(encoding="utf-8"))


def place(pin: Pin, folder: Path) -> Path:
    """Where a release is in the folder."""
    vendored = folder / "_vendor"
    return (vendored / "python39" if pin in PINS["python39"] else vendored) / FOLDERS[pin.name]


def archived(built: Built) -> list[str]:
    """The files in the zipped folder."""
    with zipfile.ZipFile(built.archive) as archive:
        return archive.namelist()


def all_pins() -> list[Pin]:
    return [*PINS["newest"], *PINS["python39"]]


def test_the_zip_is_one_folder_with_all_that_is_ours(built: Built) -> None:
    names = archived(built)
    assert built.archive.name == f"esri_http-{esri_http.__version__}-vendored.zip"
    assert {name.partition("/")[0] for name in names} == {"esri_http"}
    ours = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    ours = {name for name in ours if not set(LEFT_OUT) & set(name.split("/"))}
    shipped = {name for name in names if not name.startswith("esri_http/_vendor/")}
    assert shipped == ours | {"esri_http/bom.cdx.json"}


def test_both_files_are_small(built: Built) -> None:
    for path in (built.archive, built.zipapp):
        assert path.stat().st_size < 2 * 1024 * 1024


@pytest.mark.parametrize("pin", all_pins(), ids=lambda pin: f"{pin.name}-{pin.version}")
def test_a_release_is_there_with_its_licence(pin: Pin, folder: Path) -> None:
    at = place(pin, folder)
    assert (at / "__init__.py").is_file()
    licence = next(at.glob("LICENSE*")).read_text(encoding="utf-8")
    assert re.search(r"Permission is hereby granted|Mozilla Public License", licence)


def test_nothing_else_is_vendored(built: Built) -> None:
    names = archived(built)
    vendored = [name.split("/")[2:] for name in names if name.startswith("esri_http/_vendor/")]
    assert {parts[0] for parts in vendored} == {"__init__.py", "python39", *FOLDERS.values()}
    assert {parts[1] for parts in vendored if parts[0] == "python39"} == {"urllib3"}
    assert [name for name in names if name.endswith((".so", ".pyd", ".dll", ".pyc"))] == []


def test_the_bill_names_every_release_with_its_hash_and_licence(bill: Any) -> None:
    listed = {(one["name"], one["version"], one["hashes"][0]["content"]) for one in bill["components"]}
    assert listed == set(all_pins())
    assert {one["licenses"][0]["license"]["id"] for one in bill["components"]} == {"MIT", "MPL-2.0"}
    assert {one["purl"] for one in bill["components"]} == set(bill["dependencies"][0]["dependsOn"])
    assert len(bill["components"]) == 4


def test_the_bill_says_what_we_are(bill: Any) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    ours = bill["metadata"]["component"]
    assert (ours["name"], ours["version"]) == ("esri_http", esri_http.__version__)
    assert ours["licenses"][0]["license"]["id"] == parser["metadata"]["license"]


def test_no_import_says_where_the_folder_is(folder: Path) -> None:
    wrong = []
    roots = {"esri_http", *FOLDERS, *FOLDERS.values()}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            wrong += [f"{path}: {name}" for name in names if name.partition(".")[0] in roots]
    assert wrong == []


def test_two_builds_are_the_same_byte_for_byte(built: Built) -> None:
    for path in (built.archive, built.zipapp):
        assert path.read_bytes() == (built.again / path.name).read_bytes()


def test_nothing_in_a_zip_tells_when_and_by_whom_it_was_made(built: Built) -> None:
    with zipfile.ZipFile(built.archive) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {(entry.date_time, entry.external_attr, entry.create_system) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644 << 16, 3)
    }


@pytest.mark.parametrize("moment, year", [("1000000000", 2001), ("0", 1980)])
def test_the_files_may_be_dated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, year: int) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", moment)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_text("a")
    write_archive(tmp_path / "out" / "a.zip", tmp_path / "tree")
    with zipfile.ZipFile(tmp_path / "out" / "a.zip") as archive:
        assert [entry.date_time[0] for entry in archive.infolist()] == [year]


# -- pins ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["urllib3>=2", "urllib3==2.8.0", "urllib3", "urllib3==2.8.0 --hash=md5:00", ""])
def test_a_pin_has_a_version_and_a_hash(tmp_path: Path, line: str) -> None:
    file = tmp_path / "pins.txt"
    file.write_text(f"--require-hashes\n# a comment\n{line}\n")
    with pytest.raises(ValueError, match="not a pin"):
        read_pins(file)


def test_what_has_another_hash_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # pip asks for rustc's version, which may write there
    file = tmp_path / "pins.txt"
    text = (HERE / "python39.txt").read_text(encoding="utf-8")
    file.write_text(text.replace(PINS["python39"][0].sha256, "0" * 64), encoding="utf-8")
    with pytest.raises(SystemExit, match="DO NOT MATCH THE HASHES"):
        Releases(file, tmp_path / "workshop")
    assert list((tmp_path / "workshop" / "vendored").iterdir()) == []


def test_pip_wants_hashes_and_wheels() -> None:
    for name in ("vendor.txt", "python39.txt", "lambda.txt"):
        assert {"--require-hashes", "--only-binary :all:"} <= set((HERE / name).read_text(encoding="utf-8").splitlines())


def test_no_source_of_others_is_in_the_folder_of_the_recipe() -> None:
    found = [path for path in HERE.rglob("*") if "__pycache__" not in path.parts]
    assert [path.name for path in found if path.is_dir() or path.suffix not in (".py", ".txt", ".toml", ".md")] == []
    # What was copied from elsewhere would be larger than any of ours.
    assert max(len(path.read_text(encoding="utf-8").splitlines()) for path in found if path.suffix == ".py") < 100
