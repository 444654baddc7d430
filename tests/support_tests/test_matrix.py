"""The matrix runs what it says, and says what it did not run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vendor import interpreters

from ..support import matrix
from ..support.matrix import ALL, QUICK, WHOLE, Corner, Run
from ..support.oldest_pins import oldest_pins


def chosen(*arguments: str) -> dict[Corner, object]:
    return dict(matrix.plan(matrix.parse(arguments)))


def test_every_corner_is_there_once() -> None:
    assert len(ALL) == len(set(ALL)) == 5 * 4 * 2
    assert chosen() == dict.fromkeys(ALL, WHOLE)


def test_the_quick_ones_touch_every_python_every_urllib3_and_either_end_of_the_others() -> None:
    assert set(QUICK) < set(ALL)
    for which in range(3):
        assert {corner[which] for corner in QUICK} == {corner[which] for corner in ALL}


def test_corners_are_chosen_by_any_of_their_parts_and_what_is_left_is_for_pytest() -> None:
    picked = chosen("--python", "3.9", "--python", "3.10", "--urllib3", "2.0.7", "tests/words", "-k", "url")
    assert list(picked) == [Corner(python, "2.0.7", others) for python in ("3.9", "3.10") for others in ("oldest", "newest")]
    assert set(map(tuple, picked.values())) == {("tests/words", "-k", "url")}


@pytest.mark.parametrize(
    "corner, installed",
    [
        (Corner("3.9", "1.26.18", "oldest"), set(oldest_pins())),
        (Corner("3.9", "newest", "newest"), {"urllib3>=2,<3", "certifi", "pyspnego", "cryptography"}),
    ],
)
def test_a_corner_installs_what_it_is_called(corner: Corner, installed: set[str]) -> None:
    assert set(corner.requirements) == installed
    assert corner.folder.name == ".venv-matrix-" + "-".join(corner)


def test_a_python_that_is_not_here_is_told_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "find_interpreter", lambda version: None)
    assert matrix.main(["--python", "3.12", "--urllib3", "newest"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if "NOT RUN" in line and "no Python 3.12 here" in line] == [*shown[:2], *shown[-2:]]


@pytest.mark.parametrize("status, expected", [("passed", 0), ("FAILED", 1), ("NOT RUN", 0)])
def test_the_exit_status_is_one_where_a_corner_failed(monkeypatch: pytest.MonkeyPatch, status: str, expected: int) -> None:
    monkeypatch.setattr(matrix, "run", lambda corner, arguments: Run(corner, "passed" if corner.python == "3.9" else status))
    assert matrix.main(["--quick"]) == expected


def test_nothing_chosen_is_no_success() -> None:
    assert matrix.main(["--quick", "--python", "3.9", "--others", "newest"]) == 1


@pytest.mark.parametrize(
    "text, line",
    [
        ("....\n3 passed, 1 skipped in 1.20s\n", "3 passed, 1 skipped in 1.20s"),
        ("== 1 failed, 2 passed in 65.11s (0:01:05) ==\n", "1 failed, 2 passed in 65.11s (0:01:05)"),
        ("no tests ran in 0.01s\n", "no tests ran in 0.01s"),
        ("Killed\n", "pytest did not come to its end"),
    ],
)
def test_the_line_of_pytest_is_found(text: str, line: str) -> None:
    assert matrix._last_line(text) == line


def test_this_interpreter_is_found_by_its_version_and_printed_by_the_script() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = interpreters.find_interpreter(version)
    assert found is not None
    assert f"Python {version}." in subprocess.check_output([found, "--version"], text=True)
    assert subprocess.check_output([sys.executable, interpreters.__file__, version], text=True).strip() == found


def test_a_python_that_does_not_start_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "python2.7"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert interpreters.find_interpreter("2.7") is None
    done = subprocess.run([sys.executable, interpreters.__file__, "2.7"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no Python 2.7 here" in done.stderr
