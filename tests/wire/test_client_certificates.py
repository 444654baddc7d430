"""Client certificates: shown to whom they are for, to nobody else, and broken files are clear errors without a prompt."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esri_http import EsriSession
from esri_http.words import errors

from ..support.certificates import CertificateAuthority, Identity
from ..support.http_messages import RecordedRequest, Reply
from ..support.peers import HandlerPeer

MakeHandler = Callable[..., HandlerPeer]


def answer_ok(request: RecordedRequest) -> Reply:
    return Reply(body="ok")


def session(**options: Any) -> EsriSession:
    return EsriSession(**{"retries": 0, "timeout": 10, **options})


def shown(request: RecordedRequest) -> str | None:
    """The name in the client certificate of a request."""
    certificate = request.client_certificate
    return None if certificate is None else certificate["subjectAltName"][0][1]


@pytest.fixture
def demanding(handler_peer: MakeHandler) -> HandlerPeer:
    """A server that lets in nobody without a client certificate of the tests' CA."""
    return handler_peer(answer_ok, tls=True, client_certificate="required")


@pytest.fixture
def curious(handler_peer: MakeHandler) -> HandlerPeer:
    """A server that asks for a client certificate and does without."""
    return handler_peer(answer_ok, tls=True, client_certificate="optional")


def test_every_form_of_a_pem_pair_is_shown(demanding: HandlerPeer, ca: CertificateAuthority) -> None:
    amy = ca.client()
    forms: list[Any] = [
        (amy.cert_file, amy.key_file),
        [amy.cert_file, amy.key_file],
        (Path(amy.cert_file), Path(amy.key_file)),
        amy.combined_file,
        Path(amy.combined_file),
        (amy.combined_file,),
        (amy.combined_file, None),
        (amy.combined_file, ""),
        (amy.cert_file, ca.encrypted_key(amy, "s3cret"), "s3cret"),
    ]
    for form in forms:
        with session(ca_bundles=ca.file, cert=form) as known:
            assert known.get(demanding.url).text == "ok", form
    assert [shown(request) for request in demanding.requests] == ["amy@example.com"] * len(forms)


def test_a_server_that_wants_a_certificate_says_so_in_the_error(demanding: HandlerPeer, ca: CertificateAuthority) -> None:
    with session(ca_bundles=ca.file) as unknown, pytest.raises(errors.TransportError) as caught:
        unknown.get(demanding.url)
    assert str(demanding.port) in str(caught.value)
    assert demanding.requests == []
    if isinstance(caught.value, errors.TlsError):
        assert "cert=" in str(caught.value)


def test_a_certificate_of_an_unknown_issuer_is_an_error(demanding: HandlerPeer, ca: CertificateAuthority) -> None:
    stranger = ca.untrusted("eve@example.com")
    with session(ca_bundles=ca.file, cert=stranger.combined_file) as unknown, pytest.raises(errors.TransportError):
        unknown.get(demanding.url)
    assert demanding.requests == []


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_the_certificate_is_shown_whatever_is_verified(demanding: HandlerPeer, ca: CertificateAuthority) -> None:
    for options in ({"verify_cert": False}, {"verify_cert": ca.file}, {"ca_bundles": ca.file, "check_hostname": False}):
        with session(cert=ca.client().combined_file, **options) as known:
            assert known.get(demanding.url).ok


def test_a_server_that_is_not_trusted_sees_no_certificate(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=ca.wrong_name(), client_certificate="required")
    with session(ca_bundles=ca.file, cert=ca.client().combined_file) as known, pytest.raises(errors.CertificateError):
        known.get(peer.url)
    assert peer.requests == []


# -- changing it -------------------------------------------------------------------------------------------------------


def test_a_new_certificate_holds_from_the_next_request_on(curious: HandlerPeer, ca: CertificateAuthority) -> None:
    amy, bob = ca.client(), ca.client("bob@example.com")
    with session(ca_bundles=ca.file) as changing:
        changing.get(curious.url)
        for cert in ((amy.cert_file, amy.key_file), bob.combined_file, None, amy.combined_file):
            changing.cert = cert
            changing.get(curious.url)
            changing.get(curious.url)
        assert changing.cert == (amy.combined_file, None)
        curious.wait_until(lambda: curious.open_connections == 1)
    names = [shown(request) for request in curious.requests]
    assert names == [None, *["amy@example.com"] * 2, *["bob@example.com"] * 2, None, None, *["amy@example.com"] * 2]
    assert curious.connections == 5


