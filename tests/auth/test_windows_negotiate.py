"""What runs on Windows, where the system's Negotiate chooses: here with pyspnego's own SPNEGO and NTLM, in pure Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http import (
    ArcGISLoginError,
    EsriGuessAuth,
    EsriHttpNegotiateAuth,
    EsriKerberosAuth,
    EsriSession,
    EsriWindowsAuth,
    SignInError,
)
from esri_http.words.errors import MissingPackageError

from ..support.ntlm_server import NtlmServer, known_users
from ..support.sessions import leased_lanes, on_threads


class SystemAuth(EsriWindowsAuth):
    """As on Windows."""

    system_chooses = True


@pytest.fixture(autouse=True)
def users(no_realm: None, tmp_path: Path) -> Iterator[None]:
    """The users that the servers know."""
    with known_users(tmp_path):
        yield


@pytest.fixture
def served(handler_peer: Any) -> Any:
    """A server that asks for Negotiate alone, and its peer."""
    server = NtlmServer(("Negotiate",))
    return server, handler_peer(server)


def amy(password: str = "amys-secret") -> SystemAuth:
    return SystemAuth(None, "AD\\amy", password)


@pytest.mark.parametrize("proves_itself", [True, False])
def test_spnego_signs_in_a_connection_with_three_requests(served: Any, proves_itself: bool) -> None:
    server, peer = served
    server.proves_itself = proves_itself
    with EsriSession(auth=amy()) as session:
        assert [session.get(peer.url).json()["user"] for _ in range(5)] == ["amy"] * 5
    assert (len(peer.requests), peer.connections, server.finished) == (7, 1, 1)
    first = peer.requests[1].headers["Authorization"]
    assert first.startswith("Negotiate Y")  # an InitialContextToken, not a bare NTLM message


@pytest.mark.parametrize("proves_itself", [True, False])
def test_a_proof_may_be_required_of_the_server(served: Any, proves_itself: bool) -> None:
    server, peer = served
    server.proves_itself = proves_itself
    auth = SystemAuth(None, "AD\\amy", "amys-secret", mutual_authentication="REQUIRED")
    with EsriSession(auth=auth) as session:
        if proves_itself:
            assert session.get(peer.url).json()["user"] == "amy"
        else:
            with pytest.raises(SignInError, match="did not prove who it is"):
                session.get(peer.url)


def test_a_body_waits_for_the_last_leg(served: Any) -> None:
    _server, peer = served
    with EsriSession(auth=amy()) as session:
        assert session.post(peer.url, data=iter([b"x" * 1000] * 3)).json()["received"] == 3000
    assert [(request.method, request.body_length) for request in peer.requests] == [("GET", 0), ("GET", 0), ("POST", 3000)]


def test_a_wrong_password_is_sent_once_by_many_threads(served: Any) -> None:
    server, peer = served
    auth = amy("wrong")

    def attempt(_: int) -> str:
        with pytest.raises(ArcGISLoginError) as caught:
            session.get(peer.url)
        return str(caught.value)

    with EsriSession(auth=auth) as session:
        assert len(set(on_threads(8, attempt))) == 1
        assert leased_lanes(session) == 0
        assert server.refused == 1
        auth.password = "amys-secret"
        assert session.get(peer.url).json()["user"] == "amy"


class SystemGuess(EsriGuessAuth):
    """As on Windows."""

    system_chooses = True


@pytest.mark.parametrize("schemes", [("Negotiate",), ("NTLM",), ("Negotiate", "NTLM")], ids=" ".join)
def test_a_guess_leaves_the_choice_to_the_system(handler_peer: Any, schemes: tuple[str, ...]) -> None:
    peer = handler_peer(NtlmServer(schemes))
    with EsriSession(auth=SystemGuess(None, "AD\\amy", "amys-secret")) as session:
        assert session.post(peer.url, data=b"x" * 100).json() == {"user": "amy", "connection": 2, "received": 100}
        assert "Windows sign-in as AD\\amy" in session.auth.describe(peer.url)


@pytest.mark.parametrize("make", [EsriHttpNegotiateAuth, lambda *user: EsriKerberosAuth(username=user[1], password=user[2])])
def test_where_kerberos_cannot_be_used_the_error_says_at_which_url(served: Any, make: Any) -> None:
    _server, peer = served
    with EsriSession(auth=make(None, "amy@AD", "amys-secret")) as session:
        for _ in range(2):
            with pytest.raises((SignInError, MissingPackageError), match="Kerberos") as caught:
                session.get(f"{peer.url}/x?token=s3cret")
            assert str(caught.value).startswith(f"{peer.url}/x?… wants a sign-in: ")
            assert "amys-secret" not in str(caught.value)
