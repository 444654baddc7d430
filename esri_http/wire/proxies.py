"""Which proxy a request goes through: the caller's word first, then the environment's."""

from __future__ import annotations

import base64
import ipaddress
import os
import sys
from typing import NamedTuple
from urllib.parse import unquote

from ..words.errors import ConfigurationError, EsriHttpError
from ..words.origins import Origin
from ..words.redaction import redact_url
from ..words.urls import split_url

_SOCKS = ("socks5", "socks5h", "socks4", "socks4a")


class Proxy(NamedTuple):
    """A proxy's address and the sign-in to it. Part of the identity of a connection; shown without the sign-in."""

    url: str
    username: str | None = None
    password: str | None = None

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS rather than HTTP."""
        return self.url.startswith("socks")

    def headers(self) -> dict[str, str] | None:
        """What the proxy, and nobody else, gets to read (Basic, RFC 7617, UTF-8)."""
        if self.username is None:
            return None
        pair = f"{self.username}:{self.password or ''}".encode()
        return {"Proxy-Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}

    def __repr__(self) -> str:
        return f"<Proxy {self.url}>"

    def __str__(self) -> str:
        return self.url


def parse_proxy(address: str) -> Proxy:
    """A proxy from ``http://user:password@host:port``, ``socks5://host:port`` or a bare ``host:port``."""
    text = address.strip()
    if "://" not in text:
        text = "http://" + text
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    if scheme not in ("http", "https", *_SOCKS):
        raise ConfigurationError(f"{scheme}:// is no kind of proxy that can be used; take http, https or socks5.")
    try:
        split = split_url(("https://" if scheme == "https" else "http://") + rest)
    except EsriHttpError as error:
        raise ConfigurationError(f"The address of the proxy, {redact_url(text)}, cannot be used: {error}") from None
    url = f"{scheme}://{split.origin.authority}"
    if scheme in _SOCKS and ":" not in split.origin.authority.rpartition("]")[2]:
        url += ":1080"
    username, colon, password = split.userinfo.partition(":")
    if not split.userinfo:
        return Proxy(url)
    return Proxy(url, unquote(username), unquote(password) if colon else "")


def choose_proxy(origin: Origin, proxies: tuple[tuple[str, str | None], ...], trust_env: bool) -> Proxy | None:
    """The proxy for requests to `origin`, or `None` for a direct way.

    `proxies` beats the environment; in it ``https://one.host`` beats ``https`` beats ``all://one.host`` beats ``all``.
    """
    if proxies:
        explicit = dict(proxies)
        for key in (f"{origin.scheme}://{origin.authority}", f"{origin.scheme}://{origin.host}", origin.scheme,
                    f"all://{origin.host}", "all"):  # fmt: skip
            if key in explicit:
                address = explicit[key]
                return parse_proxy(address) if address else None
    return proxy_of_environment(origin) if trust_env else None


def proxy_of_environment(origin: Origin) -> Proxy | None:
    """What HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say; on Windows and macOS else the system's own settings."""
    names = [f"{origin.scheme}_proxy", "all_proxy"]
    if origin.scheme == "http" and "REQUEST_METHOD" in os.environ:
        # Under CGI, HTTP_PROXY is a header field of whoever asks (CVE-2016-1000110).
        names.remove("http_proxy")
    address = next(filter(None, (_variable(name) for name in names)), None)
    if address is not None:
        return None if bypasses(origin, _variable("no_proxy") or "") else parse_proxy(address)
    return _proxy_of_system(origin)


def _variable(name: str) -> str | None:
    return os.environ.get(name) or os.environ.get(name.upper()) or None


def _proxy_of_system(origin: Origin) -> Proxy | None:
    if sys.platform not in ("win32", "darwin"):
        return None
    from urllib.request import getproxies, proxy_bypass

    address = getproxies().get(origin.scheme)
    return parse_proxy(address) if address and not proxy_bypass(origin.host) else None


def bypasses(origin: Origin, no_proxy: str) -> bool:
    """Whether NO_PROXY names this origin: ``*``, a domain (matched on label borders), ``host:port``, an address, a CIDR."""
    for entry in no_proxy.replace(" ", ",").split(","):
        entry = entry.strip().lower()
        if entry and (entry == "*" or _entry_names(entry, origin)):
            return True
    return False


def _entry_names(entry: str, origin: Origin) -> bool:
    try:
        return ipaddress.ip_address(origin.host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit():
        if int(port) != origin.port:
            return False
        entry = host.strip("[]")
    domain = entry.lstrip("*").lstrip(".")
    return bool(domain) and (origin.host == domain or origin.host.endswith("." + domain))
