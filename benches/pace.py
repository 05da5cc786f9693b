"""Does a route keep its pace while Python does not? The bridge's loop is blocked for 500 ms at a time.

The peer that receives takes the kernel's arrival times. `sleep` blocks the loop; `busy` also holds the GIL and a core.
"""

from __future__ import annotations

from . import calls
from .calls import BY_HAND, OURS
from .figures import Table, ms
from .options import Options

KINDS: tuple[str | None, ...] = (None, "sleep", "busy")


def run(options: Options) -> list[Table]:
    """Not pinned: a blocked bridge may use what cores there are."""
    seconds = 1.5 if options.quick else 6.0
    kinds = ("sleep",) if options.quick else KINDS
    tables = []
    for size in (1,) if options.quick else (1, 50):
        table = Table(
            f"Pace with Python blocked for 500 ms at a time, {size} call{'s' if size > 1 else ''}",
            [
                "bridge",
                "Python",
                "off 20 ms: p50 ms",
                "p99 ms",
                "max ms",
                "frames",
                "lost",
                "wrong",
                "sender late p99 ms",
            ],
        )
        for kind in kinds:
            for bridge in (OURS, BY_HAND):
                result = calls.run(bridge, size, seconds, (None, None), block=kind)
                off = result["deviation"]
                table.add(
                    [
                        bridge.name,
                        kind or "free",
                        *("–" if off[name] is None else ms(off[name]) for name in ("p50", "p99", "max")),
                        str(result["received"]),
                        str(result["lost"]),
                        f"{result['wrong']}/{result['probed']}",
                        ms(result["own_lateness"]["p99"]),
                    ],
                    calls=size,
                    bridge=bridge.name,
                    block=kind,
                    **result,
                )
        tables.append(table)
    tables[-1].notes.append(
        f"{seconds:.3g} s each, without the first second; 20 ms free between two blocks. Off 20 ms: how much the time "
        "between two frames of a leg differs from 20 ms. Wrong: frames whose audio is not the one after the frame before. "
        "Not pinned."
    )
    return tables
