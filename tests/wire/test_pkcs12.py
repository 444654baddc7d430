"""Client certificates in PFX files: every encoding is shown, none leaves a copy of its key, broken ones are clear errors."""

from __future__ import annotations

import json
import os
import pickle
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from esri_http import EsriSession, MissingPackageError
from esri_http.wire import pkcs12 as wire_pkcs12
from esri_http.words import errors

from ..support.certificates import CertificateAuthority, Identity
from ..support.http_messages import Reply
from ..support.peers import HandlerPeer
from ..support.pfx import EMPTY, RC2, SECRET, pfx

MakeHandler = Callable[..., HandlerPeer]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def demanding(handler_peer: MakeHandler) -> HandlerPeer:
    """A server that lets in nobody without a client certificate of the tests' CA."""
    return handler_peer(lambda request: Reply(body="ok"), tls=True, client_certificate="required")


def shown_to(peer: HandlerPeer, ca: CertificateAuthority, cert: Any) -> str:
    """The name that `peer` sees of a session with `cert`."""
    with EsriSession(cert=cert, ca_bundles=ca.file, retries=0, timeout=10) as session:
        assert session.get(peer.url).text == "ok"
    certificate: Any = peer.requests[-1].client_certificate
    return str(certificate["subjectAltName"][0][1])


# -- every form and encoding -------------------------------------------------------------------------------------------


def test_a_pfx_is_taken_by_path_and_as_bytes(demanding: HandlerPeer, ca: CertificateAuthority, tmp_path: Path) -> None:
    content = pfx(ca.client())
    named, unnamed = tmp_path / "amy.p12", tmp_path / "secret-mount"
    named.write_bytes(content)
    unnamed.write_bytes(content)
    forms: list[Any] = [
        *((named, SECRET), (str(named), SECRET), [str(named), None, SECRET], (str(unnamed), SECRET), (named, SECRET.encode())),
        *((content, SECRET), (bytearray(content), SECRET), (memoryview(content), None, SECRET), (content, SECRET, None)),
    ]
    for form in forms:
        assert shown_to(demanding, ca, form) == "amy@example.com", form


@pytest.mark.parametrize("encoding", ["aes", "3des"])
@pytest.mark.parametrize("password", ["plain", SECRET, "密码 ключ 🔑", " ", "x" * 300])
def test_old_and_new_encodings_open_with_any_password(
    demanding: HandlerPeer, ca: CertificateAuthority, encoding: str, password: str
) -> None:
    assert shown_to(demanding, ca, (pfx(ca.client(), password, encoding), password)) == "amy@example.com"


@pytest.mark.parametrize("content, password", [(RC2, SECRET), (EMPTY, ""), (EMPTY, None)], ids=["RC2", "empty", "none"])
def test_files_of_old_programs_open(ca: CertificateAuthority, content: bytes, password: str | None) -> None:
    context = ca.server_context(client_certificate="required")
    certificate = pkcs12.load_key_and_certificates(content, (password or "").encode())[1]
    assert certificate is not None
    context.load_verify_locations(cadata=certificate.public_bytes(serialization.Encoding.PEM).decode())
    with HandlerPeer(lambda request: Reply(body="ok"), tls=context) as peer:
        assert shown_to(peer, ca, (content, password)) == "amy@example.com"


@pytest.mark.parametrize("form", [lambda content: content, lambda content: (content, None), lambda content: (content, "")])
def test_a_pfx_without_a_password_needs_none(
    demanding: HandlerPeer, ca: CertificateAuthority, form: Callable[[bytes], Any]
) -> None:
    assert shown_to(demanding, ca, form(pfx(ca.client(), None))) == "amy@example.com"


def test_the_chain_is_shown_in_order_whatever_the_order_in_the_file(demanding: HandlerPeer, ca: CertificateAuthority) -> None:
    amy = ca.chained_client()
    content = pfx(amy, others=(ca.client("bob@example.com").cert_pem, ca.pem.encode()))
    assert shown_to(demanding, ca, (content, SECRET)) == "amy@example.com"
    _, pem = wire_pkcs12._unpacked(content, SECRET, "password")
    assert [part.subject for part in x509.load_pem_x509_certificates(pem[pem.index(b"-----BEGIN CERT") :])] == [
        part.subject for part in x509.load_pem_x509_certificates(amy.cert_pem + ca.pem.encode())
    ]


