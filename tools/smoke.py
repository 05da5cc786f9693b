"""Tries an installed voxwire: a message and a moment of audio, there and back. Usage: smoke.py FILE.wav"""

import asyncio
import sys
import tempfile
from pathlib import Path

from voxwire import AppEvents, Player, Recorder, VoxEngine, WebSocket, __version__


async def main(wav: str) -> None:
    """Echo a text, then send the start of a WAV file through a socket and back into a recording."""

    def answer(event):
        peer = event.websocket
        peer.onmessage = lambda message: peer.send(message.data)
        peer.sendMediaTo(peer, encoding="PCM16")

    VoxEngine.addEventListener(AppEvents.WebSocket, answer)
    recording = Path(tempfile.mkdtemp()) / "back.wav"
    async with VoxEngine.allowWebSocketConnections() as server, WebSocket(server.url) as ws:
        ws.send("hello")
        assert await ws.recv() == "hello"
        async with Recorder(recording, rate=8000) as recorder:
            ws.sendMediaTo(recorder)
            player = Player(wav)
            player.sendMediaTo(ws, encoding="ULAW")
            player.start()
            await asyncio.sleep(1.5)
            assert recorder.duration > 1000, recorder.duration
            player.stop()
    assert recording.stat().st_size > 16_000
    print(f"voxwire {__version__}: messages and audio work")


asyncio.run(main(sys.argv[1]))
