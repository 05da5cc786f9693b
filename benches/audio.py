"""The audio of the bridged calls: prepared streams to send, and what came out of the bridge, listened to.

Each 20 ms frame has a level of its own, one of 16 in turn: whoever receives the frames can tell which one it is, and
whether one is missing, repeated or made up. Independent of voxwire and of audioop.
"""

from __future__ import annotations

import base64
import itertools
import json
import struct
from collections.abc import Sequence

from . import frames

FRAME_MS = 20
LEVELS = [2000 + 1500 * i for i in range(16)]
_TOLERANCE = 600  # µ-law is this coarse near full scale


def _ulaw_value(code: int) -> int:
    """One code decoded; ITU-T G.711 table 2."""
    code = ~code & 0xFF
    value = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 0x07)) - 0x84
    return -value if code & 0x80 else value


_ULAW = [_ulaw_value(code) for code in range(256)]


def _ulaw_code(value: int) -> int:
    """The code nearest to a value."""
    return min(range(256), key=lambda code: abs(_ULAW[code] - value))


_ULAW_LEVELS = [_ulaw_code(level) for level in LEVELS]


def payload(encoding: str, number: int) -> bytes:
    """Frame `number` of a stream."""
    index = number % len(LEVELS)
    if encoding == "ULAW":
        return bytes([_ULAW_LEVELS[index]]) * 160
    return struct.pack("<h", LEVELS[index]) * 320


def stream(encoding: str, count: int, *, mask: bool) -> list[bytes]:
    """WebSocket frames: start, `count` media, stop."""
    rate, samples = (8000, 160) if encoding == "ULAW" else (16000, 320)
    form = {"encoding": encoding, "sampleRate": rate, "channels": 1}
    events: list[dict[str, object]] = [
        {"event": "start", "sequenceNumber": 0, "start": {"tag": "call", "mediaFormat": form}}
    ]
    encoded = [base64.b64encode(payload(encoding, number)).decode() for number in range(len(LEVELS))]
    for number in range(count):
        media = {
            "tag": "call",
            "chunk": number + 1,
            "timestamp": number * samples,
            "payload": encoded[number % len(LEVELS)],
        }
        events.append({"event": "media", "sequenceNumber": number + 1, "media": media})
    size = len(payload(encoding, 0)) * count
    ended = {"tag": "call", "mediaInfo": {"bytesSent": size, "duration": count * FRAME_MS}}
    events.append({"event": "stop", "sequenceNumber": count + 1, "stop": ended})
    return [frames.build(frames.TEXT, json.dumps(event, separators=(",", ":")).encode(), mask=mask) for event in events]


def heard(encoding: str, message: bytes) -> int | None:
    """Which of the levels a received media message holds; None when it is none of them."""
    event = json.loads(message)
    data = base64.b64decode(event["media"]["payload"])
    # The length is whatever a bridge makes of 20 ms.
    samples = [_ULAW[code] for code in data] if encoding == "ULAW" else struct.unpack(f"<{len(data) // 2}h", data)
    middle = sorted(samples[len(samples) // 3 : len(samples) * 2 // 3])
    value = middle[len(middle) // 2]
    index = min(range(len(LEVELS)), key=lambda i: abs(LEVELS[i] - value))
    return index if abs(LEVELS[index] - value) <= _TOLERANCE else None


def wrong(levels: Sequence[int | None]) -> int:
    """How many frames are not the one after the frame before them."""
    return sum(
        level is None or (before is not None and level != (before + 1) % len(LEVELS))
        for before, level in itertools.pairwise(levels)
    )
