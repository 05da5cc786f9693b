"""The counters of a connection, the file they are written to at CLOSE, and those of the process. `prometheus` is their text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from .prometheus import exposition

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_OF_NOW = ("latency", "unhandled_bytes", "buffered_bytes", "reconnects")
"""Fields that are not summed over the connections of one WebSocket."""


@dataclass(frozen=True, slots=True)
class WebSocketStatistics:
    """What a connection has done so far."""

    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    """Payload of the messages."""
    bytes_received: int = 0
    wire_bytes_sent: int = 0
    """With frame headers and control frames; without the handshake, before TLS."""
    wire_bytes_received: int = 0
    pings_sent: int = 0
    pongs_received: int = 0
    latency: float = 0.0
    """Round trip of the last ping answered, in seconds; 0.0 before the first."""
    media_frames_sent: int = 0
    media_frames_received: int = 0
    media_lost: int = 0
    """Chunks that never came."""
    media_duplicates: int = 0
    media_discarded_ms: float = 0.0
    """Milliseconds of audio received and not played: over the playout buffer's bound, too late, or cleared."""
    media_concealed_ms: float = 0.0
    """Milliseconds of audio made up for chunks that were lost."""
    media_concealed_gaps: int = 0
    """How many gaps that were."""
    media_recovered_ms: float = 0.0
    """Milliseconds of lost chunks that the chunks after them gave back: Opus with FEC."""
    media_adjusted_ms: float = 0.0
    """Milliseconds left out or repeated, where it is not heard, to correct the delay."""
    media_dropped_ms: float = 0.0
    """Milliseconds of audio not sent because the peer reads too slowly."""
    media_streams_refused: int = 0
    """Starts of streams that were refused: more at once than `max_streams`."""
    unhandled_bytes: int = 0
    """Messages received and not handled yet, with 128 bytes for each: what `receive_buffer` bounds. As it is now."""
    buffered_bytes: int = 0
    """Payload of messages sent that the operating system has not taken yet. As it is now."""
    reconnects: int = 0
    """How often a connection was made again after a loss; the counters go on counting."""

    @classmethod
    def of(cls, counters: Mapping[str, Any]) -> WebSocketStatistics:
        """Make one of the core's counters."""
        return cls(**{field.name: counters[field.name] for field in fields(cls) if field.name in counters})

    def plus(self, later: WebSocketStatistics, *, reconnects: int = 0) -> WebSocketStatistics:
        """Answer the counters of a lost connection and the one after it, together: sums, but what is `later`'s alone."""
        sums = {
            field.name: getattr(self, field.name) + getattr(later, field.name)
            for field in fields(self)
            if field.name not in _OF_NOW
        }
        return replace(later, **sums, latency=later.latency or self.latency, reconnects=reconnects)

    def write(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write a JSON object: the fields `about` the connection, then the counters. Raises OSError."""
        path.write_text(json.dumps({**about, **asdict(self)}, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class ProcessStatistics:
    """What all connections of the process have done so far, ended ones too."""

    connections_connecting: int = 0
    """Outgoing connections on their way."""
    connections_open: int = 0
    connections_opened: int = 0
    """Connections, of either direction, that were ever open."""
    connections_failed: int = 0
    """Outgoing attempts that never were."""
    connections_closed: Mapping[str, int] = field(default_factory=dict)
    """Connections that were open and ended, by close code: "1000" to "1015", "3xxx", "4xxx" and "other"."""
    connections_refused: int = 0
    """Connections that servers refused because there were too many (`max_connections`)."""
    reconnects: int = 0
    """Connections that took the place of a lost one."""
    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    """Payload of the messages."""
    bytes_received: int = 0
    wire_bytes_sent: int = 0
    """With frame headers and control frames; without the handshake, before TLS."""
    wire_bytes_received: int = 0
    pings_sent: int = 0
    pongs_received: int = 0
    latency_buckets: tuple[tuple[float, int], ...] = ()
    """Round trips of keepalive pings: an upper bound in seconds, and how many were within it and over the one before. The
    last bound is infinite."""
    latency_sum: float = 0.0
    """Seconds of all these round trips together."""
    latency_max: float = 0.0
    """Seconds of the longest."""
    media_frames_sent: int = 0
    media_frames_received: int = 0
    media_lost: int = 0
    """Chunks that never came."""
    media_duplicates: int = 0
    media_discarded_ms: float = 0.0
    """Milliseconds of audio received and not played: over the playout buffer's bound, too late, or cleared."""
    media_concealed_ms: float = 0.0
    """Milliseconds of audio made up for chunks that were lost."""
    media_concealed_gaps: int = 0
    """How many gaps that were."""
    media_recovered_ms: float = 0.0
    """Milliseconds of lost chunks that the chunks after them gave back: Opus with FEC."""
    media_adjusted_ms: float = 0.0
    """Milliseconds left out or repeated, where it is not heard, to correct the delay."""
    media_dropped_ms: float = 0.0
    """Milliseconds of audio not sent because peers read too slowly."""
    media_streams_refused: int = 0
    """Starts of streams that were refused: more at once than `max_streams`."""
    unhandled_bytes: int = 0
    """Messages received and not handled yet, with 128 bytes for each. As it is now."""
    buffered_bytes: int = 0
    """Payload of messages sent that the operating system has not taken yet. As it is now."""

    @classmethod
    def of(cls, counters: Mapping[str, Any]) -> ProcessStatistics:
        """Make one of the core's counters."""
        values = {field.name: counters[field.name] for field in fields(cls) if field.name in counters}
        values["connections_closed"] = dict(counters["connections_closed"])
        values["latency_buckets"] = tuple(counters["latency_buckets"])
        return cls(**values)

    def to_prometheus(self, labels: Mapping[str, str] | None = None) -> str:
        """Answer them in Prometheus' text exposition format 0.0.4, with these labels on each sample.

        Serve it with the content type `prometheus.CONTENT_TYPE`. Raises InvalidParameter for a label with a wrong name.
        """
        return exposition(self, labels or {})
