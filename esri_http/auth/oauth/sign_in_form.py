"""Signing in through a portal's own pages without a person: the last resort, where generateToken is not allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...messages.request import Request
from ...words.errors import ArcGISLoginError, EsriHttpError, InteractionRequiredError, SignInError, TokenRequestError
from ...words.redaction import plain, redact_url
from ...words.urls import resolve_url
from ..tokens.token_requests import form_post, hide_secrets, send
from .oauth_app import OOB
from .one_time_codes import one_time_code
from .pkce import same_state
from .sign_in_pages import Page

if TYPE_CHECKING:
    from ...words.clock import Clock
    from ...words.origins import SplitUrl
    from ..base import Wire
    from .oauth_app import OAuthApp
    from .one_time_codes import CodeSource

_MOST_HOPS = 6
_MOST_STEPS = 5
_LONGEST_WORDS = 300
_MUST_ACT = {
    "mfa": "wants a one-time code; give mfa_code= (the seed of the authenticator app, or a callable)",
    "password": "wants the password to be changed first; sign in once in a browser",
    "terms": "wants its terms and conditions to be accepted; sign in once in a browser, or give accept_terms=True",
    "consent": "wants a person to allow the app; sign in once in a browser",
}


class FormSignIn:
    """One sign-in by user name and password through the pages of the portal of `app`.

    The password is posted once, to the origin of the portal alone. `mfa_code`: a base32 seed or a callable; `accept_terms`:
    whether terms and conditions may be accepted. Not shared between threads.
    """

    def __init__(
        self,
        app: OAuthApp,
        username: str,
        password: str,
        wire: Wire,
        clock: Clock,
        mfa_code: CodeSource = None,
        accept_terms: bool = False,
    ) -> None:
        self._app = app
        self._username = username
        self._password = password
        self._wire = wire
        self._clock = clock
        self._mfa_code = mfa_code
        self._accept_terms = accept_terms

    def code(self, authorize_url: str, redirect_uri: str, state: str) -> str:
        """The authorization code that the sign-in at `authorize_url` ends with.

        Raises `ArcGISLoginError` for a wrong password or one-time code, `InteractionRequiredError` for what only a person
        can do, `TokenRequestError` for pages that cannot be understood.
        """
        try:
            page = self._open(authorize_url, redirect_uri)
            answer = page.answer(redirect_uri)
            if "error" in answer:
                raise self._app_refused(_words_of(answer))
            return self._code_in(answer, redirect_uri, state) if answer else self._after_password(page, redirect_uri, state)
        except SignInError as error:
            hide_secrets(error, (self._password, state))
            raise

    def _open(self, url: str, redirect_uri: str) -> Page:
        """The page at `url`, after redirects within the portal; or the redirect that ends the sign-in."""
        split = resolve_url(self._app.portal.origin, "/", url)
        for _ in range(_MOST_HOPS):
            page = Page(send(Request("GET", split.origin, split.target, {"Accept": "text/html"}), self._wire))
            following = page.next
            if not page.location or page.answer(redirect_uri) or page.step:
                return page
            if following is None or following.origin != self._app.portal.origin:
                where = redact_url(page.location)
                raise InteractionRequiredError(
                    f"{self._app.portal} sends you to {where} to sign in; that takes a person and a browser, or another way to"
                    " sign in.", url=page.response.url,
                )  # fmt: skip
            split = following
        raise TokenRequestError(f"The sign-in page of {self._app.portal} redirects without end.")

    def _after_password(self, page: Page, redirect_uri: str, state: str) -> str:
        """The code at the end of the sign-in whose form is `page`.

        What is not understood after the password counts as its refusal, unless the portal is out of order: only then is it
        safe that no account gets locked.
        """
        self._check_form(page)
        try:
            answer = self._walk(self._post_password(page), redirect_uri)
            if "error" in answer:
                name = plain(answer["error"])
                raise TokenRequestError(f"{self._app.portal} ended the sign-in: {_words_of(answer)}.", error=name)
            return self._code_in(answer, redirect_uri, state)
        except TokenRequestError as error:
            if error.is_of_another or (error.code is not None and error.code >= 500):
                raise
            failure = error
        words = f"{failure} User name and password are not tried again, so that no account is locked."
        raise ArcGISLoginError(words, error=failure.error)

    def _post_password(self, page: Page) -> Page:
        fields = {"oauth_state": page.oauth_state, "username": self._username, "password": self._password, "user_orgkey": ""}
        after = self._post(self._sign_in_url(page), fields)
        if after.status == 404:
            # Releases differ in where the form goes; nobody looked at the password there.
            other = self._app.url("signin")
            after = self._post(other._replace(target=other.target.replace("/sharing/rest/", "/sharing/")), fields)
        if after.says_wrong_password:
            raise ArcGISLoginError(
                f"{self._app.portal} refused user name or password; they are not tried again, so that no account is locked."
            )
        return after

    def _check_form(self, page: Page) -> None:
        """Raise, unless `page` is one where a built-in account can sign in."""
        if page.error_text:
            raise self._app_refused(page.error_text)
        if page.takes_passwords:
            return
        if page.info:
            name = (page.provider or {}).get("idpName")
            what = f"only by {name!r:.100}" if isinstance(name, str) else "in another way"
            raise InteractionRequiredError(
                f"{self._app.portal} has no sign-in for built-in accounts: people sign in there {what}. Use EsriOAuth2Auth"
                " with a client_id in a browser, or a token."
            )
        title = f" ({page.title:.100})" if page.title else ""
        raise InteractionRequiredError(
            f"At {page.shown} is no sign-in form of a portal: HTTP {page.status}{title}. Is it a portal, and not a server or"
            " the page of a proxy or web tier?"
        )

    def _app_refused(self, words: str) -> TokenRequestError:
        return TokenRequestError(f"{self._app.portal} refuses the app {self._app.client_id}: {words}.", error="app")

    def _sign_in_url(self, page: Page) -> SplitUrl:
        """Where the form goes: the page's own word if that stays at the portal, the usual place otherwise."""
        action = page.sign_in_action
        if action is not None:
            try:
                url = resolve_url(page.origin, page.target, action)
            except EsriHttpError:
                url = None
            if url is not None and url.origin == self._app.portal.origin:
                return url
        return self._app.url("signin")

    def _walk(self, page: Page, redirect_uri: str) -> dict[str, str]:
        """From the page after the password to the end, by the steps that can be taken here."""
        for _ in range(_MOST_STEPS):
            answer = page.answer(redirect_uri)
            if answer:
                return answer
            if page.location and page.next is not None and page.next.origin == self._app.portal.origin and not page.step:
                page = self._open(str(page.next), redirect_uri)
                continue
            taken = page.step
            page = self._take(page)
            if page.step == taken == "mfa":
                raise ArcGISLoginError(f"{self._app.portal} refused the one-time code; is the clock of this machine right?")
        raise TokenRequestError(f"The sign-in at {self._app.portal} does not come to an end.")

    def _take(self, page: Page) -> Page:
        state = page.oauth_state
        if page.step == "mfa" and self._mfa_code is not None:
            code = one_time_code(self._mfa_code, self._clock)
            return self._post(self._app.url("mfa"), {"oauth_state": state, "mfa_code": code, "totp": code, "recovery_code": ""})
        if page.step == "terms" and self._accept_terms:
            fields = {"oauth_state": state, "acceptTermsAndConditions": "true"}
            return self._post(self._app.url("acceptTermsAndConditions"), fields)
        if page.step:
            raise InteractionRequiredError(
                f"{self._app.portal} {_MUST_ACT[page.step]}.", url=page.response.url, error=page.step
            )
        title = f" ({page.title:.100})" if page.title else ""
        raise TokenRequestError(f"After the password, {self._app.portal} showed a page that is not understood{title}.")

    def _post(self, url: SplitUrl, fields: dict[str, str]) -> Page:
        page = Page(send(form_post(url.origin, url.target, fields), self._wire))
        if page.status >= 500:
            raise TokenRequestError(f"{page.shown} is out of order: HTTP {page.status}.", url=page.shown, code=page.status)
        return page

    def _code_in(self, answer: dict[str, str], redirect_uri: str, state: str) -> str:
        """The code in the end of a sign-in, if it is the end of ours; what is shown to be copied has no state."""
        if ("state" in answer or redirect_uri != OOB) and not same_state(state, answer.get("state")):
            raise TokenRequestError(f"{self._app.portal} answered with another sign-in's state; the code is not used.")
        return answer["code"]


def _words_of(answer: dict[str, str]) -> str:
    return plain(f"{answer['error']} {answer.get('error_description', '')}".strip(), _LONGEST_WORDS)
