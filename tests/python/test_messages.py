"""Frames from a hand-made peer: fragments, control frames, what breaks the protocol; pings from here."""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from support import frames
from support.frames import BINARY, CONTINUATION, PING, PONG, TEXT
from support.log import Log
from support.pair import pair
from support.raw import RawClient, RawPeer, RawServer

import voxwire
from voxwire import AppEvents, Engine, WebSocket
from voxwire import WebSocketEvents as E

ON_DRIVERS = ["loop", "tokio"]


async def receive(send: Callable[[RawPeer], object], **parameters: Any) -> Log:
    """What our side sees of a peer that sends this and then closes."""

    def script(peer: RawPeer) -> None:
        peer.accept()
        send(peer)
        peer.finish()

    with RawServer(script) as server:
        log = Log(WebSocket(server.url, **parameters))
        await log.until(E.CLOSE)
    return log


WELL_FORMED: dict[str, tuple[list[tuple[int, bytes, bool]], list[str | bytes]]] = {
    "text": ([(TEXT, b"a", True)], ["a"]),
    "empty": ([(TEXT, b"", True), (BINARY, b"", True)], ["", b""]),
    "binary": ([(BINARY, b"\x00\xff", True)], [b"\x00\xff"]),
    "fragments": ([(TEXT, b"a", False), (CONTINUATION, b"b", False), (CONTINUATION, b"c", True)], ["abc"]),
    "binary fragments": ([(BINARY, b"a", False), (CONTINUATION, b"b", True)], [b"ab"]),
    "empty fragments": ([(TEXT, b"", False), (CONTINUATION, b"", False), (CONTINUATION, b"", True)], [""]),
    "a character cut in two": ([(TEXT, "ä".encode()[:1], False), (CONTINUATION, "ä".encode()[1:], True)], ["ä"]),
    "ping inside a message": ([(TEXT, b"a", False), (PING, b"p", True), (CONTINUATION, b"b", True)], ["ab"]),
    "unasked pong": ([(PONG, b"whatever", True), (TEXT, b"a", True)], ["a"]),
}


@pytest.mark.parametrize("name", WELL_FORMED)
async def test_well_formed(name: str) -> None:
    sent, received = WELL_FORMED[name]
    log = await receive(
        lambda peer: peer.write(b"".join(frames.build(opcode, data, fin=fin) for opcode, data, fin in sent))
    )
    assert log.messages == received
    assert log.names[-1] == "CLOSE"
    assert log.events[-1].wasClean
    assert not log.of(E.ERROR)


async def test_bytes_that_arrive_one_at_a_time() -> None:
    def dribble(peer: RawPeer) -> None:
        for byte in frames.build(TEXT, b"slowly") + frames.build(BINARY, bytes(200)):
            peer.write(bytes([byte]))

    assert (await receive(dribble)).messages == ["slowly", bytes(200)]


async def test_frames_that_come_with_the_handshake_response() -> None:
    def script(peer: RawPeer) -> None:
        write = peer.write
        held: list[bytes] = []
        peer.write = held.append  # type: ignore[assignment]
        peer.accept()
        peer.text("early")
        peer.write = write  # type: ignore[method-assign]
        peer.write(b"".join(held))
        peer.finish()

    with RawServer(script) as server:
        log = Log(WebSocket(server.url))
        await log.until(E.CLOSE)
    assert log.messages == ["early"]


BROKEN: dict[str, tuple[bytes, int]] = {
    "masked by a server": (frames.build(TEXT, b"a", mask=True), 1002),
    "reserved bit": (frames.build(TEXT, b"a", reserved=0b001), 1002),
    "reserved opcode": (frames.build(0x3, b"a"), 1002),
    "reserved control opcode": (frames.build(0xB, b"a"), 1002),
    "lone continuation": (frames.build(CONTINUATION, b"a"), 1002),
    "message inside a message": (frames.build(TEXT, b"a", fin=False) + frames.build(TEXT, b"b"), 1002),
    "fragmented ping": (frames.build(PING, b"a", fin=False), 1002),
    "long ping": (frames.build(PING, bytes(126)), 1002),
    "text that is not UTF-8": (frames.build(TEXT, b"\xff\xfe"), 1007),
    "text with a surrogate": (frames.build(TEXT, b"\xed\xa0\x80"), 1007),
    "text cut off inside a character": (frames.build(TEXT, b"\xc3"), 1007),
    "length of 2**63": (struct.pack(">BBQ", 0x82, 127, 2**63), 1002),
    "length of 2**62": (struct.pack(">BBQ", 0x82, 127, 2**62), 1009),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken(name: str) -> None:
    sent, code = BROKEN[name]
    seen: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.write(sent)
        seen.append(peer.until(frames.CLOSE).close[0])
        peer.wait_eof()

    with RawServer(script) as server:
        log = Log(WebSocket(server.url))
        await log.until(E.CLOSE)
    assert seen == [code]
    assert log.names == ["CREATED", "OPEN", "ERROR", "CLOSE"]
    error = log.of(E.ERROR)[0].error
    assert isinstance(error, voxwire.ProtocolError)
    assert error.close_code == code
    assert str(error)
    assert log.events[-1].code == 1006


async def test_a_client_must_mask() -> None:
    engine = Engine()
    logs: list[Log] = []
    engine.addEventListener(AppEvents.WebSocket, lambda event: logs.append(Log(event.websocket)))
    async with engine.allowWebSocketConnections() as server:

        def talk() -> int:
            client = RawClient(server.url).open()
            client.masks = False
            client.text("unmasked")
            code = client.until(frames.CLOSE).close[0]
            client.hang_up()
            return code

        assert await asyncio.to_thread(talk) == 1002
        await logs[0].until(E.CLOSE)


async def test_our_frames_are_masked_and_the_servers_are_not() -> None:
    seen: list[frames.Frame] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        seen.append(peer.frame())
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws:
            ws.send("hello")
    assert (seen[0].masked, seen[0].payload, seen[0].fin) == (True, b"hello", True)

    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, lambda event: event.websocket.addEventListener(E.OPEN, greet))

    def greet(event: voxwire.OpenEvent) -> None:
        event.websocket.send("hello")

    async with engine.allowWebSocketConnections() as listener:

        def talk() -> frames.Frame:
            client = RawClient(listener.url).open()
            frame = client.frame()
            client.finish()
            return frame

        frame = await asyncio.to_thread(talk)
    assert (frame.masked, frame.payload) == (False, b"hello")


