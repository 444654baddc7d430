"""`esri-http get|post|put|delete|head`: one request with any sign-in, its answer to the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import sign_in
from .fields import Field, add_fields, has_format, local_file, plain_fields, upload_files
from .output import Wanted, check_place, show

if TYPE_CHECKING:
    import argparse

    from ..messages.response import Response
    from ..session import EsriSession

_WITH_BODY = ("post", "put")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command that `parser` is for."""
    command = parser.get_default("command")
    parser.add_argument("url", metavar="URL", help="what to ask for: an absolute http(s) URL")
    if command in _WITH_BODY:
        add_fields(parser, "a form field; K=@FILE sends a file (multipart), K=@@TEXT a text that begins with @")
        parser.add_argument(
            "-d", "--data", metavar="DATA",
            help="the body as it is: text (sent as JSON where it looks like it, else as a form), @FILE, or @- for the input",
        )  # fmt: skip
    else:
        add_fields(parser, f"a query parameter{'; what is too long for a URL goes out as POST' if command == 'get' else ''}")
    parser.add_argument("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="a header field")
    if command != "head":
        parser.add_argument("-o", "--output", metavar="FILE", help="write the answer into FILE, once all of it is there")
        parser.add_argument("-i", "--include", action="store_true", help="show status and header fields, too")
    shown = "" if command == "head" else "show the answer byte by byte, and "
    without = ", without -d" if command in _WITH_BODY else ""
    help_of_raw = f"{shown}do not add f=json (it is added where URL and -F have no f{without})"
    parser.add_argument("--raw", action="store_true", help=help_of_raw)
    sign_in.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Send the request and show the answer; returns the exit status 0. Raises the errors of `esri_http.words.errors`."""
    fields: list[Field] = chosen.fields
    is_json = not chosen.raw and has_format(chosen.url, fields, ("json", "pjson", "geojson"))
    if not chosen.raw and getattr(chosen, "data", None) is None and not has_format(chosen.url, fields):
        fields, is_json = [*fields, Field("f", "json")], True
    options = _body(chosen, fields)
    options["headers"] = _headers(chosen)
    include = chosen.command == "head" or chosen.include
    wanted = Wanted(include, chosen.raw, is_json, getattr(chosen, "output", None))
    check_place(wanted.path)
    with sign_in.session_for(chosen, chosen.url) as session, _sent(session, chosen, options) as response:
        show(response, wanted)
    return 0


def _sent(session: EsriSession, chosen: argparse.Namespace, options: dict[str, Any]) -> Response:
    # The time for a call is up to the head of the answer here; what is sent from a file or the input may take longer.
    if "files" in options or not isinstance(options.get("data", b""), (bytes, list)):
        options["deadline"] = None
    return session.request(chosen.command.upper(), chosen.url, stream=True, **options)


def _body(chosen: argparse.Namespace, fields: list[Field]) -> dict[str, Any]:
    """Where the fields or the data go."""
    if chosen.command not in _WITH_BODY:
        if any(field.is_file for field in fields):
            chosen.parser.error("a file goes with post, put or upload: it cannot be part of a URL")
        return {"params": plain_fields(fields)} if fields else {}
    if chosen.data is not None:
        if fields:
            chosen.parser.error("-d is the whole body: it goes without -F")
        return {"data": _data(chosen)}
    if any(field.is_file for field in fields):
        return {"data": plain_fields(fields), "files": upload_files(fields)}
    return {"data": plain_fields(fields)} if fields else {}


def _data(chosen: argparse.Namespace) -> Any:
    """The body of `-d`."""
    text: str = chosen.data
    if text == "@-":
        return sign_in.input_stream(chosen, "-d @-")
    if text.startswith("@"):
        return local_file(text[1:])
    try:
        return text.encode()
    except UnicodeEncodeError:
        return chosen.parser.error("-d holds bytes that are no text; put them into a file, and give -d @FILE")


def _headers(chosen: argparse.Namespace) -> dict[str, str]:
    """The header fields of `-H`, and the content type of `-d`."""
    headers: dict[str, str] = {}
    for text in chosen.header:
        name, mark, value = text.partition(":")
        if not mark or not name.strip():
            chosen.parser.error("a header field is written 'Name: value'")
        headers[name.strip()] = value.strip()
    data = getattr(chosen, "data", None)
    if data is not None and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = _kind_of(data)
    return headers


def _kind_of(data: str) -> str:
    if data.startswith("@"):
        from ..messages.multipart import guess_type

        return guess_type(data)
    return "application/json" if data.lstrip()[:1] in ("{", "[") else "application/x-www-form-urlencoded"
