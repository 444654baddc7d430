"""Security contexts by pyspnego: one per handshake, for NTLM (MS-NLMP), Kerberos (RFC 4121) or Windows' own Negotiate."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..words.errors import EsriHttpError, MissingPackageError
from ..words.forks import ProcessLock
from ..words.values import Value
from .channel_bindings import end_point_binding
from .security_errors import MechanismUnavailableError, UnknownUserError, is_refusal, told_by_server, translated

if TYPE_CHECKING:
    from typing import Callable, TypeVar

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
        self._lock = ProcessLock()
        self._templates: dict[tuple[str, str], Any] = {}
        self._refusal: Exception | None = None

    def open(self, mechanism: str, host: str) -> SecurityContext:
        """A new context for the service on `host`. Raises `SignInError` and its kin."""
        return SecurityContext(self, mechanism, host)

    def obstacle(self, mechanism: str, host: str) -> EsriHttpError | None:
        """Why `mechanism` cannot be used for `host` here, found out without sending it anything; `None` where it can.

        Raises `ArcGISLoginError` for credentials that were refused: then no other mechanism may try them.
        """
        try:
            self.open(mechanism, host).step(None, None)
        except (MechanismUnavailableError, UnknownUserError, MissingPackageError) as error:
            return error
        return None

    def new(self, mechanism: str, host: str, fresh: bool = False) -> Any:
        """A context of pyspnego's; `fresh`: with credentials that are got anew."""
        if mechanism != KERBEROS or sys.platform == "win32":
            return self._client(mechanism, host)
        with self._lock:
            template = None if fresh else self._templates.get((mechanism, host))
            if template is None:
                if len(self._templates) >= _MOST_TEMPLATES:
                    self._templates.clear()
                template = self._templates[mechanism, host] = self._signed_in(mechanism, host)
        return template.new_context()

    def _signed_in(self, mechanism: str, host: str) -> Any:
        """A context with a ticket from the KDC; a password that was refused there is not shown again."""
        if self._refusal is not None:
            raise self._refusal
        try:
            return self._client(mechanism, host)
        except Exception as error:
            if is_refusal(error):
                self._refusal = error
            raise

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

    def __getstate__(self) -> dict[str, Any]:
        return {"identity": self.identity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["identity"])  # type: ignore[misc]


class SecurityContext:
    """One handshake with one server. Belongs to one thread."""

    def __init__(self, contexts: SecurityContexts, mechanism: str, host: str) -> None:
        self._contexts = contexts
        self._mechanism = mechanism
        self._host = host
        self._context = self._guarded(lambda: contexts.new(mechanism, host), None)
        self.used_ntlm = mechanism == NTLM

    def step(self, token: bytes | None, certificate: bytes | None) -> bytes | None:
        """The next token to send, for the `token` that came (`None` at the beginning); `None` when there is none.

        `certificate`: the server's, in DER form, to bind the handshake to its connection; `None` for no binding.
        """
        binding = end_point_binding(certificate)
        made = self._guarded(lambda: self._step(token, binding), token)
        if made and _NTLM_SIGNATURE in made:
            self.used_ntlm = True
        return made

    @property
    def complete(self) -> bool:
        """Whether both sides have all they need; with mutual authentication, the server has proved who it is."""
        return bool(self._context.complete)

    def _step(self, token: bytes | None, binding: bytes | None) -> bytes | None:
        from spnego.channel_bindings import GssChannelBindings

        bindings = None if binding is None else GssChannelBindings(application_data=binding)
        # pyspnego's debug log shows whole tokens, unless it takes a context for a part of another one.
        self._context._is_wrapped = True
        made: bytes | None
        try:
            made = self._context.step(token, channel_bindings=bindings)
        except Exception as error:
            if token is not None or not _is_expired(error) or self._contexts.identity.password is None:
                raise
            # The ticket that the password got is over; it gets another one.
            self._context = self._contexts.new(self._mechanism, self._host, fresh=True)
            self._context._is_wrapped = True
            made = self._context.step(token, channel_bindings=bindings)
        return made

    def _guarded(self, work: Callable[[], _T], token: bytes | None) -> _T:
        """What `work`, on the server's `token`, returns; what pyspnego and all below it raise becomes one of ours."""
        try:
            return work()
        except EsriHttpError:
            raise
        except Exception as error:
            identity = self._contexts.identity
            service = f"{identity.service}@{self._host}"
            if token is not None and not isinstance(error, ImportError):
                raise told_by_server(error, _SHOWN[self._mechanism], service) from error
            raise translated(error, _SHOWN[self._mechanism], service, str(identity)) from error


def _principal(username: str | None) -> str | None:
    """``DOMAIN\\user`` as Kerberos writes it; other names as they are."""
    domain, backslash, user = (username or "").partition("\\")
    return f"{user}@{domain.upper()}" if backslash else username


def _is_expired(error: Exception) -> bool:
    return "xpired" in f"{type(error).__name__} {error}"
