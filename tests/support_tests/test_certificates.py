"""The private CA makes what it says."""

from __future__ import annotations

import ssl

import pytest

from ..support.certificates import CertificateAuthority
from ..support.peers import HandlerPeer, Reply
from .plain_client import fetch, tls_failure


def answer_ok(request: object) -> Reply:
    return Reply(200, body="fine")


def test_a_good_certificate_is_accepted_for_each_of_its_names(ca: CertificateAuthority) -> None:
    with HandlerPeer(answer_ok, tls=ca.server_context()) as peer:
        for name in ("localhost", "127.0.0.1"):
            assert fetch(peer, "/", tls=ca.client_context(), server_name=name).body == b"fine"


@pytest.mark.parametrize(
    "kind, reason",
    [("expired", "has expired"), ("untrusted", "unable to get local issuer"), ("wrong_name", "IP address mismatch")],
)
def test_a_bad_certificate_is_refused_for_its_own_reason(ca: CertificateAuthority, kind: str, reason: str) -> None:
    with HandlerPeer(answer_ok, tls=ca.server_context(getattr(ca, kind)())) as peer:
        assert reason in tls_failure(peer, ca.client_context(), "127.0.0.1")
        peer.wait_until(lambda: len(peer.tls_failures) == 1)
        assert peer.requests == []


def test_an_identity_is_made_once(ca: CertificateAuthority) -> None:
    assert ca.server("one.example") is ca.server("one.example")
    assert ca.server("one.example").cert_der != ca.server("two.example").cert_der


def test_an_encrypted_key_opens_with_its_password_alone(ca: CertificateAuthority) -> None:
    path = ca.encrypted_key(ca.client(), "secret")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(ca.client().cert_file, path, "secret")
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(ca.client().cert_file, path, "wrong")


def test_a_client_certificate_is_recorded_with_the_request(ca: CertificateAuthority) -> None:
    context = ca.client_context()
    context.load_cert_chain(ca.client().combined_file)
    with HandlerPeer(answer_ok, tls=ca.server_context(client_certificate="required")) as peer:
        fetch(peer, "/", tls=context)
        assert ("email", "amy@example.com") in peer.requests[0].client_certificate["subjectAltName"]
