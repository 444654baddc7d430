"""Signing in and reading a layer in processes that are short of something: a home, a disk, a moving clock, a console.

Each test starts a fresh Python; the portal that it signs in at runs here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import certifi
import pytest
import urllib3

from esri_http.testing import EmbeddedPortal, faults

from ..support.certificates import CertificateAuthority
from ..support.http_messages import Reply
from ..support.pfx import SECRET, pfx

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = [str(Path(module.__file__).parents[1]) for module in (urllib3, certifi)]
WHO = "zoë"
FEATURES = 50

# Only ASCII, and no `assert`: some of these processes have neither another encoding nor assertions.
_START = """
import json, os, sys
settings = json.loads(sys.argv[1])
sys.path[:0] = settings["folders"]
"""
_USES = """
import esri_http

def new_session():
    auth = esri_http.EsriBuiltInAuth(settings["portal"], settings["who"], settings["password"])
    return esri_http.EsriSession(auth=auth, ca_bundles=settings["ca"])

def features(session):
    answer = session.get(settings["layer"] + "/query", params={"where": "1=1", "outFields": "*", "f": "json"})
    return len(answer.json()["features"])

def by_session():
    with new_session() as session:
        return features(session)

def by_gis():
    with esri_http.GIS(settings["portal"], settings["who"], settings["password"], ca_bundles=settings["ca"]) as gis:
        return gis.users.me.username

def by_pfx():
    with esri_http.EsriSession(cert=(settings["pfx"], settings["secret"]), ca_bundles=settings["pki ca"]) as session:
        return session.get(settings["pki"]).text
"""
_ALL = "print(json.dumps([by_session(), by_gis(), by_pfx()]))"
ALL = [FEATURES, WHO, "amy@example.com"]
"""What `_ALL` prints."""


class Site:
    """What the fresh process is told, and what came of it."""

    def __init__(self, portal: EmbeddedPortal, settings: dict[str, Any]) -> None:
        self.portal = portal
        self.settings = settings

    def run(
        self, program: str, *options: str, before: str = "", variables: Mapping[str, str | None] | None = None,
        folders: Sequence[str] = (str(ROOT),), inside: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run `program` to its end. `before`: what comes before our import; `inside`: a command that starts another."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        for name, value in (variables or {}).items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = value
        settings = json.dumps({**self.settings, "folders": list(folders)})
        command = [*inside, sys.executable, "-B", *options, "-c", _START + before + _USES + program, settings]
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
            errors="backslashreplace", timeout=50,
        )  # fmt: skip

    def printed(self, program: str = _ALL, *options: str, **more: Any) -> Any:
        """What `program` prints, read as JSON; it says nothing else and ends well."""
        done = self.run(program, *options, **more)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)


@pytest.fixture
def site(handler_peer: Callable[..., Any], ca: CertificateAuthority, tmp_path: Path) -> Iterator[Site]:
    """A portal, and a server that wants a client certificate."""
    (tmp_path / "amy.pfx").write_bytes(pfx(ca.client()))

    def name_of(request: Any) -> Reply:
        return Reply(body=request.client_certificate["subjectAltName"][0][1])

    pki = handler_peer(name_of, tls=True, client_certificate="required")
    with EmbeddedPortal() as portal:
        settings = {
            "portal": portal.portal_url, "layer": portal.layer_url, "image": portal.image_url, "ca": portal.ca_file,
            "who": WHO, "password": portal.password(WHO),
            "pki": pki.url, "pki ca": str(ca.file), "pfx": str(tmp_path / "amy.pfx"), "secret": SECRET,
        }  # fmt: skip
        yield Site(portal, settings)
    assert portal.internal_errors == []


# -- options of Python -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("-I",),
        ("-OO",),
        ("-W", "error", "-bb", "-X", "dev"),
        ("-I", "-S"),
        ("-X", "utf8=0"),
        ("-X", "utf8=1"),
    ],
    ids=" ".join,
)
def test_all_works_with_options_of_python(site: Site, options: tuple[str, ...]) -> None:
    variables = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0"}
    assert site.printed(_ALL, *options, variables=variables, folders=[str(ROOT), *LIBRARIES]) == ALL


def test_all_works_without_a_trace_of_docstrings(site: Site) -> None:
    program = "print(json.dumps([esri_http.EsriSession.__doc__, esri_http.GIS.__doc__, by_session()]))"
    assert site.printed(program, "-OO") == [None, None, FEATURES]


# -- nowhere to write --------------------------------------------------------------------------------------------------

_NOWHERE = str(ROOT / "there is no such folder" / "nor this one")
_NO_HOME = dict.fromkeys(("HOME", "USERPROFILE", "HOMEPATH", "HOMEDRIVE", "LOGNAME", "USER", "USERNAME"))
_NO_USER = """
try:
    import pwd
