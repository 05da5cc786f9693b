"""Bridged calls: µ-law at 8 kHz on one side, PCM at 16 kHz on the other, 50 frames/s each way on both.

What it costs the bridge's process, and what comes out of it: voxwire beside the same bridge written by hand, and beside
the floor: a native relay that only copies the frames.
"""

from __future__ import annotations

from typing import Any

from . import calls
from .calls import BY_HAND, BY_HAND_UVLOOP, FLOOR, OURS, Bridge
from .figures import Table, count, ms
from .machine import two_cores
from .options import Options

SIZES = (50, 200, 500)
FIRST, MOST = 50, 1600
COLUMNS = [
    "calls",
    "bridge",
    "CPU s / 1000 frames",
    "× floor",
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
    """Sizes that finish in three minutes; with `full` also where each bridge breaks."""
    cores = two_cores(options.pin)
    sizes, seconds = ((5,), 1.0) if options.quick else (SIZES, 5.0)
    bridges = (FLOOR, OURS, BY_HAND) if options.quick else (FLOOR, OURS, BY_HAND, BY_HAND_UVLOOP)
    table = Table(f"Bridged calls, {seconds:.0f} s each", COLUMNS)
    for size in sizes:
        floor = None
        for bridge in bridges:
            result = calls.run(bridge, size, seconds, cores)
            floor = floor or result["cpu_per_1000"]
            _add(table, size, bridge, result, floor)
    table.notes.append(
        "Frames: those that left the bridge. Off 20 ms: how much the time between two frames of a leg differs from 20 ms, "
        "without the first second. Delay: from the load generator's send to the arrival of what the bridge made of it. "
        "Wrong: frames of five calls whose audio is not the one after the frame before. Load gen.: the share of a core it "
        f"used; with ! it did not keep up itself. {options.pinned}"
    )
    return [table, *([_breaking(options)] if options.full else [])]


def _add(table: Table, size: int, bridge: Bridge, result: dict[str, Any], floor: float | None) -> None:
    off, per_1000 = result["deviation"], result["cpu_per_1000"]
    table.add(
        [
            str(size),
            bridge.name,
            "–" if per_1000 is None else f"{per_1000:.4f}",
            f"{per_1000 / floor:.2f}" if per_1000 and floor else "–",
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


def _breaking(options: Options) -> Table:
    """Pinned and not, by bisection."""
    table = Table("Where each bridge breaks", ["bridge", "cores", "carries", "breaks at", "how"])
    for pin in (True, False) if options.pin else (False,):
        cores = two_cores(pin)
        for bridge in (FLOOR, OURS, BY_HAND, BY_HAND_UVLOOP):
            carries, breaks, how = _limit(bridge, cores)
            where = "one each" if cores[0] is not None else "any"
            table.add(
                [bridge.name, where, str(carries), "–" if breaks is None else str(breaks), how],
                bridge=bridge.name,
                pinned=cores[0] is not None,
                carries=carries,
                breaks=breaks,
                how=how,
            )
    table.notes.append(
        "Breaks: a frame is lost, more than 1 % come more than 100 ms late, or the time between two frames of a leg is more "
        "than 5 ms off 20 ms at p99; in two runs of 10 s one after the other. The numbers are at most a tenth apart. "
        "One each: the bridge has one core, the load generator the other. Any: both share both."
    )
    return table


def _limit(bridge: Bridge, cores: tuple[int | None, int | None]) -> tuple[int, int | None, str]:
    """The most calls it carried, the fewest that it did not, and why not."""
    carries, breaks, how, size = 0, None, "–", FIRST
    while breaks is None or breaks - carries > max(10, carries // 10):
        for _ in range(2):
            result = calls.run(bridge, size, 10.0, cores)
            reason = calls.broken(result)
            if reason is None:
                break
        if reason is None:
            carries = size
        else:
            breaks, how = size, reason + (" (the load generator was late, too)" if calls.spoiled(result) else "")
        if breaks is None and size >= MOST:
            break
        size = size * 2 if breaks is None else (carries + breaks) // 20 * 10
    return carries, breaks, how
