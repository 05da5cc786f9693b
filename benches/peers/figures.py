"""What the rounds of a row come to."""

from __future__ import annotations

import statistics

from .cases import Row

KEPT_UP = 0.99
"""Of the media frames, that came back within 100 ms."""


def median(row: Row | None, size: int, name: str) -> float | None:
    """Of the rounds; None without any."""
    values = [result[name] for result in row.results.get(size, ())] if row is not None else []
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def kept_up(row: Row) -> bool:
    """Whether nearly every media frame came back in time."""
    return (median(row, 0, "in_time") or 0) >= KEPT_UP


def size_name(size: int) -> str:
    """256 B, 8 KiB, 1 MiB."""
    if size >= 1 << 20:
        return f"{size >> 20} MiB"
    return f"{size >> 10} KiB" if size >= 1024 else f"{size} B"
