"""The charts of `benches/README.md`: bars of the medians, one SVG a question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .cases import Row


def draw(rows: Sequence[Row], folder: Path) -> list[tuple[str, str]]:
    """Files that were written, and their titles."""
    return []
