"""Conferences of five, µ-law at 8 kHz, each member talking all the time: what a room costs, and how many there can be."""

from __future__ import annotations

from typing import Any

from . import calls
from .calls import Bridge
from .conference_voxwire import MEMBERS
from .figures import Table, count, ms
from .machine import two_cores
from .options import Options

RATES = (8000, 16_000)
SIZES = (50, 100, 200)
MOST = 800
COLUMNS = [
    "rooms",
    "mixed at",
    "CPU s / 1000 frames",
    "cores",
    "lost",
    "late > 100 ms",
    "off 20 ms: p50",
    "p99",
    "max ms",
    "KiB / member",
    "load gen.",
]


def run(options: Options) -> list[Table]:
    """Both processes share all cores; with `full` also where it breaks."""
    sizes, seconds = ((2,), 1.0) if options.quick else (SIZES, 10.0)
    table = Table(f"Rooms of {MEMBERS}, {seconds:.0f} s each", COLUMNS)
    for size in sizes:
        for rate in RATES:
            result = _run(rate, size, seconds)
            off, per_1000 = result["deviation"], result["cpu_per_1000"]
            table.add(
                [
                    str(size),
                    f"{rate // 1000} kHz",
                    "–" if per_1000 is None else f"{per_1000:.4f}",
                    f"{result['cores']:.2f}",
                    count(result["lost"]),
                    count(result["late"]),
                    *("–" if off[name] is None else ms(off[name]) for name in ("p50", "p99", "max")),
                    f"{result['rss_per_call'] / 1024:.0f}",
                    f"{result['own_cpu']:.2f}{'!' if calls.spoiled(result) else ''}",
                ],
                rooms=size,
                rate=rate,
                **result,
            )
    table.notes.append(
        f"A frame: one that a member got. Each room has {MEMBERS} members on WebSockets who talk without a pause; with 16 kHz "
        "each is converted up and down. Lost: a conference goes on for a second after the last word, so up to five frames a "
        "member may be missing without being counted. KiB: the whole process, by members. Not pinned."
    )
    return [table, *([_breaking()] if options.full else [])]


def _run(rate: int, rooms: int, seconds: float) -> dict[str, Any]:
    conference = Bridge(f"voxwire, {rate} Hz", "benches.conference_voxwire", "asyncio", alone=True, rate=rate)
    return calls.run(conference, rooms * MEMBERS, seconds, two_cores(pin=False))


def _breaking() -> Table:
    table = Table("Where conferences break", ["mixed at", "carries", "breaks at", "how"])
    for rate in RATES:
        carries, breaks, how, size = 0, None, "–", SIZES[-1]
        while breaks is None or breaks - carries > max(10, carries // 10):
            reason = None
            for _ in range(2):
                result = _run(rate, size, 10.0)
                reason = calls.broken(result)
                if reason is None:
                    break
            if reason is None:
                carries = size
            else:
                breaks, how = size, reason + (" (the load generator was late, too)" if calls.spoiled(result) else "")
            if breaks is None and size >= MOST:
                break
            size = size * 2 if breaks is None else (carries + breaks) // 10 * 5
        table.add(
            [f"{rate // 1000} kHz", str(carries), "–" if breaks is None else str(breaks), how],
            rate=rate,
            carries=carries,
            breaks=breaks,
            how=how,
        )
    table.notes.append(
        "Breaks: as bridges do, see there; in two runs of 10 s one after the other. Both share all cores."
    )
    return table
