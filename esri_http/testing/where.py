"""The small part of SQL that a `where` of the embedded layers may hold.

Comparisons (`=`, `<>`, `!=`, `<`, `<=`, `>`, `>=`), `BETWEEN a AND b`, `IN (a, b)`, `LIKE 'x%'` and `IS [NOT] NULL`, joined by
`AND`; one side is a field or a number, the other a number or a text in single quotes. No `OR`, no brackets.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import Any, Callable

Test = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(-?\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(<>|!=|<=|>=|[=<>(),]))")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LONGEST = 10_000
_LONGEST_NUMBER = 40


class WhereError(ValueError):
    """A `where` that the embedded layers do not understand."""


def parse_where(text: str, fields: Mapping[str, str]) -> Test:
    """The test that `text` describes. `fields` maps field names in upper case to their spelling.

    Raises `WhereError`.
    """
    parser = _Parser(_tokens(text), fields)
    tests = [parser.condition()]
    while parser.skip("AND"):
        tests.append(parser.condition())
    parser.expect_end()
    return lambda attributes: all(test(attributes) for test in tests)


class _Field(str):
    """The name of a field, as opposed to a text."""


def _tokens(text: str) -> list[Any]:
    if len(text) > _LONGEST:
        raise WhereError("where is too long")
    tokens: list[Any] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise WhereError(f"not understood at character {at}")
        quoted, number, word, sign = match.groups()
        if quoted is not None:
            tokens.append(("value", quoted[1:-1].replace("''", "'")))
        elif number is not None:
            if len(number) > _LONGEST_NUMBER:
                raise WhereError(f"not understood at character {at}")
            tokens.append(("value", float(number) if "." in number else int(number)))
        else:
            tokens.append(("word", word.upper()) if word is not None else ("sign", sign))
        at = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[Any], fields: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._fields = fields
        self._at = 0

    def condition(self) -> Test:
        left = self._operand()
        kind, text = self._next()
        if kind == "sign" and text in _OPERATORS:
            compare, right = _OPERATORS[text], self._operand()
            return lambda row: _safely(compare, _value(left, row), _value(right, row))
        if text == "BETWEEN":
            low = self._operand()
            self._expect("AND")
            high = self._operand()
            return lambda row: _safely(operator.le, low, _value(left, row)) and _safely(operator.le, _value(left, row), high)
        if text == "IN":
            choices = self._list()
            return lambda row: _value(left, row) in choices
        if text == "LIKE":
            pattern = _like(str(self._operand()))
            return lambda row: pattern.fullmatch(str(_value(left, row))) is not None
        if text == "IS":
            wants_null = not self.skip("NOT")
            self._expect("NULL")
            return lambda row: (_value(left, row) is None) == wants_null
        raise WhereError("no comparison")

    def skip(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][1] == word and self._tokens[self._at][0] != "value":
            self._at += 1
            return True
        return False

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise WhereError("more than was understood")

    def _expect(self, word: str) -> None:
        if not self.skip(word):
            raise WhereError(f"{word} is missing")

    def _next(self) -> tuple[str, Any]:
        if self._at >= len(self._tokens):
            raise WhereError("ends early")
        token: tuple[str, Any] = self._tokens[self._at]
        self._at += 1
        return token

    def _operand(self) -> Any:
        kind, value = self._next()
        if kind == "value":
            return value
        if kind == "word" and value in self._fields:
            return _Field(self._fields[value])
        raise WhereError("no field and no value")

    def _list(self) -> list[Any]:
        self._expect("(")
        values = [self._operand()]
        while self.skip(","):
            values.append(self._operand())
        self._expect(")")
        return values


def _value(operand: Any, row: Mapping[str, Any]) -> Any:
    return row.get(operand) if isinstance(operand, _Field) else operand


def _safely(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    """A comparison of a text with a number, or with nothing, is never true."""
    try:
        return left is not None and right is not None and compare(left, right)
    except TypeError:
        return False


def _like(pattern: str) -> re.Pattern[str]:
    parts = [".*" if char == "%" else "." if char == "_" else re.escape(char) for char in re.sub("%+", "%", pattern)]
    return re.compile("".join(parts), re.DOTALL)
