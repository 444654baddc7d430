"""Who signs in, and where: the options that all commands share, and the environment.

No option takes a secret as its value: others can read the arguments of a process. What is given explicitly beats the
environment. The secrets of the environment are for `ESRI_HTTP_PORTAL`, or, where that is not set, for the site that signs
in; a portal on the command line that is another one gets none of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from ..words.errors import EsriHttpError, InteractionRequiredError, SignInError
from ..words.terminals import is_terminal
from ..words.urls import split_url
from .terminal import ask_unseen, read_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..gis.gis import GIS
    from ..session import EsriSession

PROFILE, PORTAL, USER = "ESRI_HTTP_PROFILE", "ESRI_HTTP_PORTAL", "ESRI_HTTP_USER"
PASSWORD, TOKEN, KEY = "ESRI_HTTP_PASSWORD", "ESRI_HTTP_TOKEN", "ESRI_API_KEY"
# Where an API key of the environment is for, unless a portal is named.
_ONLINE = "https://www.arcgis.com"
_NOT_ASKED = f"Give the password by --password-stdin or in {PASSWORD}; the code of a browser is pasted on a terminal."
_ENVIRONMENT = (
    f"Where none of these says who signs in, the environment does: {PROFILE}; or {TOKEN}; or {USER} with {PASSWORD}; or {KEY}"
    f" (for {PORTAL}, else for ArcGIS Online only). {PORTAL} is the default of --portal. With nothing at all, no sign-in."
)


class _NeverAnArgument(argparse.Action):
    """For the options that people expect: says where the secret goes instead, and does not repeat it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        parser.error(
            "a secret is never an argument, which others can read: --password-stdin, --token-stdin or --client-secret-stdin"
            f" (on a terminal you are asked), or {PASSWORD} or {TOKEN} in the environment"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options for signing in and for the way to the server."""
    group = parser.add_argument_group("signing in", _ENVIRONMENT)
    group.add_argument("--profile", metavar="NAME", help="as the stored profile NAME says")
    group.add_argument("--portal", metavar="URL", help="the site that signs in; otherwise that of the URL")
    group.add_argument("--user", metavar="NAME", help="by user name and password; the password is asked for")
    group.add_argument("--client-id", metavar="ID", help="by OAuth, as the app ID; alone: a person in the browser")
    group.add_argument("--redirect-uri", metavar="URI", help="where it ends: http://127.0.0.1:PORT/PATH; else a code is pasted")
    group.add_argument("--integrated", action="store_true", help="as who is signed in here: by Windows, or by Kerberos")
    group.add_argument("--cert", metavar="FILE", help="by client certificate: PEM, or PFX")
    group.add_argument("--key", metavar="FILE", help="its key, where it is not in the same file")
    group.add_argument("--anonymous", action="store_true", help="do not sign in, whatever the environment says")
    secret = group.add_mutually_exclusive_group()
    secret.add_argument("--token-stdin", action="store_true", help="by the token, or API key, in the first line of the input")
    secret.add_argument("--password-stdin", action="store_true", help="read the password from the first line of the input")
    secret.add_argument("--client-secret-stdin", action="store_true", help="read the secret of the app from there")
    for name in ("--password", "--token", "--client-secret", "--api-key"):
        group.add_argument(name, action=_NeverAnArgument, nargs="?", help=argparse.SUPPRESS)
    group.add_argument("--referer", metavar="TEXT", help="what tokens are bound to; default: http")
    add_network_arguments(parser)


def add_network_arguments(parser: argparse.ArgumentParser, seconds: str = "10 and 60") -> None:
    """Declare the options for the way to the server; `seconds` are the time-outs where none is given."""
    way = parser.add_argument_group("the way to the server")
    way.add_argument("--ca-bundle", metavar="FILE", help="CAs (PEM) to trust besides the public ones")
    way.add_argument("--proxy", type=_proxy, metavar="URL", help="http://host:port or socks5://host:port")
    way.add_argument("--server-hostname", metavar="NAME", help="the name of a site that is addressed by IP")
    way.add_argument("--timeout", type=_seconds, metavar="SECONDS", help=f"to connect, and of silence; default: {seconds}")


def _proxy(text: str) -> str:
    if "@" in text:
        message = "a proxy's user and password are read from the environment (HTTPS_PROXY, HTTP_PROXY), which others cannot see"
        raise argparse.ArgumentTypeError(message)
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < 1e9:
        raise argparse.ArgumentTypeError("seconds, greater than zero")
    return seconds


class SignIn:
    """A sign-in that was decided on. Holds secrets, and shows none.

    `ways`: the parameters of `GIS` that say who signs in, or `integrated`, which stands for none of them; `portal`: where
    (`None`: at the site of the URL); `network`: options that `EsriSession` and `GIS` both take.
    """

    def __init__(self, ways: dict[str, Any], portal: str | None, network: dict[str, Any], anonymous: bool) -> None:
        self.ways = ways
        self.portal = portal
        self.network = network
        self.anonymous = anonymous

    def __repr__(self) -> str:
        return f"<SignIn {', '.join(self.ways) or 'anonymous'} at {self.portal}>"

    @property
    def needs_site(self) -> bool:
        """Whether the site has to be asked how to sign in; not for a token, or a certificate for the URL's own site."""
        if not self.ways:
            return not self.anonymous and self.is_by_host
        return not {"token", "api_key"} & self.ways.keys() and not self._is_certificate_alone

    @property
    def is_by_host(self) -> bool:
        """Whether the portal is one that ArcGIS Pro, or the hosted notebook, is signed in at."""
        from ..survey.addresses import read_address

        return self.portal is not None and read_address(self.portal).root is None

    @property
    def _is_certificate_alone(self) -> bool:
        return self.portal is None and {"cert_file"} <= self.ways.keys() <= {"cert_file", "key_file", "password"}

    def session(self) -> EsriSession:
        """A session that is signed in without asking anybody first."""
        from ..session import EsriSession

        options = dict(self.network)
        if "token" in self.ways:
            from ..auth.tokens.static_tokens import EsriUserTokenAuth

            options["auth"] = EsriUserTokenAuth(self.ways["token"], options.get("referer"), url=self._token_site)
        elif "api_key" in self.ways:
            from ..auth.tokens.static_tokens import EsriAPIKeyAuth

            options["auth"] = EsriAPIKeyAuth(self.ways["api_key"], options.get("referer"), url=self._token_site)
        elif "cert_file" in self.ways:
            options["cert"] = (self.ways["cert_file"], self.ways.get("key_file"), self.ways.get("password"))
        elif self.anonymous:
            options["auth"] = _nobody()
        session = EsriSession(**options)
        if "cert_file" in self.ways:
            from ..gis.certificate import unlock_certificate

            unlock_certificate(session, _ask_password)
        return session

    @property
    def _token_site(self) -> str | None:
        return _with_scheme(self.portal) if self.portal is not None else _ONLINE if "api_key" in self.ways else None

    def gis(self, url: str | None) -> GIS:
        """A signed-in `GIS`; `url` is where, if no portal was named."""
        from ..gis.gis import GIS

        site = self.portal if self.portal is not None or "profile" in self.ways else url
        options = {**self.network, **self.ways}
        integrated = options.pop("integrated", False)
        if self.anonymous:
            options = {"session": self.session()}
        elif "token" not in self.ways and "api_key" not in self.ways:
            options["prompt"] = _ask_password
        gis = GIS(site, set_active=False, **options)
        if integrated and not gis.session.auth:
            with gis:
                raise SignInError(f"{gis.url} asks for no integrated sign-in; give another, or none.", url=gis.url)
        return gis


def _ask_password(prompt: str) -> str:
    return ask_unseen(prompt, _NOT_ASKED)


def _nobody() -> Any:
    """A handler that signs nothing; with it, no netrc is read either."""
    from ..auth.base import BaseEsriAuth

    return BaseEsriAuth()


@contextmanager
def session_for(chosen: argparse.Namespace, url: str) -> Iterator[EsriSession]:
    """A session that is signed in as `chosen` and the environment say, for requests to `url`."""
    split = split_url(url)
    sign_in = resolve(chosen)
    if not sign_in.needs_site:
        with sign_in.session() as session:
            yield session
    else:
        with sign_in.gis(f"{split.origin}{split.path}") as gis:
            yield gis.session


def resolve(chosen: argparse.Namespace) -> SignIn:
    """What the options and the environment say of the sign-in. Reads a secret from the input where that was said.

    Raises `SystemExit` for options that do not go together.
    """
    _check(chosen)
    environment = _environment(chosen.portal)
    ways = {} if chosen.anonymous else _explicit(chosen, environment) or _from_environment(environment)
    # A profile has a site of its own.
    portal = chosen.portal or (None if "profile" in ways else environment.get(PORTAL))
    return SignIn(ways, portal, network_of(chosen), chosen.anonymous)


def network_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """What the options say of the way to the server, as `EsriSession` and `GIS` take it."""
    network = {
        "ca_bundles": chosen.ca_bundle, "proxies": {"all": chosen.proxy} if chosen.proxy else None,
        "timeout": chosen.timeout, "referer": getattr(chosen, "referer", None), "server_hostname": chosen.server_hostname,
    }  # fmt: skip
    return {name: value for name, value in network.items() if value is not None}


def _check(chosen: argparse.Namespace) -> None:
    ways = ("profile", "user", "client_id", "cert", "token_stdin", "password_stdin", "client_secret_stdin")
    if chosen.anonymous and (chosen.integrated or any(getattr(chosen, way) for way in ways)):
        chosen.parser.error("--anonymous goes with no other sign-in")
    if chosen.integrated and any(getattr(chosen, way) for way in ways):
        chosen.parser.error("--integrated goes with no other sign-in")
    if chosen.token_stdin and any(getattr(chosen, way) for way in ways[:4]):
        chosen.parser.error("--token-stdin is a sign-in of its own: it goes with --portal alone")
    if chosen.profile and chosen.command != "login" and any((chosen.portal, chosen.user, chosen.client_id, chosen.cert)):
        chosen.parser.error("--profile says where and who by itself; login changes what it says")
    if chosen.key and not chosen.cert:
        chosen.parser.error("--key goes with --cert, the certificate that it belongs to")
    if (chosen.client_secret_stdin or chosen.redirect_uri) and not chosen.client_id:
        chosen.parser.error("--client-secret-stdin and --redirect-uri go with --client-id")


def _environment(named: str | None) -> Mapping[str, str]:
    """Our variables that count: all, or, where another portal is named than theirs, none."""
    found = {name: os.environ[name] for name in (PROFILE, PORTAL, USER, PASSWORD, TOKEN, KEY) if os.environ.get(name)}
    if named is not None:
        found.pop(PROFILE, None)
        if PORTAL in found and _place(found[PORTAL]) != _place(named):
            return {}
    return found


def _place(site: str) -> Any:
    """Whose site this is: its origin."""
    try:
        return split_url(_with_scheme(site)).origin
    except EsriHttpError:
        return site


def _with_scheme(site: str) -> str:
    return site.strip() if "://" in site else f"https://{site.strip()}"


def _explicit(chosen: argparse.Namespace, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the options alone say; empty where they say nothing."""
    ways: dict[str, Any] = {}
    _add(
        ways, profile=chosen.profile, username=chosen.user, client_id=chosen.client_id, cert_file=chosen.cert,
        key_file=chosen.key, redirect_uri=chosen.redirect_uri,
    )  # fmt: skip
    if chosen.integrated:
        ways["integrated"] = True
    elif chosen.token_stdin:
        ways["token"] = _secret_of_input("the token", "--token-stdin")
    elif chosen.client_secret_stdin:
        ways["client_secret"] = _secret_of_input("the secret of the app", "--client-secret-stdin")
    elif chosen.password_stdin:
        if not ways:
            ways["username"] = environment.get(USER) or chosen.parser.error("--password-stdin needs --user: whose is it?")
        ways["password"] = _secret_of_input("the password", "--password-stdin")
    if chosen.user and "password" not in ways and environment.get(USER, chosen.user) == chosen.user:
        _add(ways, password=environment.get(PASSWORD))
    return ways


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the environment says, where the options say nothing."""
    ways: dict[str, Any] = {}
    if PROFILE in environment:
        ways["profile"] = environment[PROFILE]
    elif TOKEN in environment:
        ways["token"] = environment[TOKEN]
    elif USER in environment:
        _add(ways, username=environment[USER], password=environment.get(PASSWORD))
    elif KEY in environment:
        ways["api_key"] = environment[KEY]
    return ways


def _add(ways: dict[str, Any], **values: str | None) -> None:
    ways.update((name, value) for name, value in values.items() if value)


def _secret_of_input(what: str, option: str) -> str:
    """The first line of the input; on a terminal, asked for unseen."""
    if is_terminal(sys.stdin):
        return ask_unseen(f"Enter {what}: ", f"{option} reads {what} from the input.")
    secret = "" if sys.stdin is None else read_line(sys.stdin).rstrip("\r\n")
    if not secret:
        raise InteractionRequiredError(f"{option}: there is no line in the input.")
    return secret


def input_stream(chosen: argparse.Namespace, what: str) -> IO[bytes]:
    """The input as the body of a request; wrong usage where a secret is read from it."""
    if chosen.token_stdin or chosen.password_stdin or chosen.client_secret_stdin:
        chosen.parser.error(f"{what} reads the whole input, so the secret cannot come from there, too")
    if sys.stdin is None:
        chosen.parser.error(f"{what} reads the input, and there is none")
    return sys.stdin.buffer
