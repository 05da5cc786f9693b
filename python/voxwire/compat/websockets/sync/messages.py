"""Frames that were received and not taken yet, put together to messages or given out one by one, for threads.

One thread puts frames in, others take them; what is known of marks and limits is in `asyncio.messages`.
"""

from __future__ import annotations

import codecs
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import cast

from voxwire.compat.websockets.asyncio.messages import MAX_FRAGMENTS, marks
from voxwire.compat.websockets.exceptions import ConcurrencyError, TooManyFragments
from voxwire.compat.websockets.frames import Frame
from voxwire.compat.websockets.protocol import Received
from voxwire.compat.websockets.typing import Data

from .utils import Deadline

__all__ = ["Assembler"]

_TEXT = 1
_Decoder = codecs.getincrementaldecoder("utf-8")


class Assembler:
    """The frames of one connection, in order.

    When more than `high` frames wait, `pause` is called; when no more than `low` are left, `resume` is. None is no limit.
    """

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
        self.frames: queue.SimpleQueue[Received | None] = queue.SimpleQueue()  # None: no more will come
        self._begun: deque[Received] = deque()  # the first frames of a message that was not there in time
        self._taking = threading.Lock()  # held while a message is taken
        self._flow = threading.Lock()
        self.paused = False
        self.closed = False

    def put(self, frame: Frame) -> None:
        """Add a data frame. Raises EOFError behind the end."""
        if self.closed:
            raise EOFError(_ENDED)
        self.extend([(int(frame.opcode), cast("bytes", frame.data), frame.fin)])

    def extend(self, frames: list[Received]) -> None:
        """Add data frames as the core gives them."""
        with self._flow:
            # Before a frame is there to be taken: whoever takes the last one must see that reading is paused.
            if self.high is not None and self.frames.qsize() + len(frames) > self.high and not self.paused:
                self.paused = True
                self.pause()
            for frame in frames:
                self.frames.put(frame)

    def close(self) -> None:
        """Note that no frames follow: who waits for one gets EOFError."""
        with self._flow:
            if self.closed:
                return
            self.closed = True
            self.frames.put(None)
            if self.paused:
                self.paused = False
                self.resume()

    def get(self, timeout: float | None = None, decode: bool | None = None) -> Data:
        """Answer the next message, as str if it is text or `decode` says so; wait for it for `timeout` seconds.

        Interrupted, or not in time, it loses nothing. Raises TimeoutError, EOFError, ConcurrencyError, TooManyFragments,
        UnicodeDecodeError.
        """
        if not self._taking.acquire(blocking=False):
            raise ConcurrencyError(_TAKING)
        taken: list[Received] = []
        try:
            deadline = Deadline(timeout)
            while not taken or not taken[-1][2]:
                frame = self._next(deadline.timeout(raise_if_elapsed=False))
                if len(taken) >= MAX_FRAGMENTS:
                    raise TooManyFragments(MAX_FRAGMENTS)
                taken.append(frame)
        except (TimeoutError, KeyboardInterrupt):
            self._begun.extendleft(reversed(taken))
            raise
        finally:
            self._taking.release()
        data = taken[0][1] if len(taken) == 1 else b"".join(part for _, part, _ in taken)
        if decode or (decode is None and taken[0][0] == _TEXT):
            return data.decode()
        return data

    def get_iter(self, decode: bool | None = None) -> Iterator[Data]:
        """Yield the next message frame by frame.

        Left before its end, it keeps others from receiving. Raises what `get` raises, without a limit of time or frames.
        """
        if not self._taking.acquire(blocking=False):
            raise ConcurrencyError(_TAKING)
        try:
            opcode, data, fin = self._next(None)
        except KeyboardInterrupt:
            self._taking.release()
            raise
        if decode is None:
            decode = opcode == _TEXT
        decoder = _Decoder() if decode else None
        yield data if decoder is None else decoder.decode(data, fin)
        while not fin:
            _, data, fin = self._next(None)
            yield data if decoder is None else decoder.decode(data, fin)
        self._taking.release()

    def _next(self, timeout: float | None) -> Received:
        """Take a frame. Raises TimeoutError, and EOFError when none will come."""
        if self._begun:
            return self._begun.popleft()
        try:
            if timeout is not None and timeout <= 0:
                frame = self.frames.get_nowait()
            else:
                frame = self.frames.get(timeout=timeout)
        except queue.Empty:
            message = f"timed out in {timeout or 0.0:.1f}s"
            raise TimeoutError(message) from None
        if frame is None:
            self.frames.put(None)
            raise EOFError(_ENDED)
        if self.paused:
            with self._flow:
                if self.paused and self.low is not None and self.frames.qsize() <= self.low:
                    self.paused = False
                    self.resume()
        return frame


_TAKING = "get() or get_iter() is already running"
_ENDED = "stream of frames ended"
