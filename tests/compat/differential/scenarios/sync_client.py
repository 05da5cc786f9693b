"""The API for threads, opening: `connect`, `unix_connect`, `reconnect`, and what can go wrong before a connection is open."""

from __future__ import annotations

import socket
import time
import warnings
from typing import Any

from support import frames
from support.raw import RawPeer

from differential.blocking import Blocking, blocking
from differential.trial import plain


@blocking
def with_connect(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        t.trial.peer.append(peer.request)
        for name in ("host", "user-agent", "sec-websocket-extensions", "x-mine", "origin", "sec-websocket-protocol"):
            t.trial.peer.append(plain(f"{name}: {peer.headers.get(name)}"))
        t.hear_all(peer)

    with t.raw(script) as server:
        options: dict[str, Any] = {"additional_headers": {"X-Mine": "1"}, "origin": "http://here"}
        with t.client.connect(f"{server.url}chat?a=b", subprotocols=["a", "b"], **options) as ws:
            t.look(ws)
            t.note("addresses", f"{ws.local_address} {ws.remote_address}")
            t.note("response", f"{ws.response.status_code} {ws.response.reason_phrase}")
            t.note("path", ws.request.path)
            ws.send("hello")
        t.look(ws)


@blocking
def an_error_inside_with(t: Blocking) -> None:
    with t.raw(t.hear_all) as server:
        try:
            with t.client.connect(server.url, compression=None) as ws:
                raise ValueError("mine")
        except ValueError as error:
            t.note("error", repr(error))
        t.look(ws)


@blocking
def without_with(t: Blocking) -> None:
    with t.raw(t.hear_all) as server:
        for legacy in (None, True):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                ws = t.client.connect(server.url, compression=None, legacy=legacy)
                ws.send("first")
                ws.send("second")
                ws.close()
            t.note(f"legacy={legacy}", [(w.category.__name__, str(w.message)) for w in caught])
            t.look(ws)


@blocking
def nobody_there(t: Blocking) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    t.outcome("connect", t.client.connect, f"ws://127.0.0.1:{port}/")


@blocking
def wrong_arguments(t: Blocking) -> None:
    url = "ws://127.0.0.1:1/"
    t.outcome("http", t.client.connect, "http://127.0.0.1/")
    t.outcome("compression", t.client.connect, url, compression="zip")
    t.outcome("subprotocols", t.client.connect, url, subprotocols="chat")
    t.outcome("ssl", t.client.connect, url, ssl=t.trial.certificates.client_context())
    t.outcome("unknown", t.client.connect, url, nonsense=1, proxy=None)
    t.outcome("no path", t.client.unix_connect)


@blocking
def a_server_that_refuses(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    with t.raw(script, handshake=False) as server:
        t.outcome("connect", t.client.connect, server.url, ping_interval=None)


@blocking
def a_refusal_without_a_length(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(b"HTTP/1.1 500 Oh\r\n\r\nno, sorry")

    with t.raw(script, handshake=False) as server:
        t.outcome("connect", t.client.connect, server.url)


@blocking
def a_server_that_hangs_up(t: Blocking) -> None:
    with t.raw(lambda peer: peer.read_head(), handshake=False) as server:
        t.outcome("connect", t.client.connect, server.url)


@blocking
def a_server_that_speaks_otherwise(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(b"220 smtp.example ESMTP\r\n")

    with t.raw(script, handshake=False) as server:
        t.outcome("connect", t.client.connect, server.url)


@blocking
def a_wrong_accept(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        lines = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: nonsense"
        peer.write(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n\r\n".encode())
        peer.wait_eof()

    with t.raw(script, handshake=False) as server:
        t.outcome("connect", t.client.connect, server.url)


@blocking
def a_server_that_says_nothing(t: Blocking) -> None:
    with t.raw(RawPeer.wait_eof, handshake=False) as server:
        begin = time.monotonic()
        t.outcome("connect", t.client.connect, server.url, open_timeout=0.2)
        t.note("in time", repr(0.15 < time.monotonic() - begin < 5))


@blocking
def redirects(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        t.note("asked", f"{peer.request} {peer.headers.get('authorization')}")
        if peer.request.startswith("GET / "):
            peer.write(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")
        elif peer.request.startswith("GET /next "):
            peer.write(f"HTTP/1.1 307 T\r\nLocation: {other.url}far\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            peer.write(b"HTTP/1.1 301 Gone\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n")

    def far(peer: RawPeer) -> None:
        t.trial.peer.append(f"far: {peer.request} {peer.headers.get('authorization')} {peer.headers.get('x-mine')}")
        t.hear_all(peer)

    with t.raw(script, handshake=False) as server, t.raw(far) as other:
        headers = {"Authorization": "secret", "X-Mine": "1"}
        with t.client.connect(server.url, compression=None, additional_headers=headers) as ws:
            t.note("path", ws.request.path)
        t.outcome("round", t.client.connect, f"{server.url}round")
        address = ("127.0.0.1", server.port)
        t.outcome("address", t.client.connect, f"{server.url}next", address=address)
        with socket.create_connection(address) as sock:
            t.outcome("sock", t.client.connect, server.url, sock=sock)


@blocking
def over_tls(t: Blocking) -> None:
    certificates = t.trial.certificates

    def script(peer: RawPeer) -> None:
        t.hear(peer, 2)
        for size in (0, 1, 16384, 16385, 300_000):
            peer.send(frames.BINARY, b"x" * size)
        t.hear_all(peer)

    with t.raw(script, certificates.server_context()) as server:
        with t.client.connect(server.url, ssl=certificates.client_context(), compression=None) as ws:
            ws.send("secret")
            ws.send(b"y" * 200_000)
            for _ in range(5):
                t.note("size", len(ws.recv(timeout=5)))
        t.look(ws)
        t.outcome("untrusted", t.client.connect, server.url)
        t.outcome("name", t.client.connect, server.url, ssl=certificates.client_context(), server_hostname="elsewhere")


@blocking
def a_socket_of_ones_own(t: Blocking) -> None:
    with t.raw(t.hear_all) as server, socket.create_connection(("127.0.0.1", server.port)) as sock:
        with t.client.connect("ws://example.test/", sock=sock, compression=None) as ws:
            t.note("the same", repr(ws.socket is sock))
            ws.send("hello")
        t.look(ws)


@blocking
def on_a_unix_socket(t: Blocking) -> None:
    path = str(t.trial.directory / "sync.sock")

    def handler(ws: Any) -> None:
        ws.send(f"{ws.request.path} {ws.request.headers['Host']}")

    with t.server.unix_serve(handler, path, compression=None) as server:
        serving = t.begin("serving", server.serve_forever)
        with t.client.unix_connect(path, "ws://there/x", compression=None) as ws:
            t.outcome("recv", ws.recv, 5)
        t.outcome("both", t.client.unix_connect, path, sock=socket.socket())
        server.shutdown()
        serving.end()
    (t.trial.directory / "sync.sock").unlink()


@blocking
def reconnecting(t: Blocking) -> None:
    numbers = iter(range(100))

    def script(peer: RawPeer) -> None:
        number = next(numbers)
        peer.read_head() if number == 1 else peer.accept(None)
        if number == 1:
            peer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        else:
            peer.text(str(number))
            peer.answer_close()

    with t.raw(script, handshake=False) as server:
        delays = lambda: iter([0.01, 0.02, 0.03])  # noqa: E731
        for ws in t.client.reconnect(server.url, compression=None, reconnect_delays=delays):
            text = ws.recv(timeout=5)
            t.note("received", text)
            if text == "3":
                break
            if text == "2":
                continue
        t.outcome("fatal", lambda: next(iter(t.client.connect("ws://127.0.0.1:1/", legacy=False, process_exception=1))))


@blocking
def through_an_http_proxy(t: Blocking) -> None:
    def proxy(peer: RawPeer) -> None:
        t.note("asked", peer.read_head())
        t.note("for", f"{peer.headers['host']} {peer.headers.get('proxy-authorization')}")
        if "refuse" in peer.request:
            peer.write(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")
        elif "nonsense" in peer.request:
            peer.write(b"nonsense\r\n\r\n")
        elif "silent" in peer.request:
            peer.wait_eof()
        else:
            peer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            peer.accept(None)
            t.hear_all(peer)

    with t.raw(proxy, handshake=False) as server:
        address = f"http://me:word@127.0.0.1:{server.port}"
        with t.client.connect("ws://server.test/x", proxy=address, compression=None) as ws:
            ws.send("hello")
        t.look(ws)
        for name in ("refuse", "nonsense"):
            t.outcome(name, t.client.connect, f"ws://{name}.test/", proxy=address)
        t.outcome("silent", t.client.connect, "ws://silent.test/", proxy=address, open_timeout=0.2)
        t.outcome("scheme", t.client.connect, "ws://silent.test/", proxy="ftp://127.0.0.1:1")
        wrong = t.trial.certificates.client_context()
        t.outcome("proxy_ssl", t.client.connect, "ws://server.test/", proxy=address, proxy_ssl=wrong)
