"""What the core reports to: `_core.ConnectionSink`, which documents the methods. No state and no decision."""
# ruff: noqa: D102  # documented there

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from . import _core
    from .link import Link
    from .websocket import WebSocket


class Reports:
    """The `_core.ConnectionSink` of a WebSocket: a small object for each, so that the WebSocket itself shows none of this."""

    __slots__ = ("endpoint",)

    def __init__(self, link: Link) -> None:
        self.endpoint = link

    def on_open(self, protocol: str, extensions: str, headers: _core.Headers) -> None:
        self.endpoint._on_open(protocol, extensions, headers)

    def on_message(self, data: str | bytes, cost: int) -> bool | None:
        return self.endpoint._on_message(data, cost)

    def on_error(self, error: Exception) -> None:
        self.endpoint._on_error(error)

    def on_close(self, code: int, reason: str, was_clean: bool) -> None:
        self.endpoint._on_close(code, reason, was_clean)

    def on_media_started(self, tag: str, encoding: str, custom_parameters: str | None) -> None:
        self.endpoint._on_media_started(tag, encoding, custom_parameters)

    def on_media_ended(self, tag: str, duration: float) -> None:
        self.endpoint._on_media_ended(tag, duration)

    def on_media_discarded(self, tag: str, duration: float) -> None:
        self.endpoint._on_media_discarded(tag, duration)

    def on_speech_started(self, tag: str, position: float) -> None:
        self.endpoint._on_speech_started(tag, position)

    def on_speech_ended(self, tag: str, position: float, duration: float) -> None:
        self.endpoint._on_speech_ended(tag, position, duration)

    def on_mark(self, identity: int, played: bool) -> None:
        self.endpoint._on_mark(identity, played)

    def on_route_ended(self, identity: int, why: str, figures: _core.RouteFigures) -> None:
        cast("WebSocket", self.endpoint)._on_route_ended(identity, why, figures)

    def on_drained(self) -> None:
        self.endpoint._on_drained()

    def on_pong(self, payload: bytes) -> None:
        self.endpoint._pings.answered(payload)
