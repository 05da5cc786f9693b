"""Much at once, slowness, silence: floods, bounded memory, keepalive."""

import asyncio
import resource
import threading
import time

import pytest
from support import frames
from support.log import Log
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import WebSocket
from voxwire import WebSocketEvents as E

FLOOD = 1_000_000


async def test_a_flood_does_not_starve_a_timer() -> None:
    block = frames.build(frames.TEXT, b"x" * 16) * 1000

    def flood(peer: RawPeer) -> None:
        peer.accept()
        for _ in range(FLOOD // 1000):
            peer.write(block)
        peer.answer_close()

    received = 0
    done = asyncio.Event()

    def count(_event: object) -> None:
        nonlocal received
        received += 1
        if received == FLOOD:
            done.set()

    gaps: list[float] = []

    async def tick() -> None:
        last = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0.01)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    with RawServer(flood) as server:
        async with WebSocket(server.url) as ws:
            ws.onmessage = count
            ticking = asyncio.ensure_future(tick())
            await done.wait()
            await ticking
            assert ws.statistics().messages_received == FLOOD
    assert len(gaps) > 3
    gaps.sort()
    assert gaps[len(gaps) // 2] < 0.05
    assert gaps[-1] < 0.5


async def test_a_loop_over_messages_that_are_there_lets_others_run() -> None:
    count = 1000

    def flood(peer: RawPeer) -> None:
        peer.accept()
        peer.write(frames.build(frames.TEXT, b"x" * 16) * count)
        peer.answer_close()

    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    with RawServer(flood) as server:
        async with WebSocket(server.url) as ws:
            left = count
            running = asyncio.ensure_future(others())
            async for _message in ws:
                time.sleep(0.001)  # noqa: ASYNC251 - a body that works and never waits
                left -= 1
                if not left:
                    break
            running.cancel()
    assert turns > count / 50  # without yielding there would be one or two


async def test_memory_is_bounded_while_the_handler_is_slow() -> None:
    """A handler that blocks the loop: the peer waits, and what is in between stays small."""
    stop = threading.Event()
    sent = 0

    def flood(peer: RawPeer) -> None:
        nonlocal sent
        peer.accept()
        peer.sock.settimeout(0.1)
        block = frames.build(frames.BINARY, bytes(50_000))
        while not stop.is_set() and sent < 400_000_000:
            try:
                peer.write(block)
                sent += len(block)
            except OSError:  # the time-out is one
                return

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with RawServer(flood) as server:
        ws = WebSocket(server.url, receive_buffer=1_000_000)
        ws.onmessage = lambda _event: time.sleep(0.02)
        await ws.wait_open()
        await asyncio.sleep(1)
        stop.set()
        server.hang_up()
        await ws.wait_closed()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert sent < 100_000_000
    assert grown < 60_000_000


async def test_a_peer_that_vanishes() -> None:
    """It stays connected and answers nothing: the keepalive finds out."""
    release = threading.Event()

    def frozen(peer: RawPeer) -> None:
        peer.accept()
        release.wait(15)

    with RawServer(frozen) as server:
        began = time.perf_counter()
        log = Log(WebSocket(server.url, ping_interval=0.2, ping_timeout=0.2))
        close = await log.until(E.CLOSE)
        took = time.perf_counter() - began
        release.set()
    assert log.names == ["CREATED", "OPEN", "ERROR", "CLOSE"]
    assert isinstance(log.events[2].error, voxwire.KeepaliveTimeout)
    assert "0.2" in str(log.events[2].error)
    assert close.code == 1006
    assert 0.3 < took < 5


async def test_keepalive_keeps_a_quiet_connection() -> None:
    pings: list[bytes] = []

    def quiet(peer: RawPeer) -> None:
        peer.accept()
        while (frame := peer.frame()).opcode != frames.CLOSE:
            pings.append(frame.payload)
            peer.send(frames.PONG, frame.payload)
        peer.send(frames.CLOSE, frame.payload)
        peer.hang_up()

    with RawServer(quiet) as server:
        async with WebSocket(server.url, ping_interval=0.1, ping_timeout=1) as ws:
            await asyncio.sleep(0.55)
            statistics = ws.statistics()
            assert ws.readyState == "open"
    assert 3 <= len(pings) <= 7
    assert statistics.pings_sent >= 3
    assert statistics.pongs_received >= 3
    assert statistics.latency > 0


async def test_no_keepalive_when_switched_off() -> None:
    def deaf(peer: RawPeer) -> None:
        peer.accept()
        assert peer.frame().opcode == frames.CLOSE
        peer.close()
        peer.hang_up()

    with RawServer(deaf) as server:
        async with WebSocket(server.url, ping_interval=None):
            await asyncio.sleep(0.3)


async def test_a_slow_application_is_no_dead_peer() -> None:
    """Reading stopped because nobody takes the messages; that must not look like a missing pong."""

    def patient(peer: RawPeer) -> None:
        peer.accept()
        peer.sock.settimeout(5)

        def answer() -> None:
            try:
                while (frame := peer.frame()).opcode != frames.CLOSE:
                    if frame.opcode == frames.PING:
                        with lock:
                            peer.send(frames.PONG, frame.payload)
                with lock:
                    peer.send(frames.CLOSE, frame.payload)
            except OSError:
                pass

        lock = threading.Lock()
        answering = threading.Thread(target=answer)
        answering.start()
        for _ in range(40):
            with lock:
                peer.text("x" * 10_000)
        answering.join(10)
        peer.hang_up()

    with RawServer(patient) as server:
        async with WebSocket(server.url, receive_buffer=50_000, ping_interval=0.1, ping_timeout=0.3) as ws:
            await asyncio.sleep(1.2)
            assert ws.readyState == "open"
            for _ in range(40):
                await ws.recv()


@pytest.mark.parametrize("count", [200])
async def test_open_and_close_many_times(count: int) -> None:
    def short(peer: RawPeer) -> None:
        peer.accept()
        peer.text("x")
        peer.answer_close()

    with RawServer(short) as server:
        for _ in range(count):
            async with WebSocket(server.url) as ws:
                assert await ws.recv() == "x"
