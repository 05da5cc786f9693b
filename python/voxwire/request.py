"""A request that a server decides about, and the answers there are to it. Who asks and who answers is in `gate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from types import EllipsisType
from typing import TypeAlias

from .checks import refuse
from .parameters import checked_headers

__all__ = ["Accept", "HTTPResponse", "IncomingRequest"]

Headers: TypeAlias = Sequence[Mapping[str, str]] | Sequence[tuple[str, str]] | Mapping[str, str]
_LENGTHS = ("content-length", "transfer-encoding")
_BODYLESS = (204, 205, 304)  # RFC 9110 section 15


@dataclass(frozen=True, slots=True, eq=False)
class IncomingRequest:
    """An HTTP request to a server, before it is answered."""

    method: str
    """GET, or for plain HTTP also HEAD."""
    path: str
    """Path and query, percent-encoded as they came."""
    headers: list[tuple[str, str]]
    """All headers, in their order; `header` looks one up."""
    host: str
    """The Host header."""
    protocols: tuple[str, ...]
    """The subprotocols that are offered, best first."""
    peer: tuple[str, int] | None
    """The peer's address and port; None on a Unix socket."""
    is_websocket: bool
    """Whether a WebSocket is asked for; otherwise it is plain HTTP: a health check, a page."""
    secure: bool
    """Whether it came over TLS."""
    certificate: bytes | None = None
    """The certificate that the client showed and that was found good, in DER form; None when it showed none."""

    def header(self, name: str) -> str | None:
        """Answer the value of a header, whatever the case of its name: the first one; None when there is none."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name: str) -> list[str]:
        """Answer the values of all headers of this name."""
        return [value for given, value in self.headers if given.lower() == name.lower()]


@dataclass(frozen=True, slots=True, eq=False)
class HTTPResponse:
    """A plain HTTP answer, after which the connection ends.

    `Content-Length` and `Connection` are added, and `Date` and `Content-Type` (UTF-8 text for a `str`, else octets) unless
    they are given. Raises InvalidParameter for a status outside 200 to 599, for a body where the status allows none (204,
    205, 304), for headers that are not valid or belong to the handshake.
    """

    status: int
    """The status, 200 to 599. A 101 is what `Accept` is for."""
    headers: Headers = ()
    """More headers: pairs, a mapping, or [{"name": …, "value": …}]."""
    body: bytes | str = b""
    """The content; it is not sent in answer to HEAD."""
    _headers: list[tuple[str, str]] = field(init=False, repr=False)
    _body: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check everything."""
        if not isinstance(self.status, int) or isinstance(self.status, bool) or not 200 <= self.status <= 599:  # noqa: PLR2004
            refuse("status", self.status, "200 to 599: the answer ends the request (Accept opens the connection)")
        if not isinstance(self.body, str | bytes):
            refuse("body", self.body, "bytes or str")
        if self.body and self.status in _BODYLESS:
            refuse("body", self.body, f"nothing: an answer with status {self.status} has no body (RFC 9110)")
        headers = list(_allowed(self.headers))
        names = {name.lower() for name, _ in headers}
        if "date" not in names:
            headers.append(("Date", formatdate(usegmt=True)))
        if "content-type" not in names and self.status not in _BODYLESS:
            kind = "text/plain; charset=utf-8" if isinstance(self.body, str) else "application/octet-stream"
            headers.append(("Content-Type", kind))
        object.__setattr__(self, "_headers", headers)
        object.__setattr__(self, "_body", self.body.encode() if isinstance(self.body, str) else self.body)


@dataclass(frozen=True, slots=True, eq=False)
class Accept:
    """Open the connection, with a say in how. For plain HTTP it changes nothing: that is refused as without it.

    Raises InvalidParameter for headers that are not valid or belong to the handshake.
    """

    protocol: str | EllipsisType | None = ...
    """The subprotocol, one of those offered; None for none. Default: the one that the server's `protocols` choose."""
    headers: Headers = ()
    """More headers for the 101 response, a Set-Cookie for example: pairs, a mapping, or [{"name": …, "value": …}]."""
    _headers: tuple[tuple[str, str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check everything but whether the subprotocol was offered."""
        if self.protocol is not None and self.protocol is not ... and not isinstance(self.protocol, str):
            refuse("protocol", self.protocol, "the name of a subprotocol, or None")
        if self.protocol == "":
            refuse("protocol", self.protocol, "the name of a subprotocol, or None for none")
        object.__setattr__(self, "_headers", _allowed(self.headers))


def _allowed(headers: Headers) -> tuple[tuple[str, str], ...]:
    pairs = checked_headers(headers)
    for name, _ in pairs:
        if name.lower() in _LENGTHS or name.lower().startswith("sec-websocket-"):
            refuse("headers", name, "no header that the server sets itself")
    return pairs
