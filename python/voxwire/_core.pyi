"""The compiled core: handles on what lives in Rust, and the event queue to asyncio.

Internal: people import `voxwire`. All methods are called on the thread of the loop that owns the bridge, unless
one says otherwise. Times are seconds, sizes bytes.
"""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, TypeAlias, final

from typing_extensions import Buffer, disjoint_base

from .compression import Compression
from .enums import WebSocketReadyState
from .opus import OpusParameters
from .voice import VoiceActivity

Headers: TypeAlias = list[tuple[str, str]]
Address: TypeAlias = tuple[str, int]
RouteFigures: TypeAlias = tuple[int, bool, bool, float, float, float]
"""Of a route: rate at the target in Hz, whether audio is on its way, whether it is mixed with that of others; milliseconds
that wait to be mixed, that went to the target, that came faster than the clock of the mix.
"""

__version__: str

class ConnectionSink(Protocol):
    """What a connection reports to; each method is called on the loop's thread, in the order things happened."""

    def on_open(self, protocol: str, extensions: str, headers: Headers, /) -> None: ...
    def on_message(self, data: str | bytes, cost: int, /) -> bool | None:
        """A message. True: the sink keeps it and calls `release(cost)` when it is consumed; else it is consumed."""

    def on_error(self, error: Exception, /) -> None:
        """An exception of `voxwire.errors`. A media error leaves the connection open; others are followed by on_close."""

    def on_close(self, code: int, reason: str, was_clean: bool, /) -> None: ...
    def on_media_started(self, tag: str, encoding: str, custom_parameters: str | None, /) -> None:
        """`encoding` is the wire name; `custom_parameters` is JSON text."""

    def on_media_ended(self, tag: str, duration: float, /) -> None:
        """`duration` in milliseconds."""

    def on_media_discarded(self, tag: str, duration: float, /) -> None:
        """`duration` in milliseconds."""

    def on_speech_started(self, tag: str, position: float, /) -> None:
        """`position` in milliseconds of what came in."""

    def on_speech_ended(self, tag: str, position: float, duration: float, /) -> None:
        """Both in milliseconds."""

    def on_mark(self, identity: int, played: bool, /) -> None:
        """What `mark_media` marked was played; or (False) some of it was dropped."""

    def on_route_ended(self, route: int, why: str, figures: RouteFigures, /) -> None:
        """A route from it has ended: "stopped", "replaced", "source" or "target" (which of the two is gone)."""

    def on_drained(self) -> None:
        """Asked for by `request_drain`: all that was sent is with the operating system."""

    def on_pong(self, payload: bytes, /) -> None: ...
    @property
    def endpoint(self) -> Endpoint:
        """Takes messages first; `on_message` hears of what that does not take."""

class ListenerSink(Protocol):
    """What a listener reports to."""

    def on_connection(
        self, connection: Connection, path: str, headers: Headers, peer: Address | None, /
    ) -> ConnectionSink:
        """A connection whose handshake was answered; it reads nothing before `connection.start()`."""

    def on_request(self, question: Question, /) -> None:
        """With `ask`: a request that waits for an answer. A question that is let go without one is answered with 500."""

    def on_withdrawn(self, question: int, late: bool, /) -> None:
        """Nobody waits for the answer to the question with this id any more; `late`: its time is over."""

    def on_refused(self, status: int, reason: str, peer: Address | None, /) -> None:
        """A connection was refused: 503, the cap was reached; 403, its origin is none of `origins`."""

    def on_stopped(self) -> None: ...

class UnitSink(Protocol):
    """What a recorder, a player, an audio unit or a conference reports to."""

    def on_route_ended(self, route: int, why: str, figures: RouteFigures, /) -> None:
        """As of a connection."""

    def on_readable(self) -> None:
        """AudioUnit, ToneDetector: `read` has something (called once for each time it had run empty)."""

    def on_writable(self) -> None:
        """AudioUnit, Player: asked for by `request_writable`, `request_bytes`. ToneGenerator: all is played."""

    def on_file_completed(self, path: str, /) -> None:
        """Recorder: a file is complete."""

    def on_mark(self, identity: int, played: bool, /) -> None:
        """AudioUnit: what `mark` marked was played; or (False) some of it was dropped."""

    def on_finished(self, error: Exception | None, /) -> None:
        """Player: all was played, or stop(). Recorder: the file is complete, or the error that ended it. Others: closed."""

RawFrame: TypeAlias = tuple[int, bool, bytes]
"""First byte (FIN, the reserved bits, the opcode), whether it was masked, payload without the mask."""

