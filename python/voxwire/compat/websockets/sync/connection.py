"""`Connection`: what clients and servers have in common in threads: messages, pings, closing, keepalive.

One thread of each connection reads; whoever calls writes. Frames and compression are the core's (`protocol`).
"""

from __future__ import annotations

import contextlib
import logging
import random
import selectors
import socket
import ssl as ssl_module
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast, overload

from voxwire.compat.websockets.asyncio.connection import Marks, as_payload, overrides
from voxwire.compat.websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
    ProtocolError,
    TooManyFragments,
)
from voxwire.compat.websockets.frames import DATA_OPCODES, PONG, CloseCode, Frame
from voxwire.compat.websockets.protocol import CLOSED, OPEN, State
from voxwire.compat.websockets.typing import Data, DataLike, LoggerLike, Subprotocol

from .messages import Assembler
from .tls import TLSInTLS
from .utils import Deadline

if TYPE_CHECKING:
    from voxwire.compat.websockets.http11 import Request, Response
    from voxwire.compat.websockets.protocol import Protocol, Received

__all__ = ["Connection"]

_BINARY, _PONG = 2, 10
_Poll: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Connection:
    """A WebSocket connection. Use `ClientConnection` or `ServerConnection`. Its methods may be called from any thread."""

    recv_bufsize = 65536
    """Bytes that are read at once."""

    _direct: ClassVar[bool] = True
    """Frames go from the core to the application without the method that a subclass may override."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note whether a subclass depends on the inside."""
        super().__init_subclass__(**kwargs)
        cls._direct = not overrides(cls, "process_event")

    def __init__(
        self,
        sock: socket.socket,
        protocol: Protocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: Marks = 16,
    ) -> None:
        """Begin to read from a socket; times in seconds, `max_queue` in frames."""
        self.socket = sock
        self.protocol = protocol
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.close_timeout = close_timeout
        # Records of the log name the connection they are about.
        protocol.logger = logging.LoggerAdapter(
            cast("logging.Logger", protocol.logger), {"websocket": weakref.proxy(self)}
        )
        self.id: uuid.UUID = protocol.id
        self.logger: LoggerLike = protocol.logger
        self.debug = protocol.debug
        self.request: Request | None = None
        self.response: Response | None = None
        self.latency: float = 0.0
        self.protocol_mutex = threading.Lock()  # held by whoever uses the protocol or writes
        self._room = threading.Event()  # set while frames may be read
        self._room.set()
        high, low = max_queue if isinstance(max_queue, tuple) else (max_queue, None)
        self.recv_messages = Assembler(high, low, pause=self._room.clear, resume=self._room.set)
        self.connection_exc: BaseException | None = None
        self.close_deadline: Deadline | None = None
        self._opened = threading.Event()  # the request or the response is there, or none will come
        self.send_in_progress = False  # a message in fragments
        self.pending_pings: dict[bytes, tuple[threading.Event, float, bool]] = {}
        self._watched, self._notifier = socket.socketpair()  # wakes the reader
        # Daemons: a connection that nobody has closed does not keep the interpreter from ending.
        self.keepalive_thread: threading.Thread | None = None
        self.recv_events_thread = threading.Thread(target=self.recv_events, name=f"websocket-{self.id}", daemon=True)
        self.recv_events_thread.start()

    # Attributes

    @property
    def local_address(self) -> Any:
        """Our address, as `socket.getsockname()` gives it."""
        return self.socket.getsockname()

    @property
    def remote_address(self) -> Any:
        """The peer's address, as `socket.getpeername()` gives it."""
        return self.socket.getpeername()

    @property
    def state(self) -> State:
        """The state of the connection."""
        return self.protocol._state

    @property
    def subprotocol(self) -> Subprotocol | None:
        """The subprotocol that was agreed on."""
        return self.protocol.subprotocol

    @property
    def close_code(self) -> int | None:
        """The close code that was received: None before the end, 1006 without a close frame."""
        return self.protocol.close_code

    @property
    def close_reason(self) -> str | None:
        """The reason that was received: None before the end."""
        return self.protocol.close_reason

    # Receiving

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR)

    def __iter__(self) -> Iterator[Data]:
        """Yield messages until the connection is closed; one that is not closed as it should be raises."""
        try:
            while True:
                yield self.recv()
        except ConnectionClosedOK:
            return

    @overload
    def recv(self, timeout: float | None, decode: Literal[True]) -> str: ...

    @overload
    def recv(self, timeout: float | None, decode: Literal[False]) -> bytes: ...

    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...

    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[False]) -> bytes: ...

    @overload
    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data: ...

    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data:
        """Answer the next message: text as str, binary as bytes; `decode` makes it str (True) or bytes (False).

        Waits for `timeout` seconds, 0 for not at all, None for ever. Raises TimeoutError, which loses nothing,
        ConnectionClosed, and ConcurrencyError while another thread receives.
        """
        self.maybe_raise_legacy_warning()
        try:
            return self.recv_messages.get(timeout, decode)
        except EOFError:
            pass
        except ConcurrencyError:
            message = "cannot call recv while another thread is already running recv or recv_streaming"
            raise ConcurrencyError(message) from None
        except TooManyFragments as exc:
            self.set_connection_exc(exc)
            self._transmit(self.protocol.fail, CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        except UnicodeDecodeError as exc:
            self._fail_decoding(exc)
        self.recv_events_thread.join()
        raise self.close_exc

    @overload
    def recv_streaming(self, decode: Literal[True]) -> Iterator[str]: ...

    @overload
    def recv_streaming(self, decode: Literal[False]) -> Iterator[bytes]: ...

    @overload
    def recv_streaming(self, decode: bool | None = None) -> Iterator[Data]: ...

    def recv_streaming(self, decode: bool | None = None) -> Iterator[Data]:
        """Yield the next message frame by frame, each as it comes.

        It must be read to its end: before that, others cannot receive. Raises what `recv` raises.
        """
        self.maybe_raise_legacy_warning()
        try:
            yield from self.recv_messages.get_iter(decode)
        except EOFError:
            pass
        except ConcurrencyError:
            message = "cannot call recv_streaming while another thread is already running recv or recv_streaming"
            raise ConcurrencyError(message) from None
        except UnicodeDecodeError as exc:
            self._fail_decoding(exc)
        else:
            return
        self.recv_events_thread.join()
        raise self.close_exc

    def _fail_decoding(self, exc: UnicodeDecodeError) -> None:
        self.set_connection_exc(exc)
        self._transmit(self.protocol.fail, CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")

    # Sending

    def send(self, message: DataLike | Iterable[DataLike], *, text: bool | None = None) -> None:
        """Send a message: str as text, bytes as binary; `text` chooses. Items of an iterable are sent as fragments.

        Returns when the system has taken it. Raises ConnectionClosed, ConcurrencyError while another thread sends
        fragments, and TypeError for what cannot be sent; in the middle of a fragmented message that ends the connection.
        """
        self.maybe_raise_legacy_warning()
        if isinstance(message, (str, bytes, bytearray, memoryview)):
            self._transmit(self._send_part, message, text, True)
        elif isinstance(message, Mapping):
            what = "data is a dict-like object"
            raise TypeError(what)
        elif isinstance(message, Iterable):
            self._send_fragments(iter(message), text)
        else:
            what = "data must be str, bytes, or iterable"
            raise TypeError(what)

    def _send_part(self, data: DataLike, text: bool | None, fin: bool) -> None:
        if self.send_in_progress:
            message = "cannot call send while another thread is already running send"
            raise ConcurrencyError(message)
        self.send_in_progress = not fin
        if text is None:
            text = isinstance(data, str)
        payload = data.encode() if isinstance(data, str) else data
        (self.protocol.send_text if text else self.protocol.send_binary)(payload, fin)

    def _send_more(self, data: DataLike, fin: bool) -> None:
        self.protocol.send_continuation(data.encode() if isinstance(data, str) else data, fin)
        self.send_in_progress = not fin

    def _send_fragments(self, parts: Iterator[DataLike], text: bool | None) -> None:
        try:
            part = next(parts)
        except StopIteration:
            return
        try:
            if not isinstance(part, (str, bytes, bytearray, memoryview)):
                message = "iterable must contain bytes or str"
                raise TypeError(message)  # noqa: TRY301 - the connection ends with it
            is_text = isinstance(part, str)
            self._transmit(self._send_part, part, text, False)
            for part in parts:
                if not isinstance(part, str if is_text else (bytes, bytearray, memoryview)):
                    message = "iterable must contain uniform types"
                    raise TypeError(message)  # noqa: TRY301
                self._transmit(self._send_more, part, False)
            self._transmit(self._send_more, b"", True)
        except ConcurrencyError:
            raise
        except Exception:
            # A message that was begun cannot be taken back.
            self._transmit(self.protocol.fail, CloseCode.INTERNAL_ERROR, "error in fragmented message")
            raise

    # Closing

    def close(self, code: CloseCode | int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection and wait until it is closed. Closed already, it does nothing."""
        self.maybe_raise_legacy_warning()
        with contextlib.suppress(ConnectionClosed):
            self._transmit(self._begin_close, code, reason)

    def _begin_close(self, code: CloseCode | int, reason: str) -> None:
        if self.send_in_progress:
            self.protocol.fail(CloseCode.INTERNAL_ERROR, "close during fragmented message")
        else:
            self.protocol.send_close(code, reason)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection is closed, for `timeout` seconds at most; say whether it is."""
        self.recv_events_thread.join(timeout)
        return not self.recv_events_thread.is_alive()

    # Pings

    def ping(self, data: DataLike | None = None, *, ack_on_close: bool = False) -> threading.Event:
        """Send a ping and answer an event, which its pong sets; `latency` is then how long that took.

        `data` is random unless given. `ack_on_close`: the end of the connection sets the event, too. Raises
        ConnectionClosed, and ConcurrencyError for the data of a ping on its way.
        """
        self.maybe_raise_legacy_warning()
        payload = None if data is None else as_payload(data)
        answered = threading.Event()

        def send() -> None:
            chosen = payload
            if chosen in self.pending_pings:
                message = "already waiting for a pong with the same data"
                raise ConcurrencyError(message)
            while chosen is None or chosen in self.pending_pings:
                chosen = random.getrandbits(32).to_bytes(4, "big")
            self.pending_pings[chosen] = (answered, time.monotonic(), ack_on_close)
            self.protocol.send_ping(chosen)

        self._transmit(send)
        return answered

    def pong(self, data: DataLike = b"") -> None:
        """Send a pong that nobody asked for. Raises ConnectionClosed."""
        self.maybe_raise_legacy_warning()
        self._transmit(self.protocol.send_pong, as_payload(data))

    def acknowledge_pings(self, data: bytes) -> None:
        """Note a pong. It answers the pings before it, too."""
        now = time.monotonic()
        with self.protocol_mutex:
            if data not in self.pending_pings:
                return
            for payload in list(self.pending_pings):
                answered, sent, _ = self.pending_pings.pop(payload)
                if payload == data:
                    self.latency = now - sent  # before anybody who waits for it goes on
                answered.set()
                if payload == data:
                    return

    def terminate_pending_pings(self) -> None:
        """Wake those who want it, now that no pong will come. Under the lock."""
        for answered, _, ack_on_close in self.pending_pings.values():
            if ack_on_close:
                answered.set()
        self.pending_pings.clear()

    def start_keepalive(self) -> None:
        """Begin to send pings in a thread, unless `ping_interval` is None."""
        if self.ping_interval is not None:
            name = f"websocket-{self.id}-keepalive"
            self.keepalive_thread = threading.Thread(target=self.keepalive, name=name, daemon=True)
            self.keepalive_thread.start()

    def keepalive(self) -> None:
        """Send a ping every `ping_interval` and fail the connection when no pong comes within `ping_timeout`."""
        interval = cast("float", self.ping_interval)
        try:
            while not self.wait_closed(interval - self.latency):
                try:
                    answered = self.ping(ack_on_close=True)
                except ConnectionClosed:
                    return
                if self.debug:
                    self.logger.debug("% sent keepalive ping")
                if self.ping_timeout is None:
                    continue
                if not answered.wait(self.ping_timeout):
                    if self.debug:
                        self.logger.debug("- timed out waiting for keepalive pong")
                    self._transmit(self.protocol.fail, CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
                    return
                if self.debug:
                    self.logger.debug("% received keepalive pong")
        except Exception:
            self.logger.exception("keepalive ping failed")

    def maybe_raise_legacy_warning(self) -> None:
        """Note that the application uses the connection."""

    # Writing

    def _transmit(self, act: Callable[..., None], *args: Any, expected: State = OPEN) -> None:
        """Do something to the protocol and write what comes of it. Raises what `send_context` raises."""
        with self.send_context(expected_state=expected):
            act(*args)

    @contextlib.contextmanager
    def send_context(self, *, expected_state: State = OPEN) -> Iterator[None]:
        """Hold the lock of the protocol, and write what it has for the peer at the end of the block.

        Where the connection is closing, or closes by it, waits for its end. Raises ConnectionClosed unless it was open
        and the end came in time.
        """
        ends = broken = False
        with self.protocol_mutex:
            if self.protocol._state is expected_state:
                try:
                    yield
                except (ProtocolError, ConcurrencyError):
                    raise
                except Exception as exc:
                    self.logger.exception("unexpected internal error")
                    self.set_connection_exc(exc)
                    broken = True
                else:
                    ends = self.protocol.close_expected()
                    if ends:
                        self._set_close_deadline()
                    if not self._written():
                        ends, broken = False, True
            else:
                self._set_close_deadline()
                ends = broken = True
        # Without the lock, which the reader needs to come to its end.
        if ends and not self._wait_for_end():
            broken = True
        if broken:
            self.close_socket()
            self.recv_events_thread.join()
            raise self.close_exc

    def send_data(self) -> None:
        """Write what the protocol has for the peer, under the lock. Raises what the socket raises."""
        for data in self.protocol.data_to_send():
            if data:
                if self.close_deadline is not None:
                    self.socket.settimeout(self.close_deadline.timeout())
                self.socket.sendall(data)
            else:
                with contextlib.suppress(OSError):  # the peer was faster
                    self.socket.shutdown(socket.SHUT_WR)

    def _written(self) -> bool:
        """Do the same; False if that failed, which ends the connection."""
        try:
            self.send_data()
        except Exception as exc:
            if self.debug:
                self.logger.debug("! error while sending data", exc_info=True)
            self.set_connection_exc(exc)
            return False
        return True

    def _set_close_deadline(self) -> None:
        if self.close_deadline is None:
            self.close_deadline = Deadline(self.close_timeout)

    def _wait_for_end(self) -> bool:
        """Wait until the connection is lost; False if that took too long."""
        left = None if self.close_deadline is None else self.close_deadline.timeout(raise_if_elapsed=False)
        if self.wait_closed(left):
            return True
        self.set_connection_exc(TimeoutError("timed out while closing connection"))
        return False

    @property
    def close_exc(self) -> ConnectionClosed:
        """The exception for whoever uses the connection now that it is closed."""
        exc = self.protocol.close_exc
        if self.connection_exc is not None:
            exc.__cause__ = self.connection_exc
        return exc

    def set_connection_exc(self, exc: BaseException) -> None:
        """Note what ended the connection; the first one counts."""
        if self.connection_exc is None:
            self.connection_exc = exc

    def close_socket(self) -> None:
        """End the connection without further words."""
        with contextlib.suppress(OSError):  # done already
            self._notifier.send(b"x")
        self._notifier.close()
        with contextlib.suppress(OSError):
            self.socket.close()
        with self.protocol_mutex:
            self.protocol.receive_eof()
            if self.protocol._state is not CLOSED:  # it was failed before its end came
                self.protocol._ended()
            self.recv_messages.close()
            self.terminate_pending_pings()

    # Reading, in a thread of its own

    def recv_events(self) -> None:
        """Read until the end of the connection."""
        try:
            with _Poll() as poll:
                poll.register(self._watched, selectors.EVENT_READ)
                try:
                    poll.register(self.socket, selectors.EVENT_READ)
                except (OSError, ValueError):  # it was closed before we came here
                    return
                while (data := self._arrived(poll)) and self._take(data):
                    pass
            with self.protocol_mutex:
                self.protocol.receive_eof()
                events = self.protocol.events_received()
                self._written()
            for event in events:  # a response that lasts until the end
                self.process_event(event)
        except Exception as exc:
            self.logger.exception("unexpected internal error")
            self.set_connection_exc(exc)
        finally:
            self.close_socket()
            self._watched.close()
            self._opened.set()

    def _arrived(self, poll: selectors.BaseSelector) -> bytes:
        """Wait for bytes and answer them; none at the end of the stream."""
        try:
            while True:
                self._room.wait()
                sock = self.socket
                secure = isinstance(sock, (ssl_module.SSLSocket, TLSInTLS))
                # What was decrypted already makes no socket readable.
                if not (secure and self._pending(sock)) and self._watched in [key.fileobj for key, _ in poll.select()]:
                    return b""
                if not secure:
                    return sock.recv(self.recv_bufsize)
                with self.protocol_mutex:
                    data = self._recv_secure(sock)
                if data is not None:
                    return data
        except Exception as exc:
            if self.debug:
                self.logger.debug("! error while receiving data", exc_info=True)
            self.set_connection_exc(exc)
            return b""

    def _pending(self, sock: Any) -> bool:
        with self.protocol_mutex:
            return bool(sock.pending())

    def _recv_secure(self, sock: socket.socket) -> bytes | None:
        """Read without waiting, None if there is not enough: OpenSSL's connections are not for two threads at once."""
        timeout = sock.gettimeout()
        sock.settimeout(0)
        try:
            return sock.recv(self.recv_bufsize)
        except (ssl_module.SSLWantReadError, BlockingIOError):
            return None
        finally:
            sock.settimeout(timeout)

    def _take(self, data: bytes) -> bool:
        """Take bytes of the peer; False if the answer to them could not be written."""
        protocol = self.protocol
        frames: list[Received] = []
        events: list[Request | Response | Frame] = []
        with self.protocol_mutex:
            if protocol._opening is None and self._direct:
                frames = protocol.receive_frames(data)
            else:
                protocol.receive_data(data)
                events = protocol.events_received()
            written = not protocol.writes or self._written()
            if protocol.close_expected():
                self._set_close_deadline()
        if not written:
            return False
        for event in events:
            self.process_event(event)
        if frames:
            data_frames = [frame for frame in frames if frame[0] <= _BINARY]
            if data_frames:
                self.recv_messages.extend(data_frames)
            for opcode, payload, _ in frames:
                if opcode == _PONG:
                    self.acknowledge_pings(payload)
        return True

    def process_event(self, event: Request | Response | Frame) -> None:
        """Take something of `Protocol.events_received`: here a frame."""
        assert isinstance(event, Frame)  # noqa: S101 - the handshake is handled in subclasses
        if event.opcode in DATA_OPCODES:
            self.recv_messages.put(event)
        elif event.opcode is PONG:
            self.acknowledge_pings(bytes(event.data))
