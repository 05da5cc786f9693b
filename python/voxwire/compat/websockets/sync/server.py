"""Servers: `serve`, `unix_serve`, `Server`, `ServerConnection`, `basic_auth`, `broadcast`. Each connection has a thread."""

from __future__ import annotations

import concurrent.futures
import http
import logging
import os
import re
import selectors
import socket
import ssl as ssl_module
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from voxwire.compat.websockets.asyncio.server import FAILED
from voxwire.compat.websockets.exceptions import ConcurrencyError
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
from .client import renamed_ssl
from .connection import Connection
from .utils import Deadline

if TYPE_CHECKING:
    from voxwire.compat.websockets.asyncio.connection import Marks
    from voxwire.compat.websockets.extensions import ServerExtensionFactory
    from voxwire.compat.websockets.frames import Frame
    from voxwire.compat.websockets.typing import DataLike, LoggerLike, Origin, PathLike, StatusLike, Subprotocol

__all__ = ["Server", "ServerConnection", "basic_auth", "broadcast", "serve", "unix_serve"]

_ACCEPT_AGAIN = 0.1
"""Seconds before a server accepts again when it could not, for want of files."""


class ServerConnection(Connection):
    """The server's end of a connection."""

    protocol: ServerProtocol

    def __init__(
        self,
        sock: socket.socket,
        protocol: ServerProtocol,
        server: Server,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: Marks = 16,
    ) -> None:
        """Begin to read from a socket; times in seconds, `max_queue` in frames."""
        self.server = server
        self.username: str
        self.handler: Callable[[ServerConnection], None]
        self.handler_kwargs: Mapping[str, Any]
        super().__init__(
            sock,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )

    def respond(self, status: StatusLike, text: str) -> Response:
        """Answer a response of plain text, for `process_request` and `process_response`."""
        return self.protocol.reject(status, text)

    def handshake(
        self,
        process_request: Callable[[ServerConnection, Request], Response | None] | None = None,
        process_response: Callable[[ServerConnection, Request, Response], Response | None] | None = None,
        server_header: str | None = SERVER,
        timeout: float | None = None,
    ) -> None:
        """Wait for the request, `timeout` seconds at most, and answer it. Raises TimeoutError."""
        if not self._opened.wait(timeout):
            message = "timed out while waiting for handshake request"
            raise TimeoutError(message)
        request = self.request
        if request is None:
            return
        response = self._ask("process_request", process_request, self, request)
        self.response = self.protocol.accept(request) if response is None else response
        if server_header is not None:
            self.response.headers["Server"] = server_header
        response = self._ask("process_response", process_response, self, request, self.response)
        if response is not None:
            self.response = response
        # A server that begins to close after this finds the connection open, and closes it.
        if self.response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS and self.server._closing:
            self.response = self.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "Server is shutting down.\n")
        if self.protocol._state is CONNECTING:
            self._transmit(self.protocol.send_response, self.response, expected=CONNECTING)

    def _ask(self, what: str, function: Callable[..., Response | None] | None, *args: object) -> Response | None:
        """Ask the application for a response; what it raises is answered with 500."""
        if function is None:
            return None
        try:
            return function(*args)
        except Exception as exc:
            self.protocol.handshake_exc = exc
            self.logger.exception("%s failed", what)
            return self.respond(http.HTTPStatus.INTERNAL_SERVER_ERROR, FAILED)

    def process_event(self, event: Request | Response | Frame) -> None:
        """Take the request; behind it, frames."""
        if self.request is None:
            assert isinstance(event, Request)  # noqa: S101 - the first event is the request
            self.request = event
            self._opened.set()
        else:
            super().process_event(event)


