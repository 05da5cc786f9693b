"""A real SOCKS5 proxy (microsocks) and a real HTTP CONNECT proxy (tinyproxy): ways through, and the errors people read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.server
from children import Child, free_port, needs
from support.log import Log
from support.pair import serving
from support.tls import Certificates

import voxwire
from voxwire import ServerTLSOptions, TLSOptions, WebSocket
from voxwire import WebSocketEvents as E

ON_LOOPS = ["asyncio"]  # what a loop changes is tested in tests/python
needs_socks = needs("microsocks")
needs_connect = needs("tinyproxy")
PASSWORD = "pa:ss wörd"  # as it is; a URL has it percent-encoded
QUOTED = "pa%3Ass%20w%C3%B6rd"


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        ws.send(message)


@contextmanager
def microsocks(directory: Path, *arguments: str) -> Iterator[str]:
    """Answers host and port."""
    port = free_port()
    with Child(directory, "microsocks", "-i", "127.0.0.1", "-p", str(port), *arguments) as child:
        child.listens(port)
        yield f"127.0.0.1:{port}"


@contextmanager
def tinyproxy(directory: Path, *lines: str) -> Iterator[str]:
    port = free_port()
    config = directory / "tinyproxy.conf"
    config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", *lines, ""]))
    with Child(directory, "tinyproxy", "-d", "-c", config) as child:
        child.listens(port)
        yield f"127.0.0.1:{port}"


async def talks(url: str, **parameters: Any) -> None:
    """Small and large messages come back, and the close is clean."""
    async with WebSocket(url, **parameters) as ws:
        for message in ("through", "x" * 1_000_000, bytes(300_000)):
            ws.send(message)
            assert await ws.recv() == message
    assert (await ws.wait_closed()).code == 1000


async def failing(url: str, **parameters: Any) -> Exception:
    """The error of a connection that a proxy does not make."""
    log = Log(WebSocket(url, **parameters))
    close = await log.until(E.CLOSE)
    assert log.names == ["CREATED", "ERROR", "CLOSE"]
    assert (close.code, close.wasClean) == (1006, False)
    error: Exception = log.events[1].error
    return error


# SOCKS5


@needs_socks
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("password", [False, True])
async def test_socks(tmp_path: Path, scheme: str, password: bool) -> None:
    wanted = ("-u", "me", "-P", PASSWORD) if password else ()
    user = f"me:{QUOTED}@" if password else ""
    with microsocks(tmp_path, *wanted) as proxy:
        async with serving(echo) as server:
            for host in ("127.0.0.1", "localhost"):
                await talks(f"ws://{host}:{server.port}/", proxy=f"{scheme}://{user}{proxy}")


@needs_socks
async def test_socks_to_a_server_of_websockets_and_with_tls(tmp_path: Path, certificates: Certificates) -> None:
    async def back(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    trust = TLSOptions(ca_file=certificates.ca)
    with microsocks(tmp_path) as proxy:
        context = certificates.server_context()
        async with websockets.asyncio.server.serve(back, "127.0.0.1", 0, ssl=context) as theirs:
            port = theirs.sockets[0].getsockname()[1]
            await talks(f"wss://localhost:{port}/", proxy=f"socks5h://{proxy}", tls=trust)
        tls = ServerTLSOptions(certificates.server_cert, certificates.server_key)
        async with serving(echo, tls=tls) as ours:
            await talks(f"wss://localhost:{ours.port}/", proxy=f"socks5h://{proxy}", tls=trust)
            error = await failing(f"wss://localhost:{ours.port}/", proxy=f"socks5h://{proxy}")
            assert isinstance(error, voxwire.TLSError)


@needs_socks
async def test_a_password_that_nobody_asked_for(tmp_path: Path) -> None:
    with microsocks(tmp_path) as proxy:
        async with serving(echo) as server:
            await talks(server.url, proxy=f"socks5h://me:needless@{proxy}")


@needs_socks
async def test_socks_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with microsocks(tmp_path) as proxy:
        monkeypatch.setenv("SOCKS_PROXY", f"socks5h://{proxy}")
        async with serving(echo) as server, WebSocket(server.url) as ws:
            assert ws.remote_address == ("127.0.0.1", int(proxy.split(":")[1]))
            ws.send("x")
            assert await ws.recv() == "x"


@needs_socks
@pytest.mark.parametrize(
    ("url", "user", "text"),
    [
        (
            "ws://127.0.0.1:{closed}/",
            "me:secret@",
            "cannot connect to 127.0.0.1:{closed} through the proxy {proxy}: it refused to connect: connection refused (code 5)",
        ),
        (
            "ws://nowhere.invalid/",
            "me:secret@",
            "cannot connect to nowhere.invalid:80 through the proxy {proxy}: it refused to connect: general failure (code 1)",
        ),
        (
            "ws://127.0.0.1:{closed}/",
            "me:wrong@",
            "cannot connect to 127.0.0.1:{closed} through the proxy {proxy}: it does not accept user and password of its URL (status 2)",
        ),
        (
            "ws://127.0.0.1:{closed}/",
            "",
            "cannot connect to 127.0.0.1:{closed} through the proxy {proxy}: it accepts none of our ways to authenticate (none; put user and password into its URL)",
        ),
    ],
    ids=["refused", "unknown name", "wrong password", "no password"],
)
async def test_socks_refuses(tmp_path: Path, url: str, user: str, text: str) -> None:
    closed = free_port()
    with microsocks(tmp_path, "-u", "me", "-P", "secret") as where:
        proxy = f"socks5h://{where}"
        error = await failing(url.format(closed=closed), proxy=f"socks5h://{user}{where}")
    assert isinstance(error, voxwire.ProxyError)
    assert str(error) == text.format(closed=closed, proxy=proxy)
    assert error.proxy == proxy


@needs_socks
async def test_another_protocol_to_a_socks5_proxy(tmp_path: Path) -> None:
    with microsocks(tmp_path) as proxy:
        error = await failing("ws://127.0.0.1:9/", proxy=f"http://{proxy}")
        assert isinstance(error, voxwire.ProxyError)
        assert f"through the proxy http://{proxy}: it does not speak HTTP/1.1: its answer begins with" in str(error)
        error = await failing("ws://127.0.0.1:9/", proxy=f"socks4://{proxy}")
        assert isinstance(error, voxwire.ProxyError)
        assert str(error).endswith(f"socks4://{proxy}: it does not speak SOCKS4: its answer begins with byte 0x05")


@needs_socks
async def test_the_proxy_dies(tmp_path: Path) -> None:
    port = free_port()
    with Child(tmp_path, "microsocks", "-i", "127.0.0.1", "-p", str(port)) as child:
        child.listens(port)
        async with serving(Log) as server:
            log = Log(WebSocket(server.url, proxy=f"socks5h://127.0.0.1:{port}"))
            await log.until(E.OPEN)
            child.stop()
            close = await log.until(E.CLOSE)
    assert (close.code, close.wasClean) == (1006, False)


# HTTP CONNECT


@needs_connect
@pytest.mark.parametrize("password", [False, True])
async def test_connect(tmp_path: Path, password: bool) -> None:
    lines, user = (["BasicAuth me p4ssw0rd"], "me:p4ssw0rd@") if password else ([], "")
    with tinyproxy(tmp_path, *lines) as proxy:
        async with serving(echo) as server:
            for host in ("127.0.0.1", "localhost"):
                await talks(f"ws://{host}:{server.port}/", proxy=f"http://{user}{proxy}")


@needs_connect
async def test_connect_with_tls_behind(tmp_path: Path, certificates: Certificates) -> None:
    tls = ServerTLSOptions(certificates.server_cert, certificates.server_key)
    with tinyproxy(tmp_path) as proxy:
        async with serving(echo, tls=tls) as server:
            trust = TLSOptions(ca_file=certificates.ca)
            await talks(f"wss://localhost:{server.port}/", proxy=f"http://{proxy}", tls=trust)


@needs_connect
@pytest.mark.parametrize(
    ("url", "user", "status", "text"),
    [
        ("ws://127.0.0.1:{closed}/", "me:secret@", 500, "it refused with HTTP status 500 Unable to connect; its body"),
        (
            "ws://nowhere.invalid:{closed}/",
            "me:secret@",
            500,
            "it refused with HTTP status 500 Unable to connect; its body",
        ),
        ("ws://127.0.0.1:22/", "me:secret@", 403, "it refused with HTTP status 403 Access violation; its body"),
        ("ws://127.0.0.1:{closed}/", "me:wrong@", 401, "it refused with HTTP status 401 Unauthorized; its body"),
        (
            "ws://127.0.0.1:{closed}/",
            "",
            407,
            "it refused with HTTP status 407 Proxy Authentication Required (put user and password into its URL); its body",
        ),
    ],
    ids=["refused", "unknown name", "port not allowed", "wrong password", "no password"],
)
async def test_connect_refuses(tmp_path: Path, url: str, user: str, status: int, text: str) -> None:
    closed = free_port()
    with tinyproxy(tmp_path, "BasicAuth me secret", f"ConnectPort {closed}") as where:
        url = url.format(closed=closed)
        error = await failing(url, proxy=f"http://{user}{where}")
    target = url.removeprefix("ws://").removesuffix("/")
    assert isinstance(error, voxwire.ProxyError)
    assert str(error).startswith(f"cannot connect to {target} through the proxy http://{where}: {text}")
    assert (error.status, error.proxy) == (status, f"http://{where}")
    assert "secret" not in str(error)
    assert b"tinyproxy" in error.body


@needs_connect
async def test_another_protocol_to_an_http_proxy(tmp_path: Path) -> None:
    """tinyproxy waits for the rest of a request that never comes."""
    with tinyproxy(tmp_path) as proxy:
        error = await failing("ws://127.0.0.1:9/", proxy=f"socks5h://{proxy}", connect_timeout=0.5)
        assert isinstance(error, voxwire.ConnectTimeout)
        assert str(error) == (
            f"no connection to 127.0.0.1:9 within connect_timeout = 0.5 s: proxy socks5h://{proxy}: connected, but it gave "
            "no complete answer"
        )
        error = await failing("ws://127.0.0.1:9/", proxy=f"https://{proxy}", connect_timeout=0.5)
        assert isinstance(error, voxwire.ConnectTimeout)
        assert str(error).endswith(f"proxy https://{proxy}: connected, but TLS did not complete")
