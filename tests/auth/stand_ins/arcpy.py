"""A stand-in for the `arcpy` of ArcGIS Pro, as far as its sign-in goes. Its folder is put on `sys.path` by tests alone.

Tests set: `active_portal` (URL), `sign_ins` (by portal: what `GetSigninToken` returns), `servers` (by .ags file), `failure` (an
error that every call raises), `before_token` (called first in `GetSigninToken`). They read: `calls` (names, in order),
`progress`.
"""

import os
import threading

calls = []
active_portal = "https://www.arcgis.com/"
sign_ins = {}
servers = {}
failure = None
before_token = None

_in_use = threading.Lock()
_A_MOMENT = 0.005


def _answer(name, look_up):
    # The real one is not known to be safe for threads: two calls at once are an error here.
    if not _in_use.acquire(blocking=False):
        raise RuntimeError("arcpy was called by two threads at once")
    try:
        calls.append(name)
        threading.Event().wait(_A_MOMENT)
        if failure is not None:
            raise failure
        return look_up()
    finally:
        _in_use.release()


def GetActivePortalURL():
    """The URL of the active portal."""
    return _answer("GetActivePortalURL", lambda: active_portal)


def GetSigninToken():
    """A dict with `token`, `referer` and `expires` (epoch ms); `None` where nobody is signed in."""
    if before_token is not None:
        before_token()
    return _answer("GetSigninToken", lambda: sign_ins.get(active_portal))


progress = []


def SetProgressor(kind, message="", min_range=0, max_range=100, step_value=1):
    """Show a progressor; tests read `progress`, a list of what it was told."""
    progress.append((kind, message, min_range, max_range))


def SetProgressorPosition(position=None):
    """Move it; as the real one, to a whole number only."""
    if not isinstance(position, int):
        raise RuntimeError("Object: Error in executing tool")
    progress.append(position)


def ResetProgressor():
    """Take it away."""
    progress.append(None)


class _Geoprocessor:
    def getStandaloneServerToken(self, path):
        """A dict with `serverUrl`, `token` and `referer` for a connection file."""
        return _answer("getStandaloneServerToken", lambda: servers[os.path.basename(path)])


gp = _Geoprocessor()
