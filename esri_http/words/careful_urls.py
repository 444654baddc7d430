"""The slow, careful half of `urls.split_url`: for the URLs that are not plain ASCII. Loaded when the first one comes."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import quote

from .errors import InvalidUrlError
from .origins import DEFAULT_PORTS, Origin, SplitUrl
from .redaction import redact_url

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.?\Z")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SAFE = "-._~!$&'()*+,;=:@%/"
_LONGEST_HOST = 253
_LONGEST_LABEL = 63


def split_carefully(url: object) -> SplitUrl:
    """As `split_url`, for any input at all."""
    if not isinstance(url, str):
        raise InvalidUrlError(f"A URL is text, not {type(url).__name__}.")
    text = url.strip(" ")
    if _CONTROLS.search(text):
        raise InvalidUrlError("The URL holds control characters; remove or percent-encode them.", url=text)
    scheme, rest = _take_scheme(text)
    rest, _, fragment = rest.partition("#")
    cut = re.search(r"[/?]", rest)
    authority, target = (rest, "") if cut is None else (rest[: cut.start()], rest[cut.start() :])
    userinfo, host, port = _take_authority(authority, text)
    origin = Origin(scheme, host, DEFAULT_PORTS[scheme] if port is None else port)
    return SplitUrl(origin, _target(target), fragment, userinfo)


def _take_scheme(text: str) -> tuple[str, str]:
    match = _SCHEME.match(text)
    scheme = match.group(1).lower() if match else ""
    if match is None or (scheme not in DEFAULT_PORTS and "://" not in text):
        raise InvalidUrlError(f"The URL {redact_url(text)} has no scheme; did you mean https://{redact_url(text)}?", url=text)
    if scheme not in DEFAULT_PORTS:
        raise InvalidUrlError(f"Only http and https URLs can be requested, not {scheme}:", url=text)
    rest = text[match.end() :]
    if not rest.startswith("//"):
        raise InvalidUrlError(f"The URL {redact_url(text)} has no host; write {scheme}://host/path.", url=text)
    return scheme, rest[2:]


def _take_authority(authority: str, text: str) -> tuple[str, str, int | None]:
    if "\\" in authority or " " in authority:
        raise InvalidUrlError("The host part of the URL holds a backslash or a blank.", url=text)
    userinfo, _, hostport = authority.rpartition("@")
    if "@" in userinfo:
        raise InvalidUrlError("The URL holds several @ before the host; write those of a name or password as %40.", url=text)
    if hostport.startswith("["):
        address, bracket, port = hostport[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise InvalidUrlError("The brackets round the IPv6 address do not close.", url=text)
        return userinfo, _ipv6(address, text), _port(port[1:], text)
    host, _, port = hostport.partition(":")
    return userinfo, _host(host, text), _port(port, text)


def _port(digits: str, text: str) -> int | None:
    if not digits:
        return None
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):
        raise InvalidUrlError("The port in the URL is not a number from 1 to 65535.", url=text)
    return int(digits)


def _ipv6(address: str, text: str) -> str:
    plain, _, zone = address.partition("%25") if "%25" in address else address.partition("%")
    try:
        compressed = ipaddress.IPv6Address(plain).compressed
    except ValueError:
        raise InvalidUrlError("The host in brackets is not an IPv6 address.", url=text) from None
    if zone and not re.fullmatch(r"[A-Za-z0-9._~-]+", zone):
        raise InvalidUrlError("The zone of the IPv6 address is not valid.", url=text)
    return f"{compressed}%{zone}" if zone else compressed


def _host(host: str, text: str) -> str:
    if not host.isascii():
        host = _ascii_host(host, text)
    host = host.lower()
    if not host or len(host) > _LONGEST_HOST or not _HOST.match(host) or max(map(len, host.split("."))) > _LONGEST_LABEL:
        raise InvalidUrlError(f"The URL {redact_url(text)} has no valid host name.", url=text)
    return host


def _ascii_host(host: str, text: str) -> str:
    if len(host) > _LONGEST_HOST or re.search(r"[/?#@:\\%\[\]]", unicodedata.normalize("NFKC", host)):
        raise InvalidUrlError("The host name holds characters that read as separators (CVE-2019-9636).", url=text)
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidUrlError("The host name has no ASCII form (IDNA).", url=text) from None


def _target(target: str) -> str:
    path, mark, query = target.partition("?")
    path = _without_dot_segments(_quoted(path, _SAFE)) or "/"
    return path + mark + _quoted(query, _SAFE + "?")


def _quoted(text: str, safe: str) -> str:
    try:
        return quote(_BAD_ESCAPE.sub("%25", text), safe=safe)
    except UnicodeEncodeError:
        raise InvalidUrlError("The URL holds half a character (a lone surrogate).") from None


def _without_dot_segments(path: str) -> str:
    """RFC 3986 section 5.2.4, for a path that is empty or starts with a slash."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
