"""Frames that were received and not taken yet, put together to messages or given out one by one."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable

from voxwire.compat.websockets.exceptions import ConcurrencyError, TooManyFragments
from voxwire.compat.websockets.protocol import Received
from voxwire.compat.websockets.typing import Data

__all__ = ["Assembler"]

MAX_FRAGMENTS = int(os.environ.get("WEBSOCKETS_MAX_FRAGMENTS", "4096"))
"""Frames that `get` puts together."""

_TEXT = 1
_Decoder = codecs.getincrementaldecoder("utf-8")


class Assembler:
    """The frames of one connection, in order.

    When more than `high` frames wait, `pause` is called; when no more than `low` are left, `resume` is. None is no limit.
    """

    __slots__ = ("_closed", "_paused", "_taken_by_other", "_waiter", "frames", "high", "low", "pause", "resume")

    def __init__(
        self,
        high: int | None = None,
        low: int | None = None,
        pause: Callable[[], object] = lambda: None,
        resume: Callable[[], object] = lambda: None,
    ) -> None:
        """Begin empty. Raises ValueError for marks that make no sense."""
        self.high, self.low = marks(high, low)
        self.pause, self.resume = pause, resume
        self.frames: deque[Received] = deque()
        self._paused = False
        self._closed = False
        self._taken_by_other = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, frames: Iterable[Received]) -> None:
        """Add data frames."""
        self.frames.extend(frames)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self.high is not None and len(self.frames) > self.high and not self._paused:
            self._paused = True
            self.pause()

    def close(self) -> None:
        """Note that no frames follow: who waits for one gets EOFError."""
        self._closed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(EOFError("stream of frames ended"))

    async def get(self, decode: bool | None = None) -> Data:
        """Answer the next message, as str if it is text or `decode` says so.

        Cancelled, it loses nothing. Raises EOFError, ConcurrencyError, TooManyFragments, UnicodeDecodeError.
        """
        if self._taken_by_other:
            message = "get() or get_iter() is already running"
            raise ConcurrencyError(message)
        frames = self.frames
        if not frames:
            self._taken_by_other = True
            try:
                await self._wait()
            finally:
                self._taken_by_other = False
        opcode, data, fin = frames.popleft()
        if self._paused:
            self._resume()
        if not fin:
            data = await self._rest(opcode, data)
        if decode or (decode is None and opcode == _TEXT):
            return data.decode()
        return data

    async def _rest(self, opcode: int, data: bytes) -> bytes:
        """Answer the whole message of which the first frame was taken."""
        frames = self.frames
        parts = [data]
        self._taken_by_other = True
        fin = False
        try:
            while not fin:
                if not frames:
                    await self._wait()
                _, data, fin = frames.popleft()
                if self._paused:
                    self._resume()
                if len(parts) >= MAX_FRAGMENTS:
                    raise TooManyFragments(MAX_FRAGMENTS)
                parts.append(data)
        except asyncio.CancelledError:
            frames.extendleft((0, part, False) for part in reversed(parts[1:]))
            frames.appendleft((opcode, parts[0], False))
            raise
        finally:
            self._taken_by_other = False
        return b"".join(parts)

    async def get_iter(self, decode: bool | None = None) -> AsyncIterator[Data]:
        """Yield the next message frame by frame.

        Left before its end, it keeps others from receiving. Raises what `get` raises, without a limit of frames.
        """
        if self._taken_by_other:
            message = "get() or get_iter() is already running"
            raise ConcurrencyError(message)
        self._taken_by_other = True
        frames = self.frames
        if not frames:
            try:
                await self._wait()
            except asyncio.CancelledError:
                self._taken_by_other = False
                raise
        opcode, data, fin = self._next()
        if decode is None:
            decode = opcode == _TEXT
        decoder = _Decoder() if decode else None
        yield data if decoder is None else decoder.decode(data, fin)
        while not fin:
            if not frames:
                await self._wait()
            _, data, fin = self._next()
            yield data if decoder is None else decoder.decode(data, fin)
        self._taken_by_other = False

    def _next(self) -> Received:
        frame = self.frames.popleft()
        if self._paused:
            self._resume()
        return frame

    async def _wait(self) -> None:
        """Wait for a frame. Raises EOFError when none will come."""
        if self._closed:
            message = "stream of frames ended"
            raise EOFError(message)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter.cancel()
            self._waiter = None

    def _resume(self) -> None:
        if self.low is not None and len(self.frames) <= self.low:
            self._paused = False
            self.resume()


def marks(high: int | None, low: int | None) -> tuple[int | None, int | None]:
    """Answer both marks; one that is not given follows from the other. Raises ValueError for those that make no sense."""
    if low is None:
        low = None if high is None else high // 4
    elif high is None:
        high = low * 4
    if high is not None and low is not None:
        if low < 0:
            message = "low must be positive or equal to zero"
            raise ValueError(message)
        if high < low:
            message = "high must be greater than or equal to low"
            raise ValueError(message)
    return high, low
