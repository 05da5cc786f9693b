"""Media stream events written by hand, and signals to put into them."""

import array
import base64
import json
import math
from typing import Any


def start(encoding: str = "ULAW", rate: int = 8000, *, tag: str | None = "t", custom: Any = None, **more: Any) -> str:
    body: dict[str, Any] = {"mediaFormat": {"encoding": encoding, "sampleRate": rate, "channels": 1, **more}}
    if tag is not None:
        body["tag"] = tag
    if custom is not None:
        body["customParameters"] = custom
    return json.dumps({"event": "start", "sequenceNumber": 0, "start": body})


def media(
    chunk: int, payload: bytes, *, samples: int = 160, tag: str | None = "t", body: dict[str, Any] | None = None
) -> str:
    """`body` replaces what it holds."""
    fields: dict[str, Any] = {
        "chunk": chunk,
        "timestamp": chunk * samples,
        "payload": base64.b64encode(payload).decode(),
    }
    if tag is not None:
        fields["tag"] = tag
    return json.dumps({"event": "media", "sequenceNumber": chunk + 1, "media": fields | (body or {})})


def stop(*, tag: str | None = "t", bytes_sent: int = 0, duration: float = 0) -> str:
    body: dict[str, Any] = {"mediaInfo": {"bytesSent": bytes_sent, "duration": duration}}
    if tag is not None:
        body["tag"] = tag
    return json.dumps({"event": "stop", "sequenceNumber": 99, "stop": body})


def tone(milliseconds: int, rate: int = 8000, frequency: float = 440.0, level: int = 8000) -> bytes:
    """A sine as s16le."""
    count = rate * milliseconds // 1000
    return array.array(
        "h", (round(level * math.sin(2 * math.pi * frequency * n / rate)) for n in range(count))
    ).tobytes()


def samples(pcm: bytes) -> "array.array[int]":
    return array.array("h", pcm)


def level(pcm: bytes) -> float:
    """Root mean square of s16le."""
    values = samples(pcm)
    return math.sqrt(sum(value * value for value in values) / len(values)) if values else 0.0


def loud(pcm: bytes, threshold: int = 200) -> bytes:
    """The part from the first to the last sample above the threshold."""
    values = samples(pcm)
    above = [index for index, value in enumerate(values) if abs(value) > threshold]
    return values[above[0] : above[-1] + 1].tobytes() if above else b""


def amplitude(pcm: bytes, frequency: float, rate: int = 8000) -> float:
    """How strong a sine of this frequency is in s16le: the amplitude that `tone` calls level (Goertzel)."""
    values = samples(pcm)
    coefficient = 2 * math.cos(2 * math.pi * frequency / rate)
    before, last = 0.0, 0.0
    for value in values:
        before, last = last, value + coefficient * last - before
    power = last * last + before * before - coefficient * last * before
    return 2 * math.sqrt(max(power, 0.0)) / len(values) if values else 0.0
