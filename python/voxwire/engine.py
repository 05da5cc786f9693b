"""`VoxEngine`: where scenarios make connections and hear of incoming ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Unpack

from . import _core
from .enums import AppEvents
from .server import WebSocketServer
from .statistics import ProcessStatistics
from .target import EventTarget
from .websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

    from .events import NewWebSocketEvent, NewWebSocketFailedEvent
    from .parameters import WebSocketParameters
    from .tls import ServerTLSOptions


class Engine(EventTarget):
    """Makes WebSockets and accepts them: `AppEvents.WebSocket` handlers get each incoming one.

    `VoxEngine` is the one that is there already. Make another to keep the handlers of several servers apart.
    """

    _names: ClassVar[type[StrEnum]] = AppEvents
    _role: ClassVar[str] = "engine"
    _fresh_context: ClassVar[bool] = True  # servers in several threads may call one handler at the same time

    def createWebSocket(
        self, url: str, parameters: WebSocketParameters | None = None, **options: Unpack[WebSocketParameters]
    ) -> WebSocket:
        """Open a connection: the same as `WebSocket(url, parameters)`."""
        return WebSocket(url, parameters, **options)

    def allowWebSocketConnections(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ServerTLSOptions | None = None,
        protocols: str | Sequence[str] = ("chat",),
        max_connections: int = 1000,
        parameters: WebSocketParameters | None = None,
    ) -> WebSocketServer:
        """Listen for connections, at once; port 0 lets the system choose (`server.port`).

        For each, AppEvents.WebSocket fires, then CREATED and OPEN on its `event.websocket`. Over `max_connections` a
        connection is refused and AppEvents.NewWebSocketFailed fires. Without any AppEvents.WebSocket handler a connection
        is closed with 1011. `parameters` are those of the incoming WebSockets. Raises OSError when the address cannot be
        bound, InvalidParameter, TypeError, InvalidState (no running loop).
        """
        return WebSocketServer(
            host,
            port,
            tls=tls,
            protocols=protocols,
            max_connections=max_connections,
            parameters=parameters,
            announce=self._announce,
        )

    @staticmethod
    def statistics() -> ProcessStatistics:
        """Answer the counters of the whole process, whichever engine is asked; from any thread.

        Its `to_prometheus()` is what a /metrics page shows.
        """
        return ProcessStatistics.of(_core.process_statistics())

    def _announce(self, event: NewWebSocketEvent | NewWebSocketFailedEvent) -> bool:
        self._dispatch(event)
        return bool(self._order.get(event.name))


VoxEngine = Engine()
"""The engine that scenarios use."""
