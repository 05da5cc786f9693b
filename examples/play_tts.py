"""Speaks into a call what a speech synthesis gives, while it gives it, and stops when the other side interrupts.

Usage:
    python examples/play_tts.py ws://127.0.0.1:8000     speaks to whoever is there
    python examples/play_tts.py                         starts a peer of its own that records it to spoken.ogg

The synthesis here is a file that comes in pieces. A real one is an async iterator as well: the body of a streamed HTTP
response, or an async generator around the service's own WebSocket.
"""

import asyncio
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

from voxwire import AppEvents, Engine, MessageEvent, NewWebSocketEvent, Player, Recorder, WebSocket

SPEECH = Path(__file__).with_name("speech.wav")


async def synthesis(seconds: float) -> AsyncIterator[bytes]:
    """Raw PCM in pieces, as it is made: faster than it is spoken, and never much ahead, because nobody asks for more."""
    with wave.open(str(SPEECH)) as file:
        for _ in range(round(seconds * 10)):
            await asyncio.sleep(0.02)
            yield file.readframes(file.getframerate() // 10)


async def speak(url: str, seconds: float) -> None:
    with wave.open(str(SPEECH)) as file:
        rate = file.getframerate()
    async with WebSocket(url) as ws:
        player = Player(synthesis(seconds), format="raw", encoding="PCM16", rate=rate)
        player.sendMediaTo(ws, {"encoding": "ULAW", "tag": "agent"})

        def interrupted(event: MessageEvent) -> None:
            print(f"interrupted: {event.text}")
            player.stop()  # ends the synthesis, too

        ws.onmessage = interrupted
        player.start()
        await player.wait_finished()  # raises what the synthesis raised
        print(f"spoke for {player.position / 1000:.1f} s")


async def main() -> None:
    if len(sys.argv) > 1:
        await speak(sys.argv[1], 10)
        return
    recorder = Recorder("spoken.ogg")
    engine = Engine()

    def incoming(event: NewWebSocketEvent) -> None:
        peer = event.websocket
        peer.sendMediaTo(recorder)
        asyncio.get_running_loop().call_later(1.5, lambda: peer.send("let me say something"))

    engine.addEventListener(AppEvents.WebSocket, incoming)
    async with recorder, engine.allowWebSocketConnections() as server:
        await speak(server.url, 10)
    print(f"recorded {recorder.duration / 1000:.1f} s")


asyncio.run(main())
