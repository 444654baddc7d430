"""ArcGIS sites by their URLs: the root of a portal or server, and whether two URLs mean the same portal."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..words.errors import EsriHttpError
from ..words.origins import Origin, SplitUrl
from ..words.urls import split_url

# Where the part of a URL begins that belongs to the site, not to its address.
_SERVER_MARK = re.compile(r"/(?:admin|tokens|manager|services|rest)(?=/|\Z)", re.IGNORECASE)
_SERVICES_MARK = re.compile(r"/rest/(?:admin/)?services(?=/|\Z)", re.IGNORECASE)
_SHARING_MARK = re.compile(r"/sharing(?=/|\Z)", re.IGNORECASE)
_PORTAL_MARK = re.compile(r"/(?:sharing|portaladmin|home|apps)(?=/|\Z)", re.IGNORECASE)
_ONLINE = re.compile(r"(?:[a-z0-9-]+\.)*([a-z0-9-]+)\.arcgis\.com\Z|arcgis\.com\Z")


class Root(NamedTuple):
    """Where a site lives: its origin and its context path, without a slash at the end (``/portal``, or empty)."""

    origin: Origin
    path: str

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"

    def holds(self, origin: Origin, path: str) -> bool:
        """Whether a URL lies inside this site (paths are compared whole segment by whole segment)."""
        return origin == self.origin and (path == self.path or path.startswith(self.path + "/"))


def server_root(origin: Origin, path: str) -> Root | None:
    """The root of the ArcGIS Server that a URL belongs to, such as ``/gis/server``; `None` where it looks like none."""
    match = _SERVICES_MARK.search(path) or _SERVER_MARK.search(path)  # a site may be at /services, or at /admin
    if match is None or _SHARING_MARK.search(path, 0, match.end()):
        return None
    return Root(origin, path[: match.start()])


def web_adaptor(path: str) -> str:
    """The first part of a URL's path. What lies below one is behind the same web adaptor, and signed in at alike."""
    return path[1:].partition("/")[0]


def quiet_target(origin: Origin, target: str) -> str:
    """A target of the site that `target` belongs to which can be asked for without starting anything.

    ArcGIS REST: rest/info of servers and portals. Elsewhere it is the path alone.
    """
    path = target.partition("?")[0]
    server = server_root(origin, path)
    if server is not None:
        return f"{server.path}/rest/info?f=json"
    match = _SHARING_MARK.search(path)
    return path if match is None else f"{path[: match.start()]}/sharing/rest/info?f=json"


def portal_root(split: SplitUrl) -> Root:
    """The root of the portal that `split` points into, whatever page or resource of it."""
    match = _PORTAL_MARK.search(split.path)
    path = split.path if match is None else split.path[: match.start()]
    return Root(split.origin, path.rstrip("/"))


def online_environment(host: str) -> str | None:
    """``dev``, ``qa`` or ``prod`` for a host of ArcGIS Online, `None` for any other host."""
    match = _ONLINE.match(host)
    if match is None:
        return None
    label = match.group(1) or "www"
    return "dev" if "dev" in label else "qa" if "qa" in label else "prod"


def is_online_site(portal: Root, origin: Origin) -> bool:
    """Whether `origin` is a host of the environment of ArcGIS Online that `portal` is an organisation of, over https.

    All of these hosts take the portal's own token.
    """
    environment = online_environment(portal.origin.host)
    return environment is not None and origin.scheme == "https" and online_environment(origin.host) == environment


def same_portal(announced: object, portal: Root) -> bool:
    """Whether the portal that a server announces (untrusted) is `portal`.

    Scheme, letter case and trailing slashes do not matter, nor does ``/sharing...``; all organisations of one
    environment of ArcGIS Online are one portal.
    """
    if not isinstance(announced, str):
        return False
    try:
        theirs = portal_root(split_url(announced.strip()))
    except EsriHttpError:
        return False
    environment = online_environment(portal.origin.host)
    if environment is not None:
        return online_environment(theirs.origin.host) == environment
    same_host = theirs.origin.host == portal.origin.host and _same_port(theirs.origin, portal.origin)
    return same_host and theirs.path.lower() == portal.path.lower()


def _same_port(one: Origin, other: Origin) -> bool:
    return one.port == other.port or {(one.scheme, one.port), (other.scheme, other.port)} == {("http", 80), ("https", 443)}
