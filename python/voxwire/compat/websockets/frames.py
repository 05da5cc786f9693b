"""Opcodes, close codes, and frames as values: `Close` and `Frame`. Bytes become frames in the core."""

from __future__ import annotations

import dataclasses
import enum
import os
import re
import secrets
import struct
from typing import TYPE_CHECKING, ClassVar, Self

from voxwire import _core

from .exceptions import PayloadTooBig, ProtocolError
from .typing import BytesLike

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from .extensions import Extension

__all__ = ["Close", "CloseCode", "Frame", "Opcode"]


class Opcode(enum.IntEnum):
    """What a frame is (RFC 6455 section 11.8)."""

    CONT, TEXT, BINARY = 0x00, 0x01, 0x02
    CLOSE, PING, PONG = 0x08, 0x09, 0x0A


CONT = Opcode.CONT
TEXT = Opcode.TEXT
BINARY = Opcode.BINARY
CLOSE = Opcode.CLOSE
PING = Opcode.PING
PONG = Opcode.PONG

DATA_OPCODES = CONT, TEXT, BINARY
CTRL_OPCODES = CLOSE, PING, PONG
OPCODES = {int(opcode): opcode for opcode in Opcode}


class CloseCode(enum.IntEnum):
    """Why a connection is closed (RFC 6455 section 7.4.1)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


CLOSE_CODE_EXPLANATIONS: dict[int, str] = {
    1000: "OK",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no status received [internal]",
    1006: "abnormal closure [internal]",
    1007: "invalid frame payload data",
    1008: "policy violation",
    1009: "message too big",
    1010: "mandatory extension",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS handshake failure [internal]",
}

INTERNAL_CLOSE_CODES = {CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE}
"""Those that no frame may carry."""
EXTERNAL_CLOSE_CODES = set(CloseCode) - INTERNAL_CLOSE_CODES
"""Those of the RFC that a frame may carry."""
OK_CLOSE_CODES = {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD}
"""Those of a connection that ended as it should."""

_REGISTERED, _PRIVATE, _END = 3000, 4000, 5000
_LONGEST_CONTROL = 125


@dataclasses.dataclass
class Close:
    """What a close frame says."""

    code: CloseCode | int
    reason: str

    def __str__(self) -> str:
        if _REGISTERED <= self.code < _PRIVATE:
            explanation = "registered"
        elif _PRIVATE <= self.code < _END:
            explanation = "private use"
        else:
            explanation = CLOSE_CODE_EXPLANATIONS.get(self.code, "unknown")
        return f"{self.code} ({explanation}) {self.reason}" if self.reason else f"{self.code} ({explanation})"

    @classmethod
    def parse(cls, data: BytesLike) -> Self:
        """Read the payload of a close frame. Raises ProtocolError, UnicodeDecodeError."""
        if isinstance(data, memoryview):
            message = "only compressed outgoing frames use memoryview"
            raise AssertionError(message)  # noqa: TRY004 - as the original
        if not data:
            return cls(CloseCode.NO_STATUS_RCVD, "")
        if len(data) == 1:
            message = "close frame too short"
            raise ProtocolError(message)
        close = cls(int.from_bytes(data[:2], "big"), data[2:].decode())
        close.check()
        return close

    def serialize(self) -> bytes:
        """Answer the payload of the frame. Raises ProtocolError for a code that no frame may carry."""
        self.check()
        return struct.pack("!H", self.code) + self.reason.encode()

    def check(self) -> None:
        """Raise ProtocolError for a code that no frame may carry."""
        if self.code not in EXTERNAL_CLOSE_CODES and not _REGISTERED <= self.code < _END:
            message = "invalid status code"
            raise ProtocolError(message)


@dataclasses.dataclass
class Frame:
    """One frame: payload (not masked), FIN and the reserved bits."""

    opcode: Opcode
    data: BytesLike
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    MAX_LOG_SIZE: ClassVar[int] = int(os.environ.get("WEBSOCKETS_MAX_LOG_SIZE", "75"))
    """Characters of the payload that `str()` shows."""

    def __str__(self) -> str:
        shown, is_text = self._shown()
        notes = [f"{len(self.data)} byte{'' if len(self.data) == 1 else 's'}"]
        if is_text is not None and is_text is not _EXPECTED.get(self.opcode):
            notes.insert(0, "text" if is_text else "binary")
        if not self.fin:
            notes.append("continued")
        return f"{self.opcode.name} {shown} [{', '.join(notes)}]"

    def _shown(self) -> tuple[str, bool | None]:
        """Answer the payload for reading, shortened, and whether it is text (None: nothing to tell)."""
        most = self.MAX_LOG_SIZE
        if not self.data:
            return "''", _EXPECTED.get(self.opcode)
        data = self.data
        if self.opcode is CLOSE:
            try:
                shown, is_text = str(Close.parse(data)), True
            except (ProtocolError, UnicodeDecodeError):
                shown, is_text = _hex(data), False
        elif self.opcode in CTRL_OPCODES:
            is_text = _printable(data) is not None
            shown = repr(bytes(data).decode("ascii")) if is_text else _hex(data)
        else:
            whole = len(data) <= 4 * most
            parts = [bytes(data)] if whole else [bytes(data[: 8 * most // 3]), bytes(data[-4 * most // 3 :])]
            is_text = _looks_like_text(parts[0], from_start=self.opcode != CONT, to_end=whole and self.fin)
            if not whole:
                is_text = is_text and _looks_like_text(parts[1], from_start=False, to_end=self.fin)
            if is_text:
                shown = repr(b"".join(parts).decode(errors="replace"))
            else:
                cut = (most // 3 - 1) // 3
                if len(data) > most // 3:
                    data = b"".join([data[: 2 * cut], b"\x00\x00", data[-cut:]])  # two more: it is shortened below
                shown = _hex(data)
        if len(shown) > most:
            cut = most // 3 - 1
            shown = f"{shown[: 2 * cut]}...{shown[-cut:]}"
        return shown, is_text

    @classmethod
    def parse(
        cls,
        read_exact: Callable[[int], Generator[None, None, bytes | bytearray]],
        *,
        mask: bool,
        max_size: int | None = None,
        extensions: Sequence[Extension] | None = None,
    ) -> Generator[None, None, Frame]:
        """Read one frame, as a generator that yields when it needs more. Connections read theirs in the core.

        Raises EOFError, PayloadTooBig, ProtocolError.
        """
        first, second = yield from read_exact(2)
        opcode = OPCODES.get(first & 0x0F)
        if opcode is None:
            message = "invalid opcode"
            raise ProtocolError(message) from ValueError(f"{first & 0x0F} is not a valid Opcode")
        if bool(second & 0x80) != mask:
            message = "incorrect masking"
            raise ProtocolError(message)
        length = second & 0x7F
        if length > _LONGEST_CONTROL:
            length = int.from_bytes((yield from read_exact(2 if length == _LONGEST_CONTROL + 1 else 8)), "big")
        if max_size is not None and length > max_size:
            raise PayloadTooBig(length, max_size)
        key = (yield from read_exact(4)) if mask else b""
        data = yield from read_exact(length)
        frame = Frame(
            opcode, masked(data, key) if mask else data, *(bool(first & bit) for bit in (0x80, 0x40, 0x20, 0x10))
        )
        for extension in reversed(extensions or ()):
            frame = extension.decode(frame, max_size=max_size)
        frame.check()
        return frame

    def serialize(self, *, mask: bool, extensions: Sequence[Extension] | None = None) -> bytes:
        """Answer the bytes of the frame. Raises ProtocolError."""
        self.check()
        frame = self
        for extension in extensions or ():
            frame = extension.encode(frame)
        key = secrets.token_bytes(4) if mask else None
        wire = bytearray(_plain_frames[mask].frame(frame.opcode, frame.data, frame.fin, key))
        wire[0] |= frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4
        return bytes(wire)

    def check(self) -> None:
        """Raise ProtocolError for reserved bits, and for a control frame that is too long or not whole."""
        message = None
        if self.rsv1 or self.rsv2 or self.rsv3:
            message = "reserved bits must be 0"
        elif self.opcode in CTRL_OPCODES:
            if len(self.data) > _LONGEST_CONTROL:
                message = "control frame too long"
            elif not self.fin:
                message = "fragmented control frame"
        if message is not None:
            raise ProtocolError(message)


_SIZES = {
    bits: size
    for size, high, free in ((2, 0b11000, 4), (3, 0b11100, 2), (4, 0b11110, 1))
    for bits in range(high, high + free)
}
"""Bytes of a UTF-8 character by the upper five bits of its first one."""
_EXPECTED = {TEXT: True, BINARY: False, CLOSE: True}
_printable = re.compile(rb"[\x09-\x0D\x20-\x7E]*").fullmatch
_plain_frames = {mask: _core.Frames(client=mask, max_message=None, max_fragment=None) for mask in (False, True)}


def masked(data: BytesLike, key: bytes | bytearray) -> bytes:
    """Mask, or unmask, a payload."""
    pad = (bytes(key) * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(bytes(data), "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")


def _hex(data: BytesLike) -> str:
    return bytes(data).hex(" ")


def _looks_like_text(data: bytes, *, from_start: bool, to_end: bool) -> bool:
    """Say whether this is UTF-8 without unprintable characters; at an open end a character may be cut."""
    start = 0
    if not from_start:
        while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:  # noqa: PLR2004 - a byte within a character
            start += 1
    end = len(data)
    if not to_end:
        for back in range(1, min(4, len(data) - start) + 1):
            byte = data[-back]
            if byte & 0xC0 == 0x80:  # noqa: PLR2004
                continue
            # The first byte of a character says how many it has.
            size = _SIZES.get(byte >> 3, 0)
            if size > back:
                end = len(data) - back
            break
    try:
        text = data[start:end].decode()
    except UnicodeDecodeError:
        return False
    return "\\x" not in repr(text)
