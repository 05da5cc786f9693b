"""`Recorder`: audio into files."""

from __future__ import annotations

import asyncio
from os import fspath
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Literal

from voxwire import _core
from voxwire.checks import is_number, refuse
from voxwire.closing import Closing
from voxwire.opus import OpusParameters
from voxwire.parameters import count

from .unit import Path, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

_SUFFIXES = {".ogg", ".opus", ".oga"}
_SIDES = ("left", "right")


class Recorder(Unit, Closing):
    """Writes the audio that is sent to it to a file, in real time: gaps become silence.

    WAV (16-bit PCM), or Ogg Opus for a name that ends in .ogg, .opus or .oga. What is recorded is written each second, and
    the file can be read at any time, also when the process was killed. Everything that is sent to it is mixed. With
    `channels=2` each party has a channel, and both are on one time line::

        recorder = Recorder("call.ogg", channels=2)
        caller.sendMediaTo(recorder, {"channel": "left"})
        agent.sendMediaTo(recorder, {"channel": "right"})

    With `split_seconds` or `split_bytes` there are several files, `call-0001.ogg`, `call-0002.ogg` and so on: one ends where
    the next begins, to the sample. A WAV file cannot be longer than 4 GiB; without a split the recording goes on in
    `call-0002.wav` then.

    `async with Recorder("call.wav") as recorder:` closes it at the end.
    """

    def __init__(
        self,
        path: Path,
        rate: int | None = None,
        *,
        channels: Literal[1, 2] = 1,
        format: Literal["wav", "ogg"] | None = None,  # noqa: A002 - what everybody calls it
        opus: OpusParameters | None = None,
        split_seconds: float | None = None,
        split_bytes: int | None = None,
        on_file: Callable[[FilePath], None] | None = None,
    ) -> None:
        """Make the file. An existing one is overwritten.

        `rate` in Hz: 8000 (the default of WAV), 16000, 24000, 32000, 44100 or 48000 (the default of Ogg, which does without
        32000 and 44100). `opus` says how Ogg is encoded; the default is OpusParameters(application="audio"). `split_seconds` is at least 1,
        `split_bytes` at least 65536: no file is larger. `on_file` is called with the path of each file that is complete.

        Raises OSError when the file cannot be made, InvalidParameter.
        """
        super().__init__()
        name = fspath(path)
        if format is None:
            format = "ogg" if FilePath(name).suffix.lower() in _SUFFIXES else "wav"  # noqa: A001
        ogg = format == "ogg"
        if not ogg and format != "wav":
            refuse("format", format, '"wav", "ogg" or None')
        if channels not in {1, 2}:
            refuse("channels", channels, "1 or 2")
        if opus is not None and (not ogg or not isinstance(opus, OpusParameters)):
            refuse("opus", opus, "OpusParameters" if ogg else "None for WAV")
        if split_seconds is not None and not is_number(split_seconds):
            refuse("split_seconds", split_seconds, "a number of seconds >= 1, or None")
        if rate is None:
            rate = 48000 if ogg else 8000
        self._files: list[FilePath] = []
        self._on_file = on_file
        self._reports.on_file_completed = self._on_file_completed
        self._unit = _core.Recorder(
            self._bridge,
            self._reports,
            name,
            ogg=ogg,
            opus=opus,
            rate=_small("rate", rate),
            channels=channels,
            split_seconds=None if split_seconds is None else float(split_seconds),
            split_bytes=None if split_bytes is None else count("split_bytes", split_bytes, 1),
        )
        self._channels = self._unit.channels()

    def _sinks(self, channel: str | None) -> list[_core.MediaSink]:
        sides = _SIDES if len(self._channels) == len(_SIDES) else (None,)
        if channel is None:
            return list(self._channels)
        if channel not in sides:
            refuse("channel", channel, 'none for one channel; "left" or "right" with channels=2')
        return [self._channels[sides.index(channel)]]

    def _on_file_completed(self, path: str) -> None:
        self._files.append(FilePath(path))
        if self._on_file is not None:
            try:
                self._on_file(FilePath(path))
            except Exception as error:  # noqa: BLE001 - goes where exceptions of handlers go
                context = {"message": f"exception in on_file of {self!r}", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)

    @property
    def duration(self) -> float:
        """Milliseconds recorded."""
        return self._unit.duration

    @property
    def files(self) -> list[FilePath]:
        """The files that are complete; with a split more than one."""
        return list(self._files)

    @property
    def paused(self) -> bool:
        """Whether it pauses."""
        return self._unit.paused

    def pause(self) -> None:
        """Leave out what comes from now on. No time passes in the recording."""
        self._unit.pause()

    def resume(self) -> None:
        """Record again after `pause`."""
        self._unit.resume()

    def close(self) -> None:
        """Complete the file, in the background: `wait_closed` tells when."""
        self._unit.close()

    async def wait_closed(self) -> None:
        """Return when the file is complete. Raises the error that ended the recording, if one did."""
        await self._wait_finished()

    async def _settled(self) -> None:
        await self.wait_closed()


def _small(field: str, value: int) -> int:
    """A number that the core has 32 bits for; what it may be is checked there."""
    if count(field, value, 1) >= 2**32:
        refuse(field, value, "a number below 2**32")
    return value
