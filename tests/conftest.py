"""Fixtures of all tests: a private CA, peers, a clock, an empty environment, and a check that nothing is left running."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Union

import hypothesis
import pytest

from esri_http.testing import EmbeddedPortal
from esri_http.testing.fixture import esri_portal as _esri_portal  # noqa: F401

from .support.certificates import CertificateAuthority, Identity
from .support.clock import FakeClock
from .support.peers import Handler, HandlerPeer, Script, ScriptedPeer
from .support.plumbing import running_servers
from .support.proxies import ProxyPeer

Tls = Union[bool, Identity]

# Settings of the machine that would change what a session does.
_FOREIGN_VARIABLES = {
    *("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "request_method"),
    *("requests_ca_bundle", "curl_ca_bundle", "ssl_cert_file", "ssl_cert_dir", "sslkeylogfile"),
    *("netrc", "krb5ccname", "krb5_config", "krb5_ktname", "ntlm_user_file"),
}
_FOREIGN_PREFIXES = ("esri_", "arcgis_", "agol_")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A job in the background is started with Ctrl-C ignored, and its children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, _empty_home: str) -> None:
    """No proxy, CA, netrc or Esri setting of this machine reaches a test; the home directory is empty."""
    for name in list(os.environ):
        if name.lower() in _FOREIGN_VARIABLES or name.lower().startswith(_FOREIGN_PREFIXES):
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, _empty_home)
    # Nor does a test reach the keyring of whoever runs it.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every server of tests/support that a test starts is stopped when it is over, with all its threads; so are sign-ins."""
    before = running_servers()
    yield
    left = running_servers() - before
    ports = {server.port for server in left}
    for server in left:
        server.stop()
    if not request.node.get_closest_marker("leaks_on_purpose"):
        assert not left, f"left running by this test: {left}"
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("loopback-")]
    kept = {f"loopback-{server.port}" for server in before}
    strays = [name for name in names if name.rpartition("-")[0] not in kept]
    strays += [thread.name for thread in threading.enumerate() if thread.name == "esri_http sign-in"]
    assert not strays, f"threads left by this test (of ports {ports}): {strays}"


@pytest.fixture(scope="session")
def _empty_home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """The private CA of this run."""
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def portal(esri_portal: EmbeddedPortal) -> EmbeddedPortal:
    """A portal over https of the test's own; where another kind is wanted, there is a fixture of this name."""
    return esri_portal


@pytest.fixture
def _stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def scripted_peer(_stack: ExitStack, ca: CertificateAuthority) -> Callable[..., ScriptedPeer]:
    """`scripted_peer(script, tls=False, client_certificate="none", host="127.0.0.1")` starts a `ScriptedPeer`."""

    def start(script: Script | list[Script], **options: Any) -> ScriptedPeer:
        return _stack.enter_context(ScriptedPeer(script, **_with_context(ca, options)))

    return start


@pytest.fixture
def handler_peer(_stack: ExitStack, ca: CertificateAuthority) -> Callable[..., HandlerPeer]:
    """`handler_peer(handler, tls=False, client_certificate="none", host=..., keep_bodies=True)` starts a `HandlerPeer`."""

    def start(handler: Handler, **options: Any) -> HandlerPeer:
        return _stack.enter_context(HandlerPeer(handler, **_with_context(ca, options)))

    return start


@pytest.fixture
def proxy_peer(_stack: ExitStack, ca: CertificateAuthority) -> Callable[..., ProxyPeer]:
    """`proxy_peer(tls=False, credentials=None, names=None, intercept=None)` starts a `ProxyPeer`."""

    def start(**options: Any) -> ProxyPeer:
        return _stack.enter_context(ProxyPeer(**_with_context(ca, options)))

    return start


def _with_context(ca: CertificateAuthority, options: dict[str, Any]) -> dict[str, Any]:
    """`tls=True` (a good certificate for the loopback names) or `tls=Identity`, as the context that a peer takes."""
    tls: Tls = options.pop("tls", False)
    wanted = options.pop("client_certificate", "none")
    if tls:
        options["tls"] = ca.server_context(None if tls is True else tls, client_certificate=wanted)
    return options


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test against a real server may be skipped where that server is not installed, but not where it has to be.

    Mark such a test ``@pytest.mark.real_server("name")`` and let it skip, with a reason that says how to get the server. All
    skips for one reason are one line of the summary; with ``REAL_SERVERS=required`` in the environment, as in
    ``make test-servers``, they are failures.
    """
    outcome = yield
    report = outcome.get_result()
    if not report.skipped or hasattr(report, "wasxfail") or not item.get_closest_marker("real_server"):
        return
    reason = report.longrepr[2]
    report.longrepr = ("tests against real servers", None, reason)
    if os.environ.get("REAL_SERVERS") == "required":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but real servers are required: {reason}"
