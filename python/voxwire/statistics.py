"""The counters of a connection, and the file they are written to at CLOSE."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


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
    """Chunks that never came and were concealed."""
    media_duplicates: int = 0
    media_discarded_ms: float = 0.0
    """Milliseconds of audio received over the playout buffer's bound."""
    media_dropped_ms: float = 0.0
    """Milliseconds of audio not sent because the peer reads too slowly."""

    @classmethod
    def of(cls, counters: Mapping[str, Any]) -> WebSocketStatistics:
        """Make one of the core's counters."""
        return cls(**{field.name: counters[field.name] for field in fields(cls) if field.name in counters})

    def write(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write a JSON object: the fields `about` the connection, then the counters. Raises OSError."""
        path.write_text(json.dumps({**about, **asdict(self)}, indent=2) + "\n", encoding="utf-8")
