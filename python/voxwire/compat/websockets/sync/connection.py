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

from voxwire.compat.websockets.asyncio.connection import Marks, as_payload
from voxwire.compat.websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
    ProtocolError,
    TooManyFragments,
)
from voxwire.compat.websockets.frames import CloseCode
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

    _overridden: ClassVar[str] = (
        "process_event recv_events send_context send_data keepalive start_keepalive acknowledge_pings "
        "terminate_pending_pings set_connection_exc maybe_raise_legacy_warning"
    )
    """Methods of the original's inside that are not called here: a subclass that has one expects what will not happen."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse subclasses that depend on the inside of the original."""
        super().__init_subclass__(**kwargs)
        names = [name for name in cls._overridden.split() if name in vars(cls)]
        if names and not cls.__module__.startswith("voxwire."):
            message = (
                f"{cls.__qualname__} overrides {', '.join(names)}, which voxwire.compat does not call; "
                "only public methods can be overridden"
            )
            raise TypeError(message)

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
        self._lock = threading.Lock()  # held by whoever uses the protocol or writes
        self._room = threading.Event()  # set while frames may be read
        self._room.set()
        high, low = max_queue if isinstance(max_queue, tuple) else (max_queue, None)
        self.recv_messages = Assembler(high, low, pause=self._room.clear, resume=self._room.set)
        self._cause: BaseException | None = None
        self._close_deadline: Deadline | None = None
        self._opened = threading.Event()  # the request or the response is there, or none will come
        self._sending = False  # a message in fragments
        self._pings: dict[bytes, tuple[threading.Event, float, bool]] = {}
        self._watched, self._notifier = socket.socketpair()  # wakes the reader
        # Daemons: a connection that nobody has closed does not keep the interpreter from ending.
        self._reader = threading.Thread(target=self._read, name=f"websocket-{self.id}", daemon=True)
        self._reader.start()

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
        self._used()
        try:
            return self.recv_messages.get(timeout, decode)
        except EOFError:
            pass
        except ConcurrencyError:
            message = "cannot call recv while another thread is already running recv or recv_streaming"
            raise ConcurrencyError(message) from None
        except TooManyFragments as exc:
            self._blame(exc)
            self._transmit(self.protocol.fail, CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        except UnicodeDecodeError as exc:
            self._fail_decoding(exc)
        self._reader.join()
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
        self._used()
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
        self._reader.join()
        raise self.close_exc

    def _fail_decoding(self, exc: UnicodeDecodeError) -> None:
        self._blame(exc)
        self._transmit(self.protocol.fail, CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")

    # Sending

    def send(self, message: DataLike | Iterable[DataLike], *, text: bool | None = None) -> None:
        """Send a message: str as text, bytes as binary; `text` chooses. Items of an iterable are sent as fragments.

        Returns when the system has taken it. Raises ConnectionClosed, ConcurrencyError while another thread sends
        fragments, and TypeError for what cannot be sent; in the middle of a fragmented message that ends the connection.
        """
        self._used()
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
        if self._sending:
            message = "cannot call send while another thread is already running send"
            raise ConcurrencyError(message)
        self._sending = not fin
        if text is None:
            text = isinstance(data, str)
        payload = data.encode() if isinstance(data, str) else data
        (self.protocol.send_text if text else self.protocol.send_binary)(payload, fin)

    def _send_more(self, data: DataLike, fin: bool) -> None:
        self.protocol.send_continuation(data.encode() if isinstance(data, str) else data, fin)
        self._sending = not fin

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
        self._used()
        with contextlib.suppress(ConnectionClosed):
            self._transmit(self._begin_close, code, reason)

    def _begin_close(self, code: CloseCode | int, reason: str) -> None:
        if self._sending:
            self.protocol.fail(CloseCode.INTERNAL_ERROR, "close during fragmented message")
        else:
            self.protocol.send_close(code, reason)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection is closed, for `timeout` seconds at most; say whether it is."""
        self._reader.join(timeout)
        return not self._reader.is_alive()

    # Pings

    def ping(self, data: DataLike | None = None, *, ack_on_close: bool = False) -> threading.Event:
        """Send a ping and answer an event, which its pong sets; `latency` is then how long that took.

        `data` is random unless given. `ack_on_close`: the end of the connection sets the event, too. Raises
        ConnectionClosed, and ConcurrencyError for the data of a ping on its way.
        """
        self._used()
        payload = None if data is None else as_payload(data)
        answered = threading.Event()

        def send() -> None:
            chosen = payload
            if chosen in self._pings:
                message = "already waiting for a pong with the same data"
                raise ConcurrencyError(message)
            while chosen is None or chosen in self._pings:
                chosen = random.getrandbits(32).to_bytes(4, "big")
            self._pings[chosen] = (answered, time.monotonic(), ack_on_close)
            self.protocol.send_ping(chosen)

        self._transmit(send)
        return answered

    def pong(self, data: DataLike = b"") -> None:
        """Send a pong that nobody asked for. Raises ConnectionClosed."""
        self._used()
        self._transmit(self.protocol.send_pong, as_payload(data))

    def _answered(self, data: bytes) -> None:
        """Note a pong. It answers the pings before it, too."""
        now = time.monotonic()
        with self._lock:
            if data not in self._pings:
                return
            for payload in list(self._pings):
                answered, sent, _ = self._pings.pop(payload)
                if payload == data:
                    self.latency = now - sent  # before anybody who waits for it goes on
                answered.set()
                if payload == data:
                    return

    def _begin_keepalive(self) -> None:
        if self.ping_interval is not None:
            name = f"websocket-{self.id}-keepalive"
            threading.Thread(target=self._keep_alive, args=(self.ping_interval,), name=name, daemon=True).start()

    def _keep_alive(self, interval: float) -> None:
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

    def _used(self) -> None:
        """Note that the application uses the connection."""

    # Writing

    def _transmit(self, act: Callable[..., None], *args: Any, expected: State = OPEN) -> None:
        """Do something to the protocol and write what comes of it.

        Where the connection is closing, or closes by it, waits for its end. Raises ConnectionClosed unless it was open
        and the end came in time.
        """
        ends = broken = False
        with self._lock:
            if self.protocol._state is expected:
                try:
                    act(*args)
                except (ProtocolError, ConcurrencyError):
                    raise
                except Exception as exc:
                    self.logger.exception("unexpected internal error")
                    self._blame(exc)
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
            self._reader.join()
            raise self.close_exc

    def _write(self) -> None:
        """Write what the protocol has for the peer, under the lock. Raises what the socket raises."""
        for data in self.protocol.data_to_send():
            if data:
                if self._close_deadline is not None:
                    self.socket.settimeout(self._close_deadline.check())
                self.socket.sendall(data)
            else:
                with contextlib.suppress(OSError):  # the peer was faster
                    self.socket.shutdown(socket.SHUT_WR)

    def _written(self) -> bool:
        """Do the same; False if that failed, which ends the connection."""
        try:
            self._write()
        except Exception as exc:
            if self.debug:
                self.logger.debug("! error while sending data", exc_info=True)
            self._blame(exc)
            return False
        return True

    def _set_close_deadline(self) -> None:
        if self._close_deadline is None:
            self._close_deadline = Deadline(self.close_timeout)

    def _wait_for_end(self) -> bool:
        """Wait until the connection is lost; False if that took too long."""
        left = None if self._close_deadline is None else self._close_deadline.left()
        if self.wait_closed(left):
            return True
        self._blame(TimeoutError("timed out while closing connection"))
        return False

    @property
    def close_exc(self) -> ConnectionClosed:
        """The exception for whoever uses the connection now that it is closed."""
        exc = self.protocol.close_exc
        if self._cause is not None:
            exc.__cause__ = self._cause
        return exc

    def _blame(self, exc: BaseException) -> None:
        """Note what ended the connection; the first one counts."""
        if self._cause is None:
            self._cause = exc

    def close_socket(self) -> None:
        """End the connection without further words."""
        with contextlib.suppress(OSError):  # done already
            self._notifier.send(b"x")
        self._notifier.close()
        with contextlib.suppress(OSError):
            self.socket.close()
        with self._lock:
            self.protocol.receive_eof()
            if self.protocol._state is not CLOSED:  # it was failed before its end came
                self.protocol._ended()
            self.recv_messages.close()
            for answered, _, ack_on_close in self._pings.values():
                if ack_on_close:
                    answered.set()
            self._pings.clear()

    # Reading, in a thread of its own

    def _read(self) -> None:
        try:
            with _Poll() as poll:
                poll.register(self._watched, selectors.EVENT_READ)
                try:
                    poll.register(self.socket, selectors.EVENT_READ)
                except (OSError, ValueError):  # it was closed before we came here
                    return
                while (data := self._arrived(poll)) and self._take(data):
                    pass
            with self._lock:
                self.protocol.receive_eof()
                self._written()
            self._open_with(self.protocol)
        except Exception as exc:
            self.logger.exception("unexpected internal error")
            self._blame(exc)
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
                with self._lock:
                    data = self._recv_secure(sock)
                if data is not None:
                    return data
        except Exception as exc:
            if self.debug:
                self.logger.debug("! error while receiving data", exc_info=True)
            self._blame(exc)
            return b""

    def _pending(self, sock: Any) -> bool:
        with self._lock:
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
        frames: list[Received]
        with self._lock:
            opening = protocol._opening is not None
            if opening:
                protocol.receive_data(data)
                frames, protocol._received = protocol._received, []
            else:
                frames = protocol.receive_frames(data)
            written = not protocol.writes or self._written()
            if protocol.close_expected():
                self._set_close_deadline()
        if not written:
            return False
        if opening:
            self._open_with(protocol)
        if frames:
            data_frames = [frame for frame in frames if frame[0] <= _BINARY]
            if data_frames:
                self.recv_messages.put(data_frames)
            for opcode, payload, _ in frames:
                if opcode == _PONG:
                    self._answered(payload)
        return True

    def _open_with(self, protocol: Protocol) -> None:
        """Take the request or the response, if it has come."""
        raise NotImplementedError
