"""What a server decides before it answers: `process_request`, plain HTTP, limits of the request."""

import asyncio
import gc
import hmac
import http.client
import logging
import socket
import ssl
from base64 import b64encode
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.exceptions
from support import frames
from support.http import ask, connect, head_of, plain, upgrade
from support.pair import serving
from support.raw import RawClient
from support.tls import Certificates

import voxwire
from voxwire import Accept, HTTPResponse, IncomingRequest, ServerTLSOptions, WebSocket

dial = websockets.asyncio.client.connect


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        ws.send(message)


async def asked(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    return await asyncio.to_thread(ask, port, request)


async def idle(server: voxwire.WebSocketServer) -> None:
    while server.connections:
        await asyncio.sleep(0.005)


async def test_what_a_hook_is_told() -> None:
    requests: list[IncomingRequest] = []
    async with serving(echo, process_request=requests.append) as server:
        headers = {"X-Twice": "1", "Cookie": "a=b"}
        async with WebSocket(server.url + "a%20b?c=d", headers=headers, protocols=["chat", "x"]) as ws:
            ws.send("hello")
            assert await ws.recv() == "hello"
            local = ws.local_address
        assert (await asked(server.port, plain(path="/health?x", headers=["X-A: 1", "x-a: 2"])))[0] == 426
        assert (await asked(server.port, plain("HEAD", "/")))[0] == 405
    first, second, third = requests
    assert (first.method, first.path, first.host) == ("GET", "/a%20b?c=d", f"127.0.0.1:{server.port}")
    assert (first.protocols, first.peer, first.is_websocket, first.secure) == (("chat", "x"), local, True, False)
    assert (first.header("COOKIE"), first.header("x-twice"), first.header("none")) == ("a=b", "1", None)
    assert first.certificate is None
    assert (second.method, second.path, second.host, second.is_websocket) == ("GET", "/health?x", "localhost", False)
    assert second.header_values("X-A") == ["1", "2"]
    assert (second.protocols, third.method) == ((), "HEAD")
    with pytest.raises(AttributeError):
        first.path = "/"  # type: ignore[misc]


async def health(request: IncomingRequest) -> HTTPResponse | None:
    await asyncio.sleep(0)
    return HTTPResponse(200, {"X-Load": "7"}, "fine ü\n") if request.path == "/health" else None


def quick_health(request: IncomingRequest) -> HTTPResponse | None:
    return HTTPResponse(200, [("X-Load", "7")], "fine ü\n") if request.path == "/health" else None


@pytest.mark.parametrize("hook", [health, quick_health])
async def test_health_checks_beside_connections(hook: Any) -> None:
    async with serving(echo, process_request=hook) as server:

        def check(method: str) -> tuple[http.client.HTTPResponse, bytes]:
            client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
            try:
                client.request(method, "/health", headers={"Connection": "keep-alive"})
                response = client.getresponse()
                return response, response.read()
            finally:
                client.close()

        for method, body in [("GET", "fine ü\n".encode()), ("HEAD", b"")]:
            response, content = await asyncio.to_thread(check, method)
            assert (response.status, content) == (200, body)
            assert response.getheader("Content-Length") == str(len("fine ü\n".encode()))
            assert response.getheader("Connection") == "close"
            assert response.getheader("Content-Type") == "text/plain; charset=utf-8"
            assert response.getheader("X-Load") == "7"
            assert parsedate_to_datetime(str(response.getheader("Date"))).year >= 2024
        async with dial(server.url) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        assert (await asked(server.port, plain("POST", "/health")))[0] == 405
        assert (await asked(server.port, plain(path="/health", headers=["Host: again"])))[0] == 400
        assert (await asked(server.port, b"GET /health HTTP/1.1\r\n\r\n"))[0] == 400
        await idle(server)


async def test_plain_http_without_a_hook() -> None:
    async with serving(echo) as server:
        status, headers, _ = await asked(server.port, plain())
        assert (status, headers["upgrade"]) == (426, "websocket")
        assert (await asked(server.port, plain("HEAD")))[0] == 405


def basic_auth(request: IncomingRequest) -> HTTPResponse | Accept:
    given = request.header("Authorization") or ""
    expected = "Basic " + b64encode(b"phone:secret").decode()
    if hmac.compare_digest(given.encode(), expected.encode()):
        return Accept(headers={"Set-Cookie": "session=1; HttpOnly"})
    return HTTPResponse(401, {"WWW-Authenticate": 'Basic realm="calls"'})


async def test_basic_authentication() -> None:
    async with serving(echo, process_request=basic_auth) as server:
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
            async with dial(server.url):
                pass
        response = caught.value.response
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Basic realm="calls"')
        assert response.headers["Content-Length"] == "0"
        async with dial(server.url.replace("//", "//phone:secret@")) as ws:
            assert ws.response is not None
            assert ws.response.headers["Set-Cookie"] == "session=1; HttpOnly"
            await ws.send("hello")
            assert await ws.recv() == "hello"


CHOICES = [(..., "b"), ("a", "a"), ("c", "c"), (None, None)]


@pytest.mark.parametrize(("protocol", "chosen"), CHOICES)
async def test_the_hook_chooses_the_subprotocol(protocol: Any, chosen: str | None) -> None:
    seen: list[str] = []

    async def note(ws: WebSocket) -> None:
        await ws.wait_open()
        seen.append(ws.protocol)
        await echo(ws)

    headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    async with serving(note, protocols=["b"], process_request=lambda _: Accept(protocol, headers)) as server:
        async with dial(server.url, subprotocols=["a", "b", "c"]) as ws:  # type: ignore[list-item]
            assert ws.subprotocol == chosen
            assert ws.response is not None
            assert ws.response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
            await ws.send("hello")
            assert await ws.recv() == "hello"
    assert seen == [chosen or ""]


BAD_HOOKS: dict[str, tuple[Any, type[BaseException], str]] = {
    "raises": (lambda _: 1 / 0, ZeroDivisionError, "division"),
    "an answer of another kind": (lambda _: "no", TypeError, "not str"),
    "a subprotocol nobody offered": (lambda _: Accept("other"), voxwire.InvalidParameter, "other"),
    "cancels itself": (lambda _: cancelled(), asyncio.CancelledError, "cancelled"),
    "a later error": (lambda _: late_error(), KeyError, "late"),
    "no text at all": (lambda _: HTTPResponse(200, body="\ud800"), UnicodeEncodeError, "surrogates"),
}


async def cancelled() -> None:
    raise asyncio.CancelledError


async def late_error() -> None:
    await asyncio.sleep(0.001)
    raise KeyError("late")


@pytest.mark.parametrize("name", BAD_HOOKS)
async def test_a_hook_that_fails(name: str, loop_errors: list[dict[str, Any]]) -> None:
    hook, kind, says = BAD_HOOKS[name]
    async with serving(echo, process_request=lambda r: hook(r) if r.path == "/bad" else None) as server:
        status, _, body = await asked(server.port, upgrade("/bad"))
        assert (status, body) == (500, b"the server failed to decide about this request\n")
        async with WebSocket(server.url) as ws:
            ws.send("others")
            assert await ws.recv() == "others"
    (context,) = loop_errors
    assert isinstance(context["exception"], kind)
    assert says in str(context["exception"])
    assert context["message"] == "process_request raised"


async def test_what_a_hook_raises_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture, loop_errors: list[dict[str, Any]]
) -> None:
    asyncio.get_running_loop().set_exception_handler(None)
    async with serving(echo, process_request=lambda _: 1 / 0) as server:
        assert (await asked(server.port, plain()))[0] == 500
    record = next(record for record in caplog.records if "process_request raised" in record.message)
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[2] is not None
    assert not loop_errors


