"""Modules and functions stay small, public things explain themselves, and nothing is left for later."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Union

import pytest

from .source_tree import PACKAGE, ROOT, Module, labels, modules

LONGEST_MODULE = 350
LONGEST_FUNCTION = 50
LEFT_FOR_LATER = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

every_module = pytest.mark.parametrize("module", modules(), ids=labels(modules()))


def length_without_docstring(function: Function) -> int:
    """Lines from `def` to the last one, less those of the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        text = function.body[0]
        lines -= (text.end_lineno or text.lineno) - text.lineno + 1
    return lines


def public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Union[Function, ast.ClassDef]]]:
    """Classes, functions and methods whose names, and whose classes' names, have no underscore in front."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            yield from public_definitions([*node.body, *node.orelse], prefix)
        elif isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
            if not _repeats_another(node):
                yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")


def _repeats_another(node: Union[Function, ast.ClassDef]) -> bool:
    """Overloads, setters and deleters: the docstring is at the definition that they belong to."""
    names = [part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in node.decorator_list]
    return bool({"overload", "setter", "deleter"} & set(names))


def text_files() -> list[Path]:
    """Everything that is written by hand, apart from prose."""
    folders = [PACKAGE, ROOT / "tests"]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    return sorted([*files, ROOT / "Makefile", ROOT / "setup.cfg", ROOT / ".ci" / "run"])


DOCUMENTED_IN_BASE_CLASSES = {
    *("begin", "begin_inner", "before_request", "about_to_send", "on_response", "end", "login"),
    *("shows_password", "judge", "source_for", "current", "renewed"),
}


@every_module
def test_a_module_is_short(module: Module) -> None:
    assert len(module.text.splitlines()) <= LONGEST_MODULE


@every_module
def test_a_function_is_short(module: Module) -> None:
    functions = [node for node in ast.walk(module.tree) if isinstance(node, FUNCTIONS)]
    lengths = {f"{node.name} (line {node.lineno})": length_without_docstring(node) for node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


@every_module
def test_a_module_and_all_that_is_public_in_it_has_a_docstring(module: Module) -> None:
    silent = [] if ast.get_docstring(module.tree) else ["the module"]
    silent += [name for name, node in public_definitions(module.tree.body) if not ast.get_docstring(node)]
    if module.name != "auth.base":
        # What a handler or a run overrides is documented once, where it is defined.
        silent = [name for name in silent if name.rpartition(".")[2] not in DOCUMENTED_IN_BASE_CLASSES]
    assert silent == []


@pytest.mark.parametrize("path", text_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_is_left_for_later(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if LEFT_FOR_LATER.search(line)] == []
