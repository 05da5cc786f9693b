"""Values without a connection: headers, frames, exceptions, URIs, proxies, HTTP messages, the sans-I/O protocols, names."""

from __future__ import annotations

import enum
import inspect
import itertools
import os
from typing import Any
from unittest import mock

from differential.trial import Trial, described, scenario


@scenario
async def headers(t: Trial) -> None:
    Headers = t.datastructures.Headers
    headers = Headers([("Connection", "Upgrade"), ("X-A", "1"), ("x-a", "2")], Server="mine")
    t.note("str", str(headers))
    t.note("repr", headers)
    for what in (
        lambda: headers["connection"],
        lambda: headers["X-A"],
        lambda: headers["none"],
        lambda: headers.get("none"),
        lambda: headers.get_all("X-A"),
        lambda: headers.get_all("none"),
        lambda: list(headers.raw_items()),
        lambda: list(headers),
        lambda: len(headers),
        lambda: "SERVER" in headers,
        lambda: 1 in headers,
        lambda: headers.serialize(),
        lambda: headers == Headers(headers),
        lambda: headers == dict(headers.raw_items()),
        lambda: headers.copy(),
        lambda: headers.setdefault("Server", "other"),
        lambda: headers.__setitem__("Bad", "a\nb"),
        lambda: headers.__delitem__("x-A"),
        lambda: headers.__delitem__("x-A"),
        lambda: list(headers.raw_items()),
        lambda: headers.update({"New": "1"}, Other="2"),
        lambda: headers.update(Headers(A="b")),
        lambda: headers.pop("new"),
        lambda: headers.clear(),
        lambda: headers,
        lambda: Headers({"A": "ä"}).serialize(),
        lambda: Headers({"A": 1}),
        lambda: str(t.datastructures.MultipleValuesError("A")),
        lambda: str(t.datastructures.MultipleValuesError("A", "B")),
    ):
        t.attempt(inspect.getsource(what).strip(), what)


@scenario
async def closes(t: Trial) -> None:
    Close = t.frames.Close
    for code in (1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1011, 1015, 2999, 3000, 3999, 4000, 4999, 5000, 999):
        close = Close(code, "why")
        t.note(str(code), f"{close} {close!r} {Close(code, '')}")
        t.attempt("serialize", close.serialize)
    for data in (b"", b"\x03", b"\x03\xe8", b"\x03\xe8ok", b"\x03\xe8\xff", b"\x03\xed", bytearray(b"\x03\xe9gone")):
        t.attempt(repr(data), Close.parse, data)


@scenario
async def frames_as_text(t: Trial) -> None:
    Frame, Opcode = t.frames.Frame, t.frames.Opcode
    payloads: list[Any] = [
        b"",
        b"a",
        "grüße".encode(),
        b"\xff\x00",
        b"x" * 100,
        bytes(range(100)),
        b"\x03\xe8bye",
        b"\x03",
    ]
    payloads += [
        "é".encode() * 300,
        b"\xa9" + "é".encode() * 300 + b"\xc3",
        b"\x00" * 1000,
        memoryview(b"view"),
        b"tab\t",
    ]
    for opcode, payload, fin in itertools.product(Opcode, payloads, (True, False)):
        if opcode is Opcode.CLOSE and isinstance(payload, memoryview):
            continue
        t.note(f"{opcode.name} {bytes(payload[:8])!r}", str(Frame(opcode, payload, fin)))


@scenario
async def frames_checked(t: Trial) -> None:
    Frame, Opcode = t.frames.Frame, t.frames.Opcode
    for frame in (
        Frame(Opcode.TEXT, b"a", rsv1=True),
        Frame(Opcode.PING, b"a" * 126),
        Frame(Opcode.PING, b"a", fin=False),
        Frame(Opcode.TEXT, b"a", fin=False),
    ):
        t.attempt(str(frame), frame.check)
        t.attempt("serialize", frame.serialize, mask=False)
        t.note("masked", len(frame.serialize(mask=True)) if not t.attempt("check", frame.check) else "")
    t.note("equal", Frame(Opcode.TEXT, b"a") == Frame(Opcode.TEXT, b"a"))


