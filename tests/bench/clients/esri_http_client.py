"""esri_http: an EsriSession with an auth handler, as a user writes it."""

from __future__ import annotations

from esri_http import EsriSession, EsriUserTokenAuth
from tests.bench.setup import PASSWORD, PIECE, QUERY, QUERY_PATH, REFERER, SIGN_IN_PATH, TOKEN, USERNAME, Setup


class Client:
    """One EsriSession that shows a user's token; roots are certifi's and the benchmark's own."""

    def __init__(self, setup: Setup) -> None:
        self._session = EsriSession(auth=EsriUserTokenAuth(TOKEN), ca_bundles=setup.ca)

    def get(self, url: str) -> bytes:
        """The body of a GET."""
        body: bytes = self._session.get(url).content
        return body

    def download(self, url: str) -> int:
        """Read a body piece by piece and forget it."""
        total = 0
        with self._session.get(url, stream=True) as answer:
            for piece in answer.iter_content(PIECE):
                total += len(piece)
        return total

    def upload(self, url: str, path: str) -> bytes:
        """Send a file as multipart/form-data."""
        with open(path, "rb") as file:
            body: bytes = self._session.post(url, data={"f": "json"}, files={"attachment": file}).content
        return body

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def open_client(setup: Setup) -> Client:
    """A client that keeps its connections."""
    return Client(setup)


def cold_token(setup: Setup) -> object:
    """The first answer with a token that is already known."""
    session = EsriSession(auth=EsriUserTokenAuth(TOKEN), ca_bundles=setup.ca)
    answer: object = session.get(setup.https + QUERY_PATH + QUERY).json()
    return answer


def cold_sign_in(setup: Setup) -> object:
    """generateToken, then the first answer."""
    from esri_http import EsriGenTokenAuth  # who has a token already does not import it

    auth = EsriGenTokenAuth(setup.https + SIGN_IN_PATH, REFERER, USERNAME, PASSWORD)
    session = EsriSession(auth=auth, ca_bundles=setup.ca)
    answer: object = session.get(setup.https + QUERY_PATH + QUERY).json()
    return answer
