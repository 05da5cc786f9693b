"""Where a server listens: a shared port, a Unix socket, a socket that is there already."""

import asyncio
import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.client
from support.pair import serving

import voxwire
from voxwire import Engine, IncomingRequest, TLSOptions, WebSocket


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        ws.send(message)


async def answers(server: voxwire.WebSocketServer, **parameters: Any) -> None:
    async with WebSocket(server.url, unix_path=server.unix_path, **parameters) as ws:
        ws.send("hello")
        assert await ws.recv() == "hello"


async def test_two_servers_share_a_port() -> None:
    async with serving(echo, reuse_port=True) as one, serving(echo, reuse_port=True, port=one.port) as two:
        assert one.port == two.port
        for _ in range(5):
            await answers(one)
        with pytest.raises(OSError, match="in use") as caught:
            Engine().allowWebSocketConnections(port=one.port)
        assert caught.value.errno == errno.EADDRINUSE
        one.close()
        await one.wait_closed()
        await answers(two)


async def test_a_platform_that_cannot_share_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(voxwire.InvalidParameter, match="no SO_REUSEPORT"):
        Engine().allowWebSocketConnections(reuse_port=True)


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    requests: list[IncomingRequest] = []
    events: list[voxwire.NewWebSocketEvent] = []
    engine = Engine()
    engine.addEventListener(voxwire.AppEvents.WebSocket, events.append)
    engine.addEventListener(voxwire.AppEvents.WebSocket, lambda event: echo(event.websocket))
    async with engine.allowWebSocketConnections(unix_path=path, process_request=requests.append) as server:
        assert (server.unix_path, server.addresses, server.url) == (str(path), [], "ws://localhost/")
        with pytest.raises(voxwire.InvalidState, match="unix_path"):
            _ = server.port
        await answers(server)
        async with websockets.asyncio.client.unix_connect(str(path)) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        assert server.connections <= 2
        server.close()
        assert not path.exists()  # at once
        await server.wait_closed()
    assert [request.peer for request in requests] == [None, None]
    assert [event.remoteAddress for event in events] == [None, None]
    assert events[0].websocket.remote_address is None


async def test_tls_on_a_unix_socket(tmp_path: Path, certificates: Any) -> None:
    tls = voxwire.ServerTLSOptions(certificates.server_cert, certificates.server_key)
    async with serving(echo, unix_path=str(tmp_path / "socket"), tls=tls) as server:
        assert server.url == "wss://localhost/"
        await answers(server, tls=TLSOptions(ca_file=certificates.ca))


@pytest.mark.parametrize("mode", [0o600, 0o666, None])
async def test_the_mode_of_a_unix_socket(tmp_path: Path, mode: int | None) -> None:
    before = os.umask(0o027)
    try:
        async with serving(echo, unix_path=tmp_path / "socket", unix_mode=mode):
            expected = 0o750 if mode is None else mode
            assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == expected
    finally:
        os.umask(before)


async def test_the_socket_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    code = f"import os, socket; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen(); os._exit(0)"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=True, timeout=20)
    assert path.is_socket()
    for _ in range(2):
        async with serving(echo, unix_path=path) as server:
            await answers(server)
        assert not path.exists()


async def test_a_live_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with serving(echo, unix_path=path) as server:
        with pytest.raises(OSError, match="listens there already") as caught:
            Engine().allowWebSocketConnections(unix_path=path)
        assert caught.value.errno == errno.EADDRINUSE
        assert str(path) in str(caught.value)
        await answers(server)


async def test_a_live_server_with_a_full_queue_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        callers = []
        for _ in range(10):
            caller = socket.socket(socket.AF_UNIX)
            caller.setblocking(False)
            caller.connect_ex(path)
            callers.append(caller)
        with pytest.raises(OSError, match="listens there already"):
            Engine().allowWebSocketConnections(unix_path=path)
        assert Path(path).is_socket()
        for caller in callers:
            caller.close()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
async def test_what_is_no_socket_is_never_removed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "precious"
    if kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.write_text("data")
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"is no socket") as caught:
        Engine().allowWebSocketConnections(unix_path=path)
    assert caught.value.errno == errno.EADDRINUSE
    assert path.is_symlink() or path.exists()


