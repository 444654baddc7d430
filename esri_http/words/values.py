"""Immutable records that cost next to nothing to define: a `NamedTuple` takes ten times as long to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TypeVar

    _V = TypeVar("_V", bound="Value")


class Value:
    """An immutable record, equal to another with the same values and hashable if they are."""

    __slots__: tuple[str, ...] = ()

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(self.__slots__, self._values()))
        return f"{type(self).__name__}({shown})"

    def replace(self: _V, **changes: Any) -> _V:
        """A copy with other values for the names in `changes`."""
        return type(self)(**{**dict(zip(self.__slots__, self._values())), **changes})
