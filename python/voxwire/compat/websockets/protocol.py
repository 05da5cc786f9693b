"""`Protocol`: the state of one connection without I/O. Bytes and frames are exchanged with the core (`_core.Frames`).

What is due in the opening handshake is in `client` and `server`. No sockets, no waiting in here.
"""

from __future__ import annotations

import enum
import logging
import secrets
import uuid
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from voxwire import _core

from .exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
    PayloadTooBig,
    ProtocolError,
)
from .extended import ExtendedFrames
from .extensions.permessage_deflate import PerMessageDeflate
from .frames import (
    BINARY,
    CLOSE,
    CONT,
    DATA_OPCODES,
    OK_CLOSE_CODES,
    OPCODES,
    PING,
    PONG,
    TEXT,
    Close,
    CloseCode,
    Frame,
    Opcode,
)
from .streams import StreamReader

if TYPE_CHECKING:
    from .extensions import Extension
    from .http11 import Request, Response
    from .typing import BytesLike, LoggerLike, Origin, Subprotocol

__all__ = ["SEND_EOF", "Protocol", "Side", "State"]


class Side(enum.IntEnum):
    """Which end of a connection we are."""

    SERVER, CLIENT = range(2)


SERVER = Side.SERVER
CLIENT = Side.CLIENT


class State(enum.IntEnum):
    """The states of RFC 6455."""

    CONNECTING, OPEN, CLOSING, CLOSED = range(4)


CONNECTING = State.CONNECTING
OPEN = State.OPEN
CLOSING = State.CLOSING
CLOSED = State.CLOSED

SEND_EOF = b""
"""In `data_to_send()`: the writing side of the TCP connection is to be closed."""

Received = tuple[int, bytes, bool]
"""A frame as the core gives it: opcode, payload, FIN."""

Fault = tuple[str, int | None, int | None, int | None]
"""What is wrong with a frame, as the core says it: `_core.Frames.receive`."""


