"""`EsriOAuth2Auth` and `EsriPKCEAuth`: OAuth 2 at a portal (ArcGIS REST, oauth2; RFC 6749, 7636, 8252)."""

from __future__ import annotations

from typing import Any

from ...words.errors import ConfigurationError
from .oauth_auth import OAuthAuth

_ALIASES = {"verify": "verify_cert", "redirect_url": "redirect_uri", "clientid": "client_id"}
_IGNORED = ("hostname", "response_type")


class EsriOAuth2Auth(OAuthAuth):
    """OAuth 2 by an app that is registered at the portal. Safe to share between threads.

    What is given decides how it signs in: `client_secret` alone: as the app; `username` (and `password`, asked for where it
    is missing): by the portal's page without a person; `password` without `username`, or `refresh_token`: by that refresh
    token; nothing more: a person in a browser.

    `base_url`: the portal, or its ``/sharing/rest``. `expiration`: minutes that the sign-in should last, -1 for the longest
    allowed. `redirect_uri`: where the browser brings the code: `None` for a free port on 127.0.0.1, one of the app's own
    ``http://127.0.0.1:PORT/...``, or ``urn:ietf:wg:oauth:2.0:oob`` to paste it. `mfa_code`: the seed (base32) of an
    authenticator app, or a callable. `on_token`: called with each `Grant`. `verify_sign_in`: have the portal say who we
    are. `wait_seconds`: how long a person may take. `legacy`: send ``token=`` instead of a header.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str | None = None,
        username: str | None = None,
        password: str | None = None,
        referer: str | None = None,
        expiration: float | None = 1440,
        proxies: Any = None,
        session: Any = None,
        *,
        refresh_token: str | None = None,
        **options: Any,
    ) -> None:
        if client_id and password and not username and refresh_token is None:
            # This is how stored profiles hold a refresh token.
            refresh_token, password = password, None
        given = {
            "client_id": client_id,
            "client_secret": client_secret,
            "username": username,
            "password": password,
            "refresh_token": refresh_token,
            "expiration": expiration,
            "referer": referer,
            "proxies": proxies,
            "session": session,
        }
        super().__init__(base_url, **{**given, **with_known_names(options, "EsriOAuth2Auth")})


class EsriPKCEAuth(OAuthAuth):
    """OAuth 2 with a proof key: by user name and password through the portal's page, or by a person in a browser.

    Safe to share between threads. The parameters are those of `EsriOAuth2Auth`; without `username` a person signs in.
    """

    def __init__(
        self,
        url: str,
        username: str | None = None,
        password: str | None = None,
        *,
        client_id: str = "arcgisonline",
        redirect_uri: str | None = None,
        expiration: float | None = 1440,
        **options: Any,
    ) -> None:
        given = {
            "client_id": client_id,
            "username": username,
            "password": password,
            "redirect_uri": redirect_uri,
            "expiration": expiration,
        }
        super().__init__(url, **{**given, **with_known_names(options, "EsriPKCEAuth")})
        if not self._use_pkce:
            raise ConfigurationError("EsriPKCEAuth always uses PKCE.")


_KNOWN = frozenset(
    {
        *("accept_terms", "client_id", "clock", "legacy", "mfa_code", "on_token", "open_browser", "prompt", "proxies"),
        *("redirect_uri", "referer", "refresh_token", "session", "use_pkce", "verify_cert", "verify_sign_in", "wait_seconds"),
    }
)


def with_known_names(options: dict[str, Any], what: str) -> dict[str, Any]:
    """`options` under our own names; raises `TypeError` for an unknown one."""
    named: dict[str, Any] = {}
    for name, value in options.items():
        name = _ALIASES.get(name, name)
        if name in _IGNORED:
            continue
        if name not in _KNOWN:
            raise TypeError(f"{what}() got an unexpected keyword argument {name!r}")
        named[name] = value
    return named
