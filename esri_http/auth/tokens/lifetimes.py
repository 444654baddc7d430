"""How long a token lives, by what others say of it: numbers or digits, seconds or milliseconds, sense or nonsense."""

from __future__ import annotations

# The year 10000 in epoch milliseconds, which no datetime can hold.
END_OF_TIME = 253402300800e3
_LONGEST_LIFE_SECONDS = 10 * 366 * 86400.0
# More of them would be a year after 5000: it is milliseconds.
_MOST_EPOCH_SECONDS = 1e11
_MOST_DIGITS = 20


def number_in(said: object) -> float | None:
    """The number that `said` is, or holds as digits; `None` for anything but one from above zero to the end of time."""
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS:
        said = int(said)
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not 0 < said < END_OF_TIME:
        return None
    return float(said)


def sensible_life(seconds: float) -> float | None:
    """`seconds` if a token may live that long, in years about ten; `None` otherwise."""
    return seconds if 0 < seconds < _LONGEST_LIFE_SECONDS else None


def epoch_seconds(moment: float) -> float:
    """A moment in epoch seconds that is said in them or in milliseconds."""
    return moment / 1000.0 if moment > _MOST_EPOCH_SECONDS else float(moment)
