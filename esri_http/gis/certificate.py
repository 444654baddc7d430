"""A client certificate whose password nobody gave: it is asked for, where there is somebody to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ..auth.oauth.person import ask_password
from ..words.errors import CertificateFileError, InteractionRequiredError
from ..words.settings import ClientCertificate
from ..words.terminals import can_getpass_ask

if TYPE_CHECKING:
    from ..session import EsriSession


def unlock_certificate(session: EsriSession, prompt: Callable[[str], Any] | None) -> str | None:
    """Ask for the password of the client certificate of `session` where it is missing; what was typed, else `None`.

    `prompt` asks in place of `getpass.getpass`. Where nobody answers, this raises the `CertificateFileError` of a request.
    """
    certificate = session._network.tls.certificate
    if certificate is None or certificate.password is not None:
        return None
    try:
        session.warm()
        return None
    except CertificateFileError as error:
        if not error.needs_password:
            raise
        locked = error
    if prompt is None and not can_getpass_ask():
        raise locked
    try:
        password = ask_password(f"Enter password for the certificate {certificate.name}: ", prompt)
    except InteractionRequiredError:
        raise locked from None
    session.cert = ClientCertificate(certificate.certificate, certificate.key, password)
    return password

