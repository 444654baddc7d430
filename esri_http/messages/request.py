"""One request on its way: a value that is copied, never edited, once it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..words.headers import BODY_HEADERS, lookup, redact_headers, without
from ..words.redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable, Optional

    from ..words.origins import Origin
    from .body import Body

    LateHeaders = Callable[[Optional[bytes]], Mapping[str, str]]


class Request:
    """Method, URL, header fields and body of one request.

    `headers` is a plain dict that belongs to this request alone; `body` is `bytes`, a `Body` that can be iterated, or
    `None`. `secret_query` is a query that goes on the wire but into no log, error or `url`. `late_headers` makes header
    fields each time that the request is sent, once the connection stands: it is called with the server's certificate (DER;
    `None` without TLS).
    """

    __slots__ = ("body", "fragment", "headers", "late_headers", "method", "origin", "secret_query", "target")

    def __init__(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: dict[str, str],
        body: Body | None = None,
        fragment: str = "",
        secret_query: str = "",
        late_headers: LateHeaders | None = None,
    ) -> None:
        self.method = method
        self.origin = origin
        self.target = target
        self.headers = headers
        self.body = body
        self.fragment = fragment
        self.secret_query = secret_query
        self.late_headers = late_headers

    @property
    def url(self) -> str:
        """The absolute URL, without user info, and without what is secret."""
        return f"{self.origin}{self.target}" + (f"#{self.fragment}" if self.fragment else "")

    @property
    def target_on_wire(self) -> str:
        """`target` with the secret query, as the request line has it: for a signature of it, never for a log."""
        if not self.secret_query:
            return self.target
        return f"{self.target}{'&' if '?' in self.target else '?'}{self.secret_query}"

    @property
    def path_url(self) -> str:
        """Path and query, as they stand in the request line."""
        return self.target

    @property
    def path(self) -> str:
        """The path alone."""
        return self.target.partition("?")[0]

    @property
    def replayable(self) -> bool:
        """Whether the request can be sent a second time."""
        return self.body is None or self.body.replayable

    def copy(self) -> Request:
        """A copy with header fields of its own; the body is shared."""
        return self._with(dict(self.headers))

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Request:
        """As `copy`: what a pickle keeps could not be sent."""
        return self.copy()

    def _with(self, headers: dict[str, str]) -> Request:
        return Request(
            self.method, self.origin, self.target, headers, self.body, self.fragment, self.secret_query, self.late_headers
        )

    def replace(self, **changes: Any) -> Request:
        """A copy with the named parts changed."""
        twin = self.copy()
        for name, value in changes.items():
            setattr(twin, name, value)
        return twin

    def with_header(self, name: str, value: str) -> Request:
        """A copy with this header field set, whatever stood there, in whatever case."""
        headers = dict(self.headers) if lookup(self.headers, name) is None else without(self.headers, frozenset({name.lower()}))
        headers[name] = value
        return self._with(headers)

    def without_body(self) -> Request:
        """A GET of the same target, which asks for nothing to be done (RFC 9110 section 9.2.1)."""
        return self.replace(method="GET", body=None, headers=without(self.headers, BODY_HEADERS))

    def header(self, name: str) -> str | None:
        """The value of a header field, or `None`."""
        return lookup(self.headers, name)

    def __repr__(self) -> str:
        return f"<Request {self.method} {redact_url(self.url)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """What a pickle keeps: no body, and nothing secret, so that a pickled answer leaks nothing."""
        return Request, (self.method, self.origin, self.target, redact_headers(self.headers), None, self.fragment)
