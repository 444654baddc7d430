"""A Python toolbox of ArcGIS Pro with our folder beside it, loaded and run as Pro does, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest

from esri_http import __version__
from esri_http.testing import EmbeddedPortal, faults
from tests.auth.hosts import PRO_REFERER, ROOT
from tests.auth.hosts import STAND_INS as ARCPY

HERE = Path(__file__).parent
TOOLBOX = HERE / "toolbox" / "CopyLayer.pyt"
PAGES = 8
PLACES = 355


class Library(NamedTuple):
    """The folder `esri_http` that toolboxes get. `alone`: it needs no other package, so that its Python may have none."""

    folder: Path
    alone: bool


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """What `make vendor` builds; where that cannot be built, the package as it is here."""
    into = tmp_path_factory.mktemp("vendored")
    command = [sys.executable, "-m", "vendor", "folder", "--into", str(into)]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=55)
    if done.returncode:
        return Library(ROOT / "esri_http", alone=False)
    with zipfile.ZipFile(into / f"esri_http-{__version__}-vendored.zip") as archive:
        archive.extractall(into)
    return Library(into / "esri_http", alone=True)


class Pro:
    """ArcGIS Pro on this machine: `run(program)` starts it. Its sign-in lies in a file, and may change while it runs."""

    def __init__(self, portal: EmbeddedPortal, folder: Path, alone: bool) -> None:
        self.portal = portal
        self.alone = alone
        self.held = folder / "signed-in.json"
        self.copy = folder / "copy.json"
        self.sign_in()

    def sign_in(self) -> str:
        """Amy signs in; the token."""
        token = self.portal.issue_token("amy", referer=PRO_REFERER)
        expires = int((self.portal.now() + 3600) * 1000)
        held = {self.portal.portal_url: {"token": token, "expires": expires, "referer": PRO_REFERER}}
        self.held.write_text(json.dumps(held), encoding="utf-8")
        return token

    def sign_out(self) -> None:
        """Nobody is signed in."""
        self.held.write_text("{}", encoding="utf-8")

    def run(self, program: str, *toolboxes: Path, alone: bool | None = None, paths: tuple[Path, ...] = ()) -> Any:
        """What `program` leaves in `found`. It has `toolboxes`, `layer`, `copy`, and `pro` with `arcpy`; nothing else stays.

        `alone`: whether that Python has no packages; `None` for what our folder needs. `paths`: first ones of its `sys.path`.
        """
        given = {
            "paths": [str(path) for path in (*paths, ARCPY, HERE / "stand_ins")], "portal": self.portal.portal_url,
            "held": str(self.held), "program": program,
            "names": {"toolboxes": [str(path) for path in toolboxes], "layer": self.portal.layer_url, "copy": str(self.copy)},
        }  # fmt: skip
        flags = ["-S"] if (self.alone if alone is None else alone) else []
        done = subprocess.run(
            [sys.executable, "-I", *flags, "-B", "-W", "error", "-c", _PRO], input=json.dumps(given),
            env={**os.environ, "REQUESTS_CA_BUNDLE": self.portal.ca_file}, capture_output=True, text=True, timeout=50,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert answer["left"] == []
        return answer["found"]

    def features(self) -> list[Any]:
        """What is in the copy."""
        held = json.loads(self.copy.read_text(encoding="utf-8"))
        assert [field["name"] for field in held["fields"]] == ["OBJECTID", "NAME", "COUNTRY", "POPULATION"]
        assert (held["geometryType"], held["spatialReference"]["wkid"]) == ("esriGeometryPoint", 4326)
        return list(held["features"])


_PRO = """
import json, sys
given = json.load(sys.stdin)
sys.path[:0] = given["paths"]
import arcpy
import arcgis_pro as pro
pro.sign_in(given["portal"], given["held"])
names = {"pro": pro, "arcpy": arcpy, "sys": sys, "found": None, **given["names"]}
path = list(sys.path)
exec(given["program"], names)
left = pro.left_behind() + [place for place in sys.path if place not in path]
print(json.dumps({"found": names["found"], "left": left}))
"""

RUN = "found = pro.run(toolboxes[0], layer=layer, copy=copy)"


@pytest.fixture
def new_toolbox(library: Library, tmp_path: Path) -> Callable[..., Path]:
    """`new_toolbox(name, version=None)` puts the toolbox, with our folder beside it, into a folder of that name; its path."""

    def make(name: str = "tools", version: str | None = None) -> Path:
        folder = tmp_path / name
        shutil.copytree(library.folder, folder / "esri_http", ignore=shutil.ignore_patterns("__pycache__"))
        if version is not None:
            set_version(folder, version)
        return Path(shutil.copy(TOOLBOX, folder))

    return make


@pytest.fixture
def toolbox(new_toolbox: Callable[..., Path]) -> Path:
    """The toolbox."""
    return new_toolbox()


@pytest.fixture
def pro(portal: EmbeddedPortal, library: Library, tmp_path: Path) -> Pro:
    """Pro, with amy signed in."""
    return Pro(portal, tmp_path, library.alone)


def set_version(folder: Path, version: str) -> None:
    """Have the `esri_http` in `folder` be of another version."""
    (folder / "esri_http" / "_version.py").write_text(f'"""The version."""\n\n__version__ = "{version}"\n', encoding="utf-8")


def expected(portal: EmbeddedPortal) -> list[Any]:
    """All features of the layer, in order."""
    layer = portal.server_site.services["Places"].layer
    ids = ",".join(map(str, range(1, PLACES + 1)))
    layer_size, layer.max_record_count = layer.max_record_count, PLACES
    try:
        return list(layer.query({"objectIds": ids, "outFields": "*"})["features"])
    finally:
        layer.max_record_count = layer_size


def positions(run: dict[str, Any]) -> list[int]:
    """Where the progressor stood, one after the other."""
    return [told for told in run["progress"] if isinstance(told, int)]


def versions_seen(portal: EmbeddedPortal) -> list[str]:
    """The versions of us that asked for features, each once, in order."""
    return list(dict.fromkeys(request.headers["User-Agent"] for request in portal.recorder.find("/query")))


def assert_failed_cleanly(run: dict[str, Any], pro: Pro) -> str:
    """One error message, no traceback, a progressor that is gone, and no copy; the message."""
    assert run["outcome"] == "failed"
    ((kind, text),) = run["messages"]
    assert kind == "error"
    assert "Traceback" not in text
    assert run["progress"][-1] is None
    assert not pro.copy.exists()
    return str(text)


# -- the tool --------------------------------------------------------------------------------------------------------


def test_all_features_are_copied_once_and_pro_is_asked_once(pro: Pro, portal: EmbeddedPortal, toolbox: Path) -> None:
    run = pro.run(RUN + "\nfound['asked'] = arcpy.calls.count('GetSigninToken')", toolbox)
    assert (run["outcome"], run["asked"]) == ("succeeded", 1)
    assert run["messages"] == [["message", f"{PLACES} features of {portal.layer_url} are in {pro.copy}."]]
    assert pro.features() == expected(portal)
    assert portal.count("/query") == 1 + PAGES
    signing_in = 2  # what the server says of itself, and its token at the portal; Pro's own token took no request
    assert len(portal.requests) == signing_in + 1 + 1 + PAGES
    assert {request.headers["Referer"] for request in portal.recorder.find("/query")} == {PRO_REFERER}


def test_the_progressor_goes_forward_to_the_end_and_away(pro: Pro, toolbox: Path) -> None:
    run = pro.run(RUN, toolbox)
    shown = positions(run)
    assert len(shown) == PAGES
    assert shown == sorted(set(shown))
    assert shown[-1] == 100
    assert run["progress"][0] == ["step", "Signing in", 0, 100]
    assert f"{PLACES} of {PLACES} features" in run["progress"]
    assert run["progress"].count(None) == 1
    assert run["progress"][-1] is None


def test_where_selects(pro: Pro, portal: EmbeddedPortal, toolbox: Path) -> None:
    run = pro.run("found = pro.run(toolboxes[0], layer=layer + '/?f=html', copy=copy, where=\"COUNTRY = 'France'\")", toolbox)
    assert run["outcome"] == "succeeded"
    found = [feature["attributes"]["NAME"] for feature in pro.features()]
    assert found == [each["attributes"]["NAME"] for each in expected(portal) if each["attributes"]["COUNTRY"] == "France"]
    assert "Paris" in found


def test_nothing_selected_is_told_as_such(pro: Pro, toolbox: Path) -> None:
    run = pro.run("found = pro.run(toolboxes[0], layer=layer, copy=copy, where='1=0')", toolbox)
    assert "There is nothing to copy" in assert_failed_cleanly(run, pro)


def test_a_page_that_the_server_cuts_short_is_gone_on_with(pro: Pro, portal: EmbeddedPortal, toolbox: Path) -> None:
    layer = portal.server_site.services["Places"].layer

    def smaller(request: Any, answer_normally: Callable[[], Any]) -> Any:
        layer.max_record_count = 7
        return answer_normally()

    portal.faults.add("/query", smaller, skip=3)
    assert pro.run(RUN, toolbox)["outcome"] == "succeeded"
    assert pro.features() == expected(portal)


def test_what_is_no_layer_is_told_before_the_tool_runs(pro: Pro, portal: EmbeddedPortal, toolbox: Path) -> None:
    run = pro.run("found = pro.run(toolboxes[0], layer=layer.rpartition('/')[0], copy=copy)", toolbox)
    assert run["outcome"] == "invalid"
    assert portal.requests == []


# -- what goes wrong -------------------------------------------------------------------------------------------------


def test_nobody_signed_in_is_one_message_that_says_so(pro: Pro, toolbox: Path) -> None:
    pro.sign_out()
    text = assert_failed_cleanly(pro.run(RUN, toolbox), pro)
    assert f"Nobody is signed in at {pro.portal.portal_url} in ArcGIS Pro. Sign in to the portal" in text


def test_what_the_server_refuses_in_the_middle_is_one_message_and_no_copy(
    pro: Pro, portal: EmbeddedPortal, toolbox: Path
) -> None:
    portal.faults.add("/query", faults.arcgis_error(500, "The geodatabase is on strike."), skip=4, times=None)
    run = pro.run(RUN, toolbox)
    assert "The geodatabase is on strike." in assert_failed_cleanly(run, pro)
    assert 0 < positions(run)[-1] < 100


def test_a_server_that_is_gone_is_one_message(pro: Pro, toolbox: Path) -> None:
    run = pro.run("found = pro.run(toolboxes[0], layer='http://127.0.0.1:9/x/FeatureServer/0', copy=copy)", toolbox)
    assert "127.0.0.1:9" in assert_failed_cleanly(run, pro)


def test_a_copy_that_is_there_stays_as_it_is(pro: Pro, toolbox: Path) -> None:
    pro.copy.write_text("mine", encoding="utf-8")
    run = pro.run(RUN, toolbox)
    assert run["outcome"] == "failed"
    assert "already exists" in run["messages"][0][1]
    assert run["progress"][-1] is None
    assert pro.copy.read_text(encoding="utf-8") == "mine"


def test_tokens_that_die_in_the_middle_are_asked_of_pro_again(pro: Pro, portal: EmbeddedPortal, toolbox: Path) -> None:
    def change_the_key(request: Any, answer_normally: Callable[[], Any]) -> Any:
        assert portal.revoke_all_tokens() >= 2
        pro.sign_in()
        return answer_normally()

    portal.faults.add("/query", change_the_key, skip=4)
    run = pro.run(RUN + "\nfound['asked'] = arcpy.calls.count('GetSigninToken')", toolbox)
    assert (run["outcome"], run["asked"]) == ("succeeded", 2)
    assert pro.features() == expected(portal)
    assert positions(run) == sorted(set(positions(run)))


def test_tokens_that_die_while_nobody_is_signed_in_any_more_are_one_message(
    pro: Pro, portal: EmbeddedPortal, toolbox: Path
) -> None:
    def change_the_key(request: Any, answer_normally: Callable[[], Any]) -> Any:
        portal.revoke_all_tokens()
        pro.sign_out()
        return answer_normally()

    portal.faults.add("/query", change_the_key, skip=4)
    assert "Nobody is signed in" in assert_failed_cleanly(pro.run(RUN, toolbox), pro)


def test_cancelling_ends_it_within_a_page_and_writes_nothing(pro: Pro, portal: EmbeddedPortal, toolbox: Path) -> None:
    run = pro.run("arcpy.cancel_at = 25\n" + RUN + "\narcpy.cancel_at = None", toolbox)
    assert "Cancelled after 100 of 355 features; nothing was written." in assert_failed_cleanly(run, pro)
    assert positions(run) == [14, 28]
    assert portal.count("/query") == 1 + 2


# -- how Pro loads it ------------------------------------------------------------------------------------------------

_EACH_TIME = """
package = pro.load(toolboxes[0])["esri_http"]
found = []
for number in range(3):
    {between}
    found.append(pro.run(toolboxes[0], layer=layer, copy=copy + str(number)))
