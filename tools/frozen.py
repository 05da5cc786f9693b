"""An application as users freeze or zip it (tools/try_frozen.sh): messages from each face of the package and a moment of audio,
and it ends with connections open, which is nothing to complain about. Usage: frozen.py FILE.wav
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from voxwire import AppEvents, Player, Recorder, VoxEngine, WebSocket, __version__, sync
from voxwire.compat import websocket, websockets

KEPT: list[object] = []
"""What is open until the interpreter ends."""


def answer(event) -> None:
    """Send back what comes, media too."""
    peer = event.websocket
    peer.onmessage = lambda message: peer.send(message.data)
    peer.sendMediaTo(peer, encoding="PCM16")


def blocking(url: str) -> None:
    """A message there and back with each blocking face."""
    with sync.connect(url) as ws:
        ws.send("sync")
        assert ws.recv() == "sync"
    old = websocket.create_connection(url)
    old.send("websocket-client")
    assert old.recv() == "websocket-client"
    old.close()


async def main(wav: str) -> None:
    """Talk to a server of our own, and leave it and one caller open."""
    VoxEngine.addEventListener(AppEvents.WebSocket, answer)
    server = VoxEngine.allowWebSocketConnections()
    await asyncio.to_thread(blocking, server.url)
    async with websockets.connect(server.url) as original:
        await original.send("websockets")
        assert await original.recv() == "websockets"
    ws = WebSocket(server.url)
    await ws.wait_open()
    ws.send("hello")
    assert await ws.recv() == "hello"
    recorder = Recorder(Path(tempfile.mkdtemp()) / "back.wav", rate=8000)
    player = Player(wav)
    ws.sendMediaTo(recorder)
    player.sendMediaTo(ws, {"encoding": "ULAW", "customParameters": {"call": 1}})
    player.start()
    async with asyncio.timeout(20):
        while recorder.duration < 500:
            await asyncio.sleep(0.02)
    KEPT.extend((server, ws, recorder, player))
    print(
        f"voxwire {__version__} from {'a frozen' if hasattr(sys, 'frozen') else 'an'} application: messages and audio work"
    )


asyncio.run(main(sys.argv[1]))
