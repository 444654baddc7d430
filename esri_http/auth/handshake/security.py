"""Security contexts by pyspnego: one per handshake, for NTLM (MS-NLMP), Kerberos (RFC 4121) or Windows' own Negotiate."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ...words.bounded import remember
from ...words.errors import ArcGISLoginError, EsriHttpError, InteractionRequiredError, MissingPackageError
from ...words.values import Value
from ..flights import Flights, fresh
from .channel_bindings import end_point_binding
from .security_errors import MechanismUnavailableError, UnknownUserError, told_by_server, translated

if TYPE_CHECKING:
    from typing import Callable, TypeVar

    from ..base import Wire

    _T = TypeVar("_T")

KERBEROS = "kerberos"
NTLM = "ntlm"
NEGOTIATE = "negotiate"
"""Windows chooses between the two (SSPI)."""
_SHOWN = {KERBEROS: "Kerberos", NTLM: "NTLM", NEGOTIATE: "Negotiate"}
_NTLM_SIGNATURE = b"NTLMSSP\x00"
_MOST_TEMPLATES = 64


class Identity(Value):
    """Who signs in, and by what: everything that decides who we are on a connection. Its repr holds no secret.

    `username` and `password`: `None` for whoever is logged in here (SSPI on Windows, a Kerberos ticket elsewhere).
    `service`: the first part of the service principal; `delegate`: let the server act in our name (it gets our ticket);
    `mutual`: have the server prove who it is.
    """

    __slots__ = ("delegate", "mutual", "password", "service", "username")

    def __init__(
        self,
        username: str | None = None,
        password: str | None = None,
        service: str = "HTTP",
        delegate: bool = False,
        mutual: bool = True,
    ) -> None:
        self.username = username
        self.password = password
        self.service = service
        self.delegate = delegate
        self.mutual = mutual

    def __str__(self) -> str:
        return "The current user" if self.username is None else self.username

    def __repr__(self) -> str:
        return f"<Identity {self.username!r}>"


class SecurityContexts:
    """Makes the contexts of one identity. Shared by threads; what a password gets at the KDC is got once, and kept."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._templates: dict[str, Any] = {}
        self._refusal: EsriHttpError | None = None
        self._getting = Flights()

    def open(self, mechanism: str, host: str, wire: Wire | None) -> SecurityContext:
        """A new context for the service on `host`, within the deadline of `wire`. Raises `SignInError` and its kin."""
        return SecurityContext(self, mechanism, host, wire)

    def obstacle(self, mechanism: str, host: str, wire: Wire | None) -> EsriHttpError | None:
        """Why `mechanism` cannot be used for `host` here, found out without sending it anything; `None` where it can.

        Raises `ArcGISLoginError` or `InteractionRequiredError` for credentials that were refused: then no other mechanism may
        try them.
        """
        try:
            self.open(mechanism, host, wire).step(None, None)
        except (MechanismUnavailableError, UnknownUserError, MissingPackageError) as error:
            return error
        return None

    def new(self, mechanism: str, host: str, wire: Wire | None, fresh_ticket: bool = False) -> Any:
        """A context of pyspnego's; with `fresh_ticket`, by a ticket that is got anew."""
        if mechanism != KERBEROS or sys.platform == "win32":
            return self.guarded(lambda: self._client(mechanism, host), mechanism, host)
        if fresh_ticket:
            self._templates.pop(host, None)
        while True:
            template = self._templates.get(host)
            if template is not None:
                return template.new_context()
            # One after the other, whatever the host: with many threads, a wrong password would lock the account.
            self._getting.share(None, lambda: self._sign_in(host), wire)

    def _sign_in(self, host: str) -> None:
        """Have a template for `host` with a ticket from the KDC; a password that was refused there is not shown again."""
        if self._refusal is not None:
            raise fresh(self._refusal)
        try:
            template = self.guarded(lambda: self._client(KERBEROS, host), KERBEROS, host)
        except (ArcGISLoginError, InteractionRequiredError) as error:
            self._refusal = fresh(error)
            raise
        remember(self._templates, host, template, _MOST_TEMPLATES)

    def _client(self, mechanism: str, host: str) -> Any:
        import spnego

        identity = self.identity
        if mechanism == KERBEROS and identity.password == "":
            raise MechanismUnavailableError(f"{identity} cannot sign in by Kerberos: the password is empty.")
        flags = spnego.ContextReq.default
        if not identity.mutual:
            flags &= ~spnego.ContextReq.mutual_auth
        if identity.delegate:
            flags |= spnego.ContextReq.delegate
        user: Any = _principal(identity.username) if mechanism == KERBEROS else identity.username
        if identity.password == "":
            user = spnego.Password(user, "")  # older pyspnego takes an empty one for none
        options: dict[str, Any] = {"hostname": host, "service": identity.service, "context_req": flags}
        return spnego.client(user, identity.password, protocol=mechanism, **options)

    def guarded(self, work: Callable[[], _T], mechanism: str, host: str, token: bytes | None = None) -> _T:
        """What `work`, on the server's `token`, returns; what pyspnego and all below it raise becomes one of ours."""
        try:
            return work()
        except EsriHttpError:
            raise
        except Exception as error:
            service = f"{self.identity.service}@{host}"
            if token is not None and not isinstance(error, ImportError):
                raise told_by_server(error, _SHOWN[mechanism], service) from error
            raise translated(error, _SHOWN[mechanism], service, str(self.identity)) from error

    def __getstate__(self) -> dict[str, Any]:
        return {"identity": self.identity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["identity"])  # type: ignore[misc]


