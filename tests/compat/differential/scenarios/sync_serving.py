"""The API for threads, servers: `serve`, `Server`, `ServerConnection`, `basic_auth`, `broadcast`, `route`."""

from __future__ import annotations

import base64
import contextlib
import http
import socket
import ssl
import threading
import time
from typing import Any

from support import frames
from support.raw import RawClient

from differential.blocking import Blocking, blocking


def echo(ws: Any) -> None:
    for message in ws:
        ws.send(message)


def _client(t: Blocking, server: Any, **kwargs: Any) -> Any:
    return t.client.connect(server.url, compression=None, **kwargs)


@blocking
def a_handler(t: Blocking) -> None:
    def handler(ws: Any) -> None:
        t.note("request", f"{ws.request.path} {ws.request.headers['Host']}")
        t.note("server", repr(ws in ws.server.connections))
        t.look(ws)
        echo(ws)

    with t.serving(handler) as server:
        with t.client.connect(f"{server.url}chat?a=b", compression=None) as ws:
            ws.send("hello")
            t.outcome("recv", ws.recv, timeout=5)
            t.note("server header", ws.response.headers["Server"].partition(" v")[0])
        t.look(ws)


@blocking
def a_handler_that_raises(t: Blocking) -> None:
    def handler(ws: Any) -> None:
        raise ValueError("mine")

    with t.serving(handler) as server, _client(t, server) as ws:
        t.outcome("recv", ws.recv)


@blocking
def a_handler_that_returns(t: Blocking) -> None:
    with t.serving(lambda ws: ws.send("bye")) as server, _client(t, server) as ws:
        t.outcome("all", lambda: list(ws))
        t.look(ws)


@blocking
def subprotocols(t: Blocking) -> None:
    with t.serving(echo, subprotocols=["a", "b"]) as server:
        with _client(t, server, subprotocols=["c", "b", "a"]) as ws:
            t.look(ws)
        t.outcome("none", _client, t, server)
        t.outcome("other", _client, t, server, subprotocols=["c"])


@blocking
def a_subprotocol_that_is_chosen(t: Blocking) -> None:
    def select(connection: Any, offered: Any) -> Any:
        t.note("asked", f"{type(connection).__name__} {offered}")
        if "wrong" in offered:
            raise ValueError("mine")
        return offered[-1] if offered else None

    with t.serving(echo, select_subprotocol=select) as server:
        with _client(t, server, subprotocols=["x", "y"]) as ws:
            t.look(ws)
        with _client(t, server) as ws:
            t.look(ws)
        t.outcome("wrong", _client, t, server, subprotocols=["wrong"])


@blocking
def processing_requests(t: Blocking) -> None:
    def process(connection: Any, request: Any) -> Any:
        if request.path == "/health":
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        if request.path == "/wrong":
            raise ValueError("mine")
        return None

    with t.serving(echo, process_request=process) as server:
        with _client(t, server) as ws:
            t.look(ws)
        for path in ("health", "wrong"):
            t.outcome(path, t.client.connect, f"{server.url}{path}")


@blocking
def processing_responses(t: Blocking) -> None:
    def process(connection: Any, request: Any, response: Any) -> Any:
        t.note("response", f"{response.status_code} {'Server' in response.headers}")
        response.headers["X-Mine"] = "1"
        if request.path == "/no":
            return connection.respond(403, "no\n")
        if request.path == "/wrong":
            raise ValueError("mine")
        return None

    with t.serving(echo, process_response=process, server_header=None) as server:
        with _client(t, server) as ws:
            t.note("header", ws.response.headers["X-Mine"])
            t.note("server", repr(ws.response.headers.get("Server")))
        for path in ("no", "wrong"):
            t.outcome(path, t.client.connect, f"{server.url}{path}")


@blocking
def origins(t: Blocking) -> None:
    with t.serving(echo, origins=["http://here", None]) as server:
        for origin in ("http://here", None):
            with _client(t, server, origin=origin) as ws:
                t.look(ws)
        t.outcome("there", _client, t, server, origin="http://there")


