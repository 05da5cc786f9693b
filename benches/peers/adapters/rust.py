"""Clients on a Rust core: `rnet`, `wreq`, `ry`, `websocket-rs` (from Python 3.12 on)."""

from __future__ import annotations

import asyncio
import importlib
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benches.peers.contract import EVERY, QUESTION, Awaited, Blocking, Flow, Message, Trips, clock

_clients: dict[str, Any] = {}


def _client(name: str, make: Callable[..., Any], parameter: str) -> Any:
    """One client for all connections. They have authorities of their own: ours is named."""
    if name not in _clients:
        authority = os.environ.get("SSL_CERT_FILE")
        _clients[name] = make(**({parameter: Path(authority)} if authority else {}))
    return _clients[name]


def _content(message: Any) -> Message:
    text: str | None = message.text
    return message.data if text is None else text


def _sender(library: Any, ws: Any) -> Callable[[Message], Any]:
    text, binary = library.Message.from_text, library.Message.from_binary

    def send(message: Message) -> Any:
        return ws.send(text(message) if isinstance(message, str) else binary(message))

    return send


async def rnet(url: str, _compressed: bool) -> Awaited:
    """`rnet.Client.websocket`."""
    library: Any = importlib.import_module("rnet")
    ws = await _client("rnet", library.Client, "verify").websocket(url)
    return Awaited(_sender(library, ws), ws.recv, ws.close, content=_content, kept=ws)


def rnet_blocking(url: str, _compressed: bool) -> Blocking:
    """`rnet.BlockingClient.websocket`."""
    library: Any = importlib.import_module("rnet")
    ws = _client("rnet blocking", library.BlockingClient, "verify").websocket(url)
    return Blocking(_sender(library, ws), ws.recv, ws.close, content=_content, kept=ws)


async def wreq(url: str, _compressed: bool) -> Awaited:
    """`wreq.Client.websocket`."""
    library: Any = importlib.import_module("wreq")
    ws = await _client("wreq", library.Client, "tls_verify").websocket(url)
    return Awaited(_sender(library, ws), ws.recv, ws.close, content=_content, kept=ws)


def wreq_blocking(url: str, _compressed: bool) -> Blocking:
    """`wreq.blocking.Client.websocket`."""
    library: Any = importlib.import_module("wreq")
    client = importlib.import_module("wreq.blocking").Client
    ws = _client("wreq blocking", client, "tls_verify").websocket(url)
    return Blocking(_sender(library, ws), ws.recv, ws.close, content=_content, kept=ws)


async def ry(url: str, _compressed: bool) -> Awaited:
    """`ry.websocket`; `data` is a str, or ry's own bytes."""
    library: Any = importlib.import_module("ry")
    ws = await library.websocket(url)
    return Awaited(ws.send, ws.recv, ws.close, content=operator.attrgetter("data"), kept=ws)


def websocket_rs_blocking(url: str, _compressed: bool) -> Blocking:
    """`websocket_rs.sync.client.connect`."""
    ws: Any = importlib.import_module("websocket_rs.sync.client").connect(url)
    ws.__enter__()
    return Blocking(ws.send, ws.recv, ws.close, kept=ws)


async def websocket_rs(url: str, compressed: bool) -> Awaited:
    """`websocket_rs.connect`, awaited; what comes is a view, made a str here as everywhere."""
    library: Any = importlib.import_module("websocket_rs")
    ws = await library.connect(url, compression=compressed)
    return Awaited(ws.send, ws.recv, ws.close, content=_decoded, awaits=False, kept=ws)


def _decoded(message: Any) -> str:
    return str(message, "utf-8")


class WebSocketRs:
    """`websocket_rs.connect(on_message=…)`."""

    def __init__(self) -> None:
        self._connect: Any = importlib.import_module("websocket_rs").connect

    async def trips(self, url: str, trips: Trips) -> None:
        """The next message is sent by the handler."""
        done = asyncio.get_running_loop().create_future()
        message, took, began, until = trips.message, trips.took, 0, 0
        make: Callable[[Any], Message] = _decoded if isinstance(message, str) else bytes

        def on_message(content: Any) -> None:
            nonlocal began
            make(content)
            now = clock()
            took.append(now - began)
            began = now
            if now >= until:
                done.set_result(None)
                return
            send(message)

        send = (await self._connect(url, on_message=on_message)).send
        began = trips.begin()
        until = trips.until
        send(message)
        await done

    async def receive(self, url: str, flow: Flow) -> None:
        """The handler counts."""
        done = asyncio.get_running_loop().create_future()
        count, until = 0, 0
        make: Callable[[Any], Message] = _decoded if isinstance(flow.message, str) else bytes

        def on_message(content: Any) -> None:
            nonlocal count
            make(content)
            count += 1
            if not count & EVERY and clock() >= until and not done.done():
                done.set_result(count)

        ws = await self._connect(url, on_message=on_message)
        until = flow.begin()
        ws.send(flow.message)
        flow.end(await done)

    async def send(self, url: str, flow: Flow) -> None:
        """`send`, which only appends when the socket is full: the loop gets a turn now and then."""
        answer = asyncio.get_running_loop().create_future()
        ws = await self._connect(url, on_message=lambda content: answer.set_result(_decoded(content)))
        send, message = ws.send, flow.message
        count, until = 0, flow.begin()
        while count & EVERY or clock() < until:
            send(message)
            count += 1
            if not count & 1023:
                await asyncio.sleep(0)
        send(QUESTION)
        arrived = int(await answer)
        assert arrived == count, (arrived, count)
        flow.end(arrived)

    async def reflect(self, url: str) -> Any:
        """The handler sends the text back."""
        send: Callable[[str], None]

        def on_message(content: Any) -> None:
            send(_decoded(content))

        ws = await self._connect(url, on_message=on_message)
        send = ws.send
        return ws

    async def hold(self, url: str, compressed: bool) -> Any:
        """An idle connection."""
        return await self._connect(url, compression=compressed)

    async def close(self, connection: Any) -> None:
        """Sends a close and closes the transport: nobody waits."""
        connection.close()
