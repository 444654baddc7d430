"""The servers as fixtures, each started when the first test wants it, and what tests need to talk to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .apache import Apache
from .bed import Bed, Server
from .catalogue import SERVERS
from .kdc import Kdc
from .people import NAMES
from .support import OpenSession, at_loopback, need_kerberos, sessions, without_ticket

MISSING = "needs servers that come from Debian: make servers"


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """The servers of this run."""
    if not Path("/proc/self/stat").exists():
        pytest.skip(MISSING)
    with Bed() as running:
        yield running


def _fixture_of(kind: type[Server]) -> Any:
    @pytest.fixture(scope="session", name=kind.name.replace("-", "_"))
    def start(request: pytest.FixtureRequest) -> Server:
        reason = kind.missing()
        if reason:
            # Plain `make test` has one line for all of them.
            pytest.skip(reason if os.environ.get("REAL_SERVERS") == "required" else MISSING)
        bed: Bed = request.getfixturevalue("bed")
        return bed.start(kind)

    start.__doc__ = kind.__doc__
    return start


# `apache`, `late_apache`, `kdc`, `slapd`, `epa`, `intercept`, `lighttpd`, `nginx`, `squid`, `socks` and so on.
globals().update({f"_{name}": _fixture_of(kind) for name, kind in SERVERS.items()})


@pytest.fixture
def kerberos() -> None:
    """The test signs in by Kerberos from this process."""
    need_kerberos()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, the names of the bed are those of 127.0.0.1; nothing on the machine is changed for it."""
    at_loopback(monkeypatch, *NAMES)


@pytest.fixture
def no_ticket(kdc: Kdc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process asks our KDC, and has no ticket of anybody; the file in which it looks for one."""
    assert "NTLM_USER_FILE" not in os.environ
    return without_ticket(monkeypatch, kdc.env, tmp_path)


@pytest.fixture
def ticket(kdc: Kdc, no_ticket: Path) -> Callable[..., dict[str, str]]:
    """`ticket(user="amy", password="")`: this process has a ticket of that user from then on; returns its environment."""

    def get(*user_and_password: str) -> dict[str, str]:
        return kdc.kinit(no_ticket, *user_and_password)

    return get


@pytest.fixture
def open_session(bed: Bed) -> Iterator[OpenSession]:
    """`open_session(auth, **options)`: a session that trusts the bed and tries once; closed after the test."""
    with sessions(bed) as make:
        yield make


@pytest.fixture
def count(apache: Apache) -> Callable[[], list[int]]:
    """`count()`: the statuses of what came in at Apache since it was last asked."""
    apache.forget()
    return lambda: [exchange.status for exchange in apache.exchanges()]
