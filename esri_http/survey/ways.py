"""The ways to sign in that a site offers, and for each whether this machine could go it, and what it would take."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..auth.handshake.tickets import local_ticket, missing_for_kerberos, missing_for_ntlm
from ..auth.web_tier.digest_challenges import choose_space
from ..words.redaction import plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Optional

    from ..auth.challenges import Challenge
    from ..words.clock import Clock
    from .facts import SiteFacts

    Verdict = tuple[Optional[bool], str]

WEB_TIER, TLS, PORTAL, SERVER = "web tier", "TLS", "portal", "server"

# What Kerberos allows clocks to differ by (RFC 4120 section 1.6: typically five minutes).
_MOST_SKEW_SECONDS = 300
_PASSWORD = "works with user and password"


class Way(NamedTuple):
    """One way: its `name`, `where` it is offered (``web tier``, ``TLS``, ``portal`` or ``server``), and what it takes.

    `ready`: `True` where this machine has all of it, apart from what `text` says that people give; `False` where something
    is missing, by `text`; `None` where only a try can tell.
    """

    name: str
    where: str
    ready: bool | None
    text: str


class Circumstances(NamedTuple):
    """What decides whether a scheme can be used: TLS, a host with a name, and clocks that agree (`skew` in seconds)."""

    is_https: bool
    has_name: bool
    skew: float | None
    clock: Clock


def web_tier_ways(challenges: Iterable[Challenge], here: Circumstances) -> list[Way]:
    """The ways that a web tier offers by its challenges (RFC 9110 section 11.6.1), in its own order."""
    challenges = list(challenges)[:20]
    ways = {}
    for challenge in challenges:
        name, judge = _SCHEMES.get(challenge.scheme, (plain(challenge.scheme.title(), 40), _unknown))
        if name not in ways:
            ways[name] = Way(name, WEB_TIER, *judge(challenges, here))
    return list(ways.values())


def _kerberos(challenges: list[Challenge], here: Circumstances) -> Verdict:
    missing = missing_for_kerberos()
    if missing is not None:
        return False, str(missing)
    if not here.has_name:
        return False, "Kerberos has tickets for names only; give the site by its name, or server_hostname="
    if here.skew is not None and abs(here.skew) > _MOST_SKEW_SECONDS:
        return False, f"the clocks are {abs(here.skew):.0f} s apart, and Kerberos allows {_MOST_SKEW_SECONDS}; set the clock"
    if os.name == "nt":
        return True, "works for the current user, and with user and password"
    ticket = local_ticket(here.clock)
    who = "" if ticket is None else plain(ticket.principal)
    if ticket is None:
        return False, "no ticket here; run kinit, or give user and password"
    if ticket.seconds <= 0:
        return False, f"the ticket of {who} has expired; run kinit, or give user and password"
    return True, f"works for {who}, whose ticket holds for {_duration(ticket.seconds)}; also with user and password"


def _ntlm(challenges: list[Challenge], here: Circumstances) -> Verdict:
    missing = missing_for_ntlm()
    if missing is not None:
        return False, str(missing)
    return True, "works for the current user, and with user and password" if os.name == "nt" else _PASSWORD


def _digest(challenges: list[Challenge], here: Circumstances) -> Verdict:
    space, reason = choose_space(challenges)
    return (False, reason) if space is None else (True, f"{_PASSWORD}{_realm('digest', challenges)}")


def _basic(challenges: list[Challenge], here: Circumstances) -> Verdict:
    if not here.is_https:
        return False, "over http anybody on the way could read the password; use https"
    return True, f"{_PASSWORD}{_realm('basic', challenges)}"


def _unknown(challenges: list[Challenge], here: Circumstances) -> Verdict:
    return False, "this scheme is not known here"


def _realm(scheme: str, challenges: list[Challenge]) -> str:
    realm = next((one.parameters["realm"] for one in challenges if one.scheme == scheme and one.parameters.get("realm")), "")
    return f', for "{plain(realm, 80)}"' if realm else ""


_SCHEMES = {
    "negotiate": ("Kerberos", _kerberos),
    "ntlm": ("NTLM", _ntlm),
    "digest": ("Digest", _digest),
    "basic": ("Basic", _basic),
}


def certificate_way(is_certain: bool) -> Way:
    """The way of a client certificate; `is_certain`: the server says so, other than just hanging up."""
    return Way("client certificate", TLS, is_certain or None, "works with cert_file= and key_file=, or a PFX with its password")


def portal_ways(site: SiteFacts) -> list[Way]:
    """The ways of a portal's own tier (ArcGIS REST: portals/self, generateToken, oauth2/authorize)."""
    anonymous = {True: "open to everybody, for what is shared with everybody", False: "switched off", None: "it does not say"}
    ways = [Way("anonymous", PORTAL, site.anonymous_access, anonymous[site.anonymous_access])]
    if site.built_in is False:
        ways.append(Way("built-in account", PORTAL, False, "switched off in this organisation"))
    else:
        unsure = "" if site.built_in else "; the portal does not say whether that is switched on"
        ways.append(Way("built-in account", PORTAL, site.built_in, f"{_PASSWORD}, by {site.token_service}{unsure}"))
    if site.supports_oauth is False:
        ways.append(Way("OAuth", PORTAL, False, "this portal has none"))
    else:
        ways.append(Way("OAuth", PORTAL, True, "works with the client_id= of an app, in a browser or with its secret"))
    if site.identity_provider:
        ways.append(
            Way("identity provider", PORTAL, True, f"{site.identity_provider}; a person signs in, in a browser (OAuth)")
        )
    return ways


def server_ways(site: SiteFacts) -> list[Way]:
    """The ways of an ArcGIS Server (ArcGIS REST: rest/info)."""
    ways = [Way("anonymous", SERVER, None, "for services that are shared with everybody")]
    if site.federated_with:
        return [*ways, Way("token of the portal", SERVER, True, f"sign in at {site.federated_with}, if that is your portal")]
    if site.token_service:
        return [*ways, Way("server account", SERVER, True, f"{_PASSWORD}, by {site.token_service}")]
    return ways


def _duration(seconds: float) -> str:
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
