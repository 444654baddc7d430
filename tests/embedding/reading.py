"""A layer, read in parallel by ranges of object ids: what is sent to workers, which import it from here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from esri_http import EsriSession


class Plan(NamedTuple):
    """Which ranges of object ids (first and last, both within) make up a layer; `field` is the name of the ids."""

    field: str
    ranges: list[tuple[int, int]]
    count: int


class Part(NamedTuple):
    """The features of one range, the process that has read them, and the token that its session has now."""

    features: list[dict[str, Any]]
    process: int
    token: str


def plan(session: EsriSession, layer: str, size: int, where: str = "1=1") -> Plan:
    """Ranges of `size` features each; one request, since ids come without any limit (ArcGIS REST: returnIdsOnly)."""
    answer = session.get(f"{layer}/query", params={"where": where, "returnIdsOnly": True, "f": "json"})
    answer.raise_for_error()
    found = answer.json()
    ids: Sequence[int] = sorted(found["objectIds"] or ())  # an empty layer has null
    pages = [ids[at : at + size] for at in range(0, len(ids), size)]
    return Plan(found["objectIdFieldName"], [(page[0], page[-1]) for page in pages], len(ids))


def read_range(session: EsriSession, layer: str, field: str, first: int, last: int) -> list[dict[str, Any]]:
    """The features from `first` to `last`, by one request; by more where the server gives no more at a time."""
    features: list[dict[str, Any]] = []
    while first <= last:
        where = f"{field} BETWEEN {first} AND {last}"
        answer = session.get(
            f"{layer}/query", params={"where": where, "outFields": "*", "orderByFields": field, "f": "json"}
        )
        answer.raise_for_error()
        page = answer.json()
        features += page["features"]
        if not page.get("exceededTransferLimit"):
            break
        if not page["features"]:
            raise ValueError(f"{layer} says that there is more, and gives nothing of it.")
        first = features[-1]["attributes"][field] + 1
    return features


def read_part(ends: tuple[int, int], session: EsriSession, layer: str, field: str) -> Part:
    """One task: the features of one range, and who has read them."""
    return Part(read_range(session, layer, field, *ends), os.getpid(), session.auth.token)
