"""Messages without handlers: recv, iteration, cancelling, back-pressure; and the change to handlers."""

import asyncio
import contextlib
import ssl
import threading
from typing import Any, cast

import pytest
from support import frames
from support.pair import pair
from support.raw import RawPeer, RawServer
from support.tls import Certificates

import voxwire
from voxwire import ConnectionClosed, WebSocket, WebSocketParameters
from voxwire import WebSocketEvents as E


async def test_recv_gets_what_came_before_it() -> None:
    async with pair() as (ours, theirs):
        theirs.send("one")
        theirs.send(b"two")
        await theirs.drain()
        await asyncio.sleep(0.05)
        assert [await ours.recv(), await ours.recv()] == ["one", b"two"]


ENDS = [
    # the peer's close, does iteration end quietly
    ((1000, ""), True),
    ((1001, ""), True),
    ((None, ""), True),
    ((1011, "boom"), False),
    ((3000, ""), False),
]


@pytest.mark.parametrize(("close", "quiet"), ENDS)
async def test_iteration(close: tuple[int | None, str], quiet: bool) -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        for text in "abc":
            peer.text(text)
        peer.finish(*close)

    received: list[Any] = []
    with RawServer(script) as server:
        ws = WebSocket(server.url)
        try:
            async for message in ws:
                received.append(message)
        except voxwire.ConnectionClosed as error:
            assert not quiet
            assert (error.code, error.reason, error.wasClean) == (close[0], close[1], True)
        else:
            assert quiet
    assert received == ["a", "b", "c"]


async def test_recv_after_the_close_first_gives_what_is_queued() -> None:
    async with pair() as (ours, theirs):
        theirs.send("queued")
        theirs.close(1000, "bye")
        await ours.wait_closed()
        assert await ours.recv() == "queued"
        with pytest.raises(voxwire.ConnectionClosed, match=r"1000.*bye"):
            await ours.recv()
        with pytest.raises(voxwire.ConnectionClosed):
            await ours.recv()


async def test_recv_says_what_ended_the_connection() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.write(b"\xff\xff")
        peer.wait_eof()

    with RawServer(script) as server:
        ws = WebSocket(server.url)
        with pytest.raises(voxwire.ConnectionClosed) as caught:
            await ws.recv()
    assert caught.value.code == 1006
    assert isinstance(caught.value.__cause__, voxwire.ProtocolError)


async def test_recv_with_a_message_handler() -> None:
    async with pair() as (ours, _):
        ours.onmessage = lambda _event: None
        with pytest.raises(voxwire.InvalidState, match="MESSAGE handlers"):
            await ours.recv()
        ours.onmessage = None
        waiting = asyncio.ensure_future(ours.recv())
        await asyncio.sleep(0)
        ours.addEventListener(E.MESSAGE, print)
        with pytest.raises(voxwire.InvalidState, match="MESSAGE handlers"):
            await waiting


async def test_two_recv_at_once() -> None:
    async with pair() as (ours, theirs):
        first = asyncio.ensure_future(ours.recv())
        await asyncio.sleep(0)
        with pytest.raises(voxwire.InvalidState, match="already"):
            await ours.recv()
        theirs.send("for the first")
        assert await first == "for the first"


async def test_a_cancelled_recv_loses_nothing() -> None:
    async with pair() as (ours, theirs):
        received: list[str | bytes] = []

        async def sender() -> None:
            for number in range(300):
                theirs.send(str(number))
                await asyncio.sleep(0)

        sending = asyncio.ensure_future(sender())
        attempt = 0
        while len(received) < 300:
            attempt += 1
            receiving = asyncio.ensure_future(ours.recv())
            for _ in range(attempt % 4):
                await asyncio.sleep(0)
            receiving.cancel()
            try:
                received.append(await receiving)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
        await sending
        assert received == [str(number) for number in range(300)]


