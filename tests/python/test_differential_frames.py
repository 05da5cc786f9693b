"""The same frames to us and to `websockets`: what one makes of a stream of bytes, the other does too.

Streams of random frames, right and wrong, read by our end of a connection and by `websockets`' sans-IO protocol.
DIFFERENCES says where we differ on purpose.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import frames
from support.bounded import BOUNDED
from support.pair import serving
from support.raw import RawClient, RawPeer, RawServer
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from voxwire import Compression, WebSocket

LIMIT = 1000
"""Bytes of a message, for both."""

HEADER = r"frame |control frame |continuation frame|new (text|binary) frame"
DIFFERENCES: list[tuple[str, set[int | None], str]] = [
    (HEADER, {None}, "a header breaks a rule: we say so at the header, they behind the payload, which never comes"),
    (HEADER, {1009}, "the same, and that payload would be too long: they look at its length first"),
    (
        HEADER,
        {1007},
        "the same, and the text so far is not UTF-8: ours is not complete, theirs they look at in the end",
    ),
    (
        r"payload length",
        {None, 1000, 1002, 1007, 1009},
        "a length in more bytes than it needs (RFC 6455 section 5.2), or of more than 63 bits: they take it as it is",
    ),
    (
        r"text message is not valid UTF-8",
        {None, 1000, 1002, 1009},
        "we say so at the byte that shows it, they at the end of the message, so that something else may come before",
    ),
    (
        r"message of at least",
        {None, 1002},
        "a compressed message: we say so at the byte that takes it over the limit, they when all rules were looked at",
    ),
    (
        r"compressed message",
        {None, 1000, 1002, 1007, 1009},
        (
            "it is damaged: we say so at the byte that shows it, they when the frame is complete, if it shows in what the "
            "limit allows. They look neither behind a block with BFINAL (RFC 7692 section 7.2.3.4) nor whether the message "
            "ends inside a block (section 7.2.1)"
        ),
    ),
    (r"close frame has the invalid code", {1007}, "and its reason is not UTF-8: we look at the code first"),
    (r"closed|close frame", {1009}, "a control frame inside a message that is nearly as long as may be: they count it"),
    (r"closed", {1002}, "a close inside a fragmented message: allowed (RFC 6455 section 5.4), they want its end first"),
]
"""What we say ("closed": we answer a close), their close code (None: they wait for more), and why that is so on purpose.
Where one of us stops earlier, its messages are the first of the other's."""


@dataclass
class Read:
    """What was made of a stream."""

    messages: list[str | bytes] = field(default_factory=list)
    close: int | None = None
    reason: str = field(default="", compare=False)


def read_by_them(protocol: Protocol, stream: bytes) -> Read:
    """What a connection of `websockets` makes of it: like its assembler, it decodes a text that is complete."""
    protocol.receive_data(stream)
    protocol.receive_eof()
    read, parts, opcode = Read(), [], None
    for event in protocol.events_received():
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            continue
        opcode = event.opcode if event.opcode is not Opcode.CONT else opcode
        parts.append(bytes(event.data))
        if event.fin:
            data, parts = b"".join(parts), []
            try:
                read.messages.append(data.decode() if opcode is Opcode.TEXT else data)
            except UnicodeDecodeError:
                read.close = 1007  # as its connection does, when the message is received
                return read
    if protocol.close_sent is not None:
        read.close = protocol.close_sent.code
    return read


def close_of(sent: Iterator[frames.Frame]) -> tuple[int | None, str]:
    return next((frame.close for frame in sent if frame.opcode == frames.CLOSE), (None, ""))


def all_of(peer: RawPeer) -> Iterator[frames.Frame]:
    try:
        while True:
            yield peer.frame()
    except (EOFError, ConnectionError):
        return


class OurServer:
    """Our server and what its connections received."""

    def __init__(self, loop: asyncio.AbstractEventLoop, url: str, extension: str) -> None:
        self.loop, self.url = loop, url
        self.headers = [f"Sec-WebSocket-Extensions: {extension}"] if extension else []
        self.incoming: asyncio.Queue[WebSocket] = asyncio.Queue()

    def read(self, stream: bytes) -> Read:
        client = RawClient(self.url, headers=self.headers).open()
        try:
            client.write(stream)
            client.sock.shutdown(1)
            read = Read()
            read.close, read.reason = close_of(all_of(client))
        finally:
            client.hang_up()
        read.messages = asyncio.run_coroutine_threadsafe(received(self.incoming), self.loop).result(20)
        return read


async def received(incoming: asyncio.Queue[WebSocket]) -> list[str | bytes]:
    ws = await incoming.get()
    return [message async for message in quietly(ws)]


async def quietly(ws: WebSocket) -> AsyncIterator[str | bytes]:
    """The messages up to the end, whatever that was."""
    while True:
        try:
            yield await ws.recv()
        except Exception:
            return


def read_reason(ours: Read) -> str:
    return ours.reason if ours.close in (1002, 1007, 1009) else "closed"


def compare(ours: Read, theirs: Read) -> None:
    if ours == theirs:
        return
    said = read_reason(ours)
    assert any(re.match(reason, said) and theirs.close in codes for reason, codes, _ in DIFFERENCES), (ours, theirs)
    seen = min(len(ours.messages), len(theirs.messages))
    assert ours.messages[:seen] == theirs.messages[:seen]
    assert said == "closed" or len(ours.messages) == seen, "we have read on"


