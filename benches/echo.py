"""The other side of idle connections: a `websockets` server that agrees to compression and answers each message."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import websockets

from . import child
from .machine import many_files


async def answer(connection: Any) -> None:
    """Sends back what comes."""
    with contextlib.suppress(websockets.ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def serve() -> None:
    """Serves until the parent ends."""
    async with websockets.serve(answer, "127.0.0.1", 0, ping_interval=None, backlog=4096, open_timeout=60) as server:
        child.say(port=server.sockets[0].getsockname()[1])
        await asyncio.to_thread(child.hear)


if __name__ == "__main__":
    many_files()
    asyncio.run(serve())
