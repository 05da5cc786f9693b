"""`voxwire agent`: a small answering side. Echoes audio, at once or with a delay, and messages.

Without a delay the audio stays in the core (a connection routed to itself); the delay is an example of an AudioUnit.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from voxwire import (
    AudioRouteError,
    AudioUnit,
    ConnectionClosed,
    MediaBufferFull,
    MediaEndedEvent,
    MediaStartedEvent,
    WebSocket,
    WebSocketAudioEncoding,
    WebSocketEvents,
)
from voxwire.cli.arguments import (
    ENCODING_HELP,
    Subparsers,
    add_listen_group,
    add_report_group,
    encoding,
    milliseconds,
)
from voxwire.cli.calls import Call, Calls
from voxwire.cli.leg import Leg

DESCRIPTION = """\
A small answering side to test against: sends the caller's audio back to it, and each message too.
"""
EXAMPLES = """\
examples:
  voxwire agent --listen 127.0.0.1:8002
  voxwire agent --listen 127.0.0.1:8002 --encoding ULAW --delay 1500
"""
MAX_DELAY = 9000.0
"""Milliseconds; the audio unit's buffer holds 10 s."""


_RATES = {
    WebSocketAudioEncoding.PCM16_16KHZ: 16000,
    WebSocketAudioEncoding.G722: 16000,
    WebSocketAudioEncoding.OPUS: 48000,
}
"""Samples a second, where they are not 8000."""


def add_parser(commands: Subparsers) -> None:
    """Adds `agent` to the command line."""
    parser = commands.add_parser(
        "agent",
        help="answer calls: echo audio and messages",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_listen_group(parser)
    parser.add_argument(
        "--encoding",
        type=encoding,
        default="PCM16",
        metavar="ENC",
        help=f"audio to send back (default: PCM16): {ENCODING_HELP}",
    )
    parser.add_argument(
        "--delay", type=_delay, default=0.0, metavar="MS", help="send the audio back this much later (default: 0)"
    )
    add_report_group(parser)
    parser.set_defaults(run=run)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:
    """Answers calls until `stop`."""
    return await Agent(options).calls.run(stop)


class Agent:
    """Echoes each call of `calls`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._encoding: WebSocketAudioEncoding = options.encoding
        self._delay: float = options.delay
        self.calls = Calls(options, self._begin)

    def _begin(self, call: Call) -> Coroutine[Any, Any, None]:
        caller = call.event.websocket
        call.legs.append(Leg("agent", caller, self.calls.timeline, call.number))
        if not self._delay:
            caller.sendMediaTo(caller, {"encoding": self._encoding})
            return self._answer(call, caller)
        return self._answer_later(call, caller, DelayedEcho(caller, self._encoding, self._delay))

    async def _answer(self, call: Call, caller: WebSocket) -> None:
        """Echoes messages until the call ends."""
        try:
            async for message in caller:
                caller.send(message)
                call.messages += 1
                await caller.drain()
        except ConnectionClosed:
            pass
        await caller.wait_closed()

    async def _answer_later(self, call: Call, caller: WebSocket, echo: DelayedEcho) -> None:
        audio = asyncio.create_task(echo.run())
        try:
            await self._answer(call, caller)
        finally:
            echo.unit.close()
            audio.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await audio


class DelayedEcho:
    """Audio through Python: what `unit` reads is written to it again, after as much silence as the delay is long."""

    def __init__(self, caller: WebSocket, encoding: WebSocketAudioEncoding, delay: float) -> None:
        rate = _RATES.get(encoding, 8000)
        self.unit = AudioUnit(rate=rate)
        self._caller = caller
        self._encoding = encoding
        self._silence = bytes(2 * int(rate * delay / 1000))
        self._speaking = asyncio.Event()
        self._ending = False
        self._tag: str | None = None
        caller.sendMediaTo(self.unit)
        caller.addEventListener(WebSocketEvents.MEDIA_STARTED, self._on_started)
        caller.addEventListener(WebSocketEvents.MEDIA_ENDED, self._on_ended)

    async def run(self) -> None:
        """Writes back what comes, until the unit is closed."""
        async for frame in self.unit:
            await self._speaking.wait()
            self._write(frame)
            if self._ending and not self.unit.readable:
                self._end()

    def _on_started(self, event: MediaStartedEvent) -> None:
        """The way back has the stream's own tag and parameters."""
        self._ending = False
        if self._tag not in (None, event.tag):
            self.unit.stopMediaTo(self._caller)
        self._tag = event.tag
        with contextlib.suppress(AudioRouteError):  # the caller is gone, and its close on the way to us
            self.unit.sendMediaTo(
                self._caller,
                {"encoding": self._encoding, "tag": event.tag, "customParameters": event.customParameters},
            )
        if not self._speaking.is_set():
            self._write(self._silence)
            self._speaking.set()

    def _on_ended(self, _event: MediaEndedEvent) -> None:
        """Ends the way back, too; first comes what was heard and is not written yet."""
        self._ending = True
        if not self.unit.readable:
            self._end()

    def _write(self, pcm: bytes) -> None:
        # With 10 s waiting already, a frame is dropped rather than the call.
        with contextlib.suppress(MediaBufferFull):
            self.unit.write(pcm)

    def _end(self) -> None:
        self._ending = False
        self._speaking.clear()
        self.unit.end()


def _delay(text: str) -> float:
    value = milliseconds(text)
    if value > MAX_DELAY:
        raise argparse.ArgumentTypeError(f"{text!r} is over {MAX_DELAY:g} milliseconds")
    return value
