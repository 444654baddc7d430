"""Signing in to proxies: `ProxyAuth`, and what makes of any handler a signer for one proxy (see `wire.proxy_sign_in`).

A signer belongs to one address of a proxy and one session: nothing that it learns, and no credentials, go to another proxy.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ...messages.request import Request
from ...words.bounded import remember
from ...words.errors import ConfigurationError, ProxyError
from ...words.urls import origin_of
from ..challenges import Challenge, parse_challenges, shown_schemes
from ..web_tier.basic import EsriBasicAuth, basic_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...messages.body import Body
    from ...words.origins import Origin
    from ..web_tier.digest_challenges import DigestSpace

    Credentials = Callable[[], tuple[str, str]]

BASIC, DIGEST = "basic", "digest"
_MOST_UNDER_WAY = 200
# A proxy that has let so many servers' requests pass will not ask for a sign-in at the next.
_MANY_ORIGINS = 16
_AS_TEXT = "proxy_auth= takes (user name, password) as text, or a handler."
_WAYS = "in its address, http://user:password@host:port, or by proxy_auth="


class ProxyAuth:
    """User name and password for proxies, by Digest where a proxy offers it, else by Basic; sent when the proxy asks.

    For `EsriSession(proxy_auth=...)`. Safe to share between threads and sessions; setting `password` holds from the next
    connection on. Raises `ConfigurationError` for what cannot be sent.
    """

    schemes: tuple[str, ...] = (DIGEST, BASIC)

    def __init__(self, username: str, password: str) -> None:
        if not isinstance(username, str) or not username:
            raise ConfigurationError(_AS_TEXT)
        self.username = username
        self.password = password

    @property
    def password(self) -> Any:
        """Write-only; reads as `None`."""
        return None

    @password.setter
    def password(self, password: str) -> None:
        if not isinstance(password, str):
            raise ConfigurationError(_AS_TEXT)
        self._password = password

    def credentials(self) -> tuple[str, str]:
        """User name and password, as they are now."""
        return self.username, self._password

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.credentials() == other.credentials()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self.username)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.username!r}, ***)"


def read_proxy_auth(auth: Any) -> Any:
    """What users pass as `proxy_auth=`: a handler that can sign in to a proxy, or a pair (user name, password)."""
    if isinstance(auth, (tuple, list)) and len(auth) == 2:
        return ProxyAuth(*auth)
    if isinstance(auth, (ProxyAuth, EsriBasicAuth)) or _is_digest(auth) or _is_handshake(auth):
        return auth
    raise ConfigurationError(
        "proxy_auth= takes (user name, password), ProxyAuth, EsriBasicAuth, EsriDigestAuth, EsriKerberosAuth,"
        f" EsriHttpNegotiateAuth or EsriHttpNtlmAuth, not {type(auth).__name__}."
    )


def proxy_signer(url: str, host: str, username: str | None, password: str | None, auth: Any) -> Any:
    """The signer for the proxy at `url`: with what its address says of a user, else with the handler `auth`."""
    if username is not None:
        given = (username, password or "")
        return PasswordSigner(url, lambda: given, (BASIC, DIGEST), preemptive=True)
    if _is_handshake(auth):
        from .proxy_handshake import HandshakeSigner

        return HandshakeSigner(url, host, auth)
    if isinstance(auth, ProxyAuth):
        return PasswordSigner(url, auth.credentials, auth.schemes)
    return PasswordSigner(
        url, lambda: (auth.username, auth._password), (BASIC,) if isinstance(auth, EsriBasicAuth) else (DIGEST,)
    )


def _is_digest(auth: Any) -> bool:
    from ..web_tier.digest import EsriDigestAuth

    return isinstance(auth, EsriDigestAuth)


def _is_handshake(auth: Any) -> bool:
    from ..handshake.handshake_auth import HandshakeAuth

    return isinstance(auth, HandshakeAuth)


class Signer:
    """What all signers share: whether the proxy has let us in, and that refused credentials are not sent again."""

    binds_connection = False

    def __init__(self, url: str) -> None:
        self.name = f"the proxy {url}"
        self.first = threading.RLock()
        self._passed = False
        self._is_open = False
        self._good: Any = None
        self._refusal: tuple[Any, str] | None = None
        self._sent: dict[str, Any] = {}

    def now(self) -> Any:
        """The credentials as they are; equal to themselves alone."""
        raise NotImplementedError

    @property
    def is_settled(self) -> bool:
        """Whether the proxy has said yes or no to the credentials, or wants none; until then one request goes ahead."""
        now, refusal = self.now(), self._refusal
        return self._is_open or self._good == now or (refusal is not None and refusal[0] == now)

    def is_settled_for(self, origin: Origin) -> bool:
        """See `ProxySigner`."""
        return self.is_settled

    def passed(self, origin: Origin) -> None:
        """See `ProxySigner`."""

    def signed(self, field: str, credentials: Any) -> str:
        """`field`, once it is noted by which credentials it was made."""
        remember(self._sent, field, credentials, _MOST_UNDER_WAY)
        return field

    def credentials_of(self, sent: str | None) -> Any:
        """The credentials by which the field `sent` was made; `None` where none was, or where it is too long ago."""
        return None if sent is None else self._sent.pop(sent, None)

    def check_refusal(self, credentials: Any) -> None:
        """Raise the `ProxyError` with which these `credentials` were refused, if they were."""
        refusal = self._refusal
        if refusal is not None and refusal[0] == credentials:
            raise ProxyError(refusal[1])

    def refused(self, credentials: Any, why: str) -> ProxyError:
        """The error for `credentials` that were refused. Remembered; where they were good just before, the second time."""
        message = f"{self.name} {why}"
        if self._good != credentials:
            self._refusal = credentials, message
        self._good = None
        return ProxyError(message)

    def accepted(self, sent: str | None, memory: Any) -> None:
        """See `ProxySigner`."""
        self._passed = True
        credentials = self.credentials_of(sent)
        if credentials is not None:
            self._good = credentials
        elif sent is None and memory is None:
            self._is_open = True

    def not_offered(self, challenges: list[Challenge], mine: str) -> ProxyError:
        """The error for a proxy that offers nothing that can be answered."""
        if not challenges:
            return ProxyError(f"{self.name} wants a sign-in and does not say which (407 without a readable challenge).")
        return ProxyError(
            f"{self.name} offers {shown_schemes(challenges)} for the sign-in, which {mine} does not answer; give another"
            " proxy_auth=, such as EsriKerberosAuth() for Negotiate, or (user name, password) for Digest and Basic."
        )


class PasswordSigner(Signer):
    """Signs in by Basic (RFC 7617) or Digest (RFC 7616) to one proxy, with credentials that are looked up for each request.

    `schemes`: what may be used, the best first; `preemptive`: send Basic before the proxy has asked.
    """

    def __init__(self, url: str, credentials: Credentials, schemes: tuple[str, ...], preemptive: bool = False) -> None:
        super().__init__(url)
        self._credentials = credentials
        self._schemes = schemes
        self._origin = origin_of(url)
        self._basic = preemptive
        self._was_asked = not preemptive
        self._passed_unasked: frozenset[Origin] = frozenset()
        self._space: DigestSpace | None = None
        self._proved: DigestSpace | None = None

    def is_ready(self, memory: Any, once: bool) -> bool:
        """See `ProxySigner`."""
        return self._passed and not (once and self._space is not None)

    def now(self) -> Any:
        """See `Signer`."""
        return self._credentials()

    def is_settled_for(self, origin: Origin) -> bool:
        """See `ProxySigner`. What is sent unasked may not have been looked at, where the proxy wants no sign-in."""
        known = self._passed_unasked
        return self.is_settled and (self._was_asked or origin in known or len(known) >= _MANY_ORIGINS)

    def passed(self, origin: Origin) -> None:
        """See `ProxySigner`."""
        if not self._was_asked and origin not in self._passed_unasked and len(self._passed_unasked) < _MANY_ORIGINS:
            self._passed_unasked |= {origin}

    def credentials_of(self, sent: str | None) -> Any:
        """See `Signer`. Basic's field is the same for all requests, so it stays."""
        return self._sent.get(sent) if sent is not None and sent.startswith("Basic ") else super().credentials_of(sent)

    def authorization(self, method: str, target: str, memory: Any, body: Body | None = None) -> str | None:
        """See `ProxySigner`."""
        credentials = self._credentials()
        self.check_refusal(credentials)
        if self._space is not None:
            signature = self._space.sign(Request(method, self._origin, target, {}, body), *credentials)
            return self.signed(signature.field, credentials)
        return self.signed(basic_field(*credentials), credentials) if self._basic else None

    def challenged(self, fields: list[str], sent: str | None, memory: Any) -> None:
        """See `ProxySigner`."""
        self._is_open, self._was_asked = False, True
        challenges = parse_challenges(fields)
        offered = {one.scheme for one in challenges}
        credentials = self.credentials_of(sent) or self._credentials()
        answered = "" if sent is None or credentials != self._credentials() else sent.partition(" ")[0].lower()
        if answered == BASIC and BASIC in offered:
            raise self.refused(credentials, f"wants a sign-in and refuses that of {credentials[0]!r}; check it {_WAYS}.")
        for scheme in self._schemes:
            if scheme == DIGEST and DIGEST in offered:
                self._take_space(challenges, sent if answered == DIGEST else None, credentials)
                return
            if scheme == BASIC and BASIC in offered:
                self._basic, self._space = True, None
                return
        raise self.not_offered(challenges, " and ".join(name.title() for name in self._schemes))

    def _take_space(self, challenges: list[Challenge], sent: str | None, credentials: tuple[str, str]) -> None:
        from ..web_tier.digest_challenges import choose_space, quoted

        space, reason = choose_space(challenges)
        if space is None:
            raise ProxyError(f"{self.name} asks for a Digest that cannot be done: {reason}.")
        current = self._space
        if sent is not None and not space.is_stale_news:
            # Proxies forget nonces; another thread may have had another one meanwhile.
            is_current = current is not None and f"nonce={quoted(current.nonce)}" in sent
            if is_current and current is not self._proved:
                why = f"wants a sign-in and refuses that of {credentials[0]!r} by Digest; check it {_WAYS}."
                raise self.refused(credentials, why)
        self._space = space

    def accepted(self, sent: str | None, memory: Any) -> None:
        """See `ProxySigner`."""
        super().accepted(sent, memory)
        if sent is not None:
            self._proved = self._space
