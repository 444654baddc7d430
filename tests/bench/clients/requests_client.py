"""requests, as its documentation teaches it."""

from __future__ import annotations

import requests

from tests.bench.setup import HEADS, PIECE, QUERY, QUERY_PATH, SIGN_IN_FORM, SIGN_IN_PATH, TIMEOUT, Setup


class Client:
    """One Session with the benchmark's roots and heads."""

    def __init__(self, setup: Setup) -> None:
        self._session = make_session(setup)

    def get(self, url: str) -> bytes:
        """The body of a GET."""
        return self._session.get(url, timeout=TIMEOUT).content

    def download(self, url: str) -> int:
        """Read a body piece by piece and forget it."""
        total = 0
        with self._session.get(url, timeout=TIMEOUT, stream=True) as answer:
            for piece in answer.iter_content(PIECE):
                total += len(piece)
        return total

    def upload(self, url: str, path: str) -> bytes:
        """Send a file as multipart/form-data."""
        with open(path, "rb") as file:
            return self._session.post(url, data={"f": "json"}, files={"attachment": file}, timeout=TIMEOUT).content

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def make_session(setup: Setup) -> requests.Session:
    """A session with defaults, but for roots and heads."""
    session = requests.Session()
    session.verify = setup.roots
    session.headers.update(HEADS)
    return session


def open_client(setup: Setup) -> Client:
    """A client that keeps its connections."""
    return Client(setup)


def cold_token(setup: Setup) -> object:
    """The first answer with a token that is already known."""
    return make_session(setup).get(setup.https + QUERY_PATH + QUERY, timeout=TIMEOUT).json()


def cold_sign_in(setup: Setup) -> object:
    """generateToken, then the first answer."""
    session = make_session(setup)
    token = session.post(setup.https + SIGN_IN_PATH, data=SIGN_IN_FORM, timeout=TIMEOUT).json()["token"]
    session.headers["X-Esri-Authorization"] = "Bearer " + token
    return session.get(setup.https + QUERY_PATH + QUERY, timeout=TIMEOUT).json()
