"""`Connection`: what clients and servers have in common on asyncio: messages, pings, closing, keepalive.

The network is asyncio's transport; frames and compression are the core's (`protocol`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
import traceback
import uuid
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self, cast, overload

from voxwire.compat.websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
    ProtocolError,
    TooManyFragments,
)
from voxwire.compat.websockets.frames import DATA_OPCODES, PONG, CloseCode, Frame
from voxwire.compat.websockets.protocol import CLOSED, OPEN, State
from voxwire.compat.websockets.typing import BytesLike, Data, DataLike, LoggerLike, Subprotocol

from .messages import Assembler

if TYPE_CHECKING:
    from voxwire.compat.websockets.http11 import Request, Response
    from voxwire.compat.websockets.protocol import Protocol, Received

__all__ = ["Connection"]

Marks = int | tuple[int | None, int | None] | None
_TEXT, _BINARY, _PONG = 1, 2, 10


class Connection(asyncio.Protocol, asyncio.BufferedProtocol):
    """A WebSocket connection. Use `ClientConnection` or `ServerConnection`.

    asyncio's loop reads into a buffer of ours (`get_buffer`): for `data_received` it would ask the system for 256 KiB with
    every read, and give back what was not used. uvloop, which has a buffer of its own, calls `data_received`.
    """

    # More attributes than Python keeps compactly in a dict; subclasses and programs may add theirs.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_room",
        "_shortcut",
        "close_deadline",
        "close_timeout",
        "connection_exc",
        "connection_lost_waiter",
        "debug",
        "drain_waiters",
        "id",
        "keepalive_task",
        "latency",
        "logger",
        "loop",
        "max_queue_high",
        "max_queue_low",
        "paused",
        "pending_pings",
        "ping_interval",
        "ping_timeout",
        "protocol",
        "recv_messages",
        "request",
        "response",
        "send_in_progress",
        "transport",
        "write_limit_high",
        "write_limit_low",
    )

    _direct: ClassVar[bool] = True
    """Messages go between the core and the application without the methods that a subclass may override."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note whether a subclass depends on the inside."""
        super().__init_subclass__(**kwargs)
        inside = "process_event send_context send_data drain acknowledge_pings data_received"
        cls._direct = not overrides(cls, inside)

    def __init__(
        self,
        protocol: Protocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: Marks = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
    ) -> None:
        """Begin with a protocol; times in seconds, `max_queue` in frames, `write_limit` in bytes."""
        self.protocol = protocol
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.close_timeout = close_timeout
        self.max_queue_high, self.max_queue_low = max_queue if isinstance(max_queue, tuple) else (max_queue, None)
        self.write_limit_high, self.write_limit_low = (
            write_limit if isinstance(write_limit, tuple) else (write_limit, None)
        )
        self._shortcut = self._direct and protocol._direct
        # Records of the log name the connection they are about.
        protocol.logger = logging.LoggerAdapter(
            cast("logging.Logger", protocol.logger), {"websocket": weakref.proxy(self)}
        )
        self.id: uuid.UUID = protocol.id
        self.logger: LoggerLike = protocol.logger
        self.debug = protocol.debug
        self.request: Request | None = None
        self.response: Response | None = None
        self.loop = asyncio.get_running_loop()
        self.latency: float = 0.0
        self.transport: asyncio.Transport
        self._room = room_to_read()
        self.recv_messages = Assembler(self.max_queue_high, self.max_queue_low)
        self.connection_lost_waiter: asyncio.Future[None] = self.loop.create_future()
        self.connection_exc: BaseException | None = None
        self.close_deadline: float | None = None
        self.send_in_progress: asyncio.Future[None] | None = None  # while a message goes out in fragments
        self.pending_pings: dict[bytes, tuple[asyncio.Future[float], float]] = {}
        self.keepalive_task: asyncio.Task[None] | None = None
        self.paused = False  # the transport's buffer is above its mark
        self.drain_waiters: list[asyncio.Future[None]] = []

    # Attributes

    @property
    def local_address(self) -> Any:
        """Our address, as `socket.getsockname()` gives it."""
        return self.transport.get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """The peer's address, as `socket.getpeername()` gives it."""
        return self.transport.get_extra_info("peername")

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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR)

    async def __aiter__(self) -> AsyncIterator[Data]:
        """Yield messages until the connection is closed; one that is not closed as it should be raises."""
        try:
            while True:
                yield await self.recv()
        except ConnectionClosedOK:
            return

    @overload
    async def recv(self, decode: Literal[True]) -> str: ...

    @overload
    async def recv(self, decode: Literal[False]) -> bytes: ...

    @overload
    async def recv(self, decode: bool | None = None) -> Data: ...

    async def recv(self, decode: bool | None = None) -> Data:
        """Answer the next message: text as str, binary as bytes; `decode` makes it str (True) or bytes (False).

        Cancelled, it loses nothing. Raises ConnectionClosed, and ConcurrencyError while another coroutine receives.
        """
        try:
            return await self.recv_messages.get(decode)
        except EOFError:
            pass
        except ConcurrencyError:
            message = "cannot call recv while another coroutine is already running recv or recv_streaming"
            raise ConcurrencyError(message) from None
        except TooManyFragments as exc:
            self.set_connection_exc(exc)
            await self._transmit(self.protocol.fail, CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        except UnicodeDecodeError as exc:
            await self._fail_decoding(exc)
        await asyncio.shield(self.connection_lost_waiter)
        raise self.close_exc

    @overload
    def recv_streaming(self, decode: Literal[True]) -> AsyncIterator[str]: ...

    @overload
    def recv_streaming(self, decode: Literal[False]) -> AsyncIterator[bytes]: ...

    @overload
    def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]: ...

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]:
        """Yield the next message frame by frame, each as it comes.

        It must be read to its end: before that, others cannot receive. Raises what `recv` raises.
        """
        try:
            async for part in self.recv_messages.get_iter(decode):
                yield part
        except EOFError:
            pass
        except ConcurrencyError:
            message = "cannot call recv_streaming while another coroutine is already running recv or recv_streaming"
            raise ConcurrencyError(message) from None
        except UnicodeDecodeError as exc:
            await self._fail_decoding(exc)
        else:
            return
        await asyncio.shield(self.connection_lost_waiter)
        raise self.close_exc

    async def _fail_decoding(self, exc: UnicodeDecodeError) -> None:
        self.set_connection_exc(exc)
        await self._transmit(self.protocol.fail, CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")

    # Sending

    async def send(
        self, message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike], *, text: bool | None = None
    ) -> None:
        """Send a message: str as text, bytes as binary; `text` chooses. Items of an iterable are sent as fragments.

        Waits while the transport's buffer is above `write_limit`. Raises ConnectionClosed, and TypeError for what cannot
        be sent; in the middle of a fragmented message that ends the connection.
        """
        while self.send_in_progress is not None:
            await asyncio.shield(self.send_in_progress)
        # The way of nearly every message; what it cannot do is left to the way below.
        protocol = self.protocol
        simple = protocol._state is OPEN and not protocol.expect_continuation_frame and not self.debug
        if simple and self._shortcut and (frame := self._framed(message, text)) is not None:
            self.transport.write(frame)
            if self.paused or self.transport.is_closing():
                await self._drain_or_end()
            return
        if isinstance(message, (str, bytes, bytearray, memoryview)):
            await self._transmit(self._send_part, message, text, True)
        elif isinstance(message, Mapping):
            what = "data is a dict-like object"
            raise TypeError(what)
        elif isinstance(message, Iterable):
            await self._send_fragments(_each(message), text, "iterable")
        elif isinstance(message, AsyncIterable):
            await self._send_fragments(message, text, "async iterable")
        else:
            what = "data must be str, bytes, iterable, or async iterable"
            raise TypeError(what)

    def _framed(self, message: object, text: bool | None) -> bytes | None:
        """Answer the frame of a message, if that is simple."""
        frames = self.protocol.frames
        if type(message) is str:
            try:
                return frames.text_frame(_BINARY if text is False else _TEXT, message, True)
            except UnicodeEncodeError:
                return None
        if type(message) is bytes:
            return frames.frame(_TEXT if text else _BINARY, message, True)
        return None

    def _send_part(self, data: DataLike, text: bool | None, fin: bool) -> None:
        if text is None:
            text = isinstance(data, str)
        payload = data.encode() if isinstance(data, str) else data
        (self.protocol.send_text if text else self.protocol.send_binary)(payload, fin)

    def _send_more(self, data: DataLike, fin: bool) -> None:
        self.protocol.send_continuation(data.encode() if isinstance(data, str) else data, fin)

    async def _send_fragments(self, parts: AsyncIterable[DataLike], text: bool | None, what: str) -> None:
        iterator = aiter(parts)
        try:
            part = await anext(iterator)
        except StopAsyncIteration:
            return
        self.send_in_progress = self.loop.create_future()
        try:
            if not isinstance(part, (str, bytes, bytearray, memoryview)):
                message = f"{what} must contain bytes or str"
                raise TypeError(message)  # noqa: TRY301 - the connection ends with it
            is_text = isinstance(part, str)
            await self._transmit(self._send_part, part, text, False)
            async for part in iterator:
                if not isinstance(part, str if is_text else (bytes, bytearray, memoryview)):
                    message = f"{what} must contain uniform types"
                    raise TypeError(message)  # noqa: TRY301
                await self._transmit(self._send_more, part, False)
            await self._transmit(self._send_more, b"", True)
        except Exception:
            # A message that was begun cannot be taken back.
            await self._transmit(self.protocol.fail, CloseCode.INTERNAL_ERROR, "error in fragmented message")
            raise
        finally:
            self.send_in_progress.set_result(None)
            self.send_in_progress = None

    # Closing

    async def close(self, code: CloseCode | int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection and wait until it is closed. Closed already, it does nothing."""
        try:
            if self.send_in_progress is not None:
                await self._transmit(self.protocol.fail, CloseCode.INTERNAL_ERROR, "close during fragmented message")
            else:
                await self._transmit(self.protocol.send_close, code, reason)
        except ConnectionClosed:
            pass

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        await asyncio.shield(self.connection_lost_waiter)

    # Pings

    async def ping(self, data: DataLike | None = None) -> Awaitable[float]:
        """Send a ping and answer a future, which gives the seconds until its pong.

        `data` is random unless given. Raises ConnectionClosed, and ConcurrencyError for the data of a ping on its way.
        """
        payload = None if data is None else as_payload(data)
        answered: asyncio.Future[float] = self.loop.create_future()

        def send() -> None:
            chosen = payload
            if chosen in self.pending_pings:
                message = "already waiting for a pong with the same data"
                raise ConcurrencyError(message)
            while chosen is None or chosen in self.pending_pings:
                chosen = random.getrandbits(32).to_bytes(4, "big")
            self.pending_pings[chosen] = (answered, time.monotonic())
            self.protocol.send_ping(chosen)

        await self._transmit(send)
        return answered

    async def pong(self, data: DataLike = b"") -> None:
        """Send a pong that nobody asked for. Raises ConnectionClosed."""
        await self._transmit(self.protocol.send_pong, as_payload(data))

    def acknowledge_pings(self, data: bytes) -> None:
        """Note a pong. It answers the pings before it, too."""
        if data not in self.pending_pings:
            return
        now = time.monotonic()  # uvloop's own clock stands still within a turn
        for payload in list(self.pending_pings):
            answered, sent = self.pending_pings.pop(payload)
            if not answered.done():
                answered.set_result(now - sent)
            if payload == data:
                self.latency = now - sent
                return

    def terminate_pending_pings(self) -> None:
        """Tell those who wait for a pong that none will come."""
        exc = self.protocol.close_exc
        for answered, _ in self.pending_pings.values():
            if not answered.done():
                answered.set_exception(exc)
                answered.exception()  # nobody has to ask
        self.pending_pings.clear()

    def start_keepalive(self) -> None:
        """Begin to send pings, unless `ping_interval` is None."""
        if self.ping_interval is not None:
            self.keepalive_task = self.loop.create_task(self.keepalive())

    async def keepalive(self) -> None:
        """Send a ping every `ping_interval` and fail the connection when no pong comes within `ping_timeout`."""
        interval, latency = cast("float", self.ping_interval), 0.0
        try:
            while True:
                await asyncio.sleep(interval - latency)
                answered = await self.ping()
                if self.debug:
                    self.logger.debug("% sent keepalive ping")
                if self.ping_timeout is None:
                    continue
                try:
                    async with asyncio.timeout(self.ping_timeout):
                        latency = await answered
                except TimeoutError:
                    if self.debug:
                        self.logger.debug("- timed out waiting for keepalive pong")
                    # Cancelled by the end of the connection, which this waits for.
                    await self._transmit(self.protocol.fail, CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
                else:
                    if self.debug:
                        self.logger.debug("% received keepalive pong")
        except ConnectionClosed:
            pass
        except Exception:
            self.logger.exception("keepalive ping failed")

    # Writing

    async def _transmit(self, act: Callable[..., None], *args: Any, expected: State = OPEN) -> None:
        """Do something to the protocol and write what comes of it. Raises what `send_context` raises."""
        async with self.send_context() if expected is OPEN else self.send_context(expected_state=expected):
            act(*args)

    @contextlib.asynccontextmanager
    async def send_context(self, *, expected_state: State = OPEN) -> AsyncIterator[None]:
        """Write what the protocol has for the peer at the end of the block.

        Where the connection is closing, or closes by it, waits for its end. Raises ConnectionClosed unless it was open
        and the end came in time.
        """
        protocol = self.protocol
        if protocol._state is not expected_state:
            self._set_close_deadline()
            await self._wait_for_end()
            await self._end()
        try:
            yield
        except (ProtocolError, ConcurrencyError):
            raise
        except Exception as exc:
            self.logger.exception("unexpected internal error")
            self.set_connection_exc(exc)
            await self._end()
        ends = protocol.close_expected()
        if ends:
            self._set_close_deadline()
        try:
            self.send_data()
        except Exception as exc:  # noqa: BLE001 - whatever the transport raises ends it
            await self._broken(exc)
        await self._drain_or_end()
        if ends and not await self._wait_for_end():
            await self._end()

    async def _drain_or_end(self) -> None:
        """Wait until the transport takes more. Raises ConnectionClosed."""
        try:
            await self.drain()
        except Exception as exc:  # noqa: BLE001 - whatever the transport raises ends it
            await self._broken(exc)

    async def _broken(self, exc: Exception) -> NoReturn:
        if self.debug:
            self.logger.debug("! error while sending data", exc_info=exc)
        self.set_connection_exc(exc)
        await self._end()

    async def _end(self) -> NoReturn:
        """End the connection without further words. Raises ConnectionClosed."""
        self.transport.abort()
        await asyncio.shield(self.connection_lost_waiter)
        raise self.close_exc

    def _set_close_deadline(self) -> None:
        if self.close_deadline is None and self.close_timeout is not None:
            self.close_deadline = self.loop.time() + self.close_timeout

    async def _wait_for_end(self) -> bool:
        """Wait until the connection is lost; False if that took too long."""
        try:
            async with asyncio.timeout_at(self.close_deadline):
                await asyncio.shield(self.connection_lost_waiter)
        except TimeoutError:
            self.set_connection_exc(TimeoutError("timed out while closing connection"))
            return False
        return True

    def send_data(self) -> None:
        """Write what the protocol has for the peer."""
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof():
                if self.debug:
                    self.logger.debug("x half-closing TCP connection")
                with contextlib.suppress(OSError, RuntimeError):  # the peer was faster
                    self.transport.write_eof()
            else:
                if self.debug:
                    self.logger.debug("x closing TCP connection")
                self.transport.close()

    async def drain(self) -> None:
        """Wait until the transport's buffer is below its mark. Raises what ended the connection."""
        if self.transport.is_closing():
            await asyncio.sleep(0)
        if self.paused:
            waiter = self.loop.create_future()
            self.drain_waiters.append(waiter)
            try:
                await waiter
            finally:
                self.drain_waiters.remove(waiter)

    @property
    def close_exc(self) -> ConnectionClosed:
        """The exception for whoever uses the connection now that it is closed."""
        exc = self.protocol.close_exc
        if self.connection_exc is not None:
            exc.__cause__ = self.connection_exc
        return exc

    def set_connection_exc(self, exc: BaseException | None) -> None:
        """Note what ended the connection; the first one counts."""
        if self.connection_exc is None:
            self.connection_exc = exc

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to use a transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.recv_messages.pause = self.transport.pause_reading
        self.recv_messages.resume = self.transport.resume_reading
        self.transport.set_write_buffer_limits(self.write_limit_high, self.write_limit_low)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        protocol = self.protocol
        if protocol._opening is not None or not self._shortcut:
            protocol.receive_data(data)
            events = protocol.events_received()
            self._reply()
            for event in events:
                self.process_event(event)
            return
        self._receive(data)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Answer where the loop puts bytes of the peer."""
        del sizehint
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes of the peer that were put there."""
        data = self._room[:nbytes]
        if self.protocol._opening is not None or not self._shortcut:
            self.data_received(bytes(data))
        else:
            self._receive(data)

    def _receive(self, data: bytes | memoryview) -> None:
        protocol = self.protocol
        frames = protocol.receive_frames(data)
        if protocol.writes or protocol._state is not OPEN:
            self._reply()
        if len(frames) == 1 and frames[0][0] <= _BINARY:
            self.recv_messages.extend(frames)
        elif frames:
            self._take(frames)

    def _take(self, frames: list[Received]) -> None:
        data_frames = [frame for frame in frames if frame[0] <= _BINARY]
        if data_frames:
            self.recv_messages.extend(data_frames)
        for opcode, data, _ in frames:
            if opcode == _PONG:
                self.acknowledge_pings(data)

    def process_event(self, event: Request | Response | Frame) -> None:
        """Take something of `Protocol.events_received`: here a frame."""
        assert isinstance(event, Frame)  # noqa: S101 - the handshake is handled in subclasses
        if event.opcode in DATA_OPCODES:
            self.recv_messages.put(event)
        elif event.opcode is PONG:
            self.acknowledge_pings(bytes(event.data))

    def _reply(self) -> None:
        """Write what the protocol answers by itself: pongs, close frames."""
        try:
            self.send_data()
        except Exception as exc:
            if self.debug:
                self.logger.debug("! error while sending data", exc_info=True)
            self.set_connection_exc(exc)
        if self.protocol.close_expected():
            self._set_close_deadline()

    def eof_received(self) -> None:
        """Take the end of what the peer sends; the transport closes then."""
        protocol = self.protocol
        protocol.receive_eof()
        events = protocol.events_received()
        self.send_data()
        for event in events:  # a response that lasts until the end
            self.process_event(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        protocol = self.protocol
        protocol.receive_eof()
        if protocol._state is not CLOSED:  # it was failed before its end came
            protocol._ended()
        self.set_connection_exc(exc)
        self.recv_messages.close()
        self.terminate_pending_pings()
        if self.keepalive_task is not None:
            self.keepalive_task.cancel()
            self.keepalive_task = None
        self.connection_lost_waiter.set_result(None)
        if self.paused:
            self.paused = False
            for waiter in self.drain_waiters:
                if not waiter.done():
                    if exc is None:
                        waiter.set_result(None)
                    else:
                        waiter.set_exception(exc)

    def pause_writing(self) -> None:
        """Note that the transport's buffer is above its mark."""
        self.paused = True

    def resume_writing(self) -> None:
        """Note that it is below again."""
        self.paused = False
        for waiter in self.drain_waiters:
            if not waiter.done():
                waiter.set_result(None)


def broadcast(
    connections: Iterable[Connection], message: DataLike, *, text: bool | None = None, raise_exceptions: bool = False
) -> None:
    """Send a message to all connections that are open, without waiting for slow ones.

    What fails for one is logged, or with `raise_exceptions` raised in an ExceptionGroup when all others have it. Raises
    TypeError for what is neither str nor bytes.
    """
    if not isinstance(message, (str, bytes, bytearray, memoryview)):
        what = "data must be str or bytes"
        raise TypeError(what)
    if text is None:
        text = isinstance(message, str)
    payload = message.encode() if isinstance(message, str) else message
    failures: list[Exception] = []
    for connection in connections:
        protocol = connection.protocol
        if protocol._state is not OPEN:
            continue
        if connection.send_in_progress is not None:
            if raise_exceptions:
                failures.append(ConcurrencyError("sending a fragmented message"))
            else:
                connection.logger.warning("skipped broadcast: sending a fragmented message")
            continue
        try:
            (protocol.send_text if text else protocol.send_binary)(payload)
            connection.send_data()
        except Exception as exc:  # noqa: BLE001 - the others shall have the message
            if raise_exceptions:
                failure = RuntimeError("failed to write message")
                failure.__cause__ = exc
                failures.append(failure)
            else:
                words = traceback.format_exception_only(exc)[0].strip()
                connection.logger.warning("skipped broadcast: failed to write message: %s", words)
    if failures:
        what = "skipped broadcast"
        raise ExceptionGroup(what, failures)


_rooms = threading.local()
_ROOM = 256 * 1024


def room_to_read() -> memoryview:
    """Answer the buffer of this thread's loop: what is read is taken apart before anything else is read."""
    room: memoryview | None = getattr(_rooms, "room", None)
    if room is None:
        room = _rooms.room = memoryview(bytearray(_ROOM))
    return room


def overrides(cls: type, names: str) -> bool:
    """Say whether a class, or a base of it that is neither ours nor asyncio's, has methods of these names."""
    theirs = [base for base in cls.__mro__ if not base.__module__.startswith(("voxwire.compat.", "asyncio."))]
    return any(name in vars(base) for base in theirs for name in names.split())


def as_payload(data: DataLike) -> bytes:
    """Answer the payload of a ping or pong. Raises TypeError."""
    if isinstance(data, BytesLike):
        return bytes(data)
    if isinstance(data, str):
        return data.encode()
    message = "data must be str or bytes-like"
    raise TypeError(message)


async def _each(items: Iterable[DataLike]) -> AsyncIterator[DataLike]:
    for item in items:
        yield item
