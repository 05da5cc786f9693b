"""voxwire itself: the callback API and `recv` on a loop, `voxwire.sync` without one."""

from __future__ import annotations

import asyncio
from typing import Any

import voxwire.sync
from benches.peers.contract import EVERY, QUESTION, Awaited, Blocking, Flow, Trips, clock
from voxwire import MessageEvent, WebSocket

UNSENT = 1 << 20


def _connect(url: str, compressed: bool = False) -> WebSocket:
    # No media streams here: what looks like audio is a message like any other, for the others, too.
    return WebSocket(url, compression=compressed, media=False)


class Callbacks:
    """`onmessage`."""

    async def trips(self, url: str, trips: Trips) -> None:
        """The next message is sent by the handler."""
        ws = _connect(url)
        await ws.wait_open()
        done = asyncio.get_running_loop().create_future()
        send, message, took, began = ws.send, trips.message, trips.took, 0

        def on_message(event: MessageEvent) -> None:
            nonlocal began
            _ = event.data
            now = clock()
            took.append(now - began)
            began = now
            if now >= until:
                done.set_result(None)
                return
            send(message)

        ws.onmessage = on_message
        began = trips.begin()
        until = trips.until
        send(message)
        await done

    async def receive(self, url: str, flow: Flow) -> None:
        """The handler counts."""
        ws = _connect(url)
        await ws.wait_open()
        done = asyncio.get_running_loop().create_future()
        count = 0

        def on_message(event: MessageEvent) -> None:
            nonlocal count
            _ = event.data
            count += 1
            if not count & EVERY and clock() >= until and not done.done():
                done.set_result(count)

        ws.onmessage = on_message
        until = flow.begin()
        ws.send(flow.message)
        flow.end(await done)

    async def send(self, url: str, flow: Flow) -> None:
        """`send`, and `drain` when 1 MiB waits."""
        ws = _connect(url)
        await ws.wait_open()
        answer = asyncio.get_running_loop().create_future()
        ws.onmessage = lambda event: answer.set_result(event.text)
        send, message = ws.send, flow.message
        count, until = 0, flow.begin()
        while count & EVERY or clock() < until:
            send(message)
            count += 1
            if not count & EVERY and ws.bufferedAmount > UNSENT:
                await ws.drain()
        send(QUESTION)
        arrived = int(await answer)
        assert arrived == count, (arrived, count)
        flow.end(arrived)

    async def reflect(self, url: str) -> WebSocket:
        """The handler sends the text back."""
        ws = _connect(url)
        await ws.wait_open()
        send = ws.send

        def on_message(event: MessageEvent) -> None:
            send(event.text or "")

        ws.onmessage = on_message
        return ws

    async def hold(self, url: str, compressed: bool) -> WebSocket:
        """An idle connection."""
        ws = _connect(url, compressed)
        await ws.wait_open()
        return ws

    async def close(self, connection: Any) -> None:
        """Closes it and waits for the peer's answer."""
        connection.close()
        await connection.wait_closed()


async def recv(url: str, compressed: bool) -> Awaited:
    """`send` and `await recv()`."""
    ws = _connect(url, compressed)
    await ws.wait_open()

    async def close() -> None:
        ws.close()
        await ws.wait_closed()

    return Awaited(
        ws.send, ws.recv, close, awaits=False, full=lambda: ws.bufferedAmount > UNSENT, drain=ws.drain, kept=ws
    )


def sync(url: str, compressed: bool) -> Blocking:
    """`voxwire.sync`, which reads the socket in the calling thread."""
    ws = voxwire.sync.connect(url, compression=compressed)
    return Blocking(ws.send, ws.recv, ws.close, kept=ws)
