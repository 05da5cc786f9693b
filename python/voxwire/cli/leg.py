"""One connection as a command sees it: its events go to the time line, and its figures into the totals.

A leg only watches; what is sent where is the command's business.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from voxwire import (
    CloseEvent,
    ErrorEvent,
    MediaEndedEvent,
    MediaStartedEvent,
    WebSocket,
    WebSocketEvent,
    WebSocketEvents,
)
from voxwire.cli.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of one leg or of many."""

    frames_in: int = 0
    frames_out: int = 0
    lost: int = 0
    played: float = 0.0
    """Milliseconds of incoming audio played."""

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.frames_in + other.frames_in,
            self.frames_out + other.frames_out,
            self.lost + other.lost,
            self.played + other.played,
        )


def total(legs: Iterable[Leg], start: Figures = Figures()) -> Figures:
    """The sum of what all these legs counted."""
    return sum((leg.figures() for leg in legs), start)


class Leg:
    """Watches `websocket` from CREATED to CLOSE. MESSAGE is left alone, so that messages can be iterated over."""

    def __init__(self, name: str, websocket: WebSocket, timeline: Timeline, call: int | None = None) -> None:
        self.name = name
        self.call = call
        self.websocket = websocket
        self.error: Exception | None = None
        self.closed: CloseEvent | None = None
        self.playing: dict[str, float] = {}
        """Streams that play now, by tag, and when each started (time.monotonic())."""
        self.ended = 0
        """Streams that ended."""
        self._timeline = timeline
        self._played = 0.0
        for event in WebSocketEvents:
            if event is not WebSocketEvents.MESSAGE:
                websocket.addEventListener(event, self._on_event)

    def figures(self) -> Figures:
        """What was counted up to now. A stream that plays counts with the time since it started."""
        counts = self.websocket.statistics()
        now = time.monotonic()
        return Figures(
            frames_in=counts.media_frames_received,
            frames_out=counts.media_frames_sent,
            lost=counts.media_lost,
            played=self._played + sum(now - start for start in self.playing.values()) * 1000,
        )

    def _on_event(self, event: WebSocketEvent) -> None:
        fields: dict[str, Any] = {}
        match event:
            case MediaStartedEvent():
                self.playing[event.tag] = time.monotonic()
                fields = {"tag": event.tag, "encoding": event.encoding, "customParameters": event.customParameters}
            case MediaEndedEvent():
                self.playing.pop(event.tag, None)
                self.ended += 1
                self._played += event.mediaInfo.duration
                fields = {"tag": event.tag, "duration": event.mediaInfo.duration}
            case ErrorEvent():
                self.error = event.error
                fields = {"error": str(event.error)}
            case CloseEvent():
                self.closed = event
                self.playing.clear()
                fields = {"code": event.code, "reason": event.reason, "wasClean": event.wasClean}
            case _:
                pass
        self._timeline.add(str(event.name), self.name, self.call, **fields)