async def test_a_hook_that_takes_too_long(caplog: pytest.LogCaptureFixture) -> None:
    ends: list[str] = []

    async def slow(_request: IncomingRequest) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    async with serving(echo, process_request=slow, parameters={"handshake_timeout": 0.3}) as server:
        began = asyncio.get_running_loop().time()
        status, _, body = await asked(server.port, upgrade())
        assert asyncio.get_running_loop().time() - began >= 0.29
        assert status == 503
        assert b"in time" in body
        await idle(server)
        while not ends:
            await asyncio.sleep(0.005)
    assert ends == ["cancelled"]
    assert "handshake_timeout" in caplog.text


@pytest.mark.parametrize("how", ["close", "reset", "shutdown"])
async def test_the_peer_is_gone_meanwhile(how: str) -> None:
    began, ended = asyncio.Event(), asyncio.Event()
    new: list[WebSocket] = []

    async def slow(_request: IncomingRequest) -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with serving(new.append, process_request=slow, parameters={"handshake_timeout": None}) as server:
        sock = connect(server.port)
        sock.sendall(upgrade() + b"early bytes")
        await began.wait()
        if how == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if how == "shutdown":
            sock.shutdown(socket.SHUT_WR)
        else:
            sock.close()
        await ended.wait()
        await idle(server)
        sock.close()
        gc.collect()
        assert not [task for task in asyncio.all_tasks() if "slow" in repr(task.get_coro())]
    assert not new


