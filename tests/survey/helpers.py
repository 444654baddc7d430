"""What the tests of surveys share."""

from __future__ import annotations

import json
from typing import Any

from esri_http.survey.survey import Survey, survey

SECRET_HEADERS = ("authorization", "proxy-authorization", "x-esri-authorization", "cookie", "referer")


def surveyed(url: str, portal: Any = None, **options: Any) -> Survey:
    """A survey that trusts the CA of `portal` and has its clock; its JSON is whole, and the portal has seen no credential."""
    if portal is not None:
        options = {"ca_bundles": portal.ca_file or None, "clock": portal.clock, **options}
    found = survey(url, **options)
    json.dumps(found.as_dict(), allow_nan=False)
    for request in [] if portal is None else portal.requests:
        check_anonymous(request)
        assert request.method == "GET"
    return found


def check_anonymous(request: Any) -> None:
    """`request` says nothing of who asks."""
    assert not {name.lower() for name, _ in request.headers.pairs} & set(SECRET_HEADERS)
    assert not request.query.keys() & {"token", "username", "password"}


def way(found: Survey, name: str) -> Any:
    """The way of that name."""
    return {one.name: one for one in found.ways}[name]


def names(found: Survey) -> list[str]:
    """The names of the ways."""
    return [one.name for one in found.ways]
