"""`EsriBuiltInAuth`: user name and password at a portal, by whichever way the organisation allows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ...words.errors import ConfigurationError, TokenRequestError
from ..tokens.generate_token import REFERER
from ..tokens.lifetimes import DEFAULT_MINUTES
from ..tokens.token_answers import PolicyRefusedError
from ..tokens.token_requests import ask_for_token, minutes_field
from ..tokens.token_services import portal_service
from .oauth2 import with_known_names
from .oauth_app import OAuthApp
from .oauth_auth import OAuthAuth

if TYPE_CHECKING:
    from ..base import Wire
    from ..tokens.keeper import Fetched
    from .oauth_app import Grant

log = logging.getLogger("esri_http.auth")

# An app that every portal knows; tried where it does not know the other one.
_FALLBACK_APP = "arcgisonline"


class EsriBuiltInAuth(OAuthAuth):
    """A built-in account (also LDAP and Active Directory accounts, ``DOMAIN\\\\user``, at the portal tier).

    Safe to share between threads. generateToken is asked first, with one POST. Where the organisation does not allow that
    (OAuth only, a second factor), the portal's sign-in page is used, without a person: `mfa_code` (the base32 seed of the
    authenticator app, or a callable) answers the second factor, `accept_terms=True` accepts terms and conditions; what only
    a person can do is an `InteractionRequiredError` that says which step. A refused password is posted once; it is not tried
    again until `password` is set anew.

    `url`: any URL of the portal. `expiration`: minutes that the sign-in should last (`token_expires` says what was
    granted); `None` for two weeks, -1 for the longest allowed. `referer`: what the token is bound to; `None` for the
    session's. `client_id`: the app in whose name the page is used. `verify_sign_in`: have the portal say who we are.
    `legacy`: send ``token=`` instead of a header.
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str | None = None,
        expiration: float | None = None,
        legacy: bool = False,
        verify_cert: Any = True,
        referer: str | None = None,
        session: Any = None,
        *,
        client_id: str = "pythonapi",
        **options: Any,
    ) -> None:
        if not username:
            raise ConfigurationError("EsriBuiltInAuth needs a user name.")
        given = {
            "client_id": client_id,
            "username": username,
            "password": password,
            "expiration": DEFAULT_MINUTES if expiration is None else expiration,
            "legacy": legacy,
            "verify_cert": verify_cert,
            "referer": referer,
            "session": session,
        }
        super().__init__(url, **{**given, **with_known_names(options, "EsriBuiltInAuth")})
        # A second factor never gets past generateToken.
        self._page_only = self._mfa_code is not None

    def referer_to_send(self, wire: Wire) -> str | None:
        """See `TokenAuth.referer_to_send`: a token has to be bound to some referer even where the session has none."""
        return self.referer if self.referer or wire.referer else REFERER

    def _fetch(self, wire: Wire) -> Fetched:
        if self._keeper.refusal is None and self._refresh_token is None and not self._page_only:
            try:
                self._ask_password()
                return self._remembering(lambda: self._generate(wire))
            except PolicyRefusedError as error:
                log.info("%s does not allow generateToken (%s), its sign-in page is used", self.portal, error)
                self._page_only = True
        return super()._fetch(wire)

    def _generate(self, wire: Wire) -> Fetched:
        referer = self.referer or wire.referer or REFERER
        fields = {"username": self.username, "password": self._ask_password(), "client": "referer", "referer": referer}
        fields["expiration"] = minutes_field(self._minutes)
        return ask_for_token(portal_service(self.portal).url, fields, referer, wire, self.clock, self._minutes)

    def _sign_in(self, wire: Wire) -> Grant:
        try:
            return self._by_form(self._app, wire)
        except TokenRequestError as error:
            if self._app.client_id == _FALLBACK_APP or error.error != "app":
                raise
        self._app = OAuthApp(self.portal, _FALLBACK_APP)
        return self._by_form(self._app, wire)

    def _revoke(self) -> bool:
        # A token from generateToken cannot be revoked, though a portal says that it did.
        return self._refresh_token is not None and super()._revoke()
