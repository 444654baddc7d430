"""A survey: what is at a URL, found out without a credential; for `esri-http probe`, and for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from ..auth.challenges import Challenge, challenges_of
from ..auth.oauth.oauth_app import OOB
from ..session import EsriSession
from ..wire.routes import is_address
from ..words.errors import ConfigurationError, ConnectError, ConnectTimeoutError, ProxyError, TlsError
from ..words.redaction import plain, redact_url
from .addresses import Address, read_address
from .asking import LONGEST_WORDS, Asked, Asker
from .certificates import TlsFacts, read_tls
from .facts import SignInPage, SiteFacts, portal_facts, read_sign_in_page, read_version, server_facts
from .findings import (
    CERTIFICATE,
    NOTHING,
    PAGE,
    PORTAL,
    PORTAL_PATH,
    SERVER,
    SERVER_PATH,
    TROUBLE,
    WEB_TIER,
    Finding,
    read_portal,
    read_server,
)
from .proxy_facts import ProxyFacts, proxy_facts
from .ways import Circumstances, Way, certificate_way, portal_ways, server_ways, web_tier_ways

if TYPE_CHECKING:
    from typing import Callable

    from ..auth.sites import Root
    from ..messages.response import Response

TIMEOUT_SECONDS = 10
DEADLINE_SECONDS = 30
_SKEW_WORTH_A_NOTE = 60
_FOUND = frozenset({PORTAL, SERVER, WEB_TIER, CERTIFICATE})
_VERSION_PATH = "/sharing/rest"
_SIGN_IN_PATH = "/sharing/rest/oauth2/authorize"
_APP = {"client_id": "arcgisonline", "response_type": "code", "redirect_uri": OOB}
_NOT_FOR_A_SURVEY = ("auth", "cert", "headers")


class Survey(NamedTuple):
    """What was found out about a URL; plain values, and no secret.

    `found` is one of the kinds of `findings`: ``portal``, ``server``, ``web tier`` or ``client certificate`` (a sign-in in
    front of either), ``web page``, ``nothing``, ``trouble``; `words` say it in a sentence. `clock_skew_seconds`: how far the
    server's clock is ahead of ours; `None` where it does not say. `asked`: every request, in order. `notes`: what else a
    person should know.
    """

    url: str
    address: Address
    found: str
    words: str
    site: SiteFacts
    ways: tuple[Way, ...]
    tls: TlsFacts | None
    proxy: ProxyFacts
    clock_skew_seconds: float | None
    asked: tuple[Asked, ...]
    notes: tuple[str, ...]

    @property
    def is_arcgis(self) -> bool:
        """Whether there is a portal, a server, or a sign-in in front of where one would be."""
        return self.found in _FOUND

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON. Keys may be added, and none changes its meaning:

        ``url``, ``found``, ``is_arcgis``, ``words``, ``address`` (``kind``, ``root``, ``is_server``, ``notes``), ``site`` (the
        fields of `SiteFacts`), ``ways`` (of each ``name``, ``where``, ``ready``, ``text``), ``tls`` (the fields of `TlsFacts`,
        with those of `CertificateFacts` in ``chain``; `None` over http), ``proxy`` (``url``, ``source``, ``note``),
        ``clock_skew_seconds``, ``requests`` (of each ``url``, ``status``, ``seconds``, ``redirects``, ``words``), ``notes``.
        """
        tls = None if self.tls is None else {**self.tls._asdict(), "chain": [one._asdict() for one in self.tls.chain]}
        return {
            "url": self.url,
            "found": self.found,
            "is_arcgis": self.is_arcgis,
            "words": self.words,
            "address": {**self.address._asdict(), "root": str(self.address.root)},
            "site": self.site._asdict(),
            "ways": [way._asdict() for way in self.ways],
            "tls": tls,
            "proxy": self.proxy._asdict(),
            "clock_skew_seconds": self.clock_skew_seconds,
            "requests": [_request(one) for one in self.asked],
            "notes": list(self.notes),
        }


def _request(asked: Asked) -> dict[str, Any]:
    kept = {name: value for name, value in asked._asdict().items() if name not in ("origin", "error")}
    return {**kept, "seconds": round(asked.seconds, 3)}


def survey(url: str, **session_options: Any) -> Survey:
    """Find out what is at `url`: a few anonymous GETs, and a TLS handshake for the certificates. Sends no credential.

    `session_options`: those of `EsriSession` without ``auth``, ``cert`` and ``headers``; `timeout` is 10 seconds here, and
    `deadline`, 30 seconds, is for all of it. What goes wrong on the way is part of the survey; raised are `InvalidUrlError`
    and `ConfigurationError` for an address or a setting that cannot be used.
    """
    address = read_address(url)
    if address.root is None:
        raise ConfigurationError(f"{address.kind!r} names a sign-in of this machine; give the URL of a site.")
    for name in _NOT_FOR_A_SURVEY:
        if session_options.get(name) is not None:
            raise ConfigurationError(f"A survey sends no credential, so it has no use for {name}=.")
    options = {"timeout": TIMEOUT_SECONDS, "deadline": DEADLINE_SECONDS, "retries": 0, "referer": None, **session_options}
    with EsriSession(**options) as session:
        if not isinstance(session.verify_cert, (bool, str)):
            raise ConfigurationError("An ssl.SSLContext may have a client certificate; give a survey the path of a CA bundle.")
        return _Survey(session, address, address.root, url).run()


