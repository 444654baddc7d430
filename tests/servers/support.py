"""What the tests of our handlers share: sessions that trust the bed, and what came in at Apache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from esri_http import EsriSession

from ..support.sessions import leased_lanes
from .bed import Bed
from .daemons import missing

OpenSession = Callable[..., EsriSession]


@contextmanager
def sessions(bed: Bed) -> Iterator[OpenSession]:
    """`open_session(auth, **options)`: a session that trusts the bed and tries once; closed, and its lanes counted, after."""
    opened: list[EsriSession] = []

    def make(auth: Any = None, **options: Any) -> EsriSession:
        opened.append(EsriSession(auth, **{"ca_bundles": bed.ca.file, "retries": 0, **options}))
        return opened[-1]

    yield make
    for session in opened:
        assert leased_lanes(session) == 0
        session.close()


def need_kerberos() -> None:
    """Skip the test where the extra `kerberos` is not installed."""
    reason = missing(modules=("gssapi", "krb5"))
    if reason:
        pytest.skip(reason)
