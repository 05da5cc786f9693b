"""Pings that the application sent and that wait for their pong. Keepalive pings are the core's."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

from .errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 125  # RFC 6455 section 5.5


class Pings:
    """The pings of one connection, oldest first."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: dict[bytes, tuple[asyncio.Future[float], float]] = {}

    def send(self, payload: bytes | None, transmit: Callable[[bytes], None]) -> asyncio.Future[float]:
        """Send a ping; the future gives the seconds until its pong. Raises InvalidParameter."""
        if payload is None:
            payload = secrets.token_bytes(4)
        expected = f"at most {_LONGEST} bytes, none that a ping on its way has"
        if len(payload) > _LONGEST or payload in self._waiting:
            message = f"payload: {payload!r:.100} ({len(payload)} bytes) is not valid, expected {expected}"
            raise InvalidParameter(message, field="payload", value=payload, expected=expected)
        transmit(payload)
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[payload] = (future, time.perf_counter())
        return future

    def answered(self, payload: bytes) -> None:
        """Note that a pong came. It answers older pings too: a peer may answer only the last one (RFC 6455 section 5.5.3)."""
        if payload not in self._waiting:
            return
        now = time.perf_counter()
        for older in list(self._waiting):
            future, sent = self._waiting.pop(older)
            if not future.done():
                future.set_result(now - sent)
            if older == payload:
                return

    def fail(self, error: Callable[[], Exception]) -> None:
        """Give up, for the connection is closed: nothing will be answered any more."""
        waiting, self._waiting = self._waiting, {}
        for future, _ in waiting.values():
            if not future.done():
                future.set_exception(error())
