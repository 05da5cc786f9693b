"""Chromium as a client of our server: messages, closes both ways, subprotocols, what the request says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from children import needs
from chromium_browser import Browser
from support.log import Log
from support.pair import serving
from support.tls import Certificates

from voxwire import Compression, ServerTLSOptions, WebSocket
from voxwire import WebSocketEvents as E

pytestmark = needs("chromium")
ON_LOOPS = ["uvloop"]  # what a loop changes is tested in tests/python

FORGETS = "server_no_context_takeover"
SIZES = [0, 1, 125, 126, 65535, 65536, 1024 * 1024]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        ws.send(message)


class Kept:
    """A handler that keeps the connections that came, and what happened on them."""

    def __init__(self) -> None:
        self.websockets: list[WebSocket] = []
        self.logs: list[Log] = []
        self._came = asyncio.Event()

    def __call__(self, ws: WebSocket) -> None:
        self.websockets.append(ws)
        self.logs.append(Log(ws))
        self._came.set()

    async def first(self) -> tuple[WebSocket, Log]:
        await self._came.wait()
        return self.websockets[0], self.logs[0]


ECHO = """
const { ws, opened, closed, recv } = connect(url);
await opened;
const wrong = [];
for (const size of sizes) {
  for (const random of [true, false]) {
    const data = bytes(size, random);
    const text = Array.from(data.subarray(0, 1000), (byte) => String.fromCodePoint(0x20 + byte)).join("")
      + "ü🎙".repeat(Math.max(0, size - 1000) / 3);
    ws.send(text);
    if ((await recv()) !== text) wrong.push(`text ${size}`);
    for (const [kind, payload] of [["ArrayBuffer", data.buffer], ["Blob", new Blob([data])], ["view", data]]) {
      ws.send(payload);
      const got = await recv();
      if (!(got instanceof ArrayBuffer) || !same(new Uint8Array(got), data)) wrong.push(`${kind} ${size}`);
    }
  }
}
ws.close(1000, "done");
return { wrong, closed: await closed, buffered: ws.bufferedAmount };
"""


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_messages_of_any_size(browser: Browser, certificates: Certificates, scheme: str) -> None:
    tls = None if scheme == "ws" else ServerTLSOptions(certificates.server_cert, certificates.server_key)
    async with serving(echo, tls=tls) as server:
        assert server.url.startswith(f"{scheme}:")
        answer = await browser.arun(ECHO, url=server.url, sizes=SIZES)
    assert answer == {"wrong": [], "closed": [1000, "done", True], "buffered": 0}


async def test_blobs_are_received(browser: Browser) -> None:
    async with serving(echo) as server:
        code = """
        const { ws, opened, recv } = connect(url, [], "blob");
        await opened;
        ws.send(new Uint8Array([1, 2, 255]));
        const blob = await recv();
        ws.close();
        return [blob instanceof Blob, ...new Uint8Array(await blob.arrayBuffer())];
        """
        assert await browser.arun(code, url=server.url) == [True, 1, 2, 255]


async def test_order_both_ways(browser: Browser) -> None:
    async with serving(echo) as server:
        code = """
        const { ws, opened, recv } = connect(url);
        await opened;
        for (let n = 0; n < 2000; n++) ws.send(n % 3 ? `${n}` : new Uint8Array([n >> 8, n]));
        const got = [];
        for (let n = 0; n < 2000; n++) got.push(await recv());
        ws.close();
        return got.map((data) => (typeof data === "string" ? Number(data) : (([h, l]) => h * 256 + l)(new Uint8Array(data))));
        """
        assert await browser.arun(code, url=server.url) == list(range(2000))


async def test_a_ping_of_ours(browser: Browser) -> None:
    kept = Kept()
    async with serving(kept) as server:
        code = "const { opened, closed } = connect(url); await opened; return await closed"
        answer = asyncio.ensure_future(browser.arun(code, url=server.url))
        ws, log = await kept.first()
        await log.until(E.OPEN)
        assert await ws.ping(b"are you there?") > 0
        ws.close(1000, "yes")
        assert await answer == [1000, "yes", True]


THEIR_CLOSES: list[tuple[list[Any], tuple[int, str]]] = [
    ([], (1005, "")),
    ([1000], (1000, "")),
    ([3000, "größer"], (3000, "größer")),
    ([4999, "r" * 123], (4999, "r" * 123)),
]


@pytest.mark.parametrize(("arguments", "said"), THEIR_CLOSES)
async def test_the_browser_closes(browser: Browser, arguments: list[Any], said: tuple[int, str]) -> None:
    kept = Kept()
    async with serving(kept) as server:
        code = "const { ws, opened, closed } = connect(url); await opened; ws.close(...args); return await closed"
        assert await browser.arun(code, url=server.url, args=arguments) == [*said, True]
        _, log = await kept.first()
        close = await log.until(E.CLOSE)
    assert (close.code, close.reason, close.wasClean) == (*said, True)
    assert log.names == ["CREATED", "OPEN", "CLOSE"]


@pytest.mark.parametrize(("arguments", "said"), THEIR_CLOSES)
async def test_we_close(browser: Browser, arguments: list[Any], said: tuple[int, str]) -> None:
    kept = Kept()
    async with serving(kept) as server:
        answer = asyncio.ensure_future(
            browser.arun("const { opened, closed } = connect(url); await opened; return await closed", url=server.url)
        )
        ws, log = await kept.first()
        await log.until(E.OPEN)
        ws.close(*arguments)
        assert await answer == [*said, True]
        close = await log.until(E.CLOSE)
    assert (close.code, close.reason, close.wasClean) == (*said, True)


async def test_the_server_stops(browser: Browser) -> None:
    kept = Kept()
    async with serving(kept) as server:
        answer = asyncio.ensure_future(
            browser.arun("const { opened, closed } = connect(url); await opened; return await closed", url=server.url)
        )
        _, log = await kept.first()
        await log.until(E.OPEN)
    code, _, clean = await answer
    assert (code, clean) == (1001, True)


async def test_a_message_over_the_limit(browser: Browser) -> None:
    kept = Kept()
    async with serving(kept, parameters={"max_message_size": 1000}) as server:
        code = (
            "const { ws, opened, closed } = connect(url); await opened; ws.send('x'.repeat(1001)); return await closed"
        )
        answer = await browser.arun(code, url=server.url)
        assert (answer[0], answer[2]) == (1009, True)
        _, log = await kept.first()
        await log.until(E.CLOSE)
    assert log.messages == []


@pytest.mark.parametrize(
    ("offered", "ours", "chosen"),
    [
        (["x", "b", "a"], ["a", "b"], "a"),  # the server's order counts
        (["b"], ["a", "b"], "b"),
        ([], ["a", "b"], ""),
        (["chat"], "chat", "chat"),
    ],
)
async def test_subprotocols(browser: Browser, offered: list[str], ours: str | list[str], chosen: str) -> None:
    kept = Kept()
    async with serving(kept, protocols=ours) as server:
        code = """
        const { ws, opened } = connect(url, protocols);
        const how = await opened;
        ws.close();
        return [how, ws.protocol];
        """
        how, protocol = await browser.arun(code, url=server.url, protocols=offered)
        ws, log = await kept.first()
        await log.until(E.CLOSE)
    assert how == "open"
    assert protocol == ws.protocol
    assert protocol == chosen


async def test_no_subprotocol_in_common_fails_in_the_browser(browser: Browser) -> None:
    kept = Kept()
    async with serving(kept, protocols=["a"]) as server:
        code = "const { opened, closed } = connect(url, ['b']); return [await opened, ...await closed]"
        assert await browser.arun(code, url=server.url) == ["error", 1006, "", False]
        ws, log = await kept.first()
        close = await log.until(E.CLOSE)
    assert ws.protocol == ""
    assert (close.code, close.wasClean) == (1006, False)


async def test_what_the_request_says(browser: Browser) -> None:
    kept = Kept()
    async with serving(kept) as server:
        code = """
        document.cookie = "seen=yes; path=/";
        const { ws, opened, closed } = connect(`${url}room/7?who=me&what=%C3%BC`);
        await opened;
        ws.close();
        await closed;
        return [ws.url, navigator.userAgent];
        """
        url, agent = await browser.arun(code, url=server.url)
        ws, log = await kept.first()
        await log.until(E.CLOSE)
    headers = {name.lower(): value for name, value in ws.headers}
    assert headers["origin"] == browser.origin
    assert headers["user-agent"] == agent
    assert headers["cookie"] == "seen=yes"
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert ws.url == url == f"{server.url}room/7?who=me&what=%C3%BC"


@pytest.mark.parametrize(
    ("compression", "agreed"),
    [
        (True, "permessage-deflate; client_max_window_bits=12; server_max_window_bits=12"),
        (
            Compression(server_no_context_takeover=True, client_no_context_takeover=True),
            f"permessage-deflate; client_max_window_bits=12; client_no_context_takeover; server_max_window_bits=12; {FORGETS}",
        ),
        (
            Compression(client_max_window_bits=9, server_max_window_bits=15, threshold=0),
            "permessage-deflate; client_max_window_bits=9",
        ),
        (False, ""),
    ],
    ids=["default", "no contexts", "windows", "off"],
)
async def test_compression(browser: Browser, compression: bool | Compression, agreed: str) -> None:
    kept: list[WebSocket] = []

    async def keep(ws: WebSocket) -> None:
        kept.append(ws)
        await echo(ws)

    async with serving(keep, parameters={"compression": compression}) as server:
        code = ECHO.replace("return {", "return { extensions: ws.extensions,")
        answer = await browser.arun(code, url=server.url, sizes=[*SIZES, 5000, 5000, 5000])
        assert "; ".join(sorted(answer.pop("extensions").split("; "), key=option)) == agreed
        assert answer == {"wrong": [], "closed": [1000, "done", True], "buffered": 0}
    (ws,) = kept
    assert "; ".join(sorted(ws.extensions.split("; "), key=option)) == agreed
    counters = ws.statistics()
    if agreed:  # a half of the bytes and nearly all of the text compress well
        assert counters.wire_bytes_sent < 0.7 * counters.bytes_sent
        assert counters.wire_bytes_received < 0.7 * counters.bytes_received
    else:
        assert counters.wire_bytes_sent > counters.bytes_sent


def option(text: str) -> tuple[bool, str]:
    return text != "permessage-deflate", text


async def test_many_connections_at_once(browser: Browser) -> None:
    async with serving(echo) as server:
        code = """
        const talk = async (n) => {
          const { ws, opened, closed, recv } = connect(url);
          await opened;
          ws.send(`${n}`);
          const got = await recv();
          ws.close(1000);
          return got === `${n}` && (await closed)[0] === 1000;
        };
        return (await Promise.all(Array.from({ length: 10 }, (_, n) => talk(n)))).filter(Boolean).length;
        """
        assert await browser.arun(code, url=server.url) == 10  # Chromium itself holds back more
