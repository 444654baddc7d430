"""A registered app at a portal: its authorize page and its token endpoint (RFC 6749; ArcGIS REST, oauth2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ...messages.envelope import parse_error
from ...messages.forms import encode_fields
from ...words.errors import ArcGISLoginError, SignInError, TokenRequestError
from ...words.origins import SplitUrl
from ...words.redaction import redact_url
from ..tokens.keeper import Fetched, check_token
from ..tokens.lifetimes import number_in, sensible_life
from ..tokens.token_answers import read_json
from ..tokens.token_requests import form_post, hide_secrets, minutes_field, send
from .pkce import Proof

if TYPE_CHECKING:
    from ...messages.response import Response
    from ..base import Wire
    from ..sites import Root

OOB = "urn:ietf:wg:oauth:2.0:oob"
_SECRET_FIELDS = ("client_secret", "refresh_token", "code", "code_verifier", "password", "auth_token")
_LONGEST_NAME = 100
# OAuth errors (RFC 6749 section 5.2 and ArcGIS's own) that another try cannot mend.
_FINAL_CODES = frozenset({400, 401, 403, 498})


class Grant(NamedTuple):
    """What a portal granted. Lifetimes in seconds from now; `None`: it did not say. Its repr shows no token.

    `redirect_uri`: the one that the sign-in ended at, which an exchange of its refresh token has to name again.
    """

    access_token: str
    expires_in: float | None = None
    refresh_token: str | None = None
    refresh_token_expires_in: float | None = None
    username: str | None = None
    ssl: bool | None = None
    redirect_uri: str | None = None

    def fetched(self, now: float) -> Fetched:
        """The access token in the form that a `TokenKeeper` holds; `now` in epoch seconds."""
        expires_at = None if self.expires_in is None else now + self.expires_in
        return Fetched(self.access_token, expires_at, self.expires_in, self.ssl or None)

    def __repr__(self) -> str:
        return f"<Grant for {self.username!r}, {self.expires_in} s>"


class OAuthApp:
    """An app by its client id. Immutable, shared by threads."""

    def __init__(self, portal: Root, client_id: str, client_secret: str | None = None) -> None:
        self.portal = portal
        self.client_id = client_id
        self._client_secret = client_secret

    def authorize_url(self, redirect_uri: str, state: str, proof: Proof | None, minutes: float | None, **more: str) -> str:
        """Where a person signs in. `minutes`: life of the refresh token, -1 for the longest, `None` for the portal's own."""
        fields = {"client_id": self.client_id, "response_type": "code", "redirect_uri": redirect_uri, "state": state}
        if minutes is not None:
            fields["expiration"] = minutes_field(minutes)
        if proof is not None:
            fields.update(code_challenge=proof.challenge, code_challenge_method="S256")
        return f"{self.url('authorize')}?{encode_fields({**fields, **more})}"

    def url(self, name: str) -> SplitUrl:
        """One of the app's endpoints: ``authorize``, ``token``, ``revokeToken``, ``signin``."""
        return SplitUrl(self.portal.origin, f"{self.portal.path}/sharing/rest/oauth2/{name}")

    def by_code(self, code: str, redirect_uri: str, proof: Proof | None, wire: Wire) -> Grant:
        """`authorization_code`: the code that a sign-in ended with."""
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if proof is not None:
            fields["code_verifier"] = proof.verifier
        return self.ask(fields, wire)._replace(redirect_uri=redirect_uri)

    def by_refresh_token(self, refresh_token: str, wire: Wire, exchange_for: str | None = None) -> Grant:
        """`refresh_token`; or `exchange_refresh_token`, which gives a new one, with its redirect URI in `exchange_for`."""
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        if exchange_for is not None:
            fields.update(grant_type="exchange_refresh_token", redirect_uri=exchange_for)
        return self.ask(fields, wire)

    def by_secret(self, minutes: float | None, wire: Wire) -> Grant:
        """`client_credentials`: the app as itself."""
        fields: dict[str, Any] = {"grant_type": "client_credentials"}
        if minutes is not None:
            fields["expiration"] = minutes_field(minutes)
        return self.ask(fields, wire)

    def ask(self, fields: dict[str, Any], wire: Wire) -> Grant:
        """Post to the token endpoint, once. Raises `ArcGISLoginError` for a refusal, else `TokenRequestError`."""
        return read_grant(*self.post("token", fields, wire))

    def post(self, name: str, fields: dict[str, Any], wire: Wire) -> tuple[Response, dict[str, Any]]:
        """The answer of an endpoint to `fields`, and the JSON object in it; raises `SignInError` for an error in it."""
        posted = {"client_id": self.client_id, **fields, "f": "json"}
        if self._client_secret:
            posted["client_secret"] = self._client_secret
        url = self.url(name)
        response = send(form_post(url.origin, url.target, posted, wire.referer), wire)
        try:
            answer = read_json(response, "The OAuth service")
            problem = refusal_of(response, answer)
            if problem is not None:
                raise problem
        except SignInError as error:
            hide_secrets(error, (posted.get(field) for field in _SECRET_FIELDS))
            raise
        return response, answer

    def revoke(self, token: str, hint: str, wire: Wire) -> bool:
        """Have the portal forget a token; `hint` is ``access_token`` or ``refresh_token``. Whether it says that it did."""
        _, answer = self.post("revokeToken", {"auth_token": token, "token_type_hint": hint}, wire)
        return answer.get("success") is True


def read_grant(response: Response, answer: dict[str, Any]) -> Grant:
    """The tokens in the answer of ``oauth2/token``; raises `TokenRequestError` where there is none."""
    username = answer.get("username")
    refresh_token = answer.get("refresh_token")
    ssl = answer.get("ssl")
    return Grant(
        check_token(answer.get("access_token"), response.url),
        _life(answer.get("expires_in")),
        None if refresh_token is None else check_token(refresh_token, response.url),
        _life(answer.get("refresh_token_expires_in")),
        username if isinstance(username, str) else None,
        ssl if isinstance(ssl, bool) else None,
    )


def refusal_of(response: Response, answer: dict[str, Any]) -> SignInError | None:
    """The error in the answer of an OAuth endpoint, in ArcGIS's envelope or RFC 6749's own form; `None` for none."""
    found = answer.get("error")
    if not found and response.status_code < 400:
        return None
    facts = found if isinstance(found, dict) else answer
    name = facts.get("error")
    name = name if isinstance(name, str) and name.isprintable() and len(name) <= _LONGEST_NAME else None
    said = parse_error({"error": facts})
    code = response.status_code if said is None or said.code is None else said.code
    words = f"HTTP {response.status_code}" if said is None else str(said)
    message = f"{redact_url(response.url)} gave no token: {words}{f' ({name})' if name and name != words else ''}"
    final = code in _FINAL_CODES or (code == 200 and name is not None)
    kind = ArcGISLoginError if final else TokenRequestError
    return kind(message, url=response.url, code=code, error=name, details=list(said.details) if said else [])


def _life(said: object) -> float | None:
    """A lifetime in seconds; `None` for nonsense."""
    return sensible_life(number_in(said) or 0.0)
