"""A WebSocket for programs without a loop: the thread that calls does the work, and waits without the GIL.

`with connect(url) as ws: ws.send("hello"); print(ws.recv())`. Nothing runs between the calls: pings of the peer are answered,
and keepalive pings sent, while some thread is in `recv` (or waits in `send`, `ping` or `close`), as in other blocking
clients. Audio needs a clock of its own: for that there is `voxwire.WebSocket`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from . import _core
from .checks import check_close, refuse
from .enums import WebSocketReadyState
from .parameters import merged, parse
from .statistics import WebSocketStatistics

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from types import TracebackType

    from .compression import Compression
    from .parameters import Settings
    from .tls import TLSOptions

__all__ = ["ConnectParameters", "WebSocket", "connect"]

_LONGEST_PING = 125  # bytes; RFC 6455 section 5.5
_STATES = tuple(WebSocketReadyState)


class ConnectParameters(TypedDict, total=False):
    """The parameters of `connect`: those of `voxwire.WebSocket` that have a meaning here, with the same defaults."""

    protocols: str | Sequence[str]
    headers: Sequence[Mapping[str, str]] | Sequence[tuple[str, str]] | Mapping[str, str]
    trace: bool | str | PathLike[str]
    connect_timeout: float | None
    handshake_timeout: float | None
    close_timeout: float
    ping_interval: float | None
    ping_timeout: float | None
    max_message_size: int
    max_fragments: int
    compression: Compression | bool
    receive_buffer: int
    """Messages that come while `send` or `ping` wait, and are kept for `recv`. Default 1 MiB; above it they stop reading."""
    require_protocol: bool
    tls: TLSOptions | ssl.SSLContext | None
    happy_eyeballs_delay: float | None
    proxy: str | bool | None
    proxy_tls: TLSOptions | ssl.SSLContext | None
    max_redirects: int
    local_address: str | tuple[str, int] | None
    unix_path: str | PathLike[str] | None
    sock: socket.socket | None


def connect(url: str, **parameters: Unpack[ConnectParameters]) -> WebSocket:
    """Open a connection to a ws:// or wss:// URL and return it.

    Raises ConnectError (its subclasses say what failed: NameResolutionError, TLSError, ProxyError, HandshakeError,
    RedirectError, ConnectTimeout), InvalidURL, InvalidParameter, TypeError (an unknown parameter).
    """
    values = merged(None, parameters, known=ConnectParameters.__annotations__)
    settings = parse(None, {**values, "media": False})
    websocket = WebSocket(
        url,
        protocols=settings.protocols,
        headers=settings.headers,
        options=settings.options,
        tls=None if settings.tls is None else settings.tls._config,
        require_protocol=settings.require_protocol,
        via=settings.via,
        sock=None if settings.sock is None else settings.sock.fileno(),
    )
    websocket._settle(url, settings, values.get("close_timeout", 10.0))
    return websocket


class WebSocket(_core.BlockingConnection):
    """An open connection, made by `connect`. Iterating gives its messages, until the peer closes.

    One thread may receive while others send, and any may close. A process made by fork must not use it: there its calls
    raise ForkedError.
    """

    _url: str
    _close_timeout: float

    def _settle(self, url: str, settings: Settings, close_timeout: float) -> None:
        if settings.sock is not None:
            settings.sock.close()  # the core has a descriptor of its own
        self._url = _core.check_url(url)
        self._close_timeout = close_timeout

    @property
    def url(self) -> str:
        """The URL, normalised."""
        return self._url

    @property
    def readyState(self) -> WebSocketReadyState:
        """The state: open until a close begins, by either side."""
        return _STATES[self.state]

    @property
    def bufferedAmount(self) -> int:
        """Bytes of messages that the operating system has not taken; other threads wait in `send` for that."""
        return self.buffered_amount

    def statistics(self) -> WebSocketStatistics:
        """Answer the counters as they are now."""
        return WebSocketStatistics.of(self.counters())

    def ping(self, payload: bytes | None = None, timeout: float | None = None) -> float:
        """Send a ping and return the seconds until its pong; `payload` (at most 125 bytes) is random by default.

        Messages that come before it are kept for `recv`. Raises TimeoutError after `timeout` seconds, ConnectionClosed,
        InvalidState when more than `receive_buffer` would have to be kept, InvalidParameter.
        """
        if payload is None:
            payload = secrets.token_bytes(4)
        expected = f"at most {_LONGEST_PING} bytes, none that a ping on its way has"
        if len(payload) > _LONGEST_PING:
            refuse("payload", payload, expected)
        latency = self.pong(payload, timeout)
        if latency is None:
            refuse("payload", payload, expected)
        return latency

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Close, and return when the peer has closed, too, or `close_timeout` is over. A second close changes nothing.

        `code` is 1000 or 3000 to 4999; without one the peer sees 1005. `reason` has at most 123 UTF-8 bytes and needs a
        code. Messages that come meanwhile are dropped; a `recv` that waits in another thread raises ConnectionClosed. Raises
        InvalidParameter, TypeError.
        """
        check_close(code, reason)
        self.shut(None if code is None else int(code), reason, self._close_timeout)

    def __enter__(self) -> Self:
        """Answer the WebSocket itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, with 1000 or, when the block raised, 1011."""
        self.shut(1000 if kind is None else 1011, "", self._close_timeout)

    def __repr__(self) -> str:
        """Name the state and the peer."""
        return f"<voxwire.sync.WebSocket {self.readyState} {self.remote_address}>"
