"""Memory of idle connections: resident memory of a fresh process with so many open, less before, divided by them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import websockets

from voxwire import WebSocket

from . import child
from .child import Child
from .clients import clients
from .figures import Table
from .machine import rss_bytes
from .options import Options

AT_ONCE = 50


def run(options: Options) -> list[Table]:
    """A fresh process for each figure."""
    sizes: tuple[int, ...] = (20,) if options.quick else (500, 1000)
    table = Table("Memory of an idle connection, KiB", ["client", *(f"{size} connections" for size in sizes)])
    with Child("benches.peer") as peer:
        port = peer.hear()["port"]
        for index, client in enumerate(_clients()[: 2 if options.quick else None]):
            per_connection = []
            for size in sizes:
                with Child("benches.memory", {"port": port, "client": index, "size": size}) as measured:
                    per_connection.append(measured.hear(60)["grown"] / size / 1024)
            table.add(
                [client.label, *(f"{kib:.1f}" for kib in per_connection)],
                client=client.label,
                sizes=sizes,
                kib=per_connection,
            )
    table.notes.append("Default parameters; the peer agrees to no compression. What the kernel holds is not counted.")
    return [table]


async def voxwire(url: str, size: int) -> int:
    """Opens WebSockets."""
    return await _measure(lambda: WebSocket(url), lambda ws: ws.wait_open(), url, size)


async def by_websockets(url: str, size: int) -> int:
    """The same with `websockets`."""

    async def nothing(_connection: object) -> None: ...

    return await _measure(lambda: websockets.connect(url), nothing, url, size)


async def _measure(connect: Any, opened: Any, url: str, size: int) -> int:
    async def one() -> Any:
        made = connect()
        connection = await made if hasattr(made, "__await__") else made
        await opened(connection)
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
    return clients({"voxwire": voxwire, "websockets": by_websockets})


def main() -> None:
    """The measured process."""
    job = child.argument()
    client = _clients()[job["client"]]
    grown = client.run(f"ws://127.0.0.1:{job['port']}/idle", job["size"])
    child.say(grown=grown)


if __name__ == "__main__":
    main()
