"""The same messages through us and through `websockets`: two independent implementations on one wire.

Connections between the two, both ways round, with every kind and size of message and every parameter of compression.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.asyncio.server
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bounded import BOUNDED
from support.pair import serving
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

from voxwire import Compression, WebSocket
from voxwire import WebSocketEvents as E

MIB = 1 << 20
SIZES = [0, 1, 125, 126, 65535, 65536, MIB, 4 * MIB]


@dataclass(frozen=True)
class Deflate:
    """What a client asks for and a server grants, on either side; None is no compression."""

    server_forgets: bool = False
    client_forgets: bool = False
    server_bits: int | None = None
    client_bits: int | None = None

    @property
    def ours(self) -> Compression:
        return Compression(
            self.server_forgets, self.client_forgets, self.server_bits, self.client_bits, threshold=0, memory_level=8
        )

    def their_server(self) -> ServerPerMessageDeflateFactory:
        return ServerPerMessageDeflateFactory(
            self.server_forgets, self.client_forgets, self.server_bits, self.client_bits
        )

    def their_client(self) -> ClientPerMessageDeflateFactory:
        bits = True if self.client_bits is None else self.client_bits
        return ClientPerMessageDeflateFactory(self.server_forgets, self.client_forgets, self.server_bits, bits)


AGREED: list[Deflate | None] = [
    None,
    Deflate(),
    Deflate(server_forgets=True),
    Deflate(client_forgets=True),
    Deflate(server_forgets=True, client_forgets=True),
    *(Deflate(server_bits=bits) for bits in range(9, 16)),
    *(Deflate(client_bits=bits) for bits in range(9, 16)),
    Deflate(server_forgets=True, server_bits=9, client_bits=9),
]
"""Windows of 8 bits have a test of their own: `websockets` can only read them."""

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[str | bytes]]


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


def echo_back(ws: WebSocket) -> None:
    ws.addEventListener(E.MESSAGE, lambda event: ws.send(event.data))


@asynccontextmanager
async def our_client(agreed: Deflate | None) -> AsyncIterator[tuple[Send, Receive]]:
    extensions = [agreed.their_server()] if agreed else None
    async with websockets.asyncio.server.serve(
        echo, "127.0.0.1", 0, compression=None, extensions=extensions, max_size=None
    ) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with WebSocket(url, compression=agreed.ours if agreed else False) as ws:
            assert bool(ws.extensions) == bool(agreed)

            async def send(message: str | bytes) -> None:
                ws.send(message)

            yield send, ws.recv
        assert (await ws.wait_closed()).code == 1000


@asynccontextmanager
async def our_server(agreed: Deflate | None) -> AsyncIterator[tuple[Send, Receive]]:
    extensions = [agreed.their_client()] if agreed else None
    async with serving(echo_back, parameters={"compression": agreed.ours if agreed else False}) as server:
        async with websockets.asyncio.client.connect(
            server.url, compression=None, extensions=extensions, max_size=None
        ) as client:
            assert bool(client.protocol.extensions) == bool(agreed)
            yield client.send, client.recv
        assert client.close_code == 1000


ENDS = [our_client, our_server]


def payload(size: int, *, text: bool) -> str | bytes:
    """Of this many bytes in UTF-8, half of it alike."""
    pattern = bytes(range(0x20, 0x7F)) + b"the same again and again. " * 8
    data = (pattern * (size // len(pattern) + 1))[:size]
    return data.decode() if text else data[::-1]


@pytest.mark.parametrize("agreed", [None, Deflate()], ids=str)
@pytest.mark.parametrize("end", ENDS)
async def test_every_size(end: Any, agreed: Deflate | None) -> None:
    async with end(agreed) as (send, receive):
        for size in SIZES:
            for text in (True, False):
                message = payload(size, text=text)
                await send(message)
                assert await receive() == message


@pytest.mark.parametrize("agreed", AGREED, ids=str)
@pytest.mark.parametrize("end", ENDS)
async def test_every_parameter(end: Any, agreed: Deflate | None) -> None:
    messages = [payload(size, text=text) for size in (300, 0, 1, 70_000, 300) for text in (True, False)]
    messages += ["grüße 🎙" * 1000, zlib.compress(bytes(range(256)) * 50)]
    async with end(agreed) as (send, receive):
        for message in messages * 2:
            await send(message)
        for message in messages * 2:
            assert await receive() == message


@pytest.mark.parametrize(
    ("end", "agreed"), [(our_server, Deflate(server_bits=8)), (our_client, Deflate(client_bits=8))]
)
async def test_a_window_of_eight_bits_that_they_read(end: Any, agreed: Deflate) -> None:
    async with end(agreed) as (send, receive):
        for size in (9000, 255, 256, 257, 9000):
            message = payload(size, text=True)
            await send(message)
            assert await receive() == message


@pytest.mark.parametrize("agreed", [None, Deflate(), Deflate(True, True, 9, 9)], ids=str)
async def test_their_fragments_with_pings_between_them(agreed: Deflate | None) -> None:
    texts = ["gr", "", "üße 🎙", "x" * 70_000, ""]
    async with serving(echo_back, parameters={"compression": agreed.ours if agreed else False}) as server:
        async with websockets.asyncio.client.connect(
            server.url, compression=None, extensions=[agreed.their_client()] if agreed else None
        ) as client:

            async def pieces(of: list[Any]) -> AsyncIterator[Any]:
                for number, piece in enumerate(of):
                    await (await client.ping(f"{number}"))
                    yield piece

            for _ in range(2):
                await client.send(pieces(texts))
                assert await client.recv() == "".join(texts)
                data = [text.encode() for text in texts]
                await client.send(data)
                assert await client.recv() == b"".join(data)


def message() -> st.SearchStrategy[str | bytes]:
    word = st.sampled_from(["one", "über", "🎙", "\0", "the same again "])
    texts = st.lists(st.one_of(word, st.text(max_size=20)), max_size=30).map("".join)
    sizes = st.sampled_from([0, 1, 125, 126, 127, 1000, 65535, 65536])
    return st.one_of(
        texts,
        st.binary(max_size=300),
        st.builds(lambda size, byte: bytes([byte]) * size, sizes, st.integers(0, 255)),
        st.builds(lambda size, piece: (piece * size)[:size], sizes, st.text(min_size=1, max_size=3)),
    )


@pytest.mark.parametrize("end", ENDS)
async def test_any_sequence_of_messages(end: Any) -> None:
    loop = asyncio.get_running_loop()

    async def one(agreed: Deflate | None, messages: list[str | bytes]) -> None:
        async with end(agreed) as (send, receive):
            for message in messages:
                await send(message)
            for message in messages:
                assert await receive() == message

    @settings(BOUNDED, max_examples=25)
    @given(st.sampled_from(AGREED), st.lists(message(), max_size=8))
    def any_of_them(agreed: Deflate | None, messages: list[str | bytes]) -> None:
        asyncio.run_coroutine_threadsafe(one(agreed, messages), loop).result(20)

    await asyncio.to_thread(any_of_them)
