"""How `WebSocketApp` waits for its socket: by itself, or in a loop that the application brought (`rel`)."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voxwire import _core

from ._logging import info
from ._socket import is_waitable, ready, send

if TYPE_CHECKING:
    from ._app import WebSocketApp


class Dispatcher:
    """Waits in the core, in the thread of `run_forever`."""

    def __init__(self, app: WebSocketApp, ping_timeout: float | None) -> None:
        """`ping_timeout`: how long to wait between two looks at the pings, in seconds."""
        self.app = app
        self.ping_timeout = ping_timeout

    def read(self, sock: Any, read_callback: Callable[[], bool], check_callback: Callable[[], bool]) -> None:
        """Call `read_callback` whenever the socket has something, until it answers False."""
        while self.app.keep_running:
            if self._readable(sock) and not read_callback():
                break
            check_callback()

    def _readable(self, sock: Any) -> bool:
        if sock.fileno() < 0:
            return True  # reading tells what has become of it
        if hasattr(sock, "pending") and sock.pending():
            return True  # TLS holds what the system has given
        if is_waitable(sock):
            return _core.FrameSocket.wait(sock.fileno(), self.ping_timeout)
        return ready(sock, selectors.EVENT_READ, self.ping_timeout)

    def timeout(self, seconds: float | None, callback: Callable[[], Any]) -> None:
        """Call `callback` after some seconds."""
        if seconds is not None:
            time.sleep(seconds)
        callback()

    def reconnect(self, seconds: float, reconnector: Callable[..., Any]) -> None:
        """Connect again after some seconds."""
        info(f"reconnect() - retrying in {seconds} seconds")
        time.sleep(seconds)
        reconnector(reconnecting=True)

    def send(self, sock: Any, data: str | bytes) -> int:
        """Write some of `data`."""
        return send(sock, data)


class WrappedDispatcher:
    """Waits in a loop that the application brought: it has `signal`, `abort`, `read`, `timeout` and `buffwrite`."""

    def __init__(
        self, app: WebSocketApp, ping_timeout: float | None, dispatcher: Any, disconnected: Callable[..., Any] | None
    ) -> None:
        """Ctrl-C ends that loop from now on."""
        self.app = app
        self.ping_timeout = ping_timeout
        self.dispatcher = dispatcher
        self.handleDisconnect = disconnected
        dispatcher.signal(2, dispatcher.abort)

    def read(self, sock: Any, read_callback: Callable[[], bool], check_callback: Callable[[], bool]) -> None:
        """Have `read_callback` called whenever the socket has something."""
        self.dispatcher.read(sock, read_callback)
        if self.ping_timeout:
            self.timeout(self.ping_timeout, check_callback)

    def send(self, sock: Any, data: str | bytes) -> int:
        """Have `data` written."""
        self.dispatcher.buffwrite(sock, data, send, self.handleDisconnect)
        return len(data)

    def timeout(self, seconds: float, callback: Callable[..., Any], *arguments: Any) -> None:
        """Have `callback` called after some seconds."""
        self.dispatcher.timeout(seconds, callback, *arguments)

    def reconnect(self, seconds: float, reconnector: Callable[..., Any]) -> None:
        """Have the connection made again after some seconds."""
        self.timeout(seconds, reconnector, True)
