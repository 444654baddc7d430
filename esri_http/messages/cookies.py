"""A cookie jar that is RFC 6265, with the hardening of its successor (6265bis): small, bounded and safe to share.

The standard library's `http.cookiejar` is not used: it sends host-only cookies to subdomains, lets plain http overwrite
Secure cookies, accepts cookies for `co.uk`, echoes control characters and sends hundreds of kilobytes back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ..words.clock import SYSTEM_CLOCK, Clock
from ..words.origins import Origin
from .cookie_input import CookieInput, check_scope, checked_pair, cookie_items
from .set_cookie import Cookie, cookie_from_line, has_no_subdomains, is_address, path_matches

__all__ = ["Cookie", "CookieInput", "CookieJar", "jar_from", "response_cookies"]

MOST_PER_DOMAIN = 180
MOST_IN_ALL = 3000
MOST_PER_REQUEST = 150
LONGEST_HEADER = 8190


class CookieJar:
    """The cookies of one session. Any number of threads may share it; it pickles, and its repr shows no values.

    For its user it works as a mapping from names to values, as the jar of requests does: where several cookies have one
    name, the last that was set is meant. Iterating gives the `Cookie` objects.

    A cookie set without a domain goes to every server that the caller names himself, and to none that a redirect names.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._domains: dict[str, dict[tuple[str, str], Cookie]] = {}
        self._count = 0
        self._serial = 0

    # What the pipeline calls

    def store(self, origin: Origin, path: str, set_cookie: Iterable[str]) -> None:
        """Take in the `Set-Cookie` values of one answer from `origin` to a request for `path` (without query).

        A value that is damaged, too long, or not this server's to set is left out; the others count. Never raises.
        """
        now = self._clock.time()
        for line in set_cookie:
            cookie = cookie_from_line(line, origin, path, now)
            if cookie is not None:
                with self._lock:
                    if origin.scheme == "https" or not self._hides_a_secure_one(cookie, now):
                        self._put(cookie, now)

    def header_for(self, origin: Origin, path: str, *, own: bool = True, extra: CookieJar | None = None) -> str:
        """The value of the `Cookie` header for a request to `origin`; empty when there is none.

        `own` says whether the caller named this origin himself; only then cookies without a domain are sent. `extra` holds
        the cookies of this one call: they replace those of the same name. Longer paths come first, then older cookies;
        what exceeds 150 cookies or 8,190 characters stays behind.
        """
        if not self._domains and not extra:
            return ""
        chosen = self._matching(origin, path, own)
        if extra:
            special = extra._matching(origin, path, own)
            names = {cookie.name for cookie in special}
            chosen = special + [cookie for cookie in chosen if cookie.name not in names]
        parts: list[str] = []
        room = LONGEST_HEADER
        for cookie in chosen:
            part = f"{cookie.name}={cookie.value}"
            needed = len(part) + (2 if parts else 0)
            if needed <= room and len(parts) < MOST_PER_REQUEST:
                parts.append(part)
                room -= needed
        return "; ".join(parts)

    def _matching(self, origin: Origin, path: str, own: bool) -> list[Cookie]:
        """The live cookies that may go to `origin`, in the order of RFC 6265 section 5.4."""
        host, secure, now = origin.host, origin.scheme == "https", self._clock.time()
        found: list[Cookie] = []
        with self._lock:
            for domain in _domains_of(host):
                for cookie in self._domains.get(domain, {}).values():
                    if (cookie.host_only and domain != host) or (cookie.secure and not secure):
                        continue
                    if path_matches(path, cookie.path) and not cookie.is_expired(now):
                        found.append(cookie)
            if own and "" in self._domains:
                everywhere = [
                    cookie
                    for cookie in self._domains[""].values()
                    if path_matches(path, cookie.path) and not cookie.is_expired(now) and (secure or not cookie.secure)
                ]
                found = _newest_of_each_name(found, everywhere)
        found.sort(key=lambda cookie: (-len(cookie.path), cookie._order))
        return found

    def _hides_a_secure_one(self, new: Cookie, now: float) -> bool:
        """Whether `new`, which came over plain http, would replace or shadow a Secure cookie (6265bis section 5.7)."""
        for domain, cookies in self._domains.items():
            if domain and (domain == new.domain or domain.endswith("." + new.domain) or new.domain.endswith("." + domain)):
                for old in cookies.values():
                    if old.secure and old.name == new.name and path_matches(new.path, old.path) and not old.is_expired(now):
                        return True
        return False

    def _put(self, cookie: Cookie, now: float) -> None:
        """File `cookie`, or delete the one that it replaces when its time is over; then keep the limits."""
        key = (cookie.path, cookie.name)
        old = self._domains.get(cookie.domain, {}).get(key)
        if cookie.is_expired(now):
            if old is not None:
                self._remove(old)
            return
        self._serial += 1
        cookie._version = self._serial
        cookie._order = self._serial if old is None or old.is_expired(now) else old._order
        bucket = self._domains.setdefault(cookie.domain, {})
        bucket[key] = cookie
        self._count += old is None
        if len(bucket) > MOST_PER_DOMAIN:
            self._make_room(list(bucket.values()), len(bucket) - MOST_PER_DOMAIN, now)
        if self._count > MOST_IN_ALL:
            self._make_room(self._all(), self._count - MOST_IN_ALL, now)

    def _make_room(self, candidates: list[Cookie], surplus: int, now: float) -> None:
        """Expired cookies go first, then those that came without Secure, then the oldest."""
        candidates.sort(key=lambda cookie: (not cookie.is_expired(now), cookie.secure, cookie._order))
        for cookie in candidates[:surplus]:
            self._remove(cookie)

    def _remove(self, cookie: Cookie) -> None:
        bucket = self._domains.get(cookie.domain, {})
        if bucket.pop((cookie.path, cookie.name), None) is not None:
            self._count -= 1
            if not bucket:
                del self._domains[cookie.domain]

    def _all(self) -> list[Cookie]:
        return [cookie for bucket in self._domains.values() for cookie in bucket.values()]

    def _select(self, name: str | None = None, domain: str | None = None, path: str | None = None) -> list[Cookie]:
        """The live cookies with these properties, in the order in which they were first set; `None` means any."""
        now = self._clock.time()
        wanted = None if domain is None else _plain_domain(domain)
        with self._lock:
            found = [
                cookie
                for cookie in self._all()
                if (name is None or cookie.name == name)
                and (wanted is None or cookie.domain == wanted)
                and (path is None or cookie.path == path)
                and not cookie.is_expired(now)
            ]
        found.sort(key=lambda cookie: cookie._order)
        return found

    # What users call

    def set(
        self,
        name: str,
        value: str | None,
        *,
        domain: str | None = None,
        path: str = "/",
        secure: bool = False,
        expires: float | None = None,
    ) -> None:
        """Set a cookie; a `value` of `None` deletes it.

        With a `domain` it goes to that host and the hosts below it; without one to every server that the caller asks.
        `expires` is in seconds since the epoch. Raises `InvalidHeaderError` for what cannot stand in a `Cookie` header.
        """
        if value is None:
            self.clear(domain, path if domain else None, name)
            return
        name, value = checked_pair(name, value)
        check_scope(name, domain, path, expires)
        plain = _plain_domain(domain or "")
        host_only = not plain or has_no_subdomains(plain)
        self._add(Cookie(name, value, domain=plain, path=path or "/", secure=secure, expires=expires, host_only=host_only))

    def set_cookie(self, cookie: Any) -> None:
        """Take in a copy of one cookie object: ours, or one of the standard library's."""
        name, value = checked_pair(cookie.name, "" if cookie.value is None else cookie.value)
        check_scope(name, cookie.domain, cookie.path, cookie.expires)
        domain = _plain_domain(cookie.domain or "")
        host_only = getattr(cookie, "host_only", not getattr(cookie, "domain_specified", True)) or not domain
        self._add(
            Cookie(
                name,
                value,
                domain=domain,
                path=cookie.path or "/",
                secure=bool(cookie.secure),
                expires=cookie.expires,
                host_only=host_only or has_no_subdomains(domain),
            )
        )

    def _add(self, cookie: Cookie) -> None:
        with self._lock:
            self._put(cookie, self._clock.time())

    def update(self, source: CookieInput = None, **more: str) -> None:
        """Take in a mapping of names to values, pairs of them, `Cookie` objects, or another jar.

        Raises `InvalidHeaderError` for anything else, and for what cannot stand in a `Cookie` header.
        """
        for item in cookie_items(source):
            if isinstance(item, tuple):
                self.set(item[0], item[1])
            else:
                self.set_cookie(item)
        for name, value in more.items():
            self.set(name, value)

    def get(self, name: str, default: Any = None, domain: str | None = None, path: str | None = None) -> Any:
        """The value of the cookie `name`, of the given domain and path alone when they are given; else `default`."""
        found = self._select(name, domain, path)
        return max(found, key=lambda cookie: cookie._version).value if found else default

    def get_dict(self, domain: str | None = None, path: str | None = None) -> dict[str, str]:
        """Names and values as a plain dict, of one domain and path where they are given."""
        found = self._select(None, domain, path)
        return {cookie.name: cookie.value for cookie in sorted(found, key=lambda cookie: cookie._version)}

    def keys(self) -> list[str]:
        """The names, oldest first."""
        return [cookie.name for cookie in self]

    def values(self) -> list[str]:
        """The values, oldest first."""
        return [cookie.value for cookie in self]

    def items(self) -> list[tuple[str, str]]:
        """Names and values, oldest first."""
        return [(cookie.name, cookie.value) for cookie in self]

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        """Forget all cookies, or those with the given properties; it is no error when there is none."""
        with self._lock:
            if domain is path is name is None:
                self._domains = {}
                self._count = 0
            for cookie in self._select(name, domain, path):
                self._remove(cookie)

    def delete(self, name: str, domain: str | None = None, path: str | None = None) -> None:
        """Forget the cookie `name`; raises `KeyError` when there is none."""
        with self._lock:
            if not self._select(name, domain, path):
                raise KeyError(name)
            self.clear(domain, path, name)

    def copy(self) -> CookieJar:
        """An independent jar with the same cookies and the same clock."""
        twin = type(self)(self._clock)
        twin.__setstate__(self.__getstate__())
        return twin

    def __getitem__(self, name: str) -> str:
        found: str | None = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __setitem__(self, name: str, value: str | None) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._select(name))

    def __iter__(self) -> Iterator[Cookie]:
        return iter(self._select())

    def __len__(self) -> int:
        return len(self._select())

    def __bool__(self) -> bool:
        return bool(self._domains)

    def __repr__(self) -> str:
        return f"<CookieJar with {len(self)} cookies>"

    def after_fork(self) -> None:
        """In a forked child: do not wait for a thread of the parent."""
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            domains = {domain: dict(bucket) for domain, bucket in self._domains.items()}
            return {"_clock": self._clock, "_domains": domains, "_count": self._count, "_serial": self._serial}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()


