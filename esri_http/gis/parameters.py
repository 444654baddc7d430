"""What callers give to `GIS(...)`: every keyword checked, the peer's old names understood, contradictions told at once."""

from __future__ import annotations

import os
import re
from typing import Any

from ..auth.tokens.lifetimes import check_expiration
from ..options import SESSION_KEYWORDS, check_keywords
from ..session import EsriSession
from ..survey.addresses import HOME, PRO, read_address
from ..words.clock import Clock
from ..words.errors import ConfigurationError

_TEXTS = (
    "url", "username", "password", "key_file", "client_id", "profile", "client_secret", "token", "api_key", "referer",
    "refresh_token", "redirect_uri",
)  # fmt: skip
_CALLABLES = ("on_token", "open_browser", "prompt")
_OAUTH = ("redirect_uri", "on_token", "mfa_code", "accept_terms", "use_pkce", "open_browser", "prompt", "wait_seconds")
_KERBEROS = (
    "mutual_authentication", "force_preemptive", "hostname_override", "delegate", "service", "sanitize_mutual_error_response",
)  # fmt: skip
_OWN = (
    "token", "api_key", "client_secret", "refresh_token", "use_gen_token", "expiration", "custom_auth", "session", "adapter",
    "referer", "validate_url", "proxy", "proxy_host", "proxy_port", "send_cbt", "secret_store", "pickle_secrets", "headers",
    "clock",
)  # fmt: skip
_SESSION = {name: ours for name, ours in SESSION_KEYWORDS.items() if name not in ("stream", "verify", "clock")}
# What the session is made of, whoever signs in.
_WAY_THERE = frozenset({
    *_SESSION.values(), "session", "clock", "adapter", "referer", "headers", "verify_cert", "cert_file", "key_file", "proxy",
    "proxy_host", "proxy_port",
})  # fmt: skip
# Of these, `None` is not the default.
_NO_LIMIT = frozenset({"timeout", "deadline", "max_url_length"})
KEYWORDS = {**{name: name for name in (*_OWN, *_OAUTH, *_KERBEROS)}, **_SESSION}
_POSITIONAL = (
    "url", "username", "password", "key_file", "cert_file", "verify_cert", "set_active", "client_id", "profile",
)  # fmt: skip

_SECRETS = (
    "password", "client_secret", "token", "api_key", "refresh_token", "mfa_code", "custom_auth", "session", "proxy_auth",
    "headers",
)  # fmt: skip
_OF_THIS_PROCESS = ("secret_store", "on_token", "open_browser", "prompt", "adapter")

# Each is a sign-in of its own; of two it could not be told which one is meant.
_WAYS = ("session", "custom_auth", "token", "api_key", "client_id")


class Parameters:
    """The parameters of one `GIS`, under our own names. Immutable once it is made; holds secrets, and shows none."""

    def __init__(self, given: dict[str, Any], keywords: dict[str, Any]) -> None:
        """`given`: the named parameters of `GIS`; `keywords`: the rest.

        Raises `TypeError` for an unknown keyword (with the nearest name), `ConfigurationError` for what cannot work.
        """
        options = check_keywords(keywords, KEYWORDS, "GIS", also=_POSITIONAL)
        self.values: dict[str, Any] = {**given, **options}
        for name in _TEXTS:
            self.values[name] = _text(name, self.values.get(name))
        if self.values.get("cert_file") == "":
            self.values["cert_file"] = None
        _check_kinds(self)
        if self.profile is None:
            _check(self)
        else:
            check_storable(self)  # the rest once the profile is read, which may hold what is missing here

    def __getattr__(self, name: str) -> Any:
        if name in KEYWORDS or name in _POSITIONAL:
            values: dict[str, Any] = self.__dict__["values"]
            return values.get(name)
        raise AttributeError(name)

    def replaced(self, **values: Any) -> Parameters:
        """The same with other values, which are not checked against each other again."""
        other = Parameters.__new__(Parameters)
        other.values = {**self.values, **values}
        return other

    def completed(self, **values: Any) -> Parameters:
        """The same with what a profile adds. Raises `ConfigurationError` where that cannot work together."""
        other = self.replaced(**values)
        _check(other)
        return other

    @property
    def address(self) -> str | None:
        """The url as it may be stored: less what follows ? or #, where a browser may have put a token. `None` for none."""
        return None if self.url is None else re.split("[?#]", self.url)[0].strip() or None

    @property
    def place(self) -> str | None:
        """``pro`` or ``home``, where the url is that word; `None` otherwise. Raises the errors of `read_address`."""
        kind = read_address(self.url).kind
        return kind if kind in (PRO, HOME) else None

    @property
    def kerberos(self) -> dict[str, Any]:
        """What was said of Kerberos; with any of it, Kerberos is what the caller wants."""
        return {name: self.values[name] for name in _KERBEROS if self.values.get(name) is not None}

    @property
    def oauth(self) -> dict[str, Any]:
        """What was said of OAuth."""
        return {name: self.values[name] for name in _OAUTH if self.values.get(name) is not None}

    @property
    def certificate(self) -> Any:
        """What `EsriSession` takes as `cert=`; `None` for none. A password without a user name is the certificate's."""
        cert = self.values.get("cert_file")
        if cert is None:
            return None
        password = None if self.username or self.client_id else self.password
        if isinstance(cert, (tuple, list)):
            return cert
        if self.key_file is None:
            return (cert, password) if password else cert
        return (cert, self.key_file, password)

    @property
    def session_options(self) -> dict[str, Any]:
        """What the session is made with."""
        names = set(_SESSION.values()) | {"clock"}
        given = {name: value for name, value in self.values.items() if name in names}
        options = {name: value for name, value in given.items() if value is not None or name in _NO_LIMIT}
        proxies = _proxies(self)
        if proxies is not None:
            options["proxies"] = proxies
        if self.referer is not None:
            options["referer"] = self.referer
        return {**options, "verify_cert": self.verify_cert, "headers": self.headers, "cert": self.certificate}

    def signed_out(self, url: str) -> Parameters:
        """What is left of them after a sign-out: the site, the way there, and the certificate, which the session shows."""
        values = {name: value for name, value in self.values.items() if name in _WAY_THERE}
        if self.cert_file is not None and not (self.username or self.client_id):
            values["password"] = self.password
        other = Parameters.__new__(Parameters)
        other.values = {**values, "url": url}
        return other

    def without_secrets(self) -> tuple[Parameters, tuple[str, ...]]:
        """A copy that may be stored, and the names of what it lacks."""
        lacking = tuple(name for name, value in self.values.items() if value is not None and _holds_secret(name, value))
        left_out = (*lacking, *_OF_THIS_PROCESS)
        copy = Parameters.__new__(Parameters)
        copy.values = {name: value for name, value in self.values.items() if name not in left_out}
        copy.values["url"] = self.address
        return copy, lacking

    def __repr__(self) -> str:
        return f"<Parameters {', '.join(sorted(name for name, value in self.values.items() if value is not None))}>"


