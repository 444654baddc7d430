"""An ArcGIS portal to test against: on loopback, in this process, with every request on record and faults on order.

::

    from esri_http.testing import EmbeddedPortal, faults

    with EmbeddedPortal() as portal:
        portal.faults.add("/query", faults.status(503, retry_after="1"))
        ...
        assert portal.count("/query") == 2

With pytest, use the fixture of `esri_http.testing.fixture`; by hand, `python -m esri_http portal`. Needs `cryptography`.
"""

from __future__ import annotations

from . import faults
from .accounts import User, default_users
from .messages import Answer, Connection, Fields, Request, pattern, pattern_sha256
from .oauth.proofs import s256, totp
from .oauth.settings import OUT_OF_BAND, App
from .places import Place, all_places
from .portal import EmbeddedPortal
from .recording import RecordedRequest

__all__ = [
    "EmbeddedPortal",
    "User",
    "default_users",
    "App",
    "OUT_OF_BAND",
    "s256",
    "totp",
    "faults",
    "RecordedRequest",
    "Request",
    "Answer",
    "Fields",
    "Connection",
    "Place",
    "all_places",
    "pattern",
    "pattern_sha256",
]
