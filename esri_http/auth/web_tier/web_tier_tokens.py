"""Tokens for the servers behind a web tier: the portal gives one, without a password, to whom its web tier let in.

ArcGIS REST, generateToken: a portal whose web adaptor signs its users in believes the web adaptor. What a server says of its
portal is believed only where that is on the server's own origin, or is the `url=` of the handler.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ...words.errors import (
    ArcGISLoginError,
    EsriTimeoutError,
    InteractionRequiredError,
    NoTokenError,
    SignInError,
    TransportError,
)
from ..base import ACCEPT, INERT, REPLAY, Audience, AuthRun, BaseEsriAuth
from ..chain import InnerRun
from ..sites import Root, server_root
from ..tokens.generate_token import EsriGenTokenAuth
from ..tokens.token_auth import token_error

if TYPE_CHECKING:
    from ...messages.request import Request
    from ...messages.response import Response
    from ..base import Answer, Verdict, Wire
    from .web_tier_auth import WebTierAuth

log = logging.getLogger("esri_http.auth")

_MOST_SERVERS = 1000


class WebTierTokens:
    """The token handlers that a web-tier handler makes on its own account. Shared by threads.

    `url`: the portal; `None`: each server's own word for it, which counts on that server's origin only.
    """

    def __init__(self, url: str | None, referer: str | None, legacy: bool) -> None:
        self._url = url
        self._referer = referer
        self._legacy = legacy
        self._by_server: dict[Root, EsriGenTokenAuth] = {}
        self._portal: EsriGenTokenAuth | None = None

    def run_behind(self, handler: WebTierAuth, run: AuthRun, audience: Audience) -> AuthRun:
        """`run`, and behind it what puts tokens on requests to federated servers."""
        return InnerRun([_WithoutTokens(handler)], [run], _TokensRun(self, audience))

    def _new_handler(self, root: Root, wire: Wire) -> EsriGenTokenAuth:
        return EsriGenTokenAuth(self._url or f"{root}/rest/services", self._referer, legacy=self._legacy, clock=wire.clock)

    def known(self, request: Request) -> EsriGenTokenAuth | None:
        """The handler for the server that `request` is for, once it has wanted a token."""
        root = server_root(request.origin, request.path) if self._by_server else None
        return None if root is None else self._by_server.get(root)

    def found(self, root: Root, wire: Wire) -> EsriGenTokenAuth:
        """The handler for the server at `root`, which wants a token. Raises `NoTokenError` where there can be none."""
        handler = self._portal or self._new_handler(root, wire)
        if self._url is not None:
            self._portal = handler
        try:
            site = handler.site_tokens(wire)[0]
            if self._url is None and (site is None or site == root or site.origin != root.origin):
                raise NoTokenError(
                    f"{root} wants a token. If it is federated with a portal, name that to the handler: url=\"https://...\";"
                    " if it has accounts of its own, add a handler for them: + EsriGenTokenAuth(...).", url=str(root),
                )  # fmt: skip
        except (ArcGISLoginError, InteractionRequiredError, NoTokenError, EsriTimeoutError):
            raise
        except (SignInError, TransportError) as error:
            message = f"{root} wants a token, and its portal could not be found: {error}"
            raise NoTokenError(message, url=str(root)) from error
        if len(self._by_server) < _MOST_SERVERS:
            handler = self._by_server.setdefault(root, handler)
        log.debug("%s wants tokens; they come from %s", root, site)
        return handler


class _WithoutTokens(BaseEsriAuth):
    """The web-tier handler for the requests that get its tokens: without these tokens."""

    def __init__(self, handler: WebTierAuth) -> None:
        self._handler = handler

    def begin(self, audience: Audience) -> AuthRun:
        return self._handler.begin_inner(audience)


class _TokensRun(AuthRun):
    """One request behind the web tier: with a token where the server has wanted one before, or does now."""

    def __init__(self, tokens: WebTierTokens, audience: Audience) -> None:
        self._tokens = tokens
        self._audience = audience
        self._run: AuthRun = INERT

    def before_request(self, request: Request, wire: Wire) -> Request:
        handler = self._tokens.known(request) if self._run is INERT else None
        if handler is not None:
            self._run = handler.begin(self._audience)
        return self._run.before_request(request, wire)

    def about_to_send(self, request: Request, wire: Wire) -> Verdict:
        return self._run.about_to_send(request, wire)

    def on_response(self, request: Request, response: Response, wire: Wire) -> Answer:
        if self._run is not INERT:
            return self._run.on_response(request, response, wire)
        if token_error(response) is None:
            return ACCEPT
        root = server_root(request.origin, request.path)
        if root is None or request.header("X-Esri-Authorization") is not None:
            return ACCEPT
        self._run = self._tokens.found(root, wire).begin(self._audience)
        return REPLAY

    def end(self) -> None:
        self._run.end()
