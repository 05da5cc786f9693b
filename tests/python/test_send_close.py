"""What may be sent and when, and how a connection is closed from here."""

import array
import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from support.log import Log
from support.pair import pair
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import WebSocket
from voxwire import WebSocketEvents as E

SENT = [
    ("text", "text"),
    ("", ""),
    ("grüße 🎙", "grüße 🎙"),
    (json.dumps({"event": "customEvent"}), '{"event": "customEvent"}'),
    (b"bytes", b"bytes"),
    (b"", b""),
    (bytearray(b"bytearray"), b"bytearray"),
    (memoryview(b"memoryview")[2:], b"moryview"),
    (memoryview(b"strided!")[::2], b"srdd"),
    (array.array("h", [1, -1]), b"\x01\x00\xff\xff"),
]


@pytest.mark.parametrize(("data", "received"), SENT, ids=lambda value: type(value).__name__)
async def test_send(data: Any, received: str | bytes) -> None:
    async with pair() as (ours, theirs):
        ours.send(data)
        assert await theirs.recv() == received


async def test_send_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    async with pair() as (ours, theirs):
        ours.send(numpy.arange(3, dtype="<i2"))
        assert await theirs.recv() == b"\x00\x00\x01\x00\x02\x00"


@pytest.mark.parametrize("size", [125, 126, 127, 65535, 65536, 1_000_000])
@pytest.mark.parametrize("kind", [str, bytes])
async def test_sizes(size: int, kind: type) -> None:
    data: str | bytes = "x" * size if kind is str else bytes(size)
    async with pair() as (ours, theirs):
        ours.send(data)
        assert await theirs.recv() == data
        theirs.send(data)
        assert await ours.recv() == data


@pytest.mark.parametrize("data", [None, 1, 1.5, ["a"], {"a": 1}, object()], ids=lambda value: type(value).__name__)
async def test_send_refuses_other_types(data: Any) -> None:
    async with pair() as (ours, _):
        with pytest.raises(TypeError, match=type(data).__name__):
            ours.send(data)


async def test_send_while_connecting() -> None:
    ws = WebSocket("ws://127.0.0.1:9/")
    with pytest.raises(voxwire.InvalidState, match="connecting"):
        ws.send("too early")
    await ws.wait_closed()


async def test_messages_keep_their_order() -> None:
    async with pair() as (ours, theirs):
        expected = [str(number) if number % 3 else str(number).encode() for number in range(3000)]
        for data in expected:
            ours.send(data)
        assert [await theirs.recv() for _ in expected] == expected


