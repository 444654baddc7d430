"""The look at a site before a sign-in, and the one after it: one GET each of what says what the site is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Callable

from ..auth.sites import Root, portal_root
from ..auth.tokens.token_services import service_of_server
from ..survey.findings import (
    LARGEST_ANSWER,
    NOTHING,
    PAGE,
    PORTAL,
    PORTAL_PATH,
    SERVER,
    SERVER_PATH,
    WEB_TIER,
    read_portal,
    read_server,
)
from ..words.errors import SignInError, TlsError
from ..words.redaction import redact_url
from ..words.urls import split_url
from .dead_ends import CERTIFICATE_ADVICE, dead_end

if TYPE_CHECKING:
    from ..messages.response import Response
    from ..session import EsriSession
    from ..survey.findings import Finding

    Note = Callable[[str, str], None]
    Enter = Callable[[Root, bool], bool]

log = logging.getLogger("esri_http.gis")


class Look:
    """Finds out what is at a root, through a session. For one thread.

    `enter(root, is_server)` is called before a root is asked: it has the session sign in there as it should, and returns
    whether anybody is to be signed in; `is_server`: only a server can be there. `note(label, text)` is called with what was
    asked, for people. `is_lent`: the session is the caller's, and looks as it is set to; another one looks without netrc.
    """

    def __init__(self, session: EsriSession, enter: Enter, note: Note, *, is_lent: bool) -> None:
        self._session = session
        self._is_lent = is_lent
        self._enter = enter
        self._note = note

    def around(self, root: Root, is_server: bool) -> tuple[Root, Finding]:
        """What is at `root`, with the root that it turned out to have; of a federated server, its portal.

        `is_server`: only a server can be there. Raises the error of `dead_end` where nothing is, and `SignInError` where
        credentials would have to go to a place that nobody named.
        """
        is_stranger = not self._enter(root, is_server)
        at_portal = None
        if not is_server:
            root, at_portal = self._ask(root, PORTAL_PATH, read_portal)
            if at_portal.kind not in (NOTHING, PAGE):
                return root, at_portal
        root, at_server = self._ask(root, SERVER_PATH, read_server)
        if at_server.kind == SERVER:
            owner = self._owner(root, at_server, is_stranger)
            return (root, at_server) if owner is None else self._at_owner(owner)
        if at_portal is not None and at_server.kind in (NOTHING, PAGE):
            raise dead_end(at_portal)
        return root, at_server

    def at_portal(self, root: Root) -> Finding:
        """What the portal at `root` says now."""
        return self._answer(root, PORTAL_PATH, read_portal)[0]

    def _at_owner(self, root: Root) -> tuple[Root, Finding]:
        """What is where a server says that its portal is: that has to be a portal, and not a server that says so again."""
        self._enter(root, False)
        return self._ask(root, PORTAL_PATH, read_portal)

    def _ask(self, root: Root, path: str, read: Callable[[Response], Finding]) -> tuple[Root, Finding]:
        """What answers at `path`, and its root: another one where the site answers from another address of its own host."""
        finding, final = self._answer(root, path, read)
        if not _has_moved(root, final, finding):
            return root, finding
        self._note("address", f"{root} leads to {final}")
        self._enter(final, path == SERVER_PATH)
        if self._session.auth is not None:  # what signs us in there was not asked for yet
            start, (finding, final) = final, self._answer(final, path, read)
            if _has_moved(start, final, finding):
                raise SignInError(f"{start} leads on to {final}. Give the address of the site itself.", url=str(start))
        return final, finding

    def _answer(self, root: Root, path: str, read: Callable[[Response], Finding]) -> tuple[Finding, Root]:
        """What answers at `path`, and the root of whoever did."""
        drop = self._session.auth is None and not self._is_lent
        ahead = LARGEST_ANSWER + 1
        try:
            response = self._session.get(f"{root}{path}", {"f": "json"}, stream=False, ahead=ahead, drop_auth=drop)
        except TlsError as error:
            if "client certificate" not in str(error):
                raise
            raise SignInError(f"{error} {CERTIFICATE_ADVICE}", url=str(root)) from error
        with response:
            finding = read(response)
        log.debug("%s", finding.words)
        self._note("asked", finding.words)
        return finding, _root_of(response.url, path)

    def _owner(self, root: Root, finding: Finding, is_stranger: bool) -> Root | None:
        """The portal that the server at `root` is federated with; `None` for a stand-alone one.

        Raises `SignInError` where that is one that the caller did not name, and somebody is to be signed in.
        """
        if finding.owner is None:
            return None
        self._note("site", f"{root} is federated with {redact_url(finding.owner)}")
        try:
            return service_of_server(root, finding.fields).root
        except SignInError:
            if is_stranger:  # its word need not be believed then
                return None
            raise


def _root_of(url: str, path: str) -> Root:
    """The root of the site that `url` belongs to, where `path` was asked for."""
    split = split_url(url)
    return Root(split.origin, split.path[: -len(path)]) if split.path.endswith(path) else portal_root(split)


def _has_moved(root: Root, final: Root, finding: Finding) -> bool:
    """Whether the site at `root` answers from `final`: by https instead of http, at another port, or under another path.

    Raises `SignInError` where it is another host that answers, or another origin by http.
    """
    is_site = finding.kind in (PORTAL, SERVER) or (finding.kind == WEB_TIER and final.path == root.path)
    if final == root or not is_site:
        return False
    own, others = root.origin, final.origin
    if others != own and (others.host != own.host or others.scheme == "http"):
        raise SignInError(f"{root} leads to {final}. If that is your site, give its address.", url=str(root))
    return True
