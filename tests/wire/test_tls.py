"""TLS: what is not trusted gets nothing, and the error says which server, why, and which setting helps."""

from __future__ import annotations

import os
import pickle
import shutil
import ssl
import subprocess
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from esri_http import EsriSession
from esri_http.wire.tls import tls_context
from esri_http.words import errors
from esri_http.words.settings import TlsSettings

from ..support.certificates import CertificateAuthority, Identity
from ..support.http_messages import RecordedRequest, Reply
from ..support.peers import HandlerPeer, ScriptedPeer
from ..support.plumbing import Connection

MakeHandler = Callable[..., HandlerPeer]
MakeScripted = Callable[..., ScriptedPeer]


def answer_ok(request: RecordedRequest) -> Reply:
    return Reply(body="ok")


def session(**options: Any) -> EsriSession:
    """A session that does not try twice and does not wait long."""
    return EsriSession(**{"retries": 0, "timeout": 10, **options})


def failure(peer: Any, url: str | None = None, *, on: EsriSession | None = None, **options: Any) -> errors.EsriHttpError:
    """What a GET with these settings of a session raises. No setting that is named in it weakens anything."""
    with on or session(**options) as used, pytest.raises(errors.EsriHttpError) as caught:
        used.get(url or peer.url_for("/secret-path?token=geheim"))
    text = str(caught.value)
    for weakness in ("verify_cert=False", "verify=False", "check_hostname=False", "disable", "geheim"):
        assert weakness not in text
    return caught.value


