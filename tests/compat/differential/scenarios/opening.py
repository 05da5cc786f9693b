"""Opening a client's connection: requests, responses, redirects, credentials, proxies, places, TLS, time-outs."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.raw import RawPeer

from differential.trial import Trial, plain, scenario


async def _request(t: Trial, **kwargs: Any) -> None:
    """What the request looks like."""

    def script(peer: RawPeer) -> None:
        t.peer.append(plain(peer.request))
        for name, value in peer.headers.items():
            t.peer.append(plain(f"{name.title().replace('Websocket', 'WebSocket')}: {value}"))
        peer.finish()

    with t.raw(script) as server:
        url = kwargs.pop("url", "{}").format(server.url)
        ws = await t.outcome("connect", t.client.connect(url, **kwargs), show=False)
        if not isinstance(ws, Exception):
            t.note("request", ws.request)
            t.note("response", ws.response)
            t.note("subprotocol", ws.subprotocol)
            await ws.wait_closed()


@scenario
async def defaults(t: Trial) -> None:
    await _request(t)


@scenario
async def path_and_query(t: Trial) -> None:
    await _request(t, url="{}a/b?c=d&e")


@scenario
async def no_compression(t: Trial) -> None:
    await _request(t, compression=None)


@scenario
async def origin_and_subprotocols(t: Trial) -> None:
    await _request(t, origin="https://example.com", subprotocols=["chat", "superchat"])


@scenario
async def additional_headers(t: Trial) -> None:
    await _request(t, additional_headers={"X-One": "1", "Authorization": "Bearer token"})


@scenario
async def additional_headers_as_pairs(t: Trial) -> None:
    await _request(t, additional_headers=[("X-One", "1"), ("X-Two", "2")])


@scenario
async def user_agent(t: Trial) -> None:
    await _request(t, user_agent_header="mine/1.0")


@scenario
async def no_user_agent(t: Trial) -> None:
    await _request(t, user_agent_header=None)


@scenario
async def user_agent_in_headers(t: Trial) -> None:
    await _request(t, additional_headers={"user-agent": "mine/2.0"})


@scenario
async def bad_header(t: Trial) -> None:
    await _request(t, additional_headers={"X-One": "1\r\nX-Two: 2"})


@scenario
async def credentials_in_the_url(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        t.peer.append(peer.headers["authorization"])
        peer.finish()

    with t.raw(script) as server:
        ws = await t.client.connect(server.url.replace("://", "://user%40:p%3Aw@"))
        await ws.wait_closed()


@scenario
async def deflate_parameters(t: Trial) -> None:
    factory = t.deflate.ClientPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=10,
        client_max_window_bits=11,
    )
    await _request(t, extensions=[factory])


@scenario
async def deflate_factory_misuse(t: Trial) -> None:
    for kwargs in (
        {"server_max_window_bits": 7},
        {"client_max_window_bits": 8},
        {"server_max_window_bits": 16},
        {"compress_settings": {"wbits": 9}},
    ):
        t.attempt(str(kwargs), t.deflate.ClientPerMessageDeflateFactory, **kwargs)
        t.attempt(str(kwargs), t.deflate.ServerPerMessageDeflateFactory, **kwargs)
    t.attempt("require", t.deflate.ServerPerMessageDeflateFactory, require_client_max_window_bits=True)


async def _uris(t: Trial, *uris: str, **kwargs: Any) -> None:
    for uri in uris:
        await t.outcome(uri, _connect(t, uri, **kwargs), show=False)


async def _connect(t: Trial, uri: str, **kwargs: Any) -> Any:
    return await t.client.connect(uri, **kwargs)


@scenario
async def bad_uris(t: Trial) -> None:
    await _uris(
        t,
        "http://localhost",
        "ws://",
        "localhost",
        "ws://localhost/#fragment",
        "ws://user@localhost/",
        "//localhost/",
        "",
    )


@scenario
async def bad_parameters(t: Trial) -> None:
    uri = "ws://localhost:1/"
    await _uris(t, uri, ssl=ssl.create_default_context())
    await _uris(t, "wss://localhost:1/", ssl=None)
    await _uris(t, uri, compression="gzip")
    await _uris(t, uri, subprotocols="chat")
    await _uris(t, uri, subprotocols={"chat"})
    await _uris(t, uri, subprotocols=["not a token"])
    await _uris(t, uri, proxy="ftp://proxy")
    await _uris(t, uri, proxy="http://proxy/path")
    await _uris(t, uri, proxy="http://user@proxy")
    await _uris(t, uri, proxy="http://proxy?query")
    await _uris(t, uri, proxy="http://proxy#fragment")
    await _uris(t, uri, proxy="http://")
    await _uris(t, uri, no_such_parameter=1)


@scenario
async def nobody_listens(t: Trial) -> None:
    with socket.socket() as bound:  # bound, and not listening
        bound.bind(("127.0.0.1", 0))
        error = await t.outcome("connect", _connect(t, f"ws://127.0.0.1:{bound.getsockname()[1]}"), show=False)
        t.note("class", type(error).__name__)


async def _answered(t: Trial, answer: bytes | Callable[[str], bytes], **kwargs: Any) -> Any:
    """The server answers the request with this."""

    def script(peer: RawPeer) -> None:
        peer.read_head()
        key = peer.headers["sec-websocket-key"]
        if isinstance(answer, bytes):
            peer.write(answer)
        else:
            peer.write(answer(_accept(key)))
            peer.wait_eof()

    with t.raw(script, handshake=False) as server:
        options = {"compression": None, **kwargs}
        ws = await t.outcome("connect", t.client.connect(server.url, **options), show=False)
        if not isinstance(ws, BaseException):
            t.look(ws)
            t.note("extensions", ws.protocol.extensions)
            ws.transport.abort()
            await ws.wait_closed()


def _accept(key: str) -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()


def _switch(*extra: str, without: str = "") -> Callable[[str], bytes]:
    """A response that opens, with more headers or without one."""

    def answer(accept: str) -> bytes:
        lines = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"]
        lines = [line for line in lines if not (without and line.startswith(without))]
        return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, *extra, "", ""]).encode()

    return answer


@scenario
async def refused(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")


@scenario
async def refused_with_a_body_to_the_end(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 503 Busy\r\nX-Why: load\r\n\r\nlater")


@scenario
async def refused_with_chunks(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")


@scenario
async def refused_with_wrong_chunks(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n")


@scenario
async def refused_with_another_coding(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: gzip\r\n\r\n")


@scenario
async def refused_with_a_huge_body(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 500 Oh\r\nContent-Length: 9999999\r\n\r\n")


@scenario
async def refused_with_a_wrong_length(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 500 Oh\r\nContent-Length: -1\r\n\r\n")


@scenario
async def plain_200(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


@scenario
async def hangs_up_at_once(t: Trial) -> None:
    await _answered(t, b"")


@scenario
async def hangs_up_within_the_status_line(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 10")


@scenario
async def hangs_up_within_headers(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: web")


@scenario
async def not_http(t: Trial) -> None:
    await _answered(t, b"hello\r\n\r\n")


@scenario
async def another_http(t: Trial) -> None:
    await _answered(t, b"HTTP/1.0 101 Switching Protocols\r\n\r\n")


@scenario
async def no_number(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 abc Oh\r\n\r\n")


@scenario
async def number_out_of_range(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 999 Oh\r\n\r\n")


@scenario
async def bad_header_lines(t: Trial) -> None:
    for line in (b"no colon", b"bad name: x", b"X-Bad: \x00"):
        await _answered(t, b"HTTP/1.1 101 OK\r\n" + line + b"\r\n\r\n")


@scenario
async def a_long_status_line(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 101 " + b"x" * 9000 + b"\r\n\r\n")


@scenario
async def a_long_header(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 101 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n")


@scenario
async def many_headers(t: Trial) -> None:
    await _answered(t, b"HTTP/1.1 101 OK\r\n" + b"X: y\r\n" * 130 + b"\r\n")


@scenario
async def missing_headers(t: Trial) -> None:
    for name in ("Upgrade", "Connection", "Sec-WebSocket-Accept"):
        await _answered(t, _switch(without=name))


@scenario
async def wrong_headers(t: Trial) -> None:
    await _answered(t, _switch("Upgrade: other", without="Upgrade"))
    await _answered(t, _switch("Connection: close, Upgrade", without="Connection"))
    await _answered(t, _switch("Connection: close", without="Connection"))
    await _answered(t, _switch("Connection: ,@", without="Connection"))
    await _answered(t, _switch("Sec-WebSocket-Accept: wrong", without="Sec-WebSocket-Accept"))
    await _answered(t, lambda accept: _switch(f"Sec-WebSocket-Accept: {accept}")(accept))


@scenario
async def subprotocols_chosen(t: Trial) -> None:
    await _answered(t, _switch("Sec-WebSocket-Protocol: chat"), subprotocols=["chat", "other"])
    await _answered(t, _switch(), subprotocols=["chat"])
    await _answered(t, _switch("Sec-WebSocket-Protocol: chat"))
    await _answered(t, _switch("Sec-WebSocket-Protocol: third"), subprotocols=["chat"])
    await _answered(t, _switch("Sec-WebSocket-Protocol: chat, other"), subprotocols=["chat", "other"])
    await _answered(t, _switch("Sec-WebSocket-Protocol: "), subprotocols=["chat"])


@scenario
async def extensions_chosen(t: Trial) -> None:
    name = "Sec-WebSocket-Extensions: permessage-deflate"
    await _answered(t, _switch(name))
    await _answered(t, _switch(name), compression="deflate")
    for extra in (
        "; server_no_context_takeover; client_no_context_takeover",
        "; server_max_window_bits=10; client_max_window_bits=9",
        "; client_max_window_bits=8",
        "; client_max_window_bits",
        "; server_max_window_bits=16",
        "; unknown",
        "; server_no_context_takeover; server_no_context_takeover",
        "; server_no_context_takeover=1",
        ", permessage-deflate",
        '; server_max_window_bits="10"',
        "; =",
    ):
        await _answered(t, _switch(name + extra), compression="deflate")
    await _answered(t, _switch("Sec-WebSocket-Extensions: other"), compression="deflate")


async def _redirected(t: Trial, location: str, status: str = "302 Found", **kwargs: Any) -> None:
    """The first request is redirected; the second one is noted."""
    requests: list[str] = []

    def script(peer: RawPeer) -> None:
        peer.read_head()
        requests.append(peer.request)
        t.peer.append(plain(peer.request))
        for name in ("authorization", "cookie", "x-other", "host"):
            if name in peer.headers:
                t.peer.append(plain(f"{name}: {peer.headers[name]}"))
        if len(requests) == 1:
            peer.write(
                f"HTTP/1.1 {status}\r\nLocation: {location.format(server.port)}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            return
        peer.write(_switch()(_accept(peer.headers["sec-websocket-key"])))
        peer.finish()

    with t.raw(script, handshake=False) as server:
        ws = await t.outcome("connect", t.client.connect(server.url, compression=None, **kwargs), show=False)
        if not isinstance(ws, BaseException):
            t.note("request", ws.request.path)
            await ws.wait_closed()


SECRETS = {"Authorization": "Basic abc", "Cookie": "a=b", "X-Other": "kept"}


@scenario
async def redirected(t: Trial) -> None:
    for status in ("300 Choose", "301 Moved", "302 Found", "303 See", "307 Again", "308 Moved"):
        await _redirected(t, "/elsewhere?x=y", status, additional_headers=SECRETS)


@scenario
async def redirected_relatively(t: Trial) -> None:
    await _redirected(t, "deeper/down")


@scenario
async def redirected_to_another_origin(t: Trial) -> None:
    await _redirected(t, "ws://localhost:{}/there", additional_headers=SECRETS)


@scenario
async def redirected_nowhere(t: Trial) -> None:
    await _redirected(t, "http://127.0.0.1:{}/")
    await _redirected(t, "ftp://127.0.0.1/")


@scenario
async def redirected_with_a_host_of_ones_own(t: Trial) -> None:
    await _redirected(t, "ws://localhost:{}/there", host="127.0.0.1")


@scenario
async def other_statuses_with_a_location(t: Trial) -> None:
    await _redirected(t, "/elsewhere", "304 Same")
    await _redirected(t, "/elsewhere", "201 Made")


@scenario
async def redirected_for_ever(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    with t.raw(script, handshake=False) as server:
        await t.outcome("connect", t.client.connect(server.url), show=False)


@scenario
async def times_out(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        go.wait(5)

    with t.raw(script, handshake=False) as server:
        await t.outcome("connect", t.client.connect(server.url, open_timeout=0.1), show=False)
        go.set()


@scenario
async def cancelled(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.read_head()
        try:
            peer.wait_eof()
            t.peer.append("EOF")
        finally:
            go.set()

    with t.raw(script, handshake=False) as server:
        await t.outcome("connect", asyncio.wait_for(t.client.connect(server.url).connect(), 0.1), show=False)
        await asyncio.to_thread(go.wait, 5)


@scenario
async def a_frame_behind_the_response(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(_switch()(_accept(peer.headers["sec-websocket-key"])) + b"\x81\x05hello\x88\x02\x03\xe8")
        t.hear_all(peer)

    with t.raw(script, handshake=False) as server:
        ws = await t.client.connect(server.url, compression=None)
        await t.outcome("recv", ws.recv())
        await t.outcome("recv", ws.recv())


@scenario
async def a_response_in_pieces(t: Trial) -> None:
    import time

    def script(peer: RawPeer) -> None:
        peer.read_head()
        for byte in _switch()(_accept(peer.headers["sec-websocket-key"])):
            peer.write(bytes([byte]))
        time.sleep(0.01)
        peer.finish()

    with t.raw(script, handshake=False) as server:
        ws = await t.client.connect(server.url, compression=None)
        await ws.wait_closed()
        t.look(ws)


@scenario
async def a_unix_socket(t: Trial) -> None:
    path = str(t.directory / f"unix-{id(t)}")

    async def handler(ws: Any) -> None:
        await ws.send(ws.request.path)

    async with t.server.unix_serve(handler, path) as server:
        t.note("sockets", [sock.getsockname() == path for sock in server.sockets])
        async with t.client.unix_connect(path) as ws:
            await t.outcome("recv", ws.recv())
            t.note("host", ws.request.headers["Host"])
            t.note("addresses", f"{ws.local_address!r} {ws.remote_address == path}")
        async with t.client.unix_connect(path, "ws://example.com/there") as ws:
            await t.outcome("recv", ws.recv())
            t.note("host", ws.request.headers["Host"])
    Path(path).unlink(missing_ok=True)


@scenario
async def a_socket_of_ones_own(t: Trial) -> None:
    with t.raw(lambda peer: peer.finish()) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        ws = await t.client.connect("ws://example.com/", sock=sock, compression=None)
        t.note("host", ws.request.headers["Host"])
        await ws.wait_closed()
        t.note("addresses", f"{type(ws.local_address).__name__} {type(ws.remote_address).__name__}")


@scenario
async def host_and_port(t: Trial) -> None:
    with t.raw(lambda peer: peer.finish()) as server:
        ws = await t.client.connect("ws://example.com/", host="127.0.0.1", port=server.port, compression=None)
        t.note("host", ws.request.headers["Host"])
        t.note("remote", ws.remote_address)
        await ws.wait_closed()


@scenario
async def secure(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async with t.serving(handler, ssl=t.certificates.server_context()) as server:
        async with t.client.connect(server.url, ssl=t.certificates.client_context()) as ws:
            await ws.send("secret" * 10000)
            t.note("bytes", len(await ws.recv()))
            t.note("tls", ws.transport.get_extra_info("ssl_object") is not None)
        t.look(ws)


@scenario
async def a_certificate_nobody_knows(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        await ws.wait_closed()

    async with t.serving(handler, ssl=t.certificates.server_context()) as server:
        error = await t.outcome("connect", _connect(t, server.url), show=False)
        t.note("class", [kind.__name__ for kind in type(error).__mro__])


@scenario
async def another_server_name(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        await ws.send("hello")

    async with t.serving(handler, ssl=t.certificates.server_context()) as server:
        url = server.url.replace("localhost", "127.0.0.1")
        context = t.certificates.client_context()
        await t.outcome("connect", _connect(t, url, ssl=context), show=False)
        async with t.client.connect(url, ssl=context, server_hostname="localhost") as ws:
            await t.outcome("recv", ws.recv())


async def _proxied(t: Trial, answer: bytes, *, user: str = "", **kwargs: Any) -> None:
    """An HTTP proxy that answers this and, if it is a success, is the server itself."""

    def script(peer: RawPeer) -> None:
        peer.read_head()
        t.peer.append(peer.request)
        for name, value in peer.headers.items():
            t.peer.append(plain(f"{name}: {value}"))
        peer.write(answer)
        if b" 200 " in answer:
            peer.accept(None)
            peer.finish()

    with t.raw(script, handshake=False) as proxy:
        address = f"http://{user}127.0.0.1:{proxy.port}"
        ws = await t.outcome(
            "connect", _connect(t, "ws://example.com/x", proxy=address, compression=None, **kwargs), show=False
        )
        if not isinstance(ws, BaseException):
            await ws.wait_closed()
            t.look(ws)


@scenario
async def a_proxy(t: Trial) -> None:
    await _proxied(t, b"HTTP/1.1 200 Connected\r\n\r\n")


@scenario
async def a_proxy_of_http_1_0(t: Trial) -> None:
    await _proxied(t, b"HTTP/1.0 200 Connected\r\n\r\n")


@scenario
async def a_proxy_with_credentials(t: Trial) -> None:
    await _proxied(t, b"HTTP/1.1 200 Connected\r\n\r\n", user="me:secret@", user_agent_header=None)


@scenario
async def a_proxy_that_refuses(t: Trial) -> None:
    await _proxied(t, b"HTTP/1.1 407 Who are you\r\nContent-Length: 3\r\n\r\nwho")


@scenario
async def a_proxy_that_says_nonsense(t: Trial) -> None:
    await _proxied(t, b"nonsense\r\n\r\n")


@scenario
async def a_proxy_that_hangs_up(t: Trial) -> None:
    await _proxied(t, b"")


@scenario
async def a_proxy_and_its_tls(t: Trial) -> None:
    await _uris(t, "ws://example.com/", proxy="http://127.0.0.1:1", proxy_ssl=True)
    await _uris(t, "ws://example.com/", proxy="https://127.0.0.1:1", proxy_ssl=None)


@scenario
async def no_socks(t: Trial) -> None:
    await _uris(t, "ws://example.com/", proxy="socks5://127.0.0.1:1")


@scenario
async def a_class_of_ones_own(t: Trial) -> None:
    class Mine(t.client.ClientConnection):  # type: ignore[name-defined,misc]
        async def recv(self, decode: bool | None = None) -> Any:
            return "mine: " + await super().recv(decode)

    def script(peer: RawPeer) -> None:
        peer.text("hello")
        t.hear_all(peer)

    async with t.connected(script, create_connection=Mine) as ws:
        t.note("class", type(ws).__name__)
        await t.outcome("recv", ws.recv())
        await ws.close()


@scenario
async def a_logger_of_ones_own(t: Trial) -> None:
    import logging

    logger = logging.getLogger("websockets.mine")
    async with t.connected(t.hear_all, logger=logger) as ws:
        t.note("logger", f"{type(ws.logger).__name__} {ws.logger.logger.name} {ws.logger.extra['websocket'] == ws}")
        ws.logger.warning("from the program")
        await ws.close()


@scenario
async def attributes(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        t.note("id", f"{type(ws.id).__name__} {ws.id.version}")
        t.note("addresses", f"{ws.local_address!r} {ws.remote_address!r}")
        t.note("latency", ws.latency)
        t.note("logger", ws.logger.name)
        t.look(ws)
        t.note("repr", type(ws.request).__name__ + type(ws.response).__name__)
        for name in ("ping_interval", "ping_timeout", "close_timeout"):
            t.note(name, getattr(ws, name))
        t.note("protocol", f"{type(ws.protocol).__name__} {ws.protocol.side!r} {ws.protocol.state!r}")
        await ws.close()
