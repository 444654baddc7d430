"""Every Python snippet of the README runs, against the embedded portal."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from esri_http import env
from esri_http.testing import EmbeddedPortal
from tests.auth.hosts import sign_in, stand_in

README = Path(__file__).resolve().parents[2] / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EmbeddedPortal]:
    """The portal of the snippets; they are run in a folder and a home of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    with EmbeddedPortal() as portal:
        # The snippets name no CA; the environment does, as it may.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", portal.ca_file)
        portal.register_app("app1", "app1-secret")
        monkeypatch.setenv("CLIENT_ID", "app1")
        monkeypatch.setenv("CLIENT_SECRET", "app1-secret")
        sign_in(stand_in("arcpy", monkeypatch), portal)
        yield portal
    env.active_gis = None


def _snippet(number: int) -> object:
    """The parameter for one; what needs Dask is run where that is."""
    marks = [pytest.mark.real_server("dask")] if "distributed" in SNIPPETS[number] else []
    return pytest.param(number, marks=marks)


@pytest.mark.parametrize("number", [_snippet(number) for number in range(len(SNIPPETS))])
def test_a_snippet_of_the_readme_runs(number: int, portal: EmbeddedPortal) -> None:
    snippet = SNIPPETS[number]
    for written, meant in (
        ("https://gis.example.com/portal", portal.portal_url),
        ("https://gis.example.com/server", portal.server_url),
        ("https://gis.example.com/arcgis", portal.standalone_url),
    ):
        snippet = snippet.replace(written, meant)
    if "from distributed" in snippet:
        pytest.importorskip("distributed", reason="distributed (Dask) is not installed: make test-embedding")
    if "__file__" in snippet:
        shutil.copytree(README.parent / "esri_http", "esri_http", ignore=shutil.ignore_patterns("__pycache__"))
    names = {
        "__file__": os.path.abspath("MyTools.pyt"),
        "my_token": portal.issue_token("amy", minutes=60, referer="http"),
        "ask_for_another_token": lambda: portal.issue_token("amy", minutes=60, referer="http"),
    }
    exec(compile(snippet, f"README snippet {number + 1}", "exec"), names)
    if "arcpy" in names:
        assert names["arcpy"].progress[-1] == 100
        assert Path("places.png").stat().st_size == portal.image_size
    if "beside" in names:
        assert names["esri_http"].__name__.startswith("toolbox_")
    if "handler" in names:
        assert names["handler"]({"where": "1=1"}, None) == {"count": 355}
    assert portal.internal_errors == []


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 5
