"""One run of bridged calls: load generator and bridge, each a process of its own. For `bridge` and `pace`."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, NamedTuple, Self

from .child import Child
from .machine import cpu_seconds, rss_bytes


class Bridge(NamedTuple):
    """What bridges the calls."""

    name: str
    module: str
    loop: str = ""
    converts: bool = True
    alone: bool = False
    """Callers only: what is measured calls no agents."""
    rate: int = 0
    """At which it mixes, if it does."""


FLOOR = Bridge("copying relay (floor)", "native/relay", converts=False)
OURS = Bridge("voxwire", "benches.bridge_voxwire", "asyncio")
BY_HAND = Bridge("by hand, asyncio", "benches.bridge_by_hand", "asyncio")
BY_HAND_UVLOOP = Bridge("by hand, uvloop", "benches.bridge_by_hand", "uvloop")
BUSY = 0.9
LATENESS = 0.005
LATE_SHARE = 0.01
OFF = 0.005


def run(
    bridge: Bridge,
    calls: int,
    seconds: float,
    cores: tuple[int | None, int | None],
    *,
    block: str | None = None,
    block_seconds: float = 0.5,
    look_every: float = 60.0,
) -> dict[str, Any]:
    """Bridges so many calls for so many seconds. Answers what `native/load` found, and what the bridge cost.

    `block` is how the bridge's Python is kept busy meanwhile, see `blocker`. The first second (at most half the time)
    does not count for the intervals. `looks` of the answer are the bridge's memory every so many seconds.
    """
    count = int(seconds * 50)
    job = {
        "calls": calls,
        "count": count,
        "skip": min(50, count // 2),
        "copied": not bridge.converts,
        "alone": bridge.alone,
    }
    with Child("native/load", job, core=cores[1]) as load:
        about = {
            "agent_port": load.hear()["port"],
            "loop": bridge.loop,
            "rate": bridge.rate,
            "threads": 1 if cores[0] is not None else 2,
        }
        with Child(bridge.module, about, core=cores[0]) as bridging:
            load.tell(port=bridging.hear()["port"])
            load.hear(60)
            if block is not None:
                bridging.tell(block=block, seconds=block_seconds)
            before = cpu_seconds(bridging.pid)
            with Watch(bridging.pid, look_every) as watch:
                received = load.hear(seconds * 3 + 30)["received"]
            used = cpu_seconds(bridging.pid) - before
            memory = rss_bytes(bridging.pid)
            result = load.hear(60)
            result["audio"] = {}
            if bridge is OURS and block is None:
                bridging.tell(figures=True)
                result["audio"] = bridging.hear()
    result["cpu"] = used
    result["cores"] = used / seconds
    result["cpu_per_1000"] = used / received * 1000 if received else None
    result["rss_per_call"] = memory / calls
    result["looks"] = watch.looks
    return result


class Watch:
    """Looks at a process now and then, and at the end: seconds since the first look, resident bytes, processor seconds so far."""

    def __init__(self, pid: int, every: float) -> None:
        self.looks: list[tuple[float, int, float]] = []
        self._pid, self._every = pid, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        began = time.monotonic()

        def look() -> None:
            self.looks.append((time.monotonic() - began, rss_bytes(self._pid), cpu_seconds(self._pid)))

        look()
        while not self._over.wait(began + self._every * len(self.looks) - time.monotonic()):
            look()
        look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()


def broken(result: dict[str, Any]) -> str | None:
    """Why the bridge has not carried the calls; None: it has."""
    if result["lost"]:
        return f"{result['lost']} of {result['sent']} frames lost"
    if result["late"] > LATE_SHARE * result["sent"]:
        return f"{result['late'] / result['sent']:.1%} of the frames more than 100 ms late"
    if (off := result["deviation"]["p99"]) is None or off > OFF:
        return "nothing arrived" if off is None else f"p99 {off * 1e3:.1f} ms off 20 ms"
    return None


def spoiled(result: dict[str, Any]) -> bool:
    """Whether the load generator did not keep up itself, so that the figures say little about the bridge."""
    return bool(result["own_cpu"] > BUSY or (result["own_lateness"]["p99"] or 0) > LATENESS)
