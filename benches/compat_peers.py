"""`websockets`, `picows.websockets` and voxwire.compat in turns: round trips by size and a flow one way, CPU of both ends.

python -m benches.compat_peers [ROUNDS]  # each in processes of its own, on asyncio and uvloop; the best of all batches
"""

import asyncio
import importlib
import json
import subprocess
import sys
import time
from typing import Any

BASES = ("websockets", "picows.websockets", "voxwire.compat.websockets")
FLOW = 4000


async def measure(base: str) -> dict[str, float]:
    """Microseconds of CPU per round trip, or per message."""
    connect = importlib.import_module(f"{base}.asyncio.client").connect
    serve = importlib.import_module(f"{base}.asyncio.server").serve
    figures: dict[str, float] = {}

    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async def source(ws: Any) -> None:
        async for _ in ws:
            for _ in range(FLOW):
                await ws.send(b"x" * 160)

    async with (
        serve(echo, "127.0.0.1", 0, compression=None) as server,
        connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", compression=None) as ws,
    ):
        for size in (32, 256, 8192, 100_000):
            message, count, best = b"x" * size, 300 if size < 50_000 else 50, float("inf")
            for _ in range(12):
                start = time.process_time()
                for _ in range(count):
                    await ws.send(message)
                    await ws.recv()
                best = min(best, (time.process_time() - start) / count)
            figures[f"round trip of {size} bytes"] = best * 1e6
    async with (
        serve(source, "127.0.0.1", 0, compression=None) as server,
        connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", compression=None) as ws,
    ):
        best = float("inf")
        for _ in range(6):
            start = time.process_time()
            await ws.send("go")
            for _ in range(FLOW):
                await ws.recv()
            best = min(best, (time.process_time() - start) / FLOW)
        figures["160 bytes one way"] = best * 1e6
    return figures


def main() -> None:
    if len(sys.argv) > 2:
        factory = None
        if sys.argv[2] == "uvloop":
            import uvloop

            factory = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            print(json.dumps(runner.run(measure(sys.argv[1]))))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for loop in ("asyncio", "uvloop"):
        best: dict[str, dict[str, float]] = {}
        for base in BASES * rounds:
            command = [sys.executable, "-m", "benches.compat_peers", base, loop]
            result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
            for what, value in json.loads(result.stdout).items():
                row = best.setdefault(what, {})
                row[base] = min(value, row.get(base, value))
        print(f"\n| {loop}, CPU | {' | '.join(BASES)} |\n|---|{'---|' * len(BASES)}")
        for what, row in best.items():
            print(f"| {what} | {' | '.join(f'{row[base]:.1f} µs' for base in BASES)} |")


if __name__ == "__main__":
    main()
