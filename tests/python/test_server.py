"""Incoming connections: who hears of them, the cap, stopping, bad handshakes."""

import asyncio
import socket
from typing import Any

import pytest
from support import frames
from support.log import Log
from support.pair import serving
from support.raw import RawClient

import voxwire
from voxwire import AppEvents, Engine, VoxEngine, WebSocket
from voxwire import WebSocketEvents as E


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        ws.send(message)


async def test_the_event_of_a_new_connection() -> None:
    engine = Engine()
    events: list[voxwire.NewWebSocketEvent] = []
    states: list[str] = []

    def note(event: voxwire.NewWebSocketEvent) -> None:
        events.append(event)
        states.append(event.websocket.readyState)

    engine.addEventListener(AppEvents.WebSocket, note)
    async with engine.allowWebSocketConnections() as server:
        async with WebSocket(server.url + "a/b?c=d", headers={"X-Caller": "me"}) as ws:
            event = events[0]
            assert event.name is AppEvents.WebSocket
            assert event.path == "/a/b?c=d"
            assert ("x-caller", "me") in [(name.lower(), value) for name, value in event.headers]
            assert event.remoteAddress == ws.local_address
            assert event.websocket.headers == event.headers
            assert event.websocket.url == ws.url
            assert set(event.fields) == {"websocket", "path", "headers", "remoteAddress"}
    assert states == ["connecting"]


async def test_handlers_added_in_the_event_see_everything() -> None:
    log: list[Log] = []
    order: list[str] = []
    engine = Engine()

    def accept(event: voxwire.NewWebSocketEvent) -> None:
        order.append("new")
        log.append(Log(event.websocket))

    engine.addEventListener(AppEvents.WebSocket, accept)
    async with engine.allowWebSocketConnections() as server:

        def talk() -> None:
            client = RawClient(server.url).open()
            client.text("sent with the handshake still warm")
            client.finish(1000, "bye")

        await asyncio.to_thread(talk)
        await log[0].until(E.CLOSE)
    assert log[0].names == ["CREATED", "OPEN", "MESSAGE", "CLOSE"]
    assert log[0].events[-1].reason == "bye"


async def test_an_async_handler() -> None:
    async with serving(echo) as server, WebSocket(server.url) as ws:
        ws.send("x")
        assert await ws.recv() == "x"


async def test_voxengine_names() -> None:
    """As a ported scenario reads."""

    async def on_websocket(event: voxwire.NewWebSocketEvent) -> None:
        await echo(event.websocket)

    VoxEngine.addEventListener(AppEvents.WebSocket, on_websocket)
    try:
        async with VoxEngine.allowWebSocketConnections() as server:
            async with VoxEngine.createWebSocket(server.url, {"protocols": "chat"}) as ws:
                ws.send("x")
                assert await ws.recv() == "x"
    finally:
        VoxEngine.removeEventListener(AppEvents.WebSocket)


async def test_nobody_handles_connections(caplog: pytest.LogCaptureFixture) -> None:
    async with Engine().allowWebSocketConnections() as server:
        ws = WebSocket(server.url)
        event = await ws.wait_closed()
    assert event.code == 1011
    assert "AppEvents.WebSocket" in caplog.text


async def test_a_handler_that_raises(loop_errors: list[dict[str, Any]]) -> None:
    def bad(_ws: WebSocket) -> None:
        raise ZeroDivisionError

    async with serving(bad) as server, WebSocket(server.url) as ws:
        assert ws.readyState == "open"
    assert [type(context["exception"]) for context in loop_errors] == [ZeroDivisionError]
    assert isinstance(loop_errors[0]["engine"], Engine)


async def test_the_cap() -> None:
    engine = Engine()
    failures: list[voxwire.NewWebSocketFailedEvent] = []
    engine.addEventListener(AppEvents.WebSocket, lambda event: echo(event.websocket))
    engine.addEventListener(AppEvents.NewWebSocketFailed, failures.append)
    async with engine.allowWebSocketConnections(max_connections=2) as server:
        async with WebSocket(server.url) as one, WebSocket(server.url):
            assert server.connections == 2
            refused = Log(WebSocket(server.url))
            await refused.until(E.CLOSE)
            error = refused.of(E.ERROR)[0].error
            assert isinstance(error, voxwire.HandshakeError)
            assert error.status == 503
            while not failures:
                await asyncio.sleep(0.001)
            assert len(failures) == 1
            assert "2" in failures[0].reason
            assert failures[0].remoteAddress is not None
            assert failures[0].remoteAddress[0] == "127.0.0.1"
            one.send("still there")
            assert await one.recv() == "still there"
        while server.connections:
            await asyncio.sleep(0.01)
        async with WebSocket(server.url) as again:
            again.send("x")
            assert await again.recv() == "x"


