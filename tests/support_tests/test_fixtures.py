"""What conftest.py promises to every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ..support.peers import HandlerPeer, Reply
from ..support.plumbing import running_servers

PROXY = "http://proxy.example:3128"


@pytest.fixture(scope="module", autouse=True)
def _settings_of_a_machine() -> object:
    """Settings that a test must not see; set before its own fixtures run."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTPS_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE", "NETRC", "ESRI_TOKEN"):
            patch.setenv(name, PROXY)
        yield


def test_no_setting_of_the_machine_reaches_a_test() -> None:
    assert [name for name, value in os.environ.items() if value == PROXY] == []
    assert list(Path.home().iterdir()) == []


_leaked: list[HandlerPeer] = []


@pytest.mark.leaks_on_purpose
def test_a_peer_that_is_not_stopped_is_known() -> None:
    _leaked.append(HandlerPeer(lambda request: Reply()))
    assert _leaked[0] in running_servers()


def test_the_check_stopped_the_peer_of_the_test_before() -> None:
    assert running_servers().isdisjoint(_leaked)


_A_PROJECT = """
import pytest
from tests.support.peers import HandlerPeer

def test_leaks():
    HandlerPeer(lambda request: None)

@pytest.mark.real_server("nginx")
def test_needs_a_server():
    pytest.skip("not installed")
"""


@pytest.mark.parametrize("required, results", [("required", {"errors": 1, "failed": 1}), ("", {"errors": 1, "skipped": 1})])
def test_leaks_and_missing_servers_are_noticed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str, results: dict[str, int]
) -> None:
    monkeypatch.setenv("REAL_SERVERS", required)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    pytester.makeconftest("pytest_plugins = ['tests.conftest']")
    pytester.makepyfile(_A_PROJECT)
    pytester.makeini("[pytest]\nmarkers =\n    real_server(name): x\n    leaks_on_purpose: x\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1, **results)