def compressed(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def any_frame(*, mask: bool, deflate: bool) -> st.SearchStrategy[bytes]:
    """A frame, most often one that is right where it stands."""
    data = st.one_of(
        st.binary(max_size=130),
        st.text(max_size=40).map(str.encode),
        st.sampled_from([b"", b"x" * 125, b"y" * 126, b"z" * LIMIT, b"z" * (LIMIT + 1), b"\xf0\x9f", b"\x8e\x99"]),
        st.sampled_from([b"\x03\xe8", b"\x03\xe8bye", b"\x03\xed", b"\x03", b"\x0b\xb8", b"\x03\xe8\xff"]),
    )
    if deflate:
        data = st.one_of(data, data.map(compressed), data.map(lambda data: compressed(data * 20)))
    common = st.sampled_from([frames.TEXT] * 3 + [frames.BINARY] * 3 + [frames.CONTINUATION] * 4 + [frames.PING] * 2)
    return st.builds(
        # A compressed message has at least a byte (RFC 7692 section 7.2.3.6). We take one of none as empty; they then
        # read the end of its block, which they add, as the start of one.
        lambda opcode, data, fin, reserved, masked: frames.build(
            opcode, data or b"\0" * (reserved == 4), fin=fin or opcode >= frames.CLOSE, mask=masked, reserved=reserved
        ),
        st.one_of(common, common, st.sampled_from([frames.PONG, frames.CLOSE, 0x3, 0xB])),
        data,
        st.booleans(),
        st.sampled_from([0] * 12 + [4] * (8 if deflate else 1) + [1, 2]),
        st.sampled_from([mask] * 40 + [not mask]),
    )


def any_stream(*, mask: bool, deflate: bool) -> st.SearchStrategy[bytes]:
    """Some frames, of which a few bytes may be damaged or missing at the end."""
    whole = st.lists(any_frame(mask=mask, deflate=deflate), max_size=8).map(b"".join)

    def damaged(stream: bytes, place: int, byte: int, missing: int) -> bytes:
        changed = bytearray(stream)
        if changed:
            changed[place % len(changed)] = byte
        return bytes(changed[: len(changed) - missing])

    damage = st.builds(damaged, whole, st.integers(0, 1 << 12), st.integers(0, 255), st.integers(0, 3))
    # Most often it ends with a close, so that nobody waits for more.
    end = frames.build(frames.CLOSE, b"\x03\xe8", mask=mask)
    return st.one_of(whole.map(lambda stream: stream + end), whole.map(lambda stream: stream + end), damage)


EXTENSIONS = ["", "permessage-deflate", "permessage-deflate; client_no_context_takeover; server_no_context_takeover"]


def their_end(protocol: Protocol, extension: str) -> Protocol:
    if extension:
        forgets = "no_context_takeover" in extension
        protocol.extensions = [PerMessageDeflate(forgets, forgets, 15, 15)]
    return protocol


def their_server(extension: str = "") -> Protocol:
    return their_end(ServerProtocol(state=State.OPEN, max_size=LIMIT), extension)


def their_client(extension: str = "") -> Protocol:
    return their_end(ClientProtocol(parse_uri("ws://h/"), state=State.OPEN, max_size=LIMIT), extension)


PARAMETERS: dict[str, Any] = {"max_message_size": LIMIT, "close_timeout": 5}


@pytest.mark.parametrize("extension", EXTENSIONS)
async def test_a_server_makes_the_same_of_any_frames(extension: str) -> None:
    async with our_end_as_server(extension) as ours:

        @settings(BOUNDED, max_examples=120)
        @given(any_stream(mask=True, deflate=bool(extension)))
        def any_of_them(stream: bytes) -> None:
            compare(ours.read(stream), read_by_them(their_server(extension), stream))

        await asyncio.to_thread(any_of_them)


@asynccontextmanager
async def our_end_as_server(extension: str) -> AsyncIterator[OurServer]:
    loop = asyncio.get_running_loop()
    incoming: list[OurServer] = []
    async with serving(lambda ws: incoming[0].incoming.put_nowait(ws), parameters=PARAMETERS) as server:
        incoming.append(OurServer(loop, server.url, extension))
        yield incoming[0]


@pytest.mark.parametrize("extension", EXTENSIONS)
async def test_a_client_makes_the_same_of_any_frames(extension: str) -> None:
    loop = asyncio.get_running_loop()
    compression = Compression("no_context" in extension, "no_context" in extension) if extension else False

    async def connect(url: str) -> list[str | bytes]:
        return [message async for message in quietly(WebSocket(url, compression=compression, **PARAMETERS))]

    def read(stream: bytes) -> Read:
        read = Read()

        def script(peer: RawPeer) -> None:
            peer.accept(extra=[f"Sec-WebSocket-Extensions: {extension}"] if extension else [])
            peer.write(stream)
            peer.sock.shutdown(1)
            read.close, read.reason = close_of(all_of(peer))
            peer.hang_up()

        with RawServer(script) as server:
            read.messages = asyncio.run_coroutine_threadsafe(connect(server.url), loop).result(20)
        return read

    @settings(BOUNDED, max_examples=60)
    @given(any_stream(mask=False, deflate=bool(extension)))
    def any_of_them(stream: bytes) -> None:
        compare(read(stream), read_by_them(their_client(extension), stream))

    await asyncio.to_thread(any_of_them)
