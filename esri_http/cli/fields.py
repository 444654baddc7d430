"""`-F K=V`: form fields and query parameters, and files among them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class Field(NamedTuple):
    """A name and a value; of a file, its path."""

    name: str
    value: str
    is_file: bool = False


def add_fields(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Declare `-F`, which may be given many times."""
    parser.add_argument(
        "-F", "--form", dest="fields", action="append", type=read_field, default=[], metavar="K=V", help=meaning
    )


def read_field(text: str) -> Field:
    """The field that ``name=value``, ``name=@path`` or ``name=@@value`` stands for; the first = ends the name."""
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise argparse.ArgumentTypeError("a field is written name=value")
    if value.startswith("@@"):
        return Field(name, value[1:])
    return Field(name, value[1:], True) if value.startswith("@") else Field(name, value)


def plain_fields(fields: list[Field]) -> list[tuple[str, str]]:
    """Those that are no files."""
    return [(field.name, field.value) for field in fields if not field.is_file]


def upload_files(fields: list[Field]) -> list[tuple[str, Path]]:
    """Those that are files; raises `LocalFileError` for one that cannot be read."""
    return [(field.name, local_file(field.value)) for field in fields if field.is_file]


def has_format(url: str, fields: list[Field], formats: Collection[str] = ()) -> bool:
    """Whether `f`, the parameter for the format of the answer, is given, in the URL or as a field; as one of `formats`."""
    query = url.partition("#")[0].partition("?")[2]
    given = [(field.name, field.value) for field in fields] + parse_qsl(query, keep_blank_values=True)
    return any(name == "f" and (not formats or value.lower() in formats) for name, value in given)


def local_file(path: str) -> Path:
    """A file that can be read, for a body; raises `LocalFileError` for any other."""
    from pathlib import Path

    from ..transfers.local import open_source

    open_source(path)[0].close()
    return Path(path)
