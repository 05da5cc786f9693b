"""When a lost connection is made again: what a policy is told, what it answers, and `Backoff`, the one we have.

Policies only. They touch no connection and no clock; `outage` counts and asks them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, runtime_checkable

from .checks import is_number, refuse
from .enums import WebSocketCloseCode as Code
from .errors import (
    ConnectError,
    HandshakeError,
    KeepaliveTimeout,
    ProxyError,
    RedirectError,
    TLSError,
    TransportError,
)

STABLE_AFTER = 10.0
"""Seconds that a connection has to be open before its loss counts as a first one, when the policy says nothing else."""
LONGEST_RETRY_AFTER = 3600.0
"""Seconds to which a server's Retry-After is cut: it may be a mistake, and nobody wants to wait until tomorrow."""
TRANSIENT_CODES = frozenset(
    (
        Code.CLOSE_GOING_AWAY,
        Code.CLOSE_ABNORMAL,
        Code.CLOSE_SERVER_ERROR,
        Code.CLOSE_SERVICE_RESTART,
        Code.CLOSE_TRY_AGAIN_LATER,
        Code.CLOSE_BAD_GATEWAY,
    )
)
"""Close codes after which another attempt may do better: 1001, 1006, 1011, 1012, 1013, 1014."""
_TRANSIENT_STATUSES = frozenset((408, 425, 429))
_SERVER_ERRORS = range(500, 600)


@dataclass(frozen=True, slots=True)
class ConnectionLoss:
    """A connection that was lost, or an attempt that failed: what a policy decides by."""

    attempt: int
    """Which attempt would be next: 1 after the first loss, and so on until a connection was stable."""
    elapsed: float
    """Seconds since the first of these losses."""
    code: int
    """The close code, as CLOSE would have it: 1006 without a close handshake."""
    reason: str
    was_clean: bool
    error: Exception | None
    """What ERROR would have; None when the peer closed."""
    was_open: bool
    """Whether the connection had been open; False when the attempt to connect failed."""
    status: int | None = None
    """The HTTP status that refused the handshake, of the server or of a proxy."""
    retry_after: float | None = None
    """Seconds that a refusal with 429 or 503 asked to wait (RFC 9110 section 10.2.3), at most 3600."""


@runtime_checkable
class ReconnectPolicy(Protocol):
    """Any function of a loss: `Backoff` is one, write another if you need it.

    It may have an attribute `stable_after`, the seconds (default 10) that a connection has to be open before its loss
    counts as attempt 1 again. What it raises ends the WebSocket, as its ERROR.
    """

    def __call__(self, loss: ConnectionLoss, /) -> float | None:
        """Answer the seconds to wait before the next attempt, or None to give up. Must not block."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Wait longer after each loss, by chance, and give up on what waiting does not cure.

    The wait is `initial * factor ** (attempt - 1)` seconds, at most `maximum`, less a random part of it: with `jitter`
    1 anything from 0 to that ("full jitter"), with 0.5 from half of it, with 0 exactly that. Without it, all clients of
    a server that restarts come back in the same moment, again and again (a thundering herd). A Retry-After of the
    server is waited for in full, and the random wait comes on top, for the same reason.

    Tried again are network errors, time-outs, close codes of `codes`, HTTP 408, 425, 429 and 5xx. Not tried again is what
    stays wrong: certificates, redirects, any other refusal or answer, the protocol broken by either side, a parameter,
    and a peer that closed with 1000, without a code, or with any code that `codes` has not.

    One object may serve any number of WebSockets. Raises InvalidParameter.
    """

    initial: float = 0.5
    """Seconds."""
    factor: float = 2.0
    maximum: float = 30.0
    """Seconds."""
    jitter: float = 1.0
    """The share of the wait that is left to chance, 0 to 1."""
    attempts: int | None = None
    """Give up after so many attempts in a row. Default None: never."""
    give_up_after: float | None = None
    """Give up when an attempt would begin later than this many seconds after the first loss. Default None: never."""
    stable_after: float = STABLE_AFTER
    """A connection that was open for less than these seconds does not start the count anew: a server that accepts and
    closes at once is not hammered."""
    codes: frozenset[int] = TRANSIENT_CODES
    """The close codes that are tried again; add those of your application."""
    random: Callable[[], float] = field(default=random.random, repr=False)
    """Answers a number from 0 to 1; for tests."""

    def __post_init__(self) -> None:
        for name, least in (("initial", 0.0), ("factor", 1.0), ("maximum", 0.0), ("stable_after", 0.0)):
            if not is_number(value := getattr(self, name)) or value < least:
                refuse(name, value, f"a number >= {least:g}")
        if not is_number(self.jitter) or not 0 <= self.jitter <= 1:
            refuse("jitter", self.jitter, "a number from 0 to 1")
        if self.attempts is not None and (not isinstance(self.attempts, int) or self.attempts < 0):
            refuse("attempts", self.attempts, "a whole number >= 0, or None")
        if self.give_up_after is not None and (not is_number(self.give_up_after) or self.give_up_after < 0):
            refuse("give_up_after", self.give_up_after, "a number of seconds >= 0, or None")

    def __call__(self, loss: ConnectionLoss, /) -> float | None:
        """Answer the seconds to wait, or None to give up."""
        if not is_transient(loss, self.codes) or (self.attempts is not None and loss.attempt > self.attempts):
            return None
        try:
            longest = min(self.initial * self.factor ** (loss.attempt - 1), self.maximum)
        except OverflowError:
            longest = self.maximum
        delay = longest * (1 - self.jitter * self.random()) + (loss.retry_after or 0.0)
        if self.give_up_after is not None and loss.elapsed + delay > self.give_up_after:
            return None
        return delay


def is_transient(loss: ConnectionLoss, codes: frozenset[int] = TRANSIENT_CODES) -> bool:
    """Say whether another attempt may do better than the one that was lost."""
    error = loss.error
    if error is None:
        return loss.code in codes
    if isinstance(error, RedirectError):
        return False
    if loss.status is not None:
        return loss.status in _TRANSIENT_STATUSES or loss.status in _SERVER_ERRORS
    if isinstance(error, HandshakeError | TLSError | ProxyError):
        # An answer that is none; with an error number it was the network that failed in the middle of it.
        return error.errno is not None
    return isinstance(error, ConnectError | TransportError | KeepaliveTimeout)


def retry_after(headers: list[tuple[str, str]], now: datetime | None = None) -> float | None:
    """Answer the seconds that a Retry-After header asks for: a number of them, or a date. None without a good one."""
    value = next((value.strip() for name, value in headers if name.lower() == "retry-after"), "")
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
