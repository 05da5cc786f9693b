"""A listening socket and its incoming connections. Who handles them is the engine's business."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _core
from .checks import refuse
from .closing import Closing
from .discretion import printable
from .errors import InvalidState
from .events import NewWebSocketEvent, NewWebSocketFailedEvent
from .gate import Gate, checked_origins
from .loops import bridge_to, running_loop
from .parameters import OUTGOING, count, directory, parse, trace_name
from .reports import Reports
from .tls import ServerTLSOptions
from .waiters import Waiters
from .websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .gate import Origins, ProcessRequest
    from .listen import Place

_log = logging.getLogger("voxwire")
_OVER_THE_CAP = 503


@dataclass(slots=True)
class _Reports:
    """The `_core.ListenerSink` of a server."""

    on_connection: Callable[[_core.Connection, str, _core.Headers, _core.Address | None], _core.ConnectionSink]
    on_request: Callable[[_core.Question], None]
    on_withdrawn: Callable[[int, bool], None]
    on_refused: Callable[[int, str, _core.Address | None], None]
    on_stopped: Callable[[], None]


class WebSocketServer(Closing):
    """What `allowWebSocketConnections` answers: the listening socket. It works until `close`, kept or not."""

    def __init__(
        self,
        place: Place,
        *,
        unix_path: str | None,
        tls: ServerTLSOptions | None,
        protocols: str | Sequence[str],
        max_connections: int,
        max_line: int,
        max_headers: int,
        max_head: int,
        origins: Origins | None,
        process_request: ProcessRequest | None,
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
        if process_request is not None and not callable(process_request):
            refuse("process_request", process_request, "a function, an async def, or None")
        in_core, in_python = checked_origins(origins)
        asks = process_request is not None or in_python is not None
        self._announce = announce
        self._stopped = False
        self._waiters = Waiters()
        self._loop = running_loop("a WebSocket server")
        self._tls = tls
        self._scheme = "ws" if tls is None else "wss"
        self._unix_path = unix_path
        self._gate = gate = Gate(process_request, in_python, secure=tls is not None, privacy=self._settings.privacy)
        self._listener = _core.Listener(
            bridge_to(self._loop),
            _Reports(self._on_connection, gate.ask, self._on_withdrawn, self._on_refused, self._on_stopped),
            place,
            protocols=self._settings.protocols,
            max_connections=count("max_connections", max_connections, 1),
            max_line=count("max_line", max_line, 1),
            max_headers=count("max_headers", max_headers, 1),
            max_head=count("max_head", max_head, 1),
            origins=in_core,
            ask=asks,
            options=self._settings.options,
            tls=None if tls is None else tls._config,
        )

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses and ports that it listens on; none on a Unix socket."""
        return self._listener.addresses

    @property
    def port(self) -> int:
        """The port; the one that the system chose, when it was asked for port 0. Raises InvalidState on a Unix socket."""
        addresses = self.addresses
        if not addresses:
            message = "the server listens on a Unix socket, which has no port: see unix_path"
            raise InvalidState(message)
        return addresses[0][1]

    @property
    def unix_path(self) -> str | None:
        """The path of the Unix socket that it listens on; None on TCP."""
        return self._unix_path

    @property
    def url(self) -> str:
        """A URL that reaches it from this machine; on a Unix socket one for the handshake: `WebSocket(server.url,
        unix_path=server.unix_path)`.
        """
        addresses = self.addresses
        if not addresses:
            return f"{self._scheme}://localhost/"
        host, port = addresses[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}/"

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return self._listener.connections

    def reload_tls(self, tls: ServerTLSOptions | None = None) -> None:
        """Use another certificate from now on; without `tls` the same files are read again. Open connections live on.

        Raises InvalidParameter for files that cannot be used, and then nothing has changed; InvalidState for a server
        without TLS.
        """
        if self._tls is None:
            message = "the server was made without tls: there is nothing to reload"
            raise InvalidState(message)
        if tls is not None and not isinstance(tls, ServerTLSOptions):
            refuse("tls", tls, "ServerTLSOptions or None")
        tls = self._tls if tls is None else tls
        self._listener.set_tls(tls._read())
        self._tls = tls

    def close(self, timeout: float = 10.0) -> None:
        """Stop accepting and close the connections with 1001; after `timeout` seconds they are dropped. Attempts that are
        still in their handshake end at once. A second call changes nothing.
        """
        self._listener.close(timeout)

    async def wait_closed(self) -> None:
        """Return when the socket and all connections are closed."""
        await self._waiters.until(lambda: self._stopped)

    async def _settled(self) -> None:
        await self.wait_closed()

    def _on_connection(
        self, connection: _core.Connection, path: str, headers: _core.Headers, peer: _core.Address | None
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
        return Reports(websocket)

    def _on_withdrawn(self, question: int, late: bool) -> None:
        self._gate.withdraw(question, late=late)

    def _on_refused(self, status: int, reason: str, peer: _core.Address | None) -> None:
        why = f"HTTP status {status}" if self._settings.privacy else printable(reason)
        _log.warning("a connection from %s was refused: %s", peer, why)
        if status == _OVER_THE_CAP:
            self._announce(NewWebSocketFailedEvent(reason, peer))

    def _on_stopped(self) -> None:
        self._stopped = True
        self._gate.close()
        self._waiters.wake()
