"""Scripts of raw servers for clients that block."""

from . import frames
from .raw import RawPeer


def echo(peer: RawPeer) -> None:
    """Send back what comes, as one frame each, until the close."""
    peer.accept()
    while (frame := peer.frame()).opcode != frames.CLOSE:
        if frame.opcode == frames.PING:
            peer.send(frames.PONG, frame.payload)
        elif frame.opcode != frames.PONG:
            peer.send(frame.opcode, frame.payload)
    peer.send(frames.CLOSE, frame.payload)
    peer.hang_up()


def quiet(peer: RawPeer) -> None:
    """Open, say nothing, and answer nothing."""
    peer.accept()
    peer.wait_eof()
