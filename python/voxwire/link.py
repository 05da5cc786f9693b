"""What the core reports of a connection, turned into states and events. What people call is in `websocket`.

The protocol lives in the core; `readyState` changes here, when the event that changes it is handled.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from . import _core
from .discretion import printable, public
from .enums import WebSocketEvents, WebSocketReadyState
from .errors import ConnectError, ConnectionClosed, MediaError, VoxwireError
from .events import (
    CloseEvent,
    CreatedEvent,
    ErrorEvent,
    MessageEvent,
    OpenEvent,
    ReconnectingEvent,
)
from .hearing import Hearing
from .inbox import Inbox
from .loops import bridge_to, running_loop
from .outage import Outage
from .pings import Pings
from .reports import Reports
from .statistics import WebSocketStatistics
from .waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum
    from pathlib import Path

    from .parameters import Settings
    from .target import Handler
    from .websocket import WebSocket

_log = logging.getLogger("voxwire")
CONNECTING, OPEN, CLOSING, CLOSED = WebSocketReadyState
MESSAGE = WebSocketEvents.MESSAGE
_PATIENCE = 1.0
"""Seconds that messages which nobody takes may wait without a word."""


def _compact(headers: _core.Headers) -> str:
    """Headers in a line each, which takes a third of the memory. Neither CR nor LF can be in one (RFC 9110 section 5.5)."""
    return "\n".join(f"{name}:{value}" for name, value in headers)


class Link(Hearing, _core.Endpoint):
    """The inner side of a `WebSocket`: its state, its events, and who waits for them."""

    _names: ClassVar[type[StrEnum]] = WebSocketEvents
    _role: ClassVar[str] = "websocket"
    _inbox: Inbox

    def __init__(
        self,
        url: str,
        settings: Settings,
        connection: _core.Connection | None = None,
        headers: _core.Headers | None = None,
    ) -> None:
        """Begin in the state connecting; `connection` and the request's `headers` are those of an incoming connection."""
        super().__init__()
        self._loop = running_loop("a WebSocket")
        self._bridge = bridge_to(self._loop)
        self._url = url
        self._settings = settings
        self._incoming = connection is not None
        self._begun = False
        self._state = CONNECTING
        self._protocol = ""
        self._extensions = ""
        self._headers = _compact(headers or [])
        self._given_up = False  # close() came while connecting
        self._error: Exception | None = None
        self._closed: CloseEvent | None = None
        self._outage = None if settings.reconnect is None else Outage(settings.reconnect)
        self._retry: asyncio.TimerHandle | None = None  # while it waits for the next attempt
        self._loss: Callable[[], ConnectionClosed] | None = None  # what those hear who waited for a lost connection
        self._past: WebSocketStatistics | None = None  # of the connections before
        self._inbox = Inbox()
        self._warned = False
        self._waiters = Waiters()
        self._drained = 0
        self._pings = Pings()
        self._connection = self._outgoing() if connection is None else connection
        self._audible = self._connection  # where audio is sent to: what is lost stays so until the next one is open

    def _outgoing(self) -> _core.Connection:
        settings = self._settings
        connection = _core.Connection.connect(
            self._bridge,
            Reports(self),
            self._url,
            settings.protocols,
            settings.headers,
            settings.options,
            None if settings.tls is None else settings.tls._config,
            settings.require_protocol,
            settings.via,
            None if settings.sock is None else settings.sock.fileno(),
        )
        if settings.sock is not None:
            settings.sock.close()  # the core has a descriptor of its own
        return connection

    def _shut(self, code: int | None, reason: str) -> None:
        if self._state in (CLOSING, CLOSED):
            return
        self._given_up = self._state is CONNECTING and not self._incoming
        self._state = CLOSING
        self._inbox.stop_counting()
        if self._retry is not None:
            self._retry.cancel()
            self._loop.call_soon(self._finish, 1006, "", False)
        elif self._begun or self._incoming:
            self._connection.close(code, reason)

    # What the core reports

    def _begin(self) -> None:
        """Do what is due in the loop's turn after construction."""
        file = self._statistics_file()
        self._dispatch(CreatedEvent(cast("WebSocket", self), None if file is None else file.as_uri()))
        self._begun = True
        try:
            self._connection.start(None if self._settings.trace is None else str(self._settings.trace))
        except OSError as error:
            _log.warning("WebSocket %s: no trace: %s", self._settings.identity, error)
            self._connection.start()
        if self._given_up:
            self._connection.close(None, "")

    def _on_open(self, protocol: str, extensions: str, headers: _core.Headers) -> None:
        self._protocol = protocol
        self._extensions = extensions
        if not self._incoming:
            self._headers = _compact(headers)
        if self._state is not CONNECTING:  # close() came first
            return
        self._state = OPEN
        self._note(logging.INFO, "open")
        attempt = 0
        if self._outage is not None:
            attempt = self._outage.attempt
            self._outage.opened(self._loop.time())
        if self._audible is not self._connection:
            self._audible = self._connection
            websocket = cast("WebSocket", self)
            for route in list(websocket._linked()):
                if route.target is websocket:
                    route.make()
        self._waiters.wake()
        self._dispatch(OpenEvent(cast("WebSocket", self), attempt))

    # The core calls the one MESSAGE handler itself, if there is exactly one (`_hand_to`), and fills the inbox itself
    # if there is none: then only what a handler returned comes here. With several, the message does.

    def _on_message(self, data: str | bytes, cost: int) -> bool | None:
        if self._state is not OPEN:  # after close(): dropped, as in the browser
            return None
        inbox = self._inbox
        if len(inbox):
            self._flush()
        if self._order.get(MESSAGE):
            tasks = self._dispatch(MessageEvent(cast("WebSocket", self), data))
            return tasks is not None and inbox.hold(tasks, cost)
        inbox.put(data, cost)
        return True

    def _untaken(self) -> None:
        """Warn when nobody takes what has filled the receive buffer; a `recv()` may be about to come."""
        if not self._warned:
            self._warned = True
            self._loop.call_later(_PATIENCE, self._warn_untaken)

    def _warn_untaken(self) -> None:
        if len(self._inbox) and not self._inbox.taken and self._state is OPEN:
            self._note(logging.WARNING, "stops reading: nobody takes its messages (no MESSAGE handler, no recv)")

    def _handled(self, handler: Handler, result: object, cost: int) -> bool:
        """Say whether a message is still worked on: its handler returned a coroutine."""
        if not asyncio.iscoroutine(result):
            return False
        return self._inbox.hold([self._start(MESSAGE, handler, result)], cost)

    def _raised(self, error: BaseException) -> None:
        """Tell of what the handler raised."""
        self._report(MESSAGE, error)

    def _on_error(self, error: Exception) -> None:
        self._flush()
        if isinstance(error, MediaError):
            self._dispatch(ErrorEvent(cast("WebSocket", self), error))
            return
        self._error = error
        if self._outage is None or self._state is CLOSING:
            self._fail(error)
        # else on_close follows, and the policy decides whether this is an ERROR

    def _on_close(self, code: int, reason: str, was_clean: bool) -> None:
        self._flush()
        if self._outage is None or self._state not in (CONNECTING, OPEN):
            self._finish(code, reason, was_clean)
            return
        try:
            delay = self._outage.lost(self._loop.time(), code, reason, self._error, was_clean=was_clean)
        except Exception as error:  # noqa: BLE001 - a policy may raise anything, and then it is over
            error.__context__ = self._error
            self._note(logging.ERROR, f"the reconnect policy failed: {error!r}")
            self._error = error
            delay = None
        if delay is None or self._is_closing():  # the policy may have called close()
            self._finish(code, reason, was_clean)
        else:
            self._wait(delay, code, reason, was_clean)

    def _is_closing(self) -> bool:
        return self._state is CLOSING

    def _wait(self, delay: float, code: int, reason: str, was_clean: bool) -> None:
        """Go back to the state connecting, until the next attempt."""
        assert self._outage is not None  # noqa: S101 - for the type checker
        self._state = CONNECTING
        self._protocol = self._extensions = ""
        attempt, error = self._outage.attempt, self._error
        self._loss = partial(self._ended, code, reason, error, clean=was_clean, state="was lost")
        why = f"{code} {reason}".rstrip() if error is None else str(error)
        self._note(logging.INFO, f"lost: {why}; attempt {attempt} in {delay:.3g} s")
        self._retry = self._loop.call_later(delay, self._reconnect)
        self._pings.fail(self._loss)
        self._waiters.wake()
        self._drop_marks()
        websocket = cast("WebSocket", self)
        self._dispatch(ReconnectingEvent(websocket, attempt, delay, code, reason, was_clean, error))

    def _reconnect(self) -> None:
        """Begin the next attempt."""
        self._retry = None
        if self._bridge.closed:  # the loop is winding up: nobody would hear of it
            return
        self._error = None
        lost = self._connection
        try:
            self._connection = self._outgoing()
        except (OSError, VoxwireError) as error:
            self._error = error
            self._finish(1006, "", was_clean=False)
            return
        past = WebSocketStatistics.of(lost.statistics())
        self._past = past if self._past is None else self._past.plus(past)
        self._connection.take_over(lost, self._inbox.held)
        websocket = cast("WebSocket", self)
        for route in list(websocket._linked()):
            if route.source is websocket:
                route.make()
        self._connection.start()

    def _fail(self, error: Exception) -> None:
        self._state = CLOSED
        self._note(logging.INFO, f"failed: {error}")
        self._dispatch(ErrorEvent(cast("WebSocket", self), error))

    def _finish(self, code: int, reason: str, was_clean: bool) -> None:
        if self._given_up:
            code, reason, was_clean = 1006, "", False
            if self._state is not CLOSED:
                when = "before it was open" if self._retry is None else "while it waited to reconnect"
                cause, self._error = self._error, ConnectError(f"closed by close() {when}")
                self._error.__cause__ = cause
        if self._error is not None and self._state is not CLOSED:
            self._fail(self._error)
        self._state = CLOSED
        self._drop_marks()
        self._closed = event = CloseEvent(cast("WebSocket", self), code, reason, was_clean)
        self._inbox.stop_counting()
        self._note(logging.INFO, f"closed with {code} {reason}".rstrip())
        self._write_statistics(event)
        cast("WebSocket", self)._end_routes()
        self._pings.fail(self._closed_error)
        self._waiters.wake()
        self._inbox.wake()
        self._dispatch(event)

    def _on_drained(self) -> None:
        self._drained += 1
        self._waiters.wake()

    # Inside

    def _arrange(self, name: str) -> None:
        super()._arrange(name)
        if name == MESSAGE:
            self._inbox.wake()  # a recv() must learn that it gets nothing any more
            if len(self._inbox) and self._order[name]:
                self._loop.call_soon(self._flush)
            self._choose()

    def _choose(self) -> None:
        """Let the core call the handler when there is nothing to decide."""
        handlers = self._order.get(MESSAGE, ())
        self._inbox.reserve(bool(handlers))
        if not handlers:
            self._hand_to(())
        elif len(handlers) == 1 and not len(self._inbox):
            self._hand_to((handlers[0].callback, handlers[0].run, handlers[0]))
        else:
            self._hand_to(None)

    def _flush(self) -> None:
        """Give the messages that wait to the handlers, if there are any."""
        inbox = self._inbox
        while len(inbox) and self._order.get(MESSAGE):
            data, cost = inbox.pop()
            tasks = None
            try:
                tasks = self._dispatch(MessageEvent(cast("WebSocket", self), data))
            finally:
                if tasks is None:
                    inbox.give_back(cost)
                else:
                    inbox.give_back_after(tasks, cost)
        self._choose()

    def _write_soon(self) -> None:
        """Have what is sent in this turn of the loop written after it."""
        self._loop.call_soon(_core.write_held)

    def _closed_error(self) -> ConnectionClosed:
        event = self._closed
        code, reason, clean = (1006, "", False) if event is None else (event.code, event.reason, event.wasClean)
        return self._ended(code, reason, self._error, clean=clean)

    def _ended(
        self, code: int, reason: str, error: Exception | None, *, clean: bool, state: str = "is closed"
    ) -> ConnectionClosed:
        said = f" ({printable(reason)})" if reason and not self._settings.privacy else ""
        cause = f": {error}" if error is not None else ""
        closed = ConnectionClosed(
            f"the WebSocket {state}, code {code}{said}{cause}", code=code, reason=reason, wasClean=clean
        )
        closed.__cause__ = error
        return closed

    def _statistics(self) -> WebSocketStatistics:
        now = WebSocketStatistics.of(self._connection.statistics())
        if self._past is None or self._outage is None:
            return now
        return self._past.plus(now, reconnects=self._outage.reconnects)

    def _statistics_file(self) -> Path | None:
        directory = self._settings.statistics
        return None if directory is None else directory / f"voxwire-{self._settings.identity}.statistics.json"

    def _write_statistics(self, event: CloseEvent) -> None:
        file = self._statistics_file()
        if file is None:
            return
        about: dict[str, Any] = {
            "id": self._settings.identity,
            "code": event.code,
            "wasClean": event.wasClean,
        }
        if not self._settings.privacy:
            about |= {"reason": event.reason, "url": public(self._url)}
        try:
            self._statistics().write(file, about)
        except OSError as error:
            _log.warning("WebSocket %s: the statistics could not be written: %s", self._settings.identity, error)

    def _note(self, level: int, what: str) -> None:
        if not self._settings.privacy and _log.isEnabledFor(level):
            _log.log(level, "WebSocket %s %s: %s", self._settings.identity, public(self._url), printable(what))
