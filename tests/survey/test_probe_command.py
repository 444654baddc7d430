"""`esri-http probe`: its table, its JSON, and its exit status."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esri_http.cli.probe import add_arguments, run
from esri_http.testing import Answer, EmbeddedPortal, faults
from esri_http.words.errors import CertificateFileError, ConfigurationError, InvalidUrlError

from ..support.peers import Reply, json_reply
from .helpers import check_anonymous

Probe = Callable[..., "tuple[int, str]"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def probe(capsys: pytest.CaptureFixture[str]) -> Probe:
    """`probe(*arguments)`: the exit status, and what was printed; nothing goes to the error stream."""

    def call(*arguments: str) -> tuple[int, str]:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        status = run(parser.parse_args(arguments))
        printed = capsys.readouterr()
        assert printed.err == ""
        return status, printed.out

    return call


@pytest.fixture
def portal(esri_portal: EmbeddedPortal) -> Iterator[EmbeddedPortal]:
    """A portal over https, which nobody has shown a credential in the end."""
    yield esri_portal
    for request in esri_portal.requests:
        check_anonymous(request)


def labelled(text: str) -> dict[str, list[str]]:
    """The lines of a table by their labels."""
    width = text.index("http")  # the first line is that of the address
    found: dict[str, list[str]] = {}
    label = ""
    for line in text.splitlines():
        label = line[:width].strip() or label
        found.setdefault(label, []).append(line[width:])
    return found


def test_the_table_of_a_portal(probe: Probe, portal: EmbeddedPortal) -> None:
    status, text = probe(f"{portal.portal_url}/home", "--ca-bundle", portal.ca_file)
    lines = labelled(text)
    assert status == 0
    assert list(lines) == ["address", "found", "sign-in", "TLS", "certificate", "proxy", "clock", "asked"]
    assert lines["address"] == [portal.portal_url, "/home is left out, as the site begins before it"]
    assert lines["found"][0] == "portal, Embedded Portal, version 11.3.0 (build 51526)"
    assert lines["TLS"][0].endswith("trusted here")
    assert lines["certificate"][2] == "for localhost, 127.0.0.1, ::1"
    assert lines["certificate"][3].endswith("29 days left")
    assert lines["proxy"] == ["none"]
    assert lines["clock"] == ["agrees with ours"]
    assert [line.split()[2] for line in lines["asked"]] == ["200"] * 3
    columns = {line.index("portal ") for line in lines["sign-in"][1:]}
    assert columns == {lines["sign-in"][0].index("offered by")}


def test_the_table_of_what_is_not_believed(probe: Probe, portal: EmbeddedPortal) -> None:
    status, text = probe(portal.server_url)
    lines = labelled(text)
    assert status == 5
    assert lines["found"][0] == "trouble"
    assert lines["found"][1].endswith("give the PEM file of its CA by --ca-bundle.")
    assert lines["TLS"][1].endswith("give the PEM file of that CA by --ca-bundle")
    assert lines["sign-in"] == ["none is known"]


def test_a_federated_server_and_its_clock(probe: Probe, portal: EmbeddedPortal) -> None:
    portal.clock_skew_seconds = -7200
    status, text = probe(portal.server_url, "--ca-bundle", portal.ca_file)
    lines = labelled(text)
    assert status == 0
    assert f"federated with {portal.portal_url}" in lines["found"]
    assert lines["clock"][0].endswith("s behind ours")
    assert len(lines["note"]) == 2


def test_json_is_whole_whatever_was_found(probe: Probe, portal: EmbeddedPortal) -> None:
    for url, status in ((portal.portal_url, 0), (f"{portal.portal_url}x", 1), ("https://127.0.0.1:1/portal", 5)):
        found, text = probe(url, "--json", "--ca-bundle", portal.ca_file)
        data = json.loads(text)
        assert (found, data["is_arcgis"]) == (status, status == 0)
        assert list(data) == [
            "url", "found", "is_arcgis", "words", "address", "site", "ways", "tls", "proxy", "clock_skew_seconds", "requests",
            "notes",
        ]  # fmt: skip
        assert set(data["address"]) == {"kind", "root", "is_server", "notes"}
        assert set(data["site"]) == {
            *("name", "version", "build", "anonymous_access", "supports_oauth", "federated_with", "token_service", "built_in"),
            *("identity_provider", "page_host"),
        }
        assert set(data["tls"]) == {"version", "cipher", "trusted", "why_not", "client_certificate", "chain", "notes"}
        assert set(data["proxy"]) == {"url", "source", "note"}
        for one in data["ways"]:
            assert set(one) == {"name", "where", "ready", "text"}
        for one in data["tls"]["chain"]:
            assert set(one) == {"subject", "issuer", "names", "not_before", "not_after", "days_left"}
        for one in data["requests"]:
            assert set(one) == {"url", "status", "seconds", "redirects", "words"}


def test_a_sign_in_in_front_counts_as_found(probe: Probe, portal: EmbeddedPortal) -> None:
    portal.portal_site.gate = lambda request: Answer(401).add("WWW-Authenticate", "NTLM")
    status, text = probe(portal.portal_url, "--ca-bundle", portal.ca_file)
    assert status == 0
    assert labelled(text)["sign-in"][1].split()[:4] == ["NTLM", "web", "tier", "yes"]


def test_redirects_are_shown_below_what_led_to_them(probe: Probe, portal: EmbeddedPortal) -> None:
    portal.faults.add("/portals/self", faults.redirect(f"{portal.portal_url}/home"))
    _, text = probe(portal.portal_url, "--ca-bundle", portal.ca_file)
    assert labelled(text)["asked"][1].strip() == f"led to {portal.portal_url}/home"


def test_a_request_that_fails_after_a_good_one_says_why(probe: Probe, portal: EmbeddedPortal) -> None:
    portal.faults.add("/authorize", faults.reset())
    status, text = probe(portal.portal_url, "--ca-bundle", portal.ca_file)
    assert status == 0
    assert "was lost" in labelled(text)["asked"][-1]


def test_a_server_cannot_write_to_the_terminal(probe: Probe, portal: EmbeddedPortal) -> None:
    portal.portal_site.self_overrides["name"] = "\x1b]0;owned\x07\u202e\r\nasked  0.00 s"
    _, text = probe(portal.portal_url, "--ca-bundle", portal.ca_file)
    assert not set(text) & {"\x1b", "\x07", "\r", "\u202e"}
    assert len([line for line in text.splitlines() if line.startswith("asked")]) == 1


def test_the_proxy_and_the_time_out_are_used(probe: Probe, portal: EmbeddedPortal, proxy_peer: Any, scripted_peer: Any) -> None:
    proxy = proxy_peer()
    _, text = probe(portal.portal_url, "--ca-bundle", portal.ca_file, "--proxy", proxy.url)
    assert labelled(text)["proxy"] == [f"{proxy.url}, as given"]
    assert len(proxy.tunnels) == 2
    peer = scripted_peer(lambda connection: connection.wait())
    status, text = probe(f"{peer.url}/portal", "--timeout", "0.2")
    assert (status, "read time-out" in text) == (5, True)


def test_a_certificate_that_is_over_has_no_days_left(probe: Probe, ca: Any, handler_peer: Any) -> None:
    peer = handler_peer(lambda request: Reply(404), tls=ca.expired("127.0.0.1"))
    _, text = probe(peer.url, "--ca-bundle", ca.file)
    assert labelled(text)["certificate"][-1].endswith("Z: over")


def test_a_site_by_its_address_is_taken_by_its_name(probe: Probe, ca: Any, handler_peer: Any) -> None:
    peer = handler_peer(lambda request: json_reply({"isPortal": True}), tls=ca.server("gis.example.com"))
    status, text = probe(f"{peer.url}/portal", "--ca-bundle", ca.file, "--server-hostname", "gis.example.com")
    assert (status, "trusted here" in labelled(text)["TLS"][0]) == (0, True)
    status, text = probe(f"{peer.url}/portal", "--ca-bundle", ca.file)
    assert (status, "by --server-hostname." in text) == (5, True)


def test_what_cannot_be_probed_is_an_error_and_nothing_is_printed(
    probe: Probe, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wrong: list[tuple[type[BaseException], list[str]]] = [
        (InvalidUrlError, ["ftp://h.example"]),
        (ConfigurationError, ["https://amy:s3cret@h.example"]),
        (ConfigurationError, ["home"]),
        (SystemExit, ["https://h.example", "--timeout", "0"]),
        (SystemExit, ["https://h.example", "--proxy", "http://amy:s3cret@proxy.test"]),
        (ConfigurationError, ["https://h.example", "--proxy", "ftp://proxy"]),
        (CertificateFileError, ["https://h.example", "--ca-bundle", str(tmp_path / "none")]),
    ]
    for kind, arguments in wrong:
        with pytest.raises(kind):
            probe(*arguments)
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "s3cret" not in printed.err


def test_an_output_that_knows_few_letters_gets_them_escaped(
    probe: Probe, portal: EmbeddedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal.portal_site.self_overrides["name"] = "Übersicht 地図"
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "cp1252"))
    probe(portal.portal_url, "--ca-bundle", portal.ca_file)
    sys.stdout.flush()
    assert "Übersicht \\u5730\\u56f3" in raw.getvalue().decode("cp1252")


def test_it_can_be_loaded_without_what_only_a_survey_needs() -> None:
    program = "import sys, esri_http.cli.probe; print([n for n in ('urllib3', 'ssl', 'cryptography') if n in sys.modules])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