async def test_what_is_sent_before_the_answer_is_not_lost() -> None:
    async def slow(_request: IncomingRequest) -> None:
        await asyncio.sleep(0.1)

    async with serving(echo, process_request=slow) as server:

        def talk() -> list[bytes]:
            client = RawClient(server.url)
            for text in ("one", "two", "x" * 40_000):
                client.text(text)
            client.open()
            got = [client.frame().payload for _ in range(3)]
            client.finish()
            return got

        assert await asyncio.to_thread(talk) == [b"one", b"two", b"x" * 40_000]


async def test_slow_hooks_do_not_hold_up_others() -> None:
    release = asyncio.Event()
    waiting = 0

    async def hook(request: IncomingRequest) -> HTTPResponse | None:
        nonlocal waiting
        if request.path != "/slow":
            return None
        waiting += 1
        await release.wait()
        return HTTPResponse(403)

    async with serving(echo, process_request=hook, parameters={"handshake_timeout": None}) as server:
        with ExitStack() as stack:
            slow = [stack.enter_context(connect(server.port)) for _ in range(200)]
            stalled = [stack.enter_context(connect(server.port)) for _ in range(200)]
            for sock in slow:
                sock.sendall(upgrade("/slow"))
            for sock in stalled:
                sock.sendall(b"GET /half HTTP/1.1\r\nHo")
            while waiting < 200:
                await asyncio.sleep(0.005)
            async with dial(server.url) as ws:
                for number in range(20):
                    await ws.send(str(number))
                    assert await ws.recv() == str(number)
            assert server.connections >= 400
            release.set()
            heads = await asyncio.gather(*(asyncio.to_thread(head_of, sock) for sock in slow))
            assert all(head.startswith("HTTP/1.1 403 ") for head in heads)
        await idle(server)


async def test_the_cap_is_before_the_hook() -> None:
    requests: list[IncomingRequest] = []
    async with serving(echo, process_request=requests.append, max_connections=1) as server:
        async with WebSocket(server.url):
            assert (await asked(server.port, plain(path="/health")))[0] == 503
    assert len(requests) == 1


async def test_each_hook_runs_in_a_context_of_its_own() -> None:
    name: ContextVar[str] = ContextVar("name", default="outside")
    name.set("where the server was made")
    seen: list[str] = []

    async def hook(request: IncomingRequest) -> HTTPResponse:
        seen.append(name.get())
        name.set(request.path)
        await asyncio.sleep(0)
        return HTTPResponse(200, body=name.get())

    async with serving(echo, process_request=hook) as server:
        name.set("later")
        assert [(await asked(server.port, plain(path=path)))[2] for path in ("/1", "/2")] == [b"/1", b"/2"]
    assert seen == ["where the server was made"] * 2


