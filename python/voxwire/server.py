"""A listening socket and its incoming connections. Who handles them is the engine's business."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from . import _core
from .events import NewWebSocketEvent, NewWebSocketFailedEvent
from .loops import bridge_to, running_loop
from .parameters import OUTGOING, directory, parse, refuse, trace_name
from .tls import ServerTLSOptions
from .waiters import Waiters
from .websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

_log = logging.getLogger("voxwire")


@dataclass(slots=True)
class _Reports:
    """The `_core.ListenerSink` of a server."""

    on_connection: Callable[[_core.Connection, str, _core.Headers, _core.Address], _core.ConnectionSink]
    on_refused: Callable[[str, _core.Address], None]
    on_stopped: Callable[[], None]


class WebSocketServer:
    """What `allowWebSocketConnections` answers: the listening socket. It works until `close`, kept or not."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ServerTLSOptions | None,
        protocols: str | Sequence[str],
        max_connections: int,
        parameters: Mapping[str, Any] | None,
        announce: Callable[[NewWebSocketEvent | NewWebSocketFailedEvent], bool],
    ) -> None:
        """Bind. `announce` hands events to the application and answers whether anybody takes them."""
        given = dict(parameters or {})
        self._traces = directory("parameters['trace']", given.pop("trace", False), Path.cwd())
        self._settings = parse(given, {"protocols": protocols}, incoming=True)
        if self._traces is not None and self._settings.privacy:
            refuse("parameters['trace']", self._traces, "no trace together with privacy")
        for name in OUTGOING:
            if (parameters or {}).get(name):
                refuse(f"parameters[{name!r}]", (parameters or {})[name], "nothing: it is for outgoing connections")
        if tls is not None and not isinstance(tls, ServerTLSOptions):
            refuse("tls", tls, "ServerTLSOptions or None")
        if not isinstance(max_connections, int) or max_connections < 1:
            refuse("max_connections", max_connections, "a whole number >= 1")
        self._announce = announce
        self._stopped = False
        self._waiters = Waiters()
        self._loop = running_loop("a WebSocket server")
        self._scheme = "ws" if tls is None else "wss"
        self._listener = _core.Listener(
            bridge_to(self._loop),
            _Reports(self._on_connection, self._on_refused, self._on_stopped),
            host,
            port,
            self._settings.protocols,
            max_connections,
            self._settings.options,
            None if tls is None else tls._config,
        )

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses and ports that it listens on."""
        return self._listener.addresses

    @property
    def port(self) -> int:
        """The port; the one that the system chose, when it was asked for port 0."""
        return self.addresses[0][1]

    @property
    def url(self) -> str:
        """A URL that reaches it from this machine."""
        host, port = self.addresses[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}/"

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return self._listener.connections

    def close(self, timeout: float = 10.0) -> None:
        """Stop accepting and close the connections with 1001; after `timeout` seconds they are dropped."""
        self._listener.close(timeout)

    async def wait_closed(self) -> None:
        """Return when the socket and all connections are closed."""
        await self._waiters.until(lambda: self._stopped)

    async def __aenter__(self) -> Self:
        """Answer the server."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it and wait until it is closed."""
        self.close()
        await self.wait_closed()

    def _on_connection(
        self, connection: _core.Connection, path: str, headers: _core.Headers, peer: _core.Address
    ) -> _core.ConnectionSink:
        authority = next((value for name, value in headers if name.lower() == "host"), "")
        url = f"{self._scheme}://{authority}{path}"
        identity = str(uuid.uuid4())
        trace = None if self._traces is None else self._traces / trace_name(identity)
        settings = replace(self._settings, identity=identity, trace=trace)
        websocket = WebSocket._accept(connection, url, headers, settings)
        wanted = self._announce(NewWebSocketEvent(websocket, path, headers, peer))
        self._loop.call_soon(websocket._begin)
        if not wanted:
            _log.warning("a connection from %s is closed: no AppEvents.WebSocket handler", peer)
            self._loop.call_soon(websocket._shut, 1011, "nothing handles incoming connections")
        return websocket._reports()

    def _on_refused(self, reason: str, peer: _core.Address) -> None:
        _log.warning("a connection from %s was refused: %s", peer, reason)
        self._announce(NewWebSocketFailedEvent(reason, peer))

    def _on_stopped(self) -> None:
        self._stopped = True
        self._waiters.wake()
