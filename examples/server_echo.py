"""A server that sends back each message.

Usage:
    python examples/server_echo.py 8000     serves on port 8000 until Ctrl-C
    python examples/server_echo.py          serves on a free port, and talks to itself
"""

import asyncio
import contextlib
import sys

from voxwire import AppEvents, Engine, MessageEvent, NewWebSocketEvent, WebSocket, WebSocketServer


def serve(port: int = 0) -> WebSocketServer:
    """Listens on 127.0.0.1; port 0 is any free one, see `server.url`."""

    def on_connection(event: NewWebSocketEvent) -> None:
        # Handlers added here see everything that happens on the connection.
        event.websocket.onmessage = echo

    async def echo(event: MessageEvent) -> None:
        event.websocket.send(event.data)
        # While a client does not read its answers, its next messages wait: memory stays bounded.
        await event.websocket.drain()

    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, on_connection)
    return engine.allowWebSocketConnections("127.0.0.1", port)


async def main() -> None:
    async with serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        print(f"listening on {server.url}")
        if len(sys.argv) > 1:
            await asyncio.Event().wait()  # for ever
        async with WebSocket(server.url) as ws:
            for message in ("hello", b"\x00\x01\x02"):
                ws.send(message)
                print(f"sent {message!r}, got {await ws.recv()!r}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # at Ctrl-C the clients are told goodbye (1001)
        asyncio.run(main())
