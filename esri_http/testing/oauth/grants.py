"""OAuth as the app sees it: `oauth2/token` with all its grants, `oauth2/revokeToken` and `oauth2/signout`."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Callable

from ..messages import JSON_TYPE, TEXT_TYPE, Answer, Handler, Request, error_envelope, json_answer, page
from ..portal_site import PortalSite
from ..tokens import PORTAL, Grant
from .pages import error_page, message_page
from .proofs import is_verified
from .settings import App, OAuthSettings, minutes_of
from .store import OAuthStore, Session, SignIn


class GrantError(Exception):
    """A token request that is refused. `code` is Esri's, `error` that of RFC 6749 as a portal words it."""

    def __init__(self, description: str, code: int = 400, error: str = "invalid_request") -> None:
        super().__init__(description)
        self.code = code
        self.error = error
        self.description = description

    def envelope(self) -> dict[str, Any]:
        """The answer of the token endpoint."""
        error = {"code": self.code, "error": self.error, "error_description": self.description}
        return {"error": {**error, "message": self.description, "details": []}}


class TokenEndpoint:
    """The handlers that apps talk to directly."""

    def __init__(self, site: PortalSite, settings: OAuthSettings, store: OAuthStore) -> None:
        self._site = site
        self._settings = settings
        self._store = store
        self._grants: dict[str, Callable[[App, Mapping[str, str]], dict[str, Any]]] = {
            "authorization_code": self._redeem_code,
            "refresh_token": self._refresh,
            "exchange_refresh_token": self._exchange_refresh_token,
            "client_credentials": self._app_token,
            "suspend_session": self._suspend,
        }

    def handlers(self) -> dict[str, Handler]:
        """The routes below `oauth2/`."""
        return {"token": self.token, "revokeToken": self.revoke_token, "signout": self.sign_out}

    # -- oauth2/token --------------------------------------------------------------------------------------------------

    def token(self, request: Request) -> Answer:
        """`oauth2/token`. Its parameters count only in the body."""
        if request.method != "POST":
            return self._answer(request, error_envelope(405, "Method not supported.", [], "GWM_0005"), 405)
        form = request.form
        try:
            app = self._settings.apps.get(form.get("client_id", ""))
            if app is None:
                raise GrantError("Invalid client_id", error="invalid_client_id")
            grant = self._grants.get(form.get("grant_type", ""))
            if grant is None:
                raise GrantError("Invalid grant_type" if form.get("grant_type") else "grant_type not specified")
            return self._answer(request, grant(app, form))
        except GrantError as error:
            return self._answer(request, error.envelope(), 400)

    def _answer(self, request: Request, data: dict[str, Any], failure: int = 200) -> Answer:
        """`data`, as JSON even for those who did not ask for it. `failure`: the status where statuses are used."""
        status = failure if self._settings.uses_http_statuses else 200
        if self._settings.token_format == "html":
            return page("Error" if "error" in data else "Token", str(data), status)
        asked = request.get("f").lower()
        kind = TEXT_TYPE if self._settings.token_format == "text" or asked not in ("json", "pjson") else JSON_TYPE
        answer = json_answer(request, data, kind, status, asked if asked == "pjson" else "json")
        return answer.add("Cache-Control", "no-store").add("Pragma", "no-cache")

    def _redeem_code(self, app: App, form: Mapping[str, str]) -> dict[str, Any]:
        if not form.get("code"):
            raise GrantError("code not specified")
        if not form.get("redirect_uri"):
            raise GrantError("redirect_uri not specified")
        self._check_secret(app, form)
        sign_in = self._store.take_code(form["code"], self._settings.code_minutes)
        if sign_in is None or sign_in.app.client_id != app.client_id:
            raise GrantError("Invalid authorization code")
        if form["redirect_uri"] != sign_in.redirect_uri:
            raise GrantError("Invalid redirect_uri")
        self._check_verifier(sign_in, form.get("code_verifier", ""))
        minutes = minutes_of(sign_in.expiration, self._settings.refresh_minutes, self._settings.max_refresh_minutes)
        refresh_token, session = self._store.start_session(app.client_id, sign_in.username, minutes)
        persist = {"persist": True} if sign_in.persist else {}
        return {**self._access(session), **persist, **self._refresh_part(refresh_token, session)}

    def _check_secret(self, app: App, form: Mapping[str, str], is_needed: bool = False) -> None:
        """Public apps have no secret, and those that have one need it for `client_credentials` only; a wrong one is refused."""
        given = form.get("client_secret", "")
        if not given and is_needed:
            raise GrantError("client_secret not specified")
        secret = (app.secret or "").encode()
        if given and not hmac.compare_digest(given.encode("utf-8", "replace"), secret):
            raise GrantError("Invalid client_secret")

    def _check_verifier(self, sign_in: SignIn, verifier: str) -> None:
        """RFC 7636 section 4.6; a verifier without a challenge is refused, too (RFC 9700 section 2.1.1)."""
        if not self._settings.supports_pkce or not (sign_in.challenge or verifier):
            return
        if not sign_in.challenge or not is_verified(sign_in.challenge, sign_in.method, verifier):
            raise GrantError("Invalid code_verifier" if verifier else "code_verifier not specified")

    def _refresh(self, app: App, form: Mapping[str, str]) -> dict[str, Any]:
        refresh_token, session = self._session(app, form)
        self._check_secret(app, form)
        if not self._settings.rotates_refresh_tokens:
            return self._access(session)
        self._take(refresh_token)
        return {**self._access(session), **self._refresh_part(self._store.keep(session), session)}

    def _exchange_refresh_token(self, app: App, form: Mapping[str, str]) -> dict[str, Any]:
        old_token, old = self._session(app, form)
        if not form.get("redirect_uri"):
            raise GrantError("redirect_uri not specified")
        if not app.allows(form["redirect_uri"], self._site.origin):
            raise GrantError("Invalid redirect_uri")
        self._store.end_access(self._take(old_token))
        refresh_token, session = self._store.start_session(app.client_id, old.username, old.minutes)
        return {**self._access(session), **self._refresh_part(refresh_token, session)}

    def _suspend(self, app: App, form: Mapping[str, str]) -> dict[str, Any]:
        """The user hands her licences back: the access tokens die, a refresh takes the session up again."""
        _, session = self._session(app, form)
        self._store.end_access(session)
        return {"success": True}

    def _session(self, app: App, form: Mapping[str, str]) -> tuple[str, Session]:
        refresh_token = form.get("refresh_token", "")
        if not refresh_token:
            raise GrantError("refresh_token not specified")
        session = self._store.session(refresh_token)
        if session is None or session.client_id != app.client_id:
            raise GrantError("Invalid refresh_token", 498)
        if session.expires <= self._store.tokens.now():
            raise GrantError("refresh_token expired", 498)
        return refresh_token, session

    def _take(self, refresh_token: str) -> Session:
        """Forget a refresh token that is replaced: of several who come at once, only one gets the new one."""
        session = self._store.drop(refresh_token)
        if session is None:
            raise GrantError("Invalid refresh_token", 498)
        return session

    def _app_token(self, app: App, form: Mapping[str, str]) -> dict[str, Any]:
        self._check_secret(app, form, is_needed=True)
        minutes = minutes_of(form.get("expiration", ""), self._settings.app_minutes, self._settings.max_app_minutes)
        tokens = self._store.tokens
        grant = Grant("", PORTAL, tokens.now() + 60.0 * minutes, kind="app", client_id=app.client_id)
        return {"access_token": tokens.issue(grant), "expires_in": int(60 * minutes)}

    def _access(self, session: Session) -> dict[str, Any]:
        """The part of an answer that every grant of a user has."""
        minutes = self._settings.access_minutes
        token = self._store.access_token(session, minutes)
        ssl = {"ssl": self._site.is_secure} if self._settings.says_ssl else {}
        return {"access_token": token, "expires_in": int(60 * minutes), "username": session.username, **ssl}

    def _refresh_part(self, refresh_token: str, session: Session) -> dict[str, Any]:
        if not self._settings.says_refresh_token_expires_in:
            return {"refresh_token": refresh_token}
        return {"refresh_token": refresh_token, "refresh_token_expires_in": int(session.expires - self._store.tokens.now())}

    # -- the end -------------------------------------------------------------------------------------------------------

    def revoke_token(self, request: Request) -> Answer:
        """`oauth2/revokeToken`: success for every token of a known app. Only what OAuth gave that app to a user dies."""
        if request.method != "POST":
            return json_answer(request, error_envelope(405, "Method not supported.", [], "GWM_0005"))
        client_id = request.form.get("client_id", "")
        if client_id not in self._settings.apps:
            return json_answer(request, error_envelope(400, "Invalid client_id"))
        token = request.form.get("auth_token", "")
        session = self._store.session(token)
        grant = self._store.tokens.get(token)
        if session is not None and session.client_id == client_id:
            self._store.revoke(token)
        elif grant is not None and grant.kind == "oauth" and grant.client_id == client_id:
            self._store.tokens.revoke(token)
        return json_answer(request, {"success": True})

    def sign_out(self, request: Request) -> Answer:
        """`oauth2/signout`, for browsers: forgets the cookie, and goes back to the app where that is allowed."""
        redirect_uri = request.get("redirect_uri")
        app = self._settings.apps.get(request.get("client_id"))
        if redirect_uri and (app is None or not app.allows(redirect_uri, self._site.origin)):
            return error_page("Invalid client_id" if app is None else "Invalid redirect_uri")
        answer = message_page("Signed out", "You are signed out.")
        if redirect_uri:
            answer = Answer(302).add("Location", redirect_uri)
        return answer.add("Set-Cookie", "esri_auth=; Path=/; Max-Age=0; Secure; HttpOnly")
