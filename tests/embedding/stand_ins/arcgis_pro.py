"""A stand-in for ArcGIS Pro around its `arcpy`: how it loads and runs Python toolboxes. Tests put it on `sys.path`."""

import gc
import json
import os
import socket
import sys
import threading
import traceback

import arcpy


class Messages:
    """The messages of a run; tests read `told`, pairs of kind and text."""

    def __init__(self):
        self.told = []

    def addMessage(self, text):
        """Say something."""
        self.told.append(("message", text))

    def addWarningMessage(self, text):
        """Warn."""
        self.told.append(("warning", text))

    def addErrorMessage(self, text):
        """Say what went wrong; that alone does not end the tool."""
        self.told.append(("error", text))


def sign_in(portal_url, file):
    """Be signed in as `file` says, JSON of what `arcpy.sign_ins` holds; read anew each time that somebody asks."""

    def look():
        with open(file, encoding="utf-8") as held:
            arcpy.sign_ins = json.load(held)

    arcpy.active_portal = portal_url
    arcpy.before_token = look


def load(path):
    """The namespace of a toolbox. Its text is carried out anew for each dialog and each run; it never is a module."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    name = os.path.splitext(os.path.basename(path))[0]
    namespace = {"__name__": name, "__file__": path, "__builtins__": __builtins__}
    exec(compile(text, path, "exec"), namespace)
    return namespace


def _tool(path):
    (kind,) = load(path)["Toolbox"]().tools
    return kind()


def fill_in(path, values):
    """Open the dialog of the only tool of a toolbox and fill it in: what came of its parameters."""
    tool = _tool(path)
    assert tool.isLicensed()
    parameters = tool.getParameterInfo()
    for parameter in parameters:
        parameter.value = values.get(parameter.name, parameter.value)
    tool.updateParameters(parameters)
    tool.updateMessages(parameters)
    return parameters


def run(path, **values):
    """Fill in the dialog and run the tool: its `outcome` (invalid, succeeded, failed, crashed), `messages` and `progress`."""
    parameters = fill_in(path, values)
    messages, start = Messages(), len(arcpy.progress)
    wrong = [parameter.message for parameter in parameters if parameter.message]
    if wrong:
        return {"outcome": "invalid", "messages": wrong, "progress": []}
    tool = _tool(path)
    try:
        tool.execute(parameters, messages)
        outcome = "succeeded"
    except arcpy.ExecuteError as error:
        outcome = "failed"
        if str(error):
            messages.addErrorMessage(str(error))
    except Exception:
        outcome = "crashed"
        messages.addErrorMessage(traceback.format_exc())
    tool.postExecute(parameters)
    return {"outcome": outcome, "messages": messages.told, "progress": arcpy.progress[start:]}


def left_behind():
    """What still runs or is open in this process, beyond its main thread; empty for nothing."""
    gc.collect()
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    sockets = [str(thing) for thing in gc.get_objects() if isinstance(thing, socket.socket) and thing.fileno() != -1]
    return threads + sockets + list(arcpy._in_memory) + ([] if arcpy.env.autoCancelling else ["autoCancelling"])


def modules_of(package):
    """The names of the modules below `package` that are loaded."""
    return [name for name in sys.modules if name == package or name.startswith(package + ".")]


def unload(package):
    """Take all modules of `package` away, as Pro and developers do to have them loaded anew."""
    for name in modules_of(package):
        del sys.modules[name]