def response_cookies(origin: Origin, path: str, set_cookie: Iterable[str], clock: Clock = SYSTEM_CLOCK) -> CookieJar:
    """A jar with the cookies that one answer set, by the rules of `CookieJar.store`."""
    jar = CookieJar(clock)
    jar.store(origin, path, set_cookie)
    return jar


def jar_from(source: CookieInput, clock: Clock = SYSTEM_CLOCK) -> CookieJar:
    """What a caller passes as `cookies=` (a mapping, pairs, a jar), as a jar; for the `extra` of `CookieJar.header_for`.

    Raises `InvalidHeaderError` for what cannot stand in a `Cookie` header.
    """
    if isinstance(source, CookieJar):
        return source
    jar = CookieJar(clock)
    jar.update(source)
    return jar


def _domains_of(host: str) -> Iterator[str]:
    """`host` and, unless it is an address, the domains above it."""
    yield host
    if not is_address(host):
        while "." in host:
            host = host.partition(".")[2]
            if host:
                yield host


def _plain_domain(domain: str) -> str:
    return domain.lower().strip(".")


def _newest_of_each_name(filed: list[Cookie], everywhere: list[Cookie]) -> list[Cookie]:
    """Both lists without the cookies for any host that a newer one of the host replaces, and the other way round."""
    newest: dict[str, int] = {}
    for cookie in filed:
        newest[cookie.name] = max(cookie._version, newest.get(cookie.name, 0))
    kept = [cookie for cookie in everywhere if cookie._version > newest.get(cookie.name, 0)]
    names = {cookie.name for cookie in kept}
    return [cookie for cookie in filed if cookie.name not in names] + kept
