"""WebSocket frames and handshakes made by hand (RFC 6455), for peers that cost as little as possible."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def build(opcode: int, payload: bytes, *, mask: bool = False) -> bytes:
    """A whole message in one frame."""
    size, bit = len(payload), 0x80 if mask else 0
    head = bytes([0x80 | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + size.to_bytes(8, "big")
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + masked(payload, key)


def masked(payload: bytes | bytearray, key: bytes | bytearray) -> bytes:
    """Masks, or unmasks."""
    size = len(payload)
    pad = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ pad).to_bytes(size, "big")


def head(data: bytes | bytearray | memoryview, have: int) -> tuple[int, int, int] | None:
    """Opcode, size of the head with its masking key, size of the payload; None while the head is incomplete."""
    if have < 2:
        return None
    size = data[1] & 0x7F
    length = 6 if data[1] & 0x80 else 2
    if size == 126:
        length += 2
        size = int.from_bytes(data[2:4], "big")
    elif size == 127:
        length += 8
        size = int.from_bytes(data[2:10], "big")
    return None if have < length else (data[0] & 0x0F, length, size)


def message(size: int) -> str:
    """A JSON text of exactly this many bytes, as a speech service might send; at least 32."""
    start, end = '{"type":"partial","text":"', '"}'
    text = ("the quick brown fox jumps over the lazy dog " * (size // 44 + 1))[: size - len(start) - len(end)]
    return start + text + end


def accept(sock: socket.socket) -> str:
    """Answers a client's handshake, agreeing to no extension; returns the path. Raises OSError, ValueError."""
    request = _read_head(sock)
    key = re.search(rb"(?i)\r\nSec-WebSocket-Key: *([^\r ]+)", request)
    if key is None:
        raise ValueError(f"no WebSocket handshake: {request[:100]!r}")
    answer = base64.b64encode(hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest())
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + answer + b"\r\n\r\n"
    )
    return request.split(b" ", 2)[1].decode()


def connect(port: int, path: str = "/") -> socket.socket:
    """Connects to a server on this machine and sends the handshake; `finish_connect` reads the answer."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(request(port, path))
    return sock


def request(port: int, path: str = "/") -> bytes:
    """A client's handshake, to a server on this machine."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def finish_connect(sock: socket.socket) -> None:
    """Reads the server's answer to the handshake. Raises OSError when it is no 101."""
    answer = _read_head(sock)
    if b" 101 " not in answer[:20]:
        raise OSError(f"the handshake failed: {answer[:100]!r}")


def _read_head(sock: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = sock.recv(1)  # by the byte: what follows the head belongs to the frames
        if not more:
            raise OSError("closed during the handshake")
        data += more
    return data
