"""Servers: `serve`, `unix_serve`, `Server`, `ServerConnection`, `basic_auth`, `broadcast`."""

from __future__ import annotations

import asyncio
import http
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from voxwire.compat.websockets.extensions.permessage_deflate import (
    enable_server_permessage_deflate,
)
from voxwire.compat.websockets.frames import CloseCode
from voxwire.compat.websockets.headers import validate_subprotocols
from voxwire.compat.websockets.http11 import SERVER, Request, Response
from voxwire.compat.websockets.protocol import CONNECTING, OPEN
from voxwire.compat.websockets.server import ServerProtocol
from voxwire.compat.websockets.utils import get_socket_name

from .auth import basic_auth
from .connection import Connection, broadcast

if TYPE_CHECKING:
    from voxwire.compat.websockets.extensions import ServerExtensionFactory
    from voxwire.compat.websockets.frames import Frame
    from voxwire.compat.websockets.typing import LoggerLike, Origin, PathLike, StatusLike, Subprotocol

    from .connection import Marks

__all__ = ["Server", "ServerConnection", "basic_auth", "broadcast", "serve", "unix_serve"]

FAILED = "Failed to open a WebSocket connection.\nSee server log for more information.\n"
"""What the peer reads when the application has failed."""


class ServerConnection(Connection):
    """The server's end of a connection."""

    def __init__(
        self,
        protocol: ServerProtocol,
        server: Server,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: Marks = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
    ) -> None:
        """Begin with a protocol; times in seconds, `max_queue` in frames, `write_limit` in bytes."""
        self.protocol: ServerProtocol
        super().__init__(
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )
        self.server = server
        self.username: str
        self.handler: Callable[[ServerConnection], Awaitable[None]]
        self.handler_kwargs: Mapping[str, Any]
        self.request_rcvd: asyncio.Future[None] = self.loop.create_future()

    def respond(self, status: StatusLike, text: str) -> Response:
        """Answer a response of plain text, for `process_request` and `process_response`."""
        return self.protocol.reject(status, text)

    async def handshake(
        self,
        process_request: Callable[[ServerConnection, Request], Awaitable[Response | None] | Response | None]
        | None = None,
        process_response: Callable[[ServerConnection, Request, Response], Awaitable[Response | None] | Response | None]
        | None = None,
        server_header: str | None = SERVER,
    ) -> None:
        """Wait for the request and answer it."""
        await asyncio.wait([self.request_rcvd, self.connection_lost_waiter], return_when=asyncio.FIRST_COMPLETED)
        request = self.request
        if request is None:
            return
        response = await self._ask("process_request", process_request, self, request)
        self.response = self.protocol.accept(request) if response is None else response
        if server_header is not None:
            self.response.headers["Server"] = server_header
        response = await self._ask("process_response", process_response, self, request, self.response)
        if response is not None:
            self.response = response
        # From here to the answer nothing is awaited, so that the server does not begin to close in between.
        if self.response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS and not self.server.is_serving():
            self.response = self.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "Server is shutting down.\n")
        if self.protocol._state is CONNECTING:
            await self._transmit(self.protocol.send_response, self.response, expected=CONNECTING)

    async def _ask(self, what: str, function: Callable[..., Any] | None, *args: object) -> Response | None:
        """Ask the application for a response; what it raises is answered with 500."""
        if function is None:
            return None
        try:
            response = function(*args)
            if isinstance(response, Awaitable):
                response = await response
        except Exception as exc:
            self.protocol.handshake_exc = exc
            self.logger.exception("%s failed", what)
            return self.respond(http.HTTPStatus.INTERNAL_SERVER_ERROR, FAILED)
        assert response is None or isinstance(response, Response)  # noqa: S101 - as the original
        return response

    def process_event(self, event: Request | Response | Frame) -> None:
        """Take the request; behind it, frames."""
        if self.request is None:
            assert isinstance(event, Request)  # noqa: S101 - the first event is the request
            self.request = event
            self.request_rcvd.set_result(None)
        else:
            super().process_event(event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to use a transport, and the task that handles the connection."""
        super().connection_made(transport)
        self.server.handler_tasks.add(self.loop.create_task(self.server.handler(self)))


class Server:
    """A server, as `serve` answers it: `async with serve(...) as server`, or `server = await serve(...)`."""

    def __init__(
        self,
        create_server: Callable[[], Coroutine[Any, Any, asyncio.Server]],
        handler: Callable[[ServerConnection], Coroutine[Any, Any, None]],
        logger: LoggerLike | None = None,
    ) -> None:
        """Begin; nothing listens yet."""
        self.create_server = create_server
        self.handler = handler
        self.logger: LoggerLike = logging.getLogger("websockets.server") if logger is None else logger
        self.all_connections: set[ServerConnection] = set()
        self.handler_tasks: set[asyncio.Task[None]] = set()
        self.close_task: asyncio.Task[None] | None = None
        self.server: asyncio.Server
        self._listening = False
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def connections(self) -> set[ServerConnection]:
        """The connections that are open."""
        return {connection for connection in self.all_connections if connection.protocol._state is OPEN}

    def close(
        self, close_connections: bool = True, code: CloseCode | int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """Stop listening, close the connections unless told otherwise, and end when their handlers have.

        Attempts to connect that are not answered yet get 503. A second call does nothing.
        """
        if self.close_task is None:
            self.close_task = self.get_loop().create_task(self._close(close_connections, code, reason))

    async def _close(self, close_connections: bool, code: CloseCode | int, reason: str) -> None:
        self.logger.info("server closing")
        self.server.close()
        closing = [
            asyncio.create_task(connection.close(code, reason))
            for connection in (self.connections if close_connections else ())
        ]
        if closing:
            await asyncio.wait(closing)
        await self.server.wait_closed()
        if self.handler_tasks:
            await asyncio.wait(self.handler_tasks)
        self._ended.set_result(None)
        self.logger.info("server closed")

    async def wait_closed(self) -> None:
        """Wait until the server is closed: no connection is left, and every handler has returned."""
        await asyncio.shield(self._ended)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Answer the loop that it runs on."""
        return self.server.get_loop()

    def is_serving(self) -> bool:
        """Say whether it accepts connections."""
        return self.server.is_serving()

    async def start_serving(self) -> None:
        """Accept connections, after `serve(..., start_serving=False)`."""
        await self.server.start_serving()

    async def serve_forever(self) -> None:
        """Accept connections until the server is closed; cancelled, it closes the server."""
        try:
            if not self.is_serving():
                await self.start_serving()
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The sockets it listens on."""
        return tuple(self.server.sockets)

    def __await__(self) -> Generator[Any, None, Self]:
        return self._listen().__await__()

    async def _listen(self) -> Self:
        if not self._listening:
            self._listening = True
            self.server = await self.create_server()
            if self.server.is_serving():
                for sock in self.server.sockets:
                    self.logger.info("server listening on %s", get_socket_name(sock))
        return self

    async def __aenter__(self) -> Self:
        return await self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        await self.wait_closed()


def serve(  # noqa: C901, PLR0915 - what it is made of, in one place
    handler: Callable[[ServerConnection], Awaitable[None]],
    host: str | None = None,
    port: int | None = None,
    *,
    origins: Sequence[Origin | re.Pattern[str] | None] | None = None,
    extensions: Sequence[ServerExtensionFactory] | None = None,
    subprotocols: Sequence[Subprotocol] | None = None,
    select_subprotocol: Callable[[ServerConnection, Sequence[Subprotocol]], Subprotocol | None] | None = None,
    compression: str | None = "deflate",
    process_request: Callable[[ServerConnection, Request], Awaitable[Response | None] | Response | None] | None = None,
    process_response: Callable[[ServerConnection, Request, Response], Awaitable[Response | None] | Response | None]
    | None = None,
    server_header: str | None = SERVER,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | tuple[int | None, int | None] | None = 2**20,
    max_queue: Marks = 16,
    write_limit: int | tuple[int, int | None] = 2**15,
    logger: LoggerLike | None = None,
    create_connection: Callable[..., ServerConnection] | None = None,
    **kwargs: Any,
) -> Server:
    """Serve WebSockets: `handler` is called with each connection, which is closed when it returns.

    The parameters are those of `websockets` 17.4; times in seconds, sizes in bytes, `max_queue` in frames. Further keyword
    arguments go to the loop's `create_server`: `ssl`, `sock`, `start_serving`, `reuse_port`, ... Raises TypeError, ValueError.
    """
    if subprotocols is not None:
        validate_subprotocols(subprotocols)
    if compression == "deflate":
        extensions = enable_server_permessage_deflate(extensions)
    elif compression is not None:
        message = f"unsupported compression: {compression}"
        raise ValueError(message)
    if kwargs.get("ssl") is not None:
        kwargs.setdefault("ssl_handshake_timeout", open_timeout)
        kwargs.setdefault("ssl_shutdown_timeout", close_timeout)
    make = ServerConnection if create_connection is None else create_connection

    async def create_server() -> asyncio.Server:
        loop = asyncio.get_running_loop()
        start = kwargs.pop("start_serving", True)
        if kwargs.pop("unix", False):
            listening = await loop.create_unix_server(factory, start_serving=False, **kwargs)
        else:
            listening = await loop.create_server(factory, host, cast("int", port), start_serving=False, **kwargs)
        if start:
            # Not by the loop's call: cancelled in there, it would leave a server behind that nobody has.
            try:
                await listening.start_serving()
            except BaseException:
                listening.close()
                raise
        return listening

    def factory() -> ServerConnection:
        def select(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
            assert select_subprotocol is not None  # noqa: S101 - for the type checker
            return select_subprotocol(connection, offered)

        protocol = ServerProtocol(
            origins=origins,
            extensions=extensions,
            subprotocols=subprotocols,
            select_subprotocol=None if select_subprotocol is None else select,
            max_size=max_size,
            logger=logger,
        )
        connection = make(
            protocol,
            server,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )
        return connection

    async def conduct(connection: ServerConnection) -> None:
        """Take a connection from its beginning to its end."""
        try:
            async with asyncio.timeout(open_timeout):
                await connection.handshake(process_request, process_response, server_header)
            if connection.protocol._state is not OPEN:
                connection.transport.abort()
                return
            server.all_connections.add(connection)
            connection.start_keepalive()
            try:
                async with connection:
                    await handler(connection)
            except Exception:
                connection.logger.exception("connection handler failed")
            finally:
                server.all_connections.discard(connection)
        except Exception:  # noqa: BLE001 - nobody would take it; the attempt has ended
            connection.transport.abort()
        finally:
            server.handler_tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    server = Server(create_server, conduct, logger)
    return server


def unix_serve(
    handler: Callable[[ServerConnection], Awaitable[None]], path: PathLike | None = None, **kwargs: Any
) -> Server:
    """Serve WebSockets on a Unix socket. Takes what `serve` takes, besides `host` and `port`."""
    return serve(handler, unix=True, path=path, **kwargs)
