"""The bill of materials: a CycloneDX document of what is in the folder, from the pins and what the wheels say of themselves."""

from __future__ import annotations

import email
import json
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .pins import Pin


def bill_of_materials(version: str, released: Iterable[tuple[Pin, Path]]) -> str:
    """CycloneDX 1.5 as JSON, for esri_http `version` and the `released` packages (each with its wheel); the same every time."""
    ours = {"type": "library", "bom-ref": "esri_http", "name": "esri_http", "version": version, **_licensed("Apache-2.0")}
    components = [_component(pin, wheel) for pin, wheel in released]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": ours},
        "components": components,
        "dependencies": [{"ref": "esri_http", "dependsOn": [component["bom-ref"] for component in components]}],
    }
    return json.dumps(document, indent=2) + "\n"


def _component(pin: Pin, wheel: Path) -> dict[str, Any]:
    purl = f"pkg:pypi/{pin.name}@{pin.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": pin.sha256}],
        **_licensed(_license(wheel)),
    }


def _licensed(identifier: str) -> dict[str, Any]:
    return {"licenses": [{"license": {"id": identifier}}]}


def _license(wheel: Path) -> str:
    """The SPDX identifier from the wheel's metadata."""
    with ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    return str(metadata["License-Expression"] or metadata["License"])
