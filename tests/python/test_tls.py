"""wss://: trusted and untrusted servers, client certificates, what cuts TLS off."""

import asyncio
import socket
from typing import Any

import pytest
from support.log import Log
from support.pair import serving
from support.raw import RawClient, RawPeer, RawServer
from support.tls import Certificates

import voxwire
from voxwire import ServerTLSOptions, TLSOptions, WebSocket
from voxwire import WebSocketEvents as E


def echo(peer: RawPeer) -> None:
    peer.accept()
    peer.send(0x1, peer.frame().payload)
    peer.answer_close()


async def failing(url: str, **parameters: Any) -> Exception:
    log = Log(WebSocket(url, **parameters))
    await log.until(E.CLOSE)
    assert log.names == ["CREATED", "ERROR", "CLOSE"]
    error: Exception = log.events[1].error
    return error


async def test_a_custom_authority(certificates: Certificates) -> None:
    with RawServer(echo, certificates.server_context()) as server:
        async with WebSocket(server.url, tls=TLSOptions(ca_file=certificates.ca)) as ws:
            assert ws.url.startswith("wss://localhost")
            ws.send("secret")
            assert await ws.recv() == "secret"


async def test_options_are_reused(certificates: Certificates) -> None:
    options = TLSOptions(ca_file=certificates.ca)
    with RawServer(echo, certificates.server_context()) as server:
        for _ in range(3):
            async with WebSocket(server.url, tls=options) as ws:
                ws.send("x")
                assert await ws.recv() == "x"


async def test_untrusted(certificates: Certificates) -> None:
    with RawServer(echo, certificates.server_context()) as server:
        error = await failing(server.url)
    assert isinstance(error, voxwire.TLSError)
    assert "localhost" in str(error)


async def test_the_wrong_name(certificates: Certificates) -> None:
    with RawServer(echo, certificates.server_context()) as server:
        error = await failing(f"wss://127.0.0.1:{server.port}/", tls=TLSOptions(ca_file=certificates.ca))
        assert isinstance(error, voxwire.TLSError)
        other = TLSOptions(ca_file=certificates.ca, server_name="localhost")
        async with WebSocket(f"wss://127.0.0.1:{server.port}/", tls=other) as ws:
            ws.send("x")
            assert await ws.recv() == "x"


async def test_a_client_certificate(certificates: Certificates) -> None:
    with RawServer(echo, certificates.server_context(want_client=True)) as server:
        options = TLSOptions(certificates.ca, certificates.client_cert, certificates.client_key)
        async with WebSocket(server.url, tls=options) as ws:
            ws.send("x")
            assert await ws.recv() == "x"


async def test_a_missing_client_certificate(certificates: Certificates) -> None:
    with RawServer(echo, certificates.server_context(want_client=True)) as server:
        assert isinstance(await failing(server.url, tls=TLSOptions(ca_file=certificates.ca)), voxwire.ConnectError)


async def test_a_server_without_tls() -> None:
    def plain(peer: RawPeer) -> None:
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.hang_up()

    with RawServer(plain) as server:
        error = await failing(server.url.replace("ws:", "wss:"))
    assert isinstance(error, voxwire.TLSError)


async def test_a_stalled_tls_handshake() -> None:
    with RawServer(RawPeer.wait_eof) as server:
        error = await failing(server.url.replace("ws:", "wss:"), connect_timeout=0.3)
    assert isinstance(error, voxwire.ConnectTimeout)


async def test_truncation_is_not_a_clean_close(certificates: Certificates) -> None:
    def cut(peer: RawPeer) -> None:
        peer.accept()
        peer.sock.shutdown(socket.SHUT_RDWR)  # TCP ends, TLS said nothing
        peer.hang_up()

    with RawServer(cut, certificates.server_context()) as server:
        log = Log(WebSocket(server.url, tls=TLSOptions(ca_file=certificates.ca)))
        close = await log.until(E.CLOSE)
    assert (close.code, close.wasClean) == (1006, False)


BAD_FILES = [
    {"ca_file": "missing.pem"},
    {"ca_file": __file__},
    {"cert_file": "missing.pem", "key_file": "missing.key"},
]


@pytest.mark.parametrize("files", BAD_FILES)
async def test_bad_files_raise_at_once(files: dict[str, str]) -> None:
    with pytest.raises((OSError, voxwire.InvalidParameter), match=r"missing\.pem|test_tls\.py"):
        WebSocket("wss://localhost:9/", tls=TLSOptions(**files))


async def test_a_certificate_needs_its_key(certificates: Certificates) -> None:
    with pytest.raises(voxwire.InvalidParameter, match="key_file"):
        WebSocket("wss://localhost:9/", tls=TLSOptions(cert_file=certificates.client_cert))


async def echo_ours(ws: WebSocket) -> None:
    async for message in ws:
        ws.send(message)


async def test_our_server(certificates: Certificates) -> None:
    tls = ServerTLSOptions(certificates.server_cert, certificates.server_key)
    async with serving(echo_ours, tls=tls) as server:
        assert server.url.startswith("wss://")
        url = f"wss://localhost:{server.port}/"
        async with WebSocket(url, tls=TLSOptions(ca_file=certificates.ca)) as ws:
            ws.send("x")
            assert await ws.recv() == "x"

        def talk() -> bytes:
            client = RawClient(url, certificates.client_context()).open()
            client.text("y")
            payload = client.frame().payload
            client.finish()
            return payload

        assert await asyncio.to_thread(talk) == b"y"


async def test_our_server_asks_for_a_certificate(certificates: Certificates) -> None:
    tls = ServerTLSOptions(certificates.server_cert, certificates.server_key, certificates.ca)
    async with serving(echo_ours, tls=tls) as server:
        url = f"wss://localhost:{server.port}/"
        shown = TLSOptions(certificates.ca, certificates.client_cert, certificates.client_key)
        async with WebSocket(url, tls=shown) as ws:
            ws.send("x")
            assert await ws.recv() == "x"
        assert isinstance(await failing(url, tls=TLSOptions(ca_file=certificates.ca)), voxwire.ConnectError)
