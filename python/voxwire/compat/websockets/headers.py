"""The grammar of the headers that a handshake needs (RFC 6455 section 9.1, RFC 7230 section 7, RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from .exceptions import InvalidHeaderFormat, InvalidHeaderValue
from .typing import (
    ConnectionOption,
    ExtensionHeader,
    ExtensionName,
    ExtensionParameter,
    Subprotocol,
    UpgradeProtocol,
)

__all__ = [
    "build_authorization_basic",
    "build_extension",
    "build_host",
    "build_subprotocol",
    "build_www_authenticate_basic",
    "parse_authorization_basic",
    "parse_connection",
    "parse_extension",
    "parse_subprotocol",
    "parse_upgrade",
    "validate_subprotocols",
]

T = TypeVar("T")
_NAME = r"[-!#$%&\'*+.^_`|~0-9a-zA-Z]+"
_token = re.compile(_NAME)
_protocol = re.compile(f"{_NAME}(?:/{_NAME})?")
_spaces = re.compile(r"[\t ]*")
_quoted = re.compile(r'"(?:[\x09\x20-\x21\x23-\x5b\x5d-\x7e]|\\[\x09\x20-\x7e\x80-\xff])*"')
_escaped = re.compile(r"\\([\x09\x20-\x7e\x80-\xff])")
_quotable = re.compile(r"[\x09\x20-\x7e\x80-\xff]*")
_token68 = re.compile(r"[A-Za-z0-9-._~+/]+=*")


class _Cursor:
    """A place in the value of a header."""

    __slots__ = ("name", "pos", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.pos = 0

    @property
    def at_end(self) -> bool:
        return self.pos == len(self.text)

    def sees(self, char: str) -> bool:
        return self.text.startswith(char, self.pos)

    def skip(self, char: str) -> bool:
        """Pass over a character, if it is next, and the spaces behind it."""
        if not self.sees(char):
            return False
        self.pos += 1
        self.spaces()
        return True

    def spaces(self) -> None:
        match = _spaces.match(self.text, self.pos)
        if match is not None:
            self.pos = match.end()

    def take(self, pattern: re.Pattern[str], what: str) -> str:
        """Answer what matches here. Raises InvalidHeaderFormat."""
        match = pattern.match(self.text, self.pos)
        if match is None:
            raise self.expected(what)
        self.pos = match.end()
        return match.group()

    def expected(self, what: str, pos: int | None = None) -> InvalidHeaderFormat:
        return InvalidHeaderFormat(self.name, what, self.text, self.pos if pos is None else pos)


def _items(name: str, text: str, item: Callable[[_Cursor], T]) -> list[T]:
    """Read a list with commas; empty elements are passed over."""
    cursor = _Cursor(name, text)
    items: list[T] = []
    while cursor.skip(","):
        pass
    while True:
        items.append(item(cursor))
        cursor.spaces()
        if cursor.at_end:
            return items
        if not cursor.skip(","):
            raise cursor.expected("expected comma")
        while cursor.skip(","):
            pass
        if cursor.at_end:
            return items


def _one_token(cursor: _Cursor) -> str:
    return cursor.take(_token, "expected token")


def parse_connection(header: str) -> list[ConnectionOption]:
    """Answer the options of a Connection header. Raises InvalidHeaderFormat."""
    return _items("Connection", header, lambda cursor: ConnectionOption(_one_token(cursor)))


def parse_upgrade(header: str) -> list[UpgradeProtocol]:
    """Answer the protocols of an Upgrade header. Raises InvalidHeaderFormat."""
    return _items("Upgrade", header, lambda cursor: UpgradeProtocol(cursor.take(_protocol, "expected protocol")))


def parse_subprotocol(header: str) -> list[Subprotocol]:
    """Answer the names in a Sec-WebSocket-Protocol header. Raises InvalidHeaderFormat."""
    return _items("Sec-WebSocket-Protocol", header, lambda cursor: Subprotocol(_one_token(cursor)))


def parse_extension(header: str) -> list[ExtensionHeader]:
    """Answer names and parameters in a Sec-WebSocket-Extensions header. Raises InvalidHeaderFormat."""
    return _items("Sec-WebSocket-Extensions", header, _one_extension)


def _one_extension(cursor: _Cursor) -> ExtensionHeader:
    name = ExtensionName(_one_token(cursor))
    cursor.spaces()
    parameters: list[ExtensionParameter] = []
    while cursor.skip(";"):
        parameters.append(_one_parameter(cursor))
    return name, parameters


def _one_parameter(cursor: _Cursor) -> ExtensionParameter:
    name = _one_token(cursor)
    cursor.spaces()
    if not cursor.skip("="):
        return name, None
    if cursor.sees('"'):
        begin = cursor.pos
        value = _escaped.sub(r"\1", cursor.take(_quoted, "expected quoted string")[1:-1])
        if _token.fullmatch(value) is None:
            raise cursor.expected("invalid quoted header content", begin)
    else:
        value = _one_token(cursor)
    cursor.spaces()
    return name, value


def build_extension(extensions: Sequence[ExtensionHeader]) -> str:
    """Answer the value of a Sec-WebSocket-Extensions header."""
    return ", ".join(
        "; ".join([name, *(key if value is None else f"{key}={value}" for key, value in parameters)])
        for name, parameters in extensions
    )


def build_subprotocol(subprotocols: Sequence[Subprotocol]) -> str:
    """Answer the value of a Sec-WebSocket-Protocol header."""
    return ", ".join(subprotocols)


parse_extension_list, build_extension_list = parse_extension, build_extension
parse_subprotocol_list, build_subprotocol_list = parse_subprotocol, build_subprotocol


def validate_subprotocols(subprotocols: Sequence[Subprotocol]) -> None:
    """Raise TypeError or ValueError for what is no list of names."""
    if not isinstance(subprotocols, Sequence):
        message = "subprotocols must be a list"
        raise TypeError(message)
    if isinstance(subprotocols, str):
        message = "subprotocols must be a list, not a str"
        raise TypeError(message)
    for subprotocol in subprotocols:
        if _token.fullmatch(subprotocol) is None:
            message = f"invalid subprotocol: {subprotocol}"
            raise ValueError(message)


def build_host(host: str, port: int, secure: bool, *, always_include_port: bool = False) -> str:
    """Answer the value of a Host header: brackets around IPv6, the port where it is not the default."""
    try:
        if ipaddress.ip_address(host).version == 6:  # noqa: PLR2004 - IPv6
            host = f"[{host}]"
    except ValueError:
        pass
    return f"{host}:{port}" if always_include_port or port != (443 if secure else 80) else host


def build_quoted_string(value: str) -> str:
    """Put a text in quotes. Raises ValueError for characters that may not stand there."""
    if _quotable.fullmatch(value) is None:
        message = "invalid characters for quoted-string encoding"
        raise ValueError(message)
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def build_www_authenticate_basic(realm: str) -> str:
    """Answer the value of a WWW-Authenticate header for HTTP Basic Auth."""
    return f'Basic realm={build_quoted_string(realm)}, charset="UTF-8"'


def build_authorization_basic(username: str, password: str) -> str:
    """Answer the value of an Authorization header for HTTP Basic Auth."""
    assert ":" not in username  # noqa: S101 - as the original, for the caller's mistake
    pair = f"{username}:{password}".encode(errors="surrogateescape")
    return f"Basic {base64.b64encode(pair).decode()}"


def parse_authorization_basic(header: str) -> tuple[str, str]:
    """Answer user and password of an Authorization header. Raises InvalidHeaderFormat, InvalidHeaderValue."""
    cursor = _Cursor("Authorization", header)
    scheme = _one_token(cursor)
    if scheme.lower() != "basic":
        raise InvalidHeaderValue(cursor.name, f"unsupported scheme: {scheme}")
    if not cursor.sees(" "):
        raise cursor.expected("expected space after scheme")
    cursor.pos += 1
    encoded = cursor.take(_token68, "expected token68")
    if not cursor.at_end:
        raise cursor.expected("trailing data")
    try:
        pair = base64.b64decode(encoded.encode()).decode(errors="surrogateescape")
    except binascii.Error:
        raise InvalidHeaderValue(cursor.name, "expected base64-encoded credentials") from None
    username, colon, password = pair.partition(":")
    if not colon:
        raise InvalidHeaderValue(cursor.name, "expected username:password credentials")
    return username, password
