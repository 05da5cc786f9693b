"""One run of bridged calls: load generator and bridge, each a process of its own. For `bridge` and `pace`."""

from __future__ import annotations

from typing import Any, NamedTuple

from .child import Child
from .machine import cpu_seconds, rss_bytes


class Bridge(NamedTuple):
    """What bridges the calls."""

    name: str
    module: str
    loop: str = ""
    converts: bool = True


FLOOR = Bridge("copying relay (floor)", "native/relay", converts=False)
OURS = Bridge("voxwire", "benches.bridge_voxwire", "asyncio")
BY_HAND = Bridge("by hand, asyncio", "benches.bridge_by_hand", "asyncio")
BY_HAND_UVLOOP = Bridge("by hand, uvloop", "benches.bridge_by_hand", "uvloop")
BUSY = 0.9
LATENESS = 0.005


def run(
    bridge: Bridge,
    calls: int,
    seconds: float,
    cores: tuple[int | None, int | None],
    *,
    block: str | None = None,
    block_seconds: float = 0.5,
) -> dict[str, Any]:
    """Bridges so many calls for so many seconds. Answers what `native/load` found, and what the bridge cost.

    `block` is how the bridge's Python is kept busy meanwhile, see `blocker`. The first second (at most half the time)
    does not count for the intervals.
    """
    count = int(seconds * 50)
    job = {"calls": calls, "count": count, "skip": min(50, count // 2), "copied": not bridge.converts}
    with Child("native/load", job, core=cores[1]) as load:
        about = {"agent_port": load.hear()["port"], "loop": bridge.loop, "threads": 1 if cores[0] is not None else 2}
        with Child(bridge.module, about, core=cores[0]) as bridging:
            load.tell(port=bridging.hear()["port"])
            load.hear(60)
            if block is not None:
                bridging.tell(block=block, seconds=block_seconds)
            before = cpu_seconds(bridging.pid)
            received = load.hear(seconds * 3 + 30)["received"]
            used = cpu_seconds(bridging.pid) - before
            memory = rss_bytes(bridging.pid)
            result = load.hear(60)
    result["cpu"] = used
    result["cores"] = used / seconds
    result["cpu_per_1000"] = used / received * 1000 if received else None
    result["rss_per_call"] = memory / calls
    return result


def spoiled(result: dict[str, Any]) -> bool:
    """Whether the load generator did not keep up itself, so that the figures say little about the bridge."""
    return bool(result["own_cpu"] > BUSY or (result["own_lateness"]["p99"] or 0) > LATENESS)