def test_content_decides_what_a_file_is_before_its_name_does(
    demanding: HandlerPeer, ca: CertificateAuthority, tmp_path: Path
) -> None:
    amy = ca.client()
    odd = tmp_path / "really-pem.pfx"
    odd.write_bytes(b"Bag Attributes\n    friendlyName: amy\n" + amy.cert_pem)
    assert shown_to(demanding, ca, (odd, amy.key_file)) == "amy@example.com"
    odd.write_bytes(b"Bag Attributes\n    friendlyName: amy\n" + Path(amy.combined_file).read_bytes())
    assert shown_to(demanding, ca, odd) == "amy@example.com"


def test_a_file_that_comes_later_is_opened_by_what_it_is_then(
    demanding: HandlerPeer, ca: CertificateAuthority, tmp_path: Path
) -> None:
    for name in ("late.pfx", "late-secret"):
        path = tmp_path / name
        with EsriSession(cert=(path, SECRET), ca_bundles=ca.file, retries=0) as session:
            with pytest.raises(errors.CertificateFileError) as caught:
                session.get(demanding.url)
            assert SECRET not in str(caught.value) + repr(session) + repr(session._network)
            path.write_bytes(pfx(ca.client()))
            assert session.get(demanding.url).ok


def test_a_session_with_a_pfx_can_be_looked_at_and_pickled(demanding: HandlerPeer, ca: CertificateAuthority) -> None:
    content = pfx(ca.client())
    with EsriSession(cert=(content, SECRET), ca_bundles=ca.file, retries=0) as session:
        assert session.cert == (f"<PFX of {len(content)} bytes>", None)
        assert SECRET not in repr(session.cert) + repr(session) + repr(session._network) + repr(session.auth)
        with pickle.loads(pickle.dumps(session)) as twin:
            assert twin.get(demanding.url).ok
        session.cert = None
        assert session.cert is None
        session.cert = (content, SECRET)
        assert session.get(demanding.url).ok


# -- what cannot be used -----------------------------------------------------------------------------------------------


def broken(kind: str, ca: CertificateAuthority) -> tuple[Any, str]:
    """A `cert=` that cannot work, and a word that its error must hold."""
    amy = ca.client()
    good = pfx(amy)
    leaf = ssl.PEM_cert_to_DER_cert(ca.server().cert_pem.decode())
    kinds: dict[str, tuple[Any, str]] = {
        "wrong password": ((good, "s3cret-wrong"), "password is wrong"),
        "wrong password, 3DES": ((pfx(amy, encoding="3des"), "s3cret-wrong"), "password is wrong"),
        "password not given": (good, "needs a password"),
        "empty password": ((good, ""), "needs a password"),
        "garbage": ((os.urandom(3) * 99, SECRET), "not a PFX"),
        "zeros": ((b"0" * 500, SECRET), "not a PFX"),
        "a certificate alone": ((leaf, SECRET), "not a PFX"),
        "one byte": ((b"0", SECRET), "not a PFX"),
        "cut off": ((good[:-50], SECRET), "cut off"),
        "cut off early": ((good[:20], SECRET), "cut off"),
        "damaged": ((good[:900] + bytes(64) + good[964:], SECRET), "damaged"),
        "no key": ((pfx(amy, key=False), SECRET), "no private key"),
        "key of another": ((pfx(amy, key_of=ca.client("bob@example.com")), SECRET), "does not belong"),
        "NUL in the password": ((good, "p\0w"), "NUL"),
        "a very long password": ((good, "p" * 5000), "password is wrong"),
        "expired": ((pfx(ca.expired("amy@example.com")), SECRET), "expired on 20"),
        "early": ((pfx(ca.early_client()), SECRET), "not valid before 20"),
    }
    return kinds[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *("wrong password", "wrong password, 3DES", "password not given", "empty password", "garbage", "zeros"),
        *("a certificate alone", "one byte", "cut off", "cut off early", "damaged", "no key", "key of another"),
        *("expired", "early", "NUL in the password", "a very long password"),
    ],
)
def test_a_pfx_that_cannot_be_used_is_an_error_that_says_why(
    demanding: HandlerPeer, ca: CertificateAuthority, tmp_path: Path, kind: str
) -> None:
    cert, word = broken(kind, ca)
    content, *password = cert if isinstance(cert, tuple) else (cert,)
    path = tmp_path / "amy.pfx"
    path.write_bytes(content)
    for cert, name in (((content, *password), f"<PFX of {len(content)} bytes>"), ((path, *password), str(path))):
        session = EsriSession(cert=cert, ca_bundles=ca.file)
        with session, pytest.raises(errors.CertificateFileError) as caught:
            session.get(demanding.url)
        assert word in str(caught.value)
        assert name in str(caught.value)
        assert caught.value.path == name
        for place in (str(caught.value), repr(caught.value), repr(pickle.dumps(caught.value)), repr(session)):
            assert "s3cret" not in place
    assert demanding.connections == 0


