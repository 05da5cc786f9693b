"""What `websocket-client` raises, under its names. No logic."""

from __future__ import annotations


class WebSocketException(Exception):
    """The base of all of them."""


class WebSocketProtocolException(WebSocketException):
    """The peer broke a rule of RFC 6455."""


class WebSocketPayloadException(WebSocketException):
    """A text message is not UTF-8."""


class WebSocketConnectionClosedException(WebSocketException):
    """There is no connection any more, or none yet."""


class WebSocketTimeoutException(WebSocketException):
    """The socket's time-out is over."""


class WebSocketProxyException(WebSocketException):
    """The proxy gave no tunnel."""


class WebSocketBadStatusException(WebSocketException):
    """The server answered the handshake with another status than 101."""

    def __init__(
        self,
        message: str,
        status_code: int,
        status_message: str | None = None,
        resp_headers: dict[str, str] | None = None,
        resp_body: bytes | None = None,
    ) -> None:
        """`resp_headers` has lower-case names; `resp_body` is None when the answer had no Content-Length."""
        super().__init__(message)
        self.status_code = status_code
        self.status_message = status_message
        self.resp_headers = resp_headers
        self.resp_body = resp_body


class WebSocketAddressException(WebSocketException):
    """The host name, or that of the proxy, has no address."""
