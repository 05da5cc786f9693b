"""The objects that handlers get: one small frozen class for each event. No behaviour.

The names of the fields are VoxEngine's. Every event has `name`; `fields` is the event as a dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from .enums import AppEvents, AudioUnitEvents, WebSocketEvents

if TYPE_CHECKING:
    from enum import StrEnum

    from .enums import RouteEndReason, WebSocketAudioEncoding
    from .media import AudioUnit, MediaSource, MediaUnit
    from .routes import RouteStatus
    from .websocket import WebSocket

__all__ = [
    "AudioUnitMarkEvent",
    "CloseEvent",
    "CreatedEvent",
    "ErrorEvent",
    "Event",
    "MarkEvent",
    "MediaDiscardedEvent",
    "MediaEndedEvent",
    "MediaStartedEvent",
    "MessageEvent",
    "NewWebSocketEvent",
    "NewWebSocketFailedEvent",
    "OpenEvent",
    "ReconnectingEvent",
    "RouteEndedEvent",
    "SpeechEndedEvent",
    "SpeechStartedEvent",
    "WebSocketEvent",
    "WebSocketMediaInfo",
]


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """The base of all events."""

    name: ClassVar[StrEnum]

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that this event has, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, eq=False)
class WebSocketEvent(Event):
    """The base of a WebSocket's events."""

    websocket: WebSocket
    """The connection it happened on."""


@dataclass(frozen=True, slots=True, eq=False)
class CreatedEvent(WebSocketEvent):
    """The connection object was created."""

    name: ClassVar[StrEnum] = WebSocketEvents.CREATED
    statisticsUrl: str | None = None
    """The `file://` URL of the JSON file that is written at CLOSE; None, and no field, without `statistics`."""

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that this event has, by name."""
        if self.statisticsUrl is None:
            return {"websocket": self.websocket}
        return {"websocket": self.websocket, "statisticsUrl": self.statisticsUrl}


@dataclass(frozen=True, slots=True, eq=False)
class OpenEvent(WebSocketEvent):
    """The connection is open."""

    name: ClassVar[StrEnum] = WebSocketEvents.OPEN
    attempt: int = 0
    """Which attempt after a loss it was; 0, and no field, for a connection that is open at once."""

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that this event has, by name."""
        if self.attempt == 0:
            return {"websocket": self.websocket}
        return {"websocket": self.websocket, "attempt": self.attempt}


@dataclass(frozen=True, slots=True, eq=False)
class MessageEvent(WebSocketEvent):
    """A message was received."""

    name: ClassVar[StrEnum] = WebSocketEvents.MESSAGE
    data: str | bytes
    """The message: `str` for a text message, `bytes` for a binary one."""

    @property
    def text(self) -> str | None:
        """The text of a text message; None for a binary one."""
        data = self.data
        return data if isinstance(data, str) else None

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that this event has, by name."""
        return {"websocket": self.websocket, "text": self.text, "data": self.data}


@dataclass(frozen=True, slots=True, eq=False)
class ErrorEvent(WebSocketEvent):
    """Something failed. With a `MediaError` the connection stays open; with any other it is closed already."""

    name: ClassVar[StrEnum] = WebSocketEvents.ERROR
    error: Exception
    """One of `voxwire.errors`: it says what failed, where and why."""


@dataclass(frozen=True, slots=True, eq=False)
class CloseEvent(WebSocketEvent):
    """The connection was closed."""

    name: ClassVar[StrEnum] = WebSocketEvents.CLOSE
    code: int
    """The peer's close code, 1005 when it gave none, 1006 when there was no close handshake (RFC 6455 section 7.1.5)."""
    reason: str
    """The peer's reason, at most 123 UTF-8 bytes."""
    wasClean: bool
    """Whether both sides said goodbye."""


