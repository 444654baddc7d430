"""The apps of a portal, and the knobs of its OAuth 2: plain attributes that may be turned while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

#: The redirect URI of those who copy the code from the page.
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"

_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


class App:
    """An application that may ask users to sign in.

    `secret`: what it proves itself with for `client_credentials`; `None` for a public one. `redirect_uris`: where codes may be
    sent, compared letter by letter, but for the port of a loopback address (RFC 8252 section 7.3). `is_built_in`: any loopback
    address and the portal's own URLs are good too. `asks_consent`: the user has to allow the app on a page of its own.
    `requires_pkce`: no code without a challenge.
    """

    __slots__ = ("client_id", "secret", "redirect_uris", "title", "is_built_in", "asks_consent", "requires_pkce")

    def __init__(
        self,
        client_id: str,
        secret: str | None = None,
        redirect_uris: Iterable[str] = (OUT_OF_BAND,),
        title: str = "",
        is_built_in: bool = False,
    ) -> None:
        self.client_id = client_id
        self.secret = secret
        self.redirect_uris = list(redirect_uris)
        self.title = title or client_id
        self.is_built_in = is_built_in
        self.asks_consent = False
        self.requires_pkce = False

    def __repr__(self) -> str:
        return f"App({self.client_id!r})"

    def allows(self, redirect_uri: str, portal_origin: str) -> bool:
        """Whether a code may be sent to `redirect_uri`."""
        if redirect_uri in self.redirect_uris:
            return True
        try:
            loopback = _without_port(redirect_uri)
            if loopback and any(_without_port(uri) == loopback for uri in self.redirect_uris):
                return True
        except ValueError:
            return False
        return self.is_built_in and (bool(loopback) or (redirect_uri + "/").startswith(portal_origin + "/"))


class OAuthSettings:
    """What the OAuth pages and the token endpoint obey, looked at anew for every request."""

    def __init__(self) -> None:
        #: Who may ask, by client id; `arcgisonline` and `pythonapi` are there from the start.
        self.apps: dict[str, App] = {name: App(name, is_built_in=True) for name in ("arcgisonline", "pythonapi")}

        # Lifetimes, in minutes.
        self.access_minutes = 30.0
        self.refresh_minutes = 20160.0
        self.max_refresh_minutes = 129600.0
        self.max_implicit_minutes = 20160.0
        self.app_minutes = 120.0
        self.max_app_minutes = 20160.0
        #: Of an authorization code, and of a sign-in page that nobody answers.
        self.code_minutes = 10.0
        self.page_minutes = 30.0

        # The sign-in page.
        #: Where the form may be posted; its own action is the first. Both exist in the wild.
        self.sign_in_paths: tuple[str, ...] = ("/sharing/rest/oauth2/signin", "/sharing/oauth2/signin")
        #: "full": form and `oAuthInfo`; "script": only `oAuthInfo`; "form": only the form; "changed": nothing to recognise.
        self.page_layout = "full"
        #: What follows `oAuthInfo = {…}`: ";" or a line break.
        self.script_terminator = ";"
        #: Without it `authorize` says that signing in is disabled.
        self.sign_in_page_enabled = True
        #: Only the organisation's own identity provider signs users in: no built-in form.
        self.saml_only = False
        #: Every user has to accept the terms once (`User.has_accepted_terms`).
        self.has_terms_and_conditions = False
        #: Which further steps are reached by a 302; the others answer the form at once with their page. Names as in the paths.
        self.redirecting_steps: set[str] = {"acceptTermsAndConditions"}
        #: With "oob", send the browser to `oauth2/approval` (or answer the form with that page).
        self.redirects_to_approval = True
        #: Tell an unregistered redirect URI about itself by a 302 to it, as some releases do, and not by a page.
        self.redirects_bad_redirect_uris = False

        # The token endpoint.
        #: False: a portal before 10.8.1, which ignores challenge and verifier.
        self.supports_pkce = True
        #: Whether `refresh_token` answers a new refresh token, too; the old one is dead then.
        self.rotates_refresh_tokens = False
        #: False: Enterprise before 10.9.1.
        self.says_refresh_token_expires_in = True
        #: Whether token answers have `ssl`.
        self.says_ssl = True
        #: Errors with a real 400 (a 405 for GET), not with 200.
        self.uses_http_statuses = False
        #: "json" (`text/plain` for who did not ask `f=json`), "text" (JSON as `text/plain` for everybody) or "html".
        self.token_format = "json"
        #: Whether refresh tokens survive `revoke_all_tokens()`.
        self.refresh_tokens_survive_new_key = True


def minutes_of(asked: str, default: float, maximum: float) -> float:
    """A lifetime as asked for (in minutes): -1 is the longest, nonsense the default; a longer one than `maximum` is cut."""
    try:
        minutes = float(asked)
    except ValueError:
        minutes = default
    if minutes == -1:
        return maximum
    return min(minutes if minutes > 0 else default, maximum)


def _without_port(uri: str) -> tuple[str, str, str] | None:
    """Host, path and query of a loopback URI; `None` for any other. Raises `ValueError` for a broken one."""
    parts = urlsplit(uri)
    is_plain = parts.scheme == "http" and "@" not in parts.netloc and not parts.fragment and parts.port != 0
    if not is_plain or parts.hostname not in _LOOPBACK_HOSTS:
        return None
    return parts.hostname, parts.path, parts.query
