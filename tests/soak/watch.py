"""What the process takes of the machine, and how late its loop is."""

import asyncio
import os
from pathlib import Path
from statistics import median

PROBE = 0.02


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """Open file descriptors, without the one that this takes."""
    return len(list(Path("/proc/self/fd").iterdir())) - 1


def threads() -> int:
    """Threads of this process."""
    return len(list(Path("/proc/self/task").iterdir()))


class Watch:
    """Looks once a second; measures all the time how late a timer of the loop is."""

    def __init__(self) -> None:
        self.memory: list[int] = []
        self.most_descriptors = self.most_threads = 0
        self._late: dict[int, int] = {}  # by the millisecond
        self._due = 0.0
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(0, self._first)

    def _first(self) -> None:
        self._due = self._loop.time() + PROBE
        self._timer = self._loop.call_at(self._due, self._probe)

    def _probe(self) -> None:
        now = self._loop.time()
        late = int((now - self._due) * 1000)
        self._late[late] = self._late.get(late, 0) + 1
        self._due = now + PROBE
        self._timer = self._loop.call_at(self._due, self._probe)

    def look(self) -> None:
        self.memory.append(resident())
        self.most_descriptors = max(self.most_descriptors, descriptors())
        self.most_threads = max(self.most_threads, threads())

    def stop(self) -> None:
        self._timer.cancel()

    def late(self, share: float) -> int:
        """Milliseconds that this share of the probes was late by at most."""
        left = sum(self._late.values()) * share
        for milliseconds, count in sorted(self._late.items()):
            left -= count
            if left <= 0:
                return milliseconds
        return max(self._late, default=0)

    def growth(self) -> float:
        """How much the memory grew over the last half: its last quarter beside the one before."""
        quarter = max(len(self.memory) // 4, 1)
        return median(self.memory[-quarter:]) / median(self.memory[-2 * quarter : -quarter] or self.memory) - 1