@pytest.fixture
def self_signed(tmp_path: Path) -> Identity:
    """A certificate that vouches for itself and is no CA."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - day).not_valid_after(now + day).add_extension(names, False)
    cert_pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = [tmp_path / name for name in ("self-cert.pem", "self-key.pem", "self-both.pem")]
    for path, pem in zip(files, (cert_pem, key_pem, key_pem + cert_pem)):
        path.write_bytes(pem)
    return Identity(*map(str, files), cert_pem, key_pem)


# -- certificates that are not accepted --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, reason, advice",
    [
        ("untrusted", "unable to get local issuer certificate", "ca_bundles="),
        ("expired", "certificate has expired", "clock of this machine"),
        ("wrong_name", "127.0.0.1", "server_hostname="),
    ],
)
def test_a_bad_certificate_is_refused_with_its_reason_and_the_setting_that_helps(
    handler_peer: MakeHandler, ca: CertificateAuthority, kind: str, reason: str, advice: str
) -> None:
    peer = handler_peer(answer_ok, tls=getattr(ca, kind)())
    error = failure(peer, ca_bundles=ca.file)
    assert isinstance(error, errors.CertificateError)
    assert reason in str(error)
    assert advice in str(error)
    assert f"127.0.0.1:{peer.port}" in str(error)
    assert error.url is not None
    assert error.url.endswith("/secret-path?…")
    assert peer.requests == []
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_server_of_an_unknown_ca_is_refused(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=True)
    error = failure(peer)
    assert isinstance(error, errors.CertificateError)
    assert "ca_bundles=" in str(error)
    assert failure(peer, verify_cert=ca.stranger_file).__class__ is errors.CertificateError
    assert peer.requests == []


def test_a_self_signed_certificate_is_refused_until_it_is_given(handler_peer: MakeHandler, self_signed: Identity) -> None:
    peer = handler_peer(answer_ok, tls=self_signed)
    error = failure(peer)
    assert isinstance(error, errors.CertificateError)
    assert "self" in error.reason
    assert "ca_bundles=" in str(error)
    assert peer.requests == []
    for options in ({"verify_cert": self_signed.cert_file}, {"ca_bundles": self_signed.cert_file}):
        with session(**options) as trusting:
            assert trusting.get(peer.url).text == "ok"


def test_a_name_alone_in_the_common_name_does_not_count(handler_peer: MakeHandler, tmp_path: Path) -> None:
    authority = trustme.CA()
    root = tmp_path / "root.pem"
    authority.cert_pem.write_to_path(str(root))
    leaf = authority.issue_cert("elsewhere.example", common_name="localhost")
    both = tmp_path / "leaf.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(str(both))
    peer = handler_peer(answer_ok, tls=Identity(str(both), str(both), str(both), b"", b""))
    error = failure(peer, peer.url_for("/", host="localhost"), ca_bundles=str(root))
    assert isinstance(error, errors.CertificateError)
    assert peer.requests == []


# -- no TLS at all -----------------------------------------------------------------------------------------------------


def test_https_to_a_port_that_speaks_http_is_named_as_such(scripted_peer: MakeScripted) -> None:
    def answers_anything(connection: Connection) -> None:
        connection.recv()
        connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.wait()

    peer = scripted_peer(answers_anything)
    error = failure(peer, peer.url_for("/x").replace("http:", "https:"))
    assert isinstance(error, errors.TlsError)
    assert not isinstance(error, errors.CertificateError)
    assert "does not speak TLS" in str(error)
    assert "http://" in str(error)
    assert str(peer.port) in str(error)


def test_http_to_a_port_that_speaks_tls_is_named_as_such(scripted_peer: MakeScripted) -> None:
    def sends_an_alert(connection: Connection) -> None:
        connection.recv()
        connection.send(b"\x15\x03\x01\x00\x02\x02\x0a")
        connection.end_output()
        connection.wait()

    peer = scripted_peer(sends_an_alert)
    error = failure(peer, peer.url_for("/x"))
    assert isinstance(error, errors.ProtocolError)
    assert "https://" in str(error)
    assert str(peer.port) in str(error)


def test_silence_instead_of_a_handshake_ends_by_the_time_out(scripted_peer: MakeScripted) -> None:
    received: list[bytes] = []
    peer = scripted_peer(lambda connection: received.append(connection.wait()))
    error = failure(peer, peer.url_for("/x").replace("http:", "https:"), timeout=0.2)
    assert isinstance(error, errors.EsriTimeoutError)
    assert str(peer.port) in str(error)
    peer.wait_until(lambda: bool(received))
    assert b"GET" not in received[0]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_server_that_hangs_up_in_the_handshake_is_an_error(scripted_peer: MakeScripted, how: str) -> None:
    def hang_up(connection: Connection) -> None:
        connection.recv()
        getattr(connection, how)()

    peer = scripted_peer(hang_up)
    error = failure(peer, peer.url_for("/x").replace("http:", "https:"))
    assert isinstance(error, (errors.TlsError, errors.ConnectionLostError))
    assert str(peer.port) in str(error)


def test_a_tls_alert_is_an_error_with_its_name(scripted_peer: MakeScripted) -> None:
    def alert(connection: Connection) -> None:
        connection.recv()
        connection.send(b"\x15\x03\x03\x00\x02\x02\x28")  # fatal, handshake_failure
        connection.wait()

    peer = scripted_peer(alert)
    error = failure(peer, peer.url_for("/x").replace("http:", "https:"))
    assert isinstance(error, errors.TlsError)
    assert "HANDSHAKE_FAILURE" in str(error)
    assert "cert=" in str(error)


def test_versions_of_tls_older_than_1_2_are_not_spoken(ca: CertificateAuthority) -> None:
    context = ca.server_context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with HandlerPeer(answer_ok, tls=context) as peer:
        error = failure(peer, ca_bundles=ca.file)
        assert isinstance(error, errors.TlsError)
        assert "1.2" in str(error)


# -- whom to trust -----------------------------------------------------------------------------------------------------


def hashed_folder(ca_file: str, folder: Path) -> str:
    """A folder that OpenSSL finds `ca_file` in."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command")
    command = [openssl, "x509", "-noout", "-subject_hash", "-in", ca_file]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    folder.mkdir()
    shutil.copy(ca_file, folder / f"{name}.0")
    return str(folder)