@blocking
def requests_that_are_wrong(t: Blocking) -> None:
    with t.serving(echo) as server:
        for request in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
            b"",
        ):
            with socket.create_connection(("127.0.0.1", server.port), timeout=8) as sock:
                sock.sendall(request)
                if not request:
                    sock.shutdown(socket.SHUT_WR)
                answer = b""
                try:
                    while piece := sock.recv(65536):
                        answer += piece
                except ConnectionResetError:
                    pass
                for line in answer.decode().split("\r\n"):
                    t.note("answer", repr(line))


@blocking
def a_client_that_says_nothing(t: Blocking) -> None:
    with t.serving(echo, open_timeout=0.2) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=8) as sock:
            begin = time.monotonic()
            t.note("answer", repr(sock.recv(100)))
            t.note("in time", repr(0.15 < time.monotonic() - begin < 5))


@blocking
def over_tls(t: Blocking) -> None:
    certificates = t.trial.certificates
    with t.serving(echo, ssl=certificates.server_context(), open_timeout=2) as server:
        with _client(t, server, ssl=certificates.client_context()) as ws:
            for size in (0, 1, 16385, 200_000):
                ws.send(b"x" * size)
                t.note("size", len(ws.recv(timeout=5)))
        t.look(ws)
        t.outcome("untrusted", _client, t, server, ssl=ssl.create_default_context())
        with socket.create_connection(("127.0.0.1", server.port), timeout=8) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                sock.recv(100)
        with _client(t, server, ssl=certificates.client_context()) as ws:
            ws.send("still there")
            t.outcome("recv", ws.recv, timeout=5)


@blocking
def basic_auth(t: Blocking) -> None:
    def handler(ws: Any) -> None:
        ws.send(ws.username)

    process = t.server.basic_auth("realm", [("me", "word"), ("you", "wörd")])
    with t.serving(handler, process_request=process) as server:
        place = server.url.removeprefix("ws://")
        for user in ("me:word@", "you:w%C3%B6rd@", "me:wrong@", "he:word@", ""):
            with t.raw(lambda _: None):
                result = t.outcome(user, lambda url: next(iter(t.client.reconnect(url))).recv(5), f"ws://{user}{place}")
            response = getattr(result, "response", None)
            t.note("asked for", repr(response and response.headers["WWW-Authenticate"]))
        headers = {"Authorization": "Bearer x"}
        t.outcome("other", t.client.connect, server.url, additional_headers=headers)
        other = base64.b64encode(b"me").decode()
        t.outcome("half", t.client.connect, server.url, additional_headers={"Authorization": f"Basic {other}"})
    for args in (("r",), ("r", 1), ("r", [1]), ("r", ("a", "b"), print)):
        t.outcome(f"{args[:2]}", t.server.basic_auth, *args)
    check = t.server.basic_auth("r", check_credentials=lambda user, word: user == word)
    with t.serving(handler, process_request=check) as server:
        place = server.url.removeprefix("ws://")
        with t.client.connect(f"ws://a:a@{place}") as ws:
            t.outcome("checked", ws.recv, 5)
        t.outcome("wrong", t.client.connect, f"ws://a:b@{place}")


@blocking
def broadcast(t: Blocking) -> None:
    there = threading.Barrier(4)

    def handler(ws: Any) -> None:
        there.wait(5)
        ws.wait_closed()

    with t.serving(handler) as server:
        clients = [t.client.connect(server.url, compression=None, legacy=True) for _ in range(3)]
        there.wait(5)
        for message, kwargs in (("text", {}), (b"bytes", {}), (b"text", {"text": True}), ("bytes", {"text": False})):
            t.server.broadcast(server.connections, message, **kwargs)
            for ws in clients:
                t.outcome("recv", ws.recv, 5)
        t.outcome("number", t.server.broadcast, server.connections, 1)
        t.outcome("nobody", t.server.broadcast, [], "x", max_workers=1)
        for ws in clients:
            ws.close()
        t.outcome("closed", t.server.broadcast, clients, "x", raise_exceptions=True)


@blocking
def shutdown(t: Blocking) -> None:
    with t.serving(echo) as server:
        with _client(t, server) as ws:
            receiving = t.begin("recv", ws.recv)
            ws.send("first")
            receiving.end()
            t.outcome("shutdown", server.shutdown)
            t.outcome("recv", ws.recv, 5)
            t.look(ws)
        t.outcome("connect", t.client.connect, server.url)
        t.note("fileno", server.fileno())


