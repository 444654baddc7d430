"""The architecture, kept by walking the imports: a module imports only from floors below its own."""

from __future__ import annotations

import sys

import pytest

from .source_tree import Import, Module, imports, labels, modules

MAY_IMPORT = {
    "words": {"words"},
    "messages": {"words", "messages"},
    "wire": {"words", "messages", "wire"},
    "auth": {"words", "messages", "auth"},
    "pipeline": {"words", "messages", "wire", "auth", "pipeline"},
    "transfers": {"words", "messages", "transfers"},
    "": {"words", "messages", "wire", "auth", "pipeline", "transfers", "testing", ""},
    "profiles": {"words", "profiles"},
    "survey": {"words", "messages", "wire", "auth", "pipeline", "", "survey"},
    "gis": {"words", "messages", "auth", "profiles", "survey", "", "gis"},
    "cli": {"words", "messages", "auth", "transfers", "profiles", "survey", "gis", "testing", "", "cli"},
    "testing": {"words", "testing"},
}
# The folders of `auth`, likewise; the modules beside them hold what all are built on, and what puts several together.
MAY_IMPORT_IN_AUTH = {
    "tokens": {"tokens"},
    "oauth": {"tokens", "oauth"},
    "hosts": {"tokens", "hosts"},
    "web_tier": {"tokens", "web_tier"},
    "handshake": {"web_tier", "handshake"},
    "proxies": {"web_tier", "handshake", "proxies"},
}
# What opens the door to users: the package, whose names stand on all floors, and the program.
DOORS = {"", "__main__", "env"}
MAY_SHOW_THE_PORTAL = {"demo", "demo_cases", "__main__"}
# Where each package from outside the standard library may be imported.
MAY_USE = {
    "urllib3": {"wire"},
    "certifi": {"wire"},
    "spnego": {"auth.handshake"},
    "krb5": {"auth.handshake"},
    "cryptography": {"auth.handshake", "auth.oauth", "wire", "testing"},
    "keyring": {"profiles"},
    "pandas": {"profiles"},
    "arcpy": {"auth.hosts"},
    "arcgis_notebooks_auth": {"auth.hosts"},
    "pytest": {"testing"},
    "tqdm": {"cli"},
}
STANDARD_LIBRARY = getattr(sys, "stdlib_module_names", None)

every_module = pytest.mark.parametrize("module", modules(), ids=labels(modules()))


def floor_of(target: str) -> str:
    """The subpackage that a dotted name, relative to the package, is in."""
    first = target.partition(".")[0]
    return first if first in MAY_IMPORT else ""


def folder_of_auth(name: str) -> str:
    """The folder of `auth` that a module of that dotted name is in; empty for those beside the folders, and elsewhere."""
    floor, folder = [*name.split("."), ""][:2]
    return folder if floor == "auth" and folder in MAY_IMPORT_IN_AUTH else ""


def at(module: Module, found: Import) -> str:
    """Where, for a message."""
    return f"{module.label}:{found.line} imports {found.target or 'the package root'}"


def test_every_subpackage_has_a_floor() -> None:
    assert {module.floor for module in modules()} <= set(MAY_IMPORT)


@every_module
def test_our_own_modules_are_imported_relatively(module: Module) -> None:
    assert [at(module, found) for found in imports(module) if found.ours and not found.relative] == []


@every_module
def test_a_module_imports_only_from_floors_below(module: Module) -> None:
    allowed = set(MAY_IMPORT) if module.name in DOORS else MAY_IMPORT[module.floor]
    assert [at(module, found) for found in imports(module) if found.relative and floor_of(found.target) not in allowed] == []


@every_module
def test_a_folder_of_auth_imports_only_from_those_below(module: Module) -> None:
    allowed = MAY_IMPORT_IN_AUTH.get(folder_of_auth(module.name), set(MAY_IMPORT_IN_AUTH))
    uses = [found for found in imports(module) if found.relative and folder_of_auth(found.target)]
    assert [at(module, found) for found in uses if folder_of_auth(found.target) not in allowed] == []


@every_module
def test_only_the_command_line_shows_the_embedded_portal_and_only_when_asked(module: Module) -> None:
    uses = [found for found in imports(module) if found.relative and floor_of(found.target) == "testing"]
    if module.floor == "testing":
        return
    may = module.floor == "cli" or module.name in MAY_SHOW_THE_PORTAL
    wrong = [at(module, found) for found in uses if not may or found.at_import_time]
    assert wrong == []


@every_module
def test_a_package_from_outside_is_imported_only_where_it_belongs(module: Module) -> None:
    uses = [found for found in imports(module) if not found.ours]
    first_names = [(found.target.partition(".")[0], found) for found in uses]
    here = {module.floor, f"{module.floor}.{folder_of_auth(module.name)}"}
    wrong = [at(module, found) for name, found in first_names if name in MAY_USE and not here & MAY_USE[name]]
    if STANDARD_LIBRARY is not None:
        wrong += [at(module, found) for name, found in first_names if name not in MAY_USE and name not in STANDARD_LIBRARY]
    assert wrong == []


@every_module
def test_urllib3_is_imported_before_its_parts(module: Module) -> None:
    """It imports its parts itself. A thread that begins with one then meets another that begins with the whole in the middle,
    each waits for the other's lock, and Python ends that with half a module (gh-83065, to 3.12)."""
    names = [found.target for found in imports(module) if found.at_import_time and found.target.partition(".")[0] == "urllib3"]
    assert names[:1] in ([], ["urllib3"])


def test_no_module_needs_itself_while_it_is_imported() -> None:
    needs = {
        module.name: {found.target for found in imports(module) if found.relative and found.at_import_time} - {module.name}
        for module in modules()
    }
    cycles = []
    while needs:
        free = [name for name, wanted in needs.items() if not wanted & needs.keys()]
        if not free:
            cycles = sorted(needs)
            break
        for name in free:
            del needs[name]
    assert cycles == [], "these modules wait for each other"
