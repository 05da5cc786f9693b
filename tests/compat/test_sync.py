"""The API for threads where it goes further than the original, and what needs a process of its own."""

import contextlib
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from support import frames
from support.raw import RawPeer, RawServer
from support.tls import Certificates

from voxwire.compat.websockets.sync.client import ClientConnection, connect
from voxwire.compat.websockets.sync.server import Server, serve


@contextlib.contextmanager
def serving(handler: Any, **kwargs: Any) -> Iterator[tuple[Server, str]]:
    with serve(handler, "127.0.0.1", 0, **kwargs) as server:
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server, url
        finally:
            server.shutdown()
            thread.join()


def test_tls_through_a_tls_proxy(tmp_path: Path) -> None:
    """Several inner records come in one outer record, after which the socket is not readable any more."""
    certificates = Certificates(trustme.CA(), tmp_path)
    sizes = (1, 16385, 300_000)
    heard: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept(None)
        heard.extend(len(peer.frame().payload) for _ in range(2))
        for size in sizes:
            peer.send(frames.BINARY, b"x" * size)
        peer.answer_close()

    def proxy(peer: RawPeer) -> None:
        """One thread for both directions: an SSLSocket is not for two threads at once."""
        outer = peer.sock
        assert isinstance(outer, ssl.SSLSocket)
        peer.read_head()
        with socket.create_connection(("127.0.0.1", server.port)) as inner:
            peer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            other: dict[socket.socket, socket.socket] = {outer: inner, inner: outer}
            while True:
                readable = [outer] if outer.pending() else select.select(list(other), [], [])[0]
                for source in readable:
                    data = source.recv(65536)
                    if not data:
                        outer.shutdown(socket.SHUT_RDWR)
                        return
                    other[source].sendall(data)

    ours, its = certificates.client_context(), certificates.client_context()
    with (
        RawServer(script, certificates.server_context()) as server,
        RawServer(proxy, certificates.server_context()) as tunnel,
        connect(
            server.url, proxy=f"https://localhost:{tunnel.port}", ssl=ours, proxy_ssl=its, compression=None
        ) as connection,
    ):
        connection.send("twice")
        connection.send(b"y" * 200_000)
        assert [len(connection.recv(timeout=15)) for _ in sizes] == list(sizes)
    assert heard == [5, 200_000]


def test_a_server_that_never_served_shuts_down() -> None:
    server = serve(lambda _: None, "127.0.0.1", 0)
    server.shutdown()
    server.serve_forever()  # returns at once
    assert server.fileno() == -1


def test_shutdown_in_a_handler_raises() -> None:
    raised: list[BaseException] = []

    def handler(connection: Any) -> None:
        try:
            connection.server.shutdown()
        except RuntimeError as error:
            raised.append(error)

    with serving(handler) as (_, url), connect(url) as connection:
        assert connection.wait_closed(15)
    assert "cannot be called in one" in str(raised[0])


def test_a_subclass_that_overrides_the_inside() -> None:
    seen: list[str] = []

    class Mine(ClientConnection):
        def process_event(self, event: Any) -> None:
            seen.append(type(event).__name__)
            super().process_event(event)

        @contextlib.contextmanager
        def send_context(self, **kwargs: Any) -> Iterator[None]:
            seen.append("begin")
            with super().send_context(**kwargs):
                yield

    def handler(connection: Any) -> None:
        for message in connection:
            connection.send(message)

    with serving(handler) as (_, uri), connect(uri, create_connection=Mine) as connection:
        connection.send("hello")
        assert connection.recv() == "hello"
    assert seen == ["begin", "Response", "begin", "Frame", "begin", "Frame"]


def test_both_directions_are_busy(tmp_path: Path) -> None:
    """Over TLS one thread reads and another writes: OpenSSL has to see them one after the other."""
    certificates = Certificates(trustme.CA(), tmp_path)

    def handler(connection: Any) -> None:
        for message in connection:
            connection.send(message)

    tls = certificates.client_context()
    with (
        serving(handler, compression=None, ssl=certificates.server_context()) as (_, url),
        connect(f"wss{url[2:]}", compression=None, ssl=tls, server_hostname="localhost") as connection,
    ):
        received: list[Any] = []
        reader = threading.Thread(target=lambda: received.extend(connection.recv(timeout=15) for _ in range(2000)))
        reader.start()
        for number in range(2000):
            connection.send(str(number) * 50)
        reader.join()
    assert received == [str(number) * 50 for number in range(2000)]


PROGRAM = """
import sys
from voxwire.compat.websockets.sync.client import connect
connection = connect(sys.argv[1], compression=None, legacy=True)
print("waits", flush=True)
try:
    {wait}
except KeyboardInterrupt:
    print("interrupted", flush=True)
connection.send("still there")
connection.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
@pytest.mark.parametrize("wait", ["connection.recv()", "next(connection.recv_streaming())", "connection.ping().wait()"])
def test_ctrl_c_interrupts(wait: str) -> None:
    heard: list[bytes] = []

    def script(peer: RawPeer) -> None:
        peer.accept(None)
        heard.append(peer.until(frames.TEXT).payload)
        peer.answer_close()

    with RawServer(script) as server:
        program = [sys.executable, "-c", PROGRAM.format(wait=wait), server.url]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "waits\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
            assert process.wait(15) == 0
    assert heard == [b"still there"]
