"""Clients: `connect`, `unix_connect`, `ClientConnection`."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl as ssl_module
import traceback
import urllib.parse
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from voxwire.compat.websockets.client import ClientProtocol, backoff, process_exception
from voxwire.compat.websockets.datastructures import Headers
from voxwire.compat.websockets.exceptions import InvalidStatus, SecurityError
from voxwire.compat.websockets.extensions.permessage_deflate import (
    enable_client_permessage_deflate,
)
from voxwire.compat.websockets.headers import validate_subprotocols
from voxwire.compat.websockets.http11 import USER_AGENT, Request, Response
from voxwire.compat.websockets.protocol import CONNECTING
from voxwire.compat.websockets.proxy import Proxy, get_proxy, parse_proxy
from voxwire.compat.websockets.uri import WebSocketURI, parse_uri

from .connection import Connection
from .tunnel import connect_http_proxy, connect_socks_proxy

if TYPE_CHECKING:
    from voxwire.compat.websockets.datastructures import HeadersLike
    from voxwire.compat.websockets.extensions import ClientExtensionFactory
    from voxwire.compat.websockets.frames import Frame
    from voxwire.compat.websockets.typing import LoggerLike, Origin, PathLike, Subprotocol

    from .connection import Marks

__all__ = ["ClientConnection", "connect", "unix_connect"]

MAX_REDIRECTS = int(os.environ.get("WEBSOCKETS_MAX_REDIRECTS", "10"))

_REDIRECTS = (300, 301, 302, 303, 307, 308)
_SECRET = ("authorization", "cookie", "proxy-authorization")


class ClientConnection(Connection):
    """The client's end of a connection."""

    def __init__(
        self,
        protocol: ClientProtocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: Marks = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
    ) -> None:
        """Begin with a protocol; times in seconds, `max_queue` in frames, `write_limit` in bytes."""
        self.protocol: ClientProtocol
        super().__init__(
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )
        self.response_rcvd: asyncio.Future[None] = self.loop.create_future()

    async def handshake(
        self, additional_headers: HeadersLike | None = None, user_agent_header: str | None = USER_AGENT
    ) -> None:
        """Send the request and wait for the response. Raises what is wrong with it."""
        self.request = self.protocol.connect()
        if additional_headers is not None:
            self.request.headers.update(additional_headers)
        if user_agent_header is not None:
            self.request.headers.setdefault("User-Agent", user_agent_header)
        await self._transmit(self.protocol.send_request, self.request, expected=CONNECTING)
        await asyncio.wait([self.response_rcvd, self.connection_lost_waiter], return_when=asyncio.FIRST_COMPLETED)
        if self.protocol.handshake_exc is not None:
            raise self.protocol.handshake_exc

    def process_event(self, event: Request | Response | Frame) -> None:
        """Take the response; behind it, frames."""
        if self.response is None:
            assert isinstance(event, Response)  # noqa: S101 - the first event is the response
            self.response = event
            self.response_rcvd.set_result(None)
        else:
            super().process_event(event)


