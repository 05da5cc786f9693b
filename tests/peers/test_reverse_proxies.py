"""nginx and HAProxy before servers: upgrades, large messages, their idle time-out, a backend that is gone, TLS at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import websockets.asyncio.client
import websockets.asyncio.server
from children import Child, free_port, needs
from support.log import Log
from support.pair import serving
from support.tls import Certificates
from websockets.typing import Subprotocol

import voxwire
from voxwire import Engine, TLSOptions, WebSocket
from voxwire import WebSocketEvents as E

ON_LOOPS = ["uvloop"]  # what a loop changes is tested in tests/python
PATIENT, IMPATIENT = 60, 2  # seconds without traffic that a proxy allows


class Front(NamedTuple):
    """A running reverse proxy."""

    child: Child
    plain: str
    tls: str


@contextmanager
def nginx(directory: Path, backend: int, certificates: Certificates, idle: int = PATIENT) -> Iterator[Front]:
    plain, tls = free_port(), free_port()
    paths = "\n".join(
        f"{kind}_temp_path {directory / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = directory / "nginx.conf"
    config.write_text(f"""
    daemon off;
    master_process off;  # one process, of whoever runs the tests
    pid {directory / "nginx.pid"};
    error_log stderr info;
    events {{}}
    http {{
      access_log off;
      {paths}
      server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate {certificates.server_cert};
        ssl_certificate_key {certificates.server_key};
        proxy_read_timeout {idle}s;
        proxy_http_version 1.1;
        location / {{
          proxy_set_header Host $http_host;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
          proxy_pass http://127.0.0.1:{backend};
        }}
        location /forgot-upgrade {{ proxy_pass http://127.0.0.1:{backend}; }}
        location /teapot {{ return 418 "short and stout"; }}
      }}
    }}
    """)
    with Child(directory, "nginx", "-p", directory, "-e", "stderr", "-c", config) as child:
        child.listens(plain)
        yield Front(child, f"ws://127.0.0.1:{plain}/", f"wss://localhost:{tls}/")


@contextmanager
def haproxy(directory: Path, backend: int, certificates: Certificates, idle: int = PATIENT) -> Iterator[Front]:
    plain, tls = free_port(), free_port()
    both = directory / "server.pem"
    both.write_bytes(certificates.server_cert.read_bytes() + certificates.server_key.read_bytes())
    config = directory / "haproxy.cfg"
    config.write_text(f"""
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server {idle}s
  timeout tunnel {idle}s
  retries 0
  option forwardfor
frontend front
  bind 127.0.0.1:{plain}
  bind 127.0.0.1:{tls} ssl crt {both} alpn h2,http/1.1
  http-request return status 418 content-type text/plain string "short and stout" if {{ path_beg /teapot }}
  http-request del-header Upgrade if {{ path_beg /forgot-upgrade }}
  default_backend back
backend back
  server one 127.0.0.1:{backend}