class Server:
    """A server, as `serve` answers it: `with serve(...) as server: server.serve_forever()`."""

    def __init__(
        self, sock: socket.socket, handler: Callable[[socket.socket, Any], None], logger: LoggerLike | None = None
    ) -> None:
        """Begin with a socket that listens; nothing is accepted yet."""
        self.socket = sock
        self.handler = handler
        self.logger: LoggerLike = logging.getLogger("websockets.server") if logger is None else logger
        self.all_connections: set[ServerConnection] = set()
        self.handler_threads: set[threading.Thread] = set()
        self.lock = threading.Lock()
        self._changed = threading.Condition(self.lock)  # a connection opened, or a handler ended
        self._closing = False
        self._accepting = False
        self._watched, self._notifier = socket.socketpair()  # wakes serve_forever()

    @property
    def connections(self) -> set[ServerConnection]:
        """The connections that are open."""
        with self.lock:
            return self._open_connections()

    def _open_connections(self) -> set[ServerConnection]:
        return {connection for connection in self.all_connections if connection.protocol._state is OPEN}

    def fileno(self) -> int:
        """Answer the number of the file of the socket it listens on."""
        return self.socket.fileno()

    def serve_forever(self) -> None:
        """Accept connections until `shutdown` is called in another thread."""
        with self.lock:
            if self._closing:
                return
            self._accepting = True
        try:
            with selectors.DefaultSelector() as poll:
                poll.register(self._watched, selectors.EVENT_READ)
                try:
                    name = get_socket_name(self.socket)
                    poll.register(self.socket, selectors.EVENT_READ)
                except (OSError, ValueError):  # it was closed before we came here
                    return
                self.logger.info("server listening on %s", name)
                self._accept(poll)
        finally:
            with self._changed:
                self._accepting = False
                self._changed.notify_all()

    def _accept(self, poll: selectors.BaseSelector) -> None:
        while self._watched not in [key.fileobj for key, _ in poll.select()]:
            try:
                sock, address = self.socket.accept()
            except OSError:
                if self._closing or self.socket.fileno() == -1:
                    return
                # The peer was gone already, or there are no files left: neither ends the server.
                self.logger.exception("accepting a connection failed")
                with self._changed:
                    self._changed.wait(_ACCEPT_AGAIN)
                continue
            thread = threading.Thread(target=self._handle, args=(sock, address))
            with self.lock:
                self.handler_threads.add(thread)
            thread.start()

    def _handle(self, sock: socket.socket, address: Any) -> None:
        try:
            self.handler(sock, address)
        finally:
            with self._changed:
                self.handler_threads.discard(threading.current_thread())
                self._changed.notify_all()

    def shutdown(
        self, close_connections: bool = True, code: CloseCode | int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """Stop listening, close the connections unless told otherwise, and return when their handlers have.

        Attempts to connect that are not answered yet get 503. A second call waits, too. Raises RuntimeError in a
        connection's handler, for whose end it would wait.
        """
        self.logger.info("server closing")
        with self.lock:
            self._closing = True
        self.socket.close()
        self._notifier.close()  # which the watcher can read
        with self._changed:
            self._changed.wait_for(lambda: not self._accepting)
        self._watched.close()
        while True:
            with self._changed:
                if not self.handler_threads:
                    break
                if threading.current_thread() in self.handler_threads:
                    message = "shutdown() waits for all handlers to end, and cannot be called in one"
                    raise RuntimeError(message)
                closing = self._open_connections() if close_connections else set()
                if not closing:
                    self._changed.wait()
                    continue
            with concurrent.futures.ThreadPoolExecutor(len(closing)) as executor:
                for connection in closing:
                    executor.submit(connection.close, code, reason)
        self.logger.info("server closed")

    def _opened(self, connection: ServerConnection) -> None:
        with self._changed:
            self.all_connections.add(connection)
            self._changed.notify_all()

    def _ended(self, connection: ServerConnection) -> None:
        with self._changed:
            self.all_connections.discard(connection)
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()


def serve(  # noqa: C901 - what it is made of, in one place
    handler: Callable[[ServerConnection], None],
    host: str | None = None,
    port: int | None = None,
    *,
    sock: socket.socket | None = None,
    ssl: ssl_module.SSLContext | None = None,
    origins: Sequence[Origin | re.Pattern[str] | None] | None = None,
    extensions: Sequence[ServerExtensionFactory] | None = None,
    subprotocols: Sequence[Subprotocol] | None = None,
    select_subprotocol: Callable[[ServerConnection, Sequence[Subprotocol]], Subprotocol | None] | None = None,
    compression: str | None = "deflate",
    process_request: Callable[[ServerConnection, Request], Response | None] | None = None,
    process_response: Callable[[ServerConnection, Request, Response], Response | None] | None = None,
    server_header: str | None = SERVER,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | tuple[int | None, int | None] | None = 2**20,
    max_queue: Marks = 16,
    logger: LoggerLike | None = None,
    create_connection: Callable[..., ServerConnection] | None = None,
    **kwargs: Any,
) -> Server:
    """Serve WebSockets: `handler` is called with each connection, in its thread; the connection is closed when it returns.

    The parameters are those of `websockets` 17.4; times in seconds, sizes in bytes, `max_queue` in frames. Further keyword
    arguments go to `socket.create_server`: `backlog`, `reuse_port`, ... Raises OSError, TypeError, ValueError.
    """
    ssl = renamed_ssl(ssl, kwargs)
    if subprotocols is not None:
        validate_subprotocols(subprotocols)
    if compression == "deflate":
        extensions = enable_server_permessage_deflate(extensions)
    elif compression is not None:
        message = f"unsupported compression: {compression}"
        raise ValueError(message)
    make = ServerConnection if create_connection is None else create_connection
    listener = _listen(host, port, sock, kwargs)
    if ssl is not None:
        # The handshake of each connection is made in its thread, and in time.
        listener = ssl.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)

    def connected(sock: socket.socket, deadline: Deadline) -> ServerConnection:
        _prepare(sock, deadline)

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
            sock,
            protocol,
            server,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )
        return connection

    def conduct(sock: socket.socket, _address: Any) -> None:
        """Take a connection from its beginning to its end."""
        deadline = Deadline(open_timeout)
        try:
            connection = connected(sock, deadline)
        except Exception:  # noqa: BLE001 - nobody would take it; the attempt has ended
            sock.close()
            return
        try:
            connection.handshake(process_request, process_response, server_header, deadline.timeout())
            if connection.protocol._state is not OPEN:
                return
            server._opened(connection)
            connection.start_keepalive()
            try:
                with connection:
                    handler(connection)
            except Exception:
                connection.logger.exception("connection handler failed")
            finally:
                server._ended(connection)
        except Exception:  # noqa: BLE001, S110 - nobody would take it; the attempt has ended
            pass
        finally:
            connection.close_socket()

    server = Server(listener, conduct, logger)
    return server


