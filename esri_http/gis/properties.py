"""What a site says of itself, as attributes: ``properties.user.username``."""

from __future__ import annotations

from typing import Any

from ..words.redaction import json_escape


class Properties(dict[str, Any]):
    """A JSON object whose members can also be had as attributes, all the way down. A dict otherwise.

    An unknown name is an `AttributeError` that names the nearest ones.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__({name: _wrapped(value) for name, value in fields.items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # Python's own; a site has no say in them
        if name in self:
            return self[name]
        raise AttributeError(f"The site says nothing of {name!r}{_near(name, list(self))}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self})

    def __reduce__(self) -> tuple[type[Properties], tuple[dict[str, Any]]]:
        return Properties, (dict(self),)

    def __repr__(self) -> str:
        import json

        text = json.dumps(self, indent=2, ensure_ascii=False, default=str)
        return "".join(letter if letter.isprintable() or letter == "\n" else json_escape(letter) for letter in text)


def _wrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return Properties(value)
    if isinstance(value, list):
        return [_wrapped(item) for item in value]
    return value


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, 3, 0.6)
    return f"; it says something of {', '.join(near)}." if near else "."
