"""Peers that do not close as they should: killed, stopped, silent, half open, reset. Real processes where it matters."""

import asyncio
import socket
import threading
from typing import Any

import pytest
from support import frames
from support.facing import SIDES, Side, facing
from support.log import Log
from support.pair import serving
from support.process import Program, echo_server
from support.raw import RawPeer

import voxwire
from voxwire import WebSocket
from voxwire import WebSocketEvents as E

ON_DRIVERS = ["loop", "tokio"]

QUICK: dict[str, Any] = {"ping_interval": 0.2, "ping_timeout": 0.4}

TALKER = """
async def main():
    async with WebSocket(sys.argv[2]) as ws:
        ws.send("here I am")
        say("open")
        async for message in ws:
            pass
run(main)
"""


async def test_a_server_that_is_killed(loop_name: str) -> None:
    with echo_server(loop_name) as (program, url):
        log = Log(ws := WebSocket(url))
        await ws.wait_open()
        waiting = asyncio.ensure_future(ws.ping())
        program.kill()
        close = await log.until(E.CLOSE)
        with pytest.raises(voxwire.ConnectionClosed):
            await waiting
    assert (close.code, close.wasClean) == (1006, False)


async def test_a_client_that_is_killed(loop_name: str) -> None:
    logs: list[Log] = []
    async with serving(lambda ws: logs.append(Log(ws))) as server, WebSocket(server.url) as other:
        with Program(TALKER, loop_name, server.url) as program:
            await asyncio.to_thread(program.line)
            while len(logs) < 2:
                await asyncio.sleep(0.01)
            await logs[1].until(E.MESSAGE)
            program.kill()
            close = await logs[1].until(E.CLOSE)
        assert (close.code, close.wasClean) == (1006, False)
        assert await other.ping() >= 0
        assert other.readyState == "open"


async def test_a_server_that_is_stopped(loop_name: str) -> None:
    """Its kernel acknowledges everything; only the keepalive finds out."""
    with echo_server(loop_name) as (program, url):
        log = Log(ws := WebSocket(url, **QUICK))
        await ws.wait_open()
        program.stop()
        ws.send("anybody there?")
        close = await log.until(E.CLOSE)
        program.go_on()
    assert isinstance(log.of(E.ERROR)[0].error, voxwire.KeepaliveTimeout)
    assert (close.code, close.wasClean) == (1006, False)


async def test_a_client_that_is_stopped(loop_name: str) -> None:
    logs: list[Log] = []
    async with serving(lambda ws: logs.append(Log(ws)), parameters=QUICK) as server:
        with Program(TALKER, loop_name, server.url) as program:
            await asyncio.to_thread(program.line)
            await logs[0].until(E.MESSAGE)
            program.stop()
            close = await logs[0].until(E.CLOSE)
            program.go_on()
    assert isinstance(logs[0].of(E.ERROR)[0].error, voxwire.KeepaliveTimeout)
    assert close.code == 1006


async def test_a_server_that_is_stopped_for_a_moment(loop_name: str) -> None:
    """Shorter than the keepalive's patience: nothing happens, nothing is lost."""
    with echo_server(loop_name) as (program, url):
        async with WebSocket(url, ping_interval=0.2, ping_timeout=15) as ws:
            program.stop()
            for number in range(100):
                ws.send(str(number))
            await asyncio.sleep(0.5)
            program.go_on()
            assert [await ws.recv() for _ in range(100)] == [str(number) for number in range(100)]
            ws.close()
            assert (await ws.wait_closed()).wasClean


@pytest.mark.parametrize("side", SIDES)
async def test_a_close_that_is_not_answered(side: Side) -> None:
    release = threading.Event()
    took = 0.0

    def deaf(peer: RawPeer) -> None:
        assert peer.until(frames.CLOSE).close[0] == 1000
        release.wait(15)

    async with facing(side, deaf, close_timeout=0.3) as ws:
        clock = asyncio.get_running_loop().time
        began = clock()
        ws.close(1000)
        event = await ws.wait_closed()
        took = clock() - began
        release.set()
    assert (event.code, event.wasClean) == (1006, False)
    assert 0.25 < took < 5


@pytest.mark.parametrize("side", SIDES)
async def test_a_close_to_a_peer_that_floods_instead(side: Side) -> None:
    """It goes on sending and reads nothing: the time-out of the close counts all the same."""
    blob = frames.build(frames.BINARY, bytes(60_000), mask=side == "server")

    def flood(peer: RawPeer) -> None:
        peer.sock.settimeout(5)
        try:
            while True:
                peer.sock.sendall(blob)
        except OSError:
            pass

    async with facing(side, flood, close_timeout=0.5) as ws:
        await asyncio.sleep(0.1)
        ws.close(1000)
        clock = asyncio.get_running_loop().time
        began = clock()
        event = await ws.wait_closed()
        assert clock() - began < 8
    assert (event.code, event.wasClean) == (1006, False)


@pytest.mark.parametrize("side", SIDES)
async def test_a_dead_peer(side: Side) -> None:
    release = threading.Event()

    async with facing(side, lambda _peer: release.wait(15), **QUICK) as ws:
        log = Log(ws)
        close = await log.until(E.CLOSE)
        release.set()
    assert isinstance(log.of(E.ERROR)[0].error, voxwire.KeepaliveTimeout)
    assert close.code == 1006


@pytest.mark.parametrize("side", SIDES)
async def test_a_peer_that_only_shuts_its_sending_side(side: Side) -> None:
    """Half open: nothing more can come, so it is over, though it would still listen."""
    seen: list[bytes] = []

    def half(peer: RawPeer) -> None:
        peer.sock.shutdown(socket.SHUT_WR)
        while data := peer.sock.recv(65536):
            seen.append(data)

    async with facing(side, half) as ws:
        event = await ws.wait_closed()
    assert (event.code, event.wasClean) == (1006, False)


@pytest.mark.parametrize("side", SIDES)
async def test_a_reset(side: Side) -> None:
    go = threading.Event()

    def reset(peer: RawPeer) -> None:
        go.wait(15)
        peer.reset()

    async with facing(side, reset) as ws:
        log = Log(ws)
        go.set()
        close = await log.until(E.CLOSE)
    assert isinstance(log.of(E.ERROR)[0].error, voxwire.TransportError)
    assert close.code == 1006
