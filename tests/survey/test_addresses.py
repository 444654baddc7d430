"""Addresses as people type them: which site is meant, what was changed, and what is refused with one clear error."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esri_http.auth.sites import Root
from esri_http.survey.addresses import HOME, ONLINE, PRO, SITE, Address, read_address
from esri_http.words.errors import ConfigurationError, EsriHttpError, InvalidUrlError
from esri_http.words.urls import split_url

AGOL = "https://www.arcgis.com"


@pytest.mark.parametrize("text", [None, "", "  ", "\n", '""', "' '"])
def test_nothing_means_arcgis_online(text):
    assert read_address(text) == Address(ONLINE, Root(split_url(AGOL).origin, ""))


@pytest.mark.parametrize("text, kind", [("home", HOME), ("Home", HOME), (" HOME\n", HOME), ("pro", PRO), ('"PRO"', PRO)])
def test_two_names_stand_for_portals_that_are_known_elsewhere(text, kind):
    assert read_address(text) == Address(kind, None)


@pytest.mark.parametrize(
    "text, root",
    [
        ("https://portalname.domain.com/webadapter_name", "https://portalname.domain.com/webadapter_name"),
        ("https://pythonapi.playground.esri.com/portal", "https://pythonapi.playground.esri.com/portal"),
        ("https://portalname.domain.com/webcontext", "https://portalname.domain.com/webcontext"),
        ("  https://h.example/portal/ ", "https://h.example/portal"),
        ("'https://h.example/portal'", "https://h.example/portal"),
        ("h.example/portal", "https://h.example/portal"),
        ("//h.example/portal", "https://h.example/portal"),
        ("h.example:7443/arcgis", "https://h.example:7443/arcgis"),
        ("H.Example:443/Portal", "https://h.example/Portal"),
        ("localhost", "https://localhost"),
        ("[::1]/portal", "https://[::1]/portal"),
        ("http://h.example/portal", "https://h.example/portal"),
        ("http://[::80]/portal", "https://[::80]/portal"),
        ("http://h.example:80/portal", "http://h.example/portal"),
        ("http://h.example:8080/portal", "http://h.example:8080/portal"),
        ("https://h.example/portal?f=json#top", "https://h.example/portal"),
        ("https://h.example/portal/home", "https://h.example/portal"),
        ("https://h.example/portal/home/item.html?id=0123", "https://h.example/portal"),
        ("https://h.example/portal/Home/", "https://h.example/portal"),
        ("https://h.example/home/index.html", "https://h.example"),
        ("https://h.example/homeland", "https://h.example/homeland"),
        ("https://h.example/portal/homeland", "https://h.example/portal/homeland"),
        ("https://h.example/portal/sharing/rest/portals/self", "https://h.example/portal"),
        ("https://h.example/portal/sharing/servers/0123/rest/services/X", "https://h.example/portal"),
        ("https://h.example/portal/portaladmin/security/users", "https://h.example/portal"),
        ("https://h.example/portal/apps/services/x.html", "https://h.example/portal"),
        ("https://h.example/portal/index.html", "https://h.example/portal"),
        ("https://h.example/portal/Default.aspx", "https://h.example/portal"),
        ("https://h.example//gis///portal//", "https://h.example/gis/portal"),
        ("https://h.example/a/../portal/./", "https://h.example/portal"),
        ("https://h.example/services", "https://h.example/services"),
        ("https://h.example/admin/", "https://h.example/admin"),
        ("https://h.example/arcgis", "https://h.example/arcgis"),
    ],
)  # fmt: skip
def test_a_site_is_found_from_any_of_its_pages(text, root):
    address = read_address(text)
    assert (address.kind, str(address.root), address.is_server) == (SITE, root, False)


@pytest.mark.parametrize(
    "text, root",
    [
        ("https://h.example/arcgis/rest/services/A/MapServer/0", "https://h.example/arcgis"),
        ("h.example/arcgis/rest/services?f=json", "https://h.example/arcgis"),
        ("http://h.example:6080/arcgis/rest/services", "http://h.example:6080/arcgis"),
        ("https://h.example/rest/services", "https://h.example"),
        ("https://h.example/services/rest/services", "https://h.example/services"),
        ("https://h.example/arcgis/rest/services/home/MapServer", "https://h.example/arcgis"),
        ("https://h.example/arcgis/rest/info", "https://h.example/arcgis"),
        ("https://h.example/arcgis/rest/admin/services/A", "https://h.example/arcgis"),
        ("https://h.example:6443/arcgis/admin", "https://h.example:6443/arcgis"),
        ("https://h.example:6443/arcgis/admin/services/X", "https://h.example:6443/arcgis"),
        ("https://h.example/arcgis/manager/site.html", "https://h.example/arcgis"),
        ("https://h.example/arcgis/tokens/generateToken", "https://h.example/arcgis"),
        ("https://h.example/arcgis/services/X/MapServer/WMSServer", "https://h.example/arcgis"),
    ],
)
def test_a_url_of_a_server_leads_to_its_root(text, root):
    address = read_address(text)
    assert (address.kind, str(address.root), address.is_server) == (SITE, root, True)


@pytest.mark.parametrize(
    "text, root",
    [
        ("https://www.arcgis.com", AGOL),
        ("http://www.arcgis.com/", AGOL),
        ("http://www.arcgis.com:80/", AGOL),
        ("arcgis.com", AGOL),
        ("www.arcgis.com/home/item.html?id=0", AGOL),
        ("https://geosaurus.maps.arcgis.com", "https://geosaurus.maps.arcgis.com"),
        ("geosaurus.maps.arcgis.com/apps/mapviewer/index.html?layers=1", "https://geosaurus.maps.arcgis.com"),
        ("https://org.mapsdev.arcgis.com/home", "https://org.mapsdev.arcgis.com"),
        ("https://services.arcgis.com/AbC/arcgis/rest/services/X/FeatureServer", AGOL),
        ("https://services1.arcgis.com", AGOL),
        ("https://tiles.arcgis.com/tiles/AbC/arcgis/rest/services/X/MapServer", AGOL),
        ("https://route.arcgis.com/arcgis/rest/services/World/Route", AGOL),
        ("https://servicesdev.arcgis.com/x/arcgis/rest/services", "https://devext.arcgis.com"),
        ("https://servicesqa.arcgis.com/x/arcgis/rest/services", "https://qaext.arcgis.com"),
        ("https://devext.arcgis.com/sharing/rest", "https://devext.arcgis.com"),
    ],
)
def test_hosts_of_arcgis_online_mean_an_organisation_or_its_environment(text, root):
    address = read_address(text)
    assert (address.kind, str(address.root), address.is_server) == (ONLINE, root, False)


@pytest.mark.parametrize(
    "text", ["https://evilarcgis.com", "https://www.arcgis.com.evil.example", "https://h.example/arcgis.com"]
)
def test_only_arcgis_online_is_arcgis_online(text):
    address = read_address(text)
    assert (address.kind, str(address.root)) == (SITE, text)


@pytest.mark.parametrize(
    "text, words",
    [
        ("h.example/portal", ["https is assumed"]),
        ("http://h.example/portal", ["http is made https"]),
        ("https://h.example/portal/home?token=s3cret", ["? or #", "/home is left out"]),
        ("https://h.example/arcgis/rest/services", ["/rest/services is left out"]),
        ("https://www.arcgis.com/home", ["the path is left out"]),
        ("https://services.arcgis.com", ["whose site is https://www.arcgis.com"]),
        ("http://www.arcgis.com:80", ["over https"]),
    ],
)
def test_what_was_changed_is_said(text, words):
    notes = read_address(text).notes
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes))
    assert "s3cret" not in str(notes)


@pytest.mark.parametrize("text", ["https://h.example/portal", " https://h.example/portal/ ", "https://www.arcgis.com/", "home"])
def test_nothing_is_said_where_nothing_was_changed(text):
    assert read_address(text).notes == ()


@pytest.mark.parametrize(
    "text", ["https://amy@h.example/", "https://amy:pass-w0rd@h.example/portal", "amy:pass-w0rd@h.example"]
)
def test_a_user_name_in_the_address_is_refused_and_not_shown(text):
    with pytest.raises(ConfigurationError, match="username=") as caught:
        read_address(text)
    assert "pass-w0rd" not in f"{caught.value!r} {caught.value.url} {caught.value.__dict__}"


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h.example/", "file:/etc/passwd", "http:/h.example/x", "mailto:amy@h.example:x", "C:\\gis\\portal", "a b", "https://",
        "https://h.example:0", "https://h.example:99999", "h\n/x", "https://[::1", "https://h..example", "\ud800", "?", "#",
        "/portal", "https://h.example\\portal", 5, b"https://h.example", ["https://h.example"],
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_an_example_of_one(text):
    with pytest.raises((InvalidUrlError, ConfigurationError)) as caught:
        read_address(text)
    assert "https://gis.example.com/portal" in str(caught.value) or "username=" in str(caught.value)


PIECES = st.sampled_from(
    [
        "https://",
        "http://",
        "//",
        ":",
        "@",
        "/",
        "\\",
        "?",
        "#",
        "home",
        "sharing",
        "rest/services",
        ".arcgis.com",
        ":80",
        "[::1]",
    ]
)


def answer_to(text: object) -> str:
    """The root that a text leads to, or the words of the error of ours."""
    try:
        address = read_address(text)
    except EsriHttpError as error:
        return f"! {error}"
    assert (address.root is None) == (address.kind in (HOME, PRO))
    return str(address.root or address.kind)


@settings(max_examples=1000)
@given(st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=4))).map("".join)))
def test_garbage_gives_an_address_or_an_error_of_ours(text):
    begun = time.process_time()
    found = answer_to(text)
    assert time.process_time() - begun < 1
    assert found.strip("! ")
    assert not found.endswith("/")


@pytest.mark.parametrize("text", ["https://h/" + "/sharing" * 100_000, "h" + "/" * 1_000_000, "h" * 1_000_000, "@" * 1_000_000])
def test_a_very_long_address_is_read_promptly(text):
    begun = time.process_time()
    assert len(answer_to(text)) < 2000
    assert time.process_time() - begun < 2
