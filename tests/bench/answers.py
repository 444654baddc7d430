"""What the server says, written once for both servers."""

from __future__ import annotations

import json
import time

from tests.bench.setup import INFO_PATH, ONCE_PATH, QUERY_PATH, SIGN_IN_PATH, TOKEN, UPLOAD_PATH

HEADS = {
    "Cache-Control": "max-age=0,must-revalidate",
    "ETag": "5c1f2a9e",
    "Vary": "X-Esri-Authorization",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "X-XSS-Protection": "1; mode=block",
}
"""The heads, beside the server's own five, that an ArcGIS answer typically has."""

SHOWN_TOKEN = "Bearer " + TOKEN
"""The value of ``X-Esri-Authorization`` without which the layer says 403."""

LIFETIME_MS = 24 * 3600 * 1000


def query_answer() -> str:
    """A small page of features, about 700 bytes."""
    fields = [{"name": "OBJECTID", "type": "esriFieldTypeOID"}, {"name": "NAME", "type": "esriFieldTypeString", "length": 60}]
    features = [
        {"attributes": {"OBJECTID": number, "NAME": f"Road {number}"}, "geometry": {"x": 8.5 + number, "y": 47.25}}
        for number in range(1, 6)
    ]
    answer = {"objectIdFieldName": "OBJECTID", "spatialReference": {"wkid": 4326}, "fields": fields, "features": features}
    return json.dumps(answer, separators=(",", ":"))


def plain_answers() -> dict[str, str]:
    """Path to body for all that answer the same to everybody who shows the token, or signs in."""
    expires = int(time.time() * 1000) + LIFETIME_MS
    info = {"currentVersion": 11.3, "authInfo": {"isTokenBasedSecurity": True, "shortLivedTokenValidity": 60}}
    return {
        QUERY_PATH: query_answer(),
        ONCE_PATH: query_answer(),
        SIGN_IN_PATH: json.dumps({"token": TOKEN, "expires": expires, "ssl": True}),
        INFO_PATH: json.dumps(info),
        UPLOAD_PATH: json.dumps({"addAttachmentResult": {"objectId": 1, "success": True}}),
    }


OPEN_PATHS = frozenset((SIGN_IN_PATH, INFO_PATH))
"""The paths that ask for no token."""
