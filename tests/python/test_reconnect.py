"""`reconnect`: a WebSocket that goes back to connecting when its connection is lost, and what stays as it was."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from support import frames
from support.log import Log
from support.pair import serving
from support.raw import RawPeer, RawServer
from websockets.asyncio.server import ServerConnection, serve

import voxwire
from voxwire import Backoff, ConnectionLoss, WebSocket
from voxwire import WebSocketEvents as E

Script = Callable[[RawPeer], object]
FAST = Backoff(initial=0.01, maximum=0.05, jitter=0.0)


def stages(*scripts: Script) -> Script:
    """The first connection gets the first script, and so on; the last script takes all that follow."""
    left = list(scripts)
    return lambda peer: (left.pop(0) if len(left) > 1 else left[0])(peer)


def echo(peer: RawPeer) -> None:
    peer.accept()
    while (frame := peer.frame()).opcode != frames.CLOSE:
        if frame.opcode == frames.PING:
            peer.send(frames.PONG, frame.payload)
        else:
            peer.send(frame.opcode, frame.payload)
    peer.send(frames.CLOSE, frame.payload)
    peer.hang_up()


def hangs_up(peer: RawPeer) -> None:
    peer.read_head()
    peer.hang_up()


def answers(status: str, *headers: str) -> Script:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write("\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *headers, "", ""]).encode())
        peer.hang_up()

    return script


def opens_and_closes(code: int | None, reason: str = "") -> Script:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.finish(code, reason)

    return script


def opens_and_breaks(peer: RawPeer) -> None:
    peer.accept()
    peer.reset()


def breaks_after(opcode: int) -> Script:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(opcode)
        peer.reset()

    return script


def one_message_each(*texts: str, then: Script) -> Script:
    """A connection for each text: it is sent, then the connection breaks."""

    def tell(text: str) -> Script:
        def script(peer: RawPeer) -> None:
            peer.accept()
            peer.text(text)
            peer.hang_up()

        return script

    return stages(*map(tell, texts), then)


async def test_a_connection_that_breaks_comes_back() -> None:
    with RawServer(stages(opens_and_breaks, echo)) as server:
        ws = WebSocket(server.url, reconnect=FAST)
        log = Log(ws)
        await log.until(E.OPEN, 2)
        ws.send("hello")
        assert await asyncio.wait_for(log.until(E.MESSAGE), 5)
        assert ws.statistics().reconnects == 1
        ws.close(1000)
        closed = await ws.wait_closed()
    assert log.names == ["CREATED", "OPEN", "RECONNECTING", "OPEN", "MESSAGE", "CLOSE"]
    assert log.states == ["connecting", "open", "connecting", "open", "open", "closed"]
    assert (closed.code, closed.wasClean) == (1000, True)
    lost = log.of(E.RECONNECTING)[0]
    assert (lost.attempt, lost.delay, lost.code, lost.reason, lost.wasClean) == (1, 0.01, 1006, "", False)
    assert lost.error is None or isinstance(lost.error, voxwire.TransportError)
    assert [event.attempt for event in log.of(E.OPEN)] == [0, 1]
    assert "attempt" not in log.of(E.OPEN)[0].fields
    assert log.of(E.OPEN)[1].fields["attempt"] == 1


async def test_attempts_that_fail_count_on() -> None:
    script = stages(hangs_up, answers("503 Busy", "Retry-After: 0"), opens_and_closes(1012, "restarting"), echo)
    losses: list[ConnectionLoss] = []

    def policy(loss: ConnectionLoss) -> float:
        losses.append(loss)
        return 0.01

    with RawServer(script) as server:
        ws = WebSocket(server.url, reconnect=policy)
        log = Log(ws)
        await log.until(E.OPEN, 2)
        ws.send("x")
        await log.until(E.MESSAGE)
        ws.close()
        await ws.wait_closed()
    assert [(loss.attempt, loss.was_open, loss.status, loss.retry_after, loss.code) for loss in losses] == [
        (1, False, None, None, 1006),
        (2, False, 503, 0.0, 1006),
        (3, True, None, None, 1012),
    ]
    assert isinstance(losses[0].error, voxwire.HandshakeError)
    assert losses[0].error.errno == 104  # which tells a peer that went away from one that gave a wrong answer
    assert (losses[2].reason, losses[2].was_clean, losses[2].error) == ("restarting", True, None)
    assert 0 == losses[0].elapsed < losses[1].elapsed < losses[2].elapsed


async def test_a_server_that_is_not_there_yet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def greet(peer: ServerConnection) -> None:
        await peer.send("welcome")
        await peer.wait_closed()

    ws = WebSocket(f"ws://127.0.0.1:{port}/", reconnect=FAST)
    log = Log(ws, without=(E.MESSAGE,))
    third = await log.until(E.RECONNECTING, 3)
    assert third.attempt == 3
    assert isinstance(third.error, voxwire.ConnectError)
    async with serve(greet, "127.0.0.1", port):
        await ws.wait_open()
        assert await ws.recv() == "welcome"
    # The server has gone (1001), and comes back.
    waiting = asyncio.create_task(ws.recv())
    await log.wait(lambda: any(event.code == 1001 for event in log.of(E.RECONNECTING)))
    async with serve(greet, "127.0.0.1", port):
        assert await waiting == "welcome"
        ws.close(1000)
        await ws.wait_closed()
    assert log.of(E.ERROR) == []
    assert len(log.of(E.CLOSE)) == 1


async def test_retry_after_is_honoured() -> None:
    with RawServer(stages(answers("429 Slow down", "Retry-After: 1"), echo)) as server:
        ws = WebSocket(server.url, reconnect=FAST)
        log = Log(ws)
        await ws.wait_open()
        lost = log.of(E.RECONNECTING)[0]
        assert lost.delay == 1.01
        assert lost.error.status == 429
        assert log.time_of(E.OPEN) - log.time_of(E.RECONNECTING) >= 1.0
        ws.close()
        await ws.wait_closed()


async def test_a_server_that_accepts_and_closes_at_once_is_not_hammered() -> None:
    with RawServer(opens_and_closes(1011, "overloaded")) as server:
        ws = WebSocket(server.url, reconnect=Backoff(initial=0.01, factor=2, jitter=0, attempts=4))
        log = Log(ws)
        closed = await ws.wait_closed()
    assert log.names == ["CREATED", *["OPEN", "RECONNECTING"] * 4, "OPEN", "CLOSE"]
    assert [event.delay for event in log.of(E.RECONNECTING)] == [0.01, 0.02, 0.04, 0.08]
    assert (closed.code, closed.reason, closed.wasClean) == (1011, "overloaded", True)
    assert ws.statistics().reconnects == 4


@pytest.mark.parametrize(
    ("script", "code", "error"),
    [
        (answers("401 Who are you"), 1006, voxwire.HandshakeError),
        (answers("302 There", "Location: http://[bad"), 1006, voxwire.RedirectError),
        (lambda peer: (peer.read_head(), peer.write(b"SSH-2.0\r\n\r\n"), peer.hang_up()), 1006, voxwire.HandshakeError),
        (opens_and_closes(1000, "done"), 1000, None),
        (opens_and_closes(1008, "banned"), 1008, None),
        (opens_and_closes(4003, "no"), 4003, None),
        (lambda peer: (peer.accept(), peer.send(3, b""), peer.wait_eof()), 1006, voxwire.ProtocolError),
    ],
    ids=["401", "redirect", "no HTTP", "1000", "1008", "4003", "protocol"],
)
async def test_what_stays_wrong_ends_it_at_once(script: Script, code: int, error: type[Exception] | None) -> None:
    with RawServer(script) as server:
        ws = WebSocket(server.url, reconnect=True)
        log = Log(ws)
        closed = await ws.wait_closed()
    assert E.RECONNECTING.name not in log.names
    assert [type(event.error) for event in log.of(E.ERROR)] == ([] if error is None else [error])
    assert log.names[-1] == "CLOSE"
    assert closed.code == code
    if error is not None:
        assert log.states[-2:] == ["closed", "closed"]
        with pytest.raises(error):
            await ws.wait_open()


async def test_a_certificate_that_nobody_trusts_ends_it_at_once(certificates: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates.authority.issue_cert("localhost").configure_cert(context)
    with RawServer(echo, context) as server:
        ws = WebSocket(server.url, reconnect=True)
        log = Log(ws)
        await ws.wait_closed()
    assert log.names == ["CREATED", "ERROR", "CLOSE"]
    assert type(log.of(E.ERROR)[0].error) is voxwire.TLSError


async def test_a_server_that_goes_away_during_tls_is_tried_again() -> None:
    def gone(peer: RawPeer) -> None:
        peer.sock.recv(1)
        peer.hang_up()

    with RawServer(gone) as server:
        ws = WebSocket(server.url.replace("ws:", "wss:"), reconnect=Backoff(initial=0.01, attempts=2))
        log = Log(ws)
        await ws.wait_closed()
    assert log.names == ["CREATED", "RECONNECTING", "RECONNECTING", "ERROR", "CLOSE"]
    assert type(log.of(E.ERROR)[0].error) is voxwire.TLSError


async def test_messages_keep_their_order_and_recv_waits_across() -> None:
    with RawServer(one_message_each("one", "two", "three", then=opens_and_closes(1000))) as server:
        async with WebSocket(server.url, reconnect=FAST) as ws:
            assert [message async for message in ws] == ["one", "two", "three"]


async def test_nothing_is_sent_while_it_is_connecting() -> None:
    with RawServer(opens_and_breaks) as server:
        ws = WebSocket(server.url, reconnect=lambda _loss: 60)
        log = Log(ws)
        await log.until(E.RECONNECTING)
        with pytest.raises(voxwire.InvalidState, match="connecting"):
            ws.send("x")
        with pytest.raises(voxwire.InvalidState):
            await ws.drain()
        with pytest.raises(voxwire.InvalidState):
            await ws.ping()
        assert (ws.protocol, ws.readyState) == ("", "connecting")
        ws.close()
        await ws.wait_closed()


async def test_who_waits_for_the_lost_connection_hears_of_it() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.until(frames.PING)  # and reads nothing after it
        go.wait(10)
        peer.reset()

    import threading

    go = threading.Event()
    with RawServer(stages(script, echo)) as server:
        ws = WebSocket(server.url, reconnect=FAST, max_message_size=1)
        log = Log(ws, without=(E.MESSAGE,))
        await ws.wait_open()
        ping = asyncio.ensure_future(ws.ping())
        await asyncio.sleep(0)
        ws.send(bytes(8_000_000))
        drain = asyncio.ensure_future(ws.drain())
        await asyncio.sleep(0.05)
        assert not drain.done()
        go.set()
        await log.until(E.RECONNECTING)
        assert ws.bufferedAmount > 0  # what was lost
        for waiting in (ping, drain):
            with pytest.raises(voxwire.ConnectionClosed, match="was lost, code 1006") as caught:
                await waiting
            assert (caught.value.code, caught.value.wasClean) == (1006, False)
        await log.until(E.OPEN, 2)
        assert ws.bufferedAmount == 0
        assert await ws.ping() >= 0
        await ws.drain()
        ws.close()
        await ws.wait_closed()


async def test_close_while_it_waits_ends_it_at_once() -> None:
    with RawServer(opens_and_breaks) as server:
        ws = WebSocket(server.url, reconnect=lambda _loss: 3600)
        log = Log(ws, without=(E.MESSAGE,))
        receiving = asyncio.create_task(ws.recv())
        await log.until(E.RECONNECTING)
        ws.close(1000, "bye")
        assert ws.readyState == "closing"
        assert "CLOSE" not in log.names  # never inside of close()
        closed = await ws.wait_closed()
        with pytest.raises(voxwire.ConnectionClosed):
            await receiving
        ws.close()
        ws.send("swallowed")
    assert log.names == ["CREATED", "OPEN", "RECONNECTING", "ERROR", "CLOSE"]
    assert log.states[-2:] == ["closed", "closed"]
    assert (closed.code, closed.reason, closed.wasClean) == (1006, "", False)
    error = log.of(E.ERROR)[0].error
    assert isinstance(error, voxwire.ConnectError)
    assert "while it waited to reconnect" in str(error)
    assert error.__cause__ is log.of(E.RECONNECTING)[0].error


async def close_before_it_began(ws: WebSocket, _log: Log) -> None:
    ws.close()


async def close_while_connecting(ws: WebSocket, log: Log) -> None:
    await log.until(E.CREATED)
    ws.close()


async def close_in_the_handler(ws: WebSocket, log: Log) -> None:
    ws.onreconnecting = lambda _event: ws.close()
    await log.until(E.RECONNECTING)


async def close_while_connecting_again(ws: WebSocket, log: Log) -> None:
    await log.until(E.RECONNECTING, 2)
    await asyncio.sleep(0.03)  # the attempt has begun
    assert ws.readyState == "connecting"
    ws.close()


async def close_when_open_again(ws: WebSocket, log: Log) -> None:
    await log.until(E.OPEN, 2)
    ws.close(1000)


@pytest.mark.parametrize(
    ("stage", "scripts", "names", "code"),
    [
        (close_before_it_began, [lambda peer: peer.wait_eof()], ["CREATED", "ERROR", "CLOSE"], 1006),
        (close_while_connecting, [lambda peer: peer.wait_eof()], ["CREATED", "ERROR", "CLOSE"], 1006),
        (close_in_the_handler, [hangs_up], ["CREATED", "RECONNECTING", "ERROR", "CLOSE"], 1006),
        (
            close_while_connecting_again,
            [opens_and_breaks, hangs_up, lambda peer: peer.wait_eof()],
            ["CREATED", "OPEN", "RECONNECTING", "RECONNECTING", "ERROR", "CLOSE"],
            1006,
        ),
        (close_when_open_again, [opens_and_breaks, echo], ["CREATED", "OPEN", "RECONNECTING", "OPEN", "CLOSE"], 1000),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_close_at_every_stage(
    stage: Callable[[WebSocket, Log], Coroutine[Any, Any, None]], scripts: list[Script], names: list[str], code: int
) -> None:
    with RawServer(stages(*scripts)) as server:
        ws = WebSocket(server.url, reconnect=FAST)
        log = Log(ws)
        await stage(ws, log)
        closed = await ws.wait_closed()
        server.hang_up()
        await asyncio.sleep(0.1)  # nothing comes after CLOSE
    assert log.names == names
    assert closed.code == code


async def test_a_close_that_crosses_the_loss_is_the_end() -> None:
    with RawServer(breaks_after(frames.CLOSE)) as server:
        ws = WebSocket(server.url, reconnect=FAST)
        log = Log(ws)
        await ws.wait_open()
        ws.close(1000)
        closed = await ws.wait_closed()
    assert E.RECONNECTING.name not in log.names
    assert closed.code == 1006


async def test_leaving_the_block_closes_it_while_it_waits() -> None:
    with RawServer(breaks_after(frames.TEXT)) as server:
        async with WebSocket(server.url, reconnect=lambda _loss: 3600) as ws:
            log = Log(ws)
            ws.send("break")
            await log.until(E.RECONNECTING)
        assert ws.readyState == "closed"


async def test_entering_the_block_waits_for_the_first_success_and_can_be_cancelled() -> None:
    with RawServer(stages(hangs_up, hangs_up, echo)) as server:
        async with WebSocket(server.url, reconnect=FAST) as ws:
            assert ws.readyState == "open"
    with RawServer(hangs_up) as server:
        ws = WebSocket(server.url, reconnect=lambda _loss: 3600)
        log = Log(ws)

        async def enter() -> None:
            async with ws:
                raise AssertionError

        task = asyncio.create_task(enter())
        await log.until(E.RECONNECTING)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ws.wait_closed()
        with RawServer(hangs_up) as other:
            with pytest.raises(voxwire.HandshakeError):
                async with WebSocket(other.url, reconnect=Backoff(initial=0, attempts=1)):
                    raise AssertionError


async def test_a_policy_that_raises_is_the_end() -> None:
    def policy(_loss: ConnectionLoss) -> float:
        raise LookupError("no idea")

    for broken, expected in ((policy, LookupError), (lambda _loss: "soon", voxwire.InvalidParameter)):
        with RawServer(opens_and_closes(1012)) as server:
            ws = WebSocket(server.url, reconnect=broken)  # type: ignore[arg-type]
            log = Log(ws)
            closed = await ws.wait_closed()
        assert log.names == ["CREATED", "OPEN", "ERROR", "CLOSE"]
        assert type(log.of(E.ERROR)[0].error) is expected
        assert closed.code == 1012


async def test_a_policy_may_close() -> None:
    def policy(_loss: ConnectionLoss) -> float:
        ws.close()
        return 0.0

    with RawServer(opens_and_closes(1012)) as server:
        ws = WebSocket(server.url, reconnect=policy)
        log = Log(ws)
        assert (await ws.wait_closed()).code == 1012
        await asyncio.sleep(0.05)
    assert log.names == ["CREATED", "OPEN", "CLOSE"]


async def test_the_counters_go_on(tmp_path: Any) -> None:
    with RawServer(one_message_each("four", "five!", then=echo)) as server:
        async with WebSocket(server.url, reconnect=FAST, statistics=tmp_path) as ws:
            assert [await ws.recv() for _ in range(2)] == ["four", "five!"]
            await ws.wait_open()
            log = Log(ws, without=(E.MESSAGE,))
            while ws.readyState != "open" or ws.statistics().reconnects < 2:
                await log.until(E.OPEN, len(log.of(E.OPEN)) + 1)
            ws.send("six")
            assert await ws.recv() == "six"
            statistics = ws.statistics()
    assert (statistics.messages_received, statistics.bytes_received) == (3, 12)
    assert (statistics.messages_sent, statistics.reconnects, statistics.unhandled_bytes) == (1, 2, 0)
    assert '"reconnects": 2' in next(tmp_path.iterdir()).read_text()


async def test_what_waits_for_recv_counts_on_the_next_connection() -> None:
    """However often the connection is lost, no more than `receive_buffer` waits."""
    size = 1000

    def burst(peer: RawPeer) -> None:
        peer.accept()
        try:
            for _ in range(20):
                peer.send(frames.BINARY, bytes(size))
            peer.finish(1012)
        except (OSError, EOFError):
            pass

    with RawServer(burst) as server:
        ws = WebSocket(server.url, reconnect=FAST, receive_buffer=30 * size, ping_interval=None)
        log = Log(ws, without=(E.MESSAGE,))
        await log.until(E.OPEN, 2)
        await log.wait(lambda: True)
        while ws.statistics().unhandled_bytes <= 30 * size:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        assert len(log.of(E.OPEN)) == 2  # it does not read on, and so does not see the close
        for _ in range(60):
            assert await ws.recv() == bytes(size)
        assert len(log.of(E.OPEN)) >= 3
        ws.close()
        ws.onreconnecting = None
        await ws.wait_closed()


async def test_async_handlers_that_outlive_a_connection_are_counted_once() -> None:
    release = asyncio.Event()
    seen: list[str] = []

    async def slow(event: Any) -> None:
        await release.wait()
        seen.append(event.text)

    with RawServer(one_message_each("a" * 1000, "b" * 1000, then=echo)) as server:
        ws = WebSocket(server.url, reconnect=FAST)
        ws.onmessage = slow
        log = Log(ws, without=(E.MESSAGE,))
        await log.until(E.OPEN, 3)
        assert ws.statistics().unhandled_bytes == 2 * 1128
        release.set()
        while len(seen) < 2:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ws.statistics().unhandled_bytes == 0
        ws.close()
        await ws.wait_closed()


async def test_a_websocket_nobody_keeps_comes_back() -> None:
    messages: asyncio.Queue[str] = asyncio.Queue()

    def open_one(url: str) -> weakref.ref[WebSocket]:
        ws = WebSocket(url, reconnect=Backoff(initial=0.05, jitter=0))
        ws.onmessage = lambda event: messages.put_nowait(str(event.text))
        return weakref.ref(ws)

    with RawServer(one_message_each("one", "two", then=opens_and_closes(1000))) as server:
        reference = open_one(server.url)
        assert await messages.get() == "one"
        gc.collect()
        assert await messages.get() == "two"
        while (ws := reference()) is not None:
            if ws.readyState == "closed":
                del ws
                await asyncio.sleep(0)
                gc.collect()
                break
            del ws
            await asyncio.sleep(0.01)
        gc.collect()
        assert reference() is None


def test_a_loop_that_ends_while_it_waits(loop_name: str) -> None:
    from conftest import LOOPS

    attempts: list[int] = []

    async def main(url: str) -> None:
        ws = WebSocket(url, reconnect=Backoff(initial=0.05, jitter=0))
        log = Log(ws)
        await log.until(E.RECONNECTING)
        attempts.append(log.of(E.RECONNECTING)[0].attempt)

    with RawServer(hangs_up) as server:
        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.run(main(server.url))
            runner.get_loop().run_until_complete(runner.get_loop().shutdown_asyncgens())
            # Its timer fires in a loop that lets go of its connections: nothing is begun any more.
            runner.get_loop().run_until_complete(asyncio.sleep(0.1))
        gc.collect()
        assert len(server.peers) == 1
    assert attempts == [1]


async def test_where_reconnect_makes_no_sense() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(voxwire.InvalidParameter, match="sock") as caught:
            WebSocket("ws://localhost/", sock=ours, reconnect=True)
        assert caught.value.field == "reconnect"

    async def asynchronous(_loss: ConnectionLoss) -> float:
        return 1.0

    for value in (None, 5, "yes", Backoff, asynchronous):
        with pytest.raises(voxwire.InvalidParameter) as caught:
            WebSocket("ws://localhost/", reconnect=value)  # type: ignore[arg-type]
        assert caught.value.field == "reconnect"
    with pytest.raises(voxwire.InvalidParameter, match="outgoing"):
        async with serving(lambda _ws: None, parameters={"reconnect": True}):
            raise AssertionError
