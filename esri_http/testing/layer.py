"""A point layer that can be described, queried in pages, and edited, as `FeatureServer/0` can."""

from __future__ import annotations

import json
import math
import threading
import uuid
from collections.abc import Iterable
from typing import Any

from .places import Place
from .where import WhereError, parse_where

_FIELDS = (
    ("OBJECTID", "esriFieldTypeOID"),
    ("NAME", "esriFieldTypeString"),
    ("COUNTRY", "esriFieldTypeString"),
    ("POPULATION", "esriFieldTypeInteger"),
)
_SPELLING = {name: name for name, _ in _FIELDS}
_WGS84 = {"wkid": 4326, "latestWkid": 4326}
_WEB_MERCATOR = {"wkid": 102100, "latestWkid": 3857}
_EARTH_RADIUS = 6378137.0


class LayerError(Exception):
    """A request that the layer refuses; `details` go into the error envelope (code 400)."""

    def __init__(self, *details: str) -> None:
        super().__init__(*details)
        self.details = list(details)


class Feature:
    """One point: attributes with their `OBJECTID`, longitude and latitude in degrees."""

    __slots__ = ("attributes", "x", "y")

    def __init__(self, attributes: dict[str, Any], x: float, y: float) -> None:
        self.attributes = attributes
        self.x = x
        self.y = y

    @property
    def object_id(self) -> int:
        """The number that the layer knows it by."""
        return int(self.attributes["OBJECTID"])


class PlacesLayer:
    """The places of the world as a layer. Safe for threads."""

    def __init__(self, places: Iterable[Place], max_record_count: int = 50) -> None:
        #: Features that one answer holds at most.
        self.max_record_count = max_record_count
        self._lock = threading.Lock()
        self._features: dict[int, Feature] = {}
        self._next_id = 1
        for place in places:
            attributes = {"NAME": place.name, "COUNTRY": place.country, "POPULATION": place.population}
            self._insert(attributes, place.longitude, place.latitude)

    def __len__(self) -> int:
        return len(self._features)

    # -- description and query -----------------------------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """The layer as its own URL describes it."""
        return {
            "currentVersion": 11.3,
            "id": 0,
            "name": "Places",
            "type": "Feature Layer",
            "displayField": "NAME",
            "description": "Capitals and large cities of the world.",
            "geometryType": "esriGeometryPoint",
            "extent": {"xmin": -180, "ymin": -90, "xmax": 180, "ymax": 90, "spatialReference": _WGS84},
            "objectIdField": "OBJECTID",
            "fields": _field_descriptions([name for name, _ in _FIELDS]),
            "maxRecordCount": self.max_record_count,
            "supportedQueryFormats": "JSON",
            "capabilities": "Create,Delete,Query,Update,Uploads,Editing",
            "advancedQueryCapabilities": {"supportsPagination": True, "supportsOrderBy": True},
            "hasAttachments": False,
        }

    def query(self, parameters: dict[str, str]) -> dict[str, Any]:
        """The answer to `query`. Raises `LayerError`."""
        found = self._select(parameters)
        if _flag(parameters, "returnCountOnly"):
            return {"count": len(found)}
        _sort(found, parameters.get("orderByFields", ""))
        if _flag(parameters, "returnIdsOnly"):
            return {"objectIdFieldName": "OBJECTID", "objectIds": [feature.object_id for feature in found]}
        offset = _number(parameters, "resultOffset", 0)
        count = min(_number(parameters, "resultRecordCount", self.max_record_count), self.max_record_count)
        names = _out_fields(parameters.get("outFields", ""))
        reference = _out_reference(parameters.get("outSR", ""))
        has_geometry = _flag(parameters, "returnGeometry", True)
        page = found[offset : offset + count]
        answer: dict[str, Any] = {
            "objectIdFieldName": "OBJECTID",
            "globalIdFieldName": "",
            "geometryType": "esriGeometryPoint",
            "spatialReference": reference,
            "fields": _field_descriptions(names),
            "features": [_drawn(feature, names, reference, has_geometry) for feature in page],
        }
        if offset + count < len(found):
            answer["exceededTransferLimit"] = True
        return answer

    def _select(self, parameters: dict[str, str]) -> list[Feature]:
        where, ids = parameters.get("where", "").strip(), parameters.get("objectIds", "").strip()
        if not where and not ids:
            raise LayerError("'where' clause or 'objectIds' must be specified.")
        with self._lock:
            features = list(self._features.values())
        if ids:
            wanted = _ids(ids)
            features = [feature for feature in features if feature.object_id in wanted]
        if where:
            try:
                test = parse_where(where, _SPELLING)
            except WhereError as error:
                raise LayerError("'Invalid query parameters'", f"'where': {error}") from None
            features = [feature for feature in features if test(feature.attributes)]
        return features

    # -- editing -------------------------------------------------------------------------------------------------------

    def add_features(self, text: str) -> list[dict[str, Any]]:
        """Add features given as JSON; one result each. Raises `LayerError` where it is no list of features."""
        results = []
        for feature in _feature_list(text):
            geometry = feature.get("geometry") or {}
            try:
                x, y = float(geometry.get("x", 0)), float(geometry.get("y", 0))
            except (AttributeError, TypeError, ValueError):
                results.append(_failure(-1, "Geometry is not a point."))
                continue
            with self._lock:
                results.append(_success(self._insert(_known(feature), x, y)))
        return results

    def update_features(self, text: str) -> list[dict[str, Any]]:
        """Change the attributes of features that are named by their `OBJECTID`."""
        results = []
        for feature in _feature_list(text):
            object_id = (feature.get("attributes") or {}).get("OBJECTID")
            with self._lock:
                old = self._features.get(object_id) if isinstance(object_id, int) else None
                if old is None:
                    results.append(_failure(object_id, "Object is missing."))
                    continue
                # A new object: whoever reads the old one just now reads all of it.
                attributes = {**old.attributes, **_known(feature), "OBJECTID": old.object_id}
                self._features[old.object_id] = Feature(attributes, old.x, old.y)
            results.append(_success(old.object_id))
        return results

    def delete_features(self, parameters: dict[str, str]) -> list[dict[str, Any]]:
        """Delete what `where` or `objectIds` select."""
        found = self._select(parameters)
        with self._lock:
            for feature in found:
                self._features.pop(feature.object_id, None)
        return [_success(feature.object_id) for feature in found]

    def _insert(self, attributes: dict[str, Any], x: float, y: float) -> int:
        object_id = self._next_id
        self._next_id += 1
        blank = {"OBJECTID": object_id, "NAME": None, "COUNTRY": None, "POPULATION": None}
        self._features[object_id] = Feature({**blank, **attributes, "OBJECTID": object_id}, x, y)
        return object_id


