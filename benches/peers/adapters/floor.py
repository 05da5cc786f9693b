"""The floor: sockets without a WebSocket library. Frames made and masked beforehand, what comes is counted by the byte."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any
from urllib.parse import SplitResult, urlsplit

from benches import frames
from benches.peers.contract import EVERY, QUESTION, Blocking, Flow, Message, Trips, clock

CLOSE = frames.build(frames.CLOSE, (1000).to_bytes(2, "big"), mask=True)


def _frame(message: Message) -> bytes:
    if isinstance(message, str):
        return frames.build(frames.TEXT, message.encode(), mask=True)
    return frames.build(frames.BINARY, message, mask=True)


def _length(message: Message) -> int:
    """Of the server's frame of that size."""
    return len(frames.build(frames.BINARY, bytes(len(message))))


def _context(parts: SplitResult) -> ssl.SSLContext | None:
    return ssl.create_default_context() if parts.scheme == "wss" else None


class _Protocol(asyncio.BufferedProtocol):
    """Reads into one buffer; `take` is called with the number of bytes."""

    def __init__(self) -> None:
        self.room = memoryview(bytearray(256 * 1024))
        self.transport: Any = None
        self.open = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()
        self.writable = asyncio.Event()
        self.writable.set()
        self.head = b""
        self.take: Any = self.opening

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, _hint: int) -> memoryview:
        return self.room

    def buffer_updated(self, size: int) -> None:
        self.take(size)

    def opening(self, size: int) -> None:
        self.head += self.room[:size]
        if self.head.endswith(b"\r\n\r\n"):
            self.take = lambda _size: None
            self.open.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()


async def _connect(url: str) -> _Protocol:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(_Protocol, parts.hostname or "", parts.port or 0, ssl=_context(parts))
    protocol.transport.write(frames.request(parts.port or 0, parts.path))
    await protocol.open
    return protocol


class Callbacks:
    """An asyncio protocol."""

    async def trips(self, url: str, trips: Trips) -> None:
        """A write, then reads until all bytes of the answer are there."""
        protocol = await _connect(url)
        done = asyncio.get_running_loop().create_future()
        write, frame, took = protocol.transport.write, _frame(trips.message), trips.took
        answer = left = _length(trips.message)
        began = until = 0

        def take(size: int) -> None:
            nonlocal began, left
            left -= size
            if left:
                return
            left = answer
            now = clock()
            took.append(now - began)
            began = now
            if now >= until:
                done.set_result(None)
                return
            write(frame)

        protocol.take = take
        began = trips.begin()
        until = trips.until
        write(frame)
        await done

    async def receive(self, url: str, flow: Flow) -> None:
        """Bytes, divided by those of a frame."""
        protocol = await _connect(url)
        done = asyncio.get_running_loop().create_future()
        came = 0

        def take(size: int) -> None:
            nonlocal came
            came += size
            if clock() >= until and not done.done():
                done.set_result(came)

        protocol.take = take
        until = flow.begin()
        protocol.transport.write(_frame(flow.message))
        flow.end(await done // _length(flow.message))

    async def send(self, url: str, flow: Flow) -> None:
        """A write a message."""
        protocol = await _connect(url)
        answer = asyncio.get_running_loop().create_future()
        protocol.take = lambda size: answer.set_result(bytes(protocol.room[2:size]))
        write, frame, writable = protocol.transport.write, _frame(flow.message), protocol.writable.is_set
        count, until = 0, flow.begin()
        while count & EVERY or clock() < until:
            write(frame)
            count += 1
            if not writable():
                await protocol.writable.wait()
        write(_frame(QUESTION))
        arrived = int(await answer)
        assert arrived == count, (arrived, count)
        flow.end(arrived)

    async def reflect(self, url: str) -> Any:
        """A frame of the same size is sent for each that comes."""
        protocol = await _connect(url)
        write, whole, have, frame = protocol.transport.write, 0, 0, b""

        def take(size: int) -> None:
            nonlocal whole, have, frame
            if not whole:
                head = frames.head(protocol.room, size)
                assert head is not None
                whole = head[1] + head[2]
                frame = frames.build(frames.TEXT, b" " * head[2], mask=True)
            have += size
            while have >= whole:
                have -= whole
                write(frame)

        protocol.take = take
        return protocol

    async def hold(self, url: str, _compressed: bool) -> Any:
        """An idle connection."""
        protocol = await _connect(url)
        protocol.room = memoryview(bytearray(1024))
        return protocol

    async def close(self, connection: Any) -> None:
        """Sends a close frame, reads the answer, closes."""
        connection.take = lambda _size: connection.transport.close()
        connection.transport.write(CLOSE)
        await connection.lost


def blocking(url: str, _compressed: bool) -> Blocking:
    """A blocking socket."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname or "", parts.port or 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if (context := _context(parts)) is not None:
        sock = context.wrap_socket(sock, server_hostname=parts.hostname)
    sock.sendall(frames.request(parts.port or 0, parts.path))
    frames.finish_connect(sock)
    room = memoryview(b"")
    made: dict[Message, bytes] = {}
    expected = 0
    flood = parts.path.split("/")[1] == "flood"
    more = 0

    def send(message: Message) -> None:
        nonlocal expected, room
        frame = made.get(message)
        if frame is None:
            room = memoryview(bytearray(256 * 1024))
            frame = made[message] = _frame(message)
        expected = _length(message)
        sock.sendall(frame)

    def recv() -> Message:
        """All of an answer; of a flood, what a read brings is a number of messages."""
        nonlocal more
        if flood:
            if more < expected:
                more += sock.recv_into(room)
            more -= expected
            return b""
        size = left = sock.recv_into(room)
        if expected == _length(QUESTION):
            return bytes(room[2:size])
        left = expected - size
        while left > 0:
            left -= sock.recv_into(room[:left])
        return b""

    def close() -> None:
        sock.sendall(CLOSE)
        sock.recv(64)
        sock.close()

    return Blocking(send, recv, close, kept=sock)
