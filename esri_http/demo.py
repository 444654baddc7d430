"""`make demo`: every way to sign in that there is, against the embedded portal, and a table of how it went."""

from __future__ import annotations

import time
from contextlib import redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from .demo_cases import CASES, Case
from .session import EsriSession
from .words.errors import EsriHttpError

if TYPE_CHECKING:
    from .testing import EmbeddedPortal

_PAGE = 50
_COLUMNS = ("scheme", "handler", "signed in as", "requests", "features", "ms")


class Row(NamedTuple):
    """How a case went; `problem` is empty where all of it worked."""

    scheme: str
    handler: str
    user: str
    requests: int
    features: int
    milliseconds: int
    problem: str = ""


def run() -> int:
    """Print the table; 0 only if everything in it worked, 1 otherwise."""
    from .testing import EmbeddedPortal, all_places

    expected = len(all_places())
    with EmbeddedPortal() as portal:
        print(f"An embedded portal at {portal.portal_url}, a federated server at {portal.server_url},")
        print(
            f"a stand-alone server at {portal.standalone_url}; {expected} places, read {_PAGE} at a time. In the middle of each"
        )
        print("run that can renew its token, all tokens of the site are revoked.\n")
        rows = [_try(case, portal, expected) for case in CASES]
    print(_table(rows))
    problems = [f"{row.scheme}: {row.problem}" for row in rows if row.problem]
    print("\n" + ("\n".join(problems) if problems else f"All {len(rows)} worked."))
    return 1 if problems else 0


def _try(case: Case, portal: EmbeddedPortal, expected: int) -> Row:
    before = len(portal.requests)
    started = time.perf_counter()
    handler, user, features, problem = None, "", 0, ""
    try:
        handler = case.handler(portal)
        # What a person is told to do at the error stream, a thread does here.
        with redirect_stderr(StringIO()), EsriSession(auth=handler, ca_bundles=portal.ca_file or None) as session:
            features = len(read_layer(session, case.layer(portal), lambda: case.revoke and case.revoke(portal)))
            user = case.who(session, portal)
        if features != expected:
            problem = f"{features} of {expected} features"
    except EsriHttpError as error:
        problem = str(error)
    spent = round((time.perf_counter() - started) * 1000)
    name = type(handler).__name__ if handler is not None else "-"
    return Row(case.scheme, name, user, len(portal.requests) - before, features, spent, problem)


def read_layer(session: EsriSession, url: str, halfway: Callable[[], Any] = lambda: None) -> list[dict[str, Any]]:
    """All features of a layer, page by page; `halfway` is called after the second page."""
    features: list[dict[str, Any]] = []
    more = True
    while more:
        answer = session.get(
            f"{url}/query",
            params={
                "where": "1=1",
                "outFields": "*",
                "f": "json",
                "orderByFields": "OBJECTID",
                "resultOffset": len(features),
                "resultRecordCount": _PAGE,
            },
        )
        answer.raise_for_error()
        page = answer.json()
        features += page["features"]
        more = bool(page.get("exceededTransferLimit"))
        if len(features) == 2 * _PAGE:
            halfway()
    return features


def _table(rows: list[Row]) -> str:
    cells = [_COLUMNS, *([str(value) for value in row[: len(_COLUMNS)]] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
    lines = ["  ".join(_padded(line, widths)) for line in cells]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _padded(line: Any, widths: list[int]) -> list[str]:
    """Text to the left, numbers to the right."""
    return [text.ljust(width) if place < 3 else text.rjust(width) for place, (text, width) in enumerate(zip(line, widths))]
