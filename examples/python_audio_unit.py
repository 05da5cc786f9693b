"""Audio through Python: an agent that sends the caller's voice back, twice as loud. Needs numpy.

Usage:
    python examples/python_audio_unit.py 8000     serves on port 8000 until Ctrl-C
    python examples/python_audio_unit.py          calls itself, and compares the levels
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

from voxwire import AppEvents, AudioUnit, Engine, MediaSource, NewWebSocketEvent, Player, WebSocket

GAIN = 2.0


async def louder(event: NewWebSocketEvent) -> None:
    caller = event.websocket
    async with AudioUnit(rate=16000) as unit:
        caller.onclose = lambda _: unit.close()  # ends the loop below
        caller.sendMediaTo(unit)  # the caller's voice comes to `unit` ...
        unit.sendMediaTo(caller, {"encoding": "PCM16"})  # ... and what is written to `unit` goes to the caller
        async for frame in unit:  # 20 ms each, signed 16-bit, whatever the caller's encoding is
            samples = np.frombuffer(frame, dtype=np.int16) * GAIN
            unit.write(np.clip(samples, -32768, 32767).astype(np.int16))


async def level(source: MediaSource, seconds: float) -> float:
    """The level (RMS) of the next audio that `source` gives."""
    async with AudioUnit(rate=16000) as unit:
        source.sendMediaTo(unit)
        frames = [await unit.read() for _ in range(round(seconds / 0.02))]
    return float(np.sqrt(np.mean(np.frombuffer(b"".join(frames), dtype=np.int16).astype(float) ** 2)))


async def main() -> None:
    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, louder)
    async with engine.allowWebSocketConnections("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        if len(sys.argv) > 1:
            await asyncio.Event().wait()
        async with WebSocket(server.url) as ws:
            player = Player(Path(__file__).with_name("speech.wav"))
            player.sendMediaTo(ws, {"encoding": "PCM16"})
            player.start()
            sent, back = await asyncio.gather(level(player, 3), level(ws, 3))
            print(f"level sent {sent:.0f}, level back {back:.0f}: {back / sent:.2f} times as loud")


asyncio.run(main())
