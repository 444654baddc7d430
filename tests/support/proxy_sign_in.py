"""Proxies that want a sign-in, and check it by themselves: for the `intercept` of a `ProxyPeer`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Union

from .digest_server import DigestServer
from .http_messages import RecordedRequest, Reply


class DigestProxy(DigestServer):
    """Wants Digest, as `DigestServer` does, in the header fields that are a proxy's; lets pass what is signed.

    `close`: it closes the connection after each refusal, as Squid may.
    """

    def __init__(self, *arguments: Any, close: bool = False, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.close = close

    def intercept(self, request: RecordedRequest) -> Union[Reply, None]:
        """The refusal of `request`; `None` where it may pass."""
        return as_proxy(self)(request, self.close)

    def _realm(self, request: RecordedRequest) -> str:
        return 'the "proxy\\ realm'


def as_proxy(server: Callable[[RecordedRequest], Reply]) -> Callable[..., Union[Reply, None]]:
    """The handler of an origin server that wants a sign-in, as the `intercept` of a proxy: `None` for what it lets in."""

    def intercept(request: RecordedRequest, close: bool = False) -> Union[Reply, None]:
        reply = server(seen_by_server(request))
        return None if reply.status == 200 else refusal(reply, close)

    return intercept


def seen_by_server(request: RecordedRequest) -> RecordedRequest:
    """`request` with what it says to the proxy, other than Basic, in the place of what it says to the server."""
    said = request.headers.get_all("Proxy-Authorization")
    fields = [("Authorization", value) for value in said if not value.startswith("Basic ")]
    seen = RecordedRequest(request.method, request.target, fields)
    seen.connection = request.connection
    return seen


def refusal(reply: Reply, close: bool = False) -> Reply:
    """A 401 as the 407 of a proxy."""
    fields = [("Proxy-Authenticate", value) for value in reply.headers.get_all("WWW-Authenticate")]
    return Reply(407, fields, "sign in to the proxy", close=close)