@blocking
def shutdown_with_a_reason(t: Blocking) -> None:
    with t.serving(echo) as server, _client(t, server) as ws:
        ws.send("first")
        t.outcome("recv", ws.recv, 5)
        t.outcome("shutdown", server.shutdown, code=1012, reason="restart")
        t.outcome("recv", ws.recv, 5)


@blocking
def shutdown_that_waits(t: Blocking) -> None:
    with t.serving(echo) as server, _client(t, server) as ws:
        ws.send("first")
        t.outcome("recv", ws.recv, 5)
        down = t.begin("shutdown", server.shutdown, False)
        time.sleep(0.1)
        t.note("waits", repr(down.thread.is_alive()))
        ws.send("still")
        t.outcome("recv", ws.recv, 5)
        ws.close()
        down.end()


@blocking
def shutdown_during_an_opening_handshake(t: Blocking) -> None:
    asked, go = threading.Event(), threading.Event()

    def process(_connection: Any, _request: Any) -> None:
        asked.set()
        go.wait(5)

    with t.serving(echo, process_request=process) as server:
        opening = t.begin("connect", t.client.connect, server.url, compression=None)
        asked.wait(5)
        down = t.begin("shutdown", server.shutdown)
        while server.fileno() != -1:
            time.sleep(0.01)
        time.sleep(0.3)
        go.set()
        opening.end()
        down.end()


@blocking
def wrong_arguments(t: Blocking) -> None:
    sock = socket.socket()
    t.outcome("host", t.server.serve, echo, "127.0.0.1", sock=sock)
    t.outcome("port", t.server.serve, echo, port=1, sock=sock)
    t.outcome("path", t.server.unix_serve, echo, "x", sock=sock)
    t.outcome("no path", t.server.unix_serve, echo)
    t.outcome("compression", t.server.serve, echo, "127.0.0.1", 0, compression="zip")
    t.outcome("subprotocols", t.server.serve, echo, "127.0.0.1", 0, subprotocols="chat")
    sock.close()


@blocking
def a_client_that_breaks_the_protocol(t: Blocking) -> None:
    ended = threading.Event()

    def handler(ws: Any) -> None:
        t.outcome("recv", ws.recv)
        t.look(ws)
        ended.set()

    with t.serving(handler) as server:
        client = RawClient(server.url).open()
        client.write(frames.build(frames.TEXT, b"unmasked", mask=False))
        t.hear_all(client)
        client.hang_up()
        ended.wait(5)


@blocking
def a_connection_of_ones_own(t: Blocking) -> None:
    class Mine(t.server.ServerConnection):  # type: ignore[name-defined,misc]
        def send(self, message: Any, **kwargs: Any) -> None:
            super().send(f"<{message}>", **kwargs)

    class Other(t.client.ClientConnection):  # type: ignore[name-defined,misc]
        def recv(self, *args: Any, **kwargs: Any) -> Any:
            return f"[{super().recv(*args, **kwargs)}]"

    with t.serving(echo, create_connection=Mine) as server:
        with _client(t, server, create_connection=Other) as ws:
            ws.send("x")
            t.outcome("recv", ws.recv, 5)


@blocking
def routes(t: Blocking) -> None:
    from importlib.util import find_spec

    router = t.trial.module("sync.router")
    if find_spec("werkzeug") is None:
        t.outcome("route", router.route, None)
        t.outcome("unix_route", router.unix_route, None)
        return
    from werkzeug.routing import Map, Rule

    def channel(ws: Any, number: int) -> None:
        ws.send(f"channel {number}")

    rules = Map([Rule("/channel/<int:number>", endpoint=channel), Rule("/old", redirect_to="/channel/1")])
    with router.route(rules, "127.0.0.1", 0, compression=None) as server:
        serving = t.begin("serving", server.serve_forever)
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        for path in ("/channel/7", "/old"):
            with t.client.connect(url + path, compression=None) as ws:
                t.outcome(path, ws.recv, 5)
        t.outcome("not found", t.client.connect, f"{url}/nowhere")
        server.shutdown()
        serving.end()