class _Survey:
    """One survey on its way. For one thread, once."""

    def __init__(self, session: EsriSession, address: Address, root: Root, url: str) -> None:
        self._session = session
        self._address = address
        self._root = root
        self._url = url
        self._asker = Asker(session, session.deadline)
        self._proxy = proxy_facts(root.origin, self._asker.proxy_to(root.origin), session)
        self._challenges: list[Challenge] = []
        self._site = SiteFacts()

    def run(self) -> Survey:
        finding = self._look()
        last = self._asker.asked[-1]
        found, words = (TROUBLE, last.words) if finding is None else (finding.kind, plain(finding.words, LONGEST_WORDS))
        ways = self._ways(finding)
        tls = self._tls()
        if tls is not None and finding is None and isinstance(last.error, TlsError) and tls.client_certificate is not False:
            ways = [certificate_way(is_certain=tls.client_certificate is True)]
            found = CERTIFICATE if tls.client_certificate else TROUBLE
        if tls is not None and found == CERTIFICATE:
            tls = tls._replace(client_certificate=True)
        return Survey(
            redact_url(self._url or ""), self._address, found, words, self._site, tuple(ways), tls, self._proxy,
            self._asker.skew_seconds, tuple(self._asker.asked), tuple(self._notes(finding, tls)),
        )  # fmt: skip

    # -- what is there -----------------------------------------------------------------------------------------------

    def _look(self) -> Finding | None:
        """What is there by the first question that is answered well; `None` where no answer came at all."""
        questions = [(PORTAL_PATH, read_portal), (SERVER_PATH, read_server)]
        if self._address.is_server:
            questions.reverse()
        best: Finding | None = None
        for path, read in questions:
            finding = self._asked(path, read)
            if finding is None:
                return best
            if finding.kind in _FOUND:
                self._describe(finding)
                return finding
            if best is None or (best.kind == NOTHING and finding.kind != NOTHING):
                best = finding
        if best is not None and best.kind == PAGE:
            self._site = SiteFacts(page_host=best.origin.host)
        return best

    def _asked(self, path: str, read: Callable[[Response], Finding]) -> Finding | None:
        def look(response: Response) -> tuple[Finding, str]:
            challenges = challenges_of(response)
            finding = read(response)
            if finding.kind == WEB_TIER:
                self._challenges = challenges
            return finding, finding.words

        return self._asker.ask(f"{self._root}{path}?f=json", look)

    def _describe(self, finding: Finding) -> None:
        if finding.kind == SERVER:
            self._site = server_facts(self._root, finding)
        if finding.kind == PORTAL:
            version = self._asker.ask(f"{self._root}{_VERSION_PATH}?f=json", read_version) or {}
            page = SignInPage()
            if finding.fields.get("supportsOAuth") is not False:
                page = self._asker.ask(f"{self._root}{_SIGN_IN_PATH}?{urlencode(_APP)}", read_sign_in_page, stay=True) or page
            self._site = portal_facts(self._root, finding, version, page)

    # -- what follows from it ----------------------------------------------------------------------------------------

    def _ways(self, finding: Finding | None) -> list[Way]:
        kind = None if finding is None else finding.kind
        if kind == WEB_TIER and finding is not None:
            name = self._verified_name()
            here = Circumstances(
                finding.origin.scheme == "https", not is_address(name), self._asker.skew_seconds, self._asker.clock
            )
            return web_tier_ways(self._challenges, here)
        if kind == CERTIFICATE:
            return [certificate_way(is_certain=True)]
        return portal_ways(self._site) if kind == PORTAL else server_ways(self._site) if kind == SERVER else []

    def _verified_name(self) -> str:
        """The name that the certificate has to be for, and tickets are for."""
        return self._asker.name_of(self._root.origin)

    def _tls(self) -> TlsFacts | None:
        origin = self._root.origin
        if origin.scheme != "https":
            return None
        first = self._asker.asked[0].error
        if isinstance(first, (ConnectError, ConnectTimeoutError, ProxyError)):
            return TlsFacts(None, None, None, None, None, (), ("the certificates were not read, as there is no connection",))
        return read_tls(self._asker, origin, self._session.verify_cert is not False, self._verified_name())

    def _notes(self, finding: Finding | None, tls: TlsFacts | None) -> list[str]:
        notes = []
        if tls is None:
            notes.append("over http anybody on the way can read and change what is sent; use https")
        skew = self._asker.skew_seconds
        if skew is not None and abs(skew) > _SKEW_WORTH_A_NOTE:
            notes.append(f"the clocks are {abs(skew):.0f} s apart, and tokens and Kerberos mind; set the one that is wrong")
        if finding is not None and finding.origin != self._root.origin:
            notes.append(f"the answers come from {finding.origin}, not from {self._root.origin}; is that the site's address?")
        if finding is not None and finding.kind == NOTHING and not self._root.path:
            notes.append("the name of the web adaptor may be missing from the address, such as /portal or /arcgis")
        if self._site.federated_with:
            notes.append("which portal the server belongs to is its own word; credentials go to the portal that you name")
        return notes
