"""Sockets through proxies: HTTP CONNECT by hand, SOCKS with `python-socks` if it is installed."""

from __future__ import annotations

import socket
import ssl as ssl_module
from typing import TYPE_CHECKING, Any

from voxwire.compat.websockets.exceptions import InvalidProxyMessage, InvalidProxyStatus, ProxyError
from voxwire.compat.websockets.http11 import Response
from voxwire.compat.websockets.proxy import Proxy, prepare_connect_request
from voxwire.compat.websockets.streams import StreamReader

if TYPE_CHECKING:
    from voxwire.compat.websockets.uri import WebSocketURI

    from .utils import Deadline

__all__ = ["connect_http_proxy", "connect_socks_proxy"]

_PIECE = 4096


def connect_http_proxy(
    proxy: Proxy,
    ws_uri: WebSocketURI,
    deadline: Deadline,
    *,
    user_agent_header: str | None,
    ssl: ssl_module.SSLContext | None,
    server_hostname: str | None,
    **kwargs: Any,
) -> socket.socket:
    """Answer a socket to the server. Raises OSError, ProxyError."""
    kwargs.setdefault("timeout", deadline.timeout())
    sock = socket.create_connection((proxy.host, proxy.port), **kwargs)
    try:
        if proxy.scheme == "https":
            context = ssl_module.create_default_context() if ssl is None else ssl
            sock.settimeout(deadline.timeout())
            sock = context.wrap_socket(sock, server_hostname=proxy.host if server_hostname is None else server_hostname)
        sock.settimeout(deadline.timeout())
        sock.sendall(prepare_connect_request(proxy, ws_uri, user_agent_header))
        _read_response(sock, deadline)
        sock.settimeout(None)
    except BaseException:
        sock.close()
        raise
    return sock


def _read_response(sock: socket.socket, deadline: Deadline) -> None:
    """Read what the proxy says. Raises ProxyError, TimeoutError."""
    stream = StreamReader()
    parser = Response.parse(stream.read_line, stream.read_exact, stream.read_to_eof, proxy=True)
    response: Response | None = None
    try:
        while response is None:
            sock.settimeout(deadline.timeout())
            data = sock.recv(_PIECE)
            if data:
                stream.feed_data(data)
            else:
                stream.feed_eof()
            try:
                next(parser)
            except StopIteration as stop:
                response = stop.value
    except TimeoutError:
        message = "timed out while connecting to HTTP proxy"
        raise TimeoutError(message) from None
    except Exception as exc:
        message = "did not receive a valid HTTP response from proxy"
        raise InvalidProxyMessage(message) from exc
    if not 200 <= response.status_code < 300:  # noqa: PLR2004 - any success is one
        raise InvalidProxyStatus(response)


def connect_socks_proxy(
    proxy: Proxy, ws_uri: WebSocketURI, deadline: Deadline, local_addr: Any = None
) -> socket.socket:
    """Answer a socket to the server. Raises ImportError without `python-socks`, OSError, ProxyError."""
    try:
        from python_socks import ProxyType  # noqa: PLC0415 - installed by those who need it
        from python_socks.sync import Proxy as SocksProxy  # noqa: PLC0415
    except ImportError:
        message = "connecting through a SOCKS proxy requires python-socks"
        raise ImportError(message) from None
    kind = ProxyType.SOCKS5 if proxy.scheme.startswith("socks5") else ProxyType.SOCKS4
    remote_names = proxy.scheme in ("socks5h", "socks4a")
    through = SocksProxy(kind, proxy.host, proxy.port, proxy.username, proxy.password, remote_names)
    try:
        sock: socket.socket = through.connect(
            ws_uri.host, ws_uri.port, timeout=deadline.timeout(), local_addr=local_addr
        )
    except OSError:
        raise
    except Exception as exc:
        message = "failed to connect to SOCKS proxy"
        raise ProxyError(message) from exc
    return sock
