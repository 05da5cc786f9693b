"""Keys of the opening handshake, masking, names of sockets."""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket

from .frames import masked
from .typing import BytesLike

__all__ = ["accept_key", "apply_mask", "get_socket_name"]

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def generate_key() -> str:
    """Answer a Sec-WebSocket-Key."""
    return base64.b64encode(secrets.token_bytes(16)).decode()


def accept_key(key: str) -> str:
    """Answer the Sec-WebSocket-Accept that belongs to a key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode()).digest()).decode()  # noqa: S324 - the RFC's


def apply_mask(data: BytesLike, mask: bytes | bytearray) -> bytes:
    """Mask, or unmask, a payload. Raises ValueError for a mask that has not 4 bytes."""
    if len(mask) != 4:  # noqa: PLR2004 - RFC 6455 section 5.3
        message = "mask must contain 4 bytes"
        raise ValueError(message)
    return masked(data, mask)


def get_socket_name(sock: socket.socket) -> str:
    """Answer where a socket listens, for reading."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return str(name)
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
