"""Header fields on the wire: those of the caller, and none that anything below adds."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.faults import session
from ..support.http_messages import Reply


@pytest.mark.parametrize("name", ["User-Agent", "user-agent", "Accept"])
@pytest.mark.parametrize("options", [{}, {"data": b"x"}, {"data": iter([b"x"])}], ids=["nothing", "bytes", "chunks"])
def test_a_default_that_is_taken_away_is_not_filled_in(handler_peer: Any, name: str, options: Any) -> None:
    peer = handler_peer(lambda request: Reply(200))
    with session() as client:
        client.post(peer.url, headers={name: None}, **options)
        client.post(peer.url, headers={name: "mine"})
    assert [request.headers.get(name) for request in peer.requests] == [None, "mine"]
    assert all(sum(key.lower() == name.lower() for key, _ in request.headers.pairs) <= 1 for request in peer.requests)
