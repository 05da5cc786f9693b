"""Connections that cannot be opened: what the ERROR says, and how long it takes."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from support.log import Log
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import WebSocket
from voxwire import WebSocketEvents as E


async def failing(url: str, **parameters: Any) -> Exception:
    """The error of a connection that fails as it should: ERROR, CLOSE 1006."""
    log = Log(WebSocket(url, **parameters))
    close = await log.until(E.CLOSE)
    assert log.names == ["CREATED", "ERROR", "CLOSE"]
    assert log.states == ["connecting", "closed", "closed"]
    assert (close.code, close.reason, close.wasClean) == (1006, "", False)
    error = log.events[1].error
    assert isinstance(error, voxwire.ConnectError)
    return error


def answering(answer: bytes) -> Callable[[RawPeer], None]:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(answer)
        peer.hang_up()

    return script


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def test_refused() -> None:
    port = free_port()
    error = await failing(f"ws://127.0.0.1:{port}/")
    assert "127.0.0.1" in str(error)
    assert str(port) in str(error)
    assert "refused" in str(error).lower()


async def test_unknown_name() -> None:
    error = await failing("ws://nowhere.invalid/")
    assert isinstance(error, voxwire.NameResolutionError)
    assert "nowhere.invalid" in str(error)


async def test_http_error_with_a_body() -> None:
    body = b"You shall not pass"
    answer = b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with RawServer(answering(answer)) as server:
        error = await failing(server.url)
    assert isinstance(error, voxwire.HandshakeError)
    assert error.status == 403
    assert ("x-why", "because") in [(name.lower(), value) for name, value in error.headers]
    assert error.body == body
    assert "403" in str(error)
    assert "You shall not pass" in str(error)


NO_WEBSOCKET = {
    "junk": b"\x00\x01\x02 hello\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
    "empty": b"",
    "no upgrade": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
    "wrong accept": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
    ),
    "200": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "redirect": b"HTTP/1.1 301 Moved\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    "half a response": b"HTTP/1.1 101 Switch",
}


@pytest.mark.parametrize("name", NO_WEBSOCKET)
async def test_no_websocket(name: str) -> None:
    with RawServer(answering(NO_WEBSOCKET[name])) as server:
        error = await failing(server.url)
    assert isinstance(error, voxwire.ConnectError)
    assert str(error)


async def test_a_protocol_nobody_asked_for() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept("superchat")
        peer.wait_eof()

    with RawServer(script) as server:
        assert isinstance(await failing(server.url), voxwire.HandshakeError)


async def test_an_extension_nobody_asked_for() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept(extra=["Sec-WebSocket-Extensions: x-something-new"])
        peer.wait_eof()

    with RawServer(script) as server:
        assert isinstance(await failing(server.url), voxwire.HandshakeError)


async def test_require_protocol() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept(None)
        peer.wait_eof()

    with RawServer(script) as server:
        error = await failing(server.url, require_protocol=True)
    assert isinstance(error, voxwire.HandshakeError)
    assert "chat" in str(error)


async def test_a_silent_peer() -> None:
    with RawServer(RawPeer.wait_eof) as server:
        began = asyncio.get_running_loop().time()
        error = await failing(server.url, handshake_timeout=0.3)
        took = asyncio.get_running_loop().time() - began
    assert isinstance(error, voxwire.ConnectTimeout)
    assert isinstance(error, TimeoutError)
    assert "0.3" in str(error)
    assert 0.25 < took < 5


async def test_a_response_that_never_ends() -> None:
    def endless(peer: RawPeer) -> None:
        peer.read_head()
        try:
            peer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
            for number in range(1_000_000):
                peer.write(b"X-Header-%d: %s\r\n" % (number, b"x" * 100))
        except OSError:
            pass

    with RawServer(endless) as server:
        assert isinstance(await failing(server.url, handshake_timeout=8), voxwire.HandshakeError)


async def test_a_refusal_whose_body_never_ends() -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\ncome back tomorrow")
        peer.wait_eof()

    with RawServer(script) as server:
        began = asyncio.get_running_loop().time()
        error = await failing(server.url, handshake_timeout=20)
        took = asyncio.get_running_loop().time() - began
    assert isinstance(error, voxwire.HandshakeError)
    assert "503" in str(error)
    assert "come back tomorrow" in str(error)
    assert took < 10


async def test_a_full_backlog_times_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        error = await failing(f"ws://127.0.0.1:{port}/", connect_timeout=0.3, handshake_timeout=0.3)
        for filler in fillers:
            filler.close()
    assert isinstance(error, voxwire.ConnectTimeout)
    assert str(error).endswith("within connect_timeout = 0.3 s: no answer")


@pytest.mark.parametrize("delay", [0.01, None])
async def test_happy_eyeballs_delay(delay: float | None) -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(f"ws://localhost:{server.port}/", happy_eyeballs_delay=delay) as ws:
            assert ws.remote_address is not None
    error = await failing(f"ws://localhost:{server.port}/", happy_eyeballs_delay=delay)
    assert f"127.0.0.1:{server.port}: Connection refused" in str(error)


async def test_wait_open_raises_the_error() -> None:
    ws = WebSocket("ws://nowhere.invalid/")
    with pytest.raises(voxwire.NameResolutionError):
        await ws.wait_open()
    with pytest.raises(voxwire.ConnectionClosed) as caught:
        await ws.recv()
    assert isinstance(caught.value.__cause__, voxwire.NameResolutionError)


async def test_cancelled_connects_leave_nothing() -> None:
    peers: list[RawPeer] = []

    def silent(peer: RawPeer) -> None:
        peers.append(peer)
        peer.wait_eof()

    with RawServer(silent) as server:
        for turn in range(30):

            async def connect() -> None:
                async with WebSocket(server.url):
                    pytest.fail("never open")

            task = asyncio.ensure_future(connect())
            await asyncio.sleep(0.002 * (turn % 4))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    # leaving the block joins the script's threads: each connection was ended


BAD_URLS = [
    "",
    "ftp://example.com/",
    "ws:",
    "ws://",
    "example.com",
    "/path",
    "ws://example.com:99999/",
    "ws://exa mple.com/",
    "ws://[::1/",
    "ws://example.com/#fragment",
]


@pytest.mark.parametrize("url", BAD_URLS)
async def test_bad_urls(url: str) -> None:
    with pytest.raises(voxwire.InvalidURL) as caught:
        WebSocket(url)
    assert isinstance(caught.value, ValueError)


GOOD_URLS = {
    "WS://127.0.0.1:9": "ws://127.0.0.1:9/",
    "ws://127.0.0.1:80/a?b=c": "ws://127.0.0.1/a?b=c",
    "ws://127.0.0.1:9/ä": "ws://127.0.0.1:9/%C3%A4",
    "http://127.0.0.1:9/": "ws://127.0.0.1:9/",  # as browsers do
    "https://127.0.0.1:9/": "wss://127.0.0.1:9/",
}


@pytest.mark.parametrize("url", GOOD_URLS)
async def test_urls_are_normalised(url: str) -> None:
    ws = WebSocket(url)
    assert ws.url == GOOD_URLS[url]
    ws.close()
    await ws.wait_closed()


@pytest.mark.parametrize("path", ["/", "/a/b?c=d&e", "/%20?x=%C3%A4"])
async def test_the_request(path: str) -> None:
    requests: list[RawPeer] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        requests.append(peer)
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url.rstrip("/") + path, headers=[{"name": "X-One", "value": "1"}]) as ws:
            assert ("upgrade", "websocket") in [(name.lower(), value) for name, value in ws.headers]
    peer = requests[0]
    assert peer.request == f"GET {path} HTTP/1.1"
    assert peer.headers["host"] == f"127.0.0.1:{server.port}"
    assert peer.headers["sec-websocket-version"] == "13"
    assert peer.headers["sec-websocket-protocol"] == "chat"
    assert peer.headers["x-one"] == "1"


async def test_localhost_by_name() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(f"ws://localhost:{server.port}/") as ws:
            assert ws.remote_address == ("127.0.0.1", server.port)


def test_outside_a_loop() -> None:
    with pytest.raises(voxwire.InvalidState, match="running asyncio loop"):
        WebSocket("ws://127.0.0.1:9/")
