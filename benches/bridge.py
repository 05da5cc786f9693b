"""Bridged calls: µ-law at 8 kHz on one side, PCM at 16 kHz on the other, 50 frames/s each way on both.

What it costs the bridge's process, and what comes out of it: voxwire beside the same bridge written by hand.
"""

from __future__ import annotations

from typing import Any

from . import calls
from .calls import BY_HAND, BY_HAND_UVLOOP, OURS, Bridge
from .figures import Table, count, ms
from .machine import two_cores
from .options import Options

SIZES = (50, 200, 500)
LADDER = (25, 50, 75, 100, 150, 200, 300, 400, 500, 700, 1000)
BROKEN = 0.001
COLUMNS = [
    "calls",
    "bridge",
    "CPU s / 1000 frames",
    "cores",
    "lost",
    "late > 100 ms",
    "off 20 ms: p50",
    "p99",
    "max ms",
    "delay p50 ms",
    "wrong",
    "load gen.",
]


def run(options: Options) -> list[Table]:
    """Sizes that finish in two minutes; with `full` also where each bridge breaks."""
    cores = two_cores(options.pin)
    sizes, seconds = ((5,), 1.0) if options.quick else (SIZES, 5.0)
    bridges = (OURS, BY_HAND) if options.quick else (OURS, BY_HAND, BY_HAND_UVLOOP)
    table = Table(f"Bridged calls, {seconds:.0f} s each", COLUMNS)
    for size in sizes:
        for bridge in bridges:
            _add(table, size, bridge, calls.run(bridge, size, seconds, cores))
    table.notes.append(
        "Frames: those that left the bridge. Off 20 ms: how much the time between two frames of a leg differs from 20 ms, "
        "without the first second. Delay: from the load generator's send to the arrival of what the bridge made of it. "
        "Wrong: frames of five calls whose audio is not the one after the frame before. Load gen.: the share of a core it "
        f"used; with ! it did not keep up itself. {options.pinned}"
    )
    return [table, *([_breaking(cores)] if options.full else [])]


def _add(table: Table, size: int, bridge: Bridge, result: dict[str, Any]) -> None:
    off, per_1000 = result["deviation"], result["cpu_per_1000"]
    table.add(
        [
            str(size),
            bridge.name,
            "–" if per_1000 is None else f"{per_1000:.3f}",
            f"{result['cores']:.2f}",
            count(result["lost"]),
            count(result["late"]),
            *("–" if off[name] is None else ms(off[name]) for name in ("p50", "p99", "max")),
            "–" if result["delay"]["p50"] is None else ms(result["delay"]["p50"]),
            f"{result['wrong']}/{result['probed']}",
            f"{result['own_cpu']:.2f}{'!' if calls.spoiled(result) else ''}",
        ],
        calls=size,
        bridge=bridge.name,
        **result,
    )


def _breaking(cores: tuple[int | None, int | None]) -> Table:
    table = Table("Where each bridge breaks", COLUMNS)
    for bridge in (OURS, BY_HAND, BY_HAND_UVLOOP):
        for size in LADDER:
            result = calls.run(bridge, size, 10.0, cores)
            _add(table, size, bridge, result)
            if result["lost"] + result["late"] > BROKEN * result["sent"]:
                break
    table.notes.append(f"Up to the first size at which more than {BROKEN:.1%} of the frames are lost or late.")
    return table
