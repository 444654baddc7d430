"""The commands and what each of them takes. A command's own module is loaded only when that command is given."""

from __future__ import annotations

import argparse
import sys
import textwrap
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

from .._version import __version__
from .statuses import WRONG_USAGE, listing
from .terminal import shown, tell, write

PROGRAM = "esri-http"
_DESCRIPTION = "A small, fast, safe HTTP client for Esri web GIS: ask, fetch, sign in, and find out why a sign-in fails."
_EXAMPLE_SITE = "https://gis.example.com"
_LAYER = f"{_EXAMPLE_SITE}/server/rest/services/Places/FeatureServer/0"


class Command(NamedTuple):
    """A command: the module that has its `add_arguments(parser)` and `run(chosen) -> int`, and what `--help` says of it."""

    module: str
    summary: str
    description: str
    examples: tuple[str, ...]


class _Formatter(argparse.HelpFormatter):
    """Fills paragraphs, and leaves alone what is indented: lists and examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        return "\n".join(
            line if line.startswith(" ") else textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent)
            for line in lines
        )


class _Parser(argparse.ArgumentParser):
    """Writes as the rest of the program does: whatever letters the stream knows, and with an error where it is full.

    Says what is wrong on two lines, without the usage, which is longer than what matters.
    """

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{self.prog}: {shown(message)}\nMore: {self.prog} --help\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        (write if file is sys.stdout else tell)(message)


_VERB = (
    "The answer goes to the output: as it is into a pipe or file, and JSON indented on a terminal. An ArcGIS or HTTP error goes"
    " to the error stream, with exit status 4."
)
_MAY_BE_EMPTY = frozenset({"data", "referer"})
COMMANDS = {
    "get": Command(
        "verbs", "send a GET and show the answer", f"Send a GET. {_VERB}",
        (f"get {_LAYER}/query -F where=1=1 -F 'outFields=*' --user amy", f"get {_EXAMPLE_SITE}/portal/sharing/rest/info -i"),
    ),
    "post": Command(
        "verbs", "send a POST and show the answer", f"Send a POST. {_VERB}",
        (f"post {_LAYER}/query -F where=1=1 -F returnCountOnly=true", f"post {_EXAMPLE_SITE}/hook -d @event.json --raw"),
    ),
    "put": Command("verbs", "send a PUT and show the answer", f"Send a PUT. {_VERB}", (f"put {_EXAMPLE_SITE}/a -d @a.json",)),
    "delete": Command(
        "verbs", "send a DELETE and show the answer", f"Send a DELETE. {_VERB}", (f"delete {_EXAMPLE_SITE}/a --profile work",)
    ),
    "head": Command(
        "verbs", "send a HEAD and show status and header fields", "Send a HEAD, and show status and header fields.",
        (f"head {_EXAMPLE_SITE}/portal/sharing/rest/info",),
    ),
    "download": Command(
        "transfers", "fetch a file, and go on where it broke off",
        "Fetch a file and print where it is. It appears whole or not at all; where a run breaks off, the next one goes on from"
        " there. Progress is shown on a terminal.",
        (f"download {_EXAMPLE_SITE}/portal/sharing/rest/content/items/0123456789abcdef/data roads.zip --profile work",),
    ),
    "upload": Command(
        "transfers", "send a file as a form, and show the answer",
        "Send a file as multipart/form-data, in constant memory, and show the answer. Progress is shown on a terminal.",
        (f"upload {_EXAMPLE_SITE}/portal/sharing/rest/content/users/amy/addItem roads.zip -F type=Shapefile --user amy",),
    ),
    "login": Command(
        "account", "sign in, and keep the sign-in as a profile",
        "Sign in, say who that is, and keep it as a profile (~/.arcgisprofile, and the password in the keyring).",
        (
            f"login {_EXAMPLE_SITE}/portal --save work", f"login {_EXAMPLE_SITE}/portal --user amy -v", "login --profile work",
            f"login {_EXAMPLE_SITE}/portal --client-id 0123456789abcdef --save work",
        ),
    ),
    "whoami": Command("account", "say who is signed in", "Sign in, and say as whom.", ("whoami --profile work -v",)),
    "token": Command(
        "account", "print the token",
        "Sign in, and print the token alone: that of the site, or the one that it gives for a server.",
        ("token --profile work", f"token --profile work --for {_EXAMPLE_SITE}/server"),
    ),
    "logout": Command(
        "account", "forget the secret of a profile",
        "Have the refresh token of a profile revoked, where it has one, and forget its secret. The profile itself stays.",
        ("logout --profile work",),
    ),
    "profiles": Command(
        "profiles", "list, show and delete profiles", "List, show and delete the stored profiles. No secret is shown.",
        ("profiles list --json", "profiles show work", "profiles delete work"),
    ),
    "probe": Command(
        "probe", "find out what is at a URL, and which sign-ins work there",
        "Find out what is at a URL: portal or server, version, sign-ins, certificates, proxies, clocks. No credential is sent.",
        (f"probe {_EXAMPLE_SITE}/portal", f"probe {_EXAMPLE_SITE}/portal --json"),
    ),
    "portal": Command(
        "embedded", "run the embedded portal to test against, until Ctrl-C",
        "Run a portal, a federated server and a stand-alone server on this machine, until Ctrl-C.",
        ("portal --port 7443",),
    ),
    "demo": Command(
        "embedded", "sign in every way there is to an embedded portal and read a layer",
        "Sign in every way there is to an embedded portal, read a layer, and show a table of how it went.", ("demo",),
    ),
}  # fmt: skip


def parse(arguments: list[str]) -> argparse.Namespace:
    """What `arguments` say; raises `SystemExit` after `--help` and for wrong usage."""
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    parser = build(name)
    chosen, unknown = parser.parse_known_args(arguments)
    # A script may fill an option from a variable: nothing in it is not the same as no option.
    empty = next((name for name, value in vars(chosen).items() if value == "" and name not in _MAY_BE_EMPTY), None)
    if empty is not None:
        chosen.parser.error(f"nothing is given for {empty}")
    if unknown:
        # What stands behind the name of an option that is misspelt may be a secret.
        names = (text.partition("=")[0] if text.startswith("--") else text[:2] for text in unknown if text.startswith("-"))
        options = ", ".join(names)
        chosen.parser.error(f"there is no option {options}" if options else "there are more arguments than it takes")
    return chosen


def build(name: str) -> argparse.ArgumentParser:
    """The parser, with the arguments of the command `name` alone: nothing of the others has to be loaded."""
    parser = _Parser(
        PROGRAM, None, _DESCRIPTION, f"{listing()}\n\nMore of a command: {PROGRAM} COMMAND --help",
        formatter_class=_Formatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"esri_http {__version__}")
    add_debug(parser, False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for each, command in COMMANDS.items():
        examples = "\n".join(f"  {PROGRAM} {example}" for example in command.examples)
        part = commands.add_parser(
            each, help=command.summary, description=command.description, allow_abbrev=False,
            epilog=f"example{'s' if len(command.examples) > 1 else ''}:\n{examples}",
            formatter_class=_Formatter,
        )  # fmt: skip
        if each == name:
            _declare(part, each, command)
    return parser


def _declare(part: argparse.ArgumentParser, name: str, command: Command) -> None:
    module = import_module(f".{command.module}", __package__)
    part.set_defaults(command=name, parser=part, run=module.run)
    module.add_arguments(part)
    add_debug(part, argparse.SUPPRESS)


def add_debug(parser: argparse.ArgumentParser, default: Any) -> None:
    """Declare `--debug`; `default` suppresses that of a part of the parser, which would win over that of the whole."""
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show the log, and the traceback of an error; neither has secrets"
    )
