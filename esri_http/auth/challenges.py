"""What a server, or a proxy, offers by way of sign-in: `WWW-Authenticate` and `Proxy-Authenticate` (RFC 9110 section 11)."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple

from ..words.headers import all_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..messages.response import Response

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_WS = r"[ \t\r\n]*"
# Every pattern is linear, and what one has passed over is not looked at again: no quantified part can match in two ways,
# and a quoted string without an end goes to the end.
_GAP = re.compile(r"[ \t\r\n,]*")
_SCHEME = re.compile(rf"({_TOKEN})(?=[ \t\r\n,]|\Z){_WS}")
_TOKEN68 = re.compile(rf"([A-Za-z0-9\-._~+/]+=*)(?={_WS}(?:,|\Z))")
_QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)("|\\?\Z)'
_PARAMETER = re.compile(rf"({_TOKEN}){_WS}={_WS}(?:{_QUOTED}|([^ \t\r\n,\"]+))", re.DOTALL)
_JUNK = re.compile(rf'(?:[^",]+|{_QUOTED})*', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Challenge(NamedTuple):
    """One offered scheme, its name in lower case, with a `token` (token68, "" for none) or `parameters`, or bare.

    Names of parameters are lower case; of two with one name the first counts. Text is Latin-1, as the wire's bytes are.
    """

    scheme: str
    token: str
    parameters: dict[str, str]


def parse_challenges(fields: Iterable[str]) -> list[Challenge]:
    """The challenges of all `fields`, in their order. What cannot be understood is passed over; nothing is raised."""
    found: list[Challenge] = []
    for field in fields:
        _parse_field(field, found)
    return found


def challenges_of(response: Response) -> list[Challenge]:
    """The challenges of a server's response, in the order of its header fields."""
    return parse_challenges(all_values(response.headers, "www-authenticate"))


def shown_schemes(challenges: list[Challenge]) -> str:
    """The schemes of `challenges` as an error may show them: each once, and not without end."""
    return ", ".join(list(dict.fromkeys(f"{one.scheme.title():.40}" for one in challenges))[:10])


def token_of(challenges: list[Challenge], scheme: str) -> bytes | None:
    """The security token that came by `scheme` (RFC 4559); empty where it cannot be read, `None` where there is none."""
    field = next((one.token for one in challenges if one.scheme == scheme and one.token), None)
    try:
        return None if field is None else base64.b64decode(field, validate=True)
    except ValueError:
        return b""


def _parse_field(field: str, found: list[Challenge]) -> None:
    challenge: Challenge | None = None  # no parameter reaches from one field into the next
    at, may_begin = 0, True
    while True:
        start, at = at, _pass(_GAP, field, at)
        may_begin = may_begin or "," in field[start:at]
        if at == len(field):
            return
        parameter = _PARAMETER.match(field, at)
        scheme = _SCHEME.match(field, at) if may_begin and parameter is None else None
        may_begin = False
        if parameter is not None:
            at = parameter.end()
            if challenge is not None:
                _add(challenge, *parameter.groups())
        elif scheme is not None:
            token = _TOKEN68.match(field, scheme.end())
            at = scheme.end() if token is None else token.end()
            challenge = Challenge(scheme[1].lower(), "" if token is None else token[1], {})
            found.append(challenge)
        else:
            at = _pass(_JUNK, field, at)


def _pass(pattern: re.Pattern[str], field: str, at: int) -> int:
    """Where the text ends that `pattern` takes at `at`; it may be empty."""
    match = pattern.match(field, at)
    return at if match is None else match.end()


def _add(challenge: Challenge, name: str, quoted: str | None, end: str | None, plain: str | None) -> None:
    if end in ("", "\\"):
        return  # the quoted string has no end
    value = plain or _ESCAPE.sub(r"\1", quoted or "")
    challenge.parameters.setdefault(name.lower(), value)


def parse_parameters(field: str) -> dict[str, str]:
    """The parameters of a field that has no scheme in front, such as `Authentication-Info` (RFC 7615); never raises."""
    return parse_challenges([f"x, {field}"])[0].parameters