@disjoint_base
class BlockingConnection:
    """One connection that the threads which call it drive, from any thread; no loop. Its waits let go of the GIL and let
    signal handlers run. Made, it is open: raises what ERROR events carry, and what `Connection.connect` raises.
    """

    def __new__(
        cls,
        url: str,
        *,
        protocols: Sequence[str],
        headers: Sequence[tuple[str, str]],
        options: ConnectionOptions,
        tls: TlsConfig | None,
        require_protocol: bool,
        via: Via,
        sock: int | None,
    ) -> Self: ...
    def recv(self, timeout: float | None = None) -> str | bytes:
        """Wait for the next message and return it: str for text, bytes for binary.

        Raises TimeoutError after `timeout` seconds, and loses nothing by that; 0 takes only what is there. Raises
        ConnectionClosed when there is none left, InvalidState when another thread is receiving.
        """

    def __iter__(self) -> Self:
        """Iterating gives the messages."""

    def __next__(self) -> str | bytes:
        """The next message; ends at a clean close without an error code, else raises ConnectionClosed."""

    def send(self, data: str | Buffer) -> None:
        """Send a message: str as text, bytes-like as binary. Returns when the operating system has taken all of it.

        Any thread may send. While a peer that reads slowly keeps it waiting, pings are answered, and messages that come
        are kept for `recv`, up to `receive_buffer`. Raises ConnectionClosed, TypeError for anything else.
        """

    def pong(self, payload: bytes, timeout: float | None) -> float | None:
        """Sends a ping; seconds until its pong. None when one with this payload is on its way. Messages that come are
        kept, up to `receive_buffer`. Raises TimeoutError, ConnectionClosed, InvalidState.
        """

    def shut(self, code: int | None, reason: str, patience: float) -> None:
        """Begins the close handshake and waits for its end; after `patience` seconds without an answer it is cut off."""

    @property
    def state(self) -> int:
        """1 open, 2 closing, 3 closed."""

    @property
    def protocol(self) -> str:
        """The subprotocol that was chosen; empty when none was."""

    @property
    def extensions(self) -> str:
        """The extensions that were agreed on; empty when there are none."""

    @property
    def headers(self) -> Headers:
        """The headers of the server's response."""

    @property
    def local_address(self) -> Address | None:
        """Our address and port; None of a Unix socket."""

    @property
    def remote_address(self) -> Address | None:
        """The address and port of the peer, or of the proxy to it; None of a Unix socket."""

    @property
    def buffered_amount(self) -> int: ...
    def counters(self) -> dict[str, Any]: ...

@final
class FrameSocket:
    """Frames of one connection that the calling thread reads and writes itself; any thread, no loop. Its waits let go of
    the GIL and let signal handlers run. `fd` is the descriptor of a stream socket that the caller owns. `timeout` in
    seconds is for each wait of a call, as with sockets of Python: None is for ever, 0 does not wait.
    """

    def __new__(cls) -> FrameSocket: ...
    def recv(self, fd: int, timeout: float | None) -> RawFrame:
        """The next frame, judged by nobody, and no byte behind it. Raises TimeoutError (what came of the frame is kept),
        BlockingIOError (`timeout` is 0), EOFError, OSError.
        """

    @staticmethod
    def wait(fd: int, timeout: float | None) -> bool:
        """Waits until something can be read; False when the time was over before."""

    @property
    def missing(self) -> int:
        """Bytes that the next frame needs before more can be said of it."""

    def push(self, data: Buffer) -> tuple[RawFrame | None, int]:
        """Takes bytes that the caller has read: the frame, if they complete one, and how many of them are behind it."""

    @staticmethod
    def send_frame(fd: int, timeout: float | None, first: int, data: str | Buffer) -> int:
        """Writes a masked frame; its length in bytes. Raises TimeoutError, BlockingIOError (some of it may be written),
        OSError. Calls for one connection must not overlap.
        """

    @staticmethod
    def send(fd: int, timeout: float | None, data: bytes) -> int:
        """Writes all of `data` like `send_frame`."""

    @staticmethod
    def frame(first: int, data: str | Buffer, key: bytes | None) -> bytes:
        """The bytes of a frame, masked if there is a key (of four bytes)."""