@pytest.mark.parametrize("kind", ["on", "listener", "async"])
async def test_a_handler_gets_what_waited_before_newer_messages(kind: str) -> None:
    async with pair() as (ours, theirs):
        for number in range(10):
            theirs.send(str(number))
        await theirs.drain()
        await asyncio.sleep(0.05)
        seen: list[str] = []
        done = asyncio.Event()

        def take(event: voxwire.MessageEvent) -> None:
            seen.append(str(event.text))
            if len(seen) == 20:
                done.set()

        async def take_async(event: voxwire.MessageEvent) -> None:
            take(event)

        if kind == "on":
            ours.onmessage = take
        else:
            ours.addEventListener(E.MESSAGE, take if kind == "listener" else take_async)
        assert not seen
        for number in range(10, 20):
            theirs.send(str(number))
        await done.wait()
        assert seen == [str(number) for number in range(20)]


async def test_a_queue_that_nobody_reads_stops_the_sender() -> None:
    """Memory stays bounded: beyond the receive buffer (and the sockets' own) the peer cannot send."""
    sent = 0
    stop = threading.Event()

    def flood(peer: RawPeer) -> None:
        nonlocal sent
        peer.accept()
        peer.sock.settimeout(0.2)
        while not stop.is_set() and sent < 200_000_000:
            try:
                peer.write(b"\x82\x7e\xea\x60" + bytes(60000))
                sent += 60000
            except TimeoutError:
                return

    with RawServer(flood) as server:
        ws = WebSocket(server.url, receive_buffer=500_000)
        await ws.wait_open()
        await asyncio.sleep(1)
        stop.set()
    assert 500_000 <= sent < 40_000_000
    held = ws._inbox.held
    assert 500_000 <= held < 3_000_000


async def test_closing_with_a_full_queue_still_says_goodbye() -> None:
    codes: list[int] = []

    def flood(peer: RawPeer) -> None:
        peer.accept()
        for _ in range(50):
            peer.text("x" * 50_000)
        codes.append(peer.answer_close()[0])

    with RawServer(flood) as server:
        async with WebSocket(server.url, receive_buffer=100_000) as ws:
            await asyncio.sleep(0.2)
        event = await ws.wait_closed()
    assert codes == [1000]
    assert (event.code, event.wasClean) == (1000, True)
    assert await ws.recv() == "x" * 50_000


async def test_async_handlers_bound_what_is_read() -> None:
    """A slow `async def` handler: no more messages are under way than the receive buffer holds."""

    def flood(peer: RawPeer) -> None:
        peer.accept()
        for _ in range(300):
            peer.text("x" * 10_000)
        peer.answer_close()

    under_way = most = handled = 0
    done = asyncio.Event()

    async def slow(_event: object) -> None:
        nonlocal under_way, most, handled
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1
        handled += 1
        if handled == 300:
            done.set()

    with RawServer(flood) as server:
        async with WebSocket(server.url, receive_buffer=100_000) as ws:
            ws.onmessage = slow
            await done.wait()
    assert most < 60  # 10 fit into the buffer; one read may bring some more


async def test_what_came_before_the_end_of_a_tls_stream_is_received(certificates: Certificates) -> None:
    """However full the application is when the end is seen, and without a close frame."""
    paused = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text("x" * 2000)
        paused.wait(15)
        peer.write(b"".join(frames.build(frames.TEXT, str(number).encode()) for number in range(200)))
        peer.sock.settimeout(0.1)
        with contextlib.suppress(OSError):
            cast("ssl.SSLSocket", peer.sock).unwrap()  # sends close_notify; the answer is not waited for

    parameters: WebSocketParameters = {"tls": certificates.client_context(), "receive_buffer": 1000, "media": False}
    with RawServer(script, certificates.server_context()) as server:
        ws = WebSocket(server.url, **parameters)
        await ws.wait_open()
        await asyncio.sleep(0.1)
        paused.set()
        await asyncio.sleep(0.3)
        assert await ws.recv() == "x" * 2000
        assert [await ws.recv() for _ in range(200)] == [str(number) for number in range(200)]
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        await ws.wait_closed()
