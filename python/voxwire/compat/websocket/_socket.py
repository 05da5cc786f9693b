"""Sockets with `websocket-client`'s time-outs and exceptions: its options, its defaults, reading and writing."""

from __future__ import annotations

import selectors
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from ._exceptions import WebSocketConnectionClosedException, WebSocketTimeoutException

_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))

DEFAULT_SOCKET_OPTION: list[tuple[Any, ...]] = [
    (socket.SOL_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.SOL_TCP, getattr(socket, name), value) for name, value in _KEEPALIVE if hasattr(socket, name)),
]
"""Arguments of `setsockopt` for every new socket."""

_PLAIN = socket.socket if socket.socket.__module__ == "socket" else None
_TLS = ssl.SSLSocket if ssl.SSLSocket.__module__ == "ssl" else None

LOST = "Connection to remote host was lost."


@dataclass
class _Defaults:
    timeout: float | None = None


_defaults = _Defaults()


def is_plain(sock: Any) -> bool:
    """Answer whether the core may read and write a socket: it is one of Python without TLS, not one of gevent or eventlet
    (which wait in their own way), and not a subclass.
    """
    return type(sock) is _PLAIN


def is_waitable(sock: Any) -> bool:
    """Answer whether the core may wait for a socket: `is_plain`, or the same with TLS."""
    return type(sock) in (_PLAIN, _TLS)


class sock_opt:  # noqa: N801 - its name in websocket-client
    """What a new socket gets: arguments of `setsockopt`, TLS options, the time-out in seconds."""

    def __init__(self, sockopt: list[tuple[Any, ...]] | None, sslopt: dict[str, Any] | None) -> None:
        """None is an empty list, or dictionary."""
        self.sockopt = [] if sockopt is None else sockopt
        self.sslopt = {} if sslopt is None else sslopt
        self.timeout: float | None = None


def setdefaulttimeout(timeout: float | None) -> None:
    """Set the time-out in seconds of connections that name none; None is for ever."""
    _defaults.timeout = timeout


def getdefaulttimeout() -> float | None:
    """Answer what `setdefaulttimeout` has set."""
    return _defaults.timeout


def timed_out(error: BaseException) -> WebSocketTimeoutException | None:
    """Answer the time-out that an error of a socket stands for, if it stands for one."""
    words = str(error.args[0]) if error.args else None
    if isinstance(error, TimeoutError) or (isinstance(error, OSError) and words is not None and "timed out" in words):
        return WebSocketTimeoutException(words)
    return None


def recv(sock: Any, bufsize: int) -> bytes:
    """Read at most `bufsize` bytes. Raises WebSocketTimeoutException, WebSocketConnectionClosedException, OSError."""
    if not sock:
        raise WebSocketConnectionClosedException("socket is already closed.")
    try:
        data: bytes = _recv_now_or_wait(sock, bufsize)
    except TimeoutError:
        raise WebSocketTimeoutException("Connection timed out") from None
    except ssl.SSLError as error:
        late = timed_out(error)
        if late is None:
            raise
        raise late from None
    if not data:
        raise WebSocketConnectionClosedException(LOST)
    return data


def _recv_now_or_wait(sock: Any, bufsize: int) -> Any:
    if sock.gettimeout() == 0:
        return sock.recv(bufsize)
    try:
        return sock.recv(bufsize)
    except (ssl.SSLWantReadError, BlockingIOError):
        _wait(sock, selectors.EVENT_READ, "Connection timed out waiting for data")
        return sock.recv(bufsize)


def _wait(sock: Any, event: int, message: str) -> None:
    if not ready(sock, event, sock.gettimeout()):
        raise WebSocketTimeoutException(message)


def ready(sock: Any, event: int, timeout: float | None) -> bool:
    """Wait for a socket as Python does; false when the time was over before."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, event)
        return bool(selector.select(timeout))


def recv_line(sock: Any) -> bytes:
    r"""Read up to the next `\n`, and no byte more."""
    line = bytearray()
    while not line.endswith(b"\n"):
        line += recv(sock, 1)
    return bytes(line)


def send(sock: Any, data: bytes | str) -> int:
    """Write some of `data`; answers how many bytes. Raises WebSocketTimeoutException, OSError."""
    if not sock:
        raise WebSocketConnectionClosedException("socket is already closed.")
    octets = data.encode() if isinstance(data, str) else data
    try:
        sent: int = _send_now_or_wait(sock, octets)
    except ssl.SSLEOFError:
        raise WebSocketConnectionClosedException("socket is already closed.") from None
    except OSError as error:
        late = timed_out(error)
        if late is None:
            raise
        raise late from None
    return sent


def _send_now_or_wait(sock: Any, octets: bytes) -> Any:
    if sock.gettimeout() == 0:
        return sock.send(octets)
    try:
        return sock.send(octets)
    except (ssl.SSLWantWriteError, BlockingIOError):
        _wait(sock, selectors.EVENT_WRITE, "timed out")
        return sock.send(octets)
