"""Routes: who sends audio to whom, from `sendMediaTo` to the end of it, also while one end reconnects. The audio is the
core's; here is what people see of it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from . import _core
from .enums import RouteEndReason, RouteState
from .errors import AudioRouteError
from .events import RouteEndedEvent

if TYPE_CHECKING:
    from .engine import Engine
    from .media import MediaSource, MediaUnit
    from .opus import OpusParameters

_log = logging.getLogger("voxwire")
_SILENCE = float("-inf")  # dB


@dataclass(frozen=True, slots=True, eq=False)
class RouteStatus:
    """One route, as it was at one moment. Durations are milliseconds."""

    source: MediaSource
    """The unit that sends."""
    target: MediaUnit
    """The unit that hears."""
    state: RouteState
    """What happens on it."""
    encoding: str | None
    """What goes to a WebSocket is encoded so; None for other units, which take samples."""
    rate: int
    """Samples a second at the target; 0 while it was never made, because an end reconnects."""
    tag: str | None
    """The tag that `sendMediaTo` was given; None takes over that of the source."""
    source_tag: str | None
    """Only the source's streams of this tag are sent; None: all."""
    channel: str | None
    """The channel of a `Recorder` that has two: "left" or "right"."""
    gain: float
    """How much louder it is made, in dB."""
    muted: bool
    """Whether it is silent, see `Conference.mute`."""
    since: float
    """When `sendMediaTo` was called, in seconds of `time.time()`."""
    buffered: float
    """Audio that waits: in the source, of the stream that has most, and at the target, to be mixed."""
    played: float
    """Audio that went to the target."""
    lost: int
    """Chunks of a source that is a WebSocket which never came, since then; of all its streams, as the next two."""
    concealed: float
    """Audio that was made up in their place."""
    discarded: float
    """Audio that was thrown away: over the bounds of the source, or faster than the clock of a mix."""


class Heard(NamedTuple):
    """What a source has received so far."""

    lost: int = 0
    concealed: float = 0.0
    discarded: float = 0.0


