"""The audio functions beside what people use today: G.711, media JSON, sample rates, codecs, and a whole leg of a call.

In one process, on one core: each round gives every contestant of an operation its turn, in another order each time.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from . import functions_peers as peers
from .figures import Table
from .machine import on_core, two_cores
from .options import Options

US = "voxwire"


@dataclass
class Operation:
    """One row for each contestant."""

    name: str
    work: dict[str, Callable[[], object]]
    times: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, rounds: int, seconds: float) -> None:
        """Nanoseconds of each call, a figure for each round."""
        often = {who: _often(work, seconds) for who, work in self.work.items()}
        turns = list(self.work)
        for _ in range(rounds):
            random.shuffle(turns)
            for who in turns:
                self.times.setdefault(who, []).append(_clock(self.work[who], often[who]) * 1e9)


def run(options: Options) -> list[Table]:
    """Two tables: what is done fifty times a second, and a megabyte at once."""
    core, _ = two_cores(options.pin)
    rounds, seconds = (2, 0.0005) if options.quick else (9, 0.02)
    made = []
    with on_core(core):
        for title, operations in (
            ("Audio functions, a frame of 20 ms, ns", peers.frames()),
            ("Audio functions, 1 MiB at once, µs", peers.megabyte()),
        ):
            table = Table(title, ["operation", "with", "median", "lowest–highest", "× voxwire"])
            scale = 1 if title.endswith("ns") else 1e-3
            for name, work in operations.items():
                operation = Operation(name, work)
                operation.measure(rounds, seconds)
                _rows(table, operation, scale)
            table.notes += _notes()
            made.append(table)
    return made


def _rows(table: Table, operation: Operation, scale: float) -> None:
    ours = statistics.median(operation.times[US])
    for who in operation.work:
        times = operation.times[who]
        median = statistics.median(times)
        cells = [
            operation.name if who == US else "",
            who,
            _number(median * scale),
            f"{_number(min(times) * scale)}–{_number(max(times) * scale)}",
            f"{median / ours:.1f}",
        ]
        table.add(cells, operation=operation.name, client=who, ns=times)


def _notes() -> list[str]:
    notes = [
        f"The calls from Python, its objects included. {peers.versions()}.",
        "`ratecv` does not filter. Opus: the same libopus parameters for both.",
    ]
    if peers.MISSING:
        notes.append(f"Not installed, so not measured: {', '.join(peers.MISSING)}.")
    return notes


def _often(work: Callable[[], object], seconds: float) -> int:
    """How many calls take about that long."""
    work()
    return max(1, math.ceil(seconds / max(_clock(work, 3), 1e-9)))


def _clock(work: Callable[[], object], times: int) -> float:
    """Seconds of one call."""
    turns = range(times)
    start = time.perf_counter()
    for _ in turns:
        work()
    return (time.perf_counter() - start) / times


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"
