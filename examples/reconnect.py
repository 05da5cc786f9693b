"""A client that survives the restart of its server, and gives up when it is told to go.

Usage:
    python examples/reconnect.py ws://127.0.0.1:8000     stays connected to a server, until it says goodbye with 1000
    python examples/reconnect.py                         starts a server of its own, and restarts it
"""

import asyncio
import sys

from voxwire import AppEvents, Backoff, Engine, NewWebSocketEvent, ReconnectingEvent, WebSocket, WebSocketServer

# Half a second at first, doubled each time, less a random part; for ten minutes at most.
POLICY = Backoff(initial=0.5, maximum=30.0, give_up_after=600.0)


async def stay(url: str, policy: Backoff) -> None:
    def on_reconnecting(event: ReconnectingEvent) -> None:
        print(f"lost ({event.error or event.code}): attempt {event.attempt}")

    ws = WebSocket(url, reconnect=policy)
    ws.onopen = lambda event: event.websocket.send("hello")  # each time: a new connection knows nothing of the last
    ws.onreconnecting = on_reconnecting
    async for message in ws:  # goes on across reconnections
        print("received:", message)
    closed = await ws.wait_closed()
    print("closed:", closed.code, f"after {ws.statistics().reconnects} reconnections")


def serve(name: str, port: int = 0, last: bool = False) -> WebSocketServer:
    async def on_connection(event: NewWebSocketEvent) -> None:
        ws = event.websocket
        ws.send(f"{await ws.recv()!s} from the {name} server")
        if last:
            ws.close(1000)

    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, on_connection)
    return engine.allowWebSocketConnections(port=port)


async def main() -> None:
    if len(sys.argv) > 1:
        await stay(sys.argv[1], POLICY)
        return
    async with serve("first") as server:
        client = asyncio.create_task(stay(server.url, Backoff(initial=0.1, maximum=1.0)))
        await asyncio.sleep(0.5)
    await asyncio.sleep(0.3)  # nobody listens
    async with serve("second", server.port, last=True):
        await client


asyncio.run(main())
