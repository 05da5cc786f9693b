"""The other process of the soak: a server that counts, and clients that count. It is killed and started again.

Usage: peer.py PORT URL: listens on PORT, and keeps connections to URL. SIGUSR1 restarts the server gracefully.
"""

import asyncio
import contextlib
import signal
import sys

from numbers_of import Numbers

from voxwire import AppEvents, Backoff, Engine, NewWebSocketEvent, VoxwireError, WebSocket, WebSocketServer

CLIENTS = 4
FLOOD = 5000


async def take_numbers(ws: WebSocket) -> None:
    """Acknowledge each number; whatever does not follow the one before is a gap, and told of with 4001."""
    expected = 0
    with contextlib.suppress(VoxwireError):
        async for message in ws:
            word, _, number = str(message).partition(" ")
            if word == "from":
                expected = int(number)
            elif int(number) != expected:
                ws.close(4001, f"{number} came, not {expected}")
            else:
                ws.send(f"ack {number}")
                expected += 1


async def flood(ws: WebSocket) -> None:
    """Send as fast as the other side takes it, then close."""
    with contextlib.suppress(VoxwireError):
        await ws.wait_open()
        for number in range(FLOOD):
            ws.send(f"{number} {'x' * (number % 500)}")
            if number % 50 == 0:
                await ws.drain()
        ws.close(1000)


def serve(engine: Engine, port: int) -> WebSocketServer:
    return engine.allowWebSocketConnections("127.0.0.1", port)


async def main(port: int, url: str) -> None:
    engine = Engine()
    restart = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, restart.set)
    handlers = {"/numbers": take_numbers, "/flood": flood}
    running: set[asyncio.Task[None]] = set()

    def incoming(event: NewWebSocketEvent) -> None:
        if event.path == "/call":
            event.websocket.sendMediaTo(event.websocket, {"encoding": "ULAW"})
        else:
            task = asyncio.create_task(handlers[event.path](event.websocket))
            running.add(task)
            task.add_done_callback(running.discard)

    engine.addEventListener(AppEvents.WebSocket, incoming)
    clients = [Numbers(url, Backoff(initial=0.05, maximum=0.5)) for _ in range(CLIENTS)]
    while True:
        server = serve(engine, port)
        await restart.wait()
        restart.clear()
        server.close(1.0)
        await server.wait_closed()
        if any(client.gaps for client in clients):
            sys.exit("numbers that our clients sent came back out of order")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
