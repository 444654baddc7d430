"""httpx, as its documentation teaches it."""

from __future__ import annotations

import ssl

import httpx

from tests.bench.setup import HEADS, PIECE, QUERY, QUERY_PATH, SIGN_IN_FORM, SIGN_IN_PATH, TIMEOUT, Setup


class Client:
    """One httpx.Client with the benchmark's roots and heads."""

    def __init__(self, setup: Setup) -> None:
        self._client = make_client(setup)

    def get(self, url: str) -> bytes:
        """The body of a GET."""
        return self._client.get(url).content

    def download(self, url: str) -> int:
        """Read a body piece by piece and forget it."""
        total = 0
        with self._client.stream("GET", url) as answer:
            for piece in answer.iter_bytes(PIECE):
                total += len(piece)
        return total

    def upload(self, url: str, path: str) -> bytes:
        """Send a file as multipart/form-data."""
        with open(path, "rb") as file:
            return self._client.post(url, data={"f": "json"}, files={"attachment": file}).content

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def make_client(setup: Setup) -> httpx.Client:
    """A client with defaults, but for roots, heads and timeout."""
    return httpx.Client(verify=ssl.create_default_context(cafile=setup.roots), headers=HEADS, timeout=TIMEOUT)


def open_client(setup: Setup) -> Client:
    """A client that keeps its connections."""
    return Client(setup)


def cold_token(setup: Setup) -> object:
    """The first answer with a token that is already known."""
    answer: object = make_client(setup).get(setup.https + QUERY_PATH + QUERY).json()
    return answer


def cold_sign_in(setup: Setup) -> object:
    """generateToken, then the first answer."""
    client = make_client(setup)
    token = client.post(setup.https + SIGN_IN_PATH, data=SIGN_IN_FORM).json()["token"]
    answer: object = client.get(setup.https + QUERY_PATH + QUERY, headers={"X-Esri-Authorization": "Bearer " + token}).json()
    return answer
