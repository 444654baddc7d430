"""A toolbox of ArcGIS Pro that copies layers of a web GIS. The folder `esri_http` lies beside it, and is its own."""

import importlib
import json
import os
import re
import sys
import types
import zlib
from pathlib import Path

import arcpy


def beside(name):
    """The module `name` that lies beside this toolbox, whatever else goes by that name in this process."""
    here = Path(__file__).absolute().parent
    version = (here / "esri_http" / "_version.py").read_bytes()
    own = f"toolbox_{zlib.crc32(os.fsencode(here) + version):08x}"
    sys.modules.setdefault(own, types.ModuleType(own)).__path__ = [str(here)]
    return importlib.import_module(f"{own}.{name}")


esri_http = beside("esri_http")

LAYER_URL = re.compile(r"https?://.+/(Feature|Map)Server/\d+", re.IGNORECASE)


class Stopped(Exception):
    """There is no copy, for a reason that the person should read."""


class Toolbox:
    """The toolbox."""

    def __init__(self):
        self.label = "Copy Layer"
        self.alias = "copylayer"
        self.tools = [CopyLayer]


class CopyLayer:
    """The tool."""

    def __init__(self):
        self.label = "Copy Layer"
        self.description = "Copies the features of a layer, page by page, as whoever is signed in to ArcGIS Pro."

    def getParameterInfo(self):
        """The layer, which of its features, and where to."""
        layer = arcpy.Parameter(
            name="layer", displayName="URL of the layer", direction="Input", datatype="GPString", parameterType="Required"
        )
        where = arcpy.Parameter(
            name="where", displayName="Which features", direction="Input", datatype="GPString", parameterType="Optional"
        )
        where.value = "1=1"
        copy = arcpy.Parameter(
            name="copy", displayName="Copy", direction="Output", datatype="DEFeatureClass", parameterType="Required"
        )
        return [layer, where, copy]

    def isLicensed(self):
        """Every licence will do."""
        return True

    def updateParameters(self, parameters):
        """An address may have been pasted with more around it than is needed."""
        layer = parameters[0]
        if layer.valueAsText:
            layer.value = layer.valueAsText.partition("?")[0].strip(" /")

    def updateMessages(self, parameters):
        """An address that cannot be one of a layer is told before the tool runs."""
        layer = parameters[0]
        if layer.valueAsText and not LAYER_URL.fullmatch(layer.valueAsText):
            layer.setErrorMessage("The URL of a layer ends in /FeatureServer/0, or another number.")

    def execute(self, parameters, messages):
        """Copy to memory, and from there, once all of it has come, to where it was asked for."""
        layer, where, copy = (parameter.valueAsText for parameter in parameters)
        arcpy.env.autoCancelling = False  # else cancelling would leave behind what has come so far
        arcpy.SetProgressor("step", "Signing in", 0, 100)
        arrived = arcpy.CreateUniqueName("copy_layer", "memory")
        try:
            with esri_http.EsriSession(auth=esri_http.ArcGISProAuth()) as session:
                count = copy_features(session, layer, where or "1=1", arrived)
            arcpy.management.CopyFeatures(arrived, copy)
            messages.addMessage(f"{count} features of {layer} are in {copy}.")
        except (esri_http.EsriHttpError, Stopped) as error:
            messages.addErrorMessage(str(error))
            raise arcpy.ExecuteError from None
        finally:
            if arcpy.Exists(arrived):
                arcpy.management.Delete(arrived)
            arcpy.ResetProgressor()
            arcpy.env.autoCancelling = True

    def postExecute(self, parameters):
        """Nothing is left to do."""


def copy_features(session, layer, where, target):
    """Copy the features that `where` selects to `target`, a page at a time; how many there were."""
    size = ask(session, layer).get("maxRecordCount") or 1000
    ids = left = sorted(ask(session, f"{layer}/query", where=where, returnIdsOnly=True).get("objectIds") or [])
    if not ids:
        raise Stopped(f"There is nothing to copy: no feature of {layer} is selected by {where}.")
    count = 0
    while left:
        answer = ask(session, f"{layer}/query", objectIds=",".join(map(str, left[:size])), outFields="*")
        left = rest_after(answer, left, size)
        count += len(answer["features"])
        if answer["features"]:
            add_features(answer, target)
        done = len(ids) - len(left)
        arcpy.SetProgressorLabel(f"{done} of {len(ids)} features")
        arcpy.SetProgressorPosition(100 * done // len(ids))
        if arcpy.env.isCancelled:
            raise Stopped(f"Cancelled after {done} of {len(ids)} features; nothing was written.")
    return count


def ask(session, url, **params):
    """The answer, as JSON; whatever else the server says is an `EsriHttpError`."""
    answer = session.get(url, params={**params, "f": "json"})
    answer.raise_for_error()
    return answer.json()


def rest_after(answer, wanted, size):
    """The object ids that still have to be asked for. A server may cut a page short; who was deleted meanwhile stays out."""
    if not answer.get("exceededTransferLimit"):
        return wanted[size:]
    name = answer["objectIdFieldName"]
    came = {feature["attributes"][name] for feature in answer["features"]}
    rest = [number for number in wanted if number not in came]
    if len(rest) == len(wanted):
        raise Stopped("The server has more features than it gives.")
    return rest


def add_features(answer, target):
    """Write a page of a query to the feature class `target`, which the first one makes."""
    page = arcpy.FeatureSet(json.dumps(answer))
    if arcpy.Exists(target):
        arcpy.management.Append(page, target, "NO_TEST")
    else:
        arcpy.management.CopyFeatures(page, target)