def unix_serve(handler: Callable[[ServerConnection], None], path: PathLike | None = None, **kwargs: Any) -> Server:
    """Serve WebSockets on a Unix socket. Takes what `serve` takes, besides `host` and `port`."""
    return serve(handler, unix=True, path=path, **kwargs)


def _prepare(sock: socket.socket, deadline: Deadline) -> None:
    """Make an accepted socket ready for the request. Raises OSError, TimeoutError."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    if isinstance(sock, ssl_module.SSLSocket):
        sock.settimeout(deadline.timeout())
        sock.do_handshake()
        sock.settimeout(None)


def _listen(host: str | None, port: int | None, sock: socket.socket | None, kwargs: dict[str, Any]) -> socket.socket:
    """Answer the socket to listen on. Raises OSError, ValueError."""
    unix, path = kwargs.pop("unix", False), kwargs.pop("path", None)
    if sock is not None:
        for name, value in (("host", host), ("port", port), ("path", path)):
            if value is not None:
                message = f"{name} is incompatible with sock"
                raise ValueError(message)
        return sock
    if not unix:
        return socket.create_server(cast("Any", (host, port)), **kwargs)
    if path is None:
        message = "missing path argument"
        raise ValueError(message)
    kwargs.setdefault("family", socket.AF_UNIX)
    return socket.create_server(cast("Any", os.fspath(path)), **kwargs)


def broadcast(
    connections: Iterable[Connection],
    message: DataLike,
    *,
    raise_exceptions: bool = False,
    text: bool | None = None,
    **kwargs: Any,
) -> None:
    """Send a message to all connections that are open, in the threads of a `ThreadPoolExecutor(**kwargs)`.

    What fails for one is logged, or with `raise_exceptions` raised in an ExceptionGroup when all others have it. Raises
    TypeError for what is neither str nor bytes.
    """
    if not isinstance(message, (str, bytes, bytearray, memoryview)):
        what = "data must be str or bytes"
        raise TypeError(what)
    as_text = isinstance(message, str) if text is None else text
    payload = message.encode() if isinstance(message, str) else message
    failures: list[Exception] = []

    def send(connection: Connection) -> None:
        with connection.protocol_mutex:
            if connection.protocol._state is not OPEN:
                return
            if connection.send_in_progress:
                if raise_exceptions:
                    failures.append(ConcurrencyError("sending a fragmented message"))
                else:
                    connection.logger.warning("skipped broadcast: sending a fragmented message")
                return
            try:
                (connection.protocol.send_text if as_text else connection.protocol.send_binary)(payload)
                connection.send_data()
            except Exception as exc:  # noqa: BLE001 - the others shall have the message
                if raise_exceptions:
                    failure = RuntimeError("failed to write message")
                    failure.__cause__ = exc
                    failures.append(failure)
                else:
                    words = traceback.format_exception_only(exc)[0].strip()
                    connection.logger.warning("skipped broadcast: failed to write message: %s", words)

    with concurrent.futures.ThreadPoolExecutor(**kwargs) as executor:
        list(executor.map(send, connections))
    if failures:
        what = "skipped broadcast"
        raise ExceptionGroup(what, failures)


def __getattr__(name: str) -> Any:
    """Answer `Server` by its former name. Raises AttributeError for others."""
    if name == "WebSocketServer":
        warnings.warn("WebSocketServer was renamed to Server", DeprecationWarning, stacklevel=2)
        return Server
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
