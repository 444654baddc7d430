"""Which proxy a request goes through: the caller's word first, then the environment's."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from typing import NamedTuple
from urllib.parse import unquote

from ..words.errors import ConfigurationError, EsriHttpError
from ..words.origins import Origin
from ..words.redaction import redact_url
from ..words.settings import BYPASS_KEYS
from ..words.urls import split_url

_SOCKS = ("socks5", "socks5h", "socks4", "socks4a")


class Proxy(NamedTuple):
    """A proxy's address and the sign-in to it. Part of the identity of a connection; shown without the sign-in."""

    url: str
    host: str
    username: str | None = None
    password: str | None = None

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS rather than HTTP."""
        return self.url.startswith("socks")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection to the proxy itself is TLS."""
        return self.url.startswith("https:")

    def __repr__(self) -> str:
        return f"<Proxy {self.url}>"

    def __str__(self) -> str:
        return self.url


def parse_proxy(address: str) -> Proxy:
    """A proxy from ``http://user:password@host:port``, ``socks5://host:port`` or a bare ``host:port``.

    User name and password may be percent-encoded; the last ``@`` ends them.
    """
    address = address.strip()
    marked = re.match(r"([A-Za-z0-9+.-]+)://", address)
    scheme, rest = (marked[1].lower(), address[marked.end() :]) if marked else ("http", address)
    if scheme not in ("http", "https", *_SOCKS):
        raise ConfigurationError(f"{scheme!r:.20} is no kind of proxy that can be used; take http, https or socks5.")
    userinfo, _, place = rest.rstrip("/").rpartition("@")
    if scheme in _SOCKS and not re.search(r":[0-9]+\Z", place):
        place += ":1080"
    try:
        origin = split_url(f"{'https' if scheme == 'https' else 'http'}://{place}").origin
    except EsriHttpError as error:
        raise ConfigurationError(f"The address of the proxy, {redact_url(place)}, cannot be used: {error}") from None
    url = f"{scheme}://{origin.host_in_url}:{origin.port}"
    if not userinfo:
        return Proxy(url, origin.host)
    try:
        username, _, password = (unquote(part, errors="strict") for part in userinfo.partition(":"))
    except UnicodeDecodeError:
        pass  # raised out here, without what it holds
    else:
        return Proxy(url, origin.host, username, password)
    raise ConfigurationError(f"The user name or password for the proxy {url} is not percent-encoded UTF-8.")


def choose_proxy(origin: Origin, proxies: tuple[tuple[str, str | None], ...], trust_env: bool) -> Proxy | None:
    """The proxy for requests to `origin`, or `None` for a direct way.

    `proxies` beats the environment; in it ``https://one.host`` beats ``https`` beats ``all://one.host`` beats ``all``,
    and ``no_proxy`` lists, as in the environment, what is reached directly.
    """
    explicit = dict(proxies)
    if any(bypasses(origin, explicit.get(key) or "") for key in BYPASS_KEYS):
        return None
    host = origin.host_in_url
    for key in (f"{origin.scheme}://{host}:{origin.port}", f"{origin.scheme}://{host}", origin.scheme, f"all://{host}", "all"):
        if key in explicit:
            address = explicit[key]
            return parse_proxy(address) if address else None
    return proxy_of_environment(origin) if trust_env else None


def proxy_of_environment(origin: Origin) -> Proxy | None:
    """What HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say; on Windows and macOS else the system's own settings."""
    address = _variable(f"{origin.scheme}_proxy") or _variable("all_proxy")
    if address is not None:
        return None if bypasses(origin, _variable("no_proxy") or "") else parse_proxy(address)
    return _proxy_of_system(origin)


def _variable(name: str) -> str | None:
    if name == "http_proxy" and "REQUEST_METHOD" in os.environ:
        # Under CGI, HTTP_PROXY is a header field of whoever asks (CVE-2016-1000110); only POSIX can tell the two apart.
        return _stripped(name) if os.name == "posix" else None
    return _stripped(name) or _stripped(name.upper())


def _stripped(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _proxy_of_system(origin: Origin) -> Proxy | None:
    if sys.platform not in ("win32", "darwin"):
        return None
    from urllib.request import getproxies, proxy_bypass

    address = getproxies().get(origin.scheme)
    return parse_proxy(address) if address and not proxy_bypass(origin.host) else None


def bypasses(origin: Origin, no_proxy: str) -> bool:
    """Whether NO_PROXY names this origin: ``*``, a domain (matched on label borders), ``host:port``, an address, a CIDR."""
    for entry in no_proxy.replace(" ", ",").split(","):
        entry = entry.strip().lower().rstrip(".")
        if entry and (entry == "*" or _entry_names(entry, origin)):
            return True
    return False


def _entry_names(entry: str, origin: Origin) -> bool:
    host = origin.host.rstrip(".")
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass
    place, colon, port = entry.rpartition(":")
    if colon and port.isdigit():
        if port != str(origin.port):
            return False
        entry = place.strip("[]")
    domain = entry.lstrip("*").lstrip(".")
    # An address has no subdomains.
    return host == domain or (address is None and bool(domain) and host.endswith("." + domain))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
