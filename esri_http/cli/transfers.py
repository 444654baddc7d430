"""`esri-http download` and `esri-http upload`: whole files, with progress on a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..transfers.local import check_place, is_folder
from . import sign_in
from .fields import add_fields, has_format, local_file, plain_fields
from .output import Wanted, show
from .progress import progress
from .terminal import write

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command that `parser` is for."""
    if parser.get_default("command") == "download":
        parser.add_argument("url", metavar="URL", help="what to fetch; nothing is added to it but -F")
        parser.add_argument("file", metavar="FILE", help="where to write it; a folder takes the name that the server gives")
        add_fields(parser, "a query parameter")
        parser.add_argument(
            "--no-resume", dest="resume", action="store_false", help="begin anew, also where a part is there already"
        )
    else:
        parser.add_argument("url", metavar="URL", help="where to send it")
        parser.add_argument("file", metavar="FILE", help="what to send")
        add_fields(parser, "a form field besides; f=json is added where there is no f")
        parser.add_argument("--field", default="file", metavar="NAME", help="the form field of the file; default: file")
    sign_in.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Fetch or send the file; returns the exit status 0. Raises the errors of `esri_http.words.errors`."""
    if any(field.is_file for field in chosen.fields):
        chosen.parser.error("-F takes a text here; the file is FILE")
    return _download(chosen) if chosen.command == "download" else _upload(chosen)


def _download(chosen: argparse.Namespace) -> int:
    """Fetch, and print where the file is."""
    params = plain_fields(chosen.fields) or None
    check_place(os.path.abspath(chosen.file), is_folder(chosen.file))  # before anybody is asked for a password
    with sign_in.session_for(chosen, chosen.url) as session, progress(chosen.file) as shows:
        path = session.download(chosen.url, chosen.file, progress=shows, resume=chosen.resume, params=params)
    write(path + "\n")
    return 0


def _upload(chosen: argparse.Namespace) -> int:
    """Send, and show the answer."""
    data = plain_fields(chosen.fields)
    local_file(chosen.file)
    if not has_format(chosen.url, chosen.fields):
        data.append(("f", "json"))
    with sign_in.session_for(chosen, chosen.url) as session:
        with progress(chosen.file) as shows:
            response = session.upload(chosen.url, chosen.file, field=chosen.field, data=data, progress=shows, stream=True)
        with response:
            show(response, Wanted())
    return 0