@scenario
async def enumerations(t: Trial) -> None:
    protocol = t.module("protocol")
    for kind in (t.frames.Opcode, t.frames.CloseCode, protocol.State, protocol.Side):
        t.note(kind.__name__, [f"{member!r} {member}" for member in kind])
        t.note("base", issubclass(kind, enum.IntEnum))


@scenario
async def exceptions(t: Trial) -> None:
    x, Close = t.exceptions, t.frames.Close
    response = t.http11.Response(404, "Not Found", t.datastructures.Headers(), b"body")
    for make in (
        lambda: x.ConnectionClosed(None, None),
        lambda: x.ConnectionClosedOK(Close(1000, ""), Close(1000, ""), True),
        lambda: x.ConnectionClosedOK(Close(1000, "a"), Close(1001, "b"), False),
        lambda: x.ConnectionClosedError(Close(1011, "x"), None),
        lambda: x.ConnectionClosedError(None, Close(3000, "x")),
        lambda: x.ConnectionClosed(Close(1000, ""), Close(1000, "")),
        lambda: x.InvalidURI("ws://", "why"),
        lambda: x.InvalidProxy("http://", "why"),
        lambda: x.InvalidProxyStatus(response),
        lambda: x.InvalidMethod("POST"),
        lambda: x.InvalidProtocol("HTTP/2"),
        lambda: x.InvalidStatus(response),
        lambda: x.InvalidHeader("Name"),
        lambda: x.InvalidHeader("Name", None),
        lambda: x.InvalidHeader("Name", ""),
        lambda: x.InvalidHeader("Name", "value"),
        lambda: x.InvalidHeaderFormat("Name", "expected token", "a=|", 3),
        lambda: x.InvalidHeaderValue("Name", "value"),
        lambda: x.InvalidOrigin("https://bad"),
        lambda: x.InvalidOrigin(None),
        lambda: x.InvalidUpgrade("Upgrade"),
        lambda: x.NegotiationError("why"),
        lambda: x.DuplicateParameter("a"),
        lambda: x.InvalidParameterName("|"),
        lambda: x.InvalidParameterValue("a", None),
        lambda: x.InvalidParameterValue("a", ""),
        lambda: x.InvalidParameterValue("a", "|"),
        lambda: x.PayloadTooBig(11, 10),
        lambda: x.PayloadTooBig(None, 10),
        lambda: x.PayloadTooBig(11, 10, 5),
        lambda: x.PayloadTooBig("old"),
        lambda: x.PayloadTooBig(11),
        lambda: x.TooManyFragments(9),
        lambda: x.InvalidState("why"),
        lambda: x.ConcurrencyError("why"),
        lambda: x.ProtocolError("why"),
    ):
        try:
            t.note(inspect.getsource(make).strip(), described(make()))  # type: ignore[no-untyped-call]
        except AssertionError as error:
            t.note("raises", described(error))


@scenario
async def hierarchy(t: Trial) -> None:
    for name in sorted(t.exceptions.__all__):
        kind = getattr(t.exceptions, name)
        t.note(name, [base.__name__ for base in kind.__mro__])


@scenario
async def uris(t: Trial) -> None:
    parse = t.module("uri").parse_uri
    for uri in (
        "ws://localhost",
        "wss://localhost:8443/path?query",
        "ws://LocalHost/",
        "ws://user:pa%20ss@localhost/",
        "ws://[::1]:99/",
        "ws://exämple.com/ä?ö=ü",
        "ws://localhost:0/",
        "ws://localhost:99999/",
        "ws://user:@h/",
        "ws://:password@h/",
        "WS://h/;a=b",
        "ws://h/?",
        "ws://h#",
        "wss:h",
    ):
        result = t.attempt(uri, parse, uri)
        if not isinstance(result, Exception):
            t.note("resource", f"{result.resource_name} {result.user_info}")


@scenario
async def proxies(t: Trial) -> None:
    proxy, uri = t.module("proxy"), t.module("uri")
    for address in (
        "http://proxy",
        "https://user:pass@Proxy:8080/",
        "socks5h://proxy",
        "socks4://proxy:1",
        "ftp://x",
        "proxy:80",
        "http://user@proxy",
        "http://exämple",
    ):
        t.attempt(address, proxy.parse_proxy, address)
    for environment in (
        {"http_proxy": "http://a"},
        {"https_proxy": "http://b", "http_proxy": "http://a"},
        {"ws_proxy": "http://w", "wss_proxy": "http://s"},
        {"socks_proxy": "http://socks:1"},
        {"https_proxy": "http://b", "no_proxy": "example.com"},
        {},
    ):
        with mock.patch.dict(os.environ, environment):
            for address in ("ws://example.com/", "wss://example.com/", "ws://localhost:5/"):
                t.attempt(f"{environment} {address}", proxy.get_proxy, uri.parse_uri(address))