@dataclass(frozen=True, slots=True, eq=False)
class WebSocketMediaInfo:
    """What is known of an audio stream that ended."""

    duration: float
    """How much of it was played, in milliseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class MediaStartedEvent(WebSocketEvent):
    """The audio of a stream that the peer sends began to play."""

    name: ClassVar[StrEnum] = WebSocketEvents.MEDIA_STARTED
    tag: str
    """The stream's tag; empty for a stream that has none."""
    encoding: WebSocketAudioEncoding
    customParameters: Any = None
    """What the peer's start event carried, parsed from JSON (usually a dictionary); None when it carried nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class MediaEndedEvent(WebSocketEvent):
    """The audio of a stream ended: the peer stopped it, or a second of silence passed."""

    name: ClassVar[StrEnum] = WebSocketEvents.MEDIA_ENDED
    tag: str
    mediaInfo: WebSocketMediaInfo


@dataclass(frozen=True, slots=True, eq=False)
class MediaDiscardedEvent(WebSocketEvent):
    """Audio of a stream was thrown away: more waited than `playout_buffer` holds, or the sender had stalled for longer than
    `playout_delay_max`. At most once a second for each stream, a second after the first of it, or when the stream ends.
    """

    name: ClassVar[StrEnum] = WebSocketEvents.MEDIA_DISCARDED
    tag: str
    """The stream's tag; empty for a stream that has none."""
    duration: float
    """How much, in milliseconds, since the event before."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeechStartedEvent(WebSocketEvent):
    """With `voice_activity`: speech began in audio that came in. It is told of before it is played."""

    name: ClassVar[StrEnum] = WebSocketEvents.SPEECH_STARTED
    tag: str
    """The stream's tag; empty for a stream that has none."""
    position: float
    """Where, in milliseconds of the audio of this stream that came in."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeechEndedEvent(WebSocketEvent):
    """The speech ended: a pause, the end of the stream, or nothing came any more and MEDIA_ENDED follows."""

    name: ClassVar[StrEnum] = WebSocketEvents.SPEECH_ENDED
    tag: str
    """The stream's tag; empty for a stream that has none."""
    position: float
    """Where, in milliseconds of the audio of this stream that came in."""
    duration: float
    """How long it was, in milliseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class MarkEvent(WebSocketEvent):
    """The audio that was buffered when `WebSocket.mark` was called was played, or dropped."""

    name: ClassVar[StrEnum] = WebSocketEvents.MARK
    mark: str
    """The name that was given to `mark`."""
    tag: str | None
    """The stream that was marked; None: all of them."""
    played: bool
    """True: all of it was played. False: some was dropped, by `clearMediaBuffer`, over `playout_delay_max`, or because the
    connection ended."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioUnitMarkEvent(Event):
    """What was written before `AudioUnit.mark` was called was played, or dropped."""

    name: ClassVar[StrEnum] = AudioUnitEvents.MARK
    unit: AudioUnit
    """The unit it was written to."""
    mark: str
    """The name that was given to `mark`."""
    played: bool
    """True: all of it was played. False: some was dropped, by `clear` or `close`."""


@dataclass(frozen=True, slots=True, eq=False)
class ReconnectingEvent(WebSocketEvent):
    """The connection was lost, or an attempt failed; the next attempt follows, in `delay` seconds. `close()` stops it."""

    name: ClassVar[StrEnum] = WebSocketEvents.RECONNECTING
    attempt: int
    """Which attempt it will be: 1, 2, …; counted anew after a connection that was stable."""
    delay: float
    """Seconds until it begins."""
    code: int
    """What CLOSE would say: the peer's close code, 1006 without a close handshake."""
    reason: str
    wasClean: bool
    error: Exception | None
    """What ERROR would say; None when the peer closed."""


@dataclass(frozen=True, slots=True, eq=False)
class NewWebSocketEvent(Event):
    """Somebody connected to us. Handlers added to `websocket` now see all its events."""

    name: ClassVar[StrEnum] = AppEvents.WebSocket
    websocket: WebSocket
    """The connection, in the state `connecting`."""
    path: str
    """The path and query of the request."""
    headers: list[tuple[str, str]]
    """The headers of the request, in their order."""
    remoteAddress: tuple[str, int] | None
    """The peer's address and port; None on a Unix socket."""


@dataclass(frozen=True, slots=True, eq=False)
class NewWebSocketFailedEvent(Event):
    """A connection was refused with HTTP status 503: `max_connections` is reached."""

    name: ClassVar[StrEnum] = AppEvents.NewWebSocketFailed
    reason: str
    """The limit that was reached and its value."""
    remoteAddress: tuple[str, int] | None
    """The peer's address and port; None on a Unix socket."""


@dataclass(frozen=True, slots=True, eq=False)
class RouteEndedEvent(Event):
    """A route has ended: a unit at one end is closed or has finished, `stopMediaTo`, or another route took its place. It
    comes in the loop of the source, before that one's CLOSE.
    """

    name: ClassVar[StrEnum] = AppEvents.RouteEnded
    source: MediaSource
    """The unit that sent."""
    target: MediaUnit
    """The unit that heard."""
    tag: str | None
    """The tag that `sendMediaTo` was given."""
    reason: RouteEndReason
    """Why."""
    route: RouteStatus
    """Its figures, to the end."""
