"""Sign-in from a netrc file: only where the environment is trusted, and only for exactly the host that is asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .basic import EsriBasicAuth

if TYPE_CHECKING:
    from ..words.origins import Origin


def netrc_auth(origin: Origin) -> EsriBasicAuth | None:
    """Basic for `origin` from ``$NETRC``, ``~/.netrc`` or ``~/_netrc``; `None` where there is no whole entry for its host.

    A file that is missing, damaged or unreadable counts as none, and so does the ``default`` entry.
    """
    path = _netrc_path()
    if path is None:
        return None
    import netrc

    try:
        entry = netrc.netrc(path).hosts.get(origin.host)
    except (OSError, netrc.NetrcParseError, UnicodeError):
        return None
    if not entry or not entry[0] or not entry[2] or ":" in entry[0]:
        return None
    return EsriBasicAuth(None, entry[0], entry[2], url=str(origin))


def _netrc_path() -> str | None:
    named = os.environ.get("NETRC")
    candidates = [named] if named else [os.path.join(os.path.expanduser("~"), name) for name in (".netrc", "_netrc")]
    return next((path for path in candidates if os.path.isfile(path)), None)
