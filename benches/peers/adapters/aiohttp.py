"""`aiohttp`: one session, its C parser, `receive()` without a wrapper, no limit to what a message may have."""

from __future__ import annotations

import operator
from typing import Any

import aiohttp

from benches.peers.contract import Awaited, Message

_sessions: list[Any] = []


async def connect(url: str, compressed: bool) -> Awaited:
    """`ClientSession.ws_connect`."""
    if not _sessions:
        _sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    ws = await _sessions[0].ws_connect(url, compress=15 if compressed else 0, max_msg_size=0)

    def send(message: Message) -> Any:
        return ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message)

    return Awaited(send, ws.receive, ws.close, content=operator.attrgetter("data"), kept=ws)