@disjoint_base
class Inbox:
    """The messages of one WebSocket that wait for `recv()` or for a first handler, in order.

    Each message has a cost, which the connection counts until it is given back: above its limit it stops reading, so that
    memory is bounded however slow the application is. An `Endpoint` gives it its connection.
    """

    def __new__(cls) -> Self: ...
    def __len__(self) -> int:
        """How many messages wait."""

    @property
    def held(self) -> int:
        """The cost of what waits and of what `async def` handlers work on."""

    @property
    def taken(self) -> bool:
        """Whether a message was ever taken: somebody does use `recv`."""

    def put(self, data: str | bytes, cost: int) -> None:
        """Adds a message and wakes the one who waits for it."""

    def take(self) -> str | bytes | None:
        """The oldest message, given back; None when none waits, when it is reserved, and once after 2 ms without a wait."""

    def pop(self) -> tuple[str | bytes, int]:
        """The oldest message; its cost counts until `give_back`. Raises IndexError when none waits."""

    def reserve(self, reserved: bool) -> None:
        """Whether what waits is for handlers: then `take` gives nothing."""

    def count(self, cost: int) -> bool:
        """Counts a cost until `give_back`; False when nothing is counted any more."""

    def give_back(self, cost: int) -> None:
        """Counts a cost no more."""

    def stop_counting(self) -> None:
        """Gives everything back: the connection must read on, to find the peer's close frame. What waits stays."""

    def wake(self) -> None:
        """Lets the one who waits look again."""

    def wait(self, event_loop: AbstractEventLoop) -> Future[None] | None:
        """What is done after `put` or `wake`; None when somebody waits already. Cancelled, it loses nothing."""

@disjoint_base
class Endpoint:
    """What a WebSocket derives from: what each message passes through, between the core and a handler, or `send` and the core.

    It calls `_handled(handler, result, cost)` for what a handler returned that is not None, `_raised(error)`, `_untaken()` when
    messages that nobody has ever taken fill the receive buffer, and `_write_soon()` when `write_held` is to be called after
    this turn of the loop. Made on the thread of its loop.
    """

    _state: WebSocketReadyState
    _connection: Connection
    _inbox: Any
    """Its `Inbox`, to be set before its connection."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def _hand_to(self, taker: tuple[()] | tuple[Callable[[Any], object], Callable[..., object], Any] | None) -> None:
        """Messages go to this handler: its callback, what calls that with an event in its context, and the handler itself. With
        an empty tuple they go into the inbox, with None to the sink's `on_message`.
        """

    def send(self, data: str | Buffer) -> None:
        """Send a message: `str` as text, bytes-like as binary. Returns at once; from any thread.

        After `close` it is swallowed, as in the browser: only `bufferedAmount` grows. Raises InvalidState while
        connecting, SendBufferFull over `send_buffer`, TypeError for anything else.
        """

def write_held() -> None:
    """Writes what was sent on this thread and waits to be written together."""

@final
class LoopBridge:
    """The event queue to one asyncio loop and its one wake handle. With `reads_sockets` the loop reads connections without
    media itself (`add_reader`, `remove_reader`), from their `on_open` on.
    """

    def __new__(cls, reads_sockets: bool) -> LoopBridge: ...
    def fileno(self) -> int: ...
    def drain(self) -> None:
        """Dispatches what is queued, under a budget of events and time; the handle stays readable if more is left."""

    def close(self) -> None:
        """Ends everything that reports here: peers get close code 1001, no sink is called any more. Idempotent."""

    @property
    def closed(self) -> bool: ...

@final
class TlsConfig:
    """TLS settings, read and checked once; shared by any number of connections."""

    @staticmethod
    def client(
        *,
        ca_file: str | None,
        ca_certificates: Sequence[bytes] | None,
        trust: str,
        fingerprint: bytes | None,
        versions: str,
        cert_file: str | None,
        key_file: str | None,
        server_name: str | None,
    ) -> TlsConfig:
        """`ca_certificates` in DER form; `trust` is "full", "any_name", "anybody" or, with a SHA-256 `fingerprint`,
        "pinned"; `versions` is "both", "1.2" or "1.3". Raises InvalidParameter.
        """
    @staticmethod
    def server(cert_file: str, key_file: str, client_ca_file: str | None, client_required: bool) -> TlsConfig: ...

@final
class ConnectionOptions:
    """Limits and time-outs of one connection. `None` for a time-out switches it off."""

    def __new__(
        cls,
        *,
        connect_timeout: float | None,
        handshake_timeout: float | None,
        close_timeout: float,
        ping_interval: float | None,
        ping_timeout: float | None,
        max_message_size: int,
        max_fragments: int,
        compression: Compression | None,
        incoming: bool,
        receive_buffer: int,
        send_buffer: int,
        media: bool,
        playout_delay: float,
        playout_delay_max: float | None,
        playout_buffer: float,
        conceal: bool,
        silence_duration: float,
        silence_threshold: float | None,
        levels: bool,
        voice_activity: VoiceActivity | None,
        split_stereo: bool,
        privacy: bool,
        max_streams: int,
        trace: str | None,
    ) -> ConnectionOptions: ...

@final
class Via:
    """How the server of an outgoing connection is reached."""

    def __new__(
        cls,
        *,
        happy_eyeballs_delay: float | None,
        proxy: str | bool | None,
        proxy_tls: TlsConfig | None,
        max_redirects: int,
        local_address: Address | None,
        unix_path: str | None,
    ) -> Via:
        """`proxy`: True is the environment's, as it is now. Raises InvalidParameter for its URL."""

