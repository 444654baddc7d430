"""Whether this machine has a Kerberos ticket: a look into the local cache, which asks no KDC and sends nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ...words.errors import missing_package
from .security_errors import missing

if TYPE_CHECKING:
    from ...words.clock import Clock
    from ...words.errors import MissingPackageError


class Ticket(NamedTuple):
    """A ticket that gets others (RFC 4120, a TGT): of which `principal`, and for how many `seconds` more (negative: over)."""

    principal: str
    seconds: float


def missing_for_kerberos() -> MissingPackageError | None:
    """What has to be installed before Kerberos can be used on this system; `None` for nothing."""
    absent = _missing_for("Kerberos")
    if absent is None and os.name != "nt" and not (_is_installed("gssapi") and _is_installed("krb5")):
        return missing_package("pyspnego[kerberos]", "Kerberos on this system", extra="kerberos")
    return absent


def missing_for_ntlm() -> MissingPackageError | None:
    """What has to be installed before NTLM can be used; `None` for nothing."""
    return _missing_for("NTLM")


def _missing_for(mechanism: str) -> MissingPackageError | None:
    """Found out by an import, since pyspnego has another name where it is embedded (see `vendor/`)."""
    try:
        import cryptography  # noqa: F401
        import spnego  # noqa: F401
    except ImportError as error:
        return missing(error, mechanism)
    return None


def local_ticket(clock: Clock) -> Ticket | None:
    """The ticket in the default cache (of several the one that lasts longest); `None` where there is none, or no telling."""
    try:
        import krb5

        cache = krb5.cc_default(krb5.init_context())
        found = [_ticket(creds, clock) for creds in cache if str(creds.server).startswith("krbtgt/")]
    except Exception:  # no library, no cache, one of a kind that is not built in, or damaged
        return None
    return max(found, key=lambda ticket: ticket.seconds, default=None)


def _ticket(creds: Any, clock: Clock) -> Ticket:
    return Ticket(str(creds.client), float(creds.times.endtime) - clock.time())


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
