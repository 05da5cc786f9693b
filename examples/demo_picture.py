"""The picture of the demo: what went in, what came back, and the events, on one time axis. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into a file, with no display

from demo_audio import RATE, Comparison
from matplotlib import pyplot
from matplotlib.axes import Axes

ROWS = ["caller", "bridge, to the caller", "bridge, to the agent", "agent"]
COLOURS = {
    "Created": "#9aa5b1",
    "Open": "#2f9e44",
    "MediaEventStarted": "#1971c2",
    "MediaEventEnded": "#7048e8",
    "Error": "#e03131",
    "Close": "#343a40",
    "Player.Started": "#f08c00",
    "Player.Finished": "#f08c00",
    "Recorder.Closed": "#c2255c",
}


def draw_picture(
    path: Path, events: Sequence[dict[str, Any]], comparison: Comparison, *, sent: float, heard: float
) -> None:
    """`sent` and `heard` are the times at which the two waveforms begin, in seconds."""
    figure, (there, back, line) = pyplot.subplots(
        3, 1, sharex=True, figsize=(12, 7.5), layout="constrained", height_ratios=(1, 1, 1.2)
    )
    _draw_wave(there, comparison.sent, sent, "#1971c2", "went in (µ-law, 8 kHz)")
    _draw_wave(back, comparison.back, heard, "#2f9e44", "came back over the bridge")
    _draw_events(line, events)
    back.text(
        0.995,
        0.04,
        f"level {comparison.level_db:+.2f} dB, length {comparison.length_ms:+.0f} ms, "
        f"correlation {comparison.correlation:.4f}",
        transform=back.transAxes,
        ha="right",
        fontsize=9,
        color="#495057",
    )
    figure.suptitle("A call over voxwire: caller (µ-law 8 kHz) - bridge - agent (PCM 16 kHz), and back")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_wave(axes: Axes, samples: Sequence[float], start: float, colour: str, title: str) -> None:
    times = [start + n / RATE for n in range(len(samples))]
    axes.plot(times, [sample / 32768 for sample in samples], color=colour, linewidth=0.4)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_ylim(-0.6, 0.6)
    axes.set_ylabel("of full scale", fontsize=8)
    axes.grid(axis="x", color="#e9ecef")


def _draw_events(axes: Axes, events: Sequence[dict[str, Any]]) -> None:
    """One row for each leg. What happens within a moment is written one above the other."""
    end = max(event["time"] for event in events)
    width = end / 9
    for row, where in enumerate(ROWS):
        axes.axhline(-row, color="#dee2e6", zorder=0)
        _draw_playing(axes, -row, [event for event in events if event["where"] == where])
        last, level = -width, 0
        for event in (event for event in events if event["where"] == where):
            name = str(event["name"]).removeprefix("WebSocket.")
            colour = COLOURS.get(name, "#868e96")
            level = level + 1 if event["time"] - last < width and level < 3 else 0
            last = event["time"] if level == 0 else last
            axes.plot(event["time"], -row, "o", color=colour, markersize=5)
            axes.annotate(
                f"{name.removeprefix('MediaEvent')} {event['time']:.2f}",
                (event["time"], -row),
                xytext=(3, 4 + 9 * level),
                textcoords="offset points",
                fontsize=7,
                color=colour,
            )
    axes.set_yticks([-row for row in range(len(ROWS))], ROWS, fontsize=9)
    axes.set_ylim(-len(ROWS) + 0.7, 1.1)
    axes.set_xlim(-0.02 * end, 1.13 * end)
    axes.set_xlabel("seconds since the first event")
    axes.grid(axis="x", color="#e9ecef")
    axes.set_title("events", loc="left", fontsize=10)


def _draw_playing(axes: Axes, row: float, events: Sequence[dict[str, Any]]) -> None:
    """A bar for as long as incoming audio plays."""
    started = None
    for event in events:
        if event["name"] == "WebSocket.MediaEventStarted":
            started = event["time"]
        elif event["name"] == "WebSocket.MediaEventEnded" and started is not None:
            axes.plot(
                [started, event["time"]], [row, row], color="#a5d8ff", linewidth=5, solid_capstyle="butt", zorder=1
            )
