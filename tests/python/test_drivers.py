"""Who reads a connection: its loop, its task, and how it goes from one to the other. What they do alike is in the tests of
messages and of closing, which run over both.
"""

import asyncio
import contextlib
import threading
import time

import pytest
from support import frames, media
from support.log import Log
from support.pair import pair
from support.raw import RawPeer, RawServer
from support.tls import Certificates

from voxwire import AudioUnit, MessageEvent, TLSOptions, WebSocket
from voxwire import WebSocketEvents as E
from voxwire.loops import DRIVER

TEXT = [f"message {number} " + "x" * number for number in range(300)]


def readers() -> int:
    """How many descriptors this (asyncio) loop watches."""
    return len(asyncio.get_running_loop()._selector.get_map())  # type: ignore[attr-defined]


async def until(condition: object) -> None:
    while not condition():  # type: ignore[operator]
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("driver", ["loop", "tokio"])
def test_the_variable_chooses(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DRIVER, driver)

    async def main() -> None:
        async with pair() as (one, _other):
            by_loop = 2 if driver == "loop" else 0
            await until(lambda: readers() == 2 + by_loop)  # the loop's own, and the bridge
            one.sendMediaTo(unit := AudioUnit(8000))
            await until(lambda: readers() == 2 + by_loop // 2)
            unit.close()
        await until(lambda: readers() == 2)

    asyncio.run(main())


@pytest.mark.parametrize("piece", [1, 7, 100, 1 << 20])
async def test_the_first_audio_moves_it_and_nothing_is_lost(piece: int) -> None:
    """Whatever the pieces are in which it comes, and in the order in which it was sent."""
    events = [media.start(), *(media.media(chunk, b"\xff" * 160) for chunk in range(5)), media.stop()]
    sent = [*TEXT[:20], *events, *TEXT[20:40]]
    stream = b"".join(frames.build(frames.TEXT, text.encode()) for text in sent)

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(frames.TEXT)
        for start in range(0, len(stream), piece):
            peer.write(stream[start : start + piece])
            if start % (50 * piece) == 0:
                time.sleep(0.001)
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws:
            log = Log(ws)
            ws.send("go")
            await log.until(E.MEDIA_ENDED)
            await log.until(E.MESSAGE, 40)
        assert log.messages == TEXT[:40]
        assert ws.statistics().media_frames_received == 5
        assert ws.statistics().wire_bytes_received >= len(stream)


async def test_a_handler_that_makes_a_route_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of what one read has brought."""

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(frames.TEXT)
        peer.write(b"".join(frames.build(frames.TEXT, text.encode()) for text in TEXT))
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws:
            unit = AudioUnit(8000)
            ws.addEventListener(E.MESSAGE, lambda _event: ws.sendMediaTo(unit))
            log = Log(ws)
            ws.send("go")
            await log.until(E.MESSAGE, len(TEXT))
        assert log.messages == TEXT
        unit.close()


async def test_a_slow_handler_lets_others_run() -> None:
    """Many messages come at once; between a few of them the loop does what else there is."""
    turns = 0

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(frames.TEXT)  # there is a handler: what comes before is handed to it in one go
        peer.write(b"".join(frames.build(frames.TEXT, text.encode()) for text in TEXT[:100]))
        peer.answer_close()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws:
            task = asyncio.ensure_future(others())
            ws.addEventListener(E.MESSAGE, lambda _event: time.sleep(0.002))
            log = Log(ws)
            ws.send("go")
            await log.until(E.MESSAGE, 1)
            before = turns
            await log.until(E.MESSAGE, 100)
            assert turns - before >= 50
            task.cancel()
        assert log.messages == TEXT[:100]


def test_a_loop_that_does_not_turn_is_read_for() -> None:
    """A handler blocks: a ping is answered all the same, and what came meanwhile is there afterwards, in order."""
    blocked, answered = threading.Event(), threading.Event()

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text("block")
        assert blocked.wait(20)
        peer.send(frames.PING, b"there?")
        peer.text(TEXT[0])
        assert peer.until(frames.PONG).payload == b"there?"
        answered.set()
        peer.text(TEXT[1])
        peer.answer_close()

    async def main() -> None:
        async with WebSocket(server.url) as ws:

            def on_message(event: MessageEvent) -> None:
                if event.data == "block":
                    blocked.set()
                    assert answered.wait(20)

            ws.onmessage = on_message
            log = Log(ws)
            await log.until(E.MESSAGE, 3)
        assert log.messages == ["block", *TEXT[:2]]

    with RawServer(script) as server:
        asyncio.run(main())


async def test_answers_to_what_came_together_keep_their_order() -> None:
    got: list[str] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.write(b"".join(frames.build(frames.TEXT, text.encode()) for text in TEXT))
        while (frame := peer.frame()).opcode == frames.TEXT:
            got.append(frame.payload.decode())
        peer.send(frames.CLOSE, frame.payload)
        peer.hang_up()

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws:
            left = len(TEXT)

            def on_message(event: MessageEvent) -> None:
                nonlocal left
                ws.send(event.data)
                left -= 1
                if not left:
                    ws.close(1000)

            ws.onmessage = on_message
            await ws.wait_closed()
    assert got == TEXT


async def test_what_is_sent_together_goes_out_before_close_and_drain() -> None:
    async with pair() as (one, other):
        for text in TEXT:
            one.send(text)
        await one.drain()
        assert one.bufferedAmount == 0
        assert [await other.recv() for _ in TEXT] == TEXT
        for text in TEXT:
            other.send(text)
        other.close(1000)
        assert [await one.recv() for _ in TEXT] == TEXT
        assert (await one.wait_closed()).code == 1000


async def test_a_handler_that_blocks_after_sending_keeps_nothing_back() -> None:
    arrived = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text("go")
        for text in TEXT[:3]:
            assert peer.until(frames.TEXT).payload == text.encode()
        arrived.set()
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws:
            seen = asyncio.get_running_loop().create_future()

            def on_message(_event: MessageEvent) -> None:
                for text in TEXT[:3]:
                    ws.send(text)
                seen.set_result(arrived.wait(20))

            ws.onmessage = on_message
            assert await seen


@pytest.mark.parametrize("driver", ["loop", "tokio"])
async def test_tls_records_of_any_size(
    driver: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several in one read, and messages over many; then a close_notify without a close frame."""
    monkeypatch.setenv(DRIVER, driver)
    big = "y" * 200_000

    def script(peer: RawPeer) -> None:
        peer.accept()
        for text in TEXT:
            peer.text(text)
        peer.text(big)
        peer.until(frames.TEXT)
        with contextlib.suppress(OSError):
            peer.sock.unwrap()  # type: ignore[attr-defined]
        peer.hang_up()

    tls = TLSOptions(ca_file=certificates.ca)
    with RawServer(script, certificates.server_context()) as server:
        async with WebSocket(server.url, tls=tls) as ws:
            assert [await ws.recv() for _ in TEXT] == TEXT
            assert await ws.recv() == big
            ws.send("go")
            closed = await ws.wait_closed()
        assert (closed.code, closed.wasClean) == (1006, False)


async def test_a_message_and_a_reset_at_once() -> None:
    """A loop may report the failure of a socket once and never again (uvloop): the message comes, and then the end."""

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(frames.TEXT)
        peer.text(TEXT[1])
        peer.reset()

    with RawServer(script) as server:
        ws = WebSocket(server.url)
        await ws.wait_open()
        ws.send("go")
        time.sleep(0.05)  # noqa: ASYNC251 - both are there when the loop looks
        assert await ws.recv() == TEXT[1]
        closed = await asyncio.wait_for(ws.wait_closed(), 15)
        assert (closed.code, closed.wasClean) == (1006, False)


@pytest.mark.parametrize("driver", ["loop", "tokio"])
@pytest.mark.parametrize("piece", [9_999, 65_536, 1 << 22])
async def test_long_messages_come_whole_and_in_order(driver: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read to where they are to be; audio in one is audio, and what is no UTF-8 ends the connection with 1007."""
    monkeypatch.setenv(DRIVER, driver)
    sound = media.media(1, b"\xff" * 80_000)
    long = ["ä" * 50_000, "x" * 1_000_003, media.start(), sound, "y" * 16_400, media.stop(), "z" * 70_000]
    stream = b"".join(
        frames.build(frames.TEXT, text.encode()) for pair in zip(long, TEXT, strict=False) for text in pair
    )
    stream += frames.build(frames.BINARY, bytes(range(256)) * 1000) + frames.build(frames.TEXT, b"\xc3" * 80_000)

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(frames.TEXT)
        for start in range(0, len(stream), piece):
            peer.write(stream[start : start + piece])
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws:
            log = Log(ws)
            ws.send("go")
            closed = await ws.wait_closed()
        texts = [
            long[0],
            TEXT[0],
            long[1],
            TEXT[1],
            long[2],
            TEXT[2],
            TEXT[3],
            long[4],
            TEXT[4],
            long[5],
            TEXT[5],
            long[6],
        ]
        assert [text for text in log.messages if text not in (media.start(), media.stop())] == [
            *(text for text in texts if text not in (media.start(), media.stop())),
            TEXT[6],
            bytes(range(256)) * 1000,
        ]
        assert ws.statistics().media_frames_received == 1
        assert not closed.wasClean
        assert "UTF-8" in str(log.of(E.ERROR)[0].error)
