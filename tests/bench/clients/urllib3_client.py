"""Hand-written urllib3: the floor that the others are compared with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import BinaryIO

import urllib3
from urllib3.util.ssl_ import create_urllib3_context

from tests.bench.setup import HEADS, PIECE, QUERY, QUERY_PATH, SIGN_IN_FORM, SIGN_IN_PATH, TIMEOUT, TOKEN, Setup

BOUNDARY = "bench-boundary-5f0c2a9d7e"


class Client:
    """One PoolManager with a shared SSLContext, prepared heads and a timeout."""

    def __init__(self, setup: Setup) -> None:
        self._pool = make_pool(setup)

    def get(self, url: str) -> bytes:
        """The body of a GET."""
        return self._pool.request("GET", url, headers=HEADS).data

    def download(self, url: str) -> int:
        """Read a body piece by piece and forget it."""
        answer = self._pool.request("GET", url, headers=HEADS, preload_content=False)
        total = 0
        for piece in answer.stream(PIECE):
            total += len(piece)
        answer.release_conn()
        return total

    def upload(self, url: str, path: str) -> bytes:
        """Send a file as multipart/form-data, written by hand: a generator with a known length."""
        first, last = multipart_frame(os.path.basename(path))
        heads = {
            **HEADS,
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": str(len(first) + os.path.getsize(path) + len(last)),
        }
        with open(path, "rb") as file:
            return self._pool.request("POST", url, headers=heads, body=pieces(first, file, last)).data

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


def make_pool(setup: Setup) -> urllib3.PoolManager:
    """A pool that is large enough for every measurement: 100 origins, 16 threads."""
    context = create_urllib3_context()
    context.load_verify_locations(cafile=setup.roots)
    return urllib3.PoolManager(num_pools=128, maxsize=32, ssl_context=context, timeout=TIMEOUT)


def multipart_frame(name: str) -> tuple[bytes, bytes]:
    """What comes before and after the file's bytes."""
    first = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"\r\n\r\njson\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="attachment"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return first.encode("ascii"), f"\r\n--{BOUNDARY}--\r\n".encode("ascii")


def pieces(first: bytes, file: BinaryIO, last: bytes) -> Iterator[bytes]:
    """The multipart body."""
    yield first
    while True:
        piece = file.read(PIECE)
        if not piece:
            break
        yield piece
    yield last


def open_client(setup: Setup) -> Client:
    """A client that keeps its connections."""
    return Client(setup)


def cold_token(setup: Setup) -> object:
    """The first answer with a token that is already known."""
    return json.loads(make_pool(setup).request("GET", setup.https + QUERY_PATH + QUERY, headers=HEADS).data)


def cold_sign_in(setup: Setup) -> object:
    """generateToken, then the first answer."""
    pool = make_pool(setup)
    signed_in = pool.request("POST", setup.https + SIGN_IN_PATH, fields=SIGN_IN_FORM, encode_multipart=False)
    heads = {**HEADS, "X-Esri-Authorization": "Bearer " + json.loads(signed_in.data)["token"]}
    assert heads["X-Esri-Authorization"].endswith(TOKEN)
    return json.loads(pool.request("GET", setup.https + QUERY_PATH + QUERY, headers=heads).data)