class Protocol:
    """The state of one connection, on the side of a server or a client.

    Give it what the network brings (`receive_data`, `receive_eof`) and what is to be sent (`send_…`, `fail`); after each
    call take what is to be written (`data_to_send`) and what has happened (`events_received`).
    """

    _watches: ClassVar[bool] = False
    """`recv_frame` is overridden."""
    _direct: ClassVar[bool] = True
    """No method that sends messages is overridden: a connection may make frames itself."""

    def __init__(
        self,
        side: Side,
        *,
        state: State = OPEN,
        max_size: tuple[int | None, int | None] | int | None = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        """Begin in `state`; `max_size` is the limit of a message in bytes, or limits of a message and a fragment."""
        self.id: uuid.UUID = uuid.uuid4()
        self.logger: LoggerLike = logging.getLogger(f"websockets.{side.name.lower()}") if logger is None else logger
        self.debug = self.logger.isEnabledFor(logging.DEBUG)
        self.side = side
        self._state = state
        if self.debug:
            self.logger.debug("= connection is %s", state.name)
        if isinstance(max_size, tuple):
            self.max_message_size, self.max_fragment_size = max_size
        else:
            self.max_message_size, self.max_fragment_size = max_size, None
        self.origin: Origin | None = None
        self.subprotocol: Subprotocol | None = None
        self.close_rcvd: Close | None = None
        self.close_sent: Close | None = None
        self.close_rcvd_then_sent: bool | None = None
        self.handshake_exc: Exception | None = None
        self.parser_exc: Exception | None = None
        self.eof_sent = False
        self.expect_continuation_frame = False
        self.writes: list[bytes] = []
        self.extensions = []
        self._received: list[Received] = []
        self._handshaken: list[Request | Response] = []
        self._eof = False
        self._discarding = False
        # While the state is CONNECTING: what was received, and the generator that reads it.
        self._stream: StreamReader | None = None
        self._opening: Generator[None, None, None] | None = None
        if state is CONNECTING:
            self._stream = StreamReader()
            self._opening = self._open(self._stream)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note whether a subclass wants to see each frame."""
        super().__init_subclass__(**kwargs)
        cls._watches = cls.recv_frame is not Protocol.recv_frame
        cls._direct = all(
            getattr(cls, name) is getattr(Protocol, name) for name in ("send_frame", "send_text", "send_binary")
        )

    @property
    def extensions(self) -> Sequence[Extension]:
        """The extensions that were agreed on. What is set here holds for the frames that follow."""
        return self._extensions

    @extensions.setter
    def extensions(self, extensions: Sequence[Extension]) -> None:
        self._extensions = extensions
        self.frames: _core.Frames | ExtendedFrames
        sizes = (self.max_message_size, self.max_fragment_size)
        if all(type(extension) is PerMessageDeflate and extension.in_core for extension in extensions):
            self.frames = _core.Frames(client=self.side is CLIENT, max_message=sizes[0], max_fragment=sizes[1])
            for extension in extensions:
                cast("PerMessageDeflate", extension).install(self.frames)
        else:
            self.frames = ExtendedFrames(extensions, client=self.side is CLIENT, limits=sizes)

    @property
    def state(self) -> State:
        """The state of the connection."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if self.debug:
            self.logger.debug("= connection is %s", state.name)
        self._state = state

    @property
    def close_code(self) -> int | None:
        """The close code that was received: None before the end, 1006 without a close frame."""
        if self._state is not CLOSED:
            return None
        return CloseCode.ABNORMAL_CLOSURE if self.close_rcvd is None else self.close_rcvd.code

    @property
    def close_reason(self) -> str | None:
        """The reason that was received: None before the end."""
        if self._state is not CLOSED:
            return None
        return "" if self.close_rcvd is None else self.close_rcvd.reason

    @property
    def close_exc(self) -> ConnectionClosed:
        """The exception for whoever uses the connection now that it is closed."""
        assert self._state is CLOSED, "connection isn't closed yet"  # noqa: S101 - as the original
        rcvd, sent = self.close_rcvd, self.close_sent
        both = rcvd is not None and sent is not None and rcvd.code in OK_CLOSE_CODES and sent.code in OK_CLOSE_CODES
        exc = (ConnectionClosedOK if both else ConnectionClosedError)(rcvd, sent, self.close_rcvd_then_sent)
        exc.__cause__ = self.parser_exc
        return exc

    # What the network brings

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes. Raises EOFError behind the end."""
        if self._opening is None:
            frames = self.receive_frames(data)
            self._received += frames
            return
        self._check_not_ended()
        assert self._stream is not None  # noqa: S101 - for the type checker
        self._stream.feed_data(data)
        self._step()

    def receive_frames(self, data: BytesLike) -> list[Received]:
        """Take bytes of an open connection and answer the frames at once, instead of as events."""
        if self._eof:
            self._check_not_ended()
        if self._discarding:
            return []
        frames, fault = self.frames.receive(data)
        if self._watches:
            for frame in frames:
                if self.debug:
                    self.logger.debug("< %s", _as_frame(frame))
                self.recv_frame(_as_frame(frame))
            frames, self._received = self._received, []
        else:
            for frame in frames:
                if self.debug:
                    self.logger.debug("< %s", _as_frame(frame))
                if frame[0] > 2 and not self._take_control(frame):  # noqa: PLR2004 - CLOSE, PING, PONG
                    frames.pop()
        if fault is not None:
            self._take_fault(fault)
        return frames

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame that has come. A subclass that overrides it sees each one; otherwise it is not called."""
        received = int(frame.opcode), cast("bytes", frame.data), frame.fin
        if frame.opcode in DATA_OPCODES or self._take_control(received):
            self._received.append(received)

    def receive_eof(self) -> None:
        """Take the end of the stream. A second time it does nothing."""
        if self._eof:
            return
        self._eof = True
        if self._opening is not None:
            assert self._stream is not None  # noqa: S101 - for the type checker
            self._stream.feed_eof()
            self._step()
        elif self._discarding:
            self._ended()
        else:
            unfinished = self.frames.unfinished
            if unfinished is None:
                if self.debug:
                    self.logger.debug("< EOF")
                exc = EOFError("unexpected end of stream")
            else:
                exc = EOFError(f"stream ends after {unfinished[0]} bytes, expected {unfinished[1]} bytes")
            self._give_up(CloseCode.ABNORMAL_CLOSURE, exc)

    def events_received(self) -> list[Request | Response | Frame]:
        """Answer what has happened since the last call: the request or response, and frames."""
        handshaken, self._handshaken = self._handshaken, []
        received, self._received = self._received, []
        return [*handshaken, *map(_as_frame, received)]

    # What is to be sent

    def send_continuation(self, data: BytesLike, fin: bool) -> None:
        """Send a further fragment. Raises ProtocolError, InvalidState."""
        if not self.expect_continuation_frame:
            message = "unexpected continuation frame"
            raise ProtocolError(message)
        self._check_open()
        self.expect_continuation_frame = not fin
        self.send_frame(Frame(CONT, data, fin))

    def send_text(self, data: BytesLike, fin: bool = True) -> None:
        """Send text in UTF-8, or its first fragment. Raises ProtocolError, InvalidState."""
        self._send_message(TEXT, data, fin)

    def send_binary(self, data: BytesLike, fin: bool = True) -> None:
        """Send binary data, or its first fragment. Raises ProtocolError, InvalidState."""
        self._send_message(BINARY, data, fin)

    def send_close(self, code: CloseCode | int | None = None, reason: str = "") -> None:
        """Begin the close handshake. Raises ProtocolError, InvalidState."""
        self._check_open()
        if code is None:
            if reason:
                message = "cannot send a reason without a code"
                raise ProtocolError(message)
            close, data = Close(CloseCode.NO_STATUS_RCVD, ""), b""
        else:
            close = Close(code, reason)
            data = close.serialize()
        self.send_frame(Frame(CLOSE, data))
        self.close_sent = close
        self.state = CLOSING

    def send_ping(self, data: BytesLike) -> None:
        """Send a ping. Raises ProtocolError, InvalidState."""
        self._check_connected()
        self.send_frame(Frame(PING, data))

    def send_pong(self, data: BytesLike) -> None:
        """Send a pong. Raises ProtocolError, InvalidState."""
        self._check_connected()
        self.send_frame(Frame(PONG, data))

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Fail the connection (RFC 6455 section 7.1.7): say why, if it is open, and read nothing more."""
        if self._state is OPEN and code != CloseCode.ABNORMAL_CLOSURE:
            close = Close(code, reason)
            self.send_frame(Frame(CLOSE, close.serialize()))
            self.close_sent = close
            if self.close_rcvd is not None:
                self.close_rcvd_then_sent = True
            self.state = CLOSING
        if self.side is SERVER and not self.eof_sent:
            self.send_eof()
        self._discard()

    def data_to_send(self) -> list[bytes]:
        """Answer what is to be written since the last call; `SEND_EOF` ends the writing side."""
        writes, self.writes = self.writes, []
        return writes

    def close_expected(self) -> bool:
        """Say whether the peer should close the TCP connection soon: close it after a time-out."""
        return self._state is CLOSING or (self._state is CONNECTING and self.eof_sent)

    def send_frame(self, frame: Frame) -> None:
        """Send a frame as it is. The caller keeps the order of frames. Raises ProtocolError."""
        if self.debug:
            self.logger.debug("> %s", frame)
        frame.check()
        data = frame.data
        if isinstance(data, memoryview) and not data.c_contiguous:
            data = bytes(data)
        key = secrets.token_bytes(4) if self.side is CLIENT else None
        self.writes.append(self.frames.frame(frame.opcode, data, frame.fin, key))

    def send_eof(self) -> None:
        """End the writing side."""
        assert not self.eof_sent  # noqa: S101 - once
        self.eof_sent = True
        if self.debug:
            self.logger.debug("> EOF")
        self.writes.append(SEND_EOF)

    # Inside

    def _open(self, stream: StreamReader) -> Generator[None, None, None]:
        """Read the request or the response: `ClientProtocol` and `ServerProtocol` do, when the first bytes come."""
        yield from stream.read_exact(0)
        raise NotImplementedError

    def _step(self) -> None:
        """Go on with the opening handshake; behind it, with frames."""
        if self._opening is None or self._stream is None:
            return
        try:
            next(self._opening)
        except StopIteration:
            stream, self._stream, self._opening = self._stream, None, None
            if self._discarding:
                if self._eof:
                    self._ended()
                return
            if stream.buffer:
                frames = self.receive_frames(stream.buffer)
                self._received += frames

    def _take_control(self, frame: Received) -> bool:
        """Answer a ping and a close frame; False if the frame was wrong."""
        opcode, data, _ = frame
        if opcode == PING:
            self.send_frame(Frame(PONG, data))
        elif opcode == CLOSE:
            return self._take_close(data)
        return True

    def _take_close(self, data: bytes) -> bool:
        try:
            self.close_rcvd = Close.parse(data)
        except ProtocolError as exc:
            self._give_up(CloseCode.PROTOCOL_ERROR, exc)
            return False
        except UnicodeDecodeError as exc:
            self._give_up(CloseCode.INVALID_DATA, exc, f"{exc.reason} at position {exc.start}")
            return False
        if self._state is CLOSING:
            self.close_rcvd_then_sent = False
        if self.frames.fragmented:
            self._give_up(CloseCode.PROTOCOL_ERROR, ProtocolError("incomplete fragmented message"))
            return False
        if self._state is OPEN:
            self.send_frame(Frame(CLOSE, data))
            self.close_sent = self.close_rcvd
            self.close_rcvd_then_sent = True
            self.state = CLOSING
        if self.side is SERVER and not self.eof_sent:
            self.send_eof()
        self._discard()
        return True

    def _take_fault(self, fault: Fault | Exception) -> None:
        """Fail the connection: the peer broke a rule, or an extension failed."""
        if isinstance(fault, tuple):
            text, size, limit, before = fault
            if limit is not None:
                fault = PayloadTooBig(size, limit, before)
            else:
                fault = ProtocolError(text)
                if size is not None:
                    fault.__cause__ = ValueError(f"{size} is not a valid Opcode")
        if isinstance(fault, ProtocolError):
            self._give_up(CloseCode.PROTOCOL_ERROR, fault)
        elif isinstance(fault, PayloadTooBig):
            self._give_up(CloseCode.MESSAGE_TOO_BIG, fault)
        else:
            self.logger.error("parser failed", exc_info=fault)
            self._give_up(CloseCode.INTERNAL_ERROR, fault, "")

    def _give_up(self, code: CloseCode, exc: Exception, reason: str | None = None) -> None:
        self.fail(code, str(exc) if reason is None else reason)
        self.parser_exc = exc

    def _discard(self) -> None:
        """Read nothing more; the end of the stream is the end."""
        self._discarding = True
        if self._eof and self._opening is None:
            self._ended()

    def _ended(self) -> None:
        if self._state is CLOSED:
            return
        if self.side is CLIENT and self._state is not CONNECTING and not self.eof_sent:
            self.send_eof()
        self.state = CLOSED
        if self.side is SERVER:
            self.logger.info("connection closed")

    def _send_message(self, opcode: Opcode, data: BytesLike, fin: bool) -> None:
        if self.expect_continuation_frame:
            message = "expected a continuation frame"
            raise ProtocolError(message)
        self._check_open()
        self.expect_continuation_frame = not fin
        self.send_frame(Frame(opcode, data, fin))

    def _check_open(self) -> None:
        if self._state is not OPEN:
            message = f"connection is {self._state.name.lower()}"
            raise InvalidState(message)

    def _check_connected(self) -> None:
        if self._state is not OPEN and self._state is not CLOSING:
            message = f"connection is {self._state.name.lower()}"
            raise InvalidState(message)

    def _check_not_ended(self) -> None:
        if self._eof:
            message = "stream ended"
            raise EOFError(message)


def _as_frame(frame: Received) -> Frame:
    opcode, data, fin = frame
    return Frame(OPCODES[opcode], data, fin)
