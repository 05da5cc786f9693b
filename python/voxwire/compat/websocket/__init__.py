"""The API of `websocket-client` 1.9.2 on voxwire's frames: change the import, and the program runs as before.

`docs/migration-websocket-client.md` lists every public name and what differs. Names, defaults, exceptions and log records
are those of `websocket-client`; the code is voxwire's own. Connecting is done with Python's sockets and `ssl`, so that
`sockopt`, `sslopt` and `sock` mean what they meant; frames are read, written and waited for in the core.
"""

from ._abnf import (
    ABNF,
    STATUS_ABNORMAL_CLOSED,
    STATUS_BAD_GATEWAY,
    STATUS_GOING_AWAY,
    STATUS_INVALID_EXTENSION,
    STATUS_INVALID_PAYLOAD,
    STATUS_MESSAGE_TOO_BIG,
    STATUS_NORMAL,
    STATUS_POLICY_VIOLATION,
    STATUS_PROTOCOL_ERROR,
    STATUS_SERVICE_RESTART,
    STATUS_STATUS_NOT_AVAILABLE,
    STATUS_TLS_HANDSHAKE_ERROR,
    STATUS_TRY_AGAIN_LATER,
    STATUS_UNEXPECTED_CONDITION,
    STATUS_UNSUPPORTED_DATA_TYPE,
    continuous_frame,
    frame_buffer,
)
from ._app import WebSocketApp, set_reconnect
from ._core import WebSocket, create_connection
from ._exceptions import (
    WebSocketAddressException,
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketPayloadException,
    WebSocketProtocolException,
    WebSocketProxyException,
    WebSocketTimeoutException,
)
from ._logging import (
    debug,
    dump,
    enableTrace,
    error,
    isEnabledForDebug,
    isEnabledForError,
    isEnabledForTrace,
    trace,
    warning,
)
from ._socket import DEFAULT_SOCKET_OPTION, getdefaulttimeout, recv, recv_line, send, setdefaulttimeout, sock_opt

__version__ = "1.9.2"
"""The version of `websocket-client` whose API this is: programs compare it."""

__all__ = [
    "ABNF",
    "DEFAULT_SOCKET_OPTION",
    "STATUS_ABNORMAL_CLOSED",
    "STATUS_BAD_GATEWAY",
    "STATUS_GOING_AWAY",
    "STATUS_INVALID_EXTENSION",
    "STATUS_INVALID_PAYLOAD",
    "STATUS_MESSAGE_TOO_BIG",
    "STATUS_NORMAL",
    "STATUS_POLICY_VIOLATION",
    "STATUS_PROTOCOL_ERROR",
    "STATUS_SERVICE_RESTART",
    "STATUS_STATUS_NOT_AVAILABLE",
    "STATUS_TLS_HANDSHAKE_ERROR",
    "STATUS_TRY_AGAIN_LATER",
    "STATUS_UNEXPECTED_CONDITION",
    "STATUS_UNSUPPORTED_DATA_TYPE",
    "WebSocket",
    "WebSocketAddressException",
    "WebSocketApp",
    "WebSocketBadStatusException",
    "WebSocketConnectionClosedException",
    "WebSocketException",
    "WebSocketPayloadException",
    "WebSocketProtocolException",
    "WebSocketProxyException",
    "WebSocketTimeoutException",
    "continuous_frame",
    "create_connection",
    "debug",
    "dump",
    "enableTrace",
    "error",
    "frame_buffer",
    "getdefaulttimeout",
    "isEnabledForDebug",
    "isEnabledForError",
    "isEnabledForTrace",
    "recv",
    "recv_line",
    "send",
    "set_reconnect",
    "setdefaulttimeout",
    "sock_opt",
    "trace",
    "warning",
]
