"""URIs of WebSockets."""

from __future__ import annotations

import dataclasses
import urllib.parse

from .exceptions import InvalidURI

__all__ = ["WebSocketURI", "parse_uri"]

DELIMS = ":/?#[]@!$&'()*+,;="
"""What is not quoted in an IRI that becomes a URI."""


@dataclasses.dataclass
class WebSocketURI:
    """The parts of a URI. `port` is always set; `username` and `password` are both there, or neither."""

    secure: bool
    host: str
    port: int
    path: str
    query: str
    username: str | None = None
    password: str | None = None

    @property
    def resource_name(self) -> str:
        """What the request asks for: path and query."""
        return f"{self.path or '/'}{f'?{self.query}' if self.query else ''}"

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User and password, if the URI has them."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password


def parse_uri(uri: str) -> WebSocketURI:
    """Take a URI apart. Raises InvalidURI."""
    parsed = urllib.parse.urlparse(uri)
    if parsed.scheme not in ("ws", "wss"):
        raise InvalidURI(uri, "scheme isn't ws or wss")
    if parsed.hostname is None:
        raise InvalidURI(uri, "hostname isn't provided")
    if parsed.fragment:
        raise InvalidURI(uri, "fragment identifier is meaningless")
    if parsed.username is not None and parsed.password is None:
        raise InvalidURI(uri, "username provided without password")
    secure = parsed.scheme == "wss"
    host, path, query = parsed.hostname, parsed.path, parsed.query
    port = parsed.port or (443 if secure else 80)
    username, password = unquoted(parsed.username), unquoted(parsed.password)
    if not uri.isascii():
        host = host.encode("idna").decode()
        path, query = (urllib.parse.quote(part, safe=DELIMS) for part in (path, query))
    if username is None:
        password = None
    return WebSocketURI(secure, host, port, path, query, username, password)


def unquoted(part: str | None) -> str | None:
    """Answer a part of the user information without its percent signs."""
    return None if part is None else urllib.parse.unquote(part, errors="strict")
