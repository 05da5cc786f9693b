"""Records a call to call.ogg in the current directory: what we hear on the left channel, what we say on the right one.

Usage:
    python examples/record_call.py ws://127.0.0.1:8000     records the call with it, until its stream ends
    python examples/record_call.py                         starts a peer of its own that speaks for two seconds
"""

import asyncio
import sys
from pathlib import Path

from voxwire import AppEvents, Engine, MediaEndedEvent, NewWebSocketEvent, OpenEvent, Player, Recorder, WebSocket

SPEECH = Path(__file__).with_name("speech.wav")


async def record(url: str, path: str) -> None:
    ended = asyncio.Event()

    def on_media_ended(event: MediaEndedEvent) -> None:
        print(f"stream {event.tag!r} ended after {event.mediaInfo.duration:.0f} ms")
        ended.set()

    async with Recorder(path, channels=2) as recorder, WebSocket(url) as ws:
        ws.onmediastarted = lambda event: print(f"stream {event.tag!r} started: {event.encoding}")
        ws.onmediaended = on_media_ended
        ws.sendMediaTo(recorder, {"channel": "left"})  # the core decodes the audio and writes it; gaps become silence
        answer = Player(SPEECH)
        answer.sendMediaTo(ws)
        answer.sendMediaTo(recorder, {"channel": "right"})
        answer.start()
        await ended.wait()
    print(f"{path}: {recorder.duration:.0f} ms")


def speak(event: NewWebSocketEvent) -> None:
    """The peer: plays the speech to whoever connects, and stops after two seconds."""

    async def on_open(event: OpenEvent) -> None:
        player = Player(SPEECH)
        player.sendMediaTo(event.websocket, {"encoding": "ULAW", "tag": "speech"})
        player.start()
        await asyncio.sleep(2)
        player.stop()

    event.websocket.onopen = on_open


async def main() -> None:
    if len(sys.argv) > 1:
        await record(sys.argv[1], "call.ogg")
        return
    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, speak)
    async with engine.allowWebSocketConnections() as server:
        await record(server.url, "call.ogg")


asyncio.run(main())
