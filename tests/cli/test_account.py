"""`esri-http login|whoami|token|logout`, with a person in front of a terminal, and without."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from esri_http.testing import OUT_OF_BAND, EmbeddedPortal
from tests.support.browser import Browser

from .support import Terminal, run

SECRET = "amys-secret"
AS_AMY = {"ESRI_HTTP_USER": "amy", "ESRI_HTTP_PASSWORD": SECRET}
PASTE = r"Enter code obtained on signing in using SAML: "


def code_of(portal: EmbeddedPortal, seen: str) -> str:
    """The code that amy gets in her browser, at the address that the terminal shows."""
    found = re.search(r"https://localhost:\S+/oauth2/authorize\?\S+", seen)
    assert found is not None
    return Browser(portal.ca_file).open(found[0]).submit(username="amy", password=SECRET).inputs["code"]


def saved_secret(home: Path) -> str:
    """The only secret in the keyring."""
    (secret,) = json.loads((home / "keyring.json").read_text()).values()
    return secret


def assert_in_its_own_words(text: str) -> None:
    """What to do without a keyring is said in the words of the command line alone."""
    assert "Without it: give the password each time (--password-stdin;" in text
    assert "ESRI_HTTP_PASSWORD_WORK" in text
    assert not re.search(r"\w=|Python|SecretStore", text)


def save_work(portal: EmbeddedPortal) -> None:
    """Make the profile `work`, of amy."""
    done = run("login", portal.portal_url, "--user", "amy", "--password-stdin", "--save", "work", given=SECRET.encode())
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("It is kept as the profile work.\n")


def test_login_asks_for_user_and_password_and_does_not_show_the_password(portal: EmbeddedPortal, home: Path) -> None:
    with Terminal("login", portal.portal_url, "--save", "work") as terminal:
        terminal.wait_for("User name: ")
        assert terminal.echoes()
        terminal.type("amy\n")
        terminal.wait_for(f"Enter password for amy at {portal.portal_url}: ")
        assert not terminal.echoes()
        terminal.type(SECRET + "\n")
        assert terminal.end() == 0
        assert f"Signed in at {portal.portal_url} as amy (Amy Adams, org_user)." in terminal.seen
        assert "It is kept as the profile work." in terminal.seen
        assert SECRET not in terminal.seen
    assert saved_secret(home) == SECRET
    assert SECRET not in (home / ".arcgisprofile").read_text()
    assert run("whoami", "--profile", "work").out == f"amy (Amy Adams, org_user) at {portal.portal_url}\n"
    assert run("get", portal.layer_url, env={"ESRI_HTTP_PROFILE": "work"}).status == 0


def test_login_keeps_nothing_unless_it_is_told_to(portal: EmbeddedPortal, home: Path) -> None:
    done = run("login", portal.portal_url, env=AS_AMY)
    assert done.status == 0
    assert "Nothing of it is kept: --save NAME" in done.out
    assert list(home.iterdir()) == []


def test_to_keep_nobody_is_wrong_usage(portal: EmbeddedPortal, home: Path) -> None:
    done = run("login", portal.portal_url, "--anonymous", "--save", "work")
    assert (done.status, done.out) == (2, "")
    assert "--save" in done.err
    assert list(home.iterdir()) == []


def test_login_with_a_refused_password_keeps_nothing(portal: EmbeddedPortal, home: Path) -> None:
    arguments = ("login", portal.standalone_url, "--user", "amy", "--password-stdin", "--save", "work")
    assert run(*arguments, given=b"wrong\n").status == 3
    assert not (home / ".agsprofile").exists()
    assert not (home / "keyring.json").exists()


def test_login_with_a_profile_that_is_new_asks_who(portal: EmbeddedPortal, home: Path) -> None:
    with Terminal("login", portal.standalone_url, "--profile", "field") as terminal:
        terminal.wait_for("User name: ")
        terminal.type("amy\n")
        terminal.wait_for("Enter password")
        terminal.type(SECRET + "\n")
        assert terminal.end() == 0
        assert "It is kept as the profile field." in terminal.seen
    assert (home / ".agsprofile").exists()
    done = run("login", "--profile", "field")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"Signed in at {portal.standalone_url} as amy.\n"


def test_login_with_a_misspelt_profile_makes_none(portal: EmbeddedPortal, home: Path) -> None:
    save_work(portal)
    done = run("whoami", "--profile", "wrok")
    assert done.status == 6
    assert "Did you mean 'work'?" in done.err
    assert run("login", "--profile", "wrok").status == 2


@pytest.mark.parametrize("question", ["User name: ", "Enter password"])
def test_ctrl_c_at_a_question_keeps_nothing(question: str, portal: EmbeddedPortal, home: Path) -> None:
    with Terminal("login", portal.portal_url, "--save", "work") as terminal:
        terminal.wait_for("User name: ")
        if question != "User name: ":
            terminal.type("amy\n")
            terminal.wait_for(question)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.seen.endswith("\r\nInterrupted.\r\n")
        assert "Traceback" not in terminal.seen
        assert terminal.echoes()
    assert not (home / ".arcgisprofile").exists()
    assert portal.count("/generateToken") == 0


def test_login_in_the_browser_keeps_a_refresh_token_and_logout_revokes_it(portal: EmbeddedPortal, home: Path) -> None:
    portal.register_app("field-app", redirect_uris=[OUT_OF_BAND])
    arguments = ("login", portal.portal_url, "--client-id", "field-app", "--save", "field")
    with Terminal(*arguments, env={"BROWSER": "/bin/true"}) as terminal:
        seen = terminal.wait_for(PASTE)
        terminal.type(code_of(portal, seen) + "\n")
        assert terminal.end() == 0
        assert "as amy (Amy Adams, org_user)." in terminal.seen
    refresh_token = saved_secret(home)
    assert run("whoami", "--profile", "field").status == 0
    done = run("logout", "--profile", "field")
    assert (done.status, done.err) == (0, "")
    assert done.out == "The profile field holds no secret any more; the site has revoked the refresh token.\n"
    assert json.loads((home / "keyring.json").read_text()) == {}
    assert not portal.revoke(refresh_token)


def test_logout_where_the_refresh_token_has_ended_asks_nobody(portal: EmbeddedPortal, home: Path) -> None:
    portal.register_app("field-app", redirect_uris=[OUT_OF_BAND])
    arguments = ("login", portal.portal_url, "--client-id", "field-app", "--save", "field")
    with Terminal(*arguments, env={"BROWSER": "/bin/true"}) as terminal:
        terminal.type(code_of(portal, terminal.wait_for(PASTE)) + "\n")
        assert terminal.end() == 0
    portal.revoke(saved_secret(home))
    with Terminal("logout", "--profile", "field") as terminal:
        assert terminal.end() == 0
        assert "the refresh token had ended already" in terminal.seen
    assert json.loads((home / "keyring.json").read_text()) == {}


@pytest.mark.parametrize("way", ["a pasted code", "a redirect"])
def test_ctrl_c_while_a_person_is_in_the_browser_ends_the_program(way: str, portal: EmbeddedPortal) -> None:
    portal.register_app("field-app", redirect_uris=[OUT_OF_BAND, "http://127.0.0.1/"])
    arguments = ["login", portal.portal_url, "--client-id", "field-app"]
    if way == "a redirect":
        arguments += ["--redirect-uri", "http://127.0.0.1/"]
    with Terminal(*arguments, env={"BROWSER": "/bin/true"}) as terminal:
        terminal.wait_for(PASTE if way == "a pasted code" else r"oauth2/authorize\?\S+\r\n")
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.seen.endswith("\r\nInterrupted.\r\n")
        assert "Traceback" not in terminal.seen
        assert terminal.echoes()


def test_logout_forgets_the_password_and_leaves_the_profile(portal: EmbeddedPortal, home: Path) -> None:
    save_work(portal)
    portal.clear()
    done = run("logout", env={"ESRI_HTTP_PROFILE": "work"})
    assert (done.status, done.out) == (0, "The profile work holds no secret any more.\n")
    assert portal.requests == []
    assert json.loads((home / "keyring.json").read_text()) == {}
    assert "[work]" in (home / ".arcgisprofile").read_text()
    assert run("whoami", "--profile", "work").status == 3
    assert run("logout").status == 2


def test_logout_says_where_the_environment_still_has_the_secret(portal: EmbeddedPortal, home: Path) -> None:
    save_work(portal)
    done = run("logout", "--profile", "work", env={"ESRI_HTTP_PASSWORD_WORK": SECRET})
    assert (done.status, SECRET in done.out + done.err) == (0, False)
    assert done.out.splitlines()[1:] == ["The environment still has one for it: ESRI_HTTP_PASSWORD_WORK."]
    assert json.loads((home / "keyring.json").read_text()) == {}


def test_the_explanation_says_why_and_names_options(portal: EmbeddedPortal) -> None:
    done = run("login", portal.portal_url, "-v", env=AS_AMY)
    assert done.status == 0
    assert "because      the site asks for no sign-in at the web tier" in done.out
    assert "OAuth, in a browser: --client-id" in done.out
    assert "=\n" not in done.out
    assert SECRET not in done.out


def test_who_signs_in_as_nobody_is_nobody(portal: EmbeddedPortal) -> None:
    where = f"Nobody is signed in at {portal.portal_url}"
    assert run("whoami", "--anonymous", "--portal", portal.portal_url).out == f"{where}\n"
    assert run("whoami", "--portal", portal.portal_url).out == f"{where}\n"
    assert run("login", "--anonymous", portal.portal_url).out == f"{where}.\n"


def test_who_am_i_as_json(portal: EmbeddedPortal) -> None:
    env = {**AS_AMY, "ESRI_HTTP_PORTAL": portal.portal_url}
    found = json.loads(run("whoami", "--json", env=env).out)
    assert (found["username"], found["role"], found["url"]) == ("amy", "org_user", portal.portal_url)
    assert json.loads(run("whoami", "--json", "--anonymous", env=env).out)["username"] is None


def test_the_token_is_all_that_is_printed(portal: EmbeddedPortal) -> None:
    env = {**AS_AMY, "ESRI_HTTP_PORTAL": portal.portal_url}
    own, of_server = run("token", env=env), run("token", "--for", portal.server_url, env=env)
    assert (own.status, own.err, of_server.status, of_server.err) == (0, "", 0, "")
    assert own.out != of_server.out
    assert re.fullmatch(r"\S+\n", own.out)
    query = ("-F", "where=1=1", "-F", "returnCountOnly=true")
    done = run("get", portal.layer_url + "/query", *query, "--token-stdin", given=of_server.raw)
    assert json.loads(done.out) == {"count": 355}


def test_a_sign_in_without_a_token_says_so(portal: EmbeddedPortal) -> None:
    done = run("token", "--portal", portal.portal_url, "--anonymous")
    assert (done.status, done.out) == (3, "")
    assert "has no token" in done.err
    token = portal.issue_token("amy", referer="http")
    arguments = ("--portal", portal.portal_url, "--token-stdin", "--for", "https://other.test/server")
    done = run("token", *arguments, given=token.encode())
    assert (done.status, done.out) == (3, "")
    assert token not in done.err


def test_profiles_are_listed_and_shown_without_their_secrets(portal: EmbeddedPortal, home: Path) -> None:
    assert run("profiles", "list").out == ""
    assert json.loads(run("profiles", "list", "--json").out) == []
    save_work(portal)
    listed, shown = run("profiles", "list"), run("profiles", "show", "work")
    assert listed.out.split() == ["work", "site", portal.portal_url, "amy"]
    assert re.search(r"^username +amy$", shown.out, re.MULTILINE)
    assert re.search(r"^secret +there$", shown.out, re.MULTILINE)
    (found,) = json.loads(run("profiles", "list", "--json").out)
    assert (found["profile"], found["kind"], found["url"], found["username"]) == ("work", "site", portal.portal_url, "amy")
    assert json.loads(run("profiles", "show", "work", "--json").out) == {**found, "secret": "there"}
    for done in (listed, shown, run("profiles", "show", "work", "--json", "--debug")):
        assert SECRET not in done.out + done.err


def test_a_profile_is_deleted_with_its_secret(portal: EmbeddedPortal, home: Path) -> None:
    save_work(portal)
    assert run("profiles", "delete", "work").out == "The profile work is deleted.\n"
    assert run("profiles", "list").out == ""
    assert json.loads((home / "keyring.json").read_text()) == {}
    for action in ("show", "delete"):
        done = run("profiles", action, "work")
        assert (done.status, done.out) == (6, "")
        assert "There is no profile 'work'" in done.err


def test_a_profile_works_without_a_keyring_by_its_variable(portal: EmbeddedPortal, home: Path) -> None:
    env = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring", "ESRI_HTTP_PASSWORD_WORK": SECRET}
    arguments = ("login", portal.portal_url, "--user", "amy", "--save", "work")
    refused = run(*arguments, "--password-stdin", given=SECRET.encode(), env={**env, "ESRI_HTTP_PASSWORD_WORK": ""})
    assert refused.status == 6
    assert_in_its_own_words(refused.err)
    assert not (home / ".arcgisprofile").exists()
    assert run(*arguments, "--password-stdin", given=SECRET.encode(), env=env).status == 0
    assert run("whoami", "--profile", "work", env=env).status == 0


def test_the_arguments_of_the_process_hold_no_secret(portal: EmbeddedPortal) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("/proc is of Linux")
    with Terminal("login", portal.portal_url, env={"ESRI_HTTP_TOKEN": "", **AS_AMY, "ESRI_HTTP_PASSWORD": ""}) as terminal:
        terminal.wait_for("Enter password")
        terminal.type(SECRET)
        arguments = Path(f"/proc/{terminal.process.pid}/cmdline").read_bytes().split(b"\0")
        assert arguments[1:-1] == [b"-m", b"esri_http", b"login", portal.portal_url.encode()]
        terminal.type("\x03")
        assert terminal.end() == 130


def test_a_profile_works_without_a_keyring_by_its_password_each_time(portal: EmbeddedPortal, home: Path) -> None:
    stored = f"[work]\nurl = {portal.portal_url}\nusername = amy\ndate_modified = 2026-01-01 00:00:00.000001\n"
    (home / ".arcgisprofile").write_text(stored)
    env = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    for _ in range(2):
        with Terminal("whoami", "--profile", "work", env=env) as terminal:
            terminal.wait_for("Enter password for amy at ")
            terminal.type(SECRET + "\n")
            assert terminal.end() == 0
            assert terminal.seen.endswith(f"\r\namy (Amy Adams, org_user) at {portal.portal_url}\r\n")
    assert run("whoami", "--profile", "work", "--password-stdin", given=SECRET.encode(), env=env).status == 0
    for shown in (run("profiles", "show", "work", env=env), run("profiles", "show", "work", "--json", env=env)):
        assert_in_its_own_words(shown.out)
    unasked = run("whoami", "--profile", "work", env=env)
    assert unasked.status == 3
    assert_in_its_own_words(unasked.err)
    assert "keyring found nothing" in unasked.err
    assert (home / ".arcgisprofile").read_text() == stored
    kept = run("login", portal.portal_url, "--save", "work", env={**env, **AS_AMY})
    assert kept.status == 6
    assert "keyring found nothing" in kept.err
    assert "kept as" not in kept.out
