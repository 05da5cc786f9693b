"""Which web pages may connect: the Origin header (RFC 6455 section 10.2)."""

import asyncio
import re
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.exceptions
from support.http import ask, upgrade
from support.pair import serving

import voxwire
from voxwire import Engine, HTTPResponse, IncomingRequest, WebSocket

dial = websockets.asyncio.client.connect
HERE, THERE = "https://example.com", "http://localhost:3000"
PATTERN = re.compile(r"https://[a-z]+\.example\.com")


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        ws.send(message)


CASES: list[tuple[Any, str | None, bool]] = [
    (None, "https://evil.example", True),
    (None, None, True),
    ([HERE], HERE, True),
    ([THERE, HERE], HERE, True),
    ([HERE], "https://example.com.evil.example", False),
    ([HERE], "http://example.com", False),
    ([HERE], "https://example.com:8443", False),
    ([HERE], "null", False),
    (["null"], "null", True),
    ([HERE], None, False),
    ([HERE, None], None, True),
    ([None], HERE, False),
    ([], HERE, False),
    ([PATTERN], "https://a.example.com", True),
    ([PATTERN], "https://a.example.com.evil", False),
    ([PATTERN], "xhttps://a.example.com", False),
    ([PATTERN], None, False),
    ([PATTERN, None], None, True),
    ([PATTERN, HERE], HERE, True),
    ((PATTERN, HERE), THERE, False),
]


@pytest.mark.parametrize(("origins", "origin", "welcome"), CASES)
async def test_who_may_connect(
    origins: Any, origin: str | None, welcome: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(echo, origins=origins) as server:
        if welcome:
            async with dial(server.url, origin=origin) as ws:  # type: ignore[arg-type]
                await ws.send("hello")
                assert await ws.recv() == "hello"
            return
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
            async with dial(server.url, origin=origin):  # type: ignore[arg-type]
                pass
        assert caught.value.response.status_code == 403
        body = caught.value.response.body
        assert body is not None
        assert (b"is missing" if origin is None else f"{origin}".encode()) in body
        while "was refused" not in caplog.text:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("origins", [[HERE], [PATTERN]])
async def test_a_hostile_origin_is_logged_escaped(origins: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(echo, origins=origins) as server:
        header = "Origin: https://\u0080\u009b[2J" + "x" * 3000
        request = upgrade(headers=[header.encode("utf-8").decode("latin-1")])
        status, _, body = await asyncio.to_thread(ask, server.port, request)
        assert status == 403
        assert len(body) < 400
        twice = upgrade(headers=[f"Origin: {HERE}", f"Origin: {HERE}"])
        status, _, body = await asyncio.to_thread(ask, server.port, twice)
        assert (status, b"more than once" in body) == (403, True)
        while caplog.text.count("was refused") < 2:
            await asyncio.sleep(0.005)
    assert "\u009b" not in caplog.text
    assert "[2J" in caplog.text
    assert "x" * 300 not in caplog.text


async def test_plain_requests_have_no_origin() -> None:
    def hook(request: IncomingRequest) -> HTTPResponse | None:
        return None if request.is_websocket else HTTPResponse(200)

    for origins in ([HERE], [PATTERN]):
        async with serving(echo, origins=origins, process_request=hook) as server:
            request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
            assert (await asyncio.to_thread(ask, server.port, request))[0] == 200


async def test_the_hook_is_asked_only_about_right_origins() -> None:
    for origins in ([HERE], [re.compile(re.escape(HERE))]):
        requests: list[IncomingRequest] = []
        async with serving(echo, origins=origins, process_request=requests.append) as server:
            assert (await asyncio.to_thread(ask, server.port, upgrade(headers=["Origin: x:y"])))[0] == 403
            async with dial(server.url, origin=HERE):  # type: ignore[arg-type]
                pass
        assert [request.header("origin") for request in requests] == [HERE]


@pytest.mark.parametrize(
    "origins",
    [
        HERE,
        5,
        [5],
        ["example.com"],
        ["https://example.com/"],
        ["https://Example.com"],
        ["*"],
        [re.compile(b"x")],
        {HERE: 1},
    ],
)
async def test_what_is_no_origin(origins: Any) -> None:
    with pytest.raises(voxwire.InvalidParameter, match="origins"):
        Engine().allowWebSocketConnections(origins=origins)
