"""What one answer says of the site that gave it: a portal, a server, a sign-in in front of either, or none of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..auth.challenges import challenges_of
from ..auth.web_tier.pki import certificate_complaint
from ..words.errors import InvalidJsonError
from ..words.redaction import plain, redact_url

if TYPE_CHECKING:
    from ..messages.response import Response
    from ..words.origins import Origin

PORTAL_PATH = "/sharing/rest/portals/self"
SERVER_PATH = "/rest/info"

PORTAL = "portal"
SERVER = "server"
WEB_TIER = "web tier"
CERTIFICATE = "client certificate"
PAGE = "web page"
NOTHING = "nothing"
TROUBLE = "trouble"

LARGEST_ANSWER = 4 * 1024 * 1024
"""How many bytes of an answer are looked at; real ones are a tenth of it."""

# Deeper ones would break whatever walks through them (copies, pickles); real ones are a fifth of it.
_DEEPEST_ANSWER = 50
# With these codes a portal says that it tells strangers nothing: it is one all the same.
_PRIVATE_CODES = frozenset({401, 403, 498, 499})
_PORTAL_WORDS = frozenset({"isPortal", "portalName", "portalHostname", "portalMode", "supportsOAuth", "urlKey"})
_SERVER_WORDS = frozenset({"authInfo", "owningSystemUrl", "currentVersion", "fullVersion", "soapUrl"})
_MISSING_STATUSES = frozenset({400, 404, 405, 410})


class Finding(NamedTuple):
    """One answer, read. `kind` is `PORTAL`, `SERVER`, `WEB_TIER`, `CERTIFICATE`, `PAGE`, `NOTHING` or `TROUBLE`.

    `fields`: the JSON object that came, as it came; `schemes`: what a web tier offers, in lower case; `origin`: who answered,
    after redirects; `words`: all of it on one line, for people, printable and without a secret.
    """

    kind: str
    origin: Origin
    status: int
    words: str
    fields: dict[str, Any]
    schemes: tuple[str, ...] = ()

    @property
    def owner(self) -> str | None:
        """The portal that a server says it is federated with (not to be believed); `None` for none."""
        return text_in(self.fields, "owningSystemUrl")


def read_portal(response: Response) -> Finding:
    """What answered at `PORTAL_PATH`; the response is read. Raises `TransportError` where the content breaks off."""
    return _read(response, PORTAL, _PORTAL_WORDS)


def read_server(response: Response) -> Finding:
    """What answered at `SERVER_PATH`; the response is read. Raises `TransportError` where the content breaks off."""
    return _read(response, SERVER, _SERVER_WORDS)


def _read(response: Response, kind: str, known: frozenset[str]) -> Finding:
    origin, status, where = response.request.origin, response.status_code, redact_url(response.url.partition("?")[0])

    def finding(kind: str, words: str, fields: dict[str, Any] | None = None, schemes: tuple[str, ...] = ()) -> Finding:
        response.discard()
        return Finding(kind, origin, status, f"{where} {words}", fields or {}, schemes)

    if status == 401:
        schemes = tuple(dict.fromkeys(challenge.scheme for challenge in challenges_of(response)))
        if schemes:
            return finding(WEB_TIER, f"wants a sign-in at the web tier: {named(schemes)}", schemes=schemes)
    complaint = certificate_complaint(response)
    if complaint is not None:
        return finding(CERTIFICATE, complaint)
    fields = _json_object(response)
    error = response.esri_error
    if error is not None and error.code in _PRIVATE_CODES and kind == PORTAL:
        return finding(kind, f"is a portal that tells strangers nothing ({error})")
    if status >= 500 or (error is not None and (error.code or 0) >= 500):
        return finding(TROUBLE, f"answers with an error: {error or f'HTTP {status}'}")
    if fields is not None and error is None and not known.isdisjoint(fields):
        return finding(kind, _introduced(kind, fields), fields)
    if status in _MISSING_STATUSES or error is not None or fields is not None:
        return finding(NOTHING, f"is no {kind} ({error or f'HTTP {status}'})")
    if status >= 400:
        return finding(TROUBLE, f"answers with HTTP {status}")
    if _is_page(response):
        return finding(PAGE, "answers with a web page")
    return finding(NOTHING, "answers with something that is not ArcGIS")


def _introduced(kind: str, fields: dict[str, Any]) -> str:
    if kind == SERVER:
        return "is an ArcGIS Server"
    who = text_in(fields, "user", "username") or text_in(fields, "appInfo", "appId")
    return f"is a portal; {plain(who, 100) if who else 'nobody'} is signed in"


def named(schemes: tuple[str, ...]) -> str:
    """Schemes as people write them."""
    names = {"ntlm": "NTLM"}
    return ", ".join(names.get(scheme, f"{scheme.title():.40}") for scheme in schemes[:10])


def text_in(fields: dict[str, Any], *path: str) -> str | None:
    """A text somewhere down in an answer that may hold anything; `None` where there is none."""
    found: Any = fields
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None


def _json_object(response: Response) -> dict[str, Any] | None:
    if len(response.peek(LARGEST_ANSWER + 1)) > LARGEST_ANSWER:
        return None
    try:
        answer = response.json()
    except InvalidJsonError:
        return None
    return answer if isinstance(answer, dict) and _is_shallow(answer) else None


def _is_shallow(answer: Any) -> bool:
    """Whether nothing in `answer` is nested deeper than `_DEEPEST_ANSWER`."""
    level = [answer]
    for _ in range(_DEEPEST_ANSWER):
        parts = (part for whole in level for part in (whole.values() if isinstance(whole, dict) else whole))
        level = [part for part in parts if isinstance(part, (dict, list))]
        if not level:
            return True
    return False


def _is_page(response: Response) -> bool:
    return "html" in (response.headers.get("content-type") or "").lower() or response.peek(64).lstrip()[:1] == b"<"