def test_pem_as_bytes_two_passwords_and_odd_ones_are_refused_at_once(ca: CertificateAuthority) -> None:
    good = pfx(ca.client())
    for cert in (ca.client().cert_pem, b"", (b"", "s3cret"), (good, "s3cret", "s3cret"), (good, 7), (good, "s3cret\ud800")):
        with pytest.raises(errors.ConfigurationError) as caught:
            EsriSession(cert=cert)
        assert "s3cret" not in repr(caught.value)


def test_a_missing_pfx_is_named(ca: CertificateAuthority, tmp_path: Path) -> None:
    with EsriSession(cert=(tmp_path / "no.pfx", "s3cret")) as session:
        assert session.cert == (str(tmp_path / "no.pfx"), None)
        with pytest.raises(errors.CertificateFileError, match=r"no\.pfx") as caught:
            session.get("https://127.0.0.1:9/")
    assert "s3cret" not in str(caught.value)


def test_without_cryptography_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, ca: CertificateAuthority
) -> None:
    content = pfx(ca.client())
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    with EsriSession(cert=(content, SECRET)) as session, pytest.raises(MissingPackageError, match="pip install cryptography"):
        session.get("https://127.0.0.1:9/")


# -- nothing is left behind --------------------------------------------------------------------------------------------

_WATCHED = """
import json, os, sys, ssl, tempfile
sys.path.insert(0, sys.argv[1])
memory, path, password, folder = sys.argv[2] == "memory", *sys.argv[3:6]
tempfile.tempdir = folder
if not memory and hasattr(os, "memfd_create"):
    del os.memfd_create
from esri_http.wire import pkcs12, tls
from esri_http.words.settings import read_certificate
seen, inside = [], []
def watch(event, arguments):
    if event == "open" and not isinstance(arguments[0], int):
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            seen.append(os.fsdecode(arguments[0]))
sys.addaudithook(watch)
class Context(ssl.SSLContext):
    def load_cert_chain(self, certfile, keyfile=None, password=None):
        status = os.stat(certfile)
        text = open(certfile).read()
        inside.append({
            "path": certfile, "mode": status.st_mode & 0o777, "files": os.listdir(folder),
            "encrypted": "BEGIN ENCRYPTED PRIVATE KEY" in text, "bare": "BEGIN PRIVATE KEY" in text,
        })
        if len(sys.argv) > 6 and sys.argv[6] == "pause":
            print("paused", flush=True)
            sys.stdin.read()
        if len(sys.argv) > 6:
            raise ssl.SSLError(1, "this did not work")
        super().load_cert_chain(certfile, keyfile, password)
try:
    tls.load_certificate(Context(ssl.PROTOCOL_TLS_CLIENT), read_certificate((path, password)))
except Exception as caught:
    error = repr(caught)
else:
    error = None
descriptors = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")] \
    if os.path.isdir("/proc/self/fd") else []
print(json.dumps({"inside": inside, "left": os.listdir(folder), "written": seen, "error": error, "open": descriptors}))
"""