""")
    with Child(directory, "haproxy", "-db", "-f", config) as child:
        child.listens(plain)
        yield Front(child, f"ws://127.0.0.1:{plain}/", f"wss://localhost:{tls}/")


Start = Callable[..., AbstractContextManager[Front]]
each = pytest.mark.parametrize(
    "start", [pytest.param(nginx, marks=needs("nginx")), pytest.param(haproxy, marks=needs("haproxy"))]
)


@asynccontextmanager
async def ours() -> AsyncIterator[int]:
    async def echo(ws: WebSocket) -> None:
        try:
            async for message in ws:
                ws.send(message)
        except voxwire.ConnectionClosed:
            pass

    async with serving(echo) as server:
        yield server.port


@asynccontextmanager
async def theirs() -> AsyncIterator[int]:
    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async with websockets.asyncio.server.serve(echo, "127.0.0.1", 0, subprotocols=[Subprotocol("chat")]) as server:
        yield server.sockets[0].getsockname()[1]


def url_and_trust(front: Front, scheme: str, certificates: Certificates) -> tuple[str, TLSOptions | None]:
    return (front.plain, None) if scheme == "ws" else (front.tls, TLSOptions(ca_file=certificates.ca))


@each
@pytest.mark.parametrize("backend", [ours, theirs])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_messages(tmp_path: Path, certificates: Certificates, start: Start, backend: Any, scheme: str) -> None:
    async with backend() as port:
        with start(tmp_path, port, certificates) as front:
            url, tls = url_and_trust(front, scheme, certificates)
            async with WebSocket(url, tls=tls) as ws:
                assert ws.protocol == "chat"
                assert ws.extensions.startswith("permessage-deflate")
                for message in ("", "grüße", "x" * 1_000_000, bytes(1_000_000), bytes(range(256)) * 4000):
                    ws.send(message)
                    assert await ws.recv() == message
                for number in range(500):
                    ws.send(f"{number}")
                assert [await ws.recv() for _ in range(500)] == [f"{number}" for number in range(500)]
                assert await ws.ping() > 0
                ws.close(4000, "done")
                close = await ws.wait_closed()
            assert (close.code, close.reason, close.wasClean) == (4000, "done", True)


@each
async def test_a_client_of_websockets(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    async with ours() as port:
        with start(tmp_path, port, certificates) as front:
            async with websockets.asyncio.client.connect(front.plain, proxy=None) as client:
                for message in ("text", b"\x00" * 500_000):
                    await client.send(message)
                    assert await client.recv() == message
            assert client.close_code == 1000


@each
async def test_what_the_server_learns(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    events: list[voxwire.NewWebSocketEvent] = []
    engine = Engine()
    engine.addEventListener(voxwire.AppEvents.WebSocket, events.append)
    async with engine.allowWebSocketConnections() as server:
        with start(tmp_path, server.port, certificates) as front:
            url = front.plain.replace("127.0.0.1", "localhost") + "room?x=1"
            async with WebSocket(url, headers={"Authorization": "Bearer t"}):
                pass
    (event,) = events
    headers = {name.lower(): value for name, value in event.headers}
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["authorization"] == "Bearer t"
    assert event.path == "/room?x=1"
    assert event.websocket.url == url


@each
async def test_the_idle_time_out_of_the_proxy(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    async with ours() as port:
        with start(tmp_path, port, certificates, IMPATIENT) as front:
            async with WebSocket(front.plain, ping_interval=None) as silent:
                log = Log(silent, without=(E.MESSAGE,))
                async with WebSocket(front.plain, ping_interval=IMPATIENT / 10) as alive:
                    with pytest.raises(voxwire.ConnectionClosed) as caught:
                        await silent.recv()
                    await asyncio.sleep(IMPATIENT)
                    alive.send("still here")
                    assert await alive.recv() == "still here"
    assert str(caught.value) == "the WebSocket is closed, code 1006"
    assert (caught.value.code, caught.value.reason, caught.value.wasClean) == (1006, "", False)
    assert log.names == ["CLOSE"]  # no error: the proxy ends TCP in order


async def failing(url: str, **parameters: Any) -> Exception:
    log = Log(WebSocket(url, **parameters))
    close = await log.until(E.CLOSE)
    assert log.names == ["CREATED", "ERROR", "CLOSE"]
    assert (close.code, close.wasClean) == (1006, False)
    error: Exception = log.events[1].error
    return error


GONE: dict[Start, tuple[int, str]] = {nginx: (502, "Bad Gateway"), haproxy: (503, "Service Unavailable")}


@each
async def test_a_backend_that_is_gone(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    status, words = GONE[start]
    with start(tmp_path, free_port(), certificates) as front:
        for scheme in ("ws", "wss"):
            url, tls = url_and_trust(front, scheme, certificates)
            error = await failing(url, tls=tls)
            assert isinstance(error, voxwire.HandshakeError)
            assert error.status == status
            where = url.split("//")[1].rstrip("/")
            assert str(error).startswith(
                f"WebSocket handshake with {where} failed: server refused the handshake with HTTP status {status} {words}; "
                "expected 101; its body begins with "
            )
            assert words.encode() in error.body


@each
async def test_a_backend_that_goes(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    """Our server stops in order, and the code comes through; what is next finds nobody."""
    status, _ = GONE[start]
    async with serving(Log) as server:
        with start(tmp_path, server.port, certificates) as front:
            log = Log(WebSocket(front.plain))
            await log.until(E.OPEN)
            server.close()
            close = await log.until(E.CLOSE)
            assert (close.code, close.wasClean) == (1001, True)
            await server.wait_closed()
            error = await failing(front.plain)
            assert isinstance(error, voxwire.HandshakeError)
            assert error.status == status


@each
async def test_a_backend_that_says_nothing(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    backend = await asyncio.start_server(silent, "127.0.0.1", 0)
    with start(tmp_path, backend.sockets[0].getsockname()[1], certificates, IMPATIENT) as front:
        error = await failing(front.plain)
    for writer in writers:
        writer.close()
    backend.close()
    assert isinstance(error, voxwire.HandshakeError)
    assert error.status == 504
    assert "HTTP status 504 Gateway Time" in str(error)


@each
async def test_the_proxy_dies(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    logs: list[Log] = []
    async with serving(lambda ws: logs.append(Log(ws))) as server:
        with start(tmp_path, server.port, certificates) as front:
            log = Log(WebSocket(front.plain))
            await log.until(E.OPEN)
            front.child.process.kill()
            close = await log.until(E.CLOSE)
            assert (close.code, close.wasClean) == (1006, False)
            close = await logs[0].until(E.CLOSE)
            assert (close.code, close.wasClean) == (1006, False)


@each
async def test_a_proxy_that_forgets_the_upgrade(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    """The most common mistake in a proxy's configuration: our server says what is missing, and our client passes it on."""
    async with serving(Log) as server:
        with start(tmp_path, server.port, certificates) as front:
            error = await failing(f"{front.plain}forgot-upgrade")
    assert isinstance(error, voxwire.HandshakeError)
    assert error.status in (400, 426)
    assert "upgrade" in str(error).lower()


@each
async def test_the_proxys_own_answer(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    with start(tmp_path, free_port(), certificates) as front:
        error = await failing(f"{front.plain}teapot")
    assert isinstance(error, voxwire.HandshakeError)
    assert (error.status, error.body) == (418, b"short and stout")
    assert 'its body begins with "short and stout"' in str(error)


@each
async def test_tls_at_the_proxy_is_checked(tmp_path: Path, certificates: Certificates, start: Start) -> None:
    async with ours() as port:
        with start(tmp_path, port, certificates) as front:
            assert isinstance(await failing(front.tls), voxwire.TLSError)
            wrong_name = front.tls.replace("localhost", "127.0.0.1")
            error = await failing(wrong_name, tls=TLSOptions(ca_file=certificates.ca))
            assert isinstance(error, voxwire.TLSError)
            error = await failing(front.tls.replace("wss:", "ws:"))
            assert isinstance(error, voxwire.ConnectError)  # 400 of nginx, nothing of HAProxy
            error = await failing(front.plain.replace("ws:", "wss:"), tls=TLSOptions(ca_file=certificates.ca))
            assert isinstance(error, voxwire.TLSError)
            assert "the peer's answer is no TLS" in str(error)
