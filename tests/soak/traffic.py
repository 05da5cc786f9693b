"""What the soaked process does all the time: numbers, floods, calls, openings and failures; and the server it is itself."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path

from numbers_of import Numbers
from peer import FLOOD

from voxwire import (
    AppEvents,
    Backoff,
    ConnectError,
    Engine,
    Player,
    Recorder,
    VoxwireError,
    WebSocket,
    WebSocketServer,
)

SPEECH = Path(__file__).parents[2] / "examples/speech.wav"
CALL = 1.5


@dataclass
class Tally:
    """What was done, and what of it went wrong though it must not."""

    flooded: int = 0
    floods: int = 0
    floods_cut: int = 0
    flood_gaps: int = 0
    calls: int = 0
    calls_cut: int = 0
    calls_silent: int = 0
    opened: int = 0
    not_opened: int = 0
    taken: int = 0
    gaps_taken: int = 0


def serve(tally: Tally) -> WebSocketServer:
    """A server whose clients send numbers: it acknowledges them, as the peer's does."""
    engine = Engine()

    async def take(ws: WebSocket) -> None:
        expected = 0
        with contextlib.suppress(VoxwireError):
            async for message in ws:
                word, _, number = str(message).partition(" ")
                if word == "from":
                    expected = int(number)
                    continue
                tally.taken += 1
                tally.gaps_taken += int(number) != expected
                expected = int(number) + 1
                ws.send(f"ack {number}")

    engine.addEventListener(AppEvents.WebSocket, lambda event: take(event.websocket))
    return engine.allowWebSocketConnections(parameters={"close_timeout": 2.0})


async def floods(url: str, tally: Tally, stop: asyncio.Event) -> None:
    """Take floods with a small buffer and a reader that pauses."""
    while not stop.is_set():
        ws = WebSocket(url + "flood", receive_buffer=64 * 1024)
        expected = 0
        try:
            async for message in ws:
                number = int(str(message).partition(" ")[0])
                tally.flood_gaps += number != expected
                expected = number + 1
                tally.flooded += 1
                if number % 1000 == 0:
                    await asyncio.sleep(0.02)
            closed = await ws.wait_closed()
            tally.floods += 1
            if closed.code == 1000:
                tally.flood_gaps += expected != FLOOD  # a close handshake, and not all of it came
            else:
                tally.floods_cut += 1
        except VoxwireError:
            tally.floods_cut += 1
            await ws.wait_closed()
        await asyncio.sleep(0.2)


async def calls(url: str, tally: Tally, stop: asyncio.Event, directory: Path, number: int) -> None:
    """Call the peer, which sends the audio back, and record what comes."""
    file = directory / f"{number}.wav"
    while not stop.is_set():
        ws, recorder, player = WebSocket(url + "call"), Recorder(file, rate=8000), Player(SPEECH)
        try:
            await ws.wait_open()
            ws.sendMediaTo(recorder)
            player.sendMediaTo(ws, {"encoding": "ULAW"})
            player.start()
            await asyncio.sleep(CALL)
            cut = ws.readyState != "open"
            player.stop()
            tally.calls += 1
            tally.calls_cut += cut
            tally.calls_silent += not cut and recorder.duration < CALL * 1000 / 4
        except VoxwireError:
            tally.calls_cut += 1
            await asyncio.sleep(0.2)
        finally:
            recorder.close()
            ws.close()
            await recorder.wait_closed()
            await ws.wait_closed()


async def openings(url: str, own: str, tally: Tally, stop: asyncio.Event) -> None:
    """Open and close, connect to nobody, and knock at our own server with something else than a handshake."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"ws://127.0.0.1:{free.getsockname()[1]}/"
    host, port = own.removeprefix("ws://").rstrip("/").split(":")
    while not stop.is_set():
        for where in (url + "numbers", nobody):
            try:
                async with WebSocket(where):
                    tally.opened += 1
            except (ConnectError, VoxwireError):
                tally.not_opened += 1
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"junk\r\n\r\n" * (tally.opened % 2))
            await writer.drain()
            writer.transport.abort()
        await asyncio.sleep(0.05)


def numbers(url: str, count: int) -> list[Numbers]:
    """Connections that come back."""
    return [Numbers(url + "numbers", Backoff(initial=0.05, maximum=0.5)) for _ in range(count)]
