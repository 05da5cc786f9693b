"""The four states, and the order of what happens when a connection fails or ends (as browsers do it)."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from support.log import Log
from support.pair import pair
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import WebSocket, WebSocketReadyState
from voxwire import WebSocketEvents as E


async def test_state_at_each_event() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text("x")
        peer.answer_close()

    with RawServer(script) as server:
        ws = WebSocket(server.url)
        assert str(ws.readyState) == "connecting"
        log = Log(ws)
        await log.until(E.MESSAGE)
        ws.close()
        assert str(ws.readyState) == "closing"
        await log.until(E.CLOSE)
        assert ws.readyState is WebSocketReadyState.CLOSED
    assert list(zip(log.names, log.states, strict=True)) == [
        ("CREATED", "connecting"),
        ("OPEN", "open"),
        ("MESSAGE", "open"),
        ("CLOSE", "closed"),
    ]


async def ends(script: Callable[[RawPeer], object]) -> Log:
    opened = threading.Event()

    def whole(peer: RawPeer) -> None:
        peer.accept()
        assert opened.wait(10)
        script(peer)

    with RawServer(whole) as server:
        ws = WebSocket(server.url)
        log = Log(ws)
        ws.onopen = lambda _event: opened.set()
        await log.until(E.CLOSE)
    return log


async def test_an_error_sets_closed_then_error_then_close_1006() -> None:
    def script(peer: RawPeer) -> None:
        peer.send(0x3, b"a reserved opcode")
        assert peer.until(0x8).close[0] == 1002
        peer.wait_eof()

    log = await ends(script)
    assert list(zip(log.names, log.states, strict=True))[2:] == [("ERROR", "closed"), ("CLOSE", "closed")]
    close = log.events[-1]
    assert (close.code, close.reason, close.wasClean) == (1006, "", False)
    error = log.events[-2].error
    assert isinstance(error, voxwire.ProtocolError)
    assert error.close_code == 1002


async def test_a_plain_end_of_file_is_close_1006_without_an_error() -> None:
    log = await ends(RawPeer.hang_up)
    assert log.names == ["CREATED", "OPEN", "CLOSE"]
    assert (log.events[-1].code, log.events[-1].wasClean) == (1006, False)


async def test_a_reset_is_an_error_and_close_1006() -> None:
    log = await ends(RawPeer.reset)
    assert log.names == ["CREATED", "OPEN", "ERROR", "CLOSE"]
    assert isinstance(log.events[2].error, voxwire.TransportError)
    assert log.events[-1].code == 1006


@pytest.mark.parametrize("when", ["at once", "in CREATED", "while connecting"])
async def test_close_while_connecting(when: str) -> None:
    def silent(peer: RawPeer) -> None:
        peer.wait_eof()

    with RawServer(silent) as server:
        ws = WebSocket(server.url)
        log = Log(ws)
        if when == "at once":
            ws.close()
        elif when == "in CREATED":
            ws.oncreated = lambda _event: ws.close()
        else:
            await asyncio.sleep(0.05)
            assert ws.readyState == "connecting"
            ws.close()
        if when != "in CREATED":
            assert ws.readyState == "closing"
        await log.until(E.CLOSE)
        server.hang_up()
    assert log.names == ["CREATED", "ERROR", "CLOSE"]
    assert log.states[1:] == ["closed", "closed"]
    assert (log.events[-1].code, log.events[-1].wasClean) == (1006, False)
    assert isinstance(log.events[1].error, voxwire.ConnectError)


CLOSES = [
    # what the peer sends, what CLOSE says
    ((1000, "bye"), (1000, "bye", True)),
    ((1001, ""), (1001, "", True)),
    ((None, ""), (1005, "", True)),
    ((1011, "größer"), (1011, "größer", True)),
    ((3000, ""), (3000, "", True)),
    ((4999, "r" * 123), (4999, "r" * 123, True)),
]


@pytest.mark.parametrize(("sent", "said"), CLOSES)
async def test_the_peer_closes(sent: tuple[int | None, str], said: tuple[int, str, bool]) -> None:
    echo: list[tuple[int, str]] = []

    def script(peer: RawPeer) -> None:
        peer.close(*sent)
        echo.append(peer.until(0x8).close)
        peer.hang_up()

    log = await ends(script)
    assert log.names == ["CREATED", "OPEN", "CLOSE"]
    close = log.events[-1]
    assert (close.code, close.reason, close.wasClean) == said
    assert echo[0][0] == said[0]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        (b"\x03\xe7", 1002),  # 999
        (b"\x03\xed", 1002),  # 1005
        (b"\x03\xee", 1002),  # 1006
        (b"\x03\xf7", 1002),  # 1015
        (b"\x13\x88", 1002),  # 5000
        (b"\x03\xe8\xff", 1007),  # a reason that is not UTF-8
    ],
)
async def test_a_bad_close_frame_is_a_protocol_error(payload: bytes, code: int) -> None:
    answer: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.send(0x8, payload)
        answer.append(peer.until(0x8).close[0])
        peer.wait_eof()

    log = await ends(script)
    assert log.names[-2:] == ["ERROR", "CLOSE"]
    assert log.events[-1].code == 1006
    assert answer == [code]


async def test_wait_open_and_wait_closed_after_the_fact() -> None:
    async with pair() as (ws, _):
        await ws.wait_open()
    event = await ws.wait_closed()
    assert (event.code, event.wasClean) == (1000, True)
    assert (await ws.wait_closed()) is event
    with pytest.raises(voxwire.ConnectionClosed) as caught:
        await ws.wait_open()
    assert (caught.value.code, caught.value.wasClean) == (1000, True)
