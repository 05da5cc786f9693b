"""Peers on raw sockets, in threads: a server whose behaviour is a script, and a client."""

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from . import frames
from .frames import Frame

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PATIENCE = 15.0


class RawPeer:
    """One end of a connection. Reads block, at most for PATIENCE seconds; EOFError at the end."""

    masks = False

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.buffer = b""
        self.request = ""
        self.headers: dict[str, str] = {}

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self.sock.recv(max(size - len(self.buffer), 65536))
            if not data:
                raise EOFError
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_head(self) -> str:
        """A request or response up to the empty line; its headers go to `headers`, names in lower case."""
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.request = first
        return first

    def accept(self, protocol: str | None = "chat", extra: Iterable[str] = ()) -> None:
        """Answer the handshake as a server should."""
        self.read_head()
        key = self.headers["sec-websocket-key"]
        token = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines.append(f"Sec-WebSocket-Accept: {token}")
        if protocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        self.write("\r\n".join([*lines, *extra, "", ""]).encode())

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send(self, opcode: int, payload: bytes | str = b"", *, fin: bool = True, reserved: int = 0) -> None:
        data = payload.encode() if isinstance(payload, str) else payload
        self.write(frames.build(opcode, data, fin=fin, mask=self.masks, reserved=reserved))

    def text(self, text: str) -> None:
        self.send(frames.TEXT, text)

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame."""
        self.send(frames.CLOSE, frames.close_payload(code, reason))

    def frame(self) -> Frame:
        return frames.read(self.exactly)

    def until(self, opcode: int) -> Frame:
        """The next frame with this opcode; others are passed over."""
        while (frame := self.frame()).opcode != opcode:
            pass
        return frame

    def finish(self, code: int | None = 1000, reason: str = "") -> None:
        """The whole close handshake, begun here."""
        self.close(code, reason)
        self.until(frames.CLOSE)
        self.hang_up()

    def answer_close(self) -> tuple[int, str]:
        """Wait for the peer's close frame, echo it, hang up."""
        frame = self.until(frames.CLOSE)
        self.send(frames.CLOSE, frame.payload)
        self.hang_up()
        return frame.close

    def wait_eof(self) -> None:
        """Read until the peer hangs up."""
        with contextlib.suppress(ConnectionError):
            while self.sock.recv(65536):
                pass

    def hang_up(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """End with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class RawClient(RawPeer):
    """A client made by hand."""

    masks = True

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext | None = None,
        headers: Iterable[str] = (),
        host: str | None = None,
        path: str | None = None,
    ) -> None:
        """`host` and `path` are those of the request, if not the URL's."""
        parts = urlsplit(url)
        sock = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        super().__init__(sock if context is None else context.wrap_socket(sock, server_hostname=parts.hostname))
        path = path or (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {path} HTTP/1.1", f"Host: {host or parts.netloc}"]
        lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        lines.append(f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}")
        self.write("\r\n".join([*lines, *headers, "", ""]).encode())

    def open(self) -> Self:
        status = self.read_head()
        assert status.startswith("HTTP/1.1 101"), status
        return self


class RawServer:
    """Runs `script(peer)` in a thread for each connection; an error of the script fails the test."""

    def __init__(self, script: Callable[[RawPeer], object], context: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.context = context
        self.errors: list[BaseException] = []
        self.threads: list[threading.Thread] = []
        self.peers: list[RawPeer] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = "127.0.0.1" if context is None else "localhost"
        self.port: int = self.listener.getsockname()[1]
        self.url = f"{'ws' if context is None else 'wss'}://{self.host}:{self.port}/"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            if kind is not None:
                self.hang_up()
            thread.join(PATIENCE)
        for peer in self.peers:
            peer.sock.close()
        if kind is None and self.errors:
            raise self.errors[0]

    def hang_up(self) -> None:
        """End every connection; the scripts see the end of the file."""
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., object], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self.context is not None:
                sock.settimeout(PATIENCE)
                sock = self.context.wrap_socket(sock, server_side=True)
        except OSError:  # the client did not like the certificate, as it should
            sock.close()
            return
        peer = RawPeer(sock)
        self.peers.append(peer)
        try:
            self.script(peer)
        except BaseException as error:
            self.errors.append(error)
