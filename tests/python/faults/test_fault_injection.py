"""Line breaks where a header could be forged: refused before anything is sent, by client and server."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from support.http import ask, upgrade
from support.pair import serving
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import WebSocket

EVIL = "x\r\nX-Injected: yes"
BREAKS = ["\r\n", "\n", "\r", "\0"]

CLIENT: dict[str, Callable[[str, str], Any]] = {
    "header name": lambda url, evil: WebSocket(url, headers={f"X-{evil}": "1"}),
    "header value": lambda url, evil: WebSocket(url, headers={"X-One": evil}),
    "User-Agent": lambda url, evil: WebSocket(url, headers={"User-Agent": evil}),
    "Origin": lambda url, evil: WebSocket(url, headers=[{"name": "Origin", "value": evil}]),
    "subprotocol": lambda url, evil: WebSocket(url, protocols=["chat", evil]),
    "one subprotocol": lambda url, evil: WebSocket(url, protocols=evil),
    "host": lambda url, evil: WebSocket(url.replace("127.0.0.1", f"127.0.0.1{evil}")),
    "proxy": lambda url, evil: WebSocket(url, proxy=f"http://user:pass{evil}@127.0.0.1:9"),
}


@pytest.mark.parametrize("broken", BREAKS, ids=repr)
@pytest.mark.parametrize("where", CLIENT)
async def test_a_client_refuses(where: str, broken: str) -> None:
    """The call raises, and nobody has been connected to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises((voxwire.InvalidParameter, voxwire.InvalidURL)):
            CLIENT[where](url, EVIL.replace("\r\n", broken))
        listener.settimeout(0.02)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("where", ["path", "query", "user"])
async def test_in_a_url_it_never_is_a_header(where: str) -> None:
    """The URL standard takes line breaks out or escapes them: what is sent has one request line and no other header."""
    seen: list[RawPeer] = []

    def script(peer: RawPeer) -> None:
        try:
            peer.accept()
        except EOFError:
            return
        seen.append(peer)
        peer.answer_close()

    with RawServer(script) as server:
        base = server.url.rstrip("/")
        urls = {
            "path": f"{base}/a HTTP/1.1\r\nX-Injected: yes\r\n\r\n",
            "query": f"{base}/?a=b HTTP/1.1\r\nX-Injected: yes\r\n",
            "user": base.replace("ws://", "ws://user:a\r\nX-Injected: yes@"),
        }
        try:
            async with WebSocket(urls[where]):
                pass
        except voxwire.InvalidURL:
            assert not seen
            return
    assert "x-injected" not in seen[0].headers
    assert seen[0].request.count(" ") == 2


SERVER: dict[str, Callable[[str], Any]] = {
    "header value": lambda evil: voxwire.Accept(headers={"X-One": evil}),
    "header name": lambda evil: voxwire.Accept(headers={f"X-{evil}": "1"}),
    "subprotocol": lambda evil: voxwire.Accept(protocol=evil),
    "response header": lambda evil: voxwire.HTTPResponse(403, headers={"X-One": evil}),
}


@pytest.mark.parametrize("broken", BREAKS, ids=repr)
@pytest.mark.parametrize("where", SERVER)
async def test_a_server_refuses(where: str, broken: str, loop_errors: list[dict[str, Any]]) -> None:
    """An answer of `process_request` with a line break in it is an error where it was made; the peer gets 500."""
    evil = EVIL.replace("\r\n", broken)
    raised: list[type[Exception]] = []

    def decide(_request: voxwire.IncomingRequest) -> Any:
        try:
            return SERVER[where](evil)
        except Exception as error:
            raised.append(type(error))
            raise

    async with serving(lambda _ws: None, process_request=decide) as server:
        status, headers, _ = await asyncio.to_thread(
            ask, server.port, upgrade(headers=["Sec-WebSocket-Protocol: chat"])
        )
    assert status == 500
    assert "x-injected" not in headers
    assert raised == (
        [] if where == "subprotocol" else [voxwire.InvalidParameter]
    )  # that one is checked when it is used


@pytest.mark.parametrize("broken", BREAKS, ids=repr)
async def test_a_servers_own_protocols(broken: str) -> None:
    with pytest.raises(voxwire.InvalidParameter, match="protocols"):
        voxwire.Engine().allowWebSocketConnections(protocols=[EVIL.replace("\r\n", broken)])
