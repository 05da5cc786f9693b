"""Cancellation at every step: each thing that can be awaited is cancelled after n callbacks of the loop, for all n. No message
is lost or doubled, no task, descriptor or thread is left, and the connection can be used or is closed.
"""

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.steps import Counted, at_every_step, cancelled_after

import voxwire
from voxwire import WebSocket
from voxwire.compat.websockets.asyncio.client import connect
from voxwire.compat.websockets.asyncio.server import ServerConnection, serve

ON_LOOPS = ["asyncio"]  # whose callbacks can be counted

# In a process of its own, so that its descriptors are not counted. It numbers what it sends and remembers what came.
PEER = """
import asyncio, itertools, json
from websockets.asyncio.server import serve
async def talk(ws):
    numbers, came = itertools.count(), []
    async for message in ws:
        if isinstance(message, bytes): came.append((int.from_bytes(message[:4], "big"), len(message)))
        elif message == "what": await ws.send(json.dumps(came))
        else:
            for _ in range(int(message)):
                await ws.send(str(next(numbers)))
                await asyncio.sleep(0.001)  # so that they come one by one
async def main():
    async with serve(talk, "127.0.0.1", 0, max_size=None, ping_interval=None, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", PEER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"ws://127.0.0.1:{int(process.stdout.readline())}/"
        process.kill()


async def started(url: str) -> None:
    """Have the core's threads and the loop's handles, which stay, be there before anything is counted."""
    async with WebSocket(url) as ws:
        ws.send("1")
        await ws.recv()


MESSAGES = 6
Receiver = Callable[[list[str]], Awaitable[Any]]


async def nothing_lost(send: Callable[[str], Any], receive: Receiver, rest: Callable[[], Awaitable[Any]]) -> None:
    """Ask for some messages and cancel their reception at each step; all numbers must come, once, in order."""
    got: list[str] = []
    asked = 0

    async def run(at: int) -> Counted:
        nonlocal asked
        result = send(str(MESSAGES))
        if result is not None:
            await result
        asked += MESSAGES
        return await cancelled_after(at, receive(got))  # type: ignore[arg-type]

    await at_every_step(run)
    while len(got) < asked:
        got.append(str(await rest()))
    assert got == [str(number) for number in range(asked)]


async def test_recv(url: str) -> None:
    await started(url)
    async with WebSocket(url) as ws:

        async def receive(got: list[str]) -> bool:
            for _ in range(MESSAGES):
                got.append(str(await ws.recv()))
            return True

        await nothing_lost(ws.send, receive, ws.recv)


async def test_recv_with_a_time_limit(url: str) -> None:
    """`wait_for` has steps of its own, between which a message may come."""
    await started(url)
    async with WebSocket(url) as ws:

        async def receive(got: list[str]) -> bool:
            for _ in range(MESSAGES):
                async with asyncio.timeout(10):
                    got.append(str(await ws.recv()))
            return True

        await nothing_lost(ws.send, receive, ws.recv)


async def test_async_for(url: str) -> None:
    await started(url)
    async with WebSocket(url) as ws:

        async def receive(got: list[str]) -> bool:
            count = 0
            async for message in ws:
                got.append(str(message))
                count += 1
                if count == MESSAGES:
                    break
            return True

        await nothing_lost(ws.send, receive, ws.recv)


async def test_recv_of_compat(url: str) -> None:
    await started(url)
    async with connect(url, compression=None) as ws:

        async def receive(got: list[str]) -> bool:
            for _ in range(MESSAGES):
                got.append(str(await ws.recv()))
            return True

        await nothing_lost(ws.send, receive, ws.recv)


async def test_streaming_of_compat(url: str) -> None:
    """An iterator over the fragments of a message that is given up: the next one begins with the next message."""
    await started(url)
    async with connect(url, compression=None) as ws:

        async def receive(got: list[str]) -> bool:
            async for message in ws:
                got.append(str(message))
                if len(got) % MESSAGES == 0:
                    break
            return True

        await nothing_lost(ws.send, receive, ws.recv)


async def test_opening(url: str) -> None:
    await started(url)

    async def open_one() -> bool:
        async with WebSocket(url) as ws:
            ws.send("1")
            assert await ws.recv() == "0"
        return True

    await at_every_step(lambda at: cancelled_after(at, open_one()))


async def test_waiting_for_the_close(url: str) -> None:
    """Cancelled in `wait_closed`, the close goes on without it."""
    await started(url)

    async def run(at: int) -> Counted:
        ws = WebSocket(url)
        await ws.wait_open()

        async def close() -> bool:
            ws.close(1000)
            return (await ws.wait_closed()).wasClean

        outcome = await cancelled_after(at, close())
        ws.close(1000)
        assert (await ws.wait_closed()).wasClean
        return outcome

    await at_every_step(run)


async def test_drain(url: str) -> None:
    await started(url)
    async with WebSocket(url, send_buffer=64 << 20) as ws:
        numbers = itertools.count()

        async def send() -> bool:
            for _ in range(2):
                ws.send(next(numbers).to_bytes(4, "big") + bytes(16_000_000))
                await ws.drain()
            return True

        await at_every_step(lambda at: cancelled_after(at, send()))
        ws.send("what")
        assert json.loads(await ws.recv()) == [[number, 16_000_004] for number in range(next(numbers))]


async def test_ping(url: str) -> None:
    await started(url)
    async with WebSocket(url) as ws:
        await at_every_step(lambda at: cancelled_after(at, ws.ping()))
        assert await ws.ping() >= 0


async def test_a_server(url: str) -> None:
    await started(url)

    async def run(at: int) -> Counted:
        engine = voxwire.Engine()
        engine.addEventListener(voxwire.AppEvents.WebSocket, lambda event: None)
        server = engine.allowWebSocketConnections()
        ws = WebSocket(server.url)
        await ws.wait_open()

        async def close() -> bool:
            server.close()
            await server.wait_closed()
            return True

        outcome = await cancelled_after(at, close())
        server.close()
        await server.wait_closed()
        assert (await ws.wait_closed()).code == 1001
        return outcome

    await at_every_step(run)


async def test_a_recorder_and_a_player(url: str, tmp_path: Path) -> None:
    await started(url)
    voxwire.Recorder(tmp_path / "before.wav").close()
    names = itertools.count()

    async def record(path: Path) -> bool:
        player = voxwire.Player(bytes(640), format="raw", rate=8000)
        try:
            async with voxwire.Recorder(path) as recorder:
                player.sendMediaTo(recorder)
                player.start()
                await player.wait_finished()
        finally:
            player.stop()
        return True

    async def run(at: int) -> Counted:
        return await cancelled_after(at, record(tmp_path / f"{next(names)}.wav"))

    await at_every_step(run)


async def test_opening_of_compat(url: str) -> None:
    await started(url)

    async def open_one() -> bool:
        async with connect(url, compression=None) as ws:
            await ws.send("1")
            assert await ws.recv() == "0"
        return True

    await at_every_step(lambda at: cancelled_after(at, open_one()))


async def test_connect_and_close_of_compat(url: str) -> None:
    """`await connect(…)` without a block: who cancels it has no connection to close, so there must be none."""
    await started(url)

    async def open_one() -> bool:
        ws = await connect(url, compression=None)
        try:
            return True
        finally:
            await ws.close()

    await at_every_step(lambda at: cancelled_after(at, open_one()))


async def test_ping_of_compat(url: str) -> None:
    await started(url)
    async with connect(url, compression=None) as ws:

        async def ping() -> float:
            return await (await ws.ping())

        await at_every_step(lambda at: cancelled_after(at, ping()))
        assert await ping() >= 0


async def test_send_of_compat(url: str) -> None:
    await started(url)
    async with connect(url, compression=None) as ws:
        numbers = itertools.count()

        async def send() -> bool:
            for _ in range(4):
                await ws.send(next(numbers).to_bytes(4, "big") + bytes(4_000_000))
            return True

        await at_every_step(lambda at: cancelled_after(at, send()))
        await ws.send("what")
        assert json.loads(await ws.recv()) == [[number, 4_000_004] for number in range(next(numbers))]


async def test_a_server_of_compat(url: str) -> None:
    await started(url)

    async def echo(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    async def run(at: int) -> Counted:
        server = await serve(echo, "127.0.0.1", 0)
        ws = await connect(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/")

        async def close() -> bool:
            server.close()
            await server.wait_closed()
            return True

        outcome = await cancelled_after(at, close())
        server.close()
        await server.wait_closed()
        await ws.close()
        assert ws.close_code == 1001
        return outcome

    await at_every_step(run)


async def test_listening_of_compat(url: str) -> None:
    """A server that nobody has, because it was cancelled while it began, must not listen."""
    await started(url)

    async def echo(ws: ServerConnection) -> None:
        await ws.wait_closed()

    async def listen() -> bool:
        async with serve(echo, "127.0.0.1", 0):
            return True

    await at_every_step(lambda at: cancelled_after(at, listen()))