@scenario
async def header_grammar(t: Trial) -> None:
    module = t.module("headers")
    for name, values in {
        "parse_connection": ["Upgrade", "a, b", ",,a,,", "", "a b", "a,@"],
        "parse_upgrade": ["websocket", "h2c/1.1, websocket", "a/", "/"],
        "parse_subprotocol": ["a", "a ,\tb", "a;b"],
        "parse_extension": [
            "a",
            "a; b",
            'a; b="c"; d=e, f',
            'a; b="c d"',
            "a;",
            'a; b="c',
            "a; b=",
            "a;;b",
            'a; b="c\\d"',
        ],
        "parse_authorization_basic": [
            "Basic YTpi",
            "basic YTpi",
            "Basic",
            "Basic @",
            "Basic YTpi x",
            "Bearer x",
            "Basic YQ==",
        ],
        "build_www_authenticate_basic": ["realm", 'a "b" \\c', "\u20ac"],
    }.items():
        for value in values:
            t.attempt(f"{name} {value!r}", getattr(module, name), value)
    t.note("build", module.build_extension([("a", [("b", None), ("c", "d")]), ("e", [])]))
    t.note("build", module.build_subprotocol(["a", "b"]))
    t.note("build", module.build_authorization_basic("me", "päss"))
    for args in (("localhost", 80, False), ("localhost", 443, True), ("::1", 80, False), ("1.2.3.4", 81, False)):
        t.note("host", module.build_host(*args))
        t.note("host", module.build_host(*args, always_include_port=True))


@scenario
async def http_messages(t: Trial) -> None:
    Request, Response, Headers = t.http11.Request, t.http11.Response, t.datastructures.Headers
    request = Request("/path", Headers({"Host": "x"}))
    response = Response(404, "Not Found", Headers({"A": "b"}), b"body")
    t.note("request", f"{request!r} {request.serialize()!r} {request.method} {request.protocol}")
    t.note("response", f"{response!r} {response.serialize()!r}")
    t.note("equal", request == Request("/path", Headers({"Host": "x"})))
    t.attempt("path", Request("/ä", Headers()).serialize)
    for wire in (
        b"GET / HTTP/1.1\r\nA: b\r\n\r\n",
        b"GET / HTTP/1.1\nA: b\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/3\r\n\r\n",
        b"GET / HTTP/1.1\r\nA\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b",
        b"",
    ):
        t.attempt(repr(wire), _parsed, t, Request, wire)
    for wire in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        b"HTTP/1.1 204 None\r\n\r\n",
        b"HTTP/1.1 200 \r\n\r\nto the end",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 20x OK\r\n\r\n",
        b"HTTP/1.1 200 \x01\r\n\r\n",
    ):
        t.attempt(repr(wire), _parsed, t, Response, wire)


def _parsed(t: Trial, kind: Any, wire: bytes) -> Any:
    stream = t.module("streams").StreamReader()
    stream.feed_data(wire)
    stream.feed_eof()
    readers = (
        [stream.read_line] if kind.__name__ == "Request" else [stream.read_line, stream.read_exact, stream.read_to_eof]
    )
    parser = kind.parse(*readers)
    try:
        while True:
            next(parser)
    except StopIteration as stop:
        return stop.value


