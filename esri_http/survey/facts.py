"""What a site says of itself, taken out of answers that may hold anything: short, printable, and never obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..auth.oauth.sign_in_pages import Page
from ..auth.tokens.token_services import portal_service, service_of_server
from ..words.errors import EsriHttpError, SignInError
from ..words.redaction import plain, redact_url
from .findings import text_in

if TYPE_CHECKING:
    from ..auth.sites import Root
    from ..messages.response import Response
    from .findings import Finding


class SiteFacts(NamedTuple):
    """What a portal or a server says of itself; `None` for what it does not say.

    `federated_with`: the portal that a server names as its own; `token_service`: where user and password would go;
    `built_in`: whether accounts of the portal's own may sign in; `identity_provider`: the name or host of the one that
    signs in the others; `page_host`: who answers with a web page in place of ArcGIS.
    """

    name: str | None = None
    version: str | None = None
    build: str | None = None
    anonymous_access: bool | None = None
    supports_oauth: bool | None = None
    federated_with: str | None = None
    token_service: str | None = None
    built_in: bool | None = None
    identity_provider: str | None = None
    page_host: str | None = None


def portal_facts(root: Root, finding: Finding, version: dict[str, Any], page: SignInPage) -> SiteFacts:
    """The facts of the portal at `root` by portals/self, by the root of its sharing API, and by its sign-in page."""
    fields = finding.fields
    return SiteFacts(
        name=_text(fields, "name") or _text(fields, "portalName"),
        version=_text(version, "enterpriseVersion") or _text(version, "currentVersion") or _text(fields, "currentVersion"),
        build=_text(version, "enterpriseBuild"),
        anonymous_access=None if fields and "access" not in fields else fields.get("access") == "public",
        supports_oauth=_bool(fields, "supportsOAuth"),
        token_service=str(portal_service(root).url),
        built_in=page.built_in if _bool(fields, "canSignInArcGIS") is None else _bool(fields, "canSignInArcGIS"),
        identity_provider=page.identity_provider or ("the organisation's" if fields.get("canSignInIDP") is True else None),
    )


def server_facts(root: Root, finding: Finding) -> SiteFacts:
    """The facts of the server at `root` by its rest/info."""
    fields, owner = finding.fields, finding.owner
    token_service = None
    if owner is None:
        try:
            token_service = plain(service_of_server(root, fields).url)
        except SignInError:
            pass  # it has none
    return SiteFacts(
        version=_text(fields, "fullVersion") or _text(fields, "currentVersion"),
        federated_with=None if owner is None else plain(redact_url(owner)),
        token_service=token_service,
    )


class SignInPage(NamedTuple):
    """What a portal's sign-in page offers: accounts of its own (`None`: it does not say), and the identity provider."""

    built_in: bool | None = None
    identity_provider: str | None = None


def read_sign_in_page(response: Response) -> tuple[SignInPage, str]:
    """What oauth2/authorize offers, and that in words; a redirect to another host is one to the identity provider."""
    page = Page(response)
    following = page.next
    if following is not None:
        host = following.origin.host
        return SignInPage(None, host), f"leads to the identity provider {host}"
    name = text_in(page.info, "federationInfo", "idpName")
    name = None if name is None else plain(name, 80)
    if not page.info and page.sign_in_action is None:
        return SignInPage(), "is no sign-in page"
    # Some pages make their form by a script: that there is none says nothing.
    own = True if page.sign_in_action is not None else None
    offers = " and ".join(text for text in ("user name and password" if own else "", name or "") if text)
    return SignInPage(own, name), f"is a sign-in page{f' that offers {offers}' if offers else ''}"


def read_version(response: Response) -> tuple[dict[str, Any], str]:
    """The root of the sharing API (ArcGIS REST), and what it says, in words."""
    try:
        answer = response.json() if response.ok and response.esri_error is None else None
    except EsriHttpError:
        answer = None
    fields = answer if isinstance(answer, dict) else {}
    found = [f"{name} {_text(fields, name)}" for name in ("currentVersion", "enterpriseVersion") if _text(fields, name)]
    response.discard()
    return fields, f"says {', '.join(found)}" if found else "says no version"


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return plain(value) if (isinstance(value, str) and value.strip()) or is_number else None


def _bool(fields: dict[str, Any], name: str) -> bool | None:
    value = fields.get(name)
    return value if isinstance(value, bool) else None
