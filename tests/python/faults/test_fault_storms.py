"""Many bad peers at once: resets, slow requests, nonsense, idle crowds. The server still answers the good ones."""

import asyncio
import random
import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest
from support.http import PATIENCE, upgrade
from support.process import Program, descriptors, echo_server, memory
from support.raw import RawClient

from voxwire import WebSocket

LIMIT = 100 << 20
"""What a server of one process may take, whatever the crowd."""
ROUND_TRIP = 2.0
"""Seconds in which an innocent connection has its answer, always."""
LINGER = struct.pack("ii", 1, 0)


async def echoes(ws: WebSocket) -> float:
    """The seconds that a round trip takes."""
    began = time.perf_counter()
    ws.send("still there?")
    async with asyncio.timeout(PATIENCE):
        assert await ws.recv() == "still there?"
    return time.perf_counter() - began


def knock(url: str) -> socket.socket:
    host, port = url.removeprefix("ws://").rstrip("/").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    sock.close()


def resets_before_the_request(url: str) -> None:
    for _ in range(300):
        reset(knock(url))


def resets_in_the_request(url: str) -> None:
    request = upgrade()
    for number in range(300):
        sock = knock(url)
        sock.sendall(request[: number % len(request)])
        reset(sock)


def resets_of_open_connections(url: str) -> None:
    for _ in range(150):
        client = RawClient(url).open()
        client.text("hello")
        client.reset()


def nonsense(url: str) -> None:
    chance = random.Random(7)
    for _ in range(200):
        with knock(url) as sock:
            sock.sendall(chance.randbytes(chance.randrange(1, 3000)))


STORMS: list[Callable[[str], None]] = [
    resets_before_the_request,
    resets_in_the_request,
    resets_of_open_connections,
    nonsense,
]


@pytest.mark.parametrize("storm", STORMS, ids=lambda storm: storm.__name__)
async def test_a_storm(storm: Callable[[str], None], loop_name: str) -> None:
    with echo_server(loop_name) as (program, url):
        async with WebSocket(url) as innocent:
            await echoes(innocent)
            before = descriptors(program.pid)
            raging = asyncio.create_task(asyncio.to_thread(storm, url))
            slowest = 0.0
            while not raging.done():
                slowest = max(slowest, await echoes(innocent))
            await raging
            assert slowest < ROUND_TRIP
            await settles(program, before)
            assert memory(program.pid, "VmHWM") < LIMIT


async def settles(program: Program, before: int) -> None:
    """Wait until it has no more descriptors than before."""
    async with asyncio.timeout(PATIENCE):
        while descriptors(program.pid) > before:
            await asyncio.sleep(0.02)


async def test_two_hundred_slow_requests_and_five_hundred_idle_connections(loop_name: str) -> None:
    """Slowloris: a byte of a header now and then. All of them beside one that is served as if they were not there."""
    stop = threading.Event()

    def drip(socks: list[socket.socket]) -> None:
        while not stop.wait(0.2):
            for sock in socks:
                try:
                    sock.sendall(b"x")
                except OSError:
                    pass

    with echo_server(loop_name) as (program, url):
        before = descriptors(program.pid)
        slow = [knock(url) for _ in range(200)]
        for sock in slow:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        dripping = threading.Thread(target=drip, args=(slow,))
        dripping.start()
        idle = await asyncio.to_thread(lambda: [RawClient(url).open() for _ in range(500)])
        async with WebSocket(url) as innocent:
            assert max([await echoes(innocent) for _ in range(100)]) < ROUND_TRIP
        assert memory(program.pid, "VmHWM") < LIMIT
        stop.set()
        dripping.join()
        for sock in slow:
            sock.close()
        for client in idle:
            client.hang_up()
        await settles(program, before)


async def test_a_crowd_over_the_cap(loop_name: str) -> None:
    """Those who find no place are told 503, a hundred of them at a time; who comes beyond is dropped. Nobody inside notices."""
    with echo_server(loop_name, max_connections=10, parameters={"handshake_timeout": 1}) as (program, url):
        async with WebSocket(url) as innocent:
            inside = [RawClient(url) for _ in range(9)]
            assert all(client.read_head().startswith("HTTP/1.1 101") for client in inside)
            before = descriptors(program.pid)
            silent = [knock(url) for _ in range(600)]
            assert await echoes(innocent) < ROUND_TRIP
            async with asyncio.timeout(PATIENCE):
                while descriptors(program.pid) > before + 100:
                    await asyncio.sleep(0.02)
            await settles(program, before)
            late = RawClient(url)
            assert (await asyncio.to_thread(late.read_head)).startswith("HTTP/1.1 503")
            late.hang_up()
            for sock in silent:
                sock.close()
            for client in inside:
                client.hang_up()
            assert memory(program.pid, "VmHWM") < LIMIT