def watched(
    where: str, ca: CertificateAuthority, folder: Path, *more: str, password: str = SECRET
) -> subprocess.Popen[str]:
    """A fresh interpreter that loads a PFX, with `folder` for temporary files, and says what it saw."""
    path = folder.parent / "watched.pfx"
    path.write_bytes(pfx(ca.client()))
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", _WATCHED, str(ROOT), where, str(path), password, str(folder), *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(process.communicate(timeout=30)[0])
    return said


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="there are no files in memory on this system")
@pytest.mark.parametrize("more", [(), ("fail",)])
def test_in_memory_the_key_never_touches_a_disk(ca: CertificateAuthority, tmp_path: Path, more: tuple[str, ...]) -> None:
    said = told(watched("memory", ca, tmp_path / "temporary", *more))
    (load,) = said["inside"]
    assert (load["encrypted"], load["bare"], load["mode"]) == (True, False, 0o600)
    assert load["path"].startswith("/proc/self/fd/")
    assert (load["files"], said["left"], said["written"]) == ([], [], [])
    assert not [name for name in said["open"] if "memfd" in name]
    assert (said["error"] is None) == (not more)


@pytest.mark.parametrize("more", [(), ("fail",)])
def test_elsewhere_the_file_is_private_encrypted_and_gone(
    ca: CertificateAuthority, tmp_path: Path, more: tuple[str, ...]
) -> None:
    said = told(watched("file", ca, tmp_path / "temporary", *more))
    (load,) = said["inside"]
    assert (load["encrypted"], load["bare"]) == (True, False)
    if sys.platform != "win32":
        assert load["mode"] == 0o600
    assert load["files"] == [os.path.basename(load["path"])]
    assert said["left"] == []
    assert said["written"] == [load["path"]]
    assert (said["error"] is None) == (not more)


def test_a_wrong_password_writes_nothing_at_all(ca: CertificateAuthority, tmp_path: Path) -> None:
    said = told(watched("file", ca, tmp_path / "temporary", password="s3cret-wrong"))
    assert (said["inside"], said["left"], said["written"]) == ([], [], [])
    assert "CertificateFileError" in said["error"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_a_process_that_is_killed_in_between_leaves_an_encrypted_key_at_most(ca: CertificateAuthority, tmp_path: Path) -> None:
    for where, count in (("file", 1), *([("memory", 0)] if hasattr(os, "memfd_create") else [])):
        folder = tmp_path / where
        process = watched(where, ca, folder, "pause")
        assert process.stdout is not None
        assert process.stdout.readline() == "paused\n"
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        left = list(folder.iterdir())
        assert len(left) == count
        for path in left:
            assert path.stat().st_mode & 0o777 == 0o600
            text = path.read_bytes()
            assert b"BEGIN PRIVATE KEY" not in text
            for password in (None, SECRET.encode(), b""):
                with pytest.raises((TypeError, ValueError)):
                    serialization.load_pem_private_key(text[: text.index(b"-----BEGIN CERT")], password)


def test_names_of_temporary_files_cannot_be_foreseen(
    monkeypatch: pytest.MonkeyPatch, ca: CertificateAuthority, tmp_path: Path
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delattr(os, "memfd_create", raising=False)
    names = set()
    for _ in range(5):
        with wire_pkcs12._private_file(b"content") as path:
            assert Path(path).read_bytes() == b"content"
            names.add(path)
    assert len(names) == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="there are no files in memory on this system")
def test_without_proc_a_file_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(wire_pkcs12, "_path_of", lambda descriptor: f"/no/such/proc/{descriptor}")
    before = len(os.listdir("/proc/self/fd"))
    with wire_pkcs12._private_file(b"content") as path:
        assert Path(path).parent == tmp_path
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_pem_pair_is_read_from_where_it_is(
    demanding: HandlerPeer, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    amy: Identity = ca.client()
    monkeypatch.setattr(wire_pkcs12, "_private_file", None)
    assert shown_to(demanding, ca, (amy.cert_file, amy.key_file)) == "amy@example.com"
