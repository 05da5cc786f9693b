"""How each client opens a connection and exchanges one message on it, as its documentation says. Nothing is measured here."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

Talk = Callable[[str], Awaitable[None]]
Connect = Callable[[str, bool], Awaitable[tuple[Any, Talk]]]
MODULES = {"voxwire": "voxwire", "websockets": "websockets", "aiohttp": "aiohttp", "picows": "picows"}
NEVER_COMPRESS = ("picows",)


async def voxwire(url: str, compressed: bool) -> tuple[Any, Talk]:
    """A `WebSocket`."""
    from voxwire import WebSocket

    connection = WebSocket(url, compression=compressed)
    await connection.wait_open()

    async def talk(text: str) -> None:
        connection.send(text)
        assert await connection.recv() == text

    return connection, talk


async def websockets(url: str, compressed: bool) -> tuple[Any, Talk]:
    """A `ClientConnection`."""
    from websockets.asyncio.client import connect

    connection = await connect(url, compression="deflate" if compressed else None)

    async def talk(text: str) -> None:
        await connection.send(text)
        assert await connection.recv() == text

    return connection, talk


@functools.cache
def _session(_loop: asyncio.AbstractEventLoop) -> Any:
    import aiohttp

    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def aiohttp(url: str, compressed: bool) -> tuple[Any, Talk]:
    """A `ClientWebSocketResponse` of one session."""
    session = _session(asyncio.get_running_loop())
    connection = await session.ws_connect(url, compress=15 if compressed else 0)

    async def talk(text: str) -> None:
        await connection.send_str(text)
        assert await connection.receive_str() == text

    return connection, talk


async def picows(url: str, _compressed: bool) -> tuple[Any, Talk]:
    """A transport and its listener; there is no compression."""
    from picows import WSListener, ws_connect

    transport, listener = await ws_connect(WSListener, url)

    async def talk(_text: str) -> None:
        raise NotImplementedError

    return (transport, listener), talk


_ALL: dict[str, Connect] = {"voxwire": voxwire, "websockets": websockets, "aiohttp": aiohttp, "picows": picows}
MISSING = [name for name, module in MODULES.items() if find_spec(module) is None]
CONNECT = {name: connect for name, connect in _ALL.items() if name not in MISSING}
