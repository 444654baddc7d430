"""What holds for the whole process, as in the peer's module of this name: the GIS that was made last with `set_active`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .gis.gis import GIS

active_gis: GIS | None = None
"""The last `GIS` that was made, unless it was made with ``set_active=False``; `None` before the first one."""
