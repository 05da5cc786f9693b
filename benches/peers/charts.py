"""The charts of `benches/README.md`: bars of the medians, one SVG a question, a panel for each kind of API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cases import Row
from .clients import APIS, FLOOR, find
from .figures import kept_up, median

OURS, PEER, FLOORS = "#c2410c", "#64748b", "#cbd5e1"


@dataclass(frozen=True)
class _Chart:
    case: str
    size: int
    value: str
    factor: float
    title: str
    digits: int


_CHARTS = (
    _Chart("roundtrip", 256, "rate", 1e-3, "Round trips of 256 B, thousands a second", 1),
    _Chart("receive", 160, "rate", 1e-3, "Receiving 160 B, thousands a second", 0),
    _Chart("send", 160, "rate", 1e-3, "Sending 160 B, thousands a second", 0),
    _Chart("media", 0, "cpu", 1e6, "1,000 connections, 50 frames a second each: CPU µs a frame (less is better)", 1),
)


def draw(rows: Sequence[Row], folder: Path) -> list[tuple[str, str]]:
    """Files that were written, and their titles; none without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use("svg")
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text: small files
    mpl.rcParams["svg.hashsalt"] = "voxwire"
    drawn = []
    for chart in _CHARTS:
        of_case = [row for row in rows if row.case == chart.case and median(row, chart.size, chart.value) is not None]
        if of_case:
            name = f"{chart.case}.svg"
            _draw(chart, of_case, folder / name)
            drawn.append((name, chart.title))
    return drawn


def _draw(chart: _Chart, rows: Sequence[Row], file: Path) -> None:
    from matplotlib import pyplot as plt

    panels = [(api, [row for row in rows if row.api == api]) for api in APIS]
    panels = [(api, of_kind) for api, of_kind in panels if of_kind]
    heights = [len(of_kind) for _, of_kind in panels]
    figure, axes = plt.subplots(
        len(panels), sharex=True, squeeze=False, figsize=(8, 0.22 * sum(heights) + 1.2), height_ratios=heights
    )
    for axis, (api, of_kind) in zip(axes[:, 0], panels, strict=True):
        # The last is on top, and that is to be the best.
        ordered = sorted(
            of_kind, key=lambda row: median(row, chart.size, chart.value) or 0, reverse=chart.value == "cpu"
        )
        _panel(axis, chart, api, ordered)
    figure.suptitle(chart.title, fontsize=10)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def _panel(axis: Any, chart: _Chart, api: str, rows: Sequence[Row]) -> None:
    """Bars; a hatched one did not keep up."""
    values = [(median(row, chart.size, chart.value) or 0) * chart.factor for row in rows]
    labels = [f"{row.client}, {row.loop}" if row.loop else row.client for row in rows]
    bars = axis.barh(labels, values, color=[_color(row) for row in rows], height=0.7)
    for bar, row in zip(bars, rows, strict=True):
        if chart.case == "media" and not kept_up(row):
            bar.set_hatch("////")
    axis.bar_label(bars, fmt=f"%.{chart.digits}f", fontsize=7, padding=2)
    axis.tick_params(labelsize=7)
    axis.set_ylabel(api, fontsize=8)
    axis.margins(x=0.12, y=0.02)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _color(row: Row) -> str:
    if row.client == FLOOR:
        return FLOORS
    return OURS if find(row.client, row.api).ours else PEER