except ImportError:
    pass
else:
    def nobody(_):
        raise KeyError("no such user")
    pwd.getpwuid = pwd.getpwnam = nobody
"""


@pytest.mark.parametrize("home", [None, "", _NOWHERE, os.devnull], ids=["unset", "empty", "missing", "no folder"])
def test_all_works_without_a_home(site: Site, home: str | None) -> None:
    """As in a container that runs as a number that no user has."""
    variables = {**_NO_HOME, **({} if home is None else {"HOME": home, "USERPROFILE": home})}
    assert site.printed(variables=variables, before=_NO_USER) == ALL


def test_a_profile_without_a_home_is_one_clear_error(site: Site) -> None:
    program = """
try:
    esri_http.GIS(settings["portal"], settings["who"], settings["password"], ca_bundles=settings["ca"], profile="work")
except esri_http.ProfileError as error:
    print(json.dumps(str(error)))
"""
    assert ".arcgisprofile" in site.printed(program, variables={**_NO_HOME, "HOME": os.devnull}, before=_NO_USER)


_REFUSE_WRITES = """
import errno
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
changing = {"os.mkdir", "os.remove", "os.rename", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime"}
def refuse(event, arguments):
    is_path = bool(arguments) and not isinstance(arguments[0], int)
    if is_path and (event in changing or (event == "open" and arguments[2] & writing)):
        raise OSError(errno.EROFS, "Read-only file system", str(arguments[0]))
sys.addaudithook(refuse)
try:
    open(settings["pfx"], "ab")
except OSError:
    pass
else:
    sys.exit("this file system can be written to")
"""
_NO_TEMP = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), _NOWHERE)


def test_all_works_where_every_write_is_refused(site: Site) -> None:
    if not hasattr(os, "memfd_create"):
        pytest.skip("this system has no files in memory, which a PFX needs where it can write none")
    assert site.printed(before=_REFUSE_WRITES, variables=_NO_TEMP) == ALL


def test_a_pfx_that_needs_a_folder_for_temporary_files_says_so_where_there_is_none(site: Site) -> None:
    program = """
if hasattr(os, "memfd_create"):
    del os.memfd_create
try:
    by_pfx()
except esri_http.CertificateFileError as error:
    print(json.dumps([str(error), by_session()]))
"""
    message, read = site.printed(program, before=_REFUSE_WRITES, variables=_NO_TEMP)
    assert read == FEATURES
    assert "temporary" in message
    assert SECRET not in message


_ONLY_SCRATCH = """
import errno
try:
    os.mkdir(settings["home"] + "/written")
except OSError as error:
    if error.errno != errno.EROFS:
        raise
else:
    sys.exit("this file system can be written to")
"""


@pytest.fixture
def read_only(tmp_path: Path) -> list[str]:
    """A command inside of which nothing can be written but in the folder `tmp_path / "scratch"`, which begins empty there."""
    script = """
set -e
for point in $(cut -d" " -f2 /proc/self/mounts); do
    case $point in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$point" 2>/dev/null || true ;; esac
done
mount -t tmpfs -o size=16m scratch "$1"
shift
exec "$@"
"""
    (tmp_path / "scratch").mkdir()
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path / "scratch")]
    try:
        done = subprocess.run([*command, "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except OSError:
        pytest.skip("this system has no mount namespaces")
    if done.returncode:
        pytest.skip(f"mount namespaces are not for this user: {done.stderr.decode(errors='replace').strip()}")
    return command


@pytest.mark.parametrize("memory_files", [True, False], ids=["with memfd", "without memfd"])
def test_all_works_on_a_read_only_disk_with_one_folder_for_temporary_files(
    site: Site, read_only: list[str], tmp_path: Path, memory_files: bool
) -> None:
    """As in Lambda, whose functions may write to /tmp alone. The key of the PFX goes through there, or through memory."""
    site.settings.update(home=str(tmp_path), target=str(tmp_path / "scratch" / "image.bin"))
    without = "" if memory_files else "if hasattr(os, 'memfd_create'): del os.memfd_create\n"
    program = """
with new_session() as session:
    session.download(settings["image"], settings["target"], params={"size": 300000})
size = os.path.getsize(settings["target"])
os.remove(settings["target"])
print(json.dumps([by_session(), by_gis(), by_pfx(), size, os.listdir(os.path.dirname(settings["target"]))]))
"""
    variables = {**dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path / "scratch")), "HOME": str(tmp_path)}
    assert site.printed(program, before=without + _ONLY_SCRATCH, variables=variables, inside=read_only) == [*ALL, 300000, []]


# -- in a zip file -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A zip file of us and of the two packages that a request needs."""
    path = tmp_path_factory.mktemp("zip") / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for folder in (ROOT / "esri_http", *(Path(module.__file__).parent for module in (urllib3, certifi))):
            for file in folder.rglob("*"):
                if file.is_file() and "__pycache__" not in file.parts:
                    bundle.write(file, file.relative_to(folder.parent).as_posix())
    return str(path)


_FROM_ZIP = """
for module in (esri_http, sys.modules["urllib3"], sys.modules["certifi"]):
    if ".zip" not in module.__file__:
        sys.exit(module.__file__)
"""


@pytest.mark.parametrize("before", ["", _REFUSE_WRITES], ids=["with a temporary folder", "with nowhere to write"])
def test_a_zip_file_is_enough_for_what_needs_no_other_package(
    site: Site, archive: str, before: str, tmp_path: Path
) -> None:
    program = """
try:
    by_pfx()
except esri_http.MissingPackageError as error:
    print(json.dumps([by_session(), by_gis(), "cryptography" in str(error)]))
"""
    variables = {**dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path)), "HOME": None}
    more: dict[str, Any] = {"before": before, "folders": [archive], "variables": variables}
    assert site.printed(program + _FROM_ZIP, "-I", "-S", **more) == [FEATURES, WHO, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["amy.pfx"]


def test_all_works_from_a_zip_file_beside_installed_packages(site: Site, archive: str) -> None:
    program = _ALL + _FROM_ZIP.replace("esri_http, ", "").replace('".zip" not in module.__file__', "False")
    assert site.printed(program, "-I", folders=[archive]) == ALL


def test_the_embedded_portal_runs_from_a_zip_file(site: Site, archive: str) -> None:
    """With its data, and with the `cryptography` that is installed."""
    program = """
import esri_http.testing
with esri_http.testing.EmbeddedPortal() as portal:
    settings.update(portal=portal.portal_url, layer=portal.layer_url, ca=portal.ca_file)
    print(json.dumps([by_session(), by_gis(), ".zip" in esri_http.testing.__file__]))
"""
    assert site.printed(program, "-I", folders=[archive]) == [FEATURES, WHO, True]


def test_a_cryptography_for_another_processor_is_one_clear_error(site: Site, tmp_path: Path) -> None:
    """As in a Lambda layer that was put together on the wrong machine."""
    (tmp_path / "cryptography").mkdir()
    broken = "raise ImportError('a.so: invalid ELF header', name='cryptography.a')"
    (tmp_path / "cryptography" / "__init__.py").write_text(broken)
    program = """
from esri_http.auth.handshake.tickets import missing_for_ntlm
try:
    by_pfx()
except esri_http.MissingPackageError as error:
    print(json.dumps([str(error), str(missing_for_ntlm()), by_session()]))
"""
    why = "needs the package cryptography, which cannot be loaded here: a.so: invalid ELF header"
    messages = [f"A client certificate in a PFX {why}", f"A sign-in by NTLM {why}"]
    assert site.printed(program, folders=[str(tmp_path), str(ROOT)]) == [*messages, FEATURES]


# -- no console --------------------------------------------------------------------------------------------------------

_RESULT_TO_FILE = """
with open(settings["result"], "w") as file:
    json.dump([*result, [sys.stdin is None, sys.stdout is None, sys.stderr is None]], file)
"""


@pytest.mark.parametrize("how", ["pythonw", "closed descriptors"])
def test_all_works_without_a_console(site: Site, how: str, tmp_path: Path) -> None:
    """As under pythonw.exe, or a service whose standard streams are closed: then sockets get their numbers."""
    site.settings["result"] = str(tmp_path / "result.json")
    program = """
gis = esri_http.GIS(settings["portal"], settings["who"], settings["password"], ca_bundles=settings["ca"])
gis.explain()
gis.close()
try:
    esri_http.GIS(settings["portal"], settings["who"], ca_bundles=settings["ca"])
except esri_http.InteractionRequiredError as error:
    result = [by_session(), by_gis(), by_pfx(), type(error).__name__]
"""
    before, inside = "", []
    if how == "pythonw":
        before = "sys.stdin = sys.stdout = sys.stderr = None\n"
    elif shutil.which("sh"):
        inside = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    else:
        pytest.skip("there is no shell that closes descriptors")
    done = site.run(program + _RESULT_TO_FILE, before=before, inside=inside)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((tmp_path / "result.json").read_text()) == [*ALL, "InteractionRequiredError", [True, True, True]]


# -- time --------------------------------------------------------------------------------------------------------------

_FROZEN = """
import time
now, ticks = time.time(), time.monotonic()
time.time, time.monotonic, time.perf_counter = (lambda: now), (lambda: ticks), (lambda: ticks)
"""


def test_all_works_while_the_clock_stands_still(site: Site) -> None:
    """As under a tool that freezes time for tests: what is bounded by time alone would never end."""
    for fault in (faults.status(503, retry_after="0"), faults.reset(), faults.arcgis_error(498)):
        site.portal.faults.add("/query", fault)
    assert site.printed(before=_FROZEN) == ALL
    assert site.portal.count("/query") == 4
    assert site.portal.faults._planned == []


def test_a_server_that_never_answers_well_is_given_up_while_the_clock_stands_still(site: Site) -> None:
    site.portal.faults.add("/query", faults.status(503, retry_after="0"), times=None)
    program = """
with new_session() as session:
    print(json.dumps(session.get(settings["layer"] + "/query", params={"f": "json"}).status_code))
"""
    assert site.printed(program, before=_FROZEN) == 503
    assert site.portal.count("/query") < 10


# -- processes, threads and interpreters -------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_signed_in_session_goes_on_in_parent_and_child(site: Site) -> None:
    """The child is told that its token is gone, and gets another; the parent keeps the first, and its connection."""
    site.portal.faults.add("/query", faults.arcgis_error(498), skip=2)
    program = """
session = new_session()
before = features(session)
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    try:
        os.write(writing, json.dumps([features(session), features(session)]).encode())
    finally:
        os._exit(0)
os.close(writing)
with os.fdopen(reading) as pipe:
    told = json.load(pipe)
status = os.waitpid(child, 0)[1]
after = [features(session), features(session)]
session.close()
print(json.dumps([before, told, after, status]))
"""
    assert site.printed(program) == [FEATURES, [FEATURES, FEATURES], [FEATURES, FEATURES], 0]
    assert site.portal.count("/generateToken") == 3  # sign-in, and the token for the server; then one more in the child
    queries = site.portal.recorder.find("/query", None, None, None)
    connections = [request.connection for request in queries]
    tokens = [request.headers.get("X-Esri-Authorization") for request in queries]
    assert connections == [connections[position] for position in (0, 1, 1, 1, 0, 0)]
    assert tokens == [tokens[position] for position in (0, 0, 0, 3, 0, 0)]
    assert len(set(connections)) == len(set(tokens)) == 2


_INTERPRETERS = """
try:
    import _interpreters                                         # from Python 3.13
    make = {"shared": lambda: _interpreters.create("legacy"), "isolated": lambda: _interpreters.create("isolated")}
    def run(which, text):
        wrong = _interpreters.exec(which, text)
        if wrong is not None:
            raise RuntimeError(wrong.formatted)
except ImportError:
    import _xxsubinterpreters as _interpreters
    make = {"shared": lambda: _interpreters.create(isolated=False), "isolated": lambda: _interpreters.create(isolated=True)}
    run = _interpreters.run_string
"""
_IN_ANOTHER = """
which = make[settings["kind"]]()
run(which, "given = " + repr(sys.argv[1]) + chr(10) + settings["inner"])
_interpreters.destroy(which)
print(json.dumps(features(new_session())))
"""
_ANSWERED = """
with open(settings["result"], "w") as file:
    json.dump([by_session(), by_gis(), certificate()], file)
"""


_DATES_IN_BOTH = """
which = make[settings["kind"]]()
run(which, "import datetime")
_interpreters.destroy(which)
import datetime
"""


@pytest.mark.parametrize("kind", ["shared", "isolated"])
@pytest.mark.parametrize("used_before", [False, True], ids=["alone", "beside the main one"])
def test_a_sub_interpreter_signs_in(site: Site, kind: str, used_before: bool, tmp_path: Path) -> None:
    """All works there but `cryptography`, which may refuse: then a PFX is one clear error. The main interpreter goes on."""
    site.settings["result"] = str(tmp_path / "result.json")
    inner = f"""
{_START.replace("json.loads(sys.argv[1])", "json.loads(given)")}
{_USES}
def certificate():
    try:
        return by_pfx()
    except esri_http.MissingPackageError as error:
        return str(error)
{_ANSWERED}
"""
    site.settings.update(kind=kind, inner=inner)
    if not used_before and site.run(_INTERPRETERS + _DATES_IN_BOTH, "-W", "ignore").returncode:
        pytest.skip("this Python dies of `import datetime` there and then here (3.12 does)")
    program = f"{'by_session(), by_pfx()' if used_before else ''}\n{_INTERPRETERS}\n{_IN_ANOTHER}"
    assert site.printed(program, "-W", "ignore") == FEATURES
    read, who, certificate = json.loads((tmp_path / "result.json").read_text())
    assert (read, who) == (FEATURES, WHO)
    refused = "A client certificate in a PFX needs the package cryptography, which cannot be loaded here: "
    assert certificate == "amy@example.com" or (certificate.startswith(refused) and "interpreter" in certificate)


def test_a_thread_that_outlives_the_main_program_signs_in_and_reads(site: Site) -> None:
    """No new thread can be started then, from Python 3.12 on."""
    program = """
import threading
main = threading.current_thread()

def late():
    main.join()
    print(json.dumps([by_session(), by_gis(), by_pfx()]), flush=True)

threading.Thread(target=late).start()
"""
    assert site.printed(program) == ALL


def test_a_session_is_used_and_closed_while_the_interpreter_ends(site: Site) -> None:
    program = """
import atexit
session = new_session()
atexit.register(session.close)
atexit.register(lambda: print(json.dumps(features(session)), flush=True))
"""
    assert site.printed(program) == FEATURES


def test_what_is_in_flight_or_left_open_at_the_end_is_no_trouble(site: Site) -> None:
    """A daemon thread that waits for an answer, one that reads a stream, a session and an answer that nobody closed."""
    program = """
import threading
session = new_session()
reading = threading.Event()
answer = session.get(settings["layer"] + "/query", params={"where": "1=1", "f": "json"}, stream=True)
next(answer.iter_content(10))

def wait():
    session.get(settings["image"], params={"size": 10})

def stream():
    for piece in session.get(settings["image"], params={"size": 200000000}, stream=True).iter_content(1000):
        reading.set()

threading.Thread(target=wait, daemon=True).start()
threading.Thread(target=stream, daemon=True).start()
reading.wait(20)
print(json.dumps("done"))
"""
    never = threading.Event()
    site.portal.faults.add("/exportImage", faults.delay(until=never))
    try:
        assert site.printed(program) == "done"
    finally:
        never.set()
