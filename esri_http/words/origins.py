"""Origin and target: the two halves of a URL, and what a secret is bound to."""

from __future__ import annotations

from typing import NamedTuple

DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port (RFC 6454): the unit that secrets are bound to. The host is lower case."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        place = f"{self.scheme}://{self.host_in_url}"
        return place if self.port == DEFAULT_PORTS[self.scheme] else f"{place}:{self.port}"

    @property
    def host_in_url(self) -> str:
        """The host as it stands in a URL: IPv6 addresses in brackets, their zone behind %25 (RFC 6874)."""
        return f"[{self.host.replace('%', '%25')}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's own, port: the value of a `Host` header."""
        return str(self)[len(self.scheme) + 3 :]


class SplitUrl(NamedTuple):
    """A URL taken apart: where to, what for, and what stays on this side (fragment, user info)."""

    origin: Origin
    target: str
    fragment: str = ""
    userinfo: str = ""

    @property
    def path(self) -> str:
        """The path, percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind the question mark, or an empty text."""
        return self.target.partition("?")[2]

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"
