"""The other side of round trips and floods: a process with blocking sockets and hand-made frames.

The path says what a connection does: /answer, /flood/SIZE/COUNT, /sink/SIZE/COUNT, /idle. A blocking thread costs less a
message than any event loop, so that the client is what is measured. Only one connection is busy at a time.
"""

from __future__ import annotations

import socket
import threading
from functools import cache

from . import child, frames

_idle: list[socket.socket] = []


def main() -> None:
    """Serves until the parent ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    child.say(port=listener.getsockname()[1])
    child.hear()


def _serve(listener: socket.socket) -> None:
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(sock,), daemon=True).start()


def _talk(sock: socket.socket) -> None:
    try:
        what, *numbers = frames.accept(sock).strip("/").split("/")
        if what == "idle":
            _idle.append(sock)
            return
        with sock:
            if what == "flood":
                _flood(sock, *map(int, numbers))
            elif what == "sink":
                _sink(sock, *map(int, numbers))
            else:
                _answer(sock)
    except OSError:  # the client is gone
        pass


@cache
def _reply(opcode: int, size: int) -> bytes:
    return frames.build(opcode, frames.message(size).encode())


def _answer(sock: socket.socket) -> None:
    """Answers each message with one of the same size, made beforehand: no unmasking, no copying."""
    data = bytearray(1 << 20)
    view = memoryview(data)
    have = 0
    while True:
        have += _receive(sock, view[have:])
        while (known := frames.head(data, have)) is not None and have >= known[1] + known[2]:
            opcode, length, size = known
            if opcode == frames.CLOSE:
                sock.sendall(frames.build(frames.CLOSE, (1000).to_bytes(2, "big")))
                return
            if opcode in (frames.TEXT, frames.BINARY):
                sock.sendall(_reply(opcode, size))
            have -= length + size
            if have:
                data[:have] = data[length + size : length + size + have]


def _flood(sock: socket.socket, size: int, count: int) -> None:
    """After a first message, sends COUNT messages as fast as the client takes them."""
    _receive(sock, memoryview(bytearray(1000)))
    frame = frames.build(frames.TEXT, frames.message(size).encode())
    many = max(1, 65536 // len(frame))
    block = frame * many
    for _ in range(count // many):
        sock.sendall(block)
    sock.sendall(frame * (count % many))
    _answer(sock)


def _sink(sock: socket.socket, size: int, count: int) -> None:
    """Takes COUNT messages, then answers with one. Counts bytes: the clients' frames are all of one size."""
    left = count * len(frames.build(frames.TEXT, bytes(size), mask=True))
    room = memoryview(bytearray(1 << 20))
    while left > 0:
        left -= _receive(sock, room)
    sock.sendall(_reply(frames.TEXT, 32))
    _answer(sock)


def _receive(sock: socket.socket, room: memoryview) -> int:
    size = sock.recv_into(room)
    if not size:
        raise OSError("closed")
    return size


if __name__ == "__main__":
    main()