@final
class Connection:
    """One WebSocket connection, either direction."""

    @staticmethod
    def connect(
        bridge: LoopBridge,
        sink: ConnectionSink,
        url: str,
        protocols: Sequence[str],
        headers: Sequence[tuple[str, str]],
        options: ConnectionOptions,
        tls: TlsConfig | None,
        require_protocol: bool,
        via: Via,
        sock: int | None,
    ) -> Connection:
        """A connection that begins to connect at `start()`; audio can be routed to it before. Raises InvalidURL or
        InvalidParameter for what can be told without the network, OSError for a trace file that cannot be opened.
        `sock` is the descriptor of a connected stream socket; it is duplicated.
        """

    def start(self, trace: str | None = None) -> None:
        """Begins to connect, or to read an accepted connection; on_open follows. Once. `trace` is a file that every
        message is appended to (for an accepted connection; another has it in its options). Raises OSError for it.
        """

    def ping(self, payload: bytes) -> None:
        """Raises InvalidParameter for more than 125 bytes."""

    def close(self, code: int | None, reason: str) -> None:
        """Begins the close handshake (or ends the attempt to connect). The caller has checked code and reason."""

    def abort(self) -> None:
        """Drops the TCP connection at once; on_close 1006 follows."""

    def release(self, cost: int) -> None:
        """Gives back what kept messages cost; reading goes on below the low-water mark."""

    def take_over(self, lost: Connection, unhandled: int) -> None:
        """Not started yet, it takes the place of a lost connection: what of its messages is not released yet counts here,
        and what was paused stays so.
        """

    def request_drain(self) -> bool:
        """True: nothing is pending. False: on_drained will be called once, or on_close before that."""

    @property
    def buffered_amount(self) -> int: ...
    @property
    def local_address(self) -> Address | None: ...
    @property
    def remote_address(self) -> Address | None: ...
    def statistics(self) -> dict[str, int | float]:
        """Counters: messages_sent, messages_received, bytes_sent, bytes_received (payload), wire_bytes_sent,
        wire_bytes_received, pings_sent, pongs_received, latency (seconds, 0.0 before the first pong), media_frames_sent,
        media_frames_received, media_lost, media_duplicates, media_discarded_ms, media_dropped_ms (to a slow peer),
        media_concealed_ms, media_concealed_gaps, media_recovered_ms (of lost chunks, from those after them),
        media_adjusted_ms (left out or repeated to correct the delay), media_streams_refused; unhandled_bytes, buffered_bytes (as it is now).
        """

    def buffered_media(self, tag: str | None) -> float:
        """Milliseconds of incoming audio that wait to be played: of one tag or (None) of the tag that has most."""

    def media_level(self, tag: str | None) -> Level:
        """Of the last 400 ms that were played: of one tag or (None) of the loudest."""

    def pause_media(self, tag: str | None, paused: bool) -> None:
        """Pauses incoming audio of one tag or (None) all, later streams too; or has it go on."""

    def mark_media(self, tag: str | None, identity: int) -> None:
        """Marks the end of incoming audio of one tag or (None) of all: on_mark brings `identity` back. Raises InvalidState."""

    def clear_media(self, tag: str | None) -> float:
        """Drops buffered incoming audio of one tag or (None) of all; answers the milliseconds dropped."""

