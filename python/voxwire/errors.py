"""Everything voxwire raises, and what ERROR events carry. No logic: a message and the fields that go with it.

Each class takes `Cls(message, **fields)`; the fields are optional, `str(error)` is the message, and all can be pickled.
"""

__all__ = [
    "AudioRouteError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionClosed",
    "ForkedError",
    "HandshakeError",
    "InvalidParameter",
    "InvalidState",
    "InvalidURL",
    "KeepaliveTimeout",
    "MediaBufferFull",
    "MediaError",
    "MessageTooBig",
    "NameResolutionError",
    "ProtocolError",
    "ProxyError",
    "RedirectError",
    "SendBufferFull",
    "TLSError",
    "TransportError",
    "VoxwireError",
]


class VoxwireError(Exception):
    """The base of every error of this package."""

    def __init__(self, message: str = "") -> None:
        """Keep the message, which is `str(error)`."""
        super().__init__(message)


class InvalidURL(VoxwireError, ValueError):
    """The URL is not one a WebSocket can be opened to (RFC 6455 section 3)."""


class _InvalidField(VoxwireError, ValueError):
    """Something has a value that it cannot have."""

    def __init__(
        self, message: str = "", *, field: str | None = None, value: object = None, expected: str | None = None
    ) -> None:
        """`field` is its name, `value` what it was, `expected` what it may be."""
        super().__init__(message)
        self.field = field
        self.value = value
        self.expected = expected


class InvalidParameter(_InvalidField):
    """A parameter has a value that it cannot have: `field` is its name, `value` what it was, `expected` what it may be."""


class InvalidState(VoxwireError, RuntimeError):
    """The call is right, but not now: the message says what has to happen first."""


class ConnectError(VoxwireError, OSError):
    """The connection could not be opened."""


class NameResolutionError(ConnectError):
    """The host name has no address, or could not be looked up."""


class TLSError(ConnectError):
    """TLS failed: the certificate is not trusted, the wrong one, expired, or the peer does not speak TLS."""


class HandshakeError(ConnectError):
    """The peer answered, but not with a WebSocket (RFC 6455 section 4)."""

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
    ) -> None:
        """`status` is the HTTP status, None when the answer was no HTTP; `body` the start of the answer's body."""
        super().__init__(message)
        self.status = status
        self.headers = [] if headers is None else headers
        self.body = body


class RedirectError(HandshakeError):
    """The server sends us somewhere else, and that is not followed: too many, from wss to ws, or no WebSocket's URL."""


class ProxyError(ConnectError):
    """The proxy did not bring us to the server: unreachable, refused, or no proxy at all."""

    def __init__(
        self,
        message: str = "",
        *,
        proxy: str | None = None,
        status: int | None = None,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
    ) -> None:
        """`proxy` is its URL without user and password; `status` the HTTP status it refused with, `body` the start of what
        it said.
        """
        super().__init__(message)
        self.proxy = proxy
        self.status = status
        self.headers = [] if headers is None else headers
        self.body = body


class ConnectTimeout(ConnectError, TimeoutError):
    """The connection was not open in time (`connect_timeout`, `handshake_timeout`)."""


class ConnectionClosed(VoxwireError):
    """The connection is closed, so there is nothing to receive. `__cause__` is the error that closed it, if any."""

    def __init__(self, message: str = "", *, code: int = 1006, reason: str = "", wasClean: bool = False) -> None:
        """Take the fields of the CLOSE event."""
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.wasClean = wasClean


class ProtocolError(VoxwireError):
    """The peer broke the protocol (RFC 6455 section 7.1.7)."""

    def __init__(self, message: str = "", *, close_code: int | None = None) -> None:
        """`close_code` is the code that was sent to the peer."""
        super().__init__(message)
        self.close_code = close_code


class MessageTooBig(ProtocolError):
    """A message was over `max_message_size` or `max_fragments`; the peer got close code 1009."""


class KeepaliveTimeout(VoxwireError, TimeoutError):
    """The peer did not answer a ping within `ping_timeout`."""


class TransportError(VoxwireError, OSError):
    """An open connection was lost: reset, a write that failed, TLS cut off."""


class MediaError(_InvalidField):
    """Audio that cannot be decoded or played. In an ERROR event it leaves the connection open.

    `field` is the field of the media event, `value` what it was, `expected` what it may be.
    """


class MediaBufferFull(VoxwireError, BufferError):
    """An audio buffer has no room for what was written; nothing of it was."""


class SendBufferFull(VoxwireError, BufferError):
    """More is waiting to be sent than `send_buffer` allows; the message was not taken."""


class AudioRouteError(VoxwireError, ValueError):
    """Audio cannot go from this unit to that one."""


class ForkedError(VoxwireError, RuntimeError):
    """The object belongs to the parent process; make a new one after a fork."""
