"""wss://: trusted and untrusted servers, client certificates, what cuts TLS off."""

import asyncio
import hashlib
import socket
import ssl
import warnings
from collections.abc import Callable
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


async def test_a_message_in_the_same_record_as_the_response(certificates: Certificates) -> None:
    def script(peer: RawPeer) -> None:
        pieces: list[bytes] = []
        write = peer.write
        peer.write = pieces.append  # type: ignore[method-assign, assignment]
        peer.accept()
        peer.text("first")
        peer.write = write  # type: ignore[method-assign]
        peer.write(b"".join(pieces))
        peer.text("second")
        peer.answer_close()

    with RawServer(script, certificates.server_context()) as server:
        async with WebSocket(server.url, tls=TLSOptions(ca_file=certificates.ca)) as ws:
            assert [await ws.recv(), await ws.recv()] == ["first", "second"]


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
        WebSocket("wss://localhost:9/", tls=TLSOptions(**files))  # type: ignore[arg-type]


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


def contexts(certificates: Certificates) -> dict[str, tuple[ssl.SSLContext, bool]]:
    """Contexts for a server whose certificate is for localhost and that is addressed as 127.0.0.1; do they connect?"""
    full = certificates.client_context()
    any_name = certificates.client_context()
    any_name.check_hostname = False
    stranger = ssl.create_default_context()
    stranger.check_hostname = False
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    return {"full": (full, False), "any name": (any_name, True), "stranger": (stranger, False), "blind": (blind, True)}


@pytest.mark.parametrize("kind", ["full", "any name", "stranger", "blind"])
async def test_an_ssl_context_is_honoured(certificates: Certificates, kind: str) -> None:
    context, connects = contexts(certificates)[kind]
    with RawServer(echo, certificates.server_context()) as server:
        url = f"wss://127.0.0.1:{server.port}/"
        if not connects:
            assert isinstance(await failing(url, tls=context), voxwire.TLSError)
            return
        async with WebSocket(url, tls=context) as ws:
            ws.send("x")
            assert await ws.recv() == "x"


async def test_the_name_in_an_ssl_context_is_checked(certificates: Certificates) -> None:
    with RawServer(echo, certificates.server_context()) as server:
        async with WebSocket(server.url, tls=certificates.client_context()) as ws:
            ws.send("x")
            assert await ws.recv() == "x"


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_versions_are_honoured(certificates: Certificates, version: str) -> None:
    only, other = ssl.TLSVersion[version], ssl.TLSVersion["TLSv1_2" if version == "TLSv1_3" else "TLSv1_3"]
    server_context = certificates.server_context()
    server_context.minimum_version = server_context.maximum_version = only
    right, wrong = certificates.client_context(), certificates.client_context()
    right.minimum_version = right.maximum_version = only
    wrong.minimum_version = wrong.maximum_version = other
    with RawServer(echo, server_context) as server:
        async with WebSocket(server.url, tls=right) as ws:
            ws.send("x")
            assert await ws.recv() == "x"
    with RawServer(echo, server_context) as server:
        assert isinstance(await failing(server.url, tls=wrong), voxwire.TLSError)
    if version == "TLSv1_2":
        with RawServer(echo, server_context) as server:
            options = TLSOptions(ca_file=certificates.ca, minimum_version="1.3")
            assert isinstance(await failing(server.url, tls=options), voxwire.TLSError)


async def test_http_1_1_is_what_is_asked_for(certificates: Certificates) -> None:
    context = certificates.server_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    chosen: list[str | None] = []

    def script(peer: RawPeer) -> None:
        assert isinstance(peer.sock, ssl.SSLSocket)
        chosen.append(peer.sock.selected_alpn_protocol())
        echo(peer)

    with RawServer(script, context) as server:
        async with WebSocket(server.url, tls=TLSOptions(ca_file=certificates.ca)) as ws:
            ws.send("x")
            assert await ws.recv() == "x"
    assert chosen == ["http/1.1"]


def too_old(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1


def crl(context: ssl.SSLContext) -> None:
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def ciphers(context: ssl.SSLContext) -> None:
    context.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")


def later(context: ssl.SSLContext) -> None:
    context.post_handshake_auth = True


@pytest.mark.parametrize(
    ("change", "field"),
    [(too_old, "maximum_version"), (crl, "verify_flags"), (ciphers, "get_ciphers"), (later, "post_handshake_auth")],
)
async def test_what_cannot_be_honoured_is_refused(change: Callable[[ssl.SSLContext], None], field: str) -> None:
    context = ssl.create_default_context()
    change(context)
    with pytest.raises(voxwire.InvalidParameter, match=field):
        WebSocket("wss://localhost:9/", tls=context)


async def test_a_servers_context_is_refused(certificates: Certificates) -> None:
    with pytest.raises(voxwire.InvalidParameter, match="client's context"):
        WebSocket("wss://localhost:9/", tls=certificates.server_context())


async def test_a_pinned_certificate(certificates: Certificates) -> None:
    der = ssl.PEM_cert_to_DER_cert(
        certificates.server_cert.read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
    )
    digest = hashlib.sha256(der).hexdigest()
    colons = ":".join(digest[n : n + 2] for n in range(0, 64, 2)).upper()
    with RawServer(echo, certificates.server_context()) as server:
        url = f"wss://127.0.0.1:{server.port}/"
        for fingerprint in (digest, colons):
            async with WebSocket(url, tls=TLSOptions(fingerprint=fingerprint)) as ws:
                ws.send("x")
                assert await ws.recv() == "x"
        error = await failing(url, tls=TLSOptions(fingerprint="0" * 64))
    assert isinstance(error, voxwire.TLSError)
    assert digest in str(error)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"fingerprint": "12:34"}, "fingerprint"),
        ({"fingerprint": "x" * 64}, "fingerprint"),
        ({"fingerprint": "0" * 64, "ca_file": "ca.pem"}, "fingerprint"),
        ({"minimum_version": "1.1"}, "minimum_version"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], field: str) -> None:
    with pytest.raises(voxwire.InvalidParameter, match=field):
        TLSOptions(**options)


async def test_nothing_is_checked_only_by_that_name(certificates: Certificates) -> None:
    with RawServer(echo, certificates.server_context()) as server:
        async with WebSocket(server.url, tls=TLSOptions(dangerously_trust_anybody=True)) as ws:
            ws.send("x")
            assert await ws.recv() == "x"
