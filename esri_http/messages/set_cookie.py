"""One `Set-Cookie` line read as RFC 6265 section 5 says, in linear time, and what became of it: a `Cookie`."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from ..words.origins import Origin
from .registry_suffixes import is_registry_suffix

LONGEST_COOKIE = 4096  # name and value together, in characters (RFC 6265bis section 5.6)
LONGEST_ATTRIBUTE = 1024
_LONGEST_LIFE = 100 * 366 * 86_400  # seconds; more is the same and could not be added to a time

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_WHITE = " \t"
_MAX_AGE = re.compile(r"-?[0-9]+\Z")
_DATE_TOKEN = re.compile(r"[^\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}


class Cookie:
    """One cookie: `name`, `value`, `domain`, `path`, `secure`, `expires` and `host_only`. Not changed once it is made.

    `domain` is lower case without a leading dot; empty for a cookie that the caller set for whatever he asks.
    `expires` is in seconds since the epoch; `None` lasts as long as the jar does. `host_only` keeps it from subdomains.
    """

    __slots__ = ("_order", "_version", "domain", "expires", "host_only", "name", "path", "secure", "value")

    def __init__(
        self,
        name: str,
        value: str,
        *,
        domain: str = "",
        path: str = "/",
        secure: bool = False,
        expires: float | None = None,
        host_only: bool = True,
    ) -> None:
        self.name = name
        self.value = value
        self.domain = domain
        self.path = path
        self.secure = secure
        self.expires = expires
        self.host_only = host_only
        self._order = 0  # set by the jar: the place in the row of creation, kept when the cookie is replaced
        self._version = 0  # set by the jar: the place in the row of changes

    def is_expired(self, now: float) -> bool:
        """Whether its time is over at `now` (seconds since the epoch)."""
        return self.expires is not None and self.expires <= now

    def __repr__(self) -> str:
        return f"<Cookie {self.name!r} for {self.domain or 'any host'}{self.path}>"


def cookie_from_line(line: str, origin: Origin, request_path: str, now: float) -> Cookie | None:
    """The cookie that `line` (a `Set-Cookie` value) sets when it comes from `origin`; `None` when it may not, or is none.

    A cookie whose time is over already is a cookie too: storing it deletes the one before. Never raises.
    """
    if _CONTROLS.search(line):
        return None
    pair, *rest = line.split(";")
    name, equals, value = pair.partition("=")
    name, value = name.strip(_WHITE), value.strip(_WHITE)
    if not equals or not name or len(name) + len(value) > LONGEST_COOKIE:
        return None
    attributes = _attributes(rest)
    domain = _cookie_domain(attributes.get("domain", ""), origin.host)
    if domain is None:
        return None
    path = attributes.get("path", "")
    cookie = Cookie(
        name,
        value,
        domain=domain or origin.host,
        path=path if path.startswith("/") else default_path(request_path),
        secure="secure" in attributes,
        expires=_expiry(attributes, now),
        host_only=not domain,
    )
    return cookie if _keeps_its_promises(cookie, origin, attributes) else None


def _attributes(parts: list[str]) -> dict[str, str]:
    """Attribute names in lower case with the last value of each; over-long ones are as good as absent."""
    found: dict[str, str] = {}
    for part in parts:
        name, _, value = part.partition("=")
        value = value.strip(_WHITE)
        if len(value) <= LONGEST_ATTRIBUTE and len(name) <= LONGEST_ATTRIBUTE:
            name = name.strip(_WHITE).lower()
            if name == "max-age" and not _MAX_AGE.match(value):
                continue
            if name == "expires" and parse_cookie_date(value) is None:
                continue
            found[name] = value
    return found


def _cookie_domain(attribute: str, host: str) -> str | None:
    """The domain that a cookie from `host` is for; empty for the host alone, `None` when the host may not set it."""
    domain = attribute.lower()
    if domain.startswith("."):
        domain = domain[1:]
    if not domain or domain == host:
        # The host itself: with its subdomains, unless it is an address or a registry.
        return "" if not domain or has_no_subdomains(host) else domain
    if not host.endswith("." + domain) or is_address(host) or is_registry_suffix(domain.rstrip(".")):
        return None
    return None if domain.endswith(".") else domain


def has_no_subdomains(host: str) -> bool:
    """Whether a cookie for `host` can only be for that host: an IP address, or a name that strangers share."""
    return is_address(host) or is_registry_suffix(host.rstrip("."))


def is_address(host: str) -> bool:
    """Whether `host` is an IP address in any spelling (`127.0.0.1`, `127.1`, `0x7f.1`, IPv6)."""
    last = host.rstrip(".").rpartition(".")[2]
    return ":" in host or (last.isascii() and last.isdigit()) or last.startswith("0x")


def _expiry(attributes: dict[str, str], now: float) -> float | None:
    if "max-age" in attributes:
        seconds = min(int(attributes["max-age"]), _LONGEST_LIFE)
        return now + seconds if seconds > 0 else 0.0
    return parse_cookie_date(attributes["expires"]) if "expires" in attributes else None


def _keeps_its_promises(cookie: Cookie, origin: Origin, attributes: dict[str, str]) -> bool:
    """Secure cookies come over https only, and the name prefixes mean what they say (RFC 6265bis sections 4.1.3, 5.7)."""
    if cookie.secure and origin.scheme != "https":
        return False
    prefix = cookie.name[:9].lower()
    if prefix.startswith("__host-"):
        return cookie.secure and not attributes.get("domain") and attributes.get("path") == "/"
    return cookie.secure or prefix != "__secure-"


def default_path(request_path: str) -> str:
    """The path of a cookie that names none: the folder of the request (RFC 6265 section 5.1.4)."""
    cut = request_path.rfind("/")
    return request_path[:cut] if cut > 0 and request_path.startswith("/") else "/"


def path_matches(request_path: str, cookie_path: str) -> bool:
    """RFC 6265 section 5.1.4: equal, or below it by whole segments."""
    if not request_path.startswith(cookie_path):
        return False
    return len(request_path) == len(cookie_path) or cookie_path.endswith("/") or request_path[len(cookie_path)] == "/"


def parse_cookie_date(text: str) -> float | None:
    """A date in nearly any spelling, as seconds since the epoch (UTC); `None` when it is none (RFC 6265 section 5.1.1)."""
    time = day = month = year = None
    for token in _DATE_TOKEN.findall(text):
        if time is None and (match := _TIME.match(token)):
            time = match.groups()
        elif day is None and (match := _DAY.match(token)):
            day = int(match.group(1))
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS[token[:3].lower()]
        elif year is None and (match := _YEAR.match(token)):
            year = int(match.group(1))
    if time is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    hour, minute, second = map(int, time)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
    return moment.timestamp() if year >= 1601 else None