class Route:
    """One `sendMediaTo`. Kept by the units at its ends while it lasts."""

    __slots__ = (
        "__weakref__",
        "_before",
        "_discarded",
        "_played",
        "_rate",
        "channel",
        "custom",
        "encoding",
        "gain",
        "id",
        "muted",
        "opus",
        "over",
        "since",
        "source",
        "source_tag",
        "tag",
        "target",
    )

    def __init__(
        self,
        source: MediaSource,
        target: MediaUnit,
        encoding: str | None,
        tag: str | None,
        custom: str | None,
        opus: OpusParameters | None,
        gain: float,
        channel: str | None,
        source_tag: str | None,
    ) -> None:
        """Describe it; `establish` makes it."""
        self.source = source
        self.target = target
        self.encoding = encoding
        self.tag = tag
        self.custom = custom
        self.opus = opus
        self.gain = gain
        self.channel = channel
        self.source_tag = source_tag
        self.muted = False
        self.since = time.time()
        self.id: int | None = None
        """The core's; None while one end has no connection."""
        self.over = False
        """It is being taken down: what is left is to hear of it."""
        self._rate = 0
        self._before = source._heard()
        self._played = self._discarded = 0.0

    def _call(self) -> int | None:
        (sink,) = self.target._sinks(self.channel)
        return _core.route(
            self.source._source(),
            sink,
            self.encoding,
            self.tag,
            self.custom,
            self.opus,
            _SILENCE if self.muted else self.gain,
            self.source_tag,
        )

    def _may_return(self) -> bool:
        ends = (self.source, self.target)
        return any(end._may_return() for end in ends) and not any(end._is_over() for end in ends)

    def lives(self) -> bool:
        """Say whether audio can still go this way, now or after a reconnection."""
        return not (self.over or self.source._is_over() or self.target._is_over())

    def is_between(self, source: MediaSource, target: MediaUnit) -> bool:
        """Say whether it goes from here to there, and goes on."""
        return not self.over and self.source is source and self.target is target

    def establish(self) -> None:
        """Make it, in place of the one with the same ends and tag. Raises AudioRouteError, MediaError, InvalidParameter."""
        links = list(self.source._linked())
        alike = [r for r in links if r.is_between(self.source, self.target)]
        old = next((r for r in alike if (r.tag, r.channel) == (self.tag, self.channel)), None)
        if old is not None:
            self.muted = old.muted
        self.id = self._call()
        if old is not None and self.id is not None and old.id == self.id:
            old.gain, old.custom, old.opus = self.gain, self.custom, self.opus  # the core has changed it, no more
            return
        if old is not None:
            old.take_down(RouteEndReason.REPLACED)
        if self.id is None and not self._may_return():
            return
        for end in (self.source, self.target):
            end._linked()[self] = None
        with _lock:
            _all.add(self)

    def make(self) -> None:
        """Make it again in the core, after one end has reconnected. Where the other one has no connection at the moment,
        nothing happens: that one will do so itself.
        """
        if self.over:
            return
        try:
            self.id = self._call()
        except AudioRouteError as error:  # its tag has another encoding since there was no connection
            _log.warning("audio is not sent on after a reconnection: %s", error)
            self.take_down(RouteEndReason.STOPPED)

    def change(self, *, gain: float | None = None, muted: bool | None = None) -> None:
        """Make it louder or silent, while audio flows."""
        self.gain = self.gain if gain is None else gain
        self.muted = self.muted if muted is None else muted
        if self.id is not None:
            self._call()

    def take_down(self, reason: RouteEndReason) -> None:
        """Note that it is to go: the core reports the end of what it has, and has done so of what it had."""
        if not self.over:
            self.over = True
            if self.id is None:
                self._end(reason)

    def ended(self, reason: RouteEndReason, figures: _core.RouteFigures) -> None:
        """Hear from the core that it has ended there. An end that reconnects brings it back."""
        self.id = None
        self._add(figures)
        if self.over or not self._may_return():
            self.over = True
            self._end(reason)

    def _add(self, figures: _core.RouteFigures) -> None:
        self._rate, _, _, _, played, discarded = figures
        self._played += played
        self._discarded += discarded

    def _end(self, reason: RouteEndReason) -> None:
        for end in (self.source, self.target):
            end._linked().pop(self, None)
        with _lock:
            _all.discard(self)
            engines = list(_engines)
        event = RouteEndedEvent(self.source, self.target, self.tag, reason, self.status(None, ended=True))
        for engine in engines:
            engine._dispatch(event)

    def status(self, figures: _core.RouteFigures | None, *, ended: bool = False) -> RouteStatus:
        """Describe it, with what the core says of it now."""
        rate, is_open, mixed, waiting, played, discarded = figures or (self._rate, False, False, 0.0, 0.0, 0.0)
        if figures is None:
            state = RouteState.ENDED if ended else RouteState.WAITING
        else:
            state = RouteState.MIXED if mixed else RouteState.PLAYING if is_open else RouteState.IDLE
        now, before = self.source._heard(), self._before
        return RouteStatus(
            self.source,
            self.target,
            state,
            self.encoding,
            rate,
            self.tag,
            self.source_tag,
            self.channel,
            self.gain,
            self.muted,
            self.since,
            waiting if ended else waiting + self.source._waiting(),
            self._played + played,
            now.lost - before.lost,
            now.concealed - before.concealed,
            now.discarded - before.discarded + self._discarded + discarded,
        )


_lock = Lock()
_all: WeakSet[Route] = WeakSet()
_engines: WeakSet[Engine] = WeakSet()


def listen(engine: Engine) -> None:
    """Tell this engine of routes that end."""
    with _lock:
        _engines.add(engine)


def statuses(unit: MediaUnit | None = None) -> list[RouteStatus]:
    """Answer the routes that there are, those of one unit or all, oldest first."""
    if unit is None:
        with _lock:
            routes = list(_all)
        routes.sort(key=lambda route: route.since)
    else:
        routes = list(unit._linked())
    figures = dict(_core.routes())
    return [
        route.status(None if route.id is None else figures[route.id])
        for route in routes
        if not route.over and (route.id is None or route.id in figures)
    ]