async def test_a_large_body_and_statuses_without_one() -> None:
    answers = {
        "/large": HTTPResponse(200, {"Content-Type": "text/html"}, b"x" * 3_000_000),
        "/204": HTTPResponse(204),
        "/304": HTTPResponse(304, {"ETag": '"1"'}),
        "/426": HTTPResponse(426),
        "/date": HTTPResponse(200, {"date": "Thu, 01 Jan 1970 00:00:00 GMT"}, b"\0"),
    }
    async with serving(echo, process_request=lambda request: answers[request.path]) as server:
        status, headers, body = await asked(server.port, plain(path="/large"))
        assert (status, len(body), headers["content-type"]) == (200, 3_000_000, "text/html")
        for path in ("/204", "/304"):
            status, headers, body = await asked(server.port, plain(path=path))
            assert (status, body) == (int(path[1:]), b"")
            assert "content-length" not in headers
            assert "content-type" not in headers
        assert (await asked(server.port, plain(path="/426")))[1]["upgrade"] == "websocket"
        headers = (await asked(server.port, plain(path="/date")))[1]
        assert headers["date"].endswith("1970 00:00:00 GMT")
        assert headers["content-type"] == "application/octet-stream"


BAD_ANSWERS: list[tuple[Any, dict[str, Any], str]] = [
    *((HTTPResponse, {"status": status}, "status") for status in (0, 100, 101, 103, 199, 600, True, "200", None)),
    (HTTPResponse, {"status": 204, "body": b"x"}, "body"),
    (HTTPResponse, {"status": 304, "body": "x"}, "body"),
    (HTTPResponse, {"status": 200, "body": 5}, "body"),
    (HTTPResponse, {"status": 200, "headers": {"X": "a\r\nSet-Cookie: b"}}, "headers"),
    (HTTPResponse, {"status": 200, "headers": {"X\r\n": "a"}}, "headers"),
    (HTTPResponse, {"status": 200, "headers": {"content-length": "5"}}, "headers"),
    (HTTPResponse, {"status": 200, "headers": {"Transfer-Encoding": "chunked"}}, "headers"),
    (HTTPResponse, {"status": 200, "headers": {"Connection": "keep-alive"}}, "headers"),
    (HTTPResponse, {"status": 200, "headers": "X: y"}, "headers"),
    (Accept, {"headers": {"Set-Cookie": "a\nb"}}, "headers"),
    (Accept, {"headers": {"Sec-WebSocket-Accept": "a"}}, "headers"),
    (Accept, {"headers": {"sec-websocket-new": "a"}}, "headers"),
    (Accept, {"headers": [("Upgrade", "a")]}, "headers"),
    (Accept, {"protocol": ""}, "protocol"),
    (Accept, {"protocol": 5}, "protocol"),
]


