"""`GIS(...)`: a site, whoever is signed in there, and how that was decided."""

from .gis import GIS

__all__ = ["GIS"]
