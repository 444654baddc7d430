"""Handlers that sign in by OAuth 2: the refresh token first, then the app, the password, or a person."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Callable

from ...words.errors import ArcGISLoginError, ConfigurationError
from ...words.forks import ProcessLock
from ...words.redaction import redact_url
from ...words.settings import read_deadline
from ...words.urls import split_url
from ..sites import portal_root, server_root
from ..tokens.lifetimes import DEFAULT_MINUTES, LONGEST, check_expiration
from ..tokens.site_auth import SiteAuth
from ..tokens.token_auth import check_functions, check_texts
from ..tokens.token_services import portal_service
from .oauth_app import OOB, Grant, OAuthApp
from .pkce import Proof, make_state

if TYPE_CHECKING:
    from ..base import Wire
    from ..sites import Root
    from ..tokens.keeper import Fetched
    from .one_time_codes import CodeSource

log = logging.getLogger("esri_http.auth")

_DAY_SECONDS = 86400.0
# The code by which a portal says that a refresh token is dead.
_DEAD = 498
# A logout comes before the look whether there was one, or after what is kept.
_keeping = ProcessLock()


class RefreshToken:
    """A refresh token with what is known of its life. Immutable; its repr does not show it."""

    __slots__ = ("dies_at", "redirect_uri", "value")

    def __init__(self, value: str, dies_at: float | None, redirect_uri: str) -> None:
        self.value = value
        self.dies_at = dies_at
        self.redirect_uri = redirect_uri

    def __repr__(self) -> str:
        return f"<RefreshToken, dies at {self.dies_at}>"


class OAuthAuth(SiteAuth):
    """Base of the OAuth handlers. Safe to share between threads: one of them signs in or renews, the others wait.

    A refresh token that the portal rotates is followed, one that it does not repeat is kept, and one in its last 24 hours
    is exchanged for a new one. `on_token` is called with each `Grant`, so that a caller can store what changed.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        *,
        client_secret: str | None = None,
        username: str | None = None,
        password: str | None = None,
        refresh_token: str | None = None,
        expiration: float | None = None,
        redirect_uri: str | None = None,
        on_token: Callable[[Grant], Any] | None = None,
        mfa_code: CodeSource = None,
        accept_terms: bool = False,
        use_pkce: bool = True,
        open_browser: Callable[[str], object] | None = None,
        prompt: Callable[[str], str] | None = None,
        wait_seconds: float | None = 300.0,
        **options: Any,
    ) -> None:
        super().__init__(password=password, **options)
        self.portal = self._portal_at(url)
        self._sign_in_at(portal_service(self.portal))
        if not client_id:
            raise ConfigurationError(f"{type(self).__name__} needs client_id=.")
        check_texts(
            client_id=client_id, client_secret=client_secret, username=username, refresh_token=refresh_token,
            redirect_uri=redirect_uri, mfa_code=None if callable(mfa_code) else mfa_code,
        )  # fmt: skip
        check_functions(on_token=on_token, open_browser=open_browser, prompt=prompt)
        check_expiration(expiration)
        self._app = OAuthApp(self.portal, client_id, client_secret)
        self.username = username
        self.expiration = expiration
        self.on_token = on_token
        self._redirect_uri = redirect_uri
        self._mfa_code = mfa_code
        self._accept_terms = accept_terms
        self._use_pkce = use_pkce
        self._open_browser = open_browser
        self._prompt = prompt
        self._wait_seconds = read_deadline(wait_seconds, "wait_seconds")
        self._is_app = bool(client_secret) and not username and not refresh_token
        self._is_for_a_person = not (client_secret or username or refresh_token)
        self._refresh_token = RefreshToken(refresh_token, None, redirect_uri or OOB) if refresh_token else None
        self._times_forgotten = 0

    def _portal_at(self, url: str) -> Root:
        split = split_url(url)
        if server_root(split.origin, split.path) is not None:
            raise ConfigurationError(
                f"{redact_url(url)} is a URL of an ArcGIS Server, and {type(self).__name__} signs in at portals. Give the"
                " address of the portal that the server is federated with; EsriGenTokenAuth signs in at stand-alone servers."
            )
        return portal_root(split)

    @property
    def client_id(self) -> str:
        """The app's id."""
        return self._app.client_id

    @property
    def _minutes(self) -> float:
        """How long the sign-in should last, where that has to be a number: `None` and -1 are two weeks."""
        return DEFAULT_MINUTES if self.expiration is None or self.expiration == LONGEST else self.expiration

    @property
    def _refresh_token(self) -> RefreshToken | None:
        """As it stands: copies in one process share it, or one of them would go on with what another has exchanged."""
        return self._keeper.means  # type: ignore[no-any-return]

    @_refresh_token.setter
    def _refresh_token(self, refresh_token: RefreshToken | None) -> None:
        self._keeper.means = refresh_token

    @property
    def refresh_token(self) -> str | None:
        """The refresh token (str) as it stands, to be stored; `None` while there is none."""
        return None if self._refresh_token is None else self._refresh_token.value

    # -- getting a token ---------------------------------------------------------------------------------------------

    def _fetch(self, wire: Wire) -> Fetched:
        before = self._times_forgotten
        grant = self._sign_in_anew(wire) if self._is_for_a_person else self._remembering(lambda: self._sign_in_anew(wire))
        return self._keep(grant, before).fetched(self.clock.time())

    def _sign_in_anew(self, wire: Wire) -> Grant:
        grant = self._renew(wire)
        if grant is None:
            self.check_signed_in()  # no password is posted after a logout meanwhile
            grant = self._sign_in(wire)
        return grant

    def _renew(self, wire: Wire) -> Grant | None:
        """A grant for the refresh token; `None` where there is none, or it is dead and there is the password."""
        held = self._refresh_token
        if held is None:
            return None
        try:
            return self._refresh(held, wire)
        except ArcGISLoginError as error:
            if error.is_of_another:
                raise
            is_ours = self._drop(held)
            if self._password is None or not self.username:
                refused = ArcGISLoginError(
                    f"{self.portal} takes the refresh token no more ({error.error or error.code}); sign in again.",
                    url=str(self.portal), code=error.code, error=error.error, details=error.details,
                )  # fmt: skip
                refused.is_of_another = not is_ours
                raise refused from error
            log.debug("%s takes the refresh token no more, signing in anew", self.portal)
            return None

    def _refresh(self, held: RefreshToken, wire: Wire) -> Grant:
        """A grant for `held`; in its last day together with a new refresh token, from a portal that exchanges them."""
        if held.dies_at is not None and held.dies_at - self.clock.time() < _DAY_SECONDS:
            try:
                return self._app.by_refresh_token(held.value, wire, held.redirect_uri)
            except ArcGISLoginError as error:
                if error.code == _DEAD or error.is_of_another:
                    raise
                log.debug("%s does not exchange the refresh token (%s), it is used on", self.portal, error)
        return self._app.by_refresh_token(held.value, wire)

    def _sign_in(self, wire: Wire) -> Grant:
        """The first grant: as the app, by password, or by a person."""
        if self._is_app:
            return self._app.by_secret(self.expiration, wire)
        if self.username:
            return self._by_form(self._app, wire)
        from .person import PersonSignIn

        person = PersonSignIn(self._app, self.clock, self._redirect_uri, self._open_browser, self._prompt, self._wait_seconds)
        return person.grant(self.expiration, self._use_pkce, wire)

    def _by_form(self, app: OAuthApp, wire: Wire) -> Grant:
        """Through the portal's own sign-in page, without a person."""
        from .sign_in_form import FormSignIn

        redirect_uri, state, proof = self._redirect_uri or OOB, make_state(), Proof() if self._use_pkce else None
        url = app.authorize_url(redirect_uri, state, proof, self.expiration, allow_verification="false")
        form = FormSignIn(app, self.username or "", self._ask_password(), wire, self.clock, self._mfa_code, self._accept_terms)
        return app.by_code(form.code(url, redirect_uri, state), redirect_uri, proof, wire)

    def _ask_password(self) -> str:
        if self._password is None:
            from .person import ask_password

            self._password = ask_password(f"Password for {self.username} at {self.portal}: ", self._prompt)
        return self._password

    def _drop(self, held: RefreshToken) -> bool:
        """Go on without `held`. Whether it was ours to the end: a logout meanwhile, or another sign-in, has taken it away."""
        with _keeping:
            is_ours = self._refresh_token is held
            if is_ours:
                self._refresh_token = None
        return is_ours

    def _keep(self, grant: Grant, times_forgotten: int) -> Grant:
        """Remember the refresh token in `grant`, or go on with the old one, and tell the caller.

        `times_forgotten`: at its beginning. After a sign-out or with another password, what was under way is nobody's sign-in.
        """
        with _keeping:
            if self._times_forgotten != times_forgotten:
                return grant
            held = self._refresh_token
            if grant.redirect_uri is None and held is not None:
                grant = grant._replace(redirect_uri=held.redirect_uri)
            if grant.refresh_token is not None:
                life = grant.refresh_token_expires_in or 60.0 * self._minutes
                self._refresh_token = RefreshToken(grant.refresh_token, self.clock.time() + life, grant.redirect_uri or OOB)
            elif held is not None:
                grant = grant._replace(refresh_token=held.value)
        if self.on_token is not None:
            self.on_token(grant)
        return grant

    def _expected_user(self) -> str | None:
        return self.username

    def _expected_app(self) -> str | None:
        return self._app.client_id if self._is_app else None

    # -- sign-out ----------------------------------------------------------------------------------------------------

    def _revoke(self) -> bool:
        held, token = self._refresh_token, self._keeper.token
        if held is not None:
            return self._app.revoke(held.value, "refresh_token", self.wire())
        if token is None or self._is_app:
            return False  # the token of an app cannot be revoked
        return self._app.revoke(token.value, "access_token", self.wire())

    def _forget(self) -> None:
        super()._forget()
        with _keeping:
            self._refresh_token = None
            self._times_forgotten += 1

    def suspend(self) -> bool:
        """Hand licences back (``suspend_session``). Whether the portal confirmed it; `False` where nothing is signed in."""
        held = self._refresh_token
        if held is None:
            return False
        fields = {"grant_type": "suspend_session", "refresh_token": held.value}
        _, answer = self._app.post("token", fields, self.wire())
        self._keeper.forget()
        return answer.get("success") is True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.portal})"
