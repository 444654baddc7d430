"""A stand-in for the `arcpy` of ArcGIS Pro: its sign-in, and what a tool needs. Its folder is put on `sys.path` by tests alone.

Tests set: `active_portal` (URL), `sign_ins` (by portal: what `GetSigninToken` returns), `servers` (by .ags file), `failure` (an
error that every call about sign-ins raises), `before_token` (called first in `GetSigninToken`), `cancel_at` (where the
progressor stands when the person cancels). They read: `calls` (names of calls about sign-ins, in order), `progress`.
"""

import contextlib
import json
import os
import threading

calls = []
active_portal = "https://www.arcgis.com/"
sign_ins = {}
servers = {}
failure = None
before_token = None
cancel_at = None

_in_use = threading.Lock()
_A_MOMENT = 0.005


class ExecuteError(Exception):
    """A tool failed; its messages say why."""


@contextlib.contextmanager
def _alone():
    # The real one is not known to be safe for threads: two calls at once are an error here.
    if not _in_use.acquire(blocking=False):
        raise RuntimeError("arcpy was called by two threads at once")
    try:
        if env.autoCancelling and _is_cancelled():
            raise ExecuteError("Cancelled script CopyLayer... (CopyLayer) aborted by User.")
        yield
    finally:
        _in_use.release()


def _answer(name, look_up):
    with _alone():
        calls.append(name)
        threading.Event().wait(_A_MOMENT)
        if failure is not None:
            raise failure
        return look_up()


def GetActivePortalURL():
    """The URL of the active portal."""
    return _answer("GetActivePortalURL", lambda: active_portal)


def GetSigninToken():
    """A dict with `token`, `referer` and `expires` (epoch ms); `None` where nobody is signed in."""
    if before_token is not None:
        before_token()
    return _answer("GetSigninToken", lambda: sign_ins.get(active_portal))


class _Geoprocessor:
    def getStandaloneServerToken(self, path):
        """A dict with `serverUrl`, `token` and `referer` for a connection file."""
        return _answer("getStandaloneServerToken", lambda: servers[os.path.basename(path)])


gp = _Geoprocessor()


# -- the progressor, and the person who looks at it ------------------------------------------------------------------

progress = []


def _tell(news):
    with _alone():
        progress.append(news)


def SetProgressor(kind, message="", min_range=0, max_range=100, step_value=1):
    """Show a progressor; tests read `progress`, a list of what it was told."""
    _tell((kind, message, min_range, max_range))


def SetProgressorLabel(label):
    """Say something beside it."""
    _tell(str(label))


def SetProgressorPosition(position=None):
    """Move it; as the real one, to a whole number only."""
    if not isinstance(position, int):
        raise RuntimeError("Object: Error in executing tool")
    _tell(position)


def ResetProgressor():
    """Take it away."""
    _tell(None)


def _is_cancelled():
    return cancel_at is not None and any(isinstance(told, int) and told >= cancel_at for told in progress)


class _Environment:
    def __init__(self):
        self.autoCancelling = True
        self.overwriteOutput = False

    @property
    def isCancelled(self):
        """Whether the person cancelled; only where that does not end the tool by itself."""
        return not self.autoCancelling and _is_cancelled()


env = _Environment()


# -- tools: their parameters, and feature classes, which are JSON here -----------------------------------------------


class Parameter:
    """A parameter of a tool."""

    def __init__(self, name, displayName, direction, datatype, parameterType):
        self.name, self.displayName = name, displayName
        self.direction, self.datatype, self.parameterType = direction, datatype, parameterType
        self.value = None
        self.message = ""

    @property
    def valueAsText(self):
        """What was filled in; `None` for nothing."""
        return None if self.value is None else str(self.value)

    def setErrorMessage(self, message):
        """Mark it as wrong."""
        self.message = message


class FeatureSet:
    """Features and their schema, from the JSON of a query."""

    def __init__(self, table):
        self.held = json.loads(table)
        missing = {"fields", "features", "geometryType", "spatialReference"} - self.held.keys()
        if missing:
            raise RuntimeError(f"not a feature set: {missing}")


_MEMORY = "memory" + os.sep
_in_memory = {}


def _read(source):
    if isinstance(source, FeatureSet):
        return source.held
    if source.startswith(_MEMORY):
        return _in_memory[source]
    with open(source, encoding="utf-8") as file:
        return json.load(file)


def _write(target, held):
    if target.startswith(_MEMORY):
        _in_memory[target] = held
        return
    with open(target, "w", encoding="utf-8") as file:
        json.dump(held, file)


def Exists(dataset):
    """Whether there is a feature class of that path."""
    with _alone():
        return dataset in _in_memory or os.path.exists(dataset)


def CreateUniqueName(base_name, workspace):
    """A path for something new."""
    with _alone():
        return os.path.join(workspace, f"{base_name}{len(_in_memory) or ''}")


class _Management:
    def CopyFeatures(self, in_features, out_feature_class):
        """Make a feature class of features."""
        with _alone():
            if not env.overwriteOutput and (out_feature_class in _in_memory or os.path.exists(out_feature_class)):
                raise ExecuteError(f"ERROR 000725: Output Feature Class: Dataset {out_feature_class} already exists.")
            _write(out_feature_class, _read(in_features))

    def Append(self, inputs, target, schema_type="TEST"):
        """Add features to a feature class."""
        with _alone():
            held = _read(target)
            _write(target, {**held, "features": held["features"] + _read(inputs)["features"]})

    def Delete(self, in_data):
        """Take a feature class away."""
        with _alone():
            del _in_memory[in_data]


management = _Management()
