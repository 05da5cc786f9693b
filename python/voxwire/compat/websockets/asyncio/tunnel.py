"""Connections through proxies: HTTP CONNECT by hand, SOCKS with `python-socks` if it is installed."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, cast

from voxwire.compat.websockets.exceptions import InvalidProxyMessage, InvalidProxyStatus, ProxyError
from voxwire.compat.websockets.http11 import Response
from voxwire.compat.websockets.proxy import Proxy, prepare_connect_request
from voxwire.compat.websockets.streams import StreamReader

if TYPE_CHECKING:
    from voxwire.compat.websockets.uri import WebSocketURI

__all__ = ["connect_http_proxy", "connect_socks_proxy"]


class _Tunnel(asyncio.Protocol):
    """Asks an HTTP proxy for a server."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.stream = StreamReader()
        read = self.stream
        self.parser = Response.parse(read.read_line, read.read_exact, read.read_to_eof, proxy=True)
        self.response: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self.request)

    def data_received(self, data: bytes) -> None:
        self.stream.feed_data(data)
        self._step()

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._end()

    def _end(self) -> None:
        if not self.stream.eof:
            self.stream.feed_eof()
        self._step()

    def _step(self) -> None:
        if self.response.done():
            return
        try:
            next(self.parser)
        except StopIteration as stop:
            response: Response = stop.value
            if 200 <= response.status_code < 300:  # noqa: PLR2004 - any success is one
                self.response.set_result(response)
            else:
                self.response.set_exception(InvalidProxyStatus(response))
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with it
            invalid = InvalidProxyMessage("did not receive a valid HTTP response from proxy")
            invalid.__cause__ = exc
            self.response.set_exception(invalid)


async def connect_http_proxy(
    proxy: Proxy, ws_uri: WebSocketURI, user_agent_header: str | None, kwargs: dict[str, Any]
) -> asyncio.Transport:
    """Answer a transport to the server. Raises OSError, ProxyError."""
    request = prepare_connect_request(proxy, ws_uri, user_agent_header)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(lambda: _Tunnel(request), proxy.host, proxy.port, **kwargs)
    try:
        await protocol.response
    except BaseException:
        transport.abort()
        raise
    return transport


async def connect_socks_proxy(proxy: Proxy, ws_uri: WebSocketURI, local_addr: Any = None) -> socket.socket:
    """Answer a socket to the server. Raises ImportError without `python-socks`, OSError, ProxyError."""
    try:
        from python_socks import ProxyType  # noqa: PLC0415 - installed by those who need it
        from python_socks.async_.asyncio import Proxy as SocksProxy  # noqa: PLC0415
    except ImportError:
        message = "connecting through a SOCKS proxy requires python-socks"
        raise ImportError(message) from None
    kind = ProxyType.SOCKS5 if proxy.scheme.startswith("socks5") else ProxyType.SOCKS4
    remote_names = proxy.scheme in ("socks5h", "socks4a")
    through = SocksProxy(kind, proxy.host, proxy.port, proxy.username, proxy.password, remote_names)
    try:
        sock: socket.socket = await through.connect(ws_uri.host, ws_uri.port, local_addr=local_addr)
    except OSError:
        raise
    except Exception as exc:
        message = "failed to connect to SOCKS proxy"
        raise ProxyError(message) from exc
    return sock
