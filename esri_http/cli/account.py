"""`esri-http login|whoami|token|logout`: who is signed in, and as whom the next run will be."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from ..words.errors import ArcGISLoginError, NoTokenError, SecretStoreError
from . import sign_in
from .terminal import ask, pretty, shown, write
from .wording import in_options

if TYPE_CHECKING:
    import argparse

    from ..gis.gis import GIS
    from ..profiles.manager import StoredProfile
    from .sign_in import SignIn

_SHOWN_OF_USER = ("username", "fullName", "email", "role")
_NOBODY_TO_ASK = "Say who signs in: --user NAME, --client-id ID, --cert FILE, --integrated, or --token-stdin."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command that `parser` is for."""
    command = parser.get_default("command")
    if command == "login":
        parser.add_argument("url", nargs="?", metavar="URL", help="the site; without it, --profile or --portal says where")
        parser.add_argument("--save", metavar="NAME", help="keep the sign-in as the profile NAME, once it has worked")
    elif command == "whoami":
        parser.add_argument("--json", action="store_true", help="print JSON")
    elif command == "token":
        parser.add_argument("--for", dest="server", metavar="URL", help="the token for this server, not that of the site")
    if command in ("login", "whoami"):
        parser.add_argument("-v", "--verbose", action="store_true", help="say what was asked, what was chosen, and why")
    if command == "logout":
        parser.add_argument("--profile", metavar="NAME", help=f"whose; default: {sign_in.PROFILE} in the environment")
        sign_in.add_network_arguments(parser)
    else:
        sign_in.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Run the command; returns the exit status 0. Raises the errors of `esri_http.words.errors`."""
    {"login": _login, "whoami": _who_am_i, "token": _token, "logout": _logout}[chosen.command](chosen)
    return 0


def _login(chosen: argparse.Namespace) -> None:
    from ..profiles.manager import is_stored

    if chosen.url and chosen.portal:
        chosen.parser.error("URL and --portal both say where; give one of them")
    if chosen.save and chosen.profile:
        chosen.parser.error("--save and --profile both name the profile; give one of them")
    if chosen.save and chosen.anonymous:
        chosen.parser.error("--save keeps a sign-in, and --anonymous is none")
    chosen.portal = chosen.url or chosen.portal
    decided = sign_in.resolve(chosen)
    name = chosen.save or decided.ways.get("profile")
    is_new = name is not None and not is_stored(name)
    _check_site(chosen, decided, is_new)
    says_nobody = decided.ways.keys() <= {"profile", "password"} if is_new else not decided.ways
    if says_nobody and not decided.anonymous and not decided.is_by_host:
        decided.ways["username"] = ask("User name: ", _NOBODY_TO_ASK)
    if chosen.save:
        decided.ways["profile"] = chosen.save
    with decided.gis(None) as gis:
        write(f"{_nobody(gis, True)}.\n" if decided.anonymous else f"Signed in at {shown(gis.url)} as {_name(gis)}.\n")
        _explain(chosen, gis)
    if chosen.save and not is_new:
        _check_secret(chosen.save)
    if is_new or chosen.save:
        write(f"It is kept as the profile {name}.\n")
    elif name is None and not decided.anonymous:
        write("Nothing of it is kept: --save NAME makes a profile of it.\n")


def _who_am_i(chosen: argparse.Namespace) -> None:
    decided = sign_in.resolve(chosen)
    _check_site(chosen, decided)
    with decided.gis(None) as gis:
        me = gis.users.me
        if chosen.json:
            user: dict[str, Any] = {name: None if me is None else me.get(name) for name in _SHOWN_OF_USER}
            write(pretty({"url": gis.url, "version": gis.version, **user}) + "\n")
        else:
            write(f"{_nobody(gis, decided.anonymous)}\n" if me is None else f"{_name(gis)} at {shown(gis.url)}\n")
        _explain(chosen, gis)


def _token(chosen: argparse.Namespace) -> None:
    decided = sign_in.resolve(chosen)
    _check_site(chosen, decided)
    with decided.gis(None) as gis:
        token = _token_of(gis.session.auth, chosen.server)
        if not token:
            raise NoTokenError(f"The sign-in at {gis.url} has no token: {_way_of(gis.session.auth)}.", url=gis.url)
    write(f"{token}\n")


def _token_of(handler: Any, server: str | None) -> Any:
    """The token of a sign-in, or the one that it has for `server`; `None` where there is none."""
    if server is None:
        return getattr(handler, "token", None)
    handlers = reversed(getattr(handler, "handlers", (handler,)))
    token_for = next((each.token_for for each in handlers if hasattr(each, "token_for")), None)
    return None if token_for is None else token_for(server)


def _way_of(handler: Any) -> str:
    return "it is anonymous" if handler is None else f"{type(handler).__name__} does without, or has only that of the site"


def _logout(chosen: argparse.Namespace) -> None:
    """Have a refresh token revoked, and forget the secret of the profile, whatever the site says."""
    import os

    from ..profiles.manager import stored
    from ..profiles.secrets import secret_in_environment, variable_of

    problem = f"whose? --profile NAME, or {sign_in.PROFILE}: nothing else outlives a run of this program"
    name: str = chosen.profile or os.environ.get(sign_in.PROFILE) or chosen.parser.error(problem)
    manager, profile = stored(name)
    try:
        words = _revoke(profile, sign_in.network_of(chosen))
    finally:
        manager.set_secret(name, None)
    write(f"The profile {name} holds no secret any more{words}.\n")
    if secret_in_environment(name) is not None:
        write(f"The environment still has one for it: {variable_of(name)}.\n")


def _revoke(profile: StoredProfile, network: dict[str, Any]) -> str:
    """What became of the refresh token, as the end of a sentence. A password cannot be revoked."""
    if not profile.secret or not profile.client_id or profile.username:
        return ""
    from ..gis.gis import GIS

    try:
        with GIS(
            profile.url, client_id=profile.client_id, refresh_token=profile.secret, set_active=False, **network
        ) as gis:  # fmt: skip
            is_revoked = gis.logout()
    except ArcGISLoginError:
        return "; the refresh token had ended already"
    return "; the site has revoked the refresh token" if is_revoked else "; the site does not revoke refresh tokens"


def _check_secret(name: str) -> None:
    """Raise `SecretStoreError` where the store cannot be asked for the secret of a profile that was there: it is not kept."""
    from ..profiles.manager import stored

    problem = stored(name)[1].secret_problem
    if problem is not None:
        raise SecretStoreError(problem, profile=name)


def _check_site(chosen: argparse.Namespace, decided: SignIn, is_new_profile: bool = False) -> None:
    """Wrong usage where nothing says which site is meant; an API key alone means ArcGIS Online."""
    if decided.portal is None and "api_key" not in decided.ways and ("profile" not in decided.ways or is_new_profile):
        chosen.parser.error(
            f"which site? {'URL' if chosen.command == 'login' else '--portal URL'} or --profile NAME, or {sign_in.PORTAL} or"
            f" {sign_in.PROFILE} in the environment"
        )


def _name(gis: GIS) -> str:
    """Who is signed in, for people."""
    me = gis.users.me
    if me is None:
        return "an app" if gis.properties.get("appInfo") else "nobody in particular"
    more = ", ".join(str(me[part]) for part in ("fullName", "role") if me.get(part))
    return shown(f"{me.username} ({more})" if more else str(me.username)).replace("\n", "�")


def _nobody(gis: GIS, anonymous: bool) -> str:
    """Who it is where there is no user."""
    who = "Nobody is signed in" if anonymous or not gis.session.auth else _name(gis).capitalize()
    return f"{who} at {shown(gis.url)}"


def _explain(chosen: argparse.Namespace, gis: GIS) -> None:
    if chosen.verbose:
        text = io.StringIO()
        gis.explain(text)
        sys.stdout.flush()
        write(shown(in_options(text.getvalue())))
