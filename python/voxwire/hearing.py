"""What a WebSocket tells of the audio that it receives. The audio itself is the core's; the connection is `link`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from .enums import WebSocketAudioEncoding
from .events import (
    MarkEvent,
    MediaDiscardedEvent,
    MediaEndedEvent,
    MediaStartedEvent,
    SpeechEndedEvent,
    SpeechStartedEvent,
    WebSocketMediaInfo,
)
from .marks import Mark, Marks
from .target import EventTarget

if TYPE_CHECKING:
    from .websocket import WebSocket


class Hearing(EventTarget):
    """The events of incoming audio, as the core reports them."""

    def __init__(self) -> None:
        """Begin with no marks."""
        super().__init__()
        self._marks = Marks()

    def _flush(self) -> None:
        """Give the messages that wait to the handlers: what came before is handled before."""
        raise NotImplementedError

    def _on_media_started(self, tag: str, encoding: str, custom_parameters: str | None) -> None:
        self._flush()
        parameters = None if custom_parameters is None else json.loads(custom_parameters)
        self._dispatch(MediaStartedEvent(cast("WebSocket", self), tag, WebSocketAudioEncoding(encoding), parameters))

    def _on_media_ended(self, tag: str, duration: float) -> None:
        self._flush()
        self._dispatch(MediaEndedEvent(cast("WebSocket", self), tag, WebSocketMediaInfo(duration)))

    def _on_media_discarded(self, tag: str, duration: float) -> None:
        self._flush()
        self._dispatch(MediaDiscardedEvent(cast("WebSocket", self), tag, duration))

    def _on_speech_started(self, tag: str, position: float) -> None:
        self._flush()
        self._dispatch(SpeechStartedEvent(cast("WebSocket", self), tag, position))

    def _on_speech_ended(self, tag: str, position: float, duration: float) -> None:
        self._flush()
        self._dispatch(SpeechEndedEvent(cast("WebSocket", self), tag, position, duration))

    def _on_mark(self, identity: int, played: bool) -> None:
        self._flush()
        mark = self._marks.take(identity)
        if mark is not None:
            self._tell(mark, played=played)

    def _drop_marks(self) -> None:
        """Tell of marks that the core does not tell of any more."""
        for mark in self._marks.take_all():
            self._tell(mark, played=False)

    def _tell(self, mark: Mark, *, played: bool) -> None:
        self._dispatch(MarkEvent(cast("WebSocket", self), mark.name, mark.tag, played))
        mark.tell(played=played)