async def test_a_socket_that_is_not_ours_any_more_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with serving(echo, unix_path=path) as old:
        path.unlink()
        async with serving(echo, unix_path=path) as new:
            old.close()
            await old.wait_closed()
            assert path.is_socket()
            await answers(new)
    assert not path.exists()


async def test_a_relative_path_is_removed_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with serving(echo, unix_path="socket") as server:
        await answers(server)
        monkeypatch.chdir("/")
    assert not (tmp_path / "socket").exists()


@pytest.mark.parametrize(("path", "number"), [("no/such/directory", errno.ENOENT), ("x" * 200, None)])
async def test_a_path_that_cannot_be_bound(tmp_path: Path, path: str, number: int | None) -> None:
    with pytest.raises(OSError, match="unix_path") as caught:
        Engine().allowWebSocketConnections(unix_path=tmp_path / path)
    assert number in (None, caught.value.errno)


async def test_the_file_goes_with_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    code = f"""
import asyncio, voxwire
async def main():
    voxwire.Engine().allowWebSocketConnections(unix_path={str(path)!r})
asyncio.run(main())
"""
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=True, timeout=20)
    assert not path.exists()


@pytest.mark.parametrize("listening", [True, False])
async def test_a_socket_that_is_there_already(listening: bool) -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    name = sock.getsockname()
    if listening:
        sock.listen()
    async with serving(echo, sock=sock) as server:
        assert sock.fileno() == -1  # it is the server's
        assert server.addresses == [name]
        assert server.port == name[1]
        assert server.unix_path is None
        await answers(server)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(name)


async def test_an_activated_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    async with serving(echo, sock=sock) as server:
        assert (server.addresses, server.unix_path) == ([], str(path))
        await answers(server)
    assert path.is_socket()  # whoever made it removes it


async def test_sockets_that_cannot_be_used() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket() as unbound, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        for sock in (ours, unbound, datagrams, 5, "sock"):
            with pytest.raises(voxwire.InvalidParameter, match="^sock: "):
                Engine().allowWebSocketConnections(sock=sock)  # type: ignore[arg-type]
        with socket.create_server(("127.0.0.1", 0)) as good:
            with pytest.raises(voxwire.InvalidParameter, match="max_connections"):
                Engine().allowWebSocketConnections(sock=good, max_connections=0)
            assert good.fileno() != -1  # it stays with its owner


async def test_what_excludes_each_other(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        combinations: list[tuple[dict[str, Any], str]] = [
            ({"host": "127.0.0.1", "unix_path": "/x"}, "unix_path.*nothing beside host"),
            ({"port": 0, "unix_path": "/x"}, "unix_path.*nothing beside port"),
            ({"host": "h", "port": 1, "sock": sock}, "sock.*nothing beside host and port"),
            ({"unix_path": "/x", "sock": sock}, "sock.*nothing beside unix_path"),
            ({"unix_path": "/x", "reuse_port": True}, "reuse_port.*nothing beside unix_path"),
            ({"sock": sock, "reuse_port": True}, "reuse_port.*nothing beside sock"),
            ({"unix_mode": 0o600}, "unix_mode.*without unix_path"),
            ({"unix_path": "/x", "unix_mode": 0o10000}, "unix_mode"),
            ({"unix_path": "/x", "unix_mode": "600"}, "unix_mode"),
            ({"unix_path": ""}, "unix_path"),
            ({"unix_path": "\0abstract"}, "unix_path"),
            ({"unix_path": b"/x"}, "unix_path"),
            ({"port": 65536}, "port"),
            ({"port": -1}, "port"),
            ({"port": "80"}, "port"),
            ({"host": 5}, "host"),
            ({"reuse_port": 1}, "reuse_port"),
        ]
        for parameters, match in combinations:
            with pytest.raises(voxwire.InvalidParameter, match=match):
                Engine().allowWebSocketConnections(**parameters)
        assert sock.fileno() != -1
    assert not list(tmp_path.iterdir())
