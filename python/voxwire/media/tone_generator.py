"""`ToneGenerator`: DTMF digits and the tones of a telephone network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire import _core
from voxwire.checks import is_number, refuse
from voxwire.closing import Closing

from .routing import MediaSource
from .unit import Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY = 86_400_000
_LOWEST, _HIGHEST = 20, 3800
"""What a telephone carries, in Hz."""
_MOST_SINES = 4


class ToneGenerator(Unit, MediaSource, Closing):
    """Plays tones in real time into what it is sent to: the digits of a telephone's keys, a dial tone.

    What is played while something plays follows it, in the same stream; a WebSocket gets `stop` after the last of it, and a
    new stream with what is played later. Levels are in dB re full scale of a sine: 0 is as loud as a sine can be.
    """

    def __init__(self) -> None:
        """Have nothing to play yet."""
        super().__init__()
        self._unit = _core.ToneGenerator(self._bridge, self._reports)

    def _source(self) -> _core.MediaSource:
        return self._unit

    def play(
        self, digits: str, *, duration: float = 100.0, gap: float = 60.0, level: float = -12.0, twist: float = 2.0
    ) -> None:
        """Play DTMF digits (ITU-T Q.23), `0123456789*#ABCD`, after what still plays.

        `duration` of a digit and `gap` after it are milliseconds; receivers take 40 of each (Q.24), and more is safer.
        `level` is that of the low frequency, the high one is louder by `twist` dB. Raises InvalidParameter, also for levels
        whose sum would be cut off.
        """
        if not isinstance(digits, str):
            refuse("digits", digits, "a string of 0123456789*#ABCD")
        self._unit.play(
            digits,
            _within("duration", duration, 1, 60_000, "ms"),
            _within("gap", gap, 0, 60_000, "ms"),
            _level("level", level, -60, 0),
            _level("twist", twist, -20, 20),
        )

    def play_tone(
        self,
        frequencies: Sequence[float],
        *,
        on: float | None = None,
        off: float = 0.0,
        times: int | None = None,
        level: float = -16.0,
    ) -> None:
        """Play sines that sound together, after what still plays, until `stop` or `times` times.

        One to four `frequencies` in Hz, each of `level`; on for `on` milliseconds and off for `off`, or on for good. With
        the tones of Europe (ITU-T E.180): `play_tone([425])` is a dial tone, `play_tone([425], on=1000, off=4000)` ringing,
        `play_tone([425], on=480, off=480)` busy. In North America: `[350, 440]`; `[440, 480], on=2000, off=4000`;
        `[480, 620], on=500, off=500`. Raises InvalidParameter.
        """
        sines = list(frequencies) if isinstance(frequencies, list | tuple) else []
        if not 1 <= len(sines) <= _MOST_SINES or not all(is_number(hz) and _LOWEST <= hz <= _HIGHEST for hz in sines):
            refuse("frequencies", frequencies, "a list of 1 to 4 numbers, 20 to 3800 (Hz)")
        if on is None and (off or times is not None):
            refuse("on", on, "milliseconds, when there is `off` or `times`")
        self._unit.play_tone(
            [float(hz) for hz in sines],
            _level("level", level, -60, 0),
            _DAY if on is None else _within("on", on, 1, _DAY, "ms"),
            _within("off", off, 0, 60_000, "ms"),
            None if times is None else _within("times", times, 1, 1_000_000, "times"),
        )

    @property
    def playing(self) -> bool:
        """Whether something plays."""
        return self._unit.playing

    async def wait_finished(self) -> None:
        """Return when all is played, or after `stop` or `close`."""
        await self._waiters.until(lambda: self._finished or not self._unit.playing)

    def stop(self) -> None:
        """Forget what is not played yet; within 20 ms it is quiet. More may be played later."""
        self._unit.stop()

    def close(self) -> None:
        """End the generator and its routes."""
        self._unit.close()
        self._finished = True
        self._waiters.wake()


def _within(field: str, value: float, least: int, most: int, unit: str) -> int:
    if not is_number(value) or not least <= value <= most:
        refuse(field, value, f"a number from {least} to {most} {unit}")
    return round(value)


def _level(field: str, value: float, least: int, most: int) -> float:
    if not is_number(value) or not least <= value <= most:
        refuse(field, value, f"a number from {least} to {most} dB")
    return float(value)
