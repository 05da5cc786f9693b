"""Clients: `connect`, `reconnect`, the same for Unix sockets, `ClientConnection`."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import ssl as ssl_module
import time
import traceback
import urllib.parse
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

from voxwire.compat.websockets.asyncio.client import MAX_REDIRECTS, redirected_to, without_secrets
from voxwire.compat.websockets.client import ClientProtocol, backoff, process_exception
from voxwire.compat.websockets.exceptions import SecurityError
from voxwire.compat.websockets.extensions.permessage_deflate import (
    enable_client_permessage_deflate,
)
from voxwire.compat.websockets.headers import validate_subprotocols
from voxwire.compat.websockets.http11 import USER_AGENT, Request, Response
from voxwire.compat.websockets.protocol import CONNECTING
from voxwire.compat.websockets.proxy import get_proxy, parse_proxy
from voxwire.compat.websockets.uri import parse_uri

from .connection import Connection
from .tls import TLSInTLS
from .tunnel import connect_http_proxy, connect_socks_proxy
from .utils import Deadline

if TYPE_CHECKING:
    from voxwire.compat.websockets.asyncio.connection import Marks
    from voxwire.compat.websockets.datastructures import HeadersLike
    from voxwire.compat.websockets.extensions import ClientExtensionFactory
    from voxwire.compat.websockets.frames import Frame
    from voxwire.compat.websockets.typing import LoggerLike, Origin, PathLike, Subprotocol

__all__ = ["ClientConnection", "connect", "reconnect", "unix_connect", "unix_reconnect"]


class ClientConnection(Connection):
    """The client's end of a connection."""

    protocol: ClientProtocol

    def __init__(
        self,
        sock: socket.socket,
        protocol: ClientProtocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: Marks = 16,
    ) -> None:
        """Begin to read from a socket; times in seconds, `max_queue` in frames."""
        self._warns = True
        super().__init__(
            sock,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )

    def __enter__(self) -> Self:
        self._warns = False
        return super().__enter__()

    def maybe_raise_legacy_warning(self) -> None:
        """Warn once if the connection is not used in `with`."""
        if self._warns:
            self._warns = False
            message = (
                "connect() must be used as a context manager: with connect(...) as websocket: ...; alternatively, use "
                "websocket = connect(..., legacy=True) to connect directly"
            )
            warnings.warn(message, DeprecationWarning, stacklevel=3)

    def handshake(
        self,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        timeout: float | None = None,
    ) -> None:
        """Send the request and wait for the response, `timeout` seconds at most. Raises what is wrong with it."""
        self.request = self.protocol.connect()
        if additional_headers is not None:
            self.request.headers.update(additional_headers)
        if user_agent_header is not None:
            self.request.headers.setdefault("User-Agent", user_agent_header)
        self._transmit(self.protocol.send_request, self.request, expected=CONNECTING)
        if not self._opened.wait(timeout):
            message = "timed out while waiting for handshake response"
            raise TimeoutError(message)
        if self.protocol.handshake_exc is not None:
            raise self.protocol.handshake_exc

    def process_event(self, event: Request | Response | Frame) -> None:
        """Take the response; behind it, frames."""
        if self.response is None:
            assert isinstance(event, Response)  # noqa: S101 - the first event is the response
            self.response = event
            self._opened.set()
        else:
            super().process_event(event)


