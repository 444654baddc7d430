"""Signing in to a proxy by a handshake: Kerberos in one leg, everywhere; NTLM in three, for plain http targets only.

A refused CONNECT ends its connection as far as urllib3 goes, so only what needs a single leg works for https targets. There
is no channel binding towards proxies.
"""

from __future__ import annotations

import base64
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...words.errors import EsriHttpError, MissingPackageError, ProxyError
from ..challenges import parse_challenges, token_of
from ..handshake.security import KERBEROS, NTLM
from ..handshake.security_errors import MechanismUnavailableError
from .proxy_auth import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..handshake.handshake_auth import HandshakeAuth, Offer
    from ..handshake.security import SecurityContexts

_SIGNED_IN, _CONTEXT, _NEXT, _MADE_BY = "signed in", "context", "next token", "made by"


class HandshakeSigner(Signer):
    """Signs in to one proxy with the tokens that `handler` makes; each connection gets tokens of its own."""

    binds_connection = True

    def __init__(self, url: str, host: str, handler: HandshakeAuth) -> None:
        super().__init__(url)
        self._handler = handler
        self._host = handler.hostname_override or host
        self._offer: Offer | None = handler.preemptive
        self._every_request = False

    def now(self) -> Any:
        """See `Signer`."""
        return self._handler.contexts

    def is_ready(self, memory: dict[str, Any] | None, once: bool) -> bool:
        """See `ProxySigner`."""
        if self._is_signed_in(memory):
            return True
        return self._passed and (self._offer is None or (self._offer.mechanism == KERBEROS and not once))

    def authorization(self, method: str, target: str, memory: dict[str, Any] | None, body: Any = None) -> str | None:
        """See `ProxySigner`."""
        if memory and _NEXT in memory:  # the later legs of a sign-in are of the credentials that began it
            return self._field(memory.pop(_NEXT), memory[_MADE_BY])
        contexts = self._handler.contexts
        self.check_refusal(contexts)
        offer = self._offer
        if offer is None or self._is_signed_in(memory):
            return None
        if memory is None and offer.mechanism == NTLM:
            raise self._several_legs("NTLM")
        with self._guarded(contexts):
            context = contexts.open(offer.mechanism, self._host, None)
            token = context.step(None, None)
        if memory is not None:
            memory[_CONTEXT], memory[_MADE_BY] = context, contexts
        return self._field(token, contexts)

    def _is_signed_in(self, memory: dict[str, Any] | None) -> bool:
        return bool(memory and memory.get(_SIGNED_IN)) and not self._every_request

    def _field(self, token: bytes | None, contexts: Any) -> str:
        spelt = "" if self._offer is None else self._offer.spelt
        return self.signed(f"{spelt} {base64.b64encode(token or b'').decode('ascii')}", contexts)

    def challenged(self, fields: list[str], sent: str | None, memory: dict[str, Any] | None) -> None:
        """See `ProxySigner`."""
        self._is_open = False
        challenges = parse_challenges(fields)
        contexts = self._handler.contexts
        made_by = self.credentials_of(sent)
        if made_by is not None and made_by is not contexts:
            if memory:
                memory.clear()
            return  # the credentials were changed in the meantime
        if sent is None:
            if memory and memory.pop(_SIGNED_IN, None):
                self._every_request = True  # it wants a token with each of them
                return
            with self._guarded(contexts):
                offer = self._handler.offer_among(challenges, self._host, None)
            if offer is None:
                raise self.not_offered(challenges, type(self._handler).__name__)
            self._offer = offer
            return
        token = token_of(challenges, "" if self._offer is None else self._offer.scheme)
        context = memory.pop(_CONTEXT, None) if memory else None
        if token and memory is None:
            raise self._several_legs("NTLM or a longer Negotiate")
        if token and context is not None and memory is not None and not context.complete:
            with self._guarded(contexts):
                following = context.step(token, None)
            if following:
                memory[_NEXT], memory[_CONTEXT] = following, context
                return
        raise self._not_taken(contexts, context is not None and context.used_ntlm)

    def accepted(self, sent: str | None, memory: dict[str, Any] | None) -> None:
        """See `ProxySigner`."""
        super().accepted(sent, memory)
        if sent is not None and memory is not None:
            memory.pop(_CONTEXT, None)
            memory[_SIGNED_IN] = True

    @contextmanager
    def _guarded(self, contexts: SecurityContexts) -> Iterator[None]:
        """Have errors name the proxy, and those remembered by which the domain refuses the credentials of `contexts`."""
        try:
            yield
        except MissingPackageError:
            raise
        except MechanismUnavailableError as error:
            raise ProxyError(f"{self.name} wants a sign-in: {error}") from error  # a ticket may be there the next time
        except EsriHttpError as error:
            raise self.refused(contexts, f"wants a sign-in: {error}") from error

    def _not_taken(self, contexts: SecurityContexts, by_ntlm: bool) -> ProxyError:
        identity = contexts.identity
        if by_ntlm:
            why = f"refuses the sign-in of {identity} by NTLM; check user name (DOMAIN\\user) and password."
        else:
            why = (
                f"does not take the Kerberos ticket for {identity.service}@{self._host}; it may have another name or key (see"
                " hostname_override=), or not know this user."
            )
        return self.refused(contexts, why)

    def _several_legs(self, what: str) -> ProxyError:
        return ProxyError(
            f"{self.name} wants a sign-in in several legs ({what}), which cannot be done for https targets. Use Basic, Digest"
            " or Kerberos at this proxy, or a local proxy that signs in to it by NTLM, such as cntlm or Px."
        )
