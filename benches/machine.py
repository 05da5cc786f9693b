"""The machine the figures come from, and what the kernel knows of a process. Linux only: it reads /proc."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def describe() -> dict[str, str]:
    """Versions, processor, cores, load."""
    packages = {name: _version(name) for name in ("voxwire", "websockets", "uvloop")}
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **packages,
        "kernel": f"{platform.system()} {platform.release()}",
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def two_cores(pin: bool) -> tuple[int | None, int | None]:
    """A core for what is measured and one for its peer; None means that nothing is pinned."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if pin and len(cores) > 1 else (None, None)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Processes started inside run on this core alone."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Meanwhile:
    """How busy everybody else kept the machine since this was made: figures of a busy machine are worth little."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = self._read()

    @staticmethod
    def _read() -> tuple[float, float, float]:
        """Seconds of all processes, seconds stolen by other machines, seconds of our own processes that ended."""
        fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
        user, nice, system, _idle, _wait, hard, soft, steal = (int(field) / _TICKS for field in fields[:8])
        ours = sum(os.times()[:4])
        # The interrupts (the loopback network is one) are in the times of the processes that they came in.
        return user + nice + system + hard + soft, steal, ours

    @property
    def seconds(self) -> float:
        """How long ago."""
        return time.monotonic() - self._began

    def __str__(self) -> str:
        everybody, stolen, ours = (after - before for before, after in zip(self._before, self._read(), strict=True))
        others = max(0.0, everybody - ours) / self.seconds
        return f"other processes used {others:.2f} cores, other machines took {stolen / self.seconds:.2f}"


def cpu_seconds(pid: int) -> float:
    """Processor time that a process used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_bytes(pid: int | str = "self") -> int:
    """Memory of a process that is resident."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * _PAGE


def many_files() -> None:
    """Lets this process open as many sockets as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