async def test_stopping_closes_with_1001() -> None:
    async with serving(echo) as server:
        ws = WebSocket(server.url)
        await ws.wait_open()
        server.close()
        event = await ws.wait_closed()
        assert (event.code, event.wasClean) == (1001, True)
        await server.wait_closed()
        refused = Log(WebSocket(server.url))
        await refused.until(E.CLOSE)
        assert isinstance(refused.of(E.ERROR)[0].error, voxwire.ConnectError)


async def test_stopping_with_a_peer_that_does_not_answer() -> None:
    async with serving(lambda _ws: None) as server:
        client = await asyncio.to_thread(lambda: RawClient(server.url).open())
        began = asyncio.get_running_loop().time()
        server.close(timeout=0.3)
        try:
            assert (await asyncio.to_thread(client.until, frames.CLOSE)).close[0] == 1001
            await server.wait_closed()
            assert asyncio.get_running_loop().time() - began < 5
            await asyncio.to_thread(client.wait_eof)
        finally:
            client.hang_up()


async def test_a_busy_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match=r"[Aa]ddress|in use"):
            Engine().allowWebSocketConnections(port=taken.getsockname()[1])


REFUSED = [
    ({"max_connections": 0}, voxwire.InvalidParameter, "max_connections"),
    ({"protocols": "not a token"}, voxwire.InvalidParameter, "protocols"),
    ({"tls": "cert.pem"}, voxwire.InvalidParameter, "tls"),
    ({"parameters": {"ping_intervall": 1}}, TypeError, "ping_interval"),
    ({"parameters": {"trace": "/no/such/directory"}}, voxwire.InvalidParameter, "trace"),
    ({"parameters": {"trace": True, "privacy": True}}, voxwire.InvalidParameter, "trace"),
]


@pytest.mark.parametrize(("arguments", "error", "match"), REFUSED)
async def test_bad_parameters(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        Engine().allowWebSocketConnections(**arguments)


PROTOCOLS = [
    # the server's, the client's, chosen
    (("chat",), "chat", "chat"),
    (("a", "b"), ["b", "a"], "ab"),
    (("a",), ["b"], ""),
    ((), "chat", ""),
    (("chat",), [], ""),
]


@pytest.mark.parametrize(("theirs", "ours", "chosen"), PROTOCOLS)
async def test_protocols(theirs: tuple[str, ...], ours: str | list[str], chosen: str) -> None:
    async with serving(echo, protocols=theirs) as server, WebSocket(server.url, protocols=ours) as ws:
        assert ws.protocol == chosen or (len(chosen) == 2 and ws.protocol in chosen)


BAD_REQUESTS = {
    "junk": b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n",
    "no upgrade": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "post": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "no key": b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n",
    "old version": b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
    "too long": b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 200_000 + b"\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
async def test_bad_requests(name: str) -> None:
    new: list[Any] = []
    async with serving(new.append, parameters={"handshake_timeout": 0.5}) as server:

        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
                answer = b""
                try:
                    sock.sendall(BAD_REQUESTS[name])
                    while data := sock.recv(65536):
                        answer += data
                except ConnectionError:
                    pass
                return answer

        answer = await asyncio.to_thread(talk)
        assert b" 101 " not in answer
        assert not new
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        if name == "old version":
            assert b"426" in answer.split(b"\r\n")[0] or b"400" in answer.split(b"\r\n")[0]


async def test_slow_handshakes_do_not_keep_others_out() -> None:
    async with serving(echo, parameters={"handshake_timeout": 1}) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
        async with WebSocket(server.url) as ws:
            ws.send("x")
            assert await ws.recv() == "x"
        for sock in idle:
            sock.close()


async def test_two_servers_with_engines_of_their_own() -> None:
    async def shout(ws: WebSocket) -> None:
        async for message in ws:
            ws.send(str(message).upper())

    async with serving(echo) as one, serving(shout) as two:
        async with WebSocket(one.url) as quiet, WebSocket(two.url) as loud:
            quiet.send("x")
            loud.send("x")
            assert (await quiet.recv(), await loud.recv()) == ("x", "X")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("headers", {"X-One": "1"}),
        ("require_protocol", True),
        ("happy_eyeballs_delay", 0.1),
        ("proxy", "http://h"),
        ("unix_path", "/x"),
    ],
)
async def test_parameters_of_outgoing_connections_are_refused(name: str, value: Any) -> None:
    with pytest.raises(voxwire.InvalidParameter, match=rf"parameters\['{name}'\].*outgoing"):
        Engine().allowWebSocketConnections(parameters={name: value})  # type: ignore[arg-type]
