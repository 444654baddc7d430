"""The program in a real terminal: what a person sees, types and interrupts."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable

from esri_http.testing import EmbeddedPortal, faults
from tests.support.faults import says
from tests.support.peers import HandlerPeer, Reply, ScriptedPeer, json_reply

from .support import Terminal, run

Peers = Callable[..., HandlerPeer]


def test_json_is_indented_on_a_terminal_and_raw_in_a_pipe(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: Reply(200, {"Content-Type": "text/plain"}, '{"b":[1,{}],"a":"Zoë 🗺"}'))
    with Terminal("get", peer.url) as terminal:
        assert terminal.end() == 0
        assert terminal.seen.replace("\r\n", "\n") == '{\n  "b": [\n    1,\n    {}\n  ],\n  "a": "Zoë 🗺"\n}\n'
    with Terminal("get", peer.url, "--raw") as terminal:
        assert terminal.end() == 0
        assert terminal.seen == '{"b":[1,{}],"a":"Zoë 🗺"}'
    with Terminal("get", peer.url, piped_output=True) as terminal:
        assert terminal.end() == 0
        assert terminal.process.stdout is not None
        assert terminal.process.stdout.read().decode() == '{"b":[1,{}],"a":"Zoë 🗺"}'
        assert terminal.seen == ""


def test_json_cannot_control_the_terminal(handler_peer: Peers) -> None:
    value = {"a\x1b[2J": "b\x9b31m\x7f\u202e\u2028\U000e0001\ud800", "c": "\r\n\t"}
    peer = handler_peer(lambda request: json_reply(value))
    with Terminal("get", peer.url) as terminal:
        assert terminal.end() == 0
        assert not set(terminal.seen) & set("\x1b\x9b\x7f\u202e\u2028\U000e0001")
        assert json.loads(terminal.seen) == value


def test_text_cannot_control_the_terminal(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: Reply(200, {"Content-Type": "text/plain; charset=utf-8"}, "a\x1b[2Jb\r\n\tc\x9bé"))
    with Terminal("get", peer.url) as terminal:
        assert terminal.end() == 0
        assert terminal.seen.replace("\r\n", "\n") == "a�[2Jb\n\tc�é\n".replace("\t", "\t")


def test_header_fields_cannot_control_the_terminal(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: Reply(200, {"X-Odd": "a\x9bb"}))
    with Terminal("head", peer.url) as terminal:
        assert terminal.end() == 0
        assert "X-Odd: a" in terminal.seen
        assert "\x9b" not in terminal.seen


def test_what_debug_shows_cannot_control_the_terminal(scripted_peer: Callable[..., ScriptedPeer]) -> None:
    """Others, such as `http.client`, have the words of a server in their errors as they came."""
    peer = scripted_peer(says(b"HTT\x1b[31m\x9b\r\n\r\n"))
    with Terminal("get", peer.url, "--debug") as terminal:
        assert terminal.end() == 5
        assert "HTT�[31m" in terminal.seen
        assert not set(terminal.seen) & set("\x1b\x9b")


def test_an_explanation_has_no_lines_of_the_server(handler_peer: Peers) -> None:
    site = {"isPortal": True, "name": "GIS", "access": "public", "user": {"username": "amy\x1b[31m\n  because  row\u202e"}}
    peer = handler_peer(lambda request: json_reply(site) if "portals/self" in request.target else json_reply({}, status=404))
    with Terminal("whoami", "--portal", peer.url, "--debug", "-v", env={"ESRI_HTTP_TOKEN": "a-token"}) as terminal:
        assert terminal.end() == 0
        assert " ms esri_http." in terminal.seen
        assert not set(terminal.seen) & set("\x1b\u202e")
        assert not re.search("^ *because *row", terminal.seen, re.MULTILINE)


def test_bytes_that_are_no_text_stay_away_from_the_terminal(handler_peer: Peers) -> None:
    peer = handler_peer(lambda request: Reply(200, {"Content-Type": "image/png"}, b"\x89PNG\0\x1b"))
    with Terminal("get", peer.url) as terminal:
        assert terminal.end() == 6
        assert "-o FILE" in terminal.seen
        assert "PNG" not in terminal.seen
    assert run("get", peer.url, "-o", "-").raw == b"\x89PNG\0\x1b"


def test_json_that_breaks_off_is_shown_as_it_came(portal: EmbeddedPortal) -> None:
    portal.faults.add("/info", faults.invalid_json(b'{"features": ['))
    with Terminal("get", portal.portal_url + "/sharing/rest/info") as terminal:
        assert terminal.end() == 0
        assert terminal.seen == '{"features": [\r\n'


def test_a_token_is_asked_for_unseen(portal: EmbeddedPortal) -> None:
    token = portal.issue_token("amy", referer="http")
    with Terminal("get", portal.layer_url, "--token-stdin", "--portal", portal.portal_url) as terminal:
        terminal.wait_for("Enter the token: ")
        assert not terminal.echoes()
        terminal.type(token + "\n")
        assert terminal.end() == 0
        assert '"name": "Places"' in terminal.seen
        assert token not in terminal.seen
        assert terminal.echoes()


def test_the_question_for_a_secret_is_no_part_of_the_output(portal: EmbeddedPortal) -> None:
    token = portal.issue_token("amy", referer="http")
    arguments = ("get", portal.layer_url, "--token-stdin", "--portal", portal.portal_url)
    with Terminal(*arguments, piped_output=True) as terminal:
        terminal.wait_for("Enter the token: ")
        terminal.type(token + "\n")
        assert terminal.end() == 0
        assert terminal.process.stdout is not None
        assert json.loads(terminal.process.stdout.read())["name"] == "Places"


def test_ctrl_c_at_a_question_ends_the_program_and_the_terminal_shows_what_is_typed_again(portal: EmbeddedPortal) -> None:
    with Terminal("get", portal.layer_url, "--token-stdin", "--portal", portal.portal_url) as terminal:
        terminal.wait_for("Enter the token: ")
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.seen.splitlines() == ["Enter the token: ", "Interrupted."]
        assert terminal.echoes()
    assert portal.requests == []


def test_an_empty_answer_is_no_secret(portal: EmbeddedPortal) -> None:
    for typed in ("\n", "\x04"):
        with Terminal("get", portal.layer_url, "--token-stdin") as terminal:
            terminal.wait_for("Enter the token: ")
            terminal.type(typed)
            assert terminal.end() == 3
            assert "\r\nesri-http: Nothing was entered. --token-stdin reads the token from the input.\r\n" in terminal.seen


def test_what_is_typed_in_another_encoding_is_told(portal: EmbeddedPortal) -> None:
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for question, *typed in [("User name: ", "zoë\n"), ("password for amy", "amy\n", "pässword\n")]:
        with Terminal("login", portal.portal_url, env=env) as terminal:
            terminal.wait_for("User name: ")
            terminal.type(typed[0])
            terminal.wait_for(question)
            for text in typed[1:]:
                terminal.type(text)
            assert terminal.end() == 6
            assert "What was entered is no text in" in terminal.seen
            assert "Traceback" not in terminal.seen


def test_ctrl_c_in_the_middle_of_an_answer_ends_the_program(portal: EmbeddedPortal) -> None:
    never = threading.Event()
    portal.faults.add("/exportImage", faults.stalled(never, after=100_000))
    try:
        with Terminal("get", portal.public_image_url + "?f=image&size=300000", piped_output=True) as terminal:
            assert terminal.process.stdout is not None
            assert terminal.process.stdout.read(1)
            terminal.type("\x03")
            assert terminal.end() == 130
            assert terminal.seen.splitlines()[-1] == "Interrupted."
            assert "Traceback" not in terminal.seen
    finally:
        never.set()
