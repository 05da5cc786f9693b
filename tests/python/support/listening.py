"""Hearing what is sent: a raw server that keeps media events, the loud part of what a unit reads, WAV files."""

import asyncio
import base64
import itertools
import json
import time
import wave
from pathlib import Path
from typing import Any

from voxwire import AudioUnit

from . import frames, media
from .raw import RawPeer


class Listener:
    """A raw server that keeps the media events it gets, and when."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.speech: list[str] = []

    def __call__(self, peer: RawPeer) -> None:
        peer.accept()
        for text in self.speech:
            peer.text(text)
        while (frame := peer.frame()).opcode != frames.CLOSE:
            if frame.opcode == frames.TEXT:
                self.times.append(time.perf_counter())
                self.events.append(json.loads(frame.payload))
        peer.send(frames.CLOSE, frame.payload)
        peer.hang_up()

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [event["media"] for event in self.events if event["event"] == "media"]

    @property
    def audio(self) -> bytes:
        return b"".join(base64.b64decode(chunk["payload"]) for chunk in self.chunks)

    async def stopped(self, count: int = 1) -> None:
        while self.names.count("stop") < count:
            await asyncio.sleep(0.005)

    async def chunk(self, count: int = 1) -> None:
        while len(self.chunks) < count:
            await asyncio.sleep(0.005)


async def heard_by(unit: AudioUnit, milliseconds: float = 280) -> bytes:
    """The loud part of what a unit reads, until it is so long (or 3 s passed)."""
    pcm = b""
    deadline = asyncio.get_running_loop().time() + 3
    wanted = int(milliseconds * unit.rate / 1000) * 2
    while len(media.loud(pcm)) < wanted and asyncio.get_running_loop().time() < deadline:
        try:
            pcm += await asyncio.wait_for(unit.read(), 1)
        except TimeoutError:
            break
    return media.loud(pcm)


def crossings(pcm: bytes, rate: int = 8000) -> float:
    """The frequency of a tone."""
    values = media.samples(pcm)
    ups = sum(1 for a, b in itertools.pairwise(values) if a < 0 <= b)
    return ups / (len(values) / rate)


def wav(directory: Path, pcm: bytes, rate: int = 8000) -> Path:
    path = directory / "in.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path
