"""A peer that does not read, an application that does not keep up, on either side: who waits, and what is bounded."""

import asyncio
import os
import threading
import time

import pytest
from support import frames, media
from support.facing import SIDES, Side, facing
from support.listening import wav
from support.log import Log
from support.process import memory
from support.raw import RawPeer

import voxwire
from voxwire import Player, WebSocketAudioEncoding
from voxwire import WebSocketEvents as E

ON_DRIVERS = ["loop", "tokio"]
SOCKETS = 40_000_000
"""More than the buffers of both sockets take."""


@pytest.mark.parametrize("side", SIDES)
async def test_a_slow_reader(side: Side) -> None:
    """`send` refuses beyond `send_buffer`, `drain` waits, and nothing that was taken is lost."""
    gate = threading.Event()
    got: list[int] = []

    def slow(peer: RawPeer) -> None:
        gate.wait(15)
        while (frame := peer.frame()).opcode != frames.CLOSE:
            got.append(int.from_bytes(frame.payload[:4], "big"))
        peer.send(frames.CLOSE, frame.payload)

    async with facing(side, slow, send_buffer=1_000_000) as ws:
        taken = 0
        with pytest.raises(voxwire.SendBufferFull, match="send_buffer = 1000000"):
            for _ in range(1000):
                ws.send(taken.to_bytes(4, "big") + bytes(100_000))
                taken += 1
        assert 0 < ws.bufferedAmount <= 1_000_000 + 100_004  # a message that is partly with the system counts whole
        draining = asyncio.ensure_future(ws.drain())
        await asyncio.sleep(0.05)
        assert not draining.done()
        gate.set()
        await draining
        assert ws.bufferedAmount == 0
        ws.close()
        assert (await ws.wait_closed()).wasClean
    assert got == list(range(taken))


@pytest.mark.parametrize("side", SIDES)
async def test_a_slow_application(side: Side) -> None:
    """Nobody takes the messages: reading stops, the peer waits, and then everything is there in order."""
    sent = 0

    def flood(peer: RawPeer) -> None:
        nonlocal sent
        peer.sock.settimeout(0.3)
        try:
            while sent < SOCKETS // 60_000:
                peer.send(frames.BINARY, sent.to_bytes(4, "big") + bytes(60_000))
                sent += 1
        except TimeoutError:
            pass
        peer.sock.settimeout(15)
        go.wait(15)
        peer.hang_up()

    go = threading.Event()
    async with facing(side, flood, receive_buffer=500_000) as ws:
        await asyncio.sleep(0.5)
        assert 500_000 <= ws.statistics().unhandled_bytes < 500_000 + 600_000
        assert sent < SOCKETS // 60_000
        got = 0
        go.set()
        try:
            while True:
                data = await ws.recv()
                assert isinstance(data, bytes)
                assert int.from_bytes(data[:4], "big") == got
                got += 1
        except voxwire.ConnectionClosed:
            pass
    assert got == sent  # the one that did not fit is not whole


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("opcode", [frames.PONG, frames.BINARY], ids=["pongs", "messages"])
async def test_a_handler_that_blocks_the_loop(opcode: int, side: Side) -> None:
    """What comes meanwhile is bounded by the receive buffer, to the message; pongs that nobody asked for lead to nothing."""
    go, done = threading.Event(), threading.Event()

    def flood(peer: RawPeer) -> None:
        go.wait(15)
        block = frames.build(opcode, b"x", mask=peer.masks) * 10_000
        peer.sock.settimeout(0.3)
        sent = 0
        try:
            while sent < 12_000_000 and not done.is_set():
                sent += peer.sock.send(block[sent % len(block) :])
        except OSError:
            pass
        peer.sock.settimeout(10)
        peer.wait_eof()

    before = memory(os.getpid())
    async with facing(side, flood, receive_buffer=200_000, close_timeout=0.2) as ws:
        go.set()
        time.sleep(0.5)  # noqa: ASYNC251 - this is the fault
        assert ws.statistics().unhandled_bytes <= 200_000 + 129
        assert memory(os.getpid()) - before < 40 << 20
        done.set()
        if opcode == frames.BINARY:
            assert {await ws.recv() for _ in range(3000)} == {b"x"}  # more than waited
            assert ws.statistics().pongs_received == 0
        else:
            while ws.statistics().pongs_received <= 1000:
                await asyncio.sleep(0.01)
        ws.close()


@pytest.mark.parametrize("side", SIDES)
async def test_audio_for_a_slow_reader_whose_buffer_is_full(side: Side, tmp_path: object) -> None:
    """Messages have filled `send_buffer`: audio is dropped and counted, its route lives, its start and stop arrive."""
    gate = threading.Event()
    heard: list[str] = []

    def slow(peer: RawPeer) -> None:
        gate.wait(15)
        while (frame := peer.frame()).opcode != frames.CLOSE:
            if frame.opcode == frames.TEXT:
                heard.append(frame.payload.decode().split('"')[3])
        peer.send(frames.CLOSE, frame.payload)

    async with facing(side, slow, send_buffer=200_000) as ws:
        with pytest.raises(voxwire.SendBufferFull):
            while True:
                ws.send(bytes(50_000))
        with pytest.raises(voxwire.SendBufferFull):
            while True:
                ws.send(b"x")
        player = Player(wav(tmp_path, media.tone(4000)))  # type: ignore[arg-type]
        player.sendMediaTo(ws, {"encoding": WebSocketAudioEncoding.ULAW})
        player.start()
        while ws.statistics().media_dropped_ms < 100:
            await asyncio.sleep(0.01)
        gate.set()
        while ws.statistics().media_frames_sent < 10:
            await asyncio.sleep(0.01)
        player.stop()
        await ws.drain()
        ws.close()
        await ws.wait_closed()
    assert heard[0] == "start"
    assert heard.count("media") >= 10
    assert heard[-1] == "stop"


@pytest.mark.parametrize("side", SIDES)
async def test_a_slow_async_handler(side: Side) -> None:
    """Tasks that handle messages count until they are done."""
    stop = asyncio.Event()

    def flood(peer: RawPeer) -> None:
        peer.sock.settimeout(0.3)
        try:
            for _ in range(SOCKETS // 50_000):
                peer.send(frames.BINARY, bytes(50_000))
        except OSError:
            pass
        peer.hang_up()

    running = 0

    async def handle(_event: object) -> None:
        nonlocal running
        running += 1
        await stop.wait()

    async with facing(side, flood, receive_buffer=500_000) as ws:
        log = Log(ws, without=(E.MESSAGE,))
        ws.onmessage = handle
        await asyncio.sleep(0.6)
        assert 10 <= running <= 25
        stop.set()
        await log.until(E.CLOSE)
