"""Other ways to a server than TCP by name: Unix sockets, sockets that are there already, a chosen address of ours."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from support.raw import RawPeer, RawServer
from support.tls import Certificates
from test_connect import failing

import voxwire
from voxwire import TLSOptions, WebSocket


class UnixServer(RawServer):
    """The same on a Unix socket."""

    def __init__(self, path: Path, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.listener.close()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        scheme, host = ("ws", "somewhere.invalid") if self.context is None else ("wss", "localhost")
        self.url = f"{scheme}://{host}/path"


class Echo:
    """Answers one message; keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []

    def __call__(self, peer: RawPeer) -> None:
        peer.accept()
        self.requests.append((peer.request, peer.headers["host"]))
        peer.send(0x1, peer.frame().payload)
        peer.answer_close()


async def echoed(url: str, **parameters: Any) -> tuple[Any, Any]:
    async with WebSocket(url, **parameters) as ws:
        ws.send("x" * 1000)
        assert await ws.recv() == "x" * 1000
        return ws.local_address, ws.remote_address


async def test_a_unix_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")  # not for this
    script = Echo()
    path = tmp_path / "socket"
    with UnixServer(path, script) as server:
        assert await echoed(server.url, unix_path=path) == (None, None)
        assert await echoed(server.url, unix_path=str(path)) == (None, None)
    assert script.requests == [("GET /path HTTP/1.1", "somewhere.invalid")] * 2


async def test_tls_over_a_unix_socket(tmp_path: Path, certificates: Certificates) -> None:
    path = tmp_path / "socket"
    with UnixServer(path, Echo(), certificates.server_context()) as server:
        await echoed(server.url, unix_path=path, tls=TLSOptions(ca_file=certificates.ca))


async def test_no_unix_socket(tmp_path: Path) -> None:
    error = await failing("ws://h/", unix_path=tmp_path / "none")
    assert isinstance(error, voxwire.ConnectError)
    assert error.errno == 2
    assert f"unix_path {tmp_path / 'none'}: No such file" in str(error)
    error = await failing("ws://h/", unix_path="/" + "x" * 200)
    assert "unix_path" in str(error)


async def test_redirects_on_a_unix_socket(tmp_path: Path) -> None:
    locations = iter(["/next", "ws://other.invalid/"])

    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(f"HTTP/1.1 302 Found\r\nLocation: {next(locations)}\r\nContent-Length: 0\r\n\r\n".encode())
        peer.hang_up()

    with UnixServer(tmp_path / "socket", script) as server:
        error = await failing(server.url, unix_path=tmp_path / "socket")
    assert isinstance(error, voxwire.RedirectError)
    assert "unix_path to this one only" in str(error)
    assert next(locations, None) is None


async def test_a_connected_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")  # not for this
    script = Echo()
    with RawServer(script) as server:
        for timeout in (None, 0, 3):
            sock = socket.create_connection(("127.0.0.1", server.port))
            sock.settimeout(timeout)
            ours, theirs = sock.getsockname(), sock.getpeername()
            assert await echoed("ws://somewhere.invalid/path", sock=sock) == (ours, theirs)
            assert sock.fileno() == -1  # it is the WebSocket's
    assert script.requests == [("GET /path HTTP/1.1", "somewhere.invalid")] * 3


async def test_a_socket_pair_and_its_end() -> None:
    ours, theirs = socket.socketpair()
    peer = RawPeer(theirs)
    ws = WebSocket("ws://somewhere.invalid/", sock=ours)
    ws.close()
    await ws.wait_closed()
    peer.wait_eof()  # nothing keeps it open
    theirs.close()


async def test_a_socket_stays_with_its_owner_when_the_call_raises() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(voxwire.InvalidParameter):
            WebSocket("ws://h/", sock=ours, headers={"Host": "a b"})
        with pytest.raises(voxwire.InvalidURL):
            WebSocket("ftp://h/", sock=ours)
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"


async def test_redirects_on_a_connected_socket() -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")
        peer.hang_up()

    with RawServer(script) as server:
        error = await failing(server.url, sock=socket.create_connection(("127.0.0.1", server.port)))
    assert isinstance(error, voxwire.RedirectError)
    assert "sock to this one only" in str(error)


async def test_what_is_no_connected_stream_socket() -> None:
    with socket.socket() as unconnected, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(("127.0.0.1", 9))
        for sock in (unconnected, datagrams):
            with pytest.raises(voxwire.InvalidParameter, match="^sock: "):
                WebSocket("ws://h/", sock=sock)
            assert sock.fileno() != -1


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is all of 127.0.0.0/8 this machine")
@pytest.mark.parametrize("local", ["127.0.0.2", ("127.0.0.2", 0)])
async def test_a_local_address(local: Any) -> None:
    with RawServer(Echo()) as server:
        ours, _ = await echoed(server.url, local_address=local)
    assert ours[0] == "127.0.0.2"


async def test_a_local_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with RawServer(Echo()) as server:
        ours, _ = await echoed(server.url, local_address=("127.0.0.1", port))
    assert ours == ("127.0.0.1", port)


async def test_a_local_address_that_is_not_ours() -> None:
    with RawServer(Echo()) as server:
        error = await failing(server.url, local_address="192.0.2.77")
        assert "local_address 192.0.2.77:0" in str(error)
        error = await failing(server.url, local_address="::1")
        assert "is of another family than local_address ::1" in str(error)


async def test_what_excludes_each_other() -> None:
    ours, theirs = socket.socketpair()
    combinations: list[dict[str, Any]] = [
        {"sock": ours, "unix_path": "/x"},
        {"sock": ours, "local_address": "127.0.0.1"},
        {"sock": ours, "proxy": "http://user:secret@h"},
        {"unix_path": "/x", "local_address": "127.0.0.1"},
        {"unix_path": "/x", "proxy": "http://user:secret@h"},
    ]
    with ours, theirs:
        for parameters in combinations:
            with pytest.raises(voxwire.InvalidParameter, match="nothing beside") as caught:
                WebSocket("ws://h/", **parameters)
            assert "secret" not in str(caught.value)