@scenario
async def protocols_without_io(t: Trial) -> None:
    client = t.module("client").ClientProtocol(t.module("uri").parse_uri("ws://localhost/x"))
    server = t.module("server").ServerProtocol()
    t.note("states", f"{client.state!r} {server.state!r}")
    request = client.connect()
    client.send_request(request)
    server.receive_data(b"".join(client.data_to_send()))
    (asked,) = server.events_received()
    t.note("asked", asked)
    response = server.accept(asked)
    server.send_response(response)
    client.receive_data(b"".join(server.data_to_send()))
    t.note("answered", client.events_received())
    t.note("states", f"{client.state!r} {server.state!r} {client.handshake_exc}")
    client.send_text(b"hello")
    client.send_binary(b"da", fin=False)
    t.attempt("text inside", client.send_text, b"no")
    client.send_ping(b"ping")
    client.send_continuation(b"ta", fin=True)
    t.attempt("continuation of nothing", client.send_continuation, b"no", fin=True)
    server.receive_data(b"".join(client.data_to_send()))
    t.note("events", server.events_received())
    t.note("close code", f"{server.close_code} {server.close_reason} {server.close_expected()}")
    t.attempt("close_exc", lambda: server.close_exc)
    t.attempt("no code", server.send_close, None, "reason")
    t.attempt("bad code", server.send_close, 1006)
    server.send_close(1001, "bye")
    t.attempt("after the close", server.send_text, b"no")
    client.receive_data(b"".join(data for data in server.data_to_send() if data))
    t.note("events", client.events_received())
    t.note("expected", f"{client.state!r} {client.close_expected()} {client.close_rcvd} {client.close_sent}")
    writes = client.data_to_send()
    server.receive_data(b"".join(writes))
    t.note("server writes", server.data_to_send())
    client.receive_eof()
    client.receive_eof()
    server.receive_eof()
    t.note("client writes", client.data_to_send())
    t.note("states", f"{client.state!r} {server.state!r}")
    t.note("exceptions", f"{client.close_exc} {server.close_exc} {type(server.close_exc).__name__}")
    t.attempt("send", client.send_text, b"no")
    t.attempt("data", client.receive_data, b"no")


@scenario
async def a_protocol_that_fails(t: Trial) -> None:
    protocol = t.module("protocol")
    for side in protocol.Side:
        failing = protocol.Protocol(side)
        failing.fail(1002, "enough")
        t.note("writes", [len(data) for data in failing.data_to_send()])
        t.note("state", f"{failing.state!r} {failing.close_sent} {failing.close_expected()}")
        failing.receive_data(b"\xff\xff")
        t.note("events", failing.events_received())
        failing.receive_eof()
        t.note("after", f"{failing.state!r} {failing.close_exc}")


@scenario
async def signatures(t: Trial) -> None:
    names = {
        "asyncio.client": ["connect", "unix_connect", "ClientConnection"],
        "asyncio.server": ["serve", "unix_serve", "basic_auth", "broadcast", "Server", "ServerConnection"],
        "asyncio.router": ["route", "unix_route", "Router"],
        "client": ["ClientProtocol", "backoff", "process_exception"],
        "server": ["ServerProtocol"],
        "protocol": ["Protocol"],
        "extensions.permessage_deflate": ["ClientPerMessageDeflateFactory", "ServerPerMessageDeflateFactory"],
        "http11": ["Request", "Response"],
        "frames": ["Frame", "Close"],
    }
    for module, members in names.items():
        for name in members:
            member = getattr(t.module(module), name)
            parameters = inspect.signature(member).parameters.values()
            t.note(name, [f"{p.kind.name[:3]} {p.name}={_default(p.default)}" for p in parameters])
    for name in ("recv", "recv_streaming", "send", "close", "wait_closed", "ping", "pong"):
        parameters = inspect.signature(getattr(t.client.ClientConnection, name)).parameters.values()
        t.note(name, [f"{p.kind.name[:3]} {p.name}={_default(p.default)}" for p in parameters])


def _default(value: Any) -> str:
    return value.__name__ if callable(value) else "" if value is inspect.Parameter.empty else repr(value)


@scenario
async def names(t: Trial) -> None:
    top = t.module()
    t.note("version", top.__version__)
    for name in sorted(set(top.__all__) - {"__version__"}):
        t.note(name, getattr(top, name).__class__.__name__)
    t.attempt("unknown", lambda: top.unknown)
    for module in ("exceptions", "frames", "datastructures", "http11", "uri", "asyncio.client", "asyncio.server"):
        t.note(module, sorted(t.module(module).__all__))


@scenario
async def outside_a_loop_of_its_own(t: Trial) -> None:
    """What happens at once and what when it is awaited."""
    t.attempt("connect", lambda: type(t.client.connect("ws://localhost:1")).__name__)
    t.attempt("bad", lambda: t.client.connect("nonsense"))
    t.attempt("serve", lambda: type(t.server.serve(None, "127.0.0.1", 0)).__name__)
