"""uvicorn's server on `ServerProtocol`, with an ASGI application that echoes; the client is `peers.py call`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import uvicorn


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Echo until the client says "close"; /refused is."""
    assert scope["type"] == "websocket"
    await receive()
    if scope["path"] == "/refused":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") == "close":
            await send({"type": "websocket.close", "code": 4000, "reason": "as you say"})
            return
        await send({"type": "websocket.send", **{k: v for k, v in event.items() if k != "type" and v is not None}})


async def main() -> None:
    """Serve one client."""
    config = uvicorn.Config(app, port=0, ws="websockets-sansio", lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    peer = Path(__file__).with_name("peers.py")
    client = await asyncio.create_subprocess_exec(sys.executable, str(peer), "call", f"ws://127.0.0.1:{port}")
    failed = await client.wait()
    server.should_exit = True
    await task
    assert failed == 0


asyncio.run(main())
