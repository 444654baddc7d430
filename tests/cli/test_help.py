"""What the program says of itself."""

from __future__ import annotations

import re
import shlex
import sys

import pytest

from esri_http import __version__
from esri_http.cli.parser import COMMANDS, parse
from esri_http.cli.statuses import MEANINGS

from .support import Terminal, run


def test_the_help_lists_commands_and_exit_statuses() -> None:
    done = run("--help")
    assert (done.status, done.err) == (0, "")
    assert all(re.search(rf"^    {command} ", done.out, re.MULTILINE) for command in COMMANDS)
    assert all(re.search(rf"^  {status} +{re.escape(meaning)}$", done.out, re.MULTILINE) for status, meaning in MEANINGS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_examples_and_they_are_understood(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([command, "--help"])
    examples = re.findall(r"^  esri-http (.+)$", capsys.readouterr().out, re.MULTILINE)
    assert examples
    for example in examples:
        assert parse(shlex.split(example)).command == command


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_printed(command: str) -> None:
    done = run(command, "--help", env={"COLUMNS": "80"})
    assert (done.status, done.err) == (0, "")
    assert COMMANDS[command].description.split()[0] in done.out


def test_help_is_printed_where_the_output_knows_few_letters() -> None:
    done = run("portal", "--help", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert (done.status, done.err) == (0, "")
    assert "amy, bob and zo\\xeb" in done.out


def test_the_portal_says_who_may_sign_in_where_the_output_knows_few_letters() -> None:
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with Terminal("portal", env=env) as terminal:
        assert "zo\\xeb" in terminal.wait_for("Stop with Ctrl-C")
        terminal.type("\x03")
        assert terminal.end() == 0


def test_paragraphs_of_a_group_are_indented_as_a_whole() -> None:
    text = run("get", "--help", env={"COLUMNS": "60"}).out
    lines = text.partition("signing in:\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) > 3
    assert all(line.startswith("  ") and len(line) <= 60 for line in lines)


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").out == f"esri_http {__version__}\n"


def test_the_help_of_a_request_loads_neither_the_network_nor_the_portal() -> None:
    program = "import sys; from esri_http.cli import main; main(['get', '--help']); print('loaded', *sys.modules)"
    loaded = run(program=("-c", program)).out.rpartition("loaded ")[2].split()
    assert "esri_http.cli.verbs" in loaded
    assert not {"urllib3", "ssl", "esri_http.testing", "esri_http.gis", "json", "logging", "getpass"} & set(loaded)


@pytest.mark.parametrize("option", ["--password", "--token", "--client-secret", "--api-key"])
def test_a_secret_is_no_argument_and_is_not_repeated(option: str) -> None:
    for arguments in ([option, "s3cret"], [f"{option}=s3cret"]):
        done = run("get", "https://gis.test", *arguments)
        assert done.status == 2
        assert "never an argument" in done.err
        assert "s3cret" not in done.err


def test_a_proxy_with_a_password_is_no_argument() -> None:
    done = run("get", "https://gis.test", "--proxy", "http://amy:s3cret@proxy.test")
    assert done.status == 2
    assert "HTTPS_PROXY" in done.err
    assert "s3cret" not in done.err


@pytest.mark.parametrize(
    "arguments, problem",
    [
        ([], "required: COMMAND"),
        (["nothing"], "invalid choice"),
        (["get"], "required: URL"),
        (["get", "https://gis.test", "-F", "where"], "name=value"),
        (["get", "https://gis.test", "-F", "file=@a.csv"], "cannot be part of a URL"),
        (["get", "https://gis.test", "-H", "nothing"], "'Name: value'"),
        (["get", "https://gis.test", "--timeout", "0"], "greater than zero"),
        (["get", "https://gis.test", "--timeout", "nan"], "greater than zero"),
        (["get", "https://gis.test", "--key", "a.pem"], "--cert"),
        (["get", "https://gis.test", "--anonymous", "--user", "amy"], "no other sign-in"),
        (["get", "https://gis.test", "--token-stdin", "--user", "amy"], "a sign-in of its own"),
        (["get", "https://gis.test", "--token-stdin", "--password-stdin"], "not allowed with"),
        (["get", "https://gis.test", "--client-secret-stdin"], "--client-id"),
        (["get", "https://gis.test", "--password-stdin"], "--user"),
        (["get", "https://gis.test", "--pass"], "no option --pass"),
        (["get", "https://gis.test", "--passwort=s3cret"], "no option --passwort"),
        (["get", "https://gis.test", "--passwort", "s3cret"], "no option --passwort"),
        (["get", "https://gis.test", "-uamy:s3cret"], "no option -u"),
        (["get", "https://gis.test", "s3cret"], "more arguments than it takes"),
        (["get", "https://gis.test", "--profile", ""], "nothing is given for profile"),
        (["logout", "--profile", ""], "nothing is given for profile"),
        (["probe", ""], "nothing is given for url"),
        (["post", "https://gis.test", "-d", "x", "-F", "a=b"], "goes without -F"),
        (["post", "https://gis.test", "-d", "@-", "--token-stdin"], "cannot come from there"),
        (["head", "https://gis.test", "-o", "a"], "no option -o"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(arguments: list[str], problem: str) -> None:
    done = run(*arguments, given=b"line\n")
    assert (done.status, done.out) == (2, "")
    told, more = done.err.splitlines()
    assert problem in told
    assert more.startswith("More: esri-http")
    assert more.endswith(" --help")
    assert "s3cret" not in done.err


def test_the_programs_name_is_the_same_however_it_is_started() -> None:
    assert run("get", "--help").out.startswith("usage: esri-http get ")
    assert sys.executable not in run("get").err
