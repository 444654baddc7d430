"""How long a proxy may take for its answer to CONNECT: as long as connecting may, whatever an earlier request was allowed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words.errors import TransportError

from ..support.http_messages import json_reply
from ..support.plumbing import ClientGone, Connection


@pytest.mark.parametrize("user", ["", "amy:secret@"])
def test_the_deadline_of_an_earlier_call_is_not_that_of_the_next_tunnel(
    handler_peer: Any, proxy_peer: Any, ca: Any, fake_clock: Any, user: str
) -> None:
    peer = handler_peer(lambda request: json_reply(request.body_length), tls=True)
    proxy = proxy_peer(credentials=("amy", "secret") if user else None)
    through = {"https": proxy.url.replace("://", f"://{user}")}
    with EsriSession(ca_bundles=ca.file, proxies=through, clock=fake_clock) as session:
        url = peer.url_for(host="localhost")
        assert session.post(url, data=b"x" * 10, deadline=1).json() == 10
        fake_clock.advance(100)
        peer.close_connections()
        proxy.close_connections()
        peer.wait_until(lambda: len(peer._open) == 0 and len(proxy._open) == 0)
        assert session.put(url, data=b"x" * 20, deadline=30).json() == 20
    assert len(proxy.tunnels) == 2


def test_an_answer_to_connect_that_trickles_ends_with_the_connect_time_out(scripted_peer: Any) -> None:
    def trickle(connection: Connection) -> None:
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\n")
        try:
            for number in range(200):
                connection.send(b"X-%d: more\r\n" % number)
                time.sleep(0.05)  # on the proxy's side
        except (ClientGone, OSError):
            pass

    proxy = scripted_peer(trickle)
    started = time.monotonic()
    with EsriSession(proxies={"https": proxy.url}, timeout=(0.5, 30), retries=0) as session, pytest.raises(TransportError):
        session.get("https://portal.example/")
    assert time.monotonic() - started < 5
