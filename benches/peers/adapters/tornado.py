"""`tornado`: `websocket_connect`, `write_message`, `read_message`."""

from __future__ import annotations

from typing import Any

from tornado.websocket import websocket_connect

from benches.peers.contract import Awaited, Message


async def connect(url: str, compressed: bool) -> Awaited:
    """A `WebSocketClientConnection`; closing does not wait, so that the end of the stream is waited for here."""
    ws = await websocket_connect(url, compression_options={} if compressed else None)

    def send(message: Message) -> Any:
        return ws.write_message(message, isinstance(message, bytes))

    async def close() -> None:
        ws.close()
        while await ws.read_message() is not None:
            pass

    return Awaited(send, ws.read_message, close, kept=ws)
