"""Every Python snippet of the README runs, against the embedded portal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from esri_http.testing import EmbeddedPortal

README = Path(__file__).resolve().parents[2] / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPortal]:
    with EmbeddedPortal() as portal:
        # The snippets name no CA; the environment does, as it may.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", portal.ca_file)
        yield portal


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_of_the_readme_runs(number: int, portal: EmbeddedPortal) -> None:
    snippet = SNIPPETS[number]
    for written, meant in (
        ("https://gis.example.com/portal", portal.portal_url),
        ("https://gis.example.com/server", portal.server_url),
        ("https://gis.example.com/arcgis", portal.standalone_url),
    ):
        snippet = snippet.replace(written, meant)
    names = {
        "my_token": portal.issue_token("amy", minutes=60, referer="http"),
        "ask_for_another_token": lambda: portal.issue_token("amy", minutes=60, referer="http"),
    }
    exec(compile(snippet, f"README snippet {number + 1}", "exec"), names)
    assert portal.internal_errors == []


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 5
