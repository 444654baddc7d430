"""What must hold after every fault on the wire: a clean error of ours, nothing leaked, and a session that still works."""

from __future__ import annotations

import pickle
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Union

import pytest

from esri_http import EsriSession
from esri_http.words.errors import EsriHttpError

from .http_messages import answer
from .plumbing import ClientGone, Connection
from .sessions import idle_connections

SECRET = "s3cr3t-t0ken"
PATH = f"/rest/data?token={SECRET}&where=OBJECTID"
HEADERS = {"X-Esri-Authorization": f"Bearer {SECRET}"}
PROMPT_SECONDS = 5.0

Ending = Callable[[Connection], Any]
Script = Callable[[Connection], None]
Pieces = Union[bytes, "list[bytes]"]


def session(**options: Any) -> EsriSession:
    """A session that tries once, so that a fault comes out as it is."""
    return EsriSession(**{"retries": 0, "timeout": 10, "headers": HEADERS, **options})


def says(data: Pieces, ending: Ending = Connection.wait) -> Script:
    """A script: read one request, send `data`, and then close, reset, or wait for the client to go."""

    def script(connection: Connection) -> None:
        connection.read_request()
        try:
            for piece in [data] if isinstance(data, bytes) else data:
                connection.send(piece)
            ending(connection)
        except OSError:
            pass  # the client has had enough

    return script


def trickles(data: bytes) -> Script:
    """A script: read one request, send `data`, and then a byte now and then, until the client goes."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(data)
        connection.sock.settimeout(0.02)
        while True:
            try:
                connection.send(b"x")
                if not connection.sock.recv(1):
                    return
            except socket.timeout:
                pass
            except OSError:
                return

    return script


def answers_well(connection: Connection) -> None:
    """A script that serves a connection as it should be."""
    try:
        while True:
            request = connection.read_request()
            connection.send(answer(200, {"Content-Type": "text/plain"}, f"fine: {request.path}"))
    except ClientGone:
        pass


def endless(piece: bytes) -> Iterator[bytes]:
    """`piece` again and again; some 60 MB, so that a client that reads on for ever is noticed all the same."""
    return iter([piece] * (60_000_000 // len(piece)))


def check_clean(error: EsriHttpError) -> None:
    """`error` holds no secret and no query, anywhere, and survives a pickle."""
    shown = [str(error), repr(error), repr(error.args), repr(error.__dict__)]
    shown += traceback.format_exception(type(error), error, None)
    for text in shown:
        assert SECRET not in text
        assert "OBJECTID" not in text
    cause = error.__cause__
    while cause is not None:  # Dask has exceptions pickled with theirs
        assert SECRET not in repr(vars(cause))
        cause = cause.__cause__ or cause.__context__
    packed = pickle.dumps(error)
    assert SECRET.encode() not in packed
    assert b"OBJECTID" not in packed
    twin = pickle.loads(packed)
    assert type(twin) is type(error)
    assert (str(twin), twin.url) == (str(error), error.url)
    assert error.__cause__ is not error


@contextmanager
def fails_with(kind: type[EsriHttpError], *words: str, within: float = PROMPT_SECONDS) -> Iterator[None]:
    """Expects exactly `kind`, with all of `words` in its text, promptly, and clean."""
    started = time.monotonic()
    with pytest.raises(EsriHttpError) as caught:
        yield
    assert time.monotonic() - started < within
    check_clean(caught.value)
    assert type(caught.value) is kind, caught.value
    for word in words:
        assert word in str(caught.value)


def check_usable(session: EsriSession, peer: Any) -> None:
    """`session` reaches `peer` again, over one connection that it keeps, and has left none behind."""
    response = session.get(peer.url_for("/next"), deadline=30)
    assert response.text == "fine: /next"
    peer.wait_until(lambda: len(peer._open) == 1)
    assert idle_connections(session) == 1


# The three ways in which a body is read; each gives all of it, or raises.
READERS: dict[str, Callable[[EsriSession, str], bytes]] = {
    "at once": lambda session, url: session.get(url).content,
    "streamed, then at once": lambda session, url: session.get(url, stream=True).content,
    "in pieces": lambda session, url: b"".join(session.get(url, stream=True).iter_content(7)),
}
every_reader = pytest.mark.parametrize("read", list(READERS.values()), ids=list(READERS))
