"""File names that a server gives: read as RFC 6266 has them, and harmless whatever they are."""

from __future__ import annotations

import ntpath
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from esri_http import EsriSession
from esri_http.messages.request import Request
from esri_http.messages.response import Response
from esri_http.transfers.names import file_name_of, safe_name
from esri_http.words.origins import Origin

from ..support.http_messages import Reply
from .shelf import CONTENT, files_in

PORTS = {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"}
RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | PORTS


def name_of(disposition: str | None, target: str = "/items/abc/data?token=secret") -> str:
    """The name for an answer with this field."""
    request = Request("GET", Origin("https", "gis.example.com", 443), target, {})
    return file_name_of(Response(request, 200, "", {} if disposition is None else {"content-disposition": disposition}, None))


@pytest.mark.parametrize(
    "disposition, name",
    [
        ('attachment; filename="roads.zip"', "roads.zip"),
        ("attachment; filename=roads.zip", "roads.zip"),
        ("attachment;filename = roads.zip ;size=5", "roads.zip"),
        ("ATTACHMENT; FILENAME=roads.zip", "roads.zip"),
        ("inline; filename=roads.zip", "roads.zip"),
        ('filename="roads.zip"', "data"),
        ("attachment; filename=\"x.zip\"; filename*=UTF-8''stra%C3%9Fen.zip", "straßen.zip"),
        ("attachment; filename*=utf-8'de'stra%C3%9Fen.zip; filename=\"x.zip\"", "straßen.zip"),
        ("attachment; filename*=ISO-8859-1''stra%DFen.zip", "straßen.zip"),
        ("attachment; filename*=UTF-16''%00; filename=x.zip", "x.zip"),
        ("attachment; filename*=roads.zip; filename=x.zip", "x.zip"),
        ("attachment; filename*=UTF-8''; filename=x.zip", "x.zip"),
        ("attachment; filename*=UTF-8''%FF.zip", "\ufffd.zip"),
        ('attachment; filename="a;b.zip"', "a;b.zip"),
        ('attachment; filename="say \\"no\\".zip"', "say _no_.zip"),
        ('attachment; filename="one.zip"; filename="two.zip"', "one.zip"),
        ('attachment; filename="broken.zip', "broken.zip"),
        ('attachment; filename=""', "data"),
        ('attachment; filename="."', "data"),
        ("attachment", "data"),
        ("", "data"),
        (None, "data"),
        ("stra\u00dfen; filename=stra\u00dfen.zip", "straßen.zip"),
        ('attachment; filename="stra\u00c3\u009fen.zip"', "straßen.zip"),
        ('attachment; filename="C:\\Users\\amy\\roads.zip"', "roads.zip"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("attachment; filename*=UTF-8''..%5C..%5Cautoexec.bat", "autoexec.bat"),
    ],
)  # fmt: skip
def test_it_is_read_as_it_was_meant(disposition: str | None, name: str) -> None:
    assert name_of(disposition) == name


@pytest.mark.parametrize(
    "target, name",
    [
        ("/files/roads.zip", "roads.zip"),
        ("/files/roads.zip/", "roads.zip"),
        ("/files/stra%C3%9Fen.zip?f=1", "straßen.zip"),
        ("/", "download"),
        ("/..", "download"),
        ("/a/%2e%2e%2f", "download"),
        ("/a/..%2f..%2fetc%2fcron", "cron"),
        ("/a/c%3A%5Cx", "x"),
    ],
)
def test_without_one_the_url_gives_it(target: str, name: str) -> None:
    assert name_of(None, target) == name


@pytest.mark.parametrize(
    "given_name, name",
    [
        ("C:evil.exe", "C_evil.exe"),
        ("file.txt:stream", "file.txt_stream"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("Nul .tar.gz", "_Nul .tar.gz"),
        ("com1", "_com1"),
        ("LPT².txt", "_LPT².txt"),
        ("CONIN$", "_CONIN$"),
        ("console.log", "console.log"),
        (".bashrc", "bashrc"),
        ("...", ""),
        ("name. . .", "name"),
        ("a\nb\0c\x7f\u202ed\u2028", "a_b_c__d_"),
        ("x.zip.part", "x.zip.part_"),
        ("x.zip.PART.JSON", "x.zip.PART.JSON_"),
        ("x" * 300 + ".zip", "x" * 196 + ".zip"),
        ("ß" * 300 + ".zip", "ß" * 98 + ".zip"),
        ("x." + "y" * 300, "x." + "y" * 198),
        ("~", "~"),
        ("-rf", "-rf"),
    ],
)
def test_what_could_do_harm_is_taken_out(given_name: str, name: str) -> None:
    assert safe_name(given_name) == name


@given(st.one_of(st.text(), st.text('./\\:. \0\x01nulcom1\u202e~$%*?"<>|é', max_size=300)))
@example("\ud800.zip")
@example("x" * 195 + "." + "y" * 3 + ". ")
@example("a" * 190 + " .part.json" + "b" * 30)
def test_nothing_that_a_server_says_gets_out_of_the_folder_or_in_the_way(text: str) -> None:
    name = safe_name(text)
    if not name:
        return
    assert name == os.path.basename(name) == ntpath.basename(name)
    assert ntpath.splitdrive(name)[0] == ""
    assert name not in (".", "..")
    assert name.strip(". ") == name
    assert name.isprintable()
    assert not set(name) & set('<>:"/\\|?*')
    assert name.partition(".")[0].rstrip().lower() not in RESERVED
    assert not name.lower().endswith((".part", ".part.json"))
    assert len((name + ".part.json").encode()) <= 255
    assert safe_name(name) == name


@given(st.text(st.characters(max_codepoint=255)))
@example('attachment; filename="' + '\\"' * 20_000)
@example("attachment; " + 'filename="a' * 5_000)
def test_any_field_gives_a_name(field: str) -> None:
    name = name_of(field)
    assert name
    assert safe_name(name) == name


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=400))
def test_it_goes_into_the_folder_and_nowhere_else(shelf_peer: Any, client: EsriSession, tmp_path: Path, name: str) -> None:
    shelf, peer = shelf_peer(b"content")
    shelf.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    path = Path(client.download(peer.url_for("/data"), str(folder) + os.sep))
    assert path.parent == folder
    assert files_in(folder) == [path.name]
    assert files_in(tmp_path) == ["folder"]
    path.unlink()


def test_a_redirect_has_the_last_word_on_the_name(
    shelf_peer: Any, handler_peer: Any, client: EsriSession, tmp_path: Path
) -> None:
    _, store = shelf_peer()
    peer = handler_peer(lambda request: Reply(302, {"Location": store.url_for("/blobs/roads.zip?sig=secret")}))
    assert client.download(peer.url_for("/data"), tmp_path) == str(tmp_path / "roads.zip")
    assert (tmp_path / "roads.zip").read_bytes() == CONTENT
