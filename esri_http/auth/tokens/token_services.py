"""Finding the token service of a site (ArcGIS REST: rest/info, authInfo.tokenServicesUrl, owningSystemUrl)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...messages.request import Request
from ...words.errors import EsriHttpError, SignInError, TokenRequestError
from ...words.origins import Origin, SplitUrl
from ...words.redaction import redact_url
from ...words.urls import split_url
from ..sites import Root, portal_root, same_portal, server_root
from .token_answers import read_json

if TYPE_CHECKING:
    from ..base import Wire

_PORTAL_SERVICE = re.compile(r"(.*)/sharing(?:/rest)?/generatetoken/?\Z", re.IGNORECASE)
_SERVER_SERVICE = re.compile(r"(.*)/(?:tokens|admin)/generatetoken/?\Z", re.IGNORECASE)
_TOKENS_FOLDER = re.compile(r"(.*)/tokens/?\Z", re.IGNORECASE)
# What is inside a portal for sure; /apps may be a folder of a web server.
_PORTAL_PAGE = re.compile(r"/(?:sharing|home|portaladmin)(?=/|\Z)", re.IGNORECASE)


class TokenService:
    """Where a site's tokens come from (`url`), and which site that is (`root`).

    `own_roots` are all addresses of the site: `root`, and `others` under which it is known, too. `origins` are the origins of
    these and of `url`: a stand-alone server often has its token service on another port. `server` is the federated server
    that a portal's service was asked for, or `None`.
    """

    __slots__ = ("is_portal", "origins", "own_roots", "root", "server", "url")

    def __init__(self, url: SplitUrl, root: Root, is_portal: bool, others: frozenset[Root] = frozenset()) -> None:
        self.url = url
        self.root = root
        self.is_portal = is_portal
        self.own_roots = others | {root}
        self.origins = {url.origin, *(own.origin for own in self.own_roots)}
        self.server: Root | None = None

    def root_of(self, origin: Origin, path: str) -> Root | None:
        """That address of the site that a URL lies inside; `None` where it lies elsewhere."""
        return next((own for own in self.own_roots if own.holds(origin, path)), None)


def find_service(url: str, wire: Wire, portal: Root | None = None) -> TokenService:
    """The token service that `url` is, or that the site at `url` has.

    `portal`: the portal that the credentials are for; `None` where they are for the very site that `url` names. Raises
    `SignInError` where the site has no token service, or names one that the credentials may not go to.
    """
    service = _service_at(split_url(url), wire, portal)
    if portal is not None and not (service.is_portal and same_portal(str(service.root), portal)):
        raise SignInError(f"{service.root} is not the portal {portal}, which the sign-in is for.", url=str(service.root))
    return service


def _service_at(split: SplitUrl, wire: Wire, portal: Root | None) -> TokenService:
    """The same by the look of the URL; where that does not tell, the site is asked."""
    path = split.path
    match = _PORTAL_SERVICE.match(path)
    if match:
        return TokenService(split, Root(split.origin, match.group(1)), is_portal=True)
    match = _SERVER_SERVICE.match(path)
    if match:
        return server_service(Root(split.origin, match.group(1)), split)
    match = _TOKENS_FOLDER.match(path)
    if match:
        return server_service(Root(split.origin, match.group(1)))
    if _PORTAL_PAGE.search(path) and server_root(split.origin, path) is None:
        return portal_service(portal_root(split))
    return _ask(split, wire, portal)


def portal_service(root: Root, others: frozenset[Root] = frozenset()) -> TokenService:
    """The service of the portal at `root`, which is known under `others`, too."""
    url = SplitUrl(root.origin, f"{root.path}/sharing/rest/generateToken")
    return TokenService(url, root, is_portal=True, others=others)


def server_service(root: Root, announced: SplitUrl | None = None) -> TokenService:
    """The service of the stand-alone server at `root`; `announced` is where it says that its service is."""
    url = announced or SplitUrl(root.origin, f"{root.path}/tokens/generateToken")
    return TokenService(url, root, is_portal=False)


def _ask(split: SplitUrl, wire: Wire, portal: Root | None) -> TokenService:
    """Ask the site itself: first as a server where the URL looks like one, as a portal first otherwise."""
    server = server_root(split.origin, split.path)
    site = server or Root(split.origin, split.path.rstrip("/"))
    said: list[str] = []
    if server is None:
        info = _info(site, "/sharing/rest/info", wire, said)
        if info is not None and _is_portal_info(info):
            return portal_service(site)
    info = _info(site, "/rest/info", wire, said)
    if info is None:
        why = f" {said[-1]}" if said else ""
        raise SignInError(
            f"At {site} there is neither a portal nor an ArcGIS Server that answers rest/info.{why}", url=str(site)
        )
    return service_of_server(site, info, portal)


def _info(site: Root, path: str, wire: Wire, said: list[str]) -> dict[str, Any] | None:
    """The answer of rest/info; `None` where there is none, and in `said` what came instead."""
    response = wire.send(Request("GET", site.origin, f"{site.path}{path}?f=json", {"Accept": "*/*"}))
    if response.status_code in (404, 410):
        response.discard()
        return None
    try:
        info = read_json(response, "The site")
    except TokenRequestError as error:
        if response.status_code >= 500 or response.status_code == 401:
            raise
        said.append(str(error))
        return None
    if response.esri_error is not None:
        said.append(f"{redact_url(response.url)} answers: {response.esri_error}")
        return None
    return info


def _is_portal_info(info: dict[str, Any]) -> bool:
    return "owningSystemUrl" in info or "authInfo" in info


def service_of_server(site: Root, info: dict[str, Any], portal: Root | None = None) -> TokenService:
    """The token service of the server at `site` by its rest/info: its own, or that of the portal it is federated with.

    `portal`: the one that the credentials are for; `None` where they are for `site`, whose word then counts on its own host
    only. Raises `SignInError` where there is none, or none that may be believed.
    """
    owner = info.get("owningSystemUrl")
    if isinstance(owner, str) and owner:
        service = portal_service(portal if portal is not None and same_portal(owner, portal) else _owner(site, owner))
        service.server = site
        return service
    details = info.get("authInfo")
    details = details if isinstance(details, dict) else {}
    announced = details.get("tokenServicesUrl") or details.get("tokenServiceUrl") or info.get("tokenServiceUrl")
    if not isinstance(announced, str) or not announced:
        raise SignInError(
            f"{site} has no token service (its rest/info names none); it needs no token or another way to sign in."
        )
    return server_service(site, _trusted_form(site, announced))


def _owner(site: Root, owner: str) -> Root:
    """The portal that `site` says it belongs to, which counts only on the host that the user named."""
    try:
        portal = portal_root(split_url(owner.strip()))
    except EsriHttpError:
        raise SignInError(f"{site} says that it belongs to a portal, but not to which one.", url=str(site)) from None
    if portal.origin.host != site.origin.host:
        raise SignInError(
            f"{site} is federated with {redact_url(owner)}. No credentials are sent where a server points to: if that is your"
            " portal, give its address.", url=str(site),
        )  # fmt: skip
    downgrade = portal.origin.scheme == "http" and site.origin.scheme == "https"
    return Root(site.origin, portal.path) if downgrade else portal


def _trusted_form(site: Root, announced: str) -> SplitUrl | None:
    """The announced token service if it is on the host that the user named and no less safe; `None` otherwise.

    Servers behind a web adaptor announce their internal host; what they have in front is then found by its usual path.
    """
    try:
        split = split_url(announced.strip())
    except EsriHttpError:
        return None
    if split.origin.host != site.origin.host or (split.origin.scheme == "http" and site.origin.scheme == "https"):
        return None
    path = split.path.rstrip("/")
    return SplitUrl(split.origin, path if path.lower().endswith("/generatetoken") else path + "/generateToken")