class connect:  # noqa: N801 - it is called like a function
    """Connect to a WebSocket server: `async with connect(uri) as connection`, `await connect(uri)`, or
    `async for connection in connect(uri)`, which connects again whenever a connection has ended.

    The parameters are those of `websockets` 17.4; times in seconds, sizes in bytes, `max_queue` in frames. Further keyword
    arguments go to the loop's `create_connection`: `ssl`, `server_hostname`, `sock`, `host`, `port`, `local_addr`, ...; with
    the prefix `proxy_` they are for the connection to an HTTPS proxy.

    Raises InvalidURI, InvalidProxy, OSError, InvalidHandshake and TimeoutError when a connection is made.
    """

    def __init__(
        self,
        uri: str,
        *,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        compression: str | None = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: str | Literal[True] | None = True,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Generator[float, None, None]] = backoff,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: Marks = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
        logger: LoggerLike | None = None,
        create_connection: type[ClientConnection] | None = None,
        **kwargs: Any,
    ) -> None:
        """Check and keep the parameters; nothing is connected yet."""
        self.uri = uri
        self.ws_uri = parse_uri(uri)
        if not self.ws_uri.secure and kwargs.get("ssl") is not None:
            message = "ssl argument is incompatible with a ws:// URI"
            raise ValueError(message)
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        if compression == "deflate":
            extensions = enable_client_permessage_deflate(extensions)
        elif compression is not None:
            message = f"unsupported compression: {compression}"
            raise ValueError(message)
        self.additional_headers = additional_headers
        self.user_agent_header = user_agent_header
        self.proxy = proxy
        self.process_exception = process_exception
        self.open_timeout = open_timeout
        self.reconnect_delays = reconnect_delays
        self.logger: LoggerLike = logging.getLogger("websockets.client") if logger is None else logger
        self.create_connection_kwargs = kwargs
        self.connection: ClientConnection | None = None
        make = ClientConnection if create_connection is None else create_connection

        def factory(uri: WebSocketURI) -> ClientConnection:
            protocol = ClientProtocol(
                uri,
                origin=origin,
                extensions=extensions,
                subprotocols=subprotocols,
                max_size=max_size,
                logger=self.logger,
            )
            return make(
                protocol,
                ping_interval=ping_interval,
                ping_timeout=ping_timeout,
                close_timeout=close_timeout,
                max_queue=max_queue,
                write_limit=write_limit,
            )

        self.factory = factory

    # await connect(...)

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self.connect().__await__()

    async def connect(self) -> ClientConnection:
        """Make a connection, along redirects."""
        try:
            async with asyncio.timeout(self.open_timeout):
                for _ in range(MAX_REDIRECTS):
                    connection = await self._attempt()
                    if connection is not None:
                        connection.start_keepalive()
                        return connection
                message = f"more than {MAX_REDIRECTS} redirects"
                raise SecurityError(message)
        except TimeoutError as exc:
            message = "timed out during opening handshake"
            raise TimeoutError(message) from exc

    async def _attempt(self) -> ClientConnection | None:
        """Make a connection; None for a redirect, which the next attempt follows."""
        connection = await self.open_tcp_connection()
        try:
            await connection.handshake(self.additional_headers, self.user_agent_header)
        except asyncio.CancelledError:
            connection.transport.abort()
            raise
        except Exception as exc:
            connection.transport.abort()
            answer = self.process_redirect(exc)
            if answer is exc:
                raise
            if isinstance(answer, Exception):
                raise answer from exc
            self.uri, self.ws_uri = answer, parse_uri(answer)
            return None
        return connection

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Answer the URI that a redirect leads to, or the exception to raise: `exc`, or why it is not followed."""
        location = redirected_to(exc)
        if location is None:
            return exc
        uri = urllib.parse.urljoin(self.uri, location)
        here, target, kwargs = self.ws_uri, parse_uri(uri), self.create_connection_kwargs
        if kwargs.get("sock") is not None:
            return ValueError(f"cannot follow redirect to {uri} with a preexisting socket")
        if here.secure and not target.secure:
            return SecurityError(f"cannot follow redirect to non-secure URI {uri}")
        if (here.secure, here.host, here.port) != (target.secure, target.host, target.port):
            if kwargs.get("unix", False):
                return ValueError(f"cannot follow cross-origin redirect to {uri} with a Unix socket")
            if kwargs.get("host") is not None or kwargs.get("port") is not None:
                return ValueError(f"cannot follow cross-origin redirect to {uri} with an explicit host or port")
            self.additional_headers = without_secrets(self.additional_headers)
        return uri

    async def open_tcp_connection(self) -> ClientConnection:
        """Connect to the server, or to what leads to it."""
        loop = asyncio.get_running_loop()
        kwargs = self.create_connection_kwargs.copy()
        unix = kwargs.pop("unix", False)
        proxy = None if unix or kwargs.get("sock") is not None else self.proxy
        if proxy is True:
            proxy = get_proxy(self.ws_uri)
        if self.ws_uri.secure:
            kwargs.setdefault("ssl", True)
            if kwargs["ssl"] is None:
                message = "ssl=None is incompatible with a wss:// URI"
                raise ValueError(message)
            kwargs.setdefault("server_hostname", self.ws_uri.host)

        def factory() -> ClientConnection:
            return self.factory(self.ws_uri)

        if unix:
            return (await loop.create_unix_connection(factory, **kwargs))[1]
        if proxy is not None:
            return await self._open_through(parse_proxy(str(proxy)), factory, kwargs)
        if kwargs.get("sock") is None:
            kwargs.setdefault("host", self.ws_uri.host)
            kwargs.setdefault("port", self.ws_uri.port)
        return (await loop.create_connection(factory, **kwargs))[1]

    async def _open_through(
        self, proxy: Proxy, factory: Callable[[], ClientConnection], kwargs: dict[str, Any]
    ) -> ClientConnection:
        loop = asyncio.get_running_loop()
        if proxy.scheme.startswith("socks"):
            sock = await connect_socks_proxy(proxy, self.ws_uri, local_addr=kwargs.pop("local_addr", None))
            return (await loop.create_connection(factory, sock=sock, **kwargs))[1]
        ours = {name: value for name, value in kwargs.items() if name.startswith("ssl") or name == "server_hostname"}
        its = {name.removeprefix("proxy_"): value for name, value in kwargs.items() if name not in ours}
        if proxy.scheme == "https":
            its.setdefault("ssl", True)
            if its["ssl"] is None:
                message = "proxy_ssl=None is incompatible with an https:// proxy"
                raise ValueError(message)
        elif its.get("ssl") is not None:
            message = "proxy_ssl argument is incompatible with an http:// proxy"
            raise ValueError(message)
        transport = await connect_http_proxy(proxy, self.ws_uri, self.user_agent_header, its)
        connection = factory()
        transport.set_protocol(connection)
        context = ours.pop("ssl", None)
        if context is not None:
            context = ssl_module.create_default_context() if context is True else context
            secured = await loop.start_tls(transport, connection, context, **ours)
            assert secured is not None  # noqa: S101 - for the type checker
            transport = secured
        connection.connection_made(transport)
        return connection

    # async with connect(...) as connection

    async def __aenter__(self) -> ClientConnection:
        if self.connection is not None:
            message = "connect() isn't reentrant"
            raise RuntimeError(message)
        self.connection = await self
        return await self.connection.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self.connection is not None  # noqa: S101 - entered
        try:
            await self.connection.__aexit__(exc_type, exc_value, traceback)
        finally:
            self.connection = None

    # async for connection in connect(...)

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        """Yield a connection, and another one when it has ended, for ever."""
        delays: Generator[float, None, None] | None = None
        while True:
            try:
                async with self as connection:
                    yield connection
            except Exception as exc:
                try:
                    fatal = self.process_exception(exc)
                except Exception as raised:  # noqa: BLE001 - as if it had been answered
                    fatal = raised
                if fatal is exc:
                    raise
                if fatal is not None:
                    raise fatal from exc
                if delays is None:
                    delays = self.reconnect_delays()
                delay = next(delays)
                words = traceback.format_exception_only(exc)[0].strip()
                self.logger.info("connect failed; reconnecting in %.1f seconds: %s", delay, words)
                await asyncio.sleep(delay)
            else:
                delays = None


def redirected_to(exc: Exception) -> str | None:
    """Answer where a refusal leads to, if it is a redirect."""
    if not isinstance(exc, InvalidStatus) or exc.response.status_code not in _REDIRECTS:
        return None
    return exc.response.headers.get("Location")


def without_secrets(headers: HeadersLike | None) -> HeadersLike | None:
    """Answer the headers that another server than the first may have."""
    if headers is None:
        return None
    return Headers([item for item in Headers(headers).raw_items() if item[0].lower() not in _SECRET])


def unix_connect(path: PathLike | None = None, uri: str | None = None, **kwargs: Any) -> connect:
    """Connect to a server that listens on a Unix socket; the URI is for the handshake. Takes what `connect` takes."""
    if uri is None:
        uri = "ws://localhost/" if kwargs.get("ssl") is None else "wss://localhost/"
    return connect(uri=uri, unix=True, path=path, **kwargs)
