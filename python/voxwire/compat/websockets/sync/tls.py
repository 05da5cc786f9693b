"""`TLSInTLS`: what looks like a socket and does TLS inside a TLS connection, for servers behind HTTPS proxies."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from voxwire.compat.websockets.typing import BytesLike

__all__ = ["TLSInTLS"]

_RECORD = 65536
_T = TypeVar("_T")


class TLSInTLS:
    """Has what a connection uses of a socket; what is not here is the outer socket's. Not for two threads at once."""

    def __init__(self, sock: ssl.SSLSocket, context: ssl.SSLContext, server_hostname: str | None) -> None:
        """Do the handshake, in the time-out of the socket. Raises OSError."""
        self._socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._inner = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._ahead = b""  # decrypted, and not taken yet
        self._run(self._inner.do_handshake)

    def recv(self, size: int) -> bytes:
        """Answer up to `size` bytes, none at the end. Raises OSError."""
        if not self._ahead:
            try:
                self._ahead = self._run(self._inner.read, _RECORD)
            except ssl.SSLEOFError:
                return b""
            except ssl.SSLZeroReturnError:
                return b""
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def pending(self) -> int:
        """Answer how many bytes can be had without the network, as far as is known."""
        if not self._ahead and self._incoming.pending:
            try:
                self._ahead = self._inner.read(_RECORD)
            except ssl.SSLError:  # the next `recv` shows it again, or goes on
                return 0
        return len(self._ahead)

    def sendall(self, data: BytesLike) -> None:
        """Send everything. Raises OSError."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self._run(self._inner.write, rest) :]

    def _run(self, act: Callable[..., _T], *args: Any) -> _T:
        """Do something of the inner connection, with the network as far as it needs it."""
        while True:
            try:
                result = act(*args)
            except ssl.SSLWantReadError:
                self._flush()
                data = self._socket.recv(_RECORD)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._socket.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
