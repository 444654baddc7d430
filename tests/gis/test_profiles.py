"""`GIS(profile=...)`: kept once it has worked, used by its name alone, and never for another account or site."""

from __future__ import annotations

import getpass
import logging
import pickle
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from esri_http import (
    ArcGISLoginError,
    CertificateFileError,
    ConfigurationError,
    EsriHttpError,
    EsriSession,
    InteractionRequiredError,
    ProfileError,
    SecretStoreError,
    TransportError,
)
from esri_http.profiles.manager import ProfileManager, ServerProfileManager
from esri_http.testing import OUT_OF_BAND, EmbeddedPortal, User, faults
from tests.auth.hosts import sign_in, stand_in
from tests.support.browser import Browser

from .conftest import ask_basic, drops_to_zero, paths


class Vault:
    """A secret store in memory; `locked` makes it fail."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False
        self.stored = 0

    def _check(self) -> None:
        if self.locked:
            raise SecretStoreError("The vault is locked.")

    def get(self, service: str, name: str) -> Any:
        self._check()
        return self.held.get((service, name))

    def set(self, service: str, name: str, secret: str) -> None:
        self.stored += 1
        self._check()
        self.held[service, name] = secret

    def delete(self, service: str, name: str) -> None:
        self._check()
        self.held.pop((service, name), None)


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.fixture
def with_vault(connect: Any, vault: Vault, home: Path) -> Any:
    """`with_vault(...)`: a `GIS` whose profiles' secrets are in the vault."""
    return lambda *args, **keywords: connect(*args, secret_store=vault, **keywords)


def secret_of(vault: Vault, name: str) -> Any:
    return vault.held.get((ProfileManager.service, name))


def test_a_profile_is_kept_once_it_has_worked_and_then_used_by_its_name(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, home: Path
) -> None:
    with_vault(portal.portal_url, "amy", "amys-secret", profile="amy at work")
    assert secret_of(vault, "amy at work") == "amys-secret"
    file = home / ".arcgisprofile"
    before = file.read_bytes(), file.stat().st_mtime_ns
    assert b"amys-secret" not in before[0]
    portal.clear()
    gis = with_vault(None, profile="amy at work")
    assert (gis.users.me.username, gis.url, len(portal.requests)) == ("amy", portal.portal_url, 3)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_the_documents_example(portal: EmbeddedPortal, with_vault: Any, capsys: Any) -> None:
    portal.users["arcgis_python"] = User("arcgis_python", "amazing_arcgis_123")
    example = f"""
playground_gis = GIS(url="{portal.portal_url}", username='arcgis_python', password='amazing_arcgis_123',
                     profile='python_playground_prof')
print("profile defined for {{}}".format(playground_gis))

def print_profile_info(gis):
    print("Successfully logged into '{{}}' via the '{{}}' user".format(
           gis.properties.portalHostname,
           gis.properties.user.username))

playground_gis = GIS(profile='python_playground_prof')
print_profile_info(playground_gis)
"""
    exec(example, {"GIS": lambda url=None, **keywords: with_vault(url, **keywords)})
    assert capsys.readouterr().out.splitlines() == [
        f"profile defined for GIS @ {portal.portal_url} version:2024.1",
        f"Successfully logged into '{portal.portal_url.partition('://')[2]}' via the 'arcgis_python' user",
    ]


def test_a_misspelt_profile_is_told_with_the_nearest_and_makes_none(
    portal: EmbeddedPortal, with_vault: Any, home: Path
) -> None:
    with_vault(portal.portal_url, "amy", "amys-secret", profile="playground")
    portal.clear()
    with pytest.raises(ProfileError, match=r"There is no profile 'plaground'.*Did you mean 'playground'\?"):
        with_vault(None, profile="plaground")
    assert ProfileManager().list() == ["playground"]
    assert portal.requests == []


def test_a_sign_in_that_fails_keeps_nothing(portal: EmbeddedPortal, with_vault: Any, vault: Vault, home: Path) -> None:
    with pytest.raises(ArcGISLoginError):
        with_vault(portal.portal_url, "amy", "a-wrong-one", profile="x")
    assert (vault.held, [path.name for path in home.iterdir()]) == ({}, [])


def test_a_locked_store_is_told_and_keeps_nothing(portal: EmbeddedPortal, with_vault: Any, vault: Vault, home: Path) -> None:
    vault.locked = True
    with pytest.raises(SecretStoreError, match="The vault is locked"):
        with_vault(portal.portal_url, "amy", "amys-secret", profile="x")
    assert not (home / ".arcgisprofile").exists()
    assert drops_to_zero(portal)


