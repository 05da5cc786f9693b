"""`picows`: its listener, called by the frame parser inside the loop, with aiofastnet's transports, as it comes.

A frame is taken as the server sends it, one a message; text goes in as bytes and is decoded when it comes, as everywhere.
"""

from __future__ import annotations

import asyncio
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benches.peers.contract import EVERY, QUESTION, Flow, Message, Trips, clock

TEXT, BINARY = WSMsgType.TEXT, WSMsgType.BINARY


def _encoded(message: Message) -> bytes:
    return message.encode() if isinstance(message, str) else message


class Callbacks:
    """`WSListener.on_ws_frame`."""

    async def trips(self, url: str, trips: Trips) -> None:
        """The next message is sent by the listener."""
        done = asyncio.get_running_loop().create_future()
        message, took, began, until = trips.message, trips.took, 0, 0
        text = message if isinstance(message, str) else ""

        class Text(WSListener):  # type: ignore[misc]
            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                nonlocal began
                if frame.msg_type != TEXT:
                    return
                frame.get_payload_as_utf8_text()
                now = clock()
                took.append(now - began)
                began = now
                if now >= until:
                    done.set_result(None)
                    return
                transport.send(TEXT, text.encode())

        class Binary(WSListener):  # type: ignore[misc]
            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                nonlocal began
                if frame.msg_type != BINARY:
                    return
                frame.get_payload_as_bytes()
                now = clock()
                took.append(now - began)
                began = now
                if now >= until:
                    done.set_result(None)
                    return
                transport.send(BINARY, message)

        transport, _ = await ws_connect(Text if text else Binary, url)
        began = trips.begin()
        until = trips.until
        transport.send(TEXT if text else BINARY, _encoded(message))
        await done

    async def receive(self, url: str, flow: Flow) -> None:
        """The listener counts."""
        done = asyncio.get_running_loop().create_future()
        count, until = 0, 0

        class Text(WSListener):  # type: ignore[misc]
            def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
                nonlocal count
                if frame.msg_type != TEXT:
                    return
                frame.get_payload_as_utf8_text()
                count += 1
                if not count & EVERY and clock() >= until and not done.done():
                    done.set_result(count)

        class Binary(WSListener):  # type: ignore[misc]
            def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
                nonlocal count
                if frame.msg_type != BINARY:
                    return
                frame.get_payload_as_bytes()
                count += 1
                if not count & EVERY and clock() >= until and not done.done():
                    done.set_result(count)

        text = isinstance(flow.message, str)
        transport, _ = await ws_connect(Text if text else Binary, url)
        until = flow.begin()
        transport.send(TEXT if text else BINARY, _encoded(flow.message))
        flow.end(await done)

    async def send(self, url: str, flow: Flow) -> None:
        """`send`, held back by `pause_writing`."""
        answer = asyncio.get_running_loop().create_future()
        room = asyncio.Event()
        room.set()

        class Listener(WSListener):  # type: ignore[misc]
            def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
                answer.set_result(frame.get_payload_as_ascii_text())

            def pause_writing(self) -> None:
                room.clear()

            def resume_writing(self) -> None:
                room.set()

        transport, _ = await ws_connect(Listener, url)
        send, message, there_is_room = transport.send, flow.message, room.is_set
        count, until = 0, flow.begin()
        if isinstance(message, str):
            while count & EVERY or clock() < until:
                send(TEXT, message.encode())
                count += 1
                if not there_is_room():
                    await room.wait()
        else:
            while count & EVERY or clock() < until:
                send(BINARY, message)
                count += 1
                if not there_is_room():
                    await room.wait()
        send(TEXT, QUESTION.encode())
        arrived = int(await answer)
        assert arrived == count, (arrived, count)
        flow.end(arrived)

    async def reflect(self, url: str) -> Any:
        """The listener sends the text back."""

        class Listener(WSListener):  # type: ignore[misc]
            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                if frame.msg_type == TEXT:
                    transport.send(TEXT, frame.get_payload_as_utf8_text().encode())

        return await ws_connect(Listener, url)

    async def hold(self, url: str, _compressed: bool) -> Any:
        """An idle connection; there is no compression."""

        class Listener(WSListener):  # type: ignore[misc]
            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                if frame.msg_type == WSMsgType.CLOSE:
                    transport.disconnect()

        return await ws_connect(Listener, url)

    async def close(self, connection: Any) -> None:
        """Sends a close; the listener disconnects when the answer is there."""
        transport, _ = connection
        transport.send_close()
        await transport.wait_disconnected()
