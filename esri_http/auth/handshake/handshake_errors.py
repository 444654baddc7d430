"""What is said when a handshake does not end well: is it the password, a ticket, a clock, or something on the way?"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...messages.dates import moment_of
from ...words.errors import ArcGISLoginError, EsriHttpError, InteractionRequiredError, SignInError
from ...words.redaction import redact_url
from ..challenges import shown_schemes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...messages.request import Request
    from ...messages.response import Response
    from ...words.clock import Clock
    from ..challenges import Challenge
    from ..web_tier.standing import Standing

_MOST_SKEW_SECONDS = 300.0


@contextmanager
def located(request: Request, standing: Standing) -> Iterator[None]:
    """Have errors of ours tell where the sign-in was wanted, and refusals by the domain remembered."""
    try:
        yield
    except EsriHttpError as error:
        if error.url is None:
            error.url = redact_url(request.url)
            error.message = f"{error.url} wants a sign-in: {error.message}"
            error.args = (error.message,)
        if isinstance(error, (ArcGISLoginError, InteractionRequiredError)):
            standing.refused_everywhere(error)
        raise


def not_offered(request: Request, challenges: list[Challenge], handler: str) -> SignInError:
    """For a server that asks for what `handler` does not do."""
    return SignInError(
        f"{redact_url(request.url)} asks for {shown_schemes(challenges)}, which {handler} does not answer; EsriGuessAuth takes"
        " what a server asks for.", url=request.url,
    )  # fmt: skip


def not_continued(request: Request) -> SignInError:
    """For a server that asks for NTLM, and does not answer its first message, which shows no password yet."""
    return SignInError(
        f"{redact_url(request.url)} does not go on with the sign-in that it asks for: it may not take NTLM within Negotiate, or"
        " a balancer on the way may have split the connection between two servers.", url=request.url,
    )  # fmt: skip


def password_refused(who: str) -> str:
    """Why `who` may not have been let in by NTLM, whose servers never say."""
    return (
        f"{who} was not let in by NTLM. Check user name (DOMAIN\\user), password, and whether the account is locked; behind"
        " something that opens TLS on the way, try send_cbt=False."
    )


def ticket_refused(request: Request, response: Response, who: str, service: str, clock: Clock) -> SignInError:
    """For a server that does not take a Kerberos ticket and does not say why."""
    skew = skew_seconds(response, clock)
    if skew is not None and abs(skew) > _MOST_SKEW_SECONDS:
        why = f"its clock and ours are {skew:.0f} s apart, and Kerberos allows 300; set the clock."
    else:
        why = (
            f"the Kerberos ticket of {who} for {service} was not taken. The server may have another key or name (see"
            " hostname_override= and service=), or not know this user."
        )
    return SignInError(f"{redact_url(request.url)} refuses the sign-in: {why}", url=request.url, code=401)


def unproven(request: Request) -> SignInError:
    """For a server that had to prove who it is, and did not."""
    return SignInError(
        f"{redact_url(request.url)} did not prove who it is, as mutual_authentication=REQUIRED asks; its answer is not"
        " believed. Some servers never do: OPTIONAL checks the proof where there is one.", url=request.url,
    )  # fmt: skip


def skew_seconds(response: Response, clock: Clock) -> float | None:
    """How far the server's clock is ahead of ours; `None` where it does not say."""
    moment = moment_of(response, "date")
    return None if moment is None else moment - clock.time()
