"""A menu that is used with the keys of a telephone: it plays a dial tone and collects digits up to #.

Usage:
    python examples/keypad.py 8000     serves on port 8000 until Ctrl-C
    python examples/keypad.py          calls itself, and presses 4711#
"""

import asyncio
import sys

from voxwire import (
    AppEvents,
    Engine,
    NewWebSocketEvent,
    ToneDetector,
    ToneEnded,
    ToneGenerator,
    ToneStarted,
    WebSocket,
    WebSocketParameters,
)


async def menu(event: NewWebSocketEvent) -> None:
    caller = event.websocket
    await caller.wait_open()
    print("the menu answers")
    async with ToneDetector() as detector, ToneGenerator() as tones:
        caller.onclose = lambda _: detector.close()  # ends the loop below
        caller.sendMediaTo(detector)
        tones.sendMediaTo(caller, {"encoding": "ULAW", "tag": "tones"})
        tones.play_tone([425])  # until the first key
        extension = ""
        async for tone in detector:
            match tone:
                case ToneStarted():
                    tones.stop()
                case ToneEnded(digit="#"):
                    print(f"pressed # for {tone.duration:.0f} ms")
                    break
                case ToneEnded():
                    print(f"pressed {tone.digit} for {tone.duration:.0f} ms")
                    extension += tone.digit
        caller.send(extension)


async def main() -> None:
    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, menu)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    # A third of a second of delay: nobody notices it here, and no jitter breaks a digit in two.
    patient: WebSocketParameters = {"playout_delay": 0.3}
    async with engine.allowWebSocketConnections("127.0.0.1", port, parameters=patient) as server:
        if len(sys.argv) > 1:
            await asyncio.Event().wait()
        async with WebSocket(server.url) as ws, ToneGenerator() as keys:
            keys.sendMediaTo(ws, {"encoding": "ULAW"})
            keys.play("4711#", duration=100, gap=100)
            print("the caller wants extension", await ws.recv())


asyncio.run(main())
