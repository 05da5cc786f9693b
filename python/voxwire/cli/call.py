"""`voxwire call`: acts as the caller. Streams a WAV file in real time and records what comes back.

The Player, the WebSocket and the Recorder are routed in the core; here is only when each begins and ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

from voxwire import (
    AudioRouteError,
    Player,
    Recorder,
    SendMediaParameters,
    WebSocket,
    WebSocketAudioEncoding,
    WebSocketCloseCode,
    WebSocketEvents,
)
from voxwire.cli.arguments import (
    ENCODING_HELP,
    CommandError,
    Subparsers,
    add_connect_group,
    add_report_group,
    connect_parameters,
    encoding,
    seconds,
    websocket_url,
)
from voxwire.cli.leg import Leg
from voxwire.cli.screen import Screen
from voxwire.cli.timeline import Timeline

DESCRIPTION = """\
Acts as a caller: connects to --to, streams FILE.wav as a media stream in real time, and records what comes back.
Ends when the audio that came back has ended, or --wait seconds after the end of the file.
"""
EXAMPLES = """\
examples:
  voxwire call --to ws://127.0.0.1:8001 speech.wav
  voxwire call --to ws://127.0.0.1:8001 speech.wav --encoding ALAW --out back.wav --wait 10
"""


def add_parser(commands: Subparsers) -> None:
    """Adds `call` to the command line."""
    parser = commands.add_parser(
        "call",
        help="act as the caller: stream a WAV file, record what comes back",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE.wav", help="the speech to send: 16-bit PCM WAV")
    parser.add_argument("--to", type=websocket_url, required=True, metavar="URL", help="whom to call")
    parser.add_argument(
        "--encoding",
        type=encoding,
        default="ULAW",
        metavar="ENC",
        help=f"audio to send (default: ULAW): {ENCODING_HELP}",
    )
    parser.add_argument("--out", metavar="BACK.wav", help="record the audio that comes back to this file")
    parser.add_argument("--tag", metavar="NAME", help="tag of the media stream")
    parser.add_argument(
        "--custom-parameters", type=_json, metavar="JSON", help="custom parameters of the media stream, a JSON object"
    )
    parser.add_argument(
        "--wait",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="wait at most this long after the end of the file for the audio that comes back to end (default: 5)",
    )
    add_connect_group(parser)
    add_report_group(parser)
    parser.set_defaults(run=run)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:
    """Makes the call; answers 0 when it went as it should, or was stopped."""
    return await _Caller(options).run(stop)


_T = TypeVar("_T")


class _Caller:
    """One call from CREATED to the summary."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._screen = Screen(None if options.quiet else self._status)
        self._timeline = Timeline(options.json, self._screen.say if options.verbose else None)
        self._player = _open(Player, options.file)
        self._recorder = _open(Recorder, options.out, _rate(options.encoding)) if options.out else None
        self._websocket = WebSocket(options.to, **connect_parameters(options))
        self._leg = Leg("call", self._websocket, self._timeline)
        self._changed = asyncio.Event()
        for event in (WebSocketEvents.MEDIA_STARTED, WebSocketEvents.MEDIA_ENDED, WebSocketEvents.CLOSE):
            self._websocket.addEventListener(event, lambda _event: self._changed.set())

    async def run(self, stop: asyncio.Event) -> int:
        with self._timeline:
            async with self._screen:
                failure = await self._call(stop)
        self._screen.say(self._summary())
        if failure is not None:
            raise CommandError(failure)
        return 0

    async def _call(self, stop: asyncio.Event) -> str | None:
        """The call itself; answers what went wrong."""
        failure = None
        talk = asyncio.create_task(self._talk())
        if await _before(stop, talk):
            failure = talk.result()
        self._player.stop()
        self._websocket.close(WebSocketCloseCode.CLOSE_NORMAL)
        await self._websocket.wait_closed()
        if self._recorder is not None:
            self._recorder.close()
            await self._recorder.wait_closed()
            self._timeline.add("Recorder.Closed", "call", duration=self._recorder.duration)
        return failure

    async def _talk(self) -> str | None:
        """Sends the file and waits for the answer to end; answers what went wrong."""
        await self._websocket.wait_open()
        with contextlib.suppress(AudioRouteError):  # who hangs up at once: the close is on the way to us
            self._player.sendMediaTo(self._websocket, self._media_parameters())
            if self._recorder is not None:
                self._websocket.sendMediaTo(self._recorder)
        self._screen.say(f"connected to {self._options.to}, sending {(self._player.duration or 0) / 1000:.1f} s")
        self._timeline.add("Player.Started", "call", duration=self._player.duration)
        self._player.start()
        finished = asyncio.create_task(self._player.wait_finished())
        closed = asyncio.create_task(self._websocket.wait_closed())
        await asyncio.wait((finished, closed), return_when=asyncio.FIRST_COMPLETED)
        if closed.done():
            finished.cancel()
            return self._closed_early()
        closed.cancel()
        self._timeline.add("Player.Finished", "call", position=self._player.position)
        try:
            async with asyncio.timeout(self._options.wait):
                await self._answered()
        except TimeoutError:
            self._screen.say(f"waited {self._options.wait:g} s after the end of the file")
        return None

    async def _answered(self) -> None:
        """Returns when a stream came back and none plays any more, or when the call was closed."""
        while self._leg.closed is None and not (self._leg.ended and not self._leg.playing):
            self._changed.clear()
            await self._changed.wait()

    def _closed_early(self) -> str | None:
        """The other side hung up while we spoke: its good right, if it said so."""
        closed = self._leg.closed
        if closed is None or not closed.wasClean:
            cause = self._leg.error or "connection lost"
            return f"the call was cut off after {self._player.position / 1000:.1f} s: {cause}"
        self._screen.say(f"the other side hung up: {closed.code} {closed.reason}".rstrip())
        return None

    def _media_parameters(self) -> SendMediaParameters:
        parameters: SendMediaParameters = {"encoding": self._options.encoding}
        if self._options.tag is not None:
            parameters["tag"] = self._options.tag
        if self._options.custom_parameters is not None:
            parameters["customParameters"] = self._options.custom_parameters
        return parameters

    def _status(self) -> str:
        now = self._leg.figures()
        return (
            f"sent {self._player.position / 1000:.1f} of {(self._player.duration or 0) / 1000:.1f} s, "
            f"frames out {now.frames_out} in {now.frames_in}, audio played {now.played / 1000:.1f} s"
        )

    def _summary(self) -> str:
        lost = self._leg.figures().lost
        recorded = f", recorded {self._recorder.duration / 1000:.1f} s to {self._options.out}" if self._recorder else ""
        return self._status() + (f", {lost} frames lost" if lost else "") + recorded


def _open(kind: Callable[..., _T], path: str, *arguments: int) -> _T:
    """A Player or a Recorder, whose errors name the file."""
    try:
        return kind(path, *arguments)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error


async def _before(stop: asyncio.Event, task: asyncio.Task[Any]) -> bool:
    """Whether `task` ended before `stop` was set; else it is cancelled."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        stopped.cancel()
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


def _rate(sent: WebSocketAudioEncoding) -> int:
    """The recording has the bandwidth of what is sent."""
    return 16000 if sent == WebSocketAudioEncoding.PCM16_16KHZ else 8000


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object")
    return value
