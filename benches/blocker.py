"""What keeps a bridge's loop busy, for the case `pace`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from . import child

GAP = 0.02
"""Seconds that the loop is free between two blocks."""


async def blocks_when_told(figures: Callable[[], dict[str, Any]] = dict) -> None:
    """Waits for the parent's word how to block the loop, and does so until the parent ends (then ends the process).

    "sleep" blocks the loop; "busy" computes as well: it holds the GIL and takes a core. Asked for them, it says `figures`.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def read() -> None:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)  # thousands of connections need no good-bye here
        told.put_nowait(child.parse(line))

    loop.add_reader(sys.stdin, read)
    while "block" not in (message := await told.get()):
        child.say(**figures())
    kind, seconds = message["block"], float(message["seconds"])
    while True:
        if kind == "sleep":
            time.sleep(seconds)
        else:
            _compute(seconds)
        await asyncio.sleep(GAP)


def _compute(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        sum(range(1000))