found = [run["outcome"] for run in found] + [pro.load(toolboxes[0])["esri_http"] is package]
"""


def test_our_folder_is_loaded_once_however_often_the_toolbox_is(pro: Pro, portal: EmbeddedPortal, toolbox: Path) -> None:
    assert pro.run(_EACH_TIME.format(between=""), toolbox) == ["succeeded"] * 3 + [True]
    assert portal.count("/query") == 3 * (1 + PAGES)


def test_reloading_our_package_between_runs_does_no_harm(pro: Pro, toolbox: Path) -> None:
    again = "import importlib; importlib.reload(package)"
    assert pro.run(_EACH_TIME.format(between=again), toolbox) == ["succeeded"] * 3 + [True]


@pytest.mark.parametrize("what", ["package.__name__", "package.__name__.partition('.')[0]"])
def test_modules_taken_away_between_runs_are_loaded_anew(pro: Pro, toolbox: Path, what: str) -> None:
    assert pro.run(_EACH_TIME.format(between=f"pro.unload({what})"), toolbox) == ["succeeded"] * 3 + [False]


def test_a_folder_that_was_replaced_by_a_newer_one_is_used_from_the_next_load(
    pro: Pro, portal: EmbeddedPortal, toolbox: Path
) -> None:
    newer = toolbox.parent / "esri_http" / "_version.py"
    program = f"""
