"""Frames as `websocket-client` shows them: what one says, whether it may be said, and how fragments become a message."""

from __future__ import annotations

import codecs
import os
import struct
import threading
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from voxwire import _core

from ._exceptions import WebSocketPayloadException, WebSocketProtocolException

STATUS_NORMAL = 1000
STATUS_GOING_AWAY = 1001
STATUS_PROTOCOL_ERROR = 1002
STATUS_UNSUPPORTED_DATA_TYPE = 1003
STATUS_STATUS_NOT_AVAILABLE = 1005
STATUS_ABNORMAL_CLOSED = 1006
STATUS_INVALID_PAYLOAD = 1007
STATUS_POLICY_VIOLATION = 1008
STATUS_MESSAGE_TOO_BIG = 1009
STATUS_INVALID_EXTENSION = 1010
STATUS_UNEXPECTED_CONDITION = 1011
STATUS_SERVICE_RESTART = 1012
STATUS_TRY_AGAIN_LATER = 1013
STATUS_BAD_GATEWAY = 1014
STATUS_TLS_HANDSHAKE_ERROR = 1015

VALID_CLOSE_STATUS = (1000, 1001, 1002, 1003, *range(1007, 1015))

_PRIVATE_STATUS = range(3000, 5000)  # RFC 6455 section 7.4.2
_MAX_CONTROL = 125  # RFC 6455 section 5.5
_CODE = 2  # bytes of the code in a close frame
_READ = 16384  # what a socket is asked for at a time