def test_every_way_to_name_a_ca_trusts_it(handler_peer: MakeHandler, ca: CertificateAuthority, tmp_path: Path) -> None:
    folder = hashed_folder(ca.file, tmp_path / "cas")
    peer = handler_peer(answer_ok, tls=True)
    for options in (
        {"ca_bundles": ca.file},
        {"ca_bundles": Path(ca.file)},
        {"ca_bundles": [ca.stranger_file, ca.file]},
        {"ca_bundle": (ca.file,)},
        {"ca_bundles": folder},
        {"verify_cert": ca.file},
        {"verify_cert": Path(ca.file)},
        {"verify_cert": folder},
        {"verify": ca.file},
        {"verify_cert": ca.stranger_file, "ca_bundles": ca.file},
        {"verify_cert": ca.client_context()},
    ):
        with session(**options) as trusting:
            assert trusting.get(peer.url).text == "ok", options


def test_bundles_are_trusted_besides_certifi_and_a_path_instead_of_it(ca: CertificateAuthority) -> None:
    certifi_count = tls_context(TlsSettings()).cert_store_stats()["x509_ca"]
    assert certifi_count > 50
    assert tls_context(TlsSettings(ca_bundles=(ca.file,))).cert_store_stats()["x509_ca"] == certifi_count + 1
    assert tls_context(TlsSettings(verify=ca.file)).cert_store_stats()["x509_ca"] == 1


