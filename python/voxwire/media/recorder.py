"""`Recorder`: audio into a file."""

from __future__ import annotations

from os import fspath
from typing import TYPE_CHECKING, Self

from voxwire import _core

from .routing import MediaUnit
from .unit import Path, Unit

if TYPE_CHECKING:
    from types import TracebackType


class Recorder(Unit, MediaUnit):
    """Writes the audio that is sent to it to a WAV file (16-bit PCM, mono), in real time: gaps become silence.

    `async with Recorder("call.wav") as recorder:` closes it at the end. Raises OSError when the file cannot be made.
    """

    def __init__(self, path: Path, rate: int = 8000) -> None:
        """`rate` is the sample rate of the file in Hz, 8000 or 16000."""
        super().__init__()
        self._unit = _core.Recorder(self._bridge, self._reports, fspath(path), rate)

    def _sink(self) -> _core.MediaSink:
        return self._unit

    @property
    def duration(self) -> float:
        """Milliseconds recorded."""
        return self._unit.duration

    def close(self) -> None:
        """Complete the file, in the background: `wait_closed` tells when."""
        self._unit.close()

    async def wait_closed(self) -> None:
        """Return when the file is complete. Raises the error that ended the recording, if one did."""
        await self._wait_finished()

    async def __aenter__(self) -> Self:
        """Answer the recorder."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complete the file."""
        self.close()
        await self.wait_closed()
