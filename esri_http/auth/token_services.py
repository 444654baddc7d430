"""Finding the token service of a site (ArcGIS REST: rest/info, authInfo.tokenServicesUrl, owningSystemUrl)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..messages.request import Request
from ..words.errors import EsriHttpError, SignInError, TokenRequestError
from ..words.origins import Origin, SplitUrl
from ..words.redaction import redact_url
from ..words.urls import split_url
from .sites import Root, portal_root, server_root
from .token_answers import read_json

if TYPE_CHECKING:
    from .base import Wire

_PORTAL_SERVICE = re.compile(r"(.*)/sharing(?:/rest)?/generatetoken/?\Z", re.IGNORECASE)
_SERVER_SERVICE = re.compile(r"(.*)/(?:tokens|admin)/generatetoken/?\Z", re.IGNORECASE)
_TOKENS_FOLDER = re.compile(r"(.*)/tokens/?\Z", re.IGNORECASE)


class TokenService:
    """Where a site's tokens come from (`url`), and which site that is (`root`).

    `server` is the federated server that a portal's service was asked for, or `None`. `origins` are further origins of
    the same site: a stand-alone server often has its token service on another port.
    """

    __slots__ = ("is_portal", "origins", "own_roots", "root", "server", "url")

    def __init__(
        self, url: SplitUrl, root: Root, is_portal: bool, server: Root | None = None, origins: frozenset[Origin] = frozenset()
    ) -> None:
        self.url = url
        self.root = root
        self.is_portal = is_portal
        self.server = server
        self.origins = origins | {url.origin}
        self.own_roots = frozenset({root})


def find_service(url: str, wire: Wire, given: bool = True) -> TokenService:
    """The token service that `url` is, or that the site at `url` has.

    `given`: there is a user name and password to be posted, so the service must be the site that was named. Raises
    `SignInError` where the site has none, or names one that the credentials may not go to.
    """
    split = split_url(url)
    path = split.path
    match = _PORTAL_SERVICE.match(path)
    if match:
        return TokenService(split, Root(split.origin, match.group(1)), is_portal=True)
    match = _SERVER_SERVICE.match(path)
    if match:
        return TokenService(split, Root(split.origin, match.group(1)), is_portal=False)
    match = _TOKENS_FOLDER.match(path)
    if match:
        return _server_service(Root(split.origin, match.group(1)))
    if re.search(r"/(?:sharing|home|portaladmin)(?=/|\Z)", path, re.IGNORECASE):
        return portal_service(portal_root(split))
    return _ask(split, wire, given)


def portal_service(root: Root) -> TokenService:
    """The service of the portal at `root`."""
    return TokenService(SplitUrl(root.origin, f"{root.path}/sharing/rest/generateToken"), root, is_portal=True)


def _server_service(root: Root, announced: SplitUrl | None = None) -> TokenService:
    url = announced or SplitUrl(root.origin, f"{root.path}/tokens/generateToken")
    return TokenService(url, root, is_portal=False)


def _ask(split: SplitUrl, wire: Wire, given: bool) -> TokenService:
    """Ask the site itself: first as a server where the URL looks like one, as a portal first otherwise."""
    server = server_root(split.origin, split.path)
    site = server or Root(split.origin, split.path.rstrip("/"))
    if server is None:
        info = _info(site, "/sharing/rest/info", wire)
        if info is not None and _is_portal_info(info):
            return portal_service(site)
    info = _info(site, "/rest/info", wire)
    if info is None:
        raise SignInError(f"At {site} there is neither a portal nor an ArcGIS Server that answers rest/info.", url=str(site))
    return _service_of_server(site, info, given)


def _info(site: Root, path: str, wire: Wire) -> dict[str, Any] | None:
    response = wire.send(Request("GET", site.origin, f"{site.path}{path}?f=json", {"Accept": "*/*"}))
    if response.status_code in (404, 410):
        response.discard()
        return None
    try:
        info = read_json(response, "The site")
    except TokenRequestError:
        if response.status_code >= 500 or response.status_code == 401:
            raise
        return None
    return None if response.esri_error is not None else info


def _is_portal_info(info: dict[str, Any]) -> bool:
    return "owningSystemUrl" in info or "authInfo" in info


def _service_of_server(site: Root, info: dict[str, Any], given: bool) -> TokenService:
    owner = info.get("owningSystemUrl")
    if isinstance(owner, str) and owner:
        return _service_of_owner(site, owner, given)
    details = info.get("authInfo")
    details = details if isinstance(details, dict) else {}
    announced = details.get("tokenServicesUrl") or details.get("tokenServiceUrl") or info.get("tokenServiceUrl")
    if not isinstance(announced, str) or not announced:
        raise SignInError(
            f"{site} has no token service (its rest/info names none); it needs no token or another way to sign in."
        )
    return _server_service(site, _trusted_form(site, announced))


def _service_of_owner(site: Root, owner: str, given: bool) -> TokenService:
    try:
        portal = portal_root(split_url(owner.strip()))
    except EsriHttpError:
        raise SignInError(f"{site} says that it belongs to a portal, but not to which one.", url=str(site)) from None
    if given and portal.origin.host != site.origin.host:
        raise SignInError(
            f"{site} is federated with {redact_url(owner)}. The password is not sent where a server points to: if that is your"
            " portal, give its address as token_url=.", url=str(site),
        )  # fmt: skip
    if given and portal.origin.scheme != "https" and site.origin.scheme == "https":
        portal = Root(site.origin, portal.path)
    service = portal_service(portal)
    service.server = site
    return service


def _trusted_form(site: Root, announced: str) -> SplitUrl | None:
    """The announced token service if it is on the host that the user named and no less safe; else its path on that host."""
    try:
        split = split_url(announced.strip())
    except EsriHttpError:
        return None
    path = split.path.rstrip("/")
    if not path.lower().endswith("/generatetoken"):
        path += "/generateToken"
    same_host = split.origin.host == site.origin.host
    downgrade = split.origin.scheme == "http" and site.origin.scheme == "https"
    return SplitUrl(split.origin if same_host and not downgrade else site.origin, path)
