"""The folder where it will live: alone, under other names, zipped, beside another urllib3, with and without cryptography."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http.testing import EmbeddedPortal

from ..support.certificates import CertificateAuthority
from ..support.http_messages import json_reply
from ..support.ntlm_server import NtlmServer, known_users
from ..support.pfx import SECRET, pfx
from .support import EVERY_PLACE, Built, Guest
from .test_contents import PINS

INSTALLED = sysconfig.get_path("purelib")
SEED = "JBSWY3DPEHPK3PXP"
READ = "import esri_http; result = [sign_in(esri_http), roots()]"
HERE = "python39" if sys.version_info < (3, 10) else "newest"


def test_alone_it_signs_in_and_reads_a_layer(guest: Guest, portal: EmbeddedPortal) -> None:
    assert guest.run(READ) == [EVERY_PLACE, ["esri_http"]]
    assert portal.count("/generateToken") == 2  # at the portal, and for the server


def test_it_brings_the_release_that_is_for_this_python(guest: Guest) -> None:
    program = "from esri_http._vendor import certifi, urllib3; result = [urllib3.__version__, certifi.where()]"
    version, roots = guest.run(program)
    assert version == PINS[HERE][0].version
    assert Path(roots) == guest.place / "esri_http" / "_vendor" / "certifi" / "cacert.pem"


def test_every_public_name_can_be_had(guest: Guest) -> None:
    assert guest.run("import esri_http as ours; result = [name for name in ours.__all__ if getattr(ours, name) is None]") == []


def test_it_works_from_the_zip(built: Built, portal: EmbeddedPortal, tmp_path: Path) -> None:
    env = {"TMPDIR": str(tmp_path), "TEMP": str(tmp_path), "TMP": str(tmp_path)}
    assert Guest(built.archive, portal).run(READ, env=env) == [EVERY_PLACE, ["esri_http"]]
    assert list(tmp_path.iterdir()) == []


def test_from_the_zip_the_roots_are_found_also_where_nothing_can_be_written(built: Built, portal: EmbeddedPortal) -> None:
    program = (
        "import tempfile; tempfile.tempdir = '/nowhere/at/all'\n"
        "import esri_http, esri_http.wire.tls as tls, esri_http.words.settings as settings\n"
        "contexts = [tls.tls_context(settings.TlsSettings())]\n"
        "result = [sign_in(esri_http), len(contexts[0].get_ca_certs())]"
    )
    features, roots = Guest(built.archive, portal).run(program)
    assert features == EVERY_PLACE
    bundle = (built.tree / "esri_http" / "_vendor" / "certifi" / "cacert.pem").read_text(encoding="ascii")
    assert roots == bundle.count("BEGIN CERTIFICATE") > 100


def parent(tmp_path: Path, built: Built, *parts: str) -> Path:
    """A copy of the folder below a package of another name."""
    folder = tmp_path.joinpath(*parts)
    shutil.copytree(built.tree / "esri_http", folder)
    for above in list(folder.parents)[: len(parts) - 1]:
        (above / "__init__.py").touch()
    return tmp_path


def test_it_works_below_any_package(guest: Guest, built: Built, tmp_path: Path) -> None:
    program = "import mytool.lib.esri_http as package; result = [sign_in(package), roots()]"
    guest.place = parent(tmp_path, built, "mytool", "lib", "esri_http")
    assert guest.run(program) == [EVERY_PLACE, []]


def test_two_copies_live_in_one_process(guest: Guest, built: Built, tmp_path: Path) -> None:
    parent(tmp_path, built, "one", "esri_http")
    guest.place = parent(tmp_path, built, "two", "web")
    program = (
        "import one.esri_http as one, two.web as two\n"
        "counts = [sign_in(one), sign_in(two), sign_in(one)]\n"
        "from one.esri_http._vendor import urllib3 as first; from two.web._vendor import urllib3 as second\n"
        "result = [counts, one.EsriSession is two.EsriSession, first is second, roots()]"
    )
    assert guest.run(program) == [[EVERY_PLACE] * 3, False, False, []]


# -- beside another urllib3 ------------------------------------------------------------------------------------------------

OTHERS = ("1.26.18", "newest")
# The host's own urllib3 asks the portal, too.
HOSTS = (
    "import urllib3\n"
    "def theirs():\n"
    "    pool = urllib3.PoolManager(ca_certs={ca!r}, cert_reqs='CERT_REQUIRED')\n"
    "    status = pool.request('GET', {url!r}).status\n"
    "    pool.clear()\n"
    "    return status\n"
)


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("version", OTHERS)
def test_another_urllib3_keeps_to_itself(
    guest: Guest, portal: EmbeddedPortal, other_urllib3: dict[str, Path], version: str, order: str
) -> None:
    hosts = HOSTS.format(ca=portal.ca_file, url=portal.portal_url + "/sharing/rest/info?f=json")
    ours = "import esri_http; counts = [sign_in(esri_http)]\n"
    program = (hosts + ours if order == "before" else ours + hosts) + (
        "statuses = [theirs()]; counts.append(sign_in(esri_http)); statuses.append(theirs())\n"
        "from esri_http._vendor import urllib3 as vendored\n"
        "result = [counts, statuses, urllib3.__version__, vendored.__version__, roots()]"
    )
    # Theirs is found first: whoever asks for urllib3 gets that one.
    counts, statuses, theirs, vendored, loaded = guest.run(program, front=[other_urllib3[version]])
    assert (counts, statuses) == ([EVERY_PLACE] * 2, [200, 200])
    assert theirs == version or (version == "newest" and theirs.startswith("2."))
    assert vendored == PINS[HERE][0].version
    assert loaded == ["esri_http", "urllib3"]


def test_a_broken_urllib3_of_the_host_does_not_matter(guest: Guest, tmp_path: Path) -> None:
    for name in ("urllib3", "certifi", "spnego"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('must not be imported')\n")
    assert guest.run(READ, front=[tmp_path]) == [EVERY_PLACE, ["esri_http"]]


def test_the_first_roots_are_read_while_urllib3_is_imported(guest: Guest, other_urllib3: dict[str, Path]) -> None:
    """Also where a urllib3 is loaded that is not ours."""
    program = (
        "import threading, os, urllib3, esri_http\n"
        "os.cpu_count = lambda: 2\n"
        "started, start = [], threading.Thread.start\n"
        "threading.Thread.start = lambda thread: (started.append(thread.name), start(thread))[1]\n"
        "sign_in(esri_http), sign_in(esri_http)\n"
        "result = started.count('esri_http-tls')"
    )
    assert guest.run(program, front=[other_urllib3["newest"]]) == 1


# -- cryptography, which is the host's -------------------------------------------------------------------------------------


@pytest.fixture
def ntlm(handler_peer: Any, tmp_path: Path) -> Iterator[Any]:
    """A server that asks for NTLM, and knows amy."""
    with known_users(tmp_path):
        yield handler_peer(NtlmServer(("NTLM",)))


def test_ntlm_takes_cryptography_from_the_host_and_nothing_else(guest: Guest, ntlm: Any) -> None:
    program = (
        "import esri_http\n"
        "with esri_http.EsriSession(esri_http.EsriHttpNtlmAuth(None, 'AD\\\\amy', 'amys-secret')) as session:\n"
        f"    result = [session.get({ntlm.url!r}).json()['user'], 'cryptography' in sys.modules, roots()]"
    )
    assert guest.run(program, INSTALLED) == ["amy", True, ["esri_http"]]


def told(guest: Guest, work: str, *back: Any) -> tuple[str, str]:
    """The kind of error that `work`, with a session, ends with, and its text; or the two that it gives."""
    program = (
        "import esri_http\n"
        "from esri_http import *\n"
        "try:\n"
        f"    with EsriSession(retries=0) as session: result = {work}\n"
        "except esri_http.EsriHttpError as error:\n"
        "    result = [type(error).__name__, str(error)]"
    )
    kind, text = guest.run(program, *back)
    return kind, text


def test_without_cryptography_ntlm_says_what_it_needs(guest: Guest, ntlm: Any) -> None:
    for handler in ("EsriHttpNtlmAuth", "EsriWindowsAuth"):
        kind, text = told(guest, f"session.get({ntlm.url!r}, auth={handler}(None, 'AD\\\\amy', 'amys-secret'))")
        assert kind == "MissingPackageError"
        assert "needs the package cryptography: pip install cryptography" in text
    assert ntlm.handler.finished == 0


def test_without_cryptography_kerberos_says_what_it_needs(guest: Guest, handler_peer: Any) -> None:
    peer = handler_peer(NtlmServer(("Negotiate",)))
    kind, text = told(guest, f"session.get({peer.url!r}, auth=EsriKerberosAuth())")
    assert (kind, "pip install cryptography" in text) == ("MissingPackageError", True)


def test_without_cryptography_a_pfx_says_what_it_needs(
    guest: Guest, ca: CertificateAuthority, handler_peer: Any, tmp_path: Path
) -> None:
    peer = handler_peer(lambda request: json_reply({}), tls=True, client_certificate="optional")
    path = tmp_path / "amy.pfx"
    path.write_bytes(pfx(ca.client()))
    work = f"session.get({peer.url!r}, verify={ca.file!r}, cert=({str(path)!r}, {SECRET!r}))"
    assert told(guest, work) == (
        "MissingPackageError", "A client certificate in a PFX needs the package cryptography: pip install cryptography",
    )  # fmt: skip


def test_without_cryptography_an_encrypted_key_in_pem_works(guest: Guest, ca: CertificateAuthority, handler_peer: Any) -> None:
    peer = handler_peer(lambda request: json_reply({"known": bool(request.client_certificate)}), tls=True,
                        client_certificate="required")  # fmt: skip
    amy = ca.client()
    certificate = (amy.cert_file, ca.encrypted_key(amy, SECRET), SECRET)
    program = (
        "import esri_http\n"
        f"with esri_http.EsriSession(cert={certificate!r}, verify_cert={ca.file!r}) as session:\n"
        f"    result = session.get({peer.url!r}).json()"
    )
    assert guest.run(program) == {"known": True}


def test_without_cryptography_a_seed_says_what_it_needs(
    guest: Guest, portal: EmbeddedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal.users["amy"], "totp_seed", SEED)
    auth = f"EsriBuiltInAuth({portal.portal_url!r}, 'amy', 'amys-secret', mfa_code={SEED!r})"
    work = f"session.get({portal.layer_url!r} + '?f=json', auth={auth}, verify={portal.ca_file!r}).json()['name']"
    kind, text = told(guest, work)
    assert (kind, "pip install cryptography" in text) == ("MissingPackageError", True)
    assert told(guest, f"['none', {work}]", INSTALLED) == ("none", "Places")


def test_a_survey_says_what_is_missing(guest: Guest, handler_peer: Any) -> None:
    peer = handler_peer(NtlmServer(("NTLM",)))
    program = (
        "from esri_http.survey.survey import survey\n"
        f"found = survey({peer.url + '/portal'!r})\n"
        "result = [[way.name, way.ready, way.text] for way in found.ways]"
    )
    [(name, ready, text)] = guest.run(program)
    assert (name, ready, "pip install cryptography" in text) == ("NTLM", False, True)
    [(name, ready, text)] = guest.run(program, INSTALLED)
    assert (name, ready, text) == ("NTLM", True, "works with user and password")


@pytest.mark.parametrize("mechanism", ["ntlm", "negotiate", "kerberos"])
def test_on_windows_it_says_that_sspilib_is_needed(guest: Guest, mechanism: str) -> None:
    program = (
        "import spnego  # that of the host brings what the system itself is asked for\n"
        "import os, esri_http.auth.handshake.security as security, esri_http.auth.handshake.tickets as tickets\n"
        "os.name = 'nt'\n"
        f"error = security.SecurityContexts(security.Identity('amy', 'x')).obstacle({mechanism!r}, 'gis.example.com', None)\n"
        "result = [type(error).__name__, error.package, tickets.missing_for_kerberos().package]"
    )
    assert guest.run(program, INSTALLED) == ["MissingPackageError", "sspilib", "sspilib"]