first = pro.run(toolboxes[0], layer=layer, copy=copy + "1")
with open({str(newer)!r}, "w") as file:
    file.write('__version__ = "9.9.9"')
found = [first["outcome"], pro.run(toolboxes[0], layer=layer, copy=copy + "2")["outcome"]]
"""
    assert pro.run(program, toolbox) == ["succeeded", "succeeded"]
    assert versions_seen(portal) == [f"esri_http/{__version__}", "esri_http/9.9.9"]


def test_two_toolboxes_with_two_versions_each_have_their_own(
    pro: Pro, portal: EmbeddedPortal, new_toolbox: Callable[..., Path]
) -> None:
    program = """
runs = [pro.run(toolboxes[number % 2], layer=layer, copy=copy + str(number)) for number in range(4)]
mine, other = [pro.load(path)["esri_http"] for path in toolboxes]
try:
    other.EsriSession().get("http://127.0.0.1:9/")
except other.EsriHttpError as error:
    related = isinstance(error, mine.EsriHttpError)
found = [run["outcome"] for run in runs]
found += [mine.__version__, other.__version__, mine.EsriSession is other.EsriSession, related]
"""
    toolboxes = [new_toolbox("mine"), new_toolbox("other", "9.9.9")]
    assert pro.run(program, *toolboxes) == ["succeeded"] * 4 + [__version__, "9.9.9", False, False]
    agents = [request.headers["User-Agent"] for request in portal.requests if request.path.endswith("/query")]
    ours, theirs = [f"esri_http/{__version__}"] * (1 + PAGES), ["esri_http/9.9.9"] * (1 + PAGES)
    assert agents == (ours + theirs) * 2


def test_an_installed_esri_http_is_neither_used_nor_disturbed(
    pro: Pro, portal: EmbeddedPortal, toolbox: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "site-packages"
    (installed / "esri_http").mkdir(parents=True)
    (installed / "esri_http" / "__init__.py").write_text("__version__ = '0.0.1'", encoding="utf-8")
    program = RUN + "\nbefore = 'esri_http' in sys.modules\nimport esri_http\nfound = [found['outcome'], before, "
    for loaded in ("", "import esri_http\n"):
        pro.copy.unlink(missing_ok=True)
        found = pro.run(loaded + program + "esri_http.__version__]", toolbox, paths=(installed,))
        assert found == ["succeeded", bool(loaded), "0.0.1"]
    assert versions_seen(portal) == [f"esri_http/{__version__}"]


def test_a_urllib3_that_the_host_has_loaded_is_left_alone(pro: Pro, library: Library, toolbox: Path) -> None:
    program = """
