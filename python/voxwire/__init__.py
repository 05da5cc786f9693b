"""voxwire: a WebSocket that carries messages and live audio, on a Rust core.

`WebSocket` opens a connection, `VoxEngine.allowWebSocketConnections` accepts them. `sendMediaTo` routes audio between
WebSockets, a `Recorder`, a `Player` and an `AudioUnit`; it is decoded, timed and encoded in the core.
"""

from ._core import __version__
from .compression import Compression
from .engine import Engine, VoxEngine
from .enums import (
    AppEvents,
    AudioUnitEvents,
    WebSocketAudioEncoding,
    WebSocketCloseCode,
    WebSocketEvents,
    WebSocketReadyState,
)
from .errors import (
    AudioRouteError,
    ConnectError,
    ConnectionClosed,
    ConnectTimeout,
    ForkedError,
    HandshakeError,
    InvalidParameter,
    InvalidState,
    InvalidURL,
    KeepaliveTimeout,
    MediaBufferFull,
    MediaError,
    MessageTooBig,
    NameResolutionError,
    ProtocolError,
    ProxyError,
    RedirectError,
    SendBufferFull,
    TLSError,
    TransportError,
    VoxwireError,
)
from .events import (
    AudioUnitMarkEvent,
    CloseEvent,
    CreatedEvent,
    ErrorEvent,
    Event,
    MarkEvent,
    MediaDiscardedEvent,
    MediaEndedEvent,
    MediaStartedEvent,
    MessageEvent,
    NewWebSocketEvent,
    NewWebSocketFailedEvent,
    OpenEvent,
    ReconnectingEvent,
    WebSocketEvent,
    WebSocketMediaInfo,
)
from .media import AudioUnit, MediaSource, MediaUnit, Player, Recorder, SendMediaParameters, TagParameters
from .opus import OpusParameters
from .parameters import WebSocketParameters
from .reconnect import Backoff, ConnectionLoss, ReconnectPolicy
from .request import Accept, HTTPResponse, IncomingRequest
from .server import WebSocketServer
from .statistics import ProcessStatistics, WebSocketStatistics
from .target import EventTarget
from .tls import ServerTLSOptions, TLSOptions
from .websocket import WebSocket

__all__ = [
    "Accept",
    "AppEvents",
    "AudioRouteError",
    "AudioUnit",
    "AudioUnitEvents",
    "AudioUnitMarkEvent",
    "Backoff",
    "CloseEvent",
    "Compression",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionClosed",
    "ConnectionLoss",
    "CreatedEvent",
    "Engine",
    "ErrorEvent",
    "Event",
    "EventTarget",
    "ForkedError",
    "HTTPResponse",
    "HandshakeError",
    "IncomingRequest",
    "InvalidParameter",
    "InvalidState",
    "InvalidURL",
    "KeepaliveTimeout",
    "MarkEvent",
    "MediaBufferFull",
    "MediaDiscardedEvent",
    "MediaEndedEvent",
    "MediaError",
    "MediaSource",
    "MediaStartedEvent",
    "MediaUnit",
    "MessageEvent",
    "MessageTooBig",
    "NameResolutionError",
    "NewWebSocketEvent",
    "NewWebSocketFailedEvent",
    "OpenEvent",
    "OpusParameters",
    "Player",
    "ProcessStatistics",
    "ProtocolError",
    "ProxyError",
    "ReconnectPolicy",
    "ReconnectingEvent",
    "Recorder",
    "RedirectError",
    "SendBufferFull",
    "SendMediaParameters",
    "ServerTLSOptions",
    "TLSError",
    "TLSOptions",
    "TagParameters",
    "TransportError",
    "VoxEngine",
    "VoxwireError",
    "WebSocket",
    "WebSocketAudioEncoding",
    "WebSocketCloseCode",
    "WebSocketEvent",
    "WebSocketEvents",
    "WebSocketMediaInfo",
    "WebSocketParameters",
    "WebSocketReadyState",
    "WebSocketServer",
    "WebSocketStatistics",
    "__version__",
]
