"""What the tests of our handlers share: sessions that trust the bed, and what came in at Apache."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
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


def at_loopback(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """In this process, these names are those of 127.0.0.1; nothing on the machine is changed for it."""
    known, real = {*names, *(name.encode() for name in names)}, socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host in known else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def without_ticket(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], folder: Path) -> Path:
    """This process asks the KDC that `env` names, and has no ticket of anybody; the file in which it looks for one."""
    cache = folder / "tickets"
    for name, value in {**env, "KRB5CCNAME": f"FILE:{cache}"}.items():
        monkeypatch.setenv(name, value)
    return cache


def need_kerberos() -> None:
    """Skip the test where the extra `kerberos` is not installed."""
    reason = missing(modules=("gssapi", "krb5"))
    if reason:
        pytest.skip(reason)
