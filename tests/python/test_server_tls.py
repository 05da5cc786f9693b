"""A server's certificate while it runs, and those of its clients."""

import asyncio
import shutil
import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.pair import serving
from support.raw import RawClient
from support.tls import Certificates
from test_tls import failing

import voxwire
from voxwire import ServerTLSOptions, TLSOptions, WebSocket


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        ws.send(message)


@pytest.fixture
def others(tmp_path: Path) -> Certificates:
    (tmp_path / "others").mkdir()
    return Certificates(trustme.CA(), tmp_path / "others")


def use(certificates: Certificates, directory: Path) -> None:
    """Put a certificate where the server reads it."""
    shutil.copy(certificates.server_cert, directory / "cert.pem")
    shutil.copy(certificates.server_key, directory / "key.pem")


def serial_of(url: str, *, alpn: str | None = None) -> int:
    """Which certificate a server shows to an independent client."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn is not None:
        context.set_alpn_protocols(["h2", alpn])
    port = int(url.rstrip("/").rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=15) as sock,
        context.wrap_socket(sock) as tls,
    ):
        assert tls.selected_alpn_protocol() == alpn
        return hash(tls.getpeercert(binary_form=True))


async def test_the_same_files_are_read_again(certificates: Certificates, others: Certificates, tmp_path: Path) -> None:
    use(certificates, tmp_path)
    tls = ServerTLSOptions(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with serving(echo, tls=tls) as server:
        url = f"wss://localhost:{server.port}/"
        first = await asyncio.to_thread(serial_of, url)
        async with WebSocket(url, tls=TLSOptions(ca_file=certificates.ca)) as old:
            use(others, tmp_path)
            assert await asyncio.to_thread(serial_of, url) == first  # nothing happens by itself
            server.reload_tls()
            assert await asyncio.to_thread(serial_of, url) != first
            async with WebSocket(url, tls=TLSOptions(ca_file=others.ca)) as new:
                for ws in (old, new):
                    ws.send("hello")
                    assert await ws.recv() == "hello"
            assert isinstance(await failing(url, tls=TLSOptions(ca_file=certificates.ca)), voxwire.TLSError)


async def test_other_options(certificates: Certificates, others: Certificates) -> None:
    async with serving(echo, tls=ServerTLSOptions(certificates.server_cert, certificates.server_key)) as server:
        url = f"wss://localhost:{server.port}/"
        server.reload_tls(ServerTLSOptions(others.server_cert, others.server_key))
        for _ in range(2):
            async with WebSocket(url, tls=TLSOptions(ca_file=others.ca)) as ws:
                ws.send("hello")
                assert await ws.recv() == "hello"
            server.reload_tls()  # those that were given last


async def test_bad_files_change_nothing(certificates: Certificates, others: Certificates, tmp_path: Path) -> None:
    use(certificates, tmp_path)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    async with serving(echo, tls=ServerTLSOptions(cert, key)) as server:
        url = f"wss://localhost:{server.port}/"
        before = await asyncio.to_thread(serial_of, url)

        def swapped() -> None:
            shutil.copy(others.server_cert, cert)  # the key is the old one

        for spoil in (lambda: cert.write_text("junk"), cert.unlink, swapped, lambda: key.write_text("")):
            spoil()
            with pytest.raises(voxwire.InvalidParameter, match=r"cert_file|key_file"):
                server.reload_tls()
            assert await asyncio.to_thread(serial_of, url) == before
        with pytest.raises(voxwire.InvalidParameter, match=r"missing\.pem"):
            server.reload_tls(ServerTLSOptions("missing.pem", key))
        with pytest.raises(voxwire.InvalidParameter, match="tls"):
            server.reload_tls("cert.pem")  # type: ignore[arg-type]
        use(others, tmp_path)
        server.reload_tls()
        assert await asyncio.to_thread(serial_of, url) != before


async def test_nothing_to_reload(certificates: Certificates) -> None:
    async with serving(echo) as server:
        with pytest.raises(voxwire.InvalidState, match="without tls"):
            server.reload_tls(ServerTLSOptions(certificates.server_cert, certificates.server_key))


async def test_alpn(certificates: Certificates) -> None:
    async with serving(echo, tls=ServerTLSOptions(certificates.server_cert, certificates.server_key)) as server:
        assert await asyncio.to_thread(serial_of, server.url, alpn="http/1.1")


async def test_who_speaks_something_else_is_refused(certificates: Certificates) -> None:
    def refusal(port: int, change: Callable[[ssl.SSLContext], None]) -> str:
        context = certificates.client_context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            change(context)
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=15) as sock,
                context.wrap_socket(sock, server_hostname="localhost") as tls,
            ):
                return str(tls.version())
        except ssl.SSLError as error:
            return str(error)

    def old(context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    async with serving(echo, tls=ServerTLSOptions(certificates.server_cert, certificates.server_key)) as server:

        async def ask(change: Callable[[ssl.SSLContext], None]) -> str:
            return await asyncio.to_thread(refusal, server.port, change)

        assert "alert handshake failure" in await ask(old)  # it has no ciphers of TLS 1.2 to offer either
        assert "no application protocol" in await ask(lambda context: context.set_alpn_protocols(["h2"]))
        assert await ask(lambda context: context.set_alpn_protocols(["h2", "http/1.1"])) == "TLSv1.3"
        assert await ask(lambda _context: None) == "TLSv1.3"


async def test_a_required_client_certificate(certificates: Certificates, others: Certificates) -> None:
    tls = ServerTLSOptions(certificates.server_cert, certificates.server_key, certificates.ca)
    async with serving(echo, tls=tls) as server:
        url = f"wss://localhost:{server.port}/"
        error = await failing(url, tls=TLSOptions(ca_file=certificates.ca))
        assert isinstance(error, voxwire.ConnectError)
        assert "CertificateRequired" in str(error) or "certificate required" in str(error).lower()
        stranger = TLSOptions(certificates.ca, others.client_cert, others.client_key)
        error = await failing(url, tls=stranger)
        assert isinstance(error, voxwire.ConnectError)
        assert "UnknownCA" in str(error)

        def talk(context: ssl.SSLContext) -> str:
            client = RawClient(url, context)
            try:
                client.open()
                client.finish()
                return client.request
            finally:
                client.hang_up()

        with pytest.raises(ssl.SSLError, match=r"(?i)certificate required"):
            await asyncio.to_thread(talk, certificates.client_context())
        twelve = certificates.client_context()
        twelve.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake failure|certificate required"):
            await asyncio.to_thread(talk, twelve)
        assert "101" in await asyncio.to_thread(talk, certificates.client_context(show=True))


async def test_an_optional_client_certificate(certificates: Certificates, others: Certificates) -> None:
    tls = ServerTLSOptions(certificates.server_cert, certificates.server_key, certificates.ca, "optional")
    async with serving(echo, tls=tls) as server:
        url = f"wss://localhost:{server.port}/"
        shown = TLSOptions(certificates.ca, certificates.client_cert, certificates.client_key)
        for options in (shown, TLSOptions(ca_file=certificates.ca)):
            async with WebSocket(url, tls=options) as ws:
                ws.send("hello")
                assert await ws.recv() == "hello"
        error = await failing(url, tls=TLSOptions(certificates.ca, others.client_cert, others.client_key))
        assert "UnknownCA" in str(error)


@pytest.mark.parametrize(
    "options",
    [{"client_certificate": "optional"}, {"client_ca_file": "ca.pem", "client_certificate": "perhaps"}],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(voxwire.InvalidParameter, match="client_certificate"):
        ServerTLSOptions("cert.pem", "key.pem", **options)