@final
class Frames:
    """The frames of one connection, for Python code that does its own I/O (`voxwire.compat`). Any thread."""

    def __new__(cls, *, client: bool, max_message: int | None, max_fragment: int | None) -> Frames:
        """`client`: our side is one. The limits, in bytes, are for what comes in; None is none."""

    def set_deflate(
        self,
        *,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        level: int,
        mem_level: int,
        threshold: int,
    ) -> None:
        """Compresses from now on. Messages whose first frame is shorter than `threshold` bytes are sent as they are.
        Raises ValueError for what zlib does not take.
        """

    def receive(
        self, data: Buffer
    ) -> tuple[list[tuple[int, bytes, bool]], tuple[str, int | None, int | None, int | None] | None]:
        """Takes bytes as they came. Answers the frames that are complete (opcode, payload, FIN) and, if the peer broke a
        rule, why there will be no more: what is wrong and, if a frame is over its limit, its size if that is known, the
        limit, and bytes of the message before it (of a wrong opcode, the opcode as the size). Nothing comes after a close frame either.
        """

    def frame(self, opcode: int, payload: Buffer, fin: bool, key: bytes | None = None) -> bytes:
        """The bytes of a frame, masked and compressed as needed; a client masks with the 4 bytes of `key` or random ones.
        Does not check the order of frames.
        """

    def text_frame(self, opcode: int, text: str, fin: bool) -> bytes:
        """The same with the text in UTF-8. Raises UnicodeEncodeError."""

    @property
    def unfinished(self) -> tuple[int, int] | None:
        """Inside a frame: bytes of its next part that came, and how many that part has."""

    @property
    def fragmented(self) -> bool:
        """Whether a fragmented message is being received."""

@final
class Question:
    """A request that waits for an answer. Answered, or when nobody waits any more, it takes answers and does nothing."""

    @property
    def id(self) -> int: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def protocols(self) -> list[str]: ...
    @property
    def upgrade(self) -> bool:
        """Whether a WebSocket is asked for; else it is plain HTTP."""

    @property
    def peer(self) -> Address | None: ...
    @property
    def certificate(self) -> bytes | None:
        """Of the client, DER."""

    def go_on(self, protocol: str | None, headers: Sequence[tuple[str, str]]) -> None:
        """Opens the connection (or refuses plain HTTP). `protocol`: "" is none, None the listener's choice. Raises
        InvalidParameter: not offered, bad headers.
        """

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Answers and ends the connection. Raises InvalidParameter."""

@final
class Listener:
    """A listening socket. Raises OSError when it cannot be bound."""

    def __new__(
        cls,
        bridge: LoopBridge,
        sink: ListenerSink,
        place: tuple[str, int, bool] | tuple[str, int | None] | int,
        *,
        protocols: Sequence[str],
        max_connections: int,
        max_line: int,
        max_headers: int,
        max_head: int,
        origins: Sequence[str | None] | None,
        ask: bool,
        options: ConnectionOptions,
        tls: TlsConfig | None,
    ) -> Listener:
        """`place`: host, port and SO_REUSEPORT; path of a Unix socket and mode of its file; or the descriptor of a bound
        socket, which is duplicated.
        """

    @property
    def addresses(self) -> list[Address]: ...
    @property
    def connections(self) -> int: ...
    def set_tls(self, tls: TlsConfig) -> None:
        """For new connections."""

    def close(self, timeout: float) -> None:
        """Stops accepting and closes its connections with 1001; after `timeout` they are dropped. on_stopped follows."""

@final
class Recorder:
    """Writes WAV (16-bit PCM) or Ogg Opus files in real time: gaps become silence."""

    def __new__(
        cls,
        bridge: LoopBridge,
        sink: UnitSink,
        path: str,
        *,
        ogg: bool,
        opus: OpusParameters | None,
        rate: int,
        channels: int,
        split_seconds: float | None,
        split_bytes: int | None,
    ) -> Recorder:
        """`channels` is 1 or 2. Raises OSError when the first file cannot be made, InvalidParameter."""

    def channels(self) -> list[RecorderChannel]:
        """Where audio is routed to: the only channel, or left and right."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    @property
    def paused(self) -> bool: ...
    def close(self) -> None:
        """Completes the file; on_finished follows. Idempotent."""

    @property
    def duration(self) -> float:
        """Milliseconds recorded."""

@final
class RecorderChannel:
    """One channel of a recording."""

