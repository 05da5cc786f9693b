"""`AudioUnit`: PCM between routes and Python code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Self

from voxwire import _core
from voxwire.closing import Closing
from voxwire.enums import AudioUnitEvents
from voxwire.events import AudioUnitMarkEvent
from voxwire.marks import Marks
from voxwire.target import EventTarget, OnHandler

from .routing import MediaSource
from .unit import Unit

if TYPE_CHECKING:
    from enum import StrEnum

    from typing_extensions import Buffer


class AudioUnit(Unit, MediaSource, EventTarget, Closing):
    """Audio for Python code: read what is sent to it, write what it sends. PCM, signed 16-bit little-endian, mono.

    `async for frame in unit` gives frames of 20 ms until the unit is closed.
    """

    _names: ClassVar[type[StrEnum]] = AudioUnitEvents
    _role: ClassVar[str] = "unit"

    onmark = OnHandler[AudioUnitMarkEvent](AudioUnitEvents.MARK)

    def __init__(self, rate: int = 16000, buffer: float = 10.0, lead: float = 0.0) -> None:
        """`rate` in Hz: 8000, 16000, 24000, 32000, 44100 or 48000; `buffer` bounds each direction, in seconds.

        When nobody reads, the oldest audio is discarded (`discarded`). `lead`, in seconds and at most 10, lets what is
        written be sent so much ahead of real time: for a far side that buffers, so that it rides over a stalled network.
        What was sent ahead (`ahead`) cannot be cleared or paused here. Raises InvalidParameter.
        """
        super().__init__()
        EventTarget.__init__(self)
        self._marks = Marks()
        self._reports.on_mark = self._on_mark
        self._rate = rate
        self._unit = _core.AudioUnit(self._bridge, self._reports, rate, float(buffer), float(lead))

    def _sink(self) -> _core.MediaSink:
        return self._unit

    def _source(self) -> _core.MediaSource:
        return self._unit

    def _waiting(self) -> float:
        return self.queued

    @property
    def rate(self) -> int:
        """The sample rate in Hz."""
        return self._rate

    @property
    def queued(self) -> float:
        """Milliseconds written and not sent yet."""
        return self._unit.queued

    @property
    def ahead(self) -> float:
        """Milliseconds sent ahead of real time (`lead`): the far side has them, and has not played them."""
        return self._unit.ahead

    @property
    def readable(self) -> float:
        """Milliseconds that can be read at once."""
        return self._unit.readable

    @property
    def discarded(self) -> float:
        """Milliseconds that came while the buffer was full and were discarded."""
        return self._unit.discarded

    async def read(self) -> bytes:
        """Return the next frame of 20 ms; b"" when the unit is closed. A cancelled read loses nothing."""
        if (frame := self._unit.read()) is not None:
            return frame
        await self._waiters.until(lambda: self._finished or self._unit.readable > 0)
        return self._unit.read() or b""

    def write(self, pcm: Buffer) -> None:
        """Queue samples, to be sent in real time: bytes-like, or an array of int16 (numpy) with one dimension.

        Raises MediaBufferFull when they do not fit (nothing is written, see `drain`), MediaError when they are no
        16-bit samples.
        """
        self._unit.write(pcm)

    def end(self) -> None:
        """Mark the end of what was written: after its last frame a WebSocket sends `stop`."""
        self._unit.end()

    async def drain(self, below: float = 0.0) -> None:
        """Return when at most `below` milliseconds are queued, or the unit is closed."""
        await self._waiters.until(lambda: self._finished or self._unit.request_writable(below))

    def clear(self) -> float:
        """Drop what is queued, at once; answers the milliseconds dropped."""
        return self._unit.clear()

    def pause(self) -> None:
        """Send nothing until `resume`; what is written meanwhile is queued."""
        self._unit.pause()

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        self._unit.resume()

    def mark(self, name: str = "") -> asyncio.Future[bool]:
        """Mark the end of what was written: when all before it has been played the MARK event fires, and what this returns
        is True; or False, when some of it was dropped.

        With nothing to be played that is on the loop's next turn. Marks fire in their order. Raises InvalidState when 1000
        marks wait or the unit is closed, InvalidParameter.
        """
        return self._marks.set(asyncio.get_running_loop(), name, None, self._unit.mark)

    def _on_mark(self, identity: int, played: bool) -> None:
        mark = self._marks.take(identity)
        if mark is not None:
            self._dispatch(AudioUnitMarkEvent(self, mark.name, played))
            mark.tell(played=played)

    def close(self) -> None:
        """End the unit and its routes. Readers get what is left, then the end."""
        self._unit.close()
        self._finished = True
        self._waiters.wake()

    def __aiter__(self) -> Self:
        """Answer the unit itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next frame."""
        frame = await self.read()
        if not frame:
            raise StopAsyncIteration
        return frame