@pytest.mark.parametrize(("kind", "fields", "field"), BAD_ANSWERS)
def test_answers_that_cannot_be_sent(kind: Any, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(voxwire.InvalidParameter, match=field) as caught:
        kind(**fields)
    assert str(caught.value.field).startswith(field)


async def test_a_hook_over_tls(certificates: Certificates) -> None:
    requests: list[IncomingRequest] = []

    async def hook(request: IncomingRequest) -> HTTPResponse | None:
        requests.append(request)
        await asyncio.sleep(0.05)
        return None if request.is_websocket else HTTPResponse(200, body="fine")

    tls = ServerTLSOptions(certificates.server_cert, certificates.server_key, certificates.ca, "optional")
    async with serving(echo, tls=tls, process_request=hook) as server:
        url = f"wss://localhost:{server.port}/"

        def talk(*, show: bool) -> bytes:
            client = RawClient(url, certificates.client_context(show=show))
            client.text("early")
            payload = client.open().frame().payload
            client.finish()
            return payload

        assert [await asyncio.to_thread(talk, show=show) for show in (True, False)] == [b"early"] * 2

        def get() -> bytes:
            client = http.client.HTTPSConnection(
                "localhost", server.port, timeout=15, context=certificates.client_context()
            )
            client.request("GET", "/")
            try:
                return client.getresponse().read()
            finally:
                client.close()

        assert await asyncio.to_thread(get) == b"fine"
    shown = certificates.client_cert.read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
    assert [request.certificate for request in requests] == [ssl.PEM_cert_to_DER_cert(shown), None, None]
    assert all(request.secure for request in requests)


LIMITS = [
    ("max_line", 60, plain(path="/" + "p" * 45), 426, plain(path="/" + "p" * 50), 414),
    ("max_line", 40, plain(headers=["X: " + "v" * 37]), 426, plain(headers=["X: " + "v" * 38]), 431),
    ("max_headers", 3, plain(headers=["X: 1"] * 2), 426, plain(headers=["X: 1"] * 3), 431),
    ("max_head", 100, plain(headers=["X: " + "v" * 60]), 426, plain(headers=["X: " + "v" * 61]), 431),
    ("max_line", 20_000, plain(path="/" + "p" * 15_000), 426, plain(path="/" + "p" * 20_000), 414),
]


@pytest.mark.parametrize(
    ("name", "limit", "fits", "status", "over", "refusal"),
    LIMITS,
    ids=[f"{case[0]}={case[1]}-{case[5]}" for case in LIMITS],
)
async def test_limits_of_a_request(name: str, limit: int, fits: bytes, status: int, over: bytes, refusal: int) -> None:
    async with serving(echo, **{name: limit}) as server:
        assert (await asked(server.port, fits))[0] == status
        got, _, body = await asked(server.port, over)
        assert got == refusal
        assert f"{name} ({limit}".encode() in body


@pytest.mark.parametrize("name", ["max_line", "max_headers", "max_head"])
async def test_limits_that_make_no_sense(name: str) -> None:
    for value in (0, -1, "8", None, True):
        with pytest.raises(voxwire.InvalidParameter, match=name):
            voxwire.Engine().allowWebSocketConnections(**{name: value})  # type: ignore[arg-type]


async def test_a_hook_must_be_callable() -> None:
    with pytest.raises(voxwire.InvalidParameter, match="process_request"):
        voxwire.Engine().allowWebSocketConnections(process_request="hook")  # type: ignore[arg-type]


async def test_the_server_stops_while_hooks_decide() -> None:
    ended: list[str] = []
    began = asyncio.Event()

    async def slow(_request: IncomingRequest) -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("yes")

    async with serving(echo, process_request=slow, parameters={"handshake_timeout": None}) as server:
        with connect(server.port) as asking, connect(server.port) as stalled:
            asking.sendall(upgrade())
            stalled.sendall(b"GET / HT")
            await began.wait()
            start = asyncio.get_running_loop().time()
            server.close()
            server.close()
            await server.wait_closed()
            assert asyncio.get_running_loop().time() - start < 5  # the limit of close() is 10
            for sock in (asking, stalled):
                with suppress(ConnectionResetError):  # what a server has not read makes it a reset
                    assert await asyncio.to_thread(sock.recv, 100) == b""
            while not ended:
                await asyncio.sleep(0.005)
    assert server.connections == 0


async def test_while_it_winds_up_nobody_new_gets_in() -> None:
    async with serving(lambda _ws: None) as server:
        client = await asyncio.to_thread(lambda: RawClient(server.url).open())  # does not answer the close
        port = server.port
        server.close(timeout=1.5)
        assert (await asyncio.to_thread(client.until, frames.CLOSE)).close[0] == 1001
        with pytest.raises(OSError, match=r"refused|reset"):
            await asked(port, upgrade())
        assert server.connections == 1
        server.close(timeout=0)  # the first one counts
        await server.wait_closed()
        server.close()
        await server.wait_closed()
        client.hang_up()
