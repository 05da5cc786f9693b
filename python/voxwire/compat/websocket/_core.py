"""`WebSocket`: one connection, used by whoever calls it. Frames come from the core; which of them make a message, what is
answered and what is raised is decided here, as `websocket-client` does.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from voxwire import _core

from ._abnf import ABNF, STATUS_NORMAL, check_text, close_payload, continuous_frame, frame_buffer, frame_of
from ._exceptions import (
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketProtocolException,
    WebSocketTimeoutException,
)
from ._handshake import SUPPORTED_REDIRECT_STATUSES, handshake, handshake_response
from ._http import connect, proxy_info
from ._logging import debug, error, isEnabledForError, isEnabledForTrace, trace
from ._socket import LOST, getdefaulttimeout, is_plain, recv, send, sock_opt, timed_out

_TEXT, _BINARY = 0x80 | ABNF.OPCODE_TEXT, 0x80 | ABNF.OPCODE_BINARY  # the first bytes of whole messages
_SIMPLE = (bytes, bytearray, memoryview)
_BETWEEN = frozenset(("recv_frame", "recv_data_frame", "recv_data", "send_frame", "_send", "_recv"))
_LOCAL_STATUSES = range(3000, 5000)
_send_frame = _core.FrameSocket.send_frame


class WebSocket:
    """A connection that blocks: `connect`, then `send` and `recv`, from any thread.

    The socket itself is `sock`. The core reads nothing that was not asked for, so `select` on it works.
    """

    _whole = True  # nobody stands between send() and recv() and the core

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Notice a subclass that wants to see frames."""
        super().__init_subclass__(**keywords)
        cls._whole = all(getattr(cls, name) is getattr(WebSocket, name) for name in _BETWEEN)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _BETWEEN:
            object.__setattr__(self, "_whole", False)
        object.__setattr__(self, name, value)

    def __init__(
        self,
        get_mask_key: Callable[[int], Any] | None = None,
        sockopt: list[tuple[Any, ...]] | None = None,
        sslopt: dict[str, Any] | None = None,
        fire_cont_frame: bool = False,
        enable_multithread: bool = True,
        skip_utf8_validation: bool = False,
        dispatcher: Any = None,
        **_: Any,
    ) -> None:
        """`sockopt` are arguments of `setsockopt`, `sslopt` is as in `websocket-client`. With `fire_cont_frame` each fragment
        is received by itself. Other keywords are ignored.
        """
        self.sock_opt = sock_opt(sockopt, sslopt)
        self.handshake_response: handshake_response | None = None
        self.sock: Any = None
        self.connected = False
        self.close_frame: ABNF | None = None
        self.get_mask_key = get_mask_key
        self.frame_buffer = frame_buffer(self._recv, skip_utf8_validation)
        self.cont_frame = continuous_frame(fire_cont_frame, skip_utf8_validation)
        self.dispatcher = dispatcher
        self.lock: AbstractContextManager[Any] = threading.Lock() if enable_multithread else nullcontext()
        self.readlock: AbstractContextManager[Any] = threading.Lock() if enable_multithread else nullcontext()
        self._closing = threading.RLock()  # whoever closes is waited for

    # Its parts

    def __iter__(self) -> Iterator[str | bytes]:
        while True:
            yield self.recv()

    def __next__(self) -> str | bytes:
        return self.recv()

    def next(self) -> str | bytes:
        """Receive a message."""
        return self.__next__()

    def fileno(self) -> int:
        """Answer the descriptor of the socket. Raises WebSocketException when there is none."""
        if self.sock is None:
            raise WebSocketException("Connection not established")
        return int(self.sock.fileno())

    def set_mask_key(self, func: Callable[[int], Any] | None) -> None:
        """Set the function that makes masking keys: it takes their length, 4. None: the core makes them."""
        self.get_mask_key = func

    def gettimeout(self) -> float | None:
        """Answer the time-out of the socket, in seconds."""
        return self.sock_opt.timeout

    def settimeout(self, timeout: float | None) -> None:
        """Set the time-out of the socket, in seconds; None is for ever."""
        self.sock_opt.timeout = timeout
        if self.sock:
            self.sock.settimeout(timeout)

    timeout = property(gettimeout, settimeout)

    def getsubprotocol(self) -> str | None:
        """Answer the subprotocol that the server chose, in lower case."""
        return self.handshake_response.subprotocol if self.handshake_response else None

    subprotocol = property(getsubprotocol)

    def getstatus(self) -> int | None:
        """Answer the HTTP status of the handshake."""
        return self.handshake_response.status if self.handshake_response else None

    status = property(getstatus)

    def getheaders(self) -> dict[str, str] | None:
        """Answer the headers of the server's answer, names in lower case."""
        return self.handshake_response.headers if self.handshake_response else None

    headers = property(getheaders)

    def is_ssl(self) -> bool:
        """Answer whether the connection has TLS."""
        return isinstance(self.sock, ssl.SSLSocket)

    # Connecting

    def connect(self, url: str, **options: Any) -> None:
        """Connect, and follow `redirect_limit` (3) redirects. The options are those of `websocket-client`.

        Raises ValueError for the URL, OSError, ssl.SSLError, and any WebSocketException.
        """
        self.sock_opt.timeout = options.get("timeout", self.sock_opt.timeout)
        self.sock, place = connect(url, self.sock_opt, proxy_info(**options), options.pop("socket", None))
        self.frame_buffer.clear()  # what an earlier connection left unfinished does not belong to this one
        try:
            response = handshake(self.sock, url, *place, **options)
            for _ in range(options.pop("redirect_limit", 3)):
                if response.status not in SUPPORTED_REDIRECT_STATUSES:
                    break
                response = self._redirected(response, options)
            self.handshake_response = response
            if response.status in SUPPORTED_REDIRECT_STATUSES:
                raise WebSocketException("Redirect limit exhausted")  # noqa: TRY301 - the socket is closed below
            self.connected = True
        except BaseException:
            if self.sock:
                self.sock.close()
                self.sock = None
            raise

    def _redirected(self, response: handshake_response, options: dict[str, Any]) -> handshake_response:
        url = response.headers.get("location")
        if url is None:
            raise WebSocketException(f"Redirect response without Location header, status {response.status}")
        self.sock.close()
        try:
            self.sock, place = connect(url, self.sock_opt, proxy_info(**options), None)
        except ValueError as invalid:
            raise WebSocketException(f"Invalid redirect target {url!r}: {invalid}") from invalid
        return handshake(self.sock, url, *place, **options)

    # Sending

    def send(self, payload: bytes | bytearray | str, opcode: int = ABNF.OPCODE_TEXT) -> int:
        """Send a message, or a frame of another kind. Answers the bytes of its frame.

        Raises WebSocketConnectionClosedException, WebSocketTimeoutException, OSError.
        """
        sock = self.sock
        if (
            is_plain(sock)
            and (opcode in ABNF.OPCODES if isinstance(payload, _SIMPLE) else opcode == 1 and isinstance(payload, str))
            and self._whole
            and self.get_mask_key is None
            and self.dispatcher is None
            and not isEnabledForTrace()
        ):
            try:
                with self.lock:
                    return _send_frame(sock.fileno(), sock.gettimeout(), 0x80 | opcode, payload)
            except TimeoutError as late:
                raise timed_out(late) or late from None
        return self.send_frame(ABNF.create_frame(payload, opcode))

    def send_text(self, text_data: str) -> int:
        """Send a text message."""
        return self.send(text_data, ABNF.OPCODE_TEXT)

    def send_bytes(self, data: bytes | bytearray) -> int:
        """Send a binary message."""
        return self.send(data, ABNF.OPCODE_BINARY)

    def send_binary(self, payload: bytes) -> int:
        """Send a binary message."""
        return self.send(payload, ABNF.OPCODE_BINARY)

    def send_frame(self, frame: ABNF) -> int:
        """Send a frame as it is, whether it may come now or not. Answers its bytes."""
        if self.get_mask_key:
            frame.get_mask_key = self.get_mask_key
        data = frame.format()
        if isEnabledForTrace():
            trace(f"++Sent raw: {data!r}")
            trace(f"++Sent decoded: {frame}")
        length = len(data)
        with self.lock:
            while data:
                data = data[self._send(data) :]
        return length

    def ping(self, payload: str | bytes = "") -> None:
        """Send a ping."""
        self.send(payload.encode() if isinstance(payload, str) else payload, ABNF.OPCODE_PING)

    def pong(self, payload: str | bytes = "") -> None:
        """Send a pong."""
        self.send(payload.encode() if isinstance(payload, str) else payload, ABNF.OPCODE_PONG)

    def _send(self, data: bytes) -> int:
        if self.sock is None:
            raise WebSocketConnectionClosedException("socket is already closed.")
        if self.dispatcher:
            return int(self.dispatcher.send(self.sock, data))
        return send(self.sock, data)

    # Receiving

    def recv(self) -> str | bytes:
        """Receive a message: text as str, binary as bytes; "" for the peer's close frame.

        Raises WebSocketConnectionClosedException, WebSocketTimeoutException, WebSocketProtocolException,
        WebSocketPayloadException, OSError.
        """
        with self.readlock:
            sock = self.sock
            if not is_plain(sock) or not self._whole or isEnabledForTrace():
                opcode, data = self.recv_data()
            else:
                first, masked, data = self._read(sock)
                if self.cont_frame.recving_frames is None:
                    if first == _TEXT:
                        return self._text(data)
                    if first == _BINARY:
                        return data
                frame = self._judged(first, masked, data)
                opcode, frame = self._taken(frame, False) or self.recv_data_frame()
                data = frame.data
        if opcode == ABNF.OPCODE_TEXT:
            return data if isinstance(data, str) else str(data, "utf-8")
        return data if opcode == ABNF.OPCODE_BINARY else ""

    def _text(self, data: bytes) -> str:
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError:
            if not (self.cont_frame.fire_cont_frame or self.cont_frame.skip_utf8_validation):
                check_text(ABNF.OPCODE_TEXT, data)
            raise

    def recv_data(self, control_frame: bool = False) -> tuple[int, Any]:
        """Receive a message: its opcode and payload. With `control_frame` also pings and pongs."""
        opcode, frame = self.recv_data_frame(control_frame)
        return opcode, frame.data

    def recv_data_frame(self, control_frame: bool = False) -> tuple[int, ABNF]:
        """Receive a message: its opcode and its last frame, with all of the payload. Pings are answered."""
        while True:
            frame = self.recv_frame()
            if isEnabledForTrace():
                trace(f"++Rcv raw: {frame.format()!r}")
                trace(f"++Rcv decoded: {frame}")
            taken = self._taken(frame, control_frame)
            if taken is not None:
                return taken

    def _taken(self, frame: ABNF, control_frame: bool) -> tuple[int, ABNF] | None:
        """Deal with a frame. Answers what there is to hand on."""
        if frame.opcode in (ABNF.OPCODE_TEXT, ABNF.OPCODE_BINARY, ABNF.OPCODE_CONT):
            self.cont_frame.validate(frame)
            self.cont_frame.add(frame)
            return self.cont_frame.extract(frame) if self.cont_frame.is_fire(frame) else None
        if frame.opcode == ABNF.OPCODE_CLOSE:
            self.send_close()
            return frame.opcode, frame
        if frame.opcode == ABNF.OPCODE_PING:
            if len(frame.data) > 125:  # noqa: PLR2004 - RFC 6455 section 5.5
                raise WebSocketProtocolException("Ping message is too long")
            self.pong(frame.data)
        return (frame.opcode, frame) if control_frame else None

    def recv_frame(self) -> ABNF:
        """Receive the next frame, whatever it is. Nothing is answered."""
        if is_plain(self.sock) and self._whole:
            return self._judged(*self._read(self.sock))
        return self.frame_buffer.recv_frame()

    def _read(self, sock: socket.socket) -> tuple[int, bool, bytes]:
        """Read the next frame. A wait is the core's: without the GIL, and signal handlers run."""
        try:
            return self.frame_buffer.frames.recv(sock.fileno(), sock.gettimeout())
        except TimeoutError:
            raise WebSocketTimeoutException("Connection timed out") from None
        except EOFError:
            self._forget()
            raise WebSocketConnectionClosedException(LOST) from None
        except OSError:
            if self.sock is None:  # another thread has closed it
                raise WebSocketConnectionClosedException("Connection is closed") from None
            raise

    def _judged(self, first: int, masked: bool, payload: bytes) -> ABNF:
        frame = frame_of(first, masked, payload)
        frame.validate(self.frame_buffer.skip_utf8_validation)
        return frame

    def _recv(self, bufsize: int) -> bytes:
        if self.sock is None:
            raise WebSocketConnectionClosedException("Connection is closed")
        try:
            return recv(self.sock, bufsize)
        except WebSocketConnectionClosedException:
            self._forget()
            raise

    def _forget(self) -> None:
        if self.sock:
            self.sock.close()
        self.sock = None
        self.connected = False

    # The end

    def send_close(self, status: int = STATUS_NORMAL, reason: str | bytes = b"") -> None:
        """Send a close frame, and nothing else. Raises ValueError for a status that has no two bytes."""
        payload = close_payload(status, reason)
        self.connected = False
        self.send(payload, ABNF.OPCODE_CLOSE)

    def close(self, status: int = STATUS_NORMAL, reason: str | bytes = b"", timeout: float | None = 3) -> None:
        """Send a close frame, wait `timeout` seconds for the peer's, and close the socket."""
        with self._closing:
            if not self.connected:
                return
            payload = close_payload(status, reason)
            self.close_frame = None
            self.connected = False
            try:
                self._take_leave(payload, timeout)
            except Exception:  # noqa: BLE001 - it is over, whatever it was
                debug("The connection broke while it was closed")
            finally:
                self.shutdown()

    def _take_leave(self, payload: bytes, timeout: float | None) -> None:
        self.send(payload, ABNF.OPCODE_CLOSE)
        if self.sock is None:
            return
        before = self.sock.gettimeout()
        self.sock.settimeout(timeout)
        self._await_close(timeout)
        if self.sock is not None:
            self.sock.settimeout(before)
            self.sock.shutdown(socket.SHUT_RDWR)

    def _await_close(self, timeout: float | None) -> None:
        began = time.monotonic()
        while timeout is None or time.monotonic() - began < timeout:
            try:
                frame = self.recv_frame()
            except (WebSocketConnectionClosedException, WebSocketTimeoutException):
                return
            if frame.opcode == ABNF.OPCODE_CLOSE:
                self.close_frame = frame
                _tell(frame)
                return

    def abort(self) -> None:
        """End the connection from another thread: whoever receives on it wakes up."""
        if self.connected and self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except (OSError, AttributeError):
                debug("Socket already closed during abort")

    def shutdown(self) -> None:
        """Close the socket, without a word to the peer."""
        if self.sock:
            try:
                self.sock.close()
            except (OSError, AttributeError):
                debug("Socket already closed during shutdown")
            finally:
                self.sock = None
                self.connected = False


def _tell(frame: ABNF) -> None:
    """Log how the peer closed."""
    status = int.from_bytes(frame.data[:2])
    if frame.data and isEnabledForError():
        if status in _LOCAL_STATUSES:
            debug(f"close status: {status!r}")
        elif status != STATUS_NORMAL:
            error(f"close status: {status!r}")


def create_connection(
    url: str, timeout: float | None = None, class_: type[WebSocket] = WebSocket, **options: Any
) -> WebSocket:
    """Make a `class_`, set its time-out (None: that of `setdefaulttimeout`), and connect it."""
    own = {
        "sockopt": options.pop("sockopt", []),
        "sslopt": options.pop("sslopt", {}),
        "fire_cont_frame": options.pop("fire_cont_frame", False),
        "enable_multithread": options.pop("enable_multithread", True),
        "skip_utf8_validation": options.pop("skip_utf8_validation", False),
    }
    connection = class_(**own, **options)
    connection.settimeout(getdefaulttimeout() if timeout is None else timeout)
    connection.connect(url, **options)
    return connection
