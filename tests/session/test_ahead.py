"""`ahead=`: the content is read as far as that before the call returns, and all of it within the deadline."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from esri_http import DeadlineExceededError, EsriSession
from tests.support.http_messages import Reply


def test_no_more_is_read_ahead_than_that_and_the_rest_when_it_is_asked_for(handler_peer: Any) -> None:
    goes_on = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"x" * 100
        assert goes_on.wait(10)
        yield b"y" * 100

    peer = handler_peer(lambda request: Reply(200, body=body()))
    with EsriSession() as session:
        answer = session.get(peer.url_for("/"), ahead=50)
        assert answer.peek(50) == b"x" * 50
        goes_on.set()
        assert answer.content == b"x" * 100 + b"y" * 100


@pytest.mark.parametrize("ahead", [10, 10_000])
def test_a_trickle_ends_at_the_deadline_before_the_call_returns_or_after(handler_peer: Any, ahead: int) -> None:
    def body() -> Iterator[bytes]:
        while True:
            yield b"x" * 10
            threading.Event().wait(0.02)

    peer = handler_peer(lambda request: Reply(200, body=body()))
    over = pytest.raises(DeadlineExceededError, match=r"the 0\.3 s for the whole call are used up")
    with EsriSession(deadline=0.3, retries=0) as session, over:
        session.get(peer.url_for("/"), ahead=ahead).content  # noqa: B018
