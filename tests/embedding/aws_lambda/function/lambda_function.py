"""An AWS Lambda function that counts the places of a layer, signed in as an app, or by an API key.

Its session lives as long as its process: the first invocation signs in, and those after it have a token and a connection.
"""

from __future__ import annotations

import os
from typing import Any

from esri_http import EsriAPIKeyAuth, EsriOAuth2Auth, EsriSession

LAYER = os.environ["LAYER_URL"]
LEFT_FOR_LAMBDA = 0.5
"""Seconds of an invocation that are left to report what went wrong."""


def sign_in() -> Any:
    """The handler for what the function was given; nothing is sent before the first request."""
    if "API_KEY" in os.environ:
        return EsriAPIKeyAuth(os.environ["API_KEY"])
    return EsriOAuth2Auth(os.environ["PORTAL_URL"], os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])


session = EsriSession(auth=sign_in())
# Lambda gives a starting function more of a processor than it has later.
session.warm()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`event`: ``{"where": ...}``; how many places there are. What goes wrong is raised, and so reported by Lambda."""
    answer = session.get(
        f"{LAYER}/query",
        params={"where": event["where"], "returnCountOnly": True, "f": "json"},
        deadline=context.get_remaining_time_in_millis() / 1000 - LEFT_FOR_LAMBDA,
    )
    answer.raise_for_error()
    return {"count": answer.json()["count"]}
