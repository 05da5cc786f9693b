"""What all media units share: reports from the core, and waiting for them."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING
from weakref import WeakMethod

from voxwire.loops import bridge_to, running_loop
from voxwire.waiters import Waiters

from .routing import MediaUnit

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire import _core

Path = str | PathLike[str]


def _ignored(*_: object) -> None:
    """Take what only units of another kind report."""


@dataclass(slots=True)
class Reports:
    """The `_core.UnitSink` of a unit."""

    on_readable: Callable[[], None]
    on_writable: Callable[[], None]
    on_route_ended: Callable[[int, str, _core.RouteFigures], None]
    on_finished: Callable[[Exception | None], None]
    on_file_completed: Callable[[str], None] = _ignored
    on_mark: Callable[[int, bool], None] = _ignored
    kept: object = None
    """Kept alive until the unit is finished: the core keeps this."""

    @classmethod
    def weak(cls, *methods: Callable[..., None]) -> Reports:
        """Reports that keep nobody alive."""
        return cls(*map(_weakly, methods))


def _weakly(method: Callable[..., None]) -> Callable[..., None]:
    reference = WeakMethod(method)

    def report(*arguments: object) -> None:
        if (alive := reference()) is not None:
            alive(*arguments)

    return report


class Unit(MediaUnit):
    """A handle of the core that reports to the loop it was made in."""

    def __init__(self) -> None:
        self._bridge = bridge_to(running_loop(f"a {type(self).__name__}"))
        self._waiters = Waiters()
        self._finished = False
        self._error: Exception | None = None
        wake = self._waiters.wake
        self._reports = Reports(wake, wake, self._on_route_ended, self._on_finished)

    def _is_over(self) -> bool:
        return self._finished

    def _on_finished(self, error: Exception | None) -> None:
        self._finished = True
        self._error = error
        self._end_routes()
        self._waiters.wake()

    async def _wait_finished(self) -> None:
        await self._waiters.until(lambda: self._finished)
        if self._error is not None:
            raise self._error
