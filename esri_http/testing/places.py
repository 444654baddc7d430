"""The data of the embedded layers: capitals and large cities of the world, from `places.csv`.

Coordinates are rounded to hundredths of a degree and populations (of the city, not of its region) to about two digits: good
for tests and demonstrations, not for decisions.
"""

from __future__ import annotations

import csv
import functools
import pkgutil
from typing import NamedTuple


class Place(NamedTuple):
    """One place. Longitude and latitude in degrees (WGS 84), east and north positive."""

    name: str
    country: str
    latitude: float
    longitude: float
    population: int


@functools.lru_cache(maxsize=1)
def all_places() -> tuple[Place, ...]:
    """All of them, in the order of the file."""
    data = pkgutil.get_data(__package__, "places.csv")  # also out of a zip file
    if data is None:
        raise FileNotFoundError("The data of the embedded layers, places.csv, was not installed with them.")
    rows = list(csv.reader(data.decode("utf-8").splitlines()))[1:]
    return tuple(Place(row[0], row[1], float(row[2]), float(row[3]), int(row[4])) for row in rows)
