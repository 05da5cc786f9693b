"""Numbers into figures: percentiles, medians with their spread, and the tables they are printed in."""

from __future__ import annotations

import statistics
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Table:
    """What a case found out. `values` are the plain numbers of each row, for the JSON file."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    values: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, cells: Sequence[str], **values: Any) -> None:
        """Adds a row."""
        self.rows.append(list(cells))
        self.values.append(values)

    def markdown(self) -> str:
        """The table as aligned Markdown, the notes below."""
        widths = [max(_width(row[i]) for row in [self.columns, *self.rows]) for i in range(len(self.columns))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [f"### {self.title}", "", _line(self.columns, widths), _line(rule, widths)]
        lines += [_line(row, widths) for row in self.rows]
        if self.notes:
            lines += ["", *self.notes]
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self)


def _width(text: str) -> int:
    return sum(not unicodedata.combining(letter) for letter in text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = [
        cell + " " * (width - _width(cell)) if i == 0 else " " * (width - _width(cell)) + cell
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join([first, *others]) + " |"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of `values` do not exceed (nearest rank); `values` must be sorted. Empty: NaN."""
    if not values:
        return float("nan")
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def spread(values: Sequence[float]) -> str:
    """The median of several rounds, and the lowest and highest."""
    if len(values) == 1:
        return count(values[0])
    return f"{count(statistics.median(values))} ({count(min(values))}–{count(max(values))})"


def count(value: float) -> str:
    """A number of things: 950, 12.3k, 1.20M."""
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e4:
        return f"{value / 1e3:.1f}k"
    return f"{value:.0f}"


def ms(seconds: float) -> str:
    """Seconds as milliseconds, with a precision that fits."""
    value = seconds * 1e3
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
