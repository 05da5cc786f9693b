"""Handshakes that are slow, endless, doubled or nonsense, on either side: a documented answer, in bounded time and memory."""

import asyncio
import base64
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.http import PATIENCE, connect, upgrade
from support.log import Log
from support.pair import serving
from support.process import memory
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import WebSocket
from voxwire import WebSocketEvents as E

MEMORY = 20 << 20
"""What an endless handshake may take while it lasts. (Freed memory stays with the process: the figure is generous.)"""


async def failing(url: str, **parameters: Any) -> Exception:
    log = Log(WebSocket(url, **parameters))
    close = await log.until(E.CLOSE)
    assert log.names == ["CREATED", "ERROR", "CLOSE"]
    assert (close.code, close.wasClean) == (1006, False)
    error = log.events[1].error
    assert isinstance(error, OSError)
    return error


def pouring(head: bytes, piece: bytes) -> Callable[[RawPeer], None]:
    """A server that answers with `head` and then sends `piece` for ever."""

    def script(peer: RawPeer) -> None:
        peer.read_head()
        try:
            peer.write(head)
            while True:
                peer.write(piece)
        except OSError:
            pass

    return script


def dripping(answer: bytes) -> Callable[[RawPeer], None]:
    """A server that answers a byte at a time, and would take for ever."""

    def script(peer: RawPeer) -> None:
        peer.read_head()
        try:
            for byte in answer * 1000:
                peer.write(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            pass

    return script


ENDLESS = {
    "status line": (b"HTTP/1.1 101 ", b"x" * 60_000),
    "one header": (b"HTTP/1.1 101 Switching Protocols\r\nX: ", b"x" * 60_000),
    "headers": (b"HTTP/1.1 101 Switching Protocols\r\n", b"X-A: b\r\n" * 5000),
    "folded header": (b"HTTP/1.1 101 Switching Protocols\r\nX: a\r\n", b" b\r\n" * 10_000),
    "junk": (b"", os.urandom(60_000).replace(b"\n", b"")),
    "body": (b"HTTP/1.1 403 Forbidden\r\n\r\n", b"x" * 60_000),
    "chunked body": (b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b"x" * 65_535 + b"\r\n"),
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 3000),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_a_response_that_never_ends(name: str) -> None:
    before = memory(os.getpid())
    with RawServer(pouring(*ENDLESS[name])) as server:
        error = await failing(server.url, handshake_timeout=20)
    assert isinstance(error, voxwire.HandshakeError), error
    assert len(error.body) <= 1 << 20
    assert memory(os.getpid()) - before < MEMORY


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 101 Switching", b"HTTP/1.1 101 Switching Protocols\r\nX-Header: x\r\n", b"HTTP/1.1 403 No\r\n\r\nbody"],
    ids=["status line", "headers", "body"],
)
async def test_a_response_that_is_dripped(answer: bytes) -> None:
    """Every byte keeps it alive, but the time-out is for the whole handshake."""
    with RawServer(dripping(answer)) as server:
        began = time.perf_counter()
        error = await failing(server.url, handshake_timeout=0.5)
        took = time.perf_counter() - began
        server.hang_up()
    assert isinstance(error, voxwire.ConnectTimeout | voxwire.HandshakeError)
    assert took < 8


def accepted(peer: RawPeer, *more: str, accept: bool = True) -> None:
    """The right answer, and more headers."""
    first = [f"Sec-WebSocket-Accept: {voxwire_token(peer)}"] if accept else []
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", *first, *more, "", ""]
    peer.write("\r\n".join(lines).encode())


def voxwire_token(peer: RawPeer) -> str:
    import hashlib

    key = peer.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()


DOUBLED = {
    "Accept twice, the same": lambda peer: accepted(peer, f"Sec-WebSocket-Accept: {voxwire_token(peer)}"),
    "Accept twice, one wrong": lambda peer: accepted(peer, "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    "no Accept": lambda peer: accepted(peer, accept=False),
    "protocol twice": lambda peer: accepted(peer, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"),
    "extension twice": lambda peer: accepted(peer, *["Sec-WebSocket-Extensions: permessage-deflate"] * 2),
}


@pytest.mark.parametrize("name", DOUBLED)
async def test_a_doubled_or_missing_header(name: str) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        DOUBLED[name](peer)
        peer.wait_eof()

    with RawServer(script) as server:
        assert isinstance(await failing(server.url), voxwire.HandshakeError)


# The server


def answer_to(port: int, pieces: Iterator[bytes], pause: float = 0.0) -> bytes:
    """What comes back to a request sent in pieces, until it stops taking them."""
    answer = b""
    with connect(port) as sock:
        try:
            for piece in pieces:
                sock.sendall(piece)
                if pause:
                    time.sleep(pause)
        except OSError:
            pass
        sock.settimeout(PATIENCE)
        try:
            while data := sock.recv(65536):
                answer += data
        except ConnectionError:
            pass
    return answer


def endless(head: bytes, piece: bytes) -> Iterator[bytes]:
    yield head
    for _ in range((256 << 20) // len(piece)):
        yield piece


REQUESTS = {
    "request line": (b"GET /", b"x" * 60_000, b"414"),
    "one header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"x" * 60_000, b"431"),
    "headers": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n" * 5000, b"431"),
    "junk": (b"", os.urandom(60_000).replace(b"\n", b""), b"4"),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_that_never_ends(name: str) -> None:
    head, piece, status = REQUESTS[name]
    before = memory(os.getpid())
    async with serving(lambda _ws: pytest.fail("accepted")) as server:
        answer = await asyncio.to_thread(answer_to, server.port, endless(head, piece))
        assert memory(os.getpid()) - before < MEMORY
    assert not answer or answer.startswith(b"HTTP/1.1 " + status)


async def test_a_request_that_is_dripped() -> None:
    """Slower than `handshake_timeout` allows for the whole of it: closed without a word to the application."""
    async with serving(lambda _ws: pytest.fail("accepted"), parameters={"handshake_timeout": 0.5}) as server:
        began = time.perf_counter()
        drip = (bytes([byte]) for byte in upgrade() * 10)
        answer = await asyncio.to_thread(answer_to, server.port, drip, 0.02)
        assert time.perf_counter() - began < 10
        while server.connections:
            await asyncio.sleep(0.01)
    assert answer == b""


REPEATED = {
    "key twice": [f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}"],
    "version twice": ["Sec-WebSocket-Version: 8"],
    "host twice": ["Host: elsewhere"],
    "a header without a name": [": x"],
    "a bare carriage return": ["X-A: b\rX-B: c"],
    "a null": ["X-A: \0"],
    "a body": ["Content-Length: 5"],
    "a chunked body": ["Transfer-Encoding: chunked"],
}


@pytest.mark.parametrize("name", REPEATED)
async def test_a_request_that_contradicts_itself(name: str) -> None:
    async with serving(lambda _ws: pytest.fail("accepted")) as server:
        answer = await asyncio.to_thread(answer_to, server.port, iter([upgrade(headers=REPEATED[name])]))
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]


async def test_a_peer_that_connects_and_hangs_up() -> None:
    """Hundreds of times, at each stage of the request."""
    async with serving(lambda _ws: None, max_connections=50) as server:

        def knock() -> None:
            request = upgrade()
            for number in range(200):
                with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
                    sock.sendall(request[: number % len(request)])

        await asyncio.to_thread(knock)
        while server.connections:
            await asyncio.sleep(0.01)
        async with WebSocket(server.url) as ws:
            assert await ws.ping() >= 0
