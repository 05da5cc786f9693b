"""`WebSocketApp`: a connection that calls back. `run_forever` connects, reads, pings, and connects again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ._abnf import ABNF
from ._core import WebSocket
from ._dispatcher import Dispatcher, WrappedDispatcher
from ._exceptions import WebSocketConnectionClosedException, WebSocketException, WebSocketTimeoutException
from ._logging import debug, error, info, warning
from ._socket import getdefaulttimeout
from ._url import parse_url

Callback = Callable[..., Any]

_IDLE = 10.0  # seconds between two looks at whether to go on
_JOIN = 3.0  # seconds that the ping thread has to end
_NORMAL = 1000


@dataclass
class _Reconnect:
    interval: float = 0


_default = _Reconnect()


def set_reconnect(reconnectInterval: float) -> None:
    """Set the seconds between two attempts to connect for `run_forever` calls that name none; 0 is not to."""
    _default.interval = reconnectInterval


@dataclass
class _Run:
    """What one `run_forever` was asked for."""

    reconnect: float
    skip_utf8_validation: bool
    custom: bool  # the application brought its own loop
    socket: dict[str, Any]  # parameters of the WebSocket
    connect: dict[str, Any]  # options of its connect()
    dispatcher: Any = field(default=None)


class WebSocketApp:
    """A connection that calls back: `on_open(app)`, `on_message(app, message)`, `on_error(app, exception)`,
    `on_close(app, status, reason)` and the others. `sock` is the `WebSocket` while there is one.
    """

    def __init__(
        self,
        url: str,
        header: list[str] | dict[str, str] | Callable[[], list[str] | dict[str, str]] | None = None,
        on_open: Callback | None = None,
        on_reconnect: Callback | None = None,
        on_message: Callback | None = None,
        on_error: Callback | None = None,
        on_close: Callback | None = None,
        on_ping: Callback | None = None,
        on_pong: Callback | None = None,
        on_cont_message: Callback | None = None,
        keep_running: bool = True,  # noqa: ARG002 - it says nothing in websocket-client, either
        get_mask_key: Callable[[int], Any] | None = None,
        cookie: str | None = None,
        subprotocols: list[str] | None = None,
        on_data: Callback | None = None,
        socket: Any = None,
    ) -> None:
        """`header` may be a function, which is called before each attempt. `socket` is a connected one to use."""
        self.url = url
        self.header = [] if header is None else header
        self.cookie = cookie
        self.on_open = on_open
        self.on_reconnect = on_reconnect
        self.on_message = on_message
        self.on_data = on_data
        self.on_error = on_error
        self.on_close = on_close
        self.on_ping = on_ping
        self.on_pong = on_pong
        self.on_cont_message = on_cont_message
        self.keep_running = False
        self.get_mask_key = get_mask_key
        self.sock: WebSocket | None = None
        self.last_ping_tm = 0.0
        self.last_pong_tm = 0.0
        self.ping_thread: threading.Thread | None = None
        self.stop_ping: threading.Event | None = None
        self.ping_interval: float = 0.0
        self.ping_timeout: float | None = None
        self.ping_payload: str | bytes = ""
        self.subprotocols = subprotocols
        self.prepared_socket = socket
        self.has_errored = False
        self.has_done_teardown = False
        self.has_done_teardown_lock = threading.Lock()
        self.last_close_frame: ABNF | None = None
        self._closing = threading.RLock()

    # Sending

    def send(self, data: bytes | str, opcode: int = ABNF.OPCODE_TEXT) -> None:
        """Send a message. Raises WebSocketConnectionClosedException when there is no connection."""
        if not self.sock or self.sock.send(data, opcode) == 0:
            raise WebSocketConnectionClosedException("Connection is already closed.")

    def send_text(self, text_data: str) -> None:
        """Send a text message."""
        self.send(text_data, ABNF.OPCODE_TEXT)

    def send_bytes(self, data: bytes | bytearray) -> None:
        """Send a binary message."""
        if not self.sock or self.sock.send(data, ABNF.OPCODE_BINARY) == 0:
            raise WebSocketConnectionClosedException("Connection is already closed.")

    def close(self, **kwargs: Any) -> None:
        """Close the connection, which ends `run_forever`. The arguments are those of `WebSocket.close`."""
        self.keep_running = False
        sock = self.sock
        if sock:
            with self._closing:
                sock.close(**kwargs)
                if sock.close_frame is not None:
                    self.last_close_frame = sock.close_frame
                self.sock = None

    def ready(self) -> WebSocket | bool | None:
        """Answer something true while the connection is open."""
        return self.sock and self.sock.connected

    # Pings

    def _start_ping_thread(self) -> None:
        self.last_ping_tm = self.last_pong_tm = 0.0
        self.stop_ping = threading.Event()
        self.ping_thread = threading.Thread(target=self._send_ping, daemon=True)
        self.ping_thread.start()

    def _stop_ping_thread(self) -> None:
        if self.stop_ping:
            self.stop_ping.set()
        thread = self.ping_thread
        if thread and thread.is_alive() and thread is not threading.current_thread():
            thread.join(_JOIN)
            if thread.is_alive():
                warning(f"The ping thread has not ended within {_JOIN:g} seconds; it may be blocked")
        self.ping_thread = self.stop_ping = None
        self.last_ping_tm = self.last_pong_tm = 0.0

    def _send_ping(self) -> None:
        stop = self.stop_ping
        while stop and self.keep_running and not stop.wait(self.ping_interval) and self.keep_running:
            if self.sock:
                self.last_ping_tm = time.time()
                try:
                    debug("Sending ping")
                    self.sock.ping(self.ping_payload)
                except Exception as failed:  # noqa: BLE001 - the reader sees what has happened
                    debug(f"Failed to send ping: {failed}")

    def _check(self) -> bool:
        """Look whether the last ping was answered. Raises WebSocketTimeoutException."""
        limit, sent, answered = self.ping_timeout, self.last_ping_tm, self.last_pong_tm
        if limit and sent and time.time() - sent > limit and not 0 <= answered - sent <= limit:
            raise WebSocketTimeoutException("ping/pong timed out")
        return True

    # Running

    def run_forever(
        self,
        sockopt: list[tuple[Any, ...]] | None = None,
        sslopt: dict[str, Any] | None = None,
        ping_interval: float = 0,
        ping_timeout: float | None = None,
        ping_payload: str = "",
        http_proxy_host: str | None = None,
        http_proxy_port: int | str | None = None,
        http_no_proxy: list[str] | None = None,
        http_proxy_auth: tuple[str, str] | None = None,
        http_proxy_timeout: float | None = None,
        skip_utf8_validation: bool = False,
        host: str | None = None,
        origin: str | None = None,
        dispatcher: Any = None,
        suppress_origin: bool = False,
        suppress_host: bool = False,
        proxy_type: str | None = None,
        reconnect: float | None = None,
    ) -> bool:
        """Connect and call back until the connection is closed, or for ever with `reconnect` (seconds between attempts).

        Answers whether there was an error. With a `dispatcher` it answers at once, and that runs it. Raises
        WebSocketException for ping times that do not fit, and when it runs already.
        """
        if ping_timeout is not None and ping_timeout <= 0:
            raise WebSocketException("Ensure ping_timeout > 0")
        if ping_interval is not None and ping_interval < 0:
            raise WebSocketException("Ensure ping_interval >= 0")
        if ping_timeout and ping_interval and ping_interval <= ping_timeout:
            raise WebSocketException("Ensure ping_interval > ping_timeout")
        if self.sock:
            raise WebSocketException("socket is already opened")
        self.ping_interval, self.ping_timeout, self.ping_payload = ping_interval, ping_timeout, ping_payload
        self.has_done_teardown = self.has_errored = False
        self.keep_running = True
        run = _Run(
            reconnect=_default.interval if reconnect is None else reconnect,
            skip_utf8_validation=skip_utf8_validation,
            custom=bool(dispatcher),
            socket={
                "sockopt": sockopt or [],
                "sslopt": sslopt or {},
                "skip_utf8_validation": skip_utf8_validation,
            },
            connect={
                "cookie": self.cookie,
                "http_proxy_host": http_proxy_host,
                "http_proxy_port": http_proxy_port,
                "http_no_proxy": http_no_proxy,
                "http_proxy_auth": http_proxy_auth,
                "http_proxy_timeout": http_proxy_timeout,
                "subprotocols": self.subprotocols,
                "host": host,
                "origin": origin,
                "suppress_origin": suppress_origin,
                "suppress_host": suppress_host,
                "proxy_type": proxy_type,
            },
        )
        run.dispatcher = self.create_dispatcher(
            ping_timeout, dispatcher, parse_url(self.url)[3], lambda gone="closed unexpectedly": self._gone(run, gone)
        )
        self._run(run)
        return self.has_errored

    def create_dispatcher(
        self,
        ping_timeout: float | None,
        dispatcher: Any = None,
        is_ssl: bool = False,  # noqa: ARG002 - one knows by its socket
        handleDisconnect: Callback | None = None,
    ) -> Dispatcher | WrappedDispatcher:
        """Answer what waits for the socket: the application's loop, or the core."""
        if dispatcher:
            return WrappedDispatcher(self, ping_timeout, dispatcher, handleDisconnect)
        return Dispatcher(self, ping_timeout or _IDLE)

    def _run(self, run: _Run) -> None:
        try:
            self._connect(run)
            if not run.custom and run.reconnect:
                while self.keep_running:
                    run.dispatcher.reconnect(run.reconnect, lambda reconnecting=True: self._connect(run, reconnecting))
        except (KeyboardInterrupt, Exception) as stopped:  # noqa: BLE001 - on_error has been told
            info(f"tearing down on exception {stopped}")
            self._teardown()
        finally:
            if not run.custom:
                self._teardown()

    def _connect(self, run: _Run, reconnecting: bool = False) -> None:
        """One connection, from its attempt to its end."""
        if reconnecting and self.sock:
            self.sock.shutdown()
        self.last_close_frame = None
        self.sock = WebSocket(
            self.get_mask_key,
            fire_cont_frame=self.on_cont_message is not None,
            dispatcher=run.dispatcher if run.custom else None,
            **run.socket,
        )
        self.sock.settimeout(getdefaulttimeout())
        try:
            header = self.header() if callable(self.header) else self.header
            self.sock.connect(self.url, header=header, socket=self.prepared_socket, **run.connect)
            info("Websocket connected")
            if self.ping_interval:
                self._start_ping_thread()
            self._callback(self.on_reconnect if reconnecting and self.on_reconnect else self.on_open)
            if self.sock is not None and self.sock.sock is not None:
                run.dispatcher.read(self.sock.sock, lambda: self._read(run), self._check)
        except (KeyboardInterrupt, SystemExit, Exception) as failed:  # noqa: BLE001 - on_error is told
            self._disconnected(run, failed, reconnecting)

    def _read(self, run: _Run) -> bool:
        """Receive one thing and tell of it. False when there will be no more."""
        if not self.keep_running:
            self._teardown()
            return False
        if self.sock is None:
            return False
        try:
            opcode, frame = self.sock.recv_data_frame(True)
        except (WebSocketConnectionClosedException, WebSocketTimeoutException, KeyboardInterrupt, OSError) as failed:
            if run.custom:
                return self._gone(run, failed)
            raise
        if opcode == ABNF.OPCODE_CLOSE:
            return self._gone(run, frame)
        self._tell(run, opcode, frame)
        return True

    def _tell(self, run: _Run, opcode: int, frame: ABNF) -> None:
        data = frame.data
        if opcode == ABNF.OPCODE_PING:
            self._callback(self.on_ping, data)
        elif opcode == ABNF.OPCODE_PONG:
            self.last_pong_tm = time.time()
            self._callback(self.on_pong, data)
        elif opcode == ABNF.OPCODE_CONT and self.on_cont_message:
            self._callback(self.on_data, data, frame.opcode, frame.fin)
            self._callback(self.on_cont_message, data, frame.fin)
        else:
            if opcode == ABNF.OPCODE_TEXT and not run.skip_utf8_validation:
                data = str(data, "utf-8")
            self._callback(self.on_data, data, frame.opcode, True)
            self._callback(self.on_message, data)

    # The end

    def _gone(self, run: _Run, gone: BaseException | ABNF | str) -> bool:
        """The connection was lost, or the peer has closed it."""
        if isinstance(gone, ABNF):
            return self._disconnected(run, _closed_by(gone), bool(run.reconnect), gone)
        failed = WebSocketConnectionClosedException(gone) if isinstance(gone, str) else gone
        return self._disconnected(run, failed, bool(run.reconnect))

    def _disconnected(
        self, run: _Run, failed: BaseException, reconnecting: bool = False, close_frame: ABNF | None = None
    ) -> bool:
        if close_frame is None:
            self.has_errored = True
        self._stop_ping_thread()
        if not reconnecting:
            self._callback(self.on_error, failed)
        if isinstance(failed, KeyboardInterrupt | SystemExit):
            self._teardown(close_frame)
            raise failed
        if not run.reconnect:
            error(f"{failed} - goodbye")
            self._teardown(close_frame)
        else:
            info(f"{failed} - reconnect")
            if run.custom:
                run.dispatcher.reconnect(run.reconnect, lambda reconnecting=True: self._connect(run, reconnecting))
        return self.has_errored

    def _teardown(self, close_frame: ABNF | None = None) -> None:
        """End it, once, and tell `on_close` what the peer said."""
        with self.has_done_teardown_lock:
            if self.has_done_teardown:
                return
            self.has_done_teardown = True
        self._stop_ping_thread()
        self.keep_running = False
        sock, self.sock = self.sock, None
        if sock:
            sock.close()
            # After the peer's close frame that was nothing: its answer is sent, and the socket is of no more use.
            sock.shutdown()
        with self._closing:  # a close() of another thread knows what the peer has answered
            close_frame = close_frame or self.last_close_frame
        status, reason = self._get_close_args(close_frame)
        self._callback(self.on_close, status, reason)

    def _get_close_args(self, close_frame: ABNF | None) -> list[Any]:
        """Answer status and reason for `on_close`; None for what the peer did not say."""
        return list(_parsed(close_frame)) if close_frame and self.on_close else [None, None]

    def _callback(self, callback: Callback | None, *args: Any) -> None:
        if not callback:
            return
        try:
            callback(self, *args)
        except Exception as failed:  # noqa: BLE001 - on_error is told
            error(f"error from callback {callback}: {failed}")
            if self.on_error and callback is not self.on_error:
                self.on_error(self, failed)


def _parsed(frame: ABNF) -> tuple[int | None, str | None]:
    """Answer status and reason of a close frame."""
    data = frame.data.encode() if isinstance(frame.data, str) else bytes(frame.data or b"")
    if len(data) < 2:  # noqa: PLR2004 - the bytes of a code
        return None, None
    return int.from_bytes(data[:2]), str(data[2:], "utf-8", "replace") or None


def _closed_by(frame: ABNF) -> WebSocketConnectionClosedException:
    """Answer what `on_error` hears of a close frame."""
    status, reason = _parsed(frame)
    message = "Connection closed"
    if status is not None:
        message += " normally (code 1000)" if status == _NORMAL else f" (code {status})"
    if reason:
        message += f": {reason}"
    closed = WebSocketConnectionClosedException(message)
    closed.status_code = status  # type: ignore[attr-defined]
    closed.reason = reason  # type: ignore[attr-defined]
    return closed
