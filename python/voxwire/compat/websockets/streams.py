"""`StreamReader`: bytes that came, for generators that parse them and yield when they need more."""

from __future__ import annotations

from collections.abc import Generator


class StreamReader:
    """Buffers a stream. One generator at a time reads it."""

    def __init__(self) -> None:
        """Begin empty."""
        self.buffer = bytearray()
        self.eof = False

    def read_line(self, m: int, too_long_exc_type: type[Exception] = RuntimeError) -> Generator[None, None, bytearray]:
        """Answer the next line, LF included. Raises EOFError, and `too_long_exc_type` for more than `m` bytes."""
        seen = 0
        while (end := self.buffer.find(b"\n", seen) + 1) == 0:
            seen = len(self.buffer)
            _bounded(seen, m, too_long_exc_type)
            if self.eof:
                message = f"stream ends after {seen} bytes, before end of line"
                raise EOFError(message)
            yield
        _bounded(end, m, too_long_exc_type)
        return self._take(end)

    def read_exact(self, n: int) -> Generator[None, None, bytearray]:
        """Answer the next `n` bytes. Raises EOFError."""
        assert n >= 0  # noqa: S101 - the caller's mistake
        while len(self.buffer) < n:
            if self.eof:
                message = f"stream ends after {len(self.buffer)} bytes, expected {n} bytes"
                raise EOFError(message)
            yield
        return self._take(n)

    def read_to_eof(
        self, m: int, too_long_exc_type: type[Exception] = RuntimeError
    ) -> Generator[None, None, bytearray]:
        """Answer all bytes to the end. Raises `too_long_exc_type` for more than `m`."""
        while not self.eof:
            _bounded(len(self.buffer), m, too_long_exc_type)
            yield
        return self._take(len(self.buffer))

    def at_eof(self) -> Generator[None, None, bool]:
        """Answer whether the stream has ended and all of it was read."""
        while not self.buffer and not self.eof:
            yield
        return not self.buffer

    def feed_data(self, data: bytes | bytearray) -> None:
        """Add bytes. Raises EOFError behind the end."""
        self._check_open()
        self.buffer += data

    def feed_eof(self) -> None:
        """End the stream. Raises EOFError when it has ended."""
        self._check_open()
        self.eof = True

    def discard(self) -> None:
        """Throw away what was not read."""
        self.buffer.clear()

    def _check_open(self) -> None:
        if self.eof:
            message = "stream ended"
            raise EOFError(message)

    def _take(self, count: int) -> bytearray:
        taken = self.buffer[:count]
        del self.buffer[:count]
        return taken


def _bounded(count: int, most: int, too_long: type[Exception]) -> None:
    if count > most:
        message = f"read {count} bytes, expected no more than {most} bytes"
        raise too_long(message)
