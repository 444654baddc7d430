"""The address of a site as people type it, made into the one root that everything else starts from."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..auth.sites import Root, online_environment, portal_root, server_root
from ..words.errors import ConfigurationError, InvalidUrlError
from ..words.origins import DEFAULT_PORTS, Origin, SplitUrl
from ..words.urls import split_url

ONLINE = "online"
HOME = "home"
PRO = "pro"
SITE = "site"

_SCHEME = re.compile(r"https?:|[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
_EXPLICIT_PORT = re.compile(r"[a-z]+://[^/?#]*:[0-9]+(?=[/?#]|\Z)", re.IGNORECASE)
_SERVICE_URL = re.compile(r"/rest/(?:(?:admin/)?services|info)(?=/|\Z)", re.IGNORECASE)
_START_PAGE = re.compile(r"/(?:index\.html?|default\.aspx?)\Z", re.IGNORECASE)
_ONLINE_SITES = {"prod": "www.arcgis.com", "dev": "devext.arcgis.com", "qa": "qaext.arcgis.com"}
# Hosts of ArcGIS Online that have services, and no portal.
_SERVICE_HOST = re.compile(r"(?:services|tiles)[a-z0-9-]*\.")
_EXAMPLE = "The address of a site looks like https://gis.example.com/portal."


class Address(NamedTuple):
    """Which site is meant. `kind` is `ONLINE`, `HOME`, `PRO` or `SITE`; `root` is `None` for `HOME` and `PRO`.

    `is_server`: the text itself is a URL of an ArcGIS Server (``/rest/services``, ``/admin`` ...). `notes` say what was
    changed, and why; they hold no part of a query.
    """

    kind: str
    root: Root | None
    is_server: bool = False
    notes: tuple[str, ...] = ()


def read_address(url: str | None) -> Address:
    """Understand what people give as the address of a site: a URL of any of its pages or resources, or a name for one.

    `None` and blanks stand for ArcGIS Online; ``home`` and ``pro`` for the hosted notebook's portal and for that of ArcGIS
    Pro. Raises `InvalidUrlError` for what is no address, `ConfigurationError` for one with a user name or password in it.
    """
    if url is not None and not isinstance(url, str):
        raise InvalidUrlError(f"The address of a site is text, not {type(url).__name__}. {_EXAMPLE}")
    text = _unwrapped(url or "")
    if not text:
        return Address(ONLINE, _online_root("prod"))
    if text.lower() in (HOME, PRO):
        return Address(text.lower(), None)
    notes: list[str] = []
    split = _split(text, notes)
    environment = online_environment(split.origin.host)
    if environment is not None:
        return Address(ONLINE, _online(split, environment, notes), False, tuple(notes))
    root, is_server = _cut(split, notes)
    return Address(SITE, root, is_server, tuple(notes))


def _unwrapped(text: str) -> str:
    """`text` without the blanks and quotes round it that come along when it is copied."""
    text = text.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text


def _split(text: str, notes: list[str]) -> SplitUrl:
    if text.startswith("//"):
        text = f"https:{text}"
    elif _SCHEME.match(text) is None:
        text = f"https://{text}"
        notes.append("https is assumed, as the address names no scheme")
    try:
        split = split_url(text)
    except InvalidUrlError as error:
        raise InvalidUrlError(f"{error} {_EXAMPLE}", url=text) from error
    if split.userinfo:
        raise ConfigurationError(
            "The address of the site holds a user name: leave it out of the address, and give username= and password=.",
            url=text,
        )
    if split.query or split.fragment:
        notes.append("what follows ? or # is left out, as it belongs to one page")
    if split.origin.scheme == "http" and not _EXPLICIT_PORT.match(text):
        notes.append("http is made https; for http, give the port, too")
        split = split._replace(origin=Origin("https", split.origin.host, DEFAULT_PORTS["https"]))
    return split


def _online_root(environment: str) -> Root:
    return Root(Origin("https", _ONLINE_SITES[environment], DEFAULT_PORTS["https"]), "")


def _online(split: SplitUrl, environment: str, notes: list[str]) -> Root:
    """The site of ArcGIS Online that is meant: an organisation's own, or that of the whole environment."""
    host = split.origin.host
    site = _online_root(environment)
    is_service = _SERVICE_URL.search(split.path) is not None and ".maps" not in host
    if host != "arcgis.com" and not is_service and not _SERVICE_HOST.match(host):
        site = site._replace(origin=site.origin._replace(host=host))
    if site.origin.host != host:
        notes.append(f"{host} is part of ArcGIS Online, whose site is {site}")
    elif split.origin != site.origin:
        notes.append("ArcGIS Online is asked over https, at its usual port")
    if split.path != "/":
        notes.append("the path is left out, as sites of ArcGIS Online have none")
    return site


def _cut(split: SplitUrl, notes: list[str]) -> tuple[Root, bool]:
    """The root of the site that `split` points into, and whether it can only be a server's."""
    path = re.sub(r"/{2,}", "/", split.path)
    split = split._replace(target=path)
    root = portal_root(split)
    server = server_root(split.origin, path)
    # One segment alone is the context path, whatever its name; "services" is a popular one.
    plain = path.rstrip("/").count("/") == 1
    if server is not None and (_SERVICE_URL.search(path) or (not plain and root.path == path.rstrip("/"))):
        root, is_server = server, True
    else:
        root, is_server = root._replace(path=_START_PAGE.sub("", root.path)), False
    root = root._replace(path=root.path.rstrip("/"))
    rest = path[len(root.path) :]
    if rest.strip("/"):
        notes.append(f"{rest[:60]} is left out, as the site begins before it")
    return root, is_server
