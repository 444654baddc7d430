"""What token services answer, read with suspicion: a token with its lifetime, or an error that says whose fault it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...words.errors import ArcGISLoginError, EsriHttpError, SignInError, TokenRequestError
from ...words.redaction import redact_url
from .keeper import Fetched, check_token
from .lifetimes import number_in, sensible_life

if TYPE_CHECKING:
    from ...messages.envelope import EsriError
    from ...messages.response import Response
    from ...words.clock import Clock

# Real answers are a hundredth of it.
_LARGEST_ANSWER = 4 * 1024 * 1024
# HTTP statuses of a service that is switched off.
_CLOSED_STATUSES = frozenset({403, 404, 405, 410})
_REFUSED_CODES = frozenset({400, 401, 403})
# With these words a token service finds fault with the request, not with user name or password. Any other refusal counts
# as one of the password, in whatever language: only then is it safe that no account gets locked.
_OTHER_FAULTS = ("'referer'", "'ip'", "'client'", "client id", "query string", "ssl", "https", "for this server", "expiration")
_NOT_FOR_SERVER = "for this server"
# With these words an organisation does not take a password there at all: nobody has looked at it.
_POLICIES = ("oauth", "multifactor", "multi-factor", "for this organization", "for this organisation", "saml")


class NotForServerError(TokenRequestError):
    """The portal has no token for the server that one was asked for: it is not federated with it."""


class PolicyRefusedError(TokenRequestError):
    """The organisation does not give tokens for passwords here; its sign-in page may."""


def read_json(response: Response, what: str) -> dict[str, Any]:
    """The JSON object that a sign-in endpoint must answer with.

    Raises `TokenRequestError` for anything else: a redirect, a web page, broken or other JSON, an HTTP error.
    """
    place = f"{what} at {redact_url(response.url)}"
    if response.is_redirect:
        target = redact_url(response.headers.get("location") or "")
        response.discard()
        raise TokenRequestError(
            f"{place} redirects to {target}. Credentials are not sent after a redirect: use the final address.",
            url=response.url,
        )
    answer, failure = None, ""
    try:
        if len(response.peek(_LARGEST_ANSWER + 1)) > _LARGEST_ANSWER:
            response.close()
            raise TokenRequestError(f"It is longer than {_LARGEST_ANSWER} bytes.")
        answer = response.json()
    except EsriHttpError as error:
        failure = str(error)  # not the error itself: what came, perhaps half a token, hangs on it
    if failure:
        raise TokenRequestError(f"{place} gave no usable answer. {failure}", url=response.url)
    if not isinstance(answer, dict):
        raise TokenRequestError(
            f"{place} answered with JSON that is not an object (HTTP {response.status_code}).", url=response.url
        )
    return answer


def read_token(response: Response, clock: Clock, asked_minutes: float | None = None, by_password: bool = False) -> Fetched:
    """The token in the answer of a generateToken service (ArcGIS REST, section generateToken).

    `asked_minutes` is the lifetime that was asked for, used when what the server says of it makes no sense; `by_password`:
    user name and password were posted. Raises `ArcGISLoginError` when they were refused, `NotForServerError` when there is
    no token for the server in question, `TokenRequestError` for everything else.
    """
    answer = read_json(response, "The token service")
    token = answer.get("token")
    if token is None and (response.esri_error is not None or response.status_code >= 400):
        raise refusal(response, response.esri_error, by_password)
    value = check_token(token, response.url)
    expires_ms = number_in(answer.get("expires"))
    expires_at = None if expires_ms is None else expires_ms / 1000.0
    ssl = answer.get("ssl")
    lifetime = lifetime_seconds(expires_at, response, clock)
    if lifetime is None and asked_minutes is not None:
        lifetime = asked_minutes * 60.0
    return Fetched(value, expires_at, lifetime, ssl if isinstance(ssl, bool) else None)


def refusal(response: Response, error: EsriError | None, by_password: bool) -> SignInError:
    """The error for what a token service answered in place of a token: the credentials' fault, or the service's."""
    code = response.status_code if error is None else error.code
    details = [] if error is None else list(error.details)
    words = f"HTTP {response.status_code} {response.reason}".rstrip() if error is None else str(error)
    place = redact_url(response.url)
    said = words.lower()
    refused = by_password and error is not None and code in _REFUSED_CODES
    if by_password and (any(word in said for word in _POLICIES) or (error is None and code in _CLOSED_STATUSES)):
        return PolicyRefusedError(f"{place} takes no passwords: {words}", url=response.url, code=code, details=details)
    if refused and not any(fault in said for fault in _OTHER_FAULTS):
        message = (
            f"{place} refused the sign-in: {words} Check user name (its letter case counts here) and password; they are not"
            " tried again, so that the account is not locked."
        )
        return ArcGISLoginError(message, url=response.url, code=code, details=details)
    kind = NotForServerError if _NOT_FOR_SERVER in said else TokenRequestError
    return kind(f"{place} gave no token: {words}", url=response.url, code=code, details=details)


def lifetime_seconds(expires_at: float | None, response: Response, clock: Clock) -> float | None:
    """Seconds from now until `expires_at`, by the server's own clock where its `Date` tells it; `None` for nonsense."""
    return None if expires_at is None else sensible_life(expires_at - server_time(response, clock))


def server_time(response: Response, clock: Clock) -> float:
    """What the server's clock says (epoch seconds); ours where it does not say."""
    from ...messages.dates import moment_of

    moment = moment_of(response, "date")
    return clock.time() if moment is None else moment
