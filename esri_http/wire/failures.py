"""urllib3's errors in our words: what happened, where, and what to do about it."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Any, Callable

from urllib3 import exceptions as urllib3_errors

from ..words import errors as ours
from ..words.redaction import redact_url
from .answers import MalformedAnswer

if TYPE_CHECKING:
    from ..messages.request import Request
    from ..words.clock import Deadline
    from ..words.origins import Origin
    from .proxies import Proxy

_TLS_ADVICE = (
    ("CERTIFICATE_REQUIRED", "the server wants a client certificate; give one by cert="),
    ("HANDSHAKE_FAILURE", "no common ground was found; the server may want a client certificate (cert=)"),
    ("BAD_CERTIFICATE", "the server did not accept our client certificate, or misses one (cert=)"),
    ("CERTIFICATE_UNKNOWN", "the server did not accept our client certificate"),
    ("UNSUPPORTED_CERTIFICATE", "the server does not take client certificates of the kind of ours"),
    ("UNKNOWN_CA", "the server does not know the issuer of our client certificate"),
    ("CERTIFICATE_EXPIRED", "our client certificate has expired"),
    ("CERTIFICATE_REVOKED", "our client certificate is revoked"),
    ("ACCESS_DENIED", "the server knows our client certificate and does not let it in"),
    ("WRONG_VERSION_NUMBER", "what answers there does not speak TLS; is it an http:// address?"),
    ("HTTP_REQUEST", "what answers there does not speak TLS; is it an http:// address?"),
    ("PROTOCOL_VERSION", "the server only speaks versions of TLS older than 1.2"),
    ("UNSUPPORTED_PROTOCOL", "the server only speaks versions of TLS older than 1.2"),
    ("UNEXPECTED_EOF", "the server hung up during the handshake; it may want a client certificate (cert=)"),
)
_TLS_ALERT = "\x15\x03"


def translate(
    error: BaseException, request: Request, deadline: Deadline | None = None, proxy: Proxy | None = None
) -> ours.EsriHttpError:
    """`error` as one of ours; the original becomes its cause when it is raised `from` it.

    After the `deadline` of the call it is the deadline's fault, whatever broke. `proxy`: what the request went through.
    """
    if isinstance(getattr(error, "url", None), str):
        error.url = redact_url(error.url)  # type: ignore[attr-defined]  # Dask pickles causes, too
    if deadline is not None and not deadline.allows(0):
        return too_late(request, deadline)
    return _Translation(request, proxy).of(error)


def located(error: ours.TransportError, request: Request) -> ours.TransportError:
    """`error`, which may know nothing but the proxy, with what was under way."""
    if error.url is not None:
        return error
    return type(error)(f"{request.method} {redact_url(request.url)}: {error}", url=request.url)


def too_late(request: Request, deadline: Deadline) -> ours.DeadlineExceededError:
    """The error for a call whose time is up."""
    where = f"{request.method} {redact_url(request.url)}"
    message = f"{where}: the {deadline.seconds:g} s for the whole call are used up."
    return ours.DeadlineExceededError(message, url=request.url)


class _Translation:
    def __init__(self, request: Request, proxy: Proxy | None) -> None:
        self.proxy = f"the proxy {proxy}" if proxy else "the proxy"
        self.origin: Origin = request.origin
        self.place = f"{request.method} {redact_url(request.url)}"
        self.url = request.url

    def of(self, error: BaseException) -> ours.EsriHttpError:
        if isinstance(error, ours.ProtocolError):
            return ours.ProtocolError(f"{self.place}: {error}", url=self.url)  # the decoder's, which knows no place
        for kinds, method in self._table():
            if isinstance(error, kinds):
                return method(error)
        return ours.ProtocolError(f"{self.place}: the exchange failed ({type(error).__name__}).", url=self.url)

    def _table(self) -> tuple[tuple[Any, Callable[[Any], ours.EsriHttpError]], ...]:
        return (
            (urllib3_errors.ProxyError, self._proxy),
            (urllib3_errors.SSLError, lambda error: self._tls(error.args[0] if error.args else error)),
            (ssl.SSLError, self._tls),
            (urllib3_errors.ConnectTimeoutError, self._not_reached),
            (urllib3_errors.NewConnectionError, self._not_reached),
            ((urllib3_errors.ReadTimeoutError, urllib3_errors.TimeoutError, socket.timeout), self._silent),
            (urllib3_errors.ProtocolError, self._broken),
            ((urllib3_errors.LocationValueError, UnicodeError), self._bad_host),
            ((http.client.HTTPException, ValueError), self._garbage),
            (OSError, self._lost),
        )

    def _not_reached(self, error: Exception) -> ours.EsriHttpError:
        where = self.origin.authority
        cause = error.__cause__ or error.__context__
        if isinstance(cause, socket.gaierror) or "NameResolution" in type(error).__name__:
            message = f"{self.place}: the name {self.origin.host} is not known; check its spelling, the DNS and the VPN."
            return ours.ConnectError(message, url=self.url)
        refused = isinstance(error, urllib3_errors.NewConnectionError)
        if isinstance(cause, socket.timeout) or not refused:
            return ours.ConnectTimeoutError(
                f"{self.place}: no connection to {where} within the connect time-out.", url=self.url
            )
        why = getattr(cause, "strerror", None) or "no way to it"
        return ours.ConnectError(f"{self.place}: could not connect to {where}: {why}.", url=self.url)

    def _silent(self, error: Exception) -> ours.EsriHttpError:
        return ours.ReadTimeoutError(
            f"{self.place}: {self.origin.authority} was silent for longer than the read time-out.", url=self.url
        )

    def _broken(self, error: urllib3_errors.HTTPError) -> ours.EsriHttpError:
        cause = next((part for part in error.args if isinstance(part, BaseException)), None)
        if isinstance(error, urllib3_errors.IncompleteRead) or isinstance(cause, http.client.IncompleteRead):
            return ours.ConnectionLostError(f"{self.place}: the answer breaks off before its announced end.", url=self.url)
        if isinstance(cause, OSError):
            return self._lost(cause)
        return self._garbage(cause or error)

    def _lost(self, error: BaseException) -> ours.EsriHttpError:
        if isinstance(error, socket.timeout):
            return self._silent(error)
        why = getattr(error, "strerror", None) or "closed without an answer"
        return ours.ConnectionLostError(
            f"{self.place}: the connection to {self.origin.authority} was lost ({why}).", url=self.url
        )

    def _garbage(self, error: BaseException) -> ours.EsriHttpError:
        why = error if isinstance(error, MalformedAnswer) else type(error).__name__
        if str(getattr(error, "line", "")).startswith(_TLS_ALERT):
            message = f"{self.place}: what answers at {self.origin.authority} speaks TLS; is it an https:// address?"
            return ours.ProtocolError(message, url=self.url)
        return ours.ProtocolError(f"{self.place}: what {self.origin.authority} sent is not valid HTTP ({why}).", url=self.url)

    def _bad_host(self, error: Exception) -> ours.EsriHttpError:
        return ours.InvalidUrlError(f"{self.place}: {self.origin.host} cannot be used as a host name.", url=self.url)

    def _proxy(self, error: urllib3_errors.ProxyError) -> ours.EsriHttpError:
        original = error.original_error
        text = str(original)
        if "Tunnel connection failed: 407" in text:
            what = f"{self.proxy} wants a sign-in; put it in its address, http://user:password@host:port, or give proxy_auth="
        elif "Tunnel connection failed" in text:
            what = f"{self.proxy} refused to connect to {self.origin.authority}"
        elif isinstance(original, (ssl.SSLError, urllib3_errors.SSLError)):
            return self._proxy_tls(original)
        else:
            what = f"{self.proxy} could not be reached; check proxies= and the HTTP(S)_PROXY variables"
        return ours.ProxyError(f"{self.place}: {what}.", url=self.url)

    def _proxy_tls(self, error: BaseException) -> ours.EsriHttpError:
        question = "is its address http:// rather than https://, is its CA in ca_bundles=?"
        return ours.ProxyError(f"{self.place}: no TLS connection to {self.proxy} ({_reason(error)}); {question}", url=self.url)

    def _tls(self, error: BaseException) -> ours.EsriHttpError:
        where = self.origin.authority
        if self.origin.scheme == "http":
            return self._proxy_tls(error)
        if isinstance(error, ssl.SSLCertVerificationError) or type(error).__name__ == "CertificateError":
            why = getattr(error, "verify_message", "") or "it is for other names"
            message = (
                f"{self.place}: the certificate of {where} was not accepted: {why.rstrip('.')}. {_certificate_advice(why)}"
            )
            return ours.CertificateError(message, url=self.url, reason=why)
        reason = _reason(error)
        advice = next((advice for word, advice in _TLS_ADVICE if word in str(reason)), "the handshake failed")
        shown = f" ({reason})" if reason else ""
        return ours.TlsError(f"{self.place}: no TLS connection to {where}: {advice}{shown}.", url=self.url, reason=str(reason))


def _reason(error: BaseException) -> str:
    """OpenSSL's word for what went wrong, or an empty text."""
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    reason = getattr(inner, "verify_message", "") or getattr(inner, "reason", "")
    return reason or ("UNEXPECTED_EOF" if "EOF" in str(inner) else "")


def _certificate_advice(why: str) -> str:
    lower = why.lower()
    if "mismatch" in lower or "other names" in lower:
        return "Use a name that the certificate is for; when the site is addressed by IP, give its name by server_hostname=."
    if "expired" in lower or "not yet valid" in lower:
        return "Have the certificate renewed, and check the clock of this machine."
    return "If your organisation issued it, give the PEM file of its CA by ca_bundles=."