@final
class Player:
    """Plays a sound in real time into what it is routed to."""

    def __new__(
        cls,
        bridge: LoopBridge,
        sink: UnitSink,
        path: str | None,
        data: Buffer | None,
        *,
        format: str | None,  # noqa: A002
        encoding: str | None,
        rate: int | None,
        plays: int | None,
        ahead: float,
        lead: float,
    ) -> Player:
        """A file, or bytes, or (neither) a stream that `give` brings. `encoding` and `rate` are for the format "raw"; `plays`
        None is for ever; `ahead` and `lead` in seconds. Raises OSError, MediaError (not something that can be played),
        InvalidParameter.
        """

    @property
    def rate(self) -> int | None:
        """None while a stream has not begun."""

    @property
    def duration(self) -> float | None:
        """Length in milliseconds; a stream has none."""

    @property
    def position(self) -> float:
        """Milliseconds sent."""

    @property
    def sent_ahead(self) -> float:
        """Milliseconds of them that left ahead of real time."""

    @property
    def paused(self) -> bool: ...
    def start(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
    def give(self, data: Buffer | None) -> None:
        """The next bytes of a stream; None is its end."""

    def request_bytes(self) -> bool:
        """True: more may be given. False: on_writable will be called."""

@final
class AudioUnit:
    """PCM (s16le, mono) between a route and Python."""

    def __new__(cls, bridge: LoopBridge, sink: UnitSink, rate: int, buffer: float, lead: float) -> AudioUnit:
        """`buffer`: bound of each direction in seconds; `lead`: seconds. Raises InvalidParameter."""

    def read(self) -> bytes | None:
        """The next frame (20 ms) routed to this unit, or None when there is none yet."""

    def write(self, pcm: Buffer) -> None:
        """Queues samples to be played in real time into what this unit is routed to. Takes s16 samples as bytes-like or
        a 1-D int16 buffer. Raises MediaBufferFull (nothing is written), MediaError (odd number of bytes, item type).
        """

    def end(self) -> None:
        """Marks the end of what was written: a route to a WebSocket sends `stop` after the last frame."""

    def clear(self) -> float: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def mark(self, identity: int) -> None:
        """Marks the end of what was written: on_mark brings `identity` back. Raises InvalidState."""

    def request_writable(self, below: float) -> bool:
        """True: at most `below` ms are queued. False: on_writable will be called once."""

    def close(self) -> None: ...
    @property
    def queued(self) -> float:
        """Milliseconds written and not yet played."""

    @property
    def ahead(self) -> float:
        """Milliseconds that left ahead of real time."""

    @property
    def readable(self) -> float:
        """Milliseconds that `read` has."""

    @property
    def discarded(self) -> float:
        """Milliseconds that came when the read side was full and were discarded, oldest first."""

@final
class ToneDetector:
    """Hears DTMF digits in what is routed to it; on_readable says that there is one."""

    def __new__(cls, bridge: LoopBridge, sink: UnitSink) -> ToneDetector: ...
    def read(self) -> tuple[str, float | None] | None:
        """A digit, and how long it was in milliseconds; without a length it has begun. None: nothing was heard."""

    def close(self) -> None: ...

@final
class ToneGenerator:
    """Plays tones in real time; on_writable says that all is played."""

    def __new__(cls, bridge: LoopBridge, sink: UnitSink) -> ToneGenerator: ...
    def play(self, digits: str, duration: int, gap: int, level: float, twist: float) -> None:
        """Digits after what waits: milliseconds and dB. Raises InvalidParameter for digits that are none, levels that clip."""

    def play_tone(self, frequencies: list[float], level: float, on: int, off: int, times: int | None) -> None:
        """Sines together after what waits: Hz, dB, milliseconds; without `times` until `stop`. Raises InvalidParameter."""

    def stop(self) -> None: ...
    def close(self) -> None: ...
    @property
    def playing(self) -> bool: ...

@final
class Conference:
    """Mixes what comes from many, for each of them without its own part."""

    def __new__(cls, bridge: LoopBridge, sink: UnitSink, rate: int) -> Conference:
        """Raises InvalidParameter."""

    def close(self) -> None:
        """Ends it and its routes; on_finished follows. Idempotent."""

MediaSource: TypeAlias = Connection | Player | AudioUnit | ToneGenerator | Conference
MediaSink: TypeAlias = Connection | RecorderChannel | AudioUnit | ToneDetector | Conference

def route(
    source: MediaSource,
    target: MediaSink,
    encoding: str | None,
    tag: str | None,
    custom_parameters: str | None,
    opus: OpusParameters | None,
    gain: float,
    source_tag: str | None,
) -> int | None:
    """Sends the audio of `source` to `target`; encoding, tag and parameters (JSON text) matter for a Connection. None
    for tag and parameters takes over those of the stream that is sent on. What several sources send to one target (to a
    Connection: with one tag) is mixed. `gain` in dB, minus infinity for silence. Of a Connection only the
    streams of `source_tag` are sent, if it is given. Answers the id of the route, which stays
    where only the gain changes; None, and nothing happens, when one of the two is gone. Raises MediaError, AudioRouteError,
    InvalidParameter for `opus` with another encoding.
    """

def unroute(source: MediaSource, target: MediaSink, tag: str | None, source_tag: str | None) -> None:
    """Ends what `route` began: with this tag, or (None) all; of them those with this `source_tag`, or (None) all."""

def routes() -> list[tuple[int, RouteFigures]]:
    """Every route of this process, by its id."""

def check_url(url: str) -> str:
    """The URL normalised (lower-case scheme and host, a path, no default port). Raises InvalidURL."""

def mark_forked() -> None:
    """In a forked child: forgets the parent's runtime; the parent's handles raise, new ones work."""

def shutdown(timeout: float) -> None:
    """Closes every connection and recorder and stops the runtime. Called at interpreter exit."""

def process_statistics() -> dict[str, Any]:
    """Counters of the process: the sums of `Connection.statistics` (without latency) over all connections, ended ones
    too; connections_connecting, …_open, …_opened, …_failed, …_refused, reconnects; connections_closed as pairs of a class
    of close codes and a number; latency_buckets as pairs of an upper bound in seconds and a number, not cumulative,
    latency_sum, latency_max. All zero, or empty, when nothing has run yet.
    """

@final
class Decoder:
    """Decodes one stream of any encoding that media streams have to PCM: signed 16-bit little-endian, mono.

    `encoding` is a `WebSocketAudioEncoding` or any name that senders use (None: `PCM8`), `rate` the `sampleRate` that a
    sender gave with it, in Hz. Raises MediaError for a format that cannot be decoded. Any thread.
    """

    def __new__(cls, encoding: str | None = None, rate: int | None = None) -> Decoder: ...
    @property
    def encoding(self) -> str:
        """The encoding's name on the wire."""

    @property
    def rate(self) -> int:
        """Samples per second of the PCM: 8000 for G.711, 16000 for G.722, 48000 for Opus."""

    def decode(self, data: Buffer, /) -> bytes:
        """Decode one chunk, as it was sent. Ogg may be cut anywhere; the other encodings are made of whole chunks.

        Raises MediaError for what the encoding does not allow (PCM of an odd length, no Opus packet), and for more than 600
        s of audio at once, which a few bytes of Ogg could claim to be.
        """

@final
class Encoder:
    """Encodes one stream of PCM, signed 16-bit little-endian, mono, to any encoding that media streams have.

    `encoding` and `rate` as for `Decoder`, `opus` as for `sendMediaTo`. Raises MediaError for a format that cannot be
    encoded, InvalidParameter for `opus` with another encoding. Any thread.
    """

    def __new__(
        cls, encoding: str | None = None, rate: int | None = None, *, opus: OpusParameters | None = None
    ) -> Encoder: ...
    @property
    def encoding(self) -> str:
        """The encoding's name on the wire."""

    @property
    def rate(self) -> int:
        """Samples per second of the PCM that it takes: 8000 for G.711, 16000 for G.722, 48000 for Opus."""

    def encode(self, pcm: Buffer, /) -> list[bytes]:
        """Take samples and answer the chunks that they complete, each to be sent by itself: one for what was given, but for
        Opus one for each packet (in Ogg a page of its own), and what is left of a frame waits for the next call.

        `pcm` is bytes-like, or an array of int16 (numpy) with one dimension. Raises MediaError for other items.
        """

    def flush(self) -> list[bytes]:
        """End the stream: answer what was kept back, filled up with silence. What comes next is a new stream."""

@final
class Resampler:
    """Converts one stream of 16-bit PCM from one sample rate to another, in pieces of any length.

    Rates in Hz: 8000, 16000, 24000, 32000, 44100 or 48000. A polyphase filter with linear phase; THD+N below -90 dB, -3 dB
    at 0.91 of the lower Nyquist frequency, aliases below -80 dB. With `prime` it begins with silence as long as `delay`, so
    that each 20 ms given answer 20 ms. Raises InvalidParameter. Any thread.
    """

    def __new__(cls, source_rate: int, target_rate: int, *, prime: bool = False) -> Resampler: ...
    @property
    def source_rate(self) -> int:
        """Samples per second of what goes in."""

    @property
    def target_rate(self) -> int:
        """Samples per second of what comes out."""

    @property
    def delay(self) -> float:
        """How far what comes out is behind what goes in, in milliseconds: 5 between 8 kHz and anything higher."""

    def process(self, pcm: Buffer, /) -> bytes:
        """Take samples and answer those that they complete. Raises MediaError for what is no 16-bit PCM."""

    def flush(self) -> bytes:
        """Answer the rest, as if silence followed; what comes next is a new stream.

        n samples have given exactly `ceil(n * target_rate / source_rate)` then, and those of the delay with `prime`.
        """

@final
class Level:
    """How loud some audio is, in dBFS: a full-scale square is 0, a full-scale sine has an RMS of -3.01."""

    @property
    def rms(self) -> float:
        """Root mean square; negative infinity for digital silence, and for no audio."""

    @property
    def peak(self) -> float:
        """The largest magnitude; negative infinity for digital silence, and for no audio."""

@final
class StartMessage:
    """A stream begins: `{"event": "start", "start": {…}}`."""

    @property
    def tag(self) -> str:
        """The stream's name, "" when it has none."""

    @property
    def encoding(self) -> str | None:
        """The encoding as the sender calls it, for `Decoder`; None when it does not say."""

    @property
    def sampleRate(self) -> int | None:
        """In Hz, for `Decoder`; None when the sender does not say."""

    @property
    def channels(self) -> int | None: ...
    @property
    def customParameters(self) -> Any:
        """Parsed from JSON (usually a dictionary); None when there is nothing."""

    @property
    def sequenceNumber(self) -> int | None: ...

@final
class MediaMessage:
    """A chunk of a stream's audio: `{"event": "media", "media": {…}}`."""

    @property
    def tag(self) -> str:
        """The stream's name, "" when it has none."""

    @property
    def chunk(self) -> int | None:
        """The chunk's number, one more each time."""

    @property
    def timestamp(self) -> int | None:
        """Samples in all the chunks before."""

    @property
    def payload(self) -> bytes:
        """The audio: as it was sent, or PCM when there was a decoder."""

    @property
    def sequenceNumber(self) -> int | None: ...

@final
class StopMessage:
    """A stream ends: `{"event": "stop", "stop": {…}}`."""

    @property
    def tag(self) -> str:
        """The stream's name, "" when it has none."""

    @property
    def bytesSent(self) -> int | None:
        """Bytes of audio that were sent, before base64; None when the sender does not say."""

    @property
    def duration(self) -> int | None:
        """Milliseconds of audio that were sent; None when the sender does not say."""

    @property
    def sequenceNumber(self) -> int | None: ...

def ulaw_decode(data: Buffer, /) -> bytes:
    """µ-law to 16-bit little-endian PCM, two bytes for each (ITU-T G.711, bit for bit as G.191's reference)."""

def ulaw_encode(pcm: Buffer, /) -> bytes:
    """16-bit little-endian PCM to µ-law, a byte a sample (ITU-T G.711, bit for bit as G.191's reference).

    `pcm` is bytes-like, or an array of int16 (numpy) with one dimension. Raises MediaError for other items.
    """

def alaw_decode(data: Buffer, /) -> bytes:
    """A-law to 16-bit little-endian PCM, two bytes for each (ITU-T G.711, bit for bit as G.191's reference)."""

def alaw_encode(pcm: Buffer, /) -> bytes:
    """16-bit little-endian PCM to A-law, a byte a sample (ITU-T G.711, bit for bit as G.191's reference).

    `pcm` is bytes-like, or an array of int16 (numpy) with one dimension. Raises MediaError for other items.
    """

def level(pcm: Buffer, /) -> Level:
    """RMS and peak of 16-bit little-endian PCM in dBFS. Raises MediaError for what is none."""

def parse_media(
    message: str | Buffer, decoder: Decoder | None = None
) -> StartMessage | MediaMessage | StopMessage | None:
    """Read a message of a media stream: its fields, and its audio as bytes; with a `decoder`, as PCM.

    None: it is an ordinary message. Raises MediaError for one that says that it is of a media stream, and cannot be read as
    one; the error names the field, its value and what was expected.
    """

def write_start(
    encoding: str | None = None,
    sampleRate: int | None = None,
    *,
    tag: str = "",
    sequenceNumber: int = 0,
    customParameters: Any = None,
) -> str:
    """Write the message that begins a stream; `encoding` and `sampleRate` (Hz) as for `Decoder`, and the name that is
    written is the one that is usual on the wire. `customParameters` is anything that JSON can hold. Raises MediaError.
    """

def write_media(payload: Buffer, *, chunk: int, timestamp: int, tag: str = "", sequenceNumber: int = 0) -> str:
    """Write the message with a chunk of audio, which is encoded already: see `Encoder.encode`.

    `chunk` is its number, one more each time; `timestamp` the samples in all the chunks before.
    """

def write_stop(*, bytesSent: int, duration: int, tag: str = "", sequenceNumber: int = 0) -> str:
    """Write the message that ends a stream: how many bytes of audio were sent, before base64, and how many milliseconds."""