def test_a_certificate_of_a_call_holds_for_that_call_alone(curious: HandlerPeer, ca: CertificateAuthority) -> None:
    amy, bob = ca.client(), ca.client("bob@example.com")
    with session(ca_bundles=ca.file, cert=amy.combined_file) as mixed:
        mixed.get(curious.url, cert=(bob.cert_file, bob.key_file))
        mixed.get(curious.url)
        mixed.get(curious.url, cert=bob.combined_file)
        mixed.get(curious.url)
    with session(ca_bundles=ca.file) as anonymous:
        anonymous.get(curious.url, cert=amy.combined_file)
        anonymous.get(curious.url)
    names = [shown(request) for request in curious.requests]
    amy_name, bob_name = "amy@example.com", "bob@example.com"
    assert names == [bob_name, amy_name, bob_name, amy_name, amy_name, None]


def test_threads_with_certificates_of_their_own_never_swap_them(curious: HandlerPeer, ca: CertificateAuthority) -> None:
    people = {name: ca.client(f"{name}@example.com") for name in ("amy", "bob")}
    with session(ca_bundles=ca.file) as shared:

        def work(name: str) -> None:
            for _ in range(10):
                shared.get(curious.url_for(f"/{name}"), cert=people[name].combined_file)

        threads = [threading.Thread(target=work, args=(name,)) for name in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(curious.requests) == 20
    assert all(shown(request) == f"{request.path[1:]}@example.com" for request in curious.requests)


def test_a_renewed_file_is_read_anew_by_the_next_session(
    curious: HandlerPeer, ca: CertificateAuthority, tmp_path: Path
) -> None:
    path = tmp_path / "me.pem"
    for identity in (ca.client(), ca.client("bob@example.com")):
        shutil.copy(identity.combined_file, tmp_path / "new.pem")
        os.replace(tmp_path / "new.pem", path)
        with session(ca_bundles=ca.file, cert=path) as renewed:
            renewed.get(curious.url)
    assert [shown(request) for request in curious.requests] == ["amy@example.com", "bob@example.com"]


# -- whom it is for ----------------------------------------------------------------------------------------------------


def redirecting_to(handler_peer: MakeHandler, target: str) -> HandlerPeer:
    return handler_peer(lambda request: Reply(302, {"Location": target}), tls=True, client_certificate="required")


def test_a_redirect_elsewhere_does_not_show_it(
    handler_peer: MakeHandler, curious: HandlerPeer, ca: CertificateAuthority
) -> None:
    start = redirecting_to(handler_peer, curious.url_for("/elsewhere"))
    with session(ca_bundles=ca.file, cert=ca.client().combined_file) as known:
        assert known.get(start.url).text == "ok"
        assert known.get(curious.url_for("/asked")).text == "ok"
        assert known.get(start.url).text == "ok"
        curious.wait_until(lambda: len(curious.requests) == 3)
    assert [shown(request) for request in start.requests] == ["amy@example.com"] * 2
    assert [(request.path, shown(request)) for request in curious.requests] == [
        ("/elsewhere", None),
        ("/asked", "amy@example.com"),
        ("/elsewhere", None),
    ]
    curious.wait_until(lambda: curious.open_connections == 0)


def test_a_redirect_to_a_trusted_origin_shows_it(
    handler_peer: MakeHandler, curious: HandlerPeer, ca: CertificateAuthority
) -> None:
    start = redirecting_to(handler_peer, curious.url_for("/trusted"))
    with session(ca_bundles=ca.file, cert=ca.client().combined_file, trusted_origins=curious.url) as known:
        assert known.get(start.url).text == "ok"
    assert [shown(request) for request in curious.requests] == ["amy@example.com"]


def test_a_redirect_on_the_same_origin_shows_it(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    def handler(request: RecordedRequest) -> Reply:
        return Reply(302, {"Location": "/there"}) if request.path == "/" else Reply(body="ok")

    peer = handler_peer(handler, tls=True, client_certificate="required")
    with session(ca_bundles=ca.file, cert=ca.client().combined_file) as known:
        assert known.get(peer.url).text == "ok"
    assert peer.connections == 1


# -- files that cannot be used -----------------------------------------------------------------------------------------


def broken(kind: str, folder: Path, ca: CertificateAuthority) -> tuple[Any, str]:
    """A `cert=` that cannot work, and a word that its error must hold."""
    amy, bob = ca.client(), ca.client("bob@example.com")
    encrypted = ca.encrypted_key(amy, "s3cret-password")
    garbage = folder / "garbage.pem"
    garbage.write_bytes(os.urandom(200))
    both = folder / "both.pem"
    both.write_bytes(Path(encrypted).read_bytes() + amy.cert_pem)
    kinds: dict[str, tuple[Any, str]] = {
        "missing certificate": ((str(folder / "no.pem"), amy.key_file), "No such file"),
        "missing key": ((amy.cert_file, str(folder / "no.pem")), "No such file"),
        "key of another": ((amy.cert_file, bob.key_file), "does not belong"),
        "no key": (amy.cert_file, f"{amy.cert_file} cannot be used: the private key is not in it"),
        "encrypted without password": ((amy.cert_file, encrypted), "no password was given"),
        "encrypted in one file": (str(both), "no password was given"),
        "endless password": ((amy.cert_file, encrypted, "s3cret" * 500), "password of the private key is longer"),
        "wrong password": ((amy.cert_file, encrypted, "s3cret-wrong"), "password of the private key is wrong"),
        "garbage": (str(garbage), "garbage.pem"),
        "garbage key": ((amy.cert_file, str(garbage)), "garbage.pem"),
        "a folder": (str(folder), str(folder)),
        "NUL": ("cert\0.pem", "not a valid path"),
    }
    return kinds[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *("missing certificate", "missing key", "key of another", "no key", "encrypted without password"),
        *("encrypted in one file", "wrong password", "endless password", "garbage", "garbage key", "a folder", "NUL"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_an_error_that_says_why(
    curious: HandlerPeer, ca: CertificateAuthority, tmp_path: Path, kind: str
) -> None:
    cert, word = broken(kind, tmp_path, ca)
    with session(ca_bundles=ca.file, cert=cert) as known, pytest.raises(errors.CertificateFileError) as caught:
        known.get(curious.url)
    assert word in str(caught.value)
    for place in (str(caught.value), repr(caught.value), repr(pickle.dumps(caught.value)), repr(known)):
        assert "s3cret" not in place
    assert curious.connections == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no controlling terminal to be asked on")
def test_an_encrypted_key_without_a_password_never_asks_on_the_terminal(ca: CertificateAuthority) -> None:
    pty = pytest.importorskip("pty")
    amy = ca.client()
    script = (
        "import sys\n"
        "from esri_http import EsriSession\n"
        "from esri_http.words.errors import CertificateFileError\n"
        "try:\n"
        "    EsriSession(cert=(sys.argv[1], sys.argv[2]), retries=0).get('https://127.0.0.1:9/')\n"
        "except CertificateFileError as error:\n"
        "    print('no prompt:', error)\n"
    )
    command = [sys.executable, "-c", script, amy.cert_file, ca.encrypted_key(amy, "s3cret")]
    master, terminal = pty.openpty()
    try:
        done = subprocess.run(
            command, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, timeout=20, start_new_session=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )  # fmt: skip
    finally:
        os.close(terminal)
        os.close(master)
    assert b"no prompt:" in done.stdout


def test_a_bad_form_of_cert_is_refused_at_once(ca: CertificateAuthority) -> None:
    for cert in (7, (), ("",), "", (1, 2), ("a", "b", "c", "d"), {"a": "b"}):
        with pytest.raises(errors.ConfigurationError):
            EsriSession(cert=cert)
    known = EsriSession(cert=ca.client().combined_file)
    with pytest.raises(errors.ConfigurationError):
        known.cert = 7
    assert known.cert == (ca.client().combined_file, None)


def test_the_password_of_a_key_is_not_shown(ca: CertificateAuthority) -> None:
    amy: Identity = ca.client()
    known = EsriSession(cert=(amy.cert_file, ca.encrypted_key(amy, "s3cret"), "s3cret"))
    assert "s3cret" not in repr(known) + repr(known.cert) + repr(known._network)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes here")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = "/dev/zero"
    if kind == "pipe":
        path = str(tmp_path / "pipe.pem")
        os.mkfifo(path)
    for cert in (path, (path, path)):
        with EsriSession(cert=cert) as session, pytest.raises(errors.CertificateFileError, match="it is no file"):
            session.get("https://127.0.0.1:9/")