import urllib3
before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "urllib3"}
contents = {name: dict(vars(module)) for name, module in before.items()}
run = pro.run(toolboxes[0], layer=layer, copy=copy)
same = [sys.modules[name] is module and vars(module) == contents[name] for name, module in before.items()]
own = [name for name in sys.modules if name.endswith(".esri_http._vendor.urllib3")]
found = [run["outcome"], all(same), len(own)]
"""
    if library.alone:
        assert pro.run(program, toolbox, alone=False) == ["succeeded", True, 1]
    else:
        assert pro.run(program.replace(" and vars(module) == contents[name]", ""), toolbox) == ["succeeded", True, 0]


def test_the_package_as_it_is_serves_as_the_folder_where_urllib3_is_installed(
    pro: Pro, portal: EmbeddedPortal, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "esri_http", tmp_path / "plain" / "esri_http", ignore=shutil.ignore_patterns("__pycache__"))
    plain = Path(shutil.copy(TOOLBOX, tmp_path / "plain"))
    assert pro.run(RUN, plain, alone=False)["outcome"] == "succeeded"
    assert pro.features() == expected(portal)


def test_every_module_of_ours_can_be_loaded_under_another_name_and_none_asks_for_ours(pro: Pro, toolbox: Path) -> None:
    program = """
