"""`ExtendedFrames`: the frames of a connection with extensions that are written in Python. It stands where `_core.Frames`
stands otherwise, and is as slow as Python.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from .exceptions import PayloadTooBig, ProtocolError
from .frames import CLOSE, CONT, DATA_OPCODES, OPCODES, Frame
from .streams import StreamReader

if TYPE_CHECKING:
    from .extensions import Extension
    from .typing import BytesLike

__all__ = ["ExtendedFrames"]


class ExtendedFrames:
    """Takes a stream of bytes apart into frames, and makes bytes of frames."""

    def __init__(self, extensions: Sequence[Extension], *, client: bool, limits: tuple[int | None, int | None]) -> None:
        """Begin. `client`: our side is one; `limits`: bytes of a message and of a fragment, None for no limit."""
        self._extensions = extensions
        self._client = client
        self._message_limit, self._fragment_limit = limits
        self._stream = StreamReader()
        self._parser: Generator[None, None, Frame] | None = None
        self._wanted = 0
        self._size: int | None = None
        self._over = False

    def receive(self, data: BytesLike) -> tuple[list[tuple[int, bytes, bool]], Exception | None]:
        """Take bytes as they came. Answer the frames that are complete and, if there will be no more, why.

        The reason is a ProtocolError, a PayloadTooBig, or what an extension has raised.
        """
        frames: list[tuple[int, bytes, bool]] = []
        if self._over:
            return frames, None
        self._stream.feed_data(bytes(data))
        try:
            while not self._over and (frame := self._next()) is not None:
                self._check_order(frame)
                frames.append((frame.opcode, bytes(frame.data), frame.fin))
                self._over = frame.opcode is CLOSE
        except PayloadTooBig as exc:
            exc.set_current_size(self._size)
            self._over = True
            return frames, exc
        except Exception as exc:  # noqa: BLE001 - whatever an extension raises
            self._over = True
            return frames, exc
        return frames, None

    def frame(self, opcode: int, payload: BytesLike, fin: bool, key: bytes | None = None) -> bytes:
        """Answer the bytes of a frame. The key of the mask is always a new one."""
        del key
        return Frame(OPCODES[opcode], payload, fin).serialize(mask=self._client, extensions=self._extensions)

    def text_frame(self, opcode: int, text: str, fin: bool) -> bytes:
        """Answer the same with the text in UTF-8. Raises UnicodeEncodeError."""
        return self.frame(opcode, text.encode(), fin)

    @property
    def unfinished(self) -> tuple[int, int] | None:
        """Inside a frame: bytes of its next part that came, and how many that part has."""
        if self._parser is None or (self._wanted == _HEADER and not self._stream.buffer):
            return None
        return len(self._stream.buffer), self._wanted

    @property
    def fragmented(self) -> bool:
        """Whether a fragmented message is being received."""
        return self._size is not None

    def _next(self) -> Frame | None:
        """Answer the next frame, None if it is not complete."""
        if self._parser is None:
            limits = [limit for limit in (self._left(), self._fragment_limit) if limit is not None]
            self._parser = Frame.parse(
                self._read, mask=not self._client, max_size=min(limits, default=None), extensions=self._extensions
            )
        try:
            next(self._parser)
        except StopIteration as stop:
            self._parser = None
            frame: Frame = stop.value
            return frame
        return None

    def _left(self) -> int | None:
        """Answer how many bytes more the message may have."""
        return None if self._message_limit is None else self._message_limit - (self._size or 0)

    def _read(self, count: int) -> Generator[None, None, bytearray]:
        self._wanted = count
        return (yield from self._stream.read_exact(count))

    def _check_order(self, frame: Frame) -> None:
        """Note where in a message we are. Raises ProtocolError for a frame that does not belong there."""
        if frame.opcode not in DATA_OPCODES:
            return
        if frame.opcode is CONT:
            if self._size is None:
                message = "unexpected continuation frame"
                raise ProtocolError(message)
        elif self._size is not None:
            message = "expected a continuation frame"
            raise ProtocolError(message)
        self._size = None if frame.fin else (self._size or 0) + len(frame.data)


_HEADER = 2
"""Bytes of a frame's header that are always there."""
