"""TLS that goes wrong at our server: plain text, silence, a stream that is cut off, a client that trusts nobody here. What
goes wrong at our client is in test_tls.py.
"""

import asyncio
import datetime as dt
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.http import PATIENCE, upgrade
from support.log import Log
from support.pair import serving
from support.raw import RawClient, RawPeer, RawServer
from support.tls import Certificates

import voxwire
from voxwire import ServerTLSOptions, TLSOptions, WebSocket
from voxwire import WebSocketEvents as E


def options(certificates: Certificates) -> ServerTLSOptions:
    return ServerTLSOptions(cert_file=certificates.server_cert, key_file=certificates.server_key)


def plain_text(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(upgrade())
        answer = b""
        try:
            while data := sock.recv(4096):
                answer += data
        except ConnectionError:
            pass
        return answer


def silence(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        return sock.recv(4096)


def half_a_hello(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        return sock.recv(4096)


@pytest.mark.parametrize("fault", [plain_text, silence, half_a_hello], ids=lambda fault: fault.__name__)
async def test_no_handshake(fault: Any, certificates: Certificates) -> None:
    """Ended within `handshake_timeout` without a word to the application; others are served."""
    seen: list[WebSocket] = []
    tls = options(certificates)
    async with serving(seen.append, tls=tls, parameters={"handshake_timeout": 0.5}) as server:
        answer = await asyncio.to_thread(fault, server.port)
        assert b"HTTP" not in answer
        assert not seen
        url = f"wss://localhost:{server.port}/"
        async with WebSocket(url, tls=TLSOptions(ca_file=certificates.ca)) as ws:
            assert await ws.ping() >= 0


async def test_a_client_that_does_not_trust_us(certificates: Certificates) -> None:
    seen: list[WebSocket] = []
    async with serving(seen.append, tls=options(certificates)) as server:
        ws = WebSocket(f"wss://localhost:{server.port}/")
        with pytest.raises(voxwire.TLSError):
            await ws.wait_open()
        while server.connections:
            await asyncio.sleep(0.01)
    assert not seen


async def test_truncation_is_not_a_clean_close(certificates: Certificates) -> None:
    """The client's TCP connection ends without close_notify and without a close frame."""
    logs: list[Log] = []
    async with serving(lambda ws: logs.append(Log(ws)), tls=options(certificates)) as server:

        def cut() -> None:
            url = f"wss://localhost:{server.port}/"
            client = RawClient(url, certificates.client_context()).open()
            client.text("cut off")
            assert isinstance(client.sock, ssl.SSLSocket)
            socket.socket(fileno=client.sock.detach()).close()

        await asyncio.to_thread(cut)
        while not logs:
            await asyncio.sleep(0.01)
        close = await logs[0].until(E.CLOSE)
    assert logs[0].messages == ["cut off"]
    assert (close.code, close.wasClean) == (1006, False)


async def test_an_expired_certificate(tmp_path: Path) -> None:
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", not_after=yesterday)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with RawServer(RawPeer.wait_eof, context) as server:
        ws = WebSocket(server.url, tls=TLSOptions(ca_file=tmp_path / "ca.pem"))
        with pytest.raises(voxwire.TLSError, match="expired"):
            await ws.wait_open()