class SecurityContext:
    """One handshake with one server. Belongs to one thread."""

    def __init__(self, contexts: SecurityContexts, mechanism: str, host: str, wire: Wire | None) -> None:
        self._contexts = contexts
        self._mechanism = mechanism
        self._host = host
        self._wire = wire
        self._context = contexts.new(mechanism, host, wire)
        self.used_ntlm = mechanism == NTLM

    def step(self, token: bytes | None, certificate: bytes | None) -> bytes | None:
        """The next token to send, for the `token` that came (`None` at the beginning); `None` when there is none.

        `certificate`: the server's, in DER form, to bind the handshake to its connection; `None` for no binding.
        """
        binding = end_point_binding(certificate)
        made = self._contexts.guarded(lambda: self._step(token, binding), self._mechanism, self._host, token)
        if made and _NTLM_SIGNATURE in made:
            self.used_ntlm = True
        return made

    @property
    def complete(self) -> bool:
        """Whether both sides have all they need; with mutual authentication, the server has proved who it is."""
        return bool(self._context.complete)

    def _step(self, token: bytes | None, binding: bytes | None) -> bytes | None:
        try:
            return self._plain_step(token, binding)
        except Exception as error:
            if token is not None or not _is_expired(error) or self._contexts.identity.password is None:
                raise
        # The ticket that the password got is over; it gets another one.
        self._context = self._contexts.new(self._mechanism, self._host, self._wire, fresh_ticket=True)
        return self._plain_step(token, binding)

    def _plain_step(self, token: bytes | None, binding: bytes | None) -> bytes | None:
        from spnego.channel_bindings import GssChannelBindings

        bindings = None if binding is None else GssChannelBindings(application_data=binding)
        # pyspnego's debug log shows whole tokens, unless it takes a context for a part of another one.
        self._context._is_wrapped = True
        made: bytes | None = self._context.step(token, channel_bindings=bindings)
        return made


def _principal(username: str | None) -> str | None:
    """``DOMAIN\\user`` as Kerberos writes it; other names as they are."""
    domain, backslash, user = (username or "").partition("\\")
    return f"{user}@{domain.upper()}" if backslash else username


def _is_expired(error: Exception) -> bool:
    return "xpired" in f"{type(error).__name__} {error}"
