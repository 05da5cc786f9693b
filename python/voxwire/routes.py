"""The routes of a WebSocket that may be lost and come back: remembered, to be made again. The audio is the core's."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _core
from .errors import AudioRouteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from weakref import ref

    from .media import MediaSource, MediaUnit
    from .opus import OpusParameters

_log = logging.getLogger("voxwire")


@dataclass(frozen=True, slots=True)
class Route:
    """One `sendMediaTo`. What still works is kept alive by its loop; a route keeps nobody."""

    source: ref[MediaSource]
    target: ref[MediaUnit]
    encoding: str | None
    tag: str | None
    custom: str | None
    opus: OpusParameters | None = None
    gain: float = 0.0
    channel: str | None = None

    def lives(self) -> bool:
        """Say whether audio can still go this way, now or after a reconnection."""
        source, target = self.source(), self.target()
        return not (source is None or source._is_over() or target is None or target._is_over())

    def make(self) -> None:
        """Make it in the core. Where one end has no connection at the moment, nothing happens: it will do so itself."""
        source, target = self.source(), self.target()
        if source is None or target is None:
            return
        try:
            for sink in target._sinks(self.channel):
                _core.route(source._source(), sink, self.encoding, self.tag, self.custom, self.opus, self.gain)
        except AudioRouteError as error:  # its tag has another encoding since there was no connection
            _log.warning("audio is not sent on after a reconnection: %s", error)


class Routes:
    """The routes from and to one WebSocket."""

    __slots__ = ("_routes",)

    def __init__(self) -> None:
        """Begin with none."""
        self._routes: list[Route] = []

    def add(self, route: Route) -> None:
        """Remember a route, in place of the one with the same ends and tag."""
        self._keep(
            lambda old: (
                (old.source, old.target, old.tag, old.channel) != (route.source, route.target, route.tag, route.channel)
                and old.lives()
            )
        )
        self._routes.append(route)

    def remove(self, source: MediaSource, target: MediaUnit, tag: str | None, channel: str | None) -> None:
        """Forget the route with this tag to this channel; None means any of them."""
        self._keep(
            lambda old: (
                old.source() is not source
                or old.target() is not target
                or (tag is not None and old.tag != tag)
                or (channel is not None and old.channel != channel)
            )
        )

    def clear(self) -> None:
        """Forget all."""
        self._routes.clear()

    def make_from(self, source: MediaSource) -> None:
        """Make those from `source` again."""
        for route in [route for route in self._routes if route.source() is source]:
            route.make()

    def make_to(self, target: MediaUnit) -> None:
        """Make those to `target` again."""
        for route in [route for route in self._routes if route.target() is target]:
            route.make()

    def _keep(self, wanted: Callable[[Route], bool]) -> None:
        self._routes = [route for route in self._routes if wanted(route)]
