"""Against an independent implementation: the `websockets` library as server and as client."""

import asyncio
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.asyncio.server
import websockets.exceptions
from support.pair import serving
from websockets.typing import Subprotocol

from voxwire import WebSocket

MESSAGES: list[str | bytes] = ["text", "", "grüße 🎙", b"", b"\x00\xff" * 40_000, "x" * 200_000]


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


async def test_our_client_and_their_server() -> None:
    async with websockets.asyncio.server.serve(echo, "127.0.0.1", 0, subprotocols=[Subprotocol("chat")]) as server:
        port = server.sockets[0].getsockname()[1]
        async with WebSocket(f"ws://127.0.0.1:{port}/") as ws:
            assert ws.protocol == "chat"
            for message in MESSAGES:
                ws.send(message)
                assert await ws.recv() == message
            assert await ws.ping() > 0
    assert (await ws.wait_closed()).code == 1000


async def test_a_server_that_chooses_no_protocol() -> None:
    async with websockets.asyncio.server.serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with WebSocket(f"ws://127.0.0.1:{port}/") as ws:
            assert ws.protocol == ""
            ws.send("x")
            assert await ws.recv() == "x"


async def test_their_fragments() -> None:
    async def pieces(connection: Any) -> None:
        await connection.send(["a", "b", "c"])
        await connection.wait_closed()

    async with websockets.asyncio.server.serve(pieces, "127.0.0.1", 0) as server:
        async with WebSocket(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as ws:
            assert await ws.recv() == "abc"


async def test_their_close() -> None:
    async def close(connection: Any) -> None:
        await connection.close(4321, "enough")

    async with websockets.asyncio.server.serve(close, "127.0.0.1", 0) as server:
        ws = WebSocket(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        event = await ws.wait_closed()
    assert (event.code, event.reason, event.wasClean) == (4321, "enough", True)


async def echo_ours(ws: WebSocket) -> None:
    async with ws:
        async for message in ws:
            ws.send(message)


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_their_client_and_our_server(compression: str | None) -> None:
    async with serving(echo_ours) as server:
        async with websockets.asyncio.client.connect(
            server.url,
            subprotocols=[Subprotocol("other"), Subprotocol("chat")],
            compression=compression,
        ) as client:
            assert client.subprotocol == "chat"
            for message in MESSAGES:
                await client.send(message)
                assert await client.recv() == message
            await (await client.ping())
        assert client.close_code == 1000


async def test_our_close_and_their_client() -> None:
    def hang_up(ws: WebSocket) -> None:
        ws.onopen = lambda _event: ws.close(4000, "go")

    async with serving(hang_up) as server:
        async with websockets.asyncio.client.connect(server.url) as client:
            with pytest.raises(websockets.exceptions.ConnectionClosedError):
                await client.recv()
        assert (client.close_code, client.close_reason) == (4000, "go")


async def test_many_connections_at_once() -> None:
    async with serving(echo_ours) as server:

        async def one(number: int) -> None:
            async with websockets.asyncio.client.connect(server.url) as client:
                for turn in range(5):
                    await client.send(f"{number} {turn}")
                    assert await client.recv() == f"{number} {turn}"

        await asyncio.gather(*(one(number) for number in range(50)))
