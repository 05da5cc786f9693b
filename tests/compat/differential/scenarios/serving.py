"""Servers: requests, process_request, process_response, subprotocols, origins, basic_auth, handlers, shutdown."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from typing import Any

from support import frames
from support.http import plain as plain_request
from support.raw import RawPeer

from differential.trial import Trial, debugged, scenario


async def _echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


def _request(*headers: str, path: str = "/", method: str = "GET", version: str = "1.1", without: str = "") -> bytes:
    lines = ["Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    lines = [line for line in lines if not (without and line.startswith(without))]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines, *headers, "", ""]).encode("latin-1")


async def _answers(t: Trial, *requests: bytes, **kwargs: Any) -> None:
    """What a server answers to these."""

    async def handler(ws: Any) -> None:
        t.note("handled", f"{ws.request.path} {ws.subprotocol!r} {ws.protocol.origin!r} {ws.protocol.extensions}")
        await ws.wait_closed()

    async with t.serving(handler, **kwargs) as server:
        for request in requests:
            await t.request(server.port, request)


@scenario
async def accepted(t: Trial) -> None:
    await _answers(t, _request())


@scenario
async def bad_requests(t: Trial) -> None:
    await _answers(
        t,
        _request(method="POST"),
        _request(version="1.0"),
        _request(version="2.0"),
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \x01\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        _request("Content-Length: 1"),
        _request("Content-Length: 0"),
        _request("Transfer-Encoding: chunked"),
    )


@scenario
async def missing_headers(t: Trial) -> None:
    names = ("Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
    await _answers(t, *(_request(without=name) for name in names))


@scenario
async def wrong_headers(t: Trial) -> None:
    await _answers(
        t,
        _request("Upgrade: other", without="Upgrade"),
        _request("Connection: close", without="Connection"),
        _request("Connection: keep-alive, Upgrade", without="Connection"),
        _request("Connection: @", without="Connection"),
        _request("Sec-WebSocket-Key: short", without="Sec-WebSocket-Key"),
        _request("Sec-WebSocket-Key: !!!", without="Sec-WebSocket-Key"),
        _request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        _request("Sec-WebSocket-Version: 12", without="Sec-WebSocket-Version"),
        _request("Sec-WebSocket-Version: 13"),
        _request("Origin: a", "Origin: b"),
    )


@scenario
async def too_long(t: Trial) -> None:
    await _answers(t, _request(path="/" + "x" * 9000), _request("X: " + "y" * 9000), _request(*["X: y"] * 130))


@debugged
async def bad_requests_are_logged(t: Trial) -> None:
    await _answers(t, _request(method="POST"), _request(without="Upgrade"), _request("Origin: x"), origins=["y"])


@scenario
async def extensions(t: Trial) -> None:
    name = "Sec-WebSocket-Extensions: "
    await _answers(
        t,
        *(
            _request(name + offer)
            for offer in (
                "permessage-deflate",
                "permessage-deflate; client_max_window_bits",
                "permessage-deflate; client_max_window_bits=10; server_max_window_bits=10",
                "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15",
                "permessage-deflate; server_max_window_bits=8",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "permessage-deflate; unknown, permessage-deflate",
                "permessage-deflate, permessage-deflate",
                "other; a=b",
                "permessage-deflate; server_max_window_bits",
                "@",
            )
        ),
        compression="deflate",
    )


@scenario
async def extensions_of_ones_own(t: Trial) -> None:
    factory = t.deflate.ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=11,
        client_max_window_bits=9,
        require_client_max_window_bits=True,
    )
    name = "Sec-WebSocket-Extensions: permessage-deflate"
    await _answers(t, _request(name), _request(name + "; client_max_window_bits"), extensions=[factory])


@scenario
async def no_extensions(t: Trial) -> None:
    await _answers(t, _request("Sec-WebSocket-Extensions: permessage-deflate"))


@scenario
async def subprotocols(t: Trial) -> None:
    name = "Sec-WebSocket-Protocol: "
    requests = [
        _request(),
        *(_request(name + offer) for offer in ("chat", "other, chat", "chat, superchat", "none", "@")),
    ]
    await _answers(t, *requests, subprotocols=["superchat", "chat"])
    await _answers(t, _request(name + "chat"))


@scenario
async def select_subprotocol(t: Trial) -> None:
    def select(ws: Any, offered: list[str]) -> str | None:
        t.note("offered", f"{type(ws).__name__} {offered!r} {ws.request.path}")
        if "bad" in offered:
            raise t.exceptions.NegotiationError("not that one")
        if "worse" in offered:
            raise KeyError("mine")
        return offered[-1] if offered else None

    name = "Sec-WebSocket-Protocol: "
    requests = [_request(), *(_request(name + offer) for offer in ("a, b", "bad", "worse"))]
    await _answers(t, *requests, select_subprotocol=select)


@scenario
async def origins(t: Trial) -> None:
    allowed = ["https://one.example", re.compile(r"https?://.*\.two\.example"), None]
    requests = [
        _request(f"Origin: {origin}") for origin in ("https://one.example", "http://a.two.example", "https://bad")
    ]
    await _answers(t, *requests, _request(), origins=allowed)
    await _answers(t, _request(), origins=["https://one.example"])


@scenario
async def server_header(t: Trial) -> None:
    await _answers(t, _request(), server_header="mine/1.0")
    await _answers(t, _request(), server_header=None)
    await _answers(t, plain_request(), server_header=None)


@scenario
async def process_request(t: Trial) -> None:
    def process(ws: Any, request: Any) -> Any:
        t.note("request", f"{request.method} {request.path} {request.headers['Host']} {request.protocol}")
        t.look(ws)
        if request.path == "/health":
            return ws.respond(200, "fine\n")
        if request.path == "/own":
            return t.http11.Response(299, "Mine", t.datastructures.Headers({"X-Mine": "yes"}), b"\x00\xff")
        if request.path == "/bad":
            raise KeyError("mine")
        if request.path == "/status":
            ws.respond(9999, "")
        return None

    await _answers(
        t, *(_request(path=path) for path in ("/", "/health", "/own", "/bad", "/status")), process_request=process
    )


@scenario
async def process_request_async(t: Trial) -> None:
    async def process(ws: Any, request: Any) -> Any:
        await asyncio.sleep(0)
        return None if request.path == "/" else ws.respond(403, "no\n")

    await _answers(t, _request(), _request(path="/x"), plain_request(path="/x"), process_request=process)


@scenario
async def process_response(t: Trial) -> None:
    def process(ws: Any, request: Any, response: Any) -> Any:
        t.note("response", f"{response.status_code} {response.reason_phrase} {len(response.body)}")
        response.headers["X-Added"] = "yes"
        if request.path == "/other":
            return ws.respond(404, "none\n")
        if request.path == "/bad":
            raise KeyError("mine")
        return None

    requests = [_request(), _request(path="/other"), _request(path="/bad"), plain_request()]
    await _answers(t, *requests, process_response=process)


@scenario
async def process_response_async(t: Trial) -> None:
    async def process(ws: Any, request: Any, response: Any) -> Any:
        await asyncio.sleep(0)
        response.headers["X-Added"] = "yes"

    await _answers(t, _request(), process_response=process)


def _basic(user: str) -> str:
    return f"Authorization: Basic {base64.b64encode(user.encode()).decode()}"


@scenario
async def basic_auth(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        t.note("user", ws.username)
        await ws.wait_closed()

    requests = [
        _request(),
        _request(_basic("me:secret")),
        _request(_basic("me:wrong")),
        _request(_basic("you:secret")),
        _request(_basic("nocolon")),
        _request("Authorization: Bearer x"),
        _request("Authorization: Basic"),
        _request("Authorization: Basic @@"),
        _request("Authorization: Basic abc"),
    ]
    for kwargs in (
        {"credentials": ("me", "secret")},
        {"realm": 'my "realm"', "credentials": [("me", "secret"), ("you", "x")]},
        {"check_credentials": lambda user, password: user == "you"},
    ):
        async with t.serving(handler, process_request=t.server.basic_auth(**kwargs)) as server:
            for request in requests:
                await t.request(server.port, request)


@scenario
async def basic_auth_async(t: Trial) -> None:
    async def check(user: str, password: str) -> bool:
        await asyncio.sleep(0)
        return password == "open"

    auth = t.server.basic_auth(check_credentials=check)
    await _answers(t, _request(_basic("a:open")), _request(_basic("a:shut")), process_request=auth)


@scenario
async def basic_auth_misuse(t: Trial) -> None:
    for kwargs in (
        {},
        {"credentials": ("a", "b"), "check_credentials": lambda user, password: True},
        {"credentials": 1},
        {"credentials": ("a", 1)},
        {"credentials": [("a", "b"), ("c",)]},
        {"credentials": "ab"},
        {"credentials": b"ab"},
    ):
        result = t.attempt("basic_auth", lambda: callable(t.server.basic_auth(**kwargs)))
        assert result is not None


@scenario
async def echo(t: Trial) -> None:
    async with t.serving(_echo) as server:

        def script(peer: Any) -> None:
            peer.text("hello")
            peer.send(frames.BINARY, b"data")
            t.hear(peer, 2)
            peer.close(1000, "bye")
            t.hear_all(peer)

        await t.visit(server.url, script)


@scenario
async def the_handler_returns(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        await ws.send("hello")

    async with t.serving(handler) as server:
        await t.visit(server.url, t.hear_all)


@scenario
async def the_handler_raises(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        raise KeyError("mine")

    async with t.serving(handler) as server:
        await t.visit(server.url, t.hear_all)
        await t.logged("connection handler failed")


@scenario
async def the_handler_closes(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        await ws.close(4000, "enough")
        t.look(ws)

    async with t.serving(handler) as server:
        await t.visit(server.url, t.hear_all)


@scenario
async def the_handler_meets_the_end(t: Trial) -> None:
    handled = asyncio.Semaphore(0)

    async def handler(ws: Any) -> None:
        await t.outcome("recv", ws.recv())
        await t.outcome("send", ws.send("late"))
        t.look(ws)
        handled.release()

    async with t.serving(handler) as server:
        for script in (lambda peer: peer.finish(4000, "bye"), RawPeer.hang_up, RawPeer.reset):
            await t.visit(server.url, script)
            await handled.acquire()  # a visitor may be gone before the handler has noted anything


@scenario
async def unmasked_frames(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        await t.outcome("recv", ws.recv())
        t.look(ws)

    def script(peer: Any) -> None:
        peer.write(b"\x81\x01a")
        t.hear_all(peer)

    async with t.serving(handler) as server:
        await t.visit(server.url, script)


@scenario
async def too_big(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        await t.outcome("recv", ws.recv())
        t.look(ws)

    def script(peer: Any) -> None:
        peer.text("x" * 11)
        t.hear_all(peer)

    async with t.serving(handler, max_size=10) as server:
        await t.visit(server.url, script)


@scenario
async def times_out(t: Trial) -> None:
    async with t.serving(_echo, open_timeout=0.1) as server:
        await t.request(server.port, b"GET / HTTP/1.1\r\n")


@scenario
async def hangs_up_before_the_request(t: Trial) -> None:
    async with t.serving(_echo) as server:
        await asyncio.to_thread(lambda: socket.create_connection(("127.0.0.1", server.port)).close())
        await asyncio.sleep(0.1)


@scenario
async def attributes(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        t.note("addresses", f"{ws.local_address!r} {ws.remote_address!r}")
        t.note("class", f"{type(ws).__name__} {ws.server is server} {ws in server.connections}")
        t.note("logger", ws.logger.name)
        t.note("response", ws.response)
        t.look(ws)

    async with t.serving(handler) as server:
        await t.visit(server.url, t.hear_all)
        t.note("serving", server.is_serving())
        t.note("loop", server.get_loop() is asyncio.get_running_loop())
        t.note("sockets", len(server.sockets))
        t.note("connections", server.connections)


@scenario
async def closes_with_connections(t: Trial) -> None:
    ready = asyncio.Event()

    async def handler(ws: Any) -> None:
        ready.set()
        await t.outcome("recv", ws.recv())
        t.look(ws)

    async with t.serving(handler) as server:
        visit = asyncio.create_task(t.visit(server.url, t.hear_all))
        await ready.wait()
        server.close()
        t.note("serving at once", server.is_serving())
        await server.wait_closed()
        t.note("serving", server.is_serving())
        t.note("connections", server.connections)
        await visit


@scenario
async def closes_with_a_code(t: Trial) -> None:
    ready = asyncio.Event()

    async def handler(ws: Any) -> None:
        ready.set()
        await ws.wait_closed()

    async with t.serving(handler) as server:
        visit = asyncio.create_task(t.visit(server.url, t.hear_all))
        await ready.wait()
        server.close(code=1012, reason="restart")
        server.close(code=1001)
        await server.wait_closed()
        await visit


@scenario
async def closes_and_keeps_connections(t: Trial) -> None:
    ready = asyncio.Event()

    async def handler(ws: Any) -> None:
        ready.set()
        await _echo(ws)

    def script(peer: Any) -> None:
        t.heard(peer.frame())
        peer.text("still here")
        t.hear(peer)
        peer.finish()

    async with t.serving(handler) as server:
        visit = asyncio.create_task(t.visit(server.url, script))
        await ready.wait()
        (ws,) = server.connections
        server.close(close_connections=False)
        await asyncio.sleep(0.05)
        await ws.send("closing soon")
        await server.wait_closed()
        await visit


@scenario
async def closes_while_one_opens(t: Trial) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def process(ws: Any, request: Any) -> None:
        asked.set()
        await go.wait()

    async with t.serving(_echo, process_request=process) as server:
        visit = asyncio.create_task(t.request(server.port, _request()))
        await asked.wait()
        server.close()
        await asyncio.sleep(0)
        go.set()
        await visit
        await server.wait_closed()


@scenario
async def serve_forever(t: Trial) -> None:
    server = await t.server.serve(_echo, "127.0.0.1", 0)
    task = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(0.02)
    t.note("serving", server.is_serving())
    task.cancel()
    await t.outcome("forever", asyncio.gather(task, return_exceptions=True))
    t.note("serving", server.is_serving())


@scenario
async def serve_forever_and_close(t: Trial) -> None:
    server = await t.server.serve(_echo, "127.0.0.1", 0)
    task = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(0.02)
    server.close()
    await t.outcome("forever", task)


@scenario
async def starts_later(t: Trial) -> None:
    server = await t.server.serve(_echo, "127.0.0.1", 0, start_serving=False)
    t.note("serving", server.is_serving())
    await server.start_serving()
    t.note("serving", server.is_serving())
    async with t.client.connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}") as ws:
        await ws.send("hello")
        await t.outcome("recv", ws.recv())
    server.close()
    await server.wait_closed()


@scenario
async def parameters_that_are_wrong(t: Trial) -> None:
    for kwargs in (
        {"compression": "gzip"},
        {"subprotocols": "chat"},
        {"subprotocols": ["not a token"]},
        {"no_such_parameter": 1},
    ):

        async def start(**kwargs: Any) -> None:
            server = await t.server.serve(_echo, "127.0.0.1", 0, **kwargs)
            server.close()

        await t.outcome(str(kwargs), start(**kwargs))


@scenario
async def broadcast(t: Trial) -> None:
    async with t.serving(lambda ws: ws.wait_closed()) as server:
        visits = [asyncio.create_task(t.visit(server.url, t.hear_all)) for _ in range(3)]
        while len(server.connections) < 3:
            await asyncio.sleep(0.01)
        t.server.broadcast(server.connections, "to all")
        await asyncio.sleep(0.05)
        server.close()
        await asyncio.gather(*visits)
        t.peer.sort()


@scenario
async def a_class_of_ones_own(t: Trial) -> None:
    class Mine(t.server.ServerConnection):  # type: ignore[name-defined,misc]
        async def send(self, message: Any, **kwargs: Any) -> None:
            await super().send(f"mine: {message}", **kwargs)

    async with t.serving(_echo, create_connection=Mine) as server:

        def script(peer: Any) -> None:
            peer.text("hello")
            t.hear(peer)
            peer.finish()

        await t.visit(server.url, script)


@scenario
async def both_ends(t: Trial) -> None:
    async with t.serving(_echo, subprotocols=["chat"], compression="deflate") as server:
        async with t.client.connect(server.url, subprotocols=["chat"]) as ws:
            t.look(ws)
            t.note("extensions", ws.protocol.extensions)
            for number in range(5):
                await ws.send(f"message {number} " * 50)
                t.note("recv", await ws.recv())
        t.look(ws)


@debugged
async def what_is_logged(t: Trial) -> None:
    async with t.serving(_echo) as server:

        def script(peer: Any) -> None:
            peer.text("hello")
            peer.frame()
            peer.finish(1000, "bye")

        await t.visit(server.url, script)
        await asyncio.sleep(0.05)
