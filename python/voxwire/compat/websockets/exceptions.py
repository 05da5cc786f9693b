"""The exceptions of `websockets`: the same names, hierarchy, attributes and messages.

WebSocketException is the root. InvalidHandshake and what is below it are raised while a connection opens, ConnectionClosed
and what is below it when one is used that is closed.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from .imports import lazy_import

if TYPE_CHECKING:
    from .frames import Close
    from .http11 import Response

__all__ = [
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "DuplicateParameter",
    "HeaderLineTooLong",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidOrigin",
    "InvalidParameterName",
    "InvalidParameterValue",
    "InvalidProtocol",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "NegotiationError",
    "PayloadTooBig",
    "ProtocolError",
    "ProxyError",
    "RequestLineTooLong",
    "SecurityError",
    "StatusLineTooLong",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
]


class WebSocketException(Exception):
    """The base of all exceptions here."""


class ConnectionClosed(WebSocketException):
    """The connection is closed.

    `rcvd` and `sent` are the close frames, None where there was none; `rcvd_then_sent` tells which came first when there
    were both, and is None otherwise.
    """

    def __init__(self, rcvd: Close | None, sent: Close | None, rcvd_then_sent: bool | None = None) -> None:
        """Keep both close frames and their order."""
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent
        both = rcvd is not None and sent is not None
        assert both == (rcvd_then_sent is not None)  # noqa: S101 - as the original, for the caller's mistake

    def __str__(self) -> str:
        received = None if self.rcvd is None else f"received {self.rcvd}"
        sent = None if self.sent is None else f"sent {self.sent}"
        if received is None and sent is None:
            return "no close frame received or sent"
        if received is None:
            return f"{sent}; no close frame received"
        if sent is None:
            return f"{received}; no close frame sent"
        first, second = (received, sent) if self.rcvd_then_sent else (sent, received)
        return f"{first}; then {second}"

    @property
    def code(self) -> int:
        """The code that was received, 1006 without one. Deprecated: use `rcvd.code`."""
        message = "ConnectionClosed.code is deprecated; use Protocol.close_code or ConnectionClosed.rcvd.code"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        if self.rcvd is not None:
            return self.rcvd.code
        from .frames import CloseCode  # noqa: PLC0415 - frames know the exceptions

        return CloseCode.ABNORMAL_CLOSURE

    @property
    def reason(self) -> str:
        """The reason that was received. Deprecated: use `rcvd.reason`."""
        message = "ConnectionClosed.reason is deprecated; use Protocol.close_reason or ConnectionClosed.rcvd.reason"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return "" if self.rcvd is None else self.rcvd.reason


class ConnectionClosedOK(ConnectionClosed):
    """Closed as it should be: both sides sent 1000, 1001 or no code."""


class ConnectionClosedError(ConnectionClosed):
    """Closed with another code, or without a complete close handshake."""


class InvalidURI(WebSocketException):
    """The URI is none of a WebSocket."""

    def __init__(self, uri: str, msg: str) -> None:
        """Keep the URI and what is wrong with it."""
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.uri} isn't a valid URI: {self.msg}"


class InvalidProxy(WebSocketException):
    """The address is none of a proxy."""

    def __init__(self, proxy: str, msg: str) -> None:
        """Keep the address and what is wrong with it."""
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.proxy} isn't a valid proxy: {self.msg}"


class InvalidHandshake(WebSocketException):
    """The opening handshake failed."""


class SecurityError(InvalidHandshake):
    """A request or response breaks a rule of security, such as a limit."""


class RequestLineTooLong(SecurityError):
    """The first line of a request is too long."""


class StatusLineTooLong(SecurityError):
    """The first line of a response is too long."""


class HeaderLineTooLong(SecurityError):
    """A header is too long."""


class TooManyHeaders(SecurityError):
    """There are too many headers."""


class ProxyError(InvalidHandshake):
    """The proxy did not connect us."""


class InvalidProxyMessage(ProxyError):
    """What the proxy answered is no HTTP."""


class InvalidProxyStatus(ProxyError):
    """The proxy refused; `response` is its answer."""

    def __init__(self, response: Response) -> None:
        """Keep the answer."""
        self.response = response

    def __str__(self) -> str:
        return f"proxy rejected connection: HTTP {self.response.status_code:d}"


class InvalidMessage(InvalidHandshake):
    """A request or response is no HTTP."""


class InvalidMethod(InvalidHandshake):
    """A request is no GET."""

    def __init__(self, method: str) -> None:
        """Keep the method."""
        self.method = method

    def __str__(self) -> str:
        return f"unsupported HTTP method: {self.method}"


class InvalidProtocol(InvalidHandshake):
    """A request is no HTTP/1.1."""

    def __init__(self, protocol: str) -> None:
        """Keep the protocol."""
        self.protocol = protocol

    def __str__(self) -> str:
        return f"unsupported HTTP version: {self.protocol}"


class InvalidStatus(InvalidHandshake):
    """The server refused; `response` is its answer."""

    def __init__(self, response: Response) -> None:
        """Keep the answer."""
        self.response = response

    def __str__(self) -> str:
        return f"server rejected WebSocket connection: HTTP {self.response.status_code:d}"


class InvalidHeader(InvalidHandshake):
    """A header is missing, empty or wrong."""

    def __init__(self, name: str, value: str | None = None) -> None:
        """Keep name and value; None is a missing header."""
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value:
            return f"invalid {self.name} header: {self.value}"
        return f"{'missing' if self.value is None else 'empty'} {self.name} header"


class InvalidHeaderFormat(InvalidHeader):
    """A header cannot be parsed."""

    def __init__(self, name: str, error: str, header: str, pos: int) -> None:
        """Say what was expected where."""
        super().__init__(name, f"{error} at {pos} in {header}")


class InvalidHeaderValue(InvalidHeader):
    """A header can be parsed, but not accepted."""


class InvalidOrigin(InvalidHeader):
    """The origin of a request is not allowed."""

    def __init__(self, origin: str | None) -> None:
        """Keep the origin."""
        super().__init__("Origin", origin)


class InvalidUpgrade(InvalidHeader):
    """The Upgrade or Connection header does not ask for, or agree to, a WebSocket."""


class NegotiationError(InvalidHandshake):
    """The sides do not agree on an extension or a subprotocol."""


class DuplicateParameter(NegotiationError):
    """A parameter of an extension is there twice."""

    def __init__(self, name: str) -> None:
        """Keep the name."""
        self.name = name

    def __str__(self) -> str:
        return f"duplicate parameter: {self.name}"


class InvalidParameterName(NegotiationError):
    """A parameter of an extension is unknown."""

    def __init__(self, name: str) -> None:
        """Keep the name."""
        self.name = name

    def __str__(self) -> str:
        return f"invalid parameter name: {self.name}"


class InvalidParameterValue(NegotiationError):
    """A parameter of an extension has no, an empty or a wrong value."""

    def __init__(self, name: str, value: str | None) -> None:
        """Keep name and value."""
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value:
            return f"invalid value for parameter {self.name}: {self.value}"
        return f"{'missing' if self.value is None else 'empty'} value for parameter {self.name}"


class ProtocolError(WebSocketException):
    """A frame, or the order of frames, breaks the protocol."""


class PayloadTooBig(WebSocketException):
    """A frame is over the limit.

    `size` is its length if it is known, `max_size` the limit of the message, `current_size` what came of it before.
    """

    def __init__(
        self, size_or_message: int | str | None, max_size: int | None = None, current_size: int | None = None
    ) -> None:
        """Keep the sizes, or (deprecated) a message."""
        if isinstance(size_or_message, str):
            assert max_size is None  # noqa: S101 - as the original, for the caller's mistake
            assert current_size is None  # noqa: S101
            text = "PayloadTooBig(message) is deprecated; change to PayloadTooBig(size, max_size)"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            self.message: str | None = size_or_message
            return
        assert max_size is not None  # noqa: S101
        self.message = None
        self.size: int | None = size_or_message
        self.max_size: int = max_size
        self.current_size: int | None = None
        self.set_current_size(current_size)

    def __str__(self) -> str:
        if self.message is not None:
            return self.message
        words = ["frame"]
        if self.size is not None:
            words.append(f"with {self.size} bytes")
        if self.current_size is not None:
            words.append(f"after reading {self.current_size} bytes")
        words.append(f"exceeds limit of {self.max_size} bytes")
        return " ".join(words)

    def set_current_size(self, current_size: int | None) -> None:
        """Note what came of the message before the frame, once."""
        assert self.current_size is None  # noqa: S101
        if current_size is not None:
            self.max_size += current_size
            self.current_size = current_size


class TooManyFragments(WebSocketException):
    """A message has too many frames."""

    def __init__(self, max_fragments: int) -> None:
        """Name the limit."""
        super().__init__(f"fragmented message exceeds limit of {max_fragments} frames")


class InvalidState(WebSocketException, AssertionError):
    """A frame may not be sent in this state."""


class ConcurrencyError(WebSocketException, RuntimeError):
    """Two coroutines (or threads) receive, or send, where one may."""


lazy_import(globals(), legacy=("AbortHandshake", "InvalidStatusCode", "RedirectHandshake", "WebSocketProtocolError"))
