"""Memory of idle connections: resident memory of a fresh process with so many open, less before, divided by them."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from . import child, memory_peers
from .child import Child
from .clients import clients
from .figures import Table
from .machine import many_files, rss_bytes
from .options import Options

AT_ONCE = 50
MODES = ("no compression", "agreed, not used", "one message each way")
MESSAGE = json.dumps({"type": "response.audio.delta", "text": "What a service says while it talks. " * 26})


def run(options: Options) -> list[Table]:
    """A fresh process for each figure."""
    size = 20 if options.quick else 2000
    table = Table(f"Memory of an idle connection, KiB, {size} connections", ["client", *MODES])
    with Child("benches.echo") as peer:
        port = peer.hear()["port"]
        for index, client in enumerate(_clients()[: 2 if options.quick else None]):
            kib: list[float | None] = []
            for mode in MODES:
                job = {"port": port, "client": index, "size": size, "mode": mode}
                if mode != MODES[0] and client.name in memory_peers.NEVER_COMPRESS:
                    kib.append(None)
                    continue
                with Child("benches.memory", job) as measured:
                    kib.append(measured.hear(120)["grown"] / size / 1024)
            cells = ["–" if value is None else f"{value:.1f}" for value in kib]
            table.add([client.label, *cells], client=client.label, size=size, kib=kib)
    table.notes += [
        f"Default parameters, but for compression; the messages of the last column are JSON of {len(MESSAGE)} bytes.",
        "What the kernel holds is not counted. picows has no compression.",
    ]
    if memory_peers.MISSING:
        table.notes.append(f"Not installed, so not measured: {', '.join(memory_peers.MISSING)}.")
    return [table]


async def measure(url: str, size: int, mode: str, connect: memory_peers.Connect) -> int:
    """How many bytes the process has grown by with `size` connections open."""

    async def one() -> Any:
        connection, talk = await connect(url, mode != MODES[0])
        if mode == MODES[2]:
            await talk(MESSAGE)
        return connection

    kept = [await one()]  # what the first connection sets up is not counted
    gc.collect()
    before = rss_bytes()
    while len(kept) <= size:
        kept += await asyncio.gather(*(one() for _ in range(min(AT_ONCE, size + 1 - len(kept)))))
    await asyncio.sleep(0.5)
    gc.collect()
    return rss_bytes() - before


def _clients() -> list[Any]:
    def work(connect: memory_peers.Connect) -> Callable[[str, int, str], Awaitable[int]]:
        return lambda url, size, mode: measure(url, size, mode, connect)

    works: Any = {name: work(connect) for name, connect in memory_peers.CONNECT.items()}
    return clients(works)


def main() -> None:
    """The measured process."""
    many_files()
    job = child.argument()
    client = _clients()[job["client"]]
    grown = client.run(f"ws://127.0.0.1:{job['port']}/", job["size"], job["mode"])
    child.say(grown=grown)
    os._exit(0)  # thousands of connections need no farewell


if __name__ == "__main__":
    main()
