"""A flood of small messages into a handler while a 10 ms timer runs: is the timer late, does memory grow?

Twice: with a handler that only counts, and with one that blocks for 1 ms a message, so that the peer must be held back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import websockets

from voxwire import WebSocket

from . import child
from .child import Child
from .clients import clients
from .figures import Table, count, ms, percentile
from .machine import rss_bytes, two_cores
from .options import Options

TIMER = 0.01
SIZE = 32
BLOCK = 0.001
_clock = time.perf_counter


def run(options: Options) -> list[Table]:
    """A fresh process for each client."""
    client_core, peer_core = two_cores(options.pin)
    messages, seconds = (20_000, 0.3) if options.quick else (1_000_000, 5.0)
    columns = ["client", "messages", "messages/s", "timer late p50 ms", "p99 ms", "max ms", "memory + MiB"]
    tables = []
    with Child("benches.peer", core=peer_core) as peer:
        port = peer.hear()["port"]
        for title, block in ((f"{count(messages)} messages of {SIZE} B", 0.0), ("Handler that blocks 1 ms", BLOCK)):
            table = Table(title, columns)
            for index, client in enumerate(_clients()):
                if options.quick and index not in (0, 2):
                    continue
                job = {
                    "port": port,
                    "client": index,
                    "messages": 1_000_000_000 if block else messages,
                    "block": block,
                    "seconds": seconds if block else None,
                }
                with Child("benches.flood", job, core=client_core) as measured:
                    result = measured.hear(150)
                table.add(
                    [
                        client.label,
                        count(result["received"]),
                        count(result["received"] / result["seconds"]),
                        *(ms(result[name]) for name in ("p50", "p99", "max")),
                        f"{result['grown'] / 2**20:.1f}",
                    ],
                    client=client.label,
                    **result,
                )
            tables.append(table)
    tables[-1].notes.append(
        f"Timer: `asyncio.sleep(0.01)` in a loop, how much later than 10 ms it returns. Memory: the most resident during "
        f"the flood, less before it. {options.pinned}"
    )
    return tables


class Meter:
    """Counts messages; `done` when all are there or the time is over."""

    def __init__(self, messages: int, block: float, seconds: float | None) -> None:
        self.received = 0
        self.messages = messages
        self.block = block
        self.until = float("inf") if seconds is None else _clock() + seconds
        self.done = asyncio.Event()

    def take(self, _message: object) -> None:
        """The handler."""
        self.received += 1
        if self.block:
            time.sleep(self.block)
        if self.received == self.messages or (self.block and _clock() > self.until):
            self.done.set()


async def measure(port: int, job: dict[str, Any], drink: Callable[[str, Meter], Any]) -> dict[str, float]:
    """Runs a client beside the timer."""
    meter = Meter(job["messages"], job["block"], job["seconds"])
    before = most = rss_bytes()
    late: list[float] = []
    task = asyncio.ensure_future(drink(f"ws://127.0.0.1:{port}/flood/{SIZE}/{job['messages']}", meter))
    began = _clock()
    while not meter.done.is_set():
        due = _clock() + TIMER
        await asyncio.sleep(TIMER)
        late.append(max(0.0, _clock() - due))
        most = max(most, rss_bytes())
    took = _clock() - began
    received = meter.received
    await task
    late.sort()
    return {
        "received": received,
        "seconds": took,
        "p50": percentile(late, 50),
        "p99": percentile(late, 99),
        "max": late[-1],
        "grown": most - before,
    }


async def by_callback(url: str, meter: Meter) -> None:
    """voxwire, `onmessage`."""
    async with WebSocket(url, close_timeout=0.2) as ws:
        ws.onmessage = meter.take
        ws.send("go")
        await meter.done.wait()


async def by_iteration(url: str, meter: Meter) -> None:
    """voxwire, `async for`."""
    async with WebSocket(url, close_timeout=0.2) as ws:
        ws.send("go")
        async for message in ws:
            meter.take(message)
            if meter.done.is_set():
                return


async def by_websockets(url: str, meter: Meter) -> None:
    """The same with `websockets`."""
    async with websockets.connect(url, close_timeout=0.2) as ws:
        await ws.send("go")
        async for message in ws:
            meter.take(message)
            if meter.done.is_set():
                return


def _clients() -> list[Any]:
    works = {"voxwire callback": by_callback, "voxwire async for": by_iteration, "websockets": by_websockets}
    return clients(works)


def main() -> None:
    """The measured process."""
    job = child.argument()
    client = _clients()[job["client"]]
    child.say(**client._replace(work=measure).run(job["port"], job, client.work))


if __name__ == "__main__":
    main()
