"""permessage-deflate (RFC 7692): what is offered and agreed. Compression itself is the core's."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from voxwire import _core
from voxwire.compat.websockets.exceptions import (
    DuplicateParameter,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
)
from voxwire.compat.websockets.frames import CONT, CTRL_OPCODES, Frame
from voxwire.compat.websockets.typing import ExtensionName, ExtensionParameter

from .base import ClientExtensionFactory, Extension, ServerExtensionFactory

__all__ = [
    "ClientPerMessageDeflateFactory",
    "PerMessageDeflate",
    "ServerPerMessageDeflateFactory",
    "enable_client_permessage_deflate",
    "enable_server_permessage_deflate",
]

_NAME = ExtensionName("permessage-deflate")
_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS = {str(bits): bits for bits in range(8, 16)}
_FULL = 15
# Shorter messages are smaller than the headers of their packets: compressing them saves nothing.
_THRESHOLD = 64


class PerMessageDeflate(Extension):
    """The extension as it was agreed on, in terms of our side (local) and the peer's (remote)."""

    name = _NAME

    def __init__(
        self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        compress_settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the parameters."""
        self.remote_no_context_takeover = remote_no_context_takeover
        self.local_no_context_takeover = local_no_context_takeover
        self.remote_max_window_bits = remote_max_window_bits
        self.local_max_window_bits = local_max_window_bits
        self.compress_settings = dict(compress_settings or {})
        self._alone: tuple[Any, Any] | None = None
        self._continues = False

    def __repr__(self) -> str:
        return (
            f"PerMessageDeflate(remote_no_context_takeover={self.remote_no_context_takeover}, "
            f"local_no_context_takeover={self.local_no_context_takeover}, "
            f"remote_max_window_bits={self.remote_max_window_bits}, local_max_window_bits={self.local_max_window_bits})"
        )

    @property
    def in_core(self) -> bool:
        """Whether the core can do this: it has `level` and `memLevel` of zlib's settings."""
        usual = {"method": zlib.DEFLATED, "strategy": zlib.Z_DEFAULT_STRATEGY}
        return all(
            name in ("level", "memLevel") or value == usual.get(name) for name, value in self.compress_settings.items()
        )

    def install(self, frames: _core.Frames) -> None:
        """Let the core compress and decompress the messages of a connection."""
        level = self.compress_settings.get("level", -1)
        frames.set_deflate(
            remote_no_context_takeover=self.remote_no_context_takeover,
            local_no_context_takeover=self.local_no_context_takeover,
            remote_max_window_bits=self.remote_max_window_bits,
            local_max_window_bits=self.local_max_window_bits,
            level=6 if level == -1 else level,  # as zlib has it
            mem_level=self.compress_settings.get("memLevel", 8),
            threshold=_THRESHOLD,
        )

    # For connections that have other extensions, too, and for what `in_core` says no to.

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Decompress a frame. Raises PayloadTooBig, ProtocolError."""
        if frame.opcode in CTRL_OPCODES:
            return frame
        if frame.opcode is CONT:
            if not self._continues:
                return frame
            if frame.rsv1:
                message = "RSV1 bit set in continuation frame"
                raise ProtocolError(message)
        elif not frame.rsv1:
            return frame
        elif self.remote_no_context_takeover:
            self._alone = None
        self._continues = not frame.fin
        decoder = self._streams()[1]
        data = bytes(frame.data) + (b"\x00\x00\xff\xff" if frame.fin else b"")
        try:
            data = decoder.decompress(data, max_size or 0)
        except zlib.error as exc:
            message = "decompression failed"
            raise ProtocolError(message) from exc
        if decoder.unconsumed_tail:
            raise PayloadTooBig(None, max_size)
        return dataclasses.replace(frame, data=data, rsv1=False)

    def encode(self, frame: Frame) -> Frame:
        """Compress a frame."""
        if frame.opcode in CTRL_OPCODES:
            return frame
        if frame.opcode is not CONT and self.local_no_context_takeover:
            self._alone = None
        encoder = self._streams()[0]
        data = encoder.compress(frame.data) + encoder.flush(zlib.Z_SYNC_FLUSH)
        return dataclasses.replace(frame, data=data[:-4] if frame.fin else data, rsv1=frame.opcode is not CONT)

    def _streams(self) -> tuple[Any, Any]:
        if self._alone is None:
            self._alone = (
                zlib.compressobj(wbits=-self.local_max_window_bits, **self.compress_settings),
                zlib.decompressobj(wbits=-self.remote_max_window_bits),
            )
        return self._alone


class ClientPerMessageDeflateFactory(ClientExtensionFactory):
    """What a client offers: True offers a parameter without a value, a number offers it with that value."""

    name: ClassVar[ExtensionName] = _NAME  # type: ignore[misc]

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | Literal[True] | None = True,
        compress_settings: dict[str, Any] | None = None,
    ) -> None:
        """Check and keep the parameters. Raises ValueError."""
        _check_bits("server_max_window_bits", server_max_window_bits, 8)
        if client_max_window_bits is not True:
            _check_bits("client_max_window_bits", client_max_window_bits, 9)
        _check_settings(compress_settings, "client_max_window_bits")
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = compress_settings

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """Answer the parameters of the offer."""
        return _written(
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
        )

    def process_response_params(  # noqa: C901 - RFC 7692 section 7.1, rule by rule
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> PerMessageDeflate:
        """Take the server's parameters. Raises NegotiationError."""
        if any(other.name == self.name for other in accepted_extensions):
            message = f"received duplicate {self.name}"
            raise NegotiationError(message)
        server_alone, client_alone, server_bits, client_bits = _read(params, is_server=False)
        if self.server_no_context_takeover and not server_alone:
            message = "expected server_no_context_takeover"
            raise NegotiationError(message)
        if self.server_max_window_bits is not None:
            if server_bits is None:
                message = "expected server_max_window_bits"
                raise NegotiationError(message)
            if server_bits > self.server_max_window_bits:
                message = "unsupported server_max_window_bits"
                raise NegotiationError(message)
        wanted = self.client_max_window_bits
        if wanted is None:
            if client_bits is not None:
                message = "unexpected client_max_window_bits"
                raise NegotiationError(message)
        elif wanted is not True:
            if client_bits is None:
                client_bits = wanted
            elif client_bits > wanted:
                message = "unsupported client_max_window_bits"
                raise NegotiationError(message)
        if client_bits == 8:  # noqa: PLR2004 - zlib makes no window of 8 bits
            message = "unsupported client_max_window_bits = 8, use 9"
            raise NegotiationError(message)
        return PerMessageDeflate(
            server_alone,
            client_alone or self.client_no_context_takeover,
            server_bits or _FULL,
            client_bits or _FULL,
            self.compress_settings,
        )


class ServerPerMessageDeflateFactory(ServerExtensionFactory):
    """What a server answers to an offer."""

    name: ClassVar[ExtensionName] = _NAME  # type: ignore[misc]

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | None = None,
        compress_settings: dict[str, Any] | None = None,
        require_client_max_window_bits: bool = False,
    ) -> None:
        """Check and keep the parameters. Raises ValueError."""
        _check_bits("server_max_window_bits", server_max_window_bits, 9)
        _check_bits("client_max_window_bits", client_max_window_bits, 8)
        _check_settings(compress_settings, "server_max_window_bits")
        if require_client_max_window_bits and client_max_window_bits is None:
            message = "require_client_max_window_bits is enabled, but client_max_window_bits isn't configured"
            raise ValueError(message)
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = compress_settings
        self.require_client_max_window_bits = require_client_max_window_bits

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Answer our parameters and the extension. Raises NegotiationError to refuse the offer."""
        if any(other.name == self.name for other in accepted_extensions):
            message = f"skipped duplicate {self.name}"
            raise NegotiationError(message)
        server_alone, client_alone, server_bits, client_bits = _read(params, is_server=True)
        server_alone = server_alone or self.server_no_context_takeover
        client_alone = client_alone or self.client_no_context_takeover
        if self.server_max_window_bits is not None:
            server_bits = min(server_bits or _FULL, self.server_max_window_bits)
        if server_bits == 8:  # noqa: PLR2004 - zlib makes no window of 8 bits
            message = "unsupported server_max_window_bits = 8, use 9"
            raise NegotiationError(message)
        wanted = self.client_max_window_bits
        if client_bits is None:
            if wanted is not None and self.require_client_max_window_bits:
                message = "required client_max_window_bits"
                raise NegotiationError(message)
        elif client_bits is True:
            client_bits = wanted
        elif wanted is not None:
            client_bits = min(client_bits, wanted)
        return (
            _written(server_alone, client_alone, server_bits, client_bits),
            PerMessageDeflate(
                client_alone, server_alone, client_bits or _FULL, server_bits or _FULL, self.compress_settings
            ),
        )


def enable_client_permessage_deflate(
    extensions: Sequence[ClientExtensionFactory] | None,
) -> Sequence[ClientExtensionFactory]:
    """Answer the extensions with permessage-deflate; one that is there keeps its parameters."""
    if any(factory.name == _NAME for factory in extensions or ()):
        return extensions or []
    return [*(extensions or ()), ClientPerMessageDeflateFactory(compress_settings={"memLevel": 5})]


def enable_server_permessage_deflate(
    extensions: Sequence[ServerExtensionFactory] | None,
) -> Sequence[ServerExtensionFactory]:
    """Answer the extensions with permessage-deflate; one that is there keeps its parameters."""
    if any(factory.name == _NAME for factory in extensions or ()):
        return extensions or []
    ours = ServerPerMessageDeflateFactory(
        server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
    )
    return [*(extensions or ()), ours]


def _check_bits(field: str, value: int | None, least: int) -> None:
    if value is not None and not least <= value <= _FULL:
        message = f"{field} must be between {least} and {_FULL}"
        raise ValueError(message)


def _check_settings(settings: Mapping[str, Any] | None, instead: str) -> None:
    if settings is None:
        return
    if "wbits" in settings:
        message = f"compress_settings must not include wbits, set {instead} instead"
        raise ValueError(message)


def _written(
    server_alone: bool, client_alone: bool, server_bits: int | None, client_bits: int | Literal[True] | None
) -> list[ExtensionParameter]:
    params: list[ExtensionParameter] = [
        (name, None) for name, value in zip(_FLAGS, (server_alone, client_alone), strict=True) if value
    ]
    if server_bits:
        params.append(("server_max_window_bits", str(server_bits)))
    if client_bits:
        params.append(("client_max_window_bits", None if client_bits is True else str(client_bits)))
    return params


def _read(params: Sequence[ExtensionParameter], *, is_server: bool) -> tuple[bool, bool, int | None, Any]:
    """Answer the parameters by name. Only a request may have client_max_window_bits without a value: that is True."""
    found: dict[str, Any] = {}
    for name, value in params:
        window = name in ("server_max_window_bits", "client_max_window_bits")
        if not window and name not in _FLAGS:
            raise InvalidParameterName(name)
        if name in found:
            raise DuplicateParameter(name)
        if not window:
            if value is not None:
                raise InvalidParameterValue(name, value)
            found[name] = True
        elif value in _WINDOWS:
            found[name] = _WINDOWS[value]
        elif value is None and is_server and name == "client_max_window_bits":
            found[name] = True
        else:
            raise InvalidParameterValue(name, value)
    return (
        found.get(_FLAGS[0], False),
        found.get(_FLAGS[1], False),
        found.get("server_max_window_bits"),
        found.get("client_max_window_bits"),
    )
