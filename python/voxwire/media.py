"""Media units: what sends or takes audio, and how to route it. The audio itself stays in the core."""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack
from weakref import ref

from . import _core
from .checks import refuse
from .errors import AudioRouteError
from .loops import bridge_to, running_loop
from .parameters import merged
from .routes import Route, Routes
from .waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Buffer

    from .enums import WebSocketAudioEncoding

Path = str | PathLike[str]


class SendMediaParameters(TypedDict, total=False):
    """How audio is sent to a WebSocket."""

    encoding: WebSocketAudioEncoding | str
    """How the audio is encoded. Default `WebSocketAudioEncoding.PCM16_8KHZ`."""
    tag: str
    """The name of the stream, to tell several on one connection apart."""
    customParameters: Any
    """Sent along in the start event; anything that JSON can hold."""


class TagParameters(TypedDict, total=False):
    """Which of several streams is meant."""

    tag: str
    """The stream's tag; without it all streams."""


class MediaUnit:
    """Anything that audio can be sent to."""

    _routes: Routes | None = None
    """Where a unit that is lost now and then remembers its routes."""

    def _sink(self) -> _core.MediaSink:
        message = f"a {type(self).__name__} takes no audio"
        raise AudioRouteError(message)

    def _default_encoding(self) -> str | None:
        return None

    def _is_over(self) -> bool:
        """Say whether no audio will ever come or go here again."""
        return False


class MediaSource(MediaUnit):
    """Anything that audio can come from."""

    def _source(self) -> _core.MediaSource:
        raise NotImplementedError

    def sendMediaTo(
        self,
        mediaUnit: MediaUnit,
        parameters: SendMediaParameters | None = None,
        **options: Unpack[SendMediaParameters],
    ) -> None:
        """Send the audio of this unit to another, until `stopMediaTo`, the end of either, or the end of the audio.

        Decoded, buffered, timed and encoded in the core. Parameters matter only when the other is a WebSocket. Raises
        TypeError for a thing that is no media unit, AudioRouteError, InvalidParameter, InvalidState.
        """
        values = merged(parameters, options, known=SendMediaParameters.__annotations__)
        unit = _unit(mediaUnit)
        encoding = values.get("encoding", unit._default_encoding())
        if encoding is not None and not isinstance(encoding, str):
            refuse("encoding", encoding, "a WebSocketAudioEncoding")
        custom = values.get("customParameters")
        try:
            text = None if custom is None else json.dumps(custom, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError):
            refuse("customParameters", custom, "something that JSON can hold")
        route = Route(ref(self), ref(unit), None if encoding is None else str(encoding), _tag(values), text)
        _core.route(self._source(), unit._sink(), route.encoding, route.tag, route.custom)
        for end in (self, unit):
            if end._routes is not None:
                end._routes.add(route)

    def stopMediaTo(
        self, mediaUnit: MediaUnit, parameters: TagParameters | None = None, **options: Unpack[TagParameters]
    ) -> None:
        """End what `sendMediaTo` began; nothing happens when nothing was sent. Raises TypeError as it does."""
        values = merged(parameters, options, known=SendMediaParameters.__annotations__)
        unit, tag = _unit(mediaUnit), _tag(values)
        _core.unroute(self._source(), unit._sink(), tag)
        for end in (self, unit):
            if end._routes is not None:
                end._routes.remove(self, unit, tag)


@dataclass(slots=True)
class _Reports:
    """The `_core.UnitSink` of a unit."""

    on_readable: Callable[[], None]
    on_writable: Callable[[], None]
    on_finished: Callable[[Exception | None], None]


class _Unit:
    """What recorder, player and audio unit share: reports from the core, and waiting for them."""

    def __init__(self) -> None:
        self._bridge = bridge_to(running_loop(f"a {type(self).__name__}"))
        self._waiters = Waiters()
        self._finished = False
        self._error: Exception | None = None
        self._reports = _Reports(self._waiters.wake, self._waiters.wake, self._on_finished)

    def _is_over(self) -> bool:
        return self._finished

    def _on_finished(self, error: Exception | None) -> None:
        self._finished = True
        self._error = error
        self._waiters.wake()

    async def _wait_finished(self) -> None:
        await self._waiters.until(lambda: self._finished)
        if self._error is not None:
            raise self._error


class Recorder(_Unit, MediaUnit):
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


class Player(_Unit, MediaSource):
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


class AudioUnit(_Unit, MediaSource):
    """Audio for Python code: read what is sent to it, write what it sends. PCM, signed 16-bit little-endian, mono.

    `async for frame in unit` gives frames of 20 ms until the unit is closed.
    """

    def __init__(self, rate: int = 16000, buffer: float = 10.0) -> None:
        """`rate` in Hz: 8000, 16000, 24000, 32000, 44100 or 48000; `buffer` bounds each direction, in seconds.

        When nobody reads, the oldest audio is discarded (`discarded`).
        """
        super().__init__()
        self._rate = rate
        self._unit = _core.AudioUnit(self._bridge, self._reports, rate, float(buffer))

    def _sink(self) -> _core.MediaSink:
        return self._unit

    def _source(self) -> _core.MediaSource:
        return self._unit

    @property
    def rate(self) -> int:
        """The sample rate in Hz."""
        return self._rate

    @property
    def queued(self) -> float:
        """Milliseconds written and not played yet."""
        return self._unit.queued

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

    async def __aenter__(self) -> Self:
        """Answer the unit."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the unit."""
        self.close()


def tag_of(parameters: TagParameters | None, options: TagParameters) -> str | None:
    """Answer the tag in parameters. Raises TypeError, InvalidParameter."""
    return _tag(merged(parameters, options, known=TagParameters.__annotations__))


def _unit(thing: object) -> MediaUnit:
    if not isinstance(thing, MediaUnit):
        message = f"audio goes to a WebSocket, a Recorder or an AudioUnit, not to {type(thing).__name__}"
        raise TypeError(message)
    return thing


def _tag(values: dict[str, Any]) -> str | None:
    tag = values.get("tag")
    if tag is not None and not isinstance(tag, str):
        refuse("tag", tag, "a string")
    return tag
