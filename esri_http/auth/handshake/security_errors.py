"""What pyspnego, GSSAPI and MIT Kerberos raise, in our words: what is wrong, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...words.errors import ArcGISLoginError, InteractionRequiredError, SignInError, missing_package

if TYPE_CHECKING:
    from ...words.errors import EsriHttpError, MissingPackageError

_NO_TICKET = "there is no Kerberos ticket; get one by kinit, or give username= and password="
_EXPIRED = "the Kerberos ticket has expired; get a new one by kinit, or give username= and password="
_NO_KDC = "no key distribution centre answers for the realm; check the VPN and krb5.conf"
_SKEW = "the clock of this machine differs too much from the domain's (five minutes at most); set it"

# Codes of RFC 4120 section 7.5.9, on top of MIT's base for its error table.
_BASE = -1765328384
_REFUSED = {
    _BASE + 18: "the account is disabled or locked",
    _BASE + 24: "the password is wrong",
    _BASE + 31: "the password is wrong",
}
_SIGN_IN_REASONS = {
    _BASE + 32: _EXPIRED,
    _BASE + 37: _SKEW,
    _BASE + 156: _NO_KDC,
    _BASE + 154: "the realm is not known; check the user name (user@REALM) and krb5.conf",
    _BASE + 141: _NO_TICKET,
    _BASE + 195: _NO_TICKET,
}
# What a server says of a token that it cannot take.
_TOKEN_REASONS = {
    _BASE + 31: "it has another key than the one that the ticket is made for",
    _BASE + 34: "it has seen the token before",
    _BASE + 35: "the ticket is for another service",
    _BASE + 37: _SKEW,
    _BASE + 41: "it has another key than the one that the ticket is made for",
}
_USER_UNKNOWN = _BASE + 6
_SERVICE_UNKNOWN = _BASE + 7
_PASSWORD_EXPIRED = _BASE + 23
# What every mechanism stands on, by the modules' names; sspilib on Windows.
_PACKAGES = {"spnego": "pyspnego", "cryptography": "cryptography", "sspilib": "sspilib"}


class MechanismUnavailableError(SignInError):
    """This mechanism cannot be used here, and no credentials were refused: another one may be tried in its place."""


class TokenRefusedError(SignInError):
    """The server has sent an error in place of a token."""


class UnknownUserError(ArcGISLoginError):
    """The domain does not know the user, so no password was looked at; it may be the account of one server."""


def translated(error: Exception, mechanism: str, service: str, who: str) -> EsriHttpError:
    """`error`, raised while a token for `service` was made as `who`, as one of ours; holds no secret."""
    if isinstance(error, ImportError):
        return missing(error, mechanism)
    for code in _codes(error):
        if code in _REFUSED:
            return ArcGISLoginError(f"{who} cannot sign in by {mechanism}: {_REFUSED[code]}.")
        if code == _USER_UNKNOWN:
            return UnknownUserError(f"{who} cannot sign in by {mechanism}: the domain knows no such user.")
        if code == _PASSWORD_EXPIRED:
            return InteractionRequiredError(f"{who} cannot sign in by {mechanism}: the password has expired; change it first.")
        if code == _SERVICE_UNKNOWN:
            return MechanismUnavailableError(
                f"Kerberos knows no service {service}; address the server by the name that its service principal has, or give"
                " that by hostname_override= (service= for another kind)."
            )
        if code in _SIGN_IN_REASONS:
            return MechanismUnavailableError(f"{who} cannot sign in by {mechanism}: {_SIGN_IN_REASONS[code]}.")
    return MechanismUnavailableError(f"{who} cannot sign in by {mechanism}: {_by_name(error, mechanism)}.")


def told_by_server(error: Exception, mechanism: str, service: str) -> SignInError:
    """`error`, raised by what the server sent for our token, as one of ours."""
    for code in _codes(error):
        if code in _TOKEN_REASONS:
            return TokenRefusedError(f"{service} refuses the {mechanism} token: {_TOKEN_REASONS[code]}.")
    return TokenRefusedError(f"What {service} sent is no valid {mechanism} token: {_by_name(error, mechanism)}.")


def missing(error: ImportError, mechanism: str) -> MissingPackageError:
    """`error`, raised by pyspnego or in its place, as the package that `mechanism` needs and this Python does not have."""
    name = str(error.name or "").partition(".")[0]
    if mechanism == "Kerberos" and name not in _PACKAGES:
        return missing_package("pyspnego[kerberos]", "Kerberos on this system", extra="kerberos")
    return missing_package(_PACKAGES.get(name, name or "pyspnego"), f"A sign-in by {mechanism}", error=error)


def _codes(error: BaseException) -> list[int]:
    """The error codes of Kerberos that `error` and what it came from carry."""
    found: list[int] = []
    seen: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop(0)
        if one is None or one in seen:
            continue
        seen.append(one)
        code = getattr(one, "err_code", None) or getattr(one, "min_code", None)
        if isinstance(code, int):
            found.append(code if code < 2**31 else code - 2**32)
        todo += [getattr(one, "base_error", None), one.__cause__]
    return found


def _by_name(error: Exception, mechanism: str) -> str:
    names = {kind.__name__ for kind in type(error).__mro__}
    if mechanism == "NTLM" and names & {"NoCredentialError", "OperationNotAvailableError", "InvalidCredentialError"}:
        return "on this system it needs username= and password="
    if "NoCredentialError" in names:
        return _NO_TICKET
    if names & {"CredentialsExpiredError", "ExpiredCredentialsError", "ContextExpiredError"}:
        return _EXPIRED
    if "BadBindingsError" in names:
        return "the server did not accept the channel binding; something between it and us may have a certificate of its own"
    if names & {"BadMICError", "InvalidTokenError", "NativeError", "KeyError", "ValueError", "error", "IndexError"}:
        return "it cannot be read"
    if "InvalidCredentialError" in names:
        return "the credentials cannot be used for it"
    return f"it failed ({type(error).__name__})"
