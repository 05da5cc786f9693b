"""`VoxEngine`: where scenarios make connections and hear of incoming ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Unpack

from . import _core, routes
from .enums import AppEvents
from .listen import place, unix_name
from .server import WebSocketServer
from .statistics import ProcessStatistics
from .target import EventTarget
from .websocket import WebSocket

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from enum import StrEnum
    from os import PathLike

    from .events import NewWebSocketEvent, NewWebSocketFailedEvent
    from .gate import Origins, ProcessRequest
    from .parameters import WebSocketParameters
    from .routes import RouteStatus
    from .tls import ServerTLSOptions


class Engine(EventTarget):
    """Makes WebSockets and accepts them: `AppEvents.WebSocket` handlers get each incoming one.

    `VoxEngine` is the one that is there already. Make another to keep the handlers of several servers apart.
    """

    _names: ClassVar[type[StrEnum]] = AppEvents
    _role: ClassVar[str] = "engine"
    _fresh_context: ClassVar[bool] = True  # servers in several threads may call one handler at the same time

    def __init__(self) -> None:
        """Begin without handlers."""
        super().__init__()
        routes.listen(self)

    def createWebSocket(
        self, url: str, parameters: WebSocketParameters | None = None, **options: Unpack[WebSocketParameters]
    ) -> WebSocket:
        """Open a connection: the same as `WebSocket(url, parameters)`."""
        return WebSocket(url, parameters, **options)

    def allowWebSocketConnections(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        reuse_port: bool = False,
        unix_path: str | PathLike[str] | None = None,
        unix_mode: int | None = None,
        sock: socket.socket | None = None,
        tls: ServerTLSOptions | None = None,
        protocols: str | Sequence[str] = ("chat",),
        origins: Origins | None = None,
        process_request: ProcessRequest | None = None,
        max_connections: int = 1000,
        max_line: int = 8192,
        max_headers: int = 128,
        max_head: int = 65536,
        parameters: WebSocketParameters | None = None,
    ) -> WebSocketServer:
        """Listen for connections, at once, on `host` (127.0.0.1) and `port` (default and 0: the system chooses,
        `server.port`).

        For each connection AppEvents.WebSocket fires, then CREATED and OPEN on its `event.websocket`. Over
        `max_connections` it is refused with 503 and AppEvents.NewWebSocketFailed fires. Without any AppEvents.WebSocket
        handler it is closed with 1011. `parameters` are those of the incoming WebSockets.

        Instead of host and port: `unix_path`, a Unix socket with the permissions `unix_mode` (None: what the umask leaves),
        where the socket of a dead server is replaced; its file is removed at the close. Or `sock`, a bound or listening
        stream socket, which belongs to the server from then on: the object is closed. With `reuse_port` several servers
        share a port.

        `origins` are the values of the Origin header that may connect (RFC 6455 section 10.2): strings like
        "https://example.com", compiled patterns that match all of it, None for no such header; the default lets everybody
        in. Others get a 403. `process_request`, a function or an `async def`, is asked about each request whose origin is
        right, and about plain GET and HEAD requests; it answers None (go on), `HTTPResponse` or `Accept`. It has until
        `handshake_timeout`, then the request is answered with 503, and with 500 when it raises.

        A request may have `max_headers` headers and `max_head` bytes, `max_line` in a line; else it gets 431 (414 for the
        first line).

        Raises OSError when the address cannot be bound, InvalidParameter, TypeError, InvalidState (no running loop).
        """
        where = place(host, port, reuse_port=reuse_port, unix_path=unix_path, unix_mode=unix_mode, sock=sock)
        path = where[0] if isinstance(where, tuple) and unix_path is not None else None
        server = WebSocketServer(
            where,
            unix_path=path if sock is None else unix_name(sock),
            tls=tls,
            protocols=protocols,
            max_connections=max_connections,
            max_line=max_line,
            max_headers=max_headers,
            max_head=max_head,
            origins=origins,
            process_request=process_request,
            parameters=parameters,
            announce=self._announce,
        )
        if sock is not None:
            sock.close()  # the core has a descriptor of its own
        return server

    @staticmethod
    def statistics() -> ProcessStatistics:
        """Answer the counters of the whole process, whichever engine is asked; from any thread.

        Its `to_prometheus()` is what a /metrics page shows.
        """
        return ProcessStatistics.of(_core.process_statistics())

    @staticmethod
    def routes() -> list[RouteStatus]:
        """Answer who sends audio to whom, in the whole process, whichever engine is asked, oldest first; from any thread."""
        return routes.statuses()

    def _announce(self, event: NewWebSocketEvent | NewWebSocketFailedEvent) -> bool:
        self._dispatch(event)
        return bool(self._order.get(event.name))


VoxEngine = Engine()
"""The engine that scenarios use."""
