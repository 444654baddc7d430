"""The embedded portal as a program: `python -m esri_http portal`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .accounts import User, default_users
from .portal import EmbeddedPortal

_TICK = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="port of the portal; its servers take the next two")
    parser.add_argument("--host", default="localhost", help="localhost (default), 127.0.0.1 or ::1")
    parser.add_argument("--http", action="store_true", help="no TLS")
    parser.add_argument(
        "--user", action="append", default=[], metavar="NAME:PASSWORD", help="who may sign in, instead of amy, bob and zoë"
    )
    parser.add_argument("--minutes", type=_minutes, default=60.0, metavar="N", help="life of a token for which none is asked")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65534):
        raise argparse.ArgumentTypeError("a port is a number from 0 (any) to 65533")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0.0 < minutes < 1e7:
        raise argparse.ArgumentTypeError("minutes, greater than zero")
    return minutes


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, SIGTERM or SIGHUP; returns the exit status: 0, or 1 when a port is taken."""
    users = [User(name, password) for name, _, password in (text.partition(":") for text in args.user)]
    portal = EmbeddedPortal(not args.http, args.host, users=users or None, port=args.port)
    portal.token_lifetime_minutes = args.minutes
    try:
        with _ended_like_ctrl_c(), portal:
            _describe(portal)
            serve_until_interrupted()
    except OSError as error:
        print(f"The portal could not be started on {args.host} port {args.port or '(any)'}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.")
    return 0


def serve(arguments: list[str]) -> int:
    """Parse `arguments` and run."""
    parser = argparse.ArgumentParser(prog="python -m esri_http portal", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def serve_until_interrupted() -> None:
    """Wait for `KeyboardInterrupt`. In small steps: on Windows an endless wait does not see Ctrl-C."""
    never = threading.Event()
    while not never.wait(_TICK):
        pass


def _describe(portal: EmbeddedPortal) -> None:
    lines = [
        ("portal", portal.portal_url),
        ("generateToken", portal.token_url),
        ("OAuth 2", portal.oauth.url + "/authorize"),
        ("federated server", portal.server_url),
        ("  secured layer", portal.layer_url),
        ("  public layer", portal.public_layer_url),
        ("stand-alone server", portal.standalone_url),
        ("  secured layer", portal.standalone_layer_url),
        ("trust this CA", portal.ca_file or "(plain http)"),
    ]
    for label, text in lines:
        print(f"{label:<20} {text}")
    known = {user.username: user.password for user in default_users()}
    for user in portal.users.values():
        # Only passwords that everybody can read in this package are shown.
        password = f"  password {user.password}" if known.get(user.username) == user.password else ""
        print(f"{'user':<20} {user.username}{password}  ({user.role})")
    print("Stop with Ctrl-C.", flush=True)


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, and a terminal that is closed, end the portal as Ctrl-C does, so that its files go.

    Only the main thread may say so; and what somebody else sees to, as `nohup` does, stays as it is.
    """
    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]  # Windows has no SIGHUP
    numbers = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