def _holds_secret(name: str, value: Any) -> bool:
    """Whether a pickle has to do without this, unless it was asked to hold secrets."""
    if name in ("proxies", "proxy", "proxy_host"):
        return "@" in str(value)
    if name == "cert_file":
        return isinstance(value, (tuple, list, bytes))  # with its password, or as a whole
    return name in _SECRETS


def _text(name: str, value: Any) -> Any:
    """`value`, which has to be text or `None`; an empty one counts as not given, as in the peer."""
    if value is None or value == "":
        return None
    if name in ("key_file", "url") and hasattr(value, "__fspath__"):
        return os.fsdecode(value)
    if name == "token" and isinstance(value, (tuple, list)):
        return value
    if not isinstance(value, str):
        raise ConfigurationError(f"GIS takes {name}= as text, not as {type(value).__name__}.")
    return value


def _check_kinds(given: Parameters) -> None:
    for name in _CALLABLES:
        value = given.values.get(name)
        if value is not None and not callable(value):
            raise ConfigurationError(f"{name}= takes a function, not {type(value).__name__}.")
    check_expiration(given.expiration)
    if given.session is not None and not isinstance(given.session, EsriSession):
        raise ConfigurationError(f"session= takes an EsriSession, not {type(given.session).__name__}.")
    if given.clock is not None and not isinstance(given.clock, Clock):
        raise ConfigurationError(f"clock= takes a Clock, not {type(given.clock).__name__}.")


def _check(given: Parameters) -> None:
    ways = [name for name in _WAYS if given.values.get(name) is not None]
    if len(ways) > 1:
        raise ConfigurationError(f"{ways[0]}= and {ways[1]}= are two ways to sign in; give one of them.")
    has_password = given.password is not None or given.username is not None
    if ways and ways[0] != "client_id" and given.password is not None:
        raise ConfigurationError(f"{ways[0]}= and password= are two ways to sign in; give one of them.")
    if given.client_secret is not None and given.client_id is None:
        raise ConfigurationError("client_secret= needs client_id=.")
    if given.refresh_token is not None and given.client_id is None:
        raise ConfigurationError("refresh_token= needs client_id=, the app that it was given to.")
    if given.key_file is not None and given.cert_file is None:
        raise ConfigurationError("key_file= needs cert_file=, the certificate that the key belongs to.")
    if given.password is not None and not (given.username or given.client_id or given.cert_file or given.profile):
        raise ConfigurationError("password= needs username= (or cert_file=, for the password of a PFX).")
    if given.place is not None and (ways or has_password or given.cert_file is not None):
        raise ConfigurationError(f"GIS({given.place!r}) is signed in by {_holder(given.place)}; leave the other sign-in out.")
    if given.proxy_port is not None and given.proxy_host is None:
        raise ConfigurationError("proxy_port= needs proxy_host=.")


def check_storable(given: Parameters) -> None:
    """Raise `ConfigurationError` for a way to sign in that no profile can keep."""
    for name in ("session", "custom_auth", "token", "api_key"):
        if given.values.get(name) is not None:
            raise ConfigurationError(
                f"A profile keeps no {name}=; it keeps url, username, key_file, cert_file, client_id, and a password."
            )
    if not isinstance(given.values.get("cert_file"), (str, type(None))) and not hasattr(given.cert_file, "__fspath__"):
        raise ConfigurationError("A profile keeps cert_file= as the path of a file, and nothing else.")


def _holder(place: str) -> str:
    return "ArcGIS Pro" if place == PRO else "the notebook that it runs in, or ArcGIS Pro"


def _proxies(given: Parameters) -> Any:
    """The proxies, by whichever of the three ways they were given."""
    told = [name for name in ("proxies", "proxy", "proxy_host") if given.values.get(name) is not None]
    if len(told) > 1:
        raise ConfigurationError(f"{told[0]}= and {told[1]}= both name proxies; give one of them.")
    if not told:
        return None
    if told[0] == "proxy_host":
        return {"all": f"http://{given.proxy_host}:{given.proxy_port or 80}"}
    value = given.values[told[0]]
    return {"all": value} if isinstance(value, str) else value
