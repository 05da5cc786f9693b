"""Node's `ws` library as server and as client: messages, fragments, pings, closes, limits, compression's parameters."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from children import Child, needs
from support.log import Log
from support.pair import serving

from voxwire import Compression, WebSocket
from voxwire import WebSocketEvents as E

DEBIAN = "/usr/share/nodejs"
pytestmark = needs("node", files=(f"{DEBIAN}/ws",))
ON_LOOPS = ["uvloop"]  # what a loop changes is tested in tests/python

HERE = Path(__file__).parent / "node"
MESSAGES: list[str | bytes] = [
    "",
    b"",
    "grüße 🎙",
    "compressible " * 10_000,
    bytes(100_000),
    random.Random(1).randbytes(100_000),
    random.Random(2).randbytes(1024 * 1024),
]


class Server(Child):
    """`ws` listening; `said` is what it wrote."""

    def __init__(self, directory: Path, **options: Any) -> None:
        super().__init__(directory, "node", HERE / "server.js", json.dumps(options), NODE_PATH=DEBIAN)
        self.url = f"ws://127.0.0.1:{json.loads(self.says('listening'))[1]}/"

    def said(self, event: str) -> list[Any]:
        self.says(f'["{event}"')
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [values[0] if len(values) == 1 else values for name, *values in lines if name == event]


@contextmanager
def client(directory: Path, url: str, *steps: list[Any], **options: Any) -> Iterator[Child]:
    arguments = (url, json.dumps(options), json.dumps(steps))
    with Child(directory, "node", HERE / "client.js", *arguments, NODE_PATH=DEBIAN) as child:
        yield child


async def happened(directory: Path, url: str, *steps: list[Any], **options: Any) -> list[list[Any]]:
    """What a client reports, until it ends."""
    with client(directory, url, *steps, **options) as child:
        assert await asyncio.to_thread(child.ended) == 0
        return [json.loads(line) for line in child.log.read_text().splitlines()]


def do(order: str, *values: Any) -> str:
    return "do " + json.dumps([order, *values])


NO_CONTEXTS = "server_no_context_takeover; client_no_context_takeover"
SERVERS: dict[str, tuple[Any, Any, str]] = {
    # their perMessageDeflate, our compression, what both say
    "off": (False, True, ""),
    "refused by us": (True, False, ""),
    "on": (True, True, "permessage-deflate"),
    "no contexts": (
        {"serverNoContextTakeover": True, "clientNoContextTakeover": True},
        True,
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ),
    "their windows": (
        {"clientMaxWindowBits": 10},
        True,
        "permessage-deflate; client_max_window_bits=10",
    ),
    "our windows": (
        True,
        Compression(server_max_window_bits=9, client_max_window_bits=11),
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=11",
    ),
    "everything, however short": (
        {"threshold": 0},
        Compression(threshold=0),
        "permessage-deflate",
    ),
}


@pytest.mark.parametrize("name", SERVERS)
async def test_our_client(tmp_path: Path, name: str) -> None:
    theirs, ours, agreed = SERVERS[name]
    with Server(tmp_path, perMessageDeflate=theirs) as server:
        async with WebSocket(server.url, compression=ours) as ws:
            assert ws.protocol == "chat"  # it takes the first
            assert ws.extensions == agreed
            for message in MESSAGES:
                ws.send(message)
                assert await ws.recv() == message
            counters = ws.statistics()
        assert (await ws.wait_closed()).code == 1000
        assert server.said("close") == [[1000, ""]]
        (connection,) = server.said("connection")
    assert connection[0] == agreed.split(";")[0]
    sizes = sum(len(message.encode() if isinstance(message, str) else message) for message in MESSAGES)
    assert counters.bytes_sent == counters.bytes_received == sizes
    for wire in (counters.wire_bytes_sent, counters.wire_bytes_received):
        assert (wire < sizes - 200_000) == bool(agreed)


async def test_fragments_of_theirs_with_pings_between(tmp_path: Path) -> None:
    with Server(tmp_path, perMessageDeflate=True) as server:
        async with WebSocket(server.url) as ws:
            for pieces in (["a", "", "ü" * 70_000], ["x" * 2000] * 20, ["", ""]):
                ws.send(do("fragments", *pieces))
                assert await ws.recv() == "".join(pieces)
        assert server.said("pong")[:3] == ["0", "1", "2"]


async def test_pings_both_ways(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        async with WebSocket(server.url) as ws:
            assert await ws.ping(b"ours") > 0
            ws.send(do("ping", "theirs"))
            ws.send("behind it")
            assert await ws.recv() == "behind it"
        assert server.said("ping") == ["ours"]
        assert server.said("pong") == ["theirs"]


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (do("close"), (1005, "", True)),
        (do("close", 1000, "bye"), (1000, "bye", True)),
        (do("close", 1011, "größer"), (1011, "größer", True)),
        (do("close", 4999, "r" * 123), (4999, "r" * 123, True)),
        (do("terminate"), (1006, "", False)),
    ],
)
async def test_their_closes(tmp_path: Path, order: str, said: tuple[int, str, bool]) -> None:
    with Server(tmp_path) as server:
        async with WebSocket(server.url) as ws:
            ws.send(order)
            close = await ws.wait_closed()
    assert (close.code, close.reason, close.wasClean) == said


@pytest.mark.parametrize(
    ("arguments", "said"), [((), [1005, ""]), ((1000, "bye"), [1000, "bye"]), ((4999, "ä" * 61), [4999, "ä" * 61])]
)
async def test_our_closes(tmp_path: Path, arguments: tuple[Any, ...], said: list[Any]) -> None:
    with Server(tmp_path) as server:
        ws = WebSocket(server.url)
        await ws.wait_open()
        ws.close(*arguments)
        close = await ws.wait_closed()
        assert [close.code, close.reason] == said
        assert close.wasClean
        assert server.said("close") == [said]


async def test_over_their_limit(tmp_path: Path) -> None:
    with Server(tmp_path, maxPayload=1000) as server:
        ws = WebSocket(server.url, compression=False)
        await ws.wait_open()
        ws.send("x" * 1000)
        assert await ws.recv() == "x" * 1000
        ws.send("x" * 1001)
        close = await ws.wait_closed()
        assert (close.code, close.wasClean) == (1009, True)
        assert server.said("error") == ["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"]


async def test_over_our_limit_when_it_is_inflated(tmp_path: Path) -> None:
    with Server(tmp_path, perMessageDeflate=True) as server:
        log = Log(WebSocket(server.url, max_message_size=10_000))
        opened = await log.until(E.OPEN)
        opened.websocket.send("x" * 9_000)
        opened.websocket.send("x" * 11_000)
        await log.until(E.CLOSE)
        assert [len(message) for message in log.messages] == [9_000]
        assert (await asyncio.to_thread(server.said, "close"))[0][0] == 1009


# Their client, our server

CLIENTS: dict[str, tuple[Any, Any, str]] = {
    # their perMessageDeflate, our compression, what is agreed on
    "off": (False, True, ""),
    "refused by us": (True, False, ""),
    "on": (True, True, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"),
    "no contexts": (
        {"serverNoContextTakeover": True, "clientNoContextTakeover": True},
        True,
        f"permessage-deflate; {NO_CONTEXTS}; server_max_window_bits=12; client_max_window_bits=12",
    ),
    "their windows": (
        {"serverMaxWindowBits": 9, "clientMaxWindowBits": 10},
        True,
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
    ),
    "no window of theirs": ({"clientMaxWindowBits": False}, True, "permessage-deflate; server_max_window_bits=12"),
    "everything, however short": (
        {"threshold": 0},
        Compression(threshold=0, server_max_window_bits=15, client_max_window_bits=15),
        "permessage-deflate",
    ),
}


@pytest.mark.parametrize("name", CLIENTS)
async def test_our_server(tmp_path: Path, name: str) -> None:
    theirs, ours, agreed = CLIENTS[name]
    kept: list[WebSocket] = []

    async def keep(ws: WebSocket) -> None:
        kept.append(ws)
        messages = [await ws.recv() for _ in range(8)]
        for message in messages:
            ws.send(message)
        ws.close(1000, "enough")

    texts = ["", "grüße 🎙", "compressible " * 10_000]
    steps: list[list[Any]] = [["send", texts[0]], ["send", texts[1]], ["repeat", "compressible ", 10_000]]
    steps += [["zeros", 0], ["zeros", 100_000], ["noise", 1], ["noise", 100_000], ["fragments", "a", "", "b" * 2000]]
    async with serving(keep, parameters={"compression": ours}) as server:
        events = await happened(tmp_path, server.url, *steps, perMessageDeflate=theirs, protocols=["x", "chat"])
    (ws,) = kept
    assert ws.extensions == agreed
    seen = [*texts, "0 noise", "100000 zeros", "1 noise", "100000 noise", "a" + "b" * 2000]
    assert events == [
        ["open", agreed.split(";")[0], "chat"],
        *(["message", text] for text in seen),
        ["close", 1000, "enough"],
    ]


async def test_their_pings_to_our_server(tmp_path: Path) -> None:
    async def ping(ws: WebSocket) -> None:
        await ws.wait_open()
        assert await ws.ping(b"ours") > 0
        ws.send(str(await ws.recv()) + str(await ws.recv()))
        ws.close(1000)

    async with serving(ping) as server:
        events = await happened(tmp_path, server.url, ["ping", "theirs"], ["send", "x"], ["fragments", "y"])
    assert sorted(events) == [
        ["close", 1000, ""],
        ["message", "xy"],
        ["open", "permessage-deflate", ""],
        ["ping", "ours"],
        ["pong", "theirs"],
    ]


@pytest.mark.parametrize(
    ("arguments", "said"), [([], (1005, "")), ([1000, "bye"], (1000, "bye")), ([4999, "ä" * 61], (4999, "ä" * 61))]
)
async def test_their_client_closes(tmp_path: Path, arguments: list[Any], said: tuple[int, str]) -> None:
    logs: list[Log] = []
    async with serving(lambda ws: logs.append(Log(ws))) as server:
        events = await happened(tmp_path, server.url, ["close", *arguments])
        close = await logs[0].until(E.CLOSE)
    assert events[-1] == ["close", *said]
    assert (close.code, close.reason, close.wasClean) == (*said, True)


async def test_their_client_over_our_limits(tmp_path: Path) -> None:
    async with serving(Log, parameters={"max_message_size": 1000}) as server:
        for compressed in (False, True):
            events = await happened(
                tmp_path / str(compressed), server.url, ["zeros", 1001], perMessageDeflate=compressed
            )
            assert events[-1][:2] == ["close", 1009]


async def test_over_the_limit_of_their_client(tmp_path: Path) -> None:
    def send(ws: WebSocket) -> None:
        ws.onopen = lambda _event: ws.send("x" * 2000)

    async with serving(send) as server:
        events = await happened(tmp_path, server.url, maxPayload=1000)
    assert events[1:] == [["error", "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"], ["close", 1006, ""]]


async def test_a_subprotocol_that_we_do_not_speak(tmp_path: Path) -> None:
    async with serving(Log) as server:
        events = await happened(tmp_path, server.url, protocols=["other"])
    assert events[0] == ["error", "Server sent no subprotocol"]
