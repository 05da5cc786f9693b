"""What a case asks of an adapter, and what it gets to know. The measuring is here; how a message is sent is not.

Three kinds of API, each compared with its own kind only: callbacks on a loop, `await` on a loop, blocking calls.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from benches import frames
from benches.figures import percentile

clock = time.perf_counter_ns
Message = str | bytes
QUESTION = "done"
"""What a sink is asked how much it got with: 4 bytes."""
EVERY = 63
"""The clock is looked at once in so many messages (and one)."""


def cpu() -> float:
    """Processor time of this process, user and system, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def payload(size: int, binary: bool) -> Message:
    """A message of so many bytes: JSON as a speech service might send."""
    text = frames.message(size)
    return text.encode() if binary else text


@dataclass
class Trips:
    """Round trips, one at a time: `took` has the nanoseconds of each."""

    message: Message
    seconds: float
    took: list[int] = field(default_factory=list)
    until: int = 0
    _cpu: float = 0.0

    def begin(self) -> int:
        """The time is running; now."""
        self._cpu = cpu()
        self.until = clock() + int(self.seconds * 1e9)
        return clock()

    def result(self) -> dict[str, Any]:
        """Trips a second, percentiles and CPU time in seconds. The first tenth is warm-up, but for the CPU time."""
        used = cpu() - self._cpu
        warm = self.took[len(self.took) // 10 :]
        ordered = sorted(warm)
        return {
            "rate": len(warm) / sum(warm) * 1e9,
            "p50": percentile(ordered, 50) / 1e9,
            "p99": percentile(ordered, 99) / 1e9,
            "cpu": used / len(self.took),
        }


@dataclass
class Flow:
    """Messages in one direction for some time."""

    message: Message
    seconds: float
    count: int = 0
    until: int = 0
    _began: int = 0
    _cpu: float = 0.0

    def begin(self) -> int:
        """The time is running; until when."""
        self._cpu = cpu()
        self._began = clock()
        self.until = self._began + int(self.seconds * 1e9)
        return self.until

    def end(self, count: int) -> None:
        """So many messages came, or have arrived."""
        self.count = count
        self._took = clock() - self._began
        self._used = cpu() - self._cpu

    def result(self) -> dict[str, Any]:
        """Messages a second and CPU time of one in seconds."""
        return {"rate": self.count / self._took * 1e9, "cpu": self._used / max(1, self.count)}


class Callbacks(Protocol):
    """A library that calls a handler on the loop's thread. Each handler is written out: nothing stands between."""

    async def trips(self, url: str, trips: Trips) -> None:
        """Sends a message, the next one from the handler, until the time is over."""

    async def receive(self, url: str, flow: Flow) -> None:
        """Counts what the server floods with."""

    async def send(self, url: str, flow: Flow) -> None:
        """Sends as fast as the server takes it."""

    async def reflect(self, url: str) -> Any:
        """A connection that sends back what comes, text for text."""

    async def hold(self, url: str, compressed: bool) -> Any:
        """A connection with nothing to do."""

    async def close(self, connection: Any) -> None:
        """Closes what `hold` has opened, as the library does it."""


@dataclass
class Awaited:
    """A connection of a library whose `recv` is awaited."""

    send: Callable[[Message], Any]
    recv: Callable[[], Awaitable[Any]]
    close: Callable[[], Any]
    content: Callable[[Any], Message] | None = None
    """What makes a str or bytes of what `recv` returns, if that is something else."""
    awaits: bool = True
    """Whether `send` is a coroutine. If it is not, `drain` waits for room when `full` says so."""
    full: Callable[[], bool] = lambda: False
    drain: Callable[[], Awaitable[None]] | None = None
    kept: Any = None


@dataclass
class Blocking:
    """A connection of a library whose calls block."""

    send: Callable[[Message], Any]
    recv: Callable[[], Any]
    close: Callable[[], Any]
    content: Callable[[Any], Message] | None = None
    kept: Any = None


OpenAwaited = Callable[[str, bool], Awaitable[Awaited]]
OpenBlocking = Callable[[str, bool], Blocking]


async def forever() -> None:
    """Waits until the process ends."""
    await asyncio.get_running_loop().create_future()
