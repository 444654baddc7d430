"""What a `Response` reads its content from; for type checkers only."""

from __future__ import annotations

from typing import Any, Callable, Protocol


class BodyStream(Protocol):
    """Where the content comes from: decoded bytes, errors in our words, the connection given back at the end."""

    @property
    def raw(self) -> Any:
        """The body as a file, or what a foreign response has under that name."""

    def read(self, amount: int | None = None) -> bytes:
        """At most `amount` bytes, as soon as some are there; all of them for `None`; empty at the end."""

    def lift_deadline(self) -> None:
        """From now on the content is read in the caller's own time, whatever deadline the call had."""

    def discard(self) -> None:
        """Have done with the body: a short rest is read so that the connection can be used again."""

    def when_done(self, callback: Callable[[bool], None]) -> None:
        """Have `callback(reusable)` called once the connection is free."""

    def close(self) -> None:
        """Give the connection back, or throw it away when something is left unread. Twice is fine."""
