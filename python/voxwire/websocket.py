"""`WebSocket`: what people call. What the core reports is in `link`; the protocol is in the core."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, Unpack

from . import _core
from .checks import check_close
from .discretion import public
from .enums import WebSocketAudioEncoding, WebSocketEvents, WebSocketReadyState
from .errors import ConnectionClosed, InvalidState
from .events import (
    CloseEvent,
    CreatedEvent,
    ErrorEvent,
    MarkEvent,
    MediaDiscardedEvent,
    MediaEndedEvent,
    MediaStartedEvent,
    MessageEvent,
    OpenEvent,
    ReconnectingEvent,
    SpeechEndedEvent,
    SpeechStartedEvent,
)
from .link import CONNECTING, MESSAGE, OPEN, Link
from .media import MediaSource, TagParameters, tag_of
from .parameters import Settings, WebSocketParameters, parse
from .routes import Heard, RouteStatus, statuses
from .target import OnHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType

    from .statistics import WebSocketStatistics

_NORMAL_ENDS = (1000, 1001, 1005)


class WebSocket(Link, MediaSource):
    """A WebSocket: messages with handlers or with `await`, and live audio.

    With handlers, as in VoxEngine and the browser: `ws = WebSocket(url)`, then `ws.onmessage = …` or
    `ws.addEventListener(WebSocketEvents.MESSAGE, …)`. With await: `async with WebSocket(url) as ws: await ws.recv()`.

    Messages go to the MESSAGE handlers; without any they wait for `recv()`, and once `receive_buffer` is full the
    connection stops reading. A WebSocket lives until its CLOSE event, whether you keep it or not.

    With `reconnect` a connection that fails or is lost is made again: the state goes back to connecting, RECONNECTING
    fires, then OPEN once more. ERROR and CLOSE come when the policy gave up or after `close()`. A message reaches the peer
    at most once: nothing is sent again, and nothing is queued while there is no connection.
    """

    oncreated = OnHandler[CreatedEvent](WebSocketEvents.CREATED)
    onopen = OnHandler[OpenEvent](WebSocketEvents.OPEN)
    onmessage = OnHandler[MessageEvent](WebSocketEvents.MESSAGE)
    onerror = OnHandler[ErrorEvent](WebSocketEvents.ERROR)
    onclose = OnHandler[CloseEvent](WebSocketEvents.CLOSE)
    onmediastarted = OnHandler[MediaStartedEvent](WebSocketEvents.MEDIA_STARTED)
    onreconnecting = OnHandler[ReconnectingEvent](WebSocketEvents.RECONNECTING)
    onmediadiscarded = OnHandler[MediaDiscardedEvent](WebSocketEvents.MEDIA_DISCARDED)
    onspeechstarted = OnHandler[SpeechStartedEvent](WebSocketEvents.SPEECH_STARTED)
    onspeechended = OnHandler[SpeechEndedEvent](WebSocketEvents.SPEECH_ENDED)
    onmark = OnHandler[MarkEvent](WebSocketEvents.MARK)
    onmediaended = OnHandler[MediaEndedEvent](WebSocketEvents.MEDIA_ENDED)

    def __init__(
        self, url: str, parameters: WebSocketParameters | None = None, **options: Unpack[WebSocketParameters]
    ) -> None:
        """Open a connection to a ws:// or wss:// URL; CREATED fires on the loop's next turn.

        Parameters may be an object, as in VoxEngine, or keyword arguments. Raises InvalidURL, InvalidParameter, TypeError
        (an unknown parameter), InvalidState (no running loop), NotImplementedError (the loop has no `add_reader`). What
        fails later is an ERROR event.
        """
        super().__init__(_core.check_url(url), parse(parameters, options))
        self._loop.call_soon(self._begin)

    @classmethod
    def _accept(cls, connection: _core.Connection, url: str, headers: _core.Headers, settings: Settings) -> WebSocket:
        websocket = cls.__new__(cls)
        Link.__init__(websocket, url, settings, connection, headers)
        return websocket

    # What it is

    def id(self) -> str:
        """Answer the connection's id, a random UUID."""
        return self._settings.identity

    @property
    def readyState(self) -> WebSocketReadyState:
        """The state. It changes when the event that changes it is handled."""
        return self._state

    @property
    def url(self) -> str:
        """The URL, normalised; of an incoming connection the one that was asked for."""
        return self._url

    @property
    def protocol(self) -> str:
        """The subprotocol that was chosen; empty when none was, and before OPEN."""
        return self._protocol

    @property
    def extensions(self) -> str:
        """The extensions that were agreed on; empty when there are none, and before OPEN."""
        return self._extensions

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers of the server's response; of an incoming connection those of the request."""
        lines = self._headers.split("\n") if self._headers else ()
        return [(name, value) for name, _, value in (line.partition(":") for line in lines)]

    @property
    def bufferedAmount(self) -> int:
        """Bytes of messages that `send` took and that the operating system has not; never shrinks after the close.

        While a lost connection waits for its next attempt, these are the bytes that were lost with it.
        """
        return self._connection.buffered_amount

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Our address and port; None before the connection is made, and of a Unix socket."""
        return self._connection.local_address

    @property
    def remote_address(self) -> tuple[str, int] | None:
        """The address and port of the peer, or of the proxy to it; None before the connection is made, and of a Unix socket."""
        return self._connection.remote_address

    def statistics(self) -> WebSocketStatistics:
        """Answer the counters as they are now."""
        return self._statistics()

    def __repr__(self) -> str:
        """Name id and state, and the URL unless the connection is private."""
        where = "" if self._settings.privacy else f" {public(self._url)}"
        return f"<WebSocket {self._settings.identity} {self._state}{where}>"

    # Sending and closing: `send` is the core's

    @staticmethod
    def _bytes_like(data: Any) -> memoryview:
        try:
            view = memoryview(data)
        except TypeError:
            message = f"send() takes str or a bytes-like object, not {type(data).__name__}"
            raise TypeError(message) from None
        return view if view.c_contiguous else memoryview(view.tobytes())

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Begin the close handshake; CLOSE tells when it is done. A second close is ignored.

        `code` is 1000 or 3000 to 4999; without one the peer sees 1005. `reason` has at most 123 UTF-8 bytes and needs a
        code. While connecting, the attempt ends with ERROR and CLOSE 1006. Raises InvalidParameter, TypeError.
        """
        check_close(code, reason)
        self._shut(None if code is None else int(code), reason)

    # The Python way

    async def wait_open(self) -> None:
        """Return when the connection is open. Raises the error that failed it, or ConnectionClosed.

        With `reconnect` it waits until an attempt succeeds or there are no more.
        """
        await self._waiters.until(lambda: self._state is OPEN or self._closed is not None)
        if self._closed is not None:
            raise self._error or self._closed_error()

    async def wait_closed(self) -> CloseEvent:
        """Return the CLOSE event, when it fires or if it did."""
        await self._waiters.until(lambda: self._closed is not None)
        assert self._closed is not None  # noqa: S101 - for the type checker
        return self._closed

    async def recv(self) -> str | bytes:
        """Return the next message. A cancelled recv loses none.

        Raises ConnectionClosed when there is none left, InvalidState with MESSAGE handlers or a recv in another task.
        """
        take = self._inbox.take
        # None: nothing is there, or it is the turn of others.
        while (data := take()) is None:
            await self._more()
        return data

    def _more(self) -> Awaitable[None]:
        """Answer what to wait for when `recv` has got nothing."""
        if self._order.get(MESSAGE):
            message = "recv() gets nothing: the MESSAGE handlers take the messages; remove them, or use only them"
            raise InvalidState(message)
        if len(self._inbox):
            # A loop over messages that are all there would never wait, and so keep the others from running.
            return asyncio.sleep(0)
        if self._closed is not None:
            raise self._closed_error() from self._error
        self._waiters.check_process()
        future = self._inbox.wait(self._loop)
        if future is None:
            message = "recv() is already being waited for; two at once would share the messages out at random"
            raise InvalidState(message)
        return future

    async def drain(self) -> None:
        """Return when all that was sent is with the operating system.

        Raises ConnectionClosed when the connection is lost before, InvalidState while connecting.
        """
        if self._state is CONNECTING:
            message = "the WebSocket is still connecting: there is nothing to drain"
            raise InvalidState(message)
        if self._connection.request_drain():
            return
        before, lost = self._drained, self._loss
        await self._waiters.until(lambda: self._drained != before or self._closed is not None or self._loss is not lost)
        if self._drained == before and self._loss is not None and self._loss is not lost:
            raise self._loss()
        if self._closed is not None and not self._closed.wasClean:  # the core calls off the wait, too
            raise self._closed_error() from self._error

    async def ping(self, payload: bytes | None = None) -> float:
        """Send a ping and return the seconds until its pong; `payload` (at most 125 bytes) is random by default.

        Raises ConnectionClosed when the connection closes before, InvalidState while connecting, InvalidParameter.
        """
        if self._closed is not None:
            raise self._closed_error() from self._error
        if self._state is not OPEN:
            message = f"a ping needs an open WebSocket, this one is {self._state}"
            raise InvalidState(message)
        return await self._pings.send(payload, self._connection.ping)

    def __aiter__(self) -> Self:
        """Answer the WebSocket itself: iterating gives its messages."""
        return self

    async def __anext__(self) -> str | bytes:
        """Return the next message; ends at a clean close without an error code, else raises ConnectionClosed."""
        try:
            return await self.recv()
        except ConnectionClosed as closed:
            if closed.wasClean and closed.code in _NORMAL_ENDS:
                raise StopAsyncIteration from None
            raise

    async def __aenter__(self) -> Self:
        """Wait until it is open; raises what failed it."""
        try:
            await self.wait_open()
        except BaseException:
            self._shut(None, "")
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, with 1000 or, when the block raised, 1011; and wait until it is closed."""
        self._shut(1000 if kind is None else 1011, "")
        await self.wait_closed()

    # Audio

    def clearMediaBuffer(self, parameters: TagParameters | None = None, **options: Unpack[TagParameters]) -> float:
        """Drop the audio that was received and not played yet, of one tag or of all; answers the milliseconds dropped."""
        tag = tag_of(parameters, options)
        return self._connection.clear_media(tag)

    def buffered_media(self, parameters: TagParameters | None = None, **options: Unpack[TagParameters]) -> float:
        """Answer how many milliseconds of received audio wait to be played: of one tag, or of the tag that has most."""
        return self._connection.buffered_media(tag_of(parameters, options))

    def level(self, parameters: TagParameters | None = None, **options: Unpack[TagParameters]) -> _core.Level:
        """Answer how loud the last 400 ms of received audio were that were played, in dBFS: of one tag, or of the loudest.

        `rms` and `peak` are negative infinity for silence and when nothing was played. Raises InvalidState without the
        parameter `levels`.
        """
        if not self._settings.levels:
            message = "the level is measured only with the parameter levels=True"
            raise InvalidState(message)
        return self._connection.media_level(tag_of(parameters, options))

    def pauseMedia(self, parameters: TagParameters | None = None, **options: Unpack[TagParameters]) -> None:
        """Stop playing what is received, of one tag or of all, until `resumeMedia`; streams that start later are paused, too.

        What comes meanwhile waits, up to `playout_buffer`; beyond it is discarded (MEDIA_DISCARDED). Silence does not count:
        MEDIA_ENDED fires during a pause only for a stream that was stopped and has nothing left to play.
        """
        self._connection.pause_media(tag_of(parameters, options), True)

    def resumeMedia(self, parameters: TagParameters | None = None, **options: Unpack[TagParameters]) -> None:
        """Go on where `pauseMedia` stopped, of one tag or of all; it is heard with the next frame.

        What waits is that much behind; `clearMediaBuffer` before it goes on with what comes next.
        """
        self._connection.pause_media(tag_of(parameters, options), False)

    def mark(self, name: str, tag: str | None = None) -> asyncio.Future[bool]:
        """Mark the end of the audio that was received and not played yet, of one tag or of all.

        When it has been played MARK fires, and what this returns is True; or False, when some of it was dropped. With
        nothing to be played that is on the loop's next turn. Marks of one tag fire in their order. Raises InvalidState
        when 1000 marks wait or the WebSocket is closed, InvalidParameter.
        """
        tag = tag_of(None, {} if tag is None else {"tag": tag})
        if self._closed is not None:
            message = "a mark needs a WebSocket that plays audio, this one is closed"
            raise InvalidState(message)

        def set_mark(identity: int) -> None:
            if self._retry is None:
                self._connection.mark_media(tag, identity)
            else:  # the lost connection tells nothing any more
                self._loop.call_soon(self._on_mark, identity, True)

        return self._marks.set(self._loop, name, tag, set_mark)

    def routes(self) -> list[RouteStatus]:
        """Answer whom this WebSocket sends audio to, and who sends to it."""
        return statuses(self)

    def _sink(self) -> _core.Connection:
        return self._audible

    def _source(self) -> _core.Connection:
        return self._connection

    def _is_over(self) -> bool:
        return self._closed is not None

    def _may_return(self) -> bool:
        return self._outage is not None and self._closed is None

    def _heard(self) -> Heard:
        now = self._statistics()
        return Heard(now.media_lost, now.media_concealed_ms, now.media_discarded_ms)

    def _waiting(self) -> float:
        return self._connection.buffered_media(None)

    def _default_encoding(self) -> str:
        return WebSocketAudioEncoding.PCM16_8KHZ
