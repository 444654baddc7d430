"""The text of a profile file: what it says, and the same text with one section changed and everything else kept.

The format is that of Python's `configparser` with its defaults, by which the `arcgis` package reads and writes it: sections
and ``key = value``, keys in lower case, a ``%`` of a value doubled. Line ends are those of text files: LF, CR LF, CR.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Optional

if TYPE_CHECKING:
    from collections.abc import Mapping

    Sections = dict[str, dict[str, str]]

_COMMENTS = ("#", ";")
_OPTION = re.compile(r"(.*?)\s*[=:]")


class IniError(Exception):
    """The text cannot be read, or not be changed without changing more; the message says where, and shows nothing of it."""


class _Line(NamedTuple):
    """A line with its end. `key` is the option that it begins or goes on with, "" for a header, `None` for the rest."""

    text: str
    section: Optional[str]
    key: Optional[str]
    begins: bool

    @property
    def indentation(self) -> str:
        """What stands before the first character that is no blank."""
        return self.text[: len(self.text) - len(self.text.lstrip())]


def sections(text: str) -> Sections:
    """What `text` says: the values of each section by key, a ``%%`` in them undone. Raises `IniError`.

    A single ``%``, at which the `arcgis` package fails, stands for itself.
    """
    import configparser
    import io

    parser = configparser.RawConfigParser()
    try:
        parser.read_file(io.StringIO(text, newline=None))
    except configparser.Error as error:
        problem = _problem(error)
    else:
        return {name: {key: value.replace("%%", "%") for key, value in parser.items(name)} for name in parser.sections()}
    raise IniError(problem)


def _problem(error: Exception) -> str:
    """What is wrong, without the line itself."""
    kind = type(error).__name__
    number = getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", [])), None)
    where = f"line {number}" if number else "one of its lines"
    if kind == "MissingSectionHeaderError":
        return f"{where} stands before the first [profile]"
    if kind.startswith("Duplicate"):
        return f"{where} repeats what is there already"
    return f"{where} is neither [profile] nor key = value"


def with_section(text: str, name: str, values: Mapping[str, str | None]) -> str:
    """`text` in which `values` are those of the section `name`: a `None` is left out, and keys that it lacks stay.

    A new section goes to the end. Raises `IniError` where the text cannot be read, or is laid out such that more would
    change; values that `configparser` would not give back as they are count as such.
    """
    expected = sections(text)
    section = expected.setdefault(name, {})
    for key, value in values.items():
        if value is None:
            section.pop(key, None)
        else:
            section[key] = value
    lines = _lines(text)
    if any(line.section == name and line.key == "" for line in lines):
        return _verified(_replaced(lines, name, values), expected)
    return _verified(_appended(lines, name, values), expected)


def without_section(text: str, name: str) -> str:
    """`text` less the section `name`, from its header to its last value, and the blank lines after that."""
    expected = sections(text)
    del expected[name]
    lines = _lines(text)
    own = [index for index, line in enumerate(lines) if line.section == name and line.key is not None]
    after = own[-1] + 1
    while after < len(lines) and not lines[after].text.strip():
        after += 1
    return _verified("".join(line.text for line in [*lines[: own[0]], *lines[after:]]), expected)


def _verified(text: str, expected: Sections) -> str:
    if sections(text) != expected:
        raise IniError("it is laid out such that other lines would change their meaning")
    return text


def _lines(text: str) -> list[_Line]:
    """The lines as `configparser` takes them: what is indented deeper than an option goes on with its value."""
    import configparser
    import io

    found, depth = [], 0
    section: str | None = None
    key: str | None = None
    for line in io.StringIO(text, newline=""):
        content = line.strip()
        if not content or content.startswith(_COMMENTS):
            found.append(_Line(line, section, None, False))
            continue
        indented = len(line) - len(line.lstrip())
        goes_on = bool(key) and indented > depth
        if not goes_on:
            depth = indented
            header, option = configparser.RawConfigParser.SECTCRE.match(content), _OPTION.match(content)
            if header:
                section, key = header.group("header"), ""
            else:
                key = option.group(1).lower() if option else ""
        found.append(_Line(line, section, key, not goes_on))
    return found


def _line_end(lines: list[_Line]) -> str:
    """The line end of the first line; of a text without one, that of this system."""
    import os

    first = lines[0].text if lines else ""
    return first[len(first.rstrip("\r\n")) :] or os.linesep


def _entries(values: Mapping[str, str | None], indentation: str, end: str) -> list[str]:
    return [f"{indentation}{key} = {value.replace('%', '%%')}{end}" for key, value in values.items() if value is not None]


def _appended(lines: list[_Line], name: str, values: Mapping[str, str | None]) -> str:
    """With the section at the end, after a blank line and before one, as `configparser` writes them."""
    end = _line_end(lines)
    before = "".join(line.text for line in lines)
    if lines and not before.endswith(("\n", "\r")):
        before += end
    if lines and lines[-1].text.strip():
        before += end
    return "".join([before, f"[{name}]{end}", *_entries(values, "", end), end])


def _replaced(lines: list[_Line], name: str, values: Mapping[str, str | None]) -> str:
    """With other values where the section has such keys, and with new keys after its last line."""
    end, left, made = _line_end(lines), dict(values), []
    last = max(index for index, line in enumerate(lines) if line.section == name and line.key is not None)
    for index, line in enumerate(lines):
        if line.section == name and line.key is not None and line.key in values:
            if line.begins:
                made += _entries({line.key: left.pop(line.key)}, line.indentation, end)
        else:
            made.append(line.text)
        if index == last:
            if left and not made[-1].endswith(("\n", "\r")):
                made[-1] += end
            made += _entries(left, line.indentation, end)
    return "".join(made)
