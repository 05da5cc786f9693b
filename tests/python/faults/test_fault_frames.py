"""Frames that a peer must not send, to either side, and compressed messages that grow: what it is told, what it costs."""

import asyncio
import os
import threading
import zlib

import pytest
from support import frames
from support.facing import SIDES, Side, facing
from support.frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, build
from support.log import Log
from support.process import memory
from support.raw import RawPeer

import voxwire
from voxwire import WebSocketEvents as E

ON_DRIVERS = ["loop", "tokio"]
BROKEN = {
    "reserved bit": (build(TEXT, b"x", reserved=2), 1002),
    "compressed without agreement": (build(TEXT, b"x", reserved=4), 1002),
    "reserved opcode": (build(0x3), 1002),
    "reserved control opcode": (build(0xB), 1002),
    "ping of 126 bytes": (build(PING, bytes(126)), 1002),
    "fragmented ping": (build(PING, b"x", fin=False), 1002),
    "lone continuation": (build(CONTINUATION, b"x"), 1002),
    "message within a message": (build(TEXT, b"a", fin=False) + build(TEXT, b"b"), 1002),
    "text that is not UTF-8": (build(TEXT, b"\xff\xfe"), 1007),
    "surrogate in a text": (build(TEXT, b"\xed\xa0\x80"), 1007),
    "close of 1 byte": (build(CLOSE, b"\x03"), 1002),
    "close with a reserved code": (build(CLOSE, frames.close_payload(1005)), 1002),
    "close with a reason that is not UTF-8": (build(CLOSE, b"\x03\xe8\xff"), 1007),
    "length of 2**63": (b"\x82\x7f\x80" + bytes(7), 1002),
    "length of 2**63 - 1": (b"\x82\x7f\x7f" + b"\xff" * 7, 1009),
    "one byte over the limit": (build(BINARY, bytes(1001)), 1009),
    "one byte over the limit in fragments": (build(BINARY, bytes(1000), fin=False) + build(CONTINUATION, b"x"), 1009),
    "fragment over the limit": (build(BINARY, b"", fin=False) + build(CONTINUATION, b"", fin=False) * 10, 1009),
}


def masked(unmasked: bytes) -> bytes:
    """The frames as a client sends them, with a key of zeros: the payload stays as it is."""
    out, rest = b"", unmasked
    while rest:
        size, extra = rest[1] & 0x7F, 0
        if size >= 126:
            extra = 2 if size == 126 else 8
            size = int.from_bytes(rest[2 : 2 + extra], "big")
        end = 2 + extra
        out += rest[:1] + bytes([rest[1] | 0x80]) + rest[2:end] + bytes(4) + rest[end : end + size]
        rest = rest[end + size :]
    return out


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_frame(name: str, side: Side) -> None:
    sent, code = BROKEN[name]
    told: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.write(masked(sent) if side == "server" else sent)
        told.append(peer.until(CLOSE).close[0])
        peer.wait_eof()

    async with facing(side, script, max_message_size=1000, max_fragments=10) as ws:
        log = Log(ws)
        close = await log.until(E.CLOSE)
    assert told == [code]
    error = log.of(E.ERROR)[0].error
    assert isinstance(error, voxwire.MessageTooBig if code == 1009 else voxwire.ProtocolError)
    assert (close.code, close.wasClean) == (1006, False)


@pytest.mark.parametrize("side", SIDES)
async def test_a_mask_that_is_missing_or_too_much(side: Side) -> None:
    told: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.write(build(TEXT, b"x", mask=side == "client"))
        told.append(peer.until(CLOSE).close[0])
        peer.wait_eof()

    async with facing(side, script) as ws:
        await ws.wait_closed()
    assert told == [1002]


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


BOMB = deflated(bytes(32 << 20))
"""32 MiB of zeros in 32 KiB."""
GARBAGE = bytes(range(255, 0, -1)) * 40


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("payload", "piece", "code"),
    [
        (BOMB, len(BOMB), 1009),
        (BOMB, 100, 1009),
        (BOMB, 11_000, 1009),
        (GARBAGE, len(GARBAGE), 1002),
        (GARBAGE, 7, 1002),
    ],
    ids=["bomb", "bomb in small fragments", "bomb in fragments", "garbage", "garbage in fragments"],
)
async def test_a_compressed_message_that_must_not_be(payload: bytes, piece: int, code: int, side: Side) -> None:
    told: list[int] = []

    def script(peer: RawPeer) -> None:
        parts = [payload[at : at + piece] for at in range(0, len(payload), piece)]
        sent = b""
        for number, part in enumerate(parts):
            opcode, reserved = (CONTINUATION, 0) if number else (BINARY, 4)
            sent += build(opcode, part, fin=number == len(parts) - 1, reserved=reserved, mask=peer.masks)
        peer.write(sent)
        told.append(peer.until(CLOSE).close[0])
        peer.wait_eof()

    async with facing(side, script, deflate=True, max_message_size=1 << 20) as ws:
        log = Log(ws)
        await log.until(E.CLOSE)
        assert not log.messages
    assert told == [code]


@pytest.mark.parametrize("side", SIDES)
async def test_a_claimed_length_is_not_believed(side: Side) -> None:
    """A frame that says it has 16 MiB and brings nothing takes no memory: it is grown as it comes."""

    def script(peer: RawPeer) -> None:
        mask = 0x80 if peer.masks else 0
        peer.write(bytes([0x82, mask | 127]) + (16 << 20).to_bytes(8, "big") + bytes(4 if mask else 0) + b"x")
        waited.wait(15)
        peer.hang_up()

    waited = threading.Event()
    before = memory(os.getpid())
    async with facing(side, script) as ws:
        await asyncio.sleep(0.1)
        assert memory(os.getpid()) - before < 8 << 20
        waited.set()
        assert (await ws.wait_closed()).code == 1006