def test_the_path_of_a_certificate_is_kept_for_any_folder(
    portal: EmbeddedPortal, with_vault: Any, ca: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    amy = ca.client("amy")
    monkeypatch.chdir(Path(amy.cert_file).parent)
    names = {"cert_file": Path(amy.cert_file).name, "key_file": Path(amy.key_file).name}
    with_vault(portal.portal_url, "amy", "amys-secret", profile="x", **names)
    monkeypatch.chdir(tmp_path)
    assert (ProfileManager().get("x")["cert_file"], ProfileManager().get("x")["key_file"]) == (amy.cert_file, amy.key_file)
    assert with_vault(None, profile="x").users.me.username == "amy"


def test_a_stored_password_goes_to_no_other_site_and_for_no_other_user(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault
) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    with_vault(portal.portal_url, "amy", "amys-secret", profile="x")
    portal.clear()
    with pytest.raises(InteractionRequiredError):
        with_vault(None, "bob", profile="x", prompt=nobody)
    with pytest.raises(InteractionRequiredError):
        with_vault(portal.standalone_url, profile="x", prompt=nobody)
    assert portal.count(method="POST") == 0
    assert secret_of(vault, "x") == "amys-secret"


def test_a_stored_password_is_used_where_the_same_is_given_in_other_words(
    portal: EmbeddedPortal, with_vault: Any, ca: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    amy = ca.client("amy")
    monkeypatch.chdir(Path(amy.cert_file).parent)
    given = {"cert_file": Path(amy.cert_file).name, "key_file": Path(Path(amy.key_file).name), "prompt": nobody}
    address = f"{portal.portal_url}/home/?view=1#top"
    with_vault(address, "amy", "amys-secret", profile="x", **given)
    assert with_vault(address, "amy", profile="x", **given).users.me.username == "amy"
    with pytest.raises(InteractionRequiredError):
        with_vault(portal.standalone_url, "amy", profile="x", **given)


def test_another_password_takes_the_place_of_the_stored_one(portal: EmbeddedPortal, with_vault: Any, vault: Vault) -> None:
    with_vault(portal.portal_url, "amy", "amys-secret", profile="x")
    portal.users["amy"].password = "a-new-one"
    with_vault(None, password="a-new-one", profile="x")
    assert secret_of(vault, "x") == "a-new-one"


def test_a_password_that_was_typed_is_kept(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "amys-secret")
    with_vault(portal.portal_url, "amy", profile="x")
    assert secret_of(vault, "x") == "amys-secret"


def test_the_password_of_a_certificate_that_was_typed_is_kept(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, ca: Any
) -> None:
    for site in portal.sites:
        site.web_tier = lambda request: "amy"
    amy = ca.client("amy")
    given = {"cert_file": amy.cert_file, "key_file": ca.encrypted_key(amy, "the-keys-secret")}
    prompts: list[str] = []
    with_vault(portal.portal_url, profile="x", prompt=lambda text: prompts.append(text) or "the-keys-secret", **given)
    assert (secret_of(vault, "x"), len(prompts)) == ("the-keys-secret", 1)
    assert with_vault(None, profile="x").users.me.username == "amy"
    vault.locked = True
    with pytest.raises(CertificateFileError, match=r"no password was given\. The vault is locked\."):
        with_vault(None, profile="x", prompt=lambda text: "")


def test_where_the_store_cannot_be_asked_a_person_is_and_else_told_why(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    with_vault(portal.portal_url, "amy", "amys-secret", profile="x")
    vault.locked = True
    with pytest.raises(InteractionRequiredError, match=r"A password is needed.*The vault is locked"):
        with_vault(None, profile="x", prompt=nobody)
    monkeypatch.setenv("ESRI_HTTP_PASSWORD_X", "amys-secret")
    assert with_vault(None, profile="x", prompt=nobody).users.me.username == "amy"


def test_a_profile_whose_store_cannot_be_asked_works_by_its_password_and_the_store_is_left_alone(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, home: Path
) -> None:
    with_vault(portal.portal_url, "amy", "amys-secret", profile="x")
    file = (home / ".arcgisprofile").read_bytes()
    vault.locked = True
    for _ in range(2):
        assert with_vault(None, password="amys-secret", profile="x").users.me.username == "amy"
        assert with_vault(None, profile="x", prompt=lambda text: "amys-secret").users.me.username == "amy"
    with pytest.raises(ArcGISLoginError):
        with_vault(None, password="a-wrong-one", profile="x")
    assert (home / ".arcgisprofile").read_bytes() == file
    assert vault.held == {(ProfileManager.service, "x"): "amys-secret"}


def test_a_token_in_an_address_is_not_kept(portal: EmbeddedPortal, with_vault: Any, home: Path) -> None:
    for name, rest in (("query", "/home/?token=a-secret"), ("fragment", "/home/#access_token=a-secret&expires_in=7200")):
        with_vault(portal.portal_url + rest, "amy", "amys-secret", profile=name)
        assert ProfileManager().get(name)["url"] == f"{portal.portal_url}/home/"
    assert "a-secret" not in (home / ".arcgisprofile").read_text()


def test_what_a_profile_holds_completes_what_is_given(portal: EmbeddedPortal, with_vault: Any) -> None:
    portal.register_app("app1", "app1-secret")
    with_vault(portal.portal_url, client_id="app1", client_secret="app1-secret", profile="x")
    assert with_vault(None, client_secret="app1-secret", profile="x").properties.appInfo.appId == "app1"


def test_what_does_not_go_with_a_profile_is_told_before_anything_is_sent(portal: EmbeddedPortal, with_vault: Any) -> None:
    with_vault(portal.portal_url, "amy", "amys-secret", profile="x")
    portal.clear()
    with pytest.raises(ConfigurationError, match="is signed in by ArcGIS Pro; leave the other sign-in out"):
        with_vault("pro", profile="x")
    with pytest.raises(ProfileError, match="A profile cannot be called"):
        with_vault(portal.portal_url, "amy", "amys-secret", profile="a [b]")
    with pytest.raises(ConfigurationError, match="client_secret= needs client_id="):
        with_vault(portal.portal_url, client_secret="s", profile="y")
    assert portal.requests == []
    assert ProfileManager().get("x")["url"] == portal.portal_url


def test_an_explanation_says_which_profile_it_was_and_whence_its_secret(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, home: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*args: Any, **keywords: Any) -> str:
        with_vault(*args, profile="x", **keywords).explain()
        return capsys.readouterr().out.splitlines()[1].partition("profile ")[2].strip()

    assert told(portal.portal_url, "amy", "amys-secret") == "'x', new"
    file = f"'x', in {home / '.arcgisprofile'}"
    assert told(None) == f"{file}; its secret is from the secret store"
    assert told(None, password="amys-secret") == file
    monkeypatch.setenv("ESRI_HTTP_PASSWORD_X", "amys-secret")
    assert told(None) == f"{file}; its secret is from ESRI_HTTP_PASSWORD_X"


def test_a_stand_alone_server_is_kept_with_its_like(portal: EmbeddedPortal, with_vault: Any, vault: Vault, home: Path) -> None:
    with_vault(portal.standalone_url, "amy", "amys-secret", profile="server")
    assert (ServerProfileManager().list(), (home / ".arcgisprofile").exists()) == (["server"], False)
    assert vault.held == {(ServerProfileManager.service, "server"): "amys-secret"}
    assert with_vault(None, profile="server").url == portal.standalone_url


def test_a_web_tier_is_kept_like_any(portal: EmbeddedPortal, with_vault: Any) -> None:
    ask_basic(portal, {"amy": "door"})
    with_vault(portal.portal_url, "amy", "door", profile="x")
    portal.clear()
    assert with_vault(None, profile="x").users.me.username == "amy"
    assert len(portal.requests) == 2


def test_the_active_portal_of_pro_is_kept_as_such(
    portal: EmbeddedPortal, with_vault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(stand_in("arcpy", monkeypatch), portal)
    with_vault("pro", profile="x")
    assert ProfileManager().get("x")["url"] == "pro"
    assert with_vault(None, profile="x").users.me.username == "amy"


@pytest.mark.parametrize("keyword", ["token", "api_key", "custom_auth", "session"])
def test_what_a_profile_cannot_keep_is_told(with_vault: Any, keyword: str) -> None:
    with pytest.raises(ConfigurationError, match=f"A profile keeps no {keyword}="):
        with_vault(profile="x", **{keyword: EsriSession() if keyword == "session" else "x"})


def test_a_pickle_of_one_by_profile_signs_in_again(portal: EmbeddedPortal, connect: Any, home: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("ESRI_HTTP_PASSWORD_X", "amys-secret")
    gis = connect(portal.portal_url, "amy", profile="x")
    pickled = pickle.dumps(gis)
    assert b"amys-secret" not in pickled
    copy = pickle.loads(pickled)
    assert copy.session.auth.token
    copy.close()


# -- OAuth -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def person(portal: EmbeddedPortal) -> Any:
    """What a person at a browser does: `open_browser=` and `prompt=`."""
    portal.register_app("app1", redirect_uris=[OUT_OF_BAND])
    opened: list[str] = []

    def paste(prompt: str) -> str:
        page = Browser(portal.ca_file).open(opened[-1]).submit(username="amy", password="amys-secret")
        return page.inputs["code"]

    return {"open_browser": lambda url: opened.append(url) or True, "prompt": paste}


def test_the_refresh_token_of_an_oauth_profile_is_kept_and_used(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any
) -> None:
    gis = with_vault(portal.portal_url, client_id="app1", profile="x", **person)
    assert secret_of(vault, "x") == gis.session.auth.refresh_token
    portal.clear()
    assert with_vault(None, profile="x").users.me.username == "amy"
    assert paths(portal) == ["POST /portal/sharing/rest/oauth2/token", "GET /portal/sharing/rest/portals/self"]
    assert portal.requests[0].form["grant_type"] == "refresh_token"


def test_a_refresh_token_that_is_rotated_is_kept_at_once(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any, caplog: Any
) -> None:
    portal.oauth.rotates_refresh_tokens = True
    gis = with_vault(portal.portal_url, client_id="app1", profile="x", **person)
    first = secret_of(vault, "x")
    portal.tokens.revoke(gis.session.auth.token)
    gis.session.get(portal.portal_url + "/sharing/rest/community/self", params={"f": "json"}).raise_for_error()
    assert secret_of(vault, "x") == gis.session.auth.refresh_token != first
    vault.locked = True
    portal.tokens.revoke(gis.session.auth.token)
    with caplog.at_level(logging.WARNING):
        gis.session.get(portal.portal_url + "/sharing/rest/community/self", params={"f": "json"}).raise_for_error()
    assert "The new refresh token of profile x could not be stored: The vault is locked." in caplog.text
    assert gis.session.auth.refresh_token not in caplog.text


def test_a_refresh_token_that_stays_is_not_stored_again_and_the_caller_hears_of_each_grant(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any, caplog: Any
) -> None:
    grants: list[Any] = []
    gis = with_vault(portal.portal_url, client_id="app1", profile="x", on_token=grants.append, **person)
    before, vault.locked = len(grants), True
    portal.tokens.revoke(gis.session.auth.token)
    with caplog.at_level(logging.WARNING):
        gis.session.get(portal.portal_url + "/sharing/rest/community/self", params={"f": "json"}).raise_for_error()
    assert (before, len(grants), vault.stored, caplog.messages) == (1, 2, 1, [])


def test_a_refresh_token_that_has_run_out_brings_the_person_back(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any
) -> None:
    gis = with_vault(portal.portal_url, client_id="app1", profile="x", **person)
    first = gis.session.auth.refresh_token
    portal.oauth.revoke(first)
    assert with_vault(None, profile="x", **person).users.me.username == "amy"
    assert secret_of(vault, "x") not in (None, first)


def test_a_sign_out_takes_the_refresh_token_out_of_its_profile(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any
) -> None:
    with_vault(portal.portal_url, client_id="app1", profile="x", **person)
    first = secret_of(vault, "x")
    assert with_vault(None, profile="x").logout()
    assert not portal.revoke(first)
    assert (secret_of(vault, "x"), ProfileManager().list()) == (None, ["x"])
    assert with_vault(None, profile="x", **person).users.me.username == "amy"
    assert secret_of(vault, "x") not in (None, first)


def test_a_sign_out_forgets_the_refresh_token_where_the_site_cannot_be_reached_and_tells_of_a_store_that_keeps_it(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any
) -> None:
    gis = with_vault(portal.portal_url, client_id="app1", profile="x", retries=0, **person)
    portal.faults.add("/revokeToken", faults.reset(), times=None)
    with pytest.raises(TransportError):
        gis.logout()
    assert secret_of(vault, "x") is None
    gis = with_vault(None, profile="x", **person)
    vault.locked = True
    with pytest.raises(SecretStoreError, match="The vault is locked"):
        gis.logout()
    assert gis.session.auth is None


def test_a_sign_out_takes_the_refresh_token_out_of_its_profile_also_where_the_environment_has_an_older_one(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal.oauth.rotates_refresh_tokens = True
    with_vault(portal.portal_url, client_id="app1", profile="x", **person)
    monkeypatch.setenv("ESRI_HTTP_PASSWORD_X", vault.held.pop((ProfileManager.service, "x")))
    gis = with_vault(None, profile="x")
    assert secret_of(vault, "x") == gis.session.auth.refresh_token
    assert gis.logout()
    assert secret_of(vault, "x") is None


def test_a_refresh_token_that_is_being_stored_while_somebody_signs_out_is_not_kept(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal.oauth.rotates_refresh_tokens = True
    gis = with_vault(portal.portal_url, client_id="app1", profile="x", **person)
    set_at_once, is_storing, may_end = vault.set, threading.Event(), threading.Event()

    def set_slowly(service: str, name: str, secret: str) -> None:
        is_storing.set()
        may_end.wait(10)
        set_at_once(service, name, secret)

    monkeypatch.setattr(vault, "set", set_slowly)
    portal.tokens.revoke(gis.session.auth.token)

    def request(session: EsriSession) -> None:
        with suppress(EsriHttpError):  # its new token is revoked as well
            session.get(portal.portal_url + "/sharing/rest/community/self", params={"f": "json"}).close()

    renewal = threading.Thread(target=request, args=(gis.session,))
    renewal.start()
    assert is_storing.wait(10)
    assert gis.logout()
    may_end.set()
    renewal.join(10)
    assert secret_of(vault, "x") is None


def test_a_sign_out_leaves_a_password_and_the_refresh_token_of_another_sign_in(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any
) -> None:
    with_vault(portal.portal_url, "amy", "amys-secret", profile="x").logout()
    assert secret_of(vault, "x") == "amys-secret"
    first = with_vault(portal.portal_url, client_id="app1", profile="y", **person)
    vault.held.clear()
    second = with_vault(None, profile="y", **person)
    first.logout()
    assert secret_of(vault, "y") == second.session.auth.refresh_token
    ProfileManager(store=vault).delete("y")
    assert second.logout()


def test_a_code_that_is_refused_is_not_asked_for_again(portal: EmbeddedPortal, with_vault: Any, person: Any) -> None:
    with_vault(portal.portal_url, client_id="app1", profile="x", **person)
    portal.register_app("app2", redirect_uris=[OUT_OF_BAND])
    prompts: list[str] = []
    ask = {**person, "prompt": lambda text: prompts.append(text) or "no-such-code"}
    with pytest.raises(ArcGISLoginError):
        with_vault(None, client_id="app2", profile="x", **ask)
    assert len(prompts) == 1


def test_a_password_that_was_typed_for_an_app_is_kept(portal: EmbeddedPortal, with_vault: Any, vault: Vault) -> None:
    portal.register_app("app1", redirect_uris=[OUT_OF_BAND])
    prompts: list[str] = []
    ask = {"prompt": lambda text: prompts.append(text) or "amys-secret"}
    with_vault(portal.portal_url, "amy", client_id="app1", profile="x", **ask)
    assert (secret_of(vault, "x"), len(prompts)) == ("amys-secret", 1)
    assert with_vault(None, profile="x").users.me.username == "amy"


def test_save_as_keeps_a_sign_in_that_was_made_by_another_profile(
    portal: EmbeddedPortal, with_vault: Any, vault: Vault, person: Any
) -> None:
    with_vault(portal.portal_url, "amy", "amys-secret", profile="x")
    ProfileManager(store=vault).save_as("y", with_vault(None, profile="x"))
    assert with_vault(None, profile="y").users.me.username == "amy"
    with_vault(portal.portal_url, client_id="app1", profile="app", **person)
    ProfileManager(store=vault).save_as("app too", with_vault(None, profile="app"))
    assert with_vault(None, profile="app too").users.me.username == "amy"


def test_save_as_keeps_nothing_of_what_a_profile_cannot_keep(portal: EmbeddedPortal, connect: Any, home: Path) -> None:
    gis = connect(token=portal.issue_token("amy", referer="http"))
    with pytest.raises(ConfigurationError, match="A profile keeps no token="):
        ProfileManager().save_as("x", gis)
    assert not (home / ".arcgisprofile").exists()


def test_save_as_keeps_a_sign_in_that_was_made_without_a_profile(
    portal: EmbeddedPortal, connect: Any, vault: Vault, home: Path
) -> None:
    gis = connect("", "amy", "amys-secret")
    ProfileManager(store=vault).save_as("later", gis)
    assert secret_of(vault, "later") == "amys-secret"
    assert connect(None, profile="later", secret_store=vault).users.me.username == "amy"
