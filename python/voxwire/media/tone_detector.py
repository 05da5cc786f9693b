"""`ToneDetector`: the digits that somebody presses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from voxwire import _core
from voxwire.closing import Closing

from .routing import MediaUnit
from .unit import Unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class ToneStarted:
    """A digit began, some 35 ms ago: so long it takes to be sure."""

    digit: str
    """Its name in RFC 4733 (section 3.2): one of `0123456789*#ABCD`."""


@dataclass(frozen=True, slots=True)
class ToneEnded:
    """A digit is over, 35 ms after its end; 300 ms, when the audio ended with it."""

    digit: str
    """Its name in RFC 4733 (section 3.2): one of `0123456789*#ABCD`."""
    duration: float
    """How long it was, in milliseconds, to 10 ms."""


class ToneDetector(Unit, MediaUnit, Closing):
    """Hears the DTMF digits in the audio that is sent to it (ITU-T Q.23, within the limits of Q.24), whatever its encoding.

    `async for event in detector` gives a `ToneStarted` and a `ToneEnded` for each digit, `async for digit in
    detector.digits()` its name when it begins, until the detector is closed. Each source is listened to by itself. Digits of
    40 ms and pauses of 40 ms are enough; speech is no digit. RFC 4733 events, which are no audio, do not come this way.

    What nobody reads waits: 500 digits, then the oldest are let go.
    """

    def __init__(self) -> None:
        """Listen to what will be sent here."""
        super().__init__()
        self._unit = _core.ToneDetector(self._bridge, self._reports)
        self._next: tuple[str, float | None] | None = None

    def _sink(self) -> _core.MediaSink:
        return self._unit

    async def read(self) -> ToneStarted | ToneEnded | None:
        """Return what is heard next; None when the detector is closed. A cancelled read loses nothing."""
        await self._waiters.until(self._has_next)
        heard, self._next = self._next, None
        if heard is None:
            return None
        digit, duration = heard
        return ToneStarted(digit) if duration is None else ToneEnded(digit, duration)

    def _has_next(self) -> bool:
        if self._next is None:
            self._next = self._unit.read()
        return self._next is not None or self._finished

    async def digits(self) -> AsyncIterator[str]:
        """Yield each digit when it begins, until the detector is closed."""
        async for event in self:
            if isinstance(event, ToneStarted):
                yield event.digit

    def close(self) -> None:
        """Listen no more. Readers get what is left, then the end."""
        self._unit.close()
        self._finished = True
        self._waiters.wake()

    def __aiter__(self) -> Self:
        """Answer the detector itself."""
        return self

    async def __anext__(self) -> ToneStarted | ToneEnded:
        """Return what is heard next."""
        event = await self.read()
        if event is None:
            raise StopAsyncIteration
        return event
