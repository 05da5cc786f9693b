"""One script on `websockets` and on voxwire.compat, only the import changed: round trips, a flow, CPU and memory.

Round trips: the best of ten batches.

python -m benches.compat            # both, each in a process of its own, on asyncio and uvloop
python -m benches.compat BASE LOOP  # one of them
"""

import asyncio
import importlib
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BASES = ("websockets", "voxwire.compat.websockets")
IDLE = 200


async def measure(base: str) -> list[tuple[str, str]]:
    """Both ends are in this process, so every figure is that of a client and a server together."""
    connect = importlib.import_module(f"{base}.asyncio.client").connect
    serve = importlib.import_module(f"{base}.asyncio.server").serve
    rows: list[tuple[str, str]] = []

    async def echo(ws: Any) -> None:
        async for message in ws:
            if message:
                await ws.send(message)

    async def sink(ws: Any) -> None:
        async for _ in ws:
            pass
        await ws.wait_closed()

    for compression in (None, "deflate"):
        name = "no compression" if compression is None else "default compression"
        async with serve(echo, "127.0.0.1", 0, compression=compression) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with connect(url, compression=compression) as ws:
                for message in ("x" * 20, "text " * 200, b"\x00\x01\x02\x03" * 25_000):
                    count = 400 if len(message) < 10_000 else 60
                    walls, cpus = [], []
                    for _ in range(10):
                        wall, cpu = time.perf_counter(), time.process_time()
                        for _ in range(count):
                            await ws.send(message)
                            await ws.recv()
                        walls.append((time.perf_counter() - wall) / count)
                        cpus.append((time.process_time() - cpu) / count)
                    # What others on the machine add is not ours to report.
                    wall, cpu = min(walls), min(cpus)
                    rows.append(
                        (f"round trip of {len(message)} bytes, {name}", f"{wall * 1e6:.0f} µs, {cpu * 1e6:.0f} µs CPU")
                    )
    async with serve(sink, "127.0.0.1", 0, compression=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ws = await connect(url, compression=None)
        start = time.process_time()
        for _ in range(20_000):
            await ws.send("a message of some words, as programs send them")
        await ws.close()
        rows.append(("20,000 messages one way, CPU", f"{time.process_time() - start:.2f} s"))
    async with serve(sink, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        before = resident()
        idle = [await connect(url) for _ in range(IDLE)]
        rows.append((f"memory of a connection, both ends ({IDLE} idle)", f"{(resident() - before) / IDLE:.0f} KiB"))
        await asyncio.gather(*(ws.close() for ws in idle))
    return rows


def resident() -> float:
    """KiB."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    if len(sys.argv) > 1:
        factory = None
        if sys.argv[2] == "uvloop":
            import uvloop

            factory = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            for what, value in runner.run(measure(sys.argv[1])):
                print(f"{what}\t{value}")
        return
    for loop in ("asyncio", "uvloop"):
        tables = []
        for base in BASES:
            command = [sys.executable, "-m", "benches.compat", base, loop]
            result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
            tables.append([line.split("\t") for line in result.stdout.splitlines()])
        print(f"\n| {loop} | {' | '.join(BASES)} |\n|---|---|---|")
        for (what, theirs), (_, ours) in zip(*tables, strict=True):
            print(f"| {what} | {theirs} | {ours} |")


if __name__ == "__main__":
    main()
