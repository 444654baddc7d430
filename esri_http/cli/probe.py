"""`esri-http probe URL`: what is there, which sign-ins it offers, and what of that works from here; sends no credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import sign_in
from .statuses import DONE, FAILED, NO_ANSWER
from .terminal import columns, pretty, shown, write
from .wording import in_options

if TYPE_CHECKING:
    import argparse

    from ..survey.certificates import CertificateFacts, TlsFacts
    from ..survey.survey import Survey

    _Row = tuple[str, list[str]]

_HERE = {True: "yes", False: "no", None: "perhaps"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("url", metavar="URL", help="a portal, a server, or any page or resource of one")
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    sign_in.add_network_arguments(parser, "10")


def run(chosen: argparse.Namespace) -> int:
    """Probe, and print what was found; the exit status is `DONE` where that is ArcGIS, or a sign-in in front of it.

    Where there was no answer, it is `NO_ANSWER`, and else `FAILED`. Raises `InvalidUrlError` and `ConfigurationError`, before
    anything is printed.
    """
    from ..survey.survey import survey

    found = survey(chosen.url, **_options(chosen))
    write(f"{pretty(found.as_dict())}\n" if chosen.json else table(found))
    if found.is_arcgis:
        return DONE
    return NO_ANSWER if found.asked[-1].status is None else FAILED


def _options(chosen: argparse.Namespace) -> dict[str, Any]:
    from ..survey.survey import DEADLINE_SECONDS

    options = sign_in.network_of(chosen)
    if chosen.timeout is not None:
        options["deadline"] = max(DEADLINE_SECONDS, 3 * chosen.timeout)
    return options


def table(found: Survey) -> str:
    """The survey for people: labels on the left, one below the other."""
    rows = [
        ("address", [str(found.address.root), *found.address.notes]),
        ("found", _found(found)),
        ("sign-in", _ways(found)),
        *_tls(found.tls),
        ("proxy", [_proxy(found)]),
        ("clock", [_clock(found.clock_skew_seconds)]),
        ("asked", _asked(found)),
        ("note", list(found.notes)),
    ]
    cells = [("" if n else label, shown(in_options(text))) for label, texts in rows for n, text in enumerate(texts)]
    return "".join(f"{line}\n" for line in columns(cells))


def _found(found: Survey) -> list[str]:
    site = found.site
    release = f"version {site.version}{f' (build {site.build})' if site.build else ''}" if site.version else ""
    lines = [", ".join(text for text in (found.found, site.name or "", release) if text), found.words]
    if site.federated_with:
        lines.append(f"federated with {site.federated_with}")
    if site.page_host:
        lines.append(f"the web page comes from {site.page_host}")
    return lines


def _ways(found: Survey) -> list[str]:
    if not found.ways:
        return ["none is known"]
    rows = [(way.name, way.where, _HERE[way.ready], way.text) for way in found.ways]
    return columns([("way", "offered by", "here", ""), *rows])


def _tls(tls: TlsFacts | None) -> list[_Row]:
    if tls is None:
        return [("TLS", ["none"])]
    verdict = {True: "trusted here", False: "not trusted here", None: "not known whether it is trusted here"}[tls.trusted]
    lines = [", ".join(text for text in (tls.version or "", tls.cipher or "", verdict) if text)]
    lines += [tls.why_not] if tls.why_not else []
    lines += ["a client certificate is wanted"] if tls.client_certificate else []
    rows: list[_Row] = [("TLS", [*lines, *tls.notes])]
    for certificate in tls.chain:
        names = "" if not certificate.names else f"for {', '.join(certificate.names)}"
        texts = [certificate.subject or "", f"issued by {certificate.issuer or '?'}", names, _dates(certificate)]
        rows.append(("certificate", [text for text in texts if text]))
    return rows


def _dates(certificate: CertificateFacts) -> str:
    left = certificate.days_left
    if left is None:
        return "cannot be read"
    rest = f"{left} days left" if left >= 0 else "over"
    return f"from {certificate.not_before} to {certificate.not_after}: {rest}"


def _proxy(found: Survey) -> str:
    proxy = found.proxy
    if proxy.url is None:
        return f"none; {proxy.note}" if proxy.note else "none"
    return f"{proxy.url}, {'as given' if proxy.source == 'given' else 'by the environment'}"


def _clock(skew: float | None) -> str:
    if skew is None:
        return "the server does not tell its time"
    if abs(skew) < 1.5:  # what is told is whole seconds
        return "agrees with ours"
    return f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"


def _asked(found: Survey) -> list[str]:
    lines = []
    for one in found.asked:
        lines.append(f"{one.seconds:6.2f} s  {one.status or '---'}  {one.url}")
        lines += [f"{'':15}led to {place}" for place in one.redirects]
        if one.status is None and one.words != found.words:
            lines.append(f"{'':15}{one.words}")
    return lines
