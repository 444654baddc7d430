"""What every measured client is told: where the server is, whom to trust, which token to show.

Imported by the measured processes, so it imports nothing but built-in names.
"""

from __future__ import annotations

QUERY_PATH = "/server/rest/services/Roads/FeatureServer/0/query"
ONCE_PATH = "/once/query"
BIG_PATH = "/big.bin"
UPLOAD_PATH = "/server/rest/services/Roads/FeatureServer/0/1/addAttachment"
SIGN_IN_PATH = "/server/tokens/generateToken"
INFO_PATH = "/server/rest/info"
STATUS_PATH = "/status"

QUERY = "?where=1%3D1&outFields=*&f=json"
TOKEN = "bench-3Jx0q9vTzK1mB7wYc5RkE2uLhP8sN4dA6fGoXiQyZtVrWnMjHbCeSlUpDaFg"
USERNAME = "amy"
PASSWORD = "bench-password"
REFERER = "http"
SIGN_IN_FORM = {
    "username": USERNAME,
    "password": PASSWORD,
    "client": "referer",
    "referer": REFERER,
    "expiration": "60",
    "f": "json",
}
"""What a peer posts to sign in."""
TIMEOUT = 60.0
"""Seconds that every client waits for a connection or for bytes."""
PIECE = 64 * 1024
"""Bytes in which bodies are read and written, by every client."""

HEADS = {
    "User-Agent": "bench/1",
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Referer": REFERER,
    "X-Esri-Authorization": "Bearer " + TOKEN,
}
"""The heads that a peer sends with each request; the same five that a session of ours sends."""


class Setup:
    """Where and how to connect; made from plain strings, so that it crosses a command line.

    Attributes:
        https: ``https://host:port``, without a path.
        http: ``http://host:port``, without a path.
        roots: a PEM file: certifi's roots and the benchmark's own CA.
        ca: a PEM file: the benchmark's own CA alone.
    """

    __slots__ = ("ca", "http", "https", "roots")

    def __init__(self, https: str, http: str, roots: str, ca: str) -> None:
        self.https = https
        self.http = http
        self.roots = roots
        self.ca = ca

    def arguments(self) -> list[str]:
        """The four strings in the order of the constructor."""
        return [self.https, self.http, self.roots, self.ca]
