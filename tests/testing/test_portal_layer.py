"""The layers of the embedded portal: places, queries, edits, downloads and uploads."""

from __future__ import annotations

import hashlib
import http.client
import json

import pytest

from esri_http.testing import all_places, pattern_sha256


def query(client, portal, **parameters):
    return client.get(portal.public_layer_url + "/query", **parameters).json


def names(answer):
    return [feature["attributes"]["NAME"] for feature in answer["features"]]


def test_there_are_at_least_two_hundred_plausible_places():
    places = all_places()
    assert len(places) >= 200
    assert len({(place.name, place.country) for place in places}) == len(places)
    for place in places:
        assert -60 < place.latitude < 75
        assert -180 <= place.longitude <= 180
        assert 0 < place.population < 30_000_000
        assert place.name.strip() == place.name
        assert place.country


def test_paging_reads_every_place_exactly_once(client, portal):
    seen = []
    pages = 0
    while True:
        answer = query(client, portal, where="1=1", outFields="*", resultOffset=len(seen))
        seen += [(f["attributes"]["NAME"], f["attributes"]["COUNTRY"]) for f in answer["features"]]
        pages += 1
        if not answer.get("exceededTransferLimit"):
            break
        assert len(answer["features"]) == 50
    assert seen == [(place.name, place.country) for place in all_places()]
    assert pages == -(-len(seen) // 50)


def test_the_description_of_a_layer_names_limits_and_fields(client, portal):
    layer = client.get(portal.public_layer_url).json
    assert layer["maxRecordCount"] == 50
    assert layer["geometryType"] == "esriGeometryPoint"
    assert [field["name"] for field in layer["fields"]] == ["OBJECTID", "NAME", "COUNTRY", "POPULATION"]
    service = client.get(portal.public_layer_url.rpartition("/")[0]).json
    assert service["layers"][0]["id"] == 0


def test_post_answers_as_get_does(client, portal):
    posted = client.post(portal.public_layer_url + "/query", where="COUNTRY='Japan'", outFields="NAME").json
    assert posted == query(client, portal, where="COUNTRY='Japan'", outFields="NAME")
    assert "Ōsaka" in names(posted)


@pytest.mark.parametrize(
    "where, expected",
    [
        ("NAME = 'Paris'", ["Paris"]),
        ("name='Côte''s'", []),
        ("COUNTRY = 'Côte d''Ivoire'", ["Yamoussoukro", "Abidjan"]),
        ("OBJECTID >= 2 AND OBJECTID < 4", ["Tirana", "Algiers"]),
        ("OBJECTID BETWEEN 1 AND 2", ["Kabul", "Tirana"]),
        ("OBJECTID IN (1, 3)", ["Kabul", "Algiers"]),
        ("NAME LIKE 'San_iago%'", ["Santiago"]),
        ("NAME LIKE 'Santi%' AND POPULATION > 1000000", ["Santiago"]),
        ("NAME IS NULL", []),
        ("1=0", []),
        ("NAME > 5", []),
    ],
)
def test_a_where_selects(client, portal, where, expected):
    assert names(query(client, portal, where=where, outFields="NAME")) == expected


LONG = "OBJECTID=" + "9" * 5000


@pytest.mark.parametrize(
    "where", ["", "NAME =", "NAME ~ 'x'", "NOBODY = 1", "1=1 OR 1=1", "1=1; DROP", "OBJECTID IN (1", "'x", LONG]
)
def test_a_where_that_is_not_understood_is_an_error_inside_200(client, portal, where):
    answer = query(client, portal, where=where)
    assert answer["error"]["code"] == 400
    assert answer["error"]["details"]


def test_counts_ids_and_object_ids(client, portal):
    assert query(client, portal, where="1=1", returnCountOnly="true") == {"count": len(all_places())}
    ids = query(client, portal, where="1=1", returnIdsOnly="true")
    assert ids == {"objectIdFieldName": "OBJECTID", "objectIds": list(range(1, len(all_places()) + 1))}
    assert names(query(client, portal, objectIds="2,1,999999", outFields="NAME")) == ["Kabul", "Tirana"]


def test_order_fields_geometry_and_reference_are_as_asked(client, portal):
    answer = query(client, portal, where="1=1", outFields="NAME", orderByFields="POPULATION DESC", resultRecordCount=1)
    assert answer["features"] == [{"attributes": {"NAME": "Shanghai"}, "geometry": {"x": 121.47, "y": 31.23}}]
    assert answer["spatialReference"]["wkid"] == 4326
    assert answer["exceededTransferLimit"] is True
    bare = query(client, portal, objectIds=1, returnGeometry="false")
    assert bare["features"] == [{"attributes": {"OBJECTID": 1}}]
    projected = query(client, portal, where="NAME='Quito'", outSR="3857")["features"][0]["geometry"]
    assert projected["x"] == pytest.approx(-8735000, abs=2000)
    assert projected["y"] == pytest.approx(-20040, abs=50)


@pytest.mark.parametrize(
    "parameters",
    [{"outFields": "NONE"}, {"resultOffset": "x"}, {"outSR": "27700"}, {"orderByFields": "X"}, {"objectIds": "a"}],
)
def test_a_wrong_parameter_is_an_error_inside_200(client, portal, parameters):
    assert query(client, portal, **{"where": "1=1", **parameters})["error"]["code"] == 400


def test_features_are_added_changed_and_deleted(client, portal):
    url = portal.public_layer_url
    feature = {"attributes": {"NAME": "Atlantis", "POPULATION": 1}, "geometry": {"x": -30, "y": 35}}
    added = client.post(url + "/addFeatures", features=json.dumps([feature])).json["addResults"]
    assert added[0]["success"] is True
    number = added[0]["objectId"]
    change = {"attributes": {"OBJECTID": number, "POPULATION": 2}}
    lost = {"attributes": {"OBJECTID": -1}}
    results = client.post(url + "/applyEdits", updates=json.dumps([change, lost]), deletes="1").json
    assert [result["success"] for result in results["updateResults"]] == [True, False]
    assert results["deleteResults"][0]["objectId"] == 1
    atlantis = query(client, portal, where="NAME='Atlantis'", outFields="*")["features"][0]
    assert (atlantis["attributes"]["POPULATION"], atlantis["geometry"]) == (2, {"x": -30.0, "y": 35.0})
    client.post(url + "/deleteFeatures", where="NAME='Atlantis'")
    assert query(client, portal, where="1=1", returnCountOnly="true") == {"count": len(all_places()) - 1}
    assert client.get(url + "/addFeatures").error_code == 405
    assert client.post(url + "/addFeatures", features="{").error_code == 400


@pytest.mark.parametrize("size", [0, 1, 65536, 300_001])
def test_an_image_has_the_size_that_was_asked_for(client, portal, bearer, size):
    token = portal.issue_token("amy", server_url=portal.server_url)
    reply = client.get(portal.image_url, bearer(token), f="image", size=size)
    assert reply.headers["Content-Length"] == str(size)
    assert hashlib.sha256(reply.body).hexdigest() == pattern_sha256(size)
    chunked = client.get(portal.public_image_url, f="image", size=size, chunked="true")
    assert chunked.headers["Transfer-Encoding"] == "chunked"
    assert chunked.body == reply.body


def test_an_image_without_a_token_is_an_envelope_or_page_and_json_tells_where_it_is(client, portal):
    assert client.get(portal.image_url).error_code == 499
    assert client.get(portal.image_url, f="image").status == 499
    told = client.get(portal.public_image_url, size=10).json
    assert len(client.send("GET", told["href"]).body) == 10


MULTIPART = "multipart/form-data; boundary=xx-yy"


def multipart(content, token=None, last_line=b"\r\n"):
    fields = b'--xx-yy\r\nContent-Disposition: form-data; name="f"\r\n\r\njson\r\n'
    file = b'--xx-yy\r\nContent-Disposition: form-data; name="file"; filename="zo\xc3\xab.bin"\r\n'
    file += b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"
    after = b"" if token is None else b'--xx-yy\r\nContent-Disposition: form-data; name="token"\r\n\r\n%s\r\n' % token.encode()
    return fields + file + after + b"--xx-yy--" + last_line


@pytest.mark.parametrize("last_line", [b"\r\n", b""])
@pytest.mark.parametrize("content", [b"", b"\r\n--xx-y\r\n--xx", bytes(range(256)) * 4000])
def test_an_upload_is_measured_and_hashed(client, portal, content, last_line):
    token = portal.issue_token("amy", server_url=portal.server_url)
    body = multipart(content, token, last_line)
    reply = client.send("POST", portal.upload_url, body, {"Content-Type": MULTIPART})
    item = reply.json["item"]
    assert (item["size"], item["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (item["itemName"], item["field"]) == ("zoë.bin", "file")
    record = portal.requests[-1]
    assert record.body_size == len(body)
    assert record.files[0].name == "zoë.bin"
    assert client.send("POST", portal.upload_url, multipart(content), {"Content-Type": MULTIPART}).error_code == 499


@pytest.mark.parametrize("charset", ["bogus", "hex", "idna"])
def test_a_form_in_an_unknown_encoding_ends_the_connection_and_nothing_else(client, portal, charset):
    with pytest.raises((OSError, http.client.HTTPException)):
        client.send("POST", portal.token_url, b"abc", {"Content-Type": f"multipart/form-data; boundary*={charset}''x"})


def test_a_chunked_upload_is_understood(client, portal):
    token = portal.issue_token("amy", server_url=portal.server_url)
    body = multipart(b"abc" * 1000, token)
    pieces = (body[at : at + 97] for at in range(0, len(body), 97))
    reply = client.send("POST", portal.upload_url, pieces, {"Content-Type": MULTIPART})
    assert reply.json["item"]["size"] == 3000