def test_check_hostname_false_skips_the_name_and_keeps_the_chain(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    wrong_name = handler_peer(answer_ok, tls=ca.wrong_name())
    for alias in ("check_hostname", "assert_hostname"):
        with session(ca_bundles=ca.file, **{alias: False}) as careless:
            assert careless.get(wrong_name.url).text == "ok"
    for identity in (ca.untrusted(), ca.expired()):
        peer = handler_peer(answer_ok, tls=identity)
        assert isinstance(failure(peer, ca_bundles=ca.file, check_hostname=False), errors.CertificateError)
        assert peer.requests == []


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("kind", ["untrusted", "expired", "wrong_name"])
def test_verify_cert_false_takes_every_certificate(handler_peer: MakeHandler, ca: CertificateAuthority, kind: str) -> None:
    peer = handler_peer(answer_ok, tls=getattr(ca, kind)())
    with session(verify_cert=False) as trusting, session(verify=False) as other:
        assert trusting.get(peer.url).text == other.get(peer.url).text == "ok"


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_one_unverified_call_leaves_the_others_verified(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=ca.untrusted())
    with session(ca_bundles=ca.file) as careful:
        assert careful.get(peer.url, verify=False).text == "ok"
        for _ in range(2):
            with pytest.raises(errors.CertificateError):
                careful.get(peer.url_for("/later"))
        assert careful.get(peer.url, verify=False).text == "ok"
    assert [request.path for request in peer.requests] == ["/", "/"]


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_unverified_calls_of_one_thread_do_not_weaken_those_of_another(
    handler_peer: MakeHandler, ca: CertificateAuthority
) -> None:
    peer = handler_peer(answer_ok, tls=ca.untrusted())
    outcomes: list[str] = []
    with session() as shared:

        def careless() -> None:
            for _ in range(20):
                shared.get(peer.url_for("/careless"), verify=False)

        def careful() -> None:
            for _ in range(20):
                try:
                    shared.get(peer.url_for("/careful"))
                except errors.CertificateError:
                    outcomes.append("refused")

        threads = [threading.Thread(target=target) for target in (careless, careful)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == ["refused"] * 20
    assert {request.path for request in peer.requests} == {"/careless"}


def test_a_call_may_bring_its_own_trust(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=True)
    with session(verify_cert=ca.stranger_file) as other:
        assert other.get(peer.url, verify=ca.file).text == "ok"
        assert other.get(peer.url, verify=ca.client_context()).text == "ok"
        with pytest.raises(errors.CertificateError):
            other.get(peer.url)
        with pytest.raises(errors.CertificateError):
            other.get(peer.url, verify=True)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_new_trust_holds_from_the_next_request_on_and_drops_old_connections(
    handler_peer: MakeHandler, ca: CertificateAuthority
) -> None:
    peer = handler_peer(answer_ok, tls=True)
    with session(verify_cert=ca.file) as changing:
        assert changing.get(peer.url).ok
        changing.verify_cert = True
        with pytest.raises(errors.CertificateError):
            changing.get(peer.url)
        changing.verify = False
        assert changing.get(peer.url).ok
        changing.verify_cert = ca.stranger_file
        with pytest.raises(errors.CertificateError):
            changing.get(peer.url)
        changing.ca_bundles = ca.file
        assert changing.get(peer.url).ok
        changing.ca_bundles = None
        with pytest.raises(errors.CertificateError):
            changing.get(peer.url)
        peer.wait_until(lambda: peer.open_connections == 0)
    assert [request.connection for request in peer.requests] == sorted({request.connection for request in peer.requests})


def test_the_name_is_checked_again_once_check_hostname_is_set_back(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    peer = handler_peer(answer_ok, tls=ca.wrong_name())
    with session(ca_bundles=ca.file, check_hostname=False) as changing:
        assert changing.get(peer.url).ok
        changing.check_hostname = True
        with pytest.raises(errors.CertificateError):
            changing.get(peer.url)
    assert len(peer.requests) == 1


# -- an SSLContext of the user's own -----------------------------------------------------------------------------------


def test_a_context_of_the_users_own_is_taken_as_it_is(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    context = ca.client_context()
    wrong_name = handler_peer(answer_ok, tls=ca.wrong_name())
    assert isinstance(failure(wrong_name, verify_cert=context), errors.CertificateError)
    assert isinstance(failure(handler_peer(answer_ok, tls=ca.untrusted()), verify_cert=context), errors.CertificateError)
    assert wrong_name.requests == []
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_nothing_is_added_to_a_context_of_the_users_own(handler_peer: MakeHandler, ca: CertificateAuthority) -> None:
    context = ca.client_context()
    before = context.cert_store_stats()
    peer = handler_peer(answer_ok, tls=True, client_certificate="optional")
    additions = {"cert": ca.client().combined_file, "ca_bundles": ca.stranger_file, "check_hostname": False}
    for name, value in additions.items():
        error = failure(peer, verify_cert=context, **{name: value})
        assert isinstance(error, errors.ConfigurationError)
        assert name in str(error)
    assert context.cert_store_stats() == before
    assert context.check_hostname
    with session(verify_cert=context) as plain:
        assert plain.get(peer.url).text == "ok"
    assert peer.requests[0].client_certificate is None


# -- CA files that cannot be used --------------------------------------------------------------------------------------


def damaged(kind: str, folder: Path, ca: CertificateAuthority) -> str:
    """The path of a CA file that is wrong in the way that `kind` says."""
    path = folder / "ca.pem"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "garbage":
        path.write_bytes(os.urandom(300))
    elif kind == "a web page":
        path.write_text("<html>sign in first</html>", encoding="ascii")
    elif kind == "broken PEM":
        path.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", encoding="ascii")
    elif kind == "a key":
        path.write_bytes(ca.client().key_pem)
    elif kind == "an empty folder":
        path.mkdir()
    elif kind == "a folder without hashes":
        path.mkdir()
        shutil.copy(ca.file, path / "ca.pem")
    elif kind == "below a file":
        path.write_bytes(b"")
        return str(path / "ca.pem")
    elif kind == "NUL":
        return "ca\0.pem"
    return str(path)


@pytest.mark.parametrize("setting", ["verify_cert", "ca_bundles"])
@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "empty",
        "garbage",
        "a web page",
        "broken PEM",
        "a key",
        "an empty folder",
        "a folder without hashes",
        "below a file",
        "NUL",
    ],
)
def test_a_ca_file_that_cannot_be_used_is_named_and_never_means_less_care(
    handler_peer: MakeHandler, ca: CertificateAuthority, tmp_path: Path, kind: str, setting: str
) -> None:
    peer = handler_peer(answer_ok, tls=True)
    path = damaged(kind, tmp_path, ca)
    error = failure(peer, **{setting: path})
    assert isinstance(error, errors.CertificateFileError)
    assert error.path == path
    assert path in str(error)
    assert peer.connections == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="files can always be read here")
def test_a_ca_file_that_may_not_be_read_is_named(handler_peer: MakeHandler, ca: CertificateAuthority, tmp_path: Path) -> None:
    path = tmp_path / "secret-ca.pem"
    shutil.copy(ca.file, path)
    path.chmod(0)
    error = failure(handler_peer(answer_ok, tls=True), ca_bundles=path)
    assert isinstance(error, errors.CertificateFileError)
    assert "Permission denied" in str(error)


def test_a_ca_file_is_looked_for_when_it_is_needed(handler_peer: MakeHandler) -> None:
    plain = handler_peer(answer_ok)
    with session(ca_bundles="/no/such/file.pem") as made:
        with pytest.raises(errors.CertificateFileError):
            made.get("https://127.0.0.1:9/")
        made.ca_bundles = None
        assert made.get(plain.url).ok


# -- contexts are shared -----------------------------------------------------------------------------------------------


def test_equal_settings_share_one_context_and_others_do_not(ca: CertificateAuthority) -> None:
    settings = TlsSettings(ca_bundles=(ca.file,))
    context = tls_context(settings)
    assert tls_context(TlsSettings(ca_bundles=(ca.file,))) is context
    certificate = EsriSession(cert=ca.client().combined_file)._network.tls.certificate
    others = [
        settings.replace(check_hostname=False),
        settings.replace(verify=False),
        settings.replace(verify=ca.file),
        settings.replace(ca_bundles=(ca.file, ca.stranger_file)),
        settings.replace(certificate=certificate),
    ]
    contexts = [context, *map(tls_context, others)]
    assert len({id(context) for context in contexts}) == len(contexts)


def test_sessions_with_equal_settings_share_their_context_in_threads_too(ca: CertificateAuthority) -> None:
    contexts: list[ssl.SSLContext] = []
    settings = TlsSettings(verify=ca.file, check_hostname=False)
    threads = [threading.Thread(target=lambda: contexts.append(tls_context(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(contexts) == 8
    assert len(set(map(id, contexts))) == 1


def test_a_ca_file_that_changed_is_read_anew(handler_peer: MakeHandler, ca: CertificateAuthority, tmp_path: Path) -> None:
    peer = handler_peer(answer_ok, tls=True)
    path = tmp_path / "ca.pem"
    shutil.copy(ca.stranger_file, path)
    old = tls_context(TlsSettings(verify=str(path)))
    assert isinstance(failure(peer, verify_cert=path), errors.CertificateError)
    replacement = tmp_path / "new.pem"
    shutil.copy(ca.file, replacement)
    os.utime(replacement, ns=(path.stat().st_mtime_ns, path.stat().st_mtime_ns))
    os.replace(replacement, path)
    assert tls_context(TlsSettings(verify=str(path))) is not old
    with session(verify_cert=path) as trusting:
        assert trusting.get(peer.url).ok


def test_the_last_contexts_are_kept_for_the_next_session_and_those_with_an_identity_never(
    ca: CertificateAuthority, tmp_path: Path
) -> None:
    import gc
    import weakref

    def watched(number: int, **settings: object) -> weakref.ref[ssl.SSLContext]:
        path = tmp_path / f"ca{number}.pem"
        shutil.copy(ca.file, path)
        return weakref.ref(tls_context(TlsSettings(verify=str(path), **settings)))  # type: ignore[arg-type]

    certificate = EsriSession(cert=ca.client().combined_file)._network.tls.certificate
    identified = watched(0, certificate=certificate)
    contexts = [watched(number) for number in range(1, 10)]
    gc.collect()
    assert identified() is None
    alive = [context() is not None for context in contexts]
    assert alive == sorted(alive)
    assert 1 <= sum(alive) <= 4
