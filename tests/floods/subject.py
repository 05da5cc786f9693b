"""The program under attack: a voxwire server and voxwire clients in one process, with an application for each flood."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import uvloop

from voxwire import AppEvents, AudioUnit, Engine, SendBufferFull, VoxwireError, WebSocket

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def echo(ws: WebSocket) -> None:
    """Send back what comes; what a slow reader leaves no room for is dropped."""
    async for message in ws:
        try:
            ws.send(message)
        except SendBufferFull:
            await asyncio.sleep(0.01)


async def pour(ws: WebSocket) -> None:
    """Send as much as there is room for, all the time."""
    while ws.readyState == "open":
        try:
            ws.send(bytes(50_000))
        except SendBufferFull:
            await asyncio.sleep(0.01)


async def pour_tiny(ws: WebSocket) -> None:
    """The same with messages of one byte, whose book-keeping is more than they are."""
    while ws.readyState == "open":
        try:
            for _ in range(1000):
                ws.send(b"x")
            await asyncio.sleep(0)
        except SendBufferFull:
            await asyncio.sleep(0.01)


async def idle(ws: WebSocket) -> None:
    """Take nothing."""
    await ws.wait_closed()


async def slow(ws: WebSocket) -> None:
    """Handle each message in a task that takes its time."""

    async def handle(_event: object) -> None:
        await asyncio.sleep(0.05)

    ws.onmessage = handle
    await ws.wait_closed()


async def audio(ws: WebSocket) -> None:
    """Play what comes into a unit that nobody reads."""
    unit = AudioUnit(8000)
    ws.sendMediaTo(unit)
    ws.onmessage = lambda _event: None
    await ws.wait_closed()
    unit.close()


APPLICATIONS: dict[str, Callable[[WebSocket], Awaitable[None]]] = {
    "echo": echo,
    "pour": pour,
    "pour_tiny": pour_tiny,
    "idle": idle,
    "slow": slow,
    "audio": audio,
}


async def run(ws: WebSocket, application: str) -> None:
    try:
        await ws.wait_open()
        await APPLICATIONS[application](ws)
    except (VoxwireError, OSError):
        pass


async def main() -> None:
    parameters = json.loads(sys.argv[2])
    engine = Engine()
    tasks: set[asyncio.Task[None]] = set()

    def begin(ws: WebSocket) -> None:
        tasks.add(task := asyncio.create_task(run(ws, urlsplit(ws.url).path.strip("/"))))
        task.add_done_callback(tasks.discard)

    engine.addEventListener(AppEvents.WebSocket, lambda event: begin(event.websocket))
    async with engine.allowWebSocketConnections(parameters=parameters) as server:
        print(server.url, flush=True)
        while url := (await asyncio.to_thread(sys.stdin.readline)).strip():
            begin(WebSocket(url, parameters))
        server.close(timeout=0)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=LOOPS[sys.argv[1]]) as runner:
        runner.run(main())
