"""`Player`: a sound into routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal

from voxwire import _core
from voxwire.checks import is_number, refuse
from voxwire.parameters import count

from .routing import MediaSource
from .unit import Path, Reports, Unit

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from voxwire.enums import WebSocketAudioEncoding


class Player(Unit, MediaSource):
    """Plays a sound in real time into what it is sent to: a file, the bytes of one, or a stream such as speech synthesis gives.

    WAV (PCM of 8 to 32 bits, float, G.711; several channels are mixed), Ogg Opus, or with `format="raw"` audio without any
    header, in every encoding that media streams have::

        Player("welcome.wav")
        Player(tts("Good morning"), format="raw", encoding="PCM16", rate=24000)

    A stream is an async iterator of bytes, cut anywhere. It is asked for more as it is played, never more than `ahead` seconds
    before. When it is too slow the player waits for it; when it raises, what it gave before is played, and `wait_finished`
    raises the same. `stop` ends it, too.
    """

    def __init__(
        self,
        source: Path | Buffer | AsyncIterable[Buffer],
        *,
        format: Literal["wav", "ogg", "raw"] | None = None,  # noqa: A002 - what everybody calls it
        encoding: WebSocketAudioEncoding | str | None = None,
        rate: int | None = None,
        loop: bool | int = False,
        ahead: float = 2.0,
        lead: float = 0.0,
    ) -> None:
        """Open the file; playing begins with `start`.

        `format` None: WAV or Ogg, as the first bytes tell. `encoding` (default PCM) and `rate` in Hz say what raw audio is.
        `loop` True: for ever; a number: so many times; without a gap. `ahead`: how much of a stream is taken, and of anything
        decoded, before it is played; 0.1 seconds at least. `lead`, in seconds and at most 10, lets it be sent so much ahead of
        real time: for a far side that buffers, so that it rides over a stalled network.

        Raises OSError when the file cannot be read, MediaError when it cannot be played, InvalidParameter.
        """
        super().__init__()
        if format not in {None, "wav", "ogg", "raw"}:
            refuse("format", format, '"wav", "ogg", "raw" or None')
        if format != "raw" and (encoding is not None or rate is not None):
            name, value = ("encoding", encoding) if encoding is not None else ("rate", rate)
            refuse(name, value, 'None, but for the format "raw"')
        if encoding is not None and not isinstance(encoding, str):
            refuse("encoding", encoding, "a WebSocketAudioEncoding")
        if rate is not None and count("rate", rate, 1) >= 2**32:
            refuse("rate", rate, "samples a second")
        if not is_number(ahead) or ahead < _LEAST_AHEAD:
            refuse("ahead", ahead, f"a number of seconds >= {_LEAST_AHEAD}")
        # Until it is started nobody but the program needs it: one that is let go before is gone, with its sound.
        self._reports = Reports.weak(self._on_change, self._on_change, self._on_route_ended, self._on_finished)
        self._stream: AsyncIterable[Buffer] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        path, data = None, None
        if isinstance(source, (str, PathLike)):
            path = fspath(source)
        elif isinstance(source, AsyncIterable):
            self._stream = source
            if loop is not False:
                refuse("loop", loop, "False for a stream, which comes only once")
        else:
            data = source
        self._unit = _core.Player(
            self._bridge,
            self._reports,
            path,
            data,
            format=format,
            encoding=None if encoding is None else str(encoding),
            rate=rate,
            plays=None if loop is True else 1 if loop is False else count("loop", loop, 1),
            ahead=float(ahead),
            lead=float(lead),
        )

    def _source(self) -> _core.MediaSource:
        return self._unit

    @property
    def rate(self) -> int | None:
        """The sample rate in Hz; None while a stream has not begun."""
        return self._unit.rate

    @property
    def duration(self) -> float | None:
        """The length in milliseconds, of one time; None for a stream."""
        return self._unit.duration

    @property
    def position(self) -> float:
        """Milliseconds sent, of all times together; without a `lead`: played."""
        return self._unit.position

    @property
    def sent_ahead(self) -> float:
        """Milliseconds sent ahead of real time (`lead`): the far side has them, and has not played them."""
        return self._unit.sent_ahead

    @property
    def paused(self) -> bool:
        """Whether it pauses."""
        return self._unit.paused

    def start(self) -> None:
        """Begin to play, and to take what a stream gives."""
        if not self._finished:
            self._reports.kept = self
        self._unit.start()
        if self._stream is not None and self._pump is None and not self._finished:
            self._pump = asyncio.get_running_loop().create_task(self._take(self._stream))

    def pause(self) -> None:
        """Send nothing until `resume`. What was sent ahead (`sent_ahead`) is still heard."""
        self._unit.pause()

    def resume(self) -> None:
        """Go on where `pause` stopped, after what was sent ahead."""
        self._unit.resume()

    def stop(self) -> None:
        """Send nothing more, for good. A stream is cancelled and closed. What was sent ahead is still heard."""
        self._unit.stop()
        self._cancel()

    async def wait_finished(self) -> None:
        """Return when all is played (what was sent ahead, too), or after `stop`. Raises what the stream raised, MediaError when it cannot be played."""
        await self._wait_finished()

    def _on_change(self) -> None:
        self._waiters.wake()

    def _on_finished(self, error: Exception | None) -> None:
        self._reports.kept = None
        self._cancel()
        super()._on_finished(self._failure or error)

    def _cancel(self) -> None:
        if self._pump is not None:
            self._pump.cancel()

    async def _take(self, stream: AsyncIterable[Buffer]) -> None:
        """Give the core what the stream gives, as it is wanted."""
        iterator = aiter(stream)
        try:
            async for piece in iterator:
                self._unit.give(piece)
                await self._waiters.until(self._unit.request_bytes)
        except Exception as error:  # noqa: BLE001 - whoever waits for the end gets it
            self._failure = error
        finally:
            self._unit.give(None)
            close: Any = getattr(iterator, "aclose", None)
            if close is not None:
                await close()


_LEAST_AHEAD = 0.1
