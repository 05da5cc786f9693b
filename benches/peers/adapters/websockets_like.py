"""`websockets`, and what has its API: `voxwire.compat.websockets`, `picows.websockets`. One program, another import."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from typing import Any

from benches.peers.contract import Awaited, Blocking

LONGEST = 4 << 20


def asynchronous(base: str) -> Callable[[str, bool], Coroutine[Any, Any, Awaited]]:
    """`<base>.asyncio.client`, without compression unless it is asked for."""
    connect = importlib.import_module(f"{base}.asyncio.client").connect

    async def open_connection(url: str, compressed: bool) -> Awaited:
        ws = await connect(url, compression="deflate" if compressed else None, max_size=LONGEST)
        return Awaited(ws.send, ws.recv, ws.close, kept=ws)

    return open_connection


def synchronous(base: str) -> Callable[[str, bool], Blocking]:
    """`<base>.sync.client`."""
    connect = importlib.import_module(f"{base}.sync.client").connect

    def open_connection(url: str, compressed: bool) -> Blocking:
        ws = connect(url, compression="deflate" if compressed else None, max_size=LONGEST)
        return Blocking(ws.send, ws.recv, ws.close, kept=ws)

    return open_connection
