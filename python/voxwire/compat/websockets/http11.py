"""Requests and responses of the opening handshake: as values, read from a stream, written to one."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import warnings
from collections.abc import Callable, Generator
from typing import Self

from voxwire import _core

from .datastructures import Headers
from .exceptions import HeaderLineTooLong, RequestLineTooLong, SecurityError, StatusLineTooLong, TooManyHeaders
from .version import version

__all__ = ["SERVER", "USER_AGENT", "Request", "Response"]

_PRODUCT = f"Python/{sys.version_info[0]}.{sys.version_info[1]} websockets/{version} voxwire/{_core.__version__}"

USER_AGENT = os.environ.get("WEBSOCKETS_USER_AGENT", _PRODUCT)
"""What clients call themselves."""
SERVER = os.environ.get("WEBSOCKETS_SERVER", _PRODUCT)
"""What servers call themselves."""

MAX_NUM_HEADERS = int(os.environ.get("WEBSOCKETS_MAX_NUM_HEADERS", "128"))
MAX_LINE_LENGTH = int(os.environ.get("WEBSOCKETS_MAX_LINE_LENGTH", "8192"))
MAX_BODY_SIZE = int(os.environ.get("WEBSOCKETS_MAX_BODY_SIZE", "1_048_576"))

ReadLine = Callable[[int, type[Exception]], Generator[None, None, bytes | bytearray]]
ReadExact = Callable[[int], Generator[None, None, bytes | bytearray]]
Incoming = bytes | bytearray

_name = re.compile(rb"[-!#$%&\'*+.^_`|~0-9a-zA-Z]+").fullmatch
_value = re.compile(rb"[\x09\x20-\x7e\x80-\xff]*").fullmatch
_digits = re.compile(rb"[0-9]{1,18}").fullmatch
_hex_digits = re.compile(rb"[0-9a-fA-F]{1,15}").fullmatch


@dataclasses.dataclass
class Request:
    """The request of a client."""

    path: str
    headers: Headers
    method: str = "GET"
    protocol: str = "HTTP/1.1"
    _exception: Exception | None = None

    @property
    def exception(self) -> Exception | None:
        """Why the handshake failed. Deprecated: use `ServerProtocol.handshake_exc`."""
        message = "Request.exception is deprecated; use ServerProtocol.handshake_exc instead"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self._exception

    @classmethod
    def parse(cls, read_line: ReadLine) -> Generator[None, None, Self]:
        """Read a request, as a generator that yields when it needs more.

        Raises EOFError, RequestLineTooLong, HeaderLineTooLong, TooManyHeaders, UnicodeDecodeError, ValueError and (for a
        Transfer-Encoding) NotImplementedError.
        """
        line = yield from _first_line(read_line, RequestLineTooLong, "request")
        parts = line.split(b" ", 2)
        if len(parts) < 3:  # noqa: PLR2004 - method, path, protocol
            message = f"invalid HTTP request line: {_shown(line)}"
            raise ValueError(message)
        raw_method, raw_path, raw_protocol = parts
        if raw_protocol not in (b"HTTP/1.1", b"HTTP/1.0"):
            message = f"unsupported protocol; expected HTTP/1.1 or HTTP/1.0: {_shown(line)}"
            raise ValueError(message)
        method, protocol, path = raw_method.decode("ascii"), raw_protocol.decode("ascii"), raw_path.decode("ascii")
        headers = yield from parse_headers(read_line)
        if "Transfer-Encoding" in headers:
            message = "transfer codings aren't supported"
            raise NotImplementedError(message)
        if any(length != "0" for length in headers.get_all("Content-Length")):
            message = "unsupported request body"
            raise ValueError(message)
        return cls(path, headers, method, protocol)

    def serialize(self) -> bytes:
        """Answer the request as it goes over the network."""
        return f"{self.method} {self.path} {self.protocol}\r\n".encode("ascii") + self.headers.serialize()


@dataclasses.dataclass
class Response:
    """The response of a server."""

    status_code: int
    reason_phrase: str
    headers: Headers
    body: bytes | bytearray = b""
    _exception: Exception | None = None

    @property
    def exception(self) -> Exception | None:
        """Why the handshake failed. Deprecated: use `ClientProtocol.handshake_exc`."""
        message = "Response.exception is deprecated; use ClientProtocol.handshake_exc instead"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self._exception

    @classmethod
    def parse(
        cls, read_line: ReadLine, read_exact: ReadExact, read_to_eof: ReadLine, proxy: bool = False
    ) -> Generator[None, None, Self]:
        """Read a response, as a generator that yields when it needs more; of a `proxy` without its body.

        Raises EOFError, StatusLineTooLong, HeaderLineTooLong, TooManyHeaders, SecurityError, LookupError, ValueError and
        (for a Transfer-Encoding that is not chunked) NotImplementedError.
        """
        line = yield from _first_line(read_line, StatusLineTooLong, "status")
        parts = line.split(b" ", 2)
        if len(parts) < 3:  # noqa: PLR2004 - protocol, status, reason
            message = f"invalid HTTP status line: {_shown(line)}"
            raise ValueError(message)
        protocol, raw_status, raw_reason = parts
        if protocol != b"HTTP/1.1" and not (proxy and protocol == b"HTTP/1.0"):
            expected = "HTTP/1.1 or HTTP/1.0" if proxy else "HTTP/1.1"
            message = f"unsupported protocol; expected {expected}: {_shown(line)}"
            raise ValueError(message)
        if _digits(raw_status) is None:
            message = f"invalid status code; expected integer; got {_shown(raw_status)}"
            raise ValueError(message)
        status = int(raw_status)
        if not 100 <= status < 600:  # noqa: PLR2004 - RFC 9110 section 15
            message = f"invalid status code; expected 100–599; got {_shown(raw_status)}"
            raise ValueError(message)
        if _value(raw_reason) is None:
            message = f"invalid HTTP reason phrase: {_shown(raw_reason)}"
            raise ValueError(message)
        headers = yield from parse_headers(read_line)
        body: Incoming = b""
        if not proxy:
            body = yield from _read_body(status, headers, read_line, read_exact, read_to_eof)
        return cls(status, raw_reason.decode("iso-8859-1"), headers, body)

    def serialize(self) -> bytes:
        """Answer the response as it goes over the network."""
        first = f"HTTP/1.1 {self.status_code} {self.reason_phrase}\r\n".encode("iso-8859-1")
        return first + self.headers.serialize() + self.body


def parse_line(
    read_line: ReadLine, too_long_exc_type: type[Exception] = SecurityError
) -> Generator[None, None, Incoming]:
    """Read a line and answer it without CRLF. Raises EOFError for one that ends otherwise."""
    line = yield from read_line(MAX_LINE_LENGTH, too_long_exc_type)
    if not line.endswith(b"\r\n"):
        message = "line without CRLF"
        raise EOFError(message)
    return line[:-2]


def parse_headers(read_line: ReadLine) -> Generator[None, None, Headers]:
    """Read headers to the empty line. Raises EOFError, HeaderLineTooLong, TooManyHeaders, ValueError."""
    headers = Headers()
    for _ in range(MAX_NUM_HEADERS + 1):
        try:
            line = yield from parse_line(read_line, HeaderLineTooLong)
        except EOFError as exc:
            message = "connection closed while reading HTTP headers"
            raise EOFError(message) from exc
        if not line:
            return headers
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon:
            message = f"invalid HTTP header line: {_shown(line)}"
            raise ValueError(message)
        if _name(name) is None:
            message = f"invalid HTTP header name: {_shown(name)}"
            raise ValueError(message)
        if _value(value) is None:
            message = f"invalid HTTP header value: {_shown(value)}"
            raise ValueError(message)
        headers.set_insecure(name.decode("ascii"), value.decode("iso-8859-1"))
    message = f"expected no more than {MAX_NUM_HEADERS} headers"
    raise TooManyHeaders(message)


def _first_line(read_line: ReadLine, too_long: type[Exception], what: str) -> Generator[None, None, Incoming]:
    try:
        return (yield from parse_line(read_line, too_long))
    except EOFError as exc:
        message = f"connection closed while reading HTTP {what} line"
        raise EOFError(message) from exc


def _read_body(
    status: int, headers: Headers, read_line: ReadLine, read_exact: ReadExact, read_to_eof: ReadLine
) -> Generator[None, None, Incoming]:
    if status < 200 or status in (204, 304):  # noqa: PLR2004 - they have none (RFC 7230 section 3.3.3)
        return b""
    coding = headers.get("Transfer-Encoding")
    if coding is not None:
        if coding != "chunked":
            message = f"transfer coding {coding} isn't supported"
            raise NotImplementedError(message)
        return (yield from _read_chunks(read_line, read_exact))
    length = headers.get("Content-Length")
    if length is None:
        return (yield from read_to_eof(MAX_BODY_SIZE, SecurityError))
    if _digits(length.encode("iso-8859-1")) is None:
        message = f"invalid content length: {length}"
        raise SecurityError(message)
    if int(length) > MAX_BODY_SIZE:
        message = f"body too large: {int(length)} bytes"
        raise SecurityError(message)
    return (yield from read_exact(int(length)))


def _read_chunks(read_line: ReadLine, read_exact: ReadExact) -> Generator[None, None, Incoming]:
    body = b""
    while True:
        digits = (yield from parse_line(read_line, SecurityError)).split(b";", 1)[0]
        if _hex_digits(digits) is None:
            message = f"invalid chunk size: {_shown(digits)}"
            raise SecurityError(message)
        size = int(digits, 16)
        if size == 0:
            yield from parse_headers(read_line)
            return body
        if len(body) + size > MAX_BODY_SIZE:
            message = f"chunk too large: {size} bytes after {len(body)} bytes"
            raise SecurityError(message)
        body += yield from read_exact(size)
        if (yield from read_exact(2)) != b"\r\n":
            message = "chunk without CRLF"
            raise ValueError(message)


def _shown(value: Incoming) -> str:
    return value.decode(errors="backslashreplace")
