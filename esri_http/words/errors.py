"""Every error that esri_http raises, in one tree.

::

    EsriHttpError
    ├── TransportError                 no usable answer came back
    │   ├── ConnectError               DNS failure, refused, unreachable
    │   ├── ConnectionLostError        reset or closed before or inside the answer
    │   ├── EsriTimeoutError           (also a TimeoutError)
    │   │   ├── ConnectTimeoutError
    │   │   ├── ReadTimeoutError
    │   │   └── DeadlineExceededError  the total time for the call is used up
    │   ├── TlsError                   handshake failed; `reason` says why
    │   │   └── CertificateError       the server's certificate was not accepted
    │   ├── ProxyError                 the proxy refused, or could not be reached
    │   └── ProtocolError              what came back is not HTTP, or cannot be decoded
    ├── RedirectError                  carries the `response` that asked for it
    │   ├── RedirectRefusedError       `allow_redirects=False`, or a hop that is not safe
    │   └── TooManyRedirectsError      a loop, or more hops than the limit
    ├── EsriHttpResponseError          HTTP status >= 400, or an ArcGIS error envelope
    │   └── InvalidJsonError           (also a ValueError) JSON was asked for, something else came
    ├── SignInError                    no token or no signed-in connection could be had
    │   ├── ArcGISLoginError           the user name, password, key or token was refused
    │   ├── TokenRequestError          the token service failed, or gave an answer that is none
    │   ├── InteractionRequiredError   a person has to do something first
    │   └── NoTokenError               a server wants a token, and none of the session's is for it
    ├── InvalidRequestError            (also a ValueError) the call itself cannot be sent
    │   ├── InvalidUrlError
    │   ├── InvalidHeaderError
    │   └── BodyNotReplayableError     a one-shot body would have to be sent again
    └── ConfigurationError             (also a ValueError) a setting cannot work
        ├── CertificateFileError       a certificate, key or CA file that cannot be used
        ├── LocalFileError             a file to be uploaded or written that cannot be
        ├── ProfileError               a stored profile that is not there, damaged, or cannot be saved
        │   └── SecretStoreError       its password cannot be had or kept: no keyring, or a locked one
        └── MissingPackageError        (also an ImportError) an optional package is absent

None of them is an `OSError` or one of urllib3's errors, so nothing below can mistake them for a lost connection. All of
them pickle, and none of them holds a secret: URLs appear without user info, query and fragment. The token services refine
`TokenRequestError` for their own use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import Callable


class EsriHttpError(Exception):
    """Root of all errors of this package.

    `message` says what happened, where, and what to do; `url` (str or None) is the redacted URL of the request.
    """

    def __init__(self, message: str = "", *, url: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.url = None if url is None else redact_url(url)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Callable[..., EsriHttpError], tuple[Any, ...]]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[EsriHttpError], args: tuple[Any, ...], state: dict[str, Any]) -> EsriHttpError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class TransportError(EsriHttpError):
    """No usable answer came back; the cause is in `__cause__`."""


class ConnectError(TransportError):
    """The server could not be reached: its name is unknown, or it refused, or there is no way to it."""


class ConnectionLostError(TransportError):
    """The connection was reset or closed before the whole answer was there."""


class EsriTimeoutError(TransportError, TimeoutError):
    """Something took longer than the call allows. Also a `TimeoutError`, as users expect."""


class ConnectTimeoutError(EsriTimeoutError):
    """No connection within the connect time-out."""


class ReadTimeoutError(EsriTimeoutError):
    """The server was silent for longer than the read time-out."""


class DeadlineExceededError(EsriTimeoutError):
    """The total time for the call, redirects, retries and sign-in included, is used up."""


class TlsError(TransportError):
    """The TLS handshake failed. `reason` (str) is OpenSSL's word for it, or empty."""

    def __init__(self, message: str = "", *, url: str | None = None, reason: str = "") -> None:
        super().__init__(message, url=url)
        self.reason = reason


class CertificateError(TlsError):
    """The server's certificate was not accepted; nothing was sent."""


class ProxyError(TransportError):
    """The proxy could not be reached, wants a sign-in, or refused to connect."""


class ProtocolError(TransportError):
    """What came back breaks HTTP, or its content cannot be decoded."""


class RedirectError(EsriHttpError):
    """A redirect that was not followed. `response` is the answer that asked for it."""

    def __init__(self, message: str = "", *, url: str | None = None, response: Any = None) -> None:
        super().__init__(message, url=url)
        self.response = response


class RedirectRefusedError(RedirectError):
    """Redirects are switched off for this call, or this hop would not be safe."""


