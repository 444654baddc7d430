"""Where a sign-in cannot go on: the error for each, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..survey.findings import CERTIFICATE, PAGE, TROUBLE, WEB_TIER
from ..words.errors import EsriHttpError, InteractionRequiredError, SignInError, TransportError

if TYPE_CHECKING:
    from ..survey.findings import Finding

_SHUT = (401, 403)
CERTIFICATE_ADVICE = "Give one: cert_file= with key_file=, or a PFX with password=."


def dead_end(finding: Finding) -> EsriHttpError:
    """The error for a finding that is neither a portal nor a server."""
    where, words = str(finding.origin), finding.words.rstrip(".")
    if finding.kind == CERTIFICATE:
        return SignInError(f"{words}. {CERTIFICATE_ADVICE}", url=where)
    if finding.kind == WEB_TIER:
        return SignInError(
            f"{words}. Known here are Basic, Digest, NTLM and Kerberos, by username= and password=. In Python, they go together"
            " with another sign-in, by custom_auth=EsriGuessAuth(None, user, password) + that one.", url=where,
        )  # fmt: skip
    if finding.kind == TROUBLE and finding.status in _SHUT:
        return SignInError(f"{words}: it keeps strangers out, and does not say how to sign in. Ask who runs it.", url=where)
    if finding.kind == TROUBLE:
        return TransportError(f"{words}. Try again later, or look at its log.", url=where)
    if finding.kind == PAGE:
        return InteractionRequiredError(
            f"{words} where a portal would answer: a sign-in page (SAML), a proxy, or no portal. Where a person has to sign in"
            " at such a page, client_id= opens it in a browser; token= takes a token that you have.", url=where,
        )  # fmt: skip
    return SignInError(
        f"{words}: there is neither a portal nor an ArcGIS Server. Is the address right? A portal's looks like"
        " https://gis.example.com/portal, a server's like https://gis.example.com/arcgis.", url=where,
    )  # fmt: skip
