"""What the peers of the scenarios do."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from support import frames

from .trace import Peer, Script

PAUSE = 0.1  # seconds that let the other side act first


def quiet(peer: Peer) -> None:
    """Accept, and say nothing."""
    peer.accept(None)


def echo(peer: Peer) -> None:
    """Send every message back, answer pings and the close frame."""
    peer.accept(None)
    while True:
        frame = peer.frame()
        if frame.opcode == frames.PING:
            peer.send(frames.PONG, frame.payload)
        else:
            peer.send(frame.opcode, frame.payload, fin=frame.fin)
        if frame.opcode == frames.CLOSE:
            return


def says(*parts: bytes, pause: float = 0.0) -> Script:
    """Accept and write these bytes, then answer a close frame."""

    def script(peer: Peer) -> None:
        peer.accept(None)
        for part in parts:
            peer.write(part)
            time.sleep(pause)
        peer.until(frames.CLOSE)
        peer.close(1000)

    return script


def ends(*parts: bytes, reset: bool = False) -> Script:
    """Accept, write these bytes, and end TCP."""

    def script(peer: Peer) -> None:
        peer.accept(None)
        for part in parts:
            peer.write(part)
        time.sleep(PAUSE)
        if reset:
            peer.reset()
        else:
            peer.hang_up()

    return script


def closes(code: int | None = 1000, reason: str = "", first: bytes = b"") -> Script:
    """Accept, begin the close handshake, and wait for its end."""

    def script(peer: Peer) -> None:
        peer.accept(None)
        peer.write(first)
        peer.close(code, reason)

    return script


def answers(status: str, *headers: str, body: bytes = b"", hang_up: bool = True) -> Script:
    """Answer the request with this status."""

    def script(peer: Peer) -> None:
        peer.answer(status, *headers, body=body)
        if hang_up:
            peer.hang_up()

    return script


def accepts(*extra: str, protocol: str | None = None) -> Script:
    """Accept with further headers."""

    def script(peer: Peer) -> None:
        peer.accept(protocol, extra)

    return script


def redirects(target: Callable[[Peer], str | None], *, times: int = 1, status: str = "302 Found") -> Script:
    """Send the first connections somewhere else, then accept."""

    def script(peer: Peer) -> None:
        if peer.number >= times:
            echo(peer)
            return
        where = target(peer)
        peer.answer(status, *([] if where is None else [f"Location: {where}"]))
        peer.hang_up()

    return script


def here(peer: Peer) -> str:
    """The address of the peer itself."""
    return f"ws://127.0.0.1:{peer.sock.getsockname()[1]}/again"


def text(payload: str | bytes, *, fin: bool = True, reserved: int = 0) -> bytes:
    """A text frame."""
    return frames.build(
        frames.TEXT, payload.encode() if isinstance(payload, str) else payload, fin=fin, reserved=reserved
    )


def binary(payload: bytes, *, fin: bool = True) -> bytes:
    """A binary frame."""
    return frames.build(frames.BINARY, payload, fin=fin)


def more(payload: bytes | str, *, fin: bool = True) -> bytes:
    """A continuation frame."""
    return frames.build(frames.CONTINUATION, payload.encode() if isinstance(payload, str) else payload, fin=fin)


def ping(payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A ping."""
    return frames.build(frames.PING, payload, fin=fin)


def pong(payload: bytes = b"") -> bytes:
    """A pong."""
    return frames.build(frames.PONG, payload)


def close(payload: bytes) -> bytes:
    """A close frame with any payload."""
    return frames.build(frames.CLOSE, payload)


def code(number: int, reason: bytes = b"") -> bytes:
    """The payload of a close frame."""
    return struct.pack("!H", number) + reason


def stalls(peer: Peer) -> None:
    """Take the request and answer nothing until the other side has gone."""
    peer.read_head()
    peer.wait_eof()


def hangs_up(peer: Peer) -> None:
    """Take the request and end TCP."""
    peer.read_head()
    peer.hang_up()


def proxy(status: str, *, headers: tuple[str, ...] = ()) -> Script:
    """A proxy that answers CONNECT; with 200 it is the server, too."""

    def script(peer: Peer) -> None:
        peer.answer(status, *headers)
        if status.startswith("200"):
            echo(peer)
        else:
            peer.hang_up()

    return script
