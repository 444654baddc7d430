"""The look at a site before a sign-in, and the one after it: one GET each of what says what the site is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Callable

from ..auth.sites import Root, portal_root
from ..auth.token_services import service_of_server
from ..survey.findings import NOTHING, PAGE, PORTAL, PORTAL_PATH, SERVER, SERVER_PATH, read_portal, read_server
from ..words.errors import SignInError, TlsError
from ..words.redaction import redact_url
from ..words.urls import split_url
from .dead_ends import CERTIFICATE_ADVICE, dead_end

if TYPE_CHECKING:
    from ..messages.response import Response
    from ..session import EsriSession
    from ..survey.findings import Finding

log = logging.getLogger("esri_http.gis")

Note = Callable[[str, str], None]


class Look:
    """Finds out what is at a root, through a session. For one thread.

    `enter` is called with each root before it is asked, to have the session sign in there as it should; `note` with what
    was asked, for people. `is_stranger`: nobody is to be signed in, so that a server's word for its portal need not be
    believed.
    """

    def __init__(self, session: EsriSession, enter: Callable[[Root], None], note: Note, is_stranger: bool) -> None:
        self._session = session
        self._enter = enter
        self._note = note
        self._is_stranger = is_stranger

    def around(self, root: Root, is_server: bool) -> tuple[Root, Finding]:
        """What is at `root`, with the root that it turned out to have; of a federated server, its portal.

        `is_server`: only a server can be there. Raises the error of `dead_end` where nothing is.
        """
        self._enter(root)
        at_portal = None
        if not is_server:
            at_portal, final = self._ask(root, PORTAL_PATH, read_portal)
            if at_portal.kind == PORTAL:
                return self._moved(root, final), at_portal
            if at_portal.kind not in (NOTHING, PAGE):
                return root, at_portal
        at_server, _ = self._ask(root, SERVER_PATH, read_server)
        if at_server.kind == SERVER:
            owner = self._owner(root, at_server)
            return (root, at_server) if owner is None else self.around(owner, is_server=False)
        if at_portal is not None and at_server.kind in (NOTHING, PAGE):
            raise dead_end(at_portal)
        return root, at_server

    def at_portal(self, root: Root) -> Finding:
        """What the portal at `root` says now."""
        return self._ask(root, PORTAL_PATH, read_portal)[0]

    def _ask(self, root: Root, path: str, read: Callable[[Response], Finding]) -> tuple[Finding, Root]:
        """What answers at `path`, and the root of whoever did."""
        try:
            response = self._session.get(f"{root}{path}", params={"f": "json"}, stream=True)
        except TlsError as error:
            if "client certificate" not in str(error):
                raise
            raise SignInError(f"{error} {CERTIFICATE_ADVICE}", url=str(root)) from error
        finding = read(response)
        log.debug("%s", finding.words)
        self._note("asked", finding.words)
        return finding, portal_root(split_url(response.url))

    def _moved(self, root: Root, final: Root) -> Root:
        """The root that a portal answered from: by https instead of http, or under another path of its own host."""
        if final == root:
            return root
        if final.origin.host != root.origin.host or final.origin.scheme == "http":
            raise SignInError(f"{root} leads to the portal {final}. If that is yours, give its address.", url=str(root))
        self._note("address", f"{root} leads to {final}")
        self._enter(final)
        return final

    def _owner(self, root: Root, finding: Finding) -> Root | None:
        """The portal that the server at `root` is federated with; `None` for a stand-alone one.

        Raises `SignInError` where that is one that the caller did not name, and somebody is to be signed in.
        """
        if finding.owner is None:
            return None
        self._note("site", f"{root} is federated with {redact_url(finding.owner)}")
        try:
            return service_of_server(root, finding.fields).root
        except SignInError:
            if self._is_stranger:
                return None
            raise