def _flag(parameters: dict[str, str], name: str, default: bool = False) -> bool:
    text = parameters.get(name, "")
    return text.lower() in ("true", "1") if text else default


def _number(parameters: dict[str, str], name: str, default: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise LayerError(f"'{name}' is no number.")
    return int(text)


def _ids(text: str) -> set[int]:
    try:
        return {int(part) for part in text.strip("[]").split(",")}
    except ValueError:
        raise LayerError("'objectIds' are no numbers.") from None


def _out_fields(text: str) -> list[str]:
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    if not names:
        return ["OBJECTID"]
    if "*" in names:
        return list(_SPELLING)
    unknown = [name for name in names if name not in _SPELLING]
    if unknown:
        raise LayerError("'Invalid field: " + unknown[0] + "' parameter is invalid")
    return names


def _out_reference(text: str) -> dict[str, int]:
    if text.strip().startswith("{"):
        try:
            text = str(json.loads(text).get("wkid"))
        except ValueError:
            raise LayerError("'outSR' is no spatial reference.") from None
    if text in ("", "4326"):
        return _WGS84
    if text in ("102100", "3857"):
        return _WEB_MERCATOR
    raise LayerError("'outSR' is none of 4326, 3857 and 102100.")


def _sort(features: list[Feature], order: str) -> None:
    """Sort in place; the last key first, because sorting is stable."""
    features.sort(key=lambda feature: feature.object_id)
    for part in reversed([part.split() for part in order.split(",") if part.strip()]):
        name, descending = part[0].upper(), len(part) > 1 and part[1].upper() == "DESC"
        if name not in _SPELLING:
            raise LayerError("'orderByFields' parameter is invalid")
        features.sort(key=lambda feature: _sort_key(feature.attributes[name]), reverse=descending)


def _sort_key(value: Any) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    return (1, float(value), "") if isinstance(value, (int, float)) else (2, 0.0, str(value))


def _field_descriptions(names: list[str]) -> list[dict[str, Any]]:
    kinds = dict(_FIELDS)
    return [{"name": name, "type": kinds[name], "alias": name.title(), "nullable": name != "OBJECTID"} for name in names]


def _drawn(feature: Feature, names: list[str], reference: dict[str, int], has_geometry: bool) -> dict[str, Any]:
    drawn: dict[str, Any] = {"attributes": {name: feature.attributes[name] for name in names}}
    if has_geometry:
        x, y = feature.x, feature.y
        if reference is _WEB_MERCATOR:
            x = math.radians(x) * _EARTH_RADIUS
            y = math.log(math.tan(math.pi / 4 + math.radians(max(-85.05, min(85.05, y))) / 2)) * _EARTH_RADIUS
        drawn["geometry"] = {"x": x, "y": y}
    return drawn


def _feature_list(text: str) -> list[dict[str, Any]]:
    try:
        features = json.loads(text or "[]")
    except ValueError:
        raise LayerError("'features' is no JSON.") from None
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise LayerError("'features' is no list of features.")
    return features


def _known(feature: dict[str, Any]) -> dict[str, Any]:
    attributes = feature.get("attributes")
    return {name: value for name, value in attributes.items() if name in _SPELLING} if isinstance(attributes, dict) else {}


def _success(object_id: int) -> dict[str, Any]:
    return {"objectId": object_id, "globalId": "{" + str(uuid.uuid4()).upper() + "}", "success": True}


def _failure(object_id: Any, text: str) -> dict[str, Any]:
    return {"objectId": object_id, "success": False, "error": {"code": 1019, "description": text}}
