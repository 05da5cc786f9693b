"""What the message cases compare: voxwire by callback and by recv, and `websockets`, on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import uvloop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
Work = Callable[..., Coroutine[Any, Any, Any]]


class Client(NamedTuple):
    """One way to do the work of a case."""

    name: str
    loop: str
    work: Work

    def run(self, *arguments: Any) -> Any:
        """Does it once, on a loop of its own."""
        with asyncio.Runner(loop_factory=LOOPS[self.loop]) as runner:
            return runner.run(self.work(*arguments))

    @property
    def label(self) -> str:
        """Name and loop."""
        return f"{self.name}, {self.loop}"


def clients(works: dict[str, Work], loops: tuple[str, ...] = ("asyncio", "uvloop")) -> list[Client]:
    """Each work on each loop."""
    return [Client(name, loop, work) for loop in loops for name, work in works.items()]


def ratio(values: list[float], base: list[float]) -> str:
    """How the median of some rounds compares with that of others."""
    return f"{statistics.median(values) / statistics.median(base):.1f}"
