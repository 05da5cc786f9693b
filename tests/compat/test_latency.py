"""Latency is measured with a clock that goes on within a turn of the loop, which uvloop's own does not."""

from typing import Any

from voxwire.compat.websockets.asyncio.client import connect
from voxwire.compat.websockets.asyncio.server import serve


async def test_it_is_never_zero() -> None:
    async def handler(connection: Any) -> None:
        await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as server:
        async with connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", ping_interval=None) as connection:
            assert connection.latency == 0
            for _ in range(20):
                latency = await (await connection.ping())
                assert 0 < latency < 5
                assert connection.latency == latency
