"""From samples to figures: ratios paired within a round, their middle and spread, and the printed table."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

FLOOR = "urllib3"

UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6, "MiB": 1 / 2**20, "M": 1e-6, "": 1.0}
"""By how much a sample (seconds, bytes, a count) is multiplied to be printed in a unit."""


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        name: the measurement's name, as ``--only`` takes it, and after a slash what of it.
        title: what a reader is told.
        unit: a key of UNITS, in which absolute figures are printed.
        compared: True prints ratios to urllib3, False prints every client's absolute figure.
        to_reach: the text beside our figure; "" where there is no target.
        samples: client to its samples, in seconds, bytes or a count; the samples of one round have the same index.
    """

    name: str
    title: str
    unit: str
    compared: bool
    to_reach: str
    samples: dict[str, list[float]]


def ratios(row: Row, client: str) -> list[float]:
    """The client's samples by urllib3's of the same round."""
    floor = row.samples.get(FLOOR, [])
    return [own / base for own, base in zip(row.samples.get(client, []), floor) if base]


def spread(values: list[float]) -> float:
    """Half the distance between the quartiles; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def summary(row: Row) -> dict[str, Any]:
    """The row as it is written to a JSON file: medians in the row's unit, paired ratios, and the raw samples."""
    factor = UNITS[row.unit]
    clients: dict[str, Any] = {}
    for client, samples in row.samples.items():
        paired = ratios(row, client) if row.compared else []
        clients[client] = {
            "value": statistics.median(samples) * factor,
            "ratio": statistics.median(paired) if paired else None,
            "spread": spread(paired) if paired else None,
            "samples": samples,
        }
    return {"name": row.name, "title": row.title, "unit": row.unit, "to_reach": row.to_reach, "clients": clients}


def rounded(value: float) -> str:
    """Three figures that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(row: dict[str, Any], client: str) -> str:
    """What the table shows of a client: its ratio with the spread, or its absolute figure, or a dash."""
    figures = row["clients"].get(client)
    if figures is None:
        return "-"
    if client == FLOOR or figures["ratio"] is None:
        return f"{rounded(figures['value'])} {row['unit']}".rstrip()
    if len(figures["samples"]) < 2:
        return f"{figures['ratio']:.3f}"
    return f"{figures['ratio']:.2f} ±{figures['spread']:.2f}"


def table(rows: list[dict[str, Any]], clients: list[str]) -> str:
    """The figures as text, a measurement a line."""
    lines = [["measurement", *clients, "to reach"]]
    lines += [[row["title"], *(cell(row, client) for client in clients), row["to_reach"]] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    printed = []
    for line in lines:
        others = (text.rjust(width) for text, width in zip(line[1:], widths[1:]))
        printed.append("  ".join([line[0].ljust(widths[0]), *others]).rstrip())
    printed.insert(1, "-" * max(map(len, printed)))
    return "\n".join(printed)