@pytest.mark.parametrize("payload", [b"", b"x", bytes(125)])
async def test_pings_are_answered(payload: bytes) -> None:
    def ask(peer: RawPeer) -> None:
        peer.send(PING, payload)
        assert peer.until(PONG).payload == payload

    assert (await receive(ask)).names == ["CREATED", "OPEN", "CLOSE"]


@pytest.mark.parametrize("payload", [None, b"", b"mine", bytes(125)])
async def test_ping(payload: bytes | None) -> None:
    async with pair() as (ours, theirs):
        assert 0 < await ours.ping(payload) < 5
        assert 0 < await theirs.ping(payload) < 5
        latencies = await asyncio.gather(*(ours.ping() for _ in range(5)))
        assert len(latencies) == 5


async def test_a_later_pong_answers_earlier_pings() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(PING)
        second = peer.until(PING)
        peer.send(PONG, second.payload)
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws:
            await asyncio.gather(ws.ping(b"1"), ws.ping(b"2"))


async def test_ping_refuses() -> None:
    async with pair() as (ws, _):
        with pytest.raises(voxwire.InvalidParameter, match="125"):
            await ws.ping(bytes(126))
    with pytest.raises(voxwire.ConnectionClosed):
        await ws.ping()
    ws = WebSocket("ws://127.0.0.1:9/")
    with pytest.raises(voxwire.InvalidState, match="connecting"):
        await ws.ping()
    await ws.wait_closed()


async def test_ping_when_the_connection_ends() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(PING)
        peer.hang_up()

    with RawServer(script) as server:
        ws = WebSocket(server.url)
        await ws.wait_open()
        with pytest.raises(voxwire.ConnectionClosed) as caught:
            await ws.ping()
        assert caught.value.code == 1006


# Limits


@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
@pytest.mark.parametrize("pieces", [1, 4])
async def test_max_message_size(size: int, fits: bool, pieces: int) -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        payload, step = bytes(size), -(-size // pieces)
        parts = [payload[at : at + step] for at in range(0, size, step)]
        for index, part in enumerate(parts):
            peer.send(CONTINUATION if index else BINARY, part, fin=index == len(parts) - 1)
        if fits:
            peer.finish()
        else:
            assert peer.until(frames.CLOSE).close[0] == 1009
            peer.wait_eof()

    with RawServer(script) as server:
        log = Log(WebSocket(server.url, max_message_size=1000))
        await log.until(E.CLOSE)
    if fits:
        assert log.messages == [bytes(size)]
    else:
        error = log.of(E.ERROR)[0].error
        assert isinstance(error, voxwire.MessageTooBig)
        assert error.close_code == 1009
        assert "1000" in str(error)


@pytest.mark.parametrize(("count", "fits"), [(10, True), (11, False)])
async def test_max_fragments(count: int, fits: bool) -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        for index in range(count):
            peer.send(CONTINUATION if index else TEXT, b"", fin=index == count - 1)
        if fits:
            peer.finish()
        else:
            assert peer.until(frames.CLOSE).close[0] == 1009
            peer.wait_eof()

    with RawServer(script) as server:
        log = Log(WebSocket(server.url, max_fragments=10))
        await log.until(E.CLOSE)
    assert len(log.messages) == (1 if fits else 0)
    assert [type(event.error) for event in log.of(E.ERROR)] == ([] if fits else [voxwire.MessageTooBig])


async def test_a_20_mib_message_is_too_big_by_default() -> None:
    seen: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        with contextlib.suppress(OSError):  # it need not take all of it
            peer.send(BINARY, bytes(20 * 1024 * 1024))
        seen.append(peer.until(frames.CLOSE).close[0])
        peer.wait_eof()

    with RawServer(script) as server:
        log = Log(WebSocket(server.url))
        close = await log.until(E.CLOSE)
    assert seen == [1009]
    assert log.names == ["CREATED", "OPEN", "ERROR", "CLOSE"]
    assert isinstance(log.of(E.ERROR)[0].error, voxwire.MessageTooBig)
    assert "16777216" in str(log.of(E.ERROR)[0].error)
    assert close.code == 1006
