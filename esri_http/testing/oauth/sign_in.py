"""OAuth as the browser sees it: `authorize`, the sign-in form, the steps that may follow it, and the way back to the app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ..messages import Answer, Handler, Request, page
from ..portal_site import ORG_ID, PortalSite
from ..site import Refusal
from ..tokens import PORTAL, Grant
from .pages import (
    Form,
    FormField,
    approval_page,
    error_page,
    form_page,
    identity_provider_page,
    message_page,
)
from .settings import OUT_OF_BAND, OAuthSettings, minutes_of
from .steps import STEPS, Step, is_true
from .store import OAuthStore, SignIn

_WRONG_PASSWORD = {"code": "OAUTH_0015", "message": "Invalid username or password."}
_DENIED = {"error": "access_denied", "error_description": "The user denied your request."}


class SignInPages:
    """The handlers of the pages. A user walks from one to the next by the hidden `oauth_state`."""

    def __init__(self, site: PortalSite, settings: OAuthSettings, store: OAuthStore) -> None:
        self._site = site
        self._settings = settings
        self._store = store

    def handlers(self) -> dict[str, Handler]:
        """The routes below `oauth2/`."""
        routes: dict[str, Handler] = {}
        for step in STEPS:
            routes[step.name] = routes[step.action] = self._handler_of(step)
        return {**routes, "authorize": self.authorize, "signin": self.sign_in, "approval": self.approval, "saml": self.saml}

    # -- authorize and the form ----------------------------------------------------------------------------------------

    def authorize(self, request: Request) -> Answer:
        """`oauth2/authorize`: the sign-in page, if the app and the redirect URI are known."""
        parameters = request.parameters()
        app = self._settings.apps.get(parameters.get("client_id", ""))
        if app is None:
            return self._refused("Invalid client_id")
        redirect_uri = parameters.get("redirect_uri", "")
        if not redirect_uri:
            return self._refused("redirect_uri not specified")
        if not app.allows(redirect_uri, self._site.origin):
            invalid = "Invalid redirect_uri"
            tells_it = self._settings.redirects_bad_redirect_uris
            return _redirect(redirect_uri, _invalid_request(invalid)) if tells_it else self._refused(invalid)
        sign_in = SignIn(app, parameters, self._store.tokens.now())
        problem = self._problem(sign_in)
        if problem:
            return self._back_to_app(sign_in, _invalid_request(problem))
        if not self._settings.sign_in_page_enabled:
            return self._refused("Signing in is disabled for this organization.", 403)
        self._store.open(sign_in)
        signed_in = self._site.web_tier(request)
        if signed_in is not None:
            sign_in.username = signed_in
            return self._advance(sign_in)
        return self._sign_in_page(sign_in)

    def _problem(self, sign_in: SignIn) -> str:
        if sign_in.response_type not in ("code", "token"):
            return "Invalid response_type"
        if not self._settings.supports_pkce:
            return ""
        if sign_in.challenge and sign_in.method not in ("S256", "plain"):
            return "Invalid code_challenge_method"
        if not sign_in.challenge and sign_in.app.requires_pkce:
            return "code_challenge not specified"
        return ""

    def sign_in(self, request: Request) -> Answer:
        """`oauth2/signin`: user name and password of the form."""
        if self._site.relative(request) not in self._settings.sign_in_paths:
            return page("HTTP Status 404", f"Nothing is at {request.path}.", 404)
        if request.method != "POST":
            return self._refused("Method not supported.", 405)
        sign_in = self._pending(request)
        form = request.form
        if form.get("cancel"):
            return self._denied(sign_in)
        if self._settings.saml_only or not self._settings.sign_in_page_enabled:
            return self._refused("Signing in with a built-in account is disabled for this organization.", 403)
        # Unlike generateToken, the form does not mind capitals.
        username = self._site.accounts.spelled(form.get("username", ""))
        user = self._site.accounts.check(username, form.get("password", ""))
        if user is None:
            return self._sign_in_page(sign_in, dict(_WRONG_PASSWORD))
        sign_in.username = user.username
        sign_in.passed = {"consent"} if is_true(form.get("authorize", "")) else set()
        sign_in.expiration = form.get("expiration") or sign_in.expiration
        sign_in.persist = is_true(form.get("persist", ""))
        return self._advance(sign_in)

    def _pending(self, request: Request) -> SignIn:
        """The sign-in that a form belongs to. Raises `Refusal` with a page where it is unknown, over, or too old."""
        sign_in = self._store.find(request.get("oauth_state"), self._settings.page_minutes)
        if sign_in is None:
            raise Refusal(self._refused("Invalid oauth_state"))
        return sign_in

    def saml(self, request: Request) -> Answer:
        """`oauth2/saml`: where the organisation's identity provider would take over; nobody can sign in here."""
        self._pending(request)
        return message_page("Identity provider", "This is where the organization's own sign-in page would be.")

    # -- the steps after the password ----------------------------------------------------------------------------------

    def _handler_of(self, step: Step) -> Handler:
        return lambda request: self._take(step, request)

    def _take(self, step: Step, request: Request) -> Answer:
        sign_in = self._pending(request)
        if not sign_in.username:
            return self._sign_in_page(sign_in)
        user = self._site.accounts.get(sign_in.username)
        if user is None or self._due(sign_in) is not step:
            return self._advance(sign_in)
        if request.method != "POST":
            return self._step_page(step, sign_in)
        if request.form.get("cancel"):
            return self._denied(sign_in)
        problem = step.check(user, request.form, self._store.tokens.now())
        if problem:
            return self._step_page(step, sign_in, problem)
        sign_in.passed.add(step.name)
        return self._advance(sign_in)

    def _due(self, sign_in: SignIn) -> Step | None:
        """The step that comes next; `None` when none is left."""
        user = self._site.accounts.get(sign_in.username)
        left = [step for step in STEPS if step.name not in sign_in.passed]
        due = (step for step in left if user is not None and step.is_due(user, sign_in.app, self._settings))
        return next(due, None)

    def _advance(self, sign_in: SignIn) -> Answer:
        """The step that comes next, or back to the app."""
        step = self._due(sign_in)
        if step is None:
            return self._finish(sign_in)
        if step.name in self._settings.redirecting_steps:
            return _redirect(self._url(step.name), {"oauth_state": sign_in.oauth_state})
        return self._step_page(step, sign_in)

    # -- back to the app -----------------------------------------------------------------------------------------------

    def approval(self, request: Request) -> Answer:
        """`oauth2/approval`: the end of a sign-in for apps that nothing can be sent to ("oob")."""
        code = request.query.get("code", "")
        if code:
            return approval_page(code) if self._store.has_code(code) else self._refused("Invalid code")
        error = request.query.get("error", "")
        if error:
            return message_page(f"FAILED error={error}", request.query.get("error_description", ""))
        return message_page("SUCCESS", "You are signed in.")

    def _finish(self, sign_in: SignIn) -> Answer:
        if not self._store.close(sign_in):
            return self._refused("Invalid oauth_state")
        if sign_in.response_type == "token":
            return self._back_to_app(sign_in, self._implicit_grant(sign_in), "#")
        code = self._store.issue_code(sign_in)
        if sign_in.redirect_uri == OUT_OF_BAND and not self._settings.redirects_to_approval:
            return approval_page(code)
        return self._back_to_app(sign_in, {"code": code})

    def _implicit_grant(self, sign_in: SignIn) -> dict[str, str]:
        settings, tokens = self._settings, self._store.tokens
        minutes = minutes_of(sign_in.expiration, settings.access_minutes, settings.max_implicit_minutes)
        grant = Grant(sign_in.username, PORTAL, tokens.now() + 60.0 * minutes, kind="oauth", client_id=sign_in.app.client_id)
        return {
            "access_token": tokens.issue(grant),
            "expires_in": str(int(60 * minutes)),
            "username": sign_in.username,
            "ssl": _text(self._site.is_secure),
            "persist": _text(sign_in.persist),
        }

    def _denied(self, sign_in: SignIn) -> Answer:
        self._store.close(sign_in)
        return self._back_to_app(sign_in, _DENIED)

    def _back_to_app(self, sign_in: SignIn, answer: Mapping[str, str], separator: str = "?") -> Answer:
        """The redirect that ends a sign-in. The state goes back as it came."""
        state = {} if sign_in.state is None else {"state": sign_in.state}
        target = self._url("approval") if sign_in.redirect_uri == OUT_OF_BAND else sign_in.redirect_uri
        return _redirect(target, {**answer, **state}, separator)

    # -- pages ---------------------------------------------------------------------------------------------------------

    def _url(self, name: str) -> str:
        """A page beside the one that the form is posted to."""
        return self._site.url + self._settings.sign_in_paths[0].rpartition("/")[0] + "/" + name

    def _refused(self, text: str, code: int = 400) -> Answer:
        return error_page(text, code, code if self._settings.uses_http_statuses else 200)

    def _sign_in_page(self, sign_in: SignIn, problem: dict[str, str] | None = None) -> Answer:
        info = self._info(sign_in)
        settings = self._settings
        if settings.saml_only:
            return identity_provider_page(info, settings.script_terminator)
        if problem:
            info["messages"] = [problem]
        name = sign_in.parameters.get("prepopulatedusername", "")
        fields = (FormField("username", "User name", "text", name), FormField("password", "Password", "password"))
        action = self._site.url[len(self._site.origin) :] + settings.sign_in_paths[0]
        has_cancel = not is_true(sign_in.parameters.get("hideCancel", ""))
        form = Form("Sign In", "signin", action, sign_in.oauth_state, fields, "Sign In", has_cancel=has_cancel)
        text = f"{problem['message']} ({problem['code']})" if problem else ""
        return form_page(form, info, settings.page_layout, settings.script_terminator, text)

    def _step_page(self, step: Step, sign_in: SignIn, problem: str = "") -> Answer:
        action = self._url(step.action)[len(self._site.origin) :]
        form = Form(step.title, step.name, action, sign_in.oauth_state, step.fields, step.button, step.agreement)
        info = {**self._info(sign_in), "step": step.name, **({"messages": [{"message": problem}]} if problem else {})}
        return form_page(form, info, self._settings.page_layout, self._settings.script_terminator, problem)

    def _info(self, sign_in: SignIn) -> dict[str, Any]:
        """What the script of the page says."""
        saml_only = self._settings.saml_only
        info = {
            "oauth_state": sign_in.oauth_state,
            "client_id": sign_in.app.client_id,
            "appTitle": sign_in.app.title,
            "locale": sign_in.parameters.get("locale", "en"),
            "persistOption": False,
            "showSocialLogins": False,
            "contextPath": self._site.context,
            "appOrgInfo": {"id": ORG_ID, "name": "Embedded Portal", "description": "", "thumbnail": None},
            "orgUrlBase": self._site.url + "/",
            "helpBase": self._site.url + "/portalhelp/",
            "style": sign_in.parameters.get("style", "light"),
            "socialProviders": [],
            "originSignin": True,
            "isMfaRecoveryCodesEnabled": True,
            "customOrgLoginEnabled": saml_only,
        }
        if saml_only:
            url = self._url("saml") + "?" + urlencode({"oauth_state": sign_in.oauth_state})
            info["federationInfo"] = {"idpAuthorizeUrl": url, "idpName": "Embedded Identity Provider"}
        return info


def _invalid_request(description: str) -> dict[str, str]:
    return {"error": "invalid_request", "error_description": description}


def _redirect(target: str, answer: Mapping[str, str], separator: str = "?") -> Answer:
    if separator == "?" and "?" in target:
        separator = "&"
    return Answer(302).add("Location", target + separator + urlencode(answer)).add("Cache-Control", "no-store")


def _text(value: bool) -> str:
    return "true" if value else "false"
