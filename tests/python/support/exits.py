"""Interpreters that end under traffic, in every manner: `make exits COUNT=100`. Each must leave with exit code 0, nothing on
stderr, and recordings that can be read.
"""

from __future__ import annotations

import sys
import tempfile
import time
import wave
from pathlib import Path

from support import ogg
from support.programs import run

WAYS = ("return", "sys.exit", "sys.exit in a handler", "loop not closed", "daemon thread", "SIGTERM")

PROGRAM = """
import warnings
folder, way = sys.argv[3:]
if way == "loop not closed": warnings.simplefilter("ignore", ResourceWarning)  # of the loop that is left open
async def main():
    global kept
    engine = voxwire.Engine()
    def accept(event):
        ws = event.websocket; ws.onmessage = lambda e: ws.send(e.data); ws.sendMediaTo(ws)
    engine.addEventListener(voxwire.AppEvents.WebSocket, accept)
    server = engine.allowWebSocketConnections(parameters={"close_timeout": 0.2})
    recorders = [voxwire.Recorder(folder + name) for name in ("/call.wav", "/call.ogg")]
    player = voxwire.Player(b"\\x10\\x20" * 80000, format="raw", rate=8000, loop=True); player.start(); kept = [engine, server, player, *recorders]
    received = 0
    def count(event):
        nonlocal received
        received += 1; event.websocket.send(event.data)
        if way == "sys.exit in a handler" and enough(): sys.exit(0)
    def enough(): return received > 200 and all(recorder.duration >= 200 for recorder in recorders)
    for _ in range(3):
        ws = WebSocket(server.url, close_timeout=0.2); await ws.wait_open(); kept.append(ws)
        ws.onmessage = count; player.sendMediaTo(ws)
        for recorder in recorders: ws.sendMediaTo(recorder)
        for number in range(10): ws.send(b"x" * 200)
    while not enough(): await asyncio.sleep(0.01)
    if way == "sys.exit": sys.exit(0)
    if way == "SIGTERM": os.kill(os.getpid(), signal.SIGTERM)
    if way == "daemon thread": leave.set()
    if way not in ("return", "loop not closed"): await asyncio.sleep(60)
leave = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if way == "daemon thread": threading.Thread(target=run, args=(main(),), daemon=True).start(); leave.wait(60)
elif way == "loop not closed": loop = new_loop(); loop.run_until_complete(main())
else: run(main())
"""


def check_recording(path: Path) -> None:
    """Read all of it, as its format says. AssertionError when it is too short, other errors when it is damaged."""
    if path.suffix == ".ogg":
        assert ogg.granules(path.read_bytes())[-1] >= 4800, "less than 100 ms"
        return
    with wave.open(str(path)) as file:
        frames = file.readframes(file.getnframes())
        assert len(frames) == 2 * file.getnchannels() * file.getnframes()
        assert file.getnframes() >= file.getframerate() // 10, f"{file.getnframes()} samples"


def leave(number: int, folder: Path) -> str:
    """Run and end the program for the `number`th time; answers what went wrong."""
    way, loop = WAYS[number % len(WAYS)], ("asyncio", "uvloop")[number // len(WAYS) % 2]
    place = folder / str(number)
    place.mkdir()
    result = run(PROGRAM, "", loop, str(place), way)
    what = f"{number} ({way}, {loop}): "
    if (result.returncode, result.stderr, result.stdout) != (0, "", ""):
        return f"{what}exit code {result.returncode}, {result.stdout}{result.stderr}"
    for name in ("call.wav", "call.ogg"):
        try:
            check_recording(place / name)
        except (AssertionError, EOFError, OSError, ValueError, wave.Error) as error:
            return f"{what}{name}: {error!r}"
    return ""


def main() -> int:
    """Leave as many times as the argument says."""
    count, start = int(sys.argv[1]), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        problems = [problem for number in range(count) if (problem := leave(number, Path(folder)))]
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{count} exits under traffic in {time.monotonic() - start:.0f} s, {len(problems)} with a problem")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
