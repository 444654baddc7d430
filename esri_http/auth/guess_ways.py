"""What `EsriGuessAuth` chooses among: each way gives its handler, or the reason why it cannot work here."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple

from ..words.errors import ConfigurationError
from .challenges import challenges_of

if TYPE_CHECKING:
    from typing import Union

    from ..messages.request import Request
    from .base import Wire
    from .challenges import Challenge
    from .guess import EsriGuessAuth
    from .handshake.handshake_auth import HandshakeAuth
    from .web_tier.standing import Standing
    from .web_tier.web_tier_auth import WebTierAuth

    HandlerOrReason = Union[WebTierAuth, str]

_NTLM = "ntlm"
_NO_PASSWORD = "it needs username= and password="


class Asked(NamedTuple):
    """What a server asks for: its challenges, the `host` that tickets are for, and the request that was not answered.

    `standing` is that of the credentials at that time.
    """

    request: Request
    challenges: list[Challenge]
    host: str
    wire: Wire
    standing: Standing


def _windows(auth: EsriGuessAuth, asked: Asked) -> HandlerOrReason:
    from .handshake.windows import EsriWindowsAuth

    return _by_handshake(auth, asked, EsriWindowsAuth)


def _kerberos(auth: EsriGuessAuth, asked: Asked) -> HandlerOrReason:
    from .handshake.kerberos import EsriKerberosAuth

    return _by_handshake(auth, asked, EsriKerberosAuth)


def _ntlm(auth: EsriGuessAuth, asked: Asked) -> HandlerOrReason:
    from .handshake.ntlm import EsriHttpNtlmAuth

    if not auth.has_password:
        return _NO_PASSWORD
    taken = _by_handshake(auth, asked, EsriHttpNtlmAuth)
    if not isinstance(taken, str) and not _goes_on_with_ntlm(taken, asked):
        return "the server does not take it within Negotiate"
    return taken


def _goes_on_with_ntlm(handler: HandshakeAuth, asked: Asked) -> bool:
    """Whether the server has an answer to the first message of NTLM, which says nothing of user and password.

    What offers Negotiate alone may do Kerberos alone; after a refusal it would be too late for another scheme.
    """
    if any(challenge.scheme == _NTLM for challenge in asked.challenges):
        return True
    first = handler.contexts.open(_NTLM, asked.host, asked.wire).step(None, None) or b""
    field = "Negotiate " + base64.b64encode(first).decode("ascii")
    probe = handler.probes.probe(asked.request)
    response = asked.wire.send(probe.with_header("Authorization", field))
    response.discard()
    return any(challenge.scheme == "negotiate" and challenge.token for challenge in challenges_of(response))


def _by_handshake(auth: EsriGuessAuth, asked: Asked, kind: type[HandshakeAuth]) -> HandshakeAuth | str:
    handler = auth.handler(asked, kind, send_cbt=auth.send_cbt)
    obstacle = handler.obstacle(asked.host, asked.wire)
    if obstacle is not None:
        return str(obstacle)
    offer = handler.offer_among(asked.challenges, asked.host, asked.wire)
    if offer is None:
        return "the server asks for it in another form"
    handler.learn(asked.request.origin, offer)
    return handler


def _digest(auth: EsriGuessAuth, asked: Asked) -> HandlerOrReason:
    from .web_tier.digest import EsriDigestAuth
    from .web_tier.digest_challenges import choose_space

    if not auth.has_password:
        return _NO_PASSWORD
    space, reason = choose_space(asked.challenges)
    return reason if space is None else auth.handler(asked, EsriDigestAuth)


def _basic(auth: EsriGuessAuth, asked: Asked) -> HandlerOrReason:
    from .web_tier.basic import EsriBasicAuth

    if not auth.has_password:
        return _NO_PASSWORD
    if asked.request.origin.scheme != "https":
        return "over http anybody on the way could read the password; use https"
    try:
        return auth.handler(asked, EsriBasicAuth)
    except ConfigurationError as error:
        return str(error)


# From the strongest to the weakest.
_BY_PASSWORD = (("Digest", frozenset({"digest"}), _digest), ("Basic", frozenset({"basic"}), _basic))
BY_SYSTEM = (("Windows sign-in", frozenset({"ntlm", "negotiate"}), _windows), *_BY_PASSWORD)
BY_TOKENS = (
    ("Kerberos", frozenset({"negotiate"}), _kerberos),
    ("NTLM", frozenset({"ntlm", "negotiate"}), _ntlm),
    *_BY_PASSWORD,
)
