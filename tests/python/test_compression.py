"""permessage-deflate (RFC 7692) on connections: what is agreed on, what goes over the wire, what it may cost."""

import asyncio
import contextlib
import json
import random
import zlib
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.asyncio.server
from support import frames, media
from support.pair import pair, serving
from support.raw import RawClient, RawPeer, RawServer
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

from voxwire import AudioUnit, Compression, ConnectionClosed, HandshakeError, InvalidParameter, MessageTooBig, WebSocket
from voxwire import WebSocketEvents as E

TEXT = json.dumps({"type": "session.update", "instructions": "Answer in one sentence. " * 40})
NOISE = random.Random(7).randbytes(3000)
RSV1 = 0x4
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


def deflated(data: bytes, *, bits: int = 15) -> bytes:
    compressor = zlib.compressobj(wbits=-bits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


def inflated(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=-15).decompress(data + b"\x00\x00\xff\xff")


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


async def test_by_default_both_ends_agree_and_messages_are_smaller_on_the_wire() -> None:
    async with pair() as (outgoing, incoming):
        agreed = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
        assert (outgoing.extensions, incoming.extensions) == (agreed, agreed)
        for _ in range(10):
            outgoing.send(TEXT)
            incoming.send(TEXT.encode())
            assert await incoming.recv() == TEXT
            assert await outgoing.recv() == TEXT.encode()
        for end in (outgoing, incoming):
            counters = end.statistics()
            assert (counters.bytes_sent, counters.bytes_received) == (10 * len(TEXT), 10 * len(TEXT))
            assert counters.wire_bytes_sent < counters.bytes_sent / 10
            assert counters.wire_bytes_received < counters.bytes_received / 10


@pytest.mark.parametrize("off", ["client", "server"])
async def test_who_does_not_want_it_does_not_get_it(off: str) -> None:
    settings: dict[str, Any] = {off: {"compression": False}}
    async with pair(**settings) as (outgoing, incoming):
        assert (outgoing.extensions, incoming.extensions) == ("", "")
        outgoing.send(TEXT)
        assert await incoming.recv() == TEXT
        assert outgoing.statistics().wire_bytes_sent > len(TEXT)


OPTIONS = [
    Compression(),
    Compression(server_no_context_takeover=True),
    Compression(client_no_context_takeover=True),
    Compression(server_no_context_takeover=True, client_no_context_takeover=True, threshold=0),
    Compression(server_max_window_bits=9, client_max_window_bits=9),
    Compression(server_max_window_bits=15, client_max_window_bits=15, level=9, memory_level=9),
    Compression(level=1, memory_level=1, threshold=0),
    Compression(level=0),
]


@pytest.mark.parametrize("ours", OPTIONS, ids=str)
async def test_their_server_understands_every_choice(ours: Compression) -> None:
    async with websockets.asyncio.server.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with WebSocket(url, compression=ours) as ws:
            assert ws.extensions.startswith("permessage-deflate")
            assert ("server_no_context_takeover" in ws.extensions) == ours.server_no_context_takeover
            for message in (TEXT, "", "x", NOISE, b"", TEXT * 100, b"\0" * 300_000, TEXT):
                ws.send(message)
                assert await ws.recv() == message


@pytest.mark.parametrize("ours", OPTIONS, ids=str)
async def test_their_client_understands_every_choice(ours: Compression) -> None:
    async with serving(echo_back, parameters={"compression": ours}) as server:
        async with websockets.asyncio.client.connect(server.url, subprotocols=None, max_size=None) as client:
            assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
            for message in (TEXT, "", "x", NOISE, b"", TEXT * 100, b"\0" * 300_000, TEXT):
                await client.send(message)
                assert await client.recv() == message


def echo_back(ws: WebSocket) -> None:
    ws.addEventListener(E.MESSAGE, lambda event: ws.send(event.data))


THEIRS = [(False, False, 9, 9), (True, True, 15, 15), (True, False, 10, 15), (False, True, 15, 11)]


@pytest.mark.parametrize("theirs", THEIRS)
async def test_we_do_what_they_ask(theirs: tuple[bool, bool, int, int]) -> None:
    server_forgets, client_forgets, server_bits, client_bits = theirs
    factory = ServerPerMessageDeflateFactory(server_forgets, client_forgets, server_bits, client_bits)
    asked = ClientPerMessageDeflateFactory(server_forgets, client_forgets, server_bits, client_bits)
    async with (
        websockets.asyncio.server.serve(echo, "127.0.0.1", 0, compression=None, extensions=[factory]) as server,
        WebSocket(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as ws,
        serving(echo_back) as ours,
        websockets.asyncio.client.connect(ours.url, compression=None, extensions=[asked]) as client,
    ):
        assert ("server_no_context_takeover" in ws.extensions) == server_forgets
        assert ("client_no_context_takeover" in ws.extensions) == client_forgets
        for message in (TEXT, NOISE, TEXT * 50, "", TEXT):
            ws.send(message)
            assert await ws.recv() == message
            await client.send(message)
            assert await client.recv() == message


async def test_a_server_that_ignores_the_window_we_need_is_refused() -> None:
    with RawServer(lambda peer: peer.accept(extra=[DEFLATE])) as server:
        with pytest.raises(HandshakeError, match="server_max_window_bits"):
            await WebSocket(server.url, compression=Compression(server_max_window_bits=10)).wait_open()


async def test_a_server_may_leave_us_a_larger_window_than_we_use() -> None:
    answer = f"{DEFLATE}; client_max_window_bits=15"
    offers: list[str] = []

    def script(peer: RawPeer) -> None:
        peer.accept(extra=[answer])
        offers.append(peer.headers["sec-websocket-extensions"])
        with contextlib.suppress(EOFError, ConnectionError):  # the second one hangs up
            peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws:
            assert ws.extensions == "permessage-deflate; client_max_window_bits=15"
        with pytest.raises(HandshakeError, match="client_max_window_bits is 15; expected at most the 11 offered"):
            await WebSocket(server.url, compression=Compression(client_max_window_bits=11)).wait_open()
    assert offers == ["permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=11"]


async def test_an_extension_that_nobody_offered_is_refused() -> None:
    with RawServer(lambda peer: peer.accept(extra=[DEFLATE])) as server:
        with pytest.raises(HandshakeError, match="none was offered"):
            await WebSocket(server.url, compression=False).wait_open()


async def test_small_messages_and_messages_of_streams_are_sent_as_they_are() -> None:
    seen: list[frames.Frame] = []

    def script(peer: RawPeer) -> None:
        peer.accept(extra=[DEFLATE])
        while (frame := peer.frame()).opcode != frames.CLOSE:
            seen.append(frame)
        peer.close()
        peer.hang_up()

    with RawServer(script) as server:
        async with WebSocket(server.url) as ws, AudioUnit(8000) as unit:
            ws.send("x" * 63)
            ws.send("x" * 64)
            unit.sendMediaTo(ws)
            unit.write(media.tone(100))
            unit.end()
            while ws.statistics().media_frames_sent < 5:
                await asyncio.sleep(0.01)
    short, long, start, *rest = [frame for frame in seen if frame.opcode == frames.TEXT]
    assert (short.reserved, short.payload) == (0, b"x" * 63)
    assert (long.reserved, inflated(long.payload)) == (RSV1, b"x" * 64)
    assert [frame.reserved for frame in (start, *rest)] == [0] * (1 + len(rest))
    assert json.loads(start.payload)["event"] == "start"


@pytest.mark.parametrize("pieces", [1, 50])
async def test_a_bomb_closes_with_1009_and_costs_no_memory(pieces: int) -> None:
    bomb = deflated(b"\0" * (64 << 20))

    def script(peer: RawPeer) -> None:
        peer.accept(extra=[DEFLATE])
        size = -(-len(bomb) // pieces)
        parts = [bomb[at : at + size] for at in range(0, len(bomb), size)]
        for number, part in enumerate(parts):
            opcode = frames.CONTINUATION if number else frames.BINARY
            peer.send(opcode, part, fin=number == len(parts) - 1, reserved=0 if number else RSV1)
        assert peer.answer_close()[0] == 1009

    before = resident()
    with RawServer(script) as server:
        ws = WebSocket(server.url, max_message_size=1 << 20)
        with pytest.raises(ConnectionClosed, match="1048576") as caught:
            await ws.recv()
        assert isinstance(caught.value.__cause__, MessageTooBig)
        event = await ws.wait_closed()
    assert event.code == 1006
    assert resident() - before < 30 << 20


def resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


@pytest.mark.parametrize(
    ("payload", "code"), [(b"\xff\xff\xff", 1002), (deflated(b"\xff\xfe"), 1007), (deflated(TEXT.encode())[:-9], 1002)]
)
async def test_what_cannot_be_inflated_ends_the_connection_and_no_other(payload: bytes, code: int) -> None:
    async with serving(echo_back) as server, WebSocket(server.url) as bystander:
        client = RawClient(server.url, headers=[DEFLATE]).open()
        await asyncio.to_thread(client.send, frames.TEXT, payload, reserved=RSV1)
        frame = await asyncio.to_thread(client.until, frames.CLOSE)
        client.hang_up()
        assert frame.close[0] == code
        bystander.send(TEXT)
        assert await bystander.recv() == TEXT


async def test_without_an_agreement_a_compressed_message_is_a_protocol_error() -> None:
    async with serving(echo_back) as server:
        client = RawClient(server.url).open()
        await asyncio.to_thread(client.send, frames.TEXT, deflated(b"hello"), reserved=RSV1)
        assert (await asyncio.to_thread(client.until, frames.CLOSE)).close[0] == 1002
        client.hang_up()


async def test_a_context_that_was_given_back_while_idle_is_not_missed() -> None:
    async with pair({"ping_interval": 0.05}) as (outgoing, incoming):
        for _ in range(3):
            for _ in range(3):
                outgoing.send(TEXT)
                assert await incoming.recv() == TEXT
            pings = outgoing.statistics().pings_sent
            while outgoing.statistics().pings_sent < pings + 3:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"server_max_window_bits": 7}, "server_max_window_bits"),
        ({"client_max_window_bits": 16}, "client_max_window_bits"),
        ({"client_max_window_bits": "15"}, "client_max_window_bits"),
        ({"level": 10}, "level"),
        ({"level": True}, "level"),
        ({"memory_level": 0}, "memory_level"),
        ({"threshold": -1}, "threshold"),
        ({"server_no_context_takeover": 1}, "server_no_context_takeover"),
    ],
)
def test_values_out_of_range_are_named(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidParameter, match=f"compression.{field}"):
        Compression(**values)


async def test_what_is_no_compression_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="compression: 'deflate'"):
        WebSocket("ws://localhost/", compression="deflate")  # type: ignore[arg-type]