async def test_send_from_other_threads() -> None:
    async with pair() as (ours, theirs):

        def send_all(name: str) -> None:
            for number in range(200):
                ours.send(f"{name} {number}")

        threads = [threading.Thread(target=send_all, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        received = [str(await theirs.recv()) for _ in range(800)]
        for thread in threads:
            thread.join()
    for name in "abcd":
        assert [text for text in received if text[0] == name] == [f"{name} {number}" for number in range(200)]


async def test_drain_and_buffered_amount() -> None:
    gate = threading.Event()

    def slow(peer: RawPeer) -> None:
        peer.accept()
        gate.wait(15)
        for _ in range(12):
            assert len(peer.frame().payload) == 1_000_000
        peer.answer_close()

    with RawServer(slow) as server:
        async with WebSocket(server.url) as ws:
            for _ in range(12):
                ws.send(bytes(1_000_000))
            assert 0 < ws.bufferedAmount <= 12_000_000 + 12 * 14
            drained = asyncio.ensure_future(ws.drain())
            await asyncio.sleep(0.1)
            assert not drained.done()
            gate.set()
            await drained
            assert ws.bufferedAmount == 0
            await ws.drain()


async def test_send_buffer_is_bounded() -> None:
    gate = threading.Event()

    def slow(peer: RawPeer) -> None:
        peer.accept()
        gate.wait(15)
        peer.answer_close()

    with RawServer(slow) as server:
        async with WebSocket(server.url, send_buffer=1_000_000) as ws:
            with pytest.raises(voxwire.SendBufferFull, match=r"send_buffer|1000000"):
                for _ in range(1000):
                    ws.send(bytes(100_000))
            assert ws.readyState == "open"
            gate.set()
            await ws.drain()
            ws.send("still works")


async def test_drain_when_the_connection_is_lost() -> None:
    gate = threading.Event()

    def vanishes(peer: RawPeer) -> None:
        peer.accept()
        gate.wait(15)
        peer.reset()

    with RawServer(vanishes) as server:
        ws = WebSocket(server.url)
        await ws.wait_open()
        for _ in range(15):
            ws.send(bytes(1_000_000))
        drained = asyncio.ensure_future(ws.drain())
        await asyncio.sleep(0.05)
        gate.set()
        with pytest.raises(voxwire.ConnectionClosed):
            await drained


async def test_drain_while_connecting() -> None:
    ws = WebSocket("ws://127.0.0.1:9/")
    with pytest.raises(voxwire.InvalidState, match="connecting"):
        await ws.drain()
    await ws.wait_closed()


# Close

OURS = [
    # close(...), what the peer sees, what CLOSE says
    ((), 1005, (1005, "", True)),
    ((1000,), 1000, (1000, "", True)),
    ((1000, "bye"), 1000, (1000, "bye", True)),
    ((3000, "ä" * 61), 3000, (3000, "ä" * 61, True)),
    ((4999, "x" * 123), 4999, (4999, "x" * 123, True)),
    ((voxwire.WebSocketCloseCode.CLOSE_NORMAL,), 1000, (1000, "", True)),
]


@pytest.mark.parametrize(("arguments", "seen", "said"), OURS)
async def test_close(arguments: tuple[Any, ...], seen: int, said: tuple[int, str, bool]) -> None:
    codes: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        codes.append(peer.answer_close()[0])

    with RawServer(script) as server:
        ws = WebSocket(server.url)
        await ws.wait_open()
        ws.close(*arguments)
        event = await ws.wait_closed()
    assert codes == [seen]
    assert (event.code, event.reason, event.wasClean) == said


REFUSED = [
    ((999,), voxwire.InvalidParameter, "code.*999"),
    ((1001,), voxwire.InvalidParameter, "code.*1001"),
    ((1005,), voxwire.InvalidParameter, "code.*1005"),
    ((1006,), voxwire.InvalidParameter, "code.*1006"),
    ((1011,), voxwire.InvalidParameter, "code.*1011"),
    ((2999,), voxwire.InvalidParameter, "code.*2999"),
    ((5000,), voxwire.InvalidParameter, "code.*5000"),
    ((-1,), voxwire.InvalidParameter, "code.*-1"),
    ((1000, "x" * 124), voxwire.InvalidParameter, "reason.*123"),
    ((1000, "ä" * 62), voxwire.InvalidParameter, "reason.*123"),
    ((None, "why"), voxwire.InvalidParameter, "reason"),
    (("1000",), TypeError, "code.*str"),
    ((True,), TypeError, "code.*bool"),
    ((1000, b"bye"), TypeError, "reason.*bytes"),
]


@pytest.mark.parametrize(("arguments", "error", "match"), REFUSED)
async def test_close_refuses(arguments: tuple[Any, ...], error: type[Exception], match: str) -> None:
    async with pair() as (ws, _):
        with pytest.raises(error, match=match):
            ws.close(*arguments)
        assert ws.readyState == "open"


async def test_a_second_close_is_ignored() -> None:
    async with pair() as (ours, theirs):
        ours.close(3001, "first")
        ours.close(3002, "second")
        event = await theirs.wait_closed()
        assert (event.code, event.reason) == (3001, "first")
        ours.close(3003)
        await ours.wait_closed()
        ours.close()


async def test_the_peers_code_wins() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(0x8)
        peer.close(4002, "mine")
        peer.hang_up()

    with RawServer(script) as server:
        ws = WebSocket(server.url)
        await ws.wait_open()
        ws.close(4001, "ours")
        event = await ws.wait_closed()
    assert (event.code, event.reason, event.wasClean) == (4002, "mine", True)


async def test_messages_that_come_after_close_are_dropped() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text("before")
        peer.until(0x8)
        for _ in range(100):
            peer.text("after")
        peer.close(1000)
        peer.hang_up()

    with RawServer(script) as server:
        ws = WebSocket(server.url)
        log = Log(ws)
        await log.until(E.MESSAGE)
        ws.close()
        close = await log.until(E.CLOSE)
    assert log.messages == ["before"]
    assert close.code == 1000


async def test_what_was_sent_before_close_arrives() -> None:
    async with pair() as (ours, theirs):
        for number in range(500):
            ours.send(f"{number} " + "x" * 1000)
        ours.close(1000)
        received = [message async for message in theirs]
        assert len(received) == 500


async def test_send_after_close_only_grows_buffered_amount() -> None:
    async with pair() as (ours, theirs):
        ours.close()
        before = ours.bufferedAmount
        ours.send("12345")
        assert ours.bufferedAmount >= before + 5
        await ours.wait_closed()
        before = ours.bufferedAmount
        ours.send(b"1234567")
        assert ours.bufferedAmount >= before + 7
        assert [message async for message in theirs] == []


async def test_send_after_a_failed_connect() -> None:
    ws = WebSocket("ws://127.0.0.1:9/")
    ws.close()
    ws.send("12345")
    assert ws.bufferedAmount >= 5
    await ws.wait_closed()


async def test_close_that_is_not_answered() -> None:
    def deaf(peer: RawPeer) -> None:
        peer.accept()
        peer.wait_eof()

    with RawServer(deaf) as server:
        ws = WebSocket(server.url, close_timeout=0.3)
        await ws.wait_open()
        began = asyncio.get_running_loop().time()
        ws.close(1000)
        event = await ws.wait_closed()
        took = asyncio.get_running_loop().time() - began
    assert (event.code, event.wasClean) == (1006, False)
    assert 0.2 < took < 5


@pytest.mark.parametrize(("error", "code"), [(None, 1000), (ValueError, 1011)])
async def test_async_with_closes(error: type[Exception] | None, code: int) -> None:
    codes: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        codes.append(peer.answer_close()[0])

    with RawServer(script) as server:
        try:
            async with WebSocket(server.url) as ws:
                assert ws.readyState == "open"
                if error is not None:
                    raise error
        except ValueError:
            pass
        assert ws.readyState == "closed"
    assert codes == [code]


async def test_async_with_raises_what_failed() -> None:
    with pytest.raises(voxwire.ConnectError):
        async with WebSocket("ws://127.0.0.1:9/"):
            pytest.fail("never open")


async def test_id_url_and_repr(tmp_path: Path) -> None:
    async with pair() as (one, two):
        assert one.id() != two.id()
        assert len(one.id()) == 36
        assert one.url == two.url
        assert one.url.startswith("ws://127.0.0.1:")
        assert one.id() in repr(one)
        assert one.local_address == two.remote_address
        assert one.remote_address == two.local_address
        assert one.protocol == two.protocol == "chat"