class TooManyRedirectsError(RedirectError):
    """The redirects go in a circle, or there are more than the limit."""


class EsriHttpResponseError(EsriHttpError):
    """The server answered with an error: an HTTP status >= 400 or an ArcGIS envelope (often inside HTTP 200).

    Attributes: `code` (int or None), `message_code` (str or None, such as ``GWM_0003``), `details` (list of str),
    `status_code` (int or None, the HTTP status), `response` (the answer, or None), `method` (str or None).
    """

    def __init__(
        self,
        message: str = "",
        *,
        url: str | None = None,
        code: int | None = None,
        message_code: str | None = None,
        details: list[str] | None = None,
        status_code: int | None = None,
        method: str | None = None,
        response: Any = None,
    ) -> None:
        super().__init__(message, url=url)
        self.code = code
        self.message_code = message_code
        self.details = details or []
        self.status_code = status_code
        self.method = method
        self.response = response


class InvalidJsonError(EsriHttpResponseError, ValueError):
    """JSON was wanted and the body is something else (a web page, cut off, empty). The body is not in the text."""


class SignInError(EsriHttpError):
    """No token, or no signed-in connection, could be had.

    `code` (int or None), `error` (str or None, OAuth's short name) and `details` (list of str) are the server's words.
    """

    is_of_another = False
    """Whether it ended a request by which one handler signs in, though it is about the sign-in of another one."""

    def __init__(
        self,
        message: str = "",
        *,
        url: str | None = None,
        code: int | None = None,
        error: str | None = None,
        details: list[str] | None = None,
    ) -> None:
        super().__init__(message, url=url)
        self.code = code
        self.error = error
        self.details = details or []


class ArcGISLoginError(SignInError):
    """The credentials were refused. They are not tried again until something changes, so no account gets locked."""


class TokenRequestError(SignInError):
    """The token service failed or its answer holds no token; other than with `ArcGISLoginError`, trying later may help."""


class InteractionRequiredError(SignInError):
    """A person must act first: a sign-in page, a one-time code, terms to accept, a password to change."""


class NoTokenError(SignInError):
    """A server wants a token, and none of the session's is for it; the message says why."""


class InvalidRequestError(EsriHttpError, ValueError):
    """The call cannot be sent as it is; nothing left this machine."""


class InvalidUrlError(InvalidRequestError):
    """The URL is not an absolute http(s) URL that reads the same to everybody (RFC 3986)."""


class InvalidHeaderError(InvalidRequestError):
    """A header, method or cookie that would change the shape of the request (RFC 9110 section 5.5)."""


class BodyNotReplayableError(InvalidRequestError):
    """The body can be read only once and would have to be sent again; a file or bytes can be sent again."""


class ConfigurationError(EsriHttpError, ValueError):
    """A setting that cannot work."""


class CertificateFileError(ConfigurationError):
    """A certificate, key or CA file is missing, unreadable, damaged, or needs a password. `path` names it.

    `needs_password`: whether it is the password of a private key that is missing.
    """

    def __init__(self, message: str = "", *, path: str | None = None, needs_password: bool = False) -> None:
        super().__init__(message)
        self.path = path
        self.needs_password = needs_password


class LocalFileError(ConfigurationError):
    """A file of this machine that cannot be read, or written. `path` names it; the cause is in `__cause__`."""

    def __init__(self, message: str = "", *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class ProfileError(ConfigurationError):
    """A stored profile that is not there, cannot be read, or cannot be saved. `profile` names it; `None` for all of them."""

    def __init__(self, message: str = "", *, profile: str | None = None) -> None:
        super().__init__(message)
        self.profile = profile


class SecretStoreError(ProfileError):
    """The password of a profile cannot be had or kept: there is no keyring, or it is locked."""


class MissingPackageError(ConfigurationError, ImportError):
    """An optional package is needed for this. `package` names it; the message has the command that installs it."""

    def __init__(self, message: str = "", *, package: str = "") -> None:
        super().__init__(message)
        self.package = package


def missing_package(
    package: str, purpose: str, extra: str | None = None, error: ImportError | None = None
) -> MissingPackageError:
    """The one wording for an absent optional package, and for one that `error` keeps from being loaded."""
    if error is not None and not isinstance(error, ModuleNotFoundError):
        # One built for another system or processor, or a sub-interpreter (of which `cryptography` wants to know nothing).
        why = str(error).partition("\n")[0]
        message = f"{purpose} needs the package {package}, which cannot be loaded here: {why}"
        return MissingPackageError(message, package=package)
    what = f'"esri_http[{extra}]"' if extra else package
    return MissingPackageError(f"{purpose} needs the package {package}: pip install {what}", package=package)
