"""Servers that ask for a client certificate after the handshake, and what they say to one that is missing or not accepted."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words import errors

from ..support.certificates import CertificateAuthority
from ..support.http_messages import RecordedRequest, Reply, answer
from ..support.peers import ClientGone, Connection, HandlerPeer, ScriptedPeer
from ..support.pfx import SECRET, pfx

MakeHandler = Callable[..., HandlerPeer]


def session(ca: CertificateAuthority, **options: Any) -> EsriSession:
    return EsriSession(**{"ca_bundles": ca.file, "timeout": 10, "retries": 3, "backoff_factor": 0, **options})


def demanding_context(ca: CertificateAuthority, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ca.server_context(client_certificate="required")
    context.minimum_version = context.maximum_version = version
    return context


# -- asked for by path, after the handshake ----------------------------------------------------------------------------


def asks_by_path(connection: Connection) -> None:
    """Asks for the certificate at ``/private`` (RFC 8446 section 4.6.2), as Apache does for a Location, or answers 403."""
    sock: Any = connection.sock
    while True:
        try:
            request = connection.read_request()
        except ClientGone:
            return
        if request.path.startswith("/private") and not sock.getpeercert():
            try:
                sock.verify_client_post_handshake()
            except ssl.SSLError:  # the client did not offer it
                connection.send(answer(403, {}, b"forbidden"))
                continue
            await_certificate(sock)
        name = sock.getpeercert().get("subjectAltName", (("", "nobody"),))[0][1] if sock.getpeercert() else "nobody"
        connection.send(answer(200, {}, name.encode()))


def await_certificate(sock: Any) -> None:
    """Send the request for the certificate and read until it is there; the client sends nothing else meanwhile."""
    sock.do_handshake()
    sock.settimeout(0.02)
    for _ in range(200):
        try:
            sock.recv(1)
        except socket.timeout:
            if sock.getpeercert():
                break
    sock.settimeout(None)


@pytest.fixture
def by_path(ca: CertificateAuthority, scripted_peer: Callable[..., ScriptedPeer]) -> Any:
    context = demanding_context(ca, ssl.TLSVersion.TLSv1_3)
    context.post_handshake_auth = True
    with ScriptedPeer(asks_by_path, tls=context) as peer:
        yield peer


def test_a_certificate_that_is_asked_for_after_the_handshake_is_shown(by_path: ScriptedPeer, ca: CertificateAuthority) -> None:
    amy = ca.client()
    for cert in ((amy.cert_file, amy.key_file), (pfx(amy), SECRET)):
        with session(ca, cert=cert) as known:
            answers = [known.get(by_path.url_for(path)).text for path in ("/public", "/private/a", "/private/b")]
        assert answers == ["nobody", "amy@example.com", "amy@example.com"]
    assert by_path.connections == 2


def test_without_one_the_answer_to_such_a_request_is_an_error_about_it(by_path: ScriptedPeer, ca: CertificateAuthority) -> None:
    with session(ca) as unknown:
        assert unknown.get(by_path.url_for("/public")).text == "nobody"
        with pytest.raises(errors.TlsError, match="cert="):
            unknown.get(by_path.url_for("/private"))
    assert [request.path for request in by_path.requests] == ["/public", "/private"]


# -- refused by an alert -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_a_missing_certificate_is_an_error_that_says_so_and_is_not_sent_again(
    ca: CertificateAuthority, version: ssl.TLSVersion, size: int
) -> None:
    with HandlerPeer(lambda request: Reply(body="ok"), tls=demanding_context(ca, version)) as peer:
        for attempt in range(1, 11):
            with session(ca) as unknown, pytest.raises(errors.TlsError, match="cert=") as caught:
                unknown.put(peer.url_for("/x"), data=b"x" * size) if size else unknown.get(peer.url_for("/x"))
            assert f"127.0.0.1:{peer.port}" in str(caught.value)
            if version is ssl.TLSVersion.TLSv1_3:  # it comes after the handshake, and mostly after the server hung up
                assert "CERTIFICATE_REQUIRED" in caught.value.reason
            assert peer.connections == attempt
        assert peer.requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_of_an_unknown_issuer_is_such_an_error_too(ca: CertificateAuthority, version: ssl.TLSVersion) -> None:
    eve = ca.untrusted("eve@example.com")
    with HandlerPeer(lambda request: Reply(body="ok"), tls=demanding_context(ca, version)) as peer:
        for attempt in range(1, 11):
            with session(ca, cert=eve.combined_file) as unknown, pytest.raises(errors.TlsError, match="issuer of our client"):
                unknown.get(peer.url)
            assert (peer.connections, peer.requests) == (attempt, [])


# What a server may say by an alert (RFC 8446 section 6.2): its number, and a word of what the user reads.
_ALERTS = {
    "bad_certificate": (42, "did not accept our client certificate"),
    "unsupported_certificate": (43, "of the kind of ours"),
    "certificate_revoked": (44, "is revoked"),
    "certificate_expired": (45, "has expired"),
    "certificate_unknown": (46, "did not accept our client certificate"),
    "unknown_ca": (48, "issuer of our client certificate"),
    "access_denied": (49, "does not let it in"),
    "certificate_required": (116, "cert="),
}


@pytest.mark.parametrize("name", list(_ALERTS))
def test_every_alert_about_certificates_is_said_in_words(
    ca: CertificateAuthority, scripted_peer: Callable[..., ScriptedPeer], name: str
) -> None:
    number, word = _ALERTS[name]

    def refuse(connection: Connection) -> None:
        connection.recv()  # the ClientHello
        connection.send(bytes([21, 3, 3, 0, 2, 2, number]))
        connection.wait()

    peer = scripted_peer(refuse)
    with session(ca, cert=ca.client().combined_file) as known, pytest.raises(errors.TlsError, match=word) as caught:
        known.get(f"https://127.0.0.1:{peer.port}/")
    assert str(peer.port) in str(caught.value)
    assert peer.connections == 1


def test_an_expired_certificate_is_not_even_shown(ca: CertificateAuthority) -> None:
    for identity, word in ((ca.expired("amy@example.com"), "expired on 20"), (ca.early_client(), "not valid before 20")):
        with HandlerPeer(lambda request: Reply(body="ok"), tls=demanding_context(ca, ssl.TLSVersion.TLSv1_3)) as peer:
            for cert in (identity.combined_file, (identity.cert_file, identity.key_file)):
                with session(ca, cert=cert) as known, pytest.raises(errors.CertificateFileError, match=word):
                    known.get(peer.url)
            assert peer.connections == 0


def test_pem_with_what_openssl_puts_around_it_is_looked_at(ca: CertificateAuthority, tmp_path: Any) -> None:
    over = ca.expired("amy@example.com")
    text = over.cert_pem.decode().replace("\n", "\r\n")
    path = tmp_path / "over.pem"
    path.write_text(f"Bag Attributes\n    localKeyID: 01\nsubject=/CN=amy\n{text}\n{over.key_pem.decode()}")
    with session(ca, cert=path) as known, pytest.raises(errors.CertificateFileError, match="expired"):
        known.get("https://127.0.0.1:9/")


# -- keys under a password ---------------------------------------------------------------------------------------------


def test_a_traditional_encrypted_key_is_read(ca: CertificateAuthority) -> None:
    amy = ca.client()
    key = ca.encrypted_key(amy, SECRET, traditional=True)
    with open(key, encoding="ascii") as file:
        assert "Proc-Type: 4,ENCRYPTED" in file.read()

    def name_of(request: RecordedRequest) -> Reply:
        certificate: Any = request.client_certificate
        return Reply(body=certificate["subjectAltName"][0][1])

    with HandlerPeer(name_of, tls=demanding_context(ca, ssl.TLSVersion.TLSv1_3)) as peer:
        for cert in ((amy.cert_file, key, SECRET), (amy.cert_file, key, SECRET.encode())):
            with session(ca, cert=cert) as known:
                assert known.get(peer.url).text == "amy@example.com"
        with session(ca, cert=(amy.cert_file, key, "s3cret-wrong")) as known:
            with pytest.raises(errors.CertificateFileError, match="password of the private key is wrong") as caught:
                known.get(peer.url)
            assert "s3cret" not in repr(caught.value)
        with session(ca, cert=(amy.cert_file, key)) as known, pytest.raises(errors.CertificateFileError, match="no password"):
            known.get(peer.url)


def test_a_password_in_the_place_of_the_key_is_not_repeated(ca: CertificateAuthority) -> None:
    amy = ca.client()
    known = session(ca, cert=(amy.combined_file, "s3cret-password"))
    with known, pytest.raises(errors.CertificateFileError, match="password is the third part") as caught:
        known.get("https://127.0.0.1:9/")
    assert "s3cret" not in str(caught.value) + repr(caught.value) + repr(known) + repr(known._network)
    assert caught.value.__cause__ is None
