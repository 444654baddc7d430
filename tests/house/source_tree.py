"""The package as a tree of modules, for the tests of the code base itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "esri_http"


class Import(NamedTuple):
    """One import statement. `target` is dotted: relative to the package where `ours`, absolute elsewhere."""

    target: str
    line: int
    ours: bool
    relative: bool
    at_import_time: bool


class Module(NamedTuple):
    """One file of the package. `name` is dotted and relative to the package; the package itself is the empty name."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def floor(self) -> str:
        """The subpackage that it is in; empty for the root modules."""
        return self.path.relative_to(PACKAGE).parts[0] if self.path.parent != PACKAGE else ""

    @property
    def label(self) -> str:
        """The path, as messages show it."""
        return self.path.relative_to(ROOT).as_posix()


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package, parsed."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found.append(Module(name, path, text, ast.parse(text, str(path))))
    return tuple(found)


def labels(chosen: tuple[Module, ...]) -> list[str]:
    """Ids for `parametrize`."""
    return [module.label for module in chosen]


def imports(module: Module) -> list[Import]:
    """Every import statement of `module`, also those inside functions and under TYPE_CHECKING."""
    names = {other.name for other in modules()}
    return list(_imports(module, names, module.tree, at_import_time=True))


def _imports(module: Module, names: set[str], node: ast.AST, *, at_import_time: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, alias.name.partition(".")[0] == "esri_http", False, at_import_time)
        elif isinstance(child, ast.ImportFrom):
            yield from _from_import(module, names, child, at_import_time)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for part in child.body:
                yield from _imports(module, names, ast.Module([part], []), at_import_time=False)
            for part in child.orelse:
                yield from _imports(module, names, ast.Module([part], []), at_import_time=at_import_time)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(module, names, child, at_import_time=at_import_time and not inside)


def _from_import(module: Module, names: set[str], node: ast.ImportFrom, at_import_time: bool) -> Iterator[Import]:
    if not node.level:
        ours = (node.module or "").partition(".")[0] == "esri_http"
        yield Import(node.module or "", node.lineno, ours, False, at_import_time)
        return
    here = module.name.split(".") if module.name else []
    if module.path.name != "__init__.py":
        here = here[:-1]
    base = here[: len(here) - (node.level - 1)] + ([node.module] if node.module else [])
    for alias in node.names:
        deeper = ".".join([*base, alias.name])
        yield Import(deeper if deeper in names else ".".join(base), node.lineno, True, True, at_import_time)
