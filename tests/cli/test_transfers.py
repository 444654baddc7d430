"""`esri-http download` and `esri-http upload`: the file, the progress, and what Ctrl-C leaves."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from esri_http.testing import EmbeddedPortal, faults, pattern_sha256

from .support import PROGRAM, WITHOUT_TQDM, Terminal, run

SIZE = 3_000_000
BARS = {"tqdm": PROGRAM, "a plain line": WITHOUT_TQDM}


def image(portal: EmbeddedPortal) -> str:
    """What is fetched."""
    return f"{portal.public_image_url}?f=image&size={SIZE}"


def test_a_file_is_fetched_and_its_place_printed(portal: EmbeddedPortal, tmp_path: Path) -> None:
    target = tmp_path / "image.tif"
    done = run("download", image(portal), str(target))
    assert (done.status, done.out, done.err) == (0, f"{target}\n", "")
    assert hashlib.sha256(target.read_bytes()).hexdigest() == pattern_sha256(SIZE)
    assert os.listdir(tmp_path) == ["image.tif"]


def test_parameters_are_added_and_no_format(portal: EmbeddedPortal, tmp_path: Path) -> None:
    done = run("download", portal.public_image_url, str(tmp_path / "a"), "-F", "size=5")
    assert done.status == 0
    assert portal.requests[-1].query == {"size": "5"}
    assert (tmp_path / "a").stat().st_size == 5


def test_an_error_leaves_no_file(portal: EmbeddedPortal, tmp_path: Path) -> None:
    done = run("download", portal.image_url, str(tmp_path / "a"))
    assert (done.status, done.out) == (4, "")
    assert "499" in done.err
    assert run("download", image(portal), str(tmp_path / "missing" / "a")).status == 6
    assert os.listdir(tmp_path) == []


def test_a_file_that_cannot_be_is_told_before_anybody_signs_in(portal: EmbeddedPortal, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing" / "a")
    env = {"ESRI_HTTP_USER": "amy", "ESRI_HTTP_PASSWORD": "amys-secret"}
    for arguments in (
        ("upload", f"{portal.portal_url}/sharing/rest/x", missing),
        ("download", portal.image_url, missing),
        ("download", portal.image_url, f"{tmp_path}/missing/"),
    ):
        done = run(*arguments, env=env)
        assert (done.status, "missing" in done.err) == (6, True)
    assert portal.requests == []


@pytest.mark.parametrize("columns", [100, 0])
@pytest.mark.parametrize("bar", BARS)
def test_progress_is_shown_on_a_terminal(bar: str, columns: int, portal: EmbeddedPortal, tmp_path: Path) -> None:
    target = str(tmp_path / "image.tif")
    with Terminal("download", image(portal), target, program=BARS[bar], columns=columns) as terminal:
        assert terminal.end() == 0
        assert "image.tif: " in terminal.seen
        assert "100" in terminal.seen
        assert "2.86M" in terminal.seen or "2.9 MiB of 2.9 MiB (100 %)" in terminal.seen
        assert ("|" in terminal.seen) == (bar == "tqdm")
        assert terminal.seen.endswith(f"\n{target}\r\n")
        assert "\r" in terminal.seen.replace("\r\n", "")
        assert "\x1b" not in terminal.seen


def test_a_narrow_terminal_has_one_line_of_progress(portal: EmbeddedPortal, tmp_path: Path) -> None:
    with Terminal("download", image(portal), str(tmp_path / "a"), program=WITHOUT_TQDM, columns=20) as terminal:
        assert terminal.end() == 0
        shown = terminal.seen.partition("\n")[0].strip("\r").split("\r")
        assert max(map(len, shown)) == 19


def test_progress_into_a_folder_is_under_its_name(portal: EmbeddedPortal, tmp_path: Path) -> None:
    with Terminal("download", image(portal), f"{tmp_path}{os.sep}", program=WITHOUT_TQDM) as terminal:
        assert terminal.end() == 0
        assert f"\r{tmp_path.name}: " in terminal.seen


@pytest.mark.parametrize("bar", BARS)
def test_progress_is_no_part_of_the_output(bar: str, portal: EmbeddedPortal, tmp_path: Path) -> None:
    target = str(tmp_path / "image.tif")
    with Terminal("download", image(portal), target, program=BARS[bar], piped_output=True) as terminal:
        assert terminal.end() == 0
        assert "image.tif: " in terminal.seen
        assert terminal.process.stdout is not None
        assert terminal.process.stdout.read().decode() == f"{target}\n"


@pytest.mark.parametrize("program", BARS.values(), ids=list(BARS))
def test_no_progress_is_shown_where_the_error_stream_is_no_terminal(
    program: Sequence[str], portal: EmbeddedPortal, tmp_path: Path
) -> None:
    done = run("download", image(portal), str(tmp_path / "image.tif"), program=program)
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize("bar", BARS)
def test_ctrl_c_ends_a_download_and_the_next_one_begins_anew_or_goes_on(
    bar: str, portal: EmbeddedPortal, tmp_path: Path
) -> None:
    target = tmp_path / "image.tif"
    never = threading.Event()
    portal.faults.add("/exportImage", faults.stalled(never, after=1_000_000))
    try:
        with Terminal("download", image(portal), str(target), program=BARS[bar]) as terminal:
            terminal.wait_until(lambda: (tmp_path / "image.tif.part").exists() and "image.tif: " in terminal.seen)
            terminal.type("\x03")
            assert terminal.end() == 130, terminal.seen
            lines = terminal.seen.replace("\r\n", "\n").splitlines()
            assert lines[-1] == "Interrupted."
            assert "Traceback" not in terminal.seen
            assert terminal.echoes()
    finally:
        never.set()
    assert not target.exists()
    done = run("download", image(portal), str(target))
    assert (done.status, done.err) == (0, "")
    assert hashlib.sha256(target.read_bytes()).hexdigest() == pattern_sha256(SIZE)
    assert os.listdir(tmp_path) == ["image.tif"]


def test_no_resume_is_understood(portal: EmbeddedPortal, tmp_path: Path) -> None:
    target = tmp_path / "a"
    (tmp_path / "a.part").write_bytes(b"something else")
    assert run("download", image(portal), str(target), "--no-resume").status == 0
    assert hashlib.sha256(target.read_bytes()).hexdigest() == pattern_sha256(SIZE)


def test_a_file_is_sent_with_its_fields_and_the_answer_shown(portal: EmbeddedPortal, tmp_path: Path) -> None:
    file = tmp_path / "roads.zip"
    file.write_bytes(os.urandom(SIZE))
    arguments = (portal.upload_url, str(file), "-F", "description=Roads", "--field", "itemFile", "--token-stdin")
    token = portal.issue_token("amy", referer="http", server_url=portal.server_url).encode()
    done = run("upload", *arguments, given=token)
    assert (done.status, done.err) == (0, "")
    item = json.loads(done.out)["item"]
    assert (item["size"], item["sha256"]) == (SIZE, hashlib.sha256(file.read_bytes()).hexdigest())
    assert (item["field"], item["itemName"], item["description"]) == ("itemFile", "roads.zip", "Roads")
    assert portal.requests[-1].form["f"] == "json"


@pytest.mark.parametrize("bar", BARS)
def test_progress_of_sending_is_shown_on_a_terminal(bar: str, portal: EmbeddedPortal, tmp_path: Path) -> None:
    file = tmp_path / "roads.zip"
    file.write_bytes(bytes(SIZE))
    env = {"ESRI_HTTP_TOKEN": portal.issue_token("amy", referer="http", server_url=portal.server_url)}
    with Terminal("upload", portal.upload_url, str(file), program=BARS[bar], env=env) as terminal:
        assert terminal.end() == 0
        assert "roads.zip: " in terminal.seen
        assert '"itemName": "roads.zip"' in terminal.seen


def test_an_upload_that_is_refused_is_an_error(portal: EmbeddedPortal, tmp_path: Path) -> None:
    file = tmp_path / "roads.zip"
    file.write_bytes(b"zip")
    assert run("upload", portal.upload_url, str(file)).status == 4
    assert run("upload", portal.upload_url, str(tmp_path / "missing.zip")).status == 6
    assert run("upload", portal.upload_url, str(file), "-F", "a=@b").status == 2
