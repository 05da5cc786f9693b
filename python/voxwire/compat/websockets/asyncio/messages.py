"""Frames that were received and not taken yet, put together to messages or given out one by one."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar, cast

from voxwire.compat.websockets.exceptions import ConcurrencyError, TooManyFragments
from voxwire.compat.websockets.frames import Frame
from voxwire.compat.websockets.protocol import Received
from voxwire.compat.websockets.typing import Data

__all__ = ["Assembler"]

MAX_FRAGMENTS = int(os.environ.get("WEBSOCKETS_MAX_FRAGMENTS", "4096"))
"""Frames that `get` puts together."""

TAKING = "get() or get_iter() is already running"
ENDED = "stream of frames ended"
_TEXT = 1
_Decoder = codecs.getincrementaldecoder("utf-8")
T = TypeVar("T")
_NOTHING: Any = ()
"""The queue of one who never got anything: a deque takes 0.7 KiB."""


class SimpleQueue(Generic[T]):
    """A queue for one taker at a time."""

    __slots__ = ("get_waiter", "loop", "queue")

    def __init__(self) -> None:
        """Begin empty."""
        self.loop = asyncio.get_running_loop()
        self.get_waiter: asyncio.Future[None] | None = None
        self.queue: deque[T] = _NOTHING

    def __len__(self) -> int:
        return len(self.queue)

    def put(self, item: T) -> None:
        """Add an item."""
        self.extend((item,))

    def extend(self, items: Iterable[T]) -> None:
        """Add items."""
        if self.queue is _NOTHING:
            self.queue = deque(items)
        else:
            self.queue += items
        waiter = self.get_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def put_back(self, items: Sequence[T]) -> None:
        """Add items that were taken in front of the others."""
        assert self.get_waiter is None, "cannot put_back() while get() is running"  # noqa: S101 - as the original
        self.queue.extendleft(reversed(items))

    async def get(self, block: bool = True) -> T:
        """Take an item, waiting for it unless told not to. Raises EOFError when none will come."""
        if not self.queue:
            await self.filled(block)
        return self.queue.popleft()

    async def filled(self, block: bool = True) -> None:
        """Wait for an item. Raises EOFError when none will come."""
        if not block:
            raise EOFError(ENDED)
        assert self.get_waiter is None, "cannot call get() concurrently"  # noqa: S101 - as the original
        self.get_waiter = self.loop.create_future()
        try:
            await self.get_waiter
        finally:
            self.get_waiter.cancel()
            self.get_waiter = None

    def abort(self) -> None:
        """Let who waits for an item have EOFError."""
        if self.get_waiter is not None and not self.get_waiter.done():
            self.get_waiter.set_exception(EOFError(ENDED))


class Assembler:
    """The frames of one connection, in order.

    When more than `high` frames wait, `pause` is called; when no more than `low` are left, `resume` is. None is no limit.
    """

    __slots__ = ("closed", "frames", "get_in_progress", "high", "low", "pause", "paused", "resume")

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
        self.frames: SimpleQueue[Received] = SimpleQueue()
        self.paused = False
        self.closed = False
        self.get_in_progress = False

    def put(self, frame: Frame) -> None:
        """Add a data frame. Raises EOFError behind the end."""
        if self.closed:
            raise EOFError(ENDED)
        self.extend([(int(frame.opcode), cast("bytes", frame.data), frame.fin)])

    def extend(self, frames: list[Received]) -> None:
        """Add data frames as the core gives them."""
        self.frames.extend(frames)
        if self.high is not None and not self.paused:
            self.maybe_pause()

    def maybe_pause(self) -> None:
        """Pause reading if too many frames wait."""
        if self.high is not None and len(self.frames.queue) > self.high and not self.paused:
            self.paused = True
            self.pause()

    def maybe_resume(self) -> None:
        """Go on reading if few enough frames are left."""
        if self.paused and self.low is not None and len(self.frames.queue) <= self.low:
            self.paused = False
            self.resume()

    def close(self) -> None:
        """Note that no frames follow: who waits for one gets EOFError."""
        if not self.closed:
            self.closed = True
            self.frames.abort()

    async def get(self, decode: bool | None = None) -> Data:
        """Answer the next message, as str if it is text or `decode` says so.

        Cancelled, it loses nothing. Raises EOFError, ConcurrencyError, TooManyFragments, UnicodeDecodeError.
        """
        if self.get_in_progress:
            raise ConcurrencyError(TAKING)
        frames = self.frames
        if not frames.queue:
            # What `SimpleQueue.filled` does, without a coroutine more: nearly every message is waited for.
            if self.closed:
                raise EOFError(ENDED)
            self.get_in_progress = True
            waiter = frames.get_waiter = frames.loop.create_future()
            try:
                await waiter
            finally:
                self.get_in_progress = False
                frames.get_waiter = None
                if not waiter.done():
                    waiter.cancel()
        opcode, data, fin = frames.queue.popleft()
        if self.paused:
            self.maybe_resume()
        if not fin:
            data = await self._rest(opcode, data)
        elif type(data) is not bytes:
            data = bytes(data)
        if decode or (decode is None and opcode == _TEXT):
            return data.decode()
        return data

    async def _rest(self, opcode: int, data: bytes) -> bytes:
        """Answer the whole message of which the first frame was taken."""
        frames = self.frames
        parts = [data]
        self.get_in_progress = True
        fin = False
        try:
            while not fin:
                _, data, fin = await frames.get(not self.closed)
                if self.paused:
                    self.maybe_resume()
                if len(parts) >= MAX_FRAGMENTS:
                    raise TooManyFragments(MAX_FRAGMENTS)
                parts.append(data)
        except asyncio.CancelledError:
            frames.put_back([(opcode, parts[0], False), *((0, part, False) for part in parts[1:])])
            raise
        finally:
            self.get_in_progress = False
        return b"".join(parts)

    async def get_iter(self, decode: bool | None = None) -> AsyncIterator[Data]:
        """Yield the next message frame by frame.

        Left before its end, it keeps others from receiving. Raises what `get` raises, without a limit of frames.
        """
        if self.get_in_progress:
            raise ConcurrencyError(TAKING)
        self.get_in_progress = True
        try:
            opcode, data, fin = await self.frames.get(not self.closed)
        except asyncio.CancelledError:
            self.get_in_progress = False
            raise
        self.maybe_resume()
        if decode is None:
            decode = opcode == _TEXT
        decoder = _Decoder() if decode else None
        yield bytes(data) if decoder is None else decoder.decode(data, fin)
        while not fin:
            _, data, fin = await self.frames.get(not self.closed)
            self.maybe_resume()
            yield bytes(data) if decoder is None else decoder.decode(data, fin)
        self.get_in_progress = False


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
