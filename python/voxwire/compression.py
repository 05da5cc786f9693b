"""Compression of messages (permessage-deflate, RFC 7692), as people ask for it. The compressing is done in the core."""

from __future__ import annotations

from dataclasses import dataclass

from .checks import refuse

_WINDOW_BITS = (8, 15)  # RFC 7692 section 7.1.2
_LEVELS = (0, 9)
_MEMORY_LEVELS = (1, 9)


@dataclass(frozen=True)
class Compression:
    """How messages are compressed, where the peer agrees (permessage-deflate, RFC 7692).

    A context is allocated by the first message that needs it, 38 KiB for sending with the defaults, and given back when
    a ping finds that nothing was sent since the one before. Messages of media streams are never compressed: audio hardly
    shrinks. Raises InvalidParameter for a value out of its range.
    """

    server_no_context_takeover: bool = False
    """The server forgets what it sent after each message: less memory, larger messages."""
    client_no_context_takeover: bool = False
    """The client forgets what it sent after each message."""
    server_max_window_bits: int | None = None
    """Window of what the server sends, 8 to 15 bits. None: a server uses 12 or less, a client does not ask. A client that
    asks for less than 15 refuses a server that does not agree."""
    client_max_window_bits: int | None = None
    """Window of what the client sends, 8 to 15 bits. None: 12 or less. A client that gives a number below 15 refuses a
    server that answers with a larger one."""
    threshold: int = 64
    """Messages of fewer bytes are sent as they are."""
    level: int = 6
    """Effort: 0 (none) to 9 (smallest messages)."""
    memory_level: int = 5
    """Memory of the compressor beside its window: 1 to 9, 2 to the power of n + 9 bytes."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("server_no_context_takeover", "client_no_context_takeover"):
            if not isinstance(value := getattr(self, name), bool):
                refuse(f"compression.{name}", value, "True or False")
        for name in ("server_max_window_bits", "client_max_window_bits"):
            if (value := getattr(self, name)) is not None:
                _check(name, value, *_WINDOW_BITS, " or None")
        _check("threshold", self.threshold, 0, None)
        _check("level", self.level, *_LEVELS)
        _check("memory_level", self.memory_level, *_MEMORY_LEVELS)


def _check(name: str, value: object, least: int, most: int | None, more: str = "") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least or (most is not None and value > most):
        refuse(
            f"compression.{name}",
            value,
            f"a whole number {f'>= {least}' if most is None else f'from {least} to {most}'}{more}",
        )
