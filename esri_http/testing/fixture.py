"""A pytest fixture. In your `conftest.py`: `pytest_plugins = ["esri_http.testing.fixture"]`; then ask for `esri_portal`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from .portal import EmbeddedPortal

# Not a plain import: type checkers that check this package for its oldest Python cannot read the newest pytest.
_pytest: Any = importlib.import_module("pytest")


def _esri_portal() -> Iterator[EmbeddedPortal]:
    """A fresh `EmbeddedPortal` over https; the test fails if the portal itself failed."""
    with EmbeddedPortal() as portal:
        yield portal
    assert not portal.internal_errors, "\n".join(portal.internal_errors)


esri_portal = _pytest.fixture(name="esri_portal")(_esri_portal)
