"""`Player`: a file into routes."""

from __future__ import annotations

from os import fspath

from voxwire import _core

from .routing import MediaSource
from .unit import Path, Unit


class Player(Unit, MediaSource):
    """Plays a WAV file (PCM or G.711) in real time into what it is sent to.

    Raises OSError when the file cannot be read, MediaError when it is not a WAV file that can be played.
    """

    def __init__(self, path: Path) -> None:
        """Read the file; playing begins with `start`."""
        super().__init__()
        self._unit = _core.Player(self._bridge, self._reports, fspath(path))

    def _source(self) -> _core.MediaSource:
        return self._unit

    @property
    def rate(self) -> int:
        """The sample rate of the file in Hz."""
        return self._unit.rate

    @property
    def duration(self) -> float:
        """The length of the file in milliseconds."""
        return self._unit.duration

    @property
    def position(self) -> float:
        """Milliseconds played."""
        return self._unit.position

    def start(self) -> None:
        """Begin to play."""
        self._unit.start()

    def stop(self) -> None:
        """Stop playing, for good."""
        self._unit.stop()

    async def wait_finished(self) -> None:
        """Return when all is played, or after `stop`."""
        await self._wait_finished()