import importlib, pkgutil
sys.modules["esri_http"] = None
package = pro.load(toolboxes[0])["esri_http"]
found = []
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    ours = module.name[len(package.__name__) + 1:]
    # The last one needs PySocks.
    if ours.partition(".")[0] not in ("_vendor", "testing", "__main__") and ours != "wire.socks_proxies":
        importlib.import_module(module.name)
        found.append(ours)
for name in package.__all__:
    assert getattr(package, name) is not None
"""
    found = pro.run(program, toolbox)
    assert {"auth.hosts.pro", "wire.connections", "gis.gis", "cli.terminal"} <= set(found)
    assert len(found) > 100


def test_a_module_of_the_toolbox_finds_us_as_a_neighbour(pro: Pro, toolbox: Path) -> None:
    helper = toolbox.with_name("helper.py")
    helper.write_text("from .esri_http import EsriSession, __version__\n", encoding="utf-8")
    program = """
names = pro.load(toolboxes[0])
helper = names["beside"]("helper")
found = [helper.__version__, helper.EsriSession is names["esri_http"].EsriSession]
"""
    assert pro.run(program, toolbox) == [__version__, True]


def test_unloaded_it_leaves_neither_thread_nor_socket_nor_module(pro: Pro, toolbox: Path) -> None:
    program = """
import gc, weakref
before = set(sys.modules)
run = pro.run(toolboxes[0], layer=layer, copy=copy)
package = pro.load(toolboxes[0])["esri_http"]
keeper = weakref.ref(package)
pro.unload(package.__name__.partition(".")[0])
del package
gc.collect()
left = [name for name in set(sys.modules) - before if "esri_http" in name]
found = [run["outcome"], left, pro.left_behind(), keeper() is None]
"""
    assert pro.run(program, toolbox) == ["succeeded", [], [], True]
