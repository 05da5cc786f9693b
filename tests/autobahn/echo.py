"""Voxwire under test: a client and a server that echo. Only the public API; keepalive is off, it is no part of a case."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvloop

from voxwire import AppEvents, Engine, NewWebSocketEvent, VoxwireError, WebSocket, WebSocketParameters, WebSocketServer

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
LARGEST = 64 * 1024 * 1024
OPTIONS: WebSocketParameters = {
    "protocols": [],
    "media": False,
    "ping_interval": None,
    "max_message_size": LARGEST,  # sections 9.1 and 9.2 send 16 MiB
    "max_fragments": 2**20,  # 9.3.1 and 9.4.1: 4 MiB in frames of 64 bytes
    "send_buffer": LARGEST,
}


async def echo(websocket: WebSocket, limit: float) -> bool:
    """Send every message back until the connection is closed. False: it was not closed in `limit` seconds."""
    try:
        async with asyncio.timeout(limit):
            async for message in websocket:
                websocket.send(message)
                await websocket.drain()
    except TimeoutError:
        websocket.close()
        await websocket.wait_closed()
        return False
    except VoxwireError:
        pass  # most cases break the connection; the suite judges how it ended
    await websocket.wait_closed()
    return True


async def run_case(url: str, limit: float) -> bool:
    """Be the client of one connection. False: it hung, or did not even open."""
    return await echo(WebSocket(url, OPTIONS), limit)


class EchoServer:
    """A listening socket whose connections echo. `connections` counts them, `late` holds the numbers of those that hung."""

    def __init__(self, limit: float) -> None:
        self.connections = 0
        self.late: list[int] = []
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        engine = Engine()
        engine.addEventListener(AppEvents.WebSocket, self._accept)
        options: WebSocketParameters = {**OPTIONS}
        del options["protocols"]
        self._server: WebSocketServer = engine.allowWebSocketConnections(protocols=[], parameters=options)
        self.url = self._server.url

    async def close(self) -> None:
        self._server.close(timeout=1.0)
        await self._server.wait_closed()
        await asyncio.gather(*self._tasks)

    def _accept(self, event: NewWebSocketEvent) -> None:
        task = asyncio.create_task(self._echo(event.websocket, self.connections))
        self.connections += 1
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _echo(self, websocket: WebSocket, number: int) -> None:
        if not await echo(websocket, self._limit):
            self.late.append(number)
