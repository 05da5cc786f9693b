"""WebSocket frames made and read by hand (RFC 6455 section 5.2), for peers that may also do wrong."""

import os
import struct
from collections.abc import Callable
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool
    masked: bool
    reserved: int = 0

    @property
    def close(self) -> tuple[int, str]:
        """Code and reason of a close frame; 1005 without a code."""
        assert self.opcode == CLOSE, self
        if not self.payload:
            return 1005, ""
        return struct.unpack(">H", self.payload[:2])[0], self.payload[2:].decode()


def build(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = False, reserved: int = 0) -> bytes:
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack(">BH", bit | 126, size)
    else:
        head += struct.pack(">BQ", bit | 127, size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + _masked(payload, key)


def close_payload(code: int | None, reason: str = "") -> bytes:
    return b"" if code is None else struct.pack(">H", code) + reason.encode()


def read(exactly: Callable[[int], bytes]) -> Frame:
    first, second = exactly(2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", exactly(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", exactly(8))
    masked = bool(second & 0x80)
    key = exactly(4) if masked else b""
    payload = exactly(size)
    return Frame(
        first & 0x0F, _masked(payload, key) if masked else payload, bool(first & 0x80), masked, first >> 4 & 0x7
    )


def _masked(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    pad = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ pad).to_bytes(size, "big")