def is_utf8(data: bytes) -> bool:
    """Answer whether bytes are UTF-8 as far as they go: a character that is cut off at the end passes."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


class ABNF:
    """One frame (RFC 6455 section 5.2). `data` is the payload: bytes, or text that becomes bytes when it is sent."""

    OPCODE_CONT = 0x0
    OPCODE_TEXT = 0x1
    OPCODE_BINARY = 0x2
    OPCODE_CLOSE = 0x8
    OPCODE_PING = 0x9
    OPCODE_PONG = 0xA
    OPCODES = (OPCODE_CONT, OPCODE_TEXT, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG)
    OPCODE_MAP: ClassVar[dict[int, str]] = {
        OPCODE_CONT: "cont",
        OPCODE_TEXT: "text",
        OPCODE_BINARY: "binary",
        OPCODE_CLOSE: "close",
        OPCODE_PING: "ping",
        OPCODE_PONG: "pong",
    }
    LENGTH_7 = 0x7E
    LENGTH_16 = 1 << 16
    LENGTH_63 = 1 << 63

    def __init__(
        self,
        fin: int = 0,
        rsv1: int = 0,
        rsv2: int = 0,
        rsv3: int = 0,
        opcode: int = OPCODE_TEXT,
        mask_value: int = 1,
        data: Any = "",
    ) -> None:
        """Take the fields of the header, and the payload. Nothing is checked before `validate` or `format`."""
        self.fin = fin
        self.rsv1 = rsv1
        self.rsv2 = rsv2
        self.rsv3 = rsv3
        self.opcode = opcode
        self.mask_value = mask_value
        self.data: Any = "" if data is None else data
        self.get_mask_key: Callable[[int], Any] = os.urandom

    def validate(self, skip_utf8_validation: bool = False) -> None:
        """Check what one frame alone can break. Raises WebSocketProtocolException."""
        if self.rsv1 or self.rsv2 or self.rsv3:
            raise WebSocketProtocolException("rsv is not implemented, yet")
        if self.opcode not in self.OPCODES:
            raise WebSocketProtocolException(f"Invalid opcode {self.opcode!r}")
        if self.opcode == self.OPCODE_PING and not self.fin:
            raise WebSocketProtocolException("Invalid ping frame.")
        if self.opcode == self.OPCODE_CLOSE and len(self.data) > 0:
            self._validate_close(skip_utf8_validation)

    def _validate_close(self, skip_utf8_validation: bool) -> None:
        data = self.data.encode() if isinstance(self.data, str) else self.data
        if not _CODE <= len(data) <= _MAX_CONTROL or not (skip_utf8_validation or is_utf8(data[_CODE:])):
            raise WebSocketProtocolException("Invalid close frame.")
        code = int.from_bytes(data[:_CODE])
        if not self._is_valid_close_status(code):
            raise WebSocketProtocolException(f"Invalid close opcode {code!r}")

    @staticmethod
    def _is_valid_close_status(code: int) -> bool:
        return code in VALID_CLOSE_STATUS or code in _PRIVATE_STATUS

    def __str__(self) -> str:
        data = self.data if isinstance(self.data, str) else repr(self.data)
        return f"fin={self.fin} opcode={self.opcode} data={data}"

    @staticmethod
    def create_frame(data: bytes | bytearray | str, opcode: int, fin: int = 1) -> ABNF:
        """Make a frame to be sent: masked, text in UTF-8."""
        payload = data.encode() if opcode == ABNF.OPCODE_TEXT and isinstance(data, str) else data
        return ABNF(fin, 0, 0, 0, opcode, 1, payload)

    def format(self) -> bytes:
        """Answer the bytes for the wire. Raises ValueError for a bit that is none, and for a reserved opcode."""
        bits = (self.fin, self.rsv1, self.rsv2, self.rsv3)
        if any(bit not in (0, 1) for bit in bits):
            raise ValueError("not 0 or 1")
        if self.opcode not in self.OPCODES:
            raise ValueError("Invalid OPCODE")
        length = len(self.data)
        if length >= self.LENGTH_63:
            raise ValueError("data is too long")
        first = self.fin << 7 | self.rsv1 << 6 | self.rsv2 << 5 | self.rsv3 << 4 | self.opcode
        if not self.mask_value:
            if isinstance(self.data, str):
                self.data = self.data.encode()
            return _core.FrameSocket.frame(first, self.data, None)
        key = _octets(self.get_mask_key(4))
        return _core.FrameSocket.frame(first, _octets(self.data), key)

    @staticmethod
    def mask(mask_key: str | bytes, data: str | bytes | None) -> bytes:
        """Mask `data`, or take the mask off, with a key of four bytes."""
        octets = _octets("" if data is None else data)
        masked = _core.FrameSocket.frame(0, octets, _octets(mask_key))
        return masked[len(masked) - len(octets) :]


def _octets(data: Any) -> bytes:
    """Answer text as Latin-1, and whatever else has octets as bytes."""
    return data.encode("latin-1") if isinstance(data, str) else bytes(data)


def frame_of(first: int, masked: bool, payload: bytes) -> ABNF:
    """Make a frame of what the core has read."""
    return ABNF(first >> 7, first >> 6 & 1, first >> 5 & 1, first >> 4 & 1, first & 0xF, int(masked), payload)


class frame_buffer:  # noqa: N801 - its name in websocket-client
    """Reads frames from a function that reads a socket. It asks for no byte behind the end of a frame."""

    def __init__(self, recv_fn: Callable[[int], bytes], skip_utf8_validation: bool) -> None:
        """`recv_fn` takes the most bytes it may answer."""
        self.recv = recv_fn
        self.skip_utf8_validation = skip_utf8_validation
        self.frames = _core.FrameSocket()
        self.lock = threading.Lock()
        self._behind = b""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"frame_buffer has no {name!r}: how far a frame has been read is kept in voxwire's core")

    def clear(self) -> None:
        """Forget the frame that is not complete."""
        self.frames = _core.FrameSocket()

    def recv_frame(self) -> ABNF:
        """Read the next frame. What is read of it when `recv_fn` raises is kept for the next call."""
        with self.lock:
            while True:
                data = self._behind or self.recv(min(_READ, self.frames.missing))
                whole, behind = self.frames.push(data)
                self._behind = data[len(data) - behind :]
                if whole is not None:
                    frame = frame_of(*whole)
                    frame.validate(self.skip_utf8_validation)
                    return frame

    def recv_strict(self, bufsize: int) -> bytes:
        """Read exactly so many bytes, apart from frames."""
        if not isinstance(bufsize, int):
            raise ValueError("bufsize must be an integer")  # noqa: TRY004 - what websocket-client raises
        while len(self._behind) < bufsize:
            self._behind += self.recv(min(_READ, bufsize - len(self._behind)))
        data, self._behind = self._behind[:bufsize], self._behind[bufsize:]
        return data


class continuous_frame:  # noqa: N801 - its name in websocket-client
    """Puts the fragments of a message together, or hands them on one by one."""

    def __init__(self, fire_cont_frame: bool, skip_utf8_validation: bool) -> None:
        """With `fire_cont_frame` each fragment is handed on, and no text is checked."""
        self.fire_cont_frame = fire_cont_frame
        self.skip_utf8_validation = skip_utf8_validation
        self.cont_data: list[Any] | None = None
        self.recving_frames: int | None = None

    def validate(self, frame: ABNF) -> None:
        """Check that a frame may come now. Raises WebSocketProtocolException."""
        continues = frame.opcode == ABNF.OPCODE_CONT
        if continues is not bool(self.recving_frames):
            raise WebSocketProtocolException("Illegal frame")

    def add(self, frame: ABNF) -> None:
        """Take a data frame."""
        if self.cont_data:
            self.cont_data[1] += frame.data
        else:
            if frame.opcode != ABNF.OPCODE_CONT:
                self.recving_frames = frame.opcode
            self.cont_data = [frame.opcode, frame.data]
        if frame.fin:
            self.recving_frames = None

    def is_fire(self, frame: ABNF) -> bool | int:
        """Answer whether there is something to hand on."""
        return frame.fin or self.fire_cont_frame

    def extract(self, frame: ABNF) -> tuple[int, ABNF]:
        """Hand on: the opcode of the message, and its last frame with all of the payload. Raises
        WebSocketPayloadException.
        """
        if self.cont_data is None:
            raise WebSocketProtocolException("No continuation data available")
        opcode, frame.data = self.cont_data
        self.cont_data = None
        if not (self.fire_cont_frame or self.skip_utf8_validation):
            check_text(opcode, frame.data)
        return opcode, frame


def check_text(opcode: int, data: bytes) -> None:
    """Check the payload of a message. Raises WebSocketPayloadException."""
    if opcode == ABNF.OPCODE_TEXT and not is_utf8(data):
        raise WebSocketPayloadException(f"cannot decode: {data!r}")


def close_payload(status: int, reason: str | bytes | None) -> bytes:
    """Answer the payload of a close frame. Raises ValueError for a status that has no two bytes."""
    if not 0 <= status < ABNF.LENGTH_16:
        raise ValueError("code is invalid range")
    text = reason.encode() if isinstance(reason, str) else bytes(reason or b"")
    return struct.pack("!H", status) + text
