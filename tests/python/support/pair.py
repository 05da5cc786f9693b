"""Two ends of one connection, both voxwire, in one loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from voxwire import AppEvents, Engine, WebSocket, WebSocketParameters, WebSocketServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@asynccontextmanager
async def serving(handler: Callable[[WebSocket], Any], **parameters: Any) -> AsyncIterator[WebSocketServer]:
    """A server whose connections go to `handler`, which may be async."""
    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, lambda event: handler(event.websocket))
    async with engine.allowWebSocketConnections(**parameters) as server:
        yield server


@asynccontextmanager
async def pair(
    client: WebSocketParameters | None = None, server: dict[str, Any] | None = None, **listen: Any
) -> AsyncIterator[tuple[WebSocket, WebSocket]]:
    """An open connection: the outgoing end and the incoming one. No handlers are registered on either."""
    incoming: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()
    async with (
        serving(incoming.set_result, parameters=server, **listen) as listener,
        WebSocket(listener.url, client or {}) as outgoing,
    ):
        other = await incoming
        await other.wait_open()
        yield outgoing, other
