"""The losses of one WebSocket: counting them, and asking its policy what is next. Time is a parameter; no connection here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checks import is_number
from .errors import HandshakeError, InvalidParameter, ProxyError
from .reconnect import STABLE_AFTER, ConnectionLoss, retry_after

if TYPE_CHECKING:
    from .reconnect import ReconnectPolicy

_WITH_RETRY_AFTER = (429, 503)


@dataclass(slots=True)
class Outage:
    """What a WebSocket knows of its losses in a row. Times are those of its loop, in seconds."""

    policy: ReconnectPolicy
    attempt: int = 0
    """The attempt that is being made or waited for; 0 for the first connection and after a stable one."""
    reconnects: int = 0
    """How often a lost connection was open again."""
    _began: float = 0.0
    _opened: float | None = None

    def opened(self, now: float) -> None:
        """Note that the connection is open."""
        self._opened = now
        if self.attempt:
            self.reconnects += 1

    def lost(self, now: float, code: int, reason: str, error: Exception | None, *, was_clean: bool) -> float | None:
        """Note a loss. Answers the seconds to wait before the next attempt, None to give up.

        Raises what the policy raises, and InvalidParameter for an answer that is none.
        """
        opened, self._opened = self._opened, None
        stable_after = getattr(self.policy, "stable_after", STABLE_AFTER)
        if self.attempt == 0 or (opened is not None and now - opened >= stable_after):
            self.attempt, self._began = 0, now
        self.attempt += 1
        status, wait = _refusal(error)
        delay = self.policy(
            ConnectionLoss(
                attempt=self.attempt,
                elapsed=now - self._began,
                code=code,
                reason=reason,
                was_clean=was_clean,
                error=error,
                was_open=opened is not None,
                status=status,
                retry_after=wait,
            )
        )
        if delay is not None and (not is_number(delay) or delay < 0):
            expected = "a number of seconds >= 0, or None to give up"
            message = f"the reconnect policy answered {delay!r:.200}, expected {expected}"
            raise InvalidParameter(message, field="reconnect", value=delay, expected=expected)
        return delay


def _refusal(error: Exception | None) -> tuple[int | None, float | None]:
    """The HTTP status of a refused handshake, and the seconds that it asks to wait."""
    if not isinstance(error, HandshakeError | ProxyError) or error.status is None:
        return None, None
    return error.status, retry_after(error.headers) if error.status in _WITH_RETRY_AFTER else None
