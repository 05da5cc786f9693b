"""Plain HTTP by hand: one request, and all that comes back."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterable

PATIENCE = 15.0


def upgrade(path: str = "/", headers: Iterable[str] = ()) -> bytes:
    """The request for a WebSocket."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1")


def plain(method: str = "GET", path: str = "/", headers: Iterable[str] = ()) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode("latin-1")


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def head_of(sock: socket.socket) -> str:
    """What is answered, up to the empty line."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(4096)
        if not piece:
            raise EOFError(data)
        data += piece
    return data.split(b"\r\n\r\n")[0].decode("latin-1")


def ask(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body of the answer, which must end the connection."""
    with connect(port) as sock:
        sock.sendall(request)
        data = b""
        while piece := sock.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert headers.get("connection", "").lower().endswith("close") or "101" in first
    return int(first.split()[1]), headers, body