class reconnect:  # noqa: N801 - it is called like a function
    """Connect to a WebSocket server: `with reconnect(uri) as connection`, or `for connection in reconnect(uri)`, which
    connects again whenever a connection has ended.

    The parameters are those of `websockets` 17.4; times in seconds, sizes in bytes, `max_queue` in frames. Further keyword
    arguments go to `socket.create_connection`: `address`, `source_address`, ...

    Raises InvalidURI, InvalidProxy, OSError, InvalidHandshake and TimeoutError when a connection is made.
    """

    def __init__(
        self,
        uri: str,
        *,
        sock: socket.socket | None = None,
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        compression: str | None = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: str | Literal[True] | None = True,
        proxy_ssl: ssl_module.SSLContext | None = None,
        proxy_server_hostname: str | None = None,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Generator[float, None, None]] = backoff,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: Marks = 16,
        logger: LoggerLike | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        **kwargs: Any,
    ) -> None:
        """Check and keep the parameters; nothing is connected yet."""
        ssl = renamed_ssl(ssl, kwargs)
        self.uri = uri
        self.ws_uri = parse_uri(uri)
        if not self.ws_uri.secure and ssl is not None:
            message = "ssl argument is incompatible with a ws:// URI"
            raise ValueError(message)
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        if compression == "deflate":
            extensions = enable_client_permessage_deflate(extensions)
        elif compression is not None:
            message = f"unsupported compression: {compression}"
            raise ValueError(message)
        self.sock = sock
        self.ssl = ssl
        self.server_hostname = server_hostname
        self.additional_headers = additional_headers
        self.user_agent_header = user_agent_header
        self.proxy = proxy
        self.proxy_ssl = proxy_ssl
        self.proxy_server_hostname = proxy_server_hostname
        self.process_exception = process_exception
        self.open_timeout = open_timeout
        self.reconnect_delays = reconnect_delays
        self.logger: LoggerLike = logging.getLogger("websockets.client") if logger is None else logger
        self.open_socket_kwargs = kwargs
        self.connection: ClientConnection | None = None
        make = ClientConnection if create_connection is None else create_connection

        def factory(sock: socket.socket) -> ClientConnection:
            protocol = ClientProtocol(
                self.ws_uri,
                origin=origin,
                extensions=extensions,
                subprotocols=subprotocols,
                max_size=max_size,
                logger=self.logger,
            )
            return make(
                sock,
                protocol,
                ping_interval=ping_interval,
                ping_timeout=ping_timeout,
                close_timeout=close_timeout,
                max_queue=max_queue,
            )

        self._factory = factory

    def connect(self) -> ClientConnection:
        """Make a connection, along redirects."""
        deadline = Deadline(self.open_timeout)
        for _ in range(MAX_REDIRECTS):
            try:
                connection = self.open_connection(deadline)
            except Exception as exc:
                answer = self.process_redirect(exc)
                if answer is exc:
                    raise
                if isinstance(answer, Exception):
                    raise answer from exc
                self.uri, self.ws_uri = answer, parse_uri(answer)
            else:
                connection.start_keepalive()
                return connection
        message = f"more than {MAX_REDIRECTS} redirects"
        raise SecurityError(message)

    def open_connection(self, deadline: Deadline) -> ClientConnection:
        """Make a connection. Raises why there is none; its socket is closed then."""
        sock = self.open_socket(deadline) if self.sock is None else self.sock
        try:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            if self.ws_uri.secure:
                sock = self.enable_tls(sock, deadline)
            connection = self._factory(sock)
        except BaseException:
            sock.close()
            raise
        try:
            connection.handshake(self.additional_headers, self.user_agent_header, deadline.timeout())
        except BaseException:
            connection.close_socket()
            connection.wait_closed()
            raise
        return connection

    def open_socket(self, deadline: Deadline) -> socket.socket:
        """Connect to the server, or to what leads to it."""
        kwargs = self.open_socket_kwargs.copy()
        if kwargs.pop("unix", False):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.settimeout(deadline.timeout())
                sock.connect(os.fspath(kwargs.pop("path")))
            except BaseException:
                sock.close()
                raise
        elif (proxy := get_proxy(self.ws_uri) if self.proxy is True else self.proxy) is not None:
            sock = self._open_through(str(proxy), kwargs, deadline)
        else:
            kwargs.setdefault("address", (self.ws_uri.host, self.ws_uri.port))
            kwargs.setdefault("timeout", deadline.timeout())
            sock = socket.create_connection(**kwargs)
        sock.settimeout(None)
        return sock

    def _open_through(self, address: str, kwargs: dict[str, Any], deadline: Deadline) -> socket.socket:
        proxy = parse_proxy(address)
        if proxy.scheme.startswith("socks"):
            return connect_socks_proxy(proxy, self.ws_uri, deadline, local_addr=kwargs.get("source_address"))
        if proxy.scheme != "https" and self.proxy_ssl is not None:
            message = "proxy_ssl argument is incompatible with an http:// proxy"
            raise ValueError(message)
        return connect_http_proxy(
            proxy,
            self.ws_uri,
            deadline,
            user_agent_header=self.user_agent_header,
            ssl=self.proxy_ssl,
            server_hostname=self.proxy_server_hostname,
            **kwargs,
        )

    def enable_tls(self, sock: socket.socket, deadline: Deadline) -> socket.socket:
        """Do TLS with the server."""
        context = ssl_module.create_default_context() if self.ssl is None else self.ssl
        server_hostname = self.ws_uri.host if self.server_hostname is None else self.server_hostname
        sock.settimeout(deadline.timeout())
        if isinstance(sock, ssl_module.SSLSocket):  # with an HTTPS proxy
            sock = cast("socket.socket", TLSInTLS(sock, context, server_hostname))
        else:
            sock = context.wrap_socket(sock, server_hostname=server_hostname)
        sock.settimeout(None)
        return sock

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Answer the URI that a redirect leads to, or the exception to raise: `exc`, or why it is not followed."""
        location = redirected_to(exc)
        if location is None:
            return exc
        uri = urllib.parse.urljoin(self.uri, location)
        here, target = self.ws_uri, parse_uri(uri)
        if self.sock is not None:
            return ValueError(f"cannot follow redirect to {uri} with a preexisting socket")
        if here.secure and not target.secure:
            return SecurityError(f"cannot follow redirect to non-secure URI {uri}")
        if (here.secure, here.host, here.port) != (target.secure, target.host, target.port):
            if self.open_socket_kwargs.get("unix", False):
                return ValueError(f"cannot follow cross-origin redirect to {uri} with a Unix socket")
            if self.open_socket_kwargs.get("address") is not None:
                return ValueError(f"cannot follow cross-origin redirect to {uri} with an explicit host and port")
            self.additional_headers = without_secrets(self.additional_headers)
        return uri

    # with reconnect(...) as connection

    def __enter__(self) -> ClientConnection:
        if self.connection is not None:
            message = "connect() isn't reentrant"
            raise RuntimeError(message)
        self.connection = self.connect()
        return self.connection.__enter__()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self.connection is not None  # noqa: S101 - entered
        try:
            self.connection.__exit__(exc_type, exc_value, traceback)
        finally:
            self.connection = None

    # for connection in reconnect(...)

    def __iter__(self) -> Iterator[ClientConnection]:
        """Yield a connection, and another one when it has ended, for ever."""
        delays: Generator[float, None, None] | None = None
        while True:
            try:
                with self as connection:
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
                time.sleep(delay)
            else:
                delays = None


@overload
def connect(uri: str, *, legacy: Literal[True] | None = ..., **kwargs: Any) -> ClientConnection: ...


@overload
def connect(uri: str, *, legacy: Literal[False], **kwargs: Any) -> reconnect: ...


def connect(uri: str, *, legacy: bool | None = None, **kwargs: Any) -> ClientConnection | reconnect:
    """Make a connection to a WebSocket server, to be used in `with`.

    Takes what `reconnect` takes. A connection that is used without `with` warns once, unless `legacy` is True; with False,
    this is `reconnect`.
    """
    return _made(reconnect(uri, **kwargs), legacy)


def _describe_connect() -> None:
    """Let `inspect.signature(connect)` and editors know the parameters, which stand in `reconnect`."""
    first, *others = inspect.signature(reconnect).parameters.values()
    mine = inspect.signature(connect).parameters["legacy"]
    others = [each for each in others if each.name not in ("process_exception", "reconnect_delays")]
    parameters = [first, *others[:-1], mine, others[-1]]
    connect.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]


_describe_connect()


def unix_reconnect(path: PathLike | None = None, uri: str | None = None, **kwargs: Any) -> reconnect:
    """Do what `reconnect` does on a Unix socket; the URI is for the handshake. Raises ValueError without a path."""
    if path is None and kwargs.get("sock") is None:
        message = "missing path argument"
        raise ValueError(message)
    if path is not None and kwargs.get("sock") is not None:
        message = "path is incompatible with sock"
        raise ValueError(message)
    if uri is None:
        secure = kwargs.get("ssl") is not None or kwargs.get("ssl_context") is not None
        uri = "wss://localhost/" if secure else "ws://localhost/"
    return reconnect(uri=uri, unix=True, path=path, **kwargs)


@overload
def unix_connect(
    path: PathLike | None = ..., uri: str | None = ..., *, legacy: Literal[True] | None = ..., **kwargs: Any
) -> ClientConnection: ...


@overload
def unix_connect(
    path: PathLike | None = ..., uri: str | None = ..., *, legacy: Literal[False], **kwargs: Any
) -> reconnect: ...


def unix_connect(
    path: PathLike | None = None, uri: str | None = None, *, legacy: bool | None = None, **kwargs: Any
) -> ClientConnection | reconnect:
    """Do what `connect` does on a Unix socket; the URI is for the handshake. Raises ValueError without a path."""
    return _made(unix_reconnect(path, uri, **kwargs), legacy)


def _made(connecter: reconnect, legacy: bool | None) -> ClientConnection | reconnect:
    if legacy is False:
        return connecter
    connection = connecter.connect()
    if legacy:
        connection._warns = False
    return connection


def renamed_ssl(ssl: ssl_module.SSLContext | None, kwargs: dict[str, Any]) -> ssl_module.SSLContext | None:
    """Answer the context, which was called `ssl_context` once."""
    if ssl is not None or "ssl_context" not in kwargs:
        return ssl
    warnings.warn("ssl_context was renamed to ssl", DeprecationWarning, stacklevel=3)
    context: ssl_module.SSLContext | None = kwargs.pop("ssl_context")
    return context
